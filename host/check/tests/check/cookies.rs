//! Cookies that redirects set: they go back to who set them, for as long as the check lasts.

use crate::resolve::hosting;
use crate::target::{Target, answer, header, parameter};
use crate::tls::{Authority, acceptor, answering_by, params};
use crate::{PATIENT, ask, assert_up, check_with};
use uptime_core::check::FailureClass;
use uptime_core::monitor::{CheckSpec, HttpSpec};
use uptime_core::secret::SecretRef;

fn cookie(request: &str) -> &str {
    header(request, "Cookie")
}

#[tokio::test]
async fn a_redirect_to_itself_that_sets_one() {
    let target = Target::answering(|request| match cookie(request) {
        "" => answer("302 Found", "Set-Cookie: seen=1; Path=/\r\nLocation: /\r\n", ""),
        "seen=1" => answer("302 Found", "Set-Cookie: seen=2; Path=/\r\nLocation: /\r\n", ""),
        _ => answer("200 OK", "", "yes"),
    })
    .await;
    let report = ask(target.http("/")).await;
    assert_up(&report);
    let requests = target.requests();
    assert_eq!(requests.iter().map(|request| cookie(request)).collect::<Vec<_>>(), ["", "seen=1", "seen=2"]);
    // The next check knows nothing of it.
    assert_up(&ask(target.http("/")).await);
    assert_eq!(cookie(&target.requests()[3]), "");
}

#[tokio::test]
async fn one_that_changes_nothing_is_a_loop() {
    let redirect = answer("302 Found", "Set-Cookie: seen=1\r\nLocation: /\r\n", "");
    let target = Target::answering(move |_| redirect.clone()).await;
    let failure = ask(target.http("/")).await.failure.expect("a loop");
    assert_eq!(failure.message, format!("GET {} redirects to itself: a loop", target.url("/")));
    assert_eq!(target.requests().len(), 2);
}

