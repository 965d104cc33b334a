//! Where everything is, and who owns it.
//!
//! In the data directory's `postgres` folder: `cluster` (PostgreSQL's own), `run` (the socket), the two locks, the
//! server's log and its access files. The folder is the caller's; only `cluster` and `run` belong to the server's
//! account, so that root never writes where another user could lay a link for it. (When root visits a data
//! directory of a user, what it makes is given to that user, and no link is followed.)

use crate::account::Account;
use crate::error::PostgresError;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// The socket's file name; the number is PostgreSQL's port, which names the file even without TCP.
const SOCKET_FILE: &str = "/.s.PGSQL.5432";

/// The longest socket path that every kernel takes (macOS: 104 bytes with the final zero).
const SOCKET_PATH_MAX: usize = 103;

/// The paths of one data directory, absolute and without links.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    base: PathBuf,
}

impl Layout {
    /// The paths, with nothing made.
    pub(crate) fn of(data_dir: &Path) -> Result<Self, PostgresError> {
        let absolute = std::path::absolute(data_dir).map_err(PostgresError::io("find", data_dir))?;
        // Every process must come to the same name for the same directory.
        let real = match fs::canonicalize(&absolute) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => absolute,
            Err(error) => return Err(PostgresError::io("open", absolute)(error)),
        };
        let text = real
            .to_str()
            .ok_or_else(|| PostgresError::Path { path: real.clone(), reason: "its name is not UTF-8" })?;
        if text.chars().any(char::is_control) {
            return Err(PostgresError::Path { path: real, reason: "its name has a control character" });
        }
        Ok(Self { base: real.join("postgres") })
    }

    /// Makes the directories that the caller owns.
    pub(crate) fn create(data_dir: &Path) -> Result<Self, PostgresError> {
        // A name that won't do is refused before anything is made; the real one is known only afterwards.
        Self::of(data_dir)?;
        // Root's directory must let the server's account pass; a user's own is nobody else's business.
        let mode = if Account::is_root() { 0o711 } else { 0o700 };
        make_dirs(data_dir, mode)?;
        let layout = Self::of(data_dir)?;
        make_dirs(&layout.base, mode)?;
        Ok(layout)
    }

    /// Whether a process ever made something here.
    pub(crate) fn exists(&self) -> bool {
        self.base.join("start.lock").exists()
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.base.clone()
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.base.join("cluster")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.base.join("server.log")
    }

    pub(crate) fn hba_file(&self) -> PathBuf {
        self.base.join("pg_hba.conf")
    }

    pub(crate) fn ident_file(&self) -> PathBuf {
        self.base.join("pg_ident.conf")
    }

    pub(crate) fn open_lock(&self, name: &str) -> Result<File, PostgresError> {
        self.open(name, OpenOptions::new().read(true).write(true))
    }

    pub(crate) fn open_log(&self) -> Result<File, PostgresError> {
        self.open("server.log", OpenOptions::new().append(true))
    }

    /// Writes a file that the server's account has to read, all of it or nothing.
    pub(crate) fn write_for_server(path: &Path, content: &str) -> Result<(), PostgresError> {
        let temporary = path.with_extension("new");
        let write = || {
            let _ = fs::remove_file(&temporary);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
            // The umask may have taken the account's right to read.
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.write_all(content.as_bytes())?;
            fs::rename(&temporary, path)
        };
        write().map_err(PostgresError::io("write", path))
    }

    /// Makes a directory for the server's account alone. One that is there must already be so.
    pub(crate) fn make_private(path: &Path, account: &Account) -> Result<(), PostgresError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) if Account::is_root() => lchown(path, Some(account.uid), Some(account.gid))
                .map_err(PostgresError::io("give away", path)),
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_private(path, account.uid),
            Err(error) => Err(PostgresError::io("create", path)(error)),
        }
    }

    /// The directory for the socket, made or checked. `prefer` is the one that clients already know.
    pub(crate) fn socket_dir(
        &self,
        account: &Account,
        prefer: Option<&Path>,
    ) -> Result<PathBuf, PostgresError> {
        if let Some(prefer) = prefer {
            Self::make_private(prefer, account)?;
            return Ok(prefer.to_owned());
        }
        let own = self.base.join("run");
        if fits(&own) {
            Self::make_private(&own, account)?;
            return Ok(own);
        }
        let name = format!("uptime-{:016x}", fnv(self.base.as_os_str().as_encoded_bytes()));
        let mut candidates = vec![PathBuf::from("/tmp")];
        if !Account::is_root() {
            candidates.insert(0, std::env::temp_dir());
            // The session's own directory, unless it is another's (`su` keeps the variable).
            let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            candidates.splice(0..0, session.filter(|dir| check_private(dir, account.uid).is_ok()));
        }
        let mut short = candidates.into_iter().map(|dir| dir.join(&name));
        let short =
            short.find(|dir| dir.is_absolute() && fits(dir)).ok_or(PostgresError::SocketDirectory {
                directory: own,
                reason: "its path is too long for a socket",
            })?;
        Self::make_private(&short, account)?;
        Ok(short)
    }

    /// Opens a file of the caller's, made for the folder's owner alone.
    fn open(&self, name: &str, options: &mut OpenOptions) -> Result<File, PostgresError> {
        let path = self.base.join(name);
        let no_follow =
            i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("because it is one low bit");
        let mut open = || {
            let file = options.create(true).mode(0o600).custom_flags(no_follow).open(&path)?;
            if Account::is_root() {
                let owner = fs::symlink_metadata(&self.base)?;
                if file.metadata()?.uid() != owner.uid() {
                    fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
                }
            }
            Ok(file)
        };
        open().map_err(PostgresError::io("open", &path))
    }
}

