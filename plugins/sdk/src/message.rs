//! The words for an event, the same in every channel, without any markup yet.
//!
//! Written for somebody who was woken by it: the headline alone says what is the matter with what; the cause comes
//! next; the facts follow. Everything is cut to lengths at which the whole fits every provider.

use crate::text::{duration, is_web_address, line, utc};
use crate::{Delivery, Event, EventType, Severity};
use std::fmt;

/// An address's length; five times that, all escaped, still fits Slack's fields of 2000.
const ADDRESS_MAX: usize = 380;

/// The length of the address of an incident's page.
const LINK_MAX: usize = 200;

/// Sent later than this after it was decided, a message says so.
const LATE_MS: u64 = 120_000;

/// A message before it has any markup. All texts are single lines from strangers: escape them.
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
    /// At most 200 characters.
    Text(String),
    /// An address, to be clicked on where it is one of the web. At most 380 characters.
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
    /// The whole as plain text: the headline, the cause below it, then a line for each fact.
    pub fn plain(&self) -> String {
        self.lines(|headline| headline.to_owned(), str::to_owned, ToString::to_string)
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

/// The words for `event`.
pub fn compose(event: &Event, delivery: &Delivery) -> Message {
    let mut facts = Vec::new();
    let mut fact = |label, value| facts.push(Fact { label, value });
    let about_target = !matches!(
        event.kind,
        EventType::Blind
            | EventType::Seeing
            | EventType::QueueBusy
            | EventType::ChannelBroken
            | EventType::Test
    );
    if about_target && !event.monitor.target.is_empty() {
        fact("Target", Value::Address(line(&event.monitor.target, ADDRESS_MAX)));
    }
    if let Some(incident) = &event.incident {
        fact(
            if incident.ended_at_ms.is_some() { "Down from" } else { "Down since" },
            Value::Instant(incident.started_at_ms),
        );
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
    let late_ms = delivery.now_ms.saturating_sub(event.at_ms);
    if late_ms > LATE_MS {
        fact("Told late", Value::Text(format!("this happened {} ago", duration(late_ms / 1_000))));
    }
    Message {
        symbol: symbol(event.kind),
        headline: headline(event),
        cause: cause(event),
        facts,
        colour: colour(event),
    }
}

fn headline(event: &Event) -> String {
    let name = line(&event.monitor.name, 150);
    let lasted = event.incident.as_ref().map(|incident| {
        let until_ms = incident.ended_at_ms.unwrap_or(event.at_ms);
        duration(incident.duration_s.unwrap_or(until_ms.saturating_sub(incident.started_at_ms) / 1_000))
    });
    let with = |word: &str| lasted.as_ref().map(|lasted| format!(" {word} {lasted}")).unwrap_or_default();
    match event.kind {
        EventType::Down => format!("{name} is DOWN"),
        EventType::Up => format!("{name} is UP again{}", with("after")),
        EventType::Degraded => format!("{name} is DEGRADED"),
        EventType::Critical => format!("CRITICAL: {name} has been DOWN{}", with("for")),
        EventType::Reminder => format!("{name} is still DOWN{}", with("after")),
        EventType::FlappingStart => format!("{name} is FLAPPING between up and down"),
        EventType::FlappingEnd => format!("{name} is steady again"),
        EventType::Certificate => format!("{name}: the certificate ends soon"),
        EventType::Acknowledged => {
            let who = in_charge(event).unwrap_or_else(|| "somebody".into());
            format!("{name}: {who} takes care of it")
        }
        EventType::Blind => "The monitor is BLIND: its own network is away".into(),
        EventType::Seeing => format!("The monitor SEES again{}", with("after")),
        EventType::QueueBusy => format!("The queue {name} is over its limit"),
        EventType::ChannelBroken => format!("The channel {name} is BROKEN: its messages don't arrive"),
        EventType::Test => "Test: messages of uptime arrive here".into(),
    }
}

/// Who takes care of it.
fn in_charge(event: &Event) -> Option<String> {
    let name = line(event.incident.as_ref()?.acknowledged_by.as_deref()?, 60);
    (!name.is_empty()).then_some(name)
}

fn cause(event: &Event) -> Option<String> {
    let outcome = event.outcome.as_ref()?;
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
    Some(if event.kind == EventType::Up { format!("It was: {cause}") } else { cause })
}

fn symbol(kind: EventType) -> &'static str {
    match kind {
        EventType::Down | EventType::Reminder => "🔴",
        EventType::Up | EventType::FlappingEnd | EventType::Seeing => "✅",
        EventType::Degraded => "🟡",
        EventType::Critical => "🚨",
        EventType::FlappingStart => "🔁",
        EventType::Certificate => "🔒",
        EventType::Acknowledged => "👤",
        EventType::Blind => "🙈",
        EventType::QueueBusy => "⏳",
        EventType::ChannelBroken => "📵",
        EventType::Test => "🔔",
    }
}

fn colour(event: &Event) -> u32 {
    match (event.kind, event.severity) {
        (EventType::Up | EventType::FlappingEnd | EventType::Seeing, _) => 0x002e_a043,
        (_, Severity::Critical) => 0x008e_1519,
        (_, Severity::Down) => 0x00da_3633,
        (_, Severity::Degraded) => 0x00d2_9922,
        (_, Severity::Info) => 0x0038_8bfd,
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
            (EventType::Acknowledged, "shop: ada takes care of it"),
            (EventType::ChannelBroken, "The channel shop is BROKEN: its messages don't arrive"),
            (EventType::Test, "Test: messages of uptime arrive here"),
        ] {
            assert_eq!(composed(&event(kind)).headline, expected);
        }
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
