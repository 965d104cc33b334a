//! One execution of a check: what a monitor asks of its target, done once, within one deadline.
//!
//! A target that is down is an answer ([`CheckReport`]), never an error. Nothing here retries, judges an outage or
//! knows a database: the worker calls [`Checker::check`] and stores what it says. Each check speaks over a fresh
//! connection, so that it sees what a new visitor would see, and every wait inside it is bounded by its timeout.

mod connect;
mod errno;
mod every;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
mod icmp;
mod patterns;
mod ping;
mod redaction;
mod resolve;
pub mod secrets;
mod tcp;
mod tls;
mod trace;

pub use tls::files;

use crate::patterns::Patterns;
use crate::ping::Pinger;
use crate::resolve::{Names, Resolver};
use crate::tls::Tls;
use crate::trace::Trace;
use rustls::RootCertStore;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uptime_core::ErrorClass;
use uptime_core::check::CheckReport;
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::access::Access;

/// Beyond this a timeout is no timeout, and adding it to an instant could overflow.
const TIMEOUT_MAX: Duration = Duration::from_hours(24);

/// How many large bodies are judged at a time: each may take a core and, as JSON, a hundred times its size in memory.
const LARGE_BODIES_AT_ONCE: usize = 2;

/// How many file descriptors one check may hold: a connection, or before it two questions to a name server and one more
/// whether it works.
pub const DESCRIPTORS_PER_CHECK: u64 = 3;

/// How many all checks of a process may hold besides: for the further addresses of names (`ip = "all"`) and for the second
/// opinions on names.
pub const DESCRIPTORS_BESIDE: u64 = 512;

/// The fewest of them, whatever is asked for: a second opinion takes six, and a name has seven further addresses.
const FURTHER_MIN: usize = 8;

/// Runs checks. Clones share what is worth sharing: the trusted certificates, the ping sockets, the bound on name
/// lookups at once. One is enough for a process; it must be used inside one tokio runtime.
#[derive(Clone)]
pub struct Checker {
    means: Arc<Means>,
}

/// What all checks of a process share.
struct Means {
    resolver: Resolver,
    tls: Tls,
    pinger: Pinger,
    /// For each descriptor that a check holds beyond its own.
    further: Arc<Semaphore>,
    patterns: Arc<Patterns>,
    /// For those who judge a large body.
    judging: Arc<Semaphore>,
    access: OnceLock<Access>,
}

impl Means {
    /// Which secrets of this host a check may refer to. None, if nobody said so.
    fn access(&self) -> &Access {
        self.access.get_or_init(|| Access::from_environment("", ""))
    }
}

/// Why there can be no [`Checker`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckerError {
    /// The TLS library refuses its own settings.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl CheckerError {
    /// Nothing from outside goes into these settings.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

impl Checker {
    /// A checker that trusts the certificates that this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are
    /// looked at). They are read once. Where there are none, `https` checks are inconclusive and say so, and the
    /// others work.
    pub fn new() -> Result<Self, CheckerError> {
        Ok(Self::over(Tls::native()?))
    }

    /// A checker that trusts `roots` alone.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, CheckerError> {
        Ok(Self::over(Tls::with_roots(roots)?))
    }

    fn over(tls: Tls) -> Self {
        let further = usize::try_from(DESCRIPTORS_BESIDE).unwrap_or(usize::MAX);
        let further = Arc::new(Semaphore::new(further));
        Self {
            means: Arc::new(Means {
                resolver: Resolver::new(Arc::clone(&further)),
                tls,
                pinger: Pinger::new(),
                further,
                patterns: Arc::default(),
                judging: Arc::new(Semaphore::new(LARGE_BODIES_AT_ONCE)),
                access: OnceLock::new(),
            }),
        }
    }

    /// Has the checks hold no more than `descriptors` besides those of each, in place of [`DESCRIPTORS_BESIDE`], though
    /// always eight for further addresses and second opinions. To be said once, before the first check.
    pub fn hold_beside(&self, descriptors: u64) {
        let most = usize::try_from(descriptors).unwrap_or(usize::MAX).max(FURTHER_MIN);
        let further = &self.means.further;
        further.forget_permits(further.available_permits().saturating_sub(most));
    }

    /// Lets the checks use the secrets of this host that `access` allows. To be said once, before the first check.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        let _ = self.means.access.set(access);
        self
    }

    /// Checks a target once. Returns within `timeout`, whatever the target does.
    pub async fn check(&self, spec: &CheckSpec, timeout: Duration) -> CheckReport {
        let started = Instant::now();
        let course = Course { spec, started, deadline: started + timeout.min(TIMEOUT_MAX), timeout };
        let means = &*self.means;
        if every::is_wanted(spec) {
            return every::run(means, course).await;
        }
        course.run(means, &Names::new(&means.resolver, spec.lookup(), course.deadline)).await
    }
}

