//! The TCP check: the connection must come about. It is closed at once, and leaves no port behind.

use crate::Means;
use crate::connect::connect;
use crate::trace::Trace;
use tokio::time::Instant;
use uptime_core::check::Failure;
use uptime_core::monitor::TcpSpec;

pub(crate) async fn run(
    means: &Means,
    spec: &TcpSpec,
    deadline: Instant,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let addresses = means.resolver.resolve(&spec.host, spec.port, spec.lookup.ip, trace).await?;
    connect(&addresses, deadline, trace).await.map(drop)
}
