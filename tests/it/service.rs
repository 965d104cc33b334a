//! `uptime service`: what it prints works as it is, under the programs that it is printed for, and holds no secret.

mod notify;
mod supervisor;

use crate::installation::Installation;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder's name that each reader of a definition would like to see something in.
const ODD: &str = "it's 100% \"odd\", $HOME";

/// An installation in a folder of that name, with this file.
struct Odd {
    installation: Installation,
    folder: PathBuf,
}

impl Odd {
    fn new(text: &str) -> Self {
        let installation = Installation::new();
        let root = installation.file().parent().expect("a folder").to_owned();
        let folder = root.join(ODD);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("uptime.toml"), text).expect("a file");
        installation.apply(text);
        Self { installation, folder }
    }

    /// `uptime service …` for it.
    fn service(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = self.installation.command(["service"]);
        command.args(args).arg("--config").arg(self.folder.join("uptime.toml"));
        command.arg("--data-dir").arg(self.data_dir());
        command
    }

    /// supervisor would take what follows the blank for a comment.
    fn data_dir(&self) -> PathBuf {
        self.folder.join("the ;data")
    }
}

fn stdout(command: &mut assert_cmd::Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a program that `.ci/setup tests` installs.
fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}\nhint: `.ci/setup tests` installs it"))
}

const TARGET: &str = "[monitors.shop]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\ninterval = \"1s\"\n";

#[cfg(target_os = "linux")]
#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let odd = Odd::new(TARGET);
    let units = odd.folder.join("units");
    let into = units.to_str().expect("text");
    let written =
        stdout(&mut odd.service(&["systemd", "--user", "uptime", "--notifications", "4", "--into", into]));
    let names =
        "uptime.target uptime-schedule.service uptime-monitor-checks@.service uptime-notifications@.service";
    let paths: Vec<PathBuf> = names.split(' ').map(|name| units.join(name)).collect();
    assert_eq!(written.lines().map(PathBuf::from).collect::<Vec<_>>(), paths);
    let verdict = run(Command::new("systemd-analyze").arg("verify").args(&paths));
    assert_eq!(String::from_utf8_lossy(&verdict.stderr), "");
    assert!(verdict.status.success());
    // It looks at no words of a command but the first, and at no folder.
    let unit = fs::read_to_string(&paths[2]).expect("a unit");
    let root = odd.folder.parent().and_then(Path::to_str).expect("text");
    let quoted = |words: &str| format!("\"{root}/it's 100%% \\\"odd\\\", {words}\"");
    for line in [
        format!(
            " --config {} --data-dir {} worker monitor-checks",
            quoted("$$HOME/uptime.toml"),
            quoted("$$HOME/the ;data")
        ),
        format!("WorkingDirectory={root}/it's 100%% \"odd\", $HOME\n"),
        format!("ReadWritePaths={}\n", quoted("$HOME/the ;data")),
        format!("Environment=\"DATABASE_URL={}\"\n", odd.installation.database.url().replace('%', "%%")),
        "User=uptime\n".into(),
        "AmbientCapabilities=CAP_NET_RAW\n".into(),
    ] {
        assert!(unit.contains(&line), "{line}\nis not in\n{unit}");
    }
    for other in [1, 3] {
        let unit = fs::read_to_string(&paths[other]).expect("a unit");
        assert!(unit.contains("\nAmbientCapabilities=\n"), "only checks need a capability:\n{unit}");
    }
    let wants = fs::read_to_string(&paths[0]).expect("a target");
    assert!(wants.contains("uptime-monitor-checks@2.service uptime-notifications@1.service"), "{wants}");
    assert!(wants.contains("uptime-notifications@4.service\n"), "{wants}");
}

#[test]
fn units_are_printed_again_over_ours_and_never_over_anothers() {
    let odd = Odd::new(TARGET);
    let units = odd.folder.join("units");
    let into = units.to_str().expect("text");
    let write = || odd.service(&["systemd", "--user", "nobody", "--into", into]);
    write().assert().success();
    fs::write(units.join("uptime.target"), "# Printed by `uptime service systemd`. Before.\n").expect("ours");
    write().assert().success();
    assert!(fs::read_to_string(units.join("uptime.target")).expect("it is there").contains("[Unit]"));
    fs::remove_file(units.join("uptime-schedule.service")).expect("ours");
    fs::write(units.join("uptime.target"), "[Unit]\n").expect("another's");
    let said = write().assert().code(78);
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    let is_there = "uptime.target` is there, and not printed by uptime\nhint: move it away";
    assert!(said.contains(is_there), "{said}");
    assert_eq!(fs::read_to_string(units.join("uptime.target")).expect("it is there"), "[Unit]\n");
    assert!(!units.join("uptime-schedule.service").exists(), "nothing is written when not all can be");
}

