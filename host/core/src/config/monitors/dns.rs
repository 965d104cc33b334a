//! The keys of `type = "dns"`.

use super::super::kinds::{At, Boolean, Choice, List, Span, Text};
use super::super::table::Table;
use super::super::values::HOSTNAME;
use super::{DAY, Frame, SECOND, degraded_above, latency_below};
use crate::monitor::{AnswersMatch, DnsExpect, DnsSpec, Rcode, RecordType};
use crate::target;
use crate::text::printable;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<DnsSpec> {
    let host = table.required("host", "Name to ask for, or an address, for its `PTR`.", &HOSTNAME);
    let is_whole = host.is_some();
    let record = table.optional(
        "record",
        "Type of the records.",
        "`A`, and of an address `PTR`",
        &Choice::of(RecordType::ALL),
    );
    let dns = target::dns(host.unwrap_or_default(), record);
    let authoritative = table.or(
        "authoritative",
        "Ask each of the zone's own name servers. Each must answer as expected and, without `answers`, as the others.",
        false,
        &Boolean,
    );
    let expect = table.table("expect", |table| expect(table, frame, dns.record));
    if !authoritative {
        table.warning_at(
            "ip",
            "`ip` has no use: without `authoritative = true` no name server is looked up".into(),
            "leave it out",
        );
    }
    Some(DnsSpec { authoritative, expect, lookup: frame.lookup, ..dns }).filter(|_| is_whole)
}

fn expect(table: &mut Table<'_, '_>, frame: &Frame, record: RecordType) -> DnsExpect {
    DnsExpect {
        rcode: table.or("rcode", "Response code.", Rcode::default(), &Choice::of(Rcode::ALL)),
        answers: answers(table, record),
        answers_match: table.or(
            "answers_match",
            "Which of `answers` must be among the records: `all`, `any` (one at least) or `exact` (all, and no others).",
            AnswersMatch::default(),
            &Choice::of(AnswersMatch::ALL),
        ),
        ad: table.or(
            "ad",
            "Down unless the resolver says that DNSSEC has validated the answer (flag AD).",
            false,
            &Boolean,
        ),
        ttl_above: table.optional(
            "ttl_above",
            "Down unless the TTL of each record is above this.",
            "any",
            &Span(SECOND..=7 * DAY),
        ),
        latency_below: latency_below(table, frame, "the latency"),
        degraded_above: degraded_above(table, frame, "the latency"),
    }
}

fn answers(table: &mut Table<'_, '_>, record: RecordType) -> Option<Vec<String>> {
    let of = At(Text { most: 10_000, example: RecordType::Mx.example() });
    let answers = table.optional(
        "answers",
        "Data of the records, such as `10 mail.example.com`; an empty list: there must be none.",
        "any record",
        &List { of, count: 0..=50, or_one: true },
    )?;
    let mut whole = Vec::with_capacity(answers.len());
    for (text, span) in answers {
        let Some(answer) = record.answer(&text) else {
            let message = format!("`{}` is no data of a record `{record}`", printable(&text, 60));
            table.notes.error(span, message, Some(format!("write it like `{}`", record.example())));
            continue;
        };
        whole.push(answer);
    }
    Some(whole)
}
