//! A small company with tickets, and short words for what the tests do again and again.
#![allow(dead_code, reason = "the tests of three crates share this, and none needs all of it")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use access::{Access, Membership, PasswordCost, RoleInput, Settings, SignIn, TeamCreate, TeamRef, UserCreate, UserRef};
use incident::{CreateIncident, INCIDENT, IncidentOrigin, IncidentRules, Incidents, UpdateIncident};
use kernel::error::RefusedTransition;
use kernel::{Ctx, Detail, Error, ErrorCode, Id, Mutation, Patch, Timestamp, UserError, Uuid};
use migrations::testing::{TestStore, each_engine};
use predicate::{Catalogue, Predicate, RecordType, Visibilities, Visibility};
use serde_json::{Map, Value as Json};
use store::query::{self, Row};
use store::{Event, JobHandlers, JobOutcome, NewJob, Store};
use ticket::approval::{self, delegation};
use ticket::kind::Kinds;
use ticket::{
    AddComment, AssignTicket, CommentVisibility, Impact, Outcome, TaskRules, TicketRef, Tickets, TransitionTicket,
    Urgency, WatchTicket, timer,
};
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "correct horse";

/// Everything over one store, as a server has it.
pub struct Services {
    pub access: Access,
    pub tickets: Tickets,
    pub incidents: Incidents,
}

impl Services {
    pub fn over(store: Store) -> Self {
        Self::with(store, &[])
    }

