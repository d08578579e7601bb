//! Figures of tickets: how many, in which groups, and how long they took. Each can be listed: the groups' keys make a filter.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan, Zoned};
use kernel::{Ctx, Result, Timestamp, UserError};
use predicate::{Operand, Path, Predicate, Test, Use};
use store::query::{self, Group, GroupBy, Row, Statistics};

use crate::fields::TICKET;
use crate::service::Tickets;

/// How many dimensions may be combined.
pub const MAX_DIMENSIONS: usize = 3;
/// How many groups are answered at most: the largest.
pub const MAX_GROUPS: usize = 1_000;
/// How many intervals one question may have.
pub const MAX_INTERVALS: usize = 100;

/// The instants that tickets are grouped by, by intervals.
pub const INSTANTS: &[&str] = &["createdAt", "resolvedAt", "closedAt"];

/// How long an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
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

impl Interval {
    /// How many are looked at when nobody says since when.
    const fn usual(self) -> i64 {
        match self {
            Interval::Hour => 24,
            Interval::Day => 30,
            Interval::Week | Interval::Month => 12,
            Interval::Quarter => 8,
            Interval::Year => 5,
        }
    }

    fn span(self, count: i64) -> Span {
        match self {
            Interval::Hour => count.hours(),
            Interval::Day => count.days(),
            Interval::Week => count.weeks(),
            Interval::Month => count.months(),
            Interval::Quarter => (count * 3).months(),
            Interval::Year => count.years(),
        }
    }

    /// Where the interval begins in which this is.
    fn begin(self, at: DateTime) -> DateTime {
        let date = at.date();
        let first = match self {
            Interval::Hour => return date.at(at.hour(), 0, 0, 0),
            Interval::Day => date,
            Interval::Week => date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
            Interval::Month => date.first_of_month(),
            Interval::Quarter => jiff::civil::date(date.year(), (date.month() - 1) / 3 * 3 + 1, 1),
            Interval::Year => date.first_of_year(),
        };
        first.at(0, 0, 0, 0)
    }
}

/// A question for figures.
#[derive(Clone, Debug)]
pub struct StatisticsRequest {
    /// Of which tickets, as a client asked: before it is checked.
    pub filter: Predicate,
    /// By which fields of tickets, or custom fields (`customField:key`); those of [`INSTANTS`] by intervals.
    pub dimensions: Vec<String>,
    /// How long the intervals of an instant are.
    pub interval: Interval,
    /// Whose days they are: an IANA name.
    pub time_zone: String,
    /// From when on; the beginning of the first interval is before or at it.
    pub since: Option<Timestamp>,
    /// Until when; now when absent.
    pub until: Option<Timestamp>,
    /// Whether to tell how long tickets took from being opened to being resolved.
    pub with_resolution: bool,
    /// Whether to tell how long tickets took from being opened to being taken up.
    pub with_acknowledgement: bool,
    /// Whether to count those that were resolved, reopened and handed on.
    pub with_counts: bool,
    /// Whether to tell how much time was worked on them, and what it costs.
    pub with_work: bool,
}

/// What the times of an answer's groups are of, in this order, as far as they were asked for: until resolved, until taken up.
fn between(request: &StatisticsRequest) -> Vec<(&'static str, &'static str)> {
    let mut wanted = Vec::new();
    wanted.extend(request.with_resolution.then_some(("createdAt", "resolvedAt")));
    wanted.extend(request.with_acknowledgement.then_some(("createdAt", "acknowledgedAt")));
    wanted
}

/// What the counts of an answer's groups are of, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those that are resolved or closed.
    Resolved,
    /// Those that were ever reopened.
    Reopened,
    /// Those that another team or another person was ever put on. For viewers who may read that.
    Reassigned,
    /// Those that are resolved or closed and were never handed on nor reopened. For viewers who may read that.
    FirstContact,
    /// Those that were ever escalated: to another level of support, or up the line of managers. For viewers who may read that.
    Escalated,
}

