//! An incident's whole story, in order: what the checks found, what was decided, who was told what and what came of each try,
//! and what people did.
//!
//! Each part is kept where it belongs (`check_results`, `incident_events`, `notifications`, `delivery_attempts`); here they
//! are put together for somebody who asks. Checks in a row that found the same are one entry, so a night of them is a line.

use crate::by_operator::{Notification, NotificationFilter, Try};
use crate::row::{Field, bind};
use crate::summaries::{IncidentFilter, IncidentSummary};
use crate::{Result, Store};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uptime_core::check::Outcome;
use uptime_core::id::{IncidentId, NotificationId};

/// So many rows of checks and so many notices are told, the first ones; a timeline that is longer says so.
const MOST: i64 = 1_000;

/// An incident and all that happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// What it is about, and how it is now.
    pub incident: IncidentSummary,
    /// What happened, in order.
    pub entries: Vec<TimelineEntry>,
    /// Rows of checks after the last one that is told.
    pub checks_left_out: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// When; of several checks, when the first of them began.
    pub at: Timestamp,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Checks in a row that found the same.
    Checks {
        /// Where they ran, for a monitor with locations.
        location: Option<String>,
        count: u64,
        /// When the last of them began.
        until: Timestamp,
        outcome: Outcome,
        /// Whether it was up and not as well as it should be.
        degraded: bool,
        class: Option<String>,
        /// What the first of them found.
        message: Option<String>,
        /// What the last of them found.
        last_message: Option<String>,
    },
    /// The incident changed, or somebody said something of it.
    Event {
        /// A word of `incident_events`.
        kind: String,
        /// Who did it; `None`: the monitor itself.
        who: Option<String>,
        note: Option<String>,
    },
    Notice(Notification),
    Try {
        notice: Notification,
        tried: Try,
    },
}

impl What {
    /// Of what has the same instant: checks cause events, events cause notices, notices are tried.
    fn rank(&self) -> u8 {
        match self {
            Self::Checks { .. } => 0,
            Self::Event { .. } => 1,
            Self::Notice(_) => 2,
            Self::Try { .. } => 3,
        }
    }
}

impl Store {
    /// The incident's timeline, if there is such an incident.
    pub async fn incident_timeline(&self, id: IncidentId) -> Result<Option<Timeline>> {
        let filter = IncidentFilter { id: Some(id), ..IncidentFilter::default() };
        let Some(incident) = self.incidents(filter, 1).await?.pop() else { return Ok(None) };
        let mut entries = self.incident_events(&incident).await?;
        let decided: Vec<Timestamp> = entries.iter().map(|entry| entry.at).collect();
        let (checks, checks_left_out) = self.incident_checks(&incident, &decided).await?;
        let of = NotificationFilter { incident: Some(id), ..NotificationFilter::default() };
        let notices = self.notifications(of, MOST).await?;
        let ids: Vec<NotificationId> = notices.iter().map(|notice| notice.id).collect();
        for (id, tried) in self.tries_of(&ids).await? {
            let notice = notices.iter().find(|notice| notice.id == id).cloned();
            entries.extend(
                notice
                    .map(|notice| TimelineEntry { at: tried.started_at, what: What::Try { notice, tried } }),
            );
        }
        entries.extend(checks);
        entries.extend(
            notices
                .into_iter()
                .rev()
                .map(|notice| TimelineEntry { at: notice.created_at, what: What::Notice(notice) }),
        );
        // Stable: what has the same instant and rank stays in the order in which it was written.
        entries.sort_by_key(|entry| (entry.at, entry.what.rank()));
        Ok(Some(Timeline { incident, entries, checks_left_out }))
    }

    /// What was decided and done, by time. Of an incident from before this was kept, its opening and its end.
    async fn incident_events(&self, incident: &IncidentSummary) -> Result<Vec<TimelineEntry>> {
        let query = "SELECT at, kind, who, note FROM incident_events WHERE incident_id = $1 ORDER BY id";
        let rows = bind!(sqlx::query(query), incident.id).fetch_all(&self.sessions).await?;
        let read = |row: &PgRow| {
            let (kind, who, note) = (row.try_get("kind")?, row.try_get("who")?, row.try_get("note")?);
            Ok(TimelineEntry { at: Field::read(row, "at")?, what: What::Event { kind, who, note } })
        };
        let mut entries = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        let known = |word: &str, entries: &[TimelineEntry]| {
            entries.iter().any(|entry| matches!(&entry.what, What::Event { kind, .. } if kind == word))
        };
        if !known("opened", &entries) {
            entries.insert(0, event(incident.opened_at, "opened", None));
        }
        let has_end = known("resolved", &entries) || known("unwatched", &entries);
        if let Some(at) = incident.resolved_at.filter(|_| !has_end) {
            entries.push(event(at, "resolved", incident.resolved_by.clone()));
        }
        Ok(entries)
    }

    /// What the checks found from the first failure to the end, and how many rows of them are left out.
    async fn incident_checks(
        &self,
        incident: &IncidentSummary,
        decided: &[Timestamp],
    ) -> Result<(Vec<TimelineEntry>, u64)> {
        let query = sqlx::query(include_str!("../../queries/incident_checks.sql"));
        let rows = bind!(query, incident.id, incident.started_at, incident.resolved_at, decided, MOST)
            .fetch_all(&self.sessions)
            .await?;
        let all = rows.first().map_or(Ok(0), |row| u64::read(row, "runs"))?;
        let entries = rows.iter().map(checks).collect::<Result<_, _>>()?;
        Ok((entries, all.saturating_sub(MOST.unsigned_abs())))
    }
}

fn checks(row: &PgRow) -> Result<TimelineEntry> {
    let what = What::Checks {
        location: row.try_get("location")?,
        count: Field::read(row, "checks")?,
        until: Field::read(row, "until")?,
        outcome: Field::read(row, "outcome")?,
        degraded: row.try_get("degraded")?,
        class: row.try_get("class")?,
        message: row.try_get("message")?,
        last_message: row.try_get("last_message")?,
    };
    Ok(TimelineEntry { at: Field::read(row, "at")?, what })
}

fn event(at: Timestamp, kind: &str, who: Option<String>) -> TimelineEntry {
    TimelineEntry { at, what: What::Event { kind: kind.into(), who, note: None } }
}
