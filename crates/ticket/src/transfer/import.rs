//! Imports: new tickets from the lines of a file, made in the background, each by the same way and the same rights as alone.
//!
//! Each line is an item of the [operation](access::operation), and is done in the transaction that makes its ticket: so a line becomes one
//! ticket, whoever works on it and however often. The operation notes how far in the file it is; memory holds a batch of lines and no more.
//!
//! Histories are taken over by [`crate::import`].

use std::collections::HashSet;
use std::sync::Arc;

use access::Changed;
use access::operation::{self, NOBODY, NewItem, Starter, TakenUp, Tally};
use access::permission::TICKET_CREATE;
use chrono::Duration;
use futures_util::future::join_all;
use kernel::error::Problems;
use kernel::{Ctx, Error, ErrorCode, Id, Mutation, Result, UserError, Uuid};
use objects::{Key, Objects};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use super::lines::{Lines, MAX_LINE, Next};
use super::row::{ImportRow, read, refuse_rest};
use crate::attachment::UploadState;
use crate::bulk::OnError;
use crate::commands::check_text;
use crate::fields::UPLOAD;
use crate::model::{MAX_KEY, TicketKind};
use crate::service::Tickets;

/// The job that reads a file, and the kind of its operation.
pub const IMPORT: &str = "ticket.import";
/// How many lines a file has at most, but for blank ones.
pub const MAX_ROWS: i64 = 1_000_000;
/// How many fields an import leaves aside at most.
pub const MAX_IGNORED: usize = 100;
/// How many imports one actor may have under way.
pub const MAX_UNDER_WAY: u64 = 3;
/// How long the file of an import is kept, from when that was started.
const KEPT: Duration = Duration::days(7);
/// How many lines are read at once. Before each batch it is seen whether the operation was canceled, and what whoever started it may do.
const BATCH: usize = 100;
/// From how many bytes on a batch is full.
const BATCH_BYTES: usize = 4 << 20;
/// How many lines are worked on at the same time: SQLite's writer has them share a commit, on PostgreSQL each takes a connection.
const AT_THE_SAME_TIME: usize = 4;
/// How many batches one run of the job works on: then others have their turn.
const SLICE: usize = 10;

/// Make tickets of the lines of a file.
#[derive(Clone, Debug)]
pub struct ImportTickets {
    /// The upload, whose bytes have arrived.
    pub upload: Id,
    /// What lines are that name no kind.
    pub kind: Option<TicketKind>,
    /// Fields to leave aside.
    pub ignore: Vec<String>,
    /// What becomes of the others when a line is refused.
    pub on_error: OnError,
}

/// What came of an import, as its operation tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Whether it was only tried.
    pub dry: bool,
    /// How many lines there are, but for blank ones.
    pub rows: i64,
    /// How many became tickets.
    pub created: i64,
    /// How many were refused.
    pub failed: i64,
}

impl Imported {
    fn of(tally: Tally, dry: bool) -> Self {
        Self { dry, rows: tally.all, created: tally.done, failed: tally.failed }
    }
}

/// What a job is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Input {
    upload: Uuid,
    kind: Option<TicketKind>,
    ignore: Vec<String>,
    on_error: OnError,
    dry: bool,
    starter: Starter,
}

/// How far in the file an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// Which file it is.
    upload: Uuid,
    /// Where the next line begins, in bytes.
    offset: u64,
    /// How many lines come before it.
    line: i64,
    /// How many of them are not blank.
    rows: i64,
    /// Whether all lines were tried, and none was refused: with [`OnError::RejectAll`] they are made tickets only then.
    tried: bool,
}

impl Checkpoint {
    fn at_start(upload: Uuid, tried: bool) -> Self {
        Self { upload, tried, ..Self::default() }
    }

    fn of(noted: Json) -> Result<Self> {
        serde_json::from_value(noted).map_err(Error::internal)
    }
}

/// A line to be worked on, and which one of the file it is, from 1.
#[derive(Clone, Debug)]
struct Numbered {
    line: i64,
    bytes: Vec<u8>,
}

/// What is done with lines, and how.
#[derive(Clone)]
struct Run {
    input: Arc<Input>,
    operation: Uuid,
    /// Whether nothing is kept.
    trying: bool,
}

impl Run {
    fn of(input: &Input, operation: Uuid, checkpoint: Checkpoint) -> Self {
        let trying = input.dry || (input.on_error == OnError::RejectAll && !checkpoint.tried);
        Self { input: Arc::new(input.clone()), operation, trying }
    }

    /// Whether lines that were only tried are noted: those that are made tickets later are noted then.
    fn notes_tried(&self) -> bool {
        self.input.dry
    }
}