impl Counted {
    /// All of them.
    pub const ALL: [Counted; 5] =
        [Counted::Resolved, Counted::Reopened, Counted::Reassigned, Counted::FirstContact, Counted::Escalated];

    fn condition(self) -> Predicate {
        let some = |field: &str| Predicate::Is(Path::field(field), Test::Gt(Operand::Value(0.into())));
        match self {
            Counted::Resolved => Predicate::Is(Path::field("resolvedAt"), Test::IsNull(false)),
            Counted::Reopened => some("reopenCount"),
            Counted::Reassigned => some("reassignmentCount"),
            Counted::Escalated => some("functionalEscalationLevel").or(some("hierarchicalEscalationLevel")),
            Counted::FirstContact => Predicate::all([
                Counted::Resolved.condition(),
                Predicate::eq("reopenCount", 0),
                Predicate::eq("reassignmentCount", 0),
            ]),
        }
    }
}

/// What the sums of an answer's groups are of, in this order: seconds worked, what those entries cost that have an amount, those of
/// them that are billed, and how many have none.
const WORK: [&str; 4] = ["timeSpent", "cost", "billableCost", "entriesWithoutRate"];

/// What the time that was worked on some tickets adds up to, as far as the viewer may read it: `None` where that is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How long, in seconds.
    pub seconds: Option<i64>,
    /// What those entries cost that have an amount, in ten-thousandths of the currency's unit.
    pub cost: Option<i64>,
    /// What those of them cost that are billed.
    pub billable: Option<i64>,
    /// How many have no amount.
    pub without_rate: Option<i64>,
}

impl Work {
    /// The same sums, of the tickets that links leave from.
    pub const THROUGH_SOURCE: [&str; 4] =
        ["source.timeSpent", "source.cost", "source.billableCost", "source.entriesWithoutRate"];

    /// Of the sums of a group.
    pub fn of(group: &Group) -> Self {
        let sum = |place: usize| group.sums.get(place).copied().flatten();
        Self { seconds: sum(0), cost: sum(1), billable: sum(2), without_rate: sum(3) }
    }

    /// Of one ticket.
    pub fn of_ticket(ticket: &Row) -> Self {
        let number = |field: &str| ticket.get(field).as_int();
        let [seconds, cost, billable, without_rate] = WORK.map(number);
        Self { seconds, cost, billable, without_rate }
    }

    /// Of these and of those together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |one: Option<i64>, other: Option<i64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self {
            seconds: sum(self.seconds, other.seconds),
            cost: sum(self.cost, other.cost),
            billable: sum(self.billable, other.billable),
            without_rate: sum(self.without_rate, other.without_rate),
        }
    }
}

/// Figures, and where the intervals of the instant among the dimensions begin and end.
#[derive(Clone, Debug)]
pub struct StatisticsAnswer {
    /// The largest groups, largest first.
    pub groups: Vec<Group>,
    /// What their counts are of: those that the viewer may know.
    pub counted: Vec<Counted>,
    /// Whether there are more.
    pub truncated: bool,
    /// Where intervals begin, and at last where the last one ends; empty without an instant.
    pub bounds: Vec<Timestamp>,
}

