//! Recurring incidents: those that came back soon after another one of the same service, or on the same configuration item, and of the same
//! category was resolved.

use chrono::Duration;
use kernel::{Ctx, Result, Timestamp, UserError, Uuid};
use predicate::{Operand, Path, Predicate, Test, Use};
use store::query::{self, Recurrence, RecurrenceFigures};

use crate::fields::{TICKET, TICKET_ITEM};
use crate::model::{ItemLink, StateCategory, TicketKind};
use crate::service::Tickets;

/// How many days later an incident may have come back, at most.
pub const MAX_WITHIN_DAYS: i64 = 365;
/// How many days later it may have come back where nobody says otherwise.
pub const USUAL_WITHIN_DAYS: i64 = 30;
/// How many days one question may span.
pub const MAX_SPAN_DAYS: i64 = 366;
/// How many groups are answered, at most.
pub const MAX_RECURRENCE_GROUPS: u32 = 100;
/// How many incidents are named under a figure, at most: the latest.
pub const MAX_NAMED: u32 = 100;

/// What recurring incidents have in common, beside their category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrenceBy {
    /// The service.
    Service,
    /// A configuration item that they are about.
    ConfigurationItem,
}

/// A question for recurring incidents.
#[derive(Clone, Debug)]
pub struct RecurrenceRequest {
    /// Which incidents are counted, as a condition on tickets; before it is checked.
    pub filter: Predicate,
    /// By what.
    pub by: RecurrenceBy,
    /// Within how many days after the other was resolved.
    pub within_days: i64,
    /// Opened from when on.
    pub since: Timestamp,
    /// Opened until when.
    pub until: Timestamp,
    /// How many groups.
    pub first: u32,
    /// Whether to name the incidents under the figures.
    pub with_incidents: bool,
}

/// Figures, and the incidents under them: group, incident, and whether it is recurring.
#[derive(Clone, Debug)]
pub struct RecurrenceAnswer {
    /// The figures.
    pub figures: RecurrenceFigures,
    /// Whether there are more groups.
    pub truncated: bool,
    /// The incidents under them, if they were asked for.
    pub incidents: Vec<(Uuid, Uuid, bool)>,
}

impl Tickets {
    /// Counts recurring incidents, as far as the viewer may see them: one of which they do not see what it came after is not recurring for
    /// them. One statement, and another one for the incidents under the figures.
    ///
    /// # Errors
    /// `VALIDATION` with paths `filter`, `since`; `LIMIT` at `withinDays`, `since` and `first`.
    pub async fn recurrence(&self, ctx: &Ctx, request: RecurrenceRequest) -> Result<RecurrenceAnswer> {
        check(&request)?;
        let reader = self.store().read("ticket.recurrence");
        let visible = self.access().visible(ctx);
        let catalogue = self.access().catalogue();
        let filter = self.bound(&reader, ctx, request.filter.clone()).await.map_err(|error| error.within("filter"))?;
        let record = match request.by {
            RecurrenceBy::Service => &TICKET,
            RecurrenceBy::ConfigurationItem => &TICKET_ITEM,
        };
        let of_record = |condition: Predicate| match request.by {
            RecurrenceBy::Service => condition,
            RecurrenceBy::ConfigurationItem => {
                condition.through("ticket").and(!Predicate::eq("link", ItemLink::NotImpacted.as_str()))
            }
        };
        let masked = |condition: Predicate| {
            access::visibility::filter(ctx, catalogue, &visible, record, of_record(condition), Use::Query)
                .map_err(|error| error.within("filter"))
        };
        let counted = filter
            .and(incidents())
            .and(!Predicate::eq("stateCategory", StateCategory::Canceled.as_str()))
            .and(between("createdAt", request.since, request.until));
        let within = Duration::days(request.within_days);
        let after = incidents().and(between("resolvedAt", request.since - within, request.until));
        let path = |field: &str| match request.by {
            RecurrenceBy::Service => Path::field(field),
            RecurrenceBy::ConfigurationItem => Path::through("ticket", field),
        };
        let wanted = Recurrence {
            record,
            subject: match request.by {
                RecurrenceBy::Service => Path::field("id"),
                RecurrenceBy::ConfigurationItem => Path::field("ticket"),
            },
            common: match request.by {
                RecurrenceBy::Service => Path::field("service"),
                RecurrenceBy::ConfigurationItem => Path::field("configurationItem"),
            },
            alike: path("category"),
            begins: path("createdAt"),
            ends: path("resolvedAt"),
            counted: masked(counted)?,
            after: masked(after)?,
            within: within.num_seconds(),
        };
        let scoped = self.access().scoped(ctx, &visible);
        let mut figures = query::recurrence(&reader, &scoped, &wanted, request.first + 1).await?;
        let most = request.first as usize;
        let truncated = figures.groups.len() > most;
        figures.groups.truncate(most);
        let incidents = match request.with_incidents {
            true => {
                let groups: Vec<Uuid> = figures.groups.iter().map(|group| group.key).collect();
                query::recurrence_subjects(&reader, &scoped, &wanted, &groups, MAX_NAMED).await?
            }
            false => Vec::new(),
        };
        Ok(RecurrenceAnswer { figures, truncated, incidents })
    }
}

