//! From a host to the addresses that are tried, in the system resolver's order.
//!
//! The system's `getaddrinfo` is called through `dns-lookup` and not through std, because the error code decides
//! whether the target is down (the name does not exist) or we are blind (the resolver does not answer), and std
//! gives only a text that differs between systems. It blocks, so it runs on the blocking pool; a lookup whose check
//! has given up ends there by itself, and their number at once is bounded.

use crate::trace::{Step, Trace};
use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{IpFamily, Lookup};

/// Half of tokio's blocking threads: a resolver that hangs must not stop everything else that needs one.
const LOOKUPS_AT_ONCE: usize = 256;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// How the names of one check become addresses: as its monitor wants it, with one name perhaps decided already.
pub(crate) struct Names<'check> {
    resolver: &'check Resolver,
    lookup: Lookup,
    pin: Option<Pin>,
}

/// A name that was looked up before, and the one of its addresses that is used on every hop that leads to it.
pub(crate) struct Pin {
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    /// What the lookup took; `None` for an address that needed none.
    pub(crate) took: Option<Duration>,
}

impl<'check> Names<'check> {
    pub(crate) fn new(resolver: &'check Resolver, lookup: Lookup) -> Self {
        Self { resolver, lookup, pin: None }
    }

    /// The same, with one name decided.
    pub(crate) fn pinned(resolver: &'check Resolver, lookup: Lookup, pin: Pin) -> Self {
        Self { resolver, lookup, pin: Some(pin) }
    }

    /// The one address that is used for `host`, where that is decided.
    pub(crate) fn pinned_to(&self, host: &str) -> Option<IpAddr> {
        self.pin.as_ref().filter(|pin| pin.host == host).map(|pin| pin.address.ip())
    }

    /// The addresses of `host` (a name, or an address without brackets) that the monitor wants, with `port`; at
    /// least one.
    pub(crate) async fn resolve(
        &self,
        host: &str,
        port: u16,
        trace: &mut Trace,
    ) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(pin) = self.pin.as_ref().filter(|pin| pin.host == host) {
            trace.hop.phases.dns = pin.took;
            let mut address = pin.address;
            address.set_port(port);
            return Ok(vec![address]);
        }
        let found = if let Ok(address) = host.parse::<IpAddr>() {
            vec![SocketAddr::new(address, port)]
        } else {
            let since = trace.enter(Step::Resolve(host.to_owned()));
            let found = self.resolver.look_up(host).await;
            trace.hop.phases.dns = Some(since.elapsed());
            found?
        };
        select(host, &found, port, self.lookup.ip)
    }
}

/// What all lookups of a process share.
pub(crate) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)) }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<SocketAddr>, Failure> {
        let permit =
            Arc::clone(&self.lookups).acquire_owned().await.expect("because the semaphore is never closed");
        let name = host.to_owned();
        let looked_up = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // One socket type, or each address comes once per type.
            let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
            let entries = dns_lookup::getaddrinfo(Some(&name), None, Some(hints))?;
            Ok::<_, LookupError>(entries.filter_map(|entry| entry.ok().map(|entry| entry.sockaddr)).collect())
        });
        match looked_up.await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(failure(host, error)),
            Err(_) => Err(Failure::new(
                FailureClass::Resolver,
                format!("looking up `{host}`: the lookup broke off"),
            )),
        }
    }
}

/// Those of `found` that fit, each once, with the port.
fn select(host: &str, found: &[SocketAddr], port: u16, family: IpFamily) -> Result<Vec<SocketAddr>, Failure> {
    let mut fitting: Vec<SocketAddr> = Vec::new();
    for address in found {
        let fits = match family {
            IpFamily::Any | IpFamily::All => true,
            IpFamily::V4 => address.is_ipv4(),
            IpFamily::V6 => address.is_ipv6(),
        };
        let mut address = *address;
        address.set_port(port);
        if fits && fitting.len() < ADDRESSES_MAX && !fitting.contains(&address) {
            fitting.push(address);
        }
    }
    if fitting.is_empty() {
        let wanted = match family {
            IpFamily::Any | IpFamily::All => "address",
            IpFamily::V4 => "IPv4 address",
            IpFamily::V6 => "IPv6 address",
        };
        return Err(Failure::new(FailureClass::Dns, format!("`{host}` has no {wanted}")));
    }
    Ok(fitting)
}

