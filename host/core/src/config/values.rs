//! What keys of this domain take: addresses, hosts, statuses, grants, headers, and values that may live elsewhere.

use super::diagnostic::Notes;
use super::takes::{Item, Refusal, Takes, alternatives, hide, nearest, quoted, read_value};
use crate::check::printable;
use crate::grant::HostGrant;
use crate::monitor::StatusRule;
use crate::secret::SecretRef;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeValue;
use url::{Host, Url};

/// An `http` or `https` URL.
pub(super) struct Address;

impl Address {
    /// Checks a URL. Its text is not in the refusal when it has credentials.
    fn check(text: &str) -> Result<Url, Option<String>> {
        let hint = |text: &str| Some(text.to_owned());
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) if !text.contains("://") && !text.starts_with('/') => {
                let guess = format!("https://{text}");
                let plain = Url::parse(&guess).is_ok_and(|url| url.username().is_empty());
                return Err(plain.then(|| format!("it begins with `https://` or `http://`: `{}`", printable(&guess, 80))));
            }
            Err(error) => return Err(hint(&error.to_string())),
        };
        match (url.scheme(), url.port()) {
            ("http" | "https", Some(0)) => Err(hint("the port 0 can't be connected to")),
            ("http" | "https", _) => Ok(url),
            // `example.com:80` parses as a scheme and a path.
            _ if url.cannot_be_a_base() => Err(hint("it begins with `https://` or `http://`")),
            _ => Err(hint("only `https://` and `http://` are spoken")),
        }
    }
}

impl Takes for Address {
    type Value = Url;

    fn words(&self) -> String {
        "a URL such as `https://example.com/health`".into()
    }

    fn example(&self) -> String {
        quoted("https://example.com/health")
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<Url, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
        if authority.is_some_and(|authority| authority.contains('@')) {
            notes.secret(item.span());
            let url = Self::check(text).map_err(|hint| {
                Refusal::Value(format!("`{}` takes {}, not this", item.key, self.words()), hint)
            })?;
            if url.password().is_some() {
                let message = format!("`{}` has a password in it", item.key);
                notes.warning(item.span(), message, Some("keep it out of the file, where that can be done".into()));
            }
            return Ok(url);
        }
        Self::check(text).map_err(Refusal::Form)
    }
}

/// A name or an address, without anything around it.
pub(super) struct Hostname;

impl Takes for Hostname {
    type Value = String;

    fn words(&self) -> String {
        "a host such as `db.example.com` or `192.0.2.1`".into()
    }

    fn example(&self) -> String {
        quoted("db.example.com")
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<String, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        if let Some((_, rest)) = text.split_once("://") {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if authority.contains('@') {
                notes.secret(item.span());
                return Err(Refusal::Value(format!("`{}` takes {}, not a URL", item.key, self.words()), None));
            }
            let host = Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
            return Err(Refusal::Form(host.map(|host| format!("write the host alone: `{}`", printable(&host, 80)))));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Some(bare) = bare.filter(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok()) {
            return Err(Refusal::Form(Some(format!("write the address without brackets: `{bare}`"))));
        }
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(address.to_string());
        }
        if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) {
            let hint = format!("the port is a key of its own: `port = {port}`, and `{}` has the host: {}", item.key, quoted(host));
            return Err(Refusal::Form(Some(printable(&hint, 300))));
        }
        match Host::parse(text) {
            Ok(host) if text.len() <= 253 => Ok(host.to_string()),
            _ => Err(Refusal::Form(None)),
        }
    }
}

/// `200`, `2xx` or `200-299`.
pub(super) struct Status;

impl Takes for Status {
    type Value = StatusRule;

    fn words(&self) -> String {
        "a status such as `200`, `\"2xx\"` or `\"200-299\"`".into()
    }

    fn example(&self) -> String {
        quoted("2xx")
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<StatusRule, Refusal> {
        let text = match item.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            _ => return Err(Refusal::Type),
        };
        text.parse().map_err(|_| Refusal::Form(Some("a status is from 100 to 599".into())))
    }
}

