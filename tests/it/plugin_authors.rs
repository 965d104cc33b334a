//! Writing a plugin, as a stranger does: begin one, change a line, build, rehearse, add, and be told.
//!
//! The tools are the real ones. Where Rust's wasm target is neither installed nor can be made (`.ci/wasm-target.sh`), or
//! the tools for another language are not there, a test says so and is content. What cargo compiles is kept over runs.

use crate::installation::Installation;
use assert_cmd::Command;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use uptime_tests::{WebhookSink, block_on};

/// For a cold cargo, or for `CPython` through Cranelift, on a busy machine.
const LONG: Duration = Duration::from_mins(9);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What is kept over runs: what cargo compiled, and components that wasmtime has compiled.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-authors").join(name)
}

/// Says what a test has left out, and why.
fn say(line: &str) {
    // Where nobody listens, nobody misses it.
    #[expect(clippy::disallowed_methods, reason = "what a test says of itself")]
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The flags with which rustc finds the wasm target's library; `None` where there is none.
fn wasm_flags() -> Option<String> {
    let output = std::process::Command::new(root().join(".ci/wasm-target.sh")).output().expect("a shell");
    if !output.status.success() {
        say(&format!("skipped: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    Some(String::from_utf8(output.stdout).expect("text").trim().to_owned())
}

/// A command of somebody who writes a plugin and stands in `folder`.
fn author(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime"));
    for variable in ["CLICOLOR_FORCE", "DATABASE_URL", "UPTIME_CONFIG", "UPTIME_DATABASE_URL", "UPTIME_LOG"] {
        command.env_remove(variable);
    }
    command.args(["plugin"]).args(args).current_dir(folder).env("UPTIME_DATA_DIR", kept("data"));
    command.env("CARGO_TARGET_DIR", kept("target")).env("CARGO_NET_OFFLINE", "true");
    command.timeout(LONG);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("the file is there");
    assert!(text.contains(from), "{from:?} in {}", file.display());
    fs::write(file, text.replace(from, to)).expect("it can be written");
}

/// The commands of `uptime help plugins`, as words: those of its shell blocks that are ours.
fn guide() -> Vec<Vec<String>> {
    let printed = Command::new(env!("CARGO_BIN_EXE_uptime")).args(["help", "plugins"]).assert().success();
    let text = stdout(printed.get_output());
    let blocks = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("uptime plugin "));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// The guide's ten minutes, word for word.
#[test]
fn a_stranger_has_a_working_notifier_in_ten_minutes() {
    let Some(flags) = wasm_flags() else { return };
    let installation = Installation::new();
    let folder = installation.file().parent().expect("a folder").to_owned();
    let author = |args: &[&str]| {
        let mut command = author(&folder, args);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", &flags);
        command
    };

    let guide = guide();
    let step = |name: &str| -> Vec<&str> {
        let step =
            guide.iter().find(|words| words[0] == name).unwrap_or_else(|| panic!("no {name} in {guide:?}"));
        step.iter().map(String::as_str).collect()
    };

    author(&step("new")).assert().success();
    edit(
        &folder.join("hello/src/lib.rs"),
        "\"text\": event.message.headline,",
        "\"text\": format!(\"Hello, {}\", event.message.headline),",
    );
    let built = author(&step("build")).assert().success();
    assert!(
        stdout(built.get_output()).starts_with("built hello/hello.wasm, "),
        "{}",
        stdout(built.get_output())
    );
    // Cargo's own words.
    assert!(stderr(built.get_output()).contains("hello v0.1.0"), "{}", stderr(built.get_output()));

    let component = "hello/hello.wasm";
    author(&["test", component]).assert().code(1);
    author(&step("test")).assert().success();
    let tested = author(&["test", component]).assert().success();
    assert!(stdout(tested.get_output()).contains("all tests pass"), "{}", stdout(tested.get_output()));
    let kept = fs::read_to_string(folder.join("hello/golden/down.http")).expect("a request");
    assert!(kept.contains("\"text\": \"Hello, "), "{kept}");
    // A line changed without a word to the test is found.
    edit(&folder.join("hello/golden/up.http"), "Hello, ", "Good day, ");
    let tested = author(&["test", component]).assert().code(1);
    let shown = stdout(tested.get_output());
    assert!(shown.contains("differs  up") && shown.contains("+   \"text\": \"Hello, "), "{shown}");

    author(&step("add")).env("UPTIME_DATA_DIR", folder.join("data")).assert().success();
    let sink = WebhookSink::start();
    let (url, origin) = (sink.url(), sink.origin());
    installation
        .apply(&format!("[channels.ops]\nnotifier = \"hello\"\nurl = \"{url}\"\nallow = [\"{origin}\"]\n"));
    installation.command(["channel", "test", "ops"]).assert().success();
    let received = block_on(sink.wait_for(1));
    let text = received[0].json()["text"].as_str().map(str::to_owned);
    assert!(text.as_deref().is_some_and(|text| text.starts_with("Hello, ")), "{text:?}");
}

#[test]
fn a_target_that_is_missing_is_named_with_the_command_that_adds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    author(folder.path(), &["new", "hello"]).assert().success();
    // A sysroot without anything in it: as if the target had not been added.
    let empty = folder.path().join("sysroot");
    fs::create_dir(&empty).expect("a folder");
    let installed = std::process::Command::new("rustc")
        .args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
        .output()
        .is_ok_and(|output| Path::new(stdout(&output).trim()).is_dir());
    if installed {
        say("skipped: the target is installed");
        return;
    }
    let failed = author(folder.path(), &["build", "hello"])
        .env_remove("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS")
        .assert()
        .code(69);
    let said = stderr(failed.get_output());
    assert!(
        said.starts_with(
            "error: Rust's target `wasm32-unknown-unknown` is not installed\nhint: `rustup target add \
             wasm32-unknown-unknown`; without rustup"
        ),
        "before anything is compiled: {said}"
    );
}

#[test]
fn what_is_there_already_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    author(folder.path(), &["new", "hello", "--lang", "js"]).assert().success();
    let before = fs::read_to_string(folder.path().join("hello/plugin.js")).expect("it is there");
    let refused = author(folder.path(), &["new", "hello"]).assert().code(78);
    assert!(
        stderr(refused.get_output()).contains("`hello` is there already"),
        "{}",
        stderr(refused.get_output())
    );
    assert_eq!(fs::read_to_string(folder.path().join("hello/plugin.js")).expect("it is there"), before);
    for name in ["Hello", "2fast", "telegram", "a/b", "a b"] {
        author(folder.path(), &["new", name]).assert().code(2);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_tool_that_is_missing_is_named_with_the_command_that_installs_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (language, hint) in [
        ("js", "hint: npm install --prefix hello-js"),
        ("python", "hint: python3 -m venv hello-python/.venv"),
    ] {
        let name = format!("hello-{language}");
        author(folder.path(), &["new", &name, "--lang", language]).assert().success();
        let failed = author(folder.path(), &["build", &name]).env("PATH", "/nowhere").assert().code(69);
        assert!(stderr(failed.get_output()).contains(hint), "{}", stderr(failed.get_output()));
    }
    let failed = author(folder.path(), &["build", "."]).assert().code(78);
    assert!(stderr(failed.get_output()).contains("is no plugin's folder"), "{}", stderr(failed.get_output()));
}

/// The plugins that are part of the program, by the same command that authors have.
#[test]
fn a_rehearsal_says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let component = folder.path().join("slack.wasm");
    fs::copy(root().join("plugins/built/slack.wasm"), &component).expect("a component");
    // It needs a webhook or a bot's token, which nobody can make up from its description.
    let refused = author(folder.path(), &["test", "slack.wasm"]).assert().code(1);
    assert!(stderr(refused.get_output()).contains("plugin-test.toml"), "{}", stderr(refused.get_output()));

    // A provider whose answer the plugin does not take for success.
    let plan = |body: &str, more: &str| {
        let text = format!(
            "[settings]\nwebhook_url = \"https://hooks.slack.com/services/T/B/made-up\"\n[accepted]\nbody = \"{body}\"\n{more}"
        );
        fs::write(folder.path().join("plugin-test.toml"), text).expect("a file");
    };
    plan("no_service", "");
    let differs = author(folder.path(), &["test", "slack.wasm", "--update"]).assert().code(1);
    assert!(
        stdout(differs.get_output()).contains("differs  the provider's own answer"),
        "{}",
        stdout(differs.get_output())
    );

    // An exception that is none.
    plan("ok", "[differs.\"status 503\"]\nexpect = \"permanent\"\nbecause = \"it is not so\"\n");
    let differs = author(folder.path(), &["test", "slack.wasm", "--update"]).assert().code(1);
    assert!(stdout(differs.get_output()).contains("differs  status 503"), "{}", stdout(differs.get_output()));
    plan("ok", "[differs.\"status 1\"]\nexpect = \"permanent\"\nbecause = \"it is not so\"\n");
    author(folder.path(), &["test", "slack.wasm"]).assert().code(78);
    plan("ok", "[limits]\nmemory = \"lots\"\n");
    author(folder.path(), &["test", "slack.wasm"]).assert().code(78);

    let output = author(folder.path(), &["test", "missing.wasm"]).assert().code(78);
    assert!(
        stderr(output.get_output()).contains("`missing.wasm` can't be read"),
        "{}",
        stderr(output.get_output())
    );
}

/// Builds an example with its language's own tools, which are brought in once where that is possible, and rehearses it
/// against the requests that lie beside it.
fn example(language: &str, name: &str, install: impl FnOnce(&Path) -> std::process::Command) {
    let source = root().join("plugins/examples").join(language);
    let folder = kept(language);
    fs::create_dir_all(&folder).expect("a folder");
    for entry in fs::read_dir(&source).expect("the example") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name())).expect("a copy");
        }
    }
    let installed = folder.join("installed");
    if !installed.is_file() {
        match install(&folder).output() {
            Ok(output) if output.status.success() => fs::write(&installed, "").expect("a file"),
            Ok(output) => {
                return say(&format!(
                    "skipped, the tools for {language} are not to be had: {}",
                    stderr(&output)
                ));
            }
            Err(error) => return say(&format!("skipped, there are no tools for {language}: {error}")),
        }
    }
    let built = author(&folder, &["build"]).assert().success();
    assert!(stderr(built.get_output()).contains("compiling "), "{}", stderr(built.get_output()));
    let golden = source.join("golden");
    let component = format!("{name}.wasm");
    let mut test = author(&folder, &["test", &component, "--golden", golden.to_str().expect("a path")]);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        test.arg("--update");
    }
    let tested = test.output().expect("it runs");
    assert!(tested.status.success(), "{}{}", stdout(&tested), stderr(&tested));
}

#[test]
fn the_example_in_javascript_is_a_plugin() {
    example("javascript", "ntfy-js", |folder| {
        let mut npm = std::process::Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund"]).current_dir(folder);
        npm
    });
}

#[test]
fn the_example_in_python_is_a_plugin() {
    example("python", "matrix-py", |folder| {
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"])
            .current_dir(folder);
        shell
    });
}
