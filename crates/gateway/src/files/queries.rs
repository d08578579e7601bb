//! Queries of files.

use async_graphql::{Context, Object, Result};
use predicate::Predicate;
use store::query::OrderTerm;
use ticket::attachment::ScanState;
use ticket::fields::ATTACHMENT;
use ticket::queries::ListRequest;

use super::attachments::AttachmentConnection;
use crate::connection::page;
use crate::context::{platform, viewer};
use crate::scalars::Cursor;

/// Queries of files.
#[derive(Default)]
pub struct FileQueries;

#[Object]
impl FileQueries {
    /// The attachments that wait for a virus scanner, oldest first. Needs `attachment.scan`.
    async fn attachments_to_scan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, at most 100; 20 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
    ) -> Result<AttachmentConnection> {
        let (viewer, platform) = (viewer(ctx)?, platform(ctx));
        platform.access.require_tenant(&viewer, access::permission::ATTACHMENT_SCAN)?;
        let filter = Predicate::eq("scan", ScanState::Pending.as_str());
        let request = ListRequest {
            record: &ATTACHMENT,
            filter: filter.clone(),
            order: vec![OrderTerm { field: "createdAt".into(), descending: false, nulls_first: false }],
            page: page(first, after, None, None)?,
            relations: vec!["attachedBy"],
        };
        let slice = platform.tickets.list(&viewer, request).await?;
        Ok(AttachmentConnection::new(slice, Some((&ATTACHMENT, filter)), None))
    }
}
