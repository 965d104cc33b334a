//! Programs for supervisor. Its configuration replaces `%(name)s`, splits commands as a shell does, and ends a value at a
//! blank before `;` or `#`.

use super::installation::{Installation, absolute};
use super::{Definition, Printed, Processes, quote};
use crate::args::ServiceArgs;
use crate::prelude::*;

/// Where Debian's package has its logs.
const DEBIAN_LOGS: &str = "/var/log/supervisor";

/// Where a configuration is looked for: Debian's place, and Fedora's.
const INCLUDED: [&str; 2] = ["/etc/supervisor/conf.d/uptime.conf", "/etc/supervisord.d/uptime.ini"];

pub fn programs(installation: &Installation, service: &ServiceArgs, logs: Option<&Path>) -> Result<Printed> {
    let logs = logs.map_or_else(|| Ok(default_logs(installation)), absolute)?;
    // Nothing can be quoted there; and in a log's path names are replaced twice.
    refuse("logs", &logs, &["%", " ;", " #"])?;
    refuse("config", installation.directory(), &[" ;", " #"])?;
    let path = INCLUDED.into_iter().find(|path| Path::new(path).parent().is_some_and(Path::is_dir));
    let path = path.unwrap_or(INCLUDED[0]).to_owned();
    let hints = hints(installation, &logs);
    let processes = Processes::of(service);
    let names: Vec<&str> = processes.iter().map(|each| each.name.as_str()).collect();
    let mut content = format!(
        include_str!("supervisor.ini"),
        processes = Processes::in_words(service),
        path = path,
        notes = notes(installation, &hints),
        programs = names.join(","),
    );
    let variable = |(name, url)| format!("environment={name}=\"{}\"\n", quote::supervisor_value(url));
    for each in &processes {
        content += &format!(
            include_str!("program.ini"),
            name = each.name,
            command = quote::supervisor_command(&installation.command(&each.command)),
            count = each.count,
            directory = quote::supervisor_value(installation.directory()),
            user = installation.user,
            environment = installation.database.variable().map(variable).unwrap_or_default(),
            logs = logs,
        );
    }
    Ok(Printed { files: vec![Definition { path, content }], hints, ..Printed::default() })
}

fn default_logs(installation: &Installation) -> String {
    if installation.user == "root" || !installation.is_own {
        let folder = if Path::new(DEBIAN_LOGS).is_dir() { DEBIAN_LOGS } else { "/var/log" };
        return folder.into();
    }
    format!("{}/log", installation.data_dir)
}

fn refuse(flag: &str, path: &str, signs: &[&str]) -> Result<()> {
    let Some(sign) = signs.iter().find(|sign| path.contains(*sign)) else { return Ok(()) };
    Err(usage_error(format!("`{path}` has `{sign}`, which supervisor does not take there"))
        .hint(format!("name a folder without it: `--{flag}`")))
}

/// What this installation needs beside the configuration.
fn hints(installation: &Installation, logs: &str) -> Vec<String> {
    let secrets = installation.secrets_hint(
        "Set it for supervisord, whose processes inherit it, or name a file in uptime.toml, \
         as `{ file = \"/etc/uptime/secret\" }`",
    );
    let mut hints: Vec<String> = secrets.into_iter().collect();
    if !installation.is_own {
        let (user, data_dir) = (quote::shell(&installation.user), quote::shell(&installation.data_dir));
        hints
            .push(format!("make the data theirs first: `mkdir -p {data_dir} && chown -R {user} {data_dir}`"));
    }
    if !Path::new(logs).is_dir() {
        hints.push(format!("make the folder of the logs first: `mkdir -p {}`", quote::shell(logs)));
    }
    hints.extend(installation.closed_hint());
    hints
}

fn notes(installation: &Installation, hints: &[String]) -> String {
    let database = installation.database_words("`environment=`");
    let hints = hints.iter().map(|hint| format!("; To do: {hint}.\n"));
    [format!(";\n; {database}\n")].into_iter().chain(hints).collect()
}
