//! Incidents in the API.

pub mod mutations;
pub mod queries;
pub mod types;

pub use types::Incident;
