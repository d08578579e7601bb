//! A clock as it is kept: where the fold stands, and which escalations have fired.

use chrono::Duration;
use kernel::{Error, Result, Timestamp, Uuid};
use predicate::Value;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::query::Row;

use crate::clock::Clock;
use crate::fields::SLA_CLOCK;
use crate::model::{Cause, ClockState, Metric, Phase, PolicyKind};
use crate::segments::Segments;

/// A clock with what the log does not tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredClock {
    /// Its id.
    pub id: Uuid,
    /// The ticket that it stands on.
    pub ticket: Uuid,
    /// Where it stands.
    pub clock: Clock,
    /// What has fired, in the order in which it did.
    pub fired: Vec<Fired>,
    /// The state when it was written, for filters.
    pub state: ClockState,
}

/// An escalation that has fired, or the breach that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fired {
    /// Which: [`crate::policy::EscalationTime::key`], or [`BREACH`].
    pub key: String,
    /// When it was due.
    pub due_at: Timestamp,
    /// When it fired; absent for what was over when the ticket was imported, and never fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
}

/// The key of the breach among what has fired.
pub const BREACH: &str = "breach";

impl StoredClock {
    /// Whether this has fired already.
    pub fn has_fired(&self, key: &str) -> bool {
        self.fired.iter().any(|fired| fired.key == key)
    }

    /// The row that [`Self::from_row`] reads.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_row(&self) -> Result<Row> {
        let clock = &self.clock;
        let micros = |length: Duration| length.num_microseconds().unwrap_or(i64::MAX);
        Ok(Row::new(
            &SLA_CLOCK,
            vec![
                ("id", self.id.into()),
                ("ticket", self.ticket.into()),
                ("policy", clock.policy.into()),
                ("policyVersion", clock.policy_version.into()),
                ("kind", clock.kind.as_str().into()),
                ("metric", clock.metric.as_str().into()),
                ("ordinal", clock.ordinal.into()),
                ("about", clock.about.into()),
                ("phase", clock.phase.as_str().into()),
                ("state", self.state.as_str().into()),
                ("late", clock.late.into()),
                ("startedAt", clock.started_at.into()),
                ("dueAt", clock.due_at.into()),
                ("stoppedAt", clock.stopped_at.into()),
                ("breachedAt", clock.breached_at.into()),
                ("target", Value::Int(clock.target.num_seconds())),
                ("calendar", clock.calendar.0.into()),
                ("calendarVersion", clock.calendar.1.into()),
                ("elapsed", Value::Int(micros(clock.elapsed))),
                ("ended", clock.ended.map(Cause::as_str).map(str::to_owned).into()),
                ("segments", clock.segments.to_text()?.into()),
                ("fired", Value::Json(json!(self.fired))),
            ],
        ))
    }

    /// Reads a row with all fields.
    ///
    /// # Errors
    /// `INTERNAL` for one that this program did not write.
    pub fn from_row(row: &Row) -> Result<Self> {
        let broken = |what: &str| Error::internal(format!("a clock has an unreadable {what}"));
        let number = |name: &str| i32::try_from(row.int(name)).map_err(|_| broken(name));
        let clock = Clock {
            policy: row.get("policy").as_id().ok_or_else(|| broken("policy"))?,
            policy_version: number("policyVersion")?,
            kind: PolicyKind::parse(&row.text("kind")).ok_or_else(|| broken("kind"))?,
            metric: Metric::parse(&row.text("metric")).ok_or_else(|| broken("metric"))?,
            ordinal: number("ordinal")?,
            about: row.get("about").as_id(),
            phase: Phase::parse(&row.text("phase")).ok_or_else(|| broken("phase"))?,
            late: row.bool("late"),
            started_at: row.time("startedAt"),
            due_at: row.get("dueAt").as_time(),
            stopped_at: row.get("stoppedAt").as_time(),
            breached_at: row.get("breachedAt").as_time(),
            target: Duration::seconds(row.int("target")),
            calendar: (row.get("calendar").as_id().ok_or_else(|| broken("calendar"))?, number("calendarVersion")?),
            elapsed: Duration::microseconds(row.int("elapsed")),
            segments: segments(row)?,
            ended: row.optional_text("ended").as_deref().and_then(Cause::parse),
        };
        Ok(Self {
            id: row.id(),
            ticket: row.get("ticket").as_id().ok_or_else(|| broken("ticket"))?,
            state: ClockState::parse(&row.text("state")).ok_or_else(|| broken("state"))?,
            fired: document(row, "fired")?,
            clock,
        })
    }
}

/// The segments of a row, all of which can be read.
fn segments(row: &Row) -> Result<Segments> {
    let segments = Segments::stored(&row.text("segments"))?;
    segments.read()?;
    Ok(segments)
}

/// A JSON field of a row, as what it was written from.
pub(crate) fn document<T: DeserializeOwned>(row: &Row, field: &str) -> Result<T> {
    serde_json::from_value(row.get(field).to_json()).map_err(Error::internal)
}
