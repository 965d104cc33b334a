//! What keys of this domain take: URLs, hosts, ports, statuses, grants.

use super::diagnostic::Diagnostics;
use super::key::{quoted, written};
use super::kinds::{RawValue, Said, ValueError, ValueKind};
use super::parsed::Parsed;
use crate::grant::HostGrant;
use crate::monitor::{StatusRule, request};
use crate::text::{alternatives, did_you_mean_or_all, printable};
use toml::de::DeValue;
use url::{Host, Url};

/// An `http` or `https` URL.
pub(super) struct Address {
    /// Where a password in it had better be.
    pub(super) better: &'static str,
}

impl Address {
    /// Checks a URL. Its text is not in the refusal when it has credentials.
    fn check(text: &str) -> Result<Url, Option<String>> {
        let hint = |text: &str| Some(text.to_owned());
        let host = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        if host.is_some_and(|host| request::has_placeholder(host.rsplit('@').next().unwrap_or(host))) {
            return Err(hint(request::NOT_FILLED_IN));
        }
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase)
                if !text.contains("://") && !text.starts_with('/') =>
            {
                let guess = format!("https://{text}");
                let plain = Url::parse(&guess).is_ok_and(|url| url.username().is_empty());
                return Err(plain.then(|| {
                    format!("it begins with `https://` or `http://`: `{}`", printable(&guess, 80))
                }));
            }
            Err(error) => return Err(hint(&error.to_string())),
        };
        // The parser is generous: `https:///a` and `https:a` would be the host `a`.
        let after = text.trim_start().get(url.scheme().len()..).and_then(|rest| rest.strip_prefix("://"));
        let names_host = after.is_some_and(|rest| !rest.starts_with(['/', '\\']));
        match (url.scheme(), url.port()) {
            ("http" | "https", _) if !names_host => Err(hint("a host comes after `https://`")),
            ("http" | "https", Some(0)) => Err(hint("the port 0 can't be connected to")),
            ("http" | "https", _) => Ok(url),
            // `example.com:80` parses as a scheme and a path.
            _ if url.cannot_be_a_base() => Err(hint("it begins with `https://` or `http://`")),
            _ => Err(hint("only `https://` and `http://` are spoken")),
        }
    }
}

impl ValueKind for Address {
    type Value = Url;

    fn said(&self) -> Said {
        let example = "https://example.com/health";
        Said::new("URL", format!("a URL such as `{example}`"), quoted(example))
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Url, ValueError> {
        let text = item.value.as_str().ok_or(ValueError::Type)?;
        if has_user(text) {
            notes.secret(item.span());
            let url = Self::check(text).map_err(|hint| ValueError::without_value(item, self, hint))?;
            if url.password().is_some() {
                warn_of_password(item, self.better, notes);
            }
            return Ok(url);
        }
        Self::check(text).map_err(ValueError::Form)
    }
}

/// Whether a URL has a user name, and so perhaps a password.
pub(super) fn has_user(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Warns of a password in a URL; `better` is what to write instead.
pub(super) fn warn_of_password(item: RawValue<'_>, better: &str, notes: &mut Diagnostics) {
    let message = format!("`{}` has a password in it", item.key);
    notes.warning(item.span(), message, Some(format!("move it to the environment: `{better}`")));
}

/// A name or an address, without anything around it.
pub(super) const HOSTNAME: Parsed<String> =
    Parsed::new("NAME", "a host such as `db.example.com` or `192.0.2.1`", "\"db.example.com\"", hostname);

fn hostname(text: &str, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<String, ValueError> {
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            notes.secret(item.span());
            let message = format!("`{}` takes {}, not a URL", item.key, HOSTNAME.said().words);
            return Err(ValueError::Value(message, None));
        }
        let host = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
        return Err(ValueError::Form(
            host.map(|host| format!("write the host alone: `{}`", printable(&host, 80))),
        ));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if let Some(bare) = bare.filter(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Err(ValueError::form(format!("write the address without brackets: `{bare}`")));
    }
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.to_string());
    }
    if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
        let right = written(item.key, &printable(&quoted(host), 80));
        return Err(ValueError::form(format!("write `{right}`; the port `{port}` is no part of it")));
    }
    if request::has_placeholder(text) {
        return Err(ValueError::form(request::NOT_FILLED_IN));
    }
    match Host::parse(text) {
        Ok(host) if text.len() <= 253 => Ok(host.to_string()),
        _ => Err(ValueError::Form(None)),
    }
}

