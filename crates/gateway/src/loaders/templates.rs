//! Batches of ticket templates, of recurring tickets and of their runs.

use async_graphql::Context;
use kernel::{PageDirection, Uuid};
use store::query::Row;
use ticket::recurring::fields::RECURRING_TICKET;
use ticket::template::fields::TICKET_TEMPLATE;

use super::batch::{Loaders, by_id, ends};

/// A ticket template by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn ticket_template(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TemplateKey(id)).await
}

/// A recurring ticket by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn recurring_ticket(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, RecurringKey(id)).await
}

/// The first or last `limit` runs of a recurring ticket, in the order of the times at which they were due.
///
/// # Errors
/// As [`super::actor`].
pub async fn recurring_runs(
    ctx: &Context<'_>,
    recurring: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, RunsKey::of(recurring, direction, limit)).await
}

by_id!(TemplateKey, &TICKET_TEMPLATE, &[]);
by_id!(RecurringKey, &RECURRING_TICKET, &[]);
ends!(RunsKey, "recurringTicket", |batch, recurring, direction, limit| {
    batch.platform.tickets.recurring_runs_of(&batch.ctx()?, recurring, direction, limit).await?
});
