//! What `uptime up` shows: a live table below the events on a terminal, one line an event elsewhere.

use crate::output::{
    beside, formed, many, milliseconds, ms, plain, span, state_style, stderr_is_terminal, write_above,
};
use crate::prelude::*;
use indicatif::{MultiProgress, ProgressBar};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uptime_core::check::{CheckReport, Outcome};
use uptime_core::duration::elapsed;
use uptime_engine::Activity;
use uptime_store::notifications::DeliveryEnd;
use uptime_store::summaries::MonitorSummary;

/// The most columns that a monitor's name takes in the live table.
const NAME_MAX: usize = 48;

/// Above the table some lines of a low terminal stay for the events.
const EVENT_LINES: usize = 3;

const RANKS: u8 = 5;

pub struct Display {
    printer: Printer,
    rows: Mutex<Rows>,
    table: Option<Mutex<Table>>,
    /// Whether checks begin late.
    behind: AtomicBool,
}

/// All monitors by name.
#[derive(Default)]
struct Rows(BTreeMap<String, Row>);

struct Row {
    state: String,
    word: Option<&'static str>,
    latency: Option<String>,
    why: Option<String>,
}

/// The live table: as many lines as the terminal has room for, the summary below them.
struct Table {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
    summary: ProgressBar,
    name_width: usize,
}

impl Display {
    pub fn new(monitors: Vec<MonitorSummary>, printer: &Printer) -> Self {
        let live = printer.is_for_person() && stderr_is_terminal();
        let monitors: Vec<MonitorSummary> = monitors.into_iter().filter(|monitor| monitor.enabled).collect();
        printer.note(format!("watching {}; Ctrl-C stops", many(monitors.len(), "target")));
        let name_width = monitors.iter().map(|monitor| monitor.name.len()).max().unwrap_or(0).min(NAME_MAX);
        let mut rows = Rows::default();
        for monitor in monitors {
            rows.change(&monitor.name, |row| monitor.state.as_str().clone_into(&mut row.state));
        }
        let display = Self {
            printer: printer.clone(),
            table: live.then(|| Mutex::new(Table::new(name_width))),
            rows: Mutex::new(rows),
            behind: AtomicBool::new(false),
        };
        display.draw(&display.rows());
        display
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, rows: &Rows) {
        if let Some(table) = &self.table {
            let late = self.behind.load(Ordering::Relaxed);
            table.lock().unwrap_or_else(PoisonError::into_inner).draw(rows, late);
        }
    }

    pub fn show(&self, activity: &Activity) {
        match activity {
            Activity::Turned { .. } | Activity::Settled { .. } => {}
            Activity::Checked { monitor, report, .. } => self.checked(monitor, report),
            Activity::Opened { monitor, incident, severity, cause, started_at } => {
                let word = severity.as_str();
                self.set_state(monitor, word);
                let (why, at) = (cause.as_ref().map_or("", |cause| &cause.message), rfc3339(*started_at));
                let json =
                    json!({ "monitor": monitor, "incident_id": incident, "cause": why, "started_at": at });
                self.print_change(BAD, word, monitor, why, json);
            }
            Activity::Resolved { monitor, incident, started_at, ended_at } => {
                self.set_state(monitor, "up");
                let json = json!({ "monitor": monitor, "incident_id": incident });
                self.over("up", monitor, "down", elapsed(*started_at, *ended_at), json);
            }
            Activity::Delivery { channel, monitor, event, end } => {
                self.delivery(channel, monitor, event.as_str(), end);
            }
            Activity::FallingBehind { late, of, worst } => {
                self.behind.store(true, Ordering::Relaxed);
                let worst_s = worst.as_secs();
                let what = format!("{late} of {of} checks began late, up to {}", span(worst_s));
                let json = json!({ "late": late, "checks": of, "worst_s": worst_s });
                self.event("falling-behind", &format!("{ODD}behind{ODD:#}\t{what}"), json);
            }
            Activity::KeepingUp => {
                self.behind.store(false, Ordering::Relaxed);
                self.event("keeping-up", "keeping up again", json!({}));
            }
            Activity::Blind { host, why } => {
                self.print_change(ODD, "blind", host, why, json!({ "host": host, "message": why }));
            }
            Activity::Seeing { host, blind_for } => {
                self.over("seeing", host, "blind", *blind_for, json!({ "host": host }));
            }
            Activity::Stalled { queue, why } => {
                self.print_change(BAD, "stalled", queue, why, json!({ "queue": queue, "message": why }));
            }
            Activity::Running { queue, stalled_for } => {
                self.over("running", queue, "stalled", *stalled_for, json!({ "queue": queue }));
            }
            Activity::DatabaseAway { queue, reason, needs_operator } => {
                let style = if *needs_operator { BAD } else { ODD };
                let json = json!({ "queue": queue, "reason": reason });
                self.print_change(style, "database away", queue, reason, json);
            }
            Activity::DatabaseBack { queue } => {
                self.event("database-back", &format!("database back\t{queue}"), json!({ "queue": queue }));
            }
        }
    }

