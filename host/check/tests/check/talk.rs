//! What is said and heard over a TCP connection: banner, send and expect.

use crate::target::Target;
use crate::{PATIENT, SHORT, assert_failed, assert_up, check};
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uptime_core::check::{CheckReport, FailureClass};
use uptime_core::monitor::{Bytes, CheckSpec, ExpectedBytes, TcpSpec};
use uptime_core::secret::SecretRef;

fn spec(target: &Target) -> TcpSpec {
    uptime_core::target::tcp("127.0.0.1".into(), target.address.port())
}

fn text(text: &str) -> ExpectedBytes {
    ExpectedBytes::Text(text.into())
}

fn say(text: &str) -> Bytes {
    Bytes::Text(SecretRef::Literal(text.into()))
}

async fn run(spec: TcpSpec) -> CheckReport {
    check(&CheckSpec::Tcp(spec), PATIENT).await
}

/// Greets, and answers `PING` as Redis does and anything else with an error that repeats it; then it waits.
async fn redis() -> Target {
    Target::raw(|mut stream| async move {
        let _ = stream.write_all(b"hello\r\n").await;
        let mut heard = vec![0; 4096];
        let count = stream.read(&mut heard).await.unwrap_or(0);
        let heard = String::from_utf8_lossy(&heard[..count]).into_owned();
        let answer = match heard.trim() {
            "PING" => "+PONG\r\n".to_owned(),
            other => format!("-ERR unknown command `{other}`\r\n"),
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn what_is_expected_comes() {
    let target = redis().await;
    for (banner, expect) in [
        (Some(text("hello")), Some(text("+PONG"))),
        (None, Some(ExpectedBytes::Matches(r"(?m)^\+PONG\r$".parse().expect("a pattern")))),
        (Some(ExpectedBytes::Hex("0d0a".into())), Some(ExpectedBytes::Hex("2b 50 4f".into()))),
    ] {
        let report = run(TcpSpec { banner, send: Some(say("PING\r\n")), expect, ..spec(&target) }).await;
        assert_up(&report);
        let phases = report.phases();
        assert!(phases.first_byte.is_some() && phases.transfer.is_some(), "{phases:?}");
    }
    // Without `send`, what came with the banner counts for `expect`.
    let asked = TcpSpec { banner: Some(text("hel")), expect: Some(text("hello")), ..spec(&target) };
    assert_up(&run(asked).await);
    // What is sent may be bytes.
    let send = Some(Bytes::Hex("50494e47".into()));
    assert_up(&run(TcpSpec { send, expect: Some(text("PONG")), ..spec(&target) }).await);
}

#[tokio::test]
async fn something_else_comes() {
    let target = redis().await;
    let address = target.address;
    let asked = TcpSpec { send: Some(say("PONG")), expect: Some(text("+PONG")), ..spec(&target) };
    let report = check(&CheckSpec::Tcp(asked), SHORT).await;
    let message = format!(
        "`{address}`: the answer did not come within 400ms, but {} bytes of something else",
        b"hello\r\n-ERR unknown command `PONG`\r\n".len()
    );
    let failure = assert_failed(&report, FailureClass::BodyTimeout, &message);
    assert_eq!(failure.expected.as_deref(), Some("contains `+PONG`"));
    for said in [&failure.got, &failure.excerpt] {
        let is_answer = |said: &str| said.ends_with("-ERR unknown command `PONG`");
        assert!(said.as_deref().is_some_and(is_answer), "{failure:?}");
    }
    assert!(report.hops[0].phases.transfer.is_some());
}

#[tokio::test]
async fn a_secret_that_comes_back_is_not_told() {
    let target = redis().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("words");
    std::fs::write(&file, "AUTH hunter22").expect("written");
    let said = Some(Bytes::Text(SecretRef::File { file }));
    let asked =
        TcpSpec { banner: Some(text("hello")), send: said, expect: Some(text("+OK")), ..spec(&target) };
    let report = check(&CheckSpec::Tcp(asked), SHORT).await;
    let failure = report.failure.expect("it is refused");
    assert_eq!(failure.got.as_deref(), Some("-ERR unknown command `…`"), "{failure:?}");
}

#[tokio::test]
async fn the_connection_is_closed_instead() {
    let target = Target::raw(|_stream| async {}).await;
    let report = run(TcpSpec { banner: Some(text("hello")), ..spec(&target) }).await;
    let message = format!("`{}`: the connection was closed before the banner", target.address);
    assert_failed(&report, FailureClass::Protocol, &message);

    let target = Target::raw(|mut stream| async move {
        let _ = stream.write_all(b"554 go\x1b[31m away\r\n").await;
    })
    .await;
    let report = run(TcpSpec { banner: Some(text("220 ")), ..spec(&target) }).await;
    let message =
        format!("`{}`: the connection was closed after something else than the banner", target.address);
    let failure = assert_failed(&report, FailureClass::Assertion, &message);
    assert_eq!(failure.got.as_deref(), Some("554 go [31m away"));
}

#[tokio::test]
async fn more_than_is_listened_to() {
    let target =
        Target::raw(|mut stream| async move { while stream.write_all(&[b'x'; 8192]).await.is_ok() {} }).await;
    let report = run(TcpSpec { expect: Some(text("hello")), ..spec(&target) }).await;
    let message = format!("`{}`: the answer is not in the first 64 KiB that came", target.address);
    assert_failed(&report, FailureClass::Assertion, &message);
}

#[tokio::test]
async fn slower_than_wanted() {
    let target = redis().await;
    let nothing = Duration::from_nanos(1);
    let report = run(TcpSpec { latency_below: Some(nothing), ..spec(&target) }).await;
    assert_eq!(report.failure.expect("it took time").class, FailureClass::Latency);
    let report = run(TcpSpec { degraded_above: Some(nothing), ..spec(&target) }).await;
    assert_up(&report);
    assert_eq!(report.trouble().expect("it took time").class, FailureClass::Latency);
    let limits = TcpSpec { latency_below: Some(PATIENT), degraded_above: Some(PATIENT), ..spec(&target) };
    assert!(run(limits).await.trouble().is_none());
}

#[tokio::test]
async fn a_secret_that_is_missing_is_ours() {
    let target = redis().await;
    let said = Some(Bytes::Text(SecretRef::Env { env: "UPTIME_TEST_NO_SUCH_WORDS".into() }));
    let report = run(TcpSpec { send: said, ..spec(&target) }).await;
    let failure = report.failure.expect("it is not set");
    assert_eq!(failure.class, FailureClass::Settings);
    let begin = "`send`: the environment variable `UPTIME_TEST_NO_SUCH_WORDS` is not set";
    assert!(failure.message.starts_with(begin), "{failure:?}");
}
