//! The operating system's user that the server runs as, and that everything beside it is done as.
//!
//! Whoever calls, unless that is root: PostgreSQL refuses to run as root, so then it is the owner of the data directory
//! or, where that is root's, of what is there already, or `postgres`. Names come from `/etc/passwd` and, for users kept
//! elsewhere, from `id`.

use crate::error::PostgresError;
use std::fs;
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
        let known = passwd().into_iter().find(|account| account.uid == uid).or_else(|| named(&name_of(uid)));
        known.ok_or_else(|| PostgresError::UnknownOwner { path: path.to_owned(), uid })
    }

    /// The user who runs the server of root's own data directory.
    pub(crate) fn stand_in() -> Result<Self, PostgresError> {
        STAND_INS.iter().find_map(|name| named(name)).ok_or(PostgresError::NoAccount)
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
        use nix::unistd::{Gid, Uid, getgroups, setfsgid, setfsuid, setgroups};
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
    let from_passwd = passwd().into_iter().find(|account| account.name == name);
    let from_id = || {
        let number = |flag| id(&[flag, name])?.parse().ok();
        Some(Account { uid: number("-u")?, gid: number("-g")?, name: name.to_owned(), is_lent: true })
    };
    from_passwd.or_else(from_id).filter(|account| account.uid != 0)
}

/// Their name; the number where they have none.
pub(crate) fn name_of(uid: u32) -> String {
    let from_passwd = passwd().into_iter().find(|account| account.uid == uid).map(|account| account.name);
    from_passwd.or_else(|| id(&["-un", &uid.to_string()])).unwrap_or_else(|| uid.to_string())
}

fn passwd() -> Vec<Account> {
    let text = fs::read("/etc/passwd").unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(parse_passwd_line).collect()
}

fn parse_passwd_line(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid, name, is_lent: true })
}

fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines() {
        let account = Account { uid: 101, gid: 104, name: "postgres".into(), is_lent: true };
        assert_eq!(parse_passwd_line("postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash"), Some(account));
        for line in ["", "# a comment", "+::::::", "name:x:one:1::/:/bin/sh"] {
            assert_eq!(parse_passwd_line(line), None, "{line}");
        }
    }

    #[test]
    fn root_is_never_a_stand_in() {
        assert_eq!(named("root"), None);
    }
}
