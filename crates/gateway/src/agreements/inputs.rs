//! What mutations of agreements, requirements, reviews and improvements take.

use agreement::{
    AddReviewAction, AgreementDraft, AgreementRef, CreateAgreement, CreateReview, ImprovementDraft, RequirementDraft,
    ReviewDraft, UpdateAgreement, UpdateImprovement, UpdateRequirement, UpdateReview,
};
use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};
use kernel::id::prefix;
use kernel::{Id, Patch, Result, UserError};

use super::reviews::ServiceReviewState;
use super::types::{ServiceAgreementState, ServiceImprovementState, ServiceLevelRequirementState};
use crate::configuration::ServiceRef;
use crate::custom_fields::{CustomFieldInput, set};
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{DateTime, Duration, Markdown, patch, reference, references, within};
use crate::service_levels::inputs::{CalendarRef, SlaPolicyRef, seconds};
use crate::service_levels::types::{SlaMetric, SlaPolicyKind};
use crate::tickets::words::{Impact, Priority, Urgency};

/// Points at an agreement.
#[derive(Clone, Debug, OneofObject)]
pub enum ServiceAgreementRef {
    /// By id, such as `agr_01jcz8…`.
    Id(ID),
    /// By key, such as `e-mail-2026`.
    Key(String),
}

impl ServiceAgreementRef {
    /// As the platform points at agreements.
    ///
    /// # Errors
    /// `VALIDATION` at `id` for a text that is no such id.
    pub fn into_ref(self) -> Result<AgreementRef> {
        Ok(match self {
            ServiceAgreementRef::Id(id) => {
                AgreementRef::Id(parse(&id, prefix::SERVICE_AGREEMENT).map_err(|error| error.within("id"))?)
            }
            ServiceAgreementRef::Key(key) => AgreementRef::Key(key),
        })
    }
}

/// An id of one type; its error has no path.
pub(super) fn parse(text: &ID, expected: &'static str) -> Result<Id> {
    let parsed = Id::parse_as(text, &[expected]);
    parsed.map_err(|error| UserError::constraint([] as [&str; 0], error.to_string(), "id", None).into())
}

fn parse_at(path: &str, text: &ID, expected: &'static str) -> Result<Id> {
    parse(text, expected).map_err(|error| error.within(path))
}

fn text(field: MaybeUndefined<Markdown>) -> Patch<String> {
    patch(field).map(|text| text.0)
}

fn time(field: MaybeUndefined<DateTime>) -> Patch<kernel::Timestamp> {
    patch(field).map(|time| time.0)
}

/// What is given when a record is added: there is nothing to clear.
fn given<T>(field: Option<T>) -> MaybeUndefined<T> {
    field.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value)
}

/// Adds an agreement, as a draft.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceAgreementCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `e-mail-2026`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// Between whom it stands; `SLA` when absent.
    pub kind: Option<SlaPolicyKind>,
    /// What else there is to say; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// What it is about, at most 100 services.
    pub services: Option<Vec<ServiceRef>>,
    /// What it promises: at most 10 policies of the same kind.
    pub policies: Option<Vec<SlaPolicyRef>>,
    /// The agreements with teams and suppliers that it rests on, at most 50; all that are in force for one of its services, when absent.
    pub underpinned_by: Option<Vec<ServiceAgreementRef>>,
    /// With which customer, for the kind `SLA`: 1 to 200 characters.
    pub customer: Option<String>,
    /// With which team, for the kind `OLA`.
    pub team: Option<TeamRefInput>,
    /// With which supplier, for the kind `UNDERPINNING_CONTRACT`: 1 to 200 characters.
    pub supplier: Option<String>,
    /// Who looks after it.
    pub owner: Option<UserRefInput>,
    /// From when on it holds; from the moment in which it is agreed, when absent.
    pub valid_from: Option<DateTime>,
    /// Until when it holds, that instant no more; until it is terminated, when absent.
    pub valid_until: Option<DateTime>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes an agreement. Absent fields stay, null clears. What has been agreed stays: only its name, description, owner, end and what it
