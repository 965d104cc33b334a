//! Promise 3: a batch of check results, the monitors' states, the incidents' changes, the notifications they cause and
//! the jobs' completion commit in one transaction, fenced by the claims.
//!
//! The engine begins it with what it finished ([`Store::begin_results`]), has it judged by the domain, loads what that needs
//! ([`ResultsTransaction::surroundings`]) and commits what is decided ([`ResultsTransaction::commit`]). Dropped without a
//! commit, nothing has happened, and the leases decide when the checks run again.

mod incidents;
mod insert;
mod locations;
mod states;
mod surroundings;

use crate::notifications;
use crate::queue::Claim;
use crate::row::{bind, named};
use crate::session::Session;
use crate::{Result, Store};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::{HashMap, HashSet};
use uptime_core::check::CheckReport;
use uptime_core::decision::{Decisions, Known, Needs, Outcome, Surroundings, Watched};
use uptime_core::id::MonitorId;

/// A transaction in which a batch of checks is recorded.
#[derive(Debug)]
pub struct ResultsTransaction {
    transaction: Session,
    /// Monitors whose workers may go on from slot to slot by themselves.
    chained: HashSet<MonitorId>,
}

impl Store {
    /// The monitors with these ids. Those that are gone or disabled are not among them; one whose row can't be read is
    /// an error of its own.
    pub async fn monitors_by_id(&self, ids: &[MonitorId]) -> Result<HashMap<MonitorId, Result<Watched>>> {
        let query = sqlx::query(
            "SELECT id, name, check_spec, check_spec->>'type' AS kind, policy, target, group_name, tags, parent_id, is_parent
             FROM monitors WHERE id = ANY ($1) AND enabled",
        );
        let rows = bind!(query, ids).fetch_all(&self.sessions).await?;
        let monitor = |row: &PgRow| {
            let name: String = row.try_get("name")?;
            let read = named::<Watched>(row, || format!("monitor `{name}`"));
            Ok((MonitorId(row.try_get("id")?), read))
        };
        rows.iter().map(monitor).collect()
    }

    /// Locks the monitors' states of finished checks, and ends their jobs as far as they are still ours.
    pub async fn begin_results(
        &self,
        claims: &[Claim],
        monitors: &[MonitorId],
    ) -> Result<(ResultsTransaction, Known)> {
        let mut transaction = self.sessions.begin().await?;
        // States before jobs, like the scheduler and `apply`, and in the order of the ids: so nobody waits in a circle.
        let (mut known, chained) = states::lock(&mut transaction, monitors).await?;
        locations::read(&mut transaction, &mut known.monitors).await?;
        known.ours = crate::queue::complete(&mut transaction, claims).await?;
        known.incidents = incidents::read(&mut transaction, &known.monitors).await?;
        Ok((ResultsTransaction { transaction, chained }, known))
    }

    /// Has these monitors checked now, as far as they have no check in flight. A hint, in a transaction of its own: who loses
    /// it is looked at when its slot comes.
    pub async fn check_now(&self, monitors: &[MonitorId]) -> Result<()> {
        if monitors.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(include_str!("../queries/check_now.sql"));
        bind!(query, monitors).execute(&self.sessions).await?;
        Ok(())
    }
}

impl ResultsTransaction {
    /// Loads what the batch's events happen in: one statement for each kind that there is. The incidents are written on the
    /// way, for their names.
    pub async fn surroundings(&mut self, needs: Needs) -> Result<Surroundings> {
        let opened = incidents::write(&mut self.transaction, &needs).await?;
        surroundings::load(&mut self.transaction, needs, opened).await
    }

    /// Writes everything. After this the batch has happened.
    pub async fn commit(mut self, decisions: &Decisions) -> Result<()> {
        let Decisions { outcomes, awaited, timeline, certificates, notices, .. } = decisions;
        let connection = &mut self.transaction;
        let latest = latest(outcomes);
        locations::restart_waiting(connection, awaited).await?;
        insert::insert_events(connection, timeline, certificates).await?;
        insert::insert_results(connection, outcomes).await?;
        states::update(connection, &latest).await?;
        locations::update(connection, &latest).await?;
        insert::follow_up(connection, &latest, &self.chained).await?;
        // Last: it locks the channels.
        notifications::enqueue_all(connection, notices).await?;
        self.transaction.commit().await
    }
}

/// The last outcome of each monitor. All of a batch ran in one place.
fn latest(outcomes: &[Outcome]) -> Vec<&Outcome> {
    let mut seen = HashSet::new();
    let mut latest: Vec<_> = outcomes.iter().rev().filter(|one| seen.insert(one.check.monitor.id)).collect();
    latest.reverse();
    latest
}

/// Why a check did not find its target as it should be.
fn message(report: &CheckReport) -> Option<&str> {
    report.trouble().map(|trouble| trouble.message.as_str())
}
