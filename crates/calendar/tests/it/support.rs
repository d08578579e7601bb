//! Documents and instants for the tests.

use calendar::{Calendar, CalendarDocument, DayHours, Holiday, Weekday, WorkingInterval};
use chrono::Duration;
use kernel::Timestamp;

pub const WORKDAYS: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

pub fn interval(day: Weekday, from: &str, to: &str) -> WorkingInterval {
    WorkingInterval { day, from: from.into(), to: to.into() }
}

/// The same hours on several days.
pub fn document(time_zone: &str, days: &[Weekday], hours: &[(&str, &str)]) -> CalendarDocument {
    let day = |day: &Weekday| hours.iter().map(|(from, to)| interval(*day, from, to)).collect::<Vec<_>>();
    CalendarDocument { time_zone: time_zone.into(), week: days.iter().flat_map(day).collect(), holidays: Vec::new() }
}

/// Monday to Friday from nine to five.
pub fn office(time_zone: &str) -> CalendarDocument {
    document(time_zone, &WORKDAYS, &[("09:00", "17:00")])
}

pub fn holiday(name: &str, date: &str) -> Holiday {
    Holiday { name: name.into(), date: date.into(), ..Holiday::default() }
}

pub fn half_day(name: &str, date: &str, from: &str, to: &str) -> Holiday {
    Holiday { hours: vec![DayHours { from: from.into(), to: to.into() }], ..holiday(name, date) }
}

pub fn compiled(document: &CalendarDocument) -> Calendar {
    Calendar::compile(document).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// An instant, with its offset: `2026-03-29T09:00+02:00`.
pub fn at(text: &str) -> Timestamp {
    let (time, zone) = text.split_at(16);
    chrono::DateTime::parse_from_rfc3339(&format!("{time}:00{zone}")).unwrap().to_utc()
}

pub fn minutes(count: i64) -> Duration {
    Duration::minutes(count)
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, which is not empty.
    pub fn range<T>(&mut self, range: std::ops::Range<T>) -> T
    where
        T: TryFrom<i64, Error: std::fmt::Debug> + TryInto<i64, Error: std::fmt::Debug>,
    {
        let [from, to]: [i64; 2] = [range.start.try_into().unwrap(), range.end.try_into().unwrap()];
        let place = self.next() % u64::try_from(to - from).unwrap();
        T::try_from(from + place as i64).unwrap()
    }

    /// True so often, in a hundred.
    pub fn percent(&mut self, often: u64) -> bool {
        self.next() % 100 < often
    }

    /// One of these, which are not none.
    pub fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.range(0..of.len())]
    }
}

/// How many cases are tried when nobody says otherwise.
const CASES: usize = 20_000;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    }
}

/// Everything that is random follows from this number.
pub fn seed() -> u64 {
    setting("DESKWIRE_CALENDAR_SEED", 1)
}

/// How many cases the judges try.
pub fn cases() -> usize {
    setting("DESKWIRE_CALENDAR_CASES", CASES)
}
