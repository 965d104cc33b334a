//! The whole pipeline as in production: `schedule`, `worker monitor-checks` and `worker notifications` as processes of
//! their own, against a durable PostgreSQL, local targets and a webhook's receiver. All share this machine's cores.
//!
//! ```sh
//! cargo bench --workspace --bench pipeline -- --runs 3
//! cargo bench --workspace --bench pipeline -- --monitors 1000 --failing 0.2 --channels 1 --json
//! cargo bench --workspace --bench pipeline -- --binary ../before/target/release/uptime
//! ```
//!
//! Two checkpoints fall into each window, so that the cost of full pages is in the figures. What the figures mean is in
//! `figures.rs`; those of a run with several windows are medians.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

mod figures;
#[path = "../../it/installation.rs"]
#[allow(dead_code, reason = "the integration tests use the rest")]
mod installation;
mod sample;
mod servers;

use clap::{Parser, ValueEnum};
use figures::{Figures, Window};
use installation::{Installation, Process};
use sample::{Kind, Part, Sample};
use serde_json::json;
use servers::Opening;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use uptime_core::duration;
use uptime_tests::{ServerProcess, TestDatabase, TestServer, block_on};

/// What the measured server must be set to, by name.
const DURABLE: &str = "fsync on, full_page_writes on, synchronous_commit on, wal_level replica";

/// For commands that take longer the more monitors there are.
const SETUP_TIMEOUT: Duration = Duration::from_hours(1);

