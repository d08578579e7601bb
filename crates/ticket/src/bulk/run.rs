//! Working on the items of a bulk change, a batch at a time.

use std::sync::Arc;

use access::operation::{Item, ItemOutcome, NOBODY, NewItem, Settled, TakenUp};
use access::permission::{TICKET_TRANSITION, TICKET_UPDATE};
use futures_util::future::join_all;
use kernel::id::prefix;
use kernel::{Ctx, Error, ErrorCode, Id, Mutation, Result, UserError, Uuid};
use serde_json::{Value as Json, json};
use store::query::Row;
use store::{Event, RecordRef};

use super::choose::{CHOICE, check_chosen};
use super::{BulkChange, BulkSummary, Input, MAX_AT_ONCE, Names};
use crate::model::TicketKind;
use crate::service::Tickets;

/// How many items are read at once. Before each batch it is seen whether the operation was canceled, and what whoever started it may do.
const BATCH: usize = 20;
/// How many of them are worked on at the same time: SQLite's writer has them share a commit, on PostgreSQL each takes a connection.
const AT_THE_SAME_TIME: usize = 4;
/// After how many batches progress is told.
const TELL_EVERY: usize = 5;
/// How many batches one run of the job works on, or chooses: then others have their turn, and a server that stops need not wait long.
const SLICE: usize = 25;

/// What is done with each ticket of a bulk change.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) names: Names,
    pub(super) change: Arc<BulkChange>,
    /// Whether the tickets were named.
    pub(super) named: bool,
    /// Whether it is only tried.
    pub(super) dry: bool,
}

impl Run {
    pub(super) fn new(change: BulkChange, named: bool, ctx: &Ctx) -> Self {
        Self { names: Names::of(&change), change: Arc::new(change), named, dry: ctx.mutation.dry_run }
    }

    fn of(input: &Input) -> Self {
        let change = input.change.clone();
        Self { names: Names::of(&change), change: Arc::new(change), named: input.named, dry: input.dry }
    }

    fn key(operation: Uuid, place: i64) -> String {
        format!("{}#{place}", Id::new(prefix::OPERATION, operation))
    }

    /// The idempotency keys of the items of a call: they are the operation's, which is that of the call's own key.
    pub(super) fn keys(operation: Uuid) -> Vec<String> {
        (0..MAX_AT_ONCE as i64).map(|place| Self::key(operation, place)).collect()
    }

    /// Why nothing is done any more for somebody who may do nothing any more.
    fn nobody(&self, index: i64) -> Vec<UserError> {
        let permission = match *self.change {
            BulkChange::Update(_) => TICKET_UPDATE,
            BulkChange::Transition(_) => TICKET_TRANSITION,
        };
        self.placed(index, vec![UserError { message: NOBODY.into(), ..UserError::forbidden(permission) }])
    }
}

/// What became of an item, and what was recorded.
type Worked = (Settled, Vec<Event>);

impl Tickets {
    /// What would become of these tickets: each is changed, and all of it taken back.
    pub(super) async fn try_items(&self, ctx: &Ctx, run: &Run, items: &[NewItem]) -> Result<(Vec<Item>, Vec<Event>)> {
        let mut results: Vec<Item> = (0..).zip(items).map(|(place, item)| Item::passing(place, item)).collect();
        let mut events = Vec::new();
        for part in results.chunks_mut(AT_THE_SAME_TIME) {
            let waiting: Vec<&Item> = part.iter().filter(|item| item.outcome == ItemOutcome::Pending).collect();
            let worked = join_all(waiting.into_iter().map(|item| self.work_item(ctx, run, item, None))).await;
            let mut worked = worked.into_iter();
            for item in part.iter_mut().filter(|item| item.outcome == ItemOutcome::Pending) {
                let Some(done) = worked.next() else { break };
                let ((_, outcome, errors), recorded) = done?;
                (item.outcome, item.errors) = (outcome, errors);
                events.extend(recorded);
            }
        }
        Ok((results, events))
    }

