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
            commands.push(
                command
                    .split(" #")
                    .next()
                    .unwrap_or_default()
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
            );
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
