//! `[channels.NAME]`: who is told, and the settings that the channel's notifier takes.
//!
//! Which settings there are is the notifier's word: its [`Description`] is read like any other part of the schema.

use super::Notifiers;
use super::calendar::HOURS;
use super::key::quoted;
use super::kinds::{At, Boolean, Choice, Integer, List, Span, Text, ValueKind};
use super::limits::{self, Whose};
use super::monitors::Proxy;
use super::references::{Headers, Map, Reference};
use super::table::Table;
use super::values::{Address, GRANT, NotifierName};
use crate::channel::{Channel, ChannelFilter, Setting, Settings};
use crate::event::{EventType, Severity};
use crate::notifier::{Description, Field, FieldKind};
use crate::route::DigestPolicy;
use crate::secret::SecretRef;
use crate::text::printable;
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
    let notifier = table.required("notifier", "Plugin that delivers the messages.", &NotifierName(names));
    let enabled = table.or("enabled", "A disabled channel gets no messages.", true, &Boolean);
    let events = table.optional(
        "events",
        "What it wants to hear. `up` and `acknowledged` are told to whoever heard of the incident, so beside them goes one of \
         `down`, `degraded`, `critical`, `reminder` and `flapping-end`.",
        "all events",
        &List { of: Choice::of(EventType::ALL), count: 1..=EventType::ALL.len(), or_one: false },
    );
    if let Some(events) = &events {
        refuse_ends_alone(events, table);
    }
    let severities = table.optional(
        "severities",
        "Severities to send: good to know, worse than it should be, down, down for long. The end of an incident is \
         sent where its beginning was.",
        "all",
        &List { of: Choice::of(Severity::ALL), count: 1..=4, or_one: false },
    );
    let hours = table.optional(
        "hours",
        "When messages may be sent; outside these hours they wait until the hours begin.",
        "always",
        &HOURS,
    );
    let groups = table.optional(
        "groups",
        "Only events of monitors in these groups.",
        "all groups",
        &List { of: At(super::monitors::group()), count: 1..=100, or_one: false },
    );
    let tags = table.optional(
        "tags",
        "Only events of monitors with all of these tags.",
        "all monitors",
        &super::monitors::tags(),
    );
    let allow = table.optional(
        "allow",
        "Origins that its notifier may send requests to beyond its own; plain HTTP and private addresses must be \
         listed.",
        "nowhere else",
        &List { of: GRANT, count: 0..=20, or_one: false },
    );
    let proxy = table.optional(
        "proxy",
        "HTTP proxy for its requests. What the notifier may reach stays the same; a name that this host can't resolve \
         is left to the proxy.",
        "none",
        &Reference { literal: Proxy { socks: false }, secret: false },
    );
    let known = notifiers.described.iter().find(|known| Some(&known.name) == notifier.as_ref());
    let digest_policy = digest_policy(table, known);
    let limits = limits::read(table, Whose::Channel);
    let settings = settings(table, notifier.as_deref(), notifiers);
    let groups = groups.unwrap_or_default();
    let names: Vec<String> = groups.iter().map(|(group, _)| group.clone()).collect();
    let filter = ChannelFilter {
        events,
        severities,
        hours,
        groups: Some(names).filter(|names| !names.is_empty()),
        tags: tags.unwrap_or_default(),
    };
    let (name, allow) = (name.to_owned(), allow.unwrap_or_default());
    let channel =
        Channel { name, notifier: notifier?, enabled, settings, filter, digest_policy, allow, limits, proxy };
    Some(ReadChannel { channel, groups })
}

/// What follows an incident's beginning is told to those alone who heard of that.
fn refuse_ends_alone(events: &[EventType], table: &mut Table<'_, '_>) {
    let follows = |event: &&EventType| matches!(event, EventType::Up | EventType::Acknowledged);
    let Some(word) = events.iter().find(follows) else { return };
    if !events.iter().any(|event| EventType::HEARD_BY.contains(event)) {
        let message =
            format!("`{word}` in `events` is never told: it goes to those who heard of the incident");
        table.error_at(
            "events",
            message,
            &format!("write `events = [\"down\", \"{word}\"]`, or leave `{word}` out"),
        );
    }
}

