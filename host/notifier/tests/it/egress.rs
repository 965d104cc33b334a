//! What the guard stops, on real sockets: a listener that nobody may reach notices nothing.

use crate::alone::alone;
use crate::hostile::case::{NAME, build};
use crate::log::Log;
use crate::support::{Behaviour, Sink, delivery, event, host, settings, text};
use std::net::{SocketAddr, TcpListener, TcpStream};
use uptime_core::ErrorClass;
use uptime_core::event::EventType;
use uptime_core::grant::HostGrant;
use uptime_notifier::{Limits, NotifierError, NotifierHost, ResolvedSettings};

/// A listener on loopback that can tell whether anybody came.
struct Forbidden(TcpListener);

impl Forbidden {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// The first to be accepted is this test itself, so nobody came before it.
    fn nobody_came(self) {
        let own = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port()))).expect("a connection");
        let (_, first) = self.0.accept().expect("a connection");
        assert_eq!(first, own.local_addr().expect("an address"), "somebody came");
    }
}

/// The reason why a webhook to `url` is stopped.
async fn denied(host: &NotifierHost, url: &str, allow: &[&str]) -> String {
    let webhook = settings([("url", text(url))]);
    let allow: Vec<_> = allow.iter().map(|grant| grant.parse().expect("a grant")).collect();
    match host.notify(delivery("webhook", &webhook, &allow, &event(EventType::Down))).await {
        Err(error @ NotifierError::EgressDenied { by_answer, .. }) => {
            // A name server may say something else soon; an address stays what it is.
            let expected = if by_answer { ErrorClass::Transient } else { ErrorClass::Config };
            let is_a_name = url.to_lowercase().replace("%6f", "o").contains("localhost");
            assert_eq!(
                (error.class(), by_answer),
                (expected, is_a_name && !url.starts_with("http:")),
                "{url}"
            );
            assert!(error.channel_broken());
            let hint = error.hint();
            let NotifierError::EgressDenied { reason, .. } = error else { unreachable!() };
            // Nobody is told to allow what no allowance opens.
            assert_eq!(hint.is_some(), reason.ends_with("allowed explicitly"), "{url}: {hint:?}");
            reason
        }
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn plain_http_takes_an_explicit_allowance_of_that_origin() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let port = forbidden.port();
    let url = format!("http://127.0.0.1:{port}/");
    for allow in [vec![], vec!["http://127.0.0.1:1"], vec!["https://127.0.0.1"], vec!["http://localhost:80"]]
    {
        assert_eq!(denied(&host, &url, &allow).await, "plain HTTP has to be allowed explicitly", "{allow:?}");
    }
    forbidden.nobody_came();
}

/// Every writing of an address is a matter of the guard's own tests; here are some on their whole way.
#[tokio::test]
async fn inner_addresses_take_an_explicit_allowance_and_metadata_is_never_open() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let port = forbidden.port();
    for written in
        ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "l%6fcalhost", "LOCALHOST", "[::1]", "①②⑦.⓪.⓪.①"]
    {
        let reason = denied(&host, &format!("https://{written}:{port}/"), &[]).await;
        let expected = "is a loopback address and has to be allowed explicitly";
        assert!(reason.ends_with(expected), "{written}: {reason}");
    }
    let reason = denied(&host, "https://192.168.1/", &[]).await;
    assert!(reason.ends_with("is a private address and has to be allowed explicitly"), "{reason}");
    for origin in ["http://169.254.169.254", "http://2852039166", "http://[fe80::1]", "http://0.0.0.0:9"] {
        let reason = denied(&host, &format!("{origin}/latest/meta-data/"), &[origin]).await;
        assert!(reason.ends_with("which is never open to a plugin"), "{origin}: {reason}");
    }
    forbidden.nobody_came();
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let elsewhere = format!("http://127.0.0.1:{}/", forbidden.port());
    for code in [301, 302, 303, 307, 308] {
        let sink =
            Sink::start([Behaviour::Status(code, vec![("location", elsewhere.clone())], String::new())])
                .await;
        let webhook = settings([("url", text(sink.url("/")))]);
        let mut allow = sink.grant();
        allow.push(elsewhere.parse().expect("a grant"));
        let error = host
            .notify(delivery("webhook", &webhook, &allow, &event(EventType::Down)))
            .await
            .expect_err("a redirect is a failure");
        assert_eq!(
            error.to_string(),
            format!("`webhook` can't deliver: status {code} (redirects are not followed)")
        );
    }
    forbidden.nobody_came();
}

