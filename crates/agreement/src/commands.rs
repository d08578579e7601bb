//! What can be asked of agreements, with limits on everything.

use access::{TeamRef, UserRef};
use configuration::ServiceRef;
use kernel::{Id, Patch, Timestamp};
use sla::{CalendarRef, Metric, PolicyKind, PolicyRef};
use ticket::TaskDraft;
use ticket::model::Priority;

use crate::model::{AgreementState, ImprovementState, RequirementState, ReviewState};

/// How many services an agreement may be about.
pub const MAX_SERVICES: usize = 100;
/// How many policies an agreement may promise.
pub const MAX_AGREED_POLICIES: usize = 10;
/// How many agreements may stand under one.
pub const MAX_UNDERPINNING: usize = 50;
/// How many people may have attended a review.
pub const MAX_ATTENDEES: usize = 100;
/// How many actions a review may have.
pub const MAX_REVIEW_ACTIONS: usize = 100;

/// Points at an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AgreementRef {
    /// By id.
    Id(Id),
    /// By key.
    Key(String),
}

/// What an agreement says. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AgreementDraft {
    /// For people.
    pub name: Option<String>,
    /// What else there is to say.
    pub description: Patch<String>,
    /// What it is about, as a whole.
    pub services: Option<Vec<ServiceRef>>,
    /// What it promises, as a whole.
    pub policies: Option<Vec<PolicyRef>>,
    /// The agreements with teams and suppliers that it rests on, as a whole; when there are none, all that are in force for one of its
    /// services.
    pub underpinned_by: Option<Vec<AgreementRef>>,
    /// With which customer.
    pub customer: Patch<String>,
    /// With which team.
    pub team: Patch<TeamRef>,
    /// With which supplier.
    pub supplier: Patch<String>,
    /// Who looks after it.
    pub owner: Patch<UserRef>,
    /// From when on it holds.
    pub valid_from: Patch<Timestamp>,
    /// Until when, that instant no more; without it until it is terminated.
    pub valid_until: Patch<Timestamp>,
}

/// Add an agreement, as a draft.
#[derive(Clone, Debug)]
pub struct CreateAgreement {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// Between whom it stands.
    pub kind: PolicyKind,
    /// What it says.
    pub draft: AgreementDraft,
}

/// Change an agreement.
#[derive(Clone, Debug)]
pub struct UpdateAgreement {
    /// Which.
    pub agreement: AgreementRef,
    /// What it says.
    pub draft: AgreementDraft,
    /// Where it stands.
    pub state: Option<AgreementState>,
    /// Refuse when the agreement has another version.
    pub expected_version: Option<i32>,
}

/// What a requirement says. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct RequirementDraft {
    /// What is needed, in a line.
    pub title: Option<String>,
    /// Why.
    pub description: Patch<String>,
    /// Which customer needs it.
    pub customer: Patch<String>,
    /// Of which service.
    pub service: Option<ServiceRef>,
    /// What is measured.
    pub metric: Option<Metric>,
    /// For tickets of these priorities; of all, when there are none.
    pub priorities: Option<Vec<Priority>>,
    /// How long it may take, in seconds of working time.
    pub target: Option<i64>,
    /// The time that counts; that of whatever promises it, when absent.
    pub calendar: Patch<CalendarRef>,
    /// Who asks for it.
    pub requested_by: Patch<UserRef>,
    /// What answers it.
    pub agreement: Patch<AgreementRef>,
    /// What has become of it.
    pub state: Option<RequirementState>,
}

/// Change a requirement.
#[derive(Clone, Debug)]
pub struct UpdateRequirement {
    /// Which.
    pub requirement: Id,
    /// What it says.
    pub draft: RequirementDraft,
    /// Refuse when the requirement has another version.
    pub expected_version: Option<i32>,
}

/// What can be written of a review. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ReviewDraft {
    /// When it takes place.
    pub held_at: Patch<Timestamp>,
    /// Who attends, as a whole.
    pub attendees: Option<Vec<UserRef>>,
    /// What was said.
    pub minutes: Patch<String>,
}

/// Make a review: its figures are counted now.
#[derive(Clone, Debug)]
pub struct CreateReview {
    /// Of which agreement.
    pub agreement: AgreementRef,
    /// Of clocks that ended from this instant on.
    pub since: Timestamp,
    /// Of clocks that ended before this instant; now, at the latest.
    pub until: Timestamp,
    /// What can be written of it.
    pub draft: ReviewDraft,
}

/// Change a review.
#[derive(Clone, Debug)]
pub struct UpdateReview {
    /// Which.
    pub review: Id,
    /// What can be written of it.
    pub draft: ReviewDraft,
    /// Whether it is over.
    pub state: Option<ReviewState>,
    /// Refuse when the review has another version.
    pub expected_version: Option<i32>,
}

/// Add an action to a review: a task.
#[derive(Clone, Debug)]
pub struct AddReviewAction {
    /// Which review.
    pub review: Id,
    /// What to do. Its team is that of the agreement's first service, or of the agreement, when it names none.
    pub task: TaskDraft,
}

/// What an improvement says. What is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ImprovementDraft {
    /// What is to become better, in a line.
    pub title: Option<String>,
    /// What it is about.
    pub description: Patch<String>,
    /// Of which service.
    pub service: Patch<ServiceRef>,
    /// For which agreement.
    pub agreement: Patch<AgreementRef>,
    /// The review that it came out of.
    pub review: Patch<Id>,
    /// Who sees to it.
    pub owner: Patch<UserRef>,
    /// How far it has come.
    pub state: Option<ImprovementState>,
    /// Until when.
    pub due_at: Patch<Timestamp>,
    /// What it is good for.
    pub benefit: Patch<String>,
    /// What it has brought.
    pub outcome: Patch<String>,
}

/// Change an improvement.
#[derive(Clone, Debug)]
pub struct UpdateImprovement {
    /// Which.
    pub improvement: Id,
    /// What it says.
    pub draft: ImprovementDraft,
    /// Refuse when the improvement has another version.
    pub expected_version: Option<i32>,
}
