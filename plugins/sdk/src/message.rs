//! The words for an event, the same in every channel, without any markup yet.
//!
//! Written for somebody who was woken by it: the headline alone says what is the matter with what; the cause comes
//! next; the facts follow. Everything is cut to lengths at which the whole fits every provider.

use crate::text::{self, duration, is_web_address, utc};
use crate::{Delivery, Event, EventType, Severity};
use std::fmt;

/// An address's length; five times that, all escaped, still fits Slack's fields of 2000.
const ADDRESS_MAX: usize = 380;

/// The length of the address of an incident's page.
const LINK_MAX: usize = 200;

/// Sent later than this after it was decided, a message says so.
const LATE_MS: u64 = 120_000;

/// A message before it has any markup. All texts are single lines from strangers, made [`inert`](text::inert): escape them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// A picture that can be told from the others at arm's length.
    pub symbol: &'static str,
    /// What is the matter with what. At most 250 characters.
    pub headline: String,
    /// Why. At most 600 characters.
    pub cause: Option<String>,
    /// The rest, the important first.
    pub facts: Vec<Fact>,
    /// For a bar beside the text, as `0xRRGGBB`.
    pub colour: u32,
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// One or two words.
    pub label: &'static str,
    /// What there is to say.
    pub value: Value,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// At most 200 characters, or 380 of an address that is none of the web.
    Text(String),
    /// An address of the web, to be clicked on. At most 380 characters.
    Address(String),
    /// Milliseconds since the epoch; some providers show it in the reader's own zone.
    Instant(u64),
    /// A few words, and the web page behind them. At most 200 characters.
    Link(String, String),
}

/// As plain text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Address(text) => f.write_str(text),
            Self::Instant(ms) => f.write_str(&utc(*ms)),
            Self::Link(text, address) => write!(f, "{text} {address}"),
        }
    }
}

impl Message {
    /// What a phone shows in one line: the headline, and why.
    pub fn glance(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{} {}: {cause}", self.symbol, self.headline),
            None => format!("{} {}", self.symbol, self.headline),
        }
    }

    /// The whole as plain text: the headline, the cause below it, then a line for each fact.
    pub fn plain(&self) -> String {
        self.lines(str::to_owned, str::to_owned, ToString::to_string)
    }

    /// The whole as lines of text, with markup of one's own: of the headline, of any other text, and of a fact's value.
    pub fn lines(
        &self,
        headline: impl Fn(&str) -> String,
        text: impl Fn(&str) -> String,
        value: impl Fn(&Value) -> String,
    ) -> String {
        let mut lines = format!("{} {}", self.symbol, headline(&self.headline));
        if let Some(cause) = &self.cause {
            lines.push('\n');
            lines.push_str(&text(cause));
        }
        for (n, fact) in self.facts.iter().enumerate() {
            lines.push_str(if n == 0 { "\n\n" } else { "\n" });
            lines.push_str(fact.label);
            lines.push_str(": ");
            lines.push_str(&value(&fact.value));
        }
        lines
    }
}

/// `text` on one line of at most `max` characters, with nothing in it that a provider would make a link or a mention of.
fn line(text: &str, max: usize) -> String {
    text::inert(&text::line(text, max))
}

