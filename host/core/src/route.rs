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
pub struct DigestPolicy {
    /// So many messages one by one; 0: all of them, never together.
    pub digest_after: u32,
    #[serde(with = "as_ms")]
    pub digest_within: Duration,
}

impl Default for DigestPolicy {
    fn default() -> Self {
        Self { digest_after: 10, digest_within: Duration::from_mins(1) }
    }
}

/// What was left of a channel's tokens at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    pub tokens: f64,
    pub at: Timestamp,
}

/// What still waits for the same channel of the same incident, the youngest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    Nothing,
    /// A notice that goes by itself.
    Single,
    /// One that is in a digest.
    InDigest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Single,
    /// With the others of the channel's digest.
    Digest,
}

impl DigestPolicy {
    /// The way of a notice, and what it leaves in the bucket (`None`: full).
    pub fn route(
        &self,
        kind: EventType,
        pending: Pending,
        bucket: Option<TokenBucket>,
        now: Timestamp,
    ) -> (Route, Option<TokenBucket>) {
        // A clock that went back fills nothing for the time that it was ahead, and from now on as ever.
        let bucket = bucket.map(|bucket| TokenBucket { at: bucket.at.min(now), ..bucket });
        if pending == Pending::InDigest {
            return (Route::Digest, bucket);
        }
        if self.digest_after == 0 || !counts(kind) {
            return (Route::Single, bucket);
        }
        let tokens = bucket.map_or(f64::from(self.digest_after), |bucket| self.filled(bucket, now));
        if tokens >= 1.0 {
            return (Route::Single, Some(TokenBucket { tokens: tokens - 1.0, at: now }));
        }
        (if pending == Pending::Single { Route::Single } else { Route::Digest }, bucket)
    }

    fn filled(&self, bucket: TokenBucket, now: Timestamp) -> f64 {
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

    fn ways(digest_policy: DigestPolicy, instants: impl IntoIterator<Item = i64>) -> String {
        let mut bucket = None;
        let route = |ms| {
            let (route, left) = digest_policy.route(EventType::Down, Pending::Nothing, bucket, at(ms));
            bucket = left;
            if route == Route::Single { 'S' } else { 'D' }
        };
        instants.into_iter().map(route).collect()
    }

    #[test]
    fn ten_go_by_themselves_and_then_as_many_as_the_time_since_gives() {
        let an_hour_ago = -3_600_000;
        for (then, told) in [
            (vec![0], "D"),
            // One token in 6 s, and not over the brim.
            (vec![5_999, 6_000, 6_001], "DSD"),
            (vec![600_000; 11], "SSSSSSSSSSD"),
            // A clock that goes back gives none, and the bucket fills from then on.
            (vec![an_hour_ago, an_hour_ago, an_hour_ago + 6_000], "DDS"),
        ] {
            let instants = [vec![0; 10], then.clone()].concat();
            assert_eq!(ways(DigestPolicy::default(), instants), format!("SSSSSSSSSS{told}"), "{then:?}");
        }
        let never = DigestPolicy { digest_after: 0, ..DigestPolicy::default() };
        assert_eq!(ways(never, [0; 100]), "S".repeat(100));
    }

    #[test]
    fn what_follows_goes_the_way_of_what_waits() {
        let empty = Some(TokenBucket { tokens: 0.0, at: at(0) });
        let digest_policy = DigestPolicy::default();
        let route = |pending, bucket| digest_policy.route(EventType::Up, pending, bucket, at(0)).0;
        assert_eq!(route(Pending::Single, empty), Route::Single);
        assert_eq!(route(Pending::InDigest, None), Route::Digest);
        let never = DigestPolicy { digest_after: 0, ..digest_policy };
        assert_eq!(never.route(EventType::Up, Pending::InDigest, None, at(0)).0, Route::Digest);
    }

    #[test]
    fn what_is_about_the_monitor_itself_passes() {
        let empty = Some(TokenBucket { tokens: 0.0, at: at(0) });
        for kind in EventType::ALL.iter().copied() {
            let expected = if counts(kind) { Route::Digest } else { Route::Single };
            assert_eq!(
                DigestPolicy::default().route(kind, Pending::Nothing, empty, at(0)).0,
                expected,
                "{kind}"
            );
        }
    }

    #[test]
    fn digests_keep_their_distance() {
        let digest_policy = DigestPolicy::default();
        assert_eq!(digest_policy.due_at(at(0), None), at(10_000));
        assert_eq!(digest_policy.due_at(at(0), Some(at(-1_000))), at(59_000));
        assert_eq!(digest_policy.due_at(at(0), Some(at(-3_600_000))), at(10_000));
        assert_eq!(digest_policy.due_at(at(0), Some(at(3_600_000))), at(120_000), "a clock that went back");
    }

    #[test]
    fn an_old_row_has_the_defaults() {
        assert_eq!(serde_json::from_str::<DigestPolicy>("{}").expect("a policy"), DigestPolicy::default());
    }
}
