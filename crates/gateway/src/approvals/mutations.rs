//! Asking for approval, deciding, withdrawing; delegating.

use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Id, UserError as Problem};
use ticket::approval::rules::StepRule;
use ticket::approval::{self as domain, ApprovalOutcome, delegation};

use super::types::{Approval, ApprovalRule, ApproverPath, Delegation};
use crate::context::{mutation, platform};
use crate::payload::payload;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{DateTime, Markdown};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::queries::ticket_ref;
use crate::user_error::{UserError, part};

/// Who approves: a user, the active users of a team or with a role, or whoever stands at a place seen from the ticket; as
/// it is when the step opens.
#[derive(Clone, Debug, OneofObject)]
pub enum ApproverInput {
    /// This user.
    User(UserRefInput),
    /// The members of this team.
    Team(TeamRefInput),
    /// Whoever holds the role with this key, such as `team_lead`.
    Role(String),
    /// Whoever stands there, seen from the ticket. Nobody there is like a team without members.
    Path(ApproverPath),
}

impl ApproverInput {
    fn into_ref(self) -> kernel::Result<domain::ApproverRef> {
        Ok(match self {
            ApproverInput::User(user) => {
                domain::ApproverRef::User(user.into_ref().map_err(|error| error.within("user"))?)
            }
            ApproverInput::Team(team) => {
                domain::ApproverRef::Team(team.into_ref().map_err(|error| error.within("team"))?)
            }
            ApproverInput::Role(key) => domain::ApproverRef::Role(key),
            ApproverInput::Path(path) => domain::ApproverRef::Path(path.into()),
        })
    }
}

/// A step of an approval.
#[derive(Clone, Debug, InputObject)]
pub struct ApprovalStepInput {
    /// What it is called, such as `CAB`.
    pub name: Option<String>,
    /// How many must approve.
    pub rule: ApprovalRule,
    /// The number for `QUORUM` (at least 1) and `PERCENT` (1 to 100).
    pub rule_value: Option<i32>,
    /// Whose votes count, at most 20 entries and 100 persons.
    pub approvers: Vec<ApproverInput>,
    /// Whose refusal alone refuses, at most 20 entries. The step waits for them.
    pub veto_holders: Option<Vec<ApproverInput>>,
}

/// Asks for approval of a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct ApprovalStartInput {
    /// The ticket's id or number.
    pub id: ID,
    /// What the approval is called, such as `Purchase over 5,000`.
    pub name: String,
    /// The steps in order, 1 to 10.
    pub steps: Vec<ApprovalStepInput>,
    /// Whether the ticket's requester, and whoever asks for the approval, may decide as well; false when absent.
    pub self_approval: Option<bool>,
    /// The fields of the ticket that it is bound to, such as `["title", "description", "category"]`, at most 50: an edit of
    /// one of them voids the approval. `title` and `description` when absent.
    pub bound_fields: Option<Vec<String>>,
    /// The keys of the transitions that wait while it is pending, such as `["resolve"]`, at most 20; none when absent.
    pub blocks: Option<Vec<String>>,
    /// When it expires, which is a refusal; never when absent.
    pub expires_at: Option<DateTime>,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// What is said to an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ApprovalDecision {
    /// Yes.
    Approve,
    /// No; needs a comment.
    Refuse,
}