    /// That something is so now.
    fn print_change(&self, style: Style, word: &str, of: &str, why: &str, json: Value) {
        self.event(&word.replace(' ', "-"), &format!("{style}{word}{style:#}\t{of}\t{why}"), json);
    }

    /// That something is over, and how long it lasted.
    fn over(&self, word: &str, of: &str, was: &str, lasted: Duration, json: Value) {
        let json = with(json, json!({ "duration_s": lasted.as_secs() }));
        self.print_change(GOOD, word, of, &format!("was {was} for {}", span(lasted.as_secs())), json);
    }

    /// Says that the end was asked for, and what it waits for.
    pub fn stopping(&self) {
        let text = "stopping: waiting for running jobs (press Ctrl-C again to quit now)";
        self.event("stopping", &format!("{FAINT}{text}{FAINT:#}"), json!({}));
    }

    /// Ends the live table; what was known last stays on the screen.
    pub fn close(&self) {
        if let Some(table) = &self.table {
            for line in table.lock().unwrap_or_else(PoisonError::into_inner).close() {
                self.printer.note(line);
            }
        }
    }

    /// An event is shown when it tells something new: a monitor's first outcome, and each that differs from the last.
    fn checked(&self, monitor: &str, report: &CheckReport) {
        let word = report.word();
        let why = report.trouble().map(|trouble| trouble.message.clone());
        let mut rows = self.rows();
        let mut is_new = false;
        rows.change(monitor, |row| {
            is_new = row.word.replace(word) != Some(word);
            // A down monitor is up when the judgement says so, not after one good check.
            if report.outcome() == Outcome::Up && row.state != "down" {
                word.clone_into(&mut row.state);
            }
            row.latency = report.latency().map(ms);
            row.why.clone_from(&why);
        });
        self.draw(&rows);
        drop(rows);
        if is_new {
            let style = state_style(word);
            let why = why.unwrap_or_default();
            let latency = report.latency().map(|latency| format!("{} ms", ms(latency))).unwrap_or_default();
            let text = format!("check {style}{word}{style:#}\t{monitor}\t{latency}\t{why}");
            let json = json!({
                "monitor": monitor, "outcome": report.outcome(), "degraded": report.is_degraded(),
                "latency_ms": report.latency().map(milliseconds), "total_ms": milliseconds(report.total),
                "message": why,
            });
            self.event("check", text.trim_end(), json);
        }
    }

    fn delivery(&self, channel: &str, monitor: &str, event: &str, end: &DeliveryEnd) {
        let (word, style, error) = match end {
            DeliveryEnd::Delivered { .. } => ("delivered", GOOD, ""),
            DeliveryEnd::Retry { error, .. } => ("will be tried again", ODD, error.as_str()),
            DeliveryEnd::Failed { error, .. } => ("failed", BAD, error.as_str()),
            DeliveryEnd::Muted { reason } => ("muted", FAINT, *reason),
            DeliveryEnd::Waits { reason, .. } => ("waits", FAINT, reason.as_str()),
        };
        let text = format!("{style}{word}{style:#}\t{event} of {monitor} to {channel}\t{error}");
        let json = json!({
            "state": word, "type": event, "monitor": monitor, "channel": channel, "error": error,
        });
        self.event("delivery", text.trim_end(), json);
    }

    fn event(&self, event: &str, text: &str, json: Value) {
        let now = Timestamp::now();
        if self.table.is_some() {
            let time = now.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
            let text = beside(time.len() + 1, &text.replace('\t', "  "));
            self.printer.note(format!("{FAINT}{time}{FAINT:#} {text}"));
        } else {
            let at = rfc3339(now);
            let line = || self.printer.line(format!("{at}\t{text}"));
            self.printer.answer(with(json, json!({ "event": event, "at": at })), line);
        }
    }

    fn set_state(&self, monitor: &str, state: &str) {
        let mut rows = self.rows();
        rows.change(monitor, |row| state.clone_into(&mut row.state));
        self.draw(&rows);
    }
}

impl Rows {
    fn change(&mut self, monitor: &str, change: impl FnOnce(&mut Row)) {
        let new = || Row { state: "unknown".into(), word: None, latency: None, why: None };
        change(self.0.entry(monitor.to_owned()).or_insert_with(new));
    }

