//! The request of a hop: what the monitor asks for, with its secrets put in, and less of it after each redirect.
//!
//! Whatever could be a credential goes to the configured origin alone, and once a chain has left that origin it does
//! not come back. Only headers that say nothing about us travel on.

use super::cookies::Cookies;
use super::fault::{RequestContext, unusable};
use super::http1::Spelling;
use super::redirect::{self, Chain};
use super::{auth, decode};
use crate::redaction::Redaction;
use crate::secrets;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName, PRAGMA, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use uptime_core::address::{self, AddressClass};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::HttpSpec;
use uptime_core::secret::SecretRef;
use uptime_core::secret::access::Access;
use uptime_core::uri::{self, shown};
use url::{Origin, Position, Url, form_urlencoded};

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

#[derive(Clone)]
pub(super) struct Request {
    /// The URL without userinfo.
    url: Url,
    method: Method,
    headers: Vec<Header>,
    body: Bytes,
    /// The origin that the operator named.
    origin: Origin,
    chain: Chain,
    /// What the redirects have set.
    cookies: Cookies,
    /// The kind of place that the last redirect came from; `None`: there was none.
    led_from: Option<AddressClass>,
    /// Whether a redirect may lead from `https` to `http`.
    downgrade: bool,
    /// Whether it may lead inwards.
    to_private: bool,
    redaction: Redaction,
}

/// The form in which a request goes out.
pub(super) enum Form {
    /// HTTP/1.1 to the target.
    Direct,
    /// HTTP/1.1 to a proxy that asks in our place, with what it wants to know of us.
    Forwarded {
        login: Option<HeaderValue>,
    },
    Http2,
}

#[derive(Clone)]
struct Header {
    name: HeaderName,
    /// The name as the operator wrote it.
    spelled: Option<String>,
    value: HeaderValue,
    /// It may go to any origin.
    harmless: bool,
}

impl Request {
    /// The first hop's request. Fails when it needs a value that is not there, or one that HTTP has no form for.
    pub(super) fn first(spec: &HttpSpec, access: &Access) -> Result<Self, Failure> {
        let method = Method::from_bytes(spec.method.as_bytes())
            .map_err(|_| unusable(format!("`{}` is no HTTP method", spec.method)))?;
        let mut redaction = Redaction::default();
        let url = uri::without_login(&spec.url);
        // What the URL shows in any case is no secret, and messages name the URL.
        let visible = shown(&url);
        let mut headers = headers(&spec.headers, &visible, &mut redaction, access)?;
        let has = |headers: &[Header], name| headers.iter().any(|header| header.name == name);
        // A header that was written on purpose wins.
        if !has(&headers, AUTHORIZATION)
            && let Some(value) = auth::header(spec, &mut redaction, access)?
        {
            headers.push(Header { name: AUTHORIZATION, spelled: None, value, harmless: false });
        }
        if spec.compression && !has(&headers, ACCEPT_ENCODING) {
            headers.push(Header {
                name: ACCEPT_ENCODING,
                spelled: None,
                value: decode::ASKED,
                harmless: true,
            });
        }
        let in_query = url.query_pairs().map(|(_, value)| value.into_owned());
        let in_body = spec.body.as_deref().map(values).unwrap_or_default();
        for value in in_query.chain(in_body).filter(|value| !visible.contains(value)) {
            redaction.value(&value);
        }
        let body = spec.body.clone().map(Bytes::from).unwrap_or_default();
        Ok(Self {
            origin: url.origin(),
            url,
            method,
            headers,
            body,
            chain: Chain::default(),
            cookies: Cookies::default(),
            led_from: None,
            downgrade: spec.downgrade,
            to_private: spec.redirect_to_private,
            redaction,
        })
    }

    /// Takes the cookies that an answer to it sets. What nobody may see of them goes to `redaction` too.
    pub(super) fn take_cookies(&mut self, headers: &HeaderMap, redaction: &mut Redaction) {
        if self.cookies.take(&self.url, headers, Timestamp::now().to_zoned(TimeZone::UTC).datetime()) {
            // With other cookies what was asked before may be answered otherwise.
            self.chain.forget();
            for value in self.cookies.values() {
                self.redaction.value(value);
                redaction.value(value);
            }
        }
    }

