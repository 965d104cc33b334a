//! Random histories of channels' outages, side by side, through real workers with their time shortened by settings: when the
//! channels are back, nothing is outstanding, and what each was told matches what is true.
//!
//! A history is a channel and its monitors. With more of them, and a seed of one's own:
//! `UPTIME_OUTAGES=1000 UPTIME_OUTAGES_SEED=7 cargo test --release --workspace outages`.

use crate::installation::Installation;
use crate::notices::{self, webhook};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use uptime_tests::{HttpTarget, Reply, Rng, Seed, WebhookSink};

const HISTORIES: usize = 200;
const MONITORS: usize = 2;
const STEPS: usize = 12;

/// From one step to the next: long enough that tries are used up and probes are made between them.
const STEP: Duration = Duration::from_millis(1_300);

/// How long after the channels are back nothing may be outstanding: their probes come every second by then, and a digest gathers
/// for ten.
const BACK_WITHIN: Duration = Duration::from_mins(3);

const QUEUE: &str = "[queues.notifications]\ntries = 2\ntimeout = \"1s\"\nretry_after = \"7s\"\nbackoff = \"50ms\"\nsleep = \"200ms\"\n\
                     probe = [\"200ms\", \"400ms\", \"1s\"]\n\n";

struct History {
    sink: WebhookSink,
    down: [bool; MONITORS],
    is_away: bool,
}

impl History {
    fn text(&self, nth: usize, target: &HttpTarget) -> String {
        // Some get a digest where there is much to be told at once.
        let digest = if nth.is_multiple_of(4) { "digest_after = 2\ndigest_within = \"1s\"\n" } else { "" };
        let mut text =
            webhook(&format!("c{nth}"), &self.sink, &format!("events = [\"down\", \"up\"]\n{digest}"));
        for monitor in 0..MONITORS {
            let name = format!("m{nth}-{monitor}");
            let keys = "interval = \"1s\"\ntimeout = \"5s\"\nconfirm = 1\nflapping = false\n";
            let keys = format!("{keys}headers = {{ x-from = \"{name}\" }}\nchannels = [\"c{nth}\"]\n");
            text += &notices::monitor(&name, &target.url(), &keys);
        }
        text
    }

    fn go_on(&mut self, rng: &mut Rng) {
        for down in &mut self.down {
            *down ^= rng.u8(..100) < 35;
        }
        if rng.u8(..100) < 40 {
            self.is_away ^= true;
            if self.is_away {
                match rng.u8(..10) {
                    0..4 => self.sink.answer(Reply::status(500)),
                    4..6 => self.sink.answer(Reply::status(404)),
                    6..9 => self.sink.close(),
                    _ => self.sink.answer(Reply::status(503).held()),
                }
            } else {
                self.is_back();
            }
        }
    }

    fn is_back(&mut self) {
        self.is_away = false;
        self.sink.answer(Reply::ok());
        self.sink.let_go();
        self.sink.open();
    }
}

