//! Tasks in the API.

pub mod mutations;
pub mod queries;
pub mod types;

pub use queries::TaskConnection;
pub use types::Task;
