//! A judge that walks every minute: it asks the zone what the wall clock shows in each, looks in the document whether
//! that is worked, and adds up. Nothing of it is shared with what it judges.
//!
//! `cargo xtask calendar-oracle` runs it with as many cases as one likes.

use std::collections::BTreeMap;

use calendar::{Calendar, CalendarDocument, DayHours, Holiday, Weekday, WorkingInterval};
use chrono::{DateTime, Duration};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kernel::Timestamp;

use crate::support::{Random, cases, seed};

/// How many cases are tried in one window with one calendar.
const CASES_PER_WINDOW: usize = 16;
/// How many cases are tried over one span of years.
const CASES_PER_SPAN: usize = 1_000;
const MINUTE: i64 = 60_000_000;

/// Zones with all that has been done to clocks: half hours, whole days, a second change for Ramadan, changes before midnight
/// and at it, two hours at once, and none at all.
const ZONES: [&str; 24] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Caracas",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
];

/// A calendar, and for each minute of a time whether it is worked by what the document says.
struct World {
    document: CalendarDocument,
    calendar: Calendar,
    /// The first minute, in minutes since 1970.
    first: i64,
    open: Vec<bool>,
    /// The instants at which something changes, in microseconds.
    edges: Vec<i64>,
}

/// The minutes of `HH:MM`.
fn clock(text: &str) -> usize {
    let (hours, minutes) = text.split_once(':').unwrap();
    hours.parse::<usize>().unwrap() * 60 + minutes.parse::<usize>().unwrap()
}

/// Whether a holiday takes this day.
fn takes(holiday: &Holiday, day: Date) -> bool {
    let first: Date = holiday.date.parse().unwrap();
    (0..holiday.days.unwrap_or(1)).any(|back| {
        let start = day - jiff::Span::new().days(back);
        if start < first || holiday.except.contains(&start.to_string()) {
            return false;
        }
        let Some(rule) = holiday.rule.as_deref() else { return start == first };
        let (rule, until) = rule.split_once(";UNTIL=").unwrap_or((rule, "99991231"));
        if start > Date::strptime("%Y%m%d", until).unwrap() {
            return false;
        }
        match rule {
            "FREQ=YEARLY" => (start.month(), start.day()) == (first.month(), first.day()),
            "FREQ=WEEKLY;INTERVAL=2" => (start - first).get_days() % 14 == 0,
            "FREQ=MONTHLY;BYDAY=-1FR" => {
                start.weekday() == jiff::civil::Weekday::Friday && start.day() + 7 > start.days_in_month()
            }
            other => panic!("{other} is not among the rules tried"),
        }
    })
}

/// For each minute of this day whether it is worked.
fn minutes_of(document: &CalendarDocument, day: Date) -> Vec<bool> {
    let within = |from: &str, to: &str| {
        let mut minutes = vec![false; 1_440];
        minutes[clock(from)..clock(to)].fill(true);
        minutes
    };
    let any = |parts: Vec<Vec<bool>>| (0..1_440).map(|minute| parts.iter().any(|part| part[minute])).collect();
    let taken: Vec<Vec<bool>> = document
        .holidays
        .iter()
        .filter(|holiday| takes(holiday, day))
        .map(|holiday| any(holiday.hours.iter().map(|part| within(&part.from, &part.to)).collect()))
        .collect();
    if !taken.is_empty() {
        return (0..1_440).map(|minute| taken.iter().all(|part| part[minute])).collect();
    }
    let weekday = Weekday::ALL[day.weekday().to_monday_zero_offset() as usize];
    let of_day = document.week.iter().filter(|interval| interval.day == weekday);
    any(of_day.map(|interval| within(&interval.from, &interval.to)).collect())
}

