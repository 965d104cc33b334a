//! `uptime queue monitor`: what is in the queues, whether somebody works on them, and what slows them down.

use super::busy;
use crate::args::MonitorArgs;
use crate::output::{hint_line, span};
use crate::prelude::*;
use crate::runtime::signals;
use std::time::Instant;
use uptime_core::ErrorClass;
use uptime_core::duration;
use uptime_core::liveness::{Scheduler, Scheduling, Stall, Standstill};
use uptime_core::monitor::Location;
use uptime_core::queue::{MONITOR_CHECKS, is_checks, kind};
use uptime_store::StoreError;
use uptime_store::liveness::Liveness;
use uptime_store::operations::QueueSize;
use uptime_store::operations::busy::Told;
use uptime_store::operations::vacuum::{DeadRows, Holder, OldestSnapshot};

/// From how many dead rows on they are felt, if they can't be removed.
const DEAD_ROWS_FELT: i64 = 10_000;

/// From what age on a snapshot is not just one that passes.
const SNAPSHOT_OLD: Duration = Duration::from_mins(1);

/// As much, in transactions, of a snapshot whose age nobody knows.
const SNAPSHOT_FAR_BEHIND: i32 = 1_000;

/// Who watches rests so many times as long as a look took: ten million rows are not counted every other second.
const RESTS: u32 = 9;

struct QueueSnapshot {
    at: Timestamp,
    rows: Vec<Row>,
    dead: DeadRows,
    liveness: Liveness,
    max: i64,
    max_wait: Duration,
}

/// A queue, as a look found it.
struct Row {
    /// When the look was.
    at: Timestamp,
    size: QueueSize,
    /// As in Laravel: all rows count, and the limit itself is over it.
    is_over: bool,
    standstill: Option<Standstill>,
    stall: Option<Stall>,
    /// What came of its being over, if channels are to be told.
    announced: Option<Told>,
}

/// One look; exit 1 when a queue is over its limit or stands still, or when checks are not scheduled or have no results.
pub async fn once(store: &Store, args: &MonitorArgs, printer: &Printer) -> Result<Exit> {
    let snapshot = QueueSnapshot::take(store, args).await?;
    snapshot.print(printer, None);
    if printer.is_for_person() {
        snapshot.notes(printer).iter().for_each(|note| printer.note(note));
    }
    Ok(if snapshot.is_well() { Exit::Ok } else { Exit::No })
}

/// A look every so often, until a signal, or until nobody reads any more: in place where a person sees it, one after the other elsewhere.
pub async fn watch(store: &Store, args: &MonitorArgs, every: Duration, printer: &Printer) -> Result<Exit> {
    let stop = signals::stop()?;
    let mut live = printer.live();
    let footer =
        |text: &str| format!("{FAINT}every {}; Ctrl-C stops{FAINT:#}{text}", duration::format(every));
    let mut last = Vec::new();
    while printer.is_read() {
        let began = Instant::now();
        let Some(looked) = stop.run_until_cancelled(QueueSnapshot::take(store, args)).await else { break };
        // One that failed cost the database nothing.
        let rest = if looked.is_ok() { every.max(began.elapsed() * RESTS) } else { every };
        match (looked, &mut live) {
            (Ok(snapshot), Some(live)) => {
                last = snapshot.lines(printer);
                live.draw(&[&last[..], &[footer("")]].concat())?;
            }
            (Ok(snapshot), None) => snapshot.print(printer, Some(snapshot.at)),
            // The next look has another try: somebody who watches wants to see it come back.
            (Err(error), Some(live)) if error.class() == ErrorClass::Transient => {
                live.draw(&[&last[..], &[footer(&format!("  {BAD}{error}{BAD:#}"))]].concat())?;
            }
            (Err(error), None) if error.class() == ErrorClass::Transient => {
                printer.warning(error.to_string());
            }
            (Err(error), _) => return Err(error.into()),
        }
        if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
            break;
        }
    }
    // What was seen last stays on the screen.
    if let Some(live) = &mut live {
        live.draw(&last)?;
    }
    Ok(Exit::Ok)
}

