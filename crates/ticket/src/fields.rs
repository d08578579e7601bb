//! The record types of this crate: each field once, with its column and a policy for every use.

use predicate::{Field, FieldType, Policy, RecordType, Relation, RelationKind, Rule};

use crate::approval::fields::{APPROVAL, APPROVAL_STEP, APPROVAL_VOTE, DELEGATION};
use crate::attachment::{ScanState, UploadState};
use crate::custom_field::fields::{CUSTOM_FIELD, CUSTOM_FIELD_VALUE};
pub use crate::merge::fields::TICKET_MERGE;
use crate::model::{
    CommentVisibility, Impact, ItemLink, LinkType, Priority, SlaState, StateCategory, TicketKind, Urgency,
    WaitingReason,
};
use crate::recurring::fields::{RECURRING_TICKET, RECURRING_TICKET_RUN};
use crate::saved_filter::Sharing;
use crate::template::fields::TICKET_TEMPLATE;
use crate::time::fields::{LABOUR_RATE, READ_COST, TIME_ENTRY};
use crate::transfer::part::EXPORT_PART;
use Policy::{Always, Never, When};

/// Those who may change what a ticket says.
const UPDATE: Policy = When(Rule::Permission(access::permission::TICKET_UPDATE));
/// Those who may say who works on a ticket.
const ASSIGN: Policy = When(Rule::Permission(access::permission::TICKET_ASSIGN));
/// Those who may set a priority against the matrix.
const OVERRIDE: Policy = When(Rule::Permission(access::permission::TICKET_OVERRIDE_PRIORITY));
/// Those who work on a ticket.
const INTERNAL: Policy = When(Rule::Permission(access::permission::TICKET_INTERNAL));
/// Those who may know what the time on a ticket costs.
const COST: Policy = When(READ_COST);
/// Those who keep the tenant's settings.
const SETTINGS: Policy = When(Rule::Permission(access::permission::SETTINGS_MANAGE));

/// The fields that make a ticket somebody's own.
pub const OWN: &[&str] = &["requester", "openedBy"];
/// The fields that make a ticket a team's.
pub const TEAM: &[&str] = &["team"];

/// The field that says whether a ticket's clocks may pause.
pub const PAUSABLE: &str = "pausable";
/// The field that says which versions of policies and calendars a ticket's clocks follow.
pub const SLA_BASIS: &str = "slaBasis";

/// Who may see a ticket.
pub const READ: Rule = Rule::Permission(access::permission::TICKET_READ);
/// Who may see what is said among those who work on a ticket.
pub const READ_INTERNAL: Rule = Rule::Permission(access::permission::TICKET_INTERNAL);
/// Where a ticket may be brought to: the state after a write must be within reach of this, so that nobody can hand a
/// ticket to where they could not have opened one.
pub const STATE_AFTER: Rule = Rule::Permission(access::permission::TICKET_CREATE);

/// A field that everybody who sees the row may read, filter and order by, and that is set by the system alone.
pub const fn fact(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field {
        name,
        kind,
        column,
        nullable: false,
        read: Always,
        write: Never,
        filter: Always,
        order: Always,
        event: Always,
    }
}

pub(crate) const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

pub(crate) const fn written(field: Field, write: Policy) -> Field {
    Field { write, ..field }
}

const fn read_by(field: Field, read: Policy) -> Field {
    Field { read, ..field }
}

pub(crate) const fn unordered(field: Field) -> Field {
    Field { order: Never, ..field }
}

pub(crate) const fn silent(field: Field) -> Field {
    Field { event: Never, ..field }
}

pub(crate) const fn shown_only(field: Field) -> Field {
    Field { filter: Never, order: Never, event: Never, ..field }
}

pub(crate) const fn reference(name: &'static str, target: &'static str) -> Relation {
    Relation { name, target, kind: RelationKind::Reference(name) }
}

