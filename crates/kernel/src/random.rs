//! Ids and secrets: the only door to the operating system's random source.

use rand::Rng;
use uuid::{Builder, Uuid};

use crate::Timestamp;

/// A new UUIDv7 whose time part is `now`, so that ids sort by creation.
pub fn new_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &bytes::<10>()).into_uuid()
}

/// `N` bytes that nobody can guess.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0u8; N];
    rand::rng().fill_bytes(&mut buffer);
    buffer
}

/// A number in `0..bound` for jitter; 0 when `bound` is 0.
pub fn below(bound: u64) -> u64 {
    if bound == 0 { 0 } else { u64::from_le_bytes(bytes::<8>()) % bound }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Duration};

    #[test]
    fn ids_sort_by_time() {
        let start = DateTime::UNIX_EPOCH + Duration::days(20_000);
        let early = new_id(start);
        let late = new_id(start + Duration::milliseconds(1));
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
    }

    #[test]
    fn below_stays_below() {
        assert_eq!(below(0), 0);
        assert!((0..100).all(|_| below(3) < 3));
    }
}
