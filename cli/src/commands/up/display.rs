//! What `uptime up` shows: a live table below the events on a terminal, one line an event elsewhere.

use crate::output::{BAD, FAINT, GOOD, ODD, Printer, ms, rfc3339, span, state_style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use uptime_core::check::{CheckReport, Outcome, printable};
use uptime_engine::Activity;
use uptime_store::notifications::DeliveryEnd;
use uptime_store::reading::MonitorSummary;

/// The most monitors that the live table has a line for.
const LINES_MAX: usize = 30;

/// The most columns that a monitor's name takes in it.
const NAME_MAX: usize = 48;

/// Shows what happens.
pub struct Display {
    printer: Printer,
    table: Option<MultiProgress>,
    rows: Mutex<BTreeMap<String, Row>>,
    summary: ProgressBar,
    /// Whether checks begin late.
    behind: AtomicBool,
}

/// What is shown of a monitor.
struct Row {
    state: String,
    word: Option<&'static str>,
    latency: Option<String>,
    why: Option<String>,
    line: Option<ProgressBar>,
}

impl Display {
    pub fn new(monitors: Vec<MonitorSummary>, printer: &Printer) -> Self {
        let live = printer.is_terminal() && std::io::stderr().is_terminal() && !printer.is_json();
        let table = live.then(MultiProgress::new);
        let monitors: Vec<MonitorSummary> = monitors.into_iter().filter(|monitor| monitor.enabled).collect();
        let plural = if monitors.len() == 1 { "" } else { "s" };
        printer.note(format!("watching {} target{plural}; Ctrl-C stops", monitors.len()));
        let width = monitors.iter().map(|monitor| monitor.name.len()).max().unwrap_or(0).min(NAME_MAX);
        let mut rows = BTreeMap::new();
        for (number, monitor) in monitors.into_iter().enumerate() {
            let line = table.as_ref().filter(|_| number < LINES_MAX).map(|table| table.add(line()));
            let padded = format!("{:width$}", printable(&monitor.name, width));
            if let Some(line) = &line {
                line.set_prefix(padded);
                line.set_message(format!("{FAINT}first check to come{FAINT:#}"));
            }
            rows.insert(
                monitor.name,
                Row { state: monitor.state, word: None, latency: None, why: None, line },
            );
        }
        let summary = table.as_ref().map_or_else(ProgressBar::hidden, |table| table.add(line()));
        Self {
            printer: printer.clone(),
            table,
            rows: Mutex::new(rows),
            summary,
            behind: AtomicBool::new(false),
        }
    }

    /// Shows one thing that happened.
    pub fn show(&self, activity: &Activity) {
        match activity {
            Activity::Turned { .. } | Activity::Settled { .. } => {}
            Activity::Checked { monitor, report, .. } => self.checked(monitor, report),
            Activity::Opened { monitor, incident, severity, cause, started_at } => {
                let word = severity.as_str();
                self.set_state(monitor, word);
                let why = cause.as_ref().map(|cause| cause.message.as_str()).unwrap_or_default();
                let text = format!("{BAD}{word}{BAD:#}\t{monitor}\t{why}");
                self.event(&text, &json!({ "event": word, "monitor": monitor, "incident_id": incident, "cause": why, "started_at": rfc3339(*started_at) }));
            }
            Activity::Resolved { monitor, incident, started_at, ended_at } => {
                self.set_state(monitor, "up");
                let seconds = ended_at.duration_since(*started_at).as_secs().unsigned_abs();
                let text = format!("{GOOD}up{GOOD:#}\t{monitor}\twas down for {}", span(seconds));
                self.event(&text, &json!({ "event": "up", "monitor": monitor, "incident_id": incident, "duration_s": seconds }));
            }
            Activity::Delivery { channel, monitor, event, end } => {
                self.delivery(channel, monitor, event.as_str(), end);
            }
            Activity::FallingBehind { late, of, worst } => {
                self.behind.store(true, Ordering::Relaxed);
                let worst_s = worst.as_secs();
                let text =
                    format!("{ODD}behind{ODD:#}\t{late} of {of} checks began late, up to {}", span(worst_s));
                let json =
                    json!({ "event": "falling-behind", "late": late, "checks": of, "worst_s": worst_s });
                self.event(&text, &json);
            }
            Activity::KeepingUp => {
                self.behind.store(false, Ordering::Relaxed);
                self.event("keeping up again", &json!({ "event": "keeping-up" }));
            }
            Activity::Blind { host, why } => {
                let text = format!("{ODD}blind{ODD:#}\t{host}\t{why}");
                self.event(&text, &json!({ "event": "blind", "host": host, "message": why }));
            }
            Activity::Seeing { host, blind_for } => {
                let seconds = blind_for.as_secs();
                let text = format!("{GOOD}seeing{GOOD:#}\t{host}\twas blind for {}", span(seconds));
                self.event(&text, &json!({ "event": "seeing", "host": host, "duration_s": seconds }));
            }
            Activity::DatabaseAway { queue, reason } => {
                let text = format!("{ODD}database away{ODD:#}\t{queue}\t{reason}");
                self.event(&text, &json!({ "event": "database-away", "queue": queue, "reason": reason }));
            }
            Activity::DatabaseBack { queue } => {
                self.event(
                    &format!("database back\t{queue}"),
                    &json!({ "event": "database-back", "queue": queue }),
                );
            }
        }
    }

    /// Says that the end was asked for, and what it waits for.
    pub fn stopping(&self) {
        let text = format!("{FAINT}stopping: what runs may end; Ctrl-C again ends at once{FAINT:#}");
        self.event(&text, &json!({ "event": "stopping" }));
    }

    /// Ends the live table; what was known last stays on the screen.
    pub fn close(&self) {
        let Some(table) = &self.table else { return };
        // A terminal that can't be cleared keeps the table, too.
        let _ = table.clear();
        for row in self.rows.lock().unwrap_or_else(PoisonError::into_inner).values() {
            if let Some(line) = &row.line {
                self.printer.note(format!("{}  {}", line.prefix(), line.message()));
            }
        }
    }

    /// An event is shown when it tells something new: a monitor's first outcome, and each that differs from the last.
    fn checked(&self, monitor: &str, report: &CheckReport) {
        let word = report.word();
        let why = report.trouble().map(|trouble| trouble.message.clone());
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = rows.get_mut(monitor) else { return };
        let is_new = row.word.replace(word) != Some(word);
        // A down monitor is up when the judgement says so, not after one good check.
        if report.outcome() == Outcome::Up && row.state != "down" {
            word.clone_into(&mut row.state);
        }
        row.latency = Some(ms(report.total));
        row.why.clone_from(&why);
        row.draw();
        self.summarise(&rows);
        drop(rows);
        if is_new {
            let style = state_style(word);
            let why = why.unwrap_or_default();
            let text = format!("check {style}{word}{style:#}\t{monitor}\t{} ms\t{why}", ms(report.total));
            let total_ms = (report.total.as_secs_f64() * 1e6).round() / 1e3;
            self.event(text.trim_end(), &json!({ "event": "check", "monitor": monitor, "outcome": report.outcome(), "degraded": report.is_degraded(), "total_ms": total_ms, "message": why }));
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
        self.event(text.trim_end(), &json!({ "event": "delivery", "state": word, "type": event, "monitor": monitor, "channel": channel, "error": error }));
    }

    fn event(&self, text: &str, json: &Value) {
        let now = Timestamp::now();
        match &self.table {
            Some(table) => {
                let time = now.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
                drop(table.println(format!("{FAINT}{time}{FAINT:#} {}", text.replace('\t', "  "))));
            }
            None if self.printer.is_json() => {
                let mut json = json.clone();
                if let Value::Object(fields) = &mut json {
                    fields.insert("schema_version".into(), 1.into());
                    fields.insert("at".into(), rfc3339(now).into());
                }
                self.printer.json(&json);
            }
            None => self.printer.line(format!("{}\t{text}", rfc3339(now))),
        }
    }

    fn set_state(&self, monitor: &str, state: &str) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get_mut(monitor) {
            state.clone_into(&mut row.state);
            row.draw();
        }
        self.summarise(&rows);
    }

    fn summarise(&self, rows: &BTreeMap<String, Row>) {
        let count = |state: &str| rows.values().filter(|row| row.state == state).count();
        let more = rows.len().saturating_sub(LINES_MAX);
        let more = if more > 0 { format!(", {more} not shown") } else { String::new() };
        let late = if self.behind.load(Ordering::Relaxed) { "; checks begin late" } else { "" };
        let (up, degraded, down) = (count("up"), count("degraded"), count("down"));
        let as_well = if degraded > 0 { format!("{degraded} degraded, ") } else { String::new() };
        self.summary.set_message(format!(
            "{FAINT}{up} up, {as_well}{down} down, {} unknown{more}{late}; Ctrl-C stops{FAINT:#}",
            rows.len() - up - degraded - down
        ));
    }
}

impl Row {
    fn draw(&self) {
        let Some(line) = &self.line else { return };
        let style = state_style(&self.state);
        let latency = self.latency.as_deref().unwrap_or_default();
        let why = self.why.as_deref().unwrap_or_default();
        line.set_message(format!("{style}{:8}{style:#} {latency:>8} ms  {ODD}{why}{ODD:#}", self.state));
    }
}

fn line() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{prefix}  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}