/// What every ticket has.
pub static TICKET: RecordType = RecordType {
    name: "ticket",
    table: "ticket",
    base: None,
    fields: &[
        unordered(fact("id", "id", FieldType::Id)),
        fact("kind", "kind", FieldType::Enum(TicketKind::NAMES)),
        fact("number", "number", FieldType::Text),
        written(fact("title", "title", FieldType::Text), UPDATE),
        Field {
            order: Never,
            event: Never,
            ..written(nullable(fact("description", "description", FieldType::Text)), UPDATE)
        },
        fact("state", "state", FieldType::Text),
        fact("stateCategory", "state_category", FieldType::Enum(StateCategory::NAMES)),
        nullable(fact("waitingReason", "waiting_reason", FieldType::Enum(WaitingReason::NAMES))),
        nullable(fact("waitingUntil", "waiting_until", FieldType::Time)),
        written(fact("impact", "impact", FieldType::Enum(Impact::NAMES)), UPDATE),
        written(fact("urgency", "urgency", FieldType::Enum(Urgency::NAMES)), UPDATE),
        written(fact("priority", "priority", FieldType::Enum(Priority::NAMES)), OVERRIDE),
        Field {
            read: INTERNAL,
            write: OVERRIDE,
            ..nullable(unordered(fact("priorityOverrideReason", "priority_override_reason", FieldType::Text)))
        },
        read_by(nullable(unordered(fact("priorityOverrideBy", "priority_override_by", FieldType::Id))), INTERNAL),
        read_by(nullable(unordered(fact("priorityOverrideAt", "priority_override_at", FieldType::Time))), INTERNAL),
        written(nullable(unordered(fact("category", "category_id", FieldType::Id))), UPDATE),
        written(unordered(fact("requester", "requester_id", FieldType::Id)), UPDATE),
        unordered(fact("openedBy", "opened_by_id", FieldType::Id)),
        written(nullable(unordered(fact("service", "service_id", FieldType::Id))), UPDATE),
        written(nullable(unordered(fact("team", "team_id", FieldType::Id))), ASSIGN),
        written(nullable(unordered(fact("assignee", "assignee_id", FieldType::Id))), ASSIGN),
        written(unordered(fact("tags", "tags", FieldType::TextList)), UPDATE),
        read_by(fact("reassignmentCount", "reassignment_count", FieldType::Int), INTERNAL),
        fact("reopenCount", "reopen_count", FieldType::Int),
        // How far it was escalated: to further levels of support, and up the line of managers, up to whom.
        written(
            read_by(fact("functionalEscalationLevel", "functional_escalation_level", FieldType::Int), INTERNAL),
            ASSIGN,
        ),
        written(
            read_by(fact("hierarchicalEscalationLevel", "hierarchical_escalation_level", FieldType::Int), INTERNAL),
            UPDATE,
        ),
        written(read_by(nullable(unordered(fact("escalatedTo", "escalated_to_id", FieldType::Id))), INTERNAL), UPDATE),
        // What its time entries add up to; told by their own events. Costs are in ten-thousandths of the currency's unit.
        silent(read_by(fact("timeSpent", "time_spent", FieldType::Int), INTERNAL)),
        silent(read_by(nullable(fact("cost", "cost", FieldType::Int)), COST)),
        shown_only(read_by(nullable(fact("billableCost", "billable_cost", FieldType::Int)), COST)),
        shown_only(read_by(fact("entriesWithoutRate", "entries_without_rate", FieldType::Int), COST)),
        silent(fact("version", "version", FieldType::Int)),
        fact("createdAt", "created_at", FieldType::Time),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
        nullable(fact("resolvedAt", "resolved_at", FieldType::Time)),
        nullable(fact("closedAt", "closed_at", FieldType::Time)),
        nullable(fact("acknowledgedAt", "acknowledged_at", FieldType::Time)),
        nullable(fact("firstRespondedAt", "first_responded_at", FieldType::Time)),
        // The clock of a service level agreement that is due next; kept by whoever keeps the clocks.
        nullable(fact("slaDueAt", "sla_due_at", FieldType::Time)),
        nullable(fact("slaState", "sla_state", FieldType::Enum(SlaState::NAMES))),
        // Whether its clocks may pause; absent: they may. Said by the practice, read by whoever keeps the clocks.
        Field { filter: Never, order: Never, ..nullable(fact(PAUSABLE, "pausable", FieldType::Bool)) },
        // Which versions of policies and calendars hold for the ticket.
        Field { filter: Never, order: Never, ..nullable(fact(SLA_BASIS, "sla_basis", FieldType::Json)) },
        // Absent on tickets that follow the default of their kind.
        Field { filter: Never, order: Never, ..nullable(fact("workflow", "workflow", FieldType::Text)) },
        Field { filter: Never, order: Never, ..nullable(fact("workflowVersion", "workflow_version", FieldType::Int)) },
        // The values of custom fields, by their keys; null where there are none.
        Field {
            filter: Never,
            order: Never,
            ..written(nullable(fact("customFields", "custom_fields", FieldType::Json)), UPDATE)
        },
        Field {
            filter: Never,
            order: Never,
            read: INTERNAL,
            ..written(nullable(fact("internalCustomFields", "internal_custom_fields", FieldType::Json)), UPDATE)
        },
        // While it is merged: the ticket that goes on for both. Its number is for those who see that one.
        shown_only(nullable(fact("mergedInto", "merged_into_id", FieldType::Id))),
        // What pending approvals hold back; null for a ticket that never had an approval.
        shown_only(nullable(fact("blockedTransitions", "blocked_transitions", FieldType::TextList))),
    ],
    relations: &[
        reference("category", "category"),
        reference("requester", "actor"),
        reference("openedBy", "actor"),
        reference("service", "service"),
        reference("team", "team"),
        reference("assignee", "actor"),
        custom_fields("customFields"),
        custom_fields("internalCustomFields"),
    ],
    row: READ,
    own: OWN,
    team: TEAM,
};