impl Tickets {
    /// Counts tickets in groups, by one statement, as far as the viewer may see them.
    ///
    /// # Errors
    /// `VALIDATION` with paths `filter`, `groupBy`, `timeZone`, `since`, `until`; `LIMIT`.
    pub async fn statistics(&self, ctx: &Ctx, request: StatisticsRequest) -> Result<StatisticsAnswer> {
        check_dimensions(&request.dimensions)?;
        let has_instant = request.dimensions.iter().any(|name| INSTANTS.contains(&name.as_str()));
        let until = request.until.unwrap_or_else(|| ctx.now());
        let bounds = match has_instant {
            true => bounds(request.interval, &request.time_zone, request.since, until)?,
            false => Vec::new(),
        };
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.statistics");
        let mut dimensions = Vec::with_capacity(request.dimensions.len());
        for name in &request.dimensions {
            dimensions.push(self.bound_term(&reader, ctx, name, "groupBy", false).await?);
        }
        for name in &dimensions {
            if predicate::keyed::split(name).is_some() {
                access::visibility::check_order(&visible, &TICKET, name).map_err(|_| not_by(name))?;
                continue;
            }
            let field = TICKET.field(name).filter(|field| !access::visibility::is_denied(&visible, &TICKET, field));
            if field.is_none() {
                return Err(not_by(name));
            }
        }
        let catalogue = self.access().catalogue();
        let filter = self.bound(&reader, ctx, request.filter.clone()).await.map_err(|error| error.within("filter"))?;
        let filter = access::visibility::filter(ctx, catalogue, &visible, &TICKET, filter, Use::Query)
            .map_err(|error| error.within("filter"))?;
        let mut counted = Vec::new();
        let mut matching = Vec::new();
        for count in Counted::ALL.into_iter().filter(|_| request.with_counts) {
            let condition = count.condition();
            // A count of what the viewer's role reads on no ticket is not answered.
            if let Ok(masked) = access::visibility::filter(ctx, catalogue, &visible, &TICKET, condition, Use::Query) {
                counted.push(count);
                matching.push(masked);
            }
        }
        let group = |name: &String| match INSTANTS.iter().find(|instant| *instant == name) {
            Some(field) => GroupBy::Interval { field, bounds: bounds.clone() },
            None => GroupBy::Field(name.clone()),
        };
        let between = between(&request);
        let wanted = Statistics {
            record: &TICKET,
            filter,
            group_by: dimensions.iter().map(group).collect(),
            between,
            matching,
            sums: if request.with_work { WORK.to_vec() } else { Vec::new() },
            limit: MAX_GROUPS as u32 + 1,
        };
        let mut groups = query::statistics(&reader, &self.access().scoped(ctx, &visible), &wanted).await?;
        let truncated = groups.len() > MAX_GROUPS;
        groups.truncate(MAX_GROUPS);
        Ok(StatisticsAnswer { groups, counted, truncated, bounds })
    }
}

fn not_by(name: &str) -> kernel::Error {
    UserError::validation(["groupBy"], format!("`{name}` cannot be grouped by with your role")).into()
}

fn check_dimensions(dimensions: &[String]) -> Result<()> {
    if dimensions.len() > MAX_DIMENSIONS {
        let message = format!("{} dimensions are combined; at most {MAX_DIMENSIONS} are allowed", dimensions.len());
        return Err(UserError::limit(["groupBy"], message, MAX_DIMENSIONS as u64).into());
    }
    let twice = dimensions.iter().enumerate().any(|(place, name)| dimensions[..place].contains(name));
    let instants = dimensions.iter().filter(|name| INSTANTS.contains(&name.as_str())).count();
    if twice || instants > 1 {
        let message = "name each dimension once, and one instant at most";
        return Err(UserError::validation(["groupBy"], message).into());
    }
    Ok(())
}

