//! TLS beyond the machine's trust: own authorities, certificates of ours, `verify = false`, old versions, days left.

use crate::target::Target;
use crate::tls::{Authority, Certified, acceptor, params, private, self_signed, server, serving};
use crate::{PATIENT, assert_failed, assert_up, check_with, shows};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use uptime_check::Checker;
use uptime_core::check::{CheckReport, FailureClass, TlsEvidence};
use uptime_core::monitor::{
    CertificateDays, CheckSpec, ClientIdentity, ExpectedBytes, TcpSpec, TlsSpec, TlsVersion,
};
use uptime_core::secret::SecretRef;

/// A TCP check with TLS that says and hears nothing.
pub(crate) fn spec(target: &Target, tls: TlsSpec) -> TcpSpec {
    let port = target.address.port();
    TcpSpec { tls: Some(tls), ..uptime_core::target::tcp("127.0.0.1".into(), port) }
}

pub(crate) async fn check(checker: &Checker, spec: TcpSpec) -> CheckReport {
    check_with(checker, &CheckSpec::Tcp(spec), PATIENT).await
}

pub(crate) fn evidence(report: &CheckReport) -> &TlsEvidence {
    report.hops[0].tls.as_ref().expect("TLS was spoken")
}

/// The class of what [`check`] finds with this file of authorities, by a checker that trusts nobody who is met here.
async fn judged_by(file: &Path, target: &Target) -> Option<FailureClass> {
    let tls = TlsSpec { ca: Some(file.into()), ..TlsSpec::default() };
    check(&another_checker(), spec(target, tls)).await.failure.map(|failure| failure.class)
}

/// A file with this content, in a directory that lives as long as the value.
pub(crate) fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    std::fs::write(&path, content).expect("written");
    (directory, path)
}

#[tokio::test]
async fn what_a_target_shows_is_evidence() {
    let authority = Authority::new("trusted");
    let mut certified = authority.issue(&params(&["127.0.0.1", "a.example"]));
    certified.chain.push(authority.issuer.der().clone());
    let target = serving(certified, rustls::ALL_VERSIONS).await;
    let report = check(&authority.checker(), spec(&target, TlsSpec::default())).await;
    assert_up(&report);
    let tls = evidence(&report);
    assert_eq!(
        (tls.version, &tls.trust_failure, tls.asks_for_client),
        (Some(TlsVersion::Tls13), &None, false)
    );
    let [own, root] = &tls.chain[..] else { panic!("{tls:?}") };
    assert_eq!((own.subject.as_str(), own.issuer.as_str()), ("CN=rcgen self signed cert", "CN=trusted"));
    assert_eq!(own.names, ["127.0.0.1", "a.example"]);
    assert_eq!(own.not_after.to_string(), "4096-01-01T00:00:00Z");
    assert_eq!(own.sha256.len(), 64);
    assert!(own.counts && !root.counts, "the root is trusted by itself: {tls:?}");
}

#[tokio::test]
async fn without_verification_a_machine_without_any_root_does_not_stand_in_the_way() {
    let target = serving(self_signed(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
    let checker = Checker::with_roots(RootCertStore::empty()).expect("a checker");
    let unverified = TlsSpec { verify: false, ..TlsSpec::default() };
    assert_up(&check(&checker, spec(&target, unverified)).await);
}

/// An authority between `authority` and the servers, its certificate changed by `change`.
pub(crate) fn intermediate(
    authority: &Authority,
    change: impl FnOnce(&mut CertificateParams),
) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, "between");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::signed_by(params, key, &authority.issuer).expect("an authority")
}

/// A server's certificate and that of its issuer.
pub(crate) fn issued_by(issuer: &CertifiedIssuer<'static, KeyPair>, params: &CertificateParams) -> Certified {
    let key = KeyPair::generate().expect("a key");
    let own = params.signed_by(&key, issuer).expect("a certificate");
    Certified { chain: vec![own.der().clone(), issuer.der().clone()], key }
}

/// A certificate of `authority` with other dates, and the same name and key.
fn dated(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = params(&[]);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "own");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    params.self_signed(authority.issuer.key()).expect("an authority").pem()
}

