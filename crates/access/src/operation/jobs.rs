//! What the jobs of operations have in common, whatever they work on: how an operation is let in, taken up, stopped and given up.

use kernel::{Ctx, Error, Mutation, Result, UserError, Uuid};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::Row;

use super::{Counts, ItemOutcome, OperationStatus};
use crate::service::Access;

/// Why an operation failed whose job was tried as often as a job is.
const GIVEN_UP: &str = "it could not go on, though it was tried several times; what was done until then stays done";

/// An operation that its job works on.
#[derive(Clone, Debug)]
pub struct TakenUp<I> {
    /// The operation.
    pub row: Row,
    /// What its job was asked.
    pub input: I,
}

impl<I> TakenUp<I> {
    /// Whether nothing more comes of it: a job may run again after its operation was done or canceled.
    pub fn is_over(&self) -> bool {
        status_of(&self.row).is_none_or(OperationStatus::is_over)
    }
}

/// What became of the items of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub all: i64,
    /// How many are done.
    pub done: i64,
    /// How many were refused.
    pub failed: i64,
}

impl Tally {
    fn of(counts: &Counts) -> Self {
        let of = |outcome| counts.get(&outcome).copied().unwrap_or_default();
        Self { all: counts.values().sum(), done: of(ItemOutcome::Done), failed: of(ItemOutcome::Failed) }
    }
}

/// How a call starts an operation of which a dry run is one too. What is not to be then is what the operation would change; the operation
/// that tells of it is. It keeps no key: what is done for good later may come under the same one.
#[must_use]
pub fn starting(ctx: &Ctx) -> Ctx {
    if ctx.mutation.dry_run { ctx.for_mutation(Mutation::default()) } else { ctx.clone() }
}

fn status_of(operation: &Row) -> Option<OperationStatus> {
    OperationStatus::parse(&operation.text("status"))
}

impl Access {
    /// Lets in one operation more of a kind that its actor may have so many of under way; `called` is what they are called. Answers those
    /// that are.
    ///
    /// # Errors
    /// `LIMIT`.
    pub async fn admit_operation_in(&self, tx: &Tx, kind: &str, at_most: u64, called: &str) -> Result<Vec<Row>> {
        let under_way = self.unfinished_in(tx, kind, at_most).await?;
        if (under_way.len() as u64) < at_most {
            return Ok(under_way);
        }
        let message = format!("{at_most} of your {called} are under way; that is the limit: wait for one");
        Err(UserError::limit([] as [&str; 0], message, at_most).into())
    }

    /// The operation that a job works on; `None` for one that is kept no more.
    ///
    /// # Errors
    /// Database errors; `INTERNAL` for a payload that was not made for it.
    pub async fn take_up<I: DeserializeOwned>(&self, system: &Ctx, payload: &Json) -> Result<Option<TakenUp<I>>> {
        let Some(row) = self.operation(system, operation_of(payload)?).await? else { return Ok(None) };
        let input = payload.get("input").cloned().unwrap_or_default();
        Ok(Some(TakenUp { row, input: serde_json::from_value(input).map_err(Error::internal)? }))
    }

    /// Does the work of a job in one go, and ends its operation with what came of it, or with why it was refused: what was checked when it
    /// was started may not hold any more.
    ///
    /// # Errors
    /// Those of the work but for refusals; the job is tried again.
    pub async fn carry_out<I, T, F>(
        &self,
        system: &Ctx,
        payload: &Json,
        work: impl FnOnce(Uuid, I) -> F + Send,
    ) -> Result<()>
    where
        I: DeserializeOwned + Send,
        T: Serialize,
        F: Future<Output = Result<T>> + Send,
    {
        let Some(taken) = self.take_up::<I>(system, payload).await?.filter(|taken| !taken.is_over()) else {
            return Ok(());
        };
        let operation = taken.row.id();
        let outcome = match work(operation, taken.input).await {
            Ok(result) => Ok(json!(result)),
            Err(error @ Error::Refused(_)) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        self.end_operation(system, operation, outcome).await
    }

    /// What became of the items of an operation so far.
    ///
    /// # Errors
    /// Database errors.
    pub async fn tally(&self, ctx: &Ctx, operation: Uuid) -> Result<Tally> {
        Ok(Tally::of(&self.count_items(ctx, operation).await?))
    }

    /// Ends an operation whose items were worked on with what came of them. One that was canceled is told it, and stays canceled.
    ///
    /// # Errors
    /// Database errors.
    pub async fn settle_by_items(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        result: impl FnOnce(Tally) -> Json + Send,
    ) -> Result<()> {
        let tally = self.tally(ctx, operation).await?;
        self.settle_operation(ctx, operation, tally.done + tally.failed, Some(tally.all), result(tally)).await
    }

    /// Tells an operation that was canceled how far it came, once. Answers whether it was told now.
    ///
    /// # Errors
    /// Database errors.
    pub async fn settle_canceled(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        result: impl FnOnce(Tally) -> Json + Send,
    ) -> Result<bool> {
        let untold = |row: &Row| status_of(row) == Some(OperationStatus::Canceled) && row.get("result").is_null();
        if !self.operation(ctx, operation).await?.is_some_and(|row| untold(&row)) {
            return Ok(false);
        }
        self.settle_by_items(ctx, operation, result).await?;
        Ok(true)
    }

    /// Gives up the operation of a job that has failed as often as a job is tried.
    ///
    /// # Errors
    /// Database errors.
    pub async fn give_up_operation(&self, system: &Ctx, payload: &Json) -> Result<()> {
        self.end_operation(system, operation_of(payload)?, Err(GIVEN_UP.into())).await
    }
}

fn operation_of(payload: &Json) -> Result<Uuid> {
    let id = payload.get("operation").and_then(Json::as_str).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Error::internal("a job names no operation"))
}
