//! What is to be done with the times of a recurring ticket that have come.

use calendar::{Occurrence, Recurrence};
use chrono::Duration;
use kernel::Timestamp;

use super::{MAX_LATE, MAX_SKIPPED_RUNS, MAX_TIMES_AT_ONCE};

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The time at which a ticket is created.
    pub(super) run: Option<Occurrence>,
    /// The times that are left out.
    pub(super) skipped: Skipped,
    /// The next time to do something; `None` once the rule has ended.
    pub(super) next: Option<Timestamp>,
}

/// Times that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// How many.
    pub(super) count: usize,
    /// The first of them.
    pub(super) from: Option<Timestamp>,
    /// The newest of them, at most [`MAX_SKIPPED_RUNS`], in order.
    pub(super) shown: Vec<Occurrence>,
}

impl Skipped {
    /// The last of them.
    pub(super) fn to(&self) -> Option<Timestamp> {
        self.shown.last().map(|occurrence| occurrence.at)
    }
}

/// What is to be done at `now`, when everything before `planned` is done with.
pub(super) fn due(recurrence: &Recurrence, planned: Timestamp, now: Timestamp) -> Due {
    let mut times = recurrence.after(planned - Duration::microseconds(1)).peekable();
    let moved = lost(recurrence, planned, times.peek().map(|time| time.at)) && planned <= now;
    let mut come: Vec<Occurrence> = moved.then(|| recurrence.at(planned)).into_iter().collect();
    while come.len() < MAX_TIMES_AT_ONCE
        && let Some(time) = times.next_if(|time| time.at <= now)
    {
        come.push(time);
    }
    let next = times.next().map(|time| time.at);
    // As long as there are more behind it, the last that was looked at is not the newest.
    let all = next.is_none_or(|next| next > now);
    let run = come.pop_if(|last| all && now - last.at < MAX_LATE);
    let first = come.len().saturating_sub(MAX_SKIPPED_RUNS);
    let skipped = Skipped { count: come.len(), from: come.first().map(|first| first.at), shown: come.split_off(first) };
    Due { run, skipped, next }
}

