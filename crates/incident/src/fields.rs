//! The record types of this crate: each field once, with its column and a policy for every use.

use access::permission::{CONFIGURATION_READ, SETTINGS_MANAGE};
use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};
use ticket::fields::{OWN, READ, READ_INTERNAL, TEAM, TICKET, fact};

use crate::alert::AlertStatus;
use crate::major::{ActionKind, MajorState, UpdateAudience};
use crate::model::IncidentOrigin;

/// Those who work on the ticket.
const INTERNAL: Policy = Policy::When(READ_INTERNAL);
/// Those who keep the tenant's settings.
const MANAGE: Policy = Policy::When(Rule::Permission(SETTINGS_MANAGE));

const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

const fn internal(field: Field) -> Field {
    Field { read: INTERNAL, ..field }
}

/// Not carried by events, and not ordered by.
const fn quiet(field: Field) -> Field {
    Field { order: Policy::Never, event: Policy::Never, ..field }
}

const fn silent(field: Field) -> Field {
    Field { event: Policy::Never, ..field }
}

const fn managed(field: Field) -> Field {
    Field { write: MANAGE, ..field }
}

/// Somebody's part in a major incident.
const fn person(name: &'static str, column: &'static str) -> Field {
    Field { filter: Policy::Never, order: Policy::Never, ..fact(name, column, FieldType::Id) }
}

/// Read as a whole, and neither filtered nor ordered by.
const fn shown_only(field: Field) -> Field {
    Field { filter: Policy::Never, ..quiet(field) }
}

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

/// An incident: the shared fields of tickets, and these.
pub static INCIDENT: RecordType = RecordType {
    name: "incident",
    table: "incident",
    base: Some(&TICKET),
    fields: &[
        fact("origin", "origin", FieldType::Enum(IncidentOrigin::NAMES)),
        nullable(fact("resolutionCode", "resolution_code", FieldType::Text)),
        nullable(quiet(fact("resolutionNotes", "resolution_notes", FieldType::Text))),
        // What alerts of it have in common; for those who work on it, as all that monitoring tells.
        internal(nullable(fact("deduplicationKey", "deduplication_key", FieldType::Text))),
        // The same while it is open and takes further alerts: nobody's business but the database's.
        Field { read: Policy::Never, ..shown_only(nullable(fact("openKey", "open_key", FieldType::Text))) },
        internal(nullable(silent(fact("occurrences", "occurrences", FieldType::Int)))),
        internal(nullable(silent(fact("firingAlerts", "firing_alerts", FieldType::Int)))),
        internal(nullable(silent(fact("firstSeenAt", "first_seen_at", FieldType::Time)))),
        internal(nullable(silent(fact("lastSeenAt", "last_seen_at", FieldType::Time)))),
        nullable(fact("majorIncidentState", "major_state", FieldType::Enum(MajorState::NAMES))),
        nullable(shown_only(fact("businessImpact", "business_impact", FieldType::Text))),
        internal(nullable(shown_only(fact("majorReason", "major_reason", FieldType::Text)))),
        nullable(silent(fact("majorDecidedAt", "major_decided_at", FieldType::Time))),
        nullable(person("commander", "commander_id")),
        nullable(person("communicationsLead", "communications_lead_id")),
        nullable(person("scribe", "scribe_id")),
        nullable(shown_only(fact("updateCadence", "update_cadence", FieldType::Int))),
        nullable(silent(fact("nextUpdateDueAt", "next_update_due_at", FieldType::Time))),
        nullable(shown_only(fact("reviewRequired", "review_required", FieldType::Bool))),
        nullable(fact("reviewedAt", "reviewed_at", FieldType::Time)),
    ],
    relations: &[],
    row: READ,
    own: OWN,
    team: TEAM,
};

/// An alert, on the incident that it belongs to. For those who work on the incident.
pub static ALERT: RecordType = RecordType {
    name: "alert",
    table: "alert",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        quiet(fact("incident", "incident_id", FieldType::Id)),
        quiet(fact("rule", "rule_id", FieldType::Id)),
        silent(fact("key", "key", FieldType::Text)),
        silent(fact("status", "status", FieldType::Enum(AlertStatus::NAMES))),
        silent(fact("title", "title", FieldType::Text)),
        silent(nullable(fact("severity", "severity", FieldType::Text))),
        silent(nullable(fact("source", "source", FieldType::Text))),
        shown_only(fact("labels", "labels", FieldType::Json)),
        shown_only(nullable(fact("url", "url", FieldType::Text))),
        silent(fact("occurrences", "occurrences", FieldType::Int)),
        silent(nullable(fact("startsAt", "starts_at", FieldType::Time))),
        silent(fact("firstSeenAt", "first_seen_at", FieldType::Time)),
        silent(fact("lastSeenAt", "last_seen_at", FieldType::Time)),
        silent(nullable(fact("endedAt", "ended_at", FieldType::Time))),
        // The incident that it came in on, where that was merged into another one.
        Field { read: Policy::Never, ..shown_only(nullable(fact("movedFrom", "moved_from_id", FieldType::Id))) },
    ],
    relations: &[reference("incident", "ticket"), reference("rule", "alertRule")],
    row: Rule::Through("incident", &READ_INTERNAL),
    own: &[],
    team: &[],
};

