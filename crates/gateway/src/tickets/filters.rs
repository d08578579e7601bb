//! Filters and orders of tickets.

use async_graphql::{Enum, InputObject};
use kernel::Result;
use kernel::id::prefix;
use predicate::{Path, Predicate, Test};
use store::query::OrderTerm;
use ticket::custom_field::UNBOUND;

use crate::configuration::ServiceFilter;
use crate::connection::{NullsOrder, OrderDirection, check_order, term};
use crate::custom_fields::CustomFieldFilter;
use crate::filters::{
    BooleanFilter, DateTimeFilter, DecimalFilter, DurationFilter, IdFilter, IntFilter, StringFilter, StringListFilter,
    combine, enum_filter,
};
use crate::incidents::major::MajorIncidentState;
use crate::people::{TeamFilter, UserFilter};
use crate::tickets::events::TicketEventKind;
use crate::tickets::words::{
    Impact, IncidentOrigin, Priority, ProblemOrigin, SlaState, StateCategory, TicketKind, Urgency, WaitingReason,
};

enum_filter!(TicketKindFilter, TicketKind);
enum_filter!(StateCategoryFilter, StateCategory);
enum_filter!(WaitingReasonFilter, WaitingReason);
enum_filter!(ImpactFilter, Impact);
enum_filter!(UrgencyFilter, Urgency);
enum_filter!(PriorityFilter, Priority);
enum_filter!(IncidentOriginFilter, IncidentOrigin);
enum_filter!(MajorIncidentStateFilter, MajorIncidentState);
enum_filter!(SlaStateFilter, SlaState);
enum_filter!(ProblemOriginFilter, ProblemOrigin);

/// Compares the state of a ticket.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TicketStateFilter {
    /// The state's key.
    pub key: Option<StringFilter>,
    /// What the state means.
    pub category: Option<StateCategoryFilter>,
    /// What the ticket waits for.
    pub waiting_reason: Option<WaitingReasonFilter>,
    /// When the ticket wakes up.
    pub waiting_until: Option<DateTimeFilter>,
}

impl TicketStateFilter {
    fn predicate(self) -> Predicate {
        Predicate::all([
            self.key.map_or_else(Predicate::always, |filter| filter.on("state")),
            self.category.map_or_else(Predicate::always, |filter| filter.on("stateCategory")),
            self.waiting_reason.map_or_else(Predicate::always, |filter| filter.on("waitingReason")),
            self.waiting_until.map_or_else(Predicate::always, |filter| filter.on("waitingUntil")),
        ])
    }
}

/// Compares the category of a ticket.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CategoryFilter {
    /// The category's id.
    pub id: Option<IdFilter>,
    /// The category's key.
    pub key: Option<StringFilter>,
    /// Has no category (`true`) or has one (`false`).
    pub is_null: Option<bool>,
}

impl CategoryFilter {
    fn predicate(self) -> Result<Predicate> {
        Ok(Predicate::all([
            self.id.map(|filter| filter.on("category", &[prefix::CATEGORY])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |filter| filter.on("key").through("category")),
            self.is_null
                .map_or_else(Predicate::always, |absent| Predicate::Is(Path::field("category"), Test::IsNull(absent))),
        ]))
    }
}

/// Compares the manager whom a ticket was escalated to.
#[derive(Clone, Debug, Default, InputObject)]
pub struct EscalatedToFilter {
    /// The user's id.
    pub id: Option<IdFilter>,
    /// Whether it is the viewer.
    pub is_viewer: Option<bool>,
    /// Has reached nobody (`true`) or somebody (`false`).
    pub is_null: Option<bool>,
}

impl EscalatedToFilter {
    fn predicate(self) -> Result<Predicate> {
        const FIELD: &str = "escalatedTo";
        let is = |test| Predicate::Is(Path::field(FIELD), test);
        let id = self.id.map(|filter| filter.on(FIELD, &[prefix::USER])).transpose();
        let viewer = is(Test::Eq(predicate::Operand::Viewer));
        Ok(Predicate::all([
            id?.unwrap_or_default(),
            self.is_viewer.map_or_else(Predicate::always, |yes| if yes { viewer } else { !viewer }),
            self.is_null.map_or_else(Predicate::always, |absent| is(Test::IsNull(absent))),
        ]))
    }
}

