//! `uptime plugin test`: a scripted run of a component, in the sandbox that workers run it in.
//!
//! Three things are looked at: what it says of itself, the requests that it would send for each type of event, and what
//! it makes of each kind of answer. The first difference ends nothing: an author sees all of them at once.

mod golden;
mod plan;

use super::build::allow;
use super::loaded::{LoadedPlugin, description_problems};
use crate::args::TestArgs;
use crate::output::plain;
use crate::prelude::*;
use jiff::SignedDuration;
use plan::{FILE, Plan};
use serde::Serialize;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::{Description, Limit, LimitChanges};
use uptime_core::samples;
use uptime_notifier::registry::{RegistryError, read_component};
use uptime_notifier::scripted::{Reply, Sample};
use uptime_notifier::{Delivery, Earlier, ResolvedSettings, conformance};

/// An event is told so long after it was decided.
const LATER: SignedDuration = SignedDuration::from_secs(1);

#[derive(Serialize)]
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
}

pub async fn run(global: &Global, args: &TestArgs, printer: &Printer) -> Result<Exit> {
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
    let json = json!({
        "plugin": description, "problems": problems, "requests": requests, "answers": answers, "wrong": wrong,
    });
    printer.answer(json, || {
        introduce(description, &problems, printer);
        printer.line("\nRequests");
        for finding in &requests {
            line(finding, printer);
        }
        printer.line("\nAnswers");
        let shown = |finding: &&Finding| args.verbose || !finding.is_well() || !finding.lines.is_empty();
        answers.iter().filter(shown).for_each(|finding| line(finding, printer));
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
    });
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
        let flag =
            |(limit, value): (Limit, _)| format!(" --limit {}='{}'", limit.as_str(), limit.show(value));
        allow(&self.loaded.description) + &self.plan.limits.iter().map(flag).collect::<String>()
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
    async fn settings_are_good(&self) -> Result<()> {
        let problems = self.loaded.host.validate(&self.loaded.name, &self.settings).await?;
        if problems.is_empty() {
            return Ok(());
        }
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let message = format!("the plugin refuses the settings to rehearse with: {}", problems.join("; "));
        Err(answer_no(message)
            .hint(format!("write made-up ones that it takes into the table `[settings]` of `{FILE}`")))
    }

    /// Each sample event.
    async fn requests(&self, golden: &Path, update: bool) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for event in samples::all() {
            let name = event.name;
            let Sample { sent, result } = self.play(&event, self.plan.accepted()).await;
            let finding = |state, lines| Finding { name: name.to_owned(), state, lines };
            let failed = match result {
                Err(error) => Some(error.to_string()),
                Ok(_) if sent.is_empty() => Some("it sends nothing, and says that it was accepted".into()),
                Ok(_) => None,
            };
            if let Some(why) = failed {
                findings.push(finding("failed", vec![why]));
                continue;
            }
            let path = golden.join(format!("{name}.http"));
            let compared = golden::compare(&path, &golden::shown(&sent), update);
            let (state, lines) = compared.map_err(|error| unreadable(&path, &error))?;
            findings.push(finding(state, lines));
        }
        findings.extend(golden::of_no_event(golden, update).map_err(|error| unreadable(golden, &error))?);
        Ok(findings)
    }

    /// The provider's own good answer, and the conformance table.
    async fn answers(&self) -> Result<Vec<Finding>> {
        let rows = conformance::rows().map_err(bug)?;
        for (name, exception) in &self.plan.differs {
            if !rows.iter().any(|row| &row.name == name) {
                return Err(config_error(format!("`{FILE}`: no answer has the name `{name}`"))
                    .hint("`--verbose` lists the answers"));
            }
            let expect = exception.expect.as_str();
            if !conformance::WORDS.contains(&expect) {
                return Err(config_error(format!("`{FILE}`: `{expect}` is no word for a result"))
                    .hint(format!("the words are {}", conformance::WORDS.join(", "))));
            }
        }
        let all = samples::all();
        let event = &all[0];
        let accepted = self.play(event, self.plan.accepted()).await.result;
        let finding = |name: &str, difference: Option<String>, because| Finding {
            name: name.to_owned(),
            state: if difference.is_some() { "differs" } else { "ok" },
            lines: difference.or(because).into_iter().collect(),
        };
        let difference = accepted.err().map(|error| format!("expected `accepted`: {error}"));
        let mut findings = vec![finding("the provider's own answer", difference, None)];
        for row in &rows {
            let result = self.play(event, row.reply().map_err(bug)?).await.result;
            let exception = self.plan.differs.get(&row.name);
            let difference = match (exception, row.difference(&row.expect, &result)) {
                (Some(_), None) => Some(format!("`{FILE}` says that this differs, and it does not")),
                (Some(exception), _) => row.difference(&exception.expect, &result),
                (None, difference) => difference,
            };
            let because = exception.map(|exception| {
                format!("`{}` in place of `{}`: {}", exception.expect, row.expect, exception.because)
            });
            findings.push(finding(&row.name, difference, because));
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
        let (key, help, kind) = (&field.key, &field.help, field.kind.as_str());
        printer.line(format!("  {key:width$}  {help}{FAINT} ({kind}{required}){default}{FAINT:#}"));
    }
    match description.hosts.as_slice() {
        [] => printer.line("asks for no host beside those of its settings"),
        hosts => printer.line(format!("asks for {}", hosts.join(", "))),
    }
    printer.lines(problems.iter().map(|problem| format!("{BAD}wrong{BAD:#}    {problem}")));
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
