use super::*;
use uptime_plugin_sdk::SettingValue;
use uptime_plugin_sdk::testing::{self, FakeHost, answer, delivery, event};

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
fn method_and_headers_are_the_channels() {
    let headers =
        SettingValue::Map(vec![("Content-Type".into(), "text/plain".into()), ("x-key".into(), "ref".into())]);
    let request = sent(&settings(vec![("method", "PUT".into()), ("headers", headers)]), &event("down"));
    assert_eq!(request.method, Method::Put);
    assert_eq!((header(&request, "x-key"), header(&request, "content-type")), (Some("ref"), None));
    let get = sent(&settings(vec![("method", "GET".into())]), &event("down"));
    assert_eq!((get.body.is_none(), header(&get, "content-type")), (true, None));
}

#[test]
fn a_template_is_filled_and_escaped() {
    let mut down = event("down");
    down.json =
        down.json.replace(r#""name":"shop""#, r#""name":"a \"b\" {type}""#).replace(r#""web""#, "null");
    let template = r#"{"text": "{monitor.name} is {type} since {incident.started_at}{monitor.group}", "t": "{monitor.tags}", "n": {incident.failures}, "e": {}, "o": {"x": "{A} {"}}"#;
    let request = sent(&settings(vec![("body", template.into())]), &down);
    assert_eq!(
        String::from_utf8(request.body.expect("a body")).expect("text"),
        r#"{"text": "a \"b\" {type} is down since 2026-04-14T02:14:05Z", "t": "team=a", "n": 3, "e": {}, "o": {"x": "{A} {"}}"#
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
