//! Approvals with their steps and votes, and delegations, as clients see them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result};
use kernel::Uuid;
use kernel::id::prefix;
use store::query::Row;
use ticket::approval::{ApprovalRecord, Approvers, StepPolicy};

use crate::connection::connection;
use crate::loaders;
use crate::people::{Actor, Team, User};
use crate::scalars::{DateTime, Markdown, id_of};
use crate::tickets::types::{Ticket, word};
use crate::tickets::words::word as words;

words! {
    /// What an approval has come to.
    ApprovalState = ticket::approval::ApprovalState {
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
    /// What a step of an approval has come to.
    ApprovalStepState = ticket::approval::StepState {
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
    ApprovalVoteState = ticket::approval::VoteState {
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
    /// A place that leads from a ticket to a person, as it is when a step opens.
    ApproverPath = ticket::approval::ApproverPath {
        /// The manager of the ticket's requester.
        RequesterManager = "REQUESTER_MANAGER",
        /// The owner of the ticket's service.
        ServiceOwner = "SERVICE_OWNER",
    }
}

/// How many of those whose votes count must approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ApprovalRule {
    /// One.
    Any,
    /// Each of them.
    All,
    /// More than half.
    Majority,
    /// As many as `ruleValue` says.
    Quorum,
    /// The part of a hundred that `ruleValue` says, rounded up.
    Percent,
}

impl ApprovalRule {
    /// The name that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            ApprovalRule::Any => "ANY",
            ApprovalRule::All => "ALL",
            ApprovalRule::Majority => "MAJORITY",
            ApprovalRule::Quorum => "QUORUM",
            ApprovalRule::Percent => "PERCENT",
        }
    }

    /// Reads a stored name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Any, Self::All, Self::Majority, Self::Quorum, Self::Percent];
        all.into_iter().find(|rule| rule.as_str() == text)
    }
}

fn version_of(row: &Row) -> i32 {
    i32::try_from(row.int("version")).unwrap_or(i32::MAX)
}

fn time_of(row: &Row, field: &str) -> Option<DateTime> {
    row.get(field).as_time().map(DateTime)
}

async fn actor_of(ctx: &Context<'_>, row: &Row, field: &str) -> Result<Option<Row>> {
    match row.get(field).as_id() {
        Some(id) => loaders::actor(ctx, id).await,
        None => Ok(None),
    }
}

async fn user_of(ctx: &Context<'_>, row: &Row, field: &str) -> Result<User> {
    let user = actor_of(ctx, row, field).await?;
    Ok(User::from_row(user.ok_or_else(|| kernel::Error::internal("a person is missing"))?))
}

/// An approval, with its steps and votes where a mutation has just made them.
#[derive(Clone)]
pub struct Approval {
    row: Arc<Row>,
    made: Option<Arc<ApprovalRecord>>,
}

impl Approval {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self { row: Arc::new(row), made: None }
    }

    /// Of what a mutation answers: a dry run's steps are nowhere to be read.
    pub fn of(record: ApprovalRecord) -> Self {
        Self { row: Arc::new(record.row.clone()), made: Some(Arc::new(record)) }
    }
}

