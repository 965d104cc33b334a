use super::*;
use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};
use uptime_plugin_sdk::{EventType, SettingValue};

fn settings(pairs: Vec<(&str, SettingValue)>) -> Settings {
    testing::settings(pairs.into_iter().chain([("url", "https://hooks.example/x".into())]))
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn sent(settings: &Settings, event: &Event) -> Request {
    let mut host = FakeHost::answering([answer(204, "")]);
    Webhook::notify(settings, event, &delivery(event), &mut host).expect("accepted");
    host.sent.remove(0)
}

#[test]
fn the_vector_of_the_specification() {
    let mut host = FakeHost::default();
    let vector = Delivery {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
        channel: "ops".into(),
        attempt: 1,
        now_ms: 1_614_265_330_999,
        opening_remote_id: None,
    };
    let content = render::signed_content(&vector, "{\"test\": 2432232314}");
    let signature =
        host.sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", content.as_bytes()).expect("a signature");
    let headers = render::headers(&vector, &[signature], &[], Some("application/json"));
    assert_eq!(
        headers,
        [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ("content-type", "application/json"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn the_body_is_the_contract() {
    let request = sent(&settings(vec![]), &event(EventType::Up));
    assert_eq!(
        String::from_utf8(request.body.expect("a body")).expect("text"),
        concat!(
            r#"{"type":"up","delivery_id":"018f2b3c-0000-7000-8000-000000000001","at":"2026-04-14T02:18:17Z","#,
            r#""monitor":{"name":"shop","type":"http","target":"https://shop.example.com/health","group":"web","tags":{"team":"a"}},"#,
            r#""incident":{"id":7,"started_at":"2026-04-14T02:14:05Z","ended_at":"2026-04-14T02:18:17Z","duration_s":252,"failures":3},"#,
            r#""outcome":{"class":"status","expected":"2xx","got":"503","message":"the status is 503"},"severity":"info"}"#
        )
    );
}

#[test]
fn two_secrets_make_two_signatures_and_none_makes_none() {
    let two = SettingValue::List(vec!["one".into(), "two".into()]);
    let request = sent(&settings(vec![("secret", two)]), &event(EventType::Down));
    let signatures: Vec<_> = header(&request, "webhook-signature").expect("signatures").split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert!(
        signatures.iter().all(|signature| signature.starts_with("v1,")) && signatures[0] != signatures[1]
    );
    assert_eq!(header(&sent(&settings(vec![]), &event(EventType::Down)), "webhook-signature"), None);
}

#[test]
fn method_and_headers_are_the_channels() {
    let headers =
        SettingValue::Map(vec![("Content-Type".into(), "text/plain".into()), ("x-key".into(), "ref".into())]);
    let request =
        sent(&settings(vec![("method", "PUT".into()), ("headers", headers)]), &event(EventType::Down));
    assert_eq!(request.method, Method::Put);
    assert_eq!((header(&request, "x-key"), header(&request, "content-type")), (Some("ref"), None));
    let get = sent(&settings(vec![("method", "GET".into())]), &event(EventType::Down));
    assert_eq!((get.body.is_none(), header(&get, "content-type")), (true, None));
}

#[test]
fn a_template_is_filled_and_escaped() {
    let mut down = event(EventType::Down);
    down.monitor.name = "a \"b\" {type}".into();
    down.monitor.group = None;
    let template = r#"{"text": "{monitor.name} is {type} since {incident.started_at}{monitor.group}", "n": {}, "o": {"x": "{A} {"}}"#;
    let request = sent(&settings(vec![("body", template.into())]), &down);
    assert_eq!(
        String::from_utf8(request.body.expect("a body")).expect("text"),
        r#"{"text": "a \"b\" {type} is down since 2026-04-14T02:14:05Z", "n": {}, "o": {"x": "{A} {"}}"#
    );
}

#[test]
fn what_only_the_plugin_knows_is_validated() {
    let headers = SettingValue::Map(vec![("Webhook-Id".into(), "x".into()), ("x-fine".into(), "x".into())]);
    let problems =
        Webhook::validate(&settings(vec![("body", "{type} {monitor.nam}".into()), ("headers", headers)]));
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 2);
    assert!(
        messages[0].starts_with("`{monitor.nam}` is no place that can be filled; there are `{headline}`"),
        "{}",
        messages[0]
    );
    assert_eq!(messages[1], "`Webhook-Id` is set by uptime itself");
    assert!(Webhook::validate(&settings(vec![])).is_empty());
}

#[test]
fn every_answer_has_its_class() {
    testing::conformance::<Webhook>(&settings(vec![]), &answer(204, ""));
}

#[test]
fn only_a_2xx_is_success() {
    let down = event(EventType::Down);
    for (status, accepted) in
        [(200, true), (204, true), (302, false), (400, false), (410, false), (500, false)]
    {
        let mut host = FakeHost::answering([answer(status, "no")]);
        let result = Webhook::notify(&settings(vec![]), &down, &delivery(&down), &mut host);
        assert_eq!(result.is_ok(), accepted, "{status}");
        assert_eq!(host.sent.len(), 1);
    }
    let mut gone = FakeHost::answering([answer(410, "bye\nbye")]);
    let result = Webhook::notify(&settings(vec![]), &down, &delivery(&down), &mut gone);
    assert_eq!(result, Err(NotifyError::Gone("status 410: bye bye".into())));
}
