//! `uptime incident`: what people do with incidents, what channels hear of it, and the whole story.

use crate::notices::webhook;
use crate::session::{Scene, sessions};
use uptime_tests::WebhookSink;

/// A monitor `shop` that is down since the beginning of 2026, told to `ops`, who has it, and to `boss`, for whom it failed.
pub fn with_an_incident() -> Scene {
    let sinks = ["ops", "boss"].map(|name| (name, WebhookSink::start()));
    let channels = sinks.iter().map(|(name, sink)| webhook(name, sink, "")).collect::<String>();
    let shop = "[monitors.shop]\ntype = \"http\"\nurl = \"https://shop.example.com/\"\ninterval = \"1h\"\n";
    let scene = Scene { sinks: sinks.into(), ..Scene::bare(&(channels + shop)) };
    scene.installation.database.query(
        r#"INSERT INTO incidents (monitor_id, severity, class, cause, expected, got, started_at, opened_at, failures)
           SELECT id, 'down', 'status', 'the status is 503', '2xx', '503', '2026-01-01T00:00:00Z', '2026-01-01T00:00:21Z', 3 FROM monitors;
           UPDATE monitor_states SET status = 'down', since = '2026-01-01T00:00:00Z', failures = 5, incident_id = 1, severity = 'down', announced_severity = 'down',
             next_check_at = now() + interval '1 h';
           INSERT INTO incident_events (incident_id, at, kind) VALUES (1, '2026-01-01T00:00:21Z', 'opened');
           INSERT INTO check_results (monitor_id, slot_at, started_at, outcome, degraded, class, message, total_us, late_us)
           SELECT id, at, at, 'down', false, 'status', 'the status is 503', 1, 1
           FROM monitors, unnest('{2026-01-01T00:00:00Z,2026-01-01T00:00:10Z,2026-01-01T00:00:20Z,2026-01-01T00:01:00Z,2026-01-01T00:02:00Z}'::timestamptz[]) at;
           INSERT INTO notifications (delivery_id, channel_id, incident_id, event, sequence, snapshot, state, attempts, last_error, created_at, delivered_at)
           SELECT CASE c.name WHEN 'ops' THEN '018cc251-f400-7000-8000-000000000001'::uuid ELSE '018cc251-f400-7000-8000-000000000002' END,
             c.id, 1, 'down', 0, jsonb_build_object('type', 'down',
               'delivery_id', CASE c.name WHEN 'ops' THEN '018cc251-f400-7000-8000-000000000001' ELSE '018cc251-f400-7000-8000-000000000002' END,
               'at', '2026-01-01T00:00:21Z', 'monitor',
               '{"name": "shop", "type": "http", "target": "https://shop.example.com/", "group": null, "tags": {}}'::jsonb,
               'incident', '{"id": 1, "started_at": "2026-01-01T00:00:00Z", "ended_at": null, "duration_s": null}'::jsonb,
               'outcome', '{"class": "status", "expected": "2xx", "got": "503", "message": "the status is 503"}'::jsonb, 'severity', 'down'),
             CASE c.name WHEN 'ops' THEN 'delivered' ELSE 'failed' END, CASE c.name WHEN 'ops' THEN 1 ELSE 2 END,
             CASE c.name WHEN 'ops' THEN NULL ELSE 'no connection' END, '2026-01-01T00:00:21Z',
             CASE c.name WHEN 'ops' THEN timestamptz '2026-01-01T00:00:22Z' END
           FROM channels c ORDER BY c.name DESC;
           INSERT INTO delivery_attempts (notification_id, attempt, started_at, duration_ms, outcome, status_code, message) VALUES
             (1, 1, '2026-01-01T00:00:22Z', 12, 'delivered', 200, 'ok'),
             (2, 1, '2026-01-01T00:00:22Z', 5, 'transient', 500, 'out of order'),
             (2, 2, '2026-01-01T00:00:27Z', 6, 'transient', NULL, 'no connection');
           INSERT INTO failed_jobs (id, queue, subject, concurrency_key, order_key, payload, attempts, claims, errors, created_at)
           SELECT 1000, 'notifications', 2, channel_id, '1:' || channel_id, '{}', 2, 2, '[]', created_at FROM notifications WHERE id = 2"#,
    );
    scene
}

sessions! { "incident":
    an_incident_is_acknowledged_and_everybody_who_knows_of_it_hears_who_takes_care on with_an_incident();
    an_incident_that_somebody_ends_is_told_as_up on with_an_incident();
    of_a_muted_incident_nothing_more_is_said on with_an_incident();
    who_it_was_is_asked_of_the_environment_and_has_to_be_known on with_an_incident();
    what_was_done_is_logged_with_who_did_it on with_an_incident();
    /// It was "try 0: muted in 0 ms", without a reason.
    what_is_not_told_is_no_try_and_says_why on with_an_incident();
    what_can_not_be_meant_is_said_so on with_an_incident();
}