impl QueueSnapshot {
    async fn take(store: &Store, args: &MonitorArgs) -> Result<Self, StoreError> {
        let MonitorArgs { max, max_wait, no_event, .. } = *args;
        let mut sizes = store.queue_sizes(&args.queues).await?;
        let dead = store.dead_rows().await?;
        let liveness = store.liveness().await?;
        if args.queues.is_empty() {
            // Of a queue that has stalled there may be nothing to count.
            let is_missing = |stall: &&Stall| sizes.iter().all(|size| size.queue != stall.queue);
            let missing: Vec<String> =
                liveness.stalls.iter().filter(is_missing).map(|stall| stall.queue.clone()).collect();
            if !missing.is_empty() {
                sizes.extend(store.queue_sizes(&missing).await?);
            }
        }
        let (at, mut rows) = (Timestamp::now(), Vec::new());
        for size in sizes {
            let is_over = size.size() >= max;
            let announced =
                if is_over && !no_event { Some(busy::announce(store, &size, max).await?) } else { None };
            let standstill = size.load().standstill(max_wait);
            let stall = liveness.stalls.iter().find(|stall| stall.queue == size.queue).cloned();
            rows.push(Row { at, size, is_over, standstill, stall, announced });
        }
        if !no_event {
            let below: Vec<_> = rows.iter().filter(|row| !row.is_over).map(|row| &row.size).collect();
            store.forget_busy(&below).await?;
        }
        Ok(Self { at, rows, dead, liveness, max, max_wait })
    }

    fn is_well(&self) -> bool {
        let is_well = |row: &Row| !row.is_over && row.standstill.is_none() && row.stall.is_none();
        self.rows.iter().all(is_well) && self.dead_scheduler().is_none()
    }

    /// The scheduler that is dead, where its checks are looked at.
    fn dead_scheduler(&self) -> Option<&Scheduler> {
        match &self.liveness.scheduling {
            Scheduling::Dead(last) if self.rows.iter().any(|row| is_checks(&row.size.queue)) => Some(last),
            _ => None,
        }
    }

    /// Writes it as data. `at`: of one look among many, when it was.
    fn print(&self, printer: &Printer, at: Option<Timestamp>) {
        if printer.is_json() && !printer.streams() {
            let queues: Vec<Value> = self.rows.iter().map(Row::json).collect();
            return printer.object(with(self.json(at), json!({ "queues": queues })));
        }
        let mut columns = COLUMNS.to_vec();
        if at.is_some() {
            columns.insert(0, ("at", |row, _| rfc3339(row.at).into()));
        }
        printer.list("queues", &columns, &self.rows, |row| with(self.json(at), row.json()));
    }

    fn lines(&self, printer: &Printer) -> Vec<String> {
        let mut lines = printer.rows(COLUMNS, &self.rows);
        lines.extend(self.notes(printer));
        lines
    }

    /// What is no queue's alone.
    fn json(&self, at: Option<Timestamp>) -> Value {
        let (state, seen_at) = match &self.liveness.scheduling {
            Scheduling::Running => ("running", None),
            Scheduling::Dead(last) => ("dead", Some(last.seen_at)),
            Scheduling::None => ("none", None),
        };
        let oldest = self.dead.oldest.as_ref();
        let json = json!({
            "scheduler": state, "scheduler_seen_at": seen_at.map(rfc3339), "dead_rows": self.dead.rows,
            "oldest_snapshot_s": oldest.and_then(|oldest| oldest.age).map(|age| tenths(age.as_secs_f64())),
            "oldest_snapshot_by": oldest.map(|oldest| name(&oldest.holder)),
        });
        with(json, at.map(|at| json!({ "at": rfc3339(at) })).unwrap_or_default())
    }

