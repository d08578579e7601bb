//! People in the API: users, service accounts, teams, roles, tokens and sessions.

pub mod filters;
pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod scalars;
#[cfg(test)]
mod tests;
pub mod types;
pub mod viewer;

pub use filters::{TeamFilter, UserFilter};
pub use inputs::{TeamRefInput, UserRefInput};
pub use types::{Actor, ServiceAccount, Team, User};
