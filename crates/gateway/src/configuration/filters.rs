//! Filters and orders of services and configuration items.

use async_graphql::{Enum, InputObject};
use kernel::Result;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::OrderTerm;

use super::types::ConfigurationItemClass;
use crate::connection::{NullsOrder, OrderDirection, check_order, orders, term};
use crate::filters::{BooleanFilter, DateTimeFilter, IdFilter, StringFilter, combine, enum_filter};
use crate::people::filters::{none, referred};
use crate::people::{TeamFilter, UserFilter};

enum_filter!(ConfigurationItemClassFilter, ConfigurationItemClass);

/// Which services. All conditions in one object must hold. As a relation of another record (`service: { … }`), a record without a
/// service fits none but `isNull: true`; subscriptions take `id`, `key`, `name` and `isNull` there.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ServiceFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key, as in `service: { key: { eq: "e-mail" } }`.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By who answers for it.
    pub owner: Option<UserFilter>,
    /// By the team that looks after it.
    pub team: Option<TeamFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// As a relation: whether there is none. In the list of services none is null.
    pub is_null: Option<bool>,
    /// All of these must hold.
    pub and: Option<Vec<ServiceFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ServiceFilter>>,
    /// This must not hold.
    pub not: Option<Box<ServiceFilter>>,
}

impl ServiceFilter {
    /// As a condition on services.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::SERVICE])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.owner.map(|owner| owner.through("owner")).transpose()?.unwrap_or_default(),
            self.team.map(|team| team.through("team")).transpose()?.unwrap_or_default(),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
            none(self.is_null),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }

    /// As a condition on a record that refers to a service by `relation`, which is also the name of the field of its filter.
    ///
    /// # Errors
    /// User errors with paths that begin with `relation`.
    pub fn through(self, relation: &'static str) -> Result<Predicate> {
        let predicate = self.predicate().map_err(|error| error.within(relation))?;
        Ok(referred(predicate, relation))
    }
}

/// Which configuration items. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ConfigurationItemFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By what kind of thing it is.
    pub class: Option<ConfigurationItemClassFilter>,
    /// By the service that it belongs to.
    pub service: Option<ServiceFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// By when it was added.
    pub created_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<ConfigurationItemFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<ConfigurationItemFilter>>,
    /// This must not hold.
    pub not: Option<Box<ConfigurationItemFilter>>,
}

impl ConfigurationItemFilter {
    /// As a condition on configuration items.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::CONFIGURATION_ITEM])).transpose()?.unwrap_or_default(),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.class.map_or_else(Predicate::always, |class| class.on("class")),
            self.service.map(|service| service.through("service")).transpose()?.unwrap_or_default(),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what services are ordered.
    ServiceOrderField {
        /// The name.
        Name = "name",
        /// The key.
        Key = "key",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of services.
    ServiceOrder
}

orders! {
    /// By what configuration items are ordered.
    ConfigurationItemOrderField {
        /// The name.
        Name = "name",
        /// What kind of thing they are, by the alphabet.
        Class = "class",
        /// When they were added.
        CreatedAt = "createdAt",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of configuration items.
    ConfigurationItemOrder
}
