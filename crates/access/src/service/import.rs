//! People and teams that an import names: found, or made on the way.

use kernel::Result;
use store::Tx;
use store::query::Row;

use super::Access;
use super::teams::checked_team;
use super::users::checked_user;
use crate::commands::{RoleInput, TeamCreate, UserCreate};
use crate::events::USER_CREATED;
use crate::permission::{TEAM_MANAGE, USER_MANAGE};

/// A record that an import named.
#[derive(Clone, Debug)]
pub struct Named {
    /// The record, unmasked.
    pub row: Row,
    /// Whether it was made just now.
    pub created: bool,
}

impl Access {
    /// The user with this address; a user who is missing is made, without a password.
    ///
    /// # Errors
    /// `FORBIDDEN` without `user.manage` for the tenant; `VALIDATION` at `email` or `name`; `NOT_FOUND` for a role.
    pub async fn import_user_in(&self, tx: &mut Tx, email: &str, name: &str, roles: &[RoleInput]) -> Result<Named> {
        let ctx = tx.ctx().clone();
        self.require_tenant(&ctx, USER_MANAGE)?;
        let command = UserCreate { email: email.to_owned(), name: name.to_owned(), ..UserCreate::default() };
        let actor = checked_user(self, &command)?;
        if let Some(row) = self.account_row_by_email(&*tx, &ctx, email).await? {
            return Ok(Named { row, created: false });
        }
        let row = self.insert_actor_in(tx, USER_CREATED, &actor, roles, None).await?;
        Ok(Named { row, created: true })
    }

    /// The team with this slug; a team that is missing is made.
    ///
    /// # Errors
    /// `FORBIDDEN` without `team.manage` for the tenant; `VALIDATION` at `slug` or `name`.
    pub async fn import_team_in(&self, tx: &mut Tx, slug: &str, name: &str) -> Result<Named> {
        let ctx = tx.ctx().clone();
        self.require_tenant(&ctx, TEAM_MANAGE)?;
        let command = TeamCreate { slug: slug.to_owned(), name: name.to_owned(), ..Default::default() };
        let team = checked_team(&ctx, &command)?;
        if let Some(row) = self.team_row_by_slug(&*tx, &ctx, slug).await? {
            return Ok(Named { row, created: false });
        }
        let row = self.insert_team_in(tx, &team).await?;
        Ok(Named { row, created: true })
    }
}
