//! Every fault of a certificate or a handshake, and who it is that must act.

use super::{Words, shows};
use crate::target::Target;
use crate::tls::{Authority, Certified, acceptor, params, self_signed, serving, serving_by};
use crate::trust::{answering, asking, intermediate, issued_by, server_hello};
use crate::{PATIENT, assert_up, check_with};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, ServerConfig};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{CheckSpec, TlsSpec};

/// The check of `https://127.0.0.1` at `target`, by one who trusts `authority`.
async fn check(authority: &Authority, target: &Target) -> CheckReport {
    check_named(authority, target, None).await
}

/// The same, which asks for the name.
async fn check_named(authority: &Authority, target: &Target, name: Option<&str>) -> CheckReport {
    let url = format!("https://{}/", target.address).parse().expect("a URL");
    let mut spec = uptime_core::target::http(url);
    spec.tls = TlsSpec { server_name: name.map(str::to_owned), ..TlsSpec::default() };
    check_with(&authority.checker(), &CheckSpec::Http(spec), PATIENT).await
}

/// Asserts what is said of a server on 127.0.0.1 with this certificate.
async fn certificate_shows(
    authority: &Authority,
    certified: Certified,
    class: FailureClass,
    message: &str,
    words: Words<'_>,
) {
    let report = check(authority, &serving(certified, ALL_VERSIONS).await).await;
    shows(&report, class, &format!("the certificate of `127.0.0.1` {message}"), words);
    assert!(report.phases().tls.is_some() && report.status_code().is_none(), "{report:?}");
}

/// A moment that is not known beforehand, cut out of `expected`: the test's own clock.
#[track_caller]
fn expected_today(report: &CheckReport) -> String {
    let failure = report.failure.as_ref().expect("a failure");
    let expected = failure.expected.clone().expect("what would have been right");
    let today = jiff::Timestamp::now().to_string();
    assert!(expected.starts_with(&format!("valid on {}", &today[..4])), "{expected}");
    expected
}

