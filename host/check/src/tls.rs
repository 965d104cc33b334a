//! TLS: the handshake with a target, and what its failure means.
//!
//! Every handshake is a full one. A resumed session does not show its certificate again, and a check that does not
//! look at the certificate would go on being green after it expired.

use crate::trace::{Step, Trace};
use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use uptime_core::check::{Failure, FailureClass};

pub(crate) struct Tls {
    connector: TlsConnector,
    /// Why nothing can be trusted, when there is no root.
    no_roots: Option<String>,
}

impl Tls {
    /// Trusts what this machine trusts.
    pub(crate) fn native() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // A single certificate that rustls can't read is no reason to trust none of the others.
        roots.add_parsable_certificates(found.certs);
        let reason = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        let tls = Self::with_roots(roots)?;
        Ok(Self { no_roots: tls.no_roots.map(|_| reason), ..tls })
    }

    pub(crate) fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let no_roots = roots.is_empty().then(|| "none was given".to_owned());
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), no_roots })
    }

    /// Shakes hands with the target, which must prove that it is `host`.
    pub(crate) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
        trace: &mut Trace,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        if let Some(reason) = &self.no_roots {
            let message = format!(
                "this machine trusts no certificate ({reason}): install the package `ca-certificates`, or set `SSL_CERT_FILE`"
            );
            return Err(Failure::new(FailureClass::Settings, message));
        }
        // The dot that ends an absolute name belongs to DNS, and is in no certificate.
        let name = host.strip_suffix('.').unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            Failure::new(FailureClass::Settings, format!("`{host}` is no name that a certificate could have"))
        })?;
        let since = trace.enter(Step::Tls(host.to_owned()));
        let shaken = self.connector.connect(name, stream).await;
        trace.hop.phases.tls = Some(since.elapsed());
        shaken.map_err(|error| failure(host, &error))
    }
}

fn failure(host: &str, error: &io::Error) -> Failure {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        let (class, words) = super::errno::classify(error);
        let class = if class.is_ours() { class } else { FailureClass::TlsHandshake };
        return Failure::new(class, format!("the TLS handshake with `{host}` broke off: {words}"));
    };
    match tls {
        TlsError::InvalidCertificate(reason) => certificate(host, reason),
        TlsError::InvalidMessage(_) => Failure::new(
            FailureClass::TlsHandshake,
            format!("`{host}` does not speak TLS on this port: {tls}"),
        ),
        TlsError::AlertReceived(AlertDescription::UnrecognisedName) => Failure::new(
            FailureClass::TlsWrongName,
            format!("`{host}` says that it has no certificate for this name"),
        ),
        other => Failure::new(
            FailureClass::TlsHandshake,
            format!("the TLS handshake with `{host}` failed: {other}"),
        ),
    }
}

fn certificate(host: &str, reason: &CertificateError) -> Failure {
    let class_and_words = match reason {
        CertificateError::UnknownIssuer => {
            (FailureClass::TlsUnknownIssuer, "is from an issuer that is not trusted here".to_owned())
        }
        CertificateError::BadSignature => {
            (FailureClass::TlsUnknownIssuer, "is not signed by the issuer that it names".to_owned())
        }
        CertificateError::Other(other) if is_ca_as_leaf(other) => (
            FailureClass::TlsUnknownIssuer,
            "is a CA's own, which no server may show (self-signed?)".to_owned(),
        ),
        CertificateError::Expired => (FailureClass::TlsExpired, "has expired".to_owned()),
        CertificateError::ExpiredContext { not_after, .. } => {
            (FailureClass::TlsExpired, format!("expired on {}", instant(*not_after)))
        }
        CertificateError::NotValidYet => (FailureClass::TlsExpired, "is not valid yet".to_owned()),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (FailureClass::TlsExpired, format!("is not valid before {}", instant(*not_before)))
        }
        CertificateError::NotValidForName => (FailureClass::TlsWrongName, "is for another name".to_owned()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let failure = Failure::new(
                FailureClass::TlsWrongName,
                format!("the certificate of `{host}` is for another name"),
            );
            return failure
                .with(host, presented.iter().map(|name| dns_name(name)).collect::<Vec<_>>().join(", "));
        }
        other => (FailureClass::TlsHandshake, format!("is not acceptable: {other}")),
    };
    let (class, words) = class_and_words;
    Failure::new(class, format!("the certificate of `{host}` {words}"))
}

/// Webpki's verdict on the certificate that `openssl req -x509` makes. Its type is not part of rustls' interface;
/// its name is what there is.
fn is_ca_as_leaf(error: &rustls::OtherError) -> bool {
    format!("{:?}", error.0) == "CaUsedAsEndEntity"
}

/// `DnsName("example.com")`, as rustls lists the names, without the wrapping.
fn dns_name(listed: &str) -> &str {
    listed.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")")).unwrap_or(listed)
}

fn instant(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let timestamp = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(|| "a day beyond all calendars".to_owned(), |timestamp| timestamp.to_string())
}
