//! Filters and orders of calendars and policies.

use async_graphql::{Enum, InputObject};
use kernel::Result;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::OrderTerm;

use super::types::SlaPolicyKind;
use crate::connection::{NullsOrder, OrderDirection, check_order, orders, term};
use crate::filters::{BooleanFilter, DateTimeFilter, IdFilter, StringFilter, combine, enum_filter};

enum_filter!(SlaPolicyKindFilter, SlaPolicyKind);

/// Which calendars. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CalendarFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<CalendarFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<CalendarFilter>>,
    /// This must not hold.
    pub not: Option<Box<CalendarFilter>>,
}

impl CalendarFilter {
    /// As a condition on calendars.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::CALENDAR])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which policies. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct SlaPolicyFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By between whom it stands.
    pub kind: Option<SlaPolicyKindFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<SlaPolicyFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<SlaPolicyFilter>>,
    /// This must not hold.
    pub not: Option<Box<SlaPolicyFilter>>,
}

impl SlaPolicyFilter {
    /// As a condition on policies.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::SLA_POLICY])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.kind.map_or_else(Predicate::always, |kind| kind.on("kind")),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what calendars are ordered.
    CalendarOrderField {
        /// The name.
        Name = "name",
        /// The key.
        Key = "key",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of calendars.
    CalendarOrder
}

orders! {
    /// By what policies are ordered.
    SlaPolicyOrderField {
        /// The name.
        Name = "name",
        /// The key.
        Key = "key",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of policies.
    SlaPolicyOrder
}
