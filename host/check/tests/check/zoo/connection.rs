//! Targets that don't take a connection, or take it and are gone.

use crate::target::Target;
use crate::{PATIENT, SHORT, ask, ask_briefly, assert_up, check, shows};
use tokio::io::AsyncReadExt as _;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{Bytes, CheckSpec, ExpectedBytes, TcpSpec};
use uptime_core::secret::SecretRef;
use uptime_core::target;
use uptime_tests::DeafTarget;

fn tcp(target: &Target) -> TcpSpec {
    target::tcp("127.0.0.1".into(), target.address.port())
}

#[tokio::test]
async fn never_accepts() {
    let target = DeafTarget::start();
    let address = target.address();
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
    let target = DeafTarget::refusing();
    let address = target.address();
    for scheme in ["http", "https", "tcp"] {
        let spec = target::parse(&format!("{scheme}://{address}")).expect("a target");
        let message = format!("connecting to {address}: connection refused");
        shows(&check(&spec, PATIENT).await, FailureClass::Refused, &message, None);
    }
}

#[tokio::test]
async fn accepts_and_hangs() {
    let target = Target::hanging().await;
    let report = ask_briefly(target.http("/")).await;
    let message = format!("GET {}: connected, and no answer within 400ms", target.url("/"));
    shows(&report, FailureClass::FirstByteTimeout, &message, None);
    assert_eq!(report.phases().transfer, None);

    let report = check(&target.parsed("https"), SHORT).await;
    let message = "the TLS handshake with `127.0.0.1` did not end within 400ms";
    shows(&report, FailureClass::TlsTimeout, message, None);
}

pub(super) async fn resetting() -> Target {
    Target::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        stream.set_zero_linger().expect("an open socket");
    })
    .await
}

#[tokio::test]
async fn resets() {
    let target = resetting().await;
    let report = ask(target.http("/")).await;
    let message = format!("GET {}: connection reset", target.url("/"));
    shows(&report, FailureClass::Protocol, &message, None);
}

#[tokio::test]
async fn half_open_connections_are_seen_by_what_does_not_come() {
    // A peer that took the connection and vanished, and nothing says that it is gone.
    let target = Target::hanging().await;
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
