//! STARTTLS: each protocol's way to TLS, and what may go wrong on it.

use crate::target::Target;
use crate::tls::{Authority, acceptor};
use crate::{PATIENT, SHORT, assert_failed, assert_up, check_with};
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::StartTls::{self, Ftp, Imap, Ldap, Pop3, Postgres, Smtp};
use uptime_core::monitor::{CheckSpec, ExpectedBytes, TcpSpec, TlsSpec};

/// What a target hears, to the letter, and what it says then.
type Script = &'static [(&'static [u8], &'static [u8])];

const SMTP: Script = &[
    (b"", b"220-mx.example ESMTP\r\n220 ready\r\n"),
    (b"EHLO [127.0.0.1]\r\n", b"250-mx.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
    (b"STARTTLS\r\n", b"220 go ahead\r\n"),
];
const IMAP: Script =
    &[(b"", b"* OK IMAP4rev1 ready\r\n"), (b"a1 STARTTLS\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK begin\r\n")];
const POP3: Script = &[(b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK begin\r\n")];
const FTP: Script = &[(b"", b"220-welcome\r\n 221 x\r\n220 ready\r\n"), (b"AUTH TLS\r\n", b"234 go\r\n")];
const LDAP: Script = &[(
    b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
    b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
)];
const POSTGRES: Script = &[(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"S")];

/// The script up to an answer that is another one.
fn changed(script: Script, at: usize, says: &'static [u8]) -> Script {
    [&script[..at], &[(script[at].0, says)]].concat().leak()
}

/// Follows the script, and then speaks TLS and greets over it, or waits.
async fn following(script: Script, tls: Option<TlsAcceptor>) -> Target {
    Target::raw(move |mut stream| {
        let tls = tls.clone();
        async move {
            for (hears, says) in script {
                let mut heard = vec![0; hears.len()];
                if stream.read_exact(&mut heard).await.is_err() || heard != *hears {
                    return;
                }
                let _ = stream.write_all(says).await;
            }
            let Some(acceptor) = tls else { return pending().await };
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(b"over TLS\r\n").await;
            let _ = stream.read(&mut [0; 1]).await;
        }
    })
    .await
}

fn spec(target: &Target, protocol: StartTls) -> TcpSpec {
    let tls = Some(TlsSpec::default());
    let plain = uptime_core::target::tcp("127.0.0.1".into(), target.address.port());
    TcpSpec { tls, starttls: Some(protocol), ..plain }
}

async fn check(authority: &Authority, spec: TcpSpec, timeout: Duration) -> CheckReport {
    check_with(&authority.checker(), &CheckSpec::Tcp(spec), timeout).await
}

#[tokio::test]
async fn each_protocol_goes_over_to_tls() {
    let authority = Authority::new("trusted");
    for (protocol, script, banner) in [
        (Smtp, SMTP, Some("ESMTP")),
        (Imap, IMAP, Some("IMAP4rev1 ready")),
        (Pop3, POP3, Some("+OK")),
        (Ftp, FTP, Some("welcome")),
        (Ldap, LDAP, None),
        (Postgres, POSTGRES, None),
    ] {
        let acceptor = acceptor(authority.local(), rustls::ALL_VERSIONS);
        let target = following(script, Some(acceptor)).await;
        let banner = banner.map(|banner| ExpectedBytes::Text(banner.into()));
        let expect = Some(ExpectedBytes::Text("over TLS".into()));
        let report = check(&authority, TcpSpec { banner, expect, ..spec(&target, protocol) }, PATIENT).await;
        assert_up(&report);
        let hop = &report.hops[0];
        assert!(hop.tls.as_ref().is_some_and(|tls| tls.chain.len() == 1), "{protocol:?}: {hop:?}");
        assert!(hop.phases.tls.is_some(), "{hop:?}");
    }
}

#[tokio::test]
async fn refusals_are_told_in_the_targets_own_words() {
    let authority = Authority::new("trusted");
    let ldap_refusal = b"\x30\x14\x02\x01\x01\x78\x0f\x0a\x01\x02\x04\x00\x04\x08no TLS !";
    for (protocol, script, at, says, words, expected, got) in [
        (
            Smtp,
            SMTP,
            0,
            &b"554 5.7.1 no service\r\n"[..],
            "the greeting is not `220`",
            "220",
            "554 5.7.1 no service",
        ),
        (
            Smtp,
            SMTP,
            1,
            b"250-mx.example\r\n250 SIZE 1000\r\n",
            "it does not offer `STARTTLS`",
            "`STARTTLS` among its extensions",
            "250-mx.example  250 SIZE 1000",
        ),
        (Smtp, SMTP, 2, b"454 no TLS\r\n", "it refuses `STARTTLS`", "220", "454 no TLS"),
        (Imap, IMAP, 1, b"a1 BAD command\r\n", "it refuses `STARTTLS`", "a1 OK", "a1 BAD command"),
        (Imap, IMAP, 0, b"* BYE too many\r\n", "the greeting is not `* OK`", "* OK", "* BYE too many"),
        (Pop3, POP3, 1, b"-ERR no\r\n", "it refuses `STLS`", "+OK", "-ERR no"),
        (Ftp, FTP, 1, b"530 log in first\r\n", "it refuses `AUTH TLS`", "234", "530 log in first"),
        (Ldap, LDAP, 0, ldap_refusal, "it refuses StartTLS", "success (0)", "result 2: no TLS !"),
        (Ldap, LDAP, 0, b"220 hello\r\n", "its answer is not LDAP", "", ""),
        (Postgres, POSTGRES, 0, b"N", "it refuses TLS (its `ssl` is off)", "S", "N"),
        (
            Postgres,
            POSTGRES,
            0,
            b"E\x00\x00\x00\x10SFATAL\x00\x00",
            "its answer to `SSLRequest` is not PostgreSQL's",
            "S",
            "E    SFATAL  ",
        ),
    ] {
        let script = changed(script, at, says);
        let target = following(script, None).await;
        let report = check(&authority, spec(&target, protocol), PATIENT).await;
        let message = format!("`{}`: {words}", target.address);
        let failure = assert_failed(&report, FailureClass::Protocol, &message).clone();
        let said = (failure.expected.unwrap_or_default(), failure.got.unwrap_or_default());
        let said = (said.0.as_str(), &*said.1.replace('\u{10}', " "));
        assert_eq!(said, (expected, got), "{protocol:?}");
    }
}

#[tokio::test]
async fn words_between_agreement_and_tls_are_a_failure() {
    let authority = Authority::new("trusted");
    for (protocol, script, at, says) in [
        (Smtp, SMTP, 2, &b"220 go\r\n250 injected\r\n"[..]),
        (Imap, IMAP, 1, b"a1 OK go\r\n* injected\r\n"),
        (Pop3, POP3, 1, b"+OK go\r\ninjected\r\n"),
        (Ftp, FTP, 1, b"234 go\r\ninjected\r\n"),
        (Postgres, POSTGRES, 0, b"Sinjected\r\n"),
    ] {
        let acceptor = acceptor(authority.local(), rustls::ALL_VERSIONS);
        let target = following(changed(script, at, says), Some(acceptor)).await;
        let report = check(&authority, spec(&target, protocol), PATIENT).await;
        let message = format!(
            "`{}`: words came in the clear after the agreement on TLS: somebody may be in between",
            target.address
        );
        let failure = assert_failed(&report, FailureClass::Protocol, &message);
        assert!(
            failure.got.as_ref().is_some_and(|got| got.contains("injected")),
            "{protocol:?}: {failure:?}"
        );
    }
}

#[tokio::test]
async fn each_wait_is_told_by_its_name() {
    let authority = Authority::new("trusted");
    for (protocol, script, what) in [
        (Smtp, &[][..], "the greeting"),
        (Smtp, &SMTP[..1], "the answer to `EHLO`"),
        (Smtp, &SMTP[..2], "the answer to the request for TLS"),
        (Ldap, &[], "the answer to StartTLS"),
        (Postgres, &[], "the answer to `SSLRequest`"),
    ] {
        let target = following(script, None).await;
        let report = check(&authority, spec(&target, protocol), SHORT).await;
        let message = format!("`{}`: connected, and {what} did not come within 400ms", target.address);
        assert_failed(&report, FailureClass::FirstByteTimeout, &message);
    }
    let target = following(SMTP, None).await;
    let report = check(&authority, spec(&target, Smtp), SHORT).await;
    let message = "the TLS handshake with `127.0.0.1` did not end within 400ms";
    assert_failed(&report, FailureClass::TlsTimeout, message);
}

#[tokio::test]
async fn an_answer_without_end() {
    let authority = Authority::new("trusted");
    let target =
        Target::raw(|mut stream| async move { while stream.write_all(b"220-more\r\n").await.is_ok() {} })
            .await;
    let report = check(&authority, spec(&target, Smtp), PATIENT).await;
    let message = format!("`{}`: the greeting has no end within 16 KiB", target.address);
    assert_failed(&report, FailureClass::Protocol, &message);
}

#[tokio::test]
async fn the_greeting_is_the_banner() {
    let authority = Authority::new("trusted");
    let target = following(SMTP, None).await;
    let banner = Some(ExpectedBytes::Text("another.example".into()));
    let report = check(&authority, TcpSpec { banner, ..spec(&target, Smtp) }, PATIENT).await;
    let message = format!("`{}`: the banner is not the expected one", target.address);
    assert_failed(&report, FailureClass::Assertion, &message);
}
