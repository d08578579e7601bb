//! Documents that are refused: what is said, and where.

use calendar::{
    Calendar, CalendarDocument, DayHours, Holiday, MAX_DAYS_OFF, MAX_HOLIDAY_LENGTH, MAX_HOLIDAYS, MAX_INTERVALS,
    MAX_NAME, MIN_WORKING_PER_YEAR, Weekday,
};

use crate::support::{compiled, document, half_day, holiday, interval, office};

/// What is wrong with a document, as `path: message`.
fn problems(document: &CalendarDocument) -> Vec<String> {
    let problems = Calendar::compile(document).expect_err("the document must be refused");
    problems.iter().map(ToString::to_string).collect()
}

/// An office's document, changed.
fn changed(change: impl FnOnce(&mut CalendarDocument)) -> Vec<String> {
    let mut document = office("Europe/Vienna");
    change(&mut document);
    problems(&document)
}

/// An office's document with a holiday.
fn with(holiday: Holiday) -> Vec<String> {
    changed(|document| document.holidays.push(holiday))
}

#[test]
fn intervals_that_overlap_are_both_named() {
    let found = changed(|document| document.week.push(interval(Weekday::Wednesday, "16:30", "18:00")));
    assert_eq!(found, ["week.5: WEDNESDAY 16:30–18:00 overlaps 09:00–17:00 (`week.2`); join them or move one"]);
    // Also with one that is not its neighbour, and the same twice.
    let mut long = document("UTC", &[Weekday::Monday], &[("08:00", "18:00"), ("09:00", "10:00"), ("12:00", "13:00")]);
    assert_eq!(problems(&long).len(), 2);
    long.week = vec![long.week[0].clone(), long.week[0].clone()];
    assert_eq!(problems(&long).len(), 1);
}

#[test]
fn intervals_that_touch_do_not_overlap() {
    compiled(&document("UTC", &[Weekday::Monday], &[("08:00", "12:00"), ("12:00", "13:00")]));
}

#[test]
fn an_interval_ends_after_it_begins() {
    for (from, to) in [("22:00", "06:00"), ("08:00", "08:00"), ("22:00", "00:00")] {
        let found = changed(|document| document.week.push(interval(Weekday::Sunday, from, to)));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with(&format!("week.5.to: {to} is not after {from};")), "{found:?}");
    }
}

#[test]
fn times_that_are_none_are_told_all_at_once() {
    let found = changed(|document| {
        document.time_zone = "Europe/Wien".into();
        document.week[2].to = "5pm".into();
        document.week[3].from = "24:00".into();
        document.holidays.push(half_day("", "2026-02-30", "08:60", "9:00"));
    });
    assert_eq!(
        found,
        [
            "timeZone: `Europe/Wien` is no time zone; did you mean `Europe/Kiev`?",
            "week.2.to: `5pm` is no time of day; write hours and minutes such as `08:30`, or `24:00` for the end of \
             the day",
            "week.3.from: `24:00` is no time of day; write hours and minutes such as `08:30`",
            "holidays.0.name: give the holiday a name",
            "holidays.0.date: `2026-02-30` is no date; write year, month and day such as `2026-12-25`",
            "holidays.0.hours.0.from: `08:60` is no time of day; write hours and minutes such as `08:30`",
            "holidays.0.hours.0.to: `9:00` is no time of day; write hours and minutes such as `08:30`, or `24:00` for \
             the end of the day",
        ]
    );
}

#[test]
fn a_week_without_work_is_refused() {
    let found = changed(|document| document.week.clear());
    assert_eq!(found, ["week: no working time at all: add an interval such as MONDAY 08:00–17:00"]);
}

#[test]
fn next_to_no_work_is_refused() {
    // A week needs a 52nd of a year's least; one minute less is too little.
    let least = MIN_WORKING_PER_YEAR / 52 + 1;
    let of = |minutes: i64| document("UTC", &[Weekday::Monday], &[("00:00", &format!("00:{minutes:02}"))]);
    compiled(&of(least));
    let found = problems(&of(least - 1));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("week: a week of 27 minutes is too little"), "{found:?}");
}

