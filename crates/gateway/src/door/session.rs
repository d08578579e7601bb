//! A long-lived connection's credentials: asked for again every few seconds, so that revocation and changed rights
//! take effect on open sockets and streams.

use std::sync::Arc;

use kernel::{Ctx, ErrorCode, Timestamp};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{Inner, Principal};

/// A principal whose token is watched.
#[derive(Debug)]
pub struct Session {
    /// Who it was at the beginning.
    pub principal: Principal,
    /// The rights as they change.
    pub live: watch::Receiver<Ctx>,
    /// `None` when somebody else waits for its end.
    watcher: Option<AbortOnDropHandle<&'static str>>,
}

impl Session {
    /// Starts to watch the token that proved to be this principal's.
    pub fn start<E: Send + Sync + 'static>(
        door: Arc<Inner<E>>,
        token: String,
        principal: Principal,
        request_id: Arc<str>,
    ) -> Self {
        let (sender, live) = watch::channel(principal.ctx.clone());
        let expires_at = principal.expires_at;
        let watcher = tokio::spawn(watch_token(door, token, expires_at, sender, request_id));
        Self { principal, live, watcher: Some(AbortOnDropHandle::new(watcher)) }
    }

    /// The principal as of now.
    pub fn current(&self) -> Principal {
        Principal { ctx: self.live.borrow().clone(), expires_at: self.principal.expires_at }
    }

    /// Waits until the credentials hold no more, and says why.
    pub async fn ended(&mut self) -> &'static str {
        match &mut self.watcher {
            Some(watcher) => watcher.await.unwrap_or(UNKNOWN_END),
            None => std::future::pending().await,
        }
    }

    /// The same for whoever keeps it: the token is watched for as long as this is not dropped.
    pub fn end(&mut self) -> impl Future<Output = &'static str> + Send + 'static {
        let watcher = self.watcher.take();
        async move {
            match watcher {
                Some(watcher) => watcher.await.unwrap_or(UNKNOWN_END),
                None => std::future::pending().await,
            }
        }
    }
}

/// Said of a session whose watcher failed.
const UNKNOWN_END: &str = "the credentials could not be checked any more";

async fn watch_token<E>(
    door: Arc<Inner<E>>,
    token: String,
    mut expires_at: Option<Timestamp>,
    sender: watch::Sender<Ctx>,
    request_id: Arc<str>,
) -> &'static str {
    let interval = door.limits.reauthentication_interval.duration();
    loop {
        tokio::time::sleep(interval).await;
        if expires_at.is_some_and(|at| at <= door.clock.now()) {
            return "the token has expired";
        }
        match door.backend.authenticate(&token, &request_id).await {
            Ok(principal) => {
                expires_at = principal.expires_at;
                let known = sender.borrow().clone();
                if (known.tenant, known.actor) != (principal.ctx.tenant, principal.ctx.actor) {
                    return "the token has another owner now";
                }
                if known.grants != principal.ctx.grants {
                    sender.send_replace(principal.ctx);
                }
            }
            Err(error) if error.code() == ErrorCode::Unauthenticated => {
                return "the token was revoked or has expired";
            }
            // The database may be away for a moment: that revokes nothing. Expiry is checked without it.
            Err(error) => tracing::warn!(%request_id, %error, "a token could not be checked again"),
        }
    }
}
