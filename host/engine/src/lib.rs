//! Everything that moves: the scheduler, the workers, the checks, the deliveries.
//!
//! It decides by `uptime-core`, keeps by `uptime-store` and tells by `uptime-notifier`. It prints nothing: what
//! happened goes to the log, and to an [`Observer`] for whoever shows it.

pub mod checks;
pub mod deliveries;
mod guests;
pub mod heartbeat;
pub mod hosts;
pub mod lateness;
pub mod liveness;
mod patience;
pub mod scheduler;
pub mod sight;
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

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Activity {
    /// A check was recorded.
    Checked {
        /// Of which monitor.
        monitor: String,
        /// What it found.
        report: CheckReport,
        /// From its slot to its start.
        late: Duration,
    },
    /// An incident opened.
    Opened {
        /// Of which monitor.
        monitor: String,
        /// Which.
        incident: IncidentId,
        /// How bad it is.
        severity: Severity,
        /// The first failure.
        started_at: Timestamp,
        /// What opened it.
        cause: Option<Failure>,
    },
    /// An incident ended.
    Resolved {
        /// Of which monitor.
        monitor: String,
        /// Which.
        incident: IncidentId,
        /// The first failure.
        started_at: Timestamp,
        /// The first success.
        ended_at: Timestamp,
    },
    /// A delivery was tried.
    Delivery {
        /// To which channel.
        channel: String,
        /// About which monitor.
        monitor: String,
        /// What was told.
        event: EventType,
        /// How the try ended.
        end: DeliveryEnd,
    },
    /// None of a host's witnesses answers: its network is away, and no failure counts. Told by the worker that said so first.
    Blind {
        /// Which host.
        host: String,
        /// Who did not answer.
        why: String,
    },
    /// One does again.
    Seeing {
        /// Which host.
        host: String,
        /// How long none did.
        blind_for: Duration,
    },
    /// Monitors have had no result for too long. Told by the worker that said so first.
    Stalled {
        /// The queue of their checks.
        queue: String,
        /// How many, which, and why.
        why: String,
    },
    /// They have results again.
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
    /// They do not any more.
    KeepingUp,
    /// A worker has had a word with its database.
    Settled {
        /// The queue.
        queue: &'static str,
        /// Jobs that were settled in it.
        settled: u64,
        /// Jobs that it has in hand.
        in_hand: usize,
    },
    /// A loop turned: it is not stuck. Comes every few seconds, more seldom while the database does not answer.
    Turned {
        /// The queue, or `schedule`.
        by: &'static str,
    },
    /// The database can't be reached, or can't work.
    DatabaseAway {
        /// Who noticed.
        queue: &'static str,
        /// Why.
        reason: String,
        /// It stays so until a person mends it.
        needs_operator: bool,
    },
    /// It can be again.
    DatabaseBack {
        /// Who noticed.
        queue: &'static str,
    },
}
