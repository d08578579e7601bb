//! Workflows in the API: reading, drafting, publishing.

pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod types;
