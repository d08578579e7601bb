//! From the document to the calendar: every rule that a document must keep, and all that breaks one at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};

use crate::calendar::{Calendar, HORIZON_DAYS};
use crate::document::{CalendarDocument, DayHours, Holiday, Problem, Weekday};
use crate::hours::{DAY_MINUTES, Hours, MINUTE, Minutes, intersection, minute_of, minute_text};
use crate::line::Line;
use crate::rule::Rule;
use crate::{FIRST_YEAR, LAST_YEAR, zone};

/// How many intervals a week may have.
pub const MAX_INTERVALS: usize = 168;
/// How many holidays a calendar may have.
pub const MAX_HOLIDAYS: usize = 1_000;
/// How many of them may come again by a rule.
pub const MAX_RULES: usize = 100;
/// How many days all holidays of a calendar together may take in the horizon.
pub const MAX_DAYS_OFF: usize = 20_000;
/// How many days in a row a holiday may take.
pub const MAX_HOLIDAY_LENGTH: u16 = 366;
/// How many exceptions from its rule a holiday may have.
pub const MAX_EXCEPTIONS: usize = 200;
/// How many characters the name of a holiday may have.
pub const MAX_NAME: usize = 200;
/// How much must be worked in each year of the horizon, in minutes. With less, a deadline could lie decades ahead.
pub const MIN_WORKING_PER_YEAR: i64 = 24 * 60;

impl Calendar {
    /// Checks a document and makes the calendar that it describes.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document.
    pub fn compile(document: &CalendarDocument) -> Result<Calendar, Vec<Problem>> {
        let mut problems = Vec::new();
        let zone = zone::find(&document.time_zone).map_err(|problem| problems.push(problem)).ok();
        let week = week(document, &mut problems);
        let different = holidays(&document.holidays, &mut problems);
        let Some((name, zone)) = zone.filter(|_| problems.is_empty()) else { return Err(problems) };
        let line = Line::new(week, different.into_iter().map(|(day, minutes)| (day, Hours::new(&minutes))));
        enough_work(&line)?;
        Ok(Calendar::new(name, &zone, line))
    }
}

/// The hours of the seven weekdays.
fn week(document: &CalendarDocument, problems: &mut Vec<Problem>) -> [Hours; 7] {
    let mut days: [Vec<(Minutes, usize)>; 7] = Default::default();
    if document.week.len() > MAX_INTERVALS {
        let message = format!("a week has at most {MAX_INTERVALS} intervals, this one has {}", document.week.len());
        problems.push(Problem::new(&["week"], message));
    } else {
        for (place, interval) in document.week.iter().enumerate() {
            let path = ["week", &place.to_string()];
            if let Some(minutes) = minutes(&path, &interval.from, &interval.to, problems) {
                days[interval.day as usize].push((minutes, place));
            }
        }
    }
    let mut weekdays = Weekday::ALL.iter();
    days.map(|day| {
        let weekday = weekdays.next().map_or("", |day| day.as_str());
        Hours::new(&disjoint(day, &["week"], &format!("{weekday} "), problems))
    })
}

/// Reads the two ends of an interval.
fn minutes(path: &[&str], from: &str, to: &str, problems: &mut Vec<Problem>) -> Option<Minutes> {
    let mut read = |key: &str, text: &str, last: u16| {
        let found = minute_of(text).filter(|minute| *minute <= last);
        if found.is_none() {
            let end = if last == DAY_MINUTES { ", or `24:00` for the end of the day" } else { "" };
            let shown: String = text.chars().take(20).collect();
            let message = format!("`{shown}` is no time of day; write hours and minutes such as `08:30`{end}");
            problems.push(Problem::new(&[path, &[key]].concat(), message));
        }
        found
    };
    let (from, to) = (read("from", from, DAY_MINUTES - 1), read("to", to, DAY_MINUTES));
    let (from, to) = (from?, to?);
    if from < to {
        return Some((from, to));
    }
    let message = format!(
        "{} is not after {}; an interval ends on the day it begins: split one that goes past midnight in two, up to \
         `24:00` and from `00:00`",
        minute_text(to),
        minute_text(from)
    );
    problems.push(Problem::new(&[path, &["to"]].concat(), message));
    None
}

