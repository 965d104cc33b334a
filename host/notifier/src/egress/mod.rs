//! The one way out: every request of every plugin goes through [`Egress::send`].
//!
//! The guard ([`policy`]) looks at the address first. A name is then resolved once, every address that it has is
//! judged, and the connection goes to exactly those: what the name means a moment later changes nothing. Nothing here
//! knows of redirects, cookies, connection reuse or the environment's proxies, so none of them can be a way around. A
//! channel's own proxy ([`proxy`]) is the way to what the guard has passed.

mod backend;
mod connect;
mod policy;
mod proxy;

pub use backend::RequestPreview;
pub(crate) use backend::{DryRun, HttpBackend, ResponseFuture};
pub(crate) use policy::{Denial, Policy};
pub(crate) use proxy::Proxy;

use crate::bindings::uptime::notifier::http::HttpError;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use url::{Position, Url};

/// How long this host's own name server is asked for a name that the proxy will look up: where only a proxy leads outside it may
/// never answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// A request, with the secrets in it.
pub(crate) struct Outbound {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// For everything from the name's resolution to the answer's end.
    pub(crate) timeout: Duration,
    /// How much of the answer's body is read.
    pub(crate) response_body: usize,
    /// As people may see it, for a [backend](HttpBackend) that takes it.
    pub(crate) preview: Option<RequestPreview>,
}

#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) truncated: bool,
}

/// Why nothing came back. No text holds more of the address than its host.
#[derive(Debug)]
pub(crate) enum EgressError {
    Denied(Denial),
    /// In the words that the plugin gets.
    Http(HttpError),
}

impl From<HttpError> for EgressError {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

pub(crate) trait Resolve: Send + Sync + 'static {
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// The way out. One for all plugins.
pub(crate) struct Egress<R = SystemResolver> {
    resolver: R,
    /// Loaded at the first HTTPS request: reading the machine's certificates takes milliseconds.
    tls: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Default for Egress {
    fn default() -> Self {
        Self { resolver: SystemResolver, tls: OnceCell::new() }
    }
}

impl<R: Resolve> Egress<R> {
    /// Sends a request to where `policy` lets it go and reads the answer.
    pub(crate) async fn send(&self, policy: &Policy, request: Outbound) -> Result<Inbound, EgressError> {
        let exchange = tokio::time::timeout(request.timeout, self.exchange(policy, request));
        exchange.await.unwrap_or(Err(HttpError::Timeout.into()))
    }

    async fn exchange(&self, policy: &Policy, request: Outbound) -> Result<Inbound, EgressError> {
        let admission = policy.admit(&request.url).map_err(EgressError::Denied)?;
        let is_https = request.url.scheme() == "https";
        let stream = if let Some(proxy) = &policy.proxy {
            // What this host can't look up is left to the proxy.
            let here = tokio::time::timeout(LOOKUP_TIMEOUT, addresses(&self.resolver, &request.url)).await;
            if let Ok(Ok(addresses)) = here {
                admission.admit_all(&addresses).map_err(EgressError::Denied)?;
            }
            let stream = proxy.reach(&self.resolver).await.map_err(HttpError::Connect)?;
            if !is_https {
                let answer = speak(stream, request, Some(proxy)).await.map_err(HttpError::Other)?;
                proxy.judge(answer.status).map_err(HttpError::Connect)?;
                return Ok(answer);
            }
            proxy.tunnel(stream, &request.url).await.map_err(HttpError::Connect)?
        } else {
            let addresses = addresses(&self.resolver, &request.url).await.map_err(HttpError::Dns)?;
            admission.admit_all(&addresses).map_err(EgressError::Denied)?;
            connect::tcp(&addresses).await.map_err(HttpError::Connect)?
        };
        let answer = if is_https {
            let tls = self.tls.get_or_try_init(connect::native_tls).await.map_err(HttpError::Tls)?;
            let stream = connect::tls(tls, &request.url, stream).await.map_err(HttpError::Tls)?;
            speak(stream, request, None).await
        } else {
            speak(stream, request, None).await
        };
        Ok(answer.map_err(HttpError::Other)?)
    }
}

/// The addresses of the URL's host. A literal in whatever writing is one by now: the URL's parser has read it.
async fn addresses(resolver: &impl Resolve, url: &Url) -> Result<Vec<SocketAddr>, String> {
    let port = url.port_or_known_default().unwrap_or_default();
    let host = match url.host().ok_or("the address has no host")? {
        url::Host::Ipv4(address) => return Ok(vec![(address, port).into()]),
        url::Host::Ipv6(address) => return Ok(vec![(address, port).into()]),
        url::Host::Domain(host) => host,
    };
    match resolver.resolve(host, port).await {
        Ok(addresses) if addresses.is_empty() => Err(format!("`{host}` has no address")),
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(format!("`{host}` was not resolved: {error}")),
    }
}

/// One request and its answer over a fresh connection: to the host itself, or to a proxy that fetches it.
async fn speak<S>(stream: S, request: Outbound, proxy: Option<&Proxy>) -> Result<Inbound, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| format!("the exchange broke: {}", root_cause(&error));
    let limit = request.response_body;
    let mut outbound = http::Request::new(Full::new(request.body));
    *outbound.method_mut() = request.method;
    let from = if proxy.is_some() { Position::BeforeScheme } else { Position::BeforePath };
    *outbound.uri_mut() = request.url[from..Position::AfterQuery]
        .parse()
        .map_err(|error| format!("the address can't be sent: {error}"))?;
    let headers = outbound.headers_mut();
    *headers = request.headers;
    let host = &request.url[Position::BeforeHost..Position::AfterPort];
    headers.insert(header::HOST, HeaderValue::from_str(host).map_err(|error| error.to_string())?);
    if let Some(login) = proxy.and_then(Proxy::login) {
        headers.insert(header::PROXY_AUTHORIZATION, login.clone());
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));

    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .max_headers(100)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(outbound).await.map_err(broken)?;
        let (head, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        let mut truncated = false;
        while let Some(frame) = incoming.frame().await {
            // A body that breaks off does not undo what the status says: the message has been taken.
            let Ok(frame) = frame else {
                truncated = true;
                break;
            };
            let Some(chunk) = frame.data_ref() else { continue };
            let room = limit - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(Inbound { status: head.status.as_u16(), headers: head.headers, body, truncated })
    };
    // The connection only works while it is polled, and its own end is no answer: the exchange tells.
    let driver = async move {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        never = driver => match never {},
    }
}

/// Headers that belong to the connection, which is ours; and `accept-encoding` and `range`, since an answer in a coding or in
/// pieces could bring an echoed secret past those who clear it.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
