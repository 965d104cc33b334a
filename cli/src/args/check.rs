//! `uptime check`: what to check, how, and what is expected.
//!
//! The keys of a monitor are the flags: what a key takes and means is said by the configuration file's reader, whose
//! reference makes the flags here (`expect.json` is `--expect-json`), and who judges the values. [`NAMED`] has those
//! that are called otherwise or take another form than the file.

use super::duration;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args as ClapArgs, Command, FromArgMatches};
use std::ffi::OsStr;
use std::sync::LazyLock;
use std::time::Duration;
use uptime_core::config::{self, KeyDoc, Typed};
use uptime_core::monitor::CheckSpec;
use uptime_core::target::{forms, schemes};

#[derive(Debug, ClapArgs)]
#[command(after_help = "Conditions are `PATH OPERATOR VALUE` and `NAME OPERATOR VALUE`, such as \
    `--expect-json \"$.status == 'ok'\"` or `--expect-header \"Content-Type contains 'json'\"`; operators: exists, \
    absent, ==, !=, <, <=, >, >=, contains, =~.\n\nWhat is written on a command line, others of this machine can see: \
    keep secrets in variables (--header-env, --bearer-env, …).")]
pub struct CheckArgs {
    #[arg(required = true, value_name = "TARGET", help = format!("{}, or the name of a monitor of the file", forms()))]
    pub targets: Vec<String>,
    /// Number of checks, one line each, with a summary
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Interval between checks; without `--count` until Ctrl-C [default: 1s]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub interval: Option<Duration>,
    /// Behave as a Nagios plugin: one line with performance data, exit code 0, 1 (degraded), 2 (down) or 3
    #[arg(long, conflicts_with_all = ["count", "interval", "format", "json"])]
    pub nagios: bool,
    /// Any key of a monitor, such as `expect.status=204`; `uptime config schema` lists them
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    #[command(flatten)]
    pub keys: Keys,
}

