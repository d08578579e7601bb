//! Recurrence rules of RFC 5545 (`RRULE`), as far as they speak of days.
//!
//! The crate `rrule` is not used, only tested against: it works on instants in zones and brings `chrono-tz`, a second
//! zone database, into the binary, while a holiday is a date in no zone at all. Over plain dates the standard is small:
//! the parts of a rule say for each day of a period (year, month, week or day) whether it belongs, and `BYSETPOS` picks
//! among those that do. What has no meaning for whole days, and what the standard forbids, is refused.

pub(crate) mod parse;

use jiff::civil::{Date, Weekday, date};

use crate::{FIRST_YEAR, LAST_YEAR};

pub use parse::{MAX_RULE_TEXT, compact_date};

/// How many days a single rule may give in the horizon. Every week for ever is less, every day for ever is more.
pub const MAX_OCCURRENCES: usize = 10_000;

/// A recurrence rule for whole days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    frequency: Frequency,
    interval: u32,
    end: End,
    /// `BYMONTH`, a bit each from January (bit 1) on; none set is all.
    months: u16,
    /// `BYWEEKNO`, from the end when negative.
    weeks: Vec<i16>,
    /// `BYYEARDAY`, from the end when negative.
    year_days: Vec<i16>,
    /// `BYMONTHDAY`, from the end when negative.
    month_days: Vec<i16>,
    /// `BYDAY`: weekdays with the place in the month or year, from the end when negative; zero is every one.
    weekdays: Vec<(i16, Weekday)>,
    /// `BYSETPOS`, from the end when negative.
    positions: Vec<i16>,
    /// `WKST`.
    week_start: Weekday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Never,
    Count(u32),
    Until(Date),
}

impl Rule {
    /// Reads the text of a rule, such as `FREQ=YEARLY;BYMONTH=11;BYDAY=4TH`. `RRULE:` before it is allowed.
    ///
    /// # Errors
    /// What is wrong with it and what to do, for the one who wrote it.
    pub fn parse(text: &str) -> Result<Rule, String> {
        parse::rule(text)
    }

    /// The days that the rule gives from `first` to the end of the horizon, in order; days before the horizon are counted
    /// and left out. `first` is among them when it fits the rule.
    ///
    /// # Errors
    /// When there is none, or there are more than [`MAX_OCCURRENCES`].
    pub fn days(&self, first: Date) -> Result<Vec<Date>, String> {
        let begin = date(FIRST_YEAR, 1, 1);
        let (last, mut left) = match self.end {
            End::Never => (horizon(), u32::MAX),
            End::Count(count) => (horizon(), count),
            End::Until(until) => (horizon().min(until), u32::MAX),
        };
        let mut days = Vec::new();
        for day in self.walk(first, first).take_while(|day| *day <= last) {
            if left == 0 {
                break;
            }
            left -= 1;
            if day < begin {
                continue;
            }
            if days.len() == MAX_OCCURRENCES {
                return Err(format!(
                    "the rule gives more than {MAX_OCCURRENCES} days up to {LAST_YEAR}; end it with COUNT or UNTIL, \
                     or leave weekdays that are always free out of `week`"
                ));
            }
            days.push(day);
        }
        match days.is_empty() {
            true => Err(format!("the rule gives no day from {first} on, up to {last}")),
            false => Ok(days),
        }
    }

    /// The days that the rule gives, in order, from about `from` on: the first may be earlier, and is not before `first`. Up to the
    /// end of the horizon, whatever `COUNT` and `UNTIL` say.
    pub(crate) fn walk(&self, first: Date, from: Date) -> Days {
        let rule = self.filled_in(first);
        let next = rule.period_of(first, from);
        Days { rule, first, next, ready: Vec::new().into_iter() }
    }

