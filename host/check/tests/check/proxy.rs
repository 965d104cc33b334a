//! Checks through a proxy: what is asked of it, and whose fault it is when it fails.

use crate::http2::acceptor;
use crate::target::{Target, answer, black_hole, read_request, refusing};
use crate::{PATIENT, SHORT, assert_failed, assert_up, check};
use std::future::pending;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{CheckSpec, HttpSpec};
use uptime_core::secret::SecretRef;
use uptime_core::target;
use url::Url;

fn through(url: &str, proxy: &str) -> HttpSpec {
    let mut spec = target::http(Url::parse(url).expect("a URL"));
    spec.proxy = Some(SecretRef::Literal(proxy.to_owned()));
    spec.tls.verify = false;
    spec
}

/// Serves `ok` over TLS.
async fn secure() -> Target {
    let acceptor = acceptor(&["http/1.1"]);
    Target::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn https_goes_through_connect() {
    let target = secure().await;
    let address = target.address;
    let seen = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&seen);
    let proxy = Target::raw(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            *told.lock().expect("no panic under it") = read_request(&mut stream).await;
            // The name is the proxy's to look up.
            let mut to = TcpStream::connect(address).await.expect("the target");
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.expect("open");
            let _ = copy_bidirectional(&mut stream, &mut to).await;
        }
    })
    .await;
    let spec = through("https://name.invalid/x", &format!("http://user:p%40ss@{}", proxy.address));
    let report = check(&CheckSpec::Http(spec), PATIENT).await;
    assert_up(&report);
    assert_eq!(report.address(), Some(proxy.address.ip()));
    assert!(report.phases().connect.is_some() && report.phases().tls.is_some(), "{report:?}");
    let request = seen.lock().expect("no panic under it").to_ascii_lowercase();
    assert!(request.starts_with("connect name.invalid:443 http/1.1\r\n"), "{request}");
    assert!(request.contains("proxy-authorization: basic dxnlcjpwqhnz\r\n"), "{request}");
}

#[tokio::test]
async fn plain_http_is_asked_for_by_its_url() {
    let proxy = Target::answering(|_| answer("200 OK", "", "fetched")).await;
    let mut spec = through("http://name.invalid/x?y", &format!("http://user:word@{}", proxy.address));
    spec.expect.body_contains.push("fetched".into());
    assert_up(&check(&CheckSpec::Http(spec), PATIENT).await);
    let request = &proxy.requests()[0];
    assert!(request.starts_with("GET http://name.invalid/x?y HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nHost: name.invalid\r\n"), "{request}");
    assert!(request.contains("\r\nProxy-Authorization: Basic dXNlcjp3b3Jk\r\n"), "{request}");
}

#[tokio::test]
async fn whose_fault_it_is() {
    for (status, class, words) in [
        (
            "407 Proxy Authentication Required",
            FailureClass::Proxy,
            ": CONNECT name.invalid:443: it answered 407",
        ),
        ("403 Forbidden", FailureClass::Proxy, ": CONNECT name.invalid:443: it answered 403"),
        ("502 Bad Gateway", FailureClass::Unreachable, " can't connect to name.invalid:443: 502 Bad Gateway"),
        ("504 Gateway Timeout", FailureClass::Unreachable, " can't connect to name.invalid:443: 504"),
    ] {
        let proxy = Target::answering(move |_| answer(status, "", "")).await;
        let shown = format!("http://{}", proxy.address);
        let spec = through("https://name.invalid/", &format!("http://u:s3cret@{}", proxy.address));
        let failure = check(&CheckSpec::Http(spec), PATIENT).await.failure.expect(status);
        assert_eq!(failure.class, class, "{}", failure.message);
        assert!(failure.message.starts_with(&format!("the proxy `{shown}`{words}")), "{}", failure.message);
    }
    let proxy = Target::answering(|_| answer("407 Proxy Authentication Required", "", "")).await;
    let spec = through("http://name.invalid/", &format!("http://{}", proxy.address));
    assert_eq!(check(&CheckSpec::Http(spec), PATIENT).await.failure.expect("407").class, FailureClass::Proxy);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_ours() {
    let (_socket, address) = refusing();
    let spec = CheckSpec::Http(through("http://127.0.0.1:1/", &format!("http://{address}")));
    let message = format!("the proxy `http://{address}`: connecting to {address}: connection refused");
    assert_failed(&check(&spec, PATIENT).await, FailureClass::Proxy, &message);

    let (_socket, _queued, address) = black_hole().await;
    let spec = CheckSpec::Http(through("http://127.0.0.1:1/", &format!("socks5://{address}")));
    let message = format!("the proxy `socks5://{address}`: connecting to {address}: no answer within 400ms");
    assert_failed(&check(&spec, SHORT).await, FailureClass::Proxy, &message);
}

#[tokio::test]
async fn a_proxy_that_gets_no_answer_from_the_target() {
    let proxy = Target::raw(|mut stream| async move {
        read_request(&mut stream).await;
        pending::<()>().await;
    })
    .await;
    let shown = format!("http://{}", proxy.address);
    let spec = CheckSpec::Http(through("https://name.invalid/", &shown));
    let message = format!("the proxy `{shown}` did not connect to name.invalid:443 within 400ms");
    assert_failed(&check(&spec, SHORT).await, FailureClass::ConnectTimeout, &message);
}

#[tokio::test]
async fn a_socks_proxy_that_says_nothing_is_ours() {
    let proxy = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        pending::<()>().await;
    })
    .await;
    let shown = format!("socks5://{}", proxy.address);
    let spec = CheckSpec::Http(through("http://name.invalid/", &shown));
    let message = format!("the proxy `{shown}` was connected to, and said nothing within 400ms");
    assert_failed(&check(&spec, SHORT).await, FailureClass::Proxy, &message);
    // One that has agreed to speak waits for the target.
    let proxy = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(&[5, 0]).await;
        pending::<()>().await;
    })
    .await;
    let shown = format!("socks5://{}", proxy.address);
    let spec = CheckSpec::Http(through("http://name.invalid/", &shown));
    let message = format!("the proxy `{shown}` did not connect to name.invalid:80 within 400ms");
    assert_failed(&check(&spec, SHORT).await, FailureClass::ConnectTimeout, &message);
}