/// The comparisons that tickets of all kinds share.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TicketConditions {
    /// The ticket's id.
    pub id: Option<IdFilter>,
    /// The ticket's number.
    pub number: Option<StringFilter>,
    /// The practice that it belongs to.
    pub kind: Option<TicketKindFilter>,
    /// The title.
    pub title: Option<StringFilter>,
    /// The description. Not in subscriptions.
    pub description: Option<StringFilter>,
    /// The state.
    pub state: Option<TicketStateFilter>,
    /// How many are affected, and how badly.
    pub impact: Option<ImpactFilter>,
    /// How long it can wait.
    pub urgency: Option<UrgencyFilter>,
    /// What is worked on first.
    pub priority: Option<PriorityFilter>,
    /// The category.
    pub category: Option<CategoryFilter>,
    /// Who is affected, such as `{ isViewer: true }`.
    pub requester: Option<UserFilter>,
    /// Who wrote it down.
    pub opened_by: Option<UserFilter>,
    /// The team, such as `{ hasViewer: true }` or `{ slug: { eq: "network" } }`.
    pub team: Option<TeamFilter>,
    /// The service that it is about, such as `{ key: { eq: "e-mail" } }`.
    pub service: Option<ServiceFilter>,
    /// Who works on it, such as `{ isViewer: true }` or `{ isNull: true }`.
    pub assignee: Option<UserFilter>,
    /// The tags.
    pub tags: Option<StringListFilter>,
    /// Custom fields, such as `[{ key: "costCenter", text: { eq: "4711" } }]`; all must hold.
    pub custom_fields: Option<Vec<CustomFieldFilter>>,
    /// How often a team or an assignee gave way to another. For those who work on tickets.
    pub reassignment_count: Option<IntFilter>,
    /// How often it was handed to another level of support; 0 for what is no incident. For those who work on tickets.
    pub functional_escalation_level: Option<IntFilter>,
    /// How often it was brought up the line of managers; 0 for what is no incident. For those who work on tickets.
    pub hierarchical_escalation_level: Option<IntFilter>,
    /// The manager whom it has reached on its way up, such as `{ isViewer: true }`. For those who work on tickets.
    pub escalated_to: Option<EscalatedToFilter>,
    /// How often it came back.
    pub reopen_count: Option<IntFilter>,
    /// When it was opened.
    pub created_at: Option<DateTimeFilter>,
    /// When its own fields changed last. Not in subscriptions.
    pub updated_at: Option<DateTimeFilter>,
    /// When it was resolved.
    pub resolved_at: Option<DateTimeFilter>,
    /// When it was closed or canceled.
    pub closed_at: Option<DateTimeFilter>,
    /// When somebody took it up.
    pub acknowledged_at: Option<DateTimeFilter>,
    /// When an agent first answered in public.
    pub first_responded_at: Option<DateTimeFilter>,
    /// When the clock of a service level agreement is over time that is due next, such as `{ lt: "PT1H" }`.
    pub sla_due_at: Option<DateTimeFilter>,
    /// Where that clock stands.
    pub sla_state: Option<SlaStateFilter>,
    /// How much time was worked on it, such as `{ gte: "PT8H" }`. For those who work on tickets; not in subscriptions.
    pub time_spent: Option<DurationFilter>,
    /// What that time costs, in the tenant's currency, such as `{ gte: "1000" }`. For those with `cost.read`; not in subscriptions.
    pub cost: Option<DecimalFilter>,
}

