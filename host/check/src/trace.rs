//! Where a check is, and how long each part took, written down while it runs.
//!
//! The deadline of a check is one timer around everything. When it fires, the check's future is gone; this is what
//! is left of it, and enough to say which step did not end.

use crate::redaction::Redaction;
use std::time::Duration;
use tokio::time::Instant;
use uptime_core::check::{CheckReport, Echoes, Failure, FailureClass, Hop, Phases};
use uptime_core::duration;
use uptime_core::monitor::Spec;

/// Beyond this a timeout is no timeout, and adding it to an instant could overflow.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_hours(24);

/// A target that had so long for its answer can be blamed for giving none.
const ENOUGH: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) started: Instant,
    pub(crate) at: Instant,
    /// From the start to the deadline, as the monitor has it.
    timeout: Duration,
}

impl Deadline {
    /// A deadline whose time starts now.
    pub(crate) fn within(timeout: Duration) -> Self {
        let started = Instant::now();
        Self { started, at: started + timeout.min(TIMEOUT_MAX), timeout }
    }

    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// What it means that a step did not end within the limit (`10s`), after it took so long. Completes the phases with it.
type CutOff = Box<dyn FnOnce(Duration, &mut Phases, &str) -> Failure + Send>;

pub(crate) struct Trace {
    pub(crate) deadline: Deadline,
    pub(crate) hop: Hop,
    earlier: Vec<Hop>,
    /// What is worth telling should the target be up.
    pub(crate) warnings: Vec<Failure>,
    pub(crate) echoes: Option<Echoes>,
    /// What no report may show, as soon as it is known.
    pub(crate) redaction: Redaction,
    step: Option<(CutOff, Instant)>,
    /// The proxy that is being connected to: until that is done, no trouble is the target's.
    proxy: Option<String>,
}

impl Trace {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            hop: Hop::default(),
            earlier: Vec::new(),
            warnings: Vec::new(),
            echoes: None,
            redaction: Redaction::default(),
            step: None,
            proxy: None,
        }
    }

    /// Begins another connection; the one before is evidence from now on.
    pub(crate) fn next_hop(&mut self) {
        self.earlier.push(std::mem::take(&mut self.hop));
        self.step = None;
    }

    /// From now on what is waited for is that proxy, or nobody but the target.
    pub(crate) fn on_the_way_to(&mut self, proxy: Option<String>) {
        self.proxy = proxy;
    }

    /// Begins a step, which says by itself what it means that the deadline cut it off. Returns when it began.
    pub(crate) fn enter(
        &mut self,
        cut_off: impl FnOnce(Duration, &mut Phases, &str) -> Failure + Send + 'static,
    ) -> Instant {
        let now = Instant::now();
        self.step = Some((Box::new(cut_off), now));
        now
    }

    /// The failure of a check that its deadline cut off. Completes the phases with the one that did not end.
    pub(crate) fn cut_off(&mut self) -> Failure {
        let timeout = self.deadline.timeout;
        let limit = duration::format(timeout);
        let Some((cut_off, since)) = self.step.take() else {
            let message = format!("this machine did not begin the check within {limit}");
            return Failure::new(FailureClass::Resources, message);
        };
        let Phases { dns, connect, tls, .. } = self.hop.phases;
        let waited = since.elapsed();
        let left = waited + connect.unwrap_or_default() + tls.unwrap_or_default();
        let mut failure = cut_off(waited, &mut self.hop.phases, &limit);
        if let Some(proxy) = self.proxy.as_ref().filter(|_| !failure.class.is_ours()) {
            failure = Failure::new(FailureClass::Proxy, format!("the proxy `{proxy}`: {}", failure.message));
        }
        // The target is not to be blamed for what a resolver of ours has used up.
        let looked_up = dns.unwrap_or_default();
        if looked_up > timeout / 2 && left < ENOUGH.min(timeout / 2) && !failure.class.is_ours() {
            let message = format!(
                "looking up the name took {looked_up:.1?} of {limit}, and the rest was too short: {}",
                failure.message
            );
            return Failure::new(FailureClass::Resolver, message);
        }
        failure
    }

    /// Judges the time that all took. What is only slow becomes a warning. `whose` is it for people.
    pub(crate) fn judge_latency(
        &mut self,
        spec: &dyn Spec,
        total: Duration,
        whose: &str,
    ) -> Result<(), Failure> {
        let slow = |limit: Duration| {
            let (took, limit) = (duration::format(total), duration::format(limit));
            let message = format!("{whose} took {took}, and should take less than {limit}");
            Failure::new(FailureClass::Latency, message).with(format!("below {limit}"), took)
        };
        let [degraded, below] = spec.latency();
        if let Some(limit) = below.filter(|limit| total >= *limit) {
            return Err(slow(limit));
        }
        self.warnings.extend(degraded.filter(|limit| total > *limit).map(slow));
        Ok(())
    }

    pub(crate) fn into_report(self, failure: Option<Failure>) -> CheckReport {
        let Self { deadline, hop, earlier: mut hops, warnings, echoes, redaction, .. } = self;
        hops.push(hop);
        let total = deadline.started.elapsed();
        let mut report = CheckReport { failure, warnings, hops, echoes, total };
        redaction.report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slow_lookup_used_up_is_not_the_targets() {
        let timeout = Duration::from_secs(4);
        for (looked_up_ms, class) in [(3_900, FailureClass::Resolver), (500, FailureClass::ConnectTimeout)] {
            let mut trace = Trace::new(Deadline::within(timeout));
            trace.hop.phases.dns = Some(Duration::from_millis(looked_up_ms));
            trace.enter(|_, _, limit| {
                Failure::new(FailureClass::ConnectTimeout, format!("no answer within {limit}"))
            });
            let failure = trace.cut_off();
            assert_eq!(failure.class, class, "{}", failure.message);
        }
    }
}
