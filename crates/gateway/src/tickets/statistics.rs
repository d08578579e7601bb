//! Figures of tickets in the API.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::Utc;
use kernel::id::prefix;
use kernel::{Id, Timestamp};
use predicate::{Value, keyed};
use serde_json::{Value as Raw, json};
use store::query::{Durations, Group};
use ticket::custom_field::{self as domain, CustomFieldType, UNBOUND};
use ticket::statistics::{Counted as Counts, Interval, StatisticsAnswer, StatisticsRequest, Work};

use crate::configuration::types::Service;
use crate::context::{platform, viewer};
use crate::custom_fields::CustomField;
use crate::loaders;
use crate::people::scalars::TimeZone;
use crate::people::{Team, User};
use crate::scalars::{DateTime, Duration, Json, TimePoint};
use crate::tickets::filters::TicketFilter;
use crate::tickets::types::Category;
use crate::time::TicketCost;

/// What tickets are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TicketDimension {
    /// The practice.
    Kind,
    /// The state, by its key.
    State,
    /// What the state means.
    StateCategory,
    /// What waiting tickets wait for.
    WaitingReason,
    /// The priority.
    Priority,
    /// The impact.
    Impact,
    /// The urgency.
    Urgency,
    /// The category.
    Category,
    /// The team.
    Team,
    /// The assignee.
    Assignee,
    /// The requester.
    Requester,
    /// The service.
    Service,
    /// A custom field: the first of `customFields` for the first of these, and so on.
    CustomField,
    /// When it was opened, by `interval`.
    CreatedAt,
    /// When it was resolved, by `interval`.
    ResolvedAt,
    /// When it was closed or canceled, by `interval`.
    ClosedAt,
}

impl TicketDimension {
    const fn field(self) -> &'static str {
        match self {
            TicketDimension::Kind => "kind",
            TicketDimension::State => "state",
            TicketDimension::StateCategory => "stateCategory",
            TicketDimension::WaitingReason => "waitingReason",
            TicketDimension::Priority => "priority",
            TicketDimension::Impact => "impact",
            TicketDimension::Urgency => "urgency",
            TicketDimension::Category => "category",
            TicketDimension::Team => "team",
            TicketDimension::Assignee => "assignee",
            TicketDimension::Requester => "requester",
            TicketDimension::Service => "service",
            TicketDimension::CustomField => UNBOUND,
            TicketDimension::CreatedAt => "createdAt",
            TicketDimension::ResolvedAt => "resolvedAt",
            TicketDimension::ClosedAt => "closedAt",
        }
    }

    const fn is_instant(self) -> bool {
        matches!(self, TicketDimension::CreatedAt | TicketDimension::ResolvedAt | TicketDimension::ClosedAt)
    }

    /// The comparison of a `TicketFilter` that finds the tickets of a value.
    fn condition(self, key: &TicketStatsKey) -> Raw {
        let word = |path: &[&str]| {
            let test = match &key.value {
                Some(value) => json!({ "eq": value }),
                None => json!({ "isNull": true }),
            };
            path.iter().rev().fold(test, |inner, name| json!({ *name: inner }))
        };
        let reference = |name: &str| match &key.value {
            Some(value) => json!({ name: { "id": { "eq": value } } }),
            None => json!({ name: { "isNull": true } }),
        };
        match self {
            TicketDimension::CustomField => {
                key.custom_field.as_ref().map_or(Raw::Null, |field| field.condition(&key.raw))
            }
            TicketDimension::State => word(&["state", "key"]),
            TicketDimension::StateCategory => word(&["state", "category"]),
            // There is no comparison with nothing for words: those that wait for nothing are those that do not wait.
            TicketDimension::WaitingReason if key.value.is_none() => {
                json!({ "state": { "category": { "neq": "WAITING" } } })
            }
            TicketDimension::WaitingReason => word(&["state", "waitingReason"]),
            TicketDimension::Category
            | TicketDimension::Team
            | TicketDimension::Assignee
            | TicketDimension::Requester
            | TicketDimension::Service => reference(self.field()),
            _ if self.is_instant() => match (key.from, key.to) {
                (Some(from), Some(to)) => {
                    json!({ self.field(): { "gte": from.to_rfc3339(), "lt": to.to_rfc3339() } })
                }
                _ => json!({}),
            },
            _ => word(&[self.field()]),
        }
    }
}

