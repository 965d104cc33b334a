//! Targets whose answer drips, pours, or is not what it seems.

use crate::assertion::{contains, encoded, gzip, judged, size_below};
use crate::target::{Target, read_request};
use crate::{ask, ask_briefly, assert_up, shows};
use std::future::pending;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use uptime_core::check::FailureClass;
use uptime_core::monitor::HttpExpect;

/// Answers with these bytes again and again, one every few milliseconds, for ever.
pub(super) async fn dripping(bytes: &'static [u8]) -> Target {
    Target::raw(move |mut stream| async move {
        read_request(&mut stream).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for byte in bytes.iter().cycle() {
            ticks.tick().await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn unfinished(target: &Target, bytes: usize) -> String {
    let began = "the answer began and did not end within 400ms";
    format!("GET {}: {began} (after {bytes} bytes of the body)", target.url("/"))
}

#[tokio::test]
async fn drips_its_head() {
    let target = dripping(b"HTTP/1.1 200 OK\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").await;
    let report = ask_briefly(target.http("/")).await;
    let message = unfinished(&target, 0);
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
    let report = ask_briefly(target.http("/")).await;
    let message = unfinished(&target, 5);
    shows(&report, FailureClass::BodyTimeout, &message, None);
    assert_eq!(report.status_code(), Some(200));
    assert!(report.phases().first_byte.is_some() && report.phases().transfer.is_some());
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
        let report = ask(target.http("/")).await;
        assert_up(&report);
        assert!(!report.is_degraded(), "{report:?}");
        let report = judged(&target, contains("y")).await;
        let message = format!("the first MiB of the body of GET {} lacks `y`", target.url("/"));
        let got = format!("{}…", "x".repeat(199));
        shows(&report, FailureClass::Assertion, &message, Some(("contains `y`", &got)));
        assert_up(&judged(&target, contains("x")).await);
    }
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let target = encoded("gzip", gzip(&vec![b'x'; 50 << 20])).await;
    // Nobody asks for its plain form.
    assert_up(&judged(&target, HttpExpect::default()).await);
    // Of its plain form as much is judged as of a body that comes plain.
    let message = format!("the first MiB of the body of GET {} lacks `y`", target.url("/"));
    let got = format!("{}…", "x".repeat(199));
    let report = judged(&target, contains("y")).await;
    shows(&report, FailureClass::Assertion, &message, Some(("contains `y`", &got)));
    assert_up(&judged(&target, contains("x")).await);
    // Its size is counted as far as it is limited.
    assert_up(&judged(&target, size_below((50 << 20) + 1)).await);
    let message = format!("the body of GET {} is too large", target.url("/"));
    for limit in [50 << 20, 1000] {
        let words = (format!("fewer than {limit} bytes"), format!("at least {limit} bytes"));
        let report = judged(&target, size_below(limit)).await;
        shows(&report, FailureClass::Assertion, &message, Some((&words.0, &words.1)));
    }
}

#[tokio::test]
async fn closes_before_its_answer_is_complete() {
    for (answer, more) in [
        ("", ""),
        ("HTTP/1.1 200 OK\r\n", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", ""),
        ("HTTP/1.1 200 OK\r\nx-cut: ", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345", " (after 5 bytes of the body)"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
            " (after 5 bytes of the body)",
        ),
    ] {
        let target = Target::answering(move |_| answer.to_owned()).await;
        let report = ask(target.http("/")).await;
        let message = format!(
            "GET {}: the connection was closed before the answer was complete{more}",
            target.url("/")
        );
        shows(&report, FailureClass::Protocol, &message, None);
        assert_eq!(report.status_code(), (!more.is_empty()).then_some(200));
    }
}
