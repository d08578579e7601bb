//! Type-checks a predicate against the registry, with errors that name the place.

use kernel::error::Problems;
use kernel::{Result, UserError};

use crate::{Catalogue, Field, FieldType, Operand, Path, Policy, Predicate, RecordType, Test, Value, keyed};

/// How deep `and`, `or` and `not` may nest.
pub const MAX_DEPTH: usize = 16;
/// How many comparisons one predicate may have.
pub const MAX_TERMS: usize = 100;
/// How many values one `in` may list.
pub const MAX_LIST: usize = 100;
/// How long a compared text may be, in bytes.
pub const MAX_TEXT: usize = 1_000;

/// What the predicate will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Compiled to SQL, once.
    Query,
    /// Evaluated in memory on the facts of events: only fields that events carry, one relation away at most,
    /// nothing relative to now.
    Event,
}

/// Checks names, types, policies and bounds. `denied` says which fields this viewer may never read on any row:
/// naming one is an error that depends on the viewer's role alone.
///
/// # Errors
/// All that is wrong, each with its path inside the filter.
pub fn check(
    predicate: &Predicate,
    record: &'static RecordType,
    catalogue: &Catalogue,
    purpose: Use,
    denied: &dyn Fn(&'static RecordType, &'static Field) -> bool,
) -> Result<()> {
    let mut terms = 0;
    predicate.for_each_test(&mut |_, _| terms += 1);
    if terms > MAX_TERMS {
        let message = format!("the filter has {terms} comparisons; at most {MAX_TERMS} are allowed");
        return Err(UserError::limit([] as [&str; 0], message, MAX_TERMS as u64).into());
    }
    if depth(predicate) > MAX_DEPTH {
        let message = format!("the filter nests deeper than {MAX_DEPTH} levels");
        return Err(UserError::limit([] as [&str; 0], message, MAX_DEPTH as u64).into());
    }
    let mut problems = Problems::default();
    predicate.for_each_test(&mut |path, test| {
        if let Err(message) = check_test(path, test, record, catalogue, purpose, denied) {
            let relations = path.relations.iter().flat_map(|name| name.split(':').map(str::to_owned));
            let segments = relations.chain([path.field.clone()]);
            problems.add(UserError::validation(segments, message));
        }
    });
    problems.check()
}

fn depth(predicate: &Predicate) -> usize {
    match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => 1 + parts.iter().map(depth).max().unwrap_or(0),
        Predicate::Not(part) => 1 + depth(part),
        Predicate::Is(..) => 0,
    }
}

fn check_test(
    path: &Path,
    test: &Test,
    record: &'static RecordType,
    catalogue: &Catalogue,
    purpose: Use,
    denied: &dyn Fn(&'static RecordType, &'static Field) -> bool,
) -> Result<(), String> {
    let target = catalogue
        .follow(record, &path.relations)
        .ok_or_else(|| format!("`{}` has no relation `{}`", record.name, path.relations.join(".")))?;
    let field = target.field(&path.field).ok_or_else(|| format!("`{}` has no field `{}`", target.name, path.field))?;
    if field.filter == Policy::Never || denied(target, field) {
        return Err(format!("`{}` cannot be filtered by with your role", path.field));
    }
    if gates(path, record, catalogue).any(|(record, gate)| denied(record, gate)) {
        return Err(format!("`{}` cannot be filtered by with your role", path.dotted()));
    }
    if purpose == Use::Event {
        if field.event == Policy::Never || path.relations.len() > 1 {
            return Err(format!("`{}` is not part of events, so it cannot be watched", path.dotted()));
        }
        if is_relative_to_now(test) {
            return Err("a time relative to now cannot be watched; use an instant".to_owned());
        }
    }
    check_operands(field, test)
}

/// The documents that hold the values under the keys on the path.
fn gates<'a>(
    path: &'a Path,
    record: &'static RecordType,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = (&'static RecordType, &'static Field)> + 'a {
    path.relations.iter().enumerate().filter_map(move |(depth, name)| {
        let source = catalogue.follow(record, &path.relations[..depth])?;
        Some((source, source.field(keyed::split(name)?.0)?))
    })
}

fn operands(test: &Test) -> &[Operand] {
    match test {
        Test::Eq(operand) | Test::Lt(operand) | Test::Lte(operand) | Test::Gt(operand) | Test::Gte(operand) => {
            std::slice::from_ref(operand)
        }
        Test::In(operands) => operands,
        _ => &[],
    }
}

fn is_relative_to_now(test: &Test) -> bool {
    operands(test).iter().any(|operand| matches!(operand, Operand::Now { .. }))
}

