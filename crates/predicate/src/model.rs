//! The tree itself, and how relative values become concrete.

use chrono::Duration;
use kernel::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::Value;

/// The way to a field: relations to follow, then the field's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Path {
    /// To-one relations, outermost first; empty for a field of the record itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<String>,
    /// The field's name.
    pub field: String,
}

impl Path {
    /// A field of the record itself.
    pub fn field(name: impl Into<String>) -> Self {
        Self { relations: Vec::new(), field: name.into() }
    }

    /// A field of the record that a relation leads to.
    pub fn through(relation: impl Into<String>, name: impl Into<String>) -> Self {
        Self { relations: vec![relation.into()], field: name.into() }
    }

    /// The path with dots, as the facts of an event name it.
    pub fn dotted(&self) -> String {
        let mut text = String::new();
        for relation in &self.relations {
            text.push_str(relation);
            text.push('.');
        }
        text.push_str(&self.field);
        text
    }
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operand {
    /// This value.
    Value(Value),
    /// The viewer's own id.
    Viewer,
    /// Now, moved by this many seconds.
    Now {
        /// Seconds from now; negative is the past.
        offset: i64,
    },
}

/// One comparison. All are false when the field is absent, except [`Test::IsNull`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Test {
    /// Equal.
    Eq(Operand),
    /// Equal to one of these.
    In(Vec<Operand>),
    /// The id is one of the viewer's teams.
    InViewerTeams,
    /// Less, or earlier.
    Lt(Operand),
    /// Less or equal.
    Lte(Operand),
    /// Greater, or later.
    Gt(Operand),
    /// Greater or equal.
    Gte(Operand),
    /// Absent (`true`) or present (`false`).
    IsNull(bool),
    /// Holds this text somewhere; ASCII letters compare without case.
    Contains(String),
    /// Begins with this text; ASCII letters compare without case.
    StartsWith(String),
    /// The list holds this text.
    Has(String),
}

/// A condition on a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Predicate {
    /// All hold; true when there are none.
    All(Vec<Predicate>),
    /// At least one holds; false when there are none.
    Any(Vec<Predicate>),
    /// Does not hold.
    Not(Box<Predicate>),
    /// A comparison of a field.
    Is(Path, Test),
}

impl Default for Predicate {
    fn default() -> Self {
        Self::always()
    }
}

impl std::ops::Not for Predicate {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Predicate::Not(inner) => *inner,
            Predicate::All(parts) if parts.is_empty() => Self::never(),
            Predicate::Any(parts) if parts.is_empty() => Self::always(),
            other => Predicate::Not(Box::new(other)),
        }
    }
}

impl Predicate {
    /// True for every record.
    pub const fn always() -> Self {
        Predicate::All(Vec::new())
    }

    /// True for no record.
    pub const fn never() -> Self {
        Predicate::Any(Vec::new())
    }

    /// Whether it is true for every record, as far as its form shows.
    pub fn is_always(&self) -> bool {
        matches!(self, Predicate::All(parts) if parts.is_empty())
    }

    /// Whether it is true for no record, as far as its form shows.
    pub fn is_never(&self) -> bool {
        matches!(self, Predicate::Any(parts) if parts.is_empty())
    }

    /// The field equals the value.
    pub fn eq(field: &str, value: impl Into<Value>) -> Self {
        Predicate::Is(Path::field(field), Test::Eq(Operand::Value(value.into())))
    }

    /// The field's value is one of these.
    pub fn one_of<V: Clone + Into<Value>>(field: &str, values: &[V]) -> Self {
        match values {
            [] => Self::never(),
            [value] => Self::eq(field, value.clone()),
            values => {
                let values = values.iter().map(|value| Operand::Value(value.clone().into()));
                Predicate::Is(Path::field(field), Test::In(values.collect()))
            }
        }
    }

