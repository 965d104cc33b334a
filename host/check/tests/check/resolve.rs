//! A monitor's own name server: what it says, and what its failures mean.

use crate::target::Target;
use crate::{PATIENT, SHORT, ask, assert_failed, assert_up, check, shows};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{CheckSpec, IpFamily, Lookup, TcpSpec};
use uptime_tests::{DeafTarget, DnsQuestion, DnsRecord, DnsReply, NameServer, RecordKind};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A TCP check whose name is looked up at `resolver`.
pub(crate) fn tcp(host: &str, port: u16, ip: IpFamily, resolver: SocketAddr) -> CheckSpec {
    CheckSpec::Tcp(TcpSpec {
        lookup: Lookup { ip, resolver: Some(resolver) },
        ..uptime_core::target::tcp(host.into(), port)
    })
}

/// A name server that works, and says `reply` to whatever is not about the root.
pub(crate) fn working(reply: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static) -> NameServer {
    NameServer::start(move |question| match question.name.as_str() {
        "." => DnsReply::root(),
        _ => reply(question),
    })
}

/// A name server that has these addresses of `127.0.0.0/24` for whatever is asked.
pub(crate) fn hosting(last: &'static [u8]) -> NameServer {
    working(move |question| {
        let record =
            |last: &u8| DnsRecord::Address(question.name.clone(), Ipv4Addr::new(127, 0, 0, *last).into());
        let of_kind = if question.kind == RecordKind::A { last } else { &[] };
        DnsReply::Records(of_kind.iter().map(record).collect())
    })
}

/// The check of `target` by a name that is asked of `server`.
async fn check_at(server: &NameServer, target: &Target, ip: IpFamily) -> CheckReport {
    check(&tcp("shop.example", target.address.port(), ip, server.address()), PATIENT).await
}

/// Asserts what is said of the name `shop.example`, which has no target, when `server` is asked for it.
async fn says(server: &NameServer, timeout: Duration, class: FailureClass, words: &str) {
    let report = check(&tcp("shop.example", 1, IpFamily::Any, server.address()), timeout).await;
    shows(&report, class, &format!("looking up `shop.example`: {words}"), None);
}

/// The check of a name that has no target, asked of `server`.
async fn check_name(server: &NameServer, ip: IpFamily) -> CheckReport {
    check(&tcp("shop.example", 1, ip, server.address()), PATIENT).await
}

#[tokio::test]
async fn the_named_server_alone_is_asked() {
    let target = Target::hanging().await;
    // Not what `/etc/hosts` has for it.
    let server = working(|question| DnsReply::address(question, LOOPBACK));
    for host in ["shop.example", "localhost", "shop.example."] {
        let report = check(&tcp(host, target.address.port(), IpFamily::Any, server.address()), PATIENT).await;
        assert_up(&report);
        assert_eq!(report.address(), Some(LOOPBACK));
        assert!(report.phases().dns.is_some());
    }
    let names: Vec<_> = server.asked().into_iter().map(|question| (question.name, question.kind)).collect();
    assert_eq!(names.len(), 6, "A and AAAA of each, and nothing remembered: {names:?}");
    assert!(names.contains(&("localhost".into(), RecordKind::Aaaa)), "{names:?}");
}

#[tokio::test]
async fn one_family_asks_one_question() {
    let target = Target::hanging().await;
    let server = working(|question| DnsReply::address(question, LOOPBACK));
    assert_up(&check_at(&server, &target, IpFamily::V4).await);
    assert_eq!(server.asked().iter().map(|question| question.kind).collect::<Vec<_>>(), [RecordKind::A]);
    let report = check_name(&server, IpFamily::V6).await;
    assert_failed(&report, FailureClass::Dns, "`shop.example` has no IPv6 address");
}

