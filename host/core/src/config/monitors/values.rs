//! What keys of checks take: conditions, patterns, bytes, sizes, credentials, certificates' days, proxies, name servers.

use super::super::diagnostic::Diagnostics;
use super::super::key::{quoted, written};
use super::super::kinds::{Integer, RawValue, Said, Text, ValueError, ValueKind, hide, read_value};
use super::super::parsed::Parsed;
use super::super::references::{FROM_THE_ROOT, Reference};
use super::super::values::warn_of_password;
use crate::expectation::{HeaderCondition, JsonCondition, Pattern};
use crate::monitor::request;
use crate::monitor::{Auth, Bytes, CertificateDays, ExpectedBytes};
use crate::size;
use crate::target::name_server;
use crate::text::{did_you_mean_or_all, printable};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// A table that is a value: one of its keys that is none of `keys` is an error.
fn inner<'t>(
    item: RawValue<'t>,
    keys: &[&str],
    notes: &mut Diagnostics,
) -> Result<&'t DeTable<'t>, ValueError> {
    let table = item.value.as_table().ok_or(ValueError::Type)?;
    let mut whole = true;
    for (key, value) in table.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
        hide(value, false, notes);
        let message = format!("unknown key `{}` in `{}`", printable(key.get_ref(), 60), item.key);
        notes.error(key.span(), message, Some(did_you_mean_or_all(key.get_ref(), keys.iter().copied())));
        whole = false;
    }
    if whole { Ok(table) } else { Err(ValueError::Reported) }
}

/// The value of a key of such a table, when it is there.
fn part<K: ValueKind>(
    table: &DeTable<'_>,
    key: &str,
    takes: &K,
    notes: &mut Diagnostics,
) -> Result<Option<K::Value>, ValueError> {
    let Some(at) = table.get(key) else { return Ok(None) };
    read_value(key, false, at, takes, notes).map(Some).ok_or(ValueError::Reported)
}

/// A text that parses into something of its own.
fn parsed<T: FromStr<Err = String>>(text: &str, item: RawValue<'_>, what: &str) -> Result<T, ValueError> {
    text.parse::<T>().map_err(|error| {
        let message = format!("`{}` has {what} that is wrong: `{}`", item.key, printable(text, 100));
        ValueError::value(message, printable(&error, 300))
    })
}

const fn condition<T: FromStr<Err = String>>(what: &'static str, example: &'static str) -> Parsed<T> {
    Parsed::new("CONDITION", what, example, |text, item, _| parsed(text, item, "a condition"))
}

pub(super) const JSON_CONDITION: Parsed<JsonCondition> =
    condition("a condition such as `$.status == 'ok'`", "\"$.status == 'ok'\"");

pub(super) const HEADER_CONDITION: Parsed<HeaderCondition> =
    condition("a condition such as `Content-Type contains 'json'`", "\"Content-Type contains 'json'\"");

pub(super) const REGEX: Parsed<Pattern> =
    Parsed::new("REGEX", "a regular expression such as `'^ok$'`", "'^ok$'", |text, item, _| {
        if text.is_empty() || text.len() > 10_000 {
            return Err(ValueError::form("it has 1 to 10000 bytes"));
        }
        parsed(text, item, "a regular expression")
    });

/// Bytes, a number of them.
pub(super) const SIZE: Parsed<u64> =
    Parsed::new("SIZE", "a size such as `\"64 KiB\"`, or a number of bytes", "\"64 KiB\"", |text, _, _| {
        let bytes = text.parse().ok().or_else(|| size::parse(text).ok());
        let fits = bytes.filter(|bytes| (1..=1 << 30).contains(bytes));
        fits.ok_or_else(|| ValueError::form("write a number of bytes, or one with `KiB` or `MiB`"))
    })
    .within("from 1 B to 1 GiB")
    .or_number();

/// `{ user = …, password = … }` or `{ bearer = … }`.
pub(super) struct Credentials;

impl ValueKind for Credentials {
    type Value = Auth;

    fn said(&self) -> Said {
        let words = "`{ user = \"…\", password = … }` or `{ bearer = … }`";
        Said::new("TEXT", words, "{ bearer = { env = \"NAME\" } }")
            .within("`password` and `bearer` each a secret, `{ env = \"NAME\" }` or `{ file = \"path\" }`")
    }