pub(super) struct Port;

impl ValueKind for Port {
    type Value = u16;

    fn said(&self) -> Said {
        Said::new("TEXT", "a port", "5432").within("from 1 to 65535")
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        wrong.as_str()?.trim().parse::<u16>().ok().filter(|port| *port > 0).map(|port| port.to_string())
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<u16, ValueError> {
        let number = item.value.as_integer().ok_or(ValueError::Type)?;
        let port = u16::from_str_radix(number.as_str(), number.radix()).ok().filter(|port| *port > 0);
        port.ok_or(ValueError::Form(None))
    }
}

/// `200`, `2xx` or `200-299`.
pub(super) const STATUS: Parsed<StatusRule> =
    Parsed::new("STATUS", "a status such as `200`, `\"2xx\"` or `\"200-299\"`", "\"2xx\"", |text, _, _| {
        text.parse().map_err(|_| ValueError::form("a status is from 100 to 599"))
    })
    .or_number();

/// Has the form `scheme://host[:port]`.
pub(super) const GRANT: Parsed<HostGrant> = Parsed::new(
    "GRANT",
    "a grant such as `https://example.com` or `http://127.0.0.1:9000`",
    "\"http://127.0.0.1:9000\"",
    grant,
);

fn grant(text: &str, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<HostGrant, ValueError> {
    if text.contains('@') {
        notes.secret(item.span());
        let message = format!("`{}` takes {}, not credentials", item.key, GRANT.said().words);
        return Err(ValueError::value(message, "write the scheme, the host and the port alone"));
    }
    let form = "a scheme, a host and perhaps a port, nothing else; `*.` may begin the host";
    let grant: HostGrant = text.parse().map_err(|_| ValueError::form(form))?;
    let Some(class) = grant.never_opens() else { return Ok(grant) };
    let message = format!("`{}` can't open `{grant}`: a {class} address is never open to a plugin", item.key);
    Err(ValueError::value(message, "take it out"))
}

pub(super) const DATABASE_URL: Parsed<String> = Parsed::new(
    "URL",
    "a URL such as `postgres://user@host/database`",
    "{ env = \"DATABASE_URL\" }",
    database_url,
);

fn database_url(text: &str, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<String, ValueError> {
    let url = secret_url(text, item, &["postgres", "postgresql"], &DATABASE_URL, notes)?;
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        warn_of_password(item, &written(item.key, &DATABASE_URL.said().example), notes);
    }
    Ok(text.to_owned())
}

/// A URL that is never shown.
pub(super) fn secret_url(
    text: &str,
    item: RawValue<'_>,
    schemes: &[&str],
    takes: &Parsed<String>,
    notes: &mut Diagnostics,
) -> Result<Url, ValueError> {
    notes.secret(item.span());
    let url = Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()));
    url.ok_or_else(|| {
        let right = written(item.key, &takes.said().example);
        ValueError::without_value(item, takes, Some(format!("write `{right}`")))
    })
}

/// The name of a notifier, one of those that are there.
pub(super) struct NotifierName<'n>(pub(super) Vec<&'n str>);

impl ValueKind for NotifierName<'_> {
    type Value = String;

    fn said(&self) -> Said {
        let example = quoted(self.0.first().unwrap_or(&"webhook"));
        Said::new("TEXT", "the name of a notifier", example).within(alternatives(self.0.iter().copied()))
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<String, ValueError> {
        let name = item.value.as_str().ok_or(ValueError::Type)?;
        if self.0.contains(&name) {
            return Ok(name.to_owned());
        }
        let message = format!("unknown notifier `{}`", printable(name, 60));
        Err(ValueError::value(message, did_you_mean_or_all(name, self.0.iter().copied())))
    }
}