#[tokio::test]
async fn a_name_that_is_not_there() {
    let server = working(|_| DnsReply::Code(3));
    says(&server, PATIENT, FailureClass::Dns, "no such name").await;
    let server = working(|_| DnsReply::Records(Vec::new()));
    let report = check_name(&server, IpFamily::Any).await;
    assert_failed(&report, FailureClass::Dns, "`shop.example` has no address");
    for host in ["", "a..b", "a\u{0}b", &"x".repeat(64)] {
        let report = check(&tcp(host, 1, IpFamily::Any, server.address()), PATIENT).await;
        let failure = report.failure.expect("no name");
        assert_eq!(failure.class, FailureClass::Dns, "{host:?}");
        assert!(failure.message.ends_with("it is no name that can be looked up"), "{}", failure.message);
    }
}

/// Names that are there and look like no host's.
pub(crate) const ODD_NAMES: [&str; 8] = [
    "my_host.example",
    "my_service",
    "_dmarc.shop.example",
    "-a.example",
    "a-.example",
    "*.example",
    "a~b!.example",
    "xn--.example",
];

#[tokio::test]
async fn a_name_is_labels_of_bytes() {
    let target = Target::hanging().await;
    let server = working(|question| DnsReply::address(question, LOOPBACK));
    let dead = NameServer::start(|_| DnsReply::Code(2));
    for host in ODD_NAMES {
        assert_up(&check(&tcp(host, target.address.port(), IpFamily::V4, server.address()), PATIENT).await);
        assert_eq!(server.asked().last().map(|question| question.name.as_str()), Some(host));
        let report = check(&tcp(host, 1, IpFamily::Any, dead.address()), PATIENT).await;
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Resolver), "{host}");
    }
    let long = format!("{}.{}", "x".repeat(63), "y".repeat(63));
    assert_up(&check(&tcp(&long, target.address.port(), IpFamily::V4, server.address()), PATIENT).await);
}

/// Whose fault it is decides who is woken: a resolver that knows the root works, and the zone is dead.
#[tokio::test]
async fn a_dead_zone_is_the_targets_and_a_dead_resolver_ours() {
    for (code, word) in [(2, "SERVFAIL"), (5, "REFUSED"), (4, "NOTIMP")] {
        let server = working(move |_| DnsReply::Code(code));
        says(&server, PATIENT, FailureClass::Dns, &format!("its name servers gave no answer ({word})")).await;
        let server = NameServer::start(move |_| DnsReply::Code(code));
        let both = "to this and to the question for the root";
        let words = format!("{} answered {word} {both}", server.address());
        says(&server, PATIENT, FailureClass::Resolver, &words).await;
    }
    // A resolver that waits for the zone's servers as long as the check does, and one that says nothing at all.
    let server = working(|_| DnsReply::Silence);
    says(&server, SHORT, FailureClass::Dns, "its name servers gave no answer within 400ms").await;
    let server = NameServer::start(|_| DnsReply::Silence);
    let words = format!("{} gave no answer within 400ms", server.address());
    says(&server, SHORT, FailureClass::Resolver, &words).await;
    // Bound for TCP alone: for UDP the port is closed.
    let target = DeafTarget::refusing();
    let report = check(&tcp("shop.example", 1, IpFamily::Any, target.address()), PATIENT).await;
    let message = format!("looking up `shop.example`: asking {}: connection refused", target.address());
    shows(&report, FailureClass::Resolver, &message, None);
}

#[tokio::test]
async fn garbage_is_no_verdict() {
    let server = working(|_| DnsReply::Garbage(b"\x81\x80nonsense".to_vec()));
    let words = format!("{} answered what is not DNS", server.address());
    says(&server, PATIENT, FailureClass::Resolver, &words).await;
    let record = || vec![DnsRecord::Address("shop.example".into(), LOOPBACK)];
    let server = working(move |_| DnsReply::WrongQuestion(record()));
    let words = format!("{} answered another question", server.address());
    says(&server, PATIENT, FailureClass::Resolver, &words).await;
    // Somebody else's answer is passed over, and the right one is waited for.
    let server = NameServer::start(move |_| DnsReply::WrongId(record()));
    let words = format!("{} gave no answer within 400ms", server.address());
    says(&server, SHORT, FailureClass::Resolver, &words).await;
}

