//! Signing in with a password, refreshing, and ending a session.

use std::sync::Arc;

use kernel::{Actor, ActorKind, Channel, Ctx, Grants, Id, Mutation, Result, Timestamp, UserError, Uuid, id::prefix};
use serde_json::json;
use store::{RecordRef, Tx, Written};
use subtle::ConstantTimeEq;

use super::Access;
use crate::commands::{MAX_EMAIL, MAX_SLUG, SignIn, folded, is_key};
use crate::error::{too_many_attempts, unauthenticated};
use crate::events::{SESSION_CREATED, SESSION_REVOKED, SUBJECT_SESSION, internal};
use crate::fields::ACTOR;
use crate::jwt::Claims;
use crate::model::{Account, Changed, SignedIn, Tenant};
use crate::permission::USER_MANAGE;
use crate::refresh;
use crate::tables::{self, Login, NewSession};
use crate::token::{self, Secret};

/// How many expired sessions one sweep of a tenant deletes at most.
pub const SESSION_SWEEP_BATCH: u64 = 1_000;
/// The kind of the job that deletes expired sessions.
pub const SWEEP_SESSIONS: &str = "session.sweep";

impl Access {
    /// Signs in with e-mail address and password.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for any wrong combination, after the same work; `RATE_LIMITED` after too many failures for the
    /// address; `UNAVAILABLE` when too many sign in at once; `VALIDATION` at `tenant` when it is left out and there are several.
    pub async fn sign_in(&self, command: SignIn, request_id: impl Into<Arc<str>>) -> Result<SignedIn> {
        let slug = command.tenant.as_deref().unwrap_or_default();
        if !is_key(&command.email, MAX_EMAIL) || !is_key(slug, MAX_SLUG) {
            return Err(unauthenticated());
        }
        let email = folded(&command.email);
        let reader = self.store().read("session.create");
        let tenant = self.sign_in_tenant(command.tenant.as_deref()).await?;
        let attempts = &self.inner().attempts;
        let watched = tenant.as_ref().map_or(slug, |tenant| tenant.slug.as_str()).to_owned();
        if !attempts.admit(&watched, &email, self.store().clock().now()) {
            return Err(too_many_attempts());
        }
        let login = match &tenant {
            Some(tenant) => tables::login(&reader, tenant.id, &email).await?,
            None => None,
        };
        let hash = login.as_ref().and_then(|login| login.password_hash.clone());
        let fits = self.inner().passwords.verify(command.password, hash).await?;
        let (Some(tenant), Some(login)) = (tenant, login) else { return Err(unauthenticated()) };
        if !fits || !login.active {
            return Err(unauthenticated());
        }
        let grants = tables::rights(&reader, tenant.id, login.actor).await?;
        let signed_in = self.open_session(tenant.id, email.clone(), login, grants, request_id.into()).await?;
        attempts.forget(&watched, &email);
        Ok(signed_in)
    }

    async fn sign_in_tenant(&self, slug: Option<&str>) -> Result<Option<Tenant>> {
        let reader = self.store().read("session.create");
        if let Some(slug) = slug {
            return tables::tenant_by_slug(&reader, slug).await;
        }
        let only = tables::only_tenant(&reader).await?;
        if only.is_none() {
            let message = "there is not exactly one tenant here; give the tenant's slug";
            return Err(UserError::constraint(["tenant"], message, "required", None).into());
        }
        Ok(only)
    }

    async fn open_session(
        &self,
        tenant: Uuid,
        email: String,
        login: Login,
        grants: Grants,
        request_id: Arc<str>,
    ) -> Result<SignedIn> {
        let now = self.store().clock().now();
        let session = kernel::random::new_id(now);
        let secret = refresh::generate(&self.inner().refresh_secret, session)?;
        let new = NewSession {
            id: session,
            actor: login.actor,
            refresh_hash: token::hash(secret.reveal()),
            expires_at: now + self.inner().settings.session_lifetime,
        };
        let ctx = self.session_ctx(tenant, login.actor, session, Arc::new(grants), request_id);
        let (access, expires_at) = (self.clone(), new.expires_at);
        let written = self
            .store()
            .write(&ctx, "sessionCreate", move |tx| {
                let (access, new, email, login) = (access.clone(), new.clone(), email.clone(), login.clone());
                Box::pin(async move {
                    // The password or the right to sign in may have been taken away while the hash was computed.
                    let current = tables::login(&*tx, tx.ctx().tenant, &email).await?;
                    let current =
                        current.filter(|current| current.active && current.password_hash == login.password_hash);
                    current.filter(|current| current.actor == login.actor).ok_or_else(unauthenticated)?;
                    tables::insert_session_in(tx, &new).await?;
                    tx.emit(internal(SESSION_CREATED, SUBJECT_SESSION, new.id, json!({ "actor": new.actor })));
                    access.account_in(tx, new.actor).await
                })
            })
            .await?;
        let account = written.fresh().ok_or_else(|| kernel::Error::internal("a sign-in is never replayed"))?;
        self.issue(&ctx, session, account, secret, expires_at)
    }

