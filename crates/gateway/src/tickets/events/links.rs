//! What events show that tie a ticket to others: links, merges, splits, children, and the items that it is about.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};
use futures_util::future::try_join_all;
use kernel::Uuid;
use serde_json::Value as JsonValue;

use super::EventView;
use crate::configuration::ConfigurationItem;
use crate::configuration::types::LinkDirection;
use crate::loaders;
use crate::tickets::links::{TicketLinkType, named_ticket};
use crate::tickets::merges::{self, TicketMerge};
use crate::tickets::types::Ticket;
use crate::tickets::words::TicketConfigurationItemLink;

/// What events of a link show alike.
struct LinkEndFields(Arc<EventView>);

#[Object]
impl LinkEndFields {
    /// Which way, seen from the event's ticket.
    pub async fn direction(&self) -> LinkDirection {
        match self.0.payload_text("direction") {
            Some("INWARD") => LinkDirection::Inward,
            _ => LinkDirection::Outward,
        }
    }

    /// The other ticket as it is now; null when the viewer may not see it.
    pub async fn linked_ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        self.0.other_ticket(ctx).await
    }
}

/// What the event of a new link shows.
pub(super) struct LinkedFields(pub(super) Arc<EventView>);

#[Object]
impl LinkedFields {
    /// How the one stands to the other.
    #[graphql(name = "type")]
    pub async fn kind(&self) -> Option<TicketLinkType> {
        TicketLinkType::parse(self.0.payload_text("type")?)
    }

    #[graphql(flatten)]
    fn end(&self) -> LinkEndFields {
        LinkEndFields(self.0.clone())
    }
}

/// What the event of a link that was taken away shows.
pub(super) struct UnlinkedFields(pub(super) Arc<EventView>);

#[Object]
impl UnlinkedFields {
    /// How the one stood to the other.
    #[graphql(name = "type")]
    pub async fn kind(&self) -> Option<TicketLinkType> {
        TicketLinkType::parse(self.0.payload_text("type")?)
    }

    #[graphql(flatten)]
    fn end(&self) -> LinkEndFields {
        LinkEndFields(self.0.clone())
    }
}

/// What events of a merge show alike.
struct MergeFields(Arc<EventView>);

