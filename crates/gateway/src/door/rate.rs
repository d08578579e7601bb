//! How often one principal may ask: a token bucket each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::{Clock, Timestamp, Uuid};
use moka::sync::Cache;

use super::limits::Limits;

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// A principal: tenant and actor.
    Principal(Uuid, Uuid),
    /// Somebody without credentials, by network address.
    Address(std::net::IpAddr),
    /// Somebody without credentials and without a known address.
    Unknown,
}

/// What a bucket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whether this request may pass.
    pub passed: bool,
    /// How many more may pass right now.
    pub remaining: u64,
    /// When the bucket will be full again.
    pub reset_at: Timestamp,
    /// How long to wait for the next to pass, in whole seconds, at least 1.
    pub retry_after: u64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// The buckets of all principals; forgets those that have been full for a minute.
#[derive(Debug)]
pub struct RateLimiter {
    buckets: Cache<RateKey, Arc<Mutex<Bucket>>>,
    per_second: f64,
    burst: f64,
    clock: Clock,
}

impl RateLimiter {
    /// Buckets as the limits say.
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        let per_second = limits.requests_per_second.max(1) as f64;
        let burst = limits.request_burst.max(1) as f64;
        let refill = Duration::from_secs_f64(burst / per_second);
        Self {
            buckets: Cache::builder()
                .max_capacity(limits.rate_entries)
                .time_to_idle(refill + Duration::from_secs(60))
                .build(),
            per_second,
            burst,
            clock,
        }
    }

    /// Takes one token, if there is one.
    pub fn take(&self, key: RateKey) -> Allowance {
        let now = self.clock.now();
        let bucket = self.buckets.get_with(key, || Arc::new(Mutex::new(Bucket { tokens: self.burst, at: now })));
        let mut bucket = bucket.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let elapsed = (now - bucket.at).num_microseconds().unwrap_or(i64::MAX).max(0) as f64 / 1e6;
        bucket.tokens = (bucket.tokens + elapsed * self.per_second).min(self.burst);
        bucket.at = now;
        let passed = bucket.tokens >= 1.0;
        if passed {
            bucket.tokens -= 1.0;
        }
        let until_full = (self.burst - bucket.tokens) / self.per_second;
        let until_next = (1.0 - bucket.tokens).max(0.0) / self.per_second;
        Allowance {
            passed,
            remaining: bucket.tokens as u64,
            reset_at: now + chrono::Duration::microseconds((until_full * 1e6) as i64),
            retry_after: (until_next.ceil() as u64).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Duration as Span};
    use kernel::ManualClock;

    #[test]
    fn a_burst_then_the_rate() {
        let clock = ManualClock::starting_at(DateTime::UNIX_EPOCH);
        let limits = Limits { requests_per_second: 2, request_burst: 3, ..Limits::default() };
        let limiter = RateLimiter::new(&limits, Clock::Manual(clock.clone()));
        let take = || limiter.take(RateKey::Unknown);
        let passed: Vec<bool> = (0..4).map(|_| take().passed).collect();
        assert_eq!(passed, [true, true, true, false]);
        assert_eq!((take().retry_after, take().remaining), (1, 0));
        assert_eq!(take().reset_at, clock.now() + Span::milliseconds(1_500));
        clock.advance(Span::milliseconds(500));
        assert!(take().passed);
        assert!(!take().passed);
        assert!(limiter.take(RateKey::Principal(Uuid::nil(), Uuid::nil())).passed, "others do not notice");
        clock.advance(Span::days(1));
        assert_eq!(take().remaining, 2, "never more than the burst");
    }
}
