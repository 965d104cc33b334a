//! `uptime plugin add|list|inspect|trust|remove`, and `[plugins]` in the file: a component that a stranger has built is
//! brought in, granted what an operator grants, refused when it is another one, and taken away.

mod file;
mod folder;

use crate::installation::Installation;
use crate::notices::{Notice, enqueue, types};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use uptime_tests::{Rng, WebhookSink, block_on};

/// The exit code of a configuration that has to be changed.
const CONFIGURATION: i32 = 78;

const ADD: &str = "plugin add hello.wasm --name hello";

/// A component that delivers: the built-in webhook, as a stranger's.
fn component() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/built/webhook.wasm");
    fs::read(path).expect("a built plugin")
}

/// Another one that does the same: with a custom section of that name behind it.
fn changed(name: u8) -> Vec<u8> {
    [component(), vec![0, 2, 1, name]].concat()
}

/// The file `name` in the installation's folder.
fn place(installation: &Installation, name: &str) -> PathBuf {
    installation.file().with_file_name(name)
}

/// The component of the added plugin `name`.
fn installed(installation: &Installation, name: &str) -> PathBuf {
    place(installation, "data").join("plugins/installed").join(name).join("component.wasm")
}

/// Writes `hello.wasm` and adds it as `hello`.
fn add(installation: &Installation) {
    fs::write(place(installation, "hello.wasm"), component()).expect("the component is written");
    installation.run(0, ADD);
}

fn known(installation: &Installation, name: &str) -> Value {
    let all = installation.json(["plugin", "list"]);
    assert_eq!(all["schema_version"], 1);
    let all = all["plugins"].as_array().expect("plugins");
    all.iter().find(|plugin| plugin["name"] == name).cloned().unwrap_or(Value::Null)
}

/// A channel that tells `sink` by the plugin `notifier`.
fn channel(name: &str, notifier: &str, sink: &WebhookSink, more: &str) -> String {
    format!("[channels.{name}]\nnotifier = \"{notifier}\"\nurl = \"{}\"\n{more}\n", sink.url())
}

/// A channel of the built-in webhook, which has nothing to do with any of it.
fn bystander(sink: &WebhookSink) -> String {
    channel("bystander", "webhook", sink, &format!("allow = [\"{}\"]", sink.origin()))
}

#[test]
fn a_plugin_is_added_granted_changed_refused_trusted_and_removed() {
    let (sink, other) = (WebhookSink::start(), WebhookSink::start());
    let installation = Installation::new();
    add(&installation);
    installation.write(&(channel("ops", "hello", &sink, "") + &bystander(&other)));
    let hello = known(&installation, "hello");
    assert_eq!(
        (&hello["state"], &hello["origin"], &hello["channels"][0]),
        (&"ok".into(), &"installed".into(), &"ops".into()),
        "{hello}"
    );

    // The channel names a plain address on this machine, which nobody has allowed.
    let origin = sink.origin();
    let hint = format!("hint: if it should: `allow = [\"{origin}\"]` in the channel's table");
    installation.says(CONFIGURATION, "apply", &[&hint]);
    installation.run(0, &format!("plugin trust hello --allow {origin}"));
    installation.run(0, "apply");
    installation.run(0, "channel test ops");
    assert_eq!(sink.received().len(), 1);

    // Somebody changes it.
    fs::write(installed(&installation, "hello"), changed(b'a')).expect("it is changed");
    let changed = "the plugin `hello` is not the one that is trusted: its SHA-256 is `";
    installation.says(CONFIGURATION, "channel test ops", &[changed, "`uptime plugin trust hello` trusts it"]);
    let shown = known(&installation, "hello");
    assert_eq!(shown["state"], "untrusted");
    assert_ne!(shown["sha256"], hello["sha256"]);
    // It points at the channel's notifier.
    installation.says(CONFIGURATION, "config check", &["uptime.toml:2:12"]);
    assert_eq!(sink.received().len(), 1, "nothing is sent by what nobody trusts");

    // All others are told; its own channel is broken, and says why.
    let mut rng = Rng::with_seed(1);
    let notices = ["ops", "bystander"].map(|channel| Notice::new(&mut rng, channel));
    installation.database.query(&enqueue(&notices));
    installation.run(0, "worker notifications --stop-when-empty");
    // Its own, and that the other channel is broken.
    let mut told = types(&other.received());
    told.sort();
    assert_eq!(told, ["certificate", "channel-broken"]);
    let why = installation.database.value("SELECT broken_reason FROM channels WHERE name = 'ops'");
    assert!(why.contains("not the one that is trusted"), "{why}");

    installation.says(2, "plugin trust hello", &["there is no terminal to confirm it\nhint: add `--yes`"]);
    assert_eq!(known(&installation, "hello")["state"], "untrusted");
    installation.run(0, "plugin trust hello --yes");
    installation.run(0, "channel test ops");
    assert_eq!(sink.received().len(), 2, "with the grants that it had");

    installation.says(1, "plugin remove hello --yes", &["`hello` is used by `ops`"]);
    installation.run(0, "plugin remove hello --yes --force");
    assert_eq!(known(&installation, "hello"), Value::Null);
    // Who makes channels of the file is told; all others go on.
    let said = installation.complaint(CONFIGURATION, "config check");
    assert!(
        said.contains("`uptime plugin add FILE` adds another") || said.contains("unknown notifier `hello`"),
        "{said}"
    );
    installation.run(0, "channel list");
    installation.run(0, "worker notifications --stop-when-empty");
    installation.run(2, "plugin remove hello --yes");
}

