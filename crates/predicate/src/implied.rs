//! Whether one condition holds wherever another one does.

use std::slice;

use crate::{Operand, Predicate, Test};

impl Predicate {
    /// Whether `other` holds of every record of which this one does, as far as their forms show: `false` says nothing. Of comparisons
    /// those for equality are looked at.
    pub fn implies(&self, other: &Predicate) -> bool {
        if self == other || self.is_never() || other.is_always() {
            return true;
        }
        match (self, other) {
            (Predicate::Any(ways), _) => ways.iter().all(|way| way.implies(other)),
            (_, Predicate::All(parts)) => parts.iter().all(|part| self.implies(part)),
            (Predicate::All(parts), _) if parts.iter().any(|part| part.implies(other)) => true,
            (_, Predicate::Any(ways)) => ways.iter().any(|way| self.implies(way)),
            (Predicate::Is(path, test), Predicate::Is(same, wider)) => path == same && is_within(test, wider),
            _ => false,
        }
    }
}

/// Whether every value that meets a test meets a wider one.
fn is_within(test: &Test, wider: &Test) -> bool {
    match (allowed(test), allowed(wider)) {
        (Some(values), Some(wider)) => values.iter().all(|value| wider.contains(value)),
        _ => false,
    }
}

/// The only values that meet a test, when it names them.
fn allowed(test: &Test) -> Option<&[Operand]> {
    match test {
        Test::Eq(operand) => Some(slice::from_ref(operand)),
        Test::In(operands) => Some(operands),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Path, Value, evaluate};

    fn of(field: &str, values: &[i64]) -> Predicate {
        Predicate::one_of(field, &values.iter().copied().map(Value::Int).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_asked_of_ones_teams_lies_within_what_one_sees() {
        let row = of("team", &[1, 2]).or(of("requester", &[7])).or(of("openedBy", &[7]));
        let open = of("state", &[3, 4]);
        for within in [
            of("team", &[1, 2]).and(open.clone()),
            of("team", &[2]).and(open.clone()),
            open.clone().and(of("requester", &[7])),
            of("team", &[1]).or(of("openedBy", &[7])),
            row.clone(),
        ] {
            assert!(within.implies(&row), "{within:?}");
        }
        for beyond in
            [open.clone(), of("team", &[1, 3]), of("team", &[1]).or(open), !of("team", &[3]), Predicate::always()]
        {
            assert!(!beyond.implies(&row), "{beyond:?}");
        }
    }

    /// Every condition of up to two comparisons, on two fields.
    fn all_small() -> Vec<Predicate> {
        let leaves = ["a", "b"].into_iter().flat_map(|field| {
            let absent = Predicate::Is(Path::field(field), Test::IsNull(true));
            [of(field, &[1]), of(field, &[1, 2]), of(field, &[2, 3]), absent]
        });
        let single: Vec<Predicate> = leaves.flat_map(|leaf| [leaf.clone(), !leaf]).collect();
        let pairs = single.iter().flat_map(|one| single.iter().map(move |other| (one.clone(), other.clone())));
        let pairs = pairs.flat_map(|(one, other)| [one.clone().and(other.clone()), one.or(other)]);
        let ends = [Predicate::always(), Predicate::never()];
        single.iter().cloned().chain(pairs).chain(ends).collect()
    }

    #[test]
    fn what_is_implied_holds_wherever_it_does() {
        let worlds: Vec<[Value; 2]> = (0..16)
            .map(|world| [world % 4, world / 4].map(|value| if value == 0 { Value::Null } else { Value::Int(value) }))
            .collect();
        let holds = |predicate: &Predicate| -> Vec<bool> {
            let fact = |world: &[Value; 2], path: &Path| world[usize::from(path.field == "b")].clone();
            worlds.iter().map(|world| evaluate(predicate, &|path: &Path| fact(world, path))).collect()
        };
        let all: Vec<(Predicate, Vec<bool>)> =
            all_small().into_iter().map(|predicate| (predicate.clone(), holds(&predicate))).collect();
        let mut implied = 0;
        for (one, where_one) in &all {
            for (other, where_other) in all.iter().filter(|(other, _)| one.implies(other)) {
                implied += 1;
                let counter = where_one.iter().zip(where_other).any(|(one, other)| *one && !*other);
                assert!(!counter, "{one:?} does not imply {other:?}");
            }
        }
        assert!(implied > all.len(), "hardly anything is implied: {implied}");
    }
}
