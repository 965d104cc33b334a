//! How much a channel is told at once: so many messages one by one, and what is more than that together.
//!
//! A bucket of tokens per channel, filled steadily. A notice of an incident takes one and goes by itself; without one it goes
//! into the channel's digest. Whatever of one incident still waits decides before the bucket does: what follows goes the same
//! way, behind it, so that no recovery overtakes its opening. Pure: the store calls this under the lock of the channel's row.

use crate::duration::{as_ms, elapsed};
use crate::event::EventType;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a digest waits for what comes after its first notice.
pub const GATHERING: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flow {
    /// So many messages one by one; 0: all of them, never together.
    pub digest_after: u32,
    #[serde(with = "as_ms")]
    pub digest_within: Duration,
}

impl Default for Flow {
    fn default() -> Self {
        Self { digest_after: 10, digest_within: Duration::from_mins(1) }
    }
}

/// What was left of a channel's tokens at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub tokens: f64,
    pub at: Timestamp,
}

/// What still waits for the same channel of the same incident, the youngest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// A notice that goes by itself.
    Single,
    /// One that is in a digest.
    InDigest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Single,
    /// With the others of the channel's digest.
    Digest,
}

impl Flow {
    /// The way of a notice, and what it leaves in the bucket (`None`: full).
    pub fn way(
        &self,
        kind: EventType,
        before: Before,
        bucket: Option<Bucket>,
        now: Timestamp,
    ) -> (Way, Option<Bucket>) {
        // A clock that went back fills nothing for the time that it was ahead, and from now on as ever.
        let bucket = bucket.map(|bucket| Bucket { at: bucket.at.min(now), ..bucket });
        if before == Before::InDigest {
            return (Way::Digest, bucket);
        }
        if self.digest_after == 0 || !counts(kind) {
            return (Way::Single, bucket);
        }
        let tokens = bucket.map_or(f64::from(self.digest_after), |bucket| self.filled(bucket, now));
        if tokens >= 1.0 {
            return (Way::Single, Some(Bucket { tokens: tokens - 1.0, at: now }));
        }
        (if before == Before::Single { Way::Single } else { Way::Digest }, bucket)
    }

    fn filled(&self, bucket: Bucket, now: Timestamp) -> f64 {
        let most = f64::from(self.digest_after);
        if self.digest_within.is_zero() {
            return most;
        }
        let passed = elapsed(bucket.at, now).as_secs_f64();
        (bucket.tokens + passed * most / self.digest_within.as_secs_f64()).min(most)
    }

    /// When a digest is due that begins now, after the one that was due at `last`.
    pub fn due_at(&self, now: Timestamp, last: Option<Timestamp>) -> Timestamp {
        let after = |instant: Timestamp, wait: Duration| {
            let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
            instant.saturating_add(wait).unwrap_or(Timestamp::MAX)
        };
        let gathered = after(now, GATHERING);
        // None was due later than this, but by a clock that was ahead.
        let latest = after(now, self.digest_within.max(GATHERING));
        last.map_or(gathered, |last| gathered.max(after(last.min(latest), self.digest_within)))
    }
}

/// Whether such a notice counts: what is told of incidents. The rest is rare, and is about the monitor itself.
pub fn counts(kind: EventType) -> bool {
    kind.topic().is_target() && kind != EventType::Acknowledged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + ms).expect("an instant")
    }

    fn ways(flow: Flow, instants: impl IntoIterator<Item = i64>) -> Vec<Way> {
        let mut bucket = None;
        let mut ways = Vec::new();
        for ms in instants {
            let (way, left) = flow.way(EventType::Down, Before::Nothing, bucket, at(ms));
            bucket = left;
            ways.push(way);
        }
        ways
    }

    #[test]
    fn ten_go_by_themselves_and_the_eleventh_does_not() {
        let told = ways(Flow::default(), [0; 11]);
        assert!(told[..10].iter().all(|way| *way == Way::Single));
        assert_eq!(told[10], Way::Digest);
    }

    #[test]
    fn the_bucket_fills_steadily_and_not_over_its_brim() {
        // One token in 6 s.
        let mut instants = vec![0; 10];
        instants.extend([5_999, 6_000, 6_001, 600_000]);
        instants.extend([600_000; 10]);
        let told = ways(Flow::default(), instants);
        assert_eq!(told[10..14], [Way::Digest, Way::Single, Way::Digest, Way::Single]);
        assert_eq!(told[14..23], [Way::Single; 9]);
        assert_eq!(told[23], Way::Digest);
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tokens() {
        let mut instants = vec![0; 10];
        instants.extend([-3_600_000, -3_600_000]);
        assert_eq!(ways(Flow::default(), instants.clone())[10..], [Way::Digest; 2]);
        instants.push(-3_600_000 + 6_000);
        assert_eq!(ways(Flow::default(), instants)[12..], [Way::Single], "and it fills from then on");
    }

    #[test]
    fn zero_never_makes_a_digest() {
        let flow = Flow { digest_after: 0, ..Flow::default() };
        assert_eq!(ways(flow, [0; 100]), [Way::Single; 100]);
    }

    #[test]
    fn what_follows_goes_the_way_of_what_waits() {
        let empty = Some(Bucket { tokens: 0.0, at: at(0) });
        let flow = Flow::default();
        let way = |before, bucket| flow.way(EventType::Up, before, bucket, at(0)).0;
        assert_eq!(way(Before::Single, empty), Way::Single);
        assert_eq!(way(Before::InDigest, None), Way::Digest);
        let never = Flow { digest_after: 0, ..flow };
        assert_eq!(never.way(EventType::Up, Before::InDigest, None, at(0)).0, Way::Digest);
    }

    #[test]
    fn what_is_about_the_monitor_itself_passes() {
        let empty = Some(Bucket { tokens: 0.0, at: at(0) });
        for kind in EventType::ALL.iter().copied() {
            let expected = if counts(kind) { Way::Digest } else { Way::Single };
            assert_eq!(Flow::default().way(kind, Before::Nothing, empty, at(0)).0, expected, "{kind}");
        }
    }

    #[test]
    fn digests_keep_their_distance() {
        let flow = Flow::default();
        assert_eq!(flow.due_at(at(0), None), at(10_000));
        assert_eq!(flow.due_at(at(0), Some(at(-1_000))), at(59_000));
        assert_eq!(flow.due_at(at(0), Some(at(-3_600_000))), at(10_000));
        assert_eq!(flow.due_at(at(0), Some(at(3_600_000))), at(120_000), "a clock that went back");
    }

    #[test]
    fn an_old_row_has_the_defaults() {
        assert_eq!(serde_json::from_str::<Flow>("{}").expect("a flow"), Flow::default());
    }
}
