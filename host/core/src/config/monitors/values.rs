//! What keys of checks take: conditions, patterns, bytes, sizes, credentials, certificates' days, proxies, name servers.

use super::super::diagnostic::Diagnostics;
use super::super::key::{Typed, quoted, written};
use super::super::kinds::{Integer, RawValue, Text, ValueError, ValueKind, hide_all, read_value};
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

/// A table that is a value: one of its keys that is none is an error.
struct Inner<'t> {
    entries: &'t DeTable<'t>,
}

impl<'t> Inner<'t> {
    fn new(item: RawValue<'t>, keys: &[&str], notes: &mut Diagnostics) -> Result<Self, ValueError> {
        let entries = item.value.as_table().ok_or(ValueError::Type)?;
        let mut whole = true;
        for (key, value) in entries.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            hide_all(value, notes);
            let message = format!("unknown key `{}` in `{}`", printable(key.get_ref(), 60), item.key);
            notes.error(key.span(), message, Some(did_you_mean_or_all(key.get_ref(), keys.iter().copied())));
            whole = false;
        }
        if whole { Ok(Self { entries }) } else { Err(ValueError::Reported) }
    }

    /// A key's value, when it is there.
    fn read<K: ValueKind>(
        &self,
        key: &str,
        takes: &K,
        notes: &mut Diagnostics,
    ) -> Result<Option<K::Value>, ValueError> {
        let Some(at) = self.entries.get(key) else { return Ok(None) };
        read_value(key, false, at, takes, notes).map(Some).ok_or(ValueError::Reported)
    }
}

/// A text that parses into something of its own.
fn parsed<T: FromStr<Err = String>>(text: &str, item: RawValue<'_>, what: &str) -> Result<T, ValueError> {
    text.parse::<T>().map_err(|error| {
        let message = format!("`{}` has {what} that is wrong: `{}`", item.key, printable(text, 100));
        ValueError::Value(message, Some(printable(&error, 300)))
    })
}

pub(super) const JSON_CONDITION: Parsed<JsonCondition> = Parsed::new(
    "CONDITION",
    "a condition such as `$.status == 'ok'`",
    "\"$.status == 'ok'\"",
    |text, item, _| parsed(text, item, "a condition"),
);

pub(super) const HEADER_CONDITION: Parsed<HeaderCondition> = Parsed::new(
    "CONDITION",
    "a condition such as `Content-Type contains 'json'`",
    "\"Content-Type contains 'json'\"",
    |text, item, _| parsed(text, item, "a condition"),
);

pub(super) const REGEX: Parsed<Pattern> =
    Parsed::new("REGEX", "a regular expression such as `'^ok$'`", "'^ok$'", |text, item, _| {
        if text.is_empty() || text.len() > 10_000 {
            return Err(ValueError::Form(Some("it has 1 to 10000 bytes".into())));
        }
        parsed(text, item, "a regular expression")
    });

/// Bytes, a number of them.
pub(super) const SIZE: Parsed<u64> =
    Parsed::new("SIZE", "a size such as `\"64 KiB\"`, or a number of bytes", "\"64 KiB\"", |text, _, _| {
        let bytes = text.parse().ok().or_else(|| size::parse(text).ok());
        bytes.filter(|bytes| (1..=1 << 30).contains(bytes)).ok_or_else(|| {
            ValueError::Form(Some("write a number of bytes, or one with `KiB` or `MiB`".into()))
        })
    })
    .within("from 1 B to 1 GiB")
    .or_number();

/// `{ user = …, password = … }` or `{ bearer = … }`.
pub(super) struct Credentials;

impl ValueKind for Credentials {
    type Value = Auth;

    fn describe(&self) -> String {
        "`{ user = \"…\", password = … }` or `{ bearer = … }`".into()
    }

    fn limits(&self) -> Option<String> {
        Some("`password` and `bearer` each a secret, `{ env = \"NAME\" }` or `{ file = \"path\" }`".into())
    }

    fn example(&self) -> String {
        "{ bearer = { env = \"NAME\" } }".into()
    }

    fn is_secret(&self) -> bool {
        true
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Auth, ValueError> {
        let inner = Inner::new(item, &["user", "password", "bearer"], notes)?;
        let secret = || Reference { literal: Text { most: 10_000, example: "…" }, secret: true };
        let user = inner.read("user", &Text { most: 200, example: "monitor" }, notes)?;
        let password = inner.read("password", &secret(), notes)?;
        let bearer = inner.read("bearer", &secret(), notes)?;
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(ValueError::Value(
                format!("the user in `{}` has a colon, which ends a user's name", item.key),
                Some("write what is behind it as `password`".into()),
            ));
        }
        match (user, password, bearer) {
            (Some(user), Some(password), None) => Ok(Auth::Basic { user, password }),
            (None, None, Some(token)) => Ok(Auth::Bearer { token }),
            _ => Err(ValueError::Value(
                "`auth` takes either `user` and `password`, or `bearer`".into(),
                Some(format!(
                    "write `auth = {{ user = \"NAME\", password = {{ env = \"NAME\" }} }}` or `auth = {}`",
                    self.example()
                )),
            )),
        }
    }
}

