//! Reads the text of a recurrence rule and refuses what makes no sense for whole days.

use jiff::civil::{Date, Weekday};

use super::{End, Frequency, Rule};

/// How many characters a rule may have.
pub const MAX_RULE_TEXT: usize = 500;

/// What a rule for days may be made of.
const PARTS: &str = "FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY, BYDAY, BYSETPOS and WKST";

/// Reads a rule.
pub fn rule(text: &str) -> Result<Rule, String> {
    of_parts(&parts(text)?)
}

/// The parts of a rule's text, keys and values in capitals; each key is there once.
pub fn parts(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.len() > MAX_RULE_TEXT {
        return Err(format!("the rule is longer than {MAX_RULE_TEXT} characters"));
    }
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix("RRULE:").unwrap_or(&text);
    let mut parts: Vec<(String, String)> = Vec::new();
    for part in text.split(';') {
        let Some((key, value)) = part.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(format!(
                "`{part}` is no part of a rule; write parts such as `FREQ=YEARLY`, with `;` between them"
            ));
        };
        if parts.iter().any(|(known, _)| *known == key) {
            return Err(format!("`{key}` is there twice"));
        }
        parts.push((key.to_owned(), value.to_owned()));
    }
    Ok(parts)
}

/// The rule that these parts make.
pub fn of_parts(parts: &[(String, String)]) -> Result<Rule, String> {
    let mut rule = Rule {
        frequency: frequency(parts)?,
        interval: 1,
        end: End::Never,
        months: 0,
        weeks: Vec::new(),
        year_days: Vec::new(),
        month_days: Vec::new(),
        weekdays: Vec::new(),
        positions: Vec::new(),
        week_start: Weekday::Monday,
    };
    for (key, value) in parts.iter().map(|(key, value)| (key.as_str(), value.as_str())) {
        match key {
            "FREQ" => {}
            "INTERVAL" => rule.interval = count(key, value)?,
            "COUNT" if rule.end == End::Never => rule.end = End::Count(count(key, value)?),
            "UNTIL" if rule.end == End::Never => rule.end = End::Until(until(value)?),
            "COUNT" | "UNTIL" => return Err("a rule ends by COUNT or by UNTIL, not by both; remove one".into()),
            "BYMONTH" => {
                rule.months = list(value, |month| number(key, month, 12).and_then(|month| positive(key, month)))?
                    .into_iter()
                    .fold(0, |months, month| months | 1 << month);
            }
            "BYWEEKNO" => rule.weeks = list(value, |week| number(key, week, 53))?,
            "BYYEARDAY" => rule.year_days = list(value, |day| number(key, day, 366))?,
            "BYMONTHDAY" => rule.month_days = list(value, |day| number(key, day, 31))?,
            "BYDAY" => rule.weekdays = list(value, place_and_weekday)?,
            "BYSETPOS" => rule.positions = list(value, |place| number(key, place, 366))?,
            "WKST" => rule.week_start = weekday(value).ok_or_else(|| no_weekday(value))?,
            "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
                return Err(format!("`{key}` has no meaning for whole days; remove it, and use `hours` for half days"));
            }
            _ => return Err(format!("`{key}` is not known; a rule is made of {PARTS}")),
        }
    }
    sensible(&rule)?;
    Ok(rule)
}

fn frequency(parts: &[(String, String)]) -> Result<Frequency, String> {
    let value = parts.iter().find(|(key, _)| *key == "FREQ").map(|(_, value)| value.as_str());
    match value {
        Some("DAILY") => Ok(Frequency::Daily),
        Some("WEEKLY") => Ok(Frequency::Weekly),
        Some("MONTHLY") => Ok(Frequency::Monthly),
        Some("YEARLY") => Ok(Frequency::Yearly),
        Some(finer @ ("HOURLY" | "MINUTELY" | "SECONDLY")) => Err(format!(
            "`FREQ={finer}` is finer than a day; holidays are whole days: use DAILY, WEEKLY, MONTHLY or YEARLY"
        )),
        Some(other) => Err(format!("`FREQ={other}` is not known; use DAILY, WEEKLY, MONTHLY or YEARLY")),
        None => Err("`FREQ` is missing; say how often, such as `FREQ=YEARLY`".into()),
    }
}