/// rests on can change then. What is terminated changes no more.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceAgreementUpdateInput {
    /// Which.
    pub agreement: ServiceAgreementRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What else there is to say; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// What it is about, as a whole.
    pub services: Option<Vec<ServiceRef>>,
    /// What it promises, as a whole.
    pub policies: Option<Vec<SlaPolicyRef>>,
    /// The agreements with teams and suppliers that it rests on, as a whole; all that are in force, when the list is empty.
    pub underpinned_by: Option<Vec<ServiceAgreementRef>>,
    /// With which customer.
    pub customer: MaybeUndefined<String>,
    /// With which team.
    pub team: MaybeUndefined<TeamRefInput>,
    /// With which supplier.
    pub supplier: MaybeUndefined<String>,
    /// Who looks after it.
    pub owner: MaybeUndefined<UserRefInput>,
    /// From when on it holds.
    pub valid_from: MaybeUndefined<DateTime>,
    /// Until when it holds, that instant no more.
    pub valid_until: MaybeUndefined<DateTime>,
    /// Where it stands. `AGREED` needs its party, a service and a policy, and sets `validFrom` where it is null; `TERMINATED` sets
    /// `validUntil` where it is null or later.
    pub state: Option<ServiceAgreementState>,
    /// Refuse when the agreement has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl ServiceAgreementCreateInput {
    pub(super) fn command(self) -> Result<CreateAgreement> {
        let draft = AgreementDraft {
            name: Some(self.name),
            description: text(given(self.description)),
            services: references("services", self.services, ServiceRef::into_ref)?,
            policies: references("policies", self.policies, SlaPolicyRef::into_ref)?,
            underpinned_by: references("underpinnedBy", self.underpinned_by, ServiceAgreementRef::into_ref)?,
            customer: patch(given(self.customer)),
            team: reference("team", given(self.team), TeamRefInput::into_ref)?,
            supplier: patch(given(self.supplier)),
            owner: reference("owner", given(self.owner), UserRefInput::into_ref)?,
            valid_from: time(given(self.valid_from)),
            valid_until: time(given(self.valid_until)),
        };
        Ok(CreateAgreement { key: self.key, kind: self.kind.map_or(sla::PolicyKind::Sla, Into::into), draft })
    }
}

impl ServiceAgreementUpdateInput {
    pub(super) fn command(self) -> Result<UpdateAgreement> {
        let draft = AgreementDraft {
            name: self.name,
            description: text(self.description),
            services: references("services", self.services, ServiceRef::into_ref)?,
            policies: references("policies", self.policies, SlaPolicyRef::into_ref)?,
            underpinned_by: references("underpinnedBy", self.underpinned_by, ServiceAgreementRef::into_ref)?,
            customer: patch(self.customer),
            team: reference("team", self.team, TeamRefInput::into_ref)?,
            supplier: patch(self.supplier),
            owner: reference("owner", self.owner, UserRefInput::into_ref)?,
            valid_from: time(self.valid_from),
            valid_until: time(self.valid_until),
        };
        Ok(UpdateAgreement {
            agreement: self.agreement.into_ref().map_err(|error| error.within("agreement"))?,
            draft,
            state: self.state.map(Into::into),
            expected_version: self.expected_version,
        })
    }
}

