//! `limits = { … }`: what the calls of a plugin may use up, for the plugin or for one channel.

use super::diagnostic::Diagnostics;
use super::key::quoted;
use super::kinds::{Integer, RawValue, Said, Span, ValueError, ValueKind, within};
use super::table::Table;
use crate::notifier::{Limit, LimitChanges, Measure};
use crate::size;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeValue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// All of a plugin.
    Plugin,
    /// Those for one channel, which come on top of the plugin's. How many run at once is not a channel's to say: they
    /// share their plugin's slots.
    Channel,
}

pub(super) fn read(table: &mut Table<'_, '_>, whose: Whose) -> LimitChanges {
    table.table("limits", |table| {
        let mut changes = LimitChanges::default();
        let of_channel =
            |limit: &Limit| whose == Whose::Plugin || !matches!(limit, Limit::Concurrency | Limit::Failures);
        for limit in Limit::ALL.iter().copied().filter(of_channel) {
            if let Some(value) = one(table, limit, whose) {
                let kept = changes.set(limit, value);
                debug_assert!(kept.is_ok(), "because what was read is within the bounds");
            }
        }
        changes
    })
}

fn one(table: &mut Table<'_, '_>, limit: Limit, whose: Whose) -> Option<u64> {
    let (key, doc, bounds) = (limit.as_str(), limit.doc(), limit.bounds());
    let default = match whose {
        Whose::Plugin => format!("`{}`", limit.show(limit.default_value())),
        Whose::Channel => "the plugin's".to_owned(),
    };
    match limit.measure() {
        Measure::Duration => {
            let [least, most] = [*bounds.start(), *bounds.end()].map(Duration::from_millis);
            let value = table.optional(key, doc, &default, &Span(least..=most))?;
            u64::try_from(value.as_millis()).ok()
        }
        Measure::Size => table.optional(key, doc, &default, &Size(bounds)),
        Measure::Count => table.optional(key, doc, &default, &Integer(bounds)),
    }
}

struct Size(RangeInclusive<u64>);

impl ValueKind for Size {
    type Value = u64;

    fn said(&self) -> Said {
        let [least, most] = [*self.0.start(), *self.0.end()].map(size::format);
        Said::new("TEXT", "a size such as `64 MiB`", quoted(&most)).within(format!("from {least} to {most}"))
    }

    fn suggestion(&self, wrong: &DeValue<'_>) -> Option<String> {
        // `64` and `64 MB` can only mean one thing where bytes make no sense.
        let text = match wrong {
            DeValue::Integer(number) => number.as_str(),
            DeValue::String(text) => text.trim().trim_end_matches(|c: char| !c.is_ascii_digit()),
            _ => return None,
        };
        let bytes = text.parse::<u64>().ok()?.checked_mul(1 << 20)?;
        self.0.contains(&bytes).then(|| quoted(&size::format(bytes)))
    }

    fn parse(&self, item: RawValue<'_>, _: &mut Diagnostics) -> Result<u64, ValueError> {
        let text = item.value.as_str().ok_or(ValueError::Type)?;
        let value = size::parse(text).map_err(|_| ValueError::Form(None))?;
        within(item, value, &self.0, "size", size::format)
    }
}
