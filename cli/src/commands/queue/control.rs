//! `uptime queue pause`, `resume` and `restart`: what operators say to workers on any host, through the database.

use crate::exit::{CommandError, Exit};
use crate::output::{Entry, Printer};
use serde_json::json;
use uptime_store::Store;

/// What was said to a queue and what came of it.
struct Answer<'a> {
    queue: &'a str,
    word: String,
    sentence: String,
    json: serde_json::Value,
}

pub async fn pause(store: &Store, queues: &[String], printer: &Printer) -> Result<Exit, CommandError> {
    let mut answers = Vec::new();
    for queue in queues {
        let changed = store.pause_queue(queue).await?;
        answers.push(Answer {
            queue,
            word: if changed { "paused" } else { "paused already" }.into(),
            sentence: if changed {
                format!("`{queue}` is paused: what runs may end, and nothing more is claimed")
            } else {
                format!("`{queue}` was paused already")
            },
            json: json!({ "queue": queue, "paused": true, "changed": changed }),
        });
    }
    say(answers, printer);
    printer.hint(&format!("`uptime queue resume {}` lets it go on", queues.join(" ")));
    Ok(Exit::Ok)
}

pub async fn resume(store: &Store, queues: &[String], printer: &Printer) -> Result<Exit, CommandError> {
    let mut answers = Vec::new();
    for queue in queues {
        let changed = store.resume_queue(queue).await?;
        answers.push(Answer {
            queue,
            word: if changed { "resumed" } else { "not paused" }.into(),
            sentence: if changed {
                format!("`{queue}` goes on")
            } else {
                format!("`{queue}` was not paused")
            },
            json: json!({ "queue": queue, "paused": false, "changed": changed }),
        });
    }
    say(answers, printer);
    Ok(Exit::Ok)
}

/// Asks the workers of these queues, of all if none is named.
pub async fn restart(store: &Store, queues: Vec<String>, printer: &Printer) -> Result<Exit, CommandError> {
    let queues = if queues.is_empty() { store.known_queues().await? } else { queues };
    let mut answers = Vec::new();
    for queue in &queues {
        let asked = store.restart_workers(queue).await?;
        answers.push(Answer {
            queue,
            word: format!("workers asked\t{asked}"),
            sentence: match asked {
                0 => format!("`{queue}` has no worker"),
                1 => format!("`{queue}`: its worker was asked to finish what runs and to end"),
                many => format!("`{queue}`: {many} workers were asked to finish what runs and to end"),
            },
            json: json!({ "queue": queue, "workers": asked }),
        });
    }
    say(answers, printer);
    Ok(Exit::Ok)
}

fn say(answers: Vec<Answer<'_>>, printer: &Printer) {
    if printer.is_json() {
        let entries = answers.into_iter().map(|answer| Entry { json: answer.json, cells: Vec::new() });
        printer.list("queues", &[], entries.collect());
        return;
    }
    for answer in answers {
        if printer.is_terminal() {
            printer.line(answer.sentence);
        } else {
            printer.line(format!("{}\t{}", answer.queue, answer.word));
        }
    }
}
