//! `[plugins.NAME]`, and limits for a plugin and for a channel. (What is wrong with such a table: `tests/it/invalid`.)

use super::{CONFIGURATION, bystander, changed, channel, component, known, place};
use crate::installation::Installation;
use std::fs;
use uptime_tests::WebhookSink;

/// The SHA-256 of a file, as `plugin inspect` says it.
fn sha256(installation: &Installation, file: &str) -> String {
    let shown = installation.json(["plugin", "inspect", file]);
    shown["plugin"]["sha256"].as_str().expect("a SHA-256").to_owned()
}

#[test]
fn a_plugin_of_the_file_is_used_as_long_as_it_is_the_one() {
    let (sink, other) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    fs::create_dir(place(&installation, "plugins")).expect("a folder");
    let path = place(&installation, "plugins").join("hello.wasm");
    fs::write(&path, component()).expect("a component");
    let trusted = sha256(&installation, "plugins/hello.wasm");
    let table = format!(
        "[plugins.hello]\nfile = \"plugins/hello.wasm\"\nsha256 = \"{trusted}\"\nallow = [\"{}\"]\n\n",
        sink.origin()
    );
    installation.apply(&(table + &channel("ops", "hello", &sink, "") + &bystander(&other)));
    installation.run(0, "channel test ops");
    let hello = known(&installation, "hello");
    assert_eq!((&hello["origin"], &hello["state"]), (&"file".into(), &"ok".into()), "{hello}");

    fs::write(&path, changed(b'a')).expect("another component");
    let found = sha256(&installation, "plugins/hello.wasm");
    let other = format!("its SHA-256 is `{found}`, and `{trusted}` is trusted");
    let hint = format!("hint: if it is the one you want: `sha256 = \"{found}\"`");
    installation.says(CONFIGURATION, "config check", &[&other, &hint]);
    installation.run(CONFIGURATION, "apply");
    installation.run(CONFIGURATION, "channel test ops");
    assert_eq!(sink.received().len(), 1);
    // It is nobody else's trouble.
    installation.run(0, "channel test bystander");
    installation.run(0, "worker notifications --stop-when-empty");

    installation.run(2, "plugin trust hello");
    let text = fs::read_to_string(installation.file()).expect("the file");
    installation.apply(&text.replace(&trusted, &found));
    installation.run(0, "channel test ops");
}

#[test]
fn the_file_moves_limits_for_a_plugin_and_for_a_channel() {
    let sink = WebhookSink::start();
    let installation = Installation::new();
    let body = format!("body = \"{}\"\nallow = [\"{}\"]", "x".repeat(3_000), sink.origin());
    let plugin = "[plugins.webhook]\nlimits = { request_body = \"2 KiB\" }\n\n";
    let more = body.clone() + "\nlimits = { request_body = \"4 KiB\" }";
    installation.apply(
        &(plugin.to_owned()
            + &channel("small", "webhook", &sink, &body)
            + &channel("large", "webhook", &sink, &more)),
    );
    let fails = |name: &str, words: &str| {
        let tested = installation.command(["channel", "test", name]).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&tested.stderr).into_owned();
        assert!(!tested.status.success() && said.contains(words), "{said}");
    };
    fails("small", "a body of 3000 bytes is over the limit of 2048");
    installation.run(0, "channel test large");
    assert_eq!(sink.received().len(), 1);
    let limits = "SELECT limits FROM channels WHERE name = 'large'";
    installation.holds(limits, "{\"request_body\": \"4 KiB\"}");
    assert_eq!(known(&installation, "webhook")["limits"]["request_body"], "2 KiB");
    let text = fs::read_to_string(installation.file()).expect("the file");
    installation.write(&text.replace("\"4 KiB\"", "\"1 KiB\""));
    let change = "~ channel large\n    limits.request_body: 4 KiB → 1 KiB\n";
    assert_eq!(installation.run(0, "apply").0, change);
    fails("large", "a body of 3000 bytes is over the limit of 1024");
    // A megabyte of memory is less than it begins with.
    installation.write(&text.replace("request_body = \"4 KiB\"", "memory = \"1 MiB\""));
    installation.run(0, "apply");
    fails("large", "the plugin `webhook` wanted more than its 1024 KiB of memory");
}