#[tokio::test]
async fn expired_and_not_yet_valid() {
    let authority = Authority::new("trusted");
    for (from, to, class, message, got) in [
        (
            2019,
            2020,
            FailureClass::TlsExpired,
            "expired on 2020-01-01T00:00:00Z",
            "valid until 2020-01-01T00:00:00Z",
        ),
        (
            4000,
            4001,
            FailureClass::TlsNotYetValid,
            "is not valid before 4000-01-01T00:00:00Z",
            "valid from 4000-01-01T00:00:00Z",
        ),
    ] {
        let mut params = params(&["127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let report = check(&authority, &serving(authority.issue(&params), ALL_VERSIONS).await).await;
        let expected = expected_today(&report);
        let message = format!("the certificate of `127.0.0.1` {message}");
        shows(&report, class, &message, Some((&expected, got)));
    }
}

#[tokio::test]
async fn for_another_name_or_none() {
    let authority = Authority::new("trusted");
    certificate_shows(
        &authority,
        authority.issue(&params(&["other.example", "127.0.0.2"])),
        FailureClass::TlsWrongName,
        "is for another name",
        Some(("127.0.0.1", "other.example, 127.0.0.2")),
    )
    .await;
    certificate_shows(
        &authority,
        authority.issue(&params(&[])),
        FailureClass::TlsWrongName,
        "is for no name at all (a common name alone has not counted for years)",
        Some(("127.0.0.1", "no name")),
    )
    .await;
}

#[tokio::test]
async fn self_signed_certificates() {
    let authority = Authority::new("trusted");
    let mut as_authority = params(&["127.0.0.1"]);
    as_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [params(&["127.0.0.1"]), as_authority] {
        certificate_shows(
            &authority,
            self_signed(&params),
            FailureClass::TlsSelfSigned,
            "is self-signed, and not trusted here",
            None,
        )
        .await;
    }
}

#[tokio::test]
async fn issuers_that_are_not_trusted() {
    let (authority, another) = (Authority::new("trusted"), Authority::new("another"));
    let missing =
        "which is not trusted here and was not sent along: probably an intermediate certificate is missing";
    let mut whole = another.issue(&params(&["127.0.0.1"]));
    whole.chain.push(another.issuer.der().clone());
    let between = intermediate(&authority, |_| {});
    let mut without = issued_by(&between, &params(&["127.0.0.1"]));
    without.chain.truncate(1);
    for (certified, message) in [
        (another.issue(&params(&["127.0.0.1"])), format!("comes from `CN=another`, {missing}")),
        (whole, "comes from `CN=another`, an authority that is not trusted here".to_owned()),
        (without, format!("comes from `CN=between`, {missing}")),
        // As when an authority was made anew under its old name.
        (
            Authority::new("trusted").issue(&params(&["127.0.0.1"])),
            "is not signed by `CN=trusted`, whose name it bears".to_owned(),
        ),
    ] {
        certificate_shows(&authority, certified, FailureClass::TlsUnknownIssuer, &message, None).await;
    }
}

#[tokio::test]
async fn an_intermediate_that_expired() {
    let authority = Authority::new("trusted");
    let expired = intermediate(&authority, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let target = serving(issued_by(&expired, &params(&["127.0.0.1"])), ALL_VERSIONS).await;
    let report = check(&authority, &target).await;
    let expected = expected_today(&report);
    let message =
        "the certificate of `127.0.0.1` comes from `CN=between`, whose own expired on 2020-01-01T00:00:00Z";
    shows(&report, FailureClass::TlsExpired, message, Some((&expected, "valid until 2020-01-01T00:00:00Z")));
}

#[tokio::test]
async fn certificates_that_are_no_servers() {
    let authority = Authority::new("trusted");
    let mut as_authority = params(&["127.0.0.1"]);
    as_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut of_a_client = params(&["127.0.0.1"]);
    of_a_client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (params, class, message) in [
        (
            as_authority,
            FailureClass::Unsupported,
            "is an authority's own (`CA:TRUE`), which this program takes from no server; `verify = false` checks all the rest",
        ),
        (
            of_a_client,
            FailureClass::TlsHandshake,
            "is not meant for servers (its extended key usage lacks `serverAuth`)",
        ),
    ] {
        let certified = authority.issue(&params);
        certificate_shows(&authority, certified, class, message, None).await;
    }
}

#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let (authority, clients) = (Authority::new("trusted"), Authority::new("clients"));
    for (versions, doing) in
        [(&[&rustls::version::TLS13], "GET https://{}/: "), (&[&rustls::version::TLS12], "")]
    {
        let target = asking(authority.issue(&params(&["127.0.0.1"])), &clients, versions).await;
        let report = check(&authority, &target).await;
        let message = format!(
            "{}`127.0.0.1` wants a client certificate (`certificate_required`): set `client_certificate` and `client_key`",
            doing.replace("{}", &target.address.to_string())
        );
        shows(&report, FailureClass::TlsClientCertificate, &message, None);
    }
}

#[tokio::test]
async fn tls_that_is_too_old() {
    let authority = Authority::new("trusted");
    let old = "`127.0.0.1` speaks no version of TLS that is still safe";
    for answer in [server_hello(1), server_hello(2), b"\x15\x03\x01\x00\x02\x02\x46"] {
        // TLS 1.0 and 1.1, and the alert `protocol_version`.
        let report = check(&authority, &answering(answer).await).await;
        shows(&report, FailureClass::TlsTooOld, old, Some(("TLS 1.2 or newer", "an older one")));
    }
    let none = "`127.0.0.1` accepts none of the cipher suites that this program supports";
    for (answer, class, or_name, got) in [
        (
            b"\x15\x03\x03\x00\x02\x02\x28",
            FailureClass::TlsHandshake,
            ", or has no certificate for `127.0.0.1`",
            "handshake_failure",
        ),
        (b"\x15\x03\x03\x00\x02\x02\x47", FailureClass::Unsupported, "", "insufficient_security"),
    ] {
        let report = check(&authority, &answering(answer).await).await;
        shows(&report, class, &format!("{none}{or_name}"), Some(("a cipher suite in common", got)));
    }
}

#[tokio::test]
async fn speaks_no_tls() {
    let authority = Authority::new("trusted");
    let report = check(&authority, &answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await).await;
    let message = "`127.0.0.1` does not speak TLS on this port";
    shows(&report, FailureClass::TlsHandshake, message, Some(("TLS", "something else")));

    let closing = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    });
    let report = check(&authority, &closing.await).await;
    let message = "the TLS handshake with `127.0.0.1` broke off: connection closed";
    shows(&report, FailureClass::TlsHandshake, message, None);
}

