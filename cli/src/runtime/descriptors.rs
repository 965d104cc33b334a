//! File descriptors: as many as the system gives, and no more checks at once than there are descriptors for.
//!
//! What would have to fail for want of one waits instead. `worker`, `up` and `check` use it.

use crate::exit::{CommandError, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use uptime_check::{Checker, DESCRIPTORS_BESIDE, DESCRIPTORS_PER_CHECK};
use uptime_core::secret::access::Access;

/// The part of all, as a divisor, that is left to what the checks hold besides those of each.
const BESIDE: u64 = 8;

/// What is kept for files, the log, plugins, and what nobody thought of.
const SPARE: u64 = 16;

/// What this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// `None`: there is no limit.
    pub limit: Option<u64>,
}

/// Raises what this process may open as far as it may.
pub fn raise() -> Descriptors {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Descriptors { limit: current };
    }
    // A system that has a limit of its own beside the hard one (macOS) refuses; then all stays as it is.
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => Descriptors { limit: maximum },
        Err(_) => Descriptors { limit: current },
    }
}

impl Descriptors {
    /// How many the checks may hold besides those of each: further addresses, second opinions.
    pub fn beside(self) -> u64 {
        self.limit.map_or(DESCRIPTORS_BESIDE, |limit| (limit / BESIDE).min(DESCRIPTORS_BESIDE))
    }

    /// How many checks there are descriptors for, beside `others` that are open or will be. At least one.
    pub fn checks_at_once(self, others: u64) -> usize {
        let others = others.saturating_add(SPARE).saturating_add(self.beside());
        let left = self.limit.map(|limit| limit.saturating_sub(others) / DESCRIPTORS_PER_CHECK);
        left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX).max(1))
    }
}

/// The check engine, with the secrets of this host that checks may refer to.
pub fn checker(access: Access) -> Result<Checker> {
    let checker =
        Checker::new().map_err(|error| CommandError::new(error.class().into(), error.to_string()))?;
    let checker = checker.with_access(access);
    checker.hold_beside(raise().beside());
    Ok(checker)
}

/// How many this process has open; `None` where the system does not say.
pub fn open() -> Option<u64> {
    // The look itself opens one.
    let count = std::fs::read_dir("/dev/fd").ok()?.count();
    u64::try_from(count).ok().map(|count| count.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_get_what_others_leave() {
        let of = |limit| Descriptors { limit };
        assert_eq!((of(Some(64)).beside(), of(Some(64)).checks_at_once(20)), (8, 6));
        assert_eq!(of(Some(1_048_576)).checks_at_once(20), (1_048_576 - 512 - 36) / 3);
        assert_eq!(of(Some(16)).checks_at_once(20), 1, "one check goes on in any case");
        assert_eq!(of(None).checks_at_once(20), usize::MAX);
    }

    #[test]
    fn what_is_open_is_counted() {
        let before = open().expect("this system says it");
        let _file = std::fs::File::open("/dev/null").expect("a file");
        assert!(open().is_some_and(|now| now > 0 && before > 0));
        assert!(raise().limit.is_none_or(|limit| limit >= before));
    }
}
