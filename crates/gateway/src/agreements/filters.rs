//! Filters and orders of agreements, requirements, reviews and improvements.

use async_graphql::{Enum, InputObject};
use kernel::Result;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::OrderTerm;

use super::reviews::ServiceReviewState;
use super::types::{ServiceAgreementState, ServiceImprovementState, ServiceLevelRequirementState};
use crate::configuration::ServiceFilter;
use crate::connection::{NullsOrder, OrderDirection, check_order, orders, term};
use crate::filters::{DateTimeFilter, IdFilter, StringFilter, StringListFilter, combine, enum_filter};
use crate::people::UserFilter;
use crate::people::filters::referred;
use crate::service_levels::attainment::SlaMetricFilter;
use crate::service_levels::filters::SlaPolicyKindFilter;

enum_filter!(ServiceAgreementStateFilter, ServiceAgreementState);
enum_filter!(ServiceLevelRequirementStateFilter, ServiceLevelRequirementState);
enum_filter!(ServiceReviewStateFilter, ServiceReviewState);
enum_filter!(ServiceImprovementStateFilter, ServiceImprovementState);

fn user(filter: Option<UserFilter>, relation: &'static str) -> Result<Predicate> {
    let predicate = filter.map(|filter| filter.predicate().map_err(|error| error.within(relation))).transpose()?;
    Ok(predicate.map_or_else(Predicate::always, |predicate| referred(predicate, relation)))
}

fn agreement(filter: Option<ServiceAgreementFilter>) -> Result<Predicate> {
    let predicate = filter.map(|filter| filter.predicate().map_err(|error| error.within("agreement"))).transpose()?;
    Ok(predicate.map_or_else(Predicate::always, |predicate| referred(predicate, "agreement")))
}

fn service(filter: Option<ServiceFilter>) -> Result<Predicate> {
    Ok(filter.map(|filter| filter.through("service")).transpose()?.unwrap_or_default())
}

/// Which agreements. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ServiceAgreementFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By between whom it stands.
    pub kind: Option<SlaPolicyKindFilter>,
    /// By where it stands.
    pub state: Option<ServiceAgreementStateFilter>,
    /// By the ids of the services that it is about.
    pub services: Option<StringListFilter>,
    /// By the ids of the policies that it promises.
    pub policies: Option<StringListFilter>,
    /// By the customer.
    pub customer: Option<StringFilter>,
    /// By the supplier.
    pub supplier: Option<StringFilter>,
    /// By who looks after it.
    pub owner: Option<UserFilter>,
    /// By when it begins to hold.
    pub valid_from: Option<DateTimeFilter>,
    /// By when it ceases to hold.
    pub valid_until: Option<DateTimeFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<ServiceAgreementFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ServiceAgreementFilter>>,
    /// This must not hold.
    pub not: Option<Box<ServiceAgreementFilter>>,
}

