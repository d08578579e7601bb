//! What events of time entries show.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::EventView;
use crate::loaders;
use crate::people::User;
use crate::time::TimeEntry;
use crate::time::entries::{self, TimeEntryState};

/// What the entry said, as far as the viewer may know it.
async fn state(view: &EventView, ctx: &Context<'_>, name: &str) -> Result<Option<TimeEntryState>> {
    let ticket = loaders::ticket(ctx, view.subject).await?;
    let costs = ticket.is_some_and(|ticket| crate::time::cost::readable(&ticket));
    Ok(TimeEntryState::of(view.payload.get(name), costs))
}

/// What events of an entry that is there show alike.
struct TimeEntryFields(Arc<EventView>);

#[Object]
impl TimeEntryFields {
    /// The entry as it is now; null when it was taken away, and when the viewer may not see it.
    pub async fn time_entry(&self, ctx: &Context<'_>) -> Result<Option<TimeEntry>> {
        match self.0.payload_id("entry") {
            Some(id) => entries::find(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Whose time it is.
    pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "user").await
    }
}

/// What the event of a new entry shows.
pub(super) struct TimeEntryAddedFields(pub(super) Arc<EventView>);

#[Object]
impl TimeEntryAddedFields {
    #[graphql(flatten)]
    fn entry(&self) -> TimeEntryFields {
        TimeEntryFields(self.0.clone())
    }

    /// What the entry said.
    pub async fn after(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
        state(&self.0, ctx, "after").await
    }
}

/// What the event of a corrected entry shows.
pub(super) struct TimeEntryUpdatedFields(pub(super) Arc<EventView>);

#[Object]
impl TimeEntryUpdatedFields {
    #[graphql(flatten)]
    fn entry(&self) -> TimeEntryFields {
        TimeEntryFields(self.0.clone())
    }

    /// What the entry said before.
    pub async fn before(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
        state(&self.0, ctx, "before").await
    }

    /// What the entry said after.
    pub async fn after(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
        state(&self.0, ctx, "after").await
    }
}

/// What the event of an entry that was taken away shows.
pub(super) struct TimeEntryRemovedFields(pub(super) Arc<EventView>);

#[Object]
impl TimeEntryRemovedFields {
    /// Whose time it was.
    pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "user").await
    }

    /// What the entry had said.
    pub async fn before(&self, ctx: &Context<'_>) -> Result<Option<TimeEntryState>> {
        state(&self.0, ctx, "before").await
    }
}
