//! Time entries in the API.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Page, Uuid};
use predicate::Predicate;
use serde_json::Value as JsonValue;
use store::query::{OrderTerm, Row, Slice};
use ticket::queries::ListRequest;
use ticket::time::fields::TIME_ENTRY;

use super::{LabourRate, Money};
use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::scalars::{Date, DateTime, Duration, Markdown, id_of};
use crate::tickets::types::Ticket;

/// Time that somebody worked on a ticket.
#[derive(Clone)]
pub struct TimeEntry(Arc<Row>);

impl TimeEntry {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// Time that somebody worked on a ticket. For those with `ticket.internal` on it.
#[Object]
impl TimeEntry {
    /// The entry's id, such as `tme_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::TIME_ENTRY, self.0.id())
    }

    /// The ticket that was worked on.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.0.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// Who worked.
    pub async fn user(&self, ctx: &Context<'_>) -> Result<User> {
        let row = match self.0.relation("user") {
            Some(row) => Some(row.clone()),
            None => match self.0.get("user").as_id() {
                Some(id) => loaders::actor(ctx, id).await?,
                None => None,
            },
        };
        Ok(User::from_row(row.ok_or_else(|| kernel::Error::internal("the user of a time entry is missing"))?))
    }

    /// Who wrote it down.
    pub async fn recorded_by(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = match self.0.get("recordedBy").as_id() {
            Some(id) => loaders::actor(ctx, id).await?,
            None => None,
        };
        Ok(Actor::from_row(row.ok_or_else(|| kernel::Error::internal("who wrote a time entry is missing"))?))
    }

    /// The ticket's team when it was written down, whose rate it may have.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// When the work began.
    pub fn started_at(&self) -> DateTime {
        DateTime(self.0.time("startedAt"))
    }

    /// The day in UTC on which it began: whose rate holds, and to whose 24 hours it counts.
    pub fn worked_on(&self) -> Date {
        Date(self.0.text("workedOn"))
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::of_seconds(self.0.int("duration"))
    }

    /// Whether it is billed.
    pub fn billable(&self) -> bool {
        self.0.bool("billable")
    }

    /// What was done.
    pub fn note(&self) -> Option<Markdown> {
        self.0.optional_text("note").map(Markdown)
    }

    /// Whether a rate held for it; false: it has no amount. Null without `cost.read` on the ticket.
    pub fn costed(&self) -> Option<bool> {
        self.0.get("costed").as_bool()
    }

    /// The rate that it was written down with. Null without `rate.read`, and without `cost.read` on the ticket.
    pub async fn rate(&self, ctx: &Context<'_>) -> Result<Option<LabourRate>> {
        match self.0.get("rate").as_id() {
            Some(id) => Ok(loaders::labour_rate(ctx, id).await?.map(LabourRate::from_row)),
            None => Ok(None),
        }
    }

    /// What an hour cost by that rate when it was written down. Null without `cost.read` on the ticket.
    pub fn hourly(&self) -> Option<Money> {
        Money::from_row(&self.0, "hourly")
    }

    /// What it costs: so it stays, whatever becomes of the rate. Null when no rate held for it, and without `cost.read` on the ticket.
    pub fn amount(&self) -> Option<Money> {
        Money::from_row(&self.0, "amount")
    }

    /// Rises by one with each correction. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was written down.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was corrected last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of time entries.
    TimeEntryConnection, TimeEntryEdge, TimeEntry
}

/// The time entries of a ticket: batched over all tickets of the answer, unless the page has a place in the list.
pub async fn of_ticket(ctx: &Context<'_>, ticket: Uuid, page: Page) -> Result<TimeEntryConnection> {
    let filter = Predicate::eq("ticket", ticket);
    let counted = Some((&TIME_ENTRY, filter.clone()));
    let order = vec![OrderTerm { field: "createdAt".into(), descending: false, nulls_first: false }];
    let asks_for_place = {
        let selection = ctx.look_ahead();
        selection.field("pageInfo").exists() || selection.field("edges").exists()
    };
    if page.after.is_none() && page.before.is_none() && !asks_for_place {
        let rows = loaders::time_entries(ctx, ticket, page.direction, page.limit).await?;
        let slice = Slice { rows, ..Slice::default() };
        return Ok(TimeEntryConnection::new(slice, counted, None));
    }
    let request = ListRequest { record: &TIME_ENTRY, filter, order, page, relations: vec!["user"] };
    let slice = platform(ctx).tickets.list(&viewer(ctx)?, request).await?;
    Ok(TimeEntryConnection::new(slice, counted, None))
}

/// An entry by its id, if the viewer may see it.
pub async fn find(ctx: &Context<'_>, entry: Uuid) -> Result<Option<TimeEntry>> {
    Ok(loaders::time_entry(ctx, entry).await?.map(TimeEntry::from_row))
}

/// What a time entry said when an event told of it.
#[derive(SimpleObject)]
pub struct TimeEntryState {
    /// When the work began.
    pub started_at: DateTime,
    /// How long it took.
    pub duration: Duration,
    /// Whether it was billed.
    pub billable: bool,
    /// What it cost. Null when no rate held for it, and without `cost.read` on the ticket.
    pub amount: Option<Money>,
}

impl TimeEntryState {
    /// Of the part of an event's payload that tells of it; `None` when there is none. `costs`: whether the viewer may know what it cost.
    pub fn of(told: Option<&JsonValue>, costs: bool) -> Option<Self> {
        let told = told?;
        let started_at = serde_json::from_value(told.get("startedAt")?.clone()).ok()?;
        let amount = told.get("amount").and_then(JsonValue::as_i64).filter(|_| costs);
        let currency = told.get("currency").and_then(JsonValue::as_str);
        Some(Self {
            started_at: DateTime(started_at),
            duration: Duration::of_seconds(told.get("duration")?.as_i64()?),
            billable: told.get("billable")?.as_bool()?,
            amount: amount.zip(currency).map(|(amount, currency)| Money::of(amount, currency.to_owned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_entry_cost_is_told_to_those_who_may_know_it() {
        let told = json!({
            "startedAt": "2026-03-01T09:00:00.000000Z", "duration": 5_400, "billable": true, "amount": 1_275_000, "currency": "EUR",
        });
        let seen = |costs| TimeEntryState::of(Some(&told), costs).unwrap();
        assert_eq!(seen(true).amount, Some(Money::of(1_275_000, "EUR".into())));
        assert_eq!(seen(false).amount, None);
        assert_eq!(seen(false).duration, Duration("PT1H30M".into()));
        assert!(TimeEntryState::of(Some(&JsonValue::Null), true).is_none());
        assert!(TimeEntryState::of(None, true).is_none());
    }
}
