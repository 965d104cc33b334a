//! One hostile component: what its file says of it, the component made of the file, and one call of it.
//!
//! A file opens with comments. The first lines say in words what it does; `;; expect: KIND: MESSAGE` is the error that
//! it ends in, or what becomes of its answer, exactly (with ` …` at its end: what it begins with). `;; call:` names the
//! function (`notify` unless it says so), `;; limits:` those that are not the tight ones, `;; settings:` the channel's,
//! `;; log:` how many lines of it reach the log, `;; seen:` a text that has to stand there.
//!
//! Its text is a core module's, and what it leaves out is as in a good plugin: the parts are exported as `describe`,
//! `validate`, `notify`, `cabi_realloc` and `memory`, those that clean up as `post-notify` and so on; `$http`, `$log`
//! and `$sign` are the host's functions. A file that begins with `(component` stands for itself.

use crate::support::{component, tight};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uptime_core::notifier::Description;
use uptime_core::secret::Secret;
use uptime_notifier::{ConfigProblem, Limits, NotifierError, Receipt, ResolvedSetting, ResolvedSettings};

/// The name under which each of them runs.
pub(crate) const NAME: &str = "hostile";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Describe,
    Validate,
    Notify,
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) function: Function,
    pub(crate) limits: Limits,
    pub(crate) settings: ResolvedSettings,
    expected: String,
    log_lines: Option<usize>,
    seen: Option<String>,
}

impl Case {
    /// All files of the folder, by name. `port` is where a server listens whom they may ask.
    pub(crate) fn all(port: u16) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
        let entries = std::fs::read_dir(folder).expect("the folder");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files.iter().map(|file| Self::read(file, port)).collect()
    }

    /// One that is no text.
    pub(crate) fn of_bytes(name: &str, bytes: Vec<u8>, expected: &str) -> Self {
        Self {
            name: name.to_owned(),
            bytes,
            function: Function::Notify,
            limits: tight(),
            settings: ResolvedSettings::new(),
            expected: expected.to_owned(),
            log_lines: None,
            seen: None,
        }
    }

    fn read(file: &Path, port: u16) -> Self {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).expect("a text");
        assert!(text.starts_with(";; "), "{name} does not say what it does");
        let word = |key: &str| {
            let prefix = format!(";; {key}: ");
            text.lines().find_map(|line| line.strip_prefix(prefix.as_str())).map(str::to_owned)
        };
        Self {
            bytes: build(&text.replace("PPPPP", &format!("{port:05}")), &name),
            function: match word("call").as_deref() {
                None | Some("notify") => Function::Notify,
                Some("describe") => Function::Describe,
                Some("validate") => Function::Validate,
                Some(other) => panic!("{name} calls `{other}`"),
            },
            limits: word("limits").map_or_else(tight, |words| limits(&words)),
            settings: word("settings").iter().flat_map(|words| words.split(' ').map(setting)).collect(),
            expected: word("expect").unwrap_or_else(|| panic!("{name} says no `expect`")),
            log_lines: word("log").map(|count| count.parse().expect("a number of lines")),
            seen: word("seen"),
            name,
        }
    }

    /// The call has ended as the file says.
    pub(crate) fn judge(&self, outcome: &Result<Returned, NotifierError>, log: &str) {
        let found = match outcome {
            Ok(answer) => answer.to_string(),
            Err(error) => format!("{}: {error}", kind(error)),
        };
        let fits = match self.expected.strip_suffix(" …") {
            Some(beginning) => found.starts_with(beginning),
            None => found == self.expected,
        };
        assert!(fits, "{}\nexpected: {}\n   found: {found}", self.name, self.expected);
        // Whatever it was: one line, no controls, and not endless.
        assert_eq!(found, uptime_core::text::printable(&found, 12_000), "{}", self.name);
        let guests = log.lines().filter(|line| line.contains("guest says")).count();
        if let Some(lines) = self.log_lines {
            assert_eq!(guests, lines, "{}\n{log}", self.name);
        }
        if let Some(seen) = &self.seen {
            assert!(log.contains(seen.as_str()), "{} logs no `{seen}`\n{log}", self.name);
        }
        for line in log.lines() {
            assert!(
                line.chars().count() < 2_500 && !line.contains(char::is_control),
                "{}: {line}",
                self.name
            );
        }
    }
}

pub(crate) enum Returned {
    Described(Description),
    Validated(Vec<ConfigProblem>),
    Delivered(Receipt),
}

