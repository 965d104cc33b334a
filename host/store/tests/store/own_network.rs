//! A host that is blind is said to be so once, and to see again once.

use crate::{event, store, watch};
use std::time::Duration;
use uptime_core::event::{Event, EventType};
use uptime_core::id::IncidentId;
use uptime_store::Store;
use uptime_store::own_network::Blind;

fn about(kind: EventType) -> Event {
    Event { incident: None, ..event(kind, IncidentId(0)) }
}

async fn blind(store: &Store, host: &str, asked_ago: Duration) -> Blind {
    store.enqueue_blind(host, asked_ago, |_| about(EventType::Blind)).await.expect("a query")
}

/// Whom it told, when it was news.
async fn seeing(store: &Store, host: &str) -> Option<Vec<String>> {
    let told = store.enqueue_seeing(host, |_| about(EventType::Seeing)).await.expect("a query");
    told.map(|(_, channels)| channels)
}

#[tokio::test]
async fn each_change_is_told_once_and_the_end_to_those_who_heard_the_beginning() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("UPDATE channels SET filter = '{\"events\": [\"down\", \"seeing\"]}' WHERE name = 'boss'");
    assert_eq!(seeing(&store, "h").await, None, "it was never blind");
    let asked_ago = Duration::from_secs(2);
    assert_eq!(blind(&store, "h", asked_ago).await, Blind::Told(vec!["ops".into()]));
    assert_eq!(blind(&store, "h", asked_ago).await, Blind::Known);
    assert_eq!(
        blind(&store, "other", asked_ago).await,
        Blind::Told(vec!["ops".into()]),
        "each host by itself"
    );
    assert!(store.blind_since("h").await.expect("a query").is_some());

    assert_eq!(seeing(&store, "h").await, Some(vec!["ops".into()]), "boss did not hear the beginning");
    assert_eq!(seeing(&store, "h").await, None);
    assert_eq!(store.blind_since("h").await.expect("a query"), None);
    // These witnesses were asked before another worker saw.
    assert_eq!(blind(&store, "h", asked_ago).await, Blind::Outdated);
    assert_eq!(store.blind_since("h").await.expect("a query"), None);
    assert_eq!(blind(&store, "h", Duration::ZERO).await, Blind::Told(vec!["ops".into()]));
    let told =
        "SELECT string_agg(n.event, ',' ORDER BY n.id) FROM notifications n JOIN jobs j ON j.subject = n.id
                WHERE j.order_key = 'network of h:' || n.channel_id";
    assert_eq!(database.value(told), "blind,seeing,blind", "in one order");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_that_see_it_at_once_one_tells() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    let told = |all: Vec<bool>| all.into_iter().filter(|told| *told).count();
    for kind in ["blind", "seeing"] {
        let telling: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    match kind {
                        "blind" => matches!(blind(&store, "h", Duration::ZERO).await, Blind::Told(_)),
                        _ => seeing(&store, "h").await.is_some(),
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for each in telling {
            all.push(each.await.expect("no panic"));
        }
        assert_eq!(told(all), 1, "{kind}");
    }
    assert_eq!(database.value("SELECT count(*) FROM notifications"), "4", "two channels were told of both");
}
