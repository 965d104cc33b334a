//! The plugins that `uptime plugin add` has brought in: `<data dir>/plugins/installed/NAME/` with `component.wasm` and
//! `grant.toml`.
//!
//! The grant says which component is trusted (its SHA-256), where it may send requests and what it may use up. Both
//! files appear together or not at all: a new folder is written beside the others, put on the disk, and swapped in; one
//! process at a time does so. Whoever could write here could grant, so nothing is read from a folder that belongs to
//! somebody else or that others can write to. The names are known from the folder; the components are read when they
//! are first used.

use crate::error::NotifierError;
use crate::source::{self, Component, Origin, PluginSource};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use thiserror::Error;
use uptime_core::ErrorClass;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{LimitChanges, name_problem};

const COMPONENT: &str = "component.wasm";
const GRANT: &str = "grant.toml";

/// The largest grant that is read, in bytes.
const GRANT_MOST: u64 = 64 << 10;

/// What stands at the top of a grant.
const PREFACE: &str = "# Written by `uptime plugin add`; `uptime plugin trust` changes it.\n";

/// The added plugins of a data directory.
#[derive(Clone, Debug)]
pub struct Registry {
    folder: PathBuf,
}

/// What an operator has granted an added plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The component that is trusted.
    pub sha256: String,
    /// The file that it came from, without its folder: for people.
    pub source: String,
    pub granted_at: Timestamp,
    #[serde(default)]
    pub allow: Vec<HostGrant>,
    #[serde(default)]
    pub limits: LimitChanges,
}

#[derive(Clone, Debug)]
pub struct Installed {
    pub name: String,
    /// Its grant; without one it can't be used.
    pub grant: Option<Grant>,
    folder: PathBuf,
}

impl Installed {
    /// As the plugin host takes it.
    pub fn source(&self) -> PluginSource {
        let (allow, limits) = self.grant.clone().map(|grant| (grant.allow, grant.limits)).unwrap_or_default();
        PluginSource {
            name: self.name.clone(),
            origin: Origin::Installed,
            component: Component::Installed(self.folder.clone()),
            allow,
            limits,
        }
    }

    /// Its component as it is now, trusted or not.
    pub fn component(&self) -> Result<Vec<u8>, RegistryError> {
        read_component(&self.folder.join(COMPONENT))
    }
}

/// Reads a component from anywhere.
pub fn read_component(path: &Path) -> Result<Vec<u8>, RegistryError> {
    source::read(path).map_err(|error| RegistryError::Files { path: path.to_owned(), error })
}

/// Why the added plugins can't be seen or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Somebody else could grant.
    #[error("`{}` {reason}, so nothing in it is trusted", path.display())]
    Unsafe { path: PathBuf, reason: &'static str, hint: String },
    #[error("`{}`: {error}", path.display())]
    Files { path: PathBuf, error: io::Error },
}

impl RegistryError {
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Config
    }

    pub fn hint(&self) -> String {
        match self {
            Self::Unsafe { hint, .. } => hint.clone(),
            Self::Files { path, error } if error.kind() == io::ErrorKind::NotFound => {
                format!("look whether `{}` is its name", path.display())
            }
            Self::Files { path, .. } => {
                format!("look whether this user may read and write `{}`", path.display())
            }
        }
    }
}

impl Registry {
    /// The registry of a data directory. Nothing is made or read.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("plugins").join("installed") }
    }

    /// The plugins that are there, by name. One whose grant can't be read is among them: using it says why.
    pub fn installed(&self) -> Result<Vec<Installed>, RegistryError> {
        let files = |error| RegistryError::Files { path: self.folder.clone(), error };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(files(error)),
        };
        let mut installed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(files)?;
            // What has no plugin's name is being written, or was when the power went.
            if let Ok(name) = entry.file_name().into_string()
                && name_problem(&name).is_none()
            {
                let grant = grant(&entry.path()).ok();
                installed.push(Installed { name, grant, folder: entry.path() });
            }
        }
        installed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(installed)
    }

    /// The plugin `name`, if it is there.
    pub fn find(&self, name: &str) -> Result<Option<Installed>, RegistryError> {
        Ok(self.installed()?.into_iter().find(|installed| installed.name == name))
    }

    /// Puts a plugin there, in place of the one of its name.
    pub fn put(&self, name: &str, component: &[u8], grant: &Grant) -> Result<(), RegistryError> {
        debug_assert!(name_problem(name).is_none(), "because a name is a folder");
        self.change(name, |path| {
            let new = new_folder(&self.folder)?;
            write(new.path(), component, grant)?;
            // What lies at `new` then, the old one or what did not come about, goes with it.
            swap_in(new.path(), path)
        })
    }

    pub fn remove(&self, name: &str) -> Result<(), RegistryError> {
        self.change(name, |path| {
            let gone = new_folder(&self.folder)?;
            fs::rename(path, gone.path().join(name))
        })
    }

    /// Changes the folder of `name`, one process at a time.
    fn change(&self, name: &str, change: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), RegistryError> {
        let _lock = self.lock()?;
        let path = self.folder.join(name);
        let changed = change(&path).and_then(|()| sync(&self.folder));
        changed.map_err(|error| RegistryError::Files { path, error })
    }

    /// Waits until no other process changes something. Makes the folder when it is not there.
    fn lock(&self) -> Result<File, RegistryError> {
        let files = |error| RegistryError::Files { path: self.folder.clone(), error };
        is_own(&self.folder)?;
        make_private(&self.folder).map_err(files)?;
        is_private(&self.folder)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join(".lock"))
            .map_err(files)?;
        lock.lock().map_err(files)?;
        Ok(lock)
    }
}