/// Fails unless `path` is a directory (no link) of `uid` that nobody else may enter.
pub(crate) fn check_private(path: &Path, uid: u32) -> Result<(), PostgresError> {
    let found = fs::symlink_metadata(path).map_err(PostgresError::io("open", path))?;
    let reason = if !found.is_dir() {
        "it is no directory"
    } else if found.uid() != uid {
        "it belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "others may enter it"
    } else {
        return Ok(());
    };
    Err(PostgresError::SocketDirectory { directory: path.to_owned(), reason })
}

/// The first directory on the way to `path` that `account` can't pass, going by the permission bits.
pub(crate) fn barrier(path: &Path, account: &Account) -> Option<PathBuf> {
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

fn fits(dir: &Path) -> bool {
    dir.as_os_str().len() + SOCKET_FILE.len() <= SOCKET_PATH_MAX
}

/// FNV-1a: the same name for the same directory in every version of this program.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_fits_up_to_103_bytes() {
        let dir = |length: usize| PathBuf::from(format!("/{}", "a".repeat(length - 1)));
        assert!(fits(&dir(103 - SOCKET_FILE.len())));
        assert!(!fits(&dir(104 - SOCKET_FILE.len())));
    }

    #[test]
    fn only_a_private_directory_of_ones_own_is_trusted() {
        let place = tempfile::tempdir().expect("a directory");
        let uid = fs::metadata(place.path()).expect("it is there").uid();
        let dir = place.path().join("run");
        DirBuilder::new().mode(0o700).create(&dir).expect("a directory");
        check_private(&dir, uid).expect("private");
        check_private(&dir, uid + 1).expect_err("another's");
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&dir, &link).expect("a link");
        check_private(&link, uid).expect_err("a link");
        fs::set_permissions(&dir, Permissions::from_mode(0o710)).expect("chmod");
        check_private(&dir, uid).expect_err("open to a group");
    }

    #[test]
    fn the_first_closed_directory_is_named() {
        let place = tempfile::tempdir().expect("a directory");
        let inner = place.path().join("a/b");
        fs::create_dir_all(&inner).expect("directories");
        let stranger = Account { uid: 64_999, gid: 64_999, name: "stranger".into() };
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("chmod");
        fs::set_permissions(place.path().join("a"), Permissions::from_mode(0o755)).expect("chmod");
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).expect("chmod");
        assert_eq!(barrier(&inner, &stranger), None);
        fs::set_permissions(place.path().join("a"), Permissions::from_mode(0o750)).expect("chmod");
        assert_eq!(barrier(&inner, &stranger), Some(place.path().join("a")));
    }
}
