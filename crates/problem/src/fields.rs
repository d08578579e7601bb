//! The record types of this crate: each field once, with its column and a policy for every use.

use access::permission::{CONFIGURATION_READ, SETTINGS_MANAGE, TICKET_UPDATE};
use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};
use ticket::fields::{OWN, READ, READ_INTERNAL, TEAM, TICKET, fact};

use crate::model::ProblemOrigin;

/// Those who work on the ticket.
const INTERNAL: Policy = Policy::When(READ_INTERNAL);
/// Those who may change what a ticket says.
const UPDATE: Policy = Policy::When(Rule::Permission(TICKET_UPDATE));

/// Those who keep the tenant's settings.
const MANAGE: Policy = Policy::When(Rule::Permission(SETTINGS_MANAGE));

const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

const fn internal(field: Field) -> Field {
    Field { read: INTERNAL, ..field }
}

const fn written(field: Field) -> Field {
    Field { write: UPDATE, ..field }
}

const fn managed(field: Field) -> Field {
    Field { write: MANAGE, ..field }
}

const fn silent(field: Field) -> Field {
    Field { event: Policy::Never, ..field }
}

/// Not carried by events, and not ordered by.
const fn quiet(field: Field) -> Field {
    Field { order: Policy::Never, event: Policy::Never, ..field }
}

/// Read as a whole, and neither filtered nor ordered by.
const fn shown_only(field: Field) -> Field {
    Field { filter: Policy::Never, ..quiet(field) }
}

/// Nobody's business but this crate's.
const fn hidden(field: Field) -> Field {
    Field { read: Policy::Never, ..shown_only(field) }
}

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

/// A problem: the shared fields of tickets, and these. What is known of the cause is for those who work on it; a workaround reaches others
/// by being published.
pub static PROBLEM: RecordType = RecordType {
    name: "problem",
    table: "problem",
    base: Some(&TICKET),
    fields: &[
        fact("origin", "origin", FieldType::Enum(ProblemOrigin::NAMES)),
        internal(nullable(written(quiet(fact("symptom", "symptom", FieldType::Text))))),
        internal(nullable(written(quiet(fact("rootCause", "root_cause", FieldType::Text))))),
        internal(nullable(written(quiet(fact("workaround", "workaround", FieldType::Text))))),
        written(fact("knownError", "known_error", FieldType::Bool)),
        // What was published last, how often that was done, and when.
        internal(nullable(shown_only(fact("publishedWorkaround", "published_workaround", FieldType::Text)))),
        internal(shown_only(fact("publication", "publication", FieldType::Int))),
        internal(nullable(fact("workaroundPublishedAt", "workaround_published_at", FieldType::Time))),
        nullable(fact("resolutionCode", "resolution_code", FieldType::Text)),
        nullable(quiet(fact("resolutionNotes", "resolution_notes", FieldType::Text))),
        nullable(written(fact("riskReviewAt", "risk_review_at", FieldType::Time))),
        // The date of the review that was told of last.
        hidden(nullable(fact("riskReviewTold", "risk_review_told", FieldType::Time))),
        // The rule that found it, and what that found; the same while it is open, for the database alone.
        internal(nullable(quiet(fact("detectionRule", "detection_rule_id", FieldType::Id)))),
        hidden(nullable(fact("detectionKey", "detection_key", FieldType::Text))),
        hidden(nullable(fact("openDetectionKey", "open_detection_key", FieldType::Text))),
    ],
    relations: &[],
    row: READ,
    own: OWN,
    team: TEAM,
};

/// That a publication of a workaround was said on an incident: once, whoever else thinks of it.
pub static WORKAROUND_POST: RecordType = RecordType {
    name: "workaroundPost",
    table: "workaround_post",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        quiet(fact("problem", "problem_id", FieldType::Id)),
        quiet(fact("incident", "incident_id", FieldType::Id)),
        quiet(fact("publication", "publication", FieldType::Int)),
        quiet(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("problem", "ticket"), reference("incident", "ticket")],
    row: Rule::Through("problem", &READ_INTERNAL),
    own: &[],
    team: &[],
};

/// A rule that finds problems.
pub static DETECTION_RULE: RecordType = RecordType {
    name: "problemDetectionRule",
    table: "problem_detection_rule",
    base: None,
    fields: &[
        quiet(fact("id", "id", FieldType::Id)),
        silent(fact("key", "key", FieldType::Text)),
        silent(managed(fact("name", "name", FieldType::Text))),
        nullable(shown_only(managed(fact("description", "description", FieldType::Text)))),
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

/// All record types of this crate.
pub static ALL: &[&RecordType] = &[&PROBLEM, &WORKAROUND_POST, &DETECTION_RULE];
