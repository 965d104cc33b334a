//! TLS: what is trusted, and each fault of a certificate or a handshake.

use crate::target::{Target, answer, read_request};
use crate::{PATIENT, SHORT, assert_failed, assert_up, check_with};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::future::pending;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use uptime_check::Checker;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::CheckSpec;
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
        Checker::with_roots(roots).expect("a checker")
    }

    /// A certificate of this authority.
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
    let acceptor = acceptor(certified, versions);
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
async fn an_unknown_issuer() {
    for (name, message) in [
        (
            "another",
            "the certificate of `127.0.0.1` comes from `CN=another`, which is not trusted here and was not sent along: probably an intermediate certificate is missing",
        ),
        // As when an authority was made anew under its old name.
        ("trusted", "the certificate of `127.0.0.1` is not signed by `CN=trusted`, whose name it bears"),
    ] {
        let certified = Authority::new(name).issue(&params(&["127.0.0.1"]));
        let target = serving(certified, rustls::ALL_VERSIONS).await;
        let report = check(&Authority::new("trusted").checker(), &target).await;
        assert_failed(&report, FailureClass::TlsUnknownIssuer, message);
        assert!(report.phases().tls.is_some() && report.status_code().is_none());
    }
}

#[tokio::test]
async fn a_self_signed_certificate() {
    let target = serving(self_signed(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
    let report = check(&Authority::new("trusted").checker(), &target).await;
    let message = "the certificate of `127.0.0.1` is self-signed, and not trusted here";
    assert_failed(&report, FailureClass::TlsSelfSigned, message);
}

#[tokio::test]
async fn a_self_signed_authority_as_a_server() {
    let mut params = params(&["127.0.0.1"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let target = serving(self_signed(&params), rustls::ALL_VERSIONS).await;
    let report = check(&Authority::new("trusted").checker(), &target).await;
    let message = "the certificate of `127.0.0.1` is self-signed, and not trusted here";
    assert_failed(&report, FailureClass::TlsSelfSigned, message);
}

#[tokio::test]
async fn an_expired_certificate_and_one_of_the_future() {
    let authority = Authority::new("trusted");
    for (from, to, class, message) in [
        (
            2019,
            2020,
            FailureClass::TlsExpired,
            "the certificate of `127.0.0.1` expired on 2020-01-01T00:00:00Z",
        ),
        (
            4000,
            4001,
            FailureClass::TlsNotYetValid,
            "the certificate of `127.0.0.1` is not valid before 4000-01-01T00:00:00Z",
        ),
    ] {
        let mut params = params(&["127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let target = serving(authority.issue(&params), rustls::ALL_VERSIONS).await;
        assert_failed(&check(&authority.checker(), &target).await, class, message);
    }
}

#[tokio::test]
async fn another_name() {
    let authority = Authority::new("trusted");
    let target =
        serving(authority.issue(&params(&["other.example", "127.0.0.2"])), rustls::ALL_VERSIONS).await;
    let report = check(&authority.checker(), &target).await;
    assert_failed(&report, FailureClass::TlsWrongName, "the certificate of `127.0.0.1` is for another name");
    let failure = report.failure.expect("asserted above");
    assert_eq!(failure.expected.as_deref(), Some("127.0.0.1"));
    assert_eq!(failure.got.as_deref(), Some("other.example, 127.0.0.2"));
}

#[tokio::test]
async fn plain_http_on_a_tls_port() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer("400 Bad Request", "", "").as_bytes()).await;
    })
    .await;
    let report = check(&Authority::new("trusted").checker(), &target).await;
    let message = "`127.0.0.1` does not speak TLS on this port";
    assert_failed(&report, FailureClass::TlsHandshake, message);
}

#[tokio::test]
async fn closed_in_the_handshake() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let report = check(&Authority::new("trusted").checker(), &target).await;
    let message = "the TLS handshake with `127.0.0.1` broke off: connection closed";
    assert_failed(&report, FailureClass::TlsHandshake, message);
}

#[tokio::test]
async fn hangs_in_the_handshake() {
    let target = Target::raw(|mut stream| async move {
        read_request(&mut stream).await;
        pending::<()>().await;
    })
    .await;
    let report = check_with(&Authority::new("trusted").checker(), &spec(&target), SHORT).await;
    let message = "the TLS handshake with `127.0.0.1` did not end within 400ms";
    assert_failed(&report, FailureClass::TlsTimeout, message);
    assert!(report.phases().tls.is_some());
}

#[tokio::test]
async fn https_does_not_go_down_to_http() {
    let authority = Authority::new("trusted");
    let acceptor = acceptor(authority.issue(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS);
    let plain = Target::answering(|_| answer("200 OK", "", "")).await;
    let location = plain.url("/").to_string();
    let redirect = answer("301 Moved Permanently", &format!("location: {location}\r\n"), "");
    let target = Target::raw(move |stream| {
        let (acceptor, redirect) = (acceptor.clone(), redirect.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(redirect.as_bytes()).await;
        }
    })
    .await;
    let report = check(&authority.checker(), &target).await;
    let message = format!("https://{}/ redirects to `{location}`, which gives up encryption", target.address);
    assert_failed(&report, FailureClass::Redirect, &message);
    assert!(plain.requests().is_empty());
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
