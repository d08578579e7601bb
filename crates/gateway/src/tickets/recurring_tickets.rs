//! Recurring tickets in the API.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Error, Page, UserError as Problem};
use predicate::{Predicate, Value};
use store::query::{OrderTerm, Row, Slice};
use ticket::queries::ListRequest;
use ticket::recurring as domain;
use ticket::recurring::fields::{RECURRING_TICKET, RECURRING_TICKET_RUN};

use crate::connection::{NullsOrder, OrderDirection, check_order, connection, orders, page, term};
use crate::context::{mutation, platform, viewer};
use crate::filters::{BooleanFilter, DateTimeFilter, IdFilter, StringFilter, combine};
use crate::loaders;
use crate::payload::{outcome, payload};
use crate::people::filters::argument;
use crate::people::inputs::parse_id;
use crate::people::queries::list;
use crate::people::scalars::TimeZone;
use crate::people::{Actor, User, UserRefInput};
use crate::scalars::{Cursor, DateTime, id_of, reference, within};
use crate::tickets::templates::{TicketTemplate, TicketTemplateRef};
use crate::tickets::types::{Ticket, word as word_of};
use crate::tickets::words::word;
use crate::user_error::UserError;

word! {
    /// What became of a run of a recurring ticket.
    RecurringTicketRunStatus = domain::fields::RunStatus {
        /// It created its ticket.
        Created = "CREATED",
        /// It was due too long ago, or another run was due behind it before the server came back.
        Skipped = "SKIPPED",
        /// It could not create its ticket.
        Failed = "FAILED",
    }
}

/// A ticket that is created again and again.
#[derive(Clone)]
pub struct RecurringTicket(Arc<Row>);

impl RecurringTicket {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// A ticket that is created from a template again and again. For those with `template.read`.
#[Object]
impl RecurringTicket {
    /// The recurring ticket's id, such as `rec_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::RECURRING_TICKET, self.0.id())
    }

    /// The recurring ticket's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What its tickets are created from.
    pub async fn template(&self, ctx: &Context<'_>) -> Result<Option<TicketTemplate>> {
        let template = self.0.get("template").as_id().unwrap_or_default();
        Ok(loaders::ticket_template(ctx, template).await?.map(TicketTemplate::from_row))
    }

    /// The rule of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO`.
    pub fn rule(&self) -> String {
        self.0.text("rule")
    }

    /// The reading of the clock in `timeZone` that it begins with, such as `2026-03-02T08:00:00`. Unless the rule names hours and minutes,
    /// they are these.
    pub fn starts_at(&self) -> String {
        self.0.text("startsAt")
    }

    /// In which time zone.
    pub fn time_zone(&self) -> TimeZone {
        TimeZone(self.0.text("timeZone"))
    }