/// The values of custom fields under the keys of a document.
const fn custom_fields(name: &'static str) -> Relation {
    Relation { name, target: "customFieldValue", kind: RelationKind::Keyed { parent: "ticket", key: "key" } }
}

/// A task: the shared fields of tickets, and these.
pub static TASK: RecordType = RecordType {
    name: "task",
    table: "task",
    base: Some(&TICKET),
    fields: &[
        silent(nullable(unordered(fact("parent", "parent_id", FieldType::Id)))),
        fact("openDependencies", "open_dependencies", FieldType::Int),
    ],
    relations: &[],
    row: READ,
    own: OWN,
    team: TEAM,
};

/// That a task needs another one to be done first. There only for those who see both.
pub static DEPENDENCY: RecordType = RecordType {
    name: "taskDependency",
    table: "task_dependency",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("task", "task_id", FieldType::Id))),
        silent(unordered(fact("needs", "needs_id", FieldType::Id))),
    ],
    relations: &[reference("task", "ticket"), reference("needs", "ticket")],
    row: Rule::All(&[Rule::Through("task", &READ), Rule::Through("needs", &READ)]),
    own: &[],
    team: &[],
};

/// A node of the tenant's category tree.
pub static CATEGORY: RecordType = RecordType {
    name: "category",
    table: "category",
    base: None,
    fields: &[
        unordered(fact("id", "id", FieldType::Id)),
        fact("key", "key", FieldType::Text),
        written(silent(fact("name", "name", FieldType::Text)), SETTINGS),
        written(silent(nullable(unordered(fact("parent", "parent_id", FieldType::Id)))), SETTINGS),
        written(silent(fact("retired", "retired", FieldType::Bool)), SETTINGS),
        silent(fact("version", "version", FieldType::Int)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[reference("parent", "category")],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// What is often answered.
pub static CANNED_RESPONSE: RecordType = RecordType {
    name: "cannedResponse",
    table: "canned_response",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(fact("key", "key", FieldType::Text)),
        silent(fact("title", "title", FieldType::Text)),
        shown_only(fact("body", "body", FieldType::Text)),
        silent(nullable(unordered(fact("team", "team_id", FieldType::Id)))),
        silent(fact("retired", "retired", FieldType::Bool)),
        silent(fact("version", "version", FieldType::Int)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[reference("team", "team")],
    row: Rule::Permission(access::permission::CANNED_RESPONSE_READ),
    own: &[],
    team: &[],
};

/// One cell of the tenant's priority matrix.
pub static PRIORITY_RULE: RecordType = RecordType {
    name: "priorityRule",
    table: "priority_rule",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(fact("impact", "impact", FieldType::Enum(Impact::NAMES))),
        silent(fact("urgency", "urgency", FieldType::Enum(Urgency::NAMES))),
        written(silent(fact("priority", "priority", FieldType::Enum(Priority::NAMES))), SETTINGS),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// A comment on a ticket.
pub static COMMENT: RecordType = RecordType {
    name: "comment",
    table: "comment",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(unordered(fact("author", "author_id", FieldType::Id))),
        silent(fact("visibility", "visibility", FieldType::Enum(CommentVisibility::NAMES))),
        shown_only(fact("body", "body", FieldType::Text)),
        silent(fact("version", "version", FieldType::Int)),
        silent(nullable(fact("editedAt", "edited_at", FieldType::Time))),
        silent(nullable(fact("redactedAt", "redacted_at", FieldType::Time))),
        silent(nullable(unordered(fact("redactedBy", "redacted_by_id", FieldType::Id)))),
        shown_only(nullable(fact("redactionReason", "redaction_reason", FieldType::Text))),
        // The ticket on which it was said, where it stands on another since.
        shown_only(nullable(fact("movedFrom", "moved_from_id", FieldType::Id))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("ticket", "ticket"), reference("author", "actor")],
    row: AS_COMMENT,
    own: &[],
    team: &[],
};

/// Who sees a comment, and what belongs to it.
const AS_COMMENT: Rule = Rule::All(&[
    Rule::Through("ticket", &READ),
    Rule::Any(&[Rule::Equals("visibility", "PUBLIC"), Rule::Through("ticket", &READ_INTERNAL)]),
]);

/// A file that was announced or has arrived and is not attached to anything (any more). Shown only to whoever announced it.
pub static UPLOAD: RecordType = RecordType {
    name: "upload",
    table: "upload",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("createdBy", "created_by_id", FieldType::Id))),
        shown_only(fact("fileName", "file_name", FieldType::Text)),
        shown_only(fact("mediaType", "media_type", FieldType::Text)),
        shown_only(fact("bytes", "bytes", FieldType::Int)),
        shown_only(fact("sha256", "sha256", FieldType::Text)),
        silent(fact("state", "state", FieldType::Enum(UploadState::NAMES))),
        silent(fact("expiresAt", "expires_at", FieldType::Time)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[],
    row: Rule::All(&[
        Rule::IsViewer("createdBy"),
        Rule::Any(&[Rule::Equals("state", "EXPECTED"), Rule::Equals("state", "COMPLETE")]),
    ]),
    own: &[],
    team: &[],
};

/// A file on a ticket. Who sees it is as with comments; and a scanner sees all.
pub static ATTACHMENT: RecordType = RecordType {
    name: "attachment",
    table: "attachment",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(nullable(unordered(fact("comment", "comment_id", FieldType::Id)))),
        silent(unordered(fact("attachedBy", "attached_by_id", FieldType::Id))),
        silent(fact("visibility", "visibility", FieldType::Enum(CommentVisibility::NAMES))),
        shown_only(fact("fileName", "file_name", FieldType::Text)),
        shown_only(fact("mediaType", "media_type", FieldType::Text)),
        shown_only(fact("bytes", "bytes", FieldType::Int)),
        shown_only(fact("sha256", "sha256", FieldType::Text)),
        silent(fact("scan", "scan", FieldType::Enum(ScanState::NAMES))),
        silent(nullable(fact("scannedAt", "scanned_at", FieldType::Time))),
        shown_only(nullable(fact("finding", "finding", FieldType::Text))),
        // The ticket to which it was attached, where it stands on another since.
        shown_only(nullable(fact("movedFrom", "moved_from_id", FieldType::Id))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("ticket", "ticket"), reference("attachedBy", "actor")],
    row: Rule::Any(&[AS_COMMENT, Rule::Permission(access::permission::ATTACHMENT_SCAN)]),
    own: &[],
    team: &[],
};

/// What a comment said before it was edited.
pub static REVISION: RecordType = RecordType {
    name: "commentRevision",
    table: "comment_revision",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("comment", "comment_id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(fact("visibility", "visibility", FieldType::Enum(CommentVisibility::NAMES))),
        shown_only(fact("body", "body", FieldType::Text)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("replacedAt", "replaced_at", FieldType::Time)),
    ],
    relations: &[reference("ticket", "ticket")],
    row: AS_COMMENT,
    own: &[],
    team: &[],
};

/// Somebody whom a comment names.
pub static MENTION: RecordType = RecordType {
    name: "commentMention",
    table: "comment_mention",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("comment", "comment_id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(fact("visibility", "visibility", FieldType::Enum(CommentVisibility::NAMES))),
        silent(unordered(fact("user", "user_id", FieldType::Id))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("ticket", "ticket"), reference("comment", "comment"), reference("user", "actor")],
    row: AS_COMMENT,
    own: &[],
    team: &[],
};

/// Somebody who follows a ticket.
pub static WATCHER: RecordType = RecordType {
    name: "watcher",
    table: "ticket_watcher",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(unordered(fact("actor", "actor_id", FieldType::Id))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("ticket", "ticket"), reference("actor", "actor")],
    row: Rule::Through("ticket", &READ),
    own: &["actor"],
    team: &[],
};

/// A configuration item that a ticket is about.
pub static TICKET_ITEM: RecordType = RecordType {
    name: "ticketConfigurationItem",
    table: "ticket_configuration_item",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(unordered(fact("configurationItem", "configuration_item_id", FieldType::Id))),
        silent(fact("link", "link", FieldType::Enum(ItemLink::NAMES))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("ticket", "ticket"), reference("configurationItem", "configurationItem")],
    row: Rule::All(&[Rule::Through("ticket", &READ), Rule::Through("configurationItem", &configuration::fields::READ)]),
    own: &[],
    team: &[],
};

/// A link from one ticket to another. There only for those who see both.
pub static LINK: RecordType = RecordType {
    name: "ticketLink",
    table: "ticket_link",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("source", "source_id", FieldType::Id))),
        silent(unordered(fact("target", "target_id", FieldType::Id))),
        silent(fact("type", "type", FieldType::Enum(LinkType::NAMES))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("source", "ticket"), reference("target", "ticket")],
    row: Rule::All(&[Rule::Through("source", &READ), Rule::Through("target", &READ)]),
    own: &[],
    team: &[],
};

/// What a ticket is called in another system.
pub static EXTERNAL_REF: RecordType = RecordType {
    name: "externalRef",
    table: "external_ref",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("ticket", "ticket_id", FieldType::Id))),
        silent(fact("source", "source", FieldType::Text)),
        silent(fact("key", "key", FieldType::Text)),
    ],
    relations: &[reference("ticket", "ticket")],
    row: Rule::Through("ticket", &READ_INTERNAL),
    own: &[],
    team: &[],
};

