//! What events of tasks and of those who follow a ticket show.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use serde_json::Value as JsonValue;

use super::EventView;
use crate::people::User;
use crate::tickets::links::named_tickets;
use crate::tickets::types::Ticket;

/// What the event of a new task shows.
pub(super) struct TaskFields(pub(super) Arc<EventView>);

#[Object]
impl TaskFields {
    /// The key of the transition of the task's parent whose effect it is; null when somebody added it.
    pub async fn transition(&self) -> Option<&str> {
        self.0.payload_text("transition")
    }
}

/// What the event of a task's dependencies shows.
pub(super) struct DependenciesFields(pub(super) Arc<EventView>);

#[Object]
impl DependenciesFields {
    /// All that it depends on since, as far as the viewer may see them; at most 100.
    pub async fn depends_on(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
        let named = self.0.payload_list("dependsOn").iter().filter_map(JsonValue::as_str).collect();
        named_tickets(ctx, named).await
    }
}

/// What events of a watcher show.
pub(super) struct WatcherFields(pub(super) Arc<EventView>);

#[Object]
impl WatcherFields {
    /// Who.
    pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        self.0.payload_user(ctx, "user").await
    }
}
