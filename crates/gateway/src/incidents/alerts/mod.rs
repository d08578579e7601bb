//! Alerts in the API, and the rules that they follow.

pub mod filters;
pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod rules;
pub mod types;

pub use mutations::AlertMutations;
pub use queries::AlertQueries;
pub use rules::AlertRule;
pub use types::{Alert, AlertOutcome};
