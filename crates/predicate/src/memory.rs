//! The in-memory reading of a predicate.

use std::cmp::Ordering;

use crate::{Operand, Path, Predicate, Test, Value, Visibility};

/// The values of one record, as far as predicates may ask for them.
pub trait Facts {
    /// The value at a path; [`Value::Null`] when absent.
    fn value(&self, path: &Path) -> Value;
}

impl<F: Fn(&Path) -> Value> Facts for F {
    fn value(&self, path: &Path) -> Value {
        self(path)
    }
}

/// Whether a resolved predicate holds. Relative values that were not resolved compare as absent.
pub fn evaluate(predicate: &Predicate, facts: &impl Facts) -> bool {
    match predicate {
        Predicate::All(parts) => parts.iter().all(|part| evaluate(part, facts)),
        Predicate::Any(parts) => parts.iter().any(|part| evaluate(part, facts)),
        Predicate::Not(part) => !evaluate(part, facts),
        Predicate::Is(path, test) => holds(&facts.value(path), test),
    }
}

/// A field's value as the viewer may read it: absent where its mask does not hold.
pub fn masked_value(visibility: &Visibility, facts: &impl Facts, field: &str) -> Value {
    match visibility.mask(field) {
        Some(mask) if !evaluate(mask, facts) => Value::Null,
        _ => facts.value(&Path::field(field)),
    }
}

fn holds(value: &Value, test: &Test) -> bool {
    let ordering = |operand: &Operand| match operand {
        Operand::Value(other) => value.compare(other),
        Operand::Viewer | Operand::Now { .. } => None,
    };
    match test {
        Test::Eq(operand) => ordering(operand) == Some(Ordering::Equal),
        Test::In(operands) => operands.iter().any(|operand| ordering(operand) == Some(Ordering::Equal)),
        Test::InViewerTeams => false,
        Test::Lt(operand) => ordering(operand) == Some(Ordering::Less),
        Test::Lte(operand) => ordering(operand).is_some_and(Ordering::is_le),
        Test::Gt(operand) => ordering(operand) == Some(Ordering::Greater),
        Test::Gte(operand) => ordering(operand).is_some_and(Ordering::is_ge),
        Test::IsNull(expected) => value.is_null() == *expected,
        Test::Contains(part) => folded(value).is_some_and(|text| text.contains(&part.to_ascii_lowercase())),
        Test::StartsWith(part) => folded(value).is_some_and(|text| text.starts_with(&part.to_ascii_lowercase())),
        Test::Has(item) => matches!(value, Value::TextList(items) if items.contains(item)),
    }
}

fn folded(value: &Value) -> Option<String> {
    value.as_text().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &Path) -> Value {
        match path.dotted().as_str() {
            "title" => "VPN down".into(),
            "team.slug" => "network".into(),
            "tags" => Value::TextList(vec!["vpn".into()]),
            _ => Value::Null,
        }
    }

    #[test]
    fn an_absent_value_compares_false_and_not_makes_it_true() {
        let absent = Predicate::eq("assignee", "x");
        assert!(!evaluate(&absent, &record));
        assert!(evaluate(&!absent, &record));
    }

    #[test]
    fn text_tests_ignore_ascii_case() {
        let is = |test| evaluate(&Predicate::Is(Path::field("title"), test), &record);
        assert!(is(Test::Contains("pn D".into())));
        assert!(is(Test::StartsWith("vpn".into())));
        assert!(!is(Test::StartsWith("down".into())));
    }

    #[test]
    fn relations_and_lists_are_reached() {
        assert!(evaluate(&Predicate::eq("slug", "network").through("team"), &record));
        assert!(evaluate(&Predicate::Is(Path::field("tags"), Test::Has("vpn".into())), &record));
    }
}
