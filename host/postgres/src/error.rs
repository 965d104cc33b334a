//! All that can go wrong between a data directory and a running server, each with its way out.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The oldest major version that is used.
pub const OLDEST_MAJOR: u32 = 13;

/// Why there is no server to talk to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No PostgreSQL, or none that is new enough.
    #[error("no PostgreSQL {oldest} or newer was found on this machine", oldest = OLDEST_MAJOR)]
    NotInstalled {
        /// The command that installs it here.
        install: String,
    },
    /// The cluster is another major version's, and that version is not installed.
    #[error("the database in `{cluster}` needs PostgreSQL {needed}; found: {found}", cluster = cluster.display())]
    OtherVersion {
        cluster: PathBuf,
        /// What the file `PG_VERSION` says.
        needed: String,
        found: String,
    },
    /// The cluster's directory has something else in it.
    #[error("`{cluster}` is not empty and is no PostgreSQL cluster", cluster = cluster.display())]
    NotACluster { cluster: PathBuf },
    /// PostgreSQL does not run as root, and the user that it runs as can't get at the directory.
    #[error("the user `{user}`, which PostgreSQL has to run as, can't enter `{directory}`", directory = directory.display())]
    Unreachable {
        user: String,
        /// The directory that keeps it out.
        directory: PathBuf,
    },
    /// A data directory lies in the hands of two users, so that one could lead the other.
    #[error("`{path}` belongs to `{owner}`, not to `{user}`", path = path.display())]
    OtherOwner {
        path: PathBuf,
        owner: String,
        /// Whose it would have to be.
        user: String,
    },
    /// Anybody could put a directory of theirs in the way.
    #[error("anybody can rename what lies in `{directory}`, so root uses no data directory below it", directory = directory.display())]
    Open { directory: PathBuf },
    /// A data directory's owner has no name here, and PostgreSQL does not run as such a user.
    #[error("`{path}` belongs to the user {uid}, who is not known on this machine", path = path.display())]
    UnknownOwner { path: PathBuf, uid: u32 },
    /// Root has to do this as another user, and can't.
    #[error("root could not act as the user `{user}`: {source}")]
    ActAs { user: String, source: io::Error },
    /// There is no user to run the server as.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` to run it as")]
    NoAccount,
    /// The data directory can't be written as a URL or in a setting.
    #[error("`{path}` can't be a data directory: {reason}", path = path.display())]
    Path { path: PathBuf, reason: &'static str },
    /// The directory for the socket is another user's, or open to others.
    #[error("`{directory}` can't hold the server's socket: {reason}", directory = directory.display())]
    SocketDirectory { directory: PathBuf, reason: &'static str },
    /// Another process has been starting or stopping the server for too long.
    #[error("another process has been starting or stopping PostgreSQL in `{directory}` for over {seconds} s", directory = directory.display())]
    Busy { directory: PathBuf, seconds: u64 },
    #[error("`initdb` could not create `{cluster}`: {output}", cluster = cluster.display())]
    CreateFailed { cluster: PathBuf, output: String },
    #[error("PostgreSQL did not start; its log ends with:\n{tail}")]
    StartFailed { tail: String, log: PathBuf },
    /// The server runs and takes no connections.
    #[error("PostgreSQL takes no connections after {seconds} s{}; its log ends with:\n{tail}", if *recovering { ", it is still recovering from a crash" } else { "" })]
    StartTimeout { seconds: u64, recovering: bool, tail: String, log: PathBuf },
    #[error("PostgreSQL (process {pid}) did not stop within {seconds} s")]
    StopTimeout { pid: u32, seconds: u64 },
    #[error("the server of `{cluster}` is in use", cluster = cluster.display())]
    InUse { cluster: PathBuf },
    /// There is no database, and none is to be made.
    #[error("there is no database in `{data_dir}`", data_dir = data_dir.display())]
    NoDatabase { data_dir: PathBuf },
    /// The server refused a session or a statement.
    #[error("PostgreSQL refused: {message} (`{code}`)")]
    Refused { code: String, message: String },
    /// A file, a socket or a program could not be used.
    #[error("could not {action} `{path}`: {source}", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl PostgresError {
    /// For `map_err`: an [`Io`](Self::Io) with what was being done.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn no_database(data_dir: &Path) -> Self {
        Self::NoDatabase { data_dir: data_dir.to_owned() }
    }

    /// Whether the same call may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::StartTimeout { .. } | Self::StopTimeout { .. } | Self::InUse { .. } => {
                true
            }
            // Starting up, shutting down, no connection left.
            Self::Refused { code, .. } => matches!(code.as_str(), "57P01" | "57P02" | "57P03" | "53300"),
            _ => false,
        }
    }

    /// The way out, to be pasted where there is a command.
    pub fn hint(&self) -> Option<String> {
        let other_database = "or set `DATABASE_URL` to a server of your own";
        Some(match self {
            Self::NotInstalled { install } => format!("install it with `{install}`, {other_database}"),
            Self::OtherVersion { cluster, needed, .. } => format!(
                "install PostgreSQL {needed}, or carry the data over with `pg_upgrade`, or move `{}` away to begin anew",
                cluster.display()
            ),
            Self::NotACluster { cluster } => format!("move `{}` away, {other_database}", cluster.display()),
            Self::Unreachable { directory, .. } => format!(
                "use `--data-dir /var/lib/uptime`, or let others pass with `chmod o+x {}`, {other_database}",
                directory.display()
            ),
            Self::OtherOwner { path, owner, user } => format!(
                "run this as its owner, `sudo -u {owner} uptime …`, or give it to `{user}`: `chown -R {user} {}`",
                path.display()
            ),
            Self::Open { directory } => {
                format!(
                    "close it with `chmod o-w {}`, or choose another with `--data-dir`",
                    directory.display()
                )
            }
            Self::UnknownOwner { path, .. } => {
                format!("give it to a user that there is: `chown -R uptime {}`", path.display())
            }
            Self::ActAs { user, .. } => {
                format!("run this as that user: `sudo -u {user} uptime …`, {other_database}")
            }
            Self::NoAccount => {
                format!(
                    "create it with `useradd --system postgres`, or run `uptime` as an ordinary user, {other_database}"
                )
            }
            Self::Path { .. } => format!("choose another with `--data-dir`, {other_database}"),
            Self::SocketDirectory { directory, .. } => {
                format!("remove `{}`, or choose a shorter path with `--data-dir`", directory.display())
            }
            Self::Busy { .. } => "see which with `ps aux | grep -e initdb -e pg_ctl`".into(),
            Self::StartFailed { log, .. } | Self::StartTimeout { log, .. } => {
                format!("the whole log: `{}`; {}", log.display(), &other_database[3..])
            }
            Self::CreateFailed { .. } => format!("make room or free the directory, {other_database}"),
            Self::StopTimeout { pid, .. } => {
                format!("end it at once with `kill -QUIT {pid}`; no data is lost")
            }
            Self::NoDatabase { .. } => "`uptime db migrate` makes one".into(),
            Self::InUse { .. } => "end the `uptime` processes that use it, or force it".into(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!("choose a directory of your own with `--data-dir`, {other_database}")
            }
            Self::Refused { .. } | Self::Io { .. } => return None,
        })
    }
}
