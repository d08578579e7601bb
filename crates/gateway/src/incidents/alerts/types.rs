//! Alerts, and what became of those that came in.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use incident::alert as domain;
use kernel::id::prefix;
use store::query::Row;

use super::AlertRule;
use crate::connection::connection;
use crate::incidents::Incident;
use crate::loaders;
use crate::people::scalars::Url;
use crate::scalars::{DateTime, id_of};
use crate::tickets::events::Event;
use crate::tickets::types::word as word_of;
use crate::tickets::words::word;
use crate::user_error::UserError;

word! {
    /// Whether an alert is going on.
    AlertStatus = domain::AlertStatus {
        /// It is.
        Firing = "FIRING",
        /// It is over.
        Resolved = "RESOLVED",
    }
}

word! {
    /// What became of an alert.
    AlertOutcome = domain::AlertOutcome {
        /// It opened an incident.
        Created = "CREATED",
        /// It joined an open incident.
        Joined = "JOINED",
        /// It was firing already, and was counted once more.
        Repeated = "REPEATED",
        /// It reopened an incident that had been resolved a moment ago.
        Reopened = "REOPENED",
        /// It is over; other alerts still fire on its incident, or the incident waits for a person.
        Ended = "ENDED",
        /// It is over, and with it its incident was resolved.
        Resolved = "RESOLVED",
        /// It is over, and was not firing: nothing was done.
        NotFiring = "NOT_FIRING",
        /// It was refused; `userErrors` says why.
        Refused = "REFUSED",
    }
}

/// A label of an alert.
#[derive(Clone, Debug, SimpleObject)]
pub struct AlertLabel {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An alert, on the incident that it belongs to.
#[derive(Clone)]
pub struct Alert(Arc<Row>);

impl Alert {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// An alert, on the incident that it belongs to. For those with `ticket.internal` on the incident.
#[Object]
impl Alert {
    /// The alert's id, such as `alt_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::ALERT, self.0.id())
    }

    /// By which monitoring means the same alert again.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// Whether it is going on.
    pub fn status(&self) -> AlertStatus {
        word_of(&self.0, "status", AlertStatus::parse, AlertStatus::Resolved)
    }

    /// What is wrong, in a line.
    pub fn title(&self) -> String {
        self.0.text("title")
    }

    /// How bad monitoring took it to be, in its own words.
    pub fn severity(&self) -> Option<String> {
        self.0.optional_text("severity")
    }

    /// Where it came from.
    pub fn source(&self) -> Option<String> {
        self.0.optional_text("source")
    }

    /// What else described it, at most 64 labels, by name.
    pub fn labels(&self) -> Vec<AlertLabel> {
        let labels: BTreeMap<String, String> =
            serde_json::from_value(self.0.get("labels").to_json()).unwrap_or_default();
        labels.into_iter().map(|(name, value)| AlertLabel { name, value }).collect()
    }

    /// Where to look further.
    pub fn url(&self) -> Option<Url> {
        self.0.optional_text("url").map(Url)
    }

    /// How often it was told.
    pub fn occurrences(&self) -> i32 {
        i32::try_from(self.0.int("occurrences")).unwrap_or(i32::MAX)
    }

    /// When it began, by the clock of monitoring.
    pub fn starts_at(&self) -> Option<DateTime> {
        self.0.get("startsAt").as_time().map(DateTime)
    }

    /// When it was told first.
    pub fn first_seen_at(&self) -> DateTime {
        DateTime(self.0.time("firstSeenAt"))
    }

    /// When it was told last.
    pub fn last_seen_at(&self) -> DateTime {
        DateTime(self.0.time("lastSeenAt"))
    }

    /// When it was over.
    pub fn ended_at(&self) -> Option<DateTime> {
        self.0.get("endedAt").as_time().map(DateTime)
    }

    /// The incident that it belongs to.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        match self.0.get("incident").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Incident::from_row)),
            None => Ok(None),
        }
    }

    /// The rule that led it there; null without `configuration.read`.
    pub async fn rule(&self, ctx: &Context<'_>) -> Result<Option<AlertRule>> {
        match self.0.get("rule").as_id() {
            Some(id) => Ok(loaders::alert_rule(ctx, id).await?.map(AlertRule::from_row)),
            None => Ok(None),
        }
    }
}

connection! {
    /// A page of alerts.
    AlertConnection, AlertEdge, Alert
}

/// What became of one alert.
pub struct AlertIngestResult(pub(super) incident::AlertResult);

/// What became of one alert of a call.
#[Object]
impl AlertIngestResult {
    /// What was done.
    pub fn outcome(&self) -> AlertOutcome {
        AlertOutcome::parse(self.0.outcome.as_str()).unwrap_or(AlertOutcome::Refused)
    }

    /// The incident that it belongs to, as it is now; null when there is none, and when the viewer may not see it.
    pub async fn incident(&self, ctx: &Context<'_>) -> Result<Option<Incident>> {
        match self.0.incident {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Incident::from_row)),
            None => Ok(None),
        }
    }

    /// The alert as it is now; null when there is none, and when the viewer may not see it.
    pub async fn alert(&self, ctx: &Context<'_>) -> Result<Option<Alert>> {
        match self.0.alert {
            Some(id) => Ok(loaders::alert(ctx, id).await?.map(Alert::from_row)),
            None => Ok(None),
        }
    }

    /// Why it was refused; paths begin at the alert.
    pub fn user_errors(&self) -> Vec<UserError> {
        self.0.errors.iter().cloned().map(UserError::from).collect()
    }
}

/// What became of the alerts of a call.
#[derive(SimpleObject)]
pub struct AlertIngestPayload {
    /// What became of each alert, in their order; null when it was not done.
    pub results: Option<Vec<AlertIngestResult>>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend about the call as a whole.
    pub user_errors: Vec<UserError>,
}
