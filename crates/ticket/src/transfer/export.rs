//! Exports: tickets that a filter finds, as whoever asks may read them, written to a file in the background.
//!
//! Everything is read with the rights of whoever started it. If those change on the way, the export fails: a file of which half was written
//! for somebody who might see more is for nobody. What came to be there is fetched by whoever started it, while they may do what they might.

use std::collections::HashMap;

use access::Changed;
use access::operation::{NOBODY, Starter, TakenUp};
use bytes::Bytes;
use chrono::Duration;
use futures_util::stream::BoxStream;
use kernel::error::Problems;
use kernel::{Ctx, Error, ErrorCode, Grants, Id, Result, Timestamp, UserError, Uuid, words};
use objects::{Objects, Sha256Hex};
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use super::column::{self, ExportColumn, Line};
use super::part::Progress;
use crate::fields::TICKET;
use crate::model::TicketKind;
use crate::queries::{RELATIONS, above};
use crate::service::Tickets;

/// The job that writes a file, and the kind of its operation.
pub const EXPORT: &str = "ticket.export";
/// How many tickets a file has at most.
pub const MAX_EXPORTED: u64 = 1_000_000;
/// How many bytes a file has at most: sizes are `Int` in the API.
pub const MAX_EXPORT_BYTES: i64 = i32::MAX as i64;
/// How many exports one actor may have under way.
pub const MAX_UNDER_WAY: u64 = 3;
/// How many exports one actor may start within 24 hours: each leaves a file behind.
pub const MAX_A_DAY: u64 = 50;
/// How long a file is there, from when its export was started.
pub const KEPT: Duration = Duration::hours(48);
/// How long an export may take.
pub const TAKES: Duration = Duration::hours(24);
/// From how many bytes on a part is written down, and memory is free again.
pub(super) const PART_BYTES: usize = 4 << 20;
/// How many tickets are read at once.
const PAGE: u64 = 200;
/// How many pages one run of the job reads at most: then others have their turn, and what was read is written down.
const SLICE: usize = 25;

words! {
    /// How a file is written.
    ExportFormat {
        /// A JSON object a line.
        JsonLines = "JSON_LINES",
        /// A table with a header, as RFC 4180 has it, which no spreadsheet takes for formulas.
        Csv = "CSV",
    }
}

impl ExportFormat {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            ExportFormat::JsonLines => "application/jsonl",
            ExportFormat::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// What the names of such files end with.
    pub const fn extension(self) -> &'static str {
        match self {
            ExportFormat::JsonLines => "jsonl",
            ExportFormat::Csv => "csv",
        }
    }
}

/// Write tickets to a file.
#[derive(Clone, Debug)]
pub struct ExportTickets {
    /// Those that a filter document finds.
    pub filter: Json,
    /// How.
    pub format: ExportFormat,
    /// What of them, in this order.
    pub columns: Vec<ExportColumn>,
}

/// What came of an export, as its operation tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    /// How it is written.
    pub format: ExportFormat,
    /// How many tickets there are.
    pub tickets: i64,
    /// How many bytes.
    pub bytes: i64,
    /// Their SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
    /// Until when it is there.
    pub expires_at: Timestamp,
    /// What whoever started it might do.
    pub rights: Grants,
}

impl Exported {
    /// Whether this viewer, who started it, may have the file.
    pub fn is_for(&self, viewer: &Ctx) -> bool {
        viewer.now() < self.expires_at && viewer.grants.cover(&self.rights)
    }
}

/// A file that is being read.
pub struct ExportedFile {
    /// What it is called.
    pub file_name: String,
    /// What came of its export.
    pub exported: Exported,
    /// The bytes; an error breaks them off.
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// What a job is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Input {
    filter: Json,
    format: ExportFormat,
    columns: Vec<ExportColumn>,
    /// The custom fields that have a column each in a table.
    keys: Vec<String>,
    rights: Grants,
    starter: Starter,
}

/// Why an export ends without a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Nobody,
    OtherRights,
    TooLong,
    TooMany,
    TooLarge,
}

impl Ending {
    fn text(self) -> String {
        match self {
            Ending::Nobody => NOBODY.into(),
            Ending::OtherRights => {
                "what whoever started it may do has changed on the way; nothing was kept: start it again".into()
            }
            Ending::TooLong => format!("it took longer than {} hours; narrow the filter", TAKES.num_hours()),
            Ending::TooMany => {
                format!("the filter finds more than {MAX_EXPORTED} tickets; that is the limit: narrow it")
            }
            Ending::TooLarge => {
                format!(
                    "the file would have more than {MAX_EXPORT_BYTES} bytes; that is the limit: narrow the filter, or name fewer columns"
                )
            }
        }
    }
}

