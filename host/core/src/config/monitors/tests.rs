//! Each key of a check, and what they say to each other.

use crate::config::{Level, read};
use crate::monitor::{
    AnswersMatch, Auth, Bytes, CertificateDays, CheckSpec, ClientIdentity, DnsExpect, DnsSpec, ExpectedBytes,
    HttpSpec, HttpVersion, HttpVersions, IpFamily, Lookup, PingSpec, Rcode, RecordType, StartTls, TcpSpec,
    TlsSpec, TlsVersion,
};
use crate::notifier::Description;
use crate::secret::SecretRef;
use std::time::Duration;

const NONE: &[Description] = &[];

fn check(text: &str) -> CheckSpec {
    let reading = read(&format!("[monitors.a]\nchannels = []\n{text}"), NONE);
    assert_eq!(reading.diagnostics, [], "{text}");
    reading.config.expect("a file without errors").monitors.remove(0).check
}

fn http(text: &str) -> HttpSpec {
    match check(&format!("type = \"http\"\n{text}")) {
        CheckSpec::Http(spec) => spec,
        other => panic!("{other:?}"),
    }
}

fn tcp(text: &str) -> TcpSpec {
    match check(&format!("type = \"tcp\"\nhost = \"a.example\"\nport = 25\n{text}")) {
        CheckSpec::Tcp(spec) => spec,
        other => panic!("{other:?}"),
    }
}

fn ping(text: &str) -> PingSpec {
    match check(&format!("type = \"ping\"\nhost = \"a.example\"\n{text}")) {
        CheckSpec::Ping(spec) => spec,
        other => panic!("{other:?}"),
    }
}

fn dns(text: &str) -> DnsSpec {
    match check(&format!("type = \"dns\"\n{text}")) {
        CheckSpec::Dns(spec) => spec,
        other => panic!("{other:?}"),
    }
}

