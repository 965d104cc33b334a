//! What the README says is there.

use crate::dependencies::packages;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("the README is there")
}

/// A command line's words, as a shell makes them of plain ones and of such in quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            Some(_) | None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// README and the guides: (name, text).
fn documents() -> Vec<(String, String)> {
    let guides = fs::read_dir(root().join("cli/guide")).expect("the guides are there");
    let guides = guides.map(|entry| entry.expect("an entry").path());
    guides
        .chain([root().join("README.md")])
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("a text")))
        .collect()
}

/// The code blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).filter_map(|block| block.split("```").next()).collect()
}

/// Each `uptime …` in the shell blocks of a document, as words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = blocks(text, "sh").into_iter().flat_map(str::lines);
    let commands = lines.filter_map(|line| line.trim_start_matches("* * * * * ").strip_prefix("uptime "));
    commands.map(|command| words(command.split(" #").next().unwrap_or_default())).collect()
}

#[test]
fn every_command_of_the_readme_and_the_guides_is_one() {
    let commands: Vec<_> = documents().iter().flat_map(|(_, text)| commands(text)).collect();
    assert!(commands.len() > 50, "{commands:?}");
    for words in commands {
        // The command and its subcommand, with all its flags, parsed by the real binary; `--help` keeps it from running.
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_uptime"))
            .args(&words)
            .arg("--help")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "uptime {}: {said}", words.join(" "));
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            let flag = flag.split('=').next().unwrap_or(flag);
            assert!(help.contains(flag), "uptime {}: there is no {flag}", words.join(" "));
        }
    }
}

#[test]
fn the_two_commands_of_the_readme_are_scripts_that_run() {
    use std::os::unix::fs::PermissionsExt;
    let text = readme();
    for script in [".ci/up", ".ci/test"] {
        assert!(text.contains(script), "the README names {script}");
        let mode = fs::metadata(root().join(script)).expect("it is there").permissions().mode();
        assert!(mode & 0o111 != 0, "{script} can be run");
    }
}

#[test]
fn the_map_of_the_readme_names_every_package() {
    let text = readme();
    let folder = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder =
            manifest.parent().expect("a folder").strip_prefix(root().canonicalize().expect("the root"));
        let folder = folder.expect("below the root").to_string_lossy().into_owned();
        // The notifiers are one entry.
        if folder.starts_with("plugins/") { "`plugins`".into() } else { folder }
    };
    let missing: BTreeSet<String> =
        packages().iter().map(folder).filter(|folder| !text.contains(folder.as_str())).collect();
    assert!(missing.is_empty(), "the README's map lacks {missing:?}");
}

/// Whatever stands in a block of TOML can be pasted into a file; plugins apart, which have to be there.
#[test]
fn the_configuration_in_the_readme_and_the_guides_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("uptime.toml");
    let documents = documents();
    let blocks = documents
        .iter()
        .flat_map(|(name, text)| blocks(text, "toml").into_iter().map(move |block| (name, block)));
    let blocks: Vec<_> = blocks.filter(|(_, block)| !block.contains("[plugins.")).collect();
    assert!(blocks.len() > 8, "{blocks:?}");
    for (name, block) in blocks {
        let has = |table: &str| block.lines().any(|line| line.starts_with(table));
        let mut text = block.to_owned();
        if !has("[channels.") {
            text += "\n[channels.ops]\nnotifier = \"webhook\"\nurl = \"https://a.example/\"\n";
        }
        if !has("[monitors.") {
            text += "\n[monitors.database]\ntype = \"tcp\"\nhost = \"a.example\"\nport = 1\n";
        }
        fs::write(&file, &text).expect("a file");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_uptime"))
            .args(["config", "check", "--config"])
            .arg(&file)
            .env("UPTIME_DATA_DIR", folder.path())
            .envs(
                ["TELEGRAM_BOT_TOKEN", "SHOP_TOKEN", "HEARTBEAT_URL", "SLACK_WEBHOOK_URL"]
                    .map(|name| (name, "https://a.example/")),
            )
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {block}\n{said}");
    }
}

#[test]
fn every_file_that_the_readme_and_the_guides_name_is_there() {
    for (name, text) in documents() {
        let quoted = text.split('`').skip(1).step_by(2);
        let roots = ["cli/", "host/", "tests/", "plugins/", "migrations/", "wit/", ".ci/"];
        let paths = quoted
            .filter(|word| roots.iter().any(|root| word.starts_with(root)) && !word.contains([' ', '*']));
        // What stands in the data directory, or beside the reader's own file.
        let paths = paths.filter(|path| !path.starts_with("plugins/installed") && !path.contains(".wasm"));
        let missing: Vec<_> = paths.filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{name} names {missing:?}");
    }
}
