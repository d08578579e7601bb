//! Work in the background that somebody started and can watch: how far it is, and what came of it.
//!
//! An operation is a record beside a durable job. The job tells its progress and its end; whoever started the operation, and
//! those who read the audit trail, can see it. Whoever started it, and administrators, can cancel it: its job notices when it tells
//! how far it is, and what is done stays done. Finished ones are kept for [`KEPT`].
//!
//! Work on many records has an [item](items) for each, with what became of it.

mod items;
mod jobs;

use chrono::Duration;
use kernel::{Ctx, Error, Id, Result, Timestamp, UserError, Uuid, id, words};
use predicate::{
    Field, FieldType, Operand, Path, Policy, Predicate, RecordType, Relation, RelationKind, Rule, Test, Value,
};
use serde_json::{Map, Value as Json, json};
use store::query::{self, Row};
use store::{Audience, NewEvent, NewJob, RecordRef, Tx, Written};

use crate::managed::Managed;
use crate::model::Changed;
use crate::permission::{AUDIT_READ, SETTINGS_MANAGE};
use crate::service::Access;
use crate::tables;

pub use items::{Counts, Item, ItemOutcome, NOBODY, NewItem, OPERATION_ITEM, Settled, Starter};
pub use jobs::{TakenUp, Tally, starting};

words! {
    /// How far an operation is.
    OperationStatus {
        /// It waits for a worker.
        Pending = "PENDING",
        /// It is being worked on.
        Running = "RUNNING",
        /// It is done.
        Succeeded = "SUCCEEDED",
        /// It cannot be done.
        Failed = "FAILED",
        /// Somebody has stopped it; what was done stays done.
        Canceled = "CANCELED",
    }
}

impl OperationStatus {
    /// Whether nothing more comes of it.
    pub const fn is_over(self) -> bool {
        matches!(self, OperationStatus::Succeeded | OperationStatus::Failed | OperationStatus::Canceled)
    }
}

/// What the log calls operations.
pub const SUBJECT: &str = "operation";
/// An operation was started.
pub const STARTED: &str = "OperationStarted";
/// An operation went on.
pub const PROGRESSED: &str = "OperationProgressed";
/// An operation is over.
pub const ENDED: &str = "OperationEnded";

/// How long a finished operation is kept.
pub const KEPT: Duration = Duration::days(30);
/// The kind of the job that deletes finished operations.
pub const SWEEP: &str = "operation.sweep";
/// How many finished operations one sweep of a tenant deletes at most.
pub const SWEEP_BATCH: u64 = 1_000;
/// How many items one sweep of a tenant deletes at most: those of an operation go before it does.
pub const SWEEP_ITEMS: u64 = 5_000;

/// Set by the system alone, and not carried by events of other records.
const fn field(name: &'static str, column: &'static str, kind: FieldType) -> Field {
    Field {
        name,
        kind,
        column,
        nullable: false,
        read: Policy::Always,
        write: Policy::Never,
        filter: Policy::Always,
        order: Policy::Always,
        event: Policy::Never,
    }
}

const fn nullable(field: Field) -> Field {
    Field { nullable: true, ..field }
}

const fn shown_only(field: Field) -> Field {
    Field { order: Policy::Never, filter: Policy::Never, ..field }
}

/// Who sees an operation, and its items.
const VISIBLE: Rule = Rule::Any(&[Rule::IsViewer("startedBy"), Rule::Permission(AUDIT_READ)]);

/// An operation: there for who started it, and for those who read the audit trail.
pub static OPERATION: RecordType = RecordType {
    name: "operation",
    table: "operation",
    base: None,
    fields: &[
        Field { order: Policy::Never, ..field("id", "id", FieldType::Id) },
        field("kind", "kind", FieldType::Text),
        field("status", "status", FieldType::Enum(OperationStatus::NAMES)),
        field("done", "done", FieldType::Int),
        nullable(field("total", "total", FieldType::Int)),
        Field { order: Policy::Never, ..field("startedBy", "started_by_id", FieldType::Id) },
        nullable(shown_only(field("result", "result", FieldType::Json))),
        nullable(shown_only(field("error", "error", FieldType::Text))),
        field("version", "version", FieldType::Int),
        field("createdAt", "created_at", FieldType::Time),
        field("updatedAt", "updated_at", FieldType::Time),
        nullable(field("endedAt", "ended_at", FieldType::Time)),
        // What its job goes on from: nobody's business but the job's.
        Field { read: Policy::Never, ..nullable(shown_only(field("checkpoint", "checkpoint", FieldType::Json))) },
    ],
    relations: &[Relation { name: "startedBy", target: "actor", kind: RelationKind::Reference("startedBy") }],
    row: VISIBLE,
    own: &["startedBy"],
    team: &[],
};

