//! Recurring tickets: a template, and when a ticket is created from it again and again.
//!
//! **When.** A rule of RFC 5545 from a reading of the clock on, in a time zone ([`calendar::Recurrence`]). A time that the clocks pass
//! over is later by as much as they go forward, one that comes twice is the first.
//!
//! **By whom.** The ticket is created as whoever set the recurring ticket up, or changed it last, with the rights that they have by
//! then. What keeps the ticket from being created is written on the run, and told; the next run is due all the same.
//!
//! **Once.** `nextRunAt` is the next time at which something is to be done, and a durable job waits for it. The job creates the
//! ticket, writes the run down and moves `nextRunAt` in one transaction, from the time that it found there; a run is unique by its
//! recurring ticket and its time. So a second process, or the same one after it was killed, finds it moved and does nothing.
//!
//! **Never forgotten.** A run that is due for [`OVERDUE`] and has no job, because that was given up, gets a new one.
//!
//! **Late.** Of several runs that are due at once, after a downtime, the newest creates its ticket if it is less than [`MAX_LATE`]
//! late; the others are left out, and reported together. What was due while it was paused is not made up for, nor reported.

pub mod fields;
mod manage;
mod overdue;
mod plan;
mod run;

use access::UserRef;
use calendar::{Given, Occurrence, Recurrence};
use chrono::Duration;
use kernel::{Error, Id, Patch, Result, Timestamp, UserError};
use store::query::Row;

use crate::template::TemplateRef;
pub use overdue::{OVERDUE, SWEEP};

/// How many recurring tickets a tenant may have.
pub const MAX_RECURRING: usize = 200;
/// How late a run may be and still create its ticket.
pub const MAX_LATE: Duration = Duration::hours(24);
/// How many runs that were left out are written down at once, the newest; all are counted.
pub const MAX_SKIPPED_RUNS: usize = 100;
/// How many times of a rule one transaction looks at; what else is due waits for the job's next turn.
pub const MAX_TIMES_AT_ONCE: usize = 10_000;
/// How many of the next times are shown.
pub const MAX_UPCOMING: usize = 20;
/// How long runs are kept.
pub const KEEP_RUNS: Duration = Duration::days(400);
/// The job that creates what is due.
pub const RUN: &str = "ticket.recurring";

/// Set up a recurring ticket.
#[derive(Clone, Debug)]
pub struct CreateRecurring {
    /// For people.
    pub name: String,
    /// What the tickets are created from.
    pub template: TemplateRef,
    /// When, from what time on, and in which zone.
    pub when: Given,
    /// Who is affected; as the template says, else whoever sets it up, when absent.
    pub requester: Option<UserRef>,
    /// Whether it waits for being unpaused.
    pub is_paused: bool,
}

/// Change a recurring ticket. Absent fields stay.
#[derive(Clone, Debug)]
pub struct UpdateRecurring {
    /// Which.
    pub id: Id,
    /// A new name.
    pub name: Option<String>,
    /// What the tickets are created from.
    pub template: Option<TemplateRef>,
    /// The rule.
    pub rule: Option<String>,
    /// The reading of the clock that it begins with.
    pub starts_at: Option<String>,
    /// The time zone.
    pub time_zone: Option<String>,
    /// Who is affected.
    pub requester: Patch<UserRef>,
    /// Whether it is paused.
    pub is_paused: Option<bool>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

/// Delete a recurring ticket.
#[derive(Clone, Debug)]
pub struct DeleteRecurring {
    /// Which.
    pub id: Id,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

/// When a recurring ticket recurs.
fn given(row: &Row) -> Given {
    Given { rule: row.text("rule"), starts_at: row.text("startsAt"), time_zone: row.text("timeZone") }
}

/// Reads when something recurs.
///
/// # Errors
/// `VALIDATION` at `rule`, `startsAt` and `timeZone`.
fn compiled(given: &Given) -> Result<Recurrence> {
    Recurrence::compile(given).map_err(|problems| {
        let refused =
            |problem: calendar::Problem| UserError::constraint(problem.path, problem.message, "recurrence", None);
        Error::Refused(problems.into_iter().map(refused).collect())
    })
}

/// What was checked when it was written.
fn recurrence_of(row: &Row) -> Result<Recurrence> {
    Recurrence::compile(&given(row)).map_err(|problems| {
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Error::internal(format!("a recurring ticket cannot be read: {}", said.join("; ")))
    })
}

/// The next times at which a recurring ticket creates a ticket, at most [`MAX_UPCOMING`]; none while it is paused.
///
/// # Errors
/// `INTERNAL` for what was not written here.
pub fn upcoming(row: &Row, now: Timestamp, count: usize) -> Result<Vec<Occurrence>> {
    if row.bool("isPaused") {
        return Ok(Vec::new());
    }
    Ok(recurrence_of(row)?.after(now).take(count.min(MAX_UPCOMING)).collect())
}
