//! Rows of the database and the secrets of a host: what a worker reads for them, and what it does not.

use crate::installation::Installation;
use crate::notices::{self, webhook};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use uptime_tests::{DEADLINE, HttpTarget, Reply, WebhookSink};

fn monitor(target: &HttpTarget, more: &str) -> String {
    let keys = "interval = \"1s\"\ntimeout = \"900ms\"\nconfirm = 1\n";
    notices::monitor("shop", &target.url(), &format!("{keys}{more}\n"))
}

/// The state and the reason that `channel list` has for the only channel.
fn channel(installation: &Installation) -> (String, String) {
    let list = installation.json(["channel", "list"]);
    let text = |key: &str| list["channels"][0][key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("broken_reason"))
}

/// Waits until the notice was refused with these words, and waits.
fn wait_for_refusal(installation: &Installation, words: &str) {
    installation.wait_for(
        &format!("SELECT count(*) FROM notifications WHERE state = 'queued' AND last_error LIKE '%{words}%'"),
        1,
    );
}

const DELIVERED: &str = "SELECT count(*) FROM notifications WHERE state = 'delivered'";

#[test]
fn rows_can_read_nothing_that_the_hosts_own_file_does_not_name() {
    let installation = Installation::new();
    let (sink, target) = (WebhookSink::start(), HttpTarget::start());
    target.down();
    let kept = installation.file().with_file_name("kept");
    fs::write(&kept, "of-this-host\n").expect("a file");
    installation.apply(&format!("{}{}", webhook("ops", &sink, ""), monitor(&target, "")));
    // Whoever can write the table asks for a file and a variable that the file does not have.
    let refer = |reference: &str| {
        installation.database.query(&format!(
            "UPDATE channels SET settings = jsonb_set(settings, '{{headers}}', '{{\"X-Stolen\": {reference}}}')"
        ));
    };
    let file = format!("{{\"file\": \"{}\"}}", kept.display());
    refer(&file);
    let _schedule = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start_as("worker", &["worker", "all"], &[("STOLEN", "of-the-environment")]);
    wait_for_refusal(&installation, "does not allow");
    let (state, reason) = channel(&installation);
    assert_eq!(state, "broken", "{reason}");
    let line = format!("allow_files = [\"{}\"]", kept.display());
    assert!(reason.contains(&line) && reason.contains("uptime.toml"), "the line to add is there: {reason}");
    // It waits, and uses up no try.
    installation.holds("SELECT max(attempts) FROM jobs WHERE queue = 'notifications'", "0");
    refer("{\"env\": \"STOLEN\"}");
    wait_for_refusal(&installation, "allow_env = [\"STOLEN\"]");
    assert_eq!(sink.received().len(), 0, "nothing was sent without it");
    // `channel test` is asked as the worker is.
    installation.says(1, "channel test ops", &["allow_env = [\"STOLEN\"]"]);
    // The line that was printed lets what waits through.
    let text = fs::read_to_string(installation.file()).expect("the file");
    installation.write(&format!("[secrets]\nallow_env = [\"STOLEN\"]\n{text}"));
    worker.hang_up();
    installation.wait_for(DELIVERED, 1);
    assert_eq!(sink.received()[0].header("x-stolen"), Some("of-the-environment"));
    assert_eq!(channel(&installation).0, "ok");
}

#[test]
fn monitors_in_the_database_are_held_to_the_same() {
    let installation = Installation::new();
    let target = HttpTarget::start();
    let kept = installation.file().with_file_name("kept");
    fs::write(&kept, "of-this-host\n").expect("a file");
    installation.apply(&monitor(&target, "channels = []"));
    let kept = kept.display();
    let said = |key: &str, value: &str, words: &str| {
        installation.database.query(&format!(
            "UPDATE monitors SET check_spec = jsonb_set(check_spec, '{{{key}}}', '{value}')"
        ));
        installation.wait_for(
            &format!("SELECT last_outcome || ': ' || (last_message LIKE '%does not allow%{words}%') FROM monitor_states"),
            "inconclusive: true",
        );
    };
    let _schedule = installation.start(["schedule", "--every", "200ms"]);
    let _worker = installation.start(["worker", "monitor-checks"]);
    installation.wait_for("SELECT last_outcome FROM monitor_states", "up");
    said("headers", &format!("{{\"X-Stolen\": {{\"file\": \"{kept}\"}}}}"), "allow_files");
    let asked = target.requests();
    said("headers", "{\"X-Stolen\": {\"env\": \"PATH\"}}", "allow_env");
    assert_eq!(target.requests(), asked, "nothing was sent without it");
}

