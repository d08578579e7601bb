//! What a clock shows at an instant, and why: numbers, stretches, and sentences for people.

use chrono::Duration;
use kernel::clock::format_duration;
use kernel::{Ctx, Error, Result, Timestamp, Uuid};
use store::query::Row;
use ticket::model::{Priority, WaitingReason};

use crate::clock::Clock;
use crate::model::{Cause, ClockState, Phase};
use crate::segments::Segment;
use crate::service::ServiceLevels;
use crate::stored::StoredClock;

/// A clock at an instant.
#[derive(Clone, Debug)]
pub struct ClockView {
    /// What is stored of it.
    pub stored: StoredClock,
    /// Where it stands.
    pub state: ClockState,
    /// When it was late for the first time.
    pub breached_at: Option<Timestamp>,
    /// What has gone by.
    pub elapsed: Duration,
    /// What remains; negative when it is over time.
    pub remaining: Duration,
    /// What has gone by, of the target, in percent.
    pub percent: f64,
    /// Its stretches.
    pub segments: Vec<SegmentView>,
}

/// A stretch of a clock.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentView {
    /// When it began.
    pub from: Timestamp,
    /// When it ended; absent while it lasts.
    pub to: Option<Timestamp>,
    /// Whether time counts in it.
    pub running: bool,
    /// Why it began.
    pub cause: Cause,
    /// What the ticket waits for in it.
    pub reason: Option<WaitingReason>,
    /// The ticket's priority when it began.
    pub priority: Priority,
    /// The target in force.
    pub target: Duration,
    /// The calendar in force.
    pub calendar: Uuid,
    /// How much time counted in it.
    pub counted: Duration,
}

impl ServiceLevels {
    /// A clock as it stands now.
    ///
    /// # Errors
    /// `INTERNAL` for a row that this program did not write; database errors.
    pub async fn view(&self, ctx: &Ctx, row: &Row) -> Result<ClockView> {
        let stored = StoredClock::from_row(row)?;
        let (calendar, version) = stored.clock.calendar;
        let calendar = self.find_in_books(ctx, |books| books.calendar(calendar, version).cloned()).await?;
        let calendar = calendar.ok_or_else(|| Error::internal("a clock's calendar is missing"))?;
        Ok(view(stored, &calendar, ctx.now()))
    }
}

/// A clock at an instant that is not before its last event, with the calendar in force.
pub fn view(stored: StoredClock, calendar: &calendar::Calendar, now: Timestamp) -> ClockView {
    let clock = &stored.clock;
    let elapsed = clock.elapsed_at(now, calendar);
    let state = clock.state(now);
    let overdue = clock.due_at.filter(|due| clock.phase == Phase::Running && *due < now);
    let target = clock.target.num_microseconds().unwrap_or(i64::MAX).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a percentage of at most some years in microseconds")]
    let percent = elapsed.num_microseconds().unwrap_or(i64::MAX) as f64 * 100.0 / target as f64;
    ClockView {
        state,
        breached_at: clock.breached_at.or(overdue),
        elapsed,
        remaining: clock.target - elapsed,
        percent,
        segments: segments(clock, elapsed),
        stored,
    }
}

fn segments(clock: &Clock, elapsed: Duration) -> Vec<SegmentView> {
    let total = elapsed.num_microseconds().unwrap_or(i64::MAX);
    let all = clock.segments.list();
    let next = |place: usize| all.get(place + 1);
    let shown = all.iter().enumerate().map(|(place, segment)| {
        let to = next(place).map(|next| next.from).or(clock.stopped_at);
        let counted = next(place).map_or(total, |next| next.elapsed) - segment.elapsed;
        SegmentView {
            from: segment.from,
            to,
            running: segment.running,
            cause: segment.cause,
            reason: segment.reason,
            priority: segment.terms.priority,
            target: Duration::seconds(segment.terms.target),
            calendar: segment.terms.calendar,
            counted: Duration::microseconds(counted),
        }
    });
    shown.collect()
}

impl ClockView {
    /// The same in sentences, in the order of time.
    pub fn explain(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::with_capacity(self.segments.len() + 2);
        let mut before: Option<(&SegmentView, &Segment)> = None;
        let stored = self.stored.clock.segments.list();
        for (view, segment) in self.segments.iter().zip(&stored) {
            lines.push(sentence(view, segment, before));
            before = Some((view, segment));
        }
        let clock = &self.stored.clock;
        if let Some(at) = self.breached_at {
            lines.push(format!("{}: the target was passed, and that stays on record", instant(at)));
        }
        match (clock.ended, clock.stopped_at, clock.due_at) {
            (Some(cause), Some(at), _) => lines.push(format!(
                "{}: {}; {} of {} had gone by: {}",
                instant(at),
                ending(cause),
                format_duration(self.elapsed),
                format_duration(clock.target),
                self.state.as_str(),
            )),
            (_, _, Some(due)) if self.state == ClockState::Running => lines.push(format!(
                "{} of {} have gone by; due at {}",
                format_duration(self.elapsed),
                format_duration(clock.target),
                instant(due),
            )),
            _ => lines.push(format!(
                "{} of {} have gone by; {} remain",
                format_duration(self.elapsed),
                format_duration(clock.target),
                format_duration(self.remaining),
            )),
        }
        lines
    }
}

fn sentence(view: &SegmentView, segment: &Segment, before: Option<(&SegmentView, &Segment)>) -> String {
    let why = match view.cause {
        Cause::Opened => "the ticket was opened".to_owned(),
        Cause::ConditionHeld => "the policy's condition came to hold".to_owned(),
        Cause::Asked => "the requester asked, and nobody had answered yet".to_owned(),
        Cause::Assigned => "the team was put on the ticket".to_owned(),
        Cause::VendorAwaited => "the ticket began to wait for the vendor".to_owned(),
        Cause::StepOpened => "a step of the approval was opened".to_owned(),
        Cause::Paused => match view.reason {
            Some(reason) => format!("the ticket waits for {}, for which time stands still", reason.as_str()),
            None => "the ticket is in a state in which time stands still".to_owned(),
        },
        Cause::Resumed => "what time stood still for is over".to_owned(),
        Cause::MergeUndone => "the merge was undone; the time in between does not count".to_owned(),
        Cause::Reopened => "the ticket was reopened; the time in between does not count".to_owned(),
        Cause::Retargeted => match before {
            Some((_, old)) if old.terms.priority != segment.terms.priority => {
                format!("the priority went from {} to {}", old.terms.priority.as_str(), segment.terms.priority.as_str())
            }
            _ => "another target holds".to_owned(),
        },
        Cause::Earlier => "what came before is put together".to_owned(),
        _ => view.cause.as_str().to_lowercase(),
    };
    let goes = if view.running { "time counts" } else { "time stands still" };
    let target = match before {
        Some((old, _)) if old.target == view.target => String::new(),
        _ => format!("; the target is {} at {}", format_duration(view.target), view.priority.as_str()),
    };
    format!("{}: {why}; {goes}{target}", instant(view.from))
}

fn ending(cause: Cause) -> &'static str {
    match cause {
        Cause::Answered => "an agent answered",
        Cause::Resolved => "the ticket was resolved",
        Cause::HandedOver => "the team handed the ticket on",
        Cause::Decided => "the step was decided",
        Cause::Withdrawn => "the approval fell or was called off",
        Cause::ConditionLost => "the policy's condition ceased to hold",
        Cause::TicketCanceled => "the ticket was canceled",
        Cause::Merged => "the ticket was merged into another",
        _ => "it ended",
    }
}

fn instant(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
