//! A message as text: its words are the host's, here they are put in lines.

use crate::{Instant, Message, Value};
use std::fmt;

/// As plain text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Address(text) | Self::Instant(Instant { text, .. }) => f.write_str(text),
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

    /// The whole as plain text: the headline, the cause below it, then a line for each fact and each link.
    pub fn plain(&self) -> String {
        self.lines(str::to_owned, str::to_owned, ToString::to_string, |_, address| address.to_owned())
    }

    /// The whole as lines of text, with markup of one's own: of the headline, the cause, a fact's value, and a link's label and
    /// address. Labels of facts are the host's, and plain.
    pub fn lines(
        &self,
        headline: impl Fn(&str) -> String,
        cause: impl Fn(&str) -> String,
        value: impl Fn(&Value) -> String,
        link: impl Fn(&str, &str) -> String,
    ) -> String {
        let mut lines = format!("{} {}", self.symbol, headline(&self.headline));
        if let Some(words) = &self.cause {
            lines.push('\n');
            lines.push_str(&cause(words));
        }
        let facts = self.facts.iter().map(|fact| (&fact.label, value(&fact.value)));
        let links = self.links.iter().map(|page| (&page.label, link(&page.label, &page.address)));
        for (n, (label, shown)) in facts.chain(links).enumerate() {
            lines.push_str(if n == 0 { "\n\n" } else { "\n" });
            lines.push_str(label);
            lines.push_str(": ");
            lines.push_str(&shown);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::event;

    #[test]
    fn the_whole_as_plain_text() {
        let message = event("down-linked").message;
        assert_eq!(
            message.plain().replace('\u{2060}', ""),
            "🔴 shop is DOWN\nhttps://shop.example.com/health answered 503 Service Unavailable (expected 2xx, got 503)\n\n\
             Target: https://shop.example.com/health\nDown since: 2026-04-14 02:14:05 UTC\n\
             Failed checks: 3\nGroup: web\nTags: team=a\nIncident: #7\n\
             Incident #7: https://status.example.com/incidents/7"
        );
        assert!(message.glance().starts_with("🔴 shop is DOWN: https:"), "{}", message.glance());
    }
}
