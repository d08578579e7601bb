//! Comments in the API.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Ctx, Id, Page, UserError as Problem, Uuid};
use predicate::Predicate;
use store::query::{OrderTerm, Row, Slice};
use ticket::attachment::NewFiles;
use ticket::comment::CommentOutcome;
use ticket::comment::revision::{RedactComment, UpdateComment};
use ticket::fields::COMMENT;
use ticket::queries::ListRequest;

use crate::connection::connection;
use crate::context::{mutation, platform, viewer};
use crate::files::attachments::upload_ids;
use crate::files::{Attachment, Files};
use crate::html;
use crate::loaders;
use crate::people::{Actor, User};
use crate::scalars::{DateTime, Markdown, id_of};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::merges;
use crate::tickets::queries::ticket_ref;
use crate::tickets::types::Ticket;
use crate::tickets::words::CommentVisibility;
use crate::user_error::{UserError, part};

/// Something said on a ticket.
#[derive(Clone)]
pub struct Comment(Arc<Row>);

impl Comment {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// Something said on a ticket.
#[Object]
impl Comment {
    /// The comment's id.
    pub async fn id(&self) -> ID {
        id_of(prefix::COMMENT, self.0.id())
    }

    /// What was said; empty when it was redacted.
    pub fn body(&self) -> Markdown {
        Markdown(self.0.text("body"))
    }

    /// The same as HTML that may be put into a page as it is: made of an allow-list of elements, without pictures, and with links to the web
    /// and to mail alone.
    pub fn body_html(&self) -> String {
        html::of_markdown(&self.0.text("body"))
    }

    /// Rises by one with each edit and with the redaction. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was edited last; null when it never was.
    pub fn edited_at(&self) -> Option<DateTime> {
        self.0.get("editedAt").as_time().map(DateTime)
    }

    /// When it was redacted: its text and all its earlier texts are gone. Null when it was not.
    pub fn redacted_at(&self) -> Option<DateTime> {
        self.0.get("redactedAt").as_time().map(DateTime)
    }

    /// Who redacted it.
    pub async fn redacted_by(&self, ctx: &Context<'_>) -> Result<Option<Actor>> {
        match self.0.get("redactedBy").as_id() {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row)),
            None => Ok(None),
        }
    }

    /// Why it was redacted.
    pub fn redaction_reason(&self) -> Option<String> {
        self.0.optional_text("redactionReason")
    }

    /// What it said before it was edited, the first text first; at most 100. Empty when it was redacted.
    pub async fn revisions(&self, ctx: &Context<'_>) -> Result<Vec<CommentRevision>> {
        // Most were never edited, and nobody is asked for nothing.
        if self.0.get("editedAt").is_null() {
            return Ok(Vec::new());
        }
        Ok(loaders::comment_revisions(ctx, self.0.id()).await?.iter().map(CommentRevision::of).collect())
    }

    /// The people whom it mentions, as `@usr_01jcz8…` or `@lee@acme.example`; at most 50. Of addresses, those that its author may read.
    pub async fn mentions(&self, ctx: &Context<'_>) -> Result<Vec<User>> {
        let rows = loaders::mentions(ctx, self.0.id()).await?;
        Ok(rows.iter().filter_map(|row| row.relation("user").cloned()).map(User::from_row).collect())
    }

    /// The files that came with it, in the order in which they were named; at most 10.
    pub async fn attachments(&self, ctx: &Context<'_>) -> Result<Vec<Attachment>> {
        let rows = loaders::comment_attachments(ctx, self.0.id()).await?;
        Ok(rows.into_iter().map(Attachment::from_row).collect())
    }

    /// Who may read it.
    pub fn visibility(&self) -> CommentVisibility {
        CommentVisibility::parse(&self.0.text("visibility")).unwrap_or(CommentVisibility::Internal)
    }

    /// Who said it.
    pub async fn author(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = match self.0.relation("author") {
            Some(row) => Some(row.clone()),
            None => match self.0.get("author").as_id() {
                Some(id) => loaders::actor(ctx, id).await?,
                None => None,
            },
        };
        let row = row.ok_or_else(|| kernel::Error::internal("a comment's author is missing"))?;
        Ok(Actor::from_row(row))
    }

    /// The ticket that it stands on.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.0.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// The ticket that it was said on first, where it stands on another since: by a merge or a split. Null as well when the viewer may
    /// not see that ticket.
    pub async fn moved_from(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        merges::other(ctx, &self.0, "movedFrom").await
    }

    /// When it was said.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }
}

/// What a comment said until it was edited.
#[derive(SimpleObject)]
pub struct CommentRevision {
    /// What was said.
    pub body: Markdown,
    /// When it was said.
    pub written_at: DateTime,
    /// Until when it stood.
    pub replaced_at: DateTime,
}

impl CommentRevision {
    fn of(row: &Row) -> Self {
        Self {
            body: Markdown(row.text("body")),
            written_at: DateTime(row.time("createdAt")),
            replaced_at: DateTime(row.time("replacedAt")),
        }
    }
}

connection! {
    /// A page of comments.
    CommentConnection, CommentEdge, Comment
}

