//! `uptime check --count N --interval D`: again and again, one line each, and a summary at the end or after Ctrl-C.
//!
//! The exit code is that of the worst check: somebody who watches for a minute wants to know of the one that failed.

use super::{CheckTarget, Checked, Runner, display, ended, exit};
use crate::args::CheckArgs;
use crate::output::{many, milliseconds, ms, state_style};
use crate::prelude::*;
use crate::runtime::signals;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};
use uptime_core::check::Outcome;

/// From one round to the next, when nobody says it; as `ping` does it.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(
    args: &CheckArgs,
    runner: &Runner,
    subjects: &[Arc<CheckTarget>],
    printer: &Printer,
) -> Result<Exit> {
    let whole = printer.is_json() && !printer.streams();
    if whole && args.count.is_none() {
        return Err(usage_error("`--format json` is one answer, and without `--count` there is no end")
            .hint("write `--format ndjson`, or add `--count N`"));
    }
    let interval = args.interval.unwrap_or(INTERVAL);
    let stop = signals::stop()?;
    let mut tallies: Vec<Counts> = subjects.iter().map(|_| Counts::default()).collect();
    let (mut kept, mut outcomes) = (Vec::new(), Vec::new());
    let mut round = 0;
    let mut due = Instant::now();
    while args.count.is_none_or(|count| round < count) && printer.is_read() {
        if stop.run_until_cancelled(sleep_until(due)).await.is_none() {
            break;
        }
        // A round that took longer than the interval moves those after it.
        due = (due + interval).max(Instant::now());
        round += 1;
        for (running, counts) in runner.begin(subjects).into_iter().zip(&mut tallies) {
            let abort = running.abort_handle();
            let checked = tokio::select! {
                // A check that is cut off says nothing of its target, and is not counted.
                () = stop.cancelled() => { abort.abort(); continue; }
                checked = ended(running) => checked?,
            };
            counts.add(&checked);
            outcomes.push(checked.report.outcome());
            outcomes.sort_unstable_by_key(|outcome| *outcome as u8);
            outcomes.dedup();
            if printer.streams() {
                display::list(printer, &[checked]);
            } else if whole {
                kept.push(display::json(&checked));
            } else {
                printer.line(line(&checked, printer));
            }
        }
    }
    let summary: Vec<Value> =
        subjects.iter().zip(&tallies).map(|(subject, counts)| counts.json(&subject.shown)).collect();
    if whole {
        printer.object(json!({ "checks": kept, "summary": summary }));
    } else if printer.streams() {
        printer.object(json!({ "summary": summary }));
    } else {
        for (subject, counts) in subjects.iter().zip(&tallies) {
            let text = counts.text(&subject.shown);
            // A pipe has lines of data alone.
            if printer.is_terminal() { printer.line(text) } else { printer.note(text) }
        }
    }
    Ok(exit(&outcomes))
}

fn line(checked: &Checked, printer: &Printer) -> String {
    let (word, why) = (checked.report.word(), display::why(checked));
    let (shown, took) = (&checked.subject.shown, checked.report.latency().map(ms).unwrap_or_default());
    if !printer.is_terminal() {
        return [&rfc3339(checked.at), word, shown, &took, &why].join("\t");
    }
    let style = state_style(word);
    let time = checked.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
    format!("{FAINT}{time}{FAINT:#}  {style}{word:12}{style:#}  {shown}  {why}")
}

/// What came of all checks of one target.
#[derive(Debug, Default)]
struct Counts {
    checks: u64,
    up: u64,
    degraded: u64,
    down: u64,
    /// Of those that were up: the shortest, all together, the longest.
    times: Option<(Duration, Duration, Duration)>,
}

impl Counts {
    fn add(&mut self, checked: &Checked) {
        let report = &checked.report;
        self.checks += 1;
        match report.outcome() {
            Outcome::Up => self.up += 1,
            Outcome::Down => self.down += 1,
            Outcome::Inconclusive => {}
        }
        self.degraded += u64::from(report.is_degraded());
        if let (Outcome::Up, Some(took)) = (report.outcome(), report.latency()) {
            self.times = Some(match self.times {
                None => (took, took, took),
                Some((min, sum, max)) => (min.min(took), sum + took, max.max(took)),
            });
        }
    }

    /// The shortest, the mean, the longest.
    fn of_those_up(&self) -> Option<[Duration; 3]> {
        let (min, sum, max) = self.times?;
        let up = u32::try_from(self.up).unwrap_or(u32::MAX).max(1);
        Some([min, sum / up, max])
    }

    fn text(&self, target: &str) -> String {
        let degraded =
            if self.degraded > 0 { format!(" ({} degraded)", self.degraded) } else { String::new() };
        let unknown = self.checks - self.up - self.down;
        let unknown = if unknown > 0 { format!(", {unknown} inconclusive") } else { String::new() };
        let times = self.of_those_up().map_or_else(String::new, |times| {
            let [min, mean, max] = times.map(ms);
            format!("; min {min}, mean {mean}, max {max} ms")
        });
        let (checks, up, down) = (many(self.checks, "check"), self.up, self.down);
        format!("{target}: {checks}, {up} up{degraded}, {down} down{unknown}{times}")
    }

    fn json(&self, target: &str) -> Value {
        let [min, mean, max] = match self.of_those_up() {
            Some(times) => times.map(|took| Some(milliseconds(took))),
            None => [None; 3],
        };
        json!({
            "target": target, "checks": self.checks, "up": self.up, "degraded": self.degraded, "down": self.down,
            "inconclusive": self.checks - self.up - self.down, "min_ms": min, "mean_ms": mean, "max_ms": max,
        })
    }
}
