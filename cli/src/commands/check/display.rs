//! What a check found, for people and for programs.
//!
//! On a terminal each target is a block: the verdict, then what was seen, as far as there is something. In a pipe it is a
//! line of tab-separated columns, of which more may come at the end. The JSON is a contract, to which keys may be added.

use super::Checked;
use crate::output::{beside, many, milliseconds, ms, state_style};
use crate::prelude::*;
use uptime_core::check::{Certificate, DnsEvidence, Echoes, Failure, Hop, Phases, TlsEvidence};

/// Writes what was found, in the form that was asked for.
pub(super) fn list(printer: &Printer, all: &[Checked]) {
    if printer.is_json() || !printer.is_terminal() {
        printer.list("checks", COLUMNS, all, json);
        return;
    }
    for (nth, checked) in all.iter().enumerate() {
        if nth > 0 {
            printer.line("");
        }
        printer.lines(block(checked));
    }
}

/// How many days until the first of all certificates ends; 0 on its last day, below when it has ended.
pub(super) fn days_left(checked: &Checked) -> Option<i64> {
    let ends = checked.report.hops.iter().filter_map(|hop| hop.tls.as_ref()?.first_to_end());
    ends.map(|certificate| days(checked.at, certificate.not_after)).min()
}

fn days(from: Timestamp, to: Timestamp) -> i64 {
    (to.as_second() - from.as_second()).div_euclid(24 * 60 * 60)
}

/// The share of echoes that did not come back, in percent.
pub(super) fn loss(echoes: Echoes) -> u32 {
    let lost = echoes.sent.saturating_sub(echoes.received);
    (lost * 100).checked_div(echoes.sent).unwrap_or(0)
}

/// Why it is as it is, else what was seen.
pub(super) fn why(checked: &Checked) -> String {
    let seen = || evidence(checked).join(", ");
    checked.report.trouble().map_or_else(seen, |trouble| trouble.message.clone())
}

/// What was seen, in a few words each: status, versions, the certificate, echoes, time.
fn evidence(checked: &Checked) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(hop) = checked.report.hops.last() {
        words.extend(hop.status_code.map(|status| status.to_string()));
        words.extend(hop.http_version.map(|version| format!("HTTP/{version}")));
        words.extend(hop.tls.as_ref().map(tls_words));
        words.extend(hop.dns.as_ref().map(dns_words));
    }
    words.extend(days_left(checked).map(|days| format!("certificate {}", left(days))));
    let echoes = |of: Echoes| format!("{} of {} echoes, {} % lost", of.received, of.sent, loss(of));
    words.extend(checked.report.echoes.map(echoes));
    let of_what = if checked.report.echoes.is_some() { "round trip " } else { "" };
    words.extend(checked.report.latency().map(|latency| format!("{of_what}{} ms", ms(latency))));
    words
}

fn left(days: i64) -> String {
    match days {
        ..0 => "ended".into(),
        0 => "ends today".into(),
        1 => "1 day left".into(),
        days => format!("{days} days left"),
    }
}

fn tls_words(tls: &TlsEvidence) -> String {
    let version = tls.version.map_or_else(|| "TLS".to_owned(), |version| format!("TLS {version}"));
    if tls.trust_failure.is_some() { format!("{version} not trusted") } else { version }
}

fn dns_words(dns: &DnsEvidence) -> String {
    let records = many(dns.answers.len(), "record");
    let ttl = dns.ttl_s.map(|ttl| format!("TTL {ttl} s"));
    let flag = |name: &str, is_set: bool| is_set.then(|| name.to_owned());
    let flags = [flag("AA", dns.authoritative), flag("AD", dns.authenticated), flag("TCP", dns.over_tcp)];
    let words: Vec<String> =
        [dns.rcode.clone(), records].into_iter().chain(ttl).chain(flags.into_iter().flatten()).collect();
    words.join(", ")
}

fn named(checked: &Checked, phases: Phases) -> String {
    let round_trip = checked.report.echoes.is_some();
    let named = [
        ("dns", phases.dns),
        ("connect", phases.connect),
        ("tls", phases.tls),
        (if round_trip { "round trip" } else { "first byte" }, phases.first_byte),
        ("transfer", phases.transfer),
    ];
    let phases: Vec<String> =
        named.iter().filter_map(|(name, took)| Some(format!("{name} {}", ms((*took)?)))).collect();
    phases.join(", ")
}

