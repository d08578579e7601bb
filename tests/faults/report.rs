//! What a scenario did and found: faults, counts and violations, for one line of JSON.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

/// How many violations of one scenario are told in full; further ones are only counted.
const TOLD: usize = 20;

/// The books of one scenario on one engine.
pub struct Report {
    scenario: &'static str,
    engine: &'static str,
    begun: Instant,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    faults: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
    violations: Vec<String>,
    further: u64,
}

impl Report {
    /// Opens the books.
    pub fn new(scenario: &'static str, engine: &'static str) -> Self {
        Self { scenario, engine, begun: Instant::now(), books: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault was injected.
    pub fn fault(&self, kind: &str) {
        *self.books().faults.entry(kind.to_owned()).or_default() += 1;
    }

    /// Something was counted.
    pub fn count(&self, name: &str, number: usize) {
        *self.books().counts.entry(name.to_owned()).or_default() += number as u64;
    }

    /// The largest of what was measured under this name.
    pub fn most(&self, name: &str, number: u64) {
        let mut books = self.books();
        let known = books.counts.entry(name.to_owned()).or_default();
        *known = number.max(*known);
    }

    /// A promise was broken.
    pub fn violation(&self, text: impl Into<String>) {
        let text = text.into();
        eprintln!("VIOLATION ({} on {}): {text}", self.scenario, self.engine);
        let mut books = self.books();
        if books.violations.len() < TOLD {
            books.violations.push(text);
        } else {
            books.further += 1;
        }
    }

    /// Notes a violation unless the promise was kept.
    pub fn check(&self, kept: bool, otherwise: impl FnOnce() -> String) {
        if !kept {
            self.violation(otherwise());
        }
    }

    /// Whether every promise was kept.
    pub fn clean(&self) -> bool {
        self.books().violations.is_empty()
    }

    /// Everything.
    pub fn json(&self) -> Value {
        let books = self.books();
        json!({
            "scenario": self.scenario,
            "engine": self.engine,
            "seconds": (self.begun.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            "faults": books.faults,
            "counts": books.counts,
            "violations": books.violations,
            "furtherViolations": books.further,
        })
    }
}
