//! What a change of a ticket does to its approvals, and what its approvals do to its transitions.

use access::Access;
use kernel::{Detail, ErrorCode, Result, UserError};
use predicate::{Path, Predicate, Test, Value};
use store::Tx;
use store::query::{self, Row};

use super::fields::{APPROVAL, APPROVAL_STEP, APPROVAL_VOTE};
use super::read::own;
use super::start::content_hash;
use super::step::Progress;
use super::{ApprovalRecord, ApprovalState, MAX_APPROVALS, MAX_APPROVERS, MAX_STEPS};
use crate::edit::Edit;
use crate::model::StateCategory;
use crate::service::Tickets;

/// After a ticket was changed and its row is held: voids approvals whose content it changed, pending or granted, and
/// cancels pending ones of a ticket that is closed now. Only for tickets that ever had an approval.
///
/// # Errors
/// A lost race is run again.
pub(crate) async fn follow_edit_in(tx: &mut Tx, access: &Access, edit: &Edit) -> Result<()> {
    let standing = [ApprovalState::Pending.as_str(), ApprovalState::Approved.as_str()];
    let condition = Predicate::eq("ticket", edit.after.id()).and(Predicate::one_of("state", &standing));
    let approvals = own(access, tx, &APPROVAL, &condition, MAX_APPROVALS as u64).await?;
    let ended = is_ended(&edit.after) && !is_ended(&edit.before);
    let mut over = false;
    for row in approvals {
        let bound = row.texts("boundFields");
        let pending = row.text("state") == ApprovalState::Pending.as_str();
        let end = if content_hash(&edit.after, &bound) != row.text("contentHash") {
            let changed: Vec<_> =
                bound.into_iter().filter(|name| edit.before.get(name) != edit.after.get(name)).collect();
            Some((ApprovalState::Voided, format!("changed: {}", changed.join(", "))))
        } else if ended && pending {
            Some((ApprovalState::Canceled, "the ticket was closed".to_owned()))
        } else {
            None
        };
        let Some((state, reason)) = end else { continue };
        let of_approval = Predicate::eq("approval", row.id());
        let steps = own(access, tx, &APPROVAL_STEP, &of_approval, MAX_STEPS as u64).await?;
        let votes = own(access, tx, &APPROVAL_VOTE, &of_approval, (MAX_STEPS * MAX_APPROVERS) as u64).await?;
        over |= !row.texts("blocks").is_empty();
        let mut progress = Progress::of(ApprovalRecord { row, steps, votes });
        progress.end(tx, state, Some(&reason));
        progress.save_in(tx, access, edit).await?;
    }
    if over { write_blocked_in(tx, access, edit).await } else { Ok(()) }
}

fn is_ended(ticket: &Row) -> bool {
    StateCategory::parse(&ticket.text("stateCategory")).is_some_and(StateCategory::is_ended)
}

/// Writes down which transitions of a ticket wait for an approval: what its pending ones hold back. The version stays.
async fn write_blocked_in(tx: &mut Tx, access: &Access, edit: &Edit) -> Result<()> {
    let ticket = edit.after.id();
    let pending = Predicate::eq("ticket", ticket).and(Predicate::eq("state", ApprovalState::Pending.as_str()));
    let rows = own(access, tx, &APPROVAL, &pending, MAX_APPROVALS as u64).await?;
    let mut blocked: Vec<_> = rows.iter().flat_map(|row| row.texts("blocks")).collect();
    blocked.sort_unstable();
    blocked.dedup();
    let version = i32::try_from(edit.after.int("version")).ok();
    let values = [("blockedTransitions", Value::TextList(blocked))];
    let tenant = tx.ctx().tenant;
    match query::update_in(tx, tenant, edit.rules.record(), ticket, version, &values).await? {
        true => Ok(()),
        false => Err(tx.retry()),
    }
}

impl Tickets {
    /// Lets transitions go that an approval held back, once it is over.
    pub(super) async fn release_transitions_in(&self, tx: &mut Tx, edit: &Edit, approval: &Row) -> Result<()> {
        let pending = approval.text("state") == ApprovalState::Pending.as_str();
        if pending || approval.texts("blocks").is_empty() {
            return Ok(());
        }
        write_blocked_in(tx, self.access(), edit).await
    }

    /// Refuses a transition that a pending approval of the ticket holds back.
    ///
    /// # Errors
    /// `APPROVAL_PENDING` with the approval.
    pub(crate) async fn check_not_blocked_in(&self, tx: &mut Tx, ticket: &Row, transition: &str) -> Result<()> {
        if !ticket.texts("blockedTransitions").iter().any(|blocked| blocked == transition) {
            return Ok(());
        }
        let holds_back = Predicate::eq("ticket", ticket.id())
            .and(Predicate::eq("state", ApprovalState::Pending.as_str()))
            .and(Predicate::Is(Path::field("blocks"), Test::Has(transition.to_owned())));
        match own(self.access(), tx, &APPROVAL, &holds_back, 1).await?.pop() {
            Some(approval) => Err(approval_pending(&approval, transition).into()),
            None => Ok(()),
        }
    }
}

fn approval_pending(approval: &Row, transition: &str) -> UserError {
    let message = format!("`{transition}` waits for the approval `{}`", approval.text("name"));
    UserError {
        detail: Detail::Approval { approval: approval.id() },
        ..UserError::new(ErrorCode::ApprovalPending, ["transition"], message)
    }
}
