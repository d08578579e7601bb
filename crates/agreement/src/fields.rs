//! The record types of this crate: each field once, with its column and a policy for every use.

use access::permission::{AGREEMENT_MANAGE, AGREEMENT_READ};
use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};
use sla::{Metric, PolicyKind};

use crate::model::{AgreementState, ImprovementState, RequirementState, ReviewState};

/// Those who keep agreements.
const MANAGE: Policy = Policy::When(Rule::Permission(AGREEMENT_MANAGE));
/// Who may see them.
const READ: Rule = Rule::Permission(AGREEMENT_READ);

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

const fn managed(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field { write: MANAGE, ..field(name, column, kind) }
}

const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

const fn unordered(field: Field) -> Field {
    Field { order: Policy::Never, ..field }
}

/// Read as a whole, and neither filtered nor ordered by.
const fn shown_only(field: Field) -> Field {
    Field { order: Policy::Never, filter: Policy::Never, ..field }
}

const fn id() -> Field {
    unordered(field("id", "id", FieldType::Id))
}

const fn version() -> Field {
    field("version", "version", FieldType::Int)
}

const fn created_at() -> Field {
    field("createdAt", "created_at", FieldType::Time)
}

const fn updated_at() -> Field {
    field("updatedAt", "updated_at", FieldType::Time)
}

const fn text(name: &'static str, column: &'static str) -> Field {
    managed(name, column, FieldType::Text)
}

const fn long_text(name: &'static str, column: &'static str) -> Field {
    nullable(shown_only(text(name, column)))
}

const fn list(name: &'static str, column: &'static str) -> Field {
    unordered(managed(name, column, FieldType::TextList))
}

const fn pointer(name: &'static str, column: &'static str) -> Field {
    unordered(managed(name, column, FieldType::Id))
}

const fn time(name: &'static str, column: &'static str) -> Field {
    nullable(managed(name, column, FieldType::Time))
}

const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

const fn record(
    name: &'static str,
    table: &'static str,
    fields: &'static [Field],
    relations: &'static [Relation],
) -> RecordType {
    RecordType { name, table, base: None, fields, relations, row: READ, own: &[], team: &[] }
}

/// An agreement on service levels. Services, policies and agreements are listed by their ids as clients know them.
pub static AGREEMENT: RecordType = record(
    "serviceAgreement",
    "service_agreement",
    &[
        id(),
        text("key", "key"),
        text("name", "name"),
        long_text("description", "description"),
        managed("kind", "kind", FieldType::Enum(PolicyKind::NAMES)),
        managed("state", "state", FieldType::Enum(AgreementState::NAMES)),
        list("services", "services"),
        list("policies", "policies"),
        list("underpinnedBy", "underpinned_by"),
        nullable(text("customer", "customer")),
        nullable(pointer("team", "team_id")),
        nullable(text("supplier", "supplier")),
        nullable(pointer("owner", "owner_id")),
        time("validFrom", "valid_from"),
        time("validUntil", "valid_until"),
        version(),
        created_at(),
        updated_at(),
    ],
    &[reference("team", "team"), reference("owner", "actor")],
);

/// What somebody needs of a service.
pub static REQUIREMENT: RecordType = record(
    "serviceLevelRequirement",
    "service_level_requirement",
    &[
        id(),
        text("title", "title"),
        long_text("description", "description"),
        nullable(text("customer", "customer")),
        pointer("service", "service_id"),
        managed("metric", "metric", FieldType::Enum(Metric::NAMES)),
        shown_only(managed("priorities", "priorities", FieldType::TextList)),
        managed("target", "target", FieldType::Int),
        nullable(pointer("calendar", "calendar_id")),
        managed("state", "state", FieldType::Enum(RequirementState::NAMES)),
        nullable(pointer("agreement", "agreement_id")),
        nullable(pointer("requestedBy", "requested_by_id")),
        version(),
        created_at(),
        updated_at(),
    ],
    &[
        reference("service", "service"),
        reference("calendar", "calendar"),
        reference("agreement", "serviceAgreement"),
        reference("requestedBy", "actor"),
    ],
);

/// A look at how an agreement was kept over a time that is over.
pub static REVIEW: RecordType = record(
    "serviceReview",
    "service_review",
    &[
        id(),
        pointer("agreement", "agreement_id"),
        field("since", "since", FieldType::Time),
        field("until", "until", FieldType::Time),
        time("heldAt", "held_at"),
        shown_only(managed("attendees", "attendees", FieldType::TextList)),
        long_text("minutes", "minutes"),
        shown_only(field("figures", "figures", FieldType::Json)),
        managed("state", "state", FieldType::Enum(ReviewState::NAMES)),
        version(),
        created_at(),
        updated_at(),
    ],
    &[reference("agreement", "serviceAgreement")],
);

/// That a task came out of a review. There for those who see the task.
pub static REVIEW_ACTION: RecordType = RecordType {
    row: Rule::All(&[READ, Rule::Through("task", &ticket::fields::READ)]),
    ..record(
        "serviceReviewAction",
        "service_review_action",
        &[
            id(),
            unordered(field("review", "review_id", FieldType::Id)),
            unordered(field("task", "task_id", FieldType::Id)),
        ],
        &[reference("review", "serviceReview"), reference("task", "ticket")],
    )
};

/// Something that is to become better.
pub static IMPROVEMENT: RecordType = record(
    "serviceImprovement",
    "service_improvement",
    &[
        id(),
        text("title", "title"),
        long_text("description", "description"),
        nullable(pointer("service", "service_id")),
        nullable(pointer("agreement", "agreement_id")),
        nullable(pointer("review", "review_id")),
        nullable(pointer("owner", "owner_id")),
        managed("state", "state", FieldType::Enum(ImprovementState::NAMES)),
        time("dueAt", "due_at"),
        long_text("benefit", "benefit"),
        long_text("outcome", "outcome"),
        version(),
        created_at(),
        updated_at(),
    ],
    &[
        reference("service", "service"),
        reference("agreement", "serviceAgreement"),
        reference("review", "serviceReview"),
        reference("owner", "actor"),
    ],
);

/// All record types of this crate.
pub static ALL: &[&RecordType] = &[&AGREEMENT, &REQUIREMENT, &REVIEW, &REVIEW_ACTION, &IMPROVEMENT];