#[Object]
impl MergeFields {
    /// The merge as it is now; null when the viewer may not see both tickets.
    pub async fn merge(&self, ctx: &Context<'_>) -> Result<Option<TicketMerge>> {
        match self.0.payload_id("merge") {
            Some(id) => merges::find(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// What the event of a merge shows on the duplicate.
pub(super) struct MergedFields(pub(super) Arc<EventView>);

#[Object]
impl MergedFields {
    /// The ticket that goes on, as it is now; null when the viewer may not see it.
    pub async fn into(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        self.0.other_ticket(ctx).await
    }

    #[graphql(flatten)]
    fn merge(&self) -> MergeFields {
        MergeFields(self.0.clone())
    }
}

/// What the event of a merge shows on the ticket that goes on.
pub(super) struct MergeReceivedFields(pub(super) Arc<EventView>);

#[Object]
impl MergeReceivedFields {
    /// The duplicate as it is now; null when the viewer may not see it.
    pub async fn duplicate(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        self.0.other_ticket(ctx).await
    }

    #[graphql(flatten)]
    fn merge(&self) -> MergeFields {
        MergeFields(self.0.clone())
    }
}

/// What the event of a merge that was undone shows.
pub(super) struct MergeUndoneFields(pub(super) Arc<EventView>);

#[Object]
impl MergeUndoneFields {
    /// The ticket at the other end, as it is now; null when the viewer may not see it.
    pub async fn other_ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        self.0.other_ticket(ctx).await
    }

    #[graphql(flatten)]
    fn merge(&self) -> MergeFields {
        MergeFields(self.0.clone())
    }
}

/// What the event of a split shows on the ticket whose comments they were.
pub(super) struct SplitFields(pub(super) Arc<EventView>);

#[Object]
impl SplitFields {
    /// The new ticket as it is now; null when the viewer may not see it.
    pub async fn split_off(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        self.0.other_ticket(ctx).await
    }

    /// How many comments went there.
    pub async fn comments(&self) -> i32 {
        self.0.payload_count("comments")
    }

    /// How many attachments went along.
    pub async fn attachments(&self) -> i32 {
        self.0.payload_count("attachments")
    }
}

/// What the event of a split shows on the new ticket.
pub(super) struct SplitOffFields(pub(super) Arc<EventView>);

#[Object]
impl SplitOffFields {
    /// The ticket whose comments they were, as it is now; null when the viewer may not see it.
    pub async fn split_from(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        self.0.other_ticket(ctx).await
    }

    /// How many comments came with it.
    pub async fn comments(&self) -> i32 {
        self.0.payload_count("comments")
    }

    /// How many attachments came along.
    pub async fn attachments(&self) -> i32 {
        self.0.payload_count("attachments")
    }
}

/// What the event of children that were resolved shows.
pub(super) struct ChildrenFields(pub(super) Arc<EventView>);

#[Object]
impl ChildrenFields {
    /// What became of each child that was open, as far as the viewer may see them; at most 100.
    pub async fn children(&self, ctx: &Context<'_>) -> Result<Vec<ChildResolution>> {
        let children = self.0.payload_list("children").iter().map(|child| ChildResolution::of(ctx, child));
        Ok(try_join_all(children).await?.into_iter().flatten().collect())
    }
}

/// What became of an open child when its parent was resolved.
#[derive(SimpleObject)]
pub struct ChildResolution {
    /// The child as it is now.
    pub ticket: Ticket,
    /// Whether it was resolved.
    pub resolved: bool,
    /// Why it was not.
    pub reasons: Vec<String>,
}

impl ChildResolution {
    async fn of(ctx: &Context<'_>, told: &JsonValue) -> Result<Option<Self>> {
        let ticket = named_ticket(ctx, told.get("ticket").and_then(JsonValue::as_str)).await?;
        let reasons = told.get("reasons").and_then(JsonValue::as_array).into_iter().flatten();
        let reasons: Vec<String> = reasons.filter_map(JsonValue::as_str).map(str::to_owned).collect();
        Ok(ticket.map(|ticket| Self { ticket, resolved: reasons.is_empty(), reasons }))
    }
}

/// What the event of configuration items that came or went shows.
pub(super) struct ConfigurationItemsFields(pub(super) Arc<EventView>);

#[Object]
impl ConfigurationItemsFields {
    /// What changed, item by item, as far as the viewer may see the items; at most 100.
    pub async fn items(&self, ctx: &Context<'_>) -> Result<Vec<TicketConfigurationItemChange>> {
        let items = self.0.payload_list("items").iter().map(|change| TicketConfigurationItemChange::of(ctx, change));
        Ok(try_join_all(items).await?.into_iter().flatten().collect())
    }
}

/// How a configuration item came onto a ticket, or left it.
#[derive(SimpleObject)]
pub struct TicketConfigurationItemChange {
    /// The item.
    pub configuration_item: ConfigurationItem,
    /// How it stood there before; null when it did not.
    pub before: Option<TicketConfigurationItemLink>,
    /// How it stands there after; null when it does not.
    pub after: Option<TicketConfigurationItemLink>,
}

impl TicketConfigurationItemChange {
    async fn of(ctx: &Context<'_>, told: &JsonValue) -> Result<Option<Self>> {
        let text = |name: &str| told.get(name).and_then(JsonValue::as_str).unwrap_or_default();
        let Ok(id) = text("item").parse::<Uuid>() else { return Ok(None) };
        Ok(loaders::configuration_item(ctx, id).await?.map(|row| Self {
            configuration_item: ConfigurationItem::from_row(row),
            before: TicketConfigurationItemLink::parse(text("before")),
            after: TicketConfigurationItemLink::parse(text("after")),
        }))
    }
}
