//! Files of tickets: exports and imports.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use chrono::{Duration, SubsecRound};
use kernel::id::prefix;
use kernel::{Id, UserError as Problem, Uuid};
use store::query::Row;
use ticket::transfer::{ExportTickets, Exported, ImportTickets, Imported};

use crate::context::{mutation, platform, viewer, written};
use crate::files::link::{Link, Purpose};
use crate::files::uploads::url_of;
use crate::operations::Operation;
use crate::payload::{outcome, payload};
use crate::scalars::DateTime;
use crate::tickets::bulk::TicketBulkOnError;
use crate::tickets::filters::{TicketFilter, written_filter};
use crate::tickets::words::{TicketKind, word};

/// How long the link to a file holds.
const LINK_HOLDS: Duration = Duration::minutes(5);

word! {
    /// How a file of tickets is written, in UTF-8.
    TicketExportFormat = ticket::transfer::ExportFormat {
        /// JSON Lines: a JSON object a line, with the columns as its fields. `ticketImport` takes it.
        JsonLines = "JSON_LINES",
        /// CSV as RFC 4180 has it, with a header. A text that a spreadsheet would take for a formula has an apostrophe in front.
        Csv = "CSV",
    }
}

word! {
    /// A column of a file of tickets: in the file its name is written as the field's is, such as `stateCategory`.
    TicketExportColumn = ticket::transfer::ExportColumn {
        /// The id, such as `inc_01jcz8…`.
        Id = "ID",
        /// The number, such as `INC-1042`.
        Number = "NUMBER",
        /// The kind, such as `INCIDENT`.
        Kind = "KIND",
        /// What it is about, in a line.
        Title = "TITLE",
        /// What it is about at length, in Markdown.
        Description = "DESCRIPTION",
        /// The key of the state.
        State = "STATE",
        /// The category of the state.
        StateCategory = "STATE_CATEGORY",
        /// What it waits for.
        WaitingReason = "WAITING_REASON",
        /// Until when it waits.
        WaitingUntil = "WAITING_UNTIL",
        /// How many are affected.
        Impact = "IMPACT",
        /// How long it can wait.
        Urgency = "URGENCY",
        /// The priority.
        Priority = "PRIORITY",
        /// The key of the category.
        Category = "CATEGORY",
        /// The key of the service.
        Service = "SERVICE",
        /// Who is affected: the e-mail address, or the name where the viewer may not read that.
        Requester = "REQUESTER",
        /// Who wrote it down, as `REQUESTER`; of a service account, the name.
        OpenedBy = "OPENED_BY",
        /// The slug of the team.
        Team = "TEAM",
        /// Who works on it, as `REQUESTER`.
        Assignee = "ASSIGNEE",
        /// The tags: a list, in CSV with `; ` between two.
        Tags = "TAGS",
        /// What it is called in other systems: objects of `source` and `key`, in CSV `source:key` with `; ` between two.
        ExternalRefs = "EXTERNAL_REFS",
        /// The values of custom fields that the viewer may read: an object by their keys, in CSV a column each, `customFields.KEY`.
        CustomFields = "CUSTOM_FIELDS",
        /// The number of the ticket that a task belongs to, if the viewer may see it.
        Parent = "PARENT",
        /// How an incident or a problem came in.
        Origin = "ORIGIN",
        /// How it was resolved.
        ResolutionCode = "RESOLUTION_CODE",
        /// How it was resolved, at length.
        ResolutionNotes = "RESOLUTION_NOTES",
        /// How a problem shows.
        Symptom = "SYMPTOM",
        /// Why there is a problem.
        RootCause = "ROOT_CAUSE",
        /// What helps against a problem meanwhile.
        Workaround = "WORKAROUND",
        /// Whether a problem is a known error.
        KnownError = "KNOWN_ERROR",
        /// How the service level stands that is due next.
        SlaState = "SLA_STATE",
        /// When the next clock of a service level is due.
        SlaDueAt = "SLA_DUE_AT",
        /// The version.
        Version = "VERSION",
        /// When it was opened.
        CreatedAt = "CREATED_AT",
        /// When it was last changed.
        UpdatedAt = "UPDATED_AT",
        /// When somebody took notice.
        AcknowledgedAt = "ACKNOWLEDGED_AT",
        /// When the requester first heard of it.
        FirstRespondedAt = "FIRST_RESPONDED_AT",
        /// When it was resolved.
        ResolvedAt = "RESOLVED_AT",
        /// When it was closed.
        ClosedAt = "CLOSED_AT",
    }
}

