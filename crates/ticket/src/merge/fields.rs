//! The record type of merges.

use predicate::{FieldType, Policy, RecordType, Rule};

use crate::fields::{READ, READ_INTERNAL, fact, nullable, reference, shown_only, silent, unordered};

/// How much was moved tells of what is internal as well.
const COUNTED: Policy = Policy::When(Rule::Through("ticket", &READ_INTERNAL));

const fn count(name: &'static str, column: &'static str) -> predicate::Field {
    predicate::Field { read: COUNTED, ..shown_only(fact(name, column, FieldType::Int)) }
}

const fn hidden(field: predicate::Field) -> predicate::Field {
    predicate::Field { read: Policy::Never, ..shown_only(field) }
}

/// That a ticket was merged into another. There only for those who see both.
pub static TICKET_MERGE: RecordType = RecordType {
    name: "ticketMerge",
    table: "ticket_merge",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(unordered(fact("duplicate", "duplicate_id", FieldType::Id))),
        silent(unordered(fact("mergedBy", "merged_by_id", FieldType::Id))),
        silent(fact("mergedAt", "merged_at", FieldType::Time)),
        silent(fact("undoableUntil", "undoable_until", FieldType::Time)),
        silent(nullable(fact("undoneAt", "undone_at", FieldType::Time))),
        silent(nullable(unordered(fact("undoneBy", "undone_by_id", FieldType::Id)))),
        count("comments", "comments"),
        count("attachments", "attachments"),
        count("watchers", "watchers"),
        hidden(fact("before", "before", FieldType::Json)),
        hidden(nullable(fact("link", "link_id", FieldType::Id))),
    ],
    relations: &[reference("ticket", "ticket"), reference("duplicate", "ticket")],
    row: Rule::All(&[Rule::Through("ticket", &READ), Rule::Through("duplicate", &READ)]),
    own: &[],
    team: &[],
};
