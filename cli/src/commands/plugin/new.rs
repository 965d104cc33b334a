//! `uptime plugin new`: a folder that builds, tests and sends at once.
//!
//! The templates lie in `plugins/templates/`, each a plugin with the name `hello`, which becomes the new one's. The SDK
//! is on no registry: its sources and the interface, as they were when this program was built, are part of it and are
//! written beside the plugin.

use crate::args::{Language, NewArgs};
use crate::exit::{CommandError, Exit};
use crate::output::Printer;
use serde_json::json;
use std::path::{Path, PathBuf};
use uptime_notifier::is_built_in;

/// Out of `build.rs`.
mod sources {
    include!(concat!(env!("OUT_DIR"), "/sources.rs"));
}

const CONFORMANCE: &str = include_str!("../../../../plugins/sdk/conformance.json");
const EVENTS: &str = include_str!("../../../../plugins/sdk/events.json");
/// The versions that the SDK was tried with. Cargo takes out what a plugin does not need.
const LOCK: &str = include_str!("../../../../Cargo.lock");
/// The name that the templates have.
const TEMPLATE_NAME: &str = "hello";
const NAME_MAX: usize = 40;

/// Where a file goes, and what it is made of.
type Template = (&'static str, &'static str);

macro_rules! templates {
    ($folder:literal: $($path:literal from $file:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../plugins/templates/", $folder, "/", $file)))),+]
    };
}

const RUST: &[Template] = templates!["rust":
    "Cargo.toml" from "Cargo.toml",
    "README.md" from "README.md",
    "plugin-test.toml" from "plugin-test.toml",
    ".gitignore" from "gitignore",
    "src/lib.rs" from "src/lib.rs",
    "sdk/Cargo.toml" from "sdk/Cargo.toml",
];

const JAVASCRIPT: &[Template] = templates!["javascript":
    "package.json" from "package.json",
    "plugin.js" from "plugin.js",
    "README.md" from "README.md",
    "plugin-test.toml" from "plugin-test.toml",
    ".gitignore" from "gitignore",
];

const PYTHON: &[Template] = templates!["python":
    "requirements.txt" from "requirements.txt",
    "plugin.py" from "plugin.py",
    "README.md" from "README.md",
    "plugin-test.toml" from "plugin-test.toml",
    ".gitignore" from "gitignore",
];

pub fn run(args: &NewArgs, printer: &Printer) -> Result<Exit, CommandError> {
    if let Some(problem) = problem(&args.name) {
        return Err(CommandError::new(
            Exit::Usage,
            format!("`{}` can't be the name of a plugin: {problem}", args.name),
        )
        .hint("such as `uptime plugin new hello`"));
    }
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    if std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(CommandError::new(
            Exit::Config,
            format!("`{}` is there already, and not empty", dir.display()),
        )
        .hint(format!("write it elsewhere: `uptime plugin new {} --dir DIR`", args.name)));
    }
    let templates = match args.lang {
        Language::Rust => RUST,
        Language::Js => JAVASCRIPT,
        Language::Python => PYTHON,
    };
    let mut written = Vec::new();
    for (path, text) in templates {
        write(&dir, path, &text.replace(TEMPLATE_NAME, &args.name), &mut written)?;
    }
    if args.lang == Language::Rust {
        for (path, text) in sources::SDK {
            // In the repository the interface lies two folders above the SDK, here in it.
            write(&dir.join("sdk/src"), path, &text.replace("\"../../wit/", "\"wit/"), &mut written)?;
        }
        write(&dir, "sdk/conformance.json", CONFORMANCE, &mut written)?;
        write(&dir, "sdk/events.json", EVENTS, &mut written)?;
        write(&dir, "Cargo.lock", LOCK, &mut written)?;
        write_interface(&dir.join("sdk/wit/notifier/0.1.0"))?;
    } else {
        write_interface(&dir.join("wit"))?;
    }
    if printer.is_json() {
        let written: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
        printer.json(&json!({ "schema_version": 1, "name": args.name, "dir": dir.display().to_string(), "files": written }));
        return Ok(Exit::Ok);
    }
    let shown = dir.display();
    printer.line(format!("{shown} is a plugin. Next:"));
    for command in next(args.lang, &shown.to_string(), &args.name) {
        printer.line(format!("  {command}"));
    }
    Ok(Exit::Ok)
}

