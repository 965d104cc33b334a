//! The request of a hop: what the monitor asks for, with its secrets put in, and less of it after each redirect.
//!
//! Whatever could be a credential goes to the configured origin alone, and once a chain has left that origin it does
//! not come back. Only headers that say nothing about us travel on.

use crate::http::redirect::{self, shown};
use crate::secrets;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, PRAGMA, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use uptime_core::address;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::HttpSpec;
use uptime_core::secret::{Secret, SecretRef};
use url::{Host, Origin, Position, Url};

const AGENT: &str = concat!("uptime/", env!("CARGO_PKG_VERSION"));

/// What may go to an origin that the operator did not name, when its value is written in the file.
const HARMLESS: &[HeaderName] = &[
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    PRAGMA,
    USER_AGENT,
];

/// What frames the message: ours to say, or the target reads another request than the one that was meant.
const FRAMING: &[HeaderName] = &[CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What describes a body, and goes when the body goes.
const OF_THE_BODY: &[HeaderName] = &[CONTENT_LANGUAGE, CONTENT_TYPE];

pub(super) struct Request {
    /// Without userinfo.
    url: Url,
    method: Method,
    headers: Vec<Header>,
    body: Bytes,
    /// The origin that the operator named.
    origin: Origin,
    /// Values that no message may show.
    secrets: Vec<Secret>,
}

struct Header {
    name: HeaderName,
    value: HeaderValue,
    /// It may go to any origin.
    harmless: bool,
}

impl Request {
    /// The first hop's request. Fails when it needs a value that is not there, or one that HTTP has no form for.
    pub(super) fn first(spec: &HttpSpec) -> Result<Self, Failure> {
        let method = Method::from_bytes(spec.method.as_bytes())
            .map_err(|_| unusable(format!("`{}` is no HTTP method", spec.method)))?;
        let mut secrets = Vec::new();
        let mut headers = headers(&spec.headers, &mut secrets)?;
        let mut url = spec.url.clone();
        if let Some(basic) = basic(&url, &mut secrets)? {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            // A header that was written on purpose wins.
            if !headers.iter().any(|header| header.name == AUTHORIZATION) {
                headers.push(Header { name: AUTHORIZATION, value: basic, harmless: false });
            }
        }
        let body = spec.body.clone().map(Bytes::from).unwrap_or_default();
        Ok(Self { origin: url.origin(), url, method, headers, body, secrets })
    }

    /// Turns it into the request of the next hop, when the redirect may be followed.
    pub(super) fn redirect(&mut self, status: StatusCode, location: &[u8]) -> Result<(), Failure> {
        let url = redirect::target(&self.url, location)?;
        let (method, with_body) = redirect::method(status, &self.method);
        if !with_body {
            self.body = Bytes::new();
            self.headers.retain(|header| !OF_THE_BODY.contains(&header.name));
        }
        if url.origin() != self.origin {
            self.headers.retain(|header| header.harmless);
        }
        self.url = url;
        self.method = method;
        Ok(())
    }

    /// Refuses addresses to which only a malicious redirect leads. What the operator named is the operator's.
    pub(super) fn may_go_to(&self, addresses: &[SocketAddr]) -> Result<(), Failure> {
        if self.url.origin() == self.origin {
            return Ok(());
        }
        let classes = addresses.iter().map(|address| (address.ip(), address::classify(address.ip())));
        match classes.into_iter().find(|(_, class)| class.never_allowed()) {
            Some((address, class)) => {
                let message = format!(
                    "redirected to {}, whose address {address} is {}",
                    shown(&self.url),
                    class.as_str()
                );
                Err(Failure::new(FailureClass::Redirect, message))
            }
            None => Ok(()),
        }
    }

    /// The request as hyper sends it.
    pub(super) fn for_wire(&self) -> Result<http::Request<Full<Bytes>>, Failure> {
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        let uri: Uri = path.parse().map_err(|error| {
            Failure::new(FailureClass::Settings, format!("{} can't be requested: {error}", self.shown()))
        })?;
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 4);
        headers.insert(HOST, host_header(&self.url)?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // Each check has its own connection, so the target need not keep it.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        for header in &self.headers {
            headers.insert(header.name.clone(), header.value.clone());
        }
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The host without brackets, for the resolver and the certificate.
    pub(super) fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Method and URL for people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, shown(&self.url))
    }

    /// The URL for people.
    pub(super) fn shown_url(&self) -> String {
        shown(&self.url)
    }

    /// `text` without this request's secrets, which a target may send back.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

fn headers(
    configured: &BTreeMap<String, SecretRef>,
    secrets: &mut Vec<Secret>,
) -> Result<Vec<Header>, Failure> {
    let mut headers = Vec::with_capacity(configured.len());
    for (key, reference) in configured {
        let name = HeaderName::from_bytes(key.as_bytes())
            .map_err(|_| unusable(format!("`{key}` is no header's name")))?;
        if FRAMING.contains(&name) {
            return Err(unusable(format!("the header `{key}` is set by the check itself; take it out")));
        }
        let secret = secrets::resolve(reference).map_err(|error| {
            unusable(format!("the header `{key}` has no value: {error}; hint: {}", error.hint()))
        })?;
        let mut value = HeaderValue::from_bytes(secret.expose().as_bytes()).map_err(|_| {
            unusable(format!("the header `{key}` has a value with characters that no header may have"))
        })?;
        let harmless = matches!(reference, SecretRef::Literal(_)) && HARMLESS.contains(&name);
        if !harmless {
            value.set_sensitive(true);
            secrets.push(secret);
        }
        headers.push(Header { name, value, harmless });
    }
    Ok(headers)
}

