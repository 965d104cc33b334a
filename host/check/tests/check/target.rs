//! Targets: a listener on the loopback that does to each connection what the test says.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
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

    pub(crate) fn spec(&self, path: &str) -> CheckSpec {
        CheckSpec::Http(self.http(path))
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

/// A local port that refuses connections as long as the value lives.
pub(crate) fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    (socket, address)
}

/// A local port that never answers a connection attempt: its queue is full, and the kernel drops what else comes.
pub(crate) async fn black_hole() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
    let (socket, address) = refusing();
    socket.listen(0).expect("it listens");
    let mut queued = Vec::new();
    let a_while = std::time::Duration::from_millis(100);
    while let Ok(connected) = tokio::time::timeout(a_while, TcpStream::connect(address)).await {
        queued.push(connected.expect("it queues or drops"));
    }
    (socket, queued, address)
}
