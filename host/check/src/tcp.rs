//! The TCP check: the connection must come about. It is closed at once, and leaves no port behind.

use crate::connect::connect;
use crate::resolve::Names;
use crate::trace::Trace;
use tokio::time::Instant;
use uptime_core::check::Failure;
use uptime_core::monitor::TcpSpec;

pub(crate) async fn run(
    names: &Names<'_>,
    spec: &TcpSpec,
    deadline: Instant,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let addresses = names.resolve(&spec.host, spec.port, trace).await?;
    connect(&addresses, deadline, trace).await.map(drop)
}
