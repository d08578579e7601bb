//! Problems in the API.

pub mod detection;
pub mod linking;
pub mod mutations;
pub mod queries;
pub mod types;

pub use detection::ProblemDetectionRule;
pub use types::Problem;
