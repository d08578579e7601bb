//! Delegation: somebody decides for somebody else for a while.
//!
//! A delegation holds from its start to its end, whatever else happens. Steps that open meanwhile ask the delegate along;
//! for votes that are awaited already, a durable job at the start and at the end tells the delegate. Both may vote, and
//! the first vote stands. Nobody passes on what was delegated to them.

use access::UserRef;
use access::permission::USER_MANAGE;
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Error, Id, Result, Timestamp, UserError, Uuid, id};
use predicate::{Operand, Path, Predicate, Test, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Audience, Change, NewEvent, NewJob, RecordRef, Tx, Written};

use super::fields::{APPROVAL_VOTE, DELEGATION};
use super::read::own;
use super::rules::stand_in;
use super::step::{Progress, is_pending};
use super::{MAX_NAME, VoteState};
use crate::commands::check_text;
use crate::events;
use crate::service::{Outcome, Tickets};

/// The event that a new delegation leaves behind.
pub const CREATED: &str = "DelegationCreated";
/// The event that an ended delegation leaves behind.
pub const ENDED: &str = "DelegationEnded";
/// The job that tells awaited votes who stands in now.
pub const TURN: &str = "approval.delegation";
/// How long a delegation may last, in days.
pub const MAX_DAYS: i64 = 366;
/// How many awaited votes are read at once.
const BATCH: u64 = 200;

/// Delegate one's decisions.
#[derive(Clone, Debug)]
pub struct CreateDelegation {
    /// Who delegates; the viewer when absent. Others need `user.manage`.
    pub delegator: Option<UserRef>,
    /// To whom.
    pub delegate: UserRef,
    /// From when; now when absent.
    pub starts_at: Option<Timestamp>,
    /// Until when.
    pub ends_at: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

/// End a delegation now.
#[derive(Clone, Debug)]
pub struct EndDelegation {
    /// Which.
    pub delegation: Id,
    /// Refuse when the delegation has another version.
    pub expected_version: Option<i32>,
}

impl Tickets {
    /// Delegates decisions on approvals for a while.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` for somebody else's without `user.manage`; `VALIDATION`; `CONFLICT` when another of the same
    /// person holds meanwhile.
    pub async fn create_delegation(&self, ctx: &Ctx, command: CreateDelegation) -> Result<Outcome> {
        if let Some(reason) = &command.reason {
            let mut problems = Problems::default();
            check_text(&mut problems, "reason", reason, MAX_NAME);
            problems.check()?;
        }
        let tickets = self.clone();
        let written = self.store().write(ctx, "delegationCreate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.create_delegation_in(tx, &command).await })
        });
        self.delegation_outcome(ctx, written.await?).await
    }

    async fn create_delegation_in(&self, tx: &mut Tx, command: &CreateDelegation) -> Result<Row> {
        let actor = tx.ctx().actor;
        let delegator = match &command.delegator {
            Some(user) => self.user_in(tx, user, "delegator").await?.id(),
            None if actor.kind == ActorKind::User => actor.id,
            None => {
                let message = "only people decide: name a `delegator`";
                return Err(UserError::constraint(["delegator"], message, "required", None).into());
            }
        };
        if delegator != actor.id && !tx.ctx().grants.holds_tenant(USER_MANAGE) {
            return Err(UserError::forbidden(USER_MANAGE).into());
        }
        let delegate = self.user_in(tx, &command.delegate, "delegate").await?;
        check_dates(tx.now(), command)?;
        let starts_at = command.starts_at.unwrap_or(tx.now());
        if delegate.id() == delegator {
            let message = "nobody delegates to themselves";
            return Err(UserError::constraint(["delegate"], message, "other", None).into());
        }
        if !delegate.bool("active") {
            let message = "the delegate is not active";
            return Err(UserError::constraint(["delegate"], message, "active", None).into());
        }
        let at = |time: Timestamp| Operand::Value(time.into());
        let meanwhile = Predicate::eq("delegator", delegator)
            .and(Predicate::Is(Path::field("startsAt"), Test::Lt(at(command.ends_at))))
            .and(Predicate::Is(Path::field("endsAt"), Test::Gt(at(starts_at))));
        if !own(self.access(), tx, &DELEGATION, &meanwhile, 1).await?.is_empty() {
            let message = "another delegation of the same person holds meanwhile; end it first";
            return Err(UserError::taken(["startsAt"], message).into());
        }
        let row = Row::new(
            &DELEGATION,
            vec![
                ("id", tx.new_id().into()),
                ("delegator", delegator.into()),
                ("delegate", delegate.id().into()),
                ("startsAt", starts_at.into()),
                ("endsAt", command.ends_at.into()),
                ("reason", command.reason.as_deref().map(str::trim).into()),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
                ("updatedAt", tx.now().into()),
            ],
        );
        query::insert_in(tx, tx.ctx().tenant, &DELEGATION, &row).await?;
        enqueue_turns(tx, &row);
        tell(tx, CREATED, &row, &["delegator", "delegate", "startsAt", "endsAt"], None);
        Ok(row)
    }

