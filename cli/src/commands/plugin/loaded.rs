//! A component that is no plugin yet, for the commands of those who write one: loaded in a host of its own, in the same
//! sandbox in which workers run it, and asked what it is.

use crate::config::file;
use crate::prelude::*;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Description, Limit, LimitChanges};
use uptime_notifier::{Inspection, NotifierError, NotifierHost, PluginSource, is_built_in};

/// A component on its way to become a plugin.
pub(super) struct LoadedPlugin {
    pub(super) host: NotifierHost,
    /// What the host, and its errors, know it by.
    pub(super) name: String,
    /// With the name that the plugin gives itself.
    pub(super) description: Description,
}

impl LoadedPlugin {
    /// Loads a component as a worker would, and asks it what it is. `path` is where it lies, or what it was made of.
    pub(super) async fn load(
        global: &Global,
        path: &Path,
        bytes: Vec<u8>,
        mut limits: LimitChanges,
        printer: &Printer,
    ) -> Result<Self> {
        // All that is wrong with it is to be seen, however often it crashes.
        limits.set(Limit::Failures, 0).expect("because it may be switched off");
        let name = std::path::absolute(path).unwrap_or_default();
        let name = name.file_stem().and_then(|stem| stem.to_str()).unwrap_or("plugin").to_owned();
        let size = bytes.len();
        let source = PluginSource { limits, ..PluginSource::of_bytes(name.clone(), bytes) };
        let host = file::host_of(global, source)?;
        let inspected = inspect(&host, &name, size, printer).await?;
        let description = Description { name: inspected.own_name, ..inspected.description };
        Ok(Self { host, name, description })
    }

    /// The hosts that it asks for, as if they were granted.
    pub(super) fn asked(&self) -> Vec<HostGrant> {
        self.description.hosts.iter().filter_map(|host| host.parse().ok()).collect()
    }
}

/// Asks a plugin what it is. A component with a language's runtime in it takes half a minute to compile: it is said.
pub(super) async fn inspect(
    host: &NotifierHost,
    name: &str,
    size: usize,
    printer: &Printer,
) -> Result<Inspection, NotifierError> {
    let steps = printer.steps(size > 1 << 20);
    steps.step(&format!("compiling {} MiB", size.div_ceil(1 << 20)));
    let inspected = host.inspect(name).await;
    steps.done();
    inspected
}

/// What is wrong with what a plugin says of itself, though the host can live with it.
pub(super) fn description_problems(description: &Description) -> Vec<String> {
    let mut problems = Vec::new();
    let name = &description.name;
    if is_built_in(name) {
        problems.push(format!("the name `{name}` is that of a plugin that is part of the program"));
    }
    for (what, text) in [("version", &description.version), ("summary", &description.summary)] {
        if text.trim().is_empty() {
            problems.push(format!("the {what} is empty"));
        }
    }
    let silent = description.fields.iter().filter(|field| field.help.trim().is_empty());
    problems.extend(silent.map(|field| format!("the setting `{}` has no help", field.key)));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use uptime_core::notifier::{Field, FieldKind};

    #[test]
    fn each_thing_that_is_wrong_is_said() {
        let field = |key: &str, kind| Field {
            key: key.into(),
            help: "what it is".into(),
            kind,
            required: false,
            default: None,
            choices: vec![],
            places: vec![],
        };
        let good = Description {
            name: "hello".into(),
            version: "1".into(),
            summary: "Says it".into(),
            fields: vec![field("url", FieldKind::Url)],
            hosts: vec!["https://example.com".into()],
            digests: true,
        };
        assert_eq!(description_problems(&good), Vec::<String>::new());
        let bad = Description {
            name: "slack".into(),
            version: " ".into(),
            summary: String::new(),
            fields: vec![Field { help: String::new(), ..field("y", FieldKind::Map) }],
            hosts: vec![],
            digests: true,
        };
        assert_eq!(description_problems(&bad).len(), 4, "{:#?}", description_problems(&bad));
    }
}
