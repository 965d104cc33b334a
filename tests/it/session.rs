//! Sessions of operators, replayed: `sessions/` has for each test what somebody types, and what comes of it.
//!
//! - `$ …` is a line of a shell in the installation's folder. Below it: stdout, stderr, and the exit code but for 0.
//! - `sql …` are statements of the database. Below them: the rows, without what is null.
//! - `NAME hears` is for what came at that sink since the last time: type, severity, monitor, incident, who has
//!   acknowledged it, class, message, and delivery.
//! - `# …` is a word to the reader. Any of these goes on in the next line where it ends in a backslash.
//!
//! `UPDATE_GOLDEN=1` writes what comes of it anew. What differs between runs is masked digit by digit; instants and ids
//! of a fixture are not.

use crate::installation::Installation;
use crate::snapshots::{compare, golden, masked};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use uptime_tests::{Received, WebhookSink};

const VARIABLE: &[&str] = &[
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    "0000-00-00T00:00:00.000Z",
    "0000-00-00T00:00:00.000000Z",
    "0000-00-00",
    "00:00:00",
    "127.0.0.1:00000",
];

/// A test for each session of a folder, each on a scene of its own.
macro_rules! sessions {
    ($folder:literal: $($(#[$doc:meta])* $name:ident on $scene:expr;)+) => {
        $($(#[$doc])* #[test] fn $name() { $scene.replay(concat!($folder, "/", stringify!($name))); })+
    };
}
pub(crate) use sessions;

/// An installation, and the sinks of its channels by their names.
pub struct Scene {
    pub installation: Installation,
    pub sinks: Vec<(&'static str, WebhookSink)>,
}

impl Scene {
    /// Without channels.
    pub fn bare(file: &str) -> Self {
        let installation = Installation::new();
        installation.apply(file);
        Self { installation, sinks: Vec::new() }
    }

    /// With a file that was not applied.
    pub fn with_file(text: &str) -> Self {
        let scene = Self::bare("");
        scene.installation.write(text);
        scene
    }

    /// With this in the database.
    pub fn with_rows(sql: &str) -> Self {
        let scene = Self::bare("");
        scene.installation.database.query(sql);
        scene
    }

    pub fn replay(&self, name: &str) {
        let name = format!("sessions/{name}");
        let session = fs::read_to_string(golden(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut lines, mut text, mut heard) = (session.lines(), String::new(), vec![0; self.sinks.len()]);
        while let Some(line) = lines.next() {
            let mut act = line.to_owned();
            while act.ends_with('\\') {
                act = act + "\n" + lines.next().expect("it goes on");
            }
            if let Some(came) = self.act(&act.replace("\\\n", "\n"), &mut heard) {
                let end = if came.is_empty() || came.ends_with('\n') { "" } else { "\n" };
                let _ = write!(text, "{act}\n{}{end}", self.masked(&came));
            }
        }
        compare(&name, &text);
    }

    /// What comes of a line; `None`: it is no input.
    fn act(&self, line: &str, heard: &mut [usize]) -> Option<String> {
        if let Some(command) = line.strip_prefix("$ ") {
            let (exit, said) = self.installation.shell(None, command);
            return Some(if exit == 0 { said } else { format!("{said}exit {exit}\n") });
        }
        if let Some(sql) = line.strip_prefix("sql ") {
            let rows = self.installation.database.query(sql);
            let row =
                |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join("\t") + "\n";
            return Some(rows.into_iter().map(row).collect());
        }
        if let Some(name) = line.strip_suffix(" hears") {
            let nth = self.sinks.iter().position(|(sink, _)| *sink == name).expect("a sink of that name");
            let received = self.sinks[nth].1.received();
            let came = received[heard[nth]..].iter().map(message).collect();
            heard[nth] = received.len();
            return Some(came);
        }
        line.starts_with("# ").then(String::new)
    }

    fn masked(&self, text: &str) -> String {
        let folder = self.installation.file().with_file_name("").display().to_string();
        let masked = |line: &str| {
            // A fixture's own instants and ids are the same in each run.
            let is_fixed = |word: &str| {
                ["2026-01-01", "2100-01-01", "018cc251-f400"].iter().any(|own| word.starts_with(own))
            };
            let words = line.split_inclusive(['\t', ' ', '"', ',']);
            words
                .map(|word| if is_fixed(word) { word.to_owned() } else { masked(word, VARIABLE) })
                .collect::<String>()
        };
        text.replace(folder.trim_end_matches('/'), "FOLDER").split_inclusive('\n').map(masked).collect()
    }
}

/// A message, as a sink got it.
fn message(received: &Received) -> String {
    let event = received.json();
    let keys = "type severity monitor/name incident/id incident/acknowledged_by outcome/class outcome/message \
                delivery_id";
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let words = keys.split(' ').map(|key| event.pointer(&format!("/{key}")).map_or_else(String::new, word));
    words.collect::<Vec<_>>().join("\t") + "\n"
}
