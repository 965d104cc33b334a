//! The workers' heartbeats: who works on what, how much was finished, what operators ask of a worker, and who is dead.
//!
//! ```text
//!            heartbeat every 5 s                    heartbeat
//!   ─ first ────────────────────▶ live ──1──2 missed──▶ not counted ──3 missed──▶ dead: its row goes, its jobs are free
//!                                  ▲ └─────────────────────────────────────────▶ dead, at once: its process is gone
//!                                  └── a heartbeat after all: a new row, and its old claims are fenced
//! ```

use crate::row::{Field, bind, rows};
use crate::{Result, Store};
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use uptime_core::liveness::{DEAD_AFTER, STEADY_WITHIN};
use uuid::Uuid;

/// What a worker says of itself every few seconds.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The worker: one process on one queue.
    pub worker: Uuid,
    pub queue: &'static str,
    pub host: String,
    pub pid: u32,
    /// Names the processes that can be seen by their pid from here; `None`: unknown.
    pub process_space: Option<String>,
    pub version: &'static str,
    /// When it began by the database's clock; `None` for the first heartbeat.
    pub started_at: Option<Timestamp>,
    pub running: usize,
    pub paused: bool,
    pub finished: u64,
}

rows! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Orders {
        /// Its number, for what it claims.
        pub number: i32,
        /// When it began by the database's clock.
        pub started_at: Timestamp,
        /// Somebody wants it to finish what runs and to end.
        pub restart: bool,
        /// Nothing of its queue is to be claimed for now.
        pub paused: bool,
        /// Workers in other processes of its process space.
        pub neighbours: Vec<(Uuid, u32)>,
        pub missing: bool,
    }
}

impl Field for Vec<(Uuid, u32)> {
    fn read(row: &PgRow, _: &str) -> sqlx::Result<Self> {
        let (ids, pids): (Vec<Uuid>, Vec<u32>) = (Field::read(row, "ids")?, Field::read(row, "pids")?);
        Ok(ids.into_iter().zip(pids).collect())
    }
}

impl Store {
    /// Records that a worker lives, and asks what is wanted of it.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<Orders> {
        let Heartbeat { worker, queue, host, pid, process_space, version, .. } = beat;
        let Heartbeat { started_at, running, paused, finished, .. } = *beat;
        let running = u32::try_from(running).unwrap_or(u32::MAX);
        let space = process_space.as_deref();
        let query = sqlx::query_as(include_str!("../queries/heartbeat.sql"));
        let query = bind!(query, *worker, *queue, host, *pid, *version, started_at, running, finished, space);
        Ok(bind!(query, STEADY_WITHIN, paused, DEAD_AFTER).fetch_one(&self.sessions).await?)
    }

    /// Forgets workers that are dead and frees their jobs: those of `gone`, whose processes are, and whoever has missed
    /// three heartbeats, if `judge` missed none for as long. Gives how many workers and jobs.
    pub async fn remove_workers(&self, judge: Uuid, gone: &[Uuid]) -> Result<(i64, i64)> {
        let query = sqlx::query_as("SELECT dead, freed FROM remove_workers($1, $2, $3)");
        Ok(bind!(query, judge, gone, DEAD_AFTER).fetch_one(&self.sessions).await?)
    }

    pub async fn sign_off(&self, worker: Uuid) -> Result<()> {
        bind!(sqlx::query("DELETE FROM workers WHERE id = $1"), worker).execute(&self.sessions).await?;
        Ok(())
    }
}
