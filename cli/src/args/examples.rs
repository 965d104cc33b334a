//! An example for each command, shown below its `--help`. A test reads each as a command line.

use clap::Command;

/// The command, without `uptime`, and what one might type.
pub const ALL: &[(&str, &[&str])] = &[
    (
        "check",
        &[
            "uptime check https://example.com tcp://db.example.com:5432 ping://192.0.2.1",
            "uptime check https://example.com --expect-json \"$.status == 'ok'\" --timeout 5s",
            "uptime check 'dns://example.com?type=MX' --expect-answers '10 mail.example.com' --authoritative",
            "uptime check shop --nagios",
        ],
    ),
    (
        "up",
        &[
            "uptime up https://example.com",
            "uptime up https://example.com --interval 10s --notify ops --for 1h",
        ],
    ),
    ("init", &["uptime init", "uptime init /etc/uptime/uptime.toml"]),
    ("apply", &["uptime apply --dry-run", "uptime apply --prune --yes"]),
    ("schedule", &["* * * * * uptime schedule", "uptime schedule --every 1s"]),
    ("worker monitor-checks", &["uptime worker monitor-checks --concurrency 200 --listen 9100"]),
    ("worker notifications", &["uptime worker notifications --tries 5 --backoff 5s,30s,2m"]),
    ("worker all", &["uptime worker all", "uptime worker all --stop-when-empty"]),
    ("queue monitor", &["uptime queue monitor", "uptime queue monitor notifications --max 100 --watch"]),
    ("queue failed", &["uptime queue failed --queue notifications", "uptime queue failed 17"]),
    ("queue retry", &["uptime queue retry 17 18", "uptime queue retry all --queue notifications"]),
    ("queue forget", &["uptime queue forget 17"]),
    ("queue flush", &["uptime queue flush --hours 48 --yes"]),
    ("queue prune-failed", &["uptime queue prune-failed --hours 72"]),
    ("queue clear", &["uptime queue clear notifications --dry-run"]),
    ("queue pause", &["uptime queue pause notifications"]),
    ("queue resume", &["uptime queue resume notifications"]),
    ("queue restart", &["uptime queue restart"]),
    ("monitor list", &["uptime monitor list", "uptime monitor list --json"]),
    ("channel list", &["uptime channel list"]),
    ("channel test", &["uptime channel test ops", "uptime channel test ops --dry-run"]),
    ("incident list", &["uptime incident list --open", "uptime incident list --monitor shop --limit 10"]),
    ("incident show", &["uptime incident show 7"]),
    (
        "incident ack",
        &["uptime incident ack 7", "uptime incident ack 7 8 --for 2h --note 'the switch is being replaced'"],
    ),
    ("incident unack", &["uptime incident unack 7"]),
    ("incident mute", &["uptime incident mute 7 --note 'known, mended on Monday'"]),
    ("incident unmute", &["uptime incident unmute 7"]),
    ("incident resolve", &["uptime incident resolve 7 --by anna"]),
    ("incident comment", &["uptime incident comment 7 'the provider works on it'"]),
    ("maintenance list", &["uptime maintenance list"]),
    (
        "maintenance add",
        &[
            "uptime maintenance add upgrade --monitor shop --for 2h",
            "uptime maintenance add nightly --all --hours 'sun 02:00-04:00 Europe/Berlin'",
        ],
    ),
    ("maintenance remove", &["uptime maintenance remove upgrade"]),
    ("notification list", &["uptime notification list --state failed --channel ops"]),
    ("notification show", &["uptime notification show 42"]),
    (
        "notification retry",
        &["uptime notification retry 42", "uptime notification retry all --channel ops --dry-run"],
    ),
    (
        "notification discard",
        &["uptime notification discard 42", "uptime notification discard all --channel ops --yes"],
    ),
    ("plugin list", &["uptime plugin list"]),
    ("plugin inspect", &["uptime plugin inspect telegram", "uptime plugin inspect ./hello.wasm"]),
    (
        "plugin add",
        &[
            "uptime plugin add hello.wasm --allow https://api.example.com",
            "uptime plugin add build/hello.wasm --name hello-test --allow http://127.0.0.1:9000 --limit memory='64 MiB'",
        ],
    ),
    (
        "plugin trust",
        &[
            "uptime plugin trust hello",
            "uptime plugin trust hello --allow https://api.example.com --limit cpu=2s",
        ],
    ),
    ("plugin remove", &["uptime plugin remove hello"]),
    ("plugin new", &["uptime plugin new hello", "uptime plugin new hello --lang python"]),
    ("plugin build", &["uptime plugin build hello"]),
    ("plugin test", &["uptime plugin test hello/hello.wasm", "uptime plugin test hello/hello.wasm --update"]),
    ("config check", &["uptime config check --config uptime.toml"]),
    ("config schema", &["uptime config schema"]),
    ("db migrate", &["DATABASE_URL=postgres://owner@db.example.com/monitoring uptime db migrate"]),
    ("db status", &["uptime db status"]),
    ("db url", &["psql \"$(uptime db url)\""]),
    ("db stop", &["uptime db stop"]),
    ("service supervisor", &["uptime service supervisor --user uptime >/etc/supervisor/conf.d/uptime.conf"]),
    ("service systemd", &["uptime service systemd --user uptime --into /etc/systemd/system"]),
    ("service cron", &["uptime service cron"]),
    ("service windows", &["uptime service windows"]),
    ("completions", &["uptime completions bash >/etc/bash_completion.d/uptime"]),
    ("help", &["uptime help queue retry", "uptime help incidents", "uptime help exit-codes"]),
];

