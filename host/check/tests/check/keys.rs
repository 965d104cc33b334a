//! Keys and certificates that rustls and rcgen do not make themselves: RSA, old forms of a private key, a key that is too
//! short, a signature that nobody takes any more.

use crate::target::Target;
use crate::tls::{Authority, params, private, server, serving_by};
use crate::trust::{asking, check, file, pem, spec};
use crate::{assert_up, shows};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData,
    SignatureAlgorithm,
};
use rustls::ALL_VERSIONS;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{ClientIdentity, TcpSpec, TlsSpec};
use uptime_core::secret::SecretRef;

/// Made for these tests by `openssl genpkey`, since `ring` makes none.
const RSA: &str = include_str!("rsa.pem");

fn rsa() -> KeyPair {
    KeyPair::from_pem(RSA).expect("a key")
}

/// The content of the DER element that `bytes` begin with, and what follows it.
fn element(bytes: &[u8]) -> (&[u8], &[u8]) {
    let long = usize::from(bytes[1]).checked_sub(0x80);
    let of_length = long.unwrap_or(0);
    let length = match long {
        None => usize::from(bytes[1]),
        Some(count) => bytes[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    bytes[2 + of_length..].split_at(length)
}

/// A private key in the form of its algorithm alone: PKCS#1 of RSA, SEC1 of elliptic curves.
fn bare(key: &KeyPair, label: &str) -> String {
    let pkcs8 = key.serialize_der();
    let (_version, rest) = element(element(&pkcs8).0);
    let (_algorithm, rest) = element(rest);
    let text = BASE64_STANDARD.encode(element(rest).0);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[tokio::test]
async fn a_key_of_ours_may_be_in_each_form() {
    let (authority, ours) = (Authority::new("trusted"), Authority::new("ours"));
    let target = asking(authority.local(), &ours, ALL_VERSIONS).await;
    let mut client = params(&["monitor.example"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (key, label) in [
        (rsa(), None),
        (rsa(), Some("RSA PRIVATE KEY")),
        (KeyPair::generate().expect("a key"), Some("EC PRIVATE KEY")),
    ] {
        let certificate = client.signed_by(&key, &ours.issuer).expect("a certificate");
        let text = label.map_or_else(|| key.serialize_pem(), |label| bare(&key, label));
        let certified = crate::tls::Certified { chain: vec![certificate.der().clone()], key };
        let (_directory, path) = file("client.pem", &pem(&certified));
        let identity = ClientIdentity { certificate: path, key: SecretRef::Literal(text) };
        let tls = TlsSpec { client: Some(identity), ..TlsSpec::default() };
        let banner = Some(uptime_core::monitor::ExpectedBytes::Text("welcome".into()));
        let report = check(&authority.checker(), TcpSpec { banner, ..spec(&target, tls) }).await;
        assert_up(&report);
    }
}

/// An RSA key of 1024 bits whose private part nobody knows.
struct Short(Vec<u8>);

impl Short {
    fn new() -> Self {
        // RFC 8017, A.1.1: the modulus, odd and with its highest bit set, and the exponent.
        let modulus = [0xc3; 128];
        Self([&[0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0][..], &modulus, &[0x02, 0x03, 1, 0, 1]].concat())
    }
}

impl PublicKeyData for Short {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A server that shows `chain` and signs with the key of this file, whether it is the certificate's or not.
async fn showing(chain: Vec<CertificateDer<'static>>) -> Target {
    let key = ring::sign::any_supported_type(&private(&rsa())).expect("a key");
    let resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
    let config = server(ALL_VERSIONS).with_no_client_auth().with_cert_resolver(resolver);
    serving_by(TlsAcceptor::from(Arc::new(config))).await
}

#[tokio::test]
async fn a_key_that_is_too_short() {
    let authority = Authority::new("trusted");
    let certificate = params(&["127.0.0.1"]).signed_by(&Short::new(), &authority.issuer);
    let target = showing(vec![certificate.expect("a certificate").der().clone()]).await;
    let report = check(&authority.checker(), spec(&target, TlsSpec::default())).await;
    let message = "the certificate of `127.0.0.1` has a key that is too short to be safe";
    shows(&report, FailureClass::TlsTooOld, message, Some(("RSA of 2048 bits", "RSA of 1024 bits")));
}

#[tokio::test]
async fn a_signature_that_nobody_takes_any_more() {
    let mut authority = params(&[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, rsa()).expect("an authority");
    let own = params(&["127.0.0.1"]).signed_by(&rsa(), &issuer).expect("a certificate");
    // The identifiers of RSA with SHA-256 and with SHA-1 (RFC 8017, appendix C) differ in their last byte.
    let with = |last| [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last];
    let mut der = own.der().to_vec();
    let places: Vec<usize> = (0..der.len() - 9).filter(|at| der[*at..at + 9] == with(11)).collect();
    assert_eq!(places.len(), 2, "what is signed names it, and the signature does");
    for at in places {
        der[at..at + 9].copy_from_slice(&with(5));
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issuer.der().clone()).expect("a certificate");
    let checker = uptime_check::Checker::with_roots(roots).expect("a checker");
    let target = showing(vec![CertificateDer::from(der)]).await;
    let report = check(&checker, spec(&target, TlsSpec::default())).await;
    let failure = report.failure.expect("it is not safe");
    assert_eq!(failure.class, FailureClass::TlsTooOld, "{failure:?}");
    let begin = "the certificate of `127.0.0.1` is signed with `sha1";
    assert!(failure.message.starts_with(begin), "{failure:?}");
}
