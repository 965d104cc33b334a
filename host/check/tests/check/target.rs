//! Targets: a listener on the loopback that does to each connection what the test says.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use uptime_core::monitor::{CheckSpec, HttpSpec};
use url::Url;

/// A target that lives as long as the value.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Target {
    pub(crate) async fn raw<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::raw_at(SocketAddr::from(([127, 0, 0, 1], 0)), serve).await
    }

    /// The same on another address of this machine.
    async fn raw_at<F, S>(address: SocketAddr, serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
        Self { address, requests: Arc::default(), _tasks: tasks }
    }

    /// Answers each request with what `answer` says to it, and closes.
    pub(crate) async fn answering(answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> Self {
        Self::answering_at(SocketAddr::from(([127, 0, 0, 1], 0)), answer).await
    }

    /// The same on another address of this machine.
    pub(crate) async fn answering_at(
        address: SocketAddr,
        answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let target = Self::raw_at(address, move |mut stream| {
            let (answer, seen) = (answer.clone(), Arc::clone(&seen));
            async move {
                let request = read_request(&mut stream).await;
                let text = answer(&request);
                seen.lock().expect("no panic under it").push(request);
                let _ = stream.write_all(text.as_bytes()).await;
            }
        })
        .await;
        Self { requests, ..target }
    }

    /// Answers with `status` and these headers where `/` is asked for, and elsewhere with nothing but 200.
    pub(crate) async fn moved(status: &'static str, headers: String) -> Self {
        Self::answering(move |request| match request.split(' ').nth(1) {
            Some("/") => answer(status, &headers, ""),
            _ => answer("200 OK", "", "ok"),
        })
        .await
    }

    /// Takes a connection and nothing more: it neither reads nor answers.
    pub(crate) async fn hanging() -> Self {
        Self::raw(|stream| async move {
            let _open = stream;
            pending::<()>().await;
        })
        .await
    }

    /// Does `serve` over the TLS of `acceptor`; a handshake that fails is the end.
    pub(crate) async fn over_tls<F, S>(acceptor: TlsAcceptor, serve: F) -> Self
    where
        F: Fn(TlsStream<TcpStream>) -> S + Clone + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::raw(move |stream| {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await
    }

    /// Reads a request, then writes `chunk` again and again until the other side has enough.
    pub(crate) async fn pouring(head: &'static str, chunk: Vec<u8>) -> Self {
        let chunk = Arc::new(chunk);
        Self::raw(move |mut stream| {
            let chunk = Arc::clone(&chunk);
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(&chunk).await.is_ok() {}
            }
        })
        .await
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic under it").clone()
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).expect("a URL")
    }

    pub(crate) fn http(&self, path: &str) -> HttpSpec {
        uptime_core::target::http(self.url(path))
    }

    /// What the command line would check with this scheme.
    pub(crate) fn parsed(&self, scheme: &str) -> CheckSpec {
        uptime_core::target::parse(&format!("{scheme}://{}", self.address)).expect("a target")
    }
}

/// A whole request: its head, and as much of a body as `content-length` says.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
}

/// An answer with a body of known length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// The value of a header in a request; without one, nothing.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    request.lines().find_map(value).unwrap_or_default()
}

/// What comes behind `key=` in what a request asks for.
pub(crate) fn parameter<'a>(request: &'a str, key: &str) -> Option<&'a str> {
    request.split_once(&format!("{key}="))?.1.split(' ').next()
}
