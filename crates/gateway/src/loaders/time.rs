//! Batches of time that was worked, and of what it costs.

use std::collections::HashMap;

use async_graphql::Context;
use async_graphql::dataloader::Loader;
use kernel::{Error, PageDirection, Result, Uuid};
use store::query::Row;
use ticket::time::fields::{LABOUR_RATE, TIME_ENTRY};

use super::batch::{Batch, Loaders, by_id, ends};

/// A time entry by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn time_entry(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TimeEntryKey(id)).await
}

/// The first or last `limit` time entries of a ticket, in the order in which they were written down, with their users.
///
/// # Errors
/// As [`super::actor`].
pub async fn time_entries(
    ctx: &Context<'_>,
    ticket: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, TimeEntriesKey::of(ticket, direction, limit)).await
}

/// A labour rate by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn labour_rate(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, LabourRateKey(id)).await
}

/// The currency that all amounts of the tenant are in; `None` as long as there is none.
///
/// # Errors
/// As [`super::actor`].
pub async fn currency(ctx: &Context<'_>) -> async_graphql::Result<Option<String>> {
    Loaders::one(ctx, CurrencyKey).await
}

by_id!(TimeEntryKey, &TIME_ENTRY, &["user"]);
ends!(TimeEntriesKey, "ticket", |batch, tickets, direction, limit| {
    batch.platform.tickets.time_entries_of(&batch.ctx()?, tickets, direction, limit).await?
});
by_id!(LabourRateKey, &LABOUR_RATE, &[]);

/// There is one for all of a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CurrencyKey;

impl Loader<CurrencyKey> for Batch {
    type Value = String;
    type Error = Error;

    async fn load(&self, _: &[CurrencyKey]) -> Result<HashMap<CurrencyKey, String>> {
        let currency = self.platform.tickets.currency(&self.ctx()?).await?;
        Ok(currency.into_iter().map(|currency| (CurrencyKey, currency)).collect())
    }
}
