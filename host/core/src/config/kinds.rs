//! What a key takes: the kinds of values, each with its words, its limits and its example.
//!
//! Every refusal reads the same: `` `interval` takes a duration such as `30s`, not an integer ``, and a hint that
//! can be pasted. This file has the kinds that any program has; `values.rs` has the ones of this domain.

use super::diagnostic::Diagnostics;
use super::key::{Typed, quoted, written};
use crate::duration;
use crate::text::{alternatives, did_you_mean, did_you_mean_or_all, printable};
use std::borrow::Cow;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

pub(super) trait ValueKind {
    type Value;

    /// What messages, hints and the reference say of it.
    fn said(&self) -> Said;

    /// The right value, as TOML, where it can be told from the wrong one.
    fn suggestion(&self, _wrong: &DeValue<'_>) -> Option<String> {
        None
    }

    /// Whether a value must not be shown.
    fn is_secret(&self) -> bool {
        false
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Self::Value, ValueError>;
}

/// What is said of a kind of values.
pub(super) struct Said {
    /// What it is, after "takes": `a duration such as …`.
    pub(super) words: String,
    /// What holds beyond that, after the words: `from 1 to 20`; empty: nothing.
    pub(super) limits: String,
    /// A value, as TOML.
    pub(super) example: String,
    /// How a value is given as a flag.
    pub(super) typed: Typed,
}

impl Said {
    /// `place` stands for a value in the help of a flag.
    pub(super) fn new(place: &'static str, words: impl Into<String>, example: impl Into<String>) -> Self {
        let typed = Typed { value: place, ..Typed::default() };
        Self { words: words.into(), limits: String::new(), example: example.into(), typed }
    }

    pub(super) fn within(self, limits: impl Into<String>) -> Self {
        Self { limits: limits.into(), ..self }
    }

    /// A number or a boolean stands without quotes.
    pub(super) fn bare(mut self) -> Self {
        self.typed.bare = true;
        self
    }
}

/// A kind whose values can be shown as a default.
pub(super) trait Described: ValueKind {
    /// A value as a person would write it.
    fn show(&self, value: &Self::Value) -> String;
}

#[derive(Clone, Copy)]
pub(super) struct RawValue<'t> {
    /// The key that it is for.
    pub(super) key: &'t str,
    /// Whether it is one of several in a list.
    pub(super) in_list: bool,
    pub(super) value: &'t DeValue<'t>,
    pub(super) at: &'t Spanned<DeValue<'t>>,
}

impl RawValue<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.at.span()
    }
}

pub(super) enum ValueError {
    Type,
    /// It is no such thing; with the way out, if that is more than an example.
    Form(Option<String>),
    Value(String, Option<String>),
    /// It has been reported already.
    Reported,
}

impl ValueError {
    pub(super) fn form(hint: impl Into<String>) -> Self {
        Self::Form(Some(hint.into()))
    }

    pub(super) fn value(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Value(message.into(), Some(hint.into()))
    }

    /// It is no such thing, and must not be shown.
    pub(super) fn without_value<K: ValueKind>(item: RawValue<'_>, takes: &K, hint: Option<String>) -> Self {
        Self::Value(format!("`{}` takes {}, not this", item.key, takes.said().words), hint)
    }
}

/// Reads a value and reports what is wrong with it.
pub(super) fn read_value<'t, K: ValueKind>(
    key: &str,
    in_list: bool,
    at: &'t Spanned<DeValue<'t>>,
    takes: &K,
    notes: &mut Diagnostics,
) -> Option<K::Value> {
    let value = at.get_ref();
    if takes.is_secret() {
        hide(at, true, notes);
    }
    if let Some(span) = first_nul(at) {
        // Nor does anything that is asked or told take one: texts end there.
        let takes_bytes = matches!(key, "send" | "expect" | "banner");
        let hint = if takes_bytes { "write bytes as `{ hex = \"00 ff\" }`" } else { "take it out" };
        let message = format!("`{}` has a NUL character, which the database can't store", printable(key, 60));
        notes.error(span, message, Some(hint.to_owned()));
        return None;
    }
    let refusal = match takes.parse(RawValue { key, in_list, value, at }, notes) {
        Ok(parsed) => {
            if let Some(text) = value.as_str() {
                warn_of_placeholder(key, text, at.span(), takes.is_secret(), notes);
            }
            return Some(parsed);
        }
        Err(refusal) => refusal,
    };
    let Said { words, limits, example, .. } = takes.said();
    let suggestion = if takes.is_secret() { None } else { takes.suggestion(value) };
    let right = suggestion.unwrap_or(example);
    let write =
        if in_list { format!("write `{right}`") } else { format!("write `{}`", written(key, &right)) };
    let key = printable(key, 60);
    let (message, hint) = match refusal {
        ValueError::Reported => return None,
        ValueError::Type => (format!("`{key}` takes {words}, not {}", found(value)), Some(write)),
        ValueError::Form(hint) => {
            let got = match value {
                _ if takes.is_secret() => "this".to_owned(),
                DeValue::String(text) if text.is_empty() => "an empty text".to_owned(),
                DeValue::String(text) => format!("`{}`", printable(text, 60)),
                DeValue::Integer(number) => format!("`{}`", printable(&number.to_string(), 60)),
                other => found(other).to_owned(),
            };
            let is_bounded = matches!(value, DeValue::Integer(_)) && !limits.is_empty();
            let what = if is_bounded { format!("{words} {limits}") } else { words };
            (format!("`{key}` takes {what}, not {got}"), Some(hint.unwrap_or(write)))
        }
        ValueError::Value(message, hint) => (message, hint),
    };
    notes.error(at.span(), message, hint);
    None
}

