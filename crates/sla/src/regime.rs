//! Which versions of policies and calendars hold for a ticket.
//!
//! Each new version of a policy or a calendar raises the tenant's *revision* by one. A new ticket is given the revision that holds
//! when it is recorded (its *basis*), and keeps it: versions that come later are for tickets that come later. Applying a policy to an
//! open ticket gives the ticket a later revision for that policy. The basis stands on the ticket and in its events, so what holds for a
//! ticket never depends on who asks, or when.
//!
//! Versions never change, so they are kept in memory; only the revision is asked for anew, every other second, and at once in the process
//! that published.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use calendar::{Calendar, CalendarDocument};
use chrono::Duration;
use kernel::{Ctx, Error, Result, Uuid};
use moka::sync::Cache;
use predicate::{Predicate, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::ConnectionTrait;
use store::query::{self, Row};

use crate::commands::{MAX_CALENDARS, MAX_POLICIES, MAX_VERSIONS};
use crate::fields::{CALENDAR_VERSION, SLA_POLICY_VERSION};
use crate::model::PolicyKind;
use crate::policy::{MetricRule, Policy, PolicyDocument, Target, TargetDocument, WorkingTime};
use crate::service::ServiceLevels;
use crate::stored::document;
use crate::tables;

/// How long another process may still go by policies from before a change.
const AGE: std::time::Duration = std::time::Duration::from_secs(2);
/// The policies of how many tenants are kept in memory.
const TENANTS: u64 = 1_000;
/// How many combinations of versions are kept in memory.
const REGIMES: u64 = 10_000;

/// Which versions hold for a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The revision that held when the ticket was recorded.
    pub revision: i64,
    /// Later revisions, of the policies that were applied to the ticket since.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub applied: BTreeMap<Uuid, i64>,
}

impl Basis {
    /// Reads the field of a ticket or the fact of an event; `None` for a ticket without any.
    pub fn of(value: &Json) -> Option<Self> {
        (!value.is_null()).then(|| serde_json::from_value(value.clone()).ok()).flatten()
    }

    /// The field of a ticket.
    pub fn to_json(&self) -> Json {
        serde_json::json!(self)
    }

    /// The latest revision that it names.
    fn latest(&self) -> i64 {
        self.applied.values().copied().fold(self.revision, i64::max)
    }
}

/// The policies and calendars that this process knows.
pub(crate) struct Library {
    revisions: Cache<Uuid, i64>,
    books: Cache<Uuid, Arc<Books>>,
    regimes: Cache<(Uuid, Basis), Arc<Vec<Arc<Policy>>>>,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            revisions: Cache::builder().max_capacity(TENANTS).time_to_live(AGE).build(),
            books: Cache::new(TENANTS),
            regimes: Cache::new(REGIMES),
        }
    }
}

impl Library {
    /// Asks anew for what holds for new tickets of the tenant.
    pub(crate) fn published(&self, tenant: Uuid) {
        self.revisions.invalidate(&tenant);
        // A write of the same group could have read what was then not committed.
        self.books.invalidate(&tenant);
        self.regimes.invalidate_all();
    }
}

/// All versions that a tenant has, up to a revision.
pub struct Books {
    revision: i64,
    policies: Vec<PolicyVersions>,
    calendars: HashMap<Uuid, Vec<CalendarVersion>>,
}

struct PolicyVersions {
    id: Uuid,
    key: String,
    kind: PolicyKind,
    /// In the order of their revisions.
    versions: Vec<PolicyVersion>,
}

struct PolicyVersion {
    revision: i64,
    number: i32,
    active: bool,
    document: Arc<PolicyDocument>,
}

struct CalendarVersion {
    revision: i64,
    number: i32,
    document: Arc<CalendarDocument>,
    calendar: Arc<Calendar>,
}

impl Books {
    /// A version of a calendar, if there is such a one.
    pub fn calendar(&self, id: Uuid, number: i32) -> Option<&Arc<Calendar>> {
        let versions = self.calendars.get(&id)?;
        versions.iter().find(|version| version.number == number).map(|version| &version.calendar)
    }

    /// What a calendar says at one of its versions.
    pub fn calendar_document(&self, id: Uuid, number: i32) -> Option<&Arc<CalendarDocument>> {
        let versions = self.calendars.get(&id)?;
        versions.iter().find(|version| version.number == number).map(|version| &version.document)
    }