    fn is_secret(&self) -> bool {
        true
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Auth, ValueError> {
        let table = inner(item, &["user", "password", "bearer"], notes)?;
        let secret = || Reference { literal: Text { most: 10_000, example: "…" }, secret: true };
        let user = part(table, "user", &Text { most: 200, example: "monitor" }, notes)?;
        let password = part(table, "password", &secret(), notes)?;
        let bearer = part(table, "bearer", &secret(), notes)?;
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            let message = format!("the user in `{}` has a colon, which ends a user's name", item.key);
            return Err(ValueError::value(message, "write what is behind it as `password`"));
        }
        match (user, password, bearer) {
            (Some(user), Some(password), None) => Ok(Auth::Basic { user, password }),
            (None, None, Some(token)) => Ok(Auth::Bearer { token }),
            _ => Err(ValueError::value(
                "`auth` takes either `user` and `password`, or `bearer`",
                "write `auth = { user = \"NAME\", password = { env = \"NAME\" } }` or \
                 `auth = { bearer = { env = \"NAME\" } }`",
            )),
        }
    }
}

/// A file that each check reads.
pub(in crate::config) const fn path(what: &'static str, example: &'static str) -> Parsed<PathBuf> {
    Parsed::new("FILE", what, example, |text, item, notes| {
        Text { most: 4_000, example: "" }.parse(item, notes)?;
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(path) } else { Err(ValueError::form(FROM_THE_ROOT)) }
    })
}

/// A key as PEM, which is better not in the file.
pub(super) const PEM: Parsed<String> =
    Parsed::new("FILE", "a key as PEM", "{ file = \"path\" }", |text, item, _| {
        if text.contains("-----BEGIN ") {
            return Ok(text.to_owned());
        }
        let key = item.key;
        let message =
            format!("`{key}` is no key: it takes `{{ file = \"path\" }}`, `{{ env = \"NAME\" }}` or PEM");
        Err(ValueError::value(message, format!("for a path, write `{key} = {{ file = \"path\" }}`")))
    });

/// A number of days, or two.
pub(super) struct Days;

/// Ten years: longer than any certificate that is still issued.
const DAYS_MOST: u16 = 3_650;

impl ValueKind for Days {
    type Value = CertificateDays;

    fn said(&self) -> Said {
        let words =
            format!("a number of days up to {DAYS_MOST}, `{{ warning = 21, critical = 7 }}` or `false`");
        Said::new("DAYS[,DAYS]", words, "21").bare()
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<CertificateDays, ValueError> {
        let days = Integer(0..=DAYS_MOST);
        let some = |days: Option<u16>| days.filter(|days| *days > 0);
        match item.value {
            DeValue::Boolean(false) => Ok(CertificateDays { warning: None, critical: None }),
            DeValue::Boolean(true) => Err(ValueError::value(
                format!("`{} = true` says no number of days", item.key),
                format!("write `{}`, or leave it out", written(item.key, "21")),
            )),
            DeValue::Integer(_) => {
                Ok(CertificateDays { warning: some(Some(days.parse(item, notes)?)), critical: None })
            }
            _ => {
                let table = inner(item, &["warning", "critical"], notes)?;
                let warning = some(part(table, "warning", &days, notes)?);
                let critical = some(part(table, "critical", &days, notes)?);
                match (warning, critical) {
                    (Some(warning), Some(critical)) if critical >= warning => Err(ValueError::value(
                        format!("`critical` is `{critical}` days and `warning` only `{warning}`"),
                        "people are warned first: make `warning` the larger one",
                    )),
                    _ => Ok(CertificateDays { warning, critical }),
                }
            }
        }
    }
}

/// Bytes as hexadecimal digits; spaces are for the eye.
const HEX: Parsed<String> =
    Parsed::new("HEX", "hexadecimal digits such as `\"0d 0a\"`", "\"0d 0a\"", |text, _, _| {
        let digits: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if digits.is_empty() || digits.len() > 20_000 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(ValueError::Form(None));
        }
        if digits.len().is_multiple_of(2) {
            Ok(digits.to_ascii_lowercase())
        } else {
            Err(ValueError::form("a byte has two digits"))
        }
    });

