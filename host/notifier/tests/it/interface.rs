//! What is released stays: the folders of the interface as they were, and a plugin that was built for each of them.
//!
//! A version's first release puts its lines into `wit/notifier/SHA256SUMS` and a built plugin into `tests/fixtures/`.
//! After that neither is touched: a change of the interface makes a new folder, and a new plugin beside the old ones.

use crate::support::{Sink, delivery, event, host, settings, text};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use uptime_core::event::EventType;
use uptime_notifier::{Limits, sha256};

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// What lies in a folder, by name, but for its list of checksums.
fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text"));
    names.filter(|name| name != "SHA256SUMS").collect()
}

/// Each file that the folder's list names, proved to be what it was.
fn proved(folder: &Path) -> BTreeSet<String> {
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("the list");
    let lines = sums.lines().map(|line| line.split_once("  ").expect("a checksum and a name"));
    let names = lines.map(|(sum, name)| {
        let content = fs::read(folder.join(name)).expect(name);
        assert_eq!(
            sha256(&content),
            sum,
            "{name} was released and has been changed: make a new version's folder"
        );
        name.to_owned()
    });
    names.collect()
}

#[test]
fn a_versions_folder_is_frozen() {
    let wit = folder("../../wit/notifier");
    let versions = entries(&wit);
    assert!(!versions.is_empty());
    let there: BTreeSet<String> = versions
        .iter()
        .flat_map(|version| {
            entries(&wit.join(version)).into_iter().map(move |file| format!("{version}/{file}"))
        })
        .collect();
    assert_eq!(proved(&wit), there);
}

#[tokio::test]
async fn a_plugin_of_each_version_works_for_ever() {
    let fixtures = folder("tests/fixtures");
    let expected: BTreeSet<String> = entries(&folder("../../wit/notifier"))
        .into_iter()
        .map(|version| format!("interface-{version}.wasm"))
        .collect();
    assert_eq!(proved(&fixtures), expected);
    for file in expected {
        let component = fs::read(fixtures.join(&file)).expect("a component");
        let host = host(Limits::default(), [("old".to_owned(), component)]);
        let found = host.inspect("old").await.expect("it says what it is");
        assert_eq!(format!("interface-{}.wasm", found.interface), file);
        let sink = Sink::start([]).await;
        let to = settings([("url", text(sink.url("/")))]);
        for kind in EventType::ALL {
            let announced = event(*kind);
            host.notify(delivery("old", &to, &sink.grant(), &announced)).await.expect("delivered");
            let arrived = sink.arrived().pop().expect("a request").json();
            assert_eq!(arrived["type"], kind.as_str(), "{file}");
            assert_eq!(arrived["monitor"]["name"], announced.monitor.name.as_str(), "{file}");
        }
    }
}
