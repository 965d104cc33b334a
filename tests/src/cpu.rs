//! The CPU that processes have used, for the benchmarks.

use std::fs;

/// The kernel counts CPU in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStat {
    /// The process that started it.
    pub parent: u32,
    /// CPU seconds of the process and of its children that have ended.
    pub cpu_seconds: f64,
}

impl ProcessStat {
    /// `None`: no such process runs on this host.
    pub fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may contain anything.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks: f64 = fields.get(11..15)?.iter().map(|ticks| ticks.parse().unwrap_or(0.0)).sum();
        Some(Self { parent: fields.get(1)?.parse().ok()?, cpu_seconds: ticks / TICKS_PER_SECOND })
    }
}

/// CPU seconds of a PostgreSQL server: the postmaster's and those of its backends, also of the ones that have ended.
pub fn postgres_cpu_seconds(postmaster: u32) -> f64 {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let stats = pids.filter_map(|pid: u32| Some((pid, ProcessStat::read(pid)?)));
    let of_server = stats.filter(|(pid, stat)| *pid == postmaster || stat.parent == postmaster);
    of_server.map(|(_, stat)| stat.cpu_seconds).sum()
}
