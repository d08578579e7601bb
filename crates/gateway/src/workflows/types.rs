//! What a workflow shows.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use kernel::id::prefix;
use ticket::workflow::{DifferenceKind, Effect, NamedApprover, VersionOverview, WorkflowOverview};

use crate::approvals::types::{ApprovalRule, ApproverPath};
use crate::people::scalars::EmailAddress;
use crate::scalars::{DateTime, Duration, Json, Markdown, id_of};
use crate::tickets::words::{Impact, StateCategory, TicketKind, Urgency, WaitingReason};

/// How tickets of a kind move: states, transitions, and what each needs. Versioned; a published version never changes.
pub struct Workflow(pub WorkflowOverview);

impl Workflow {
    fn latest(&self) -> Option<&VersionOverview> {
        self.0.versions.last()
    }
}

/// How tickets of a kind move: states, transitions, and what each needs. Versioned; a published version never changes.
#[Object]
impl Workflow {
    /// The workflow's id; null for a default that ships and that the tenant has not made its own.
    pub fn id(&self) -> Option<ID> {
        self.0.row.as_ref().map(|row| id_of(prefix::WORKFLOW, row.id()))
    }

    /// The workflow's key, such as `incident`. By it mutations and queries name it.
    pub fn key(&self) -> String {
        self.latest().map(|version| version.workflow.key.clone()).unwrap_or_default()
    }

    /// The workflow's name for people.
    pub fn name(&self) -> String {
        let stored = self.0.row.as_ref().map(|row| row.text("name"));
        stored.or_else(|| self.latest().map(|version| version.workflow.name.clone())).unwrap_or_default()
    }

    /// The kind of tickets that it is for.
    pub fn kind(&self) -> TicketKind {
        let kind = self.latest().map_or(ticket::TicketKind::Incident, |version| version.workflow.kind);
        TicketKind::parse(kind.as_str()).unwrap_or(TicketKind::Incident)
    }

    /// Which new tickets of the kind follow it, as a `TicketFilter`; null: all that no other workflow claims before.
    pub fn filter(&self) -> Option<Json> {
        self.0.row.as_ref().map(|row| row.get("filter").to_json()).filter(|filter| !filter.is_null()).map(Json)
    }

    /// Of several workflows of a kind, that with the least rank is looked at first. A default that ships is looked at after all
    /// others: 2,147,483,647.
    pub fn rank(&self) -> i32 {
        self.0.row.as_ref().map_or(i32::MAX, |row| i32::try_from(row.int("rank")).unwrap_or(i32::MAX))
    }

    /// The version that new tickets get; null while nothing was published.
    pub fn published(&self) -> Option<WorkflowVersion> {
        let published = self.0.versions.iter().rev().find(|version| !version.draft);
        published.map(|version| WorkflowVersion(version.workflow.clone(), version.draft, version.published_at))
    }

    /// The version that may still change. For those with `settings.manage`.
    pub fn draft(&self) -> Option<WorkflowVersion> {
        let draft = self.0.versions.iter().find(|version| version.draft);
        draft.map(|version| WorkflowVersion(version.workflow.clone(), version.draft, version.published_at))
    }

    /// All versions, oldest first, at most 500.
    pub fn versions(&self) -> Vec<WorkflowVersion> {
        let all = self.0.versions.iter();
        all.map(|version| WorkflowVersion(version.workflow.clone(), version.draft, version.published_at)).collect()
    }

    /// Rises by one with each change, publishing included. For `expectedVersion`. 0 for a default that ships.
    pub fn version(&self) -> i32 {
        self.0.row.as_ref().map_or(0, |row| i32::try_from(row.int("version")).unwrap_or(i32::MAX))
    }
}

/// One version of a workflow.
pub struct WorkflowVersion(pub Arc<ticket::Workflow>, pub bool, pub Option<kernel::Timestamp>);

/// One version of a workflow.
#[Object]
impl WorkflowVersion {
    /// The workflow's key.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The workflow's name for people, as it was then.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The version's number.
    pub fn number(&self) -> i32 {
        i32::try_from(self.0.version).unwrap_or(i32::MAX)
    }

