//! Whole requests as files, one for each type of event, and how two of them differ.
//!
//! The form is that of `.http` files, which editors know: method and address, headers, an empty line, the body; `###`
//! between two requests. A body that is JSON is laid out, so that a difference is a line.

use super::Finding;
use std::fmt::Write as _;
use std::path::Path;
use uptime_core::samples;
use uptime_notifier::scripted::SentRequest;

/// Lines around a difference that are shown with it.
const AROUND: usize = 2;

pub fn shown(requests: &[SentRequest]) -> String {
    requests.iter().map(request).collect::<Vec<_>>().join("\n###\n")
}

fn request(request: &SentRequest) -> String {
    let mut text = format!("{} {}\n", request.method, request.url);
    // The host's own changes with each version of the program.
    let own = |name: &str, value: &str| name == "user-agent" && value.starts_with("uptime/");
    for (name, value) in request.headers.iter().filter(|(name, value)| !own(name, value)) {
        let _ = writeln!(text, "{name}: {value}");
    }
    if !request.body.is_empty() {
        let json = serde_json::from_slice::<serde_json::Value>(&request.body)
            .ok()
            .and_then(|json| serde_json::to_string_pretty(&json).ok());
        let body = json.unwrap_or_else(|| String::from_utf8_lossy(&request.body).into_owned());
        let _ = writeln!(text, "\n{body}");
    }
    text
}

/// Holds `text` against the file, or writes it there. Gives the state of a [`Finding`], and the lines that differ, ` `,
/// `-` or `+` before each.
pub fn compare(path: &Path, text: &str, update: bool) -> std::io::Result<(&'static str, Vec<String>)> {
    let kept = match super::plan::text_of(path) {
        Ok(kept) => Some(kept),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match kept {
        Some(kept) if kept == text => Ok(("ok", Vec::new())),
        _ if update => {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            std::fs::write(path, text)?;
            Ok(("written", Vec::new()))
        }
        Some(kept) => Ok(("differs", difference(&kept, text))),
        None => Ok(("new", difference("", text))),
    }
}

/// The files in the folder that are of no sample event; `update` removes them.
pub(super) fn of_no_event(folder: &Path, update: bool) -> std::io::Result<Vec<Finding>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let known: Vec<&str> = samples::all().iter().map(|event| event.name).collect();
    let mut findings = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_suffix(".http").is_none_or(|event| known.contains(&event)) {
            continue;
        }
        if update {
            std::fs::remove_file(entry.path())?;
        }
        let (state, line) = if update { ("removed", "") } else { ("of no event", "`--update` removes it") };
        let lines = [line].into_iter().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        findings.push(Finding { name, state, lines });
    }
    findings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(findings)
}

/// What lies between the lines that both begin with and those that both end with, and a little around it.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let marked = |mark: char, lines: &[&str]| {
        lines.iter().map(move |line| format!("{mark} {line}")).collect::<Vec<_>>()
    };
    [
        marked(' ', &old[same.saturating_sub(AROUND)..same]),
        marked('-', &old[same..old_end]),
        marked('+', &new[same..new_end]),
        marked(' ', &old[old_end..old.len().min(old_end + AROUND)]),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_text_that_people_can_read() {
        let sent = SentRequest {
            method: "POST".into(),
            url: "https://example.com/hook".into(),
            headers: vec![
                ("content-type".into(), "application/json".into()),
                ("user-agent".into(), "uptime/0.1.0".into()),
            ],
            body: br#"{"text":"shop is down"}"#.to_vec(),
        };
        let one = "POST https://example.com/hook\ncontent-type: application/json\n\n{\n  \"text\": \"shop is down\"\n}\n";
        assert_eq!(shown(std::slice::from_ref(&sent)), one);
        assert_eq!(
            shown(&[sent.clone(), SentRequest { body: vec![], headers: vec![], ..sent }]),
            format!("{one}\n###\nPOST https://example.com/hook\n")
        );
    }

    #[test]
    fn a_difference_is_shown_with_what_is_around_it() {
        assert_eq!(
            difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nX\nY\ne\nf\n"),
            ["  b", "  c", "- d", "+ X", "+ Y", "  e", "  f"]
        );
        assert_eq!(difference("a\na\n", "a\n"), ["  a", "- a"]);
        assert_eq!(difference("", "a\n"), ["+ a"]);
    }

    #[test]
    fn a_file_of_no_event_is_found_and_removed_when_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["down.http", "of-old.http", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").expect("a file");
        }
        let found = |update| {
            let found = of_no_event(folder.path(), update).expect("the folder");
            found.into_iter().map(|finding| (finding.name.clone(), finding.is_well())).collect::<Vec<_>>()
        };
        assert_eq!(found(false), [("of-old.http".to_owned(), false)]);
        assert_eq!(found(true), [("of-old.http".to_owned(), true)]);
        assert!(found(false).is_empty() && folder.path().join("notes.txt").is_file());
        assert!(of_no_event(&folder.path().join("none"), false).expect("nothing").is_empty());
    }

    #[test]
    fn a_file_is_written_only_when_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("golden/down.http");
        let compare = |text, update| compare(&path, text, update).expect("it can be read");
        assert_eq!(compare("a\n", false), ("new", vec!["+ a".to_owned()]));
        assert_eq!(compare("a\n", true), ("written", vec![]));
        assert_eq!(compare("a\n", false), ("ok", vec![]));
        assert_eq!(compare("b\n", false), ("differs", vec!["- a".into(), "+ b".into()]));
        assert_eq!(compare("b\n", true), ("written", vec![]));
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "b\n");
    }
}
