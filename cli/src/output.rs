//! The one owner of stdout and stderr: answers as text, JSON or NDJSON, errors with their hints, spinners on a terminal.
//!
//! stdout is data, stderr is everything else. On a terminal tables are aligned and times relative; in a pipe columns
//! are tab-separated, times RFC 3339, and nothing is cut off.

use crate::args::{Color, Format, Global};
use crate::exit::{CommandError, Exit};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const ODD: Style = AnsiColor::Yellow.on_default();
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub const FAINT: Style = Style::new().dimmed();

/// Writes what a command has to say.
#[derive(Clone, Debug)]
pub struct Printer {
    format: Format,
    terminal: bool,
    /// Why stdout could not be written, if so.
    failed: Arc<Mutex<Option<std::io::Error>>>,
}

/// One thing of a list, for programs and for people.
#[derive(Clone, Debug)]
pub struct Entry {
    pub json: Value,
    pub cells: Vec<Cell>,
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

#[expect(
    clippy::unused_self,
    reason = "stdout and stderr are the printer's, whether it looks at itself or not"
)]
impl Printer {
    pub fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let format = global.format.unwrap_or(if global.json { Format::Json } else { Format::Text });
        Self { format, terminal: std::io::stdout().is_terminal(), failed: Arc::default() }
    }

    /// Whether a program reads the answer.
    pub fn is_json(&self) -> bool {
        self.format != Format::Text
    }

    /// Whether each thing is written by itself.
    pub fn streams(&self) -> bool {
        self.format == Format::Ndjson
    }

    /// Whether a person sees stdout.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of data.
    pub fn line(&self, line: impl AsRef<str>) {
        if let Err(error) = writeln!(anstream::stdout(), "{}", line.as_ref()) {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    /// Whether all of the answer was written. A reader that went away has what it wanted.
    pub fn finish(&self) -> Result<(), CommandError> {
        let flushed = anstream::stdout().flush().err();
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failed.or(flushed) {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(CommandError::new(Exit::TryAgain, format!("the answer can't be written: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// A line for the person at the terminal, on stderr.
    pub fn note(&self, line: impl AsRef<str>) {
        let _ = writeln!(anstream::stderr(), "{}", line.as_ref());
    }

    /// `error: …` and `hint: …`.
    pub fn error(&self, error: &CommandError) {
        if let Some(json) = error.json.as_ref().filter(|_| self.is_json()) {
            self.json(json);
        }
        let mut stderr = anstream::stderr();
        if let Some(rendered) = &error.rendered {
            let _ = write!(stderr, "{rendered}");
            return;
        }
        let _ = writeln!(stderr, "{BAD}error:{BAD:#} {}", error.message);
        if let Some(hint) = &error.hint {
            let _ = writeln!(stderr, "{HINT}hint:{HINT:#} {hint}");
        }
    }

    /// `warning: …`.
    pub fn warning(&self, message: impl AsRef<str>) {
        self.note(format!("{ODD}warning:{ODD:#} {}", message.as_ref()));
    }

    /// A list: JSON as `{"schema_version": 1, "<name>": […]}`, NDJSON as a line for each, text as a table.
    pub fn list(&self, name: &str, headers: &[&str], entries: Vec<Entry>) {
        match self.format {
            Format::Json => {
                let items: Vec<Value> = entries.into_iter().map(|entry| entry.json).collect();
                self.json(&json!({ "schema_version": 1, name: items }));
            }
            Format::Ndjson => {
                for mut entry in entries {
                    if let Value::Object(fields) = &mut entry.json {
                        fields.insert("schema_version".into(), 1.into());
                    }
                    self.json(&entry.json);
                }
            }
            Format::Text => self.table(headers, entries.into_iter().map(|entry| entry.cells).collect()),
        }
    }

    /// A JSON object on one line.
    pub fn json(&self, value: &Value) {
        self.line(value.to_string());
    }

    fn table(&self, headers: &[&str], rows: Vec<Vec<Cell>>) {
        if !self.terminal {
            for row in rows {
                self.line(row.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join("\t"));
            }
            return;
        }
        if rows.is_empty() {
            return;
        }
        let mut all =
            vec![headers.iter().map(|header| Cell::styled(header.to_uppercase(), FAINT)).collect::<Vec<_>>()];
        all.extend(rows);
        let columns = headers.len();
        let width = |column: usize| {
            all.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &all {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let style = cell.style;
                let _ = write!(line, "{style}{}{style:#}", cell.text);
                if column + 1 < row.len() {
                    line.push_str(&" ".repeat(widths[column].saturating_sub(cell.text.width()) + 2));
                }
            }
            self.line(line);
        }
    }

    /// An instant: `3 min ago` for a person, RFC 3339 for a program.
    pub fn time(&self, at: Option<Timestamp>) -> String {
        match at {
            None => "–".into(),
            Some(at) if self.terminal => ago(at, Timestamp::now()),
            Some(at) => rfc3339(at),
        }
    }

    /// A spinner on stderr, on a terminal; elsewhere each step is a line.
    pub fn steps(&self) -> Steps {
        if !std::io::stderr().is_terminal() {
            return Steps { bar: None, printer: self.clone() };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Steps { bar: Some(bar), printer: self.clone() }
    }
}

/// What a command does before it can begin, step by step.
#[derive(Debug)]
pub struct Steps {
    bar: Option<ProgressBar>,
    printer: Printer,
}

impl Steps {
    pub fn step(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.printer.note(what),
        }
    }

    pub fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// UTC with milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// How long ago, in the largest unit.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    if seconds < 0 {
        return format!("in {}", span(seconds.unsigned_abs()));
    }
    if seconds == 0 { "now".into() } else { format!("{} ago", span(seconds.unsigned_abs())) }
}

/// A span in its largest unit: `12 s`, `4 min`, `3 h`, `2 d`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Milliseconds with one decimal: `12.3`.
pub fn ms(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() * 1e3)
}

/// The colour of an outcome or a state.
pub fn state_style(state: &str) -> Style {
    match state {
        "up" => GOOD,
        "down" => BAD,
        _ => ODD,
    }
}
