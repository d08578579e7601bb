//! What calendars answer, by example: one rule a test.

use calendar::{BeyondHorizon, Weekday};
use chrono::Duration;

use crate::support::{WORKDAYS, at, compiled, document, half_day, holiday, interval, minutes, office};

#[test]
fn opened_after_hours_it_starts_at_the_next_opening() {
    let vienna = compiled(&office("Europe/Vienna"));
    let friday_evening = at("2026-01-16T17:30+01:00");
    assert!(!vienna.is_open(friday_evening));
    assert_eq!(vienna.next_opening(friday_evening), Some(at("2026-01-19T09:00+01:00")));
    assert_eq!(vienna.add_working(friday_evening, minutes(60)), Ok(at("2026-01-19T10:00+01:00")));
    assert_eq!(vienna.closing_after(friday_evening), Some(at("2026-01-19T17:00+01:00")));
}

#[test]
fn no_length_is_the_instant_itself() {
    let vienna = compiled(&office("Europe/Vienna"));
    let closed = at("2026-01-17T12:00+01:00");
    assert_eq!(vienna.add_working(closed, Duration::zero()), Ok(closed));
    assert_eq!(vienna.add_working(closed, minutes(-5)), Ok(closed));
    assert_eq!(vienna.working_between(closed, closed), Duration::zero());
}

#[test]
fn what_is_done_at_closing_is_due_at_closing() {
    let vienna = compiled(&office("Europe/Vienna"));
    let afternoon = at("2026-01-16T16:00+01:00");
    assert_eq!(vienna.add_working(afternoon, minutes(60)), Ok(at("2026-01-16T17:00+01:00")));
    let more = minutes(60) + Duration::microseconds(1);
    assert_eq!(vienna.add_working(afternoon, more), Ok(at("2026-01-19T09:00+01:00") + Duration::microseconds(1)));
}

#[test]
fn the_opening_is_open_and_the_closing_is_not() {
    let vienna = compiled(&office("Europe/Vienna"));
    let instant = Duration::microseconds(1);
    let (opening, closing) = (at("2026-01-16T09:00+01:00"), at("2026-01-16T17:00+01:00"));
    assert!(!vienna.is_open(opening - instant));
    assert!(vienna.is_open(opening));
    assert!(vienna.is_open(closing - instant));
    assert!(!vienna.is_open(closing));
    assert_eq!(vienna.next_opening(opening), Some(opening));
    assert_eq!(vienna.next_opening(opening - instant), Some(opening));
    assert_eq!(vienna.closing_after(opening), Some(closing));
}

#[test]
fn nothing_is_worked_backwards() {
    let vienna = compiled(&office("Europe/Vienna"));
    let (early, late) = (at("2026-01-16T09:00+01:00"), at("2026-01-16T12:00+01:00"));
    assert_eq!(vienna.working_between(early, late), minutes(180));
    assert_eq!(vienna.working_between(late, early), Duration::zero());
}

#[test]
fn an_hour_that_does_not_exist_is_not_worked() {
    // In the night to 29 March 2026 Vienna's clocks go from 02:00 to 03:00.
    let nights = compiled(&document("Europe/Vienna", &Weekday::ALL, &[("01:30", "03:30")]));
    assert_eq!(nights.working_between(at("2026-03-29T00:00+01:00"), at("2026-03-30T00:00+02:00")), minutes(60));
    // An interval that ends where there is no such time ends when the gap begins.
    let ends_inside = compiled(&document("Europe/Vienna", &Weekday::ALL, &[("01:30", "02:30")]));
    assert_eq!(ends_inside.closing_after(at("2026-03-29T01:30+01:00")), Some(at("2026-03-29T03:00+02:00")));
    assert_eq!(ends_inside.add_working(at("2026-03-29T01:30+01:00"), minutes(31)), Ok(at("2026-03-30T01:31+02:00")));
    // One that lies in the gap is left out that night.
    let inside = compiled(&document("Europe/Vienna", &Weekday::ALL, &[("02:10", "02:50")]));
    assert_eq!(inside.next_opening(at("2026-03-29T01:00+01:00")), Some(at("2026-03-30T02:10+02:00")));
}

#[test]
fn an_hour_that_happens_twice_is_worked_twice() {
    // In the night to 25 October 2026 Vienna's clocks go from 03:00 to 02:00.
    let nights = compiled(&document("Europe/Vienna", &Weekday::ALL, &[("01:30", "03:30")]));
    assert_eq!(nights.working_between(at("2026-10-25T00:00+02:00"), at("2026-10-26T00:00+01:00")), minutes(180));
    // An interval that ends inside is worked, closed, and worked once more.
    let ends_inside = compiled(&document("Europe/Vienna", &Weekday::ALL, &[("01:30", "02:30")]));
    let (from, to) = (at("2026-10-25T00:00+02:00"), at("2026-10-26T00:00+01:00"));
    assert_eq!(
        ends_inside.openings(from, to).collect::<Vec<_>>(),
        [
            (at("2026-10-25T01:30+02:00"), at("2026-10-25T02:30+02:00")),
            (at("2026-10-25T02:00+01:00"), at("2026-10-25T02:30+01:00")),
        ]
    );
    assert_eq!(ends_inside.add_working(from, minutes(75)), Ok(at("2026-10-25T02:15+01:00")));
}

