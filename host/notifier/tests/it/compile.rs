//! Compiling in a child: plugins that are none of the program's are compiled there, and those that are made to be expensive
//! end in a refusal within their budget, which is remembered.

use crate::support::tight;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;
use uptime_core::ErrorClass;
use uptime_notifier::{Compiler, HostOptions, NotifierError, NotifierHost, compile_as_child};

const NAME: &str = "stranger";

/// No test: what the child does that compiles for the tests below.
#[test]
#[ignore = "run by the other tests, as the compiler's child"]
#[expect(clippy::exit, reason = "its status is what the parent looks at")]
fn as_child() {
    std::process::exit(compile_as_child().into());
}

fn child() -> Compiler {
    Compiler::same_program(["--exact", "compile::as_child", "--ignored"])
}

/// One that can't be started: whoever needs it fails.
fn no_child() -> Compiler {
    Compiler::Child { program: "/nowhere/uptime".into(), arguments: Vec::new() }
}

fn host(compiler: Compiler, cache: Option<&Path>, bytes: &[u8]) -> NotifierHost {
    let options = HostOptions { cache_dir: cache.map(Into::into), limits: tight(), compiler };
    NotifierHost::with_plugins(options, [(NAME.to_owned(), bytes.to_vec())]).expect("a host")
}

fn webhook() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/built/webhook.wasm");
    std::fs::read(path).expect("a built plugin")
}

#[tokio::test]
async fn a_strangers_plugin_is_compiled_by_a_child_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("plugins");
    for cache in [None, Some(cache.as_path())] {
        let host = host(child(), cache, &webhook());
        assert_eq!(host.describe(NAME).await.expect("compiled").name, NAME);
    }
    let kept: Vec<_> = std::fs::read_dir(&cache).expect("the cache").collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let again = host(no_child(), Some(&cache), &webhook());
    assert_eq!(again.describe(NAME).await.expect("kept").name, NAME);
}

/// What is part of the program needs no child, and a child that can't be had is no fault of the plugin.
#[tokio::test]
async fn without_a_child_nothing_of_a_strangers_is_compiled() {
    let folder = tempfile::tempdir().expect("a folder");
    // Another component than the program's own: that one is kept.
    let strange = [webhook(), vec![0, 2, 1, b'a']].concat();
    let closed = host(no_child(), Some(folder.path()), &strange);
    assert_eq!(closed.describe("webhook").await.expect("ours").name, "webhook");
    let error = closed.describe(NAME).await.expect_err("no child");
    assert!(matches!(error, NotifierError::Host(_)), "{error}");
    assert_eq!(error.class(), ErrorClass::Transient);
    host(child(), Some(folder.path()), &strange).describe(NAME).await.expect("it is not held against it");
}

fn component(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))")).expect("a component")
}

/// One function that sets one of many locals in each of many loops within each other.
fn loops(count: usize) -> Vec<u8> {
    let locals = "i64 ".repeat(1_000);
    let sets = (0..1_000).fold(String::new(), |mut sets, n| {
        let _ =
            write!(sets, "(local.set {} (i64.add (local.get {}) (i64.const {n})))", 1 + n, 1 + n * 7 % 1_000);
        sets
    });
    let (begin, end) = ("loop (br_if 0 (local.get 0)) ".repeat(count), "end ".repeat(count));
    component(&format!("(func (param i32) (local {locals}) {begin} {sets} {end})"))
}

/// One function with as many locals as there may be, and many branches that each set one.
fn locals(branches: usize) -> Vec<u8> {
    let locals = "i64 ".repeat(49_000);
    let sets = (0..branches).fold(String::new(), |mut sets, n| {
        let _ = write!(sets, "(if (local.get 0) (then (local.set {} (i64.const {n}))))", 1 + n % 49_000);
        sets
    });
    component(&format!("(func (param i32) (local {locals}) {sets})"))
}

fn nesting(depth: usize) -> Vec<u8> {
    let (begin, end) = ("block (br_if 0 (local.get 0)) ".repeat(depth), "end ".repeat(depth));
    component(&format!("(func (param i32) {begin} {end})"))
}

/// Jump tables as long as they may be.
fn tables(count: usize) -> Vec<u8> {
    let table = format!("(block (br_table {} (local.get 0)))", "0 ".repeat(65_000));
    component(&format!("(func (param i32) {})", table.repeat(count)))
}

fn functions(count: usize) -> Vec<u8> {
    component(&"(func)".repeat(count))
}

/// One module, and many instances of it.
fn instances(count: usize) -> Vec<u8> {
    let instances = "(core instance (instantiate $m))".repeat(count);
    wat::parse_str(format!("(component (core module $m (func (export \"f\"))) {instances})"))
        .expect("a component")
}

/// Each is compiled within its budget, in which case it is found to be no plugin, or refused, and then at once.
#[tokio::test]
async fn what_is_made_to_be_expensive_is_compiled_within_its_budget_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut refused = 0;
    for (name, bytes) in [
        ("loops", loops(3_000)),
        ("locals", locals(2_000)),
        ("nesting", nesting(20_000)),
        ("tables", tables(20)),
        ("functions", functions(400_000)),
        ("instances", instances(900)),
    ] {
        let began = Instant::now();
        let error = host(child(), Some(folder.path()), &bytes).describe(NAME).await.expect_err("no plugin");
        let _ = writeln!(std::io::stderr(), "{name}: {} bytes, {:?}: {error}", bytes.len(), began.elapsed());
        assert!(matches!(error, NotifierError::BadComponent { .. }), "{name}: {error}");
        // No child is needed for the second time: it was compiled, or is known to have been refused.
        let again =
            host(no_child(), Some(folder.path()), &bytes).describe(NAME).await.expect_err("no plugin");
        assert_eq!(again.to_string(), error.to_string(), "{name}");
        refused += usize::from(error.to_string().contains("compiling it takes more than the "));
    }
    assert!(refused >= 2, "{refused} were too expensive: the inputs have to be larger");
}

/// `MEASURE="FILE …"`: what real plugins need of their budgets.
#[tokio::test]
#[ignore = "measures files that are named"]
async fn measure() {
    for file in std::env::var("MEASURE").unwrap_or_default().split_whitespace() {
        let bytes = std::fs::read(file).expect("a file");
        let began = Instant::now();
        let outcome = host(child(), None, &bytes).describe(NAME).await;
        let outcome = outcome.map(|description| description.name).map_err(|error| error.to_string());
        let _ =
            writeln!(std::io::stderr(), "{file}: {} bytes, {:?}: {outcome:?}", bytes.len(), began.elapsed());
    }
}
