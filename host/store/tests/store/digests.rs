//! Digests under crashes: whatever is enqueued goes out, in its incident's order, by itself or in one digest, however often
//! a worker dies between sending and recording.

use crate::deliveries::{claim_in_order, delivered, tried};
use crate::{PAUSES, enqueue, event, store, watch};
use std::collections::HashMap;
use std::time::Duration;
use uptime_core::event::EventType;
use uptime_core::id::{ChannelId, IncidentId, NotificationId};
use uptime_core::route::DigestPolicy;
use uptime_store::Store;
use uptime_store::failed::Selection;
use uptime_store::notifications::{DeliveryEnd, DueDelivery, Notice};
use uptime_tests::{Seed, TestDatabase};

const INCIDENTS: i64 = 8;

/// Incidents 1 to [`INCIDENTS`], and a channel that gets `singles` messages one by one and then hardly any.
async fn installation(singles: u32) -> (TestDatabase, Store) {
    let (database, store) = store().await;
    let names: Vec<String> = (0..INCIDENTS).map(|n| format!("m{n}")).collect();
    watch(&store, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let digest_policy = DigestPolicy { digest_after: singles, digest_within: Duration::from_hours(24) };
    let digest_policy = serde_json::to_string(&digest_policy).expect("a policy serializes");
    database.query(&format!(
        "INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
         SELECT id, 'down', 'status', '503', now(), 1 FROM monitors ORDER BY id;
         UPDATE channels SET digest_policy = '{digest_policy}'"
    ));
    (database, store)
}

/// Commits notices as a batch of checks does.
async fn enqueue_notices(store: &Store, notices: Vec<(i64, EventType, i64)>) {
    let notice = |(incident, kind, sequence)| {
        let event = event(kind, IncidentId(incident));
        Notice { channel: ChannelId(1), event, sequence }
    };
    enqueue(store, notices.into_iter().map(notice)).await;
}

/// What is waited for is due now.
fn let_go(database: &TestDatabase) {
    database
        .query("UPDATE jobs SET available_at = now() WHERE reserved_until IS NULL AND available_at > now()");
}

#[tokio::test]
async fn what_comes_while_a_digest_is_sent_goes_into_the_next_one() {
    let (database, store) = installation(1).await;
    enqueue_notices(&store, vec![(1, EventType::Down, 0), (2, EventType::Down, 0), (3, EventType::Down, 0)])
        .await;
    assert_eq!(database.value("SELECT count(*) FROM jobs WHERE available_at <= now()"), "1");
    assert_eq!(
        database.value("SELECT count(*) FROM jobs WHERE available_at BETWEEN now() + interval '8 s' AND now() + interval '10 s'"),
        "1"
    );
    // The recovery of one that waits in it goes along.
    enqueue_notices(&store, vec![(2, EventType::Up, 0)]).await;
    let_go(&database);
    let claimed = claim_in_order(&store).await;
    let members = |due: &DueDelivery| due.members.as_ref().map(Vec::len);
    assert_eq!(claimed.iter().map(|(_, due)| members(due)).collect::<Vec<_>>(), [None, Some(3)]);
    let (job, digest) = &claimed[1];

    // It is being sent: what follows one of its members follows it.
    enqueue_notices(&store, vec![(3, EventType::Up, 0)]).await;
    assert_eq!(
        database.value("SELECT count(*) FROM jobs WHERE available_at > now() + interval '23 h'"),
        "1",
        "the distance"
    );
    let_go(&database);
    assert!(claim_in_order(&store).await.is_empty(), "nothing overtakes it");
    store.record_deliveries(&[&tried(job, digest, delivered())], &PAUSES).await.expect("recorded");
    assert_eq!(
        database.value("SELECT count(*) FROM notifications WHERE digest_id = (SELECT min(digest_id) FROM notifications) AND state = 'delivered' AND remote_id = 'm-1'"),
        "3"
    );
    let next = claim_in_order(&store).await;
    assert_eq!(next.iter().map(|(_, due)| members(due)).collect::<Vec<_>>(), [Some(1)]);
}

#[tokio::test]
async fn a_digest_that_is_discarded_takes_no_more_members() {
    let (database, store) = installation(1).await;
    enqueue_notices(&store, vec![(1, EventType::Down, 0), (2, EventType::Down, 0)]).await;
    database.query(
        "UPDATE notifications SET state = 'discarded' WHERE is_digest;
         DELETE FROM jobs WHERE order_key LIKE 'digest:%'",
    );
    assert_eq!(database.value("SELECT count(*) FROM notifications WHERE state = 'discarded'"), "2");
    enqueue_notices(&store, vec![(3, EventType::Down, 0)]).await;
    assert_eq!(database.value("SELECT count(*) FROM jobs WHERE order_key LIKE 'digest:%'"), "1");
    assert_eq!(
        database.value("SELECT count(*) FROM notifications m JOIN notifications d ON d.id = m.digest_id WHERE d.state = 'queued'"),
        "1"
    );
}

/// The next thing that there is to tell of an incident.
fn next_of(told: i64) -> (EventType, i64) {
    match told {
        0 => (EventType::Down, 0),
        1 => (EventType::Critical, 0),
        n if n < 4 => (EventType::Reminder, n),
        _ => (EventType::Up, 0),
    }
}

#[tokio::test]
async fn nothing_is_lost_or_out_of_order_whatever_dies_where() {
    let seed = Seed::of("digests", "UPTIME_TORTURE_SEED");
    let mut rng = seed.rng();
    for _ in 0..6 {
        let (database, store) = installation(rng.u32(1..4)).await;
        let mut told: HashMap<i64, i64> = HashMap::new();
        // What arrived, in order: notifications that are no digests.
        let mut arrived: Vec<NotificationId> = Vec::new();
        for step in 0.. {
            if step < 60 && rng.u8(..3) == 0 {
                let batch = (0..rng.usize(1..6))
                    .filter_map(|_| {
                        let incident = rng.i64(1..=INCIDENTS);
                        let told = told.entry(incident).or_default();
                        *told += 1;
                        (*told <= 5).then(|| {
                            let (kind, sequence) = next_of(*told - 1);
                            (incident, kind, sequence)
                        })
                    })
                    .collect();
                enqueue_notices(&store, batch).await;
            }
            if rng.bool() {
                let_go(&database);
            }
            let claimed = claim_in_order(&store).await;
            for (job, due) in &claimed {
                // Died before it sent, sent and died, or recorded: and that with each end.
                let dice = rng.u8(..10);
                if dice == 0 {
                    continue;
                }
                match &due.members {
                    Some(members) => arrived.extend(members.iter().map(|member| member.notification)),
                    None => arrived.push(due.notification),
                }
                let end = match dice {
                    1 | 2 => continue,
                    3 => DeliveryEnd::Retry {
                        after: Duration::ZERO,
                        error: "503".into(),
                        counts: true,
                        pause: None,
                        channel_broken: false,
                    },
                    4 => DeliveryEnd::Failed { error: "400".into(), channel_broken: false },
                    _ => delivered(),
                };
                store.record_deliveries(&[&tried(job, due, end)], &PAUSES).await.expect("recorded");
            }
            // The leases of the dead run out.
            database.query(
                "UPDATE jobs SET reserved_until = now() - interval '1 s' WHERE reserved_until IS NOT NULL",
            );
            if step >= 60 {
                store.retry_failed(&Selection::default(), None).await.expect("a retry");
                let_go(&database);
                if database.value("SELECT count(*) FROM jobs") == "0" {
                    break;
                }
                assert!(step < 1_000, "it does not end");
            }
        }
        let left = database.query(
            "SELECT id::text || ' ' || event || ' ' || state FROM notifications
             WHERE state NOT IN ('delivered', 'discarded') ORDER BY id",
        );
        assert!(left.is_empty(), "{left:?}");
        let rows = database.query(
            "SELECT n.id::text, incident_id::text, state FROM notifications n WHERE NOT is_digest ORDER BY n.id",
        );
        let mut last_of: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let [Some(id), Some(incident), Some(state)] = row.as_slice() else { panic!("{row:?}") };
            let id = NotificationId(id.parse().expect("a number"));
            let first = arrived.iter().position(|arrived| *arrived == id);
            // Superseded by hand's retry: it had arrived and failed.
            let Some(first) = first else { panic!("{id} ({state}) never left") };
            let before = last_of.entry(incident.clone()).or_default();
            assert!(first >= *before, "{id} of incident {incident} overtook what it follows");
            *before = first;
        }
    }
    seed.say("6 histories of digests");
}
