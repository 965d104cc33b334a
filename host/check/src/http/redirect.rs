//! Where a redirect may lead, and what it does to the request. Pure; the hop itself is the parent's work.
//!
//! The target chooses the location, so it is treated as hostile: no other scheme, no way down from `https`. That it does
//! not lead inwards can be told of addresses alone, so the request judges it when its host's are known.

use crate::redaction::Redaction;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::{CONTROLS, percent_encode};
use uptime_core::address::{self, AddressClass};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{HttpSpec, StatusRule};
use uptime_core::uri;
use url::Url;

/// The location that a hop asks to go to; `None` when the answer itself is to be judged.
///
/// It is when no redirects are followed, and when its status is one that the operator expects. `["2xx", "3xx"]` expects
/// both the redirect and where it leads; then it is followed.
pub(super) fn location<'a>(spec: &HttpSpec, status: StatusCode, headers: &'a HeaderMap) -> Option<&'a [u8]> {
    let redirects = matches!(
        status,
        StatusCode::MULTIPLE_CHOICES
            | StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if spec.redirects == 0 || !redirects || is_wanted(&spec.expect.status, status.as_u16()) {
        return None;
    }
    headers.get(LOCATION).map(http::HeaderValue::as_bytes)
}

/// Whether a redirect with `status` is what is expected, and no success behind it.
fn is_wanted(rules: &[StatusRule], status: u16) -> bool {
    rules.iter().any(|rule| rule.matches(status))
        && !rules.iter().any(|rule| rule.first <= 299 && rule.last >= 200)
}

/// The requests of a chain, by method and URL.
#[derive(Clone, Default)]
pub(super) struct Chain {
    visited: Vec<(Method, Url)>,
    is_forgotten: bool,
}

impl Chain {
    /// From now on all may be answered otherwise than before.
    pub(super) fn forget(&mut self) {
        self.is_forgotten = true;
    }

    /// Goes on from one request to the next, unless it was made before: it would be answered as before.
    pub(super) fn go(
        &mut self,
        shown: &str,
        from: (&Method, &Url),
        to: (&Method, &Url),
    ) -> Result<(), Failure> {
        if std::mem::take(&mut self.is_forgotten) {
            self.visited.clear();
            return Ok(());
        }
        self.visited.push((from.0.clone(), from.1.clone()));
        if !self.visited.iter().any(|(method, url)| (method, url) == to) {
            return Ok(());
        }
        let back = if from == to {
            "itself".to_owned()
        } else {
            format!("`{}`, where it came from", uri::shown(to.1))
        };
        Err(Failure::new(FailureClass::Redirect, format!("{shown} redirects to {back}: a loop")))
    }
}

/// The URL that `location` names, seen from `from`, when it may be followed.
pub(super) fn target(
    from: &Url,
    location: &[u8],
    downgrade: bool,
    redaction: &Redaction,
) -> Result<Url, Failure> {
    // Bytes that are no text go back as they came.
    let text = str::from_utf8(location)
        .map_or_else(|_| percent_encode(location, CONTROLS).into(), std::borrow::Cow::Borrowed);
    let refuse = |why: &str| {
        let to = redaction.redact_target_text(&shown_text(&text));
        Failure::new(FailureClass::Redirect, format!("{} redirects to `{to}`, {why}", uri::shown(from)))
    };
    let mut url = from.join(&text).map_err(|_| refuse("which is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || uri::host(&url).is_empty() {
        return Err(refuse("which is neither http nor https"));
    }
    if !downgrade && from.scheme() == "https" && url.scheme() == "http" {
        return Err(refuse("which gives up encryption"));
    }
    url.set_fragment(None);
    // Credentials that a stranger put there are not ours to send.
    Ok(uri::without_login(&url))
}

/// What kind of place `host` is where that can be told without a lookup: of an address, and of a name that is this
/// machine everywhere (RFC 6761, 6.3).
pub(super) fn place_of_host(host: &str) -> Option<AddressClass> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name == "localhost" || name.ends_with(".localhost") {
        return Some(AddressClass::Loopback);
    }
    host.parse().ok().map(address::classify)
}

/// The method after a redirect with `status` (RFC 9110, 15.4, as browsers do it); whether the body goes along.
pub(super) fn method(status: StatusCode, method: &Method) -> (Method, bool) {
    match status {
        StatusCode::SEE_OTHER if method != Method::GET && method != Method::HEAD => (Method::GET, false),
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => (Method::GET, false),
        _ => (method.clone(), true),
    }
}

/// The failure of a chain that does not end.
pub(super) fn too_many(shown: &str, allowed: u8, location: &[u8], redaction: &Redaction) -> Failure {
    let location = redaction.redact_target_text(&shown_text(&String::from_utf8_lossy(location)));
    let message = format!("{shown} redirects again, to `{location}`, after {allowed} redirects");
    Failure::new(FailureClass::Redirect, message).with(format!("at most {allowed} redirects"), "one more")
}

