//! `uptime plugin test`: a scripted run of a component, in the sandbox that workers run it in.
//!
//! Three things are looked at: what it says of itself, the requests that it would send for each type of event, and what
//! it makes of each kind of answer. The first difference ends nothing: an author sees all of them at once.

mod golden;
mod plan;

use super::build::allow;
use super::loaded::{LoadedPlugin, description_problems, unreadable};
use crate::args::{Global, TestArgs};
use crate::exit::{CommandError, Exit};
use crate::output::{BAD, FAINT, GOOD, ODD, Printer, plain};
use golden::Comparison;
use jiff::SignedDuration;
use plan::Plan;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Description, LimitChanges};
use uptime_core::samples;
use uptime_notifier::registry::{RegistryError, read_component};
use uptime_notifier::scripted::{Reply, Sample};
use uptime_notifier::{Delivery, Earlier, ResolvedSettings, conformance};

/// An event is told so long after it was decided.
const LATER: SignedDuration = SignedDuration::from_secs(1);

struct Finding {
    /// What: an event, an answer.
    name: String,
    /// `ok`, `differs`, `failed`, `new`, `written`, `of no event` or `removed`.
    state: &'static str,
    /// What a person should see of it, a line each.
    lines: Vec<String>,
}

impl Finding {
    fn is_well(&self) -> bool {
        matches!(self.state, "ok" | "written" | "removed")
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "state": self.state, "lines": self.lines })
    }
}

pub async fn run(global: &Global, args: &TestArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let bytes = read_component(&args.file).map_err(|error| match error {
        RegistryError::Files { error, .. } => unreadable(&args.file, &error)
            .hint("`uptime plugin build DIR` makes a component of a plugin's folder"),
        error => error.into(),
    })?;
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let plan = Plan::read(folder)?;
    let loaded = LoadedPlugin::load(global, &args.file, bytes, plan.limits.clone(), printer).await?;
    let settings = plan.settings(&loaded.description)?;
    let dry_run = DryRun { allow: loaded.asked(), settings, loaded, plan };

    let problems = description_problems(&dry_run.loaded.description);
    dry_run.settings_are_good().await?;
    let golden = args.golden.clone().unwrap_or_else(|| folder.join("golden"));
    let requests = dry_run.requests(&golden, args.update).await?;
    let answers = dry_run.answers().await?;

    let wrong = problems.len() + requests.iter().chain(&answers).filter(|finding| !finding.is_well()).count();
    let description = &dry_run.loaded.description;
    if printer.is_json() {
        printer.json(&json!({
            "schema_version": 1,
            "plugin": description,
            "problems": problems,
            "requests": requests.iter().map(Finding::json).collect::<Vec<_>>(),
            "answers": answers.iter().map(Finding::json).collect::<Vec<_>>(),
            "wrong": wrong,
        }));
    } else {
        introduce(description, &problems, printer);
        printer.line("\nRequests");
        for finding in &requests {
            line(finding, printer);
        }
        printer.line("\nAnswers");
        let shown = |finding: &&Finding| args.verbose || !finding.is_well() || !finding.lines.is_empty();
        for finding in answers.iter().filter(shown) {
            line(finding, printer);
        }
        let well = answers.iter().filter(|finding| finding.is_well()).count();
        printer.line(format!("{well} of {} are understood", answers.len()));
        match wrong {
            0 => printer.line(format!("\n{GOOD}all tests pass{GOOD:#}")),
            wrong => printer.line(format!("\n{BAD}{wrong} failed{BAD:#}")),
        }
        if requests.iter().any(|finding| matches!(finding.state, "new" | "differs")) {
            printer.hint("where the requests are as they should be: `--update` writes them");
        } else if wrong == 0 {
            printer.note(format!("Next: `uptime plugin add {}{}`", args.file.display(), dry_run.grants()));
        }
    }
    Ok(if wrong == 0 { Exit::Ok } else { Exit::No })
}

/// A component with all that it needs to play.
struct DryRun {
    loaded: LoadedPlugin,
    plan: Plan,
    settings: ResolvedSettings,
    /// Here it gets what it asks for.
    allow: Vec<HostGrant>,
}

impl DryRun {
    /// What to grant it when it is added.
    fn grants(&self) -> String {
        let limits = self.plan.limits.iter();
        let limits =
            limits.map(|(limit, value)| format!(" --limit {}='{}'", limit.as_str(), limit.show(value)));
        allow(&self.loaded.description) + &limits.collect::<String>()
    }

    async fn play(&self, it: &samples::Sample, reply: Reply) -> Sample {
        let before = Earlier { worst: it.announced, ..Earlier::default() };
        let delivery = Delivery {
            notifier: &self.loaded.name,
            settings: &self.settings,
            allow: &self.allow,
            limits: &LimitChanges::default(),
            channel: "ops",
            time_zone: "UTC",
            installation: samples::INSTALLATION,
            event: &it.event,
            digest: it.digest.as_ref(),
            before,
            now: it.event.at.saturating_add(LATER).unwrap_or(it.event.at),
            attempt: it.attempt,
            hidden: &[],
            proxy: None,
        };
        self.loaded.host.run_scripted(delivery, &[reply]).await
    }