/// `scheme://host[:port]`.
pub(super) struct Grant;

impl Takes for Grant {
    type Value = HostGrant;

    fn words(&self) -> String {
        "a grant such as `https://example.com` or `http://127.0.0.1:9000`".into()
    }

    fn example(&self) -> String {
        quoted("http://127.0.0.1:9000")
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<HostGrant, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        if text.contains('@') {
            notes.secret(item.span());
            return Err(Refusal::Value(
                format!("`{}` takes {}, not credentials", item.key, self.words()),
                Some("write the scheme, the host and the port alone".into()),
            ));
        }
        text.parse().map_err(|_| Refusal::Form(Some("a scheme, a host and perhaps a port, nothing else; `*.` may begin the host".into())))
    }
}

/// A value that may live elsewhere: as it is, `{ env = "NAME" }` or `{ file = "path" }`.
pub(super) struct Reference<K> {
    /// What it is when it is written down.
    pub(super) literal: K,
    /// Whether it must not be shown, and is better not written down.
    pub(super) secret: bool,
}

impl<K: Takes> Takes for Reference<K> {
    type Value = SecretRef;

    fn words(&self) -> String {
        if self.secret {
            "a secret, `{ env = \"NAME\" }` or `{ file = \"path\" }`".into()
        } else {
            format!("{}, or `{{ env = \"NAME\" }}` or `{{ file = \"path\" }}`", self.literal.words())
        }
    }

    fn limits(&self) -> Option<String> {
        self.literal.limits()
    }

    fn example(&self) -> String {
        if self.secret { "{ env = \"NAME\" }".into() } else { self.literal.example() }
    }

    fn repaired(&self, wrong: &DeValue<'_>) -> Option<String> {
        self.literal.repaired(wrong)
    }

    fn hides(&self) -> bool {
        self.secret
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<SecretRef, Refusal> {
        match item.value {
            DeValue::Table(table) => {
                let mut entries = table.iter();
                let (Some((kind, at)), None) = (entries.next(), entries.next()) else {
                    return Err(refused_reference(item, notes, "has either `env` or `file`", None));
                };
                let Some(place) = at.get_ref().as_str() else {
                    notes.secret(at.span());
                    let message = format!("takes a text in `{}`", printable(kind.get_ref(), 60));
                    return Err(refused_reference(item, notes, &message, None));
                };
                match kind.get_ref().as_ref() {
                    "env" if is_variable(place) => Ok(SecretRef::Env { env: place.to_owned() }),
                    "env" => {
                        // Perhaps the value itself was written here.
                        notes.secret(at.span());
                        let hint = "letters, digits and `_`: the variable's name, not its value".to_owned();
                        Err(refused_reference(item, notes, "takes the name of an environment variable in `env`", Some(hint)))
                    }
                    "file" if place.is_empty() => Err(refused_reference(item, notes, "has an empty `file`", None)),
                    "file" => Ok(SecretRef::File { file: place.into() }),
                    other => {
                        notes.secret(at.span());
                        let hint = nearest(other, ["env", "file"].into_iter());
                        let message = format!("unknown key `{}` in `{}`", printable(other, 60), printable(item.key, 60));
                        notes.error(kind.span(), message, Some(hint));
                        Err(Refusal::Reported)
                    }
                }
            }
            _ => {
                let literal = read_value(item.key, item.in_list, item.at, &Literal(self, &self.literal), notes);
                let value = literal.ok_or(Refusal::Reported)?;
                if self.secret {
                    warn_of_literal(item, notes);
                }
                Ok(SecretRef::Literal(value))
            }
        }
    }
}

/// The literal form of a [`Reference`], with the words of the whole.
struct Literal<'k, K>(&'k Reference<K>, &'k K);

impl<K: Takes> Takes for Literal<'_, K> {
    type Value = String;

    fn words(&self) -> String {
        self.0.words()
    }

    fn example(&self) -> String {
        self.0.example()
    }

    fn repaired(&self, wrong: &DeValue<'_>) -> Option<String> {
        self.1.repaired(wrong)
    }

