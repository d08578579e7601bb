//! The events of service level management: the audit trail of what was agreed.

/// An agreement was added.
pub const AGREEMENT_CREATED: &str = "ServiceAgreementCreated";
/// An agreement changed.
pub const AGREEMENT_UPDATED: &str = "ServiceAgreementUpdated";
/// A requirement was added.
pub const REQUIREMENT_CREATED: &str = "ServiceLevelRequirementCreated";
/// A requirement changed.
pub const REQUIREMENT_UPDATED: &str = "ServiceLevelRequirementUpdated";
/// A review was made, with its figures.
pub const REVIEW_CREATED: &str = "ServiceReviewCreated";
/// A review changed or was closed.
pub const REVIEW_UPDATED: &str = "ServiceReviewUpdated";
/// An action of a review became a task; the task is in the payload.
pub const REVIEW_ACTION_ADDED: &str = "ServiceReviewActionAdded";
/// An improvement was added.
pub const IMPROVEMENT_CREATED: &str = "ServiceImprovementCreated";
/// An improvement changed.
pub const IMPROVEMENT_UPDATED: &str = "ServiceImprovementUpdated";

/// What the log calls agreements.
pub const SUBJECT_AGREEMENT: &str = "serviceAgreement";
/// What the log calls requirements.
pub const SUBJECT_REQUIREMENT: &str = "serviceLevelRequirement";
/// What the log calls reviews.
pub const SUBJECT_REVIEW: &str = "serviceReview";
/// What the log calls improvements.
pub const SUBJECT_IMPROVEMENT: &str = "serviceImprovement";
