//! Making, listing and revoking API tokens.

use chrono::Duration;
use kernel::error::Problems;
use kernel::{ActorKind, Channel, Ctx, Id, Result, Timestamp, UserError, Uuid, id::prefix};
use serde_json::json;
use store::{RecordRef, Tx, Written};

use super::Access;
use super::authentication::under_scopes;
use crate::commands::{ApiTokenCreate, MAX_SCOPES, MAX_TOKENS, UserRef, checked_name, within};
use crate::error::not_held;
use crate::events::{API_TOKEN_CREATED, API_TOKEN_REVOKED, SUBJECT_API_TOKEN, internal};
use crate::model::{ApiToken, Changed, IssuedToken};
use crate::permission::TOKEN_MANAGE;
use crate::rules::uncovered;
use crate::tables;
use crate::token::{Secret, TokenScope, generate, hash, prefix_for};

/// The furthest expiry of a token.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::days(3_660);

impl Access {
    /// Makes an API token for oneself or, with `token.manage` for the tenant, for a service account. The secret is in the
    /// answer and nowhere else.
    ///
    /// # Errors
    /// `FORBIDDEN` without `token.manage`, or when the token would carry more than the caller holds; `NOT_FOUND` at `for`;
    /// `VALIDATION` and `LIMIT` with paths.
    pub async fn api_token_create(&self, ctx: &Ctx, command: ApiTokenCreate) -> Result<Changed<IssuedToken>> {
        if !ctx.grants.holds(TOKEN_MANAGE) {
            return Err(UserError::forbidden(TOKEN_MANAGE).into());
        }
        let checked = Checked::new(&command, ctx.now())?;
        let access = self.clone();
        let written = self
            .store()
            .write(ctx, "apiTokenCreate", move |tx| {
                let (access, checked, owner) = (access.clone(), checked.clone(), command.owner);
                Box::pin(async move { access.create_token_in(tx, &checked, owner).await })
            })
            .await?;
        match written {
            Written::Fresh { value, events, .. } => Ok(Changed { record: value, events }),
            Written::Replayed { .. } => Err(UserError::validation(
                ["idempotencyKey"],
                "an answer that holds a secret is not kept: this mutation takes no idempotency key",
            )
            .into()),
        }
    }

    async fn create_token_in(&self, tx: &mut Tx, checked: &Checked, owner: Option<Id>) -> Result<IssuedToken> {
        let ctx = tx.ctx().clone();
        let (owner, kind) = self.token_owner_in(tx, &ctx, owner).await?;
        let token_prefix = prefix_for(kind).ok_or_else(|| UserError::not_found(["for"], "the service account"))?;
        let rights = under_scopes(tables::rights(&*tx, ctx.tenant, owner).await?, &checked.scopes);
        if let Some(grant) = uncovered(&ctx.grants, &rights.grants) {
            return Err(not_held("scopes", &grant.permission).into());
        }
        if tables::count_alive_tokens(&*tx, ctx.tenant, owner, tx.now()).await? >= MAX_TOKENS as u64 {
            let message = format!("there are {MAX_TOKENS} tokens already, which is the most; revoke one first");
            return Err(UserError::limit([] as [&str; 0], message, MAX_TOKENS as u64).into());
        }
        let secret: Secret = generate(token_prefix);
        let token = ApiToken {
            id: tx.new_id(),
            owner,
            name: checked.name.clone(),
            prefix: secret.shown().to_owned(),
            scopes: checked.scopes.clone(),
            expires_at: checked.expires_at,
            last_used_at: None,
            revoked_at: None,
            created_at: tx.now(),
        };
        tables::insert_token_in(tx, &token, &hash(secret.reveal())).await?;
        let payload = json!({
            "owner": owner, "name": token.name, "prefix": token.prefix, "scopes": token.scopes, "expiresAt": token.expires_at,
        });
        tx.emit(internal(API_TOKEN_CREATED, SUBJECT_API_TOKEN, token.id, payload));
        tx.answers_with(RecordRef { id: token.public_id(), version: 1 });
        Ok(IssuedToken { token, secret })
    }

    /// Whose token it will be: one's own, a service account's, or, on the command line, anybody's.
    async fn token_owner_in(&self, tx: &mut Tx, ctx: &Ctx, owner: Option<Id>) -> Result<(Uuid, ActorKind)> {
        let Some(owner) = owner.filter(|owner| *owner != ctx.actor.public_id()) else {
            return Ok((ctx.actor.id, ctx.actor.kind));
        };
        self.require_tenant(ctx, TOKEN_MANAGE)?;
        let row = self.account_row(&*tx, ctx, &UserRef::Id(owner)).await.map_err(|error| renamed(error, "for"))?;
        let kind = row.get("kind").as_text().and_then(ActorKind::parse);
        match kind {
            Some(ActorKind::ServiceAccount) => Ok((row.id(), ActorKind::ServiceAccount)),
            Some(ActorKind::User) if ctx.channel == Channel::CommandLine => Ok((row.id(), ActorKind::User)),
            _ => {
                let message = "a token can be made for oneself or for a service account, not for another user";
                Err(UserError::validation(["for"], message).into())
            }
        }
    }

