//! What mutations of calendars and policies take.

use async_graphql::{ID, InputObject, OneofObject};
use kernel::id::prefix;
use kernel::{Id, UserError};
use serde_json::Value as JsonValue;
use sla::policy as domain;

use super::types::{SlaMetric, Weekday};
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{Date, Duration, Markdown};
use crate::tickets::filters::TicketFilter;
use crate::tickets::words::{Priority, StateCategory, WaitingReason};

/// Points at a calendar.
#[derive(Clone, Debug, OneofObject)]
pub enum CalendarRef {
    /// By id, such as `cal_01jcz8…`.
    Id(ID),
    /// By key, such as `office-vienna`.
    Key(String),
}

impl CalendarRef {
    /// As the platform points at calendars.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> kernel::Result<sla::CalendarRef> {
        Ok(match self {
            CalendarRef::Id(id) => sla::CalendarRef::Id(parse(&id, prefix::CALENDAR)?),
            CalendarRef::Key(key) => sla::CalendarRef::Key(key),
        })
    }
}

/// Points at a policy.
#[derive(Clone, Debug, OneofObject)]
pub enum SlaPolicyRef {
    /// By id, such as `slp_01jcz8…`.
    Id(ID),
    /// By key, such as `standard`.
    Key(String),
}

impl SlaPolicyRef {
    /// As the platform points at policies.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> kernel::Result<sla::PolicyRef> {
        Ok(match self {
            SlaPolicyRef::Id(id) => sla::PolicyRef::Id(parse(&id, prefix::SLA_POLICY)?),
            SlaPolicyRef::Key(key) => sla::PolicyRef::Key(key),
        })
    }
}

fn parse(text: &str, expected: &'static str) -> kernel::Result<Id> {
    Id::parse_as(text, &[expected]).map_err(|error| UserError::constraint(["id"], error.to_string(), "id", None).into())
}

/// A part of a weekday in which time counts: from `from` up to, but without, `to`.
#[derive(Clone, Debug, InputObject)]
pub struct WorkingIntervalInput {
    /// The weekday.
    pub day: Weekday,
    /// When it begins, as in `08:00`.
    pub from: String,
    /// When it is over, as in `17:30`; `24:00` is the end of the day.
    pub to: String,
}

/// A part of a day in which time counts.
#[derive(Clone, Debug, InputObject)]
pub struct DayHoursInput {
    /// When it begins, as in `08:00`.
    pub from: String,
    /// When it is over, as in `12:00`; `24:00` is the end of the day.
    pub to: String,
}

/// A day, or days that come again by a rule, on which other hours count than the weekday has.
#[derive(Clone, Debug, InputObject)]
pub struct HolidayInput {
    /// What people call it.
    pub name: String,
    /// The day; with a rule, the day from which the rule holds.
    pub date: Date,
    /// How many days in a row it takes; one when absent.
    pub days: Option<i32>,
    /// On which days it comes again: an RRULE of RFC 5545, such as `FREQ=YEARLY` or `FREQ=YEARLY;BYMONTH=11;BYDAY=4TH`.
    pub rule: Option<String>,
    /// The days that the rule gives and that are none nevertheless.
    pub except: Option<Vec<Date>>,
    /// What counts on such a day, whatever its weekday; nothing when absent.
    pub hours: Option<Vec<DayHoursInput>>,
}

/// The hours of a week as the calendar takes them.
pub fn week(week: Vec<WorkingIntervalInput>) -> Vec<calendar::WorkingInterval> {
    let plain = |input: WorkingIntervalInput| calendar::WorkingInterval {
        day: input.day.into(),
        from: input.from,
        to: input.to,
    };
    week.into_iter().map(plain).collect()
}

/// Holidays as the calendar takes them.
pub fn holidays(holidays: Vec<HolidayInput>) -> Vec<calendar::Holiday> {
    let hours = |hours: DayHoursInput| calendar::DayHours { from: hours.from, to: hours.to };
    let plain = |input: HolidayInput| calendar::Holiday {
        name: input.name,
        date: input.date.0,
        // What is no length of days is told as one that is too long, or as none.
        days: input.days.map(|days| u16::try_from(days.max(0)).unwrap_or(u16::MAX)),
        rule: input.rule,
        except: input.except.unwrap_or_default().into_iter().map(|date| date.0).collect(),
        hours: input.hours.unwrap_or_default().into_iter().map(hours).collect(),
    };
    holidays.into_iter().map(plain).collect()
}

