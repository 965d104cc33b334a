//! The queue `notifications`: tell one channel one thing, and record what its provider said.

mod resolved;

pub use resolved::{DeliveryError, Resolved, referenced, resolve_settings};

use crate::guests::Guests;
use crate::worker::{End, Finished, Handler, by_subject, for_newer, host_name, warn_of_lost_leases};
use crate::{Activity, Observer};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::{error, info, warn};
use uptime_core::ErrorClass;
use uptime_core::backoff::{delay, delivery_delay};
use uptime_core::channel::{Setting, Settings};
use uptime_core::digest;
use uptime_core::duration::elapsed;
use uptime_core::event::{Event, Severity};
use uptime_core::id::{ChannelId, JobId, NotificationId};
use uptime_core::queue::QueueSettings;
use uptime_core::recheck::{Digest, Part, recheck_before_send};
use uptime_core::secret::SecretRef;
use uptime_core::secret::access::Access;
use uptime_notifier::{
    Delivery, Earlier, NotifierError, NotifierHost, Receipt, ResolvedSetting, ResolvedSettings,
};
use uptime_store::notifications::{DeliveryEnd, DeliveryTry, DueDelivery, Untried};
use uptime_store::queue::{Claim, Job, JobFailure};
use uptime_store::{NOTIFICATIONS, Store, StoreError};
use uuid::Uuid;

/// How many deliveries of one channel run at once in a process: a channel that hangs holds no more slots than these.
const PER_CHANNEL: usize = 4;

/// How old news may become while a provider asks to wait, its plugin is in quarantine or this host has no network,
/// which uses up no try.
const PROVIDER_WAIT_MAX: Duration = Duration::from_hours(24);

/// From a try that got further to the next.
const GOES_ON_AFTER: Duration = Duration::from_secs(1);

pub struct Deliveries {
    store: Store,
    notifiers: NotifierHost,
    access: Access,
    observer: Observer,
    tries: u32,
    backoff: Vec<Duration>,
    probe: Vec<Duration>,
    guests: Guests,
}

#[derive(Debug)]
pub enum Told {
    Tried {
        due: Box<DueDelivery>,
        /// What was told instead, as things stood.
        message: Box<Message>,
        result: Result<Receipt, DeliveryError>,
    },
    Muted {
        due: Box<DueDelivery>,
        reason: &'static str,
    },
    /// Not yet: the channel's hours have not begun.
    TooEarly {
        due: Box<DueDelivery>,
        until: Timestamp,
    },
}

/// What is told, as it stands when its turn has come.
#[derive(Debug)]
pub struct Message {
    event: Event,
    /// The worst that the channel was told of it before.
    announced: Option<Severity>,
    digest: Option<Digest>,
    /// Members of a digest that it leaves out, and why.
    muted: Vec<(NotificationId, &'static str)>,
}

/// Looks at a delivery again: at it, or at each member of a digest. The reason, when nobody wants it any more.
fn look_again(due: &DueDelivery) -> Result<Message, &'static str> {
    let Some(members) = &due.members else {
        let Part { event, announced, .. } = recheck_before_send(due.event.clone(), &due.circumstances)?;
        return Ok(Message { event, announced, digest: None, muted: Vec::new() });
    };
    let (mut parts, mut muted) = (Vec::new(), Vec::new());
    for member in members {
        match recheck_before_send(member.event.clone(), &member.circumstances) {
            Ok(part) => parts.push(part),
            Err(reason) => muted.push((member.notification, reason)),
        }
    }
    match digest::compose(due.event.delivery_id, parts) {
        Some((Part { event, announced, .. }, digest)) => Ok(Message { event, announced, digest, muted }),
        None => Err(muted.first().map_or("nothing in it is to be told any more", |(_, reason)| reason)),
    }
}

impl Deliveries {
    /// A handler for a worker with these settings. `access` has the secrets of this host that channels may use.
    pub fn new(
        store: Store,
        notifiers: NotifierHost,
        access: Access,
        observer: Observer,
        settings: &QueueSettings,
    ) -> std::io::Result<Self> {
        let QueueSettings { tries, backoff, probe, .. } = settings.clone();
        Ok(Self { store, notifiers, access, observer, tries, backoff, probe, guests: Guests::start()? })
    }

    async fn deliver(&self, due: &DueDelivery, message: &Message) -> Result<Receipt, DeliveryError> {
        let resolved = Resolved::new(&due.channel, &self.access)?;
        let before = Earlier {
            worst: message.announced,
            first_remote_id: due.first_remote_id.as_deref(),
            last_remote_id: due.last_remote_id.as_deref(),
            progress: due.progress.as_deref(),
        };
        let delivery = Delivery {
            digest: message.digest.as_ref(),
            before,
            attempt: due.attempts.saturating_add(1),
            ..resolved.delivery(&message.event, due.installation, due.clock())
        };
        Ok(self.notifiers.notify(delivery).await?)
    }

