//! Mutations of tickets of any kind.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result};
use kernel::UserError as Problem;

use crate::context::{mutation, platform};
use crate::payload::payload;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{Json, Markdown, reference};
use crate::tickets::queries::ticket_ref;
use crate::tickets::types::Ticket;

/// Says who works on a ticket. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct TicketAssignInput {
    /// The ticket's id or number.
    pub id: ID,
    /// The team; another team leaves an assignee behind who is not its member.
    pub team: MaybeUndefined<TeamRefInput>,
    /// The assignee: a member of the team.
    pub assignee: MaybeUndefined<UserRefInput>,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Moves a ticket through its workflow.
#[derive(Clone, Debug, InputObject)]
pub struct TicketTransitionInput {
    /// The ticket's id or number.
    pub id: ID,
    /// The transition's key, such as `resolve`; see `availableTransitions`.
    pub transition: String,
    /// The transition's inputs as an object, such as `{ resolutionCode: "SOLVED", resolutionNotes: "…" }`; their JSON Schema is
    /// in `availableTransitions`. Every transition takes `customFields` as an object of values by keys.
    pub fields: Option<Json>,
    /// A public comment to add along.
    pub comment: Option<Markdown>,
    /// With a transition that resolves: resolve the open children along with it, those that the viewer may resolve, with the same
    /// `fields`. What became of each is told by the event `TicketChildrenResolved`.
    pub resolve_children: Option<bool>,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Makes somebody follow a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct TicketWatchInput {
    /// The ticket's id or number.
    pub id: ID,
    /// Who; the viewer when absent. Others need `ticket.update`.
    pub user: Option<UserRefInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Makes somebody cease to follow a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct TicketUnwatchInput {
    /// The ticket's id or number.
    pub id: ID,
    /// Who; the viewer when absent. Others need `ticket.update`.
    pub user: Option<UserRefInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The ticket after it was assigned.
    TicketAssignPayload {
        /// The ticket; null when it was not done.
        ticket: Ticket
    }
}
payload! {
    /// The ticket after the transition.
    TicketTransitionPayload {
        /// The ticket; null when it was not done.
        ticket: Ticket
    }
}
payload! {
    /// The ticket that is followed.
    TicketWatchPayload {
        /// The ticket; null when it was not done.
        ticket: Ticket
    }
}
payload! {
    /// The ticket that is no longer followed.
    TicketUnwatchPayload {
        /// The ticket; null when it was not done.
        ticket: Ticket
    }
}

fn assign_command(input: TicketAssignInput) -> kernel::Result<ticket::AssignTicket> {
    Ok(ticket::AssignTicket {
        ticket: ticket_ref(&input.id)?,
        team: reference("team", input.team, TeamRefInput::into_ref)?,
        assignee: reference("assignee", input.assignee, UserRefInput::into_ref)?,
        expected_version: input.expected_version,
    })
}

/// The inputs of a transition.
pub(super) fn transition_inputs(fields: Option<Json>) -> kernel::Result<serde_json::Map<String, serde_json::Value>> {
    match fields {
        None | Some(Json(serde_json::Value::Null)) => Ok(Default::default()),
        Some(Json(serde_json::Value::Object(fields))) => Ok(fields),
        Some(_) => Err(Problem::constraint(["fields"], "`fields` is an object", "type", None).into()),
    }
}

fn transition_command(input: TicketTransitionInput) -> kernel::Result<ticket::TransitionTicket> {
    let inputs = transition_inputs(input.fields)?;
    Ok(ticket::TransitionTicket {
        ticket: ticket_ref(&input.id)?,
        transition: input.transition,
        inputs,
        comment: input.comment.map(|comment| comment.0),
        resolve_children: input.resolve_children.unwrap_or(false),
        expected_version: input.expected_version,
    })
}

fn watch_command(id: &ID, user: Option<UserRefInput>) -> kernel::Result<ticket::WatchTicket> {
    let user = user.map(|user| user.into_ref().map_err(|error| error.within("user"))).transpose()?;
    Ok(ticket::WatchTicket { ticket: ticket_ref(id)?, user })
}

/// Mutations of tickets.
#[derive(Default)]
pub struct TicketMutations;

#[Object]
impl TicketMutations {
    /// Says who works on a ticket. A new ticket takes its transition `assign` along. Needs `ticket.assign`.
    async fn ticket_assign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, and who.")] input: TicketAssignInput,
    ) -> Result<TicketAssignPayload> {
        let viewer = mutation(ctx)?;
        let result = match assign_command(input) {
            Ok(command) => platform(ctx).tickets.assign(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketAssignPayload::of(ctx, &viewer, result)
    }

    /// Moves a ticket through its workflow. What is possible now, and what it needs, is in `availableTransitions`.
    async fn ticket_transition(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, which transition, with what.")] input: TicketTransitionInput,
    ) -> Result<TicketTransitionPayload> {
        let viewer = mutation(ctx)?;
        let result = match transition_command(input) {
            Ok(command) => platform(ctx).tickets.transition(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketTransitionPayload::of(ctx, &viewer, result)
    }

    /// Makes the viewer, or with `ticket.update` somebody else, follow a ticket. Doing it twice changes nothing.
    async fn ticket_watch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, and who.")] input: TicketWatchInput,
    ) -> Result<TicketWatchPayload> {
        let viewer = mutation(ctx)?;
        let result = match watch_command(&input.id, input.user) {
            Ok(command) => platform(ctx).tickets.watch(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketWatchPayload::of(ctx, &viewer, result)
    }

    /// Makes the viewer, or with `ticket.update` somebody else, cease to follow a ticket. Doing it twice changes nothing.
    async fn ticket_unwatch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ticket, and who.")] input: TicketUnwatchInput,
    ) -> Result<TicketUnwatchPayload> {
        let viewer = mutation(ctx)?;
        let result = match watch_command(&input.id, input.user) {
            Ok(command) => platform(ctx).tickets.unwatch(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketUnwatchPayload::of(ctx, &viewer, result)
    }
}