impl TicketConditions {
    fn predicate(self) -> Result<Predicate> {
        let text =
            |filter: Option<StringFilter>, field| filter.map_or_else(Predicate::always, |filter| filter.on(field));
        let time =
            |filter: Option<DateTimeFilter>, field| filter.map_or_else(Predicate::always, |filter| filter.on(field));
        let number =
            |filter: Option<IntFilter>, field| filter.map_or_else(Predicate::always, |filter| filter.on(field));
        let user = |filter: Option<UserFilter>, field: &'static str| {
            filter.map(|filter| filter.through(field)).transpose().map(Option::unwrap_or_default)
        };
        let prefixes: Vec<_> = ticket::TicketKind::ALL.iter().map(|kind| kind.id_prefix()).collect();
        Ok(Predicate::all([
            self.id.map(|filter| filter.on("id", &prefixes)).transpose()?.unwrap_or_default(),
            text(self.number, "number"),
            self.kind.map_or_else(Predicate::always, |filter| filter.on("kind")),
            text(self.title, "title"),
            text(self.description, "description"),
            self.state.map_or_else(Predicate::always, TicketStateFilter::predicate),
            self.impact.map_or_else(Predicate::always, |filter| filter.on("impact")),
            self.urgency.map_or_else(Predicate::always, |filter| filter.on("urgency")),
            self.priority.map_or_else(Predicate::always, |filter| filter.on("priority")),
            self.category.map(CategoryFilter::predicate).transpose()?.unwrap_or_default(),
            user(self.requester, "requester")?,
            user(self.opened_by, "openedBy")?,
            self.team.map(|filter| filter.through("team")).transpose()?.unwrap_or_default(),
            self.service.map(|filter| filter.through("service")).transpose()?.unwrap_or_default(),
            user(self.assignee, "assignee")?,
            self.tags.map_or_else(Predicate::always, |filter| filter.on("tags")),
            crate::custom_fields::filters::all(self.custom_fields)?,
            number(self.reassignment_count, "reassignmentCount"),
            number(self.functional_escalation_level, "functionalEscalationLevel"),
            number(self.hierarchical_escalation_level, "hierarchicalEscalationLevel"),
            self.escalated_to.map(EscalatedToFilter::predicate).transpose()?.unwrap_or_default(),
            number(self.reopen_count, "reopenCount"),
            time(self.created_at, "createdAt"),
            time(self.updated_at, "updatedAt"),
            time(self.resolved_at, "resolvedAt"),
            time(self.closed_at, "closedAt"),
            time(self.acknowledged_at, "acknowledgedAt"),
            time(self.first_responded_at, "firstRespondedAt"),
            time(self.sla_due_at, "slaDueAt"),
            self.sla_state.map_or_else(Predicate::always, |filter| filter.on("slaState")),
            self.time_spent.map_or_else(Predicate::always, |filter| filter.on("timeSpent")),
            self.cost.map_or_else(Predicate::always, |filter| filter.on("cost")),
        ]))
    }
}

/// Which tickets. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TicketFilter {
    /// The comparisons that tickets of all kinds share.
    #[graphql(flatten)]
    pub conditions: TicketConditions,
    /// All of these hold.
    pub and: Option<Vec<TicketFilter>>,
    /// At least one of these holds. An empty list is no condition.
    pub or: Option<Vec<TicketFilter>>,
    /// This does not hold.
    pub not: Option<Box<TicketFilter>>,
}

