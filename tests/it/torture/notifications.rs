//! The queue `notifications`: committed steadily to four channels, with and without an order, of which one fails now and
//! then by itself.

use super::{Crew, Effect, installation};
use crate::installation::Installation;
use crate::notices::{self, Notice};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use uptime_tests::{DEADLINE, Received, Reply, Rng, Seed, TestServer, WebhookSink};

/// How long what is left may take once nothing is killed any more: a lease or two for each try, and the work.
const DRAIN_MAX: Duration = Duration::from_mins(1);

const CHANNELS: [&str; 4] = ["flaky", "ops", "boss", "night"];

/// Commits notices until it is time, each with an answer that its sink will give to somebody. Those are the ones that are
/// there: acknowledged, or found when it was asked again after an outage.
fn enqueue_steadily(
    installation: &Installation,
    sinks: &[WebhookSink; 2],
    incidents: &[i64],
    mut rng: Rng,
    until: Instant,
) -> (Vec<Notice>, usize) {
    let (mut committed, mut unanswered) = (Vec::new(), 0);
    let mut told: HashMap<(&str, i64), usize> = HashMap::new();
    while Instant::now() < until {
        let batch: Vec<Notice> = (0..rng.usize(1..=8))
            .map(|_| {
                let is_flaky = rng.u8(..8) == 0;
                let channel = if is_flaky { CHANNELS[0] } else { CHANNELS[rng.usize(1..CHANNELS.len())] };
                let status = if is_flaky && rng.u8(..10) < 6 { 500 } else { 200 };
                let delay = Duration::from_millis(rng.u64(..150));
                sinks[usize::from(!is_flaky)].answer_next([Reply::status(status).after(delay)]);
                let incident = rng.bool().then(|| incidents[rng.usize(..incidents.len())]);
                let sequence = incident.map(|incident| {
                    let next = told.entry((channel, incident)).or_default();
                    *next += 1;
                    *next
                });
                Notice { incident, sequence: sequence.unwrap_or(0), ..Notice::new(&mut rng, channel) }
            })
            .collect();
        let (sql, ids) = (notices::enqueue(&batch), ids(&batch));
        while installation.database.try_query(&sql).is_err() {
            unanswered += 1;
            // Nobody knows what became of it, until the server is back and is asked.
            let there = found(installation, &ids);
            assert!(there == 0 || there == batch.len(), "{there} of {} were committed", batch.len());
            if there > 0 {
                break;
            }
        }
        committed.extend(batch);
        sleep(Duration::from_millis(rng.u64(20..120)));
    }
    (committed, unanswered)
}

fn ids(notices: &[Notice]) -> String {
    notices.iter().map(|notice| format!("'{}'", notice.delivery_id)).collect::<Vec<_>>().join(", ")
}

/// How many of these are there, as soon as somebody can say so.
fn found(installation: &Installation, ids: &str) -> usize {
    let sql = format!("SELECT count(*) FROM notifications WHERE delivery_id IN ({ids})");
    let began = Instant::now();
    loop {
        match installation.database.try_query(&sql) {
            Ok(rows) => return rows[0][0].as_deref().and_then(|text| text.parse().ok()).expect("a count"),
            Err(error) => assert!(began.elapsed() < DEADLINE, "the server does not come back: {error}"),
        }
        sleep(Duration::from_millis(20));
    }
}

/// How a notice ended, as the database has it.
struct Ended {
    state: String,
    attempts: usize,
    /// Tries whose end was committed.
    recorded: usize,
}

/// Keyed by delivery id.
fn ends(installation: &Installation) -> HashMap<String, Ended> {
    // "gave no sign" is no try: the job was found claimed too often.
    let rows = installation.database.query(
        "SELECT n.delivery_id, n.state,
                sum(l.attempts) + coalesce((SELECT sum(j.attempts) FROM jobs j WHERE j.subject = n.id), 0),
                sum(CASE WHEN f.id IS NULL THEN 1 + jsonb_array_length(l.errors)
                         ELSE (SELECT count(*) FROM jsonb_array_elements(f.errors) e WHERE e->>'error' NOT LIKE 'gave no sign%') END)
         FROM notifications n JOIN ledger l ON l.what = 'ended' AND l.subject = n.id
         LEFT JOIN failed_jobs f ON f.id = l.job GROUP BY n.id",
    );
    let number = |text: &str| text.parse().expect("a number");
    let ended = rows.into_iter().map(|row| {
        let [Some(id), Some(state), Some(attempts), Some(recorded)] = row.as_slice() else {
            panic!("a row without nulls was expected, and there is {row:?}")
        };
        let ended = Ended { state: state.clone(), attempts: number(attempts), recorded: number(recorded) };
        (id.clone(), ended)
    });
    ended.collect()
}