    /// Exchanges a refresh token, once, for the next pair.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for everything that does not hold. A token that was exchanged before ends its session as well.
    pub async fn refresh(&self, refresh_token: &str, request_id: impl Into<Arc<str>>) -> Result<SignedIn> {
        let secret = &self.inner().refresh_secret;
        let session = refresh::session_of(secret, refresh_token).ok_or_else(unauthenticated)?;
        let reader = self.store().read("session.refresh");
        let now = self.store().clock().now();
        let stored = tables::session_by_id(&reader, session).await?;
        let stored = stored.filter(|stored| stored.is_alive(now)).ok_or_else(unauthenticated)?;
        let grants = tables::rights(&reader, stored.tenant, stored.actor).await?;
        let ctx = self.session_ctx(stored.tenant, stored.actor, session, Arc::new(grants), request_id.into());
        let next = refresh::generate(secret, session)?;
        let (used, next_hash) = (token::hash(refresh_token), token::hash(next.reveal()));
        let is_latest = bool::from(used.ct_eq(&stored.refresh_hash));
        let expires_at = now + self.inner().settings.session_lifetime;
        let access = self.clone();
        let written = self
            .store()
            .write(&ctx, "sessionRefresh", move |tx| {
                let access = access.clone();
                Box::pin(async move {
                    if is_latest && tables::rotate_session_in(tx, session, &used, &next_hash, expires_at).await? {
                        return Ok(Some(access.account_in(tx, tx.ctx().actor.id).await?));
                    }
                    // Committed, and refused outside: whoever holds the other copy is out as well.
                    end_in(tx, session, true).await?;
                    Ok(None)
                })
            })
            .await?;
        match written.fresh().flatten() {
            Some(account) => self.issue(&ctx, session, account, next, expires_at),
            None => {
                self.rights_changed();
                tracing::warn!(session = %Id::new(prefix::SESSION, session), "a used refresh token came back: the session was ended");
                Err(unauthenticated())
            }
        }
    }

    /// Ends a session: the caller's own that asks (`None`), another of theirs, or, with `user.manage` for the tenant, anybody's.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`; `VALIDATION` when the caller has no session and names none.
    pub async fn session_revoke(&self, ctx: &Ctx, id: Option<Id>) -> Result<Changed<Id>> {
        let session = match (id, &ctx.channel) {
            (Some(id), _) => id,
            (None, Channel::Session(session)) => Id::new(prefix::SESSION, *session),
            (None, _) => {
                let message = "this call was not made in a session; name the session to end";
                return Err(UserError::constraint(["id"], message, "required", None).into());
            }
        };
        let stored = tables::session_by_id(&self.store().read("session.revoke"), session.uuid).await?;
        let may = |actor| actor == ctx.actor.id || ctx.grants.holds_tenant(USER_MANAGE);
        stored
            .filter(|stored| session.prefix == prefix::SESSION && stored.tenant == ctx.tenant && may(stored.actor))
            .ok_or_else(|| UserError::not_found(["id"], "the session"))?;
        let written = self
            .store()
            .write(ctx, "sessionRevoke", move |tx| {
                Box::pin(async move {
                    tx.answers_with(RecordRef { id: session, version: 1 });
                    end_in(tx, session.uuid, false).await
                })
            })
            .await?;
        if matches!(written, Written::Fresh { .. }) {
            self.rights_changed();
        }
        let changed = self.answer(ctx, written, |_| async { Ok(()) }).await?;
        Ok(Changed { record: session, events: changed.events })
    }

    /// Deletes sessions of the tenant that expired before now; answers how many, at most [`SESSION_SWEEP_BATCH`].
    ///
    /// # Errors
    /// Database errors.
    pub async fn sweep_sessions(&self, tenant: Uuid) -> Result<u64> {
        let ctx = self.system_ctx(tenant, "session sweep");
        let written = self
            .store()
            .write(&ctx, "session.sweep", |tx| {
                Box::pin(async move { tables::sweep_sessions_in(tx, tx.now(), SESSION_SWEEP_BATCH).await })
            })
            .await?;
        Ok(written.fresh().unwrap_or_default())
    }

    /// Deletes expired sessions of all tenants; answers whether there are more.
    ///
    /// # Errors
    /// Database errors.
    pub async fn sweep_all_sessions(&self) -> Result<bool> {
        let mut more = false;
        for tenant in self.tenants().await? {
            more |= self.sweep_sessions(tenant.id).await? == SESSION_SWEEP_BATCH;
        }
        Ok(more)
    }

    fn session_ctx(&self, tenant: Uuid, actor: Uuid, session: Uuid, grants: Arc<Grants>, request_id: Arc<str>) -> Ctx {
        Ctx {
            tenant,
            actor: Actor { id: actor, kind: ActorKind::User },
            grants,
            channel: Channel::Session(session),
            request_id,
            clock: self.store().clock().clone(),
            mutation: Mutation::default(),
        }
    }

    async fn account_in(&self, tx: &mut Tx, actor: Uuid) -> Result<Account> {
        let ctx = tx.ctx().clone();
        let row = self.actors_in(tx, &ctx, &[actor]).await?.pop();
        debug_assert!(row.as_ref().is_none_or(|row| row.record() == ACTOR.name));
        row.map(|row| Account::from_row(&row)).ok_or_else(unauthenticated)
    }

    fn issue(
        &self,
        ctx: &Ctx,
        session: Uuid,
        account: Account,
        refresh_token: Secret,
        refresh_expires_at: Timestamp,
    ) -> Result<SignedIn> {
        let lifetime = self.inner().settings.access_token_lifetime;
        let claims = Claims::new(ctx.tenant, ctx.actor.id, session, ctx.now(), lifetime);
        Ok(SignedIn {
            session,
            account,
            tenant: ctx.tenant,
            access_token: Secret(self.inner().signer.sign(&claims)?),
            access_expires_at: claims.expires_at(),
            refresh_token,
            refresh_expires_at,
        })
    }
}

/// Ends the session if it is alive; `reused` says whether a used refresh token came back.
async fn end_in(tx: &mut Tx, session: Uuid, reused: bool) -> Result<()> {
    if tables::revoke_session_in(tx, session).await? {
        tx.emit(internal(SESSION_REVOKED, SUBJECT_SESSION, session, json!({ "refreshTokenReused": reused })));
    }
    Ok(())
}
