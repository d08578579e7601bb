//! Merging tickets, undoing that, and splitting comments off, in the API.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Ctx, Id, UserError as Problem, Uuid};
use store::query::Row;
use ticket::fields::TICKET_MERGE;
use ticket::merge::{MergeOutcome, MergeRef, MergeTickets, SplitOutcome, SplitTicket, UndoMerge};

use crate::configuration::ServiceRef;
use crate::context::{mutation, platform, viewer};
use crate::custom_fields::{CustomFieldInput, set};
use crate::loaders;
use crate::people::{Actor, TeamRefInput, UserRefInput};
use crate::scalars::{DateTime, Markdown, id_of, within};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::queries::ticket_ref;
use crate::tickets::types::Ticket;
use crate::tickets::words::{Impact, Urgency};
use crate::user_error::{UserError, part};

/// That a ticket was merged into another.
#[derive(Clone)]
pub struct TicketMerge(Arc<Row>);

impl TicketMerge {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn count(&self, field: &str) -> Option<i32> {
        self.0.get(field).as_int().map(|count| i32::try_from(count).unwrap_or(i32::MAX))
    }

    async fn end(&self, ctx: &Context<'_>, name: &str) -> Result<Ticket> {
        let row = match self.0.get(name).as_id() {
            Some(id) => loaders::ticket(ctx, id).await?,
            None => None,
        };
        Ok(Ticket::from_row(row.ok_or_else(|| kernel::Error::internal("a ticket of a merge is missing"))?))
    }

    async fn person(&self, ctx: &Context<'_>, name: &str) -> Result<Option<Actor>> {
        match self.0.get(name).as_id() {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row)),
            None => Ok(None),
        }
    }
}

/// That a ticket was merged into another. There for those who see both.
#[Object]
impl TicketMerge {
    /// The merge's id, such as `mrg_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::TICKET_MERGE, self.0.id())
    }

    /// The ticket that goes on.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Ticket> {
        self.end(ctx, "ticket").await
    }

    /// The ticket that ended by it.
    pub async fn duplicate(&self, ctx: &Context<'_>) -> Result<Ticket> {
        self.end(ctx, "duplicate").await
    }

    /// Who merged them.
    pub async fn merged_by(&self, ctx: &Context<'_>) -> Result<Actor> {
        let found = self.person(ctx, "mergedBy").await?;
        Ok(found.ok_or_else(|| kernel::Error::internal("who merged two tickets is missing"))?)
    }

    /// When they were merged.
    pub async fn merged_at(&self) -> DateTime {
        DateTime(self.0.time("mergedAt"))
    }

    /// Until when it can be undone: 24 hours after it.
    pub async fn undoable_until(&self) -> DateTime {
        DateTime(self.0.time("undoableUntil"))
    }

    /// When it was undone; null while it stands.
    pub async fn undone_at(&self) -> Option<DateTime> {
        self.0.get("undoneAt").as_time().map(DateTime)
    }

    /// Who undid it.
    pub async fn undone_by(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        self.person(ctx, "undoneBy").await
    }

    /// How many comments it moved, internal ones among them. Null for those who do not work on the ticket that goes on.
    pub async fn comments(&self) -> Option<i32> {
        self.count("comments")
    }

    /// How many attachments it moved, internal ones among them. Null for those who do not work on the ticket that goes on.
    pub async fn attachments(&self) -> Option<i32> {
        self.count("attachments")
    }

    /// How many people watch the ticket that goes on because of it. Null for those who do not work on that.
    pub async fn watchers(&self) -> Option<i32> {
        self.count("watchers")
    }
}

/// The merge with this id.
///
/// # Errors
/// Database errors.
pub async fn find(ctx: &Context<'_>, id: Uuid) -> Result<Option<TicketMerge>> {
    let found = platform(ctx).tickets.by_ids(&viewer(ctx)?, &TICKET_MERGE, &[id], &[]).await?.pop();
    Ok(found.map(TicketMerge::from_row))
}

