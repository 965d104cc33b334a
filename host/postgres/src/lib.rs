//! A PostgreSQL of our own, from the binaries that are installed on this machine, with nothing to configure.
//!
//! [`acquire`] makes the cluster if there is none, starts the server if it is not running, and registers the
//! caller as one of its users; [`Lease::release`] stops the server when the last one goes. Any process may be
//! killed at any point: what it held is freed by the kernel, a half-made cluster never bears the cluster's name,
//! and the next `acquire` puts right whatever is left. The server is reachable by a Unix socket alone, which only
//! its user and root can get at; root works in another user's data directory as that user (module `owner`). All calls
//! block; an async caller uses `spawn_blocking`.

mod account;
mod binaries;
mod cluster;
mod error;
mod layout;
mod lock;
mod owner;
mod postmaster;
mod server;
mod session;

pub use error::{OLDEST_MAJOR, PostgresError};
pub use session::{Row, Session};

use layout::Layout;
use lock::{Deadline, StartLock, UsersLock};
use owner::DataDirectory;
use postmaster::PidFile;
use server::Probe;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The role that owns everything, and the database that [`Lease::url`] leads to.
pub const DATABASE: &str = "uptime";

/// Where the cluster is and how its server is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The user's data directory; the cluster lives in its `postgres` folder. Made when it is not there.
    pub data_dir: PathBuf,
    /// Server settings beyond our own (`fsync`, `off`). They hold for a server that this call starts; one that
    /// runs already keeps its own.
    pub settings: Vec<(String, String)>,
    /// Folders to look for PostgreSQL's binaries in, instead of those of this system.
    pub search: Option<Vec<PathBuf>>,
    /// How long to wait for another process, for `initdb`, and for the server to accept connections.
    pub timeout: Duration,
    /// Whether a cluster or a database that is missing is made. If not, that is an error, and nothing is made.
    pub create: bool,
}

impl Options {
    /// The defaults: durable, the system's binaries, two minutes, made when missing.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            settings: Vec::new(),
            search: None,
            timeout: Duration::from_mins(2),
            create: true,
        }
    }

    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Whether the user gave up durability, so that making the cluster need not wait for the disk either.
    fn is_durable(&self) -> bool {
        let off = |value: &str| matches!(value, "off" | "false" | "no" | "0");
        !self.settings.iter().any(|(name, value)| name == "fsync" && off(value))
    }
}

/// What [`acquire`] is waiting for, for a spinner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process is starting or stopping the server.
    WaitingForOther,
    /// `initdb` runs. Once in the life of a data directory.
    CreatingCluster,
    Starting,
    /// The server was not shut down in order and replays its log.
    Recovering,
}

impl Progress {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForOther => "waiting for another process that starts or stops PostgreSQL",
            Self::CreatingCluster => "creating the database cluster",
            Self::Starting => "starting PostgreSQL",
            Self::Recovering => "PostgreSQL is recovering from a crash",
        }
    }
}

/// The right to use the server, and the duty to let go of it.
///
/// Dropping it is what the kernel does for a killed process: the server stays, for the next one to use and stop.
#[derive(Debug)]
pub struct Lease {
    options: Options,
    layout: Layout,
    socket_dir: PathBuf,
    users: UsersLock,
}

/// What became of the server when a user left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// This was the last user: the server is stopped.
    Stopped,
    /// Others use it: it runs on.
    StillUsed,
}

/// Makes the data directory, so that the server's account can pass through it. For a caller that puts other things
/// there before the first [`acquire`], which does it too. A directory that is there is left as it is.
pub fn create_data_dir(data_dir: &Path) -> Result<(), PostgresError> {
    DataDirectory::create(data_dir).map(drop)
}

/// Whether the data directory is there and nobody but this process's user and root can put anything into it, so that
/// what this user has put there may be believed.
pub fn is_closed(data_dir: &Path) -> bool {
    DataDirectory::find(data_dir).is_ok_and(|place| place.is_closed())
}

/// Makes sure that the server runs, and registers this call as one of its users.
///
/// Several calls in one process are several users.
pub fn acquire(options: &Options, on_progress: &dyn Fn(Progress)) -> Result<Lease, PostgresError> {
    let deadline = Deadline::new(options.timeout);
    let layout = if options.create {
        Layout::create(&options.data_dir)?
    } else {
        Layout::of(&options.data_dir)?.ok_or_else(|| PostgresError::no_database(&options.data_dir))?
    };
    let (users, socket_dir) = layout.account.act(on_progress, |on_progress| {
        let start = StartLock::take(&layout, deadline, || on_progress(Progress::WaitingForOther))?;
        // Registered before the server is looked for: if this process dies from here on, nobody waits for it.
        let users = UsersLock::join(&layout)?;
        match server::ensure(&layout, options, &start, deadline, None, on_progress) {
            // A server that was started in vain does not stay.
            Err(missing @ PostgresError::NoDatabase { .. }) => {
                leave(&layout, users, &start, deadline)?;
                Err(missing)
            }
            ready => Ok((users, ready?)),
        }
    })?;
    Ok(Lease { options: options.clone(), layout, socket_dir, users })
}

