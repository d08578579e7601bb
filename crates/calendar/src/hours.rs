//! What is worked on one day: disjoint spans of minutes, in order.

use crate::steps::step;

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;
/// Microseconds of a minute.
pub const MINUTE: i64 = 60_000_000;
/// Microseconds of a day of 24 hours.
pub const DAY: i64 = DAY_MINUTES as i64 * MINUTE;

/// A half-open span of minutes of a day.
pub type Minutes = (u16, u16);

/// Reads `HH:MM`, from `00:00` to `24:00`.
pub fn minute_of(text: &str) -> Option<u16> {
    let digits = text.as_bytes();
    let [tens, ones, b':', ten, one] = digits else { return None };
    if ![tens, ones, ten, one].iter().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let two = |tens: &u8, ones: &u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    let minute = two(tens, ones) * 60 + two(ten, one);
    (two(ten, one) < 60 && minute <= DAY_MINUTES).then_some(minute)
}

/// Writes a minute of the day as `HH:MM`.
pub fn minute_text(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// What lies in both lists, which are in order and disjoint each.
pub fn intersection(one: &[Minutes], other: &[Minutes]) -> Vec<Minutes> {
    let mut common = Vec::new();
    let (mut left, mut right) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(&&(a, b)), Some(&&(c, d))) = (left.peek(), right.peek()) {
        let (from, to) = (a.max(c), b.min(d));
        if from < to {
            common.push((from, to));
        }
        if b <= d {
            left.next()
        } else {
            right.next()
        };
    }
    common
}

/// The worked spans of a day, each with what is worked before it that day. In microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    spans: Box<[Span]>,
    total: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: i64,
    to: i64,
    before: i64,
}

impl Hours {
    /// Of spans in order that do not overlap; spans that touch are joined.
    pub fn new(minutes: &[Minutes]) -> Self {
        let mut spans: Vec<Span> = Vec::with_capacity(minutes.len());
        let mut total = 0;
        for &(from, to) in minutes {
            let (from, to) = (i64::from(from) * MINUTE, i64::from(to) * MINUTE);
            match spans.last_mut() {
                Some(last) if last.to == from => last.to = to,
                _ => spans.push(Span { from, to, before: total }),
            }
            total += to - from;
        }
        Self { spans: spans.into(), total }
    }

    /// How much is worked on the whole day.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// How much is worked before a time of the day.
    pub fn before(&self, time: i64) -> i64 {
        let after = self.spans.partition_point(|span| {
            step();
            span.from < time
        });
        match after.checked_sub(1).and_then(|last| self.spans.get(last)) {
            Some(span) => span.before + (time.min(span.to) - span.from),
            None => 0,
        }
    }

    /// The earliest time of the day before which `worked` is worked. `worked` is more than nothing and at most the total.
    pub fn earliest(&self, worked: i64) -> i64 {
        let after = self.spans.partition_point(|span| {
            step();
            span.before < worked
        });
        match after.checked_sub(1).and_then(|last| self.spans.get(last)) {
            Some(span) => span.from + (worked - span.before),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_two_digits_a_colon_and_two_digits() {
        assert_eq!(minute_of("00:00"), Some(0));
        assert_eq!(minute_of("08:30"), Some(510));
        assert_eq!(minute_of("24:00"), Some(1_440));
        for wrong in ["", "8:00", "08:60", "24:01", "25:00", "08.00", "08:00:00", "+8:00", "0８:00", "08:0x"] {
            assert_eq!(minute_of(wrong), None, "{wrong}");
        }
        assert_eq!(minute_text(510), "08:30");
        assert_eq!(minute_text(1_440), "24:00");
    }

    #[test]
    fn what_two_lists_share() {
        assert_eq!(intersection(&[(0, 10), (20, 30)], &[(5, 25), (28, 40)]), [(5, 10), (20, 25), (28, 30)]);
        assert_eq!(intersection(&[(0, 10)], &[(10, 20)]), []);
        assert_eq!(intersection(&[(0, 10)], &[]), []);
    }

    #[test]
    fn spans_are_summed_and_found_again() {
        let hours = Hours::new(&[(60, 120), (120, 180), (300, 301)]);
        assert_eq!(hours.total(), 121 * MINUTE);
        assert_eq!(hours.before(60 * MINUTE), 0);
        assert_eq!(hours.before(150 * MINUTE), 90 * MINUTE);
        assert_eq!(hours.before(200 * MINUTE), 120 * MINUTE);
        assert_eq!(hours.before(DAY), 121 * MINUTE);
        assert_eq!(hours.earliest(1), 60 * MINUTE + 1);
        assert_eq!(hours.earliest(120 * MINUTE), 180 * MINUTE);
        assert_eq!(hours.earliest(120 * MINUTE + 1), 300 * MINUTE + 1);
        assert_eq!(hours.earliest(121 * MINUTE), 301 * MINUTE);
    }
}
