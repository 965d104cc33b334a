//! TLS: what is trusted, and handshakes. The faults of certificates are in the zoo.

use crate::target::{Target, answer};
use crate::{PATIENT, assert_up, check_with};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{
    ConfigBuilder, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier,
};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use uptime_check::Checker;
use uptime_core::check::FailureClass;
use uptime_core::secret::access::Access;

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

    /// A certificate of 127.0.0.1.
    pub(crate) fn local(&self) -> Certified {
        self.issue(&params(&["127.0.0.1"]))
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

/// The beginning of a server's settings.
pub(crate) fn server(
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    server.with_protocol_versions(versions).expect("versions")
}

pub(crate) fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

pub(crate) fn acceptor(certified: Certified, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let key = private(&certified.key);
    let config = server(versions).with_no_client_auth().with_single_cert(certified.chain, key);
    TlsAcceptor::from(Arc::new(config.expect("a certificate")))
}

/// Serves `ok` over TLS with this certificate.
pub(crate) async fn serving(certified: Certified, versions: &[&'static SupportedProtocolVersion]) -> Target {
    serving_by(acceptor(certified, versions)).await
}

/// Serves `ok` over the TLS of `acceptor`.
pub(crate) async fn serving_by(acceptor: TlsAcceptor) -> Target {
    answering_by(acceptor, answer("200 OK", "", "ok")).await
}

/// Answers with `text` over the TLS of `acceptor`.
pub(crate) async fn answering_by(acceptor: TlsAcceptor, text: String) -> Target {
    Target::over_tls(acceptor, move |mut stream| {
        let text = text.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn every_handshake_shows_the_certificate() {
    let authority = Authority::new("trusted");
    let (told, mut kinds) = mpsc::unbounded_channel();
    let acceptor = acceptor(authority.local(), &[&rustls::version::TLS13]);
    let target = Target::over_tls(acceptor, move |mut stream| {
        let told = told.clone();
        async move {
            let _ = told.send(stream.get_ref().1.handshake_kind());
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
        }
    })
    .await;
    let checker = authority.checker();
    for _ in 0..3 {
        assert_up(&check_with(&checker, &target.parsed("https"), PATIENT).await);
        assert_eq!(kinds.recv().await, Some(Some(HandshakeKind::Full)));
    }
}

#[tokio::test]
async fn without_any_root_it_is_ours() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    let checker = Checker::with_roots(RootCertStore::empty()).expect("a checker");
    let report = check_with(&checker, &target.parsed("https"), PATIENT).await;
    let failure = report.failure.expect("nothing is trusted");
    assert_eq!(failure.class, FailureClass::Settings);
    assert!(failure.message.contains("ca-certificates"), "{}", failure.message);
}
