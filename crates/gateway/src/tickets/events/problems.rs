//! What events of problems show.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};
use serde_json::Value as JsonValue;

use super::EventView;
use crate::tickets::links::named_tickets;
use crate::tickets::types::Ticket;

/// What the event of incidents that were linked with a problem shows.
pub(super) struct IncidentsLinkedFields(pub(super) Arc<EventView>);

#[Object]
impl IncidentsLinkedFields {
    /// Those that were linked, as they are now and as far as the viewer may see them; at most 100.
    pub async fn incidents(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
        let told = self.0.payload_list("incidents").iter();
        let linked = told.filter(|one| one.get("outcome").and_then(JsonValue::as_str) == Some("LINKED"));
        let named = linked.filter_map(|one| one.get("incident").and_then(JsonValue::as_str)).collect();
        named_tickets(ctx, named).await
    }
}

/// What the event of a published workaround shows.
pub(super) struct WorkaroundFields(pub(super) Arc<EventView>);

#[Object]
impl WorkaroundFields {
    /// Which publication of the problem it is, from 1.
    pub async fn publication(&self) -> i32 {
        self.0.payload_count("publication")
    }
}
