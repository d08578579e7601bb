//! Working time: what a calendar of weekly hours, holidays and a time zone says about instants.
//!
//! A [`CalendarDocument`] is what people write and what is stored. [`Calendar::compile`] checks it, tells every
//! [`Problem`] at once, and makes of it a [`Calendar`] that answers questions about instants without allocating.
//!
//! **What is worked.** The document names a set of local wall-clock readings (this date, this minute of the day). An
//! instant is worked when the clock on the wall of the calendar's zone shows a reading of that set. All else follows:
//! an hour that does not exist is not worked, one that happens twice is worked twice, and an interval that ends
//! inside either needs no rule of its own.
//!
//! **How it is computed.** On the line of local readings the worked time before a reading is weeks × week, what the
//! week has before this weekday, and what the holidays before that day take away ([`line`]). Between two changes of
//! the zone's offset, instants and readings differ by a constant. So the time worked before an instant is a sum kept at
//! each change plus a difference on the local line, and so is its inverse. Every question is two or three binary
//! searches, however far apart the instants are.
//!
//! **Horizon.** Everything happens from [`FIRST_YEAR`] up to and including [`LAST_YEAR`], in UTC: holidays without an
//! end are expanded up to there, and nothing is worked before or after.

mod calendar;
mod compile;
mod document;
mod hours;
mod ical;
mod line;
mod recurrence;
mod rule;
mod steps;
mod zone;

pub use calendar::{BeyondHorizon, Calendar};
pub use compile::{
    MAX_DAYS_OFF, MAX_EXCEPTIONS, MAX_HOLIDAY_LENGTH, MAX_HOLIDAYS, MAX_INTERVALS, MAX_NAME, MAX_RULES,
    MIN_WORKING_PER_YEAR,
};
pub use document::{CalendarDocument, DayHours, Holiday, Problem, Weekday, WorkingInterval};
pub use ical::{Imported, MAX_EVENTS, MAX_ICAL_BYTES, Skipped, holidays_from_ical};
pub use recurrence::{Given, MAX_COUNT, MIN_INTERVAL, Occurrence, Recurrence};
pub use rule::{MAX_OCCURRENCES, MAX_RULE_TEXT, Rule};
pub use zone::zone_database_version;

/// The first year of the horizon: nothing is worked before.
pub const FIRST_YEAR: i16 = 1970;

/// The last year of the horizon: holidays without an end are expanded up to its last day, nothing is worked after.
pub const LAST_YEAR: i16 = 2129;
