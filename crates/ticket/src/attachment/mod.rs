//! Attachments: files on tickets, and on what is said there. A file is announced and uploaded first ([`upload`]); then it is attached, by its
//! upload's id. Where a scanner is set up, nobody fetches a file before it was found clean.

pub mod media_type;
pub mod upload;

use std::sync::Arc;

use access::permission::{ATTACHMENT_REMOVE, ATTACHMENT_SCAN, everything};
use kernel::error::Problems;
use kernel::{Ctx, Id, PageDirection, Result, UserError, Uuid, id, words};
use objects::{Key, Objects, Reading};
use predicate::Predicate;
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{RecordRef, Tx, Written};

use crate::commands::check_text;
use crate::comment::audience;
use crate::edit::Edit;
use crate::events;
use crate::fields::{ATTACHMENT, UPLOAD};
use crate::model::{CommentVisibility, MAX_TITLE};
use crate::queries::TicketRef;
use crate::service::{Tickets, told_along};
pub use upload::{CreateUpload, FileRules, UploadState};

/// How many files a ticket has at most.
pub const MAX_ATTACHMENTS: usize = 100;
/// How many files one call attaches at most.
pub const MAX_FILES: usize = 10;

words! {
    /// What is known of whether a file does harm.
    ScanState {
        /// A scanner has yet to look at it; only scanners fetch it.
        Pending = "PENDING",
        /// Nothing was found, or nobody looks.
        Clean = "CLEAN",
        /// Something was found. Its bytes are deleted.
        Rejected = "REJECTED",
    }
}

/// Files that come with what is said.
#[derive(Clone, Debug)]
pub struct NewFiles {
    /// The uploads, at most [`MAX_FILES`].
    pub uploads: Vec<Id>,
    /// What is known of them at first.
    pub scan: ScanState,
}

/// Attach files to a ticket.
#[derive(Clone, Debug)]
pub struct AddAttachments {
    /// To which ticket.
    pub ticket: TicketRef,
    /// The uploads, at most [`MAX_FILES`].
    pub uploads: Vec<Id>,
    /// Who may see them.
    pub visibility: CommentVisibility,
}

/// Say what a scanner found.
#[derive(Clone, Debug)]
pub struct ReportScan {
    /// Which attachment.
    pub id: Id,
    /// Whether it does no harm.
    pub clean: bool,
    /// What was found, for people; at most [`MAX_TITLE`] characters.
    pub finding: Option<String>,
}

/// What came of a write about attachments.
#[derive(Clone, Debug)]
pub struct AttachmentOutcome {
    /// The attachments as they are now, as far as the viewer may see them.
    pub attachments: Vec<Row>,
    /// The ticket.
    pub ticket: Option<Row>,
    /// What was recorded.
    pub events: Vec<store::Event>,
}