    fn may_retry(&self, attempts: u32) -> bool {
        self.tries == 0 || attempts < self.tries
    }

    /// What follows from an error: the class alone decides, and for what is to be waited for how old the news is, and whether
    /// the try got further than those before.
    fn end_of(
        &self,
        attempts: u32,
        due: &DueDelivery,
        age: Duration,
        failure: &DeliveryError,
        is_blind: bool,
    ) -> DeliveryEnd {
        let error = failure.in_words();
        let notifier = failure.notifier();
        let got_further = notifier
            .and_then(NotifierError::progress)
            .is_some_and(|progress| due.progress.as_deref() != Some(progress));
        // Old news have their tries left, or a `retry` by hand on the next morning would be a single one.
        let waits = is_blind
            || got_further
            || failure.is_denied_here()
            || notifier.is_some_and(NotifierError::waits_for_provider);
        let patient = age < PROVIDER_WAIT_MAX && waits;
        if failure.class() == ErrorClass::Transient && (patient || self.may_retry(attempts)) {
            let provider = notifier.and_then(NotifierError::retry_after);
            let after = if got_further {
                provider.unwrap_or_default().max(GOES_ON_AFTER)
            } else {
                delivery_delay(&self.backoff, attempts, provider, random())
            };
            // Not for this message's own backoff, which may have grown: others have not failed yet.
            let rate_limited = matches!(notifier, Some(NotifierError::RateLimited { .. }));
            let pause = rate_limited.then(|| provider.unwrap_or_else(|| delay(&self.backoff, 1)));
            let channel_broken = failure.is_denied_here();
            return DeliveryEnd::Retry { after, error, counts: !patient, pause, channel_broken };
        }
        // What may go away by itself has not, for all the tries; what is wrong on this side is wrong for every message.
        let of_every_message = matches!(failure.class(), ErrorClass::Transient | ErrorClass::Config);
        let channel_broken = of_every_message || notifier.is_some_and(NotifierError::channel_broken);
        DeliveryEnd::Failed { error, channel_broken }
    }

    /// Whether this host is known to have no network, where that could be why one of these did not get out.
    async fn is_blind(&self, finished: &[Finished<Told>]) -> Result<bool, StoreError> {
        let could_be = finished.iter().any(|finished| match &finished.end {
            End::Done(Told::Tried { result: Err(failure), .. }) => failure.class() == ErrorClass::Transient,
            _ => false,
        });
        Ok(could_be && self.store.blind_since(&host_name()).await?.is_some())
    }