#[test]
fn a_plugin_is_replaced_after_a_question_and_keeps_its_grants() {
    let installation = Installation::new();
    add(&installation);
    installation.run(0, "plugin trust hello --allow https://a.example --limit cpu=2s");
    let telegram = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/built/telegram.wasm");
    fs::copy(telegram, place(&installation, "hello.wasm")).expect("another component");
    let asks =
        "it now asks for `https://api.telegram.org`; granted: `https://a.example`; there is no terminal";
    installation.says(2, ADD, &["this replaces `hello` 0.1.0 (", asks]);
    assert_eq!(known(&installation, "hello")["settings"][0]["key"], "url", "it is still the old one");
    installation.run(0, &format!("{ADD} --yes"));
    let hello = known(&installation, "hello");
    assert_eq!(hello["settings"][0]["key"], "bot_token");
    assert_eq!(hello["hosts"][0]["granted"], false, "what is asked for is not what is granted");
    assert_eq!(hello["allow"][0], "https://a.example");
    assert_eq!((&hello["limits"]["cpu"], &hello["limits"]["memory"]), (&"2s".into(), &"16 MiB".into()));
}

#[test]
fn what_is_no_plugin_is_not_added() {
    let installation = Installation::new();
    fs::write(place(&installation, "good.wasm"), component()).expect("a component");
    fs::write(place(&installation, "cut.wasm"), &component()[..1_000]).expect("a file");
    fs::write(place(&installation, "text.wasm"), "hello").expect("a file");
    for (args, exit, expected) in [
        ("text.wasm --name a", CONFIGURATION, "the plugin `a` can't be loaded: it is no WebAssembly"),
        ("cut.wasm --name a", CONFIGURATION, "the plugin `a` can't be loaded: "),
        ("nowhere.wasm --name a", CONFIGURATION, "`nowhere.wasm`: No such file or directory"),
        ("good.wasm --name ../a", 2, "`../a` can't be the name of a plugin: a name begins with"),
        ("good.wasm --name slack", 2, "`slack` is built in, and nothing takes its place"),
        ("good.wasm --limit cpu=5m", 2, "`cpu` goes from `10ms` to `1m`, not `5m`"),
        ("good.wasm --limit disk=5", 2, "there is no limit `disk`; there are cpu, timeout,"),
        ("good.wasm --allow a.example", 2, "`a.example` is no grant: it names no scheme"),
        // It calls itself what a built-in one is called.
        ("good.wasm", 2, "`--name my-webhook`"),
    ] {
        installation.says(exit, &format!("plugin add {args} --yes"), &[expected]);
    }
    assert!(!place(&installation, "data").join("plugins/installed").exists(), "nothing was written");
}

