//! From how inputs point at users and teams to the records themselves.
//!
//! What the viewer may not know of is answered like what does not exist. Rows for the write path come unmasked, because rules and
//! events need the record as it is; use [`Access::masked`] before showing one.

use kernel::{ActorKind, Ctx, Id, Result, UserError, Uuid, id::prefix};
use predicate::{Facts, Policy, Predicate, RecordType};
use store::query::{self, Row};
use store::{ConnectionTrait, Tx};

use super::Access;
use crate::commands::{MAX_EMAIL, MAX_SLUG, TeamRef, UserRef, is_account, is_key, uuid_of};
use crate::fields::{ACTOR, TEAM};
use crate::model::{Account, Team};
use crate::{tables, visibility};

impl Access {
    /// The user that a reference points at, in a transaction, unmasked.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `email`.
    pub async fn user_in(&self, tx: &mut Tx, ctx: &Ctx, reference: &UserRef) -> Result<Row> {
        self.user_with(&*tx, ctx, reference).await
    }

    /// The user that a reference points at, on this connection, unmasked.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `email`.
    pub async fn user_with(&self, connection: &impl ConnectionTrait, ctx: &Ctx, reference: &UserRef) -> Result<Row> {
        let row = self.account_row(connection, ctx, reference).await?;
        if row.get("kind").as_text() == Some(ActorKind::User.as_str()) {
            return Ok(row);
        }
        Err(UserError::not_found(["id"], "the user").into())
    }

    /// The team that a reference points at, in a transaction, unmasked.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `slug`.
    pub async fn team_in(&self, tx: &mut Tx, ctx: &Ctx, reference: &TeamRef) -> Result<Row> {
        self.team_with(&*tx, ctx, reference).await
    }

