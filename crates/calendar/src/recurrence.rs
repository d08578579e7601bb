//! What recurs at a time of day: a recurrence rule of RFC 5545 from a local date and time on, in a time zone.
//!
//! The days are those of [`Rule`]; `BYHOUR`, `BYMINUTE` and `FREQ=HOURLY` say at which readings of the clock on the wall. A
//! reading that the clocks pass over is as much later as they go forward, and one that comes twice is meant the first time
//! (RFC 5545, 3.3.5). Two readings that fall on one instant so are one occurrence.

use std::cmp::Ordering;

use chrono::DateTime as Utc;
use jiff::Timestamp as Instant;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use kernel::Timestamp;

use crate::rule::parse::{self, count, list};
use crate::rule::{Days, Rule, compact_date};
use crate::{FIRST_YEAR, LAST_YEAR, Problem, zone};

/// No rule gives two occurrences that are closer together on the clock, in minutes.
pub const MIN_INTERVAL: u32 = 60;
/// The largest `COUNT` of a rule: what is counted is counted from its beginning on, each time.
pub const MAX_COUNT: u32 = 10_000;
/// How many hours a day has on the clock on the wall.
const HOURS: i8 = 24;

/// A recurrence as people write it, which is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The rule of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO`.
    pub rule: String,
    /// The reading of the clock that it begins with, such as `2026-03-02T08:00`.
    pub starts_at: String,
    /// An IANA time zone.
    pub time_zone: String,
}

/// A recurrence that was checked.
#[derive(Clone, Debug)]
pub struct Recurrence {
    days: Rule,
    /// At which hours of the day, in order.
    hours: Vec<i8>,
    /// Every how many hours from the beginning on, with `FREQ=HOURLY`.
    every: Option<u32>,
    minute: i8,
    second: i8,
    end: End,
    start: DateTime,
    zone: TimeZone,
    zone_name: String,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Never,
    Count(u32),
    /// The last reading.
    At(DateTime),
    /// The last instant.
    Until(Instant),
}

/// One of the instants at which something recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When.
    pub at: Timestamp,
    /// The reading of the clock that the rule gives.
    pub local: DateTime,
    /// Whether there is no such reading on that day, so that it is later.
    pub shifted: bool,
}

impl Recurrence {
    /// Reads what was given.
    ///
    /// # Errors
    /// What is wrong with it and what to do, all of it at once: at `rule`, `startsAt` or `timeZone`.
    pub fn compile(given: &Given) -> Result<Self, Vec<Problem>> {
        let zone = zone::find(&given.time_zone);
        let start = start(&given.starts_at).map_err(|message| Problem::new(&["startsAt"], message));
        let first = start.as_ref().map_or(Date::default(), |start| start.date());
        let rule = Timed::read(&given.rule, first).map_err(|message| Problem::new(&["rule"], message));
        let (zone_name, zone, start, rule) = match (zone, start, rule) {
            (Ok((name, zone)), Ok(start), Ok(rule)) => (name, zone, start, rule),
            (zone, start, rule) => return Err([zone.err(), start.err(), rule.err()].into_iter().flatten().collect()),
        };
        let hours = if rule.hours.is_empty() && rule.every.is_none() { vec![start.hour()] } else { rule.hours };
        let minute = rule.minute.unwrap_or(start.minute());
        let (days, every, end, second) = (rule.days, rule.every, rule.end, start.second());
        let recurrence = Self { days, hours, every, minute, second, end, start, zone, zone_name };
        match recurrence.from(recurrence.start.date()).next() {
            Some(_) => Ok(recurrence),
            None => Err(vec![Problem::new(&["rule"], format!("the rule never gives a time from {start} on"))]),
        }
    }

    /// The IANA name of its time zone.
    pub fn time_zone(&self) -> &str {
        &self.zone_name
    }

    /// The reading of the clock that it begins with.
    pub fn starts_at(&self) -> DateTime {
        self.start
    }

