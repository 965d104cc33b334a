//! Checks that ask a zone's own name servers, or this machine's: on a port that the tests choose.

use crate::addresses;
use crate::resolve::Resolver;
use crate::shared::Shared;
use crate::tls::Tls;
use crate::trace::Deadline;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{CheckSpec, DnsExpect, DnsSpec, IpFamily, Lookup, Rcode, RecordType};
use uptime_tests::{DnsQuestion, DnsRecord, DnsReply, NameServer};

const PATIENT: Duration = Duration::from_secs(10);

/// What checks share on a machine with this `resolv.conf`, where all name servers listen on `port`.
fn shared(resolv_conf: &str, port: u16) -> (tempfile::NamedTempFile, Shared) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), resolv_conf).expect("it is written");
    let mut shared = Shared::new(Tls::native().expect("TLS"));
    shared.resolver = Resolver::with_resolv_conf(file.path().into(), port, Arc::clone(&shared.further));
    (file, shared)
}

async fn run(shared: &Shared, spec: DnsSpec, timeout: Duration) -> CheckReport {
    addresses::run(shared, &CheckSpec::Dns(spec), Deadline::within(timeout)).await
}

fn failed(report: &CheckReport) -> (FailureClass, &str) {
    let failure = report.failure.as_ref().unwrap_or_else(|| panic!("{report:?}"));
    (failure.class, &failure.message)
}

fn text(question: &DnsQuestion, text: &str) -> DnsRecord {
    let mut data = vec![u8::try_from(text.len()).expect("a short text")];
    data.extend_from_slice(text.as_bytes());
    DnsRecord::Data { name: question.name.clone(), kind: 16, ttl_s: 60, data }
}

/// The zone `shop.example` with two name servers, on 127.0.0.1 and 127.0.0.2, and the resolver that knows them.
struct Zone {
    first: NameServer,
    /// Answers as long as the zone lives.
    _second: NameServer,
    resolver: NameServer,
}

impl Zone {
    fn start(
        first: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static,
        second: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static,
    ) -> Self {
        let first = NameServer::start(first);
        let second = NameServer::start_at(([127, 0, 0, 2], first.address().port()).into(), second);
        let resolver = NameServer::start(|question| match question.name.as_str() {
            "." => DnsReply::root(),
            "shop.example" => DnsReply::Records(
                ["ns1.host.example", "NS2.host.example"]
                    .map(|ns| DnsRecord::Ns("shop.example".into(), ns.into()))
                    .into(),
            ),
            "ns1.host.example" => DnsReply::address(question, IpAddr::from([127, 0, 0, 1])),
            "ns2.host.example" => DnsReply::address(question, IpAddr::from([127, 0, 0, 2])),
            name if name.ends_with("b.shop.example") => DnsReply::NoneIn("shop.example".into()),
            name if name.ends_with(".shop.example") => DnsReply::Code(3),
            _ => DnsReply::Code(2),
        });
        Self { first, _second: second, resolver }
    }

    fn spec(&self, host: &str, expect: DnsExpect) -> DnsSpec {
        let lookup = Lookup { ip: IpFamily::Any, resolver: Some(self.resolver.address()) };
        let spec = uptime_core::target::dns(host.into(), Some(RecordType::Txt));
        DnsSpec { authoritative: true, lookup, expect, ..spec }
    }

    async fn check(&self, host: &str, expect: DnsExpect) -> CheckReport {
        let (_file, shared) = shared("", self.first.address().port());
        run(&shared, self.spec(host, expect), Duration::from_secs(2)).await
    }
}

fn says(words: &'static str) -> impl Fn(&DnsQuestion) -> DnsReply {
    move |question| DnsReply::Authoritative(vec![text(question, words)])
}

fn expecting(answer: &str) -> DnsExpect {
    DnsExpect { answers: Some(vec![answer.into()]), ..DnsExpect::default() }
}

#[tokio::test]
async fn each_name_server_of_the_zone_is_asked() {
    let zone = Zone::start(says("new"), says("new"));
    // The zone itself, a name that its parent denies, and one that says in which zone it is.
    for host in ["shop.example", "_x.a.shop.example", "a.b.shop.example"] {
        let report = zone.check(host, expecting("new")).await;
        assert_eq!(report.failure, None, "{host}");
        let asked: Vec<_> = report.hops.iter().filter_map(|hop| hop.address).collect();
        assert_eq!(asked.len(), 2, "{report:?}");
        assert!(report.hops.iter().all(|hop| hop.phases.dns.is_some() && hop.phases.first_byte.is_some()));
        assert!(report.hops.iter().all(|hop| hop.dns.as_ref().is_some_and(|dns| dns.authoritative)));
    }
    let steps = zone.resolver.asked().into_iter().filter(|question| question.name.contains("b.shop")).count();
    assert_eq!(steps, 1, "the zone's own word is taken");
}