#[tokio::test]
async fn each_rule() {
    // What `/in/first` sets, and what `/in/second` and then `/out` are sent.
    for (set, second, out) in [
        (&["a=1"][..], "a=1", ""),
        (&["a=1; Path=/"], "a=1", "a=1"),
        (&["a=1; path=/in"], "a=1", ""),
        (&["a=1; Path=/in/sec"], "", ""),
        (&["a=1; Path=/o"], "", ""),
        (&["a=1; Path=/; Max-Age=0"], "", ""),
        (&["a=1; Path=/; Max-Age=-1; Expires=Fri, 31 Dec 9999 23:59:59 GMT"], "", ""),
        (&["a=1; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "a=1", "a=1"),
        (&["a=1; Path=/; Expires=Thu, 01-Jan-70 00:00:00 GMT"], "", ""),
        (&["a=1; Path=/; Expires=Fri, 31 Dec 9999 23:59:59 GMT"], "a=1", "a=1"),
        (&["a=1; Path=/; Expires=soon"], "a=1", "a=1"),
        (&["a=1; Path=/", "a=2; Path=/"], "a=2", "a=2"),
        (&["a=1; Path=/", "a=2; Path=/; Max-Age=0"], "", ""),
        (&["a=1; Path=/", "b=2; Path=/in"], "b=2; a=1", "a=1"),
        (&["a=1; Path=/; Domain=127.0.0.1"], "a=1", "a=1"),
        (&["a=1; Path=/; Domain=one.example"], "", ""),
        // Nobody listens on the loopback.
        (&["a=1; Path=/; Secure; HttpOnly; SameSite=Lax"], "a=1", "a=1"),
        (&["__Secure-a=1; Path=/"], "", ""),
        (&["__Host-a=1; Secure; Path=/in"], "", ""),
        (&["__Host-a=1; Secure; Path=/"], "__Host-a=1", "__Host-a=1"),
        (&["a=\"1 2\"=; Path=/"], "a=\"1 2\"=", "a=\"1 2\"="),
        (&["nameless; Path=/", "=nameless; Path=/", "a=1\u{1}; Path=/"], "", ""),
    ] {
        let lines: Vec<String> = set.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
        let lines = lines.concat();
        let target = Target::answering(move |request| match request.split(' ').nth(1) {
            Some("/in/first") => answer("302 Found", &format!("{lines}Location: second\r\n"), ""),
            Some("/in/second") => answer("302 Found", "Location: /out\r\n", ""),
            _ => answer("200 OK", "", ""),
        })
        .await;
        assert_up(&ask(target.http("/in/first")).await);
        let requests = target.requests();
        assert_eq!((cookie(&requests[1]), cookie(&requests[2])), (second, out), "{set:?}");
    }
}

#[tokio::test]
async fn it_goes_to_each_port_of_its_host() {
    let other = Target::answering(|request| {
        let back = parameter(request, "back").unwrap_or_default();
        answer("302 Found", &format!("Set-Cookie: other=2; Path=/\r\nLocation: {back}\r\n"), "")
    })
    .await;
    let there = other.url("/").to_string();
    let first = Target::answering(move |request| {
        if request.starts_with("GET /landed ") {
            return answer("200 OK", "", "");
        }
        let back = format!("http://{}/landed", header(request, "Host"));
        let set = "Set-Cookie: first=1; Path=/; Domain=127.0.0.1";
        answer("302 Found", &format!("{set}\r\nLocation: {there}?back={back}\r\n"), "")
    })
    .await;
    let mut spec = first.http("/");
    spec.headers.insert("Cookie".into(), SecretRef::Literal("own=0".into()));
    assert_up(&ask(spec).await);
    let (of_first, of_other) = (first.requests(), other.requests());
    let sent = [&of_first[0], &of_other[0], &of_first[1]].map(|request| cookie(request));
    assert_eq!(sent, ["own=0", "first=1", "first=1; other=2"]);
}

#[tokio::test]
async fn it_goes_to_its_host_or_its_domain() {
    let server = hosting(&[1]);
    for (from, set, to, sent) in [
        ("example.test", "a=1", "example.test", "a=1"),
        ("example.test", "a=1", "www.example.test", ""),
        ("example.test", "a=1; Domain=example.test", "www.example.test", "a=1"),
        ("www.example.test", "a=1; Domain=.Example.test", "api.example.test", "a=1"),
        ("www.example.test", "a=1; Domain=example.test", "example.test", "a=1"),
        ("www.example.test", "a=1; Domain=example.test", "badexample.test", ""),
        ("example.test", "a=1; Domain=www.example.test", "www.example.test", ""),
        ("example.test", "a=1; Domain=ample.test", "example.test", ""),
        ("example.test", "a=1; Domain=test", "example.test", ""),
        ("test", "a=1; Domain=test", "test", "a=1"),
        ("test", "a=1; Domain=test", "www.test", ""),
        ("example.test", "a=1; Secure", "example.test", ""),
    ] {
        let target = Target::answering(move |request| {
            let Some(port) = parameter(request, "from") else { return answer("200 OK", "", "") };
            let head = format!("Set-Cookie: {set}; Path=/\r\nLocation: http://{to}:{port}/\r\n");
            answer("302 Found", &head, "")
        })
        .await;
        let port = target.address.port();
        let url = format!("http://{from}:{port}/?from={port}").parse().expect("a URL");
        let mut spec = uptime_core::target::http(url);
        spec.lookup.resolver = Some(server.address());
        assert_up(&ask(spec).await);
        assert_eq!(cookie(&target.requests()[1]), sent, "{from}: {set} to {to}");
    }
}

#[tokio::test]
async fn a_secure_one_stays_on_tls() {
    let authority = Authority::new("trusted");
    let plain = Target::answering(|_| answer("200 OK", "", "")).await;
    for (set, host, sent) in [
        ("a=1; Path=/; Domain=example.test", "www.example.test", "a=1"),
        ("a=1; Path=/; Domain=example.test; Secure", "www.example.test", ""),
    ] {
        let acceptor = acceptor(authority.issue(&params(&["example.test"])), rustls::ALL_VERSIONS);
        let head = format!("Set-Cookie: {set}\r\nLocation: http://{host}:{}/\r\n", plain.address.port());
        let secure = answering_by(acceptor, answer("302 Found", &head, "")).await;
        let server = hosting(&[1]);
        let url = format!("https://example.test:{}/", secure.address.port()).parse().expect("a URL");
        let mut spec = HttpSpec { downgrade: true, ..uptime_core::target::http(url) };
        spec.lookup.resolver = Some(server.address());
        assert_up(&check_with(&authority.checker(), &CheckSpec::Http(spec), PATIENT).await);
        assert_eq!(plain.requests().last().map(|request| cookie(request)), Some(sent), "{set}");
    }
}

#[tokio::test]
async fn it_stands_beside_the_operators_own() {
    let target =
        Target::moved("302 Found", "Set-Cookie: session=new-session; Path=/\r\nLocation: /next\r\n".into())
            .await;
    let mut spec = target.http("/");
    spec.headers.insert("Cookie".into(), SecretRef::Literal("lang=en; session=old".into()));
    assert_up(&ask(spec).await);
    assert_eq!(cookie(&target.requests()[1]), "lang=en; session=new-session");
}

#[tokio::test]
async fn many_and_large_ones_are_bounded() {
    let small = (0..300).map(|nth| format!("Set-Cookie: c{nth}={}; Path=/\r\n", "x".repeat(60)));
    let large = format!("Set-Cookie: large={}; Path=/\r\n", "x".repeat(5000));
    let lines = small.chain([large]).collect::<Vec<_>>().concat();
    let target = Target::moved("302 Found", format!("{lines}Location: /next\r\n")).await;
    assert_up(&ask(target.http("/")).await);
    let requests = target.requests();
    let sent = cookie(&requests[1]);
    assert!(sent.len() <= 8190 && !sent.contains("large"), "{} bytes", sent.len());
    assert!((100..=150).contains(&sent.split("; ").count()), "{sent}");
}

#[tokio::test]
async fn a_session_that_comes_back_is_not_shown() {
    let target = Target::answering(|request| match cookie(request) {
        "" => answer("302 Found", "Set-Cookie: session=s3ssion-1; Path=/\r\nLocation: /next\r\n", ""),
        cookie => answer("500 Internal Server Error", "X-Seen: s3ssion-1\r\n", cookie),
    })
    .await;
    let mut spec = target.http("/");
    spec.expect.headers = vec!["X-Seen == \"other\"".parse().expect("a condition")];
    spec.expect.status = vec!["500".parse().expect("a rule")];
    let failure = ask(spec).await.failure.expect("another value");
    assert_eq!(failure.class, FailureClass::Assertion);
    assert!(!format!("{failure:?}").contains("s3ssion-1"), "{failure:?}");
}
