//! Clocks as a list, and how many promises were kept.

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Id, Timestamp};
use predicate::{Predicate, Value};
use serde_json::{Value as Raw, json};
use sla::attainment::{Attainment, AttainmentGroup, AttainmentRequest, Dimension};
use sla::fields::SLA_CLOCK;
use store::query::OrderTerm;
use ticket::queries::ListRequest;

use super::clocks::SlaClockConnection;
use super::filters::{SlaPolicyFilter, SlaPolicyKindFilter};
use super::types::{SlaMetric, SlaPolicy};
use crate::configuration::Service;
use crate::connection::{NullsOrder, OrderDirection, check_order, page, term};
use crate::context::{platform, viewer};
use crate::filters::{DateTimeFilter, combine, enum_filter};
use crate::loaders;
use crate::people::Team;
use crate::people::filters::argument;
use crate::people::scalars::TimeZone;
use crate::scalars::{Cursor, DateTime, Json};
use crate::tickets::filters::{SlaStateFilter, TicketFilter};
use crate::tickets::statistics::StatsInterval;

enum_filter!(SlaMetricFilter, SlaMetric);

/// Which clocks. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct SlaClockFilter {
    /// By what is measured.
    pub metric: Option<SlaMetricFilter>,
    /// By between whom its policy stands.
    pub kind: Option<SlaPolicyKindFilter>,
    /// By where it stood when something last happened to it.
    pub state: Option<SlaStateFilter>,
    /// By when it started.
    pub started_at: Option<DateTimeFilter>,
    /// By when it will be over time.
    pub due_at: Option<DateTimeFilter>,
    /// By when it stopped or was canceled.
    pub stopped_at: Option<DateTimeFilter>,
    /// By its policy.
    pub policy: Option<SlaPolicyFilter>,
    /// By its ticket.
    pub ticket: Option<TicketFilter>,
    /// All of these must hold.
    pub and: Option<Vec<SlaClockFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<SlaClockFilter>>,
    /// This must not hold.
    pub not: Option<Box<SlaClockFilter>>,
}

