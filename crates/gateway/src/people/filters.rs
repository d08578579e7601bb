//! Filters and orders of users and teams: as lists of their own, and as relations of other records.

use async_graphql::{Enum, InputObject};
use kernel::id::prefix;
use kernel::{Result, UserError};
use predicate::{Operand, Path, Predicate, Test};
use store::query::OrderTerm;

use crate::connection::{NullsOrder, OrderDirection, check_order, term};
use crate::filters::{BooleanFilter, Comparisons, DateTimeFilter, IdFilter, StringFilter, combine};

/// The field by which other records refer to these.
const REFERENCE: &str = "id";

/// The ids that a filter of users may name: where anybody may have acted, a program or the system may have.
const ACTORS: &[&str] = &[prefix::USER, prefix::SERVICE_ACCOUNT, prefix::SYSTEM];

/// Which users. All conditions in one object must hold. As a relation of another record (`assignee: { … }`), a record without that
/// user fits none but `isNull: true`.
#[derive(Clone, Debug, Default, InputObject)]
pub struct UserFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By e-mail address; needs `user.read`, but for one's own.
    pub email: Option<StringFilter>,
    /// By whether they may sign in.
    pub active: Option<BooleanFilter>,
    /// By when they were created.
    pub created_at: Option<DateTimeFilter>,
    /// By who manages them; needs `user.read`, but for one's own. Not in subscriptions.
    pub manager: Option<Box<UserFilter>>,
    /// Whether it is the viewer.
    pub is_viewer: Option<bool>,
    /// As a relation: whether there is none, as in `assignee: { isNull: true }`. In the list of users none is null.
    pub is_null: Option<bool>,
    /// All of these must hold.
    pub and: Option<Vec<UserFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<UserFilter>>,
    /// This must not hold.
    pub not: Option<Box<UserFilter>>,
}

impl UserFilter {
    /// As a condition on users.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map_or_else(|| Ok(Predicate::always()), |id| id.on(REFERENCE, ACTORS))?,
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.email.map_or_else(Predicate::always, |email| email.on("email")),
            self.active.map_or_else(Predicate::always, |active| active.on("active")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
            self.manager.map(|manager| manager.through("manager")).transpose()?.unwrap_or_default(),
            flag(self.is_viewer, Test::Eq(Operand::Viewer)),
            none(self.is_null),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }

    /// As a condition on a record that refers to a user by `relation`, which is also the name of the field of its filter.
    ///
    /// # Errors
    /// User errors with paths that begin with `relation`.
    pub fn through(self, relation: &'static str) -> Result<Predicate> {
        let predicate = self.predicate().map_err(|error| error.within(relation))?;
        Ok(referred(predicate, relation))
    }
}

/// Which teams. All conditions in one object must hold. As a relation of another record (`team: { … }`), a record without a team fits
/// none but `isNull: true`.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TeamFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By slug, as in `team: { slug: { eq: "network" } }`.
    pub slug: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By when they were created.
    pub created_at: Option<DateTimeFilter>,
    /// Whether the viewer is a member.
    pub has_viewer: Option<bool>,
    /// As a relation: whether there is none, as in `team: { isNull: true }`. In the list of teams none is null.
    pub is_null: Option<bool>,
    /// All of these must hold.
    pub and: Option<Vec<TeamFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<TeamFilter>>,
    /// This must not hold.
    pub not: Option<Box<TeamFilter>>,
}