#[tokio::test]
async fn a_proxys_own_error_for_plain_http_is_as_the_targets() {
    for status in ["403 Forbidden", "502 Bad Gateway", "504 Gateway Timeout"] {
        let proxy = Target::answering(move |_| answer(status, "", "")).await;
        let spec = through("http://name.invalid/", &format!("http://{}", proxy.address));
        let message = format!("GET http://name.invalid/ answered {status}");
        assert_failed(&check(&CheckSpec::Http(spec), PATIENT).await, FailureClass::Status, &message);
    }
}

/// Speaks SOCKS5 (RFC 1928) without a login, and answers `reply`.
async fn socks5(reply: u8, target: Option<std::net::SocketAddr>, told: Arc<Mutex<Vec<u8>>>) -> Target {
    Target::raw(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            let mut head = [0; 2];
            stream.read_exact(&mut head).await.expect("a greeting");
            let mut methods = vec![0; usize::from(head[1])];
            stream.read_exact(&mut methods).await.expect("methods");
            stream.write_all(&[5, 0]).await.expect("open");
            let mut request = [0; 5];
            stream.read_exact(&mut request).await.expect("a request");
            assert_eq!(request[..4], [5, 1, 0, 3], "CONNECT to a name");
            let mut name = vec![0; usize::from(request[4]) + 2];
            stream.read_exact(&mut name).await.expect("a name and a port");
            *told.lock().expect("no panic under it") = name;
            stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await.expect("open");
            if let Some(target) = target {
                let mut to = TcpStream::connect(target).await.expect("the target");
                let _ = copy_bidirectional(&mut stream, &mut to).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn socks5_connects_by_name() {
    let told: Arc<Mutex<Vec<u8>>> = Arc::default();
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let proxy = socks5(0, Some(target.address), Arc::clone(&told)).await;
    let spec = through("http://name.invalid/", &format!("socks5://{}", proxy.address));
    assert_up(&check(&CheckSpec::Http(spec), PATIENT).await);
    assert_eq!(told.lock().expect("no panic under it")[..], *b"name.invalid\x00\x50");
    assert!(target.requests()[0].starts_with("GET / HTTP/1.1\r\nHost: name.invalid\r\n"));
}

#[tokio::test]
async fn socks5_says_whose_fault_it_is() {
    for (reply, class) in [
        (5, FailureClass::Refused),
        (4, FailureClass::Unreachable),
        (1, FailureClass::Unreachable),
        (2, FailureClass::Proxy),
        (7, FailureClass::Proxy),
    ] {
        let proxy = socks5(reply, None, Arc::default()).await;
        let spec = through("http://name.invalid/", &format!("socks5://{}", proxy.address));
        let failure = check(&CheckSpec::Http(spec), PATIENT).await.failure.expect("refused");
        assert_eq!(failure.class, class, "{reply}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_redirect_does_not_send_the_proxy_where_only_it_can_go() {
    let proxy = Target::answering(|_| answer("302 Found", "location: http://169.254.169.254/\r\n", "")).await;
    let spec = through("http://name.invalid/", &format!("http://{}", proxy.address));
    let failure = check(&CheckSpec::Http(spec), PATIENT).await.failure.expect("refused");
    assert_eq!(failure.class, FailureClass::Redirect, "{}", failure.message);
    assert_eq!(proxy.requests().len(), 1);
}