    fn try_of<'a>(
        &self,
        finished: &'a Finished<Told>,
        is_blind: bool,
    ) -> Option<(&'a DueDelivery, DeliveryTry)> {
        let claim = finished.job.claim;
        let tried = |due: &DueDelivery, outcome, end| DeliveryTry {
            claim,
            is_probe: finished.job.is_probe(),
            notification: due.notification,
            channel: due.channel.id,
            started_at: finished.started_at,
            took: finished.took,
            status: None,
            message: None,
            outcome,
            end,
            progress: None,
            sent_event: None,
            muted: Vec::new(),
        };
        let End::Done(done) = &finished.end else { return None };
        Some(match done {
            Told::Muted { due, reason } => {
                let muted = tried(due, "muted", DeliveryEnd::Muted { reason });
                (due, DeliveryTry { message: Some((*reason).to_owned()), ..muted })
            }
            Told::TooEarly { due, until } => {
                let for_so_long = elapsed(due.now, *until);
                let reason = format!("the channel's hours begin at {until}");
                let message = Some(reason.clone());
                let waits = tried(due, "waits", DeliveryEnd::Waits { for_so_long, reason });
                (due, DeliveryTry { message, ..waits })
            }
            Told::Tried { due, message, result } => {
                let (outcome, end) = match result {
                    Ok(receipt) => {
                        let end = DeliveryEnd::Delivered {
                            remote_id: receipt.remote_id.clone(),
                            learned: learned(&receipt.replaced),
                            pause: receipt.pause,
                        };
                        ("delivered", end)
                    }
                    Err(failure) => {
                        let age = elapsed(due.event.at, finished.started_at);
                        let end = self.end_of(claim.attempts, due, age, failure, is_blind);
                        (failure.class().as_str(), end)
                    }
                };
                // Only what was told: the next try makes its words anew.
                let sent_event =
                    (result.is_ok() && message.event != due.event).then(|| message.event.clone());
                let tried = DeliveryTry {
                    status: result.as_ref().ok().and_then(|receipt| receipt.status),
                    message: match result {
                        Ok(receipt) => receipt.detail.clone(),
                        Err(failure) => Some(failure.in_words()),
                    },
                    progress: result
                        .as_ref()
                        .err()
                        .and_then(DeliveryError::notifier)
                        .and_then(|error| error.progress().map(<[u8]>::to_vec)),
                    sent_event,
                    muted: message.muted.clone(),
                    ..tried(due, outcome, end)
                };
                (due, tried)
            }
        })
    }

    /// Records all tries in one transaction. When the database refuses what one of them holds, each goes by itself, so
    /// that it takes no other along.
    async fn record(&self, tries: &[(&DueDelivery, DeliveryTry)]) -> Result<(), StoreError> {
        match self.record_together(tries).await {
            Err(error) if error.is_about_values() => {
                for tried in tries {
                    self.record_or_fail(tried).await?;
                }
                Ok(())
            }
            recorded => recorded,
        }
    }

    /// Records one try; one that the database refuses for what it holds ends in the failed list.
    async fn record_or_fail(&self, tried: &(&DueDelivery, DeliveryTry)) -> Result<(), StoreError> {
        match self.record_together(std::slice::from_ref(tried)).await {
            Err(error) if error.is_about_values() => {
                let claim = tried.1.claim;
                error!(job = claim.id.0, %error, "delivery can't be recorded");
                let failure = if error.is_for_newer() {
                    for_newer(claim, error.to_string())
                } else {
                    JobFailure { claim, retry_after: None, counts: true, error: error.to_string() }
                };
                let DeliveryTry { notification, channel, is_probe, .. } = tried.1;
                let channel = Some(channel);
                let (channel_broken, is_hopeless) = (false, !error.is_for_newer());
                let untried =
                    Untried { notification, failure, channel, channel_broken, is_hopeless, is_probe };
                self.store.fail_notifications(&[untried], &self.probe).await?;
                Ok(())
            }
            recorded => recorded,
        }
    }

    async fn record_together(&self, tries: &[(&DueDelivery, DeliveryTry)]) -> Result<(), StoreError> {
        if tries.is_empty() {
            return Ok(());
        }
        let records: Vec<&DeliveryTry> = tries.iter().map(|(_, tried)| tried).collect();
        let ours = self.store.record_deliveries(&records, &self.probe).await?;
        for (due, tried) in tries {
            if !ours.contains(&tried.claim) {
                warn!(
                    channel = due.channel.name,
                    job = tried.claim.id.0,
                    "lease lost, or recorded before the database went away: delivery not recorded"
                );
                continue;
            }
            log_delivery(due, tried);
            (self.observer)(Activity::Delivery {
                channel: due.channel.name.clone(),
                monitor: tried.sent_event.as_ref().unwrap_or(&due.event).monitor.name.clone(),
                event: tried.sent_event.as_ref().unwrap_or(&due.event).kind,
                end: tried.end.clone(),
            });
        }
        Ok(())
    }
}

impl Handler for Deliveries {
    type Work = DueDelivery;
    type Done = Told;

