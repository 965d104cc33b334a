//! What needs a network, or a resolver, that the test may set as it likes: a namespace of its own.
//!
//! The test runs its own program again under `unshare`, as the root of a namespace of users, networks and mounts, and
//! there the one ignored test that bears the name. Where that is not allowed there is nothing to see.

use crate::resolve::ODD_NAMES;
use crate::{PATIENT, assert_failed, assert_up, check, check_with};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uptime_check::Checker;
use uptime_core::check::FailureClass;
use uptime_core::monitor::{CheckSpec, PingSpec};
use uptime_tests::{DnsQuestion, DnsReply, NameServer};

/// Runs the ignored test `name` (its path in this program) in a namespace that `script` has prepared.
pub(crate) fn run_inside(name: &str, script: &str) {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec", script]);
        command.env("PROGRAM", std::env::current_exe().expect("a path"));
        command
    };
    let probe = unshare("ip link set lo up && ip link add probe0 type veth peer name probe1").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return;
    }
    let prepare = "ip link set lo up
        ip link add probe0 type veth peer name probe1
        ip address add 10.9.0.1/24 dev probe0
        ip -6 address add fd09::1/64 dev probe0 nodad
        ip -6 address add fe80::1/64 dev lo nodad
        ip link set probe0 up && ip link set probe1 up
        echo 50 > /proc/sys/net/ipv4/neigh/probe0/retrans_time_ms
        echo 50 > /proc/sys/net/ipv6/neigh/probe0/retrans_time_ms";
    let run = format!("exec timeout 60 \"$PROGRAM\" --exact {name} --ignored --nocapture");
    assert_passes(&mut unshare(&format!("{prepare}\n{script}\n{run}")));
}

