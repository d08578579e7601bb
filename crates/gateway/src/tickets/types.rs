//! What every ticket shows, and the records that belong to it.

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Object, Result, SimpleObject};
use kernel::id::prefix;
use predicate::{Policy, Rule};
use store::query::Row;

use crate::approvals::Approval;
use crate::configuration::{ConfigurationItem, Service};
use crate::context::{platform, viewer};
use crate::custom_fields::CustomFieldValue;
use crate::files::Attachment;
use crate::incidents::Incident;
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::problems::Problem;
use crate::scalars::{Cursor, DateTime, Duration, JsonSchema, Markdown, id_of};
use crate::service_levels::SlaClock;
use crate::tasks::{Task, TaskConnection};
use crate::tickets::comments::CommentConnection;
use crate::tickets::event_log::EventConnection;
use crate::tickets::links::{ChildrenSummary, TicketLink, TicketLinkType};
use crate::tickets::merges::TicketMerge;
use crate::tickets::words::{
    Impact, Priority, SlaState, StateCategory, TicketAction, TicketConfigurationItemLink, TicketKind, Urgency,
    WaitingReason,
};
use crate::time::TicketCost;
use crate::time::entries::TimeEntryConnection;
use crate::workflows::types::{WorkflowVersion, of_ticket};

/// A work item of any kind: what incidents and all later kinds share.
#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "The ticket's id, such as `inc_01jcz8…`."),
    field(
        name = "number",
        ty = "String",
        desc = "The ticket's number for people, such as `INC-1042`. Taken wherever its id is."
    ),
    field(name = "kind", ty = "TicketKind", desc = "The practice that it belongs to."),
    field(
        name = "version",
        ty = "i32",
        desc = "Rises by one with each change to the ticket's own fields. For `expectedVersion`."
    ),
    field(name = "title", ty = "String", desc = "What it is about, in a line."),
    field(name = "description", ty = "Option<Markdown>", desc = "What it is about, in full."),
    field(name = "state", ty = "TicketState", desc = "Where it stands in its workflow."),
    field(name = "workflow", ty = "WorkflowVersion", desc = "The workflow that it follows, in its version."),
    field(name = "priority", ty = "Priority", desc = "What is worked on first."),
    field(
        name = "priority_override",
        ty = "Option<PriorityOverride>",
        desc = "Set when somebody overrode the matrix. Readable by those who work on the ticket."
    ),
    field(name = "impact", ty = "Impact", desc = "How many are affected, and how badly."),
    field(name = "urgency", ty = "Urgency", desc = "How long it can wait."),
    field(name = "category", ty = "Option<Category>", desc = "Where it stands in the tenant's tree of categories."),
    field(name = "service", ty = "Option<Service>", desc = "The service that it is about."),
    field(
        name = "configuration_items",
        ty = "Vec<TicketConfigurationItem>",
        desc = "The configuration items that it is about, at most 50. Empty without `configuration.read`."
    ),
    field(name = "requester", ty = "User", desc = "Who is affected."),
    field(name = "opened_by", ty = "Actor", desc = "Who wrote it down."),
    field(name = "team", ty = "Option<Team>", desc = "The team that works on it."),
    field(name = "assignee", ty = "Option<User>", desc = "The member of the team who works on it."),
    field(name = "tags", ty = "Vec<String>", desc = "Free words, at most 50."),
    field(
        name = "custom_fields",
        ty = "Vec<CustomFieldValue>",
        desc = "What it says in the tenant's custom fields, as far as the viewer may read them; fields without a value are not there.",
        arg(name = "keys", ty = "Option<Vec<String>>", desc = "Only those with these keys; all when absent.")
    ),
    field(
        name = "external_refs",
        ty = "Vec<ExternalRef>",
        desc = "What it is called in other systems, at most 20. Empty for those who do not work on the ticket."
    ),
    field(
        name = "comments",
        ty = "CommentConnection",
        desc = "What was said, oldest first, as far as the viewer may read it. `last: 5` gives the newest five.",
        arg(
            name = "first",
            ty = "Option<i32>",
            desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given."
        ),
        arg(name = "after", ty = "Option<Cursor>", desc = "Only those behind this cursor."),
        arg(name = "last", ty = "Option<i32>", desc = "How many from the back, at most 100."),
        arg(name = "before", ty = "Option<Cursor>", desc = "Only those before this cursor.")
    ),
    field(
        name = "attachments",
        ty = "Vec<Attachment>",
        desc = "The files on it, and on what was said there, in the order in which they came; at most 100."
    ),
    field(
        name = "links",
        ty = "Vec<TicketLink>",
        desc = "Its links with other tickets that the viewer may see, from both sides, at most 100: those that leave from it first.",
        arg(name = "type", ty = "Option<TicketLinkType>", desc = "Only those of this type; all when absent.")
    ),
    field(
        name = "merged_into",
        ty = "Option<Ticket>",
        desc = "The ticket that it was merged into, which goes on for both. Null for one that was not, and when the viewer may not see the other."
    ),
    field(
        name = "merges",
        ty = "Vec<TicketMerge>",
        desc = "The merges of other tickets into it, those that were undone among them, in the order in which they were made; at most 100, as far as the viewer may see the other tickets."
    ),
    field(
        name = "children_summary",
        ty = "ChildrenSummary",
        desc = "How many tickets it is the parent of, as far as the viewer may see them."
    ),
    field(
        name = "tasks",
        ty = "TaskConnection",
        desc = "The tasks that it is done by, oldest first, as far as the viewer may see them. A task has none of its own.",
        arg(
            name = "first",
            ty = "Option<i32>",
            desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given."
        ),
        arg(name = "after", ty = "Option<Cursor>", desc = "Only those behind this cursor."),
        arg(name = "last", ty = "Option<i32>", desc = "How many from the back, at most 100."),
        arg(name = "before", ty = "Option<Cursor>", desc = "Only those before this cursor.")
    ),
    field(name = "watchers", ty = "Vec<User>", desc = "Who follows it, at most 100."),
    field(
        name = "approvals",
        ty = "Vec<Approval>",
        desc = "The approvals that were asked for, oldest first, at most 50."
    ),
    field(
        name = "history",
        ty = "EventConnection",
        desc = "Every change: who, when, through what, before and after. Oldest first; `last: 10` gives the newest ten.",
        arg(
            name = "first",
            ty = "Option<i32>",
            desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given."
        ),
        arg(name = "after", ty = "Option<Cursor>", desc = "Only those behind this cursor."),
        arg(name = "last", ty = "Option<i32>", desc = "How many from the back, at most 100."),
        arg(name = "before", ty = "Option<Cursor>", desc = "Only those before this cursor.")
    ),
    field(
        name = "available_transitions",
        ty = "Vec<AvailableTransition>",
        desc = "The transitions that leave from the present state: those that the viewer may take, with the JSON Schema of their inputs, and those refused, with the reasons."
    ),
    field(
        name = "viewer_can",
        ty = "Permission",
        desc = "Whether the viewer may do something with it, and if not, why.",
        arg(name = "action", ty = "TicketAction", desc = "What the viewer wants to do.")
    ),
    field(
        name = "reassignment_count",
        ty = "Option<i32>",
        desc = "How often a team or an assignee gave way to another. Readable by those who work on the ticket."
    ),
    field(name = "reopen_count", ty = "i32", desc = "How often it came back."),
    field(name = "created_at", ty = "DateTime", desc = "When it was opened."),
    field(name = "updated_at", ty = "DateTime", desc = "When its own fields changed last."),
    field(name = "resolved_at", ty = "Option<DateTime>", desc = "When it was resolved; null again after a reopening."),
    field(name = "closed_at", ty = "Option<DateTime>", desc = "When it was closed or canceled."),
    field(
        name = "acknowledged_at",
        ty = "Option<DateTime>",
        desc = "When somebody took it up: it first left the category `NEW`, and was not canceled."
    ),
    field(name = "first_responded_at", ty = "Option<DateTime>", desc = "When an agent first answered in public."),
    field(
        name = "sla_due_at",
        ty = "Option<DateTime>",
        desc = "When the clock of a service level agreement is over time that is due next. Null while none runs."
    ),
    field(
        name = "sla_state",
        ty = "Option<SlaState>",
        desc = "Where that clock stands; of clocks that are paused or have ended, the worst. Null without a service level agreement."
    ),
    field(
        name = "time_spent",
        ty = "Option<Duration>",
        desc = "How much time was worked on it, by its time entries. Readable by those who work on the ticket."
    ),
    field(
        name = "cost",
        ty = "Option<TicketCost>",
        desc = "What that time costs, by the rates that its entries were written down with. Null without `ticket.internal` and `cost.read` on the ticket."
    ),
    field(
        name = "time_entries",
        ty = "TimeEntryConnection",
        desc = "The time that was worked on it, in the order in which it was written down. Empty for those who do not work on the ticket.",
        arg(
            name = "first",
            ty = "Option<i32>",
            desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given."
        ),
        arg(name = "after", ty = "Option<Cursor>", desc = "Only those behind this cursor."),
        arg(name = "last", ty = "Option<i32>", desc = "How many from the back, at most 100."),
        arg(name = "before", ty = "Option<Cursor>", desc = "Only those before this cursor.")
    ),
    field(
        name = "sla_clocks",
        ty = "Vec<SlaClock>",
        desc = "The clocks of its service levels that the viewer may see, at most 200, in the order in which they started."
    )
)]
pub enum Ticket {
    /// An incident.
    Incident(Incident),
    /// A task.
    Task(Task),
    /// A problem.
    Problem(Problem),
}