/// Where the first text with a NUL character is in a value.
fn first_nul(at: &Spanned<DeValue<'_>>) -> Option<Range<usize>> {
    match at.get_ref() {
        DeValue::String(text) => text.contains('\0').then(|| at.span()),
        DeValue::Array(items) => items.iter().find_map(first_nul),
        DeValue::Table(table) => table.values().find_map(first_nul),
        _ => None,
    }
}

/// The first place that other programs fill in, as it is written, and its name: `${NAME}`, `${NAME:-default}`, or
/// `$NAME`
/// as a word or a part of a path.
pub(super) fn placeholder(text: &str) -> Option<(String, &str)> {
    let braced = text.split("${").skip(1).find_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let is_name = end > 0 && !rest.starts_with(|c: char| c.is_ascii_digit());
        let is_closed = rest[end..].starts_with('}')
            || rest[end..].starts_with([':', '-', '?', '+']) && rest[end..].contains('}');
        (is_name && is_closed).then(|| (format!("${{{}}}", &rest[..end]), &rest[..end]))
    });
    let bare = || {
        let mut words = text.split(|c: char| c.is_whitespace() || "/?&=:,".contains(c));
        words.find_map(|word| {
            let name = word.strip_prefix('$').filter(|name| name.len() >= 3)?;
            let is_name = name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
            (is_name && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| (word.to_owned(), name))
        })
    };
    braced.or_else(bare)
}

/// Other programs fill in `${NAME}`. Here a text is what it is, and would be sent so.
fn warn_of_placeholder(key: &str, text: &str, at: Range<usize>, is_hidden: bool, notes: &mut Diagnostics) {
    let Some((shown, name)) = placeholder(text) else { return };
    let key = printable(key, 60);
    let (shown, reference) = if is_hidden { (shown.replace(name, "…"), "NAME") } else { (shown, name) };
    notes.warning(
        at,
        format!("`{key}` has `{shown}` in it, which is not filled in"),
        Some(format!("write the text itself, or the whole value as `{{ env = \"{reference}\" }}` where `{key}` takes that")),
    );
}

/// Keeps every text and number in a value from being shown; `but_places`: where it is kept (`{ env = "NAME" }`) may be
/// seen.
pub(super) fn hide(at: &Spanned<DeValue<'_>>, but_places: bool, notes: &mut Diagnostics) {
    let is_place = |key: &Spanned<Cow<'_, str>>| matches!(key.get_ref().as_ref(), "env" | "file");
    match at.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| hide(item, but_places, notes)),
        DeValue::Table(table) if but_places && table.keys().all(is_place) => {}
        DeValue::Table(table) => table.values().for_each(|item| hide(item, but_places, notes)),
        _ => notes.secret(at.span()),
    }
}

/// What a value is, for "…, not an integer".
pub(super) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(super) struct Boolean;

impl ValueKind for Boolean {
    type Value = bool;

    fn said(&self) -> Said {
        Said::new("", "`true` or `false`", "true").bare()
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        match wrong.as_str()?.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some("true".into()),
            "false" | "no" | "off" => Some("false".into()),
            _ => None,
        }
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<bool, ValueError> {
        item.value.as_bool().ok_or(ValueError::Type)
    }
}

