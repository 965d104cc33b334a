//! Whose a data directory is. Root does everything in it as that user, so that no link, swap or race of theirs leads root
//! anywhere they could not go themselves.
//!
//! A directory is in the hands of the first user, besides root, whom the way to it passes: they may rename what lies below,
//! and lay links. So root walks to it by handles, name by name: the way may lead through one user's hands, and then the
//! directory has to be theirs. Where it is root's from end to end, the folder `postgres` in it belongs to the server's
//! account, and what happens in that folder is done as this one. Anybody else uses a directory of their own, or of root's.

use crate::account::Account;
use crate::error::PostgresError;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, fstat, mkdirat, openat, statat,
};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folder of the embedded server in a data directory.
const FOLDER: &str = "postgres";

/// What an earlier release made in that folder as root, and kept for root.
const ONCE_OF_ROOT: [&str; 8] = [
    "start.lock",
    "users.lock",
    "server.log",
    "server.log.1",
    "pg_hba.conf",
    "pg_ident.conf",
    "run",
    "cluster",
];

/// A data directory, be it there or not.
#[derive(Debug)]
pub(crate) struct Place {
    /// Without links: every process must come to the same name for the same directory.
    path: PathBuf,
    /// For root: the user in whose hands it is; `None`: root's alone, or the caller is not root.
    user: Option<u32>,
    /// Of the directory itself, if it is there.
    metadata: Option<Metadata>,
}

impl Place {
    pub(crate) fn find(data_dir: &Path) -> Result<Self, PostgresError> {
        let absolute = std::path::absolute(data_dir).map_err(PostgresError::io("find", data_dir))?;
        let found = Self::look(&absolute)?;
        let reason = match found.path.to_str() {
            None => "its name is not UTF-8",
            Some(text) if text.chars().any(char::is_control) => "its name has a control character",
            Some(_) => return Ok(found),
        };
        Err(PostgresError::Path { path: found.path, reason })
    }