/// [`shown`] for what may be no URL, or a relative one.
fn shown_text(location: &str) -> String {
    match Url::parse(location) {
        Ok(url) => uri::shown(&url),
        Err(_) => location.split(['?', '#']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Request;
    use super::*;
    use std::net::SocketAddr;
    use uptime_core::secret::access::Access;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn locations_are_read_as_browsers_do() {
        for (from, location, to) in [
            ("https://a.example/x/y?z", "/b", "https://a.example/b"),
            ("https://a.example/x/y", "b", "https://a.example/x/b"),
            ("https://a.example/x/y", "?q=1", "https://a.example/x/y?q=1"),
            ("https://a.example/", "//b.example/c#d", "https://b.example/c"),
            ("http://a.example/", "https://b.example", "https://b.example/"),
            ("https://a.example/", "https://u:p@b.example/", "https://b.example/"),
            ("http://a.example:8080/", "http://a.example:8081/", "http://a.example:8081/"),
        ] {
            let found = target(&url(from), location.as_bytes(), false, &Redaction::default());
            assert_eq!(found.expect(location), url(to), "{location}");
        }
        for (location, path) in
            [(&b"/\xfcber?\xfc"[..], "%FCber?%FC"), ("/über?ü".as_bytes(), "%C3%BCber?%C3%BC")]
        {
            let found = target(&url("https://a.example/"), location, false, &Redaction::default());
            assert_eq!(found.expect(path), url(&format!("https://a.example/{path}")));
        }
        let down = target(&url("https://a.example/"), b"http://a.example/", true, &Redaction::default());
        assert_eq!(down.expect("allowed"), url("http://a.example/"));
    }

    #[test]
    fn what_may_not_be_followed_says_why() {
        for (from, location, shown, why) in [
            ("https://a.example/", "http://a.example/?u=2", "http://a.example/", "gives up encryption"),
            ("http://a.example/", "file:///etc/passwd", "file:///etc/passwd", "is neither http nor https"),
            ("http://a.example/", "http://[::1", "http://[::1", "is no URL"),
            ("http://a.example/", "javascript:alert(1)", "javascript:alert(1)", "is neither http nor https"),
        ] {
            let from = url(&format!("{from}?t=1"));
            let failure =
                target(&from, location.as_bytes(), false, &Redaction::default()).expect_err(location);
            let message =
                format!("{} redirects to `{shown}`, which {why}", from.as_str().trim_end_matches("?t=1"));
            assert_eq!((failure.class, failure.message), (FailureClass::Redirect, message));
        }
    }

    #[test]
    fn only_a_redirect_with_a_location_is_followed() {
        let mut spec = uptime_core::target::http(url("http://a.example/"));
        let mut headers = HeaderMap::new();
        assert_eq!(location(&spec, StatusCode::FOUND, &headers), None);
        headers.insert(LOCATION, http::HeaderValue::from_static("/x"));
        assert_eq!(location(&spec, StatusCode::FOUND, &headers), Some(&b"/x"[..]));
        for status in [StatusCode::OK, StatusCode::CREATED, StatusCode::NOT_MODIFIED] {
            assert_eq!(location(&spec, status, &headers), None, "{status}");
        }
        for (rules, followed) in [
            ("3xx", false),
            ("302", false),
            ("302 404", false),
            ("301", true),
            ("404", true),
            ("2xx 302", true),
            ("200-399", true),
        ] {
            spec.expect.status = rules.split(' ').map(|rule| rule.parse().expect(rule)).collect();
            assert_eq!(location(&spec, StatusCode::FOUND, &headers).is_some(), followed, "{rules}");
        }
        spec.redirects = 0;
        assert_eq!(location(&spec, StatusCode::FOUND, &headers), None);
    }

    /// Of what a redirect from a public address to `location` may not do: what its host's address is.
    fn closed(location: &str, spec: &HttpSpec, by_proxy: bool) -> Option<String> {
        let mut request = Request::first(spec, &Access::operator()).expect("a request");
        request
            .redirect(StatusCode::TEMPORARY_REDIRECT, location.as_bytes(), AddressClass::Public)
            .expect(location);
        let address = || vec![SocketAddr::new(request.host().parse().expect(location), 80)];
        let judged = if by_proxy { request.admit_host() } else { request.admitted(address()).map(drop) };
        let failure = judged.err()?;
        assert_eq!(failure.class, FailureClass::Redirect);
        Some(failure.message)
    }

    #[test]
    fn from_a_public_address_no_redirect_leads_inwards_in_any_disguise() {
        let mut spec = uptime_core::target::http(url("http://8.8.8.8/"));
        for (place, locations) in [
            (
                "loopback",
                "http://127.0.0.1/ http://2130706433/ http://0x7f.1/ http://0177.0.0.1/ http://127.1/ http://127.0.0.1./ \
                 //127.0.0.1/ http:\\\\127.0.0.1\\ http:\t//127.0.\n0.1/ http://%31%32%37.0.0.1/ http://①②⑦.⓪.⓪.①/ \
                 http://127。0。0。1/ http://anybody@127.0.0.1/ http://[::1]/ http://[::ffff:127.0.0.1]/ \
                 http://[::127.0.0.1]/ http://[64:ff9b::7f00:1]/ http://[2002:7f00:1::]/",
            ),
            (
                "private",
                "http://10.0.0.1/ http://0xa000001/ http://172.16.0.1/ http://192.168.0.1/ http://[::ffff:192.168.0.1]/ \
                 http://[64:ff9b:1::a00:1]/",
            ),
            ("carrier-grade NAT", "http://100.64.0.1/"),
            ("unique-local", "http://[fd00::1]/ http://[fec0::1]/"),
            ("link-local", "http://169.254.1.1/ http://[fe80::1]/"),
        ] {
            let why = format!(
                "({place}) no redirect from a public address may lead to without `redirect_to_private = true`"
            );
            for (location, by_proxy) in
                locations.split(' ').flat_map(|location| [(location, false), (location, true)])
            {
                let message = closed(location, &spec, by_proxy).expect(location);
                assert!(message.ends_with(&why), "{location}: {message}");
                spec.redirect_to_private = true;
                assert_eq!(closed(location, &spec, by_proxy), None, "{location}");
                spec.redirect_to_private = false;
            }
        }
        for location in
            ["http://localhost/", "http://LOCALHOST./", "http://db.localhost/", "http://%6cocalhost/"]
        {
            let message = closed(location, &spec, true).expect(location);
            let why = "(loopback) no redirect from a public address";
            assert!(message.contains(why), "{location}: {message}");
        }
        assert_eq!(closed("http://inner.example/", &spec, true), None, "it is the proxy's to look up");
        for location in ["http://8.8.4.4/", "https://[2606:4700::1111]/"] {
            assert_eq!(closed(location, &spec, false), None, "{location}");
        }
        spec.redirect_to_private = true;
        for location in ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://0/", "http://[::]/"] {
            let message = closed(location, &spec, false).expect(location);
            assert!(message.ends_with("is none that a redirect may lead to"), "{location}: {message}");
        }
    }

    #[test]
    fn of_the_operators_own_name_the_addresses_further_in_are_left_out() {
        let address = |ip: [u8; 4]| SocketAddr::from((ip, 80));
        let (outer, inner) = (address([8, 8, 8, 8]), address([127, 0, 0, 1]));
        let (metadata, private) = (address([169, 254, 169, 254]), address([10, 0, 0, 1]));
        let spec = uptime_core::target::http(url("http://a.example/"));
        for (from, location, of, admitted) in [
            (AddressClass::Public, "/b", vec![inner, outer], Some(vec![outer])),
            (AddressClass::Metadata, "/b", vec![metadata], Some(vec![metadata])),
            (AddressClass::Public, "/b", vec![inner], None),
            (AddressClass::Loopback, "/b", vec![inner, outer], Some(vec![inner, outer])),
            (AddressClass::Public, "http://b.example/", vec![outer, inner], None),
            (AddressClass::Public, "http://a.example:6379/", vec![outer, inner], None),
            (AddressClass::Private, "http://b.example/", vec![inner], None),
            (AddressClass::Private, "http://b.example/", vec![private], Some(vec![private])),
        ] {
            let mut request = Request::first(&spec, &Access::operator()).expect("a request");
            assert_eq!(request.admitted(of.clone()).expect("the operator named it"), of);
            request.redirect(StatusCode::FOUND, location.as_bytes(), from).expect(location);
            assert_eq!(request.admitted(of.clone()).ok(), admitted, "{from} to {location} at {of:?}");
        }
    }

    #[test]
    fn a_loop_is_told_by_method_and_url() {
        let mut chain = Chain::default();
        let (a, b) = (url("http://a.example/?t=1"), url("http://a.example/b"));
        chain.go("POST a", (&Method::POST, &a), (&Method::GET, &a)).expect("another method");
        chain.go("GET a", (&Method::GET, &a), (&Method::GET, &b)).expect("another URL");
        let failure = chain.go("GET b", (&Method::GET, &b), (&Method::GET, &a)).expect_err("a loop");
        let message = "GET b redirects to `http://a.example/`, where it came from: a loop";
        assert_eq!((failure.class, failure.message.as_str()), (FailureClass::Redirect, message));
        let failure = chain.go("GET b", (&Method::GET, &b), (&Method::GET, &b)).expect_err("a loop");
        assert_eq!(failure.message, "GET b redirects to itself: a loop");
    }
}
