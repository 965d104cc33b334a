//! The installation that definitions are printed for: the program, its file, its data, and how it finds its database.
//!
//! What is printed depends on nothing that a service's process would not have: paths are absolute, the data directory is
//! named. Secrets stay where they are; a definition says how they are given.

use super::quote;
use crate::config::file::{self, ConfigFile};
use crate::config::locate;
use crate::env;
use crate::prelude::*;
use std::collections::BTreeSet;
use std::path::Component;
use uptime_core::secret::SecretRef;
use url::Url;

/// Where the data of a user is whose home is not known here.
const SYSTEM_DATA_DIR: &str = "/var/lib/uptime";

#[derive(Debug)]
pub struct Installation {
    pub binary: String,
    /// The file's path, if there is one.
    pub config: Option<String>,
    pub data_dir: String,
    /// How a process learns where the database is.
    pub database: DatabaseSource,
    /// The variables that the file refers to.
    pub variables: BTreeSet<String>,
    /// Who owns the processes.
    pub user: String,
    /// Whether that is who asks.
    pub is_own: bool,
}

/// How a process learns where the database is.
#[derive(Debug, PartialEq, Eq)]
pub enum DatabaseSource {
    /// It is not told, and uses the embedded one.
    Embedded,
    File,
    /// From this variable, whose value is a secret if it is not here.
    Variable {
        name: &'static str,
        url: Option<String>,
    },
}

impl DatabaseSource {
    /// The variable that a definition sets, and its value.
    pub fn variable(&self) -> Option<(&str, &str)> {
        if let Self::Variable { name, url: Some(url) } = self { Some((name, url)) } else { None }
    }
}

impl Installation {
    /// Looks at what there is. `root_becomes` is the user for definitions that root asks for; `None`: root.
    pub async fn find(
        global: &Global,
        binary: Option<&Path>,
        user: Option<&str>,
        root_becomes: Option<&str>,
    ) -> Result<Self> {
        let notifiers = file::notifiers(global)?;
        let file = file::read(global, &notifiers).await?;
        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => std::env::current_exe()?,
        };
        let caller = caller();
        let by_default = if caller == "root" { root_becomes.unwrap_or("root") } else { &caller };
        let user = user.unwrap_or(by_default).to_owned();
        check_user(&user)?;
        let is_own = user == caller;
        // What another's home is is not known here; root's data directory is the system's.
        let data_dir = match &global.data_dir {
            None if !is_own => PathBuf::from(SYSTEM_DATA_DIR),
            _ => locate::data_dir(global)?,
        };
        Ok(Self {
            binary: absolute(&binary)?,
            config: file.as_ref().map(|file| absolute(&file.path)).transpose()?,
            data_dir: absolute(&data_dir)?,
            database: database_source(file.as_ref()),
            variables: file.as_ref().map(variables).unwrap_or_default(),
            user,
            is_own,
        })
    }

    /// The command line of one of its commands.
    pub fn command(&self, command: &[impl AsRef<str>]) -> Vec<String> {
        let config = self.config.iter().flat_map(|config| ["--config", config]);
        let data_dir = ["--data-dir", &self.data_dir];
        let words = [self.binary.as_str()].into_iter().chain(config).chain(data_dir);
        words.chain(command.iter().map(AsRef::as_ref)).map(str::to_owned).collect()
    }

    /// As a line of a shell, which says where the database is too.
    pub fn shell_line(&self, command: &[&str]) -> String {
        let set = self.database.variable().map(|(name, url)| format!("{name}={} ", quote::shell(url)));
        set.unwrap_or_default() + &quote::shell_line(&self.command(command))
    }

    /// Where its processes work: paths in the file may be relative to it.
    pub fn directory(&self) -> &str {
        let parent = self.config.as_deref().and_then(|config| Path::new(config).parent());
        parent.and_then(Path::to_str).unwrap_or("/")
    }

    /// The variables that have to be given to its processes by hand.
    pub fn secrets(&self) -> Vec<&str> {
        let database = match self.database {
            DatabaseSource::Variable { name, url: None } => Some(name),
            _ => None,
        };
        database.into_iter().chain(self.variables.iter().map(String::as_str)).collect()
    }

    /// What to do about them, if there are any.
    pub fn secrets_hint(&self, what: &str) -> Option<String> {
        let secrets = listed(self.secrets());
        (!secrets.is_empty()).then(|| format!("not printed here: {secrets}. {what}"))
    }

    /// Which database it is, for a comment; `place` is where a variable is set.
    pub fn database_words(&self, place: &str) -> String {
        let data_dir = &self.data_dir;
        match &self.database {
            DatabaseSource::Embedded => {
                format!("The database is the embedded one in {data_dir}, unless {place} sets DATABASE_URL.")
            }
            DatabaseSource::File => "The database is the one that the file names.".into(),
            DatabaseSource::Variable { name, .. } => format!("The database is the one that {name} names."),
        }
    }

    /// What to do about a folder that lets only root pass on the way to what another needs.
    pub fn closed_hint(&self) -> Option<String> {
        use std::os::unix::fs::MetadataExt;
        if self.user == "root" {
            return None;
        }
        let files = [Some(self.binary.as_str()), self.config.as_deref(), Some(&self.data_dir)];
        let closed = |folder: &&Path| {
            folder.metadata().is_ok_and(|found| (found.uid(), found.gid(), found.mode() & 1) == (0, 0, 0))
        };
        files.into_iter().flatten().find_map(|file| {
            let folder = Path::new(file).ancestors().skip(1).find(closed)?.display();
            let user = &self.user;
            Some(format!("put `{file}` where `{user}` gets at it: `{folder}` lets nobody but root pass"))
        })
    }
}

