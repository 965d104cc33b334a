//! A delivery's tries, recorded with what follows.

use crate::{PAUSES, enqueue, event, open_incidents, request, store, stored_channel, watch};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use uptime_core::channel::Setting;
use uptime_core::event::{EventType, Severity};
use uptime_core::id::{IncidentId, NotificationId};
use uptime_core::secret::SecretRef;
use uptime_store::failed::{Retried, Selection};
use uptime_store::notifications::{DeliveryEnd, DeliveryTry, DueDelivery, Notice, Untried};
use uptime_store::queue::{ClaimRequest, Job, JobFailure};
use uptime_store::{NOTIFICATIONS, Store};
use uptime_tests::TestDatabase;

/// One incident of `a`, whose opening waits for `ops` and `boss`.
async fn opening() -> (TestDatabase, Store) {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    open_incidents(&database);
    for channel in store.channels().await.expect("channels") {
        let notice = |kind| Notice { channel: channel.id, event: event(kind, IncidentId(1)), sequence: 0 };
        // The same again is not made.
        enqueue(&store, [EventType::Down, EventType::Down, EventType::Up].map(notice)).await;
    }
    assert_eq!(database.value("SELECT count(*) FROM notifications"), "4");
    (database, store)
}

pub(crate) async fn claim_in_order(store: &Store) -> Vec<(Job, DueDelivery)> {
    let request = ClaimRequest { keys: Some((4, &[])), ..request(NOTIFICATIONS, 10) };
    let jobs = store.claim(&request).await.expect("a claim");
    let ids: Vec<_> = jobs.iter().filter_map(|job| job.subject).map(NotificationId).collect();
    let mut due = store.due_deliveries(&ids).await.expect("a query");
    jobs.into_iter()
        .map(|job| {
            let id = NotificationId(job.subject.expect("a notification"));
            let due = due.remove(&id).expect("it is there").expect("it can be read");
            (job, due)
        })
        .collect()
}

pub(crate) fn tried(job: &Job, due: &DueDelivery, end: DeliveryEnd) -> DeliveryTry {
    DeliveryTry {
        claim: job.claim,
        is_probe: job.is_probe(),
        notification: due.notification,
        channel: due.channel.id,
        started_at: Timestamp::now(),
        took: Duration::from_millis(12),
        status: Some(200),
        message: None,
        outcome: "delivered",
        end,
        progress: None,
        sent_event: None,
        muted: Vec::new(),
    }
}

/// Records one try; whether the job was still ours.
pub(crate) async fn record(store: &Store, tried: &DeliveryTry) -> bool {
    let ours = store.record_deliveries(&[tried], &PAUSES).await.expect("recorded");
    ours.contains(&tried.claim)
}

pub(crate) fn delivered() -> DeliveryEnd {
    DeliveryEnd::Delivered { remote_id: Some("m-1".into()), learned: BTreeMap::new(), pause: None }
}

#[tokio::test]
async fn the_opening_goes_first_and_the_recovery_can_answer_it() {
    let (database, store) = opening().await;
    let first = claim_in_order(&store).await;
    assert_eq!(
        first.iter().map(|(_, due)| due.event.kind).collect::<Vec<_>>(),
        [EventType::Down, EventType::Down]
    );
    let (job, due) = &first[0];
    assert!(record(&store, &tried(job, due, delivered())).await);
    assert!(!record(&store, &tried(job, due, delivered())).await, "the claim is used up");
    let next = claim_in_order(&store).await;
    assert_eq!(next.len(), 1, "only of the channel that has its opening");
    assert_eq!(next[0].1.event.kind, EventType::Up);
    assert_eq!(next[0].1.first_remote_id.as_deref(), Some("m-1"));
    assert_eq!(
        database.value(
            "SELECT concat_ws(' ', attempt, duration_ms, status_code, outcome) FROM delivery_attempts"
        ),
        "1 12 200 delivered"
    );
}

#[tokio::test]
async fn what_a_try_left_is_there_at_the_next_until_it_is_delivered() {
    let (database, store) = opening().await;
    let again = |error: &str| DeliveryEnd::Retry {
        after: Duration::ZERO,
        error: error.into(),
        counts: false,
        pause: None,
        channel_broken: false,
    };
    let (mut job, mut due) = claim_in_order(&store).await.remove(0);
    assert_eq!(due.progress, None);
    // A try that leaves nothing (no answer came) keeps what was known.
    for (left, known) in
        [(Some(vec![0, 255, 7]), vec![0, 255, 7]), (None, vec![0, 255, 7]), (Some(vec![8]), vec![8])]
    {
        assert!(
            record(&store, &DeliveryTry { progress: left, ..tried(&job, &due, again("more to do")) }).await
        );
        (job, due) = claim_in_order(&store).await.remove(0);
        assert_eq!(due.progress, Some(known));
    }
    assert!(record(&store, &tried(&job, &due, delivered())).await);
    assert_eq!(database.value("SELECT count(*) FROM notifications WHERE progress IS NOT NULL"), "0");
}

