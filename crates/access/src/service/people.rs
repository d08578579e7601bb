//! Whom a team or a role means now: its active users. For what is decided by whoever belongs to it at that moment.

use kernel::{Ctx, Id, Result, Uuid, id::prefix};
use store::{ConnectionTrait, Tx};

use super::Access;
use crate::commands::{MAX_MANAGERS, TeamRef, is_key};
use crate::rules::{NextManager, next_in_line};
use crate::tables;

impl Access {
    /// Those of these users who are active.
    ///
    /// # Errors
    /// Database errors.
    pub async fn active_users_in(&self, tx: &mut Tx, users: &[Uuid]) -> Result<Vec<Uuid>> {
        let tenant = tx.ctx().tenant;
        tables::active_users(&*tx, tenant, tables::People::Among(users), users.len() as u64).await
    }

    /// The first active users who are members of the team, the oldest accounts first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn active_members_in(&self, tx: &mut Tx, team: Uuid, limit: u64) -> Result<Vec<Uuid>> {
        let tenant = tx.ctx().tenant;
        tables::active_users(&*tx, tenant, tables::People::MembersOf(team), limit).await
    }

    /// The first active users who have the role with this key, for whichever teams; the oldest accounts first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn active_holders_in(&self, tx: &mut Tx, role: &str, limit: u64) -> Result<Vec<Uuid>> {
        let tenant = tx.ctx().tenant;
        tables::active_users(&*tx, tenant, tables::People::HoldersOf(role), limit).await
    }

    /// The user's manager, if there is one and they are active.
    ///
    /// # Errors
    /// Database errors.
    pub async fn active_manager_in(&self, tx: &mut Tx, user: Uuid) -> Result<Option<Uuid>> {
        let tenant = tx.ctx().tenant;
        Ok(tables::active_users(&*tx, tenant, tables::People::ManagerOf(user), 1).await?.pop())
    }

    /// To whom a matter of this team goes next on its way up the line of managers, when it has reached `reached`: see [`next_in_line`].
    ///
    /// # Errors
    /// Database errors.
    pub async fn next_manager_in(&self, tx: &mut Tx, team: Uuid, reached: Option<Uuid>) -> Result<NextManager> {
        let ctx = tx.ctx().clone();
        let row = self.team_in(tx, &ctx, &TeamRef::Id(Id::new(prefix::TEAM, team))).await?;
        let mut line = Vec::new();
        let mut above = row.get("manager").as_id();
        // Who manages a team may have as many above them as anybody.
        while let Some(manager) = above.filter(|_| line.len() <= MAX_MANAGERS) {
            line.push(manager);
            above = tables::hold_manager_in(tx, manager).await?;
        }
        let active = self.active_users_in(tx, &line).await?;
        Ok(next_in_line(&line, &active, reached))
    }

    /// Whether there is a role with this key.
    ///
    /// # Errors
    /// Database errors.
    pub async fn role_exists(&self, connection: &impl ConnectionTrait, ctx: &Ctx, key: &str) -> Result<bool> {
        Ok(is_key(key, usize::MAX) && !tables::roles_by_keys(connection, ctx.tenant, &[key]).await?.is_empty())
    }
}