/// Decides on an approval.
#[derive(Clone, Debug, InputObject)]
pub struct ApprovalDecideInput {
    /// The approval's id.
    pub id: ID,
    /// Yes or no. Votes are final.
    pub decision: ApprovalDecision,
    /// Why, in Markdown; at most 64 KiB. A refusal needs it.
    pub comment: Option<Markdown>,
    /// For a person: who delegated it, where that is not clear. For a service account: the person who decided.
    pub on_behalf_of: Option<UserRefInput>,
    /// Refuse when the approval has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Withdraws an approval that is pending.
#[derive(Clone, Debug, InputObject)]
pub struct ApprovalCancelInput {
    /// The approval's id.
    pub id: ID,
    /// Why.
    pub reason: Option<String>,
    /// Refuse when the approval has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Delegates decisions on approvals for a while.
#[derive(Clone, Debug, InputObject)]
pub struct DelegationCreateInput {
    /// For whom; the viewer when absent. Others need `user.manage`.
    pub delegator: Option<UserRefInput>,
    /// Who decides for them.
    pub delegate: UserRefInput,
    /// From when; now when absent.
    pub starts_at: Option<DateTime>,
    /// Until when (exclusive), at most 366 days later.
    pub ends_at: DateTime,
    /// Why.
    pub reason: Option<String>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Ends a delegation now, or before it begins.
#[derive(Clone, Debug, InputObject)]
pub struct DelegationEndInput {
    /// The delegation's id.
    pub id: ID,
    /// Refuse when the delegation has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Declares the payload of a mutation that answers an approval.
macro_rules! approval_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The approval; null when it was not done.
            pub approval: Option<Approval>,
            /// What was recorded.
            pub events: Vec<Event>,
            /// What the user can mend.
            pub user_errors: Vec<UserError>,
        }

        impl $name {
            fn of(ctx: &Context<'_>, viewer: &kernel::Ctx, result: kernel::Result<ApprovalOutcome>) -> Result<Self> {
                let (done, user_errors) = part(result)?;
                let (approval, events) = done.map_or((None, Vec::new()), |done| (done.approval, done.events));
                let events = from_store(viewer, platform(ctx), events);
                Ok(Self { approval: approval.map(Approval::of), events, user_errors })
            }
        }
    };
}

approval_payload! {
    /// The approval that was asked for.
    ApprovalStartPayload
}
approval_payload! {
    /// The approval after the decision.
    ApprovalDecidePayload
}
approval_payload! {
    /// The approval that was withdrawn.
    ApprovalCancelPayload
}
payload! {
    /// The delegation that was made.
    DelegationCreatePayload {
        /// The delegation; null when it was not done.
        delegation: Delegation
    }
}
payload! {
    /// The delegation that was ended.
    DelegationEndPayload {
        /// The delegation; null when it was not done.
        delegation: Delegation
    }
}

fn entries(field: &str, list: Vec<ApproverInput>) -> kernel::Result<Vec<domain::ApproverRef>> {
    let converted = list
        .into_iter()
        .enumerate()
        .map(|(index, entry)| entry.into_ref().map_err(|error| error.within(&index.to_string()).within(field)));
    converted.collect()
}

fn step(input: ApprovalStepInput) -> kernel::Result<domain::StepInput> {
    let value = input.rule_value.map(|value| u32::try_from(value).unwrap_or(0));
    let rule = StepRule::of(input.rule.as_str(), value)
        .ok_or_else(|| Problem::constraint(["ruleValue"], domain::RULE_VALUE, "ruleValue", None))?;
    Ok(domain::StepInput {
        name: input.name,
        rule,
        approvers: entries("approvers", input.approvers)?,
        veto: entries("vetoHolders", input.veto_holders.unwrap_or_default())?,
    })
}

fn start_command(input: ApprovalStartInput) -> kernel::Result<domain::StartApproval> {
    let steps = input
        .steps
        .into_iter()
        .enumerate()
        .map(|(index, input)| step(input).map_err(|error| error.within(&index.to_string()).within("steps")));
    Ok(domain::StartApproval {
        ticket: ticket_ref(&input.id)?,
        name: input.name,
        steps: steps.collect::<kernel::Result<_>>()?,
        self_approval: input.self_approval.unwrap_or(false),
        bound_fields: input.bound_fields,
        blocks: input.blocks.unwrap_or_default(),
        expires_at: input.expires_at.map(|time| time.0),
        expected_version: input.expected_version,
    })
}

fn id_of(id: &ID, prefix: &'static str) -> kernel::Result<Id> {
    Id::parse_as(id, &[prefix]).map_err(|error| Problem::constraint(["id"], error.to_string(), "id", None).into())
}

fn decide_command(input: ApprovalDecideInput) -> kernel::Result<domain::DecideApproval> {
    let on_behalf_of = input.on_behalf_of.map(UserRefInput::into_ref).transpose();
    Ok(domain::DecideApproval {
        approval: id_of(&input.id, prefix::APPROVAL)?,
        approve: input.decision == ApprovalDecision::Approve,
        comment: input.comment.map(|comment| comment.0),
        on_behalf_of: on_behalf_of.map_err(|error| error.within("onBehalfOf"))?,
        expected_version: input.expected_version,
    })
}

fn cancel_command(input: ApprovalCancelInput) -> kernel::Result<domain::CancelApproval> {
    Ok(domain::CancelApproval {
        approval: id_of(&input.id, prefix::APPROVAL)?,
        reason: input.reason,
        expected_version: input.expected_version,
    })
}

fn delegate_command(input: DelegationCreateInput) -> kernel::Result<delegation::CreateDelegation> {
    let delegator = input.delegator.map(UserRefInput::into_ref).transpose();
    Ok(delegation::CreateDelegation {
        delegator: delegator.map_err(|error| error.within("delegator"))?,
        delegate: input.delegate.into_ref().map_err(|error| error.within("delegate"))?,
        starts_at: input.starts_at.map(|time| time.0),
        ends_at: input.ends_at.0,
        reason: input.reason,
    })
}

/// Mutations of approvals and delegations.
#[derive(Default)]
pub struct ApprovalMutations;

#[Object]
impl ApprovalMutations {
    /// Asks for approval of a ticket. Steps run in order; a step asks the persons whom its users, teams, roles and paths mean when
    /// it opens. Needs `approval.start` on the ticket.
    async fn approval_start(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of which ticket, and whom to ask.")] input: ApprovalStartInput,
    ) -> Result<ApprovalStartPayload> {
        let viewer = mutation(ctx)?;
        let result = match start_command(input) {
            Ok(command) => platform(ctx).tickets.start_approval(&viewer, command).await,
            Err(error) => Err(error),
        };
        ApprovalStartPayload::of(ctx, &viewer, result)
    }