#[tokio::test]
async fn a_secret_address_grants_its_own_origin_and_no_more() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let discord = settings([(
        "webhook_url",
        text(format!("https://localhost:{}/api/webhooks/1/canary", forbidden.port())),
    )]);
    let error = host
        .notify(delivery("discord", &discord, &[], &event(EventType::Down)))
        .await
        .expect_err("an inner address");
    assert!(
        matches!(&error, NotifierError::EgressDenied { reason, .. } if reason.contains("loopback")),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("canary"));
    assert_eq!(
        error.hint(),
        Some(format!(
            "if it should: `allow = [\"https://localhost:{}\"]` in the channel's table",
            forbidden.port()
        ))
    );
    forbidden.nobody_came();
}

/// A plugin that sends a GET to its settings put together: `to`, the secret `key`, and `behind`. When that fails, it
/// says with which of the interface's errors and words. It asks for `https://api.example.com`.
const SENDER: &str = r#"
(data (i32.const 88) "\00\02\00\00\03\00\00\00\78\01\00\00\01\00\00\00")
(data (i32.const 376) "\80\01\00\00\17\00\00\00https://api.example.com")
(data (i32.const 432) "tokeybehind")
(data (i32.const 512) "\b0\01\00\00\02\00\00\00\b0\01\00\00\02\00\00\00\00")
(data (i32.const 560) "\b2\01\00\00\03\00\00\00\b2\01\00\00\03\00\00\00\01")
;; The secret is an address, or to sign with.
(data (i32.const 600) "\90\02\00\00\02\00\00\00")
(data (i32.const 676) "\05")
(data (i32.const 608) "\b5\01\00\00\06\00\00\00\b5\01\00\00\06\00\00\00\00")
(func (export "notify") (param $in i32) (result i32) (local $setting i32) (local $left i32) (local $end i32)
  (local.set $setting (i32.load (local.get $in)))
  (local.set $left (i32.load offset=4 (local.get $in)))
  (local.set $end (i32.const 4096))
  (loop
    (memory.copy (local.get $end) (i32.load offset=16 (local.get $setting)) (i32.load offset=20 (local.get $setting)))
    (local.set $end (i32.add (local.get $end) (i32.load offset=20 (local.get $setting))))
    (local.set $setting (i32.add (local.get $setting) (i32.const 24)))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if 0 (local.get $left)))
  (i32.store (i32.const 700) (i32.const 4096))
  (i32.store (i32.const 704) (i32.sub (local.get $end) (i32.const 4096)))
  (call $http (i32.const 696) (i32.const 800))
  ;; An error becomes `permanent` with the same words.
  (if (i32.load8_u (i32.const 800)) (then
    (i32.store8 (i32.const 256) (i32.const 1))
    (i32.store8 (i32.const 264) (i32.const 5))
    (i32.store (i32.const 272) (i32.load (i32.const 812)))
    (i32.store (i32.const 276) (i32.load (i32.const 816)))))
  (i32.const 256))"#;

/// What becomes of a request to `to`, `key` and `behind` put together: nothing when it was sent.
async fn sent(host: &NotifierHost, parts: [&str; 3], allow: &[HostGrant]) -> Result<(), NotifierError> {
    let given: ResolvedSettings = ["to", "key", "behind"]
        .into_iter()
        .zip(parts)
        .filter(|(_, part)| !part.is_empty())
        .map(|(key, part)| (key.to_owned(), text(part)))
        .collect();
    host.notify(delivery(NAME, &given, allow, &event(EventType::Test))).await.map(drop)
}

fn sender() -> NotifierHost {
    host(Limits::default(), [(NAME.to_owned(), build(SENDER, "sender"))])
}

