//! A time zone by its name in the IANA database.
//!
//! The machine's own database is asked, so that a new law needs no new `uptime`; where there is none, the one that is
//! compiled in. That look-up is the one thing here that is not pure, and what it finds does not depend on `now`.

use crate::text::{did_you_mean, printable};
use crate::words::as_text;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A time zone that has a name, such as `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// A name that no time zone has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone `{name}`")]
pub struct UnknownZone {
    pub name: String,
    pub hint: String,
}

impl Zone {
    pub const UTC: Self = Self(TimeZone::UTC);

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    pub(super) fn time_zone(&self) -> &TimeZone {
        &self.0
    }

    /// What the offset is when the clock reads so.
    pub(super) fn offset(&self, reading: DateTime) -> AmbiguousOffset {
        self.0.to_ambiguous_timestamp(reading).offset()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::UTC);
        }
        // One without a name could not be written down again.
        match TimeZone::get(name) {
            Ok(zone) if !zone.is_unknown() && zone.iana_name().is_some() => Ok(Self(zone)),
            _ => Err(UnknownZone { name: printable(name, 60), hint: hint(name) }),
        }
    }
}

as_text!(Zone);

fn hint(name: &str) -> String {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    // People say the city alone, or write a space where the name has `_`.
    let wanted = name.trim().replace(' ', "_");
    let city = names
        .iter()
        .find(|name| name.rsplit_once('/').is_some_and(|(_, city)| city.eq_ignore_ascii_case(&wanted)));
    match city {
        Some(name) => format!("did you mean `{name}`?"),
        None => did_you_mean(&wanted, names.iter().map(String::as_str))
            .unwrap_or_else(|| "write a name of the IANA database such as `Europe/Berlin`, or `UTC`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;

    #[test]
    fn a_zone_is_found_by_its_name_and_keeps_it() {
        for (written, name) in
            [("Europe/Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("utc", "UTC")]
        {
            let zone: Zone = written.parse().expect(written);
            assert_eq!(zone.to_string(), name);
            let json = serde_json::to_value(&zone).expect("a zone serializes");
            assert_eq!((json.as_str(), serde_json::from_value(json.clone()).ok()), (Some(name), Some(zone)));
        }
    }

    #[test]
    fn an_unknown_zone_is_refused_with_the_nearest() {
        let iana = "write a name of the IANA database such as `Europe/Berlin`, or `UTC`";
        for (wrong, hint) in [
            ("Berlin", "did you mean `Europe/Berlin`?"),
            ("lord howe", "did you mean `Australia/Lord_Howe`?"),
            ("+02:00", iana),
            ("Etc/Unknown", iana),
        ] {
            assert_eq!(wrong.parse::<Zone>().map_err(|error| error.hint), Err(hint.to_owned()), "{wrong}");
        }
    }

    #[test]
    fn a_machine_without_time_zones_has_those_that_are_compiled_in() {
        assert!(!TimeZoneDatabase::bundled().is_definitively_empty());
        assert!(TimeZoneDatabase::bundled().get("Australia/Lord_Howe").is_ok());
    }
}
