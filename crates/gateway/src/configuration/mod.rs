//! Services and configuration items in the API.

pub mod filters;
pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod types;

pub use filters::ServiceFilter;
pub use inputs::{CiRef, ServiceRef};
pub use types::{ConfigurationItem, Service};
