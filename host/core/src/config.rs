//! `uptime.toml`: text in, a [`Config`] and [`Diagnostic`]s out.
//!
//! The reader of a table is its schema: a key exists because a reader asks for it, and what nobody asked for is
//! unknown (module `table`). So the reference ([`reference()`]) can't differ from what is read. All errors of a file are
//! found at once, and no text makes the reader panic. Literal secrets are never in a message, and each diagnostic
//! says which bytes of its line must not be shown. The command line reads the file and prints; nothing here does.

mod calendar;
mod channels;
mod checks;
mod diagnostic;
mod heartbeat;
mod key;
mod kinds;
mod limits;
mod maintenance;
mod monitors;
mod over;
mod parsed;
mod plugins;
mod queues;
mod reference;
mod references;
mod secrets;
mod syntax;
mod table;
mod values;

pub use checks::ChecksSection;
pub use diagnostic::{Diagnostic, Level};
pub use heartbeat::HeartbeatSection;
pub use key::{Given, KeyDoc, Typed, quoted};
pub use over::{file_of, read_over};
pub use plugins::{ConfigOutline, PluginSection, config_outline};
pub use reference::reference;
pub use secrets::{SecretsSection, references};

use crate::channel::Channel;
use crate::maintenance::Maintenance;
use crate::monitor::Monitor;
use crate::notifier::Description;
use crate::queue::{MONITOR_CHECKS, Queues};
use crate::secret::SecretRef;
use crate::text::{did_you_mean_or_all, printable};
use diagnostic::{Diagnostics, Lines};
use references::Reference;
use std::collections::BTreeSet;
use std::ops::Range;
use table::{Table, keys};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use values::DATABASE_URL;

/// What `uptime init` writes: it reads as it is, and its commented examples read when they are uncommented.
pub const STARTER: &str = include_str!("config/starter.toml");

/// The longest file that is read, in bytes.
pub const TEXT_MOST: usize = 64 << 20;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub database: DatabaseSection,
    pub queues: Queues,
    pub checks: ChecksSection,
    pub heartbeat: HeartbeatSection,
    pub secrets: SecretsSection,
    /// `[plugins]`, sorted by name.
    pub plugins: Vec<PluginSection>,
    /// `[channels]`, sorted by name.
    pub channels: Vec<Channel>,
    /// `[monitors]`, sorted by name.
    pub monitors: Vec<Monitor>,
    /// `[maintenance]`, sorted by name.
    pub maintenance: Vec<(String, Maintenance)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSection {
    /// Which database; `None`: the file does not say.
    pub url: Option<SecretRef>,
}

/// What came of reading a file.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it says; `None` when there is an error.
    pub config: Option<Config>,
    /// What is wrong with it, in the file's order.
    pub diagnostics: Vec<Diagnostic>,
    text: String,
    secrets: Vec<Range<usize>>,
}

impl Reading {
    /// Where the value of a key is, or the header of a table, such as `["channels", "ops", "chat_id"]`.
    pub fn position_of(&self, path: &[&str]) -> Option<Range<usize>> {
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let (first, rest) = path.split_first()?;
        let mut item: &Spanned<DeValue<'_>> = root.get_ref().get(*first)?;
        for key in rest {
            item = item.get_ref().as_table()?.get(*key)?;
        }
        Some(item.span())
    }

    /// An error that somebody else found in what the file says, such as a notifier in its settings. It is put where
    /// `path` is, or the nearest table around it.
    pub fn complaint(&self, path: &[&str], message: &str, hint: Option<&str>) -> Diagnostic {
        let found = (1..=path.len()).rev().find_map(|length| self.position_of(&path[..length]));
        let hint = hint.map(|hint| printable(hint, 300));
        let (message, found) = (printable(message, 300), found.unwrap_or_default());
        Lines::new(&self.text).diagnose(Level::Error, message, hint, found, &self.secrets)
    }
}

/// The notifiers that a channel may name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notifiers<'n> {
    /// Those that have described themselves.
    pub described: &'n [Description],
    /// The names of those that are there and can't be asked, so that nobody knows their channels' keys.
    pub silent: &'n [String],
}

impl<'n, D: AsRef<[Description]> + ?Sized> From<&'n D> for Notifiers<'n> {
    fn from(described: &'n D) -> Self {
        Self { described: described.as_ref(), silent: &[] }
    }
}

/// Reads a file. `notifiers` are those that a channel may name.
pub fn read<'n>(text: &str, notifiers: impl Into<Notifiers<'n>>) -> Reading {
    let notifiers = notifiers.into();
    let mut notes = Diagnostics::default();
    let mut config = None;
    if text.len() > TEXT_MOST {
        let message = format!("the file has {} bytes, and {TEXT_MOST} are the most", text.len());
        notes.error(0..0, message, Some("put fewer monitors into it".into()));
    } else {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            config = Some(read_file(&mut Table::root(&mut notes, root.get_ref()), notifiers));
        } else {
            syntax::report(text, errors, notifiers.described, &mut notes);
        }
    }
    let (diagnostics, secrets) = notes.conclude(text);
    let config = config.filter(|_| diagnostics.iter().all(|diagnostic| diagnostic.level != Level::Error));
    Reading { config, diagnostics, text: text.to_owned(), secrets }
}

fn read_file(root: &mut Table<'_, '_>, notifiers: Notifiers<'_>) -> Config {
    let url = root.table("database", |table| {
        let place = Reference { literal: DATABASE_URL, secret: false };
        keys! { table:
            /// URL of the database. `DATABASE_URL` takes precedence.
            let url = optional("a PostgreSQL of its own, started when it is needed", &place);
        }
        url
    });
    let queues = root.table("queues", queues::read);
    let checks = checks::read(root);
    let heartbeat = heartbeat::read(root);
    let secrets = secrets::read(root);
    let plugins = plugins::read(root);
    let channels = channels::read(root, notifiers);
    let job_timeout = queues.settings(MONITOR_CHECKS).timeout;
    let surroundings = monitors::Surroundings {
        channels: root.names("channels"),
        monitors: root.names("monitors"),
        job_timeout,
    };
    let monitors = monitors::read(root, &surroundings);
    let windows = maintenance::read(root, &surroundings.monitors);
    let groups: BTreeSet<&str> = monitors.iter().filter_map(|monitor| monitor.group.as_deref()).collect();
    let of_channels = channels.iter().flat_map(|found| &found.groups);
    for (group, span) in of_channels.chain(windows.iter().flat_map(|found| &found.groups)) {
        if !groups.contains(group.as_str()) {
            let message = format!("no monitor of the file is in the group `{}`", printable(group, 60));
            let hint = did_you_mean_or_all(group, groups.iter().copied());
            root.notes.warning(span.clone(), message, Some(hint));
        }
    }
    root.finish();
    let channels = channels.into_iter().map(|found| found.channel).collect();
    let maintenance = windows.into_iter().map(|found| (found.name, found.window)).collect();
    let database = DatabaseSection { url };
    Config { database, queues, checks, heartbeat, secrets, plugins, channels, monitors, maintenance }
}

#[cfg(test)]
mod tests;
