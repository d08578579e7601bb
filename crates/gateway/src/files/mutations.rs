//! Mutations of files.

use async_graphql::{Context, Object, Result};
use ticket::attachment::{AddAttachments, CreateUpload, ReportScan};

use super::attachments::{
    AttachmentAddInput, AttachmentAddPayload, AttachmentRemoveInput, AttachmentRemovePayload,
    AttachmentReportScanInput, AttachmentReportScanPayload, AttachmentVerdict, Done, attachment_id, upload_ids,
};
use super::uploads::{Upload, UploadCreateInput, UploadCreatePayload};
use crate::context::{mutation, platform};
use crate::tickets::queries::ticket_ref;
use crate::tickets::words::CommentVisibility;
use crate::user_error::part;

/// Mutations of files.
#[derive(Default)]
pub struct FileMutations;

fn add_command(input: AttachmentAddInput) -> kernel::Result<AddAttachments> {
    Ok(AddAttachments {
        ticket: ticket_ref(&input.id)?,
        uploads: upload_ids("uploads", &input.uploads)?,
        visibility: input.visibility.unwrap_or(CommentVisibility::Public).into(),
    })
}

#[Object]
impl FileMutations {
    /// Announces a file: its name, type, size and checksum. Its bytes are then sent to `Upload.url` by `PUT` and must keep to what was announced;
    /// and the upload is attached by its id, with `attachmentAdd` or `commentAdd`. At most 50 uploads wait to be attached.
    async fn upload_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file.")] input: UploadCreateInput,
    ) -> Result<UploadCreatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let command = CreateUpload {
            file_name: input.file_name,
            media_type: input.media_type,
            bytes: i64::from(input.bytes),
            sha256: input.sha256,
        };
        let (upload, user_errors) =
            part(platform.tickets.create_upload(&viewer, &platform.files.rules, command).await)?;
        Ok(UploadCreatePayload { upload: upload.map(Upload::from_row), user_errors })
    }

    /// Attaches files whose bytes have arrived to a ticket; it has at most 100. Needs `ticket.comment`, for internal ones `ticket.internal` too.
    async fn attachment_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "To which ticket, and what.")] input: AttachmentAddInput,
    ) -> Result<AttachmentAddPayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = match add_command(input) {
            Ok(command) => platform.tickets.add_attachments(&viewer, &platform.files.rules, command).await,
            Err(error) => Err(error),
        };
        let Done { attachments, ticket, events, user_errors } = Done::of(ctx, &viewer, result)?;
        Ok(AttachmentAddPayload { attachments, ticket, events, user_errors })
    }

    /// Takes a file off its ticket, and deletes its bytes. For whoever attached it, and with `attachment.remove` for others.
    async fn attachment_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which attachment.")] input: AttachmentRemoveInput,
    ) -> Result<AttachmentRemovePayload> {
        let viewer = mutation(ctx)?;
        let result = match attachment_id(&input.id) {
            Ok(id) => platform(ctx).tickets.remove_attachment(&viewer, id).await,
            Err(error) => Err(error),
        };
        let Done { ticket, events, user_errors, .. } = Done::of(ctx, &viewer, result)?;
        Ok(AttachmentRemovePayload { ticket, events, user_errors })
    }

    /// Says what a virus scanner found in an attachment that waits for it. Needs `attachment.scan`.
    async fn attachment_report_scan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which attachment, and what was found.")] input: AttachmentReportScanInput,
    ) -> Result<AttachmentReportScanPayload> {
        let viewer = mutation(ctx)?;
        let clean = input.verdict == AttachmentVerdict::Clean;
        let result = match attachment_id(&input.id) {
            Ok(id) => {
                let command = ReportScan { id, clean, finding: input.finding };
                platform(ctx).tickets.report_scan(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        let Done { mut attachments, events, user_errors, .. } = Done::of(ctx, &viewer, result)?;
        Ok(AttachmentReportScanPayload { attachment: attachments.pop(), events, user_errors })
    }
}
