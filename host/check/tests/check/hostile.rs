//! Targets that hang, drip, pour or talk nonsense.

use crate::target::{Target, answer, black_hole, read_request};
use crate::{PATIENT, SHORT, assert_failed, assert_up, check};
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uptime_core::check::FailureClass;
use uptime_core::duration;
use uptime_core::monitor::CheckSpec;
use uptime_core::target;

fn limit() -> String {
    duration::format(SHORT)
}

/// One byte every few milliseconds, for ever.
async fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for byte in bytes.iter().cycle() {
        ticks.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn never_accepts() {
    let (_socket, _queued, address) = black_hole().await;
    let report = check(&target::parse(&format!("http://{address}/")).expect("a target"), SHORT).await;
    let message = format!("connecting to {address}: no answer within {}", limit());
    assert_failed(&report, FailureClass::ConnectTimeout, &message);
    assert_eq!(report.address(), Some(address.ip()));
    assert!(report.phases().connect.is_some_and(|waited| waited >= SHORT * 7 / 8), "{report:?}");
}

#[tokio::test]
async fn accepts_and_hangs() {
    let target = Target::raw(|stream| async move {
        let _open = stream;
        pending::<()>().await;
    })
    .await;
    let report = check(&target.spec("/"), SHORT).await;
    let message = format!("GET {}: connected, and no answer within {}", target.url("/"), limit());
    assert_failed(&report, FailureClass::FirstByteTimeout, &message);
    assert_eq!(report.phases().transfer, None);
}

#[tokio::test]
async fn drips_its_head() {
    let target = Target::raw(|mut stream| async move {
        read_request(&mut stream).await;
        drip(
            &mut stream,
            b"HTTP/1.1 200 OK\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        )
        .await;
    })
    .await;
    let report = check(&target.spec("/"), SHORT).await;
    let message = format!("GET {}: the answer began and did not end within {}", target.url("/"), limit());
    assert_failed(&report, FailureClass::BodyTimeout, &message);
    assert_eq!(report.status_code(), None);
}

#[tokio::test]
async fn drips_its_body() {
    let target = Target::raw(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        drip(&mut stream, b"x").await;
    })
    .await;
    let report = check(&target.spec("/"), SHORT).await;
    let message = format!("GET {}: the answer began and did not end within {}", target.url("/"), limit());
    assert_failed(&report, FailureClass::BodyTimeout, &message);
    assert_eq!(report.status_code(), Some(200));
    assert!(report.phases().first_byte.is_some() && report.phases().transfer.is_some());
}

#[tokio::test]
async fn never_reads_a_large_request() {
    let target = Target::raw(|stream| async move {
        let _open = stream;
        pending::<()>().await;
    })
    .await;
    let mut spec = target.http("/");
    (spec.method, spec.body) = ("POST".into(), Some("x".repeat(32 * 1024 * 1024)));
    let report = check(&CheckSpec::Http(spec), SHORT).await;
    assert_eq!(report.failure.expect("no answer").class, FailureClass::FirstByteTimeout);
}

#[tokio::test]
async fn endless_head() {
    let target = Target::pouring("HTTP/1.1 200 OK\r\n", b"x-more: and more and more\r\n".repeat(100)).await;
    let report = check(&target.spec("/"), PATIENT).await;
    let message = format!("GET {}: the head of the answer is larger than 64 KiB", target.url("/"));
    assert_failed(&report, FailureClass::Protocol, &message);
}

#[tokio::test]
async fn a_head_may_have_64_kib() {
    for (length, up) in [(32 * 1024, true), (100 * 1024, false)] {
        let header = format!("x-long: {}\r\n", "x".repeat(length));
        let target = Target::answering(move |_| answer("200 OK", &header, "")).await;
        let report = check(&target.spec("/"), PATIENT).await;
        assert_eq!(report.failure.is_none(), up, "{length}: {:?}", report.failure);
    }
}

#[tokio::test]
async fn endless_head_line() {
    let target = Target::pouring("HTTP/1.1 200 OK\r\nx-more: ", vec![b'x'; 4096]).await;
    let report = check(&target.spec("/"), PATIENT).await;
    let message = format!("GET {}: the head of the answer is larger than 64 KiB", target.url("/"));
    assert_failed(&report, FailureClass::Protocol, &message);
}

#[tokio::test]
async fn endless_interim_answers() {
    let target = Target::pouring("", b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).await;
    let report = check(&target.spec("/"), SHORT).await;
    assert!(report.failure.is_some(), "{report:?}");
}

#[tokio::test]
async fn endless_body_is_cut_and_what_was_read_is_judged() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n"] {
        let target = Target::pouring(head, vec![b'x'; 64 * 1024]).await;
        assert_up(&check(&target.spec("/"), PATIENT).await);
        let mut spec = target.http("/");
        spec.expect.body_contains.push("y".into());
        let report = check(&CheckSpec::Http(spec), PATIENT).await;
        assert_failed(
            &report,
            FailureClass::Assertion,
            &format!("the first MiB of the body of GET {} lacks `y`", target.url("/")),
        );
    }
}

