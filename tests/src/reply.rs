//! An HTTP server that says what a test told it to say, and counts. The one inside [`HttpTarget`](crate::HttpTarget)
//! and [`WebhookSink`](crate::WebhookSink).

use crate::listening::Serve;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// The longest request body that is taken.
const BODY_MAX: usize = 16 << 20;

#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    delay: Duration,
    held: bool,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a test names a status that there is");
        Self { status, headers: Vec::new(), body: Bytes::new(), delay: Duration::ZERO, held: false }
    }

    pub fn ok() -> Self {
        Self::status(200)
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().unwrap_or_else(|_| panic!("`{name}` is no header"));
        let value = value.parse().unwrap_or_else(|_| panic!("`{value}` can't be a header's value"));
        self.headers.push((name, value));
        self
    }

    /// With `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header("retry-after", &seconds.to_string())
    }

    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Only when the test lets go; never, if it does not.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }
}

#[derive(Clone, Debug)]
pub struct Received {
    /// When it was whole.
    pub at: Instant,
    pub method: String,
    /// The path, with the query if there is one.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the body of {}", self.line()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The request in a line, for messages.
    pub fn line(&self) -> String {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        format!("{} {} {body}", self.method, self.path)
    }
}

/// The header in which a request says where it comes from.
const FROM: &str = "x-from";

/// What the server says, and what it heard.
#[derive(Debug)]
pub(crate) struct Script {
    /// These answers first, one a request.
    next: Mutex<VecDeque<Reply>>,
    /// Then this one, for ever.
    then: Mutex<Reply>,
    /// Requests whose [`FROM`] is one of these are answered with 503.
    down_from: Mutex<Vec<String>>,
    /// `None`: requests are counted and forgotten.
    received: Option<Mutex<Vec<Received>>>,
    count: watch::Sender<usize>,
    /// Goes up each time held answers are let go.
    let_go: watch::Sender<u64>,
}

impl Script {
    pub(crate) fn new(then: Reply, remember: bool) -> Arc<Self> {
        Arc::new(Self {
            next: Mutex::default(),
            then: Mutex::new(then),
            down_from: Mutex::default(),
            received: remember.then(Mutex::default),
            count: watch::Sender::new(0),
            let_go: watch::Sender::new(0),
        })
    }

    pub(crate) fn push(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.next).extend(replies);
    }

    pub(crate) fn set(&self, then: Reply) {
        *lock(&self.then) = then;
    }

    pub(crate) fn set_down_from(&self, places: &[&str]) {
        *lock(&self.down_from) = places.iter().map(ToString::to_string).collect();
    }

    pub(crate) fn let_go(&self) {
        self.let_go.send_modify(|times| *times += 1);
    }

    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.as_ref().map(|received| lock(received).clone()).unwrap_or_default()
    }

    /// Returns when `count` requests have come since the start.
    pub(crate) async fn reached(&self, count: usize) {
        let mut counted = self.count.subscribe();
        counted.wait_for(|now| *now >= count).await.expect("because this script holds the sender");
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return reply(&Reply::status(413)),
        };
        let mut let_go = self.let_go.subscribe();
        let next = lock(&self.next).pop_front();
        let from = head.headers.get(FROM).and_then(|from| from.to_str().ok());
        let is_down = from.is_some_and(|from| lock(&self.down_from).iter().any(|place| place == from));
        let otherwise = || if is_down { Reply::status(503) } else { lock(&self.then).clone() };
        let answer = next.unwrap_or_else(otherwise);
        if let Some(received) = &self.received {
            let path = head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string);
            let method = head.method.to_string();
            lock(received).push(Received { at: Instant::now(), method, path, headers: head.headers, body });
        }
        // Counted last: who was waiting for it finds it.
        self.count.send_modify(|count| *count += 1);
        tokio::time::sleep(answer.delay).await;
        if answer.held {
            let_go.changed().await.expect("because this script holds the sender");
        }
        reply(&answer)
    }
}

impl Serve for Script {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Small answers must not wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let script = Arc::clone(&self);
            async move { Ok::<_, Infallible>(script.answer(request).await) }
        });
        // A client that hangs up ends its connection, and nothing else.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

fn reply(reply: &Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body.clone()));
    *response.status_mut() = reply.status;
    for (name, value) in &reply.headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