#[test]
fn a_day_that_was_skipped_is_not_worked() {
    // Samoa went from Thursday 29 December 2011 straight to Saturday the 31st.
    let apia = compiled(&office("Pacific/Apia"));
    assert_eq!(apia.working_between(at("2011-12-29T00:00-10:00"), at("2012-01-01T00:00+14:00")), minutes(8 * 60));
    assert_eq!(apia.add_working(at("2011-12-29T16:00-10:00"), minutes(61)), Ok(at("2012-01-02T09:01+14:00")));
}

#[test]
fn half_an_hour_can_be_skipped_too() {
    // Lord Howe's clocks go from 02:00 to 02:30 on 4 October 2026.
    let island = compiled(&document("Australia/Lord_Howe", &Weekday::ALL, &[("01:00", "04:00")]));
    assert_eq!(island.working_between(at("2026-10-04T00:00+10:30"), at("2026-10-04T12:00+11:00")), minutes(150));
}

#[test]
fn offsets_with_seconds_are_exact() {
    // Until 7 January 1972 Monrovia was 44 minutes and 30 seconds behind.
    let monrovia = compiled(&document("Africa/Monrovia", &Weekday::ALL, &[("09:00", "10:00")]));
    let opening = at("1971-06-01T09:44+00:00") + Duration::seconds(30);
    assert_eq!(monrovia.next_opening(at("1971-06-01T00:00+00:00")), Some(opening));
}

#[test]
fn a_holiday_is_a_whole_local_day_off() {
    let mut document = office("America/New_York");
    document.holidays.push(holiday("Independence Day", "2025-07-04"));
    let calendar = compiled(&document);
    let thursday = at("2025-07-03T16:30-04:00");
    assert_eq!(calendar.add_working(thursday, minutes(60)), Ok(at("2025-07-07T09:30-04:00")));
    assert_eq!(calendar.next_opening(at("2025-07-04T12:00-04:00")), Some(at("2025-07-07T09:00-04:00")));
}

#[test]
fn a_half_day_has_its_own_hours_whatever_the_weekday() {
    let mut document = office("Europe/Vienna");
    document.holidays.push(half_day("Christmas Eve", "2026-12-24", "08:00", "12:00"));
    document.holidays.push(half_day("Stocktaking", "2026-12-27", "10:00", "11:00"));
    let calendar = compiled(&document);
    let eve = at("2026-12-24T00:00+01:00");
    assert_eq!(calendar.working_between(eve, at("2026-12-25T00:00+01:00")), minutes(240));
    // Sunday the 27th is worked for an hour; Friday the 25th as ever.
    assert_eq!(calendar.working_between(at("2026-12-26T00:00+01:00"), at("2026-12-28T00:00+01:00")), minutes(60));
    assert!(calendar.is_open(at("2026-12-24T08:30+01:00")));
}

#[test]
fn where_holidays_meet_only_what_all_leave_is_worked() {
    let mut document = office("Europe/Vienna");
    document.holidays.push(half_day("Half", "2026-05-12", "09:00", "13:00"));
    document.holidays.push(half_day("Other half", "2026-05-12", "11:00", "17:00"));
    document.holidays.push(half_day("Half", "2026-05-13", "09:00", "13:00"));
    document.holidays.push(holiday("Whole", "2026-05-13"));
    for _ in 0..2 {
        let calendar = compiled(&document);
        let worked = |from, to| calendar.working_between(at(from), at(to));
        assert_eq!(worked("2026-05-12T00:00+02:00", "2026-05-13T00:00+02:00"), minutes(120));
        assert_eq!(worked("2026-05-13T00:00+02:00", "2026-05-14T00:00+02:00"), minutes(0));
        document.holidays.reverse();
    }
}

#[test]
fn a_holiday_may_take_several_days() {
    let mut document = office("Europe/Vienna");
    document.holidays.push(calendar::Holiday { days: Some(3), ..holiday("Move", "2026-05-12") });
    let calendar = compiled(&document);
    assert_eq!(calendar.add_working(at("2026-05-11T17:00+02:00"), minutes(1)), Ok(at("2026-05-15T09:01+02:00")));
}

#[test]
fn a_day_may_end_at_24_00() {
    let late = compiled(&document("Europe/Vienna", &WORKDAYS, &[("22:00", "24:00")]));
    let friday = at("2026-01-16T00:00+01:00");
    assert_eq!(late.add_working(friday, minutes(120)), Ok(at("2026-01-17T00:00+01:00")));
    assert_eq!(late.closing_after(friday), Some(at("2026-01-17T00:00+01:00")));
}

