//! Custom fields in the API: definitions, values on tickets, and how filters and inputs name them.

pub mod filters;
pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod types;

pub use filters::CustomFieldFilter;
pub use inputs::{CustomFieldInput, set};
pub use types::{CustomField, CustomFieldValue};