#[test]
fn what_is_printed_are_the_files_that_are_written_and_json_has_them_too() {
    let odd = Odd::new(TARGET);
    let (units, args) = (odd.folder.join("units"), ["systemd", "--user", "nobody"]);
    let printed = stdout(&mut odd.service(&args));
    stdout(odd.service(&args).arg("--into").arg(&units));
    let json: serde_json::Value =
        serde_json::from_str(&stdout(odd.service(&args).arg("--json"))).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    let files = json["files"].as_array().expect("a list");
    assert_eq!(files.len(), 4);
    for file in files {
        let (path, content) =
            (file["path"].as_str().expect("a path"), file["content"].as_str().expect("text"));
        let name = path.strip_prefix("/etc/systemd/system/").expect("where units are");
        assert_eq!(fs::read_to_string(units.join(name)).expect("it is there"), content);
        assert!(printed.contains(&format!("# {path}\n{content}")), "{path}");
    }
    assert!(printed.contains("\n#   systemctl enable --now uptime.target\n"), "{printed}");
    odd.service(&["systemd", "--user", "root"]).assert().code(2);
}

#[test]
fn no_definition_holds_a_password_and_each_says_how_it_is_given() {
    let text = "[channels.ops]\nnotifier = \"telegram\"\nbot_token = { env = \"TELEGRAM_BOT_TOKEN\" }\nchat_id = \"1\"\n";
    let installation = Installation::new();
    installation.write(text);
    for kind in ["supervisor", "systemd", "cron", "windows"] {
        let mut command = installation.command(["service", kind]);
        command.env("DATABASE_URL", "postgres://me:hunter2@db.example.com/uptime");
        command.env("TELEGRAM_BOT_TOKEN", "12345:hunter2");
        let output = command.assert().success().get_output().clone();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{kind}: {out}{err}");
        let hint = err.lines().find(|line| line.starts_with("hint: ") && line.contains("DATABASE_URL"));
        let hint = hint.unwrap_or_else(|| panic!("{kind}: {err}")).strip_prefix("hint: ").unwrap_or_default();
        if kind != "windows" {
            assert!(hint.contains("`TELEGRAM_BOT_TOKEN`"), "{hint}");
        }
        let said = if kind == "systemd" { "# Needed: `DATABASE_URL`, `TELEGRAM_BOT_TOKEN`." } else { hint };
        assert!(out.contains(said), "{kind}: {said}\nis not in\n{out}");
    }
}

#[test]
fn every_variable_of_the_file_is_named() {
    let text = r#"
[channels.ops]
notifier = "webhook"
url = { env = "HOOK" }
headers = { x = { env = "HOOK_HEADER" } }
secret = [{ env = "SECRET_NEW" }, { env = "SECRET_OLD" }]

[monitors.shop]
type = "http"
url = "https://shop.example.com/"
headers = { x = { env = "HEADER" } }
auth = { bearer = { env = "TOKEN" } }
proxy = { env = "PROXY" }
client_certificate = "/etc/uptime/client.pem"
client_key = { env = "CLIENT_KEY" }

[monitors.admin]
type = "http"
url = "https://admin.example.com/"
auth = { user = "me", password = { env = "PASSWORD" } }

[monitors.mail]
type = "tcp"
host = "mail.example.com"
port = 25
send = { env = "GREETING" }
"#;
    let installation = Installation::new();
    installation.write(text);
    let printed = stdout(&mut installation.command(["service", "systemd"]));
    let needed = printed.lines().find(|line| line.starts_with("# Needed: ")).expect("a line");
    let names = "CLIENT_KEY GREETING HEADER HOOK HOOK_HEADER PASSWORD PROXY SECRET_NEW SECRET_OLD TOKEN";
    for name in names.split(' ') {
        assert!(needed.contains(&format!("`{name}`")), "{name} is not in\n{needed}");
    }
}

/// What cron makes of a line: its command, as `sh` gets it.
fn as_cron_reads(line: &str) -> &str {
    let mut rest = line;
    for _ in 0..5 {
        rest = rest.split_once(' ').expect("five fields and a command").1;
    }
    rest
}

/// cron takes the backslash from before a `%`, and ends the command at one without.
fn unescaped(command: &str) -> String {
    let mut text = String::new();
    let mut characters = command.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('%')) => text.extend(characters.next()),
            ('\\', Some(_)) => text.extend([c].into_iter().chain(characters.next())),
            ('%', _) => panic!("cron would end the command here: {text}"),
            _ => text.push(c),
        }
    }
    text
}

