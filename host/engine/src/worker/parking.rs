//! Jobs that were claimed and can't begin yet, because what they are about has no room for them (a host that is busy with
//! others). They hold no slot: the worker claims others for it, up to a bound, so that one busy thing does not stop the rest.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a job holds while it runs, whatever its queue bounds.
#[derive(Default)]
pub struct Place(Option<Box<dyn Any + Send>>);

impl Place {
    /// A place that is left when `held` is dropped.
    pub fn holding(held: impl Any + Send) -> Self {
        Self(Some(Box::new(held)))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.is_some()).finish()
    }
}

/// The jobs of a worker that wait for their place.
#[derive(Debug, Default)]
pub struct Parking {
    parked: AtomicUsize,
    pub(super) came: Notify,
    /// The worker stops: nobody begins any more.
    pub(super) closed: CancellationToken,
}

impl Parking {
    /// A job is parked for as long as the answer is kept.
    pub fn park(&self) -> Parked<'_> {
        self.parked.fetch_add(1, Ordering::Relaxed);
        self.came.notify_one();
        Parked(self)
    }

    pub fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub struct Parked<'p>(&'p Parking);

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Ordering::Relaxed);
    }
}
