//! Comparisons of custom fields. What they name is looked up when they are used: the schema does not know a tenant's fields.

use async_graphql::InputObject;
use kernel::id::prefix;
use kernel::{Result, UserError};
use predicate::{Operand, Path, Predicate, Test, keyed};
use ticket::custom_field::UNBOUND;

use crate::custom_fields::types::{CustomFieldAudience, CustomFieldType};
use crate::filters::{
    BooleanFilter, Comparisons, DateTimeFilter, IdFilter, StringFilter, StringListFilter, enum_filter, value, values,
};
use crate::scalars::Date;

enum_filter!(CustomFieldTypeFilter, CustomFieldType);
enum_filter!(CustomFieldAudienceFilter, CustomFieldAudience);

/// Compares a number. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct FloatFilter {
    /// Is this.
    pub eq: Option<f64>,
    /// Is not this (absent included).
    pub neq: Option<f64>,
    /// Is one of these, at most 100.
    pub r#in: Option<Vec<f64>>,
    /// Is none of these (absent included), at most 100.
    pub not_in: Option<Vec<f64>>,
    /// Is greater.
    pub gt: Option<f64>,
    /// Is greater or equal.
    pub gte: Option<f64>,
    /// Is less.
    pub lt: Option<f64>,
    /// Is less or equal.
    pub lte: Option<f64>,
}

/// Compares a date. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DateFilter {
    /// Is this day.
    pub eq: Option<Date>,
    /// Is not this day (absent included).
    pub neq: Option<Date>,
    /// Is later.
    pub gt: Option<Date>,
    /// Is later or this day.
    pub gte: Option<Date>,
    /// Is earlier.
    pub lt: Option<Date>,
    /// Is earlier or this day.
    pub lte: Option<Date>,
}

/// Compares the user in a custom field. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CustomFieldUserFilter {
    /// The user's id.
    pub id: Option<IdFilter>,
    /// Is the viewer (`true`) or is not (`false`).
    pub is_viewer: Option<bool>,
}

/// Compares a custom field, by the comparison that goes with its type. All that is given must hold.
#[derive(Clone, Debug, InputObject)]
pub struct CustomFieldFilter {
    /// The field's key, such as `costCenter`.
    pub key: String,
    /// Of type `TEXT`.
    pub text: Option<StringFilter>,
    /// Of type `NUMBER`.
    pub number: Option<FloatFilter>,
    /// Of type `BOOLEAN`.
    pub boolean: Option<BooleanFilter>,
    /// Of type `DATE`.
    pub date: Option<DateFilter>,
    /// Of type `DATE_TIME`.
    pub date_time: Option<DateTimeFilter>,
    /// Of type `ENUM`: the option's key.
    pub option: Option<StringFilter>,
    /// Of type `USER`.
    pub user: Option<CustomFieldUserFilter>,
    /// Of type `CONFIGURATION_ITEM`: the item's id.
    pub configuration_item: Option<IdFilter>,
    /// Of type `URL`.
    pub url: Option<StringFilter>,
    /// Of any type: has no value (`true`) or has one (`false`).
    pub is_null: Option<bool>,
}

