//! Pure decisions: which rate holds, what time costs, what an entry may say.

use kernel::error::Problems;
use kernel::{Timestamp, UserError, Uuid};
use store::query::Row;

use super::{MAX_DAY_SECONDS, MAX_ENTRIES, MAX_ENTRY_SECONDS, MAX_HOURLY, MAX_NOTE, MIN_ENTRY_SECONDS};
use crate::commands::check_text;
use kernel::money::{Money, PARTS, is_currency};

/// What a rate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateTerms {
    /// Its id.
    pub id: Uuid,
    /// The only user whom it holds for.
    pub user: Option<Uuid>,
    /// The only team that it holds for.
    pub team: Option<Uuid>,
    /// The first day on which it holds.
    pub valid_from: String,
    /// What an hour costs.
    pub hourly: Money,
    /// Its version.
    pub version: i32,
}

impl RateTerms {
    /// Of a rate's row.
    pub fn of(row: &Row) -> Self {
        Self {
            id: row.id(),
            user: row.get("user").as_id(),
            team: row.get("team").as_id(),
            valid_from: row.text("validFrom"),
            hourly: Money { amount: row.int("hourly"), currency: row.text("currency") },
            version: access::Managed::version(row),
        }
    }

    /// How closely it fits: a user's more than a team's more than everybody's; `None` when it does not hold.
    fn fits(&self, user: Uuid, team: Option<Uuid>, day: &str) -> Option<u8> {
        if self.valid_from.as_str() > day {
            return None;
        }
        match (self.user, self.team) {
            (Some(of), _) => (of == user).then_some(2),
            (None, Some(of)) => (team == Some(of)).then_some(1),
            (None, None) => Some(0),
        }
    }
}

/// The rate that holds for a user's work for a team on a day: the most specific one, of these the latest that has begun.
pub fn choose<'a>(rates: &'a [RateTerms], user: Uuid, team: Option<Uuid>, day: &str) -> Option<&'a RateTerms> {
    let fitting = rates.iter().filter_map(|rate| Some((rate.fits(user, team, day)?, rate)));
    fitting.max_by_key(|(fits, rate)| (*fits, rate.valid_from.as_str())).map(|(_, rate)| rate)
}

