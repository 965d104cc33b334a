//! The way through a proxy: `http://` with CONNECT, or by asking it to fetch a plain URL, and `socks5://`.
//!
//! A proxy that can't be reached or does not let us through is ours ([`FailureClass::Proxy`]): it says nothing about
//! the target. That it can't reach the target is the target's. Names are looked up by the proxy.

use super::auth;
use super::fault::unusable;
use super::http1::{Http1, ReadError};
use super::wire::{IoTimestamps, Wire};
use crate::connect::connect;
use crate::redaction::Redaction;
use crate::resolve::HostLookup;
use crate::secrets;
use crate::trace::Trace;
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_socks::Error as SocksError;
use tokio_socks::tcp::Socks5Stream;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::HttpSpec;
use uptime_core::secret::access::Access;
use uptime_core::uri::{self, bracketed};
use url::Url;

/// The largest head of a proxy's answer to CONNECT.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// A proxy that a check goes through.
pub(super) struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
}

enum Kind {
    Http { login: Option<HeaderValue> },
    Socks5 { login: Option<(String, String)> },
}

impl Proxy {
    /// The proxy of a check, if it has one. What nobody may see goes to `redaction`.
    pub(super) fn of(
        spec: &HttpSpec,
        redaction: &mut Redaction,
        access: &Access,
    ) -> Result<Option<Self>, Failure> {
        let Some(reference) = &spec.proxy else { return Ok(None) };
        let secret = secrets::resolve_line(reference, access)
            .map_err(|error| unusable(format!("`proxy` has no value: {error}; hint: {}", error.hint())))?;
        Self::parse(secret.expose(), redaction).map(Some)
    }

    fn parse(text: &str, redaction: &mut Redaction) -> Result<Self, Failure> {
        // The text may hold a password, so no message shows it.
        let wrong = |why: &str| {
            unusable(format!(
                "`proxy` {why}; hint: write `http://proxy.example:3128` or `socks5://127.0.0.1:1080`"
            ))
        };
        let url = Url::parse(text.trim()).map_err(|error| wrong(&format!("is no URL: {error}")))?;
        let host = uri::host(&url).to_owned();
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let (kind, port) = match url.scheme() {
            "http" => {
                let login = auth::login(&url)
                    .map(|(user, password)| auth::basic(&user, &password, redaction))
                    .transpose()?;
                (Kind::Http { login }, url.port_or_known_default().unwrap_or(80))
            }
            "socks5" | "socks5h" => {
                let login = auth::login(&url)
                    .map(|(user, password)| {
                        Some((String::from_utf8(user).ok()?, String::from_utf8(password).ok()?))
                    })
                    .map(|login| login.ok_or_else(|| wrong("has a user or a password that is no text")))
                    .transpose()?;
                if let Some((_, password)) = &login {
                    redaction.secret(password);
                }
                (Kind::Socks5 { login }, url.port().unwrap_or(1080))
            }
            scheme => return Err(wrong(&format!("has the scheme `{scheme}`, which is not spoken"))),
        };
        Ok(Self { kind, host, port })
    }

    /// The proxy for people, without its login.
    fn shown(&self) -> String {
        let scheme = match self.kind {
            Kind::Http { .. } => "http",
            Kind::Socks5 { .. } => "socks5",
        };
        format!("{scheme}://{}:{}", bracketed(&self.host), self.port)
    }

    /// Whether it is asked to fetch a plain `http` URL in our place.
    pub(super) fn fetches(&self) -> bool {
        matches!(self.kind, Kind::Http { .. })
    }

    /// What it wants to know of us to fetch a URL.
    pub(super) fn login(&self) -> Option<HeaderValue> {
        match &self.kind {
            Kind::Http { login } => login.clone(),
            Kind::Socks5 { .. } => None,
        }
    }

    /// Connects to the proxy itself.
    pub(super) async fn reach(
        &self,
        names: &HostLookup<'_>,
        trace: &mut Trace,
    ) -> Result<TcpStream, Failure> {
        trace.on_the_way_to(Some(self.shown()));
        let reached = match names.resolve(&self.host, self.port, trace).await {
            Ok(addresses) => connect(&addresses, trace).await,
            Err(failure) => Err(failure),
        };
        trace.on_the_way_to(None);
        reached.map_err(
            |failure| {
                if failure.class.is_ours() { failure } else { self.refused(&failure.message) }
            },
        )
    }

    /// Lets the proxy connect to the target.
    pub(super) async fn tunnel(
        &self,
        stream: TcpStream,
        host: &str,
        port: u16,
        trace: &mut Trace,
    ) -> Result<TcpStream, Failure> {
        let target = format!("{}:{port}", bracketed(host));
        let (proxy, to, marks) = (self.shown(), target.clone(), Arc::new(IoTimestamps::new()));
        // One of HTTP has nothing to say before it has connected.
        let speaks = matches!(self.kind, Kind::Socks5 { .. }).then(|| Arc::clone(&marks));
        let since = trace.enter(move |waited, phases, limit| {
            *phases.connect.get_or_insert_default() += waited;
            let (class, words) = if speaks.is_some_and(|marks| !marks.has_received()) {
                (FailureClass::Proxy, "was connected to, and said nothing".to_owned())
            } else {
                (FailureClass::ConnectTimeout, format!("did not connect to {to}"))
            };
            Failure::new(class, format!("the proxy `{proxy}` {words} within {limit}"))
        });
        let stream = match &self.kind {
            Kind::Http { login } => self.connect_http(stream, &target, login.as_ref()).await,
            Kind::Socks5 { login } => {
                let stream = Wire { stream, marks };
                self.connect_socks5(stream, (host, port), &target, login.as_ref()).await
            }
        };
        let connect = trace.hop.phases.connect.get_or_insert_default();
        *connect += since.elapsed();
        stream
    }

