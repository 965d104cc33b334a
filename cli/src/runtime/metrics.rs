//! What a worker exports for Prometheus: what came of its checks, how long they took and how late they began, and how far its
//! bounds are used.
//!
//! Counters and histograms are fed by what the engine [tells](Observer), after it was committed; so they count what the
//! database has. What is true at this moment (in flight, waiting, blind, descriptors) is looked at when somebody asks.

use super::descriptors::{self, Descriptors};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uptime_engine::hosts::Bounds;
use uptime_engine::liveness::Stalls;
use uptime_engine::own_network::NetworkProbe;
use uptime_engine::{Activity, Observer};
use uptime_store::notifications::DeliveryEnd;

/// From 1 ms to the longest timeout that makes sense.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// So many labels, each with its value.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// A process's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    checks: Family<Labels<2>, Counter>,
    durations: Histogram,
    late: Histogram,
    deliveries: Family<Labels<2>, Counter>,
    jobs: Family<Labels<1>, Counter>,
    running: Family<Labels<1>, Gauge>,
    behind: Gauge,
    in_flight: Gauge,
    waiting: Family<Labels<1>, Gauge>,
    blind: Gauge,
    stalled: Gauge,
    open: Gauge,
    limit: Gauge,
    /// Where what is true at this moment is looked up; the handler of each round has its own.
    sources: Arc<Mutex<Sources>>,
    stalls: Stalls,
    descriptors: Descriptors,
}

#[derive(Default)]
struct Sources {
    bounds: Option<Arc<Bounds>>,
    own_network: Option<Arc<NetworkProbe>>,
}

/// A metric of `registry`.
fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn seconds(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let metric = Histogram::new(SECONDS);
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

impl Metrics {
    /// With the stalls that this process knows of.
    pub fn new(descriptors: Descriptors, stalls: Stalls) -> Self {
        let mut registry = Registry::with_prefix("uptime");
        let all = &mut registry;
        Self {
            // In the order in which they are exported.
            checks: registered(all, "checks", "Checks that were recorded, by outcome and failure class"),
            durations: seconds(
                all,
                "check_duration",
                "Latency of a check: the time that it took, of a ping the mean round trip",
            ),
            late: seconds(all, "check_late", "How long after its slot a check began"),
            deliveries: registered(all, "deliveries", "Tries to deliver a notification, by event and end"),
            jobs: registered(all, "jobs", "Jobs that were settled, by queue"),
            running: registered(all, "jobs_in_hand", "Jobs that are claimed and not settled"),
            in_flight: registered(all, "checks_in_flight", "Checks that run"),
            waiting: registered(
                all,
                "checks_waiting",
                "Checks that were claimed and wait for their host or for descriptors",
            ),
            blind: registered(all, "blind", "1 while no witness answers: no failure counts"),
            stalled: registered(
                all,
                "checks_stalled",
                "1 while monitors have had no result for 3 intervals, and at least a minute",
            ),
            behind: registered(all, "falling_behind", "1 while checks begin late"),
            open: registered(all, "descriptors_open", "File descriptors in use"),
            limit: registered(
                all,
                "descriptors_limit",
                "File descriptors that may be in use; 0 is unlimited",
            ),
            sources: Arc::default(),
            registry: Arc::new(registry),
            stalls,
            descriptors,
        }
    }

    /// `observer`, with what it is told counted.
    pub fn watch(&self, observer: Observer) -> Observer {
        let metrics = self.clone();
        Arc::new(move |activity| {
            metrics.count(&activity);
            observer(activity);
        })
    }

    /// Where a round's checks say what is true at this moment.
    pub fn look_at(&self, bounds: Arc<Bounds>, own_network: Option<Arc<NetworkProbe>>) {
        *lock(&self.sources) = Sources { bounds: Some(bounds), own_network };
    }

    fn count(&self, activity: &Activity) {
        match activity {
            Activity::Checked { report, late, .. } => {
                let class = report.failure.as_ref().map_or("", |failure| failure.class.as_str());
                self.checks.get_or_create(&[("outcome", report.outcome().as_str()), ("class", class)]).inc();
                if let Some(latency) = report.latency() {
                    self.durations.observe(latency.as_secs_f64());
                }
                self.late.observe(late.as_secs_f64());
            }
            Activity::Delivery { event, end, .. } => {
                let end = match end {
                    DeliveryEnd::Delivered { .. } => "delivered",
                    DeliveryEnd::Retry { .. } => "retry",
                    DeliveryEnd::Failed { .. } => "failed",
                    DeliveryEnd::Muted { .. } => "muted",
                    DeliveryEnd::Waits { .. } => "waits",
                };
                self.deliveries.get_or_create(&[("event", event.as_str()), ("end", end)]).inc();
            }
            Activity::Settled { queue, settled, running } => {
                self.jobs.get_or_create(&[("queue", *queue)]).inc_by(*settled);
                self.running.get_or_create(&[("queue", *queue)]).set(number(*running));
            }
            Activity::FallingBehind { .. } => _ = self.behind.set(1),
            Activity::KeepingUp => _ = self.behind.set(0),
            _ => {}
        }
    }

    /// All of it, in the exposition format.
    pub fn encode(&self) -> String {
        {
            let sources = lock(&self.sources);
            if let Some(load) = sources.bounds.as_ref().map(|bounds| bounds.load()) {
                let value = |count: &AtomicUsize| number(count.load(Ordering::Relaxed));
                self.in_flight.set(value(&load.running));
                let wait = |on, count| self.waiting.get_or_create(&[("on", on)]).set(value(count));
                wait("host", &load.waiting_for_host);
                wait("descriptors", &load.waiting_for_descriptors);
            }
            let is_blind = sources.own_network.as_ref().is_some_and(|own_network| own_network.is_blind());
            self.blind.set(is_blind.into());
        }
        self.stalled.set(self.stalls.first().is_some().into());
        self.open.set(number(descriptors::open().unwrap_or_default()));
        self.limit.set(number(self.descriptors.limit.unwrap_or_default()));
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A count as a gauge has it.
fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
