//! Time entries, what they cost, and the rates that say so.

pub mod cost;
pub mod entries;
pub mod mutations;
pub mod rates;

pub use cost::{Money, TicketCost};
pub use entries::TimeEntry;
pub use rates::LabourRate;
