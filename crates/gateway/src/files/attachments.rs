//! Attachments in the API.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use chrono::{Duration, SubsecRound};
use kernel::id::prefix;
use kernel::{Ctx, Id, UserError as Problem};
use store::query::Row;
use ticket::attachment::{AttachmentOutcome, ScanState};

use super::link::{Link, Purpose};
use super::uploads::url_of;
use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::Actor;
use crate::scalars::{DateTime, id_of};
use crate::tickets::comments::Comment;
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::merges;
use crate::tickets::types::Ticket;
use crate::tickets::words::CommentVisibility;
use crate::user_error::{UserError, part};

/// How long the link to an attachment holds.
const LINK_HOLDS: Duration = Duration::minutes(5);

/// What is known of whether a file does harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum AttachmentScan {
    /// A virus scanner has yet to look at it; only scanners fetch it.
    Pending,
    /// Nothing was found. With `scannedAt: null`, nobody has looked: the installation has no scanner.
    Clean,
    /// Something was found. Its bytes are deleted.
    Rejected,
}

/// A file on a ticket.
#[derive(Clone)]
pub struct Attachment(Arc<Row>);

impl Attachment {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn known(&self) -> AttachmentScan {
        match ScanState::parse(&self.0.text("scan")) {
            Some(ScanState::Clean) => AttachmentScan::Clean,
            Some(ScanState::Rejected) => AttachmentScan::Rejected,
            _ => AttachmentScan::Pending,
        }
    }
}

/// A file on a ticket.
#[Object]
impl Attachment {
    /// The attachment's id, such as `att_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::ATTACHMENT, self.0.id())
    }

    /// What the file is called.
    pub fn file_name(&self) -> String {
        self.0.text("fileName")
    }

    /// Its media type, as it was announced; the first of its bytes agree with it.
    pub fn media_type(&self) -> String {
        self.0.text("mediaType")
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> i32 {
        i32::try_from(self.0.int("bytes")).unwrap_or(i32::MAX)
    }

    /// The SHA-256 of its bytes, as 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        self.0.text("sha256")
    }

    /// Who may see it.
    pub fn visibility(&self) -> CommentVisibility {
        CommentVisibility::parse(&self.0.text("visibility")).unwrap_or(CommentVisibility::Internal)
    }

    /// What is known of whether it does harm.
    pub fn scan(&self) -> AttachmentScan {
        self.known()
    }

    /// When a scanner looked at it.
    pub fn scanned_at(&self) -> Option<DateTime> {
        self.0.get("scannedAt").as_time().map(DateTime)
    }

    /// What the scanner found.
    pub fn finding(&self) -> Option<String> {
        self.0.optional_text("finding")
    }

    /// Where to fetch it, by `GET` and without credentials, for five minutes; relative to where the API is, unless the installation has a public
    /// address. Whoever has it may use it. Null while it waits for a scanner, but for scanners, and when it was rejected.
    pub async fn download_url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let viewer = viewer(ctx)?;
        let purpose = match self.known() {
            AttachmentScan::Clean => Purpose::Fetch,
            AttachmentScan::Pending if may_scan(&viewer) => Purpose::Scan,
            _ => return Ok(None),
        };
        let expires_at = viewer.now().trunc_subsecs(0) + LINK_HOLDS;
        Ok(Some(url_of(platform(ctx), Link { purpose, tenant: viewer.tenant, file: self.0.id(), expires_at })))
    }

    /// Who attached it.
    pub async fn attached_by(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = match self.0.relation("attachedBy") {
            Some(row) => Some(row.clone()),
            None => match self.0.get("attachedBy").as_id() {
                Some(id) => loaders::actor(ctx, id).await?,
                None => None,
            },
        };
        Ok(Actor::from_row(row.ok_or_else(|| kernel::Error::internal("who attached a file is missing"))?))
    }

    /// The ticket that it is attached to; null for a scanner, who sees none.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.0.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// The comment that it came with, if it came with one.
    pub async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
        match self.0.get("comment").as_id() {
            Some(id) => Ok(loaders::comment(ctx, id).await?.map(Comment::from_row)),
            None => Ok(None),
        }
    }

    /// The ticket that it was attached to first, where it stands on another since: by a merge or a split. Null as well when the viewer
    /// may not see that ticket.
    pub async fn moved_from(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        merges::other(ctx, &self.0, "movedFrom").await
    }

    /// When it was attached.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

