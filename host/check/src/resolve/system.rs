//! This machine's own resolver, and a second opinion where it says too little.
//!
//! The system's `getaddrinfo` is called through `dns-lookup` and not through std, because the error code decides
//! whether the target is down (the name does not exist) or we are blind (the resolver does not answer), and std
//! gives only a text that differs between systems. It blocks, so it runs on the blocking pool; a lookup whose check
//! has given up ends there by itself, and their number at once is bounded.
//!
//! "Try again" is its word both for a resolver that is gone and for a zone whose name servers are. Then, and when it
//! is silent for half of the check's time, and when it knows no such name, which it says of `FORMERR` too, the name
//! servers of `/etc/resolv.conf` are asked directly.

use super::server::{self, DnsError};
use super::{Resolver, ResolverHealth, dns_error, prefers_v6, zone};
use crate::trace::Deadline;
use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use resolv_conf::{Config, ScopedIp};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::IpFamily;

/// How many name servers are asked, and how many domains are tried: as many as the C library takes.
const SERVERS_MAX: usize = 3;
const DOMAINS_MAX: usize = 6;

/// The longest that one name server is waited for, whatever `options timeout` says.
const SERVER_WAIT_MAX: Duration = Duration::from_secs(30);

const NO_SUCH_NAME: &str = "no such name";

/// The weight of an opinion that has addresses.
const KNOWN: u8 = 3;

impl Resolver {
    /// The addresses of `host` as this machine sees them: `/etc/hosts`, DNS and whatever else it is set to ask.
    pub(super) async fn by_system(
        &self,
        host: &str,
        deadline: Deadline,
        asked: &ResolverHealth,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let lookup = self.getaddrinfo(host);
        let opinion = self.second_opinion(host, deadline, asked);
        tokio::pin!(lookup, opinion);
        let half = Instant::now() + deadline.left() / 2;
        let answer = if let Ok(answer) = timeout_at(half, &mut lookup).await {
            answer
        } else {
            // It may still answer, so it goes on; the other decides only when it knows something.
            tokio::select! {
                answer = &mut lookup => answer,
                said = &mut opinion => return match said {
                    Some(said) => said,
                    None => lookup.await.map_err(|failure| decided(failure, host, asked)),
                },
            }
        };
        match answer {
            Err(failure) if is_undecided(&failure) || is_denied(&failure) => match opinion.await {
                Some(said) => said,
                None => Err(decided(failure, host, asked)),
            },
            answer => answer,
        }
    }

