//! The record types of this crate: each field once, with its column and a policy for every use.

use access::permission::SETTINGS_MANAGE;
use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};
use ticket::fields::{READ, READ_INTERNAL};

use crate::model::{Cause, ClockState, Metric, Phase, PolicyKind};

/// Those who keep the tenant's settings.
const MANAGE: Policy = Policy::When(Rule::Permission(SETTINGS_MANAGE));

/// Readable wherever the row is, filtered and ordered by, set by the system alone, and not carried by events.
const fn field(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field {
        name,
        kind,
        column,
        nullable: false,
        read: Policy::Always,
        write: Policy::Never,
        filter: Policy::Always,
        order: Policy::Always,
        event: Policy::Never,
    }
}

const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

const fn managed(field: Field) -> Field {
    Field { write: MANAGE, ..field }
}

const fn unordered(field: Field) -> Field {
    Field { order: Policy::Never, ..field }
}

/// Read as a whole, and neither filtered nor ordered by.
const fn shown_only(field: Field) -> Field {
    Field { order: Policy::Never, filter: Policy::Never, ..field }
}

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

/// A calendar of working time. Readable within the tenant: people ask when somebody is there.
pub static CALENDAR: RecordType = RecordType {
    name: "calendar",
    table: "calendar",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        field("key", "key", FieldType::Text),
        managed(field("name", "name", FieldType::Text)),
        managed(nullable(unordered(field("description", "description", FieldType::Text)))),
        managed(field("number", "number", FieldType::Int)),
        managed(field("retired", "retired", FieldType::Bool)),
        field("version", "version", FieldType::Int),
        field("createdAt", "created_at", FieldType::Time),
        field("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// One version of a calendar. It never changes.
pub static CALENDAR_VERSION: RecordType = RecordType {
    name: "calendarVersion",
    table: "calendar_version",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        unordered(field("calendar", "calendar_id", FieldType::Id)),
        field("number", "number", FieldType::Int),
        field("revision", "revision", FieldType::Int),
        shown_only(field("document", "document", FieldType::Json)),
        field("createdAt", "created_at", FieldType::Time),
    ],
    relations: &[reference("calendar", "calendar")],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// A policy of service levels. What is promised to those who use a service is no secret; what teams and suppliers promise is
/// for those who work on tickets.
pub static SLA_POLICY: RecordType = RecordType {
    name: "slaPolicy",
    table: "sla_policy",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        field("key", "key", FieldType::Text),
        managed(field("name", "name", FieldType::Text)),
        managed(nullable(unordered(field("description", "description", FieldType::Text)))),
        field("kind", "kind", FieldType::Enum(PolicyKind::NAMES)),
        managed(field("number", "number", FieldType::Int)),
        managed(field("retired", "retired", FieldType::Bool)),
        field("version", "version", FieldType::Int),
        field("createdAt", "created_at", FieldType::Time),
        field("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[],
    row: POLICY_READ,
    own: &[],
    team: &[],
};

/// Who may see a policy.
const POLICY_READ: Rule =
    Rule::Any(&[Rule::Equals("kind", "SLA"), Rule::Permission(access::permission::CONFIGURATION_READ)]);

/// One version of a policy. It never changes.
pub static SLA_POLICY_VERSION: RecordType = RecordType {
    name: "slaPolicyVersion",
    table: "sla_policy_version",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        unordered(field("policy", "policy_id", FieldType::Id)),
        field("number", "number", FieldType::Int),
        field("revision", "revision", FieldType::Int),
        field("active", "active", FieldType::Bool),
        shown_only(field("document", "document", FieldType::Json)),
        field("createdAt", "created_at", FieldType::Time),
    ],
    relations: &[reference("policy", "slaPolicy")],
    row: Rule::Through("policy", &POLICY_READ),
    own: &[],
    team: &[],
};

/// One metric of one policy on one ticket. Clocks of teams and suppliers are for those who work on the ticket.
pub static SLA_CLOCK: RecordType = RecordType {
    name: "slaClock",
    table: "sla_clock",
    base: None,
    fields: &[
        unordered(field("id", "id", FieldType::Id)),
        unordered(field("ticket", "ticket_id", FieldType::Id)),
        unordered(field("policy", "policy_id", FieldType::Id)),
        field("policyVersion", "policy_version", FieldType::Int),
        field("kind", "kind", FieldType::Enum(PolicyKind::NAMES)),
        field("metric", "metric", FieldType::Enum(Metric::NAMES)),
        field("ordinal", "ordinal", FieldType::Int),
        nullable(unordered(field("about", "about_id", FieldType::Id))),
        field("phase", "phase", FieldType::Enum(Phase::NAMES)),
        field("state", "state", FieldType::Enum(ClockState::NAMES)),
        field("late", "late", FieldType::Bool),
        field("startedAt", "started_at", FieldType::Time),
        nullable(field("dueAt", "due_at", FieldType::Time)),
        nullable(field("stoppedAt", "stopped_at", FieldType::Time)),
        nullable(field("breachedAt", "breached_at", FieldType::Time)),
        field("target", "target", FieldType::Int),
        unordered(field("calendar", "calendar_id", FieldType::Id)),
        field("calendarVersion", "calendar_version", FieldType::Int),
        field("elapsed", "elapsed", FieldType::Int),
        nullable(field("ended", "ended", FieldType::Enum(Cause::NAMES))),
        shown_only(field("segments", "segments", FieldType::Text)),
        shown_only(field("fired", "fired", FieldType::Json)),
    ],
    relations: &[reference("ticket", "ticket"), reference("policy", "slaPolicy")],
    row: Rule::All(&[
        Rule::Through("ticket", &READ),
        Rule::Any(&[Rule::Equals("kind", "SLA"), Rule::Through("ticket", &READ_INTERNAL)]),
    ]),
    own: &[],
    team: &[],
};

/// All record types of this crate.
pub static ALL: &[&RecordType] = &[&CALENDAR, &CALENDAR_VERSION, &SLA_POLICY, &SLA_POLICY_VERSION, &SLA_CLOCK];
