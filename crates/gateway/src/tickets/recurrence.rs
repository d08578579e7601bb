//! Recurring incidents in the API.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::{Duration, SecondsFormat};
use kernel::id::prefix;
use kernel::{Id, Timestamp, Uuid};
use serde_json::{Value as Raw, json};
use store::query::RecurrenceGroup;
use ticket::recurrence::{MAX_NAMED, RecurrenceAnswer, RecurrenceBy, RecurrenceRequest, USUAL_WITHIN_DAYS};

use crate::configuration::types::{ConfigurationItem, Service};
use crate::context::{platform, viewer};
use crate::loaders;
use crate::scalars::{Json, TimePoint};
use crate::tickets::filters::TicketFilter;
use crate::tickets::statistics::filter_as_asked;

/// How many days are looked at when nobody says since when.
const USUAL_SPAN_DAYS: i64 = 90;
/// How many groups are answered when nobody says how many.
const USUAL_GROUPS: i32 = 20;

/// What recurring incidents have in common, beside their category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "RecurrenceBy")]
pub enum IncidentRecurrenceBy {
    /// The service.
    Service,
    /// A configuration item that they are about.
    ConfigurationItem,
}

/// How many incidents came back, as far as the viewer may see them.
#[derive(SimpleObject)]
pub struct IncidentRecurrence {
    /// The services or configuration items with the most recurring incidents first.
    groups: Vec<IncidentRecurrenceGroup>,
    /// How many incidents all groups have, those that are not answered among them. By configuration item, an incident counts once for each
    /// of its items.
    incidents: i32,
    /// How many of them are recurring.
    recurring: i32,
    /// The share of those, from 0 to 1; null without incidents.
    rate: Option<f64>,
    /// Whether there are more groups than are answered.
    truncated: bool,
}

/// The recurring incidents of one service or configuration item.
pub struct IncidentRecurrenceGroup {
    by: IncidentRecurrenceBy,
    figures: RecurrenceGroup,
    filter: Raw,
    recurring: Vec<Uuid>,
}

fn shown(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn rate(recurring: i64, count: i64) -> Option<f64> {
    (count > 0).then(|| recurring as f64 / count as f64)
}

/// The recurring incidents of one service or configuration item.
#[Object]
impl IncidentRecurrenceGroup {
    /// The service; null by configuration item.
    async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        match self.by {
            IncidentRecurrenceBy::Service => Ok(loaders::service(ctx, self.figures.key).await?.map(Service::from_row)),
            IncidentRecurrenceBy::ConfigurationItem => Ok(None),
        }
    }

    /// The configuration item; null by service.
    async fn configuration_item(&self, ctx: &Context<'_>) -> Result<Option<ConfigurationItem>> {
        match self.by {
            IncidentRecurrenceBy::Service => Ok(None),
            IncidentRecurrenceBy::ConfigurationItem => {
                Ok(loaders::configuration_item(ctx, self.figures.key).await?.map(ConfigurationItem::from_row))
            }
        }
    }

    /// How many incidents.
    fn incidents(&self) -> i32 {
        shown(self.figures.count)
    }

    /// How many of them are recurring.
    fn recurring(&self) -> i32 {
        shown(self.figures.recurring)
    }

    /// The share of those, from 0 to 1.
    fn rate(&self) -> f64 {
        rate(self.figures.recurring, self.figures.count).unwrap_or_default()
    }

    /// The incidents under the figure: a `TicketFilter`, as a variable of `tickets(filter:)`. By configuration item it names the latest 100.
    fn filter(&self) -> Json {
        Json(self.filter.clone())
    }

    /// The recurring ones among them: a `TicketFilter` that names the latest 100; null when there is none.
    fn recurring_filter(&self) -> Option<Json> {
        (!self.recurring.is_empty()).then(|| Json(named(&self.recurring)))
    }
}

/// A filter that finds these incidents.
fn named(incidents: &[Uuid]) -> Raw {
    let ids = incidents.iter().take(MAX_NAMED as usize).map(|id| Id::new(prefix::INCIDENT, *id).to_string());
    json!({ "id": { "in": ids.collect::<Vec<_>>() } })
}

