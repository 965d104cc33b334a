//! From a host to the addresses that are tried, in the resolver's order.
//!
//! A monitor that names a name server has it asked, and nothing else; the others ask this machine's own resolver.
//! Either way the class of a failure says whose it is: a name that is not there, and a zone whose name servers do not
//! answer, are the target's; a resolver that is gone is ours. A resolver that gives no answer for a name is asked for
//! the root's name servers: when it knows them it works, and the trouble lies behind it.

mod dns_error;
mod question;
mod records;
mod server;
mod system;
pub(crate) mod zone;

pub(crate) use dns_error::{of_name, shown, unanswered};
pub(crate) use question::{DnsAnswer, Question, ask};
pub(crate) use records::text;
pub(crate) use server::{follow_names, mnemonic, name};

use crate::errno;
use crate::trace::{Deadline, Trace};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{IpFamily, Lookup};

/// Half of tokio's blocking threads: a resolver that hangs must not stop everything else that needs one.
const LOOKUPS_AT_ONCE: usize = 256;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// How long it is believed that a name server works that knew the root's.
const WORKS_FOR: Duration = Duration::from_secs(5);

/// How the names of one check become addresses: as its monitor wants it, with one name perhaps decided already.
pub(crate) struct HostLookup<'check> {
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

impl<'check> HostLookup<'check> {
    pub(crate) fn new(resolver: &'check Resolver, lookup: Lookup) -> Self {
        Self { resolver, lookup, pin: None }
    }

    /// The same, with one name decided.
    pub(crate) fn pinned(self, pin: Pin) -> Self {
        Self { pin: Some(pin), ..self }
    }

    /// The one address that was decided.
    pub(crate) fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
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
        let found = if let Some(address) = zone::parse(host) {
            vec![address]
        } else {
            let asked = Arc::new(ResolverHealth::new(self.lookup.resolver));
            let since = trace.enter({
                let (host, asked) = (host.to_owned(), Arc::clone(&asked));
                move |waited, phases, limit| {
                    phases.dns = Some(waited);
                    asked.cut_off(&host, limit)
                }
            });
            // Boxed, or the largest of all steps makes every check as large, and a check is moved on its way to its task.
            let found = match self.lookup.resolver {
                Some(server) => {
                    let (ip, deadline) = (self.lookup.ip, trace.deadline);
                    Box::pin(self.resolver.by_server(server, host, ip, deadline, &asked)).await
                }
                None => Box::pin(self.resolver.by_system(host, trace.deadline, &asked)).await,
            };
            trace.hop.phases.dns = Some(since.elapsed());
            found?
        };
        select(host, &found, port, self.lookup.ip)
    }
}

/// Who was asked for a name, and whether it works. Kept apart from the lookup, so that it is still there when the
/// deadline has ended it.
struct ResolverHealth {
    server: Option<SocketAddr>,
    works: AtomicBool,
}

impl ResolverHealth {
    fn new(server: Option<SocketAddr>) -> Self {
        Self { server, works: AtomicBool::new(false) }
    }

    /// It answers, though not for this name.
    fn set_works(&self) {
        self.works.store(true, Relaxed);
    }

    fn works(&self) -> bool {
        self.works.load(Relaxed)
    }

    /// The failure of a lookup that did not end within `limit`.
    fn cut_off(&self, host: &str, limit: &str) -> Failure {
        let (class, who) = match self.server {
            _ if self.works() => (FailureClass::Dns, "its name servers".to_owned()),
            Some(server) => (FailureClass::Resolver, shown(server)),
            None => (FailureClass::Resolver, "this machine's resolver".to_owned()),
        };
        Failure::new(class, format!("looking up `{host}`: {who} gave no answer within {limit}"))
    }
}