fn incidents() -> Predicate {
    Predicate::eq("kind", TicketKind::Incident.as_str())
}

fn between(field: &str, since: Timestamp, until: Timestamp) -> Predicate {
    let is =
        |test: fn(Operand) -> Test, at: Timestamp| Predicate::Is(Path::field(field), test(Operand::Value(at.into())));
    is(Test::Gte, since).and(is(Test::Lt, until))
}

fn check(request: &RecurrenceRequest) -> Result<()> {
    let limit = |path: &'static str, message: String, limit: u64| UserError::limit([path], message, limit);
    if !(1..=MAX_WITHIN_DAYS).contains(&request.within_days) {
        let message = format!("`withinDays` is 1 to {MAX_WITHIN_DAYS}");
        return Err(limit("withinDays", message, MAX_WITHIN_DAYS as u64).into());
    }
    if request.since >= request.until {
        return Err(UserError::constraint(["since"], "`since` is not before `until`", "order", None).into());
    }
    if request.until - request.since > Duration::days(MAX_SPAN_DAYS) {
        let message = format!("from `since` to `until` are more than {MAX_SPAN_DAYS} days");
        return Err(limit("since", message, MAX_SPAN_DAYS as u64).into());
    }
    if !(1..=MAX_RECURRENCE_GROUPS).contains(&request.first) {
        let message = format!("`first` is 1 to {MAX_RECURRENCE_GROUPS}");
        return Err(limit("first", message, u64::from(MAX_RECURRENCE_GROUPS)).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::parse_time;

    #[test]
    fn a_question_has_bounds() {
        let at = |text: &str| parse_time(text).unwrap();
        let request = |within_days, since: &str, first| RecurrenceRequest {
            filter: Predicate::always(),
            by: RecurrenceBy::Service,
            within_days,
            since: at(since),
            until: at("2026-06-01T00:00:00Z"),
            first,
            with_incidents: false,
        };
        for (asked, fine) in [
            (request(1, "2026-05-01T00:00:00Z", 1), true),
            (request(MAX_WITHIN_DAYS, "2025-05-31T00:00:00Z", MAX_RECURRENCE_GROUPS), true),
            (request(0, "2026-05-01T00:00:00Z", 1), false),
            (request(MAX_WITHIN_DAYS + 1, "2026-05-01T00:00:00Z", 1), false),
            (request(1, "2026-06-01T00:00:00Z", 1), false),
            (request(1, "2025-05-30T00:00:00Z", 1), false),
            (request(1, "2026-05-01T00:00:00Z", 0), false),
            (request(1, "2026-05-01T00:00:00Z", MAX_RECURRENCE_GROUPS + 1), false),
        ] {
            assert_eq!(check(&asked).is_ok(), fine, "{asked:?}");
        }
    }
}
