//! Work in the background that somebody started and can watch.

use std::sync::Arc;

use access::operation::SUBJECT;
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, Subscription, Union};
use futures_util::Stream;
use kernel::id::prefix;
use kernel::{Id, UserError as Problem};
use store::query::Row;

use crate::connection::page;
use crate::context::{current, mutation, platform, viewer};
use crate::door::Viewer;
use crate::loaders;
use crate::payload::{outcome, payload};
use crate::people::Actor;
use crate::scalars::{Cursor, DateTime, id_of};
use crate::service_levels::background::{SlaPolicyApplication, SlaSimulation};
use crate::tickets::bulk::{self, TicketBulkItemConnection, TicketBulkOutcome, TicketBulkSummary};
use crate::tickets::transfer::{TicketExport, TicketImport};
use crate::tickets::types::word as word_of;
use crate::tickets::words::word;

word! {
    /// How far an operation is.
    OperationStatus = access::operation::OperationStatus {
        /// It waits for a worker.
        Pending = "PENDING",
        /// It is being worked on.
        Running = "RUNNING",
        /// It is done; `result` says what came of it.
        Succeeded = "SUCCEEDED",
        /// It cannot be done; `error` says why.
        Failed = "FAILED",
        /// Somebody has stopped it; what was done by then stays done.
        Canceled = "CANCELED",
    }
}

/// What came of an operation.
#[derive(Union)]
pub enum OperationResult {
    /// Of `slaSimulate`.
    SlaSimulation(SlaSimulation),
    /// Of `slaPolicyApply`.
    SlaPolicyApplication(SlaPolicyApplication),
    /// Of `ticketBulkUpdate` and `ticketBulkTransition`.
    TicketBulkSummary(TicketBulkSummary),
    /// Of `ticketExport`.
    TicketExport(TicketExport),
    /// Of `ticketImport`.
    TicketImport(TicketImport),
}

/// Work in the background that somebody started.
#[derive(Clone)]
pub struct Operation(Arc<Row>);

impl Operation {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn is_over(&self) -> bool {
        !self.0.get("endedAt").is_null()
    }
}

/// Work in the background that somebody started, and can watch: by asking again, or by the subscription `operation`. There for who
/// started it and for those with `audit.read`; kept for 30 days after its end.
#[Object]
impl Operation {
    /// The operation's id, such as `op_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::OPERATION, self.0.id())
    }

    /// How far it is.
    pub fn status(&self) -> OperationStatus {
        word_of(&self.0, "status", OperationStatus::parse, OperationStatus::Pending)
    }

    /// How much is done, in whatever is counted: tickets, mostly.
    pub fn done(&self) -> i32 {
        i32::try_from(self.0.int("done")).unwrap_or(i32::MAX)
    }

    /// How much there is to do; null until that is known.
    pub fn total(&self) -> Option<i32> {
        self.0.get("total").as_int().map(|total| i32::try_from(total).unwrap_or(i32::MAX))
    }

    /// How far it is, from 0 to 1; null until that is known.
    pub fn progress(&self) -> Option<f64> {
        let total = self.0.get("total").as_int()?;
        #[expect(clippy::cast_precision_loss, reason = "a share of what was counted")]
        let share = if total == 0 { 1.0 } else { self.0.int("done") as f64 / total as f64 };
        Some(share.clamp(0.0, 1.0))
    }

    /// What came of it; null until it has succeeded. Of a bulk change or an import that was canceled: what was done by then.
    pub fn result(&self) -> Result<Option<OperationResult>> {
        let json = match self.0.get("result") {
            predicate::Value::Json(json) => json.clone(),
            _ => return Ok(None),
        };
        let broken = |error| kernel::Error::internal(format!("an operation's result cannot be read: {error}"));
        Ok(match self.0.text("kind").as_str() {
            sla::simulate::SIMULATE => {
                let simulation = serde_json::from_value(json).map_err(broken)?;
                Some(OperationResult::SlaSimulation(SlaSimulation(simulation)))
            }
            sla::apply::APPLY => {
                let application = serde_json::from_value(json).map_err(broken)?;
                Some(OperationResult::SlaPolicyApplication(SlaPolicyApplication(application)))
            }
            ticket::bulk::JOB => {
                let summary = serde_json::from_value(json).map_err(broken)?;
                Some(OperationResult::TicketBulkSummary(TicketBulkSummary(summary)))
            }
            ticket::transfer::IMPORT => {
                let imported = serde_json::from_value(json).map_err(broken)?;
                Some(OperationResult::TicketImport(TicketImport(imported)))
            }
            ticket::transfer::EXPORT => {
                let exported = serde_json::from_value(json).map_err(broken)?;
                Some(OperationResult::TicketExport(TicketExport::of(&self.0, exported)))
            }
            _ => None,
        })
    }

    /// What became of each ticket of a bulk change, or of each line of an import, in the order of their indexes, as long as the operation is kept;
    /// null for other operations.
    #[allow(clippy::too_many_arguments)]
    pub async fn results(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those with this outcome; all when absent.")] only: Option<TicketBulkOutcome>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<Option<TicketBulkItemConnection>> {
        if ![ticket::bulk::JOB, ticket::transfer::IMPORT].contains(&self.0.text("kind").as_str()) {
            return Ok(None);
        }
        let page = page(first, after, last, before)?;
        bulk::results_of(ctx, &self.0, only, page).await.map(Some)
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// Why it cannot be done; null unless it failed.
    pub fn error(&self) -> Option<String> {
        self.0.optional_text("error")
    }

    /// Who started it; null when the viewer may not see them.
    pub async fn started_by(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        let actor = loaders::actor(ctx, self.0.get("startedBy").as_id().unwrap_or_default()).await?;
        Ok(actor.map(Actor::from_row))
    }

    /// When it was started.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was last heard of.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }

    /// When it was over.
    pub fn ended_at(&self) -> Option<DateTime> {
        self.0.get("endedAt").as_time().map(DateTime)
    }
}

