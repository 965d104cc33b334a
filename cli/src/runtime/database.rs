//! The database of a command: somebody's server, or our own, which is started when needed and kept alive.

use crate::config::file::DatabaseChoice;
use crate::prelude::*;
use std::sync::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uptime_postgres::{Lease, Options, PostgresError, Progress};
use uptime_store::StoreError;

/// How long after a failed start the next is tried.
const RESTART_AFTER: Duration = Duration::from_secs(2);

/// What a command does where there is no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingDatabase {
    /// Makes one, and says so. Brings the schema up to date.
    Create,
    /// Ends: an empty one would be no answer.
    Refuse,
}

#[derive(Debug)]
pub struct Database {
    pub store: Store,
    /// How many it has at the most.
    pub connections: u32,
    embedded: Option<Embedded>,
}

#[derive(Clone, Debug)]
struct Embedded {
    /// Taken by the release.
    lease: Arc<Mutex<Option<Lease>>>,
}

impl Database {
    /// Opens it, and starts our own if that is the choice.
    pub async fn open(
        choice: DatabaseChoice,
        missing: MissingDatabase,
        connections: u32,
        printer: &Printer,
        quiet: bool,
    ) -> Result<Self> {
        let data_dir = match choice {
            DatabaseChoice::Url(url) => {
                let place = "where `DATABASE_URL` or `[database] url` leads";
                let store = open_store(url.expose(), missing, place, connections, printer).await?;
                return Ok(Self { store, connections, embedded: None });
            }
            DatabaseChoice::Embedded(data_dir) => data_dir,
        };
        let place = format!("in `{}`", data_dir.display());
        let steps = printer.steps(!quiet);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel::<Progress>();
        let starting = tokio::task::spawn_blocking(move || {
            let options = Options { create: missing == MissingDatabase::Create, ..Options::new(data_dir) };
            // Nobody listens any more only when the command is over.
            uptime_postgres::acquire(&options, &|progress| {
                let _ = tell.send(progress);
            })
        });
        while let Some(progress) = told.recv().await {
            steps.step(progress.as_str());
        }
        steps.done();
        let lease = match starting.await {
            Ok(Err(PostgresError::NoDatabase { .. })) => return Err(no_database(&place)),
            started => joined(started)?,
        };
        let url = lease.url();
        let embedded = Embedded { lease: Arc::new(Mutex::new(Some(lease))) };
        match open_store(&url, missing, &place, connections, printer).await {
            Ok(store) => Ok(Self { store, connections, embedded: Some(embedded) }),
            Err(error) => {
                embedded.release().await;
                Err(error)
            }
        }
    }

    /// Restarts our own server when somebody says that it is away, until `stop`. A server of somebody else's is theirs
    /// to restart.
    pub fn keep_alive(&self, stop: CancellationToken) -> Arc<Notify> {
        let told = Arc::new(Notify::new());
        let (Some(embedded), away) = (self.embedded.clone(), Arc::clone(&told)) else { return told };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = away.notified() => {}
                }
                match embedded.ensure_running().await {
                    Ok(()) => info!("embedded PostgreSQL runs"),
                    Err(error) => {
                        warn!(%error, "embedded PostgreSQL does not start; trying again");
                        tokio::time::sleep(RESTART_AFTER).await;
                        away.notify_one();
                    }
                }
            }
        });
        told
    }

    /// Lets go of it after `work`, whatever came of that.
    pub async fn during<T>(self, work: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        let done = work(&self).await;
        self.close().await;
        done
    }

    /// Lets go of it. The last user of our own server stops it.
    pub async fn close(self) {
        self.store.close().await;
        if let Some(embedded) = self.embedded {
            embedded.release().await;
        }
    }
}

async fn open_store(
    url: &str,
    missing: MissingDatabase,
    place: &str,
    connections: u32,
    printer: &Printer,
) -> Result<Store> {
    match Store::open_existing(url, connections).await {
        Err(StoreError::NoSchema) if missing == MissingDatabase::Create => {
            let store = Store::open(url, connections).await?;
            printer.note(format!("created the tables of a new database {place}"));
            Ok(store)
        }
        Err(StoreError::Outdated { .. }) if missing == MissingDatabase::Create => {
            Ok(Store::open(url, connections).await?)
        }
        Err(StoreError::NoSchema) => Err(no_database(place)),
        opened => Ok(opened?),
    }
}

/// Whoever reads an empty database made for the occasion would believe that nothing is watched.
pub fn no_database(place: &str) -> CommandError {
    unavailable(format!("there is no database {place}")).hint(
        "set `DATABASE_URL`, or `--data-dir DIR`, to the one that the workers use, or run this as their user; \
         `uptime db migrate` creates a new one",
    )
}

impl Embedded {
    async fn ensure_running(&self) -> Result<()> {
        let lease = Arc::clone(&self.lease);
        joined(
            tokio::task::spawn_blocking(move || {
                let mut lease = lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                lease.as_mut().map_or(Ok(()), |lease| lease.ensure_running(&|_| ()))
            })
            .await,
        )
    }

    async fn release(&self) {
        let lease = self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(lease) = lease else { return };
        // What can't be stopped now is stopped by the next user that leaves.
        match joined(tokio::task::spawn_blocking(move || lease.release()).await) {
            Ok(released) => tracing::debug!(?released, "embedded PostgreSQL"),
            Err(error) => warn!(%error, "embedded PostgreSQL was not stopped"),
        }
    }
}

fn joined<T>(ended: Result<Result<T, PostgresError>, tokio::task::JoinError>) -> Result<T> {
    match ended {
        Ok(result) => Ok(result?),
        Err(error) => Err(bug(format!("the embedded PostgreSQL's keeper: {error}"))),
    }
}