    /// What a person wants to know beside the numbers, and the way out.
    fn notes(&self, printer: &Printer) -> Vec<String> {
        let mut notes = Vec::new();
        for Row { size, is_over, standstill, stall, announced, .. } in &self.rows {
            let queue = size.queue.as_str();
            if *is_over {
                let [jobs, max] = [size.size(), self.max].map(|n| printer.number(n));
                let announced = match announced {
                    Some(Told::Channels(channels)) => format!("; told to {}", channels.join(", ")),
                    Some(Told::Already) => "; that was told within the last hour".into(),
                    Some(Told::Nobody) => "; no channel wants to hear of it".into(),
                    None => String::new(),
                };
                notes.push(format!(
                    "`{BAD}{queue}{BAD:#}` has {jobs} jobs, and its limit is {max}{announced}"
                ));
            }
            if size.paused_at.is_some() && size.ready > 0 {
                let ago = printer.time(size.paused_at);
                let ago = if ago == "now" { "just now" } else { ago.as_str() };
                notes.push(hint_line(&format!(
                    "`{queue}` was paused {ago}: `uptime queue resume {queue}` lets it go on"
                )));
            } else if size.paused_workers > 0 {
                notes.push(hint_line(&format!(
                    "{} of {} workers of `{queue}` are paused by SIGUSR2: SIGCONT lets them go on",
                    size.paused_workers, size.workers
                )));
            } else if *standstill == Some(Standstill::Idle) {
                notes.push(hint_line(&nobody_works_on(queue)));
            }
            if let Some(Standstill::Waits(wait)) = standstill {
                let (wait, max) = (span(wait.as_secs()), duration::format(self.max_wait));
                notes.push(format!(
                    "`{BAD}{queue}{BAD:#}`: the oldest ready job has waited {wait}, and `--max-wait` is {max}"
                ));
            }
            if let Some(stall) = stall {
                let why = stall.in_words(&self.liveness.scheduling, self.liveness.now);
                notes.push(format!("`{BAD}{queue}{BAD:#}` has stalled: {why}"));
            }
        }
        if let Some(last) = self.dead_scheduler() {
            let (host, pid, seen) = (&last.host, last.pid, printer.time(Some(last.seen_at)));
            let runs =
                if last.is_loop { "`uptime schedule --every 1s` runs one" } else { "see whether cron runs" };
            let none = format!("{BAD}no scheduler runs{BAD:#}");
            notes.push(format!("{none}: the one on {host} (pid {pid}) was last heard {seen}"));
            notes.push(hint_line(runs));
        }
        notes.extend(self.dead_note(printer));
        notes
    }

    /// Dead rows matter when there are many and somebody keeps them.
    fn dead_note(&self, printer: &Printer) -> Vec<String> {
        let Some(oldest) = self.dead.oldest.as_ref().filter(|_| self.dead.rows >= DEAD_ROWS_FELT) else {
            return Vec::new();
        };
        let since = match oldest.age {
            Some(age) if age >= SNAPSHOT_OLD => format!("for {}", span(age.as_secs())),
            None if oldest.behind >= SNAPSHOT_FAR_BEHIND => {
                format!("since {} transactions ago", printer.number(oldest.behind.into()))
            }
            _ => return Vec::new(),
        };
        let (rows, by) = (printer.number(self.dead.rows), name(&oldest.holder));
        let dead = format!("{ODD}{rows} dead rows{ODD:#} slow the queues down: {by} has kept them {since}");
        vec![dead, hint_line(&way_out(oldest))]
    }
}

impl Row {
    fn json(&self) -> Value {
        let Self { size, is_over, standstill, .. } = self;
        json!({
            "queue": size.queue, "ready": size.ready, "delayed": size.delayed, "reserved": size.reserved,
            "failed": size.failed, "oldest_wait_ms": size.oldest_wait_ms, "per_second": tenths(size.per_second),
            "over_max": is_over, "waits_too_long": matches!(standstill, Some(Standstill::Waits(_))),
            "idle": *standstill == Some(Standstill::Idle), "workers": size.workers,
            "paused_workers": size.paused_workers, "paused": size.paused_at.is_some(),
            "stale_monitors": self.stall.as_ref().map_or(0, |stall| stall.stale),
        })
    }

