//! Which workflow a ticket follows. Published versions never change, so they are kept; which of them new tickets get is asked
//! anew every other second, and at once in the process that published.

use std::sync::Arc;

use access::permission::USER_READ;
use kernel::{Ctx, Error, Result, Uuid};
use moka::sync::Cache;
use predicate::{Field, Policy, Predicate, RecordType, Use, ViewerValues, evaluate, resolve};
use store::ConnectionTrait;
use store::query::{self, Row};

use super::Workflow;
use crate::custom_field::{Definitions, bind};
use crate::fields::{WORKFLOW, WORKFLOW_VERSION};
use crate::kind::KindRules;
use crate::model::TicketKind;
use crate::service::{SETTINGS_AGE, TENANTS, Tickets};

/// How many workflows one tenant may have.
pub const MAX_WORKFLOWS: usize = 100;
/// How many versions are kept in memory, of all tenants.
const VERSIONS: u64 = 1_000;

type VersionKey = (Uuid, String, i32);

/// The workflows that this process knows.
pub(crate) struct Library {
    versions: Cache<VersionKey, Arc<Workflow>>,
    bindings: Cache<Uuid, Arc<Vec<Binding>>>,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            versions: Cache::new(VERSIONS),
            bindings: Cache::builder().max_capacity(TENANTS).time_to_live(SETTINGS_AGE).build(),
        }
    }
}

/// A published workflow, and the new tickets that it is for.
struct Binding {
    key: String,
    version: i32,
    kind: TicketKind,
    condition: Predicate,
}

impl Library {
    /// Asks anew for what new tickets of the tenant get.
    pub(super) fn published(&self, tenant: Uuid) {
        self.bindings.invalidate(&tenant);
    }
}

impl Tickets {
    /// The workflow that a ticket follows.
    ///
    /// # Errors
    /// `INTERNAL` for a version that is not there; database errors.
    pub async fn workflow_of(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        rules: &dyn KindRules,
        row: &Row,
    ) -> Result<Arc<Workflow>> {
        let number = i32::try_from(row.int("workflowVersion")).unwrap_or(i32::MAX);
        match row.optional_text("workflow") {
            None => Ok(Arc::clone(rules.default_workflow())),
            Some(key) => self.workflow_version(connection, ctx, &key, number).await,
        }
    }

    /// A published version of a workflow, the default ones included.
    ///
    /// # Errors
    /// `INTERNAL` for a version that is not there; database errors.
    pub(super) async fn workflow_version(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        key: &str,
        number: i32,
    ) -> Result<Arc<Workflow>> {
        let wanted = (ctx.tenant, key.to_owned(), number);
        if let Some(known) = self.library().versions.get(&wanted) {
            return Ok(known);
        }
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let condition = Predicate::eq("key", key)
            .through("workflow")
            .and(Predicate::eq("number", number))
            .and(Predicate::eq("status", "PUBLISHED"));
        let row = query::find(connection, &scoped, &WORKFLOW_VERSION, &condition, &["workflow"]).await?;
        let row = row.ok_or_else(|| Error::internal(format!("workflow `{key}` has no published version {number}")))?;
        let mut workflow = self.stored_workflow(&row)?;
        let definitions = self.custom_fields(connection, ctx).await?;
        self.compile(&mut workflow, &definitions).map_err(Error::internal)?;
        let workflow = Arc::new(workflow);
        self.library().versions.insert(wanted, Arc::clone(&workflow));
        Ok(workflow)
    }

    /// The document of a stored version, its guards not compiled.
    ///
    /// # Errors
    /// `INTERNAL` for a document that this program can no longer read.
    pub(super) fn stored_workflow(&self, version: &Row) -> Result<Workflow> {
        serde_json::from_value(version.get("document").to_json()).map_err(Error::internal)
    }

