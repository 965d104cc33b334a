use super::*;
use crate::channel::{ChannelFilter, Setting};
use crate::event::EventType;
use crate::monitor::{CheckSpec, IpFamily, Policy};
use crate::notifier::{Field, FieldKind};
use crate::target;
use proptest::prelude::*;
use std::time::Duration;

mod times;

fn notifiers() -> Vec<Description> {
    use FieldKind::{Boolean, Choice, Integer, Map, Secret, Text, Url};
    let description = |name: &str, fields: &[(&str, FieldKind, bool)]| Description {
        name: name.into(),
        version: "1.0.0".into(),
        summary: "For tests.".into(),
        fields: fields
            .iter()
            .map(|(key, kind, required)| Field {
                key: (*key).into(),
                help: format!("the {key}"),
                kind: *kind,
                required: *required,
                default: None,
                choices: if *kind == FieldKind::Choice {
                    vec!["POST".into(), "PUT".into()]
                } else {
                    Vec::new()
                },
                places: Vec::new(),
            })
            .collect(),
        hosts: Vec::new(),
        digests: true,
    };
    vec![
        description(
            "discord",
            &[("webhook_url", Secret, true), ("thread_id", Text, false), ("username", Text, false)],
        ),
        description(
            "slack",
            &[
                ("webhook_url", Secret, false),
                ("bot_token", Secret, false),
                ("channel", Text, false),
                ("base_url", Url, false),
            ],
        ),
        description(
            "telegram",
            &[
                ("bot_token", Secret, true),
                ("chat_id", Text, true),
                ("message_thread_id", Integer, false),
                ("silent", Boolean, false),
                ("base_url", Url, false),
            ],
        ),
        description(
            "webhook",
            &[
                ("url", Url, true),
                ("method", Choice, false),
                ("headers", Map, false),
                ("secret", Secret, false),
            ],
        ),
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
    assert_eq!(config.queues.notifications.tries, Some(3));
    assert_eq!(config.queues.notifications.backoff, Some(vec![Duration::from_secs(5)]));
    assert_eq!(config.queues.monitor_checks, QueueSection::default());
    let ops = &config.channels[0];
    assert_eq!((ops.name.as_str(), ops.notifier.as_str(), ops.enabled), ("ops", "telegram", true));
    assert_eq!(ops.settings["bot_token"], Setting::Text(SecretRef::Env { env: "TELEGRAM_BOT_TOKEN".into() }));
    assert_eq!(ops.settings["chat_id"], Setting::Text(SecretRef::Literal("-1001234567890".into())));
    assert_eq!(ops.settings.len(), 2);
    let events = Some(vec![EventType::Down, EventType::Up]);
    assert_eq!(ops.filter, ChannelFilter { events, ..ChannelFilter::default() });
    let shop = &config.monitors[0];
    assert_eq!(shop.policy, Policy { interval: Duration::from_secs(30), ..Policy::default() });
    assert_eq!(
        (shop.channels.as_slice(), shop.group.as_deref()),
        (["ops".to_owned()].as_slice(), Some("shop"))
    );
    let CheckSpec::Http(http) = &shop.check else { panic!("an http check") };
    let status: Vec<String> = http.expect.status.iter().map(ToString::to_string).collect();
    assert_eq!(
        (status, http.expect.body_contains.as_slice()),
        (vec!["2xx".into(), "304".into()], ["ok".to_owned()].as_slice())
    );
    assert_eq!(http.expect.latency_below, Some(Duration::from_secs(2)));
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
    let hook = &config.channels[0];
    let env = |name: &str| SecretRef::Env { env: name.into() };
    assert!(!hook.enabled);
    assert_eq!(hook.settings["url"], Setting::Text(SecretRef::File { file: "/run/url".into() }));
    assert_eq!(hook.settings["method"], Setting::Text(SecretRef::Literal("PUT".into())));
    assert_eq!(hook.settings["secret"], Setting::List(vec![env("NEW"), env("OLD")]));
    let Setting::Map(headers) = &hook.settings["headers"] else { panic!("a map") };
    assert_eq!(
        (&headers["Authorization"], &headers["X-Team"]),
        (&env("AUTH"), &SecretRef::Literal("web".into()))
    );
    assert_eq!(hook.filter.groups, Some(vec!["a".into()]));
    assert_eq!(hook.filter.tags["team"], "web");
    assert_eq!(
        hook.allow.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["http://127.0.0.1:9000", "https://*.example.com"]
    );
    let tele = &config.channels[1];
    assert_eq!(
        (&tele.settings["message_thread_id"], &tele.settings["silent"]),
        (&Setting::Integer(-7), &Setting::Boolean(true))
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
    for keys in
        ["interval = '1s'", "interval = '7d'", "count = 1", "count = 20", "confirm = 100", "loss_below = 1"]
    {
        valid(&monitor(keys));
    }
    for keys in [
        "interval = '999ms'",
        "interval = '7d1ms'",
        "count = 0",
        "count = 21",
        "confirm = 101",
        "loss_below = 0",
    ] {
        assert_eq!(messages(&monitor(keys)).len(), 1, "{keys}");
    }
    for number in ["0x10", "0b1", "1_0", "+5"] {
        valid(&monitor(&format!("count = {number}")));
    }
}

#[test]
fn errors_come_in_the_files_order_and_all_at_once() {
    let text =
        "[monitors.b]\ntype = 'x'\n[channels.c]\nz = 1\n[monitors.a]\ntype = 'tcp'\nport = 0\nq = 1\n[x]\n";
    assert_eq!(
        messages(text),
        [
            "2:8 `type` takes one of `http`, `tcp`, `ping` or `dns`, not `x`",
            "3:1 `[channels.c]` has no `notifier`",
            "5:1 `[monitors.a]` has no `host`",
            "7:8 `port` takes a port from 1 to 65535, not `0`",
            "8:1 unknown key `q` in `[monitors.a]`",
            "9:2 unknown key `x` in the file",
        ]
    );
}

#[test]
fn an_error_is_no_configuration_and_a_warning_is_one() {
    let monitor = "[monitors.m]\ntype = 'ping'\nhost = 'a.example'\n";
    assert_eq!(read(&format!("{monitor}x = 1"), &[]).config, None);
    let channel = "[channels.c]\nnotifier = 'discord'\nwebhook_url = 'https://never-shown'\n";
    let reading = read(&format!("{channel}{monitor}"), &notifiers());
    let levels: Vec<Level> = reading.diagnostics.iter().map(|diagnostic| diagnostic.level).collect();
    assert_eq!((levels.as_slice(), reading.config.is_some()), ([Level::Warning].as_slice(), true));
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
    let complaint = reading.complaint(
        &["channels", "ops", "bot_token"],
        "the token has\nno colon",
        Some("ask @BotFather"),
    );
    assert_eq!(
        (complaint.line, complaint.column, complaint.message.as_str()),
        (3, 13, "the token has no colon")
    );
    assert_eq!(
        complaint.masked.iter().map(|mask| &text[mask.clone()]).collect::<Vec<_>>(),
        ["'never-shown'"]
    );
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
    assert_eq!(
        (config.checks.witnesses.len(), config.checks.per_host),
        (2, ChecksSection::default().per_host)
    );
    for name in [MONITOR_CHECKS, NOTIFICATIONS] {
        let section = config.queues.section(name).expect("one of the two");
        assert!(section.tries.is_some() && section.concurrency.is_some());
        assert_eq!(QueueSettings::defaults(name).with(section), QueueSettings::defaults(name));
    }
}

#[test]
fn the_reference_is_what_is_read() {
    let keys = |table: &str, when: Option<&str>| -> Vec<String> {
        let docs = reference(&notifiers()).into_iter();
        docs.filter(|doc| doc.table == table && doc.when.as_deref() == when).map(|doc| doc.key).collect()
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let queue = ["sleep", "tries", "timeout", "backoff", "retry_after", "concurrency"];
    assert_eq!(keys("database", None), ["url"]);
    assert_eq!(keys("checks", None), ["witnesses", "per_host"]);
    assert_eq!(keys("secrets", None), ["allow_env", "allow_files"]);
    assert_eq!(keys("queues.monitor-checks", None), queue);
    assert_eq!(keys("queues.notifications", None), [&queue[..], &["probe"]].concat());
    assert_eq!(
        keys("channels.NAME", None),
        words("notifier enabled events severities hours groups tags allow proxy digest_after digest_within")
    );
    let of_windows = "monitors groups tags hours from until timezone";
    assert_eq!(keys("maintenance.NAME", None), words(of_windows));
    assert_eq!(keys("channels.NAME", Some("notifier = \"webhook\"")), ["url", "method", "headers", "secret"]);
    assert_eq!(
        keys("monitors.NAME", None),
        words(
            "type enabled interval timeout confirm retry_interval recover window critical_failures \
             critical_after remind remind_most flapping locations down_in channels parent group tags ip \
             resolver"
        )
    );
    let tls = "verify ca client_certificate client_key server_name";
    let of = |kind: &str| keys("monitors.NAME", Some(&format!("type = \"{kind}\"")));
    assert_eq!(
        of("http"),
        words(&format!(
            "url method headers body auth http_version compression redirects downgrade redirect_to_private proxy {tls}"
        ))
    );
    assert_eq!(
        keys("monitors.NAME.expect", Some("type = \"http\"")),
        words(
            "status body_contains body_not_contains body_matches json headers size_below final_url \
             http_version tls_version certificate_days latency_below degraded_above"
        )
    );
    assert_eq!(
        of("tcp"),
        words(&format!(
            "host port tls starttls {tls} banner send expect tls_version certificate_days latency_below \
             degraded_above"
        ))
    );
    assert_eq!(
        of("ping"),
        words(
            "host count spacing size loss_below loss_degraded latency_below degraded_above min_below \
             max_below jitter_below"
        )
    );
    assert_eq!(of("dns"), ["host", "record", "authoritative"]);
    assert_eq!(
        keys("monitors.NAME.expect", Some("type = \"dns\"")),
        words("rcode answers answers_match ad ttl_above latency_below degraded_above")
    );
    let interval = reference(&[]).into_iter().find(|doc| doc.key == "interval").expect("a key");
    assert_eq!(
        (interval.takes.as_str(), interval.default.as_deref()),
        ("a duration such as `30s`, from 1s to 7d", Some("`1m`"))
    );
    for doc in reference(&notifiers()) {
        assert!(doc.doc.starts_with(char::is_uppercase) && doc.doc.ends_with('.'), "{doc:?}");
    }
}

#[test]
fn a_check_ends_before_its_job_does() {
    let file = |job: &str, check: &str| {
        format!(
            "[queues.monitor-checks]\ntimeout = '{job}'\n[monitors.m]\ntype = 'ping'\nhost = 'h'\n{check}"
        )
    };
    assert_eq!(messages(&file("11s", "")), [""; 0]);
    assert_eq!(
        messages(&file("10s", "")),
        ["3:1 a check may take `10s` and its job on `monitor-checks` only `10s`"]
    );
    assert_eq!(messages(&file("10s", "timeout = '9s'")), [""; 0]);
    assert_eq!(messages(&file("10s", "timeout = '20s'"))[0].split(' ').next(), Some("6:11"));
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
    ] {
        let reading = read(text, &notifiers());
        assert!(!reading.diagnostics.is_empty(), "{text}");
        for diagnostic in &reading.diagnostics {
            let lines = Lines::new(text);
            let range = lines.range(diagnostic.line - 1);
            let masked = |at: usize| diagnostic.masked.iter().any(|mask| mask.contains(&at));
            let shown: String = text[range.clone()]
                .char_indices()
                .filter(|(at, _)| !masked(range.start + at))
                .map(|(_, c)| c)
                .collect();
            let hint = diagnostic.hint.as_deref().unwrap_or_default();
            assert!(!shown.contains("NEVER"), "{text}\n{shown}");
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
    let words = [
        "[channels.c]\n",
        "[monitors.m]\n",
        "[[monitors]]\n",
        "[queues.notifications]\n",
        "[database]\n",
        "[monitors.m.expect]\n",
        "type = ",
        "url = ",
        "notifier = ",
        "bot_token = ",
        "headers = ",
        "channels = ",
        "status = ",
        "secret = ",
        "timeout = ",
        "\"http\"",
        "\"webhook\"",
        "'telegram'",
        "'https://u:p@ä.example/'",
        "\"30s\"",
        "5",
        "-1",
        "1.5",
        "true",
        "1979-05-27",
        "[",
        "]",
        "{ ",
        " }",
        ", ",
        "=",
        ".",
        "\n",
        "\r\n",
        "\"",
        "'",
        "\"\"\"",
        "\\",
        "#",
        "\u{feff}",
        "ä",
        "💥",
        "\0",
        "\u{85}",
        "{ env = \"NAME\" }",
        "a = 1",
        "99999999999999999999",
        "key",
    ];
    prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
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
