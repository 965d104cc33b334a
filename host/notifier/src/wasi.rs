//! WASI with nothing in it, for the languages whose runtimes can't do without (JavaScript, Python).
//!
//! A component that imports `wasi:…` finds the functions there and behind them an empty machine: no argument, no
//! variable, no folder, no socket, no name service, an input at its end. Both clocks stand still at the delivery's
//! instant (at 1970 outside of a delivery), and waiting is cut short by the call's deadline. What is written to stdout
//! and stderr becomes log lines, within the plugin's limits. The context is made at the first use, so that a plugin
//! without WASI pays nothing.

use crate::limits::Limits;
use std::time::Duration;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView};

/// Streams, pollables and the like that a guest may hold at a time. Each is memory of the host.
pub(crate) const RESOURCES: usize = 256;
/// Random bytes that are given out at once.
const RANDOM_BYTES: u64 = 64 * 1024;

/// The empty machine of one call.
pub(crate) struct Wasi {
    context: WasiCtx,
    resources: ResourceTable,
    written: MemoryOutputPipe,
}

impl Wasi {
    pub(crate) fn at(now: Duration, limits: &Limits) -> Self {
        let lines = usize::try_from(limits.log_lines).unwrap_or(usize::MAX);
        let written = MemoryOutputPipe::new(lines.saturating_mul(limits.log_line_chars));
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES);
        // A builder that nobody told anything is empty; what is said here is clocks, outputs and limits.
        let context = WasiCtx::builder()
            .wall_clock(Stopped(now))
            .monotonic_clock(Stopped(now))
            .stdout(written.clone())
            .stderr(written.clone())
            .max_random_size(RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        Self { context, resources, written }
    }

    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.resources }
    }

    /// What the guest wrote to stdout and stderr.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.contents()).into_owned()
    }
}

/// A clock that stands still.
struct Stopped(Duration);

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}