    /// What a policy says at one of its versions.
    pub fn policy_document(&self, id: Uuid, number: i32) -> Option<&Arc<PolicyDocument>> {
        let policy = self.policies.iter().find(|policy| policy.id == id)?;
        policy.versions.iter().find(|version| version.number == number).map(|version| &version.document)
    }

    /// A policy at its newest version.
    pub(crate) fn newest(&self, id: Uuid) -> Option<(Frame<'_>, &PolicyDocument)> {
        let policy = self.policies.iter().find(|policy| policy.id == id)?;
        let version = policy.versions.last()?;
        let frame = Frame { id, key: &policy.key, kind: policy.kind, version: version.number };
        Some((frame, &version.document))
    }

    /// The time of a calendar as of a revision.
    pub(crate) fn time(&self, id: Uuid, revision: i64) -> Option<WorkingTime> {
        let version = self.calendars.get(&id)?.iter().rfind(|version| version.revision <= revision)?;
        Some(WorkingTime { id, version: version.number, calendar: Arc::clone(&version.calendar) })
    }

    /// Whether any policy holds for tickets of this revision.
    fn has_any(&self, revision: i64) -> bool {
        let newest = |versions: &PolicyVersions| {
            versions.versions.iter().rfind(|version| version.revision <= revision).is_some_and(|newest| newest.active)
        };
        self.policies.iter().any(newest)
    }

    /// The revision that these reach up to.
    pub fn revision(&self) -> i64 {
        self.revision
    }
}

