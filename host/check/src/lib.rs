//! One execution of a check: what a monitor asks of its target, done once, within one deadline.
//!
//! A target that is down is an answer ([`CheckReport`]), never an error. Nothing here retries, judges an outage or
//! knows a database: the worker calls [`Checker::check`] and stores what it says. Each check speaks over a fresh
//! connection, so that it sees what a new visitor would see, and every wait inside it is bounded by its timeout.

mod addresses;
mod cache;
mod connect;
mod dns;
mod errno;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
mod icmp;
mod ping;
mod redaction;
mod resolve;
pub mod secrets;
mod shared;
mod tcp;
mod tls;
mod trace;

pub use shared::{DESCRIPTORS_BESIDE, DESCRIPTORS_PER_CHECK};
pub use tls::files;

use jiff::Timestamp;
use rustls::RootCertStore;
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tls::Tls;
use trace::Deadline;
use uptime_core::ErrorClass;
use uptime_core::check::CheckReport;
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::access::Access;

/// Runs checks. Clones share what is worth sharing: the trusted certificates, the ping sockets, the bound on name
/// lookups at once. One is enough for a process; it must be used inside one tokio runtime.
#[derive(Clone)]
pub struct Checker {
    shared: Arc<Shared>,
}

/// Why there can be no [`Checker`]: the TLS library refuses its own settings.
#[derive(Debug, Error)]
#[error("TLS can't be set up: {0}")]
pub struct CheckerError(#[from] rustls::Error);

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
        Ok(Self { shared: Arc::new(Shared::new(Tls::native()?)) })
    }

    /// A checker that trusts `roots` alone.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, CheckerError> {
        Ok(Self { shared: Arc::new(Shared::new(Tls::with_roots(roots)?)) })
    }

    /// Has the checks hold no more than `descriptors` besides those of each, in place of [`DESCRIPTORS_BESIDE`], though
    /// always eight for further addresses and second opinions. To be said once, before the first check.
    pub fn hold_beside(&self, descriptors: u64) {
        self.shared.hold_beside(descriptors);
    }

    /// Lets the checks use the secrets of this host that `access` allows. To be said once, before the first check.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        self.shared.allow(access);
        self
    }

    /// Has certificates judged by a clock that shows `now`, since this machine's may be wrong: an hour at least.
    pub fn set_clock(&self, now: Timestamp) {
        self.shared.tls.set_clock(now);
    }

    /// Checks a target once. Returns within `timeout`, whatever the target does.
    pub async fn check(&self, spec: &CheckSpec, timeout: Duration) -> CheckReport {
        addresses::run(&self.shared, spec, Deadline::within(timeout)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::FURTHER_MIN;
    use crate::trace::TIMEOUT_MAX;
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
        let further = &checker.shared.further;
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
