//! Whether promises fit together: what is promised must leave time for what stands under it.
//!
//! A ticket passes from one to the next, so the parts take place one after the other, and at worst each takes as long as it may.
//! Where all count time by one calendar, what is needed is the sum. Where they do not, how much of the promise's time the parts use up
//! depends on when the ticket begins: four hours of a team that works until five take until the next morning, and a promise that counts
//! round the clock has lost twenty. So every half hour of a year is tried as the beginning, and just behind it, and the worst counts.

use std::sync::Arc;

use calendar::Calendar;
use chrono::Duration;
use kernel::clock::format_duration;
use kernel::{Timestamp, Uuid};
use sla::Metric;
use ticket::model::Priority;

/// How far the beginnings that are tried lie apart.
const STEP: Duration = Duration::minutes(30);
/// How long from now on beginnings are tried: holidays come once a year.
const HORIZON: Duration = Duration::days(366);

/// A calendar, and which it is.
#[derive(Clone, Debug)]
pub struct Time {
    /// The calendar's id.
    pub id: Uuid,
    /// When time counts.
    pub calendar: Arc<Calendar>,
}

/// A promise that is compared with what stands under it.
#[derive(Clone, Debug)]
pub struct Promise {
    /// The policy that promises; none for a requirement.
    pub policy: Option<Uuid>,
    /// What is measured.
    pub metric: Metric,
    /// For tickets of this priority.
    pub priority: Priority,
    /// How long it may take.
    pub length: Duration,
    /// The time that counts.
    pub time: Time,
}

/// What stands under a promise.
#[derive(Clone, Debug)]
pub struct Part {
    /// The agreement; none when a policy is compared with a requirement.
    pub agreement: Option<Uuid>,
    /// How it is called.
    pub name: String,
    /// The longest that it promises for such tickets: the policy, how long, and the time that counts. None when it promises nothing.
    pub promised: Option<PartPromise>,
    /// Whether it uses up time of the promise: one that pauses while the vendor is awaited has nothing to lose to a contract.
    pub counts: bool,
}

/// The longest that something promises.
#[derive(Clone, Debug)]
pub struct PartPromise {
    /// The policy that promises it.
    pub policy: Uuid,
    /// How long it may take.
    pub length: Duration,
    /// The time that counts.
    pub time: Time,
}

/// How much time of a promise all that stands under it uses up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Nothing stands under it that promises anything.
    Nothing,
    /// So much, at worst.
    Time(Duration),
    /// A part is never done: no time counts for it any more.
    Never,
}

/// A promise beside what stands under it.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is promised.
    pub promise: Promise,
    /// What stands under it, in the order in which it takes place.
    pub parts: Vec<Part>,
    /// What all of it needs.
    pub needed: Needed,
}

impl Check {
    /// Compares a promise with what stands under it, for tickets that begin within a year from `now`.
    pub fn of(promise: Promise, parts: Vec<Part>, now: Timestamp) -> Self {
        let stretches: Vec<&PartPromise> =
            parts.iter().filter(|part| part.counts).filter_map(|part| part.promised.as_ref()).collect();
        let needed = needed(&promise.time, &stretches, now);
        Self { promise, parts, needed }
    }

    /// By how much what stands under the promise is too long; `None` when it is not, or nobody can say.
    pub fn gap(&self) -> Option<Duration> {
        match self.needed {
            Needed::Time(needed) if needed > self.promise.length => Some(needed - self.promise.length),
            _ => None,
        }
    }

    /// Whether the promise can be kept when each part takes as long as it may; `None` when a part promises nothing for it, or there is
    /// none.
    pub fn holds(&self) -> Option<bool> {
        let silent = || self.parts.iter().any(|part| part.counts && part.promised.is_none());
        match self.needed {
            Needed::Never => Some(false),
            Needed::Time(needed) if needed > self.promise.length => Some(false),
            Needed::Time(_) if !silent() => Some(true),
            Needed::Time(_) | Needed::Nothing => None,
        }
    }

