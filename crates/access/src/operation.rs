//! Work in the background that somebody started and can watch: how far it is, and what came of it.
//!
//! An operation is a record beside a durable job. The job tells its progress and its end; whoever started the operation, and
//! those who read the audit trail, can see it. Finished ones are kept for [`KEPT`].

use chrono::Duration;
use kernel::{Ctx, Error, Id, Result, Timestamp, Uuid, id, words};
use predicate::{
    Field, FieldType, Operand, Path, Policy, Predicate, RecordType, Relation, RelationKind, Rule, Test, Value,
};
use serde_json::{Map, Value as Json, json};
use store::query::{self, Row};
use store::{Audience, NewEvent, NewJob, RecordRef, Tx};

use crate::permission::AUDIT_READ;
use crate::service::Access;

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
    }
}

impl OperationStatus {
    /// Whether nothing more comes of it.
    pub const fn is_over(self) -> bool {
        matches!(self, OperationStatus::Succeeded | OperationStatus::Failed)
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
    ],
    relations: &[Relation { name: "startedBy", target: "actor", kind: RelationKind::Reference("startedBy") }],
    row: Rule::Any(&[Rule::IsViewer("startedBy"), Rule::Permission(AUDIT_READ)]),
    own: &["startedBy"],
    team: &[],
};

/// The operation that a job works on, and what it was asked.
#[derive(Clone, Debug)]
pub struct Work {
    /// The operation.
    pub operation: Uuid,
    /// What its job was asked.
    pub input: Json,
}

impl Work {
    /// Of a job's payload.
    ///
    /// # Errors
    /// `INTERNAL` for a payload that was not made here.
    pub fn of(payload: &Json) -> Result<Self> {
        let id = payload.get("operation").and_then(Json::as_str).and_then(|id| id.parse().ok());
        let operation = id.ok_or_else(|| Error::internal("a job names no operation"))?;
        Ok(Self { operation, input: payload.get("input").cloned().unwrap_or_default() })
    }
}

impl Access {
    /// Starts an operation inside a write: its record, its job, its event. A replay answers with it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn start_operation_in(&self, tx: &mut Tx, job: &'static str, input: Json) -> Result<Row> {
        let (id, actor, now) = (tx.new_id(), tx.ctx().actor.id, tx.now());
        let row = Row::new(
            &OPERATION,
            vec![
                ("id", id.into()),
                ("kind", job.into()),
                ("status", OperationStatus::Pending.as_str().into()),
                ("done", 0.into()),
                ("startedBy", actor.into()),
                ("version", 1.into()),
                ("createdAt", now.into()),
                ("updatedAt", now.into()),
            ],
        );
        query::insert_in(tx, tx.ctx().tenant, &OPERATION, &row).await?;
        let payload = json!({ "operation": id.to_string(), "input": input });
        let tenant = tx.ctx().tenant;
        tx.enqueue(NewJob { kind: job, tenant, unique_key: Some(id.to_string()), run_at: now, payload });
        tx.emit(event(STARTED, &row));
        tx.answers_with(RecordRef { id: Id::new(id::prefix::OPERATION, id), version: 1 });
        Ok(row)
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

    /// Tells how far an operation is.
    ///
    /// # Errors
    /// Database errors.
    pub async fn progress(&self, ctx: &Ctx, operation: Uuid, done: i64, total: Option<i64>) -> Result<()> {
        let values = vec![
            ("status", OperationStatus::Running.as_str().into()),
            ("done", Value::Int(done)),
            ("total", total.map_or(Value::Null, Value::Int)),
        ];
        self.change_operation(ctx, operation, PROGRESSED, values).await
    }

    /// Ends an operation with what came of it, or with why it cannot be done.
    ///
    /// # Errors
    /// Database errors.
    pub async fn end_operation(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        outcome: std::result::Result<Json, String>,
    ) -> Result<()> {
        let (status, result, error) = match outcome {
            Ok(result) => (OperationStatus::Succeeded, Value::Json(result), Value::Null),
            Err(error) => (OperationStatus::Failed, Value::Null, error.into()),
        };
        let values = vec![
            ("status", status.as_str().into()),
            ("result", result),
            ("error", error),
            ("endedAt", ctx.now().into()),
        ];
        self.change_operation(ctx, operation, ENDED, values).await
    }

    async fn change_operation(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        kind: &'static str,
        values: Vec<(&'static str, Value)>,
    ) -> Result<()> {
        let access = self.clone();
        let written = self.store().write(ctx, "operation.change", move |tx| {
            let (access, values) = (access.clone(), values.clone());
            Box::pin(async move {
                let ctx = tx.ctx().clone();
                let visible = access.visible(&ctx);
                let found = query::by_ids(tx, &access.scoped(&ctx, &visible), &OPERATION, &[operation], &[]).await?;
                let Some(mut row) = found.into_iter().next() else { return Ok(()) };
                let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
                let mut values = values;
                values.extend([("version", Value::from(version + 1)), ("updatedAt", tx.now().into())]);
                values.iter().for_each(|(field, value)| row.set(field, value.clone()));
                if !query::update_in(tx, ctx.tenant, &OPERATION, operation, Some(version), &values).await? {
                    return Err(tx.retry());
                }
                tx.emit(event(kind, &row));
                Ok(())
            })
        });
        written.await.map(|_| ())
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
            more |= written.await?.fresh().unwrap_or_default() == SWEEP_BATCH;
        }
        Ok(more)
    }

    async fn sweep_operations_in(&self, tx: &mut Tx) -> Result<u64> {
        let ctx = tx.ctx().clone();
        let visible = self.visible(&ctx);
        let before: Timestamp = tx.now() - KEPT;
        let old = Predicate::Is(Path::field("endedAt"), Test::Lt(Operand::Value(before.into())));
        let rows = query::all(tx, &self.scoped(&ctx, &visible), &OPERATION, &old, &[], SWEEP_BATCH).await?;
        for row in &rows {
            query::delete_in(tx, ctx.tenant, &OPERATION, &[("id", row.id())]).await?;
        }
        Ok(rows.len() as u64)
    }
}

fn event(kind: &'static str, row: &Row) -> NewEvent {
    NewEvent {
        kind,
        subject_kind: SUBJECT,
        subject: row.id(),
        version: i32::try_from(row.int("version")).unwrap_or(i32::MAX),
        audience: Audience::Internal,
        changes: Vec::new(),
        facts: Map::new(),
        payload: json!({ "status": row.text("status"), "done": row.int("done") }),
        occurred_at: None,
        actor: None,
    }
}
