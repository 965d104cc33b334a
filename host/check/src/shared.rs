//! What all checks of a process share.

use crate::cache::Cache;
use crate::ping::Pinger;
use crate::resolve::Resolver;
use crate::tls::Tls;
use regex::Regex;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use uptime_core::expectation::Pattern;
use uptime_core::secret::access::Access;

/// How many large bodies are judged at a time: each may take a core and, as JSON, a hundred times its size in memory.
const LARGE_BODIES_AT_ONCE: usize = 2;

/// How many file descriptors one check may hold: a connection, or before it two questions to a name server and one more
/// whether it works.
pub const DESCRIPTORS_PER_CHECK: u64 = 3;

/// How many all checks of a process may hold besides: for the further addresses of names (`ip = "all"`) and for the second
/// opinions on names.
pub const DESCRIPTORS_BESIDE: u64 = 512;

/// The fewest of them, whatever is asked for: a second opinion takes six, and a name has seven further addresses.
pub(crate) const FURTHER_MIN: usize = 8;

/// Compiled patterns: a spec is read from the database for each check, and compiling takes longer than the check.
pub(crate) type Patterns = Cache<Pattern, Regex>;

pub(crate) struct Shared {
    pub(crate) resolver: Resolver,
    pub(crate) tls: Tls,
    pub(crate) pinger: Pinger,
    /// For each descriptor that a check holds beyond its own.
    pub(crate) further: Arc<Semaphore>,
    pub(crate) patterns: Arc<Patterns>,
    /// For those who judge a large body.
    pub(crate) judging: Arc<Semaphore>,
    access: OnceLock<Access>,
}

impl Shared {
    pub(crate) fn new(tls: Tls) -> Self {
        let further = Arc::new(Semaphore::new(usize::try_from(DESCRIPTORS_BESIDE).unwrap_or(usize::MAX)));
        Self {
            resolver: Resolver::new(Arc::clone(&further)),
            tls,
            pinger: Pinger::new(),
            further,
            patterns: Arc::default(),
            judging: Arc::new(Semaphore::new(LARGE_BODIES_AT_ONCE)),
            access: OnceLock::new(),
        }
    }

    pub(crate) fn hold_beside(&self, descriptors: u64) {
        let most = usize::try_from(descriptors).unwrap_or(usize::MAX).max(FURTHER_MIN);
        self.further.forget_permits(self.further.available_permits().saturating_sub(most));
    }

    pub(crate) fn allow(&self, access: Access) {
        let _ = self.access.set(access);
    }

    /// Which secrets of this host a check may refer to. None, if nobody said so.
    pub(crate) fn access(&self) -> &Access {
        self.access.get_or_init(|| Access::from_environment("", ""))
    }
}
