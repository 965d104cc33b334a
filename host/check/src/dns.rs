//! The DNS check: a question to a name server, and whether what it answers is expected.
//!
//! With `resolver` that server is the target, and with `authoritative` each of the zone's own ([`crate::addresses`] runs
//! the check once for each): their silence is down. Without both this machine's name servers are asked, whose own trouble
//! is ours.

#[cfg(test)]
mod tests;

use crate::resolve::{
    DnsAnswer, HostLookup, Question, ask, follow_names, mnemonic, name, of_name, shown, text, unanswered,
};
use crate::trace::Trace;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;
use uptime_core::check::{CheckReport, DnsEvidence, Failure, FailureClass};
use uptime_core::duration;
use uptime_core::monitor::{AnswersMatch, DnsSpec, Rcode};
use uptime_core::text::printable;

/// How many records are kept as evidence, and how much of each.
const RECORDS_KEPT: usize = 50;
const RECORD_CHARS: usize = 1_000;

pub(crate) async fn run(names: &HostLookup<'_>, spec: &DnsSpec, trace: &mut Trace) -> Result<(), Failure> {
    let name = asked(spec)?;
    let kind = kind(spec);
    let what = format!("{} of `{}`", spec.record, spec.host);
    let question = Question {
        recursive: !spec.authoritative,
        validated: !spec.authoritative,
        ..Question::new(&name, kind)
    };
    let pin = names.pin();
    trace.hop.phases.dns = pin.and_then(|pin| pin.took);
    let (server, answer) = if let Some(server) = pin.map(|pin| pin.address).or(spec.lookup.resolver) {
        trace.hop.address = Some(server.ip());
        let began = waiting(trace, FailureClass::ConnectTimeout, format!("{what}: {}", shown(server)));
        let answer = ask(server, question).await;
        trace.hop.phases.first_byte = Some(began.elapsed());
        (server, answer.map_err(|why| unanswered(&what, server, &why))?)
    } else {
        let resolver = "this machine's name servers";
        let began = waiting(trace, FailureClass::Resolver, format!("{what}: {resolver}"));
        let (server, answer) = names.ask(question, trace.deadline).await?;
        trace.hop.phases.first_byte = Some(began.elapsed());
        trace.hop.address = Some(server.ip());
        (server, answer)
    };
    judge(spec, name, server, &answer, trace).map_err(|fault| Failure {
        message: Failure::new(fault.class, format!("{what}: {}", fault.message)).message,
        ..fault
    })?;
    trace.judge_latency(spec, trace.deadline.started.elapsed(), &what)
}

/// Begins to wait for `whom`.
fn waiting(trace: &mut Trace, class: FailureClass, whom: String) -> Instant {
    trace.enter(move |waited, phases, limit| {
        phases.first_byte = Some(waited);
        Failure::new(class, format!("{whom} gave no answer within {limit}"))
    })
}

/// The addresses of the zone's own name servers.
pub(crate) async fn servers(
    names: &HostLookup<'_>,
    spec: &DnsSpec,
    trace: &mut Trace,
) -> Result<Vec<SocketAddr>, Failure> {
    names.zone_servers(&asked(spec)?, trace).await
}

/// The zone's name servers have one answer, unless the monitor says which it expects of each.
pub(crate) fn compare(spec: &DnsSpec, report: &mut CheckReport) {
    let said = report.hops.iter().filter_map(|hop| Some((hop.address?, hop.dns.as_ref()?)));
    let mut said = said.map(|(address, dns)| (address, dns.answers.join(", ")));
    let Some((one, first)) =
        said.next().filter(|_| report.failure.is_none() && spec.expect.answers.is_none())
    else {
        return;
    };
    if let Some((other, last)) = said.find(|(_, answers)| *answers != first) {
        let message = format!(
            "{} of `{}`: the zone's name servers differ: {one} answers `{}`, {other} answers `{}`",
            spec.record,
            spec.host,
            printable(&first, 200),
            printable(&last, 200)
        );
        report.failure = Some(Failure::new(FailureClass::Assertion, message).with(first, last));
        report.warnings.clear();
    }
}

fn asked(spec: &DnsSpec) -> Result<Name, Failure> {
    match spec.host.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => name(&spec.host).map_err(|dns_error| of_name(&spec.host, &dns_error)),
    }
}

fn kind(spec: &DnsSpec) -> RecordType {
    spec.record.as_str().parse().expect("because each of the words is a type's mnemonic")
}

