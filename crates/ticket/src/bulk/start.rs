//! Starting a bulk change, and doing what fits a call.

use std::sync::{Arc, Mutex, PoisonError};

use access::Changed;
use access::operation::{self, Item, ItemOutcome, NewItem, Starter, Tally};
use chrono::Duration;
use kernel::{Ctx, Error, Mutation, Result, UserError, Uuid};
use serde_json::json;
use store::query::Row;
use store::{Event, Tx, Written};

use super::choose::check_together;
use super::run::Run;
use super::{
    BulkChange, BulkCommand, BulkOutcome, BulkSummary, Choice, Chosen, Input, JOB, MAX_AT_ONCE, MAX_UNDER_WAY, Names,
    OnError, Place,
};
use crate::events::SUBJECT;
use crate::model::TicketKind;
use crate::service::Tickets;

/// How long after it came in a call's rest is taken over by the job: longer than any call may take.
const TAKEN_OVER: Duration = Duration::seconds(60);

impl Names {
    pub(super) const fn of(change: &BulkChange) -> Self {
        match change {
            BulkChange::Update(_) => Self { call: "ticketBulkUpdate", item: "ticketBulkUpdate.item" },
            BulkChange::Transition(_) => Self { call: "ticketBulkTransition", item: "ticketBulkTransition.item" },
        }
    }
}

impl Tickets {
    /// Changes many tickets: up to [`MAX_AT_ONCE`] now, more in the background. A ticket that cannot be changed has its own errors, with
    /// paths into the input of the call; with [`OnError::RejectAll`] it keeps all others from being changed.
    ///
    /// # Errors
    /// `VALIDATION` and `LIMIT` for what is wrong with the call as a whole.
    pub async fn bulk(&self, ctx: &Ctx, mut command: BulkCommand) -> Result<BulkOutcome> {
        command.change.check()?;
        let named = matches!(command.choice, Choice::These(_));
        // Chosen before the write, which a filter may not hold up; a replay is answered whatever was found now.
        let chosen = self.choose(ctx, &command.choice, command.on_error).await;
        let run = Run::new(command.change, named, ctx);
        if command.on_error == OnError::RejectAll {
            return self.change_together(ctx, chosen, &run).await;
        }
        if !run.dry {
            return self.change_singly(ctx, chosen, &run).await;
        }
        match chosen? {
            Chosen::All(items) if items.len() <= MAX_AT_ONCE => {
                let (results, events) = self.try_items(ctx, &run, &items).await?;
                Ok(BulkOutcome { results: Some(results), events, ..BulkOutcome::default() })
            }
            chosen => self.change_singly(&operation::starting(ctx), Ok(chosen), &run).await,
        }
    }

    /// Starts an operation, and does it where it fits the call.
    async fn change_singly(&self, ctx: &Ctx, chosen: Result<Chosen>, run: &Run) -> Result<BulkOutcome> {
        let input = Input {
            change: run.change.as_ref().clone(),
            filter: None,
            named: run.named,
            dry: run.dry,
            starter: Starter::of(ctx),
        };
        let tickets = self.clone();
        let written = self.store().write(ctx, run.names.call, move |tx| {
            let (tickets, chosen, input) = (tickets.clone(), chosen.clone(), input.clone());
            Box::pin(async move { tickets.begin_bulk_in(tx, chosen?, input).await })
        });
        let written = written.await?;
        let again = matches!(written, Written::Replayed { .. });
        let Changed { record, events } = self.access().started(ctx, written).await?;
        if is_for_the_job(&record) {
            return Ok(BulkOutcome { operation: Some(record), events, ..BulkOutcome::default() });
        }
        let operation = record.id();
        let keyed = ctx.mutation.idempotency_key.is_some();
        let mut events = self.work_off(ctx, run, operation, keyed).await?;
        if again {
            let keys = Run::keys(operation);
            events = self.store().events_of_calls(ctx, run.names.item, &keys).await?;
        }
        let results = self.access().first_items(ctx, operation, None, MAX_AT_ONCE).await?;
        let operation = self.access().operation(ctx, operation).await?;
        Ok(BulkOutcome { operation, results: Some(results), events, refused: Vec::new() })
    }

    async fn begin_bulk_in(&self, tx: &mut Tx, chosen: Chosen, mut input: Input) -> Result<Row> {
        let (total, items) = match chosen {
            Chosen::All(items) => (Some(i64::try_from(items.len()).unwrap_or(i64::MAX)), items),
            Chosen::Later(filter) => {
                input.filter = Some(filter);
                (None, Vec::new())
            }
        };
        let access = self.access();
        let in_background = total.is_none() || items.len() > MAX_AT_ONCE;
        if in_background {
            access.admit_operation_in(tx, JOB, MAX_UNDER_WAY as u64, "bulk changes").await?;
        }
        let row = access.begin_operation_in(tx, JOB, total).await?;
        access.add_items_in(tx, row.id(), 0, &items, false).await?;
        let run_at = if in_background { tx.now() } else { tx.now() + TAKEN_OVER };
        access.enqueue_operation(tx, &row, JOB, json!(input), run_at);
        Ok(row)
    }