/// A plugin's component and the SHA-256 that is trusted, from its folder.
pub(crate) fn read(notifier: &str, folder: &Path) -> Result<(Vec<u8>, String), NotifierError> {
    let unreadable = |reason, hint| NotifierError::Unreadable { notifier: notifier.to_owned(), reason, hint };
    let file =
        |path: &Path, error: io::Error, hint| unreadable(format!("`{}`: {error}", path.display()), hint);
    for folder in folder.parent().into_iter().chain([folder]) {
        is_private(folder).map_err(|error| unreadable(error.to_string(), error.hint()))?;
    }
    let trusted = grant(folder).map_err(|error| {
        let hint = format!("`uptime plugin trust {notifier}` writes it anew, with nothing granted");
        file(&folder.join(GRANT), error, hint)
    })?;
    let path = folder.join(COMPONENT);
    let component = source::read(&path)
        .map_err(|error| file(&path, error, "`uptime plugin add FILE` brings it in anew".into()))?;
    Ok((component, trusted.sha256))
}

fn grant(folder: &Path) -> io::Result<Grant> {
    let text = String::from_utf8(source::read_regular(&folder.join(GRANT), GRANT_MOST)?)
        .map_err(io::Error::other)?;
    toml::from_str(&text).map_err(|error| io::Error::other(error.message().to_owned()))
}

/// A new folder that is this user's alone. It goes with the answer, whatever lies there then.
fn new_folder(within: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    // No plugin has such a name.
    builder.prefix(".").tempdir_in(within)
}

/// Writes both files of a plugin into its folder, and onto the disk.
fn write(folder: &Path, component: &[u8], grant: &Grant) -> io::Result<()> {
    let grant = toml::to_string(grant).map_err(io::Error::other)?;
    for (name, content) in [(COMPONENT, component), (GRANT, (PREFACE.to_owned() + &grant).as_bytes())] {
        let mut file = File::create_new(folder.join(name))?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    sync(folder)
}

/// Gives the folder `new` the name `name`; a folder that has it is then called as `new` was.
#[cfg(target_os = "linux")]
fn swap_in(new: &Path, name: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, new, CWD, name, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::NOENT) => fs::rename(new, name),
        // A file system that can't: for a moment there is none of the name.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => swap_in_two_steps(new, name),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn swap_in(new: &Path, name: &Path) -> io::Result<()> {
    swap_in_two_steps(new, name)
}