/// Puts intervals, each with its place in the document, in order, and reports those that overlap.
fn disjoint(mut day: Vec<(Minutes, usize)>, path: &[&str], of: &str, problems: &mut Vec<Problem>) -> Vec<Minutes> {
    day.sort_unstable();
    let text = |(from, to): Minutes| format!("{}–{}", minute_text(from), minute_text(to));
    let mut last: Option<(Minutes, usize)> = None;
    for &(minutes, place) in &day {
        if let Some((earlier, other)) = last
            && minutes.0 < earlier.1
        {
            let message = format!(
                "{of}{} overlaps {} (`{}.{other}`); join them or move one",
                text(minutes),
                text(earlier),
                path.join(".")
            );
            problems.push(Problem::new(&[path, &[&place.to_string()]].concat(), message));
        }
        if last.is_none_or(|(earlier, _)| minutes.1 > earlier.1) {
            last = Some((minutes, place));
        }
    }
    day.into_iter().map(|(minutes, _)| minutes).collect()
}

/// What is worked on the days of holidays, by days since 1970-01-01.
fn holidays(holidays: &[Holiday], problems: &mut Vec<Problem>) -> BTreeMap<i32, Vec<Minutes>> {
    let mut different: BTreeMap<i32, Vec<Minutes>> = BTreeMap::new();
    if holidays.len() > MAX_HOLIDAYS {
        let message = format!("a calendar has at most {MAX_HOLIDAYS} holidays, this one has {}", holidays.len());
        problems.push(Problem::new(&["holidays"], message));
        return different;
    }
    let rules = holidays.iter().filter(|holiday| holiday.rule.is_some()).count();
    if rules > MAX_RULES {
        let message = format!("at most {MAX_RULES} holidays of a calendar have a rule, of these {rules} have");
        problems.push(Problem::new(&["holidays"], message));
        return different;
    }
    let mut taken = 0;
    for (place, holiday) in holidays.iter().enumerate() {
        let (days, hours) = check(holiday, &["holidays", &place.to_string()], problems);
        taken += days.len();
        if taken > MAX_DAYS_OFF {
            let message = format!(
                "all holidays together take more than {MAX_DAYS_OFF} days up to {LAST_YEAR}; end rules with COUNT or \
                 UNTIL, or leave days that are always free out of `week`"
            );
            problems.push(Problem::new(&["holidays"], message));
            break;
        }
        for day in days {
            different.entry(day).and_modify(|left| *left = intersection(left, &hours)).or_insert_with(|| hours.clone());
        }
    }
    different
}

/// The days that a holiday takes in the horizon, and what is worked on each.
fn check(holiday: &Holiday, path: &[&str; 2], problems: &mut Vec<Problem>) -> (Vec<i32>, Vec<Minutes>) {
    let [list, place] = path;
    let mut report = |key: &str, message: String| problems.push(Problem::new(&[list, place, key], message));
    if holiday.name.trim().is_empty() {
        report("name", "give the holiday a name".into());
    } else if holiday.name.chars().count() > MAX_NAME {
        report("name", format!("the name is longer than {MAX_NAME} characters; shorten it"));
    }
    let length = holiday.days.unwrap_or(1);
    if !(1..=MAX_HOLIDAY_LENGTH).contains(&length) {
        report("days", format!("a holiday takes from 1 to {MAX_HOLIDAY_LENGTH} days, not {length}"));
    }
    let first = day_of(&holiday.date).map_err(|message| report("date", message)).ok();
    let except = exceptions(&holiday.except, &mut report);
    let starts = match (first, holiday.rule.as_deref()) {
        (None, rule) => {
            // The rule is read all the same: all that is wrong is told at once.
            rule.map(|rule| Rule::parse(rule).map_err(|message| report("rule", message)));
            Vec::new()
        }
        (Some(first), None) => vec![first],
        (Some(first), Some(rule)) => by_rule(rule, first, &except).unwrap_or_else(|message| {
            report("rule", message);
            Vec::new()
        }),
    };
    let hours = hours(&holiday.hours, path, problems);
    let mut days = Vec::with_capacity(starts.len() * usize::from(length));
    for start in starts {
        let start = day_number(start);
        days.extend((start..start + i32::from(length)).filter(|day| (-1..=HORIZON_DAYS).contains(day)));
    }
    (days, hours)
}