/// Why an export may not go on, if it may not.
fn ending(progress: &Progress, started_at: Timestamp, now: Timestamp) -> Option<Ending> {
    if now - started_at > TAKES {
        return Some(Ending::TooLong);
    }
    if progress.tickets > MAX_EXPORTED as i64 {
        return Some(Ending::TooMany);
    }
    (progress.bytes > MAX_EXPORT_BYTES).then_some(Ending::TooLarge)
}

fn check_columns(columns: &[ExportColumn]) -> Result<()> {
    let mut problems = Problems::default();
    if columns.is_empty() {
        problems.add(UserError::constraint(["columns"], "name at least one column", "minItems", Some(1)));
    }
    for (place, column) in columns.iter().enumerate() {
        if columns[..place].contains(column) {
            let message = format!("`{}` is named before already", column.as_str());
            problems.add(UserError::constraint(["columns".to_owned(), place.to_string()], message, "unique", None));
        }
    }
    problems.check()
}

/// What is written of a file so far: one part at most.
struct Page {
    bytes: Vec<u8>,
    tickets: i64,
    last: Option<Uuid>,
}

impl Tickets {
    /// Has a file written in the background.
    ///
    /// # Errors
    /// User errors below `filter` and at `columns`; `LIMIT` beyond [`MAX_UNDER_WAY`] and [`MAX_A_DAY`].
    pub async fn export(&self, ctx: &Ctx, command: ExportTickets) -> Result<Changed<Row>> {
        check_columns(&command.columns)?;
        self.bulk_condition(ctx, &command.filter).await?;
        let definitions = self.custom_fields(&self.store().read("customField.list"), ctx).await?;
        let keys = definitions.iter().map(|field| field.key.clone()).collect();
        let input = Input {
            filter: command.filter,
            format: command.format,
            columns: command.columns,
            keys,
            rights: Grants::clone(&ctx.grants),
            starter: Starter::of(ctx),
        };
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketExport", move |tx| {
            let (tickets, input) = (tickets.clone(), input.clone());
            Box::pin(async move { tickets.begin_export_in(tx, input).await })
        });
        self.access().started(ctx, written.await?).await
    }

    async fn begin_export_in(&self, tx: &mut Tx, input: Input) -> Result<Row> {
        self.access().admit_operation_in(tx, EXPORT, MAX_UNDER_WAY, "exports").await?;
        if self.access().count_started_in(tx, EXPORT, tx.now() - Duration::hours(24)).await? >= MAX_A_DAY {
            let message =
                format!("you have started {MAX_A_DAY} exports within 24 hours; that is the limit: wait for a while");
            return Err(UserError::limit([] as [&str; 0], message, MAX_A_DAY).into());
        }
        self.access().start_operation_in(tx, EXPORT, json!(input)).await
    }

    /// Does a slice of the work of an [`EXPORT`]; answers whether there is more.
    ///
    /// # Errors
    /// Database errors and those of the store of objects; the job is tried again, and goes on behind the last part that is there.
    pub async fn run_export(&self, objects: &Objects, system: &Ctx, payload: &Json) -> Result<bool> {
        self.run_export_pages(objects, system, payload, SLICE).await
    }

    /// The same for a slice of so many pages.
    ///
    /// # Errors
    /// As [`Tickets::run_export`].
    pub async fn run_export_pages(
        &self,
        objects: &Objects,
        system: &Ctx,
        payload: &Json,
        pages: usize,
    ) -> Result<bool> {
        let taken = self.access().take_up::<Input>(system, payload).await?;
        let Some(TakenUp { row, input }) = taken.filter(|taken| !taken.is_over()) else { return Ok(false) };
        match self.export_slice(objects, system, &row, &input, pages).await? {
            Ok(more) => Ok(more),
            Err(why) => {
                self.access().end_operation(system, row.id(), Err(why)).await?;
                Ok(false)
            }
        }
    }

    async fn export_slice(
        &self,
        objects: &Objects,
        system: &Ctx,
        row: &Row,
        input: &Input,
        pages: usize,
    ) -> Result<std::result::Result<bool, String>> {
        let (access, operation) = (self.access(), row.id());
        let so_far = self.exported_so_far(system, operation).await?;
        let reading = match self.reading(system, input).await? {
            Ok(reading) => reading,
            Err(why) => return Ok(Err(why)),
        };
        let total = match row.get("total").as_int() {
            Some(total) => total,
            None => self.count_to_export(&reading).await?,
        };
        if total > MAX_EXPORTED as i64 {
            return Ok(Err(Ending::TooMany.text()));
        }
        if !access.progress(system, operation, so_far.tickets, Some(total)).await? {
            return Ok(Ok(false));
        }
        let mut page = Page { bytes: Vec::new(), tickets: 0, last: so_far.last };
        if so_far.parts == 0 {
            page.bytes = begin(input)?;
        }
        let mut all = false;
        for _ in 0..pages {
            all = !self.read_page(&reading, input, &mut page).await?;
            if all || page.bytes.len() >= PART_BYTES {
                break;
            }
        }
        // Whoever lost a right while this was read would find in it what they may no longer know.
        if let Err(why) = self.reading(system, input).await? {
            return Ok(Err(why));
        }
        let progress = so_far.with(&page.bytes, page.tickets, page.last);
        if let Some(ending) = ending(&progress, row.time("createdAt"), system.now()) {
            return Ok(Err(ending.text()));
        }
        if !page.bytes.is_empty() {
            self.keep_part((objects, system), operation, &progress, page.bytes, KEPT).await?;
        }
        if all {
            let exported = Exported {
                format: input.format,
                tickets: progress.tickets,
                bytes: progress.bytes,
                sha256: progress.digest.end().to_string(),
                expires_at: row.time("createdAt") + KEPT,
                rights: input.rights.clone(),
            };
            access
                .settle_operation(system, operation, progress.tickets, Some(progress.tickets), json!(exported))
                .await?;
            return Ok(Ok(false));
        }
        let goes_on = access.progress(system, operation, progress.tickets, Some(total.max(progress.tickets))).await?;
        Ok(Ok(goes_on))
    }

    /// Whoever started it, with the rights of then, and what they look for; or why that is no more.
    async fn reading(&self, system: &Ctx, input: &Input) -> Result<std::result::Result<(Ctx, Predicate), String>> {
        let Some(ctx) = self.access().acting(system, &input.starter).await? else {
            return Ok(Err(Ending::Nobody.text()));
        };
        if *ctx.grants != input.rights {
            return Ok(Err(Ending::OtherRights.text()));
        }
        match self.bulk_condition(&ctx, &input.filter).await {
            Ok(condition) => Ok(Ok((ctx, condition))),
            // What was checked when it was started does not hold any more.
            Err(error @ Error::Refused(_)) => Ok(Err(error.to_string())),
            Err(other) => Err(other),
        }
    }

    async fn count_to_export(&self, (ctx, condition): &(Ctx, Predicate)) -> Result<i64> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.exportCount");
        let scoped = self.access().scoped(ctx, &visible);
        let count = query::count_to(&reader, &scoped, &TICKET, condition, MAX_EXPORTED).await?;
        let total = count.total + u64::from(!count.exact);
        Ok(i64::try_from(total).unwrap_or(i64::MAX))
    }

    /// Writes the next tickets behind those that are there; answers whether there may be more.
    async fn read_page(&self, (ctx, condition): &(Ctx, Predicate), input: &Input, page: &mut Page) -> Result<bool> {
        let kinds: Vec<&'static str> = self.kinds().iter().map(|rules| rules.record().name).collect();
        let relations: Vec<&'static str> = RELATIONS.iter().copied().chain(kinds.iter().copied()).collect();
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let next = condition.clone().and(above(page.last));
        let reader = self.store().read("ticket.export");
        let rows = query::all(&reader, &scoped, &TICKET, &next, &relations, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(false) };
        page.last = Some(last.id());
        let wants = |column| input.columns.contains(&column);
        let refs =
            if wants(ExportColumn::ExternalRefs) { self.refs_by_ticket(ctx, &rows).await? } else { HashMap::new() };
        let parents = if wants(ExportColumn::Parent) { self.parent_numbers(ctx, &rows).await? } else { HashMap::new() };
        let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        for row in &rows {
            let kind = TicketKind::parse(&row.text("kind")).ok_or_else(|| Error::internal("a ticket of no kind"))?;
            let line = Line {
                ticket: row,
                id: Id::new(kind.id_prefix(), row.id()).to_string(),
                kinds: &kinds,
                external_refs: refs.get(&row.id()).map_or(&[], Vec::as_slice),
                parents: &parents,
            };
            match input.format {
                ExportFormat::JsonLines => line.write_json(&input.columns, &mut page.bytes),
                ExportFormat::Csv => {
                    table.write_record(line.cells(&input.columns, &input.keys)).map_err(Error::internal)?
                }
            }
        }
        page.bytes.extend(table.into_inner().map_err(Error::internal)?);
        page.tickets += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        Ok(rows.len() as u64 == PAGE)
    }

    async fn refs_by_ticket(&self, ctx: &Ctx, rows: &[Row]) -> Result<HashMap<Uuid, Vec<(String, String)>>> {
        let ids: Vec<Uuid> = rows.iter().map(Row::id).collect();
        let mut refs: HashMap<Uuid, Vec<_>> = HashMap::new();
        for found in self.external_refs_of(ctx, &ids).await? {
            let Some(ticket) = found.get("ticket").as_id() else { continue };
            refs.entry(ticket).or_default().push((found.text("source"), found.text("key")));
        }
        Ok(refs)
    }

    async fn parent_numbers(&self, ctx: &Ctx, rows: &[Row]) -> Result<HashMap<Uuid, String>> {
        let of = |row: &Row| row.relation("task").and_then(|task| task.get("parent").as_id());
        let mut parents: Vec<Uuid> = rows.iter().filter_map(of).collect();
        parents.sort_unstable();
        parents.dedup();
        let found = self.by_ids(ctx, &TICKET, &parents, &[]).await?;
        Ok(found.iter().map(|row| (row.id(), row.text("number"))).collect())
    }

    /// Opens the file of an export; whoever asks has a link to it.
    ///
    /// # Errors
    /// `NOT_FOUND` for one that is not there, not yet, or no longer.
    pub async fn open_export(&self, objects: &Objects, tenant: Uuid, operation: Uuid) -> Result<ExportedFile> {
        let system = self.access().system_ctx(tenant, EXPORT);
        let missing = || Error::request(ErrorCode::NotFound, "the file is there no longer");
        let row = self.access().operation(&system, operation).await?.ok_or_else(missing)?;
        let exported = serde_json::from_value::<Exported>(row.get("result").to_json()).map_err(|_| missing())?;
        if row.text("kind") != EXPORT || system.now() >= exported.expires_at {
            return Err(missing());
        }
        let body = self.read_parts(objects, &system, operation).await?;
        let day = row.time("createdAt").format("%Y-%m-%d");
        let file_name = format!("tickets-{day}.{}", exported.format.extension());
        Ok(ExportedFile { file_name, exported, body })
    }
}

