//! TLS: the handshake with a target, and what it shows.
//!
//! Every handshake is a full one. A resumed session does not show its certificate again, and a check that does not
//! look at the certificate would go on being green after it expired. What a target shows is evidence in any case,
//! whether it is trusted or not.

mod authorities;
mod certificate;
mod failure;
pub mod files;
mod material;
mod provider;
mod record;

pub(crate) use failure::late_refusal;

use crate::trace::Trace;
use authorities::Authorities;
use failure::Attempt;
use jiff::{SignedDuration, Timestamp};
use material::{Materials, TlsSettings};
use record::RecordingVerifier;
use rustls::pki_types::ServerName;
use rustls::{Error as TlsError, ProtocolVersion, RootCertStore};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use uptime_core::check::{Failure, FailureClass, TlsEvidence};
use uptime_core::monitor::{CertificateDays, TlsSpec, TlsVersion};
use uptime_core::secret::access::Access;

pub(crate) struct Tls {
    materials: Materials,
    /// How many seconds this machine's clock is behind the one that rules.
    behind: AtomicI64,
}

/// The protocols that are offered to be spoken over TLS (ALPN). The target's choice is
/// `stream.get_ref().1.alpn_protocol()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// None: whatever the port is for.
    Nothing,
    Http1,
    Http2,
    /// Both; HTTP/2 is preferred.
    Http2Or1,
}

impl Alpn {
    fn protocols(self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &[],
            Self::Http1 => &["http/1.1"],
            Self::Http2 => &["h2"],
            Self::Http2Or1 => &["h2", "http/1.1"],
        }
    }
}

impl Tls {
    /// Trusts what this machine trusts.
    pub(crate) fn native() -> Result<Self, TlsError> {
        Ok(Self { materials: Materials::new(TlsSettings::native()?), behind: AtomicI64::new(0) })
    }

    pub(crate) fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let authorities = Authorities::new(roots, &[])?;
        let materials = Materials::new(TlsSettings::with(authorities, "none was given")?);
        Ok(Self { materials, behind: AtomicI64::new(0) })
    }

    /// Has certificates judged by another clock, which showed `now` a moment ago. Less than an hour apart they agree.
    pub(crate) fn set_clock(&self, now: Timestamp) {
        let behind = now.as_second() - Timestamp::now().as_second();
        self.behind.store(if behind.abs() < 3600 { 0 } else { behind }, Relaxed);
    }

    fn now(&self) -> Timestamp {
        let behind = SignedDuration::from_secs(self.behind.load(Relaxed));
        Timestamp::now().saturating_add(behind).unwrap_or(Timestamp::MAX)
    }

    /// Shakes hands with the target, which must prove that it is `host` (or the `server_name` of `spec`). Writes what
    /// it shows into the trace's hop, also when it fails.
    pub(crate) async fn handshake(
        &self,
        spec: &TlsSpec,
        host: &str,
        offers: Alpn,
        stream: TcpStream,
        trace: &mut Trace,
        access: &Access,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let material = self.materials.of(spec, access)?;
        if let (Some(reason), true) = (&material.no_roots, spec.verify) {
            let message = format!(
                "this machine trusts no certificate ({reason}): install the package `ca-certificates`, or set `SSL_CERT_FILE`"
            );
            return Err(Failure::new(FailureClass::Settings, message));
        }
        // The dot that ends an absolute name belongs to DNS, and is in no certificate.
        let name = spec.server_name.as_deref().unwrap_or(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            Failure::new(FailureClass::Settings, format!("`{name}` is no name that a certificate could have"))
        })?;
        let mut config = material.config.clone();
        let record = Arc::new(RecordingVerifier::new(material, host, spec.verify, self.now()));
        config.alpn_protocols = offers.protocols().iter().map(|name| name.as_bytes().to_vec()).collect();
        config.client_auth_cert_resolver = record.clone();
        config.dangerous().set_certificate_verifier(record.clone());
        let asked = host.to_owned();
        let since = trace.enter(move |waited, phases, limit| {
            phases.tls = Some(waited);
            let message = format!("the TLS handshake with `{asked}` did not end within {limit}");
            Failure::new(FailureClass::TlsTimeout, message)
        });
        let handshake_result = TlsConnector::from(Arc::new(config)).connect(server, stream).await;
        trace.hop.phases.tls = Some(since.elapsed());
        let seen = record.take();
        let version = handshake_result.as_ref().ok().and_then(version);
        let answered = !seen.chain.is_empty();
        if answered || version.is_some() {
            let (trust_failure, chain, authority) = (seen.trust_failure.clone(), seen.chain, seen.authority);
            trace.hop.tls = Some(TlsEvidence {
                version,
                trust_failure,
                chain,
                authority,
                asks_for_client: record.asked_for_ours(),
            });
        }
        handshake_result.map_err(|error| match seen.trust_failure {
            Some(trust_failure) if spec.verify => trust_failure,
            _ => Attempt {
                host,
                name,
                protocols: &offers.protocols().join(", "),
                answered,
                asked_for_ours: record.asked_for_ours(),
                has_ours: record.has_ours(),
            }
            .failure(&error),
        })
    }
}

/// How much longer than the handshake a target may take to refuse us after it.
const SETTLE_GRACE: Duration = Duration::from_millis(200);

/// Waits for what a target that asked for our certificate says next. With TLS 1.3 the handshake is done on our side
/// before the target has looked at it; then it sends a ticket, or an alert, or, since it need not, nothing.
pub(crate) async fn settle(
    stream: &mut TlsStream<TcpStream>,
    host: &str,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let limit = SETTLE_GRACE + trace.hop.phases.tls.unwrap_or_default() * 2;
    let next = async {
        stream.get_ref().0.readable().await?;
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        // A ticket is not given out: it leaves the read pending.
        match poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut buffer))).await {
            Poll::Ready(read) => read,
            Poll::Pending => Ok(()),
        }
    };
    match timeout(limit, next).await {
        Ok(Err(error)) => match late_refusal(host, &error) {
            Some((class, words)) => Err(Failure::new(class, words)),
            None => Ok(()),
        },
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// Judges what the handshake of this hop with `host` showed, beside that it is trusted: new enough, and valid for long
/// enough. What is only worth telling becomes a warning of the trace.
pub(crate) fn judge(
    by: &Tls,
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
    let warning = days.judge(tls, host, by.now())?;
    trace.warnings.extend(warning);
    Ok(())
}

fn version(stream: &TlsStream<TcpStream>) -> Option<TlsVersion> {
    match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::Tls12),
        Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
        _ => None,
    }
}