/// An acknowledged incident's channel may hear of it by a reminder alone: its later messages answer that one.
#[tokio::test]
async fn an_incident_that_was_first_heard_of_as_a_reminder_has_a_first_message() {
    let (database, store) = store().await;
    watch(&store, &["a"]).await;
    open_incidents(&database);
    let channel = store.channels().await.expect("channels").remove(0).id;
    let notices = [(1, EventType::Reminder), (2, EventType::Reminder), (0, EventType::Up)];
    let notice = |(sequence, kind)| Notice { channel, event: event(kind, IncidentId(1)), sequence };
    enqueue(&store, notices.map(notice)).await;
    let named = |name: &str| DeliveryEnd::Delivered {
        remote_id: Some(name.into()),
        learned: BTreeMap::new(),
        pause: None,
    };
    let mut before = Vec::new();
    for name in ["m-1", "m-2", "m-3"] {
        let (job, due) = claim_in_order(&store).await.remove(0);
        assert!(record(&store, &tried(&job, &due, named(name))).await);
        before.push((due.first_remote_id, due.last_remote_id, due.circumstances.worst_told));
    }
    let name = |name: &str| Some(name.to_owned());
    let red = Some(Severity::Down);
    assert_eq!(
        before,
        [(None, None, None), (name("m-1"), name("m-1"), red), (name("m-1"), name("m-2"), red)]
    );
}

#[tokio::test]
async fn an_installation_has_one_name_for_ever() {
    let (database, store) = store().await;
    let first = store.installation().await.expect("a name");
    assert!(database.try_query("INSERT INTO installation DEFAULT VALUES").is_err());
    assert_eq!(store.installation().await.expect("the same"), first);
}

#[tokio::test]
async fn a_provider_that_asks_for_patience_pauses_its_channel_alone() {
    let (database, store) = opening().await;
    let (job, due) = claim_in_order(&store).await.remove(0);
    let after = Duration::from_mins(1);
    let end = DeliveryEnd::Retry {
        after,
        error: "slow down".into(),
        counts: false,
        pause: Some(after),
        channel_broken: false,
    };
    assert!(record(&store, &tried(&job, &due, end)).await);
    let paused = |comparison: &str| {
        database.value(&format!(
            "SELECT count(*) FROM jobs WHERE queue = 'notifications' AND available_at > now() + interval '50 s'
             AND concurrency_key {comparison} {}",
            due.channel.id
        ))
    };
    assert_eq!(paused("="), "2", "the one that was told so, and the one behind it");
    assert_eq!(paused("<>"), "0");
    assert_eq!(database.value("SELECT count(*) FROM channels WHERE paused_until > now()"), "1");
    assert_eq!(
        database.value(&format!("SELECT attempts FROM jobs WHERE id = {}", job.claim.id)),
        "0",
        "no try is used up"
    );
}

#[tokio::test]
async fn a_broken_channel_is_marked_and_a_delivery_mends_it() {
    let (database, store) = opening().await;
    let (job, due) = claim_in_order(&store).await.remove(0);
    let end = DeliveryEnd::Failed { error: "410 gone".into(), channel_broken: true };
    assert!(record(&store, &tried(&job, &due, end)).await);
    let channel = stored_channel(&store, &due.channel.name).await;
    assert_eq!(channel.broken_reason.as_deref(), Some("410 gone"));
    assert_eq!(database.value("SELECT state FROM notifications WHERE last_error = '410 gone'"), "failed");

    let (job, due) = claim_in_order(&store).await.remove(0);
    assert_eq!(due.event.kind, EventType::Up, "the recovery is not held up by an opening that failed");
    assert!(record(&store, &tried(&job, &due, delivered())).await);
    let channel = stored_channel(&store, &due.channel.name).await;
    assert!(channel.broken_at.is_none());
}

#[tokio::test]
async fn what_a_provider_replaced_is_remembered_until_the_channel_changes() {
    let (_database, store) = opening().await;
    let (job, due) = claim_in_order(&store).await.remove(0);
    let moved = Setting::Text(SecretRef::Literal("-100".into()));
    let learned = BTreeMap::from([("chat_id".to_owned(), moved.clone())]);
    let end = DeliveryEnd::Delivered { remote_id: None, learned, pause: None };
    assert!(record(&store, &tried(&job, &due, end)).await);
    let channel = stored_channel(&store, &due.channel.name).await;
    assert_eq!(channel.settings.get("chat_id"), Some(&moved));
    assert!(channel.settings.contains_key("url"), "the others stay");
}

