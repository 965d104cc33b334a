//! Redirects from a public address to where only this machine, or its network, can go.
//!
//! In a namespace whose veth has a public address and a private one: nothing leaves it.

use crate::namespace::run_inside;
use crate::resolve::working;
use crate::target::{Target, answer};
use crate::{ask, assert_up};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{HttpSpec, IpFamily, Lookup};
use uptime_core::target;
use uptime_tests::{DnsQuestion, DnsRecord, DnsReply, RecordKind};

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn a_public_target_does_not_lead_inwards() {
    run_inside("inwards::redirects", "ip address add 8.8.8.8/32 dev probe0");
}

/// A target at `address` that sends everybody who asks for `/` to `location`, with the method kept.
async fn leading(address: SocketAddr, location: String) -> Target {
    Target::answering_at(address, move |request| match request.split(' ').nth(1) {
        Some("/") => answer("307 Temporary Redirect", &format!("location: {location}\r\n"), ""),
        _ => answer("200 OK", "", "ok"),
    })
    .await
}

async fn post(url: &str, change: impl FnOnce(&mut HttpSpec)) -> CheckReport {
    let mut spec = target::http(url.parse().expect("a URL"));
    spec.method = "POST".into();
    change(&mut spec);
    ask(spec).await
}

#[track_caller]
fn assert_refused(report: &CheckReport, what: &str) {
    let failure = report.failure.as_ref().unwrap_or_else(|| panic!("{what}: {report:?}"));
    assert_eq!(failure.class, FailureClass::Redirect, "{what}: {report:?}");
    assert!(failure.message.contains("no redirect from a "), "{what}: {}", failure.message);
    assert_eq!(report.address(), None, "{what}: nobody was spoken to");
}

fn several(question: &DnsQuestion, addresses: &[IpAddr]) -> DnsReply {
    let wanted = addresses.iter().filter(|address| (question.kind == RecordKind::A) == address.is_ipv4());
    DnsReply::Records(wanted.map(|address| DnsRecord::Address(question.name.clone(), *address)).collect())
}

#[tokio::test]
#[ignore = "run in a namespace by the test above"]
async fn redirects() {
    // On every address of the machine, those of IPv6 that carry one of IPv4 too.
    let inner =
        Target::answering_at("[::]:0".parse().expect("an address"), |_| answer("200 OK", "", "ok")).await;
    let port = inner.address.port();
    let asked = AtomicU32::new(0);
    let server = working({
        move |question| match question.name.as_str() {
            "inner.example" => several(question, &[LOOPBACK]),
            "mixed.example" => several(question, &[PUBLIC, LOOPBACK]),
            "mapped.example" => several(question, &["::ffff:127.0.0.1".parse().expect("an address")]),
            "translated.example" => several(question, &["64:ff9b::7f00:1".parse().expect("an address")]),
            // Public at first, then not.
            "turning.example" if question.kind == RecordKind::A => several(
                question,
                &[if asked.fetch_add(1, Relaxed).is_multiple_of(2) { PUBLIC } else { LOOPBACK }],
            ),
            _ => DnsReply::Records(Vec::new()),
        }
    });
    let lookup = |ip| Lookup { ip, resolver: Some(server.address()) };
    // Each disguise of an address is tried where redirects are read.
    for host in [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "10.9.0.1",
        "[fd09::1]",
        "inner.example",
        "mixed.example",
        "mapped.example",
        "translated.example",
    ] {
        let outer = leading(SocketAddr::new(PUBLIC, 0), format!("http://{host}:{port}/there")).await;
        for ip in [IpFamily::Any, IpFamily::All] {
            let report = post(outer.url("/").as_str(), |spec| spec.lookup = lookup(ip)).await;
            assert_refused(&report, host);
        }
    }
    assert!(inner.requests().is_empty(), "{:?}", inner.requests());

    let outer = leading(SocketAddr::new(PUBLIC, 0), format!("http://inner.example:{port}/there")).await;
    let report = post(outer.url("/").as_str(), |spec| {
        (spec.lookup, spec.redirect_to_private) = (lookup(IpFamily::Any), true);
    })
    .await;
    assert_up(&report);
    assert_eq!(inner.requests().len(), 1);

    // One more step inwards: from the network to this machine. Along the network, and outwards, it may go.
    let site = leading(SocketAddr::new(PRIVATE, 0), format!("http://127.0.0.1:{port}/there")).await;
    assert_refused(&post(site.url("/").as_str(), |_| {}).await, "from a private address");
    let outwards = leading(SocketAddr::new(PRIVATE, 0), outer.url("/there").into()).await;
    let along = leading(SocketAddr::new(PRIVATE, 0), outwards.url("/").into()).await;
    assert_up(&post(along.url("/").as_str(), |_| {}).await);
    // Nor by a detour.
    let detour = leading(SocketAddr::new(PRIVATE, 0), outer.url("/").into()).await;
    assert_refused(
        &post(detour.url("/").as_str(), |spec| spec.lookup = lookup(IpFamily::Any)).await,
        "a detour",
    );

    // The same origin, whose name has another address by now.
    let turning = leading(SocketAddr::new(PUBLIC, 0), "/there".into()).await;
    let port = turning.address.port();
    let here = leading(SocketAddr::new(LOOPBACK, port), "/there".into()).await;
    let url = format!("http://turning.example:{port}/");
    let report = post(&url, |spec| spec.lookup = lookup(IpFamily::V4)).await;
    assert_refused(&report, "a name that turns");
    assert_eq!((turning.requests().len(), here.requests().len()), (1, 0));
}