/// A rule of alerts.
pub static ALERT_RULE: RecordType = RecordType {
    name: "alertRule",
    table: "alert_rule",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        silent(fact("key", "key", FieldType::Text)),
        silent(managed(fact("name", "name", FieldType::Text))),
        nullable(shown_only(managed(fact("description", "description", FieldType::Text)))),
        silent(managed(fact("position", "position", FieldType::Int))),
        shown_only(managed(fact("document", "document", FieldType::Json))),
        silent(managed(fact("retired", "retired", FieldType::Bool))),
        silent(fact("version", "version", FieldType::Int)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[],
    row: Rule::Permission(CONFIGURATION_READ),
    own: &[],
    team: &[],
};

/// What is told of a major incident: to everybody in the tenant, to those who see the incident, or to those who work on it.
pub static STATUS_UPDATE: RecordType = RecordType {
    name: "statusUpdate",
    table: "status_update",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        quiet(fact("incident", "incident_id", FieldType::Id)),
        silent(fact("audience", "audience", FieldType::Enum(UpdateAudience::NAMES))),
        shown_only(fact("body", "body", FieldType::Text)),
        quiet(fact("author", "author_id", FieldType::Id)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("incident", "ticket")],
    row: Rule::Any(&[
        Rule::Equals("audience", "PUBLIC"),
        Rule::All(&[Rule::Equals("audience", "REQUESTERS"), Rule::Through("incident", &READ)]),
        Rule::Through("incident", &READ_INTERNAL),
    ]),
    own: &[],
    team: &[],
};

/// What somebody notes on the timeline of a major incident. For those who work on it.
pub static TIMELINE_NOTE: RecordType = RecordType {
    name: "timelineNote",
    table: "timeline_note",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        quiet(fact("incident", "incident_id", FieldType::Id)),
        shown_only(fact("at", "at", FieldType::Time)),
        shown_only(fact("body", "body", FieldType::Text)),
        shown_only(fact("author", "author_id", FieldType::Id)),
        shown_only(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("incident", "ticket")],
    row: Rule::Through("incident", &READ_INTERNAL),
    own: &[],
    team: &[],
};

/// How a major incident is looked back at. For those who work on it.
pub static REVIEW: RecordType = RecordType {
    name: "majorIncidentReview",
    table: "incident_review",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        quiet(fact("incident", "incident_id", FieldType::Id)),
        shown_only(nullable(fact("whatHappened", "what_happened", FieldType::Text))),
        shown_only(fact("fiveWhys", "five_whys", FieldType::TextList)),
        shown_only(nullable(fact("lessons", "lessons", FieldType::Text))),
        shown_only(nullable(fact("completedAt", "completed_at", FieldType::Time))),
        shown_only(fact("version", "version", FieldType::Int)),
        shown_only(fact("createdAt", "created_at", FieldType::Time)),
        shown_only(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[reference("incident", "ticket")],
    row: Rule::Through("incident", &READ_INTERNAL),
    own: &[],
    team: &[],
};

/// What is to be done after a major incident. For those who work on it.
pub static ACTION: RecordType = RecordType {
    name: "majorIncidentAction",
    table: "incident_action",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        quiet(fact("incident", "incident_id", FieldType::Id)),
        shown_only(fact("kind", "kind", FieldType::Enum(ActionKind::NAMES))),
        shown_only(fact("title", "title", FieldType::Text)),
        shown_only(nullable(fact("description", "description", FieldType::Text))),
        quiet(nullable(fact("ticket", "ticket_id", FieldType::Id))),
        shown_only(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("incident", "ticket")],
    row: Rule::Through("incident", &READ_INTERNAL),
    own: &[],
    team: &[],
};

/// What a tenant sets for its major incidents.
pub static SETTINGS: RecordType = RecordType {
    name: "majorIncidentSettings",
    table: "incident_settings",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        shown_only(managed(fact("reviewRequired", "review_required", FieldType::Bool))),
        shown_only(managed(nullable(fact("updateCadence", "update_cadence", FieldType::Int)))),
        shown_only(fact("version", "version", FieldType::Int)),
        shown_only(fact("createdAt", "created_at", FieldType::Time)),
        shown_only(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// All record types of this crate.
pub static ALL: &[&RecordType] =
    &[&INCIDENT, &ALERT, &ALERT_RULE, &STATUS_UPDATE, &TIMELINE_NOTE, &REVIEW, &ACTION, &SETTINGS];
