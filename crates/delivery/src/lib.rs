//! From the event log outward. For now: the live hub, which wakes subscriptions.
//!
//! The hub keeps one reader of the log per process and a bounded ring of recent events. A subscriber is a cursor, not a
//! queue: one that falls behind the ring reads the log itself and costs no memory.

mod hub;

pub use hub::{LiveHub, RING_CAPACITY, Subscription};