/// What becomes of the text of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Value,
    /// The flag alone says `false`.
    Not,
    /// A file's name, which may be relative.
    Path,
    /// The name of a file with the value.
    File,
    /// The name of a variable with the value.
    Env,
    /// A key of the table that the value is.
    Part(&'static str),
    PartEnv(&'static str),
    /// `NAME: VALUE`.
    Header,
    /// `NAME=VARIABLE`.
    HeaderEnv,
    Days,
    /// The method is then `POST`, if none is given.
    Data,
    /// With `\r`, `\n`, `\t`, `\\` and `\x00`.
    Escaped,
}

/// Key, flag, letter and form of the flags that are not called as their key. A key stands for its namesake in `expect`
/// as well.
const NAMED: &[(&str, &str, Option<char>, Form)] = &[
    ("latency_below", "expect-latency", None, Form::Value),
    ("degraded_above", "warn-latency", None, Form::Value),
    ("method", "method", Some('X'), Form::Value),
    ("headers", "header", Some('H'), Form::Header),
    ("headers", "header-env", None, Form::HeaderEnv),
    ("body", "data", Some('d'), Form::Data),
    ("auth", "user", None, Form::Part("user")),
    ("auth", "password-env", None, Form::PartEnv("password")),
    ("auth", "bearer-env", None, Form::PartEnv("bearer")),
    ("proxy", "proxy", None, Form::Value),
    ("proxy", "proxy-env", None, Form::Env),
    ("body_contains", "expect-body", None, Form::Value),
    ("body_not_contains", "expect-no-body", None, Form::Value),
    ("body_matches", "expect-match", None, Form::Value),
    ("expect.headers", "expect-header", None, Form::Value),
    ("size_below", "expect-size", None, Form::Value),
    ("tls_version", "expect-tls-version", None, Form::Value),
    ("certificate_days", "certificate-days", None, Form::Days),
    ("verify", "no-verify", Some('k'), Form::Not),
    ("ca", "ca", None, Form::Path),
    ("client_certificate", "client-certificate", None, Form::Path),
    ("client_key", "client-key", None, Form::File),
    ("banner", "expect-banner", None, Form::Value),
    ("expect", "expect-text", None, Form::Value),
    ("send", "send", None, Form::Escaped),
    ("send", "send-env", None, Form::Env),
    ("count", "pings", None, Form::Value),
    ("loss_below", "expect-loss", None, Form::Value),
    ("loss_degraded", "warn-loss", None, Form::Value),
    ("min_below", "expect-min", None, Form::Value),
    ("max_below", "expect-max", None, Form::Value),
    ("jitter_below", "expect-jitter", None, Form::Value),
];

/// Flags of which the first is nothing without the second.
const TOGETHER: [[&str; 2]; 4] = [
    ["user", "password-env"],
    ["password-env", "user"],
    ["client-certificate", "client-key"],
    ["client-key", "client-certificate"],
];

const EITHER: [[&str; 2]; 3] = [["password-env", "bearer-env"], ["proxy", "proxy-env"], ["send", "send-env"]];

/// What checks have a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    All,
    /// `https`, perhaps after a redirect, and TCP with TLS.
    Tls,
    /// One type of check.
    Only(&'static str),
}

impl For {
    fn heading(self) -> String {
        match self {
            Self::All => "For all targets".into(),
            Self::Tls => "For https, and tcp with --tls or --starttls".into(),
            Self::Only(kind) => format!("For {kind}"),
        }
    }

    pub fn words(self) -> String {
        match self {
            Self::All => "any target".into(),
            Self::Tls => "`https://`, and for `tcp://` with `--tls` or `--starttls`".into(),
            Self::Only(kind) => {
                let schemes = schemes(kind).iter().map(|scheme| format!("`{scheme}://`"));
                schemes.collect::<Vec<_>>().join(" and ")
            }
        }
    }
}

#[derive(Debug)]
pub struct Flag {
    /// Apart from other arguments: `count` is a flag and a key of pings.
    id: String,
    pub long: String,
    letter: Option<char>,
    pub form: Form,
    help: String,
    heading: String,
    /// What stands for the value; empty: the flag is alone.
    value: String,
    pub typed: Typed,
    /// The key of each type of check that has it.
    keys: Vec<(&'static str, String)>,
}

impl Flag {
    pub fn key(&self, kind: &str) -> Option<&str> {
        self.keys.iter().find(|(each, _)| *each == kind).map(|(_, key)| key.as_str())
    }

    pub fn whom(&self) -> For {
        match self.keys.as_slice() {
            [(kind, _)] => For::Only(kind),
            [("http", _), ("tcp", _)] => For::Tls,
            _ => For::All,
        }
    }

    fn arg(&'static self) -> Arg {
        let arg = Arg::new(self.id.as_str()).long(self.long.as_str()).short(self.letter).help(&self.help);
        let arg = arg.help_heading(self.heading.as_str());
        if self.value.is_empty() {
            return arg.action(ArgAction::SetTrue);
        }
        let several = self.typed.is_list || matches!(self.form, Form::Header | Form::HeaderEnv);
        let arg = arg.value_name(self.value.as_str()).value_parser(Words(&self.typed.words));
        let arg = arg.action(if several { ArgAction::Append } else { ArgAction::Set });
        if several && self.typed.commas { arg.value_delimiter(',') } else { arg }
    }
}

/// The flags that are keys of monitors.
pub static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let mut flags: Vec<Flag> = Vec::new();
    for doc in config::reference(&[]) {
        let Some(path) = path(&doc) else { continue };
        let is_of = |kind: &str| doc.when.as_ref().is_none_or(|when| *when == format!("type = \"{kind}\""));
        let kinds = CheckSpec::TYPES.iter().filter(|kind| is_of(kind));
        let has_key: Vec<_> = kinds.map(|kind| (*kind, path.clone())).collect();
        for (long, letter, form) in flags_of(&path) {
            if let Some(flag) = flags.iter_mut().find(|flag| flag.long == long) {
                for (kind, key) in has_key.clone() {
                    if flag.key(kind).is_none() {
                        flag.keys.push((kind, key));
                    }
                }
                continue;
            }
            let (id, help, value) = (format!("key.{long}"), help(&doc, form), value(&doc.typed, form));
            let (typed, keys) = (doc.typed.clone(), has_key.clone());
            let heading = String::new();
            flags.push(Flag { id, long, letter, form, help, heading, value, typed, keys });
        }
    }
    for flag in &mut flags {
        flag.heading = flag.whom().heading();
    }
    flags
});

/// The key with its table, if it says how to check, and not what or when.
fn path(doc: &KeyDoc) -> Option<String> {
    let table = doc.table.strip_prefix("monitors.NAME")?;
    let is_of_check = doc.when.is_some() || matches!(doc.key.as_str(), "timeout" | "ip" | "resolver");
    let path = format!("{table}.{}", doc.key).trim_start_matches('.').to_owned();
    // What must be there is the target.
    (is_of_check && doc.default.is_some()).then_some(path)
}

