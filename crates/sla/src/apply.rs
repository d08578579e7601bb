//! Having the present version of a policy, and of its calendars, hold for open tickets too, back to their beginning.

use access::operation;
use access::{Changed, visibility};
use kernel::{Ctx, Error, Result, Timestamp, Uuid};
use predicate::{Predicate, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::{self, Row};
use ticket::Edit;
use ticket::fields::{SLA_BASIS, TICKET};
use ticket::model::StateCategory;
use ticket::queries::{RELATIONS, TicketRef, above};

use crate::clock::Clock;
use crate::commands::PolicyRef;
use crate::events::POLICY_APPLIED;
use crate::model::{ClockState, Metric};
use crate::moment::fold_all;
use crate::regime::{Basis, basis_of};
use crate::replay::History;
use crate::service::ServiceLevels;
use crate::stored::StoredClock;

/// The job that applies a policy to open tickets.
pub const APPLY: &str = "sla.apply";
/// How many changes are told one by one; the rest is counted.
pub const MAX_TOLD: usize = 1_000;
/// How many tickets one transaction moves.
const BATCH: u64 = 50;
/// After how many batches of tickets progress is told.
const TELL_EVERY: usize = 5;

/// What is to be applied to which tickets.
#[derive(Clone, Debug)]
pub struct ApplyPolicy {
    /// The policy.
    pub policy: PolicyRef,
    /// To which of the open tickets, as a filter document; to all, when absent.
    pub filter: Option<Json>,
}

#[derive(Serialize, Deserialize)]
struct Input {
    policy: Uuid,
    revision: i64,
    filter: Option<Json>,
    dry: bool,
}

/// What an application changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Whether it was only looked at.
    pub dry: bool,
    /// How many open tickets were looked at.
    pub tickets: i64,
    /// On how many of them the due time or the state of a clock changes.
    pub changed: i64,
    /// The first clocks that change.
    pub changes: Vec<ClockChange>,
}

/// What becomes of one clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockChange {
    /// The ticket.
    pub ticket: Uuid,
    /// What is measured.
    pub metric: Metric,
    /// Where the clock stands now; absent without one.
    pub state_before: Option<ClockState>,
    /// Where it will stand; absent when there will be none.
    pub state_after: Option<ClockState>,
    /// When it is due now.
    pub due_before: Option<Timestamp>,
    /// When it will be due.
    pub due_after: Option<Timestamp>,
}

impl ServiceLevels {
    /// Starts the application of a policy in the background; answers its operation. A dry run is an operation as well: it lists
    /// what would change, and changes nothing.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `NOT_FOUND` at `policy`; user errors below `filter`.
    pub async fn apply_policy(&self, ctx: &Ctx, command: ApplyPolicy) -> Result<Changed<Row>> {
        self.authorise(ctx)?;
        if let Some(filter) = &command.filter {
            self.filter_of(ctx, filter).await.map_err(|error| error.within("filter"))?;
        }
        let (dry, ctx) = (ctx.mutation.dry_run, operation::starting(ctx));
        let levels = self.clone();
        let written = self.store().write(&ctx, "slaPolicyApply", move |tx| {
            let (levels, command) = (levels.clone(), command.clone());
            Box::pin(async move {
                let ctx = tx.ctx().clone();
                let policy = levels.policy_in(&*tx, &ctx, &command.policy).await;
                let policy = policy.map_err(|error| error.within("policy"))?;
                let revision = crate::tables::revision(&*tx, ctx.tenant).await?;
                let input = Input { policy: policy.id(), revision, filter: command.filter.clone(), dry };
                levels.access().start_operation_in(tx, APPLY, json!(input)).await
            })
        });
        let written = written.await?;
        self.access().started(&ctx, written).await
    }

    /// Does the work of an [`APPLY`] job.
    ///
    /// # Errors
    /// Database errors; the job is tried again, and finds what it has done.
    pub async fn run_application(&self, ctx: &Ctx, payload: &Json) -> Result<()> {
        let work = |operation, input| async move { self.applied(ctx, operation, &input).await };
        self.access().carry_out(ctx, payload, work).await
    }

    async fn applied(&self, ctx: &Ctx, operation: Uuid, input: &Input) -> Result<Application> {
        let over = [StateCategory::Closed.as_str(), StateCategory::Canceled.as_str()];
        let mut condition = !Predicate::one_of("stateCategory", &over);
        if let Some(filter) = &input.filter {
            condition = condition.and(self.filter_of(ctx, filter).await?);
        }
        let total = self.count_tickets(ctx, &condition).await?;
        let mut application = Application { dry: input.dry, ..Application::default() };
        let (mut behind, mut batches) = (None, 0_usize);
        self.access().progress(ctx, operation, 0, Some(total)).await?;
        loop {
            let batch = self.histories(ctx, &condition, behind).await?;
            let Some(last) = batch.last() else { break };
            let until = last.ticket.id();
            self.foresee(ctx, &batch, input, &mut application).await?;
            if !input.dry {
                self.move_all(ctx, &condition, behind, until, input).await?;
            }
            behind = Some(until);
            batches += 1;
            if batches.is_multiple_of(TELL_EVERY)
                && !self.access().progress(ctx, operation, application.tickets, Some(total)).await?
            {
                // It was canceled: what is applied stays so.
                break;
            }
        }
        self.access().progress(ctx, operation, application.tickets, Some(total)).await?;
        Ok(application)
    }

