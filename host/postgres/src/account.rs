//! The operating system's user that the server runs as.
//!
//! Whoever calls, unless that is root: PostgreSQL refuses to run as root, so then it is the owner of what is
//! there already, or `postgres`. Names come from `/etc/passwd` and, for users kept elsewhere, from `id`.

use crate::error::PostgresError;
use crate::layout::Layout;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Who may stand in for root, the best first: packages make one of the first three.
const STAND_INS: [&str; 4] = ["postgres", "_postgres", "uptime", "nobody"];

/// A user of the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) name: String,
}

impl Account {
    /// Whether this process is root.
    pub(crate) fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// The account for the server of `layout`.
    pub(crate) fn for_server(layout: &Layout) -> Result<Self, PostgresError> {
        if !Self::is_root() {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            return Ok(Self { uid, gid, name: name_of(uid).unwrap_or_else(|| uid.to_string()) });
        }
        let owner = [layout.cluster(), layout.base()].iter().find_map(|path| owner_beside_root(path));
        owner.or_else(|| STAND_INS.iter().find_map(|name| named(name))).ok_or(PostgresError::NoAccount)
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
        if Self::is_root() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

/// The owner of `path`, unless that is root or there is no such path.
fn owner_beside_root(path: &Path) -> Option<Account> {
    let found = fs::symlink_metadata(path).ok()?;
    let (uid, gid) = (found.uid(), found.gid());
    (uid != 0).then(|| Account { uid, gid, name: name_of(uid).unwrap_or_else(|| uid.to_string()) })
}

fn named(name: &str) -> Option<Account> {
    let from_passwd = passwd().into_iter().find(|account| account.name == name);
    let from_id = || {
        let number = |flag| id(&[flag, name])?.parse().ok();
        Some(Account { uid: number("-u")?, gid: number("-g")?, name: name.to_owned() })
    };
    from_passwd.or_else(from_id).filter(|account| account.uid != 0)
}

fn name_of(uid: u32) -> Option<String> {
    let from_passwd = passwd().into_iter().find(|account| account.uid == uid).map(|account| account.name);
    from_passwd.or_else(|| id(&["-un", &uid.to_string()]))
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
    Some(Account { uid, gid, name })
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
        let account = Account { uid: 101, gid: 104, name: "postgres".into() };
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
