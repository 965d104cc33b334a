//! `uptime apply`: the database becomes what the file says.

use crate::args::{ApplyArgs, Global};
use crate::config::file;
use crate::confirm::confirm;
use crate::exit::{CommandError, Exit};
use crate::output::{BAD, GOOD, ODD, Printer};
use crate::runtime::database::{self, Database};
use serde_json::json;
use uptime_core::changes::KeyChange;
use uptime_store::apply::{Applied, AppliedChange, ChangeKind, DesiredState, Ended, Removal, Source};

pub async fn run(global: &Global, args: &ApplyArgs, printer: &Printer) -> Result<Exit, CommandError> {
    let notifiers = file::notifiers(global)?;
    let file = file::require(global, &notifiers).await?;
    file::warn(Some(&file), printer);
    let removal =
        if args.dry_run { database::MissingDatabase::Refuse } else { database::MissingDatabase::Create };
    let choice = file::database(global, Some(&file))?;
    let database = Database::open(choice, removal, 2, printer, true).await?;
    let wanted = DesiredState {
        source: Source::File,
        channels: &file.config.channels,
        monitors: &file.config.monitors,
        maintenance: Some(&file.config.maintenance),
        removal: if args.prune { Removal::Remove } else { Removal::Keep },
    };
    let outcome = apply(&database, wanted, args, printer).await;
    database.close().await;
    outcome
}

async fn apply(
    database: &Database,
    wanted: DesiredState<'_>,
    args: &ApplyArgs,
    printer: &Printer,
) -> Result<Exit, CommandError> {
    if args.prune && !args.dry_run {
        let planned = database.store.apply(wanted, true).await?;
        let gone: Vec<&AppliedChange> =
            planned.changes.iter().filter(|change| change.kind == ChangeKind::Remove).collect();
        if !gone.is_empty() {
            let names: Vec<String> =
                gone.iter().map(|change| format!("{} {}", change.table, change.name)).collect();
            let what = format!("this removes {}; incidents and what was told stay", names.join(", "));
            confirm(&what, args.yes)?;
        }
    }
    let applied = database.store.apply(wanted, args.dry_run).await?;
    print(printer, &applied, args.dry_run);
    Ok(Exit::Ok)
}

fn print(printer: &Printer, applied: &Applied, dry_run: bool) {
    if printer.is_json() {
        let changes: Vec<_> = applied
            .changes
            .iter()
            .map(|change| {
                let keys: Vec<_> = change.keys.iter().map(|key| &key.key).collect();
                let values = change
                    .keys
                    .iter()
                    .map(|KeyChange { key, old, new }| json!({ "key": key, "old": old, "new": new }));
                json!({
                    "change": word(change.kind), "kind": change.table, "name": change.name, "keys": keys,
                    "values": values.collect::<Vec<_>>(),
                })
            })
            .collect();
        let ended: Vec<_> = applied
            .ended
            .iter()
            .map(|ended| json!({ "id": ended.incident, "monitor": ended.monitor, "told": ended.channels_told }))
            .collect();
        printer.json(&json!({
            "schema_version": 1, "dry_run": dry_run, "changes": changes, "unwanted": applied.unwanted, "ended": ended,
        }));
        return;
    }
    for change in &applied.changes {
        let (sign, style) = match change.kind {
            ChangeKind::Add => ('+', GOOD),
            ChangeKind::AppliedChange => ('~', ODD),
            ChangeKind::Remove => ('-', BAD),
        };
        printer.line(format!("{style}{sign} {} {}{style:#}", change.table, change.name));
        for KeyChange { key, old, new } in &change.keys {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".into());
            printer.line(format!("    {key}: {} → {}", shown(old), shown(new)));
        }
    }
    if applied.changes.is_empty() {
        printer.note("nothing to change");
    } else if dry_run {
        printer.note("nothing was changed: this was a dry run");
    }
    for Ended { incident, monitor, channels_told } in &applied.ended {
        let channels_told = if channels_told.is_empty() {
            "nobody will be told".into()
        } else {
            format!("will be told: {}", channels_told.join(", "))
        };
        printer.note(format!(
            "incident {incident} of {monitor} ends, which is no longer watched; {channels_told}"
        ));
    }
    if !applied.unwanted.is_empty() {
        printer
            .warning(format!("no longer in the file, but still in effect: {}", applied.unwanted.join(", ")));
        printer.note("hint: `uptime apply --prune` removes them");
    }
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Add => "add",
        ChangeKind::AppliedChange => "change",
        ChangeKind::Remove => "remove",
    }
}