/// The words for `event`.
pub fn compose(event: &Event, delivery: &Delivery) -> Message {
    let mut facts = Vec::new();
    let mut fact = |label, value| facts.push(Fact { label, value });
    let about_target = !matches!(
        event.kind,
        EventType::Blind
            | EventType::Seeing
            | EventType::Stalled
            | EventType::Running
            | EventType::QueueBusy
            | EventType::ChannelBroken
            | EventType::Test
    );
    if about_target && !event.monitor.target.is_empty() {
        let target = text::line(&event.monitor.target, ADDRESS_MAX);
        let is_web = is_web_address(&target);
        fact("Target", if is_web { Value::Address(target) } else { Value::Text(text::inert(&target)) });
    }
    if let Some(incident) = &event.incident {
        let since = match (incident.ended_at_ms, how(event)) {
            (Some(_), _) => "From",
            (None, Some(DOWN)) if event.kind != EventType::FlappingStart => "Down since",
            (None, Some(DEGRADED)) if event.kind != EventType::FlappingStart => "Degraded since",
            _ => "Since",
        };
        fact(since, Value::Instant(incident.started_at_ms));
        if let Some(ended_at_ms) = incident.ended_at_ms {
            fact("Until", Value::Instant(ended_at_ms));
        }
        if incident.failures > 0 {
            fact("Failed checks", Value::Text(incident.failures.to_string()));
        }
        if let Some(name) = in_charge(event).filter(|_| event.kind != EventType::Acknowledged) {
            fact("In charge", Value::Text(name));
        }
    }
    if let Some(group) = event.monitor.group.as_ref().filter(|group| !group.is_empty()) {
        fact("Group", Value::Text(line(group, 60)));
    }
    if !event.monitor.tags.is_empty() {
        let tags: Vec<String> =
            event.monitor.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        fact("Tags", Value::Text(line(&tags.join(", "), 200)));
    }
    if let Some(incident) = &event.incident {
        let id = format!("#{}", incident.id);
        match incident.link.as_deref().filter(|link| is_web_address(link) && link.len() <= LINK_MAX) {
            Some(link) => fact("Incident", Value::Link(id, link.to_owned())),
            None => fact("Incident", Value::Text(id)),
        }
    }
    if event.kind == EventType::Test {
        fact("Channel", Value::Text(line(&delivery.channel, 60)));
    }
    let late_ms = delivery.now_ms.saturating_sub(event.at_ms);
    if late_ms > LATE_MS {
        fact("Told late", Value::Text(format!("this happened {} ago", duration(late_ms / 1_000))));
    }
    Message {
        symbol: symbol(event),
        headline: headline(event),
        cause: cause(event),
        facts,
        colour: colour(event),
    }
}

fn headline(event: &Event) -> String {
    let name = line(&event.monitor.name, 150);
    let is_digest = is_digest(event);
    if let Some(counts) = counts(event) {
        return format!("{name}: {counts}");
    }
    let (is, has) = if is_digest { ("are", "have") } else { ("is", "has") };
    let lasted = event.incident.as_ref().map(|incident| {
        let until_ms = incident.ended_at_ms.unwrap_or(event.at_ms);
        duration(incident.duration_s.unwrap_or(until_ms.saturating_sub(incident.started_at_ms) / 1_000))
    });
    let with = |word: &str| lasted.as_ref().map(|lasted| format!(" {word} {lasted}")).unwrap_or_default();
    let how = how(event);
    let word = how.unwrap_or(if event.kind == EventType::Degraded { DEGRADED } else { DOWN });
    match event.kind {
        EventType::Down | EventType::Degraded | EventType::Critical if is_over(event) => {
            format!("{name} was {word}{}", with("for"))
        }
        EventType::Down | EventType::Degraded => format!("{name} {is} {word}"),
        EventType::Up if unseen_end(event).is_some() => {
            format!("{name}: {}{}, NOT seen up", unseen_end(event).unwrap_or_default(), with("after"))
        }
        EventType::Up if how == Some(DEGRADED) => {
            format!("{name} {is} no longer {DEGRADED}{}", with("after"))
        }
        EventType::Up => format!("{name} {is} UP again{}", with("after")),
        EventType::Critical => format!("CRITICAL: {name} {has} been {word}{}", with("for")),
        EventType::Reminder => format!("{name} {is} still {word}{}", with("after")),
        EventType::FlappingStart => format!("{name} {is} FLAPPING between up and down"),
        EventType::FlappingEnd => {
            format!("{name} {is} {}, and no longer flapping", how.unwrap_or("UP"))
        }
        EventType::Certificate if is_digest => format!("{name}: their certificates end soon"),
        EventType::Certificate => format!("{name}: the certificate ends soon"),
        EventType::Acknowledged => {
            let who = in_charge(event).unwrap_or_else(|| "somebody".into());
            let how = how.map(|how| format!(" {is} {how}")).unwrap_or_default();
            format!("{name}{how}: {who} takes care of it")
        }
        EventType::Blind => "The monitor is BLIND: its own network is away".into(),
        EventType::Seeing => format!("The monitor SEES again{}", with("after")),
        EventType::Stalled => "Checks are STALLED: nobody knows whether targets are up".into(),
        EventType::Running => "Checks are RUNNING again".into(),
        EventType::QueueBusy => format!("Queue {name} is over its limit"),
        EventType::ChannelBroken => format!("Channel {name} is BROKEN: its messages don't arrive"),
        EventType::Test => "Test: messages of uptime arrive here".into(),
    }
}

/// How bad it is; for the end of an incident, how bad that was, where the event tells. `None`: not bad.
fn how(event: &Event) -> Option<&'static str> {
    match event.severity {
        Severity::Info => None,
        Severity::Degraded => Some(DEGRADED),
        Severity::Down | Severity::Critical => Some(DOWN),
    }
}

