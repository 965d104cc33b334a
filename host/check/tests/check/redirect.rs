//! Redirects: how far they are followed, and what goes along.

use crate::target::{Target, answer};
use crate::{ask, assert_failed, assert_up};
use uptime_core::check::FailureClass;
use uptime_core::secret::SecretRef;
use uptime_tests::DeafTarget;

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
    let report = ask(spec).await;
    assert_up(&report);
    assert_eq!((report.status_code(), target.requests().len()), (Some(200), 6));
}

#[tokio::test]
async fn without_redirects_the_first_answer_is_judged() {
    let target = countdown().await;
    let mut spec = target.http("/1");
    spec.redirects = 0;
    let report = ask(spec.clone()).await;
    assert_failed(&report, FailureClass::Status, &format!("GET {} answered 302 Found", target.url("/1")));
    spec.expect.status = vec!["3xx".parse().expect("a rule")];
    assert_up(&ask(spec).await);
    assert_eq!(target.requests().len(), 2);
}

#[tokio::test]
async fn each_hop_is_evidence() {
    let target = countdown().await;
    let report = ask(target.http("/2")).await;
    assert_up(&report);
    let seen: Vec<_> = report.hops.iter().map(|hop| (hop.url.clone(), hop.status_code)).collect();
    let url = |path| Some(target.url(path).to_string());
    assert_eq!(seen, [(url("/2"), Some(302)), (url("/1"), Some(302)), (url("/0"), Some(200))]);
    assert!(report.hops.iter().all(|hop| hop.phases.first_byte.is_some()), "{report:?}");
}

#[tokio::test]
async fn method_and_body_change_as_the_status_says() {
    for (status, before, after, body) in [
        ("301 Moved Permanently", "POST", "GET", false),
        ("302 Found", "POST", "GET", false),
        ("302 Found", "PUT", "PUT", true),
        ("303 See Other", "POST", "GET", false),
        ("303 See Other", "PUT", "GET", false),
        ("303 See Other", "HEAD", "HEAD", true),
        ("300 Multiple Choices", "POST", "POST", true),
        ("307 Temporary Redirect", "POST", "POST", true),
        ("308 Permanent Redirect", "POST", "POST", true),
    ] {
        let target = Target::moved(status, "location: /there\r\n".into()).await;
        let mut spec = target.http("/");
        (spec.method, spec.body) = (before.into(), Some("the body".into()));
        spec.headers.insert("Content-Type".into(), SecretRef::Literal("text/plain".into()));
        assert_up(&ask(spec).await);
        let asked = &target.requests()[1];
        assert!(asked.starts_with(after), "{status}: {asked}");
        assert_eq!((asked.contains("the body"), asked.contains("Content-Type")), (body, body), "{asked}");
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_told_of_the_last_hop() {
    let nobody = DeafTarget::refusing();
    let address = nobody.address();
    let target = redirecting("302 Found", format!("http://{address}/")).await;
    let report = ask(target.http("/")).await;
    assert_failed(&report, FailureClass::Refused, &format!("connecting to {address}: connection refused"));
    assert_eq!(report.status_code(), None, "the last hop has none");
}
