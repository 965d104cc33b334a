use super::*;
use crate::channel::ChannelFilter;
use crate::event::EventType;
use crate::monitor::{CheckSpec, IpFamily, Policy};
use crate::notifier::{Field, FieldKind};
use crate::queue::{NOTIFICATIONS, QueueSection, QueueSettings};
use crate::target;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

mod times;

/// A plugin with these fields, each with whether it is required.
pub(super) fn description(name: &str, fields: &[(&str, FieldKind, bool)]) -> Description {
    let field = |(key, kind, required): &(&str, FieldKind, bool)| {
        let choices: &[&str] = if *kind == FieldKind::Choice { &["POST", "PUT"] } else { &[] };
        let choices = choices.iter().map(ToString::to_string).collect();
        let (key, help) = ((*key).to_owned(), format!("the {key}"));
        Field { key, help, kind: *kind, required: *required, default: None, choices, places: Vec::new() }
    };
    Description {
        name: name.into(),
        version: "1.0.0".into(),
        summary: "For tests.".into(),
        fields: fields.iter().map(field).collect(),
        hosts: Vec::new(),
        digests: true,
    }
}

fn notifiers() -> Vec<Description> {
    use FieldKind::{Boolean, Choice, Integer, Map, Secret, Text, Url};
    let discord = [("webhook_url", Secret, true), ("thread_id", Text, false), ("username", Text, false)];
    let slack = [("webhook_url", Secret), ("bot_token", Secret), ("channel", Text), ("base_url", Url)];
    let telegram = [
        ("bot_token", Secret, true),
        ("chat_id", Text, true),
        ("message_thread_id", Integer, false),
        ("silent", Boolean, false),
        ("base_url", Url, false),
    ];
    let webhook =
        [("url", Url, true), ("method", Choice, false), ("headers", Map, false), ("secret", Secret, false)];
    vec![
        description("discord", &discord),
        description("slack", &slack.map(|(key, kind)| (key, kind, false))),
        description("telegram", &telegram),
        description("webhook", &webhook),
    ]
}

fn valid(text: &str) -> Config {
    let reading = read(text, &notifiers());
    assert_eq!(reading.diagnostics, [], "{text}");
    reading.config.expect("a file without errors has a configuration")
}

fn messages(text: &str) -> Vec<String> {
    let shown =
        |diagnostic: Diagnostic| format!("{}:{} {}", diagnostic.line, diagnostic.column, diagnostic.message);
    read(text, &notifiers()).diagnostics.into_iter().map(shown).collect()
}

#[test]
fn an_empty_file_is_a_configuration() {
    assert_eq!(valid(""), Config::default());
    assert_eq!(valid("# nothing\n\u{20}\n"), Config::default());
}

#[test]
fn the_contracts_example_reads() {
    let config = valid(
        r#"
        [database]
        url = { env = "DATABASE_URL" }
        [queues.notifications]
        tries = 3
        backoff = "5s"
        [channels.ops]
        notifier = "telegram"
        bot_token = { env = "TELEGRAM_BOT_TOKEN" }
        chat_id = "-1001234567890"
        events = ["down", "up"]
        [monitors.shop]
        type = "http"
        url = "https://shop.example.com/health"
        interval = "30s"
        timeout = "10s"
        confirm = 3
        channels = ["ops"]
        group = "shop"
        tags = { team = "web" }
        [monitors.shop.expect]
        status = ["2xx", 304]
        body_contains = "ok"
        latency_below = "2s"
        "#,
    );
    assert_eq!(config.database.url, Some(SecretRef::Env { env: "DATABASE_URL".into() }));
    assert_eq!(config.queues.settings(NOTIFICATIONS).tries, 3);
    assert_eq!(config.queues.settings(NOTIFICATIONS).backoff, [Duration::from_secs(5)]);
    assert_eq!(config.queues.section(MONITOR_CHECKS), Some(&QueueSection::default()));
    let ops = &config.channels[0];
    assert_eq!((ops.name.as_str(), ops.notifier.as_str(), ops.enabled), ("ops", "telegram", true));
    let (token, chat) = (serde_json::json!({"env": "TELEGRAM_BOT_TOKEN"}), "-1001234567890");
    let settings = serde_json::json!({"bot_token": token, "chat_id": chat});
    assert_eq!(serde_json::json!(ops.settings), settings);
    let events = Some(vec![EventType::Down, EventType::Up]);
    assert_eq!(ops.filter, ChannelFilter { events, ..ChannelFilter::default() });
    let shop = &config.monitors[0];
    assert_eq!(shop.policy, Policy { interval: Duration::from_secs(30), ..Policy::default() });
    assert_eq!((shop.channels.join(" ").as_str(), shop.group.as_deref()), ("ops", Some("shop")));
    assert_eq!(shop.tags, BTreeMap::from([("team".to_owned(), "web".to_owned())]));
    let expect = &serde_json::json!(shop.check)["expect"];
    let told = ["status", "body_contains", "latency_below"].map(|key| expect[key].clone());
    assert_eq!(serde_json::json!(told), serde_json::json!([["2xx", "304"], ["ok"], 2_000]));
}