/// Where intervals begin, and where the last one ends: it holds the instant before `until`.
///
/// # Errors
/// `VALIDATION` and `LIMIT` at `timeZone`, `since`, `until`.
pub fn bounds(interval: Interval, zone: &str, since: Option<Timestamp>, until: Timestamp) -> Result<Vec<Timestamp>> {
    let unknown = |_| {
        let message = format!("`{zone}` is no time zone; an IANA name such as `Europe/Vienna` is");
        UserError::constraint(["timeZone"], message, "timeZone", None)
    };
    let zone = TimeZone::get(zone).map_err(unknown)?;
    let out_of_range = |path: &'static str| {
        move |_: jiff::Error| {
            UserError::constraint([path], format!("`{path}` is no instant of a calendar"), "range", None)
        }
    };
    let last = zoned(until, &zone).map_err(out_of_range("until"))?;
    let first = match since {
        Some(since) => zoned(since, &zone).map_err(out_of_range("since"))?,
        None => last.checked_sub(interval.span(interval.usual() - 1)).map_err(out_of_range("since"))?,
    };
    if first > last {
        return Err(UserError::constraint(["since"], "`since` is after `until`", "order", None).into());
    }
    let mut found = Vec::new();
    let begin = interval.begin(first.datetime());
    for number in 0.. {
        // Hours are counted on the clock that never jumps, days and more on the calendar.
        let next = match interval {
            Interval::Hour => begin.to_zoned(zone.clone()).and_then(|begin| begin.checked_add(interval.span(number))),
            _ => begin.checked_add(interval.span(number)).and_then(|next| next.to_zoned(zone.clone())),
        };
        let next = next.map_err(out_of_range("until"))?;
        let passed = next >= last;
        found.push(instant(&next).ok_or_else(|| kernel::Error::internal("an instant out of range"))?);
        if passed && found.len() > 1 {
            break;
        }
        if found.len() > MAX_INTERVALS {
            let message =
                format!("there are more than {MAX_INTERVALS} intervals from `since` to `until`: ask for longer ones");
            return Err(UserError::limit(["since"], message, MAX_INTERVALS as u64).into());
        }
    }
    Ok(found)
}

fn zoned(at: Timestamp, zone: &TimeZone) -> std::result::Result<Zoned, jiff::Error> {
    Ok(jiff::Timestamp::from_microsecond(at.timestamp_micros())?.to_zoned(zone.clone()))
}

fn instant(at: &Zoned) -> Option<Timestamp> {
    chrono::DateTime::from_timestamp_micros(at.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::parse_time;

    fn texts(interval: Interval, zone: &str, since: Option<&str>, until: &str) -> Vec<String> {
        let since = since.map(|since| parse_time(since).unwrap());
        let found = bounds(interval, zone, since, parse_time(until).unwrap()).unwrap();
        found.iter().map(|at| at.format("%Y-%m-%dT%H:%MZ").to_string()).collect()
    }

    #[test]
    fn days_are_those_of_the_zone_even_when_its_clocks_change() {
        let days = texts(Interval::Day, "Europe/Vienna", Some("2026-03-28T12:00:00Z"), "2026-03-30T10:00:00Z");
        assert_eq!(days, ["2026-03-27T23:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z", "2026-03-30T22:00Z"]);
        let hours = texts(Interval::Hour, "Europe/Vienna", Some("2026-10-25T00:30:00Z"), "2026-10-25T02:30:00Z");
        assert_eq!(hours, ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z", "2026-10-25T03:00Z"]);
    }

    #[test]
    fn an_interval_begins_where_the_calendar_says() {
        let one = |interval| texts(interval, "UTC", Some("2026-05-20T00:00:00Z"), "2026-05-20T01:00:00Z");
        assert_eq!(one(Interval::Week), ["2026-05-18T00:00Z", "2026-05-25T00:00Z"]);
        assert_eq!(one(Interval::Month), ["2026-05-01T00:00Z", "2026-06-01T00:00Z"]);
        assert_eq!(one(Interval::Quarter), ["2026-04-01T00:00Z", "2026-07-01T00:00Z"]);
        assert_eq!(one(Interval::Year), ["2026-01-01T00:00Z", "2027-01-01T00:00Z"]);
        assert_eq!(texts(Interval::Month, "UTC", None, "2026-05-20T01:00:00Z").len(), 13, "a year of months");
    }

    #[test]
    fn there_is_an_end_to_intervals() {
        let at = |text: &str| parse_time(text).unwrap();
        assert!(bounds(Interval::Hour, "UTC", Some(at("2026-01-01T00:00:00Z")), at("2026-02-01T00:00:00Z")).is_err());
        assert!(bounds(Interval::Day, "Mars/Olympus", None, at("2026-02-01T00:00:00Z")).is_err());
        assert!(bounds(Interval::Day, "UTC", Some(at("2026-03-01T00:00:00Z")), at("2026-02-01T00:00:00Z")).is_err());
    }
}
