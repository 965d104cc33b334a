//! `uptime plugin build`: a component out of a plugin's folder.
//!
//! The work is that of the language's own tools, whose words are shown as they come. What they make is then loaded and
//! asked what it is, so that what is written is a plugin that a worker can run, under the name that it gives itself.

mod javascript;
mod python;
mod rust;

use super::loaded::{LoadedPlugin, description_problems};
use crate::args::BuildArgs;
use crate::output::say;
use crate::prelude::*;
use std::process::{Command, Stdio};
use uptime_core::notifier::{Description, Limit, LimitChanges};

type Build = fn(&Path) -> Result<Vec<u8>>;

/// The languages: the file by which a folder of each is known, and what makes a component of it.
const LANGUAGES: [(&str, Build); 3] =
    [("Cargo.toml", rust::build), ("package.json", javascript::build), ("requirements.txt", python::build)];

pub async fn run(global: &Global, args: &BuildArgs, printer: &Printer) -> Result<Exit> {
    let dir = &args.dir;
    let (_, build) = LANGUAGES.iter().find(|(file, _)| dir.join(file).is_file()).ok_or_else(|| {
        config_error(format!(
            "`{}` is no plugin's folder: there is no Cargo.toml, no package.json and no requirements.txt",
            dir.display()
        ))
        .hint("`uptime plugin new NAME` begins one")
    })?;
    let component = build(dir)?;
    let size = component.len();
    let sha256 = uptime_notifier::sha256(&component);
    let loaded = LoadedPlugin::load(global, dir, component.clone(), generous()?, printer).await?;
    let description = &loaded.description;
    let problems = description_problems(description);
    if !problems.is_empty() {
        return Err(answer_no(format!("what the plugin says of itself is wrong: {}", problems.join("; ")))
            .hint("look at its `describe`"));
    }
    let file = dir.join(format!("{}.wasm", description.name));
    std::fs::write(&file, component).map_err(|error| unwritable(&file, &error))?;
    let shown = file.strip_prefix(".").unwrap_or(&file).display();
    let (name, version, allow) = (&description.name, &description.version, allow(description));
    let json = json!({
        "file": shown.to_string(), "name": name, "version": version, "size": size, "sha256": sha256,
    });
    printer.answer(json, || {
        printer.line(format!("{GOOD}built{GOOD:#} {shown}, {} KiB", size.div_ceil(1024)));
        printer.line(format!("sha256 {sha256}"));
        printer.note(format!("Next: `uptime plugin test {shown}`, then `uptime plugin add {shown}{allow}`"));
    });
    Ok(Exit::Ok)
}

/// It is loaded to be looked at; what the runtime of another language needs is for the test to find out.
fn generous() -> Result<LimitChanges> {
    let mut limits = LimitChanges::default();
    for (limit, value) in [(Limit::Memory, 256 << 20), (Limit::Cpu, 10_000), (Limit::TableEntries, 1_000_000)]
    {
        limits.set(limit, value).map_err(bug)?;
    }
    Ok(limits)
}

/// The grants to give when it is added.
pub(super) fn allow(description: &Description) -> String {
    let grants = description.hosts.iter().map(|host| format!(" --allow '{host}'"));
    grants.collect::<Vec<_>>().concat()
}

/// Runs a language's own tool, its words shown on stderr as they come, and gives what it wrote to stdout.
fn tool(command: &mut Command, missing: &str) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| {
        let failed = unavailable(format!("`{program}` can't be run: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound { failed.hint(missing) } else { failed }
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(answer_no(format!("`{program}` ended with {}: its words are above", output.status)))
}

/// A language's tool that makes a component: run with the interface's folder and a file to write to.
fn componentizer(missing: &str, command: impl FnOnce(&Path, &Path) -> Command) -> Result<Vec<u8>> {
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
