//! From the fields that a client names to where their values are.
//!
//! The API cannot know the fields of a tenant when it reads a filter. It writes `customField:key` and the name of the
//! comparison (`text`, `number`, …) into the path; here the key is looked up, the comparison checked against the field's type,
//! and the path made one of the catalogue. A path that nobody bound leads nowhere in the catalogue, and is refused.

use kernel::error::Problems;
use kernel::{Result, UserError};
use predicate::{Path, Predicate, keyed};

use super::{CustomFieldType, Definitions, UNBOUND};

/// The comparison that fits every type: whether there is a value.
const ANY: &str = "value";

/// Whether any comparison names a custom field.
pub(super) fn names_custom_fields(condition: &Predicate) -> bool {
    let mut found = false;
    condition.for_each_test(&mut |path, _| found |= path.relations.iter().any(|name| key_of(name).is_some()));
    found
}

fn key_of(relation: &str) -> Option<&str> {
    keyed::split(relation).filter(|(name, _)| *name == UNBOUND).map(|(_, key)| key)
}

/// Binds every custom field that a condition names.
///
/// # Errors
/// `VALIDATION`, each with its path inside the condition.
pub(crate) fn bind(definitions: &Definitions, condition: Predicate) -> Result<Predicate> {
    let mut problems = Problems::default();
    let bound = condition.map_tests(&mut |path, test| match bind_path(definitions, &path) {
        Ok(path) => Predicate::Is(path, test),
        Err(error) => {
            problems.add(*error);
            Predicate::never()
        }
    });
    problems.check()?;
    Ok(bound)
}

fn bind_path(definitions: &Definitions, path: &Path) -> std::result::Result<Path, Box<UserError>> {
    let Some((place, key)) = path.relations.iter().enumerate().find_map(|(place, name)| Some((place, key_of(name)?)))
    else {
        return Ok(path.clone());
    };
    let at = || ["customFields", key];
    let Some(field) = definitions.get(key) else { return Err(Box::new(unknown(definitions, &at(), key))) };
    if path.field != ANY && path.field != field.kind.input() {
        let (kind, input) = (field.kind.as_str(), field.kind.input());
        let message = format!("`{key}` is of type {kind}: compare it by `{input}`, not by `{}`", path.field);
        return Err(Box::new(UserError::constraint(at(), message, "type", None)));
    }
    let mut relations = path.relations.clone();
    relations[place] = keyed::join(field.document(), key);
    Ok(Path { relations, field: field.kind.slot().to_owned() })
}

/// Where the values of a field are that an order or a dimension names.
pub(super) fn term(definitions: &Definitions, key: &str, path: &str, ordered: bool) -> Result<String> {
    let field = definitions.get(key).ok_or_else(|| unknown(definitions, &[path], key))?;
    if ordered && matches!(field.kind, CustomFieldType::User | CustomFieldType::ConfigurationItem) {
        let message = format!("`{key}` is of type {}, which has no order", field.kind.as_str());
        return Err(UserError::constraint([path], message, "type", None).into());
    }
    Ok(field.term())
}

/// The error of a field that is not there.
pub(super) fn unknown(definitions: &Definitions, path: &[&str], key: &str) -> UserError {
    let known: Vec<_> = definitions.iter().map(|field| format!("`{}`", field.key)).take(20).collect();
    let known = if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
    UserError::constraint(
        path.iter().copied(),
        format!("there is no custom field `{key}`; {known}"),
        "unknownField",
        None,
    )
}
