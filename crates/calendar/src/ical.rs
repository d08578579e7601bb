//! Holidays out of an iCalendar file (RFC 5545), such as governments and groupware publish them.
//!
//! The crate `icalendar` is not used: its parser calls itself for each component inside another, so that a small file of
//! nothing but `BEGIN:` ends the process, and one line that it does not know loses the whole file. What is needed
//! here is small: lines, their parameters, and a few properties of events.

mod lines;

use std::collections::HashMap;

use jiff::civil::Date;

use crate::compile::{MAX_EXCEPTIONS, MAX_HOLIDAY_LENGTH, MAX_HOLIDAYS, MAX_NAME, MAX_RULES, within_years};
use crate::document::{Holiday, Problem};
use crate::rule::{Rule, compact_date};

use lines::Line;

/// How large an iCalendar file may be, in bytes.
pub const MAX_ICAL_BYTES: usize = 1024 * 1024;
/// How many events a file may have.
pub const MAX_EVENTS: usize = 5_000;

/// What was found in an iCalendar file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The holidays, by date.
    pub holidays: Vec<Holiday>,
    /// The events that became none, in the file's order.
    pub skipped: Vec<Skipped>,
}

/// An event that became no holiday.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What the event is called.
    pub summary: String,
    /// Why it was left out.
    pub reason: String,
}

/// The holidays of an iCalendar file: its events of whole days.
///
/// An event of several days becomes a holiday for each; one that comes again becomes one with a rule. Each fits a document,
/// all together as well.
///
/// # Errors
/// When the text is no iCalendar file, is not whole, or holds more than fits a calendar.
pub fn holidays_from_ical(text: &str) -> Result<Imported, Vec<Problem>> {
    let problem = |message: String| vec![Problem::new(&[], message)];
    if text.len() > MAX_ICAL_BYTES {
        return Err(problem(format!("the file is larger than {} KiB; leave out old events", MAX_ICAL_BYTES / 1024)));
    }
    let events = events(text).map_err(problem)?;
    // An event that says how one day of another's is different takes that day from it.
    let mut replaced: HashMap<&str, Vec<Date>> = HashMap::new();
    for event in &events {
        if let (Some(uid), Some(day)) = (&event.uid, event.recurrence.as_ref().and_then(day_in)) {
            replaced.entry(uid).or_default().push(day);
        }
    }
    let mut imported = Imported::default();
    let mut series = 0;
    for event in &events {
        // Reading a rule takes its time, so they are counted before.
        series += usize::from(event.is_series());
        if series > MAX_RULES {
            return Err(problem(format!("more than {MAX_RULES} holidays of the file have a rule; leave some out")));
        }
        let of_series = event.uid.as_deref().filter(|_| event.recurrence.is_none());
        let replaced = of_series.and_then(|uid| replaced.get(uid)).map_or(&[][..], Vec::as_slice);
        match event.holidays(replaced) {
            Ok(holidays) => imported.holidays.extend(holidays),
            Err(reason) => imported.skipped.push(Skipped { summary: event.name(), reason }),
        }
        if imported.holidays.len() > MAX_HOLIDAYS {
            return Err(problem(format!("the file has more than {MAX_HOLIDAYS} holidays; leave out old ones")));
        }
    }
    imported.holidays.sort_by(|one, other| one.date.cmp(&other.date));
    Ok(imported)
}

/// What matters of an event.
#[derive(Default)]
struct Event {
    uid: Option<String>,
    summary: String,
    cancelled: bool,
    start: Option<Moment>,
    end: Option<Moment>,
    duration: Option<String>,
    rules: Vec<String>,
    excluding_rule: bool,
    except: Vec<Moment>,
    also: Vec<Moment>,
    recurrence: Option<Moment>,
}

/// A date, or a date with a time, as it is written.
struct Moment {
    text: String,
}

impl Moment {
    /// The day, when no time is with it.
    fn day(&self) -> Option<Date> {
        compact_date(&self.text)
    }

    fn has_time(&self) -> bool {
        self.text.contains('T')
    }
}

/// The day that a date or a date with a time lies on.
fn day_in(moment: &Moment) -> Option<Date> {
    compact_date(moment.text.split('T').next()?)
}

fn moments(value: &str) -> impl Iterator<Item = Moment> + '_ {
    value.split(',').map(|text| Moment { text: text.trim().to_owned() })
}

/// The events of the file, each with the properties that are its own.
fn events(text: &str) -> Result<Vec<Event>, String> {
    let mut open: Vec<String> = Vec::new();
    let mut calendars = 0;
    let mut events: Vec<Event> = Vec::new();
    for unfolded in lines::unfolded(text) {
        let Some(line) = Line::read(&unfolded.text) else { continue };
        match line.name.as_str() {
            "BEGIN" => {
                let name = line.value.trim().to_ascii_uppercase();
                calendars += usize::from(name == "VCALENDAR");
                if name == "VEVENT" {
                    if events.len() == MAX_EVENTS {
                        return Err(format!("the file has more than {MAX_EVENTS} events; leave out old ones"));
                    }
                    events.push(Event::default());
                }
                open.push(name);
            }
            "END" => {
                let name = line.value.trim().to_ascii_uppercase();
                match open.pop() {
                    Some(last) if last == name => {}
                    Some(last) => {
                        return Err(format!("line {}: `END:{last}` is expected; is the file whole?", unfolded.number));
                    }
                    None => return Err(format!("line {}: nothing is open that could end here", unfolded.number)),
                }
            }
            // What an alarm in an event says is not the event's.
            _ if open.last().is_some_and(|last| last == "VEVENT") => {
                if let Some(event) = events.last_mut() {
                    event.take(line);
                }
            }
            _ => {}
        }
    }
    match open.last() {
        _ if calendars == 0 => Err("this is no iCalendar file: one begins with `BEGIN:VCALENDAR`".into()),
        Some(last) => Err(format!("the file ends before `END:{last}`; is it whole?")),
        None => Ok(events),
    }
}

