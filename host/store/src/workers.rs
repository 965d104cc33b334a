//! The workers' signs of life: who works on what, how much was finished, and what operators ask of a worker.

use crate::row::{Columns, int};
use crate::{Store, StoreError};
use jiff::Timestamp;
use sqlx::Row;
use uuid::Uuid;

/// What a worker says of itself every few seconds.
#[derive(Clone, Debug)]
pub struct SignOfLife {
    /// The worker: one process on one queue.
    pub worker: Uuid,
    /// The queue.
    pub queue: &'static str,
    /// The host's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The program's version.
    pub version: &'static str,
    /// When it began by the database's clock; `None` for the first sign.
    pub started_at: Option<Timestamp>,
    /// Jobs in hand.
    pub running: usize,
    /// Jobs finished since the last sign.
    pub finished: u64,
}

/// What it hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When it began by the database's clock.
    pub started_at: Timestamp,
    /// Somebody wants it to finish what runs and to end.
    pub restart: bool,
    /// Nothing of its queue is to be claimed for now.
    pub paused: bool,
}

impl Store {
    /// Records that a worker lives, and asks what is wanted of it.
    pub async fn sign_of_life(&self, sign: &SignOfLife) -> Result<Asked, StoreError> {
        let row = sqlx::query(include_str!("../queries/sign_of_life.sql"))
            .bind(sign.worker)
            .bind(sign.queue)
            .bind(&sign.host)
            .bind(int(sign.pid))
            .bind(sign.version)
            .bind(crate::row::optional_instant(sign.started_at))
            .bind(i32::try_from(sign.running).unwrap_or(i32::MAX))
            .bind(i64::try_from(sign.finished).unwrap_or(i64::MAX))
            .fetch_one(&self.sessions)
            .await?;
        Ok(Asked {
            started_at: row.instant("started_at")?,
            restart: row.try_get("restart")?,
            paused: row.try_get("paused")?,
        })
    }

    /// A worker ends.
    pub async fn sign_off(&self, worker: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM workers WHERE id = $1").bind(worker).execute(&self.sessions).await?;
        Ok(())
    }
}