/// An event of the log, as history and `events` read it.
pub static EVENT: RecordType = RecordType {
    name: "event",
    table: "event",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        // Absent until it is numbered; lists leave those out. Not nullable here: the order by it must be an index's.
        silent(fact("position", "position", FieldType::Int)),
        silent(unordered(fact("kind", "kind", FieldType::Text))),
        silent(unordered(fact("subjectKind", "subject_kind", FieldType::Text))),
        silent(unordered(fact("subject", "subject_id", FieldType::Id))),
        silent(unordered(fact("actor", "actor_id", FieldType::Id))),
        silent(unordered(fact("actorKind", "actor_kind", FieldType::Text))),
        shown_only(fact("channel", "channel", FieldType::Json)),
        silent(unordered(fact("version", "version", FieldType::Int))),
        silent(unordered(fact("audience", "audience", FieldType::Text))),
        shown_only(fact("changes", "changes", FieldType::Json)),
        shown_only(fact("facts", "facts", FieldType::Json)),
        shown_only(fact("payload", "payload", FieldType::Json)),
        silent(fact("occurredAt", "occurred_at", FieldType::Time)),
        silent(fact("recordedAt", "recorded_at", FieldType::Time)),
        shown_only(fact("requestId", "request_id", FieldType::Text)),
    ],
    relations: &[
        Relation { name: "ticket", target: "ticket", kind: RelationKind::Reference("subject") },
        reference("actor", "actor"),
    ],
    // Without the first line, a viewer who may read all tickets would see the events of every other record too.
    row: Rule::Any(&[
        Rule::All(&[
            Rule::Equals("subjectKind", crate::events::SUBJECT),
            Rule::Through("ticket", &READ),
            Rule::Any(&[Rule::Equals("audience", "PUBLIC"), Rule::Through("ticket", &READ_INTERNAL)]),
        ]),
        Rule::Permission(access::permission::AUDIT_READ),
    ]),
    own: &[],
    team: &[],
};

