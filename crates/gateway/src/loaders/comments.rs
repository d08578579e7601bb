//! Batches of what is said on tickets and attached to them.

use async_graphql::Context;
use kernel::{PageDirection, Uuid};
use store::query::Row;
use ticket::fields::{ATTACHMENT, COMMENT};

use super::batch::{Loaders, belonging, by_field, by_id, by_ticket, ends};

/// A comment by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn comment(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, CommentKey(id)).await
}

/// The first or last `limit` comments of a ticket, oldest first, with their authors.
///
/// # Errors
/// As [`super::actor`].
pub async fn comments(
    ctx: &Context<'_>,
    ticket: Uuid,
    direction: PageDirection,
    limit: u32,
) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, CommentsKey::of(ticket, direction, limit)).await
}

/// What a comment said before it was edited.
///
/// # Errors
/// As [`super::actor`].
pub async fn comment_revisions(ctx: &Context<'_>, comment: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, RevisionsKey(comment)).await
}

/// The mentions in a comment, with the users.
///
/// # Errors
/// As [`super::actor`].
pub async fn mentions(ctx: &Context<'_>, comment: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, MentionsKey(comment)).await
}

/// An attachment by its id.
///
/// # Errors
/// As [`super::actor`].
pub async fn attachment(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, AttachmentKey(id)).await
}

/// The attachments of a ticket, in the order in which they came, with who attached them.
///
/// # Errors
/// As [`super::actor`].
pub async fn attachments(ctx: &Context<'_>, ticket: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, AttachmentsKey(ticket)).await
}

/// The attachments that came with a comment, with who attached them.
///
/// # Errors
/// As [`super::actor`].
pub async fn comment_attachments(ctx: &Context<'_>, comment: Uuid) -> async_graphql::Result<Vec<Row>> {
    Loaders::or_default(ctx, CommentAttachmentsKey(comment)).await
}

by_id!(CommentKey, &COMMENT, &["author"]);
ends!(CommentsKey, "ticket", |batch, tickets, direction, limit| {
    batch.platform.tickets.comments_of(&batch.ctx()?, tickets, direction, limit).await?
});
belonging!(RevisionsKey, Vec<Row>, |batch, comments| {
    by_field("comment", batch.platform.tickets.revisions_of(&batch.ctx()?, comments).await?)
});
belonging!(MentionsKey, Vec<Row>, |batch, comments| {
    by_field("comment", batch.platform.tickets.mentions_of(&batch.ctx()?, comments).await?)
});
by_id!(AttachmentKey, &ATTACHMENT, &["attachedBy"]);
belonging!(AttachmentsKey, Vec<Row>, |batch, tickets| {
    by_ticket(batch.platform.tickets.attachments_of(&batch.ctx()?, "ticket", tickets).await?)
});
belonging!(CommentAttachmentsKey, Vec<Row>, |batch, comments| {
    by_field("comment", batch.platform.tickets.attachments_of(&batch.ctx()?, "comment", comments).await?)
});
