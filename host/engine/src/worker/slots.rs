//! Jobs that were claimed and can't begin yet, because what they are about has no room for them (a host that is busy with
//! others). They hold no slot: the worker claims others for it, up to a bound, so that one busy thing does not stop the rest.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a job holds while it runs, whatever its queue bounds.
#[derive(Default)]
pub struct Permit(Option<Box<dyn Any + Send>>);

impl Permit {
    /// A place that is left when `held` is dropped.
    pub fn holding(held: impl Any + Send) -> Self {
        Self(Some(Box::new(held)))
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.is_some()).finish()
    }
}

/// The jobs of a worker that wait for their place.
#[derive(Debug, Default)]
pub struct Slots {
    yielded: AtomicUsize,
    pub(super) came: Notify,
    /// The worker stops: nobody begins any more.
    pub(super) closed: CancellationToken,
}

impl Slots {
    /// A job has yielded its slot for as long as the answer is kept.
    pub fn yield_slot(&self) -> Yielded<'_> {
        self.yielded.fetch_add(1, Ordering::Relaxed);
        self.came.notify_one();
        Yielded(self)
    }

    pub fn yielded(&self) -> usize {
        self.yielded.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub struct Yielded<'p>(&'p Slots);

impl Drop for Yielded<'_> {
    fn drop(&mut self) {
        self.0.yielded.fetch_sub(1, Ordering::Relaxed);
    }
}