/// The name of the user who asks; the number of one without.
fn caller() -> String {
    let uid = rustix::process::geteuid().as_raw();
    locate::name_of(uid).unwrap_or_else(|| uid.to_string())
}

fn not_found(path: &Path, error: &std::io::Error) -> CommandError {
    usage_error(format!("`{}` can't be found: {error}", path.display())).hint("write the path without `..`")
}

fn check_user(user: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "_-.@\\".contains(c);
    if !user.is_empty() && !user.starts_with('-') && user.chars().all(plain) {
        return Ok(());
    }
    Err(usage_error(format!("`--user {}` is no user's name", user.escape_debug()))
        .hint("`id -un` prints yours"))
}

/// A path as it can stand in a definition, whoever reads it where.
pub fn absolute(path: &Path) -> Result<String> {
    let named = std::path::absolute(path)?;
    // systemd takes no way up, and which way is up the links on the path decide.
    let goes_up = named.components().any(|part| part == Component::ParentDir);
    let path = if goes_up { named.canonicalize().map_err(|error| not_found(&named, &error))? } else { named };
    let text = path.to_str().filter(|text| {
        !text.chars().any(char::is_control) && !text.ends_with(char::is_whitespace) && !text.ends_with('\\')
    });
    text.map(str::to_owned).ok_or_else(|| {
        let message = format!("`{}` can't be written into a definition", path.display());
        usage_error(message)
            .hint("use a path of UTF-8 text without control characters, with neither a blank nor a backslash at its end")
    })
}

/// How a process that has this process's environment and file learns where the database is.
pub fn database_source(file: Option<&ConfigFile>) -> DatabaseSource {
    if let Some((name, url)) = env::database() {
        return DatabaseSource::Variable { name, url: without_secret(&url) };
    }
    match file.and_then(|file| file.config.database.url.as_ref()) {
        Some(_) => DatabaseSource::File,
        None => DatabaseSource::Embedded,
    }
}

/// The URL, if it holds no password, with no blanks and quotes in it. One that can't be read may hold anything.
fn without_secret(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok()?;
    let secret = |(name, _): (std::borrow::Cow<'_, str>, _)| name.to_lowercase().contains("password");
    if parsed.password().is_some() || parsed.query_pairs().any(secret) || url.chars().any(char::is_control) {
        return None;
    }
    let written = |url: String, (plain, coded): (char, &str)| url.replace(plain, coded);
    Some([(' ', "%20"), ('"', "%22"), ('\'', "%27"), ('\\', "%5C")].into_iter().fold(url.to_owned(), written))
}

/// Every variable that the file refers to.
fn variables(file: &ConfigFile) -> BTreeSet<String> {
    let config = &file.config;
    let of_installation = config.database.url.iter().chain(&config.heartbeat.url);
    let variable = |reference: &SecretRef| match reference {
        SecretRef::Env { env } => Some(env.clone()),
        SecretRef::Literal(_) | SecretRef::File { .. } => None,
    };
    of_installation.chain(config.references()).filter_map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_is_a_secret() {
        for url in [
            "postgres://me:secret@host/db",
            "postgres://me@host/db?password=secret",
            "postgres://me@host/db?sslpassword=secret",
            "host=db password=secret",
        ] {
            assert_eq!(without_secret(url), None, "{url}");
        }
    }

    #[test]
    fn a_url_without_one_is_written_without_quotes_and_blanks() {
        assert_eq!(
            without_secret("postgres://me@host/db?host=/a b'\"").as_deref(),
            Some("postgres://me@host/db?host=/a%20b%27%22")
        );
    }

    #[test]
    fn a_path_that_no_definition_can_hold_is_refused() {
        for path in ["/a\nb", "/a ", "/a\\"] {
            absolute(Path::new(path)).expect_err(path);
        }
        assert_eq!(absolute(Path::new("/a b")).expect("a path"), "/a b");
    }

    #[test]
    fn a_path_goes_up_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().canonicalize().expect("it is there");
        std::fs::create_dir(real.join("a")).expect("a folder");
        assert_eq!(absolute(&real.join("a/./..")).expect("a path"), real.to_str().expect("text"));
        absolute(&real.join("b/../c")).expect_err("there is no b");
    }

    #[test]
    fn a_user_is_a_name() {
        for user in ["", "-u", "a b", "a;b", "a%b", "a\nb"] {
            check_user(user).expect_err(user);
        }
        check_user("www-data").expect("a name");
    }
}
