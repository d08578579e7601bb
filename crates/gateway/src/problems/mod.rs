//! Problems in the API.

pub mod linking;
pub mod mutations;
pub mod queries;
pub mod types;

pub use types::Problem;