/// The merges into a ticket.
///
/// # Errors
/// Database errors.
pub async fn of_ticket(ctx: &Context<'_>, ticket: Uuid) -> Result<Vec<TicketMerge>> {
    Ok(loaders::merges(ctx, ticket).await?.into_iter().map(TicketMerge::from_row).collect())
}

/// The ticket that a field of a record refers to, if the viewer may see it. What refers to none costs nothing.
///
/// # Errors
/// Database errors.
pub async fn other(ctx: &Context<'_>, row: &Row, field: &str) -> Result<Option<Ticket>> {
    match row.get(field).as_id() {
        Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
        None => Ok(None),
    }
}

/// Merges a ticket into another that tells of the same.
#[derive(Clone, Debug, InputObject)]
pub struct TicketMergeInput {
    /// The id or number of the duplicate, which ends.
    pub id: ID,
    /// The id or number of the ticket that goes on: of the same kind, neither closed nor canceled.
    pub into: ID,
    /// A public comment on the duplicate, which stays there: what to tell those who asked for help. Needs `ticket.comment`.
    pub comment: Option<Markdown>,
    /// Refuse when the duplicate has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Undoes a merge.
#[derive(Clone, Debug, InputObject)]
pub struct TicketMergeUndoInput {
    /// The merge's id, or the id or number of the duplicate.
    pub id: ID,
    /// Refuse when the duplicate has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Opens a ticket with comments of another. What is absent is as on that, unless something else is said.
#[derive(Clone, Debug, InputObject)]
pub struct TicketSplitInput {
    /// The id or number of the ticket whose comments they are.
    pub id: ID,
    /// The ids of the comments, 1 to 100. Their attachments go along.
    pub comments: Vec<ID>,
    /// What the new ticket is about, in a line; at most 255 characters.
    pub title: String,
    /// What it is about, in full; at most 64 KiB. Nothing when absent.
    pub description: Option<Markdown>,
    /// Who is affected. Others than the viewer need `ticket.createOnBehalf`. Not of a task.
    pub requester: Option<UserRefInput>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// The key of a category. Not of a task.
    pub category: Option<String>,
    /// The service that it is about. Not of a task.
    pub service: Option<ServiceRef>,
    /// The team that works on it. Needs `ticket.assign` when it is named.
    pub team: Option<TeamRefInput>,
    /// The member of the team who works on it; nobody when absent. Needs `ticket.assign`.
    pub assignee: Option<UserRefInput>,
    /// Free words, at most 50; none when absent.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50; those that are not named get their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// Refuse when the ticket whose comments they are has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Declares what a mutation of a merge answers.
macro_rules! merge_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The ticket that the duplicate went into; null when it was not done.
            pub ticket: Option<Ticket>,
            /// The duplicate.
            pub duplicate: Option<Ticket>,
            /// The merge.
            pub merge: Option<TicketMerge>,
            /// What was recorded.
            pub events: Vec<Event>,
            /// What the user can mend.
            pub user_errors: Vec<UserError>,
        }

        impl $name {
            fn of(ctx: &Context<'_>, viewer: &Ctx, result: kernel::Result<MergeOutcome>) -> Result<Self> {
                let (done, user_errors) = part(result)?;
                let Some(done) = done else {
                    return Ok(Self { ticket: None, duplicate: None, merge: None, events: Vec::new(), user_errors });
                };
                Ok(Self {
                    ticket: done.ticket.map(Ticket::from_row),
                    duplicate: done.duplicate.map(Ticket::from_row),
                    merge: done.merge.map(TicketMerge::from_row),
                    events: from_store(viewer, platform(ctx), done.events),
                    user_errors,
                })
            }
        }
    };
}

merge_payload! {
    /// The two tickets after they were merged.
    TicketMergePayload
}
merge_payload! {
    /// The two tickets after their merge was undone.
    TicketMergeUndoPayload
}