    /// The number of the last period that begins at `day` or before; 0 when none does.
    fn period_of(&self, first: Date, day: Date) -> u32 {
        let begins = |number| self.period(first, number).is_some_and(|(begin, _)| begin <= day);
        let mut end = 1;
        while begins(end) && end < 1 << 30 {
            end *= 2;
        }
        let (mut low, mut high) = (0, end);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match begins(middle) {
                true => low = middle,
                false => high = middle,
            }
        }
        low
    }

    /// The rule with what it leaves to its first day.
    fn filled_in(&self, first: Date) -> Rule {
        let mut rule = self.clone();
        let by_day = !(self.weeks.is_empty()
            && self.year_days.is_empty()
            && self.month_days.is_empty()
            && self.weekdays.is_empty());
        match self.frequency {
            // The days of a month are the same, and months are fewer.
            Frequency::Daily if rule.interval == 1 && rule.positions.is_empty() => rule.frequency = Frequency::Monthly,
            _ if by_day => {}
            Frequency::Daily => {}
            Frequency::Weekly => rule.weekdays.push((0, first.weekday())),
            Frequency::Monthly => rule.month_days.push(first.day().into()),
            Frequency::Yearly => {
                rule.month_days.push(first.day().into());
                if rule.months == 0 {
                    rule.months = 1 << first.month();
                }
            }
        }
        rule
    }

    /// The first and the last day of the period with this number, if there is such a time.
    fn period(&self, first: Date, number: u32) -> Option<(Date, Date)> {
        let steps = i32::try_from(number.checked_mul(self.interval)?).ok()?;
        match self.frequency {
            Frequency::Daily => {
                let day = days_later(first, steps)?;
                Some((day, day))
            }
            Frequency::Weekly => {
                let begin = days_later(first, -i32::from(first.weekday().since(self.week_start)))?;
                let begin = days_later(begin, steps.checked_mul(7)?)?;
                Some((begin, days_later(begin, 6)?))
            }
            Frequency::Monthly => {
                let months = i32::from(first.year()) * 12 + i32::from(first.month()) - 1;
                let months = months.checked_add(steps)?;
                let year = i16::try_from(months.div_euclid(12)).ok()?;
                let begin = Date::new(year, months.rem_euclid(12) as i8 + 1, 1).ok()?;
                Some((begin, begin.last_of_month()))
            }
            Frequency::Yearly => {
                let year = i16::try_from(i32::from(first.year()).checked_add(steps)?).ok()?;
                let begin = Date::new(year, 1, 1).ok()?;
                Some((begin, begin.last_of_year()))
            }
        }
    }

    /// The days from `from` to `to` that belong, in order.
    fn collect(&self, from: Date, to: Date, days: &mut Vec<Date>) {
        let mut day = from;
        while day <= to {
            // A month that is not meant is passed over whole.
            let next = match self.is_of_month(day) {
                true => {
                    if self.belongs(day) {
                        days.push(day);
                    }
                    day.tomorrow()
                }
                false => day.last_of_month().tomorrow(),
            };
            match next {
                Ok(next) => day = next,
                Err(_) => return,
            }
        }
    }

    fn is_of_month(&self, day: Date) -> bool {
        self.months == 0 || self.months & (1 << day.month()) != 0
    }

    /// Whether a day of a month that is meant fits every part of the rule.
    fn belongs(&self, day: Date) -> bool {
        (self.month_days.is_empty() || among(&self.month_days, day.day().into(), day.days_in_month().into()))
            && (self.weekdays.is_empty() || self.is_of_weekday(day))
            && (self.year_days.is_empty() || among(&self.year_days, day.day_of_year(), day.days_in_year()))
            && (self.weeks.is_empty() || self.is_of_week(day))
    }

    fn is_of_weekday(&self, day: Date) -> bool {
        // The places are those in the month, but for a year without months.
        let (number, length) = match self.frequency == Frequency::Yearly && self.months == 0 {
            true => (day.day_of_year(), day.days_in_year()),
            false => (day.day().into(), day.days_in_month().into()),
        };
        let (place, from_end) = ((number - 1) / 7 + 1, -((length - number) / 7 + 1));
        let weekday = day.weekday();
        self.weekdays
            .iter()
            .any(|&(wanted, of)| of == weekday && (wanted == 0 || wanted == place || wanted == from_end))
    }

    fn is_of_week(&self, day: Date) -> bool {
        // A week belongs to the year that has most of its days: the one of its fourth day.
        let Some(fourth) = days_later(day, 3 - i32::from(day.weekday().since(self.week_start))) else { return false };
        let week = (fourth.day_of_year() - 1) / 7 + 1;
        let weeks = week + (fourth.days_in_year() - fourth.day_of_year()) / 7;
        among(&self.weeks, week, weeks)
    }

    /// Leaves of the days of a period those at the places of `BYSETPOS`.
    fn pick(&self, days: &mut Vec<Date>) {
        if self.positions.is_empty() {
            return;
        }
        let count = i16::try_from(days.len()).unwrap_or(i16::MAX);
        let mut place = 0;
        days.retain(|_| {
            place += 1;
            among(&self.positions, place, count)
        });
    }
}

/// The days of a rule, one after the other.
pub(crate) struct Days {
    rule: Rule,
    first: Date,
    /// The number of the next period.
    next: u32,
    ready: std::vec::IntoIter<Date>,
}

impl Iterator for Days {
    type Item = Date;

    fn next(&mut self) -> Option<Date> {
        loop {
            if let Some(day) = self.ready.next() {
                return Some(day);
            }
            let (from, to) = self.rule.period(self.first, self.next).filter(|(from, _)| *from <= horizon())?;
            self.next += 1;
            let mut days = Vec::new();
            self.rule.collect(from, to, &mut days);
            self.rule.pick(&mut days);
            days.retain(|day| (self.first..=horizon()).contains(day));
            self.ready = days.into_iter();
        }
    }
}

/// The last day of the horizon.
fn horizon() -> Date {
    date(LAST_YEAR, 12, 31)
}

/// Whether a number from 1 to `last` is among these, where negative ones count from the end.
fn among(wanted: &[i16], number: i16, last: i16) -> bool {
    wanted.iter().any(|&wanted| wanted == number || wanted == number - last - 1)
}

fn days_later(day: Date, days: i32) -> Option<Date> {
    day.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}
