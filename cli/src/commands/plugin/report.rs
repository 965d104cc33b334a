//! A plugin as it is shown: what it is, what it asks for, what it gets.
//!
//! What a plugin says of itself is a stranger's text: one line, no control characters, cut.

use crate::config::plugins;
use crate::prelude::*;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;
use uptime_core::config::ConfigOutline;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Field, Limit, Measure, Place};
use uptime_core::size;
use uptime_notifier::registry::Grant;
use uptime_notifier::{CLEARED_MIN, Inspection, NotifierError, NotifierHost, Origin, PluginSource};

pub(super) struct PluginReport {
    pub(super) source: PluginSource,
    /// Of an added one.
    pub(super) grant: Option<Grant>,
    pub(super) inspected: Result<Inspection, NotifierError>,
    /// What it would be found to be, if it were trusted.
    pub(super) unproved: Option<Inspection>,
    /// The channels of the file that use it.
    pub(super) channels: Vec<String>,
}

impl PluginReport {
    /// Looks at a plugin of the host's.
    pub(super) async fn of(
        source: PluginSource,
        grant: Option<Grant>,
        notifiers: &NotifierHost,
        outline: &ConfigOutline,
    ) -> Self {
        let inspected = notifiers.inspect(&source.name).await;
        let channels = plugins::users(outline, &source.name);
        Self { source, grant, inspected, unproved: None, channels }
    }

    /// What is known of it, trusted or not.
    fn known(&self) -> Option<&Inspection> {
        self.inspected.as_ref().ok().or(self.unproved.as_ref())
    }

    pub(super) fn state(&self) -> (&'static str, Style) {
        match &self.inspected {
            Ok(_) => ("ok", GOOD),
            Err(NotifierError::Untrusted { .. }) => ("untrusted", BAD),
            Err(_) => ("broken", BAD),
        }
    }

    /// Its version, where it could be asked.
    pub(super) fn version(&self) -> String {
        self.known().map(|known| printable(&known.description.version, 40)).unwrap_or_default()
    }

    /// Its SHA-256 as it is now, as far as it is known.
    pub(super) fn sha256(&self) -> Option<&str> {
        match &self.inspected {
            Ok(inspected) => Some(&inspected.sha256),
            Err(NotifierError::Untrusted { found, .. }) => Some(found),
            Err(_) => None,
        }
    }

    /// The hosts that it asks for, and whether it gets them.
    pub(super) fn hosts(&self) -> Vec<(String, bool)> {
        let Some(known) = self.known() else { return Vec::new() };
        let gets = |host: &str| {
            self.source.origin == Origin::BuiltIn
                || host
                    .parse::<HostGrant>()
                    .is_ok_and(|host| self.source.allow.iter().any(|granted| granted.includes(&host)))
        };
        let hosts = known.description.hosts.iter().take(100);
        hosts.map(|host| (printable(host, 200), gets(host))).collect()
    }

    pub(super) fn json(&self) -> Value {
        let Self { source, grant, channels, .. } = self;
        let hosts =
            self.hosts().into_iter().map(|(host, granted)| json!({ "host": host, "granted": granted }));
        let limit = |limit: Limit| {
            let value = source.limits.get(limit).unwrap_or(limit.default_value());
            let is_count = limit.measure() == Measure::Count;
            (limit.as_str(), if is_count { value.into() } else { limit.show(value).into() })
        };
        let limits: BTreeMap<&str, Value> = Limit::ALL.iter().copied().map(limit).collect();
        let (known, grant, failed) = (self.known(), grant.as_ref(), self.inspected.as_ref().err());
        let fields = known.map(|known| known.description.fields.iter());
        json!({
            "name": source.name, "origin": source.origin.as_str(), "allow": source.allow, "channels": channels,
            "state": self.state().0, "sha256": self.sha256(), "limits": limits,
            "hosts": hosts.collect::<Vec<_>>(),
            "version": known.map(|_| self.version()),
            "summary": known.map(|known| printable(&known.description.summary, 300)),
            "size": known.map(|known| known.size),
            "interface": known.map(|known| &known.interface),
            "settings": fields.map(|fields| fields.map(field_json).collect::<Vec<_>>()),
            "reason": failed.map(ToString::to_string), "hint": failed.and_then(NotifierError::hint),
            "source": grant.map(|grant| &grant.source),
            "granted_at": grant.map(|grant| rfc3339(grant.granted_at)),
        })
    }

    /// Shows it; in JSON beside `more`.
    pub(super) fn answer(&self, more: Value, printer: &Printer) {
        printer.answer(with(json!({ "plugin": self.json() }), more), || self.print(printer));
    }

    fn print(&self, printer: &Printer) {
        let rows = self.rows(printer);
        let width = rows.iter().map(|(label, ..)| label.width()).max().unwrap_or_default();
        for (label, text, style) in rows {
            if printer.is_terminal() {
                printer.line(format!("{FAINT}{label:width$}{FAINT:#}  {style}{text}{style:#}"));
            } else {
                printer.line(format!("{label}\t{text}"));
            }
        }
    }