impl ServiceAgreementFilter {
    /// As a condition on agreements.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::SERVICE_AGREEMENT])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.kind.map_or_else(Predicate::always, |kind| kind.on("kind")),
            self.state.map_or_else(Predicate::always, |state| state.on("state")),
            self.services.map_or_else(Predicate::always, |services| services.on("services")),
            self.policies.map_or_else(Predicate::always, |policies| policies.on("policies")),
            self.customer.map_or_else(Predicate::always, |customer| customer.on("customer")),
            self.supplier.map_or_else(Predicate::always, |supplier| supplier.on("supplier")),
            user(self.owner, "owner")?,
            self.valid_from.map_or_else(Predicate::always, |time| time.on("validFrom")),
            self.valid_until.map_or_else(Predicate::always, |time| time.on("validUntil")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which requirements. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ServiceLevelRequirementFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By title.
    pub title: Option<StringFilter>,
    /// By the customer.
    pub customer: Option<StringFilter>,
    /// By the service.
    pub service: Option<ServiceFilter>,
    /// By what is measured.
    pub metric: Option<SlaMetricFilter>,
    /// By what has become of it.
    pub state: Option<ServiceLevelRequirementStateFilter>,
    /// By the agreement that answers it.
    pub agreement: Option<ServiceAgreementFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<ServiceLevelRequirementFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ServiceLevelRequirementFilter>>,
    /// This must not hold.
    pub not: Option<Box<ServiceLevelRequirementFilter>>,
}

impl ServiceLevelRequirementFilter {
    /// As a condition on requirements.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::SERVICE_LEVEL_REQUIREMENT])).transpose()?.unwrap_or_default(),
            self.title.map_or_else(Predicate::always, |title| title.on("title")),
            self.customer.map_or_else(Predicate::always, |customer| customer.on("customer")),
            service(self.service)?,
            self.metric.map_or_else(Predicate::always, |metric| metric.on("metric")),
            self.state.map_or_else(Predicate::always, |state| state.on("state")),
            agreement(self.agreement)?,
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which reviews. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ServiceReviewFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By the agreement.
    pub agreement: Option<ServiceAgreementFilter>,
    /// By whether it can still be written.
    pub state: Option<ServiceReviewStateFilter>,
    /// By where the time that it looks at begins.
    pub since: Option<DateTimeFilter>,
    /// By where the time that it looks at ends.
    pub until: Option<DateTimeFilter>,
    /// By when it takes place.
    pub held_at: Option<DateTimeFilter>,
    /// By when it was made.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<ServiceReviewFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ServiceReviewFilter>>,
    /// This must not hold.
    pub not: Option<Box<ServiceReviewFilter>>,
}

impl ServiceReviewFilter {
    /// As a condition on reviews.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::SERVICE_REVIEW])).transpose()?.unwrap_or_default(),
            agreement(self.agreement)?,
            self.state.map_or_else(Predicate::always, |state| state.on("state")),
            self.since.map_or_else(Predicate::always, |time| time.on("since")),
            self.until.map_or_else(Predicate::always, |time| time.on("until")),
            self.held_at.map_or_else(Predicate::always, |time| time.on("heldAt")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which entries of the register. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ServiceImprovementFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By title.
    pub title: Option<StringFilter>,
    /// By the service.
    pub service: Option<ServiceFilter>,
    /// By the agreement.
    pub agreement: Option<ServiceAgreementFilter>,
    /// By who sees to it.
    pub owner: Option<UserFilter>,
    /// By how far it has come.
    pub state: Option<ServiceImprovementStateFilter>,
    /// By until when.
    pub due_at: Option<DateTimeFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<ServiceImprovementFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ServiceImprovementFilter>>,
    /// This must not hold.
    pub not: Option<Box<ServiceImprovementFilter>>,
}

impl ServiceImprovementFilter {
    /// As a condition on improvements.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::SERVICE_IMPROVEMENT])).transpose()?.unwrap_or_default(),
            self.title.map_or_else(Predicate::always, |title| title.on("title")),
            service(self.service)?,
            agreement(self.agreement)?,
            user(self.owner, "owner")?,
            self.state.map_or_else(Predicate::always, |state| state.on("state")),
            self.due_at.map_or_else(Predicate::always, |time| time.on("dueAt")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what agreements are ordered.
    ServiceAgreementOrderField {
        /// The name.
        Name = "name",
        /// The key.
        Key = "key",
        /// When it begins to hold.
        ValidFrom = "validFrom",
        /// When it ceases to hold.
        ValidUntil = "validUntil",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of agreements.
    ServiceAgreementOrder
}

orders! {
    /// By what requirements are ordered.
    ServiceLevelRequirementOrderField {
        /// The title.
        Title = "title",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of requirements.
    ServiceLevelRequirementOrder
}

orders! {
    /// By what reviews are ordered.
    ServiceReviewOrderField {
        /// Where the time that it looks at begins.
        Since = "since",
        /// When it takes place.
        HeldAt = "heldAt",
        /// When they were made.
        CreatedAt = "createdAt",
    }
    /// One term of an order of reviews.
    ServiceReviewOrder
}

orders! {
    /// By what improvements are ordered.
    ServiceImprovementOrderField {
        /// The title.
        Title = "title",
        /// Until when.
        DueAt = "dueAt",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of improvements.
    ServiceImprovementOrder
}