    /// Works on the next items that wait; `None` when none does. Answers how many there were, and what was recorded.
    ///
    /// # Errors
    /// What keeps all items from being done, as opposed to one: those that wait still do.
    pub(super) async fn work_batch(
        &self,
        ctx: &Ctx,
        run: &Run,
        operation: Uuid,
        keyed: Option<Uuid>,
    ) -> Result<Option<(usize, Vec<Event>)>> {
        let items = self.access().first_items(ctx, operation, Some(ItemOutcome::Pending), BATCH).await?;
        if items.is_empty() {
            return Ok(None);
        }
        let (mut settled, mut events, mut broken) = (Vec::new(), Vec::new(), None);
        for part in items.chunks(AT_THE_SAME_TIME) {
            let mut running = Vec::with_capacity(part.len());
            for item in part {
                let key = keyed.map(|operation| Run::key(operation, item.place));
                running.push(self.work_item(ctx, run, item, key));
            }
            for done in join_all(running).await {
                match done {
                    Ok((one, recorded)) => {
                        // What was done is settled already, in the same transaction; unless that was taken back.
                        if one.1 == ItemOutcome::Failed || run.dry {
                            settled.push(one);
                        }
                        events.extend(recorded);
                    }
                    Err(error) => broken = broken.or(Some(error)),
                }
            }
            if broken.is_some() {
                break;
            }
        }
        self.access().settle_items(ctx, settled).await?;
        match broken {
            Some(error) => Err(error),
            None => Ok(Some((items.len(), if run.dry { Vec::new() } else { events }))),
        }
    }

    async fn work_item(&self, ctx: &Ctx, run: &Run, item: &Item, key: Option<String>) -> Result<Worked> {
        let Some(subject) = item.subject else { return Err(Error::internal("an item without a ticket waits")) };
        let ctx = ctx.for_mutation(Mutation { idempotency_key: key, dry_run: run.dry, ..ctx.mutation.clone() });
        let (tickets, change, waiting) = (self.clone(), Arc::clone(&run.change), item.clone());
        let (dry, done) = (run.dry, (item.id, ItemOutcome::Done, Vec::new()));
        let written = self.write_stocked(&ctx, run.names.item, TicketKind::Task, move |tx| {
            let (tickets, change, done) = (tickets.clone(), Arc::clone(&change), done.clone());
            let expected = waiting.expected_version;
            Box::pin(async move {
                if !dry && !tickets.access().settle_item_in(tx, &done).await? {
                    // Somebody else has worked on it.
                    tx.answers_with(RecordRef { id: subject, version: expected.unwrap_or(1) });
                    return Ok(());
                }
                tickets.change_one_in(tx, subject, expected, &change).await.map(drop)
            })
        });
        match written.await {
            Ok(written) => {
                let events = self.events_of(&ctx, &written).await?;
                Ok(((item.id, ItemOutcome::Done, Vec::new()), events))
            }
            Err(Error::Refused(errors)) if !is_under_way(&errors) => {
                Ok(((item.id, ItemOutcome::Failed, run.placed(item.place, errors)), Vec::new()))
            }
            Err(other) => Err(other),
        }
    }

    /// Ends an operation whose items are done, or that was canceled, with what came of it.
    pub(super) async fn settle_bulk(&self, ctx: &Ctx, operation: Uuid, dry: bool) -> Result<()> {
        self.access().settle_by_items(ctx, operation, |tally| json!(BulkSummary::of(tally, dry))).await
    }

    /// Does a slice of the work of a [`super::JOB`]; answers whether there is more.
    ///
    /// # Errors
    /// Database errors; the job is tried again, and finds what it has done.
    pub async fn run_bulk(&self, system: &Ctx, payload: &Json) -> Result<bool> {
        self.run_bulk_batches(system, payload, SLICE).await
    }

    /// The same for a slice of so many batches.
    ///
    /// # Errors
    /// As [`Tickets::run_bulk`].
    pub async fn run_bulk_batches(&self, system: &Ctx, payload: &Json, batches: usize) -> Result<bool> {
        let Some(taken) = self.access().take_up::<Input>(system, payload).await? else { return Ok(false) };
        if taken.is_over() {
            return self.stopped(system, taken.row.id(), taken.input.dry).await;
        }
        let TakenUp { row, input } = taken;
        match (&input.filter, row.get("total").as_int()) {
            (Some(filter), None) => self.choose_slice(system, &row, &input, (filter, batches)).await,
            (_, total) => self.work_slice(system, &row, &input, (total, batches)).await,
        }
    }

    /// What is left to do on an operation that is over: one that was canceled is told how far it came.
    pub(super) async fn stopped(&self, system: &Ctx, operation: Uuid, dry: bool) -> Result<bool> {
        self.access().settle_canceled(system, operation, |tally| json!(BulkSummary::of(tally, dry))).await?;
        Ok(false)
    }

