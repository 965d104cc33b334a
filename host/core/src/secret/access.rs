//! Which secrets of this host the rows of the database may refer to.
//!
//! A channel or a monitor in the database says `{ env = "NAME" }` or `{ file = "path" }`, and a worker resolves it with its
//! own rights. Whoever can write the table would read the worker's environment and files, so a reference is honoured only
//! where this host allows it: the references of its own configuration file, what that file lists in `[secrets]`, and on a
//! host without a file what two environment variables list.

use super::SecretRef;
use std::collections::{BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// On a host without a configuration file: the environment variables that rows may name, separated by commas.
pub const ALLOW_ENV: &str = "UPTIME_ALLOW_ENV";

/// On a host without a configuration file: the folders with files that rows may name, separated by colons.
pub const ALLOW_FILES: &str = "UPTIME_ALLOW_FILES";

/// What the references of this process may name.
#[derive(Clone, Debug)]
pub struct Access {
    given_by: GivenBy,
    /// What stands in the configuration file's own tables.
    standing: HashSet<SecretRef>,
    variables: BTreeSet<String>,
    /// Folders, and files by themselves.
    folders: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
enum GivenBy {
    /// Whoever runs the command wrote the references.
    Operator,
    File(PathBuf),
    /// This host has no file.
    Environment,
}

impl Access {
    /// For references that do not come from the database: they stand in a file or on a command line of whoever runs the
    /// command.
    pub fn operator() -> Self {
        Self::empty(GivenBy::Operator)
    }

    /// For a host without a configuration file: the values of [`ALLOW_ENV`] and [`ALLOW_FILES`].
    pub fn from_environment(variables: &str, folders: &str) -> Self {
        let mut access = Self::empty(GivenBy::Environment);
        access.variables.extend(entries(variables, ',').map(str::to_owned));
        let folders = entries(folders, ':').map(PathBuf::from);
        access.folders.extend(folders.filter(|folder| folder.is_absolute()));
        access
    }

    /// For a host with the configuration file `path`: what stands in its tables, and what its `[secrets]` lists.
    pub(crate) fn from_file(
        path: PathBuf,
        standing: HashSet<SecretRef>,
        variables: &[String],
        folders: &[PathBuf],
    ) -> Self {
        let (variables, folders) = (variables.iter().cloned().collect(), folders.iter().cloned().collect());
        Self { given_by: GivenBy::File(path), standing, variables, folders }
    }

    fn empty(given_by: GivenBy) -> Self {
        Self { given_by, standing: HashSet::new(), variables: BTreeSet::new(), folders: BTreeSet::new() }
    }

    /// Whether a row may name this environment variable.
    pub fn variable(&self, name: &str) -> Result<(), Denied> {
        if self.is_operator()
            || self.variables.contains(name)
            || self.standing.contains(&SecretRef::Env { env: name.to_owned() })
        {
            return Ok(());
        }
        let names = self.variables.iter().cloned().chain([name.to_owned()]).collect();
        let way_out = self.line("allow_env", ALLOW_ENV, ",", names);
        let message = format!("{NOT_ALLOWED} the environment variable `{name}`");
        Err(Denied { message, way_out })
    }

    /// Whether a row may name this file, as far as its path tells.
    pub fn file(&self, path: &Path) -> Result<(), Denied> {
        let leads_out = path.components().any(|component| component == Component::ParentDir);
        let is_within = !leads_out && self.folders.iter().any(|folder| path.starts_with(folder));
        if self.is_operator() || is_within || self.stands(path) {
            return Ok(());
        }
        Err(self.denied(format!("{NOT_ALLOWED} the file `{}`", path.display()), path))
    }

    /// Whether the allowed `path` may lead to the file `target`, which has no link in its path. `unlinked` is `path` with
    /// the links to its folder resolved, and `folders` are [`Self::folders`] without links.
    pub fn target(
        &self,
        path: &Path,
        unlinked: &Path,
        target: &Path,
        folders: &[PathBuf],
    ) -> Result<(), Denied> {
        let is_within = folders.iter().any(|folder| target.starts_with(folder));
        let is_itself = target == unlinked && self.stands(path);
        if self.is_operator() || is_within || is_itself || self.stands(target) {
            return Ok(());
        }
        let (link, to) = (path.display(), target.display());
        let place = format!("the file `{link}` is a link to `{to}`");
        Err(self.denied(format!("{place}, which this host does not allow the database to use"), target))
    }

    /// The folders, and single files, whose content rows may name.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    fn is_operator(&self) -> bool {
        matches!(self.given_by, GivenBy::Operator)
    }

    fn stands(&self, path: &Path) -> bool {
        self.standing.contains(&SecretRef::File { file: path.to_owned() })
    }

    fn denied(&self, message: String, path: &Path) -> Denied {
        let all = self.folders().chain([path]).map(|path| path.display().to_string()).collect();
        Denied { message, way_out: self.line("allow_files", ALLOW_FILES, ":", all) }
    }

    fn line(&self, key: &str, variable: &str, separator: &str, entries: Vec<String>) -> String {
        match &self.given_by {
            GivenBy::File(file) => {
                let entries: Vec<String> =
                    entries.into_iter().map(|entry| toml::Value::String(entry).to_string()).collect();
                format!("write `{key} = [{}]` under `[secrets]` in `{}`", entries.join(", "), file.display())
            }
            GivenBy::Environment | GivenBy::Operator => {
                format!("set `{variable}={}` for this process", entries.join(separator))
            }
        }
    }
}

fn entries(list: &str, separator: char) -> impl Iterator<Item = &str> {
    list.split(separator).map(str::trim).filter(|entry| !entry.is_empty())
}

/// A reference that this host does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Denied {
    message: String,
    way_out: String,
}

