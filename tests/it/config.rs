//! `uptime config check` on files that are wrong, and on some that are not.
//!
//! `invalid/` has the broken files, each with the exact words that `uptime` has for it; `UPDATE_GOLDEN=1` writes
//! them anew, to be read before they are committed. A new message begins with a new file there.

use crate::installation::{FOREIGN, Installation};
use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

/// The exit code of a configuration that is not used.
const CONFIGURATION: i32 = 78;

/// The exit code of `uptime config check` on a file of `folder`, as a user does who stands there; stdout, and stderr.
fn check(folder: &Path, file: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime"));
    command.args(["config", "check", "--config", file]).current_dir(folder);
    for variable in FOREIGN {
        command.env_remove(variable);
    }
    // No plugin of this machine is looked at.
    command.env("UPTIME_DATA_DIR", env!("CARGO_TARGET_TMPDIR"));
    let output = command.output().expect("the binary runs");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    (output.status.code(), out, err)
}

fn invalid() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/it/invalid")
}

fn in_folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("uptime.toml"), text).expect("the file is written");
    folder
}

#[test]
fn each_broken_file_has_its_exact_message() {
    let folder = invalid();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 20, "{} broken files", files.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let (exit, out, err) = check(&folder, name);
        let golden = path.with_extension("stderr");
        if update {
            fs::write(&golden, &err).expect("the golden file is written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if (exit, out.as_str(), &err) != (Some(CONFIGURATION), "", &expected) {
            wrong.push(format!("{name}: expected\n{expected}\ngot, with exit {exit:?}\n{out}{err}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The secrets of the broken files all bear this mark.
#[test]
fn no_message_shows_a_secret() {
    let mut marked = 0;
    for entry in fs::read_dir(invalid()).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a text");
        if path.extension().is_some_and(|extension| extension == "toml") {
            marked += usize::from(text.contains("never-shown"));
        } else {
            assert!(!text.contains("never-shown"), "{}", path.display());
        }
    }
    assert!(marked >= 5, "{marked} files with secrets");
}

#[test]
fn a_warning_does_not_stop_anybody() {
    let folder = in_folder(
        "[channels.ops]\nnotifier = \"discord\"\nwebhook_url = \"https://discord.com/never-shown\"\n",
    );
    let (exit, _, said) = check(folder.path(), "uptime.toml");
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.starts_with("warning: the secret `webhook_url` is written in the file\n"), "{said}");
    assert!(!said.contains("never-shown"), "{said}");
}

/// The workers may run elsewhere, where the files are.
#[test]
fn files_that_are_not_right_here_are_warned_of_once() {
    let folder = in_folder("");
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("text.pem"), "no certificate").expect("the file is written");
    let monitor = |name: &str, rest: &str| {
        format!("[monitors.{name}]\ntype = \"http\"\nurl = \"https://a.example/\"\nchannels = []\n{rest}\n")
    };
    let text = [
        monitor("a", &format!("ca = \"{}\"", at("gone.pem"))),
        monitor("b", &format!("ca = \"{}\"", at("gone.pem"))),
        monitor("c", &format!("ca = \"{}\"", at("text.pem"))),
        monitor("d", &format!("headers = {{ X-Key = {{ file = \"{}\" }} }}", at("key"))),
    ];
    fs::write(at("uptime.toml"), text.concat()).expect("the file is written");
    let (exit, _, said) = check(folder.path(), "uptime.toml");
    assert_eq!(exit, Some(0), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: `")).collect();
    let gone = |key: &str, name: &str| {
        format!(
            "warning: `{key}`: the file `{}` can't be read: No such file or directory (os error 2)",
            at(name)
        )
    };
    assert_eq!(
        warnings[..3],
        [
            gone("ca", "gone.pem"),
            format!("warning: `ca`: the file `{}` has no certificate in PEM form", at("text.pem")),
            gone("headers", "key"),
        ]
    );
    assert_eq!((warnings.len(), said.matches("\nhint: ").count()), (4, 3), "the last is the sum: {said}");
}

/// "error: has a line brea•••" came of the second, and ended `notification list`, too.
#[test]
fn what_is_in_a_secrets_file_is_looked_over() {
    let installation = Installation::new();
    let path = installation.file().with_file_name("token");
    let secret = format!("headers = {{ X-A = {{ file = \"{}\" }} }}", path.display());
    installation.write(&format!(
        "[monitors.m]\ntype = \"http\"\nurl = \"https://example.com/\"\n{secret}\n
         [channels.c]\nnotifier = \"webhook\"\nurl = \"https://example.com/\"\n{secret}\n"
    ));
    let control = "has a line break or another control character in it";
    for (content, code, of_monitor, of_channel) in [
        ("\u{feff}t0k\n\n", 0, "", ""),
        ("t0\nk", 78, control, control),
        ("t0k \n", 0, "has blanks at its end", ""),
        (" \n", 0, "is empty", ""),
    ] {
        fs::write(&path, content).expect("it is written");
        let said = installation.complaint(code, "config check");
        let path = path.display();
        let told = [
            (of_monitor, format!("`{path}` {of_monitor}")),
            (of_channel, format!("`headers` (`{path}`): {of_channel}")),
        ];
        for (words, line) in told {
            assert!(words.is_empty() || said.contains(&line), "{content:?}: {said}");
        }
        assert_eq!(said.is_empty(), of_monitor.is_empty(), "{content:?}: {said}");
        assert!(!said.contains("•••"), "{said}");
        installation.run(0, "notification list");
    }
}

#[test]
fn the_starter_is_right() {
    let folder = in_folder(uptime_core::config::STARTER);
    let (exit, _, said) = check(folder.path(), "uptime.toml");
    assert_eq!((exit, said.as_str()), (Some(0), ""));
}