fn env(name: &str) -> SecretRef {
    SecretRef::Env { env: name.into() }
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn shown<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_key_of_http_reads() {
    let spec = http(
        r#"
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
    );
    assert_eq!(spec.auth, Some(Auth::Basic { user: "monitor".into(), password: env("PASSWORD") }));
    assert_eq!(
        (spec.versions, spec.compression, spec.downgrade, spec.redirect_to_private),
        (HttpVersions::Http2, true, true, true)
    );
    assert_eq!(spec.proxy, Some(env("PROXY")));
    let client = ClientIdentity {
        certificate: "/etc/client.pem".into(),
        key: SecretRef::File { file: "/etc/client.key".into() },
    };
    let tls = TlsSpec {
        verify: true,
        ca: Some("/etc/ca.pem".into()),
        client: Some(client),
        server_name: Some("inner.example".into()),
    };
    assert_eq!(spec.tls, tls);
    let expect = spec.expect;
    assert_eq!(shown(&expect.status), "200; 3xx");
    assert_eq!(shown(&expect.body_matches), r"^\d+$; b");
    assert_eq!(shown(&expect.json), "$.status == 'ok'; length($.items) > 0");
    assert_eq!(shown(&expect.headers), "Content-Type contains 'json'");
    assert_eq!(expect.size_below, Some(64 << 10));
    assert_eq!(expect.final_url.map(String::from).as_deref(), Some("https://a.example/end"));
    assert_eq!(expect.http_version, [HttpVersion::Http11, HttpVersion::Http2]);
    assert_eq!(expect.tls_version, Some(TlsVersion::Tls13));
    assert_eq!(expect.certificate_days, CertificateDays { warning: Some(21), critical: Some(7) });
    assert_eq!((expect.latency_below, expect.degraded_above), (Some(ms(2_000)), Some(ms(1_000))));

    let spec = http(
        "url = \"https://a.example/\"\nauth = { bearer = { env = \"TOKEN\" } }\nip = \"all\"\nresolver = \"[2001:db8::53]:5353\"",
    );
    assert_eq!(spec.auth, Some(Auth::Bearer { token: env("TOKEN") }));
    assert_eq!(spec.lookup.ip, IpFamily::All);
    assert_eq!(spec.lookup.resolver, "[2001:db8::53]:5353".parse().ok());
}

#[test]
fn certificates_days_have_three_forms() {
    let days = |text: &str| {
        let days = http(&format!("url = \"https://a.example/\"\nexpect = {{ certificate_days = {text} }}"))
            .expect
            .certificate_days;
        (days.warning, days.critical)
    };
    assert_eq!(days("30"), (Some(30), None));
    for off in ["0", "false", "{ warning = 0 }", "{}"] {
        assert_eq!(days(off), (None, None), "{off}");
    }
    assert_eq!(days("{ critical = 3 }"), (None, Some(3)));
    assert_eq!(CertificateDays::default(), http("url = \"https://a.example/\"").expect.certificate_days);
}

#[test]
fn each_key_of_tcp_reads() {
    let spec = tcp(r#"
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
        "#);
    assert_eq!(spec.starttls, Some(StartTls::Smtp));
    assert_eq!(spec.tls.and_then(|tls| tls.server_name).as_deref(), Some("mail.example"));
    assert_eq!(spec.banner, Some(ExpectedBytes::Matches("^220 ".parse().expect("a pattern"))));
    assert_eq!(spec.send, Some(Bytes::Hex("515549540d0a".into())));
    assert_eq!(spec.expect, Some(ExpectedBytes::Text("221".into())));
    assert_eq!(spec.tls_version, Some(TlsVersion::Tls12));
    assert_eq!(spec.certificate_days, CertificateDays { warning: Some(30), critical: None });
    assert_eq!((spec.latency_below, spec.degraded_above), (Some(ms(2_000)), Some(ms(500))));
    assert_eq!(spec.lookup.resolver, "192.0.2.53:53".parse().ok());

    assert_eq!(tcp("tls = true").tls, Some(TlsSpec::default()));
    assert_eq!(tcp("send = { env = \"LOGIN\" }").send, Some(Bytes::Text(env("LOGIN"))));
    assert_eq!(tcp("expect = { hex = \"ff\" }").expect, Some(ExpectedBytes::Hex("ff".into())));
    assert_eq!(tcp("").tls, None);
}

#[test]
fn each_key_of_ping_reads() {
    let spec = ping(
        r#"
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
    );
    assert_eq!((spec.count, spec.spacing, spec.size), (10, Duration::from_millis(100), 1000));
    assert_eq!((spec.loss_below, spec.loss_degraded), (50, Some(20)));
    assert_eq!((spec.latency_below, spec.degraded_above), (Some(ms(100)), Some(ms(50))));
    assert_eq!(
        (spec.min_below, spec.max_below, spec.jitter_below),
        (Some(ms(40)), Some(ms(400)), Some(ms(30)))
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

/// What the keys of a check say to each other. A line has the check and its keys (` ; ` is a line's end in the file), and the one
/// behind it what is said; nothing is said of those that go together.
const SAID: &str = r#"
web: expect = { degraded_above = "2s", latency_below = "2s" }
    error: `degraded_above` is `2s`, and from `latency_below`, `2s`, on it is down
web: timeout = "5s" ; expect = { latency_below = "5s" }
    warning: `latency_below` is `5s`, and `timeout`, `5s`, ends the check before
web: proxy = "http://p.example:3128" ; ip = "4"
    warning: `ip` has no use: with `proxy` it is the proxy that looks up the name
web: proxy = "http://p.example:3128" ; resolver = "192.0.2.53"
    warning: `resolver` has no use: with `proxy` it is the proxy that looks up the name
web: proxy = "http://u:p@p.example:3128"
    warning: `proxy` has a password in it
web: verify = false
    warning: `verify = false`: whoever is on the way can answer in the target's place
web: client_key = { file = "/k" }
    error: `client_key` needs `client_certificate`
web: client_certificate = "/c"
    error: `client_certificate` needs `client_key`
web: auth = { bearer = { env = "A" } } ; headers = { authorization = { env = "A" } }
    warning: `auth` has no use: the header `Authorization` in `headers` wins over it
web: method = "HEAD" ; expect = { json = "$ exists" }
    error: `method` is `HEAD`, whose answer has no body, and `json` asks for something in it
web: http_version = "1.1" ; expect = { http_version = "2" }
    error: `http_version` speaks no version that `http_version` in `expect` wants
web: http_version = "2" ; expect = { http_version = ["1.0", "1.1"] }
    error: `http_version` speaks no version that `http_version` in `expect` wants
web: expect = { body_contains = "not ok", body_not_contains = "ok" }
    error: `body_not_contains` refuses what `body_contains` asks for
web: redirects = 0 ; downgrade = true
    warning: `downgrade` has no use: with `redirects = 0` no redirect is followed
web: redirects = 0 ; redirect_to_private = true
    warning: `redirect_to_private` has no use: with `redirects = 0` no redirect is followed
web: expect = { certificate_days = { warning = 3, critical = 7 } }
    error: `critical` is `7` days and `warning` only `3`
plain: ca = "/c"
    warning: `ca` has no use: `url` is plain `http`, and with `redirects = 0` it stays so
web: expect = { final_url = "https://a.example/end" } ; redirects = 0
    error: `final_url` is another place than `url`, and `redirects` is `0`: nothing leads there
plain: expect = { http_version = "2" }
    error: `http_version` in `expect` wants HTTP/2, which without TLS is spoken only when asked for
address: ip = "6"
    error: `ip` is `6`, and `host` is an IPv4 address
web: ca = "own-ca.pem"
    error: `ca` takes an absolute path such as `/etc/ssl/own-ca.pem`, not `own-ca.pem`
web: client_certificate = "/c" ; client_key = { file = "k" }
    error: `client_key` takes an absolute path in `file`
port: tls = false ; starttls = "imap"
    error: `tls = false`, and `starttls` asks for TLS
port: certificate_days = 21
    error: `certificate_days` has no use without TLS
port: ca = "/c"
    error: `ca` has no use without TLS
echo: loss_degraded = 50 ; loss_below = 50
    error: `loss_degraded` is `50`, and from `loss_below`, `50`, on it is down
echo: count = 20 ; spacing = "1s"
    warning: `count` times `spacing` takes `19s`, and `timeout` is `10s`: the echoes are sent closer
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
            "clear" => "type = \"http\"\nurl = \"http://a.example/\"\n",
            "plain" => "type = \"http\"\nurl = \"http://a.example/\"\nredirects = 0\n",
            "port" => "type = \"tcp\"\nhost = \"a.example\"\nport = 25\n",
            "address" => "type = \"tcp\"\nhost = \"192.0.2.1\"\nport = 25\n",
            "echo" => "type = \"ping\"\nhost = \"a.example\"\n",
            other => panic!("{other}"),
        };
        let message = lines.next_if(|line| line.starts_with(' ')).map(str::trim);
        assert_eq!(said(&format!("{start}{}", keys.replace(" ; ", "\n"))), Vec::from_iter(message), "{case}");
    }
}

#[test]
fn each_key_of_dns_reads() {
    let spec = dns(r#"
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
        "#);
    let answers = ["10 mail.shop.example", "20 mail.other.example"].map(str::to_owned);
    let expect = DnsExpect {
        rcode: Rcode::NoError,
        answers: Some(answers.into()),
        answers_match: AnswersMatch::Exact,
        ad: false,
        ttl_above: Some(ms(300_000)),
        latency_below: Some(ms(2_000)),
        degraded_above: Some(ms(1_000)),
    };
    let lookup = Lookup { ip: IpFamily::V4, resolver: "192.0.2.53:53".parse().ok() };
    let host = "shop.example.".to_owned();
    assert_eq!(spec, DnsSpec { host, record: RecordType::Mx, authoritative: true, lookup, expect });
    assert_eq!(dns("host = '_dmarc.a.example'").record, RecordType::A);
    assert_eq!(dns("host = '2001:db8::1'").record, RecordType::Ptr);
    let spec = dns("host = '_dmarc.a.example'\nrecord = 'TXT'\nexpect = { answers = [], ad = true }");
    assert_eq!((spec.expect.answers, spec.expect.ad), (Some(Vec::new()), true));
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

/// What was stored is read for ever.
#[test]
fn a_stored_dns_check_is_what_the_file_says() {
    let least = dns("host = 'a.example'");
    let stored = r#"{"type":"dns","host":"a.example","record":"A"}"#;
    assert_eq!(serde_json::from_str::<CheckSpec>(stored).expect("it reads"), CheckSpec::Dns(least));
    let full = dns(
        "host = 'a.example'\nrecord = 'SRV'\nauthoritative = true\nip = '6'\nresolver = '192.0.2.53'\n\
         expect = { answers = '1 2 3 b.example', answers_match = 'any', ttl_above = '1m', latency_below = '2s' }",
    );
    let stored = serde_json::json!({
        "type": "dns", "host": "a.example", "record": "SRV", "authoritative": true,
        "lookup": { "ip": "6", "resolver": "192.0.2.53:53" },
        "expect": {
            "rcode": "NOERROR", "answers": ["1 2 3 b.example"], "answers_match": "any", "ad": false,
            "ttl_above": 60_000, "latency_below": 2_000, "degraded_above": null,
        },
    });
    assert_eq!(serde_json::to_value(CheckSpec::Dns(full)).expect("it is stored"), stored);
}
