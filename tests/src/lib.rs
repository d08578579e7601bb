//! The harness of the end-to-end scenarios: a real server on each engine, a small company in it, and clients that know
//! nothing but the API.
//!
//! - [`installation`]: a server on a database of its own, its clock, its restarts.
//! - [`company`]: the people that the scenarios are played by.
//! - [`client`]: GraphQL over HTTP.
//! - [`slowly`]: work in the background, a step at a time.
//! - [`socket`]: `graphql-transport-ws`, frame by frame.
//! - [`stream`]: Server-Sent Events.
//!
//! The harness panics where a test would fail: it is part of the tests.

pub mod client;
pub mod company;
pub mod installation;
pub mod slowly;
pub mod socket;
pub mod stream;

use std::time::Duration;

use serde_json::Value;

/// No scenario waits longer for one thing.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// An input with these fields, instead of its own where it has them.
///
/// # Panics
/// When `more` is no object.
pub fn with(mut input: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        input[name] = value.clone();
    }
    input
}

/// Awaits something that must come soon.
///
/// # Panics
/// When it does not.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come"),
    }
}