    /// Who is affected; null when it is as the template says, else whoever set it up.
    pub async fn requester(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.get("requester").as_id() {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// Whether it is paused. What is due meanwhile is not made up for.
    pub fn is_paused(&self) -> bool {
        self.0.bool("isPaused")
    }

    /// When something is due next; null while it is paused, and once the rule has ended.
    pub fn next_run_at(&self) -> Option<DateTime> {
        self.0.get("nextRunAt").as_time().map(DateTime)
    }

    /// When the last run was due that created its ticket or failed.
    pub fn last_run_at(&self) -> Option<DateTime> {
        self.0.get("lastRunAt").as_time().map(DateTime)
    }

    /// Who set it up or changed it last: its tickets are created with the rights that they have by then. Null when the viewer may not see
    /// them.
    pub async fn set_up_by(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        let actor = loaders::actor(ctx, self.0.get("setUpBy").as_id().unwrap_or_default()).await?;
        Ok(actor.map(Actor::from_row))
    }

    /// The next times at which it creates a ticket; none while it is paused.
    pub fn upcoming(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, at most 20; 5 when left out.", default = 5)] first: i32,
    ) -> Result<Vec<RecurringRunPreview>> {
        let count = usize::try_from(first).ok().filter(|count| *count <= domain::MAX_UPCOMING).ok_or_else(|| {
            let message = format!("`first` is 0 to {}", domain::MAX_UPCOMING);
            Error::from(Problem::limit(["first"], message, domain::MAX_UPCOMING as u64))
        })?;
        let times = domain::upcoming(&self.0, viewer(ctx)?.now(), count)?;
        Ok(times.into_iter().map(RecurringRunPreview::of).collect())
    }

    /// What became of its runs, by when they were due; kept for 400 days.
    pub async fn runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100: the newest.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<RecurringTicketRunConnection> {
        let page = page(first, after, last, before)?;
        runs_of(ctx, &self.0, page).await
    }

    /// Rises by one with each change. For `expectedVersion`. Runs leave it alone.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was set up.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

/// A time at which a recurring ticket creates a ticket.
#[derive(SimpleObject)]
pub struct RecurringRunPreview {
    /// When.
    pub at: DateTime,
    /// The reading of the clock in its time zone that the rule gives, such as `2026-03-02T08:00:00`.
    pub local_time: String,
    /// Whether the clocks pass over that reading on that day: then it is as much later as they go forward.
    pub shifted: bool,
}

impl RecurringRunPreview {
    fn of(time: calendar::Occurrence) -> Self {
        Self { at: DateTime(time.at), local_time: time.local.to_string(), shifted: time.shifted }
    }
}

/// What became of a recurring ticket at one of its times.
#[derive(Clone)]
pub struct RecurringTicketRun(Arc<Row>);

impl RecurringTicketRun {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What became of a recurring ticket at one of its times.
#[Object]
impl RecurringTicketRun {
    /// The run's id, such as `run_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::RECURRING_TICKET_RUN, self.0.id())
    }

    /// When it was due.
    pub fn due_at(&self) -> DateTime {
        DateTime(self.0.time("dueAt"))
    }

    /// Whether the clocks passed over the reading that the rule gave, so that it was later.
    pub fn shifted(&self) -> bool {
        self.0.bool("shifted")
    }

    /// What became of it.
    pub fn status(&self) -> RecurringTicketRunStatus {
        word_of(&self.0, "status", RecurringTicketRunStatus::parse, RecurringTicketRunStatus::Failed)
    }

    /// The ticket that it created; null when it created none, and when the viewer may not see it.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.0.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// Why it failed, with paths as those of `ticketCreateFromTemplate`; empty when it did not.
    pub async fn user_errors(&self) -> Result<Vec<UserError>> {
        let Value::Json(errors) = self.0.get("userErrors") else { return Ok(Vec::new()) };
        let errors: Vec<Problem> = serde_json::from_value(errors.clone()).map_err(Error::internal)?;
        Ok(errors.into_iter().map(UserError::from).collect())
    }

    /// When that was written down.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

connection! {
    /// A page of recurring tickets.
    RecurringTicketConnection, RecurringTicketEdge, RecurringTicket
}
connection! {
    /// A page of the runs of a recurring ticket.
    RecurringTicketRunConnection, RecurringTicketRunEdge, RecurringTicketRun
}

/// A run of a recurring ticket by its id, if the viewer may see it.
pub async fn find_run(ctx: &Context<'_>, run: kernel::Uuid) -> Result<Option<RecurringTicketRun>> {
    let (tickets, viewer) = (&platform(ctx).tickets, viewer(ctx)?);
    let found = tickets.by_ids(&viewer, &RECURRING_TICKET_RUN, &[run], &[]).await?.pop();
    Ok(found.map(RecurringTicketRun::from_row))
}

/// The runs of a recurring ticket: batched over all recurring tickets of the answer, unless the page has a place in the list.
async fn runs_of(ctx: &Context<'_>, recurring: &Row, page: Page) -> Result<RecurringTicketRunConnection> {
    let filter = Predicate::eq("recurringTicket", recurring.id());
    let counted = Some((&RECURRING_TICKET_RUN, filter.clone()));
    let asks_for_place = {
        let selection = ctx.look_ahead();
        selection.field("pageInfo").exists() || selection.field("edges").exists()
    };
    if page.after.is_none() && page.before.is_none() && !asks_for_place {
        let rows = loaders::recurring_runs(ctx, recurring.id(), page.direction, page.limit).await?;
        let slice = Slice { rows, ..Slice::default() };
        return Ok(RecurringTicketRunConnection::new(slice, counted, None));
    }
    let order = vec![term("dueAt", None, None)];
    let request = ListRequest { record: &RECURRING_TICKET_RUN, filter, order, page, relations: Vec::new() };
    let slice = platform(ctx).tickets.list(&viewer(ctx)?, request).await?;
    Ok(RecurringTicketRunConnection::new(slice, counted, None))
}

/// Points at a recurring ticket.
#[derive(Clone, Debug, OneofObject)]
pub enum RecurringTicketRef {
    /// By id, such as `rec_01jcz8…`.
    Id(ID),
}

/// Sets up a recurring ticket.
#[derive(Clone, Debug, InputObject)]
pub struct RecurringTicketCreateInput {
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What its tickets are created from.
    pub template: TicketTemplateRef,
    /// A rule of RFC 5545, such as `FREQ=MONTHLY;BYDAY=1MO`, at most 500 characters; `FREQ` is `HOURLY`, `DAILY`, `WEEKLY`, `MONTHLY` or
    /// `YEARLY`. It ends by `COUNT` (at most 10,000) or `UNTIL`, or never. More than one time an hour is refused.
    pub rule: String,
    /// The reading of the clock in `timeZone` that it begins with, such as `2026-03-02T08:00`, without an offset. What lies in the past is
    /// not made up for.
    pub starts_at: String,
    /// In which time zone. A time that the clocks pass over is as much later as they go forward, one that comes twice is the first.
    pub time_zone: TimeZone,
    /// Who is affected; as the template says, else the viewer, when absent. Others need `ticket.createOnBehalf`.
    pub requester: Option<UserRefInput>,
    /// Whether it waits for being unpaused.
    pub is_paused: Option<bool>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a recurring ticket. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct RecurringTicketUpdateInput {
    /// The recurring ticket's id.
    pub id: ID,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What its tickets are created from.
    pub template: Option<TicketTemplateRef>,
    /// The rule, as in `recurringTicketCreate`.
    pub rule: Option<String>,
    /// The reading of the clock that it begins with.
    pub starts_at: Option<String>,
    /// In which time zone.
    pub time_zone: Option<TimeZone>,
    /// Who is affected; null for whom the template says, else the viewer.
    pub requester: MaybeUndefined<UserRefInput>,
    /// Whether it is paused. What was due meanwhile is not made up for, nor reported.
    pub is_paused: Option<bool>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Deletes a recurring ticket.
#[derive(Clone, Debug, InputObject)]
pub struct RecurringTicketDeleteInput {
    /// The recurring ticket's id.
    pub id: ID,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The recurring ticket that was set up.
    RecurringTicketCreatePayload {
        /// The recurring ticket; null when it was not done.
        recurring_ticket: RecurringTicket
    }
}
payload! {
    /// The recurring ticket after it was changed.
    RecurringTicketUpdatePayload {
        /// The recurring ticket; null when it was not done.
        recurring_ticket: RecurringTicket
    }
}
payload! {
    /// The recurring ticket that was deleted.
    RecurringTicketDeletePayload {
        /// What it was; null when it was not done.
        recurring_ticket: RecurringTicket
    }
}

fn create_command(input: RecurringTicketCreateInput) -> kernel::Result<domain::CreateRecurring> {
    let time_zone = input.time_zone.0;
    Ok(domain::CreateRecurring {
        name: input.name,
        template: input.template.into_ref().map_err(|error| error.within("template"))?,
        when: calendar::Given { rule: input.rule, starts_at: input.starts_at, time_zone },
        requester: within("requester", input.requester.map(UserRefInput::into_ref))?,
        is_paused: input.is_paused.unwrap_or(false),
    })
}

fn update_command(input: RecurringTicketUpdateInput) -> kernel::Result<domain::UpdateRecurring> {
    Ok(domain::UpdateRecurring {
        id: parse_id(&input.id, &[prefix::RECURRING_TICKET], "id")?,
        name: input.name,
        template: within("template", input.template.map(TicketTemplateRef::into_ref))?,
        rule: input.rule,
        starts_at: input.starts_at,
        time_zone: input.time_zone.map(|zone| zone.0),
        requester: reference("requester", input.requester, UserRefInput::into_ref)?,
        is_paused: input.is_paused,
        expected_version: input.expected_version,
    })
}

/// Mutations of recurring tickets.
#[derive(Default)]
pub struct RecurringTicketMutations;

#[Object]
impl RecurringTicketMutations {
    /// Sets up a recurring ticket. That a ticket can be created now is tried, and taken back; each is created with the rights that
    /// whoever set it up has by then. Needs `template.manage`, and what creating the ticket needs.
    async fn recurring_ticket_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The recurring ticket.")] input: RecurringTicketCreateInput,
    ) -> Result<RecurringTicketCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match create_command(input) {
            Ok(command) => platform(ctx).tickets.create_recurring_ticket(&viewer, command).await,
            Err(error) => Err(error),
        };
        RecurringTicketCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes, pauses or unpauses a recurring ticket. From then on its tickets are created with the rights of whoever changed it. Needs
    /// `template.manage`, and what creating the ticket needs unless it pauses.
    async fn recurring_ticket_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which recurring ticket, and what changes.")] input: RecurringTicketUpdateInput,
    ) -> Result<RecurringTicketUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).tickets.update_recurring_ticket(&viewer, command).await,
            Err(error) => Err(error),
        };
        RecurringTicketUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Deletes a recurring ticket with its runs. The tickets that it created stay. Needs `template.manage`.
    async fn recurring_ticket_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which recurring ticket.")] input: RecurringTicketDeleteInput,
    ) -> Result<RecurringTicketDeletePayload> {
        let viewer = mutation(ctx)?;
        let expected_version = input.expected_version;
        let result = match parse_id(&input.id, &[prefix::RECURRING_TICKET], "id") {
            Ok(id) => {
                let command = domain::DeleteRecurring { id, expected_version };
                platform(ctx).tickets.delete_recurring_ticket(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        RecurringTicketDeletePayload::of(ctx, &viewer, outcome(result))
    }
}

/// Which recurring tickets. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct RecurringTicketFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By the id of the template.
    pub template: Option<IdFilter>,
    /// By whether they are paused.
    pub is_paused: Option<BooleanFilter>,
    /// By when something is due next.
    pub next_run_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<RecurringTicketFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<RecurringTicketFilter>>,
    /// This must not hold.
    pub not: Option<Box<RecurringTicketFilter>>,
}

impl RecurringTicketFilter {
    fn predicate(self) -> kernel::Result<Predicate> {
        let id = |filter: Option<IdFilter>, field: &'static str, prefix: &'static str| {
            filter.map(|filter| filter.on(field, &[prefix])).transpose().map(Option::unwrap_or_default)
        };
        let own = Predicate::all([
            id(self.id, "id", prefix::RECURRING_TICKET)?,
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            id(self.template, "template", prefix::TICKET_TEMPLATE)?,
            self.is_paused.map_or_else(Predicate::always, |paused| paused.on("isPaused")),
            self.next_run_at.map_or_else(Predicate::always, |time| time.on("nextRunAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what recurring tickets are ordered.
    RecurringTicketOrderField {
        /// The name.
        Name = "name",
        /// When something is due next.
        NextRunAt = "nextRunAt",
        /// When the last run was due.
        LastRunAt = "lastRunAt",
    }
    /// One term of an order of recurring tickets.
    RecurringTicketOrder
}

/// Queries of recurring tickets.
#[derive(Default)]
pub struct RecurringTicketQueries;

#[Object]
impl RecurringTicketQueries {
    /// A recurring ticket. Null when there is none that the viewer may see.
    async fn recurring_ticket(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ id: \"rec_01jcz8…\" }`.")] by: RecurringTicketRef,
    ) -> Option<Result<RecurringTicket>> {
        find(ctx, by).await.transpose()
    }

    /// The recurring tickets that the viewer may see, by name unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn recurring_tickets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which recurring tickets; all when left out.")] filter: Option<RecurringTicketFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<
            Vec<RecurringTicketOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<RecurringTicketConnection> {
        viewer(ctx)?;
        let filter = argument(filter, RecurringTicketFilter::predicate)?;
        let (order, page) = (RecurringTicketOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &RECURRING_TICKET, filter.clone(), order, page).await?;
        Ok(RecurringTicketConnection::new(slice, Some((&RECURRING_TICKET, filter)), log_cursor))
    }
}

// Turned inside out, an error leaves the other fields of the document alone.
async fn find(ctx: &Context<'_>, by: RecurringTicketRef) -> Result<Option<RecurringTicket>> {
    let viewer = viewer(ctx)?;
    let RecurringTicketRef::Id(id) = by;
    let id = parse_id(&id, &[prefix::RECURRING_TICKET], "id").map_err(|error| error.within("by"))?;
    Ok(platform(ctx).tickets.recurring_ticket(&viewer, &id).await?.map(RecurringTicket::from_row))
}