    /// Revokes a token: one's own or, with `token.manage` for the tenant, anybody's. One that is revoked already stays so.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`; `FORBIDDEN` without `token.manage`.
    pub async fn api_token_revoke(&self, ctx: &Ctx, id: Id) -> Result<Changed<ApiToken>> {
        if !ctx.grants.holds(TOKEN_MANAGE) {
            return Err(UserError::forbidden(TOKEN_MANAGE).into());
        }
        let access = self.clone();
        let written = self
            .store()
            .write(ctx, "apiTokenRevoke", move |tx| {
                let access = access.clone();
                Box::pin(async move { access.revoke_token_in(tx, id).await })
            })
            .await?;
        if matches!(written, Written::Fresh { .. }) && !ctx.mutation.dry_run {
            self.rights_changed();
        }
        self.answer(ctx, written, |uuid| self.api_token(ctx, uuid)).await
    }

    async fn revoke_token_in(&self, tx: &mut Tx, id: Id) -> Result<ApiToken> {
        let ctx = tx.ctx().clone();
        let found = match id.prefix == prefix::API_TOKEN {
            true => tables::token_by_id(&*tx, ctx.tenant, id.uuid).await?,
            false => None,
        };
        let found =
            found.filter(|token| may_see(&ctx, token)).ok_or_else(|| UserError::not_found(["id"], "the token"))?;
        tx.answers_with(RecordRef { id, version: 1 });
        if !tables::revoke_token_in(tx, found.id).await? {
            return Ok(found);
        }
        let payload = json!({ "owner": found.owner, "name": found.name, "prefix": found.prefix });
        tx.emit(internal(API_TOKEN_REVOKED, SUBJECT_API_TOKEN, found.id, payload));
        Ok(ApiToken { revoked_at: Some(tx.now()), ..found })
    }

    /// A token that the viewer may see.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`.
    pub async fn api_token(&self, ctx: &Ctx, id: Uuid) -> Result<ApiToken> {
        let found = tables::token_by_id(&self.store().read("token.find"), ctx.tenant, id).await?;
        let found = found.filter(|token| may_see(ctx, token));
        found.ok_or_else(|| UserError::not_found(["id"], "the token").into())
    }

    /// The tokens of an actor that were not revoked, newest first, at most [`MAX_TOKENS`]; none when the viewer may not see them.
    ///
    /// # Errors
    /// Database errors.
    pub async fn api_tokens(&self, ctx: &Ctx, owner: Uuid) -> Result<Vec<ApiToken>> {
        if owner != ctx.actor.id && !ctx.grants.holds_tenant(TOKEN_MANAGE) {
            return Ok(Vec::new());
        }
        tables::tokens_of(&self.store().read("token.list"), ctx.tenant, owner, MAX_TOKENS as u64).await
    }
}

fn may_see(ctx: &Ctx, token: &ApiToken) -> bool {
    token.owner == ctx.actor.id || ctx.grants.holds_tenant(TOKEN_MANAGE)
}

fn renamed(error: kernel::Error, field: &str) -> kernel::Error {
    match error {
        kernel::Error::Refused(_) => UserError::not_found([field], "the service account").into(),
        other => other,
    }
}

/// A command whose values hold.
#[derive(Clone, Debug)]
struct Checked {
    name: String,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
}

impl Checked {
    fn new(command: &ApiTokenCreate, now: Timestamp) -> Result<Self> {
        let mut problems = Problems::default();
        let name = problems.take(checked_name("name", &command.name))?;
        problems.take(within("scopes", command.scopes.len(), MAX_SCOPES, "scopes"))?;
        for (index, scope) in command.scopes.iter().take(MAX_SCOPES).enumerate() {
            if let Err(message) = TokenScope::parse(scope) {
                problems.add(UserError::validation(["scopes".to_owned(), index.to_string()], message));
            }
        }
        if let Some(expires_at) = command.expires_at {
            if expires_at <= now {
                problems.add(UserError::constraint(["expiresAt"], "`expiresAt` is not in the future", "future", None));
            } else if expires_at - now > MAX_TOKEN_LIFETIME {
                let days = MAX_TOKEN_LIFETIME.num_days();
                let message = format!("`expiresAt` is more than {days} days away");
                problems.add(UserError::limit(["expiresAt"], message, days.unsigned_abs()));
            }
        }
        problems.check()?;
        Ok(Self { name: name.unwrap_or_default(), scopes: command.scopes.clone(), expires_at: command.expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_told_together() {
        let now = Timestamp::UNIX_EPOCH;
        let command = ApiTokenCreate {
            name: " ".into(),
            scopes: vec!["ticket.read".into(), "ticket.fly".into()],
            expires_at: Some(now),
            owner: None,
        };
        let kernel::Error::Refused(errors) = Checked::new(&command, now).unwrap_err() else { panic!() };
        let paths = errors.iter().map(|error| error.path.join(".")).collect::<Vec<_>>();
        assert_eq!(paths, ["name", "scopes.1", "expiresAt"]);
    }

    #[test]
    fn scopes_and_lifetime_are_bounded() {
        let now = Timestamp::UNIX_EPOCH;
        let with = |scopes, lifetime| ApiTokenCreate {
            name: "bot".into(),
            scopes: vec!["ticket.read".into(); scopes],
            expires_at: Some(now + lifetime),
            owner: None,
        };
        assert!(Checked::new(&with(MAX_SCOPES, MAX_TOKEN_LIFETIME), now).is_ok());
        assert!(Checked::new(&with(MAX_SCOPES + 1, Duration::days(1)), now).is_err());
        assert!(Checked::new(&with(1, MAX_TOKEN_LIFETIME + Duration::seconds(1)), now).is_err());
    }
}
