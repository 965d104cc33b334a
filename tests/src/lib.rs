//! What the tests of `uptime` stand on: a PostgreSQL of their own, targets that go up and down when told, and
//! sinks that remember what they were sent.
//!
//! Everything is real and on loopback. Targets and sinks run on a runtime of the harness, so they answer whatever
//! the test does: it may block on a child process, and it may be async or not. Nothing waits without an end:
//! every wait has a deadline, and says what it waited for and what there was.

#![expect(clippy::missing_panics_doc, reason = "a harness panics: so a test fails")]

mod cpu;
mod database;
mod deadline;
mod http_target;
mod listening;
mod name_server;
mod postgres;
mod relay;
mod replication;
mod reply;
mod seed;
mod server_process;
mod sink;
mod tcp_target;
#[cfg(test)]
mod tests;

pub use cpu::{ProcessStat, postgres_cpu_seconds};
pub use database::TestDatabase;
pub use deadline::{DEADLINE, within};
pub use fastrand::Rng;
pub use http_target::HttpTarget;
pub use name_server::{DnsQuestion, DnsRecord, DnsReply, NameServer, RecordKind, dns_name};
pub use postgres::TestServer;
pub use relay::Relay;
pub use replication::ReplicationServer;
pub use reply::{Received, Reply};
pub use seed::Seed;
pub use server_process::{ServerProcess, serve_until_released};
pub use sink::WebhookSink;
pub use tcp_target::{DeafTarget, TcpTarget};

use std::sync::OnceLock;
use tokio::runtime::Runtime;

/// The runtime of targets and sinks.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("uptime-tests").enable_all();
        builder.build().expect("a runtime can be made")
    })
}

/// Awaits in a test that is not async.
pub fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}