#[tokio::test]
async fn a_lost_question_is_asked_again() {
    let target = Target::hanging().await;
    let lost = std::sync::atomic::AtomicBool::new(false);
    let server = working(move |question| {
        if question.kind == RecordKind::A && !lost.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return DnsReply::Silence;
        }
        DnsReply::address(question, LOOPBACK)
    });
    let report = check_at(&server, &target, IpFamily::Any).await;
    assert_up(&report);
    assert!(report.phases().dns.is_some_and(|dns| dns.as_secs() >= 1), "{report:?}");
}

#[tokio::test]
async fn a_late_answer_does_not_wait_for_the_question_about_the_root() {
    let target = Target::hanging().await;
    // Silent for more than half of the time, and always about the root.
    let questions = std::sync::atomic::AtomicU32::new(0);
    let server = NameServer::start(move |question| match question.name.as_str() {
        "." => DnsReply::Silence,
        _ if questions.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => DnsReply::Silence,
        _ => DnsReply::address(question, LOOPBACK),
    });
    let spec = tcp("shop.example", target.address.port(), IpFamily::V4, server.address());
    let report = check(&spec, std::time::Duration::from_millis(1900)).await;
    assert_up(&report);
    assert!(report.total.as_millis() < 1600, "{report:?}");
}

#[tokio::test]
async fn what_is_too_long_comes_over_tcp() {
    let target = Target::hanging().await;
    let server = working(|question| match DnsReply::address(question, LOOPBACK) {
        DnsReply::Records(records) => DnsReply::OverTcpAlone(records),
        reply => reply,
    });
    assert_up(&check_at(&server, &target, IpFamily::Any).await);
    assert!(server.asked().iter().any(|question| question.over_tcp), "{:?}", server.asked());
}

#[tokio::test]
async fn names_are_followed_and_circles_end() {
    fn cname(from: &str, to: &str) -> DnsRecord {
        DnsRecord::Cname(from.into(), to.into())
    }
    let target = Target::hanging().await;
    // The first answer holds two steps, the third name is asked for by itself.
    let server = working(|question| match (question.name.as_str(), question.kind) {
        ("shop.example", _) => DnsReply::Records(vec![
            cname("cdn.example", "edge.example"),
            cname("shop.example", "CDN.example"),
        ]),
        ("edge.example", _) => DnsReply::address(question, LOOPBACK),
        _ => DnsReply::Code(3),
    });
    assert_up(&check_at(&server, &target, IpFamily::Any).await);
    let server = working(|question| match question.name.as_str() {
        "shop.example" => DnsReply::Records(vec![cname("shop.example", "b.example")]),
        _ => DnsReply::Records(vec![cname("b.example", "shop.example")]),
    });
    says(&server, PATIENT, FailureClass::Dns, "its names lead in a circle").await;
    let server =
        working(|question| DnsReply::Records(vec![cname(&question.name, &format!("x.{}", question.name))]));
    let report = check_name(&server, IpFamily::V4).await;
    let message = "looking up `shop.example`: it leads over too many other names";
    assert_failed(&report, FailureClass::Dns, message);
    assert_eq!(server.asked().len(), 16);
}

#[tokio::test]
async fn one_version_is_enough_unless_all_are_wanted() {
    let target = Target::hanging().await;
    for aaaa in [DnsReply::Silence, DnsReply::Code(2), DnsReply::Code(3)] {
        let said = aaaa.clone();
        let server = working(move |question| match question.kind {
            RecordKind::Aaaa => said.clone(),
            _ => DnsReply::address(question, LOOPBACK),
        });
        let spec = |ip| tcp("shop.example", target.address.port(), ip, server.address());
        assert_up(&check(&spec(IpFamily::Any), PATIENT).await);
        let report = check(&spec(IpFamily::All), crate::SHORT).await;
        match aaaa {
            // It denies the name for IPv6 that it knows for IPv4.
            DnsReply::Code(3) => assert_up(&report),
            _ => assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Dns)),
        }
    }
}

