//! What does not stay for ever: how far back the event log reaches, and the recurring job that moves it.
//!
//! Only events of subjects that the job is told of are deleted. Those of tickets live as long as their ticket, and
//! those of administration (users, teams, tokens, rules) are the audit trail.

use std::time::Duration;

use kernel::{Result, Timestamp};
use sea_orm::{Statement, Value as Bound};

use crate::connection::ConnectionTrait;
use crate::error::DbResult;
use crate::job::{Job, JobHandlers, JobOutcome};
use crate::{Store, Tx};

/// The kind of the job that deletes events.
pub const FORGET_EVENTS: &str = "log.forget";
/// How often work of this kind is looked for.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// When a sweep is due again: at once when the last one left something, else in an hour.
pub fn sweep_again(store: &Store, left_something: bool) -> JobOutcome {
    let pause = if left_something { Duration::ZERO } else { SWEEP_EVERY };
    JobOutcome::Again(store.clock().now() + pause)
}

impl JobHandlers {
    /// Has events of these kinds of subject deleted after [`crate::Limits::log_retention`], and log cursors from
    /// before that answered with `CURSOR_EXPIRED`.
    #[must_use]
    pub fn forgetting(self, subject_kinds: &'static [&'static str]) -> Self {
        self.recurring(FORGET_EVENTS, move |store: Store, _: Job| async move {
            let Some(retention) = store.limits().log_retention else { return Ok(sweep_again(&store, false)) };
            let window = store.limits().forget_batch;
            let before = store.clock().now() - retention;
            let left_something =
                store.write_job(move |tx| Box::pin(async move { forget_in(tx, subject_kinds, before, window).await }));
            Ok(sweep_again(&store, left_something.await?))
        })
    }
}

/// Moves the log's oldest position over the next events recorded before `before`, at most `window`, and deletes those
/// of these kinds of subject among them. Answers whether there may be more.
async fn forget_in(tx: &Tx, subject_kinds: &[&str], before: Timestamp, window: u32) -> Result<bool> {
    let backend = tx.engine().backend();
    let statement = |sql: &str, values: Vec<Bound>| Statement::from_sql_and_values(backend, sql, values);
    // Positions follow the order of commits, times that of the replicas' clocks: the boundary is in front of the
    // first event that is too young, whatever comes after it.
    let sql = "SELECT count(*) AS number, max(position) AS last, \
                 min(CASE WHEN recorded_at >= $1 THEN position END) AS first_kept \
               FROM (SELECT position, recorded_at FROM event \
                     WHERE position > (SELECT oldest FROM log_head) ORDER BY position LIMIT $2) AS next_events";
    let row = tx.query_one_raw(statement(sql, vec![before.into(), i64::from(window).into()])).await.db()?;
    let Some(row) = row else { return Ok(false) };
    let first_kept: Option<i64> = row.try_get("first_kept").db()?;
    let last: Option<i64> = row.try_get("last").db()?;
    let Some(oldest) = first_kept.map(|position| position - 1).or(last) else { return Ok(false) };
    let places = (2..subject_kinds.len() + 2).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "DELETE FROM event WHERE position > (SELECT oldest FROM log_head) AND position <= $1 \
         AND subject_kind IN ({places})"
    );
    let mut values: Vec<Bound> = vec![oldest.into()];
    values.extend(subject_kinds.iter().map(|kind| Bound::from(*kind)));
    tx.execute_raw(statement(&sql, values)).await.db()?;
    let sql = "UPDATE log_head SET oldest = $1 WHERE oldest < $1";
    tx.execute_raw(statement(sql, vec![oldest.into()])).await.db()?;
    let number: i64 = row.try_get("number").db()?;
    Ok(first_kept.is_none() && number == i64::from(window))
}
