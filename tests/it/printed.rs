//! What strangers wrote is shown, and steers no terminal: not on one, not behind a pipe, and as JSON it stays what it was.

use crate::installation::Installation;
use std::io::Write;
use std::net::TcpListener;
use std::process::Output;
use uptime_core::text::is_safe;

/// Moves a cursor, names a window, turns the direction of writing, hides: as C0, C1, bidi, zero-width and tag characters.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{61c}\u{200b}\u{feff}\u{e0041}\u{7f}";

fn assert_safe(output: &Output, expected: &str) {
    for text in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(text).expect("UTF-8");
        let unsafe_one = text.chars().find(|c| !is_safe(*c) && !matches!(c, '\n' | '\t'));
        assert_eq!(unsafe_one, None, "{text:?}");
    }
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    let both = String::from_utf8_lossy(&both);
    assert!(both.contains(expected), "{both}");
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| format!("\\U{:08X}", u32::from(c)).into_bytes()).map(char::from).collect()
}

#[test]
fn a_request_that_is_shown_steers_no_terminal() {
    let installation = Installation::new();
    installation.apply(&format!(
        "[channels.ops]\nnotifier = \"webhook\"\nurl = \"https://hook.example.com/\"\nbody = \"begin {}end\"\n",
        escaped(HOSTILE)
    ));
    let shown = installation.command(["channel", "test", "ops", "--dry-run"]).output().expect("it runs");
    assert_safe(&shown, "begin ");
    let json =
        installation.command(["channel", "test", "ops", "--dry-run", "--json"]).output().expect("it runs");
    assert_safe(&json, "begin ");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(json["requests"][0]["body"].as_str().is_some_and(|body| body.contains(HOSTILE)), "{json}");
}

#[test]
fn an_answer_that_is_shown_steers_no_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("tcp://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(format!("banner {HOSTILE}\r\n").as_bytes());
        }
    });
    let installation = Installation::new();
    for form in [&["--color", "always"][..], &["--json"], &["--nagios"]] {
        let mut command =
            installation.command(["check", &target, "--timeout", "1s", "--expect-banner", "220 ready"]);
        let output = command.args(form).output().expect("it runs");
        let stripped = console_free(output);
        assert_safe(&stripped, "banner");
    }
}

/// Without the colours that were asked for.
fn console_free(mut output: Output) -> Output {
    let text = String::from_utf8(std::mem::take(&mut output.stdout)).expect("UTF-8");
    let styles =
        ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"];
    output.stdout = styles.iter().fold(text, |text, style| text.replace(style, "")).into_bytes();
    output
}
