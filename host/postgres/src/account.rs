//! The operating system's user that the server runs as, and that everything beside it is done as.
//!
//! Whoever calls, unless that is root: PostgreSQL refuses to run as root, so then it is the owner of the data directory
//! or, where that is root's, of what is there already, or `postgres`.

use crate::error::PostgresError;
use nix::unistd::{Uid, User};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// Who may stand in for root, the best first: packages make one of the first three.
const STAND_INS: [&str; 4] = ["postgres", "_postgres", "uptime", "nobody"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) name: String,
    /// Whether root acts as this user.
    pub(crate) is_lent: bool,
}

impl Account {
    pub(crate) fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    pub(crate) fn own() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { uid, gid, name: name_of(uid), is_lent: false }
    }

    /// The user `uid`, who owns `path`, for root.
    pub(crate) fn of(uid: u32, path: &Path) -> Result<Self, PostgresError> {
        user(uid).map(Self::lent).ok_or_else(|| PostgresError::UnknownOwner { path: path.to_owned(), uid })
    }

    /// The user who runs the server of root's own data directory.
    pub(crate) fn stand_in() -> Result<Self, PostgresError> {
        STAND_INS.iter().find_map(|name| named(name)).ok_or(PostgresError::NoAccount)
    }

    fn lent(user: User) -> Self {
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name, is_lent: true }
    }

    /// A command that runs as this account, in `/`, with nothing of our environment: secrets are there, and the
    /// server stays when we are gone.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.is_lent {
            // Before it changes its user, the standard library clears the groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Does `work` as this account; what it says meanwhile is told to `on_progress` by this thread.
    ///
    /// As root that is on a thread of its own, which the kernel lets touch only the files that the account may touch.
    /// Signals are still root's, and a child has to change its user by itself ([`command`](Self::command)).
    pub(crate) fn act<P: Send, T: Send>(
        &self,
        on_progress: &dyn Fn(P),
        work: impl FnOnce(&dyn Fn(P)) -> Result<T, PostgresError> + Send,
    ) -> Result<T, PostgresError> {
        if !self.is_lent {
            return work(on_progress);
        }
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let working = scope.spawn(move || {
                self.assume()?;
                work(&|progress| {
                    // Nobody listens any more when the caller panics.
                    let _ = tell.send(progress);
                })
            });
            told.iter().for_each(on_progress);
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// From here on this thread opens, makes and removes files as this account, without the rights of root.
    #[cfg(target_os = "linux")]
    fn assume(&self) -> Result<(), PostgresError> {
        use nix::unistd::{Gid, getgroups, setfsgid, setfsuid, setgroups};
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let refused = |source: std::io::Error| PostgresError::ActAs { user: self.name.clone(), source };
        // Root's groups are the whole process's, and root needs none.
        if getgroups().map_or(true, |groups| !groups.is_empty()) {
            setgroups(&[]).map_err(|error| refused(error.into()))?;
        }
        // Both answer with what held before, whether they succeed or not.
        setfsgid(gid);
        setfsuid(uid);
        if (setfsgid(gid), setfsuid(uid)) == (gid, uid) {
            Ok(())
        } else {
            Err(refused(std::io::ErrorKind::PermissionDenied.into()))
        }
    }

    /// Elsewhere a thread can't be another user than its process.
    #[cfg(not(target_os = "linux"))]
    fn assume(&self) -> Result<(), PostgresError> {
        let source = std::io::ErrorKind::Unsupported.into();
        Err(PostgresError::ActAs { user: self.name.clone(), source })
    }
}

fn named(name: &str) -> Option<Account> {
    User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root()).map(Account::lent)
}

fn user(uid: u32) -> Option<User> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten()
}

/// The error of a path that belongs to `owner`, and would have to be `wanted`'s.
pub(crate) fn other_owner(path: &Path, owner: u32, wanted: u32) -> PostgresError {
    PostgresError::OtherOwner { path: path.to_owned(), owner: name_of(owner), user: name_of(wanted) }
}

/// Their name; the number where they have none.
fn name_of(uid: u32) -> String {
    user(uid).map_or_else(|| uid.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_never_a_stand_in() {
        assert_eq!(named("root"), None);
        assert_eq!((name_of(0).as_str(), name_of(3_999_999_999).as_str()), ("root", "3999999999"));
    }
}