#[tokio::test]
async fn endless_chunks() {
    let chunk = b"1\r\nx\r\n".repeat(1000);
    let target = Target::pouring("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk).await;
    assert_up(&check(&target.spec("/"), PATIENT).await);
}

#[tokio::test]
async fn what_is_not_http() {
    for (answer, message) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP: invalid HTTP version parsed"),
        ("220 smtp.example ESMTP\r\n", "the answer is not HTTP: invalid HTTP version parsed"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "the answer is not HTTP: invalid HTTP status-code parsed"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "the answer is not HTTP: invalid HTTP header parsed"),
        ("\u{0}\u{1}\u{2}", "the answer is not HTTP: invalid HTTP version parsed"),
        ("", "the connection was closed before the answer was complete"),
        ("HTTP/1.1 200 OK\r\nx-cut: ", "the connection was closed before the answer was complete"),
    ] {
        let target = Target::answering(move |_| answer.to_owned()).await;
        let report = check(&target.spec("/"), PATIENT).await;
        assert_failed(&report, FailureClass::Protocol, &format!("GET {}: {message}", target.url("/")));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    for head in ["content-length: 10\r\n\r\n12345", "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"] {
        let target = Target::answering(move |_| format!("HTTP/1.1 200 OK\r\n{head}")).await;
        let report = check(&target.spec("/"), PATIENT).await;
        let message = format!(
            "GET {}: the connection was closed before the answer was complete (after 5 bytes of the body)",
            target.url("/")
        );
        assert_failed(&report, FailureClass::Protocol, &message);
        assert_eq!(report.status_code(), Some(200));
    }
}

#[tokio::test]
async fn resets() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        stream.set_zero_linger().expect("an open socket");
    })
    .await;
    let report = check(&target.spec("/"), PATIENT).await;
    assert_failed(&report, FailureClass::Protocol, &format!("GET {}: connection reset", target.url("/")));
}

#[tokio::test]
async fn an_answer_before_the_request_and_more_after_it() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.write_all(answer("200 OK", "", "ok").repeat(2).as_bytes()).await;
        read_request(&mut stream).await;
    })
    .await;
    // What hyper makes of it may differ with the order of arrival; it must end, and not be ours.
    let report = check(&target.spec("/"), PATIENT).await;
    assert!(report.failure.is_none_or(|failure| failure.class == FailureClass::Protocol));
}

#[tokio::test]
async fn no_timeout_is_too_short_or_too_long() {
    let target = Target::answering(|_| answer("200 OK", "", "")).await;
    // Timers have a grain of a millisecond, in which the loopback may well answer.
    check(&target.spec("/"), Duration::ZERO).await;
    let report = check(&target.spec("/"), Duration::MAX / 4).await;
    assert_up(&report);
}
