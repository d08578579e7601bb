//! Holidays out of iCalendar files: what is taken, what is left out and why, and files of any kind.

use calendar::{
    Calendar, Holiday, Imported, MAX_EVENTS, MAX_EXCEPTIONS, MAX_HOLIDAYS, MAX_ICAL_BYTES, MAX_NAME, MAX_RULES,
    holidays_from_ical,
};

use crate::support::{Random, compiled, holiday, office};

/// A file with these events.
fn file(events: &[&str]) -> String {
    let events: String =
        events.iter().map(|event| format!("BEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\n", event.trim())).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//Test//EN\r\n{events}END:VCALENDAR\r\n")
}

fn imported(events: &[&str]) -> Imported {
    holidays_from_ical(&file(events)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The dates of the holidays that an event becomes.
fn dates(event: &str) -> Vec<String> {
    let imported = imported(&[event]);
    assert_eq!(imported.skipped, []);
    imported.holidays.into_iter().map(|holiday| holiday.date).collect()
}

/// Why an event becomes no holiday.
fn reason(event: &str) -> String {
    let imported = imported(&[event]);
    assert_eq!(imported.holidays, [], "{event}");
    imported.skipped.into_iter().next().expect("the event is skipped").reason
}

fn refusal(text: &str) -> String {
    let problems = holidays_from_ical(text).expect_err("the file must be refused");
    assert_eq!(problems.len(), 1);
    assert!(problems[0].path.is_empty());
    problems[0].message.clone()
}

/// As a national calendar is published: folded lines, escapes, an alarm inside, an event with a time.
const PUBLISHED: &str = "\u{feff}BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Some Office//Holidays//EN\r
BEGIN:VTIMEZONE\r
TZID:Europe/Vienna\r
BEGIN:STANDARD\r
DTSTART:19701025T030000\r
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
UID:1@example.com\r
DTSTART;VALUE=DATE:20261226\r
DTEND;VALUE=DATE:20261227\r
SUMMARY;LANGUAGE=en:St. Stephen's Day\\, the second of Christ\r
 mas\r
DESCRIPTION:A day\\nwith a line\r
TRANSP:TRANSPARENT\r
BEGIN:VALARM\r
ACTION:DISPLAY\r
SUMMARY:Wake up\r
DTSTART:20200101T000000Z\r
TRIGGER:-PT15M\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:2@example.com\r
DTSTART;VALUE=DATE:20200501\r
RRULE:FREQ=YEARLY\r
SUMMARY:Labour Day\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:3@example.com\r
DTSTART;TZID=Europe/Vienna:20261231T180000\r
DTEND;TZID=Europe/Vienna:20261231T230000\r
SUMMARY:Party\r
END:VEVENT\r
END:VCALENDAR\r
";

#[test]
fn a_published_calendar_is_taken_over() {
    let imported = holidays_from_ical(PUBLISHED).unwrap();
    assert_eq!(
        imported.holidays,
        [
            Holiday { rule: Some("FREQ=YEARLY".into()), ..holiday("Labour Day", "2020-05-01") },
            holiday("St. Stephen's Day, the second of Christmas", "2026-12-26"),
        ]
    );
    assert_eq!(imported.skipped.len(), 1);
    assert_eq!(imported.skipped[0].summary, "Party");
    assert_eq!(imported.skipped[0].reason, "it has a time of day; only events of whole days become holidays");
    let mut document = office("Europe/Vienna");
    document.holidays = imported.holidays;
    compiled(&document);
}

#[test]
fn several_days_become_several_holidays() {
    assert_eq!(
        dates("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227"),
        ["2026-12-24", "2026-12-25", "2026-12-26"]
    );
    assert_eq!(dates("DTSTART:20261231\nDURATION:P2D"), ["2026-12-31", "2027-01-01"]);
    assert_eq!(dates("DTSTART:20261231\nDURATION:P1W").len(), 7);
    // Without an end it is the one day; so it is with one that is not after the beginning.
    assert_eq!(dates("DTSTART;VALUE=DATE:20261224"), ["2026-12-24"]);
    assert_eq!(dates("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261224"), ["2026-12-24"]);
    assert_eq!(dates("DTSTART;VALUE=DATE:21291231\nDTEND;VALUE=DATE:21300102"), ["2129-12-31"]);
}

#[test]
fn several_days_that_come_again_stay_one_holiday() {
    let holidays = imported(&["DTSTART:20261224\nDTEND:20261227\nRRULE:FREQ=YEARLY;UNTIL=20301231T000000Z"]).holidays;
    let expected = Holiday {
        days: Some(3),
        rule: Some("FREQ=YEARLY;UNTIL=20301231T000000Z".into()),
        ..holiday("Holiday", "2026-12-24")
    };
    assert_eq!(holidays, [expected]);
}

#[test]
fn dates_are_added_and_taken_away() {
    assert_eq!(
        dates("DTSTART:20260105\nRDATE;VALUE=DATE:20260112,20260119\nRDATE:20260112\nEXDATE:20260119"),
        ["2026-01-05", "2026-01-12"]
    );
    let series = imported(&[
        "DTSTART:20260101\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20280101\nEXDATE:20300101T000000Z,20310505",
    ]);
    // The last of the exceptions is no day of the series.
    assert_eq!(series.holidays[0].except, ["2028-01-01", "2030-01-01"]);
}

#[test]
fn a_first_day_that_does_not_fit_its_rule_is_one_nevertheless() {
    let holidays = imported(&["SUMMARY:Thanks\nDTSTART:20260101\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"]).holidays;
    let series = Holiday { rule: Some("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH".into()), ..holiday("Thanks", "2026-01-01") };
    assert_eq!(holidays, [series, holiday("Thanks", "2026-01-01")]);
}

#[test]
fn a_day_of_a_series_that_was_moved_is_moved() {
    let series = "UID:a\nSUMMARY:Outing\nDTSTART:20260601\nRRULE:FREQ=YEARLY";
    let moved = "UID:a\nSUMMARY:Outing\nRECURRENCE-ID;VALUE=DATE:20280601\nDTSTART:20280608";
    let dropped = "UID:a\nSUMMARY:Outing\nRECURRENCE-ID:20290601\nDTSTART:20290601\nSTATUS:CANCELLED";
    let imported = imported(&[moved, series, dropped]);
    let except = vec!["2028-06-01".to_owned(), "2029-06-01".to_owned()];
    let series = Holiday { rule: Some("FREQ=YEARLY".into()), except, ..holiday("Outing", "2026-06-01") };
    assert_eq!(imported.holidays, [series, holiday("Outing", "2028-06-08")]);
    assert_eq!(imported.skipped[0].reason, "it is cancelled");
}

#[test]
fn what_is_left_out_is_told_with_a_reason() {
    for (event, why) in [
        ("SUMMARY:Nothing", "it has no DTSTART"),
        ("DTSTART:20261224T080000Z", "it has a time of day"),
        ("DTSTART:soon", "`DTSTART:soon` is no date"),
        ("DTSTART:20260230", "`DTSTART:20260230` is no date"),
        ("DTSTART:18000101", "1800-01-01 is too far away"),
        ("DTSTART:20261224\nSTATUS:cancelled", "it is cancelled"),
        ("DTSTART:20261224\nDTEND:20261224T120000", "`DTEND:20261224T120000` is no date without a time"),
        ("DTSTART:20261224\nDTEND:20281224", "it takes 731 days; a holiday takes at most 366"),
        ("DTSTART:20261224\nDURATION:PT12H", "`DURATION:PT12H` is no number of whole days"),
        ("DTSTART:20261224\nDURATION:-P1D", "`DURATION:-P1D` is no number of whole days"),
        ("DTSTART:20261224\nRRULE:FREQ=HOURLY", "its rule `FREQ=HOURLY`: `FREQ=HOURLY` is finer than a day"),
        ("DTSTART:20261224\nRRULE:FREQ=DAILY", "its rule `FREQ=DAILY`: the rule gives more than 10000 days"),
        ("DTSTART:20261224\nRRULE:FREQ=YEARLY\nRRULE:FREQ=DAILY", "it has several rules"),
        ("DTSTART:20261224\nRRULE:FREQ=YEARLY\nEXRULE:FREQ=DAILY", "it has an EXRULE"),
        ("DTSTART:20261224\nEXDATE:20261224", "its exceptions leave no day"),
        ("DTSTART:20261224\nRRULE:FREQ=YEARLY;COUNT=1\nEXDATE:20261224", "its exceptions leave no day"),
        ("DTSTART:20261224\nEXDATE:never", "`EXDATE:never` is no date"),
        ("DTSTART:20261224\nRDATE;VALUE=PERIOD:20261224T000000Z/PT1H", "`RDATE:20261224T000000Z/PT1H` is no date"),
    ] {
        let reason = reason(event);
        assert!(reason.starts_with(why), "{event}: {reason}");
    }
    let many: String = (0..=MAX_EXCEPTIONS).map(|week| format!("EXDATE:{}\n", day(week * 7))).collect();
    assert_eq!(
        reason(&format!("DTSTART:20260101\nRRULE:FREQ=WEEKLY\n{many}")),
        "it has more than 200 exceptions from its rule"
    );
}

fn day(number: usize) -> String {
    let day = jiff::civil::date(2026, 1, 1) + jiff::Span::new().days(number as i64);
    day.strftime("%Y%m%d").to_string()
}

#[test]
fn names_are_lines_of_bounded_length() {
    let long = "ä".repeat(MAX_NAME + 10);
    let holidays =
        imported(&[&format!("DTSTART:20260101\nSUMMARY:{long}"), "DTSTART:20260102\nSUMMARY: New\\n Year "]).holidays;
    assert_eq!(holidays[0].name.chars().count(), MAX_NAME);
    assert_eq!(holidays[1].name, "New Year");
}

#[test]
fn what_is_no_whole_file_is_refused() {
    let whole = file(&["DTSTART:20260101"]);
    assert_eq!(refusal(""), "this is no iCalendar file: one begins with `BEGIN:VCALENDAR`");
    assert_eq!(refusal("<html>"), "this is no iCalendar file: one begins with `BEGIN:VCALENDAR`");
    assert_eq!(refusal(&whole.replace("END:VCALENDAR\r\n", "")), "the file ends before `END:VCALENDAR`; is it whole?");
    assert_eq!(refusal(&whole.replace("END:VEVENT\r\n", "")), "line 6: `END:VEVENT` is expected; is the file whole?");
    assert_eq!(refusal(&format!("{whole}END:VCALENDAR")), "line 8: nothing is open that could end here");
    assert_eq!(holidays_from_ical(&file(&[])), Ok(Imported::default()));
}

#[test]
fn files_are_limited() {
    let padded = |bytes: usize| {
        let file = file(&["DTSTART:20260101"]);
        format!("{file}{}", "\n".repeat(bytes - file.len()))
    };
    assert!(holidays_from_ical(&padded(MAX_ICAL_BYTES)).is_ok());
    assert_eq!(refusal(&padded(MAX_ICAL_BYTES + 1)), "the file is larger than 1024 KiB; leave out old events");

    let events = |count: usize, event: &str| file(&vec![event; count]);
    assert_eq!(holidays_from_ical(&events(MAX_EVENTS, "A:1")).unwrap().skipped.len(), MAX_EVENTS);
    assert_eq!(refusal(&events(MAX_EVENTS + 1, "A:1")), "the file has more than 5000 events; leave out old ones");
    assert!(holidays_from_ical(&events(MAX_HOLIDAYS, "DTSTART:20260101")).is_ok());
    assert_eq!(
        refusal(&events(MAX_HOLIDAYS + 1, "DTSTART:20260101")),
        "the file has more than 1000 holidays; leave out old ones"
    );
    let yearly = "DTSTART:20260101\nRRULE:FREQ=YEARLY";
    assert!(holidays_from_ical(&events(MAX_RULES, yearly)).is_ok());
    // Those of events with a time of day are not read, and not counted.
    assert!(holidays_from_ical(&events(MAX_RULES + 1, "DTSTART:20260101T090000\nRRULE:FREQ=YEARLY")).is_ok());
    assert_eq!(
        refusal(&events(MAX_RULES + 1, yearly)),
        "more than 100 holidays of the file have a rule; leave some out"
    );
}

#[test]
fn components_may_be_nested_as_deep_as_the_file_is_large() {
    let deep = "BEGIN:A\n".repeat(MAX_ICAL_BYTES / 8 - 2);
    assert_eq!(refusal(&format!("BEGIN:VCALENDAR\n{deep}")), "the file ends before `END:A`; is it whole?");
}

#[test]
fn whatever_a_file_says_what_is_taken_fits_a_calendar() {
    let mut taken = 0;
    let lines: Vec<&str> = PUBLISHED.lines().collect();
    let odd = [
        "DTSTART:20261224",
        "DTSTART:99991231",
        "DTEND:00010101",
        "RRULE:FREQ=WEEKLY;COUNT=4",
        "RRULE:",
        "EXDATE:,,",
        "RDATE:20280229",
        "DURATION:P9999999W",
        "SUMMARY:\\",
        "RECURRENCE-ID:20210501",
        "UID:2@example.com",
        " x",
        ":",
        "BEGIN:VEVENT",
        "END:VEVENT",
    ];
    for seed in 0..500 {
        let mut random = Random::of(seed);
        let mut lines = lines.clone();
        for _ in 0..random.range(1..6) {
            let place = random.range(0..lines.len());
            match random.range(0..3) {
                0 => drop(lines.remove(place)),
                1 => lines.insert(place, odd[random.range(0..odd.len())]),
                _ => lines[place] = &lines[place][lines[place].floor_char_boundary(lines[place].len() / 2)..],
            }
        }
        if let Ok(imported) = holidays_from_ical(&lines.join("\r\n")) {
            let mut document = office("Europe/Vienna");
            document.holidays = imported.holidays;
            Calendar::compile(&document).unwrap_or_else(|problems| panic!("{problems:?}: {lines:#?}"));
            taken += 1;
        }
    }
    assert!(taken > 125, "only {taken} files were taken");
}
