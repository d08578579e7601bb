//! A compiled calendar, and what it answers about instants.

use chrono::{DateTime, Duration};
use kernel::Timestamp;

use crate::LAST_YEAR;
use crate::hours::{DAY, MINUTE};
use crate::line::Line;
use crate::steps::step;
use crate::zone;

/// Where the horizon begins, in microseconds since 1970.
const BEGIN: i64 = 0;
/// Days from 1970 to the end of the horizon.
pub const HORIZON_DAYS: i32 = 58_439;
/// Where it ends.
const END: i64 = HORIZON_DAYS as i64 * DAY;

/// A calendar that was checked and is ready to be asked. It never changes.
///
/// Times are whole microseconds, as [`Timestamp`] has them.
#[derive(Clone, Debug)]
pub struct Calendar {
    time_zone: String,
    line: Line,
    /// The stretches between two changes of the zone's offset, in order; the first begins with the horizon.
    stretches: Vec<Stretch>,
    /// What is worked in the whole horizon.
    total: i64,
    round_the_clock: bool,
}

/// A time during which the offset of the zone stays the same.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// The instant with which it begins.
    from: i64,
    /// What to add to an instant to get the reading of the wall clock.
    ahead: i64,
    /// What is worked in the horizon before it.
    worked: i64,
    /// What to add to the work before a reading on the line to get the work before its instant in the horizon.
    offset: i64,
}

/// The time asked for would end after the horizon of calendars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that much working time ends after the year {LAST_YEAR}, up to which calendars are known")]
pub struct BeyondHorizon;

impl Calendar {
    pub(crate) fn new(time_zone: String, zone: &jiff::tz::TimeZone, line: Line) -> Self {
        let shifts = zone::shifts(zone, BEGIN, END);
        let mut stretches = Vec::with_capacity(shifts.len());
        let mut worked = 0;
        for (place, &(from, ahead)) in shifts.iter().enumerate() {
            let to = shifts.get(place + 1).map_or(END, |next| next.0);
            let offset = worked - line.worked_before(from + ahead);
            stretches.push(Stretch { from, ahead, worked, offset });
            worked = line.worked_before(to + ahead) + offset;
        }
        let round_the_clock = line.is_round_the_clock();
        Self { time_zone, line, stretches, total: worked, round_the_clock }
    }

    /// The IANA name of its time zone.
    pub fn time_zone(&self) -> &str {
        &self.time_zone
    }

    /// The earliest instant, not before `from`, up to which `length` is worked from `from` on.
    ///
    /// So `working_between(from, add_working(from, length)) == length`. Work that is done when the day closes is due at
    /// the closing, not at the next opening. No length, or a negative one, gives `from` itself, open or not;
    /// [`next_opening`](Self::next_opening) says when work would begin.
    ///
    /// # Errors
    /// When that much is not worked before the horizon ends.
    pub fn add_working(&self, from: Timestamp, length: Duration) -> Result<Timestamp, BeyondHorizon> {
        if length <= Duration::zero() {
            return Ok(from);
        }
        let length = length.num_microseconds().ok_or(BeyondHorizon)?;
        // A length of nanoseconds only is none.
        if length == 0 {
            return Ok(from);
        }
        let target = self.worked_until(from.timestamp_micros()).checked_add(length).ok_or(BeyondHorizon)?;
        self.earliest(target).and_then(DateTime::from_timestamp_micros).ok_or(BeyondHorizon)
    }

    /// How much is worked from `from` up to `to`; nothing when `to` is not later.
    pub fn working_between(&self, from: Timestamp, to: Timestamp) -> Duration {
        if to <= from {
            return Duration::zero();
        }
        let worked = self.worked_until(to.timestamp_micros()) - self.worked_until(from.timestamp_micros());
        Duration::microseconds(worked)
    }

