//! What the benchmarks share: a database to fill, and what it and we have cost so far.

use sqlx::{Executor, PgConnection, Row};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The kernel counts CPU in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures against the empty database at `DATABASE_URL`; without, against the embedded PostgreSQL in a temporary directory,
/// with its durable settings.
pub(crate) async fn with_database<T>(
    measure: impl AsyncFnOnce(&str) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return measure(&url).await;
    }
    let directory = tempfile::tempdir()?;
    // As root the server runs as another user, who must get in.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let lease =
        uptime_postgres::acquire(&uptime_postgres::Options::new(directory.path().join("data")), &|_| ())?;
    let measured = measure(&lease.url()).await;
    lease.release()?;
    measured
}

/// CPU that this process and the database's have used so far; ours alone when the database is on another host.
pub(crate) async fn cpu_seconds(connection: &mut PgConnection) -> Result<f64, Failure> {
    let backend: i32 = connection.fetch_one("SELECT pg_backend_pid()").await?.try_get(0)?;
    let ours = Process::read("self").map_or(f64::NAN, |process| process.own);
    let Some(postmaster) = Process::read(&backend.to_string()).map(|backend| backend.parent) else {
        return Ok(ours);
    };
    let mut database =
        Process::read(&postmaster.to_string()).map_or(0.0, |process| process.own + process.children);
    for entry in std::fs::read_dir("/proc")?.flatten() {
        if let Some(process) = entry.file_name().to_str().and_then(Process::read)
            && process.parent == postmaster
        {
            database += process.own;
        }
    }
    Ok(ours + database)
}

/// What the kernel knows of a process.
struct Process {
    parent: u32,
    /// CPU seconds, and those of its children that have ended.
    own: f64,
    children: f64,
}

impl Process {
    fn read(pid: &str) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let seconds = |index: usize| Some(fields.get(index)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            children: seconds(13)? + seconds(14)?,
        })
    }
}