    /// The same in words.
    pub fn explain(&self) -> String {
        let promise = &self.promise;
        let (priority, metric) = (promise.priority.as_str(), promise.metric.as_str());
        let promised = format!("{priority}: {metric} is promised within {}", format_duration(promise.length));
        if self.parts.is_empty() {
            return format!("{promised}; nothing stands under it.");
        }
        let parts: Vec<String> = self.parts.iter().map(Part::explain).collect();
        let judgement = match (self.needed, self.gap()) {
            (Needed::Time(needed), Some(gap)) => {
                format!("at worst {}: {} too long", format_duration(needed), format_duration(gap))
            }
            (Needed::Time(needed), None) => format!("at worst {}", format_duration(needed)),
            (Needed::Never, _) => "at worst it is never done".to_owned(),
            (Needed::Nothing, _) => "nobody can say whether it holds".to_owned(),
        };
        format!("{promised}; {}; {judgement}.", parts.join(", then "))
    }
}

impl Part {
    fn explain(&self) -> String {
        match &self.promised {
            _ if !self.counts => format!("{} does not count: the promise pauses meanwhile", self.name),
            Some(promised) => format!("{} may take {}", self.name, format_duration(promised.length)),
            None => format!("{} promises nothing for such tickets", self.name),
        }
    }
}

/// How much time of the promise's calendar the parts take at worst, one after the other.
fn needed(promise: &Time, parts: &[&PartPromise], now: Timestamp) -> Needed {
    if parts.is_empty() {
        return Needed::Nothing;
    }
    let stretches = joined(parts);
    if let [(time, length)] = stretches.as_slice()
        && time.id == promise.id
    {
        return Needed::Time(*length);
    }
    let mut worst = Duration::zero();
    let mut beginning = now;
    while beginning < now + HORIZON {
        // Just behind the half hour too: what can still be done by closing time cannot a moment later.
        for beginning in [beginning, beginning + Duration::seconds(1)] {
            match taken(promise, &stretches, beginning) {
                Some(taken) => worst = worst.max(taken),
                None => return Needed::Never,
            }
        }
        beginning += STEP;
    }
    Needed::Time(worst)
}

/// Parts that count by one calendar, put together where the first of them stands: between them no time is lost.
fn joined<'a>(parts: &[&'a PartPromise]) -> Vec<(&'a Time, Duration)> {
    let mut stretches: Vec<(&Time, Duration)> = Vec::new();
    for part in parts {
        match stretches.iter_mut().find(|(time, _)| time.id == part.time.id) {
            Some((_, length)) => *length += part.length,
            None => stretches.push((&part.time, part.length)),
        }
    }
    stretches
}

/// How much time of the promise's calendar the parts take from one beginning on; `None` when they are never done.
fn taken(promise: &Time, stretches: &[(&Time, Duration)], beginning: Timestamp) -> Option<Duration> {
    let end = stretches.iter().try_fold(beginning, |at, (time, length)| time.calendar.add_working(at, *length).ok())?;
    Some(promise.calendar.working_between(beginning, end))
}

#[cfg(test)]
mod tests {
    use calendar::{CalendarDocument, Weekday, WorkingInterval};
    use chrono::{DateTime, TimeZone, Utc};

    use super::*;