    fn worst_first(&self) -> impl Iterator<Item = (&String, &Row)> {
        (0..RANKS).flat_map(|rank| self.0.iter().filter(move |(_, row)| row.rank() == rank))
    }

    fn summary(&self, shown: usize, late: bool) -> String {
        let count = |state: &str| self.0.values().filter(|row| row.state == state).count();
        let (all, up, degraded, down) = (self.0.len(), count("up"), count("degraded"), count("down"));
        let as_well = if degraded > 0 { format!("{degraded} degraded, ") } else { String::new() };
        let more = if all > shown { format!(", {} not shown", all - shown) } else { String::new() };
        let late = if late { "; checks begin late" } else { "" };
        let unknown = all - up - degraded - down;
        format!("{FAINT}{up} up, {as_well}{down} down, {unknown} unknown{more}{late}; Ctrl-C stops{FAINT:#}")
    }
}

impl Row {
    /// What needs a person comes first: one of [`RANKS`].
    fn rank(&self) -> u8 {
        match (self.state.as_str(), self.word) {
            ("down", _) => 0,
            (_, Some("down")) => 1,
            ("degraded", _) => 2,
            ("up", _) => 4,
            _ => 3,
        }
    }

    fn shown(&self) -> String {
        if self.word.is_none() {
            return format!("{FAINT}first check to come{FAINT:#}");
        }
        let style = state_style(&self.state);
        let latency = self.latency.as_ref().map(|latency| format!("{latency} ms")).unwrap_or_default();
        let why = self.why.as_deref().unwrap_or_default();
        format!("{style}{:8}{style:#} {latency:>11}  {ODD}{}{ODD:#}", self.state, plain(why))
    }
}

impl Table {
    fn new(name_width: usize) -> Self {
        let all = MultiProgress::new();
        write_above(Some(all.clone()));
        let summary = all.add(line());
        Self { all, lines: Vec::new(), summary, name_width }
    }

    fn draw(&mut self, rows: &Rows, late: bool) {
        let room = room(console::Term::stderr().size().0.into(), rows.0.len());
        while self.lines.len() > room {
            if let Some(line) = self.lines.pop() {
                self.all.remove(&line);
            }
        }
        while self.lines.len() < room {
            self.lines.push(self.all.insert_before(&self.summary, line()));
        }
        for (line, (name, row)) in self.lines.iter().zip(rows.worst_first()) {
            let width = self.name_width;
            let (prefix, message) = (format!("{:width$}", printable(name, width)), row.shown());
            if line.prefix() != prefix {
                line.set_prefix(prefix);
            }
            if line.message() != message {
                line.set_message(message);
            }
        }
        self.summary.set_message(rows.summary(room, late));
    }

    /// The lines as they were last.
    fn close(&self) -> Vec<String> {
        write_above(None);
        // A terminal that can't be cleared keeps the table, too.
        let _ = self.all.clear();
        self.lines.iter().map(|line| format!("{}  {}", line.prefix(), line.message())).collect()
    }
}

/// How many of the monitors a terminal of this height shows: the summary has its line, and so have some events.
fn room(height: usize, monitors: usize) -> usize {
    height.saturating_sub(1 + EVENT_LINES).max(1).min(monitors)
}

fn line() -> ProgressBar {
    formed(ProgressBar::new_spinner(), "{prefix}  {wide_msg}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_person_is_shown_first() {
        let mut rows = Rows::default();
        for (name, state, word) in [
            ("a", "up", Some("up")),
            ("b", "unknown", None),
            ("c", "degraded", Some("degraded")),
            ("d", "up", Some("down")),
            ("e", "down", Some("down")),
            ("f", "down", Some("up")),
        ] {
            rows.change(name, |row| (row.state, row.word) = (state.into(), word));
        }
        let order = |rows: &Rows| rows.worst_first().map(|(name, _)| name.as_str()).collect::<String>();
        assert_eq!(order(&rows), "efdcba");
        let counts = "2 up, 1 degraded, 2 down, 1 unknown, 4 not shown; checks begin late";
        assert!(rows.summary(2, true).contains(counts), "{}", rows.summary(2, true));
        rows.change("e", |row| (row.state, row.word) = ("up".into(), Some("up")));
        assert_eq!(order(&rows), "fdcbae");
    }

    #[test]
    fn the_summary_and_some_events_have_their_lines() {
        for (height, monitors, shown) in [(24, 800, 20), (24, 3, 3), (24, 0, 0), (5, 800, 1), (1, 800, 1)] {
            assert_eq!(room(height, monitors), shown, "{height} {monitors}");
        }
    }
}