/// Why a new plugin can't have this name, if it can't. (It becomes a package's name, so that it is narrower than what an
/// operator may call a plugin.)
fn problem(name: &str) -> Option<&'static str> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if is_built_in(name) {
        Some("it is part of the program")
    } else if name.len() > NAME_MAX {
        Some("it is too long")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(is_word) {
        Some("it begins with a lower-case letter, and goes on in those, digits and `-`")
    } else {
        None
    }
}

/// The commands that lead on.
fn next(language: Language, dir: &str, name: &str) -> Vec<String> {
    let tools = match language {
        Language::Rust => None,
        Language::Js => Some(format!("npm install --prefix {dir}")),
        Language::Python => Some(format!(
            "python3 -m venv {dir}/.venv && {dir}/.venv/bin/pip install -r {dir}/requirements.txt"
        )),
    };
    let own =
        [format!("uptime plugin build {dir}"), format!("uptime plugin test {dir}/{name}.wasm --update")];
    tools.into_iter().chain(own).collect()
}

/// Writes the interface that this program speaks into a folder.
pub(super) fn write_interface(dir: &Path) -> Result<(), CommandError> {
    sources::WIT.iter().try_for_each(|(path, text)| write(dir, path, text, &mut Vec::new()))
}

fn write(dir: &Path, path: &str, text: &str, written: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    let path = dir.join(path);
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| {
            CommandError::new(Exit::Config, format!("`{}` can't be written: {error}", path.display()))
        })?;
    written.push(path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_that_a_new_plugin_can_have() {
        for name in ["a", "hello", "ms-teams", "x2"] {
            assert_eq!(problem(name), None, "{name}");
        }
        let long = "a".repeat(NAME_MAX + 1);
        for name in ["", "Hello", "2x", "-x", "a_b", "ä", "a/b", "..", "telegram", "webhook", &long] {
            assert!(problem(name).is_some(), "{name}");
        }
    }

    fn dependencies(manifest: &str) -> BTreeMap<String, toml::Value> {
        let manifest: toml::Table = toml::from_str(manifest).expect("a manifest");
        let native = manifest
            .get("target")
            .and_then(|target| target.as_table()?.values().next()?.get("dependencies")?.as_table());
        let own =
            manifest.get("dependencies").or(manifest.get("workspace").and_then(|w| w.get("dependencies")));
        let own = own.and_then(toml::Value::as_table).cloned().unwrap_or_default();
        own.into_iter().chain(native.cloned().unwrap_or_default()).collect()
    }

    /// The SDK's manifest in the repository inherits from the workspace; what is written stands alone.
    #[test]
    fn the_written_sdk_has_the_dependencies_of_ours() {
        let ours = dependencies(include_str!("../../../../plugins/sdk/Cargo.toml"));
        let workspace = dependencies(include_str!("../../../../Cargo.toml"));
        let (_, written) = RUST.iter().find(|(path, _)| *path == "sdk/Cargo.toml").expect("a manifest");
        let expected: BTreeMap<_, _> = ours
            .into_iter()
            .filter(|(_, value)| value.get("optional").is_none())
            .map(|(name, _)| (name.clone(), workspace[&name].clone()))
            .collect();
        assert_eq!(dependencies(written), expected);
    }

    #[test]
    fn the_written_sdk_finds_the_interface() {
        let (_, bindings) = sources::SDK.iter().find(|(path, _)| *path == "bindings.rs").expect("bindings");
        assert!(bindings.contains("path: \"../../wit/notifier/0.1.0\""), "{bindings}");
        assert!(sources::SDK.iter().all(|(path, _)| !path.starts_with("bin/")));
        assert!(sources::WIT.iter().any(|(path, _)| *path == "world.wit"));
    }
}
