//! Targets that don't take a connection, or take it and are gone.

use super::shows;
use crate::target::{Target, black_hole, refusing};
use crate::{PATIENT, SHORT, assert_up, check};
use std::future::pending;
use tokio::io::AsyncReadExt as _;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{Bytes, CheckSpec, ExpectedBytes, TcpSpec};
use uptime_core::secret::SecretRef;
use uptime_core::target;

fn tcp(target: &Target) -> TcpSpec {
    target::tcp("127.0.0.1".into(), target.address.port())
}

#[tokio::test]
async fn never_accepts() {
    let (_socket, _queued, address) = black_hole().await;
    for scheme in ["http", "https", "tcp"] {
        let spec = target::parse(&format!("{scheme}://{address}")).expect("a target");
        let report = check(&spec, SHORT).await;
        let message = format!("connecting to {address}: no answer within 400ms");
        shows(&report, FailureClass::ConnectTimeout, &message, None);
        assert_eq!(report.address(), Some(address.ip()));
        assert!(report.phases().connect.is_some_and(|waited| waited >= SHORT * 7 / 8), "{report:?}");
    }
}

#[tokio::test]
async fn refuses() {
    let (_socket, address) = refusing();
    for scheme in ["http", "https", "tcp"] {
        let spec = target::parse(&format!("{scheme}://{address}")).expect("a target");
        let report = check(&spec, PATIENT).await;
        let message = format!("connecting to {address}: connection refused");
        shows(&report, FailureClass::Refused, &message, None);
    }
}

#[tokio::test]
async fn accepts_and_hangs() {
    let target = half_open().await;
    let report = check(&target.spec("/"), SHORT).await;
    let message = format!("GET {}: connected, and no answer within 400ms", target.url("/"));
    shows(&report, FailureClass::FirstByteTimeout, &message, None);
    assert_eq!(report.phases().transfer, None);

    let report =
        check(&target::parse(&format!("https://{}/", target.address)).expect("a target"), SHORT).await;
    let message = "the TLS handshake with `127.0.0.1` did not end within 400ms";
    shows(&report, FailureClass::TlsTimeout, message, None);
}

#[tokio::test]
async fn resets() {
    let target = Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        stream.set_zero_linger().expect("an open socket");
    })
    .await;
    let report = check(&target.spec("/"), PATIENT).await;
    let message = format!("GET {}: connection reset", target.url("/"));
    shows(&report, FailureClass::Protocol, &message, None);
}

/// A peer that took the connection and vanished: it neither reads nor answers, and nothing says that it is gone.
async fn half_open() -> Target {
    Target::raw(|stream| async move {
        let _open = stream;
        pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn half_open_connections_are_seen_by_what_does_not_come() {
    let target = half_open().await;
    let address = target.address;
    // Nothing more can be seen of it by one that neither says nor wants to hear anything.
    assert_up(&check(&CheckSpec::Tcp(tcp(&target)), SHORT).await);

    let pong = Some(ExpectedBytes::Text("+PONG".into()));
    let ping = |bytes: &str| Some(Bytes::Text(SecretRef::Literal(bytes.into())));
    let asked = TcpSpec { send: ping("PING\r\n"), expect: pong.clone(), ..tcp(&target) };
    let report = check(&CheckSpec::Tcp(asked), SHORT).await;
    let message = format!("`{address}`: connected, and the answer did not come within 400ms");
    shows(&report, FailureClass::FirstByteTimeout, &message, Some(("contains `+PONG`", "nothing")));

    let greeted = TcpSpec { banner: Some(ExpectedBytes::Text("220".into())), ..tcp(&target) };
    let report = check(&CheckSpec::Tcp(greeted), SHORT).await;
    let message = format!("`{address}`: connected, and the banner did not come within 400ms");
    shows(&report, FailureClass::FirstByteTimeout, &message, Some(("contains `220`", "nothing")));

    // More than the buffers on the way hold: it is not even taken.
    let much = TcpSpec { send: Some(Bytes::Hex("00".repeat(16 << 20))), expect: pong, ..tcp(&target) };
    let report = check(&CheckSpec::Tcp(much), SHORT * 5).await;
    let message = format!("`{address}`: connected, and what is sent was not taken within 2s");
    shows(&report, FailureClass::FirstByteTimeout, &message, None);
}