fn check_operands(field: &Field, test: &Test) -> Result<(), String> {
    let name = field.name;
    match test {
        Test::In(operands) if operands.len() > MAX_LIST => {
            return Err(format!("`in` lists {} values; at most {MAX_LIST} are allowed", operands.len()));
        }
        Test::InViewerTeams if field.kind != FieldType::Id => return Err(format!("`{name}` is not a team")),
        Test::Contains(text) | Test::StartsWith(text) => {
            if field.kind != FieldType::Text {
                return Err(format!("`{name}` is not a text"));
            }
            check_text(text)?;
        }
        Test::Has(text) => {
            if field.kind != FieldType::TextList {
                return Err(format!("`{name}` is not a list"));
            }
            check_text(text)?;
        }
        Test::Lt(_) | Test::Lte(_) | Test::Gt(_) | Test::Gte(_)
            if !matches!(field.kind, FieldType::Int | FieldType::Number | FieldType::Time | FieldType::Text) =>
        {
            return Err(format!("`{name}` has no order"));
        }
        _ => {}
    }
    operands(test).iter().try_for_each(|operand| check_operand(field, operand))
}

fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("the text has {} bytes; at most {MAX_TEXT} are allowed", text.len()));
    }
    if text.contains('\0') {
        return Err("the text holds a NUL character".to_owned());
    }
    Ok(())
}

fn check_operand(field: &Field, operand: &Operand) -> Result<(), String> {
    match operand {
        Operand::Viewer if field.kind == FieldType::Id => Ok(()),
        Operand::Now { .. } if field.kind == FieldType::Time => Ok(()),
        Operand::Value(value)
            if value.fits(&field.kind) && !matches!(field.kind, FieldType::Json | FieldType::TextList) =>
        {
            match (value, &field.kind) {
                (Value::Text(text), FieldType::Enum(names)) if !names.contains(&text.as_str()) => {
                    Err(format!("`{text}` is no value of `{}`", field.name))
                }
                (Value::Text(text), _) => check_text(text),
                _ => Ok(()),
            }
        }
        _ => Err(format!("the value does not fit `{}`", field.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Relation, RelationKind, Rule};

    const fn field(name: &'static str, kind: FieldType, event: Policy) -> Field {
        Field {
            name,
            kind,
            column: name,
            nullable: false,
            read: Policy::Always,
            write: Policy::Never,
            filter: Policy::Always,
            order: Policy::Never,
            event,
        }
    }

    static TEAM: RecordType = RecordType {
        name: "team",
        table: "team",
        base: None,
        fields: &[field("id", FieldType::Id, Policy::Always), field("slug", FieldType::Text, Policy::Always)],
        relations: &[],
        row: Rule::Always,
        own: &[],
        team: &[],
    };
    static TICKET: RecordType = RecordType {
        name: "ticket",
        table: "ticket",
        base: None,
        fields: &[
            field("id", FieldType::Id, Policy::Always),
            field("team", FieldType::Id, Policy::Always),
            field("createdAt", FieldType::Time, Policy::Always),
            field("priority", FieldType::Enum(&["P1", "P2"]), Policy::Always),
            field("description", FieldType::Text, Policy::Never),
        ],
        relations: &[Relation { name: "team", target: "team", kind: RelationKind::Reference("team") }],
        row: Rule::Always,
        own: &[],
        team: &["team"],
    };

    fn verdict(predicate: &Predicate, purpose: Use) -> Result<()> {
        let catalogue = Catalogue::new([&TEAM, &TICKET]).unwrap();
        check(predicate, &TICKET, &catalogue, purpose, &|_, _| false)
    }

    fn is(field: &str, test: Test) -> Predicate {
        Predicate::Is(Path::field(field), test)
    }

    #[test]
    fn well_typed_predicates_pass() {
        let fine = Predicate::eq("slug", "network")
            .through("team")
            .and(is("createdAt", Test::Gt(Operand::Now { offset: -60 })));
        assert!(verdict(&fine, Use::Query).is_ok());
    }

    #[test]
    fn each_mistake_is_named() {
        for (wrong, word) in [
            (Predicate::eq("nothing", "x"), "no field"),
            (Predicate::eq("slug", "x").through("nowhere"), "no relation"),
            (Predicate::eq("priority", "P9"), "no value"),
            (Predicate::eq("createdAt", "yesterday"), "does not fit"),
            (is("priority", Test::Contains("P".into())), "not a text"),
            (is("description", Test::Contains("x".repeat(MAX_TEXT + 1))), "bytes"),
        ] {
            let error = verdict(&wrong, Use::Query).unwrap_err().to_string();
            assert!(error.contains(word), "{error} should mention {word}");
        }
    }

    #[test]
    fn what_events_do_not_carry_cannot_be_watched() {
        let description = is("description", Test::Contains("x".into()));
        assert!(verdict(&description, Use::Query).is_ok());
        assert!(verdict(&description, Use::Event).is_err());
        assert!(verdict(&is("createdAt", Test::Gt(Operand::Now { offset: -60 })), Use::Event).is_err());
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let wide = Predicate::All(vec![Predicate::eq("priority", "P1"); MAX_TERMS + 1]);
        assert!(verdict(&wide, Use::Query).is_err());
        let mut deep = Predicate::eq("priority", "P1");
        for _ in 0..=MAX_DEPTH {
            deep = Predicate::Not(Box::new(deep));
        }
        assert!(verdict(&deep, Use::Query).is_err());
    }
}