/// What the standard forbids, or leaves open.
fn sensible(rule: &Rule) -> Result<(), String> {
    let places = rule.weekdays.iter().any(|(place, _)| *place != 0);
    let by_year = rule.frequency == Frequency::Yearly;
    let refused = [
        (!rule.weeks.is_empty() && !by_year, "`BYWEEKNO` goes with `FREQ=YEARLY` only"),
        (!rule.weeks.is_empty() && rule.weekdays.is_empty(), "`BYWEEKNO` needs `BYDAY`: say which day of the week"),
        (!rule.year_days.is_empty() && !by_year, "`BYYEARDAY` goes with `FREQ=YEARLY` only"),
        (
            !rule.month_days.is_empty() && rule.frequency == Frequency::Weekly,
            "`BYMONTHDAY` does not go with `FREQ=WEEKLY`; use MONTHLY or YEARLY",
        ),
        (
            places && !matches!(rule.frequency, Frequency::Monthly | Frequency::Yearly),
            "weekdays with a place, such as `4TH`, go with `FREQ=MONTHLY` and `FREQ=YEARLY` only",
        ),
        (places && !rule.weeks.is_empty(), "weekdays with a place, such as `4TH`, do not go with `BYWEEKNO`"),
        (
            !rule.positions.is_empty()
                && rule.months == 0
                && rule.weekdays.is_empty()
                && rule.month_days.is_empty()
                && rule.year_days.is_empty(),
            "`BYSETPOS` picks among days that another part names, such as `BYDAY`; add one",
        ),
    ];
    match refused.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, message)) => Err(message.into()),
        None => Ok(()),
    }
}

pub fn list<T>(value: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    value.split(',').map(item).collect()
}

/// A number from 1 up.
pub fn count(key: &str, value: &str) -> Result<u32, String> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number.filter(|number| *number > 0).ok_or_else(|| format!("`{key}={value}`: a whole number from 1 on is expected"))
}

/// A number from 1 to `last`, or from the end: from -1 to -`last`.
fn number(key: &str, value: &str, last: i16) -> Result<i16, String> {
    let digits = value.trim_start_matches(['+', '-']);
    let plain =
        !digits.is_empty() && value.len() - digits.len() <= 1 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<i16> = if plain { value.parse().ok() } else { None };
    number.filter(|number| *number != 0 && (-last..=last).contains(number)).ok_or_else(|| {
        format!(
            "`{value}` in `{key}`: a whole number from 1 to {last} is expected, or a negative one to count from the end"
        )
    })
}

fn positive(key: &str, number: i16) -> Result<i16, String> {
    match number > 0 {
        true => Ok(number),
        false => Err(format!("`{number}` in `{key}`: months are counted from 1 to 12")),
    }
}

/// A weekday, perhaps with its place: `TH`, `4TH`, `-1MO`.
fn place_and_weekday(value: &str) -> Result<(i16, Weekday), String> {
    let (place, name) = value.split_at_checked(value.len().saturating_sub(2)).ok_or_else(|| no_weekday(value))?;
    let weekday = weekday(name).ok_or_else(|| no_weekday(value))?;
    let place = match place {
        "" => 0,
        place => number("BYDAY", place, 53)?,
    };
    Ok((place, weekday))
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

fn no_weekday(value: &str) -> String {
    format!(
        "`{value}` is no weekday; use MO, TU, WE, TH, FR, SA or SU, with a place before it where one is meant: `4TH`"
    )
}

/// The last day: `20301231`, perhaps with a time, which is left out.
fn until(value: &str) -> Result<Date, String> {
    let day = value.split_once('T').map_or(value, |(day, _)| day);
    compact_date(day).ok_or_else(|| format!("`UNTIL={value}`: a date such as `20301231` is expected"))
}

/// Reads `YYYYMMDD`.
pub fn compact_date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok()
}