impl std::fmt::Display for Returned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Described(it) => {
                let keys: Vec<_> = it.fields.iter().map(|field| field.key.as_str()).collect();
                write!(f, "described: `{}` {}, {}", it.name, short(&it.version), short(&it.summary))?;
                for field in &it.fields {
                    write!(f, "; {}: {}", field.key, short(&field.help))?;
                }
                if keys.is_empty() { Ok(()) } else { write!(f, " ({})", keys.len()) }
            }
            Self::Validated(problems) => {
                write!(f, "validated: {}", problems.len())?;
                problems.first().map_or(Ok(()), |first| write!(f, ": {}", short(&first.to_string())))
            }
            Self::Delivered(it) => {
                f.write_str("delivered")?;
                for (name, text) in [("remote id", &it.remote_id), ("detail", &it.detail)] {
                    text.as_ref().map_or(Ok(()), |text| write!(f, ", {name} {}", short(text)))?;
                }
                for (key, value) in &it.replaced {
                    let text = match value {
                        ResolvedSetting::Text(text) => short(text.expose()),
                        other => format!("{other:?}"),
                    };
                    write!(f, ", {key} is {text} now")?;
                }
                it.pause.map_or(Ok(()), |pause| write!(f, ", pause of {} s", pause.as_secs()))
            }
        }
    }
}

/// A text, or how long it is.
fn short(text: &str) -> String {
    match text.chars().count() {
        0..=60 => format!("`{text}`"),
        count => format!("of {count} characters"),
    }
}

fn kind(error: &NotifierError) -> &'static str {
    match error {
        NotifierError::Config { .. } => "config",
        NotifierError::RateLimited { .. } => "rate limited",
        NotifierError::Transient { .. } => "transient",
        NotifierError::Permanent { .. } => "permanent",
        NotifierError::EgressDenied { .. } => "egress denied",
        NotifierError::Trap { .. } => "trap",
        NotifierError::BadReturn { .. } => "bad return",
        NotifierError::Cpu { .. } => "cpu",
        NotifierError::Memory { .. } => "memory",
        NotifierError::Limit { .. } => "limit",
        NotifierError::WallClock { .. } => "wall clock",
        NotifierError::BadComponent { .. } => "bad component",
        _ => "another",
    }
}

/// `key=value` for each limit that is another than the tight ones; times in ms.
fn limits(words: &str) -> Limits {
    let mut limits = tight();
    for word in words.split(' ') {
        let (key, value) = word.split_once('=').expect("`key=value`");
        let number: usize = value.parse().expect("a number");
        let time = Duration::from_millis(value.parse().expect("a number"));
        match key {
            "cpu" => limits.cpu = time,
            "wall_clock" => limits.wall_clock = time,
            "request_timeout" => limits.request_timeout = time,
            "memory" => limits.memory = number,
            other => panic!("there is no limit `{other}`"),
        }
    }
    limits
}

fn setting(word: &str) -> (String, ResolvedSetting) {
    let (key, value) = word.split_once('=').expect("`key=value`");
    (key.to_owned(), ResolvedSetting::Text(Secret::new(value)))
}

/// The good plugin's parts, each with the export by which a file replaces it. Its memory: the name at 16, the
/// description at 64, and at 256 zeroes, which are a receipt with nothing in it and an empty list.
const PARTS: [(&str, &str); 5] = [
    ("memory", "(memory (export \"memory\") 4)"),
    (
        "cabi_realloc",
        "(global $free (mut i32) (i32.const 65536))
         (func (export \"cabi_realloc\") (param i32 i32 i32) (param $new i32) (result i32) (local $at i32)
           (local.set $at (global.get $free))
           (global.set $free (i32.and (i32.add (i32.add (local.get $at) (local.get $new)) (i32.const 7)) (i32.const -8)))
           (local.get $at))",
    ),
    ("describe", "(func (export \"describe\") (result i32) (i32.const 64))"),
    ("validate", "(func (export \"validate\") (param i32 i32) (result i32) (i32.const 256))"),
    ("notify", "(func (export \"notify\") (param i32) (result i32) (i32.const 256))"),
];

const IMPORTS: &str = r#"
  (import "uptime:notifier/http@0.1.0" "send" (func $http (param i32 i32)))
  (import "uptime:notifier/log@0.1.0" "write" (func $log (param i32 i32 i32)))
  (import "uptime:notifier/secrets@0.1.0" "hmac" (func $sign (param i32 i32 i32 i32 i32 i32)))
"#;

const DATA: &str = r#"
  (data (i32.const 16) "hostile")
  (data (i32.const 64) "\10\00\00\00\07\00\00\00\10\00\00\00\07\00\00\00\10\00\00\00\07\00\00\00")
"#;

/// The component that a file's text means.
pub(crate) fn build(text: &str, name: &str) -> Vec<u8> {
    let code = text.lines().find(|line| !line.starts_with(";;") && !line.is_empty()).unwrap_or_default();
    if code.starts_with("(component") {
        return wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let missing = PARTS.iter().filter(|(export, _)| !text.contains(&format!("(export \"{export}\")")));
    let parts: String = missing.map(|(_, part)| *part).collect::<Vec<_>>().join("\n");
    // The good data first, so that a file's own goes over it.
    let mut module = format!("(module {IMPORTS}\n{DATA}\n{text}\n{parts})");
    for export in ["describe", "validate", "notify"] {
        let full = format!("uptime:notifier/notifier@0.1.0#{export}");
        module = module
            .replace(&format!("(export \"{export}\")"), &format!("(export \"{full}\")"))
            .replace(&format!("(export \"post-{export}\")"), &format!("(export \"cabi_post_{full}\")"));
    }
    component(&module, "0.1.0")
}
