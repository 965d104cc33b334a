//! Each key of a check, and what they say to each other.

use crate::config::diagnostic::Diagnostics;
use crate::config::{Level, file_of, read};
use crate::monitor::{CertificateDays, CheckSpec, IpFamily};
use crate::notifier::Description;
use crate::target;

const NONE: &[Description] = &[];

fn check(text: &str) -> CheckSpec {
    let reading = read(&format!("[monitors.a]\nchannels = []\n{text}"), NONE);
    assert_eq!(reading.diagnostics, [], "{text}");
    reading.config.expect("a file without errors").monitors.remove(0).check
}

/// What the file says, and how that is stored: it is read for ever. What is not there is the default.
fn is_stored(text: &str, stored: &str) {
    let check = check(text);
    let stored: serde_json::Value = serde_json::from_str(stored).expect(stored);
    assert_eq!(serde_json::to_value(&check).expect("it is stored"), stored, "{text}");
    assert_eq!(serde_json::from_value::<CheckSpec>(stored).expect("it reads"), check, "{text}");
}

#[test]
fn each_key_of_http_reads() {
    is_stored(
        r#"
        type = "http"
        url = "https://a.example/"
        auth = { user = "monitor", password = { env = "PASSWORD" } }
        http_version = "2"
        compression = true
        downgrade = true
        redirect_to_private = true
        proxy = { env = "PROXY" }
        ca = "/etc/ca.pem"
        client_certificate = "/etc/client.pem"
        client_key = { file = "/etc/client.key" }
        server_name = "inner.example"
        [monitors.a.expect]
        status = [200, "3xx"]
        body_matches = ['^\d+$', "b"]
        json = ["$.status=='ok'", "length($.items) > 0"]
        headers = "Content-Type contains 'json'"
        size_below = "64 KiB"
        final_url = "https://a.example/end"
        http_version = ["1.1", "2"]
        tls_version = "1.3"
        certificate_days = { warning = 21, critical = 7 }
        latency_below = "2s"
        degraded_above = "1s"
        "#,
        r#"{"type": "http", "url": "https://a.example/", "method": "GET", "headers": {},
            "auth": {"basic": {"user": "monitor", "password": {"env": "PASSWORD"}}}, "versions": "2",
            "compression": true, "redirects": 5, "downgrade": true, "redirect_to_private": true,
            "proxy": {"env": "PROXY"}, "lookup": {"ip": "any"},
            "tls": {"verify": true, "ca": "/etc/ca.pem", "server_name": "inner.example",
                "client": {"certificate": "/etc/client.pem", "key": {"file": "/etc/client.key"}}},
            "expect": {"status": ["200", "3xx"], "body_contains": [], "body_not_contains": [],
                "body_matches": ["^\\d+$", "b"], "json": ["$.status == 'ok'", "length($.items) > 0"],
                "headers": ["Content-Type contains 'json'"], "size_below": 65536, "final_url": "https://a.example/end",
                "http_version": ["1.1", "2"], "tls_version": "1.3", "certificate_days": {"warning": 21, "critical": 7},
                "latency_below": 2000, "degraded_above": 1000}}"#,
    );
    is_stored(
        "type = 'http'\nurl = 'https://a.example/'\nmethod = 'PUT'\nbody = 'x'\nauth = { bearer = { env = 'TOKEN' } }\n\
         ip = 'all'\nresolver = '[2001:db8::53]:5353'\nexpect = { body_contains = 'a', body_not_contains = ['b'] }",
        r#"{"type": "http", "url": "https://a.example/", "method": "PUT", "headers": {}, "body": "x",
            "auth": {"bearer": {"token": {"env": "TOKEN"}}}, "versions": "auto", "compression": false, "redirects": 5,
            "downgrade": false, "lookup": {"ip": "all", "resolver": "[2001:db8::53]:5353"}, "tls": {"verify": true},
            "expect": {"status": ["2xx"], "body_contains": ["a"], "body_not_contains": ["b"], "body_matches": [],
                "http_version": [], "certificate_days": {"warning": 14, "critical": null},
                "latency_below": null, "degraded_above": null}}"#,
    );
}