impl Described for Boolean {
    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

pub(super) struct Integer<N>(pub(super) RangeInclusive<N>);

impl<N: Copy + Display + PartialOrd + TryFrom<i64>> ValueKind for Integer<N> {
    type Value = N;

    fn said(&self) -> Said {
        let (least, most) = (self.0.start(), self.0.end());
        Said::new("N", "a whole number", least.to_string()).within(format!("from {least} to {most}")).bare()
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        let number = wrong.as_str()?.trim_matches([' ', '%']).parse::<i64>().ok()?;
        N::try_from(number).ok().filter(|number| self.0.contains(number)).map(|number| number.to_string())
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<N, ValueError> {
        let number = item.value.as_integer().ok_or(ValueError::Type)?;
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let fits =
            number.and_then(|number| N::try_from(number).ok()).filter(|number| self.0.contains(number));
        let bound = if number.is_some_and(|number| number <= 0) { self.0.start() } else { self.0.end() };
        fits.ok_or_else(|| ValueError::form(format!("write `{}`", written(item.key, &bound.to_string()))))
    }
}

impl<N: Copy + Display + PartialOrd + TryFrom<i64>> Described for Integer<N> {
    fn show(&self, value: &N) -> String {
        value.to_string()
    }
}

pub(super) struct Span(pub(super) RangeInclusive<Duration>);

impl ValueKind for Span {
    type Value = Duration;

    fn said(&self) -> Said {
        let example = Duration::from_secs(30);
        let example = if self.0.contains(&example) { example } else { *self.0.start() };
        let [least, most, example] = [*self.0.start(), *self.0.end(), example].map(duration::format);
        Said::new("D", "a duration such as `30s`", quoted(&example)).within(format!("from {least} to {most}"))
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        let number = match wrong {
            DeValue::Integer(number) => number.as_str(),
            DeValue::String(text) => text.trim(),
            _ => return None,
        };
        let seconds = number.parse().ok().map(Duration::from_secs)?;
        self.0.contains(&seconds).then(|| quoted(&format!("{number}s")))
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<Duration, ValueError> {
        let text = item.value.as_str().ok_or(ValueError::Type)?;
        let bare = text.trim().parse::<u64>().is_ok();
        let units = "write a number and a unit, such as `500ms`, `30s`, `5m`, `1h30m` or `7d`".to_owned();
        let value = duration::parse(text).map_err(|_| ValueError::Form((!bare).then_some(units)))?;
        within(item, value, &self.0, "duration", duration::format)
    }
}

/// Refuses what is out of bounds.
pub(super) fn within<T: Copy + PartialOrd>(
    item: RawValue<'_>,
    value: T,
    range: &RangeInclusive<T>,
    noun: &str,
    show: fn(T) -> String,
) -> Result<T, ValueError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let bound = if value < *range.start() { *range.start() } else { *range.end() };
    let (least, most) = (show(*range.start()), show(*range.end()));
    let got = printable(item.value.as_str().unwrap_or_default(), 60);
    let message = format!("`{}` takes a {noun} from `{least}` to `{most}`, not `{got}`", item.key);
    Err(ValueError::value(message, format!("write `{}`", written(item.key, &quoted(&show(bound))))))
}

impl Described for Span {
    fn show(&self, value: &Duration) -> String {
        duration::format(*value)
    }
}

/// A text that is not empty.
pub(super) struct Text {
    /// Counted in characters, not bytes.
    pub(super) most: usize,
    /// A text that shows what is meant.
    pub(super) example: &'static str,
}

impl ValueKind for Text {
    type Value = String;

    fn said(&self) -> Said {
        Said::new("TEXT", "a text", quoted(self.example)).within(format!("at most {} characters", self.most))
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        as_text(wrong)
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<String, ValueError> {
        let text = item.value.as_str().ok_or(ValueError::Type)?;
        if text.is_empty() {
            let message = format!("`{}` is empty", item.key);
            return Err(ValueError::value(message, "write a text, or leave the key out"));
        }
        let length = text.chars().count();
        if length > self.most {
            let message = format!("`{}` has {length} characters, and {} are the most", item.key, self.most);
            return Err(ValueError::value(message, "make it shorter"));
        }
        Ok(text.to_owned())
    }
}

/// A number or a boolean that should have been a text.
fn as_text(wrong: &DeValue<'_>) -> Option<String> {
    match wrong {
        DeValue::Integer(number) => Some(quoted(&number.to_string())),
        DeValue::Float(number) => Some(quoted(number.as_str())),
        DeValue::Boolean(value) => Some(quoted(&value.to_string())),
        _ => None,
    }
}

pub(super) struct Choice<T>(Vec<(String, T)>);

impl<T: Clone + ToString> Choice<T> {
    pub(super) fn of(all: &[T]) -> Self {
        Self(all.iter().map(|value| (value.to_string(), value.clone())).collect())
    }
}

impl<T> Choice<T> {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(word, _)| word.as_str())
    }

