//! Connections that are kept for the next check of the same monitor, where it asks for that (`reuse`).
//!
//! They are few, young and of one owner at a time, and none has a task of its own: one for all looks once a second
//! which of them are over, and ends when there are none. A connection can die without our noticing all the same, so
//! whoever takes one must be ready to open another.

use super::exchange::Connection;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use uptime_core::monitor::{HttpVersions, Lookup, TlsSpec};

/// How long one waits for the next check: two default intervals, and then some.
const IDLE_MAX: Duration = Duration::from_secs(150);

/// How long one lives in all. A check that uses it sees no new address of its name, so that must come to an end.
const AGE_MAX: Duration = Duration::from_mins(10);

/// From one look at all of them to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a connection is good for. Checks that agree in all of it may share one, one after the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// `https://example.com:443`.
    pub(super) origin: String,
    pub(super) tls: TlsSpec,
    pub(super) versions: HttpVersions,
    pub(super) lookup: Lookup,
    /// The one address that the check is about.
    pub(super) pinned: Option<IpAddr>,
    /// The proxy, with its login.
    pub(super) proxy: Option<String>,
}

/// The connections that are kept.
pub(crate) struct Pool {
    kept: Arc<Mutex<Kept>>,
    /// How many are kept in all.
    most: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Key, Vec<Idle>>,
    count: usize,
    is_looked_after: bool,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_young(&self) -> bool {
        self.since.elapsed() < IDLE_MAX && self.connection.opened.elapsed() < AGE_MAX
    }
}

impl Pool {
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Arc::default(), most: AtomicUsize::new(most) }
    }

    /// From now on no more than so many are kept.
    pub(crate) fn keep_at_most(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// The connection that was used last, when there is one that seems alive.
    pub(super) async fn take(&self, key: &Key) -> Option<Connection> {
        poll_fn(|cx| {
            let mut kept = lock(&self.kept);
            while let Some(mut idle) = kept.take(key) {
                if idle.is_young() && idle.connection.poll_open(cx) {
                    return Poll::Ready(Some(idle.connection));
                }
            }
            Poll::Ready(None)
        })
        .await
    }

    /// Keeps a connection for later. When there are too many, the one that has waited longest goes.
    pub(super) fn keep(&self, key: Key, connection: Connection) {
        let mut kept = lock(&self.kept);
        if kept.count >= self.most.load(Relaxed) {
            kept.drop_oldest();
        }
        kept.by_key.entry(key).or_default().push(Idle { connection, since: Instant::now() });
        kept.count += 1;
        if !kept.is_looked_after {
            kept.is_looked_after = true;
            tokio::spawn(look_after(Arc::downgrade(&self.kept)));
        }
    }
}

impl Kept {
    fn take(&mut self, key: &Key) -> Option<Idle> {
        let of_key = self.by_key.get_mut(key)?;
        let idle = of_key.pop();
        if of_key.is_empty() {
            self.by_key.remove(key);
        }
        self.count -= usize::from(idle.is_some());
        idle
    }

    fn drop_oldest(&mut self) {
        let since = |idle: &Vec<Idle>| idle.first().map(|idle| idle.since);
        let oldest = self.by_key.iter().min_by_key(|(_, idle)| since(idle)).map(|(key, _)| key.clone());
        if let Some(key) = oldest
            && let Some(of_key) = self.by_key.get_mut(&key)
        {
            of_key.remove(0);
            self.count -= 1;
            if of_key.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }
}

/// Closes what is over until nothing is left.
async fn look_after(kept: Weak<Mutex<Kept>>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let Some(kept) = kept.upgrade() else { return };
        // All of them in one go: each look is a read that would block.
        let looked = tokio::task::unconstrained(poll_fn(|cx| {
            let mut kept = lock(&kept);
            kept.by_key.retain(|_, of_key| {
                of_key.retain_mut(|idle| idle.is_young() && idle.connection.poll_open(cx));
                !of_key.is_empty()
            });
            kept.count = kept.by_key.values().map(Vec::len).sum();
            kept.is_looked_after = kept.count > 0;
            Poll::Ready(kept.is_looked_after)
        }));
        if !looked.await {
            return;
        }
    }
}

/// A panic under the lock leaves connections behind that are looked at before they are used.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
