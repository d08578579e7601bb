//! The record types of recurring tickets: each field once, with its column and a policy for every use.

use kernel::words;
use predicate::{Field, FieldType, Policy, RecordType};

use crate::fields::{nullable, reference, shown_only, unordered};
use crate::template::fields::{READ_TEMPLATES, kept, managed};

words! {
    /// What became of a run.
    RunStatus {
        /// It created its ticket.
        Created = "CREATED",
        /// It was due too long ago, or another run was due behind it before the server came back.
        Skipped = "SKIPPED",
        /// It could not create its ticket.
        Failed = "FAILED",
    }
}

/// A ticket that is created again and again.
pub static RECURRING_TICKET: RecordType = RecordType {
    name: "recurringTicket",
    table: "recurring_ticket",
    base: None,
    fields: &[
        unordered(kept("id", "id", FieldType::Id)),
        managed("name", "name", FieldType::Text),
        unordered(managed("template", "template_id", FieldType::Id)),
        shown_only(managed("rule", "rule", FieldType::Text)),
        shown_only(managed("startsAt", "starts_at", FieldType::Text)),
        managed("timeZone", "time_zone", FieldType::Text),
        nullable(unordered(managed("requester", "requester_id", FieldType::Id))),
        managed("isPaused", "is_paused", FieldType::Bool),
        // None while it is paused, and once the rule has ended.
        nullable(kept("nextRunAt", "next_run_at", FieldType::Time)),
        nullable(kept("lastRunAt", "last_run_at", FieldType::Time)),
        unordered(kept("setUpBy", "set_up_by_id", FieldType::Id)),
        // With whose rights it runs, and through what they were given: nobody's business but the job's.
        Field { read: Policy::Never, ..shown_only(kept("starter", "starter", FieldType::Json)) },
        kept("version", "version", FieldType::Int),
        kept("createdAt", "created_at", FieldType::Time),
        kept("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[
        reference("template", "ticketTemplate"),
        reference("requester", "actor"),
        reference("setUpBy", "actor"),
    ],
    row: READ_TEMPLATES,
    own: &[],
    team: &[],
};

/// What became of a recurring ticket at one of its times: once, whoever else thinks of it.
pub static RECURRING_TICKET_RUN: RecordType = RecordType {
    name: "recurringTicketRun",
    table: "recurring_ticket_run",
    base: None,
    fields: &[
        unordered(kept("id", "id", FieldType::Id)),
        unordered(kept("recurringTicket", "recurring_ticket_id", FieldType::Id)),
        kept("dueAt", "due_at", FieldType::Time),
        shown_only(kept("shifted", "shifted", FieldType::Bool)),
        kept("status", "status", FieldType::Enum(RunStatus::NAMES)),
        nullable(unordered(kept("ticket", "ticket_id", FieldType::Id))),
        nullable(shown_only(kept("userErrors", "errors", FieldType::Json))),
        kept("createdAt", "created_at", FieldType::Time),
    ],
    relations: &[reference("recurringTicket", "recurringTicket")],
    row: READ_TEMPLATES,
    own: &[],
    team: &[],
};
