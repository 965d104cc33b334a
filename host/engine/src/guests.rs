//! The threads that guests run on. One that uses up its CPU time delays neither checks nor the database's answers, and where the
//! system allows it these threads step back behind everything else of the process.

use tokio::runtime::{Builder, Handle, Runtime};

/// How far the threads that run guests step back.
#[cfg(target_os = "linux")]
const GUESTS_NICE: i32 = 10;

/// A runtime of their own.
pub(crate) struct Guests(Option<Runtime>);

impl Guests {
    /// Where they run; `None`: they are about to end.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }

    pub(crate) fn start() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads).thread_name("guests").enable_all();
        // A guest that computes gives its thread back once a tick: whoever waits for an answer is looked at as often.
        builder.event_interval(1).global_queue_interval(1);
        #[cfg(target_os = "linux")]
        builder.on_thread_start(|| {
            // Of this thread alone.
            let _ = rustix::process::setpriority_process(None, GUESTS_NICE);
        });
        Ok(Self(Some(builder.build()?)))
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        // Dropped by a task: it must not wait for what still runs.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
