//! Which plugins there are: built in, added (`uptime plugin add`), and of the file (`[plugins.NAME]`).
//!
//! The file has the last word on a plugin's grants and limits, and a plugin of its own comes before an added one of the
//! same name; nothing takes the name of a built-in one. A plugin is read when it is first used, so only those that the
//! file speaks of are asked for their description.

use super::locate;
use crate::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uptime_core::config::{ConfigOutline, Diagnostic, Notifiers, PluginSection, Reading, config_outline};
use uptime_core::notifier::Description;
use uptime_notifier::registry::{Installed, Registry, RegistryError};
use uptime_notifier::{Component, NotifierError, NotifierHost, Origin, PluginSource, is_built_in};

pub fn registry(global: &Global) -> Result<Registry> {
    Ok(Registry::of(&locate::data_dir(global)?))
}

/// What the file says of plugins and channels, as far as it can be read; nothing where there is none.
pub fn outline(global: &Global) -> ConfigOutline {
    let text = locate::find(global).and_then(|path| locate::text(&path, global).ok());
    text.map(|text| config_outline(&text)).unwrap_or_default()
}

/// The channels of the file that use a plugin.
pub fn users(outline: &ConfigOutline, plugin: &str) -> Vec<String> {
    let uses = outline.channels.iter().filter(|(_, notifier)| notifier == plugin);
    uses.map(|(channel, _)| channel.clone()).collect()
}

/// Whether the file brings a plugin of this name along.
pub fn is_of_file(outline: &ConfigOutline, plugin: &str) -> bool {
    outline.plugins.iter().any(|section| section.name == plugin && section.file.is_some())
}

/// The plugins of this process. One that can't be read keeps no other from being there.
pub fn sources(global: &Global) -> Vec<PluginSource> {
    let added = registry(global).map_or(Ok(Vec::new()), |registry| registry.installed());
    let added = added.unwrap_or_else(|error: RegistryError| {
        tracing::warn!(%error, hint = error.hint(), "added plugins are not there");
        Vec::new()
    });
    let folder = locate::find(global).and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    combine(&added, &outline(global).plugins, &folder)
}

/// The file's word over the added plugins and the built-in ones. `folder` is the file's.
fn combine(added: &[Installed], sections: &[PluginSection], folder: &Path) -> Vec<PluginSource> {
    let added = added.iter().map(Installed::source).filter(|source| !is_built_in(&source.name));
    let mut sources: BTreeMap<String, PluginSource> =
        PluginSource::built_in().chain(added).map(|source| (source.name.clone(), source)).collect();
    for section in sections {
        match (&section.file, sources.get_mut(&section.name)) {
            (Some(_), _) if is_built_in(&section.name) => {}
            (Some(file), _) => {
                let component = Component::File { path: folder.join(file), sha256: section.sha256.clone() };
                let source = PluginSource {
                    name: section.name.clone(),
                    origin: Origin::File,
                    component,
                    allow: section.allow.clone().unwrap_or_default(),
                    limits: section.limits.clone(),
                };
                sources.insert(section.name.clone(), source);
            }
            (None, Some(source)) => {
                source.limits = section.limits.over(&source.limits);
                if let Some(allow) = &section.allow {
                    source.allow.clone_from(allow);
                }
            }
            (None, None) => {}
        }
    }
    sources.into_values().collect()
}

/// What the plugins have said of themselves.
#[derive(Debug, Default)]
pub struct PluginAnswers {
    described: Vec<Description>,
    /// The names of the others, sorted.
    silent: Vec<String>,
    /// Why those of them that were asked gave no answer.
    failed: BTreeMap<String, NotifierError>,
}

impl PluginAnswers {
    pub fn notifiers(&self) -> Notifiers<'_> {
        Notifiers { described: &self.described, silent: &self.silent }
    }

    /// Takes the plugins that channels name and that are not there for such that can't be asked.
    pub fn miss(&mut self, outline: &ConfigOutline) {
        for (_, notifier) in &outline.channels {
            if !self.is_described(notifier) && !self.silent.contains(notifier) {
                let known = self.described.iter().map(|description| description.name.clone()).collect();
                let error = NotifierError::Unknown { name: notifier.clone(), known };
                self.silent.push(notifier.clone());
                self.failed.insert(notifier.clone(), error);
            }
        }
    }

    /// Whether the plugin's settings are known.
    pub fn is_described(&self, name: &str) -> bool {
        self.described.iter().any(|description| description.name == name)
    }
}

