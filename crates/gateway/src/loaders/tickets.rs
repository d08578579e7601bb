//! Batches of tickets: the tickets, their tasks, and what ties them to others.

use std::collections::HashMap;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use kernel::{Error, PageDirection, Result, Uuid};
use serde_json::Value as Json;
use store::query::{Count, Row};
use ticket::fields::{CATEGORY, TICKET};

use super::batch::{Batch, Loaders, belonging, by_ends, by_field, by_id, by_ticket, ends};

/// A ticket of any kind by its id, with its to-one relations.
///
/// # Errors
/// As [`super::actor`].
pub async fn ticket(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TicketKey(id)).await
}

/// A category by its id, with its parent.
///
/// # Errors
/// As [`super::actor`].
pub async fn category(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, CategoryKey(id)).await
}

/// The first or last `limit` tasks of a ticket, oldest first.
///
/// # Errors
/// As [`super::actor`].
pub async fn tasks(
    ctx: &Context<'_>,
    ticket: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, TasksKey::of(ticket, direction, limit)).await
}

/// What a task depends on.
///
/// # Errors
/// As [`super::actor`].
pub async fn dependencies(ctx: &Context<'_>, task: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, DependenciesKey(task)).await
}

/// The links of a ticket, those that leave from it first, each with the ticket at the other end.
///
/// # Errors
/// As [`super::actor`].
pub async fn links(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, LinksKey(ticket)).await
}

/// The merges into a ticket, in the order in which they were made.
///
/// # Errors
/// As [`super::actor`].
pub async fn merges(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, MergesKey(ticket)).await
}

/// The watchers of a ticket, with the users.
///
/// # Errors
/// As [`super::actor`].
pub async fn watchers(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, WatchersKey(ticket)).await
}

/// What a ticket is called in other systems.
///
/// # Errors
/// As [`super::actor`].
pub async fn external_refs(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, ExternalRefsKey(ticket)).await
}

/// How many tickets a filter document finds for the viewer; `None` for one that they cannot use.
///
/// # Errors
/// As [`super::actor`].
pub async fn filter_count(ctx: &Context<'_>, document: &Json) -> async_graphql::Result<Option<Count>> {
    Loaders::one(ctx, FilterCountKey(document.to_string())).await
}

/// What a ticket of any kind is read with: its edges, and the fields of its kind, without which they would read as absent.
const TICKET_RELATIONS: &[&str] =
    &["category", "requester", "openedBy", "service", "team", "assignee", "incident", "task", "problem"];

by_id!(TicketKey, &TICKET, TICKET_RELATIONS);
by_id!(CategoryKey, &CATEGORY, &["parent"]);
ends!(TasksKey, "parent", |batch, tickets, direction, limit| {
    batch.platform.tickets.tasks_of(&batch.ctx()?, tickets, direction, limit).await?
});
belonging!(DependenciesKey, Vec<Row>, |batch, tasks| {
    by_field("task", batch.platform.tickets.dependencies_of(&batch.ctx()?, tasks).await?)
});
belonging!(LinksKey, Vec<Row>, |batch, tickets| {
    by_ends(batch.platform.tickets.links_of(&batch.ctx()?, tickets).await?)
});
belonging!(MergesKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.tickets.merges_of(&batch.ctx()?, tickets).await?)
});
belonging!(WatchersKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.tickets.watchers_of(&batch.ctx()?, tickets).await?)
});
belonging!(ExternalRefsKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.tickets.external_refs_of(&batch.ctx()?, tickets).await?)
});

/// A filter document, as the text of its JSON.
#[derive(Clone, PartialEq, Eq, Hash)]
struct FilterCountKey(String);

impl Loader<FilterCountKey> for Batch {
    type Value = Count;
    type Error = Error;

    async fn load(&self, keys: &[FilterCountKey]) -> Result<HashMap<FilterCountKey, Count>> {
        let documents = keys.iter().map(|key| serde_json::from_str(&key.0).map_err(Error::internal));
        let documents = documents.collect::<Result<Vec<Json>>>()?;
        let counts = self.platform.tickets.count_documents(&self.ctx()?, &documents).await?;
        Ok(keys.iter().cloned().zip(counts).filter_map(|(key, count)| Some((key, count?))).collect())
    }
}
