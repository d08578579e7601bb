//! Writing down time, correcting it, and taking it away.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use kernel::id::prefix;
use ticket::time::TimeOutcome;

use super::entries::TimeEntry;
use crate::context::{mutation, platform};
use crate::payload::payload;
use crate::people::UserRefInput;
use crate::people::inputs::parse_id;
use crate::scalars::{DateTime, Duration, Markdown, patch, within};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::types::Ticket;
use crate::user_error::{UserError, part};

/// Writes down time that was worked on a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct TimeEntryAddInput {
    /// The ticket's id or number.
    pub ticket: ID,
    /// Who worked; the viewer when absent. Others need `time.manage`.
    pub user: Option<UserRefInput>,
    /// How long: from a minute to 24 hours.
    pub duration: Duration,
    /// When the work began; so long ago that it is over now, when absent. It is not over in the future.
    pub started_at: Option<DateTime>,
    /// Whether it is billed; true when absent.
    pub billable: Option<bool>,
    /// What was done: 1 to 2,000 characters.
    pub note: Option<Markdown>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Corrects a time entry. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct TimeEntryUpdateInput {
    /// The entry's id.
    pub id: ID,
    /// How long: from a minute to 24 hours.
    pub duration: Option<Duration>,
    /// When the work began. On another day, the rate of that day holds.
    pub started_at: Option<DateTime>,
    /// Whether it is billed.
    pub billable: Option<bool>,
    /// What was done: 1 to 2,000 characters.
    pub note: MaybeUndefined<Markdown>,
    /// Refuse when the entry has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Takes a time entry away.
#[derive(Clone, Debug, InputObject)]
pub struct TimeEntryRemoveInput {
    /// The entry's id.
    pub id: ID,
    /// Refuse when the entry has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// The entry that was written down.
#[derive(SimpleObject)]
pub struct TimeEntryAddPayload {
    /// The entry; null when it was not done.
    pub time_entry: Option<TimeEntry>,
    /// The ticket, with its sums after it.
    pub ticket: Option<Ticket>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// The entry after it was corrected.
#[derive(SimpleObject)]
pub struct TimeEntryUpdatePayload {
    /// The entry; null when it was not done.
    pub time_entry: Option<TimeEntry>,
    /// The ticket, with its sums after it.
    pub ticket: Option<Ticket>,
    /// What was recorded; nothing when the entry said so already.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

payload! {
    /// The ticket after a time entry was taken away.
    TimeEntryRemovePayload {
        /// The ticket, with its sums after it; null when it was not done.
        ticket: Ticket
    }
}

/// The parts of a payload.
struct Parts {
    entry: Option<TimeEntry>,
    ticket: Option<Ticket>,
    events: Vec<Event>,
    user_errors: Vec<UserError>,
}

fn parts(ctx: &Context<'_>, viewer: &kernel::Ctx, result: kernel::Result<TimeOutcome>) -> Result<Parts> {
    let (done, user_errors) = part(result)?;
    let Some(done) = done else {
        return Ok(Parts { entry: None, ticket: None, events: Vec::new(), user_errors });
    };
    Ok(Parts {
        entry: done.entry.map(TimeEntry::from_row),
        ticket: done.ticket.map(Ticket::from_row),
        events: from_store(viewer, platform(ctx), done.events),
        user_errors,
    })
}

fn add_command(input: TimeEntryAddInput) -> kernel::Result<ticket::time::AddTime> {
    Ok(ticket::time::AddTime {
        ticket: ticket::TicketRef::parse(&input.ticket, "ticket")?,
        user: within("user", input.user.map(UserRefInput::into_ref))?,
        duration: input.duration.seconds(),
        started_at: input.started_at.map(|at| at.0),
        billable: input.billable.unwrap_or(true),
        note: input.note.map(|note| note.0),
    })
}

fn update_command(input: TimeEntryUpdateInput) -> kernel::Result<ticket::time::UpdateTime> {
    Ok(ticket::time::UpdateTime {
        entry: parse_id(&input.id, &[prefix::TIME_ENTRY], "id")?,
        duration: input.duration.as_ref().map(Duration::seconds),
        started_at: input.started_at.map(|at| at.0),
        billable: input.billable,
        note: patch(input.note).map(|note| note.0),
        expected_version: input.expected_version,
    })
}

fn remove_command(input: &TimeEntryRemoveInput) -> kernel::Result<ticket::time::RemoveTime> {
    let entry = parse_id(&input.id, &[prefix::TIME_ENTRY], "id")?;
    Ok(ticket::time::RemoveTime { entry, expected_version: input.expected_version })
}

/// Mutations of time entries.
#[derive(Default)]
pub struct TimeMutations;

#[Object]
impl TimeMutations {
    /// Writes down time that was worked on a ticket, closed or not. The entry keeps the rate that holds now for its day: that of its
    /// user, else that of the ticket's team, else that of everybody. Needs `ticket.internal` and `time.record` on the ticket, for
    /// others' time `time.manage`.
    async fn time_entry_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "On which ticket, how long, by whom.")] input: TimeEntryAddInput,
    ) -> Result<TimeEntryAddPayload> {
        let viewer = mutation(ctx)?;
        let result = match add_command(input) {
            Ok(command) => platform(ctx).tickets.add_time(&viewer, command).await,
            Err(error) => Err(error),
        };
        let Parts { entry, ticket, events, user_errors } = parts(ctx, &viewer, result)?;
        Ok(TimeEntryAddPayload { time_entry: entry, ticket, events, user_errors })
    }

    /// Corrects a time entry. It keeps its rate; one that has none, or is put on another day, takes the one that holds now for its
    /// day. Needs what `timeEntryAdd` needs.
    async fn time_entry_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which entry, and what changes.")] input: TimeEntryUpdateInput,
    ) -> Result<TimeEntryUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).tickets.update_time(&viewer, command).await,
            Err(error) => Err(error),
        };
        let Parts { entry, ticket, events, user_errors } = parts(ctx, &viewer, result)?;
        Ok(TimeEntryUpdatePayload { time_entry: entry, ticket, events, user_errors })
    }

    /// Takes a time entry away. The ticket's history tells what it said, but for its note. Needs what `timeEntryAdd` needs.
    async fn time_entry_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which entry.")] input: TimeEntryRemoveInput,
    ) -> Result<TimeEntryRemovePayload> {
        let viewer = mutation(ctx)?;
        let result = match remove_command(&input) {
            Ok(command) => platform(ctx).tickets.remove_time(&viewer, command).await,
            Err(error) => Err(error),
        };
        TimeEntryRemovePayload::of(ctx, &viewer, result)
    }
}