#[test]
fn a_component_is_looked_at_before_it_is_a_plugin() {
    let installation = Installation::new();
    fs::write(place(&installation, "hello.wasm"), component()).expect("a component");
    let shown = installation.json(["plugin", "inspect", "./hello.wasm"]);
    let plugin = &shown["plugin"];
    assert_eq!(
        (&plugin["name"], &plugin["interface"], &plugin["size"]),
        (&"webhook".into(), &"0.1.0".into(), &component().len().into()),
        "{plugin}"
    );
    assert_eq!(known(&installation, "hello"), Value::Null, "looking adds nothing");
    installation.says(CONFIGURATION, "plugin inspect webhok", &["did you mean `webhook`?"]);
}

#[test]
fn whoever_adds_a_plugin_is_told_what_it_can_do_all_the_same() {
    let installation = Installation::new();
    fs::write(place(&installation, "hello.wasm"), component()).expect("a component");
    let all = [
        "`hello` sees each message (names, targets and failures of monitors) and its settings, but for secrets",
        "of `headers` it sees a placeholder; the host it goes to sees the value",
        "it can have anything signed with `secret`, and try guesses against the signature",
    ];
    installation.says(0, ADD, &all);
}

#[test]
fn a_worker_that_runs_takes_a_new_plugin_when_it_reads_the_file_again() {
    let sink = WebhookSink::start();
    let installation = Installation::new();
    let worker = installation.start(["worker", "notifications"]);
    installation.wait_for("SELECT count(*) FROM workers", "1");
    add(&installation);
    installation.apply(&channel("ops", "hello", &sink, &format!("allow = [\"{}\"]", sink.origin())));
    worker.hang_up();
    worker.wait_for_log("configuration read again");
    let notice = Notice::new(&mut Rng::with_seed(2), "ops");
    installation.database.query(&enqueue(&[notice]));
    block_on(sink.wait_for(1));
    assert_eq!(worker.terminate(), 0);
}

/// What is no regular file is not waited for, by no command that reads a plugin.
#[test]
fn a_pipe_in_a_plugins_place_hangs_nothing() {
    let installation = Installation::new();
    let pipe = place(&installation, "pipe.wasm");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let path = pipe.to_str().expect("text");
    for file in [path, "/dev/zero", "/dev/tty", "/"] {
        for command in ["inspect", "add", "test"] {
            installation.says(CONFIGURATION, &format!("plugin {command} {file}"), &[file]);
        }
    }
    add(&installation);
    for name in ["component.wasm", "grant.toml"] {
        let file = installed(&installation, "hello").with_file_name(name);
        let kept = fs::read(&file).expect("the file");
        fs::remove_file(&file).expect("the file");
        fs::rename(&pipe, &file).expect("the pipe");
        installation.run(CONFIGURATION, "plugin inspect hello");
        fs::rename(&file, &pipe).expect("the pipe");
        fs::write(&file, kept).expect("the file");
    }
    installation.run(0, "plugin inspect hello");
}

/// Half a million functions: 1.5 MB that took gigabytes to compile.
fn expensive() -> Vec<u8> {
    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).expect("seven bits");
            value >>= 7;
            if value == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }
    let section = |id: u8, content: &[u8]| [vec![id], number(content.len()), content.to_vec()].concat();
    let list = |count: usize, item: &[u8]| [number(count), item.repeat(count)].concat();
    let count = 500_000;
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &list(count, &[0])),
        section(10, &list(count, &[2, 0, 0x0b])),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

/// A component that is made to be expensive ends in a refusal of its own, in a process of its own, and is remembered.
#[test]
fn what_is_expensive_to_compile_is_refused_once() {
    let installation = Installation::new();
    fs::write(place(&installation, "bomb.wasm"), expensive()).expect("written");
    installation.run(CONFIGURATION, "plugin inspect bomb.wasm");
    let refused = "`bomb` can't be loaded: compiling it takes more than the ";
    installation.says(CONFIGURATION, "plugin add bomb.wasm --name bomb", &[refused]);
    let refusals = fs::read_dir(place(&installation, "data").join("plugins")).expect("the cache");
    let paths = refusals.map(|entry| entry.expect("an entry").path());
    assert_eq!(paths.filter(|path| path.extension().is_some_and(|kind| kind == "refused")).count(), 1);
}