const DEGRADED: &str = "DEGRADED";
const DOWN: &str = "DOWN";

/// Whether what began is over already: an opening that is told too late to be news.
fn is_over(event: &Event) -> bool {
    event.incident.as_ref().is_some_and(|incident| incident.ended_at_ms.is_some())
}

/// How an incident ended that no check has seen end.
fn unseen_end(event: &Event) -> Option<&'static str> {
    match event.outcome.as_ref().filter(|_| event.kind == EventType::Up)?.class.as_str() {
        "resolved" => Some("RESOLVED by hand"),
        "unwatched" => Some("NO LONGER WATCHED"),
        _ => None,
    }
}

/// Whether it is about many monitors at once.
fn is_digest(event: &Event) -> bool {
    event.monitor.kind == "digest"
}

/// Of a digest whose monitors are not all alike: how many are what.
fn counts(event: &Event) -> Option<String> {
    let counts = event.outcome.as_ref()?.got.as_deref().filter(|_| is_digest(event))?;
    Some(line(counts, 90))
}

/// Who takes care of it.
fn in_charge(event: &Event) -> Option<String> {
    let name = line(event.incident.as_ref()?.acknowledged_by.as_deref()?, 60);
    (!name.is_empty()).then_some(name)
}

fn cause(event: &Event) -> Option<String> {
    let outcome = event.outcome.as_ref()?;
    if is_digest(event) {
        // Its counts come first, and stand in the headline.
        let names = outcome.message.split_once(". ").map_or(outcome.message.as_str(), |(_, names)| names);
        return Some(line(names, 600)).filter(|names| !names.is_empty());
    }
    let mut cause = line(&outcome.message, 400);
    if let (Some(expected), Some(got)) = (&outcome.expected, &outcome.got) {
        let (expected, got) = (&line(expected, 80), &line(got, 80));
        let expectation = format!("expected {expected}, got {got}");
        if cause.is_empty() {
            cause = expectation;
        } else if !(cause.contains(expected) && cause.contains(got)) {
            cause = format!("{cause} ({expectation})");
        }
    }
    if cause.is_empty() {
        return None;
    }
    let is_past = event.kind == EventType::Up && unseen_end(event).is_none();
    Some(if is_past { format!("It was: {cause}") } else { cause })
}

fn symbol(event: &Event) -> &'static str {
    let trouble = if event.severity == Severity::Degraded { "🟡" } else { "🔴" };
    match event.kind {
        EventType::Down | EventType::Degraded | EventType::Critical if is_over(event) => "⚪",
        EventType::Down | EventType::Degraded | EventType::Reminder => trouble,
        EventType::FlappingEnd if event.severity != Severity::Info => trouble,
        EventType::Up if unseen_end(event).is_some() => "✋",
        EventType::Up if counts(event).is_some() => "⚪",
        EventType::Up | EventType::FlappingEnd | EventType::Seeing | EventType::Running => "✅",
        EventType::Critical => "🚨",
        EventType::FlappingStart => "🔁",
        EventType::Certificate => "🔒",
        EventType::Acknowledged => "👤",
        EventType::Blind => "🙈",
        EventType::Stalled => "🛑",
        EventType::QueueBusy => "⏳",
        EventType::ChannelBroken => "📵",
        EventType::Test => "🔔",
    }
}

