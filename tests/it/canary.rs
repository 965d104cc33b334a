//! Promise 7, over a whole run: no secret is in anything that the program produced.
//!
//! Every secret of an installation has a word of its own in it, the canary: letters and digits alone, which no escaping
//! (JSON, percent, TOML, a shell's) changes. The run has all that could show one: deliveries that succeed, servers that
//! echo the request with their refusal, hangs, refused egress, dry runs, lists, JSON, logs down to the last level, a
//! process that is killed. Then each output, each log, each row of each table, each file of the data directory and the
//! command line of each process is searched, for the word and for its base64 and hexadecimal forms.
//!
//! One exemption: what the operator wrote *literally* into the file is the file's content, and `apply` keeps that in
//! `channels.settings` and `monitors.check_spec`. In those two columns literals may stand, and nowhere else.

use crate::installation::Installation;
use std::fs;
use std::path::{Path, PathBuf};
use uptime_tests::{HttpTarget, Reply, WebhookSink, block_on};

/// A secret of the installation.
struct Canary {
    word: &'static str,
    value: &'static str,
    /// Whether it stands in the file itself.
    literal: bool,
}

/// From the environment `C_…`, from files, and literal ones. The values are as awkward as their places let them be.
const CANARIES: &[Canary] = &[
    Canary { word: "CanaryTelegram7q", value: "123:CanaryTelegram7q\"\\/", literal: false },
    Canary { word: "CanaryDiscord3v", value: "/api/webhooks/77/CanaryDiscord3v", literal: false },
    Canary { word: "CanarySlackBot5w", value: "xoxb-1-CanarySlackBot5w", literal: false },
    Canary { word: "CanarySlackHook2k", value: "/services/T1/B2/CanarySlackHook2k", literal: true },
    Canary {
        word: "CanaryHookPath9d",
        value: "/hook/CanaryHookPath9d?key=CanaryHookQuery1z",
        literal: false,
    },
    Canary { word: "CanaryHookQuery1z", value: "", literal: false },
    Canary { word: "CanarySigning8j", value: "CanarySigning8j \"quoted\" é", literal: false },
    Canary { word: "CanaryRotated4n", value: "CanaryRotated4n", literal: false },
    Canary { word: "CanaryBearer6p", value: "Bearer CanaryBearer6p+/=", literal: false },
    Canary { word: "CanaryLiteral0s", value: "Bearer CanaryLiteral0s", literal: true },
    Canary { word: "CanaryDenied1m", value: "/denied/CanaryDenied1m", literal: false },
    Canary { word: "CanaryClosed3f", value: "/closed/CanaryClosed3f", literal: false },
    Canary { word: "CanaryTargetUser2a", value: "CanaryTargetUser2a", literal: true },
    Canary { word: "CanaryTargetPass5b", value: "CanaryTargetPass5b", literal: true },
    Canary { word: "CanaryTargetQuery8c", value: "CanaryTargetQuery8c", literal: true },
    Canary { word: "CanaryTargetAuth4e", value: "Basic dXNlcjpDYW5hcnlUYXJnZXRBdXRoNGU=", literal: false },
    Canary { word: "CanaryTargetCookie6g", value: "session=CanaryTargetCookie6g", literal: false },
];

fn value(word: &str) -> &'static str {
    CANARIES.iter().find(|canary| canary.word == word).expect("a canary").value
}

/// How a server may repeat a value that it was sent.
const WRITINGS: [fn(&str) -> String; 6] = [
    |value| format!("bad request: {value}"),
    |value| format!("{{\"error\":{}}}", serde_json::Value::from(value)),
    |value| format!("Basic {}", base64(format!("user:{value}").as_bytes())),
    |value| format!("Cannot POST {value}"),
    // As some servers do: what stands last in it alone.
    |value| {
        format!(
            "no such key {}",
            value
                .rsplit(if value.starts_with('/') { '/' } else { ' ' })
                .find(|part| part.contains("Canary"))
                .unwrap_or_default()
        )
    },
    |value| {
        value
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    },
];

