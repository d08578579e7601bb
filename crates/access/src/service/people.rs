//! Whom a team or a role means now: its active users. For what is decided by whoever belongs to it at that moment.

use kernel::{Ctx, Result, Uuid};
use store::{ConnectionTrait, Tx};

use super::Access;
use crate::commands::is_key;
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

    /// Whether there is a role with this key.
    ///
    /// # Errors
    /// Database errors.
    pub async fn role_exists(&self, connection: &impl ConnectionTrait, ctx: &Ctx, key: &str) -> Result<bool> {
        Ok(is_key(key, usize::MAX) && !tables::roles_by_keys(connection, ctx.tenant, &[key]).await?.is_empty())
    }
}
