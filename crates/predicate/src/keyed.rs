//! Values under keys: fields that are not declared in the catalogue but made by a tenant.
//!
//! A record holds them twice: as a document `{ "costCenter": "4711" }` in one field, from which they are shown and by which
//! conditions are evaluated in memory, and in rows of their own, one to a key, by which they are filtered and ordered in the
//! database. A path names the relation, the key and the slot that holds values of the type: `customFields:costCenter.text`.

use kernel::Id;
use serde_json::Value as Json;

use crate::{FieldType, Path, Value};

/// Stands between a keyed relation and the key.
const SEPARATOR: char = ':';

/// Where the values of each type are: the fields of a keyed record, by name and type. A date is a text.
pub const SLOTS: [(&str, FieldType); 5] = [
    ("text", FieldType::Text),
    ("number", FieldType::Number),
    ("boolean", FieldType::Bool),
    ("time", FieldType::Time),
    ("reference", FieldType::Id),
];

/// The name of a keyed relation with its key.
pub fn join(relation: &str, key: &str) -> String {
    format!("{relation}{SEPARATOR}{key}")
}

/// The relation and the key of such a name; `None` for any other name.
pub fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(SEPARATOR)
}

/// The path that a term of an order or a dimension names: a field, `relation.field`, or `relation:key.slot`.
pub fn path(term: &str) -> Path {
    match term.rsplit_once('.') {
        Some((relation, field)) => Path::through(relation, field),
        None => Path::field(term),
    }
}

/// The value under a key of a document, as the slot holds it. References stand in documents as ids with their prefix.
pub fn value(document: &Json, key: &str, slot: &str) -> Value {
    let Some(json) = document.get(key) else { return Value::Null };
    match SLOTS.iter().find(|(name, _)| *name == slot) {
        Some((_, FieldType::Id)) => {
            json.as_str().and_then(|text| Id::parse(text).ok()).map_or(Value::Null, |id| Value::Id(id.uuid))
        }
        Some((_, kind)) => Value::from_json(kind, json).unwrap_or(Value::Null),
        None => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_slot_reads_its_own_form() {
        let uuid = Uuid::from_u128(7);
        let document =
            json!({ "a": "x", "b": 1.5, "c": true, "d": Id::new(kernel::id::prefix::USER, uuid).to_string() });
        assert_eq!(value(&document, "a", "text"), "x".into());
        assert_eq!(value(&document, "b", "number"), 1.5.into());
        assert_eq!(value(&document, "c", "boolean"), true.into());
        assert_eq!(value(&document, "d", "reference"), uuid.into());
        for (key, slot) in [("a", "number"), ("none", "text"), ("a", "nowhere")] {
            assert_eq!(value(&document, key, slot), Value::Null);
        }
    }

    #[test]
    fn a_term_is_a_field_or_a_key() {
        assert_eq!(path("createdAt"), Path::field("createdAt"));
        assert_eq!(path("customFields:region.text"), Path::through("customFields:region", "text"));
        assert_eq!(path("customFields:region.text").dotted(), "customFields:region.text");
    }
}
