//! `uptime check --nagios`: a drop-in for the monitoring plugins.
//!
//! One line on stdout, `HTTP OK - … | time=…`, as the plugins' development guidelines have it: performance data after a
//! bar, `label=value[unit];warning;critical;minimum;maximum`, exit code 0, 1, 2 or 3. With several targets the first line
//! sums up, and one for each follows.

use super::{Checked, display};
use crate::prelude::*;
use uptime_core::check::Outcome;
use uptime_core::monitor::{CertificateDays, CheckSpec};

/// What a plugin says; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl State {
    fn of(checked: &Checked) -> Self {
        match checked.report.outcome() {
            Outcome::Up if checked.report.is_degraded() => Self::Warning,
            Outcome::Up => Self::Ok,
            Outcome::Down => Self::Critical,
            Outcome::Inconclusive => Self::Unknown,
        }
    }

    /// Its word, and its code. The codes are Nagios'; 1 and 2 mean something else everywhere else.
    fn shown(self) -> (&'static str, Exit) {
        match self {
            Self::Ok => ("OK", Exit::Ok),
            Self::Warning => ("WARNING", Exit::No),
            Self::Critical => ("CRITICAL", Exit::Usage),
            Self::Unknown => ("UNKNOWN", Exit::Unknown),
        }
    }
}

pub(super) fn print(all: &[Checked], printer: &Printer) -> Exit {
    let worst = all.iter().map(State::of).max().unwrap_or(State::Unknown);
    if let [only] = all {
        printer.line(with_data(text(only, false), &performance(only, None)));
        return worst.shown().1;
    }
    let well = all.iter().filter(|checked| State::of(checked) == State::Ok).count();
    let mut first = format!("UPTIME {} - {well} of {} ok", worst.shown().0, all.len());
    if let Some(bad) = all.iter().find(|checked| State::of(checked) == worst && worst != State::Ok) {
        first = format!("{first}, {}: {}", plain(&bad.subject.shown), why(bad));
    }
    let performance: Vec<String> =
        all.iter().flat_map(|checked| performance(checked, Some(&checked.subject.shown))).collect();
    printer.line(with_data(first, &performance));
    printer.lines(all.iter().map(|checked| text(checked, true)));
    worst.shown().1
}

/// A bar without anything behind it is no performance data.
fn with_data(line: String, performance: &[String]) -> String {
    if performance.is_empty() { line } else { format!("{line} | {}", performance.join(" ")) }
}

/// A command line that can't be done is `UNKNOWN`, as plugins do it.
pub(super) fn refuse(error: &CommandError, printer: &Printer) -> Exit {
    printer.line(format!("UPTIME UNKNOWN - {}", plain(&error.message)));
    printer.error(error);
    State::Unknown.shown().1
}

fn text(checked: &Checked, with_target: bool) -> String {
    let kind = checked.subject.spec.kind().to_uppercase();
    let target = if with_target { format!("{}: ", plain(&checked.subject.shown)) } else { String::new() };
    format!("{kind} {} - {target}{}", State::of(checked).shown().0, why(checked))
}

/// What is to be said, without what steers Nagios.
fn why(checked: &Checked) -> String {
    plain(&display::why(checked))
}

/// A bar would begin the performance data.
fn plain(text: &str) -> String {
    printable(&text.replace('|', "¦"), 500)
}

/// The performance data; `of` begins each label.
fn performance(checked: &Checked, of: Option<&str>) -> Vec<String> {
    let label = |name: &str| match of {
        // In quotes, and without what ends them or the label.
        Some(of) => format!("'{} {name}'", plain(of).replace(['\'', '='], "_")),
        None => name.to_owned(),
    };
    let limit = |limit: Option<Duration>| limit.map(seconds).unwrap_or_default();
    let timeout = seconds(checked.subject.timeout);
    let mut data = Vec::new();
    let [degraded, below] = checked.subject.spec.latency();
    if let CheckSpec::Ping(ping) = &checked.subject.spec {
        if let Some(echoes) = checked.report.echoes {
            let ms = |limit: Option<Duration>| limit.map(millis).unwrap_or_default();
            if let Some(trips) = echoes.round_trips {
                let (warning, critical, rta) = (ms(degraded), ms(below), millis(trips.mean));
                data.push(format!("{}={rta}ms;{warning};{critical};0", label("rta")));
                for (name, trip) in [("rtmin", trips.min), ("rtmax", trips.max), ("jitter", trips.jitter)] {
                    data.push(format!("{}={}ms;;;0", label(name), millis(trip)));
                }
            }
            let warning = ping.loss_degraded.map(|loss| loss.to_string()).unwrap_or_default();
            let lost = display::loss(echoes);
            data.push(format!("{}={lost}%;{warning};{};0;100", label("pl"), ping.loss_below));
        }
        return data;
    }
    let total = seconds(checked.report.total);
    data.push(format!("{}={total}s;{};{};0;{timeout}", label("time"), limit(degraded), limit(below)));
    let phases = checked.report.phases();
    for (name, took) in [
        ("time_dns", phases.dns),
        ("time_connect", phases.connect),
        ("time_ssl", phases.tls),
        ("time_firstbyte", phases.first_byte),
        ("time_transfer", phases.transfer),
    ] {
        data.extend(took.map(|took| format!("{}={}s;;;0;{timeout}", label(name), seconds(took))));
    }
    if let (CheckSpec::Http(http), Some(bytes)) = (&checked.subject.spec, checked.report.body_bytes()) {
        let limit = http.expect.size_below.map(|limit| limit.to_string()).unwrap_or_default();
        data.push(format!("{}={bytes}B;;{limit};0", label("size")));
    }
    if let Some(left) = display::days_left(checked) {
        let CertificateDays { warning, critical } =
            checked.subject.spec.certificate_days().unwrap_or_default();
        // A range that is left downwards.
        let range = |days: Option<u16>| days.map(|days| format!("{days}:")).unwrap_or_default();
        data.push(format!("{}={left};{};{};;", label("certificate_days"), range(warning), range(critical)));
    }
    data
}

fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}

fn millis(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64() * 1e3)
}
