//! The DNS check against a name server that is the target: what it answers, and how it fails. Those of a zone and this
//! machine's own are in `host/check/src/dns/tests.rs`, which chooses their port.

use crate::{PATIENT, SHORT, assert_failed, assert_up, check};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{AnswersMatch, CheckSpec, DnsExpect, DnsSpec, Lookup, Rcode, RecordType};
use uptime_tests::{DnsQuestion, DnsRecord, DnsReply, NameServer, RecordKind, dns_name};

const NAME: &str = "shop.example";

fn spec(record: RecordType, server: SocketAddr, expect: DnsExpect) -> DnsSpec {
    let lookup = Lookup { resolver: Some(server), ..Lookup::default() };
    DnsSpec { lookup, expect, ..uptime_core::target::dns(NAME.into(), Some(record)) }
}

async fn ask(record: RecordType, server: SocketAddr, expect: DnsExpect) -> CheckReport {
    check(&CheckSpec::Dns(spec(record, server, expect)), PATIENT).await
}

fn answering(reply: impl Fn(&DnsQuestion) -> DnsReply + Send + Sync + 'static) -> NameServer {
    NameServer::start(reply)
}

fn expecting(answers: &[&str], answers_match: AnswersMatch) -> DnsExpect {
    let answers = Some(answers.iter().map(|&text| text.to_owned()).collect());
    DnsExpect { answers, answers_match, ..DnsExpect::default() }
}

fn record(kind: u16, data: impl Into<Vec<u8>>) -> DnsRecord {
    DnsRecord::Data { name: NAME.into(), kind, ttl_s: 300, data: data.into() }
}

fn address(last: u8) -> DnsRecord {
    DnsRecord::Address(NAME.into(), Ipv4Addr::new(192, 0, 2, last).into())
}

#[tokio::test]
async fn each_type_of_record_is_read_and_compared() {
    let named = |numbers: &[u8], name: &str| [numbers, &dns_name(name)].concat();
    let soa = [dns_name("NS1.Example"), dns_name("root.example"), [[0, 0, 0, 7]; 5].concat()].concat();
    for (kind, number, data, text) in [
        (RecordType::A, 1, vec![192, 0, 2, 1], "192.0.2.1"),
        (RecordType::Aaaa, 28, Ipv6Addr::LOCALHOST.octets().into(), "::1"),
        (RecordType::Cname, 5, dns_name("Shop.CDN.example"), "shop.cdn.example"),
        (RecordType::Mx, 15, named(&[0, 10], "Mail_1.example"), "10 mail_1.example"),
        (RecordType::Txt, 16, b"\x06v=spf1\x05 -All".into(), "v=spf1 -All"),
        (RecordType::Ns, 2, dns_name("NS1.example"), "ns1.example"),
        (RecordType::Soa, 6, soa, "ns1.example root.example 7 7 7 7 7"),
        (RecordType::Srv, 33, named(&[0, 1, 0, 2, 0, 80], "a.example"), "1 2 80 a.example"),
        (RecordType::Caa, 257, b"\x00\x05issueca.example".into(), "0 issue ca.example"),
        (RecordType::Ptr, 12, dns_name("Host.example"), "host.example"),
    ] {
        let server = answering(move |question| {
            assert_eq!((question.name.as_str(), number_of(question.kind)), (NAME, number));
            DnsReply::Records(vec![record(number, data.clone())])
        });
        let expected = kind.answer(text).expect(text);
        let report = ask(kind, server.address(), expecting(&[&expected], AnswersMatch::Exact)).await;
        assert_up(&report);
        let hop = report.hops.last().expect("one");
        let dns = hop.dns.as_ref().expect("evidence");
        assert_eq!((dns.answers.as_slice(), dns.ttl_s), ([text.to_owned()].as_slice(), Some(300)));
        assert_eq!((dns.rcode.as_str(), dns.over_tcp, hop.phases.dns), ("NOERROR", false, None));
        assert!(hop.phases.first_byte.is_some() && hop.address == Some(server.address().ip()));
    }
}

