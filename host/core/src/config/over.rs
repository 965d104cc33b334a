//! What a command line gives over a target, or over a monitor of the file: the same keys, judged by the same readers.
//!
//! A flag is a key with another name. What was typed is TOML by now, is put into the table of the monitor and read with
//! it; only the reader's words differ, which name the flag ([`Flags`]). What the file would be warned of is not said.

use super::diagnostic::{Diagnostic, Diagnostics, Level, Lines};
use super::key::{Flags, Given, written};
use super::monitors;
use super::table::Table;
use crate::monitor::{CheckSpec, Words};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

impl Diagnostics {
    /// A key as messages call it.
    pub(super) fn called(&self, table: &[String], key: &str) -> String {
        let given = self.flags.as_ref().and_then(|flags| {
            let path: Vec<&str> = table.iter().map(String::as_str).chain([key]).collect();
            flags.given(&path.join("."))
        });
        given.unwrap_or(key).to_owned()
    }
}

impl Words for Diagnostics {
    fn name(&self, key: &str) -> String {
        let alone = key.trim_start_matches("expect.");
        match &self.flags {
            // It has a namesake outside.
            None if key == "expect.http_version" => "`http_version` in `expect`".into(),
            None => format!("`{alone}`"),
            Some(flags) => match flags.given(key) {
                Some(flag) => format!("`{flag}`"),
                None if matches!(key, "url" | "host") => "the target".into(),
                None => format!("the monitor's `{alone}`"),
            },
        }
    }

    fn with(&self, key: &str, value: &str) -> String {
        match &self.flags {
            None if key == "http_version" => format!("`{key} = {value}` outside of `expect`"),
            None => format!("`{key} = {value}`"),
            Some(flags) => {
                format!("`{}`", written(flags.known.get(key).map_or(key, String::as_str), value))
            }
        }
    }
}

/// The file that would have a monitor `target` with this check and nothing else said.
pub fn file_of(target: &CheckSpec) -> String {
    let place = target.place().into_iter().map(|(key, value)| format!("{key} = {value}\n"));
    format!("[monitors.target]\ntype = \"{}\"\n{}", target.kind(), place.collect::<String>())
}

/// The check of the monitor `name` of `file`, which has no errors, with what was `given` over it, and its deadline.
/// `known` has the flag of each key.
///
/// # Errors
/// What is wrong with what was given. It has no place that can be shown.
pub fn read_over(
    file: &str,
    name: &str,
    given: &[Given],
    known: BTreeMap<String, String>,
) -> Result<(CheckSpec, Duration), Diagnostic> {
    let mut text = String::new();
    let mut ends = Vec::with_capacity(given.len());
    for (at, given) in given.iter().enumerate() {
        text.extend([at.to_string().as_str(), " = ", &given.value, "\n"]);
        ends.push(text.len());
    }
    let (file, _) = DeTable::parse_recoverable(file);
    let (typed, _) = DeTable::parse_recoverable(&text);
    let (mut file, mut typed) = (file.into_inner(), typed.into_inner());
    let mut entries = table_of(&mut table_of(&mut file, "monitors"), name);
    for (at, given) in given.iter().enumerate() {
        if let Some(value) = typed.remove(at.to_string().as_str()) {
            put(&mut entries, &given.key, value, given.adds);
        }
    }
    let mut notes = Diagnostics::default();
    notes.flags = Some(Flags { known, given: given.to_vec() });
    let read = monitors::read_check(&mut Table::root(&mut notes, &entries));
    let (diagnostics, _) = notes.conclude(&text);
    let error = diagnostics.into_iter().find(|diagnostic| diagnostic.level == Level::Error);
    match (error, read) {
        (None, Some(read)) => Ok(read),
        (None, None) => {
            let message = format!("the monitor `{name}` can't be read");
            Err(Lines::new("").diagnose(Level::Error, message, None, 0..0, &[]))
        }
        (Some(mut error), _) => {
            // What is within a value is called by its own name.
            let given = given.get(ends.partition_point(|end| *end <= error.span.start));
            if let Some(given) = given.filter(|_| !error.message.contains("`--")) {
                error.message = format!("`{}`: {}", given.flag, error.message);
            }
            Err(error)
        }
    }
}

/// Takes a table out of one.
fn table_of<'t>(table: &mut DeTable<'t>, key: &str) -> DeTable<'t> {
    match table.remove(key).map(Spanned::into_inner) {
        Some(DeValue::Table(inner)) => inner,
        _ => DeTable::new(),
    }
}

fn put<'t>(table: &mut DeTable<'t>, key: &'t str, value: Spanned<DeValue<'t>>, adds: bool) {
    let (key, value) = match key.split_once('.') {
        Some((outer, key)) => {
            let mut inner = table_of(table, outer);
            let span = value.span();
            put(&mut inner, key, value, adds);
            (outer, Spanned::new(span, DeValue::Table(inner)))
        }
        None => match table.remove(key) {
            Some(before) if adds => (key, joined(before, value)),
            _ => (key, value),
        },
    };
    table.insert(Spanned::new(value.span(), key.into()), value);
}

/// Lists one after the other; of tables the later keys win, which are of headers and so alike in any case.
fn joined<'t>(before: Spanned<DeValue<'t>>, added: Spanned<DeValue<'t>>) -> Spanned<DeValue<'t>> {
    let span = added.span();
    let value = match (before.into_inner(), added.into_inner()) {
        (DeValue::Table(all), DeValue::Table(more)) => {
            let is_new = |key: &str| !more.keys().any(|other| other.get_ref().eq_ignore_ascii_case(key));
            let kept: DeTable<'t> = all.into_iter().filter(|(key, _)| is_new(key.get_ref())).collect();
            DeValue::Table(kept.into_iter().chain(more).collect())
        }
        (DeValue::Array(all), DeValue::Array(more)) => DeValue::Array(all.into_iter().chain(more).collect()),
        (one, DeValue::Array(more)) => {
            DeValue::Array([Spanned::new(span.clone(), one)].into_iter().chain(more).collect())
        }
        (_, added) => added,
    };
    Spanned::new(span, value)
}