    /// Whether it may still change.
    pub fn is_draft(&self) -> bool {
        self.1
    }

    /// When it was published; null for a draft, and for the one that ships.
    pub fn published_at(&self) -> Option<DateTime> {
        self.2.map(DateTime)
    }

    /// The key of the state in which tickets begin.
    pub fn initial(&self) -> &str {
        &self.0.initial
    }

    /// The states, at most 50.
    pub fn states(&self) -> Vec<WorkflowState> {
        let states = self.0.states.iter();
        states
            .map(|state| WorkflowState {
                key: state.key.clone(),
                name: state.name.clone(),
                category: StateCategory::parse(state.category.as_str()).unwrap_or(StateCategory::New),
            })
            .collect()
    }

    /// The transitions, at most 200.
    pub fn transitions(&self) -> Vec<WorkflowTransition> {
        self.0.transitions.iter().map(WorkflowTransition::of).collect()
    }

    /// How long a ticket stays resolved before it closes by itself; null: until somebody closes it.
    pub fn auto_close(&self) -> Option<Duration> {
        self.0.auto_close.clone().map(Duration)
    }

    /// How long after it was resolved a ticket can be reopened; null: as long as it is resolved.
    pub fn reopen_window(&self) -> Option<Duration> {
        self.0.reopen_window.clone().map(Duration)
    }

    /// The codes that say how a ticket was resolved, at most 50.
    pub fn resolution_codes(&self) -> Vec<ResolutionCode> {
        let codes = self.0.resolution_codes.iter();
        codes.map(|code| ResolutionCode { key: code.key.clone(), name: code.name.clone() }).collect()
    }

    /// The whole document as JSON.
    pub fn document(&self) -> Result<Json> {
        Ok(Json(serde_json::to_value(self.0.as_ref()).map_err(kernel::Error::internal)?))
    }

    /// A picture for people: the text of a Mermaid state diagram.
    pub fn as_mermaid(&self) -> String {
        ticket::workflow::mermaid(&self.0)
    }
}

/// A state of a workflow.
#[derive(SimpleObject)]
pub struct WorkflowState {
    /// Its key.
    key: String,
    /// Its name for people.
    name: String,
    /// What it means: the same in all versions.
    category: StateCategory,
}

/// How a ticket was resolved.
#[derive(SimpleObject)]
pub struct ResolutionCode {
    /// Its key, such as `SOLVED`.
    key: String,
    /// Its name for people.
    name: String,
}

/// A transition of a workflow.
#[derive(SimpleObject)]
pub struct WorkflowTransition {
    /// Its key, for `ticketTransition`.
    key: String,
    /// Its name for people.
    name: String,
    /// The keys of the states that it leaves from.
    from: Vec<String>,
    /// The key of the state that it leads to.
    to: String,
    /// The permission on the ticket that it needs.
    permission: String,
    /// Inputs that must be given.
    required: Vec<String>,
    /// Inputs that may be given.
    optional: Vec<String>,
    /// Conditions on the ticket as it is before the transition.
    guards: Vec<WorkflowGuard>,
    /// What it does besides.
    effects: Vec<WorkflowEffect>,
}

/// A condition on a ticket.
#[derive(SimpleObject)]
pub struct WorkflowGuard {
    /// The condition as a `TicketFilter`, or the filter of the kind.
    filter: Json,
    /// Why the transition is refused where it does not hold.
    reason: String,
}

/// What a transition does besides.
#[derive(Default, SimpleObject)]
pub struct WorkflowEffect {
    /// The field that it sets.
    field: Option<WorkflowEffectField>,
    /// What to; null clears.
    value: Option<String>,
    /// The waiting reason that it gives.
    waiting_reason: Option<WaitingReason>,
    /// The approval that it asks for.
    start_approval: Option<WorkflowStartApproval>,
    /// The tasks that it creates.
    create_tasks: Option<WorkflowCreateTasks>,
}

