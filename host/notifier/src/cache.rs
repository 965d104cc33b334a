//! Compiled components on disk, so that a process starts in microseconds instead of compiling for a tenth of a second.
//!
//! What lies there is native code that will run unchecked. So it is only read from a directory that belongs to this
//! user and that nobody else can write; each file is named by what it was made from (the component's SHA-256, the
//! engine's compatibility) and gets that name only when it is whole and on the disk. Then it is mapped, not read: 0.1 ms.
//! Where one of that can't be had, the component is compiled in memory and all goes on as well, only slower. That a
//! component can't be compiled is kept too, for an hour.

use crate::compile::{CompileError, Compiler, by_child};
use crate::sandbox;
use crate::source::read_regular;
use crate::trust::Proved;
use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;
use uptime_core::text::printable;
use wasmtime::Engine;
use wasmtime::component::Component;

/// For how long a component that was refused is not tried again.
const REFUSED_FOR: Duration = Duration::from_hours(1);

/// The longest reason that is read again, in bytes.
const REASON_MOST: u64 = 4 << 10;

/// Where compiled components are kept, if anywhere, and how those are made that are not there.
pub(crate) struct Cache {
    directory: Option<PathBuf>,
    compiler: Compiler,
    /// Why components were refused, by file name. A directory keeps that for other processes, too.
    refused: Mutex<HashMap<String, (Instant, String)>>,
}

impl Cache {
    /// A cache in `directory`, which is made when it is not there; without one, or when others could write to it, in
    /// memory only.
    pub(crate) fn new(directory: Option<PathBuf>, compiler: Compiler) -> Self {
        let directory = directory.filter(|directory| match prepare(directory) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "plugins are compiled anew in each process");
                false
            }
        });
        Self { directory, compiler, refused: Mutex::default() }
    }

    /// The compiled component, from the disk when it is there. One that was refused is not tried again for a while:
    /// each delivery would pay for it. What is part of the program is compiled without a child.
    pub(crate) async fn load(
        self: &Arc<Self>,
        engine: &Engine,
        proved: Proved,
        is_ours: bool,
    ) -> Result<Component, CompileError> {
        let name = file_name(engine, &proved.sha256);
        let (cache, engine) = (Arc::clone(self), engine.clone());
        let found = blocking({
            let (cache, engine, name) = (Arc::clone(&cache), engine.clone(), name.clone());
            move || cache.find(&engine, &name)
        });
        if let Some(component) = found.await?? {
            return Ok(component);
        }
        let compiled = match &self.compiler {
            Compiler::Child { program, arguments } if !is_ours => {
                let code = match &self.directory {
                    Some(directory) => NamedTempFile::new_in(directory),
                    None => NamedTempFile::new(),
                };
                let code = code.map_err(|error| CompileError::Failed(error.to_string()))?;
                by_child(program, arguments, &proved.bytes, code.path()).await.map(|()| Some(code))
            }
            _ => Ok(None),
        };
        let name_of_refused = name.clone();
        let made = match compiled {
            Ok(code) => blocking(move || cache.keep(&engine, &name, &proved.bytes, code)).await?,
            Err(error) => Err(error),
        };
        if let Err(CompileError::Refused(reason)) = &made {
            self.refuse(name_of_refused, reason);
        }
        made
    }

    /// The component that was compiled before, or why it was refused lately.
    fn find(&self, engine: &Engine, name: &str) -> Result<Option<Component>, CompileError> {
        if let Some((at, reason)) = self.refusals().get(name)
            && at.elapsed() < REFUSED_FOR
        {
            return Err(CompileError::Refused(reason.clone()));
        }
        let Some(directory) = &self.directory else { return Ok(None) };
        if let Some(component) = read(engine, &directory.join(name)) {
            return Ok(Some(component));
        }
        match read_refusal(&refusal_path(directory, name)) {
            Some(reason) => Err(CompileError::Refused(reason)),
            None => Ok(None),
        }
    }

    /// The component that a child has compiled, or that is compiled now; kept, where there is a directory.
    fn keep(
        &self,
        engine: &Engine,
        name: &str,
        bytes: &[u8],
        compiled: Option<NamedTempFile>,
    ) -> Result<Component, CompileError> {
        let path = self.directory.as_ref().map(|directory| directory.join(name));
        let (component, kept) = if let Some(code) = compiled {
            // It is mapped, and stays so when the file gets another name or none.
            let component = read(engine, code.path())
                .ok_or_else(|| CompileError::Failed("its code can't be loaded again".into()))?;
            (component, path.map(|path| put(code, &path)))
        } else {
            let component = Component::new(engine, bytes)
                .map_err(|error| CompileError::Refused(sandbox::one_line(&error)))?;
            let code = || component.serialize().map_err(io::Error::other);
            let kept = path.map(|path| write(&path, &code()?));
            (component, kept)
        };
        if let Some(Err(error)) = kept {
            tracing::warn!(name, %error, "a compiled plugin was not kept");
        }
        Ok(component)
    }

    fn refuse(&self, name: String, reason: &str) {
        if let Some(directory) = &self.directory
            && let Err(error) = write(&refusal_path(directory, &name), reason.as_bytes())
        {
            tracing::warn!(name, %error, "that a plugin can't be compiled is found out again by the next process");
        }
        self.refusals().insert(name, (Instant::now(), reason.to_owned()));
    }

    fn refusals(&self) -> MutexGuard<'_, HashMap<String, (Instant, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CompileError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CompileError::Failed(format!("compiling was broken off: {error}")))
}

