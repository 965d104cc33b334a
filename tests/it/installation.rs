//! An installation as in production: a database, a file, and processes that run side by side.

use assert_cmd::Command;
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uptime_tests::{DEADLINE, TestDatabase, block_on};

/// The variables that would lead a test's process to somebody's files or database.
pub const FOREIGN: &[&str] = &[
    "CLICOLOR_FORCE",
    "DATABASE_URL",
    "NO_COLOR",
    "UPTIME_CONFIG",
    "UPTIME_DATABASE_URL",
    "UPTIME_DATA_DIR",
    "UPTIME_LOCATION",
    "UPTIME_LOG",
];

const BINARY: &str = env!("CARGO_BIN_EXE_uptime");

/// A folder with a file, and a database.
pub struct Installation {
    folder: TempDir,
    pub database: TestDatabase,
    /// What its commands and processes run.
    pub binary: PathBuf,
}

impl Installation {
    /// With an empty file and a migrated database.
    pub fn new() -> Self {
        let database = block_on(TestDatabase::from_template("migrated", async |url| {
            Command::new(BINARY).args(["db", "migrate"]).env("DATABASE_URL", url).assert().success();
        }));
        Self::on(database)
    }

    /// On a database of the test's own.
    pub fn on(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let installation = Self { folder, database, binary: BINARY.into() };
        installation.write("");
        installation
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("uptime.toml")
    }

