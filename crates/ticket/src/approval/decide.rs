//! Deciding, withdrawing, and running out of time.

use access::permission::{APPROVAL_DECIDE_ON_BEHALF, APPROVAL_START};
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Error, ErrorCode, Result, UserError, Uuid};
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::Row;

use super::start::reference;
use super::step::{Progress, is_pending};
use super::{ApprovalOutcome, ApprovalState, CancelApproval, DecideApproval, EXPIRE, VoteState};
use crate::commands::check_body;
use crate::events;
use crate::service::Tickets;

/// Whose vote is given, and by whom.
struct Voter {
    /// Who is asked, or stands in.
    person: Uuid,
    /// Whose vote it must be, if that was said.
    approver: Option<Uuid>,
}

impl Tickets {
    /// Approves or refuses, for oneself, for somebody who delegated it, or, as a service account, for a person.
    ///
    /// # Errors
    /// `NOT_FOUND`, `CONFLICT` (votes are final); `FORBIDDEN` without `approval.decideOnBehalf`; `VALIDATION`.
    pub async fn decide_approval(&self, ctx: &Ctx, command: DecideApproval) -> Result<ApprovalOutcome> {
        check(&command)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "approvalDecide", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let record = tickets.approval_in(tx, command.approval.uuid).await?;
                expect_version(&record.row, command.expected_version)?;
                let edit = tickets.ticket_of_approval_in(tx, &record.row).await?;
                let voter = tickets.voter_in(tx, &command).await?;
                let mut progress = Progress::of(record);
                check_open(&progress, tx)?;
                let vote = tickets.vote_of_in(tx, &progress, &voter).await?;
                progress.vote(tx, &vote, &voter, &command);
                progress.advance_in(&tickets, tx, &edit.before).await?;
                progress.save_in(tx, tickets.access(), &edit).await?;
                tickets.release_transitions_in(tx, &edit, &progress.record.row).await?;
                tx.answers_with(reference(&progress.record.row));
                Ok(progress.record)
            })
        });
        self.approval_outcome(ctx, written.await?).await
    }

    /// Who decides: the viewer, or the person for whom a service account passes it on.
    async fn voter_in(&self, tx: &mut Tx, command: &DecideApproval) -> Result<Voter> {
        let actor = tx.ctx().actor;
        let named = match &command.on_behalf_of {
            Some(user) => Some(self.user_in(tx, user, "onBehalfOf").await?.id()),
            None => None,
        };
        if actor.kind == ActorKind::User {
            return Ok(Voter { person: actor.id, approver: named });
        }
        if !tx.ctx().grants.holds_tenant(APPROVAL_DECIDE_ON_BEHALF) {
            return Err(UserError::forbidden(APPROVAL_DECIDE_ON_BEHALF).into());
        }
        match named {
            Some(person) => Ok(Voter { person, approver: None }),
            None => {
                let message = "people decide: say for whom, with `onBehalfOf`";
                Err(UserError::constraint(["onBehalfOf"], message, "required", None).into())
            }
        }
    }

    /// The vote that is given: one's own, or that of the one person whom one stands in for.
    async fn vote_of_in(&self, tx: &mut Tx, progress: &Progress, voter: &Voter) -> Result<Row> {
        let person = voter.person;
        if progress.barred().contains(&person) {
            let message = "nobody decides on what they asked for themselves";
            return Err(UserError::constraint(["id"], message, "selfApproval", None).into());
        }
        let step = progress.open_step().map(Row::id);
        let mine = |vote: &&Row| {
            vote.get("step").as_id() == step
                && [vote.get("approver"), vote.get("delegate")].iter().any(|id| id.as_id() == Some(person))
                && voter.approver.is_none_or(|approver| vote.get("approver").as_id() == Some(approver))
        };
        let mine: Vec<_> = progress.record.votes.iter().filter(mine).cloned().collect();
        let pending: Vec<_> = mine.iter().filter(|vote| is_pending(vote)).collect();
        let own = pending.iter().find(|vote| vote.get("approver").as_id() == Some(person));
        let vote = match (own, pending.as_slice()) {
            (Some(own), _) => *own,
            (None, [only]) => *only,
            (None, [_, _, ..]) => {
                let message = "you stand in for several persons: say for whom, with `onBehalfOf`";
                return Err(UserError::constraint(["onBehalfOf"], message, "required", None).into());
            }
            (None, []) if !mine.is_empty() => {
                return Err(UserError::taken(["decision"], "this vote was given; votes are final").into());
            }
            (None, []) => {
                let message = "the approval does not ask for this vote now";
                return Err(UserError::constraint(["id"], message, "notAsked", None).into());
            }
        };
        let approver = vote.get("approver").as_id().unwrap_or_default();
        // The dates decide, whether or not the job that follows them has run.
        if approver != person && self.delegate_of_in(tx, approver).await? != Some(person) {
            let message = "the delegation does not hold (any more)";
            return Err(UserError::constraint(["id"], message, "delegation", None).into());
        }
        Ok(vote.clone())
    }

    /// Withdraws an approval. Whoever asked for it may, and whoever may ask for one on the ticket.
    ///
    /// # Errors
    /// `NOT_FOUND`, `CONFLICT`; `FORBIDDEN` without `approval.start` on the ticket.
    pub async fn cancel_approval(&self, ctx: &Ctx, command: CancelApproval) -> Result<ApprovalOutcome> {
        if let Some(reason) = &command.reason {
            let mut problems = Problems::default();
            check_body(&mut problems, "reason", reason);
            problems.check()?;
        }
        let tickets = self.clone();
        let written = self.store().write(ctx, "approvalCancel", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let record = tickets.approval_in(tx, command.approval.uuid).await?;
                expect_version(&record.row, command.expected_version)?;
                let edit = tickets.ticket_of_approval_in(tx, &record.row).await?;
                if record.row.get("requestedBy").as_id() != Some(tx.ctx().actor.id) {
                    tickets.require_on(tx.ctx(), &edit, APPROVAL_START)?;
                }
                let mut progress = Progress::of(record);
                check_pending(&progress)?;
                progress.end(tx, ApprovalState::Canceled, command.reason.as_deref());
                progress.save_in(tx, tickets.access(), &edit).await?;
                tickets.release_transitions_in(tx, &edit, &progress.record.row).await?;
                tx.answers_with(reference(&progress.record.row));
                Ok(progress.record)
            })
        });
        self.approval_outcome(ctx, written.await?).await
    }

    /// Ends the approval of an [`EXPIRE`] job, unless it was decided.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn expire_approval(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let approval = payload.get("approval").and_then(Json::as_str).and_then(|id| id.parse::<Uuid>().ok());
        let approval = approval.ok_or_else(|| Error::internal("a job's payload names no approval"))?;
        let tickets = self.clone();
        let written = self.store().write(ctx, EXPIRE, move |tx| {
            let tickets = tickets.clone();
            Box::pin(async move {
                let record = tickets.approval_in(tx, approval).await?;
                let edit = tickets.ticket_of_approval_in(tx, &record.row).await?;
                let mut progress = Progress::of(record);
                if !progress.is_pending() || !is_expired(&progress.record.row, tx) {
                    return Ok(());
                }
                progress.end(tx, ApprovalState::Expired, None);
                progress.save_in(tx, tickets.access(), &edit).await?;
                tickets.release_transitions_in(tx, &edit, &progress.record.row).await
            })
        });
        match written.await {
            Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl Progress {
    fn vote(&mut self, tx: &Tx, vote: &Row, voter: &Voter, command: &DecideApproval) {
        let given = if command.approve { VoteState::Approved } else { VoteState::Refused };
        let comment = command.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
        self.set_vote(
            vote.id(),
            vec![
                ("vote", given.as_str().into()),
                ("comment", comment.into()),
                ("decidedBy", voter.person.into()),
                ("decidedAt", tx.now().into()),
            ],
        );
        let on_behalf = (tx.ctx().actor.kind != ActorKind::User).then(|| voter.person.to_string());
        let payload = json!({
            "approval": self.id(), "step": vote.get("step").to_json(), "approver": vote.get("approver").to_json(),
            "decidedBy": voter.person.to_string(), "onBehalfOf": on_behalf, "vote": given.as_str(),
        });
        self.tell(events::APPROVAL_DECIDED, payload);
    }
}

fn check_pending(progress: &Progress) -> Result<()> {
    if progress.is_pending() {
        return Ok(());
    }
    let state = progress.record.row.text("state");
    Err(UserError::constraint(["id"], format!("the approval is over: {state}"), "decided", None).into())
}

fn is_expired(row: &Row, tx: &Tx) -> bool {
    row.get("expiresAt").as_time().is_some_and(|expires| expires <= tx.now())
}

fn check_open(progress: &Progress, tx: &Tx) -> Result<()> {
    check_pending(progress)?;
    if is_expired(&progress.record.row, tx) {
        return Err(UserError::constraint(["id"], "the approval has expired", "expired", None).into());
    }
    Ok(())
}

fn expect_version(row: &Row, expected: Option<i32>) -> Result<()> {
    let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
    match expected {
        Some(expected) if expected != version => Err(UserError::stale(version).into()),
        _ => Ok(()),
    }
}

fn check(command: &DecideApproval) -> Result<()> {
    let mut problems = Problems::default();
    match &command.comment {
        Some(comment) => check_body(&mut problems, "comment", comment),
        None if !command.approve => {
            let message = "a refusal says why, in `comment`";
            problems.add(UserError::constraint(["comment"], message, "required", None));
        }
        None => {}
    }
    problems.check()
}