/// The URL's userinfo as a header (RFC 7617).
fn basic(url: &Url, secrets: &mut Vec<Secret>) -> Result<Option<HeaderValue>, Failure> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let password = decode(url.password().unwrap_or_default());
    let pair = [decode(url.username()), password.clone()].join(&b':');
    let encoded = BASE64_STANDARD.encode(pair);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .map_err(|_| unusable("the URL's user can't be sent".to_owned()))?;
    value.set_sensitive(true);
    secrets.extend([Secret::new(encoded), Secret::new(String::from_utf8_lossy(&password))]);
    Ok(Some(value))
}

fn host_header(url: &Url) -> Result<HeaderValue, Failure> {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    HeaderValue::from_str(host).map_err(|_| unusable(format!("`{host}` can't be sent as the `Host`")))
}

/// What the monitor asks for can't be sent: ours, the target was never asked.
fn unusable(message: String) -> Failure {
    Failure::new(FailureClass::Settings, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_core::target;

    fn request(url: &str, headers: &[(&str, SecretRef)]) -> Result<Request, Failure> {
        let mut spec = target::http(Url::parse(url).expect(url));
        spec.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Request::first(&spec)
    }

    fn literal(value: &str) -> SecretRef {
        SecretRef::Literal(value.to_owned())
    }

    fn sent(request: &Request) -> Vec<(String, String)> {
        let wire = request.for_wire().expect("a request");
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        let mut sent: Vec<_> =
            wire.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        sent.sort();
        sent
    }

    #[test]
    fn userinfo_becomes_basic_auth_and_is_shown_nowhere() {
        let request = request("http://us%40er:p%3Aw@[::1]:8080/a?b=c", &[]).expect("a request");
        let expected = [
            ("accept", "*/*"),
            ("authorization", "Basic dXNAZXI6cDp3"),
            ("connection", "close"),
            ("host", "[::1]:8080"),
            ("user-agent", AGENT),
        ];
        assert_eq!(sent(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(request.for_wire().expect("a request").uri(), "/a?b=c");
        assert_eq!(request.shown(), "GET http://[::1]:8080/a");
        assert_eq!(request.redact("Basic dXNAZXI6cDp3, p:w"), "Basic …, …");
    }

    #[test]
    fn another_origin_gets_nothing_of_ours() {
        let configured = [
            ("Authorization", literal("Bearer t")),
            ("Cookie", literal("a=b")),
            ("X-Api-Key", literal("k")),
            ("Host", literal("inner.example")),
            ("Accept", literal("text/html")),
        ];
        let mut request = request("https://a.example/", &configured).expect("a request");
        request.redirect(StatusCode::FOUND, b"/same").expect("the same origin");
        assert_eq!(sent(&request).len(), 7, "{:?}", sent(&request));
        for location in ["https://b.example/", "https://a.example/back"] {
            request.redirect(StatusCode::FOUND, location.as_bytes()).expect(location);
            let host = Url::parse(location).expect("a URL").host_str().expect("a host").to_owned();
            let expected =
                [("accept", "text/html"), ("connection", "close"), ("host", &host), ("user-agent", AGENT)];
            assert_eq!(sent(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }

    #[test]
    fn a_port_is_another_origin() {
        let mut request = request("http://a.example/", &[("X-Api-Key", literal("k"))]).expect("a request");
        request.redirect(StatusCode::FOUND, b"http://a.example:8080/").expect("it may be followed");
        assert!(!sent(&request).iter().any(|(name, _)| name == "x-api-key"));
    }

    #[test]
    fn a_redirect_to_where_only_we_can_go_is_refused() {
        let mut request = request("http://a.example/", &[]).expect("a request");
        let metadata = [SocketAddr::from(([169, 254, 169, 254], 80))];
        request.may_go_to(&metadata).expect("the operator named it");
        request.redirect(StatusCode::FOUND, b"http://b.example/").expect("a public name");
        assert_eq!(
            request.may_go_to(&metadata).expect_err("not by a redirect").class,
            FailureClass::Redirect
        );
        request.may_go_to(&[SocketAddr::from(([10, 0, 0, 1], 80))]).expect("inner networks are watched too");
    }

    #[test]
    fn what_can_not_be_sent_is_ours() {
        let env = SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_VARIABLE".into() };
        for (name, value, message) in [
            (
                "X-Key",
                env,
                "the header `X-Key` has no value: the environment variable `UPTIME_TEST_NO_SUCH_VARIABLE` is not set",
            ),
            ("X Key", literal("a"), "`X Key` is no header's name"),
            (
                "X-Key",
                literal("a\r\nb"),
                "the header `X-Key` has a value with characters that no header may have",
            ),
            (
                "Content-Length",
                literal("5"),
                "the header `Content-Length` is set by the check itself; take it out",
            ),
        ] {
            let failure = request("http://a.example/", &[(name, value)]).err().expect(message);
            assert_eq!(failure.class, FailureClass::Settings);
            assert!(failure.message.starts_with(message), "{}", failure.message);
        }
    }
}