const SENT: [(&str, &[&str]); 6] = [
    ("telegram", &["CanaryTelegram7q"]),
    ("discord", &["CanaryDiscord3v"]),
    ("slack", &["CanarySlackBot5w"]),
    ("slack-hook", &["CanarySlackHook2k"]),
    ("hook", &["CanaryHookPath9d", "CanaryBearer6p", "CanarySigning8j", "CanaryRotated4n"]),
    ("signed", &["CanaryLiteral0s", "CanarySigning8j"]),
];

const TARGETS: &[&str] = &[
    "CanaryTargetUser2a",
    "CanaryTargetPass5b",
    "CanaryTargetQuery8c",
    "CanaryTargetAuth4e",
    "CanaryTargetCookie6g",
];

/// A body that repeats these in the nth writing.
fn echo(words: &[&str], nth: usize) -> String {
    words.iter().map(|word| WRITINGS[nth](value(word))).collect::<Vec<_>>().join(", ")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |group, (nth, byte)| group | u32::from(*byte) << (16 - 8 * nth));
        for nth in 0..=chunk.len() {
            text.push(char::from(DIGITS[usize::try_from(group >> (18 - 6 * nth) & 63).expect("six bits")]));
        }
    }
    text
}

fn hexadecimal(word: &str) -> String {
    word.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat()
}

/// The forms in which a word could hide: itself, as hexadecimal digits, and inside base64 at each of the three places
/// that a byte can have there, without the digits that depend on what stands beside it. All in lower case.
fn forms(word: &str) -> Vec<String> {
    let hex = hexadecimal(word);
    let inside = (0..3).map(|before| {
        let padded = [&b"xxx"[..before], word.as_bytes()].concat();
        let whole = base64(&padded);
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        whole[first..last].to_owned()
    });
    [word.to_owned(), hex].into_iter().chain(inside).map(|form| form.to_lowercase()).collect()
}

/// The canaries that `text` shows, but for literal ones where these may stand.
fn found(text: &[u8], literals_may: bool) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let looked_for = CANARIES.iter().filter(|canary| !(literals_may && canary.literal));
    looked_for
        .filter(|canary| forms(canary.word).iter().any(|form| text.contains(form)))
        .map(|canary| canary.word)
        .collect()
}

/// Collects what shows a canary, to say all of it at once.
#[derive(Default)]
struct Search {
    looked_at: usize,
    shown: Vec<String>,
}

impl Search {
    fn look(&mut self, place: &str, text: &[u8], literals_may: bool) {
        self.looked_at += 1;
        for word in found(text, literals_may) {
            let text = String::from_utf8_lossy(text);
            let line = text
                .lines()
                .find(|line| !found(line.as_bytes(), literals_may).is_empty())
                .unwrap_or_default();
            let line: String = line.chars().take(600).collect();
            self.shown.push(format!("{place} shows {word}: {line}"));
        }
    }

    fn look_at_command<const N: usize>(&mut self, installation: &Installation, args: [&str; N]) {
        let mut command = installation.command(args);
        command.envs(environment()).env("UPTIME_LOG", "trace");
        let output = command.output().expect("the binary runs");
        self.look(&format!("stdout of {args:?}"), &output.stdout, false);
        self.look(&format!("stderr of {args:?}"), &output.stderr, false);
    }

