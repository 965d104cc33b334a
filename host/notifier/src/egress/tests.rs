//! What takes a name server or a certificate of our own.

use super::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uptime_core::grant::HostGrant;

/// A name server that answers from a script and counts how often it was asked.
struct Scripted {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Mutex<usize>,
}

impl Resolve for Scripted {
    async fn resolve(&self, _host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        *self.asked.lock().expect("no panic while it was held") += 1;
        let mut answers = self.answers.lock().expect("no panic while it was held");
        Ok(answers.remove(0).into_iter().map(|address| (address, port).into()).collect())
    }
}

fn egress(answers: &[&[&str]], tls: Option<Arc<rustls::ClientConfig>>) -> Egress<Scripted> {
    let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
    Egress {
        resolver: Scripted { answers: Mutex::new(answers.iter().map(parse).collect()), asked: Mutex::new(0) },
        tls: OnceCell::new_with(tls),
    }
}

fn get(url: &str) -> Outbound {
    Outbound {
        method: Method::GET,
        url: Url::parse(url).expect(url),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(5),
        response_body: 1_000,
        preview: None,
    }
}

fn granted(url: &str) -> Policy {
    Policy {
        granted: vec![HostGrant::origin_of(&Url::parse(url).expect(url)).expect("an origin")],
        ..Policy::default()
    }
}

fn allowed(url: &str) -> Policy {
    Policy { allowed: granted(url).granted, ..Policy::default() }
}

