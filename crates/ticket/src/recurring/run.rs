//! Doing what is due.

use std::sync::Arc;

use access::operation::Starter;
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Result, Timestamp, UserError, Uuid, random};
use predicate::{Predicate, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{NewEvent, Tx};

use access::{Managed, UserRef};
use calendar::Occurrence;

use super::fields::{RECURRING_TICKET, RECURRING_TICKET_RUN, RunStatus};
use super::manage::{KIND, job};
use super::plan::{Due, due};
use super::{KEEP_RUNS, RUN, recurrence_of};
use crate::events::{RUN_FAILED, RUNS_SKIPPED};
use crate::model::TicketKind;
use crate::service::Tickets;
use crate::tables;
use crate::template::TemplateRef;
use crate::template::create::{CreateFromTemplate, Prepared};

/// What is done with a run.
#[derive(Clone)]
enum Doing {
    /// Its ticket is created.
    Create(Box<Prepared>),
    /// It has failed.
    Fail(Vec<UserError>),
    /// There is none: all that came is left out.
    Skip,
}

/// A piece of work on a recurring ticket, and from where it goes on.
struct Piece {
    recurring: Uuid,
    planned: Timestamp,
    due: Due,
    /// Who tells of what nobody did.
    system: kernel::Actor,
}

impl Tickets {
    /// Does what is due of the recurring ticket of a [`RUN`] job: creates the newest ticket, and leaves out what is too late. Answers
    /// whether more is due. With `at_last` a fault is written on the run, so that the next one is due all the same.
    ///
    /// # Errors
    /// Database errors; the job is tried again.
    pub async fn run_recurring(&self, system: &Ctx, payload: &Json, at_last: bool) -> Result<bool> {
        let recurring = payload.get("recurringTicket").and_then(Json::as_str).and_then(|id| id.parse::<Uuid>().ok());
        let recurring = recurring
            .ok_or_else(|| Error::internal(format!("a job's payload names no recurring ticket: {payload}")))?;
        let reader = self.store().read(RUN);
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(system, &everything);
        let Some(row) = query::by_ids(&reader, &scoped, &RECURRING_TICKET, &[recurring], &[]).await?.pop() else {
            return Ok(false);
        };
        // Something else is planned by now, and has a job of its own.
        let Some(planned) = row.get("nextRunAt").as_time().filter(|planned| *planned <= system.now()) else {
            return Ok(false);
        };
        let due = due(&recurrence_of(&row)?, planned, system.now());
        let more = due.next.is_some_and(|next| next <= system.now());
        let wanted = due.run.is_some();
        let piece = Arc::new(Piece { recurring, planned, due, system: system.actor });
        let done = match wanted {
            false => self.settle(system, &piece, Doing::Skip).await,
            true => match self.prepare_run(system, &row).await {
                Ok((acting, prepared)) => self.settle(&acting, &piece, Doing::Create(Box::new(prepared))).await,
                Err(error) => Err(error),
            },
        };
        match done {
            Ok(()) => Ok(more),
            Err(error) => match reasons(error, at_last) {
                Ok(errors) => self.settle(system, &piece, Doing::Fail(errors)).await.map(|()| more),
                Err(fault) => Err(fault),
            },
        }
    }

    /// The ticket of a run, and whoever creates it, with the rights of now.
    async fn prepare_run(&self, system: &Ctx, row: &Row) -> Result<(Ctx, Prepared)> {
        let starter: Starter = serde_json::from_value(row.get("starter").to_json()).map_err(Error::internal)?;
        let Some(acting) = self.access().acting(system, &starter).await? else {
            let message = "whoever set it up is no longer active, or the token that it was set up with holds no longer";
            return Err(UserError {
                message: message.into(),
                ..UserError::forbidden(access::permission::TICKET_CREATE)
            }
            .into());
        };
        let template = row.get("template").as_id().unwrap_or_default();
        let command = CreateFromTemplate {
            requester: row.get("requester").as_id().map(|id| UserRef::Id(Id::new(prefix::USER, id))),
            ..CreateFromTemplate::of(TemplateRef::Id(Id::new(prefix::TICKET_TEMPLATE, template)))
        };
        let prepared = self.prepare_from_template(&acting, &command, true).await?;
        Ok((acting, prepared))
    }

    async fn settle(&self, ctx: &Ctx, piece: &Arc<Piece>, doing: Doing) -> Result<()> {
        let (tickets, piece) = (self.clone(), Arc::clone(piece));
        let written = self.write_stocked(ctx, RUN, TicketKind::Task, move |tx| {
            let (tickets, piece, doing) = (tickets.clone(), Arc::clone(&piece), doing.clone());
            Box::pin(async move { tickets.settle_in(tx, &piece, &doing).await })
        });
        written.await.map(drop)
    }

    /// All of a run in one transaction: its ticket, what is written of it, and what is due next.
    async fn settle_in(&self, tx: &mut Tx, piece: &Piece, doing: &Doing) -> Result<()> {
        let there = self.unscoped_in(tx, &RECURRING_TICKET, Predicate::eq("id", piece.recurring), &[], 1).await?.pop();
        let Some(row) = there.filter(|row| row.get("nextRunAt").as_time() == Some(piece.planned)) else {
            // Somebody else has done it, or has changed when it is due.
            return Ok(());
        };
        let ticket = match doing {
            Doing::Create(prepared) => Some(self.open_prepared_in(tx, prepared).await?.after.id()),
            Doing::Fail(_) | Doing::Skip => None,
        };
        let errors = match doing {
            Doing::Fail(errors) => Value::Json(json!(errors)),
            Doing::Create(_) | Doing::Skip => Value::Null,
        };
        let skipped = piece.due.skipped.shown.iter();
        let mut runs: Vec<Row> =
            skipped.map(|time| run_of(tx, piece.recurring, time, RunStatus::Skipped, None, Value::Null)).collect();
        if let Some(time) = &piece.due.run {
            let status = if ticket.is_some() { RunStatus::Created } else { RunStatus::Failed };
            runs.push(run_of(tx, piece.recurring, time, status, ticket, errors));
        }
        let tenant = tx.ctx().tenant;
        query::insert_all_in(tx, tenant, &RECURRING_TICKET_RUN, &runs).await?;
        let last = piece.due.run.map_or_else(|| row.get("lastRunAt").clone(), |run| run.at.into());
        let moved = [("nextRunAt", piece.due.next.into()), ("lastRunAt", last)];
        // The version stays: nobody has changed what it says.
        let version = Some(Managed::version(&row));
        if !query::update_in(&*tx, tenant, &RECURRING_TICKET, row.id(), version, &moved).await? {
            return Err(tx.retry());
        }
        tables::delete_runs_before_in(tx, piece.recurring, tx.now() - KEEP_RUNS).await?;
        tell(tx, piece, &row, doing);
        if let Some(next) = piece.due.next {
            let next = job(tx.ctx(), piece.recurring, next);
            tx.enqueue(next);
        }
        Ok(())
    }
}

/// A run as it is written down.
fn run_of(tx: &Tx, recurring: Uuid, time: &Occurrence, status: RunStatus, ticket: Option<Uuid>, errors: Value) -> Row {
    Row::new(
        &RECURRING_TICKET_RUN,
        vec![
            // Runs are listed in the order of their ids: that of the times at which they were due.
            ("id", random::new_id(time.at).into()),
            ("recurringTicket", recurring.into()),
            ("dueAt", time.at.into()),
            ("shifted", time.shifted.into()),
            ("status", status.as_str().into()),
            ("ticket", ticket.into()),
            ("userErrors", errors),
            ("createdAt", tx.now().into()),
        ],
    )
}

/// Tells of what was not created.
fn tell(tx: &mut Tx, piece: &Piece, row: &Row, doing: &Doing) {
    let event = |kind, payload| NewEvent { actor: Some(piece.system), ..KIND.event(kind, row, Vec::new(), payload) };
    let skipped = &piece.due.skipped;
    if skipped.count > 0 {
        let payload = json!({ "count": skipped.count, "from": skipped.from, "to": skipped.to() });
        tx.emit(event(RUNS_SKIPPED, payload));
    }
    if let (Doing::Fail(errors), Some(run)) = (doing, &piece.due.run) {
        let message = Error::Refused(errors.clone()).to_string();
        tx.emit(event(RUN_FAILED, json!({ "dueAt": run.at, "message": message })));
    }
}

/// Why a run has failed for good; or the fault, with which its job is tried again unless that was the last time.
fn reasons(error: Error, at_last: bool) -> std::result::Result<Vec<UserError>, Error> {
    let faulty = "the server could not create the ticket, though it tried several times";
    match error {
        Error::Refused(errors) => Ok(errors),
        Error::Request { code, message } if !code.retryable() => {
            Ok(vec![UserError::new(code, [] as [&str; 0], message)])
        }
        _ if at_last => Ok(vec![UserError::validation([] as [&str; 0], faulty)]),
        fault => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use kernel::ErrorCode;

    use super::*;

    #[test]
    fn what_may_go_through_later_is_tried_again_and_at_last_written_down() {
        let refused = || Error::from(UserError::forbidden("ticket.create"));
        assert_eq!(reasons(refused(), false).unwrap()[0].code, ErrorCode::Forbidden);
        for fault in [Error::internal("broken"), Error::request(ErrorCode::Unavailable, "later")] {
            assert!(reasons(fault.clone(), false).is_err(), "{fault}");
            assert_eq!(reasons(fault, true).unwrap().len(), 1);
        }
    }
}
