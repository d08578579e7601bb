//! Reading people: the viewer, users, teams.

use access::{ACTOR, TEAM};
use async_graphql::{Context, Object, Result};
use kernel::{ActorKind, ErrorCode, Page};
use predicate::{Predicate, RecordType};
use store::query::{OrderTerm, Slice};
use ticket::queries::ListRequest;

use super::filters::{TeamFilter, TeamOrder, UserFilter, UserOrder, argument, team_order, user_order};
use super::inputs::{TeamRefInput, UserRefInput};
use super::types::{Team, TeamConnection, User, UserConnection};
use super::viewer::Viewer;
use crate::connection::page;
use crate::context::{platform, viewer};
use crate::scalars::Cursor;

/// The queries about people.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeopleQueries;

#[Object]
impl PeopleQueries {
    /// Who asks, and what they may do.
    fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        Ok(Viewer::of(viewer(ctx)?))
    }

    /// The tenant's users, active or not, by name unless `orderBy` says otherwise. Service accounts are not among them.
    #[allow(clippy::too_many_arguments)]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which users; all when left out.")] filter: Option<UserFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<Vec<UserOrder>>,
        #[graphql(desc = "How many from the front: 0 to 100, 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<UserConnection> {
        viewer(ctx)?;
        let users = Predicate::eq("kind", ActorKind::User.as_str());
        let filter = users.and(argument(filter, UserFilter::predicate)?);
        let (order, page) = (user_order(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &ACTOR, filter.clone(), order, page).await?;
        Ok(UserConnection::new(slice, Some((&ACTOR, filter)), log_cursor))
    }

    /// One user; null when there is none, or when the viewer may not know of them.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Which, as in `{ email: \"ada@example.com\" }` or `{ id: \"usr_01jcz8…\" }`. By e-mail address only with `user.read`."
        )]
        by: UserRefInput,
    ) -> Option<Result<User>> {
        find_user(ctx, by).await.transpose()
    }

    /// The tenant's teams, by name unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn teams(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which teams, as in `{ hasViewer: true }`; all when left out.")] filter: Option<TeamFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by name when left out.")] order_by: Option<Vec<TeamOrder>>,
        #[graphql(desc = "How many from the front: 0 to 100, 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<TeamConnection> {
        viewer(ctx)?;
        let filter = argument(filter, TeamFilter::predicate)?;
        let (order, page) = (team_order(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &TEAM, filter.clone(), order, page).await?;
        Ok(TeamConnection::new(slice, Some((&TEAM, filter)), log_cursor))
    }

    /// One team; null when there is none.
    async fn team(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ slug: \"network\" }` or `{ id: \"team_01jcz8…\" }`.")] by: TeamRefInput,
    ) -> Option<Result<Team>> {
        find_team(ctx, by).await.transpose()
    }
}

// Root fields turn these inside out, so that an error leaves the other fields of the document alone.

async fn find_user(ctx: &Context<'_>, by: UserRefInput) -> Result<Option<User>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    let found = found(platform(ctx).access.user(&viewer, &reference).await)?;
    Ok(found.filter(|account| account.kind == ActorKind::User).map(User::of))
}

async fn find_team(ctx: &Context<'_>, by: TeamRefInput) -> Result<Option<Team>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(found(platform(ctx).access.team(&viewer, &reference).await)?.map(Team::of))
}

/// A page and, where it is asked for, the log's position from before it was read.
pub async fn list(
    ctx: &Context<'_>,
    record: &'static RecordType,
    filter: Predicate,
    order: Vec<OrderTerm>,
    page: Page,
) -> Result<(Slice, Option<String>)> {
    let (viewer, tickets) = (viewer(ctx)?, &platform(ctx).tickets);
    let log_cursor = match ctx.look_ahead().field("logCursor").exists() {
        true => Some(tickets.log_cursor(&viewer).await?),
        false => None,
    };
    let request = ListRequest { record, filter, order, page, relations: Vec::new() };
    Ok((tickets.list(&viewer, request).await?, log_cursor))
}

/// A record that may not be there: `None` instead of `NOT_FOUND`.
fn found<T>(result: kernel::Result<T>) -> kernel::Result<Option<T>> {
    match result {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Error, UserError};

    #[test]
    fn absent_is_null_and_nothing_else_is() {
        assert_eq!(found(Ok(1)).unwrap(), Some(1));
        assert!(found::<i32>(Err(UserError::not_found(["id"], "the user").into())).unwrap().is_none());
        assert!(found::<i32>(Err(UserError::validation(["id"], "no id").into())).is_err());
        assert!(found::<i32>(Err(Error::internal("broken"))).is_err());
    }
}