/// A request that others agree to what a ticket says. Whoever sees the ticket sees its approvals; whoever is asked sees the
/// approval even when the ticket is hidden from them: with number, title and description as they were when it was asked
/// for.
#[Object]
impl Approval {
    /// The approval's id, such as `apr_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::APPROVAL, self.row.id())
    }

    /// What it is called.
    pub fn name(&self) -> String {
        self.row.text("name")
    }

    /// What it has come to.
    pub fn state(&self) -> ApprovalState {
        word(&self.row, "state", ApprovalState::parse, ApprovalState::Pending)
    }

    /// Why it was voided or canceled.
    pub fn reason(&self) -> Option<String> {
        self.row.optional_text("reason")
    }

    /// The ticket; null when the viewer may not see it.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.row.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// The ticket's number.
    pub fn ticket_number(&self) -> String {
        self.row.text("ticketNumber")
    }

    /// The ticket's title when the approval was asked for.
    pub fn ticket_title(&self) -> String {
        self.row.text("ticketTitle")
    }

    /// The ticket's description when the approval was asked for.
    pub fn ticket_description(&self) -> Option<Markdown> {
        self.row.optional_text("ticketDescription").map(Markdown)
    }

    /// The fields of the ticket that it is bound to, at most 50: an edit of one of them voids it.
    pub fn bound_fields(&self) -> Vec<String> {
        self.row.texts("boundFields")
    }

    /// SHA-256 of the values of these fields, in hexadecimal.
    pub fn content_hash(&self) -> String {
        self.row.text("contentHash")
    }

    /// The keys of the transitions that wait while it is pending, at most 20.
    pub fn blocks(&self) -> Vec<String> {
        self.row.texts("blocks")
    }

    /// Whether the ticket's requester, and whoever asked for the approval, may decide as well.
    pub fn self_approval(&self) -> bool {
        self.row.bool("selfApproval")
    }

    /// Who asked for it.
    pub async fn requested_by(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = actor_of(ctx, &self.row, "requestedBy").await?;
        Ok(Actor::from_row(row.ok_or_else(|| kernel::Error::internal("who asked for an approval is missing"))?))
    }

    /// Its steps in order, at most 10.
    pub async fn steps(&self, ctx: &Context<'_>) -> Result<Vec<ApprovalStep>> {
        let rows = match &self.made {
            Some(made) => made.steps.clone(),
            None => loaders::approval_steps(ctx, self.row.id()).await?,
        };
        let step = |row| ApprovalStep { row, approval: Arc::clone(&self.row), made: self.made.clone() };
        Ok(rows.into_iter().map(step).collect())
    }

    /// When it expires, which is a refusal; null for never.
    pub fn expires_at(&self) -> Option<DateTime> {
        time_of(&self.row, "expiresAt")
    }

    /// When it was over.
    pub fn decided_at(&self) -> Option<DateTime> {
        time_of(&self.row, "decidedAt")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version_of(&self.row)
    }

    /// When it was asked for.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.row.time("createdAt"))
    }

    /// When it changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.row.time("updatedAt"))
    }
}

connection! {
    /// A page of approvals.
    ApprovalConnection, ApprovalEdge, Approval
}

/// A step of an approval.
#[derive(Clone)]
pub struct ApprovalStep {
    row: Row,
    approval: Arc<Row>,
    made: Option<Arc<ApprovalRecord>>,
}

impl ApprovalStep {
    /// What was asked for in this step.
    fn policy(&self) -> kernel::Result<StepPolicy> {
        let place = usize::try_from(self.row.int("position")).unwrap_or(usize::MAX);
        let steps = serde_json::from_value::<Vec<StepPolicy>>(self.approval.get("policy").to_json());
        let policy = steps.map_err(kernel::Error::internal)?.into_iter().nth(place);
        policy.ok_or_else(|| kernel::Error::internal("an approval has more steps than its policy"))
    }
}

/// A step of an approval. It decides as soon as nothing that may still be said can change what it comes to.
#[Object]
impl ApprovalStep {
    /// The step's id.
    pub async fn id(&self) -> ID {
        id_of(prefix::APPROVAL_STEP, self.row.id())
    }

    /// Its place, from 0.
    pub fn position(&self) -> i32 {
        i32::try_from(self.row.int("position")).unwrap_or(i32::MAX)
    }

    /// What it is called.
    pub fn name(&self) -> Option<String> {
        self.row.optional_text("name")
    }

    /// How many must approve.
    pub fn rule(&self) -> ApprovalRule {
        word(&self.row, "rule", ApprovalRule::parse, ApprovalRule::All)
    }

    /// The number that `QUORUM` and `PERCENT` have.
    pub fn rule_value(&self) -> Option<i32> {
        self.row.get("ruleValue").as_int().and_then(|value| i32::try_from(value).ok())
    }

    /// What it has come to.
    pub fn state(&self) -> ApprovalStepState {
        word(&self.row, "state", ApprovalStepState::parse, ApprovalStepState::Waiting)
    }

    /// Whom it asks, as it was asked for, at most 20. When it opens, they become the persons of `votes`.
    pub fn approvers(&self) -> Result<Vec<Approver>> {
        Ok(self.policy()?.approvers.into_iter().map(Approver).collect())
    }

    /// Whose refusal alone refuses, as it was asked for, at most 20.
    pub fn veto_holders(&self) -> Result<Vec<Approver>> {
        Ok(self.policy()?.veto.into_iter().map(Approver).collect())
    }

    /// Whether it asks the administrators, one of whom is enough, because nobody else was left.
    pub fn to_administrators(&self) -> bool {
        self.row.bool("toAdministrators")
    }

    /// Whom it asks and what they said, at most 100. Empty while it waits for an earlier step.
    pub async fn votes(&self, ctx: &Context<'_>) -> Result<Vec<ApprovalVote>> {
        let approval = self.row.get("approval").as_id().unwrap_or_default();
        let rows = match &self.made {
            Some(made) => made.votes.clone(),
            None => loaders::approval_votes(ctx, approval).await?,
        };
        let of_step = |row: &Row| row.get("step").as_id() == Some(self.row.id());
        Ok(rows.into_iter().filter(of_step).map(ApprovalVote).collect())
    }

