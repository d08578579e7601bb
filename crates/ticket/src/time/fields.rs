//! The record types of time and cost: each field once, with its column and a policy for every use.

use access::permission::{COST_READ, RATE_MANAGE, RATE_READ, TICKET_INTERNAL, TIME_RECORD};
use predicate::{Field, FieldType, Policy, RecordType, Rule};

use crate::fields::{READ, READ_INTERNAL, fact, nullable, reference, shown_only, silent, unordered, written};

/// Those who may know what the time on a ticket costs.
pub const READ_COST: Rule = Rule::All(&[Rule::Permission(TICKET_INTERNAL), Rule::Permission(COST_READ)]);
/// Those who may know what an entry costs.
const COST: Policy = Policy::When(Rule::Through("ticket", &READ_COST));
/// Those who keep rates.
const RATES: Policy = Policy::When(Rule::Permission(RATE_MANAGE));
/// Those who write down time.
const RECORD: Policy = Policy::When(Rule::Through("ticket", &Rule::Permission(TIME_RECORD)));

/// Never told by an event's facts.
const fn kept(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    silent(fact(name, column, kind))
}

const fn managed(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    written(kept(name, column, kind), RATES)
}

const fn recorded(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    written(kept(name, column, kind), RECORD)
}

const fn priced(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field { read: COST, ..nullable(kept(name, column, kind)) }
}

/// What an hour of somebody's work costs, from a day on.
pub static LABOUR_RATE: RecordType = RecordType {
    name: "labourRate",
    table: "labour_rate",
    base: None,
    fields: &[
        unordered(kept("id", "id", FieldType::Id)),
        kept("key", "key", FieldType::Text),
        managed("name", "name", FieldType::Text),
        shown_only(nullable(managed("description", "description", FieldType::Text))),
        managed("hourly", "hourly", FieldType::Int),
        managed("currency", "currency", FieldType::Text),
        managed("validFrom", "valid_from", FieldType::Text),
        nullable(unordered(kept("team", "team_id", FieldType::Id))),
        nullable(unordered(kept("user", "user_id", FieldType::Id))),
        managed("retired", "retired", FieldType::Bool),
        kept("version", "version", FieldType::Int),
        kept("createdAt", "created_at", FieldType::Time),
        kept("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[reference("team", "team"), reference("user", "actor")],
    row: Rule::Permission(RATE_READ),
    own: &[],
    team: &[],
};

/// Time that somebody worked on a ticket. There only for those who work on it.
pub static TIME_ENTRY: RecordType = RecordType {
    name: "timeEntry",
    table: "time_entry",
    base: None,
    fields: &[
        unordered(kept("id", "id", FieldType::Id)),
        unordered(kept("ticket", "ticket_id", FieldType::Id)),
        unordered(kept("user", "user_id", FieldType::Id)),
        unordered(kept("recordedBy", "recorded_by_id", FieldType::Id)),
        nullable(unordered(kept("team", "team_id", FieldType::Id))),
        recorded("startedAt", "started_at", FieldType::Time),
        kept("workedOn", "worked_on", FieldType::Text),
        recorded("duration", "duration", FieldType::Int),
        recorded("billable", "billable", FieldType::Bool),
        shown_only(nullable(recorded("note", "note", FieldType::Text))),
        Field { read: COST, ..kept("costed", "costed", FieldType::Bool) },
        unordered(priced("rate", "rate_id", FieldType::Id)),
        priced("hourly", "hourly", FieldType::Int),
        priced("amount", "amount", FieldType::Int),
        priced("currency", "currency", FieldType::Text),
        kept("version", "version", FieldType::Int),
        kept("createdAt", "created_at", FieldType::Time),
        kept("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[
        reference("ticket", "ticket"),
        reference("user", "actor"),
        reference("recordedBy", "actor"),
        reference("team", "team"),
        reference("rate", "labourRate"),
    ],
    row: Rule::All(&[Rule::Through("ticket", &READ), Rule::Through("ticket", &READ_INTERNAL)]),
    own: &["user"],
    team: &[],
};
