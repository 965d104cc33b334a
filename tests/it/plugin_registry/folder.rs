//! What lies in the data directory: who may write there, what a damaged file does, and two operators at once.

use super::{add, changed, component, installed, known, place};
use crate::installation::{Installation, wait_for_all};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

#[test]
fn nothing_is_trusted_where_others_can_write() {
    let installation = Installation::new();
    add(&installation);
    let folder = place(&installation, "data").join("plugins/installed");
    assert_eq!(fs::metadata(&folder).expect("a folder").permissions().mode() & 0o777, 0o700);
    set_mode(&folder, 0o777);
    let hello = known(&installation, "hello");
    assert_eq!(hello["state"], "broken", "{hello}");
    assert!(hello["reason"].as_str().is_some_and(|why| why.contains("can be written by others")), "{hello}");
    assert_eq!(known(&installation, "webhook")["state"], "ok");
    installation.says(78, "plugin add hello.wasm --name other", &["`chmod go-w "]);
    set_mode(&folder, 0o700);
    assert_eq!(known(&installation, "hello")["state"], "ok");
}

#[test]
fn what_lies_in_the_cache_is_no_code_unless_it_was_compiled_here() {
    let installation = Installation::new();
    add(&installation);
    let cache = place(&installation, "data").join("plugins");
    let sha256 = known(&installation, "hello")["sha256"].as_str().expect("a SHA-256").to_owned();
    let compiled = fs::read_dir(&cache)
        .expect("the cache")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains(&sha256))
        .expect("it was compiled when it was added");
    let whole = fs::read(&compiled).expect("code");
    for forged in [b"\x7fELF, or not".as_slice(), &whole[..whole.len() / 2], b""] {
        fs::remove_file(&compiled).expect("it is there");
        fs::write(&compiled, forged).expect("a forged file");
        assert_eq!(known(&installation, "hello")["state"], "ok");
        assert_eq!(fs::read(&compiled).expect("code"), whole, "it was compiled anew");
    }
    // In a folder of everybody's, a file that is whole may still be anybody's.
    set_mode(&cache, 0o777);
    fs::write(&compiled, b"").expect("a forged file");
    installation.says(0, "plugin inspect hello", &["others can write to it"]);
    assert_eq!(fs::read(&compiled).expect("a file"), b"", "nothing is read or written there");
}

#[test]
fn a_grant_that_can_not_be_read_breaks_its_plugin_alone() {
    let installation = Installation::new();
    add(&installation);
    let grant = installed(&installation, "hello").with_file_name("grant.toml");
    for damaged in ["sha256 = ", "sha256 = \"x\"\nevil = 1\n", ""] {
        fs::write(&grant, damaged).expect("a damaged grant");
        let hello = known(&installation, "hello");
        let hint = hello["hint"].as_str().unwrap_or_default();
        assert!(hello["state"] == "broken" && hint.contains("`uptime plugin trust hello`"), "{hello}");
        assert_eq!(known(&installation, "slack")["state"], "ok");
    }
    fs::remove_file(&grant).expect("it is there");
    assert_eq!(known(&installation, "hello")["state"], "broken");
    installation.run(0, "plugin trust hello --yes");
    assert_eq!(known(&installation, "hello")["state"], "ok");
    fs::remove_file(installed(&installation, "hello")).expect("it is there");
    assert_eq!(known(&installation, "hello")["state"], "broken");
    installation.run(0, "plugin remove hello --yes");
}

#[test]
fn of_two_operators_at_once_each_brings_in_a_whole_plugin() {
    let installation = Installation::new();
    for (name, content) in [("a.wasm", changed(b'a')), ("b.wasm", changed(b'b')), ("hello.wasm", component())]
    {
        fs::write(place(&installation, name), content).expect("a component");
    }
    let operators: Vec<_> = ["a.wasm", "b.wasm", "hello.wasm", "a.wasm", "b.wasm"]
        .iter()
        .enumerate()
        .map(|(nth, file)| {
            let args = ["plugin", "add", file, "--name", "hello", "--yes"];
            installation.start_as(&format!("operator-{nth}"), &args, &[])
        })
        .collect();
    wait_for_all(operators);
    assert_eq!(known(&installation, "hello")["state"], "ok");
    let folder = place(&installation, "data").join("plugins/installed");
    let mut left: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, [".lock", "hello"]);
}
