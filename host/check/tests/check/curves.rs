//! Signatures that ring does not verify and the web uses: ECDSA with SHA-512, and all of P-521.
//!
//! Neither rcgen nor ring makes them either, so the certificates are made with what they know, corrected, and signed here.

use crate::target::Target;
use crate::tls::{params, serving_by};
use crate::trust::{check, spec};
use crate::{assert_failed, assert_up};
use ecdsa::signature::hazmat::PrehashSigner as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{RootCertStore, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;
use uptime_check::Checker;
use uptime_core::check::FailureClass;
use uptime_core::monitor::TlsSpec;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const SHA256: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
const SHA384: SignatureScheme = SignatureScheme::ECDSA_NISTP384_SHA384;
const SHA512: SignatureScheme = SignatureScheme::ECDSA_NISTP521_SHA512;

/// A key that signs with any digest.
#[derive(Clone)]
enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
}

impl Key {
    fn p256(seed: u8) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).expect("a key"))
    }

    fn p384(seed: u8) -> Self {
        Self::P384(p384::ecdsa::SigningKey::from_slice(&[seed; 48]).expect("a key"))
    }

    fn p521(seed: u8) -> Self {
        let mut bytes = [seed; 66];
        bytes[0] = 0;
        Self::P521(p521::ecdsa::SigningKey::from_slice(&bytes).expect("a key"))
    }

    fn public(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P521(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Vec<u8> {
        let digest = match scheme {
            SHA256 => Sha256::digest(message).to_vec(),
            SHA384 => Sha384::digest(message).to_vec(),
            _ => Sha512::digest(message).to_vec(),
        };
        match self {
            Self::P256(key) => {
                let made: p256::ecdsa::Signature = key.sign_prehash(&digest).expect("it signs");
                made.to_der().as_bytes().to_vec()
            }
            Self::P384(key) => {
                let made: p384::ecdsa::Signature = key.sign_prehash(&digest).expect("it signs");
                made.to_der().as_bytes().to_vec()
            }
            Self::P521(key) => {
                let made: p521::ecdsa::Signature = key.sign_prehash(&digest).expect("it signs");
                made.to_der().as_bytes().to_vec()
            }
        }
    }
}

/// A key as rcgen has it: what it does not know is P-384 to it, and its signature is none.
struct Declared(Vec<u8>, &'static rcgen::SignatureAlgorithm);

impl Declared {
    fn of(key: &Key) -> Self {
        let algorithm = match key {
            Key::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            Key::P384(_) | Key::P521(_) => &rcgen::PKCS_ECDSA_P384_SHA384,
        };
        Self(key.public(), algorithm)
    }
}

impl PublicKeyData for Declared {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.1
    }
}

impl rcgen::SigningKey for Declared {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![0])
    }
}

/// `ecdsa-with-SHA512`, as the identifier of an algorithm and, for SHA-256 and SHA-384, what stands in its place.
const WITH_SHA512: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];
const WITH_OTHERS: [&[u8]; 2] =
    [&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3]];

/// The OIDs of `secp521r1` and `secp384r1`.
const P521: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x23];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}

/// Tag, length and content, in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("it is short").to_be_bytes();
    let length = match content.len() {
        ..128 => vec![low],
        128..256 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, content].concat()
}

/// What rcgen has made of `params` for `subject`, corrected, and signed by `issuer` with SHA-512.
fn signed(made: &rcgen::Certificate, subject: &Key, issuer: &Key) -> CertificateDer<'static> {
    let (_, parsed) = X509Certificate::from_der(made.der()).expect("a certificate");
    let mut content = parsed.tbs_certificate.as_ref().to_vec();
    for other in WITH_OTHERS {
        replace(&mut content, other, WITH_SHA512);
    }
    if matches!(subject, Key::P521(_)) {
        replace(&mut content, P384, P521);
    }
    let signature = [&[0][..], &issuer.sign(SHA512, &content)].concat();
    der(0x30, &[content, der(0x30, WITH_SHA512), der(3, &signature)].concat()).into()
}

/// An authority, and what its certificates are made with.
struct Root {
    key: Key,
    issuer: Issuer<'static, Declared>,
    certificate: CertificateDer<'static>,
}

