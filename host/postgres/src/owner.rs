//! Whose a data directory is. Root does everything in it as that user, so that no link, swap or race of theirs leads root
//! anywhere they could not go themselves.
//!
//! A directory is in the hands of the first user, besides root, whom the way to it passes: they may rename what lies below,
//! and lay links. So root walks to it name by name: the way may lead through one user's hands, and then the directory has to
//! be theirs. Where it is root's from end to end, the folder `postgres` in it belongs to the server's
//! account, and what happens in that folder is done as this one. Anybody else uses a directory of their own, or of root's.

use crate::account::{Account, other_owner};
use crate::error::PostgresError;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// The folder of the embedded server in a data directory.
const FOLDER: &str = "postgres";

/// So many links are followed, as by the kernel.
const LINKS_MAX: u32 = 40;

/// A data directory, be it there or not.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    /// Without links: every process must come to the same name for the same directory.
    path: PathBuf,
    /// For root: the user in whose hands it is; `None`: root's alone, or the caller is not root.
    user: Option<u32>,
    /// Of the directory itself, if it is there.
    metadata: Option<Metadata>,
}

impl DataDirectory {
    pub(crate) fn find(data_dir: &Path) -> Result<Self, PostgresError> {
        let absolute = std::path::absolute(data_dir).map_err(PostgresError::io("find", data_dir))?;
        let found = Self::resolve(&absolute)?;
        let reason = match found.path.to_str() {
            None => "its name is not UTF-8",
            Some(text) if text.chars().any(char::is_control) => "its name has a control character",
            Some(_) => return Ok(found),
        };
        Err(PostgresError::Path { path: found.path, reason })
    }

    fn resolve(absolute: &Path) -> Result<Self, PostgresError> {
        if Account::is_root() {
            return walk(absolute);
        }
        let path = match fs::canonicalize(absolute) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path: absolute.to_owned(), user: None, metadata: None });
            }
            Err(error) => return Err(PostgresError::io("open", absolute)(error)),
        };
        let owner = |path: &Path| fs::metadata(path).map_err(PostgresError::io("open", path));
        let (metadata, own) = (owner(&path)?, rustix::process::geteuid().as_raw());
        // In a user namespace root has another number: whoever owns `/` is root.
        if ![own, 0, owner(Path::new("/"))?.uid()].contains(&metadata.uid()) {
            return Err(other_owner(&path, metadata.uid(), own));
        }
        Ok(Self { path, user: None, metadata: Some(metadata) })
    }

    /// Makes it, as whoever it is to belong to.
    pub(crate) fn create(data_dir: &Path) -> Result<Self, PostgresError> {
        let place = Self::find(data_dir)?;
        if place.metadata.is_some() {
            return Ok(place);
        }
        if let Some(user) = place.user {
            let account = Account::of(user, &place.path)?;
            account.act(&|()| (), |_| make_dirs(&place.path, 0o700))?;
        } else {
            // Root's directory must let the server's account pass; a user's own is nobody else's business.
            make_dirs(&place.path, if Account::is_root() { 0o711 } else { 0o700 })?;
        }
        Self::find(data_dir)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.path.join(FOLDER)
    }

    pub(crate) fn has_folder(&self) -> bool {
        fs::symlink_metadata(self.folder()).is_ok()
    }

    /// Whether it is there, and nobody but this user and root can put anything into it.
    pub(crate) fn is_closed(&self) -> bool {
        self.user.is_none() && self.metadata.as_ref().is_some_and(|found| found.mode() & 0o022 == 0)
    }

    /// Makes the server's folder where it is not there, and gives the account that acts in it.
    pub(crate) fn enter(&self) -> Result<Account, PostgresError> {
        let account = self.account()?;
        if account.is_lent
            && let Some(directory) = blocking_dir(&self.path, &account)
        {
            return Err(PostgresError::Unreachable { user: account.name, directory });
        }
        let folder = self.folder();
        if account.is_lent && self.user.is_none() {
            let given = self.give_folder(&account);
            given.map_err(PostgresError::io("give away", &folder))?;
        } else {
            account.act(&|()| (), |_| make_dirs(&folder, 0o700))?;
        }
        let found = fs::symlink_metadata(&folder).map_err(PostgresError::io("open", &folder))?;
        if !found.is_dir() {
            return Err(PostgresError::io("open", folder)(io::ErrorKind::NotADirectory.into()));
        }
        if found.uid() != account.uid {
            return Err(other_owner(&folder, found.uid(), account.uid));
        }
        Ok(account)
    }

    fn account(&self) -> Result<Account, PostgresError> {
        if !Account::is_root() {
            return Ok(Account::own());
        }
        if let Some(user) = self.user {
            return Account::of(user, &self.path);
        }
        let folder = self.folder();
        let owner = [folder.clone(), folder.join("cluster")].iter().find_map(|path| {
            let found = fs::symlink_metadata(path).ok()?;
            (found.is_dir() && found.uid() != 0).then_some(found.uid())
        });
        owner.map_or_else(Account::stand_in, |owner| Account::of(owner, &folder))
    }

    /// Makes the folder in root's directory and gives it to the server's account, or one that is still root's.
    fn give_folder(&self, account: &Account) -> io::Result<()> {
        let path = self.folder();
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let flags = i32::try_from(flags.bits()).expect("because they are low bits");
        let folder = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let found = folder.metadata()?;
        if found.uid() != 0 {
            return Ok(());
        }
        // Where others could put something, it may not be what it was.
        if found.mode() & 0o022 != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        fchown(&folder, Some(account.uid), Some(account.gid))
    }
}