    fn hides(&self) -> bool {
        self.0.secret
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<String, Refusal> {
        self.1.parse(item, notes)?;
        item.value.as_str().map(str::to_owned).ok_or(Refusal::Type)
    }
}

fn refused_reference(item: Item<'_>, notes: &mut Notes, problem: &str, hint: Option<String>) -> Refusal {
    let keep = matches!(item.value, DeValue::Table(table) if table.keys().all(|key| matches!(key.get_ref().as_ref(), "env" | "file")));
    if !keep {
        hide(item.at, notes);
    }
    let key = printable(item.key, 60);
    let hint = hint.unwrap_or_else(|| format!("write `{key} = {{ env = \"NAME\" }}` or `{key} = {{ file = \"path\" }}`"));
    Refusal::Value(format!("`{key}` {problem}"), Some(hint))
}

fn warn_of_literal(item: Item<'_>, notes: &mut Notes) {
    let key = printable(item.key, 60);
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let reference = format!("{{ env = \"{name}\" }}");
    let hint = if item.in_list { reference } else { format!("{key} = {reference}") };
    notes.warning(item.span(), format!("the secret `{key}` is written in the file"), Some(format!("move it to the environment: `{hint}`")));
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Texts by key, such as tags.
pub(super) struct Map<K> {
    /// What each value is.
    pub(super) of: K,
    /// A map, as TOML.
    pub(super) example: &'static str,
}

/// The most entries of a map.
const MAP_MOST: usize = 50;

impl<K: Takes> Takes for Map<K> {
    type Value = BTreeMap<String, K::Value>;

    fn words(&self) -> String {
        format!("a table such as `{}`", self.example)
    }

    fn limits(&self) -> Option<String> {
        Some(format!("at most {MAP_MOST} keys"))
    }

    fn example(&self) -> String {
        self.example.into()
    }

    fn hides(&self) -> bool {
        self.of.hides()
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<Self::Value, Refusal> {
        let table = item.value.as_table().ok_or(Refusal::Type)?;
        if table.len() > MAP_MOST {
            let message = format!("`{}` has {} keys, and {MAP_MOST} are the most", item.key, table.len());
            return Err(Refusal::Value(message, None));
        }
        let mut values = BTreeMap::new();
        let mut whole = true;
        for (key, at) in table {
            if key.get_ref().is_empty() || key.get_ref().chars().count() > 100 || key.get_ref().chars().any(char::is_control) {
                let message = format!("a key in `{}` is empty, too long or has control characters", item.key);
                notes.error(key.span(), message, Some("write 1 to 100 characters".into()));
                whole = false;
            }
            match read_value(key.get_ref(), false, at, &self.of, notes) {
                Some(value) => whole &= values.insert(key.get_ref().clone().into_owned(), value).is_none(),
                None => whole = false,
            }
        }
        whole.then_some(values).ok_or(Refusal::Reported)
    }
}

/// Headers of a request. Their values are never shown.
pub(super) struct Headers;

/// Headers that the request's framing decides.
const OURS: [&str; 7] =
    ["connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];
/// Headers whose value is a secret.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

impl Takes for Headers {
    type Value = BTreeMap<String, SecretRef>;

    fn words(&self) -> String {
        format!("a table such as `{}`", self.example())
    }

    fn limits(&self) -> Option<String> {
        Some(format!("at most {MAP_MOST} headers, each a text, `{{ env = \"NAME\" }}` or `{{ file = \"path\" }}`"))
    }

    fn example(&self) -> String {
        "{ Authorization = { env = \"NAME\" } }".into()
    }

    fn hides(&self) -> bool {
        true
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<Self::Value, Refusal> {
        let table = item.value.as_table().ok_or(Refusal::Type)?;
        if table.len() > MAP_MOST {
            let message = format!("`{}` has {} headers, and {MAP_MOST} are the most", item.key, table.len());
            return Err(Refusal::Value(message, None));
        }
        let mut headers: BTreeMap<String, SecretRef> = BTreeMap::new();
        let mut seen: BTreeMap<String, std::ops::Range<usize>> = BTreeMap::new();
        let mut whole = true;
        // In the file's order, so that the second of two is the one too many.
        let mut entries: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, at) in entries {
            let name: &str = key.get_ref();
            let lower = name.to_ascii_lowercase();
            let shown = printable(name, 60);
            let problem = if !is_token(name) {
                Some((format!("`{shown}` is no name of a header"), "letters, digits and `-`, such as `X-Api-Key`".to_owned()))
            } else if OURS.contains(&lower.as_str()) {
                Some((format!("the header `{shown}` is set by the check itself"), "leave it out".to_owned()))
            } else if seen.insert(lower.clone(), key.span()).is_some() {
                Some((format!("the header `{shown}` is there twice"), "the case of its letters makes no difference: remove one".to_owned()))
            } else {
                None
            };
            if let Some((message, hint)) = problem {
                notes.error(key.span(), message, Some(hint));
                whole = false;
            }
            let secret = SECRET.contains(&lower.as_str());
            match read_value(name, false, at, &Reference { literal: HeaderValue, secret }, notes) {
                Some(value) => drop(headers.insert(name.to_owned(), value)),
                None => whole = false,
            }
        }
        whole.then_some(headers).ok_or(Refusal::Reported)
    }
}

/// RFC 9110's `token`.
fn is_token(name: &str) -> bool {
    let rest = "!#$%&'*+-.^_`|~";
    !name.is_empty() && name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || rest.contains(c))
}

/// A header's value: RFC 9110's `field-value`.
struct HeaderValue;

impl Takes for HeaderValue {
    type Value = String;

    fn words(&self) -> String {
        "a text".into()
    }

    fn example(&self) -> String {
        "{ env = \"NAME\" }".into()
    }

    fn hides(&self) -> bool {
        true
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<String, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        if text.len() > 8_000 || text.chars().any(|c| c.is_control() && c != '\t') {
            let message = format!("the header `{}` is longer than 8000 bytes or has a line break", item.key);
            return Err(Refusal::Value(message, Some("a header's value is one line".into())));
        }
        Ok(text.to_owned())
    }
}

/// The address of a database.
pub(super) struct DatabaseUrl;

impl Takes for DatabaseUrl {
    type Value = String;

    fn words(&self) -> String {
        "a URL such as `postgres://user@host/database`".into()
    }

    fn example(&self) -> String {
        "{ env = \"DATABASE_URL\" }".into()
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<String, Refusal> {
        let text = item.value.as_str().ok_or(Refusal::Type)?;
        notes.secret(item.span());
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
        let Some(url) = url else {
            let message = format!("`{}` takes {}, not this", item.key, self.words());
            return Err(Refusal::Value(message, Some(format!("write `{} = {}`", item.key, self.example()))));
        };
        let query = url.query_pairs().any(|(key, _)| key == "password");
        if url.password().is_some() || query {
            let hint = format!("move it to the environment: `{} = {}`", item.key, self.example());
            notes.warning(item.span(), format!("`{}` has a password in it", item.key), Some(hint));
        }
        Ok(text.to_owned())
    }
}

/// The name of a notifier, one of those that are there.
pub(super) struct NotifierName<'n>(pub(super) Vec<&'n str>);

impl Takes for NotifierName<'_> {
    type Value = String;

    fn words(&self) -> String {
        "the name of a notifier".into()
    }

    fn limits(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| alternatives(self.0.iter().copied()))
    }

    fn example(&self) -> String {
        quoted(self.0.first().unwrap_or(&"webhook"))
    }

    fn parse(&self, item: Item<'_>, _: &mut Notes) -> Result<String, Refusal> {
        let name = item.value.as_str().ok_or(Refusal::Type)?;
        if self.0.contains(&name) {
            return Ok(name.to_owned());
        }
        let message = format!("there is no notifier `{}`", printable(name, 60));
        Err(Refusal::Value(message, Some(nearest(name, self.0.iter().copied()))))
    }
}

