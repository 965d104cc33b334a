//! Who may depend on whom. A forbidden edge is found here, not in a review.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::BTreeSet;

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

#[test]
fn no_package_depends_on_one_that_it_must_not() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let packages: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let ruled: BTreeSet<&str> = RULES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(packages, ruled, "each package has a rule");
    for (name, may, must_not) in RULES {
        let package =
            metadata.packages.iter().find(|package| package.name.as_str() == *name).expect("it is there");
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal)
        {
            let used = dependency.name.as_str();
            assert!(!must_not.contains(&used), "`{name}` must not use `{used}`");
            assert!(!packages.contains(used) || may.contains(&used), "`{name}` must not use `{used}`");
        }
    }
}