/// The days that a rule gives from its first day to the end of the horizon, without the exceptions.
fn by_rule(rule: &str, first: Date, except: &BTreeSet<Date>) -> Result<Vec<Date>, String> {
    let mut days = Rule::parse(rule)?.days(first)?;
    days.retain(|day| !except.contains(day));
    match days.is_empty() {
        true => Err("the exceptions leave no day of the rule; remove the holiday".into()),
        false => Ok(days),
    }
}

/// Reads the exceptions of a holiday.
fn exceptions(except: &[String], report: &mut impl FnMut(&str, String)) -> BTreeSet<Date> {
    if except.len() > MAX_EXCEPTIONS {
        let message = format!("a holiday has at most {MAX_EXCEPTIONS} exceptions, this one has {}", except.len());
        report("except", message);
        return BTreeSet::new();
    }
    except.iter().filter_map(|text| day_of(text).map_err(|message| report("except", message)).ok()).collect()
}

/// The hours of a holiday.
fn hours(hours: &[DayHours], path: &[&str; 2], problems: &mut Vec<Problem>) -> Vec<Minutes> {
    let [list, place] = path;
    if hours.len() > MAX_INTERVALS / 7 {
        let message = format!("a day has at most {} intervals, this one has {}", MAX_INTERVALS / 7, hours.len());
        problems.push(Problem::new(&[list, place, "hours"], message));
        return Vec::new();
    }
    let mut read = Vec::with_capacity(hours.len());
    for (number, interval) in hours.iter().enumerate() {
        let path = [list, place, "hours", &number.to_string()];
        read.extend(minutes(&path, &interval.from, &interval.to, problems).map(|minutes| (minutes, number)));
    }
    disjoint(read, &[list, place, "hours"], "", problems)
}

/// Reads `YYYY-MM-DD`.
pub fn day_of(text: &str) -> Result<Date, String> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let shown: String = text.chars().take(20).collect();
    let found: Option<Date> = if shape { text.parse().ok() } else { None };
    let day = found.ok_or_else(|| format!("`{shown}` is no date; write year, month and day such as `2026-12-25`"))?;
    within_years(day)
}

/// Refuses a day so far away that no calendar knows it.
pub fn within_years(day: Date) -> Result<Date, String> {
    match (1900..=LAST_YEAR).contains(&day.year()) {
        true => Ok(day),
        false => Err(format!("{day} is too far away: calendars know the years from 1900 to {LAST_YEAR}")),
    }
}

/// Days since 1970-01-01.
pub fn day_number(day: Date) -> i32 {
    day.since(date(FIRST_YEAR, 1, 1)).map_or(0, |span| span.get_days())
}

/// Refuses a calendar in which next to nothing is worked.
fn enough_work(line: &Line) -> Result<(), Vec<Problem>> {
    let too_little = |path: &str, message: String| Err(vec![Problem::new(&[path], message)]);
    let hours = MIN_WORKING_PER_YEAR / 60;
    if line.week() == 0 {
        return too_little("week", "no working time at all: add an interval such as MONDAY 08:00–17:00".into());
    }
    if line.week() * 52 < MIN_WORKING_PER_YEAR * MINUTE {
        let message = format!(
            "a week of {} minutes is too little: at least {hours} hours must be worked in every year",
            line.week() / MINUTE
        );
        return too_little("week", message);
    }
    for year in FIRST_YEAR..=LAST_YEAR {
        let [begin, end] = [year, year + 1].map(|year| line.worked_before_day(day_number(date(year, 1, 1))));
        if end - begin < MIN_WORKING_PER_YEAR * MINUTE {
            let message = format!(
                "the holidays leave {} minutes of working time in {year}: at least {hours} hours must be worked in every \
                 year; end rules with COUNT or UNTIL",
                (end - begin) / MINUTE
            );
            return too_little("holidays", message);
        }
    }
    Ok(())
}
