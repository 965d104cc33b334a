//! The printed programs, under a real supervisord.

use super::{Odd, run, stdout};
use crate::notices::{self, Notice, WORKER};
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uptime_tests::{DEADLINE, HttpTarget, Rng, WebhookSink, block_on};

/// Starts supervisord, and stops it when its stdin ends: when the test is over, or killed.
const KEEPER: &str = "supervisord --nodaemon --configuration \"$1\" </dev/null & pid=$!; read -r _; kill -TERM $pid; wait $pid";

/// From one handful of notices to the next.
const TELL_EVERY: Duration = Duration::from_millis(10);

/// A supervisord of the test's own, with one file of programs.
struct Supervisord {
    folder: TempDir,
    keeper: Child,
}

/// A process of it: its state, and its id while it runs.
type Processes = BTreeMap<String, (String, Option<i32>)>;

impl Supervisord {
    fn start(programs: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let included = folder.path().join("uptime.conf");
        fs::write(&included, programs).expect("a file");
        let config = format!(
            "[unix_http_server]\nfile={at}/socket\n\n[supervisord]\nlogfile={at}/log\npidfile={at}/pid\nchildlogdir={at}\n\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
             [supervisorctl]\nserverurl=unix://{at}/socket\n\n[include]\nfiles={}\n",
            included.display()
        );
        fs::write(folder.path().join("supervisord.conf"), config).expect("a file");
        let output = fs::File::create(folder.path().join("output")).expect("a file");
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(folder.path().join("supervisord.conf"));
        // No database but the printed one, and the variable that the file refers to.
        keeper.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env(WORKER, "one");
        keeper.stdin(Stdio::piped()).stdout(output.try_clone().expect("a file")).stderr(output);
        let keeper = keeper.spawn().expect("there is a shell");
        Self { folder, keeper }
    }

    fn control(&self, args: &[&str]) -> String {
        let mut command = Command::new("supervisorctl");
        command.arg("-c").arg(self.folder.path().join("supervisord.conf")).args(args);
        String::from_utf8(run(&mut command).stdout).expect("text")
    }

    fn processes(&self) -> Processes {
        let status = self.control(&["status"]);
        let process = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.first()?.strip_prefix("uptime:")?;
            let pid = words.get(3).and_then(|pid| pid.trim_end_matches(',').parse().ok());
            Some((name.to_owned(), ((*words.get(1)?).to_owned(), pid)))
        };
        status.lines().filter_map(process).collect()
    }

    /// Waits until its processes are as they should be, and gives them.
    fn wait_until(&self, what: &str, is_so: impl Fn(&Processes) -> bool) -> Processes {
        let began = Instant::now();
        loop {
            let processes = self.processes();
            if is_so(&processes) {
                return processes;
            }
            let output = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
            assert!(began.elapsed() < DEADLINE, "waited until {what}; there are {processes:?}\n{output}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn all_run(processes: &Processes) -> bool {
    processes.len() == 6 && processes.values().all(|(state, _)| state == "RUNNING")
}

fn pid_of(processes: &Processes, name: &str) -> i32 {
    processes[name].1.expect("it runs")
}

/// Commits notices again and again until the other end is dropped, also by a panic, and gives them all.
fn keep_telling(odd: &Odd, until: &Receiver<()>) -> Vec<Notice> {
    let mut rng = Rng::new();
    let mut told = Vec::new();
    while until.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
        let notices: Vec<Notice> = (0..5).map(|_| Notice::new(&mut rng, "ops")).collect();
        odd.installation.database.query(&notices::enqueue(&notices));
        told.extend(notices);
    }
    told
}

#[test]
fn the_programs_come_back_when_killed_and_a_rolling_restart_loses_nothing() {
    let (target, sink) = (HttpTarget::start(), WebhookSink::start());
    let monitor = notices::monitor("shop", &target.url(), "interval = \"1s\"\n");
    let odd = Odd::new(&format!("{}{monitor}", notices::channel("ops", &sink)));
    let logs = odd.installation.file().with_file_name("logs");
    let programs = |logs: &Path| stdout(odd.service(&["supervisor"]).arg("--logs").arg(logs));
    assert!(
        programs(&logs)
            .contains(&format!("; To do: make the folder of the logs first: `mkdir -p {}`.", logs.display()))
    );
    fs::create_dir(&logs).expect("a folder");
    let supervisord = Supervisord::start(&programs(&logs));
    let first = supervisord.wait_until("all run", all_run);
    let names = [
        "uptime-monitor-checks_00",
        "uptime-monitor-checks_01",
        "uptime-notifications_00",
        "uptime-notifications_01",
        "uptime-notifications_02",
        "uptime-schedule_00",
    ];
    assert_eq!(first.keys().collect::<Vec<_>>(), names);
    block_on(target.wait_for_requests(2));
    assert!(odd.data_dir().join("plugins").exists(), "its data is where it was told");

    let killed = ["uptime-notifications_01", "uptime-schedule_00"];
    for name in killed {
        let pid = Pid::from_raw(pid_of(&first, name)).expect("a process");
        rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
    }
    supervisord.wait_until("the killed ones are back", |now| {
        all_run(now) && killed.iter().all(|name| pid_of(now, name) != pid_of(&first, name))
    });

    let told = std::thread::scope(|scope| {
        let (go_on, until) = std::sync::mpsc::channel();
        let odd = &odd;
        let telling = scope.spawn(move || keep_telling(odd, &until));
        for name in names {
            let before = pid_of(&supervisord.processes(), name);
            let said = supervisord.control(&["restart", &format!("uptime:{name}")]);
            assert!(said.contains(&format!("uptime:{name}: started")), "{said}");
            assert_ne!(pid_of(&supervisord.processes(), name), before);
        }
        // Laravel's way: every worker ends when it has done what it does, and supervisor starts the next.
        let before = supervisord.processes();
        odd.installation.command(["queue", "restart"]).assert().success();
        supervisord.wait_until("all workers are others", |now| {
            let is_other = |name: &&str| pid_of(now, name) != pid_of(&before, name);
            all_run(now) && names[..5].iter().all(is_other) && !is_other(&names[5])
        });
        drop(go_on);
        telling.join().expect("no panic")
    });
    let count = told.len().to_string();
    odd.installation.wait_for("SELECT count(*) FROM notifications WHERE state = 'delivered'", &count);
    odd.installation.holds("SELECT count(*) FROM failed_jobs", "0");
    let mut expected: Vec<String> = told.into_iter().map(|notice| notice.delivery_id).collect();
    let received = sink.received();
    let delivery_id = |received: &uptime_tests::Received| received.header("webhook-id").map(str::to_owned);
    let mut delivered: Vec<String> = received.iter().filter_map(delivery_id).collect();
    expected.sort();
    delivered.sort();
    assert!(expected.len() > 100, "{} are too few to show anything", expected.len());
    assert!(expected == delivered, "{} were told {} times", expected.len(), delivered.len());
    block_on(target.more_requests(2));

    let log = |name: &str| -> PathBuf { logs.join(format!("{name}.log")) };
    drop(supervisord);
    for name in names {
        assert!(log(name).exists(), "{name} has a log");
    }
    let last_words = fs::read_to_string(log(names[0])).expect("a log");
    assert!(last_words.contains("worker stopped"), "it was given the time to stop: {last_words}");
    odd.installation.holds("SELECT count(*) FROM jobs WHERE reserved_until IS NOT NULL", "0");
}