/// An item of a line that is not made a ticket: because it was refused, or because it was only tried.
fn item(line: i64, errors: Vec<UserError>) -> (i64, NewItem) {
    let errors = errors.into_iter().map(|error| error.within(&line.to_string()).within("upload")).collect();
    (line - 1, NewItem { subject: None, expected_version: None, errors })
}

/// Why a file of so many lines is not taken, if it is not.
fn too_many(rows: i64) -> Option<String> {
    (rows > MAX_ROWS).then(|| format!("the file has {rows} lines; at most {MAX_ROWS} are taken: split it"))
}

fn check_ignored(ignore: &[String]) -> Result<()> {
    let mut problems = Problems::default();
    if ignore.len() > MAX_IGNORED {
        let message = format!("{} fields are named; at most {MAX_IGNORED} are allowed", ignore.len());
        problems.add(UserError::limit(["ignore"], message, MAX_IGNORED as u64));
    }
    for name in ignore {
        check_text(&mut problems, "ignore", name, MAX_KEY);
    }
    problems.check()
}

impl Tickets {
    /// Has tickets made of the lines of a file, in the background. In a dry run each line is tried, and nothing kept.
    ///
    /// # Errors
    /// `FORBIDDEN` without `ticket.create`; `NOT_FOUND` and `VALIDATION` at `upload`; `LIMIT` beyond [`MAX_UNDER_WAY`].
    pub async fn import_file(&self, ctx: &Ctx, command: ImportTickets) -> Result<Changed<Row>> {
        if !ctx.grants.holds(TICKET_CREATE) {
            return Err(UserError::forbidden(TICKET_CREATE).into());
        }
        check_ignored(&command.ignore)?;
        let (dry, ctx) = (ctx.mutation.dry_run, operation::starting(ctx));
        let tickets = self.clone();
        let written = self.store().write(&ctx, "ticketImport", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.begin_import_in(tx, &command, dry).await })
        });
        self.access().started(&ctx, written.await?).await
    }

    async fn begin_import_in(&self, tx: &mut Tx, command: &ImportTickets, dry: bool) -> Result<Row> {
        let path = |error: UserError| UserError { path: vec!["upload".into()], ..error };
        let found = self.uploads_in(tx, &[command.upload], "upload").await;
        let found = found.map_err(|error| match error {
            Error::Refused(errors) => Error::Refused(errors.into_iter().map(path).collect()),
            other => other,
        });
        let upload = found?.pop().ok_or_else(|| UserError::not_found(["upload"], "the upload"))?;
        for other in self.access().admit_operation_in(tx, IMPORT, MAX_UNDER_WAY, "imports").await? {
            // The first to end would delete the file of both.
            if Checkpoint::of(other.get("checkpoint").to_json())?.upload == upload.id() {
                let message = "an import of this file is under way: wait for it, or send the file again";
                return Err(UserError::constraint(["upload"], message, "underWay", None).into());
            }
        }
        let until = upload.time("expiresAt").max(tx.now() + KEPT);
        query::update_in(&*tx, tx.ctx().tenant, &UPLOAD, upload.id(), None, &[("expiresAt", until.into())]).await?;
        let input = Input {
            upload: upload.id(),
            kind: command.kind,
            ignore: command.ignore.clone(),
            on_error: command.on_error,
            dry,
            starter: Starter::of(tx.ctx()),
        };
        let row = self.access().start_operation_in(tx, IMPORT, json!(input)).await?;
        let begin = Checkpoint::at_start(upload.id(), false);
        self.access().begin_from_in(tx, row.id(), json!(begin)).await?;
        Ok(row)
    }

    /// Does a slice of the work of an [`IMPORT`]; answers whether there is more.
    ///
    /// # Errors
    /// Database errors and those of the store of objects; the job is tried again, and finds what it has done.
    pub async fn run_import(&self, objects: &Objects, system: &Ctx, payload: &Json) -> Result<bool> {
        self.run_import_batches(objects, system, payload, SLICE).await
    }

    /// The same for a slice of so many batches.
    ///
    /// # Errors
    /// As [`Tickets::run_import`].
    pub async fn run_import_batches(
        &self,
        objects: &Objects,
        system: &Ctx,
        payload: &Json,
        batches: usize,
    ) -> Result<bool> {
        let Some(taken) = self.access().take_up::<Input>(system, payload).await? else { return Ok(false) };
        if taken.is_over() {
            return self.import_stopped(system, taken.row.id(), &taken.input).await;
        }
        let TakenUp { row, input } = taken;
        match row.get("total").as_int() {
            None => self.count_rows(objects, system, &row, &input).await,
            Some(total) => self.import_slice((objects, system), &row, &input, total, batches).await,
        }
    }

    /// Reads all of the file once, so that its length is known, and what is no such file is refused before anything is made of it.
    async fn count_rows(&self, objects: &Objects, system: &Ctx, row: &Row, input: &Input) -> Result<bool> {
        let (access, operation) = (self.access(), row.id());
        let end = |why: String| access.end_operation(system, operation, Err(why));
        let mut lines = match self.lines_from(objects, system, input, 0).await? {
            Some(lines) => lines,
            None => {
                end("the file is there no longer".into()).await?;
                return Ok(false);
            }
        };
        let (mut line, mut rows) = (0, 0);
        loop {
            match lines.next().await? {
                Next::End => break,
                Next::TooLong => {
                    let message = format!(
                        "line {} is longer than {MAX_LINE} bytes; nothing was imported: is this JSON Lines?",
                        line + 1
                    );
                    end(message).await?;
                    return Ok(false);
                }
                Next::Line(found) => {
                    line += 1;
                    rows += i64::from(!found.is_blank());
                }
            }
        }
        if let Some(why) = too_many(rows) {
            end(why).await?;
            return Ok(false);
        }
        access.progress(system, operation, 0, Some(rows)).await
    }

    async fn lines_from(&self, objects: &Objects, system: &Ctx, input: &Input, offset: u64) -> Result<Option<Lines>> {
        match objects.read_from(&Key::new(system.tenant, input.upload), offset).await {
            Ok(reading) => Ok(Some(Lines::new(reading.body, offset))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn import_slice(
        &self,
        (objects, system): (&Objects, &Ctx),
        row: &Row,
        input: &Input,
        total: i64,
        batches: usize,
    ) -> Result<bool> {
        let (access, operation) = (self.access(), row.id());
        let noted = access.checkpoint(system, operation).await?.map(Checkpoint::of).transpose()?;
        let mut checkpoint = noted.unwrap_or_else(|| Checkpoint::at_start(input.upload, false));
        let Some(mut lines) = self.lines_from(objects, system, input, checkpoint.offset).await? else {
            access.end_operation(system, operation, Err("the file is there no longer".into())).await?;
            return Ok(false);
        };
        for _ in 0..batches {
            if !access.is_awaited(system, operation).await? {
                return self.import_stopped(system, operation, input).await;
            }
            let (batch, all) = read_batch(&mut lines, &mut checkpoint).await?;
            let run = Run::of(input, operation, checkpoint);
            match access.acting(system, &input.starter).await? {
                Some(ctx) => self.import_batch(system, &ctx, &run, batch).await?,
                None => self.refuse_batch(system, &run, batch).await?,
            }
            if all {
                match self.after_last(system, &run, total).await? {
                    Some(again) => checkpoint = again,
                    None => return Ok(false),
                }
            }
            let goes_on =
                access.progress_to(system, operation, checkpoint.rows, Some(total), json!(checkpoint)).await?;
            if !goes_on {
                return self.import_stopped(system, operation, input).await;
            }
            if all {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// What becomes of an import whose lines were all worked on: it begins again when they were only tried, else it is over.
    async fn after_last(&self, system: &Ctx, run: &Run, total: i64) -> Result<Option<Checkpoint>> {
        let access = self.access();
        if run.trying && !run.input.dry {
            let failed = access.tally(system, run.operation).await?.failed;
            if failed == 0 {
                return Ok(Some(Checkpoint::at_start(run.input.upload, true)));
            }
            let why = format!("{failed} of {total} lines are refused, so nothing was imported; `results` say why");
            access.end_operation(system, run.operation, Err(why)).await?;
            return Ok(None);
        }
        self.settle_import(system, run.operation, &run.input).await?;
        Ok(None)
    }

    async fn settle_import(&self, system: &Ctx, operation: Uuid, input: &Input) -> Result<()> {
        self.access().settle_by_items(system, operation, |tally| json!(Imported::of(tally, input.dry))).await?;
        self.discard_upload(system, input).await
    }

    /// Has the file deleted by the next sweep; that of an import that was only tried waits for the real one.
    async fn discard_upload(&self, system: &Ctx, input: &Input) -> Result<()> {
        if input.dry {
            return Ok(());
        }
        let upload = input.upload;
        let written = self.store().write(system, "ticket.importEnd", move |tx| {
            Box::pin(async move {
                let changes = [("state", UploadState::Discarded.as_str().into()), ("expiresAt", tx.now().into())];
                query::update_in(&*tx, tx.ctx().tenant, &UPLOAD, upload, None, &changes).await
            })
        });
        written.await.map(drop)
    }

    /// What is left to do on an import that is over: one that was canceled is told how far it came.
    async fn import_stopped(&self, system: &Ctx, operation: Uuid, input: &Input) -> Result<bool> {
        let told = |tally| json!(Imported::of(tally, input.dry));
        if self.access().settle_canceled(system, operation, told).await? {
            self.discard_upload(system, input).await?;
        }
        Ok(false)
    }

    /// Makes tickets of the lines of a batch, but for those that were worked on before.
    async fn import_batch(&self, system: &Ctx, ctx: &Ctx, run: &Run, batch: Vec<Numbered>) -> Result<()> {
        let done = self.done_before(system, run, &batch).await?;
        let waiting: Vec<Numbered> = batch.into_iter().filter(|work| !done.contains(&(work.line - 1))).collect();
        let mut items = Vec::new();
        for part in waiting.chunks(AT_THE_SAME_TIME) {
            let worked = join_all(part.iter().map(|work| self.import_line(ctx, run, work))).await;
            for (work, result) in part.iter().zip(worked) {
                match result {
                    Ok(()) if run.trying && run.notes_tried() => items.push(item(work.line, Vec::new())),
                    Ok(()) => {}
                    Err(Error::Refused(errors)) => items.push(item(work.line, errors)),
                    Err(other) => return Err(other),
                }
            }
        }
        self.access().add_settled_items(system, run.operation, items).await
    }

    /// Refuses the lines of a batch: whoever started the import may do nothing any more.
    async fn refuse_batch(&self, system: &Ctx, run: &Run, batch: Vec<Numbered>) -> Result<()> {
        let done = self.done_before(system, run, &batch).await?;
        let refusal = UserError { message: NOBODY.into(), ..UserError::forbidden(TICKET_CREATE) };
        let waiting = batch.iter().filter(|work| !done.contains(&(work.line - 1)));
        let items = waiting.map(|work| item(work.line, vec![refusal.clone()])).collect();
        self.access().add_settled_items(system, run.operation, items).await
    }

    async fn done_before(&self, system: &Ctx, run: &Run, batch: &[Numbered]) -> Result<HashSet<i64>> {
        match (batch.first(), batch.last()) {
            (Some(first), Some(last)) => {
                self.access().places_of_items(system, run.operation, first.line - 1, last.line - 1).await
            }
            _ => Ok(HashSet::new()),
        }
    }

    async fn import_line(&self, ctx: &Ctx, run: &Run, work: &Numbered) -> Result<()> {
        let mut row = read(&work.bytes, run.input.kind, &run.input.ignore)?;
        let ctx = ctx.for_mutation(Mutation { dry_run: run.trying, ..Mutation::default() });
        let number = self.numbers().next(&ctx, row.kind).await?;
        let place = work.line - 1;
        let (tickets, operation) = (self.clone(), run.operation);
        if row.kind != TicketKind::Task {
            row.draft.check(&ctx)?;
        }
        let row = Arc::new(row);
        let written = self.store().write(&ctx, "ticketImport.line", move |tx| {
            let (tickets, row, number) = (tickets.clone(), Arc::clone(&row), number.clone());
            Box::pin(async move {
                let ticket = tickets.make_of_row_in(tx, &row, number).await?;
                let subject = Some(Id::new(row.kind.id_prefix(), ticket));
                let item = NewItem { subject, expected_version: None, errors: Vec::new() };
                // Twice for one line is against the index of places: then somebody else has made the ticket, and this one is not.
                tickets.access().add_items_in(tx, operation, place, &[item], true).await
            })
        });
        written.await.map(drop)
    }

    async fn make_of_row_in(&self, tx: &mut Tx, row: &ImportRow, number: String) -> Result<Uuid> {
        let rules = self.kinds().get(row.kind)?.clone();
        let Some(mut opening) = rules.opening(false) else {
            let (parent, draft) = row.clone().into_task()?;
            let draft = self.checked_task(&tx.ctx().clone(), draft)?;
            return Ok(self.add_task_in(tx, &parent, &draft, number, &[]).await?.id());
        };
        let (mut given, mut problems) = (row.own.clone(), Problems::default());
        if row.parent.is_some() {
            problems.add(UserError::constraint(["parent"], "only tasks have a `parent`", "kind", None));
        }
        rules.open_with(&mut given, &mut opening.own, &mut problems);
        refuse_rest(&given, &mut problems);
        problems.check()?;
        Ok(self.open_as_in(tx, &rules, &row.draft, number, opening).await?.after.id())
    }
}

/// The next lines that are not blank; and whether those were the last.
async fn read_batch(lines: &mut Lines, checkpoint: &mut Checkpoint) -> Result<(Vec<Numbered>, bool)> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Next::Line(line) = lines.next().await? else { return Ok((batch, true)) };
        checkpoint.offset = line.next;
        checkpoint.line += 1;
        if !line.is_blank() {
            checkpoint.rows += 1;
            bytes += line.bytes.len();
            batch.push(Numbered { line: checkpoint.line, bytes: line.bytes });
        }
    }
    Ok((batch, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_so_many_lines_at_most() {
        assert_eq!(too_many(MAX_ROWS), None);
        assert!(too_many(MAX_ROWS + 1).is_some_and(|why| why.contains("split it")));
    }
}
