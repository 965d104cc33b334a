//! Targets as the command line takes them: each type of check has its own form of URL ([`forms`]).

use crate::monitor::request::has_placeholder;
use crate::monitor::{
    CheckSpec, DnsExpect, DnsSpec, HttpExpect, HttpSpec, HttpVersions, Lookup, PingSpec, RecordType, TcpSpec,
    TlsSpec,
};
use crate::text::alternatives;
use crate::uri;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use url::Url;

/// Why a text is no target. It is named as [`shown`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{target}` {problem}")]
pub struct TargetError {
    target: String,
    problem: String,
    hint: String,
}

impl TargetError {
    pub fn hint(&self) -> String {
        self.hint.clone()
    }
}

/// How the target of a type of check is written.
struct Form {
    kind: &'static str,
    schemes: &'static [&'static str],
    example: &'static str,
    /// Says of a URL that names no such target what it has or lacks.
    read: fn(&Url) -> Result<CheckSpec, &'static str>,
}

/// The first is the web's; of the others the type is the scheme.
const FORMS: [Form; 4] = [
    Form {
        kind: "http",
        schemes: &["http", "https"],
        example: "https://example.com/health",
        read: http_target,
    },
    Form { kind: "tcp", schemes: &["tcp"], example: "tcp://example.com:5432", read: tcp_target },
    Form { kind: "ping", schemes: &["ping"], example: "ping://example.com", read: ping_target },
    Form { kind: "dns", schemes: &["dns"], example: "dns://example.com?type=MX", read: dns_target },
];

/// An example of a target of each type of check.
pub fn forms() -> String {
    alternatives(FORMS.iter().map(|form| form.example))
}

/// The schemes of the targets that a type of check has.
pub fn schemes(kind: &str) -> &'static [&'static str] {
    FORMS.iter().find(|form| form.kind == kind).map_or(&[], |form| form.schemes)
}

/// Parses a target into a check with the defaults of its kind.
///
/// # Errors
/// [`TargetError`], whose [`hint`](TargetError::hint) shows the forms.
pub fn parse(target: &str) -> Result<CheckSpec, TargetError> {
    let shown = shown(target);
    let wrong = |problem, hint| TargetError { target: shown.clone(), problem, hint };
    let no_form = |problem: String| wrong(problem, format!("write {}", forms()));
    if !target.contains("://") {
        let others: Vec<String> = FORMS[1..].iter().map(|form| format!("{}://", form.kind)).collect();
        let others = alternatives(others.iter().map(String::as_str));
        return Err(wrong("has no scheme".into(), format!("write `https://{shown}`, or {others} in front")));
    }
    let url = Url::parse(target.trim()).map_err(|error| no_form(format!("is no target: {error}")))?;
    let scheme = url.scheme();
    let Some(form) = FORMS.iter().find(|form| form.schemes.contains(&scheme)) else {
        return Err(no_form(format!("has the scheme `{scheme}`, which no check speaks")));
    };
    (form.read)(&url).map_err(|problem| wrong(problem.into(), format!("write it like `{}`", form.example)))
}

fn http_target(url: &Url) -> Result<CheckSpec, &'static str> {
    match url.port() {
        _ if url.host_str().is_some_and(has_placeholder) => {
            Err("has a placeholder in its host, and nothing is filled in")
        }
        Some(0) => Err("has the port 0"),
        _ => Ok(CheckSpec::Http(http(url.clone()))),
    }
}

fn tcp_target(url: &Url) -> Result<CheckSpec, &'static str> {
    let host = host_alone(url)?;
    match url.port() {
        Some(0) => Err("has the port 0"),
        Some(port) => Ok(CheckSpec::Tcp(tcp(host, port))),
        None => Err("names no port"),
    }
}

fn ping_target(url: &Url) -> Result<CheckSpec, &'static str> {
    let host = host_alone(url)?;
    if url.port().is_some() {
        return Err("has a port, and a ping has none");
    }
    Ok(CheckSpec::Ping(ping(host)))
}

fn dns_target(url: &Url) -> Result<CheckSpec, &'static str> {
    let mut bare = url.clone();
    bare.set_query(None);
    let host = host_alone(&bare)?;
    if url.port().is_some() {
        return Err("has a port; a name server is named by the key `resolver`");
    }
    let record = match url.query() {
        None => None,
        Some(query) => {
            let word =
                query.strip_prefix("type=").ok_or("has a query that is not `?type=` and a record's type")?;
            Some(word.to_uppercase().parse().map_err(|_| "asks for a type of records that no check knows")?)
        }
    };
    Ok(CheckSpec::Dns(dns(host, record)))
}

/// The host of a URL that has, but for a port, nothing else.
fn host_alone(url: &Url) -> Result<String, &'static str> {
    match url {
        _ if uri::host(url).is_empty() => Err("names no host"),
        _ if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() => {
            Err("has a path, which its kind of check has no use for")
        }
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("has a user, which its kind of check has no use for")
        }
        _ => Ok(uri::host(url).to_owned()),
    }
}

