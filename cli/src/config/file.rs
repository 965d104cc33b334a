//! The configuration file: read, and looked over by the notifiers that it names.
//!
//! A plugin that can't be used is an error for who asks whether the file is right (`config check`, `apply`). For all
//! others it is a warning: a worker that did not start because of one plugin would tell nobody anything.

use super::{locate, plugins};
use crate::diagnostic;
use crate::output;
use crate::prelude::*;
use crate::{COMPILE_PLUGIN, env};
use std::collections::BTreeSet;
use tracing::info;
use uptime_check::{files, secrets};
use uptime_core::channel::{Channel, Setting, Settings};
use uptime_core::config::{self, Config, Diagnostic, Level, Reading, references};
use uptime_core::redaction::Redactor;
use uptime_core::secret::access::Access;
use uptime_core::secret::{Secret, SecretRef};
use uptime_engine::deliveries::{referenced, resolve_settings};
use uptime_notifier::{Compiler, HostOptions, NotifierError, NotifierHost, PluginSource, ResolvedSettings};

/// A shorter secret is no secret in the midst of words: it would be told by what is missing from them.
const SHOWN_BYTES: usize = 6;

/// Says on stderr what a file's warnings are.
pub fn warn(file: Option<&ConfigFile>, printer: &Printer) {
    if let Some(warnings) = file.and_then(|file| file.warnings.as_ref()) {
        printer.note(warnings.trim_end());
    }
}

/// A file without errors.
#[derive(Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub config: Config,
    pub warnings: Option<String>,
}

/// The notifiers: those that are built in, were added, and are of the file.
pub fn notifiers(global: &Global) -> Result<NotifierHost> {
    Ok(NotifierHost::with_plugins(host_options(global), plugins::sources(global))?)
}

/// A host of the built-in plugins and this one.
pub fn host_of(global: &Global, plugin: PluginSource) -> Result<NotifierHost> {
    Ok(NotifierHost::with_plugins(host_options(global), [plugin])?)
}

/// A plugin host's set-up, with the cache of compiled plugins in the data directory. That is native code: where somebody
/// else could put some there, and where there is no data directory yet, plugins are compiled in memory.
fn host_options(global: &Global) -> HostOptions {
    let data_dir = locate::data_dir(global).ok().filter(|dir| uptime_postgres::is_closed(dir));
    HostOptions {
        cache_dir: data_dir.map(|dir| dir.join("plugins")),
        compiler: Compiler::same_program([COMPILE_PLUGIN]),
        ..HostOptions::default()
    }
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
pub async fn read(global: &Global, notifiers: &NotifierHost) -> Result<Option<ConfigFile>> {
    read_found(global, notifiers, Asks::Nothing).await
}

/// As [`read`], for who makes channels of it: a notifier that is not there is an error, most likely a word misspelt.
pub async fn read_to_apply(global: &Global, notifiers: &NotifierHost) -> Result<Option<ConfigFile>> {
    read_found(global, notifiers, Asks::Present).await
}

async fn read_found(global: &Global, notifiers: &NotifierHost, asks: Asks) -> Result<Option<ConfigFile>> {
    let Some(path) = locate::find(global) else { return Ok(None) };
    read_path(global, &path, notifiers, asks).await.map(Some)
}

/// The secrets of this host that rows of the database may refer to.
pub fn access(file: Option<&ConfigFile>) -> Access {
    let listed = |name| std::env::var(name).unwrap_or_default();
    match file {
        Some(file) => {
            file.config.access(std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone()))
        }
        None => Access::from_environment(&listed(env::ALLOW_ENV), &listed(env::ALLOW_FILES)),
    }
}

#[derive(Clone, Debug)]
pub enum DatabaseChoice {
    /// Somebody's server. Nothing is started.
    Url(Secret),
    /// Our own, in the data directory.
    Embedded(PathBuf),
}

/// The database: the environment, then the file, then our own.
pub fn database(global: &Global, file: Option<&ConfigFile>) -> Result<DatabaseChoice> {
    if let Some((_, url)) = env::database() {
        return Ok(DatabaseChoice::Url(Secret::new(url)));
    }
    if let Some(reference) = file.and_then(|file| file.config.database.url.as_ref()) {
        let url = secrets::resolve_line(reference, &Access::operator())
            .map_err(|error| config_error(format!("`[database] url`: {error}")).hint(error.hint()))?;
        return Ok(DatabaseChoice::Url(url));
    }
    locate::data_dir(global).map(DatabaseChoice::Embedded)
}

/// The file, which a command can't do without, and which has to be right.
pub async fn require(global: &Global, notifiers: &NotifierHost) -> Result<ConfigFile> {
    let path = locate::find(global).ok_or_else(|| {
        config_error("there is no configuration file")
            .hint("`uptime init` writes one; `--config FILE` names one that is elsewhere")
    })?;
    read_path(global, &path, notifiers, Asks::Working).await
}