    /// Ends a delegation now, or before it begins. One that has ended stays as it is.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` unless it is one's own or with `user.manage`; `CONFLICT`.
    pub async fn end_delegation(&self, ctx: &Ctx, command: EndDelegation) -> Result<Outcome> {
        let tickets = self.clone();
        let written = self.store().write(ctx, "delegationEnd", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.end_delegation_in(tx, &command).await })
        });
        self.delegation_outcome(ctx, written.await?).await
    }

    async fn end_delegation_in(&self, tx: &mut Tx, command: &EndDelegation) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let found = query::by_ids(tx, &scoped, &DELEGATION, &[command.delegation.uuid], &[]).await?.pop();
        let before = found.ok_or_else(|| UserError::not_found(["id"], "the delegation"))?;
        let version = i32::try_from(before.int("version")).unwrap_or(i32::MAX);
        if command.expected_version.is_some_and(|expected| expected != version) {
            return Err(UserError::stale(version).into());
        }
        if before.get("delegator").as_id() != Some(ctx.actor.id) && !ctx.grants.holds_tenant(USER_MANAGE) {
            return Err(UserError::forbidden(USER_MANAGE).into());
        }
        if before.time("endsAt") <= tx.now() {
            tx.answers_with(reference(&before));
            return Ok(before);
        }
        let mut row = before.clone();
        row.set("endsAt", std::cmp::max(tx.now(), before.time("startsAt")).into());
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let values: Vec<_> =
            ["endsAt", "version", "updatedAt"].iter().map(|name| (*name, row.get(name).clone())).collect();
        if !query::update_in(tx, ctx.tenant, &DELEGATION, row.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        enqueue_turns(tx, &row);
        tell(tx, ENDED, &row, &["endsAt"], Some(&before));
        Ok(row)
    }

    async fn delegation_outcome(&self, ctx: &Ctx, written: Written<Row>) -> Result<Outcome> {
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => self.delegation(ctx, record.id.uuid).await?,
        };
        Ok(Outcome { row, events })
    }

    /// A visible delegation.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delegation(&self, ctx: &Ctx, delegation: Uuid) -> Result<Option<Row>> {
        Ok(self.by_ids(ctx, &DELEGATION, &[delegation], &[]).await?.pop())
    }

    /// The condition that a delegation is by the viewer or to them.
    pub fn delegations_of_viewer(&self, ctx: &Ctx) -> Predicate {
        Predicate::eq("delegator", ctx.actor.id).or(Predicate::eq("delegate", ctx.actor.id))
    }

    /// Tells the awaited votes of the person of a [`TURN`] job who stands in for them now: one write for each approval.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn turn_delegation(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let delegator = payload.get("delegator").and_then(Json::as_str).and_then(|id| id.parse::<Uuid>().ok());
        let delegator = delegator.ok_or_else(|| Error::internal("a job's payload names no delegator"))?;
        let awaited = Predicate::eq("approver", delegator).and(Predicate::eq("vote", VoteState::Pending.as_str()));
        let mut last = Uuid::nil();
        loop {
            let visible = self.access().visible(ctx);
            let scoped = self.access().scoped(ctx, &visible);
            let behind = Predicate::Is(Path::field("id"), Test::Gt(Operand::Value(last.into())));
            let condition = awaited.clone().and(behind);
            let reader = self.store().read(TURN);
            let votes = query::all(&reader, &scoped, &APPROVAL_VOTE, &condition, &[], BATCH).await?;
            for vote in &votes {
                let approval = vote.get("approval").as_id().unwrap_or_default();
                self.turn_vote(ctx, approval, delegator).await?;
                last = vote.id();
            }
            if votes.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn turn_vote(&self, ctx: &Ctx, approval: Uuid, delegator: Uuid) -> Result<()> {
        let tickets = self.clone();
        let written = self.store().write(ctx, TURN, move |tx| {
            let tickets = tickets.clone();
            Box::pin(async move {
                let record = tickets.approval_in(tx, approval).await?;
                let delegate = tickets.delegate_of_in(tx, delegator).await?;
                let mut progress = Progress::of(record);
                let delegate = stand_in(delegator, delegate, &progress.barred());
                let of_delegator = |vote: &&Row| is_pending(vote) && vote.get("approver").as_id() == Some(delegator);
                let vote = progress.record.votes.iter().find(of_delegator).cloned();
                let Some(vote) = vote.filter(|vote| vote.get("delegate").as_id() != delegate) else { return Ok(()) };
                let edit = tickets.ticket_of_approval_in(tx, &progress.record.row).await?;
                progress.set_vote(vote.id(), vec![("delegate", delegate.into())]);
                progress.record_who();
                let payload = json!({
                    "approval": progress.id(), "step": vote.get("step").to_json(),
                    "approver": delegator.to_string(), "delegate": Value::from(delegate).to_json(),
                });
                progress.tell(events::APPROVAL_DELEGATED, payload);
                progress.save_in(tx, tickets.access(), &edit).await
            })
        });
        written.await.map(|_| ())
    }
}