/// A file that each check reads.
pub(in crate::config) const fn path(what: &'static str, example: &'static str) -> Parsed<PathBuf> {
    Parsed::new("FILE", what, example, |text, item, notes| {
        Text { most: 4_000, example: "" }.parse(item, notes)?;
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(path) } else { Err(ValueError::Form(Some(FROM_THE_ROOT.into()))) }
    })
}

/// A key as PEM, which is better not in the file.
pub(super) const PEM: Parsed<String> =
    Parsed::new("FILE", "a key as PEM", "{ file = \"path\" }", |text, item, _| {
        if text.contains("-----BEGIN ") {
            return Ok(text.to_owned());
        }
        let forms = "`{ file = \"path\" }`, `{ env = \"NAME\" }` or PEM";
        Err(ValueError::Value(
            format!("`{}` is no key: it takes {forms}", item.key),
            Some(format!("for a path, write `{} = {{ file = \"path\" }}`", item.key)),
        ))
    });

/// A number of days, or two.
pub(super) struct Days;

/// Ten years: longer than any certificate that is still issued.
const DAYS_MOST: u16 = 3_650;

impl ValueKind for Days {
    type Value = CertificateDays;

    fn describe(&self) -> String {
        format!("a number of days up to {DAYS_MOST}, `{{ warning = 21, critical = 7 }}` or `false`")
    }

    fn example(&self) -> String {
        "21".into()
    }

    fn typed(&self) -> Typed {
        Typed { value: "DAYS[,DAYS]", bare: true, ..Typed::default() }
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<CertificateDays, ValueError> {
        let days = Integer(0..=DAYS_MOST);
        let some = |days: Option<u16>| days.filter(|days| *days > 0);
        match item.value {
            DeValue::Boolean(false) => Ok(CertificateDays { warning: None, critical: None }),
            DeValue::Boolean(true) => Err(ValueError::Value(
                format!("`{} = true` says no number of days", item.key),
                Some(format!("write `{}`, or leave it out", written(item.key, "21"))),
            )),
            DeValue::Integer(_) => {
                Ok(CertificateDays { warning: some(Some(days.parse(item, notes)?)), critical: None })
            }
            _ => {
                let inner = Inner::new(item, &["warning", "critical"], notes)?;
                let warning = some(inner.read("warning", &days, notes)?);
                let critical = some(inner.read("critical", &days, notes)?);
                match (warning, critical) {
                    (Some(warning), Some(critical)) if critical >= warning => Err(ValueError::Value(
                        format!("`critical` is `{critical}` days and `warning` only `{warning}`"),
                        Some("people are warned first: make `warning` the larger one".into()),
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
            Err(ValueError::Form(Some("a byte has two digits".into())))
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

    fn describe(&self) -> String {
        "a text, `{ hex = \"0d 0a\" }`, `{ env = \"NAME\" }` or `{ file = \"path\" }`".into()
    }

    fn limits(&self) -> Option<String> {
        Some(format!("at most {TEXT_MOST} characters"))
    }

    fn example(&self) -> String {
        Self::text().example()
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Bytes, ValueError> {
        if item.value.as_table().is_some_and(|table| table.contains_key("hex")) {
            let hex = Inner::new(item, &["hex"], notes)?.read("hex", &HEX, notes)?;
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

impl ValueKind for Expected {
    type Value = ExpectedBytes;

    fn describe(&self) -> String {
        "a text, `{ matches = '^220 ' }` or `{ hex = \"0d 0a\" }`".into()
    }

    fn limits(&self) -> Option<String> {
        Some(format!("at most {TEXT_MOST} characters"))
    }

    fn example(&self) -> String {
        quoted("220 ")
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<ExpectedBytes, ValueError> {
        if item.value.as_str().is_some() {
            let text = Text { most: TEXT_MOST, example: "220 " };
            return text.parse(item, notes).map(ExpectedBytes::Text);
        }
        let inner = Inner::new(item, &["matches", "hex"], notes)?;
        let matches = inner.read("matches", &REGEX, notes)?;
        let hex = inner.read("hex", &HEX, notes)?;
        match (matches, hex) {
            (Some(pattern), None) => Ok(ExpectedBytes::Matches(pattern)),
            (None, Some(hex)) => Ok(ExpectedBytes::Hex(hex)),
            _ => Err(ValueError::Value(
                format!("`{}` takes either `matches` or `hex`", item.key),
                Some(format!("write `{} = {{ matches = '^220 ' }}`", item.key)),
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

    fn describe(&self) -> String {
        let socks = if self.socks { " or `socks5://127.0.0.1:1080`" } else { "" };
        format!("a proxy such as `http://proxy.example.com:3128`{socks}")
    }

    fn example(&self) -> String {
        quoted("http://proxy.example.com:3128")
    }

    fn typed(&self) -> Typed {
        Typed { value: "URL", ..Typed::default() }
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
        name_server(text).ok_or_else(|| ValueError::Form(Some(form.into())))
    },
);