/// A workflow of the tenant's own.
pub static WORKFLOW: RecordType = RecordType {
    name: "workflow",
    table: "workflow",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(fact("key", "key", FieldType::Text)),
        written(silent(fact("name", "name", FieldType::Text)), SETTINGS),
        silent(fact("kind", "kind", FieldType::Enum(TicketKind::NAMES))),
        written(nullable(shown_only(fact("filter", "filter", FieldType::Json))), SETTINGS),
        written(silent(fact("rank", "rank", FieldType::Int)), SETTINGS),
        silent(nullable(fact("published", "published", FieldType::Int))),
        silent(fact("version", "version", FieldType::Int)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[],
    row: Rule::Always,
    own: &[],
    team: &[],
};

/// One version of a workflow of the tenant's own. A draft is for those who keep the tenant's settings.
pub static WORKFLOW_VERSION: RecordType = RecordType {
    name: "workflowVersion",
    table: "workflow_version",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("workflow", "workflow_id", FieldType::Id))),
        silent(fact("number", "number", FieldType::Int)),
        written(shown_only(fact("document", "document", FieldType::Json)), SETTINGS),
        silent(fact("status", "status", FieldType::Enum(WORKFLOW_STATUS))),
        silent(nullable(fact("publishedAt", "published_at", FieldType::Time))),
        silent(fact("createdAt", "created_at", FieldType::Time)),
    ],
    relations: &[reference("workflow", "workflow")],
    row: Rule::Any(&[Rule::Equals("status", "PUBLISHED"), Rule::Permission(access::permission::SETTINGS_MANAGE)]),
    own: &[],
    team: &[],
};

