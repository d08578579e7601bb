//! Batches of approvals, their steps and votes.

use async_graphql::Context;
use kernel::Uuid;
use store::query::Row;
use ticket::approval::fields::APPROVAL;

use super::batch::{Loaders, belonging, by_field, by_id, by_ticket};

/// An approval by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn approval(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ApprovalKey(id)).await
}

/// The approvals of a ticket, oldest first.
///
/// # Errors
/// As [`super::actor`].
pub async fn approvals(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, ApprovalsKey(ticket)).await
}

/// The steps of an approval, in order.
///
/// # Errors
/// As [`super::actor`].
pub async fn approval_steps(ctx: &Context<'_>, approval: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, ApprovalStepsKey(approval)).await
}

/// The votes on all steps of an approval.
///
/// # Errors
/// As [`super::actor`].
pub async fn approval_votes(ctx: &Context<'_>, approval: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, ApprovalVotesKey(approval)).await
}

by_id!(ApprovalKey, &APPROVAL, &[]);
belonging!(ApprovalsKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.tickets.approvals_of(&batch.ctx()?, tickets).await?)
});
belonging!(ApprovalStepsKey, Vec<Row>, |batch, approvals| {
    by_field("approval", batch.platform.tickets.approval_steps_of(&batch.ctx()?, approvals).await?)
});
belonging!(ApprovalVotesKey, Vec<Row>, |batch, approvals| {
    by_field("approval", batch.platform.tickets.approval_votes_of(&batch.ctx()?, approvals).await?)
});