#[test]
fn each_line_of_the_crontab_is_a_command_that_runs_with_nothing_but_itself() {
    let odd = Odd::new(TARGET);
    let table = stdout(&mut odd.service(&["cron"]));
    let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 3, "{table}");
    let sh = |line: &str| {
        let command = unescaped(as_cron_reads(line));
        let output = run(Command::new("/bin/sh").env_clear().current_dir("/").args(["-c", &command]));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {said}");
        assert_eq!(said, "", "{command}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let database = &odd.installation.database;
    let [schedule, monitor, prune] = lines.as_slice() else { unreachable!() };
    // A monitor has one waiting check: of few monitors a limit of jobs alone would never be reached.
    assert!(monitor.contains(" queue monitor --max 1000 --max-wait 2m"), "{monitor}");
    assert_eq!(sh(schedule), "");
    assert_eq!(database.value("SELECT count(*) FROM jobs"), "1");
    let idle = sh(monitor);
    assert!(idle.starts_with("monitor-checks\t1\t") && idle.contains("\tidle\n"), "nobody works: {idle}");
    database.query("DELETE FROM jobs");
    assert_eq!(sh(monitor), "", "no output on success");
    database.query("INSERT INTO jobs (queue) SELECT 'notifications' FROM generate_series(1, 1000)");
    let busy = sh(monitor);
    assert!(busy.contains("notifications\t1000\t"), "{busy}");
    database.query(
        "INSERT INTO failed_jobs (id, queue, payload, attempts, errors, created_at, failed_at)
         SELECT n, 'notifications', '{}', 3, '[]', now(), now() - n * interval '5 days' FROM generate_series(1, 2) n",
    );
    sh(prune);
    assert_eq!(database.value("SELECT string_agg(id::text, ',') FROM failed_jobs"), "1");
    let workers = table.lines().find_map(|line| line.strip_prefix("#* ")).expect("a line for cron alone");
    database.query("TRUNCATE jobs");
    let command = unescaped(as_cron_reads(&format!("* {workers}"))).replace("55s", "1s");
    let output = run(Command::new("/bin/sh").env_clear().current_dir("/").args(["-c", &command]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_host_at_a_location_gets_the_check_workers_of_that_alone() {
    let odd = Odd::new(TARGET);
    for kind in ["systemd", "supervisor", "windows"] {
        let mut command = match kind {
            "windows" => odd.installation.command(["service", "windows"]),
            kind => odd.service(&[kind, "--user", "nobody"]),
        };
        let printed = stdout(command.args(["--location", "fra", "--checks", "3"]));
        let is_code = |line: &&str| !line.trim_start().starts_with(['#', ';']) && !line.starts_with("rem ");
        let runs: Vec<&str> =
            printed.lines().filter(is_code).filter(|line| line.contains("worker monitor-checks")).collect();
        assert!(!runs.is_empty() && runs.iter().all(|line| line.contains("--location fra")), "{printed}");
        for other in ["schedule --every", "worker notifications"] {
            assert!(!printed.lines().filter(is_code).any(|line| line.contains(other)), "{kind}: {printed}");
        }
    }
    odd.service(&["systemd", "--location", "F R A"]).assert().code(2);
}

#[test]
fn windows_gets_commands_for_its_own_paths() {
    let installation = Installation::new();
    let url = "postgres://me@db/uptime?options=-c%20a%3Db";
    let mut command = installation.command(["service", "windows", "--config", r"D:\my files\uptime.toml"]);
    let printed = stdout(command.args(["--checks", "1", "--notifications", "0"]).env("DATABASE_URL", url));
    for line in [
        r#"nssm install uptime-monitor-checks-1 "C:\Program Files\uptime\uptime.exe" --config """D:\my files\uptime.toml""" --data-dir C:\ProgramData\uptime worker monitor-checks"#,
        r#"nssm set uptime-schedule AppEnvironmentExtra "DATABASE_URL=postgres://me@db/uptime?options=-c%%20a%%3Db""#,
        r#"nssm set uptime-schedule AppStdout "C:\ProgramData\uptime\log\uptime-schedule.log""#,
        "nssm set uptime-schedule AppStopMethodConsole 60000",
        "nssm set uptime-schedule AppRotateBytes 10485760",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\nis not in\n{printed}");
    }
    assert!(printed.is_ascii() && !printed.contains("uptime-notifications"), "{printed}");
    let wrong = installation.command(["service", "windows", "--binary", "/usr/bin/uptime"]).assert().code(2);
    let said = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert!(said.contains("hint: write it as"), "{said}");
}

/// Lets others pass through an installation's folder: root's embedded server runs as another user.
fn make_passable(installation: &Installation) {
    let file = installation.file();
    let folder = file.parent().expect("a folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).expect("it is ours");
}
