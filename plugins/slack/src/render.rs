//! The message as Slack wants it: `text` for the phone's notification, the headline as a block, and the rest beside a
//! coloured bar.
//!
//! Slack's limits: 50 blocks, a section's text 3000, ten fields of 2000 in one section. The message's parts are so
//! short that they fit even with every character escaped (five for one).

use crate::answer::Answer;
use uptime_plugin_sdk::serde::Serialize;
use uptime_plugin_sdk::text::{escape_slack, utc};
use uptime_plugin_sdk::{Fact, Link, Message, Value};

pub(crate) struct Draft<'a> {
    pub(crate) message: &'a Message,
    /// With a bot: where to.
    pub(crate) channel: Option<&'a str>,
    /// With a bot: the message that this one answers.
    pub(crate) answers: Option<&'a str>,
    /// Whether it goes without blocks.
    pub(crate) plain: bool,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
pub(crate) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    text: String,
    /// Of `text`, no name, channel or address is made a link.
    parse: &'static str,
    link_names: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Section>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    unfurl_links: bool,
    unfurl_media: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    /// Shown in the channel too.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_broadcast: Option<bool>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde")]
struct Attachment {
    color: String,
    fallback: String,
    blocks: Vec<Section>,
}

/// The one kind of block that is used.
#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde", tag = "type", rename = "section")]
struct Section {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Text>,
}

#[derive(Serialize)]
#[serde(crate = "uptime_plugin_sdk::serde", tag = "type", rename_all = "snake_case")]
enum Text {
    /// `verbatim`: no name, channel or address in it is made a link that is not one yet.
    Mrkdwn {
        text: String,
        verbatim: bool,
    },
    PlainText {
        text: String,
        emoji: bool,
    },
}

impl<'a> Draft<'a> {
    pub(crate) fn body(&self) -> Body<'a> {
        let message = self.message;
        let headline = format!("{} {}", message.symbol, escape_slack(&message.headline));
        let bold = mrkdwn(format!("*{}*", unmarked(&headline)));
        let mut rest = Vec::new();
        rest.extend(message.cause.as_ref().map(|cause| Section {
            text: Some(Text::PlainText { text: cause.clone(), emoji: false }),
            fields: Vec::new(),
        }));
        let page = |link: &Link| labelled(&link.label, &format!("<{}>", escape_slack(&link.address)));
        let fields: Vec<_> = message.facts.iter().map(field).chain(message.links.iter().map(page)).collect();
        if !fields.is_empty() {
            rest.push(Section { text: None, fields: fields.into_iter().take(10).collect() });
        }
        let mut body = Body {
            channel: self.channel,
            text: escape_slack(&message.glance()),
            parse: "none",
            link_names: false,
            blocks: vec![Section { text: Some(bold), fields: Vec::new() }],
            attachments: Vec::new(),
            unfurl_links: false,
            unfurl_media: false,
            thread_ts: self.answers,
            reply_broadcast: self.answers.map(|_| true),
        };
        if self.plain {
            (body.text, body.blocks) = (escape_slack(&message.plain()), Vec::new());
        } else if !rest.is_empty() {
            body.attachments.push(Attachment {
                color: format!("#{:06x}", message.colour),
                fallback: escape_slack(message.cause.as_ref().unwrap_or(&message.headline)),
                blocks: rest,
            });
        }
        body
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

fn field(fact: &Fact) -> Text {
    let value = match &fact.value {
        Value::Text(text) => unmarked(&escape_slack(text)),
        Value::Address(address) => format!("<{}>", escape_slack(address)),
        // Shown in the reader's own zone.
        Value::Instant(ms) => {
            format!("<!date^{}^{{date_short_pretty}} {{time_secs}}|{}>", ms / 1_000, utc(*ms))
        }
    };
    labelled(&fact.label, &value)
}

fn labelled(label: &str, value: &str) -> Text {
    mrkdwn(format!("*{label}*\n{value}"))
}

/// Characters that would begin or end markup, replaced by their likes: Slack knows no escape for them.
fn unmarked(escaped: &str) -> String {
    escaped.replace('*', "∗").replace('_', "\u{2060}_\u{2060}").replace('~', "∼").replace('`', "ˋ")
}

fn mrkdwn(text: String) -> Text {
    Text::Mrkdwn { text, verbatim: true }
}