impl Ticket {
    /// Of a row of any kind.
    pub fn from_row(row: Row) -> Self {
        match ticket::TicketKind::parse(&row.text("kind")) {
            Some(ticket::TicketKind::Task) => Ticket::Task(Task::from_row(row)),
            Some(ticket::TicketKind::Problem) => Ticket::Problem(Problem::from_row(row)),
            _ => Ticket::Incident(Incident::from_row(row)),
        }
    }
}

/// The row of a ticket, with what all kinds do alike.
#[derive(Clone)]
pub struct TicketRow(pub Arc<Row>);

impl TicketRow {
    /// An extension's fields are the row's own, wherever they were read.
    pub fn new(mut row: Row, extension: &str) -> Self {
        if let Some(fields) = row.relation(extension).map(|found| found.fields().to_vec()) {
            for (name, value) in fields.into_iter().filter(|(name, _)| *name != "id") {
                row.set(name, value);
            }
        }
        Self(Arc::new(row))
    }

    /// A number of the shared fields.
    pub fn int(&self, field: &str) -> i32 {
        i32::try_from(self.0.int(field)).unwrap_or(i32::MAX)
    }

    /// An instant that may be absent.
    pub fn time(&self, field: &str) -> Option<DateTime> {
        self.0.get(field).as_time().map(DateTime)
    }

