//! Whether we see: when a check fails as it would without a network of ours, the witnesses decide whether it was the target.
//!
//! One loop asks (`ask`), and nobody else, so however many checks fail at once, the witnesses are asked once for all of them
//! and not more often than [`PACE`]. A check that failed waits for an answer that is about its failure
//! ([`NetworkProbe::confirm`]). Another loop says in the database that we are blind and that we see again (`announce_changes`): a database
//! that does not answer holds up no answer. While we are blind the witnesses are asked again and again, and no failure
//! counts. Witnesses that can't be asked at all (no permission to ping) decide nothing: the failures stand.

use crate::{Activity, Observer, db_timeout};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout_at};
use tracing::{info, warn};
use uptime_check::Checker;
use uptime_core::check::{CheckReport, Outcome, ProbeResult};
use uptime_core::duration;
use uptime_core::event::{Event, EventType};
use uptime_core::monitor::CheckSpec;
use uptime_core::witness;
use uptime_store::own_network::{Blind, BlindMoment};
use uptime_store::{Store, StoreError};

/// How long a witness has for its answer.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(2);

/// From one question to the next at the least: a thousand checks that fail do not become a flood at the witnesses.
const PACE: Duration = Duration::from_millis(250);

/// From one question to the next while we are blind.
const BLIND_EVERY: Duration = Duration::from_secs(1);

/// How long after the database could not be told to try again.
const TELL_AGAIN: Duration = Duration::from_secs(2);

/// The longest wait for an answer: the question that is under way, and the next.
pub(crate) const ANSWER_MAX: Duration = PACE.saturating_add(WITNESS_TIMEOUT).saturating_mul(2);

/// The witnesses, and what they said last.
#[derive(Debug)]
pub struct NetworkProbe {
    host: String,
    witnesses: Vec<CheckSpec>,
    /// The earliest question whose answer somebody waits for.
    wanted: watch::Sender<Instant>,
    answers: watch::Sender<Option<ProbeAnswer>>,
}

/// What the witnesses said to one question.
#[derive(Clone, Debug)]
struct ProbeAnswer {
    asked_at: Instant,
    answered_at: Instant,
    verdict: Verdict,
}

#[derive(Clone, Debug)]
enum Verdict {
    /// A witness answered, this one first.
    Sees(String),
    /// None did. In words.
    Blind(String),
    /// None could be asked. Why.
    CannotTell(String),
}

impl ProbeAnswer {
    /// Whether it decides about a check that failed between `began` and `ended`. That we were blind at any time of the
    /// check is enough to doubt it; that we saw must be newer than the failure.
    fn is_about(&self, began: Instant, ended: Instant) -> bool {
        match self.verdict {
            Verdict::Blind(_) => self.answered_at >= began,
            Verdict::Sees(_) | Verdict::CannotTell(_) => self.asked_at >= witness::asked_after(began, ended),
        }
    }
}

impl NetworkProbe {
    /// The view of this host's network, whose name is `host`. `None` without witnesses: then each failure is believed.
    pub fn new(host: String, witnesses: Vec<CheckSpec>) -> Option<Self> {
        if witnesses.is_empty() {
            return None;
        }
        let (wanted, answers) = (watch::Sender::new(Instant::now()), watch::Sender::new(None));
        Some(Self { host, witnesses, wanted, answers })
    }

    /// Whether no witness answered when they were asked last.
    pub fn is_blind(&self) -> bool {
        self.answers.borrow().as_ref().is_some_and(|answer| matches!(answer.verdict, Verdict::Blind(_)))
    }

    /// Whether nobody needs to ask before a check fails: they answered when they were asked last.
    fn is_settled(&self) -> bool {
        self.answers.borrow().as_ref().is_none_or(|answer| matches!(answer.verdict, Verdict::Sees(_)))
    }

    /// The report of a check that began at `began`, as it is to be judged: a failure that says nothing about its target is
    /// ours. Has its answer by `deadline`.
    pub(crate) async fn confirm(
        &self,
        report: CheckReport,
        began: Instant,
        deadline: Instant,
    ) -> CheckReport {
        let ended = Instant::now();
        let Some(failure) = &report.failure else { return report };
        let reason = if witness::is_explained_by_blindness(&report) {
            match timeout_at(deadline.into(), self.answer_about(began, ended)).await {
                Ok(ProbeAnswer { verdict: Verdict::Sees(_) | Verdict::CannotTell(_), .. }) => return report,
                Ok(ProbeAnswer { verdict: Verdict::Blind(reason), .. }) => reason,
                // Whoever sees has an answer at once.
                Err(_) => format!("its witnesses did not answer in the time that was left: {}", self.names()),
            }
        } else {
            // A proxy without the world behind it says 502, a captive portal has a certificate: nothing counts while we
            // are blind.
            match self.answers.borrow().as_ref() {
                Some(ProbeAnswer { verdict: Verdict::Blind(reason), .. })
                    if report.outcome() == Outcome::Down =>
                {
                    reason.clone()
                }
                _ => return report,
            }
        };
        CheckReport { failure: Some(witness::blind(failure, &reason)), ..report }
    }