#[test]
fn certificates_days_have_three_forms() {
    for (text, warning, critical) in [
        ("30", Some(30), None),
        ("0", None, None),
        ("false", None, None),
        ("{ warning = 0 }", None, None),
        ("{}", None, None),
        ("{ critical = 3 }", None, Some(3)),
    ] {
        let web =
            format!("type = 'http'\nurl = 'https://a.example/'\nexpect = {{ certificate_days = {text} }}");
        assert_eq!(check(&web).certificate_days(), Some(CertificateDays { warning, critical }), "{text}");
    }
}

#[test]
fn each_key_of_tcp_reads() {
    is_stored(
        r#"
        type = "tcp"
        host = "a.example"
        port = 25
        starttls = "smtp"
        verify = true
        server_name = "mail.example"
        banner = { matches = '^220 ' }
        send = { hex = "51 55 49 54 0D0A" }
        expect = "221"
        tls_version = "1.2"
        certificate_days = 30
        latency_below = "2s"
        degraded_above = "500ms"
        resolver = "192.0.2.53"
        "#,
        r#"{"type": "tcp", "host": "a.example", "port": 25, "lookup": {"ip": "any", "resolver": "192.0.2.53:53"},
            "tls": {"verify": true, "server_name": "mail.example"}, "starttls": "smtp", "banner": {"matches": "^220 "},
            "send": {"hex": "515549540d0a"}, "expect": {"text": "221"}, "tls_version": "1.2",
            "certificate_days": {"warning": 30, "critical": null}, "latency_below": 2000, "degraded_above": 500}"#,
    );
    for (keys, stored) in [
        ("tls = true", r#""tls": {"verify": true}"#),
        ("send = { env = \"LOGIN\" }", r#""send": {"text": {"env": "LOGIN"}}"#),
        ("expect = { hex = \"ff\" }", r#""expect": {"hex": "ff"}"#),
    ] {
        let least = r#""type": "tcp", "host": "a.example", "port": 25, "lookup": {"ip": "any"}, "latency_below": null,
            "degraded_above": null, "certificate_days": {"warning": 14, "critical": null}"#;
        is_stored(
            &format!("type = \"tcp\"\nhost = \"a.example\"\nport = 25\n{keys}"),
            &format!("{{{least}, {stored}}}"),
        );
    }
}

#[test]
fn each_key_of_ping_reads() {
    is_stored(
        r#"
        type = "ping"
        host = "a.example"
        count = 10
        spacing = "100ms"
        size = 1000
        loss_below = 50
        loss_degraded = 20
        latency_below = "100ms"
        degraded_above = "50ms"
        min_below = "40ms"
        max_below = "400ms"
        jitter_below = "30ms"
        "#,
        r#"{"type": "ping", "host": "a.example", "count": 10, "spacing": 100, "size": 1000, "loss_below": 50,
            "loss_degraded": 20, "latency_below": 100, "degraded_above": 50, "min_below": 40, "max_below": 400,
            "jitter_below": 30, "lookup": {"ip": "any"}}"#,
    );
}

/// What is said of a monitor, each with its level.
fn said(text: &str) -> Vec<String> {
    let level = |level| if level == Level::Error { "error" } else { "warning" };
    read(&format!("[monitors.a]\nchannels = []\n{text}"), NONE)
        .diagnostics
        .into_iter()
        .map(|diagnostic| format!("{}: {}", level(diagnostic.level), diagnostic.message))
        .collect()
}

/// What the keys of a check say to each other, beside what `tests/it/invalid` has. A line has the check and its keys (`
/// ; ` is a line's end in the file), and the one behind it what is said; nothing is said of those that go together.
const SAID: &str = r#"
web: expect = { degraded_above = "2s", latency_below = "2s" }
    error: `degraded_above` is `2s`, and from `latency_below`, `2s`, on it is down
echo: loss_degraded = 50 ; loss_below = 50
    error: `loss_degraded` is `50`, and from `loss_below`, `50`, on it is down
web: auth = { bearer = { env = "A" } } ; headers = { authorization = { env = "A" } }
    warning: `auth` has no use: the header `Authorization` in `headers` wins over it
web: http_version = "2" ; expect = { http_version = ["1.0", "1.1"] }
    error: `http_version` speaks no version that `http_version` in `expect` wants
web: expect = { body_contains = "not ok", body_not_contains = "ok" }
    error: `body_not_contains` refuses what `body_contains` asks for
web: redirects = 0 ; downgrade = true
    warning: `downgrade` has no use: with `redirects = 0` no redirect is followed
web: redirects = 0 ; redirect_to_private = true
    warning: `redirect_to_private` has no use: with `redirects = 0` no redirect is followed
user: auth = { bearer = { env = "A" } }
    warning: the user in `url` has no use: `auth` wins over it
echo: jitter_below = "10s"
    warning: `jitter_below` is `10s`, and `timeout`, `10s`, ends the check before
echo: count = 1 ; jitter_below = "1s"
    warning: `jitter_below` has no use: with `count = 1` no round trip follows another
clear: ca = "/c"
web: expect = { body_contains = "ok", body_not_contains = "not ok" }
web: http_version = "1.1" ; expect = { http_version = ["1.0", "2"] }
port: tls = true ; starttls = "smtp"
echo: count = 20
"#;

#[test]
fn keys_that_contradict_each_other_are_named_both_and_others_are_let_alone() {
    let mut lines = SAID.trim().lines().peekable();
    while let Some(case) = lines.next() {
        let (check, keys) = case.split_once(": ").expect(case);
        let start = match check {
            "web" => "type = \"http\"\nurl = \"https://a.example/\"\n",
            "user" => "type = \"http\"\nurl = \"https://u@a.example/\"\n",
            "clear" => "type = \"http\"\nurl = \"http://a.example/\"\n",
            "port" => "type = \"tcp\"\nhost = \"a.example\"\nport = 25\n",
            "echo" => "type = \"ping\"\nhost = \"a.example\"\n",
            other => panic!("{other}"),
        };
        let message = lines.next_if(|line| line.starts_with(' ')).map(str::trim);
        assert_eq!(said(&format!("{start}{}", keys.replace(" ; ", "\n"))), Vec::from_iter(message), "{case}");
    }
}

/// Targets, keys of theirs (` ; ` is a line's end in the file), and how the error begins that says which contradict
/// each other.
const AGAINST: &str = r#"
https://192.0.2.1/ ip = "6" => `ip` is `6`
https://[2001:db8::1]/ ip = "4" => `ip` is `4`
https://[2001:db8::1]/ ip = "6"
https://192.0.2.1/ ip = "all"
https://a.example/ ip = "6"
http://192.0.2.1/ ip = "6" ; proxy = "http://p.example:3128"
tcp://192.0.2.1:22 ip = "6" => `ip` is `6`
tcp://[2001:db8::1]:22 ip = "4" => `ip` is `4`
ping://192.0.2.1 ip = "6" => `ip` is `6`
ping://192.0.2.1 ip = "4"
https://a.example/ redirects = 0 ; expect.final_url = "https://a.example/end" => `final_url` is another place
https://a.example/ redirects = 0 ; expect.final_url = "https://a.example/?q" => `final_url` is another place
http://a.example/ redirects = 0 ; expect.final_url = "https://a.example/" => `final_url` is another place
https://a.example/ redirects = 1 ; expect.final_url = "https://a.example/end"
https://u:p@a.example/?q redirects = 0 ; expect.final_url = "https://a.example:443/?q#f"
https://a.example/ expect.final_url = "http://a.example/" => `final_url` is plain `http`
https://a.example/ expect.final_url = "http://a.example/" ; downgrade = true
http://a.example/ expect.final_url = "https://a.example/"
http://a.example/ redirects = 0 ; expect.http_version = "2" => `http_version` in `expect` wants HTTP/2
http://a.example/ expect.http_version = "2" ; expect.final_url = "http://a.example/end" => `http_version` in `expect`
http://a.example/ expect.http_version = "2"
http://a.example/ redirects = 0 ; expect.http_version = "2" ; http_version = "2"
https://a.example/ redirects = 0 ; expect.http_version = "2"
https://a.example/ redirects = 0 ; expect.http_version = "2" ; http_version = "1.1" => `http_version` speaks no version
http://a.example/ redirects = 0 ; expect.tls_version = "1.3" => `tls_version` asks for TLS
http://a.example/ expect.tls_version = "1.3"
https://a.example/ redirects = 0 ; expect.tls_version = "1.3"
"#;

#[test]
fn what_no_target_could_be_is_refused_and_nothing_else() {
    for case in AGAINST.trim().lines() {
        let (target, keys) = case.split_once(' ').expect(case);
        let (keys, begins) = keys.split_once(" => ").unwrap_or((keys, ""));
        let file = file_of(&target::parse(target).expect(target)) + &keys.replace(" ; ", "\n");
        let errors = read(&file, NONE).diagnostics.into_iter().filter(|found| found.level == Level::Error);
        let errors: Vec<String> = errors.map(|found| found.message).collect();
        let is_it = errors.iter().all(|error| error.starts_with(begins));
        assert!(is_it && errors.len() == usize::from(!begins.is_empty()), "{case}: {errors:?}");
    }
    let mut zoned = target::ping("fe80::1%eth0".into());
    zoned.lookup.ip = IpFamily::V4;
    assert_eq!(CheckSpec::Ping(zoned).conflicts(&Diagnostics::default()).len(), 1);
}

#[test]
fn each_key_of_dns_reads() {
    is_stored(
        r#"
        type = "dns"
        host = "Shop.example."
        record = "MX"
        authoritative = true
        ip = "4"
        resolver = "192.0.2.53"
        [monitors.a.expect]
        rcode = "NOERROR"
        answers = ["10 Mail.shop.example.", "20 mail.other.example"]
        answers_match = "exact"
        ttl_above = "5m"
        latency_below = "2s"
        degraded_above = "1s"
        "#,
        r#"{"type": "dns", "host": "shop.example.", "record": "MX", "authoritative": true,
            "lookup": {"ip": "4", "resolver": "192.0.2.53:53"},
            "expect": {"rcode": "NOERROR", "answers": ["10 mail.shop.example", "20 mail.other.example"],
                "answers_match": "exact", "ad": false, "ttl_above": 300000, "latency_below": 2000,
                "degraded_above": 1000}}"#,
    );
    is_stored(
        "type = 'dns'\nhost = '_dmarc.a.example'\nrecord = 'TXT'\nexpect = { answers = [], ad = true }",
        r#"{"type": "dns", "host": "_dmarc.a.example", "record": "TXT", "authoritative": false, "lookup": {"ip": "any"},
            "expect": {"rcode": "NOERROR", "answers": [], "answers_match": "all", "ad": true,
                "ttl_above": null, "latency_below": null, "degraded_above": null}}"#,
    );
    let least = |host: &str| check(&format!("type = 'dns'\nhost = '{host}'"));
    assert_eq!(least("2001:db8::1").target(), "dns://[2001:db8::1]?type=PTR");
    let stored = r#"{"type":"dns","host":"a.example","record":"A"}"#;
    assert_eq!(serde_json::from_str::<CheckSpec>(stored).expect("it reads"), least("a.example"));
    for (keys, message) in [
        ("record = 'A'\nexpect = { answers = 'a.example' }", "error: `a.example` is no data of a record `A`"),
        ("ip = '4'", "warning: `ip` has no use: without `authoritative = true` no name server is looked up"),
        (
            "authoritative = true\nexpect = { ad = true }",
            "error: `ad` asks for a validated answer, and with `authoritative` nobody validates it",
        ),
        (
            "expect = { answers = '192.0.2.1', rcode = 'NXDOMAIN' }",
            "error: `rcode` is `NXDOMAIN`, with which none of `answers` comes",
        ),
    ] {
        assert_eq!(said(&format!("type = 'dns'\nhost = 'a.example'\n{keys}")), [message], "{keys}");
    }
    let message = "error: `record` is `MX`, and `host` is an address, which has only `PTR`";
    assert_eq!(said("type = 'dns'\nhost = '192.0.2.1'\nrecord = 'MX'"), [message]);
}
