//! The wasmtime engine, set up so that a guest can neither hang nor starve the host, and the thread that keeps an eye
//! on running guests.
//!
//! Each tick of the epoch, a running guest is asked for a moment: it pays one tick of its CPU budget and lets other
//! tasks of its thread run. The ticker is a thread, not a task, because a task would not run while guests hold all of
//! the runtime's threads. It sleeps as long as nobody runs.

use crate::call::Call;
use crate::limits::Limits;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use uptime_core::text::printable;
use wasmtime::{Config, Engine, EngineWeak, Store, UpdateDeadline};

/// An engine for components that are not trusted.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(Limits::STACK)
        .async_stack_size(Limits::STACK * 2)
        // 64 MiB of addresses an instance instead of 4 GiB: 29 µs to make one, and thousands fit.
        .memory_reservation(64 << 20)
        .memory_guard_size(64 << 10)
        // A guest's few pages of data are copied, not mapped: a tenth more deliveries a second (`--bench deliveries`).
        .memory_init_cow(false)
        .memory_reservation_for_growth(1 << 20)
        .wasm_backtrace_max_frames(NonZeroUsize::new(16))
        // Nothing that a notifier needs, and less to go wrong. (Several memories are needed: what wasmtime puts between two
        // components of one component has both of theirs, and compiling it would panic without.)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false);
    Engine::new(&config)
}

pub(crate) fn store(engine: &Engine, handed_over: usize, call: Call) -> Store<Call> {
    let mut store = Store::new(engine, call);
    store.limiter(|call| &mut call.memory);
    store.set_hostcall_fuel(handed_over);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().tick()?;
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

/// The thread that moves the epoch while guests run.
pub(crate) struct Ticker {
    thread: Thread,
    running: Arc<AtomicUsize>,
}

impl Ticker {
    /// Starts the thread. It ends after the engine has gone.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let running = Arc::new(AtomicUsize::new(0));
        let (engine, counter) = (engine.weak(), Arc::clone(&running));
        let handle = std::thread::Builder::new()
            .name("plugin-ticker".into())
            .spawn(move || tick(&engine, &counter))?;
        Ok(Self { thread: handle.thread().clone(), running })
    }

    /// Keeps the epoch moving until the answer is dropped.
    pub(crate) fn run(&self) -> Running {
        if self.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Running(Arc::clone(&self.running))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// A guest is running.
pub(crate) struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn tick(engine: &EngineWeak, running: &AtomicUsize) {
    while let Some(engine) = engine.upgrade() {
        if running.load(Ordering::Acquire) == 0 {
            drop(engine);
            // Woken by the next call; the timeout is for an engine that goes without one.
            std::thread::park_timeout(Duration::from_secs(5));
        } else {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(Limits::TICK);
        }
    }
}

/// An error of wasmtime with its causes.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    printable(&format!("{error:#}"), 500)
}
