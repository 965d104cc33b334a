//! `[plugins.NAME]`: plugins that the file brings along, and what others may do and use up.
//!
//! A plugin of the file is trusted by the SHA-256 beside its path. Without a path the table is about a plugin that is
//! there anyway, built in or added with `uptime plugin add`. Since a channel's keys are its plugin's word, this table
//! is also read alone, before all else ([`config_outline`]). Nothing here opens a file.

use super::diagnostic::Diagnostics;
use super::kinds::{List, Text, ValueError};
use super::limits::{self, Whose};
use super::parsed::Parsed;
use super::table::{Table, keys};
use super::values::GRANT;
use crate::grant::HostGrant;
use crate::notifier::{LimitChanges, name_problem};
use crate::text::printable;
use std::path::PathBuf;
use toml::de::DeTable;

/// What the file says of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSection {
    /// The word in `notifier = "…"`.
    pub name: String,
    /// Its component, as it is written: relative to the file.
    pub file: Option<PathBuf>,
    /// The SHA-256 of the component that is trusted, in small hexadecimal digits.
    pub sha256: Option<String>,
    /// Where it may send requests; `None`: the file does not say.
    pub allow: Option<Vec<HostGrant>>,
    pub limits: LimitChanges,
}

/// What has to be known of a file before it can be read: which plugins it brings along, and which it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigOutline {
    pub plugins: Vec<PluginSection>,
    /// Each channel with the notifier that it names.
    pub channels: Vec<(String, String)>,
}

/// Looks at a text as far as it can be read. What is wrong with it is [`read`](super::read)'s to say.
pub fn config_outline(text: &str) -> ConfigOutline {
    if text.len() > super::TEXT_MOST {
        return ConfigOutline::default();
    }
    let (root, _) = DeTable::parse_recoverable(text);
    let mut notes = Diagnostics::default();
    let plugins = read(&mut Table::root(&mut notes, root.get_ref()));
    let channels = root.get_ref().get("channels").and_then(|channels| channels.get_ref().as_table());
    let channels = channels.into_iter().flatten().filter_map(|(name, channel)| {
        let notifier = channel.get_ref().as_table()?.get("notifier")?.get_ref().as_str()?;
        Some((name.get_ref().clone().into_owned(), notifier.to_owned()))
    });
    ConfigOutline { plugins, channels: channels.collect() }
}

pub(super) fn read(root: &mut Table<'_, '_>) -> Vec<PluginSection> {
    root.tables("plugins", section)
}

fn section(name: &str, table: &mut Table<'_, '_>) -> Option<PluginSection> {
    let component = Text { most: 4_000, example: "plugins/hello.wasm" };
    keys! { table:
        /// Component file, relative to this file.
        let file = optional("the built-in plugin of this name, or the one added with `uptime plugin add`", &component);
        /// SHA-256 of the trusted component; only with `file`.
        let sha256 = optional("nothing is trusted", &SHA256);
        /// Origins it may send requests to, plain HTTP and private addresses included; a built-in plugin also reaches
        /// its own.
        let allow = optional("what was granted when it was added", &List { of: GRANT, count: 0..=20, or_one: false });
    }
    let limits = limits::read(table, Whose::Plugin);
    let problem = name_problem(name).filter(|_| table.is_there());
    if let Some(problem) = problem {
        let message = format!("`{}` can't be the name of a plugin: a name {problem}", printable(name, 60));
        table.notes.error(table.span(), message, Some("write `[plugins.hello]`".into()));
    }
    if file.is_none() && sha256.is_some() {
        let message = "`sha256` is there, and no `file` that it is of".to_owned();
        let hint = "add `file = \"plugins/hello.wasm\"`, or leave it out: what was added is trusted already";
        table.error_at("sha256", message, hint);
    }
    let file = file.map(PathBuf::from);
    problem.is_none().then(|| PluginSection { name: name.to_owned(), file, sha256, allow, limits })
}

const SHA256: Parsed<String> =
    Parsed::new("SHA256", "the SHA-256 of a file, 64 hexadecimal digits", "\"…\"", |text, _, _| {
        if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(text.to_ascii_lowercase());
        }
        Err(ValueError::form("`sha256sum FILE` prints it, and `uptime plugin inspect FILE`"))
    });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_look_sees_what_can_be_read_of_a_damaged_file() {
        let text = "[plugins.hello]\nfile = \"a.wasm\"\nsha256 = \"abc\"\nallow = [\"https://a.example\"]\n\
                    [plugins.Wrong]\nfile = \"b.wasm\"\n[plugins.webhook]\nlimits = { requests = 3, cpu = \"9h\" }\n\
                    [channels.ops]\nnotifier = \"hello\"\nurl = \n[channels.odd]\nnotifier = 7\n";
        let look = config_outline(text);
        let names: Vec<&str> = look.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        assert_eq!(names, ["hello", "webhook"]);
        assert_eq!((&look.plugins[0].sha256, look.plugins[0].allow.as_ref().map(Vec::len)), (&None, Some(1)));
        assert_eq!(look.plugins[1].limits.iter().count(), 1, "what is out of bounds is not there");
        assert_eq!(look.channels, [("ops".to_owned(), "hello".to_owned())]);
        assert_eq!(config_outline("no TOML at all"), ConfigOutline::default());
    }
}