    /// Approves or refuses. Whoever is asked may, and their delegate; a service account with `approval.decideOnBehalf`
    /// passes on what a person decided.
    async fn approval_decide(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which approval, and what is said to it.")] input: ApprovalDecideInput,
    ) -> Result<ApprovalDecidePayload> {
        let viewer = mutation(ctx)?;
        let result = match decide_command(input) {
            Ok(command) => platform(ctx).tickets.decide_approval(&viewer, command).await,
            Err(error) => Err(error),
        };
        ApprovalDecidePayload::of(ctx, &viewer, result)
    }

    /// Withdraws a pending approval. Whoever asked for it may, and whoever has `approval.start` on the ticket.
    async fn approval_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which approval.")] input: ApprovalCancelInput,
    ) -> Result<ApprovalCancelPayload> {
        let viewer = mutation(ctx)?;
        let result = match cancel_command(input) {
            Ok(command) => platform(ctx).tickets.cancel_approval(&viewer, command).await,
            Err(error) => Err(error),
        };
        ApprovalCancelPayload::of(ctx, &viewer, result)
    }

    /// Delegates one's decisions on approvals for a while; for somebody else it needs `user.manage`. One delegation of a
    /// person holds at a time. Votes that are awaited already are told in a moment.
    async fn delegation_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "To whom, and until when.")] input: DelegationCreateInput,
    ) -> Result<DelegationCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match delegate_command(input) {
            Ok(command) => platform(ctx).tickets.create_delegation(&viewer, command).await,
            Err(error) => Err(error),
        };
        DelegationCreatePayload::of(ctx, &viewer, result)
    }

    /// Ends a delegation now, or before it begins. Whoever delegated may, and whoever has `user.manage`.
    async fn delegation_end(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which delegation.")] input: DelegationEndInput,
    ) -> Result<DelegationEndPayload> {
        let viewer = mutation(ctx)?;
        let expected_version = input.expected_version;
        let result = match id_of(&input.id, prefix::DELEGATION) {
            Ok(delegation) => {
                let command = delegation::EndDelegation { delegation, expected_version };
                platform(ctx).tickets.end_delegation(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        DelegationEndPayload::of(ctx, &viewer, result)
    }
}
