//! What an answer may be expected to be, beyond its status, and who asks for it.

use crate::target::{Target, answer, header, read_request};
use crate::{PATIENT, ask, ask_briefly, assert_failed, assert_up, shows};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uptime_core::check::{CheckReport, Failure, FailureClass};
use uptime_core::monitor::{Auth, CertificateDays, HttpExpect, HttpSpec, TlsVersion};
use uptime_core::secret::SecretRef;

pub(crate) async fn judged(target: &Target, expect: HttpExpect) -> CheckReport {
    ask(HttpSpec { expect, ..target.http("/") }).await
}

pub(crate) fn contains(text: &str) -> HttpExpect {
    HttpExpect { body_contains: vec![text.into()], ..HttpExpect::default() }
}

pub(crate) fn size_below(limit: u64) -> HttpExpect {
    HttpExpect { size_below: Some(limit), ..HttpExpect::default() }
}

pub(crate) fn json(condition: &str) -> HttpExpect {
    HttpExpect { json: vec![condition.parse().expect("a condition")], ..HttpExpect::default() }
}

fn failure(report: CheckReport) -> Failure {
    report.failure.expect("a failure")
}

#[tokio::test]
async fn patterns_match_the_body() {
    let body = format!("{}status: ok{}", "<".repeat(2000), ">".repeat(2000));
    let target = Target::answering(move |_| answer("200 OK", "", &body)).await;
    let with = |pattern: &str| HttpExpect {
        body_matches: vec![pattern.parse().expect("a pattern")],
        ..HttpExpect::default()
    };
    assert_up(&judged(&target, with("status: (ok|fine)>")).await);
    let message = format!("the body of GET {} does not match `^status`", target.url("/"));
    let report = judged(&target, with("^status")).await;
    let failed = assert_failed(&report, FailureClass::Assertion, &message);
    assert_eq!(failed.expected.as_deref(), Some("matches `^status`"));
    // What must not be there is what the excerpt is about.
    let expect = HttpExpect { body_not_contains: vec!["status".into()], ..HttpExpect::default() };
    let failure = failure(judged(&target, expect).await);
    let excerpt = failure.excerpt.expect("some of the body");
    assert!(excerpt.contains("<<status: ok>>") && excerpt.len() <= 1000, "{excerpt}");
    assert!(failure.got.is_some_and(|got| got.contains("status: ok")));
}

#[tokio::test]
async fn json_and_headers() {
    let target = Target::answering(|request| {
        let body = format!(r#"{{"status": "degraded", "token": "{}"}}"#, header(request, "X-Token"));
        answer("200 OK", "X-Queue: 7\r\n", &body)
    })
    .await;
    let mut spec = target.http("/");
    spec.headers.insert("X-Token".into(), SecretRef::Literal("s3cret".into()));
    spec.expect.json = vec!["$.status == \"degraded\"".parse().expect("a condition")];
    spec.expect.headers = vec!["x-queue < 10".parse().expect("a condition")];
    assert_up(&ask(spec.clone()).await);

    let mut other = spec.clone();
    other.expect.json = vec!["$.token == \"x\"".parse().expect("a condition")];
    let failed = failure(ask(other).await);
    assert_eq!(failed.class, FailureClass::Assertion);
    assert!(failed.excerpt.as_ref().is_some_and(|excerpt| excerpt.contains("degraded")), "{failed:?}");
    assert!(!format!("{failed:?}").contains("s3cret"), "{failed:?}");

    spec.expect.headers = vec!["X-Queue > 10".parse().expect("a condition")];
    let failed = failure(ask(spec).await);
    let message = format!("the headers of GET {} do not fit `X-Queue > 10`", target.url("/"));
    assert_eq!((failed.class, failed.message), (FailureClass::Assertion, message));
    assert!(failed.got.is_some_and(|got| got.contains('7')));

    let target = Target::answering(|_| answer("200 OK", "", "<html>")).await;
    let failed = failure(judged(&target, json("$.a exists")).await);
    assert!(failed.message.contains("is not JSON: "), "{}", failed.message);
    assert_eq!(failed.got.as_deref(), Some("<html>"));
}

#[tokio::test]
async fn a_size_is_announced_or_counted() {
    let target = Target::answering(|_| answer("200 OK", "", "12345")).await;
    assert_up(&judged(&target, size_below(6)).await);
    let message = format!("the body of GET {} is too large", target.url("/"));
    let words = Some(("fewer than 5 bytes", "at least 5 bytes"));
    shows(&judged(&target, size_below(5)).await, FailureClass::Assertion, &message, words);
    // Nothing of it need come.
    let target = Target::answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n".into()).await;
    let failed = failure(judged(&target, size_below(1 << 30)).await);
    assert_eq!(failed.got.as_deref(), Some("at least 10737418240 bytes"));
    let target = Target::pouring("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 64 * 1024]).await;
    let failed = failure(judged(&target, size_below(3 << 20)).await);
    assert_eq!(failed.got.as_deref(), Some("at least 3145728 bytes"), "beyond what is kept of a body");
}

#[tokio::test]
async fn where_the_redirects_lead() {
    let target = Target::moved("302 Found", "location: /login?next=1\r\n".into()).await;
    for (path, got) in [
        ("/login?next=1", None),
        ("/login?next=2", Some("the same with another query".to_owned())),
        ("/home", Some(target.url("/login").to_string())),
    ] {
        let expect = HttpExpect { final_url: Some(target.url(path)), ..HttpExpect::default() };
        assert_eq!(judged(&target, expect).await.failure.and_then(|failure| failure.got), got, "{path}");
    }
}

#[tokio::test]
async fn slow_is_worth_telling_or_down() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let expect = |below, degraded| HttpExpect {
        latency_below: Some(below),
        degraded_above: Some(degraded),
        ..HttpExpect::default()
    };
    let report = judged(&target, expect(PATIENT, Duration::ZERO)).await;
    assert_up(&report);
    assert!(report.is_degraded() && report.warnings[0].class == FailureClass::Latency, "{report:?}");
    assert!(!judged(&target, expect(PATIENT, PATIENT)).await.is_degraded());
    let failed = failure(judged(&target, expect(Duration::ZERO, PATIENT)).await);
    assert_eq!((failed.class, failed.expected.as_deref()), (FailureClass::Latency, Some("below 0s")));
}

/// Answers with bytes, encoded as it says.
pub(crate) async fn encoded(coding: &'static str, body: Vec<u8>) -> Target {
    Target::raw(move |mut stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = [head.into_bytes(), body.clone()].concat();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.read(&mut [0; 4096]).await;
        }
    })
    .await
}

