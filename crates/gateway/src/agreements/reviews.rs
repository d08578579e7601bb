//! Service reviews as the API shows them.

use std::sync::Arc;

use agreement::Figure;
use async_graphql::{Context, Enum, ID, Object, Result};
use futures_util::future::try_join_all;
use kernel::Id;
use kernel::id::prefix;
use serde_json::json;
use store::query::Row;

use super::types::{ServiceAgreement, agreement_of, markdown, optional_time, policy_of, version};
use crate::connection::connection;
use crate::loaders;
use crate::people::{Actor, User};
use crate::scalars::{DateTime, Json, Markdown, id_of};
use crate::service_levels::attainment::{count, share};
use crate::service_levels::types::{SlaMetric, SlaPolicy};
use crate::tasks::Task;
use crate::tickets::types::word as word_of;
use crate::tickets::words::{Priority, word};

word! {
    /// Whether a review can still be written.
    ServiceReviewState = agreement::ReviewState {
        /// It is being prepared or held.
        Open = "OPEN",
        /// It is over; nothing of it changes any more.
        Closed = "CLOSED",
    }
}

/// A look at how an agreement was kept over a time that is over.
#[derive(Clone)]
pub struct ServiceReview(Arc<Row>);

impl ServiceReview {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn all_figures(&self) -> Vec<Figure> {
        serde_json::from_value(self.0.get("figures").to_json()).unwrap_or_default()
    }

    fn sums(&self) -> (i64, i64) {
        let add = |(met, breached): (i64, i64), figure: &Figure| (met + figure.met, breached + figure.breached);
        self.all_figures().iter().fold((0, 0), add)
    }
}

/// A look at how an agreement was kept over a time that is over. Its figures are those of the moment when it was made, of all tickets
/// of the agreement. For those with `agreement.read`.
#[Object]
impl ServiceReview {
    /// The review's id, such as `rev_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::SERVICE_REVIEW, self.0.id())
    }

    /// The agreement.
    pub async fn agreement(&self, ctx: &Context<'_>) -> Result<Option<ServiceAgreement>> {
        agreement_of(ctx, self.0.get("agreement").as_id()).await
    }

    /// Clocks that ended from this instant on were counted.
    pub fn since(&self) -> DateTime {
        DateTime(self.0.time("since"))
    }

    /// Clocks that ended before this instant were counted.
    pub fn until(&self) -> DateTime {
        DateTime(self.0.time("until"))
    }

    /// When it takes place.
    pub fn held_at(&self) -> Option<DateTime> {
        optional_time(&self.0, "heldAt")
    }

    /// Who attends, at most 100.
    pub async fn attendees(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        let ids = agreement::queries::uuids(&self.0, "attendees", prefix::USER);
        let rows = try_join_all(ids.into_iter().map(|id| loaders::actor(ctx, id))).await?;
        Ok(rows.into_iter().flatten().map(Actor::from_row).filter_map(Actor::user).collect())
    }

    /// What was said.
    pub fn minutes(&self) -> Option<Markdown> {
        markdown(&self.0, "minutes")
    }

    /// Whether it can still be written.
    pub fn state(&self) -> ServiceReviewState {
        word_of(&self.0, "state", ServiceReviewState::parse, ServiceReviewState::Open)
    }

    /// The figures, by policy, metric and priority, those with the most clocks first; one without clocks is not there.
    pub fn figures(&self) -> Vec<ServiceReviewFigure> {
        let of = |figure| ServiceReviewFigure { figure, review: Arc::clone(&self.0) };
        self.all_figures().into_iter().map(of).collect()
    }

    /// How many clocks ended in time.
    pub fn met(&self) -> i32 {
        count(self.sums().0)
    }

    /// How many clocks ended late.
    pub fn breached(&self) -> i32 {
        count(self.sums().1)
    }

    /// How many of those that ended were in time, from 0 to 1; null without any.
    pub fn attainment(&self) -> Option<f64> {
        let (met, breached) = self.sums();
        share(met, breached)
    }

    /// The tasks that came out of it, as far as the viewer may see them, the oldest first; at most 100.
    pub async fn actions(&self, ctx: &Context<'_>) -> Result<Vec<Task>> {
        let rows = loaders::review_actions(ctx, self.0.id()).await?;
        let ids = rows.iter().filter_map(|row| row.get("task").as_id());
        let tasks = try_join_all(ids.map(|id| loaders::ticket(ctx, id))).await?;
        Ok(tasks.into_iter().flatten().map(Task::from_row).collect())
    }

    /// Rises by one with each change, not with its actions. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version(&self.0)
    }

    /// When it was made, and its figures counted.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of service reviews.
    ServiceReviewConnection, ServiceReviewEdge, ServiceReview
}

/// How many promises of one policy, metric and priority were kept.
pub struct ServiceReviewFigure {
    figure: Figure,
    review: Arc<Row>,
}

/// How many promises of one policy, metric and priority were kept.
#[Object]
impl ServiceReviewFigure {
    /// The policy; null when the viewer may not see it.
    pub async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        policy_of(ctx, Some(self.figure.policy)).await
    }

    /// What is measured.
    pub fn metric(&self) -> SlaMetric {
        SlaMetric::parse(self.figure.metric.as_str()).unwrap_or(SlaMetric::Resolution)
    }

    /// The tickets' priority when the review was made.
    pub fn priority(&self) -> Priority {
        Priority::parse(self.figure.priority.as_str()).unwrap_or(Priority::P3)
    }

    /// How many clocks ended in time.
    pub fn met(&self) -> i32 {
        count(self.figure.met)
    }

    /// How many clocks ended late.
    pub fn breached(&self) -> i32 {
        count(self.figure.breached)
    }

    /// How many of those that ended were in time, from 0 to 1.
    pub fn attainment(&self) -> Option<f64> {
        share(self.figure.met, self.figure.breached)
    }

    /// The clocks under the figure: a `SlaClockFilter`, as a variable of `slaClocks(filter:)`. What it lists is as it is now, as far as
    /// the viewer may see it.
    pub async fn filter(&self, ctx: &Context<'_>) -> Result<Json> {
        let agreement = self.review.get("agreement").as_id();
        let row = match agreement {
            Some(id) => loaders::agreement(ctx, id).await?,
            None => None,
        };
        let services = row.map(|row| row.texts("services")).unwrap_or_default();
        let policy = Id::new(prefix::SLA_POLICY, self.figure.policy).to_string();
        let (since, until) = (self.review.time("since").to_rfc3339(), self.review.time("until").to_rfc3339());
        Ok(Json(json!({
            "policy": { "id": { "eq": policy } },
            "metric": { "eq": self.figure.metric.as_str() },
            "state": { "in": ["MET", "BREACHED"] },
            "stoppedAt": { "gte": since, "lt": until },
            "ticket": {
                "priority": { "eq": self.figure.priority.as_str() },
                "service": { "id": { "in": services } },
            },
        })))
    }
}