fn failure(host: &str, error: LookupError) -> Failure {
    let kind = error.kind();
    let (class, words) = match kind {
        LookupErrorKind::NoName => (FailureClass::Dns, "no such name".to_owned()),
        LookupErrorKind::NoData => (FailureClass::Dns, "the name has no address".to_owned()),
        LookupErrorKind::Again => (
            FailureClass::Resolver,
            "this machine's resolver has no answer now (see /etc/resolv.conf)".to_owned(),
        ),
        LookupErrorKind::Fail => (FailureClass::Resolver, "this machine's resolver failed".to_owned()),
        LookupErrorKind::Memory => (FailureClass::Resources, "this machine has no memory left".to_owned()),
        // A name with a NUL or one that no resolver takes: nothing was asked.
        LookupErrorKind::IO if error.error_num() == 0 => {
            (FailureClass::Dns, "it is no name that can be looked up".to_owned())
        }
        _ => system(&io::Error::from(error)),
    };
    Failure::new(class, format!("looking up `{host}`: {words}"))
}

/// The resolver could not even ask. Whatever it is, it is on this machine.
fn system(error: &io::Error) -> (FailureClass, String) {
    let (class, words) = super::errno::classify(error);
    (if class.is_ours() { class } else { FailureClass::Resolver }, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(resolver: &Resolver, ip: IpFamily) -> Names<'_> {
        Names::new(resolver, Lookup { ip, resolver: None })
    }

    #[tokio::test]
    async fn a_literal_is_not_looked_up() {
        let mut trace = Trace::new();
        let resolver = Resolver::new();
        let found = names(&resolver, IpFamily::Any).resolve("::1", 80, &mut trace).await.expect("a literal");
        assert_eq!(found, [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80))]);
        assert_eq!(trace.hop.phases.dns, None);
        let failure = names(&resolver, IpFamily::V4)
            .resolve("::1", 80, &mut trace)
            .await
            .expect_err("the wrong family");
        assert_eq!(
            (failure.class, failure.message.as_str()),
            (FailureClass::Dns, "`::1` has no IPv4 address")
        );
    }

    #[tokio::test]
    async fn a_pinned_name_has_one_address() {
        let resolver = Resolver::new();
        let pin = Pin {
            host: "localhost".into(),
            address: SocketAddr::from(([192, 0, 2, 1], 0)),
            took: Some(Duration::from_millis(3)),
        };
        let names = Names::pinned(&resolver, Lookup::default(), pin);
        let mut trace = Trace::new();
        let found = names.resolve("localhost", 80, &mut trace).await.expect("it is pinned");
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 80))]);
        assert_eq!(trace.hop.phases.dns, Some(Duration::from_millis(3)));
        let found = names.resolve("127.0.0.1", 80, &mut trace).await.expect("another host");
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 80))]);
    }

    #[tokio::test]
    async fn localhost_is_looked_up() {
        let mut trace = Trace::new();
        let resolver = Resolver::new();
        let found =
            names(&resolver, IpFamily::V4).resolve("localhost", 7, &mut trace).await.expect("in /etc/hosts");
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 7))]);
        assert!(trace.hop.phases.dns.is_some());
    }

    #[test]
    fn the_code_decides_whose_fault_it_is() {
        // The numbers are glibc's, musl's and the BSDs' own; `dns-lookup` knows which.
        for (code, class) in
            [(dns_code("NONAME"), FailureClass::Dns), (dns_code("AGAIN"), FailureClass::Resolver)]
        {
            assert_eq!(failure("example.com", LookupError::new(code)).class, class);
        }
    }

    /// The code of this system for a kind of error, found by asking for each.
    fn dns_code(name: &str) -> i32 {
        (-20..20)
            .find(|&code| {
                code != 0
                    && match LookupErrorKind::new(code) {
                        LookupErrorKind::NoName => name == "NONAME",
                        LookupErrorKind::Again => name == "AGAIN",
                        _ => false,
                    }
            })
            .expect("each system has both")
    }

    #[test]
    fn addresses_come_once_and_not_without_end() {
        let many: Vec<SocketAddr> = (0..20).flat_map(|n| [SocketAddr::from(([10, 0, 0, n], 0)); 2]).collect();
        let selected = select("many", &many, 443, IpFamily::Any).expect("some");
        assert_eq!(selected.len(), ADDRESSES_MAX);
        assert_eq!(selected[1], SocketAddr::from(([10, 0, 0, 1], 443)));
    }
}
