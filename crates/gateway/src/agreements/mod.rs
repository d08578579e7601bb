//! Service level management in the API: agreements, requirements, reviews and improvements.

pub mod filters;
pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod reviews;
pub mod types;

pub use reviews::ServiceReview;
pub use types::{ServiceAgreement, ServiceImprovement, ServiceLevelRequirement};