    /// A document as the viewer may read it: addresses of people are for those who may read addresses.
    pub fn shown_workflow(&self, ctx: &Ctx, workflow: &Arc<Workflow>) -> Arc<Workflow> {
        match ctx.grants.holds_tenant(USER_READ) || !workflow.names_people() {
            true => Arc::clone(workflow),
            false => Arc::new(workflow.without_addresses()),
        }
    }

    /// Reads the guards.
    ///
    /// # Errors
    /// `VALIDATION` with paths into the document.
    pub(super) fn compile(&self, workflow: &mut Workflow, definitions: &Definitions) -> Result<()> {
        let mut problems = kernel::error::Problems::default();
        let kind = workflow.kind;
        for (place, transition) in workflow.transitions.iter_mut().enumerate() {
            for (number, guard) in transition.guards.iter_mut().enumerate() {
                let read = self.readable_condition(kind, &guard.filter, definitions).map_err(|error| {
                    ["filter", &number.to_string(), "guards", &place.to_string(), "transitions"]
                        .into_iter()
                        .fold(error, |error, segment| error.within(segment))
                });
                if let Some(predicate) = problems.take(read)? {
                    guard.predicate = predicate;
                }
            }
        }
        problems.check()
    }

    /// A condition that is looked at in memory, on tickets as everybody who sees them may read them: what it says of a ticket
    /// tells nobody anything new.
    ///
    /// # Errors
    /// `VALIDATION` with paths inside the filter.
    pub(super) fn readable_condition(
        &self,
        kind: TicketKind,
        document: &serde_json::Value,
        definitions: &Definitions,
    ) -> Result<Predicate> {
        let predicate = bind(definitions, self.documents()?.of_kind(kind, document)?)?;
        let hidden = |_: &'static RecordType, field: &'static Field| field.read != Policy::Always;
        predicate::check(&predicate, self.kinds().get(kind)?.record(), self.access().catalogue(), Use::Event, &hidden)?;
        Ok(predicate)
    }

    /// The workflow of a ticket in the making, by its kind and by what it says: the first in the order of ranks whose condition
    /// holds, else the default.
    ///
    /// # Errors
    /// Database errors.
    pub async fn workflow_for(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        rules: &dyn KindRules,
        row: &Row,
    ) -> Result<Arc<Workflow>> {
        let bindings = match self.library().bindings.get(&ctx.tenant) {
            Some(known) => known,
            None => {
                let read = Arc::new(self.read_bindings(connection, ctx).await?);
                self.library().bindings.insert(ctx.tenant, Arc::clone(&read));
                read
            }
        };
        let holds = |binding: &&Binding| {
            let values = ViewerValues { viewer: ctx.actor.id, teams: &ctx.grants.teams, now: ctx.now() };
            binding.kind == rules.kind() && evaluate(&resolve(binding.condition.clone(), &values), row)
        };
        match bindings.iter().find(holds) {
            Some(binding) => self.workflow_version(connection, ctx, &binding.key, binding.version).await,
            None => Ok(Arc::clone(rules.default_workflow())),
        }
    }

    async fn read_bindings(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<Vec<Binding>> {
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let published = !Predicate::Is(predicate::Path::field("published"), predicate::Test::IsNull(true));
        let mut rows = query::all(connection, &scoped, &WORKFLOW, &published, &[], MAX_WORKFLOWS as u64).await?;
        rows.sort_by_key(|row| (row.int("rank"), row.text("key")));
        let definitions = self.custom_fields(connection, ctx).await?;
        rows.iter().map(|row| self.binding(row, &definitions)).collect()
    }

    fn binding(&self, row: &Row, definitions: &Definitions) -> Result<Binding> {
        let kind = TicketKind::parse(&row.text("kind")).ok_or_else(|| Error::internal("a workflow of no kind"))?;
        let filter = row.get("filter").to_json();
        let condition = match filter.is_null() {
            true => Predicate::always(),
            false => self.readable_condition(kind, &filter, definitions).map_err(Error::internal)?,
        };
        let version = i32::try_from(row.int("published")).unwrap_or(i32::MAX);
        Ok(Binding { key: row.text("key"), version, kind, condition })
    }
}
