//! The ping check: echoes to one address, and what came back of them by the deadline.
//!
//! There is one socket per version of IP, opened at the first need and shared by all checks.

mod judgement;
mod port;

use crate::errno;
use crate::icmp::Version;
use crate::resolve::HostLookup;
use crate::trace::Trace;
use judgement::{Answers, judge};
use port::{EchoEvent, EchoSocket};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::PingSpec;

/// How long a straggler is waited for when other echoes came back sooner.
const STRAGGLER: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    pinger: &Pinger,
    names: &HostLookup<'_>,
    spec: &PingSpec,
    trace: &mut Trace,
) -> Result<Result<(), Failure>, Elapsed> {
    let deadline = trace.deadline.at;
    let addresses = match timeout_at(deadline, names.resolve(&spec.host, 0, trace)).await? {
        Ok(addresses) => addresses,
        Err(failure) => return Ok(Err(failure)),
    };
    let mut first_failure = None;
    for address in addresses {
        trace.hop.address = Some(address.ip());
        match pinger.ping(address, spec, deadline).await {
            Ok(answers) => {
                let echoes = answers.echoes();
                trace.hop.phases.first_byte = echoes.round_trips.map(|times| times.mean);
                trace.echoes = Some(echoes);
                return Ok(
                    judge(spec, address.ip(), &answers).map(|warnings| trace.warnings.extend(warnings))
                );
            }
            // Nothing was sent: another address may do.
            Err(failure) => first_failure = first_failure.or(Some(failure)),
        }
    }
    Ok(Err(first_failure.unwrap_or_else(|| Failure::new(FailureClass::Dns, "there was no address to ping"))))
}

pub(crate) struct Pinger {
    v4: OnceCell<EchoSocket>,
    v6: OnceCell<EchoSocket>,
}

impl Pinger {
    pub(crate) fn new() -> Self {
        Self { v4: OnceCell::new(), v6: OnceCell::new() }
    }

    /// Sends the echoes of `spec` to `target` and collects the answers that come before `deadline`.
    async fn ping(&self, target: SocketAddr, spec: &PingSpec, deadline: Instant) -> Result<Answers, Failure> {
        let port = match target.ip() {
            // Not kept when it fails: a permission that is given later counts from then on.
            IpAddr::V4(_) => self.v4.get_or_try_init(|| async { EchoSocket::open(Version::V4) }).await?,
            IpAddr::V6(_) => self.v6.get_or_try_init(|| async { EchoSocket::open(Version::V6) }).await?,
        };
        let count = usize::from(spec.count.max(1));
        let (sender, mut events) = unbounded_channel();
        let mut claims = port.claims();
        let mut answers = Answers::default();
        // However many they are and however far apart they shall be, half of the time is for the last one.
        let time_left = deadline.saturating_duration_since(Instant::now());
        let spacing = spec.spacing.min(time_left / 2 / u32::from(spec.count).max(1));
        let mut last_sent = Instant::now();
        for place in 0..count {
            if place > 0 {
                collect(&mut answers, &mut events, |_| Some(last_sent + spacing)).await;
            }
            last_sent = Instant::now();
            let send = port.send(target, place, spec.size.into(), &sender, &mut claims);
            match timeout_at(deadline, send).await {
                Ok(Ok(())) => answers.round_trips.push(None),
                Ok(Err(error)) => {
                    let failure = errno::failure(&format!("pinging {}", target.ip()), &error, target.ip());
                    if place == 0 || failure.class.is_ours() {
                        return Err(failure);
                    }
                    // The way there ended meanwhile. What came back before counts.
                    answers.round_trips.push(None);
                    answers.undelivered += 1;
                    answers.undeliverable = Some((target.ip(), errno::classify(&error).1));
                }
                Err(_) if place == 0 => {
                    let message = format!("pinging {}: this machine could not send in time", target.ip());
                    return Err(Failure::new(FailureClass::Resources, message));
                }
                Err(_) => break,
            }
        }
        collect(&mut answers, &mut events, |answers| {
            if answers.open() == 0 {
                return None;
            }
            let slowest = answers.slowest();
            Some(slowest.map_or(deadline, |slowest| deadline.min(last_sent + STRAGGLER.max(slowest * 2))))
        })
        .await;
        Ok(answers)
    }
}

/// Takes answers until the instant that `until` gives, looked at again after each; `None`: until now.
async fn collect(
    answers: &mut Answers,
    events: &mut UnboundedReceiver<EchoEvent>,
    until: impl Fn(&Answers) -> Option<Instant>,
) {
    while let Some(until) = until(answers)
        && let Ok(Some(event)) = timeout_at(until, events.recv()).await
    {
        match event {
            EchoEvent::Reply(place, took) => {
                if let Some(round_trip) = answers.round_trips.get_mut(place) {
                    *round_trip = Some(took);
                }
            }
            EchoEvent::Undeliverable(from, reason) => {
                answers.undelivered += 1;
                answers.undeliverable = Some((from, reason.to_owned()));
            }
        }
    }
}