/// How long an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Interval")]
pub enum StatsInterval {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight; 23 or 25 hours when clocks change.
    Day,
    /// From Monday to Monday.
    Week,
    /// A month of the calendar.
    Month,
    /// Three of them, the first in January.
    Quarter,
    /// A year of the calendar.
    Year,
}

/// The fields of a group that are counts of their own.
const COUNTS: &[&str] =
    &["resolved", "reopened", "reassigned", "firstContactResolved", "firstContactResolutionRate", "escalated"];

/// Figures of tickets, as far as the viewer may see them.
#[derive(SimpleObject)]
pub struct TicketStats {
    /// The groups, largest first, at most 1,000. Without `groupBy` one of all tickets. A group without tickets is not there.
    groups: Vec<TicketStatsGroup>,
    /// How many tickets these groups hold.
    total: i32,
    /// Whether there are more groups than are answered.
    truncated: bool,
}

/// The figures of one group.
pub struct TicketStatsGroup {
    keys: Vec<(TicketDimension, TicketStatsKey)>,
    count: i64,
    to_resolve: Option<Durations>,
    to_acknowledge: Option<Durations>,
    counts: Vec<(Counts, i64)>,
    work: Work,
    filter: Raw,
}

impl TicketStatsGroup {
    fn counted(&self, wanted: Counts) -> Option<i64> {
        self.counts.iter().find(|(known, _)| *known == wanted).map(|(_, count)| *count)
    }

    /// How many of those that are resolved, from 0 to 1.
    fn rate(&self, wanted: Counts) -> Option<f64> {
        let resolved = self.counted(Counts::Resolved).filter(|count| *count > 0)?;
        Some(self.counted(wanted)? as f64 / resolved as f64)
    }
}

