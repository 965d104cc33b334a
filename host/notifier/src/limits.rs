//! What a plugin may use up in one call, and the counters that hold it to that.
//!
//! Everything has a limit. Memory and tables are asked for through [`Memory`], which remembers what it denied, so that
//! a guest that dies of it is told apart from one that crashes. CPU is counted in ticks of the engine's epoch.

use std::time::Duration;
use uptime_core::notifier::{Limit, LimitChanges};
use wasmtime::ResourceLimiter;

/// What one call of a plugin may use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU time; waiting for a provider does not count. Exact to about [`Limits::TICK`].
    pub cpu: Duration,
    /// From the call to its return, everything in it.
    pub wall_clock: Duration,
    /// Bytes of linear memory.
    pub memory: usize,
    /// Entries in all tables together.
    pub table_entries: usize,
    /// Bytes that a guest may hand over in one call to the host, or return.
    pub handed_over: usize,
    pub requests: u32,
    /// From a request's start to the end of its answer, at most; the guest may ask for less.
    pub request_timeout: Duration,
    /// Bytes of a request's body.
    pub request_body: usize,
    /// Bytes of an answer's body that the guest gets to see; what is behind is not read.
    pub response_body: usize,
    /// Log lines; what is over is dropped.
    pub log_lines: u32,
    /// Characters of a log line; what is over is cut off.
    pub log_line_chars: usize,
    /// Calls of the same plugin at the same time; what is over waits.
    pub concurrency: usize,
    /// Crashes, overdrawn limits and unreadable answers in a row after which the plugin is left alone for a while; 0: never.
    pub failures: u32,
}

impl Limits {
    /// How often the engine looks at a running guest.
    pub const TICK: Duration = Duration::from_millis(10);
    /// A guest's stack. The same for all: it belongs to the engine.
    pub const STACK: usize = 512 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        let value = |limit: Limit| limit.default_value();
        Self {
            cpu: Duration::from_millis(value(Limit::Cpu)),
            wall_clock: Duration::from_millis(value(Limit::Timeout)),
            memory: bytes(value(Limit::Memory)),
            table_entries: bytes(value(Limit::TableEntries)),
            handed_over: bytes(value(Limit::HandedOver)),
            requests: count(value(Limit::Requests)),
            request_timeout: Duration::from_millis(value(Limit::RequestTimeout)),
            request_body: bytes(value(Limit::RequestBody)),
            response_body: bytes(value(Limit::ResponseBody)),
            log_lines: count(value(Limit::LogLines)),
            log_line_chars: bytes(value(Limit::LogLineChars)),
            concurrency: bytes(value(Limit::Concurrency)),
            failures: count(value(Limit::Failures)),
        }
    }
}

impl Limits {
    /// These, but for what `changes` says.
    #[must_use]
    pub fn with(&self, changes: &LimitChanges) -> Self {
        let mut limits = self.clone();
        for (limit, value) in changes.iter() {
            match limit {
                Limit::Cpu => limits.cpu = Duration::from_millis(value),
                Limit::Timeout => limits.wall_clock = Duration::from_millis(value),
                Limit::Memory => limits.memory = bytes(value),
                Limit::TableEntries => limits.table_entries = bytes(value),
                Limit::HandedOver => limits.handed_over = bytes(value),
                Limit::Requests => limits.requests = count(value),
                Limit::RequestTimeout => limits.request_timeout = Duration::from_millis(value),
                Limit::RequestBody => limits.request_body = bytes(value),
                Limit::ResponseBody => limits.response_body = bytes(value),
                Limit::LogLines => limits.log_lines = count(value),
                Limit::LogLineChars => limits.log_line_chars = bytes(value),
                Limit::Concurrency => limits.concurrency = bytes(value),
                Limit::Failures => limits.failures = count(value),
            }
        }
        limits
    }
}

/// A size of this machine. The bounds of the limits fit into it everywhere.
fn bytes(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn count(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Grants or denies memory and tables, and remembers a denial.
#[derive(Debug)]
pub(crate) struct Memory {
    bytes_left: usize,
    entries_left: usize,
    /// Whether the guest was refused something.
    pub(crate) denied: bool,
}

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { bytes_left: limits.memory, entries_left: limits.table_entries, denied: false }
    }

    fn take(
        left: &mut usize,
        denied: &mut bool,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> bool {
        // Over the guest's own maximum: it fails anyway, and takes nothing.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let rest = left.checked_sub(desired.saturating_sub(current));
        *denied |= rest.is_none();
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.bytes_left, &mut self.denied, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::take(&mut self.entries_left, &mut self.denied, current, desired, maximum))
    }

    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_moves_its_own_limit() {
        for limit in Limit::ALL {
            let mut changes = LimitChanges::default();
            changes.set(limit, *limit.bounds().end()).expect("within the bounds");
            let moved = Limits::default().with(&changes);
            assert_ne!(moved, Limits::default(), "{limit:?}");
            let mut back = LimitChanges::default();
            back.set(limit, limit.default_value()).expect("within the bounds");
            assert_eq!(moved.with(&back), Limits::default(), "{limit:?}");
        }
    }
}
