//! The platform behind the schema: the services that resolvers call, as the doors and the executor need it.

use std::sync::Arc;

use access::Access;
use agreement::Agreements;
use async_graphql::{Data, Executor, Request, Response};
use delivery::LiveHub;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use incident::{IncidentRules, Incidents};
use kernel::{Ctx, Error, ErrorCode, Result};
use objects::Sha256Hex;
use predicate::{Catalogue, RecordType};
use problem::{ProblemRules, Problems};
use reactions::Follower;
use sla::ServiceLevels;
use store::{JobHandlers, Store};
use ticket::kind::Kinds;
use ticket::{TaskRules, Tickets};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::door::{Alike, Backend, Contract, Door, DoorConfig, Fetched, Posted, Principal, Sight, Viewer};
use crate::files::Files;
use crate::files::link::{Link, Purpose};
use crate::incidents::intake;
use crate::jobs;
use crate::loaders::{Loaders, Turns};
use crate::tickets::alike;
use crate::tickets::documents::ApiDocuments;

/// What the installation tells of itself.
#[derive(Clone, Debug)]
pub struct Info {
    /// The version of this server.
    pub version: &'static str,
    /// The limits that clients meet at the doors.
    pub limits: crate::door::Limits,
}

/// The services that resolvers call. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// Who you are and what you may do.
    pub access: Access,
    /// Tickets of any kind.
    pub tickets: Tickets,
    /// Incidents.
    pub incidents: Incidents,
    /// Problems.
    pub problems: Problems,
    /// Calendars, policies and clocks.
    pub levels: ServiceLevels,
    /// Agreements, requirements, reviews and improvements.
    pub agreements: Agreements,
    /// Where files are, and which are taken.
    pub files: Files,
    /// Wakes subscriptions.
    pub hub: LiveHub,
    /// What the installation tells of itself.
    pub info: Arc<Info>,
    /// The schema as clients see it.
    pub contract: Contract,
}

/// All record types of the product.
pub fn records() -> Vec<&'static RecordType> {
    let shared = access::RECORDS.into_iter().chain(configuration::RECORDS);
    shared
        .chain(ticket::fields::ALL.iter().copied())
        .chain(sla::fields::ALL.iter().copied())
        .chain(agreement::ALL.iter().copied())
        .chain(incident::ALL.iter().copied())
        .chain(problem::ALL.iter().copied())
        .collect()
}

/// The catalogue of all record types.
///
/// # Errors
/// `INTERNAL` when the declarations do not fit together.
pub fn catalogue() -> Result<Catalogue> {
    Catalogue::new(records()).map_err(Error::internal)
}

/// The schema as clients see it, read once.
///
/// # Errors
/// When it is unsound.
pub fn contract() -> Result<Contract> {
    Contract::new(crate::schema::sdl())
}

/// The tickets of all practices, with what follows each write on them: every process that writes tickets, a server or a command
/// beside it, has them from here.
///
/// # Errors
/// When a workflow is unsound.
pub fn levels(access: Access, contract: &Contract) -> Result<ServiceLevels> {
    let incidents = IncidentRules::new().map_err(Error::internal)?;
    let tasks = TaskRules::new().map_err(Error::internal)?;
    let problems = ProblemRules::new().map_err(Error::internal)?;
    let store = access.store().clone();
    let tickets = Tickets::new(access, Kinds::new(vec![Arc::new(incidents), Arc::new(tasks), Arc::new(problems)]));
    tickets.register_documents(Arc::new(ApiDocuments::new(contract)?));
    let levels = ServiceLevels::new(tickets);
    let problems = Problems::new(levels.tickets().clone());
    let mut reacting: Vec<Arc<dyn store::Reaction>> = vec![Arc::new(levels.clone())];
    let incidents = Incidents::new(levels.tickets().clone());
    reacting.extend(reactions::in_transaction(&incidents, &problems));
    store.react_with(reacting);
    Ok(levels)
}

impl Platform {
    /// Puts the services together over a store.
    ///
    /// # Errors
    /// When a workflow or the catalogue is unsound, or the database does not answer.
    pub async fn start(
        store: Store,
        settings: access::Settings,
        limits: crate::door::Limits,
        files: Files,
    ) -> Result<Self> {
        let access = Access::new(store.clone(), Arc::new(catalogue()?), settings)?;
        let contract = contract()?;
        let levels = levels(access.clone(), &contract)?;
        let tickets = levels.tickets().clone();
        let incidents = Incidents::new(tickets.clone());
        let problems = Problems::new(tickets.clone());
        let agreements = Agreements::new(levels.clone());
        let hub = LiveHub::start(store).await?;
        let info = Arc::new(Info { version: env!("CARGO_PKG_VERSION"), limits });
        Ok(Self { access, tickets, incidents, problems, levels, agreements, files, hub, info, contract })
    }

    /// What links to files are signed with.
    pub fn link_secret(&self) -> [u8; 32] {
        self.tickets.store().secret("link to a file")
    }

    /// What a link to a file allows.
    fn opened_link(&self, link: &str) -> Result<Link> {
        let opened =
            Link::open(&self.link_secret(), link).filter(|link| link.expires_at > self.tickets.store().clock().now());
        opened.ok_or_else(|| {
            Error::request(ErrorCode::NotFound, "the link does not hold (any more); ask the API for a new one")
        })
    }

    async fn fetch_attachment(&self, link: Link) -> Result<Fetched> {
        let unscanned = link.purpose == Purpose::Scan;
        let (row, reading) =
            self.tickets.open_attachment(&self.files.objects, link.tenant, link.file, unscanned).await?;
        let sha256 = Sha256Hex::parse(&row.text("sha256"));
        let sha256 = sha256.ok_or_else(|| Error::internal("an attachment's checksum is none"))?;
        Ok(Fetched {
            file_name: row.text("fileName"),
            media_type: row.text("mediaType"),
            bytes: reading.bytes,
            sha256: sha256.bytes(),
            body: reading.body,
        })
    }

