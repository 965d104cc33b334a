//! TLS: what is trusted, and handshakes. The faults of certificates are in the zoo.

use crate::target::{Target, answer};
use crate::{PATIENT, assert_up, check_with};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use uptime_check::Checker;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::CheckSpec;
use uptime_core::secret::access::Access;
use uptime_core::target;

/// An authority that the checker trusts.
pub(crate) struct Authority {
    pub(crate) issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("an authority") }
    }

    pub(crate) fn checker(&self) -> Checker {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        Checker::with_roots(roots).expect("a checker").with_access(Access::operator())
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certified { chain: vec![certificate.der().clone()], key }
    }
}

pub(crate) struct Certified {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

pub(crate) fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names")
}

pub(crate) fn self_signed(params: &CertificateParams) -> Certified {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Certified { chain: vec![certificate.der().clone()], key }
}

pub(crate) fn acceptor(certified: Certified, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certified.chain, key)
        .expect("a certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// Serves `ok` over TLS with this certificate.
pub(crate) async fn serving(certified: Certified, versions: &[&'static SupportedProtocolVersion]) -> Target {
    serving_by(acceptor(certified, versions)).await
}

/// Serves `ok` over the TLS of `acceptor`.
pub(crate) async fn serving_by(acceptor: TlsAcceptor) -> Target {
    Target::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

async fn check(checker: &Checker, target: &Target) -> CheckReport {
    check_with(checker, &spec(target), PATIENT).await
}

fn spec(target: &Target) -> CheckSpec {
    target::parse(&format!("https://{}/", target.address)).expect("a target")
}

#[tokio::test]
async fn a_trusted_certificate_is_up_in_both_versions() {
    let authority = Authority::new("trusted");
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let target = serving(authority.issue(&params(&["127.0.0.1"])), versions).await;
        let report = check(&authority.checker(), &target).await;
        assert_up(&report);
        assert!(report.phases().tls.is_some_and(|took| !took.is_zero()), "{report:?}");
    }
}

#[tokio::test]
async fn every_handshake_shows_the_certificate() {
    let authority = Authority::new("trusted");
    let (told, mut kinds) = mpsc::unbounded_channel();
    let acceptor = acceptor(authority.issue(&params(&["127.0.0.1"])), &[&rustls::version::TLS13]);
    let target = Target::raw(move |stream| {
        let (acceptor, told) = (acceptor.clone(), told.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = told.send(stream.get_ref().1.handshake_kind());
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
        }
    })
    .await;
    let checker = authority.checker();
    for _ in 0..3 {
        assert_up(&check(&checker, &target).await);
        assert_eq!(kinds.recv().await, Some(Some(HandshakeKind::Full)));
    }
}

#[tokio::test]
async fn without_any_root_it_is_ours() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let checker = Checker::with_roots(RootCertStore::empty()).expect("a checker");
    let report = check(&checker, &target).await;
    let failure = report.failure.expect("nothing is trusted");
    assert_eq!(failure.class, FailureClass::Settings);
    assert!(failure.message.contains("ca-certificates"), "{}", failure.message);
}
