//! Kinds of values that are written as a text: what each is called, an example, and how it is parsed.

use super::diagnostic::Notes;
use super::key::Typed;
use super::takes::{Item, Refusal, Takes};
use toml::de::DeValue;

/// A kind of values that are written as a text.
pub(super) struct Parsed<T> {
    what: &'static str,
    limits: &'static str,
    example: &'static str,
    value: &'static str,
    hides: bool,
    takes_numbers: bool,
    parse: fn(&str, Item<'_>, &mut Notes) -> Result<T, Refusal>,
}

impl<T> Parsed<T> {
    /// `value` is its place in a help text, `what` what it is, after "takes", `example` a value as TOML.
    pub(super) const fn new(
        value: &'static str,
        what: &'static str,
        example: &'static str,
        parse: fn(&str, Item<'_>, &mut Notes) -> Result<T, Refusal>,
    ) -> Self {
        Self { what, limits: "", example, value, hides: false, takes_numbers: false, parse }
    }

    /// What holds beyond `what`.
    pub(super) const fn within(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    pub(super) const fn hidden(self) -> Self {
        Self { hides: true, ..self }
    }

    /// Numbers and dates are taken as they are written.
    pub(super) const fn or_number(self) -> Self {
        Self { takes_numbers: true, ..self }
    }
}

impl<T> Takes for Parsed<T> {
    type Value = T;

    fn words(&self) -> String {
        self.what.into()
    }

    fn limits(&self) -> Option<String> {
        (!self.limits.is_empty()).then(|| self.limits.to_owned())
    }

    fn example(&self) -> String {
        self.example.into()
    }

    fn hides(&self) -> bool {
        self.hides
    }

    fn typed(&self) -> Typed {
        Typed { value: self.value, commas: self.takes_numbers, ..Typed::default() }
    }

    fn parse(&self, item: Item<'_>, notes: &mut Notes) -> Result<T, Refusal> {
        match item.value {
            DeValue::String(text) => (self.parse)(text, item, notes),
            DeValue::Integer(number) if self.takes_numbers => (self.parse)(&number.to_string(), item, notes),
            DeValue::Datetime(date) if self.takes_numbers => (self.parse)(&date.to_string(), item, notes),
            _ => Err(Refusal::Type),
        }
    }
}
