//! A log file on one of the demo's tickets.

use anyhow::{Result, anyhow};
use bytes::Bytes;
use futures_util::stream;
use gateway::platform::Platform;
use kernel::id::prefix;
use kernel::{Ctx, Id, Page};
use objects::Sha256Hex;
use predicate::{Path, Predicate, Test};
use ticket::attachment::{AddAttachments, CreateUpload};
use ticket::fields::TICKET;
use ticket::queries::ListRequest;
use ticket::{CommentVisibility, TicketRef};

const LOG: &[u8] = b"10:42:17 connected to mail.demo.example\n10:42:47 timed out, waiting 30 s\n10:43:17 gave up\n";

pub(super) async fn load(platform: &Platform, ctx: &Ctx) -> Result<()> {
    let request = ListRequest {
        record: &TICKET,
        filter: Predicate::Is(Path::field("assignee"), Test::IsNull(false)),
        order: Vec::new(),
        page: Page::first(1),
        relations: Vec::new(),
    };
    let Some(ticket) = platform.tickets.list(ctx, request).await?.rows.pop() else { return Ok(()) };
    let command = CreateUpload {
        file_name: "mail-client.log".to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: i64::try_from(LOG.len())?,
        sha256: Sha256Hex::of(LOG).to_string(),
    };
    let rules = &platform.files.rules;
    let upload = platform.tickets.create_upload(ctx, rules, command).await?.id();
    let body = stream::iter([Ok(Bytes::from_static(LOG))]);
    platform.tickets.receive_upload(&platform.files.objects, ctx.tenant, upload, None, body).await?;
    let command = AddAttachments {
        ticket: TicketRef::Number(ticket.text("number")),
        uploads: vec![Id::new(prefix::UPLOAD, upload)],
        visibility: CommentVisibility::Public,
    };
    let attached = platform.tickets.add_attachments(ctx, rules, command).await?;
    attached
        .attachments
        .first()
        .map(|_| ())
        .ok_or_else(|| anyhow!("the demo's file is hidden from whoever attached it"))
}
