//! Targets that talk nonsense, and what hangs or pours in other ways than those of the zoo.

use crate::target::{Target, answer, read_request};
use crate::{ask, ask_briefly, assert_failed, assert_up, check};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use uptime_core::check::FailureClass;

#[tokio::test]
async fn never_reads_a_large_request() {
    let target = Target::hanging().await;
    let mut spec = target.http("/");
    (spec.method, spec.body) = ("POST".into(), Some("x".repeat(16 * 1024 * 1024)));
    let report = ask_briefly(spec).await;
    assert_eq!(report.failure.expect("no answer").class, FailureClass::FirstByteTimeout);
}

#[tokio::test]
async fn a_head_may_have_300_kib() {
    let long = |length| format!("x-long: {}\r\n", "x".repeat(length));
    let many = |count| (0..count).map(|nth| format!("{nth:x}:\n")).collect::<Vec<_>>().concat();
    for (header, failure) in [
        (long(290 * 1024), None),
        (long(310 * 1024), Some("the head of the answer is larger than 300 KiB")),
        (many(10_000), None),
        // More than a map of headers has room for.
        (many(45_000), Some("the answer is not HTTP: its head has too many headers")),
    ] {
        let target = Target::answering(move |_| answer("200 OK", &header, "")).await;
        let report = ask(target.http("/")).await;
        match failure.map(|words| format!("GET {}: {words}", target.url("/"))) {
            Some(message) => _ = assert_failed(&report, FailureClass::Protocol, &message),
            None => assert_up(&report),
        }
    }
}

#[tokio::test]
async fn what_is_not_http() {
    // How it begins that breaks off is in the zoo.
    for (answer, message) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "it does not begin with `HTTP/`"),
        ("220 smtp.example ESMTP\r\n", "it does not begin with `HTTP/`"),
        ("\u{0}\u{1}\u{2}", "it does not begin with `HTTP/`"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "its status is no number of three digits"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a line of its head has no colon"),
        ("HTTP/1.1 200 OK\r\nx-nul: a\u{0}b\r\n\r\n", "its head has a NUL byte"),
        ("HTTP/3.0 200 OK\r\n\r\n", "its version is not known here"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nyes",
            "it has more than one `Content-Length`",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nyes", "its `Content-Length` is no number"),
    ] {
        let target = Target::answering(move |_| answer.to_owned()).await;
        let report = ask(target.http("/")).await;
        assert_failed(
            &report,
            FailureClass::Protocol,
            &format!("GET {}: the answer is not HTTP: {message}", target.url("/")),
        );
    }
}

#[tokio::test]
async fn an_answer_before_the_request_and_more_after_it() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.write_all(answer("200 OK", "", "ok").repeat(2).as_bytes()).await;
        read_request(&mut stream).await;
    })
    .await;
    // What comes of it may differ with the order of arrival; it must end, and not be ours.
    let report = ask(target.http("/")).await;
    assert!(report.failure.is_none_or(|failure| failure.class == FailureClass::Protocol));
}

#[tokio::test]
async fn no_timeout_is_too_short_or_too_long() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    // Timers have a grain of a millisecond, in which the loopback may well answer.
    check(&target.parsed("http"), Duration::ZERO).await;
    let report = check(&target.parsed("http"), Duration::MAX / 4).await;
    assert_up(&report);
}