fn shown(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The figures of one group.
#[Object]
impl TicketStatsGroup {
    /// What the group's tickets have in common: a key for each of `groupBy`, in that order.
    fn keys(&self) -> Vec<TicketStatsKey> {
        self.keys.iter().map(|(_, key)| key.clone()).collect()
    }

    /// How many tickets.
    fn count(&self) -> i32 {
        i32::try_from(self.count).unwrap_or(i32::MAX)
    }

    /// From being opened to being resolved, of those that are; null when none is.
    fn time_to_resolve(&self) -> Option<DurationStats> {
        self.to_resolve.map(DurationStats::of)
    }

    /// From being opened to being taken up (`acknowledgedAt`), of those that were; null when none was.
    fn time_to_acknowledge(&self) -> Option<DurationStats> {
        self.to_acknowledge.map(DurationStats::of)
    }

    /// How many were resolved, and not reopened since; what was closed without that is not among them.
    fn resolved(&self) -> Option<i32> {
        self.counted(Counts::Resolved).map(shown)
    }

    /// How many were ever reopened.
    fn reopened(&self) -> Option<i32> {
        self.counted(Counts::Reopened).map(shown)
    }

    /// How many another team or another person was ever put on. Null for those who may not read `reassignmentCount`.
    fn reassigned(&self) -> Option<i32> {
        self.counted(Counts::Reassigned).map(shown)
    }

    /// How many were ever escalated: to another level of support, or up the line of managers. Null for those who may not read
    /// `functionalEscalationLevel`.
    fn escalated(&self) -> Option<i32> {
        self.counted(Counts::Escalated).map(shown)
    }

    /// How many were resolved at first contact: they are resolved, and were never handed on nor reopened. Null for those who
    /// may not read `reassignmentCount`.
    fn first_contact_resolved(&self) -> Option<i32> {
        self.counted(Counts::FirstContact).map(shown)
    }

    /// How many of those that are resolved were resolved at first contact, from 0 to 1; null when none is resolved.
    fn first_contact_resolution_rate(&self) -> Option<f64> {
        self.rate(Counts::FirstContact)
    }

    /// How much time was worked on them, as far as the viewer may read it. Null for those who read `timeSpent` of none of them.
    fn time_spent(&self) -> Option<Duration> {
        self.work.seconds.map(Duration::of_seconds)
    }

    /// What that time costs, as far as the viewer may read it. Null for those who read `cost` of none of them.
    async fn cost(&self, ctx: &Context<'_>) -> Result<Option<TicketCost>> {
        match self.work.without_rate {
            Some(_) => TicketCost::of_sums(ctx, self.work).await.map(Some),
            None => Ok(None),
        }
    }

    /// The tickets under the figure: a `TicketFilter`, as a variable of `tickets(filter:)`.
    fn filter(&self) -> Json {
        Json(self.filter.clone())
    }
}

/// What a group's tickets have in common.
#[derive(Clone)]
pub struct TicketStatsKey {
    dimension: TicketDimension,
    /// The custom field and the value of it, where tickets are counted by one.
    custom_field: Option<Counted>,
    raw: Value,
    value: Option<String>,
    id: Option<kernel::Uuid>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// What a group's tickets have in common.
#[Object]
impl TicketStatsKey {
    /// By what they were counted.
    fn dimension(&self) -> TicketDimension {
        self.dimension
    }

    /// The value: a word, a key or an id; null for tickets without one, and for intervals.
    fn value(&self) -> Option<String> {
        self.value.clone()
    }

    /// The custom field, where tickets are counted by one.
    fn custom_field(&self) -> Option<CustomField> {
        self.custom_field.as_ref().map(|field| CustomField::from_row(field.0.row.clone()))
    }

    /// Where the interval begins.
    fn from(&self) -> Option<DateTime> {
        self.from.map(DateTime)
    }

    /// Where the interval ends: the beginning of the next.
    fn to(&self) -> Option<DateTime> {
        self.to.map(DateTime)
    }

    /// The team, where tickets are counted by teams.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match (self.dimension, self.id) {
            (TicketDimension::Team, Some(id)) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            _ => Ok(None),
        }
    }

    /// The user, where tickets are counted by assignees, requesters or a custom field of users.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match (self.dimension, self.id) {
            (TicketDimension::Assignee | TicketDimension::Requester | TicketDimension::CustomField, Some(id))
                if self.custom_field.as_ref().is_none_or(|field| field.0.kind == CustomFieldType::User) =>
            {
                Ok(loaders::actor(ctx, id).await?.map(User::from_row))
            }
            _ => Ok(None),
        }
    }

    /// The category, where tickets are counted by categories.
    async fn category(&self, ctx: &Context<'_>) -> Result<Option<Category>> {
        match (self.dimension, self.id) {
            (TicketDimension::Category, Some(id)) => Ok(loaders::category(ctx, id).await?.map(Category::from_row)),
            _ => Ok(None),
        }
    }

    /// The service, where tickets are counted by services.
    async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        match (self.dimension, self.id) {
            (TicketDimension::Service, Some(id)) => Ok(loaders::service(ctx, id).await?.map(Service::from_row)),
            _ => Ok(None),
        }
    }
}

/// How long something took, in whole seconds. Percentiles are times that occurred.
#[derive(SimpleObject)]
pub struct DurationStats {
    /// Of how many tickets.
    count: i32,
    /// The mean.
    mean: Duration,
    /// Half of them took no longer.
    p50: Duration,
    /// Nine of ten took no longer.
    p90: Duration,
    /// 95 of a hundred took no longer.
    p95: Duration,
    /// The longest.
    longest: Duration,
}

impl DurationStats {
    fn of(found: Durations) -> Self {
        let text = |seconds: i64| Duration(kernel::format_duration(chrono::Duration::seconds(seconds)));
        Self {
            count: i32::try_from(found.count).unwrap_or(i32::MAX),
            mean: text(found.mean),
            p50: text(found.p50),
            p90: text(found.p90),
            p95: text(found.p95),
            longest: text(found.longest),
        }
    }
}