    /// Both hold; constants are folded.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all([self, other])
    }

    /// At least one holds; constants are folded.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any([self, other])
    }

    /// All hold; constants are folded and nested conjunctions flattened.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Predicate::All(inner) => flat.extend(inner),
                part if part.is_never() => return Self::never(),
                part => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Predicate::All(flat) }
    }

    /// At least one holds; constants are folded and nested disjunctions flattened.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Predicate::Any(inner) => flat.extend(inner),
                part if part.is_always() => return Self::always(),
                part => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Predicate::Any(flat) }
    }

    /// The same condition on the record that a relation leads to.
    #[must_use]
    pub fn through(self, relation: &str) -> Self {
        self.map_tests(&mut |mut path, test| {
            path.relations.insert(0, relation.to_owned());
            Predicate::Is(path, test)
        })
    }

    /// Rebuilds the tree with each comparison replaced.
    pub fn map_tests(self, replace: &mut impl FnMut(Path, Test) -> Predicate) -> Self {
        match self {
            Predicate::All(parts) => {
                Self::all(parts.into_iter().map(|part| part.map_tests(replace)).collect::<Vec<_>>())
            }
            Predicate::Any(parts) => {
                Self::any(parts.into_iter().map(|part| part.map_tests(replace)).collect::<Vec<_>>())
            }
            Predicate::Not(part) => !part.map_tests(replace),
            Predicate::Is(path, test) => replace(path, test),
        }
    }

    /// Calls `visit` with each comparison.
    pub fn for_each_test<'a>(&'a self, visit: &mut impl FnMut(&'a Path, &'a Test)) {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| part.for_each_test(visit)),
            Predicate::Not(part) => part.for_each_test(visit),
            Predicate::Is(path, test) => visit(path, test),
        }
    }
}

/// What relative values stand for.
#[derive(Clone, Debug)]
pub struct ViewerValues<'a> {
    /// The viewer's id.
    pub viewer: Uuid,
    /// The viewer's teams.
    pub teams: &'a [Uuid],
    /// The current instant.
    pub now: Timestamp,
}

/// Replaces viewer-relative and time-relative values by concrete ones.
pub fn resolve(predicate: Predicate, values: &ViewerValues<'_>) -> Predicate {
    predicate.map_tests(&mut |path, test| {
        let concrete = |operand: Operand| match operand {
            Operand::Value(value) => Operand::Value(value),
            Operand::Viewer => Operand::Value(Value::Id(values.viewer)),
            Operand::Now { offset } => Operand::Value(Value::Time(shifted(values.now, offset))),
        };
        let test = match test {
            Test::Eq(operand) => Test::Eq(concrete(operand)),
            Test::In(operands) if operands.is_empty() => return Predicate::never(),
            Test::In(operands) => Test::In(operands.into_iter().map(concrete).collect()),
            Test::InViewerTeams if values.teams.is_empty() => return Predicate::never(),
            Test::InViewerTeams => Test::In(values.teams.iter().map(|team| Operand::Value(Value::Id(*team))).collect()),
            Test::Lt(operand) => Test::Lt(concrete(operand)),
            Test::Lte(operand) => Test::Lte(concrete(operand)),
            Test::Gt(operand) => Test::Gt(concrete(operand)),
            Test::Gte(operand) => Test::Gte(concrete(operand)),
            other => other,
        };
        Predicate::Is(path, test)
    })
}

fn shifted(now: Timestamp, offset: i64) -> Timestamp {
    Duration::try_seconds(offset).and_then(|offset| now.checked_add_signed(offset)).unwrap_or(if offset < 0 {
        Timestamp::UNIX_EPOCH
    } else {
        now
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_fold_away() {
        let leaf = Predicate::eq("state", "new");
        assert_eq!(Predicate::always().and(leaf.clone()), leaf);
        assert!(Predicate::never().and(leaf.clone()).is_never());
        assert!(Predicate::always().or(leaf.clone()).is_always());
        assert!((!Predicate::never()).is_always());
        assert_eq!(!!leaf.clone(), leaf);
    }

    #[test]
    fn no_team_means_no_row() {
        let mine = Predicate::Is(Path::field("team"), Test::InViewerTeams);
        let values = ViewerValues { viewer: Uuid::nil(), teams: &[], now: Timestamp::UNIX_EPOCH };
        assert!(resolve(mine.clone(), &values).is_never());
        assert!(resolve(!mine, &values).is_always());
    }
}