/// A server that answers every connection with `answer`.
async fn serve(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn reason(result: Result<Inbound, EgressError>) -> String {
    match result {
        Err(EgressError::Denied(denial)) => denial.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_inner_address_among_public_ones_stops_the_request() {
    for mixed in
        [["93.184.215.14", "127.0.0.1"], ["10.0.0.1", "93.184.215.14"], ["2606:2800::1", "::ffff:10.0.0.1"]]
    {
        let url = "https://hooks.example/";
        let reason = reason(egress(&[&mixed], None).send(&granted(url), get(url)).await);
        assert!(reason.ends_with("has to be allowed explicitly"), "{mixed:?}: {reason}");
    }
    // The one that is met first is not connected to either, though somebody listens there.
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("its mode");
    let url = format!("https://hooks.example:{}/", listener.local_addr().expect("an address").port());
    for mixed in [["127.0.0.1", "93.184.215.14"], ["93.184.215.14", "127.0.0.1"]] {
        let stopped = egress(&[&mixed], None).send(&granted(&url), get(&url)).await;
        assert!(reason(stopped).ends_with("has to be allowed explicitly"));
    }
    let url = url.replace("https:", "http:");
    let stopped = egress(&[&["127.0.0.1", "fe80::1"]], None).send(&allowed(&url), get(&url)).await;
    assert!(reason(stopped).ends_with("which is never open to a plugin"));
    let nobody = listener.accept().expect_err("nobody came");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    let url = "http://hooks.example/";
    let metadata = egress(&[&["127.0.0.1", "169.254.169.254"]], None).send(&allowed(url), get(url)).await;
    assert!(reason(metadata).ends_with("which is never open to a plugin"));
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_connection_goes_there() {
    let port = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let url = format!("http://rebinding.example:{port}/");
    // The second answer is what an attacker's name server would give to whoever asks again.
    let egress = egress(&[&["127.0.0.1"], &["169.254.169.254"]], None);
    let inbound = egress.send(&allowed(&url), get(&url)).await.expect("an answer");
    assert_eq!((inbound.status, inbound.body.as_slice()), (200, b"hi".as_slice()));
    assert_eq!(*egress.resolver.asked.lock().expect("no panic while it was held"), 1);
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let port = serve("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://two.example:{port}/");
    // Nobody listens on the first.
    let inbound = egress(&[&["127.0.0.2", "127.0.0.1"]], None).send(&allowed(&url), get(&url)).await;
    assert_eq!(inbound.expect("an answer").status, 204);
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit() {
    let port = serve("HTTP/1.1 200 OK\r\n\r\n0123456789").await;
    let url = format!("http://127.0.0.1:{port}/");
    for (limit, body, truncated) in [(10, "0123456789", false), (9, "012345678", true), (0, "", true)] {
        let request = Outbound { response_body: limit, ..get(&url) };
        let inbound = egress(&[], None).send(&allowed(&url), request).await.expect("an answer");
        assert_eq!((inbound.body.as_slice(), inbound.truncated), (body.as_bytes(), truncated), "{limit}");
    }
    let port = serve("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nbroken").await;
    let url = format!("http://127.0.0.1:{port}/");
    let inbound = egress(&[], None).send(&allowed(&url), get(&url)).await.expect("the status counts");
    assert_eq!(
        (inbound.status, inbound.body.as_slice(), inbound.truncated),
        (200, b"broken".as_slice(), true)
    );
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    let port = serve("SSH-2.0-OpenSSH_9.2\r\n").await;
    let url = format!("http://127.0.0.1:{port}/");
    let error = egress(&[], None).send(&allowed(&url), get(&url)).await.expect_err("no answer");
    assert!(
        matches!(&error, EgressError::Http(HttpError::Other(text)) if text.starts_with("the exchange broke: ")),
        "{error:?}"
    );
}

/// A TLS server for `hooks.example`, and a client's configuration that trusts it.
async fn serve_tls() -> (u16, Arc<rustls::ClientConfig>) {
    let certified = rcgen::generate_simple_self_signed(["hooks.example".to_owned()]).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()).into();
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a server");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    (port, connect::client_config(roots).expect("a client"))
}

#[tokio::test]
async fn certificates_are_verified() {
    let (port, trusting) = serve_tls().await;
    let url = format!("https://hooks.example:{port}/");
    let good = egress(&[&["127.0.0.1"]], Some(Arc::clone(&trusting))).send(&allowed(&url), get(&url)).await;
    assert_eq!(good.expect("an answer").status, 204);

    let other = format!("https://other.example:{port}/");
    let error = egress(&[&["127.0.0.1"]], Some(trusting))
        .send(&allowed(&other), get(&other))
        .await
        .expect_err("wrong name");
    assert!(
        matches!(&error, EgressError::Http(HttpError::Tls(text)) if text.starts_with("no TLS with `other.example`: ")),
        "{error:?}"
    );

    let (_, stranger) = serve_tls().await;
    let error = egress(&[&["127.0.0.1"]], Some(stranger))
        .send(&allowed(&url), get(&url))
        .await
        .expect_err("untrusted");
    assert!(matches!(error, EgressError::Http(HttpError::Tls(_))), "{error:?}");
}

/// An HTTP proxy to this machine's ports, whatever the host is called; it writes down what it is asked for.
async fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let target = head
                .strip_prefix("CONNECT ")
                .and_then(|rest| rest.split_once(' '))
                .map(|(to, _)| to.to_owned());
            let is_known = head.contains("Proxy-Authorization: Basic bWU6cCBhc3M=\r\n")
                || head.contains("proxy-authorization: Basic bWU6cCBhc3M=\r\n");
            kept.lock().expect("no panic while it was held").push(head);
            let answer: &[u8] = match (&target, is_known) {
                (_, false) => b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
                (Some(_), true) => b"HTTP/1.1 200 Connection established\r\n\r\n",
                (None, true) => b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            };
            let _ = stream.write_all(answer).await;
            let port = target.and_then(|to| to.rsplit_once(':')?.1.parse::<u16>().ok()).filter(|_| is_known);
            if let Some(port) = port {
                let mut onward =
                    tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the target");
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut onward).await });
            }
        }
    });
    (address.to_string(), asked)
}

fn through(policy: Policy, proxy: &str) -> Policy {
    let proxy = Proxy::parse(&uptime_core::secret::Secret::new(format!("http://{proxy}"))).expect("a proxy");
    Policy { proxy: Some(proxy), ..policy }
}