impl TicketStatsKey {
    fn of(asked: &Asked, value: &Value, answer: &StatisticsAnswer) -> Self {
        let (dimension, custom_field) = asked.clone();
        let raw = value.clone();
        let none = Self { dimension, custom_field, raw, value: None, id: None, from: None, to: None };
        if dimension.is_instant() {
            let place = value.as_int().and_then(|place| usize::try_from(place).ok()).unwrap_or(usize::MAX);
            let at = |place: usize| answer.bounds.get(place).map(|at| at.with_timezone(&Utc));
            return Self { from: at(place), to: at(place.saturating_add(1)), ..none };
        }
        match value.as_id() {
            Some(id) => {
                let prefix = match dimension {
                    TicketDimension::CustomField => {
                        let of_field = none.custom_field.as_ref().and_then(|field| field.0.kind.id_prefix());
                        of_field.unwrap_or(prefix::USER)
                    }
                    TicketDimension::Category => prefix::CATEGORY,
                    TicketDimension::Team => prefix::TEAM,
                    TicketDimension::Service => prefix::SERVICE,
                    _ => prefix::USER,
                };
                Self { value: Some(Id::new(prefix, id).to_string()), id: Some(id), ..none }
            }
            None => {
                let text = match value.to_json() {
                    Raw::Null => None,
                    Raw::String(text) => Some(text),
                    other => Some(other.to_string()),
                };
                Self { value: text, ..none }
            }
        }
    }
}

impl TicketStats {
    fn of(asked: &Raw, dimensions: &[Asked], answer: &StatisticsAnswer) -> Self {
        let group = |group: &Group| {
            let keys: Vec<_> = dimensions
                .iter()
                .zip(&group.keys)
                .map(|(asked, value)| (asked.0, TicketStatsKey::of(asked, value, answer)))
                .collect();
            let own = keys.iter().map(|(dimension, key)| dimension.condition(key));
            let asked = (!asked.is_null()).then(|| asked.clone());
            let filter = json!({ "and": asked.into_iter().chain(own).collect::<Vec<_>>() });
            TicketStatsGroup {
                keys,
                count: group.count,
                to_resolve: group.durations.first().copied().flatten(),
                to_acknowledge: group.durations.get(1).copied().flatten(),
                counts: answer.counted.iter().copied().zip(group.matching.iter().copied()).collect(),
                work: Work::of(group),
                filter,
            }
        };
        let total: i64 = answer.groups.iter().map(|group| group.count).sum();
        Self {
            groups: answer.groups.iter().map(group).collect(),
            total: i32::try_from(total).unwrap_or(i32::MAX),
            truncated: answer.truncated,
        }
    }
}

/// A custom field that tickets are counted by.
#[derive(Clone)]
pub struct Counted(Arc<domain::CustomField>);

/// A dimension, with the custom field that it stands for.
type Asked = (TicketDimension, Option<Counted>);

impl Counted {
    /// What the domain calls a dimension.
    fn term(asked: &Asked) -> String {
        match asked {
            (_, Some(field)) => keyed::join(UNBOUND, &field.0.key),
            (dimension, None) => dimension.field().to_owned(),
        }
    }

    /// The comparison of a `TicketFilter` that finds the tickets of a value.
    fn condition(&self, value: &Value) -> Raw {
        let field = &self.0;
        let is = |test: Raw| json!({ "customFields": [{ "key": field.key, field.kind.input(): test }] });
        let id = |uuid| field.kind.id_prefix().map(|prefix| Id::new(prefix, uuid).to_string());
        match (value, field.kind) {
            (Value::Null, _) => json!({ "customFields": [{ "key": field.key, "isNull": true }] }),
            (Value::Id(uuid), CustomFieldType::User) => is(json!({ "id": { "eq": id(*uuid) } })),
            (Value::Id(uuid), _) => is(json!({ "eq": id(*uuid) })),
            (value, _) => is(json!({ "eq": value.to_json() })),
        }
    }
}