    /// Turns it into the request of the next hop, when the redirect may be followed. It came from a place of this kind.
    pub(super) fn redirect(
        &mut self,
        status: StatusCode,
        location: &[u8],
        from: AddressClass,
    ) -> Result<(), Failure> {
        let url = redirect::target(&self.url, location, self.downgrade, &self.redaction)?;
        let (method, with_body) = redirect::method(status, &self.method);
        self.chain.go(&self.shown(), (&self.method, &self.url), (&method, &url))?;
        if with_body && !self.body.is_empty() && url.origin() != self.origin {
            let message = format!(
                "{} would take the request's body to another origin, `{}`",
                self.shown(),
                shown(&url)
            );
            return Err(Failure::new(FailureClass::Redirect, message));
        }
        if !with_body {
            self.body = Bytes::new();
            self.headers.retain(|header| !OF_THE_BODY.contains(&header.name));
        }
        if url.origin() != self.origin {
            self.headers.retain(|header| header.harmless);
        }
        self.url = url;
        self.method = method;
        self.led_from = Some(from);
        Ok(())
    }

    /// Whether a redirect has led to an origin that the operator did not name.
    pub(super) fn has_left_origin(&self) -> bool {
        self.url.origin() != self.origin
    }

    /// Those of its host's addresses that it may be sent to. Of a host that a redirect has chosen one that is not is
    /// reason enough to go nowhere. The operator's own may have some of both kinds, and the others are left out.
    pub(super) fn admitted(&self, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Failure> {
        let is_open = |address: &SocketAddr| self.may_go_to(address::classify(address.ip()));
        let Some(closed) = addresses.iter().find(|address| !is_open(address)).map(SocketAddr::ip) else {
            return Ok(addresses);
        };
        addresses.retain(is_open);
        if self.has_left_origin() || addresses.is_empty() {
            return Err(self.closed(&closed.to_string(), address::classify(closed)));
        }
        Ok(addresses)
    }

    /// Whether it may be sent to its host by a proxy, which looks up names by itself.
    pub(super) fn admit_host(&self) -> Result<(), Failure> {
        let host = self.host();
        match redirect::place_of_host(&host).filter(|place| !self.may_go_to(*place)) {
            Some(place) => Err(self.closed(&host, place)),
            None => Ok(()),
        }
    }

    /// Whether it may go to a place of this kind. The first request may go anywhere: the operator named it.
    fn may_go_to(&self, place: AddressClass) -> bool {
        match self.led_from {
            Some(from) if self.has_left_origin() => from.may_redirect_to(place, self.to_private),
            Some(from) => self.to_private || place.reach() >= from.reach(),
            None => true,
        }
    }

    /// The failure of a redirect that led to a place where it may not lead.
    fn closed(&self, address: &str, place: AddressClass) -> Failure {
        let why = match self.led_from {
            Some(from) if from.may_redirect_to(place, true) => {
                format!("no redirect from a {from} address may lead to without `redirect_to_private = true`")
            }
            _ => "is none that a redirect may lead to".to_owned(),
        };
        let message = format!("redirected to {}, whose address {address} ({place}) {why}", shown(&self.url));
        Failure::new(FailureClass::Redirect, message)
    }

    /// The request as it is sent.
    pub(super) fn for_wire(&self, form: &Form) -> Result<http::Request<Bytes>, Failure> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 5);
        headers.insert(HOST, host_header(&self.url)?);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for header in &self.headers {
            headers.insert(header.name.clone(), header.value.clone());
        }
        if let Some(cookies) = self.cookies.header(&self.url, headers.get(COOKIE)) {
            headers.insert(COOKIE, cookies);
        }
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        let uri = match form {
            Form::Direct => path.parse::<Uri>(),
            Form::Forwarded { .. } => self.url[..Position::AfterQuery].parse(),
            Form::Http2 => {
                // In HTTP/2 the host that is asked for is part of the URI; a `Host` of the operator's is that one.
                let host = headers.remove(HOST).unwrap_or_else(|| HeaderValue::from_static(""));
                let host = host.to_str().unwrap_or_default();
                format!("{}://{host}{path}", self.url.scheme()).parse()
            }
        };
        let uri = uri.map_err(|error| unusable(format!("{} can't be requested: {error}", self.shown())))?;
        if !matches!(form, Form::Http2) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Form::Forwarded { login: Some(login) } = form {
            headers.insert(PROXY_AUTHORIZATION, login.clone());
        }
        let mut request = http::Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let spelled = self.headers.iter().filter_map(|header| header.spelled.clone());
        request.extensions_mut().insert(Spelling(spelled.collect()));
        Ok(request)
    }

    /// What a failure of its exchange names.
    pub(super) fn subject(&self) -> RequestContext {
        RequestContext { shown: self.shown(), host: self.host() }
    }

    /// The URL without userinfo.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The host without brackets, for the resolver and the certificate.
    pub(super) fn host(&self) -> String {
        uri::host(&self.url).to_owned()
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

    pub(super) fn shown_url(&self) -> String {
        shown(&self.url)
    }

    /// What a target may send back and nobody may see.
    pub(super) fn redaction(&self) -> &Redaction {
        &self.redaction
    }
}

