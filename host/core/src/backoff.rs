//! How long a failed job waits, and how long one may run.

use std::time::Duration;

/// The wait before attempt `attempts + 1`, after `attempts` (1 or more) have failed: a list indexed by attempt,
/// whose last value repeats. An empty list waits not at all.
pub fn delay(backoff: &[Duration], attempts: u32) -> Duration {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    backoff.get(index).or(backoff.last()).copied().unwrap_or_default()
}

/// The wait before the next try of a delivery: the longer of what the provider asked for (capped at
/// [`PROVIDER_MAX`]) and the backoff with jitter. `random` in `0.0..1.0` spreads the backoff over half to one and
/// a half of itself, so that a thousand deliveries that failed together do not come back together.
pub fn delivery_delay(
    backoff: &[Duration],
    attempts: u32,
    provider: Option<Duration>,
    random: f64,
) -> Duration {
    let jittered = delay(backoff, attempts).mul_f64(0.5 + random.clamp(0.0, 1.0));
    jittered.max(provider.unwrap_or_default().min(PROVIDER_MAX))
}

/// The longest wait that a provider may ask for.
pub const PROVIDER_MAX: Duration = Duration::from_hours(1);

/// What of a lease is kept back for recording the outcome.
pub const LEASE_RESERVE: Duration = Duration::from_secs(5);

/// How long a job may run that was claimed `lease_left` before its lease ends: its timeout, or what is left of
/// the lease less [`LEASE_RESERVE`]. `None`: too late to begin.
pub fn deadline(timeout: Duration, lease_left: Duration) -> Option<Duration> {
    let deadline = timeout.min(lease_left.checked_sub(LEASE_RESERVE)?);
    (!deadline.is_zero()).then_some(deadline)
}

/// How long a job that may run for `within` may wait for its place before, when `lease_left` is left: as long as it could then
/// still run to its end. Not less than [`QUEUE_DEADLINE_LEAST`], or a job that is given back would be claimed and given back
/// without an end; that comes out of the reserve.
pub fn queue_deadline(within: Duration, lease_left: Duration) -> Duration {
    lease_left.saturating_sub(LEASE_RESERVE + within).max(QUEUE_DEADLINE_LEAST)
}

pub const QUEUE_DEADLINE_LEAST: Duration = Duration::from_secs(1);

/// Whether a job that was claimed for the `attempts`th time may run; 0 tries are unlimited.
pub fn may_run(attempts: u32, tries: u32) -> bool {
    tries == 0 || attempts <= tries
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_waited_can_still_run_to_its_end() {
        assert_eq!(queue_deadline(s(30), s(90)), s(55));
        assert_eq!(deadline(s(30), s(90).saturating_sub(queue_deadline(s(30), s(90)))), Some(s(30)));
        assert_eq!(queue_deadline(s(30), s(20)), QUEUE_DEADLINE_LEAST);
    }

    #[test]
    fn the_last_backoff_repeats() {
        let list = [s(5), s(30)];
        assert_eq!([1, 2, 3, 99].map(|attempts| delay(&list, attempts)), [s(5), s(30), s(30), s(30)]);
        assert_eq!(delay(&[], 1), s(0));
    }

    #[test]
    fn the_provider_is_heard_but_not_for_ever() {
        assert_eq!(delivery_delay(&[s(5)], 1, Some(s(30)), 0.5), s(30));
        assert_eq!(delivery_delay(&[s(5)], 1, Some(s(86_400)), 0.5), PROVIDER_MAX);
        assert_eq!(delivery_delay(&[s(5)], 1, Some(s(1)), 0.5), s(5));
        assert_eq!(delivery_delay(&[s(10)], 1, None, 0.0), s(5));
        assert_eq!(delivery_delay(&[s(10)], 1, None, 1.0), s(15));
    }

    #[test]
    fn a_deadline_ends_before_the_lease() {
        assert_eq!(deadline(s(30), s(90)), Some(s(30)));
        assert_eq!(deadline(s(60), s(20)), Some(s(15)));
        assert_eq!(deadline(s(60), s(5)), None);
        assert_eq!(deadline(s(60), s(0)), None);
    }

    #[test]
    fn zero_tries_are_unlimited() {
        assert!(may_run(1, 1) && !may_run(2, 1) && may_run(32_000, 0));
    }
}
