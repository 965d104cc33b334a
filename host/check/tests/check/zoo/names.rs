//! Names that lead nowhere, and name servers that don't help. Whose fault it is decides who is woken.

use super::shows;
use crate::resolve::{tcp, working};
use crate::{PATIENT, SHORT, assert_up, check};
use std::net::Ipv6Addr;
use uptime_core::check::FailureClass;
use uptime_core::monitor::IpFamily;
use uptime_tests::{DnsReply, NameServer};

#[tokio::test]
async fn nxdomain() {
    let server = working(|_| DnsReply::Code(3));
    let report = check(&tcp("shop.example", 1, IpFamily::Any, server.address()), PATIENT).await;
    shows(&report, FailureClass::Dns, "looking up `shop.example`: no such name", None);
}

#[tokio::test]
async fn servfail_from_a_resolver_that_works_is_the_zones() {
    let server = working(|_| DnsReply::Code(2));
    let report = check(&tcp("shop.example", 1, IpFamily::Any, server.address()), PATIENT).await;
    let message = "looking up `shop.example`: its name servers gave no answer (SERVFAIL)";
    shows(&report, FailureClass::Dns, message, None);
}

#[tokio::test]
async fn servfail_from_one_that_does_not_know_the_root_is_ours() {
    let server = NameServer::start(|_| DnsReply::Code(2));
    let report = check(&tcp("shop.example", 1, IpFamily::Any, server.address()), PATIENT).await;
    let message = format!(
        "looking up `shop.example`: {} answered SERVFAIL to this and to the question for the root",
        server.address()
    );
    shows(&report, FailureClass::Resolver, &message, None);
}

#[tokio::test]
async fn nothing_at_all() {
    let server = working(|_| DnsReply::Silence);
    let report = check(&tcp("shop.example", 1, IpFamily::Any, server.address()), SHORT).await;
    let message = "looking up `shop.example`: its name servers gave no answer within 400ms";
    shows(&report, FailureClass::Dns, message, None);

    let server = NameServer::start(|_| DnsReply::Silence);
    let report = check(&tcp("shop.example", 1, IpFamily::Any, server.address()), SHORT).await;
    let message = format!("looking up `shop.example`: {} gave no answer within 400ms", server.address());
    shows(&report, FailureClass::Resolver, &message, None);
}

#[tokio::test]
async fn ipv6_only() {
    let server = working(|question| DnsReply::address(question, Ipv6Addr::LOCALHOST.into()));
    let report = check(&tcp("shop.example", 1, IpFamily::V4, server.address()), PATIENT).await;
    shows(&report, FailureClass::Dns, "`shop.example` has no IPv4 address", None);
    let Ok(listener) = tokio::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else { return };
    let port = listener.local_addr().expect("an address").port();
    for ip in [IpFamily::Any, IpFamily::V6, IpFamily::All] {
        let report = check(&tcp("shop.example", port, ip, server.address()), PATIENT).await;
        assert_up(&report);
        assert_eq!(report.address(), Some(Ipv6Addr::LOCALHOST.into()));
    }
}
