//! The verifier of one handshake: webpki decides, and what it decided on is written down.
//!
//! With `verify = false` no fault of a certificate ends the handshake, and the verdict is the same. Each handshake has a
//! record of its own, so that checks at once don't mix; a record costs two allocations.

use super::authorities::Verdict;
use super::certificate::{self, CertificateInfo};
use super::failure;
use super::material::TlsSettings;
use jiff::Timestamp;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uptime_core::check::{Certificate, Failure};

#[derive(Debug)]
pub(super) struct RecordingVerifier {
    material: Arc<TlsSettings>,
    /// The target's host, for the words of a verdict.
    host: String,
    /// Whether a certificate that is not trusted ends the handshake.
    verify: bool,
    /// When it takes place.
    now: UnixTime,
    seen: Mutex<Seen>,
    asked_for_ours: AtomicBool,
}

/// The certificates and the verdict on them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) chain: Vec<Certificate>,
    /// Who vouches for it, where that is known.
    pub(super) authority: Option<Certificate>,
    pub(super) trust_failure: Option<Failure>,
}

impl RecordingVerifier {
    pub(super) fn new(material: Arc<TlsSettings>, host: &str, verify: bool, now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        Self {
            material,
            host: host.to_owned(),
            verify,
            now: UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            seen: Mutex::default(),
            asked_for_ours: AtomicBool::new(false),
        }
    }

    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the target wanted to know who we are.
    pub(super) fn asked_for_ours(&self) -> bool {
        self.asked_for_ours.load(Relaxed)
    }

    pub(super) fn has_ours(&self) -> bool {
        self.material.identity.is_some()
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
        chain: &[CertificateInfo],
    ) -> Result<(), Verdict<'_>> {
        let judged = self.material.authorities.verify((own, others), name, ocsp, now, chain);
        match judged {
            Err(Verdict { error: TlsError::InvalidCertificate(reason), .. })
                if (reason == CertificateError::UnknownIssuer || is_ca_as_leaf(&reason))
                    && self.material.pinned.contains(own) =>
            {
                // Its dates are looked at before what it may be used for and who signed it; the name is not.
                let own = ParsedCertificate::try_from(own)?;
                Ok(rustls::client::verify_server_name(&own, name)?)
            }
            judged => judged,
        }
    }

    /// Writes a verdict down. The first stays; what follows from a fault is no other fault.
    fn note(&self, error: &TlsError, chain: &[CertificateInfo]) {
        self.seen().trust_failure.get_or_insert_with(|| failure::trust_failure(&self.host, error, chain));
    }

    /// The verdict on the target's proof that it has the certificate's key.
    fn proven(
        &self,
        certificate: &CertificateDer<'_>,
        proof: Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let Err(error) = proof else { return proof };
        let chain = certificate::chain(std::slice::from_ref(certificate), |_| false);
        self.seen()
            .trust_failure
            .get_or_insert_with(|| failure::signature_failure(&self.host, &error, chain.first()));
        if self.verify { Err(error) } else { Ok(HandshakeSignatureValid::assertion()) }
    }

    fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.material.config.crypto_provider().signature_verification_algorithms
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let now = self.now;
        let ders: Vec<CertificateDer<'_>> = std::iter::once(own).chain(others).cloned().collect();
        let authorities = &self.material.authorities;
        let mut chain = certificate::chain(&ders, |subject| authorities.has(subject));
        let shown = chain.len();
        let judged = self.judge(own, others, name, ocsp, now, &chain).map_err(|verdict| {
            chain.extend(verdict.authority.cloned());
            self.note(&verdict.error, &chain);
            verdict.error
        });
        chain.truncate(shown);
        let mut seen = self.seen();
        if judged.is_ok() {
            seen.authority = authorities.voucher(&chain, now).map(|read| read.certificate.clone());
        }
        seen.chain = chain.into_iter().map(|read| read.certificate).collect();
        if self.verify {
            judged?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.proven(certificate, verify_tls12_signature(message, certificate, signature, &self.algorithms()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.proven(certificate, verify_tls13_signature(message, certificate, signature, &self.algorithms()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

impl ResolvesClientCert for RecordingVerifier {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked_for_ours.store(true, Relaxed);
        // Whatever authorities it names: that it refuses ours is for the target to say, in its words.
        self.material.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.material.identity.is_some()
    }
}

/// Whether this is webpki's verdict on the certificate that `openssl req -x509` makes. Its type is not part of rustls' interface;
/// its name is what there is.
fn is_ca_as_leaf(reason: &CertificateError) -> bool {
    matches!(reason, CertificateError::Other(OtherError(error)) if format!("{error:?}") == "CaUsedAsEndEntity")
}
