//! `uptime queue pause`, `resume` and `restart`: what operators say to workers on any host, through the database.

use crate::prelude::*;

/// Pauses these queues, or lets them go on.
pub async fn pause(store: &Store, queues: &[String], paused: bool, printer: &Printer) -> Result<Exit> {
    let mut done = Vec::new();
    for queue in queues {
        let changed =
            if paused { store.pause_queue(queue).await? } else { store.resume_queue(queue).await? };
        let (word, sentence) = match (paused, changed) {
            (true, true) => ("paused", "is paused: what runs may end, and nothing more is claimed"),
            (true, false) => ("paused already", "was paused already"),
            (false, true) => ("resumed", "goes on"),
            (false, false) => ("not paused", "was not paused"),
        };
        let json = json!({ "queue": queue, "paused": paused, "changed": changed });
        done.push((json, format!("{queue}\t{word}"), format!("`{queue}` {sentence}")));
    }
    printer.each_done("queues", &done);
    if paused {
        printer.hint(format!("`uptime queue resume {}` lets it go on", queues.join(" ")));
    }
    Ok(Exit::Ok)
}

/// Asks the workers of these queues, of all if none is named.
pub async fn restart(store: &Store, queues: Vec<String>, printer: &Printer) -> Result<Exit> {
    let queues = if queues.is_empty() { store.known_queues().await? } else { queues };
    let mut done = Vec::new();
    for queue in &queues {
        let asked = store.restart_workers(queue).await?;
        let sentence = match asked {
            0 => format!("`{queue}` has no worker"),
            1 => format!("`{queue}`: its worker was asked to finish what runs and to end"),
            many => format!("`{queue}`: {many} workers were asked to finish what runs and to end"),
        };
        let json = json!({ "queue": queue, "workers": asked });
        done.push((json, format!("{queue}\tworkers asked\t{asked}"), sentence));
    }
    printer.each_done("queues", &done);
    Ok(Exit::Ok)
}
