//! The platform behind the schema: the services that resolvers call, as the doors and the executor need it.

use std::sync::Arc;

use access::Access;
use access::operation::SWEEP as SWEEP_OPERATIONS;
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
use problem::{ProblemRules, Problems, review};
use reactions::Follower;
use sla::{ServiceLevels, apply, escalation, simulate};
use store::{Job, JobHandlers, JobOutcome, Store, sweep_again};
use ticket::approval::{self, delegation};
use ticket::attachment::upload;
use ticket::kind::Kinds;
use ticket::{TaskRules, Tickets, bulk, recurring, search, timer, transfer, workflow};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::door::{Alike, Backend, Contract, Door, DoorConfig, Fetched, Posted, Principal, Sight, Viewer};
use crate::files::Files;
use crate::files::link::{Link, Purpose};
use crate::incidents::intake;
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
        let (closing, waking, sweeping, moving) = (self.clone(), self.clone(), self.clone(), self.clone());
        let (expiring, delegating, escalating) = (self.clone(), self.clone(), self.clone());
        let (simulating, applying, forgetting) = (self.clone(), self.clone(), self.clone());
        let (reminding, telling) = (self.clone(), self.clone());
        let (reviewing, indexing, changing, following) = (self.clone(), self.clone(), self.clone(), self.follower());
        let (collecting, exporting, importing) = (self.clone(), self.clone(), self.clone());
        let recurring = self.clone();
        JobHandlers::new()
            .forgetting(access::events::TRANSIENT_SUBJECTS)
            .recurring(access::SWEEP_SESSIONS, move |store, _| {
                let platform = sweeping.clone();
                async move { Ok(sweep_again(&store, platform.access.sweep_all_sessions().await?)) }
            })
            .on(timer::AUTO_CLOSE, move |_, job| {
                let platform = closing.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, timer::AUTO_CLOSE);
                    platform.tickets.auto_close(&ctx, Tickets::job_ticket(&job.payload)?).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(incident::service::STATUS_UPDATE_DUE, move |_, job| {
                let platform = reminding.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, incident::service::STATUS_UPDATE_DUE);
                    platform.incidents.remind_of_status_update(&ctx, Tickets::job_ticket(&job.payload)?).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(incident::service::TELL_CHILDREN, move |_, job| {
                let platform = telling.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, incident::service::TELL_CHILDREN);
                    platform.incidents.tell_children(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(workflow::MIGRATE, move |_, job| {
                let platform = moving.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, workflow::MIGRATE);
                    platform.tickets.migrate_workflow(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(search::INDEX, move |_, job| {
                let platform = indexing.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, search::INDEX);
                    platform.tickets.index_missing(&ctx).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(timer::WAKE, move |_, job| {
                let platform = waking.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, timer::WAKE);
                    platform.tickets.wake(&ctx, Tickets::job_ticket(&job.payload)?).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(approval::EXPIRE, move |_, job| {
                let platform = expiring.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, approval::EXPIRE);
                    platform.tickets.expire_approval(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(reactions::RETRY, move |_, job| {
                let follower = following.clone();
                async move { follower.retry(&job).await }
            })
            .on(review::REVIEW_RISK, move |_, job| {
                let platform = reviewing.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, review::REVIEW_RISK);
                    platform.problems.tell_of_review(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .recurring(SWEEP_OPERATIONS, move |store, _| {
                let platform = forgetting.clone();
                async move { Ok(sweep_again(&store, platform.access.sweep_operations().await?)) }
            })
            .recurring(upload::SWEEP, move |store, _| {
                let platform = collecting.clone();
                async move { Ok(sweep_again(&store, platform.tickets.sweep_uploads(&platform.files.objects).await?)) }
            })
            .on(bulk::JOB, move |store, job| {
                let platform = changing.clone();
                async move {
                    let (ctx, tickets) = (platform.access.system_ctx(job.tenant, bulk::JOB), &platform.tickets);
                    let run = tickets.run_bulk(&ctx, &job.payload);
                    in_slices(&store, &job, run, tickets.give_up_bulk(&ctx, &job.payload)).await
                }
            })
            .on(transfer::IMPORT, move |store, job| {
                let platform = importing.clone();
                async move {
                    let (ctx, tickets) = (platform.access.system_ctx(job.tenant, transfer::IMPORT), &platform.tickets);
                    let run = tickets.run_import(&platform.files.objects, &ctx, &job.payload);
                    in_slices(&store, &job, run, tickets.give_up_import(&ctx, &job.payload)).await
                }
            })
            .on(transfer::EXPORT, move |store, job| {
                let platform = exporting.clone();
                async move {
                    let (ctx, tickets) = (platform.access.system_ctx(job.tenant, transfer::EXPORT), &platform.tickets);
                    let run = tickets.run_export(&platform.files.objects, &ctx, &job.payload);
                    in_slices(&store, &job, run, tickets.give_up_export(&ctx, &job.payload)).await
                }
            })
            .on(recurring::RUN, move |store, job| {
                let platform = recurring.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, recurring::RUN);
                    let at_last = job.attempt.unsigned_abs() >= store.limits().job_attempts;
                    match platform.tickets.run_recurring(&ctx, &job.payload, at_last).await? {
                        true => Ok(JobOutcome::Again(store.clock().now())),
                        false => Ok(JobOutcome::Done),
                    }
                }
            })
            .on(simulate::SIMULATE, move |_, job| {
                let platform = simulating.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, simulate::SIMULATE);
                    platform.levels.run_simulation(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(apply::APPLY, move |_, job| {
                let platform = applying.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, apply::APPLY);
                    platform.levels.run_application(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(escalation::TIMER, move |_, job| {
                let platform = escalating.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, escalation::TIMER);
                    platform.levels.run_timer(&ctx, Tickets::job_ticket(&job.payload)?).await?;
                    Ok(JobOutcome::Done)
                }
            })
            .on(delegation::TURN, move |_, job| {
                let platform = delegating.clone();
                async move {
                    let ctx = platform.access.system_ctx(job.tenant, delegation::TURN);
                    platform.tickets.turn_delegation(&ctx, &job.payload).await?;
                    Ok(JobOutcome::Done)
                }
            })
    }
}

/// Runs one slice of a job's work. Others have their turn before the next; what fails as often as a job is tried is given up.
async fn in_slices(
    store: &Store,
    job: &Job,
    run: impl Future<Output = Result<bool>>,
    give_up: impl Future<Output = Result<()>>,
) -> Result<JobOutcome> {
    match run.await {
        Ok(true) => Ok(JobOutcome::Again(store.clock().now())),
        Ok(false) => Ok(JobOutcome::Done),
        Err(error) => {
            if job.attempt.unsigned_abs() >= store.limits().job_attempts {
                give_up.await?;
            }
            Err(error)
        }
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