    async fn answer_about(&self, began: Instant, ended: Instant) -> ProbeAnswer {
        let mut answers = self.answers.subscribe();
        let after = witness::asked_after(began, ended);
        self.wanted.send_if_modified(|wanted| after > std::mem::replace(wanted, after.max(*wanted)));
        let decides = |answer: &Option<ProbeAnswer>| {
            answer.as_ref().is_some_and(|answer| answer.is_about(began, ended))
        };
        match answers.wait_for(decides).await.map(|answer| answer.clone()) {
            Ok(Some(answer)) => answer,
            // The sender is ours, and what was waited for is there.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    fn names(&self) -> String {
        self.witnesses.iter().map(|witness| witness.target()).collect::<Vec<_>>().join(", ")
    }

    /// Asks the witnesses when that is wanted, and says what changes, for as long as it is awaited. Asks at once: what an
    /// earlier worker left unsaid is said now.
    pub async fn watch(&self, store: &Store, checker: &Checker, observer: &Observer) -> Infallible {
        tokio::join!(self.ask(checker), self.announce_changes(store, observer)).0
    }

    async fn ask(&self, checker: &Checker) -> Infallible {
        let mut wanted = self.wanted.subscribe();
        let mut last: Option<Instant> = None;
        loop {
            let is_wanted = |after: &Instant| last.is_none_or(|last| last < *after);
            // Also when they could not be asked: that we see again is told when one answers, and not before.
            let again = if self.is_settled() { Duration::MAX } else { BLIND_EVERY };
            tokio::select! {
                _ = wanted.wait_for(is_wanted) => {}
                () = sleep(again) => {}
            }
            if let Some(last) = last {
                sleep_until((last + PACE).into()).await;
            }
            let asked_at = Instant::now();
            last = Some(asked_at);
            let verdict = self.question(checker).await;
            self.answers.send_replace(Some(ProbeAnswer { asked_at, answered_at: Instant::now(), verdict }));
        }
    }

    /// Asks all at once. The first that answers decides.
    async fn question(&self, checker: &Checker) -> Verdict {
        let mut asking: FuturesUnordered<_> = self
            .witnesses
            .iter()
            .map(|witness| async move { (witness, checker.check(witness, WITNESS_TIMEOUT).await) })
            .collect();
        let (mut silent, mut not_asked) = (Vec::new(), Vec::new());
        while let Some((witness, report)) = asking.next().await {
            let target = witness.target();
            let reason = report.failure.as_ref().map_or("", |failure| failure.message.as_str());
            match witness::testimony(&report) {
                ProbeResult::Answered => return Verdict::Sees(target),
                ProbeResult::Silent => silent.push(target),
                ProbeResult::NotAsked => not_asked.push(format!("{target}: {reason}")),
            }
        }
        if silent.is_empty() {
            Verdict::CannotTell(not_asked.join("; "))
        } else {
            Verdict::Blind(format!("none of its witnesses answered: {}", silent.join(", ")))
        }
    }

    /// Says each change once, in the database and to the observer.
    async fn announce_changes(&self, store: &Store, observer: &Observer) {
        let mut answers = self.answers.subscribe();
        // What is known to be in the database.
        let mut announced: Option<bool> = None;
        let mut cannot_tell = false;
        loop {
            let answer = answers.borrow_and_update().clone();
            let said = match answer {
                Some(ProbeAnswer { verdict: Verdict::CannotTell(why), .. }) => {
                    if !std::mem::replace(&mut cannot_tell, true) {
                        warn!(why, "no witness can be asked: every failure counts");
                    }
                    Ok(())
                }
                Some(ProbeAnswer { asked_at, verdict: Verdict::Blind(reason), .. })
                    if announced != Some(true) =>
                {
                    let said = self.say_blind(store, observer, asked_at, &reason).await;
                    said.map(|is_known| announced = is_known.then_some(true).or(announced))
                }
                Some(ProbeAnswer { verdict: Verdict::Sees(by), .. }) if announced != Some(false) => {
                    self.say_seeing(store, observer, &by).await.map(|()| announced = Some(false))
                }
                Some(_) | None => Ok(()),
            };
            match said {
                // Errors of the connection are logged where the queue is worked on.
                Err(_) => sleep(TELL_AGAIN).await,
                Ok(()) if answers.changed().await.is_err() => return,
                Ok(()) => {
                    cannot_tell &= matches!(
                        &*answers.borrow(),
                        Some(ProbeAnswer { verdict: Verdict::CannotTell(_), .. })
                    );
                }
            }
        }
    }

    /// Whether the database says so now.
    async fn say_blind(
        &self,
        store: &Store,
        observer: &Observer,
        asked_at: Instant,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let event = |moment: BlindMoment| {
            let message = format!("{reason}; no incident opens until one of them does");
            Event::about_network(EventType::Blind, &self.host, message, moment.now)
        };
        let said = db_timeout::goodbye(store.enqueue_blind(&self.host, asked_at.elapsed(), event)).await?;
        match &said {
            Blind::Told(channels) => {
                warn!(
                    host = self.host,
                    why = reason,
                    channels = channels.join(", "),
                    "blind: this machine's network is away"
                );
                observer(Activity::Blind { host: self.host.clone(), why: reason.to_owned() });
            }
            Blind::Known => info!(host = self.host, why = reason, "blind, as was told before"),
            Blind::Outdated => {}
        }
        Ok(said != Blind::Outdated)
    }

    async fn say_seeing(&self, store: &Store, observer: &Observer, by: &str) -> Result<(), StoreError> {
        let lasted =
            |moment: BlindMoment| Duration::from_secs(duration::elapsed(moment.since, moment.now).as_secs());
        let event = |moment: BlindMoment| {
            let message = format!(
                "{by} answers again after {}; what failed meanwhile is looked at again",
                duration::format(lasted(moment))
            );
            Event::about_network(EventType::Seeing, &self.host, message, moment.now)
        };
        let said = db_timeout::goodbye(store.enqueue_seeing(&self.host, event)).await?;
        if let Some((moment, channels)) = said {
            let blind_for = lasted(moment);
            info!(
                host = self.host,
                by,
                blind_s = blind_for.as_secs(),
                channels = channels.join(", "),
                "seeing again"
            );
            observer(Activity::Seeing { host: self.host.clone(), blind_for });
        }
        Ok(())
    }
}
