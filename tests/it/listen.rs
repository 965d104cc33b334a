//! `--listen`: what a worker tells Prometheus.

use crate::installation::{Installation, Process};
use crate::pipeline::file;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use uptime_tests::{DEADLINE, DeafTarget, HttpTarget, block_on};

/// Where it listens, as it has logged.
pub fn address(worker: &Process) -> String {
    worker.wait_for_log("metrics at /metrics");
    let log = worker.log();
    let (_, rest) = log.split_once("address=").expect("the address is logged");
    rest.split_whitespace().next().expect("a word").to_owned()
}

/// The status and the rest of what is answered.
pub fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split_whitespace().nth(1).expect("a status").to_owned();
    (status, body.to_owned())
}

/// The value of a series, once it is not 0.
fn value(address: &str, series: &str) -> f64 {
    let began = Instant::now();
    loop {
        let (_, text) = get(address, "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        match line.and_then(|value| value.parse::<f64>().ok()) {
            Some(value) if value > 0.0 => return value,
            _ => assert!(began.elapsed() < DEADLINE, "waited for {series} in\n{text}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_worker_exports_what_came_of_its_checks() {
    let (target, witness) = (HttpTarget::start(), DeafTarget::start());
    let installation = Installation::new();
    installation.apply(&format!("[checks]\nwitnesses = [\"{}\"]\n\n{}", witness.url(), file(&target, &[])));
    let _scheduler = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start(["worker", "monitor-checks", "--listen", "0"]);
    let address = address(&worker);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_eq!(get(&address, "/healthz"), ("200".into(), "ok\n".into()));
    assert_eq!(get(&address, "/nothing").0, "404");

    assert!(value(&address, "uptime_checks_total{outcome=\"up\",class=\"\"}") >= 1.0);
    assert!(value(&address, "uptime_check_duration_seconds_count") >= 1.0);
    assert!(value(&address, "uptime_check_late_seconds_count") >= 1.0);
    assert!(value(&address, "uptime_jobs_total{queue=\"monitor-checks\"}") >= 1.0);
    assert!((value(&address, "uptime_blind") - 1.0).abs() < f64::EPSILON);
    assert!(value(&address, "uptime_descriptors_open") >= 3.0);
    target.hang();
    value(&address, "uptime_checks_in_flight");
    // The failures are not the target's while no witness answers.
    value(&address, "uptime_checks_total{outcome=\"inconclusive\",class=\"network\"}");
    let (_, text) = get(&address, "/metrics");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let count = installation.database.value("SELECT count(*) FROM check_results WHERE outcome = 'up'");
    let up: f64 = count.parse().expect("a number");
    assert!((value(&address, "uptime_checks_total{outcome=\"up\",class=\"\"}") - up).abs() < f64::EPSILON);
    target.up();
    block_on(target.more_requests(1));
    assert_eq!(worker.terminate(), 0);
}

#[test]
fn an_address_that_cannot_be_taken_is_said() {
    let installation = Installation::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let error = format!("error: `--listen 127.0.0.1:{port}`: ");
    let listen = "worker monitor-checks --listen";
    installation.says(69, &format!("{listen} {port}"), &[&error, "hint: another process has it"]);
    installation.run(2, &format!("{listen} 192.0.2.1:9"));
    installation.run(2, &format!("{listen} localhost"));
}

#[test]
fn half_sent_requests_do_not_hold_up_the_health_check() {
    let installation = Installation::new();
    installation.apply("");
    let worker = installation.start(["worker", "monitor-checks", "--listen", "0"]);
    let address = address(&worker);
    let half_sent: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").expect("sent");
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(get(&address, "/healthz"), ("200".into(), "ok\n".into()));
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    drop(half_sent);
    assert_eq!(worker.terminate(), 0);
}