/// Whether a version may still change.
pub const WORKFLOW_STATUS: &[&str] = &["DRAFT", "PUBLISHED"];

/// A filter that somebody wrote, kept for themselves, a team or everybody.
pub static SAVED_FILTER: RecordType = RecordType {
    name: "savedFilter",
    table: "saved_filter",
    base: None,
    fields: &[
        silent(unordered(fact("id", "id", FieldType::Id))),
        silent(unordered(fact("owner", "owner_id", FieldType::Id))),
        silent(fact("sharing", "sharing", FieldType::Enum(Sharing::NAMES))),
        silent(nullable(unordered(fact("team", "team_id", FieldType::Id)))),
        silent(fact("name", "name", FieldType::Text)),
        shown_only(nullable(fact("description", "description", FieldType::Text))),
        shown_only(fact("filter", "filter", FieldType::Json)),
        shown_only(fact("orderBy", "order_by", FieldType::Json)),
        shown_only(fact("columns", "columns", FieldType::TextList)),
        silent(nullable(fact("position", "position", FieldType::Int))),
        silent(fact("version", "version", FieldType::Int)),
        silent(fact("createdAt", "created_at", FieldType::Time)),
        silent(fact("updatedAt", "updated_at", FieldType::Time)),
    ],
    relations: &[reference("owner", "actor"), reference("team", "team")],
    row: Rule::Any(&[
        Rule::IsViewer("owner"),
        Rule::Equals("sharing", "TENANT"),
        Rule::All(&[
            Rule::Equals("sharing", "TEAM"),
            Rule::Any(&[Rule::OfViewerTeams("team"), Rule::Permission(access::permission::FILTER_SHARE)]),
        ]),
    ]),
    own: &[],
    team: &["team"],
};

/// All record types of this crate.
pub static ALL: &[&RecordType] = &[
    &TICKET,
    &CATEGORY,
    &PRIORITY_RULE,
    &COMMENT,
    &REVISION,
    &MENTION,
    &UPLOAD,
    &EXPORT_PART,
    &ATTACHMENT,
    &CANNED_RESPONSE,
    &WATCHER,
    &TICKET_ITEM,
    &LINK,
    &TICKET_MERGE,
    &TASK,
    &DEPENDENCY,
    &EXTERNAL_REF,
    &CUSTOM_FIELD,
    &CUSTOM_FIELD_VALUE,
    &EVENT,
    &WORKFLOW,
    &WORKFLOW_VERSION,
    &APPROVAL,
    &APPROVAL_STEP,
    &APPROVAL_VOTE,
    &DELEGATION,
    &SAVED_FILTER,
    &LABOUR_RATE,
    &TIME_ENTRY,
    &TICKET_TEMPLATE,
    &RECURRING_TICKET,
    &RECURRING_TICKET_RUN,
];