/// Whether the rule gives what was planned no more, and nothing in its place: a later server knows other rules of the time zone. By
/// these the time was earlier, and nobody was there for it; one that is later is still to come, as the `first` from then on. Which
/// of them it was is told by which is nearer.
fn lost(recurrence: &Recurrence, planned: Timestamp, first: Option<Timestamp>) -> bool {
    match first {
        Some(first) if first == planned => false,
        Some(first) => recurrence.after(planned - (first - planned)).next().is_some_and(|time| time.at < planned),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use calendar::Given;

    use super::*;

    fn recurrence(rule: &str, starts_at: &str) -> Recurrence {
        recurrence_in("Europe/Zurich", rule, starts_at)
    }

    fn recurrence_in(zone: &str, rule: &str, starts_at: &str) -> Recurrence {
        let given = Given { rule: rule.into(), starts_at: starts_at.into(), time_zone: zone.into() };
        Recurrence::compile(&given).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn at(text: &str) -> Timestamp {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn on_time_there_is_one_run() {
        let daily = recurrence("FREQ=DAILY", "2027-01-01T08:00");
        let planned = at("2027-01-05T07:00:00Z");
        for late in [Duration::zero(), Duration::seconds(3), MAX_LATE - Duration::microseconds(1)] {
            let due = due(&daily, planned, planned + late);
            assert_eq!(due.run.map(|run| run.at), Some(planned));
            assert_eq!((due.skipped, due.next), (Skipped::default(), Some(at("2027-01-06T07:00:00Z"))));
        }
        let early = due(&daily, planned, planned - Duration::microseconds(1));
        assert_eq!((early.run, early.next), (None, Some(planned)), "it waits");
    }

    #[test]
    fn after_a_downtime_the_newest_runs_and_the_others_are_left_out() {
        let daily = recurrence("FREQ=DAILY", "2027-01-01T08:00");
        let due = due(&daily, at("2027-01-05T07:00:00Z"), at("2027-01-14T12:00:00Z"));
        assert_eq!(due.run.map(|run| run.at), Some(at("2027-01-14T07:00:00Z")));
        assert_eq!((due.skipped.count, due.skipped.shown.len()), (9, 9));
        assert_eq!(
            (due.skipped.from, due.skipped.to()),
            (Some(at("2027-01-05T07:00:00Z")), Some(at("2027-01-13T07:00:00Z")))
        );
        assert_eq!(due.next, Some(at("2027-01-15T07:00:00Z")));
    }

    #[test]
    fn what_is_too_late_is_left_out_as_well() {
        let monthly = recurrence("FREQ=MONTHLY", "2027-01-05T08:00");
        let planned = at("2027-01-05T07:00:00Z");
        let late = due(&monthly, planned, planned + MAX_LATE);
        assert_eq!((late.run, late.skipped.count), (None, 1));
        assert_eq!(late.next, Some(at("2027-02-05T07:00:00Z")));
    }

    #[test]
    fn a_year_of_downtime_is_looked_at_at_once_and_ten_are_not() {
        let hourly = recurrence_in("UTC", "FREQ=HOURLY", "2027-01-01T00:00");
        let planned = at("2027-01-01T00:00:00Z");
        let year = due(&hourly, planned, planned + Duration::days(365));
        assert_eq!((year.skipped.count, year.skipped.shown.len()), (365 * 24, MAX_SKIPPED_RUNS));
        assert_eq!(year.run.map(|run| run.at), Some(planned + Duration::days(365)));
        let now = planned + Duration::days(3_650);
        let (mut left, mut turns, mut from) = (0, 0, planned);
        let last = loop {
            let part = due(&hourly, from, now);
            (left, turns, from) = (left + part.skipped.count, turns + 1, part.next.unwrap());
            if from > now {
                break part;
            }
            assert_eq!((part.run, part.skipped.count), (None, MAX_TIMES_AT_ONCE), "the newest is not among them");
        };
        assert_eq!(last.run.map(|run| run.at), Some(now));
        assert_eq!((left, turns), (3_650 * 24, 9));
    }

    #[test]
    fn a_rule_that_has_ended_has_no_next_time() {
        let twice = recurrence("FREQ=DAILY;COUNT=2", "2027-01-05T08:00");
        let last = due(&twice, at("2027-01-06T07:00:00Z"), at("2027-01-06T07:00:00Z"));
        assert_eq!((last.run.map(|run| run.at), last.next), (Some(at("2027-01-06T07:00:00Z")), None));
    }

    #[test]
    fn a_time_that_new_rules_of_its_zone_move_is_not_lost() {
        let planned = at("2027-01-05T07:00:00Z");
        // It was earlier: it runs when it was planned, and as the rules are from then on.
        let earlier = recurrence("FREQ=DAILY", "2027-01-01T07:00");
        let found = due(&earlier, planned, planned);
        assert_eq!(found.run.map(|run| (run.at, run.local.to_string())), Some((planned, "2027-01-05T08:00:00".into())));
        assert_eq!((found.skipped.count, found.next), (0, Some(at("2027-01-06T06:00:00Z"))));
        // It is later: it runs then, and once.
        let later = recurrence("FREQ=DAILY", "2027-01-01T09:00");
        let found = due(&later, planned, planned);
        assert_eq!((found.run, found.skipped.count, found.next), (None, 0, Some(at("2027-01-05T08:00:00Z"))));
        // After a downtime it is one of those that are left out.
        let found = due(&earlier, planned, at("2027-01-08T12:00:00Z"));
        assert_eq!(found.run.map(|run| run.at), Some(at("2027-01-08T06:00:00Z")));
        assert_eq!((found.skipped.count, found.skipped.from), (3, Some(planned)));
        // The last of a rule runs as well, and nothing runs early.
        let last = recurrence("FREQ=DAILY;COUNT=1", "2027-01-05T07:00");
        let found = due(&last, planned, planned);
        assert_eq!((found.run.map(|run| run.at), found.next), (Some(planned), None));
        let early = due(&earlier, planned, planned - Duration::microseconds(1));
        assert_eq!((early.run, early.skipped.count), (None, 0));
    }

    #[test]
    fn a_time_that_is_passed_over_says_so() {
        let daily = recurrence("FREQ=DAILY", "2027-03-01T02:30");
        let planned = at("2027-03-28T01:30:00Z");
        let found = due(&daily, planned, planned).run.unwrap();
        assert_eq!((found.at, found.shifted), (planned, true));
    }
}