#[test]
fn each_setting_takes_its_form() {
    let config = valid(
        r#"
        [channels.hook]
        notifier = "webhook"
        enabled = false
        url = { file = "/run/url" }
        method = "PUT"
        secret = [{ env = "NEW" }, { env = "OLD" }]
        headers = { X-Team = "web", Authorization = { env = "AUTH" } }
        groups = ["a"]
        tags = { team = "web" }
        allow = ["http://127.0.0.1:9000", "https://*.example.com"]
        [channels.tele]
        notifier = "telegram"
        bot_token = { file = "/run/token" }
        chat_id = { env = "CHAT" }
        message_thread_id = -7
        silent = true
        base_url = "http://127.0.0.1:8081/"
        [monitors.a]
        type = "ping"
        host = "::1"
        group = "a"
        "#,
    );
    let [hook, tele] = &config.channels[..] else { panic!("{:?}", config.channels) };
    assert!(!hook.enabled);
    assert_eq!(
        serde_json::json!([hook.settings, hook.filter.groups, hook.filter.tags, hook.allow, tele.settings]),
        serde_json::json!([
            {"url": {"file": "/run/url"}, "method": "PUT", "secret": [{"env": "NEW"}, {"env": "OLD"}],
                "headers": {"X-Team": "web", "Authorization": {"env": "AUTH"}}},
            ["a"], {"team": "web"}, ["http://127.0.0.1:9000", "https://*.example.com"],
            {"bot_token": {"file": "/run/token"}, "chat_id": {"env": "CHAT"}, "message_thread_id": -7, "silent": true,
                "base_url": "http://127.0.0.1:8081/"},
        ])
    );
}

#[test]
fn what_is_left_out_is_as_on_the_command_line() {
    let config = valid(
        "[monitors]\na = { type = 'http', url = 'https://example.com/' }\n\
         b = { type = 'tcp', host = 'example.com', port = 22 }\nc = { type = 'ping', host = '192.0.2.1' }",
    );
    let targets = ["https://example.com/", "tcp://example.com:22", "ping://192.0.2.1"];
    for (monitor, target) in config.monitors.iter().zip(targets) {
        assert_eq!(monitor.check, target::parse(target).expect(target));
        assert_eq!(monitor.policy, Policy::default());
        assert!(monitor.enabled && monitor.channels.is_empty() && monitor.tags.is_empty());
    }
    assert_eq!(config.monitors.len(), 3);
}

#[test]
fn a_monitor_tells_all_channels_unless_it_names_some() {
    let file = |channels: &str| {
        format!(
            "[channels.b]\nnotifier = 'slack'\n[channels.a]\nnotifier = 'slack'\nenabled = false\n\
             [monitors.m]\ntype = 'ping'\nhost = 'a.example'\n{channels}"
        )
    };
    for (channels, expected) in
        [("", vec!["a", "b"]), ("channels = []", vec![]), ("channels = ['b']", vec!["b"])]
    {
        assert_eq!(valid(&file(channels)).monitors[0].channels, expected);
    }
}

