//! A worker's heartbeats: that it lives, and what it hears in return. Beside its round trips, so that one that takes long does not
//! make the worker look dead. Whoever sees that others are dead frees their jobs.

use super::neighbours;
use crate::db_timeout;
use jiff::Timestamp;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinHandle};
use tracing::warn;
use uptime_core::liveness::HEARTBEAT_EVERY;
use uptime_store::workers::{Heartbeat, Orders};
use uptime_store::{Store, StoreError};
use uuid::Uuid;

pub(super) type HeartbeatEnd = Result<Result<Orders, StoreError>, JoinError>;

/// Who a worker is, as the database knows it, and the heartbeat that is under way.
pub(super) struct Heartbeats {
    id: Uuid,
    queue: &'static str,
    host: String,
    process_space: Option<String>,
    /// What claims bear; `None` until the first heartbeat was answered.
    number: Option<i32>,
    /// By the database's clock.
    started_at: Option<Timestamp>,
    began_at: Option<Instant>,
    /// The one under way, and how many finished jobs it tells of.
    under_way: Option<(JoinHandle<Result<Orders, StoreError>>, u64)>,
    /// Jobs that finished since the last one.
    finished: u64,
}

/// What is said of the worker's jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub running: usize,
    pub paused: bool,
}

impl Heartbeats {
    pub fn new(queue: &'static str) -> Self {
        Self {
            id: Uuid::new_v4(),
            queue,
            host: super::host_name(),
            process_space: neighbours::process_space(),
            number: None,
            started_at: None,
            began_at: None,
            under_way: None,
            finished: 0,
        }
    }

    pub fn number(&self) -> Option<i32> {
        self.number
    }

    pub fn count(&mut self, finished: u64) {
        self.finished += finished;
    }

    /// The next one begins at once: there is something to say, or to hear.
    pub fn hurry(&mut self) {
        self.began_at = None;
    }

    /// Whether claims wait for the number that the first one brings.
    pub fn is_first_under_way(&self) -> bool {
        self.under_way.is_some() && self.number.is_none()
    }

    /// How long until the next one is due; `None` while one is under way.
    pub fn due_in(&self) -> Option<Duration> {
        let due_in = self.began_at.map_or(Duration::ZERO, |at| HEARTBEAT_EVERY.saturating_sub(at.elapsed()));
        self.under_way.is_none().then_some(due_in)
    }

    pub fn begin(&mut self, store: &Store, load: Load) {
        self.began_at = Some(Instant::now());
        let (store, beat) = (store.clone(), self.heartbeat(load));
        let finished = beat.finished;
        let sent = tokio::spawn(db_timeout::goodbye(async move {
            let orders = store.heartbeat(&beat).await?;
            let gone = neighbours::gone(&orders.neighbours);
            if orders.missing || !gone.is_empty() {
                let (dead, freed) = store.remove_workers(beat.worker, &gone).await?;
                if dead > 0 {
                    warn!(
                        queue = beat.queue,
                        dead, freed, "workers died without a word: their jobs are free"
                    );
                }
            }
            Ok(orders)
        }));
        self.under_way = Some((sent, finished));
    }

    /// Waits for the answer to the one that is under way.
    pub async fn heard(&mut self) -> HeartbeatEnd {
        match &mut self.under_way {
            Some((sent, _)) => sent.await,
            None => std::future::pending().await,
        }
    }

    /// Ends the one that is under way. What it could not say is said with the next: nobody's job waits for it.
    pub fn end(&mut self, heard: HeartbeatEnd) -> Option<Orders> {
        let told = self.under_way.take().map_or(0, |(_, finished)| finished);
        let orders = heard.ok()?.ok()?;
        self.finished = self.finished.saturating_sub(told);
        self.number = Some(orders.number);
        self.started_at = Some(orders.started_at);
        Some(orders)
    }

    /// The last one: what finished last is told of, too, and the row goes.
    pub async fn sign_off(&mut self, store: &Store) {
        if self.under_way.is_some() {
            let heard = self.heard().await;
            self.end(heard);
        }
        if self.number.is_some() {
            let last = self.heartbeat(Load { running: 0, paused: false });
            let _ = db_timeout::goodbye(store.heartbeat(&last)).await;
        }
        let _ = db_timeout::goodbye(store.sign_off(self.id)).await;
    }

    fn heartbeat(&self, load: Load) -> Heartbeat {
        Heartbeat {
            worker: self.id,
            queue: self.queue,
            host: self.host.clone(),
            pid: std::process::id(),
            process_space: self.process_space.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.started_at,
            running: load.running,
            paused: load.paused,
            finished: self.finished,
        }
    }
}
