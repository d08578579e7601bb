//! Batches of people: actors, teams, and who belongs to what.

use std::collections::HashMap;

use access::{ACTOR, Account, HeldRole, TEAM};
use async_graphql::Context;
use async_graphql::dataloader::Loader;
use kernel::{Error, Result, Uuid};
use store::query::Row;

use super::batch::{Batch, Loaders, belonging, by_id, grouped};

/// A user, a service account or the system, by its id.
///
/// # Errors
/// `UNAUTHENTICATED`; database errors.
pub async fn actor(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, ActorKey(id)).await
}

/// A team by its id.
///
/// # Errors
/// As [`actor`].
pub async fn team(ctx: &Context<'_>, id: Uuid) -> async_graphql::Result<Option<Row>> {
    Loaders::one(ctx, TeamKey(id)).await
}

/// The teams among these ids, in the order of the ids.
///
/// # Errors
/// As [`actor`].
pub async fn teams(ctx: &Context<'_>, ids: &[Uuid]) -> async_graphql::Result<Vec<Row>> {
    let mut found = Loaders::many(ctx, ids.iter().copied().map(TeamKey)).await?;
    Ok(ids.iter().filter_map(|id| found.remove(&TeamKey(*id))).collect())
}

/// The first `limit` members of a team.
///
/// # Errors
/// As [`actor`].
pub async fn members(ctx: &Context<'_>, team: Uuid, limit: u32) -> async_graphql::Result<Vec<Account>> {
    Loaders::or_default(ctx, MembersKey { team, limit }).await
}

/// The teams of an actor.
///
/// # Errors
/// As [`actor`].
pub async fn teams_of(ctx: &Context<'_>, actor: Uuid) -> async_graphql::Result<Vec<access::Team>> {
    Loaders::or_default(ctx, TeamsOfKey(actor)).await
}

/// The roles of an actor; none when the viewer may not read them.
///
/// # Errors
/// As [`actor`].
pub async fn roles_of(ctx: &Context<'_>, actor: Uuid) -> async_graphql::Result<Vec<HeldRole>> {
    Loaders::or_default(ctx, RolesOfKey(actor)).await
}

by_id!(ActorKey, &ACTOR, &[]);
by_id!(TeamKey, &TEAM, &[]);
belonging!(TeamsOfKey, Vec<access::Team>, |batch, actors| batch
    .platform
    .access
    .teams_of(&batch.ctx()?, actors)
    .await?);
belonging!(RolesOfKey, Vec<HeldRole>, |batch, actors| batch.platform.access.roles_of(&batch.ctx()?, actors).await?);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct MembersKey {
    team: Uuid,
    limit: u32,
}

impl Loader<MembersKey> for Batch {
    type Value = Vec<Account>;
    type Error = Error;

    async fn load(&self, keys: &[MembersKey]) -> Result<HashMap<MembersKey, Vec<Account>>> {
        let mut answer = HashMap::new();
        // One statement for each number asked for: all teams of one field of a document have the same.
        for (limit, teams) in grouped(keys.iter().map(|key| (key.limit, key.team))) {
            let members = self.platform.access.members(&self.ctx()?, &teams, limit).await?;
            answer.extend(members.into_iter().map(|(team, members)| (MembersKey { team, limit }, members)));
        }
        Ok(answer)
    }
}
