//! Times on the way to SQLite: one fixed-width text in UTC, so that comparing texts compares times.
//!
//! The driver writes a `DateTime<Utc>` with as many decimals as it needs, which does not sort. So every
//! statement that goes through [`Reader`](crate::Reader) or [`Tx`](crate::Tx) has its bound times replaced by
//! [`text`]; nobody needs to think of it, as long as times are *bound*. Whoever writes a time into SQL text
//! by hand uses [`text`]. PostgreSQL has `timestamptz` and takes them as they are.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use kernel::Timestamp;
use sea_orm::{Statement, Value};

use crate::Engine;

/// A time as SQLite stores it: `2026-01-31T09:30:00.000000Z`, always 27 characters. Years before 0 and
/// after 9999 are stored as the nearest time that has four digits.
pub fn text(time: Timestamp) -> String {
    let year = time.year();
    let bounded = match year {
        0..=9999 => time,
        ..0 => NaiveDate::from_ymd_opt(0, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).map_or(time, |t| t.and_utc()),
        _ => NaiveDate::from_ymd_opt(9999, 12, 31)
            .and_then(|day| day.and_hms_micro_opt(23, 59, 59, 999_999))
            .map_or(time, |t| t.and_utc()),
    };
    let numbers = [
        (bounded.year().unsigned_abs(), 4, b'-'),
        (bounded.month(), 2, b'-'),
        (bounded.day(), 2, b'T'),
        (bounded.hour(), 2, b':'),
        (bounded.minute(), 2, b':'),
        (bounded.second(), 2, b'.'),
        // A leap second has more than a million; it is stored as the last moment of the second before.
        ((bounded.nanosecond() / 1_000).min(999_999), 6, b'Z'),
    ];
    // Digit by digit: each write makes some ten of these, and a format is read anew for each.
    let mut text = String::with_capacity(27);
    for (number, digits, behind) in numbers {
        for place in (0..digits).rev() {
            let digit = number / 10_u32.pow(place) % 10;
            text.push(char::from_digit(digit, 10).unwrap_or('0'));
        }
        text.push(char::from(behind));
    }
    text
}

/// Reads what [`text`] wrote.
pub fn parse(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// The statement with its bound times as the engine stores them.
pub(crate) fn bind(engine: Engine, mut statement: Statement) -> Statement {
    if engine == Engine::Sqlite
        && let Some(values) = &mut statement.values
    {
        for value in &mut values.0 {
            let stored = match value {
                Value::ChronoDateTimeUtc(time) => time.as_ref().map(|time| text(*time)),
                Value::ChronoDateTimeWithTimeZone(time) => time.as_ref().map(|time| text(time.with_timezone(&Utc))),
                _ => continue,
            };
            *value = Value::String(stored);
        }
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn texts_sort_as_times_do() {
        let start = DateTime::UNIX_EPOCH + Duration::days(20_000);
        let times = [
            start - Duration::microseconds(1),
            start,
            start + Duration::microseconds(1),
            start + Duration::milliseconds(1),
            start + Duration::milliseconds(100),
            start + Duration::seconds(1),
            start + Duration::days(400),
        ];
        let texts = times.map(text);
        assert!(texts.is_sorted());
        assert!(texts.iter().all(|text| text.len() == 27));
        assert!(
            times.iter().zip(&texts).all(|(time, text)| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string() == *text)
        );
        assert_eq!(texts.map(|text| parse(&text)), times.map(Some));
    }

    #[test]
    fn extremes_keep_their_side() {
        assert_eq!(text(DateTime::<Utc>::MIN_UTC), "0000-01-01T00:00:00.000000Z");
        assert_eq!(text(DateTime::<Utc>::MAX_UTC), "9999-12-31T23:59:59.999999Z");
    }
}