#[derive(Clone, Copy)]
struct Course<'check> {
    spec: &'check CheckSpec,
    started: Instant,
    deadline: Instant,
    /// From the start to the deadline, as the monitor has it.
    timeout: Duration,
}

impl Course<'_> {
    /// The check, over the addresses that `names` gives.
    async fn run(self, means: &Means, names: &Names<'_>) -> CheckReport {
        let Self { spec, started, deadline, timeout } = self;
        let mut trace = Trace::new();
        // The steps write down where they are, so that one timer can bound them all and still say what it cut off.
        // Boxed, for a check is moved several times before it runs, and would be as large as the largest of them.
        let verdict = match spec {
            CheckSpec::Http(http) => {
                let run = Box::pin(http::run(means, names, http, started, deadline, &mut trace));
                timeout_at(deadline, run).await
            }
            CheckSpec::Tcp(tcp) => {
                let run = Box::pin(tcp::run(means, names, tcp, started, deadline, &mut trace));
                timeout_at(deadline, run).await
            }
            // What came back by the deadline counts, so this one must not be cut off from outside.
            CheckSpec::Ping(ping) => ping::run(means, names, ping, deadline, &mut trace).await,
        };
        let failure = match verdict {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(trace.cut_off(timeout)),
        };
        trace.into_report(failure, started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_core::check::FailureClass;
    use uptime_core::monitor::{IpFamily, Lookup, TcpSpec};
    use uptime_tests::{DnsRecord, DnsReply, NameServer, RecordKind};

    #[tokio::test]
    async fn a_check_is_small_enough_to_be_moved() {
        let checker = Checker::new().expect("a checker");
        let spec = uptime_core::target::parse("ping://127.0.0.1").expect("a target");
        // A check is moved three times before it runs; at 12.7 KB that was a sixth of what a ping costs.
        assert!(size_of_val(&checker.check(&spec, TIMEOUT_MAX)) < 4096);
    }

    #[tokio::test]
    async fn further_addresses_wait_for_their_room() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = NameServer::start(|question| match question.kind {
            RecordKind::A => DnsReply::Records(
                [[127, 0, 0, 1], [127, 0, 0, 2]]
                    .map(|address| DnsRecord::Address(question.name.clone(), address.into()))
                    .into(),
            ),
            _ => DnsReply::Records(Vec::new()),
        });
        let lookup = Lookup { ip: IpFamily::All, resolver: Some(server.address()) };
        let tcp = uptime_core::target::tcp("host.example".into(), port);
        let spec = CheckSpec::Tcp(TcpSpec { lookup, ..tcp });
        let checker = Checker::new().expect("a checker");
        checker.hold_beside(2);
        let further = &checker.means.further;
        assert_eq!(further.available_permits(), FURTHER_MIN);
        let report = checker.check(&spec, Duration::from_secs(10)).await;
        assert_eq!((report.failure, report.hops.len()), (None, 2));
        assert_eq!(further.available_permits(), FURTHER_MIN);
        let others = further.acquire_many(8).await.expect("never closed");
        let report = checker.check(&spec, Duration::from_millis(300)).await;
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Resources));
        drop(others);
    }
}
