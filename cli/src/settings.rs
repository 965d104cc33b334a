//! Where things are: the data directory and the database, by flag, environment, file, default.

use crate::args::Global;
use crate::env;
use crate::exit::{CommandError, Exit};
use crate::file::ConfigFile;
use etcetera::BaseStrategy;
use std::path::PathBuf;
use uptime_check::secrets;
use uptime_core::secret::Secret;
use uptime_core::secret::access::Access;

#[derive(Clone, Debug)]
pub enum DatabaseChoice {
    /// Somebody's server. Nothing is started.
    Url(Secret),
    /// Our own, in the data directory.
    Embedded(PathBuf),
}

/// The data directory: `--data-dir` or its variable, else the user's, as root the system's.
pub fn data_dir(global: &Global) -> Result<PathBuf, CommandError> {
    if let Some(dir) = &global.data_dir {
        return std::path::absolute(dir).map_err(CommandError::from);
    }
    // A server that root starts runs as another user, who can't reach root's home.
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/uptime"));
    }
    etcetera::choose_base_strategy().map(|base| base.data_dir().join("uptime")).map_err(|error| {
        CommandError::new(Exit::Config, format!("no data directory: {error}"))
            .hint(format!("name one: `--data-dir DIR`, or set {}", env::DATA_DIR))
    })
}

/// The user's configuration directory, if there is a home.
pub fn user_config() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.config_dir().join("uptime").join("uptime.toml"))
}

/// The database: the environment, then the file, then our own.
pub fn database(global: &Global, file: Option<&ConfigFile>) -> Result<DatabaseChoice, CommandError> {
    for name in [env::DATABASE_URL, env::UPTIME_DATABASE_URL] {
        if let Ok(url) = std::env::var(name)
            && !url.is_empty()
        {
            return Ok(DatabaseChoice::Url(Secret::new(url)));
        }
    }
    if let Some(reference) = file.and_then(|file| file.config.database.url.as_ref()) {
        let url = secrets::resolve_line(reference, &Access::operator()).map_err(|error| {
            CommandError::new(Exit::Config, format!("`[database] url`: {error}")).hint(error.hint())
        })?;
        return Ok(DatabaseChoice::Url(url));
    }
    data_dir(global).map(DatabaseChoice::Embedded)
}