/// The dimensions, each `CUSTOM_FIELD` with the field that it stands for.
async fn dimensions(
    ctx: &Context<'_>,
    viewer: &kernel::Ctx,
    group_by: &[TicketDimension],
    keys: Vec<String>,
) -> kernel::Result<Vec<Asked>> {
    let stand_in = |dimension: &&TicketDimension| **dimension == TicketDimension::CustomField;
    if group_by.iter().filter(stand_in).count() != keys.len() {
        let message = "name in `customFields` one key for each CUSTOM_FIELD of `groupBy`";
        return Err(kernel::UserError::constraint(["customFields"], message, "count", None).into());
    }
    if keys.is_empty() {
        return Ok(group_by.iter().map(|dimension| (*dimension, None)).collect());
    }
    let tickets = &platform(ctx).tickets;
    let definitions = tickets.custom_fields(&tickets.store().read("customField.list"), viewer).await?;
    let mut keys = keys.iter().enumerate();
    let mut found = Vec::with_capacity(group_by.len());
    for dimension in group_by {
        if *dimension != TicketDimension::CustomField {
            found.push((*dimension, None));
        } else if let Some((place, key)) = keys.next() {
            let field = definitions.get(key).ok_or_else(|| {
                let path = ["customFields".to_owned(), place.to_string()];
                kernel::UserError::constraint(path, format!("there is no custom field `{key}`"), "unknownField", None)
            })?;
            found.push((*dimension, Some(Counted(Arc::new(field.clone())))));
        }
    }
    Ok(found)
}

/// The argument `filter` of a field as the client wrote it, for filters that are told with figures.
pub fn filter_as_asked(ctx: &Context<'_>) -> Result<Raw> {
    let arguments = ctx.field().arguments()?;
    let asked = arguments.into_iter().find(|(name, _)| name == "filter").map(|(_, value)| value);
    Ok(asked.unwrap_or_default().into_json().map_err(kernel::Error::internal)?)
}

/// Queries of figures.
#[derive(Default)]
pub struct StatisticsQueries;

#[Object]
impl StatisticsQueries {
    /// Counts tickets in groups, as far as the viewer may see them, and tells how long they took.
    #[allow(clippy::too_many_arguments)]
    async fn ticket_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which tickets.")] filter: Option<TicketFilter>,
        #[graphql(desc = "By what, at most 3 of which one is an instant; all in one group when empty.")] group_by: Vec<
            TicketDimension,
        >,
        #[graphql(desc = "The keys of the custom fields that `CUSTOM_FIELD` stands for, in that order.")]
        custom_fields: Option<Vec<String>>,
        #[graphql(desc = "How long the intervals of an instant are; `DAY` when absent.")] interval: Option<
            StatsInterval,
        >,
        #[graphql(desc = "Whose days they are, such as `Europe/Vienna`; `UTC` when absent.")] time_zone: Option<
            TimeZone,
        >,
        #[graphql(desc = "With an instant: from when on, such as `-P90D`. When absent, so long that there are \
            24 hours, 30 days, 12 weeks, 12 months, 8 quarters or 5 years. At most 100 intervals.")]
        since: Option<TimePoint>,
        #[graphql(desc = "With an instant: until when; now when absent.")] until: Option<TimePoint>,
    ) -> Result<TicketStats> {
        let viewer = viewer(ctx)?;
        let asked = filter_as_asked(ctx)?;
        let at = |point: TimePoint| point.at(viewer.now());
        let groups = ctx.look_ahead().field("groups");
        let asks = |fields: &[&str]| fields.iter().any(|field| groups.field(field).exists());
        let asked_by = dimensions(ctx, &viewer, &group_by, custom_fields.unwrap_or_default()).await?;
        let request = StatisticsRequest {
            filter: filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?,
            dimensions: asked_by.iter().map(Counted::term).collect(),
            interval: interval.map_or(Interval::Day, Into::into),
            time_zone: time_zone.map_or_else(|| "UTC".to_owned(), |zone| zone.0),
            since: since.map(at),
            until: until.map(at),
            with_resolution: asks(&["timeToResolve", "timeToAcknowledge"]),
            with_acknowledgement: asks(&["timeToAcknowledge"]),
            with_counts: asks(COUNTS),
            with_work: asks(&["timeSpent", "cost"]),
        };
        let answer = platform(ctx).tickets.statistics(&viewer, request).await?;
        Ok(TicketStats::of(&asked, &asked_by, &answer))
    }
}
