//! Units for systemd: one for the scheduler, a template for each kind of worker, and a target that wants them all.
//!
//! `unit.service` says why each setting is there. The scheduler starts first and stops last, so that the embedded database is
//! its child, which has no capability at all.

use super::installation::{Installation, absolute};
use super::{Definition, Printed, Processes, quote};
use crate::args::ServiceArgs;
use crate::prelude::*;
use std::fs;

/// Whom root's units run as.
pub const USER: &str = "uptime";

/// Where an administrator's units are.
const FOLDER: &str = "/etc/systemd/system";

/// What systemd makes, gives away and protects by itself lies here.
const STATE: &str = "/var/lib";

/// The first line of all that is ours to write over.
const MARK: &str = "# Printed by `uptime service systemd`.";

/// The longest data directory in which the embedded server has its socket; of a longer one the socket is in [`TMP`].
const SOCKET_FITS: usize = 76;

const TMP: &str = "/tmp";

const SCHEDULE: &str = "uptime-schedule.service";

/// The units. `into` is the folder that they are about to be written into.
pub fn units(installation: &Installation, service: &ServiceArgs, into: Option<&Path>) -> Result<Printed> {
    if installation.user == "root" {
        return Err(usage_error("units that run as root would not be confined")
            .hint("name another user: `--user uptime`"));
    }
    let folder = into.map_or(Ok(FOLDER.to_owned()), absolute)?;
    let file = |name: &str, content| Definition { path: format!("{folder}/{name}"), content };
    let processes = Processes::of(service);
    let names: Vec<String> = processes.iter().flat_map(instances).collect();
    let target = format!(include_str!("uptime.target"), units = names.join(" "));
    let mut files = vec![file("uptime.target", target)];
    for each in &processes {
        let name = if each.is_worker() { format!("{}@.service", each.name) } else { SCHEDULE.to_owned() };
        files.push(file(&name, unit(installation, each)));
    }
    let commands = commands(installation, service, into);
    Ok(Printed { files, commands, hints: hints(installation) })
}

/// Writes them, over none that is not ours.
pub fn write(files: &[Definition], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let is_ours = |path: &str| fs::read_to_string(path).is_ok_and(|there| there.starts_with(MARK));
    let is_foreign = |file: &&Definition| Path::new(&file.path).exists() && !is_ours(&file.path);
    if let Some(Definition { path, .. }) = files.iter().find(is_foreign) {
        return Err(config_error(format!("`{path}` is there, and not printed by uptime"))
            .hint(format!("move it away: `mv {0} {0}.old`", quote::shell(path))));
    }
    for file in files {
        fs::write(&file.path, &file.content).map_err(|error| unwritable(Path::new(&file.path), &error))?;
    }
    Ok(())
}

fn instances(processes: &Processes<'_>) -> Vec<String> {
    if !processes.is_worker() {
        return vec![SCHEDULE.to_owned()];
    }
    (1..=processes.count).map(|number| format!("{}@{number}.service", processes.name)).collect()
}

fn unit(installation: &Installation, processes: &Processes<'_>) -> String {
    let is_worker = processes.is_worker();
    let is_checks = processes.command.contains(&uptime_core::queue::MONITOR_CHECKS);
    let paths = [&installation.binary, &installation.data_dir].into_iter().chain(&installation.config);
    let paths: Vec<&str> = paths.map(String::as_str).collect();
    let below = |folders: &[&str]| {
        folders.iter().any(|folder| paths.iter().any(|path| Path::new(path).starts_with(folder)))
    };
    let secrets = installation.secrets();
    let needed = format!("\n# Needed: {}.", listed(&secrets));
    let variable = |(name, url)| format!("Environment={}\n", quote::systemd(&format!("{name}={url}")));
    // With a /tmp of its own each unit would look for the socket where it is not.
    let shares_tmp = socket_is_in_tmp(&installation.data_dir) || below(&[TMP, "/var/tmp"]);
    format!(
        include_str!("unit.service"),
        what = if is_worker { format!("{} %i", processes.what) } else { processes.what.to_owned() },
        after = if is_worker { format!(" {SCHEDULE}") } else { String::new() },
        command = quote::systemd_command(&installation.command(&processes.command)),
        user = installation.user,
        directory = quote::systemd_value(installation.directory()),
        database = installation.database_words("the file below"),
        secrets = if secrets.is_empty() { "" } else { &needed },
        environment = installation.database.variable().map(variable).unwrap_or_default(),
        files = if is_checks { 65_536 } else { 8_192 },
        why_capabilities = if is_checks { " Pings may need raw sockets." } else { "" },
        capabilities = if is_checks { "CAP_NET_RAW" } else { "" },
        writable = writable(&installation.data_dir),
        home = if below(&["/home", "/root", "/run/user"]) { "read-only" } else { "yes" },
        tmp = if shares_tmp { "no" } else { "yes" },
    )
}

/// The data directory's name below [`STATE`].
fn state_directory(data_dir: &str) -> Option<&str> {
    let name = data_dir.strip_prefix(STATE)?.strip_prefix('/')?;
    let is_plain = !name.is_empty() && !name.split('/').any(|part| matches!(part, "" | "." | ".."));
    is_plain.then_some(name)
}

fn socket_is_in_tmp(data_dir: &str) -> bool {
    data_dir.len() > SOCKET_FITS
}

fn writable(data_dir: &str) -> String {
    let data = match state_directory(data_dir) {
        Some(name) => format!("StateDirectory={}\nStateDirectoryMode=0750", quote::systemd(name)),
        None => format!("ReadWritePaths={}", quote::systemd(data_dir)),
    };
    if socket_is_in_tmp(data_dir) { format!("{data}\nReadWritePaths={TMP}") } else { data }
}

/// What brings the units to life.
fn commands(installation: &Installation, service: &ServiceArgs, into: Option<&Path>) -> Vec<String> {
    let mut commands = Vec::new();
    let (user, data_dir) = (quote::shell(&installation.user), quote::shell(&installation.data_dir));
    if !installation.is_own {
        commands.push(format!(
            "id {user} >/dev/null || useradd --system --home-dir {data_dir} --shell /usr/sbin/nologin {user}"
        ));
    }
    if state_directory(&installation.data_dir).is_none() {
        commands.push(format!("mkdir -p {data_dir} && chown -R {user} {data_dir}"));
    }
    if into.is_none() {
        let (checks, notifications) = (service.checks.to_string(), service.notifications.to_string());
        let counts = ["--checks", &checks, "--notifications", &notifications];
        let command = ["service", "systemd", "--user", &installation.user].into_iter().chain(counts);
        let location = service.location.iter().flat_map(|location| ["--location", location.as_str()]);
        let command: Vec<&str> = command.chain(location).chain(["--into", FOLDER]).collect();
        commands.push(installation.shell_line(&command));
    }
    commands.push("systemctl daemon-reload".into());
    commands.push("systemctl enable --now uptime.target".into());
    commands
}

fn hints(installation: &Installation) -> Vec<String> {
    let secrets = installation.secrets_hint(
        "Write it into /etc/uptime/environment, made by `install -D -m 600 /dev/null /etc/uptime/environment`",
    );
    secrets.into_iter().chain(installation.closed_hint()).collect()
}
