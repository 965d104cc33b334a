//! Where everything is.
//!
//! In the data directory's `postgres` folder: `cluster` (PostgreSQL's own), `run` (the socket), the two locks, the
//! server's log and its access files. All of it belongs to the server's account, and is touched as that account alone
//! ([`Account::act`]): when root visits the data directory of a user, what they have laid there leads root nowhere.

use crate::account::Account;
use crate::error::PostgresError;
use crate::owner::DataDirectory;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longer than any pid file.
const SHORT_MAX: u64 = 64 << 10;

/// The socket's file name; the number is PostgreSQL's port, which names the file even without TCP.
const SOCKET_FILE: &str = "/.s.PGSQL.5432";

/// The longest socket path that every kernel takes (macOS: 104 bytes with the final zero).
const SOCKET_PATH_MAX: usize = 103;

/// The paths of one data directory, absolute and without links, and who acts there.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) base: PathBuf,
    pub(crate) account: Account,
}

impl Layout {
    /// What there is, with nothing made; `None`: nothing.
    pub(crate) fn of(data_dir: &Path) -> Result<Option<Self>, PostgresError> {
        let place = DataDirectory::find(data_dir)?;
        if place.has_folder() { Self::enter(&place).map(Some) } else { Ok(None) }
    }

    pub(crate) fn create(data_dir: &Path) -> Result<Self, PostgresError> {
        Self::enter(&DataDirectory::create(data_dir)?)
    }

    #[cfg(test)]
    pub(crate) fn for_test(base: &str, account: Account) -> Self {
        Self { base: base.into(), account }
    }

    fn enter(place: &DataDirectory) -> Result<Self, PostgresError> {
        Ok(Self { account: place.enter()?, base: place.folder() })
    }

    /// Whether a process ever made something here.
    pub(crate) fn exists(&self) -> bool {
        self.base.join("start.lock").exists()
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
    pub(crate) fn make_private(path: &Path, uid: u32) -> Result<(), PostgresError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_private(path, uid),
            Err(error) => Err(PostgresError::io("create", path)(error)),
        }
    }

    /// The directory for the socket, made or checked. `prefer` is the one that clients already know.
    pub(crate) fn socket_dir(&self, prefer: Option<&Path>) -> Result<PathBuf, PostgresError> {
        let account = &self.account;
        if let Some(prefer) = prefer {
            Self::make_private(prefer, account.uid)?;
            return Ok(prefer.to_owned());
        }
        let own = self.base.join("run");
        if fits(&own) {
            Self::make_private(&own, account.uid)?;
            return Ok(own);
        }
        let name = format!("uptime-{:016x}", fnv(self.base.as_os_str().as_encoded_bytes()));
        let mut candidates = vec![PathBuf::from("/tmp")];
        if !account.is_lent {
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
        Self::make_private(&short, account.uid)?;
        Ok(short)
    }

    /// Opens a file, made for the folder's owner alone.
    fn open(&self, name: &str, options: &mut OpenOptions) -> Result<File, PostgresError> {
        let path = self.base.join(name);
        let opened = options.create(true).mode(0o600).custom_flags(no_follow()).open(&path).and_then(regular);
        opened.map_err(PostgresError::io("open", &path))
    }
}

/// No link is followed, and nobody waits for the other end of a pipe.
pub(crate) fn no_follow() -> i32 {
    use rustix::fs::OFlags;
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).expect("because they are low bits")
}

pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(no_follow()).open(path).and_then(regular)
}

/// The text of a short file.
pub(crate) fn read_short(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_to_read(path)?.take(SHORT_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
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
}
