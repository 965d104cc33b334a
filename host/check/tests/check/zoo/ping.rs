//! A ping into a black hole: a neighbour that takes every packet and answers none.

use crate::namespace::run_inside;
use crate::{PATIENT, check, shows};
use std::time::Duration;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{CheckSpec, PingSpec};

/// Both hosts are known by a hardware address that nobody has, so nothing says that they can't be reached.
const BLACK_HOLES: &str = "ip neigh replace 10.9.0.7 lladdr 02:00:00:00:00:07 dev probe0 nud permanent
    ip -6 neigh replace fd09::7 lladdr 02:00:00:00:00:07 dev probe0 nud permanent";

#[test]
fn black_holes_with_a_datagram_socket() {
    let script = format!("{BLACK_HOLES}\necho '0 0' > /proc/sys/net/ipv4/ping_group_range");
    run_inside("zoo::ping::a_black_hole", &script);
}

#[test]
fn black_holes_with_a_raw_socket() {
    run_inside("zoo::ping::a_black_hole", BLACK_HOLES);
}

#[tokio::test]
#[ignore = "run in a namespace by the tests above"]
async fn a_black_hole() {
    for host in ["10.9.0.7", "fd09::7"] {
        let spec = PingSpec { spacing: Duration::from_millis(20), ..uptime_core::target::ping(host.into()) };
        let report = check(&CheckSpec::Ping(spec), Duration::from_secs(1)).await;
        let message = format!("pinging {host}: 3 of 3 echoes did not come back");
        shows(&report, FailureClass::Loss, &message, Some(("a loss below 100 %", "100 %")));
        assert_eq!(report.echoes.map(|echoes| (echoes.sent, echoes.received)), Some((3, 0)));
        assert!(report.total < PATIENT, "{report:?}");
    }
}
