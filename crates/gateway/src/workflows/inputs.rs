//! Workflow documents as clients write them.

use async_graphql::{InputObject, MaybeUndefined, OneofObject};
use serde_json::Value as Raw;
use ticket::workflow::{Effect, Guard, StateMapping};

use super::types::WorkflowEffectField;
use crate::scalars::{Duration, Json};
use crate::tickets::words::{StateCategory, TicketKind, WaitingReason};

/// A workflow document: states and transitions.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowDocumentInput {
    /// The key of the state in which tickets begin: a `NEW` or `ACTIVE` one.
    pub initial: String,
    /// The states, at most 50. Each can be reached, and from each a way leads to a `CLOSED` or `CANCELED` one.
    pub states: Vec<WorkflowStateInput>,
    /// The transitions, at most 200.
    pub transitions: Vec<WorkflowTransitionInput>,
    /// How long a ticket stays resolved before its transition `close` is taken by itself, such as `P5D`; never when absent.
    pub auto_close: Option<Duration>,
    /// The codes that say how a ticket was resolved, at most 50.
    pub resolution_codes: Option<Vec<ResolutionCodeInput>>,
}

/// A state.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowStateInput {
    /// Its key: letters, digits, hyphens and underscores.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What it means. The same in all versions of the workflow.
    pub category: StateCategory,
}

/// How a ticket was resolved.
#[derive(Clone, Debug, InputObject)]
pub struct ResolutionCodeInput {
    /// Its key, such as `SOLVED`.
    pub key: String,
    /// Its name for people.
    pub name: String,
}

/// A transition.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowTransitionInput {
    /// Its key: letters, digits, hyphens and underscores. `assign` is taken along when a ticket in one of its first states is
    /// assigned; `close` by itself after `autoClose`.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The keys of the states that it leaves from.
    pub from: Vec<String>,
    /// The key of the state that it leads to.
    pub to: String,
    /// Who may take it: those with this permission on the ticket, such as `ticket.transition`, which is meant when absent.
    pub permission: Option<String>,
    /// Inputs that must be given: `waitingReason`, `waitingUntil`, `team`, `assignee`, `category`, for incidents `resolutionCode`
    /// and `resolutionNotes` too.
    pub required: Option<Vec<String>>,
    /// Inputs that may be given.
    pub optional: Option<Vec<String>>,
    /// Conditions on the ticket as it is before the transition, at most 20; all must hold.
    pub guards: Option<Vec<WorkflowGuardInput>>,
    /// What it does besides, at most 10, in this order.
    pub effects: Option<Vec<WorkflowEffectInput>>,
}

/// A condition on a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowGuardInput {
    /// The condition: a `TicketFilter`, or the filter of the kind, as an object. It may name what everybody who sees the ticket
    /// reads, one relation away at most, and nothing relative to now.
    pub filter: Json,
    /// Why the transition is refused where it does not hold, for people.
    pub reason: String,
}

/// What a transition does besides.
#[derive(Clone, Debug, OneofObject)]
pub enum WorkflowEffectInput {
    /// Sets a field.
    SetField(WorkflowSetFieldInput),
    /// Gives the reason of a transition into a waiting state.
    SetWaitingReason(WaitingReason),
}

/// Sets a field.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowSetFieldInput {
    /// Which.
    pub field: WorkflowEffectField,
    /// What to; null clears.
    pub value: Option<String>,
}

/// Where the tickets of a state go that the new version does not have.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowStateMappingInput {
    /// The key of the state in earlier versions.
    pub from: String,
    /// The key of the state in the new one.
    pub to: String,
}

impl From<WorkflowStateMappingInput> for StateMapping {
    fn from(input: WorkflowStateMappingInput) -> Self {
        Self { from: input.from, to: input.to }
    }
}

/// Makes a workflow with its first draft.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowCreateInput {
    /// Its key: lower-case letters, digits and hyphens. With the key of a kind's default (`incident`) its next version is
    /// drafted, for all tickets of the kind.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The kind of tickets that it is for.
    pub kind: TicketKind,
    /// Which new tickets of the kind follow it once it is published: a `TicketFilter`, or the filter of the kind, as an object;
    /// all when absent.
    pub filter: Option<Json>,
    /// Of several workflows of a kind, that with the least rank is looked at first; 100 when absent.
    pub rank: Option<i32>,
    /// The document.
    pub document: WorkflowDocumentInput,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a workflow. Absent fields stay.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowUpdateInput {
    /// The workflow's key.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// Which new tickets of the kind follow it; null: all. At once, not with the next version.
    pub filter: MaybeUndefined<Json>,
    /// Of several workflows of a kind, that with the least rank is looked at first.
    pub rank: Option<i32>,
    /// A new document: it replaces the draft, or begins one.
    pub document: Option<WorkflowDocumentInput>,
    /// Refuse when the workflow has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Checks a document. Nothing is kept.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowValidateInput {
    /// The kind of tickets that it is for.
    pub kind: TicketKind,
    /// The document.
    pub document: WorkflowDocumentInput,
}

/// Publishes a workflow's draft.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowPublishInput {
    /// The workflow's key.
    pub key: String,
    /// When given, open tickets that follow an earlier version are moved to this one in the background, those in a state that is
    /// gone to the state that it is mapped to. When absent they stay on theirs.
    pub migrate: Option<Vec<WorkflowStateMappingInput>>,
    /// Refuse when the workflow has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl WorkflowDocumentInput {
    /// As a document of the domain, which looks at all that it says.
    pub fn into_document(self, key: String, name: String, kind: TicketKind) -> ticket::Workflow {
        let state = |state: WorkflowStateInput| ticket::State {
            key: state.key,
            name: state.name,
            category: state.category.into(),
        };
        let code = |code: ResolutionCodeInput| ticket::workflow::ResolutionCode { key: code.key, name: code.name };
        ticket::Workflow {
            key,
            name,
            version: 0,
            kind: kind.into(),
            initial: self.initial,
            states: self.states.into_iter().map(state).collect(),
            transitions: self.transitions.into_iter().map(transition).collect(),
            auto_close: self.auto_close.map(|length| length.0),
            resolution_codes: self.resolution_codes.unwrap_or_default().into_iter().map(code).collect(),
        }
    }
}

fn transition(input: WorkflowTransitionInput) -> ticket::Transition {
    let guard = |guard: WorkflowGuardInput| Guard::new(guard.filter.0, guard.reason);
    let effect = |effect: WorkflowEffectInput| match effect {
        WorkflowEffectInput::SetField(set) => Effect::SetField { field: set.field.into(), value: set.value },
        WorkflowEffectInput::SetWaitingReason(reason) => Effect::SetWaitingReason { reason: reason.into() },
    };
    ticket::Transition {
        key: input.key,
        name: input.name,
        from: input.from,
        to: input.to,
        permission: input.permission.unwrap_or_else(|| access::permission::TICKET_TRANSITION.to_owned()),
        required: input.required.unwrap_or_default(),
        optional: input.optional.unwrap_or_default(),
        guards: input.guards.unwrap_or_default().into_iter().map(guard).collect(),
        effects: input.effects.unwrap_or_default().into_iter().map(effect).collect(),
    }
}

/// A patch of a filter document.
pub fn filter_patch(filter: MaybeUndefined<Json>) -> kernel::Patch<Raw> {
    match filter {
        MaybeUndefined::Undefined => kernel::Patch::Keep,
        MaybeUndefined::Null | MaybeUndefined::Value(Json(Raw::Null)) => kernel::Patch::Clear,
        MaybeUndefined::Value(Json(filter)) => kernel::Patch::Set(filter),
    }
}
