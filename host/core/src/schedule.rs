//! Where in its interval a monitor's slots lie.
//!
//! A slot is `k * interval + phase` since the Unix epoch. The phase is a hash of the monitor's name, so that the
//! starts of many monitors spread over the interval, and every scheduler on every host agrees without asking.

use std::time::Duration;

/// The phase of `name` within `interval`.
pub fn phase(name: &str, interval: Duration) -> Duration {
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(fingerprint(name) % interval_ms)
}

/// How long the first check of the `ordinal`th of many new monitors waits: 20 ms each, so that ten thousand of
/// them do not start at once, and never more than an interval.
pub fn first_check_after(ordinal: usize, interval: Duration) -> Duration {
    Duration::from_millis(20).saturating_mul(u32::try_from(ordinal).unwrap_or(u32::MAX)).min(interval)
}

/// A hash of a text that is the same in every version and on every machine. Not for secrets.
pub fn fingerprint(text: &str) -> u64 {
    mix(fnv1a(text.as_bytes()))
}

/// FNV-1a, 64 bits: stable over versions and machines, which std's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads FNV's last byte over all bits (the finalizer of `SplitMix64`), or `web-1`, `web-2` would be neighbours.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_spread_evenly() {
        let interval = Duration::from_mins(1);
        let mut per_second = [0u32; 60];
        for n in 0..6_000 {
            per_second[usize::try_from(phase(&format!("web-{n}"), interval).as_secs()).expect("below 60")] +=
                1;
        }
        assert!(per_second.iter().all(|count| (60..=150).contains(count)), "{per_second:?}");
    }

    #[test]
    fn a_phase_stays_what_it_was() {
        // A release that moved every slot would check everything twice in one interval.
        assert_eq!(phase("shop", Duration::from_secs(30)), Duration::from_millis(10_614));
    }

    #[test]
    fn first_checks_are_spread_but_within_an_interval() {
        let interval = Duration::from_secs(10);
        assert_eq!(first_check_after(0, interval), Duration::ZERO);
        assert_eq!(first_check_after(50, interval), Duration::from_secs(1));
        assert_eq!(first_check_after(1_000_000, interval), interval);
    }
}
