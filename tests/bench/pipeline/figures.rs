//! The figures of a window, by name. Each name says its unit.

use crate::sample::{Core, Kind, Part, Sample, number};
use crate::servers::Opening;
use std::collections::{BTreeMap, HashMap};
use uptime_postgres::Session;

pub type Figures = BTreeMap<String, f64>;

pub struct Window {
    pub from: Sample,
    pub to: Sample,
}

impl Window {
    /// # Panics
    /// If no check started in the window.
    pub fn figures(&self, parts: &[Part], session: &mut Session, openings: &[Opening]) -> Figures {
        let (from, to) = (&self.from, &self.to);
        let mut query = |sql: &str| session.query(sql).expect("the server takes it");
        let results = &query(&format!(
            "SELECT count(*), count(*) FILTER (WHERE outcome = 'up'), count(*) FILTER (WHERE outcome = 'down'),
                    count(*) FILTER (WHERE outcome = 'inconclusive'),
                    percentile_disc(0.5) WITHIN GROUP (ORDER BY late_ms),
                    percentile_disc(0.99) WITHIN GROUP (ORDER BY late_ms), max(late_ms)
             FROM (SELECT outcome, extract(epoch FROM started_at - slot_at) * 1000 AS late_ms FROM check_results
                   WHERE started_at >= timestamptz 'epoch' + {} * interval '1 microsecond'
                     AND started_at < timestamptz 'epoch' + {} * interval '1 microsecond') r",
            from.at_us, to.at_us
        ))[0];
        let checks = number(results, 0);
        assert!(checks > 0.0, "no check started in the window");
        let mut figures = Figures::from([
            ("checks_per_s".into(), checks / (to.at_us - from.at_us) * 1e6),
            ("checks_up".into(), number(results, 1)),
            ("checks_down".into(), number(results, 2)),
            ("checks_inconclusive".into(), number(results, 3)),
            ("start_late_ms_p50".into(), number(results, 4)),
            ("start_late_ms_p99".into(), number(results, 5)),
            ("start_late_ms_max".into(), number(results, 6)),
            ("transactions_per_1000_checks".into(), (to.transactions - from.transactions) / checks * 1e3),
            ("wal_bytes_per_check".into(), (to.wal_bytes - from.wal_bytes) / checks),
        ]);

        let mut product_us = 0.0;
        for ((part, before), after) in parts.iter().zip(&from.cpu_s).zip(&to.cpu_s) {
            let us = (after - before) * 1e6 / checks;
            figures.insert(format!("cpu_us_per_check_{}", part.name), us);
            product_us += if part.kind == Kind::Server { 0.0 } else { us };
        }
        // The product's and PostgreSQL's.
        figures.insert("cpu_us_per_check".into(), product_us);
        for (name, now, most) in &to.memory_mb {
            figures.insert(format!("memory_mb_{name}"), *now);
            figures.insert(format!("memory_mb_{name}_most"), *most);
        }

        let idle =
            |(before, after): (&Core, &Core)| (after.idle - before.idle) / (after.all - before.all) * 100.0;
        let mut cores: Vec<f64> = from.cores.iter().zip(&to.cores).map(idle).collect();
        cores.sort_unstable_by(f64::total_cmp);
        figures.insert("idle_percent".into(), cores.iter().sum::<f64>() / f64::from(count(&cores)));
        figures.insert("idle_percent_idlest_core".into(), cores[cores.len() - 1]);

        for (table, (updates, hot)) in &to.updates {
            let before = from.updates.get(table).copied().unwrap_or_default();
            let (updates, hot) = (updates - before.0, hot - before.1);
            // Those of the hot path: heartbeats and the like are few.
            if updates > checks / 100.0 {
                figures.insert(format!("hot_updates_percent_{table}"), hot / updates * 100.0);
            }
        }

        // From the start of the failing check to the arrival of the webhook.
        let started = query("SELECT id, extract(epoch FROM started_at) * 1000000 FROM incidents");
        let started: HashMap<String, f64> =
            started.iter().filter_map(|row| Some((row[0].clone()?, number(row, 1)))).collect();
        let in_window = openings.iter().filter(|opening| (from.at_us..to.at_us).contains(&opening.at_us));
        let latencies =
            in_window.filter_map(|opening| Some((opening.at_us - started.get(&opening.incident)?) / 1e3));
        let mut latencies: Vec<f64> = latencies.collect();
        latencies.sort_unstable_by(f64::total_cmp);
        if let [.., most] = latencies.as_slice() {
            let at = |percent| latencies[latencies.len() * percent / 100];
            figures.insert("failure_to_webhook_ms_p50".into(), at(50));
            figures.insert("failure_to_webhook_ms_p99".into(), at(99));
            figures.insert("failure_to_webhook_ms_max".into(), *most);
            figures.insert("webhooks".into(), f64::from(count(&latencies)));
        }
        figures
    }
}

fn count<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).expect("because memory ends before")
}