#[test]
fn a_year_without_work_is_refused() {
    let found = with(Holiday { days: Some(366), ..holiday("Sabbatical", "2031-01-01") });
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("holidays: the holidays leave 0 minutes of working time in 2031"), "{found:?}");
    let mut document = office("UTC");
    document.holidays.push(Holiday { days: Some(350), ..holiday("Sabbatical", "2031-01-01") });
    compiled(&document);
}

#[test]
fn dates_that_are_none_are_refused() {
    for wrong in ["", "2026-1-1", "25.12.2026", "2026-13-01", "2026-02-29", "20261225", "2026-12-25T00:00", "+002026-1"]
    {
        let found = with(holiday("Some", wrong));
        assert_eq!(found.len(), 1, "{wrong}");
        assert!(found[0].starts_with(&format!("holidays.0.date: `{wrong}` is no date")), "{found:?}");
    }
    for far in ["1899-12-31", "2130-01-01", "9999-12-31"] {
        assert!(with(holiday("Some", far))[0].contains("too far away"), "{far}");
    }
}

#[test]
fn a_name_has_an_end() {
    let mut document = office("UTC");
    document.holidays.push(holiday(&"ä".repeat(MAX_NAME), "2026-01-01"));
    compiled(&document);
    document.holidays.push(holiday(&"ä".repeat(MAX_NAME + 1), "2026-01-01"));
    assert_eq!(problems(&document), ["holidays.1.name: the name is longer than 200 characters; shorten it"]);
}

#[test]
fn a_week_has_only_so_many_intervals() {
    let mut week = Vec::new();
    for day in Weekday::ALL {
        for hour in 0..24 {
            week.push(interval(day, &format!("{hour:02}:00"), &format!("{hour:02}:30")));
        }
    }
    assert_eq!(week.len(), MAX_INTERVALS);
    let mut document = office("UTC");
    document.week = week;
    compiled(&document);
    document.week.push(interval(Weekday::Monday, "10:40", "10:50"));
    assert_eq!(problems(&document), ["week: a week has at most 168 intervals, this one has 169"]);
}

#[test]
fn a_day_has_only_so_many_hours() {
    let hour = |hour: usize| DayHours { from: format!("{:02}:00", hour % 24), to: format!("{:02}:30", hour % 24) };
    let day = |count: usize| Holiday { hours: (0..count).map(hour).collect(), ..holiday("Some", "2026-05-04") };
    let mut document = office("UTC");
    document.holidays.push(day(24));
    compiled(&document);
    assert_eq!(with(day(25)), ["holidays.0.hours: a day has at most 24 intervals, this one has 25"]);
    let found = with(Holiday { hours: [hour(4), hour(4)].into(), ..holiday("Some", "2026-05-04") });
    assert_eq!(
        found,
        ["holidays.0.hours.1: 04:00–04:30 overlaps 04:00–04:30 (`holidays.0.hours.0`); join them or move one"]
    );
}

#[test]
fn a_calendar_has_only_so_many_holidays() {
    let mut document = office("UTC");
    document.holidays = vec![holiday("Some", "2026-05-04"); MAX_HOLIDAYS];
    compiled(&document);
    document.holidays.push(holiday("Some", "2026-05-04"));
    assert_eq!(problems(&document), ["holidays: a calendar has at most 1000 holidays, this one has 1001"]);
}

#[test]
fn a_holiday_takes_only_so_many_days() {
    for wrong in [0, MAX_HOLIDAY_LENGTH + 1] {
        let found = with(Holiday { days: Some(wrong), ..holiday("Some", "2026-05-04") });
        assert_eq!(found, [format!("holidays.0.days: a holiday takes from 1 to 366 days, not {wrong}")]);
    }
}

#[test]
fn all_holidays_together_take_only_so_many_days() {
    let take = |days: u16| Holiday { days: Some(days), ..holiday("Same days", "2026-05-04") };
    let mut document = office("UTC");
    document.holidays = vec![take(200); MAX_DAYS_OFF / 200];
    compiled(&document);
    document.holidays.push(take(1));
    let found = problems(&document);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("holidays: all holidays together take more than 20000 days up to 2129;"), "{found:?}");
}