/// Adds a requirement.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceLevelRequirementCreateInput {
    /// What is needed, in a line: 1 to 200 characters.
    pub title: String,
    /// Why it is needed; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// Which customer needs it: 1 to 200 characters.
    pub customer: Option<String>,
    /// Of which service.
    pub service: ServiceRef,
    /// What is measured.
    pub metric: SlaMetric,
    /// For tickets of these priorities; of all, when absent or empty.
    pub priorities: Option<Vec<Priority>>,
    /// How long it may take, in working time.
    pub target: Duration,
    /// The time that counts; that of whatever promises it, when absent.
    pub calendar: Option<CalendarRef>,
    /// Who asks for it.
    pub requested_by: Option<UserRefInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a requirement. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceLevelRequirementUpdateInput {
    /// The requirement's id.
    pub id: ID,
    /// What is needed, in a line: 1 to 200 characters.
    pub title: Option<String>,
    /// Why it is needed; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// Which customer needs it.
    pub customer: MaybeUndefined<String>,
    /// Of which service.
    pub service: Option<ServiceRef>,
    /// What is measured.
    pub metric: Option<SlaMetric>,
    /// For tickets of these priorities; of all, when empty.
    pub priorities: Option<Vec<Priority>>,
    /// How long it may take, in working time.
    pub target: Option<Duration>,
    /// The time that counts.
    pub calendar: MaybeUndefined<CalendarRef>,
    /// Who asks for it.
    pub requested_by: MaybeUndefined<UserRefInput>,
    /// The agreement with a customer that answers it: one that is about the service.
    pub agreement: MaybeUndefined<ServiceAgreementRef>,
    /// What has become of it. `AGREED` needs the agreement.
    pub state: Option<ServiceLevelRequirementState>,
    /// Refuse when the requirement has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

fn priorities(list: Option<Vec<Priority>>) -> Option<Vec<ticket::Priority>> {
    list.map(|list| list.into_iter().map(Into::into).collect())
}

impl ServiceLevelRequirementCreateInput {
    pub(super) fn draft(self) -> Result<RequirementDraft> {
        Ok(RequirementDraft {
            title: Some(self.title),
            description: text(given(self.description)),
            customer: patch(given(self.customer)),
            service: within("service", Some(self.service.into_ref()))?,
            metric: Some(self.metric.into()),
            priorities: priorities(self.priorities),
            target: Some(seconds(&self.target)),
            calendar: reference("calendar", given(self.calendar), CalendarRef::into_ref)?,
            requested_by: reference("requestedBy", given(self.requested_by), UserRefInput::into_ref)?,
            ..RequirementDraft::default()
        })
    }
}

impl ServiceLevelRequirementUpdateInput {
    pub(super) fn command(self) -> Result<UpdateRequirement> {
        let draft = RequirementDraft {
            title: self.title,
            description: text(self.description),
            customer: patch(self.customer),
            service: within("service", self.service.map(ServiceRef::into_ref))?,
            metric: self.metric.map(Into::into),
            priorities: priorities(self.priorities),
            target: self.target.as_ref().map(seconds),
            calendar: reference("calendar", self.calendar, CalendarRef::into_ref)?,
            requested_by: reference("requestedBy", self.requested_by, UserRefInput::into_ref)?,
            agreement: reference("agreement", self.agreement, ServiceAgreementRef::into_ref)?,
            state: self.state.map(Into::into),
        };
        let requirement = parse_at("id", &self.id, prefix::SERVICE_LEVEL_REQUIREMENT)?;
        Ok(UpdateRequirement { requirement, draft, expected_version: self.expected_version })
    }
}

/// Makes a review of an agreement over a time that is over. Its figures are counted now, and stay.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceReviewCreateInput {
    /// Of which agreement.
    pub agreement: ServiceAgreementRef,
    /// Clocks that ended from this instant on are counted.
    pub since: DateTime,
    /// Clocks that ended before this instant are counted; not later than now.
    pub until: DateTime,
    /// When it takes place.
    pub held_at: Option<DateTime>,
    /// Who attends, at most 100.
    pub attendees: Option<Vec<UserRefInput>>,
    /// What was said; at most 10,000 characters.
    pub minutes: Option<Markdown>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes an open review, or closes it. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceReviewUpdateInput {
    /// The review's id.
    pub id: ID,
    /// When it takes place.
    pub held_at: MaybeUndefined<DateTime>,
    /// Who attends, as a whole; at most 100.
    pub attendees: Option<Vec<UserRefInput>>,
    /// What was said; at most 10,000 characters.
    pub minutes: MaybeUndefined<Markdown>,
    /// `CLOSED`: nothing of it changes any more.
    pub state: Option<ServiceReviewState>,
    /// Refuse when the review has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Adds an action to an open review: a task that belongs to no ticket.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceReviewActionAddInput {
    /// The review's id.
    pub id: ID,
    /// What to do, in a line; at most 255 characters.
    pub title: String,
    /// What to do, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// The team that does it; that which looks after the agreement's first service, when absent. Needs `ticket.assign`.
    pub team: Option<TeamRefInput>,
    /// The member of the team who does. Needs `ticket.assign`.
    pub assignee: Option<UserRefInput>,
    /// How many are affected; `MEDIUM` when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; `MEDIUM` when absent.
    pub urgency: Option<Urgency>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50; those that are not named get their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

impl ServiceReviewCreateInput {
    pub(super) fn command(self) -> Result<CreateReview> {
        Ok(CreateReview {
            agreement: self.agreement.into_ref().map_err(|error| error.within("agreement"))?,
            since: self.since.0,
            until: self.until.0,
            draft: ReviewDraft {
                held_at: time(given(self.held_at)),
                attendees: references("attendees", self.attendees, UserRefInput::into_ref)?,
                minutes: text(given(self.minutes)),
            },
        })
    }
}

impl ServiceReviewUpdateInput {
    pub(super) fn command(self) -> Result<UpdateReview> {
        Ok(UpdateReview {
            review: parse_at("id", &self.id, prefix::SERVICE_REVIEW)?,
            draft: ReviewDraft {
                held_at: time(self.held_at),
                attendees: references("attendees", self.attendees, UserRefInput::into_ref)?,
                minutes: text(self.minutes),
            },
            state: self.state.map(Into::into),
            expected_version: self.expected_version,
        })
    }
}

impl ServiceReviewActionAddInput {
    pub(super) fn command(self) -> Result<AddReviewAction> {
        Ok(AddReviewAction {
            review: parse_at("id", &self.id, prefix::SERVICE_REVIEW)?,
            task: ticket::TaskDraft {
                title: self.title,
                description: self.description.map(|text| text.0),
                team: within("team", self.team.map(TeamRefInput::into_ref))?,
                assignee: within("assignee", self.assignee.map(UserRefInput::into_ref))?,
                impact: self.impact.map(Into::into),
                urgency: self.urgency.map(Into::into),
                tags: self.tags.unwrap_or_default(),
                custom_fields: set(self.custom_fields)?,
            },
        })
    }
}

/// Adds an entry to the service improvement register.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceImprovementCreateInput {
    /// What is to become better, in a line: 1 to 200 characters.
    pub title: String,
    /// What it is about; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// Of which service.
    pub service: Option<ServiceRef>,
    /// For which agreement.
    pub agreement: Option<ServiceAgreementRef>,
    /// The id of the review that it came out of.
    pub review: Option<ID>,
    /// Who sees to it.
    pub owner: Option<UserRefInput>,
    /// Until when.
    pub due_at: Option<DateTime>,
    /// What it is good for; at most 10,000 characters.
    pub benefit: Option<Markdown>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes an entry of the service improvement register. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct ServiceImprovementUpdateInput {
    /// The improvement's id.
    pub id: ID,
    /// What is to become better, in a line: 1 to 200 characters.
    pub title: Option<String>,
    /// What it is about; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// Of which service.
    pub service: MaybeUndefined<ServiceRef>,
    /// For which agreement.
    pub agreement: MaybeUndefined<ServiceAgreementRef>,
    /// The id of the review that it came out of.
    pub review: MaybeUndefined<ID>,
    /// Who sees to it.
    pub owner: MaybeUndefined<UserRefInput>,
    /// How far it has come.
    pub state: Option<ServiceImprovementState>,
    /// Until when.
    pub due_at: MaybeUndefined<DateTime>,
    /// What it is good for; at most 10,000 characters.
    pub benefit: MaybeUndefined<Markdown>,
    /// What it has brought; at most 10,000 characters.
    pub outcome: MaybeUndefined<Markdown>,
    /// Refuse when the improvement has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

fn review(field: MaybeUndefined<ID>) -> Result<Patch<Id>> {
    reference("review", field, |id| parse(&id, prefix::SERVICE_REVIEW))
}

impl ServiceImprovementCreateInput {
    pub(super) fn draft(self) -> Result<ImprovementDraft> {
        Ok(ImprovementDraft {
            title: Some(self.title),
            description: text(given(self.description)),
            service: reference("service", given(self.service), ServiceRef::into_ref)?,
            agreement: reference("agreement", given(self.agreement), ServiceAgreementRef::into_ref)?,
            review: review(given(self.review))?,
            owner: reference("owner", given(self.owner), UserRefInput::into_ref)?,
            due_at: time(given(self.due_at)),
            benefit: text(given(self.benefit)),
            ..ImprovementDraft::default()
        })
    }
}

impl ServiceImprovementUpdateInput {
    pub(super) fn command(self) -> Result<UpdateImprovement> {
        let draft = ImprovementDraft {
            title: self.title,
            description: text(self.description),
            service: reference("service", self.service, ServiceRef::into_ref)?,
            agreement: reference("agreement", self.agreement, ServiceAgreementRef::into_ref)?,
            review: review(self.review)?,
            owner: reference("owner", self.owner, UserRefInput::into_ref)?,
            state: self.state.map(Into::into),
            due_at: time(self.due_at),
            benefit: text(self.benefit),
            outcome: text(self.outcome),
        };
        let improvement = parse_at("id", &self.id, prefix::SERVICE_IMPROVEMENT)?;
        Ok(UpdateImprovement { improvement, draft, expected_version: self.expected_version })
    }
}