    /// What is wrong with it, the worst first.
    fn state(&self, printer: &Printer) -> Cell {
        let size = &self.size;
        let states = [
            (self.is_over, "over"),
            (self.stall.is_some(), "stalled"),
            (self.standstill == Some(Standstill::Idle), "idle"),
            (matches!(self.standstill, Some(Standstill::Waits(_))), "waits"),
            (size.paused_at.is_some() || (size.workers > 0 && size.paused_workers == size.workers), "paused"),
        ];
        let states: Vec<&str> =
            states.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect();
        let style = match states.first() {
            None => GOOD,
            Some(&"paused") => ODD,
            Some(_) => BAD,
        };
        // A person finds the rest below the table, which is to fit 80 columns.
        let shown = if printer.is_terminal() { &states[..states.len().min(1)] } else { &states[..] };
        Cell::styled(if shown.is_empty() { "ok".to_owned() } else { shown.join(",") }, style)
    }
}

const COLUMNS: &[Column<Row>] = &[
    ("queue", |row, _| Cell::styled(row.size.queue.as_str(), if row.is_over { BAD } else { Style::new() })),
    ("ready", |row, printer| count(row.size.ready, Style::new(), printer)),
    ("delayed", |row, printer| count(row.size.delayed, Style::new(), printer)),
    ("reserved", |row, printer| count(row.size.reserved, Style::new(), printer)),
    ("failed", |row, printer| count(row.size.failed, ODD, printer)),
    ("oldest", |row, _| match row.size.oldest_wait_ms {
        Some(ms) => Cell::count(&span(ms.unsigned_abs() / 1_000)),
        None => Cell::number("–", FAINT),
    }),
    ("per s", |row, _| {
        let style = if row.size.per_second == 0.0 { FAINT } else { Style::new() };
        Cell::number(format!("{:.1}", tenths(row.size.per_second)), style).spare()
    }),
    ("workers", |row, printer| count(row.size.workers, Style::new(), printer)),
    ("state", Row::state),
];

fn count(count: i64, style: Style, printer: &Printer) -> Cell {
    Cell::number(printer.number(count), if count == 0 { FAINT } else { style })
}

fn nobody_works_on(queue: &str) -> String {
    let who = match Location::of_queue(queue) {
        Some(location) => format!(": `uptime worker {MONITOR_CHECKS} --location {location}` does"),
        None if kind(queue).is_some() => format!(": `uptime worker {queue}` does"),
        None => ", and `uptime` has no worker for it".into(),
    };
    format!("nobody works on `{queue}`{who}")
}

fn name(holder: &Holder) -> String {
    match holder {
        Holder::Session { pid, application, state } => {
            let application = if application.is_empty() { "a nameless client" } else { application };
            format!("{} (pid {pid}, {})", printable(application, 64), printable(state, 64))
        }
        Holder::Prepared { gid } => format!("the prepared transaction `{}`", printable(gid, 200)),
        Holder::Slot { name, active } => {
            let read = if *active { "in use" } else { "nobody reads from it" };
            format!("the replication slot `{name}` ({read})")
        }
    }
}

fn way_out(oldest: &OldestSnapshot) -> String {
    match &oldest.holder {
        Holder::Session { pid, .. } => format!(
            "let it end, or end it where it runs; `SELECT pg_terminate_backend({pid})` ends it by force"
        ),
        Holder::Prepared { gid } => {
            let gid = gid.replace('\'', "''");
            format!("`COMMIT PREPARED '{gid}'` or `ROLLBACK PREPARED '{gid}'` ends it")
        }
        Holder::Slot { name, .. } => format!(
            "let its reader catch up; if there is none any more, `SELECT pg_drop_replication_slot('{name}')`"
        ),
    }
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
