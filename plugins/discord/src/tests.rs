use super::*;
use uptime_plugin_sdk::testing;

fn settings(more: &[(&str, &str)]) -> Settings {
    let all = more.iter().chain(&[("webhook_url", "ref")]);
    testing::settings(all.map(|(key, value)| (*key, (*value).into())))
}

#[test]
fn what_discord_would_refuse_is_validated() {
    let messages = |more: &[(&str, &str)]| -> Vec<String> {
        Discord::validate(&settings(more)).into_iter().map(|problem| problem.message).collect()
    };
    assert_eq!(messages(&[("thread_id", "general")]), ["`general` is no thread's number"]);
    assert_eq!(messages(&[("username", "My Discord")]), ["may not contain `discord`"]);
    assert_eq!(messages(&[("username", &"x".repeat(81))]), ["has 1 to 80 characters"]);
    assert!(messages(&[("thread_id", "1234567890123456789"), ("username", "watch")]).is_empty());
}