    async fn fetch_export(&self, link: Link) -> Result<Fetched> {
        let file = self.tickets.open_export(&self.files.objects, link.tenant, link.file).await?;
        Ok(Fetched {
            sha256: file.sha256()?.bytes(),
            media_type: file.exported.format.media_type().to_owned(),
            bytes: file.exported.bytes.unsigned_abs(),
            file_name: file.file_name,
            body: file.body,
        })
    }

    /// What follows the log: run it beside the jobs.
    pub fn follower(&self) -> Follower {
        Follower::new(self.tickets.clone(), reactions::after_commit(&self.incidents, &self.problems))
    }

    /// What becomes of each kind of durable job.
    pub fn job_handlers(&self) -> JobHandlers {
        jobs::handlers(self)
    }
}

#[async_trait::async_trait]
impl Backend for Platform {
    async fn authenticate(&self, token: &str, request_id: &str) -> Result<Principal> {
        let session = self.access.authenticate(token, request_id).await?;
        Ok(Principal { ctx: session.ctx, expires_at: session.expires_at })
    }

    async fn intake(&self, ctx: Ctx, posted: Posted) -> Result<serde_json::Value> {
        intake::take(&self.incidents, &ctx, &posted).await
    }

    async fn receive(
        &self,
        link: &str,
        media_type: Option<&str>,
        body: BoxStream<'_, Result<bytes::Bytes>>,
    ) -> Result<()> {
        let link = self.opened_link(link)?;
        if link.purpose != Purpose::Upload {
            return Err(Error::request(ErrorCode::NotFound, "the link is for fetching a file"));
        }
        let objects = &self.files.objects;
        self.tickets.receive_upload(objects, link.tenant, link.file, media_type, body).await
    }

    async fn fetch(&self, link: &str) -> Result<Fetched> {
        let link = self.opened_link(link)?;
        match link.purpose {
            Purpose::Upload => Err(Error::request(ErrorCode::NotFound, "the link is for sending a file")),
            Purpose::Fetch | Purpose::Scan => self.fetch_attachment(link).await,
            Purpose::Export => self.fetch_export(link).await,
        }
    }

    async fn ready(&self) -> std::result::Result<(), String> {
        self.tickets.store().log().head().await.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn log_cursor(&self, ctx: &Ctx, behind: Option<i64>) -> Option<String> {
        let settled = self.hub.settled(ctx.tenant).min(behind.unwrap_or(i64::MAX));
        Some(self.tickets.store().cursors().seal_log(ctx.tenant, settled))
    }

    fn alike(&self) -> Alike {
        alike::alike()
    }

    fn sight(&self, ctx: &Ctx) -> Option<Sight> {
        alike::sight(self, ctx)
    }

    fn metrics_text(&self) -> String {
        let store = self.tickets.store();
        format!(
            "# HELP deskwire_sql_statements_total SQL statements, authentication and the log's own reads apart.\n\
             # TYPE deskwire_sql_statements_total counter\n\
             deskwire_sql_statements_total {}\n\
             # HELP deskwire_write_retries_total Writes that were run again because others were faster.\n\
             # TYPE deskwire_write_retries_total counter\n\
             deskwire_write_retries_total {}\n\
             # HELP deskwire_log_position The newest position of the event log that subscriptions have been told.\n\
             # TYPE deskwire_log_position gauge\n\
             deskwire_log_position {}\n",
            store.statement_count(),
            store.retry_count(),
            self.hub.head(),
        )
    }
}

/// Serves the platform until `shutdown`, through all doors.
///
/// The future is boxed here, so that all that it runs is compiled in this crate and not once more in each that awaits it.
///
/// # Errors
/// `INTERNAL` when there can be no metrics.
pub fn serve(
    platform: Platform,
    config: DoorConfig,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<BoxFuture<'static, std::io::Result<()>>> {
    let executing = Executing::new(crate::schema::build(platform.clone()), platform.clone());
    let door = Door::new(executing, platform.contract.clone(), Arc::new(platform), config)?;
    Ok(Box::pin(async move { door.serve(listener, shutdown).await }))
}

/// The schema with the loaders of each request.
#[derive(Clone)]
pub struct Executing {
    schema: crate::schema::Schema,
    platform: Platform,
}

impl Executing {
    /// Over a schema that was built with this platform.
    pub fn new(schema: crate::schema::Schema, platform: Platform) -> Self {
        Self { schema, platform }
    }

    /// Loaders see what the viewer sees: they are made for one request and go with it, and with its turns.
    fn with_loaders(&self, request: Request, turns: &Turns) -> Request {
        let viewer = request.data.get(&std::any::TypeId::of::<Viewer>());
        let viewer = viewer.and_then(|viewer| viewer.downcast_ref::<Viewer>()).cloned();
        match viewer.filter(|viewer| viewer.ctx.is_some()) {
            Some(viewer) => request.data(Loaders::new(self.platform.clone(), viewer, turns.clone())),
            None => request,
        }
    }
}

impl Executor for Executing {
    async fn execute(&self, request: Request) -> Response {
        let turns = Turns::default();
        turns.run(self.schema.execute(self.with_loaders(request, &turns))).await
    }

    fn execute_stream(&self, request: Request, session_data: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let turns = Turns::default();
        let request = self.with_loaders(request, &turns);
        turns.run_stream(Executor::execute_stream(&self.schema, request, session_data)).boxed()
    }
}
