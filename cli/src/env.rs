//! Every environment variable that `uptime` looks at. `uptime help env` prints them from here.

pub const CONFIG: &str = "UPTIME_CONFIG";
pub const DATA_DIR: &str = "UPTIME_DATA_DIR";
pub const DATABASE_URL: &str = "DATABASE_URL";
/// The database, for an environment whose `DATABASE_URL` is somebody else's.
pub const UPTIME_DATABASE_URL: &str = "UPTIME_DATABASE_URL";
pub const LOG: &str = "UPTIME_LOG";
pub const LOG_FORMAT: &str = "UPTIME_LOG_FORMAT";
pub const LOCATION: &str = "UPTIME_LOCATION";
/// Which of this host's secrets the database may refer to, where there is no configuration file.
pub use uptime_core::secret::access::{ALLOW_ENV, ALLOW_FILES};
/// Where systemd is told how a process is.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// Who sits at the terminal, the first that is set.
pub const WHO: &[&str] = &["SUDO_USER", "USER", "LOGNAME"];

/// Each with a line for people.
pub const ALL: &[(&str, &str)] = &[
    (CONFIG, "the configuration file; before ./uptime.toml, the user's and /etc/uptime/uptime.toml"),
    (DATA_DIR, "where the embedded PostgreSQL and plugins are kept"),
    (DATABASE_URL, "the database, as postgres://user@host:5432/name; with it nothing embedded is started"),
    (UPTIME_DATABASE_URL, "the same, looked at when DATABASE_URL is not set"),
    (
        LOG,
        "what is logged to stderr: error, warn, info, debug, trace, or a filter such as uptime_engine=debug",
    ),
    (LOG_FORMAT, "text or json"),
    (LOCATION, "where a worker's checks run: the `--location` of `uptime worker`"),
    (
        ALLOW_ENV,
        "on a host without a configuration file: variables that channels and monitors in the database may name, as A,B",
    ),
    (ALLOW_FILES, "the same for files: folders, or single files, as /run/secrets:/etc/keys"),
    (NOTIFY_SOCKET, "set by systemd: where a process that runs on says that it is ready, and alive"),
    ("WATCHDOG_USEC", "set by systemd: they say that they are alive four times in so many microseconds"),
    ("SUDO_USER", "who does something to an incident, where `--by` does not say so"),
    ("USER", "the same, without SUDO_USER"),
    ("LOGNAME", "the same, without USER"),
    ("NO_COLOR", "no colours, when set and not empty"),
    ("CLICOLOR_FORCE", "colours in a pipe too, when set and not 0"),
];

/// The variable that names the database, and what it says.
pub fn database() -> Option<(&'static str, String)> {
    let said = |name| Some((name, std::env::var(name).ok().filter(|url| !url.is_empty())?));
    [DATABASE_URL, UPTIME_DATABASE_URL].into_iter().find_map(said)
}