impl Root {
    fn new(key: Key) -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(&Declared::of(&key)).expect("an authority");
        let certificate = signed(&made, &key, &key);
        let issuer = Issuer::new(params, Declared::of(&key));
        Self { key, issuer, certificate }
    }

    fn issue(&self, params: &CertificateParams, key: &Key) -> CertificateDer<'static> {
        let made = params.signed_by(&Declared::of(key), &self.issuer).expect("a certificate");
        signed(&made, key, &self.key)
    }

    fn checker(&self) -> Checker {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        Checker::with_roots(roots).expect("a checker")
    }
}

/// A server's key, which signs handshakes with `scheme`.
#[derive(Clone)]
struct Server {
    key: Key,
    scheme: SignatureScheme,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl SigningKey for Server {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Server {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.key.sign(self.scheme, message))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

async fn serving(
    certificate: CertificateDer<'static>,
    server: Server,
    version: &'static SupportedProtocolVersion,
) -> Target {
    let certified = CertifiedKey::new(vec![certificate], Arc::new(server));
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let config = crate::tls::server(&[version]).with_no_client_auth().with_cert_resolver(resolver);
    serving_by(TlsAcceptor::from(Arc::new(config))).await
}

#[tokio::test]
async fn sha_512_and_p_521_are_verified() {
    let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    for root in [Key::p256(1), Key::p384(2), Key::p521(3)] {
        let root = Root::new(root);
        let checker = root.checker();
        for (key, scheme, version) in [
            (Key::p256(4), SHA256, tls13),
            (Key::p384(5), SHA384, tls13),
            (Key::p521(6), SHA512, tls13),
            // In TLS 1.2 the digest is free.
            (Key::p256(4), SHA512, tls12),
            (Key::p384(5), SHA512, tls12),
            (Key::p521(6), SHA512, tls12),
            (Key::p521(6), SHA384, tls12),
            (Key::p521(6), SHA256, tls12),
        ] {
            let certificate = root.issue(&params(&["127.0.0.1"]), &key);
            let target = serving(certificate, Server { key, scheme }, version).await;
            for verify in [true, false] {
                let tls = TlsSpec { verify, ..TlsSpec::default() };
                let report = check(&checker, spec(&target, tls)).await;
                assert_up(&report);
                assert_eq!(
                    report.hops[0].tls.as_ref().map(|tls| &tls.trust_failure),
                    Some(&None),
                    "{scheme:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn p_521_is_offered_last_for_the_exchange_of_keys() {
    let (told, mut hellos) = tokio::sync::mpsc::unbounded_channel();
    let target = Target::raw(move |mut stream| {
        let told = told.clone();
        async move {
            let mut hello = [0; 4096];
            let length = stream.read(&mut hello).await.expect("a hello");
            let _ = told.send(hello[..length].to_vec());
        }
    })
    .await;
    check(&Root::new(Key::p256(1)).checker(), spec(&target, TlsSpec::default())).await;
    let hello = hellos.recv().await.expect("a hello");
    // The extension `supported_groups`: X25519, P-256, P-384 and P-521 (RFC 8446, 4.2.7).
    let groups = [0, 10, 0, 10, 0, 8, 0, 0x1d, 0, 0x17, 0, 0x18, 0, 0x19];
    assert!(hello.windows(groups.len()).any(|part| part == groups), "{hello:x?}");
}

#[tokio::test]
async fn a_signature_that_does_not_fit_is_refused() {
    let (root, other) = (Root::new(Key::p521(1)), Root::new(Key::p521(2)));
    let key = Key::p521(3);
    let unsigned = "the certificate of `127.0.0.1` is not signed by `CN=root`, whose name it bears";
    let signature_failure = "`127.0.0.1` does not prove that it has the key of its certificate";
    for (issuer, scheme, signer, class, message) in [
        (&other, SHA512, key.clone(), FailureClass::TlsUnknownIssuer, unsigned),
        (&root, SHA512, Key::p521(4), FailureClass::TlsHandshake, signature_failure),
        (&root, SHA256, Key::p521(4), FailureClass::TlsHandshake, signature_failure),
    ] {
        let certificate = issuer.issue(&params(&["127.0.0.1"]), &key);
        let server = Server { key: signer, scheme };
        let target = serving(certificate, server, &rustls::version::TLS12).await;
        assert_failed(&check(&root.checker(), spec(&target, TlsSpec::default())).await, class, message);
    }
}
