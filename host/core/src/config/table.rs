//! A table of the file while it is read.
//!
//! The reader is the schema: a key exists because a reader asks for it, with its documentation, what it takes and
//! what its absence means. What was not asked for is unknown. A table can be read without being there
//! ([`Table::keys_of_other_types`], the reference): then each key is asked for and none is found or missed.

use super::diagnostic::Diagnostics;
use super::key::KeyDoc;
use super::kinds::{Described, Said, ValueKind, found, hide, placeholder, read_value, some};
use crate::text::{did_you_mean_or_all, printable};
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads keys of a table, one after the other: `let size = or(56, &Integer(24..=1472));` is [`Table::or`] of the key
/// `size`, and `ping.size = …` the same into a field. The comment above is what the reference says of the key.
macro_rules! keys {
    ($table:ident:) => {};
    (
        $table:ident: $(#[doc = $doc:literal])+
        let $key:ident = $read:ident($($with:expr),+)$(.$then:ident($($by:expr)?))*; $($more:tt)*
    ) => {
        let $key = $table.$read(stringify!($key), concat!($($doc),+).trim_start(), $($with),+)$(.$then($($by)?))*;
        keys!($table: $($more)*);
    };
    (
        $table:ident: $(#[doc = $doc:literal])+
        $to:ident.$key:ident = $read:ident($($with:expr),+)$(.$then:ident($($by:expr)?))*; $($more:tt)*
    ) => {
        $to.$key = $table.$read(stringify!($key), concat!($($doc),+).trim_start(), $($with),+)$(.$then($($by)?))*;
        keys!($table: $($more)*);
    };
}

pub(super) use keys;

/// What a reader sees of a table.
pub(super) struct Table<'n, 't> {
    pub(super) notes: &'n mut Diagnostics,
    /// `None`: the table is not there.
    entries: Option<&'t DeTable<'t>>,
    /// Where to point when something is missing.
    span: Range<usize>,
    path: Vec<String>,
    /// For the reference: what the table must be.
    when: Option<String>,
    asked: Vec<String>,
    /// Keys that would be right if something else in the table were different: key, and what.
    keys_of_other_types: Vec<(String, String)>,
    any_key: bool,
}

impl<'n, 't> Table<'n, 't> {
    pub(super) fn root(notes: &'n mut Diagnostics, entries: &'t DeTable<'t>) -> Self {
        Self::new(notes, Some(entries), 0..0, Vec::new())
    }

    /// No file at all, for the reference.
    pub(super) fn unread(notes: &'n mut Diagnostics) -> Self {
        Self::new(notes, None, 0..0, Vec::new())
    }

    fn new(
        notes: &'n mut Diagnostics,
        entries: Option<&'t DeTable<'t>>,
        span: Range<usize>,
        path: Vec<String>,
    ) -> Self {
        let (asked, keys_of_other_types) = (Vec::new(), Vec::new());
        Self { notes, entries, span, path, when: None, asked, keys_of_other_types, any_key: false }
    }

    pub(super) fn required<K: ValueKind>(&mut self, key: &str, doc: &str, takes: &K) -> Option<K::Value> {
        self.ask(key, doc, None, takes);
        if self.entries.is_some_and(|entries| !entries.contains_key(key)) {
            let hint = format!("add `{key} = {}`", takes.said().example);
            self.notes.error(self.span.clone(), format!("{} has no `{key}`", self.name()), Some(hint));
        }
        self.value(key, takes)
    }

    /// A key that may be absent, and what that means.
    pub(super) fn optional<K: ValueKind>(
        &mut self,
        key: &str,
        doc: &str,
        absent: &str,
        takes: &K,
    ) -> Option<K::Value> {
        self.ask(key, doc, Some(absent), takes);
        self.value(key, takes)
    }

    /// One or some, all of which are meant; none when it is absent.
    pub(super) fn all<K: ValueKind>(&mut self, key: &str, doc: &str, of: K) -> Vec<K::Value> {
        self.optional(key, doc, "none", &some(of)).unwrap_or_default()
    }

    pub(super) fn or<K: Described>(
        &mut self,
        key: &str,
        doc: &str,
        default: K::Value,
        takes: &K,
    ) -> K::Value {
        if self.notes.docs.is_some() {
            let shown = format!("`{}`", takes.show(&default));
            self.ask(key, doc, Some(&shown), takes);
        } else {
            self.asked.push(key.to_owned());
        }
        self.value(key, takes).unwrap_or(default)
    }

    /// A table in this one; read also when it is not there.
    pub(super) fn table<R>(&mut self, key: &str, read: impl FnOnce(&mut Table<'_, 't>) -> R) -> R {
        self.asked.push(key.to_owned());
        let item = self.entries.and_then(|entries| entries.get(key));
        let entries = item.and_then(|item| self.entries_of(key, item));
        self.read(key, item.map_or(0..0, Spanned::span), entries, read)
    }

    /// A table of tables, each under a name that somebody chose. `None` from `read` leaves one out.
    pub(super) fn tables<R>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&str, &mut Table<'_, 't>) -> Option<R>,
    ) -> Vec<R> {
        self.table(key, |tables| {
            tables.any_key = true;
            let Some(entries) = tables.entries else {
                tables.read("NAME", 0..0, None, |table| read("NAME", table));
                return Vec::new();
            };
            let mut all = Vec::new();
            for (name, item) in entries {
                if let Some(problem) = name_problem(name.get_ref()) {
                    let hint = Some("a name has 1 to 100 characters, and no spaces around them".to_owned());
                    tables.notes.error(name.span(), format!("a name in `[{key}]` {problem}"), hint);
                }
                if let Some((place, _)) = placeholder(name.get_ref()) {
                    let message = format!("a name in `[{key}]` has `{place}` in it, which is not filled in");
                    tables.notes.warning(name.span(), message, Some("write the name itself".to_owned()));
                }
                if let Some(entries) = tables.entries_of(name.get_ref(), item) {
                    all.extend(tables.read(name.get_ref(), item.span(), Some(entries), |table| {
                        read(name.get_ref(), table)
                    }));
                }
            }
            all
        })
    }

    /// The names in a table of this one.
    pub(super) fn names(&self, key: &str) -> BTreeSet<String> {
        let table =
            self.entries.and_then(|entries| entries.get(key)).and_then(|item| item.get_ref().as_table());
        table.into_iter().flatten().map(|(name, _)| name.get_ref().clone().into_owned()).collect()
    }

    /// Where a key's value is; `expect.status` is a key of the table `expect`.
    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        let item = match key.split_once('.') {
            Some((table, key)) => self.entries?.get(table)?.get_ref().as_table()?.get(key)?,
            None => self.entries?.get(key)?,
        };
        Some(item.span())
    }

    /// An error about what a key of the file says, which by itself is right.
    pub(super) fn error_at(&mut self, key: &str, message: String, hint: &str) {
        if let Some(span) = self.span_of(key) {
            self.notes.error(span, message, Some(hint.to_owned()));
        }
    }

    /// A warning about what a key of the file says, which by itself is right.
    pub(super) fn warning_at(&mut self, key: &str, message: String, hint: &str) {
        if let Some(span) = self.span_of(key) {
            self.notes.warning(span, message, Some(hint.to_owned()));
        }
    }

    /// Advises against keys without which everything would be the same.
    pub(super) fn useless(&mut self, keys: &[&str], why: &str, hint: &str) {
        for key in keys {
            self.warning_at(key, format!("`{key}` has no use: {why}"), hint);
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(super) fn is_there(&self) -> bool {
        self.entries.is_some()
    }

    /// Whether this runs to write down the reference.
    pub(super) fn is_reference(&self) -> bool {
        self.notes.docs.is_some()
    }

    /// Whether a key is there that nobody asked for yet.
    pub(super) fn has_unknown(&self) -> bool {
        self.entries.is_some_and(|entries| entries.keys().any(|key| !self.knows(key.get_ref())))
    }

    /// Any key is right; nobody knows better.
    pub(super) fn take_any_key(&mut self) {
        self.any_key = true;
    }

    /// Keys that this table would have if it were `when`: they are written into the reference, and a hint names
    /// them when they are found here.
    pub(super) fn keys_of_other_types(&mut self, when: &str, read: impl FnOnce(&mut Self)) {
        let (entries, asked) = (self.entries.take(), std::mem::take(&mut self.asked));
        self.when = Some(when.to_owned());
        read(self);
        self.when = None;
        self.entries = entries;
        let keys = std::mem::replace(&mut self.asked, asked);
        self.keys_of_other_types.extend(keys.into_iter().map(|key| (key, when.to_owned())));
    }

    /// Takes those keys without a word: which of them is right can't be told.
    pub(super) fn accept_keys_of_other_types(&mut self) {
        self.asked.extend(self.keys_of_other_types.drain(..).map(|(key, _)| key));
    }

    fn knows(&self, key: &str) -> bool {
        self.any_key || self.asked.iter().any(|asked| asked == key)
    }

    fn ask<K: ValueKind>(&mut self, key: &str, doc: &str, default: Option<&str>, takes: &K) {
        self.asked.push(key.to_owned());
        if let Some(docs) = &mut self.notes.docs {
            let Said { words, limits, typed, .. } = takes.said();
            let comma = if limits.is_empty() { "" } else { ", " };
            docs.push(KeyDoc {
                table: self.path.join("."),
                when: self.when.clone(),
                key: key.to_owned(),
                takes: format!("{words}{comma}{limits}"),
                default: default.map(str::to_owned),
                doc: doc.to_owned(),
                typed,
            });
        }
    }

    fn value<K: ValueKind>(&mut self, key: &str, takes: &K) -> Option<K::Value> {
        let at = self.entries?.get(key)?;
        let called = self.notes.called(&self.path, key);
        read_value(&called, false, at, takes, self.notes)
    }

    fn entries_of(&mut self, key: &str, item: &'t Spanned<DeValue<'t>>) -> Option<&'t DeTable<'t>> {
        let entries = item.get_ref().as_table();
        if entries.is_none() {
            let path = self.path.iter().map(String::as_str).chain([key]);
            let (shown, path) = (printable(key, 60), header(path));
            let message = format!("`{shown}` takes a table, not {}", found(item.get_ref()));
            let hint = match item.get_ref() {
                DeValue::Array(_) if self.path.is_empty() && key != "database" => {
                    format!("write `[{path}.NAME]`")
                }
                DeValue::Array(_) => format!("write one pair of brackets, `[{path}]`"),
                _ => format!("write `[{path}]` and its keys on the lines below"),
            };
            self.notes.error(item.span(), message, Some(hint));
        }
        entries
    }

    fn read<R>(
        &mut self,
        key: &str,
        span: Range<usize>,
        entries: Option<&'t DeTable<'t>>,
        read: impl FnOnce(&mut Table<'_, 't>) -> R,
    ) -> R {
        let mut path = self.path.clone();
        path.push(key.to_owned());
        let mut table = Table::new(self.notes, entries, span, path);
        table.when.clone_from(&self.when);
        let value = read(&mut table);
        table.finish();
        value
    }

    /// Reports what nobody asked for.
    pub(super) fn finish(&mut self) {
        for (key, value) in self.entries.into_iter().flatten() {
            if self.knows(key.get_ref()) {
                continue;
            }
            // It may be the slip of a secret's key.
            hide(value, false, self.notes);
            let hint = match self.keys_of_other_types.iter().find(|(other, _)| other == key.get_ref()) {
                Some((key, when)) => format!("`{key}` is a key of `{when}`"),
                None => did_you_mean_or_all(key.get_ref(), self.asked.iter().map(String::as_str)),
            };
            let place = if self.path.is_empty() { "the file".into() } else { self.name() };
            let message = format!("unknown key `{}` in {place}", printable(key.get_ref(), 60));
            self.notes.error(key.span(), message, Some(hint));
        }
    }

    /// The table as its header names it.
    fn name(&self) -> String {
        format!("`[{}]`", header(self.path.iter().map(String::as_str)))
    }
}

/// A path as TOML writes it.
fn header<'p>(path: impl Iterator<Item = &'p str>) -> String {
    let bare = |key: &str| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    let keys: Vec<String> = path
        .map(|key| if bare(key) { key.to_owned() } else { format!("\"{}\"", printable(key, 60)) })
        .collect();
    keys.join(".")
}

/// Why a text can't be the name of a monitor or a channel.
fn name_problem(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("is empty")
    } else if name.trim() != name {
        Some("begins or ends with a space")
    } else if name.chars().any(char::is_control) {
        Some("has a control character")
    } else if name.chars().count() > 100 {
        Some("is longer than 100 characters")
    } else {
        None
    }
}
