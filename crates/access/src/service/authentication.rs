//! From a credential to a context: who it is, what they may do, until when.

use std::sync::Arc;

use chrono::Duration;
use kernel::{Actor, ActorKind, Channel, Ctx, Error, Grants, Mutation, Result, Timestamp, Uuid};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::{Access, IDENTITY_LIFETIME};
use crate::error::unauthenticated;
use crate::jwt::LEEWAY;
use crate::permission::normalised;
use crate::tables::{self, StoredToken};
use crate::token::{self, TokenScope, is_well_formed, narrowed, prefix_for};

/// The longest credential that is looked at, in bytes.
pub const MAX_CREDENTIAL: usize = 4_096;
/// How often the last use of a token is written down at most.
pub const LAST_USED_INTERVAL: Duration = Duration::minutes(1);

/// How often a credential is resolved anew when rights change meanwhile.
const ATTEMPTS: usize = 3;

/// A credential that holds.
#[derive(Clone, Debug)]
pub struct Session {
    /// The context for all that is done with it. Its rights are those of now: for a long-lived connection, authenticate
    /// again every [`IDENTITY_LIFETIME`].
    pub ctx: Ctx,
    /// When the credential stops working; `None`: it does not expire.
    pub expires_at: Option<Timestamp>,
}

/// What a credential resolves to.
#[derive(Debug)]
pub(crate) struct Identity {
    tenant: Uuid,
    actor: Actor,
    grants: Arc<Grants>,
    channel: Channel,
    expires_at: Option<Timestamp>,
    /// The end of validity, leeway included.
    valid_until: Option<Timestamp>,
    read_at: Timestamp,
    generation: u64,
}

impl Identity {
    fn is_current(&self, now: Timestamp, generation: u64) -> bool {
        // Read a moment later than `now` by another caller is fine; a clock that was set back by more is not.
        self.generation == generation && (now - self.read_at).abs() < lifetime()
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }
}

fn lifetime() -> Duration {
    Duration::from_std(IDENTITY_LIFETIME).unwrap_or(Duration::zero())
}

impl Access {
    /// The context of whoever holds this credential: an access token of a session, or an API token.
    ///
    /// Resolved credentials are kept for [`IDENTITY_LIFETIME`], and no longer than the next change of rights in this
    /// process. What is not kept costs two statements, under the name `authentication`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for everything that does not hold, whatever the reason; `UNAVAILABLE` when the database does not answer.
    pub async fn authenticate(&self, credential: &str, request_id: impl Into<Arc<str>>) -> Result<Session> {
        if credential.is_empty() || credential.len() > MAX_CREDENTIAL {
            return Err(unauthenticated());
        }
        let identity = self.identity(credential).await?;
        if !identity.is_valid(self.store().clock().now()) {
            return Err(unauthenticated());
        }
        Ok(Session { ctx: self.ctx_of(&identity, request_id.into()), expires_at: identity.expires_at })
    }

    fn ctx_of(&self, identity: &Identity, request_id: Arc<str>) -> Ctx {
        Ctx {
            tenant: identity.tenant,
            actor: identity.actor,
            grants: Arc::clone(&identity.grants),
            channel: identity.channel.clone(),
            request_id,
            clock: self.store().clock().clone(),
            mutation: Mutation::default(),
        }
    }

    async fn identity(&self, credential: &str) -> Result<Arc<Identity>> {
        let key: [u8; 32] = Sha256::digest(credential.as_bytes()).into();
        let identities = &self.inner().identities;
        let asked_at = self.generation();
        for _ in 0..ATTEMPTS {
            let now = self.store().clock().now();
            if let Some(known) = identities.get(&key).await {
                if known.is_current(now, self.generation()) {
                    return Ok(known);
                }
                identities.invalidate(&key).await;
            }
            // Callers that come together share one resolution.
            let resolved = identities.try_get_with(key, self.resolve(credential)).await;
            let resolved = resolved.map_err(|error: Arc<Error>| Error::clone(&error))?;
            // A shared resolution may have begun before a revocation that this caller must heed.
            if resolved.generation >= asked_at {
                return Ok(resolved);
            }
        }
        self.resolve(credential).await
    }

    async fn resolve(&self, credential: &str) -> Result<Arc<Identity>> {
        let identity = match token::kind_of(credential) {
            Some(kind) => self.resolve_token(credential, kind).await?,
            None => self.resolve_session(credential).await?,
        };
        Ok(Arc::new(identity))
    }

