//! What a hop's TLS must be, beside trusted: new enough, and valid for long enough.

use crate::trace::Trace;
use jiff::Timestamp;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::monitor::{CertificateDays, TlsVersion};

/// Judges what the handshake of this hop with `host` showed, whether it was a moment ago or, with a connection that was
/// kept, days ago. Without TLS there is nothing to judge. What is only worth telling becomes a warning of the trace.
pub(crate) fn judge(
    trace: &mut Trace,
    host: &str,
    lowest: Option<TlsVersion>,
    days: CertificateDays,
) -> Result<(), Failure> {
    let Some(tls) = &trace.hop.tls else { return Ok(()) };
    if let (Some(lowest), Some(version)) = (lowest, tls.version)
        && version < lowest
    {
        let message = format!("`{host}` speaks TLS {version} at most, and that is too old");
        let failure = Failure::new(FailureClass::Assertion, message);
        return Err(failure.with(format!("TLS {lowest}"), format!("TLS {version}")));
    }
    let warning = days.judge(tls, host, Timestamp::now())?;
    trace.warnings.extend(warning);
    Ok(())
}
