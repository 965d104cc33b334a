//! What is said of a command line that can't be read. clap says most of it; here is what it does not know: the commands
//! that other tools have, and that an empty environment variable is no value.

use crate::args::{Args, examples};
use crate::exit::Exit;
use crate::output;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory as _, FromArgMatches as _};
use std::process::ExitCode;

/// What people type who come from elsewhere, and what it is here.
const FOREIGN_COMMANDS: &[(&str, &str)] = &[
    ("queue work", "uptime worker all"),
    ("queue listen", "uptime worker all"),
    ("schedule run", "uptime schedule"),
    ("schedule work", "uptime schedule --every 1s"),
    ("schedule list", "uptime monitor list"),
    ("migrate", "uptime db migrate"),
    ("serve", "uptime worker all --listen 9100"),
    ("doctor", "uptime config check` and `uptime db status"),
    ("status", "uptime monitor list` and `uptime incident list --open"),
    ("list", "uptime monitor list"),
    ("test", "uptime channel test NAME"),
    ("run", "uptime up"),
    ("start", "uptime up"),
    ("watch", "uptime up"),
    ("work", "uptime worker all"),
    ("validate", "uptime config check"),
];

pub fn parse() -> Result<Args, ExitCode> {
    let command = command();
    let read = command.clone().try_get_matches().and_then(|matches| Args::from_arg_matches(&matches));
    read.map_err(|error| refuse(error, command))
}

/// The command line, with examples in its help.
pub fn command() -> Command {
    without_empty_variables(examples::add_to(Args::command()))
}

/// No value comes from a variable that is empty: it is as good as not set.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_env().map(std::env::var_os) {
        Some(Some(value)) if value.is_empty() => arg.env(None),
        _ => arg,
    });
    command.mut_subcommands(without_empty_variables)
}

/// What clap says: help and versions, and command lines that are none. As a Nagios plugin the latter are `UNKNOWN`: there
/// the usual 2 would wake somebody.
fn refuse(mut error: clap::Error, mut command: Command) -> ExitCode {
    let as_plugin = error.use_stderr() && std::env::args_os().any(|arg| arg == "--nagios");
    if as_plugin {
        let text = error.to_string();
        // What is missing stands on lines of its own, before the blank one.
        let why = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let why = why.collect::<Vec<_>>().join(" ");
        let why = why.trim_start_matches("error: ").replace('|', "¦");
        output::answer(&format!("UPTIME UNKNOWN - {why}"));
    }
    command.build();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (named, rest) = named(&command, &words);
    // clap's own line has every option that a variable gives, as if it had to be written.
    if error.get(ContextKind::Usage).is_some() {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(named.clone().render_usage()));
    }
    let _ = error.print();
    if let Some(hint) = foreign_command(error.kind(), &named, rest) {
        let _ = output::say(&format!("{}\n", output::hint_line(&hint)));
    }
    if as_plugin {
        return Exit::Unknown.into();
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The subcommand that `words` name, and what follows it.
fn named<'w>(command: &Command, words: &'w [String]) -> (Command, &'w [String]) {
    let (mut named, mut rest) = (command, words);
    while let Some((first, others)) = rest.split_first() {
        if let Some(sub) = named.find_subcommand(first) {
            (named, rest) = (sub, others);
        } else if first.starts_with('-') {
            rest = others;
        } else {
            break;
        }
    }
    (named.clone(), rest)
}

fn foreign_command(kind: ErrorKind, named: &Command, rest: &[String]) -> Option<String> {
    if !matches!(kind, ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument) {
        return None;
    }
    let first = rest.iter().find(|word| !word.starts_with('-'))?;
    let path = named.get_bin_name().unwrap_or_default().strip_prefix("uptime").unwrap_or_default();
    let typed = format!("{path} {first}").replace(':', " ");
    let typed = typed.trim();
    if let Some((_, here)) = FOREIGN_COMMANDS.iter().find(|(there, _)| *there == typed) {
        return Some(format!("here it is `{here}`"));
    }
    let whole = command();
    let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
    let (meant, left) = self::named(&whole, &words);
    if first.contains(':') && left.is_empty() && meant.get_name() != whole.get_name() {
        return Some(format!("here it is `uptime {typed}`"));
    }
    (kind == ErrorKind::InvalidSubcommand).then(|| format!("`{} --help` lists the commands", bin_name(named)))
}

fn bin_name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(typed: &str) -> Option<String> {
        let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
        let mut command = super::command();
        command.build();
        let error = command.clone().try_get_matches_from(["uptime".to_owned()].iter().chain(&words)).err()?;
        let (named, rest) = named(&command, &words);
        foreign_command(error.kind(), &named, rest)
    }

    #[test]
    fn what_people_type_who_come_from_elsewhere_is_answered_with_what_it_is_here() {
        for (typed, answer) in [
            ("queue:work", "here it is `uptime worker all`"),
            ("queue work", "here it is `uptime worker all`"),
            ("queue:retry all", "here it is `uptime queue retry`"),
            ("queue:failed", "here it is `uptime queue failed`"),
            ("schedule:run", "here it is `uptime schedule`"),
            ("schedule run", "here it is `uptime schedule`"),
            ("doctor", "here it is `uptime config check` and `uptime db status`"),
            ("monitor frobnicate", "`uptime monitor --help` lists the commands"),
            ("--json frobnicate", "`uptime --help` lists the commands"),
        ] {
            assert_eq!(hint(typed).as_deref(), Some(answer), "{typed}");
        }
        assert_eq!(hint("queue retry"), None);
    }

    #[test]
    fn whatever_is_named_is_there() {
        for (_, here) in FOREIGN_COMMANDS {
            for named in here.split('`').filter(|part| part.starts_with("uptime")) {
                let words = named.split(' ').map(|word| word.replace("NAME", "ops"));
                let read = command().try_get_matches_from(words);
                assert!(
                    read.is_ok(),
                    "{named}: {}",
                    read.err().map(|error| error.to_string()).unwrap_or_default()
                );
            }
        }
    }
}
