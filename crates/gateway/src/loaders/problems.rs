//! Batches of problems: the incidents that they cause, whom and how much work that cost, and the rules that find them.

use async_graphql::Context;
use kernel::{PageDirection, Uuid};
use problem::DETECTION_RULE;
use store::query::Row;
use ticket::statistics::Work;

use super::batch::{Loaders, belonging, by_field, by_id, ends};

/// The links with the first or last `limit` incidents of a problem, in the order in which they were linked.
///
/// # Errors
/// As [`super::actor`].
pub async fn incidents_of(
    ctx: &Context<'_>,
    problem: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, EffectsKey::of(problem, direction, limit)).await
}

/// The links with the problems of an incident.
///
/// # Errors
/// As [`super::actor`].
pub async fn problems_of(ctx: &Context<'_>, incident: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, CausesKey(incident)).await
}

/// How many people requested the incidents of a problem.
///
/// # Errors
/// As [`super::actor`].
pub async fn affected_users(ctx: &Context<'_>, problem: Uuid) -> async_graphql::Result<usize> {
    Loaders::or_default(ctx, AffectedKey(problem)).await
}

/// What the time that was worked on the incidents of a problem adds up to.
///
/// # Errors
/// As [`super::actor`].
pub async fn incident_work(ctx: &Context<'_>, problem: Uuid) -> async_graphql::Result<Work> {
    Loaders::or_default(ctx, IncidentWorkKey(problem)).await
}

/// A rule that finds problems by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn detection_rule(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, DetectionRuleKey(id)).await
}

ends!(EffectsKey, "target", |batch, problems, direction, limit| {
    batch.platform.problems.incidents_of(&batch.ctx()?, problems, direction, limit).await?
});
belonging!(CausesKey, Vec<Row>, |batch, incidents| {
    by_field("source", batch.platform.problems.problems_of(&batch.ctx()?, incidents).await?)
});
belonging!(AffectedKey, usize, |batch, problems| {
    batch.platform.problems.affected_users(&batch.ctx()?, problems).await?
});
belonging!(IncidentWorkKey, Work, |batch, problems| {
    batch.platform.problems.incident_work(&batch.ctx()?, problems).await?
});
by_id!(DetectionRuleKey, &DETECTION_RULE, &[]);
