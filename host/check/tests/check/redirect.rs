//! Redirects: how far they are followed, and what goes along.

use crate::target::{Target, answer, read_request};
use crate::{PATIENT, assert_failed, assert_up, check};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt as _;
use uptime_core::check::FailureClass;
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::SecretRef;

/// Redirects `/n` to `/n-1`, and answers `/0`.
async fn countdown() -> Target {
    Target::answering(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        match path.trim_start_matches('/').parse::<u32>() {
            Ok(left @ 1..) => answer("302 Found", &format!("location: /{}\r\n", left - 1), "moved"),
            _ => answer("200 OK", "", "here"),
        }
    })
    .await
}

pub(crate) async fn redirecting(status: &'static str, location: String) -> Target {
    Target::answering(move |_| answer(status, &format!("location: {location}\r\n"), "")).await
}

#[tokio::test]
async fn a_chain_is_followed_to_its_limit() {
    let target = countdown().await;
    let mut spec = target.http("/5");
    spec.expect.body_contains.push("here".into());
    let report = check(&CheckSpec::Http(spec), PATIENT).await;
    assert_up(&report);
    assert_eq!((report.status_code(), target.requests().len()), (Some(200), 6));
}

#[tokio::test]
async fn without_redirects_the_first_answer_is_judged() {
    let target = countdown().await;
    let mut spec = target.http("/1");
    spec.redirects = 0;
    let report = check(&CheckSpec::Http(spec.clone()), PATIENT).await;
    assert_failed(&report, FailureClass::Status, &format!("GET {} answered 302 Found", target.url("/1")));
    spec.expect.status = vec!["3xx".parse().expect("a rule")];
    assert_up(&check(&CheckSpec::Http(spec), PATIENT).await);
    assert_eq!(target.requests().len(), 2);
}

#[tokio::test]
async fn a_redirect_that_is_expected_is_judged() {
    let target = countdown().await;
    for (rules, requests) in [("302", 1), ("3xx", 1), ("2xx 302", 2)] {
        let before = target.requests().len();
        let mut spec = target.http("/1");
        spec.expect.status = rules.split(' ').map(|rule| rule.parse().expect(rule)).collect();
        assert_up(&check(&CheckSpec::Http(spec), PATIENT).await);
        assert_eq!(target.requests().len() - before, requests, "{rules}");
    }
}

#[tokio::test]
async fn a_location_is_bytes() {
    for location in [b"/\xfcber?\xfc".as_slice(), "/\u{fc}ber?\u{fc}".as_bytes()] {
        let target = Target::raw(move |mut stream| async move {
            let request = read_request(&mut stream).await;
            let asked = location.iter().map(|byte| match byte {
                0x80.. => format!("%{byte:02X}"),
                byte => char::from(*byte).to_string(),
            });
            let answer = if request.starts_with(&format!("GET {} ", asked.collect::<String>())) {
                answer("200 OK", "", "").into_bytes()
            } else {
                [b"HTTP/1.1 302 Found\r\nLocation: ", location, b"\r\n\r\n"].concat()
            };
            let _ = stream.write_all(&answer).await;
        })
        .await;
        assert_up(&check(&target.spec("/"), PATIENT).await);
    }
}

#[tokio::test]
async fn each_hop_is_evidence() {
    let target = countdown().await;
    let report = check(&target.spec("/2"), PATIENT).await;
    assert_up(&report);
    let seen: Vec<_> = report.hops.iter().map(|hop| (hop.url.clone(), hop.status_code)).collect();
    let url = |path| Some(target.url(path).to_string());
    assert_eq!(seen, [(url("/2"), Some(302)), (url("/1"), Some(302)), (url("/0"), Some(200))]);
    assert!(report.hops.iter().all(|hop| hop.phases.first_byte.is_some()), "{report:?}");
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Target::answering(|_| answer("200 OK", "", "")).await;
    let first = redirecting("307 Temporary Redirect", other.url("/landed").to_string()).await;
    let mut spec = first.http("/");
    spec.url.set_username("user").expect("a host");
    spec.url.set_password(Some("word")).expect("a host");
    spec.headers = [
        ("Cookie".to_owned(), SecretRef::Literal("session=1".into())),
        ("X-Api-Key".to_owned(), SecretRef::Literal("k".into())),
        ("Accept".to_owned(), SecretRef::Literal("text/html".into())),
    ]
    .into();
    assert_up(&check(&CheckSpec::Http(spec), PATIENT).await);
    let (asked_first, asked_then) = (&first.requests()[0], &other.requests()[0]);
    for credential in ["Authorization: Basic dXNlcjp3b3Jk\r\n", "Cookie: session=1\r\n", "X-Api-Key: k\r\n"] {
        assert!(asked_first.contains(credential), "{asked_first}");
        assert!(!asked_then.contains(credential), "{asked_then}");
    }
    assert!(asked_then.contains("Accept: text/html\r\n"), "{asked_then}");
    assert!(asked_then.contains(&format!("Host: {}\r\n", other.address)), "{asked_then}");
}

#[tokio::test]
async fn a_posts_body_goes_along_or_not() {
    for (status, method, body) in [
        ("303 See Other", "GET", false),
        ("302 Found", "GET", false),
        ("300 Multiple Choices", "POST", true),
        ("308 Permanent Redirect", "POST", true),
    ] {
        let target = Target::answering(move |request| match request.split(' ').nth(1) {
            Some("/") => answer(status, "location: /there\r\n", ""),
            _ => answer("200 OK", "", ""),
        })
        .await;
        let mut spec = target.http("/");
        (spec.method, spec.body) = ("POST".into(), Some("the body".into()));
        spec.headers.insert("Content-Type".into(), SecretRef::Literal("text/plain".into()));
        assert_up(&check(&CheckSpec::Http(spec), PATIENT).await);
        let asked = &target.requests()[1];
        assert!(asked.starts_with(method), "{asked}");
        assert_eq!((asked.contains("the body"), asked.contains("Content-Type")), (body, body), "{asked}");
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_told_of_the_last_hop() {
    let (_socket, address): (_, SocketAddr) = crate::target::refusing();
    let target = redirecting("302 Found", format!("http://{address}/")).await;
    let report = check(&target.spec("/"), PATIENT).await;
    assert_failed(&report, FailureClass::Refused, &format!("connecting to {address}: connection refused"));
    assert_eq!(report.status_code(), None, "the last hop has none");
}