impl IncidentRecurrence {
    fn of(asked: &Raw, by: IncidentRecurrenceBy, span: (Timestamp, Timestamp), answer: &RecurrenceAnswer) -> Self {
        let group = |figures: &RecurrenceGroup| {
            let of_group = || answer.incidents.iter().filter(|(key, ..)| *key == figures.key);
            let filter = match by {
                IncidentRecurrenceBy::Service => of_service(asked, figures.key, span),
                IncidentRecurrenceBy::ConfigurationItem => {
                    named(&of_group().map(|(_, incident, _)| *incident).collect::<Vec<_>>())
                }
            };
            let recurring = of_group().filter(|(.., recurring)| *recurring).map(|(_, incident, _)| *incident);
            IncidentRecurrenceGroup { by, figures: *figures, filter, recurring: recurring.collect() }
        };
        let figures = &answer.figures;
        Self {
            groups: figures.groups.iter().map(group).collect(),
            incidents: shown(figures.count),
            recurring: shown(figures.recurring),
            rate: rate(figures.recurring, figures.count),
            truncated: answer.truncated,
        }
    }
}

/// The filter that lists what is counted for a service.
fn of_service(asked: &Raw, service: Uuid, (since, until): (Timestamp, Timestamp)) -> Raw {
    let at = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let own = json!({
        "kind": { "eq": "INCIDENT" },
        "state": { "category": { "neq": "CANCELED" } },
        "service": { "id": { "eq": Id::new(prefix::SERVICE, service).to_string() } },
        "createdAt": { "gte": at(since), "lt": at(until) },
    });
    let asked = (!asked.is_null()).then(|| asked.clone());
    json!({ "and": asked.into_iter().chain([own]).collect::<Vec<_>>() })
}

/// Queries of recurring incidents.
#[derive(Default)]
pub struct RecurrenceQueries;

#[Object]
impl RecurrenceQueries {
    /// How many incidents came back: opened within so many days after another one of the same service (or on the same configuration item) and
    /// of the same category was resolved. What the viewer may not see is not counted, and nothing comes back after it.
    #[allow(clippy::too_many_arguments)]
    async fn incident_recurrence(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What they have in common, beside their category.")] by: IncidentRecurrenceBy,
        #[graphql(desc = "Which incidents are counted; canceled ones are not. They may come back after any.")]
        filter: Option<TicketFilter>,
        #[graphql(desc = "Within how many days, 1 to 365; 30 when absent.")] within_days: Option<i32>,
        #[graphql(
            desc = "Opened from when on, such as `-P30D`; 90 days before `until` when absent. At most 366 days."
        )]
        since: Option<TimePoint>,
        #[graphql(desc = "Opened until when; now when absent.")] until: Option<TimePoint>,
        #[graphql(desc = "How many services or configuration items, at most 100; 20 when absent.")] first: Option<i32>,
    ) -> Result<IncidentRecurrence> {
        let viewer = viewer(ctx)?;
        let asked = filter_as_asked(ctx)?;
        let at = |point: TimePoint| point.at(viewer.now());
        let until = until.map_or_else(|| viewer.now(), at);
        let since = since.map_or_else(|| until - Duration::days(USUAL_SPAN_DAYS), at);
        let groups = ctx.look_ahead().field("groups");
        let request = RecurrenceRequest {
            filter: filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?,
            by: by.into(),
            within_days: within_days.map_or(USUAL_WITHIN_DAYS, i64::from),
            since,
            until,
            // What is out of bounds is refused as such.
            first: u32::try_from(first.unwrap_or(USUAL_GROUPS)).unwrap_or_default(),
            with_incidents: ["filter", "recurringFilter"].iter().any(|field| groups.field(field).exists()),
        };
        let answer = platform(ctx).tickets.recurrence(&viewer, request).await?;
        Ok(IncidentRecurrence::of(&asked, by, (since, until), &answer))
    }
}