    fn look_at_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_the_operators = path.extension().is_some_and(|kind| kind == "toml" || kind == "secret");
            if path.is_dir() {
                self.look_at_files(&path);
            } else if path.is_file() && !is_the_operators {
                self.look(&path.display().to_string(), &fs::read(&path).expect("a file"), false);
            }
        }
    }

    /// Every row of every table, as text.
    fn look_at_tables(&mut self, installation: &Installation) {
        let database = &installation.database;
        let tables = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
        let mut rows = 0;
        for table in database.query(tables) {
            let table = table[0].clone().expect("a name");
            let exempt = match table.as_str() {
                "channels" => Some("settings"),
                "monitors" => Some("check_spec"),
                _ => None,
            };
            for row in database.query(&format!("SELECT to_jsonb(t)::text FROM {table} t")) {
                let row = row[0].clone().expect("a row");
                rows += 1;
                self.look(&format!("a row of {table}"), row.as_bytes(), exempt.is_some());
            }
            if let Some(column) = exempt {
                for row in database.query(&format!("SELECT (to_jsonb(t) - '{column}')::text FROM {table} t"))
                {
                    let row = row[0].clone().expect("a row");
                    self.look(&format!("a row of {table} without {column}"), row.as_bytes(), false);
                }
            }
        }
        assert!(rows > 30, "{rows} rows are no run");
    }
}

/// The variables that the processes are started with. What they hold is the operator's doing.
fn environment() -> Vec<(&'static str, String)> {
    [
        ("C_TELEGRAM", "CanaryTelegram7q"),
        ("C_SLACK", "CanarySlackBot5w"),
        ("C_SIGNING", "CanarySigning8j"),
        ("C_BEARER", "CanaryBearer6p"),
        ("C_TARGET", "CanaryTargetAuth4e"),
    ]
    .into_iter()
    .map(|(name, word)| (name, value(word).to_owned()))
    .collect()
}

struct Surroundings {
    target: HttpTarget,
    sinks: Vec<(&'static str, WebhookSink)>,
}

impl Surroundings {
    fn start() -> Self {
        let names = ["telegram", "discord", "slack", "slack-hook", "hook", "signed"];
        Self { target: HttpTarget::start(), sinks: names.map(|name| (name, WebhookSink::start())).into() }
    }

    fn sink(&self, name: &str) -> &WebhookSink {
        &self.sinks.iter().find(|(known, _)| *known == name).expect("a sink").1
    }

    /// The file, and those that it names; `folder` is where they are.
    fn write(&self, installation: &Installation, folder: &Path) {
        let secret_file = |name: &str, text: String| -> PathBuf {
            let path = folder.join(format!("{name}.secret"));
            fs::write(&path, text).expect("a secret's file");
            path
        };
        let origin = |name: &str| self.sink(name).origin();
        let closed = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            format!("http://{}", free.local_addr().expect("an address"))
        };
        let discord = secret_file("discord", format!("{}{}", origin("discord"), value("CanaryDiscord3v")));
        let hook = secret_file("hook", format!("{}{}", origin("hook"), value("CanaryHookPath9d")));
        let denied = secret_file("denied", format!("{}{}", origin("hook"), value("CanaryDenied1m")));
        let gone = secret_file("closed", format!("{closed}{}", value("CanaryClosed3f")));
        let rotated = secret_file("rotated", value("CanaryRotated4n").into());
        let cookie = secret_file("cookie", value("CanaryTargetCookie6g").into());
        let slack_hook = format!("{}{}", origin("slack-hook"), value("CanarySlackHook2k"));
        let literal = value("CanaryLiteral0s");
        let (user, password) = (value("CanaryTargetUser2a"), value("CanaryTargetPass5b"));
        let query = value("CanaryTargetQuery8c");
        let address = self.target.address();
        let [telegram, disc, slack, hook_origin, slack_origin, signed] =
            ["telegram", "discord", "slack", "hook", "slack-hook", "signed"].map(origin);
        let [discord, hook, denied, gone, rotated, cookie] =
            [discord, hook, denied, gone, rotated, cookie].map(|path| path.display().to_string());
        installation.write(&format!(
            r#"
[queues.notifications]
tries = 2
timeout = "2s"
retry_after = "7s"
backoff = "100ms"

[channels.telegram]
notifier = "telegram"
bot_token = {{ env = "C_TELEGRAM" }}
chat_id = "-100"
base_url = "{telegram}"
allow = ["{telegram}"]

[channels.discord]
notifier = "discord"
webhook_url = {{ file = "{discord}" }}
allow = ["{disc}"]

[channels.slack]
notifier = "slack"
bot_token = {{ env = "C_SLACK" }}
channel = "C1"
base_url = "{slack}"
allow = ["{slack}"]

[channels.slack-hook]
notifier = "slack"
webhook_url = "{slack_hook}"
allow = ["{slack_origin}"]

[channels.hook]
notifier = "webhook"
url = {{ file = "{hook}" }}
secret = [{{ env = "C_SIGNING" }}, {{ file = "{rotated}" }}]
headers = {{ Authorization = {{ env = "C_BEARER" }} }}
allow = ["{hook_origin}"]

[channels.signed]
notifier = "webhook"
url = "{signed}/plain"
headers = {{ Authorization = "{literal}" }}
secret = {{ env = "C_SIGNING" }}
allow = ["{signed}"]

[channels.denied]
notifier = "webhook"
url = {{ file = "{denied}" }}

[channels.closed]
notifier = "webhook"
url = {{ file = "{gone}" }}
allow = ["{closed}"]

[monitors.shop]
type = "http"
url = "http://{user}:{password}@{address}/health?token={query}"
headers = {{ Authorization = {{ env = "C_TARGET" }}, Cookie = {{ file = "{cookie}" }} }}
interval = "1s"
timeout = "500ms"
confirm = 1

[monitors.plain]
type = "http"
url = "http://{user}:{password}@{address}/plain?token={query}"
interval = "1s"
confirm = 1
channels = []
"#
        ));
    }
}

