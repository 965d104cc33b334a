//! HTTP/2: agreed on over TLS or known before, and what a target can do wrong with it.

use crate::target::{Target, answer};
use crate::tls::{params, private, self_signed, server};
use crate::{ask, ask_briefly, assert_failed, assert_up};
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{Request, Response};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{HttpSpec, HttpVersion, HttpVersions};
use uptime_core::secret::SecretRef;
use url::Url;

/// Answers each request that comes over `stream`.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    answer: impl Fn(&Request<()>, Bytes, SendResponse<Bytes>),
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, mut body) = request.into_parts();
        let mut sent = Vec::new();
        // The body's frames come as the connection is polled, and it has sent no more than one window of them.
        while !body.is_end_stream() {
            tokio::select! {
                chunk = body.data() => match chunk {
                    Some(Ok(bytes)) => sent.extend_from_slice(&bytes),
                    _ => break,
                },
                _ = std::future::poll_fn(|cx| connection.poll_closed(cx)) => break,
            }
        }
        answer(&Request::from_parts(head, ()), sent.into(), respond);
    }
}

/// Answers each request in HTTP/2 that was known before.
async fn answering(answer: impl Fn(SendResponse<Bytes>) + Clone + Send + 'static) -> Target {
    Target::raw(move |stream| {
        let answer = answer.clone();
        async move { serve(stream, move |_, _, respond| answer(respond)).await }
    })
    .await
}

fn say(mut respond: SendResponse<Bytes>, body: &'static str) {
    let mut stream = respond.send_response(Response::new(()), body.is_empty()).expect("an open stream");
    if !body.is_empty() {
        stream.send_data(body.into(), true).expect("an open stream");
    }
}

fn spec(target: &Target) -> HttpSpec {
    HttpSpec { versions: HttpVersions::Http2, ..target.http("/a?b=c") }
}

/// A server's side of TLS that offers `protocols`, with a certificate that nobody trusts.
pub(crate) fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let made = self_signed(&params(&["127.0.0.1"]));
    let config = server(rustls::ALL_VERSIONS).with_no_client_auth();
    let mut config = config.with_single_cert(made.chain, private(&made.key)).expect("a certificate");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Speaks HTTP/2 or HTTP/1.1 over TLS, as agreed.
async fn over_tls(protocols: &[&str]) -> Target {
    Target::over_tls(acceptor(protocols), |mut stream| async move {
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            return serve(stream, |_, _, respond| say(respond, "over h2")).await;
        }
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer("200 OK", "", "over 1.1").as_bytes()).await;
        let _ = stream.shutdown().await;
    })
    .await
}

fn https(target: &Target, versions: HttpVersions) -> HttpSpec {
    let mut spec = HttpSpec { versions, ..target.http("/") };
    spec.url = Url::parse(&format!("https://{}/", target.address)).expect("a URL");
    spec.tls.verify = false;
    spec
}

#[tokio::test]
async fn known_before() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let target = Target::raw(move |stream| {
        let told = Arc::clone(&told);
        async move {
            serve(stream, |request, body, respond| {
                let headers = format!("{:?}", request.headers());
                told.lock().expect("no panic under it").push((request.uri().to_string(), body, headers));
                say(respond, "hello");
            })
            .await;
        }
    })
    .await;
    let mut spec = spec(&target);
    (spec.method, spec.body) = ("POST".into(), Some("the body".into()));
    spec.headers.insert("Host".into(), SecretRef::Literal("inner.example".into()));
    spec.expect.body_contains.push("hello".into());
    spec.expect.http_version = vec![HttpVersion::Http2];
    let report = ask(spec).await;
    assert_up(&report);
    assert_eq!(report.hops[0].http_version, Some(HttpVersion::Http2));
    let phases = report.phases();
    assert!(phases.first_byte.is_some() && phases.transfer.is_some(), "{phases:?}");
    let seen = seen.lock().expect("no panic under it");
    let (uri, body, headers) = &seen[0];
    assert_eq!((uri.as_str(), &body[..]), ("http://inner.example/a?b=c", &b"the body"[..]));
    assert!(!headers.contains("\"host\"") && !headers.contains("connection"), "{headers}");
}