/// Runs this program with one test.
pub(crate) fn assert_passes(test: &mut Command) {
    let output = test.output().expect("it starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn ping(host: &str) -> CheckSpec {
    pings(host, 3, 20, 100)
}

fn pings(host: &str, count: u8, spacing_ms: u64, loss_below: u8) -> CheckSpec {
    let spacing = Duration::from_millis(spacing_ms);
    CheckSpec::Ping(PingSpec { count, spacing, loss_below, ..uptime_core::target::ping(host.into()) })
}

#[test]
fn what_is_unreachable_is_known_at_once_with_a_datagram_socket() {
    run_inside("namespace::the_unreachable", "echo '0 0' > /proc/sys/net/ipv4/ping_group_range");
}

#[test]
fn what_is_unreachable_is_known_at_once_with_a_raw_socket() {
    run_inside("namespace::the_unreachable", "");
}

#[tokio::test]
#[ignore = "run in a namespace by the tests above"]
async fn the_unreachable() {
    let checker = Checker::new().expect("a checker");
    // Those that answer, meanwhile and on the same sockets: none may get an error that is another one's.
    let mut others = tokio::task::JoinSet::new();
    for index in 0..40 {
        let checker = checker.clone();
        others.spawn(async move {
            let host = if index % 2 == 0 { "127.0.0.1" } else { "::1" };
            let spec = pings(host, 20, 25, 1);
            check_with(&checker, &spec, PATIENT).await
        });
    }
    for (host, message) in [
        ("10.9.0.9", "pinging 10.9.0.9: 10.9.0.1 says host unreachable"),
        ("fd09::9", "pinging fd09::9: fd09::1 says host unreachable"),
        ("fd09::9", "pinging fd09::9: fd09::1 says host unreachable"),
    ] {
        let report = check_with(&checker, &ping(host), PATIENT).await;
        assert_failed(&report, FailureClass::Unreachable, message);
        assert!(report.total < Duration::from_secs(3), "{report:?}");
        assert_eq!(report.echoes.map(|echoes| (echoes.sent, echoes.received)), Some((3, 0)));
    }
    for report in others.join_all().await {
        assert_up(&report);
    }
    let report = check(&ping("203.0.113.1"), PATIENT).await;
    let message = "pinging 203.0.113.1: this machine has no IPv4 route to any network";
    assert_failed(&report, FailureClass::Network, message);
    assert_up(&check(&ping("fe80::1%lo"), PATIENT).await);
}

#[test]
fn no_target_is_blamed_for_what_the_echoes_to_others_meet() {
    // What goes to 10.10.0.0/16 comes in again at the other end of the cable, where it is to be passed on and has no more
    // hops to go: each echo to there is an error at once. The loopback is no hop.
    let script = "echo '0 0' > /proc/sys/net/ipv4/ping_group_range
        echo 1 > /proc/sys/net/ipv4/ip_default_ttl
        echo 1 > /proc/sys/net/ipv4/ip_forward
        echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
        for limit in icmp_msgs_per_sec icmp_msgs_burst; do echo 100000 > /proc/sys/net/ipv4/$limit || true; done
        echo 1 > /proc/sys/net/ipv4/conf/probe1/accept_local
        echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
        echo 0 > /proc/sys/net/ipv4/conf/probe1/rp_filter
        ip link set probe1 address 02:00:00:00:00:02
        ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev probe0
        ip route add 10.10.0.0/16 via 10.9.0.2";
    run_inside("namespace::errors_without_end", script);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run in a namespace by the test above"]
async fn errors_without_end() {
    let checker = Checker::new().expect("a checker");
    let mut dead = tokio::task::JoinSet::new();
    for index in 0..60 {
        let checker = checker.clone();
        let spec = pings(&format!("10.10.0.{index}"), 200, 1, 1);
        dead.spawn(async move { check_with(&checker, &spec, PATIENT).await });
    }
    let mut alive = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let checker = checker.clone();
        let spec = pings("127.0.0.1", 200, 1, 1);
        alive.spawn(async move { check_with(&checker, &spec, PATIENT).await });
    }
    for report in alive.join_all().await {
        assert_up(&report);
    }
    for report in dead.join_all().await {
        let failure = report.failure.expect("it has no hops to go");
        assert!(failure.message.ends_with("10.9.0.1 says time to live exceeded"), "{}", failure.message);
    }
}

#[test]
fn the_systems_resolver_gets_a_second_opinion() {
    run_inside(
        "namespace::the_system",
        "mount -t tmpfs none /mnt
        printf 'nameserver 127.0.0.1\\nsearch lan\\noptions timeout:1 attempts:1\\n' > /mnt/resolv.conf
        printf 'hosts: files dns\\n' > /mnt/nsswitch.conf
        mount --bind /mnt/resolv.conf /etc/resolv.conf
        mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf",
    );
}

#[tokio::test]
#[ignore = "run in a namespace by the test above"]
async fn the_system() {
    let at = SocketAddr::from(([127, 0, 0, 1], 53));
    let says = Arc::new(Mutex::new((false, DnsReply::Silence)));
    let script = {
        let says = Arc::clone(&says);
        move |question: &DnsQuestion| {
            let (root, reply) = says.lock().expect("no panic under it").clone();
            match question.name.as_str() {
                "." if root => DnsReply::root(),
                "up.example" | "-up.example" | "u~p.example" | "u_p.example" => {
                    DnsReply::address(question, IpAddr::from([127, 0, 0, 7]))
                }
                _ => reply,
            }
        }
    };
    let look_up = || async {
        let report = check(&ping("dead.example"), PATIENT).await;
        report.failure.map(|failure| (failure.class, failure.message)).expect("it fails")
    };
    let said = |class, words: &str| (class, format!("looking up `dead.example`: {words}"));
    let dead_zone = "its name servers gave no answer (SERVFAIL)";
    let dead_resolver = "this machine's resolver has no answer now (see /etc/resolv.conf)";
    let none = look_up().await;
    assert_eq!(none, said(FailureClass::Resolver, dead_resolver), "nobody listens");
    for host in ODD_NAMES {
        let report = check(&ping(host), PATIENT).await;
        assert_eq!(report.failure.map(|failure| failure.class), Some(FailureClass::Resolver), "{host}");
    }
    // One server for all: the port of one that has ended may not be free at once.
    let _server = NameServer::start_at(at, script);
    for (root, reply, class) in
        [(true, DnsReply::Code(3), FailureClass::Dns), (false, DnsReply::Code(2), FailureClass::Resolver)]
    {
        *says.lock().expect("no panic under it") = (root, reply);
        for host in ODD_NAMES {
            let report = check(&ping(host), PATIENT).await;
            assert_eq!(report.failure.map(|failure| failure.class), Some(class), "{host}");
        }
    }
    for (root, reply, expected) in [
        (true, DnsReply::Code(2), said(FailureClass::Dns, dead_zone)),
        (false, DnsReply::Code(2), said(FailureClass::Resolver, dead_resolver)),
        (true, DnsReply::Code(1), said(FailureClass::Dns, "its name servers gave no answer (FORMERR)")),
        (true, DnsReply::Code(3), said(FailureClass::Dns, "no such name")),
        (true, DnsReply::Silence, said(FailureClass::Dns, "its name servers gave no answer")),
        (false, DnsReply::Silence, said(FailureClass::Resolver, dead_resolver)),
    ] {
        *says.lock().expect("no panic under it") = (root, reply.clone());
        assert_eq!(look_up().await, expected, "{root} {reply:?}");
        for host in ["up.example", "-up.example", "u~p.example", "u_p.example"] {
            let report = check(&ping(host), PATIENT).await;
            assert_up(&report);
            assert_eq!(report.address(), Some(IpAddr::from([127, 0, 0, 7])), "{host}");
        }
    }
}