/// Asks the plugins that are built in and those that the file uses or brings along.
pub async fn ask(notifiers: &NotifierHost, outline: &ConfigOutline) -> Result<PluginAnswers> {
    let used: BTreeSet<&str> = outline.channels.iter().map(|(_, notifier)| notifier.as_str()).collect();
    let mut asked = PluginAnswers::default();
    for source in notifiers.sources() {
        let name = source.name.as_str();
        if source.origin == Origin::Installed && !used.contains(name) {
            asked.silent.push(name.to_owned());
            continue;
        }
        match notifiers.describe(name).await {
            Ok(description) => asked.described.push(description),
            Err(error) if source.origin == Origin::BuiltIn => return Err(error.into()),
            Err(error) => {
                asked.silent.push(name.to_owned());
                asked.failed.insert(name.to_owned(), error);
            }
        }
    }
    Ok(asked)
}

/// What is wrong with the plugins that the file brings along, speaks of, or uses, each at its place.
pub fn complaints(
    reading: &Reading,
    outline: &ConfigOutline,
    notifiers: &NotifierHost,
    asked: &PluginAnswers,
) -> Vec<Diagnostic> {
    let of_file =
        |name: &str| notifiers.sources().any(|source| source.name == name && source.origin == Origin::File);
    let sections = outline.plugins.iter().filter_map(|section| {
        let name = section.name.as_str();
        let table = |key| ["plugins", name, key];
        if section.file.is_some() && is_built_in(name) {
            let message = format!("`{name}` is built in, and nothing takes its place");
            let hint = format!("give yours a name of its own, such as `[plugins.my-{name}]`");
            return Some(reading.complaint(&table("file"), &message, Some(&hint)));
        }
        if let Some(error) = asked.failed.get(name).filter(|_| of_file(name)) {
            let is_written = reading.position_of(&table("sha256")).is_some();
            let key = match error {
                NotifierError::Untrusted { trusted: Some(_), .. } => "sha256",
                // What is written and can't be read has been reported as that.
                NotifierError::Untrusted { trusted: None, .. } if is_written => return None,
                _ => "file",
            };
            return Some(reading.complaint(&table(key), &error.to_string(), error.hint().as_deref()));
        }
        if notifiers.sources().any(|source| source.name == name) {
            return None;
        }
        let message = format!("there is no plugin `{name}`");
        let hint = format!(
            "`uptime plugin add FILE --name {name}` adds one, or name its component: `file = \"FILE\"`"
        );
        Some(reading.complaint(&["plugins", name], &message, Some(&hint)))
    });
    let channels = outline.channels.iter().filter(|(_, notifier)| !of_file(notifier));
    let channels = channels.filter_map(|(channel, notifier)| {
        Some(complaint_of_channel(reading, channel, asked.failed.get(notifier)?))
    });
    sections.chain(channels).collect()
}

/// What is wrong with the plugin that a channel names.
pub fn complaint_of_channel(reading: &Reading, channel: &str, error: &NotifierError) -> Diagnostic {
    let place = ["channels", channel, "notifier"];
    reading.complaint(&place, &error.to_string(), error.hint().as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_last_word_and_nothing_takes_a_built_in_ones_place() {
        let text = "[plugins.telegram]\nfile = \"t.wasm\"\n\
                    [plugins.slack]\nlimits = { requests = 3 }\nallow = [\"http://127.0.0.1:9\"]\n\
                    [plugins.mine]\nfile = \"m.wasm\"\n[plugins.nobody]\nallow = []\n";
        let sources = combine(&[], &config_outline(text).plugins, Path::new("/etc/uptime"));
        let shown: Vec<_> = sources
            .iter()
            .map(|source| format!("{} {} {}", source.name, source.origin.as_str(), source.allow.len()))
            .collect();
        let expected = [
            "discord built-in 0",
            "matrix built-in 0",
            "mine file 0",
            "ntfy built-in 0",
            "pagerduty built-in 0",
            "slack built-in 1",
            "telegram built-in 0",
            "webhook built-in 0",
        ];
        assert_eq!(shown, expected);
        let Component::File { path, sha256: None } = &sources[2].component else {
            panic!("{:?}", sources[2].component)
        };
        assert_eq!(path, Path::new("/etc/uptime/m.wasm"));
        assert_eq!(sources[5].limits.iter().count(), 1);
    }
}
