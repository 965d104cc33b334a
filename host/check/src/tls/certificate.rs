//! From a certificate's DER form to what people want to know of it.
//!
//! Nothing here decides about trust; that is webpki's. What can't be read is left out.

use bytes::Bytes;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use uptime_core::check::Certificate;
use uptime_core::text::printable;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev, oid2sn};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

/// How many certificates of a chain are looked at. No chain that works is longer than half of it.
const CHAIN_MAX: usize = 10;

/// How many names of a certificate are kept.
const NAMES_MAX: usize = 50;

/// The longest name that is kept, in characters.
const NAME_MAX: usize = 200;

/// A certificate, and what explains a verdict on it.
#[derive(Clone, Debug)]
pub(super) struct CertificateInfo {
    pub(super) certificate: Certificate,
    /// The names of its owner and its issuer in DER, which are what links a chain.
    subject: Vec<u8>,
    issuer: Vec<u8>,
    /// The algorithm of its signature, as `ecdsa-with-SHA256`.
    pub(super) signed_with: String,
    /// The bits of its key, when that is RSA.
    pub(super) rsa_bits: Option<usize>,
}

impl CertificateInfo {
    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether it names `other` as its issuer.
    pub(super) fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer == other.subject
    }
}

/// Reads a chain as it came, the target's own certificate first. `is_root` knows the trusted authorities by their
/// subject in DER.
pub(super) fn chain(ders: &[CertificateDer<'_>], is_root: impl Fn(&[u8]) -> bool) -> Vec<CertificateInfo> {
    let mut chain: Vec<CertificateInfo> = ders.iter().take(CHAIN_MAX).filter_map(read).collect();
    mark_those_that_count(&mut chain, is_root);
    chain
}

/// Follows the issuers from the target's own certificate to a trusted one, or as far as the chain goes. An issuer that was
/// signed anew may be there twice; the one that ends last is the one that a verifier takes when the other is over.
fn mark_those_that_count(chain: &mut [CertificateInfo], is_root: impl Fn(&[u8]) -> bool) {
    let mut next = (!chain.is_empty()).then_some(0);
    while let Some(index) = next {
        chain[index].certificate.counts = true;
        let issuer = &chain[index].issuer;
        next = if is_root(issuer) || chain[index].is_self_issued() {
            None
        } else {
            let named = |other: &&CertificateInfo| !other.certificate.counts && other.subject == *issuer;
            let last_to_end = chain.iter().filter(named).map(|other| other.certificate.not_after).max();
            chain.iter().position(|other| named(&other) && Some(other.certificate.not_after) == last_to_end)
        };
    }
}

pub(super) fn read(der: &CertificateDer<'_>) -> Option<CertificateInfo> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let validity = parsed.validity();
    let rsa_bits = match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()),
        _ => None,
    };
    let algorithm = &parsed.signature_algorithm.algorithm;
    let signed_with =
        oid2sn(algorithm, oid_registry()).map_or_else(|_| algorithm.to_id_string(), str::to_owned);
    Some(CertificateInfo {
        certificate: Certificate {
            subject: distinguished_name(parsed.subject()),
            issuer: distinguished_name(parsed.issuer()),
            names: names(&parsed),
            not_before: timestamp(validity.not_before),
            not_after: timestamp(validity.not_after),
            sha256: format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(der))),
            counts: false,
        },
        subject: parsed.subject().as_raw().to_vec(),
        issuer: parsed.issuer().as_raw().to_vec(),
        signed_with,
        rsa_bits,
    })
}

/// `CN=example.com, O=Example`: the most special part first (RFC 4514), with spaces, for people.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let attributes = name.iter_attributes().map(|attribute| {
        let kind = attribute.attr_type();
        let key = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
        format!("{key}={}", attribute.as_str().unwrap_or("?"))
    });
    let mut attributes: Vec<String> = attributes.collect();
    attributes.reverse();
    let text = attributes.join(", ");
    if text.is_empty() { "(no name)".to_owned() } else { printable(&text, NAME_MAX) }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(printable(name, NAME_MAX)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    names.take(NAMES_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// `99991231235959Z`, a certificate without end (RFC 5280, 4.1.2.5), is a few hours beyond what can be told.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    let beyond = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

    #[test]
    fn of_an_issuer_that_was_signed_anew_the_old_certificate_does_not_count() {
        let authority = |year| {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.distinguished_name.push(DnType::CommonName, "between");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_after = date_time_ymd(year, 1, 1);
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
        };
        let (old, new) = (authority(2021), authority(2040));
        let own = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let own = own.signed_by(&KeyPair::generate().expect("a key"), &new).expect("a certificate");
        for ders in [[&**own.der(), old.der(), new.der()], [&**own.der(), new.der(), old.der()]] {
            let ders = ders.map(|der| CertificateDer::from(der.to_vec()));
            let counting = chain(&ders, |_| false).into_iter().filter(|read| read.certificate.counts);
            let years: Vec<_> = counting.skip(1).map(|read| read.certificate.not_after.to_string()).collect();
            assert!(years[0].starts_with("2040"), "{years:?}");
        }
    }
}