impl Tickets {
    /// Attaches files that were uploaded.
    ///
    /// # Errors
    /// `NOT_FOUND` for a ticket or an upload that is not the viewer's; `FORBIDDEN` for whoever may not comment there; `VALIDATION` for an upload that
    /// has not arrived; `LIMIT` beyond [`MAX_ATTACHMENTS`].
    pub async fn add_attachments(
        &self,
        ctx: &Ctx,
        rules: &FileRules,
        command: AddAttachments,
    ) -> Result<AttachmentOutcome> {
        let mut problems = Problems::default();
        check_number(&mut problems, "uploads", &command.uploads);
        if command.uploads.is_empty() {
            problems.add(UserError::constraint(["uploads"], "name at least one upload", "minItems", Some(1)));
        }
        problems.check()?;
        let (tickets, scan) = (self.clone(), rules.first_state());
        let written = self.store().write(ctx, "attachmentAdd", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let edit = tickets.edit_in(tx, &command.ticket, "id").await?;
                edit.hold_in(tx).await?;
                tickets.authorise_comment(&tx.ctx().clone(), &edit, command.visibility)?;
                let place = Place { visibility: command.visibility, comment: None, scan, path: "uploads" };
                let attached = tickets.attach_in(tx, &edit, &command.uploads, place).await?;
                tx.answers_with(edit.reference());
                Ok((attached, edit.after))
            })
        });
        let written = written.await?;
        let events = self.events_of(ctx, &written).await?;
        match written {
            Written::Fresh { value: (attached, ticket), along, .. } => {
                let attachments = attached.into_iter().filter_map(|row| self.masked(ctx, row)).collect();
                Ok(AttachmentOutcome { attachments, ticket: self.masked(ctx, told_along(ticket, along)), events })
            }
            Written::Replayed { .. } => {
                let ids: Vec<Uuid> = events.iter().filter_map(attachment_of).collect();
                let mut attachments = self.by_ids(ctx, &ATTACHMENT, &ids, &["attachedBy"]).await?;
                // As the call named them.
                attachments.sort_by_key(|row| ids.iter().position(|id| *id == row.id()));
                let ticket = self.ticket_of(ctx, attachments.first()).await?;
                let events = if attachments.is_empty() { Vec::new() } else { events };
                Ok(AttachmentOutcome { attachments, ticket, events })
            }
        }
    }

    /// Attaches uploads of the viewer to a ticket that is held, with an event for each.
    ///
    /// # Errors
    /// As [`Self::add_attachments`].
    pub(crate) async fn attach_in(&self, tx: &mut Tx, edit: &Edit, uploads: &[Id], place: Place) -> Result<Vec<Row>> {
        if uploads.is_empty() {
            return Ok(Vec::new());
        }
        let ctx = tx.ctx().clone();
        let taken = self.uploads_in(tx, uploads, place.path).await?;
        let all = [Predicate::eq("ticket", edit.after.id())];
        let there = self.count_all_in(tx, &ATTACHMENT, &all).await?.into_iter().sum::<u64>();
        if there + taken.len() as u64 > MAX_ATTACHMENTS as u64 {
            let message = format!("the ticket has {there} attachments; at most {MAX_ATTACHMENTS} are allowed");
            return Err(UserError::limit([place.path], message, MAX_ATTACHMENTS as u64).into());
        }
        let author = self.access().actors_in(tx, &ctx, &[ctx.actor.id]).await?.pop();
        let mut attached = Vec::new();
        for upload in taken {
            let mut row = Row::new(&ATTACHMENT, place.fields(edit, &upload, &ctx, tx.now()));
            query::delete_in(&*tx, ctx.tenant, &UPLOAD, &[("id", upload.id())]).await?;
            query::insert_in(&*tx, ctx.tenant, &ATTACHMENT, &row).await?;
            self.tell_of_attachment(tx, edit, events::ATTACHMENT_ADDED, &row);
            row.set_relation("attachedBy", author.clone());
            row.set_relation("ticket", Some(edit.after.clone()));
            attached.push(row);
        }
        Ok(attached)
    }

    /// Takes a file off its ticket; its bytes are deleted by a sweep, after [`upload::GRACE`].
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` for anybody but whoever attached it without `attachment.remove`.
    pub async fn remove_attachment(&self, ctx: &Ctx, attachment: Id) -> Result<AttachmentOutcome> {
        let tickets = self.clone();
        let written = self.store().write(ctx, "attachmentRemove", move |tx| {
            let (tickets, attachment) = (tickets.clone(), attachment);
            Box::pin(async move {
                let (edit, row) = tickets.attachment_edit_in(tx, attachment).await?;
                tickets.authorise_removal(&tx.ctx().clone(), &edit, &row)?;
                tickets.discard_in(tx, &edit, &row).await?;
                tx.answers_with(edit.reference());
                Ok(edit.after)
            })
        });
        let written = written.await?;
        let events = self.events_of(ctx, &written).await?;
        let ticket = match written {
            Written::Fresh { value, along, .. } => self.masked(ctx, told_along(value, along)),
            Written::Replayed { record, .. } => self.ticket_with_id(ctx, record.id.uuid).await?,
        };
        let events = if ticket.is_some() { events } else { Vec::new() };
        Ok(AttachmentOutcome { attachments: Vec::new(), ticket, events })
    }

    /// Notes what a scanner found. What does harm is not handed out, and its bytes are deleted by a sweep, after [`upload::GRACE`].
    ///
    /// # Errors
    /// `FORBIDDEN` without `attachment.scan`; `NOT_FOUND`; `VALIDATION` for a file that was looked at already.
    pub async fn report_scan(&self, ctx: &Ctx, command: ReportScan) -> Result<AttachmentOutcome> {
        self.access().require_tenant(ctx, ATTACHMENT_SCAN)?;
        if let Some(finding) = &command.finding {
            let mut problems = Problems::default();
            check_text(&mut problems, "finding", finding, MAX_TITLE);
            problems.check()?;
        }
        // The ticket is none that a scanner sees: on it, what it found is told with every right.
        let acting = Ctx { grants: Arc::new(everything()), ..ctx.clone() };
        let tickets = self.clone();
        let written = self.store().write(&acting, "attachmentScanned", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let row = tickets.scan_in(tx, &command).await?;
                tx.answers_with(RecordRef { id: Id::new(id::prefix::ATTACHMENT, row.id()), version: 1 });
                Ok(row)
            })
        });
        let written = written.await?;
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => self.masked(ctx, value),
            Written::Replayed { record, .. } => {
                self.by_ids(ctx, &ATTACHMENT, &[record.id.uuid], &["attachedBy"]).await?.pop()
            }
        };
        let ticket = self.ticket_of(ctx, row.as_ref()).await?;
        // A scanner sees no ticket, and so nothing of what is recorded there.
        let events = if ticket.is_some() { events } else { Vec::new() };
        Ok(AttachmentOutcome { attachments: row.into_iter().collect(), ticket, events })
    }

    async fn scan_in(&self, tx: &mut Tx, command: &ReportScan) -> Result<Row> {
        let (edit, mut row) = self.attachment_edit_in(tx, command.id).await?;
        if row.text("scan") != ScanState::Pending.as_str() {
            let message = "the file was looked at already";
            return Err(UserError::constraint(["id"], message, "scan", None).into());
        }
        let scan = if command.clean { ScanState::Clean } else { ScanState::Rejected };
        let finding = command.finding.as_deref().map(str::trim);
        let changes = [("scan", scan.as_str().into()), ("scannedAt", tx.now().into()), ("finding", finding.into())];
        query::update_in(&*tx, tx.ctx().tenant, &ATTACHMENT, row.id(), None, &changes).await?;
        for (field, value) in changes {
            row.set(field, value);
        }
        if scan == ScanState::Rejected {
            self.expire_object_in(tx, &row).await?;
        }
        self.tell_of_attachment(tx, &edit, events::ATTACHMENT_SCANNED, &row);
        row.set_relation("ticket", Some(edit.after));
        Ok(row)
    }

    /// Takes away the files of a comment, with an event for each.
    pub(crate) async fn discard_of_comment_in(&self, tx: &mut Tx, edit: &Edit, comment: Uuid) -> Result<()> {
        let ctx = tx.ctx().clone();
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(&ctx, &everything);
        let condition = Predicate::eq("comment", comment);
        let rows = query::all(&*tx, &scoped, &ATTACHMENT, &condition, &[], MAX_ATTACHMENTS as u64).await?;
        for row in rows {
            self.discard_in(tx, edit, &row).await?;
        }
        Ok(())
    }

    async fn discard_in(&self, tx: &mut Tx, edit: &Edit, row: &Row) -> Result<()> {
        // The bytes of what was rejected are given up already.
        if row.text("scan") != ScanState::Rejected.as_str() {
            self.expire_object_in(tx, row).await?;
        }
        query::delete_in(&*tx, tx.ctx().tenant, &ATTACHMENT, &[("id", row.id())]).await?;
        self.tell_of_attachment(tx, edit, events::ATTACHMENT_REMOVED, row);
        Ok(())
    }

    fn authorise_removal(&self, ctx: &Ctx, edit: &Edit, row: &Row) -> Result<()> {
        match row.get("attachedBy").as_id() == Some(ctx.actor.id) {
            true => Ok(()),
            false => self.require_on(ctx, edit, ATTACHMENT_REMOVE),
        }
    }

    /// The attachment that a write is about, and its ticket, held.
    async fn attachment_edit_in(&self, tx: &mut Tx, id: Id) -> Result<(Edit, Row)> {
        let seen = self.attachment_in(tx, id, &["ticket"]).await?;
        // A file can be taken away, and is looked at for harm, wherever it stands.
        let edit = self.edit_merged_of_in(tx, &seen, WHAT).await?;
        edit.hold_in(tx).await?;
        let row = self.attachment_in(tx, id, &[]).await?;
        edit.expect_to_hold(tx, &row)?;
        Ok((edit, row))
    }

    async fn attachment_in(&self, tx: &mut Tx, id: Id, relations: &[&'static str]) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let condition = access::of_type(&id, id::prefix::ATTACHMENT).ok_or_else(missing)?;
        query::find(&*tx, &scoped, &ATTACHMENT, &condition, relations).await?.ok_or_else(missing)
    }

    fn tell_of_attachment(&self, tx: &mut Tx, edit: &Edit, kind: &'static str, row: &Row) {
        let mut event = edit.event(self.access(), kind, payload(row));
        event.changes.clear();
        event.audience = audience(visibility_of(row));
        tx.emit(event);
    }

    /// The attachments of each of these tickets, or of these comments, in the order in which they came, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn attachments_of(&self, ctx: &Ctx, parent: &'static str, parents: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.attachments");
        let scoped = self.access().scoped(ctx, &visible);
        let (all, forward, limit) = (Predicate::always(), PageDirection::Forward, MAX_ATTACHMENTS as u32);
        query::by_parents(&reader, &scoped, &ATTACHMENT, parent, parents, &all, forward, limit, &["attachedBy"]).await
    }

    /// Opens a file for whoever has a link to it. `unscanned`: the link is a scanner's, who also fetches what nobody has looked at yet.
    ///
    /// # Errors
    /// `NOT_FOUND` for what was taken away, rejected, or waits for a scanner; those of the store of objects.
    pub async fn open_attachment(
        &self,
        objects: &Objects,
        tenant: Uuid,
        attachment: Uuid,
        unscanned: bool,
    ) -> Result<(Row, Reading)> {
        let ctx = self.access().system_ctx(tenant, "attachment");
        let row = self.by_ids(&ctx, &ATTACHMENT, &[attachment], &[]).await?.pop().ok_or_else(missing)?;
        match ScanState::parse(&row.text("scan")) {
            Some(ScanState::Clean) => {}
            Some(ScanState::Pending) if unscanned => {}
            _ => return Err(missing()),
        }
        let reading = objects.read(&Key::new(tenant, attachment)).await?;
        Ok((row, reading))
    }
}

/// Where files are attached, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Who may see them.
    pub visibility: CommentVisibility,
    /// The comment that they come with.
    pub comment: Option<Uuid>,
    /// What is known of them.
    pub scan: ScanState,
    /// The input that names the uploads.
    pub path: &'static str,
}

impl Place {
    fn fields(
        self,
        edit: &Edit,
        upload: &Row,
        ctx: &Ctx,
        now: kernel::Timestamp,
    ) -> Vec<(&'static str, predicate::Value)> {
        let mut fields = vec![
            ("id", upload.id().into()),
            ("ticket", edit.after.id().into()),
            ("comment", self.comment.into()),
            ("attachedBy", ctx.actor.id.into()),
            ("visibility", self.visibility.as_str().into()),
            ("scan", self.scan.as_str().into()),
            ("createdAt", now.into()),
        ];
        let kept = ["fileName", "mediaType", "bytes", "sha256"];
        fields.extend(kept.into_iter().map(|name| (name, upload.get(name).clone())));
        fields
    }
}

const WHAT: &str = "the attachment";

fn missing() -> kernel::Error {
    UserError::not_found(["id"], WHAT).into()
}

/// Checks how many uploads are named at once.
pub(crate) fn check_number(problems: &mut Problems, path: &'static str, uploads: &[Id]) {
    if uploads.len() > MAX_FILES {
        let message = format!("{} uploads are named; at most {MAX_FILES} are attached at once", uploads.len());
        problems.add(UserError::limit([path], message, MAX_FILES as u64));
    }
}

fn visibility_of(row: &Row) -> CommentVisibility {
    CommentVisibility::parse(&row.text("visibility")).unwrap_or(CommentVisibility::Internal)
}

/// What events of an attachment say of it: not its name, which could not be taken back.
fn payload(row: &Row) -> Json {
    let mut payload = json!({
        "attachment": row.id().to_string(), "visibility": row.text("visibility"), "scan": row.text("scan"),
    });
    if let Some(comment) = row.get("comment").as_id() {
        payload["comment"] = json!(comment.to_string());
    }
    payload
}

/// Which attachment an event is about.
fn attachment_of(event: &store::Event) -> Option<Uuid> {
    event.payload.get("attachment")?.as_str()?.parse().ok()
}