#[tokio::test]
async fn no_writing_of_an_address_leads_past_the_grants() {
    const NOBODY: &str = "nobody granted it";
    const USER: &str = "an address may not hold a user; use a header";
    const SPOKEN: &str = "only http and https are spoken";
    let host = sender();
    let sink = Sink::start([]).await;
    let (allow, forbidden) = (sink.grant(), Forbidden::new());
    let (open, port) = (sink.address, forbidden.port());
    for (to, reason) in [
        (format!("http://127.0.0.1:{port}/"), NOBODY),
        (format!("HTTP://127.0.0.1:{port}/"), NOBODY),
        (format!("http://127.0.0.1.:{port}/"), NOBODY),
        (format!("http://LOCALHOST:{port}/"), NOBODY),
        (format!("http://localhost.:{port}/"), NOBODY),
        (format!("http://ⓛocalhost:{port}/"), NOBODY),
        (format!("http://127。0。0。1:{port}/"), NOBODY),
        (format!("http:\\\\127.0.0.1:{port}/"), NOBODY),
        (format!("http:/127.0.0.1:{port}/"), NOBODY),
        (format!("http:127.0.0.1:{port}/"), NOBODY),
        (format!(" http://127.0.0.1:{port}/"), NOBODY),
        (format!("ht\ttp://127.0.\r\n0.1:{port}/"), NOBODY),
        (format!("http://127.0.0.1:{port}\\@{open}/"), NOBODY),
        (format!("http://127.0.0.1:{port}#@{open}/"), NOBODY),
        (format!("http://127.0.0.1:{port}?@{open}/"), NOBODY),
        (format!("http://127.0.0.1:{port}/..//{open}/"), NOBODY),
        (format!("https://{open}/"), NOBODY),
        ("http://127.0.0.1/".into(), NOBODY),
        ("http://127.0.0.1:0/".into(), NOBODY),
        ("https://api.example.com:8443/".into(), NOBODY),
        ("http://api.example.com/".into(), NOBODY),
        ("https://api.example.com./".into(), NOBODY),
        ("https://api.example.com.evil.example/".into(), NOBODY),
        ("https://a.api.example.com/".into(), NOBODY),
        // A Cyrillic `а`, a Greek `ο`, a dotless `ı`: other names, which only look alike.
        ("https://аpi.example.com/".into(), NOBODY),
        ("https://api.example.cοm/".into(), NOBODY),
        ("https://apı.example.com/".into(), NOBODY),
        ("https://xn--pi-7kc.example.com/".into(), NOBODY),
        (format!("http://{open}@127.0.0.1:{port}/"), USER),
        (format!("http://:x@{open}/"), USER),
        (format!("http://{open}:x@127.0.0.1:{port}/"), USER),
        (format!("http://me%40@{open}/"), USER),
        (format!("ftp://{open}/"), SPOKEN),
        (format!("ws://{open}/"), SPOKEN),
        (format!("gopher://{open}/_GET"), SPOKEN),
        ("file:///etc/passwd".into(), SPOKEN),
        ("unix:///run/docker.sock".into(), SPOKEN),
        ("data:text/plain,hello".into(), SPOKEN),
        ("javascript:alert(1)".into(), SPOKEN),
        (format!("blob:http://{open}/"), SPOKEN),
    ] {
        match sent(&host, [&to, "", ""], &allow).await {
            Err(NotifierError::EgressDenied { reason: found, .. }) => assert_eq!(found, reason, "{to}"),
            other => panic!("{to}: {other:?}"),
        }
    }
    for to in [
        format!("http://[::1%25lo]:{port}/"),
        format!("http://[::1%lo]:{port}/"),
        format!("http://127.0.0.1:{port}0000/"),
        format!("http://127.0.0.1 :{port}/"),
        format!("http://127.0.0.1%00:{port}/"),
        format!("http://256.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("127.0.0.1:{port}/"),
        "http://".into(),
        "http:///".into(),
        " ".into(),
    ] {
        let refused = sent(&host, [&to, "", ""], &allow).await.expect_err(&to);
        assert!(matches!(refused, NotifierError::Permanent { .. }), "{to}: {refused:?}");
    }
    assert!(sink.arrived().is_empty(), "{:?}", sink.arrived());
    forbidden.nobody_came();
}

/// What looks like another place or another header behind the granted origin stays a path at the granted origin.
#[tokio::test]
async fn a_path_is_no_way_to_another_place_or_request() {
    let host = sender();
    let sink = Sink::start([]).await;
    let (allow, forbidden) = (sink.grant(), Forbidden::new());
    let (open, other) = (sink.address, forbidden.port());
    for (to, path) in [
        (format!("http://{open}\\@127.0.0.1:{other}/"), format!("/@127.0.0.1:{other}/")),
        (format!("http://{open}/http://127.0.0.1:{other}/"), format!("/http://127.0.0.1:{other}/")),
        (format!("http://{open}//127.0.0.1:{other}/"), format!("//127.0.0.1:{other}/")),
        (format!("http://{open}/a/../..//b#@127.0.0.1:{other}/"), "//b".into()),
        (
            format!("http://{open}/x HTTP/1.1\r\nHost: 127.0.0.1:{other}\r\n\r\nGET /y"),
            format!("/x%20HTTP/1.1Host:%20127.0.0.1:{other}GET%20/y"),
        ),
        (format!("http://{open}/?q=\u{0}\u{7f} é"), "/?q=%00%7F%20%C3%A9".into()),
    ] {
        sent(&host, [&to, "", ""], &allow).await.unwrap_or_else(|error| panic!("{to}: {error}"));
        let arrived = sink.arrived().pop().expect("a request");
        assert_eq!(arrived.path, path, "{to}");
        assert_eq!(arrived.headers["host"], open.to_string(), "{to}");
    }
    assert_eq!(sink.arrived().len(), 6);
    forbidden.nobody_came();
}

/// A name server would be told a secret that is a part of a name, and a grant for all names below one would cover it.
#[tokio::test]
async fn a_secret_is_no_part_of_where_a_request_goes() {
    const SECRET: &str = "CanaryOfHosts";
    let (log, _guard) = Log::capture();
    let host = sender();
    let allow = ["https://*.evil.example", "http://127.0.0.1:9"].map(|grant| grant.parse().expect("a grant"));
    for (parts, reason) in [
        (["https://", SECRET, ".evil.example/"], "a secret can't be a part of an address before its path"),
        (["https://a.", SECRET, ".evil.example/"], "a secret can't be a part of an address before its path"),
        (["https://", SECRET, "@a.evil.example/"], "a secret can't be a part of an address before its path"),
        (
            ["https://me:", SECRET, "@a.evil.example/"],
            "a secret can't be a part of an address before its path",
        ),
        (["http://127.0.0.1:", SECRET, "/"], "the address: invalid port number"),
        (["", SECRET, ".evil.example/"], "it begins with a secret that is no address"),
        (
            ["", "https://canaryofhosts", ".evil.example/"],
            "the secret address that it begins with leads elsewhere by what stands behind it",
        ),
    ] {
        let refused = sent(&host, parts, &allow).await.expect_err(reason);
        assert_eq!(refused.to_string(), format!("`hostile` can't deliver: {reason}"), "{parts:?}");
        assert!(!format!("{refused:?}").to_lowercase().contains("canary"), "{refused:?}");
    }
    assert!(!log.text().to_lowercase().contains("canary"), "{}", log.text());
}

/// A proxy of the environment would see every address, and could lead a request anywhere.
#[tokio::test]
async fn proxies_of_the_environment_are_not_asked() {
    let forbidden = Forbidden::new();
    let proxy = format!("http://127.0.0.1:{}", forbidden.port());
    let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .map(|name| (name, proxy.as_str()));
    if !alone("egress::proxies_of_the_environment_are_not_asked", &variables) {
        forbidden.nobody_came();
        return;
    }
    let host = host(Limits::default(), []);
    let sink = Sink::start([]).await;
    let webhook = settings([("url", text(sink.url("/direct")))]);
    let (allow, down) = (sink.grant(), event(EventType::Down));
    host.notify(delivery("webhook", &webhook, &allow, &down)).await.expect("delivered");
    assert_eq!(sink.arrived()[0].path, "/direct");
    // By HTTPS too: nobody speaks TLS there, and that is what is complained of.
    let secure = sink.url("/").replace("http:", "https:");
    let webhook = settings([("url", text(secure.as_str()))]);
    let allow = [secure.trim_end_matches('/').parse().expect("a grant")];
    let error = host.notify(delivery("webhook", &webhook, &allow, &down)).await.expect_err("no TLS");
    assert!(error.to_string().contains("no TLS with `127.0.0.1`"), "{error}");
}
