//! Service levels: the rules on stories told event by event, and the whole on both engines.

mod limits;
mod oracle;
mod rules;
#[path = "../../../ticket/tests/it/setup.rs"]
mod setup;
mod story;
