//! Typed comparators, and how an input of them becomes a predicate.

use async_graphql::{ID, InputObject};
use kernel::{Id, Result, UserError};
use predicate::{Operand, Path, Predicate, Test, Value};

use crate::scalars::{Decimal, Duration, TimePoint};

/// Compares a text. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct StringFilter {
    /// Is exactly this.
    pub eq: Option<String>,
    /// Is not exactly this (absent included).
    pub neq: Option<String>,
    /// Is one of these, at most 100.
    pub r#in: Option<Vec<String>>,
    /// Is none of these (absent included), at most 100.
    pub not_in: Option<Vec<String>>,
    /// Holds this somewhere; ASCII letters compare without case.
    pub contains: Option<String>,
    /// Begins with this; ASCII letters compare without case.
    pub starts_with: Option<String>,
    /// Is absent (`true`) or present (`false`).
    pub is_null: Option<bool>,
}

/// Compares an id. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct IdFilter {
    /// Is this.
    pub eq: Option<ID>,
    /// Is not this (absent included).
    pub neq: Option<ID>,
    /// Is one of these, at most 100.
    pub r#in: Option<Vec<ID>>,
    /// Is none of these (absent included), at most 100.
    pub not_in: Option<Vec<ID>>,
}

/// Compares a whole number. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct IntFilter {
    /// Is this.
    pub eq: Option<i32>,
    /// Is not this (absent included).
    pub neq: Option<i32>,
    /// Is one of these, at most 100.
    pub r#in: Option<Vec<i32>>,
    /// Is none of these (absent included), at most 100.
    pub not_in: Option<Vec<i32>>,
    /// Is greater.
    pub gt: Option<i32>,
    /// Is greater or equal.
    pub gte: Option<i32>,
    /// Is less.
    pub lt: Option<i32>,
    /// Is less or equal.
    pub lte: Option<i32>,
}

/// Compares an instant. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DateTimeFilter {
    /// Is this instant.
    pub eq: Option<TimePoint>,
    /// Is later.
    pub gt: Option<TimePoint>,
    /// Is later or equal, such as `gte: "-P14D"`: within the last 14 days.
    pub gte: Option<TimePoint>,
    /// Is earlier.
    pub lt: Option<TimePoint>,
    /// Is earlier or equal.
    pub lte: Option<TimePoint>,
    /// Is absent (`true`) or present (`false`).
    pub is_null: Option<bool>,
}

/// Compares a length of time. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DurationFilter {
    /// Is this long.
    pub eq: Option<Duration>,
    /// Is longer.
    pub gt: Option<Duration>,
    /// Is longer or equal, such as `gte: "PT8H"`.
    pub gte: Option<Duration>,
    /// Is shorter.
    pub lt: Option<Duration>,
    /// Is shorter or equal.
    pub lte: Option<Duration>,
}

/// Compares an amount of money in the tenant's currency. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DecimalFilter {
    /// Is this.
    pub eq: Option<Decimal>,
    /// Is greater.
    pub gt: Option<Decimal>,
    /// Is greater or equal, such as `gte: "1000"`.
    pub gte: Option<Decimal>,
    /// Is less.
    pub lt: Option<Decimal>,
    /// Is less or equal.
    pub lte: Option<Decimal>,
    /// Is absent (`true`) or present (`false`).
    pub is_null: Option<bool>,
}

/// Compares a truth value.
#[derive(Clone, Debug, Default, InputObject)]
pub struct BooleanFilter {
    /// Is this.
    pub eq: Option<bool>,
}

/// Compares a list of texts. Several comparisons in one object must all hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct StringListFilter {
    /// Holds this text.
    pub has: Option<String>,
    /// Holds at least one of these, at most 100.
    pub has_any: Option<Vec<String>>,
    /// Holds all of these, at most 100.
    pub has_all: Option<Vec<String>>,
}

/// Collects the comparisons of one field.
pub struct Comparisons {
    field: &'static str,
    parts: Vec<Predicate>,
}

