//! `uptime plugin build`: a component out of a plugin's folder.
//!
//! The work is that of the language's own tools, whose words are shown as they come. What they make is then loaded and
//! asked what it is, so that what is written is a plugin that a worker can run, under the name that it gives itself.

mod javascript;
mod python;
mod rust;

use super::loaded::{LoadedPlugin, description_problems, unreadable};
use crate::args::{BuildArgs, Global};
use crate::exit::{CommandError, Exit};
use crate::output::{GOOD, Printer, say};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use uptime_core::notifier::{Description, Limit, LimitChanges};

pub async fn run(global: &Global, args: &BuildArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let dir = &args.dir;
    let component = match language(dir)? {
        Language::Rust => rust::build(dir)?,
        Language::JavaScript => javascript::build(dir)?,
        Language::Python => python::build(dir)?,
    };
    let size = component.len();
    let sha256 = uptime_notifier::sha256(&component);
    let loaded = LoadedPlugin::load(global, dir, component.clone(), generous()?, printer).await?;
    let description = &loaded.description;
    let problems = description_problems(description);
    if !problems.is_empty() {
        return Err(CommandError::new(
            Exit::No,
            format!("what the plugin says of itself is wrong: {}", problems.join("; ")),
        )
        .hint("look at its `describe`"));
    }
    let file = dir.join(format!("{}.wasm", description.name));
    std::fs::write(&file, component).map_err(|error| {
        CommandError::new(Exit::Config, format!("`{}` can't be written: {error}", file.display()))
    })?;
    let shown = file.strip_prefix(".").unwrap_or(&file).display();
    if printer.is_json() {
        printer.json(&json!({
            "schema_version": 1, "file": shown.to_string(), "name": description.name, "version": description.version,
            "size": size, "sha256": sha256,
        }));
    } else {
        printer.line(format!("{GOOD}built{GOOD:#} {shown}, {} KiB", size.div_ceil(1024)));
        printer.line(format!("sha256 {sha256}"));
        printer.note(format!(
            "Next: `uptime plugin test {shown}`, then `uptime plugin add {shown}{}`",
            allow(description)
        ));
    }
    Ok(Exit::Ok)
}

/// It is loaded to be looked at; what the runtime of another language needs is for the test to find out.
fn generous() -> Result<LimitChanges, CommandError> {
    let mut limits = LimitChanges::default();
    for (limit, value) in [(Limit::Memory, 256 << 20), (Limit::Cpu, 10_000), (Limit::TableEntries, 1_000_000)]
    {
        limits.set(limit, value).map_err(|error| CommandError::new(Exit::Bug, error))?;
    }
    Ok(limits)
}

/// The grants to give when it is added.
pub(super) fn allow(description: &Description) -> String {
    let grants = description.hosts.iter().map(|host| format!(" --allow '{host}'"));
    grants.collect::<Vec<_>>().concat()
}

enum Language {
    Rust,
    JavaScript,
    Python,
}

fn language(dir: &Path) -> Result<Language, CommandError> {
    let has = |file: &str| dir.join(file).is_file();
    if has("Cargo.toml") {
        Ok(Language::Rust)
    } else if has("package.json") {
        Ok(Language::JavaScript)
    } else if has("requirements.txt") {
        Ok(Language::Python)
    } else {
        let message = format!(
            "`{}` is no plugin's folder: there is no Cargo.toml, no package.json and no requirements.txt",
            dir.display()
        );
        Err(CommandError::new(Exit::Config, message).hint("`uptime plugin new NAME` begins one"))
    }
}

/// Runs a language's own tool, its words shown on stderr as they come, and gives what it wrote to stdout.
fn tool(command: &mut Command, missing: &str) -> Result<Vec<u8>, CommandError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| {
        let failed = CommandError::new(Exit::Unavailable, format!("`{program}` can't be run: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound { failed.hint(missing) } else { failed }
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(CommandError::new(Exit::No, format!("`{program}` ended with {}: its words are above", output.status)))
}

/// A language's tool that makes a component: run with the interface's folder and a file to write to.
fn componentizer(
    missing: &str,
    command: impl FnOnce(&Path, &Path) -> Command,
) -> Result<Vec<u8>, CommandError> {
    let folder = tempfile::tempdir()?;
    let (wit, to) = (folder.path().join("wit"), folder.path().join("plugin.wasm"));
    super::new::write_interface(&wit)?;
    // What the tool has to say goes to people: stdout is for this command's own answer.
    let said = tool(&mut command(&wit, &to), missing)?;
    say(&String::from_utf8_lossy(&said))?;
    std::fs::read(&to).map_err(|error| unreadable(&to, &error))
}

/// A program in the plugin's folder, as an absolute path: it is run from there.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
