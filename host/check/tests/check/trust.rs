//! TLS beyond the machine's trust: own authorities, certificates of ours, `verify = false`, old versions, days left.

use crate::target::Target;
use crate::tls::{Authority, Certified, acceptor, params, self_signed, serving};
use crate::{PATIENT, assert_failed, assert_up, check_with};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, GeneralSubtree, IsCa,
    KeyPair, NameConstraints,
};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
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

fn evidence(report: &CheckReport) -> &TlsEvidence {
    report.hops[0].tls.as_ref().expect("TLS was spoken")
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
    assert_eq!((tls.version, &tls.distrust, tls.asks_for_client), (Some(TlsVersion::Tls13), &None, false));
    let [own, root] = &tls.chain[..] else { panic!("{tls:?}") };
    assert_eq!((own.subject.as_str(), own.issuer.as_str()), ("CN=rcgen self signed cert", "CN=trusted"));
    assert_eq!(own.names, ["127.0.0.1", "a.example"]);
    assert_eq!(own.not_after.to_string(), "4096-01-01T00:00:00Z");
    assert_eq!(own.sha256.len(), 64);
    assert!(own.counts && !root.counts, "the root is trusted by itself: {tls:?}");
}

#[tokio::test]
async fn without_verification_the_verdict_is_told_and_is_no_failure() {
    let unverified = TlsSpec { verify: false, ..TlsSpec::default() };
    let authority = Authority::new("trusted");
    let mut expired = params(&["127.0.0.1"]);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    for (certified, class) in [
        (self_signed(&params(&["127.0.0.1"])), FailureClass::TlsSelfSigned),
        (Authority::new("another").issue(&params(&["127.0.0.1"])), FailureClass::TlsUnknownIssuer),
        (authority.issue(&params(&["b.example"])), FailureClass::TlsWrongName),
        (authority.issue(&expired), FailureClass::TlsExpired),
    ] {
        let target = serving(certified, rustls::ALL_VERSIONS).await;
        let report = check(&authority.checker(), spec(&target, unverified.clone())).await;
        assert_up(&report);
        assert_eq!(evidence(&report).distrust.as_ref().map(|failure| failure.class), Some(class));
        assert_eq!(evidence(&report).version, Some(TlsVersion::Tls13));
        let report = check(&authority.checker(), spec(&target, TlsSpec::default())).await;
        assert_eq!(report.failure, evidence(&report).distrust, "with verification it is the failure");
        assert_eq!(report.failure.map(|failure| failure.class), Some(class));
    }
    // Nor does a machine without any root stand in the way.
    let target = serving(self_signed(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
    let checker = Checker::with_roots(RootCertStore::empty()).expect("a checker");
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

#[tokio::test]
async fn an_authority_between_and_what_it_may_vouch_for() {
    let authority = Authority::new("trusted");
    let checker = authority.checker();
    let between = intermediate(&authority, |_| {});
    let whole = issued_by(&between, &params(&["127.0.0.1"]));
    assert_up(&check(&checker, spec(&serving(whole, rustls::ALL_VERSIONS).await, TlsSpec::default())).await);

    let constrained = intermediate(&authority, |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("b.example".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let mut named = params(&["a.example"]);
    named.subject_alt_names.push(rcgen::SanType::IpAddress([127, 0, 0, 1].into()));
    let target = serving(issued_by(&constrained, &named), rustls::ALL_VERSIONS).await;
    let message = "the certificate of `127.0.0.1` is for a name that its authority may not vouch for (name constraints)";
    let report = check(&checker, spec(&target, TlsSpec::default())).await;
    assert_failed(&report, FailureClass::TlsHandshake, message);
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
    let target = serving(own.issue(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
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
            let distrust = evidence(&report).distrust.clone();
            assert_eq!(distrust.as_ref().map(|found| (found.class, found.message.clone())), failure);
            assert_eq!(report.failure, distrust.filter(|_| verify), "{report:?}");
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
    let target = serving(own.issue(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
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
        let tls = TlsSpec { ca: Some(path), ..TlsSpec::default() };
        assert_up(&check(&another_checker(), spec(&target, tls)).await);
    }
}

#[tokio::test]
async fn an_authority_that_ends_soon_is_told_of() {
    let own = Authority::new("own");
    let target = serving(own.issue(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
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
    let target = serving(new.issue(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
    let checker = old.checker();
    assert_up(&check(&checker, spec(&target, own.clone())).await);
    let report = check(&checker, spec(&target, TlsSpec::default())).await;
    assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::TlsUnknownIssuer));

    std::fs::write(&path, old.issuer.pem()).expect("written");
    let written = SystemTime::now() + Duration::from_secs(5);
    std::fs::File::open(&path).and_then(|file| file.set_modified(written)).expect("a time");
    let report = check(&checker, spec(&target, own)).await;
    assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::TlsUnknownIssuer));
}

#[tokio::test]
async fn a_certificate_that_is_in_the_file_itself_is_trusted() {
    // What `openssl req -x509` makes, which WebPKI takes from no server.
    let mut authority = params(&["127.0.0.1"]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issued = Authority::new("another").issue(&params(&["127.0.0.1"]));
    let as_authority = Authority::new("another").issue(&authority);
    for certified in [self_signed(&authority), self_signed(&params(&["127.0.0.1"])), issued, as_authority] {
        let pem = pem(&certified);
        let (_directory, path) = file("ca.pem", &pem);
        let target = serving(certified, rustls::ALL_VERSIONS).await;
        let tls = TlsSpec { ca: Some(path), ..TlsSpec::default() };
        let checker = Authority::new("trusted").checker();
        assert_up(&check(&checker, spec(&target, tls.clone())).await);
        let other_name = TlsSpec { server_name: Some("b.example".into()), ..tls };
        let report = check(&checker, spec(&target, other_name)).await;
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::TlsWrongName));
    }
    let mut expired = params(&["127.0.0.1"]);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certified = Authority::new("another").issue(&expired);
    let (_directory, path) = file("ca.pem", &pem(&certified));
    let target = serving(certified, rustls::ALL_VERSIONS).await;
    let report =
        check(&another_checker(), spec(&target, TlsSpec { ca: Some(path), ..TlsSpec::default() })).await;
    assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::TlsExpired));
}

pub(crate) fn pem(certified: &Certified) -> String {
    encoded(&certified.chain[0])
}

fn encoded(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn files_that_are_of_no_use_are_ours() {
    let checker = Authority::new("trusted").checker();
    let target = serving(self_signed(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS).await;
    let missing = TlsSpec { ca: Some("/no/such/ca.pem".into()), ..TlsSpec::default() };
    let message = "`ca`: the file `/no/such/ca.pem` can't be read: No such file or directory (os error 2); correct the path, or write the file";
    assert_failed(&check(&checker, spec(&target, missing)).await, FailureClass::Settings, message);

    let (_directory, path) = file("ca.pem", "no certificate\n");
    let empty = TlsSpec { ca: Some(path.clone()), ..TlsSpec::default() };
    let message = format!(
        "`ca`: the file `{}` has no certificate in PEM form; it has certificates between `-----BEGIN CERTIFICATE-----` and \
         `-----END CERTIFICATE-----`",
        path.display()
    );
    assert_failed(&check(&checker, spec(&target, empty)).await, FailureClass::Settings, &message);

    let (one, other) = (self_signed(&params(&["a"])), self_signed(&params(&["b"])));
    let (_directory, path) = file("client.pem", &pem(&one));
    let client = Some(ClientIdentity {
        certificate: path.clone(),
        key: SecretRef::Literal(other.key.serialize_pem()),
    });
    let report = check(&checker, spec(&target, TlsSpec { client, ..TlsSpec::default() })).await;
    let message = format!(
        "`client_key`: the key is not that of the certificate in `{}`; name the two that belong together",
        path.display()
    );
    assert_failed(&report, FailureClass::Settings, &message);
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
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(certified.chain, key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Target::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(b"welcome\r\n").await;
            let _ = stream.read(&mut [0; 1]).await;
        }
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
        let target = asking(authority.issue(&params(&["127.0.0.1"])), &ours, versions).await;
        let welcome = Some(ExpectedBytes::Text("welcome".into()));
        // With something to hear and without: with TLS 1.3 the handshake is done before the refusal comes.
        for banner in [None, welcome] {
            let talk = |tls| TcpSpec { banner: banner.clone(), ..spec(&target, tls) };
            let report = check(&checker, talk(known.clone())).await;
            assert_up(&report);
            assert!(evidence(&report).asks_for_client);
            let report = check(&checker, talk(TlsSpec::default())).await;
            let failure = report.failure.expect("it wants one");
            assert_eq!(failure.class, FailureClass::TlsClientCertificate, "{failure:?}");
            assert!(failure.message.contains("`127.0.0.1` wants a client certificate (`certificate_required`): set `client_certificate` and `client_key`"), "{failure:?}");
            let failure = check(&checker, talk(stranger.clone())).await.failure.expect("a stranger");
            assert_eq!(failure.class, FailureClass::TlsClientCertificate, "{failure:?}");
            assert!(
                failure.message.contains("`127.0.0.1` does not accept our client certificate: `unknown_ca`"),
                "{failure:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_name_that_is_asked_for() {
    let authority = Authority::new("trusted");
    let acceptor = acceptor(authority.issue(&params(&["a.example"])), rustls::ALL_VERSIONS);
    let (told, mut names) = tokio::sync::mpsc::unbounded_channel();
    let target = Target::raw(move |stream| {
        let (acceptor, told) = (acceptor.clone(), told.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
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
        let target = serving(authority.issue(&params(&["127.0.0.1"])), &[version]).await;
        let asked = TcpSpec { tls_version: Some(lowest), ..spec(&target, TlsSpec::default()) };
        let report = check(&authority.checker(), asked).await;
        if is_up {
            assert_up(&report);
        } else {
            let message = "`127.0.0.1` speaks TLS 1.2 at most, and that is too old";
            assert_failed(&report, FailureClass::Assertion, message);
            let failure = report.failure.expect("asserted above");
            assert_eq!(
                (failure.expected.as_deref(), failure.got.as_deref()),
                (Some("TLS 1.3"), Some("TLS 1.2"))
            );
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
    let warning = report.trouble().expect("it ends soon").clone();
    let end = report.hops[0].tls.as_ref().and_then(TlsEvidence::first_to_end).expect("a chain").not_after;
    assert_eq!(warning.class, FailureClass::Certificate);
    assert_eq!(
        warning.message,
        format!("the certificate of `127.0.0.1` (`CN=rcgen self signed cert`) ends in 10 days, on {end}")
    );
    assert_eq!(
        (warning.expected.as_deref(), warning.got.as_deref()),
        (Some("at least 11 days left"), Some("10 days left"))
    );
    let report = check(&checker, with(Some(30), Some(11))).await;
    assert_failed(&report, FailureClass::Certificate, &warning.message);
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
    let acceptor = acceptor(authority.issue(&params(&["127.0.0.1"])), rustls::ALL_VERSIONS);
    let target = Target::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(b"554 go away\r\n").await;
        }
    })
    .await;
    let banner = Some(ExpectedBytes::Text("220".into()));
    let report = check(&authority.checker(), TcpSpec { banner, ..spec(&target, TlsSpec::default()) }).await;
    let message =
        format!("`{}`: the connection was closed after something else than the banner", target.address);
    assert_failed(&report, FailureClass::Assertion, &message);
    assert_eq!(report.failure.and_then(|failure| failure.got).as_deref(), Some("554 go away"));
}
