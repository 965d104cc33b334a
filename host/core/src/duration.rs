//! Durations as the file and the command line write them (`500ms`, `30s`, `5m`, `1h30m`), and as JSON keeps
//! them: whole milliseconds.

use jiff::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;

/// Parses `500ms`, `30s`, `5m`, `1h30m`, `7d`. A bare number has no unit and is refused.
///
/// # Errors
/// A fragment that says what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no duration: write a number and a unit, such as `30s` or `1h30m`");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(expected());
    }
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
        let number: u64 = rest[..digits].parse().map_err(|_| expected())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(expected()),
        };
        rest = rest[letters..].trim_start();
        total_ms =
            number.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(expected)?;
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a duration in the units of [`parse`], the largest first, down to milliseconds: `1h30m`, `1.5s` is `1s500ms`.
pub fn format(duration: Duration) -> String {
    let mut ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if ms >= unit_ms {
            // Writing to a string can't fail.
            let _ = write!(text, "{}{unit}", ms / unit_ms);
            ms %= unit_ms;
        }
    }
    text
}

/// A duration for people, in its two largest units: `4 min 12 s`, `3 h`, `2 d 5 h`.
pub fn in_words(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let first = units.iter().position(|(_, unit)| seconds >= *unit).unwrap_or(units.len() - 1);
    let (unit, size) = units[first];
    let mut words = format!("{} {unit}", seconds / size);
    if let Some((unit, smaller)) = units.get(first + 1) {
        let rest = seconds % size / smaller;
        if rest > 0 {
            // Writing to a string can't fail.
            let _ = write!(words, " {rest} {unit}");
        }
    }
    words
}

/// From one instant to another, zero when the second is the earlier one: then a clock was set back between them, and nobody
/// knows how long it was.
#[allow(clippy::disallowed_methods, reason = "this is what is called instead")]
pub fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// Whole seconds from one instant to another, as [`elapsed`].
pub fn elapsed_s(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(elapsed(from, to).as_secs()).unwrap_or(i64::MAX)
}

/// Whole milliseconds as `i64`, the form of the database; saturating.
pub fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// For `#[serde(with = "…")]`: whole milliseconds.
pub mod as_ms {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(super::to_ms(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// [`as_ms`] for an optional duration.
pub mod as_optional_ms {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(super::to_ms).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_has_measured_nothing() {
        let at = |second| Timestamp::from_second(second).expect("an instant");
        assert_eq!(elapsed(at(10), at(12)), Duration::from_secs(2));
        assert_eq!((elapsed(at(3_600), at(5)), elapsed_s(at(3_600), at(5))), (Duration::ZERO, 0));
        assert_eq!(elapsed_s(Timestamp::MAX, Timestamp::MIN), 0);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(format(Duration::from_millis(ms)), text);
        }
        assert_eq!(parse(" 1h 30m "), Ok(Duration::from_mins(90)));
    }

    #[test]
    fn people_read_two_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (252, "4 min 12 s"),
            (3_600, "1 h"),
            (3_601, "1 h"),
            (5_400, "1 h 30 min"),
            (86_400, "1 d"),
            (190_800, "2 d 5 h"),
        ] {
            assert_eq!(in_words(seconds), expected);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["", "30", "s", "30x", "-5s", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