    async fn getaddrinfo(&self, host: &str) -> Result<Vec<SocketAddr>, Failure> {
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

    /// What this machine is set to, and its name servers; `None`: that can't be read.
    pub(super) async fn name_servers(&self) -> Option<(Config, Vec<SocketAddr>)> {
        // A line that is no good is passed over, as the C library does.
        let (config, _) = Config::parse_with_errors(&tokio::fs::read(&self.resolv_conf).await.ok()?);
        let servers = config.nameservers.iter().filter_map(|ip| server_address(ip, self.server_port));
        let servers = servers.take(SERVERS_MAX).collect();
        Some((config, servers))
    }

    /// What the name servers of this machine say, asked directly and at once; `None`: nothing that decides. That one
    /// of them works, and is silent about this name alone, is left in `asked`.
    pub(super) async fn second_opinion(
        &self,
        host: &str,
        deadline: Deadline,
        asked: &ResolverHealth,
    ) -> Option<Result<Vec<SocketAddr>, Failure>> {
        let (config, servers) = self.name_servers().await?;
        let names = candidates(host, &config);
        // What is left of the time is for two questions, and for the connection after them.
        let wait = Duration::from_secs(config.timeout.into()).clamp(Duration::from_secs(1), SERVER_WAIT_MAX);
        let wait = wait.min(deadline.left() / 3);
        // Each is asked two questions at once.
        let sockets = u32::try_from(2 * servers.len()).unwrap_or(u32::MAX);
        let _room = self.further.acquire_many(sockets).await.ok()?;
        let opinions = servers.into_iter().map(|server| {
            let names = &names;
            async move {
                let said = timeout(wait, first_known(server, names)).await;
                match said {
                    Ok(Err(DnsError::Code(code))) if self.works(server, wait).await => {
                        (1, Some(Err(dns_error::zone_fails(host, code))))
                    }
                    Ok(Err(DnsError::Code(_) | DnsError::QueryError(_))) => (0, None),
                    Ok(Err(dns_error)) => (2, Some(Err(dns_error::of_name(host, &dns_error)))),
                    Ok(Ok(found)) => {
                        let weight = if found.is_empty() { 2 } else { KNOWN };
                        let found = found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
                        (weight, Some(Ok(found)))
                    }
                    Err(_) => {
                        if self.works(server, wait).await {
                            asked.set_works();
                        }
                        (0, None)
                    }
                }
            }
        });
        let mut opinions = opinions.collect::<FuturesUnordered<_>>();
        let mut weightiest = (0, None);
        // Who knows the name is right, whatever the others say, so their silence does not hold it back; who knows that
        // there is none, next.
        while weightiest.0 < KNOWN
            && let Some(opinion) = opinions.next().await
        {
            if opinion.0 > weightiest.0 {
                weightiest = opinion;
            }
        }
        weightiest.1
    }
}

/// The addresses of the first of `names` that `server` knows.
async fn first_known(server: SocketAddr, names: &[String]) -> Result<Vec<IpAddr>, DnsError> {
    let mut said = Err(DnsError::NotAName);
    for name in names {
        said = server::addresses(server, name, IpFamily::Any, prefers_v6()).await;
        match &said {
            Ok(found) if found.is_empty() => {}
            Err(DnsError::NoSuchName | DnsError::NotAName) => {}
            _ => break,
        }
    }
    said
}

/// The names that `host` may be short for, in the order in which the C library tries them.
fn candidates(host: &str, config: &Config) -> Vec<String> {
    if host.ends_with('.') {
        return vec![host.to_owned()];
    }
    let dots = host.matches('.').count();
    let mut names: Vec<String> = config
        .get_last_search_or_domain()
        .filter(|domain| !domain.trim_matches('.').is_empty())
        .take(DOMAINS_MAX)
        .map(|domain| format!("{host}.{domain}"))
        .collect();
    let first = dots >= usize::try_from(config.ndots).unwrap_or(usize::MAX);
    names.insert(if first { 0 } else { names.len() }, host.to_owned());
    names
}

/// A name server's address. One that is local to a link needs the number of its interface.
fn server_address(ip: &ScopedIp, port: u16) -> Option<SocketAddr> {
    match ip {
        ScopedIp::V4(ip) => Some((*ip, port).into()),
        ScopedIp::V6(ip, None) => Some((*ip, port).into()),
        ScopedIp::V6(ip, Some(scope)) => Some(SocketAddrV6::new(*ip, port, 0, zone::index(scope)?).into()),
    }
}

/// Whether the failure leaves open whose fault it is.
fn is_undecided(failure: &Failure) -> bool {
    failure.class == FailureClass::Resolver
}

/// Whether it knows no such name.
fn is_denied(failure: &Failure) -> bool {
    failure.class == FailureClass::Dns && failure.message.ends_with(NO_SUCH_NAME)
}

/// A failure that was left open, with what is known by now.
fn decided(failure: Failure, host: &str, asked: &ResolverHealth) -> Failure {
    if is_undecided(&failure) && asked.works() { dns_error::zone_is_silent(host) } else { failure }
}

fn failure(host: &str, error: LookupError) -> Failure {
    let kind = error.kind();
    let (class, words) = match kind {
        // Nobody was asked.
        LookupErrorKind::NoName if !is_taken_everywhere(host) => {
            (FailureClass::Resolver, "this machine's resolver does not ask for such a name".to_owned())
        }
        LookupErrorKind::NoName => (FailureClass::Dns, NO_SUCH_NAME.to_owned()),
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

/// Whether every C library asks for `host`: some refuse by themselves what does not look like a host's name.
fn is_taken_everywhere(host: &str) -> bool {
    !host.starts_with('-') && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The resolver could not even ask. Whatever it is, it is on this machine.
fn system(error: &io::Error) -> (FailureClass, String) {
    let (class, words) = crate::errno::classify(error);
    (if class.is_ours() { class } else { FailureClass::Resolver }, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;
    use uptime_tests::{DnsRecord, DnsReply, NameServer, RecordKind};

    /// Enough for one second opinion.
    fn room() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(2 * SERVERS_MAX))
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
    fn a_short_name_is_tried_in_the_search_list() {
        let config = Config::parse("search lan example.org\noptions ndots:2\n").expect("a configuration");
        for (host, names) in [
            ("db", &["db.lan", "db.example.org", "db"][..]),
            ("db.eu", &["db.eu.lan", "db.eu.example.org", "db.eu"]),
            ("db.eu.lan", &["db.eu.lan", "db.eu.lan.lan", "db.eu.lan.example.org"]),
            ("db.", &["db."]),
        ] {
            assert_eq!(candidates(host, &config), names);
        }
        let config = Config::parse("search .\n").expect("a configuration");
        assert_eq!(candidates("db", &config), ["db"]);
    }

    /// The second opinion about `db.lan` of a machine whose `resolv.conf` names the loopback.
    async fn opinion(
        server_port: u16,
        resolv_conf: &str,
        asked_within: Duration,
    ) -> (Option<Result<Vec<SocketAddr>, Failure>>, ResolverHealth) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), resolv_conf).expect("it is written");
        let resolver = Resolver::with_resolv_conf(file.path().into(), server_port, room());
        let asked = ResolverHealth::new(None);
        let said = resolver.second_opinion("db", Deadline::within(asked_within), &asked).await;
        (said, asked)
    }

    const PATIENT: Duration = Duration::from_secs(10);

    fn record() -> DnsRecord {
        DnsRecord::Address("db.lan".into(), IpAddr::from([192, 0, 2, 7]))
    }

    /// What is found with [`record`].
    fn found() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([192, 0, 2, 7], 0))]
    }

    fn server(root: DnsReply, reply: DnsReply) -> NameServer {
        NameServer::start(move |question| match (question.name.as_str(), question.kind) {
            (".", _) => root.clone(),
            ("db.lan", RecordKind::A) => reply.clone(),
            ("db.lan", _) if matches!(reply, DnsReply::Records(_)) => DnsReply::Records(Vec::new()),
            ("db.lan", _) => reply.clone(),
            _ => DnsReply::Code(3),
        })
    }

    #[tokio::test]
    async fn the_machines_own_name_servers_say_whose_fault_it_is() {
        let dns =
            |words: &str| Some(Err(Failure::new(FailureClass::Dns, format!("looking up `db`: {words}"))));
        for (root, reply, expected) in [
            (DnsReply::root(), DnsReply::Records(vec![record()]), Some(Ok(found()))),
            (DnsReply::root(), DnsReply::Code(3), dns("no such name")),
            (DnsReply::root(), DnsReply::Code(2), dns("its name servers gave no answer (SERVFAIL)")),
            (DnsReply::Code(2), DnsReply::Code(2), None),
            (DnsReply::Silence, DnsReply::Code(2), None),
        ] {
            let server = server(root, reply);
            let asked_within = Duration::from_secs(2);
            let (said, asked) =
                opinion(server.address().port(), "nameserver 127.0.0.1\nsearch lan\n", asked_within).await;
            assert_eq!(said, expected);
            assert!(!asked.works());
        }
    }

    #[tokio::test]
    async fn the_one_that_knows_is_believed() {
        let knows = server(DnsReply::root(), DnsReply::Records(vec![record()]));
        let port = knows.address().port();
        // The same port on another address of this machine: one that fails, and none at all on the third.
        let at = SocketAddr::from(([127, 0, 0, 2], port));
        let _fails = NameServer::start_at(at, |question| match question.name.as_str() {
            "." => DnsReply::root(),
            _ => DnsReply::Code(2),
        });
        let resolv_conf = "nameserver nonsense\nnameserver 127.0.0.3\nnameserver 127.0.0.2\nnameserver 127.0.0.1\nsearch lan\n";
        let (said, _) = opinion(port, resolv_conf, PATIENT).await;
        assert_eq!(said, Some(Ok(found())));
        // The fourth is not asked.
        let resolv_conf = "nameserver 127.0.0.3\nnameserver 127.0.0.4\nnameserver 127.0.0.5\n\
            nameserver 127.0.0.1\nsearch lan\n";
        assert_eq!(opinion(port, resolv_conf, PATIENT).await.0, None);
    }

    #[tokio::test]
    async fn a_dead_name_server_does_not_hold_back_the_other_one() {
        let knows = server(DnsReply::root(), DnsReply::Records(vec![record()]));
        let port = knows.address().port();
        let _dead = NameServer::start_at(SocketAddr::from(([127, 0, 0, 2], port)), |_| DnsReply::Silence);
        let began = Instant::now();
        let resolv_conf = "nameserver 127.0.0.2\nnameserver 127.0.0.1\nsearch lan\n";
        let (said, _) = opinion(port, resolv_conf, Duration::from_secs(4)).await;
        assert_eq!(said, Some(Ok(found())));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn silence_is_bounded_and_told() {
        for (root, works) in [(DnsReply::root(), true), (DnsReply::Silence, false)] {
            let server = server(root, DnsReply::Silence);
            let began = Instant::now();
            let resolv_conf = "nameserver 127.0.0.1\nsearch lan\noptions timeout:1\n";
            let (said, asked) = opinion(server.address().port(), resolv_conf, PATIENT).await;
            assert_eq!((said, asked.works()), (None, works));
            assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        }
        let failure = Failure::new(FailureClass::Resolver, "left open");
        let asked = ResolverHealth::new(None);
        assert_eq!(decided(failure.clone(), "db", &asked), failure);
        asked.set_works();
        assert_eq!(decided(failure, "db", &asked).class, FailureClass::Dns);
    }

    #[tokio::test]
    async fn a_machine_without_name_servers_has_no_second_opinion() {
        for resolv_conf in ["", "search lan\n", "nameserver nonsense\n"] {
            assert_eq!(opinion(1, resolv_conf, PATIENT).await.0, None);
        }
        let resolver = Resolver::with_resolv_conf("/nonexistent/resolv.conf".into(), 1, room());
        let asked = ResolverHealth::new(None);
        assert_eq!(resolver.second_opinion("db", Deadline::within(PATIENT), &asked).await, None);
    }
}