    /// Settings that the plugin refuses would make a failure of everything else.
    async fn settings_are_good(&self) -> Result<(), CommandError> {
        let problems = self.loaded.host.validate(&self.loaded.name, &self.settings).await?;
        if problems.is_empty() {
            return Ok(());
        }
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let message = format!("the plugin refuses the settings to rehearse with: {}", problems.join("; "));
        Err(CommandError::new(Exit::No, message).hint(format!(
            "write made-up ones that it takes into the table `[settings]` of `{}`",
            plan::FILE
        )))
    }

    /// Each sample event.
    async fn requests(&self, golden: &Path, update: bool) -> Result<Vec<Finding>, CommandError> {
        let mut findings = Vec::new();
        for event in samples::all() {
            let name = event.name;
            let Sample { sent, result } = self.play(&event, self.plan.accepted()).await;
            let finding = |state, lines| Finding { name: name.to_owned(), state, lines };
            if let Err(error) = result {
                findings.push(finding("failed", vec![error.to_string()]));
                continue;
            }
            if sent.is_empty() {
                findings
                    .push(finding("failed", vec!["it sends nothing, and says that it was accepted".into()]));
                continue;
            }
            let path: PathBuf = golden.join(format!("{name}.http"));
            let text = golden::shown(&sent);
            let compared =
                golden::compare(&path, &text, update).map_err(|error| unreadable(&path, &error))?;
            findings.push(match compared {
                Comparison::Same => finding("ok", vec![]),
                Comparison::Written => finding("written", vec![]),
                Comparison::New => finding("new", text.lines().map(|line| format!("+ {line}")).collect()),
                Comparison::Differs(lines) => finding("differs", lines),
            });
        }
        findings.extend(golden::of_no_event(golden, update).map_err(|error| unreadable(golden, &error))?);
        Ok(findings)
    }

    /// The provider's own good answer, and the conformance table.
    async fn answers(&self) -> Result<Vec<Finding>, CommandError> {
        let bug = |message: String| CommandError::new(Exit::Bug, message);
        let rows = conformance::rows().map_err(bug)?;
        for (name, exception) in &self.plan.differs {
            if !rows.iter().any(|row| &row.name == name) {
                return Err(CommandError::new(
                    Exit::Config,
                    format!("`{}`: no answer has the name `{name}`", plan::FILE),
                )
                .hint("`--verbose` lists the answers"));
            }
            if !conformance::WORDS.contains(&exception.expect.as_str()) {
                return Err(CommandError::new(
                    Exit::Config,
                    format!("`{}`: `{}` is no word for a result", plan::FILE, exception.expect),
                )
                .hint(format!("the words are {}", conformance::WORDS.join(", "))));
            }
        }
        let all = samples::all();
        let event = &all[0];
        let accepted = self.play(event, self.plan.accepted()).await.result;
        let mut findings = vec![Finding {
            name: "the provider's own answer".into(),
            state: if accepted.is_ok() { "ok" } else { "differs" },
            lines: accepted.err().map(|error| format!("expected `accepted`: {error}")).into_iter().collect(),
        }];
        for row in &rows {
            let result = self.play(event, row.reply().map_err(bug)?).await.result;
            let exception = self.plan.differs.get(&row.name);
            let difference = match exception {
                Some(_) if row.difference(&row.expect, &result).is_none() => {
                    Some(format!("`{}` says that this differs, and it does not", plan::FILE))
                }
                Some(exception) => row.difference(&exception.expect, &result),
                None => row.difference(&row.expect, &result),
            };
            let because = exception.map(|exception| {
                format!("`{}` in place of `{}`: {}", exception.expect, row.expect, exception.because)
            });
            findings.push(Finding {
                name: row.name.clone(),
                state: if difference.is_some() { "differs" } else { "ok" },
                lines: difference.or(because).into_iter().collect(),
            });
        }
        Ok(findings)
    }
}

fn introduce(description: &Description, problems: &[String], printer: &Printer) {
    printer.line(format!("{} {}: {}", description.name, description.version, description.summary));
    let width = description.fields.iter().map(|field| field.key.len()).max().unwrap_or_default();
    for field in &description.fields {
        let required = if field.required { ", required" } else { "" };
        let default = field.default.as_ref().map(|words| format!(" [default: {words}]")).unwrap_or_default();
        let kind = field.kind.as_str();
        printer.line(format!(
            "  {:width$}  {}{FAINT} ({kind}{required}){default}{FAINT:#}",
            field.key, field.help
        ));
    }
    match description.hosts.as_slice() {
        [] => printer.line("asks for no host beside those of its settings"),
        hosts => printer.line(format!("asks for {}", hosts.join(", "))),
    }
    for problem in problems {
        printer.line(format!("{BAD}wrong{BAD:#}    {problem}"));
    }
}

fn line(finding: &Finding, printer: &Printer) {
    let style = match finding.state {
        "ok" | "written" | "removed" => GOOD,
        "new" => ODD,
        _ => BAD,
    };
    printer.line(format!("{style}{:8}{style:#} {}", finding.state, finding.name));
    for line in &finding.lines {
        let style = match line.chars().next() {
            Some('+') => GOOD,
            Some('-') => BAD,
            _ => FAINT,
        };
        printer.line(format!("         {style}{}{style:#}", plain(line)));
    }
}