impl Event {
    fn take(&mut self, line: Line) {
        let moment = || Some(Moment { text: line.value.trim().to_owned() });
        match line.name.as_str() {
            "UID" => self.uid = Some(line.value),
            "SUMMARY" => self.summary = lines::unescaped(&line.value),
            "STATUS" => self.cancelled = line.value.trim().eq_ignore_ascii_case("CANCELLED"),
            "DTSTART" => self.start = moment(),
            "DTEND" => self.end = moment(),
            "DURATION" => self.duration = Some(line.value.trim().to_owned()),
            "RRULE" => self.rules.push(line.value.trim().to_owned()),
            "EXRULE" => self.excluding_rule = true,
            "EXDATE" => self.except.extend(moments(&line.value)),
            "RDATE" => self.also.extend(moments(&line.value)),
            "RECURRENCE-ID" => self.recurrence = moment(),
            _ => {}
        }
    }

    /// Whether its rule would be read.
    fn is_series(&self) -> bool {
        !self.cancelled && !self.rules.is_empty() && self.start.as_ref().is_some_and(|start| !start.has_time())
    }

    /// Its name as a holiday has one: a line, not too long.
    fn name(&self) -> String {
        let words: Vec<&str> = self.summary.split_whitespace().collect();
        match words.is_empty() {
            true => "Holiday".into(),
            false => words.join(" ").chars().take(MAX_NAME).collect(),
        }
    }

    /// The holidays it stands for, without the days that other events replace; or why it stands for none.
    fn holidays(&self, replaced: &[Date]) -> Result<Vec<Holiday>, String> {
        if self.cancelled {
            return Err("it is cancelled".into());
        }
        let start = self.start.as_ref().ok_or("it has no DTSTART")?;
        if start.has_time() {
            return Err("it has a time of day; only events of whole days become holidays".into());
        }
        let first = within_years(start.day().ok_or_else(|| format!("`DTSTART:{}` is no date", shown(&start.text)))?)?;
        let length = self.length(first)?;
        let mut except = replaced.to_vec();
        for moment in &self.except {
            except.push(day_in(moment).ok_or_else(|| format!("`EXDATE:{}` is no date", shown(&moment.text)))?);
        }
        let mut single = Vec::new();
        for moment in &self.also {
            let day = moment.day().ok_or_else(|| format!("`RDATE:{}` is no date", shown(&moment.text)))?;
            single.push(within_years(day)?);
        }
        let mut holidays = Vec::new();
        match self.rules.as_slice() {
            _ if self.excluding_rule => return Err("it has an EXRULE, which the standard dropped; use EXDATE".into()),
            [] => single.push(first),
            [rule] if self.recurrence.is_none() => {
                let days = Rule::parse(rule).and_then(|rule| rule.days(first));
                let days = days.map_err(|message| format!("its rule `{}`: {message}", shown(rule)))?;
                // The first day belongs to a series even where it does not fit the rule.
                if !days.contains(&first) {
                    single.push(first);
                }
                let except: Vec<Date> = days.iter().copied().filter(|day| except.contains(day)).collect();
                if except.len() > MAX_EXCEPTIONS {
                    return Err(format!("it has more than {MAX_EXCEPTIONS} exceptions from its rule"));
                }
                if except.len() < days.len() {
                    holidays.push(Holiday {
                        name: self.name(),
                        date: first.to_string(),
                        days: (length > 1).then_some(length),
                        rule: Some(rule.clone()),
                        except: except.iter().map(ToString::to_string).collect(),
                        hours: Vec::new(),
                    });
                }
            }
            // A day out of a series that says the rule of the series once more.
            [_] => single.push(first),
            _ => return Err("it has several rules; only one is understood".into()),
        }
        single.retain(|day| !except.contains(day));
        single.sort_unstable();
        single.dedup();
        for start in single {
            for later in 0..length {
                // Days past the horizon say nothing to anyone.
                let Some(day) =
                    start.checked_add(jiff::Span::new().days(later)).ok().and_then(|day| within_years(day).ok())
                else {
                    break;
                };
                holidays.push(Holiday { name: self.name(), date: day.to_string(), ..Holiday::default() });
            }
        }
        match holidays.is_empty() {
            true => Err("its exceptions leave no day".into()),
            false => Ok(holidays),
        }
    }

    /// How many days it takes.
    fn length(&self, first: Date) -> Result<u16, String> {
        let days = match (&self.end, &self.duration) {
            (Some(end), _) => {
                let day = end.day().ok_or_else(|| format!("`DTEND:{}` is no date without a time", shown(&end.text)))?;
                let days = first.until(day).map_or(i32::MAX, |span| span.get_days());
                // Some programs end an event on the day it begins.
                i64::from(days).max(1)
            }
            (None, Some(duration)) => kernel::parse_duration(duration)
                .filter(|length| *length == chrono::Duration::days(length.num_days()) && length.num_days() > 0)
                .ok_or_else(|| format!("`DURATION:{}` is no number of whole days", shown(duration)))?
                .num_days(),
            (None, None) => 1,
        };
        let length = u16::try_from(days).ok().filter(|days| *days <= MAX_HOLIDAY_LENGTH);
        length.ok_or_else(|| format!("it takes {days} days; a holiday takes at most {MAX_HOLIDAY_LENGTH}"))
    }
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
