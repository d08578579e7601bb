//! Approvals: that others agree to what a ticket says.
//!
//! An approval has steps, which run in order. A step asks persons and has a rule ([`rules`]); it decides as soon as nothing
//! that may still be said can change what it comes to. Persons are resolved when a step opens: teams and roles contribute
//! their active users, a path its person as the ticket is then, the delegate of an absent one may vote for them, and whoever asked for what is approved has no vote
//! unless the policy allows it. When nobody is left, the step goes to the administrators.
//!
//! **Bound to content.** An approval carries the hash of the fields that it is bound to. A write that changes one of them
//! voids the approval, pending or granted, in the same transaction.
//!
//! **Who sees what.** See [`fields`]: an approver who may not see the ticket sees the approval alone, which carries number,
//! title and description as they were when it was asked for.
//!
//! **Order of locks.** Every write here holds the ticket's row first, then changes the approval.

pub mod delegation;
pub mod fields;
pub mod rules;

mod decide;
mod follow;
mod read;
mod resolve;
mod start;
mod step;

use access::UserRef;
use kernel::{Id, Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use store::query::Row;

use crate::queries::TicketRef;
use kernel::words;
use rules::StepRule;

pub(crate) use follow::follow_edit_in;
pub(crate) use start::{bound_fields, check_blocks, check_request};

/// How many steps an approval may have.
pub const MAX_STEPS: usize = 10;
/// How many users, teams and roles a step may name, approvers and veto holders each.
pub const MAX_ENTRIES: usize = 20;
/// How many persons one step asks.
pub const MAX_APPROVERS: usize = 100;
/// How many approvals a ticket may have.
pub const MAX_APPROVALS: usize = 50;
/// How many transitions an approval may hold back.
pub const MAX_BLOCKS: usize = 20;
/// How many fields an approval may be bound to.
pub const MAX_BOUND_FIELDS: usize = 50;
/// What an approval is bound to unless it says otherwise.
pub const DEFAULT_BOUND_FIELDS: &[&str] = &["title", "description"];
/// The job that ends an approval which nobody decided in time.
pub const EXPIRE: &str = "approval.expire";

words! {
    /// What an approval has come to.
    ApprovalState {
        /// It waits for votes.
        Pending = "PENDING",
        /// All steps approved.
        Approved = "APPROVED",
        /// A step refused.
        Refused = "REFUSED",
        /// Nobody decided in time: a refusal.
        Expired = "EXPIRED",
        /// What it was about was changed.
        Voided = "VOIDED",
        /// It was withdrawn, or its ticket was closed.
        Canceled = "CANCELED",
    }
}

words! {
    /// What a step has come to.
    StepState {
        /// An earlier step runs.
        Waiting = "WAITING",
        /// It asks.
        Open = "OPEN",
        /// Enough approved.
        Approved = "APPROVED",
        /// Enough refused, or one with a veto.
        Refused = "REFUSED",
        /// The approval was over before.
        NotRequired = "NOT_REQUIRED",
    }
}

words! {
    /// What one person said.
    VoteState {
        /// Nothing yet.
        Pending = "PENDING",
        /// Yes.
        Approved = "APPROVED",
        /// No.
        Refused = "REFUSED",
        /// The step was over before.
        NotRequired = "NOT_REQUIRED",
    }
}

words! {
    /// A way from a ticket to a person, as it is when a step opens.
    ApproverPath {
        /// The manager of the ticket's requester.
        RequesterManager = "REQUESTER_MANAGER",
        /// The owner of the ticket's service.
        ServiceOwner = "SERVICE_OWNER",
    }
}

/// Where approvers come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Approvers {
    /// This user.
    User(Uuid),
    /// The members of this team.
    Team(Uuid),
    /// Whoever holds the role with this key.
    Role(String),
    /// Whoever stands there, seen from the ticket.
    Path(ApproverPath),
}

/// What a step asks, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPolicy {
    /// For people.
    pub name: Option<String>,
    /// How many must approve.
    pub rule: StepRule,
    /// Whose votes count.
    pub approvers: Vec<Approvers>,
    /// Whose refusal alone refuses.
    pub veto: Vec<Approvers>,
}

/// What an approval asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// For people.
    pub name: String,
    /// In order; at least one.
    pub steps: Vec<StepPolicy>,
    /// Whether the ticket's requester, and whoever starts the approval, may decide as well.
    pub self_approval: bool,
    /// The fields that it is bound to; empty for [`DEFAULT_BOUND_FIELDS`].
    pub bound_fields: Vec<String>,
    /// The keys of the transitions that wait for it.
    pub blocks: Vec<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Who approves, as people and programs name them.
#[derive(Clone, Debug)]
pub enum ApproverRef {
    /// A user.
    User(UserRef),
    /// A team.
    Team(access::TeamRef),
    /// A role's key.
    Role(String),
    /// A way from the ticket.
    Path(ApproverPath),
}

/// A step as it is asked for.
#[derive(Clone, Debug)]
pub struct StepInput {
    /// For people.
    pub name: Option<String>,
    /// How many must approve.
    pub rule: StepRule,
    /// Whose votes count.
    pub approvers: Vec<ApproverRef>,
    /// Whose refusal alone refuses.
    pub veto: Vec<ApproverRef>,
}

/// Ask for approval.
#[derive(Clone, Debug)]
pub struct StartApproval {
    /// Of which ticket.
    pub ticket: TicketRef,
    /// For people.
    pub name: String,
    /// In order.
    pub steps: Vec<StepInput>,
    /// Whether those who asked for it may decide as well.
    pub self_approval: bool,
    /// The fields that it is bound to; `None` for [`DEFAULT_BOUND_FIELDS`].
    pub bound_fields: Option<Vec<String>>,
    /// The keys of the transitions that wait for it.
    pub blocks: Vec<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
}

/// Decide.
#[derive(Clone, Debug)]
pub struct DecideApproval {
    /// Which approval.
    pub approval: Id,
    /// Yes or no.
    pub approve: bool,
    /// Why; a refusal needs it.
    pub comment: Option<String>,
    /// For whom: whoever delegated to the viewer, or, for a service account, the person who decided.
    pub on_behalf_of: Option<UserRef>,
    /// Refuse when the approval has another version.
    pub expected_version: Option<i32>,
}

/// Withdraw an approval that was asked for.
#[derive(Clone, Debug)]
pub struct CancelApproval {
    /// Which approval.
    pub approval: Id,
    /// Why.
    pub reason: Option<String>,
    /// Refuse when the approval has another version.
    pub expected_version: Option<i32>,
}

/// An approval with its steps and votes.
#[derive(Clone, Debug)]
pub struct ApprovalRecord {
    /// Itself.
    pub row: Row,
    /// Its steps, in order.
    pub steps: Vec<Row>,
    /// The votes of all steps.
    pub votes: Vec<Row>,
}

/// What a mutation of an approval answers.
#[derive(Clone, Debug)]
pub struct ApprovalOutcome {
    /// The approval; `None` when the viewer may not see it (any more).
    pub approval: Option<ApprovalRecord>,
    /// What was recorded.
    pub events: Vec<store::Event>,
}

/// What a rule's number must be, for people.
pub const RULE_VALUE: &str =
    "`QUORUM` needs a `ruleValue` of at least 1, `PERCENT` one of 1 to 100, and no other rule takes one";
/// The longest name of an approval or a step, in characters.
pub const MAX_NAME: usize = crate::model::MAX_TITLE;
