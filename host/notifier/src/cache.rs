//! Compiled components on disk, so that a process starts in microseconds instead of compiling for a tenth of a second.
//!
//! What lies there is native code that will run unchecked. So it is only read from a directory that belongs to this
//! user and that nobody else can write; each file is named by what it was made from (the component's SHA-256, the
//! engine's compatibility) and gets that name only when it is whole and on the disk. Then it is mapped, not read: 0.1 ms.
//! Where one of that can't be had, the component is compiled in memory and all goes on as well, only slower.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Where compiled components are kept, if anywhere.
pub(crate) struct Cache {
    directory: Option<PathBuf>,
}

impl Cache {
    /// A cache in `directory`, which is made when it is not there; without one, or when others could write to it, in
    /// memory only.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        let directory = directory.filter(|directory| match prepare(directory) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "plugins are compiled anew in each process");
                false
            }
        });
        Self { directory }
    }

    /// The component made of `bytes`, from the disk when it is there.
    pub(crate) fn load(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let Some(directory) = &self.directory else { return Component::new(engine, bytes) };
        let path = directory.join(file_name(engine, bytes));
        if let Some(component) = read(engine, &path) {
            return Ok(component);
        }
        let component = Component::new(engine, bytes)?;
        if let Err(error) = write(&path, &component.serialize()?) {
            tracing::warn!(path = %path.display(), %error, "a compiled plugin was not kept");
        }
        Ok(component)
    }
}

fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    let mut name = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    // The same, and the file's name ends in the engine's part.
    let _ = write!(name, "-{:016x}.cwasm", compatibility.finish());
    name
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
fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = private_file(&temporary)?;
        file.write_all(code)?;
        // Before the name: after a power cut there may be no file, but no torn one.
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // It is in nobody's way.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
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

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
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

    fn component() -> Vec<u8> {
        wat::parse_str("(component)").expect("a component")
    }

    fn only_file(directory: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn a_compiled_component_is_kept_and_read_again() {
        let engine = crate::sandbox::engine().expect("an engine");
        let directory = tempfile::tempdir().expect("a directory");
        let cache = Cache::new(Some(directory.path().join("plugins")));
        cache.load(&engine, &component()).expect("compiled");
        let path = only_file(&directory.path().join("plugins"));
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(read(&engine, &path).is_some());
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let engine = crate::sandbox::engine().expect("an engine");
        let directory = tempfile::tempdir().expect("a directory");
        let cache = Cache::new(Some(directory.path().to_owned()));
        cache.load(&engine, &component()).expect("compiled");
        let path = only_file(directory.path());
        let whole = fs::read(&path).expect("a file");
        for damaged in [&whole[..whole.len() / 2], &whole[..10], b"", b"hello, this is no code"] {
            // Another file in its place, as a mapped one may not change.
            fs::remove_file(&path).expect("a file");
            fs::write(&path, damaged).expect("a file");
            assert!(read(&engine, &path).is_none());
            cache.load(&engine, &component()).expect("compiled anew");
            assert_eq!(fs::read(&path).expect("a file"), whole);
        }
    }

    #[test]
    fn a_directory_that_others_can_write_is_not_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = directory.path().join("open");
        fs::create_dir(&open).expect("a directory");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("its mode");
        let link = directory.path().join("link");
        symlink(directory.path(), &link).expect("a link");
        for refused in [open, link] {
            let cache = Cache::new(Some(refused.clone()));
            assert!(cache.directory.is_none(), "{}", refused.display());
            cache
                .load(&crate::sandbox::engine().expect("an engine"), &component())
                .expect("compiled in memory");
        }
    }
}