/// `bytes`, compressed as well as gzip can.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_compressed_body_is_judged_in_its_plain_form() {
    let target = encoded("gzip", gzip(b"all is well")).await;
    assert_up(&judged(&target, contains("is well")).await);
    assert_up(&judged(&target, size_below(12)).await);
    assert_eq!(failure(judged(&target, size_below(11)).await).got.as_deref(), Some("at least 11 bytes"));

    let target = encoded("gzip", b"all is well".to_vec()).await;
    let failed = failure(judged(&target, contains("is well")).await);
    let begin = format!("GET {}: the body is not gzip: ", target.url("/"));
    assert!(failed.class == FailureClass::Protocol && failed.message.starts_with(&begin), "{failed:?}");
    assert_up(&judged(&target, HttpExpect::default()).await);

    let target = encoded("compress", Vec::new()).await;
    let message =
        format!("GET {}: the body comes encoded as `compress`, which is not known here", target.url("/"));
    assert_failed(&judged(&target, contains("x")).await, FailureClass::Protocol, &message);
}

#[tokio::test]
async fn compression_is_asked_for_when_wanted() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    for compression in [true, false] {
        let spec = HttpSpec { compression, ..target.http("/") };
        assert_up(&ask(spec).await);
        let requests = target.requests();
        let request = requests.last().expect("it was asked");
        assert_eq!(
            request.contains("\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"),
            compression,
            "{request}"
        );
    }
}

