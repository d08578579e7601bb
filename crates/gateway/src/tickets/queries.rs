//! Queries of tickets of any kind, and of the event log.

use async_graphql::{Context, Lookahead, Object, OneofObject, Result};
use predicate::RecordType;
use store::query::{OrderTerm, Row};
use ticket::fields::{CATEGORY, TICKET};
use ticket::queries::ListRequest;

use crate::connection::{ExternalRefInput, connection, page};
use crate::context::{platform, viewer};
use crate::scalars::{Cursor, DateTime};
use crate::tickets::event_log::{self, EventConnection};
use crate::tickets::filters::{CategoriesFilter, EventFilter, TicketFilter, TicketOrder};
use crate::tickets::past::ticket_as_of;
use crate::tickets::settings::PriorityRule;
use crate::tickets::types::{Category, Ticket};

/// Points at a ticket.
#[derive(Clone, Debug, OneofObject)]
pub enum TicketRef {
    /// By its id.
    Id(async_graphql::ID),
    /// By its number, such as `INC-1042`.
    Number(String),
    /// By its key in another system.
    External(ExternalRefInput),
}

impl TicketRef {
    /// As the domain's.
    ///
    /// # Errors
    /// A user error at the branch.
    pub fn into_ref(self) -> kernel::Result<ticket::TicketRef> {
        match self {
            TicketRef::Id(id) => ticket::TicketRef::parse(&id, "id"),
            TicketRef::Number(number) => ticket::TicketRef::parse(&number, "number"),
            TicketRef::External(external) => {
                ticket::queries::check_external(&external.source, &external.key)
                    .map_err(|error| error.within("external"))?;
                Ok(ticket::TicketRef::External { source: external.source, key: external.key })
            }
        }
    }
}

connection! {
    /// A page of tickets.
    TicketConnection, TicketEdge, Ticket
}

connection! {
    /// A page of categories.
    CategoryConnection, CategoryEdge, Category
}

/// The to-one edges that are joined when they are selected, and the fields of extensions.
const EDGES: &[&str] = &["requester", "openedBy", "service", "team", "assignee", "category"];
/// The fields of each kind's own, by the name of its record type.
const KIND_FIELDS: &[(&str, &[&str])] = &[
    (
        "incident",
        &[
            "origin",
            "resolutionCode",
            "resolutionNotes",
            "deduplicationKey",
            "occurrences",
            "firingAlerts",
            "firstSeenAt",
            "lastSeenAt",
        ],
    ),
    ("task", &["parent", "openDependencies"]),
    (
        "problem",
        &[
            "origin",
            "knownError",
            "symptom",
            "rootCause",
            "workaround",
            "publishedWorkaround",
            "workaroundPublishedAt",
            "resolutionCode",
            "resolutionNotes",
            "riskReviewAt",
            "detectionRule",
        ],
    ),
];

/// The relations that the selection of a ticket asks for.
pub fn relations(tickets: &[Lookahead<'_>], record: &'static RecordType) -> Vec<&'static str> {
    let asks = |field: &str| tickets.iter().any(|selection| selection.field(field).exists());
    // The guards of transitions look at what a ticket refers to, and what is possible for a task depends on how many it
    // waits for.
    let guarded = asks("availableTransitions") || asks("viewerCan");
    let mut relations: Vec<_> = EDGES.iter().copied().filter(|edge| guarded || asks(edge)).collect();
    if record.base.is_none() {
        let kinds = KIND_FIELDS.iter().filter(|(_, fields)| guarded || fields.iter().any(|field| asks(field)));
        relations.extend(kinds.map(|(kind, _)| *kind));
    }
    relations
}

/// The selections of a connection's records.
pub fn node_selections<'a>(ctx: &'a Context<'a>) -> Vec<Lookahead<'a>> {
    vec![ctx.look_ahead().field("nodes"), ctx.look_ahead().field("edges").field("node")]
}

/// The log's position, if the selection asks for it: to be read before the rows.
///
/// # Errors
/// Database errors.
pub async fn log_cursor(ctx: &Context<'_>, viewer: &kernel::Ctx) -> Result<Option<String>> {
    if !ctx.look_ahead().field("logCursor").exists() {
        return Ok(None);
    }
    Ok(Some(platform(ctx).tickets.log_cursor(viewer).await?))
}

