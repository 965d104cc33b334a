//! `uptime maintenance`, and how a window shows where monitors are looked at.

use crate::installation::Installation;
use serde_json::Value;

const FILE: &str = "[monitors.shop]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\ngroup = \"web\"\nchannels = []\n\n\
                    [monitors.blog]\ntype = \"tcp\"\nhost = \"127.0.0.1\"\nport = 9\nchannels = []\n";

fn states(installation: &Installation) -> Vec<(String, String)> {
    let monitors = installation.json(["monitor", "list"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let monitors = monitors["monitors"].as_array().expect("a list").iter();
    monitors.map(|monitor| (text(&monitor["name"]), text(&monitor["state"]))).collect()
}

#[test]
fn a_monitor_in_a_window_says_so_until_it_is_over() {
    let installation = Installation::new();
    installation.apply(FILE);
    let is = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    installation
        .command(["maintenance", "add", "move", "--group", "web", "--for", "2h"])
        .assert()
        .success()
        .stdout("move\tadded\n");
    assert_eq!(states(&installation), [is("blog", "unknown"), is("shop", "maintenance")]);
    let listed = installation.json(["maintenance", "list"]);
    let window = &listed["maintenance"][0];
    assert_eq!((window["state"].as_str(), window["source"].as_str()), (Some("on"), Some("command-line")));
    installation
        .command(["maintenance", "add", "move", "--all", "--hours", "00:00-24:00"])
        .assert()
        .success()
        .stdout("move\treplaced\n");
    assert_eq!(states(&installation), [is("blog", "maintenance"), is("shop", "maintenance")]);
    installation.command(["maintenance", "remove", "move"]).assert().success().stdout("move\tremoved\n");
    assert_eq!(states(&installation), [is("blog", "unknown"), is("shop", "unknown")]);
}

#[test]
fn the_files_windows_come_and_go_with_it() {
    let installation = Installation::new();
    let window = "\n[maintenance.night]\nmonitors = [\"shop\"]\nhours = \"00:00-24:00\"\n";
    installation.write(&format!("{FILE}{window}"));
    installation
        .command(["apply"])
        .assert()
        .success()
        .stdout("+ monitor blog\n+ monitor shop\n+ maintenance night\n");
    installation.command(["apply"]).assert().success().stdout("").stderr("nothing to change\n");
    let is = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(states(&installation), [is("blog", "unknown"), is("shop", "maintenance")]);
    let refused = installation.command(["maintenance", "remove", "night"]).assert().code(1);
    let refused = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert_eq!(
        refused,
        "error: maintenance `night` stands in the file\nhint: take it out there, then `uptime apply`\n"
    );
    installation.write(FILE);
    installation.command(["apply"]).assert().success().stdout("- maintenance night\n");
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    let installation = Installation::new();
    installation.apply(FILE);
    for (arguments, code, message) in [
        (
            vec!["--monitor", "shpo", "--for", "1h"],
            2,
            "error: there is no monitor `shpo`\nhint: did you mean `shop`?\n",
        ),
        (
            vec!["--group", "wbe", "--for", "1h"],
            2,
            "error: there is no group `wbe`\nhint: did you mean `web`?\n",
        ),
        (
            vec!["--monitor", "shop", "--until", "2020-01-01T00:00:00Z"],
            2,
            "error: the window is over before it begins\nhint: write a later `--until`, or `--for 1h`\n",
        ),
        (vec!["--monitor", "shop", "--hours", "mon-fry 08:00-18:00"], 2, "did you mean `fri`?"),
        (vec!["--for", "1h"], 2, "--all"),
        (vec!["--all"], 2, "--for"),
    ] {
        let refused = installation.command(["maintenance", "add", "x"]).args(&arguments).assert().code(code);
        let stderr = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    }
    let refused = installation.command(["maintenance", "remove", "x"]).assert().code(2);
    let stderr = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert_eq!(
        stderr,
        "error: there is no maintenance `x`\nhint: `uptime maintenance list` shows those that there are\n"
    );
}
