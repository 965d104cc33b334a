//! The cryptography of a handshake: ring's, and beside it the signatures of the web that ring does not verify.
//!
//! Those are ECDSA with SHA-512, and all of P-521, which is a group for the key exchange too. All other handshakes cost
//! what they cost before. aws-lc has them too, and takes 72 s of CPU to build where the three curves take 28.

use ecdsa::signature::hazmat::PrehashVerifier as _;
use ecdsa::{Signature, VerifyingKey};
use p521::elliptic_curve::point::AffineCoordinates as _;
use p521::elliptic_curve::sec1::ToSec1Point as _;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, WebPkiSupportedAlgorithms, ring,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use rustls::{Error as TlsError, NamedGroup, PeerMisbehaved, SignatureScheme};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::sync::{Arc, LazyLock};

/// What all handshakes of this program use.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = ring::default_provider();
        provider.signature_verification_algorithms = with_ours(provider.signature_verification_algorithms);
        // The last: the one that nobody chooses who knows another.
        provider.kx_groups.push(&P521);
        Arc::new(provider)
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

/// `theirs`, which are preferred, and `SCHEMES`. Called once: the lists must live for ever.
fn with_ours(theirs: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    let mut all = theirs.all.to_vec();
    let mut mapping = theirs.mapping.to_vec();
    for (scheme, own) in SCHEMES {
        all.extend(own);
        match mapping.iter_mut().find(|(known, _)| *known == scheme) {
            Some((_, algorithms)) => *algorithms = [*algorithms, own].concat().leak(),
            None => mapping.push((scheme, own)),
        }
    }
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
}

/// ECDH over the curve P-521. In TLS 1.2 a server may show no certificate of a curve that is not offered as a group.
#[derive(Debug)]
struct P521;

struct Exchange {
    own: p521::SecretKey,
    public: Vec<u8>,
}

impl SupportedKxGroup for P521 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, TlsError> {
        let mut bytes = [0; 66];
        provider().secure_random.fill(&mut bytes)?;
        // It has 521 bits.
        bytes[0] &= 1;
        let own = p521::SecretKey::from_slice(&bytes).map_err(|_| TlsError::FailedToGetRandomBytes)?;
        let public = own.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Box::new(Exchange { own, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, TlsError> {
        let theirs = p521::PublicKey::from_sec1_bytes(theirs).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = theirs.to_projective() * *self.own.to_nonzero_scalar();
        Ok(SharedSecret::from(&shared.to_affine().x()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sides_share_a_secret_over_p_521() {
        let (one, other) = (P521.start().expect("a key"), P521.start().expect("a key"));
        let (of_one, of_other) = (one.pub_key().to_vec(), other.pub_key().to_vec());
        let shared = one.complete(&of_other).expect("a point");
        assert_eq!(shared.secret_bytes().len(), 66);
        assert_eq!(shared.secret_bytes(), other.complete(&of_one).expect("a point").secret_bytes());
        let mut beside = of_one.clone();
        beside[132] ^= 1;
        for theirs in [&beside[..], &of_one[..132], &[0], &[]] {
            assert!(P521.start().expect("a key").complete(theirs).is_err(), "{theirs:?}");
        }
    }
}
