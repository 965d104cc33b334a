//! `[channels.NAME]`: who is told, and the settings that the channel's notifier takes.
//!
//! Which settings there are is the notifier's word: its [`Description`] is read like any other part of the schema.

use super::Notifiers;
use super::calendar::HOURS;
use super::key::quoted;
use super::kinds::{Boolean, Choice, Integer, List, Span, Text, ValueKind};
use super::limits::{self, Whose};
use super::monitors::{Proxy, groups, tags};
use super::references::{Headers, Map, Reference};
use super::table::{Table, keys};
use super::values::{Address, GRANT, NotifierName};
use crate::channel::{Channel, ChannelFilter, Setting, Settings};
use crate::event::{EventType, Severity};
use crate::notifier::{Description, Field, FieldKind};
use crate::route::DigestPolicy;
use crate::secret::SecretRef;
use crate::text::{capital, printable};
use std::ops::Range;
use std::time::Duration;

/// The largest number that every reader of JSON keeps exactly.
const EXACT: i64 = (1 << 53) - 1;

/// A channel, and where the groups are that it names.
pub(super) struct ReadChannel {
    pub(super) channel: Channel,
    pub(super) groups: Vec<(String, Range<usize>)>,
}

pub(super) fn read(root: &mut Table<'_, '_>, notifiers: Notifiers<'_>) -> Vec<ReadChannel> {
    root.tables("channels", |name, table| channel(name, table, notifiers))
}

fn channel(name: &str, table: &mut Table<'_, '_>, notifiers: Notifiers<'_>) -> Option<ReadChannel> {
    let described = notifiers.described.iter().map(|notifier| notifier.name.as_str());
    let names = described.chain(notifiers.silent.iter().map(String::as_str)).collect();
    keys! { table:
        /// Plugin that delivers the messages.
        let notifier = required(&NotifierName(names));
        /// A disabled channel gets no messages.
        let enabled = or(true, &Boolean);
        /// Event types to send. `up` and `acknowledged` go to the channels that got the incident's opening, so list
        /// at least one of `down`, `degraded`, `critical`, `reminder` and `flapping-end` beside them.
        let events = optional("all events", &words(EventType::ALL));
        /// Severities to send, from the least to the worst. The end of an incident is sent where its beginning was.
        let severities = optional("all", &words(Severity::ALL));
        /// When messages may be sent; outside these hours they wait until the hours begin.
        let hours = optional("always", &HOURS);
        /// Only events of monitors in these groups.
        let groups = optional("all groups", &groups()).unwrap_or_default();
        /// Only events of monitors with all of these tags.
        let tags = optional("all monitors", &tags()).unwrap_or_default();
        /// Origins that its notifier may send requests to beyond its own; plain HTTP and private addresses must be
        /// listed.
        let allow = optional("nowhere else", &List { of: GRANT, count: 0..=20, or_one: false }).unwrap_or_default();
        /// HTTP proxy for its requests. What the notifier may reach stays the same; a name that this host can't
        /// resolve is left to the proxy.
        let proxy = optional("none", &Reference { literal: Proxy { socks: false }, secret: false });
    }
    if let Some(events) = &events {
        refuse_ends_alone(events, table);
    }
    let known = notifiers.described.iter().find(|known| Some(&known.name) == notifier.as_ref());
    let digest_policy = digest_policy(table, known);
    let limits = limits::read(table, Whose::Channel);
    let settings = settings(table, notifier.as_deref(), notifiers);
    let names: Vec<String> = groups.iter().map(|(group, _)| group.clone()).collect();
    let named = Some(names).filter(|names| !names.is_empty());
    let filter = ChannelFilter { events, severities, hours, groups: named, tags };
    let name = name.to_owned();
    let channel =
        Channel { name, notifier: notifier?, enabled, settings, filter, digest_policy, allow, limits, proxy };
    Some(ReadChannel { channel, groups })
}

fn words<T: Clone + ToString>(all: &[T]) -> List<Choice<T>> {
    List { of: Choice::of(all), count: 1..=all.len(), or_one: false }
}

/// What follows an incident's beginning is told to those alone who heard of that.
fn refuse_ends_alone(events: &[EventType], table: &mut Table<'_, '_>) {
    let follows = |event: &&EventType| matches!(event, EventType::Up | EventType::Acknowledged);
    let Some(word) = events.iter().find(follows) else { return };
    if !events.iter().any(|event| EventType::HEARD_BY.contains(event)) {
        let message =
            format!("`{word}` in `events` is never told: it goes to those who heard of the incident");
        let hint = format!("write `events = [\"down\", \"{word}\"]`, or leave `{word}` out");
        table.error_at("events", message, &hint);
    }
}