    /// Whether work is done at this instant.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let at = at.timestamp_micros();
        self.worked_until(at.saturating_add(1)) > self.worked_until(at)
    }

    /// The first instant, not before `at`, at which work is done; `at` itself when it is open. None when there is no more
    /// work in the horizon.
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        self.opening(at.timestamp_micros()).and_then(DateTime::from_timestamp_micros)
    }

    /// The end of the working time that holds `at` or, when it is closed then, of the next. None when it lasts to the end
    /// of the horizon, or there is no more.
    pub fn closing_after(&self, at: Timestamp) -> Option<Timestamp> {
        let opening = self.opening(at.timestamp_micros())?;
        self.closing(opening).and_then(DateTime::from_timestamp_micros)
    }

    /// The stretches of working time from `from` up to `to`, cut off at both, as pairs of beginning and end.
    pub fn openings(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let to = to.timestamp_micros().min(END);
        let mut at = from.timestamp_micros();
        std::iter::from_fn(move || {
            let begin = self.opening(at).filter(|begin| *begin < to)?;
            let end = self.closing(begin).map_or(to, |end| end.min(to));
            at = end;
            Some((DateTime::from_timestamp_micros(begin)?, DateTime::from_timestamp_micros(end)?))
        })
    }

    /// The first worked microsecond not before `at`: the one after which a microsecond more is worked.
    fn opening(&self, at: i64) -> Option<i64> {
        Some(self.earliest(self.worked_until(at) + 1)? - 1)
    }

    /// The end of the working time that `open` lies in, unless it lasts to the end of the horizon.
    fn closing(&self, open: i64) -> Option<i64> {
        let open = open.clamp(BEGIN, END);
        // What is not worked grows from the closing on, and never shrinks.
        let closed = |at: i64| {
            step();
            at - self.worked_until(at)
        };
        let before = closed(open);
        let mut known = open;
        let mut reach = 30 * MINUTE;
        let mut later = loop {
            let next = open.saturating_add(reach).min(END);
            if closed(next) > before {
                break next;
            }
            if next == END {
                return None;
            }
            known = next;
            reach *= 4;
        };
        while later - known > 1 {
            let middle = known + (later - known) / 2;
            if closed(middle) > before { later = middle } else { known = middle }
        }
        Some(known)
    }

    /// How much is worked in the horizon before an instant.
    fn worked_until(&self, at: i64) -> i64 {
        let at = at.clamp(BEGIN, END);
        if self.round_the_clock {
            return at - BEGIN;
        }
        let after = self.stretches.partition_point(|stretch| {
            step();
            stretch.from <= at
        });
        let stretch = &self.stretches[after.saturating_sub(1)];
        stretch.offset + self.line.worked_before(at + stretch.ahead)
    }

    /// The earliest instant before which `worked`, more than nothing, is worked in the horizon.
    fn earliest(&self, worked: i64) -> Option<i64> {
        if worked > self.total {
            return None;
        }
        if self.round_the_clock {
            return Some(BEGIN + worked);
        }
        let after = self.stretches.partition_point(|stretch| {
            step();
            stretch.worked < worked
        });
        let stretch = &self.stretches[after.saturating_sub(1)];
        Some(self.line.earliest(worked - stretch.offset) - stretch.ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::counted;
    use crate::{CalendarDocument, DayHours, Holiday, Weekday, WorkingInterval};

    /// As many intervals and different days as there may be, in a zone with many changes.
    fn heavy() -> Calendar {
        let mut week = Vec::new();
        for day in Weekday::ALL {
            for hour in 0..24 {
                week.push(WorkingInterval { day, from: format!("{hour:02}:00"), to: format!("{hour:02}:45") });
            }
        }
        let day = |number: u16| Holiday {
            name: "Some".into(),
            date: format!("{}-{:02}-{:02}", 2000 + number / 60, number % 12 + 1, number % 28 + 1),
            days: Some(20),
            hours: vec![DayHours { from: "08:00".into(), to: format!("{:02}:{:02}", number % 12 + 9, number % 60) }],
            ..Holiday::default()
        };
        let document =
            CalendarDocument { time_zone: "Africa/Casablanca".into(), week, holidays: (0..1_000).map(day).collect() };
        Calendar::compile(&document).unwrap()
    }

    #[test]
    fn the_horizon_ends_with_its_last_year() {
        assert_eq!(HORIZON_DAYS, crate::compile::day_number(jiff::civil::date(LAST_YEAR + 1, 1, 1)));
    }

    #[test]
    fn an_answer_takes_a_bounded_number_of_steps_however_far_it_is() {
        let calendar = heavy();
        let start = DateTime::from_timestamp_micros(10_957 * DAY + 12_345_678).unwrap();
        // Each of the binary searches (changes of the clock, different days, spans of a day) is over at most
        // 20,000 places; nothing walks through the days.
        for days in [0, 1, 400, 5 * 365, 100 * 365] {
            let length = Duration::days(days) / 2 + Duration::microseconds(1);
            let (end, steps) = counted(|| calendar.add_working(start, length).unwrap());
            assert!(steps <= 80, "adding {length} took {steps} steps");
            let (worked, steps) = counted(|| calendar.working_between(start, end));
            assert_eq!(worked, length);
            assert!(steps <= 80, "measuring {length} took {steps} steps");
            let (_, steps) = counted(|| calendar.next_opening(end).unwrap());
            assert!(steps <= 80, "the opening after {length} took {steps} steps");
            let (_, steps) = counted(|| calendar.is_open(end));
            assert!(steps <= 80, "asking after {length} took {steps} steps");
            let (_, steps) = counted(|| calendar.closing_after(end).unwrap());
            assert!(steps <= 2_000, "the closing after {length} took {steps} steps");
        }
    }

    #[test]
    fn round_the_clock_is_plain_addition() {
        let all = Weekday::ALL.map(|day| WorkingInterval { day, from: "00:00".into(), to: "24:00".into() });
        let document = CalendarDocument { time_zone: "Europe/Vienna".into(), week: all.to_vec(), holidays: Vec::new() };
        let calendar = Calendar::compile(&document).unwrap();
        let start = DateTime::from_timestamp_micros(20_000 * DAY + 1).unwrap();
        let (end, steps) = counted(|| calendar.add_working(start, Duration::days(3_650)));
        assert_eq!((end, steps), (Ok(start + Duration::days(3_650)), 0));
        let (worked, steps) = counted(|| calendar.working_between(start, start + Duration::days(77)));
        assert_eq!((worked, steps), (Duration::days(77), 0));
        assert_eq!(calendar.closing_after(start), None);
        assert_eq!(calendar.next_opening(start), Some(start));
    }
}
