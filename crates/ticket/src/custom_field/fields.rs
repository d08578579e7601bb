//! The record types of custom fields and of their values.

use predicate::{Field, FieldType, Policy, RecordType, Rule};

use super::{Audience, CustomFieldType};
use crate::fields::{READ, fact, nullable, reference, shown_only, silent, unordered};

/// Those who keep the tenant's settings.
const SETTINGS: Policy = Policy::When(Rule::Permission(access::permission::SETTINGS_MANAGE));

const fn set(field: Field) -> Field {
    Field { write: SETTINGS, ..field }
}

/// The definition of a custom field. Whoever belongs to the tenant may read it: portals build forms from it.
pub static CUSTOM_FIELD: RecordType = RecordType {
    name: "customField",
    table: "custom_field",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(fact("key", "key", FieldType::Text)),
        set(silent(fact("name", "name", FieldType::Text))),
        set(nullable(shown_only(fact("description", "description", FieldType::Text)))),
        silent(fact("type", "type", FieldType::Enum(CustomFieldType::NAMES))),
        set(silent(unordered(fact("kinds", "kinds", FieldType::TextList)))),
        set(shown_only(fact("options", "options", FieldType::Json))),
        set(shown_only(fact("constraints", "constraints", FieldType::Json))),
        set(nullable(shown_only(fact("default", "default_value", FieldType::Json)))),
        set(silent(unordered(fact("requiredIn", "required_in", FieldType::TextList)))),
        silent(fact("readableBy", "readable_by", FieldType::Enum(Audience::NAMES))),
        set(silent(fact("writableBy", "writable_by", FieldType::Enum(Audience::NAMES)))),
        set(nullable(silent(fact("position", "position", FieldType::Int)))),
        set(silent(fact("retired", "retired", FieldType::Bool))),
        silent(fact("version", "version", FieldType::Int)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// A value that a ticket has, in the slot of its type. Reached from the ticket alone, by whoever may read the document there.
pub static CUSTOM_FIELD_VALUE: RecordType = RecordType {
    name: "customFieldValue",
    table: "custom_field_value",
    base: None,
    fields: &[
        shown_only(fact("id", "id", FieldType::Id)),
        shown_only(fact("ticket", "ticket_id", FieldType::Id)),
        shown_only(fact("key", "key", FieldType::Text)),
        nullable(fact("text", "text_value", FieldType::Text)),
        nullable(fact("number", "number_value", FieldType::Number)),
        nullable(fact("boolean", "boolean_value", FieldType::Bool)),
        nullable(fact("time", "time_value", FieldType::Time)),
        nullable(fact("reference", "reference_value", FieldType::Id)),
    ],
    relations: &[reference("ticket", "ticket")],
    row: Rule::Through("ticket", &READ),
    own: &[],
    team: &[],
};