impl Comparisons {
    /// Of this field.
    pub fn of(field: &'static str) -> Self {
        Self { field, parts: Vec::new() }
    }

    fn is(&self, test: Test) -> Predicate {
        Predicate::Is(Path::field(self.field), test)
    }

    /// Adds a comparison, if it was given.
    pub fn with<T>(mut self, given: Option<T>, test: impl FnOnce(T) -> Test) -> Self {
        if let Some(value) = given {
            let part = self.is(test(value));
            self.parts.push(part);
        }
        self
    }

    /// Adds the opposite of a comparison, if it was given.
    pub fn without<T>(mut self, given: Option<T>, test: impl FnOnce(T) -> Test) -> Self {
        if let Some(value) = given {
            let part = !self.is(test(value));
            self.parts.push(part);
        }
        self
    }

    /// All of them must hold.
    pub fn all(self) -> Predicate {
        Predicate::all(self.parts)
    }
}

/// The operand of a plain value.
pub fn value(value: impl Into<Value>) -> Operand {
    Operand::Value(value.into())
}

/// The operands of plain values.
pub fn values<T: Into<Value>>(list: Vec<T>) -> Vec<Operand> {
    list.into_iter().map(value).collect()
}

impl StringFilter {
    /// As a condition on a field.
    pub fn on(self, field: &'static str) -> Predicate {
        Comparisons::of(field)
            .with(self.eq, |text| Test::Eq(value(text)))
            .without(self.neq, |text| Test::Eq(value(text)))
            .with(self.r#in, |list| Test::In(values(list)))
            .without(self.not_in, |list| Test::In(values(list)))
            .with(self.contains, Test::Contains)
            .with(self.starts_with, Test::StartsWith)
            .with(self.is_null, Test::IsNull)
            .all()
    }
}

impl IdFilter {
    /// As a condition on a field that holds ids with one of these prefixes.
    ///
    /// # Errors
    /// A user error at the field for a text that is no such id.
    pub fn on(self, field: &'static str, prefixes: &[&'static str]) -> Result<Predicate> {
        let parse = |id: ID| {
            let parsed = Id::parse_as(&id, prefixes);
            parsed.map(|id| id.uuid).map_err(|error| UserError::constraint([field], error.to_string(), "id", None))
        };
        let one = |id: Option<ID>| id.map(parse).transpose();
        let many = |ids: Option<Vec<ID>>| {
            ids.map(|ids| ids.into_iter().map(parse).collect::<std::result::Result<Vec<_>, _>>()).transpose()
        };
        Ok(Comparisons::of(field)
            .with(one(self.eq)?, |id| Test::Eq(value(id)))
            .without(one(self.neq)?, |id| Test::Eq(value(id)))
            .with(many(self.r#in)?, |ids| Test::In(values(ids)))
            .without(many(self.not_in)?, |ids| Test::In(values(ids)))
            .all())
    }
}

impl IntFilter {
    /// As a condition on a field.
    pub fn on(self, field: &'static str) -> Predicate {
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

impl DurationFilter {
    /// As a condition on a field of whole seconds.
    pub fn on(self, field: &'static str) -> Predicate {
        let seconds = |length: Duration| value(Value::Int(length.seconds()));
        Comparisons::of(field)
            .with(self.eq, |length| Test::Eq(seconds(length)))
            .with(self.gt, |length| Test::Gt(seconds(length)))
            .with(self.gte, |length| Test::Gte(seconds(length)))
            .with(self.lt, |length| Test::Lt(seconds(length)))
            .with(self.lte, |length| Test::Lte(seconds(length)))
            .all()
    }
}

impl DecimalFilter {
    /// As a condition on a field of ten-thousandths.
    pub fn on(self, field: &'static str) -> Predicate {
        let parts = |number: Decimal| value(Value::Int(number.0));
        Comparisons::of(field)
            .with(self.eq, |number| Test::Eq(parts(number)))
            .with(self.gt, |number| Test::Gt(parts(number)))
            .with(self.gte, |number| Test::Gte(parts(number)))
            .with(self.lt, |number| Test::Lt(parts(number)))
            .with(self.lte, |number| Test::Lte(parts(number)))
            .with(self.is_null, Test::IsNull)
            .all()
    }
}

impl DateTimeFilter {
    /// As a condition on a field.
    pub fn on(self, field: &'static str) -> Predicate {
        Comparisons::of(field)
            .with(self.eq, |point| Test::Eq(point.into()))
            .with(self.gt, |point| Test::Gt(point.into()))
            .with(self.gte, |point| Test::Gte(point.into()))
            .with(self.lt, |point| Test::Lt(point.into()))
            .with(self.lte, |point| Test::Lte(point.into()))
            .with(self.is_null, Test::IsNull)
            .all()
    }
}

impl BooleanFilter {
    /// As a condition on a field.
    pub fn on(self, field: &'static str) -> Predicate {
        Comparisons::of(field).with(self.eq, |flag| Test::Eq(value(flag))).all()
    }
}

impl StringListFilter {
    /// As a condition on a field.
    pub fn on(self, field: &'static str) -> Predicate {
        let has = |item: String| Predicate::Is(Path::field(field), Test::Has(item));
        Predicate::all([
            self.has.map_or_else(Predicate::always, has),
            self.has_any.map_or_else(Predicate::always, |items| Predicate::any(items.into_iter().map(has))),
            self.has_all.map_or_else(Predicate::always, |items| Predicate::all(items.into_iter().map(has))),
        ])
    }
}

/// Declares the comparator of an enum of the contract.
macro_rules! enum_filter {
    ($name:ident, $of:ty) => {
        /// Compares an enum value. Several comparisons in one object must all hold.
        #[derive(Clone, Debug, Default, async_graphql::InputObject)]
        pub struct $name {
            /// Is this.
            pub eq: Option<$of>,
            /// Is not this (absent included).
            pub neq: Option<$of>,
            /// Is one of these.
            pub r#in: Option<Vec<$of>>,
            /// Is none of these (absent included).
            pub not_in: Option<Vec<$of>>,
        }

        impl $name {
            /// As a condition on a field.
            pub fn on(self, field: &'static str) -> predicate::Predicate {
                use predicate::Test;
                use $crate::filters::{Comparisons, value, values};
                let names = |list: Vec<$of>| values(list.into_iter().map(|word| word.as_str()).collect());
                Comparisons::of(field)
                    .with(self.eq, |word| Test::Eq(value(word.as_str())))
                    .without(self.neq, |word| Test::Eq(value(word.as_str())))
                    .with(self.r#in, |list| Test::In(names(list)))
                    .without(self.not_in, |list| Test::In(names(list)))
                    .all()
            }
        }
    };
}
pub(crate) use enum_filter;

/// What a filter's parts mean together: its own comparisons, `and`, `or` and `not`.
///
/// # Errors
/// Those of the parts, under the name of the branch.
pub fn combine<F>(
    own: Predicate,
    and: Option<Vec<F>>,
    or: Option<Vec<F>>,
    not: Option<Box<F>>,
    convert: fn(F) -> Result<Predicate>,
) -> Result<Predicate> {
    let branch = |name: &'static str, list: Option<Vec<F>>| {
        let parts = list.map(|list| list.into_iter().map(convert).collect::<Result<Vec<_>>>());
        parts.transpose().map_err(|error| error.within(name))
    };
    // An empty `or` is no condition, as an absent one: a client that builds lists expects that.
    let or = branch("or", or)?.filter(|parts| !parts.is_empty());
    Ok(Predicate::All(
        [
            Some(own),
            branch("and", and)?.map(Predicate::All),
            or.map(Predicate::Any),
            not.map(|not| convert(*not).map(|not| !not)).transpose().map_err(|error| error.within("not"))?,
        ]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_always())
        .collect(),
    ))
}
