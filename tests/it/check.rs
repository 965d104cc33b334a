//! `uptime check`: without a database, for people, scripts and programs.

use assert_cmd::Command;
use std::time::{Duration, Instant};
use uptime_tests::{DeafTarget, HttpTarget, Reply, TcpTarget};

fn check(targets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime"));
    command.arg("check").args(targets).env_remove("DATABASE_URL");
    command
}

#[test]
fn outcomes_and_phases_are_printed_and_one_that_is_down_is_exit_1() {
    let (http, tcp) = (HttpTarget::start(), TcpTarget::start());
    let tcp_target = format!("tcp://{}", tcp.address());
    let output = check(&[&http.url(), &tcp_target, "--json"]).assert().code(0);
    let answer: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!(answer["schema_version"], 1);
    for (check, kind) in answer["checks"].as_array().expect("a list").iter().zip(["http", "tcp"]) {
        assert_eq!((check["type"].as_str(), check["outcome"].as_str()), (Some(kind), Some("up")));
        assert!(check["class"].is_null() && check["message"].is_null());
        assert_eq!(check["address"], "127.0.0.1");
        assert!(check["total_ms"].as_f64().is_some_and(|ms| ms > 0.0));
        assert!(check["phases"]["connect_ms"].as_f64().is_some());
        assert!(check["phases"]["tls_ms"].is_null());
    }

    http.answer(Reply::status(503));
    let output = check(&[&http.url(), &tcp_target]).assert().code(1);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((lines[0][0], lines[1][0]), ("down", "up"), "{text}");
    assert!(lines[0][5].contains("503"), "{text}");
}

#[test]
fn a_target_that_never_answers_ends_within_its_timeout_and_a_second() {
    let (hanging, deaf, silent) = (HttpTarget::start(), DeafTarget::start(), TcpTarget::start());
    hanging.hang();
    let began = Instant::now();
    let deaf_http = format!("http://{}/", deaf.address());
    let silent_http = format!("http://{}/", silent.address());
    check(&[&hanging.url(), &deaf_http, &silent_http, "--timeout", "1s"]).assert().code(1);
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
}

#[test]
fn what_is_no_target_is_a_usage_error_with_a_way_out() {
    let output = check(&["example.com"]).assert().code(2);
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert_eq!(
        said,
        "error: `example.com` has no scheme\n\
         hint: write `https://example.com`, or `tcp://` or `ping://` in front\n"
    );
}