impl ServiceLevels {
    /// The tenant's revision, as this process knows it.
    pub(crate) async fn revision(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<i64> {
        if let Some(known) = self.library().revisions.get(&ctx.tenant) {
            return Ok(known);
        }
        let revision = tables::revision(connection, ctx.tenant).await?;
        self.library().revisions.insert(ctx.tenant, revision);
        Ok(revision)
    }

    /// All versions of the tenant, at least up to this revision.
    ///
    /// # Errors
    /// `INTERNAL` for a document that this program can no longer read; database errors.
    pub async fn books(&self, connection: &impl ConnectionTrait, ctx: &Ctx, revision: i64) -> Result<Arc<Books>> {
        if let Some(known) = self.library().books.get(&ctx.tenant)
            && known.revision >= revision
        {
            return Ok(known);
        }
        let books = Arc::new(self.read_books(connection, ctx).await?);
        self.library().books.insert(ctx.tenant, Arc::clone(&books));
        Ok(books)
    }

    async fn read_books(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<Books> {
        // Before the versions: what is published meanwhile is read the next time.
        let revision = tables::revision(connection, ctx.tenant).await?;
        // Whoever writes a ticket need not be one who may read policies.
        let visible = access::visibility::unmasked(&self.access().visible(&self.system(ctx)));
        let scoped = self.access().scoped(ctx, &visible);
        let all = Predicate::always();
        let limit = (MAX_CALENDARS * MAX_VERSIONS) as u64;
        let mut calendars: HashMap<Uuid, Vec<CalendarVersion>> = HashMap::new();
        for row in query::all(connection, &scoped, &CALENDAR_VERSION, &all, &[], limit).await? {
            let written: CalendarDocument = document(&row, "document")?;
            let calendar = Calendar::compile(&written).map_err(|problems| broken("calendar", &row, &problems))?;
            calendars.entry(row.get("calendar").as_id().unwrap_or_default()).or_default().push(CalendarVersion {
                revision: row.int("revision"),
                number: number(&row),
                document: Arc::new(written),
                calendar: Arc::new(calendar),
            });
        }
        let mut policies: Vec<PolicyVersions> = Vec::new();
        let limit = (MAX_POLICIES * MAX_VERSIONS) as u64;
        for row in query::all(connection, &scoped, &SLA_POLICY_VERSION, &all, &["policy"], limit).await? {
            let Some(policy) = row.relation("policy") else { continue };
            let version = PolicyVersion {
                revision: row.int("revision"),
                number: number(&row),
                active: row.bool("active"),
                document: Arc::new(document(&row, "document")?),
            };
            match policies.iter_mut().find(|known| known.id == policy.id()) {
                Some(known) => known.versions.push(version),
                None => policies.push(PolicyVersions {
                    id: policy.id(),
                    key: policy.text("key"),
                    kind: PolicyKind::parse(&policy.text("kind")).unwrap_or(PolicyKind::Sla),
                    versions: vec![version],
                }),
            }
        }
        calendars.values_mut().for_each(|versions| versions.sort_by_key(|version| version.revision));
        policies.iter_mut().for_each(|policy| policy.versions.sort_by_key(|version| version.revision));
        // The order in which clocks are started and shown.
        policies.sort_by_key(|policy| policy.id);
        Ok(Books { revision, policies, calendars })
    }

    /// The basis of a ticket that is recorded now; `None` while no policy is there.
    pub(crate) async fn new_basis(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<Option<Basis>> {
        let revision = self.revision(connection, ctx).await?;
        if revision == 0 {
            return Ok(None);
        }
        let books = self.books(connection, ctx, revision).await?;
        Ok(books.has_any(revision).then(|| Basis { revision, applied: BTreeMap::new() }))
    }

    /// The policies that hold on this basis.
    ///
    /// # Errors
    /// `INTERNAL` for a condition that this program can no longer read; database errors.
    pub(crate) async fn policies(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        basis: &Basis,
    ) -> Result<Arc<Vec<Arc<Policy>>>> {
        let key = (ctx.tenant, basis.clone());
        if let Some(known) = self.library().regimes.get(&key) {
            return Ok(known);
        }
        let books = self.books(connection, ctx, basis.latest()).await?;
        let mut policies = Vec::new();
        for policy in &books.policies {
            let revision = basis.applied.get(&policy.id).copied().unwrap_or(basis.revision);
            let newest = policy.versions.iter().rfind(|version| version.revision <= revision);
            let Some(version) = newest.filter(|version| version.active) else { continue };
            let frame = Frame { id: policy.id, key: &policy.key, kind: policy.kind, version: version.number };
            policies.push(Arc::new(self.ready(connection, ctx, frame, &version.document, &books, revision).await?));
        }
        let policies = Arc::new(policies);
        self.library().regimes.insert(key, Arc::clone(&policies));
        Ok(policies)
    }

    /// A policy's document, ready to compute with: its conditions read, the calendars as of a revision.
    ///
    /// # Errors
    /// `VALIDATION` with paths into the document; database errors.
    pub(crate) async fn ready(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        frame: Frame<'_>,
        document: &PolicyDocument,
        books: &Books,
        revision: i64,
    ) -> Result<Policy> {
        let time = |id: Uuid| {
            books.time(id, revision).ok_or_else(|| Error::internal(format!("calendar {id} has no version yet")))
        };
        let mut metrics = Vec::with_capacity(document.metrics.len());
        for metric in &document.metrics {
            let mut targets = Vec::with_capacity(metric.targets.len());
            for target in &metric.targets {
                let condition = self.read_condition(connection, ctx, target.condition.as_ref()).await?;
                let calendar = target.calendar.unwrap_or(document.calendar);
                targets.push(ready_target(target, condition, time(calendar)?));
            }
            metrics.push(MetricRule {
                metric: metric.metric,
                targets,
                pauses: metric.pauses.clone(),
                escalations: metric.escalations.clone(),
            });
        }
        Ok(Policy {
            id: frame.id,
            key: frame.key.to_owned(),
            kind: frame.kind,
            version: frame.version,
            condition: self.read_condition(connection, ctx, document.condition.as_ref()).await?,
            metrics,
        })
    }

    pub(crate) async fn read_condition(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        document: Option<&Json>,
    ) -> Result<Predicate> {
        match document {
            Some(document) => self.tickets().kept_condition(connection, ctx, document).await,
            None => Ok(Predicate::always()),
        }
    }

    /// Whoever computes clocks sees what they need, whatever the one whose write it is may see.
    pub(crate) fn system(&self, ctx: &Ctx) -> Ctx {
        self.access().system_ctx(ctx.tenant, &ctx.request_id)
    }
}

/// Who a policy is.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) id: Uuid,
    pub(crate) key: &'a str,
    pub(crate) kind: PolicyKind,
    pub(crate) version: i32,
}

fn ready_target(target: &TargetDocument, condition: Predicate, time: WorkingTime) -> Target {
    Target { priorities: target.priorities.clone(), condition, length: Duration::seconds(target.target), time }
}

fn number(row: &Row) -> i32 {
    i32::try_from(row.int("number")).unwrap_or(i32::MAX)
}

fn broken(what: &str, row: &Row, problems: &[calendar::Problem]) -> Error {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    Error::internal(format!("{what} version {} no longer holds: {first}", row.id()))
}

/// The field that tells a ticket's basis.
pub(crate) fn basis_of(row: &Row) -> Option<Basis> {
    match row.get(ticket::fields::SLA_BASIS) {
        Value::Json(json) => Basis::of(json),
        _ => None,
    }
}