    /// The visible actors among these ids, in a transaction, as the viewer may read them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn actors_in(&self, tx: &mut Tx, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Row>> {
        let visible = self.visible(ctx);
        query::by_ids(&*tx, &self.scoped(ctx, &visible), &ACTOR, ids, &[]).await
    }

    /// The actors with these ids, or with these addresses (in lower case) where the viewer may read them, as the viewer may read them; by
    /// one statement, and by none without names.
    ///
    /// # Errors
    /// Database errors.
    pub async fn users_named_in(&self, tx: &mut Tx, ctx: &Ctx, ids: &[Uuid], emails: &[String]) -> Result<Vec<Row>> {
        if ids.is_empty() && emails.is_empty() {
            return Ok(Vec::new());
        }
        let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
        let named = Predicate::Any(vec![Predicate::one_of("id", ids), Predicate::one_of("email", &emails)]);
        let visible = self.visible(ctx);
        let limit = (ids.len() + emails.len()) as u64;
        let mut rows = query::all(&*tx, &self.scoped(ctx, &visible), &ACTOR, &named, &[], limit).await?;
        // Addresses that the viewer may not read are not in the rows: finding by them would tell them.
        rows.retain(|row| ids.contains(&row.id()) || emails.contains(&row.text("email").as_str()));
        Ok(rows)
    }

    /// Whether the actor is a member of the team, in a transaction.
    ///
    /// # Errors
    /// Database errors.
    pub async fn is_member_in(&self, tx: &mut Tx, team: Uuid, actor: Uuid) -> Result<bool> {
        let tenant = tx.ctx().tenant;
        tables::is_member(&*tx, tenant, team, actor).await
    }

    /// Whether the actor is a member of the team, on this connection.
    ///
    /// # Errors
    /// Database errors.
    pub async fn is_member(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        team: Uuid,
        actor: Uuid,
    ) -> Result<bool> {
        tables::is_member(connection, ctx.tenant, team, actor).await
    }

    /// The user that a reference points at, as the viewer may read it.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `email`.
    pub async fn user(&self, ctx: &Ctx, reference: &UserRef) -> Result<Account> {
        let row = self.account_row(&self.store().read("user.find"), ctx, reference).await?;
        Ok(Account::from_row(&self.masked(ctx, &ACTOR, &row)))
    }

    /// The team that a reference points at, as the viewer may read it.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id` or `slug`.
    pub async fn team(&self, ctx: &Ctx, reference: &TeamRef) -> Result<Team> {
        let row = self.team_with(&self.store().read("team.find"), ctx, reference).await?;
        Ok(Team::from_row(&self.masked(ctx, &TEAM, &row)))
    }

    /// The user or service account that a reference points at, unmasked.
    pub(super) async fn account_row(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        reference: &UserRef,
    ) -> Result<Row> {
        match reference {
            UserRef::Id(id) => self.account_row_by_id(connection, ctx, id).await,
            UserRef::Email(email) => {
                let row = match is_key(email, MAX_EMAIL) {
                    true => self.account_row_by_email(connection, ctx, email).await?,
                    false => None,
                };
                row.ok_or_else(|| UserError::not_found(["email"], "the user").into())
            }
        }
    }

    async fn account_row_by_id(&self, connection: &impl ConnectionTrait, ctx: &Ctx, id: &Id) -> Result<Row> {
        let row = match is_account(id) {
            true => self.row(connection, ctx, &ACTOR, id.uuid).await?,
            false => None,
        };
        // A user's id with the prefix of service accounts names nothing.
        let kind = |row: &Row| row.get("kind").as_text().and_then(ActorKind::parse);
        let row = row.filter(|row| kind(row).is_some_and(|kind| kind.prefix() == id.prefix));
        row.ok_or_else(|| UserError::not_found(["id"], "the user").into())
    }

    pub(super) async fn account_row_by_email(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        email: &str,
    ) -> Result<Option<Row>> {
        let Some(id) = tables::id_by_email(connection, ctx.tenant, email).await? else { return Ok(None) };
        let row = self.row(connection, ctx, &ACTOR, id).await?;
        // Finding by address would tell the address: only for those who may read it.
        let read = ACTOR.field("email").map_or(Policy::Never, |field| field.read);
        Ok(row.filter(|row| self.allows(ctx, &ACTOR, &read, row)))
    }

    /// The team that a reference points at, on this connection.
    ///
    /// # Errors
    /// `NOT_FOUND`; database errors.
    pub async fn team_with(&self, connection: &impl ConnectionTrait, ctx: &Ctx, reference: &TeamRef) -> Result<Row> {
        let (row, path) = match reference {
            TeamRef::Id(id) => match uuid_of(id, prefix::TEAM) {
                Some(id) => (self.row(connection, ctx, &TEAM, id).await?, "id"),
                None => (None, "id"),
            },
            TeamRef::Slug(slug) if is_key(slug, MAX_SLUG) => {
                (self.team_row_by_slug(connection, ctx, slug).await?, "slug")
            }
            TeamRef::Slug(_) => (None, "slug"),
        };
        row.ok_or_else(|| UserError::not_found([path], "the team").into())
    }

    pub(super) async fn team_row_by_slug(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        slug: &str,
    ) -> Result<Option<Row>> {
        match tables::id_by_slug(connection, ctx.tenant, slug).await? {
            Some(id) => self.row(connection, ctx, &TEAM, id).await,
            None => Ok(None),
        }
    }

    /// One visible record, unmasked.
    pub(super) async fn row(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        record: &'static RecordType,
        id: Uuid,
    ) -> Result<Option<Row>> {
        let unmasked = visibility::unmasked(&self.visible(ctx));
        query::find(connection, &self.scoped(ctx, &unmasked), record, &Predicate::eq("id", id), &[]).await
    }

    /// Refuses unless the viewer may change the field on this row.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission, at the field.
    pub(super) fn require_write(
        &self,
        ctx: &Ctx,
        record: &'static RecordType,
        field: &str,
        permission: &str,
        facts: &impl Facts,
    ) -> Result<()> {
        let write = record.field(field).map_or(Policy::Never, |field| field.write);
        if self.allows(ctx, record, &write, facts) {
            return Ok(());
        }
        Err(UserError::forbidden(permission).within(field).into())
    }
}
