//! The events of incidents, beside those of tickets.

/// Alerts came in on an incident: began, were told again, or ended; they are in the payload. For those who work on it.
pub const ALERTS_RECEIVED: &str = "AlertsReceived";
/// A rule of alerts was added.
pub const ALERT_RULE_CREATED: &str = "AlertRuleCreated";
/// A rule of alerts changed.
pub const ALERT_RULE_UPDATED: &str = "AlertRuleUpdated";
/// What the log calls rules of alerts.
pub const SUBJECT_ALERT_RULE: &str = "alertRule";
/// An incident was opened.
pub const CREATED: &str = "IncidentCreated";
/// An incident was resolved.
pub const RESOLVED: &str = "IncidentResolved";
/// A resolved incident was reopened.
pub const REOPENED: &str = "IncidentReopened";