#[tokio::test]
async fn a_stale_name_server_is_found() {
    let zone = Zone::start(says("new"), says("old"));
    let port = zone.first.address().port();
    let report = zone.check("shop.example", expecting("new")).await;
    let message =
        format!("1 of 2 addresses (127.0.0.2): TXT of `shop.example`: 127.0.0.2:{port} lacks `new`");
    assert_eq!(failed(&report), (FailureClass::Assertion, message.as_str()));
    // Also when nobody says which of the two is right.
    let report = zone.check("shop.example", DnsExpect::default()).await;
    let (class, message) = failed(&report);
    assert_eq!(class, FailureClass::Assertion);
    assert!(
        message.contains("the zone's name servers differ: ") && message.contains(" answers `old`"),
        "{message}"
    );
}

#[tokio::test]
async fn one_name_server_of_two_is_down() {
    let port = |zone: &Zone| zone.first.address().port();
    let silent = Zone::start(says("new"), |_| DnsReply::Silence);
    let report = silent.check("shop.example", DnsExpect::default()).await;
    let message = format!(
        "1 of 2 addresses (127.0.0.2): TXT of `shop.example`: 127.0.0.2:{} gave no answer within 2s",
        port(&silent)
    );
    assert_eq!(failed(&report), (FailureClass::ConnectTimeout, message.as_str()));
    let lame = Zone::start(says("new"), |question| DnsReply::Records(vec![text(question, "new")]));
    let report = lame.check("shop.example", DnsExpect::default()).await;
    let message = format!(
        "1 of 2 addresses (127.0.0.2): TXT of `shop.example`: 127.0.0.2:{} has no authority for the zone",
        port(&lame)
    );
    assert_eq!(failed(&report), (FailureClass::Dns, message.as_str()));
}

#[tokio::test]
async fn a_resolver_that_does_not_find_the_zone_is_ours_unless_the_zone_is_dead() {
    let zone = Zone::start(says("new"), says("new"));
    let report = zone.check("dead.example", DnsExpect::default()).await;
    let message = "looking up `dead.example`: its name servers gave no answer (SERVFAIL)";
    assert_eq!(failed(&report), (FailureClass::Dns, message));
    let dead = NameServer::start(|_| DnsReply::Silence);
    let lookup = Lookup { ip: IpFamily::Any, resolver: Some(dead.address()) };
    let (_file, shared) = shared("", zone.first.address().port());
    let spec = DnsSpec { lookup, ..zone.spec("shop.example", DnsExpect::default()) };
    let report = run(&shared, spec, Duration::from_millis(400)).await;
    assert_eq!(failed(&report).0, FailureClass::Resolver, "{report:?}");
}

/// The check by this machine's own name servers.
async fn own(servers: &[&NameServer], expect: DnsExpect, timeout: Duration) -> CheckReport {
    let lines: Vec<_> =
        servers.iter().map(|server| format!("nameserver {}", server.address().ip())).collect();
    let port = servers.first().map_or(1, |server| server.address().port());
    let (_file, shared) = shared(&lines.join("\n"), port);
    let spec = uptime_core::target::dns("shop.example".into(), Some(RecordType::Txt));
    run(&shared, DnsSpec { expect, ..spec }, timeout).await
}

fn working(reply: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static) -> NameServer {
    NameServer::start(move |question| if question.name == "." { DnsReply::root() } else { reply(question) })
}

#[tokio::test]
async fn what_this_machines_name_server_answers_is_an_answer() {
    let server = working(says("new"));
    let report = own(&[&server], expecting("new"), PATIENT).await;
    assert_eq!((report.failure.as_ref(), report.address()), (None, Some(server.address().ip())));
    for (code, rcode) in [(3, Rcode::NxDomain), (2, Rcode::ServFail), (5, Rcode::Refused)] {
        let server = working(move |_| DnsReply::Code(code));
        let report = own(&[&server], DnsExpect::default(), PATIENT).await;
        let message = format!("TXT of `shop.example`: {} answered {rcode}", server.address());
        assert_eq!(failed(&report), (FailureClass::Dns, message.as_str()));
        let expect = DnsExpect { rcode, ..DnsExpect::default() };
        assert_eq!(own(&[&server], expect, PATIENT).await.failure, None);
    }
}

#[tokio::test]
async fn a_dead_name_server_of_ours_is_nobodys_outage() {
    let dead = [NameServer::start(|_| DnsReply::Silence), NameServer::start(|_| DnsReply::Code(2))];
    for server in &dead {
        let report = own(&[server], DnsExpect::default(), Duration::from_secs(1)).await;
        assert_eq!(failed(&report).0, FailureClass::Resolver, "{report:?}");
    }
    let report = own(&[], DnsExpect::default(), PATIENT).await;
    let message = "looking up `shop.example`: this machine has no name servers (see /etc/resolv.conf)";
    assert_eq!(failed(&report), (FailureClass::Resolver, message));
    // The other one knows.
    let at = SocketAddr::from(([127, 0, 0, 2], dead[0].address().port()));
    let second = NameServer::start_at(at, says("new"));
    let report = own(&[&dead[0], &second], expecting("new"), Duration::from_secs(3)).await;
    assert_eq!((report.failure.as_ref(), report.address()), (None, Some(at.ip())));
    // It works, and waits for the zone's name servers.
    let waits = working(|_| DnsReply::Silence);
    let report = own(&[&waits], DnsExpect::default(), Duration::from_secs(1)).await;
    assert_eq!(
        failed(&report),
        (FailureClass::Dns, "looking up `shop.example`: its name servers gave no answer")
    );
}
