//! The configuration file: found, read, and looked over by the notifiers that it names.
//!
//! A plugin that can't be used is an error for who asks whether the file is right (`config check`, `apply`). For all
//! others it is a warning: a worker that did not start because of one plugin would tell nobody anything.

use crate::args::Global;
use crate::diagnostic;
use crate::exit::{CommandError, Exit};
use crate::{plugins, settings};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use uptime_check::files;
use uptime_core::channel::{Channel, Setting, Settings};
use uptime_core::config::{self, Config, Diagnostic, Level, Reading};
use uptime_core::monitor::Monitor;
use uptime_core::secret::SecretRef;
use uptime_engine::deliveries::resolve_settings;
use uptime_notifier::{HostOptions, NotifierError, NotifierHost};

/// A file without errors.
#[derive(Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub config: Config,
    /// Warnings, rendered.
    pub warnings: Option<String>,
}

/// The notifiers: those that are built in, were added, and are of the file.
pub fn notifiers(global: &Global) -> Result<NotifierHost, CommandError> {
    Ok(NotifierHost::with_plugins(host_options(global), plugins::sources(global))?)
}

/// A plugin host's set-up, with the cache of compiled plugins in the data directory.
pub fn host_options(global: &Global) -> HostOptions {
    let data_dir = settings::data_dir(global).ok();
    if let Some(dir) = &data_dir {
        make_passable(dir);
    }
    HostOptions { cache_dir: data_dir.map(|dir| dir.join("plugins")), ..HostOptions::default() }
}

/// Makes the data directory so that others may pass: a server that root starts runs as another user, whatever the umask.
/// Where it can't be made there is no cache, which is no error; who needs more says so.
fn make_passable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if !dir.exists() && std::fs::create_dir_all(dir).is_ok() {
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755));
    }
}

/// The file's path: the one that was named, else the first that is there.
pub fn find(global: &Global) -> Option<PathBuf> {
    if let Some(path) = &global.config {
        return Some(path.clone());
    }
    let candidates = [
        Some(PathBuf::from("uptime.toml")),
        settings::user_config(),
        Some(PathBuf::from("/etc/uptime/uptime.toml")),
    ];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// What is asked of the plugins that a file names; less is a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// That each can be used.
    Working,
    /// That each is there.
    Present,
    Nothing,
}

/// Reads the file, if there is one. Every error in it is in the answer, rendered. A plugin that is gone or broken is only
/// a warning: all others go on.
pub async fn read(global: &Global, notifiers: &NotifierHost) -> Result<Option<ConfigFile>, CommandError> {
    match find(global) {
        Some(path) => read_path(&path, notifiers, Asks::Nothing).await.map(Some),
        None => Ok(None),
    }
}

/// As [`read`], for who makes channels of it: a notifier that is not there is an error, most likely a word misspelt.
pub async fn read_to_apply(
    global: &Global,
    notifiers: &NotifierHost,
) -> Result<Option<ConfigFile>, CommandError> {
    match find(global) {
        Some(path) => read_path(&path, notifiers, Asks::Present).await.map(Some),
        None => Ok(None),
    }
}

/// The file, which a command can't do without, and which has to be right.
pub async fn require(global: &Global, notifiers: &NotifierHost) -> Result<ConfigFile, CommandError> {
    let path = find(global).ok_or_else(|| {
        CommandError::new(Exit::Config, "there is no configuration file")
            .hint("`uptime init` writes one; `--config FILE` names one that is elsewhere")
    })?;
    read_path(&path, notifiers, Asks::Working).await
}

/// The file's text.
pub fn text(path: &Path) -> Result<String, CommandError> {
    let bytes = std::fs::read(path).map_err(|error| {
        CommandError::new(Exit::Config, format!("`{}` can't be read: {error}", path.display()))
            .hint("`uptime init` writes a starter file; `--config FILE` names another")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        CommandError::new(
            Exit::Config,
            format!("`{}` is not UTF-8 text: line {line} has other bytes", path.display()),
        )
        .hint("save it as UTF-8")
    })
}

