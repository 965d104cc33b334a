//! What the README says is there.

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

/// Each `uptime …` of a block of shell commands, as words.
fn commands() -> Vec<Vec<String>> {
    let text = readme();
    let mut in_block = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = line == "```sh";
        } else if in_block
            && let Some(command) = line.trim_start_matches("* * * * * ").strip_prefix("uptime ")
        {
            commands.push(words(command.split(" #").next().unwrap_or_default()));
        }
    }
    commands
}

#[test]
fn every_command_of_the_readme_is_one() {
    let commands = commands();
    assert!(commands.len() > 5, "{commands:?}");
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
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let root = metadata.workspace_root.as_std_path();
    let missing: BTreeSet<String> = metadata
        .packages
        .iter()
        .filter_map(|package| {
            package.manifest_path.as_std_path().parent()?.strip_prefix(root).ok()?.to_str().map(str::to_owned)
        })
        .filter(|folder| !text.contains(folder.as_str()))
        .collect();
    assert!(missing.is_empty(), "the README's map lacks {missing:?}");
}

#[test]
fn the_monitors_of_the_readme_read_without_a_word() {
    let text = readme();
    let block =
        text.split("```toml\n").find(|block| block.starts_with("[monitors.")).expect("a block of monitors");
    let block = block.split("```").next().expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("uptime.toml");
    fs::write(
        &file,
        format!("{block}\n[channels.ops]\nnotifier = \"webhook\"\nurl = \"https://a.example/\"\n"),
    )
    .expect("a file");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_uptime"))
        .args(["config", "check", "--config"])
        .arg(&file)
        .env("UPTIME_DATA_DIR", folder.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("warning"), "{said}");
}