/// Puts them into the help of `command` and of all below it.
pub fn add_to(command: Command) -> Command {
    ALL.iter().fold(command, |command, (path, examples)| {
        let path: Vec<&str> = path.split(' ').collect();
        add(command, &path, examples)
    })
}

fn add(command: Command, path: &[&str], examples: &[&str]) -> Command {
    if let Some((first, rest)) = path.split_first() {
        return command.mut_subcommand(*first, |sub| add(sub, rest, examples));
    }
    let before = command.get_after_help().map(|help| format!("{}\n\n", help.ansi())).unwrap_or_default();
    let word = if examples.len() == 1 { "Example" } else { "Examples" };
    command.after_help(format!("{before}{word}:\n  {}", examples.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage;
    use std::collections::BTreeSet;

    fn leaves(command: &Command, path: &str, into: &mut BTreeSet<String>) {
        let mut subcommands = command.get_subcommands().peekable();
        if subcommands.peek().is_none() {
            into.insert(path.trim().to_owned());
        }
        for sub in subcommands {
            leaves(sub, &format!("{path} {}", sub.get_name()), into);
        }
    }

    /// As a shell splits words, for what stands in the examples.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in line.chars() {
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (' ', None) => words.push(String::new()),
                (c, _) => words.last_mut().expect("there is one").push(c),
            }
        }
        words
    }

    #[test]
    fn each_command_has_an_example_and_each_example_is_one_of_it() {
        let command = usage::command();
        let mut all = BTreeSet::new();
        leaves(&command, "", &mut all);
        assert_eq!(all, ALL.iter().map(|(path, _)| (*path).to_owned()).collect());
        for (path, examples) in ALL {
            for example in *examples {
                let typed = example.split_once("uptime ").expect("it runs uptime").1;
                let typed = typed.split(" >").next().expect("a part").trim_end_matches(")\"");
                assert!(typed.starts_with(path), "{example}");
                let read =
                    command.clone().try_get_matches_from([vec!["uptime".into()], words(typed)].concat());
                let ok = match &read {
                    Ok(_) => true,
                    Err(error) => !error.use_stderr(),
                };
                assert!(ok, "{example}: {}", read.err().map(|error| error.to_string()).unwrap_or_default());
            }
        }
    }
}