#[test]
fn hosts_are_kept_in_one_form() {
    for (host, kept) in [
        ("db.example.com", "db.example.com"),
        ("my_service", "my_service"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("0x7f.1", "127.0.0.1"),
    ] {
        let config = valid(&format!("[monitors.m]\ntype = 'tcp'\nhost = '{host}'\nport = 1\nip = 'all'"));
        let CheckSpec::Tcp(tcp) = &config.monitors[0].check else { panic!("a tcp check") };
        assert_eq!((tcp.host.as_str(), tcp.lookup.ip), (kept, IpFamily::All));
    }
}

#[test]
fn limits_are_inside() {
    let monitor = |keys: &str| format!("[monitors.m]\ntype = 'ping'\nhost = 'a.example'\n{keys}");
    for (key, inside, outside) in [
        ("interval", "'1s' '7d'", "'999ms' '7d1ms'"),
        ("count", "1 20 0x10 0b1 1_0 +5", "0 21"),
        ("confirm", "1 100", "0 101"),
        ("loss_below", "1 100", "0 101"),
    ] {
        for value in inside.split(' ') {
            valid(&monitor(&format!("{key} = {value}")));
        }
        for value in outside.split(' ') {
            assert_eq!(messages(&monitor(&format!("{key} = {value}"))).len(), 1, "{key} = {value}");
        }
    }
}

#[test]
fn nothing_else_is_said_of_a_file_that_can_not_be_read() {
    let text =
        "[channels.ops\nnotifier = 'discord'\nx = 1\n[monitors.m]\ntype = 'ping'\nurl 'h'\nconfirm = 0";
    let lines: Vec<String> = messages(text);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("1:14 unclosed table"), "{lines:?}");
    assert!(lines[1].starts_with("6:5 key with no value"), "{lines:?}");
}

#[test]
fn a_plugins_complaint_gets_the_place_of_its_key() {
    let text = "[channels.ops]\nnotifier = 'telegram'\nbot_token = 'never-shown'\nchat_id = 'x'\n";
    let reading = read(text, &notifiers());
    let at = |path: &[&str]| reading.position_of(path).map(|span| &text[span]);
    assert_eq!(at(&["channels", "ops", "chat_id"]), Some("'x'"));
    assert_eq!(at(&["channels", "ops"]), Some("[channels.ops]"));
    assert_eq!((at(&["channels", "ops", "url"]), at(&["channels", "b"]), at(&[])), (None, None, None));
    let token = ["channels", "ops", "bot_token"];
    let complaint = reading.complaint(&token, "the token has\nno colon", Some("ask @BotFather"));
    assert_eq!((complaint.line, complaint.column), (3, 13));
    assert_eq!(complaint.message, "the token has no colon");
    let masked: Vec<&str> = complaint.masked.iter().map(|mask| &text[mask.clone()]).collect();
    assert_eq!(masked, ["'never-shown'"]);
    assert_eq!(reading.complaint(&["channels", "ops", "url"], "missing", None).line, 1);
}

#[test]
fn the_starter_reads_as_it_is() {
    let config = valid(STARTER);
    assert_eq!((config.monitors.len(), config.channels.len()), (1, 0));
}

#[test]
fn the_starters_examples_read_and_say_the_defaults() {
    let example = |line: &&str| {
        let key = line
            .split_once(" = ")
            .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        key || line.starts_with('[')
    };
    let uncommented: Vec<&str> =
        STARTER.lines().map(|line| line.strip_prefix("# ").filter(example).unwrap_or(line)).collect();
    let config = valid(&uncommented.join("\n"));
    assert_eq!((config.monitors.len(), config.channels.len()), (5, 4));
    assert_eq!(config.database.url, Some(SecretRef::Env { env: "DATABASE_URL".into() }));
    assert_eq!(config.checks.witnesses.len(), 2);
    assert_eq!(config.checks.per_host, ChecksSection::default().per_host);
    let notifications = config.queues.section(NOTIFICATIONS).expect("one of the two");
    assert!(notifications.backoff.is_some() && notifications.retry_after.is_some());
    for name in [MONITOR_CHECKS, NOTIFICATIONS] {
        let section = config.queues.section(name).expect("one of the two");
        assert!(section.sleep.is_some() && section.tries.is_some(), "{name}");
        assert!(section.timeout.is_some() && section.concurrency.is_some(), "{name}");
        assert_eq!(QueueSettings::defaults(name).with(section), QueueSettings::defaults(name));
    }
}

/// The keys of each table, in order.
const REFERENCE: &str = r#"
database: url
checks: witnesses per_host
secrets: allow_env allow_files
queues.monitor-checks: sleep tries timeout backoff retry_after concurrency
queues.notifications: sleep tries timeout backoff retry_after concurrency probe
channels.NAME: notifier enabled events severities hours groups tags allow proxy digest_after digest_within
channels.NAME with notifier = "webhook": url method headers secret
maintenance.NAME: monitors groups tags hours from until timezone
monitors.NAME: type enabled interval timeout confirm retry_interval recover window critical_failures critical_after
    remind remind_most flapping locations down_in channels parent group tags ip resolver
