//! The TCP check.

use crate::target::Target;
use crate::{PATIENT, assert_up, check};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{CheckSpec, IpFamily, Lookup, TcpSpec};

fn tcp(host: &str, port: u16, ip: IpFamily) -> CheckSpec {
    CheckSpec::Tcp(TcpSpec {
        lookup: Lookup { ip, resolver: None },
        ..uptime_core::target::tcp(host.into(), port)
    })
}

#[tokio::test]
async fn up() {
    let target = Target::hanging().await;
    let report = check(&tcp("127.0.0.1", target.address.port(), IpFamily::V4), PATIENT).await;
    assert_up(&report);
    assert!(report.phases().connect.is_some() && report.phases().first_byte.is_none());
    assert_eq!((report.address(), report.status_code()), (Some(target.address.ip()), None));
}

#[tokio::test]
async fn no_port_is_left_behind() {
    // Only a reset ends a connection at once on both sides; a FIN would be read as an end.
    let (told, mut ends) = mpsc::unbounded_channel();
    let target = Target::raw(move |mut stream| {
        let told = told.clone();
        async move {
            let end = stream.read(&mut [0; 1]).await.map_err(|error| error.kind());
            let _ = told.send(end);
        }
    })
    .await;
    assert_up(&check(&tcp("127.0.0.1", target.address.port(), IpFamily::Any), PATIENT).await);
    assert_eq!(ends.recv().await, Some(Err(std::io::ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_text_that_is_no_name() {
    for host in ["a\u{0}b", ""] {
        let report = check(&tcp(host, 1, IpFamily::Any), PATIENT).await;
        assert_eq!(report.failure.expect("no name").class, FailureClass::Dns, "{host:?}");
    }
}
