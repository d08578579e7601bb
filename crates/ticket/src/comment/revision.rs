//! What becomes of a comment that was said: it is edited, with its earlier texts kept, or redacted, with all of them gone.

use access::Managed;
use access::permission::COMMENT_REDACT;
use kernel::error::Problems;
use kernel::{Ctx, Id, PageDirection, Result, UserError, Uuid};
use predicate::Predicate;
use serde_json::json;
use store::Tx;
use store::query::{self, Row};

use super::CommentOutcome;
use crate::commands::{check_body, check_text};
use crate::edit::Edit;
use crate::events;
use crate::fields::{COMMENT, MENTION, REVISION};
use crate::model::{CommentVisibility, MAX_TITLE};
use crate::service::Tickets;

/// How many earlier texts a comment keeps: with more of them it cannot be edited any more.
pub const MAX_REVISIONS: usize = 100;

/// Say something else instead.
#[derive(Clone, Debug)]
pub struct UpdateComment {
    /// Which comment.
    pub id: Id,
    /// Markdown, at most [`MAX_TEXT`](crate::MAX_TEXT) bytes.
    pub body: String,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

/// Take back what should never have been said.
#[derive(Clone, Debug)]
pub struct RedactComment {
    /// Which comment.
    pub id: Id,
    /// Why, for whoever reads the comment; at most [`MAX_TITLE`] characters.
    pub reason: Option<String>,
    /// Refuse when it has another version.
    pub expected_version: Option<i32>,
}

impl Tickets {
    /// Changes what a comment says. Its earlier texts are kept, for whoever may read it. The same text again changes nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` for anybody but its author; `VALIDATION` when it was redacted; `CONFLICT`; `LIMIT` beyond [`MAX_REVISIONS`].
    pub async fn update_comment(&self, ctx: &Ctx, command: UpdateComment) -> Result<CommentOutcome> {
        let mut problems = Problems::default();
        check_body(&mut problems, "body", &command.body);
        problems.check()?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "commentUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let (edit, before) = tickets.comment_edit_in(tx, command.id, command.expected_version).await?;
                tickets.check_not_merged_in(tx, &edit.before, "id").await?;
                let comment = tickets.update_comment_in(tx, &edit, before, &command.body).await?;
                tickets.answered_in(tx, edit, comment).await
            })
        });
        self.comment_outcome(ctx, written.await?).await
    }

    async fn update_comment_in(&self, tx: &mut Tx, edit: &Edit, before: Row, body: &str) -> Result<Row> {
        let ctx = tx.ctx().clone();
        if before.get("author").as_id() != Some(ctx.actor.id) {
            let message = "a comment is edited by whoever said it; others may redact it";
            return Err(UserError::constraint(["id"], message, "author", None).into());
        }
        self.authorise_comment(&ctx, edit, visibility_of(&before))?;
        if !before.get("redactedAt").is_null() {
            return Err(UserError::constraint(["id"], "the comment was redacted", "redacted", None).into());
        }
        if before.text("body") == body {
            return Ok(before);
        }
        self.keep_revision_in(tx, &before).await?;
        let mut comment = before;
        comment.set("body", body.into());
        comment.set("editedAt", tx.now().into());
        self.write_comment_in(tx, &mut comment, &["body", "editedAt"]).await?;
        let mentions = self.note_mentions_in(tx, &comment, true).await?;
        tell(tx, self, edit, events::COMMENT_EDITED, &comment, &mentions);
        Ok(comment)
    }

    /// Takes back what a comment says: its text and all its earlier texts are deleted, also from the search. That it was there stays.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FORBIDDEN` for anybody but its author without `comment.redact`; `VALIDATION` for the second time; `CONFLICT`.
    pub async fn redact_comment(&self, ctx: &Ctx, command: RedactComment) -> Result<CommentOutcome> {
        if let Some(reason) = &command.reason {
            let mut problems = Problems::default();
            check_text(&mut problems, "reason", reason, MAX_TITLE);
            problems.check()?;
        }
        let tickets = self.clone();
        let written = self.store().write(ctx, "commentRedact", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let (edit, before) = tickets.comment_edit_in(tx, command.id, command.expected_version).await?;
                let comment = tickets.redact_comment_in(tx, &edit, before, command.reason.as_deref()).await?;
                tickets.answered_in(tx, edit, comment).await
            })
        });
        self.comment_outcome(ctx, written.await?).await
    }

    async fn redact_comment_in(&self, tx: &mut Tx, edit: &Edit, before: Row, reason: Option<&str>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        if before.get("author").as_id() != Some(ctx.actor.id) {
            self.require_on(&ctx, edit, COMMENT_REDACT)?;
        }
        if !before.get("redactedAt").is_null() {
            return Err(UserError::constraint(["id"], "the comment was redacted", "redacted", None).into());
        }
        let mut comment = before;
        comment.set("body", "".into());
        comment.set("redactedAt", tx.now().into());
        comment.set("redactedBy", ctx.actor.id.into());
        comment.set("redactionReason", reason.map(str::trim).into());
        self.write_comment_in(tx, &mut comment, &["body", "redactedAt", "redactedBy", "redactionReason"]).await?;
        for gone in [&REVISION, &MENTION] {
            query::delete_in(&*tx, ctx.tenant, gone, &[("comment", comment.id())]).await?;
        }
        tell(tx, self, edit, events::COMMENT_REDACTED, &comment, &[]);
        self.discard_of_comment_in(tx, edit, comment.id()).await?;
        Ok(comment)
    }

    /// The comment that a write is about, and its ticket, held. What was said on a ticket that is merged can be taken back, and nothing
    /// else: that is for the caller to look at.
    async fn comment_edit_in(&self, tx: &mut Tx, id: Id, expected: Option<i32>) -> Result<(Edit, Row)> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let missing = || kernel::Error::from(UserError::not_found(["id"], "the comment"));
        let seen = query::by_ids(&*tx, &scoped, &COMMENT, &[id.uuid], &["ticket"]).await?.pop().ok_or_else(missing)?;
        let edit = self.edit_merged_of_in(tx, &seen, "the comment").await?;
        // Whoever writes about the comments of a ticket waits for each other.
        edit.hold_in(tx).await?;
        let found = query::by_ids(&*tx, &scoped, &COMMENT, &[id.uuid], &["author"]).await?.pop();
        let comment = found.ok_or_else(missing)?;
        edit.expect_to_hold(tx, &comment)?;
        Managed::expect_version(&comment, expected)?;
        Ok((edit, comment))
    }

    /// Keeps what the comment says until now.
    async fn keep_revision_in(&self, tx: &mut Tx, before: &Row) -> Result<()> {
        if before.int("version") > MAX_REVISIONS as i64 {
            let message = format!("the comment was edited {MAX_REVISIONS} times; that is the limit");
            return Err(UserError::limit(["id"], message, MAX_REVISIONS as u64).into());
        }
        let said = match before.get("editedAt").is_null() {
            true => before.get("createdAt").clone(),
            false => before.get("editedAt").clone(),
        };
        let row = Row::new(
            &REVISION,
            vec![
                ("id", tx.new_id().into()),
                ("comment", before.id().into()),
                ("ticket", before.get("ticket").clone()),
                ("visibility", before.get("visibility").clone()),
                ("body", before.get("body").clone()),
                ("createdAt", said),
                ("replacedAt", tx.now().into()),
            ],
        );
        query::insert_in(&*tx, tx.ctx().tenant, &REVISION, &row).await
    }

    /// Writes a comment that has changed, raises its version, and has it found by what it says now.
    async fn write_comment_in(&self, tx: &mut Tx, comment: &mut Row, changed: &[&'static str]) -> Result<()> {
        comment.set("version", (Managed::version(comment) + 1).into());
        let names = changed.iter().copied().chain(["version"]);
        let values: Vec<_> = names.map(|name| (name, comment.get(name).clone())).collect();
        query::update_in(&*tx, tx.ctx().tenant, &COMMENT, comment.id(), None, &values).await?;
        self.index_comments_anew_in(tx, comment).await
    }

    /// The earlier texts of each of these comments, the first first, by one statement.
    ///
    /// # Errors
    /// Database errors.
    pub async fn revisions_of(&self, ctx: &Ctx, comments: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.access().visible(ctx);
        let reader = self.store().read("ticket.revisions");
        let scoped = self.access().scoped(ctx, &visible);
        let (all, forward, limit) = (Predicate::always(), PageDirection::Forward, MAX_REVISIONS as u32);
        query::by_parents(&reader, &scoped, &REVISION, "comment", comments, &all, forward, limit, &[]).await
    }
}

/// Tells of what became of a comment, to whom it is for. Not what it says or said.
fn tell(tx: &mut Tx, tickets: &Tickets, edit: &Edit, kind: &'static str, comment: &Row, mentions: &[Uuid]) {
    let mut event = edit.event(tickets.access(), kind, super::payload(comment, mentions));
    event.changes.clear();
    event.audience = super::audience(visibility_of(comment));
    event.payload["version"] = json!(comment.int("version"));
    tx.emit(event);
}

fn visibility_of(comment: &Row) -> CommentVisibility {
    CommentVisibility::parse(&comment.text("visibility")).unwrap_or(CommentVisibility::Internal)
}