/// What came of an export.
pub struct TicketExport {
    exported: Exported,
    operation: Uuid,
    started_by: Option<Uuid>,
}

impl TicketExport {
    /// Of an operation's result.
    pub fn of(operation: &Row, exported: Exported) -> Self {
        Self { exported, operation: operation.id(), started_by: operation.get("startedBy").as_id() }
    }
}

/// A file of tickets that was written.
#[Object]
impl TicketExport {
    /// How it is written.
    async fn format(&self) -> Result<TicketExportFormat> {
        let format = TicketExportFormat::parse(self.exported.format.as_str());
        Ok(format.ok_or_else(|| kernel::Error::internal("an export of no format"))?)
    }

    /// How many tickets stand in it.
    async fn tickets(&self) -> i32 {
        i32::try_from(self.exported.tickets).unwrap_or(i32::MAX)
    }

    /// How many bytes it has.
    async fn bytes(&self) -> i32 {
        i32::try_from(self.exported.bytes).unwrap_or(i32::MAX)
    }

    /// The SHA-256 of its bytes, as 64 hexadecimal digits.
    async fn sha256(&self) -> &str {
        &self.exported.sha256
    }

    /// When it is deleted: 48 hours after its export was started.
    async fn expires_at(&self) -> DateTime {
        DateTime(self.exported.expires_at)
    }

    /// Where to fetch it, by `GET` and without credentials, for five minutes; relative to where the API is, unless the installation has a
    /// public address. Whoever has it may use it. Null for everybody but who started the export, for them as well once they may do less than
    /// then, and when the file is deleted.
    async fn download_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let viewer = viewer(ctx)?;
        if self.started_by != Some(viewer.actor.id) || !self.exported.is_for(&viewer) {
            return Ok(None);
        }
        let expires_at = (viewer.now().trunc_subsecs(0) + LINK_HOLDS).min(self.exported.expires_at.trunc_subsecs(0));
        let link = Link { purpose: Purpose::Export, tenant: viewer.tenant, file: self.operation, expires_at };
        Ok(Some(url_of(platform(ctx), link)))
    }
}

/// Writes tickets to a file.
#[derive(Clone, Debug, InputObject)]
pub struct TicketExportInput {
    /// Which; all that the viewer may see when absent. At most 1,000,000.
    pub filter: Option<TicketFilter>,
    /// How; `JSON_LINES` when absent.
    pub format: Option<TicketExportFormat>,
    /// What of them, each once and in this order; everything when absent.
    pub columns: Option<Vec<TicketExportColumn>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Check the input, answer, and write nothing.
    pub dry_run: Option<bool>,
}

payload! {
    /// The export that was started.
    TicketExportPayload {
        /// Its operation, whose result is a `TicketExport`; null when it was not started.
        operation: Operation
    }
}

impl TicketExportInput {
    fn command(self, written: &serde_json::Value) -> kernel::Result<ExportTickets> {
        let filter = written_filter(self.filter, written)?;
        let columns = self.columns.map(|columns| columns.into_iter().map(Into::into).collect());
        Ok(ExportTickets {
            filter: filter.unwrap_or_else(|| serde_json::json!({})),
            format: self.format.unwrap_or(TicketExportFormat::JsonLines).into(),
            columns: columns.unwrap_or_else(|| ticket::transfer::ExportColumn::ALL.to_vec()),
        })
    }
}

