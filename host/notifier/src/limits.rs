//! What a plugin may use up in one call, and the counters that hold it to that.
//!
//! Everything has a limit. Memory and tables are asked for through [`Memory`], which remembers what it denied, so that
//! a guest that dies of it is told apart from one that crashes. CPU is counted in ticks of the engine's epoch.

use std::time::Duration;
use uptime_core::notifier::{Limit, LimitChanges};
use wasmtime::ResourceLimiter;

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $read:ident($limit:ident)),+ $(,)?) => {
        /// What one call of a plugin may use up; [`Limit::doc`] says what each is.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits { $($(#[$doc])* pub $field: $type),+ }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $read(Limit::$limit.default_value())),+ }
            }
        }

        impl Limits {
            /// These, but for what `changes` says.
            #[must_use]
            pub fn with(&self, changes: &LimitChanges) -> Self {
                let mut limits = self.clone();
                for (limit, value) in changes.iter() {
                    match limit { $(Limit::$limit => limits.$field = $read(value)),+ }
                }
                limits
            }
        }
    };
}

limits! {
    /// Exact to about [`Limits::TICK`].
    cpu: Duration = time(Cpu),
    wall_clock: Duration = time(Timeout),
    memory: usize = size(Memory),
    table_entries: usize = size(TableEntries),
    handed_over: usize = size(HandedOver),
    requests: u32 = count(Requests),
    /// At most; the guest may ask for less.
    request_timeout: Duration = time(RequestTimeout),
    request_body: usize = size(RequestBody),
    response_body: usize = size(ResponseBody),
    log_lines: u32 = count(LogLines),
    log_line_chars: usize = size(LogLineChars),
    concurrency: usize = size(Concurrency),
    failures: u32 = count(Failures),
}

impl Limits {
    /// How often the engine looks at a running guest.
    pub const TICK: Duration = Duration::from_millis(10);
    /// A guest's stack. The same for all: it belongs to the engine.
    pub const STACK: usize = 512 * 1024;
}

fn time(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// A size of this machine. The bounds of the limits fit into it everywhere.
fn size(value: u64) -> usize {
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
        for &limit in Limit::ALL {
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
