//! One check over the addresses of its target: over the first that answers, or over each by itself.
//!
//! For each by itself the name is looked up once. Then the whole check runs once for each address, all at the same time
//! and within the one deadline, pinned to its address wherever a hop leads to that name. The target is as well as the
//! worst of them: down, then inconclusive, then degraded, then up. So an address that this machine has no route to makes
//! it inconclusive, unless another one is down: that much is certain. Of a DNS check the addresses are those of the
//! zone's name servers.

use crate::resolve::{HostLookup, Pin};
use crate::shared::Shared;
use crate::trace::{Deadline, Trace};
use crate::{dns, http, ping, tcp};
use futures_util::future::join_all;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout_at;
use uptime_core::check::{CheckReport, Failure, FailureClass, Outcome};
use uptime_core::monitor::{CheckSpec, IpFamily};

/// Runs a check: over each of the target's addresses where `spec` asks for it, else over the first that answers.
pub(crate) async fn run(shared: &Shared, spec: &CheckSpec, deadline: Deadline) -> CheckReport {
    let names = HostLookup::new(&shared.resolver, spec.lookup());
    let mut trace = Trace::new(deadline);
    let found = match spec {
        CheckSpec::Dns(dns) if dns.authoritative => {
            timeout_at(deadline.at, Box::pin(dns::servers(&names, dns, &mut trace))).await
        }
        _ if spec.lookup().ip == IpFamily::All && spec.connects_to_host() => {
            timeout_at(deadline.at, names.resolve(spec.host(), 0, &mut trace)).await
        }
        _ => return over(shared, spec, deadline, &names).await,
    };
    let found = match found.unwrap_or_else(|_| Err(trace.cut_off())) {
        Ok(found) => found,
        Err(failure) => return trace.into_report(Some(failure)),
    };
    let mut report = over_each(shared, spec, deadline, found, trace.hop.phases.dns).await;
    if let CheckSpec::Dns(dns) = spec {
        dns::compare(dns, &mut report);
    }
    report
}

/// The check, over the addresses that `names` gives.
async fn over(shared: &Shared, spec: &CheckSpec, deadline: Deadline, names: &HostLookup<'_>) -> CheckReport {
    let mut trace = Trace::new(deadline);
    // The steps write down where they are, so that one timer can bound them all and still say what it cut off.
    // Boxed, for a check is moved several times before it runs, and would be as large as the largest of them.
    let verdict = match spec {
        CheckSpec::Http(http) => {
            timeout_at(deadline.at, Box::pin(http::run(shared, names, http, &mut trace))).await
        }
        CheckSpec::Tcp(tcp) => {
            timeout_at(deadline.at, Box::pin(tcp::run(shared, names, tcp, &mut trace))).await
        }
        CheckSpec::Dns(dns) => timeout_at(deadline.at, Box::pin(dns::run(names, dns, &mut trace))).await,
        // What came back by the deadline counts, so this one must not be cut off from outside.
        CheckSpec::Ping(ping) => ping::run(&shared.pinger, names, ping, &mut trace).await,
    };
    let failure = verdict.unwrap_or_else(|_| Err(trace.cut_off())).err();
    trace.into_report(failure)
}

/// The check over each of the addresses that were found, which `took` so long.
async fn over_each(
    shared: &Shared,
    spec: &CheckSpec,
    deadline: Deadline,
    found: Vec<SocketAddr>,
    took: Option<Duration>,
) -> CheckReport {
    let checks = found.into_iter().enumerate().map(|(index, address)| {
        let pin = Pin { host: spec.host().to_owned(), address, took };
        let names = HostLookup::new(&shared.resolver, spec.lookup()).pinned(pin);
        async move {
            // The first has the descriptors of a check, the others wait until there is room for them.
            let mut room = None;
            if index > 0 {
                let Ok(found) = timeout_at(deadline.at, shared.further.acquire()).await else {
                    let mut trace = Trace::new(deadline);
                    let failure = trace.cut_off();
                    return (address.ip(), trace.into_report(Some(failure)));
                };
                room = found.ok();
            }
            let report = over(shared, spec, deadline, &names).await;
            drop(room);
            (address.ip(), report)
        }
    });
    let mut report = worst_of(join_all(checks).await);
    report.total = deadline.started.elapsed();
    report
}

