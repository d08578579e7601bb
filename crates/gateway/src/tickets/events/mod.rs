//! Events in the API: one type for each kind, two interfaces.
//!
//! All kinds are declared in [`kinds`]. What a kind shows besides that which all show is an object of the file of its topic,
//! whose fields become its own.

mod approvals;
mod comments;
pub mod incidents;
pub mod kinds;
pub mod links;
mod problems;
mod recurring;
mod service_levels;
mod tasks;
mod time;
pub mod view;

pub use kinds::{Event, TicketEvent, TicketEventKind};
pub use view::{EventChannel, EventView, FieldChange};