/// Root's way to a directory, name by name. Once it passes the hands of a user, what they change meanwhile leads nowhere
/// but to where they could go themselves, for all that follows is done as that user.
fn walk(absolute: &Path) -> Result<DataDirectory, PostgresError> {
    let resolve = |path: &Path| fs::symlink_metadata(path);
    // Who owns `/` is root, or is called otherwise in a user namespace.
    let mut metadata = resolve(Path::new("/")).map_err(PostgresError::io("open", "/"))?;
    let root = metadata.uid();
    let mut ahead: VecDeque<OsString> = absolute.iter().map(OsStr::to_owned).collect();
    let (mut path, mut user, mut links) = (PathBuf::from("/"), None, 0);
    while let Some(name) = ahead.pop_front() {
        // Where anybody may rename anything, the next name may be anybody's.
        if metadata.mode() & 0o1002 == 0o0002 {
            return Err(PostgresError::Open { directory: path });
        }
        let next = if name == ".." { path.parent().unwrap_or(&path).to_owned() } else { path.join(&name) };
        let found = match resolve(&next) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path = next;
                path.extend(ahead);
                return Ok(DataDirectory { path, user, metadata: None });
            }
            Err(error) => return Err(PostgresError::io("open", next)(error)),
        };
        if ![0, root].contains(&found.uid()) {
            match user {
                Some(user) if user != found.uid() => return Err(other_owner(&next, found.uid(), user)),
                _ => user = Some(found.uid()),
            }
        }
        if found.is_symlink() {
            links += 1;
            if links > LINKS_MAX {
                return Err(PostgresError::io("open", next)(Errno::LOOP.into()));
            }
            let target = fs::read_link(&next).map_err(PostgresError::io("open", &next))?;
            target.iter().rev().for_each(|name| ahead.push_front(name.to_owned()));
        } else if found.is_dir() {
            (path, metadata) = (next, found);
        } else {
            return Err(PostgresError::io("open", next)(io::ErrorKind::NotADirectory.into()));
        }
    }
    match user {
        Some(user) if user != metadata.uid() => Err(other_owner(&path, metadata.uid(), user)),
        user => Ok(DataDirectory { path, user, metadata: Some(metadata) }),
    }
}

/// The first directory on the way to `path` that `account` can't pass, going by the permission bits.
fn blocking_dir(path: &Path, account: &Account) -> Option<PathBuf> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    let closed = |dir: &&&Path| {
        fs::metadata(dir).is_ok_and(|found| {
            let bit = match (found.uid() == account.uid, found.gid() == account.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            found.mode() & bit == 0
        })
    };
    way.iter().find(closed).map(|dir| dir.to_path_buf())
}

/// Makes `path` and what is missing on the way to it, each with `mode` whatever the umask is.
fn make_dirs(path: &Path, mode: u32) -> Result<(), PostgresError> {
    let path = std::path::absolute(path).map_err(PostgresError::io("find", path))?;
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(dir) {
            Ok(()) => fs::set_permissions(dir, Permissions::from_mode(mode)),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(PostgresError::io("create", dir))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_closed_directory_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let inner = place.path().join("a/b");
        fs::create_dir_all(&inner).expect("directories");
        let stranger = Account { uid: 64_999, gid: 64_999, name: "stranger".into(), is_lent: true };
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("chmod");
        fs::set_permissions(place.path().join("a"), Permissions::from_mode(0o755)).expect("chmod");
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).expect("chmod");
        assert_eq!(blocking_dir(&inner, &stranger), None);
        fs::set_permissions(place.path().join("a"), Permissions::from_mode(0o750)).expect("chmod");
        assert_eq!(blocking_dir(&inner, &stranger), Some(place.path().join("a")));
    }
}
