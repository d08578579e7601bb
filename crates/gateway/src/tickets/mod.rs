//! Tickets of any kind in the API: types, filters, queries, mutations, subscriptions, events.

pub mod alike;
pub mod bulk;
pub mod canned_responses;
pub mod comments;
pub mod documents;
pub mod event_log;
pub mod events;
pub mod filters;
pub mod links;
pub mod merges;
pub mod mutations;
pub mod object;
pub mod past;
pub mod queries;
pub mod recurrence;
pub mod recurring_tickets;
pub mod saved_filters;
pub mod settings;
pub mod statistics;
pub mod subscriptions;
pub mod templates;
pub mod transfer;
pub mod types;
pub mod words;

pub use events::{Event, TicketEvent};
pub use types::Ticket;
