//! The queues' names, as the file, the command line and the database have them.

pub const MONITOR_CHECKS: &str = "monitor-checks";
pub const NOTIFICATIONS: &str = "notifications";

/// Whether a queue's jobs are checks: of monitors without locations, or of one [location](crate::monitor::Location).
pub fn is_checks(queue: &str) -> bool {
    kind(queue) == MONITOR_CHECKS
}

/// By what a queue's jobs are worked on.
pub(crate) fn kind(queue: &str) -> &str {
    queue.split_once(':').map_or(queue, |(kind, _)| kind)
}
