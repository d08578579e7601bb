//! Incidents in the API.

pub mod alerts;
pub mod intake;
pub mod mutations;
pub mod queries;
pub mod types;

pub use alerts::{Alert, AlertRule};
pub use types::Incident;