    async fn resolve_token(&self, text: &str, kind: ActorKind) -> Result<Identity> {
        if !prefix_for(kind).is_some_and(|prefix| is_well_formed(text, prefix)) {
            return Err(unauthenticated());
        }
        let (generation, now) = (self.generation(), self.store().clock().now());
        let reader = self.store().read("authentication");
        let stored = tables::token_by_hash(&reader, &token::hash(text)).await?;
        let stored = stored.filter(|stored| stored.owner_kind == kind && stored.is_alive(now));
        let StoredToken { tenant, owner_kind, token, .. } = stored.ok_or_else(unauthenticated)?;
        let rights = tables::rights(&reader, tenant, token.owner).await?;
        let identity = Identity {
            tenant,
            actor: Actor { id: token.owner, kind: owner_kind },
            grants: Arc::new(under_scopes(rights, &token.scopes)),
            channel: Channel::Token(token.id),
            expires_at: token.expires_at,
            valid_until: token.expires_at,
            read_at: now,
            generation,
        };
        if token.last_used_at.is_none_or(|used| now - used >= LAST_USED_INTERVAL) {
            self.note_use(&identity, token.id, now);
        }
        Ok(identity)
    }

    /// Writes down that a token was used, in the background: nobody waits for it, and it may fail.
    fn note_use(&self, identity: &Identity, token: Uuid, now: Timestamp) {
        let (access, ctx) = (self.clone(), self.ctx_of(identity, "token use".into()));
        let write = async move {
            let unless_after = now - LAST_USED_INTERVAL;
            let written = access
                .store()
                .write(&ctx, "authentication", move |tx| {
                    Box::pin(async move { tables::touch_token_in(tx, token, unless_after).await })
                })
                .await;
            if let Err(error) = written {
                tracing::debug!(%error, "the last use of a token was not written down");
            }
        };
        tokio::spawn(write.in_current_span());
    }

    async fn resolve_session(&self, text: &str) -> Result<Identity> {
        let (generation, now) = (self.generation(), self.store().clock().now());
        let claims = self.inner().signer.verify(text, now).ok_or_else(unauthenticated)?;
        let reader = self.store().read("authentication");
        let stored = tables::session_by_id(&reader, claims.sid).await?;
        stored
            .filter(|stored| stored.tenant == claims.tenant && stored.actor == claims.sub && stored.is_alive(now))
            .ok_or_else(unauthenticated)?;
        let grants = tables::rights(&reader, claims.tenant, claims.sub).await?;
        Ok(Identity {
            tenant: claims.tenant,
            actor: Actor { id: claims.sub, kind: ActorKind::User },
            grants: Arc::new(grants),
            channel: Channel::Session(claims.sid),
            expires_at: Some(claims.expires_at()),
            valid_until: Some(claims.expires_at() + LEEWAY),
            read_at: now,
            generation,
        })
    }
}

/// An actor's rights as a token with these scopes carries them.
///
/// A stored scope that means nothing any more grants nothing; it does not turn the token into one without scopes.
pub(crate) fn under_scopes(rights: Grants, scopes: &[String]) -> Grants {
    if scopes.is_empty() {
        return rights;
    }
    let known = scopes.iter().filter_map(|scope| TokenScope::parse(scope).ok()).collect::<Vec<_>>();
    normalised(narrowed(rights.grants, &known), rights.teams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::everything;

    #[test]
    fn a_scope_that_means_nothing_grants_nothing() {
        assert_eq!(under_scopes(everything(), &[]), everything());
        assert!(under_scopes(everything(), &["ticket.fly".into()]).grants.is_empty());
    }

    #[test]
    fn what_was_resolved_is_believed_for_a_while_and_not_after_a_change() {
        let identity = Identity {
            tenant: Uuid::nil(),
            actor: Actor { id: Uuid::nil(), kind: ActorKind::User },
            grants: Arc::default(),
            channel: Channel::System,
            expires_at: None,
            valid_until: None,
            read_at: Timestamp::UNIX_EPOCH,
            generation: 1,
        };
        let at = |seconds| Timestamp::UNIX_EPOCH + Duration::seconds(seconds);
        let while_believed = IDENTITY_LIFETIME.as_secs() as i64;
        assert!(identity.is_current(at(while_believed - 1), 1));
        assert!(!identity.is_current(at(while_believed), 1));
        assert!(identity.is_current(at(-1), 1), "another caller read it a moment later");
        assert!(!identity.is_current(at(-while_believed), 1), "the clock was set back");
        assert!(!identity.is_current(at(0), 2));
    }
}
