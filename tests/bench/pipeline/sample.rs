//! What the processes, the cores and the database have used up to an instant. Two of them make a window.

use std::collections::BTreeMap;
use std::fs;
use uptime_postgres::{Row, Session};
use uptime_tests::{ProcessStat, postgres_cpu_seconds};

/// A process, or a PostgreSQL server, whose CPU is counted apart.
pub struct Part {
    pub name: &'static str,
    /// Its process id; PostgreSQL's is its postmaster's.
    pub pid: u32,
    pub kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Product,
    Postgres,
    /// What the product speaks to.
    Server,
}

pub struct Sample {
    /// Microseconds since 1970, by the database's clock.
    pub at_us: f64,
    /// CPU seconds of each part.
    pub cpu_s: Vec<f64>,
    /// Resident memory of each part that is the product's, in MiB: now, and the most so far.
    pub memory_mb: Vec<(&'static str, f64, f64)>,
    pub cores: Vec<Core>,
    pub wal_bytes: f64,
    pub transactions: f64,
    /// Updates of each table, and how many of them were HOT.
    pub updates: BTreeMap<String, (f64, f64)>,
}

impl Sample {
    /// # Panics
    /// If one of the parts has ended.
    pub fn take(parts: &[Part], session: &mut Session) -> Self {
        let mut query = |sql| session.query(sql).expect("the server takes it");
        let updates = query("SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables");
        let database = query(
            "SELECT extract(epoch FROM clock_timestamp()) * 1000000, pg_current_wal_insert_lsn() - '0/0', xact_commit
             FROM pg_stat_database WHERE datname = current_database()",
        );
        let product = parts.iter().filter(|part| part.kind == Kind::Product);
        Self {
            at_us: number(&database[0], 0),
            cpu_s: parts.iter().map(Part::cpu_s).collect(),
            memory_mb: product.map(Part::memory_mb).collect(),
            cores: Core::read_all(),
            wal_bytes: number(&database[0], 1),
            transactions: number(&database[0], 2),
            updates: updates
                .iter()
                .map(|row| (row[0].clone().unwrap_or_default(), (number(row, 1), number(row, 2))))
                .collect(),
        }
    }
}

impl Part {
    fn cpu_s(&self) -> f64 {
        match self.kind {
            Kind::Postgres => postgres_cpu_seconds(self.pid),
            Kind::Product | Kind::Server => {
                let stat = ProcessStat::read(self.pid);
                stat.unwrap_or_else(|| panic!("the {} has ended", self.name)).cpu_seconds
            }
        }
    }

    fn memory_mb(&self) -> (&'static str, f64, f64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let mb = |key| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kb.unwrap_or(f64::NAN) / 1024.0
        };
        (self.name, mb("VmRSS:"), mb("VmHWM:"))
    }
}

/// What a core has done since the machine started, in the kernel's ticks.
pub struct Core {
    pub idle: f64,
    pub all: f64,
}

impl Core {
    fn read_all() -> Vec<Self> {
        let stat = fs::read_to_string("/proc/stat").expect("Linux counts");
        // The line `cpu` is the sum of the lines `cpu0`, `cpu1`, …
        let lines =
            stat.lines().filter_map(|line| line.strip_prefix("cpu").filter(|rest| !rest.starts_with(' ')));
        let core = |line: &str| {
            // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two.
            let ticks = line.split(' ').skip(1).take(8).map(|ticks| ticks.parse().unwrap_or(0.0));
            let ticks: Vec<f64> = ticks.collect();
            Self { idle: ticks[3] + ticks[4], all: ticks.iter().sum() }
        };
        lines.map(core).collect()
    }
}

/// A number of a row; 0 for null.
pub fn number(row: &Row, column: usize) -> f64 {
    row[column].as_deref().map_or(0.0, |text| text.parse().expect("the column is a number"))
}
