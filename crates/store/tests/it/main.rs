//! The store on both engines.

mod cursors;
mod events;
mod faults;
mod idempotent;
mod jobs;
mod log_race;
mod opening;
mod support;
mod times;
mod writes;