/// How bad a report is; the greatest decides.
fn badness(report: &CheckReport) -> u8 {
    match report.outcome() {
        Outcome::Down => 3,
        Outcome::Inconclusive => 2,
        Outcome::Up if report.is_degraded() => 1,
        Outcome::Up => 0,
    }
}

/// One report of all: the verdict is the worst one's, of equally bad ones the first's (of good ones the slowest's).
/// All hops are there, those of the address that decided at the end, where the judged connection stands.
fn worst_of(mut reports: Vec<(IpAddr, CheckReport)>) -> CheckReport {
    let count = reports.len();
    let worst = reports.iter().map(|(_, report)| badness(report)).max().unwrap_or_default();
    let as_bad = || (0..count).filter(|&index| badness(&reports[index].1) == worst);
    let decisive = match worst {
        0 => as_bad().max_by_key(|&index| reports[index].1.latency()),
        _ => as_bad().next(),
    };
    let Some(decisive) = decisive else {
        let failure = Failure::new(FailureClass::Dns, "there was no address to check");
        return CheckReport::new(Some(failure), Duration::ZERO);
    };
    let affected = as_bad().map(|index| reports[index].0.to_string()).collect::<Vec<_>>();
    let of_how_many = format!("{} of {count} addresses ({}): ", affected.len(), affected.join(", "));
    let (_, mut report) = reports.remove(decisive);
    if count > 1 {
        let tell = |failure: Failure| Failure {
            message: Failure::new(failure.class, format!("{of_how_many}{}", failure.message)).message,
            ..failure
        };
        report.failure = report.failure.map(tell);
        report.warnings = report.warnings.into_iter().map(tell).collect();
    }
    let mut hops: Vec<_> = reports.into_iter().flat_map(|(_, other)| other.hops).collect();
    hops.append(&mut report.hops);
    report.hops = hops;
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_core::check::Hop;

    type Reported = (IpAddr, CheckReport);

    fn report(last: u8, failure: Option<FailureClass>, warnings: usize, total_ms: u64) -> Reported {
        let address = IpAddr::from([192, 0, 2, last]);
        let told = |class| Failure::new(class, format!("{last} failed")).with("yes", "no");
        let report = CheckReport {
            warnings: vec![told(FailureClass::Latency); warnings],
            hops: vec![Hop { address: Some(address), ..Hop::default() }],
            ..CheckReport::new(failure.map(told), Duration::from_millis(total_ms))
        };
        (address, report)
    }

    #[test]
    fn the_worst_address_decides() {
        let up = |n, ms| report(n, None, 0, ms);
        let degraded = |n| report(n, None, 1, 1);
        let down = |n| report(n, Some(FailureClass::Refused), 0, 1);
        let ours = |n| report(n, Some(FailureClass::Network), 0, 1);
        let second = "1 of 3 addresses (192.0.2.2): 2 failed";
        for (reports, class, message, judged) in [
            (vec![up(1, 5), up(2, 9), up(3, 1)], None, None, 2),
            (vec![up(1, 5)], None, None, 1),
            (vec![down(1)], Some(FailureClass::Refused), Some("1 failed"), 1),
            (vec![up(1, 5), degraded(2), up(3, 9)], Some(FailureClass::Latency), Some(second), 2),
            (vec![degraded(1), ours(2), up(3, 1)], Some(FailureClass::Network), Some(second), 2),
            (
                vec![ours(1), down(2), up(3, 1), down(4)],
                Some(FailureClass::Refused),
                Some("2 of 4 addresses (192.0.2.2, 192.0.2.4): 2 failed"),
                2,
            ),
        ] {
            let addresses: Vec<_> = reports.iter().map(|(address, _)| *address).collect();
            let report = worst_of(reports);
            let trouble = report.trouble();
            assert_eq!(trouble.map(|trouble| trouble.class), class, "{report:?}");
            assert_eq!(trouble.map(|trouble| trouble.message.as_str()), message);
            assert!(trouble.is_none_or(|trouble| trouble.expected.as_deref() == Some("yes")));
            let last = Some(IpAddr::from([192, 0, 2, judged]));
            assert_eq!(report.address(), last, "the judged one is the last: {message:?}");
            let mut told: Vec<_> = report.hops.iter().filter_map(|hop| hop.address).collect();
            told.sort();
            assert_eq!(told, addresses, "every address is evidence");
        }
    }
}