    /// With further record types beside those of the product.
    pub fn with(store: Store, further: &[&'static RecordType]) -> Self {
        let of_tickets = ticket::fields::ALL.iter().chain(further).copied();
        let records = access::RECORDS.into_iter().chain(configuration::RECORDS).chain(of_tickets).chain([&INCIDENT]);
        let catalogue = Catalogue::new(records).unwrap();
        let password_cost = PasswordCost { memory_kib: 8, iterations: 1, parallelism: 1 };
        let settings = Settings { password_cost, ..Settings::default() };
        let access = Access::new(store, Arc::new(catalogue), settings).unwrap();
        let rules = IncidentRules::new().unwrap();
        let tickets =
            Tickets::new(access.clone(), Kinds::new(vec![Arc::new(rules), Arc::new(TaskRules::new().unwrap())]));
        let incidents = Incidents::new(tickets.clone());
        Self { access, tickets, incidents }
    }
}

/// A store with the tenant `acme`: the teams `network` (ada, abe, lee) and `desktop` (dana), the requesters rita and rob, lee who
/// leads `network`, amy the administrator, ivy the auditor. Whoever helps is an agent.
pub struct World {
    pub store: TestStore,
    pub access: Access,
    pub tickets: Tickets,
    pub incidents: Incidents,
    /// The command line in the tenant.
    pub root: Ctx,
    people: BTreeMap<&'static str, Ctx>,
}

const PEOPLE: &[(&str, &str, &[&str])] = &[
    ("rita", "requester", &[]),
    ("rob", "requester", &[]),
    ("ada", "agent", &["network"]),
    ("abe", "agent", &["network"]),
    ("dana", "agent", &["desktop"]),
    ("lee", "team_lead", &["network"]),
    ("amy", "administrator", &[]),
    ("ivy", "auditor", &[]),
];

/// Runs the test on each engine in a world of its own.
pub async fn in_each_world<R: Future<Output = ()>>(test: impl Fn(World) -> R) {
    in_each_world_with(&[], test).await;
}

/// The same with further record types.
pub async fn in_each_world_with<R: Future<Output = ()>>(further: &[&'static RecordType], test: impl Fn(World) -> R) {
    each_engine(|store| async { test(World::over(store, further).await).await }).await;
}

impl World {
    async fn over(store: TestStore, further: &[&'static RecordType]) -> Self {
        let Services { access, tickets, incidents } = Services::with(store.store.clone(), further);
        let (root, people) = tenant(&access, "acme").await;
        Self { store, access, tickets, incidents, root, people }
    }

    /// What somebody asks with.
    pub fn ctx(&self, name: &str) -> Ctx {
        self.people[name].clone()
    }

    pub fn id(&self, name: &str) -> Uuid {
        self.people[name].actor.id
    }

    /// Signs in anew, after roles changed.
    pub async fn sign_in(&self, name: &str) -> Ctx {
        sign_in(&self.access, "acme", name).await
    }

    pub fn now(&self) -> Timestamp {
        self.store.clock.now()
    }

    pub fn advance(&self, by: chrono::Duration) {
        self.store.clock.advance(by);
    }

    /// Opens an incident for rita.
    pub async fn open(&self, title: &str) -> Row {
        self.create(&self.ctx("rita"), new(title)).await
    }

    /// Opens an incident for rita that the network team has.
    pub async fn open_for_network(&self, title: &str) -> Row {
        let command = CreateIncident { team: Some(team("network")), requester: Some(user("rita")), ..new(title) };
        self.create(&self.ctx("ada"), command).await
    }

    pub async fn create(&self, ctx: &Ctx, command: CreateIncident) -> Row {
        self.incidents.create(ctx, command).await.unwrap().row.unwrap()
    }

    /// The ticket as the command line sees it.
    pub async fn see(&self, ticket: &Row) -> Row {
        let relations = ticket::queries::RELATIONS;
        self.tickets.find(&self.root, &INCIDENT, &by_id(ticket), relations).await.unwrap().unwrap()
    }

    pub async fn transition(&self, who: &str, ticket: &Row, key: &str, inputs: Json) -> kernel::Result<Outcome> {
        self.tickets.transition(&self.ctx(who), transition(ticket, key, inputs)).await
    }

    /// Takes transitions as ada until the ticket of the network team is in this state.
    pub async fn bring_to(&self, ticket: &Row, state: &str) {
        let steps: &[&str] = match state {
            "assigned" => &[],
            "in_progress" => &["start"],
            "on_hold" => &["hold"],
            "resolved" => &["resolve"],
            "closed" => &["resolve", "close"],
            "canceled" => &["cancel"],
            other => panic!("no way to {other}"),
        };
        for step in steps {
            self.transition("ada", ticket, step, inputs_of(step)).await.unwrap();
        }
        assert_eq!(self.see(ticket).await.text("state"), state);
    }

    pub async fn comment(&self, who: &str, ticket: &Row, body: &str) {
        self.tickets.add_comment(&self.ctx(who), comment(ticket, body, CommentVisibility::Public)).await.unwrap();
    }

    pub async fn assign(
        &self,
        who: &str,
        ticket: &Row,
        to: (Patch<TeamRef>, Patch<UserRef>),
    ) -> kernel::Result<Outcome> {
        let (team, assignee) = to;
        let command = AssignTicket { ticket: by_id(ticket), team, assignee, expected_version: None };
        self.tickets.assign(&self.ctx(who), command).await
    }

    /// Every row of every table that is a record type, as it is.
    pub async fn dump(&self) -> BTreeMap<&'static str, Vec<Row>> {
        self.store.number_events().await.unwrap();
        let mut dump = BTreeMap::new();
        for record in self.access.catalogue().iter() {
            dump.insert(record.name, self.all(record).await);
        }
        dump
    }

    /// Every row of a record type, as it is.
    pub async fn all(&self, record: &'static RecordType) -> Vec<Row> {
        let visible = everything(self.access.catalogue());
        let scoped = self.access.scoped(&self.root, &visible);
        query::all(&self.store.read("test"), &scoped, record, &Predicate::always(), &[], 10_000).await.unwrap()
    }

    /// All events of a ticket, oldest first, as the command line sees them.
    pub async fn events_of(&self, ticket: &Row) -> Vec<Row> {
        self.history(&self.root, ticket).await
    }

    /// All events of a ticket that the viewer may see, oldest first.
    pub async fn history(&self, ctx: &Ctx, ticket: &Row) -> Vec<Row> {
        self.store.number_events().await.unwrap();
        let filter = Predicate::eq("subject", ticket.id());
        self.tickets.events(ctx, filter, &kernel::Page::first(100)).await.unwrap().rows
    }

    /// Runs all jobs that are due now, as a worker does; answers which kinds were run, in order.
    pub async fn run_due_jobs(&self) -> Vec<&'static str> {
        let done = Arc::new(Mutex::new(Vec::new()));
        let end = CancellationToken::new();
        let (closing, waking, ended) = (self.handler(), self.handler(), end.clone());
        let (closed, woken) = (Arc::clone(&done), Arc::clone(&done));
        let handlers = JobHandlers::new()
            .on(timer::AUTO_CLOSE, move |_, job| {
                let ((tickets, access), closed) = (closing.clone(), Arc::clone(&closed));
                async move {
                    let ctx = access.system_ctx(job.tenant, timer::AUTO_CLOSE);
                    tickets.auto_close(&ctx, Tickets::job_ticket(&job.payload)?).await?;
                    closed.lock().unwrap().push(timer::AUTO_CLOSE);
                    Ok(JobOutcome::Done)
                }
            })
            .on(timer::WAKE, move |_, job| {
                let ((tickets, access), woken) = (waking.clone(), Arc::clone(&woken));
                async move {
                    let ctx = access.system_ctx(job.tenant, timer::WAKE);
                    tickets.wake(&ctx, Tickets::job_ticket(&job.payload)?).await?;
                    woken.lock().unwrap().push(timer::WAKE);
                    Ok(JobOutcome::Done)
                }
            })
            .on(approval::EXPIRE, {
                let (handler, done) = (self.handler(), Arc::clone(&done));
                move |_, job| {
                    let ((tickets, access), done) = (handler.clone(), Arc::clone(&done));
                    async move {
                        let ctx = access.system_ctx(job.tenant, approval::EXPIRE);
                        tickets.expire_approval(&ctx, &job.payload).await?;
                        done.lock().unwrap().push(approval::EXPIRE);
                        Ok(JobOutcome::Done)
                    }
                }
            })
            .on(delegation::TURN, {
                let (handler, done) = (self.handler(), Arc::clone(&done));
                move |_, job| {
                    let ((tickets, access), done) = (handler.clone(), Arc::clone(&done));
                    async move {
                        let ctx = access.system_ctx(job.tenant, delegation::TURN);
                        tickets.turn_delegation(&ctx, &job.payload).await?;
                        done.lock().unwrap().push(delegation::TURN);
                        Ok(JobOutcome::Done)
                    }
                }
            })
            // Jobs are claimed by their time: when the last one runs, all that were due before are claimed.
            .on(LAST_JOB, move |_, _| {
                let ended = ended.clone();
                async move {
                    ended.cancel();
                    Ok(JobOutcome::Done)
                }
            });
        let tenant = self.root.tenant;
        self.advance(chrono::Duration::microseconds(1));
        let last = self.store.write(&self.root, "test.lastJob", move |tx| {
            Box::pin(async move {
                let run_at = tx.now();
                tx.enqueue(NewJob { kind: LAST_JOB, tenant, unique_key: None, run_at, payload: Json::Null });
                Ok(())
            })
        });
        last.await.unwrap();
        self.store.run_jobs(handlers, end).await;
        let done = done.lock().unwrap();
        done.clone()
    }

    fn handler(&self) -> (Tickets, Access) {
        (self.tickets.clone(), self.access.clone())
    }
}

const LAST_JOB: &str = "test.last";

/// A tenant with the company in it.
pub async fn tenant(access: &Access, slug: &str) -> (Ctx, BTreeMap<&'static str, Ctx>) {
    let command = access::TenantCreate { slug: slug.into(), name: slug.to_uppercase() };
    let tenant = access.tenant_create(command).await.unwrap();
    let root = access.command_line_ctx(tenant.id, "test");
    for slug in ["network", "desktop"] {
        let command = TeamCreate { slug: slug.into(), name: slug.to_uppercase(), ..Default::default() };
        access.team_create(&root, command).await.unwrap();
    }
    let mut people = BTreeMap::new();
    for (name, role, teams) in PEOPLE.iter().copied() {
        let command = UserCreate {
            email: format!("{name}@acme.example"),
            name: name.into(),
            password: Some(PASSWORD.into()),
            roles: vec![RoleInput { role: role.into(), team: None }],
            ..UserCreate::default()
        };
        access.user_create(&root, command).await.unwrap();
        for slug in teams {
            access.team_member_add(&root, Membership { team: team(slug), user: user(name) }).await.unwrap();
        }
        people.insert(name, sign_in(access, slug, name).await);
    }
    (root, people)
}

async fn sign_in(access: &Access, tenant: &str, name: &str) -> Ctx {
    let email = format!("{name}@acme.example");
    let command = SignIn { tenant: Some(tenant.into()), email, password: PASSWORD.into() };
    let signed_in = access.sign_in(command, "test").await.unwrap();
    access.authenticate(signed_in.access_token.reveal(), "test").await.unwrap().ctx
}

/// Every row and every field.
pub fn everything(catalogue: &Catalogue) -> Visibilities {
    catalogue.iter().map(|record| (record.name, Visibility::default())).collect()
}

/// The smallest incident.
pub fn new(title: &str) -> CreateIncident {
    CreateIncident {
        title: title.into(),
        description: None,
        requester: None,
        impact: Impact::Medium,
        urgency: Urgency::Medium,
        priority_override: None,
        category: None,
        service: None,
        items: Default::default(),
        team: None,
        assignee: None,
        tags: Vec::new(),
        custom_fields: Vec::new(),
        external_refs: Vec::new(),
        origin: IncidentOrigin::Api,
        deduplication_key: None,
    }
}

/// Changes nothing yet.
pub fn update(ticket: &Row) -> UpdateIncident {
    UpdateIncident {
        incident: by_id(ticket),
        title: None,
        description: Patch::Keep,
        requester: None,
        impact: None,
        urgency: None,
        priority_override: Patch::Keep,
        category: Patch::Keep,
        service: Patch::Keep,
        items: Default::default(),
        tags: None,
        custom_fields: Vec::new(),
        expected_version: None,
    }
}

pub fn retitle(ticket: &Row, title: &str) -> UpdateIncident {
    UpdateIncident { title: Some(title.into()), ..update(ticket) }
}

pub fn transition(ticket: &Row, key: &str, inputs: Json) -> TransitionTicket {
    TransitionTicket {
        ticket: by_id(ticket),
        transition: key.into(),
        inputs: inputs.as_object().cloned().unwrap_or_default(),
        comment: None,
        resolve_children: false,
        expected_version: None,
    }
}

/// What a transition needs.
pub fn inputs_of(transition: &str) -> Json {
    match transition {
        "assign" => serde_json::json!({ "team": { "slug": "network" } }),
        "hold" => serde_json::json!({ "waitingReason": "VENDOR" }),
        "resolve" => serde_json::json!({ "resolutionCode": "SOLVED", "resolutionNotes": "Restarted." }),
        _ => Json::Object(Map::new()),
    }
}

pub fn comment(ticket: &Row, body: &str, visibility: CommentVisibility) -> AddComment {
    AddComment { ticket: by_id(ticket), body: body.into(), visibility, files: None }
}

pub fn watch(ticket: &Row, user: Option<UserRef>) -> WatchTicket {
    WatchTicket { ticket: by_id(ticket), user }
}

pub fn by_id(ticket: &Row) -> TicketRef {
    TicketRef::Id(Incidents::public_id(ticket))
}

pub fn some_ticket(id: Uuid) -> TicketRef {
    TicketRef::Id(Id::new(kernel::id::prefix::INCIDENT, id))
}

pub fn team(slug: &str) -> TeamRef {
    TeamRef::Slug(slug.into())
}

pub fn user(name: &str) -> UserRef {
    UserRef::Email(format!("{name}@acme.example"))
}

pub fn keyed(ctx: &Ctx, key: &str, input: u8) -> Ctx {
    ctx.for_mutation(Mutation { idempotency_key: Some(key.into()), input_hash: [input; 32], dry_run: false })
}

pub fn dry(ctx: &Ctx) -> Ctx {
    ctx.for_mutation(Mutation { dry_run: true, ..Mutation::default() })
}

/// All user errors of a refusal.
pub fn refusals<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<UserError> {
    match result {
        Err(Error::Refused(errors)) => errors,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The one user error of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> UserError {
    let mut errors = refusals(result);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

/// Code and path of the one user error of a refusal.
pub fn refused_at<T: std::fmt::Debug>(result: Result<T, Error>) -> (ErrorCode, String) {
    let error = refusal(result);
    (error.code, error.path.join("."))
}

/// The permission whose lack a call was refused for.
pub fn lacks<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = refusal(result);
    assert_eq!(error.code, ErrorCode::Forbidden, "{error:?}");
    match error.detail {
        Detail::Forbidden { permission } => permission,
        other => panic!("no permission is named: {other:?}"),
    }
}

/// Why a transition was refused.
pub fn transition_refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> RefusedTransition {
    let error = refusal(result);
    assert_eq!((error.code, error.path.join(".")), (ErrorCode::TransitionRefused, "transition".into()));
    match error.detail {
        Detail::Transition(refused) => *refused,
        other => panic!("no reasons are given: {other:?}"),
    }
}

/// The version that a stale write was told.
pub fn current_version<T: std::fmt::Debug>(result: Result<T, Error>) -> Option<i32> {
    let error = refusal(result);
    assert_eq!((error.code, error.path.join(".")), (ErrorCode::Conflict, "expectedVersion".into()));
    match error.detail {
        Detail::Conflict { current_version } => current_version,
        other => panic!("no version is told: {other:?}"),
    }
}

/// The kinds of events, in order.
pub fn kinds(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

/// The changes of an event as (field, before, after), references to related records apart.
pub fn changes(event: &Event) -> Vec<(String, Json, Json)> {
    let plain = event.changes.iter().filter(|change| !change.field.contains('.'));
    plain.map(|change| (change.field.clone(), change.before.clone(), change.after.clone())).collect()
}

/// One of the changes of an event.
pub fn change(event: &Event, field: &str) -> (Json, Json) {
    let found = event.changes.iter().find(|change| change.field == field);
    let found = found.unwrap_or_else(|| panic!("{} does not tell `{field}`: {:?}", event.kind, event.changes));
    (found.before.clone(), found.after.clone())
}