impl TicketFilter {
    /// As a condition on tickets.
    ///
    /// # Errors
    /// User errors with paths inside the filter.
    pub fn predicate(self) -> Result<Predicate> {
        combine(self.conditions.predicate()?, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which incidents. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct IncidentFilter {
    /// The comparisons that tickets of all kinds share.
    #[graphql(flatten)]
    pub conditions: TicketConditions,
    /// How it came in.
    pub origin: Option<IncidentOriginFilter>,
    /// How it was resolved.
    pub resolution_code: Option<StringFilter>,
    /// What its alerts have in common. For those who work on tickets.
    pub deduplication_key: Option<StringFilter>,
    /// How often alerts of it were told. For those who work on tickets.
    pub occurrences: Option<IntFilter>,
    /// How many of its alerts are going on. For those who work on tickets.
    pub firing_alerts: Option<IntFilter>,
    /// When an alert of it was told last. For those who work on tickets.
    pub last_seen_at: Option<DateTimeFilter>,
    /// Whether it is a major one: how far that is decided.
    pub major_incident_state: Option<MajorIncidentStateFilter>,
    /// When the next status update of a major incident is due.
    pub next_update_due_at: Option<DateTimeFilter>,
    /// When the review of a major incident was completed.
    pub reviewed_at: Option<DateTimeFilter>,
    /// All of these hold.
    pub and: Option<Vec<IncidentFilter>>,
    /// At least one of these holds. An empty list is no condition.
    pub or: Option<Vec<IncidentFilter>>,
    /// This does not hold.
    pub not: Option<Box<IncidentFilter>>,
}

impl IncidentFilter {
    /// As a condition on incidents.
    ///
    /// # Errors
    /// User errors with paths inside the filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.conditions.predicate()?,
            self.origin.map_or_else(Predicate::always, |filter| filter.on("origin")),
            self.resolution_code.map_or_else(Predicate::always, |filter| filter.on("resolutionCode")),
            self.deduplication_key.map_or_else(Predicate::always, |filter| filter.on("deduplicationKey")),
            self.occurrences.map_or_else(Predicate::always, |filter| filter.on("occurrences")),
            self.firing_alerts.map_or_else(Predicate::always, |filter| filter.on("firingAlerts")),
            self.last_seen_at.map_or_else(Predicate::always, |filter| filter.on("lastSeenAt")),
            self.major_incident_state.map_or_else(Predicate::always, |filter| filter.on("majorIncidentState")),
            self.next_update_due_at.map_or_else(Predicate::always, |filter| filter.on("nextUpdateDueAt")),
            self.reviewed_at.map_or_else(Predicate::always, |filter| filter.on("reviewedAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which tasks. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TaskFilter {
    /// The comparisons that tickets of all kinds share.
    #[graphql(flatten)]
    pub conditions: TicketConditions,
    /// The id of the ticket that it belongs to.
    pub parent: Option<IdFilter>,
    /// How many of the tasks that it depends on are not done; 0: it can be worked on.
    pub open_dependencies: Option<IntFilter>,
    /// All of these hold.
    pub and: Option<Vec<TaskFilter>>,
    /// At least one of these holds. An empty list is no condition.
    pub or: Option<Vec<TaskFilter>>,
    /// This does not hold.
    pub not: Option<Box<TaskFilter>>,
}

impl TaskFilter {
    /// As a condition on tasks.
    ///
    /// # Errors
    /// User errors with paths inside the filter.
    pub fn predicate(self) -> Result<Predicate> {
        let prefixes: Vec<_> = ticket::TicketKind::ALL.iter().map(|kind| kind.id_prefix()).collect();
        let own = Predicate::all([
            self.conditions.predicate()?,
            self.parent.map(|filter| filter.on("parent", &prefixes)).transpose()?.unwrap_or_default(),
            self.open_dependencies.map_or_else(Predicate::always, |filter| filter.on("openDependencies")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which problems. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ProblemFilter {
    /// The comparisons that tickets of all kinds share.
    #[graphql(flatten)]
    pub conditions: TicketConditions,
    /// How it was found.
    pub origin: Option<ProblemOriginFilter>,
    /// Whether it is a known error.
    pub known_error: Option<BooleanFilter>,
    /// By what it is recognised. For those who work on tickets; not in subscriptions.
    pub symptom: Option<StringFilter>,
    /// Why it happens. For those who work on tickets; not in subscriptions.
    pub root_cause: Option<StringFilter>,
    /// What helps meanwhile. For those who work on tickets; not in subscriptions.
    pub workaround: Option<StringFilter>,
    /// When a workaround was published last. For those who work on tickets.
    pub workaround_published_at: Option<DateTimeFilter>,
    /// How it ended.
    pub resolution_code: Option<StringFilter>,
    /// When an accepted risk is looked at again.
    pub risk_review_at: Option<DateTimeFilter>,
    /// All of these hold.
    pub and: Option<Vec<ProblemFilter>>,
    /// At least one of these holds. An empty list is no condition.
    pub or: Option<Vec<ProblemFilter>>,
    /// This does not hold.
    pub not: Option<Box<ProblemFilter>>,
}

impl ProblemFilter {
    /// As a condition on problems.
    ///
    /// # Errors
    /// User errors with paths inside the filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.conditions.predicate()?,
            self.origin.map_or_else(Predicate::always, |filter| filter.on("origin")),
            self.known_error.map_or_else(Predicate::always, |filter| filter.on("knownError")),
            self.symptom.map_or_else(Predicate::always, |filter| filter.on("symptom")),
            self.root_cause.map_or_else(Predicate::always, |filter| filter.on("rootCause")),
            self.workaround.map_or_else(Predicate::always, |filter| filter.on("workaround")),
            self.workaround_published_at.map_or_else(Predicate::always, |filter| filter.on("workaroundPublishedAt")),
            self.resolution_code.map_or_else(Predicate::always, |filter| filter.on("resolutionCode")),
            self.risk_review_at.map_or_else(Predicate::always, |filter| filter.on("riskReviewAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which categories. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CategoriesFilter {
    /// The key.
    pub key: Option<StringFilter>,
    /// The name.
    pub name: Option<StringFilter>,
    /// Whether it is retired.
    pub retired: Option<BooleanFilter>,
}

impl CategoriesFilter {
    /// As a condition on categories.
    pub fn predicate(self) -> Predicate {
        Predicate::all([
            self.key.map_or_else(Predicate::always, |filter| filter.on("key")),
            self.name.map_or_else(Predicate::always, |filter| filter.on("name")),
            self.retired.map_or_else(Predicate::always, |filter| filter.on("retired")),
        ])
    }
}

/// Which events. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct EventFilter {
    /// One of these kinds.
    pub kinds: Option<Vec<TicketEventKind>>,
    /// On tickets that match now.
    pub ticket: Option<TicketFilter>,
    /// By the viewer (`true`) or by others (`false`).
    pub actor_is_viewer: Option<bool>,
    /// When it happened.
    pub occurred_at: Option<DateTimeFilter>,
}

impl EventFilter {
    /// As a condition on events.
    ///
    /// # Errors
    /// User errors with paths inside the filter.
    pub fn predicate(self) -> Result<Predicate> {
        use crate::filters::{value, values};
        let kinds = self.kinds.map(|kinds| {
            let names = values(kinds.into_iter().map(TicketEventKind::as_str).collect());
            Predicate::Is(Path::field("kind"), Test::In(names))
        });
        let ticket =
            self.ticket.map(|filter| filter.predicate().map_err(|error| error.within("ticket"))).transpose()?;
        let ticket = ticket.map(|filter| {
            let subject = Test::Eq(value(ticket::events::SUBJECT));
            Predicate::Is(Path::field("subjectKind"), subject).and(filter.through("ticket"))
        });
        let by_viewer = self.actor_is_viewer.map(|yes| {
            let by = Predicate::Is(Path::field("actor"), Test::Eq(predicate::Operand::Viewer));
            if yes { by } else { !by }
        });
        Ok(Predicate::all(
            [kinds, ticket, by_viewer, self.occurred_at.map(|filter| filter.on("occurredAt"))].into_iter().flatten(),
        ))
    }
}

/// What tickets can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TicketOrderField {
    /// When it was opened.
    CreatedAt,
    /// When its own fields changed last.
    UpdatedAt,
    /// What is worked on first; `ASC` begins with `P1`.
    Priority,
    /// The title, by its bytes.
    Title,
    /// When it was resolved.
    ResolvedAt,
    /// When it was closed or canceled.
    ClosedAt,
    /// When it wakes up.
    WaitingUntil,
    /// How often it came back.
    ReopenCount,
    /// How often a team or an assignee gave way to another. For those who work on tickets.
    ReassignmentCount,
    /// How often it was handed to another level of support. For those who work on tickets.
    FunctionalEscalationLevel,
    /// How often it was brought up the line of managers. For those who work on tickets.
    HierarchicalEscalationLevel,
    /// When the clock of a service level agreement is over time that is due next.
    SlaDueAt,
    /// When somebody took it up.
    AcknowledgedAt,
    /// When an agent first answered in public.
    FirstRespondedAt,
    /// How much time was worked on it. For those who work on tickets.
    TimeSpent,
    /// What that time costs. For those with `cost.read`.
    Cost,
    /// A custom field, which `customField` names.
    CustomField,
}

impl TicketOrderField {
    const fn field(self) -> &'static str {
        match self {
            TicketOrderField::CreatedAt => "createdAt",
            TicketOrderField::UpdatedAt => "updatedAt",
            TicketOrderField::Priority => "priority",
            TicketOrderField::Title => "title",
            TicketOrderField::ResolvedAt => "resolvedAt",
            TicketOrderField::ClosedAt => "closedAt",
            TicketOrderField::WaitingUntil => "waitingUntil",
            TicketOrderField::ReopenCount => "reopenCount",
            TicketOrderField::ReassignmentCount => "reassignmentCount",
            TicketOrderField::FunctionalEscalationLevel => "functionalEscalationLevel",
            TicketOrderField::HierarchicalEscalationLevel => "hierarchicalEscalationLevel",
            TicketOrderField::SlaDueAt => "slaDueAt",
            TicketOrderField::AcknowledgedAt => "acknowledgedAt",
            TicketOrderField::FirstRespondedAt => "firstRespondedAt",
            TicketOrderField::TimeSpent => "timeSpent",
            TicketOrderField::Cost => "cost",
            TicketOrderField::CustomField => UNBOUND,
        }
    }
}

/// What an order's term names: a field, or a custom field that has yet to be looked up.
fn ordered_by(field: TicketOrderField, custom: Option<String>, place: usize) -> Result<String> {
    match (field, custom) {
        (TicketOrderField::CustomField, Some(key)) => Ok(predicate::keyed::join(UNBOUND, &key)),
        (TicketOrderField::CustomField, None) | (_, Some(_)) => {
            let path = ["orderBy".to_owned(), place.to_string(), "customField".to_owned()];
            let message = "`customField` goes with `field: CUSTOM_FIELD`, which needs it";
            Err(kernel::UserError::constraint(path, message, "customField", None).into())
        }
        (field, None) => Ok(field.field().to_owned()),
    }
}

macro_rules! order_input {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, InputObject)]
        pub struct $name {
            /// By what.
            pub field: TicketOrderField,
            /// With `CUSTOM_FIELD`: the key of the field. Not of users and configuration items; options order by their keys.
            pub custom_field: Option<String>,
            /// Which way; `ASC` when absent.
            pub direction: Option<OrderDirection>,
            /// Where tickets without a value stand; `LAST` when absent.
            pub nulls: Option<NullsOrder>,
        }

        impl $name {
            /// As terms of an order; none when absent.
            ///
            /// # Errors
            /// A user error for too many terms.
            pub fn terms(list: Option<Vec<Self>>) -> Result<Vec<OrderTerm>> {
                let list = list.unwrap_or_default();
                check_order(&list)?;
                let placed = list.into_iter().enumerate();
                let one = |(place, order): (usize, Self)| {
                    let by = ordered_by(order.field, order.custom_field, place)?;
                    Ok(term(&by, order.direction, order.nulls))
                };
                placed.map(one).collect()
            }
        }
    };
}

order_input! {
    /// One term of an order of tickets.
    TicketOrder
}

order_input! {
    /// One term of an order of incidents.
    IncidentOrder
}

order_input! {
    /// One term of an order of tasks.
    TaskOrder
}

order_input! {
    /// One term of an order of problems.
    ProblemOrder
}
/// The filter of an input as it was written, once its typed reading holds.
///
/// # Errors
/// User errors below `filter`.
pub fn written_filter(
    typed: Option<TicketFilter>,
    written: &serde_json::Value,
) -> kernel::Result<Option<serde_json::Value>> {
    let Some(typed) = typed else { return Ok(None) };
    typed.predicate().map_err(|error| error.within("filter"))?;
    Ok(written.get("filter").filter(|written| !written.is_null()).cloned())
}