    fn look(absolute: &Path) -> Result<Self, PostgresError> {
        #[cfg(target_os = "linux")]
        if Account::is_root() {
            return walk::to(absolute);
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
            return Err(PostgresError::other_owner(&path, metadata.uid(), own));
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
            && let Some(directory) = barrier(&self.path, &account)
        {
            return Err(PostgresError::Unreachable { user: account.name, directory });
        }
        let folder = self.folder();
        if account.is_lent && self.user.is_none() {
            let given = self.give_folder(&account);
            given.map_err(|error| PostgresError::io("give away", &folder)(error.into()))?;
        } else {
            account.act(&|()| (), |_| make_dirs(&folder, 0o700))?;
        }
        let found = fs::symlink_metadata(&folder).map_err(PostgresError::io("open", &folder))?;
        if !found.is_dir() {
            return Err(PostgresError::io("open", folder)(io::ErrorKind::NotADirectory.into()));
        }
        if found.uid() != account.uid {
            return Err(PostgresError::other_owner(&folder, found.uid(), account.uid));
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
    fn give_folder(&self, account: &Account) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(CWD, &self.path, flags, Mode::empty())?;
        match mkdirat(&directory, FOLDER, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let folder = openat(&directory, FOLDER, flags, Mode::empty())?;
        let found = fstat(&folder)?;
        if found.st_uid != 0 {
            return Ok(());
        }
        // Where others could put something, it may not be what it was.
        if found.st_mode & 0o022 != 0 {
            return Err(Errno::PERM);
        }
        let (uid, gid) = (Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)));
        for name in ONCE_OF_ROOT {
            let Ok(found) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_single = FileType::from_raw_mode(found.st_mode).is_dir() || found.st_nlink == 1;
            if found.st_uid == 0 && is_single {
                chownat(&folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        fchown(&folder, uid, gid)
    }
}

/// Root's way to a directory.
#[cfg(target_os = "linux")]
mod walk {
    use super::Place;
    use crate::error::PostgresError;
    use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
    use rustix::io::Errno;
    use std::collections::VecDeque;
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    /// So many links are followed, as by the kernel.
    const LINKS_MAX: u32 = 40;

    pub(super) fn to(absolute: &Path) -> Result<Place, PostgresError> {
        let mut walk = Walk::begin(absolute)?;
        while let Some(name) = walk.ahead.pop_front() {
            if !walk.step(&name)? {
                walk.real.extend(walk.ahead);
                return Ok(Place { path: walk.real, user: walk.user, metadata: None });
            }
        }
        // Of a handle that can't be read from, too.
        let metadata = File::from(walk.dir).metadata().map_err(PostgresError::io("open", &walk.real))?;
        match walk.user {
            Some(user) if user != metadata.uid() => {
                Err(PostgresError::other_owner(&walk.real, metadata.uid(), user))
            }
            user => Ok(Place { path: walk.real, user, metadata: Some(metadata) }),
        }
    }

    struct Walk {
        dir: OwnedFd,
        real: PathBuf,
        ahead: VecDeque<OsString>,
        links: u32,
        /// Who owns `/` is root, or is called otherwise in a user namespace.
        root: u32,
        user: Option<u32>,
    }

    impl Walk {
        fn begin(path: &Path) -> Result<Self, PostgresError> {
            let (dir, found) = open_root()?;
            let ahead = path.iter().map(OsStr::to_owned).collect();
            Ok(Self { dir, real: "/".into(), ahead, links: 0, root: found.st_uid, user: None })
        }

        /// Goes on by one name; `false`: there is none.
        fn step(&mut self, name: &OsStr) -> Result<bool, PostgresError> {
            if name == "/" {
                (self.dir, _) = open_root()?;
                self.real = "/".into();
                return Ok(true);
            }
            let path = if name == ".." {
                self.real.parent().unwrap_or(&self.real).into()
            } else {
                self.real.join(name)
            };
            let failed = |error: Errno| PostgresError::io("open", &path)(error.into());
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let entry = match openat(&self.dir, name, flags, Mode::empty()) {
                Ok(entry) => entry,
                Err(Errno::NOENT) => {
                    self.check_open()?;
                    self.real = path;
                    return Ok(false);
                }
                Err(error) => return Err(failed(error)),
            };
            let found = fstat(&entry).map_err(failed)?;
            self.check_open()?;
            if found.st_uid != 0 && found.st_uid != self.root {
                match self.user {
                    Some(user) if user != found.st_uid => {
                        return Err(PostgresError::other_owner(&path, found.st_uid, user));
                    }
                    _ => self.user = Some(found.st_uid),
                }
            }
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    (self.dir, self.real) = (entry, path);
                    Ok(true)
                }
                FileType::Symlink if self.links < LINKS_MAX => {
                    self.links += 1;
                    let target = readlinkat(&entry, "", Vec::new()).map_err(failed)?;
                    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                    for name in target.iter().rev() {
                        self.ahead.push_front(name.to_owned());
                    }
                    Ok(true)
                }
                FileType::Symlink => Err(failed(Errno::LOOP)),
                _ => Err(failed(Errno::NOTDIR)),
            }
        }

        /// Where anybody may rename anything, the next name may be anybody's.
        fn check_open(&self) -> Result<(), PostgresError> {
            let found =
                fstat(&self.dir).map_err(|error| PostgresError::io("open", &self.real)(error.into()))?;
            let is_open = found.st_mode & 0o1002 == 0o0002;
            if is_open { Err(PostgresError::Open { directory: self.real.clone() }) } else { Ok(()) }
        }
    }

    fn open_root() -> Result<(OwnedFd, Stat), PostgresError> {
        let opened = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened = opened.and_then(|root| fstat(&root).map(|found| (root, found)));
        opened.map_err(|error| PostgresError::io("open", "/")(error.into()))
    }
}

/// The first directory on the way to `path` that `account` can't pass, going by the permission bits.
fn barrier(path: &Path, account: &Account) -> Option<PathBuf> {
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
        assert_eq!(barrier(&inner, &stranger), None);
        fs::set_permissions(place.path().join("a"), Permissions::from_mode(0o750)).expect("chmod");
        assert_eq!(barrier(&inner, &stranger), Some(place.path().join("a")));
    }
}