#[tokio::test]
async fn a_proxy_is_the_way_to_what_is_granted() {
    let (address, asked) = proxy().await;
    let way = format!("me:p%20ass@{address}");
    // This host can't look the name up: the proxy can.
    let url = "http://hooks.example:8088/x?y";
    let sent = egress(&[&[]], None).send(&through(allowed(url), &way), get(url)).await.expect("an answer");
    assert_eq!(sent.status, 202);
    let head = asked.lock().expect("no panic while it was held").remove(0);
    assert!(head.starts_with("GET http://hooks.example:8088/x?y HTTP/1.1\r\n"), "{head}");

    let (port, trusting) = serve_tls().await;
    let url = format!("https://hooks.example:{port}/secret-path");
    for known in [&[][..], &["127.0.0.1"]] {
        let tls = Some(Arc::clone(&trusting));
        let sent = egress(&[known], tls).send(&through(allowed(&url), &way), get(&url)).await;
        assert_eq!(sent.expect("an answer").status, 204);
        let head = asked.lock().expect("no panic while it was held").remove(0);
        assert!(head.starts_with(&format!("CONNECT hooks.example:{port} HTTP/1.1\r\n")), "{head}");
        assert!(!head.contains("secret-path"), "{head}");
    }
    // Whoever answers behind it proves who it is.
    let other = format!("https://other.example:{port}/");
    let stranger = egress(&[&[]], Some(trusting)).send(&through(allowed(&other), &way), get(&other)).await;
    assert!(matches!(stranger, Err(EgressError::Http(HttpError::Tls(_)))), "{stranger:?}");
}

#[tokio::test]
async fn a_proxy_opens_nothing() {
    let (address, asked) = proxy().await;
    let way = format!("me:p%20ass@{address}");
    for (url, here) in [
        ("https://10.0.0.1/", &[][..]),
        ("https://localhost/", &[]),
        ("https://hooks.example/", &["10.0.0.1"]),
        ("https://hooks.example/", &["93.184.215.14", "127.0.0.1"]),
    ] {
        let stopped = egress(&[here], None).send(&through(granted(url), &way), get(url)).await;
        assert!(reason(stopped).ends_with("has to be allowed explicitly"), "{url}");
    }
    let url = "https://hooks.example/";
    let nobody = egress(&[], None).send(&through(Policy::default(), &way), get(url)).await;
    assert_eq!(reason(nobody), "nobody granted it");
    let metadata = "http://169.254.169.254/latest";
    let never = egress(&[], None).send(&through(allowed(metadata), &way), get(metadata)).await;
    assert!(reason(never).ends_with("which is never open to a plugin"));
    assert_eq!(asked.lock().expect("no panic while it was held").len(), 0, "it was not even asked");
}

#[tokio::test]
async fn a_proxy_in_the_way_is_said_without_its_login() {
    let (address, _) = proxy().await;
    for url in ["http://hooks.example/", "https://hooks.example/"] {
        let way = format!("me:wr0ng@{address}");
        let error = egress(&[&[]], None).send(&through(allowed(url), &way), get(url)).await.expect_err("407");
        let EgressError::Http(HttpError::Connect(text)) = error else { panic!("{error:?}") };
        assert!(
            text.starts_with(&format!("the proxy `http://{address}`: ")) && text.contains("407"),
            "{text}"
        );
    }
    let url = "http://hooks.example/";
    let gone = egress(&[&[], &[]], None).send(&through(allowed(url), "u:pw@gone.example:1"), get(url)).await;
    let metadata =
        egress(&[&[]], None).send(&through(allowed(url), "u:pw@169.254.169.254:1"), get(url)).await;
    for failed in [gone, metadata] {
        let Err(EgressError::Http(HttpError::Connect(text))) = failed else { panic!("{failed:?}") };
        assert!(text.starts_with("the proxy `http://") && !text.contains("pw"), "{text}");
    }
    for wrong in ["socks5://h:1", "https://h", "h:3128", "http://h:1/x"] {
        let refused = Proxy::parse(&uptime_core::secret::Secret::new(wrong)).expect_err(wrong);
        assert!(refused.starts_with("takes a proxy such as"), "{refused}");
    }
}
