//! Runs that nobody works on though they are due.
//!
//! A job is given up when its workers died over it again and again, or when writing down its end failed at last. Then `nextRunAt`
//! lies in the past and no job waits for it: without this the recurring ticket would never run again.

use chrono::Duration;
use kernel::{Ctx, Result};
use predicate::{Operand, Path, Predicate, Test};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};

use super::fields::RECURRING_TICKET;
use super::manage::job;
use super::{MAX_RECURRING, RUN};
use crate::service::Tickets;

/// The job that looks for them.
pub const SWEEP: &str = "ticket.recurring.sweep";
/// How long a run is due before it is asked whether a job works on it.
pub const OVERDUE: Duration = Duration::minutes(10);

impl Tickets {
    /// Has the runs of all tenants begun anew that are due for longer than [`OVERDUE`] and that no job waits for or works on, at most
    /// [`MAX_RECURRING`] of a tenant: all that it can have. Answers how many.
    ///
    /// # Errors
    /// Database errors.
    pub async fn sweep_recurring(&self) -> Result<usize> {
        let mut begun = 0;
        for tenant in self.access().tenants().await? {
            let ctx = self.access().system_ctx(tenant.id, SWEEP);
            // Looking costs nobody anything; most of the time there is nothing.
            if self.overdue(&self.store().read(SWEEP), &ctx).await?.is_empty() {
                continue;
            }
            let tickets = self.clone();
            let written = self.store().write(&ctx, SWEEP, move |tx| {
                let tickets = tickets.clone();
                Box::pin(async move { tickets.begin_anew_in(tx).await })
            });
            begun += written.await?.fresh().unwrap_or_default();
        }
        Ok(begun)
    }

    async fn overdue(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<Vec<Row>> {
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(ctx, &everything);
        let long_due = Test::Lt(Operand::Value((ctx.now() - OVERDUE).into()));
        let condition = Predicate::Is(Path::field("nextRunAt"), long_due);
        query::all(connection, &scoped, &RECURRING_TICKET, &condition, &[], MAX_RECURRING as u64).await
    }

    /// A job that is there is left alone: it may wait for another attempt, of which it has a bounded number.
    async fn begin_anew_in(&self, tx: &mut Tx) -> Result<usize> {
        let (ctx, now) = (tx.ctx().clone(), tx.now());
        let overdue = self.overdue(&*tx, &ctx).await?;
        let keys: Vec<String> = overdue.iter().map(|row| row.id().to_string()).collect();
        let there = tx.keys_with_jobs(RUN, &keys).await?;
        let left: Vec<_> = overdue.iter().map(Row::id).filter(|id| !there.contains(&id.to_string())).collect();
        for recurring in &left {
            tx.enqueue(job(&ctx, *recurring, now));
        }
        Ok(left.len())
    }
}
