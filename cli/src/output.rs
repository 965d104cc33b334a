//! The one owner of stdout and stderr: answers as text, JSON or NDJSON, errors with their hints, spinners on a terminal.
//!
//! stdout is data, stderr is everything else. On a terminal tables are aligned and times relative; in a pipe columns
//! are tab-separated, times RFC 3339, and nothing is cut off. Whatever is written passes [`safe`]: nobody else may write
//! to stdout or stderr (clippy refuses it).

mod safe;
mod table;

pub use safe::{LogWriter, plain};
pub use table::Cell;

use crate::args::{Color, Format, Global};
use crate::exit::{CommandError, Exit, Result};
use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::{Display, Write as _};
use std::io::{IsTerminal, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use table::aligned;

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

/// A column of a list: its header, and what a row has there.
pub type Column<T> = (&'static str, fn(&T, &Printer) -> Cell);

/// What there is to say of one thing, by name; `None`: nothing.
pub type Facts = Vec<(&'static str, Option<String>)>;

#[expect(clippy::disallowed_methods, reason = "the one place that writes")]
fn stdout() -> anstream::AutoStream<std::io::Stdout> {
    anstream::stdout()
}

#[expect(clippy::disallowed_methods, reason = "the one place that writes")]
fn stderr() -> anstream::AutoStream<std::io::Stderr> {
    anstream::stderr()
}

/// A line of data where the arguments that make a [`Printer`] can't be read.
pub fn answer(line: &str) {
    // Who can't be written to can't be told so either.
    let _ = writeln!(stdout(), "{}", safe::styled(line));
}

/// The live table on stderr.
static TABLE: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// From now on lines on stderr go above this table; written over it they would leave a copy of it behind.
pub fn write_above(table: Option<MultiProgress>) {
    *TABLE.lock().unwrap_or_else(PoisonError::into_inner) = table;
}

/// Writes to stderr without ending the line: a question, or what a tool of the user's said.
pub fn say(text: &str) -> std::io::Result<()> {
    if let Some(table) = &*TABLE.lock().unwrap_or_else(PoisonError::into_inner) {
        return table.println(safe::styled(text));
    }
    let mut stderr = stderr();
    write!(stderr, "{}", safe::styled(text))?;
    stderr.flush()
}

#[expect(clippy::disallowed_methods, reason = "it is looked at, not written to")]
pub fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

#[expect(clippy::disallowed_methods, reason = "it is looked at, not written to")]
pub fn stderr_has_color() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
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
        Self { format, terminal: stdout().is_terminal(), failed: Arc::default() }
    }

    /// Whether a program reads the answer.
    pub fn is_json(&self) -> bool {
        self.format != Format::Text
    }

    /// Whether each thing is written by itself.
    pub fn streams(&self) -> bool {
        self.format == Format::Ndjson
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether a person reads the answer.
    pub fn is_for_person(&self) -> bool {
        self.terminal && !self.is_json()
    }

    /// One line of data.
    pub fn line(&self, line: impl AsRef<str>) {
        self.write(&safe::styled(line.as_ref()));
    }

    pub fn lines(&self, lines: impl IntoIterator<Item = impl AsRef<str>>) {
        lines.into_iter().for_each(|line| self.line(line));
    }

    /// Text that came from outside (a plugin, a provider, a target): as [`Printer::line`], and without any style.
    pub fn outside(&self, text: impl AsRef<str>) {
        self.write(&safe::plain(text.as_ref()));
    }

    fn write(&self, line: &str) {
        if let Err(error) = writeln!(stdout(), "{line}") {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    /// Whether somebody still reads what is written.
    pub fn is_read(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Whether all of the answer was written. A reader that went away has what it wanted.
    pub fn finish(&self) -> Result<()> {
        let flushed = stdout().flush().err();
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
        let _ = say(&format!("{}\n", line.as_ref()));
    }

    pub fn error(&self, error: &CommandError) {
        if let Some(json) = error.json.clone().filter(|_| self.is_json()) {
            self.object(json);
        }
        if let Some(rendered) = &error.rendered {
            let _ = say(rendered);
            return;
        }
        self.note(labelled(BAD, "error", &safe::plain(&error.message)));
        if let Some(hint) = &error.hint {
            self.note(hint_line(&safe::plain(hint)));
        }
    }

    pub fn warning(&self, message: impl AsRef<str>) {
        self.note(labelled(ODD, "warning", message.as_ref()));
    }

    /// `hint: …`, for the person at the terminal; nothing elsewhere.
    pub fn hint(&self, hint: impl AsRef<str>) {
        if self.is_for_person() {
            self.note(hint_line(hint.as_ref()));
        }
    }

    /// What a person is told below a list: that it is empty, or how to go on.
    pub fn below_list(&self, empty: &str, hint: Option<String>) {
        match hint {
            Some(hint) => self.hint(hint),
            None if self.is_for_person() => self.note(empty),
            None => {}
        }
    }

    /// A list: JSON as `{"schema_version": 1, "<name>": […]}`, NDJSON as a line for each, text as a table.
    pub fn list<T>(&self, name: &str, columns: &[Column<T>], rows: &[T], json: impl Fn(&T) -> Value) {
        match self.format {
            Format::Json => self.object(json!({ name: rows.iter().map(json).collect::<Vec<_>>() })),
            Format::Ndjson => rows.iter().for_each(|row| self.object(json(row))),
            Format::Text => self.table(columns, rows),
        }
    }

    /// An answer: an object for a program, else what `text` writes.
    pub fn answer(&self, json: Value, text: impl FnOnce()) {
        if self.is_json() { self.object(json) } else { text() }
    }

    /// What a command did: an object, columns in a pipe, or a sentence for a person.
    pub fn done(&self, json: Value, columns: impl AsRef<str>, sentence: impl AsRef<str>) {
        self.answer(json, || self.line(if self.terminal { sentence.as_ref() } else { columns.as_ref() }));
    }

    /// As [`Printer::done`], of several things: JSON is a list of this name.
    pub fn each_done(&self, name: &str, done: &[(Value, String, String)]) {
        if self.is_json() {
            self.list(name, &[], done, |(json, ..)| json.clone());
        } else {
            for (json, columns, sentence) in done {
                self.done(json.clone(), columns, sentence);
            }
        }
    }

    /// An object on one line, with the version of its schema.
    pub fn object(&self, mut fields: Value) {
        fields["schema_version"] = 1.into();
        self.write(&safe::json(&fields.to_string()));
    }

    fn table<T>(&self, columns: &[Column<T>], rows: &[T]) {
        if self.terminal {
            self.rows(columns, rows).into_iter().for_each(|line| self.line(line));
            return;
        }
        for row in rows {
            let cells: Vec<Cell> = columns.iter().map(|(_, cell)| cell(row, self)).collect();
            self.line(cells.iter().map(Cell::text).collect::<Vec<_>>().join("\t"));
        }
    }

    /// A table as a terminal shows it.
    pub fn rows<T>(&self, columns: &[Column<T>], rows: &[T]) -> Vec<String> {
        let cells = |row| columns.iter().map(|(_, cell)| cell(row, self)).collect();
        let headers: Vec<&str> = columns.iter().map(|(header, _)| *header).collect();
        aligned(&headers, &rows.iter().map(cells).collect::<Vec<_>>(), line_width())
    }

    /// An instant: `3 min ago` for a person, RFC 3339 for a program.
    pub fn time(&self, at: Option<Timestamp>) -> String {
        match at {
            None => "–".into(),
            Some(at) if self.terminal => ago(at, Timestamp::now()),
            Some(at) => rfc3339(at),
        }
    }

    /// An instant of one thing: for a person also how long ago it was.
    pub fn instant(&self, at: Timestamp, now: Timestamp) -> String {
        if self.terminal { format!("{} ({})", ago(at, now), rfc3339(at)) } else { rfc3339(at) }
    }

    /// One thing: on a terminal `title` and its facts; in a pipe the facts, those that the title says first.
    pub fn details(&self, title: &str, said: &[(&str, &str)], width: usize, facts: Facts) {
        if self.terminal {
            self.line(title);
        } else {
            self.lines(said.iter().map(|(name, value)| format!("{name}\t{value}")));
        }
        for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            self.fact(width, name, &value);
        }
    }

    /// A name, padded to `width`, and a value on as many lines as it needs; in a pipe two columns.
    pub fn fact(&self, width: usize, name: &str, value: &str) {
        if self.terminal {
            self.line(format!("  {FAINT}{name:<width$}{FAINT:#} {}", beside(width + 3, value)));
        } else {
            self.line(format!("{name}\t{value}"));
        }
    }

    /// A number: `1,204,312` for a person, `1204312` for a program.
    pub fn number(&self, number: i64) -> String {
        if self.terminal { grouped(number) } else { number.to_string() }
    }

    /// A bar on stderr for so many things to do, on a terminal and where there are many; elsewhere nothing is shown.
    pub fn progress(&self, what: &str, total: u64) -> ProgressBar {
        if total < PROGRESS_LEAST || !stderr_is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total).with_message(what.to_owned());
        formed(bar, "{msg} {bar:30.cyan/dim} {human_pos} of {human_len} {eta:.dim}")
    }

    /// A picture that is drawn again and again in the same place, where a person sees it; `None` elsewhere.
    pub fn live(&self) -> Option<Live> {
        self.is_for_person().then(|| Live { terminal: console::Term::buffered_stdout(), drawn: 0 })
    }

    /// A spinner on stderr, on a terminal; elsewhere each step is a line. Those that are not `shown` are seen nowhere.
    pub fn steps(&self, shown: bool) -> Steps {
        if !shown || !stderr_is_terminal() {
            return Steps { bar: None, printer: shown.then(|| self.clone()) };
        }
        let bar = formed(ProgressBar::new_spinner(), "{spinner:.cyan} {msg} {elapsed:.dim}");
        bar.enable_steady_tick(Duration::from_millis(100));
        Steps { bar: Some(bar), printer: None }
    }
}

/// `bar` as `template` has it.
pub fn formed(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) { bar.with_style(style) } else { bar }
}

pub fn hint_line(hint: &str) -> String {
    labelled(HINT, "hint", hint)
}

/// `label: text`. On a terminal lines end between words, and a command that can be pasted stays on one line.
fn labelled(style: Style, label: &str, text: &str) -> String {
    let before = label.len() + 2;
    let room = if stderr_is_terminal() { usize::from(console::Term::stderr().size().1) } else { usize::MAX };
    format!("{style}{label}:{style:#} {}", wrapped(before, room.saturating_sub(before).max(CUT_LEAST), text))
}

/// From how many things to do on, a person likes to see how far it has come.
const PROGRESS_LEAST: u64 = 2_000;

/// Lines on stdout that are drawn in place of those that were drawn before. Between two pictures the cursor rests at the
/// beginning of the line below, where the `^C` that a terminal writes by itself breaks nothing.
#[derive(Debug)]
pub struct Live {
    terminal: console::Term,
    drawn: usize,
}

impl Live {
    /// Draws these lines. Where the terminal is too low for all, the last one is among those that are seen.
    pub fn draw(&mut self, lines: &[String]) -> std::io::Result<()> {
        let (rows, columns) = self.terminal.size();
        let plain = stdout().current_choice() == anstream::ColorChoice::Never;
        let rows_of =
            |line: &String| console::measure_text_width(line).div_ceil(usize::from(columns).max(1)).max(1);
        self.terminal.move_cursor_up(self.drawn)?;
        self.terminal.clear_to_end_of_screen()?;
        self.drawn = 0;
        let mut room = usize::from(rows).saturating_sub(1 + lines.last().map_or(0, rows_of));
        for (nth, line) in lines.iter().enumerate() {
            let is_last = nth + 1 == lines.len();
            if !is_last && rows_of(line) > room {
                continue;
            }
            let shown = safe::styled(line);
            let text = if plain { console::strip_ansi_codes(&shown) } else { shown.as_ref().into() };
            self.terminal.write_line(&text)?;
            self.drawn += rows_of(line);
            room = room.saturating_sub(if is_last { 0 } else { rows_of(line) });
        }
        self.terminal.flush()
    }
}

/// `text` after a prefix that takes `before` columns: on as many lines of the terminal as it needs, all of them beside the
/// first. A word that is longer than a line is left to the terminal.
pub fn beside(before: usize, text: &str) -> String {
    wrapped(before, line_width().saturating_sub(before).max(CUT_LEAST), text)
}

/// `text` after a prefix that takes `before` columns, in lines of at most `room`.
fn wrapped(before: usize, room: usize, text: &str) -> String {
    let (mut all, mut used) = (String::new(), 0);
    for word in words(text) {
        let width = console::measure_text_width(word);
        if used > 0 && used + 1 + width > room {
            let _ = write!(all, "\n{}", " ".repeat(before));
            used = 0;
        } else if used > 0 {
            all.push(' ');
            used += 1;
        }
        all.push_str(word);
        used += width;
    }
    all
}

/// Split at blanks, but for those between backticks: what is quoted there can be pasted.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
}

/// Beside a prefix at least so much stands on a line, even if it wraps.
const CUT_LEAST: usize = 20;

/// How wide a line of the terminal is.
pub fn line_width() -> usize {
    usize::from(console::Term::stdout().size().1)
}

/// What a command does before it can begin, step by step.
#[derive(Debug)]
pub struct Steps {
    bar: Option<ProgressBar>,
    printer: Option<Printer>,
}

impl Steps {
    pub fn step(&self, what: &str) {
        self.bar.iter().for_each(|bar| bar.set_message(what.to_owned()));
        self.printer.iter().for_each(|printer| printer.note(what));
    }

    pub fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// In UTC, with milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// How long ago, in the largest unit.
#[expect(clippy::disallowed_methods, reason = "what lies ahead is said to")]
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

/// A number in groups of three digits: `1,204,312`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { String::from("-") } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 job`, `1,204 jobs`.
pub fn counted(count: impl TryInto<i64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(i64::MAX);
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `1 check`, `1204 checks`.
pub fn many(count: impl Copy + Display + PartialEq + From<u8>, what: &str) -> String {
    let plural = if count == 1_u8.into() { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Names as `` `a`, `b` ``.
pub fn listed(names: impl IntoIterator<Item = impl Display>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// An object, and the fields of another in it.
pub fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}

/// Milliseconds with one decimal: `12.3`.
pub fn ms(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() * 1e3)
}

/// Milliseconds for a program, down to the microsecond.
pub fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// The colour of an outcome or a state.
pub fn state_style(state: &str) -> Style {
    match state {
        "up" => GOOD,
        "down" => BAD,
        _ => ODD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_a_command_stays_whole() {
        let text = "run `uptime db migrate` as the owner";
        assert_eq!(wrapped(2, 12, text), "run\n  `uptime db migrate`\n  as the owner");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let groups = [0, 7, 999, 1_000, -12_345, 1_204_312].map(grouped);
        assert_eq!(groups, ["0", "7", "999", "1,000", "-12,345", "1,204,312"]);
    }
}
