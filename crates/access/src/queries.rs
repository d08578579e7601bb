//! Lists and batches of users and teams, as the viewer may read them.

use std::collections::HashMap;

use kernel::{ActorKind, Ctx, Result, UserError, Uuid};
use predicate::{Predicate, RecordType, Use};
use store::query::{self, Count, Query, Row, Slice, fingerprint};

use crate::commands::{ListQuery, MAX_MEMBERS_READ};
use crate::fields::{ACTOR, TEAM};
use crate::model::{Account, Team};
use crate::service::Access;
use crate::{tables, visibility};

impl Access {
    /// A page of the tenant's users, by `filter` and `order`, as rows of record type `actor`.
    ///
    /// # Errors
    /// User errors below `filter` and `orderBy`; `BAD_CURSOR`.
    pub async fn users(&self, ctx: &Ctx, request: ListQuery) -> Result<Slice> {
        self.list(ctx, "user.list", &ACTOR, only_users(), request).await
    }

    /// How many users match.
    ///
    /// # Errors
    /// User errors below `filter`.
    pub async fn count_users(&self, ctx: &Ctx, filter: Predicate) -> Result<Count> {
        self.count(ctx, "user.count", &ACTOR, only_users(), filter).await
    }

    /// A page of the tenant's teams, by `filter` and `order`, as rows of record type `team`.
    ///
    /// # Errors
    /// User errors below `filter` and `orderBy`; `BAD_CURSOR`.
    pub async fn teams(&self, ctx: &Ctx, request: ListQuery) -> Result<Slice> {
        self.list(ctx, "team.list", &TEAM, Predicate::always(), request).await
    }

    /// How many teams match.
    ///
    /// # Errors
    /// User errors below `filter`.
    pub async fn count_teams(&self, ctx: &Ctx, filter: Predicate) -> Result<Count> {
        self.count(ctx, "team.count", &TEAM, Predicate::always(), filter).await
    }

    /// The visible users, service accounts and system actors among these ids.
    ///
    /// # Errors
    /// Database errors.
    pub async fn accounts_by_ids(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Account>> {
        Ok(self.by_ids(ctx, "user.byIds", &ACTOR, ids).await?.iter().map(Account::from_row).collect())
    }

    /// The visible teams among these ids.
    ///
    /// # Errors
    /// Database errors.
    pub async fn teams_by_ids(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Team>> {
        Ok(self.by_ids(ctx, "team.byIds", &TEAM, ids).await?.iter().map(Team::from_row).collect())
    }

    /// The user, service account or system actor with this id.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`.
    pub async fn account(&self, ctx: &Ctx, id: Uuid) -> Result<Account> {
        let found = self.accounts_by_ids(ctx, &[id]).await?.pop();
        found.ok_or_else(|| UserError::not_found(["id"], "the user").into())
    }

    /// The team with this id.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`.
    pub async fn team_by_id(&self, ctx: &Ctx, id: Uuid) -> Result<Team> {
        let found = self.teams_by_ids(ctx, &[id]).await?.pop();
        found.ok_or_else(|| UserError::not_found(["id"], "the team").into())
    }

    /// The first members of each of these visible teams, at most `limit` (and at most [`MAX_MEMBERS_READ`]) of each: the oldest
    /// accounts first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn members(&self, ctx: &Ctx, teams: &[Uuid], limit: u32) -> Result<HashMap<Uuid, Vec<Account>>> {
        if teams.is_empty() {
            return Ok(HashMap::new());
        }
        let teams = self.teams_by_ids(ctx, teams).await?.into_iter().map(|team| team.id).collect::<Vec<_>>();
        let reader = self.store().read("team.members");
        let pairs = tables::members_of(&reader, ctx.tenant, &teams, limit.min(MAX_MEMBERS_READ)).await?;
        let ids = distinct(pairs.iter().map(|(_, actor)| *actor));
        let accounts = self.accounts_by_ids(ctx, &ids).await?;
        Ok(grouped(pairs, accounts, |account| account.id))
    }

    /// The visible teams of each of these actors.
    ///
    /// # Errors
    /// Database errors.
    pub async fn teams_of(&self, ctx: &Ctx, actors: &[Uuid]) -> Result<HashMap<Uuid, Vec<Team>>> {
        if actors.is_empty() {
            return Ok(HashMap::new());
        }
        let pairs = tables::teams_of(&self.store().read("user.teams"), ctx.tenant, actors).await?;
        let ids = distinct(pairs.iter().map(|(_, team)| *team));
        let teams = self.teams_by_ids(ctx, &ids).await?;
        Ok(grouped(pairs, teams, |team| team.id))
    }

    async fn list(
        &self,
        ctx: &Ctx,
        name: &'static str,
        record: &'static RecordType,
        within: Predicate,
        request: ListQuery,
    ) -> Result<Slice> {
        let visible = self.visible(ctx);
        for term in &request.order {
            visibility::check_order(&visible, record, &term.field)?;
        }
        let mark = fingerprint(ctx.actor.id, record, &request.filter, &request.order);
        let filter = visibility::filter(ctx, self.catalogue(), &visible, record, request.filter, Use::Query)
            .map_err(|error| error.within("filter"))?;
        let query = Query {
            record,
            filter: within.and(filter),
            order: request.order,
            page: request.page,
            relations: Vec::new(),
        };
        query::list(&self.store().read(name), &self.scoped(ctx, &visible), &query, self.store().cursors(), &mark).await
    }

    async fn count(
        &self,
        ctx: &Ctx,
        name: &'static str,
        record: &'static RecordType,
        within: Predicate,
        filter: Predicate,
    ) -> Result<Count> {
        let visible = self.visible(ctx);
        let filter = visibility::filter(ctx, self.catalogue(), &visible, record, filter, Use::Query)
            .map_err(|error| error.within("filter"))?;
        query::count(&self.store().read(name), &self.scoped(ctx, &visible), record, &within.and(filter)).await
    }

    async fn by_ids(
        &self,
        ctx: &Ctx,
        name: &'static str,
        record: &'static RecordType,
        ids: &[Uuid],
    ) -> Result<Vec<Row>> {
        let visible = self.visible(ctx);
        query::by_ids(&self.store().read(name), &self.scoped(ctx, &visible), record, ids, &[]).await
    }
}

fn only_users() -> Predicate {
    Predicate::eq("kind", ActorKind::User.as_str())
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids = ids.collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// For each first id of the pairs, the records of its second ids, in the order of the pairs.
fn grouped<T: Clone>(pairs: Vec<(Uuid, Uuid)>, records: Vec<T>, id: impl Fn(&T) -> Uuid) -> HashMap<Uuid, Vec<T>> {
    let records = records.into_iter().map(|record| (id(&record), record)).collect::<HashMap<_, _>>();
    let mut groups: HashMap<Uuid, Vec<T>> = HashMap::new();
    for (group, member) in pairs {
        if let Some(record) = records.get(&member) {
            groups.entry(group).or_default().push(record.clone());
        }
    }
    groups
}