monitors.NAME with type = "http": url method headers body auth http_version compression redirects downgrade
    redirect_to_private proxy verify ca client_certificate client_key server_name
monitors.NAME.expect with type = "http": status body_contains body_not_contains body_matches json headers size_below
    final_url http_version tls_version certificate_days latency_below degraded_above
monitors.NAME with type = "tcp": host port tls starttls verify ca client_certificate client_key server_name banner send
    expect tls_version certificate_days latency_below degraded_above
monitors.NAME with type = "ping": host count spacing size loss_below loss_degraded latency_below degraded_above
    min_below max_below jitter_below
monitors.NAME with type = "dns": host record authoritative
monitors.NAME.expect with type = "dns": rcode answers answers_match ad ttl_above latency_below degraded_above
"#;

#[test]
fn the_reference_is_what_is_read() {
    let mut read = BTreeMap::<String, Vec<String>>::new();
    for doc in reference(&notifiers()) {
        assert!(doc.doc.starts_with(char::is_uppercase) && doc.doc.ends_with('.'), "{doc:?}");
        let table = doc.when.as_ref().map_or(doc.table.clone(), |when| format!("{} with {when}", doc.table));
        read.entry(table).or_default().push(doc.key);
    }
    for line in REFERENCE.trim().replace("\n    ", " ").lines() {
        let (table, keys) = line.split_once(": ").expect(line);
        assert_eq!(read[table].join(" "), keys, "{table}");
    }
    let interval = reference(&[]).into_iter().find(|doc| doc.key == "interval").expect("a key");
    assert_eq!(
        (interval.takes.as_str(), interval.default.as_deref()),
        ("a duration such as `30s`, from 1s to 7d", Some("`1m`"))
    );
}

#[test]
fn a_check_ends_before_its_job_does() {
    let file = |job: &str, check: &str| {
        format!(
            "[queues.monitor-checks]\ntimeout = '{job}'\n[monitors.m]\ntype = 'ping'\nhost = 'h'\n{check}"
        )
    };
    for (job, check, said) in [
        ("11s", "", ""),
        ("10s", "timeout = '9s'", ""),
        ("10s", "", "3:1 a check may take `10s` and its job on `monitor-checks` only `10s`"),
        ("10s", "timeout = '20s'", "6:11 a check may take `20s` and its job on `monitor-checks` only `10s`"),
    ] {
        assert_eq!(messages(&file(job, check)).join("; "), said, "{job} {check}");
    }
}

