//! What happens to a ticket by itself: waking up, and closing after it stayed resolved.
//!
//! Both are durable jobs, enqueued in the write that makes them necessary. A job that finds the ticket in another situation
//! than the one it was made for does nothing.

use kernel::{Ctx, Error, Result, Uuid};
use serde_json::{Map, json};
use store::{NewJob, Tx};

use crate::edit::Edit;
use crate::model::StateCategory;
use crate::model::TicketKind;
use crate::queries::TicketRef;
use crate::service::Tickets;

/// The job that closes a ticket which stayed resolved.
pub const AUTO_CLOSE: &str = "ticket.autoClose";
/// The job that wakes a ticket at its `waitingUntil`.
pub const WAKE: &str = "ticket.wake";
/// The transition that closes a ticket.
const CLOSE: &str = "close";

/// Enqueues what the ticket's new state asks for.
///
/// # Errors
/// `INTERNAL` when the workflow's duration cannot be read (it was checked when the document was).
pub(crate) fn schedule_in(tx: &mut Tx, edit: &Edit) -> Result<()> {
    let row = &edit.after;
    if let Some(until) = row.get("waitingUntil").as_time() {
        tx.enqueue(job(tx.ctx(), WAKE, row, until));
    }
    if row.text("stateCategory") == StateCategory::Resolved.as_str()
        && edit.rules.closes_by_itself(row)
        && let Some(resolved) = row.get("resolvedAt").as_time()
        && let Some(after) = edit.workflow.auto_close_after().map_err(Error::internal)?
    {
        tx.enqueue(job(tx.ctx(), AUTO_CLOSE, row, resolved + after));
    }
    Ok(())
}

/// A job about a ticket, of which there is one of its kind.
pub fn job(ctx: &Ctx, kind: &'static str, row: &store::query::Row, run_at: kernel::Timestamp) -> NewJob {
    NewJob {
        kind,
        tenant: ctx.tenant,
        unique_key: Some(row.id().to_string()),
        run_at,
        payload: json!({ "ticket": row.id().to_string(), "kind": row.text("kind"), "at": run_at.to_rfc3339() }),
    }
}

impl Tickets {
    /// Closes the ticket of an [`AUTO_CLOSE`] job, unless it left Resolved or its requester has commented since.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn auto_close(&self, ctx: &Ctx, ticket: TicketRef) -> Result<()> {
        let tickets = self.clone();
        let written = self.write_stocked(ctx, AUTO_CLOSE, TicketKind::Task, move |tx| {
            let (tickets, ticket) = (tickets.clone(), ticket.clone());
            Box::pin(async move {
                let mut edit = tickets.edit_in(tx, &ticket, "id").await?;
                let resolved = edit.before.text("stateCategory") == StateCategory::Resolved.as_str();
                if !resolved || !edit.rules.closes_by_itself(&edit.before) {
                    return Ok(());
                }
                let after = edit.workflow.auto_close_after().map_err(Error::internal)?.unwrap_or_default();
                let due = edit.before.time("resolvedAt") + after;
                // It was reopened and resolved again: the later resolution has a job of its own.
                if due > tx.now() || tickets.requester_objected_in(tx, &edit.before).await? {
                    return Ok(());
                }
                tickets.transition_in(tx, &mut edit, CLOSE, Map::new()).await
            })
        });
        gone_is_done(written.await.map(|_| ()))
    }

    /// Wakes the ticket of a [`WAKE`] job, unless it no longer waits for that instant.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn wake(&self, ctx: &Ctx, ticket: TicketRef) -> Result<()> {
        let tickets = self.clone();
        let written = self.store().write(ctx, WAKE, move |tx| {
            let (tickets, ticket) = (tickets.clone(), ticket.clone());
            Box::pin(async move {
                let mut edit = tickets.edit_in(tx, &ticket, "id").await?;
                match edit.before.get("waitingUntil").as_time() {
                    Some(until) if until <= tx.now() => tickets.resume_in(tx, &mut edit).await,
                    _ => Ok(()),
                }
            })
        });
        gone_is_done(written.await.map(|_| ()))
    }

    /// The ticket that a job's payload names.
    ///
    /// # Errors
    /// `INTERNAL` for a payload that was not made here.
    pub fn job_ticket(payload: &serde_json::Value) -> Result<TicketRef> {
        let text = |name: &str| payload.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let kind = crate::model::TicketKind::parse(text("kind"));
        let id = text("ticket").parse::<Uuid>().ok();
        match (kind, id) {
            (Some(kind), Some(id)) => Ok(TicketRef::Id(kernel::Id::new(kind.id_prefix(), id))),
            _ => Err(Error::internal(format!("a job's payload names no ticket: {payload}"))),
        }
    }
}

/// A ticket that is no longer there needs nothing done.
fn gone_is_done(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.code() == kernel::ErrorCode::NotFound => Ok(()),
        other => other,
    }
}