#[tokio::test]
async fn an_authority_whose_own_certificate_is_over() {
    let own = Authority::new("own");
    let target = serving(own.local(), rustls::ALL_VERSIONS).await;
    let expired = dated(&own, |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let to_come = dated(&own, |params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
    let other = Authority::new("own").issuer.pem();
    let (renewed, another) = (own.issuer.pem(), Authority::new("another").issuer.pem());
    let comes =
        |words: &str| format!("the certificate of `127.0.0.1` comes from `CN=own`, whose own {words}");
    let over = Some((FailureClass::TlsExpired, comes("expired on 2020-01-01T00:00:00Z")));
    let early = Some((FailureClass::TlsNotYetValid, comes("is not valid before 4000-01-01T00:00:00Z")));
    for (files, failure) in [
        (vec![&renewed], None),
        (vec![&expired], over.clone()),
        (vec![&to_come], early),
        (vec![&another, &expired], over.clone()),
        // One of the same name is not the one.
        (vec![&expired, &other], over.clone()),
        (vec![&expired, &renewed], None),
        (vec![&renewed, &to_come, &expired], None),
    ] {
        let pem: String = files.into_iter().map(String::as_str).collect();
        let (_directory, path) = file("ca.pem", &pem);
        for verify in [true, false] {
            let tls = TlsSpec { ca: Some(path.clone()), verify, ..TlsSpec::default() };
            let report = check(&another_checker(), spec(&target, tls)).await;
            let trust_failure = evidence(&report).trust_failure.clone();
            assert_eq!(
                trust_failure.as_ref().map(|found| (found.class, found.message.clone())),
                failure,
                "{pem}"
            );
            assert_eq!(report.failure, trust_failure.filter(|_| verify), "{report:?}");
        }
    }
}

/// One that trusts nobody who is met here.
fn another_checker() -> Checker {
    Authority::new("nobody").checker()
}

#[tokio::test]
async fn files_of_authorities_as_others_write_them() {
    let own = Authority::new("own");
    let target = serving(own.local(), rustls::ALL_VERSIONS).await;
    let plain = own.issuer.pem();
    // What OpenSSL notes beside a certificate: an empty list of what it may be used for.
    let noted = [&own.issuer.der()[..], &[0x30, 0]].concat();
    for pem in [
        format!("\u{feff}{plain}"),
        plain.replace("CERTIFICATE", "X509 CERTIFICATE"),
        plain.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        encoded(&noted).replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
    ] {
        let (_directory, path) = file("ca.pem", &pem);
        assert_eq!(judged_by(&path, &target).await, None, "{pem}");
    }
}

#[tokio::test]
async fn an_authority_that_ends_soon_is_told_of() {
    let own = Authority::new("own");
    let target = serving(own.local(), rustls::ALL_VERSIONS).await;
    let in_days = |days: u64| SystemTime::now() + Duration::from_secs(days * 86_400 + 3_600);
    let soon = dated(&own, |params| params.not_after = in_days(10).into());
    let (_directory, path) = file("ca.pem", &soon);
    let tls = TlsSpec { ca: Some(path), ..TlsSpec::default() };
    let report = check(&another_checker(), spec(&target, tls)).await;
    assert_up(&report);
    let told: Vec<_> =
        report.warnings.iter().map(|warning| (warning.class, warning.got.as_deref())).collect();
    assert_eq!(told, [(FailureClass::Certificate, Some("10 days left"))]);
    assert!(report.warnings[0].message.contains("`CN=own`"), "{report:?}");
}

#[tokio::test]
async fn an_authority_of_ones_own_and_a_file_that_was_replaced() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (_directory, path) = file("ca.pem", &new.issuer.pem());
    let own = TlsSpec { ca: Some(path.clone()), ..TlsSpec::default() };
    let target = serving(new.local(), rustls::ALL_VERSIONS).await;
    let checker = old.checker();
    let judged = async |tls: &TlsSpec| {
        check(&checker, spec(&target, tls.clone())).await.failure.map(|failure| failure.class)
    };
    assert_eq!(judged(&own).await, None);
    assert_eq!(judged(&TlsSpec::default()).await, Some(FailureClass::TlsUnknownIssuer));

    std::fs::write(&path, old.issuer.pem()).expect("written");
    let written = SystemTime::now() + Duration::from_secs(5);
    std::fs::File::open(&path).and_then(|file| file.set_modified(written)).expect("a time");
    assert_eq!(judged(&own).await, Some(FailureClass::TlsUnknownIssuer));
}

#[tokio::test]
async fn a_certificate_that_is_in_the_file_itself_is_trusted() {
    // What `openssl req -x509` makes, which WebPKI takes from no server.
    let mut authority = params(&["127.0.0.1"]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issued = Authority::new("another").local();
    let as_authority = Authority::new("another").issue(&authority);
    for certified in [self_signed(&authority), self_signed(&params(&["127.0.0.1"])), issued, as_authority] {
        let (_directory, path) = file("ca.pem", &pem(&certified));
        let target = serving(certified, rustls::ALL_VERSIONS).await;
        assert_eq!(judged_by(&path, &target).await, None);
        let other_name = Some("b.example".into());
        let other_name = TlsSpec { ca: Some(path), server_name: other_name, ..TlsSpec::default() };
        let report = check(&another_checker(), spec(&target, other_name)).await;
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::TlsWrongName));
    }
    let mut expired = params(&["127.0.0.1"]);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certified = Authority::new("another").issue(&expired);
    let (_directory, path) = file("ca.pem", &pem(&certified));
    let target = serving(certified, rustls::ALL_VERSIONS).await;
    assert_eq!(judged_by(&path, &target).await, Some(FailureClass::TlsExpired));
}

