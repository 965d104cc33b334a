//! Who hears of what, where something is odd: a filter that nobody can read, hours that change, a reminder that was the first word.

use crate::{
    channel, enqueue, event, file, finished_checks, monitor, open_incidents, store, stored_channel, watch,
};
use uptime_core::channel::ChannelFilter;
use uptime_core::decision::{Needs, Surroundings};
use uptime_core::event::EventType;
use uptime_core::id::{IncidentId, MonitorId};
use uptime_store::Store;
use uptime_store::apply::Removal;
use uptime_store::notifications::Notice;
use uptime_tests::TestDatabase;

/// An incident of `a`, and a notice of this kind for `ops`.
async fn notified(kind: EventType) -> (TestDatabase, Store) {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    open_incidents(&database);
    let ops = stored_channel(&store, "ops").await;
    enqueue(&store, [Notice { channel: ops.id, event: event(kind, IncidentId(1)), sequence: 1 }]).await;
    (database, store)
}

async fn surroundings(store: &Store, needs: Needs) -> Surroundings {
    let (mut transaction, _) = store.begin_results(&[], &[]).await.expect("a transaction");
    transaction.surroundings(needs).await.expect("what is asked for")
}

#[tokio::test]
async fn a_channel_whose_filter_cannot_be_read_hears_all_and_holds_up_nobody() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    database.query("UPDATE channels SET filter = '{\"events\": 7}' WHERE name = 'ops'");
    let id = MonitorId(database.value("SELECT id FROM monitors").parse().expect("an id"));
    let mut around = surroundings(&store, Needs { channels_of: [id].into(), ..Needs::default() }).await;
    let channels = around.channels_of.remove(&id).expect("channels");
    assert_eq!(channels.len(), 2);
    for channel in channels {
        assert!(channel.filter.wants(&event(EventType::Down, IncidentId(1))), "{channel:?}");
    }
}

#[tokio::test]
async fn who_heard_nothing_but_a_reminder_hears_the_end() {
    for (kind, hears) in
        [(EventType::Reminder, true), (EventType::FlappingEnd, true), (EventType::FlappingStart, false)]
    {
        let (_database, store) = notified(kind).await;
        let needs = Needs { heard_of: [IncidentId(1)].into(), ..Needs::default() };
        let told = surroundings(&store, needs).await.heard_of;
        assert_eq!(told.get(&IncidentId(1)).map_or(0, Vec::len), usize::from(hears), "{kind}");
    }
}

#[tokio::test]
async fn changed_hours_reach_what_waits_for_the_old_ones() {
    let (database, store) = notified(EventType::Down).await;
    database.query("UPDATE jobs SET available_at = now() + interval '8 hours' WHERE queue = 'notifications'");
    let waits = "SELECT count(*) FROM jobs WHERE queue = 'notifications' AND available_at > now()";
    watch(&store, &["a"]).await;
    assert_eq!(database.value(waits), "1", "nothing has changed");
    let mut ops = channel("ops");
    ops.filter =
        ChannelFilter { hours: Some("mon-sun 00:00-24:00 UTC".parse().expect("hours")), ..ops.filter };
    let (channels, monitors) = ([ops, channel("boss")], [monitor("a")]);
    store.apply(file(&channels, &monitors, Removal::Keep), false).await.expect("applied");
    assert_eq!(database.value(waits), "0");
}

#[tokio::test]
async fn who_wakes_monitors_waits_for_nobody() {
    let (database, store) = store().await;
    watch(&store, &["a", "b"]).await;
    let checks = finished_checks(&store, &database).await;
    let ids: Vec<MonitorId> = checks.iter().map(|check| check.monitor.id).collect();
    database.query("DELETE FROM jobs");
    let mut session = database.session();
    session
        .query(&format!("BEGIN; SELECT FROM monitor_states WHERE monitor_id = {} FOR UPDATE", ids[0]))
        .expect("locked");
    store.check_now(&ids).await.expect("woken");
    let woken = database.value("SELECT string_agg(subject::text, ' ') FROM jobs");
    assert_eq!(woken, ids[1].to_string(), "the other one is being looked at");
    session.query("COMMIT").expect("let go");
}