    /// The state, with its name from the workflow.
    pub async fn state(&self, ctx: &Context<'_>) -> Result<TicketState> {
        let key = self.0.text("state");
        let workflow = of_ticket(ctx, &self.0).await?.0;
        let name = workflow.state(&key).map_or_else(|| key.clone(), |state| state.name.clone());
        Ok(TicketState {
            key,
            name,
            category: StateCategory::parse(&self.0.text("stateCategory")).unwrap_or(StateCategory::New),
            waiting_reason: WaitingReason::parse(&self.0.text("waitingReason")),
            waiting_until: self.time("waitingUntil"),
        })
    }

    /// The override of the priority, as far as the viewer may read it.
    pub async fn priority_override(&self, ctx: &Context<'_>) -> Result<Option<PriorityOverride>> {
        let (Some(at), Some(by)) = (self.time("priorityOverrideAt"), self.0.get("priorityOverrideBy").as_id()) else {
            return Ok(None);
        };
        let Some(actor) = loaders::actor(ctx, by).await? else { return Ok(None) };
        Ok(Some(PriorityOverride { reason: self.0.text("priorityOverrideReason"), by: Actor::from_row(actor), at }))
    }

    /// The actor that a field names.
    pub async fn actor(&self, ctx: &Context<'_>, field: &'static str) -> Result<Option<Row>> {
        if self.0.has_loaded(field) {
            return Ok(self.0.relation(field).cloned());
        }
        match self.0.get(field).as_id() {
            Some(id) => loaders::actor(ctx, id).await,
            None => Ok(None),
        }
    }

