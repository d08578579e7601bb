//! The document form of a calendar, as people write it and as it is stored, and what can be wrong with it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A calendar as it is written and stored: the week, the holidays, and the zone whose clocks they mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CalendarDocument {
    /// The IANA name of the time zone, such as `Europe/Vienna`.
    pub time_zone: String,
    /// When work is done in an ordinary week. The order is of no meaning.
    pub week: Vec<WorkingInterval>,
    /// The days that differ from their weekday.
    #[serde(default)]
    pub holidays: Vec<Holiday>,
}

/// A part of one weekday in which work is done: from `from` up to, but without, `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkingInterval {
    /// The weekday.
    pub day: Weekday,
    /// The minute in which work begins, `HH:MM`.
    pub from: String,
    /// The minute in which it is over, `HH:MM`; `24:00` is the end of the day.
    pub to: String,
}

/// A part of a day in which work is done: from `from` up to, but without, `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DayHours {
    /// The minute in which work begins, `HH:MM`.
    pub from: String,
    /// The minute in which it is over, `HH:MM`; `24:00` is the end of the day.
    pub to: String,
}

/// A day, or days that come again by a rule, on which other hours are worked than the weekday has; usually none.
///
/// Where several holidays meet on a day, only what all of them leave is worked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Holiday {
    /// What people call it.
    pub name: String,
    /// The day, `YYYY-MM-DD`; with a rule, the day from which the rule holds.
    pub date: String,
    /// How many days in a row it takes, each time; one when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// On which days it comes again: an RRULE of RFC 5545, such as `FREQ=YEARLY`. Only days that fit it are taken;
    /// `date` is one of them when it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The days, `YYYY-MM-DD`, that the rule gives and that are none nevertheless. Other days are without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// What is worked on such a day, whatever its weekday; nothing when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<DayHours>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "they are called what they are")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// The seven, from Monday on.
    pub const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// Its name as documents have it, such as `MONDAY`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Weekday::Monday => "MONDAY",
            Weekday::Tuesday => "TUESDAY",
            Weekday::Wednesday => "WEDNESDAY",
            Weekday::Thursday => "THURSDAY",
            Weekday::Friday => "FRIDAY",
            Weekday::Saturday => "SATURDAY",
            Weekday::Sunday => "SUNDAY",
        }
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something wrong with a document, for the one who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: keys and places from the outside in, such as `week`, `2`, `to`.
    pub path: Vec<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: path.iter().map(ToString::to_string).collect(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}: {}", self.path.join("."), self.message),
        }
    }
}