fn read(id: &ID) -> kernel::Result<Id> {
    let parsed = Id::parse_as(id, &[prefix::OPERATION]);
    parsed.map_err(|error| Problem::constraint(["id"], error.to_string(), "id", None).into())
}

/// Queries of operations.
#[derive(Default)]
pub struct OperationQueries;

#[Object]
impl OperationQueries {
    /// An operation. Null when there is none that the viewer may see.
    async fn operation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, such as `op_01jcz8…`.")] id: ID,
    ) -> Option<Result<Operation>> {
        find(ctx, &id).await.transpose()
    }
}

// Turned inside out, an error leaves the other fields of the document alone.
async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Operation>> {
    let viewer = viewer(ctx)?;
    Ok(platform(ctx).access.operation(&viewer, read(id)?.uuid).await?.map(Operation::from_row))
}

/// Stops an operation.
#[derive(Clone, Debug, InputObject)]
pub struct OperationCancelInput {
    /// The operation's id, such as `op_01jcz8…`.
    pub id: ID,
    /// Refuse when the operation has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The operation that was stopped.
    OperationCancelPayload {
        /// The operation; null when it was not done.
        operation: Operation
    }
}

/// Mutations of operations.
#[derive(Default)]
pub struct OperationMutations;

#[Object]
impl OperationMutations {
    /// Stops an operation: before its next step, and what was done by then stays done. For who started it, and for those with
    /// `settings.manage`. Canceling one that was canceled changes nothing.
    async fn operation_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which operation.")] input: OperationCancelInput,
    ) -> Result<OperationCancelPayload> {
        let viewer = mutation(ctx)?;
        let result = match read(&input.id) {
            Ok(id) => platform(ctx).access.cancel_operation(&viewer, id.uuid, input.expected_version).await,
            Err(error) => Err(error),
        };
        OperationCancelPayload::of(ctx, &viewer, outcome(result))
    }
}

/// Subscriptions on operations.
#[derive(Default)]
pub struct OperationSubscriptions;

#[Subscription]
impl OperationSubscriptions {
    /// An operation as it is now, and again whenever it goes on. Ends with it.
    async fn operation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, such as `op_01jcz8…`.")] id: ID,
    ) -> Result<impl Stream<Item = Result<Operation>> + use<>> {
        let (first, platform) = (viewer(ctx)?, platform(ctx).clone());
        let viewing = ctx.data::<Viewer>()?.clone();
        let id = read(&id)?.uuid;
        let missing = || kernel::Error::from(Problem::not_found(["id"], "the operation"));
        // The place in the log before the state: what comes between is told again rather than missed.
        let position = platform.tickets.store().log().head().await?;
        let mut follower = platform.hub.subscribe(first.tenant, position);
        let row = platform.access.operation(&first, id).await?.ok_or_else(missing)?;
        Ok(async_stream::try_stream! {
            let mut operation = Operation::from_row(row);
            loop {
                let over = operation.is_over();
                yield operation.clone();
                if over {
                    break;
                }
                loop {
                    let event = follower.next().await?;
                    if event.subject_kind == SUBJECT && event.subject == id {
                        break;
                    }
                }
                let viewer = current(&viewing).ok_or_else(missing)?;
                operation = Operation::from_row(platform.access.operation(&viewer, id).await?.ok_or_else(missing)?);
            }
        })
    }
}