    /// The team.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        if self.0.has_loaded("team") {
            return Ok(self.0.relation("team").cloned().map(Team::from_row));
        }
        match self.0.get("team").as_id() {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// The category.
    pub async fn category(&self, ctx: &Context<'_>) -> Result<Option<Category>> {
        if self.0.has_loaded("category") {
            return Ok(self.0.relation("category").cloned().map(Category::from_row));
        }
        match self.0.get("category").as_id() {
            Some(id) => Ok(loaders::category(ctx, id).await?.map(Category::from_row)),
            None => Ok(None),
        }
    }

    /// The service.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        if self.0.has_loaded("service") {
            return Ok(self.0.relation("service").cloned().map(Service::from_row));
        }
        match self.0.get("service").as_id() {
            Some(id) => Ok(loaders::service(ctx, id).await?.map(Service::from_row)),
            None => Ok(None),
        }
    }

    /// The configuration items.
    pub async fn configuration_items(&self, ctx: &Context<'_>) -> Result<Vec<TicketConfigurationItem>> {
        let rows = loaders::ticket_items(ctx, self.0.id()).await?;
        let items = rows.iter().filter_map(|row| {
            let configuration_item = ConfigurationItem::from_row(row.relation("configurationItem")?.clone());
            let link = TicketConfigurationItemLink::parse(&row.text("link"))?;
            Some(TicketConfigurationItem { configuration_item, link })
        });
        Ok(items.collect())
    }

    /// The references to other systems.
    pub async fn external_refs(&self, ctx: &Context<'_>) -> Result<Vec<ExternalRef>> {
        let rows = loaders::external_refs(ctx, self.0.id()).await?;
        Ok(rows.iter().map(|row| ExternalRef { source: row.text("source"), key: row.text("key") }).collect())
    }

    /// The watchers.
    pub async fn watchers(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        let rows = loaders::watchers(ctx, self.0.id()).await?;
        Ok(rows.iter().filter_map(|row| row.relation("actor").cloned()).map(User::from_row).collect())
    }

    /// The approvals.
    pub async fn approvals(&self, ctx: &Context<'_>) -> Result<Vec<Approval>> {
        // A ticket that never had an approval is not looked up.
        if self.0.get("blockedTransitions").is_null() {
            return Ok(Vec::new());
        }
        Ok(loaders::approvals(ctx, self.0.id()).await?.into_iter().map(Approval::from_row).collect())
    }

    /// The transitions that leave from the state.
    pub async fn available_transitions(&self, ctx: &Context<'_>) -> Result<Vec<AvailableTransition>> {
        let found = platform(ctx).tickets.available_transitions(&viewer(ctx)?, &self.0).await?;
        Ok(found
            .into_iter()
            .map(|found| AvailableTransition {
                key: found.key,
                name: found.name,
                to: found.to,
                allowed: found.allowed,
                reasons: found.reasons,
                input_schema: JsonSchema(found.input_schema),
            })
            .collect())
    }

    /// Whether the viewer may do something.
    pub async fn viewer_can(&self, ctx: &Context<'_>, action: TicketAction) -> Result<Permission> {
        use access::permission as p;
        if !self.0.get("mergedInto").is_null() {
            return Ok(Permission { allowed: false, reason: Some(ticket::merge::merged(None)) });
        }
        let permissions: &[&'static str] = match action {
            TicketAction::Update => &[p::TICKET_UPDATE],
            TicketAction::Assign => &[p::TICKET_ASSIGN],
            TicketAction::Comment => &[p::TICKET_COMMENT],
            TicketAction::CommentInternally => &[p::TICKET_COMMENT, p::TICKET_INTERNAL],
            TicketAction::OverridePriority => &[p::TICKET_OVERRIDE_PRIORITY],
            TicketAction::Watch => &[p::TICKET_READ],
            TicketAction::RecordTime => &[p::TICKET_INTERNAL, p::TIME_RECORD],
            TicketAction::Transition => {
                let transitions = self.available_transitions(ctx).await?;
                let allowed = transitions.iter().any(|found| found.allowed);
                let reason = "no transition is possible for you now; see `availableTransitions`".to_owned();
                return Ok(Permission { allowed, reason: (!allowed).then_some(reason) });
            }
        };
        let (viewer, platform) = (viewer(ctx)?, platform(ctx));
        let record = platform.tickets.kinds().of(&self.0)?.record();
        let missing = permissions.iter().find(|permission| {
            let policy = Policy::When(Rule::Permission(permission));
            !platform.access.allows(&viewer, record, &policy, self.0.as_ref())
        });
        let reason = missing.map(|permission| format!("this needs the permission `{permission}` on the ticket"));
        Ok(Permission { allowed: reason.is_none(), reason })
    }
}