async fn read_path(global: &Global, path: &Path, notifiers: &NotifierHost, asks: Asks) -> Result<ConfigFile> {
    let text = locate::text(path, global)?;
    info!(file = %std::path::absolute(path).unwrap_or_default().display(), "configuration file");
    let outline = config::config_outline(&text);
    let mut asked = plugins::ask(notifiers, &outline).await?;
    if asks == Asks::Nothing {
        asked.miss(&outline);
    }
    let reading = config::read(&text, asked.notifiers());
    let mut diagnostics = reading.diagnostics.clone();
    let mut complaints = plugins::complaints(&reading, &outline, notifiers, &asked);
    let file_access = reading.config.as_ref().map(|config| config.access(path.to_owned()));
    if let Some((config, access)) = reading.config.as_ref().zip(file_access.as_ref()) {
        if asks == Asks::Working {
            diagnostics.extend(missing_files(&reading, config, access));
        }
        for channel in config.channels.iter().filter(|channel| asked.is_described(&channel.notifier)) {
            match notifier_word(&reading, channel, access, notifiers, asks).await {
                Ok((problems, refused)) => {
                    diagnostics.extend(problems);
                    complaints.extend(refused);
                }
                Err(error) => complaints.push(plugins::complaint_of_channel(&reading, &channel.name, &error)),
            }
        }
    }
    for mut complaint in complaints {
        if asks != Asks::Working {
            complaint.level = Level::Warning;
        }
        diagnostics.push(complaint);
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    let rendered =
        diagnostic::render(&path.display().to_string(), &text, &diagnostics, output::stderr_has_color());
    if diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error) {
        return Err(CommandError {
            rendered: Some(rendered),
            json: Some(json!({ "file": path.display().to_string(), "diagnostics": diagnostics })),
            ..config_error(format!("`{}` has errors", path.display()))
        });
    }
    let config = reading.config.ok_or_else(|| bug("a file without errors has no content"))?;
    Ok(ConfigFile { path: path.to_owned(), config, warnings: (!rendered.is_empty()).then_some(rendered) })
}

/// What is wrong with a channel's settings, each at its place in the file: what its notifier says of them, and an address that
/// its own rules refuse. A value that is not here now (the environment of a worker is another than an operator's) is no
/// error of the file.
async fn notifier_word(
    reading: &Reading,
    channel: &Channel,
    access: &Access,
    notifiers: &NotifierHost,
    asks: Asks,
) -> Result<(Vec<Diagnostic>, Vec<Diagnostic>), NotifierError> {
    let (mut here, mut settings) = (Settings::new(), ResolvedSettings::new());
    for (key, setting) in &channel.settings {
        let one = Settings::from([(key.clone(), setting.clone())]);
        if let Ok(resolved) = resolve_settings(&channel.name, &one, access) {
            here.extend(one);
            settings.extend(resolved);
        }
    }
    let redactor = Redactor::of("•••", &referenced(&here, &settings));
    let complaint = |key: Option<&str>, message: &str, hint: Option<&str>| {
        let table = ["channels", channel.name.as_str()];
        let path: Vec<&str> = table.into_iter().chain(key).collect();
        reading.complaint(&path, &redactor.redact_from(message, SHOWN_BYTES), hint)
    };
    let refused = notifiers.refused_addresses(&channel.notifier, &settings, &channel.allow).await?;
    let refused = refused.iter().map(|(key, error)| {
        let refused = complaint(Some(key), &error.to_string(), error.hint().as_deref());
        // What is elsewhere may be another address where the worker runs.
        let stands_here = matches!(here.get(key), Some(Setting::Text(SecretRef::Literal(_))));
        Diagnostic { level: if stands_here { Level::Error } else { Level::Warning }, ..refused }
    });
    let refused = refused.collect();
    // Without a value that it can't do without it would only say that.
    let problems = if here.len() == channel.settings.len() {
        notifiers.validate(&channel.notifier, &settings).await?
    } else {
        Vec::new()
    };
    let problems = problems.iter().map(|problem| {
        let key = problem.key.as_deref();
        let about = here.iter().filter(|(name, _)| key.is_none_or(|key| key == *name));
        let about: Settings = about.map(|(name, setting)| (name.clone(), setting.clone())).collect();
        let from = references(&about).find_map(secrets::origin);
        let message = match (&from, key) {
            (Some(from), Some(key)) => format!("`{key}` ({from}): {}", problem.message),
            _ => problem.to_string(),
        };
        // Whoever only wants to know something, or works, is not held up by what may be mended at any moment.
        let passes = from.is_some() && asks == Asks::Nothing;
        let level = if passes { Level::Warning } else { Level::Error };
        Diagnostic { level, ..complaint(key, &message, None) }
    });
    Ok((problems.collect(), refused))
}

/// The files and variables of workers that are not right on this machine, each once. Only warnings: the workers may run
/// elsewhere, or as another user.
fn missing_files(reading: &Reading, config: &Config, access: &Access) -> Vec<Diagnostic> {
    let mut said = BTreeSet::new();
    let mut warnings = Vec::new();
    let mut warn = |place: [&str; 3], message: &str, hint: &str| {
        let message = format!("`{}`: {message}", place[2]);
        if said.insert(message.clone()) {
            let complaint = reading.complaint(&place, &message, Some(hint));
            warnings.push(Diagnostic { level: Level::Warning, ..complaint });
        }
    };
    for channel in &config.channels {
        for (key, setting) in &channel.settings {
            let one = Settings::from([(key.clone(), setting.clone())]);
            // Its notifier knows what goes into one line.
            for error in
                references(&one).filter_map(|reference| secrets::check_sources(reference, false, access))
            {
                warn(["channels", &channel.name, key], &error.to_string(), &error.hint());
            }
        }
    }
    for monitor in &config.monitors {
        for (key, reference) in monitor.check.references() {
            let in_line = !matches!(key, "send" | "client_key");
            if let Some(error) = secrets::check_sources(reference, in_line, access) {
                warn(["monitors", &monitor.name, key], &error.to_string(), &error.hint());
            }
        }
        for problem in monitor.check.tls().map(|tls| files::problems(tls, access)).unwrap_or_default() {
            warn(["monitors", &monitor.name, problem.key], &problem.message, &problem.hint);
        }
    }
    warnings
}
