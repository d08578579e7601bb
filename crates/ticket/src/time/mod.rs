//! The time that people work on tickets, and what it costs by rates that are data.
//!
//! **Vocabulary.** A *labour rate* is an hourly amount for one user, for a team or for everybody, from a day on. A *time entry* says
//! who worked on a ticket, when and how long, and whether it is billed. Written down, it takes the rate that holds on its day for
//! its user, else for its team (the ticket's at that time), else for everybody, and keeps it: a raise is another rate, and old
//! entries keep what they cost. An entry that finds no rate has no amount, and says so.
//!
//! **Invariants.** All amounts of a tenant are in one currency. A day is one in UTC, and an entry belongs to the one on which it
//! began. The sums of a ticket's entries stand on the ticket, written in the transaction that writes the entry; the ticket's
//! version stays, as with comments. Nothing of it is told to those who do not work on the ticket.
//!
//! **Against two at once.** Whoever writes an entry holds its ticket, its user and its rate, in this order: sums, the hours of a day
//! and the terms of a rate are what they were looked at to be.

pub mod entries;
pub mod fields;
pub mod rates;
pub mod rules;

use access::{TeamRef, UserRef};
use kernel::money::{Money, PARTS};
use kernel::{Id, Patch, Timestamp};
use store::query::Row;

use crate::queries::TicketRef;

/// How many rates a tenant may have that are not retired.
pub const MAX_RATES: usize = 1_000;
/// The highest rate, an hour, in ten-thousandths of the currency's unit.
pub const MAX_HOURLY: i64 = 1_000_000 * PARTS;
/// How many entries a ticket may have.
pub const MAX_ENTRIES: usize = 1_000;
/// The shortest entry, in seconds.
pub const MIN_ENTRY_SECONDS: i64 = 60;
/// The longest entry, in seconds.
pub const MAX_ENTRY_SECONDS: i64 = 86_400;
/// How much a user's entries of one day may add up to, in seconds.
pub const MAX_DAY_SECONDS: i64 = 86_400;
/// The longest note of an entry, in characters.
pub const MAX_NOTE: usize = 2_000;

/// How inputs point at a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateRef {
    /// By its id.
    Id(Id),
    /// By its key.
    Key(String),
}

/// Add a rate.
#[derive(Clone, Debug)]
pub struct CreateRate {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What an hour costs: nothing to [`MAX_HOURLY`].
    pub hourly: Money,
    /// The first day on which it holds, as `2026-03-01`; today when absent.
    pub valid_from: Option<String>,
    /// The team whose entries it holds for.
    pub team: Option<TeamRef>,
    /// The user whose entries it holds for.
    pub user: Option<UserRef>,
}

/// Change a rate. What it costs and from when stay once an entry has it.
#[derive(Clone, Debug)]
pub struct UpdateRate {
    /// Which.
    pub rate: RateRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// What an hour costs.
    pub hourly: Option<Money>,
    /// The first day on which it holds.
    pub valid_from: Option<String>,
    /// A retired rate is given to no further entry.
    pub retired: Option<bool>,
    /// Refuse when the rate has another version.
    pub expected_version: Option<i32>,
}

/// Write down time.
#[derive(Clone, Debug)]
pub struct AddTime {
    /// On which ticket.
    pub ticket: TicketRef,
    /// Whose; `None` is the viewer.
    pub user: Option<UserRef>,
    /// How long, in seconds.
    pub duration: i64,
    /// When it began; so long before now when absent.
    pub started_at: Option<Timestamp>,
    /// Whether it is billed.
    pub billable: bool,
    /// What was done.
    pub note: Option<String>,
}

/// Correct an entry. What is absent stays.
#[derive(Clone, Debug)]
pub struct UpdateTime {
    /// Which.
    pub entry: Id,
    /// How long, in seconds.
    pub duration: Option<i64>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Whether it is billed.
    pub billable: Option<bool>,
    /// What was done.
    pub note: Patch<String>,
    /// Refuse when the entry has another version.
    pub expected_version: Option<i32>,
}

/// Take an entry away.
#[derive(Clone, Debug)]
pub struct RemoveTime {
    /// Which.
    pub entry: Id,
    /// Refuse when the entry has another version.
    pub expected_version: Option<i32>,
}

/// An entry that was written, and its ticket.
#[derive(Clone, Debug)]
pub struct TimeOutcome {
    /// The entry; `None` when the viewer may no longer see it (a replay after it was taken away, or after rights changed).
    pub entry: Option<Row>,
    /// The ticket after it.
    pub ticket: Option<Row>,
    /// What was recorded.
    pub events: Vec<store::Event>,
}
