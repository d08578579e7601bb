//! How many promises were kept: clocks that ended, in time or not, in groups. Each figure can be listed: the groups' keys make a
//! filter of clocks.

use access::visibility;
use kernel::{Ctx, Result, Timestamp, UserError};
use predicate::{Operand, Path, Predicate, Test, Use, Value};
use store::query::{self, GroupBy, Statistics};
use ticket::statistics::{Interval, bounds};

use crate::fields::SLA_CLOCK;
use crate::model::{ClockState, Phase};
use crate::service::ServiceLevels;

/// How many dimensions may be combined.
pub const MAX_DIMENSIONS: usize = 3;
/// How many groups are answered at most: the largest.
pub const MAX_GROUPS: usize = 1_000;

/// What clocks are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The policy.
    Policy,
    /// What is measured.
    Metric,
    /// Between whom the policy stands.
    Kind,
    /// The ticket's service.
    Service,
    /// The ticket's team.
    Team,
    /// The ticket's priority.
    Priority,
    /// When they ended, by intervals.
    StoppedAt,
}

impl Dimension {
    const fn field(self) -> &'static str {
        match self {
            Dimension::Policy => "policy",
            Dimension::Metric => "metric",
            Dimension::Kind => "kind",
            Dimension::Service => "ticket.service",
            Dimension::Team => "ticket.team",
            Dimension::Priority => "ticket.priority",
            Dimension::StoppedAt => "stoppedAt",
        }
    }
}

/// A question for attainment.
#[derive(Clone, Debug)]
pub struct AttainmentRequest {
    /// Of which clocks, as a client asked: before it is checked.
    pub filter: Predicate,
    /// By what.
    pub dimensions: Vec<Dimension>,
    /// How long the intervals are.
    pub interval: Interval,
    /// Whose days they are: an IANA name.
    pub time_zone: String,
    /// Clocks that ended from this instant on.
    pub since: Timestamp,
    /// Clocks that ended before this instant.
    pub until: Timestamp,
}

/// Figures, and where the intervals begin and end.
#[derive(Clone, Debug, Default)]
pub struct Attainment {
    /// The groups, those with the most clocks first.
    pub groups: Vec<AttainmentGroup>,
    /// Whether there are more.
    pub truncated: bool,
    /// Where intervals begin, and at last where the last one ends; empty without [`Dimension::StoppedAt`].
    pub bounds: Vec<Timestamp>,
}

/// The figures of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct AttainmentGroup {
    /// The group's value for each dimension; for intervals the place of the interval.
    pub keys: Vec<Value>,
    /// How many ended in time.
    pub met: i64,
    /// How many ended late.
    pub breached: i64,
}

impl ServiceLevels {
    /// Counts clocks that ended, by one statement, as far as the viewer may see them.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` with paths `filter`, `groupBy`, `timeZone`, `since`, `until`.
    pub async fn attainment(&self, ctx: &Ctx, request: AttainmentRequest) -> Result<Attainment> {
        check(&request)?;
        let by_time = request.dimensions.contains(&Dimension::StoppedAt);
        let bounds = match by_time {
            true => bounds(request.interval, &request.time_zone, Some(request.since), request.until)?,
            false => Vec::new(),
        };
        let visible = self.access().visible(ctx);
        let reader = self.store().read("sla.attainment");
        let asked = self.tickets().bound(&reader, ctx, request.filter).await.map_err(|error| error.within("filter"))?;
        let catalogue = self.access().catalogue();
        let filter = visibility::filter(ctx, catalogue, &visible, &SLA_CLOCK, asked, Use::Query)
            .map_err(|error| error.within("filter"))?;
        let group = |dimension: &Dimension| match dimension {
            Dimension::StoppedAt => GroupBy::Interval { field: "stoppedAt", bounds: bounds.clone() },
            other => GroupBy::Field(other.field().to_owned()),
        };
        let outcome = GroupBy::Field("state".to_owned());
        let wanted = Statistics {
            record: &SLA_CLOCK,
            filter: filter.and(ended(request.since, request.until)),
            group_by: request.dimensions.iter().map(group).chain([outcome]).collect(),
            between: Vec::new(),
            matching: Vec::new(),
            sums: Vec::new(),
            limit: 2 * MAX_GROUPS as u32 + 2,
        };
        let rows = query::statistics(&reader, &self.access().scoped(ctx, &visible), &wanted).await?;
        let mut groups = together(rows);
        let truncated = groups.len() > MAX_GROUPS;
        groups.truncate(MAX_GROUPS);
        Ok(Attainment { groups, truncated, bounds })
    }
}

/// Those that ended in a range: what is still open has not been judged.
fn ended(since: Timestamp, until: Timestamp) -> Predicate {
    let stopped = |test: fn(Operand) -> Test, at: Timestamp| {
        Predicate::Is(Path::field("stoppedAt"), test(Operand::Value(at.into())))
    };
    Predicate::eq("phase", Phase::Stopped.as_str()).and(stopped(Test::Gte, since)).and(stopped(Test::Lt, until))
}

/// In time and late of the same group, put together; the largest groups first.
fn together(rows: Vec<query::Group>) -> Vec<AttainmentGroup> {
    let mut groups: Vec<AttainmentGroup> = Vec::new();
    for mut row in rows {
        let state = row.keys.pop().unwrap_or(Value::Null);
        let met = state.as_text() == Some(ClockState::Met.as_str());
        let place = groups.iter().position(|group| group.keys == row.keys).unwrap_or_else(|| {
            groups.push(AttainmentGroup { keys: row.keys.clone(), met: 0, breached: 0 });
            groups.len() - 1
        });
        let group = &mut groups[place];
        *(if met { &mut group.met } else { &mut group.breached }) += row.count;
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.met + group.breached));
    groups
}

fn check(request: &AttainmentRequest) -> Result<()> {
    if request.dimensions.len() > MAX_DIMENSIONS {
        let message =
            format!("{} dimensions are combined; at most {MAX_DIMENSIONS} are allowed", request.dimensions.len());
        return Err(UserError::limit(["groupBy"], message, MAX_DIMENSIONS as u64).into());
    }
    let twice = |place: usize| request.dimensions[..place].contains(&request.dimensions[place]);
    if (0..request.dimensions.len()).any(twice) {
        return Err(UserError::validation(["groupBy"], "name each dimension once").into());
    }
    if request.until <= request.since {
        let message = "the range ends behind its beginning: `until` is later than `since`";
        return Err(UserError::validation(["until"], message).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_time_and_late_are_put_together() {
        let row = |key: &str, state: &str, count| query::Group {
            keys: vec![key.into(), state.into()],
            count,
            durations: Vec::new(),
            matching: Vec::new(),
            sums: Vec::new(),
        };
        let rows = vec![row("P1", "MET", 2), row("P3", "BREACHED", 5), row("P1", "BREACHED", 1)];
        let groups = together(rows);
        let plain = |group: &AttainmentGroup| (group.met, group.breached);
        assert_eq!(groups.iter().map(plain).collect::<Vec<_>>(), [(0, 5), (2, 1)]);
    }
}
