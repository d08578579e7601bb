//! The events of incidents, beside those of tickets.

/// An incident was opened.
pub const CREATED: &str = "IncidentCreated";
/// An incident was resolved.
pub const RESOLVED: &str = "IncidentResolved";
/// A resolved incident was reopened.
pub const REOPENED: &str = "IncidentReopened";
