//! Targets that send us round and round, or to where we must not go.

use crate::redirect::redirecting;
use crate::resolve::working;
use crate::target::{Target, answer};
use crate::tls::{Authority, acceptor, answering_by};
use crate::{PATIENT, ask, check_with, shows};
use std::net::{IpAddr, Ipv4Addr};
use uptime_core::check::FailureClass;
use uptime_core::monitor::{IpFamily, Lookup};
use uptime_core::target;
use uptime_tests::DnsReply;

#[tokio::test]
async fn loops() {
    let target = redirecting("301 Moved Permanently", "/again?and=again".into()).await;
    let report = ask(target.http("/again")).await;
    let message = format!("GET {} redirects to itself: a loop", target.url("/again"));
    shows(&report, FailureClass::Redirect, &message, None);
    assert_eq!((target.requests().len(), report.hops.len()), (2, 2));

    let target = Target::answering(|request| {
        let to = if request.starts_with("GET /ping ") { "/pong" } else { "/ping" };
        answer("302 Found", &format!("location: {to}\r\n"), "")
    })
    .await;
    let report = ask(target.http("/ping")).await;
    let message = format!(
        "GET {} redirects to `{}`, where it came from: a loop",
        target.url("/pong"),
        target.url("/ping")
    );
    shows(&report, FailureClass::Redirect, &message, None);
}

#[tokio::test]
async fn never_arrives() {
    // Always somewhere else, so that no loop can be seen.
    let target = Target::answering(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        answer("302 Found", &format!("location: {path}x\r\n"), "")
    })
    .await;
    let report = ask(target.http("/")).await;
    let message = format!("GET {} redirects again, to `/xxxxxx`, after 5 redirects", target.url("/xxxxx"));
    shows(&report, FailureClass::Redirect, &message, Some(("at most 5 redirects", "one more")));
}

#[tokio::test]
async fn leads_to_the_metadata_of_a_cloud() {
    for (location, shown, address) in [
        ("http://169.254.169.254/meta/?token=1", "http://169.254.169.254/meta/", "169.254.169.254"),
        ("http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/", "::ffff:169.254.169.254"),
        ("http://0xa9fea9fe/", "http://169.254.169.254/", "169.254.169.254"),
        ("http://[fd00:ec2::254]/", "http://[fd00:ec2::254]/", "fd00:ec2::254"),
    ] {
        let target = redirecting("302 Found", location.into()).await;
        let report = ask(target.http("/")).await;
        let message = format!(
            "redirected to {shown}, whose address {address} (metadata) is none that a redirect may lead to"
        );
        shows(&report, FailureClass::Redirect, &message, None);
    }
}

#[tokio::test]
async fn leads_to_the_metadata_of_a_cloud_by_a_name() {
    let server = working(|question| match question.name.as_str() {
        "shop.example" => DnsReply::address(question, IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => DnsReply::address(question, IpAddr::from([169, 254, 169, 254])),
    });
    let target = redirecting("302 Found", "http://metadata.example/latest/?token=1".into()).await;
    let url = format!("http://shop.example:{}/", target.address.port()).parse().expect("a URL");
    let mut spec = target::http(url);
    spec.lookup = Lookup { ip: IpFamily::Any, resolver: Some(server.address()) };
    let report = ask(spec).await;
    let message = "redirected to http://metadata.example/latest/, whose address 169.254.169.254 (metadata) is none that a redirect may lead to";
    shows(&report, FailureClass::Redirect, message, None);
}

#[tokio::test]
async fn goes_down_from_https_to_http() {
    let authority = Authority::new("trusted");
    let acceptor = acceptor(authority.local(), rustls::ALL_VERSIONS);
    let plain = Target::answering(|_| answer("200 OK", "", "")).await;
    let location = plain.url("/").to_string();
    let redirect = answer("301 Moved Permanently", &format!("location: {location}\r\n"), "");
    let target = answering_by(acceptor, redirect).await;
    let report = check_with(&authority.checker(), &target.parsed("https"), PATIENT).await;
    let message = format!("https://{}/ redirects to `{location}`, which gives up encryption", target.address);
    shows(&report, FailureClass::Redirect, &message, None);
    assert!(plain.requests().is_empty());
}