/// Each message to a Telegram topic that was closed was sent twice, for as long as it was closed.
#[tokio::test]
async fn a_setting_that_a_provider_refused_is_left_out_for_a_while() {
    let (database, store) = opening().await;
    database.query("UPDATE channels SET settings = settings || '{\"topic\": 5, \"to\": \"me\"}'");
    let (job, due) = claim_in_order(&store).await.remove(0);
    let learned = BTreeMap::from([
        ("topic".to_owned(), Setting::Integer(0)),
        ("to".to_owned(), Setting::Text(SecretRef::Literal(String::new()))),
    ]);
    let end = DeliveryEnd::Delivered { remote_id: None, learned, pause: None };
    assert!(record(&store, &tried(&job, &due, end)).await);
    let channel = || async { stored_channel(&store, &due.channel.name).await };
    let now = channel().await;
    assert_eq!(now.settings.keys().collect::<Vec<_>>(), ["url"]);
    assert_eq!(now.left_out, ["to", "topic"]);

    database.query("UPDATE channels SET learned_at = learned_at - interval '10 minutes'");
    let later = channel().await;
    assert_eq!(later.settings.get("topic"), Some(&Setting::Integer(5)));
    assert!(later.left_out.is_empty());
}

#[tokio::test]
async fn nobody_is_told_down_of_what_is_known_to_be_up() {
    let (database, store) = opening().await;
    let (job, due) = claim_in_order(&store).await.remove(0);
    let end = DeliveryEnd::Failed { error: "500".into(), channel_broken: false };
    assert!(record(&store, &tried(&job, &due, end)).await);
    let (recovery, up) = claim_in_order(&store).await.remove(0);
    assert!(record(&store, &tried(&recovery, &up, delivered())).await);

    let retried = store.retry_failed(&Selection::default(), None).await.expect("a retry");
    assert_eq!(retried, [(job.claim.id, Retried::Superseded)]);
    assert_eq!(
        database.value("SELECT string_agg(state, ',' ORDER BY id) FROM notifications WHERE event = 'down'"),
        "discarded,queued"
    );
}

#[tokio::test]
async fn tries_are_recorded_together_and_a_lost_lease_is_its_own() {
    let (database, store) = opening().await;
    let claimed = claim_in_order(&store).await;
    let [(delivered_job, delivered_due), (lost_job, lost_due)] = &claimed[..] else { panic!("{claimed:?}") };
    let mut lost = tried(lost_job, lost_due, delivered());
    lost.claim.number += 1;
    // And of the other an earlier claim ends in the same moment.
    let failed = DeliveryEnd::Failed { error: "500".into(), channel_broken: true };
    let mut earlier = tried(delivered_job, delivered_due, failed);
    earlier.claim.number -= 1;
    let ours = store
        .record_deliveries(&[&lost, &earlier, &tried(delivered_job, delivered_due, delivered())], &PAUSES)
        .await
        .expect("recorded");
    assert_eq!(ours.into_iter().collect::<Vec<_>>(), [delivered_job.claim]);
    assert_eq!(database.value("SELECT count(*) FROM delivery_attempts"), "1");
    assert_eq!(
        database.value("SELECT id FROM notifications WHERE state = 'delivered'"),
        delivered_due.notification.to_string()
    );

    let failed = DeliveryEnd::Failed { error: "400".into(), channel_broken: false };
    let (recovery, up) = claim_in_order(&store).await.remove(0);
    let retry = DeliveryEnd::Retry {
        after: Duration::from_secs(5),
        error: "503".into(),
        counts: true,
        pause: None,
        channel_broken: false,
    };
    let both = [tried(lost_job, lost_due, failed), tried(&recovery, &up, retry)];
    let ours = store.record_deliveries(&both.iter().collect::<Vec<_>>(), &PAUSES).await.expect("recorded");
    assert_eq!(ours.len(), 2);
    assert_eq!(
        database.value("SELECT string_agg(state || ' ' || attempts || coalesce(' ' || last_error, ''), ', ' ORDER BY state, id) FROM notifications"),
        "delivered 1, failed 1 400, queued 1 503, queued 0"
    );
    assert_eq!(database.value("SELECT count(*) FROM failed_jobs"), "1");
}

