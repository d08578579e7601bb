//! Batches of calendars, policies and clocks, and of what is agreed on service levels.

use agreement::{AGREEMENT, REVIEW};
use async_graphql::Context;
use kernel::Uuid;
use sla::fields::{CALENDAR, SLA_POLICY};
use store::query::Row;

use super::batch::{Loaders, belonging, by_field, by_id, by_ticket};

/// A calendar by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn calendar(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, CalendarKey(id)).await
}

/// A policy of service levels by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn sla_policy(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, PolicyKey(id)).await
}

/// The clocks of a ticket that the viewer may see, with their policies, in the order in which they started.
///
/// # Errors
/// As [`super::actor`].
pub async fn sla_clocks(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, ClocksKey(ticket)).await
}

/// An agreement by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn agreement(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AgreementKey(id)).await
}

/// A service review by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn review(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ReviewKey(id)).await
}

/// Which tasks came out of a review.
///
/// # Errors
/// As [`super::actor`].
pub async fn review_actions(ctx: &Context<'_>, review: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, ReviewActionsKey(review)).await
}

by_id!(CalendarKey, &CALENDAR, &[]);
by_id!(PolicyKey, &SLA_POLICY, &[]);
belonging!(ClocksKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.levels.clocks_of(&batch.ctx()?, tickets).await?)
});
by_id!(AgreementKey, &AGREEMENT, &[]);
by_id!(ReviewKey, &REVIEW, &[]);
belonging!(ReviewActionsKey, Vec<Row>, |batch, reviews| {
    by_field("review", batch.platform.agreements.actions_of(&batch.ctx()?, reviews).await?)
});