/// What a pipe gets; on a terminal a check is a block.
const COLUMNS: &[Column<Checked>] = &[
    ("outcome", |checked, _| checked.report.word().into()),
    ("target", |checked, _| checked.subject.shown.as_str().into()),
    ("ms", |checked, _| checked.report.latency().map(ms).unwrap_or_default().into()),
    ("phases", |checked, _| named(checked, checked.report.phases()).into()),
    ("address", |checked, _| checked.report.address().map(|one| one.to_string()).unwrap_or_default().into()),
    ("why", |checked, _| trouble(checked, |failure| Some(&failure.message))),
    ("expected", |checked, _| trouble(checked, |failure| failure.expected.as_ref())),
    ("got", |checked, _| trouble(checked, |failure| failure.got.as_ref())),
    ("tls", |checked, _| {
        let tls = checked.report.hops.last().and_then(|hop| hop.tls.as_ref());
        tls.map(tls_words).unwrap_or_default().into()
    }),
    ("days left", |checked, _| days_left(checked).map(|days| days.to_string()).unwrap_or_default().into()),
];

fn trouble(checked: &Checked, part: fn(&Failure) -> Option<&String>) -> Cell {
    checked.report.trouble().and_then(part).cloned().unwrap_or_default().into()
}

/// From the verdict to what belongs to it.
const INDENT: usize = 14;

fn block(checked: &Checked) -> Vec<String> {
    let report = &checked.report;
    let (word, shown) = (report.word(), printable(&checked.subject.shown, 2_000));
    let style = state_style(word);
    let mut lines = vec![format!("{style}{word:INDENT$}{style:#}{shown}")];
    let mut say = |name: &str, text: &str| {
        lines.push(format!("{FAINT}{:INDENT$}{FAINT:#}{}", format!("  {name}"), beside(INDENT, text)));
    };
    for trouble in report.failure.iter().chain(&report.warnings) {
        say("why", &trouble.message);
        trouble.expected.iter().for_each(|expected| say("expected", expected));
        for (name, text) in said(trouble) {
            say(name, text);
        }
    }
    say("seen", &evidence(checked).join(", "));
    if let Some(last) = report.hops.last() {
        if report.hops.len() > 1 {
            for (nth, hop) in report.hops.iter().enumerate() {
                say(&format!("hop {}", nth + 1), &hop_words(checked, hop));
            }
        } else {
            last.address.iter().for_each(|address| say("address", &address.to_string()));
            let phases = named(checked, last.phases);
            if !phases.is_empty() {
                say("took ms", &phases);
            }
        }
        if let Some(trust_failure) = last.tls.as_ref().and_then(|tls| tls.trust_failure.as_ref()) {
            // When it is the failure itself it has been said.
            if report.failure.as_ref() != Some(trust_failure) {
                say("not trusted", &trust_failure.message);
            }
        }
        if let Some(certificate) = last.tls.as_ref().and_then(TlsEvidence::first_to_end) {
            let end = certificate.not_after.strftime("%Y-%m-%d");
            say("certificate", &format!("{}, by {}, until {end}", certificate.subject, certificate.issuer));
        }
    }
    let dns = report.hops.last().and_then(|hop| hop.dns.as_ref());
    dns.iter().flat_map(|dns| &dns.answers).for_each(|record| say("record", record));
    report.hops.iter().flat_map(|hop| &hop.deviations).for_each(|deviation| say("deviation", deviation));
    if let Some(trips) = report.echoes.and_then(|echoes| echoes.round_trips) {
        let [min, mean, max, jitter] = [trips.min, trips.mean, trips.max, trips.jitter].map(ms);
        say("trips ms", &format!("min {min}, mean {mean}, max {max}, jitter {jitter}"));
    }
    lines
}

/// What came, and what was around it. `got` is most often the beginning of the excerpt: then the longer one says both.
fn said(trouble: &Failure) -> Vec<(&'static str, &str)> {
    match (trouble.got.as_deref(), trouble.excerpt.as_deref()) {
        (Some(got), Some(excerpt)) if excerpt.contains(got.trim_end_matches('…')) => vec![("got", excerpt)],
        (got, excerpt) => {
            got.map(|got| ("got", got)).into_iter().chain(excerpt.map(|text| ("excerpt", text))).collect()
        }
    }
}

fn hop_words(checked: &Checked, hop: &Hop) -> String {
    let mut words = Vec::new();
    words.extend(hop.status_code.map(|status| status.to_string()));
    words.extend(hop.url.clone());
    words.extend(hop.address.map(|address| address.to_string()));
    words.extend(hop.tls.as_ref().map(tls_words));
    words.extend(hop.dns.as_ref().map(dns_words));
    let phases = named(checked, hop.phases);
    words.extend((!phases.is_empty()).then(|| format!("{phases} ms")));
    words.join(", ")
}

