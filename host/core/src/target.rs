//! Targets as the command line takes them: `https://…`, `tcp://host:port`, `ping://host`.

use crate::monitor::request::{NOT_FILLED_IN, has_placeholder};
use crate::monitor::{
    CertificateDays, CheckSpec, HttpExpect, HttpSpec, HttpVersions, Lookup, PingSpec, TcpSpec, TlsSpec,
};
use crate::uri;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use url::Url;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It is an address without the kind of check.
    #[error("`{target}` has no scheme")]
    NoScheme {
        /// What was given, as [`shown`] has it.
        target: String,
    },
    #[error("`{target}` is no target: {reason}")]
    NotAUrl {
        /// What was given, as [`shown`] has it.
        target: String,
        reason: String,
    },
    #[error("`{target}` has the scheme `{scheme}`, which no check speaks")]
    Scheme {
        /// What was given, as [`shown`] has it.
        target: String,
        scheme: String,
    },
    /// A part is missing, or one is there that the kind of check has no use for.
    #[error("`{target}` {problem}")]
    Part {
        /// What was given, as [`shown`] has it.
        target: String,
        problem: &'static str,
    },
}

impl TargetError {
    pub fn hint(&self) -> String {
        match self {
            Self::NoScheme { target } => {
                format!("write `https://{target}`, or `tcp://` or `ping://` in front")
            }
            Self::NotAUrl { .. } | Self::Scheme { .. } => {
                "write `https://example.com/health`, `tcp://example.com:5432` or `ping://example.com`".into()
            }
            Self::Part { .. } => "`tcp://` takes a host and a port, `ping://` a host alone".into(),
        }
    }
}

/// Parses a target into a check with the defaults of its kind.
///
/// # Errors
/// [`TargetError`], whose [`hint`](TargetError::hint) shows the forms.
pub fn parse(target: &str) -> Result<CheckSpec, TargetError> {
    let shown = || shown(target);
    if !target.contains("://") {
        return Err(TargetError::NoScheme { target: shown() });
    }
    let url = Url::parse(target.trim())
        .map_err(|error| TargetError::NotAUrl { target: shown(), reason: error.to_string() })?;
    let part = |problem| TargetError::Part { target: shown(), problem };
    match url.scheme() {
        "http" | "https" if url.host_str().is_some_and(has_placeholder) => {
            Err(TargetError::NotAUrl { target: shown(), reason: NOT_FILLED_IN.into() })
        }
        "http" | "https" if url.port() == Some(0) => Err(part("has the port 0")),
        "http" | "https" => Ok(CheckSpec::Http(http(url))),
        scheme @ ("tcp" | "ping") => {
            let host = uri::host(&url).to_owned();
            if host.is_empty() {
                return Err(part("names no host"));
            }
            if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
                return Err(part("has a path, which its kind of check has no use for"));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err(part("has a user, which its kind of check has no use for"));
            }
            match (scheme, url.port()) {
                ("tcp", Some(0)) => Err(part("has the port 0")),
                ("tcp", Some(port)) => Ok(CheckSpec::Tcp(tcp(host, port))),
                ("tcp", None) => Err(part("names no port")),
                (_, None) => Ok(CheckSpec::Ping(ping(host))),
                (_, Some(_)) => Err(part("has a port, and a ping has none")),
            }
        }
        scheme => Err(TargetError::Scheme { target: shown(), scheme: scheme.into() }),
    }
}

/// What somebody gave as a target, for people: without userinfo, query and fragment, which may hold a secret.
pub fn shown(target: &str) -> String {
    let before = target.split(['?', '#']).next().unwrap_or_default();
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
    TcpSpec {
        host,
        port,
        lookup: Lookup::default(),
        tls: None,
        starttls: None,
        banner: None,
        send: None,
        expect: None,
        tls_version: None,
        certificate_days: CertificateDays::default(),
        latency_below: None,
        degraded_above: None,
    }
}

/// Three echoes, of which one must come back.
pub fn ping(host: String) -> PingSpec {
    PingSpec {
        host,
        count: 3,
        spacing: PingSpec::SPACING,
        size: PingSpec::SIZE,
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
            ("ping://192.0.2.1", "ping", "ping://192.0.2.1"),
        ] {
            let spec = parse(text).expect(text);
            assert_eq!((spec.kind(), spec.target().as_str()), (kind, target));
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
            (
                "https://$HOST/a?token=1",
                "`https://$HOST/a` is no target: nothing is filled in: write the host itself",
            ),
            ("https://", "`https://` is no target: empty host"),
        ] {
            assert_eq!(parse(text).expect_err(text).to_string(), message);
        }
    }
}
