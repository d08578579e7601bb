//! Approvals and delegations in the API.

pub mod mutations;
pub mod types;

pub use types::{Approval, Delegation};