impl Lease {
    /// The connection URL of the database [`DATABASE`], for sqlx, `psql` and all that speaks libpq's URLs.
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// The connection URL of another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        session::url(&self.socket_dir, database)
    }

    /// Opens a session on a database of this server.
    pub fn session(&self, database: &str) -> Result<Session, PostgresError> {
        Session::open(&self.socket_dir, database)
    }

    /// Starts the server again if it has died meanwhile. The URL stays what it was, unless another process has
    /// started it with a short socket path of its own choice.
    pub fn ensure_running(&mut self, on_progress: &dyn Fn(Progress)) -> Result<(), PostgresError> {
        let deadline = Deadline::new(self.options.timeout);
        self.socket_dir = self.layout.account.act(on_progress, |on_progress| {
            let start = StartLock::take(&self.layout, deadline, || on_progress(Progress::WaitingForOther))?;
            let prefer = Some(self.socket_dir.as_path());
            server::ensure(&self.layout, &self.options, &start, deadline, prefer, on_progress)
        })?;
        Ok(())
    }

    /// Lets go of the server. The last user stops it, and waits until it is down.
    pub fn release(self) -> Result<Released, PostgresError> {
        let deadline = Deadline::new(self.options.timeout);
        let Self { layout, users, .. } = self;
        layout.account.act(&|()| (), |_| {
            let start = StartLock::take(&layout, deadline, || ())?;
            leave(&layout, users, &start, deadline)
        })
    }
}

fn leave(
    layout: &Layout,
    users: UsersLock,
    start: &StartLock,
    deadline: Deadline,
) -> Result<Released, PostgresError> {
    if !users.leave_as_last(layout)? {
        return Ok(Released::StillUsed);
    }
    server::stop(layout, start, deadline)?;
    Ok(Released::Stopped)
}

/// What there is in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The cluster's directory, whether it is there or not.
    pub cluster: PathBuf,
    /// The cluster's major version; `None`: there is no cluster.
    pub version: Option<String>,
    pub server: ServerState,
    /// Whether a process has a lease.
    pub in_use: bool,
    pub log: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerState {
    Stopped,
    /// A process is starting or stopping it, or it does not take connections yet.
    Changing,
    Running {
        pid: u32,
        /// The connection URL of [`DATABASE`].
        url: String,
    },
}

impl Status {
    fn stopped(folder: &Path, version: Option<String>) -> Self {
        let (cluster, log) = (folder.join("cluster"), folder.join("server.log"));
        Self { cluster, version, server: ServerState::Stopped, in_use: false, log }
    }
}

/// Looks at a data directory and changes nothing.
pub fn status(data_dir: &Path) -> Result<Status, PostgresError> {
    if let Some(layout) = Layout::of(data_dir)? {
        return layout.account.act(&|()| (), |_| status_of(&layout));
    }
    Ok(Status::stopped(&DataDirectory::find(data_dir)?.folder(), None))
}

fn status_of(layout: &Layout) -> Result<Status, PostgresError> {
    let mut status = Status::stopped(&layout.base, cluster::version(layout)?);
    if !layout.exists() {
        return Ok(status);
    }
    // The users can be counted only while nobody comes or goes. To join a running server takes milliseconds.
    let _start = match StartLock::take(layout, Deadline::new(Duration::from_secs(1)), || ()) {
        Ok(start) => start,
        Err(PostgresError::Busy { .. }) => {
            status.server = ServerState::Changing;
            status.in_use = true;
            return Ok(status);
        }
        Err(error) => return Err(error),
    };
    status.in_use = UsersLock::is_held(layout)?;
    let pid_file = PidFile::read(&layout.cluster())?;
    if let Some(pid) = pid_file.as_ref().and_then(|file| file.owner(layout).own_pid()) {
        status.server = match server::probe(layout, pid_file.as_ref())? {
            Probe::Ready(dir) | Probe::WithoutDatabase(dir) => {
                ServerState::Running { pid, url: session::url(&dir, DATABASE) }
            }
            Probe::NotYet(_) | Probe::Unresponsive | Probe::Removal => ServerState::Changing,
        };
    }
    Ok(status)
}

/// Stops the server of a data directory; `Ok(false)` when none ran.
///
/// While processes use it, only `force` stops it: they lose their connections then.
pub fn stop(data_dir: &Path, force: bool) -> Result<bool, PostgresError> {
    let deadline = Deadline::new(Duration::from_mins(2));
    let Some(layout) = Layout::of(data_dir)? else { return Ok(false) };
    layout.account.act(&|()| (), |_| {
        if !layout.exists() {
            return Ok(false);
        }
        let start = StartLock::take(&layout, deadline, || ())?;
        if !force && UsersLock::is_held(&layout)? {
            return Err(PostgresError::InUse { cluster: layout.cluster() });
        }
        server::stop(&layout, &start, deadline)
    })
}