/// Judges an answer, and keeps it as evidence.
fn judge(
    spec: &DnsSpec,
    name: Name,
    server: SocketAddr,
    answer: &DnsAnswer,
    trace: &mut Trace,
) -> Result<(), Failure> {
    let (who, flags) = (shown(server), &answer.message.metadata);
    let mut names = vec![name];
    let records =
        follow_names(&answer.message, &mut names, kind(spec)).map_err(|why| of_name(&spec.host, &why));
    let of_kind = records.as_deref().unwrap_or_default();
    let mut found: Vec<String> = of_kind.iter().filter_map(|record| data(record)).collect();
    found.sort_unstable();
    let rcode = mnemonic(flags.response_code);
    let ttl = of_kind.iter().map(|record| record.ttl).min();
    trace.hop.dns = Some(DnsEvidence {
        rcode: rcode.clone(),
        answers: found.iter().take(RECORDS_KEPT).map(|text| printable(text, RECORD_CHARS)).collect(),
        ttl_s: ttl,
        authoritative: flags.authoritative,
        authenticated: flags.authentic_data,
        over_tcp: answer.over_tcp,
    });
    let expect = &spec.expect;
    if rcode != expect.rcode.as_str() {
        let failure = Failure::new(FailureClass::Dns, format!("{who} answered {rcode}"));
        return Err(failure.with(expect.rcode.as_str(), rcode));
    }
    if spec.authoritative && !flags.authoritative {
        let message = format!("{who} has no authority for the zone");
        return Err(
            Failure::new(FailureClass::Dns, message).with("an authoritative answer", "one without AA")
        );
    }
    if expect.ad && !flags.authentic_data {
        let message = format!("{who} has not validated the answer");
        return Err(Failure::new(FailureClass::Assertion, message).with("AD", "no AD"));
    }
    records?;
    if expect.rcode == Rcode::NoError {
        let alias = names.last().filter(|_| names.len() > 1);
        judge_records(spec, &who, &found, alias)?;
    }
    let ttl = ttl.map(|seconds| Duration::from_secs(seconds.into()));
    if let (Some(limit), Some(ttl)) = (expect.ttl_above, ttl)
        && ttl <= limit
    {
        let (limit, ttl) = (duration::format(limit), duration::format(ttl));
        let failure = Failure::new(FailureClass::Assertion, format!("the TTL is {ttl}, not above {limit}"));
        return Err(failure.with(format!("above {limit}"), ttl));
    }
    Ok(())
}

/// `alias` is the name that the answer leads to.
fn judge_records(spec: &DnsSpec, who: &str, found: &[String], alias: Option<&Name>) -> Result<(), Failure> {
    let list = |all: &[&str]| if all.is_empty() { "no record".to_owned() } else { all.join(", ") };
    let had: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let Some(answers) = &spec.expect.answers else {
        if !found.is_empty() {
            return Ok(());
        }
        let led = alias.map(|alias| format!(", which leads to `{}`", text(alias))).unwrap_or_default();
        let failure = Failure::new(FailureClass::Dns, format!("{who} has no such record{led}"));
        return Err(failure.with("a record", "no record"));
    };
    let wanted: BTreeSet<&str> = answers.iter().map(String::as_str).collect();
    let missing: Vec<&str> = wanted.difference(&had).copied().collect();
    let others: Vec<&str> = had.difference(&wanted).copied().collect();
    let is_right = match spec.expect.answers_match {
        _ if wanted.is_empty() => others.is_empty(),
        AnswersMatch::All => missing.is_empty(),
        AnswersMatch::Any => missing.len() < wanted.len(),
        AnswersMatch::Exact => missing.is_empty() && others.is_empty(),
    };
    if is_right {
        return Ok(());
    }
    let class = if found.is_empty() { FailureClass::Dns } else { FailureClass::Assertion };
    let problem = match missing.as_slice() {
        [] => format!("has `{}`, which is not expected", printable(others[0], 200)),
        _ => format!("lacks `{}`", printable(&missing.join("`, `"), 200)),
    };
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let had: Vec<&str> = had.into_iter().collect();
    Err(Failure::new(class, format!("{who} {problem}")).with(list(&wanted), list(&had)))
}

/// A record's data, as it is compared ([`uptime_core::monitor::RecordType::answer`]).
fn data(record: &Record) -> Option<String> {
    Some(match &record.data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(of) => text(&of.0),
        RData::NS(of) => text(&of.0),
        RData::PTR(of) => text(&of.0),
        RData::MX(mx) => format!("{} {}", mx.preference, text(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, text(&srv.target)),
        RData::SOA(soa) => {
            let (mname, rname) = (text(&soa.mname), text(&soa.rname));
            let numbers =
                format!("{} {} {} {} {}", soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum);
            format!("{mname} {rname} {numbers}")
        }
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::CAA(caa) => {
            let value = String::from_utf8_lossy(&caa.value);
            format!("{} {} {value}", caa.flags(), caa.tag.to_ascii_lowercase())
        }
        _ => return None,
    })
}