pub(crate) fn pem(certified: &Certified) -> String {
    encoded(&certified.chain[0])
}

fn encoded(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

/// What else can be wrong with the files is tested where they are read.
#[tokio::test]
async fn a_file_that_is_of_no_use_is_ours() {
    let target = serving(self_signed(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
    let missing = TlsSpec { ca: Some("/no/such/ca.pem".into()), ..TlsSpec::default() };
    let message = "`ca`: the file `/no/such/ca.pem` can't be read: No such file or directory (os error 2); correct the path, or write the file";
    let report = check(&another_checker(), spec(&target, missing)).await;
    assert_failed(&report, FailureClass::Settings, message);
}

/// A server that wants to know who comes, and trusts `clients`.
pub(crate) async fn asking(
    certified: Certified,
    clients: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Target {
    let mut roots = RootCertStore::empty();
    roots.add(clients.issuer.der().clone()).expect("a certificate");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let config = server(versions)
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(certified.chain, private(&certified.key))
        .expect("a certificate");
    Target::over_tls(TlsAcceptor::from(Arc::new(config)), |mut stream| async move {
        let _ = stream.write_all(b"welcome\r\n").await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await
}

#[tokio::test]
async fn a_target_that_wants_a_certificate_of_ours() {
    let (authority, ours) = (Authority::new("trusted"), Authority::new("ours"));
    let checker = authority.checker();
    let mut client = params(&["monitor.example"]);
    client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let identity = |authority: &Authority| {
        let certified = authority.issue(&client);
        let (directory, path) = file("client.pem", &pem(&certified));
        let client =
            ClientIdentity { certificate: path, key: SecretRef::Literal(certified.key.serialize_pem()) };
        (directory, TlsSpec { client: Some(client), ..TlsSpec::default() })
    };
    let (_known, known) = identity(&ours);
    let (_stranger, stranger) = identity(&Authority::new("strangers"));
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let target = asking(authority.local(), &ours, versions).await;
        let welcome = Some(ExpectedBytes::Text("welcome".into()));
        // With something to hear and without: with TLS 1.3 the handshake is done before the refusal comes.
        for banner in [None, welcome] {
            let talk = |tls| TcpSpec { banner: banner.clone(), ..spec(&target, tls) };
            let report = check(&checker, talk(known.clone())).await;
            assert_up(&report);
            assert!(evidence(&report).asks_for_client);
            let wants = "`127.0.0.1` wants a client certificate (`certificate_required`): set `client_certificate` and `client_key`";
            let refuses = "`127.0.0.1` does not accept our client certificate: `unknown_ca`";
            for (tls, words) in [(TlsSpec::default(), wants), (stranger.clone(), refuses)] {
                let failure = check(&checker, talk(tls)).await.failure.expect(words);
                assert_eq!(failure.class, FailureClass::TlsClientCertificate, "{failure:?}");
                assert!(failure.message.contains(words), "{failure:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_name_that_is_asked_for() {
    let authority = Authority::new("trusted");
    let acceptor = acceptor(authority.issue(&params(&["a.example"])), rustls::ALL_VERSIONS);
    let (told, mut names) = tokio::sync::mpsc::unbounded_channel();
    let target = Target::over_tls(acceptor, move |mut stream| {
        let told = told.clone();
        async move {
            let _ = told.send(stream.get_ref().1.server_name().map(str::to_owned));
            let _ = stream.write_all(b"welcome\r\n").await;
            let _ = stream.read(&mut [0; 1]).await;
        }
    })
    .await;
    // Heard to the end: a handshake that is reset at once may look like none to the target.
    let banner = Some(ExpectedBytes::Text("welcome".into()));
    let greeted = |tls| TcpSpec { banner: banner.clone(), ..spec(&target, tls) };
    let named = TlsSpec { server_name: Some("a.example".into()), ..TlsSpec::default() };
    assert_up(&check(&authority.checker(), greeted(named)).await);
    assert_eq!(names.recv().await.expect("a handshake").as_deref(), Some("a.example"));
    let unverified = TlsSpec { verify: false, ..TlsSpec::default() };
    assert_up(&check(&authority.checker(), greeted(unverified)).await);
    assert_eq!(names.recv().await.expect("a handshake"), None, "an address is no name to ask for");
}

/// Answers the greeting of a handshake with these bytes.
pub(crate) async fn answering(bytes: &'static [u8]) -> Target {
    Target::raw(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await
}

/// A `ServerHello` of TLS 1.1 (or another version, by its last byte) with the cipher `TLS_RSA_WITH_AES_128_CBC_SHA`.
pub(crate) fn server_hello(minor: u8) -> &'static [u8] {
    let mut hello = vec![0x16, 3, minor, 0, 42, 2, 0, 0, 38, 3, minor];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    hello.leak()
}

#[tokio::test]
async fn the_lowest_version_that_will_do() {
    let authority = Authority::new("trusted");
    for (version, lowest, is_up) in [
        (&rustls::version::TLS12, TlsVersion::Tls12, true),
        (&rustls::version::TLS13, TlsVersion::Tls13, true),
        (&rustls::version::TLS12, TlsVersion::Tls13, false),
    ] {
        let target = serving(authority.local(), &[version]).await;
        let asked = TcpSpec { tls_version: Some(lowest), ..spec(&target, TlsSpec::default()) };
        let report = check(&authority.checker(), asked).await;
        if is_up {
            assert_up(&report);
            assert!(report.phases().tls.is_some_and(|took| !took.is_zero()), "{report:?}");
        } else {
            let message = "`127.0.0.1` speaks TLS 1.2 at most, and that is too old";
            shows(&report, FailureClass::Assertion, message, Some(("TLS 1.3", "TLS 1.2")));
        }
    }
}

#[tokio::test]
async fn days_that_are_left() {
    let authority = Authority::new("trusted");
    let mut soon = params(&["127.0.0.1"]);
    // Ten days and a half: ten whole ones.
    soon.not_after = (SystemTime::now() + Duration::from_hours(252)).into();
    let target = serving(authority.issue(&soon), rustls::ALL_VERSIONS).await;
    let with = |warning, critical| {
        let certificate_days = CertificateDays { warning, critical };
        TcpSpec { certificate_days, ..spec(&target, TlsSpec::default()) }
    };
    let checker = authority.checker();
    for limits in [with(None, None), with(Some(10), Some(10))] {
        let report = check(&checker, limits).await;
        assert_up(&report);
        assert!(!report.is_degraded(), "{report:?}");
    }
    let report = check(&checker, with(Some(11), Some(10))).await;
    assert_up(&report);
    assert_eq!(report.trouble().map(|warning| warning.class), Some(FailureClass::Certificate));
    let end = report.hops[0].tls.as_ref().and_then(TlsEvidence::first_to_end).expect("a chain").not_after;
    let message =
        format!("the certificate of `127.0.0.1` (`CN=rcgen self signed cert`) ends in 10 days, on {end}");
    assert_failed(&check(&checker, with(Some(30), Some(11))).await, FailureClass::Certificate, &message);
}

#[tokio::test]
async fn the_clock_that_rules() {
    let authority = Authority::new("trusted");
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let mut soon = params(&["127.0.0.1"]);
    soon.not_before = (SystemTime::now() - days(10)).into();
    soon.not_after = (SystemTime::now() + days(10)).into();
    let target = serving(authority.issue(&soon), rustls::ALL_VERSIONS).await;
    let checker = authority.checker();
    let certificate_days = CertificateDays { warning: Some(8), critical: None };
    for (now, class, warnings) in [
        (SystemTime::now() - days(20), Some(FailureClass::TlsNotYetValid), 0),
        (SystemTime::now() + days(5), None, 1),
        (SystemTime::now() + days(20), Some(FailureClass::TlsExpired), 0),
        (SystemTime::now(), None, 0),
    ] {
        checker.set_clock(now.try_into().expect("an instant"));
        let asked = TcpSpec { certificate_days, ..spec(&target, TlsSpec::default()) };
        let report = check(&checker, asked).await;
        assert_eq!(report.failure.as_ref().map(|failure| failure.class), class, "{report:?}");
        assert_eq!(report.warnings.len(), warnings, "{report:?}");
    }
}

#[tokio::test]
async fn an_end_that_is_not_announced_is_an_end() {
    let authority = Authority::new("trusted");
    let acceptor = acceptor(authority.local(), rustls::ALL_VERSIONS);
    let target = Target::over_tls(acceptor, |mut stream| async move {
        let _ = stream.write_all(b"554 go away\r\n").await;
    })
    .await;
    let banner = Some(ExpectedBytes::Text("220".into()));
    let report = check(&authority.checker(), TcpSpec { banner, ..spec(&target, TlsSpec::default()) }).await;
    let message =
        format!("`{}`: the connection was closed after something else than the banner", target.address);
    let failure = assert_failed(&report, FailureClass::Assertion, &message);
    assert_eq!(failure.got.as_deref(), Some("554 go away"));
}
