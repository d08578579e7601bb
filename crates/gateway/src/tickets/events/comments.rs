//! What events of comments and attachments show.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use kernel::id::prefix;

use super::EventView;
use crate::files::Attachment;
use crate::loaders;
use crate::scalars::id_of;
use crate::tickets::comments::Comment;

/// What events of a comment that is there show.
pub(super) struct CommentFields(pub(super) Arc<EventView>);

#[Object]
impl CommentFields {
    /// The comment as it is now; null when the viewer may not read it.
    pub async fn comment(&self, ctx: &Context<'_>) -> Result<Option<Comment>> {
        let Some(id) = self.0.payload_id("comment") else { return Ok(None) };
        Ok(loaders::comment(ctx, id).await?.map(Comment::from_row))
    }
}

/// What events of an attachment that is there show.
pub(super) struct AttachmentFields(pub(super) Arc<EventView>);

#[Object]
impl AttachmentFields {
    /// The attachment as it is now; null when it was taken away, and when the viewer may not see it.
    pub async fn attachment(&self, ctx: &Context<'_>) -> Result<Option<Attachment>> {
        let Some(id) = self.0.payload_id("attachment") else { return Ok(None) };
        Ok(loaders::attachment(ctx, id).await?.map(Attachment::from_row))
    }
}

/// What the event of an attachment that was taken away shows.
pub(super) struct AttachmentRemovedFields(pub(super) Arc<EventView>);

#[Object]
impl AttachmentRemovedFields {
    /// The id that the attachment had.
    pub async fn attachment_id(&self) -> Option<ID> {
        self.0.payload_id("attachment").map(|id| id_of(prefix::ATTACHMENT, id))
    }
}
