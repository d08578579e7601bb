//! The doors: how requests reach the schema and answers leave, over HTTP, WebSocket and Server-Sent Events.
//!
//! The order of defence is the same on each: size of the body, its media type, credentials, rate, the document's
//! tokens and nesting, its structure, validation, coercion of variables, cost, deadline, size of the errors. Nothing
//! here knows tickets or users: what the doors need from the platform comes through [`Backend`], and what they drive
//! is any [`Executor`].

pub mod alike;
mod alone;
pub mod answer;
mod connection;
pub mod contract;
mod convert;
mod cost;
pub mod document;
mod engine;
mod files;
pub mod gate;
mod graphiql;
mod handshake;
mod health;
mod http;
mod inputs;
mod intake;
pub mod limits;
mod metrics;
mod negotiation;
pub mod place;
mod protocol;
mod rate;
pub mod routes;
mod server;
mod session;
mod shared;
mod sources;
mod sse;
pub mod structure;
#[cfg(test)]
mod tests;
mod values;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::Executor;
use futures_util::stream::BoxStream;
use kernel::{Clock, Ctx, Error, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use alike::{Alike, Sight};
pub use contract::Contract;
pub use files::Fetched;
pub use inputs::coerce_json;
pub use limits::{Limits, Milliseconds};

/// What the doors need from the platform behind them.
#[async_trait::async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Who holds this bearer token; may be cached for at most 5 s.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when it does not hold, `UNAVAILABLE` when that cannot be found out now.
    async fn authenticate(&self, token: &str, request_id: &str) -> kernel::Result<Principal>;

    /// Takes what a program posts to `/intake/…`; the answer is shown as it is.
    ///
    /// # Errors
    /// `NOT_FOUND` for a form that nobody understands; what is wrong about it; `UNAVAILABLE` when it is to be sent again.
    async fn intake(&self, _ctx: Ctx, posted: Posted) -> kernel::Result<serde_json::Value> {
        let message = format!("nothing is taken at /intake/{}", posted.form);
        Err(kernel::Error::request(kernel::ErrorCode::NotFound, message))
    }

    /// Takes the bytes of a file by a link: see [`files`].
    ///
    /// # Errors
    /// `NOT_FOUND` for a link that does not hold; what is wrong with the bytes; `UNAVAILABLE` when they are to be sent again.
    async fn receive(
        &self,
        _link: &str,
        _media_type: Option<&str>,
        _body: BoxStream<'_, kernel::Result<bytes::Bytes>>,
    ) -> kernel::Result<()> {
        Err(kernel::Error::request(kernel::ErrorCode::NotFound, "no files are taken here"))
    }

    /// Opens a file by a link.
    ///
    /// # Errors
    /// `NOT_FOUND` for a link that does not hold; `UNAVAILABLE`.
    async fn fetch(&self, _link: &str) -> kernel::Result<Fetched> {
        Err(kernel::Error::request(kernel::ErrorCode::NotFound, "there are no files here"))
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// What is missing, for `/readyz`.
    async fn ready(&self) -> Result<(), String>;

    /// A cursor of the tenant's log that no open stream of this process has yet to catch up with, told in the close reason
    /// when draining: resuming from it repeats some events and misses none. `None` if unknown. `behind`: where the socket's
    /// own subscriptions stand that share a stream.
    async fn log_cursor(&self, ctx: &Ctx, behind: Option<i64>) -> Option<String>;

    /// What says the same to all with the same [`Backend::sight`].
    fn alike(&self) -> Alike {
        Alike::default()
    }

    /// All that this viewer's rights let through of what [`Backend::alike`] names; `None` when that is unknown.
    fn sight(&self, _ctx: &Ctx) -> Option<Sight> {
        None
    }

    /// More metrics in Prometheus' text format; may be empty.
    fn metrics_text(&self) -> String;
}

/// What a program posted to `/intake/…`.
#[derive(Clone, Debug)]
pub struct Posted {
    /// In which form: the rest of the path.
    pub form: String,
    /// The media type under `content-type`, and the headers that begin with `ce-`; names in lower case.
    pub attributes: Vec<(String, String)>,
    /// What was posted.
    pub body: bytes::Bytes,
}

impl Posted {
    /// A header among the attributes.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Who holds a token.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Tenant, actor and rights.
    pub ctx: Ctx,
    /// When the token ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Who asks: in the data of every request.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Tenant, actor and rights; `None` without credentials.
    pub ctx: Option<Ctx>,
    /// For subscriptions: the rights as they change.
    pub live: Option<watch::Receiver<Ctx>>,
    /// Names the request in logs, traces and errors.
    pub request_id: Arc<str>,
    /// The clock of this process.
    pub clock: Clock,
    /// The network address that the request came from, if known.
    pub address: Option<IpAddr>,
    /// For subscriptions: where they are to begin, and where they say how far they have come.
    pub place: Option<Arc<place::Place>>,
}

/// How the doors are set.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// Every limit.
    pub limits: Limits,
    /// Origins beside our own that browsers may call from (`https://portal.example`), without a trailing slash.
    pub allowed_origins: Vec<String>,
    /// Whether `/graphiql` is there.
    pub graphiql: bool,
    /// The clock of this process.
    pub clock: Clock,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), allowed_origins: Vec::new(), graphiql: true, clock: Clock::System }
    }
}

/// The doors in front of an executor. Cheap to clone.
pub struct Door<E>(Arc<Inner<E>>);

impl<E> Clone for Door<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What all requests share.
struct Inner<E> {
    executor: E,
    contract: Contract,
    gate: gate::Gate,
    backend: Arc<dyn Backend>,
    limits: Limits,
    allowed_origins: Vec<String>,
    graphiql: bool,
    clock: Clock,
    rates: rate::RateLimiter,
    metrics: metrics::Metrics,
    alike: Alike,
    groups: shared::Groups,
    sockets: Arc<Semaphore>,
    /// Everything that shutdown waits for.
    tasks: TaskTracker,
    /// Not ready any more; no new work.
    draining: CancellationToken,
    /// The time to drain is over.
    killed: CancellationToken,
}

impl<E: Executor> Door<E> {
    /// Doors in front of this executor, which executes what the contract says.
    ///
    /// # Errors
    /// `INTERNAL` when there can be no metrics.
    pub fn new(executor: E, contract: Contract, backend: Arc<dyn Backend>, config: DoorConfig) -> kernel::Result<Self> {
        let DoorConfig { limits, allowed_origins, graphiql, clock } = config;
        Ok(Self(Arc::new(Inner {
            executor,
            gate: gate::Gate::new(&contract, limits.clone()),
            contract,
            alike: backend.alike(),
            backend,
            rates: rate::RateLimiter::new(&limits, clock.clone()),
            metrics: metrics::Metrics::new().map_err(Error::internal)?,
            groups: shared::Groups::default(),
            sockets: Arc::new(Semaphore::new(limits.sockets)),
            limits,
            allowed_origins,
            graphiql,
            clock,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            killed: CancellationToken::new(),
        })))
    }

    /// The routes, for a server of one's own. [`Door::serve`] adds timeouts, caps and draining.
    pub fn router(&self) -> axum::Router {
        routes::router(self.0.clone())
    }

    /// Serves until `shutdown`, then drains: not ready, requests in flight finish, sockets are closed with 1012 and
    /// the log's cursor; returns when all are gone or the time to drain is over.
    ///
    /// # Errors
    /// When the listener does not listen.
    pub async fn serve(&self, listener: tokio::net::TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        server::serve(self.0.clone(), listener, shutdown).await
    }
}
