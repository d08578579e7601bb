//! What events of recurring tickets show.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::EventView;
use crate::loaders;
use crate::scalars::DateTime;
use crate::tickets::recurring_tickets::RecurringTicket;

/// What events of runs show alike.
struct RunFields(Arc<EventView>);

#[Object]
impl RunFields {
    /// The recurring ticket; null when it was deleted since, and without `template.read`.
    pub async fn recurring_ticket(&self, ctx: &Context<'_>) -> Result<Option<RecurringTicket>> {
        Ok(loaders::recurring_ticket(ctx, self.0.subject).await?.map(RecurringTicket::from_row))
    }
}

/// What the event of runs that were left out shows.
pub(super) struct RunsSkippedFields(pub(super) Arc<EventView>);

#[Object]
impl RunsSkippedFields {
    #[graphql(flatten)]
    fn run(&self) -> RunFields {
        RunFields(self.0.clone())
    }

    /// How many.
    pub async fn count(&self) -> i32 {
        self.0.payload_count("count")
    }

    /// When the first of them was due.
    pub async fn from(&self) -> Option<DateTime> {
        self.0.payload_time("from")
    }

    /// When the last of them was due.
    pub async fn to(&self) -> Option<DateTime> {
        self.0.payload_time("to")
    }
}

/// What the event of a run that failed shows.
pub(super) struct RunFailedFields(pub(super) Arc<EventView>);

#[Object]
impl RunFailedFields {
    #[graphql(flatten)]
    fn run(&self) -> RunFields {
        RunFields(self.0.clone())
    }

    /// When it was due.
    pub async fn due_at(&self) -> Option<DateTime> {
        self.0.payload_time("dueAt")
    }

    /// Why, for people.
    pub async fn message(&self) -> Option<&str> {
        self.0.payload_text("message")
    }
}