/// The bound of a channel. A notifier that takes no digests has none.
fn digest_policy(table: &mut Table<'_, '_>, notifier: Option<&Description>) -> DigestPolicy {
    let defaults = DigestPolicy::default();
    let alone = notifier.filter(|notifier| !notifier.digests);
    let digest_after = table.or(
        "digest_after",
        "Incident messages within `digest_within` that are sent one by one; more are combined into a digest; 0: never \
         combined.",
        if alone.is_some() { 0 } else { defaults.digest_after },
        &Integer(0..=1_000),
    );
    if let Some(notifier) = alone.filter(|_| digest_after > 0) {
        let message = format!("`{}` takes each message by itself", notifier.name);
        table.error_at("digest_after", message, "leave it out, or write `digest_after = 0`");
    }
    DigestPolicy {
        digest_after,
        digest_within: table.or(
            "digest_within",
            "Period that `digest_after` counts in, and minimum time between two digests.",
            defaults.digest_within,
            &Span(Duration::from_secs(1)..=Duration::from_hours(24)),
        ),
    }
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
    let text = || Text { most: 4_000, example: "…" };
    match field.kind {
        FieldKind::Text => {
            own(table, field, &Reference { literal: text(), secret: false }).map(Setting::Text)
        }
        FieldKind::TextList => {
            let text = Reference { literal: text(), secret: false };
            let mut texts = own(table, field, &List { of: text, count: 1..=20, or_one: true })?;
            Some(if texts.len() == 1 { Setting::Text(texts.remove(0)) } else { Setting::List(texts) })
        }
        FieldKind::Url => own(
            table,
            field,
            &Reference { literal: Address { better: "url = { env = \"NAME\" }" }, secret: false },
        )
        .map(Setting::Text),
        FieldKind::Secret => {
            let secret = Reference { literal: text(), secret: true };
            let mut secrets = own(table, field, &List { of: secret, count: 1..=5, or_one: true })?;
            Some(if secrets.len() == 1 { Setting::Text(secrets.remove(0)) } else { Setting::List(secrets) })
        }
        FieldKind::Integer => own(table, field, &Integer(-EXACT..=EXACT)).map(Setting::Integer),
        FieldKind::Boolean => own(table, field, &Boolean).map(Setting::Boolean),
        FieldKind::Choice => {
            let words = field.choices.iter().map(|word| (word.clone(), word.clone())).collect();
            own(table, field, &Choice(words)).map(|word| Setting::Text(SecretRef::Literal(word)))
        }
        // Headers are headers wherever they stand.
        FieldKind::Map if field.key == "headers" => own(table, field, &Headers).map(Setting::Map),
        FieldKind::Map => {
            let of = Reference { literal: text(), secret: false };
            own(table, field, &Map { of, example: "{ key = \"text\" }" }).map(Setting::Map)
        }
    }
}

fn own<K: ValueKind>(table: &mut Table<'_, '_>, field: &Field, takes: &K) -> Option<K::Value> {
    let doc = if table.is_reference() { as_sentence(&field.help) } else { String::new() };
    if field.required {
        table.required(&field.key, &doc, takes)
    } else {
        let default = field
            .default
            .as_deref()
            .map_or_else(|| "left to the notifier".to_owned(), |text| printable(text, 100));
        table.optional(&field.key, &doc, &default, takes)
    }
}

/// `text` with a capital letter and a full stop, as the rest of the reference.
fn as_sentence(text: &str) -> String {
    let mut chars = text.trim().trim_end_matches('.').chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    printable(&format!("{first}{}.", chars.as_str()), 300)
}