fn refusal_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).with_extension("refused")
}

/// Why a component was refused, unless that is long ago.
fn read_refusal(path: &Path) -> Option<String> {
    let written = fs::metadata(path).ok()?.modified().ok()?;
    // A clock that was put back makes it new again.
    let is_new = written.elapsed().map_or(true, |age| age < REFUSED_FOR);
    let reason = read_regular(path, REASON_MOST).ok().filter(|_| is_new)?;
    Some(printable(&String::from_utf8_lossy(&reason), 500))
}

fn file_name(engine: &Engine, sha256: &str) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    format!("{sha256}-{:016x}.cwasm", compatibility.finish())
}

/// The component in the file, `None` when there is none that is whole and of this engine.
#[expect(unsafe_code, reason = "the directory is this user's alone, and only whole files have such a name")]
fn read(engine: &Engine, path: &Path) -> Option<Component> {
    if !path.is_file() {
        return None;
    }
    // SAFETY: the file is what `Component::serialize` gave: `write` alone makes files in this directory (`prepare`), as
    // a whole, and nothing changes them afterwards. wasmtime refuses what another version or configuration made.
    let component = unsafe { Component::deserialize_file(engine, path) };
    if let Err(error) = &component {
        tracing::warn!(path = %path.display(), %error, "a compiled plugin is damaged and is made anew");
    }
    component.ok()
}

/// Writes the file as a whole or not at all.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(content)?;
    put(file, path)
}

/// Gives a whole file its name. On the disk before that: after a power cut there may be no file, but no torn one.
fn put(whole: NamedTempFile, path: &Path) -> io::Result<()> {
    whole.as_file().sync_all()?;
    whole.persist(path)?;
    Ok(())
}

/// Makes sure that the directory is there and that only this user can write to it.
#[cfg(unix)]
fn prepare(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() {
        return Err(io::Error::other("it is no directory"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it"));
    }
    Ok(())
}

/// Who may write to a directory can't be told here, so nothing is kept.
#[cfg(not(unix))]
fn prepare(_directory: &Path) -> io::Result<()> {
    Err(io::Error::other("who can write to it can't be told on this system"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn component() -> Proved {
        let bytes = wat::parse_str("(component)").expect("a component");
        Proved { sha256: crate::source::sha256(&bytes), bytes: bytes.into() }
    }

    fn cache(directory: &Path) -> Arc<Cache> {
        Arc::new(Cache::new(Some(directory.to_owned()), Compiler::InProcess))
    }

    async fn load(cache: &Arc<Cache>) -> Result<Component, CompileError> {
        cache.load(&crate::sandbox::engine().expect("an engine"), component(), false).await
    }

    fn only_file(directory: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[tokio::test]
    async fn a_compiled_component_is_kept_and_read_again() {
        let engine = crate::sandbox::engine().expect("an engine");
        let directory = tempfile::tempdir().expect("a directory");
        load(&cache(&directory.path().join("plugins"))).await.expect("compiled");
        let path = only_file(&directory.path().join("plugins"));
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(read(&engine, &path).is_some());
    }

    #[tokio::test]
    async fn a_damaged_file_is_made_anew() {
        let engine = crate::sandbox::engine().expect("an engine");
        let directory = tempfile::tempdir().expect("a directory");
        let cache = cache(directory.path());
        load(&cache).await.expect("compiled");
        let path = only_file(directory.path());
        let whole = fs::read(&path).expect("a file");
        for damaged in [&whole[..whole.len() / 2], &whole[..10], b"", b"hello, this is no code"] {
            // Another file in its place, as a mapped one may not change.
            fs::remove_file(&path).expect("a file");
            fs::write(&path, damaged).expect("a file");
            assert!(read(&engine, &path).is_none());
            load(&cache).await.expect("compiled anew");
            assert_eq!(fs::read(&path).expect("a file"), whole);
        }
    }

    #[tokio::test]
    async fn a_directory_that_others_can_write_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = directory.path().join("open");
        fs::create_dir(&open).expect("a directory");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("its mode");
        let link = directory.path().join("link");
        symlink(directory.path(), &link).expect("a link");
        for refused in [open, link] {
            let cache = cache(&refused);
            assert!(cache.directory.is_none(), "{}", refused.display());
            load(&cache).await.expect("compiled in memory");
        }
    }

    #[tokio::test]
    async fn what_was_refused_is_not_tried_again_for_an_hour() {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = crate::sandbox::engine().expect("an engine");
        let name = file_name(&engine, &component().sha256);
        let refused = || Some(CompileError::Refused("it is enormous".into()));
        let first = cache(directory.path());
        first.refuse(name.clone(), "it is enormous");
        assert_eq!(load(&first).await.err(), refused());
        // Another process knows it from the directory.
        assert_eq!(load(&cache(directory.path())).await.err(), refused());
        let file = fs::File::options().write(true).open(refusal_path(directory.path(), &name)).expect("it");
        file.set_modified(std::time::SystemTime::now() - REFUSED_FOR).expect("its time");
        assert!(load(&cache(directory.path())).await.is_ok(), "tried again");
    }
}
