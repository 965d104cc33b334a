//! `uptime maintenance`: when nobody is told, and of what.

use crate::args::{MaintenanceAdd, MaintenanceCommand};
use crate::commands::unknown;
use crate::prelude::*;
use std::collections::BTreeMap;
use uptime_core::maintenance::{Maintenance, When};
use uptime_store::maintenance::{MaintenanceRow, Said};

pub async fn run(store: &Store, command: MaintenanceCommand, printer: &Printer) -> Result<Exit> {
    match command {
        MaintenanceCommand::List => {}
        MaintenanceCommand::Add(args) => return add(store, args, printer).await,
        MaintenanceCommand::Remove { name } => return remove(store, &name, printer).await,
    }
    let (windows, now) = (store.maintenance_windows().await?, store.now().await?);
    if windows.is_empty() && !printer.is_json() {
        printer.note("no maintenance: `uptime maintenance add NAME --monitor NAME --for 1h` begins one");
    }
    let windows: Vec<Listed> = windows.into_iter().map(|row| Listed::new(row, now)).collect();
    printer.list("maintenance", COLUMNS, &windows, Listed::json);
    Ok(Exit::Ok)
}

/// An instant that comes.
fn coming(at: Option<Timestamp>) -> Option<Timestamp> {
    at.filter(|at| *at < Timestamp::MAX)
}

/// A window, and how it is now.
struct Listed {
    row: MaintenanceRow,
    state: &'static str,
    until: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Listed {
    fn new(row: MaintenanceRow, now: Timestamp) -> Self {
        let (until, next) = (row.window.covers(now), row.window.next_begin(now));
        let state = match (until, next) {
            (Some(_), _) => "on",
            (None, Some(_)) => "waits",
            (None, None) => "over",
        };
        Self { row, state, until: coming(until), next: coming(next) }
    }

    fn json(&self) -> Value {
        let MaintenanceRow { name, window, source } = &self.row;
        json!({
            "name": name, "state": self.state, "monitors": window.monitors, "groups": window.groups,
            "tags": window.tags, "when": window.when, "until": self.until.map(rfc3339),
            "next": self.next.map(rfc3339), "source": source,
        })
    }

    fn when(&self, printer: &Printer) -> String {
        match &self.row.window.when {
            When::Once { from, until } => {
                format!("{} – {}", printer.time(Some(*from)), ends(*until, printer))
            }
            When::Hours(hours) => hours.to_string(),
        }
    }
}

const COLUMNS: &[Column<Listed>] = &[
    ("state", |one, _| Cell::styled(one.state, if one.state == "on" { ODD } else { GOOD })),
    ("name", |one, _| one.row.name.as_str().into()),
    ("for", |one, _| concerned(&one.row.window).into()),
    ("when", |one, printer| one.when(printer).into()),
    // In a pipe what there is not is empty.
    ("until", |one, printer| one.until.map(|at| printer.time(Some(at))).unwrap_or_default().into()),
    ("next", |one, printer| one.next.map(|at| printer.time(Some(at))).unwrap_or_default().into()),
];

/// When a window ends. One without an end has the last instant that there is, which is no time to show a person.
fn ends(until: Timestamp, printer: &Printer) -> String {
    if printer.is_terminal() && until == Timestamp::MAX {
        return "it is removed".into();
    }
    printer.time(Some(until))
}

fn concerned(window: &Maintenance) -> String {
    let groups = window.groups.iter().map(|group| format!("group {group}"));
    let tags: Vec<String> = window.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let tags = Some(tags.join(" ")).filter(|tags| !tags.is_empty());
    let all: Vec<String> = window.monitors.iter().cloned().chain(groups).chain(tags).collect();
    if all.is_empty() { "all".into() } else { all.join(", ") }
}

async fn add(store: &Store, args: MaintenanceAdd, printer: &Printer) -> Result<Exit> {
    let MaintenanceAdd { name, monitor, group, all: _, r#for, until, hours } = args;
    if name.trim().is_empty()
        || name.trim() != name
        || name.chars().count() > 100
        || name.contains(char::is_control)
    {
        return Err(usage_error("that is no name for a window")
            .hint("a name has 1 to 100 characters, and no spaces around them"));
    }
    let monitors = store.monitor_summaries().await?;
    let names: Vec<&str> = monitors.iter().map(|monitor| monitor.name.as_str()).collect();
    let groups = monitors.iter().filter_map(|monitor| monitor.group.as_deref()).collect();
    for (kind, given, known) in [("monitor", &monitor, names), ("group", &group, groups)] {
        if let Some(name) = given.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(unknown_of(kind, name, did_you_mean(name, known)));
        }
    }
    let now = store.now().await?;
    let when = match (r#for, until, hours) {
        (_, _, Some(hours)) => When::Hours(hours),
        (Some(lasts), _, _) => {
            When::Once { from: now, until: now.checked_add(lasts).unwrap_or(Timestamp::MAX) }
        }
        (None, until, None) => When::Once { from: now, until: until.unwrap_or(now) },
    };
    if let When::Once { from, until } = when
        && until <= from
    {
        return Err(usage_error("the end of the window must be after its start")
            .hint("write a later `--until`, or `--for 1h`"));
    }
    let window = Maintenance { monitors: monitor, groups: group, tags: BTreeMap::new(), when };
    let (word, is) = match store.add_maintenance(&name, &window).await? {
        Said::Done => ("added", ""),
        Said::Replaced => ("replaced", "is now "),
        Said::OfTheFile | Said::NotThere => {
            return Err(of_the_file(&name, "change it there, then `uptime apply`"));
        }
    };
    let json = json!({ "name": name, "change": word, "until": window.covers(now).map(rfc3339) });
    let sentence = format!("maintenance `{name}` {is}for {}", concerned(&window));
    printer.done(json, format!("{name}\t{word}"), sentence);
    printer.hint(format!("`uptime maintenance remove '{name}'` ends it"));
    Ok(Exit::Ok)
}

async fn remove(store: &Store, name: &str, printer: &Printer) -> Result<Exit> {
    match store.remove_maintenance(name).await? {
        Said::OfTheFile => Err(of_the_file(name, "take it out there, then `uptime apply`")),
        Said::NotThere => {
            let windows = store.maintenance_windows().await?;
            let hint = did_you_mean(name, windows.iter().map(|row| row.name.as_str()));
            Err(unknown_of("maintenance", name, hint))
        }
        Said::Done | Said::Replaced => {
            let json = json!({ "name": name, "change": "removed" });
            printer.done(json, format!("{name}\tremoved"), format!("maintenance `{name}` is over"));
            Ok(Exit::Ok)
        }
    }
}

fn unknown_of(what: &str, name: &str, hint: Option<String>) -> CommandError {
    let lists = if what == "maintenance" { "maintenance" } else { "monitor" };
    let hint = hint.unwrap_or_else(|| format!("`uptime {lists} list` shows those that there are"));
    unknown(what, name, hint)
}

fn of_the_file(name: &str, hint: &str) -> CommandError {
    answer_no(format!("maintenance `{name}` stands in the file")).hint(hint)
}
