//! Who may start and stop the server, and who uses it.
//!
//! Two files, locked with `flock`, so that the kernel frees what a killed process held. `start.lock` is held
//! exclusively around every start and stop. `users.lock` is held shared by each lease for its life, and is taken
//! exclusively only under `start.lock`: who gets it is alone.

use crate::error::PostgresError;
use crate::layout::Layout;
use std::fs::{File, TryLockError};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// How long one call waits, in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    whole: Duration,
    until: Instant,
}

impl Deadline {
    pub(crate) fn new(whole: Duration) -> Self {
        Self { whole, until: Instant::now() + whole }
    }

    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.until
    }

    pub(crate) fn rest(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    pub(crate) fn seconds(self) -> u64 {
        self.whole.as_secs()
    }
}

#[derive(Debug)]
pub(crate) struct StartLock(File);

impl StartLock {
    /// Waits for it. `on_wait` is called once, if it is another's now.
    pub(crate) fn take(
        layout: &Layout,
        deadline: Deadline,
        on_wait: impl FnOnce(),
    ) -> Result<Self, PostgresError> {
        let mut on_wait = Some(on_wait);
        loop {
            let file = layout.open_lock("start.lock")?;
            if try_lock(&file, layout)? {
                return Ok(Self(file));
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            if deadline.is_over() {
                return Err(PostgresError::Busy {
                    directory: layout.base.clone(),
                    seconds: deadline.seconds(),
                });
            }
            // `flock` knows no deadline, so it is asked again.
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The lock as a child's stdin. A child that outlives this process holds it until it ends: nobody removes a
    /// directory that an orphaned `initdb` still fills, or starts beside an orphaned `pg_ctl`.
    pub(crate) fn as_stdin(&self) -> Result<Stdio, PostgresError> {
        self.0.try_clone().map(Stdio::from).map_err(PostgresError::io("share the lock of", "start.lock"))
    }
}

impl Drop for StartLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that still has it as stdin would keep the lock. Unlocking can only fail
        // on a descriptor that is none.
        let _ = self.0.unlock();
    }
}

/// The mark of a user.
#[derive(Debug)]
pub(crate) struct UsersLock(File);

impl UsersLock {
    /// Registers a user. Called under the start lock, so nobody holds it exclusively.
    pub(crate) fn join(layout: &Layout) -> Result<Self, PostgresError> {
        let file = layout.open_lock("users.lock")?;
        file.lock_shared().map_err(PostgresError::io("lock", layout.base.join("users.lock")))?;
        Ok(Self(file))
    }

    /// Gives the mark back; whether it was the last. Called under the start lock.
    pub(crate) fn leave_as_last(self, layout: &Layout) -> Result<bool, PostgresError> {
        try_lock(&self.0, layout)
    }

    /// Whether there is a user. Called under the start lock.
    pub(crate) fn is_held(layout: &Layout) -> Result<bool, PostgresError> {
        let file = layout.open_lock("users.lock")?;
        Ok(!try_lock(&file, layout)?)
    }
}

impl Drop for UsersLock {
    fn drop(&mut self) {
        // As above, for a child of ours between its `fork` and its `exec`.
        let _ = self.0.unlock();
    }
}

fn try_lock(file: &File, layout: &Layout) -> Result<bool, PostgresError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(PostgresError::io("lock a file in", &layout.base)(error)),
    }
}
