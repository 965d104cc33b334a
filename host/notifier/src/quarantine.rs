//! A plugin that fails for a channel again and again is left alone there for a while: it would take CPU time from those
//! that work, and its messages their tries.
//!
//! ```text
//!  closed ──failures in a row──▶ open (quarantine) ──time is over──▶ half open ──success──▶ closed
//!                                  ▲                                     │
//!                                  └─────────────one failure─────────────┘ (twice as long, at most an hour)
//! ```
//! It is the plugin's own failures that count (a crash, a limit overdrawn, an answer that can't be read), not a provider's.
//! They count for the channel: what one channel's settings or limits make of a plugin harms no other channel. A plugin that
//! can't even say what it is fails for all. What waits meanwhile uses up no try. Each process finds out for itself, and a
//! restart begins anew.

use crate::error::NotifierError;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the first time.
const SHORTEST: Duration = Duration::from_mins(1);

/// However often it has failed.
const LONGEST: Duration = Duration::from_hours(1);

/// How long the others wait for the one call half open, whose end may never be heard of.
const HALF_OPEN: Duration = Duration::from_mins(2);

/// The failures of one plugin by channel, those of no channel among them. There is none of who has succeeded last.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker(Mutex<HashMap<Option<String>, BreakerState>>);

#[derive(Debug, Default)]
struct BreakerState {
    /// Since the last success.
    failures: u32,
    /// The current or the last quarantine, until when and how long it is.
    open_until: Option<(Instant, Duration)>,
    /// Until when the others wait for the call that is half open.
    half_open: Option<Instant>,
}

impl CircuitBreaker {
    /// Whether the plugin may be called now. On probation it is one call at a time: each that fails is a message lost.
    pub(crate) fn admit(
        &self,
        notifier: &str,
        channel: Option<&str>,
        now: Instant,
    ) -> Result<(), NotifierError> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.is_empty() {
            return Ok(());
        }
        let Some(record) = records.get_mut(&channel.map(str::to_owned)) else { return Ok(()) };
        let Some((until, _)) = record.open_until else { return Ok(()) };
        let left = if now < until {
            until - now
        } else if let Some(half_open) = record.half_open.filter(|half_open| now < *half_open) {
            half_open - now
        } else {
            record.half_open = Some(now + HALF_OPEN);
            return Ok(());
        };
        Err(NotifierError::Quarantined { notifier: notifier.to_owned(), failures: record.failures, left })
    }

    /// Takes note of how a call ended. `most` failures in a row are borne; 0: any number.
    pub(crate) fn note(&self, notifier: &str, channel: Option<&str>, most: u32, failed: bool, now: Instant) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed {
            if records.is_empty() {
                return;
            }
            let closed = records.remove(&channel.map(str::to_owned));
            if closed.and_then(|record| record.open_until).is_some_and(|(until, _)| until <= now) {
                tracing::info!(notifier, channel, "a plugin works again and is out of quarantine");
            }
            return;
        }
        let record = records.entry(channel.map(str::to_owned)).or_default();
        record.failures = record.failures.saturating_add(1);
        record.half_open = None;
        // Calls that were under way when it began change nothing.
        let quarantined = record.open_until.is_some_and(|(until, _)| now < until);
        if most == 0 || record.failures < most || quarantined {
            return;
        }
        let length = record.open_until.map_or(SHORTEST, |(_, length)| (length * 2).min(LONGEST));
        record.open_until = Some((now + length, length));
        tracing::error!(
            notifier,
            channel,
            failures = record.failures,
            for_s = length.as_secs(),
            "a plugin fails again and again and is left alone: its messages wait"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u32 = 3;
    const HERE: Option<&str> = Some("ops");

    fn left(quarantine: &CircuitBreaker, now: Instant) -> Option<Duration> {
        match quarantine.admit("x", HERE, now) {
            Ok(()) => None,
            Err(NotifierError::Quarantined { left, .. }) => Some(left),
            Err(error) => panic!("{error}"),
        }
    }

    fn fail(quarantine: &CircuitBreaker, times: u32, now: Instant) {
        for _ in 0..times {
            quarantine.note("x", HERE, MOST, true, now);
        }
    }

    #[test]
    fn one_channels_failures_are_its_own() {
        let quarantine = CircuitBreaker::default();
        let now = Instant::now();
        fail(&quarantine, MOST, now);
        assert!(left(&quarantine, now).is_some());
        for other in [Some("boss"), None] {
            assert!(quarantine.admit("x", other, now).is_ok());
            quarantine.note("x", other, MOST, false, now);
        }
        assert!(left(&quarantine, now).is_some(), "another's success does not count either");
    }

    #[test]
    fn failures_in_a_row_lead_to_longer_and_longer_quarantine() {
        let quarantine = CircuitBreaker::default();
        let mut now = Instant::now();
        fail(&quarantine, MOST - 1, now);
        assert_eq!(left(&quarantine, now), None);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            fail(&quarantine, 1, now);
            assert_eq!(left(&quarantine, now), Some(Duration::from_mins(minutes)));
            // What was under way does not make it longer.
            fail(&quarantine, 5, now + Duration::from_secs(1));
            assert_eq!(left(&quarantine, now), Some(Duration::from_mins(minutes)));
            now += Duration::from_mins(minutes);
            assert_eq!(left(&quarantine, now), None, "one more chance");
            assert_eq!(left(&quarantine, now), Some(HALF_OPEN), "for one call");
        }
    }

    #[test]
    fn a_call_on_probation_that_is_not_heard_of_again_keeps_nobody_for_ever() {
        let quarantine = CircuitBreaker::default();
        let now = Instant::now();
        fail(&quarantine, MOST, now);
        let over = now + SHORTEST;
        assert_eq!(left(&quarantine, over), None);
        assert_eq!(left(&quarantine, over + HALF_OPEN / 2), Some(HALF_OPEN / 2));
        assert_eq!(left(&quarantine, over + HALF_OPEN), None);
    }

    #[test]
    fn a_success_forgives_everything() {
        let quarantine = CircuitBreaker::default();
        let now = Instant::now();
        fail(&quarantine, MOST - 1, now);
        quarantine.note("x", HERE, MOST, false, now);
        fail(&quarantine, MOST - 1, now);
        assert_eq!(left(&quarantine, now), None);
        fail(&quarantine, 1, now);
        let later = now + Duration::from_mins(1);
        quarantine.note("x", HERE, MOST, false, later);
        fail(&quarantine, MOST - 1, later);
        assert_eq!(left(&quarantine, later), None);
    }

    #[test]
    fn it_can_be_switched_off() {
        let quarantine = CircuitBreaker::default();
        for _ in 0..100 {
            quarantine.note("x", HERE, 0, true, Instant::now());
        }
        assert_eq!(left(&quarantine, Instant::now()), None);
    }
}