impl TeamFilter {
    /// As a condition on teams.
    ///
    /// # Errors
    /// User errors with paths inside this filter.
    pub fn predicate(self) -> Result<Predicate> {
        let own = Predicate::all([
            self.id.map_or_else(|| Ok(Predicate::always()), |id| id.on(REFERENCE, &[prefix::TEAM]))?,
            self.slug.map_or_else(Predicate::always, |slug| slug.on("slug")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.created_at.map_or_else(Predicate::always, |time| time.on("createdAt")),
            flag(self.has_viewer, Test::InViewerTeams),
            none(self.is_null),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }

    /// As a condition on a record that refers to a team by `relation`, which is also the name of the field of its filter.
    ///
    /// # Errors
    /// User errors with paths that begin with `relation`.
    pub fn through(self, relation: &'static str) -> Result<Predicate> {
        let predicate = self.predicate().map_err(|error| error.within(relation))?;
        Ok(referred(predicate, relation))
    }
}

/// The test on the record's id, or its opposite.
fn flag(given: Option<bool>, test: Test) -> Predicate {
    let holds = Predicate::Is(Path::field(REFERENCE), test);
    match given {
        Some(true) => holds,
        Some(false) => !holds,
        None => Predicate::always(),
    }
}

/// Whether there is no such record at the end of a reference.
pub fn none(given: Option<bool>) -> Predicate {
    Comparisons::of(REFERENCE).with(given, Test::IsNull).all()
}

/// The condition on the record that a relation leads to. Tests of its id become tests of the reference itself, which needs no join.
pub fn referred(predicate: Predicate, relation: &'static str) -> Predicate {
    predicate.map_tests(&mut |path, test| {
        if path.relations.is_empty() && path.field == REFERENCE {
            Predicate::Is(Path::field(relation), test)
        } else {
            Predicate::Is(path, test).through(relation)
        }
    })
}

/// By what users are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserOrderField {
    /// The name.
    Name,
    /// The e-mail address; those that the viewer may not read count as absent.
    Email,
    /// When they were created.
    CreatedAt,
    /// When they were changed last.
    UpdatedAt,
}

impl UserOrderField {
    const fn as_str(self) -> &'static str {
        match self {
            UserOrderField::Name => "name",
            UserOrderField::Email => "email",
            UserOrderField::CreatedAt => "createdAt",
            UserOrderField::UpdatedAt => "updatedAt",
        }
    }
}

/// One term of an order of users.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct UserOrder {
    /// By what.
    pub field: UserOrderField,
    /// Which way.
    #[graphql(default_with = "Some(OrderDirection::Asc)")]
    pub direction: Option<OrderDirection>,
    /// Where users without a value stand.
    #[graphql(default_with = "Some(NullsOrder::Last)")]
    pub nulls: Option<NullsOrder>,
}

/// By what teams are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum TeamOrderField {
    /// The name.
    Name,
    /// The slug.
    Slug,
    /// When they were created.
    CreatedAt,
    /// When they were changed last.
    UpdatedAt,
}

impl TeamOrderField {
    const fn as_str(self) -> &'static str {
        match self {
            TeamOrderField::Name => "name",
            TeamOrderField::Slug => "slug",
            TeamOrderField::CreatedAt => "createdAt",
            TeamOrderField::UpdatedAt => "updatedAt",
        }
    }
}

/// One term of an order of teams.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct TeamOrder {
    /// By what.
    pub field: TeamOrderField,
    /// Which way.
    #[graphql(default_with = "Some(OrderDirection::Asc)")]
    pub direction: Option<OrderDirection>,
    /// Where teams without a value stand.
    #[graphql(default_with = "Some(NullsOrder::Last)")]
    pub nulls: Option<NullsOrder>,
}

/// The order that a list of users is asked for in; by name when none is given.
///
/// # Errors
/// A `LIMIT` user error.
pub fn user_order(terms: Option<Vec<UserOrder>>) -> Result<Vec<OrderTerm>> {
    let terms = terms.unwrap_or_default().into_iter();
    order(terms.map(|order| term(order.field.as_str(), order.direction, order.nulls)).collect())
}

/// The order that a list of teams is asked for in; by name when none is given.
///
/// # Errors
/// A `LIMIT` user error.
pub fn team_order(terms: Option<Vec<TeamOrder>>) -> Result<Vec<OrderTerm>> {
    let terms = terms.unwrap_or_default().into_iter();
    order(terms.map(|order| term(order.field.as_str(), order.direction, order.nulls)).collect())
}

fn order(terms: Vec<OrderTerm>) -> Result<Vec<OrderTerm>> {
    check_order(&terms)?;
    Ok(if terms.is_empty() { vec![term("name", None, None)] } else { terms })
}

/// A filter as the list's argument gives it.
///
/// # Errors
/// Those of the filter, below `filter`.
pub fn argument<F>(filter: Option<F>, convert: fn(F) -> Result<Predicate>) -> Result<Predicate> {
    let predicate = filter.map_or_else(|| Ok(Predicate::always()), convert);
    predicate.map_err(|error: kernel::Error| error.within("filter"))
}

/// The user error of an id that cannot be one of these.
pub(super) fn wrong_id(path: &str, error: &kernel::IdError) -> UserError {
    UserError::constraint([path], error.to_string(), "id", None)
}

#[cfg(test)]
mod tests {
    use access::{ACTOR, TEAM};
    use kernel::Error;
    use predicate::{Catalogue, Use, check};

    use super::*;

    fn fits(predicate: &Predicate, record: &'static predicate::RecordType) {
        let records =
            access::RECORDS.into_iter().chain(configuration::RECORDS).chain(ticket::fields::ALL.iter().copied());
        let catalogue = Catalogue::new(records).unwrap();
        check(predicate, record, &catalogue, Use::Query, &|_, _| false).unwrap();
    }