    /// What the application changes on these tickets.
    async fn foresee(&self, ctx: &Ctx, batch: &[History], input: &Input, application: &mut Application) -> Result<()> {
        let reader = self.store().read("sla.apply");
        let ids: Vec<Uuid> = batch.iter().map(|history| history.ticket.id()).collect();
        let rows = self.all_clocks_of(&reader, ctx, &ids).await?;
        let stored = rows.iter().map(StoredClock::from_row).collect::<Result<Vec<_>>>()?;
        for history in batch {
            application.tickets += 1;
            let id = history.ticket.id();
            let basis = moved(basis_of(&history.ticket), input);
            let policies = self.policies(&reader, ctx, &basis).await?;
            let after = fold_all(self.tickets(), &policies, &history.events)?;
            let before: Vec<&Clock> =
                stored.iter().filter(|stored| stored.ticket == id).map(|stored| &stored.clock).collect();
            let changes = changes(id, &before, &after, ctx.now());
            application.changed += i64::from(!changes.is_empty());
            let room = MAX_TOLD.saturating_sub(application.changes.len());
            application.changes.extend(changes.into_iter().take(room));
        }
        Ok(())
    }

    /// Gives these tickets their new basis; their clocks follow in the same transactions.
    async fn move_all(
        &self,
        ctx: &Ctx,
        condition: &Predicate,
        mut behind: Option<Uuid>,
        until: Uuid,
        input: &Input,
    ) -> Result<()> {
        let (policy, revision) = (input.policy, input.revision);
        loop {
            let (levels, condition) = (self.clone(), condition.clone());
            let written = self.store().write(ctx, APPLY, move |tx| {
                let (levels, condition) = (levels.clone(), condition.clone());
                Box::pin(async move { levels.move_batch_in(tx, &condition, behind, until, (policy, revision)).await })
            });
            match written.await?.fresh().flatten() {
                Some(last) => behind = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Moves a batch behind this id; answers the last id of it.
    async fn move_batch_in(
        &self,
        tx: &mut Tx,
        condition: &Predicate,
        behind: Option<Uuid>,
        until: Uuid,
        (policy, revision): (Uuid, i64),
    ) -> Result<Option<Uuid>> {
        let ctx = tx.ctx().clone();
        let visible = visibility::unmasked(&self.access().visible(&ctx));
        let scoped = self.access().scoped(&ctx, &visible);
        let wanted = condition.clone().and(above(behind)).and(!above(Some(until)));
        let rows = query::all(&*tx, &scoped, &TICKET, &wanted, RELATIONS, BATCH).await?;
        let last = rows.last().map(Row::id);
        for row in &rows {
            let kind = ticket::TicketKind::parse(&row.text("kind"));
            let prefix = kind.ok_or_else(|| Error::internal("a ticket of no kind"))?.id_prefix();
            let reference = TicketRef::Id(kernel::Id::new(prefix, row.id()));
            let mut edit: Edit = self.tickets().edit_merged_in(tx, &reference, "id").await?;
            let before = basis_of(&edit.before);
            let input = Input { policy, revision, filter: None, dry: false };
            let after = moved(before.clone(), &input);
            if before.as_ref() == Some(&after) {
                continue;
            }
            edit.set(SLA_BASIS, Value::Json(after.to_json()));
            let payload = json!({ "policy": policy.to_string() });
            edit.save_in(tx, self.access(), POLICY_APPLIED, payload).await?;
        }
        Ok(last)
    }
}

/// The basis of a ticket once a policy was applied to it.
fn moved(basis: Option<Basis>, input: &Input) -> Basis {
    let mut basis = basis.unwrap_or_default();
    basis.applied.insert(input.policy, input.revision);
    basis
}

fn changes(ticket: Uuid, before: &[&Clock], after: &[Clock], now: Timestamp) -> Vec<ClockChange> {
    let same = |one: &Clock, other: &Clock| {
        (one.policy, one.metric, one.ordinal) == (other.policy, other.metric, other.ordinal)
    };
    let change = |old: Option<&Clock>, new: Option<&Clock>| {
        let either = new.or(old)?;
        let seen = |clock: Option<&Clock>| clock.map(|clock| (clock.state(now), clock.due_at));
        (seen(old) != seen(new)).then(|| ClockChange {
            ticket,
            metric: either.metric,
            state_before: old.map(|clock| clock.state(now)),
            state_after: new.map(|clock| clock.state(now)),
            due_before: old.and_then(|clock| clock.due_at),
            due_after: new.and_then(|clock| clock.due_at),
        })
    };
    let kept = after.iter().map(|new| change(before.iter().find(|old| same(old, new)).copied(), Some(new)));
    let gone = before.iter().filter(|old| after.iter().all(|new| !same(old, new))).map(|old| change(Some(old), None));
    kept.chain(gone).flatten().collect()
}