impl FloatFilter {
    fn on(self, field: &'static str) -> Predicate {
        Comparisons::of(field)
            .with(self.eq, |number| Test::Eq(value(number)))
            .without(self.neq, |number| Test::Eq(value(number)))
            .with(self.r#in, |list| Test::In(values(list)))
            .without(self.not_in, |list| Test::In(values(list)))
            .with(self.gt, |number| Test::Gt(value(number)))
            .with(self.gte, |number| Test::Gte(value(number)))
            .with(self.lt, |number| Test::Lt(value(number)))
            .with(self.lte, |number| Test::Lte(value(number)))
            .all()
    }
}

impl DateFilter {
    /// Dates are compared as they are written: year first.
    fn on(self, field: &'static str) -> Predicate {
        Comparisons::of(field)
            .with(self.eq, |day| Test::Eq(value(day.0)))
            .without(self.neq, |day| Test::Eq(value(day.0)))
            .with(self.gt, |day| Test::Gt(value(day.0)))
            .with(self.gte, |day| Test::Gte(value(day.0)))
            .with(self.lt, |day| Test::Lt(value(day.0)))
            .with(self.lte, |day| Test::Lte(value(day.0)))
            .all()
    }
}

impl CustomFieldUserFilter {
    fn on(self, field: &'static str) -> Result<Predicate> {
        let viewer = || Predicate::Is(Path::field(field), Test::Eq(Operand::Viewer));
        Ok(Predicate::all([
            self.id.map(|filter| filter.on(field, &[prefix::USER])).transpose()?.unwrap_or_default(),
            self.is_viewer.map_or_else(Predicate::always, |yes| if yes { viewer() } else { !viewer() }),
        ]))
    }
}

impl CustomFieldFilter {
    /// As a condition on tickets, whose field has yet to be looked up.
    ///
    /// # Errors
    /// User errors with paths inside the filter.
    pub fn predicate(self) -> Result<Predicate> {
        let text =
            |filter: Option<StringFilter>, field| filter.map_or_else(Predicate::always, |filter| filter.on(field));
        let item = self.configuration_item.map(|filter| filter.on("configurationItem", &[prefix::CONFIGURATION_ITEM]));
        let own = Predicate::all([
            text(self.text, "text"),
            self.number.map_or_else(Predicate::always, |filter| filter.on("number")),
            self.boolean.map_or_else(Predicate::always, |filter| filter.on("boolean")),
            self.date.map_or_else(Predicate::always, |filter| filter.on("date")),
            self.date_time.map_or_else(Predicate::always, |filter| filter.on("dateTime")),
            text(self.option, "option"),
            self.user.map(|filter| filter.on("user")).transpose()?.unwrap_or_default(),
            item.transpose()?.unwrap_or_default(),
            text(self.url, "url"),
            self.is_null
                .map_or_else(Predicate::always, |absent| Predicate::Is(Path::field("value"), Test::IsNull(absent))),
        ]);
        // What says nothing of the field would be dropped, and the field with it.
        if own.is_always() {
            let message = format!("compare `{}` by what goes with its type, or by `isNull`", self.key);
            return Err(UserError::constraint([] as [&str; 0], message, "required", None).into());
        }
        Ok(own.through(&keyed::join(UNBOUND, &self.key)))
    }
}

/// What the conditions of a list of comparisons are together.
///
/// # Errors
/// User errors below `customFields`, each with its place in the list.
pub fn all(list: Option<Vec<CustomFieldFilter>>) -> Result<Predicate> {
    let placed = list.unwrap_or_default().into_iter().enumerate();
    let parts = placed.map(|(place, filter)| {
        filter.predicate().map_err(|error| error.within(&place.to_string()).within("customFields"))
    });
    Ok(Predicate::all(parts.collect::<Result<Vec<_>>>()?))
}

/// Which custom fields. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct CustomFieldsFilter {
    /// The key.
    pub key: Option<StringFilter>,
    /// The name.
    pub name: Option<StringFilter>,
    /// The type.
    #[graphql(name = "type")]
    pub kind: Option<CustomFieldTypeFilter>,
    /// The kinds of ticket that it was made for; a field of all kinds has none.
    pub kinds: Option<StringListFilter>,
    /// Who reads it.
    pub readable_by: Option<CustomFieldAudienceFilter>,
    /// Whether it is retired.
    pub retired: Option<BooleanFilter>,
}

impl CustomFieldsFilter {
    /// As a condition on definitions.
    pub fn predicate(self) -> Predicate {
        Predicate::all([
            self.key.map_or_else(Predicate::always, |filter| filter.on("key")),
            self.name.map_or_else(Predicate::always, |filter| filter.on("name")),
            self.kind.map_or_else(Predicate::always, |filter| filter.on("type")),
            self.kinds.map_or_else(Predicate::always, |filter| filter.on("kinds")),
            self.readable_by.map_or_else(Predicate::always, |filter| filter.on("readableBy")),
            self.retired.map_or_else(Predicate::always, |filter| filter.on("retired")),
        ])
    }
}