#[test]
fn a_host_without_a_file_has_its_list_in_the_environment() {
    let installation = Installation::new();
    let (sink, target) = (WebhookSink::start(), HttpTarget::start());
    target.down();
    let headers = "headers = { X-Key = { env = \"KEY\" } }";
    installation.apply(&format!("{}{}", webhook("ops", &sink, headers), monitor(&target, "")));
    fs::remove_file(installation.file()).expect("the workers' host has no file");
    let _schedule = installation.start(["schedule", "--every", "200ms"]);
    let worker = installation.start_as("first", &["worker", "all"], &[("KEY", "value\n")]);
    wait_for_refusal(&installation, "UPTIME_ALLOW_ENV=KEY");
    worker.terminate();
    let variables = [("KEY", "value\n"), ("UPTIME_ALLOW_ENV", "OTHER,KEY")];
    let _worker = installation.start_as("second", &["worker", "all"], &variables);
    installation.wait_for(DELIVERED, 1);
    assert_eq!(sink.received()[0].header("x-key"), Some("value"), "without the newline");
}

#[test]
fn a_channel_is_untried_until_something_was_delivered() {
    let installation = Installation::new();
    let sink = WebhookSink::start();
    let file = webhook("ops", &sink, "");
    installation.apply(&file);
    assert_eq!(channel(&installation).0, "untried");
    installation.command(["channel", "test", "ops"]).assert().success();
    assert_eq!(channel(&installation).0, "ok");
    installation.apply(&format!("{file}headers = {{ X-A = \"1\" }}\n"));
    assert_eq!(channel(&installation).0, "untried", "that it worked as it was before says nothing");
}

#[test]
fn a_channel_in_trouble_says_so() {
    let (installation, sink) = (Installation::new(), WebhookSink::start());
    installation.apply(&webhook("ops", &sink, ""));
    installation.command(["channel", "test", "ops"]).assert().success();
    let is = |row: &str| assert_eq!(installation.run(0, "channel list").0, format!("ops\twebhook\t{row}\n"));
    installation.database.query("UPDATE channels SET learned = '{\"secret\": \"\"}', learned_at = now()");
    is("ok\tits provider refuses `secret`: left out, and tried again later");
    let list = installation.json(["channel", "list"]);
    assert_eq!(list["channels"][0]["left_out"], serde_json::json!(["secret"]));
    // A probe failed after `apply` had taken the flag away.
    installation.database.query("UPDATE channels SET failing_since = now()");
    is("broken\tits last messages failed: `uptime queue failed` has them");
}

#[test]
fn a_notice_goes_through_its_channels_proxy() {
    let installation = Installation::new();
    let target = HttpTarget::start();
    target.down();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let proxy = listener.local_addr().expect("an address");
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = vec![0; 16 * 1024];
            let length = stream.read(&mut head).expect("a request");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            if heard.send(String::from_utf8_lossy(&head[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    installation.apply(&format!(
        "[channels.ops]\nnotifier = \"webhook\"\nurl = \"http://hooks.invalid:8088/x\"\n\
         allow = [\"http://hooks.invalid:8088\"]\nproxy = {{ env = \"WAY_OUT\" }}\n{}",
        monitor(&target, "")
    ));
    let _schedule = installation.start(["schedule", "--every", "200ms"]);
    let way_out = format!("http://me:pass@{proxy}\n");
    let _worker = installation.start_as("worker", &["worker", "all"], &[("WAY_OUT", &way_out)]);
    let head = hears.recv_timeout(DEADLINE).expect("the proxy was asked");
    assert!(head.starts_with("POST http://hooks.invalid:8088/x HTTP/1.1\r\n"), "{head}");
    // me:pass
    assert!(head.to_ascii_lowercase().contains("\r\nproxy-authorization: basic bwu6cgfzcw==\r\n"), "{head}");
    installation.wait_for(DELIVERED, 1);
}

/// What a target gives back of a secret, in the writings that programs have for it.
#[test]
fn evidence_shows_no_secret_in_any_writing() {
    let installation = Installation::new();
    let target = HttpTarget::start();
    let written = [
        "t0k&n/\\\"va lue9",
        "t0k&amp;n/&quot;va lue9",
        "T0K&N/\\\"VA LUE9",
        "\\u0074\\u0030\\u006b&n\\/\\\"va lue9",
        "t0k%26n%2F%22va%20lue9",
        "74306b266e2f227661206c756539",
        "dDBrJm4vInZhIGx1ZTk=",
    ];
    target.answer(Reply::ok().body(written.join(" | ")));
    let more =
        "channels = []\nheaders = { X-Key = { env = \"KEY\" } }\nexpect = { body_contains = \"well\" }";
    installation.apply(&monitor(&target, more));
    let _schedule = installation.start(["schedule", "--every", "200ms"]);
    let _worker =
        installation.start_as("worker", &["worker", "monitor-checks"], &[("KEY", "t0k&n/\"va lue9")]);
    installation.wait_for("SELECT last_outcome FROM monitor_states", "down");
    let rows = installation.database.value("SELECT string_agg(to_jsonb(r)::text, ' ') FROM check_results r");
    let left: Vec<&str> = written.iter().copied().filter(|text| rows.contains(text)).collect();
    assert_eq!(left, [""; 0], "{rows}");
    assert!(rows.contains("… | … | … | … | … | … | …"), "{rows}");
}
