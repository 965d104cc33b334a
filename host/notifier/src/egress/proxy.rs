//! The way through an HTTP proxy.
//!
//! It is the operator's word, as a channel's `allow` is, and no guard looks at where it is, but that nothing opens link-local
//! and metadata addresses. What may be asked of it is judged as if there were none: grants and literal addresses first, and
//! what the host's name means here, where it means anything. Over HTTPS the final host proves who it is, through the proxy.

use super::{Resolve, connect};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uptime_core::address::classify;
use uptime_core::monitor::request;
use uptime_core::secret::Secret;
use url::{Position, Url};

/// The largest head of an answer to CONNECT.
const HEAD_MAX_BYTES: usize = 16 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    url: Url,
    /// Of whoever may use it. Never shown.
    login: Option<HeaderValue>,
}

impl Proxy {
    /// The reason, without the text, when it is none.
    pub(crate) fn parse(text: &Secret) -> Result<Self, String> {
        let wrong = |why: &str| format!("takes a proxy such as `http://proxy.example.com:3128`: {why}");
        let mut url = request::proxy(text.expose()).map_err(wrong)?;
        if url.scheme() != "http" {
            return Err(wrong("it begins with `http://`"));
        }
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
            let login = [decode(url.username()), decode(url.password().unwrap_or_default())].join(&b':');
            let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(login)))
                .expect("because base64 is plain ASCII");
            value.set_sensitive(true);
            value
        });
        // Neither can fail: an http URL has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { url, login })
    }

    pub(super) fn login(&self) -> Option<&HeaderValue> {
        self.login.as_ref()
    }

    pub(super) async fn reach(&self, resolver: &impl Resolve) -> Result<TcpStream, String> {
        let addresses = super::addresses(resolver, &self.url).await.map_err(|why| self.failed(&why))?;
        if let Some(never) = addresses.iter().find(|address| classify(address.ip()).never_allowed()) {
            return Err(
                self.failed(&format!("`{}` is an address that is never open to a plugin", never.ip()))
            );
        }
        connect::tcp(&addresses).await.map_err(|why| self.failed(&why))
    }

    /// Has the proxy connect to the host of `url`.
    pub(super) async fn tunnel(&self, mut stream: TcpStream, url: &Url) -> Result<TcpStream, String> {
        let host = &url[Position::BeforeHost..Position::AfterHost];
        let target = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let failed = |why: &dyn std::fmt::Display| self.failed(&format!("CONNECT {target}: {why}"));
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(login) = &self.login {
            head.extend([b"Proxy-Authorization: ".as_slice(), login.as_bytes(), b"\r\n"].concat());
        }
        head.extend_from_slice(b"\r\n");
        stream.write_all(&head).await.map_err(|error| failed(&error))?;
        // Byte by byte, so that nothing is taken of what comes behind the head: that is the final host's.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") && !answer.ends_with(b"\n\n") {
            if answer.len() >= HEAD_MAX_BYTES {
                return Err(failed(&"its answer has no end"));
            }
            answer.push(stream.read_u8().await.map_err(|error| failed(&error))?);
        }
        let status = std::str::from_utf8(&answer).ok().and_then(|head| {
            let (version, rest) = head.split_once(' ')?;
            version.starts_with("HTTP/1.").then(|| rest.get(..3)?.parse::<u16>().ok()).flatten()
        });
        match status {
            Some(200..=299) => Ok(stream),
            Some(status) => Err(failed(&format!("it answered {status}"))),
            None => Err(failed(&"its answer is no HTTP")),
        }
    }

    /// Whether an answer is the proxy's own, where it was asked to fetch an address.
    pub(super) fn judge(&self, status: u16) -> Result<(), String> {
        if status == 407 { Err(self.failed("it answered 407 and wants other credentials")) } else { Ok(()) }
    }

    fn failed(&self, why: &str) -> String {
        format!("the proxy `{}`: {why}", &self.url[Position::BeforeScheme..Position::AfterPort])
    }
}