impl World {
    fn new(document: CalendarDocument, calendar: Calendar, zone: &TimeZone, first: i64, minutes: usize) -> Self {
        let offset = |minute: i64| {
            let seconds = zone.to_offset(jiff::Timestamp::from_second(minute * 60).unwrap()).seconds();
            assert_eq!(seconds % 60, 0, "no zone has seconds in these years");
            i64::from(seconds / 60)
        };
        let mut days: BTreeMap<i64, Vec<bool>> = BTreeMap::new();
        let mut open = Vec::with_capacity(minutes);
        let mut edges = Vec::new();
        let mut last = None;
        for number in 0..minutes as i64 {
            let minute = first + number;
            // Whoever asks each minute waits long: within an hour that begins and ends alike nothing changes.
            let hour = minute.div_euclid(60) * 60;
            let ahead = match last {
                Some((known, ahead)) if known == hour => ahead,
                _ => {
                    let (begin, end) = (offset(hour), offset(hour + 60));
                    if begin == end {
                        last = Some((hour, begin));
                    }
                    offset(minute)
                }
            };
            let local = minute + ahead;
            let day = days.entry(local.div_euclid(1_440)).or_insert_with_key(|day| {
                minutes_of(&document, jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(*day))
            });
            let worked = day[local.rem_euclid(1_440) as usize];
            if open.last().is_some_and(|last| *last != worked) {
                edges.push(minute * MINUTE);
            }
            open.push(worked);
        }
        Self { document, calendar, first, open, edges }
    }

    fn end(&self) -> i64 {
        (self.first + self.open.len() as i64) * MINUTE
    }

    fn place(&self, at: i64) -> usize {
        (at.div_euclid(MINUTE) - self.first) as usize
    }

    // Plain loops: in a debug build, where tests run, chains of closures take five times as long.

    fn working_between(&self, from: i64, to: i64) -> i64 {
        let mut worked = 0;
        let mut begin = from.div_euclid(MINUTE) * MINUTE;
        let mut place = self.place(from);
        while begin < to {
            if self.open[place] {
                worked += (begin + MINUTE).min(to) - begin.max(from);
            }
            begin += MINUTE;
            place += 1;
        }
        worked
    }

    fn add_working(&self, from: i64, length: i64) -> Option<i64> {
        if length == 0 {
            return Some(from);
        }
        let mut left = length;
        let mut begin = from.div_euclid(MINUTE) * MINUTE;
        let mut place = self.place(from);
        while place < self.open.len() {
            if self.open[place] {
                let start = begin.max(from);
                let worked = begin + MINUTE - start;
                if worked >= left {
                    return Some(start + left);
                }
                left -= worked;
            }
            begin += MINUTE;
            place += 1;
        }
        None
    }

    fn is_open(&self, at: i64) -> bool {
        self.open[self.place(at)]
    }

    fn next_opening(&self, at: i64) -> Option<i64> {
        let mut place = self.place(at);
        while place < self.open.len() {
            if self.open[place] {
                return Some(at.max((self.first + place as i64) * MINUTE));
            }
            place += 1;
        }
        None
    }

    fn closing_after(&self, at: i64) -> Option<i64> {
        let mut place = self.place(self.next_opening(at)?);
        while place < self.open.len() {
            if !self.open[place] {
                return Some((self.first + place as i64) * MINUTE);
            }
            place += 1;
        }
        None
    }

    /// An instant of this world: anywhere, or just where something changes.
    fn instant(&self, random: &mut Random) -> i64 {
        let (first, end) = (self.first * MINUTE, self.end());
        let near = !self.edges.is_empty() && random.percent(50);
        let at = match near {
            true => random.choose(&self.edges) + random.choose(&[-MINUTE, -1, 0, 1, MINUTE, 30 * MINUTE + 7]),
            false => random.range(first..end),
        };
        at.clamp(first, end - 1)
    }

    /// Tries one random question of each kind.
    fn try_one(&self, random: &mut Random) {
        let mut ends = [self.instant(random), self.instant(random)];
        ends.sort_unstable();
        let [from, to] = ends;
        let worked = self.working_between(from, to);
        // To the end of a stretch, to any place inside, and a little beyond.
        let length = match random.range(0..4) {
            0 => worked,
            1 => worked + 1,
            2 => random.range(0..worked.max(1) + 1),
            _ => random.range(0..worked.max(1) + 1) / MINUTE * MINUTE,
        };
        let told = |what: &str| format!("{what}, from {from} to {to}, length {length}, of {}", self.told());
        let calendar = &self.calendar;
        let [a, b] = [from, to].map(instant);
        assert_eq!(calendar.working_between(a, b), Duration::microseconds(worked), "{}", told("working_between"));
        assert_eq!(calendar.is_open(a), self.is_open(from), "{}", told("is_open"));
        if let Some(end) = self.add_working(from, length) {
            let answer = calendar.add_working(a, Duration::microseconds(length));
            assert_eq!(answer, Ok(instant(end)), "{}", told("add_working"));
        }
        if let Some(opening) = self.next_opening(from) {
            assert_eq!(calendar.next_opening(a), Some(instant(opening)), "{}", told("next_opening"));
        }
        if let Some(closing) = self.closing_after(from) {
            assert_eq!(calendar.closing_after(a), Some(instant(closing)), "{}", told("closing_after"));
        }
    }

