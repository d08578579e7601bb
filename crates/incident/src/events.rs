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
/// An incident was escalated; how, to which level, from whom, to whom and why are in the payload. For those who work on it.
pub const ESCALATED: &str = "IncidentEscalated";
/// Somebody says that an incident is a major one.
pub const MAJOR_PROPOSED: &str = "MajorIncidentProposed";
/// An incident is a major one from now on.
pub const MAJOR_ACCEPTED: &str = "MajorIncidentAccepted";
/// An incident that was proposed is no major one. Why is on the incident.
pub const MAJOR_REJECTED: &str = "MajorIncidentRejected";
/// Who leads a major incident, what it means for the business, or how often it is told of changed.
pub const MAJOR_UPDATED: &str = "MajorIncidentUpdated";
/// Something was told of a major incident; the update's id and its audience are in the payload.
pub const STATUS_UPDATE_POSTED: &str = "StatusUpdatePosted";
/// A major incident should have been told of by now.
pub const STATUS_UPDATE_DUE: &str = "StatusUpdateDue";
/// Somebody noted something on the timeline; the note's id is in the payload. For those who work on the incident.
pub const TIMELINE_NOTE_ADDED: &str = "TimelineNoteAdded";
/// The review of a major incident was written. For those who work on the incident.
pub const MAJOR_REVIEW_UPDATED: &str = "MajorIncidentReviewUpdated";
/// The review of a major incident was completed.
pub const MAJOR_REVIEW_COMPLETED: &str = "MajorIncidentReviewCompleted";
/// Something is to be done after a major incident; the action's id, its kind and its title are in the payload. For those who work on it.
pub const MAJOR_ACTION_ADDED: &str = "MajorIncidentActionAdded";
/// What a tenant sets for its major incidents changed.
pub const MAJOR_SETTINGS_UPDATED: &str = "MajorIncidentSettingsUpdated";
/// What the log calls those settings.
pub const SUBJECT_MAJOR_SETTINGS: &str = "majorIncidentSettings";
