//! Tables for a terminal: columns are aligned, and no row is wider than a line.
//!
//! Where the columns are too wide together, the long last one gives way first, then the spare columns are left out, the
//! widest first, and only then are names shortened, the longest first. States, numbers and times are never cut, unless a
//! line is too narrow even for them. In a pipe nothing of this happens: there the cells are written as they are.

use super::{FAINT, wrapped};
use anstyle::Style;
use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;
use uptime_core::text::{is_safe, printable};

/// Of a cell that is cut to its line so much is shown before anything else gives way.
const CUT_LEAST: usize = 12;

/// A name that is shortened keeps so much. A time (`23 min ago`) is no longer.
const NAME_LEAST: usize = 10;

const GAP: usize = 2;

#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    /// On a terminal, said instead where there is no room for `text`.
    in_short: Option<String>,
    style: Style,
    /// On a terminal: aligned to the right.
    right: bool,
    gives: Gives,
    /// On a terminal: left out where there is no room.
    spare: bool,
    /// On a terminal: on as many lines as it needs, instead of being cut.
    wraps: bool,
}

/// How a cell gives way, the first one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gives {
    Nothing,
    SomeOfIt,
    AllButALittle,
}

impl Cell {
    /// What is never cut. A cell is one line, whoever wrote its text.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        let mut text = text.into();
        if !text.chars().all(is_safe) {
            text = printable(&text, usize::MAX - 1);
        }
        Self { text, in_short: None, style, right: false, gives: Gives::Nothing, spare: false, wraps: false }
    }

    /// A number: on a terminal, aligned to the right.
    pub fn number(text: impl Into<String>, style: Style) -> Self {
        Self { right: true, ..Self::styled(text, style) }
    }

    /// As [`Cell::number`], without a style.
    pub fn count(number: &impl ToString) -> Self {
        Self::number(number.to_string(), Style::new())
    }

    /// The last of its row and long: on a terminal, cut to the line.
    pub fn cut(text: impl Into<String>) -> Self {
        Self { gives: Gives::AllButALittle, ..Self::styled(text, Style::new()) }
    }

    /// Why something is down: cut, and without what it is about where that takes the room. The row names the monitor.
    pub fn cause(text: impl Into<String>) -> Self {
        let cell = Self::cut(text);
        Self { in_short: Some(without_subject(&cell.text)), ..cell }
    }

    /// The last of its row, an explanation: on a terminal, on as many lines as it needs. Nothing of such a row is lost,
    /// even where the cells before it leave no room.
    pub fn wrapped(text: impl Into<String>) -> Self {
        Self { wraps: true, ..Self::cut(text) }
    }

    pub fn in_style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// Its column is left out on a terminal that is too narrow for all.
    pub fn spare(self) -> Self {
        Self { spare: true, ..self }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    fn least(&self) -> usize {
        let width = self.text.width();
        match self.gives {
            Gives::Nothing => width,
            Gives::SomeOfIt => width.min(NAME_LEAST),
            Gives::AllButALittle => width.min(CUT_LEAST),
        }
    }

    /// In at most so many columns.
    fn within(&self, room: usize) -> Cow<'_, str> {
        let text = match &self.in_short {
            Some(in_short) if self.text.width() > room => in_short,
            _ => &self.text,
        };
        console::truncate_str(text, room, "…")
    }
}

/// A name, or a few words.
impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { gives: Gives::SomeOfIt, ..Self::styled(text, Style::new()) }
    }
}

