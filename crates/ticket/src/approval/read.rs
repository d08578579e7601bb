//! Reading approvals and delegations, as far as the viewer may see them, and what the system itself must know of them.

use std::sync::Arc;

use access::Access;
use kernel::{Ctx, PageDirection, Result, UserError, Uuid};
use predicate::{Operand, Path, Predicate, RecordType, Test, Visibilities};
use store::Tx;
use store::query::{self, Row};

use super::fields::{APPROVAL, APPROVAL_STEP, APPROVAL_VOTE, DELEGATION};
use super::{ApprovalRecord, ApprovalState, MAX_APPROVALS, MAX_APPROVERS, MAX_STEPS};
use crate::edit::Edit;
use crate::fields::TICKET;
use crate::queries::RELATIONS;
use crate::service::Tickets;

/// How many votes an approval can have.
const MAX_VOTES: u32 = (MAX_STEPS * MAX_APPROVERS) as u32;

/// The condition that a viewer's vote is awaited, by themselves or as somebody's delegate.
pub(crate) fn awaits(viewer: Uuid) -> Predicate {
    Predicate::eq("state", ApprovalState::Pending.as_str())
        .and(Predicate::Is(Path::field("awaited"), Test::Has(viewer.to_string())))
}

impl Tickets {
    /// A visible approval.
    ///
    /// # Errors
    /// Database errors.
    pub async fn approval(&self, ctx: &Ctx, approval: Uuid) -> Result<Option<Row>> {
        Ok(self.by_ids(ctx, &APPROVAL, &[approval], &[]).await?.pop())
    }

    /// The condition that the viewer's vote is awaited on an approval.
    pub fn awaiting_viewer(&self, ctx: &Ctx) -> Predicate {
        awaits(ctx.actor.id)
    }

    /// The approvals of each of these tickets, by one statement, oldest first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn approvals_of(&self, ctx: &Ctx, tickets: &[Uuid]) -> Result<Vec<Row>> {
        self.children(ctx, &APPROVAL, "ticket", tickets, MAX_APPROVALS as u32, &[]).await
    }

    /// The steps of each of these approvals, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn approval_steps_of(&self, ctx: &Ctx, approvals: &[Uuid]) -> Result<Vec<Row>> {
        let mut steps = self.children(ctx, &APPROVAL_STEP, "approval", approvals, MAX_STEPS as u32, &[]).await?;
        steps.sort_by_key(|step| step.int("position"));
        Ok(steps)
    }

    /// The votes on each of these approvals, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn approval_votes_of(&self, ctx: &Ctx, approvals: &[Uuid]) -> Result<Vec<Row>> {
        self.children(ctx, &APPROVAL_VOTE, "approval", approvals, MAX_VOTES, &[]).await
    }

    async fn children(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        parent: &'static str,
        parents: &[Uuid],
        limit: u32,
        relations: &[&'static str],
    ) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let reader = self.store().read("ticket.approvals");
        let (all, forward) = (Predicate::always(), PageDirection::Forward);
        query::by_parents(&reader, &scoped, record, parent, parents, &all, forward, limit, relations).await
    }

    /// The approval that a write is about.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` for one that the viewer may not see.
    pub(crate) async fn approval_in(&self, tx: &mut Tx, approval: Uuid) -> Result<ApprovalRecord> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let found = query::by_ids(tx, &self.access().scoped(&ctx, &visible), &APPROVAL, &[approval], &[]).await?;
        let row = found.into_iter().next().ok_or_else(|| UserError::not_found(["id"], "the approval"))?;
        let of_approval = Predicate::eq("approval", row.id());
        let mut steps = own(self.access(), tx, &APPROVAL_STEP, &of_approval, MAX_STEPS as u64).await?;
        steps.sort_by_key(|step| step.int("position"));
        let votes = own(self.access(), tx, &APPROVAL_VOTE, &of_approval, u64::from(MAX_VOTES)).await?;
        Ok(ApprovalRecord { row, steps, votes })
    }

    /// The ticket of an approval, held: events tell of it as it is. Whoever decides may not be able to see it.
    pub(crate) async fn ticket_of_approval_in(&self, tx: &mut Tx, approval: &Row) -> Result<Edit> {
        let ticket = approval.get("ticket").as_id().unwrap_or_default();
        let gone = || kernel::Error::internal("an approval's ticket is missing");
        let by_id = Predicate::eq("id", ticket);
        let row = own(self.access(), tx, &TICKET, &by_id, 1).await?.pop().ok_or_else(gone)?;
        let rules = self.kinds().of(&row)?.clone();
        let (system, visible) = system(self.access(), tx.ctx());
        let scoped = self.access().scoped(&system, &visible);
        let row = query::find(tx, &scoped, rules.record(), &by_id, RELATIONS).await?.ok_or_else(gone)?;
        let workflow = self.workflow_of(tx, &tx.ctx().clone(), rules.as_ref(), &row).await?;
        let edit = Edit::new(rules, workflow, row);
        edit.hold_in(tx).await?;
        Ok(edit)
    }

    /// The delegation of a person that holds now.
    pub(crate) async fn delegate_of_in(&self, tx: &mut Tx, delegator: Uuid) -> Result<Option<Uuid>> {
        Ok(self.delegates_of_in(tx, &[delegator]).await?.pop().map(|(_, delegate)| delegate))
    }

    /// Delegator and delegate of each delegation that holds now, of these persons.
    pub(crate) async fn delegates_of_in(&self, tx: &mut Tx, delegators: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>> {
        if delegators.is_empty() {
            return Ok(Vec::new());
        }
        let now = Operand::Value(tx.now().into());
        let holds = Predicate::one_of("delegator", delegators)
            .and(Predicate::Is(Path::field("startsAt"), Test::Lte(now.clone())))
            .and(Predicate::Is(Path::field("endsAt"), Test::Gt(now)));
        let rows = own(self.access(), tx, &DELEGATION, &holds, delegators.len() as u64).await?;
        let pair = |row: &Row| Some((row.get("delegator").as_id()?, row.get("delegate").as_id()?));
        Ok(rows.iter().filter_map(pair).collect())
    }
}

/// The context of what the system itself must know, whoever it is that acts.
fn system(access: &Access, ctx: &Ctx) -> (Ctx, Arc<Visibilities>) {
    let system = access.system_ctx(ctx.tenant, &ctx.request_id);
    let visible = access.visible(&system);
    (system, visible)
}

/// Records as the system sees them: what a vote comes to depends on others' votes and delegations, which the voter may
/// not be able to see.
pub(crate) async fn own(
    access: &Access,
    tx: &Tx,
    record: &'static RecordType,
    condition: &Predicate,
    limit: u64,
) -> Result<Vec<Row>> {
    let (system, visible) = system(access, tx.ctx());
    query::all(tx, &access.scoped(&system, &visible), record, condition, &[], limit).await
}