    /// The occurrences after an instant, in order; each is later than the one before.
    pub fn after(&self, at: Timestamp) -> impl Iterator<Item = Occurrence> + '_ {
        let instant = Instant::from_microsecond(at.timestamp_micros()).unwrap_or(Instant::MIN);
        let local = self.zone.to_datetime(instant).date();
        // What was passed over is later than its reading says: by a day, where a zone changed sides of the date line.
        let from = local.checked_sub(jiff::Span::new().days(2)).unwrap_or(local);
        self.from(from).skip_while(move |occurrence| occurrence.at <= at)
    }

    /// An instant as an occurrence, whether the rule gives it or not: with the reading of the clock at it.
    pub fn at(&self, at: Timestamp) -> Occurrence {
        let instant = Instant::from_microsecond(at.timestamp_micros()).unwrap_or(Instant::MIN);
        Occurrence { at, local: self.zone.to_datetime(instant), shifted: false }
    }

    /// The occurrences from about a day on.
    fn from(&self, day: Date) -> Occurrences<'_> {
        // What is counted is counted from the beginning.
        let (from, left) = match self.end {
            End::Count(count) => (self.start.date(), count),
            _ => (day.max(self.start.date()), u32::MAX),
        };
        let days = self.days.walk(self.start.date(), from);
        Occurrences { recurrence: self, days, day: None, hour: 0, left, last: None }
    }

    /// The readings of a day, by their places among the hours.
    fn reading(&self, day: Date, place: usize) -> Option<DateTime> {
        let hour = match self.every {
            None => *self.hours.get(place)?,
            Some(_) => i8::try_from(place).ok().filter(|hour| *hour < HOURS)?,
        };
        Some(day.at(hour, self.minute, self.second, 0))
    }

    /// Whether a reading belongs: not before the beginning, and a whole number of steps behind it.
    fn is_meant(&self, reading: DateTime) -> bool {
        if reading < self.start {
            return false;
        }
        let Some(every) = self.every else { return true };
        let by_hour = self.hours.is_empty() || self.hours.contains(&reading.hour());
        let days = (reading.date() - self.start.date()).get_days();
        let hours = i64::from(days) * i64::from(HOURS) + i64::from(reading.hour()) - i64::from(self.start.hour());
        by_hour && hours.rem_euclid(i64::from(every)) == 0
    }

    /// When the clock shows this reading, and whether it passes it over.
    fn instant(&self, reading: DateTime) -> Option<(Instant, bool)> {
        let ambiguous = self.zone.to_ambiguous_timestamp(reading);
        let shifted = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        Some((ambiguous.compatible().ok()?, shifted))
    }
}

/// The occurrences of a recurrence, one after the other.
struct Occurrences<'a> {
    recurrence: &'a Recurrence,
    days: Days,
    day: Option<Date>,
    /// The place of the next hour of the day.
    hour: usize,
    left: u32,
    last: Option<Instant>,
}

impl Iterator for Occurrences<'_> {
    type Item = Occurrence;

    fn next(&mut self) -> Option<Occurrence> {
        let recurrence = self.recurrence;
        loop {
            let day = match self.day {
                Some(day) => day,
                None => {
                    self.hour = 0;
                    *self.day.insert(self.days.next()?)
                }
            };
            let Some(reading) = recurrence.reading(day, self.hour) else {
                self.day = None;
                continue;
            };
            self.hour += 1;
            if !recurrence.is_meant(reading) {
                continue;
            }
            self.left = self.left.checked_sub(1)?;
            let (instant, shifted) = recurrence.instant(reading)?;
            match recurrence.end {
                End::At(last) if reading > last => return None,
                End::Until(last) if instant > last => return None,
                _ => {}
            }
            if self.last.is_some_and(|last| instant.cmp(&last) != Ordering::Greater) {
                continue;
            }
            self.last = Some(instant);
            let at = Utc::from_timestamp_micros(instant.as_microsecond())?;
            return Some(Occurrence { at, local: reading, shifted });
        }
    }
}

/// What the text of a rule says, days and times apart.
struct Timed {
    days: Rule,
    hours: Vec<i8>,
    minute: Option<i8>,
    every: Option<u32>,
    end: End,
}

