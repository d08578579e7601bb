//! The line of local wall-clock readings: how much is worked before a reading, and back.
//!
//! A reading is a count of microseconds since the Monday before 1970 as the wall clock shows them, without any
//! change of offset in between. Here every day has 24 hours; that some do not is the business of the zone.

use crate::hours::{DAY, Hours};
use crate::steps::step;

/// The Monday that the line begins with, in days before 1970-01-01. Every reading of the horizon is after it.
pub const ORIGIN: i32 = -3;

/// Which of [`Line::kinds`] is a day without work; the seven before it are the weekdays.
const FREE: u32 = 7;

/// What is worked on each day, summed up.
#[derive(Clone, Debug)]
pub struct Line {
    /// The hours of the weekdays from Monday on, of a day off, and of whatever else some day has.
    kinds: Vec<Hours>,
    /// What a week has worked before each weekday; at the end, the whole week.
    before: [i64; 8],
    /// The days that differ from their weekday, in order.
    special: Vec<Special>,
}

/// A day that differs from its weekday.
#[derive(Clone, Copy, Debug)]
struct Special {
    /// In days since the line's beginning.
    day: i32,
    kind: u32,
    /// What is worked on the line before this day.
    worked: i64,
}

impl Line {
    /// Of the seven weekdays and the days that differ (in days since 1970-01-01, in order, each once).
    pub fn new(week: [Hours; 7], different: impl IntoIterator<Item = (i32, Hours)>) -> Self {
        let mut before = [0; 8];
        for (place, hours) in week.iter().enumerate() {
            before[place + 1] = before[place] + hours.total();
        }
        let mut line = Self { kinds: week.into(), before, special: Vec::new() };
        line.kinds.push(Hours::new(&[]));
        // What the days before take away or add.
        let mut difference = 0;
        for (day, hours) in different {
            let day = day - ORIGIN;
            let usual = &line.kinds[weekday(day)];
            // Days before the line are of no interest, and holidays on free days change nothing.
            if day < 0 || hours == *usual {
                continue;
            }
            let worked = line.by_week(day) + difference;
            difference += hours.total() - usual.total();
            let kind = line.kind(hours);
            line.special.push(Special { day, kind, worked });
        }
        line
    }

    /// The place of these hours among the kinds; added when they are new.
    fn kind(&mut self, hours: Hours) -> u32 {
        if hours.total() == 0 {
            return FREE;
        }
        let known = self.kinds.iter().position(|kind| *kind == hours);
        let place = known.unwrap_or_else(|| {
            self.kinds.push(hours);
            self.kinds.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// What would be worked before a day if every week were ordinary.
    fn by_week(&self, day: i32) -> i64 {
        i64::from(day.div_euclid(7)) * self.before[7] + self.before[weekday(day)]
    }

    /// The day among the different ones, or where it would be.
    fn find(&self, day: i32) -> Result<usize, usize> {
        self.special.binary_search_by(|special| {
            step();
            special.day.cmp(&day)
        })
    }

    fn end_of(&self, special: &Special) -> i64 {
        special.worked + self.kinds[special.kind as usize].total()
    }

    /// Whether every minute of every day is worked.
    pub fn is_round_the_clock(&self) -> bool {
        self.before[7] == 7 * DAY && self.special.is_empty()
    }

    /// What an ordinary week has.
    pub fn week(&self) -> i64 {
        self.before[7]
    }

    /// How much is worked on the line before a day (in days since 1970-01-01).
    pub fn worked_before_day(&self, day: i32) -> i64 {
        self.worked_before(i64::from(day) * DAY)
    }

    /// How much is worked on the line before a reading (in microseconds since 1970-01-01).
    pub fn worked_before(&self, reading: i64) -> i64 {
        let reading = reading - i64::from(ORIGIN) * DAY;
        // The horizon has far fewer days than fit.
        let day = reading.div_euclid(DAY) as i32;
        let time = reading.rem_euclid(DAY);
        match self.find(day) {
            Ok(place) => {
                let special = &self.special[place];
                special.worked + self.kinds[special.kind as usize].before(time)
            }
            Err(place) => {
                let mut worked = self.by_week(day) + self.kinds[weekday(day)].before(time);
                if let Some(last) = place.checked_sub(1).and_then(|last| self.special.get(last)) {
                    worked += self.end_of(last) - self.by_week(last.day + 1);
                }
                worked
            }
        }
    }

    /// The earliest reading (in microseconds since 1970-01-01) before which `worked`, more than nothing, is worked on the
    /// line. A week has some work, or the answer is of no meaning.
    pub fn earliest(&self, worked: i64) -> i64 {
        let (day, time) = self.earliest_day(worked);
        (i64::from(day) + i64::from(ORIGIN)) * DAY + time
    }

    fn earliest_day(&self, worked: i64) -> (i32, i64) {
        // The last different day before which less is worked.
        let after = self.special.partition_point(|special| {
            step();
            special.worked < worked
        });
        // From there on the weeks are ordinary, up to the answer.
        let (start, rest) = match after.checked_sub(1).and_then(|last| self.special.get(last)) {
            Some(last) if self.end_of(last) >= worked => {
                let hours = &self.kinds[last.kind as usize];
                return (last.day, hours.earliest(worked - last.worked));
            }
            Some(last) => (last.day + 1, worked - self.end_of(last)),
            None => (0, worked),
        };
        let target = self.by_week(start) + rest;
        let weeks = (target - 1) / self.before[7].max(1);
        let rest = target - weeks * self.before[7];
        let weekday = self.before[1..7].partition_point(|end| {
            step();
            *end < rest
        });
        (weeks as i32 * 7 + weekday as i32, self.kinds[weekday].earliest(rest - self.before[weekday]))
    }
}

/// The weekday of a day of the line, from Monday on.
fn weekday(day: i32) -> usize {
    day.rem_euclid(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hours::MINUTE;

    const OFFICE: (u16, u16) = (9 * 60, 17 * 60);

    fn line(different: Vec<(i32, Hours)>) -> Line {
        let office = || Hours::new(&[OFFICE]);
        let free = || Hours::new(&[]);
        Line::new([office(), office(), office(), office(), office(), free(), free()], different)
    }

    #[test]
    fn each_worked_microsecond_is_found_again() {
        // Thursday 1 January is off, Friday has an hour, and a Saturday is worked.
        let line = line(vec![(0, Hours::new(&[])), (1, Hours::new(&[(600, 660)])), (9, Hours::new(&[(0, 1)]))]);
        assert_eq!(line.worked_before_day(0), 24 * 60 * MINUTE);
        assert_eq!(line.worked_before_day(1), 24 * 60 * MINUTE);
        assert_eq!(line.worked_before_day(2), 25 * 60 * MINUTE);
        assert_eq!(line.worked_before_day(10), line.worked_before_day(9) + MINUTE);
        let mut last = i64::MIN;
        let end = line.worked_before_day(30);
        for worked in (1..=end).step_by(7 * MINUTE as usize) {
            let reading = line.earliest(worked);
            assert!(reading > last);
            assert_eq!(line.worked_before(reading), worked);
            assert_eq!(line.worked_before(reading - 1), worked - 1);
            last = reading;
        }
    }

    #[test]
    fn a_holiday_on_a_free_day_is_forgotten() {
        let line = line(vec![(2, Hours::new(&[])), (3, Hours::new(&[]))]);
        assert!(line.special.is_empty());
    }
}
