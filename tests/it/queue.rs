//! `uptime queue`: what operators see and do.

mod monitor;

use crate::installation::Installation;
use crate::notices::webhook;
use crate::session::{Scene, sessions};
use serde_json::json;
use uptime_tests::{HttpTarget, WebhookSink, block_on};

/// With channels for `ops`, who wants to hear of all, and `boss`, who wants to hear of monitors.
fn two_channels(more: &str) -> Scene {
    let sinks = ["ops", "boss"].map(|name| (name, WebhookSink::start()));
    let [ops, boss] = [&sinks[0].1, &sinks[1].1];
    let boss = webhook("boss", boss, "events = [\"down\", \"up\"]\n");
    let file = webhook("ops", ops, "") + &boss + more;
    Scene { sinks: sinks.into(), ..Scene::bare(&file) }
}

/// With jobs in the failed list as a worker puts them there.
fn failed_jobs(count: usize) -> Scene {
    let scene = Scene::bare("");
    scene.installation.database.query(&format!(
        "INSERT INTO failed_jobs (id, queue, subject, payload, attempts, errors, created_at)
         SELECT 1000 + n, 'notifications', n, '{{}}', 3, '[{{\"attempt\": 3, \"at\": \"2026-01-01T00:00:00Z\", \"error\": \"no\"}}]', now()
         FROM generate_series(1, {count}) n"
    ));
    scene
}

/// With a failed check of `shop` (1), a failed notice of it (2), and others whose subjects are gone.
fn with_failures() -> Scene {
    let scene =
        two_channels(&format!("[monitors.shop]\ntype = \"http\"\nurl = \"{}\"\n", HttpTarget::start().url()));
    scene.installation.database.query(
        r#"INSERT INTO incidents (monitor_id, severity, class, cause, started_at, failures)
           SELECT id, 'down', 'status', 'no', now(), 3 FROM monitors;
           INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state)
           SELECT '018cc251-f400-7000-8000-000000000000', c.id, i.id, 'down', 0, '{"monitor": {"name": "shop"}}', 'failed'
           FROM channels c, incidents i WHERE c.name = 'ops';
           INSERT INTO failed_jobs (id, queue, subject, concurrency_key, payload, attempts, errors, created_at, failed_at)
           SELECT 1, 'monitor-checks', id, NULL, '{}'::jsonb, 1,
             '[{"attempt": 1, "at": "2026-01-01T00:00:30Z", "error": "did not end within 30s"}]'::jsonb,
             timestamptz '2026-01-01T00:00:00Z', timestamptz '2026-01-01T00:00:30Z' FROM monitors
           UNION ALL SELECT 2, 'notifications', id, channel_id, '{}', 2,
             '[{"attempt": 1, "at": "2026-01-01T00:01:00Z", "error": "503 from the provider"},
               {"attempt": 2, "at": "2026-01-01T00:02:00Z", "error": "no connection"}]',
             '2026-01-01T00:00:59Z', '2026-01-01T00:02:00Z' FROM notifications
           UNION ALL SELECT 3, 'notifications', 77, 88, '{}', 3, '[]', '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z'"#,
    );
    scene
}

/// With notifications of an hour ago that wait for `ops`.
fn backlog(count: usize) -> Scene {
    let scene = two_channels("");
    scene.installation.database.query(&format!(
        "WITH n AS (
           INSERT INTO notifications (delivery_id, channel_id, event, sequence, snapshot, state)
           SELECT id, channel_id, 'down', 0, jsonb_build_object('type', 'down', 'delivery_id', id, 'at', '2026-01-01T00:00:00Z',
                    'monitor', jsonb_build_object('name', 'shop', 'type', 'http', 'target', 'https://example.com/', 'group', NULL, 'tags', '{{}}'::jsonb),
                    'incident', NULL, 'outcome', NULL, 'severity', 'down'), 'queued'
           FROM (SELECT gen_random_uuid() AS id, c.id AS channel_id FROM channels c, generate_series(1, {count}) WHERE name = 'ops') x
           RETURNING id, channel_id)
         INSERT INTO jobs (queue, subject, concurrency_key, available_at)
         SELECT 'notifications', id, channel_id, now() - interval '1 h' FROM n"
    ));
    scene
}

sessions! { "queue":
    the_failed_list_names_what_failed on with_failures();
    the_story_of_a_failed_job_is_whole_and_tells_how_to_retry_it on with_failures();
    two_operators_who_retry_all_do_each_job_once on failed_jobs(2_500);
    a_retry_takes_ids_ranges_and_queues_and_says_what_is_missing on failed_jobs(5);
    a_retry_goes_through_a_long_list_to_its_end on failed_jobs(2_345);
    a_retry_without_a_job_says_how_it_is_written on Scene::bare("");
    what_is_forgotten_gets_no_other_chance on failed_jobs(3);
    a_flush_asks_and_takes_a_queue_and_an_age on failed_jobs(4);
    what_is_old_is_pruned_without_a_question_and_without_a_word_when_there_is_none on failed_jobs(3);
    a_queue_is_cleared_of_what_waits_and_not_of_what_runs on backlog(1_100);
}

#[test]
fn a_paused_queue_rests_until_it_is_resumed() {
    let scene = backlog(3);
    scene.replay("queue/a_paused_queue_rests_until_it_is_resumed");
    // A worker that would not look again by itself for an hour is woken.
    let installation = &scene.installation;
    let _worker = installation.start(["worker", "notifications", "--sleep", "1h"]);
    installation.wait_for("SELECT count(*) FROM workers WHERE queue = 'notifications'", "1");
    let answer = installation.json(["queue", "resume", "notifications"]);
    assert_eq!(answer["queues"], json!([{ "queue": "notifications", "paused": false, "changed": true }]));
    block_on(scene.sinks[0].1.wait_for(3));
    assert_eq!(installation.run(0, "queue resume notifications").0, "notifications\tnot paused\n");
}

#[test]
fn a_restart_lets_the_workers_of_a_queue_end() {
    let installation = Installation::new();
    let nobody = "monitor-checks\tworkers asked\t0\nnotifications\tworkers asked\t0\n";
    assert_eq!(installation.run(0, "queue restart").0, nobody);
    let asked = ["worker", "notifications", "--sleep", "1h"];
    let (one, other) = (installation.start(asked), installation.start(asked));
    let checks = installation.start(["worker", "monitor-checks"]);
    installation.wait_for(
        "SELECT string_agg(queue, ',' ORDER BY queue) FROM workers",
        "monitor-checks,notifications,notifications",
    );
    let answer = installation.json(["queue", "restart", "notifications"]);
    assert_eq!(answer["queues"], json!([{ "queue": "notifications", "workers": 2 }]));
    assert_eq!((one.wait(), other.wait()), (0, 0));
    // The others go on.
    installation.holds("SELECT string_agg(queue, ',') FROM workers", "monitor-checks");
    assert_eq!(checks.terminate(), 0);
}