/// A cause without the words for what was asked: `GET https://shop.example.com/: no answer` is `no answer`, and an address
/// in other words becomes `…`.
fn without_subject(cause: &str) -> String {
    if let Some((_, words)) = cause.split_once(": ").filter(|(_, words)| !words.is_empty()) {
        return words.to_owned();
    }
    let words = cause.split(' ').map(|word| if word.contains("://") { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// One column, and how wide it is.
struct Column {
    place: usize,
    width: usize,
    least: usize,
    gives: Gives,
    right: bool,
    spare: bool,
}

/// A table's lines, none of them wider than `line`.
pub fn aligned(headers: &[&str], rows: &[Vec<Cell>], line: usize) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut columns: Vec<Column> =
        headers.iter().enumerate().map(|(place, header)| column(place, header, rows)).collect();
    fit(&mut columns, line);
    let header: Vec<Cell> = headers.iter().map(|header| Cell::styled(header.to_uppercase(), FAINT)).collect();
    std::iter::once(&header).chain(rows).map(|row| aligned_line(row, &columns, line)).collect()
}

fn column(place: usize, header: &str, rows: &[Vec<Cell>]) -> Column {
    let cells = || rows.iter().filter_map(|row| row.get(place));
    let widest = |width: fn(&Cell) -> usize| cells().map(width).max().unwrap_or(0).max(header.width());
    Column {
        place,
        width: widest(|cell| cell.text.width()),
        least: widest(Cell::least),
        gives: cells().map(|cell| cell.gives).max().unwrap_or(Gives::Nothing),
        right: cells().any(|cell| cell.right),
        spare: cells().any(|cell| cell.spare),
    }
}

/// Makes the columns as narrow as the line wants it, as far as they give way.
fn fit(columns: &mut Vec<Column>, line: usize) {
    let gaps = |columns: &[Column]| columns.len().saturating_sub(1) * GAP;
    let with_whole_names = |column: &Column| match column.gives {
        Gives::AllButALittle => column.least,
        Gives::Nothing | Gives::SomeOfIt => column.width,
    };
    while columns.iter().map(with_whole_names).sum::<usize>() + gaps(columns) > line {
        let spare = columns.iter().enumerate().filter(|(_, column)| column.spare);
        let Some((widest, _)) = spare.max_by_key(|(_, column)| column.width) else { break };
        columns.remove(widest);
    }
    loop {
        let over =
            (columns.iter().map(|column| column.width).sum::<usize>() + gaps(columns)).saturating_sub(line);
        let widest = columns
            .iter_mut()
            .filter(|column| column.width > column.least)
            .max_by_key(|column| (column.gives, column.width));
        match widest {
            Some(column) if over > 0 => {
                // Of a name a column at a time: two long ones become equally short.
                let step = if column.gives == Gives::AllButALittle { over } else { 1 };
                column.width -= step.min(column.width - column.least);
            }
            _ => return,
        }
    }
}

fn aligned_line(row: &[Cell], columns: &[Column], most: usize) -> String {
    let mut line = String::new();
    let cells = columns.iter().filter_map(|column| Some((column, row.get(column.place)?)));
    for (nth, (column, cell)) in cells.enumerate() {
        if nth > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        if cell.wraps {
            let before = console::measure_text_width(&line);
            line.push_str(&wrapped(before, column.width, &cell.text));
            return line;
        }
        let text = cell.within(column.width);
        let space = " ".repeat(column.width.saturating_sub(text.width()));
        let style = cell.style;
        if column.right {
            line.push_str(&space);
        }
        let _ = write!(line, "{style}{text}{style:#}");
        if !column.right && nth + 1 < columns.len() {
            line.push_str(&space);
        }
    }
    console::truncate_str(&line, most, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| console::strip_ansi_codes(line).into_owned()).collect()
    }

    #[test]
    fn numbers_are_aligned_to_the_right_with_their_headers() {
        let row = |name: &str, number: &str, last: &str| {
            vec![Cell::from(name), Cell::number(number, Style::new()), Cell::styled(last, Style::new())]
        };
        let rows = [row("a", "1,000", "ok"), row("longer", "7", "paused")];
        let lines = aligned(&["queue", "n", "state"], &rows, 80);
        assert_eq!(plain(&lines), ["QUEUE       N  STATE", "a       1,000  ok", "longer      7  paused"]);
    }

    const HEADERS: [&str; 5] = ["id", "state", "monitor", "tries", "cause"];

    fn incident(cause: &str) -> Vec<Cell> {
        vec![
            Cell::number("7", Style::new()),
            Cell::styled("resolved", Style::new()),
            "shop-in-a-far-away-country".into(),
            Cell::number("3", Style::new()).spare(),
            Cell::cause(cause),
        ]
    }

    #[test]
    fn the_long_last_one_gives_way_first_then_what_is_spare_then_names_and_never_a_state() {
        let rows = [incident("the server has said nothing at all for a very long while")];
        let lines = |width| plain(&aligned(&HEADERS, &rows, width));
        assert_eq!(
            lines(80),
            [
                "ID  STATE     MONITOR                     TRIES  CAUSE",
                " 7  resolved  shop-in-a-far-away-country      3  the server has said nothing at…",
            ]
        );
        assert_eq!(lines(60)[1], " 7  resolved  shop-in-a-far-away-country  the server has sa…");
        assert_eq!(
            lines(50),
            [
                "ID  STATE     MONITOR                 CAUSE",
                " 7  resolved  shop-in-a-far-away-co…  the server …"
            ]
        );
        for width in 1..120 {
            for line in lines(width) {
                assert!(line.width() <= width, "{line:?} is wider than {width}");
            }
        }
    }

    #[test]
    fn an_explanation_is_never_cut() {
        let rows = [vec![Cell::from("key"), Cell::wrapped("one two three four five six seven")]];
        let lines = plain(&aligned(&["key", "meaning"], &rows, 26));
        assert_eq!(lines, ["KEY  MEANING", "key  one two three four\n     five six seven"]);
    }

    #[test]
    fn a_cause_that_is_cut_says_why_and_not_of_what() {
        let shown = |cause| plain(&aligned(&HEADERS, &[incident(cause)], 70)).remove(1);
        let long = "GET https://shop.example.com/a/very/long/address: no answer began in 5 s";
        assert!(shown(long).ends_with("no answer began in 5…"), "{}", shown(long));
        let moved = "https://shop.example.com/ redirects to itself";
        assert!(shown(moved).ends_with("… redirects to itself"), "{}", shown(moved));
        assert!(shown("503 is not 2xx").ends_with("503 is not 2xx"));
    }
}