/// A secret that is written where it should, where it should not, and in text that is not TOML.
#[test]
fn secrets_are_in_no_message_and_masked_in_every_line() {
    for text in [
        "[channels.c]\nnotifier = 'telegram'\nbot_token = 'NEVER'\nx = 1",
        "channels.c = { notifier = 'telegram', bot_token = 'NEVER', x = 1 }",
        "channels.c = { notifier = 'webhook', headers = { A = 'NEVER' }, secret = ['NEVER', 1, { env = 'NEVER SHOWN' }] }",
        "[channels.c]\nnotifier = 'telegram'\nbot_token = { value = 'NEVER' }\nchat_id = { env = 'NEVER-SHOWN' }",
        "[channels.c]\nnotifier = 'telegram'\nbot_token = 'NEVER\nchat_id = 'a'",
        "[channels.c]\nnotifier = 'telegram'\nbot_token = NEVER",
        "[channels.c]\nnotifier = 'telegram'\nbot_token: NEVER",
        "[channels.c]\nbot_token = \"\"\"NEVER\nx",
        "[channels.c]\nsecret = [\n'NEVER'\n'NEVER']",
        "[channels.c]\ninterval = 1 bot_token = 'NEVER'",
        "[channels.c\nbot_token = 'NEVER' 5",
        "[channels.c]\nheaders.A = NEVER",
        "channels = { c = { bot_token = NEVER } }",
        "[channels.c] bot_token = 'NEVER'",
        "[database]\nurl = 'mysql://u:NEVER@h/d'",
        "[database]\nurl = postgres://u:NEVER@h/d",
        "[database]\nurl = { enf = 'NEVER' }",
        "[monitors.m]\ntype = 'http'\nurl = 'https://u:NEVER@'",
        "[monitors.m]\ntype = 'tcp'\nhost = 'https://u:NEVER@h'\nport = 1",
        "[channels.c]\nnotifier = 'slack'\nallow = ['https://u:NEVER@h']",
        "M\nauth = 'NEVER'",
        "M\nauth = { user = 'u', password = 'NEVER' }",
        "M\nauth = { user = 'u', pasword = 'NEVER' }",
        "M\nauth = { bearer = 1, token = 'NEVER' }",
        "M\nauth = { user = 'u:NEVER', password = { env = 'A' } }",
        "M\nclient_key = 'NEVER'",
        "M\nproxy = 'ftp://u:NEVER@p.example'",
        "M\nproxy = 'http://u:NEVER@p.example'",
        "M\nproxy = { url = 'http://u:NEVER@p.example' }",
        "M\nwebhok_url = 'NEVER'",
        "M\ntokn = [\"NEVER\", { a = 'NEVER' }]",
        "M\npasword = 5273849",
        "M\nauth = { bearr = 'NEVER' }",
    ] {
        let text = &text.replace("M\n", "[monitors.m]\ntype = 'http'\nurl = 'https://a.example/'\n");
        let reading = read(text, &notifiers());
        assert!(!reading.diagnostics.is_empty(), "{text}");
        for diagnostic in &reading.diagnostics {
            let lines = Lines::new(text);
            let range = lines.range(diagnostic.line - 1);
            let masked = |at: usize| diagnostic.masked.iter().any(|mask| mask.contains(&at));
            let line = text[range.clone()].char_indices().filter(|(at, _)| !masked(range.start + at));
            let shown: String = line.map(|(_, c)| c).collect();
            let hint = diagnostic.hint.as_deref().unwrap_or_default();
            assert!(!shown.contains("NEVER") && !shown.contains("5273849"), "{text}\n{shown}");
            assert!(!diagnostic.message.contains("NEVER") && !hint.contains("NEVER"), "{diagnostic:?}");
        }
    }
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let reading = read(&"#".repeat(TEXT_MOST + 1), &[]);
    assert_eq!((reading.config, reading.diagnostics.len()), (None, 1));
}

/// Pieces that make half of the random files almost right.
fn piece() -> impl Strategy<Value = String> {
    let words = "[channels.c]\n|[monitors.m]\n|[[monitors]]\n|[queues.notifications]\n|[database]\n|\
        [monitors.m.expect]\n|type = |url = |notifier = |bot_token = |headers = |channels = |\
        status = |secret = |timeout = |\"http\"|\"webhook\"|'telegram'|'https://u:p@ä.example/'|\
        \"30s\"|5|-1|1.5|true|1979-05-27|[|]|{ | }|, |=|.|\n|\r\n|\"|'|\"\"\"|\\|#|\u{feff}|ä|💥|\
        \0|\u{85}|{ env = \"NAME\" }|a = 1|99999999999999999999|key";
    prop_oneof![4 => prop::sample::select(words.split('|').collect::<Vec<_>>()).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in prop_oneof![any::<String>(), prop::collection::vec(piece(), 0..40).prop_map(|all| all.concat())]) {
        let reading = read(&text, &notifiers());
        let errors = reading.diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error);
        prop_assert_eq!(reading.config.is_none(), errors);
        let mut last = 0;
        for Diagnostic { span, line, column, masked, message, hint, .. } in &reading.diagnostics {
            prop_assert!(span.start <= span.end && text.get(span.clone()).is_some(), "{:?}", span);
            prop_assert!(last <= span.start, "not in order");
            last = span.start;
            let lines = Lines::new(&text);
            let range = lines.range(line - 1);
            prop_assert!(range.start <= span.start && *column <= text[range.clone()].chars().count() + 2);
            let mut end = range.start;
            for mask in masked {
                prop_assert!(end <= mask.start && mask.start < mask.end && mask.end <= range.end);
                prop_assert!(text.get(mask.clone()).is_some());
                end = mask.end;
            }
            prop_assert!(!message.is_empty() && !message.chars().chain(hint.iter().flat_map(|hint| hint.chars())).any(char::is_control));
        }
    }
}