fn may_scan(viewer: &Ctx) -> bool {
    viewer.grants.holds_tenant(access::permission::ATTACHMENT_SCAN)
}

connection! {
    /// A page of attachments.
    AttachmentConnection, AttachmentEdge, Attachment
}

/// Attaches files to a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentAddInput {
    /// The ticket's id or number.
    pub id: ID,
    /// The ids of uploads whose bytes have arrived; at most 10.
    pub uploads: Vec<ID>,
    /// Who may see them; `PUBLIC` when absent.
    pub visibility: Option<CommentVisibility>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Takes a file off its ticket.
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentRemoveInput {
    /// The attachment's id.
    pub id: ID,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// What a scanner found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum AttachmentVerdict {
    /// Nothing: everybody who sees it may fetch it from now on.
    Clean,
    /// Something: nobody fetches it, and its bytes are deleted.
    Rejected,
}

/// Says what a scanner found.
#[derive(Clone, Debug, InputObject)]
pub struct AttachmentReportScanInput {
    /// The attachment's id.
    pub id: ID,
    /// What it found.
    pub verdict: AttachmentVerdict,
    /// What it calls what it found, for people; at most 255 characters.
    pub finding: Option<String>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// The files that were attached.
#[derive(SimpleObject)]
pub struct AttachmentAddPayload {
    /// The attachments, in the order of their uploads; empty when it was not done.
    pub attachments: Vec<Attachment>,
    /// The ticket.
    pub ticket: Option<Ticket>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// The ticket without the file.
#[derive(SimpleObject)]
pub struct AttachmentRemovePayload {
    /// The ticket; null when it was not done.
    pub ticket: Option<Ticket>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// The attachment that was looked at.
#[derive(SimpleObject)]
pub struct AttachmentReportScanPayload {
    /// The attachment; null when it was not done.
    pub attachment: Option<Attachment>,
    /// What was recorded; empty for whoever does not see the ticket.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// What all payloads are made of.
pub(super) struct Done {
    pub attachments: Vec<Attachment>,
    pub ticket: Option<Ticket>,
    pub events: Vec<Event>,
    pub user_errors: Vec<UserError>,
}

impl Done {
    pub(super) fn of(ctx: &Context<'_>, viewer: &Ctx, result: kernel::Result<AttachmentOutcome>) -> Result<Self> {
        let (done, user_errors) = part(result)?;
        let (attachments, ticket, events) =
            done.map_or((Vec::new(), None, Vec::new()), |done| (done.attachments, done.ticket, done.events));
        Ok(Self {
            attachments: attachments.into_iter().map(Attachment::from_row).collect(),
            ticket: ticket.map(Ticket::from_row),
            events: from_store(viewer, platform(ctx), events),
            user_errors,
        })
    }
}

pub(super) fn attachment_id(id: &ID) -> kernel::Result<Id> {
    let parsed = Id::parse_as(id, &[prefix::ATTACHMENT]);
    parsed.map_err(|error| Problem::constraint(["id"], error.to_string(), "id", None).into())
}

/// The uploads that an input names.
pub fn upload_ids(path: &str, ids: &[ID]) -> kernel::Result<Vec<Id>> {
    let parse = |(place, id): (usize, &ID)| {
        let at = || [path.to_owned(), place.to_string()];
        Id::parse_as(id, &[prefix::UPLOAD])
            .map_err(|error| Problem::constraint(at(), error.to_string(), "id", None).into())
    };
    ids.iter().enumerate().map(parse).collect()
}
