//! What an answer must be, and what is sent to get it.

use crate::assertion::{contains, judged};
use crate::target::{Target, answer};
use crate::{PATIENT, ask, assert_failed, assert_up, shows};
use std::net::IpAddr;
use std::time::Duration;
use uptime_core::check::FailureClass;
use uptime_core::monitor::HttpSpec;
use uptime_core::secret::SecretRef;

#[tokio::test]
async fn up_with_its_evidence() {
    let target = Target::answering(|_| answer("200 OK", "", "hello")).await;
    let report = ask(target.http("/health?deep=1")).await;
    assert_up(&report);
    assert_eq!((report.status_code(), report.address()), (Some(200), Some(IpAddr::from([127, 0, 0, 1]))));
    let phases = report.phases();
    assert_eq!((phases.dns, phases.tls), (None, None), "an address and no TLS");
    let parts = [phases.connect, phases.first_byte, phases.transfer].map(|part| part.expect("it took place"));
    assert!(parts.iter().sum::<Duration>() <= report.total, "{report:?}");
    let expected = format!(
        "GET /health?deep=1 HTTP/1.1\r\nHost: {}\r\nUser-Agent: uptime/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(target.requests(), [expected]);
}

#[tokio::test]
async fn each_status_rule() {
    for (status, rules, up) in [
        ("204 No Content", "2xx", true),
        ("200 OK", "200", true),
        ("201 Created", "200", false),
        ("404 Not Found", "2xx 404", true),
        ("503 Service Unavailable", "2xx 304", false),
        ("500 Internal Server Error", "500-503", true),
        ("504 Gateway Timeout", "500-503", false),
        ("299 Odd", "2xx", true),
    ] {
        let target =
            Target::answering(move |_| format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n")).await;
        let mut spec = target.http("/");
        spec.expect.status = rules.split(' ').map(|rule| rule.parse().expect(rule)).collect();
        let report = ask(spec).await;
        if up {
            assert_up(&report);
        } else {
            let message = format!("GET {} answered {status}", target.url("/"));
            shows(&report, FailureClass::Status, &message, Some((&rules.replace(' ', ", "), &status[..3])));
        }
    }
}

fn with_body(target: &Target, contains: &[&str], not_contains: &[&str]) -> HttpSpec {
    let mut spec = target.http("/");
    spec.expect.body_contains = contains.iter().map(ToString::to_string).collect();
    spec.expect.body_not_contains = not_contains.iter().map(ToString::to_string).collect();
    spec
}

#[tokio::test]
async fn the_body_is_judged() {
    let target = Target::answering(|_| answer("200 OK", "", "status: \u{1b}[32mok\n")).await;
    let url = target.url("/");
    assert_up(&ask(with_body(&target, &["ok", "status"], &["error"])).await);

    let report = ask(with_body(&target, &["ok", "done"], &[])).await;
    let message = format!("the body of GET {url} lacks `done`");
    shows(&report, FailureClass::Assertion, &message, Some(("contains `done`", "status:  [32mok ")));

    let report = ask(with_body(&target, &[], &["status"])).await;
    assert_failed(&report, FailureClass::Assertion, &format!("the body of GET {url} has `status`"));
}

#[tokio::test]
async fn the_first_mib_is_judged() {
    let body = |filler: usize| format!("{}needle", "x".repeat(filler));
    let target = Target::answering(move |_| answer("200 OK", "", &body(1024 * 1024 - 6))).await;
    assert_up(&judged(&target, contains("needle")).await);
    let target = Target::answering(move |_| answer("200 OK", "", &body(1024 * 1024 - 5))).await;
    let message = format!("the first MiB of the body of GET {} lacks `needle`", target.url("/"));
    assert_failed(&judged(&target, contains("needle")).await, FailureClass::Assertion, &message);
}

#[tokio::test]
async fn method_headers_and_body_are_sent() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "from-a-file\n").expect("written");
    let mut spec = target.http("/");
    spec.method = "POST".into();
    spec.body = Some("a=b".into());
    spec.headers = [
        ("X-Token".to_owned(), SecretRef::File { file }),
        ("User-Agent".to_owned(), SecretRef::Literal("probe".into())),
        ("Host".to_owned(), SecretRef::Literal("inner.example".into())),
    ]
    .into();
    assert_up(&ask(spec).await);
    let requests = target.requests();
    for line in [
        "POST / HTTP/1.1",
        "\r\nHost: inner.example\r\n",
        "\r\nUser-Agent: probe\r\n",
        "\r\nX-Token: from-a-file\r\n",
        "\r\nContent-Length: 3\r\n",
        "\r\n\r\na=b",
    ] {
        assert!(requests[0].contains(line), "{line} is not in {}", requests[0]);
    }
}

#[tokio::test]
async fn a_head_request_has_no_body() {
    let target = Target::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".into()).await;
    let mut spec = target.http("/");
    spec.method = "HEAD".into();
    assert_up(&ask(spec).await);
}

#[tokio::test]
async fn many_checks_share_one_checker() {
    let target = Target::answering(|_| answer("200 OK", "", "ok")).await;
    let checker = uptime_check::Checker::new().expect("a checker");
    let mut checks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (checker, spec) = (checker.clone(), target.parsed("http"));
        checks.spawn(async move { checker.check(&spec, PATIENT).await });
    }
    for report in checks.join_all().await {
        assert_up(&report);
    }
    assert_eq!(target.requests().len(), 200);
}