    pub fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("the file is written");
    }

    pub fn apply(&self, text: &str) {
        self.write(text);
        self.command(["apply"]).assert().success();
    }

    pub fn command<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = std::process::Command::new(&self.binary);
        self.surround(&mut command);
        let mut command = Command::from_std(command);
        command.args(args).timeout(DEADLINE);
        command
    }

    /// In this installation's folder, on its database, and with none of the variables of whoever runs the tests.
    fn surround(&self, command: &mut std::process::Command) {
        for variable in FOREIGN {
            command.env_remove(variable);
        }
        command.current_dir(self.folder.path()).env("DATABASE_URL", self.database.url());
        command.env("UPTIME_DATA_DIR", self.folder.path().join("data"));
    }

    /// The exit code and all that `line` says to a terminal of so many columns, or in a pipe: a shell's line, in which
    /// `$UPTIME` is the binary. In a pipe what is on stderr comes last.
    pub fn shell(&self, columns: Option<u16>, line: &str) -> (i32, String) {
        let of_terminal = format!("stty cols {} rows 50; {line}", columns.unwrap_or_default());
        let (program, words) = if columns.is_some() {
            ("script", ["-qec", &of_terminal, "/dev/null"])
        } else {
            ("sh", ["-c", line, "sh"])
        };
        let mut command = std::process::Command::new(program);
        command.args(words);
        self.surround(&mut command);
        let folder = self.binary.parent().and_then(Path::to_str).expect("a path of text");
        command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()));
        command.env("UPTIME", &self.binary).env("TERM", "xterm-256color").env("USER", "anna");
        let output = Command::from_std(command).timeout(DEADLINE).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text").replace("\r\n", "\n");
        (output.status.code().expect("it ended by itself"), said)
    }

    /// Runs a command line, its words parted by blanks, which ends with this code. Gives stdout and stderr.
    #[track_caller]
    pub fn run(&self, exit: i32, line: &str) -> (String, String) {
        // A component that may not be compiled is tried with the lowest priority: on a busy machine that takes time.
        let mut command = self.command([]);
        command.args(line.split(' ')).timeout(Duration::from_mins(5));
        let output = command.output().expect("the binary runs");
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
        assert_eq!(output.status.code(), Some(exit), "uptime {line}: {out}{err}");
        (out, err)
    }

    /// What a command line that ends with this code says on stderr.
    #[track_caller]
    pub fn complaint(&self, exit: i32, line: &str) -> String {
        self.run(exit, line).1
    }

    /// Asserts that a command line ends with this code, and says all these words on stderr.
    #[track_caller]
    pub fn says(&self, exit: i32, line: &str, all: &[&str]) {
        let said = self.complaint(exit, line);
        for words in all {
            assert!(said.contains(words), "uptime {line}: `{words}` is not in\n{said}");
        }
    }

    /// Asserts what the answer of a query is.
    #[track_caller]
    pub fn holds(&self, sql: &str, expected: impl Display) {
        assert_eq!(self.database.value(sql), expected.to_string(), "{sql}");
    }

    pub fn json<const N: usize>(&self, args: [&str; N]) -> serde_json::Value {
        let output = self.command(args).arg("--json").output().expect("the binary runs");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A process that runs on, as under supervisor.
    pub fn start<const N: usize>(&self, args: [&str; N]) -> Process {
        self.start_as(&args.join("-").replace('/', "_"), &args, &[])
    }

    /// A scheduler, and a worker of all queues.
    pub fn start_all(&self) -> [Process; 2] {
        [self.start(["schedule", "--every", "200ms"]), self.start(["worker", "all"])]
    }

    /// A scheduler, and a worker of each queue: checks, then notifications.
    pub fn start_each(&self) -> [Process; 3] {
        [
            self.start(["schedule", "--every", "200ms"]),
            self.start(["worker", "monitor-checks"]),
            self.start(["worker", "notifications"]),
        ]
    }

    /// As [`start`](Self::start), with a log of the name `log`, and with variables.
    pub fn start_as(&self, log: &str, args: &[&str], variables: &[(&str, &str)]) -> Process {
        self.spawn(std::process::Command::new(&self.binary), log, args, variables, Stdio::null())
    }

    /// As [`start`](Self::start), and it may open no more than so many files.
    pub fn start_with_descriptors(&self, limit: u32, args: &[&str]) -> Process {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(&self.binary);
        self.spawn(shell, "limited", args, &[], Stdio::null())
    }

    /// As [`start`](Self::start), with what it prints.
    pub fn start_and_read(&self, args: &[&str]) -> (Process, Lines<BufReader<ChildStdout>>) {
        let uptime = std::process::Command::new(&self.binary);
        let mut process = self.spawn(uptime, "read", args, &[], Stdio::piped());
        let stdout = process.child.stdout.take().expect("a pipe");
        (process, BufReader::new(stdout).lines())
    }

    fn spawn(
        &self,
        mut command: std::process::Command,
        log: &str,
        args: &[&str],
        variables: &[(&str, &str)],
        stdout: Stdio,
    ) -> Process {
        let log = self.folder.path().join(format!("{log}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        self.surround(&mut command);
        command.args(args).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(stdout).stderr(file);
        let child = command.spawn().expect("the binary starts");
        Process { child, log, name: args.join(" ") }
    }

    /// Waits until a query's answer is `expected`.
    pub fn wait_for(&self, sql: &str, expected: impl Display) {
        self.wait_for_within(DEADLINE, sql, expected);
    }

    /// As [`wait_for`](Self::wait_for), with a deadline of one's own.
    pub fn wait_for_within(&self, limit: Duration, sql: &str, expected: impl Display) {
        let (began, expected) = (Instant::now(), expected.to_string());
        loop {
            let answer = self.database.value(sql);
            if answer == expected {
                return;
            }
            assert!(began.elapsed() < limit, "waited for `{expected}` from `{sql}`; there is `{answer}`");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// SIGTERM to each, one after the other: all end well.
pub fn terminate_all(processes: impl IntoIterator<Item = Process>) {
    processes.into_iter().for_each(|process| assert_eq!(process.terminate(), 0));
}

/// All end well by themselves.
pub fn wait_for_all(processes: impl IntoIterator<Item = Process>) {
    processes.into_iter().for_each(|process| assert_eq!(process.wait(), 0));
}

/// A running `uptime`. Killed when the test is over.
pub struct Process {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Process {
    /// As `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM, and its exit code.
    pub fn terminate(self) -> i32 {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end, and gives its exit code; for one that a signal ended, the signal's number below zero.
    pub fn wait(mut self) -> i32 {
        self.exit_code()
    }

    /// Its exit code, when it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("it can be waited for")?;
        Some(status.code().or_else(|| status.signal().map(|number| -number)).expect("it ended somehow"))
    }

    /// As [`wait`](Self::wait), and its log can still be read.
    pub fn exit_code(&mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(began.elapsed() < DEADLINE, "`uptime {}` did not end:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    pub fn signal(&self, signal: Signal) {
        // One that has ended meanwhile is not waited for yet, so its number is still its own.
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("it is ours");
    }

    /// SIGSTOP. Returns when it stands still: on a busy machine some of its threads go on for a while.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let stopped = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).expect("it is ours");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "{stopped:?}");
    }

    /// Waits until it has logged `words`.
    pub fn wait_for_log(&self, words: &str) {
        self.wait_for_line(&[words]);
    }

    /// Until there is a line with all of these in it.
    pub fn wait_for_line(&self, parts: &[&str]) {
        let began = Instant::now();
        while !self.log().lines().any(|line| parts.iter().all(|part| line.contains(part))) {
            assert!(began.elapsed() < DEADLINE, "waited for {parts:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What anybody on this machine sees of it in a list of processes.
    pub fn command_line(&self) -> String {
        fs::read_to_string(format!("/proc/{}/cmdline", self.id())).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Into the failing test's output, beside its own words.
            #[expect(clippy::disallowed_methods, reason = "the log of a test that failed")]
            let _ = writeln!(std::io::stderr(), "── uptime {}\n{}", self.name, self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