    fn told(&self) -> String {
        serde_json::to_string(&self.document).unwrap()
    }
}

fn instant(at: i64) -> Timestamp {
    DateTime::from_timestamp_micros(at).unwrap()
}

fn text(minute: i64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Spans of a day in order, disjoint, some touching, some to the end of the day.
fn random_hours(random: &mut Random) -> Vec<DayHours> {
    let grid: i64 = *random.choose(&[1, 5, 15, 30, 60]);
    // Half of all lie at night, where clocks change.
    let (begin, end) = if random.percent(50) { (0, 300) } else { (0, 1_440) };
    let mut cuts: Vec<i64> =
        (0..random.range(1..5) * 2).map(|_| random.range(begin / grid..end / grid + 1) * grid).collect();
    if random.percent(20) {
        cuts.extend([1_380, 1_440]);
    }
    if random.percent(20) {
        cuts.extend([0, 30]);
    }
    cuts.sort_unstable();
    let pairs: Vec<(i64, i64)> = match random.percent(10) {
        // Each span begins where the last one ends.
        true => cuts.windows(2).map(|pair| (pair[0], pair[1])).collect(),
        false => cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
    };
    let pairs = pairs.into_iter().filter(|(from, to)| from < to);
    pairs.map(|(from, to)| DayHours { from: text(from), to: text(to) }).collect()
}

/// A document with holidays between these days.
fn random_document(random: &mut Random, zone: &str, begin: Date, days: i32) -> CalendarDocument {
    let always = random.percent(5);
    let hours: Vec<Vec<DayHours>> = (0..3).map(|_| random_hours(random)).collect();
    let mut week = Vec::new();
    for day in Weekday::ALL {
        if always {
            week.push(WorkingInterval { day, from: "00:00".into(), to: "24:00".into() });
        } else if random.percent(80) {
            let parts = random.choose(&hours).iter();
            week.extend(parts.map(|part| WorkingInterval { day, from: part.from.clone(), to: part.to.clone() }));
        }
    }
    // Enough for any rule on how much there must be, whatever else was drawn.
    let day = *random.choose(&Weekday::ALL);
    week.retain(|interval| interval.day != day);
    week.push(WorkingInterval { day, from: "09:00".into(), to: "12:34".into() });
    let holidays = (0..random.range(0..5)).map(|_| {
        let date = begin + jiff::Span::new().days(random.range(0..days));
        // They end, so that a debug build need not expand each for a hundred years.
        let until = date + jiff::Span::new().days(random.range(0..1_000));
        let until = |rule: &str| Some(format!("{rule};UNTIL={}", until.strftime("%Y%m%d")));
        let rule = match random.range(0..5) {
            0 | 1 => None,
            2 => Some("FREQ=YEARLY".to_owned()),
            3 => until("FREQ=WEEKLY;INTERVAL=2"),
            _ => until("FREQ=MONTHLY;BYDAY=-1FR"),
        };
        let days = random.percent(30).then(|| random.range(1..4));
        Holiday {
            name: "Some".into(),
            date: date.to_string(),
            days,
            rule,
            except: if random.percent(20) { vec![(date + jiff::Span::new().days(14)).to_string()] } else { Vec::new() },
            hours: if random.percent(40) { random_hours(random) } else { Vec::new() },
        }
    });
    CalendarDocument { time_zone: zone.into(), holidays: holidays.collect(), week }
}

/// A world of random hours around an instant. A document that leaves a year without work is drawn again.
fn random_world(random: &mut Random, name: &str, zone: &TimeZone, middle: i64, before: i64, after: i64) -> World {
    let first = middle.div_euclid(MINUTE) - before;
    let begin = jiff::Timestamp::from_second(first * 60).unwrap().to_zoned(TimeZone::UTC).date();
    let days = ((before + after) / 1_440) as i32 + 1;
    loop {
        let document = random_document(random, name, begin, days);
        match Calendar::compile(&document) {
            Ok(calendar) => return World::new(document, calendar, zone, first, (before + after) as usize),
            // A rule may end before it gives a day.
            Err(problems) => {
                let drawn = |message: &str| message.contains("leave") || message.contains("gives no day");
                assert!(problems.iter().all(|problem| drawn(&problem.message)), "{problems:?}");
            }
        }
    }
}

fn microseconds(day: Date) -> i64 {
    day.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond()
}

/// Every change of each zone's clocks from 2000 to 2037, and a few places where nothing happens.
fn windows() -> Vec<(&'static str, TimeZone, i64)> {
    let (begin, end) = (jiff::civil::date(2000, 1, 1), jiff::civil::date(2038, 1, 1));
    let mut windows = Vec::new();
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        let from = jiff::Timestamp::from_microsecond(microseconds(begin)).unwrap();
        let changes = zone.following(from).map(|change| change.timestamp().as_microsecond());
        let quiet = (2000..2038).step_by(9).map(|year| microseconds(jiff::civil::date(year, 2, 27)));
        let places: Vec<i64> = changes.take_while(|at| *at < microseconds(end)).chain(quiet).collect();
        windows.extend(places.into_iter().map(|at| (name, zone.clone(), at)));
    }
    windows
}