    /// Whether all the words fit into a message.
    fn is_short(&self) -> bool {
        self.0.len() <= 8
    }
}

impl<T: Clone> ValueKind for Choice<T> {
    type Value = T;

    fn said(&self) -> Said {
        let all = format!("one of {}", alternatives(self.words()));
        let example = self.words().next().unwrap_or_default();
        let such_as = format!("a word such as `{example}`");
        let (words, limits) = if self.is_short() { (all, String::new()) } else { (such_as, all) };
        let typed = self.words().map(str::to_owned).collect();
        let typed = Typed { value: "WORD", words: typed, commas: true, ..Typed::default() };
        Said { words, limits, example: quoted(example), typed }
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        as_text(wrong).filter(|text| self.0.iter().any(|(word, _)| quoted(word) == *text))
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<T, ValueError> {
        let text = item.value.as_str().ok_or(ValueError::Type)?;
        if let Some((_, value)) = self.0.iter().find(|(word, _)| word == text) {
            return Ok(value.clone());
        }
        let all = (!self.is_short()).then(|| did_you_mean_or_all(text, self.words()));
        Err(ValueError::Form(all.or_else(|| did_you_mean(text, self.words()))))
    }
}

impl<T: Clone + PartialEq> Described for Choice<T> {
    fn show(&self, value: &T) -> String {
        self.0.iter().find(|(_, other)| other == value).map_or_else(String::new, |(word, _)| quoted(word))
    }
}

pub(super) struct List<K> {
    pub(super) of: K,
    pub(super) count: RangeInclusive<usize>,
    /// Whether one without brackets will do.
    pub(super) or_one: bool,
}

/// One or some.
pub(super) fn some<K>(of: K) -> List<K> {
    List { of, count: 1..=50, or_one: true }
}

impl<K: ValueKind> ValueKind for List<K> {
    type Value = Vec<K::Value>;

    fn said(&self) -> Said {
        let Said { words, limits, example, typed } = self.of.said();
        let (each, words, example) = if self.or_one {
            (String::new(), format!("{words}, or a list of them"), example)
        } else {
            (format!("each {words}"), format!("a list such as `[{example}]`"), format!("[{example}]"))
        };
        let mut parts = vec![each, limits, format!("at most {} of them", self.count.end())];
        parts.retain(|part| !part.is_empty());
        Said { words, limits: parts.join(", "), example, typed: Typed { is_list: true, ..typed } }
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        let one = self.of.suggestion(wrong);
        match wrong {
            _ if self.or_one => one,
            DeValue::String(text) => {
                Some(format!("[{}]", one.unwrap_or_else(|| quoted(&printable(text, 60)))))
            }
            _ => one.map(|one| format!("[{one}]")),
        }
    }

    fn is_secret(&self) -> bool {
        self.of.is_secret()
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Self::Value, ValueError> {
        let items = match item.value.as_array() {
            Some(items) => items,
            None if self.or_one => return self.of.parse(item, notes).map(|one| vec![one]),
            None => return Err(ValueError::Type),
        };
        if !self.count.contains(&items.len()) {
            let (message, hint) = if items.is_empty() {
                (format!("`{}` is an empty list", item.key), "write at least one, or leave the key out")
            } else {
                let (count, most) = (items.len(), self.count.end());
                (format!("`{}` has {count} values, and {most} are the most", item.key), "leave some out")
            };
            return Err(ValueError::value(message, hint));
        }
        let values: Vec<_> = items.iter().map(|at| read_value(item.key, true, at, &self.of, notes)).collect();
        values.into_iter().collect::<Option<_>>().ok_or(ValueError::Reported)
    }
}

/// A value, and where it is.
pub(super) struct At<K>(pub(super) K);

impl<K: ValueKind> ValueKind for At<K> {
    type Value = (K::Value, Range<usize>);

    fn said(&self) -> Said {
        Said { typed: Typed::default(), ..self.0.said() }
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        self.0.suggestion(wrong)
    }

    fn is_secret(&self) -> bool {
        self.0.is_secret()
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<Self::Value, ValueError> {
        self.0.parse(item, notes).map(|value| (value, item.span()))
    }
}
