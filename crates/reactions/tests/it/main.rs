//! Following the log, on both engines: each event once, whoever follows; failures beside the way; loops cut and reported.

mod following;
#[path = "../../../ticket/tests/it/setup.rs"]
mod setup;
