//! The ping check, where this process may ping. Where it may not, the check must say so.

use crate::resolve::hosting;
use crate::{PATIENT, SHORT, assert_up, check, check_with};
use std::time::Duration;
use uptime_check::Checker;
use uptime_core::check::{FailureClass, Outcome};
use uptime_core::monitor::{CheckSpec, IpFamily, Lookup, PingSpec};

fn ping(host: &str, count: u8) -> PingSpec {
    PingSpec { count, ..uptime_core::target::ping(host.into()) }
}

/// Whether this process may ping; asserts that a check says how to allow it when it may not.
async fn may_ping() -> bool {
    let report = check(&CheckSpec::Ping(ping("127.0.0.1", 1)), PATIENT).await;
    match &report.failure {
        Some(failure) if failure.class == FailureClass::Permission => {
            assert_eq!(report.outcome(), Outcome::Inconclusive);
            for fix in ["net.ipv4.ping_group_range", "setcap cap_net_raw+ep"] {
                assert!(failure.message.contains(fix), "{}", failure.message);
            }
            false
        }
        _ => true,
    }
}

#[tokio::test]
async fn the_loopback_answers() {
    let true = may_ping().await else { return };
    for host in ["127.0.0.1", "::1", "127.1.2.3", "localhost"] {
        let report = check(&CheckSpec::Ping(ping(host, 3)), PATIENT).await;
        assert_up(&report);
        assert!(report.phases().first_byte.is_some_and(|mean| mean < Duration::from_secs(1)), "{report:?}");
        // Two gaps of 200 ms between three echoes, and no wait after the last.
        let total = report.total.as_millis();
        assert!((400..2000).contains(&total), "{report:?}");
    }
}

#[tokio::test]
async fn a_short_timeout_still_sends_all_echoes() {
    let true = may_ping().await else { return };
    let report = check(&CheckSpec::Ping(PingSpec { loss_below: 1, ..ping("127.0.0.1", 20) }), SHORT).await;
    assert_up(&report);
}

#[tokio::test]
async fn nobody_takes_anothers_echoes() {
    let true = may_ping().await else { return };
    // Two checkers are as two processes: each has a socket of its own, and a raw one sees all echoes.
    let checkers = [Checker::new().expect("a checker"), Checker::new().expect("a checker")];
    let mut checks = tokio::task::JoinSet::new();
    for index in 0..100 {
        let checker = checkers[index % 2].clone();
        let spec =
            CheckSpec::Ping(PingSpec { loss_below: 1, ..ping(&format!("127.0.0.{}", index % 4 + 1), 5) });
        checks.spawn(async move { check_with(&checker, &spec, PATIENT).await });
    }
    for report in checks.join_all().await {
        assert_up(&report);
    }
}

#[tokio::test]
async fn the_evidence_tells_what_became_of_each_echo() {
    let true = may_ping().await else { return };
    for size in [24, 56, 1472] {
        let spec = PingSpec { size, spacing: Duration::from_millis(10), ..ping("127.0.0.1", 4) };
        let report = check(&CheckSpec::Ping(spec), PATIENT).await;
        assert_up(&report);
        let echoes = report.echoes.expect("they were counted");
        let times = echoes.round_trips.expect("all came back");
        assert_eq!((echoes.sent, echoes.received), (4, 4));
        assert!(times.min <= times.mean && times.mean <= times.max && times.jitter <= times.max, "{times:?}");
        assert_eq!(report.phases().first_byte, Some(times.mean));
        assert!(report.total < Duration::from_secs(1), "the spacing is kept: {report:?}");
    }
}

#[tokio::test]
async fn every_address_is_pinged() {
    let true = may_ping().await else { return };
    let server = hosting(&[1, 2]);
    let lookup = Lookup { ip: IpFamily::All, resolver: Some(server.address()) };
    let report = check(&CheckSpec::Ping(PingSpec { lookup, ..ping("host.example", 2) }), PATIENT).await;
    assert_up(&report);
    assert_eq!(report.hops.len(), 2, "{report:?}");
}

#[tokio::test]
async fn the_family_is_kept() {
    let spec = PingSpec { lookup: Lookup { ip: IpFamily::V4, resolver: None }, ..ping("::1", 1) };
    let report = check(&CheckSpec::Ping(spec), PATIENT).await;
    assert_eq!(report.failure.expect("no such address").class, FailureClass::Dns);
}