impl Denied {
    /// The line to add, on this host.
    pub fn hint(&self) -> &str {
        &self.way_out
    }
}

const NOT_ALLOWED: &str = "this host does not allow the database to use";

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file() -> Access {
        let standing = HashSet::from([
            SecretRef::Env { env: "TOKEN".into() },
            SecretRef::File { file: "/etc/keys/token".into() },
        ]);
        Access::from_file("/etc/uptime.toml".into(), standing, &["EXTRA".into()], &["/run/secrets".into()])
    }

    #[test]
    fn variables_are_those_of_the_file_and_of_its_list() {
        let access = of_file();
        assert_eq!((access.variable("TOKEN"), access.variable("EXTRA")), (Ok(()), Ok(())));
        let denied = access.variable("DATABASE_URL").expect_err("nobody listed it");
        assert_eq!(
            denied.to_string(),
            "this host does not allow the database to use the environment variable `DATABASE_URL`"
        );
        assert_eq!(
            denied.hint(),
            "write `allow_env = [\"EXTRA\", \"DATABASE_URL\"]` under `[secrets]` in `/etc/uptime.toml`"
        );
    }

    #[test]
    fn files_are_those_of_the_file_and_of_its_folders() {
        let access = of_file();
        for allowed in ["/etc/keys/token", "/run/secrets/a", "/run/secrets/deep/b", "/run/secrets/./a"] {
            assert_eq!(access.file(Path::new(allowed)), Ok(()), "{allowed}");
        }
        for denied in
            ["/etc/shadow", "/etc/keys/other", "/run/secrets-too/a", "/run/secrets/../../etc/shadow"]
        {
            let error = access.file(Path::new(denied)).expect_err(denied);
            let line = format!("allow_files = [\"/run/secrets\", \"{denied}\"]");
            assert!(error.hint().contains(&line), "{}", error.hint());
        }
    }

    #[test]
    fn a_link_leads_only_to_what_is_allowed() {
        let access = of_file();
        let folders = [PathBuf::from("/real/secrets")];
        let to = |path: &str, unlinked: &str, target: &str| {
            access.target(Path::new(path), Path::new(unlinked), Path::new(target), &folders).is_ok()
        };
        assert!(to("/etc/keys/token", "/etc/keys/token", "/etc/keys/token"));
        assert!(to("/etc/keys/token", "/disk/keys/token", "/disk/keys/token"), "its folder is a link");
        assert!(!to("/etc/keys/token", "/etc/keys/token", "/etc/shadow"), "it is a link itself");
        assert!(to("/run/secrets/a", "/real/secrets/a", "/real/secrets/a"));
        assert!(to("/run/secrets/a", "/real/secrets/a", "/real/secrets/..2026/a"));
        assert!(!to("/run/secrets/a", "/real/secrets/a", "/etc/shadow"));
        assert!(to("/run/secrets/a", "/real/secrets/a", "/etc/keys/token"));
    }

    #[test]
    fn a_host_without_a_file_lists_them_in_its_environment() {
        let access = Access::from_environment("A, B,", "/run/secrets:relative:");
        assert_eq!((access.variable("A"), access.variable("B")), (Ok(()), Ok(())));
        assert_eq!(access.file(Path::new("/run/secrets/a")), Ok(()));
        assert!(access.file(Path::new("relative/a")).is_err());
        let denied = access.variable("C").expect_err("nobody listed it");
        assert_eq!(denied.hint(), "set `UPTIME_ALLOW_ENV=A,B,C` for this process");
        let nothing = Access::from_environment("", "");
        assert!(nothing.variable("").is_err() && nothing.file(Path::new("/")).is_err());
        let denied = nothing.file(Path::new("/etc/shadow")).expect_err("nobody listed it");
        assert_eq!(denied.hint(), "set `UPTIME_ALLOW_FILES=/etc/shadow` for this process");
    }
}