#[test]
fn work_past_midnight_is_one_stretch_of_two_intervals() {
    let mut document = document("Europe/Vienna", &[], &[]);
    document.week.push(interval(Weekday::Tuesday, "00:00", "06:00"));
    document.week.push(interval(Weekday::Monday, "22:00", "24:00"));
    let night = compiled(&document);
    let monday = at("2026-01-19T12:00+01:00");
    assert_eq!(night.next_opening(monday), Some(at("2026-01-19T22:00+01:00")));
    assert_eq!(night.closing_after(monday), Some(at("2026-01-20T06:00+01:00")));
    assert_eq!(night.add_working(monday, minutes(180)), Ok(at("2026-01-20T01:00+01:00")));
}

#[test]
fn the_leap_day_is_a_day() {
    let calendar = compiled(&document("UTC", &Weekday::ALL, &[("09:00", "17:00")]));
    let worked = |from, to| calendar.working_between(at(from), at(to));
    assert_eq!(worked("2028-02-28T00:00+00:00", "2028-03-01T00:00+00:00"), minutes(2 * 480));
    assert_eq!(worked("2100-02-28T00:00+00:00", "2100-03-01T00:00+00:00"), minutes(480));
    let mut free = document("UTC", &Weekday::ALL, &[("09:00", "17:00")]);
    free.holidays.push(holiday("Leap day", "2028-02-29"));
    assert_eq!(compiled(&free).next_opening(at("2028-02-28T17:00+00:00")), Some(at("2028-03-01T09:00+00:00")));
}

#[test]
fn round_the_clock_counts_what_passes() {
    let always = compiled(&document("Europe/Vienna", &Weekday::ALL, &[("00:00", "24:00")]));
    // 23 hours in spring, 25 in autumn.
    let day = |from, to| always.working_between(at(from), at(to));
    assert_eq!(day("2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"), minutes(23 * 60));
    assert_eq!(day("2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"), minutes(25 * 60));
}

#[test]
fn a_closed_day_in_round_the_clock_work_closes_it() {
    let mut document = document("Europe/Vienna", &Weekday::ALL, &[("00:00", "12:00"), ("12:00", "24:00")]);
    document.holidays.push(holiday("Christmas", "2026-12-25"));
    let calendar = compiled(&document);
    assert_eq!(calendar.closing_after(at("2026-03-01T00:00+01:00")), Some(at("2026-12-25T00:00+01:00")));
    assert_eq!(calendar.next_opening(at("2026-12-25T00:00+01:00")), Some(at("2026-12-26T00:00+01:00")));
    assert_eq!(calendar.closing_after(at("2026-12-25T00:00+01:00")), None);
}

#[test]
fn there_is_nothing_beyond_the_horizon() {
    let vienna = compiled(&office("Europe/Vienna"));
    assert_eq!(vienna.add_working(at("2026-01-16T12:00+01:00"), Duration::days(366 * 150)), Err(BeyondHorizon));
    assert_eq!(vienna.add_working(at("2026-01-16T12:00+01:00"), Duration::MAX), Err(BeyondHorizon));
    assert_eq!(vienna.add_working(at("2140-01-16T12:00+01:00"), minutes(1)), Err(BeyondHorizon));
    assert!(!vienna.is_open(at("2140-01-16T12:00+01:00")));
    assert_eq!(vienna.next_opening(at("2140-01-16T12:00+01:00")), None);
    assert_eq!(vienna.closing_after(at("2140-01-16T12:00+01:00")), None);
    assert!(!vienna.is_open(at("1969-01-16T12:00+01:00")));
    assert_eq!(vienna.next_opening(at("1969-01-16T12:00+01:00")), Some(at("1970-01-01T09:00+01:00")));
    assert_eq!(vienna.add_working(at("1969-01-16T12:00+01:00"), minutes(1)), Ok(at("1970-01-01T09:01+01:00")));
    assert_eq!(vienna.add_working(chrono::DateTime::<chrono::Utc>::MAX_UTC, minutes(1)), Err(BeyondHorizon));
    assert!(!vienna.is_open(chrono::DateTime::<chrono::Utc>::MAX_UTC));
    assert!(!vienna.is_open(chrono::DateTime::<chrono::Utc>::MIN_UTC));
}

#[test]
fn the_zone_is_named_as_the_database_has_it() {
    assert_eq!(compiled(&office("europe/vienna")).time_zone(), "Europe/Vienna");
}

#[test]
fn a_document_is_what_its_json_says() {
    let text = r#"{
        "timeZone": "Europe/Vienna",
        "week": [{ "day": "MONDAY", "from": "08:00", "to": "12:00" }],
        "holidays": [
            { "name": "New Year", "date": "2026-01-01", "rule": "FREQ=YEARLY" },
            { "name": "Christmas Eve", "date": "2026-12-24", "hours": [{ "from": "08:00", "to": "12:00" }] }
        ]
    }"#;
    let document: calendar::CalendarDocument = serde_json::from_str(text).unwrap();
    assert_eq!(document.holidays[1].hours[0].to, "12:00");
    assert_eq!(serde_json::to_value(&document).unwrap(), serde_json::from_str::<serde_json::Value>(text).unwrap());
    let unknown = text.replace("\"rule\"", "\"rules\"");
    assert!(serde_json::from_str::<calendar::CalendarDocument>(&unknown).is_err());
}