/// An approval that a transition asks for.
#[derive(SimpleObject)]
pub struct WorkflowStartApproval {
    /// What the approval is called.
    name: String,
    /// The steps in order, at most 10.
    steps: Vec<WorkflowApprovalStep>,
    /// Whether the ticket's requester, and whoever takes the transition, may decide as well.
    self_approval: bool,
    /// The fields of the ticket that it is bound to, at most 50; null: `title` and `description`.
    bound_fields: Option<Vec<String>>,
    /// The keys of the transitions that wait while it is pending, at most 20.
    blocks: Vec<String>,
    /// How long after the transition it expires; null for never.
    expires_in: Option<Duration>,
}

/// A step of an approval that a transition asks for.
#[derive(SimpleObject)]
pub struct WorkflowApprovalStep {
    /// What it is called.
    name: Option<String>,
    /// How many must approve.
    rule: ApprovalRule,
    /// The number that `QUORUM` and `PERCENT` have.
    rule_value: Option<i32>,
    /// Whose votes count, at most 20.
    approvers: Vec<WorkflowApprover>,
    /// Whose refusal alone refuses, at most 20.
    veto_holders: Vec<WorkflowApprover>,
}

/// Who approves: one of the fields is there, but for a user whose address the viewer may not read.
#[derive(Default, SimpleObject)]
pub struct WorkflowApprover {
    /// The user with this e-mail address; null for those without `user.read`.
    user: Option<EmailAddress>,
    /// The members of the team with this slug.
    team: Option<String>,
    /// Whoever holds the role with this key.
    role: Option<String>,
    /// Whoever stands there, seen from the ticket.
    path: Option<ApproverPath>,
}

/// Tasks that a transition creates.
#[derive(SimpleObject)]
pub struct WorkflowCreateTasks {
    /// The tasks, at most 50.
    tasks: Vec<WorkflowTask>,
}

/// A task that a transition creates.
#[derive(SimpleObject)]
pub struct WorkflowTask {
    /// Names it within the plan.
    key: String,
    /// What to do, in a line.
    title: String,
    /// What to do, in Markdown.
    description: Option<Markdown>,
    /// The slug of the team that does it; null: the ticket's team.
    team: Option<String>,
    /// The e-mail address of the member of that team who does it; null for those without `user.read`.
    assignee: Option<EmailAddress>,
    /// How many are affected; null: as on the ticket.
    impact: Option<Impact>,
    /// How long it can wait; null: as on the ticket.
    urgency: Option<Urgency>,
    /// Free words, at most 50.
    tags: Vec<String>,
    /// The keys of the tasks that must be done first.
    depends_on: Vec<String>,
}

impl WorkflowTransition {
    fn of(transition: &ticket::Transition) -> Self {
        let guards = transition.guards.iter();
        Self {
            key: transition.key.clone(),
            name: transition.name.clone(),
            from: transition.from.clone(),
            to: transition.to.clone(),
            permission: transition.permission.clone(),
            required: transition.required.clone(),
            optional: transition.optional.clone(),
            guards: guards
                .map(|guard| WorkflowGuard { filter: Json(guard.filter.clone()), reason: guard.reason.clone() })
                .collect(),
            effects: transition.effects.iter().map(WorkflowEffect::of).collect(),
        }
    }
}

impl WorkflowEffect {
    fn of(effect: &Effect) -> Self {
        match effect {
            Effect::SetField { field, value } => {
                Self { field: Some((*field).into()), value: value.clone(), ..Self::default() }
            }
            Effect::SetWaitingReason { reason } => {
                Self { waiting_reason: WaitingReason::parse(reason.as_str()), ..Self::default() }
            }
            Effect::StartApproval(effect) => {
                Self { start_approval: Some(WorkflowStartApproval::of(effect)), ..Self::default() }
            }
            Effect::CreateTasks(effect) => {
                let tasks = effect.tasks.iter().map(WorkflowTask::of).collect();
                Self { create_tasks: Some(WorkflowCreateTasks { tasks }), ..Self::default() }
            }
        }
    }
}

