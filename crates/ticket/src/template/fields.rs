//! The record type of ticket templates: each field once, with its column and a policy for every use.

use access::permission::{TEMPLATE_MANAGE, TEMPLATE_READ};
use predicate::{Field, FieldType, Policy, RecordType, Rule};

use crate::fields::{fact, nullable, shown_only, silent, unordered, written};
use crate::model::TicketKind;

/// Who sees templates, and what is made from them by itself.
pub const READ_TEMPLATES: Rule = Rule::Permission(TEMPLATE_READ);
/// Those who keep them.
const TEMPLATES: Policy = Policy::When(Rule::Permission(TEMPLATE_MANAGE));

/// Never told by an event's facts.
pub(crate) const fn kept(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    silent(fact(name, column, kind))
}

pub(crate) const fn managed(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    written(kept(name, column, kind), TEMPLATES)
}

/// What tickets of a sort have in common.
pub static TICKET_TEMPLATE: RecordType = RecordType {
    name: "ticketTemplate",
    table: "ticket_template",
    base: None,
    fields: &[
        unordered(kept("id", "id", FieldType::Id)),
        kept("key", "key", FieldType::Text),
        managed("name", "name", FieldType::Text),
        shown_only(nullable(managed("description", "description", FieldType::Text))),
        kept("kind", "kind", FieldType::Enum(TicketKind::NAMES)),
        // What its tickets say, and which tasks they have.
        shown_only(managed("document", "document", FieldType::Json)),
        kept("version", "version", FieldType::Int),
        kept("createdAt", "created_at", FieldType::Time),
        kept("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[],
    row: READ_TEMPLATES,
    own: &[],
    team: &[],
};