/// The comments of a ticket: batched over all tickets of the answer, unless the page begins at a cursor.
pub async fn of_ticket(ctx: &Context<'_>, ticket: Uuid, page: Page) -> Result<CommentConnection> {
    let filter = Predicate::eq("ticket", ticket);
    let counted = Some((&COMMENT, filter.clone()));
    let order = vec![OrderTerm { field: "createdAt".into(), descending: false, nulls_first: false }];
    let asks_for_place = {
        let selection = ctx.look_ahead();
        selection.field("pageInfo").exists() || selection.field("edges").exists()
    };
    if page.after.is_none() && page.before.is_none() && !asks_for_place {
        let rows = loaders::comments(ctx, ticket, page.direction, page.limit).await?;
        let slice = Slice { rows, ..Slice::default() };
        return Ok(CommentConnection::new(slice, counted, None));
    }
    let request = ListRequest { record: &COMMENT, filter, order, page, relations: vec!["author"] };
    let slice = platform(ctx).tickets.list(&viewer(ctx)?, request).await?;
    Ok(CommentConnection::new(slice, counted, None))
}

/// Adds a comment to a ticket.
#[derive(Clone, Debug, InputObject)]
pub struct CommentAddInput {
    /// The ticket's id or number.
    pub id: ID,
    /// What to say, in Markdown; at most 64 KiB.
    pub body: Markdown,
    /// Who may read it; `PUBLIC` when absent.
    pub visibility: Option<CommentVisibility>,
    /// The ids of uploads whose bytes have arrived, to attach along; at most 10. They are seen by whoever sees the comment.
    pub attachments: Option<Vec<ID>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes what a comment says.
#[derive(Clone, Debug, InputObject)]
pub struct CommentUpdateInput {
    /// The comment's id.
    pub id: ID,
    /// What it says from now on, in Markdown; at most 64 KiB.
    pub body: Markdown,
    /// Refuse when the comment has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Takes back what a comment says.
#[derive(Clone, Debug, InputObject)]
pub struct CommentRedactInput {
    /// The comment's id.
    pub id: ID,
    /// Why, for whoever may read the comment; at most 255 characters.
    pub reason: Option<String>,
    /// Refuse when the comment has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Declares what a mutation of a comment answers.
macro_rules! comment_payload {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// The comment; null when it was not done.
            pub comment: Option<Comment>,
            /// The ticket after it: an awaited answer puts it back to work.
            pub ticket: Option<Ticket>,
            /// What was recorded.
            pub events: Vec<Event>,
            /// What the user can mend.
            pub user_errors: Vec<UserError>,
        }

        impl $name {
            fn of(ctx: &Context<'_>, viewer: &Ctx, result: kernel::Result<CommentOutcome>) -> Result<Self> {
                let (done, user_errors) = part(result)?;
                let (comment, ticket, events) =
                    done.map_or((None, None, Vec::new()), |done| (done.comment, done.ticket, done.events));
                Ok(Self {
                    comment: comment.map(Comment::from_row),
                    ticket: ticket.map(Ticket::from_row),
                    events: from_store(viewer, platform(ctx), events),
                    user_errors,
                })
            }
        }
    };
}

comment_payload! {
    /// The comment that was added.
    CommentAddPayload
}
comment_payload! {
    /// The comment that was edited.
    CommentUpdatePayload
}
comment_payload! {
    /// The comment that was redacted.
    CommentRedactPayload
}

fn add_command(input: CommentAddInput, files: &Files) -> kernel::Result<ticket::AddComment> {
    let uploads = upload_ids("attachments", input.attachments.as_deref().unwrap_or_default())?;
    Ok(ticket::AddComment {
        files: Some(NewFiles { uploads, scan: files.rules.first_state() }),
        ticket: ticket_ref(&input.id)?,
        body: input.body.0,
        visibility: input.visibility.unwrap_or(CommentVisibility::Public).into(),
    })
}

fn comment_id(id: &ID) -> kernel::Result<Id> {
    let parsed = Id::parse_as(id, &[prefix::COMMENT]);
    parsed.map_err(|error| Problem::constraint(["id"], error.to_string(), "id", None).into())
}

/// Mutations of comments.
#[derive(Default)]
pub struct CommentMutations;

#[Object]
impl CommentMutations {
    /// Adds a comment. The requester's public comment on a ticket that waits for them puts it back to work.
    /// Needs `ticket.comment`, for an internal one `ticket.internal` too.
    async fn comment_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "On which ticket, and what.")] input: CommentAddInput,
    ) -> Result<CommentAddPayload> {
        let viewer = mutation(ctx)?;
        let result = match add_command(input, &platform(ctx).files) {
            Ok(command) => platform(ctx).tickets.add_comment(&viewer, command).await,
            Err(error) => Err(error),
        };
        CommentAddPayload::of(ctx, &viewer, result)
    }

    /// Changes what a comment says; its earlier texts are kept in `Comment.revisions`. For whoever said it.
    async fn comment_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which comment, and what it says from now on.")] input: CommentUpdateInput,
    ) -> Result<CommentUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match comment_id(&input.id) {
            Ok(id) => {
                let command = UpdateComment { id, body: input.body.0, expected_version: input.expected_version };
                platform(ctx).tickets.update_comment(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        CommentUpdatePayload::of(ctx, &viewer, result)
    }

    /// Takes back what a comment says, such as a password: its text and all its earlier texts are deleted, also from the search, and cannot be
    /// brought back. That somebody commented stays. For whoever said it, and with `comment.redact` for others.
    async fn comment_redact(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which comment, and why.")] input: CommentRedactInput,
    ) -> Result<CommentRedactPayload> {
        let viewer = mutation(ctx)?;
        let result = match comment_id(&input.id) {
            Ok(id) => {
                let command = RedactComment { id, reason: input.reason, expected_version: input.expected_version };
                platform(ctx).tickets.redact_comment(&viewer, command).await
            }
            Err(error) => Err(error),
        };
        CommentRedactPayload::of(ctx, &viewer, result)
    }
}
