//! Where a check is, and how long each part took, written down while it runs.
//!
//! The deadline of a check is one timer around everything. When it fires, the check's future is gone; this is what
//! is left of it, and enough to say which step did not end.

use crate::http::Marks;
use crate::redaction::Redaction;
use crate::resolve::Asked;
use crate::tcp::Hearing;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;
use uptime_core::check::{CheckReport, Echoes, Failure, FailureClass, Hop, Phases};
use uptime_core::duration;

pub(crate) enum Step {
    /// The answer for this name of whoever was asked.
    Resolve(String, Arc<Asked>),
    Connect(SocketAddr),
    /// A proxy's connection to the target (`host:port`). `has_spoken`: whether the proxy said anything, where it must before
    /// it connects.
    Tunnel {
        proxy: String,
        target: String,
        has_spoken: Option<Arc<AtomicBool>>,
    },
    Tls(String),
    /// The answer to this request (`GET https://…`), whose progress the marks tell.
    Answer(String, Arc<Marks>),
    /// Our judgement of the body of this request's answer.
    Judge(String),
    /// What we say to this target (`host:port`) to be taken.
    Send(String),
    /// A target's words, whose progress the hearing tells.
    Hear(Arc<Hearing>),
}

/// A target that had so long for its answer can be blamed for giving none.
const ENOUGH: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) hop: Hop,
    earlier: Vec<Hop>,
    /// What is worth telling should the target be up.
    pub(crate) warnings: Vec<Failure>,
    pub(crate) echoes: Option<Echoes>,
    /// What no report may show, as soon as it is known.
    pub(crate) redaction: Redaction,
    step: Option<(Step, Instant)>,
    /// The proxy that is being connected to: until that is done, no trouble is the target's.
    proxy: Option<String>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self::default()
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

    /// Says what is waited for from now on; the answer is where the wait began.
    pub(crate) fn enter(&mut self, step: Step) -> Instant {
        let now = Instant::now();
        self.step = Some((step, now));
        now
    }

    /// The failure of a check that its deadline cut off. Completes the phases with the one that did not end.
    pub(crate) fn cut_off(&mut self, timeout: Duration) -> Failure {
        let limit = duration::format(timeout);
        let Some((step, since)) = self.step.take() else {
            return Failure::new(
                FailureClass::Resources,
                format!("this machine did not begin the check within {limit}"),
            );
        };
        let Phases { dns, connect, tls, .. } = self.hop.phases;
        let looked_up = dns.filter(|_| !matches!(step, Step::Resolve(..))).unwrap_or_default();
        let left = since.elapsed() + connect.unwrap_or_default() + tls.unwrap_or_default();
        let failure = self.unended(step, since, &limit);
        // The target is not to be blamed for what a resolver of ours has used up.
        if looked_up > timeout / 2 && left < ENOUGH.min(timeout / 2) && !failure.class.is_ours() {
            let message = format!(
                "looking up the name took {looked_up:.1?} of {limit}, and the rest was too short: {}",
                failure.message
            );
            return Failure::new(FailureClass::Resolver, message);
        }
        failure
    }

    /// What it means that this step did not end.
    fn unended(&mut self, step: Step, since: Instant, limit: &str) -> Failure {
        let waited = Some(since.elapsed());
        let (class, message) = match step {
            Step::Resolve(host, asked) => {
                self.hop.phases.dns = waited;
                let failure = asked.cut_off(&host, limit);
                (failure.class, failure.message)
            }
            Step::Connect(address) => {
                self.hop.phases.connect = waited;
                (FailureClass::ConnectTimeout, format!("connecting to {address}: no answer within {limit}"))
            }
            Step::Tunnel { proxy, has_spoken: Some(has_spoken), .. } if !has_spoken.load(Relaxed) => {
                *self.hop.phases.connect.get_or_insert_default() += since.elapsed();
                (
                    FailureClass::Proxy,
                    format!("the proxy `{proxy}` was connected to, and said nothing within {limit}"),
                )
            }
            Step::Tunnel { proxy, target, .. } => {
                *self.hop.phases.connect.get_or_insert_default() += since.elapsed();
                (
                    FailureClass::ConnectTimeout,
                    format!("the proxy `{proxy}` did not connect to {target} within {limit}"),
                )
            }
            Step::Tls(name) => {
                self.hop.phases.tls = waited;
                (
                    FailureClass::TlsTimeout,
                    format!("the TLS handshake with `{name}` did not end within {limit}"),
                )
            }
            Step::Judge(request) => {
                let message = format!("{request}: this machine did not judge the body within {limit}");
                return Failure::new(FailureClass::Resources, message);
            }
            Step::Send(target) => (
                FailureClass::FirstByteTimeout,
                format!("`{target}`: connected, and what is sent was not taken within {limit}"),
            ),
            Step::Hear(hearing) => return hearing.cut_off(&mut self.hop.phases, limit),
            Step::Answer(request, marks) => {
                marks.complete(&mut self.hop.phases);
                if self.hop.phases.transfer.is_some() {
                    (
                        FailureClass::BodyTimeout,
                        format!(
                            "{request}: the answer began and did not end within {limit} (after {} bytes of the body)",
                            marks.body_bytes()
                        ),
                    )
                } else {
                    (
                        FailureClass::FirstByteTimeout,
                        format!("{request}: connected, and no answer within {limit}"),
                    )
                }
            }
        };
        match &self.proxy {
            Some(proxy) if !class.is_ours() => {
                Failure::new(FailureClass::Proxy, format!("the proxy `{proxy}`: {message}"))
            }
            _ => Failure::new(class, message),
        }
    }

    pub(crate) fn into_report(self, failure: Option<Failure>, total: Duration) -> CheckReport {
        let Self { hop, earlier: mut hops, warnings, echoes, redaction, .. } = self;
        hops.push(hop);
        let mut report = CheckReport { failure, warnings, hops, echoes, total };
        redaction.report(&mut report);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_a_slow_lookup_used_up_is_not_the_targets() {
        let timeout = Duration::from_secs(4);
        for (looked_up_ms, class) in [(3_900, FailureClass::Resolver), (500, FailureClass::ConnectTimeout)] {
            let mut trace = Trace::new();
            trace.hop.phases.dns = Some(Duration::from_millis(looked_up_ms));
            trace.enter(Step::Connect((Ipv4Addr::LOCALHOST, 80).into()));
            let failure = trace.cut_off(timeout);
            assert_eq!(failure.class, class, "{}", failure.message);
        }
    }
}
