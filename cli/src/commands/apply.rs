//! `uptime apply`: the database becomes what the file says.

use crate::args::ApplyArgs;
use crate::commands::will_be_told;
use crate::config::file;
use crate::prelude::*;
use crate::runtime::database::{self, Database};
use uptime_core::changes::KeyChange;
use uptime_store::apply::{Applied, AppliedChange, ChangeKind, DesiredState, Ended, Removal, Source};

pub async fn run(global: &Global, args: &ApplyArgs, printer: &Printer) -> Result<Exit> {
    let notifiers = file::notifiers(global)?;
    let file = file::require(global, &notifiers).await?;
    file::warn(Some(&file), printer);
    let missing =
        if args.dry_run { database::MissingDatabase::Refuse } else { database::MissingDatabase::Create };
    let choice = file::database(global, Some(&file))?;
    let database = Database::open(choice, missing, 2, printer, true).await?;
    let wanted = DesiredState {
        source: Source::File,
        channels: &file.config.channels,
        monitors: &file.config.monitors,
        maintenance: Some(&file.config.maintenance),
        removal: if args.prune { Removal::Remove } else { Removal::Keep },
    };
    database.during(async |database| apply(database, wanted, args, printer).await).await
}

async fn apply(
    database: &Database,
    wanted: DesiredState<'_>,
    args: &ApplyArgs,
    printer: &Printer,
) -> Result<Exit> {
    if args.prune && !args.dry_run {
        let planned = database.store.apply(wanted, true).await?.changes;
        let gone = planned.iter().filter(|change| change.kind == ChangeKind::Remove);
        let names: Vec<String> = gone.map(|change| format!("{} {}", change.table, change.name)).collect();
        if !names.is_empty() {
            let what = format!("this removes {}; incidents and what was told stay", names.join(", "));
            confirm(&what, args.yes)?;
        }
    }
    let applied = database.store.apply(wanted, args.dry_run).await?;
    let change = |change: &AppliedChange| {
        let keys: Vec<_> = change.keys.iter().map(|key| &key.key).collect();
        with(json!(change), json!({ "keys": keys }))
    };
    let changes: Vec<_> = applied.changes.iter().map(change).collect();
    let json = with(json!(applied), json!({ "changes": changes, "dry_run": args.dry_run }));
    printer.answer(json, || print(printer, &applied, args.dry_run));
    Ok(Exit::Ok)
}

fn print(printer: &Printer, applied: &Applied, dry_run: bool) {
    for change in &applied.changes {
        let (sign, style) = match change.kind {
            ChangeKind::Add => ('+', GOOD),
            ChangeKind::Alter => ('~', ODD),
            ChangeKind::Remove => ('-', BAD),
        };
        printer.line(format!("{style}{sign} {} {}{style:#}", change.table, change.name));
        for KeyChange { key, old, new } in &change.keys {
            let [old, new] = [old, new].map(|value| value.as_deref().unwrap_or("not set"));
            printer.line(format!("    {key}: {old} → {new}"));
        }
    }
    if applied.changes.is_empty() {
        printer.note("nothing to change");
    } else if dry_run {
        printer.note("nothing was changed: this was a dry run");
    }
    for Ended { incident, monitor, channels_told } in &applied.ended {
        let channels_told = will_be_told(channels_told);
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
