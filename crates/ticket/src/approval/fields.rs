//! The record types of approvals and delegations.
//!
//! Somebody who is asked may not see the ticket: the approval carries what they decide on, and they see the approval. The
//! rule of tickets themselves is not widened, so that being asked never opens a ticket's comments or history.

use predicate::Policy::{Always, Never};
use predicate::{Field, FieldType, RecordType, Rule};

use super::rules::StepRule;
use super::{ApprovalState, StepState, VoteState};
use crate::fields::{READ, fact, nullable, reference, shown_only, silent, unordered};

/// Who sees an approval: whoever sees the ticket, whoever was asked, and accounts that pass on decisions.
pub const APPROVAL_READ: Rule = Rule::Any(&[
    Rule::Through("ticket", &READ),
    Rule::ListsViewer("asked"),
    Rule::Permission(access::permission::APPROVAL_DECIDE_ON_BEHALF),
]);

/// An id that is compared and shown, and not ordered by.
const fn id(name: &'static str, column: &'static str) -> Field {
    silent(unordered(fact(name, column, FieldType::Id)))
}

/// A field that is shown, and that the system itself looks by.
const fn plain(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field { read: Always, write: Never, ..silent(fact(name, column, kind)) }
}

const fn list(name: &'static str, column: &'static str) -> Field {
    silent(unordered(fact(name, column, FieldType::TextList)))
}

/// A request that others agree to what a ticket says.
pub static APPROVAL: RecordType = RecordType {
    name: "approval",
    table: "approval",
    base: None,
    fields: &[
        id("id", "id"),
        id("ticket", "ticket_id"),
        plain("name", "name", FieldType::Text),
        plain("state", "state", FieldType::Enum(ApprovalState::NAMES)),
        shown_only(nullable(fact("reason", "reason", FieldType::Text))),
        shown_only(fact("policy", "policy", FieldType::Json)),
        plain("selfApproval", "self_approval", FieldType::Bool),
        list("barred", "barred"),
        list("boundFields", "bound_fields"),
        shown_only(fact("contentHash", "content_hash", FieldType::Text)),
        list("blocks", "blocks"),
        shown_only(fact("ticketNumber", "ticket_number", FieldType::Text)),
        shown_only(fact("ticketTitle", "ticket_title", FieldType::Text)),
        shown_only(nullable(fact("ticketDescription", "ticket_description", FieldType::Text))),
        list("asked", "asked"),
        list("awaited", "awaited"),
        id("requestedBy", "requested_by_id"),
        nullable(plain("expiresAt", "expires_at", FieldType::Time)),
        nullable(plain("decidedAt", "decided_at", FieldType::Time)),
        plain("version", "version", FieldType::Int),
        plain("createdAt", "created_at", FieldType::Time),
        plain("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[reference("ticket", "ticket"), reference("requestedBy", "actor")],
    row: APPROVAL_READ,
    own: &[],
    team: &[],
};

/// One step of an approval.
pub static APPROVAL_STEP: RecordType = RecordType {
    name: "approvalStep",
    table: "approval_step",
    base: None,
    fields: &[
        id("id", "id"),
        id("approval", "approval_id"),
        plain("position", "position", FieldType::Int),
        shown_only(nullable(fact("name", "name", FieldType::Text))),
        plain("rule", "rule", FieldType::Enum(StepRule::NAMES)),
        nullable(plain("ruleValue", "rule_value", FieldType::Int)),
        plain("state", "state", FieldType::Enum(StepState::NAMES)),
        plain("toAdministrators", "to_administrators", FieldType::Bool),
        nullable(plain("openedAt", "opened_at", FieldType::Time)),
        nullable(plain("decidedAt", "decided_at", FieldType::Time)),
    ],
    relations: &[reference("approval", "approval")],
    row: Rule::Through("approval", &APPROVAL_READ),
    own: &[],
    team: &[],
};

/// What one person says to one step.
pub static APPROVAL_VOTE: RecordType = RecordType {
    name: "approvalVote",
    table: "approval_vote",
    base: None,
    fields: &[
        id("id", "id"),
        id("approval", "approval_id"),
        id("step", "step_id"),
        id("approver", "approver_id"),
        nullable(id("delegate", "delegate_id")),
        plain("counts", "counts", FieldType::Bool),
        plain("veto", "veto", FieldType::Bool),
        plain("vote", "vote", FieldType::Enum(VoteState::NAMES)),
        shown_only(nullable(fact("comment", "comment", FieldType::Text))),
        nullable(id("decidedBy", "decided_by_id")),
        nullable(plain("decidedAt", "decided_at", FieldType::Time)),
    ],
    relations: &[
        reference("approval", "approval"),
        reference("approver", "actor"),
        reference("delegate", "actor"),
        reference("decidedBy", "actor"),
    ],
    row: Rule::Through("approval", &APPROVAL_READ),
    own: &[],
    team: &[],
};

/// Somebody decides for somebody else for a while.
pub static DELEGATION: RecordType = RecordType {
    name: "delegation",
    table: "delegation",
    base: None,
    fields: &[
        id("id", "id"),
        id("delegator", "delegator_id"),
        id("delegate", "delegate_id"),
        plain("startsAt", "starts_at", FieldType::Time),
        plain("endsAt", "ends_at", FieldType::Time),
        shown_only(nullable(fact("reason", "reason", FieldType::Text))),
        plain("version", "version", FieldType::Int),
        plain("createdAt", "created_at", FieldType::Time),
        plain("updatedAt", "updated_at", FieldType::Time),
    ],
    relations: &[reference("delegator", "actor"), reference("delegate", "actor")],
    row: Rule::Any(&[
        Rule::IsViewer("delegator"),
        Rule::IsViewer("delegate"),
        Rule::Permission(access::permission::USER_MANAGE),
    ]),
    own: &[],
    team: &[],
};
