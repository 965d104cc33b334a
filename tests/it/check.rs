//! `uptime check`: without a database, for people, scripts and programs.

use crate::session::{Scene, sessions};
use assert_cmd::Command;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uptime_tests::{DeafTarget, DnsRecord, DnsReply, HttpTarget, NameServer, Reply, TcpTarget};

sessions! { "check":
    what_is_no_target_is_a_usage_error_with_a_way_out on Scene::bare("");
    a_flag_that_no_target_has_a_use_for_is_a_usage_error on Scene::bare("");
    nagios_gets_unknown_for_what_is_ours_and_for_a_wrong_command_line on Scene::with_file(SECRET);
    a_wrong_value_is_a_usage_error_before_anything_is_checked on Scene::bare("");
    a_file_that_is_wrong_is_named_with_a_way_out on Scene::with_file("[monitors.shop]\ntype = \"http\"\n");
}

const SECRET: &str = "[monitors.shop]\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n\
                      headers = { X-Key = { env = \"NO_SUCH_VARIABLE\" } }\n";

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
    let answer: Value = serde_json::from_slice(&output.get_output().stdout).expect("JSON");
    assert_eq!(answer["schema_version"], 1);
    for (check, kind) in answer["checks"].as_array().expect("a list").iter().zip(["http", "tcp"]) {
        assert_eq!((check["type"].as_str(), check["outcome"].as_str()), (Some(kind), Some("up")));
        assert!(check["class"].is_null() && check["message"].is_null());
        assert_eq!(check["address"], "127.0.0.1");
        assert!(check["total_ms"].as_f64().is_some_and(|ms| ms > 0.0));
        assert_eq!(check["latency_ms"], check["total_ms"]);
        assert!(check["phases"]["connect_ms"].as_f64().is_some());
        assert!(check["phases"]["tls_ms"].is_null());
    }

    http.answer(Reply::status(503));
    let (text, code) = said(&mut check(&[&http.url(), &tcp_target]));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!((code, lines[0][0], lines[1][0]), (1, "down", "up"), "{text}");
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
fn a_name_server_is_asked_over_udp_and_then_over_tcp() {
    let server = NameServer::start(|question| {
        let data = b"\x04v=sp\x06f1 all".to_vec();
        DnsReply::OverTcpAlone(vec![DnsRecord::Data {
            name: question.name.clone(),
            kind: 16,
            ttl_s: 300,
            data,
        }])
    });
    let resolver = format!("resolver={}", server.address());
    let target = ["dns://_spf.shop.example?type=TXT", "--set", &resolver];
    let (found, code) = found(check(&target).args(["--expect-answers", "v=spf1 all"]));
    assert_eq!((code, found["type"].as_str(), found["target"].as_str()), (0, Some("dns"), Some(target[0])));
    assert_eq!(
        found["dns"],
        json!({
            "rcode": "NOERROR", "answers": ["v=spf1 all"], "ttl_s": 300, "authoritative": false,
            "authenticated": false, "over_tcp": true,
        })
    );
    assert!(found["phases"]["first_byte_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{found}");
    let (text, code) = said(check(&target).args(["--expect-rcode", "NXDOMAIN", "--nagios"]));
    let why = format!("DNS CRITICAL - TXT of `_spf.shop.example`: {} answered NOERROR", server.address());
    assert!(code == 2 && text.starts_with(&why), "{text}");
}

/// The first check of its answer in JSON, and the exit code.
fn found(command: &mut Command) -> (Value, i32) {
    let (text, code) = said(command.arg("--json"));
    (serde_json::from_str::<Value>(&text).expect("JSON")["checks"][0].clone(), code)
}

/// What was written to stdout, and the exit code.
fn said(command: &mut Command) -> (String, i32) {
    let output = command.output().expect("it runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().expect("it ends by itself"))
}

#[test]
fn what_is_expected_decides_and_is_told_with_what_came() {
    let http = HttpTarget::start();
    http.answer(Reply::status(404));
    check(&[&http.url(), "--expect-status", "2xx,404"]).assert().code(0);
    let (found, code) = found(&mut check(&[&http.url(), "--expect-status", "200-204"]));
    assert_eq!((code, found["expected"].as_str(), found["got"].as_str()), (1, Some("200-204"), Some("404")));
    assert_eq!((found["status"].as_u64(), found["degraded"].as_bool()), (Some(404), Some(false)));
    assert_eq!(found["hops"].as_array().map(Vec::len), Some(1));
    assert!(found["warnings"].as_array().is_some_and(Vec::is_empty) && found["tls"].is_null());

    http.answer(Reply::status(200));
    check(&[&http.url(), "--expect-no-body", "no such text"]).assert().code(0);
    check(&[&http.url(), "--expect-body", "no such text"]).assert().code(1);
}

#[test]
fn nagios_gets_a_line_with_performance_data_and_its_own_exit_codes() {
    let http = HttpTarget::start();
    let (text, code) =
        said(check(&[&http.url()]).args(["--nagios", "--timeout", "5s", "--expect-latency", "4s"]));
    assert_eq!((code, text.lines().count()), (0, 1), "{text}");
    let (words, data) = text.trim_end().split_once(" | ").expect("performance data");
    assert!(words.starts_with("HTTP OK - 200, "), "{text}");
    let time = data.split(' ').next().expect("a first one");
    assert!(time.starts_with("time=0.") && time.ends_with("s;;4.000000;0;5.000000"), "{text}");
    assert!(data.contains(" time_connect=0.") && data.contains(" time_firstbyte=0."), "{text}");
    assert!(data.contains(" size=2B;;;0"), "{text}");

    http.answer(Reply::status(503));
    let (text, code) = said(check(&[&http.url()]).arg("--nagios"));
    assert!(text.starts_with("HTTP CRITICAL - GET "), "{text}");
    assert_eq!(code, 2, "{text}");

    let tcp = TcpTarget::start();
    let tcp_target = format!("tcp://{}", tcp.address());
    let (text, code) = said(check(&[&tcp_target, &http.url()]).arg("--nagios"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((code, lines.len()), (2, 3), "{text}");
    assert!(lines[0].starts_with(&format!("UPTIME CRITICAL - 1 of 2 ok, {}: GET ", http.url())), "{text}");
    assert!(lines[0].contains(&format!("'{tcp_target} time'=0.")), "{text}");
    assert!(lines[1].starts_with(&format!("TCP OK - {tcp_target}: ")), "{text}");
    assert!(lines[2].starts_with(&format!("HTTP CRITICAL - {}: ", http.url())), "{text}");
}

#[test]
fn nagios_gets_no_bar_where_nothing_was_measured() {
    let (text, code) = said(&mut check(&["ping://no-such-host.invalid", "--nagios", "--timeout", "5s"]));
    assert!(text.starts_with("PING ") && !text.contains('|'), "{text}");
    assert!(code == 2 || code == 3, "{code}: {text}");
}

#[test]
fn a_query_and_a_user_are_shown_nowhere() {
    let http = HttpTarget::start();
    http.answer(Reply::status(503));
    let secret = format!("{}?token=never-shown", http.url().replace("://", "://user:never-shown@"));
    let wrong = "ftp://user:never-shown@127.0.0.1/?token=never-shown";
    for (target, flags) in [
        (secret.as_str(), &[][..]),
        (&secret, &["--json"]),
        (&secret, &["--nagios"]),
        (&secret, &["--count", "1"]),
        (wrong, &[]),
        (wrong, &["--nagios"]),
    ] {
        // Twice, so that Nagios' labels have the target.
        let output = check(&[target, target]).args(flags).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("never-shown") && said.contains("://127.0.0.1"), "{flags:?}: {said}");
    }
}

/// A file with this text, in a folder that lives as long as its handle.
fn in_file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("uptime.toml");
    std::fs::write(&file, text).expect("a file");
    (folder, file)
}

#[test]
fn a_pings_latency_is_its_mean_round_trip() {
    let ping = |args: &[&str]| said(check(&["ping://127.0.0.1", "--pings", "3"]).args(args)).0;
    let (found, _) = found(&mut check(&["ping://127.0.0.1", "--pings", "3"]));
    if found["class"] == "permission" {
        return;
    }
    let (latency, total) = (found["latency_ms"].as_f64(), found["total_ms"].as_f64());
    assert_eq!(latency, found["echoes"]["mean_ms"].as_f64(), "{found}");
    // There are 200 ms between two echoes, and no echo on the loopback takes as long.
    assert!(latency.is_some_and(|ms| ms < 200.0) && total.is_some_and(|ms| ms >= 400.0), "{found}");
    let is_short = |text: &str| text.parse::<f64>().is_ok_and(|ms| ms < 200.0);
    let line = ping(&[]);
    assert!(line.split('\t').nth(2).is_some_and(is_short), "{line}");
    let summary = ping(&["--count", "1", "--format", "ndjson"]);
    let summary: Value = serde_json::from_str(summary.lines().last().expect("a line")).expect("JSON");
    assert!(summary["summary"][0]["max_ms"].as_f64().is_some_and(|ms| ms < 200.0), "{summary}");
    let nagios = ping(&["--nagios"]);
    let round_trip = |from: &str, to: &str| {
        let (_, rest) = nagios.split_once(from)?;
        rest.split_once(to).map(|(value, _)| is_short(value))
    };
    assert_eq!(
        (round_trip("round trip ", " ms"), round_trip("rta=", "ms")),
        (Some(true), Some(true)),
        "{nagios}"
    );
}

#[test]
fn repeated_checks_are_a_line_each_and_a_summary() {
    let http = HttpTarget::start();
    let repeated = ["--count", "3", "--interval", "10ms"];
    let (text, code) = said(check(&[&http.url(), "--format", "ndjson"]).args(repeated));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((code, lines.len()), (0, 4), "{text}");
    assert!(lines[..3].iter().all(|line| line["outcome"] == "up" && line["schema_version"] == 1), "{text}");
    let summary = &lines[3]["summary"][0];
    assert_eq!((summary["checks"].as_u64(), summary["up"].as_u64()), (Some(3), Some(3)));
    let of = |key: &str| summary[key].as_f64().expect("a number");
    assert!(of("min_ms") <= of("mean_ms") && of("mean_ms") <= of("max_ms"), "{summary}");

    http.answer(Reply::status(500));
    let output = check(&[&http.url()]).args(repeated).assert().code(1);
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert_eq!(text.lines().filter(|line| line.split('\t').nth(1) == Some("down")).count(), 3, "{text}");
    let summary = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert_eq!(summary, format!("{}: 3 checks, 0 up, 3 down\n", http.url()));

    let (text, _) = said(check(&[&http.url(), "--json"]).args(repeated));
    let answer: Value = serde_json::from_str(&text).expect("one JSON");
    assert_eq!(answer["checks"].as_array().map(Vec::len), Some(3));
    check(&[&http.url(), "--json", "--interval", "1s"]).assert().code(2);
}

#[test]
fn a_monitor_of_the_file_is_checked_by_its_name() {
    let http = HttpTarget::start();
    http.answer(Reply::status(418));
    let (_folder, file) = in_file(&format!(
        "[channels.ops]\nnotifier = \"not-looked-at\"\nurl = \"x\"\n[monitors.teapot]\ntype = \"http\"\nurl = \"{}\"\n\
         expect = {{ status = 418 }}\n",
        http.url()
    ));
    let (text, code) = said(check(&["teapot", "--config"]).arg(&file));
    assert!(text.starts_with("up\tteapot\t"), "{text}");
    assert_eq!(code, 0);
    let (_, code) = said(check(&["teapto", "--config"]).arg(&file));
    assert_eq!(code, 2);
}

#[test]
fn conditions_on_json_and_headers_decide() {
    let http = HttpTarget::start();
    http.answer(Reply::ok().body(r#"{"status": "ok", "items": [{"ok": true}, {"ok": false}]}"#));
    let ok = ["--expect-json", "$.status == 'ok'", "--expect-json", "length($.items) == 2"];
    check(&[&http.url()]).args(ok).args(["--expect-header", "Content-Length > 10"]).assert().code(0);
    let (found, code) = found(&mut check(&[&http.url(), "--expect-json", "$.items[*].ok == true"]));
    assert_eq!((code, found["class"].as_str()), (1, Some("assertion")), "{found}");
    assert_eq!(found["got"].as_str(), Some("false at `$['items'][1]['ok']`"), "{found}");
    check(&[&http.url(), "--expect-header", "X-None exists"]).assert().code(1);
    check(&[&http.url(), "--set", "expect.json=$.status == 'ok'"]).assert().code(0);
    check(&[&http.url(), "--set", "expect.json=$.status == 'no'"]).assert().code(1);
}

#[test]
fn a_target_that_is_slower_than_it_should_be_is_degraded_and_up() {
    let http = HttpTarget::start();
    http.slow(Duration::from_millis(50));
    let slow = ["--warn-latency", "5ms"];
    let (text, code) = said(check(&[&http.url()]).args(slow));
    assert_eq!((code, text.split('\t').next()), (0, Some("degraded")), "{text}");
    let (text, code) = said(check(&[&http.url(), "--nagios"]).args(slow));
    assert!(text.starts_with("HTTP WARNING - "), "{text}");
    assert_eq!(code, 1);
    let (found, _) = found(check(&[&http.url()]).args(slow));
    assert_eq!((found["outcome"].as_str(), found["degraded"].as_bool()), (Some("up"), Some(true)), "{found}");
    assert_eq!(found["warnings"][0]["class"], "latency", "{found}");
}