/// One promise of a policy.
#[derive(Clone, Debug, InputObject)]
pub struct SlaPolicyMetricInput {
    /// What is measured; each metric stands once.
    pub metric: SlaMetric,
    /// How long it may take, at most 20 rows: the first that fits a ticket holds. A ticket that none fits has no clock.
    pub targets: Vec<SlaTargetInput>,
    /// When time does not count; it always does when absent.
    pub pauses: Option<SlaPausesInput>,
    /// What happens on the way to the due time and behind it, at most 10.
    pub escalations: Option<Vec<SlaEscalationInput>>,
}

/// How long it may take, for which tickets.
#[derive(Clone, Debug, InputObject)]
pub struct SlaTargetInput {
    /// For these priorities; for all, when absent.
    pub priorities: Option<Vec<Priority>>,
    /// For these tickets; for all, when absent.
    pub condition: Option<TicketFilter>,
    /// How long, in working time, such as `PT4H`.
    pub target: Duration,
    /// Another calendar than the policy's, such as one that is always open, for the highest priority.
    pub calendar: Option<CalendarRef>,
}

/// The states in which time does not count.
#[derive(Clone, Debug, InputObject)]
pub struct SlaPausesInput {
    /// While the ticket waits for one of these.
    pub waiting_reasons: Option<Vec<WaitingReason>>,
    /// While the ticket is in a state of one of these categories: `NEW`, `ACTIVE`, `WAITING`.
    pub state_categories: Option<Vec<StateCategory>>,
}

/// When an escalation is due, in the clock's own time.
#[derive(Clone, Debug, OneofObject)]
pub enum SlaEscalationTimeInput {
    /// When so much of the target has gone by, from 1 to 100; 100 is the due time.
    Percent(i32),
    /// So long before the due time, such as `PT30M`; shorter than every target.
    Before(Duration),
    /// So long behind the due time, such as `PT2H`; `PT0S` is the due time.
    After(Duration),
}

/// Something that happens once on the way of a clock.
#[derive(Clone, Debug, InputObject)]
pub struct SlaEscalationInput {
    /// When.
    pub at: SlaEscalationTimeInput,
    /// What, beside the event `SlaEscalated`; at most five.
    pub actions: Option<Vec<SlaActionInput>>,
}

/// What an escalation does.
#[derive(Clone, Debug, OneofObject)]
pub enum SlaActionInput {
    /// Adds an internal comment.
    Comment(Markdown),
    /// Hands the ticket to a team, or to somebody of it.
    Assign(SlaAssignInput),
    /// Raises the priority by one step, against the matrix: `true`.
    RaisePriority(bool),
}

/// Whom an escalation hands the ticket to.
#[derive(Clone, Debug, InputObject)]
pub struct SlaAssignInput {
    /// The team.
    pub team: TeamRefInput,
    /// Somebody of the team.
    pub assignee: Option<UserRefInput>,
}

/// What a policy says, beside the conditions: those are kept as they were written.
pub struct PolicyParts {
    /// The condition, checked as a filter.
    pub condition: Option<TicketFilter>,
    /// The calendar.
    pub calendar: CalendarRef,
    /// The promises.
    pub metrics: Vec<SlaPolicyMetricInput>,
}

impl PolicyParts {
    /// As the platform takes it. `written` is the input as the client wrote it, where the conditions are.
    ///
    /// # Errors
    /// User errors with paths inside the input.
    pub fn draft(self, written: &JsonValue) -> kernel::Result<sla::PolicyDraft> {
        let condition = checked(self.condition, written.get("condition"))?;
        let documents = |place: usize| written.get("metrics").and_then(|metrics| metrics.get(place));
        let metrics = self.metrics.into_iter().enumerate().map(|(place, metric)| {
            let written = documents(place).cloned().unwrap_or_default();
            metric.draft(&written).map_err(|error| error.within(&place.to_string()).within("metrics"))
        });
        Ok(sla::PolicyDraft {
            condition,
            calendar: self.calendar.into_ref().map_err(|error| error.within("calendar"))?,
            metrics: metrics.collect::<kernel::Result<_>>()?,
        })
    }
}

