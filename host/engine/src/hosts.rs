//! How many checks go to one host at once, and how many there are in all.
//!
//! A host is its name or address as the monitor has it. A job whose host is full waits for it in the order of arrival, and
//! gives its slot of the worker to others meanwhile (it is [yielded](Slots)), so a slow host with hundreds of monitors takes
//! no more than its share. A job whose host has room waits for descriptors, if those are short. Both are lateness, never the
//! target's latency: the check has not begun.

use crate::worker::Slots;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uptime_core::monitor::CheckSpec;

/// The bounds of a process's checks, and how far they are used.
#[derive(Debug)]
pub struct Bounds {
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    at_once: Arc<Semaphore>,
    load: Load,
}

/// How far the bounds are used, at this moment.
#[derive(Debug, Default)]
pub struct Load {
    pub running: AtomicUsize,
    pub waiting_for_host: AtomicUsize,
    pub waiting_for_descriptors: AtomicUsize,
}

impl Bounds {
    /// At most `per_host` checks to one host, and `at_once` in all.
    pub fn new(per_host: usize, at_once: usize) -> Self {
        Self {
            per_host: per_host.max(1),
            hosts: Mutex::default(),
            at_once: Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))),
            load: Load::default(),
        }
    }

    pub fn load(&self) -> &Load {
        &self.load
    }

    /// Waits until a check of `spec` may begin. It may run for as long as the answer is kept.
    pub(crate) async fn enter(self: &Arc<Self>, spec: &CheckSpec, slots: &Slots) -> Running {
        let host = host_of(spec);
        let semaphore = self.host(&host);
        // From here on somebody cleans up after it, wherever the wait is broken off.
        let mut at_host = AtHost { bounds: Arc::clone(self), host, permit: None };
        at_host.permit = if let Ok(permit) = Arc::clone(&semaphore).try_acquire_owned() {
            drop(semaphore);
            Some(permit)
        } else {
            let (_yielded, _waits) = (slots.yield_slot(), Counted::one(&self.load.waiting_for_host));
            semaphore.acquire_owned().await.ok()
        };
        let at_once = if let Ok(permit) = Arc::clone(&self.at_once).try_acquire_owned() {
            Some(permit)
        } else {
            let _waits = Counted::one(&self.load.waiting_for_descriptors);
            Arc::clone(&self.at_once).acquire_owned().await.ok()
        };
        self.load.running.fetch_add(1, Ordering::Relaxed);
        Running { at_host, _at_once: at_once }
    }

    fn host(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.lock();
        if let Some(semaphore) = hosts.get(host) {
            Arc::clone(semaphore)
        } else {
            let semaphore = Arc::new(Semaphore::new(self.per_host));
            hosts.insert(host.to_owned(), Arc::clone(&semaphore));
            semaphore
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A check that may run.
#[derive(Debug)]
pub(crate) struct Running {
    at_host: AtHost,
    _at_once: Option<OwnedSemaphorePermit>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.at_host.bounds.load.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place at a host, or the wait for one. The last to leave takes the host's entry along.
#[derive(Debug)]
struct AtHost {
    bounds: Arc<Bounds>,
    host: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for AtHost {
    fn drop(&mut self) {
        self.permit = None;
        let mut hosts = self.bounds.lock();
        // Whoever waits or runs there holds it, too; nobody new gets hold of it while the map is locked.
        if hosts.get(&self.host).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            hosts.remove(&self.host);
        }
    }
}

/// Counts one more for as long as it is kept.
struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    fn one(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The host of a check, as it is written.
fn host_of(spec: &CheckSpec) -> String {
    spec.host().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use uptime_core::target;

    fn spec(text: &str) -> CheckSpec {
        target::parse(text).expect("a target")
    }

    #[test]
    fn a_host_is_the_same_in_each_kind_of_check() {
        for text in ["https://[::1]:8080/a", "tcp://[::1]:22", "ping://[::1]"] {
            assert_eq!(host_of(&spec(text)), "::1");
        }
        assert_eq!(host_of(&spec("https://Example.com/")), host_of(&spec("tcp://example.COM:1")));
    }

    #[tokio::test]
    async fn a_full_host_parks_its_own_jobs_and_nobody_elses() {
        let (bounds, slots) = (Arc::new(Bounds::new(2, 10)), Slots::default());
        let (slow, other) = (spec("tcp://192.0.2.1:1"), spec("tcp://192.0.2.2:1"));
        let first = bounds.enter(&slow, &slots).await;
        let second = bounds.enter(&spec("ping://192.0.2.1"), &slots).await;
        let mut third = Box::pin(bounds.enter(&slow, &slots));
        assert!((&mut third).now_or_never().is_none());
        assert_eq!((slots.yielded(), bounds.load().waiting_for_host.load(Ordering::Relaxed)), (1, 1));
        let elsewhere = bounds.enter(&other, &slots).now_or_never();
        assert!(elsewhere.is_some(), "another host has room");
        drop(first);
        let third = third.now_or_never();
        assert!(third.is_some() && slots.yielded() == 0);
        assert_eq!(bounds.load().running.load(Ordering::Relaxed), 3);
        drop((second, third, elsewhere));
        assert!(bounds.lock().is_empty(), "nothing is remembered of a host where nobody is");
        assert_eq!(bounds.load().running.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_lacks_descriptors_waits_and_a_wait_that_is_broken_off_leaves_nothing() {
        let (bounds, slots) = (Arc::new(Bounds::new(2, 1)), Slots::default());
        let _first = bounds.enter(&spec("tcp://192.0.2.1:1"), &slots).await;
        let other = spec("tcp://192.0.2.2:1");
        let mut second = Box::pin(bounds.enter(&other, &slots));
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(bounds.load().waiting_for_descriptors.load(Ordering::Relaxed), 1);
        assert_eq!(slots.yielded(), 0, "it keeps its slot: no other could run in it");
        drop(second);
        assert_eq!(bounds.load().waiting_for_descriptors.load(Ordering::Relaxed), 0);
        assert_eq!(bounds.lock().len(), 1);
    }
}