/// The ticket that a reference points at. Root fields turn it inside out, so that an error leaves the other fields alone.
///
/// # Errors
/// A user error inside `by`; database errors.
pub async fn find(
    ctx: &Context<'_>,
    by: TicketRef,
    record: &'static RecordType,
    relations: &[&'static str],
) -> Result<Option<Row>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).tickets.find(&viewer, record, &reference, relations).await?)
}

/// Queries of tickets.
#[derive(Default)]
pub struct TicketQueries;

#[Object]
impl TicketQueries {
    /// A ticket of any kind, as it is now or as it was. Null when there is none that the viewer may see.
    async fn ticket(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, such as `{ number: \"INC-1042\" }`.")] by: TicketRef,
        #[graphql(
            desc = "An instant, not in the future: the ticket as it was then, from its events, at most 10,000 since. Null when it \
                    was not there yet. What the log does not know of the past may not be selected: comments, links and whatever \
                    else is a list of other records. People, teams, services and categories are those of then, as they are now."
        )]
        as_of: Option<DateTime>,
    ) -> Option<Result<Ticket>> {
        if let Some(at) = as_of {
            return ticket_as_of(ctx, by, at.0).await.map(|row| row.map(Ticket::from_row)).transpose();
        }
        let relations = relations(&[ctx.look_ahead()], &TICKET);
        find(ctx, by, &TICKET, &relations).await.map(|row| row.map(Ticket::from_row)).transpose()
    }

    /// Tickets of any kind that the viewer may see. Newest first, unless ordered.
    #[allow(clippy::too_many_arguments)]
    async fn tickets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tickets.")] filter: Option<TicketFilter>,
        #[graphql(desc = "In which order, at most 5 terms; the id always decides last.")] order_by: Option<
            Vec<TicketOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<TicketConnection> {
        let viewer = viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?;
        let order = TicketOrder::terms(order_by)?;
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let relations = relations(&node_selections(ctx), &TICKET);
        let request = ListRequest { record: &TICKET, filter: filter.clone(), order, page, relations };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(TicketConnection::new(slice, Some((&TICKET, filter)), log_cursor))
    }

    /// The event log as far as the viewer may see it, oldest first: `last: 20` gives the newest twenty. Its cursors do for
    /// subscriptions as well.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which events.")] filter: Option<EventFilter>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor of the log.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor of the log.")] before: Option<Cursor>,
    ) -> Result<EventConnection> {
        viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?;
        event_log::list(ctx, filter, page(first, after, last, before)?).await
    }

    /// The tenant's categories, by key.
    #[allow(clippy::too_many_arguments)]
    async fn categories(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which categories.")] filter: Option<CategoriesFilter>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<CategoryConnection> {
        let viewer = viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate();
        let order = vec![OrderTerm { field: "key".into(), descending: false, nulls_first: false }];
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let request = ListRequest { record: &CATEGORY, filter: filter.clone(), order, page, relations: vec![] };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(CategoryConnection::new(slice, Some((&CATEGORY, filter)), log_cursor))
    }

    /// The tenant's priority matrix: all nine cells.
    async fn priority_matrix(&self, ctx: &Context<'_>) -> Result<Vec<PriorityRule>> {
        let rules = platform(ctx).tickets.priority_matrix(&viewer(ctx)?).await?;
        Ok(rules.into_iter().map(PriorityRule::from).collect())
    }
}

/// Reads an id or a number of a ticket of one kind.
///
/// # Errors
/// A user error at `path` for another kind's.
pub fn ticket_ref_of(
    id: &async_graphql::ID,
    path: &str,
    kind: ticket::TicketKind,
) -> kernel::Result<ticket::TicketRef> {
    let reference = ticket::TicketRef::parse(id, path)?;
    let (number, prefix) = (kind.number_prefix(), kind.id_prefix());
    let message = match &reference {
        ticket::TicketRef::Number(text) if !text.starts_with(&format!("{number}-")) => {
            format!("expected a number that starts with `{number}-`, got `{text}`")
        }
        ticket::TicketRef::Id(id) if id.prefix != prefix => {
            format!("expected an id that starts with `{prefix}_`, got one that starts with `{}_`", id.prefix)
        }
        _ => return Ok(reference),
    };
    Err(kernel::UserError::constraint([path], message, "id", None).into())
}

/// Reads the `id` of an input: an id or a number.
///
/// # Errors
/// A user error at `id`.
pub fn ticket_ref(id: &async_graphql::ID) -> kernel::Result<ticket::TicketRef> {
    ticket::TicketRef::parse(id, "id")
}
