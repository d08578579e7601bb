//! Batches of services and configuration items, and of what is about them.

use async_graphql::Context;
use configuration::{ITEM, SERVICE};
use kernel::Uuid;
use store::query::Row;

use super::batch::{Loaders, belonging, by_ends, by_id, by_ticket};

/// A service by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn service(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ServiceKey(id)).await
}

/// A configuration item by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn configuration_item(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ItemKey(id)).await
}

/// The relations of a configuration item, those that leave from it first, each with the item at the other end.
///
/// # Errors
/// As [`super::actor`].
pub async fn relations(ctx: &Context<'_>, item: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, RelationsKey(item)).await
}

/// The configuration items that a ticket is about, with the items.
///
/// # Errors
/// As [`super::actor`].
pub async fn ticket_items(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, TicketItemsKey(ticket)).await
}

by_id!(ServiceKey, &SERVICE, &[]);
by_id!(ItemKey, &ITEM, &[]);
belonging!(RelationsKey, Vec<Row>, |batch, items| {
    by_ends(batch.platform.tickets.configuration().relations_of(&batch.ctx()?, items).await?)
});
belonging!(TicketItemsKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.tickets.items_of(&batch.ctx()?, tickets).await?)
});