const CHANNELS: [&str; 8] =
    ["telegram", "discord", "slack", "slack-hook", "hook", "signed", "denied", "closed"];

#[test]
fn no_secret_is_in_anything_that_a_run_produced() {
    let surroundings = Surroundings::start();
    let installation = Installation::new();
    let folder = installation.file().parent().expect("a folder").to_owned();
    surroundings.write(&installation, &folder);
    let mut search = Search::default();

    search.look_at_command(&installation, ["config", "check"]);
    search.look_at_command(&installation, ["config", "check", "--json"]);
    search.look_at_command(&installation, ["apply", "--dry-run"]);
    search.look_at_command(&installation, ["apply"]);
    assert_eq!(installation.database.value("SELECT count(*) FROM channels"), "8", "the file was applied");

    // Accepted, refused with everything repeated, and not answered at all.
    for (status, nth) in [(400, 0), (401, 1), (404, 2), (500, 3), (429, 4), (200, 5)] {
        for (name, words) in SENT {
            surroundings.sink(name).answer(Reply::status(status).body(echo(words, nth)));
        }
        for channel in CHANNELS {
            search.look_at_command(&installation, ["channel", "test", channel]);
        }
    }
    for channel in CHANNELS {
        search.look_at_command(&installation, ["channel", "test", channel, "--json"]);
        search.look_at_command(&installation, ["channel", "test", channel, "--dry-run"]);
        search.look_at_command(&installation, ["channel", "test", channel, "--dry-run", "--json"]);
    }
    // What was sent had them: else all of this would show nothing.
    let sent = |name: &str| {
        let received = surroundings.sink(name).received();
        received.iter().map(|request| format!("{request:?}")).collect::<Vec<_>>().concat()
    };
    for (sink, words) in SENT {
        // A key that signs is not sent.
        for word in words.iter().filter(|word| !["CanarySigning8j", "CanaryRotated4n"].contains(word)) {
            assert!(sent(sink).contains(word), "{word} is not in what {sink} got");
        }
    }

    run(&surroundings, &installation, &mut search);

    let lists: [&[&str]; 7] = [
        &["queue", "failed"],
        &["queue", "monitor"],
        &["monitor", "list"],
        &["channel", "list"],
        &["incident", "list"],
        &["schedule", "--dry-run"],
        &["service", "systemd"],
    ];
    for list in lists {
        for format in ["text", "json"] {
            let mut args = list.to_vec();
            args.extend(["--format", format]);
            let args: [&str; 4] = args.try_into().expect("two words and a format");
            search.look_at_command(&installation, args);
        }
    }
    search.look_at_tables(&installation);
    search.look_at_files(&folder);
    assert!(search.looked_at > 200, "{} places were looked at", search.looked_at);
    assert!(search.shown.is_empty(), "{}", search.shown.join("\n"));
}