impl WorkflowStartApproval {
    fn of(effect: &ticket::workflow::StartApprovalEffect) -> Self {
        let approvers = |list: &[NamedApprover]| list.iter().map(WorkflowApprover::of).collect();
        let step = |step: &ticket::workflow::ApprovalStepEffect| WorkflowApprovalStep {
            name: step.name.clone(),
            rule: ApprovalRule::parse(&step.rule).unwrap_or(ApprovalRule::All),
            rule_value: step.rule_value.and_then(|value| i32::try_from(value).ok()),
            approvers: approvers(&step.approvers),
            veto_holders: approvers(&step.veto_holders),
        };
        Self {
            name: effect.name.clone(),
            steps: effect.steps.iter().map(step).collect(),
            self_approval: effect.self_approval,
            bound_fields: effect.bound_fields.clone(),
            blocks: effect.blocks.clone(),
            expires_in: effect.expires_in.clone().map(Duration),
        }
    }
}

impl WorkflowApprover {
    fn of(approver: &NamedApprover) -> Self {
        match approver {
            NamedApprover::User(email) => Self { user: email.clone().map(EmailAddress), ..Self::default() },
            NamedApprover::Team(slug) => Self { team: Some(slug.clone()), ..Self::default() },
            NamedApprover::Role(key) => Self { role: Some(key.clone()), ..Self::default() },
            NamedApprover::Path(path) => Self { path: ApproverPath::parse(path.as_str()), ..Self::default() },
        }
    }
}

impl WorkflowTask {
    fn of(task: &ticket::workflow::TaskEffect) -> Self {
        Self {
            key: task.key.clone(),
            title: task.title.clone(),
            description: task.description.clone().map(Markdown),
            team: task.team.clone(),
            assignee: task.assignee.clone().map(EmailAddress),
            impact: task.impact.and_then(|impact| Impact::parse(impact.as_str())),
            urgency: task.urgency.and_then(|urgency| Urgency::parse(urgency.as_str())),
            tags: task.tags.clone(),
            depends_on: task.depends_on.clone(),
        }
    }
}

/// A field that an effect can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ticket::workflow::EffectField")]
pub enum WorkflowEffectField {
    /// The team, by its slug; null takes the ticket out of its team.
    Team,
    /// The assignee; only null: nobody.
    Assignee,
    /// The category, by its key; null for none.
    Category,
    /// The impact: `HIGH`, `MEDIUM` or `LOW`. The priority follows.
    Impact,
    /// The urgency: `HIGH`, `MEDIUM` or `LOW`. The priority follows.
    Urgency,
    /// A tag to add.
    Tag,
}

/// One part of a document that differs between two versions.
#[derive(SimpleObject)]
pub struct WorkflowDifference {
    /// What became of it.
    kind: WorkflowDifferenceKind,
    /// Where, such as `transitions.resolve.required`; parts of lists are named by their keys.
    path: String,
    /// As it was; null where it is new.
    before: Option<Json>,
    /// As it is; null where it is gone.
    after: Option<Json>,
}

impl From<ticket::workflow::Difference> for WorkflowDifference {
    fn from(found: ticket::workflow::Difference) -> Self {
        let shown = |json: serde_json::Value| Some(Json(json)).filter(|json| !json.0.is_null());
        Self { kind: found.kind.into(), path: found.path, before: shown(found.before), after: shown(found.after) }
    }
}

/// What became of a part of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "DifferenceKind")]
pub enum WorkflowDifferenceKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// The workflow that a ticket follows, in its version.
///
/// # Errors
/// Database errors.
pub async fn of_ticket(ctx: &Context<'_>, row: &store::query::Row) -> Result<WorkflowVersion> {
    let tickets = &crate::context::platform(ctx).tickets;
    let viewer = crate::context::viewer(ctx)?;
    let rules = tickets.kinds().of(row)?;
    let workflow = tickets.workflow_of(&tickets.store().read("workflow.find"), &viewer, rules.as_ref(), row).await?;
    Ok(WorkflowVersion(tickets.shown_workflow(&viewer, &workflow), false, None))
}
