//! Whoever asks: who they are, what they may do, and what is their own.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use kernel::id::prefix;
use kernel::{Ctx, Error, Page, Uuid};
use predicate::{Predicate, RecordType};
use store::query::{OrderTerm, Slice};
use ticket::approval::fields::{APPROVAL, DELEGATION};
use ticket::fields::MENTION;
use ticket::queries::ListRequest;

use super::types::{Actor, PermissionGrant, Team};
use crate::approvals::types::{ApprovalConnection, DelegationConnection};
use crate::connection::page;
use crate::context::platform;
use crate::loaders;
use crate::scalars::{Cursor, DateTime, id_of};
use crate::tickets::comments::CommentConnection;
use crate::tickets::queries::log_cursor;

/// One organisation's data.
#[derive(Clone, Debug, SimpleObject)]
pub struct Tenant {
    /// The id, such as `tnt_01jcz8…`.
    id: ID,
    /// Names the tenant at sign-in.
    slug: String,
    /// The name, for people.
    name: String,
}

impl From<access::Tenant> for Tenant {
    fn from(tenant: access::Tenant) -> Self {
        Self { id: ID(tenant.public_id().to_string()), slug: tenant.slug, name: tenant.name }
    }
}

/// An API token: everything but its secret text.
#[derive(Clone, Debug, SimpleObject)]
pub struct ApiToken {
    /// The id, such as `tok_01jcz8…`.
    id: ID,
    /// The name, for people.
    name: String,
    /// How the token's text begins, to tell tokens apart.
    prefix: String,
    /// What the token is narrowed to, such as `ticket.read` or `ticket.read:OWN`, at most 50; empty: it carries all rights of its
    /// owner.
    scopes: Vec<String>,
    /// When it stops working; null: never.
    expires_at: Option<DateTime>,
    /// When it was used last, to the minute; null: never.
    last_used_at: Option<DateTime>,
    /// When it was revoked; null: it was not.
    revoked_at: Option<DateTime>,
    /// When it was created.
    created_at: DateTime,
}

impl ApiToken {
    /// Of a token.
    pub fn of(token: access::ApiToken) -> Self {
        Self {
            id: ID(token.public_id().to_string()),
            name: token.name,
            prefix: token.prefix,
            scopes: token.scopes,
            expires_at: token.expires_at.map(DateTime),
            last_used_at: token.last_used_at.map(DateTime),
            revoked_at: token.revoked_at.map(DateTime),
            created_at: DateTime(token.created_at),
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Viewer(Ctx);

impl Viewer {
    /// Of a context.
    pub fn of(ctx: Ctx) -> Self {
        Self(ctx)
    }
}

/// Who asks, and what they may do with the credentials they came with.
#[Object]
impl Viewer {
    /// The user or service account.
    async fn actor(&self, ctx: &Context<'_>) -> Result<Actor> {
        let row = loaders::actor(ctx, self.0.actor.id).await?;
        Ok(Actor::from_row(row.ok_or_else(|| Error::internal("the viewer's account is missing"))?))
    }

    /// The organisation whose data this is.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Tenant> {
        let tenant = platform(ctx).access.tenant(self.0.tenant).await?;
        Ok(tenant.ok_or_else(|| Error::internal("the viewer's tenant is missing"))?.into())
    }

    /// All that the viewer may do: the permissions of their roles, narrowed by the token's scopes.
    fn permissions(&self) -> Vec<PermissionGrant> {
        self.0.grants.grants.iter().cloned().map(PermissionGrant::of).collect()
    }

    /// The teams that the viewer is a member of.
    async fn teams(&self, ctx: &Context<'_>) -> Result<Vec<Team>> {
        Ok(loaders::teams(ctx, &self.0.grants.teams).await?.into_iter().map(Team::from_row).collect())
    }

    /// The viewer's own API tokens that were not revoked, newest first: at most 50.
    async fn api_tokens(&self, ctx: &Context<'_>) -> Result<Vec<ApiToken>> {
        let tokens = platform(ctx).access.api_tokens(&self.0, self.0.actor.id).await?;
        Ok(tokens.into_iter().map(ApiToken::of).collect())
    }

    /// The approvals that await a vote of the viewer, their own or by a delegation to them. Oldest first.
    async fn pending_approvals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<ApprovalConnection> {
        let filter = platform(ctx).tickets.awaiting_viewer(&self.0);
        let page = page(first, after, last, before)?;
        let (slice, log_cursor) = self.list(ctx, &APPROVAL, filter.clone(), page).await?;
        Ok(ApprovalConnection::new(slice, Some((&APPROVAL, filter)), log_cursor))
    }

    /// The delegations by the viewer and to them, past ones included. Oldest first.
    async fn delegations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<DelegationConnection> {
        let filter = platform(ctx).tickets.delegations_of_viewer(&self.0);
        let page = page(first, after, last, before)?;
        let (slice, log_cursor) = self.list(ctx, &DELEGATION, filter.clone(), page).await?;
        Ok(DelegationConnection::new(slice, Some((&DELEGATION, filter)), log_cursor))
    }

    /// The comments that mention the viewer, on tickets that the viewer may see. Oldest first: the newest are `last: 20`.
    async fn mentions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<CommentConnection> {
        let filter = Predicate::eq("user", self.0.actor.id);
        let page = page(first, after, last, before)?;
        let (mut slice, log_cursor) = self.list(ctx, &MENTION, filter.clone(), page).await?;
        slice.rows = platform(ctx).tickets.comments_of_mentions(&self.0, &slice.rows).await?;
        Ok(CommentConnection::new(slice, Some((&MENTION, filter)), log_cursor))
    }
}

impl Viewer {
    /// A page of what is the viewer's, oldest first, and the log's position from before it was read.
    async fn list(
        &self,
        ctx: &Context<'_>,
        record: &'static RecordType,
        filter: Predicate,
        page: Page,
    ) -> Result<(Slice, Option<String>)> {
        let log_cursor = log_cursor(ctx, &self.0).await?;
        let order = vec![OrderTerm { field: "createdAt".into(), descending: false, nulls_first: false }];
        let request = ListRequest { record, filter, order, page, relations: Vec::new() };
        Ok((platform(ctx).tickets.list(&self.0, request).await?, log_cursor))
    }
}

/// The id of a session as clients see it.
pub fn session_id(session: Uuid) -> ID {
    id_of(prefix::SESSION, session)
}