/// The values in a request's body that may be secrets: of JSON its texts, of a form its values, of all else the lines.
fn values(body: &str) -> Vec<String> {
    fn texts(json: Value, found: &mut Vec<String>) {
        match json {
            Value::String(text) => found.push(text),
            Value::Array(items) => items.into_iter().for_each(|item| texts(item, found)),
            Value::Object(members) => members.into_iter().for_each(|(_, member)| texts(member, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(json) = serde_json::from_str(body) {
        texts(json, &mut found);
    } else {
        found.push(body.to_owned());
        found.extend(body.lines().map(|line| line.trim().to_owned()));
        found.extend(form_urlencoded::parse(body.as_bytes()).map(|(_, value)| value.into_owned()));
    }
    found
}

fn headers(
    configured: &BTreeMap<String, SecretRef>,
    visible: &str,
    redaction: &mut Redaction,
    access: &Access,
) -> Result<Vec<Header>, Failure> {
    let mut headers = Vec::with_capacity(configured.len());
    for (key, reference) in configured {
        let name = HeaderName::from_bytes(key.as_bytes())
            .map_err(|_| unusable(format!("`{key}` is no header's name")))?;
        if FRAMING.contains(&name) {
            return Err(unusable(format!("the header `{key}` is set by the check itself; take it out")));
        }
        let secret = secrets::resolve_line(reference, access).map_err(|error| {
            unusable(format!("the header `{key}` has no value: {error}; hint: {}", error.hint()))
        })?;
        let mut value = HeaderValue::from_bytes(secret.expose().as_bytes()).map_err(|_| {
            unusable(format!("the header `{key}` has a value with characters that no header may have"))
        })?;
        let literal = matches!(reference, SecretRef::Literal(_));
        let harmless = literal && HARMLESS.contains(&name);
        if !harmless {
            value.set_sensitive(true);
            let said = secret.expose();
            if !literal {
                redaction.secret(said);
            } else if name != HOST {
                // What stands in the file can be any word, so the short ones and those of the URL are left.
                let parts = std::iter::once(said).chain(said.split_whitespace());
                for part in parts.filter(|part| !visible.contains(part)) {
                    redaction.value(part);
                }
            }
        }
        headers.push(Header { name, spelled: Some(key.clone()), value, harmless });
    }
    Ok(headers)
}

fn host_header(url: &Url) -> Result<HeaderValue, Failure> {
    let host = &url[Position::BeforeHost..Position::AfterPort];
    HeaderValue::from_str(host).map_err(|_| unusable(format!("`{host}` can't be sent as the `Host`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_core::target;

    fn request(url: &str, headers: &[(&str, SecretRef)]) -> Result<Request, Failure> {
        let mut spec = target::http(Url::parse(url).expect(url));
        spec.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Request::first(&spec, &Access::operator())
    }

    fn literal(value: &str) -> SecretRef {
        SecretRef::Literal(value.to_owned())
    }

    fn sent(request: &Request) -> Vec<(String, String)> {
        let wire = request.for_wire(&Form::Direct).expect("a request");
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
        assert_eq!(request.for_wire(&Form::Direct).expect("a request").uri(), "/a?b=c");
        assert_eq!(request.shown(), "GET http://[::1]:8080/a");
        assert_eq!(request.redaction().redact_target_text("Basic dXNAZXI6cDp3, p:w"), "Basic …, …");
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
        // Another host or port, with what a header or the URL says of us; and who has left does not come back.
        for (skip, way) in [
            (0, ["https://b.example/", "https://a.example/back"]),
            (1, ["https://a.example:8443/", "https://a.example/back"]),
        ] {
            let mut request = request("https://us:er@a.example/", &configured[skip..]).expect("a request");
            request.redirect(StatusCode::FOUND, b"/same", AddressClass::Public).expect("the same origin");
            assert_eq!(sent(&request).len(), 7, "{:?}", sent(&request));
            for location in way {
                request
                    .redirect(StatusCode::FOUND, location.as_bytes(), AddressClass::Public)
                    .expect(location);
                let url = Url::parse(location).expect("a URL");
                let host = &url[Position::BeforeHost..Position::AfterPort];
                let expected =
                    [("accept", "text/html"), ("connection", "close"), ("host", host), ("user-agent", AGENT)];
                assert_eq!(sent(&request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
        }
    }

    #[test]
    fn each_form() {
        let request = request("http://a.example:81/b?c#d", &[("Host", literal("inner"))]).expect("a request");
        let wire = |form| request.for_wire(&form).expect("a request");
        let forwarded = wire(Form::Forwarded { login: Some(HeaderValue::from_static("Basic x")) });
        assert_eq!(forwarded.uri(), "http://a.example:81/b?c");
        assert_eq!(forwarded.headers()[PROXY_AUTHORIZATION], "Basic x");
        assert_eq!(forwarded.headers()[CONNECTION], "close");
        let http2 = wire(Form::Http2);
        assert_eq!(http2.uri(), "http://inner/b?c");
        assert!(!http2.headers().contains_key(HOST) && !http2.headers().contains_key(CONNECTION));
    }

    #[test]
    fn a_part_of_a_secret_is_not_shown() {
        let headers = [("X-Auth", literal("Bearer sk-very-secret")), ("Host", literal("inner.example"))];
        let request =
            request("http://a.example/status?key=query-secret&of=status", &headers).expect("a request");
        let redact_target_text = |text: &str| request.redaction().redact_target_text(text);
        assert_eq!(redact_target_text("invalid: sk-very-secret, query-secret"), "invalid: …, …");
        assert_eq!(redact_target_text("Bearer sk-very-secret"), "…");
        assert_eq!(redact_target_text("inner.example/status"), "inner.example/status", "neither is a secret");
    }

    #[test]
    fn the_values_of_a_body_are_not_shown() {
        for (body, said, shown) in [
            (r#"{"user": "somebody", "of": ["hunter22", 7]}"#, "user somebody: hunter22", "user …: …"),
            ("user=somebody&password=hunter%2022", "no somebody with hunter 22", "no … with …"),
            ("<login>\n  <pass>hunter22</pass>\n</login>", "<pass>hunter22</pass>", "…"),
        ] {
            let mut spec = target::http(Url::parse("http://a.example/").expect("a URL"));
            spec.body = Some(body.to_owned());
            let request =
                Request::first(&spec, &Access::operator()).unwrap_or_else(|failure| panic!("{failure:?}"));
            assert_eq!(request.redaction().redact_target_text(said), shown, "{body}");
        }
    }

    #[test]
    fn a_body_goes_to_no_other_origin() {
        let mut spec = target::http(Url::parse("http://a.example/").expect("a URL"));
        for (method, status, location, followed) in [
            ("POST", 307, "http://b.example/", false),
            ("PUT", 302, "http://b.example/", false),
            ("POST", 302, "http://b.example/", true),
            ("POST", 308, "/b", true),
        ] {
            (spec.method, spec.body) = (method.to_owned(), Some("secret".to_owned()));
            let mut request =
                Request::first(&spec, &Access::operator()).unwrap_or_else(|failure| panic!("{failure:?}"));
            let status = StatusCode::from_u16(status).expect("a status");
            let redirected = request.redirect(status, location.as_bytes(), AddressClass::Public);
            assert_eq!(redirected.is_ok(), followed, "{method} {status} {redirected:?}");
        }
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
