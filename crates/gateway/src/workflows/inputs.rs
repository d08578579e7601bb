//! Workflow documents as clients write them.

use async_graphql::{InputObject, MaybeUndefined, OneofObject};
use serde_json::Value as Raw;
use ticket::workflow::{self as domain, Effect, Guard, NamedApprover, StateMapping};

use super::types::WorkflowEffectField;
use crate::approvals::types::{ApprovalRule, ApproverPath};
use crate::people::scalars::EmailAddress;
use crate::scalars::{Duration, Json, Markdown};
use crate::tickets::words::{Impact, StateCategory, TicketKind, Urgency, WaitingReason};

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
    /// How long after it was resolved a ticket can be reopened, such as `P3D`; as long as it is resolved, when absent.
    pub reopen_window: Option<Duration>,
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
    /// assigned, unless an approval blocks it; `close` by itself after `autoClose`.
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
    /// Asks for approval of the ticket, for whoever takes the transition. Not on the way to a `CLOSED` or `CANCELED` state.
    StartApproval(WorkflowStartApprovalInput),
    /// Creates tasks on the ticket, for whoever takes the transition. Not on the way to a state that is done.
    CreateTasks(WorkflowCreateTasksInput),
}

/// Asks for approval of the ticket.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowStartApprovalInput {
    /// What the approval is called, such as `Purchase over 5,000`.
    pub name: String,
    /// The steps in order, 1 to 10.
    pub steps: Vec<WorkflowApprovalStepInput>,
    /// Whether the ticket's requester, and whoever takes the transition, may decide as well; false when absent.
    pub self_approval: Option<bool>,
    /// The fields of the ticket that it is bound to, at most 50: an edit of one of them voids the approval. `title` and
    /// `description` when absent.
    pub bound_fields: Option<Vec<String>>,
    /// The keys of the transitions that wait while it is pending, at most 20; none when absent.
    pub blocks: Option<Vec<String>>,
    /// How long after the transition it expires, which is a refusal, such as `P5D`; at most 3,660 days; never when absent.
    pub expires_in: Option<Duration>,
}

/// A step of an approval.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowApprovalStepInput {
    /// What it is called, such as `CAB`.
    pub name: Option<String>,
    /// How many must approve.
    pub rule: ApprovalRule,
    /// The number for `QUORUM` (at least 1, and no more than can be asked) and `PERCENT` (1 to 100).
    pub rule_value: Option<i32>,
    /// Whose votes count, at most 20 entries and 100 persons.
    pub approvers: Vec<WorkflowApproverInput>,
    /// Whose refusal alone refuses, at most 20 entries. The step waits for them.
    pub veto_holders: Option<Vec<WorkflowApproverInput>>,
}

/// Who approves, by what they are called: as it is when the step opens.
#[derive(Clone, Debug, OneofObject)]
pub enum WorkflowApproverInput {
    /// The user with this e-mail address.
    User(EmailAddress),
    /// The members of the team with this slug.
    Team(String),
    /// Whoever holds the role with this key, such as `team_lead`.
    Role(String),
    /// Whoever stands there, seen from the ticket.
    Path(ApproverPath),
}

/// Creates tasks on the ticket: all of them or none.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowCreateTasksInput {
    /// The tasks, 1 to 50, those of the transition's other effects included.
    pub tasks: Vec<WorkflowTaskInput>,
}

/// A task that a transition creates.
#[derive(Clone, Debug, InputObject)]
pub struct WorkflowTaskInput {
    /// Names it within the plan, for `dependsOn`.
    pub key: String,
    /// What to do, in a line.
    pub title: String,
    /// What to do, in Markdown.
    pub description: Option<Markdown>,
    /// The slug of the team that does it; the ticket's team when absent.
    pub team: Option<String>,
    /// The e-mail address of the member of that team who does it. Nobody does, once they have left or left the team.
    pub assignee: Option<EmailAddress>,
    /// How many are affected; as on the ticket when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; as on the ticket when absent.
    pub urgency: Option<Urgency>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// The keys of the tasks that must be done first.
    pub depends_on: Option<Vec<String>>,
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
            reopen_window: self.reopen_window.map(|length| length.0),
            resolution_codes: self.resolution_codes.unwrap_or_default().into_iter().map(code).collect(),
        }
    }
}

fn transition(input: WorkflowTransitionInput) -> ticket::Transition {
    let guard = |guard: WorkflowGuardInput| Guard::new(guard.filter.0, guard.reason);
    let effect = |effect: WorkflowEffectInput| match effect {
        WorkflowEffectInput::SetField(set) => Effect::SetField { field: set.field.into(), value: set.value },
        WorkflowEffectInput::SetWaitingReason(reason) => Effect::SetWaitingReason { reason: reason.into() },
        WorkflowEffectInput::StartApproval(approval) => Effect::StartApproval(start_approval(approval)),
        WorkflowEffectInput::CreateTasks(plan) => {
            Effect::CreateTasks(domain::CreateTasksEffect { tasks: plan.tasks.into_iter().map(task).collect() })
        }
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

fn start_approval(input: WorkflowStartApprovalInput) -> domain::StartApprovalEffect {
    domain::StartApprovalEffect {
        name: input.name,
        steps: input.steps.into_iter().map(approval_step).collect(),
        self_approval: input.self_approval.unwrap_or(false),
        bound_fields: input.bound_fields,
        blocks: input.blocks.unwrap_or_default(),
        expires_in: input.expires_in.map(|length| length.0),
    }
}

fn approval_step(input: WorkflowApprovalStepInput) -> domain::ApprovalStepEffect {
    let approvers = |list: Vec<WorkflowApproverInput>| list.into_iter().map(approver).collect();
    domain::ApprovalStepEffect {
        name: input.name,
        rule: input.rule.as_str().to_owned(),
        // No rule has the number 0.
        rule_value: input.rule_value.map(|value| u32::try_from(value).unwrap_or(0)),
        approvers: approvers(input.approvers),
        veto_holders: approvers(input.veto_holders.unwrap_or_default()),
    }
}

fn approver(input: WorkflowApproverInput) -> NamedApprover {
    match input {
        WorkflowApproverInput::User(email) => NamedApprover::User(Some(email.0)),
        WorkflowApproverInput::Team(slug) => NamedApprover::Team(slug),
        WorkflowApproverInput::Role(key) => NamedApprover::Role(key),
        WorkflowApproverInput::Path(path) => NamedApprover::Path(path.into()),
    }
}

fn task(input: WorkflowTaskInput) -> domain::TaskEffect {
    domain::TaskEffect {
        key: input.key,
        title: input.title,
        description: input.description.map(|text| text.0),
        team: input.team,
        assignee: input.assignee.map(|email| email.0),
        impact: input.impact.map(Into::into),
        urgency: input.urgency.map(Into::into),
        tags: input.tags.unwrap_or_default(),
        depends_on: input.depends_on.unwrap_or_default(),
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
