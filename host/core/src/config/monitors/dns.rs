//! The keys of `type = "dns"`.

use super::super::kinds::{At, Boolean, Choice, List, Span, Text};
use super::super::table::{Table, keys};
use super::super::values::HOSTNAME;
use super::{DAY, Frame, SECOND, latency};
use crate::monitor::{AnswersMatch, DnsExpect, DnsSpec, Rcode, RecordType};
use crate::target;
use crate::text::printable;

pub(super) fn read(table: &mut Table<'_, '_>, frame: &Frame) -> Option<DnsSpec> {
    keys! { table:
        /// Name to ask for, or an address, for its `PTR`.
        let host = required(&HOSTNAME);
        /// Type of the records.
        let record = optional("`A`, and of an address `PTR`", &Choice::of(RecordType::ALL));
    }
    let is_whole = host.is_some();
    let dns = target::dns(host.unwrap_or_default(), record);
    keys! { table:
        /// Ask each of the zone's own name servers. Each must answer as expected and, without `answers`, as the others.
        let authoritative = or(false, &Boolean);
    }
    let expect = table.table("expect", |table| expect(table, frame, dns.record));
    if !authoritative {
        table.useless(&["ip"], "without `authoritative = true` no name server is looked up", "leave it out");
    }
    Some(DnsSpec { authoritative, expect, lookup: frame.lookup, ..dns }).filter(|_| is_whole)
}

fn expect(table: &mut Table<'_, '_>, frame: &Frame, record: RecordType) -> DnsExpect {
    keys! { table:
        /// Expected response code.
        let rcode = or(Rcode::default(), &Choice::of(Rcode::ALL));
    }
    let answers = answers(table, record);
    keys! { table:
        /// Which of `answers` must be among the records: `all`, `any` (one at least) or `exact` (all, and no others).
        let answers_match = or(AnswersMatch::default(), &Choice::of(AnswersMatch::ALL));
        /// Down unless the resolver says that DNSSEC has validated the answer (flag AD).
        let ad = or(false, &Boolean);
        /// Down unless the TTL of each record is above this.
        let ttl_above = optional("any", &Span(SECOND..=7 * DAY));
    }
    let [latency_below, degraded_above] = latency(table, frame, "the latency");
    DnsExpect { rcode, answers, answers_match, ad, ttl_above, latency_below, degraded_above }
}

fn answers(table: &mut Table<'_, '_>, record: RecordType) -> Option<Vec<String>> {
    let of = At(Text { most: 10_000, example: RecordType::Mx.example() });
    keys! { table:
        /// Data of the records, such as `10 mail.example.com`; an empty list: there must be none.
        let answers = optional("any record", &List { of, count: 0..=50, or_one: true });
    }
    let answers = answers?;
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
