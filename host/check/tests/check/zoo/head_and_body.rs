//! Targets whose answer drips, pours, or is not what it seems.

use super::shows;
use crate::assertion::{encoded, gzip, judged};
use crate::target::{Target, read_request};
use crate::{PATIENT, SHORT, assert_up, check};
use std::future::pending;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use uptime_core::check::FailureClass;
use uptime_core::monitor::HttpExpect;

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

fn lacking(text: &str) -> HttpExpect {
    HttpExpect { body_contains: vec![text.into()], ..HttpExpect::default() }
}

#[tokio::test]
async fn drips_its_head() {
    let target = Target::raw(|mut stream| async move {
        read_request(&mut stream).await;
        let head =
            b"HTTP/1.1 200 OK\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        drip(&mut stream, head).await;
    })
    .await;
    let report = check(&target.spec("/"), SHORT).await;
    let message = format!(
        "GET {}: the answer began and did not end within 400ms (after 0 bytes of the body)",
        target.url("/")
    );
    shows(&report, FailureClass::BodyTimeout, &message, None);
    assert_eq!(report.status_code(), None);
}

#[tokio::test]
async fn stops_in_its_body() {
    let target = Target::raw(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let _ = stream.write_all(b"12345").await;
        pending::<()>().await;
    })
    .await;
    let report = check(&target.spec("/"), SHORT).await;
    let message = format!(
        "GET {}: the answer began and did not end within 400ms (after 5 bytes of the body)",
        target.url("/")
    );
    shows(&report, FailureClass::BodyTimeout, &message, None);
    assert_eq!(report.status_code(), Some(200));
    assert!(report.phases().first_byte.is_some() && report.phases().transfer.is_some());
}

#[tokio::test]
async fn endless_headers() {
    for (head, chunk) in [
        // Line after line, and one that does not end.
        ("HTTP/1.1 200 OK\r\n", b"x-more: and more and more\r\n".repeat(100)),
        ("HTTP/1.1 200 OK\r\nx-more: ", vec![b'x'; 4096]),
    ] {
        let target = Target::pouring(head, chunk).await;
        let report = check(&target.spec("/"), PATIENT).await;
        let message = format!("GET {}: the head of the answer is larger than 300 KiB", target.url("/"));
        shows(&report, FailureClass::Protocol, &message, None);
    }
}

/// A check reads a MiB of a body and judges that: up, unless something is wanted of the body that is not in it.
#[tokio::test]
async fn endless_bodies_are_cut_and_what_was_read_is_judged() {
    for (head, chunk) in [
        (
            "transfer-encoding: chunked\r\n\r\n",
            b"3e8\r\n".iter().copied().chain([b'x'; 1000]).chain(*b"\r\n").collect(),
        ),
        // Of chunks as small as they can be.
        ("transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n".repeat(1000)),
        // 10 GB, and more when they have come.
        ("content-length: 10737418240\r\n\r\n", vec![b'x'; 64 * 1024]),
        // To the end of the connection, which does not come.
        ("\r\n", vec![b'x'; 64 * 1024]),
    ] {
        let head: &'static str = format!("HTTP/1.1 200 OK\r\n{head}").leak();
        let target = Target::pouring(head, chunk).await;
        let report = check(&target.spec("/"), PATIENT).await;
        assert_up(&report);
        assert!(!report.is_degraded(), "{report:?}");
        let report = judged(&target, lacking("y")).await;
        let message = format!("the first MiB of the body of GET {} lacks `y`", target.url("/"));
        let got = format!("{}…", "x".repeat(199));
        shows(&report, FailureClass::Assertion, &message, Some(("contains `y`", &got)));
        assert_up(&judged(&target, lacking("x")).await);
    }
}

#[tokio::test]
async fn a_size_that_is_limited_is_known_from_the_head() {
    let target =
        Target::pouring("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", vec![b'x'; 64 * 1024])
            .await;
    let small = HttpExpect { size_below: Some(1000), ..HttpExpect::default() };
    let report = judged(&target, small).await;
    let message = format!("the body of GET {} is too large", target.url("/"));
    let words = ("fewer than 1000 bytes", "at least 10737418240 bytes");
    shows(&report, FailureClass::Assertion, &message, Some(words));
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let target = encoded("gzip", gzip(&vec![b'x'; 50 << 20])).await;
    // Nobody asks for its plain form.
    assert_up(&judged(&target, HttpExpect::default()).await);
    // Of its plain form as much is judged as of a body that comes plain.
    let message = format!("the first MiB of the body of GET {} lacks `y`", target.url("/"));
    let got = format!("{}…", "x".repeat(199));
    let report = judged(&target, lacking("y")).await;
    shows(&report, FailureClass::Assertion, &message, Some(("contains `y`", &got)));
    assert_up(&judged(&target, lacking("x")).await);
    // Its size is counted as far as it is limited.
    for (limit, got) in [((50 << 20) + 1, None), (50 << 20, Some("at least 52428800 bytes".to_owned()))] {
        let below = HttpExpect { size_below: Some(limit), ..HttpExpect::default() };
        assert_eq!(judged(&target, below).await.failure.and_then(|failure| failure.got), got);
    }
    let small = HttpExpect { size_below: Some(1000), ..HttpExpect::default() };
    let message = format!("the body of GET {} is too large", target.url("/"));
    let words = ("fewer than 1000 bytes", "at least 1000 bytes");
    shows(&judged(&target, small).await, FailureClass::Assertion, &message, Some(words));
}

#[tokio::test]
async fn closes_before_its_answer_is_complete() {
    for (answer, more) in [
        ("", ""),
        ("HTTP/1.1 200 OK\r\nx-cut: ", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", " (after 5 bytes of the body)"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
            " (after 5 bytes of the body)",
        ),
    ] {
        let target = Target::answering(move |_| answer.to_owned()).await;
        let report = check(&target.spec("/"), PATIENT).await;
        let message = format!(
            "GET {}: the connection was closed before the answer was complete{more}",
            target.url("/")
        );
        shows(&report, FailureClass::Protocol, &message, None);
        assert_eq!(report.status_code(), (!more.is_empty()).then_some(200));
    }
}