/// The symbol's, where it has one; else as bad as the severity says.
fn colour(event: &Event) -> u32 {
    match (symbol(event), event.severity) {
        ("✅", _) => 0x002e_a043,
        ("⚪" | "✋" | "👤", _) | (_, Severity::Info) => 0x0038_8bfd,
        (_, Severity::Critical) => 0x008e_1519,
        (_, Severity::Down) => 0x00da_3633,
        (_, Severity::Degraded) => 0x00d2_9922,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{delivery, event};

    fn composed(event: &Event) -> Message {
        compose(event, &delivery(event))
    }

    #[test]
    fn the_headline_says_it_all() {
        for (kind, expected) in [
            (EventType::Down, "shop is DOWN"),
            (EventType::Up, "shop is UP again after 4 min 12 s"),
            (EventType::Critical, "CRITICAL: shop has been DOWN for 10 min"),
            (EventType::Reminder, "shop is still DOWN after 1 h"),
            (EventType::Acknowledged, "shop is DOWN: ada takes care of it"),
            (EventType::FlappingEnd, "shop is UP, and no longer flapping"),
            (EventType::ChannelBroken, "Channel shop is BROKEN: its messages don't arrive"),
            (EventType::Test, "Test: messages of uptime arrive here"),
        ] {
            assert_eq!(composed(&event(kind)).headline, expected);
        }
    }

    /// What it looks like: symbol and headline, colour, and the first fact about the incident.
    fn looks(event: &Event) -> (String, u32, &'static str) {
        let message = composed(event);
        (format!("{} {}", message.symbol, message.headline), message.colour, message.facts[1].label)
    }

    const GREEN: u32 = 0x002e_a043;
    const BLUE: u32 = 0x0038_8bfd;
    const RED: u32 = 0x00da_3633;
    const YELLOW: u32 = 0x00d2_9922;

    #[test]
    fn what_is_degraded_is_never_said_to_be_down() {
        let degraded = |kind| looks(&Event { severity: Severity::Degraded, ..event(kind) });
        let since = "Degraded since";
        assert_eq!(degraded(EventType::Degraded), ("🟡 shop is DEGRADED".into(), YELLOW, since));
        assert_eq!(
            degraded(EventType::Reminder),
            ("🟡 shop is still DEGRADED after 1 h".into(), YELLOW, since)
        );
        assert_eq!(
            degraded(EventType::Acknowledged),
            ("👤 shop is DEGRADED: ada takes care of it".into(), BLUE, since)
        );
        assert_eq!(
            degraded(EventType::Up),
            ("✅ shop is no longer DEGRADED after 4 min 12 s".into(), GREEN, "From")
        );
    }

    #[test]
    fn the_end_of_flapping_looks_as_what_it_ended_in() {
        let steady = |severity| looks(&Event { severity, ..event(EventType::FlappingEnd) });
        let down = ("🔴 shop is DOWN, and no longer flapping".to_owned(), RED, "Down since");
        assert_eq!(steady(Severity::Down), down);
        assert_eq!(steady(Severity::Critical).0, down.0);
        assert_eq!(
            steady(Severity::Degraded),
            ("🟡 shop is DEGRADED, and no longer flapping".into(), YELLOW, "Degraded since")
        );
        assert_eq!(steady(Severity::Info), ("✅ shop is UP, and no longer flapping".into(), GREEN, "Since"));
    }

    #[test]
    fn what_no_check_has_seen_end_is_no_recovery() {
        let mut up = event(EventType::Up);
        let outcome = up.outcome.as_mut().expect("an outcome");
        outcome.class = "resolved".into();
        outcome.message = "resolved by ada, and no check has seen it up; it was: the status is 503".into();
        assert_eq!(
            looks(&up),
            ("✋ shop: RESOLVED by hand after 4 min 12 s, NOT seen up".into(), BLUE, "From")
        );
        let cause = composed(&up).cause.expect("a cause");
        assert!(cause.starts_with("resolved by ada, and no check"), "{cause}");

        let mut gone = event(EventType::Up);
        gone.outcome.as_mut().expect("an outcome").class = "unwatched".into();
        let headline = "✋ shop: NO LONGER WATCHED after 4 min 12 s, NOT seen up";
        assert_eq!(looks(&gone), (headline.into(), BLUE, "From"));
    }

    #[test]
    fn an_opening_that_is_told_when_it_is_over_says_so() {
        let over = |kind| {
            let incident = event(EventType::Up).incident;
            looks(&Event { incident, ..event(kind) })
        };
        assert_eq!(over(EventType::Down), ("⚪ shop was DOWN for 4 min 12 s".into(), BLUE, "From"));
        assert_eq!(over(EventType::Critical), ("⚪ shop was DOWN for 4 min 12 s".into(), BLUE, "From"));
        assert_eq!(over(EventType::Degraded).0, "⚪ shop was DEGRADED for 4 min 12 s");
    }

    #[test]
    fn a_digest_agrees_with_its_number_and_tells_what_differs() {
        let digest = |kind, counts: Option<&str>, message: &str| {
            let mut event = Event { incident: None, ..event(kind) };
            (event.monitor.name, event.monitor.kind) = ("5 monitors".into(), "digest".into());
            event.outcome = event.outcome.map(|outcome| crate::Outcome {
                expected: None,
                got: counts.map(str::to_owned),
                message: message.into(),
                ..outcome
            });
            let message = composed(&event);
            (format!("{} {}", message.symbol, message.headline), message.cause.unwrap_or_default())
        };
        let message = "5 down. Down: shop (503. Sorry), mail";
        assert_eq!(
            digest(EventType::Down, None, message),
            ("🔴 5 monitors are DOWN".into(), "Down: shop (503. Sorry), mail".into())
        );
        for (kind, headline) in [
            (EventType::Up, "✅ 5 monitors are UP again"),
            (EventType::Degraded, "🟡 5 monitors are DEGRADED"),
            (EventType::Critical, "🚨 CRITICAL: 5 monitors have been DOWN"),
            (EventType::Reminder, "🔴 5 monitors are still DOWN"),
            (EventType::FlappingStart, "🔁 5 monitors are FLAPPING between up and down"),
            (EventType::FlappingEnd, "✅ 5 monitors are UP, and no longer flapping"),
            (EventType::Certificate, "🔒 5 monitors: their certificates end soon"),
        ] {
            assert_eq!(digest(kind, None, message).0, headline);
        }
        let mixed = digest(EventType::Down, Some("1 down, 4 up again"), "1 down, 4 up again. Down: shop");
        assert_eq!(mixed, ("🔴 5 monitors: 1 down, 4 up again".into(), "Down: shop".into()));
        let over = digest(EventType::Up, Some("2 were down, 3 up again"), message);
        assert_eq!(over.0, "⚪ 5 monitors: 2 were down, 3 up again");
    }

    #[test]
    fn the_cause_tells_what_was_expected_once() {
        let mut down = event(EventType::Down);
        assert_eq!(composed(&down).cause.as_deref(), Some("the status is 503 (expected 2xx, got 503)"));
        down.outcome.as_mut().expect("an outcome").message = "503 is not 2xx".into();
        assert_eq!(composed(&down).cause.as_deref(), Some("503 is not 2xx"));
        down.outcome.as_mut().expect("an outcome").message = String::new();
        assert_eq!(composed(&down).cause.as_deref(), Some("expected 2xx, got 503"));
        assert_eq!(
            composed(&event(EventType::Up)).cause.as_deref(),
            Some("It was: the status is 503 (expected 2xx, got 503)")
        );
    }

    #[test]
    fn a_late_message_says_so() {
        let down = event(EventType::Down);
        let late = Delivery { now_ms: down.at_ms + 840_000, ..delivery(&down) };
        let last = compose(&down, &late).facts.pop().expect("a fact");
        assert_eq!(last, Fact { label: "Told late", value: Value::Text("this happened 14 min ago".into()) });
        assert!(composed(&down).facts.iter().all(|fact| fact.label != "Told late"));
    }

    #[test]
    fn the_whole_as_plain_text() {
        let mut reminder = event(EventType::Reminder);
        let incident = reminder.incident.as_mut().expect("an incident");
        incident.acknowledged_by = Some("ada".into());
        incident.link = Some("https://status.example.com/incidents/7".into());
        assert_eq!(
            composed(&reminder).plain(),
            "🔴 shop is still DOWN after 1 h\nthe status is 503 (expected 2xx, got 503)\n\n\
             Target: https://shop.example.com/health\nDown since: 2026-04-14 02:14:05 UTC\n\
             Failed checks: 3\nIn charge: ada\nGroup: web\nTags: team=a\n\
             Incident: #7 https://status.example.com/incidents/7"
        );
        for link in ["javascript:alert(1)", "https://x.example/a b", "https://x.example/>"] {
            reminder.incident.as_mut().expect("an incident").link = Some(link.into());
            let facts = composed(&reminder).facts;
            assert_eq!(facts.last().expect("a fact").value, Value::Text("#7".into()), "{link}");
        }
    }

    #[test]
    fn the_whole_is_short_whatever_comes_in() {
        let mut down = event(EventType::Down);
        let endless = "👾".repeat(10_000);
        down.monitor.name.clone_from(&endless);
        down.monitor.target.clone_from(&endless);
        down.monitor.group = Some(endless.clone());
        down.monitor.tags = vec![(endless.clone(), endless.clone())];
        let outcome = down.outcome.as_mut().expect("an outcome");
        outcome.message.clone_from(&endless);
        outcome.got = Some(endless.clone());
        outcome.expected = Some(endless);
        let message = composed(&down);
        assert!(message.headline.chars().count() <= 250);
        assert!(message.cause.as_ref().expect("a cause").chars().count() <= 600);
        // Twice that is below Telegram's 4096 units.
        assert!(message.plain().chars().count() <= 1_950, "{}", message.plain().chars().count());
    }
}