    /// Works on an operation within the call that started it, until nothing waits or it is canceled.
    async fn work_off(&self, ctx: &Ctx, run: &Run, operation: Uuid, keyed: bool) -> Result<Vec<Event>> {
        let ctx = ctx.for_mutation(Mutation { idempotency_key: None, ..ctx.mutation.clone() });
        let mut events = Vec::new();
        while self.access().is_awaited(&ctx, operation).await? {
            let key = keyed.then_some(operation);
            match self.work_batch(&ctx, run, operation, key).await? {
                Some((_, recorded)) => events.extend(recorded),
                None => {
                    self.settle_bulk(&ctx, operation, run.dry).await?;
                    return Ok(events);
                }
            }
        }
        self.stopped(&ctx, operation, run.dry).await?;
        Ok(events)
    }

    /// Changes all tickets in one transaction, or none.
    async fn change_together(&self, ctx: &Ctx, chosen: Result<Chosen>, run: &Run) -> Result<BulkOutcome> {
        // Of the last attempt: a closure that refuses answers nothing but errors.
        let told: Arc<Mutex<Vec<Item>>> = Arc::default();
        let (tickets, run_in, telling) = (self.clone(), run.clone(), Arc::clone(&told));
        let written = self.write_stocked(ctx, run.names.call, TicketKind::Task, move |tx| {
            let (tickets, chosen, run) = (tickets.clone(), chosen.clone(), run_in.clone());
            let telling = Arc::clone(&telling);
            Box::pin(async move {
                let Chosen::All(items) = chosen? else {
                    return Err(check_together(OnError::RejectAll, None).err().unwrap_or_else(none_at_all));
                };
                let results = tickets.change_all_in(tx, &items, &run).await?;
                let errors: Vec<UserError> = results.iter().flat_map(|item| item.errors.clone()).collect();
                *telling.lock().unwrap_or_else(PoisonError::into_inner) = results;
                if !errors.is_empty() {
                    return Err(Error::Refused(errors));
                }
                tickets.note_together_in(tx, &items, run.dry).await
            })
        });
        let written = match written.await {
            Ok(written) => written,
            Err(Error::Refused(errors)) => {
                let mut results = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
                if results.iter().all(|item| item.outcome != ItemOutcome::Failed) {
                    return Err(Error::Refused(errors));
                }
                for item in results.iter_mut().filter(|item| item.outcome == ItemOutcome::Done) {
                    item.outcome = ItemOutcome::Pending;
                }
                return Ok(BulkOutcome { results: Some(results), refused: errors, ..BulkOutcome::default() });
            }
            Err(other) => return Err(other),
        };
        let events = self.events_of(ctx, &written).await?;
        let events = events.into_iter().filter(|event| event.subject_kind == SUBJECT).collect();
        if run.dry {
            let results = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
            return Ok(BulkOutcome { results: Some(results), events, ..BulkOutcome::default() });
        }
        let operation = self.access().started(ctx, written).await?.record;
        let results = self.access().first_items(ctx, operation.id(), None, MAX_AT_ONCE).await?;
        Ok(BulkOutcome { operation: Some(operation), results: Some(results), events, refused: Vec::new() })
    }

    /// Changes these tickets one after the other. Goes on behind one that cannot be changed, so that one answer names all of them.
    async fn change_all_in(&self, tx: &mut Tx, items: &[NewItem], run: &Run) -> Result<Vec<Item>> {
        let mut held: Vec<Uuid> = items.iter().filter_map(|item| item.subject).map(|id| id.uuid).collect();
        held.sort_unstable();
        self.hold_in(tx, &held).await?;
        let mut results: Vec<Item> = (0..).zip(items).map(|(index, item)| Item::passing(index, item)).collect();
        let mut failed = results.iter().any(|item| item.outcome == ItemOutcome::Failed);
        for item in results.iter_mut().filter(|item| item.outcome == ItemOutcome::Pending) {
            let Some(subject) = item.subject else { continue };
            match self.change_one_in(tx, subject, item.expected_version, &run.change).await {
                Ok(_) => item.outcome = ItemOutcome::Done,
                Err(Error::Refused(errors)) => {
                    failed = true;
                    item.outcome = ItemOutcome::Failed;
                    item.errors = run.placed(item.place, errors);
                }
                // PostgreSQL runs nothing more behind a statement that failed: what is known by then is told.
                Err(_) if failed => break,
                Err(other) => return Err(other),
            }
        }
        Ok(results)
    }

    /// The operation of a bulk change that the same write has made.
    async fn note_together_in(&self, tx: &mut Tx, items: &[NewItem], dry: bool) -> Result<Row> {
        let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let row = self.access().begin_operation_in(tx, JOB, Some(total)).await?;
        self.access().add_items_in(tx, row.id(), 0, items, true).await?;
        let summary = BulkSummary::of(Tally { all: total, done: total, failed: 0 }, dry);
        self.access().settle_operation_in(tx, row.id(), total, json!(summary)).await
    }
}

fn none_at_all() -> Error {
    Error::internal("more tickets than fit a call were let through")
}

/// Whether the job does all of it: the call that started it answers nothing but the operation.
fn is_for_the_job(operation: &Row) -> bool {
    operation.get("total").as_int().is_none_or(|total| total > MAX_AT_ONCE as i64)
}

impl Run {
    /// Errors of one ticket, as the call tells them.
    pub(super) fn placed(&self, index: i64, errors: Vec<UserError>) -> Vec<UserError> {
        let place = Place { index, named: self.named };
        errors.into_iter().map(|error| place.of(self.change.path(), error)).collect()
    }
}