/// A condition as it was written, once its typed reading holds.
fn checked(typed: Option<TicketFilter>, written: Option<&JsonValue>) -> kernel::Result<Option<JsonValue>> {
    let Some(typed) = typed else { return Ok(None) };
    typed.predicate().map_err(|error| error.within("condition"))?;
    Ok(written.filter(|written| !written.is_null()).cloned())
}

impl SlaPolicyMetricInput {
    fn draft(self, written: &JsonValue) -> kernel::Result<sla::MetricDraft> {
        let document = |list: &str, place: usize| written.get(list).and_then(|list| list.get(place)).cloned();
        let targets = self.targets.into_iter().enumerate().map(|(place, target)| {
            let written = document("targets", place).unwrap_or_default();
            target.draft(&written).map_err(|error| error.within(&place.to_string()).within("targets"))
        });
        let escalations = self.escalations.unwrap_or_default().into_iter().enumerate();
        let escalations = escalations.map(|(place, escalation)| {
            escalation.draft().map_err(|error| error.within(&place.to_string()).within("escalations"))
        });
        let pauses = self.pauses.map_or_else(domain::Pauses::default, |pauses| domain::Pauses {
            waiting_reasons: pauses.waiting_reasons.unwrap_or_default().into_iter().map(Into::into).collect(),
            state_categories: pauses.state_categories.unwrap_or_default().into_iter().map(Into::into).collect(),
        });
        Ok(sla::MetricDraft {
            metric: self.metric.into(),
            targets: targets.collect::<kernel::Result<_>>()?,
            pauses,
            escalations: escalations.collect::<kernel::Result<_>>()?,
        })
    }
}

impl SlaTargetInput {
    fn draft(self, written: &JsonValue) -> kernel::Result<sla::TargetDraft> {
        let calendar = self.calendar.map(CalendarRef::into_ref).transpose();
        Ok(sla::TargetDraft {
            priorities: self.priorities.unwrap_or_default().into_iter().map(Into::into).collect(),
            condition: checked(self.condition, written.get("condition"))?,
            target: seconds(&self.target),
            calendar: calendar.map_err(|error| error.within("calendar"))?,
        })
    }
}

/// How many seconds a length has; the scalar has read it before.
pub(crate) fn seconds(length: &Duration) -> i64 {
    length.seconds()
}

impl SlaEscalationInput {
    fn draft(self) -> kernel::Result<sla::EscalationDraft> {
        let at = match self.at {
            SlaEscalationTimeInput::Percent(percent) => {
                // Out of range is told where the other rules are.
                domain::EscalationTime::Percent(u8::try_from(percent.clamp(0, 255)).unwrap_or(u8::MAX))
            }
            SlaEscalationTimeInput::Before(length) => domain::EscalationTime::Before(seconds(&length)),
            SlaEscalationTimeInput::After(length) => domain::EscalationTime::After(seconds(&length)),
        };
        let actions = self.actions.unwrap_or_default().into_iter().enumerate();
        let actions = actions
            .map(|(place, action)| action.draft().map_err(|error| error.within(&place.to_string()).within("actions")));
        Ok(sla::EscalationDraft { at, actions: actions.collect::<kernel::Result<_>>()? })
    }
}

impl SlaActionInput {
    fn draft(self) -> kernel::Result<sla::ActionDraft> {
        Ok(match self {
            SlaActionInput::Comment(body) => sla::ActionDraft::Comment(body.0),
            SlaActionInput::RaisePriority(true) => sla::ActionDraft::RaisePriority,
            SlaActionInput::RaisePriority(false) => {
                let message = "an action does something: leave it out, or say `true`";
                return Err(UserError::validation(["raisePriority"], message).into());
            }
            SlaActionInput::Assign(assign) => {
                let within = |field: &'static str| move |error: kernel::Error| error.within(field).within("assign");
                let team = assign.team.into_ref().map_err(within("team"))?;
                let assignee = assign.assignee.map(UserRefInput::into_ref).transpose().map_err(within("assignee"))?;
                sla::ActionDraft::Assign(team, assignee)
            }
        })
    }
}