impl Timed {
    fn read(text: &str, first: Date) -> Result<Self, String> {
        let mut of_days = Vec::new();
        let (mut hours, mut minutes, mut interval, mut end, mut hourly) =
            (Vec::new(), Vec::new(), 1, End::Never, false);
        let mut positions = false;
        for (key, value) in parse::parts(text)? {
            match (key.as_str(), value.as_str()) {
                ("FREQ", "HOURLY") => {
                    hourly = true;
                    of_days.push((key, "DAILY".to_owned()));
                    continue;
                }
                ("FREQ", finer @ ("MINUTELY" | "SECONDLY")) => return Err(too_often(&format!("FREQ={finer}"))),
                ("INTERVAL", value) => interval = count("INTERVAL", value)?,
                ("BYHOUR", value) => hours = list(value, |hour| number("BYHOUR", hour, HOURS - 1))?,
                ("BYMINUTE", value) => minutes = list(value, |minute| number("BYMINUTE", minute, 59))?,
                ("BYSECOND", _) => {
                    return Err("`BYSECOND` is not supported; the seconds are those of `startsAt`: remove it".into());
                }
                ("COUNT", value) => {
                    let count = count("COUNT", value)?;
                    if count > MAX_COUNT {
                        return Err(format!("`COUNT={count}`: at most {MAX_COUNT} are counted; use UNTIL, or no end"));
                    }
                    end = ended(end, End::Count(count))?;
                    continue;
                }
                ("UNTIL", value) => {
                    end = ended(end, until(value)?)?;
                    continue;
                }
                ("BYSETPOS", _) => positions = true,
                _ => {}
            }
            if !matches!(key.as_str(), "BYHOUR" | "BYMINUTE") {
                of_days.push((key, value));
            }
        }
        hours.sort_unstable();
        hours.dedup();
        minutes.sort_unstable();
        minutes.dedup();
        if minutes.len() > 1 {
            return Err(too_often(&format!("BYMINUTE with {} minutes of an hour", minutes.len())));
        }
        if positions && (hours.len() > 1 || hourly) {
            return Err("`BYSETPOS` picks among days; it does not go with several times of a day".into());
        }
        if hourly {
            of_days.retain(|(key, _)| key != "INTERVAL");
        }
        let every = hourly.then_some(interval);
        let days = parse::of_parts(&of_days)?;
        if days.walk(first, first).next().is_none() {
            return Err(format!("the rule never gives a day from {first} on"));
        }
        Ok(Self { days, hours, minute: minutes.first().copied(), every, end })
    }
}

fn too_often(what: &str) -> String {
    format!(
        "`{what}` recurs more often than once in {MIN_INTERVAL} minutes; use HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY"
    )
}

fn ended(there: End, end: End) -> Result<End, String> {
    match there {
        End::Never => Ok(end),
        _ => Err("a rule ends by COUNT or by UNTIL, not by both; remove one".into()),
    }
}

/// A number from 0 to `last`.
fn number(key: &str, value: &str, last: i8) -> Result<i8, String> {
    let digits = value.len() <= 2 && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    let number = number.filter(|number: &i8| *number <= last);
    number.ok_or_else(|| format!("`{value}` in `{key}`: a whole number from 0 to {last} is expected"))
}

/// The end that `UNTIL` says: `20301231` (that whole day), `20301231T170000` (a reading) or `20301231T170000Z` (an instant).
fn until(value: &str) -> Result<End, String> {
    let wrong = || format!("`UNTIL={value}`: a date such as `20301231`, or `20301231T170000Z`, is expected");
    let (day, time) = value.split_once('T').map_or((value, None), |(day, time)| (day, Some(time)));
    let day = compact_date(day).ok_or_else(wrong)?;
    let Some(time) = time else { return Ok(End::At(day.at(23, 59, 59, 0))) };
    let (time, utc) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
    let digits = time.len() == 6 && time.bytes().all(|byte| byte.is_ascii_digit());
    let part = |from: usize| time.get(from..from + 2).and_then(|text| text.parse::<i8>().ok());
    let reading = match (digits, part(0), part(2), part(4)) {
        (true, Some(hour), Some(minute), Some(second)) => {
            DateTime::new(day.year(), day.month(), day.day(), hour, minute, second, 0).map_err(|_| wrong())?
        }
        _ => return Err(wrong()),
    };
    match utc {
        true => Ok(End::Until(TimeZone::UTC.to_timestamp(reading).map_err(|_| wrong())?)),
        false => Ok(End::At(reading)),
    }
}