#[tokio::test]
async fn what_came_of_a_notice_is_kept_when_its_monitor_is_removed_while_it_is_sent() {
    let failed = DeliveryEnd::Failed { error: "400".into(), channel_broken: false };
    let retry = DeliveryEnd::Retry {
        after: Duration::ZERO,
        error: "503".into(),
        counts: true,
        pause: None,
        channel_broken: false,
    };
    for (end, left) in [(delivered(), "0 0 delivered"), (failed, "0 1 failed"), (retry, "1 0 queued")] {
        let (database, store) = opening().await;
        let (job, due) = claim_in_order(&store).await.remove(0);
        database.query("DELETE FROM monitors");
        assert!(record(&store, &tried(&job, &due, end)).await);
        let (id, subject) = (job.claim.id, due.notification);
        let kept = format!(
            "SELECT concat_ws(' ', (SELECT count(*) FROM jobs WHERE id = {id}), (SELECT count(*) FROM failed_jobs WHERE id = {id}),
             (SELECT state FROM notifications WHERE id = {subject}))"
        );
        assert_eq!(database.value(&kept), left);
    }
}

#[tokio::test]
async fn a_channel_that_breaks_is_told_through_the_others_once() {
    let (database, store) = opening().await;
    let sent_event = || {
        database.value(
            "SELECT string_agg(c.name || ' hears of ' || (n.snapshot #>> '{monitor,name}'), ', ' ORDER BY n.id)
             FROM notifications n JOIN channels c ON c.id = n.channel_id WHERE n.event = 'channel-broken'",
        )
    };
    let mut claimed = claim_in_order(&store).await;
    claimed.sort_by_key(|(_, due)| due.channel.id);
    let [(ops, of_ops), (boss, of_boss)] = &claimed[..] else { panic!("{claimed:?}") };
    let gone = || DeliveryEnd::Failed { error: "404".into(), channel_broken: true };
    assert!(record(&store, &tried(ops, of_ops, gone())).await);
    assert_eq!(sent_event(), "boss hears of ops");

    // Its next failure is no news, and neither is that of the one which is to tell it: to whom, if the other is broken?
    assert!(record(&store, &tried(boss, of_boss, gone())).await);
    loop {
        let claimed = claim_in_order(&store).await;
        if claimed.is_empty() {
            break;
        }
        for (job, due) in claimed {
            assert!(record(&store, &tried(&job, &due, gone())).await);
        }
    }
    assert_eq!(sent_event(), "boss hears of ops", "nothing goes round");
    assert_eq!(database.value("SELECT count(*) FROM channels WHERE broken_at IS NOT NULL"), "2");

    // One works again and breaks again: that is news, also where no try came to its end.
    database.query("UPDATE channels SET broken_at = NULL");
    let retried = store.retry_failed(&Selection::default(), None).await.expect("a retry");
    assert!(!retried.is_empty());
    let (job, due) = claim_in_order(&store).await.remove(0);
    let failure = JobFailure {
        claim: job.claim,
        retry_after: None,
        counts: true,
        error: "did not end within 1s".into(),
    };
    let untried = Untried {
        notification: due.notification,
        failure,
        channel: Some(due.channel.id),
        channel_broken: true,
        is_hopeless: false,
        is_probe: false,
    };
    store.fail_notifications(&[untried], &PAUSES).await.expect("recorded");
    assert_eq!(database.value("SELECT count(*) FROM notifications WHERE event = 'channel-broken'"), "2");
}

#[tokio::test]
async fn what_is_put_off_uses_up_no_try_and_leaves_the_others_alone() {
    let (database, store) = opening().await;
    let (job, due) = claim_in_order(&store).await.remove(0);
    let waits = DeliveryEnd::Waits { for_so_long: Duration::from_hours(9), reason: "its hours".into() };
    assert!(record(&store, &tried(&job, &due, waits)).await);
    assert_eq!(
        database.value(&format!(
            "SELECT concat_ws(' ', j.attempts, n.state, n.attempts, j.available_at > now() + interval '8 h')
             FROM jobs j JOIN notifications n ON n.id = j.subject WHERE j.id = {}",
            job.claim.id
        )),
        "0 queued 0 t"
    );
}

#[tokio::test]
async fn what_people_said_meanwhile_is_known_at_delivery() {
    let (database, store) = opening().await;
    let circumstances = async || {
        let due = store.due_deliveries(&[NotificationId(1)]).await.expect("a query");
        due.into_values().next().expect("it is there").expect("it can be read").circumstances
    };
    let at_first = circumstances().await;
    assert!(
        !at_first.muted && !at_first.acknowledged && at_first.ended_at.is_none() && !at_first.opening_told
    );
    assert!(at_first.recovery_due, "it was enqueued with the opening");
    database
        .query("UPDATE incidents SET acknowledged_at = now(), acknowledged_until = now() + interval '1 h'");
    assert!(circumstances().await.acknowledged);
    database.query("UPDATE incidents SET acknowledged_until = now() - interval '1 s', muted_at = now(), ended_at = now()");
    database.query("UPDATE notifications SET state = 'delivered' WHERE event = 'down'");
    let later = circumstances().await;
    assert!(later.muted && !later.acknowledged && later.ended_at.is_some() && later.opening_told);
}