/// What all lookups of a process share.
pub(crate) struct Resolver {
    lookups: Arc<Semaphore>,
    /// For each socket of a second opinion.
    further: Arc<Semaphore>,
    /// Names this machine's name servers.
    resolv_conf: PathBuf,
    /// Where those listen: the file can't say it.
    server_port: u16,
    /// When a name server last knew the root's.
    worked_at: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Resolver {
    /// A resolver that takes a permit of `further` for each socket of a second opinion.
    pub(crate) fn new(further: Arc<Semaphore>) -> Self {
        Self::with_resolv_conf("/etc/resolv.conf".into(), 53, further)
    }

    /// The same, which takes the machine's name servers from another file, and asks them at another port.
    pub(crate) fn with_resolv_conf(resolv_conf: PathBuf, server_port: u16, further: Arc<Semaphore>) -> Self {
        let lookups = Arc::new(Semaphore::new(LOOKUPS_AT_ONCE));
        Self { lookups, further, resolv_conf, server_port, worked_at: Mutex::default() }
    }

    /// The addresses of `host` as `server` has them; it alone is asked.
    async fn by_server(
        &self,
        server: SocketAddr,
        host: &str,
        family: IpFamily,
        deadline: Deadline,
        asked: &ResolverHealth,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let lookup = server::addresses(server, host, family, prefers_v6());
        tokio::pin!(lookup);
        let half = Instant::now() + deadline.left() / 2;
        let said = match timeout_at(half, &mut lookup).await {
            Ok(said) => said,
            // Whose silence is it? The answer is for the one who cuts this off.
            Err(_) => {
                tokio::select! {
                    // It came late, and at once is soon enough: nobody's silence is left to explain.
                    said = &mut lookup => said,
                    works = self.works(server, deadline.left()) => {
                        if works {
                            asked.set_works();
                        }
                        lookup.await
                    }
                }
            }
        };
        match said {
            Ok(found) => Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect()),
            Err(dns_error) => {
                let undecided = matches!(dns_error, server::DnsError::Code(_));
                // The question must end in time for its answer to count.
                let works = undecided && self.works(server, deadline.left() / 2).await;
                Err(dns_error::failure(host, server, &dns_error, works))
            }
        }
    }

    /// Whether `server` knows the root's name servers, now or a moment ago.
    async fn works(&self, server: SocketAddr, within: Duration) -> bool {
        let worked_at = || self.worked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if worked_at().get(&server).is_some_and(|at| at.elapsed() < WORKS_FOR) {
            return true;
        }
        let works = timeout(within, server::knows_the_root(server)).await.unwrap_or(false);
        if works {
            let mut worked_at = worked_at();
            worked_at.retain(|_, at| at.elapsed() < WORKS_FOR);
            worked_at.insert(server, Instant::now());
        }
        works
    }
}

/// Whether IPv6 is tried first: where there is a way to it, as RFC 6724 has it.
fn prefers_v6() -> bool {
    errno::has_any_route(std::net::Ipv6Addr::UNSPECIFIED.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(resolver: &Resolver, ip: IpFamily) -> HostLookup<'_> {
        HostLookup::new(resolver, Lookup { ip, resolver: None })
    }

    fn trace() -> Trace {
        Trace::new(Deadline::within(Duration::from_secs(10)))
    }

    #[tokio::test]
    async fn a_literal_is_not_looked_up() {
        let mut trace = trace();
        let resolver = Resolver::new(Arc::new(Semaphore::new(8)));
        let found = names(&resolver, IpFamily::Any).resolve("::1", 80, &mut trace).await.expect("a literal");
        assert_eq!(found, [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80))]);
        assert_eq!(trace.hop.phases.dns, None);
        let four = names(&resolver, IpFamily::V4);
        let failure = four.resolve("::1", 80, &mut trace).await.expect_err("the wrong family");
        let said = (failure.class, failure.message.as_str());
        assert_eq!(said, (FailureClass::Dns, "`::1` has no IPv4 address"));
    }

    #[tokio::test]
    async fn a_pinned_name_has_one_address() {
        let resolver = Resolver::new(Arc::new(Semaphore::new(8)));
        let pin = Pin {
            host: "localhost".into(),
            address: SocketAddr::from(([192, 0, 2, 1], 0)),
            took: Some(Duration::from_millis(3)),
        };
        let names = HostLookup::new(&resolver, Lookup::default()).pinned(pin);
        let mut trace = trace();
        let found = names.resolve("localhost", 80, &mut trace).await.expect("it is pinned");
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 80))]);
        assert_eq!(trace.hop.phases.dns, Some(Duration::from_millis(3)));
        let found = names.resolve("127.0.0.1", 80, &mut trace).await.expect("another host");
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 80))]);
    }

    #[tokio::test]
    async fn localhost_is_looked_up() {
        let mut trace = trace();
        let resolver = Resolver::new(Arc::new(Semaphore::new(8)));
        let found =
            names(&resolver, IpFamily::V4).resolve("localhost", 7, &mut trace).await.expect("in /etc/hosts");
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 7))]);
        assert!(trace.hop.phases.dns.is_some());
    }

    #[test]
    fn addresses_come_once_and_not_without_end() {
        let many: Vec<SocketAddr> = (0..20).flat_map(|n| [SocketAddr::from(([10, 0, 0, n], 0)); 2]).collect();
        let selected = select("many", &many, 443, IpFamily::Any).expect("some");
        assert_eq!(selected.len(), ADDRESSES_MAX);
        assert_eq!(selected[1], SocketAddr::from(([10, 0, 0, 1], 443)));
    }
}