    async fn connect_http(
        &self,
        stream: TcpStream,
        target: &str,
        login: Option<&HeaderValue>,
    ) -> Result<TcpStream, Failure> {
        let mut request = Request::connect(target).header(HOST, target);
        if let Some(login) = login {
            request = request.header(PROXY_AUTHORIZATION, login);
        }
        let request = request
            .body(Bytes::new())
            .map_err(|_| unusable(format!("`{target}` can't be asked for from a proxy")))?;
        let mut http1 = Http1::over(stream);
        let head = http1.ask(&request, HEAD_MAX_BYTES).await.map_err(|trouble| {
            let why = match trouble {
                ReadError::TooLarge => {
                    format!("the head of its answer is larger than {} KiB", HEAD_MAX_BYTES / 1024)
                }
                ReadError::Malformed(why) => format!("its answer is not HTTP: {why}"),
                ReadError::Closed => "it closed the connection before it answered".to_owned(),
                ReadError::Io(error) => error.to_string(),
            };
            self.refused(&format!("CONNECT {target}: {why}"))
        })?;
        if !head.status.is_success() {
            return Err(self.declined(target, head.status));
        }
        http1
            .into_inner()
            .ok_or_else(|| self.refused(&format!("CONNECT {target}: it speaks before it is spoken to")))
    }

    /// The failure of a CONNECT that was answered with `status`.
    fn declined(&self, target: &str, status: StatusCode) -> Failure {
        match status {
            // What proxies say when they can't look up or reach whom they were asked for.
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.unreachable(target, FailureClass::Unreachable, &status.to_string())
            }
            status => self.refused(&format!("CONNECT {target}: it answered {status}")),
        }
    }

    async fn connect_socks5(
        &self,
        stream: Wire<TcpStream>,
        to: (&str, u16),
        target: &str,
        login: Option<&(String, String)>,
    ) -> Result<TcpStream, Failure> {
        let connected = match login {
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await
            }
            None => Socks5Stream::connect_with_socket(stream, to).await,
        };
        connected.map(|connected| connected.into_inner().stream).map_err(|error| match error {
            SocksError::ConnectionRefused => {
                self.unreachable(target, FailureClass::Refused, "connection refused")
            }
            SocksError::NetworkUnreachable
            | SocksError::HostUnreachable
            | SocksError::TtlExpired
            | SocksError::GeneralSocksServerFailure => {
                self.unreachable(target, FailureClass::Unreachable, &error.to_string())
            }
            error => self.refused(&error.to_string()),
        })
    }

    /// The proxy itself is in the way.
    fn refused(&self, words: &str) -> Failure {
        Failure::new(FailureClass::Proxy, format!("the proxy `{}`: {words}", self.shown()))
    }

    /// The proxy did what it could.
    fn unreachable(&self, target: &str, class: FailureClass, words: &str) -> Failure {
        Failure::new(class, format!("the proxy `{}` can't connect to {target}: {words}", self.shown()))
    }

    /// The failure of an answer that is surely the proxy's own, where it fetches a URL in our place. A 403, 502 or 504 of
    /// its own looks like one that the target has sent, and is judged as the target's.
    pub(super) fn wants_login(&self, status: StatusCode) -> Option<Failure> {
        let declined = status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        declined.then(|| self.refused(&format!("it answered {status}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_shown_without_their_login() {
        for (text, shown, has_login) in [
            ("http://proxy.example", "http://proxy.example:80", false),
            ("http://u:p%40@proxy.example:3128/", "http://proxy.example:3128", true),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080", false),
            ("socks5h://u:p@[::1]:9050", "socks5://[::1]:9050", true),
        ] {
            let proxy = Proxy::parse(text, &mut Redaction::default()).expect(text);
            assert_eq!(proxy.shown(), shown);
            let login = match &proxy.kind {
                Kind::Http { login } => login.is_some(),
                Kind::Socks5 { login } => login.is_some(),
            };
            assert_eq!(login, has_login, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_ours_and_shows_nothing() {
        for text in
            ["proxy.example:3128", "https://u:s3cret@a.example", "socks5://", "http://u:s3cret@", "s3cret"]
        {
            let failure = Proxy::parse(text, &mut Redaction::default()).err().expect(text);
            assert_eq!(failure.class, FailureClass::Settings);
            let message = &failure.message;
            assert!(message.starts_with("`proxy` ") && message.contains("hint: "), "{text}: {message}");
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
    }
}
