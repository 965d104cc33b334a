//! The end of every wait.

use std::time::Duration;

/// How long a test waits for something that takes milliseconds on an idle machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Awaits `future`, at most for `limit`. Any executor will do.
///
/// # Panics
/// At the deadline, with what `what` says then: what was waited for, and what there was.
pub async fn within<F: Future>(limit: Duration, future: F, what: impl FnOnce() -> String) -> F::Output {
    let bounded = {
        // The timer is the harness's: the caller's runtime may have none.
        let _context = crate::runtime().enter();
        tokio::time::timeout(limit, future)
    };
    bounded.await.unwrap_or_else(|_| panic!("waited {limit:?} for {}", what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "waited 20ms for a miracle; there was none")]
    fn a_deadline_says_what_was_waited_for() {
        crate::block_on(within(Duration::from_millis(20), std::future::pending::<()>(), || {
            "a miracle; there was none".into()
        }));
    }

    #[test]
    fn what_comes_in_time_is_given_on() {
        assert_eq!(crate::block_on(within(DEADLINE, async { 7 }, String::new)), 7);
    }
}