/// An incident that opens and closes, by processes that log everything; one of them dies in the middle of a delivery.
fn run(surroundings: &Surroundings, installation: &Installation, search: &mut Search) {
    let variables = environment();
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("UPTIME_LOG", "trace"));
    let start = |log: &str, args: &[&str]| installation.start_as(log, args, &variables);
    let target = &surroundings.target;
    for (name, words) in SENT {
        let sink = surroundings.sink(name);
        sink.answer_next((0..3).map(|nth| Reply::status(500).body(echo(words, nth))));
        sink.answer(if name == "slack-hook" {
            Reply::ok().held()
        } else {
            Reply::status(400).body(echo(words, 3))
        });
    }
    let scheduler = start("scheduler", &["schedule", "--every", "200ms"]);
    let checks = start("checks", &["worker", "monitor-checks"]);
    let notifications = start("notifications", &["worker", "notifications"]);
    block_on(target.wait_for_requests(2));
    target.answer(Reply::status(503).header("x-echo", value("CanaryTargetCookie6g")).body(echo(TARGETS, 0)));
    let hanging = surroundings.sink("slack-hook");
    let before = hanging.received().len();
    block_on(hanging.wait_for(before + 1));
    for process in [&scheduler, &checks, &notifications] {
        search.look("a command line", process.command_line().as_bytes(), false);
    }
    notifications.kill();
    let notifications = start("notifications-again", &["worker", "notifications"]);
    let ended = "SELECT count(*) FROM notifications WHERE state IN ('failed', 'delivered')";
    installation.wait_for(&format!("SELECT ({ended}) >= 7"), "t");
    for (name, words) in SENT {
        surroundings.sink(name).answer(Reply::ok().body(echo(words, 3)));
        surroundings.sink(name).let_go();
    }
    target.up();
    installation.wait_for("SELECT count(*) > 0 FROM incidents WHERE ended_at IS NOT NULL", "t");
    for process in [scheduler, checks, notifications] {
        // Else the logs would show nothing of what the libraries below say.
        assert!(process.log().contains("TRACE"), "{}", process.log());
        assert_eq!(process.terminate(), 0);
    }
    // The same in one process, with what it prints.
    target.answer(Reply::status(500).body(echo(TARGETS, 1)));
    search.look_at_command(installation, ["up", "--for", "3s"]);
    target.hang();
    let url =
        format!("http://CanaryTargetUser2a:CanaryTargetPass5b@{}/?q=CanaryTargetQuery8c", target.address());
    search.look_at_command(installation, ["check", &url, "--json"]);
    target.let_go();
}

/// A search that finds nothing would be no proof.
#[test]
fn the_search_finds_each_form() {
    let word = CANARIES[0].word;
    for shown in [
        format!("a {word} b"),
        word.to_uppercase(),
        base64(format!("u:{word}").as_bytes()),
        base64(format!("us:{word}!").as_bytes()),
        base64(format!("usr:{word}?").as_bytes()),
        hexadecimal(word),
    ] {
        assert_eq!(found(shown.as_bytes(), false), [word], "{shown}");
    }
    assert_eq!(base64(b"Canary"), "Q2FuYXJ5");
    assert_eq!(base64(b"Canar"), "Q2FuYXI");
    assert!(found(b"canary", false).is_empty());
    let literal = value("CanaryLiteral0s").as_bytes();
    assert_eq!((found(literal, false).len(), found(literal, true).len()), (1, 0));
}
