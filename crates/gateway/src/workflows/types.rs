//! What a workflow shows.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use kernel::id::prefix;
use ticket::workflow::{DifferenceKind, Effect, VersionOverview, WorkflowOverview};

use crate::scalars::{DateTime, Duration, Json, id_of};
use crate::tickets::words::{StateCategory, TicketKind, WaitingReason};

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
    pub async fn id(&self) -> Option<ID> {
        self.0.row.as_ref().map(|row| id_of(prefix::WORKFLOW, row.id()))
    }

    /// The workflow's key, such as `incident`. By it mutations and queries name it.
    pub async fn key(&self) -> String {
        self.latest().map(|version| version.workflow.key.clone()).unwrap_or_default()
    }

    /// The workflow's name for people.
    pub async fn name(&self) -> String {
        let stored = self.0.row.as_ref().map(|row| row.text("name"));
        stored.or_else(|| self.latest().map(|version| version.workflow.name.clone())).unwrap_or_default()
    }

    /// The kind of tickets that it is for.
    pub async fn kind(&self) -> TicketKind {
        let kind = self.latest().map_or(ticket::TicketKind::Incident, |version| version.workflow.kind);
        TicketKind::parse(kind.as_str()).unwrap_or(TicketKind::Incident)
    }

    /// Which new tickets of the kind follow it, as a `TicketFilter`; null: all that no other workflow claims before.
    pub async fn filter(&self) -> Option<Json> {
        self.0.row.as_ref().map(|row| row.get("filter").to_json()).filter(|filter| !filter.is_null()).map(Json)
    }

    /// Of several workflows of a kind, that with the least rank is looked at first.
    pub async fn rank(&self) -> i32 {
        self.0.row.as_ref().map_or(i32::MAX, |row| i32::try_from(row.int("rank")).unwrap_or(i32::MAX))
    }

    /// The version that new tickets get; null while nothing was published.
    pub async fn published(&self) -> Option<WorkflowVersion> {
        let published = self.0.versions.iter().rev().find(|version| !version.draft);
        published.map(|version| WorkflowVersion(version.workflow.clone(), version.draft, version.published_at))
    }

    /// The version that may still change. For those with `settings.manage`.
    pub async fn draft(&self) -> Option<WorkflowVersion> {
        let draft = self.0.versions.iter().find(|version| version.draft);
        draft.map(|version| WorkflowVersion(version.workflow.clone(), version.draft, version.published_at))
    }

    /// All versions, oldest first, at most 500.
    pub async fn versions(&self) -> Vec<WorkflowVersion> {
        let all = self.0.versions.iter();
        all.map(|version| WorkflowVersion(version.workflow.clone(), version.draft, version.published_at)).collect()
    }

    /// Rises by one with each change, publishing included. For `expectedVersion`. 0 for a default that ships.
    pub async fn version(&self) -> i32 {
        self.0.row.as_ref().map_or(0, |row| i32::try_from(row.int("version")).unwrap_or(i32::MAX))
    }
}

/// One version of a workflow.
pub struct WorkflowVersion(pub Arc<ticket::Workflow>, pub bool, pub Option<kernel::Timestamp>);

/// One version of a workflow.
#[Object]
impl WorkflowVersion {
    /// The workflow's key.
    pub async fn key(&self) -> &str {
        &self.0.key
    }

    /// The workflow's name for people, as it was then.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// The version's number.
    pub async fn number(&self) -> i32 {
        i32::try_from(self.0.version).unwrap_or(i32::MAX)
    }

    /// Whether it may still change.
    pub async fn is_draft(&self) -> bool {
        self.1
    }

    /// When it was published; null for a draft, and for the one that ships.
    pub async fn published_at(&self) -> Option<DateTime> {
        self.2.map(DateTime)
    }

    /// The key of the state in which tickets begin.
    pub async fn initial(&self) -> &str {
        &self.0.initial
    }

    /// The states, at most 50.
    pub async fn states(&self) -> Vec<WorkflowState> {
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
    pub async fn transitions(&self) -> Vec<WorkflowTransition> {
        self.0.transitions.iter().map(WorkflowTransition::of).collect()
    }

    /// How long a ticket stays resolved before it closes by itself; null: until somebody closes it.
    pub async fn auto_close(&self) -> Option<Duration> {
        self.0.auto_close.clone().map(Duration)
    }

    /// The codes that say how a ticket was resolved, at most 50.
    pub async fn resolution_codes(&self) -> Vec<ResolutionCode> {
        let codes = self.0.resolution_codes.iter();
        codes.map(|code| ResolutionCode { key: code.key.clone(), name: code.name.clone() }).collect()
    }

    /// The whole document as JSON.
    pub async fn document(&self) -> Result<Json> {
        Ok(Json(serde_json::to_value(self.0.as_ref()).map_err(kernel::Error::internal)?))
    }

    /// A picture for people: the text of a Mermaid state diagram.
    pub async fn as_mermaid(&self) -> String {
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
#[derive(SimpleObject)]
pub struct WorkflowEffect {
    /// The field that it sets.
    field: Option<WorkflowEffectField>,
    /// What to; null clears.
    value: Option<String>,
    /// The waiting reason that it gives.
    waiting_reason: Option<WaitingReason>,
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
                Self { field: Some((*field).into()), value: value.clone(), waiting_reason: None }
            }
            Effect::SetWaitingReason { reason } => {
                Self { field: None, value: None, waiting_reason: WaitingReason::parse(reason.as_str()) }
            }
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
    Ok(WorkflowVersion(workflow, false, None))
}