pub(super) fn json(checked: &Checked) -> Value {
    let (report, at) = (&checked.report, checked.at);
    let last = report.hops.last();
    let hop = |hop: &Hop| {
        json!({
            "address": hop.address, "status": hop.status_code, "http_version": hop.http_version, "dns": hop.dns,
            "tls": hop.tls.as_ref().map(|tls| tls_json(tls, at)), "phases": phases_json(hop.phases),
        })
    };
    let hops =
        report.hops.iter().map(|one| with(hop(one), json!({ "url": one.url, "deviations": one.deviations })));
    let echoes = report.echoes.map(|echoes| {
        let trips = echoes.round_trips;
        let trips = trips.map(|trips| [trips.min, trips.mean, trips.max, trips.jitter].map(milliseconds));
        let [min, mean, max, jitter] = trips.map_or([None; 4], |trips| trips.map(Some));
        json!({
            "sent": echoes.sent, "received": echoes.received, "loss_percent": loss(echoes),
            "min_ms": min, "mean_ms": mean, "max_ms": max, "jitter_ms": jitter,
        })
    });
    let whole = json!({
        "target": checked.subject.shown, "type": checked.subject.spec.kind(), "at": rfc3339(at),
        "outcome": report.outcome(), "degraded": report.is_degraded(),
        "final_url": last.and_then(|hop| hop.url.as_deref()),
        "latency_ms": report.latency().map(milliseconds), "total_ms": milliseconds(report.total),
        "warnings": report.warnings.iter().map(|warning| failure_json(Some(warning))).collect::<Vec<_>>(),
        "hops": hops.collect::<Vec<_>>(), "echoes": echoes,
    });
    with(with(whole, hop(last.unwrap_or(&Hop::default()))), failure_json(report.failure.as_ref()))
}

fn failure_json(failure: Option<&Failure>) -> Value {
    json!({
        "class": failure.map(|failure| failure.class), "message": failure.map(|failure| &failure.message),
        "expected": failure.and_then(|failure| failure.expected.as_ref()),
        "got": failure.and_then(|failure| failure.got.as_ref()),
        "excerpt": failure.and_then(|failure| failure.excerpt.as_ref()),
    })
}

fn phases_json(phases: Phases) -> Value {
    let Phases { dns, connect, tls, first_byte, transfer } = phases;
    let [dns, connect, tls, first_byte, transfer] =
        [dns, connect, tls, first_byte, transfer].map(|took| took.map(milliseconds));
    json!({
        "dns_ms": dns, "connect_ms": connect, "tls_ms": tls, "first_byte_ms": first_byte, "transfer_ms": transfer,
    })
}

fn tls_json(tls: &TlsEvidence, at: Timestamp) -> Value {
    let certificate = |one: &Certificate| {
        json!({
            "subject": one.subject, "issuer": one.issuer, "names": one.names, "sha256": one.sha256,
            "not_before": rfc3339(one.not_before), "not_after": rfc3339(one.not_after),
        })
    };
    json!({
        "version": tls.version, "trusted": tls.trust_failure.is_none(),
        "distrust": tls.trust_failure.as_ref().map(|trust_failure| failure_json(Some(trust_failure))),
        "days_left": tls.first_to_end().map(|certificate| days(at, certificate.not_after)),
        "chain": tls.chain.iter().map(certificate).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_shown_once() {
        use uptime_core::check::FailureClass;
        let failure = |got: &str, text: &str| {
            Failure::new(FailureClass::Assertion, "").with("", got).with_excerpt(text, 0)
        };
        assert_eq!(said(&failure("not yet", "not yet")), [("got", "not yet")]);
        let long = "word ".repeat(100);
        assert_eq!(said(&failure(&long, &long)), [("got", long.as_str())]);
        let json = failure("false at `$.ok`", "{\"ok\":false}");
        assert_eq!(said(&json), [("got", "false at `$.ok`"), ("excerpt", "{\"ok\":false}")]);
        assert_eq!(said(&failure("an empty body", "")), [("got", "an empty body")]);
    }

    #[test]
    fn the_last_day_is_day_zero() {
        let at = |text: &str| text.parse::<Timestamp>().expect(text);
        let now = at("2026-11-24T12:00:00Z");
        for (end, left) in
            [("2026-11-25T11:59:59Z", 0), ("2026-11-25T12:00:00Z", 1), ("2026-11-24T11:59:59Z", -1)]
        {
            assert_eq!(days(now, at(end)), left, "{end}");
        }
    }
}