/// A server of names that refuses whoever does not ask for the one that it has.
async fn by_name_alone(certified: Certified, name: &str) -> Target {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.key.serialize_der()));
    let certified = CertifiedKey::from_der(certified.chain, key, &provider).expect("a certificate");
    let mut names = ResolvesServerCertUsingSni::new();
    names.add(name, certified).expect("a name");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(names));
    serving_by(TlsAcceptor::from(Arc::new(config))).await
}

#[tokio::test]
async fn a_host_that_is_there_by_its_name_alone() {
    let authority = Authority::new("trusted");
    let target = by_name_alone(authority.issue(&params(&["shop.example"])), "shop.example").await;
    assert_up(&check_named(&authority, &target, Some("shop.example")).await);
    for (name, asked_for) in [(None, "127.0.0.1"), (Some("other.example"), "other.example")] {
        let report = check_named(&authority, &target, name).await;
        let message = format!(
            "`127.0.0.1` ended the TLS handshake before it showed a certificate: perhaps it has none for `{asked_for}`"
        );
        shows(&report, FailureClass::TlsHandshake, &message, Some(("a certificate", "access_denied")));
    }
    // One that refuses by `internal_error`, one in the words of RFC 6066, and one for a reason of another kind.
    let report = check(&authority, &answering(b"\x15\x03\x03\x00\x02\x02\x50").await).await;
    let message = "`127.0.0.1` ended the TLS handshake before it showed a certificate: perhaps it has none for `127.0.0.1`";
    shows(&report, FailureClass::TlsHandshake, message, Some(("a certificate", "internal_error")));
    let target = answering(b"\x15\x03\x03\x00\x02\x02\x70").await;
    let report = check(&authority, &target).await;
    let message = "`127.0.0.1` says that it has no certificate for `127.0.0.1`";
    let words = ("127.0.0.1", "unrecognized_name");
    shows(&report, FailureClass::TlsWrongName, message, Some(words));
    let report = check(&authority, &answering(b"\x15\x03\x03\x00\x02\x02\x32").await).await;
    let message = "`127.0.0.1` ended the TLS handshake: `decode_error`";
    shows(&report, FailureClass::TlsHandshake, message, None);
}

#[tokio::test]
async fn a_host_that_shows_another_ones_certificate_without_its_name() {
    let authority = Authority::new("trusted");
    let acceptors = ["shop.example", "default.example"]
        .map(|name| acceptor(authority.issue(&params(&[name])), ALL_VERSIONS));
    let target = Target::raw(move |stream| {
        let [shop, default] = acceptors.clone();
        async move {
            let start = tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
            let Ok(start) = start.await else { return };
            let named = start.client_hello().server_name() == Some("shop.example");
            let config = if named { shop } else { default }.config().clone();
            let Ok(mut stream) = start.into_stream(config).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(crate::target::answer("200 OK", "", "ok").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    assert_up(&check_named(&authority, &target, Some("shop.example")).await);
    let report = check(&authority, &target).await;
    let message = "the certificate of `127.0.0.1` is for another name";
    shows(&report, FailureClass::TlsWrongName, message, Some(("127.0.0.1", "default.example")));
}
