//! The message as Slack wants it: `text` for the phone's notification, the headline as a block, and the rest beside a
//! coloured bar.
//!
//! Slack's limits: 50 blocks, a section's text 3000, ten fields of 2000 in one section. The message's parts are so
//! short that they fit even with every character escaped (five for one).

use crate::answer::Answer;
use uptime_plugin_sdk::json::{Json, list, object};
use uptime_plugin_sdk::text::escape_slack;
use uptime_plugin_sdk::{Fact, Message, Value};

pub(crate) struct Draft<'a> {
    pub(crate) message: &'a Message,
    /// With a bot: where to.
    pub(crate) channel: Option<&'a str>,
    /// With a bot: the message that this one answers.
    pub(crate) answers: Option<&'a str>,
    /// Whether it goes without blocks.
    pub(crate) plain: bool,
}

impl Draft<'_> {
    pub(crate) fn body(&self) -> Json {
        let message = self.message;
        let (text, blocks, attachment) = if self.plain {
            (message.plain(), None, None)
        } else {
            let headline = format!("{} {}", message.symbol, escape_slack(&message.headline));
            let bold = section("text", mrkdwn(format!("*{}*", unmarked(&headline))));
            (message.glance(), Some(list(&[bold])), self.attachment())
        };
        object(&[
            ("channel", self.channel.into()),
            ("text", escape_slack(&text).into()),
            // Of `text`, no name, channel or address is made a link.
            ("parse", "none".into()),
            ("link_names", false.into()),
            ("blocks", blocks.into()),
            ("attachments", attachment.map(|attachment| list(&[attachment])).into()),
            ("unfurl_links", false.into()),
            ("unfurl_media", false.into()),
            ("thread_ts", self.answers.into()),
            // Shown in the channel too.
            ("reply_broadcast", self.answers.map(|_| true).into()),
        ])
    }

    /// All but the headline.
    fn attachment(&self) -> Option<Json> {
        let message = self.message;
        let cause = message.cause.as_ref().map(|cause| {
            let text = object(&[
                ("type", "plain_text".into()),
                ("text", cause.as_str().into()),
                ("emoji", false.into()),
            ]);
            section("text", text)
        });
        let pages = message.links.iter();
        let pages = pages.map(|link| labelled(&link.label, &format!("<{}>", escape_slack(&link.address))));
        let fields: Vec<Json> = message.facts.iter().map(field).chain(pages).take(10).collect();
        let fields = (!fields.is_empty()).then(|| section("fields", list(&fields)));
        let blocks: Vec<Json> = cause.into_iter().chain(fields).collect();
        (!blocks.is_empty()).then(|| {
            object(&[
                ("color", format!("#{:06x}", message.colour).into()),
                ("fallback", escape_slack(message.cause.as_ref().unwrap_or(&message.headline)).into()),
                ("blocks", list(&blocks)),
            ])
        })
    }

    /// Changes what Slack complained of, if that can be done and was not done before; says what.
    pub(crate) fn mend(&mut self, answer: &Answer) -> Option<&'static str> {
        match answer.word.as_str() {
            "thread_not_found"
            | "cannot_reply_to_message"
            | "restricted_action_thread_locked"
            | "invalid_thread_ts" => {
                self.answers.take()?;
                Some("the thread takes no answer: sent to the channel itself")
            }
            "invalid_blocks" | "invalid_blocks_format" | "invalid_attachments" | "too_many_attachments"
                if !self.plain =>
            {
                self.plain = true;
                Some("the blocks were not understood: sent as plain text")
            }
            _ => None,
        }
    }
}

fn field(fact: &Fact) -> Json {
    let value = match &fact.value {
        Value::Text(text) => unmarked(&escape_slack(text)),
        Value::Address(address) => format!("<{}>", escape_slack(address)),
        // Shown in the reader's own zone.
        Value::Instant(at) => {
            format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{}>", at.ms / 1_000, at.text)
        }
    };
    labelled(&fact.label, &value)
}

fn labelled(label: &str, value: &str) -> Json {
    mrkdwn(format!("*{label}*\n{value}"))
}

/// Characters that would begin or end markup, replaced by their likes: Slack knows no escape for them.
fn unmarked(escaped: &str) -> String {
    escaped.replace('*', "∗").replace('_', "\u{2060}_\u{2060}").replace('~', "∼").replace('`', "ˋ")
}

/// The one kind of block that is used.
fn section(key: &str, value: Json) -> Json {
    object(&[("type", "section".into()), (key, value)])
}

/// `verbatim`: no name, channel or address in it is made a link that is not one yet.
fn mrkdwn(text: String) -> Json {
    object(&[("type", "mrkdwn".into()), ("text", text.into()), ("verbatim", true.into())])
}
