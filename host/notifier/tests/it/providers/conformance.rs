//! The table of answers that every notifier must get right (`plugins/conformance.json`), for those of the program.

use super::{HOST, announced};
use crate::support::{self, settings, text};
use jiff::SignedDuration;
use uptime_core::event::EventType;
use uptime_notifier::{Delivery, ResolvedSettings, conformance};

async fn conform(notifier: &str, settings: ResolvedSettings, url: &str) {
    let event = announced(EventType::Down);
    // The instant that the table's dates are told from.
    let now = event.at + SignedDuration::from_secs(1);
    let delivery = Delivery { now, ..support::delivery(notifier, &settings, &[], &event) };
    let mut differing = Vec::new();
    for row in conformance::rows().expect("the table") {
        let samples = HOST.run_scripted(delivery, &[row.reply().expect("an answer")]).await;
        assert_eq!(samples.sent[0].url, url);
        let difference = row.difference(&row.expect, &samples.result);
        differing.extend(difference.map(|difference| format!("{}: {difference}", row.name)));
    }
    assert!(differing.is_empty(), "{notifier}:\n{}", differing.join("\n"));
}

#[tokio::test]
async fn each_notifier_of_the_program_conforms() {
    let bot = [("bot_token", text("xoxb-1")), ("channel", text("C1"))];
    let account = [("homeserver", "https://m.example"), ("access_token", "x"), ("room", "!a:m.example")];
    let (discord, slack) = ("https://discord.com/api/webhooks/1/x", "https://hooks.slack.com/services/T/B/x");
    let room = "https://m.example/_matrix/client/v3/rooms/%21a%3Am.example/send/m.room.message/";
    let room = format!("{room}{}", announced(EventType::Down).delivery_id);
    let (token, us) = (("bot_token", text("1:x")), "https://events.pagerduty.com/v2/enqueue");
    let eu = [("routing_key", text("x")), ("region", text("eu"))];
    for (notifier, settings, url) in [
        ("discord", settings([("webhook_url", text(discord))]), &*format!("{discord}?wait=true")),
        ("matrix", settings(account.map(|(key, value)| (key, text(value)))), &room),
        ("ntfy", settings([("topic", text("t"))]), "https://ntfy.sh/"),
        ("pagerduty", settings([("routing_key", text("x"))]), us),
        ("pagerduty", settings(eu), "https://events.eu.pagerduty.com/v2/enqueue"),
        ("slack", settings([("webhook_url", text(slack))]), slack),
        ("slack", settings(bot), "https://slack.com/api/chat.postMessage"),
        (
            "telegram",
            settings([token, ("chat_id", text("-42"))]),
            "https://api.telegram.org/bot1:x/sendMessage",
        ),
        ("webhook", settings([("url", text("https://hooks.example.com/x"))]), "https://hooks.example.com/x"),
    ] {
        conform(notifier, settings, url).await;
    }
}
