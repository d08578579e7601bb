//! Links between tickets in the API.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use futures_util::future::try_join_all;
use kernel::{Id, Uuid};
use store::query::Row;
use ticket::StateCategory;

use crate::configuration::types::LinkDirection;
use crate::context::{mutation, platform};
use crate::loaders;
use crate::payload::payload;
use crate::scalars::DateTime;
use crate::tickets::queries::ticket_ref;
use crate::tickets::types::Ticket;
use crate::tickets::words::word;

word! {
    /// How one ticket stands to another: the first `BLOCKS` the second, and so on.
    TicketLinkType = ticket::LinkType {
        /// They have to do with each other.
        RelatesTo = "RELATES_TO",
        /// It tells of the same as the other, which goes on for both.
        Duplicates = "DUPLICATES",
        /// The other cannot go on before it is done.
        Blocks = "BLOCKS",
        /// The other is its cause.
        CausedBy = "CAUSED_BY",
        /// The other resolves it.
        ResolvedBy = "RESOLVED_BY",
        /// The other is a part of it.
        ParentOf = "PARENT_OF",
    }
}

/// A link of a ticket with another, seen from one of the two.
#[derive(SimpleObject)]
pub struct TicketLink {
    /// How the one stands to the other.
    #[graphql(name = "type")]
    pub kind: TicketLinkType,
    /// `OUTWARD`: this ticket `BLOCKS` the other (and so on); `INWARD`: the other blocks this one.
    pub direction: LinkDirection,
    /// The other ticket.
    pub ticket: Ticket,
    /// When they were linked.
    pub created_at: DateTime,
}

/// How many children a ticket has, as far as the viewer may see them.
#[derive(SimpleObject)]
pub struct ChildrenSummary {
    /// All.
    pub total: i32,
    /// Those that are neither resolved, closed nor canceled.
    pub open: i32,
    /// Those that are resolved, closed or canceled.
    pub done: i32,
}

/// The links of a ticket, those that leave from it first.
pub async fn links(ctx: &Context<'_>, ticket: Uuid, kind: Option<TicketLinkType>) -> Result<Vec<TicketLink>> {
    let rows = loaders::links(ctx, ticket).await?;
    let wanted = rows.iter().filter(|row| kind.is_none_or(|kind| row.text("type") == kind.as_str()));
    let links = wanted.map(|row| async move {
        let outward = row.get("source").as_id() == Some(ticket);
        let (direction, end) =
            if outward { (LinkDirection::Outward, "target") } else { (LinkDirection::Inward, "source") };
        let (Some(kind), Some(other)) = (TicketLinkType::parse(&row.text("type")), row.get(end).as_id()) else {
            return Ok(None);
        };
        let other = loaders::ticket(ctx, other).await?.map(Ticket::from_row);
        let created_at = DateTime(row.time("createdAt"));
        Ok::<_, async_graphql::Error>(other.map(|ticket| TicketLink { kind, direction, ticket, created_at }))
    });
    Ok(try_join_all(links).await?.into_iter().flatten().collect())
}

/// How many children a ticket has.
pub async fn children_summary(ctx: &Context<'_>, ticket: Uuid) -> Result<ChildrenSummary> {
    let rows = loaders::links(ctx, ticket).await?;
    let is_child =
        |row: &&Row| row.text("type") == TicketLinkType::ParentOf.as_str() && row.get("source").as_id() == Some(ticket);
    let children: Vec<&Row> = rows.iter().filter(is_child).filter_map(|row| row.relation("target")).collect();
    let is_done = |row: &&&Row| StateCategory::parse(&row.text("stateCategory")).is_some_and(StateCategory::is_done);
    let done = children.iter().filter(is_done).count();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    Ok(ChildrenSummary { total: number(children.len()), open: number(children.len() - done), done: number(done) })
}

/// The ticket that a public id names, as an event's payload holds it.
pub async fn named_ticket(ctx: &Context<'_>, id: Option<&str>) -> Result<Option<Ticket>> {
    let Some(Ok(id)) = id.map(Id::parse) else { return Ok(None) };
    Ok(loaders::ticket(ctx, id.uuid).await?.map(Ticket::from_row))
}

/// Those of the tickets that public ids name which the viewer may see, in the order of the ids.
pub async fn named_tickets(ctx: &Context<'_>, ids: Vec<&str>) -> Result<Vec<Ticket>> {
    let found = ids.into_iter().map(|id| named_ticket(ctx, Some(id)));
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

/// Declares an input that names a link of two tickets.
macro_rules! link_input {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, InputObject)]
        pub struct $name {
            /// The id or number of the ticket that the link leaves from.
            pub id: ID,
            /// How the one stands to the other.
            #[graphql(name = "type")]
            pub kind: TicketLinkType,
            /// The id or number of the ticket that it leads to.
            pub target: ID,
            /// The same key and input give the stored answer.
            pub idempotency_key: Option<String>,
            /// Do everything, answer, and roll back.
            pub dry_run: Option<bool>,
        }

        impl $name {
            fn command(self) -> kernel::Result<ticket::LinkTickets> {
                Ok(ticket::LinkTickets {
                    source: ticket_ref(&self.id)?,
                    kind: self.kind.into(),
                    target: ticket::TicketRef::parse(&self.target, "target")?,
                })
            }
        }
    };
}

link_input! {
    /// Links a ticket with another: `id` `BLOCKS` `target`, and so on.
    TicketLinkInput
}

link_input! {
    /// Takes a link of a ticket with another away.
    TicketUnlinkInput
}

payload! {
    /// The ticket after it was linked.
    TicketLinkPayload {
        /// The ticket that the link leaves from; null when it was not done.
        ticket: Ticket
    }
}
payload! {
    /// The ticket after a link was taken away.
    TicketUnlinkPayload {
        /// The ticket that the link left from; null when it was not done.
        ticket: Ticket
    }
}

/// Mutations of links between tickets.
#[derive(Default)]
pub struct LinkMutations;

#[Object]
impl LinkMutations {
    /// Links a ticket with another. Doing it twice changes nothing. `DUPLICATES` closes the ticket onto the original, as its workflow
    /// allows, and makes its requester and watchers watchers of the original. Needs `ticket.update`; for `PARENT_OF` and `BLOCKS` on
    /// both tickets.
    async fn ticket_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tickets, and how the one stands to the other.")] input: TicketLinkInput,
    ) -> Result<TicketLinkPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.link(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketLinkPayload::of(ctx, &viewer, result)
    }

    /// Takes a link away. Doing it twice changes nothing; what a link brought about stays. Needs what `ticketLink` needs.
    async fn ticket_unlink(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tickets, and how the one stood to the other.")] input: TicketUnlinkInput,
    ) -> Result<TicketUnlinkPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.unlink(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketUnlinkPayload::of(ctx, &viewer, result)
    }
}