async fn read_path(path: &Path, notifiers: &NotifierHost, asks: Asks) -> Result<ConfigFile, CommandError> {
    let text = text(path)?;
    let look = config::first_look(&text);
    let mut asked = plugins::ask(notifiers, &look).await?;
    if asks == Asks::Nothing {
        asked.miss(&look);
    }
    let reading = config::read(&text, asked.notifiers());
    let mut diagnostics = reading.diagnostics.clone();
    let mut complaints = plugins::complaints(&reading, &look, notifiers, &asked);
    if let Some(config) = &reading.config {
        for channel in config.channels.iter().filter(|channel| asked.is_described(&channel.notifier)) {
            match notifier_word(&reading, channel, notifiers).await {
                Ok(problems) => diagnostics.extend(problems),
                Err(error) => complaints.push(plugins::complaint_of_channel(&reading, &channel.name, &error)),
            }
        }
    }
    if let Some(config) = reading.config.as_ref().filter(|_| asks == Asks::Working) {
        diagnostics.extend(missing_files(&reading, &config.monitors));
    }
    for mut complaint in complaints {
        if asks != Asks::Working {
            complaint.level = Level::Warning;
        }
        diagnostics.push(complaint);
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    let color = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let rendered = diagnostic::render(&path.display().to_string(), &text, &diagnostics, color);
    if diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error) {
        return Err(CommandError {
            rendered: Some(rendered),
            json: Some(as_json(path, &diagnostics)),
            ..CommandError::new(Exit::Config, format!("`{}` has errors", path.display()))
        });
    }
    let config =
        reading.config.ok_or_else(|| CommandError::new(Exit::Bug, "a file without errors has no content"))?;
    Ok(ConfigFile { path: path.to_owned(), config, warnings: (!rendered.is_empty()).then_some(rendered) })
}

/// What a channel's notifier says of its settings, each at its place in the file. A value that is not here now (the
/// environment of a worker is another than an operator's) is no error of the file.
async fn notifier_word(
    reading: &Reading,
    channel: &Channel,
    notifiers: &NotifierHost,
) -> Result<Vec<Diagnostic>, NotifierError> {
    let Ok(settings) = resolve_settings(&channel.name, &channel.settings) else { return Ok(Vec::new()) };
    let problems = notifiers.validate(&channel.notifier, &settings).await?;
    Ok(problems
        .iter()
        .map(|problem| {
            let table = ["channels", channel.name.as_str()];
            let path: Vec<&str> = table.into_iter().chain(problem.key.as_deref()).collect();
            reading.complaint(&path, &without_referenced(&problem.message, &channel.settings), None)
        })
        .collect())
}

/// The files that checks would read and that are not right on this machine, each once. Only warnings: the workers may run
/// elsewhere, or as another user.
fn missing_files(reading: &Reading, monitors: &[Monitor]) -> Vec<Diagnostic> {
    let mut said = BTreeSet::new();
    let mut warnings = Vec::new();
    for monitor in monitors {
        let unread = monitor.check.references().into_iter().filter_map(|(key, reference)| match reference {
            SecretRef::File { .. } => {
                let error = uptime_check::secrets::resolve(reference).err()?;
                Some((key, error.to_string(), error.hint()))
            }
            SecretRef::Literal(_) | SecretRef::Env { .. } => None,
        });
        let material = monitor.check.tls().map(files::problems).unwrap_or_default().into_iter();
        let material = material.map(|problem| (problem.key, problem.message, problem.hint));
        for (key, message, hint) in unread.chain(material) {
            let message = format!("`{key}`: {message}");
            if said.insert(message.clone()) {
                let place = ["monitors", monitor.name.as_str(), key];
                let complaint = reading.complaint(&place, &message, Some(&hint));
                warnings.push(Diagnostic { level: Level::Warning, ..complaint });
            }
        }
    }
    warnings
}

/// The diagnostics for programs.
fn as_json(path: &Path, diagnostics: &[Diagnostic]) -> serde_json::Value {
    let level = |level| if level == Level::Error { "error" } else { "warning" };
    let diagnostics: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| {
            json!({
                "level": level(diagnostic.level), "line": diagnostic.line, "column": diagnostic.column,
                "message": diagnostic.message, "hint": diagnostic.hint,
            })
        })
        .collect();
    json!({ "schema_version": 1, "file": path.display().to_string(), "diagnostics": diagnostics })
}

/// `text` without the values that the settings only refer to: whoever wrote `{ env = … }` said that the value is nobody's
/// business, whatever the notifier thinks of its key.
pub fn without_referenced(text: &str, settings: &Settings) -> String {
    let mut text = text.to_owned();
    for reference in references(settings) {
        if let Ok(value) = uptime_check::secrets::resolve(reference)
            && !value.expose().is_empty()
        {
            text = text.replace(value.expose(), "•••");
        }
    }
    text
}

/// Each setting whose value is elsewhere.
fn references(settings: &Settings) -> impl Iterator<Item = &SecretRef> {
    let all = settings.values().flat_map(|setting| match setting {
        Setting::Text(text) => vec![text],
        Setting::List(list) => list.iter().collect(),
        Setting::Map(map) => map.values().collect(),
        Setting::Boolean(_) | Setting::Integer(_) => Vec::new(),
    });
    all.filter(|reference| !matches!(reference, SecretRef::Literal(_)))
}
