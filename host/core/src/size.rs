//! Sizes as the file and the command line write them: `512 KiB`, `64 MiB`, `1 GiB`.

/// The units, the largest first. Only these: what a `MB` is, two people tell three ways.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Parses `64 MiB`; the space may be missing. A bare number has no unit and is refused.
///
/// # Errors
/// A fragment that says what was expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let expected =
        || format!("`{text}` is no size: write a number and a unit, such as `512 KiB` or `64 MiB`");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let number: u64 = trimmed[..digits].parse().map_err(|_| expected())?;
    let unit = trimmed[digits..].trim_start();
    let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    number.checked_mul(*bytes).ok_or_else(expected)
}

/// Writes a size in the largest unit that needs no fraction.
pub fn format(bytes: u64) -> String {
    let fits = |unit: u64| bytes >= unit && bytes.is_multiple_of(unit);
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| fits(*unit)).unwrap_or(("B", 1));
    format!("{} {name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, bytes) in
            [("0 B", 0), ("1000 B", 1_000), ("512 KiB", 512 << 10), ("64 MiB", 64 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(format(bytes), text);
        }
        assert_eq!(parse(" 64MiB "), Ok(64 << 20));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["", "64", "MiB", "64 MB", "64 mib", "-1 MiB", "1.5 GiB", "99999999999 GiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
