//! Comments in the API.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use kernel::id::prefix;
use kernel::{Page, Uuid};
use predicate::Predicate;
use store::query::{OrderTerm, Row, Slice};
use ticket::fields::COMMENT;
use ticket::queries::ListRequest;

use crate::connection::connection;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::Actor;
use crate::scalars::{DateTime, Markdown, id_of};
use crate::tickets::types::Ticket;
use crate::tickets::words::CommentVisibility;

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

    /// What was said.
    pub fn body(&self) -> Markdown {
        Markdown(self.0.text("body"))
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

    /// The ticket that it was said on.
    pub async fn ticket(&self, ctx: &Context<'_>) -> Result<Option<Ticket>> {
        match self.0.get("ticket").as_id() {
            Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
            None => Ok(None),
        }
    }

    /// When it was said.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
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
