//! What a plugin may use up in one call, and the counters that hold it to that.
//!
//! Everything has a limit. Memory and tables are asked for through [`Memory`], which remembers what it denied, so that
//! a guest that dies of it is told apart from one that crashes. CPU is counted in ticks of the engine's epoch.

use std::time::Duration;
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
    /// Requests.
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
        Self {
            cpu: Duration::from_millis(500),
            wall_clock: Duration::from_secs(45),
            memory: 16 * 1024 * 1024,
            table_entries: 20_000,
            handed_over: 8 * 1024 * 1024,
            requests: 8,
            request_timeout: Duration::from_secs(20),
            request_body: 256 * 1024,
            response_body: 64 * 1024,
            log_lines: 50,
            log_line_chars: 500,
            concurrency: 1_024,
            failures: 5,
        }
    }
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