fn number_of(kind: RecordKind) -> u16 {
    match kind {
        RecordKind::A => 1,
        RecordKind::Ns => 2,
        RecordKind::Aaaa => 28,
        RecordKind::Other(number) => number,
    }
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_name_for_ptr() {
    let server = answering(|question| {
        let data = dns_name("host.example");
        DnsReply::Records(vec![DnsRecord::Data { name: question.name.clone(), kind: 12, ttl_s: 1, data }])
    });
    let lookup = Lookup { resolver: Some(server.address()), ..Lookup::default() };
    let spec = DnsSpec { lookup, ..uptime_core::target::dns("192.0.2.7".into(), None) };
    assert_up(&check(&CheckSpec::Dns(spec), PATIENT).await);
    assert_eq!(server.asked()[0].name, "7.2.0.192.in-addr.arpa");
}

#[tokio::test]
async fn all_any_or_exactly_the_answers() {
    let server = answering(|_| DnsReply::Records(vec![address(2), address(1)]));
    let who = server.address();
    for (answers, answers_match, problem) in [
        (&["192.0.2.1"][..], AnswersMatch::All, None),
        (&["192.0.2.1", "192.0.2.3"], AnswersMatch::All, Some("lacks `192.0.2.3`")),
        (&["192.0.2.3", "192.0.2.2"], AnswersMatch::Any, None),
        (&["192.0.2.3", "192.0.2.4"], AnswersMatch::Any, Some("lacks `192.0.2.3`, `192.0.2.4`")),
        (&["192.0.2.1", "192.0.2.2"], AnswersMatch::Exact, None),
        (&["192.0.2.1"], AnswersMatch::Exact, Some("has `192.0.2.2`, which is not expected")),
        (&[], AnswersMatch::All, Some("has `192.0.2.1`, which is not expected")),
    ] {
        let report = ask(RecordType::A, who, expecting(answers, answers_match)).await;
        match problem {
            None => assert_up(&report),
            Some(problem) => {
                let message = format!("A of `shop.example`: {who} {problem}");
                assert_failed(&report, FailureClass::Assertion, &message);
                let got = report.failure.and_then(|failure| failure.got);
                assert_eq!(got.as_deref(), Some("192.0.2.1, 192.0.2.2"));
            }
        }
    }
}

#[tokio::test]
async fn a_name_without_the_record_is_down_unless_that_is_expected() {
    let server = answering(|_| DnsReply::Records(Vec::new()));
    let who = server.address();
    let message = format!("MX of `shop.example`: {who} has no such record");
    assert_failed(&ask(RecordType::Mx, who, DnsExpect::default()).await, FailureClass::Dns, &message);
    assert_up(&ask(RecordType::Mx, who, expecting(&[], AnswersMatch::All)).await);
    let server = answering(|_| {
        DnsReply::Records(vec![
            DnsRecord::Cname(NAME.into(), "a.example".into()),
            DnsRecord::Address("b.example".into(), Ipv4Addr::LOCALHOST.into()),
        ])
    });
    let message =
        format!("A of `shop.example`: {} has no such record, which leads to `a.example`", server.address());
    let report = ask(RecordType::A, server.address(), DnsExpect::default()).await;
    assert_failed(&report, FailureClass::Dns, &message);
}

#[tokio::test]
async fn an_alias_is_followed_in_the_answer() {
    let server = answering(|_| {
        DnsReply::Records(vec![
            DnsRecord::Address("a.example".into(), Ipv4Addr::LOCALHOST.into()),
            DnsRecord::Cname(NAME.into(), "A.example".into()),
        ])
    });
    let expect = || expecting(&["127.0.0.1"], AnswersMatch::Exact);
    assert_up(&ask(RecordType::A, server.address(), expect()).await);
}

#[tokio::test]
async fn a_code_is_an_answer() {
    for (code, rcode) in [
        (1, Rcode::FormErr),
        (2, Rcode::ServFail),
        (3, Rcode::NxDomain),
        (4, Rcode::NotImp),
        (5, Rcode::Refused),
    ] {
        let server = answering(move |_| DnsReply::Code(code));
        let who = server.address();
        let report = ask(RecordType::A, who, DnsExpect::default()).await;
        assert_failed(&report, FailureClass::Dns, &format!("A of `shop.example`: {who} answered {rcode}"));
        assert_up(&ask(RecordType::A, who, DnsExpect { rcode, ..DnsExpect::default() }).await);
    }
    let server = answering(|_| DnsReply::Records(vec![address(1)]));
    let expect = DnsExpect { rcode: Rcode::NxDomain, ..DnsExpect::default() };
    let failure = ask(RecordType::A, server.address(), expect).await.failure.expect("it is there");
    assert_eq!((failure.expected.as_deref(), failure.got.as_deref()), (Some("NXDOMAIN"), Some("NOERROR")));
}

#[tokio::test]
async fn the_flag_of_a_validated_answer_and_the_time_to_live() {
    let expect = || DnsExpect { ad: true, ..DnsExpect::default() };
    let server = answering(|_| DnsReply::Validated(vec![address(1)]));
    assert_up(&ask(RecordType::A, server.address(), expect()).await);
    let server = answering(|_| DnsReply::Records(vec![address(1), record(1, [192, 0, 2, 2])]));
    let who = server.address();
    let message = format!("A of `shop.example`: {who} has not validated the answer");
    assert_failed(&ask(RecordType::A, who, expect()).await, FailureClass::Assertion, &message);
    // The one has a minute, the other five.
    for (limit_s, is_up) in [(59, true), (60, false)] {
        let ttl_above = Some(Duration::from_secs(limit_s));
        let report = ask(RecordType::A, who, DnsExpect { ttl_above, ..DnsExpect::default() }).await;
        assert_eq!(report.failure.is_none(), is_up, "{report:?}");
    }
}

#[tokio::test]
async fn what_is_cut_comes_over_tcp() {
    let server = answering(|_| DnsReply::OverTcpAlone(vec![address(1)]));
    let report = ask(RecordType::A, server.address(), DnsExpect::default()).await;
    assert_up(&report);
    assert!(report.hops[0].dns.as_ref().is_some_and(|dns| dns.over_tcp), "{report:?}");
    assert_eq!(server.asked().iter().map(|question| question.over_tcp).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn the_silence_and_the_noise_of_a_named_server_are_its_own() {
    let server = answering(|_| DnsReply::Silence);
    let who = server.address();
    let spec = |server| CheckSpec::Dns(spec(RecordType::A, server, DnsExpect::default()));
    let message = format!("A of `shop.example`: {who} gave no answer within 400ms");
    assert_failed(&check(&spec(who), SHORT).await, FailureClass::ConnectTimeout, &message);
    // What bears another question's identifier is nobody's answer.
    let server = answering(|_| DnsReply::WrongId(vec![address(1)]));
    let report = check(&spec(server.address()), SHORT).await;
    assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::ConnectTimeout));
    let server = answering(|_| DnsReply::WrongQuestion(vec![address(1)]));
    let message = format!("A of `shop.example`: {} answered another question", server.address());
    assert_failed(&check(&spec(server.address()), PATIENT).await, FailureClass::Protocol, &message);
    let server = answering(|_| DnsReply::Garbage(b"\x81\x80nonsense".to_vec()));
    let message = format!("A of `shop.example`: {} answered what is not DNS", server.address());
    assert_failed(&check(&spec(server.address()), PATIENT).await, FailureClass::Protocol, &message);
    let nobody = uptime_tests::DeafTarget::refusing();
    let closed = nobody.address();
    let message = format!("A of `shop.example`: asking {closed}: connection refused");
    assert_failed(&check(&spec(closed), PATIENT).await, FailureClass::Refused, &message);
}

#[tokio::test]
async fn a_slow_answer_is_degraded_or_down() {
    let server = answering(|_| {
        std::thread::sleep(Duration::from_millis(30));
        DnsReply::Records(vec![address(1)])
    });
    let limit = Some(Duration::from_millis(10));
    let report =
        ask(RecordType::A, server.address(), DnsExpect { degraded_above: limit, ..DnsExpect::default() })
            .await;
    assert!(report.is_degraded(), "{report:?}");
    let report =
        ask(RecordType::A, server.address(), DnsExpect { latency_below: limit, ..DnsExpect::default() })
            .await;
    assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Latency));
}
