//! Commands for NSSM, as a batch file. In it `%` is doubled, and NSSM replaces `%NAME%` in parameters once more, so a path with
//! `%` is refused. Printed on another system, the paths are those of an ordinary Windows installation.

use super::installation::{DatabaseSource, database_source};
use super::{Definition, Printed, Processes, quote};
use crate::args::ServiceArgs;
use crate::prelude::*;

const BINARY: &str = r"C:\Program Files\uptime\uptime.exe";
const DATA_DIR: &str = r"C:\ProgramData\uptime";

pub fn commands(global: &Global, service: &ServiceArgs, logs: Option<&Path>) -> Result<Printed> {
    let this = std::env::current_exe().ok().filter(|_| cfg!(windows));
    let binary = match service.binary.as_deref() {
        Some(binary) => named("binary", binary)?,
        None => this.map_or(Ok(BINARY.to_owned()), |this| named("binary", &this))?,
    };
    // What the environment of another system says is not of this one.
    let of_windows = |path: Option<&Path>| path.and_then(|path| named("", path).ok());
    let data_dir = of_windows(global.data_dir.as_deref()).unwrap_or_else(|| DATA_DIR.into());
    let config = of_windows(global.config.as_deref()).unwrap_or_else(|| format!(r"{data_dir}\uptime.toml"));
    let logs = logs.map_or_else(|| Ok(format!(r"{data_dir}\log")), |logs| named("logs", logs))?;
    let directory = config.rsplit_once('\\').map_or(data_dir.as_str(), |(folder, _)| folder);
    let source = database_source(None);
    let hint = hint(&source);
    let mut content = format!(
        include_str!("nssm.cmd"),
        processes = Processes::in_words(service),
        binary = binary,
        config = config,
        database = hint.as_ref().map(|hint| format!("rem To do: {hint}.\n")).unwrap_or_default(),
        logs = quote::windows(&logs),
    );
    for each in Processes::of(service) {
        let words = ["--config", config.as_str(), "--data-dir", data_dir.as_str()].into_iter();
        let words: Vec<String> =
            words.chain(each.command.iter().copied()).map(quote::nssm_parameter).collect();
        for number in 1..=each.count {
            let numbered = each.is_worker();
            let name = if numbered { format!("{}-{number}", each.name) } else { each.name.clone() };
            let what = if numbered { format!("{} {number}", each.what) } else { each.what.to_owned() };
            let environment = |(variable, url)| {
                let variable = quote::windows(&format!("{variable}={url}"));
                format!("nssm set {name} AppEnvironmentExtra {variable}\n")
            };
            content += &format!(
                include_str!("service.cmd"),
                binary = quote::windows(&binary),
                parameters = words.join(" "),
                what = what,
                directory = quote::windows(directory),
                environment = source.variable().map(environment).unwrap_or_default(),
                log = quote::windows(&format!(r"{logs}\{name}.log")),
                name = name,
            );
        }
    }
    let file = Definition { path: "uptime-services.cmd".into(), content };
    Ok(Printed { files: vec![file], hints: hint.into_iter().collect(), ..Printed::default() })
}

/// A path of Windows that batch and NSSM leave as it is.
fn named(flag: &str, path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| {
        let is_absolute = text.get(1..3) == Some(r":\") || text.starts_with(r"\\");
        is_absolute && !text.ends_with('\\') && !text.chars().any(|c| c.is_control() || "\"%".contains(c))
    });
    text.map(str::to_owned).ok_or_else(|| {
        let message = format!("`--{flag} {}` is no path for a Windows service", path.display());
        usage_error(message).hint(r"write it as `C:\Program Files\uptime\uptime.exe`, without `%` and quotes")
    })
}

/// There is no embedded database on Windows.
fn hint(source: &DatabaseSource) -> Option<String> {
    let variable = match source {
        DatabaseSource::Variable { url: Some(_), .. } => return None,
        DatabaseSource::Variable { name, url: None } => format!("{name}, which is not printed here,"),
        DatabaseSource::File | DatabaseSource::Embedded => "DATABASE_URL".into(),
    };
    Some(format!(
        "say where the database is: {variable} in each service's environment, by `nssm set NAME AppEnvironmentExtra \
         DATABASE_URL=postgres://...`, or `[database] url = {{ file = \"C:/...\" }}` in the file"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_windows_path_is_one() {
        for path in [r"C:\a b\uptime.exe", r"\\host\share\uptime.exe"] {
            named("binary", Path::new(path)).expect(path);
        }
        for path in ["/usr/bin/uptime", "uptime.exe", r"C:\100%\uptime.exe", "C:\\a\"b", r"C:\folder\"] {
            let error = named("binary", Path::new(path)).expect_err(path);
            assert_eq!(error.exit, Exit::Usage);
        }
    }
}
