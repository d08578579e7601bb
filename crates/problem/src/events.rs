//! The events of problems, beside those of tickets.

/// A rule that finds problems was added.
pub const DETECTION_RULE_CREATED: &str = "ProblemDetectionRuleCreated";
/// A rule that finds problems changed.
pub const DETECTION_RULE_UPDATED: &str = "ProblemDetectionRuleUpdated";
/// What the log calls rules that find problems.
pub const SUBJECT_DETECTION_RULE: &str = "problemDetectionRule";
/// A problem was opened.
pub const CREATED: &str = "ProblemCreated";
/// A problem was resolved: its cause is gone.
pub const RESOLVED: &str = "ProblemResolved";
/// A resolved problem was reopened: it was not fixed.
pub const REOPENED: &str = "ProblemReopened";
/// A problem was closed without having been resolved.
pub const CLOSED: &str = "ProblemClosed";
/// Incidents were linked with a problem; what became of each is in the payload. For those who work on it.
pub const INCIDENTS_LINKED: &str = "ProblemIncidentsLinked";
/// A workaround was published; which one, counted from 1, is in the payload.
pub const WORKAROUND_PUBLISHED: &str = "WorkaroundPublished";
/// The date has come at which an accepted risk is to be looked at again.
pub const RISK_REVIEW_DUE: &str = "ProblemRiskReviewDue";