/// What so many seconds cost, rounded half up to a ten-thousandth of the unit: once, and never with floating point numbers.
pub fn amount_of(hourly: i64, seconds: i64) -> i64 {
    let exact = i128::from(hourly) * i128::from(seconds);
    let rounded = (exact * 2 + 3_600).div_euclid(7_200);
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// The day in UTC on which an instant lies.
pub fn day_of(at: Timestamp) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// Whether this is a day of the calendar, as `2026-03-01`.
pub fn is_day(text: &str) -> bool {
    let read = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d");
    read.is_ok_and(|day| day.format("%Y-%m-%d").to_string() == text && text.len() == 10)
}

/// Checks what an hour costs.
pub fn check_hourly(problems: &mut Problems, hourly: &Money) {
    if !(0..=MAX_HOURLY).contains(&hourly.amount) {
        let most = MAX_HOURLY / PARTS;
        let message = format!("an hour costs from nothing to {most}");
        problems.add(UserError::limit(["hourly", "amount"], message, most.unsigned_abs()));
    }
    if !is_currency(&hourly.currency) {
        let message = "no currency has this code; one of ISO 4217 such as `EUR` does";
        problems.add(UserError::constraint(["hourly", "currency"], message, "currency", None));
    }
}

/// Checks the first day of a rate.
pub fn check_day(problems: &mut Problems, day: &str) {
    if !is_day(day) {
        let message = "a day is written as in `2026-03-01`";
        problems.add(UserError::constraint(["validFrom"], message, "date", None));
    }
}

/// Checks how long an entry is.
pub fn check_duration(problems: &mut Problems, seconds: i64) {
    if !(MIN_ENTRY_SECONDS..=MAX_ENTRY_SECONDS).contains(&seconds) {
        let message = format!("an entry has from {MIN_ENTRY_SECONDS} seconds to {} hours", MAX_ENTRY_SECONDS / 3_600);
        problems.add(UserError::limit(["duration"], message, MAX_ENTRY_SECONDS.unsigned_abs()));
    }
}

/// Checks the note of an entry.
pub fn check_note(problems: &mut Problems, note: &str) {
    check_text(problems, "note", note, MAX_NOTE);
}

/// Refuses an entry that is not over yet.
pub fn check_over(problems: &mut Problems, started_at: Timestamp, seconds: i64, now: Timestamp) {
    let ends = started_at.checked_add_signed(chrono::Duration::seconds(seconds));
    if ends.is_none_or(|ends| ends > now) {
        let message = "the work ends in the future: an entry is written down when it is done";
        problems.add(UserError::constraint(["startedAt"], message, "past", None));
    }
}

/// Refuses more entries on a ticket than it may have.
pub fn check_room(entries: i64) -> Result<(), UserError> {
    if entries <= MAX_ENTRIES as i64 {
        return Ok(());
    }
    let message = format!("the ticket has {MAX_ENTRIES} time entries; that is the limit");
    Err(UserError::limit(["ticket"], message, MAX_ENTRIES as u64))
}

/// Refuses more hours than a day has. `seconds` is what the user's entries of the day add up to, with this one.
pub fn check_day_total(day: &str, seconds: i64) -> Result<(), UserError> {
    if seconds <= MAX_DAY_SECONDS {
        return Ok(());
    }
    let hours = kernel::format_duration(chrono::Duration::seconds(seconds));
    let message = format!("the user's entries of {day} would add up to {hours}; a day has 24 hours");
    Err(UserError::limit(["duration"], message, MAX_DAY_SECONDS.unsigned_abs()))
}

/// What the entries of a ticket add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there are.
    pub entries: i64,
    /// How long they are, in seconds.
    pub seconds: i64,
    /// What those cost that have an amount; `None` when none has.
    pub cost: Option<i64>,
    /// What those of them cost that are billed.
    pub billable: Option<i64>,
    /// How many have no amount.
    pub without_rate: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);
    const TEAM: Uuid = Uuid::from_u128(10);

    fn rate(id: u128, user: Option<Uuid>, team: Option<Uuid>, valid_from: &str) -> RateTerms {
        let hourly = Money { amount: 100 * PARTS, currency: "EUR".into() };
        RateTerms { id: Uuid::from_u128(id), user, team, valid_from: valid_from.into(), hourly, version: 1 }
    }

    #[test]
    fn the_most_specific_rate_that_has_begun_holds() {
        let rates = [
            rate(1, None, None, "2026-01-01"),
            rate(2, None, None, "2026-03-01"),
            rate(3, None, Some(TEAM), "2026-02-01"),
            rate(4, Some(USER), None, "2026-04-01"),
        ];
        let chosen = |user, team, day: &str| choose(&rates, user, team, day).map(|rate| rate.id.as_u128());
        assert_eq!(chosen(USER, None, "2025-12-31"), None, "none has begun");
        assert_eq!(chosen(USER, None, "2026-01-01"), Some(1), "from its first day on");
        assert_eq!(chosen(USER, None, "2026-02-28"), Some(1));
        assert_eq!(chosen(USER, None, "2026-03-01"), Some(2), "a raise");
        assert_eq!(chosen(USER, Some(TEAM), "2026-03-15"), Some(3), "the team's goes before everybody's later one");
        assert_eq!(chosen(USER, Some(OTHER), "2026-03-15"), Some(2), "another team's does not hold");
        assert_eq!(chosen(USER, Some(TEAM), "2026-04-01"), Some(4), "one's own goes before all");
        assert_eq!(chosen(OTHER, Some(TEAM), "2026-04-01"), Some(3));
        assert_eq!(choose(&[], USER, None, "2026-04-01"), None);
    }

    #[test]
    fn amounts_are_exact_and_rounded_half_up_once() {
        let hour = |amount: &str| kernel::money::parse_amount(amount).unwrap();
        assert_eq!(amount_of(hour("85"), 3_600), hour("85"));
        assert_eq!(amount_of(hour("85"), 5_400), hour("127.5"));
        assert_eq!(amount_of(hour("100"), 1_200), 333_333, "a third of an hour: 33.3333");
        assert_eq!(amount_of(hour("100"), 2_400), 666_667, "two thirds: 66.6667");
        // Half of a ten-thousandth goes up.
        assert_eq!(amount_of(1, 1_800), 1);
        assert_eq!(amount_of(1, 1_799), 0);
        assert_eq!(amount_of(3, 1_800), 2);
        assert_eq!(amount_of(0, 86_400), 0);
        // The dearest day does not overflow, nor do a ticket's entries together.
        let dearest = amount_of(MAX_HOURLY, MAX_ENTRY_SECONDS);
        assert_eq!(dearest, MAX_HOURLY * 24);
        assert!(dearest.checked_mul(MAX_ENTRIES as i64).is_some());
    }

    #[test]
    fn each_limit_of_an_entry_is_kept() {
        let now = crate::commands::parse_time("2026-03-10T12:00:00Z").unwrap();
        let fine = |check: &dyn Fn(&mut Problems)| {
            let mut problems = Problems::default();
            check(&mut problems);
            problems.is_empty()
        };
        for (seconds, allowed) in [
            (MIN_ENTRY_SECONDS - 1, false),
            (MIN_ENTRY_SECONDS, true),
            (MAX_ENTRY_SECONDS, true),
            (MAX_ENTRY_SECONDS + 1, false),
            (-3_600, false),
        ] {
            assert_eq!(fine(&|problems| check_duration(problems, seconds)), allowed, "{seconds}");
        }
        assert!(fine(&|problems| check_note(problems, &"n".repeat(MAX_NOTE))));
        assert!(!fine(&|problems| check_note(problems, &"n".repeat(MAX_NOTE + 1))));
        assert!(!fine(&|problems| check_note(problems, "  ")));
        let began = now - chrono::Duration::hours(1);
        assert!(fine(&|problems| check_over(problems, began, 3_600, now)));
        assert!(!fine(&|problems| check_over(problems, began, 3_601, now)));
        assert!(check_room(MAX_ENTRIES as i64).is_ok());
        assert_eq!(check_room(MAX_ENTRIES as i64 + 1).unwrap_err().path, ["ticket"]);
        assert!(check_day_total("2026-03-10", MAX_DAY_SECONDS).is_ok());
        let error = check_day_total("2026-03-10", MAX_DAY_SECONDS + 60).unwrap_err();
        assert!(error.message.contains("2026-03-10") && error.message.contains("PT24H1M"), "{}", error.message);
    }

    #[test]
    fn each_limit_of_a_rate_is_kept() {
        let refused = |amount: i64, currency: &str| {
            let mut problems = Problems::default();
            check_hourly(&mut problems, &Money { amount, currency: currency.into() });
            match problems.check() {
                Err(kernel::Error::Refused(errors)) => errors.iter().map(|error| error.path.join(".")).collect(),
                _ => Vec::new(),
            }
        };
        assert_eq!(refused(0, "EUR"), Vec::<String>::new());
        assert_eq!(refused(MAX_HOURLY, "JPY"), Vec::<String>::new());
        assert_eq!(refused(MAX_HOURLY + 1, "EUR"), ["hourly.amount"]);
        assert_eq!(refused(-1, "euro"), ["hourly.amount", "hourly.currency"]);
    }

    #[test]
    fn days_are_those_of_the_calendar_in_utc() {
        for (text, day) in [("2026-02-28", true), ("2026-02-29", false), ("2026-2-1", false), ("today", false)] {
            assert_eq!(is_day(text), day, "{text}");
        }
        let late = crate::commands::parse_time("2026-03-10T23:30:00-02:00").unwrap();
        assert_eq!(day_of(late), "2026-03-11");
    }
}