#[tokio::test]
async fn who_asks() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let literal = |text: &str| SecretRef::Literal(text.to_owned());
    let basic = Auth::Basic { user: "user".into(), password: literal("p:w") };
    let bearer = Auth::Bearer { token: literal("t0ken") };
    for (auth, header, expected) in [
        (Some(basic), None, "Basic dXNlcjpwOnc="),
        (Some(bearer.clone()), None, "Bearer t0ken"),
        (Some(bearer), Some("Custom x"), "Custom x"),
        (None, None, "Basic bmFtZTp3b3Jk"),
    ] {
        let mut spec = target.http("/");
        spec.url.set_username("name").expect("a host");
        spec.url.set_password(Some("word")).expect("a host");
        spec.auth = auth;
        spec.headers =
            header.map(|header| ("Authorization".to_owned(), literal(header))).into_iter().collect();
        assert_up(&ask(spec).await);
        let requests = target.requests();
        let request = requests.last().expect("it was asked");
        assert!(request.contains(&format!("\r\nAuthorization: {expected}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_token_that_comes_back_is_not_shown_and_one_that_is_missing_is_ours() {
    let target = Target::answering(|request| answer("200 OK", "", request)).await;
    let mut spec = HttpSpec { expect: contains("not there"), ..target.http("/") };
    let mut with_header = spec.clone();
    with_header.headers.insert("Authorization".into(), SecretRef::Literal("Bearer t0ken".into()));
    spec.auth = Some(Auth::Bearer { token: SecretRef::Literal("t0ken".into()) });
    for (spec, shown) in [(with_header, "Authorization: …"), (spec.clone(), "Authorization: Bearer …")] {
        let failed = failure(ask(spec).await);
        let texts = [&failed.got, &failed.excerpt].map(|text| text.as_deref().unwrap_or_default());
        assert!(texts.iter().all(|text| text.contains(shown)), "{shown}: {failed:?}");
        assert!(!format!("{failed:?}").contains("t0ken"), "{failed:?}");
    }
    spec.auth = Some(Auth::Bearer { token: SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_VARIABLE".into() } });
    let sent = target.requests().len();
    let failed = failure(ask(spec).await);
    assert_eq!((failed.class, target.requests().len()), (FailureClass::Settings, sent), "nothing is sent");
    assert!(failed.message.starts_with("the token of `auth` has no value: "), "{}", failed.message);
}

#[tokio::test]
async fn large_json_is_judged_and_larger_json_is_too_large() {
    let of = async |objects: usize| {
        let target = encoded("gzip", gzip(format!("[{}0]", r#"{"":0},"#.repeat(objects)).as_bytes())).await;
        failure(judged(&target, json("$[0] == 1")).await).message
    };
    // Seven bytes each: beyond 64 KiB it is judged elsewhere.
    let large = of(20_000).await;
    assert!(large.contains("does not fit `$[0] == 1`"), "{large}");
    let larger = of(160_000).await;
    assert!(larger.ends_with(" is not all of it, and larger JSON is not read"), "{larger}");
}

#[tokio::test]
async fn an_answer_in_the_clear_has_no_version_of_tls_and_no_certificate() {
    let target = Target::answering(|_| answer("200 OK", "", "ok")).await;
    let mut spec = target.http("/");
    assert_up(&ask(spec.clone()).await);
    spec.expect.certificate_days = CertificateDays { warning: None, critical: None };
    assert_up(&ask(spec.clone()).await);
    let asked = [
        (Some(TlsVersion::Tls12), CertificateDays::default(), "TLS 1.2 or newer", "no TLS"),
        (None, CertificateDays { warning: Some(21), critical: None }, "a certificate", "plain HTTP"),
        (None, CertificateDays { warning: Some(14), critical: Some(7) }, "a certificate", "plain HTTP"),
    ];
    for (tls_version, certificate_days, expected, got) in asked {
        (spec.expect.tls_version, spec.expect.certificate_days) = (tls_version, certificate_days);
        let message = format!("GET {} was answered without TLS", target.url("/"));
        shows(&ask(spec.clone()).await, FailureClass::Assertion, &message, Some((expected, got)));
    }
}

#[tokio::test]
async fn a_secret_in_a_location_is_shown_nowhere() {
    let target = Target::answering(|request| {
        let token = header(request, "X-Token").replace('/', "%2F");
        let path = request.split(' ').nth(1).unwrap_or_default();
        answer("302 Found", &format!("location: {}{token}/\r\n", path.replace("//", "/")), "")
    })
    .await;
    let mut spec = target.http("/");
    spec.headers.insert("X-Token".into(), SecretRef::Literal("s3/cret-word".into()));
    spec.redirects = 2;
    let report = ask(spec.clone()).await;
    let failed = report.failure.as_ref().expect("it does not end");
    assert_eq!(failed.class, FailureClass::Redirect);
    assert!(failed.message.contains("redirects again, to `/…/…/…/`, after 2"), "{}", failed.message);
    assert_eq!(report.hops[2].url, Some(format!("http://{}/…/…/", target.address)));
    assert!(!format!("{report:?}").contains("cret-word"), "{report:?}");

    // Nor by a check that was cut off.
    let target = Target::raw(|mut stream| async move {
        let request = read_request(&mut stream).await;
        if request.starts_with("GET / ") {
            let redirect = answer("302 Found", "location: /s3%2fcret-word\r\n", "");
            let _ = stream.write_all(redirect.as_bytes()).await;
        } else {
            std::future::pending::<()>().await;
        }
    })
    .await;
    spec.url = target.url("/");
    let report = ask_briefly(spec).await;
    let message = format!("GET http://{}/…: connected, and no answer within 400ms", target.address);
    assert_failed(&report, FailureClass::FirstByteTimeout, &message);
}

#[tokio::test]
async fn a_compressed_body_that_is_larger_than_anybody_reads() {
    // Of bytes that no compression makes fewer.
    let mut state: u64 = 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let target = encoded("gzip", gzip(&noise.take(11 << 20).collect::<Vec<_>>())).await;
    let message = format!("the body of GET {} is too large", target.url("/"));
    let words = Some(("fewer than 52428800 bytes", "more than 10485760 bytes in compressed form"));
    shows(&judged(&target, size_below(50 << 20)).await, FailureClass::Assertion, &message, words);
}