#[tokio::test]
async fn agreed_over_tls() {
    for (offered, versions, text, version) in [
        (&["h2", "http/1.1"][..], HttpVersions::Auto, "over h2", HttpVersion::Http2),
        (&["h2", "http/1.1"], HttpVersions::Http1, "over 1.1", HttpVersion::Http11),
        (&["h2", "http/1.1"], HttpVersions::Http2, "over h2", HttpVersion::Http2),
        (&["http/1.1"], HttpVersions::Auto, "over 1.1", HttpVersion::Http11),
        (&[], HttpVersions::Auto, "over 1.1", HttpVersion::Http11),
    ] {
        let target = over_tls(offered).await;
        let mut spec = https(&target, versions);
        spec.expect.body_contains.push(text.into());
        let report = ask(spec).await;
        assert_up(&report);
        assert_eq!(report.hops[0].http_version, Some(version), "{offered:?} {versions:?}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_spoken() {
    let target = over_tls(&[]).await;
    let report = ask(https(&target, HttpVersions::Http2)).await;
    assert_failed(&report, FailureClass::Protocol, "`127.0.0.1` does not offer HTTP/2");

    let target = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let report = ask(spec(&target)).await;
    let failure = report.failure.expect("that is no HTTP/2");
    assert_eq!(failure.class, FailureClass::Protocol);
    assert!(failure.message.contains("the answer is not HTTP/2"), "{}", failure.message);
}

#[tokio::test]
async fn a_version_that_is_not_expected() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let mut spec = target.http("/");
    spec.expect.http_version = vec![HttpVersion::Http2];
    let report = ask(spec).await;
    let message = format!("GET {} was answered in HTTP/1.1", target.url("/"));
    let failure = assert_failed(&report, FailureClass::Assertion, &message);
    assert_eq!(failure.expected.as_deref(), Some("HTTP/2"));
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    let target = answering(|mut respond| {
        let mut response = Response::new(());
        for n in 0..320 {
            let name: http::HeaderName = format!("x-{n}").parse().expect("a name");
            response.headers_mut().insert(name, "x".repeat(1024).parse().expect("a value"));
        }
        let _ = respond.send_response(response, true);
    })
    .await;
    let report = ask(spec(&target)).await;
    let words = "the answer's head is larger than 300 KiB, or breaks the rules of HTTP/2";
    let message = format!("GET {}: {words}", target.url("/a"));
    assert_failed(&report, FailureClass::Protocol, &message);
}

#[tokio::test]
async fn broken_off() {
    let target = answering(|mut respond| respond.send_reset(Reason::INTERNAL_ERROR)).await;
    let report = ask(spec(&target)).await;
    let message = format!("GET {}: the target broke the answer off (INTERNAL_ERROR)", target.url("/a"));
    assert_failed(&report, FailureClass::Protocol, &message);
}

#[tokio::test]
async fn no_answer_and_half_an_answer() {
    for (begins, class) in [(false, FailureClass::FirstByteTimeout), (true, FailureClass::BodyTimeout)] {
        let held = Arc::new(Mutex::new(Vec::new()));
        let target = answering(move |mut respond| {
            let stream = begins.then(|| respond.send_response(Response::new(()), false).expect("open"));
            held.lock().expect("no panic under it").push((respond, stream));
        })
        .await;
        let report = ask_briefly(spec(&target)).await;
        assert_eq!(report.failure.expect("it does not end").class, class);
    }
}

#[tokio::test]
async fn a_body_is_read_beyond_the_first_window_and_not_without_end() {
    for (length, needle_is_read) in [(1024 * 1024 - 6, true), (8 * 1024 * 1024, false)] {
        let target = answering(move |mut respond| {
            let mut stream = respond.send_response(Response::new(()), false).expect("an open stream");
            let body = [vec![b'x'; length], b"needle".to_vec()].concat();
            stream.send_data(body.into(), true).expect("an open stream");
        })
        .await;
        let mut spec = spec(&target);
        spec.expect.body_contains.push("needle".into());
        let report = ask(spec).await;
        assert_eq!(report.failure.is_none(), needle_is_read, "{:?}", report.failure);
    }
}
