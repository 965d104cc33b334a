//! The queue `monitor-checks`, and those of locations: run a check, judge it, and write all that follows in one transaction.

use crate::hosts::Bounds;
use crate::own_network::{self, NetworkProbe};
use crate::worker::{End, Finished, Handler, Permit, Slots, by_subject, for_newer, warn_of_lost_leases};
use crate::{Activity, Observer};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, error, info, warn};
use uptime_check::Checker;
use uptime_core::check::{self, CheckReport, Phases};
use uptime_core::decision::{FinishedCheck, Outcome, Watched, judge};
use uptime_core::duration::elapsed;
use uptime_core::id::{DeliveryId, JobId, MonitorId};
use uptime_core::judgement::StateChange;
use uptime_core::monitor::Location;
use uptime_store::queue::{Claim, Job, JobFailure};
use uptime_store::{Store, StoreError};
use uuid::Uuid;

/// How long before its job's deadline a check ends.
const JUDGED_BEFORE: Duration = Duration::from_millis(250);

pub struct Checks {
    queue: &'static str,
    /// Where they run, for the queue of a location.
    location: Option<Location>,
    store: Store,
    checker: Checker,
    bounds: Arc<Bounds>,
    /// Whom to ask whether a failure is the target's.
    own_network: Option<Arc<NetworkProbe>>,
    observer: Observer,
    tries: u32,
    backoff: Vec<Duration>,
}

impl Checks {
    /// A handler for a worker on `queue` with these tries and backoff. Each failure is believed, unless there is an `own_network`,
    /// which then has to be [watched](NetworkProbe::watch) beside the worker.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own, and there is one caller")]
    pub fn new(
        queue: &'static str,
        store: Store,
        checker: Checker,
        bounds: Arc<Bounds>,
        own_network: Option<Arc<NetworkProbe>>,
        observer: Observer,
        tries: u32,
        backoff: Vec<Duration>,
    ) -> Self {
        let location = Location::of_queue(queue);
        Self { queue, location, store, checker, bounds, own_network, observer, tries, backoff }
    }

    /// How much of a job's time is left for the witnesses.
    fn kept_for_witnesses(&self, within: Duration) -> Duration {
        if self.own_network.is_some() { own_network::ANSWER_MAX.min(within / 3) } else { Duration::ZERO }
    }

    /// The job's failure, for an end without a report.
    fn job_failure(&self, claim: Claim, error: String, is_final: bool) -> JobFailure {
        let retry = !is_final && (self.tries == 0 || claim.attempts < self.tries);
        let retry_after = retry.then(|| uptime_core::backoff::delay(&self.backoff, claim.attempts));
        JobFailure { claim, retry_after, counts: true, error }
    }

    /// The failure of a job whose rows are not to be read or written, which is final unless a newer release can.
    fn refusal(&self, claim: Claim, error: &StoreError) -> JobFailure {
        if error.is_for_newer() {
            for_newer(claim, error.to_string())
        } else {
            self.job_failure(claim, error.to_string(), true)
        }
    }
}

impl Handler for Checks {
    type Work = Watched;
    type Done = (Watched, CheckReport);

    fn queue(&self) -> &'static str {
        self.queue
    }

    async fn load(&self, jobs: &[Job]) -> Result<HashMap<JobId, Result<Watched, StoreError>>, StoreError> {
        if let Some(job) = jobs.last() {
            self.checker.set_clock(job.claimed_at);
        }
        let ids: Vec<MonitorId> = jobs.iter().filter_map(|job| job.subject).map(MonitorId).collect();
        let mut monitors = self.store.monitors_by_id(&ids).await?;
        Ok(by_subject(jobs, |subject| monitors.remove(&MonitorId(subject))))
    }

    async fn place(&self, monitor: &Watched, slots: &Slots) -> Permit {
        Permit::holding(self.bounds.enter(&monitor.check, slots).await)
    }

    fn time_of(&self, monitor: &Watched) -> Duration {
        let for_witnesses = if self.own_network.is_some() { own_network::ANSWER_MAX } else { Duration::ZERO };
        monitor.policy.timeout + for_witnesses + JUDGED_BEFORE
    }

    async fn run(&self, _job: &Job, monitor: Watched, within: Duration) -> (Watched, CheckReport) {
        let began = Instant::now();
        // A target that hangs must be judged, not the job that waited for it.
        let judged_in = within.saturating_sub(JUDGED_BEFORE);
        let limit = monitor.policy.timeout.min(judged_in.saturating_sub(self.kept_for_witnesses(within)));
        let report = self.checker.check(&monitor.check, limit).await;
        let report = match &self.own_network {
            Some(own_network) => own_network.confirm(report, began, began + judged_in).await,
            None => report,
        };
        (monitor, report)
    }

    async fn settle(&self, finished: &[Finished<Self::Done>]) -> Result<Vec<Claim>, StoreError> {
        let (mut checks, mut gone, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for finished in finished {
            let claim = finished.job.claim;
            match &finished.end {
                End::Done((monitor, report)) => checks.push(FinishedCheck {
                    claim,
                    monitor: monitor.clone(),
                    location: self.location.clone(),
                    slot_at: finished.job.available_at,
                    started_at: finished.started_at,
                    late: lateness(finished),
                    report: report.clone(),
                }),
                End::Dropped => gone.push(claim),
                End::ForNewer(error) => {
                    warn!(job = claim.id.0, error, "check left to a newer worker");
                    failures.push(for_newer(claim, error.clone()));
                }
                other => {
                    let error = other.failure(claim.attempts).unwrap_or_default();
                    warn!(job = claim.id.0, attempts = claim.attempts, error, "check not judged");
                    let is_final = matches!(other, End::Spent | End::Unreadable(_));
                    let failure = self.job_failure(claim, error, is_final);
                    failures.push(JobFailure { counts: other.counts(), ..failure });
                }
            }
        }
        if !failures.is_empty() {
            let ours = self.store.fail(&failures).await?;
            warn_of_lost_leases(self.queue, &failures, &ours);
        }
        if !checks.is_empty() {
            self.record_apart_from_the_poisoned(checks).await?;
        }
        Ok(gone)
    }
}

