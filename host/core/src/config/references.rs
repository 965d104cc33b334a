//! Values that may live elsewhere, and what is made of them: secrets, headers, maps.
//!
//! A value that is written where only its place should be (`{ env = "the token itself" }`) is treated as a secret.

use super::diagnostic::Diagnostics;
use super::kinds::{RawValue, Said, ValueError, ValueKind, hide, read_value};
use super::parsed::Parsed;
use crate::monitor::request::{self, HEADER_MOST};
use crate::secret::SecretRef;
use crate::text::{did_you_mean_or_all, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value that may live elsewhere: as it is, `{ env = "NAME" }` or `{ file = "path" }`.
pub(super) struct Reference<K> {
    /// What it is when it is written down.
    pub(super) literal: K,
    /// Whether it must not be shown, and is better not written down.
    pub(super) secret: bool,
}

impl<K: ValueKind> ValueKind for Reference<K> {
    type Value = SecretRef;

    fn said(&self) -> Said {
        let said = self.literal.said();
        let secret = ("a secret".into(), "{ env = \"NAME\" }".into());
        let (what, example) = if self.secret { secret } else { (said.words, said.example) };
        let words = format!("{what}, `{{ env = \"NAME\" }}` or `{{ file = \"path\" }}`");
        Said { words, example, ..said }
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        self.literal.suggestion(wrong)
    }

    fn is_secret(&self) -> bool {
        self.secret
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<SecretRef, ValueError> {
        if let DeValue::Table(table) = item.value {
            return external_reference(item, table, notes);
        }
        self.literal.parse(item, notes)?;
        let value = item.value.as_str().ok_or(ValueError::Type)?;
        if self.secret && value.trim().is_empty() {
            return Err(ValueError::Value(format!("`{}` is empty", printable(item.key, 60)), None));
        }
        if self.secret {
            warn_of_literal(item, notes);
        }
        Ok(SecretRef::Literal(value.to_owned()))
    }
}

/// Why a relative path is refused: whoever reads the file starts in a folder of its own, perhaps on another machine.
pub(super) const FROM_THE_ROOT: &str =
    "write it from the root on, such as `/etc/uptime/…`: workers start in other folders";

/// `{ env = "NAME" }` or `{ file = "path" }`. Whatever else is there could be the value itself, and is not shown.
fn external_reference(
    item: RawValue<'_>,
    table: &DeTable<'_>,
    notes: &mut Diagnostics,
) -> Result<SecretRef, ValueError> {
    let key = printable(item.key, 60);
    let refuse = |problem: &str, hint: Option<&str>| {
        let forms = || format!("write `{key} = {{ env = \"NAME\" }}` or `{key} = {{ file = \"path\" }}`");
        Err(ValueError::Value(format!("`{key}` {problem}"), Some(hint.map_or_else(forms, str::to_owned))))
    };
    let mut entries = table.iter();
    let (Some((kind, at)), None) = (entries.next(), entries.next()) else {
        hide(item.at, false, notes);
        return refuse("takes either `env` or `file`", None);
    };
    match (kind.get_ref().as_ref(), at.get_ref().as_str()) {
        ("env", Some(name)) if is_variable(name) => return Ok(SecretRef::Env { env: name.to_owned() }),
        ("file", Some(path)) if Path::new(path).is_absolute() => {
            return Ok(SecretRef::File { file: path.into() });
        }
        _ => hide(at, false, notes),
    }
    match kind.get_ref().as_ref() {
        "env" => refuse(
            "takes the name of an environment variable in `env`",
            Some("letters, digits and `_`: the variable's name, not its value"),
        ),
        "file" if at.get_ref().as_str().is_some_and(|path| !path.is_empty()) => {
            refuse("takes an absolute path in `file`", Some(FROM_THE_ROOT))
        }
        "file" => refuse("takes the path of a file in `file`", None),
        other => {
            let hint = did_you_mean_or_all(other, ["env", "file"]);
            notes.error(
                kind.span(),
                format!("unknown key `{}` in `{key}`", printable(other, 60)),
                Some(hint),
            );
            Err(ValueError::Reported)
        }
    }
}

fn warn_of_literal(item: RawValue<'_>, notes: &mut Diagnostics) {
    let key = printable(item.key, 60);
    let name: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let reference = format!("{{ env = \"{name}\" }}");
    let hint = if item.in_list { reference } else { format!("{key} = {reference}") };
    notes.warning(
        item.span(),
        format!("the secret `{key}` is written in the file"),
        Some(format!("move it to the environment: `{hint}`")),
    );
}

pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Texts by key, such as tags.
pub(super) struct Map<K> {
    pub(super) of: K,
    /// A map, as TOML.
    pub(super) example: &'static str,
}

const MAP_MOST: usize = 50;

impl<K: ValueKind> ValueKind for Map<K> {
    type Value = BTreeMap<String, K::Value>;

    fn said(&self) -> Said {
        let words = format!("a table such as `{}`", self.example);
        Said::new("TEXT", words, self.example).within(format!("at most {MAP_MOST} keys"))
    }

    fn is_secret(&self) -> bool {
        self.of.is_secret()
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Self::Value, ValueError> {
        let problem = |key: &str| {
            let is_wrong = key.is_empty() || key.chars().count() > 100 || key.chars().any(char::is_control);
            let message = format!("a key in `{}` is empty, too long or has control characters", item.key);
            is_wrong.then_some((message, "write 1 to 100 characters"))
        };
        entries(item, "keys", notes, problem, |key, at, notes| read_value(key, false, at, &self.of, notes))
    }
}

/// Reads each entry of a table that is a value. `problem` says what is wrong with a key, and the way out.
fn entries<V>(
    item: RawValue<'_>,
    noun: &str,
    notes: &mut Diagnostics,
    mut problem: impl FnMut(&str) -> Option<(String, &'static str)>,
    read: impl Fn(&str, &Spanned<DeValue<'_>>, &mut Diagnostics) -> Option<V>,
) -> Result<BTreeMap<String, V>, ValueError> {
    let table = item.value.as_table().ok_or(ValueError::Type)?;
    if table.len() > MAP_MOST {
        let message = format!("`{}` has {} {noun}, and {MAP_MOST} are the most", item.key, table.len());
        return Err(ValueError::Value(message, None));
    }
    // In the file's order, so that the second of two is the one too many.
    let mut in_order: Vec<(&Spanned<_>, &Spanned<DeValue<'_>>)> = table.iter().collect();
    in_order.sort_by_key(|(key, _)| key.span().start);
    let (mut values, mut whole) = (BTreeMap::new(), true);
    for (key, at) in in_order {
        let name: &str = key.get_ref();
        if let Some((message, hint)) = problem(name) {
            notes.error(key.span(), message, Some(hint.to_owned()));
            whole = false;
        }
        match read(name, at, notes) {
            Some(value) => drop(values.insert(name.to_owned(), value)),
            None => whole = false,
        }
    }
    whole.then_some(values).ok_or(ValueError::Reported)
}

/// Headers of a request. Their values are never shown.
pub(super) struct Headers;

/// Headers whose value is a secret.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

impl ValueKind for Headers {
    type Value = BTreeMap<String, SecretRef>;

    fn said(&self) -> Said {
        let example = "{ Authorization = { env = \"NAME\" } }";
        let each = "each a text, `{ env = \"NAME\" }` or `{ file = \"path\" }`";
        Said::new("TEXT", format!("a table such as `{example}`"), example)
            .within(format!("at most {MAP_MOST} headers, {each}"))
    }

    fn is_secret(&self) -> bool {
        true
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Self::Value, ValueError> {
        let mut seen = BTreeSet::new();
        let problem = |name: &str| {
            request::header_problem(name).or_else(|| {
                let message = format!("the header `{}` is listed twice", printable(name, 60));
                let is_first = seen.insert(name.to_ascii_lowercase());
                (!is_first).then_some((message, "the case of its letters makes no difference: remove one"))
            })
        };
        entries(item, "headers", notes, problem, |name, at, notes| {
            let secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
            read_value(name, false, at, &Reference { literal: HEADER_VALUE, secret }, notes)
        })
    }
}

/// A header's value: RFC 9110's `field-value`.
const HEADER_VALUE: Parsed<String> = Parsed::new("VALUE", "a text", "\"…\"", |text, item, _| {
    if request::is_header_value(text) {
        return Ok(text.to_owned());
    }
    let message = format!("the header `{}` is longer than {HEADER_MOST} bytes or has a line break", item.key);
    Err(ValueError::value(message, "a header's value is one line"))
})
.hidden();