/// The ticket that was split off.
#[derive(SimpleObject)]
pub struct TicketSplitPayload {
    /// The new ticket; null when it was not done.
    pub ticket: Option<Ticket>,
    /// The ticket whose comments they were.
    pub original: Option<Ticket>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

impl TicketSplitPayload {
    fn of(ctx: &Context<'_>, viewer: &Ctx, result: kernel::Result<SplitOutcome>) -> Result<Self> {
        let (done, user_errors) = part(result)?;
        let (ticket, original, events) =
            done.map_or((None, None, Vec::new()), |done| (done.ticket, done.original, done.events));
        Ok(Self {
            ticket: ticket.map(Ticket::from_row),
            original: original.map(Ticket::from_row),
            events: from_store(viewer, platform(ctx), events),
            user_errors,
        })
    }
}

impl TicketMergeInput {
    fn command(self) -> kernel::Result<MergeTickets> {
        Ok(MergeTickets {
            duplicate: ticket_ref(&self.id)?,
            into: ticket::TicketRef::parse(&self.into, "into")?,
            comment: self.comment.map(|comment| comment.0),
            expected_version: self.expected_version,
        })
    }
}

impl TicketSplitInput {
    fn command(self) -> kernel::Result<SplitTicket> {
        let comment = |(place, id): (usize, &ID)| {
            Id::parse_as(id, &[prefix::COMMENT]).map_err(|error| {
                let path = ["comments".to_owned(), place.to_string()];
                kernel::Error::from(Problem::constraint(path, error.to_string(), "id", None))
            })
        };
        Ok(SplitTicket {
            ticket: ticket_ref(&self.id)?,
            comments: self.comments.iter().enumerate().map(comment).collect::<kernel::Result<_>>()?,
            title: self.title,
            description: self.description.map(|text| text.0),
            requester: within("requester", self.requester.map(UserRefInput::into_ref))?,
            impact: self.impact.map(Into::into),
            urgency: self.urgency.map(Into::into),
            category: self.category,
            service: within("service", self.service.map(ServiceRef::into_ref))?,
            team: within("team", self.team.map(TeamRefInput::into_ref))?,
            assignee: within("assignee", self.assignee.map(UserRefInput::into_ref))?,
            tags: self.tags.unwrap_or_default(),
            custom_fields: set(self.custom_fields)?,
            expected_version: self.expected_version,
        })
    }
}

/// Mutations that bring tickets together and apart.
#[derive(Default)]
pub struct MergeMutations;

#[Object]
impl MergeMutations {
    /// Merges a duplicate into another ticket of its kind: its comments (at most 1,000) and attachments move there as they are, its
    /// requester and watchers watch the other, and it ends, whatever its workflow. Until that is undone it takes nothing new; what is on
    /// it can be redacted and taken away. Needs `ticket.update` and `ticket.internal` on both.
    async fn ticket_merge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, and into which.")] input: TicketMergeInput,
    ) -> Result<TicketMergePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.merge(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketMergePayload::of(ctx, &viewer, result)
    }

    /// Undoes a merge within 24 hours: what it moved and is still there goes back, and the duplicate stands where it stood. What was
    /// said since stays; approvals that ended by the merge stay ended. Needs what `ticketMerge` needs.
    async fn ticket_merge_undo(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which merge.")] input: TicketMergeUndoInput,
    ) -> Result<TicketMergeUndoPayload> {
        let viewer = mutation(ctx)?;
        let result = match MergeRef::parse(&input.id) {
            Ok(merge) => {
                let command = UndoMerge { merge, expected_version: input.expected_version };
                platform(ctx).tickets.undo_merge(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        TicketMergeUndoPayload::of(ctx, &viewer, result)
    }

    /// Opens a ticket of the same kind with comments of another, which move there with their attachments, and links the two as
    /// `RELATES_TO`. Needs `ticket.update` on the one, and what opening the other needs.
    async fn ticket_split(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which comments of which ticket, and what the new one says.")] input: TicketSplitInput,
    ) -> Result<TicketSplitPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.split(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketSplitPayload::of(ctx, &viewer, result)
    }
}
