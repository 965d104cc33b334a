//! Kinds of values that are written as a text: what each is called, an example, and how it is parsed.

use super::diagnostic::Diagnostics;
use super::key::Typed;
use super::kinds::{RawValue, Said, ValueError, ValueKind};
use toml::de::DeValue;

/// A kind of values that are written as a text.
pub(super) struct Parsed<T> {
    what: &'static str,
    limits: &'static str,
    example: &'static str,
    place: &'static str,
    is_secret: bool,
    takes_numbers: bool,
    parse: fn(&str, RawValue<'_>, &mut Diagnostics) -> Result<T, ValueError>,
}

impl<T> Parsed<T> {
    /// `place` stands for it in a help text, `what` what it is, after "takes", `example` a value as TOML.
    pub(super) const fn new(
        place: &'static str,
        what: &'static str,
        example: &'static str,
        parse: fn(&str, RawValue<'_>, &mut Diagnostics) -> Result<T, ValueError>,
    ) -> Self {
        Self { what, limits: "", example, place, is_secret: false, takes_numbers: false, parse }
    }

    /// What holds beyond `what`.
    pub(super) const fn within(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    pub(super) const fn hidden(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// Numbers and dates are taken as they are written.
    pub(super) const fn or_number(self) -> Self {
        Self { takes_numbers: true, ..self }
    }
}

impl<T> ValueKind for Parsed<T> {
    type Value = T;

    fn said(&self) -> Said {
        let said = Said::new(self.place, self.what, self.example).within(self.limits);
        Said { typed: Typed { commas: self.takes_numbers, ..said.typed }, ..said }
    }

    fn is_secret(&self) -> bool {
        self.is_secret
    }

    fn parse(&self, item: RawValue<'_>, notes: &mut Diagnostics) -> Result<T, ValueError> {
        match item.value {
            DeValue::String(text) => (self.parse)(text, item, notes),
            DeValue::Integer(number) if self.takes_numbers => (self.parse)(&number.to_string(), item, notes),
            DeValue::Datetime(date) if self.takes_numbers => (self.parse)(&date.to_string(), item, notes),
            _ => Err(ValueError::Type),
        }
    }
}