impl Checks {
    /// A batch in one transaction. When the database refuses it for what one of them holds, each has one of its own, so
    /// that the one ends in the failed list and the others are kept.
    async fn record_apart_from_the_poisoned(&self, checks: Vec<FinishedCheck>) -> Result<(), StoreError> {
        match self.record(checks.clone()).await {
            Err(error) if error.is_about_values() => {
                error!(%error, checks = checks.len(), "batch refused: recording each check by itself");
            }
            ended => return ended,
        }
        for check in checks {
            let (claim, monitor) = (check.claim, check.monitor.about.name.clone());
            match self.record(vec![check]).await {
                Err(error) if error.is_about_values() => {
                    error!(monitor, job = claim.id.0, %error, "result refused");
                    self.store.fail(&[self.refusal(claim, &error)]).await?;
                }
                ended => ended?,
            }
        }
        Ok(())
    }

    /// The transaction of promise 3.
    async fn record(&self, checks: Vec<FinishedCheck>) -> Result<(), StoreError> {
        let claims: Vec<Claim> = checks.iter().map(|check| check.claim).collect();
        let monitors: Vec<MonitorId> = checks.iter().map(|check| check.monitor.id).collect();
        let (mut transaction, known) = self.store.begin_results(&claims, &monitors).await?;
        let judged = judge(known, checks);
        for check in &judged.lost {
            warn!(
                monitor = check.monitor.about.name,
                job = check.claim.id.0,
                "lease lost, or monitor gone from here: result not written"
            );
        }
        let around = transaction.surroundings(judged.needs()).await?;
        let decisions = judged.announce(around, &mut || DeliveryId(Uuid::now_v7()));
        transaction.commit(&decisions).await?;
        // Only what was committed has happened.
        for activity in decisions.outcomes.into_iter().flat_map(activities) {
            log(&activity);
            (self.observer)(activity);
        }
        // A hint: without it they are looked at when their slots come.
        if let Err(error) = self.store.check_now(&decisions.wake).await {
            warn!(%error, "parents and children not woken");
        }
        Ok(())
    }
}

/// From the slot to the start: the monitor's own lag.
fn lateness<D>(finished: &Finished<D>) -> Duration {
    elapsed(finished.job.available_at, finished.started_at)
}

/// What has happened with a check.
fn activities(outcome: Outcome) -> Vec<Activity> {
    let Outcome { check, is_news, changes, trouble: cause, .. } = outcome;
    let monitor = check.monitor.about.name;
    let of_incident = |(incident, change)| match change {
        StateChange::Opened { severity, started_at, .. } => Some(Activity::Opened {
            monitor: monitor.clone(),
            incident,
            severity,
            started_at,
            cause: cause.clone(),
        }),
        StateChange::Resolved { started_at, ended_at, .. } => {
            Some(Activity::Resolved { monitor: monitor.clone(), incident, started_at, ended_at })
        }
        _ => None,
    };
    let followed: Vec<Activity> = changes.into_iter().filter_map(of_incident).collect();
    let checked = Activity::Checked { monitor, report: check.report, late: check.late, is_news };
    std::iter::once(checked).chain(followed).collect()
}

/// Says in the log what has happened.
fn log(activity: &Activity) {
    match activity {
        Activity::Checked { monitor, report, late, is_news } => log_check(monitor, report, *late, *is_news),
        // Incidents are what people look for in a log.
        Activity::Opened { monitor, incident, severity, cause, .. } => {
            let cause = cause.as_ref().map(|cause| cause.message.as_str());
            info!(monitor, incident = incident.0, severity = severity.as_str(), cause, "incident opened");
        }
        Activity::Resolved { monitor, incident, started_at, ended_at } => {
            let lasted_s = elapsed(*started_at, *ended_at).as_secs();
            info!(monitor, incident = incident.0, lasted_s, "incident ended");
        }
        _ => {}
    }
}

/// The one line that a check leaves: of one that changes something for whoever reads along, of the others for who looks
/// for a fault.
fn log_check(monitor: &str, report: &CheckReport, late: Duration, is_news: bool) {
    let trouble = report.trouble();
    let Phases { dns, connect, tls, first_byte, .. } = report.phases();
    let ms = |took: Duration| (took.as_secs_f64() * 1e6).round() / 1e3;
    macro_rules! line {
        ($level:ident) => {
            $level!(
                monitor,
                outcome = report.word(),
                class = trouble.map(|trouble| trouble.class.as_str()),
                total_ms = ms(report.total),
                dns_ms = dns.map(ms),
                connect_ms = connect.map(ms),
                tls_ms = tls.map(ms),
                first_byte_ms = first_byte.map(ms),
                late_ms = ms(late),
                message = trouble.map(|trouble| trouble.message.as_str()),
                "check"
            )
        };
    }
    if is_news {
        line!(info);
    } else {
        line!(debug);
    }
    if report.outcome() == check::Outcome::Inconclusive {
        let message = trouble.map(|trouble| trouble.message.as_str());
        warn!(monitor, message, "check inconclusive: the fault is ours");
    }
}