/// None is lost, none is told more often than it must be, and none before its turn.
pub(super) fn torture(seed: &Seed, mut rng: Rng, duration: Duration) {
    let server = Arc::new(TestServer::start());
    let sinks = [WebhookSink::start(), WebhookSink::start()];
    // For what is tried again when the answers that were prepared are used up.
    sinks[0].answer(Reply::status(500));
    let channels = CHANNELS.iter().enumerate().map(|(nth, name)| {
        // Nothing but the notices of this test: that a channel is broken is told by itself.
        format!("{}events = [\"certificate\"]\n", notices::channel(name, &sinks[nth.min(1)]))
    });
    let installation = installation(
        &server,
        &format!(
            "[queues.notifications]\ntries = 3\ntimeout = \"1s\"\nretry_after = \"6s\"\nbackoff = \"50ms\"\nsleep = \"500ms\"\n\n\
             {}[monitors.shop]\ntype = \"tcp\"\nhost = \"shop\"\nport = 1\n",
            channels.collect::<String>()
        ),
    );
    let incidents = installation.database.query(
        "INSERT INTO incidents (monitor_id, severity, class, cause, started_at, ended_at, failures)
         SELECT id, 'down', 'connect', 'refused', now(), now(), 3 FROM monitors, generate_series(1, 12) RETURNING id",
    );
    let incidents: Vec<i64> =
        incidents.into_iter().filter_map(|row| row[0].as_deref()?.parse().ok()).collect();

    let worker: &[&str] = &["worker", "notifications"];
    let roles = [worker; 3];
    let mut crew = Crew::start(&installation, &roles);
    let (crashes, (committed, unanswered)) = crew.torment(&server, duration, &mut rng, |rng, until| {
        enqueue_steadily(&installation, &sinks, &incidents, rng, until)
    });
    // A channel that fails has a probe waiting, whose pause is longer than this test.
    let left = "SELECT count(*) FROM jobs WHERE NOT payload ? 'probe'";
    installation.wait_for_within(DRAIN_MAX, left, "0");
    crew.terminate();

    let received: Vec<Received> = sinks.iter().flat_map(WebhookSink::received).collect();
    let effects = Effect::by(|one| one.header("webhook-id").expect("each delivery has its id"), &received);
    let ends = ends(&installation);
    let failed = ends.values().filter(|end| end.state == "failed").count();
    seed.say(&format!(
        "notifications: {} jobs: {} delivered, {failed} failed; {} effects; {crashes}, {unanswered} commits unanswered",
        committed.len(),
        ends.len() - failed,
        effects.values().map(Vec::len).sum::<usize>(),
    ));

    // Enqueued = completed + failed, each once, and nothing else. One that failed may be its channel's probe, a job again.
    installation.holds("SELECT count(*) FROM notifications", committed.len());
    installation.holds("SELECT count(DISTINCT subject) FROM ledger WHERE what = 'ended'", committed.len());
    let left =
        "SELECT count(*) FROM (SELECT subject FROM failed_jobs UNION SELECT subject FROM jobs) left_over";
    installation.holds(left, failed);
    for (nth, notice) in committed.iter().enumerate() {
        let end = ends.get(&notice.delivery_id).unwrap_or_else(|| panic!("{notice:?} was lost"));
        let effects = effects.get(&notice.delivery_id).map_or(&[][..], Vec::as_slice);
        let hits = crashes.that_hit(effects);
        let Ended { state, attempts, recorded } = end;
        assert!(["delivered", "failed", "discarded"].contains(&state.as_str()), "{notice:?} is {state}");
        // One that failed is not sent again after a newer one got through.
        let is_told =
            |newer: &Notice| ends.get(&newer.delivery_id).is_some_and(|end| end.state == "delivered");
        let overtaken =
            || committed[nth + 1..].iter().any(|newer| newer.channel == notice.channel && is_told(newer));
        assert!(state != "discarded" || overtaken(), "{notice:?} is {state}, and nothing newer was told");
        assert!(state != "delivered" || !effects.is_empty(), "{notice:?} is {state}, and nobody heard it");
        assert!(effects.len() <= *attempts, "{notice:?}: {attempts} claims made {effects:?}");
        assert!(
            effects.len() <= recorded + hits,
            "{notice:?}: {recorded} recorded, {hits} crashes hit it, and there are {effects:?}"
        );
    }
    in_order(&committed, &effects);
}

/// Per channel and incident, in the order in which they were committed; a repetition follows what it repeats.
fn in_order(committed: &[Notice], effects: &BTreeMap<String, Vec<Effect>>) {
    let mut told: BTreeMap<(&str, i64), Vec<(Instant, usize)>> = BTreeMap::new();
    for notice in committed {
        let (Some(incident), Some(effects)) = (notice.incident, effects.get(&notice.delivery_id)) else {
            continue;
        };
        let of_key = told.entry((notice.channel, incident)).or_default();
        of_key.extend(effects.iter().map(|effect| (effect.at, notice.sequence)));
    }
    for (key, mut told) in told {
        told.sort_unstable();
        let sequences: Vec<usize> = told.into_iter().map(|(_, sequence)| sequence).collect();
        assert!(sequences.is_sorted(), "{key:?} was told in the order {sequences:?}");
    }
}
