//! Incidents on both engines: opening, changing, each way through the workflow, and what happens by itself.

mod create;
mod lifecycle;
#[path = "../../../ticket/tests/it/setup.rs"]
mod setup;
mod timers;
mod update;
