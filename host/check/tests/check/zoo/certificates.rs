//! Every fault of a certificate or a handshake, and who it is that must act.

use crate::target::Target;
use crate::tls::{Authority, Certified, acceptor, params, private, self_signed, server, serving, serving_by};
use crate::trust::{self, answering, asking, evidence, intermediate, issued_by, server_hello};
use crate::{PATIENT, assert_up, check_with, shows};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints,
    date_time_ymd,
};
use rustls::ALL_VERSIONS;
use rustls::crypto::ring;
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
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

/// Asserts what is said of a server on 127.0.0.1 with this certificate: with `verify = false` it is told, and no failure.
async fn certificate_shows(
    authority: &Authority,
    certified: Certified,
    class: FailureClass,
    message: &str,
    got: Option<(&str, &str)>,
) {
    let target = serving(certified, ALL_VERSIONS).await;
    let report = check(authority, &target).await;
    // The moment that would have been right is not known beforehand.
    let failure = report.failure.as_ref().expect(message);
    let today = format!("valid on {}", &jiff::Timestamp::now().to_string()[..4]);
    let moment = failure.expected.as_deref().filter(|expected| expected.starts_with(&today));
    let words =
        got.map(|(expected, got)| (if expected == NOW { moment.expect(message) } else { expected }, got));
    shows(&report, class, &format!("the certificate of `127.0.0.1` {message}"), words);
    assert!(report.phases().tls.is_some() && report.status_code().is_none(), "{report:?}");
    let unverified = TlsSpec { verify: false, ..TlsSpec::default() };
    let told = trust::check(&authority.checker(), trust::spec(&target, unverified)).await;
    assert_up(&told);
    let trust_failure = evidence(&told).trust_failure.as_ref().expect(message);
    assert_eq!((trust_failure.class, &trust_failure.message), (class, &failure.message));
}

/// Stands for what is valid on the test's own day.
const NOW: &str = "now";

#[tokio::test]
async fn what_is_wrong_with_a_certificate() {
    use FailureClass as C;
    let (authority, another) = (Authority::new("trusted"), Authority::new("another"));
    let local = |change: fn(&mut CertificateParams)| {
        let mut params = params(&["127.0.0.1"]);
        change(&mut params);
        params
    };
    let as_authority = || local(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let of_years = |change| authority.issue(&local(change));
    let expired = of_years(|params| params.not_after = date_time_ymd(2020, 1, 1));
    let early = of_years(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let of_a_client =
        of_years(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let mut whole = another.local();
    whole.chain.push(another.issuer.der().clone());
    let mut without = issued_by(&intermediate(&authority, |_| {}), &params(&["127.0.0.1"]));
    without.chain.truncate(1);
    let over = intermediate(&authority, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let over = issued_by(&over, &params(&["127.0.0.1"]));
    let constrained = intermediate(&authority, |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("b.example".into())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let constrained = issued_by(&constrained, &params(&["a.example", "127.0.0.1"]));
    let whole_way = issued_by(&intermediate(&authority, |_| {}), &params(&["127.0.0.1"]));
    assert_up(&check(&authority, &serving(whole_way, ALL_VERSIONS).await).await);
    let others = authority.issue(&params(&["other.example", "127.0.0.2"]));
    // As when an authority was made anew under its old name.
    let renamed = Authority::new("trusted").local();
    let until = Some((NOW, "valid until 2020-01-01T00:00:00Z"));
    let missing =
        "which is not trusted here and was not sent along: probably an intermediate certificate is missing";
    for (certified, class, message, words) in [
        (expired, C::TlsExpired, "expired on 2020-01-01T00:00:00Z", until),
        (
            early,
            C::TlsNotYetValid,
            "is not valid before 4000-01-01T00:00:00Z",
            Some((NOW, "valid from 4000-01-01T00:00:00Z")),
        ),
        (over, C::TlsExpired, "comes from `CN=between`, whose own expired on 2020-01-01T00:00:00Z", until),
        (others, C::TlsWrongName, "is for another name", Some(("127.0.0.1", "other.example, 127.0.0.2"))),
        (
            authority.issue(&params(&[])),
            C::TlsWrongName,
            "is for no name at all (a common name alone has not counted for years)",
            Some(("127.0.0.1", "no name")),
        ),
        (self_signed(&local(|_| {})), C::TlsSelfSigned, "is self-signed, and not trusted here", None),
        (self_signed(&as_authority()), C::TlsSelfSigned, "is self-signed, and not trusted here", None),
        (another.local(), C::TlsUnknownIssuer, &format!("comes from `CN=another`, {missing}"), None),
        (whole, C::TlsUnknownIssuer, "comes from `CN=another`, an authority that is not trusted here", None),
        (without, C::TlsUnknownIssuer, &format!("comes from `CN=between`, {missing}"), None),
        (renamed, C::TlsUnknownIssuer, "is not signed by `CN=trusted`, whose name it bears", None),
        (
            authority.issue(&as_authority()),
            C::Unsupported,
            "is an authority's own (`CA:TRUE`), which this program takes from no server; `verify = false` checks all the rest",
            None,
        ),
        (
            constrained,
            C::TlsHandshake,
            "is for a name that its authority may not vouch for (name constraints)",
            None,
        ),
        (
            of_a_client,
            C::TlsHandshake,
            "is not meant for servers (its extended key usage lacks `serverAuth`)",
            None,
        ),
    ] {
        certificate_shows(&authority, certified, class, message, words).await;
    }
}

#[tokio::test]
async fn a_client_certificate_is_demanded() {
    let (authority, clients) = (Authority::new("trusted"), Authority::new("clients"));
    for (versions, doing) in
        [(&[&rustls::version::TLS13], "GET https://{}/: "), (&[&rustls::version::TLS12], "")]
    {
        let target = asking(authority.local(), &clients, versions).await;
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
    let key = private(&certified.key);
    let certified = CertifiedKey::from_der(certified.chain, key, &ring::default_provider());
    let mut names = ResolvesServerCertUsingSni::new();
    names.add(name, certified.expect("a certificate")).expect("a name");
    let config = server(ALL_VERSIONS).with_no_client_auth().with_cert_resolver(Arc::new(names));
    serving_by(TlsAcceptor::from(Arc::new(config))).await
}

#[tokio::test]
async fn a_host_that_is_there_by_its_name_alone() {
    use FailureClass as C;
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
    let perhaps =
        "ended the TLS handshake before it showed a certificate: perhaps it has none for `127.0.0.1`";
    for (alert, class, said, words) in [
        (
            b"\x15\x03\x03\x00\x02\x02\x50",
            C::TlsHandshake,
            perhaps,
            Some(("a certificate", "internal_error")),
        ),
        (
            b"\x15\x03\x03\x00\x02\x02\x70",
            C::TlsWrongName,
            "says that it has no certificate for `127.0.0.1`",
            Some(("127.0.0.1", "unrecognized_name")),
        ),
        (b"\x15\x03\x03\x00\x02\x02\x32", C::TlsHandshake, "ended the TLS handshake: `decode_error`", None),
    ] {
        let report = check(&authority, &answering(alert).await).await;
        shows(&report, class, &format!("`127.0.0.1` {said}"), words);
    }
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
