//! Whole answers, as people and programs get them: on terminals of 80 and 120 columns, in a pipe, and as JSON.
//!
//! `snapshots/` holds them below their command lines; `UPDATE_GOLDEN=1` writes them anew. What differs between runs
//! (instants, ports, digests) is masked digit by digit, so that columns keep their places. The terminal is a real one,
//! by `script` of util-linux.

use crate::incident::with_an_incident;
use crate::installation::Installation;
use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use uptime_tests::{HttpTarget, Reply, block_on};

/// Compares with `snapshots/NAME.txt` what each of its command lines says in each form.
fn pin(installation: &Installation, name: &str, variable: &[&str]) {
    let name = format!("snapshots/{name}");
    let expected = fs::read_to_string(golden(&name)).expect("the snapshot is there");
    let lines =
        expected.lines().filter_map(|line| line.strip_prefix("$ uptime ")?.split_once("    # 80 columns"));
    let text: String = lines.map(|(line, _)| forms(installation, line, variable)).collect();
    assert!(!text.is_empty(), "{name} has a command");
    compare(&name, &text);
}

/// Where the text of this name is kept.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/it").join(format!("{name}.txt"))
}

pub fn compare(name: &str, text: &str) {
    let golden = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, text).expect("the snapshot is written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let differs = expected.lines().zip(text.lines()).find(|(expected, got)| expected != got);
    assert!(expected == text, "{name} differs, first in {differs:#?}; now it is\n{text}");
}

fn forms(installation: &Installation, line: &str, variable: &[&str]) -> String {
    let mut text = String::new();
    for (form, columns, more) in [
        ("80 columns", Some(80), ""),
        ("120 columns", Some(120), ""),
        ("a pipe", None, ""),
        ("JSON", None, " --json"),
    ] {
        let (exit, said) = installation.shell(columns, &format!("exec \"$UPTIME\" {line}{more}"));
        let said = masked(&said, variable);
        let _ = write!(text, "$ uptime {line}{more}    # {form}, exit {exit}\n{said}\n");
    }
    text
}

/// Without what is another at each run: `0` stands for a digit, `x` for a hexadecimal one.
const VARIABLE: &[&str] = &[
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxx ",
    "xxxxxxxxxxxx\t",
    "0000-00-00T00:00:00.000Z",
    "\"oldest_wait_ms\":000000",
    "0000-00-00",
    "00:00:00",
    "127.0.0.1:00000",
    "000 d",
];

/// Of what happened long ago only that is another, how long ago it was.
const AGE: &[&str] = &["000 d"];

pub fn masked(text: &str, variable: &[&str]) -> String {
    let (mut masked, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let found = variable.iter().find(|pattern| {
            pattern.len() <= rest.len()
                && pattern.bytes().zip(rest.bytes()).all(|(pattern, byte)| match pattern {
                    b'0' => byte.is_ascii_digit(),
                    b'x' => byte.is_ascii_hexdigit(),
                    other => byte == other,
                })
        });
        masked.push_str(found.unwrap_or(&&rest[..first.len_utf8()]));
        rest = &rest[found.map_or(first.len_utf8(), |pattern| pattern.len())..];
    }
    masked.replace('\u{1b}', "␛")
}

/// Milliseconds have as many digits as they like.
fn without_times(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let pieces = text.split_inclusive(|c| !is_part(c)).map(|piece| {
        let number = piece.trim_end_matches(|c| !is_part(c));
        let is_time = number.split('.').filter(|digits| !digits.is_empty()).count() == 2;
        if is_time && number.matches('.').count() == 1 {
            format!("N.N{}", &piece[number.len()..])
        } else {
            piece.to_owned()
        }
    });
    pieces.collect()
}