impl Access {
    /// Starts an operation inside a write: its record, its job, its event. A replay answers with it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn start_operation_in(&self, tx: &mut Tx, job: &'static str, input: Json) -> Result<Row> {
        let row = self.begin_operation_in(tx, job, None).await?;
        let now = tx.now();
        self.enqueue_operation(tx, &row, job, input, now);
        Ok(row)
    }

    /// The record and the event of an operation, without a job. A replay of the write answers with it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn begin_operation_in(&self, tx: &mut Tx, kind: &'static str, total: Option<i64>) -> Result<Row> {
        let (id, actor, now) = (tx.new_id(), tx.ctx().actor.id, tx.now());
        let row = Row::new(
            &OPERATION,
            vec![
                ("id", id.into()),
                ("kind", kind.into()),
                ("status", OperationStatus::Pending.as_str().into()),
                ("done", 0.into()),
                ("total", total.map_or(Value::Null, Value::Int)),
                ("startedBy", actor.into()),
                ("version", 1.into()),
                ("createdAt", now.into()),
                ("updatedAt", now.into()),
            ],
        );
        query::insert_in(tx, tx.ctx().tenant, &OPERATION, &row).await?;
        tx.emit(event(STARTED, &row));
        tx.answers_with(RecordRef { id: Id::new(id::prefix::OPERATION, id), version: 1 });
        Ok(row)
    }

    /// Has a job work on an operation, not before `run_at`.
    pub fn enqueue_operation(&self, tx: &mut Tx, operation: &Row, job: &'static str, input: Json, run_at: Timestamp) {
        let id = operation.id().to_string();
        let (tenant, payload) = (tx.ctx().tenant, json!({ "operation": id, "input": input }));
        tx.enqueue(NewJob { kind: job, tenant, unique_key: Some(id), run_at, payload });
    }

    /// The operation that a write has started, or that an earlier call with the same key did.
    ///
    /// # Errors
    /// `NOT_FOUND` for one that is kept no more.
    pub async fn started(&self, ctx: &Ctx, written: Written<Row>) -> Result<Changed<Row>> {
        self.answer_row(ctx, written, &OPERATION, "the operation").await
    }

    /// An operation that the viewer may see.
    ///
    /// # Errors
    /// Database errors.
    pub async fn operation(&self, ctx: &Ctx, operation: Uuid) -> Result<Option<Row>> {
        let visible = self.visible(ctx);
        let reader = self.store().read("operation.find");
        Ok(query::by_ids(&reader, &self.scoped(ctx, &visible), &OPERATION, &[operation], &[]).await?.pop())
    }

    /// Whether the operation still waits to be done: a job may run again after it was.
    ///
    /// # Errors
    /// Database errors.
    pub async fn is_awaited(&self, ctx: &Ctx, operation: Uuid) -> Result<bool> {
        let row = self.operation(ctx, operation).await?;
        Ok(row.is_some_and(|row| OperationStatus::parse(&row.text("status")).is_some_and(|status| !status.is_over())))
    }

    /// Tells how far an operation is. Answers whether it goes on: one that was canceled does not, and is told nothing.
    ///
    /// # Errors
    /// Database errors.
    pub async fn progress(&self, ctx: &Ctx, operation: Uuid, done: i64, total: Option<i64>) -> Result<bool> {
        self.change_operation(ctx, operation, PROGRESSED, running(done, total), false).await
    }

    /// The same, and what its job goes on from.
    ///
    /// # Errors
    /// Database errors.
    pub async fn progress_to(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        done: i64,
        total: Option<i64>,
        checkpoint: Json,
    ) -> Result<bool> {
        let mut values = running(done, total);
        values.push(("checkpoint", Value::Json(checkpoint)));
        self.change_operation(ctx, operation, PROGRESSED, values, false).await
    }

    /// Notes in the write that starts an operation what its job goes on from.
    ///
    /// # Errors
    /// Database errors.
    pub async fn begin_from_in(&self, tx: &Tx, operation: Uuid, checkpoint: Json) -> Result<()> {
        let values = [("checkpoint", Value::Json(checkpoint))];
        query::update_in(tx, tx.ctx().tenant, &OPERATION, operation, None, &values).await.map(drop)
    }

    /// What the job of an operation goes on from; `None` when it has noted nothing.
    ///
    /// # Errors
    /// Database errors.
    pub async fn checkpoint(&self, ctx: &Ctx, operation: Uuid) -> Result<Option<Json>> {
        let reader = self.store().read("operation.checkpoint");
        let row = self.find_unmasked(&reader, ctx, &OPERATION, Some(Predicate::eq("id", operation))).await?;
        Ok(row.map(|row| row.get("checkpoint").to_json()).filter(|json| !json.is_null()))
    }

    /// Ends an operation with what came of it, or with why it cannot be done. One that is over stays as it is.
    ///
    /// # Errors
    /// Database errors.
    pub async fn end_operation(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        outcome: std::result::Result<Json, String>,
    ) -> Result<()> {
        let values = end_of(outcome, ctx.now());
        self.change_operation(ctx, operation, ENDED, values, false).await.map(drop)
    }

    /// Ends an operation whose items are all done, with how many there were and what came of it. One that was canceled is told both,
    /// and stays canceled.
    ///
    /// # Errors
    /// Database errors.
    pub async fn settle_operation(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        done: i64,
        total: Option<i64>,
        result: Json,
    ) -> Result<()> {
        let mut values = end_of(Ok(result.clone()), ctx.now());
        values.extend([("done", Value::Int(done)), ("total", total.map_or(Value::Null, Value::Int))]);
        if !self.change_operation(ctx, operation, ENDED, values, false).await? {
            let values = vec![("done", Value::Int(done)), ("result", Value::Json(result))];
            self.change_operation(ctx, operation, PROGRESSED, values, true).await?;
        }
        Ok(())
    }

    /// Ends an operation inside the write that began it.
    ///
    /// # Errors
    /// Database errors; `INTERNAL` when it is not there.
    pub async fn settle_operation_in(&self, tx: &mut Tx, operation: Uuid, done: i64, result: Json) -> Result<Row> {
        let mut values = end_of(Ok(result), tx.now());
        values.push(("done", Value::Int(done)));
        let changed = self.change_operation_in(tx, operation, ENDED, values, false).await?;
        changed.ok_or_else(|| Error::internal("an operation ends that did not begin"))
    }

    /// Stops an operation: its job notices before its next step, and what was done stays done. Canceling one that was canceled changes
    /// nothing.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`; `FORBIDDEN` for what somebody else started, without `settings.manage`; `CONFLICT`; `VALIDATION` for one that is
    /// over.
    pub async fn cancel_operation(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        expected_version: Option<i32>,
    ) -> Result<Changed<Row>> {
        let access = self.clone();
        let written = self.store().write(ctx, "operationCancel", move |tx| {
            let access = access.clone();
            Box::pin(async move { access.cancel_operation_in(tx, operation, expected_version).await })
        });
        self.started(ctx, written.await?).await
    }

    async fn cancel_operation_in(&self, tx: &mut Tx, operation: Uuid, expected: Option<i32>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = self.visible(&ctx);
        let found = query::by_ids(tx, &self.scoped(&ctx, &visible), &OPERATION, &[operation], &[]).await?.pop();
        let row = found.ok_or_else(|| UserError::not_found(["id"], "the operation"))?;
        if row.get("startedBy").as_id() != Some(ctx.actor.id) {
            self.require_tenant(&ctx, SETTINGS_MANAGE)?;
        }
        Managed::expect_version(&row, expected)?;
        let status = OperationStatus::parse(&row.text("status"));
        let row = match status {
            Some(OperationStatus::Canceled) => row,
            Some(status) if status.is_over() => {
                let message = format!("the operation is over: {}", status.as_str());
                return Err(UserError::constraint(["id"], message, "state", None).into());
            }
            _ => {
                let values = vec![("status", OperationStatus::Canceled.as_str().into()), ("endedAt", tx.now().into())];
                let changed = self.change_operation_in(tx, operation, ENDED, values, false).await?;
                changed.ok_or_else(|| tx.retry())?
            }
        };
        tx.answers_with(RecordRef { id: Id::new(id::prefix::OPERATION, operation), version: Managed::version(&row) });
        Ok(row)
    }

    async fn change_operation(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        kind: &'static str,
        values: Vec<(&'static str, Value)>,
        though_canceled: bool,
    ) -> Result<bool> {
        let access = self.clone();
        let written = self.store().write(ctx, "operation.change", move |tx| {
            let (access, values) = (access.clone(), values.clone());
            Box::pin(async move { access.change_operation_in(tx, operation, kind, values, though_canceled).await })
        });
        Ok(written.await?.fresh().flatten().is_some())
    }

    /// Changes an operation that is not over, or, when `though_canceled`, one that was canceled; `None` where there is nothing to change.
    async fn change_operation_in(
        &self,
        tx: &mut Tx,
        operation: Uuid,
        kind: &'static str,
        mut values: Vec<(&'static str, Value)>,
        though_canceled: bool,
    ) -> Result<Option<Row>> {
        let ctx = tx.ctx().clone();
        let visible = self.visible(&ctx);
        let found = query::by_ids(tx, &self.scoped(&ctx, &visible), &OPERATION, &[operation], &[]).await?;
        let Some(mut row) = found.into_iter().next() else { return Ok(None) };
        let over = OperationStatus::parse(&row.text("status")).filter(|status| status.is_over());
        if over.is_some_and(|over| !(though_canceled && over == OperationStatus::Canceled)) {
            return Ok(None);
        }
        let version = Managed::version(&row);
        values.extend([("version", Value::from(version + 1)), ("updatedAt", tx.now().into())]);
        values.iter().for_each(|(field, value)| row.set(field, value.clone()));
        if !query::update_in(tx, ctx.tenant, &OPERATION, operation, Some(version), &values).await? {
            return Err(tx.retry());
        }
        tx.emit(event(kind, &row));
        Ok(Some(row))
    }

    /// Deletes finished operations of all tenants that are older than [`KEPT`]; answers whether there are more.
    ///
    /// # Errors
    /// Database errors.
    pub async fn sweep_operations(&self) -> Result<bool> {
        let mut more = false;
        for tenant in self.tenants().await? {
            let ctx = self.system_ctx(tenant.id, "operation sweep");
            let access = self.clone();
            let written = self.store().write(&ctx, "operation.sweep", move |tx| {
                let access = access.clone();
                Box::pin(async move { access.sweep_operations_in(tx).await })
            });
            more |= written.await?.fresh().unwrap_or_default();
        }
        Ok(more)
    }

    /// Deletes what is old of a tenant, a bounded number; answers whether there is more.
    async fn sweep_operations_in(&self, tx: &mut Tx) -> Result<bool> {
        let ctx = tx.ctx().clone();
        let visible = self.visible(&ctx);
        let before: Timestamp = tx.now() - KEPT;
        let old = Predicate::Is(Path::field("endedAt"), Test::Lt(Operand::Value(before.into())));
        let rows = query::all(tx, &self.scoped(&ctx, &visible), &OPERATION, &old, &[], SWEEP_BATCH).await?;
        let mut left = SWEEP_ITEMS;
        for row in &rows {
            left -= tables::delete_items_in(tx, row.id(), left).await?;
            if left == 0 {
                return Ok(true);
            }
            query::delete_in(tx, ctx.tenant, &OPERATION, &[("id", row.id())]).await?;
        }
        Ok(rows.len() as u64 == SWEEP_BATCH)
    }
}

fn running(done: i64, total: Option<i64>) -> Vec<(&'static str, Value)> {
    vec![
        ("status", OperationStatus::Running.as_str().into()),
        ("done", Value::Int(done)),
        ("total", total.map_or(Value::Null, Value::Int)),
    ]
}

fn end_of(outcome: std::result::Result<Json, String>, now: Timestamp) -> Vec<(&'static str, Value)> {
    let (status, result, error) = match outcome {
        Ok(result) => (OperationStatus::Succeeded, Value::Json(result), Value::Null),
        Err(error) => (OperationStatus::Failed, Value::Null, error.into()),
    };
    vec![("status", status.as_str().into()), ("result", result), ("error", error), ("endedAt", now.into())]
}

fn event(kind: &'static str, row: &Row) -> NewEvent {
    NewEvent {
        kind,
        subject_kind: SUBJECT,
        subject: row.id(),
        version: Managed::version(row),
        audience: Audience::Internal,
        changes: Vec::new(),
        facts: Map::new(),
        payload: json!({ "status": row.text("status"), "done": row.int("done") }),
        occurred_at: None,
        actor: None,
    }
}
