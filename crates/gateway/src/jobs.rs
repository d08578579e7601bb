//! What becomes of each kind of durable job.

use access::SWEEP_SESSIONS;
use access::operation::SWEEP as SWEEP_OPERATIONS;
use incident::service::{STATUS_UPDATE_DUE, TELL_CHILDREN};
use kernel::{Ctx, Result};
use problem::review;
use serde_json::Value as Json;
use sla::{apply, escalation, simulate};
use store::{JobHandlers, JobOutcome, sweep_again};
use ticket::approval::{self, delegation};
use ticket::attachment::upload;
use ticket::queries::TicketRef;
use ticket::{Tickets, bulk, recurring, search, timer, transfer, workflow};

use crate::platform::Platform;

/// One run of a job of a tenant.
struct Turn {
    /// The system, in that tenant.
    ctx: Ctx,
    /// What is to be done.
    payload: Json,
    /// Whether the job is tried no more when this fails.
    at_last: bool,
}

impl Turn {
    /// The ticket that the job is about.
    fn ticket(&self) -> Result<TicketRef> {
        Tickets::job_ticket(&self.payload)
    }
}

/// The handlers, while they are put together.
struct Table {
    platform: Platform,
    handlers: JobHandlers,
}

impl Table {
    /// A job that is done when it has run.
    fn once<F, R>(self, kind: &'static str, run: F) -> Self
    where
        F: Fn(Platform, Turn) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        self.in_turns(kind, move |platform, turn| {
            let run = run(platform, turn);
            async move { run.await.map(|()| false) }
        })
    }

    /// A job that runs until it answers that there is no more to do. Others have their turn in between.
    fn in_turns<F, R>(self, kind: &'static str, run: F) -> Self
    where
        F: Fn(Platform, Turn) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<bool>> + Send + 'static,
    {
        let Self { platform, handlers } = self;
        let run_with = platform.clone();
        let handlers = handlers.on(kind, move |store, job| {
            let ctx = run_with.access.system_ctx(job.tenant, kind);
            let at_last = job.attempt.unsigned_abs() >= store.limits().job_attempts;
            let turn = run(run_with.clone(), Turn { ctx, payload: job.payload, at_last });
            async move {
                match turn.await? {
                    true => Ok(JobOutcome::Again(store.clock().now())),
                    false => Ok(JobOutcome::Done),
                }
            }
        });
        Self { platform, handlers }
    }

    /// The work of an operation, which is given up when it fails for the last time: else it would be under way for ever.
    fn operation<F, R>(self, kind: &'static str, run: F) -> Self
    where
        F: Fn(Platform, Turn) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<bool>> + Send + 'static,
    {
        self.in_turns(kind, move |platform, turn| {
            let (access, ctx, payload) = (platform.access.clone(), turn.ctx.clone(), turn.payload.clone());
            let (at_last, run) = (turn.at_last, run(platform, turn));
            async move {
                let done = run.await;
                if done.is_err() && at_last {
                    access.give_up_operation(&ctx, &payload).await?;
                }
                done
            }
        })
    }

    /// Looks after all tenants again and again, as by deleting what is kept no longer; answers whether it left something.
    fn sweep<F, R>(self, kind: &'static str, run: F) -> Self
    where
        F: Fn(Platform) -> R + Send + Sync + 'static,
        R: Future<Output = Result<bool>> + Send + 'static,
    {
        let Self { platform, handlers } = self;
        let run_with = platform.clone();
        let handlers = handlers.recurring(kind, move |store, _| {
            let swept = run(run_with.clone());
            async move { Ok(sweep_again(&store, swept.await?)) }
        });
        Self { platform, handlers }
    }
}

/// The handlers of all kinds of jobs.
pub fn handlers(platform: &Platform) -> JobHandlers {
    let follower = platform.follower();
    let handlers =
        JobHandlers::new().forgetting(access::events::TRANSIENT_SUBJECTS).on(reactions::RETRY, move |_, job| {
            let follower = follower.clone();
            async move { follower.retry(&job).await }
        });
    let table = Table { platform: platform.clone(), handlers };
    let table = sweeps(table);
    let table = of_tickets(table);
    let table = of_practices(table);
    operations(table).handlers
}

fn sweeps(table: Table) -> Table {
    table
        .sweep(SWEEP_SESSIONS, async |platform: Platform| platform.access.sweep_all_sessions().await)
        .sweep(SWEEP_OPERATIONS, async |platform: Platform| platform.access.sweep_operations().await)
        .sweep(recurring::SWEEP, async |platform: Platform| platform.tickets.sweep_recurring().await.map(|_| false))
        .sweep(upload::SWEEP, async |platform: Platform| platform.tickets.sweep_uploads(&platform.files.objects).await)
}

fn of_tickets(table: Table) -> Table {
    table
        .once(timer::AUTO_CLOSE, async |platform: Platform, turn: Turn| {
            platform.tickets.auto_close(&turn.ctx, turn.ticket()?).await
        })
        .once(timer::WAKE, async |platform: Platform, turn: Turn| {
            platform.tickets.wake(&turn.ctx, turn.ticket()?).await
        })
        .once(workflow::MIGRATE, async |platform: Platform, turn: Turn| {
            platform.tickets.migrate_workflow(&turn.ctx, &turn.payload).await
        })
        .once(search::INDEX, async |platform: Platform, turn: Turn| platform.tickets.index_missing(&turn.ctx).await)
        .once(approval::EXPIRE, async |platform: Platform, turn: Turn| {
            platform.tickets.expire_approval(&turn.ctx, &turn.payload).await
        })
        .once(delegation::TURN, async |platform: Platform, turn: Turn| {
            platform.tickets.turn_delegation(&turn.ctx, &turn.payload).await
        })
        .in_turns(recurring::RUN, async |platform: Platform, turn: Turn| {
            platform.tickets.run_recurring(&turn.ctx, &turn.payload, turn.at_last).await
        })
}

fn of_practices(table: Table) -> Table {
    table
        .once(STATUS_UPDATE_DUE, async |platform: Platform, turn: Turn| {
            platform.incidents.remind_of_status_update(&turn.ctx, turn.ticket()?).await
        })
        .once(TELL_CHILDREN, async |platform: Platform, turn: Turn| {
            platform.incidents.tell_children(&turn.ctx, &turn.payload).await
        })
        .once(review::REVIEW_RISK, async |platform: Platform, turn: Turn| {
            platform.problems.tell_of_review(&turn.ctx, &turn.payload).await
        })
        .once(escalation::TIMER, async |platform: Platform, turn: Turn| {
            platform.levels.run_timer(&turn.ctx, turn.ticket()?).await
        })
}

fn operations(table: Table) -> Table {
    table
        .operation(bulk::JOB, async |platform: Platform, turn: Turn| {
            platform.tickets.run_bulk(&turn.ctx, &turn.payload).await
        })
        .operation(transfer::IMPORT, async |platform: Platform, turn: Turn| {
            platform.tickets.run_import(&platform.files.objects, &turn.ctx, &turn.payload).await
        })
        .operation(transfer::EXPORT, async |platform: Platform, turn: Turn| {
            platform.tickets.run_export(&platform.files.objects, &turn.ctx, &turn.payload).await
        })
        .operation(simulate::SIMULATE, async |platform: Platform, turn: Turn| {
            platform.levels.run_simulation(&turn.ctx, &turn.payload).await.map(|()| false)
        })
        .operation(apply::APPLY, async |platform: Platform, turn: Turn| {
            platform.levels.run_application(&turn.ctx, &turn.payload).await.map(|()| false)
        })
}
