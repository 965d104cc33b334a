//! Finds the installed PostgreSQL.
//!
//! Looked at in order: `PATH`, what `pg_config` says, then where packages put it. A new cluster gets the first
//! that is new enough, so `PATH` decides and the newest package comes next; an existing one needs its own major.

use crate::account::Account;
use crate::error::{OLDEST_MAJOR, PostgresError};
use crate::layout::Layout;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where packages put the binaries: a folder, what its entry begins with, and the way on from there.
const PACKAGES: [(&str, &str, &str); 10] = [
    ("/usr/lib/postgresql", "", "bin"),                      // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                               // postgresql.org's RPMs
    ("/usr/lib", "postgresql", "bin"),                       // SUSE
    ("/usr/libexec", "postgresql", ""),                      // Alpine
    ("/opt/homebrew/opt", "postgresql", "bin"),              // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql", "bin"),                 // Homebrew on Intel
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"), // Homebrew on Linux
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
    ("/usr/local", "pgsql", "bin"),                          // built from source
    ("/", "usr", "bin"),                                     // Fedora, Arch
];

/// Package managers and the command that installs the server with each.
const INSTALLERS: [(&str, &str); 6] = [
    ("apt-get", "apt-get install -y postgresql"),
    ("dnf", "dnf install -y postgresql-server"),
    ("pacman", "pacman -S --noconfirm postgresql"),
    ("apk", "apk add postgresql"),
    ("zypper", "zypper install -y postgresql-server"),
    ("brew", "brew install postgresql@17"),
];

/// A folder with `initdb`, `pg_ctl` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    dir: PathBuf,
    pub(crate) major: u32,
}

impl Binaries {
    /// Finds what a cluster of the major version `needed` needs, or what a new one should get.
    pub(crate) fn find(
        layout: &Layout,
        needed: Option<&str>,
        search: Option<&[PathBuf]>,
    ) -> Result<Self, PostgresError> {
        let dirs = search.map_or_else(system_dirs, <[PathBuf]>::to_vec);
        let mut found = Vec::new();
        for dir in dirs.into_iter().filter(|dir| holds_server(dir)) {
            let Some(binaries) = Self::ask(dir, layout) else { continue };
            let fits = match needed {
                Some(needed) => needed == binaries.major.to_string(),
                None => binaries.major >= OLDEST_MAJOR,
            };
            if fits {
                return Ok(binaries);
            }
            found.push(binaries.major);
        }
        match needed {
            Some(needed) if !found.is_empty() => {
                found.sort_unstable();
                found.dedup();
                let found: Vec<String> = found.iter().map(u32::to_string).collect();
                Err(PostgresError::OtherVersion {
                    cluster: layout.cluster(),
                    needed: needed.to_owned(),
                    found: found.join(", "),
                })
            }
            _ => Err(PostgresError::NotInstalled { install: install_command(&layout.account) }),
        }
    }

    /// The path of one of the programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Asks the binaries in `dir` for their version, as the account that will run them. `None`: they don't run here
    /// (another machine's, a broken package).
    fn ask(dir: PathBuf, layout: &Layout) -> Option<Self> {
        let postgres = dir.join("postgres");
        match layout.account.command(&postgres).arg("--version").output() {
            Ok(output) => {
                let major =
                    major(&String::from_utf8_lossy(&output.stdout)).filter(|_| output.status.success());
                major.map(|major| Self { dir, major })
            }
            Err(error) => {
                tracing::debug!(program = %postgres.display(), %error, "PostgreSQL's binary does not run");
                None
            }
        }
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` and `18beta2` alike.
fn major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

fn holds_server(dir: &Path) -> bool {
    dir.is_absolute() && ["postgres", "initdb", "pg_ctl"].iter().all(|name| dir.join(name).is_file())
}

/// All folders worth a look, each real one once.
fn system_dirs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.extend(pg_config());
    for (folder, prefix, rest) in PACKAGES {
        dirs.extend(package_dirs(Path::new(folder), prefix, rest));
    }
    let mut seen = HashSet::new();
    dirs.retain(|dir| dir.join("postgres").canonicalize().is_ok_and(|real| seen.insert(real)));
    dirs
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// The entries of `folder` that begin with `prefix`, the newest first.
fn package_dirs(folder: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort_by_key(|name| Reverse(first_number(name)));
    names.into_iter().map(|name| folder.join(name).join(rest)).collect()
}

fn first_number(name: &str) -> u32 {
    let digits = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap_or(0)
}

/// The command that installs PostgreSQL with this system's package manager.
fn install_command(account: &Account) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/bin", "/sbin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).chain(usual).collect();
    let is_here = |program: &str| dirs.iter().any(|dir| dir.join(program).is_file());
    let found = INSTALLERS.iter().find(|(program, _)| is_here(program));
    match found {
        Some(("brew", command)) => (*command).to_owned(),
        Some((_, command)) if account.is_lent => (*command).to_owned(),
        Some((_, command)) => format!("sudo {command}"),
        None => "the installer at https://www.postgresql.org/download/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn versions() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta2"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major("bash: postgres: command not found"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn the_newest_package_comes_first() {
        let place = tempfile::tempdir().expect("a directory");
        for name in ["9.6", "15", "17", "common"] {
            fs::create_dir(place.path().join(name)).expect("a directory");
        }
        let found = package_dirs(place.path(), "", "bin");
        let expected = ["17/bin", "15/bin", "9.6/bin", "common/bin"].map(|end| place.path().join(end));
        assert_eq!(found, expected);
    }
}
