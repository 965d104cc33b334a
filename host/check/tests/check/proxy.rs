//! Checks through a proxy: what is asked of it, and whose fault it is when it fails.

use crate::http2::acceptor;
use crate::target::{Target, answer, read_request};
use crate::tls::serving_by;
use crate::{ask, ask_briefly, assert_failed, assert_up};
use std::future::pending;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use uptime_core::check::FailureClass;
use uptime_core::monitor::HttpSpec;
use uptime_core::secret::SecretRef;
use uptime_core::target;
use uptime_tests::DeafTarget;
use url::Url;

fn through(url: &str, proxy: &str) -> HttpSpec {
    let mut spec = target::http(Url::parse(url).expect("a URL"));
    spec.proxy = Some(SecretRef::Literal(proxy.to_owned()));
    spec.tls.verify = false;
    spec
}

#[tokio::test]
async fn https_goes_through_connect() {
    let target = serving_by(acceptor(&["http/1.1"])).await;
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
    let report = ask(spec).await;
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
    assert_up(&ask(spec).await);
    let request = &proxy.requests()[0];
    assert!(request.starts_with("GET http://name.invalid/x?y HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nHost: name.invalid\r\n"), "{request}");
    assert!(request.contains("\r\nProxy-Authorization: Basic dXNlcjp3b3Jk\r\n"), "{request}");
}

#[tokio::test]
async fn whose_fault_it_is() {
    for (status, class, words) in [
        ("407 Proxy Auth", FailureClass::Proxy, ": CONNECT name.invalid:443: it answered 407"),
        ("403 Forbidden", FailureClass::Proxy, ": CONNECT name.invalid:443: it answered 403"),
        ("502 Bad Gateway", FailureClass::Unreachable, " can't connect to name.invalid:443: 502 Bad Gateway"),
        ("504 Gateway Timeout", FailureClass::Unreachable, " can't connect to name.invalid:443: 504"),
    ] {
        let proxy = Target::answering(move |_| answer(status, "", "")).await;
        let shown = format!("http://{}", proxy.address);
        let spec = through("https://name.invalid/", &format!("http://u:s3cret@{}", proxy.address));
        let failure = ask(spec).await.failure.expect(status);
        assert_eq!(failure.class, class, "{}", failure.message);
        assert!(failure.message.starts_with(&format!("the proxy `{shown}`{words}")), "{}", failure.message);
    }
    let proxy = Target::answering(|_| answer("407 Proxy Authentication Required", "", "")).await;
    let spec = through("http://name.invalid/", &format!("http://{}", proxy.address));
    assert_eq!(ask(spec).await.failure.expect("407").class, FailureClass::Proxy);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_ours() {
    let mut proxy = DeafTarget::refusing();
    let address = proxy.address();
    let through = |scheme| through("http://127.0.0.1:1/", &format!("{scheme}://{address}"));
    let message = format!("the proxy `http://{address}`: connecting to {address}: connection refused");
    assert_failed(&ask(through("http")).await, FailureClass::Proxy, &message);
    proxy.deafen();
    let message = format!("the proxy `socks5://{address}`: connecting to {address}: no answer within 400ms");
    assert_failed(&ask_briefly(through("socks5")).await, FailureClass::Proxy, &message);
}

#[tokio::test]
async fn a_proxy_that_falls_silent() {
    // A SOCKS proxy that has agreed to speak waits for the target, as one of HTTP does that has read what is wanted.
    for (proxy, url, says, class, words) in [
        (
            "http",
            "https",
            &[][..],
            FailureClass::ConnectTimeout,
            "did not connect to name.invalid:443 within",
        ),
        ("socks5", "http", &[], FailureClass::Proxy, "was connected to, and said nothing within"),
        (
            "socks5",
            "http",
            &[5, 0],
            FailureClass::ConnectTimeout,
            "did not connect to name.invalid:80 within",
        ),
    ] {
        let target = Target::raw(move |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(says).await;
            pending::<()>().await;
        })
        .await;
        let shown = format!("{proxy}://{}", target.address);
        let report = ask_briefly(through(&format!("{url}://name.invalid/"), &shown)).await;
        assert_failed(&report, class, &format!("the proxy `{shown}` {words} 400ms"));
    }
}

#[tokio::test]
async fn a_proxys_own_error_for_plain_http_is_as_the_targets() {
    for status in ["403 Forbidden", "502 Bad Gateway", "504 Gateway Timeout"] {
        let proxy = Target::answering(move |_| answer(status, "", "")).await;
        let spec = through("http://name.invalid/", &format!("http://{}", proxy.address));
        let message = format!("GET http://name.invalid/ answered {status}");
        assert_failed(&ask(spec).await, FailureClass::Status, &message);
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
    assert_up(&ask(spec).await);
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
        let failure = ask(spec).await.failure.expect("refused");
        assert_eq!(failure.class, class, "{reply}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_redirect_does_not_send_the_proxy_where_only_it_can_go() {
    let proxy = Target::answering(|_| answer("302 Found", "location: http://169.254.169.254/\r\n", "")).await;
    let spec = through("http://name.invalid/", &format!("http://{}", proxy.address));
    let failure = ask(spec).await.failure.expect("refused");
    assert_eq!(failure.class, FailureClass::Redirect, "{}", failure.message);
    assert_eq!(proxy.requests().len(), 1);
}