fn flags_of(path: &str) -> Vec<(String, Option<char>, Form)> {
    let named = |key: &str| {
        let rows = NAMED.iter().filter(|(other, ..)| *other == key);
        rows.map(|(_, long, letter, form)| ((*long).to_owned(), *letter, *form)).collect::<Vec<_>>()
    };
    let own = named(path);
    let own = if own.is_empty() { named(path.trim_start_matches("expect.")) } else { own };
    if own.is_empty() { vec![(path.replace(['.', '_'], "-"), None, Form::Value)] } else { own }
}

fn value(typed: &Typed, form: Form) -> String {
    match form {
        Form::Env | Form::PartEnv(_) => "VARIABLE".into(),
        Form::HeaderEnv => "NAME=VARIABLE".into(),
        Form::Header => "NAME: VALUE".into(),
        Form::Part(_) => "NAME".into(),
        _ if typed.is_list && typed.commas => format!("{},…", typed.value),
        _ => typed.value.into(),
    }
}

fn help(doc: &KeyDoc, form: Form) -> String {
    let text = doc.doc.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let default = doc.default.as_deref().and_then(|text| text.strip_prefix('`')?.strip_suffix('`'));
    match (form, default) {
        (Form::Not, _) => "Accept a certificate that is not trusted".into(),
        (Form::Data, _) => format!("{text}; makes the method POST"),
        (Form::Part(_), _) => "User name, with `--password-env`".into(),
        (Form::PartEnv("bearer"), _) => "Environment variable with the bearer token".into(),
        (Form::PartEnv(part), _) => format!("Environment variable with the {part}"),
        (Form::Env, _) => format!("{text}, in an environment variable"),
        (Form::Escaped, _) => format!("{text}; `\\r`, `\\n`, `\\t`, `\\\\` and `\\x00` are escapes as in C"),
        (Form::HeaderEnv, _) => "Header of the request whose value is in an environment variable".into(),
        (_, Some(default)) if default != "false" && !default.contains('`') => {
            format!("{text} [default: {}]", default.trim_matches('"'))
        }
        _ => text.to_owned(),
    }
}

/// Takes any text, which the reader of the file judges, and lists the words for help and completions.
#[derive(Clone)]
struct Words(&'static [String]);

impl TypedValueParser for Words {
    type Value = String;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = self.0.iter().map(|word| PossibleValue::new(word.as_str()));
        if self.0.is_empty() { None } else { Some(Box::new(words)) }
    }
}

/// The flags that were given, each with its values, of which a switch has none.
#[derive(Debug)]
pub struct Keys(pub Vec<(&'static Flag, Vec<String>)>);

impl clap::Args for Keys {
    fn augment_args(command: Command) -> Command {
        let command = FLAGS.iter().fold(command, |command, flag| command.arg(flag.arg()));
        let id = |long: &str| format!("key.{long}");
        let command = TOGETHER.iter().fold(command, |command, [one, other]| {
            command.mut_arg(id(one), |arg| arg.requires(known(other)))
        });
        EITHER.iter().fold(command, |command, [one, other]| {
            command.mut_arg(id(one), |arg| arg.conflicts_with(known(other)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The id of a flag that is there.
fn known(long: &str) -> &'static str {
    FLAGS.iter().find(|flag| flag.long == long).map_or("", |flag| flag.id.as_str())
}

impl FromArgMatches for Keys {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |flag: &'static Flag| {
            if flag.value.is_empty() {
                return matches.get_flag(&flag.id).then(|| (flag, Vec::new()));
            }
            Some((flag, matches.get_many::<String>(&flag.id)?.cloned().collect()))
        };
        Ok(Self(FLAGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_named_flag_is_of_a_key_and_none_is_there_twice() {
        for (key, long, ..) in NAMED {
            assert!(FLAGS.iter().any(|flag| flag.long == *long), "{key} {long}");
        }
        for flag in FLAGS.iter() {
            assert_eq!(FLAGS.iter().filter(|other| other.long == flag.long).count(), 1, "{flag:?}");
        }
        for long in TOGETHER.iter().chain(&EITHER).flatten() {
            assert_ne!(known(long), "", "{long}");
        }
    }
}
