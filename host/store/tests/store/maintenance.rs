//! Maintenance windows and parents: what the file says is kept, and what a person said is left alone.

use crate::{file, monitor, store, watch};
use std::collections::BTreeMap;
use uptime_core::maintenance::{Maintenance, When};
use uptime_core::monitor::Monitor;
use uptime_store::Store;
use uptime_store::apply::{Applied, ChangeKind, DesiredState, Removal};
use uptime_store::maintenance::Said;

fn window(hours: &str) -> Maintenance {
    let when = When::Hours(hours.parse().expect("hours"));
    Maintenance { monitors: vec!["a".into()], groups: Vec::new(), tags: BTreeMap::new(), when }
}

async fn apply(
    store: &Store,
    monitors: &[Monitor],
    windows: &[(String, Maintenance)],
    removal: Removal,
) -> Applied {
    let wanted = DesiredState { maintenance: Some(windows), ..file(&[], monitors, removal) };
    store.apply(wanted, false).await.expect("it is applied")
}

fn said(applied: &Applied) -> Vec<String> {
    let sign = |kind| match kind {
        ChangeKind::Add => '+',
        ChangeKind::Alter => '~',
        ChangeKind::Remove => '-',
    };
    let changes = applied.changes.iter();
    changes.map(|change| format!("{} {} {}", sign(change.kind), change.table, change.name)).collect()
}

#[tokio::test]
async fn the_files_windows_are_the_files() {
    let (_database, store) = store().await;
    let by_operator = window("mon 01:00-02:00 UTC");
    assert_eq!(store.add_maintenance("by hand", &by_operator).await.expect("it is added"), Said::Done);
    assert_eq!(store.add_maintenance("by hand", &by_operator).await.expect("again"), Said::Replaced);
    let of_file = |hours: &str| vec![("of the file".to_owned(), window(hours))];
    let night = of_file("sun 02:00-04:00 Europe/Berlin");
    assert_eq!(said(&apply(&store, &[], &night, Removal::Keep).await), ["+ maintenance of the file"]);
    assert_eq!(apply(&store, &[], &night, Removal::Keep).await, Applied::default());
    let later = of_file("sun 03:00-05:00 Europe/Berlin");
    let changed = apply(&store, &[], &later, Removal::Keep).await;
    assert_eq!(
        (said(&changed), changed.changes[0].keys[0].key.as_str()),
        (vec!["~ maintenance of the file".into()], "hours")
    );
    let kept: Vec<_> = store.maintenance_windows().await.expect("they are read");
    let kept: Vec<_> =
        kept.iter().map(|row| (row.name.as_str(), row.source.as_str(), row.window.clone())).collect();
    assert_eq!(kept, [("by hand", "command-line", by_operator), ("of the file", "file", later[0].1.clone())]);

    assert_eq!(
        store.add_maintenance("of the file", &window("mon 01:00-02:00")).await.expect("asked"),
        Said::OfTheFile
    );
    assert_eq!(store.remove_maintenance("of the file").await.expect("asked"), Said::OfTheFile);
    assert_eq!(said(&apply(&store, &[], &[], Removal::Keep).await), ["- maintenance of the file"]);
    assert_eq!(store.remove_maintenance("by hand").await.expect("it goes"), Said::Done);
    assert_eq!(store.remove_maintenance("by hand").await.expect("asked"), Said::NotThere);
    assert_eq!(store.maintenance_windows().await.expect("they are read"), []);
}

#[tokio::test]
async fn a_window_that_cannot_be_read_holds_nobody_up() {
    let (database, store) = store().await;
    store.add_maintenance("good", &window("mon 01:00-02:00 UTC")).await.expect("it is added");
    database.query(
        "INSERT INTO maintenance_windows (name, spec, source) VALUES ('bad', '{\"when\": {\"hours\": \"01:00-02:00 Mars/Olympus\"}}', 'file')",
    );
    let windows = store.maintenance_windows().await.expect("the rest is read");
    assert_eq!(windows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn a_parent_is_found_by_its_name_whatever_comes_first() {
    let (database, store) = store().await;
    watch(&store, &["aside"]).await;
    let monitor =
        |name: &str, parent: Option<&str>| Monitor { parent: parent.map(str::to_owned), ..monitor(name) };
    let of = "SELECT string_agg(m.name || ':' || coalesce(p.name, '-'), ' ' ORDER BY m.name)
              FROM monitors m LEFT JOIN monitors p ON p.id = m.parent_id WHERE m.name <> 'aside'";
    let first = [monitor("child", Some("router")), monitor("router", None)];
    apply(&store, &first, &[], Removal::Keep).await;
    assert_eq!(database.value(of), "child:router router:-");
    assert_eq!(said(&apply(&store, &first, &[], Removal::Keep).await), Vec::<String>::new());
    let turned = [monitor("child", None), monitor("router", Some("child"))];
    let changed = apply(&store, &turned, &[], Removal::Keep).await;
    assert_eq!(said(&changed), ["~ monitor child", "~ monitor router"]);
    assert_eq!(changed.changes[0].keys[0].key, "parent");
    assert_eq!(database.value(of), "child:- router:child");
}