impl SlaClockFilter {
    /// As a condition on clocks.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> kernel::Result<Predicate> {
        let policy = self.policy.map(|policy| policy.predicate().map_err(|error| error.within("policy")));
        let ticket = self.ticket.map(|ticket| ticket.predicate().map_err(|error| error.within("ticket")));
        let own = Predicate::all([
            self.metric.map_or_else(Predicate::always, |metric| metric.on("metric")),
            self.kind.map_or_else(Predicate::always, |kind| kind.on("kind")),
            self.state.map_or_else(Predicate::always, |state| state.on("state")),
            self.started_at.map_or_else(Predicate::always, |time| time.on("startedAt")),
            self.due_at.map_or_else(Predicate::always, |time| time.on("dueAt")),
            self.stopped_at.map_or_else(Predicate::always, |time| time.on("stoppedAt")),
            policy.transpose()?.map_or_else(Predicate::always, |policy| policy.through("policy")),
            ticket.transpose()?.map_or_else(Predicate::always, |ticket| ticket.through("ticket")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// By what clocks are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SlaClockOrderField {
    /// When it started.
    StartedAt,
    /// When it will be over time.
    DueAt,
    /// When it stopped or was canceled.
    StoppedAt,
}

/// One term of an order of clocks.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct SlaClockOrder {
    /// By what.
    pub field: SlaClockOrderField,
    /// Which way; `ASC` when absent.
    pub direction: Option<OrderDirection>,
    /// Where clocks without a value stand; `LAST` when absent.
    pub nulls: Option<NullsOrder>,
}

impl SlaClockOrder {
    fn terms(list: Option<Vec<Self>>) -> kernel::Result<Vec<OrderTerm>> {
        let list = list.unwrap_or_default();
        check_order(&list)?;
        let name = |field| match field {
            SlaClockOrderField::StartedAt => "startedAt",
            SlaClockOrderField::DueAt => "dueAt",
            SlaClockOrderField::StoppedAt => "stoppedAt",
        };
        let mut terms: Vec<_> =
            list.into_iter().map(|order| term(name(order.field), order.direction, order.nulls)).collect();
        if terms.is_empty() {
            terms.push(term("startedAt", None, None));
        }
        Ok(terms)
    }
}

/// What clocks are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Dimension")]
pub enum SlaDimension {
    /// The policy.
    Policy,
    /// What is measured.
    Metric,
    /// Between whom the policy stands.
    Kind,
    /// The ticket's service as it is now.
    Service,
    /// The ticket's team as it is now.
    Team,
    /// The ticket's priority as it is now.
    Priority,
    /// When the clock ended, by `interval`.
    StoppedAt,
}

/// How many promises were kept.
#[derive(SimpleObject)]
pub struct SlaAttainment {
    /// The groups, those with the most clocks first, at most 1,000. Without `groupBy` one of all clocks. A group without clocks is
    /// not there.
    groups: Vec<SlaAttainmentGroup>,
    /// How many ended in time.
    met: i32,
    /// How many ended late.
    breached: i32,
    /// How many of those that ended were in time, from 0 to 1; null without any.
    attainment: Option<f64>,
    /// Whether there are more groups than are answered.
    truncated: bool,
}

/// The figures of one group.
pub struct SlaAttainmentGroup {
    figures: AttainmentGroup,
    keys: Vec<SlaAttainmentKey>,
    filter: Raw,
}

pub(crate) fn count(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(crate) fn share(met: i64, breached: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share of what was counted")]
    let share = met as f64 / (met + breached) as f64;
    (met + breached > 0).then_some(share)
}

/// The figures of one group.
#[Object]
impl SlaAttainmentGroup {
    /// What the group's clocks have in common: a key for each of `groupBy`, in that order.
    fn keys(&self) -> Vec<SlaAttainmentKey> {
        self.keys.clone()
    }

    /// How many ended in time.
    fn met(&self) -> i32 {
        count(self.figures.met)
    }

    /// How many ended late.
    fn breached(&self) -> i32 {
        count(self.figures.breached)
    }

    /// How many of those that ended were in time, from 0 to 1.
    fn attainment(&self) -> Option<f64> {
        share(self.figures.met, self.figures.breached)
    }

    /// The clocks under the figure: a `SlaClockFilter`, as a variable of `slaClocks(filter:)`.
    fn filter(&self) -> Json {
        Json(self.filter.clone())
    }
}

/// What a group's clocks have in common.
#[derive(Clone)]
pub struct SlaAttainmentKey {
    dimension: Dimension,
    id: Option<kernel::Uuid>,
    value: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// What a group's clocks have in common.
#[Object]
impl SlaAttainmentKey {
    /// By what they were counted.
    fn dimension(&self) -> SlaDimension {
        self.dimension.into()
    }

    /// The value: a word or an id; null for tickets without one, and for intervals.
    fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Where the interval begins.
    fn from(&self) -> Option<DateTime> {
        self.from.map(DateTime)
    }

    /// Where the interval ends.
    fn to(&self) -> Option<DateTime> {
        self.to.map(DateTime)
    }

    /// The policy, for the dimension `POLICY`.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Option<SlaPolicy>> {
        let Some(id) = self.id.filter(|_| self.dimension == Dimension::Policy) else { return Ok(None) };
        Ok(loaders::sla_policy(ctx, id).await?.map(SlaPolicy::from_row))
    }

    /// The service, for the dimension `SERVICE`.
    async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        let Some(id) = self.id.filter(|_| self.dimension == Dimension::Service) else { return Ok(None) };
        Ok(loaders::service(ctx, id).await?.map(Service::from_row))
    }

    /// The team, for the dimension `TEAM`.
    async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        let Some(id) = self.id.filter(|_| self.dimension == Dimension::Team) else { return Ok(None) };
        Ok(loaders::team(ctx, id).await?.map(Team::from_row))
    }
}

impl SlaAttainmentKey {
    fn of(dimension: Dimension, value: &Value, bounds: &[Timestamp]) -> Self {
        let place = value.as_int().and_then(|place| usize::try_from(place).ok());
        let bound = |offset: usize| place.and_then(|place| bounds.get(place + offset)).copied();
        let by_time = dimension == Dimension::StoppedAt;
        let prefix = match dimension {
            Dimension::Policy => prefix::SLA_POLICY,
            Dimension::Service => prefix::SERVICE,
            _ => prefix::TEAM,
        };
        let id = value.as_id();
        Self {
            dimension,
            id,
            value: id.map(|id| Id::new(prefix, id).to_string()).or_else(|| value.as_text().map(str::to_owned)),
            from: bound(0).filter(|_| by_time),
            to: bound(1).filter(|_| by_time),
        }
    }