/// Reads the reading of the clock that a recurrence begins with.
fn start(text: &str) -> Result<DateTime, String> {
    let wrong = || format!("`{}` is no local date and time; write `2026-03-02T08:00`, without an offset", shown(text));
    let plain = matches!(text.len(), 16 | 19) && text.as_bytes().get(10) == Some(&b'T');
    let start: DateTime = if plain { text.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    match (FIRST_YEAR..=LAST_YEAR).contains(&start.year()) {
        true => Ok(start),
        false => Err(format!("`startsAt` is from {FIRST_YEAR} to {LAST_YEAR}")),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recurrence(rule: &str, starts_at: &str, time_zone: &str) -> Result<Recurrence, Vec<Problem>> {
        let given = Given { rule: rule.into(), starts_at: starts_at.into(), time_zone: time_zone.into() };
        Recurrence::compile(&given)
    }

    fn at(text: &str) -> Timestamp {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    /// The next occurrences after an instant: the instant, and `!` when it is shifted.
    fn next(rule: &str, starts_at: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let recurrence = recurrence(rule, starts_at, zone).unwrap_or_else(|problems| panic!("{rule}: {problems:?}"));
        let shown = |found: Occurrence| {
            format!("{}{}", found.at.format("%Y-%m-%dT%H:%MZ"), if found.shifted { "!" } else { "" })
        };
        recurrence.after(at(after)).take(count).map(shown).collect()
    }

    fn refusal(rule: &str) -> String {
        let problems = recurrence(rule, "2026-03-02T08:00", "Europe/Zurich").expect_err(rule);
        assert_eq!(problems[0].path, ["rule"], "{rule}");
        problems[0].message.clone()
    }

    const LONG_AGO: &str = "1990-01-01T00:00:00Z";

    #[test]
    fn the_standards_examples_have_their_times() {
        let new_york = "America/New_York";
        for (rule, start, expected) in [
            ("FREQ=DAILY;COUNT=2", "1997-09-02T09:00", vec!["1997-09-02T13:00Z", "1997-09-03T13:00Z"]),
            // From daylight saving time into standard time.
            (
                "FREQ=WEEKLY;UNTIL=19971224T000000Z;INTERVAL=8",
                "1997-09-02T09:00",
                vec!["1997-09-02T13:00Z", "1997-10-28T14:00Z", "1997-12-23T14:00Z"],
            ),
            (
                "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z",
                "1997-09-02T09:00",
                vec!["1997-09-02T13:00Z", "1997-09-02T16:00Z"],
            ),
            (
                "FREQ=DAILY;BYHOUR=9,10,11;BYMINUTE=0;COUNT=4",
                "1997-09-02T09:00",
                vec!["1997-09-02T13:00Z", "1997-09-02T14:00Z", "1997-09-02T15:00Z", "1997-09-03T13:00Z"],
            ),
            (
                "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=2",
                "1997-09-29T09:00",
                vec!["1997-09-29T13:00Z", "1997-10-30T14:00Z"],
            ),
            (
                "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=2",
                "1997-09-02T09:00",
                vec!["1998-02-13T14:00Z", "1998-03-13T14:00Z"],
            ),
        ] {
            assert_eq!(next(rule, start, new_york, LONG_AGO, 10), expected, "{rule}");
        }
    }

    #[test]
    fn a_time_that_is_passed_over_is_later() {
        let zurich = next("FREQ=DAILY", "2027-03-27T02:30", "Europe/Zurich", "2027-03-26T00:00:00Z", 3);
        assert_eq!(zurich, ["2027-03-27T01:30Z", "2027-03-28T01:30Z!", "2027-03-29T00:30Z"]);
        let new_york = next("FREQ=DAILY", "2027-03-13T02:30", "America/New_York", "2027-03-13T00:00:00Z", 3);
        assert_eq!(new_york, ["2027-03-13T07:30Z", "2027-03-14T07:30Z!", "2027-03-15T06:30Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_is_the_first() {
        let zurich = next("FREQ=DAILY", "2027-10-30T02:30", "Europe/Zurich", "2027-10-29T12:00:00Z", 3);
        assert_eq!(zurich, ["2027-10-30T00:30Z", "2027-10-31T00:30Z", "2027-11-01T01:30Z"]);
        let new_york = next("FREQ=DAILY", "2027-11-06T01:30", "America/New_York", "2027-11-06T00:00:00Z", 3);
        assert_eq!(new_york, ["2027-11-06T05:30Z", "2027-11-07T05:30Z", "2027-11-08T06:30Z"]);
    }

    #[test]
    fn times_that_fall_together_are_one() {
        let found = next("FREQ=DAILY;BYHOUR=2,3", "2027-03-28T02:30", "Europe/Zurich", "2027-03-27T12:00:00Z", 3);
        assert_eq!(found, ["2027-03-28T01:30Z!", "2027-03-29T00:30Z", "2027-03-29T01:30Z"]);
        // Samoa had no 30 December 2011.
        let samoa = next("FREQ=DAILY", "2011-12-29T08:00", "Pacific/Apia", "2011-12-28T00:00:00Z", 3);
        assert_eq!(samoa, ["2011-12-29T18:00Z", "2011-12-30T18:00Z!", "2011-12-31T18:00Z"]);
    }

    #[test]
    fn the_next_is_the_same_from_wherever_one_looks() {
        for (rule, start) in [
            ("FREQ=DAILY;INTERVAL=3", "2026-01-01T08:00"),
            ("FREQ=HOURLY;INTERVAL=5;BYDAY=MO,TU", "2026-01-01T08:15"),
            ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU", "2026-01-01T08:00"),
            ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31T23:59"),
            ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "2026-01-01T00:00"),
            ("FREQ=DAILY;COUNT=40", "2026-03-01T02:30"),
        ] {
            let recurrence = recurrence(rule, start, "Europe/Zurich").unwrap();
            let all: Vec<_> = recurrence.after(at(LONG_AGO)).take(60).collect();
            for pair in all.windows(2) {
                assert!(pair[0].at < pair[1].at, "{rule}");
                assert_eq!(recurrence.after(pair[0].at).next(), Some(pair[1]), "{rule}");
                let just_before = pair[1].at - chrono::Duration::microseconds(1);
                assert_eq!(recurrence.after(just_before).next(), Some(pair[1]), "{rule}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_named() {
        for (rule, said) in [
            ("FREQ=MINUTELY;INTERVAL=90", "`FREQ=MINUTELY` recurs more often"),
            ("FREQ=SECONDLY", "`FREQ=SECONDLY` recurs more often"),
            ("FREQ=HOURLY;BYMINUTE=0,30", "`BYMINUTE with 2 minutes of an hour` recurs more often"),
            ("FREQ=DAILY;BYSECOND=0", "`BYSECOND` is not supported"),
            ("FREQ=DAILY;BYHOUR=24", "`24` in `BYHOUR`"),
            ("FREQ=DAILY;BYHOUR=-1", "`-1` in `BYHOUR`"),
            ("FREQ=DAILY;BYEASTER=1", "`BYEASTER` is not known"),
            ("FREQ=FORTNIGHTLY", "`FREQ=FORTNIGHTLY` is not known"),
            ("FREQ=DAILY;COUNT=10001", "at most 10000 are counted"),
            ("FREQ=DAILY;COUNT=2;UNTIL=20300101", "not by both"),
            ("FREQ=DAILY;UNTIL=2030", "`UNTIL=2030`"),
            ("FREQ=DAILY;UNTIL=20300101T9", "`UNTIL=20300101T9`"),
            ("FREQ=DAILY;UNTIL=20250101", "never gives a time"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never gives a day"),
            ("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=31", "never gives a day"),
            ("FREQ=HOURLY;INTERVAL=24;BYHOUR=9", "never gives a time"),
            ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1;BYHOUR=8,9", "several times of a day"),
            ("", "is no part of a rule"),
        ] {
            let message = refusal(rule);
            assert!(message.contains(said), "{rule}: {message}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problems = recurrence("FREQ=DALY", "2026-03-02T08:00Z", "Europe/Zuerich").unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.join(".")).collect();
        assert_eq!(paths, ["timeZone", "startsAt", "rule"]);
        for wrong in
            ["2026-02-30T08:00", "2026-03-02", "08:00", "2026-03-02 08:00", "1969-01-01T08:00", "2026-03-02T24:00"]
        {
            assert_eq!(recurrence("FREQ=DAILY", wrong, "UTC").unwrap_err()[0].path, ["startsAt"], "{wrong}");
        }
    }

    #[test]
    fn a_rule_ends_where_it_says() {
        for (rule, count) in [
            ("FREQ=DAILY;UNTIL=20260304", 3),
            ("FREQ=DAILY;UNTIL=20260304T080000", 3),
            ("FREQ=DAILY;UNTIL=20260304T065959Z", 2),
            ("FREQ=DAILY;UNTIL=20260304T070000Z", 3),
            ("FREQ=DAILY;COUNT=3", 3),
        ] {
            let recurrence = recurrence(rule, "2026-03-02T08:00", "Europe/Zurich").unwrap();
            assert_eq!(recurrence.after(at(LONG_AGO)).count(), count, "{rule}");
            assert_eq!(recurrence.after(at("2026-03-03T12:00:00Z")).count(), count - 2, "{rule}");
        }
    }
}