#[tokio::test]
async fn every_address_is_checked_by_itself() {
    // One port on three addresses: two take connections, one refuses.
    let target = Target::hanging().await;
    let port = target.address.port();
    let server = hosting(&[1, 2, 3]);
    let spec = tcp("shop.example", port, IpFamily::All, server.address());
    let report = check(&spec, PATIENT).await;
    let message = format!(
        "2 of 3 addresses (127.0.0.2, 127.0.0.3): connecting to 127.0.0.2:{port}: connection refused"
    );
    assert_failed(&report, FailureClass::Refused, &message);
    assert_eq!(report.address(), Some(Ipv4Addr::new(127, 0, 0, 2).into()));
    let hops: Vec<_> = report.hops.iter().filter_map(|hop| hop.address).collect();
    assert_eq!(hops.len(), 3, "{report:?}");
    assert!(report.hops.iter().all(|hop| hop.phases.dns.is_some()), "{report:?}");
    assert_eq!(server.asked().len(), 2, "the name is looked up once");
    // Whichever answers does for `any`.
    assert_up(&check(&tcp("shop.example", port, IpFamily::Any, server.address()), PATIENT).await);
    let server = hosting(&[1]);
    assert_up(&check(&tcp("shop.example", port, IpFamily::All, server.address()), PATIENT).await);
}

#[tokio::test]
async fn every_address_of_both_versions() {
    let Ok(six) = tokio::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
    let port = six.local_addr().expect("an address").port();
    // Of one version alone, whatever is wanted finds it, or says that the other is not there.
    let server = working(|question| DnsReply::address(question, Ipv6Addr::LOCALHOST.into()));
    let report = check_name(&server, IpFamily::V4).await;
    shows(&report, FailureClass::Dns, "`shop.example` has no IPv4 address", None);
    for ip in [IpFamily::Any, IpFamily::V6, IpFamily::All] {
        let report = check(&tcp("shop.example", port, ip, server.address()), PATIENT).await;
        assert_up(&report);
        assert_eq!(report.address(), Some(Ipv6Addr::LOCALHOST.into()), "{ip:?}");
    }
    let server = working(|question| match question.kind {
        RecordKind::Aaaa => DnsReply::address(question, Ipv6Addr::LOCALHOST.into()),
        _ => DnsReply::address(question, LOOPBACK),
    });
    let report = check(&tcp("shop.example", port, IpFamily::All, server.address()), PATIENT).await;
    let message = format!("1 of 2 addresses (127.0.0.1): connecting to 127.0.0.1:{port}: connection refused");
    assert_failed(&report, FailureClass::Refused, &message);
    assert_up(&check(&tcp("shop.example", port, IpFamily::V6, server.address()), PATIENT).await);
}

#[tokio::test]
async fn every_address_of_a_site_through_its_redirects() {
    // Both hops lead to the same name, so both stay on the address: only 127.0.0.1 listens.
    let target = Target::moved("302 Found", "location: /end\r\n".into()).await;
    let server = hosting(&[1, 2]);
    let port = target.address.port();
    let url = format!("http://shop.example:{port}/").parse().expect("a URL");
    let mut http = uptime_core::target::http(url);
    http.lookup = Lookup { ip: IpFamily::All, resolver: Some(server.address()) };
    let report = ask(http).await;
    let message = format!("1 of 2 addresses (127.0.0.2): connecting to 127.0.0.2:{port}: connection refused");
    assert_failed(&report, FailureClass::Refused, &message);
    let of_the_good_one = report.hops.iter().filter(|hop| hop.address == Some(LOOPBACK));
    assert_eq!(of_the_good_one.filter_map(|hop| hop.status_code).collect::<Vec<_>>(), [302, 200]);
}