fn check_dates(now: Timestamp, command: &CreateDelegation) -> Result<()> {
    let starts_at = command.starts_at.unwrap_or(now);
    let mut problems = Problems::default();
    if starts_at < now {
        problems.add(UserError::constraint(["startsAt"], "`startsAt` is in the past", "future", None));
    }
    if command.ends_at <= starts_at {
        problems.add(UserError::constraint(["endsAt"], "`endsAt` is not behind the start", "order", None));
    } else if command.ends_at - starts_at > chrono::Duration::days(MAX_DAYS) {
        let message = format!("a delegation lasts at most {MAX_DAYS} days");
        problems.add(UserError::limit(["endsAt"], message, MAX_DAYS as u64));
    }
    problems.check()
}

/// At the start and at the end, awaited votes are told who stands in.
fn enqueue_turns(tx: &mut Tx, row: &Row) {
    let (tenant, now) = (tx.ctx().tenant, tx.now());
    let payload = json!({ "delegator": row.get("delegator").to_json() });
    for (end, time) in [("start", row.time("startsAt")), ("end", row.time("endsAt"))] {
        let unique_key = Some(format!("{}.{end}", row.id()));
        let run_at = std::cmp::max(time, now);
        tx.enqueue(NewJob { kind: TURN, tenant, unique_key, run_at, payload: payload.clone() });
    }
}

fn reference(row: &Row) -> RecordRef {
    let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
    RecordRef { id: Id::new(id::prefix::DELEGATION, row.id()), version }
}

fn tell(tx: &mut Tx, kind: &'static str, row: &Row, fields: &[&str], before: Option<&Row>) {
    let changes = fields.iter().map(|field| Change {
        field: (*field).to_owned(),
        before: before.map_or(Json::Null, |before| before.get(field).to_json()),
        after: row.get(field).to_json(),
    });
    tx.answers_with(reference(row));
    tx.emit(NewEvent {
        kind,
        subject_kind: "delegation",
        subject: row.id(),
        version: i32::try_from(row.int("version")).unwrap_or(i32::MAX),
        audience: Audience::Internal,
        changes: changes.filter(|change| change.before != change.after).collect(),
        facts: Default::default(),
        payload: Json::Null,
        occurred_at: None,
        actor: None,
    });
}
