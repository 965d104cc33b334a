use super::*;
use uptime_plugin_sdk::testing;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    testing::settings(pairs.iter().map(|(key, value)| (*key, (*value).into())))
}

const WEBHOOK: &[(&str, &str)] = &[("webhook_url", "ref")];
const BOT: &[(&str, &str)] = &[("bot_token", "ref"), ("channel", "C123")];

#[test]
fn one_way_has_to_be_there_and_whole() {
    let keys = |pairs: &[(&str, &str)]| -> Vec<Option<String>> {
        Slack::validate(&settings(pairs)).into_iter().map(|problem| problem.key).collect()
    };
    assert!(keys(WEBHOOK).is_empty() && keys(BOT).is_empty());
    assert_eq!(keys(&[]), [Some("webhook_url".into())]);
    assert_eq!(keys(&[("bot_token", "ref")]), [Some("channel".into())]);
    assert_eq!(keys(&[("webhook_url", "ref"), ("bot_token", "ref")]), [Some("bot_token".into())]);
    assert_eq!(keys(&[("webhook_url", "ref"), ("channel", "C1")]), [Some("channel".into())]);
}