fn seeded() -> Installation {
    let installation = with_an_incident().installation;
    let file = fs::read_to_string(installation.file()).expect("the file");
    installation.apply(&format!(
        "{file}\n[monitors.blog]\ntype = \"tcp\"\nhost = \"db-with-a-long-name.internal.example.com\"\n\
         port = 5432\ngroup = \"web\"\n\
         [monitors.paused]\ntype = \"tcp\"\nhost = \"192.0.2.1\"\nport = 9\nenabled = false\n\
         [monitors.stale]\ntype = \"tcp\"\nhost = \"192.0.2.1\"\nport = 9\n"
    ));
    installation.database.query(
        r#"UPDATE incidents SET started_at = now() - interval '190 min', opened_at = now() - interval '189 min';
           INSERT INTO incidents
             (monitor_id, severity, class, cause, started_at, opened_at, ended_at, resolved_at, failures)
           SELECT id, 'degraded', 'latency',
             'https://shop.example.com/ took 812.4 ms, and more than 500 ms is degraded',
             now() - interval '3000 min', now() - interval '2999 min', now() - interval '2800 min',
             now() - interval '2799 min', 7
           FROM monitors WHERE name = 'shop';
           UPDATE monitor_states SET since = now() - interval '190 min',
             last_check_at = now() - interval '150 s', last_outcome = 'down',
             last_message = 'the status is 503', last_latency_us = 12345 WHERE status = 'down';
           UPDATE monitor_states SET next_check_at =
             now() + CASE name WHEN 'blog' THEN interval '-190 min' ELSE interval '1 day' END
             FROM monitors WHERE id = monitor_id;
           UPDATE monitor_states SET awaited_since = now() - interval '1 day'
             FROM monitors WHERE id = monitor_id AND name = 'stale';
           UPDATE notifications SET created_at = now() - interval '189 min',
             delivered_at = CASE WHEN delivered_at IS NOT NULL THEN now() - interval '188 min' END;
           UPDATE failed_jobs SET created_at = now() - interval '189 min', failed_at = now() - interval '125 min',
             errors = '[{"attempt": 1, "at": "2026-01-01T00:00:22Z", "error": "the status is 500"},
               {"attempt": 2, "at": "2026-01-01T00:00:27Z",
                "error": "no connection to the provider of the channel could be made before its time was over"}]';
           INSERT INTO jobs (queue, available_at)
             SELECT 'mails', now() - interval '200 s' FROM generate_series(1, 1200);
           INSERT INTO jobs (queue, available_at) VALUES ('mails', now() + interval '1 h');
           INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
           VALUES (gen_random_uuid(), 'monitor-checks', 'h', 1, '0', now(), now() + interval '1 h', 0)"#,
    );
    for line in [
        "maintenance add upgrade --group web --until 2100-01-01T00:00:00Z",
        "maintenance add always --monitor shop --hours '00:00-24:00'",
        "queue pause notifications",
    ] {
        assert_eq!(installation.shell(None, &format!("exec \"$UPTIME\" {line}")).0, 0, "{line}");
    }
    installation.database.query(
        r#"UPDATE maintenance_windows SET spec = jsonb_set(spec, '{when,once,from}', to_jsonb(to_char(
             (now() - interval '190 min') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))) WHERE name = 'upgrade'"#,
    );
    installation
}

#[test]
fn lists_look_as_before() {
    let installation = seeded();
    let lists = ["monitor", "incident-list", "notification-list", "channel", "maintenance", "queue-monitor"];
    for name in lists.into_iter().chain(["queue-failed", "plugin", "help"]) {
        pin(&installation, name, VARIABLE);
    }
    installation.write(
        "[monitors.new]\ntype = \"tcp\"\nhost = \"192.0.2.1\"\nport = 9\ninterval = \"1m\"\nchannels = []\n",
    );
    pin(&installation, "config", VARIABLE);
}

#[test]
fn a_timeline_looks_as_before() {
    let installation = with_an_incident().installation;
    installation.command(["incident", "comment", "1", "it is\nthe disk", "--by", "anna"]).assert().success();
    let database = &installation.database;
    database.query("UPDATE incident_events SET at = '2026-01-01T00:01:30Z' WHERE kind = 'commented'");
    pin(&installation, "incident-open", AGE);
    pin(&installation, "notification-show", AGE);
    installation.database.query(
        "INSERT INTO incident_events (incident_id, at, kind, who, note)
         VALUES (1, '2026-01-01T00:03:00Z', 'acknowledged', 'anna',
           'the disk is full, and the new one comes with the next delivery of the day');
         UPDATE incidents SET acknowledged_by = 'anna', acknowledged_at = '2026-01-01T00:03:00Z',
           ended_at = '2026-01-01T00:05:00Z', resolved_at = '2026-01-01T00:05:20Z'",
    );
    pin(&installation, "incident-ended", AGE);
}

#[test]
fn what_is_done_is_said_as_before() {
    pin(&with_an_incident().installation, "done", VARIABLE);
}

#[test]
fn checks_look_as_before() {
    let (target, installation) = (HttpTarget::start(), Installation::new());
    target.answer(Reply::status(503));
    let open = TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = format!("tcp://{}", open.local_addr().expect("an address"));
    let url = target.url();
    let lines = [
        format!("check {open} tcp://127.0.0.1:9 {url} 2>/dev/null"),
        format!("check {open} --count 1 2>/dev/null"),
        format!("check {open} {url} --nagios 2>/dev/null"),
    ];
    let text: String =
        lines.iter().map(|line| without_times(&masked(&forms(&installation, line, &[]), VARIABLE))).collect();
    compare("snapshots/check", &text);
}

#[test]
fn up_says_what_happens_as_before() {
    for (form, more) in [("a pipe", ""), ("JSON", "--json ")] {
        let (target, installation) = (HttpTarget::start(), Installation::new());
        let line = format!("up {} {more}--interval 1h --for 3s", target.url());
        let (exit, said) = installation.shell(None, &format!("exec \"$UPTIME\" {line} --log off"));
        block_on(target.wait_for_requests(1));
        compare(
            &format!("snapshots/up-{}", form.replace(' ', "-")),
            &format!("exit {exit}\n{}", without_times(&masked(&said, VARIABLE))),
        );
    }
}
