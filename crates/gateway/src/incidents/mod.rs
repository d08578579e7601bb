//! Incidents in the API.

pub mod alerts;
pub mod escalation;
pub mod intake;
pub mod major;
pub mod major_mutations;
pub mod major_queries;
pub mod mutations;
pub mod queries;
pub mod suggestions;
pub mod types;

pub use alerts::{Alert, AlertRule};
pub use types::Incident;
