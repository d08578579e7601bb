//! Ids and secrets: the only door to the operating system's random source.

use std::sync::Mutex;

use rand::Rng;
use uuid::{Builder, Uuid};

use crate::Timestamp;

/// A new UUIDv7 whose time part is `now`, so that ids sort by creation. Those that this process makes one after the
/// other within a millisecond sort so too, up to some two thousand of them (the fixed-length counter of RFC 9562,
/// section 6.2); the other 62 bits are random.
pub fn new_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let mut random = bytes::<10>();
    let count = next_count(millis, u16::from_be_bytes([random[0], random[1]]));
    random[..2].copy_from_slice(&count.to_be_bytes());
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Twelve bits: one more than the last within the same millisecond, else a random number with room above it.
fn next_count(millis: u64, random: u16) -> u16 {
    static LAST: Mutex<(u64, u16)> = Mutex::new((0, 0));
    let mut last = LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let count = if last.0 == millis { (last.1 + 1) & 0x0fff } else { random & 0x07ff };
    *last = (millis, count);
    count
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
    fn ids_of_one_millisecond_sort_as_they_were_made() {
        // A time of its own: other tests make ids meanwhile, and each change of the millisecond starts anew.
        let now = DateTime::UNIX_EPOCH + Duration::days(30_000);
        let ids: Vec<_> = (0..1_000).map(|_| new_id(now)).collect();
        let unordered = ids.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        assert!(unordered < 10, "{unordered} of 1,000");
    }

    #[test]
    fn below_stays_below() {
        assert_eq!(below(0), 0);
        assert!((0..100).all(|_| below(3) < 3));
    }
}
