//! Which alerts and rules of alerts, and in which order.

use async_graphql::{Enum, InputObject};
use kernel::Result;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::OrderTerm;

use super::types::AlertStatus;
use crate::connection::{NullsOrder, OrderDirection, check_order, orders, term};
use crate::filters::{BooleanFilter, DateTimeFilter, IdFilter, StringFilter, combine, enum_filter};

enum_filter!(AlertStatusFilter, AlertStatus);

/// Which alerts. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AlertFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By the incident's id.
    pub incident: Option<IdFilter>,
    /// By whether it is going on.
    pub status: Option<AlertStatusFilter>,
    /// By title.
    pub title: Option<StringFilter>,
    /// By severity.
    pub severity: Option<StringFilter>,
    /// By where it came from.
    pub source: Option<StringFilter>,
    /// By when it was told first.
    pub first_seen_at: Option<DateTimeFilter>,
    /// By when it was told last.
    pub last_seen_at: Option<DateTimeFilter>,
    /// All of these must hold.
    pub and: Option<Vec<AlertFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<AlertFilter>>,
    /// This must not hold.
    pub not: Option<Box<AlertFilter>>,
}

impl AlertFilter {
    pub(super) fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::ALERT])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.incident.map(|id| id.on("incident", &[prefix::INCIDENT])).transpose()?.unwrap_or_default(),
            self.status.map_or_else(Predicate::always, |status| status.on("status")),
            self.title.map_or_else(Predicate::always, |title| title.on("title")),
            self.severity.map_or_else(Predicate::always, |severity| severity.on("severity")),
            self.source.map_or_else(Predicate::always, |source| source.on("source")),
            self.first_seen_at.map_or_else(Predicate::always, |time| time.on("firstSeenAt")),
            self.last_seen_at.map_or_else(Predicate::always, |time| time.on("lastSeenAt")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

/// Which rules of alerts. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AlertRuleFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By whether it is retired.
    pub retired: Option<BooleanFilter>,
    /// All of these must hold.
    pub and: Option<Vec<AlertRuleFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<AlertRuleFilter>>,
    /// This must not hold.
    pub not: Option<Box<AlertRuleFilter>>,
}

impl AlertRuleFilter {
    pub(super) fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map(|id| id.on("id", &[prefix::ALERT_RULE])).transpose()?.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.retired.map_or_else(Predicate::always, |retired| retired.on("retired")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what alerts are ordered.
    AlertOrderField {
        /// When they were told first.
        FirstSeenAt = "firstSeenAt",
        /// When they were told last.
        LastSeenAt = "lastSeenAt",
        /// The key.
        Key = "key",
        /// The title.
        Title = "title",
        /// How often they were told.
        Occurrences = "occurrences",
    }
    /// One term of an order of alerts.
    AlertOrder
}

orders! {
    /// By what rules of alerts are ordered.
    AlertRuleOrderField {
        /// Where they stand: in the order in which they are tried.
        Position = "position",
        /// The key.
        Key = "key",
        /// The name.
        Name = "name",
    }
    /// One term of an order of rules of alerts.
    AlertRuleOrder
}
