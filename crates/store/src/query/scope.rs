//! Whose a record is, as words of a text index: so that the index itself leaves out what the viewer cannot see anyway, and a search for
//! words that many records hold costs no more than what is theirs.
//!
//! What is taken from a condition here is necessary for it, and no more: the whole condition is looked at all the same.

use kernel::Uuid;
use predicate::{Operand, Path, Predicate, Test, Value};

/// How many words one group may have; a condition that names more is left to the database.
const MOST: usize = 100;

/// Fields of a record that hold an id, each with the letter that its words begin with.
pub type ScopeFields = &'static [(&'static str, char)];

/// The word for a record whose field holds this id.
pub fn scope_word(mark: char, id: Uuid) -> String {
    format!("{mark}{}", id.simple())
}

/// Words of which each record that meets the condition has one of each group.
pub(super) fn groups(fields: ScopeFields, condition: &Predicate) -> Vec<Vec<String>> {
    let mut groups = necessary(fields, condition);
    groups.retain(|group| (1..=MOST).contains(&group.len()));
    groups
}

fn necessary(fields: ScopeFields, condition: &Predicate) -> Vec<Vec<String>> {
    match condition {
        Predicate::All(parts) => parts.iter().flat_map(|part| necessary(fields, part)).collect(),
        Predicate::Any(parts) => {
            // Where one way says nothing of whose the record is, all of them together do not.
            let ways: Option<Vec<Vec<String>>> =
                parts.iter().map(|part| necessary(fields, part).into_iter().min_by_key(Vec::len)).collect();
            ways.map(|ways| vec![ways.concat()]).unwrap_or_default()
        }
        Predicate::Is(Path { relations, field }, test) if relations.is_empty() => {
            let mark = fields.iter().find(|(name, _)| name == field).map(|(_, mark)| *mark);
            mark.and_then(|mark| words(mark, test)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn words(mark: char, test: &Test) -> Option<Vec<String>> {
    let word = |operand: &Operand| match operand {
        Operand::Value(Value::Id(id)) => Some(scope_word(mark, *id)),
        _ => None,
    };
    match test {
        Test::Eq(operand) => word(operand).map(|word| vec![word]),
        Test::In(operands) => operands.iter().map(word).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: ScopeFields = &[("team", 't'), ("requester", 'r')];

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn of(condition: &Predicate) -> Vec<Vec<String>> {
        groups(FIELDS, condition)
    }

    #[test]
    fn what_everybody_sees_is_bound_to_nothing() {
        for condition in [
            Predicate::always(),
            Predicate::eq("title", "x"),
            !Predicate::eq("team", id(1)),
            Predicate::eq("team", id(1)).or(Predicate::eq("title", "x")),
            Predicate::Is(Path::through("team", "team"), Test::Eq(Operand::Value(Value::Id(id(1))))),
            Predicate::Is(Path::field("team"), Test::IsNull(true)),
        ] {
            assert!(of(&condition).is_empty(), "{condition:?}");
        }
        assert!(of(&Predicate::never()).is_empty(), "what nobody sees needs no index");
    }

    #[test]
    fn what_is_somebodys_is_found_by_them() {
        let (team, other, own) = (scope_word('t', id(1)), scope_word('t', id(2)), scope_word('r', id(3)));
        let visible = Predicate::one_of("team", &[id(1), id(2)]).or(Predicate::eq("requester", id(3)));
        assert_eq!(of(&visible), [[team.clone(), other.clone(), own.clone()]]);
        let narrowed = visible.clone().and(Predicate::eq("team", id(2))).and(Predicate::eq("title", "x"));
        assert_eq!(of(&narrowed), [vec![team, other.clone(), own.clone()], vec![other.clone()]]);
        // Of what must hold together one is enough, the shorter one.
        let either = Predicate::Any(vec![narrowed, Predicate::eq("requester", id(3))]);
        assert_eq!(of(&either), [[other, own]]);
        let many: Vec<Uuid> = (0..=MOST as u128).map(id).collect();
        assert!(of(&Predicate::one_of("team", &many)).is_empty());
    }
}