    async fn work_slice(
        &self,
        system: &Ctx,
        row: &Row,
        input: &Input,
        (total, batches): (Option<i64>, usize),
    ) -> Result<bool> {
        let (access, operation, run) = (self.access(), row.id(), Run::of(input));
        let mut done = row.int("done");
        for batch in 0..batches {
            let goes_on = match batch % TELL_EVERY {
                0 => access.progress(system, operation, done, total).await?,
                _ => access.is_awaited(system, operation).await?,
            };
            if !goes_on {
                return self.stopped(system, operation, input.dry).await;
            }
            let worked = match access.acting(system, &input.starter).await? {
                Some(ctx) => self.work_batch(&ctx, &run, operation, None).await?.map(|(count, _)| count),
                None => self.fail_batch(system, &run, operation).await?,
            };
            let Some(worked) = worked else {
                self.settle_bulk(system, operation, input.dry).await?;
                return Ok(false);
            };
            done += i64::try_from(worked).unwrap_or(i64::MAX);
        }
        access.progress(system, operation, done, total).await?;
        Ok(true)
    }

    /// Gives up the next items that wait: whoever started the operation may do nothing any more.
    async fn fail_batch(&self, system: &Ctx, run: &Run, operation: Uuid) -> Result<Option<usize>> {
        let items = self.access().first_items(system, operation, Some(ItemOutcome::Pending), BATCH).await?;
        let failed = |item: &Item| (item.id, ItemOutcome::Failed, run.nobody(item.place));
        self.access().settle_items(system, items.iter().map(failed).collect()).await?;
        Ok((!items.is_empty()).then_some(items.len()))
    }

    /// Chooses a slice of the tickets, in the order of their ids, behind those that were chosen already.
    async fn choose_slice(
        &self,
        system: &Ctx,
        row: &Row,
        input: &Input,
        (filter, batches): (&Json, usize),
    ) -> Result<bool> {
        let (access, operation) = (self.access(), row.id());
        let end = |why: String| access.end_operation(system, operation, Err(why));
        let Some(ctx) = access.acting(system, &input.starter).await? else {
            end("whoever started it may do nothing any more".into()).await?;
            return Ok(false);
        };
        let condition = match self.bulk_condition(&ctx, filter).await {
            Ok(condition) => condition,
            // What was checked when it was started does not hold any more.
            Err(error @ Error::Refused(_)) => {
                end(error.to_string()).await?;
                return Ok(false);
            }
            Err(other) => return Err(other),
        };
        for _ in 0..batches {
            let last = access.last_item(system, operation).await?;
            let place = last.as_ref().map_or(0, |item| item.place + 1);
            let items = self.matching_behind(&ctx, &condition, last.and_then(|item| item.subject)).await?;
            let (found, all) = (items.len(), (items.len() as u64) < CHOICE);
            let chosen = place + i64::try_from(found).unwrap_or(i64::MAX);
            if let Err(error) = check_chosen(usize::try_from(chosen).unwrap_or(usize::MAX)) {
                end(error.to_string()).await?;
                return Ok(false);
            }
            self.add_chosen(system, operation, place, items).await?;
            let goes_on = access.progress(system, operation, 0, all.then_some(chosen)).await?;
            if !goes_on {
                return self.stopped(system, operation, input.dry).await;
            }
            if all {
                break;
            }
        }
        Ok(true)
    }

    async fn add_chosen(&self, system: &Ctx, operation: Uuid, place: i64, items: Vec<NewItem>) -> Result<()> {
        let (access, items) = (self.access().clone(), Arc::new(items));
        let written = self.store().write(system, "ticket.bulkChoose", move |tx| {
            let (access, items) = (access.clone(), Arc::clone(&items));
            Box::pin(async move { access.add_items_in(tx, operation, place, &items, false).await })
        });
        written.await.map(drop)
    }
}

/// Whether another call works on the same item right now.
fn is_under_way(errors: &[UserError]) -> bool {
    errors.iter().any(|error| error.code == ErrorCode::IdempotencyInProgress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_of_a_call_has_a_key_of_its_own() {
        let keys = Run::keys(Uuid::from_u128(7));
        assert_eq!(keys.len(), MAX_AT_ONCE);
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), MAX_AT_ONCE);
        assert!(keys.iter().all(|key| key.starts_with("op_") && key.len() <= store::config::MAX_IDEMPOTENCY_KEY));
    }
}