/// The longest text that is sent or waited for.
const TEXT_MOST: usize = 10_000;

/// What is sent: a text that may live elsewhere, or bytes.
pub(super) struct Sent;

impl Sent {
    fn text() -> Reference<Text> {
        Reference { literal: Text { most: TEXT_MOST, example: "PING\r\n" }, secret: false }
    }
}

impl ValueKind for Sent {
    type Value = Bytes;

    fn said(&self) -> Said {
        let words = "a text, `{ hex = \"0d 0a\" }`, `{ env = \"NAME\" }` or `{ file = \"path\" }`";
        Said { words: words.into(), ..Self::text().said() }
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Bytes, ValueError> {
        if item.value.as_table().is_some_and(|table| table.contains_key("hex")) {
            let hex = part(inner(item, &["hex"], notes)?, "hex", &HEX, notes)?;
            return hex.map(Bytes::Hex).ok_or(ValueError::Type);
        }
        match item.value {
            DeValue::String(_) | DeValue::Table(_) => Self::text().parse(item, notes).map(Bytes::Text),
            _ => Err(ValueError::Type),
        }
    }
}

/// What must come: a text, a pattern or bytes.
pub(super) struct Expected;

impl Expected {
    const TEXT: Text = Text { most: TEXT_MOST, example: "220 " };
}

impl ValueKind for Expected {
    type Value = ExpectedBytes;

    fn said(&self) -> Said {
        let words = "a text, `{ matches = '^220 ' }` or `{ hex = \"0d 0a\" }`";
        Said { words: words.into(), ..Self::TEXT.said() }
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<ExpectedBytes, ValueError> {
        if item.value.as_str().is_some() {
            return Self::TEXT.parse(item, notes).map(ExpectedBytes::Text);
        }
        let table = inner(item, &["matches", "hex"], notes)?;
        let matches = part(table, "matches", &REGEX, notes)?;
        let hex = part(table, "hex", &HEX, notes)?;
        match (matches, hex) {
            (Some(pattern), None) => Ok(ExpectedBytes::Matches(pattern)),
            (None, Some(hex)) => Ok(ExpectedBytes::Hex(hex)),
            _ => Err(ValueError::value(
                format!("`{}` takes either `matches` or `hex`", item.key),
                format!("write `{} = {{ matches = '^220 ' }}`", item.key),
            )),
        }
    }
}

/// Either `http://host:port` or `socks5://host:port`.
pub(in crate::config) struct Proxy {
    pub(in crate::config) socks: bool,
}

impl ValueKind for Proxy {
    type Value = String;

    fn said(&self) -> Said {
        let example = "http://proxy.example.com:3128";
        let socks = if self.socks { " or `socks5://127.0.0.1:1080`" } else { "" };
        Said::new("URL", format!("a proxy such as `{example}`{socks}"), quoted(example))
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<String, ValueError> {
        let text = item.value.as_str().ok_or(ValueError::Type)?;
        let secret = text.contains('@');
        if secret {
            notes.secret(item.span());
        }
        let refuse = |hint: &str| {
            let hint = Some(hint.to_owned());
            if secret { ValueError::without_value(item, self, hint) } else { ValueError::Form(hint) }
        };
        let url = request::proxy(text).map_err(refuse)?;
        if !self.socks && url.scheme() != "http" {
            return Err(refuse("it begins with `http://`"));
        }
        if url.password().is_some() {
            warn_of_password(item, &format!("{} = {{ env = \"NAME\" }}", item.key), notes);
        }
        Ok(text.to_owned())
    }
}

/// A name server's address, perhaps with a port.
pub(super) const RESOLVER: Parsed<SocketAddr> = Parsed::new(
    "ADDR[:PORT]",
    "a name server's address such as `192.0.2.53` or `192.0.2.53:5353`",
    "\"192.0.2.53\"",
    |text, _, _| {
        let form = "an address, and perhaps a port that is not 0";
        name_server(text).ok_or_else(|| ValueError::form(form))
    },
);
