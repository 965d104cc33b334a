//! The cluster on the disk: its version, and how it comes to be.
//!
//! `initdb` works in a directory of another name, which is renamed when it is whole. So what is called `cluster`
//! is one, whenever the machine or a process died.

use crate::binaries::Binaries;
use crate::error::PostgresError;
use crate::layout::{self, Layout};
use crate::lock::StartLock;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;

/// What a directory is called while `initdb` works in it.
const UNFINISHED: &str = "cluster.new.";

/// The major version of the cluster; `None`: there is none. An empty directory is none.
pub(crate) fn version(layout: &Layout) -> Result<Option<String>, PostgresError> {
    let cluster = layout.cluster();
    let path = cluster.join("PG_VERSION");
    match layout::read_short(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match cluster.read_dir() {
            Ok(mut entries) => match entries.next() {
                Some(_) => Err(PostgresError::NotACluster { cluster }),
                None => Ok(None),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PostgresError::io("read", cluster)(error)),
        },
        Err(error) => Err(PostgresError::io("read", path)(error)),
    }
}

/// Makes the cluster. The start lock goes on to `initdb`, see [`StartLock::as_stdin`].
pub(crate) fn create(
    layout: &Layout,
    binaries: &Binaries,
    durable: bool,
    start: &StartLock,
) -> Result<(), PostgresError> {
    remove_unfinished(layout);
    let unfinished = layout.base.join(format!("{UNFINISHED}{}", std::process::id()));
    Layout::make_private(&unfinished, layout.account.uid)?;
    let mut initdb = layout.account.command(&binaries.program("initdb"));
    initdb.arg("-D").arg(&unfinished).arg(format!("--username={}", crate::DATABASE));
    initdb.args(["--encoding=UTF8", "--locale=C", "--auth-local=peer", "--auth-host=reject"]);
    if !durable || SYNCS_AT_ONCE {
        initdb.arg("--no-sync");
    }
    let output = initdb
        .stdin(start.as_stdin()?)
        .output()
        .map_err(PostgresError::io("run", binaries.program("initdb")))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let ended = output.status.signal().map(|signal| format!("(ended by signal {signal})"));
        let output = [words.trim(), &ended.unwrap_or_default()].join(" ").trim().to_owned();
        // What it leaves when it is killed; it cleans up after itself otherwise.
        let _ = fs::remove_dir_all(&unfinished);
        return Err(PostgresError::CreateFailed { cluster: layout.cluster(), output });
    }
    let base = &layout.base;
    let directory = File::open(base).map_err(PostgresError::io("open", base))?;
    if durable {
        sync_at_once(&directory).map_err(PostgresError::io("sync", base))?;
    }
    fs::rename(&unfinished, layout.cluster()).map_err(PostgresError::io("rename", unfinished))?;
    if durable {
        directory.sync_all().map_err(PostgresError::io("sync", base))?;
    }
    Ok(())
}

/// Whether [`sync_at_once`] stands in for `initdb`'s own sync of a thousand files, one by one: 0.1 s against 3 s on
/// a busy disk. PostgreSQL 17 has it as `initdb --sync-method=syncfs`.
const SYNCS_AT_ONCE: bool = cfg!(target_os = "linux");

/// Writes all of the directory's file system to the disk.
#[cfg(target_os = "linux")]
fn sync_at_once(directory: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(directory)?)
}

/// `initdb` has done it.
#[cfg(not(target_os = "linux"))]
fn sync_at_once(_directory: &File) -> io::Result<()> {
    Ok(())
}

/// Removes what killed processes left. What can't be removed yet is tried again the next time.
fn remove_unfinished(layout: &Layout) {
    let Ok(entries) = layout.base.read_dir() else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(directory = %entry.path().display(), %error, "an unfinished cluster could not be removed");
        }
    }
}