fn swap_in_two_steps(new: &Path, name: &Path) -> io::Result<()> {
    let old = new.with_extension("old");
    match fs::rename(name, &old) {
        Ok(()) => {
            fs::rename(new, name)?;
            fs::rename(old, new)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(new, name),
        Err(error) => Err(error),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether a folder is this user's (or root's, who may do anything) and no other can write to it.
#[cfg(unix)]
fn is_private(folder: &Path) -> Result<(), RegistryError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(folder)
        .map_err(|error| RegistryError::Files { path: folder.to_owned(), error })?;
    let shown = folder.display();
    let (reason, hint) = if !metadata.is_dir() {
        ("is no directory", format!("look what it is: `ls -l {shown}`"))
    } else if metadata.uid() != 0 && metadata.uid() != rustix::process::geteuid().as_raw() {
        (
            "belongs to another user",
            format!("run this as that user: `sudo -u '#{}' uptime …`", metadata.uid()),
        )
    } else if metadata.mode() & 0o022 != 0 {
        ("can be written by others", format!("if you know what is in it: `chmod go-w {shown}`"))
    } else {
        return Ok(());
    };
    Err(RegistryError::Unsafe { path: folder.to_owned(), reason, hint })
}

/// Whether this user is the one for whom plugins are kept below `folder`. What root would make for a service's user
/// could not be read by it.
#[cfg(unix)]
fn is_own(folder: &Path) -> Result<(), RegistryError> {
    use std::os::unix::fs::MetadataExt;
    let Some((path, metadata)) =
        folder.ancestors().find_map(|path| Some((path, fs::symlink_metadata(path).ok()?)))
    else {
        return Ok(());
    };
    let (owner, we) = (metadata.uid(), rustix::process::geteuid());
    // Where root's folders begin, root makes the rest; where another's do, that other does.
    if owner == we.as_raw() || (owner == 0 && !we.is_root()) {
        return Ok(());
    }
    let hint = format!("run this as that user: `sudo -u '#{owner}' uptime plugin …`");
    Err(RegistryError::Unsafe { path: path.to_owned(), reason: "belongs to another user", hint })
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Who can write to a folder can't be told here: it is the user's own, in their profile.
#[cfg(not(unix))]
fn is_private(_folder: &Path) -> Result<(), RegistryError> {
    Ok(())
}

#[cfg(not(unix))]
fn is_own(_folder: &Path) -> Result<(), RegistryError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn granted(component: &[u8], requests: u64) -> Grant {
        let limits = serde_json::json!({ "requests": requests, "memory": "64 MiB" });
        Grant {
            sha256: source::sha256(component),
            source: "hello.wasm".into(),
            granted_at: "2026-04-14T02:18:17Z".parse().expect("an instant"),
            allow: vec!["https://hooks.example".parse().expect("a grant")],
            limits: serde_json::from_value(limits).expect("limits"),
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_plugin_is_there_as_it_was_put_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::of(folder.path());
        assert!(registry.installed().expect("nothing").is_empty());
        for (component, requests) in [(b"one".as_slice(), 1), (b"two", 2)] {
            registry.put("hello", component, &granted(component, requests)).expect("put");
            let found = registry.find("hello").expect("a registry").expect("it is there");
            assert_eq!(found.grant, Some(granted(component, requests)));
            let proved = found.source().component.load("hello").expect("it is trusted");
            assert_eq!(&*proved.bytes, component);
        }
        assert_eq!(names(&registry.folder), [".lock", "hello"], "nothing is left over");
        registry.remove("hello").expect("removed");
        assert_eq!(names(&registry.folder), [".lock"]);
    }

    #[test]
    fn the_second_way_to_replace_a_folder_leaves_the_old_one_as_well() {
        let folder = tempfile::tempdir().expect("a folder");
        let [new, name] = [".new", "hello"].map(|name| folder.path().join(name));
        for content in ["one", "two"] {
            let _ = fs::remove_dir_all(&new);
            fs::create_dir(&new).expect("a folder");
            fs::write(new.join("x"), content).expect("a file");
            swap_in_two_steps(&new, &name).expect("swapped");
            assert_eq!(fs::read_to_string(name.join("x")).expect("a file"), content);
        }
        assert_eq!(fs::read_to_string(new.join("x")).expect("the old one"), "one");
    }

    #[test]
    fn a_plugin_that_is_written_at_the_same_time_by_many_is_always_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::of(folder.path());
        let component = |writer: u8, turn: u8| vec![writer; 1_000 + usize::from(turn)];
        registry.put("hello", &component(9, 0), &granted(&component(9, 0), 9)).expect("put");
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let registry = registry.clone();
                    scope.spawn(move || {
                        for turn in 0..10 {
                            let component = component(writer, turn);
                            registry.put("hello", &component, &granted(&component, 1)).expect("put");
                        }
                    })
                })
                .collect();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                // Twice in a row it can be swapped away; not so often.
                let found = (0..20).find_map(|_| {
                    let found = registry.find("hello").expect("a registry").expect("it is there");
                    found.source().component.load("hello").ok()
                });
                assert!(found.is_some());
            }
        });
        assert_eq!(names(&registry.folder), [".lock", "hello"]);
    }

    #[test]
    fn of_many_who_bring_in_the_first_of_a_name_each_has_its_turn() {
        const WRITERS: u8 = 4;
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::of(folder.path());
        let together = std::sync::Barrier::new(usize::from(WRITERS));
        let failed: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (registry, together) = (&registry, &together);
                    scope.spawn(move || {
                        let component = [writer; 1_000];
                        let grant = granted(&component, 1);
                        let put = |turn: u8| {
                            together.wait();
                            registry.put(&format!("hello-{turn}"), &component, &grant).err()
                        };
                        (0..20).filter_map(put).map(|error| error.to_string()).collect::<Vec<_>>()
                    })
                })
                .collect();
            writers.into_iter().flat_map(|writer| writer.join().expect("it ends")).collect()
        });
        assert!(failed.is_empty(), "{failed:?}");
        for found in registry.installed().expect("a registry") {
            found.source().component.load(&found.name).expect("it is whole");
        }
    }

    #[test]
    fn nothing_is_read_where_others_can_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = Registry::of(folder.path());
        registry.put("hello", b"one", &granted(b"one", 1)).expect("put");
        let load = || {
            let found = registry.find("hello").expect("a registry").expect("it is there");
            found.source().component.load("hello").map(|_| ()).map_err(|error| error.to_string())
        };
        for path in [registry.folder.clone(), registry.folder.join("hello")] {
            let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            mode(0o777);
            let refused = load().expect_err("refused");
            assert!(refused.contains("can be written by others"), "{refused}");
            mode(0o700);
            assert_eq!(load(), Ok(()));
        }
    }
}
