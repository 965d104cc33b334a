//! Who is trusted, and until when.
//!
//! webpki knows an authority by its name and its key. OpenSSL, Go and browsers also refuse what it vouches for once its
//! own certificate is over, and so does this.

use super::certificate::{self, CertificateInfo};
use super::provider::provider;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error as TlsError, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Authorities {
    store: Arc<RootCertStore>,
    /// The certificates of the store's authorities, in its order. Empty where their names and keys are all that is known.
    known: Vec<Option<CertificateInfo>>,
    /// `None` without any authority: nothing can be verified.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

pub(super) struct Verdict<'a> {
    pub(super) error: TlsError,
    /// The authority that it comes from, when the fault is there.
    pub(super) authority: Option<&'a CertificateInfo>,
}

impl From<TlsError> for Verdict<'_> {
    fn from(error: TlsError) -> Self {
        Self { error, authority: None }
    }
}

impl Authorities {
    /// Those of `store`, of which `certificates` are the certificates in the same order, or none.
    pub(super) fn new(store: RootCertStore, certificates: &[CertificateDer<'_>]) -> Result<Self, TlsError> {
        let store = Arc::new(store);
        let known = certificates.iter().map(certificate::read).collect();
        Ok(Self { verifier: verifier(&store)?, store, known })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Whether one of them has this name, in DER.
    pub(super) fn has(&self, subject: &[u8]) -> bool {
        // It is kept without the tag and length of its sequence, which are two to four bytes.
        self.store.roots.iter().any(|root| {
            subject.len().checked_sub(root.subject.len()).is_some_and(|head| (2..=4).contains(&head))
                && subject.ends_with(&root.subject)
        })
    }

    /// Verifies what a target shows: `own`, and `others` beside it, all of them read in `chain`.
    pub(super) fn verify(
        &self,
        (own, others): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
        chain: &[CertificateInfo],
    ) -> Result<(), Verdict<'_>> {
        let verify =
            |by: &WebPkiServerVerifier| by.verify_server_cert(own, others, name, ocsp, now).map(drop);
        let Some(verifier) = &self.verifier else {
            return Err(TlsError::from(CertificateError::UnknownIssuer).into());
        };
        verify(verifier).map_err(|error| Verdict {
            authority: self.above(chain).next().filter(|_| error == CertificateError::BadSignature.into()),
            error,
        })?;
        let over = self.above(chain).find_map(|authority| Some((authority, fault_in_time(authority, now)?)));
        let Some((authority, fault)) = over else { return Ok(()) };
        // It may have a successor of the same name, or there may be another way around it.
        if self.verifier_of_the_valid(now)?.is_some_and(|verifier| verify(&verifier).is_ok()) {
            return Ok(());
        }
        Err(Verdict { error: fault.into(), authority: Some(authority) })
    }

    /// The authority that vouches for a chain that is trusted; of several of its name the one that ends last.
    pub(super) fn voucher(&self, chain: &[CertificateInfo], now: UnixTime) -> Option<&CertificateInfo> {
        let valid = self.above(chain).filter(|authority| fault_in_time(authority, now).is_none());
        valid.max_by_key(|authority| authority.certificate.not_after)
    }

    /// Those who may have signed one of the certificates that count.
    fn above(&self, chain: &[CertificateInfo]) -> impl Iterator<Item = &CertificateInfo> {
        self.known.iter().flatten().filter(|authority| {
            chain.iter().any(|read| read.certificate.counts && read.is_issued_by(authority))
        })
    }

    fn verifier_of_the_valid(&self, now: UnixTime) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
        let is_valid = |known: &Option<CertificateInfo>| {
            known.as_ref().is_none_or(|read| fault_in_time(read, now).is_none())
        };
        let valid = self.store.roots.iter().zip(&self.known).filter(|(_, known)| is_valid(known));
        verifier(&Arc::new(RootCertStore { roots: valid.map(|(root, _)| root.clone()).collect() }))
    }
}

fn verifier(store: &Arc<RootCertStore>) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
    if store.is_empty() {
        return Ok(None);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::clone(store), provider())
        .build()
        .map(Some)
        .map_err(|error| TlsError::General(error.to_string()))
}

/// What is wrong with a certificate at the instant `now`, in webpki's words.
fn fault_in_time(read: &CertificateInfo, now: UnixTime) -> Option<CertificateError> {
    let [begin, end] = [read.certificate.not_before, read.certificate.not_after].map(|instant| {
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(instant.as_second()).unwrap_or(0)))
    });
    if now > end {
        Some(CertificateError::ExpiredContext { time: now, not_after: end })
    } else if now < begin {
        Some(CertificateError::NotValidYetContext { time: now, not_before: begin })
    } else {
        None
    }
}