    fn every_user_condition() -> UserFilter {
        UserFilter {
            id: Some(IdFilter { eq: Some(crate::scalars::id_of("usr", kernel::Uuid::nil())), ..Default::default() }),
            name: Some(StringFilter { contains: Some("a".into()), ..Default::default() }),
            email: Some(StringFilter { starts_with: Some("a".into()), ..Default::default() }),
            active: Some(BooleanFilter { eq: Some(true) }),
            created_at: Some(DateTimeFilter { is_null: Some(false), ..Default::default() }),
            manager: Some(Box::new(UserFilter { is_viewer: Some(true), ..Default::default() })),
            is_viewer: Some(true),
            is_null: Some(false),
            ..Default::default()
        }
    }

    fn every_team_condition() -> TeamFilter {
        TeamFilter {
            id: Some(IdFilter { eq: Some(crate::scalars::id_of("team", kernel::Uuid::nil())), ..Default::default() }),
            slug: Some(StringFilter { eq: Some("network".into()), ..Default::default() }),
            name: Some(StringFilter { contains: Some("a".into()), ..Default::default() }),
            created_at: Some(DateTimeFilter { is_null: Some(false), ..Default::default() }),
            has_viewer: Some(true),
            is_null: Some(false),
            ..Default::default()
        }
    }

    #[test]
    fn every_condition_names_a_field_of_its_record() {
        fits(&every_user_condition().predicate().unwrap(), &ACTOR);
        fits(&every_team_condition().predicate().unwrap(), &TEAM);
        fits(&every_user_condition().through("assignee").unwrap(), &ticket::fields::TICKET);
        fits(&every_team_condition().through("team").unwrap(), &ticket::fields::TICKET);
    }

    #[test]
    fn the_reference_is_tested_without_a_join() {
        let mine = UserFilter { is_viewer: Some(true), ..Default::default() }.through("assignee").unwrap();
        assert_eq!(mine, Predicate::Is(Path::field("assignee"), Test::Eq(Operand::Viewer)));
        let ours = TeamFilter { has_viewer: Some(false), ..Default::default() }.through("team").unwrap();
        assert_eq!(ours, !Predicate::Is(Path::field("team"), Test::InViewerTeams));
        let nobody = UserFilter { is_null: Some(true), ..Default::default() }.through("assignee").unwrap();
        assert_eq!(nobody, Predicate::Is(Path::field("assignee"), Test::IsNull(true)));
    }

    #[test]
    fn the_rest_goes_through_the_relation_at_any_depth() {
        let named = |name: &str| UserFilter {
            name: Some(StringFilter { eq: Some(name.into()), ..Default::default() }),
            ..Default::default()
        };
        let filter = UserFilter {
            or: Some(vec![named("a"), named("b")]),
            not: Some(Box::new(named("c"))),
            ..Default::default()
        };
        filter.through("requester").unwrap().for_each_test(&mut |path, _| {
            assert_eq!(*path, Path::through("requester", "name"));
        });
    }

    #[test]
    fn a_wrong_id_is_told_with_its_place() {
        let id = IdFilter { eq: Some("team_01h455vb4pex5vsknk084sn02q".into()), ..Default::default() };
        let wrong = UserFilter { id: Some(id), ..Default::default() };
        let filter = UserFilter { and: Some(vec![wrong]), ..Default::default() };
        let Err(Error::Refused(errors)) = filter.through("assignee") else { panic!("it was taken") };
        assert_eq!(errors[0].path, ["assignee", "and", "id"]);
    }

    #[test]
    fn orders_are_bounded_and_by_name_by_default() {
        assert_eq!(user_order(None).unwrap(), [term("name", None, None)]);
        let by = |field| TeamOrder { field, direction: Some(OrderDirection::Desc), nulls: None };
        let terms = team_order(Some(vec![by(TeamOrderField::CreatedAt)])).unwrap();
        assert_eq!((terms[0].field.as_str(), terms[0].descending), ("createdAt", true));
        assert!(team_order(Some(vec![by(TeamOrderField::Slug); 6])).is_err());
    }

    #[test]
    fn every_order_names_a_field_that_may_be_ordered_by() {
        use TeamOrderField as T;
        use UserOrderField as U;
        let orderable = |record: &predicate::RecordType, name: &str| {
            record.field(name).is_some_and(|field| field.order != predicate::Policy::Never)
        };
        for field in [U::Name, U::Email, U::CreatedAt, U::UpdatedAt] {
            assert!(orderable(&ACTOR, field.as_str()));
        }
        for field in [T::Name, T::Slug, T::CreatedAt, T::UpdatedAt] {
            assert!(orderable(&TEAM, field.as_str()));
        }
    }
}
