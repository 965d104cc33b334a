//! What the guard stops, on real sockets: a listener that nobody may reach notices nothing.

use crate::support::{Answer, Sink, delivery, event, host, settings, text};
use std::net::{SocketAddr, TcpListener, TcpStream};
use uptime_core::ErrorClass;
use uptime_core::event::EventType;
use uptime_notifier::{Limits, NotifierError, NotifierHost};

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
        Err(error @ NotifierError::EgressDenied { .. }) => {
            assert_eq!(error.class(), ErrorClass::Config);
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

#[tokio::test]
async fn loopback_in_every_disguise_takes_an_explicit_allowance() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let port = forbidden.port();
    for written in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[::1]",
        "localhost",
        "LOCALHOST",
        "①②⑦.⓪.⓪.①",
    ] {
        let reason = denied(&host, &format!("https://{written}:{port}/"), &[]).await;
        assert!(
            reason.ends_with("is a loopback address and has to be allowed explicitly"),
            "{written}: {reason}"
        );
    }
    forbidden.nobody_came();
}

#[tokio::test]
async fn metadata_and_link_local_are_never_open() {
    let host = host(Limits::default(), []);
    for origin in [
        "http://169.254.169.254",
        "http://[::ffff:169.254.169.254]",
        "http://[fe80::1]",
        "http://[fd00:ec2::254]",
        "http://0.0.0.0:9",
    ] {
        let reason = denied(&host, &format!("{origin}/latest/meta-data/"), &[origin]).await;
        assert!(reason.ends_with("which is never open to a plugin"), "{origin}: {reason}");
    }
}

#[tokio::test]
async fn a_user_in_the_address_is_refused() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let origin = format!("127.0.0.1:{}", forbidden.port());
    let allow = format!("http://{origin}");
    assert_eq!(
        denied(&host, &format!("http://me:pw@{origin}/"), &[&allow]).await,
        "an address may not hold a user; use a header"
    );
    forbidden.nobody_came();
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let host = host(Limits::default(), []);
    let forbidden = Forbidden::new();
    let elsewhere = format!("http://127.0.0.1:{}/", forbidden.port());
    for code in [301, 302, 303, 307, 308] {
        let sink =
            Sink::start([Answer::Status(code, vec![("location", elsewhere.clone())], String::new())]).await;
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
