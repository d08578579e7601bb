//! Time as the product knows it: UTC instants with microsecond precision, from a clock that is handed in.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Duration, SubsecRound, Utc};

/// An instant in UTC, rounded down to whole microseconds (the finest both engines store).
pub type Timestamp = DateTime<Utc>;

/// Where the current time comes from. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's clock.
    System,
    /// A clock that stands still until it is moved; for tests.
    Manual(ManualClock),
}

impl Clock {
    /// The current instant, in whole microseconds.
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Utc::now().trunc_subsecs(6),
            Clock::Manual(clock) => clock.now(),
        }
    }
}

/// Reads an ISO 8601 duration such as `P14D`, `-PT1H30M`. A week has 7 days and a day 24 hours; years and months have no length
/// of their own and are refused.
pub fn parse_duration(text: &str) -> Option<Duration> {
    // The parser knows a friendlier form as well (`14 days`), which is no ISO 8601.
    text.trim_start_matches(['-', '+']).strip_prefix('P')?;
    let span: jiff::Span = text.parse().ok()?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_seconds(length.as_secs())
}

/// Writes a duration in ISO 8601, in hours, minutes and seconds; fractions of a second are left out.
pub fn format_duration(length: Duration) -> String {
    jiff::SignedDuration::from_secs(length.num_seconds()).to_string()
}

/// A clock that only moves when told to.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(start.trunc_subsecs(6))))
    }

    /// The instant it stands at.
    pub fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Moves it forward (or, with a negative duration, back).
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *now += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_has_no_nanoseconds() {
        assert_eq!(Clock::System.now().timestamp_subsec_nanos() % 1_000, 0);
    }

    #[test]
    fn durations_are_those_of_iso_8601() {
        assert_eq!(parse_duration("-P14D"), Some(Duration::days(-14)));
        assert_eq!(parse_duration("P1W"), Some(Duration::days(7)));
        assert_eq!(parse_duration("PT1H30M"), Some(Duration::minutes(90)));
        for wrong in ["14 days", "P1M", "P1Y", "P", "", "yesterday"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        assert_eq!(format_duration(Duration::minutes(90)), "PT1H30M");
        assert_eq!(format_duration(Duration::zero()), "PT0S");
        for seconds in [1, 59, 3_600, 86_399, 1_000_000, -61] {
            let length = Duration::seconds(seconds);
            assert_eq!(parse_duration(&format_duration(length)), Some(length));
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::starting_at(DateTime::UNIX_EPOCH);
        let shared = Clock::Manual(clock.clone());
        assert_eq!(shared.now(), DateTime::UNIX_EPOCH);
        clock.advance(Duration::days(5));
        assert_eq!(shared.now(), DateTime::UNIX_EPOCH + Duration::days(5));
    }
}