/// What somebody gave as a target, for people: without userinfo, query and fragment, which may hold a secret.
pub fn shown(target: &str) -> String {
    // The type of records is no secret.
    let ends: &[char] = if target.starts_with("dns://") { &['#'] } else { &['?', '#'] };
    let before = target.split(ends).next().unwrap_or_default();
    let (scheme, rest) = match before.find("://") {
        Some(at) => before.split_at(at + "://".len()),
        None => ("", before),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}

/// A GET of `url` that follows up to 5 redirects and takes any 2xx.
pub fn http(url: Url) -> HttpSpec {
    HttpSpec {
        url,
        method: "GET".into(),
        headers: BTreeMap::new(),
        body: None,
        auth: None,
        versions: HttpVersions::Auto,
        compression: false,
        redirects: 5,
        downgrade: false,
        redirect_to_private: false,
        proxy: None,
        lookup: Lookup::default(),
        tls: TlsSpec::default(),
        expect: HttpExpect::default(),
    }
}

/// A connection, in the clear, over which nothing is said.
pub fn tcp(host: String, port: u16) -> TcpSpec {
    TcpSpec { host, port, ..TcpSpec::default() }
}

/// Three echoes, of which one must come back.
pub fn ping(host: String) -> PingSpec {
    PingSpec {
        host,
        count: 3,
        spacing: PingSpec::spacing(),
        size: PingSpec::size(),
        loss_below: 100,
        loss_degraded: None,
        latency_below: None,
        degraded_above: None,
        min_below: None,
        max_below: None,
        jitter_below: None,
        lookup: Lookup::default(),
    }
}

/// Those records of a name, of which there must be one; of an address those of its name for `PTR`.
pub fn dns(host: String, record: Option<RecordType>) -> DnsSpec {
    let usual = if host.parse::<IpAddr>().is_ok() { RecordType::Ptr } else { RecordType::A };
    let (lookup, expect) = (Lookup::default(), DnsExpect::default());
    DnsSpec { host, record: record.unwrap_or(usual), authoritative: false, lookup, expect }
}

/// A name server's address, perhaps with a port; 53 when it says none.
pub fn name_server(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)).ok();
    alone.or_else(|| text.parse().ok()).filter(|address: &SocketAddr| address.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_each_kind() {
        for (text, kind, target) in [
            ("https://example.com", "http", "https://example.com/"),
            ("http://127.0.0.1:8080/health?deep=1", "http", "http://127.0.0.1:8080/health"),
            ("tcp://db.internal:5432", "tcp", "tcp://db.internal:5432"),
            ("tcp://[::1]:22", "tcp", "tcp://[::1]:22"),
            ("https://user:word@example.com/a?token=1#x", "http", "https://example.com/a"),
            ("https://[::1]/", "http", "https://[::1]/"),
            ("ping://192.0.2.1", "ping", "ping://192.0.2.1"),
            ("ping://[fe80::1]", "ping", "ping://[fe80::1]"),
            ("dns://example.com", "dns", "dns://example.com?type=A"),
            ("dns://_dmarc.example.com?type=txt", "dns", "dns://_dmarc.example.com?type=TXT"),
            ("dns://[2001:db8::1]", "dns", "dns://[2001:db8::1]?type=PTR"),
        ] {
            let spec = parse(text).expect(text);
            assert_eq!((spec.kind(), spec.target().as_str()), (kind, target));
            assert_eq!(parse(target).expect(target).target(), target, "what is shown is a target again");
        }
    }

    #[test]
    fn each_type_has_its_form() {
        let kinds: Vec<&str> = FORMS.iter().map(|form| form.kind).collect();
        assert_eq!(kinds, CheckSpec::TYPES);
        for form in FORMS {
            assert_eq!(parse(form.example).expect(form.example).kind(), form.kind);
        }
    }

    #[test]
    fn a_name_server_is_an_address_perhaps_with_a_port() {
        for (text, address) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[2001:db8::53]", "[2001:db8::53]:53"),
            ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
        ] {
            assert_eq!(name_server(text), address.parse().ok(), "{text}");
        }
        for text in ["", "dns.example.com", "192.0.2.53:0", "192.0.2.53:x"] {
            assert_eq!(name_server(text), None, "{text}");
        }
    }

    #[test]
    fn a_target_is_shown_as_it_was_typed_but_for_what_may_be_secret() {
        for (text, shown_as) in [
            ("https://example.com", "https://example.com"),
            ("https://user:word@example.com/a?token=1#x", "https://example.com/a"),
            ("https://example.com?token=1", "https://example.com"),
            ("https://u@x:word@[::1]:8080/a@b", "https://[::1]:8080/a@b"),
            ("user:word@example.com/?token=1", "example.com/"),
            ("tcp://db.internal:5432", "tcp://db.internal:5432"),
            ("dns://user:word@a.example?type=MX#x", "dns://a.example?type=MX"),
        ] {
            assert_eq!(shown(text), shown_as, "{text}");
        }
        for text in ["user:word@example.com", "ftp://user:word@a/?word", "https://word@/", "tcp://word@a:1"] {
            let error = parse(text).expect_err(text);
            assert!(!format!("{error} {}", error.hint()).contains("word"), "{error}");
        }
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (text, message) in [
            ("example.com", "`example.com` has no scheme"),
            ("example.com:8080", "`example.com:8080` has no scheme"),
            ("127.0.0.1:80", "`127.0.0.1:80` has no scheme"),
            ("ftp://example.com", "`ftp://example.com` has the scheme `ftp`, which no check speaks"),
            ("tcp://example.com", "`tcp://example.com` names no port"),
            ("tcp://example.com:0", "`tcp://example.com:0` has the port 0"),
            (
                "tcp://example.com:1/x",
                "`tcp://example.com:1/x` has a path, which its kind of check has no use for",
            ),
            ("ping://example.com:7", "`ping://example.com:7` has a port, and a ping has none"),
            ("ping://", "`ping://` names no host"),
            ("dns://a?x=1", "`dns://a?x=1` has a query that is not `?type=` and a record's type"),
            ("dns://a?type=ANY", "`dns://a?type=ANY` asks for a type of records that no check knows"),
            ("dns://a:53", "`dns://a:53` has a port; a name server is named by the key `resolver`"),
            (
                "https://$HOST/a?token=1",
                "`https://$HOST/a` has a placeholder in its host, and nothing is filled in",
            ),
            ("https://", "`https://` is no target: empty host"),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), message);
        }
    }
}