#[derive(Parser)]
struct Options {
    /// HTTP monitors
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    monitors: u32,
    /// Interval of each monitor
    #[arg(long, default_value = "1s", value_parser = duration::parse)]
    interval: Duration,
    /// Length of a measured window, in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Measured windows, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seconds from the start of the processes to the first window
    #[arg(long, default_value_t = 5)]
    warm_up: u32,
    /// Share of the monitors whose target fails ten checks out of twenty
    #[arg(long, default_value_t = 0.0, value_parser = share, conflicts_with = "target")]
    failing: f64,
    /// Webhook channels; each monitor notifies one of them
    #[arg(long, default_value_t = 0)]
    channels: u32,
    /// Checks run at the same time [default: the worker's own]
    #[arg(long)]
    concurrency: Option<u32>,
    /// URL that every monitor requests, instead of the benchmark's own targets
    #[arg(long)]
    target: Option<String>,
    /// Binary to measure [default: the one built with this benchmark]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// Be one of the servers
    #[arg(long, hide = true)]
    serve: Option<Server>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Server {
    Targets,
    Receiver,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a share between 0 and 1"))
}

fn main() {
    let options = Options::parse();
    match options.serve {
        Some(Server::Targets) => servers::serve_targets(options.interval),
        Some(Server::Receiver) => servers::serve_receiver(),
        None => report(&options, &measure(&options)),
    }
}

fn measure(options: &Options) -> Measured {
    let interval = duration::format(options.interval);
    let start = |server| ServerProcess::start(&["--serve", server, "--interval", &interval]);
    let targets = options.target.is_none().then(|| start("targets"));
    let receiver = (options.channels > 0).then(|| start("receiver"));
    let server = Arc::new(TestServer::durable());
    let mut installation = Installation::on(block_on(TestDatabase::empty_on(&server)));
    if let Some(binary) = &options.binary {
        installation.binary = binary.canonicalize().expect("there is a file of the name given as `--binary`");
    }
    installation.write(&file(options, targets.as_ref(), receiver.as_ref()));
    installation.command(["db", "migrate"]).assert().success();
    let began = Instant::now();
    installation.command(["apply"]).timeout(SETUP_TIMEOUT).assert().success();
    let apply_s = began.elapsed().as_secs_f64();
    let mut session = installation.database.session();
    session.query("VACUUM ANALYZE").expect("the server takes it");

    let concurrency = options.concurrency.map(|concurrency| format!("--concurrency={concurrency}"));
    let arguments = ["worker", "monitor-checks"].into_iter().chain(concurrency.as_deref());
    let worker = installation.start_as("worker", &arguments.collect::<Vec<_>>(), &[]);
    let notifications = receiver.as_ref().map(|_| installation.start(["worker", "notifications"]));
    let scheduler = installation.start(["schedule", "--every", "1s"]);
    let parts = [
        ("worker", Some(worker.id()), Kind::Product),
        ("scheduler", Some(scheduler.id()), Kind::Product),
        ("notifications", notifications.as_ref().map(Process::id), Kind::Product),
        ("postgresql", Some(server.postmaster()), Kind::Postgres),
        ("targets", targets.as_ref().map(ServerProcess::id), Kind::Server),
        ("receiver", receiver.as_ref().map(ServerProcess::id), Kind::Server),
    ];
    let parts: Vec<Part> =
        parts.into_iter().filter_map(|(name, pid, kind)| Some(Part { name, pid: pid?, kind })).collect();
    thread::sleep(Duration::from_secs(options.warm_up.into()));
    let windows: Vec<Window> = (0..options.runs)
        .map(|_| {
            let third = Duration::from_secs(options.seconds.into()) / 3;
            let (from, began) = (Sample::take(&parts, &mut session), Instant::now());
            for nth in 1..=2 {
                thread::sleep((third * nth).saturating_sub(began.elapsed()));
                session.query("CHECKPOINT").expect("its role is a superuser");
            }
            thread::sleep((third * 3).saturating_sub(began.elapsed()));
            Window { from, to: Sample::take(&parts, &mut session) }
        })
        .collect();
    // Results and messages are counted when all that began in the windows has ended.
    for process in [Some(scheduler), Some(worker), notifications].into_iter().flatten() {
        assert_eq!(process.terminate(), 0);
    }
    let openings = receiver.map(|receiver| Opening::read_all(&receiver.finish())).unwrap_or_default();
    let figures = windows.iter().map(|window| window.figures(&parts, &mut session, &openings)).collect();
    let database = session
        .query(
            "SELECT current_setting('server_version'), string_agg(name || ' ' || setting, ', ' ORDER BY name)
             FROM pg_settings
             WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_level')",
        )
        .expect("the server takes it");
    assert_eq!(database[0][1].as_deref(), Some(DURABLE));
    Measured { postgresql: database[0][0].clone().unwrap_or_default(), apply_s, windows: figures }
}

/// The configuration file.
fn file(options: &Options, targets: Option<&ServerProcess>, receiver: Option<&ServerProcess>) -> String {
    let mut text = String::new();
    let written = "because a text takes all that is written to it";
    for channel in 0..options.channels {
        let origin = receiver.expect("because there are channels").address();
        // Each opening is a message of its own, so that each has a latency.
        writeln!(
            text,
            "[channels.hook{channel}]\nnotifier = \"webhook\"\nurl = \"{origin}/\"\nallow = [\"{origin}\"]\n\
             digest_after = 0"
        )
        .expect(written);
    }
    for monitor in 0..options.monitors {
        let is_failing = f64::from(monitor) < f64::from(options.monitors) * options.failing;
        let url = match targets {
            Some(targets) => servers::target_url(targets.address(), monitor, is_failing),
            None => options.target.clone().expect("because there are no other targets"),
        };
        let interval = duration::format(options.interval);
        writeln!(
            text,
            "[monitors.m{monitor}]\ntype = \"http\"\nurl = \"{url}\"\ninterval = \"{interval}\"\nconfirm = 1"
        )
        .expect(written);
        if let Some(channel) = monitor.checked_rem(options.channels) {
            writeln!(text, "channels = [\"hook{channel}\"]").expect(written);
        }
    }
    text
}

struct Measured {
    postgresql: String,
    apply_s: f64,
    windows: Vec<Figures>,
}

fn report(options: &Options, measured: &Measured) {
    // A figure may be missing in a window, as the latency of messages where there were none.
    let mut by_key: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (key, value) in measured.windows.iter().flatten() {
        by_key.entry(key).or_default().push(*value);
    }
    for values in by_key.values_mut() {
        values.sort_unstable_by(f64::total_cmp);
    }
    let median = |values: &[f64]| values[values.len() / 2];
    let (seconds, runs) = (options.seconds, options.runs);
    let interval = duration::format(options.interval);
    if options.json {
        let medians: BTreeMap<&str, f64> =
            by_key.iter().map(|(key, values)| (*key, median(values))).collect();
        let line = json!({
            "monitors": options.monitors, "interval_ms": duration::to_ms(options.interval), "failing": options.failing,
            "channels": options.channels, "concurrency": options.concurrency, "target": options.target,
            "binary": options.binary, "seconds": seconds, "runs": runs, "postgresql": measured.postgresql,
            "apply_s": measured.apply_s, "median": medians, "windows": measured.windows,
        });
        println!("{line}");
        return;
    }
    let offered = f64::from(options.monitors) / options.interval.as_secs_f64();
    println!("{} monitors every {interval}: {offered:.0} checks/s offered", options.monitors);
    println!("{runs} windows of {seconds} s with two checkpoints each");
    println!("PostgreSQL {}: {DURABLE}", measured.postgresql);
    println!("applied in {:.1} s\n", measured.apply_s);
    for (key, values) in &by_key {
        let range = match values.as_slice() {
            [least, .., most] => format!("   ({} to {})", round(*least), round(*most)),
            _ => String::new(),
        };
        println!("{:<40}{:>10}{range}", key.replace('_', " "), round(median(values)));
    }
}

/// Three digits that count.
fn round(value: f64) -> String {
    let decimals = match value {
        10.0..100.0 => 1,
        0.0..10.0 => 2,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