    fn now() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 1, 5, 0, 0, 0).unwrap()
    }

    fn time(number: u128, from: &str, to: &str, days: &[Weekday]) -> Time {
        let week = days.iter().map(|day| WorkingInterval { day: *day, from: from.into(), to: to.into() }).collect();
        let document = CalendarDocument { time_zone: "Europe/Vienna".into(), week, holidays: Vec::new() };
        Time { id: Uuid::from_u128(number), calendar: Arc::new(Calendar::compile(&document).unwrap()) }
    }

    const WORKDAYS: &[Weekday] =
        &[Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
    const ALL_DAYS: &[Weekday] = &[
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    fn office() -> Time {
        time(1, "09:00", "17:00", WORKDAYS)
    }

    fn always() -> Time {
        time(2, "00:00", "24:00", ALL_DAYS)
    }

    fn promise(hours: i64, time: Time) -> Promise {
        let length = Duration::hours(hours);
        Promise { policy: None, metric: Metric::Resolution, priority: Priority::P1, length, time }
    }

    fn part(name: &str, minutes: i64, time: &Time) -> Part {
        let promised = PartPromise { policy: Uuid::nil(), length: Duration::minutes(minutes), time: time.clone() };
        Part { agreement: None, name: name.into(), promised: Some(promised), counts: true }
    }

    #[test]
    fn one_calendar_is_a_sum_and_the_gap_is_named() {
        let parts = vec![part("network", 180, &office()), part("ACME", 120, &office())];
        let check = Check::of(promise(4, office()), parts.clone(), now());
        assert_eq!((check.needed, check.holds()), (Needed::Time(Duration::hours(5)), Some(false)));
        assert_eq!(check.gap(), Some(Duration::hours(1)));
        let words = "P1: RESOLUTION is promised within PT4H; network may take PT3H, then ACME may take PT2H; at worst PT5H: PT1H too long.";
        assert_eq!(check.explain(), words);
        let fits = Check::of(promise(5, office()), parts, now());
        assert_eq!((fits.gap(), fits.holds()), (None, Some(true)));
    }

    #[test]
    fn a_night_between_counts_for_a_promise_round_the_clock() {
        // Four hours and twenty minutes of the office, begun on Friday afternoon, are over on Monday morning; and the weekend on which
        // the clocks go back has an hour more.
        let check = Check::of(promise(24, always()), vec![part("office", 260, &office())], now());
        let weekend = Duration::hours(16 + 48 + 1) + Duration::minutes(260);
        assert_eq!(check.needed, Needed::Time(weekend));
        assert_eq!(check.gap(), Some(weekend - Duration::hours(24)));
    }

    #[test]
    fn who_works_longer_than_the_promise_counts_needs_less() {
        // Eight hours round the clock are at most eight of the office, and never more.
        let check = Check::of(promise(8, office()), vec![part("night shift", 480, &always())], now());
        assert_eq!((check.needed, check.holds()), (Needed::Time(Duration::hours(8)), Some(true)));
    }

    #[test]
    fn what_does_not_count_and_what_is_silent() {
        let contract = Part { counts: false, ..part("ACME", 6_000, &office()) };
        let check = Check::of(promise(4, office()), vec![part("network", 180, &office()), contract.clone()], now());
        assert_eq!(check.holds(), Some(true));
        assert!(check.explain().contains("ACME does not count"), "{}", check.explain());

        let silent = Part { promised: None, ..part("storage", 0, &office()) };
        let check = Check::of(promise(4, office()), vec![part("network", 180, &office()), silent.clone()], now());
        assert_eq!((check.needed, check.holds()), (Needed::Time(Duration::hours(3)), None));
        let check = Check::of(promise(2, office()), vec![part("network", 180, &office()), silent.clone()], now());
        assert_eq!(check.holds(), Some(false), "it is too long without the silent part already");
        let check = Check::of(promise(2, office()), vec![silent], now());
        assert_eq!((check.needed, check.holds(), check.gap()), (Needed::Nothing, None, None));
        let alone = Check::of(promise(2, office()), Vec::new(), now());
        assert_eq!(alone.explain(), "P1: RESOLUTION is promised within PT2H; nothing stands under it.");
    }

    /// Minute by minute, by the calendars' own answer whether they are open.
    fn walked(promise: &Time, parts: &[(&Time, i64)], beginning: DateTime<Utc>) -> i64 {
        let (mut at, mut lost) = (beginning, 0);
        for (time, minutes) in parts {
            let mut left = *minutes;
            while left > 0 {
                left -= i64::from(time.calendar.is_open(at));
                lost += i64::from(promise.calendar.is_open(at));
                at += Duration::minutes(1);
            }
        }
        lost
    }

    #[test]
    fn the_worst_of_a_week_is_the_worst_of_a_walk_over_its_minutes() {
        let (office, late) = (office(), time(3, "12:15", "20:45", WORKDAYS));
        let parts = [part("first", 200, &late), part("second", 95, &office)];
        let check = Check::of(promise(4, always()), parts.to_vec(), now());
        let beginnings = (0..7 * 24 * 4).flat_map(|quarter| [quarter * 15, quarter * 15 + 1]);
        let walk = beginnings
            .map(|minute| walked(&always(), &[(&late, 200), (&office, 95)], now() + Duration::minutes(minute)));
        let Needed::Time(found) = check.needed else { panic!("{check:?}") };
        let worst = Duration::minutes(walk.max().unwrap());
        // A walk begins on whole minutes; the clock change of October may cost an hour more than an ordinary week.
        assert!(found >= worst && found <= worst + Duration::minutes(61), "{found} {worst}");
    }
}
