//! Slows down guessing: a bounded number of failed sign-ins per tenant and e-mail address and span of time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::Timestamp;
use moka::sync::Cache;

/// How many sign-ins of one address may fail within [`ATTEMPT_WINDOW`].
pub const MAX_ATTEMPTS: usize = 10;
/// The span of time in which failed sign-ins are counted.
pub const ATTEMPT_WINDOW: Duration = Duration::from_secs(5 * 60);
/// How many addresses are watched at once; beyond, the least used are forgotten.
pub const WATCHED_ADDRESSES: u64 = 100_000;

type Times = Arc<Mutex<Vec<Timestamp>>>;

/// Counts the failed sign-ins of each address, in this process.
#[derive(Clone)]
pub(crate) struct Attempts(Cache<(String, String), Times>);

impl Attempts {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(WATCHED_ADDRESSES).time_to_idle(ATTEMPT_WINDOW * 2).build())
    }

    /// Counts an attempt before it is made; `false` when it must not be made. One that succeeds is forgotten with
    /// [`Attempts::forget`]; counting first keeps concurrent guesses from passing together.
    pub fn admit(&self, tenant: &str, email: &str, now: Timestamp) -> bool {
        let times = self.0.get_with((tenant.to_owned(), email.to_owned()), Times::default);
        let mut times = times.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        times.retain(|time| now - ATTEMPT_WINDOW < *time);
        let admitted = times.len() < MAX_ATTEMPTS;
        if admitted {
            times.push(now);
        }
        admitted
    }

    /// Forgets the attempts of an address that signed in.
    pub fn forget(&self, tenant: &str, email: &str) {
        self.0.invalidate(&(tenant.to_owned(), email.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_in_five_minutes_and_no_more() {
        let attempts = Attempts::new();
        let start = Timestamp::UNIX_EPOCH;
        assert!((0..MAX_ATTEMPTS).all(|_| attempts.admit("acme", "ada@acme.example", start)));
        assert!(!attempts.admit("acme", "ada@acme.example", start));
        assert!(attempts.admit("acme", "bob@acme.example", start), "another address is not concerned");
        assert!(attempts.admit("other", "ada@acme.example", start), "another tenant is not concerned");
        assert!(attempts.admit("acme", "ada@acme.example", start + ATTEMPT_WINDOW));
    }

    #[test]
    fn a_success_starts_anew() {
        let attempts = Attempts::new();
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..MAX_ATTEMPTS {
            attempts.admit("acme", "ada@acme.example", start);
        }
        attempts.forget("acme", "ada@acme.example");
        assert!(attempts.admit("acme", "ada@acme.example", start));
    }
}
