//! Who may depend on whom. A forbidden edge is found here, not in a review.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// For each package: the packages of this workspace that it may use, and the crates that it must not.
const RULES: &[(&str, &[&str], &[&str])] = &[
    ("uptime-core", &[], &["tokio", "sqlx", "reqwest", "hyper", "wasmtime", "clap", "rand", "tracing"]),
    ("uptime-postgres", &[], &["sqlx", "clap", "wasmtime"]),
    ("uptime-store", &["uptime-core"], &["clap", "wasmtime", "reqwest", "hyper"]),
    ("uptime-notifier", &["uptime-core"], &["clap", "sqlx"]),
    ("uptime-check", &["uptime-core"], &["clap", "sqlx", "wasmtime", "toml"]),
    (
        "uptime-engine",
        &["uptime-core", "uptime-check", "uptime-store", "uptime-notifier"],
        &["clap", "sqlx", "wasmtime", "toml", "indicatif"],
    ),
    (
        "uptime",
        &[
            "uptime-core",
            "uptime-check",
            "uptime-store",
            "uptime-notifier",
            "uptime-engine",
            "uptime-postgres",
        ],
        &["sqlx", "wasmtime", "reqwest"],
    ),
    ("uptime-plugin-sdk", &[], &["tokio", "sqlx", "wasmtime", "clap"]),
    ("uptime-plugin-discord", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-plugin-matrix", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-plugin-ntfy", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-plugin-pagerduty", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-plugin-slack", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-plugin-telegram", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-plugin-webhook", &["uptime-plugin-sdk"], &["tokio"]),
    ("uptime-tests", &["uptime-core", "uptime-postgres"], &["sqlx", "wasmtime"]),
];

/// The packages of this workspace, as cargo describes them.
pub(crate) fn packages() -> Vec<Value> {
    let metadata = Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--format-version=1"]).output();
    let metadata: Value = serde_json::from_slice(&metadata.expect("cargo runs").stdout).expect("it is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn no_package_depends_on_one_that_it_must_not() {
    let packages = packages();
    let name = |of: &Value| of["name"].as_str().expect("a name").to_owned();
    let names: BTreeSet<String> = packages.iter().map(name).collect();
    let ruled: BTreeSet<String> = RULES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(names, ruled, "each package has a rule");
    for (package, may, must_not) in RULES {
        let it = packages.iter().find(|it| name(it) == *package).expect("it is there");
        let dependencies = it["dependencies"].as_array().expect("dependencies");
        // Those for tests and build scripts have a kind.
        for used in dependencies.iter().filter(|it| it["kind"].is_null()).map(name) {
            assert!(!must_not.contains(&used.as_str()), "`{package}` must not use `{used}`");
            assert!(
                !names.contains(&used) || may.contains(&used.as_str()),
                "`{package}` must not use `{used}`"
            );
        }
    }
}