/// The bound of a channel. A notifier that takes no digests has none.
fn digest_policy(table: &mut Table<'_, '_>, notifier: Option<&Description>) -> DigestPolicy {
    let defaults = DigestPolicy::default();
    let alone = notifier.filter(|notifier| !notifier.digests);
    let most = if alone.is_some() { 0 } else { defaults.digest_after };
    let within = Span(Duration::from_secs(1)..=Duration::from_hours(24));
    keys! { table:
        /// Incident messages within `digest_within` that are sent one by one; more are combined into a digest; 0:
        /// never combined.
        let digest_after = or(most, &Integer(0..=1_000));
        /// Period that `digest_after` counts in, and minimum time between two digests.
        let digest_within = or(defaults.digest_within, &within);
    }
    if let Some(notifier) = alone.filter(|_| digest_after > 0) {
        let message = format!("`{}` takes each message by itself", notifier.name);
        table.error_at("digest_after", message, "leave it out, or write `digest_after = 0`");
    }
    DigestPolicy { digest_after, digest_within }
}

fn settings(table: &mut Table<'_, '_>, notifier: Option<&str>, notifiers: Notifiers<'_>) -> Settings {
    let mut settings = Settings::new();
    let known = notifiers.described.iter().find(|description| Some(description.name.as_str()) == notifier);
    for field in known.into_iter().flat_map(|description| &description.fields) {
        if let Some(setting) = setting(table, field) {
            settings.insert(field.key.clone(), setting);
        }
    }
    if known.is_none() && !table.is_reference() {
        // The notifier is missing, misspelt or silent, which is reported; its keys can't be judged.
        table.take_any_key();
    } else if table.is_reference() || table.has_unknown() {
        let others = |description: &&Description| Some(description.name.as_str()) != notifier;
        for description in notifiers.described.iter().filter(others) {
            table.keys_of_other_types(&format!("notifier = {}", quoted(&description.name)), |table| {
                for field in &description.fields {
                    setting(table, field);
                }
            });
        }
    }
    settings
}

/// Reads one of the notifier's own keys.
fn setting(table: &mut Table<'_, '_>, field: &Field) -> Option<Setting> {
    let text = |secret| Reference { literal: Text { most: 4_000, example: "…" }, secret };
    let one_or_list = |mut texts: Vec<SecretRef>| {
        if texts.len() == 1 { Setting::Text(texts.remove(0)) } else { Setting::List(texts) }
    };
    match field.kind {
        FieldKind::Text => own(table, field, &text(false)).map(Setting::Text),
        FieldKind::TextList => {
            own(table, field, &List { of: text(false), count: 1..=20, or_one: true }).map(one_or_list)
        }
        FieldKind::Url => {
            let literal = Address { better: "url = { env = \"NAME\" }" };
            own(table, field, &Reference { literal, secret: false }).map(Setting::Text)
        }
        FieldKind::Secret => {
            own(table, field, &List { of: text(true), count: 1..=5, or_one: true }).map(one_or_list)
        }
        FieldKind::Integer => own(table, field, &Integer(-EXACT..=EXACT)).map(Setting::Integer),
        FieldKind::Boolean => own(table, field, &Boolean).map(Setting::Boolean),
        FieldKind::Choice => {
            own(table, field, &Choice::of(&field.choices)).map(|word| Setting::Text(SecretRef::Literal(word)))
        }
        // Headers are headers wherever they stand.
        FieldKind::Map if field.key == "headers" => own(table, field, &Headers).map(Setting::Map),
        FieldKind::Map => {
            own(table, field, &Map { of: text(false), example: "{ key = \"text\" }" }).map(Setting::Map)
        }
    }
}

fn own<K: ValueKind>(table: &mut Table<'_, '_>, field: &Field, takes: &K) -> Option<K::Value> {
    let doc = if table.is_reference() { as_sentence(&field.help) } else { String::new() };
    if field.required {
        table.required(&field.key, &doc, takes)
    } else {
        let default = field.default.as_deref().map(|text| printable(text, 100));
        let default = default.unwrap_or_else(|| "left to the notifier".to_owned());
        table.optional(&field.key, &doc, &default, takes)
    }
}

/// `text` with a capital letter and a full stop, as the rest of the reference.
fn as_sentence(text: &str) -> String {
    printable(&format!("{}.", capital(text.trim().trim_end_matches('.'))), 300)
}