    fn rows(&self, printer: &Printer) -> Vec<(&'static str, String, Style)> {
        let (plain, (state, style)) = (Style::new(), self.state());
        let (known, failed) = (self.known(), self.inspected.as_ref().err());
        let facts = [
            ("name", Some(self.source.name.clone()), plain.bold()),
            ("version", known.map(|_| self.version()), plain),
            ("summary", known.map(|known| printable(&known.description.summary, 300)), plain),
            ("origin", Some(self.origin(printer)), plain),
            ("state", Some(state.to_owned()), style),
            ("why", failed.map(ToString::to_string), plain),
            ("hint", failed.and_then(NotifierError::hint), plain),
            ("sha256", self.sha256().map(str::to_owned), plain),
            ("size", known.map(|known| size::format(known.size.try_into().unwrap_or(u64::MAX))), plain),
            ("interface", known.map(|known| known.interface.clone()), plain),
        ];
        let facts = facts.into_iter().filter_map(|(name, text, style)| Some((name, text?, style)));
        let mut rows: Vec<_> = facts.collect();
        for (host, granted) in self.hosts() {
            let (word, style) = if granted { ("granted", GOOD) } else { ("asked for, not granted", ODD) };
            rows.push(("host", format!("{host}  {word}"), style));
        }
        rows.extend(self.source.allow.iter().map(|grant| ("allow", grant.to_string(), plain)));
        let fields = self.known().into_iter().flat_map(|known| &known.description.fields);
        for field in fields {
            rows.push(("setting", setting(field), plain));
            rows.extend(field.places.iter().map(|place| ("goes", format!("{}  {place}", field.key), plain)));
        }
        for &limit in Limit::ALL {
            let (changed, style) = match self.source.limits.get(limit) {
                Some(value) => {
                    (format!("{}  (else {})", limit.show(value), limit.show(limit.default_value())), plain)
                }
                None => (limit.show(limit.default_value()), FAINT),
            };
            rows.push(("limit", format!("{}  {changed}", limit.as_str()), style));
        }
        rows.extend(self.channels.iter().map(|channel| ("channel", printable(channel, 100), plain)));
        rows
    }

    /// What it can do all the same, with everything else denied: for whoever is about to trust it.
    pub(super) fn remains_possible(&self) -> Vec<String> {
        let name = &self.source.name;
        let mut lines = vec![format!(
            "`{name}` sees each message (names, targets and failures of monitors) and its settings, but for secrets, and can \
             send them to every host that it is granted"
        )];
        let fields = self.known().into_iter().flat_map(|known| &known.description.fields);
        let (signing, sent): (Vec<_>, Vec<_>) = fields
            .filter(|field| !field.places.is_empty())
            .partition(|field| field.places.contains(&Place::Signature));
        let keys = |fields: &[&Field]| listed(fields.iter().map(|field| &field.key));
        if !sent.is_empty() {
            lines.push(format!(
                "of {} it sees a placeholder; the host it goes to sees the value. `{name}` can learn it only from an answer of that \
                 host: if it has fewer than {CLEARED_MIN} bytes, or is repeated in a form that `uptime` does not know",
                keys(&sent)
            ));
        }
        if !signing.is_empty() {
            lines.push(format!(
                "it can have anything signed with {}, and try guesses against the signature: a long random secret withstands \
                 that, a word does not",
                keys(&signing)
            ));
        }
        lines
    }

    fn origin(&self, printer: &Printer) -> String {
        let origin = self.source.origin.as_str();
        match &self.grant {
            Some(grant) => format!(
                "{origin}  ({}, granted {})",
                printable(&grant.source, 100),
                printer.time(Some(grant.granted_at))
            ),
            None => origin.to_owned(),
        }
    }

    /// What it was found to be, or why it can't be used.
    pub(super) fn inspected(&self) -> Result<&Inspection> {
        self.inspected.as_ref().map_err(|error| {
            let exit = error.class().into();
            CommandError { hint: error.hint(), ..CommandError::new(exit, error.to_string()) }
        })
    }
}

fn field_json(field: &Field) -> Value {
    json!({
        "key": printable(&field.key, 60), "kind": field.kind.as_str(), "required": field.required,
        "default": field.default.as_deref().map(|default| printable(default, 100)),
        "choices": field.choices.iter().map(|choice| printable(choice, 60)).collect::<Vec<_>>(),
        "help": printable(&field.help, 300), "places": field.places,
    })
}

fn setting(field: &Field) -> String {
    let mut words = vec![field.kind.as_str().to_owned()];
    if field.required {
        words.push("required".into());
    }
    if let Some(default) = &field.default {
        words.push(format!("else {}", printable(default, 100)));
    }
    if !field.choices.is_empty() {
        words.push(format!("one of {}", printable(&field.choices.join(", "), 200)));
    }
    format!("{}  ({})  {}", printable(&field.key, 60), words.join(", "), printable(&field.help, 300))
}