/// What came of an import.
pub struct TicketImport(pub Imported);

/// What came of an import; of each line, `results` of the operation tells.
#[Object]
impl TicketImport {
    /// Whether it was only tried.
    async fn dry_run(&self) -> bool {
        self.0.dry
    }

    /// How many lines were worked on, but for blank ones.
    async fn rows(&self) -> i32 {
        i32::try_from(self.0.rows).unwrap_or(i32::MAX)
    }

    /// How many of them became tickets; in a dry run: would.
    async fn created(&self) -> i32 {
        i32::try_from(self.0.created).unwrap_or(i32::MAX)
    }

    /// How many were refused.
    async fn failed(&self) -> i32 {
        i32::try_from(self.0.failed).unwrap_or(i32::MAX)
    }
}

/// Makes tickets of the lines of a file.
#[derive(Clone, Debug, InputObject)]
pub struct TicketImportInput {
    /// The id of an upload of the viewer's, whose bytes have arrived: JSON Lines in UTF-8, a ticket a line, at most 1,000,000 lines of at most
    /// 1 MiB.
    pub upload: ID,
    /// What lines are that have no `kind`.
    pub kind: Option<TicketKind>,
    /// Fields of the lines to leave aside, such as `number` of an export; at most 100. All others must be fields that an import sets.
    pub ignore: Option<Vec<String>>,
    /// What becomes of the others when a line is refused; `SKIP_ITEM` when absent. With `REJECT_ALL` all lines are tried first, and none becomes
    /// a ticket when one is refused.
    pub on_error: Option<TicketBulkOnError>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Try each line, and keep no ticket. The file stays for the real import.
    pub dry_run: Option<bool>,
}

payload! {
    /// The import that was started.
    TicketImportPayload {
        /// Its operation, whose result is a `TicketImport` and whose `results` tell of each line; null when it was not started.
        operation: Operation
    }
}

impl TicketImportInput {
    fn command(self) -> kernel::Result<ImportTickets> {
        let upload = Id::parse_as(&self.upload, &[prefix::UPLOAD]);
        let wrong = |error: kernel::id::IdError| Problem::constraint(["upload"], error.to_string(), "id", None);
        Ok(ImportTickets {
            upload: upload.map_err(wrong)?,
            kind: self.kind.map(Into::into),
            ignore: self.ignore.unwrap_or_default(),
            on_error: self.on_error.unwrap_or(TicketBulkOnError::SkipItem).into(),
        })
    }
}

/// Mutations of files of tickets.
#[derive(Default)]
pub struct TransferMutations;

#[Object]
impl TransferMutations {
    /// Writes tickets to a file in the background, oldest first: those that the viewer may see, with what the viewer may read of them. The
    /// file is in the operation's result, for 48 hours. When the viewer's rights change on the way, it fails. An actor has at most 3 exports
    /// under way, and starts at most 50 within 24 hours.
    async fn ticket_export(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tickets, and how they are written.")] input: TicketExportInput,
    ) -> Result<TicketExportPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command(&written(ctx)?) {
            Ok(command) => platform(ctx).tickets.export(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketExportPayload::of(ctx, &viewer, outcome(result))
    }

    /// Makes a ticket of each line of a file in the background, by the same way and the same rights as `incidentCreate` and its like. A line is an
    /// object of `kind`, `title`, `description`, `requester`, `impact`, `urgency`, `category`, `service`, `team`, `assignee`, `tags`,
    /// `customFields`, `externalRefs`, of an incident also `origin`, of a problem `origin`, `symptom`, `rootCause`, `workaround`, `knownError`,
    /// of a task `parent`: as `ticketExport` writes them. An actor has at most 3 imports under way. Needs `ticket.create`.
    async fn ticket_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which file, and how it is read.")] input: TicketImportInput,
    ) -> Result<TicketImportPayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.import_file(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketImportPayload::of(ctx, &viewer, outcome(result))
    }
}