    /// The comparison that finds the clocks of this key.
    fn condition(&self) -> Raw {
        let reference = |name: &str| match &self.value {
            Some(id) => json!({ "ticket": { name: { "id": { "eq": id } } } }),
            None => json!({ "ticket": { name: { "isNull": true } } }),
        };
        match self.dimension {
            Dimension::Policy => json!({ "policy": { "id": { "eq": self.value } } }),
            Dimension::Metric => json!({ "metric": { "eq": self.value } }),
            Dimension::Kind => json!({ "kind": { "eq": self.value } }),
            Dimension::Priority => json!({ "ticket": { "priority": { "eq": self.value } } }),
            Dimension::Service => reference("service"),
            Dimension::Team => reference("team"),
            Dimension::StoppedAt => match (self.from, self.to) {
                (Some(from), Some(to)) => {
                    json!({ "stoppedAt": { "gte": from.to_rfc3339(), "lt": to.to_rfc3339() } })
                }
                _ => json!({}),
            },
        }
    }
}

/// Queries of clocks.
#[derive(Default)]
pub struct ClockQueries;

#[Object]
impl ClockQueries {
    /// The clocks of service levels that the viewer may see, by when they started unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn sla_clocks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which clocks; all when left out.")] filter: Option<SlaClockFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by when they started when left out.")] order_by: Option<
            Vec<SlaClockOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<SlaClockConnection> {
        let viewer = viewer(ctx)?;
        let filter = argument(filter, SlaClockFilter::predicate)?;
        let (order, page) = (SlaClockOrder::terms(order_by)?, page(first, after, last, before)?);
        let tickets = &platform(ctx).tickets;
        let log_cursor = match ctx.look_ahead().field("logCursor").exists() {
            true => Some(tickets.log_cursor(&viewer).await?),
            false => None,
        };
        let request =
            ListRequest { record: &SLA_CLOCK, filter: filter.clone(), order, page, relations: vec!["policy"] };
        let slice = tickets.list(&viewer, request).await?;
        Ok(SlaClockConnection::new(slice, Some((&SLA_CLOCK, filter)), log_cursor))
    }

    /// How many promises were kept: clocks that ended in a range of time, in groups, by one statement. What is still open has not
    /// been judged.
    #[allow(clippy::too_many_arguments)]
    async fn sla_attainment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Clocks that ended from this instant on.")] since: DateTime,
        #[graphql(desc = "Clocks that ended before this instant; now, when left out.")] until: Option<DateTime>,
        #[graphql(desc = "Which clocks; all when left out.")] filter: Option<SlaClockFilter>,
        #[graphql(desc = "By what, at most 3 dimensions; one figure of all clocks when left out.")] group_by: Option<
            Vec<SlaDimension>,
        >,
        #[graphql(desc = "How long the intervals of `STOPPED_AT` are; `MONTH` when left out.")] interval: Option<
            StatsInterval,
        >,
        #[graphql(desc = "Whose days, weeks and months they are; `UTC` when left out.")] time_zone: Option<TimeZone>,
    ) -> Result<SlaAttainment> {
        let viewer = viewer(ctx)?;
        let dimensions: Vec<Dimension> = group_by.unwrap_or_default().into_iter().map(Into::into).collect();
        let request = AttainmentRequest {
            filter: argument(filter, SlaClockFilter::predicate)?,
            dimensions: dimensions.clone(),
            interval: interval.unwrap_or(StatsInterval::Month).into(),
            time_zone: time_zone.map_or_else(|| "UTC".to_owned(), |zone| zone.0),
            since: since.0,
            until: until.map_or_else(|| viewer.now(), |until| until.0),
        };
        let asked = written_filter(ctx)?;
        let range = json!({ "stoppedAt": { "gte": request.since.to_rfc3339(), "lt": request.until.to_rfc3339() } });
        let found = platform(ctx).levels.attainment(&viewer, request).await?;
        Ok(answer(found, &dimensions, &asked, &range))
    }
}

/// The filter as the client wrote it.
fn written_filter(ctx: &Context<'_>) -> Result<Raw> {
    let arguments = ctx.field().arguments()?;
    let filter = arguments.into_iter().find(|(name, _)| name == "filter").map(|(_, value)| value);
    Ok(filter.map(|filter| filter.into_json().map_err(kernel::Error::internal)).transpose()?.unwrap_or_default())
}

fn answer(found: Attainment, dimensions: &[Dimension], asked: &Raw, range: &Raw) -> SlaAttainment {
    let bounds = found.bounds;
    let (met, breached) =
        found.groups.iter().fold((0, 0), |(met, breached), group| (met + group.met, breached + group.breached));
    let groups = found.groups.into_iter().map(|figures| {
        let keys = dimensions.iter().zip(&figures.keys);
        let keys: Vec<_> = keys.map(|(dimension, value)| SlaAttainmentKey::of(*dimension, value, &bounds)).collect();
        let ended = json!({ "state": { "in": ["MET", "BREACHED"] } });
        let asked = (!asked.is_null()).then(|| asked.clone());
        let all: Vec<Raw> = asked
            .into_iter()
            .chain([range.clone(), ended])
            .chain(keys.iter().map(SlaAttainmentKey::condition))
            .collect();
        SlaAttainmentGroup { figures, keys, filter: json!({ "and": all }) }
    });
    SlaAttainment {
        groups: groups.collect(),
        met: count(met),
        breached: count(breached),
        attainment: share(met, breached),
        truncated: found.truncated,
    }
}