#[test]
fn every_change_of_clocks_agrees_with_the_walk() {
    let windows = windows();
    assert!(windows.len() > 900, "the zones have {} changes only", windows.len());
    let wanted = cases();
    let mut tried = 0;
    for round in 0.. {
        if tried >= wanted {
            eprintln!("{tried} cases around {} changes of clocks in {} zones: 0 differ", windows.len(), ZONES.len());
            return;
        }
        for (number, (name, zone, at)) in windows.iter().enumerate() {
            let mut random = Random::of(seed() ^ (round << 32) ^ (number as u64) << 8);
            let around = |random: &mut Random| random.range(500..5_000);
            let (before, after) = (around(&mut random), around(&mut random));
            let world = random_world(&mut random, name, zone, *at, before, after);
            for _ in 0..CASES_PER_WINDOW {
                world.try_one(&mut random);
            }
            tried += CASES_PER_WINDOW;
        }
    }
}

#[test]
fn spans_of_years_agree_with_the_walk() {
    // A walk over years takes long: its sums are kept, and searched.
    let spans = (cases() / 5_000).max(2);
    for number in 0..spans {
        let mut random = Random::of(!seed() ^ (number as u64) << 8);
        let name = random.choose(&ZONES);
        let zone = TimeZone::get(name).unwrap();
        let begin = microseconds(jiff::civil::date(random.range(1990..2060), 1, 1));
        let minutes = random.range(2..6) * 365 * 1_440;
        let world = random_world(&mut random, name, &zone, begin, 0, minutes);
        let mut sums = Vec::with_capacity(world.open.len() + 1);
        sums.push(0);
        for open in &world.open {
            sums.push(sums.last().unwrap() + i64::from(*open));
        }
        for _ in 0..CASES_PER_SPAN {
            let mut ends = [0, 1].map(|_| random.range(0..world.open.len()));
            ends.sort_unstable();
            let [from, to] = ends.map(|minute| instant((world.first + minute as i64) * MINUTE));
            let worked = sums[ends[1]] - sums[ends[0]];
            let told = || format!("from {from} to {to} of {}", world.told());
            assert_eq!(world.calendar.working_between(from, to), Duration::minutes(worked), "{}", told());
            let length = random.range(0..worked + 1);
            let found = sums.partition_point(|sum| *sum < sums[ends[0]] + length).max(ends[0]);
            let end = instant((world.first + found as i64) * MINUTE);
            let answer = world.calendar.add_working(from, Duration::minutes(length));
            assert_eq!(answer, Ok(end), "{length} minutes {}", told());
        }
    }
    eprintln!("{} cases over {spans} spans of years: 0 differ", spans * CASES_PER_SPAN);
}
