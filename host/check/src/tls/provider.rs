//! The cryptography of a handshake: ring's, and beside it the signatures of the web that ring does not verify.
//!
//! Those are ECDSA with SHA-512, and all of P-521. All other handshakes cost what they cost before. aws-lc has them too,
//! and takes 72 s of CPU to build where the three curves take 28.

use ecdsa::signature::hazmat::PrehashVerifier as _;
use ecdsa::{Signature, VerifyingKey};
use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::sync::{Arc, LazyLock};

/// What all handshakes of this program use.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let ring = ring::default_provider();
        let signature_verification_algorithms = with_ours(ring.signature_verification_algorithms);
        Arc::new(CryptoProvider { signature_verification_algorithms, ..ring })
    });
    Arc::clone(&PROVIDER)
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// A way to sign: a curve, and the digest that is signed.
#[derive(Debug)]
struct Ecdsa {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    digest: fn(&[u8]) -> Vec<u8>,
    /// Whether this key has made this signature of this digest.
    verify: fn(&[u8], &[u8], &[u8]) -> bool,
}

macro_rules! ecdsa {
    ($curve:ty, $key:expr, $digest:ty, $signature:expr) => {
        Ecdsa {
            key: $key,
            signature: $signature,
            digest: |message| <$digest>::digest(message).to_vec(),
            verify: |key, digest, signature| {
                let key = VerifyingKey::<$curve>::from_sec1_bytes(key);
                let signature = Signature::<$curve>::from_der(signature);
                key.and_then(|key| key.verify_prehash(digest, &signature?)).is_ok()
            },
        }
    };
}

static P256_SHA512: Ecdsa = ecdsa!(p256::NistP256, alg_id::ECDSA_P256, Sha512, alg_id::ECDSA_SHA512);
static P384_SHA512: Ecdsa = ecdsa!(p384::NistP384, alg_id::ECDSA_P384, Sha512, alg_id::ECDSA_SHA512);
static P521_SHA512: Ecdsa = ecdsa!(p521::NistP521, alg_id::ECDSA_P521, Sha512, alg_id::ECDSA_SHA512);
static P521_SHA384: Ecdsa = ecdsa!(p521::NistP521, alg_id::ECDSA_P521, Sha384, alg_id::ECDSA_SHA384);
static P521_SHA256: Ecdsa = ecdsa!(p521::NistP521, alg_id::ECDSA_P521, Sha256, alg_id::ECDSA_SHA256);

/// What a target may sign its handshake with beyond what it may with ring. TLS 1.3 takes a scheme's first algorithm alone,
/// which is the scheme's own curve; in TLS 1.2 a scheme names the digest, and the curve is the certificate's.
static SCHEMES: [(SignatureScheme, &[Algorithm]); 3] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, &[&P521_SHA256]),
    (SignatureScheme::ECDSA_NISTP384_SHA384, &[&P521_SHA384]),
    (SignatureScheme::ECDSA_NISTP521_SHA512, &[&P521_SHA512, &P384_SHA512, &P256_SHA512]),
];

/// `theirs`, which are preferred, and ours. Called once: the lists must live for ever.
fn with_ours(theirs: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let mut all = theirs.all.to_vec();
    let mut mapping = theirs.mapping.to_vec();
    for (scheme, ours) in SCHEMES {
        all.extend(ours);
        match mapping.iter_mut().find(|(known, _)| *known == scheme) {
            Some((_, algorithms)) => *algorithms = [*algorithms, ours].concat().leak(),
            None => mapping.push((scheme, ours)),
        }
    }
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let is_good = (self.verify)(key, &(self.digest)(message), signature);
        if is_good { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}
