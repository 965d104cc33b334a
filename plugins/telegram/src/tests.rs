use super::*;
use uptime_plugin_sdk::testing;

#[test]
fn chats_are_validated() {
    for (chat_id, fine) in [
        ("-1001234567890", true),
        ("42", true),
        ("@ops_channel", true),
        ("@x", false),
        ("ops", false),
        ("0", false),
        ("", false),
        ("9007199254740993", false),
    ] {
        assert_eq!(render::is_chat_id(chat_id), fine, "{chat_id}");
    }
    let problems = Telegram::validate(&testing::settings([("chat_id", "ops".into())]));
    assert_eq!(problems[0].message, "`ops` is neither a chat's number nor an `@name`");
}
