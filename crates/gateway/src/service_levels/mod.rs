//! Service levels in the API: calendars, policies, and the clocks of tickets.

pub mod attainment;
pub mod background;
pub mod clocks;
pub mod filters;
pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod types;

pub use clocks::SlaClock;
pub use types::{Calendar, SlaPolicy};
