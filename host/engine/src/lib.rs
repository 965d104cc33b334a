//! Everything that moves: the scheduler, the workers, the checks, the deliveries.
//!
//! It decides by `uptime-core`, keeps by `uptime-store` and tells by `uptime-notifier`. It prints nothing: what
//! happened goes to the log, and to an [`Observer`] for whoever shows it.

pub mod checks;
mod db_timeout;
pub mod deliveries;
mod guests;
pub mod heartbeat;
pub mod hosts;
pub mod lateness;
pub mod liveness;
pub mod own_network;
pub mod scheduler;
pub mod worker;

use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use uptime_core::check::{CheckReport, Failure};
use uptime_core::event::{EventType, Severity};
use uptime_core::id::IncidentId;
use uptime_store::notifications::DeliveryEnd;

/// Is told what happened, after it was committed. Must return at once.
pub type Observer = Arc<dyn Fn(Activity) + Send + Sync>;

#[derive(Clone, Debug)]
pub enum Activity {
    Checked {
        monitor: String,
        report: CheckReport,
        /// From its slot to its start.
        late: Duration,
        /// Whether it changes something for whoever reads along.
        is_news: bool,
    },
    Opened {
        monitor: String,
        incident: IncidentId,
        severity: Severity,
        started_at: Timestamp,
        cause: Option<Failure>,
    },
    Resolved {
        monitor: String,
        incident: IncidentId,
        started_at: Timestamp,
        ended_at: Timestamp,
    },
    Delivery {
        channel: String,
        monitor: String,
        event: EventType,
        end: DeliveryEnd,
    },
    /// None of a host's witnesses answers: its network is away, and no failure counts. Told by the worker that said so first.
    Blind {
        host: String,
        /// Who did not answer.
        why: String,
    },
    Seeing {
        host: String,
        blind_for: Duration,
    },
    /// Monitors have had no result for too long. Told by the worker that said so first.
    Stalled {
        /// The queue of their checks.
        queue: String,
        /// How many, which, and why.
        why: String,
    },
    Running {
        /// The queue of their checks.
        queue: String,
        /// How long they had none, since it was told.
        stalled_for: Duration,
    },
    /// Checks begin late, and have for a while.
    FallingBehind {
        /// Of so many checks of the last half a minute …
        of: u64,
        /// … so many were late …
        late: u64,
        /// … and none more than this.
        worst: Duration,
    },
    KeepingUp,
    /// A worker has had a word with its database.
    Settled {
        queue: &'static str,
        /// Jobs that were settled in it.
        settled: u64,
        /// Jobs that it is running.
        running: usize,
    },
    /// A loop turned: it is not stuck. Comes every few seconds, more seldom while the database does not answer.
    Turned {
        /// The queue, or `schedule`.
        by: &'static str,
    },
    /// The database can't be reached, or can't work.
    DatabaseAway {
        queue: &'static str,
        reason: String,
        /// It stays so until a person mends it.
        needs_operator: bool,
    },
    DatabaseBack {
        queue: &'static str,
    },
}