/// What a file begins with.
fn begin(input: &Input) -> Result<Vec<u8>> {
    if input.format == ExportFormat::JsonLines {
        return Ok(Vec::new());
    }
    let mut table = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    table.write_record(column::header(&input.columns, &input.keys)).map_err(Error::internal)?;
    table.into_inner().map_err(Error::internal)
}

impl ExportedFile {
    /// The checksum of its bytes.
    ///
    /// # Errors
    /// `INTERNAL` for what is none.
    pub fn sha256(&self) -> Result<Sha256Hex> {
        Sha256Hex::parse(&self.exported.sha256).ok_or_else(|| Error::internal("the checksum of an export is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold() {
        let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |tickets, bytes, age| ending(&Progress { tickets, bytes, ..Progress::default() }, now - age, now);
        let hour = Duration::hours(1);
        assert_eq!(at(MAX_EXPORTED as i64, MAX_EXPORT_BYTES, hour), None);
        assert_eq!(at(MAX_EXPORTED as i64 + 1, 1, hour), Some(Ending::TooMany));
        assert_eq!(at(1, MAX_EXPORT_BYTES + 1, hour), Some(Ending::TooLarge));
        assert_eq!(at(1, 1, TAKES + hour), Some(Ending::TooLong));
        assert!(TAKES < KEPT, "a file is there when its export has taken its time");
    }

    #[test]
    fn columns_are_named_once() {
        let path = |columns: &[ExportColumn]| match check_columns(columns) {
            Err(Error::Refused(errors)) => errors[0].path.join("."),
            _ => String::new(),
        };
        assert_eq!(path(ExportColumn::ALL), "");
        assert_eq!(path(&[]), "columns");
        assert_eq!(path(&[ExportColumn::Number, ExportColumn::Title, ExportColumn::Number]), "columns.2");
    }
}
