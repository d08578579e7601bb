//! An event as one viewer may read it, and how its payload is read.

use async_graphql::{Context, Enum, Result, SimpleObject};
use kernel::Uuid;
use serde_json::Value as JsonValue;
use store::query::Row;

use crate::loaders;
use crate::people::{Actor, User};
use crate::scalars::{DateTime, Json};
use crate::tickets::links::named_ticket;
use crate::tickets::types::Ticket;

/// Through what an act came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum EventChannel {
    /// A signed-in session.
    Session,
    /// An API token.
    Token,
    /// The command line on the server.
    CommandLine,
    /// Deskwire itself: a timer or a reaction.
    System,
}

/// One field that an event changed.
#[derive(Clone, Debug, SimpleObject)]
pub struct FieldChange {
    /// The field's name; of a custom field `customFields.` and its key.
    pub field: String,
    /// Its value before; references are ids.
    pub before: Option<Json>,
    /// Its value after; references are ids.
    pub after: Option<Json>,
}

/// An event as one viewer may read it.
pub struct EventView {
    pub(in crate::tickets) id: Uuid,
    pub(in crate::tickets) cursor: Option<String>,
    pub(in crate::tickets) kind: String,
    pub(in crate::tickets) actor: kernel::Actor,
    pub(in crate::tickets) actor_row: Option<Row>,
    pub(in crate::tickets) channel: EventChannel,
    pub(in crate::tickets) subject: Uuid,
    pub(in crate::tickets) version: i32,
    pub(in crate::tickets) changes: Vec<FieldChange>,
    pub(in crate::tickets) payload: JsonValue,
    pub(in crate::tickets) occurred_at: kernel::Timestamp,
    pub(in crate::tickets) recorded_at: kernel::Timestamp,
}

impl EventView {
    pub(super) async fn actor(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = match &self.actor_row {
            Some(row) => Some(row.clone()),
            None => loaders::actor(ctx, self.actor.id).await?,
        };
        Ok(Actor::from_row(row.ok_or_else(|| kernel::Error::internal("an event's actor is missing"))?))
    }

    pub(super) fn payload_text(&self, name: &str) -> Option<&str> {
        self.payload.get(name)?.as_str()
    }

    pub(super) fn payload_id(&self, name: &str) -> Option<Uuid> {
        self.payload_text(name)?.parse().ok()
    }

    pub(super) fn payload_time(&self, name: &str) -> Option<DateTime> {
        serde_json::from_value(self.payload.get(name)?.clone()).ok().map(DateTime)
    }

    pub(super) fn payload_count(&self, name: &str) -> i32 {
        let count = self.payload.get(name).and_then(JsonValue::as_i64).unwrap_or_default();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    pub(super) fn payload_says(&self, name: &str) -> bool {
        self.payload.get(name) == Some(&JsonValue::Bool(true))
    }

    pub(super) fn payload_list(&self, name: &str) -> &[JsonValue] {
        self.payload.get(name).and_then(JsonValue::as_array).map_or(&[], Vec::as_slice)
    }

    pub(super) async fn payload_user(&self, ctx: &Context<'_>, name: &str) -> Result<Option<User>> {
        match self.payload_id(name) {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(User::from_row)),
            None => Ok(None),
        }
    }

    /// The ticket at the other end of what happened, as it is now; `None` when the viewer may not see it.
    pub(super) async fn other_ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        named_ticket(ctx, self.payload_text("ticket")).await
    }
}