fn set(target: &HttpTarget, histories: &[History]) {
    let of = |(nth, history): (usize, &History)| {
        let down: Vec<usize> = (0..MONITORS).filter(|monitor| history.down[*monitor]).collect();
        down.into_iter().map(move |monitor| format!("m{nth}-{monitor}"))
    };
    let down: Vec<String> = histories.iter().enumerate().flat_map(of).collect();
    target.down_from(&down.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn nothing_is_outstanding_after_the_channels_are_back() {
    let seed = Seed::of("outages", "UPTIME_OUTAGES_SEED");
    let mut rng = seed.rng();
    let count = std::env::var("UPTIME_OUTAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(HISTORIES);
    let target = HttpTarget::start();
    let history = || History { sink: WebhookSink::start(), down: [false; MONITORS], is_away: false };
    let mut histories: Vec<History> = (0..count).map(|_| history()).collect();
    let installation = Installation::new();
    let texts = histories.iter().enumerate().map(|(nth, history)| history.text(nth, &target));
    installation.apply(&format!("{QUEUE}{}", texts.collect::<String>()));
    let _running = installation.start_each();
    let _others = installation.start_as("others", &["worker", "notifications"], &[]);
    let unchecked = "SELECT count(*) FROM monitor_states WHERE last_check_at IS NULL";
    installation.wait_for_within(BACK_WITHIN, unchecked, "0");

    for _ in 0..STEPS {
        for history in &mut histories {
            history.go_on(&mut rng);
        }
        set(&target, &histories);
        // The histories' own clock: what happens meanwhile is theirs.
        std::thread::sleep(STEP);
    }
    let failed = installation.database.value("SELECT count(*) FROM notifications WHERE state = 'failed'");
    seed.say(&format!("{failed} notices have failed when the channels come back"));
    histories.iter_mut().for_each(History::is_back);
    // What the monitors are is what they stay, once each was checked after the last step.
    let now = installation.database.value("SELECT now()");
    let unchecked = format!("SELECT count(*) FROM monitor_states WHERE last_check_at < '{now}'");
    installation.wait_for_within(BACK_WITHIN, &unchecked, "0");
    let is_told = || {
        installation.wait_for_within(
            BACK_WITHIN,
            "SELECT concat_ws(' ', count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'failed'),
                              (SELECT count(*) FROM failed_jobs)) FROM notifications",
            "0 0 0",
        );
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(is_told)) {
        for row in installation.database.query(LEFT).iter().filter_map(|row| row[0].as_deref()) {
            seed.say(row);
        }
        resume_unwind(panic);
    }
    for row in installation.json(["channel", "list"])["channels"].as_array().expect("a list") {
        assert_eq!(row["outstanding"], 0, "{row}");
        assert_ne!(row["state"], "broken", "{row}");
    }
    for (name, sql) in WRONG {
        let wrong = installation.database.query(sql);
        let wrong: Vec<&str> = wrong.iter().filter_map(|row| row[0].as_deref()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
    for (nth, history) in histories.iter().enumerate() {
        let came = history.sink.received();
        let came: HashSet<&str> = came.iter().filter_map(|one| one.header("webhook-id")).collect();
        let told = installation.database.query(&format!(
            "SELECT coalesce(d.delivery_id, n.delivery_id)::text FROM notifications n LEFT JOIN notifications d ON d.id = n.digest_id
             JOIN channels c ON c.id = n.channel_id WHERE c.name = 'c{nth}' AND n.state = 'delivered'"
        ));
        for delivery in told.iter().filter_map(|row| row[0].as_deref()) {
            assert!(came.contains(delivery), "c{nth} has not got {delivery}");
        }
    }
}

/// What is known of those that are still to be told.
const LEFT: &str = "SELECT concat(to_jsonb(n) - 'snapshot', to_jsonb(c) - 'settings', (SELECT jsonb_agg(j) FROM jobs j WHERE j.concurrency_key = c.id),
                                  (SELECT jsonb_agg(f) FROM failed_jobs f WHERE f.concurrency_key = c.id))
                    FROM notifications n JOIN channels c ON c.id = n.channel_id WHERE n.state IN ('queued', 'failed')";

/// What must not be, each with a query for it. `told`: what the channels took, in the order in which they did.
const WRONG: [(&str, &str); 4] = [
    (
        "open, and its channel does not know",
        "SELECT i.id::text FROM incidents i WHERE i.ended_at IS NULL AND NOT EXISTS (
           SELECT FROM notifications n WHERE n.incident_id = i.id AND n.event = 'down' AND n.state = 'delivered')",
    ),
    (
        "over, its channel heard that it began, and neither of its end nor of anything newer",
        "SELECT i.id::text FROM incidents i
         WHERE i.ended_at IS NOT NULL
           AND EXISTS (SELECT FROM notifications n WHERE n.incident_id = i.id AND n.event = 'down' AND n.state = 'delivered')
           AND NOT EXISTS (SELECT FROM notifications n JOIN incidents o ON o.id = n.incident_id
                           WHERE o.monitor_id = i.monitor_id AND n.state = 'delivered'
                             AND (o.id > i.id OR o.id = i.id AND n.event = 'up'))",
    ),
    (
        "told after something newer of its monitor",
        "SELECT older.id::text FROM notifications older JOIN incidents a ON a.id = older.incident_id
         JOIN incidents b ON b.monitor_id = a.monitor_id
         JOIN notifications newer ON newer.incident_id = b.id AND newer.channel_id = older.channel_id
         WHERE newer.id > older.id AND older.state = 'delivered' AND newer.state = 'delivered' AND older.delivered_at > newer.delivered_at",
    ),
    (
        "over, and its channel has heard nothing of it or of anything newer",
        "SELECT i.id::text FROM incidents i
         WHERE i.ended_at IS NOT NULL AND NOT EXISTS (
           SELECT FROM notifications n JOIN incidents o ON o.id = n.incident_id
           WHERE o.monitor_id = i.monitor_id AND o.id >= i.id AND n.state = 'delivered')",
    ),
];