    /// When it began to ask.
    pub fn opened_at(&self) -> Option<DateTime> {
        time_of(&self.row, "openedAt")
    }

    /// When it was decided.
    pub fn decided_at(&self) -> Option<DateTime> {
        time_of(&self.row, "decidedAt")
    }
}

/// Who approves: exactly one of the fields is there.
#[derive(Clone)]
pub struct Approver(Approvers);

/// Who approves: exactly one of the fields is there.
#[Object]
impl Approver {
    /// This user.
    pub async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0 {
            Approvers::User(user) => Ok(loaders::actor(ctx, user).await?.map(User::from_row)),
            _ => Ok(None),
        }
    }

    /// The active members of this team.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0 {
            Approvers::Team(team) => Ok(loaders::team(ctx, team).await?.map(Team::from_row)),
            _ => Ok(None),
        }
    }

    /// Whoever holds the role with this key.
    pub fn role(&self) -> Option<&str> {
        match &self.0 {
            Approvers::Role(key) => Some(key),
            _ => None,
        }
    }

    /// Whoever stands there, seen from the ticket.
    pub fn path(&self) -> Option<ApproverPath> {
        match self.0 {
            Approvers::Path(path) => ApproverPath::parse(path.as_str()),
            _ => None,
        }
    }
}

/// What one person says to one step of an approval.
#[derive(Clone)]
pub struct ApprovalVote(Row);

/// What one person says to one step of an approval.
#[Object]
impl ApprovalVote {
    /// The vote's id.
    pub async fn id(&self) -> ID {
        id_of(prefix::APPROVAL_VOTE, self.0.id())
    }

    /// Who is asked.
    pub async fn approver(&self, ctx: &Context<'_>) -> Result<User> {
        user_of(ctx, &self.0, "approver").await
    }

    /// Who may vote for them, by a delegation.
    pub async fn delegate(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        Ok(actor_of(ctx, &self.0, "delegate").await?.map(User::from_row))
    }

    /// Whether the step's rule counts this vote; false for who only has a veto.
    pub fn counts(&self) -> bool {
        self.0.bool("counts")
    }

    /// Whether this refusal alone refuses the step.
    pub fn veto(&self) -> bool {
        self.0.bool("veto")
    }

    /// What was said.
    pub fn vote(&self) -> ApprovalVoteState {
        word(&self.0, "vote", ApprovalVoteState::parse, ApprovalVoteState::Pending)
    }

    /// Why.
    pub fn comment(&self) -> Option<Markdown> {
        self.0.optional_text("comment").map(Markdown)
    }

    /// The person who decided: the approver, or their delegate.
    pub async fn decided_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        Ok(actor_of(ctx, &self.0, "decidedBy").await?.map(User::from_row))
    }

    /// When.
    pub fn decided_at(&self) -> Option<DateTime> {
        time_of(&self.0, "decidedAt")
    }
}

/// Somebody decides for somebody else for a while.
#[derive(Clone)]
pub struct Delegation(Arc<Row>);

impl Delegation {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// Somebody decides on approvals for somebody else for a while. Both may vote; the first vote stands.
#[Object]
impl Delegation {
    /// The delegation's id, such as `del_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::DELEGATION, self.0.id())
    }

    /// For whom.
    pub async fn delegator(&self, ctx: &Context<'_>) -> Result<User> {
        user_of(ctx, &self.0, "delegator").await
    }

    /// Who.
    pub async fn delegate(&self, ctx: &Context<'_>) -> Result<User> {
        user_of(ctx, &self.0, "delegate").await
    }

    /// From when.
    pub fn starts_at(&self) -> DateTime {
        DateTime(self.0.time("startsAt"))
    }

    /// Until when (exclusive).
    pub fn ends_at(&self) -> DateTime {
        DateTime(self.0.time("endsAt"))
    }

    /// Why.
    pub fn reason(&self) -> Option<String> {
        self.0.optional_text("reason")
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        version_of(&self.0)
    }

    /// When it was made.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

connection! {
    /// A page of delegations.
    DelegationConnection, DelegationEdge, Delegation
}

/// The approval with an id, for whoever may see it.
///
/// # Errors
/// Database errors.
pub async fn find(ctx: &Context<'_>, id: Uuid) -> Result<Option<Approval>> {
    Ok(loaders::approval(ctx, id).await?.map(Approval::from_row))
}
