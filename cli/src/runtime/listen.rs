//! `--listen ADDR`: `/metrics` and `/healthz` over HTTP, for whoever watches the watcher.
//!
//! A port alone is taken on loopback: who wants it seen from elsewhere says so. Answers are small and cost little, a
//! connection has an end, and there are never more than [`CONNECTIONS`] of them: a new one takes the place of the oldest,
//! so that requests which are never finished keep nobody from being answered.

use super::heartbeat::Heartbeats;
use super::metrics::Metrics;
use crate::prelude::*;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

const CONNECTIONS: usize = 16;

/// How long a connection may last, whatever is asked over it.
const CONNECTION_MAX: Duration = Duration::from_secs(30);

/// How long a request's head may take.
const HEAD_MAX: Duration = Duration::from_secs(5);

/// How long to wait after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// Prometheus asks for the exposition format in this version.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        let message = format!("`--listen {address}`: {error}");
        match error.kind() {
            io::ErrorKind::AddrInUse => unavailable(message)
                .hint("another process has it: `--listen` takes another port, one for each worker"),
            io::ErrorKind::PermissionDenied => {
                unavailable(message).hint("ports below 1024 are for root: take a higher one")
            }
            _ => usage_error(message)
                .hint("the address has to be one of this machine's; a port alone is taken on 127.0.0.1"),
        }
    })
}

/// Answers for as long as it is awaited.
pub async fn serve(listener: TcpListener, metrics: Metrics, heartbeats: Heartbeats) -> Infallible {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "metrics at /metrics, health at /healthz");
    }
    let mut connections = VecDeque::<AbortHandle>::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptors, perhaps: the checks need them more.
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= CONNECTIONS
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        let (metrics, heartbeats) = (metrics.clone(), heartbeats.clone());
        let connection = tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&metrics, &heartbeats, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_MAX)
                .serve_connection(TokioIo::new(stream), service);
            // Whoever asked may go away in the middle.
            let _ = timeout(CONNECTION_MAX, connection).await;
        });
        connections.push_back(connection.abort_handle());
    }
}

fn answer(metrics: &Metrics, heartbeats: &Heartbeats, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, OPEN_METRICS, metrics.encode()),
        (&Method::GET | &Method::HEAD, "/healthz") => match heartbeats.trouble() {
            None => (StatusCode::OK, "text/plain", "ok\n".into()),
            Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{trouble}\n")),
        },
        (_, "/metrics" | "/healthz") => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "this is only read\n".into())
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "there are /metrics and /healthz\n".into()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
