//! The verifier of one handshake: webpki decides, and what it decided on is written down.
//!
//! With `verify = false` no fault of a certificate ends the handshake, and the verdict is the same. Each handshake has a
//! record of its own, so that checks at once don't mix; a record costs two allocations.

use super::certificate::{self, Read};
use super::failure;
use super::material::Material;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use uptime_core::check::{Certificate, Failure};

/// What a handshake showed so far.
#[derive(Debug)]
pub(super) struct Record {
    material: Arc<Material>,
    /// The target's host, for the words of a verdict.
    host: String,
    /// Whether a certificate that is not trusted ends the handshake.
    verify: bool,
    seen: Mutex<Seen>,
    asked_for_ours: AtomicBool,
}

/// The certificates and the verdict on them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) chain: Vec<Certificate>,
    pub(super) distrust: Option<Failure>,
}

impl Record {
    pub(super) fn new(material: Arc<Material>, host: &str, verify: bool) -> Self {
        Self {
            material,
            host: host.to_owned(),
            verify,
            seen: Mutex::default(),
            asked_for_ours: AtomicBool::new(false),
        }
    }

    /// Gives out what was seen.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
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
    ) -> Result<(), TlsError> {
        let Some(verifier) = &self.material.verifier else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        let judged = verifier.verify_server_cert(own, others, name, ocsp, now).map(drop);
        match judged {
            Err(TlsError::InvalidCertificate(CertificateError::Other(other)))
                if is_ca_as_leaf(&other) && self.material.pinned.contains(own) =>
            {
                // Its dates are looked at before what it may be used for; the name is not.
                rustls::client::verify_server_name(&ParsedCertificate::try_from(own)?, name)
            }
            judged => judged,
        }
    }

    fn is_root(&self, subject: &[u8]) -> bool {
        // A root's subject is kept without the tag and length of its sequence, which are two to four bytes.
        self.material.roots.roots.iter().any(|root| {
            subject.len().checked_sub(root.subject.len()).is_some_and(|head| (2..=4).contains(&head))
                && subject.ends_with(&root.subject)
        })
    }

    /// Writes a verdict down. The first stays; what follows from a fault is no other fault.
    fn note(&self, error: &TlsError, chain: &[Read]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.distrust.is_none() {
            seen.distrust = Some(failure::distrust(&self.host, error, chain));
        }
    }

    /// The verdict on the target's proof that it has the certificate's key.
    fn proven(
        &self,
        certificate: &CertificateDer<'_>,
        proof: Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let Err(error) = proof else { return proof };
        let chain = certificate::chain(std::slice::from_ref(certificate), |_| false);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.distrust.is_none() {
            seen.distrust = Some(failure::unproven(&self.host, &error, chain.first()));
        }
        if self.verify { Err(error) } else { Ok(HandshakeSignatureValid::assertion()) }
    }

    fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.material.config.crypto_provider().signature_verification_algorithms
    }
}

impl ServerCertVerifier for Record {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let ders: Vec<CertificateDer<'_>> = std::iter::once(own).chain(others).cloned().collect();
        let chain = certificate::chain(&ders, |subject| self.is_root(subject));
        let judged = self.judge(own, others, name, ocsp, now);
        if let Err(error) = &judged {
            self.note(error, &chain);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
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

impl ResolvesClientCert for Record {
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
pub(super) fn is_ca_as_leaf(error: &OtherError) -> bool {
    format!("{:?}", error.0) == "CaUsedAsEndEntity"
}