    fn queue(&self) -> &'static str {
        NOTIFICATIONS
    }

    fn per_key(&self) -> Option<usize> {
        Some(PER_CHANNEL)
    }

    fn runtime(&self) -> Option<&Handle> {
        self.guests.handle()
    }

    async fn load(
        &self,
        jobs: &[Job],
    ) -> Result<HashMap<JobId, Result<DueDelivery, StoreError>>, StoreError> {
        let ids: Vec<NotificationId> =
            jobs.iter().filter_map(|job| job.subject).map(NotificationId).collect();
        let mut due = self.store.due_deliveries(&ids).await?;
        let probes: HashSet<i64> =
            jobs.iter().filter(|job| job.is_probe()).filter_map(|job| job.subject).collect();
        // A probe whose notice was told, or dropped, has nothing to send.
        let is_wanted = |subject: i64, due: &Result<DueDelivery, StoreError>| {
            !probes.contains(&subject) || due.as_ref().map_or(true, |due| due.has_failed)
        };
        Ok(by_subject(jobs, |subject| {
            due.remove(&NotificationId(subject)).filter(|due| is_wanted(subject, due))
        }))
    }

    async fn run(&self, _job: &Job, due: DueDelivery, _within: Duration) -> Told {
        let due = Box::new(due);
        if !due.channel.enabled {
            return Told::Muted { due, reason: "the channel is disabled" };
        }
        let message = match look_again(&due) {
            Ok(message) => Box::new(message),
            Err(reason) => return Told::Muted { due, reason },
        };
        if let Some(hours) = &due.channel.filter.hours
            && hours.covers(due.now).is_none()
        {
            let until = hours.next_begin(due.now);
            return Told::TooEarly { due, until };
        }
        let result = self.deliver(&due, &message).await;
        Told::Tried { due, message, result }
    }

    async fn settle(&self, finished: &[Finished<Told>]) -> Result<Vec<Claim>, StoreError> {
        let (mut gone, mut failures) = (Vec::new(), Vec::new());
        for finished in finished {
            let claim = finished.job.claim;
            if matches!(finished.end, End::Dropped) {
                gone.push(claim);
            } else if let Some(error) = finished.end.failure(claim.attempts) {
                let retry = matches!(finished.end, End::TimedOut(_) | End::Panicked(_))
                    && self.may_retry(claim.attempts);
                let retry_after =
                    retry.then(|| delivery_delay(&self.backoff, claim.attempts, None, random()));
                warn!(job = claim.id.0, attempts = claim.attempts, error, "delivery not tried to its end");
                let notification = NotificationId(finished.job.subject.unwrap_or_default());
                let counts = finished.end.counts();
                let (channel, is_probe) =
                    (finished.job.concurrency_key.map(ChannelId), finished.job.is_probe());
                // One that hangs to the end of all its tries hangs for every message, and so does one that failed before.
                let hangs = matches!(finished.end, End::TimedOut(_)) && (is_probe || retry_after.is_none());
                let failure = match finished.end {
                    End::ForNewer(_) => for_newer(claim, error),
                    _ => JobFailure { claim, retry_after, counts, error },
                };
                let is_hopeless = matches!(finished.end, End::Spent | End::Unreadable(_));
                let channel_broken = hangs;
                failures.push(Untried {
                    notification,
                    failure,
                    channel,
                    channel_broken,
                    is_hopeless,
                    is_probe,
                });
            }
        }
        if !failures.is_empty() {
            let ours = self.store.fail_notifications(&failures, &self.probe).await?;
            warn_of_lost_leases(NOTIFICATIONS, failures.iter().map(|untried| &untried.failure), &ours);
        }
        let is_blind = self.is_blind(finished).await?;
        let tries: Vec<_> = finished.iter().filter_map(|finished| self.try_of(finished, is_blind)).collect();
        self.record(&tries).await?;
        Ok(gone)
    }
}

/// Replaced settings as they are kept. None of them is a secret.
fn learned(replaced: &ResolvedSettings) -> Settings {
    replaced
        .iter()
        .filter_map(|(key, value)| {
            let setting = match value {
                ResolvedSetting::Boolean(switch) => Setting::Boolean(*switch),
                ResolvedSetting::Integer(number) => Setting::Integer(*number),
                ResolvedSetting::Text(text) => Setting::Text(SecretRef::Literal(text.expose().to_owned())),
                ResolvedSetting::List(_) | ResolvedSetting::Map(_) => return None,
            };
            Some((key.clone(), setting))
        })
        .collect()
}

/// The one line that a delivery leaves. An error is for a person, a retry heals itself.
fn log_delivery(due: &DueDelivery, tried: &DeliveryTry) {
    let announced = tried.sent_event.as_ref().unwrap_or(&due.event);
    let (channel, event) = (due.channel.name.as_str(), announced.kind.as_str());
    let (monitor, delivery_id) = (announced.monitor.name.as_str(), announced.delivery_id.to_string());
    let took_ms = tried.took.as_secs_f64() * 1e3;
    match &tried.end {
        DeliveryEnd::Delivered { .. } => {
            info!(channel, event, monitor, delivery_id, took_ms, status = tried.status, "delivered");
        }
        DeliveryEnd::Muted { reason } => info!(channel, event, monitor, delivery_id, reason, "muted"),
        DeliveryEnd::Waits { reason, .. } => info!(channel, event, monitor, delivery_id, reason, "put off"),
        DeliveryEnd::Retry { after, error, .. } => {
            warn!(
                channel,
                event,
                monitor,
                delivery_id,
                took_ms,
                error,
                retry_in_ms = after.as_secs_f64() * 1e3,
                "delivery will be tried again"
            );
        }
        DeliveryEnd::Failed { error, .. } => {
            error!(
                channel,
                event, monitor, delivery_id, took_ms, error, "delivery failed: `uptime queue failed` has it"
            );
        }
    }
}

/// A number in `0.0..1.0`. Only jitter hangs on it.
fn random() -> f64 {
    let bits = u32::try_from(Uuid::new_v4().as_u128() & u128::from(u32::MAX)).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
