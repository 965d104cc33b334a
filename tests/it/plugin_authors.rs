//! Writing a plugin, as a stranger does: begin one, change a line, build, rehearse, add, and be told.
//!
//! The tools are the real ones. Where Rust's wasm target is neither installed nor can be made (`.ci/wasm-target.sh`), or
//! the tools for another language are not there, a test says so and is content. What cargo compiles is kept over runs.

use crate::installation::Installation;
use assert_cmd::Command;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
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

/// What is said on stdout, and on stderr, by a command that ends with this code.
#[track_caller]
fn ends(command: &mut Command, exit: i32) -> (String, String) {
    let output = command.assert().code(exit).get_output().clone();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    (out, err)
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("the file is there");
    assert!(text.contains(from), "{from:?} in {}", file.display());
    fs::write(file, text.replace(from, to)).expect("it can be written");
}

/// The commands of `uptime help plugins`, as words: those of its shell blocks that are ours.
fn guide() -> Vec<Vec<String>> {
    let (text, _) = ends(Command::new(env!("CARGO_BIN_EXE_uptime")).args(["help", "plugins"]), 0);
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
    let (out, err) = ends(&mut author(&step("build")), 0);
    assert!(out.starts_with("built hello/hello.wasm, "), "{out}");
    // Cargo's own words.
    assert!(err.contains("hello v0.1.0"), "{err}");

    let component = "hello/hello.wasm";
    author(&["test", component]).assert().code(1);
    author(&step("test")).assert().success();
    let (out, _) = ends(&mut author(&["test", component]), 0);
    assert!(out.contains("all tests pass"), "{out}");
    let kept = fs::read_to_string(folder.join("hello/golden/down.http")).expect("a request");
    assert!(kept.contains("\"text\": \"Hello, "), "{kept}");
    // A line changed without a word to the test is found.
    edit(&folder.join("hello/golden/up.http"), "Hello, ", "Good day, ");
    let (shown, _) = ends(&mut author(&["test", component]), 1);
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
        .is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    if installed {
        say("skipped: the target is installed");
        return;
    }
    let mut build = author(folder.path(), &["build", "hello"]);
    let (_, said) = ends(build.env_remove("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS"), 69);
    let missing = "error: Rust's target `wasm32-unknown-unknown` is not installed\nhint: `rustup target add \
                   wasm32-unknown-unknown`; without rustup";
    assert!(said.starts_with(missing), "before anything is compiled: {said}");
}

#[test]
fn what_is_there_already_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    author(folder.path(), &["new", "hello", "--lang", "js"]).assert().success();
    let before = fs::read_to_string(folder.path().join("hello/plugin.js")).expect("it is there");
    let (_, said) = ends(&mut author(folder.path(), &["new", "hello"]), 78);
    assert!(said.contains("`hello` is there already"), "{said}");
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
        let (_, said) = ends(author(folder.path(), &["build", &name]).env("PATH", "/nowhere"), 69);
        assert!(said.contains(hint), "{said}");
    }
    let (_, said) = ends(&mut author(folder.path(), &["build", "."]), 78);
    assert!(said.contains("is no plugin's folder"), "{said}");
}

/// The plugins that are part of the program, by the same command that authors have.
#[test]
fn a_rehearsal_says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let component = folder.path().join("slack.wasm");
    fs::copy(root().join("plugins/built/slack.wasm"), &component).expect("a component");
    let test = |args: &[&str], exit| ends(&mut author(folder.path(), &[&["test"], args].concat()), exit);
    // It needs a webhook or a bot's token, which nobody can make up from its description.
    let (_, said) = test(&["slack.wasm"], 1);
    assert!(said.contains("plugin-test.toml"), "{said}");

    let plan = |body: &str, more: &str| {
        let text = format!(
            "[settings]\nwebhook_url = \"https://hooks.slack.com/services/T/B/made-up\"\n[accepted]\nbody = \"{body}\"\n{more}"
        );
        fs::write(folder.path().join("plugin-test.toml"), text).expect("a file");
    };
    let differs = |case: u16| {
        format!("[differs.\"status {case}\"]\nexpect = \"permanent\"\nbecause = \"it is not so\"\n")
    };
    for (body, more, what) in [
        // A provider whose answer the plugin does not take for success, and an exception that is none.
        ("no_service", String::new(), "differs  the provider's own answer"),
        ("ok", differs(503), "differs  status 503"),
    ] {
        plan(body, &more);
        let (shown, _) = test(&["slack.wasm", "--update"], 1);
        assert!(shown.contains(what), "{shown}");
    }
    for more in [differs(1), "[limits]\nmemory = \"lots\"\n".to_owned()] {
        plan("ok", &more);
        test(&["slack.wasm"], 78);
    }
    let (_, said) = test(&["missing.wasm"], 78);
    assert!(said.contains("`missing.wasm` can't be read"), "{said}");
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
                let why = String::from_utf8_lossy(&output.stderr);
                return say(&format!("skipped, the tools for {language} are not to be had: {why}"));
            }
            Err(error) => return say(&format!("skipped, there are no tools for {language}: {error}")),
        }
    }
    let (_, said) = ends(&mut author(&folder, &["build"]), 0);
    assert!(said.contains("compiling "), "{said}");
    let golden = source.join("golden");
    let component = format!("{name}.wasm");
    let mut test = author(&folder, &["test", &component, "--golden", golden.to_str().expect("a path")]);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        test.arg("--update");
    }
    ends(&mut test, 0);
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