/// Where a ticket stands in its workflow.
#[derive(Clone, Debug, SimpleObject)]
pub struct TicketState {
    /// The state's key in the workflow, such as `in_progress`.
    pub key: String,
    /// The state's name for people.
    pub name: String,
    /// What the state means, whatever it is called.
    pub category: StateCategory,
    /// What a waiting ticket waits for.
    pub waiting_reason: Option<WaitingReason>,
    /// When a ticket that waits for `SCHEDULE` wakes up.
    pub waiting_until: Option<DateTime>,
}

/// A priority that was set against the matrix.
#[derive(SimpleObject)]
pub struct PriorityOverride {
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Actor,
    /// When.
    pub at: DateTime,
}

/// A configuration item that a ticket is about.
#[derive(SimpleObject)]
pub struct TicketConfigurationItem {
    /// The item.
    pub configuration_item: ConfigurationItem,
    /// How it came to stand there.
    pub link: TicketConfigurationItemLink,
}

/// What a ticket is called in another system.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExternalRef {
    /// The other system, such as `jira`.
    pub source: String,
    /// The ticket's key there, such as `OPS-7`.
    pub key: String,
}

/// A transition that leaves from the ticket's present state.
#[derive(Clone, Debug, SimpleObject)]
pub struct AvailableTransition {
    /// Its key, for `ticketTransition`.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// The key of the state that it leads to.
    pub to: String,
    /// Whether the viewer may take it.
    pub allowed: bool,
    /// Why not; empty when allowed.
    pub reasons: Vec<String>,
    /// JSON Schema of the `fields` that it takes.
    pub input_schema: JsonSchema,
}

/// Whether something is allowed.
#[derive(Clone, Debug, SimpleObject)]
pub struct Permission {
    /// Whether it is.
    pub allowed: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// A node of the tenant's category tree.
#[derive(Clone)]
pub struct Category(Arc<Row>);

impl Category {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// A node of the tenant's category tree.
#[Object]
impl Category {
    /// The category's id.
    pub async fn id(&self) -> ID {
        id_of(prefix::CATEGORY, self.0.id())
    }

    /// The category's key, unique in the tenant, such as `network`.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The category's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// The category above; null for a root.
    pub async fn parent(&self, ctx: &Context<'_>) -> Result<Option<Category>> {
        match self.0.get("parent").as_id() {
            Some(id) => Ok(loaders::category(ctx, id).await?.map(Category::from_row)),
            None => Ok(None),
        }
    }

    /// A retired category stays on its tickets and cannot be chosen any more.
    pub fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }
}

/// What the interface's `state`, `priority` and so on read from a row.
pub fn word<T>(row: &Row, field: &str, parse: fn(&str) -> Option<T>, fallback: T) -> T {
    parse(&row.text(field)).unwrap_or(fallback)
}
