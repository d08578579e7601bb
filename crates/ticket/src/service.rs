//! The handle through which tickets are read and written.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use access::{Access, Changed, Managed};
use configuration::Configuration;
use futures_util::future::BoxFuture;
use kernel::{Ctx, Error, Id, Result, UserError, Uuid};
use moka::sync::Cache;
use predicate::{Policy, Predicate, RecordType, Rule, masked_value};
use serde_json::Value as Json;
use store::query::{self, Row};
use store::{Along, Event, Store, Tx, Written};

use crate::custom_field::DefinitionCache;
use crate::document::FilterDocuments;
use crate::edit::Edit;
use crate::kind::Kinds;
use crate::model::TicketKind;
use crate::number::{Numbers, SHORT};
use crate::priority::PriorityRule;
use crate::queries::{RELATIONS, TicketRef};
use crate::tables;
use crate::workflow::Library;

/// What a mutation answers: the record as the viewer may read it, and what was recorded.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The record; `None` when the viewer may not see it (any more).
    pub row: Option<Row>,
    /// What was recorded.
    pub events: Vec<Event>,
}

/// Everything that can be done with tickets of any kind. Cheap to clone.
#[derive(Clone)]
pub struct Tickets(Arc<Inner>);

struct Inner {
    access: Access,
    configuration: Configuration,
    kinds: Kinds,
    numbers: Numbers,
    documents: OnceLock<Arc<dyn FilterDocuments>>,
    library: Library,
    matrices: Matrices,
    definitions: DefinitionCache,
}

/// The priority matrices of tenants, asked for anew every other second, and at once in the process that changed one.
pub(crate) type Matrices = Cache<Uuid, Arc<Vec<PriorityRule>>>;
/// How long another process may still go by settings from before a change.
pub(crate) const SETTINGS_AGE: Duration = Duration::from_secs(2);
/// How often a write that lacks numbers is run again: others may take what was reserved for it.
const STOCKTAKINGS: usize = 5;
/// The settings of how many tenants are kept in memory.
pub(crate) const TENANTS: u64 = 1_000;

impl Tickets {
    /// With these kinds.
    pub fn new(access: Access, kinds: Kinds) -> Self {
        let numbers = Numbers::new(access.store().clone());
        let configuration = Configuration::new(access.clone());
        let matrices = Cache::builder().max_capacity(TENANTS).time_to_live(SETTINGS_AGE).build();
        Self(Arc::new(Inner {
            access,
            configuration,
            kinds,
            numbers,
            documents: OnceLock::new(),
            library: Library::default(),
            matrices,
            definitions: Cache::builder().max_capacity(TENANTS).time_to_live(SETTINGS_AGE).build(),
        }))
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// Services and configuration items.
    pub fn configuration(&self) -> &Configuration {
        &self.0.configuration
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.0.access.store()
    }

    /// The kinds that were registered.
    pub fn kinds(&self) -> &Kinds {
        &self.0.kinds
    }

    /// The workflows that this process knows.
    pub(crate) fn library(&self) -> &Library {
        &self.0.library
    }

    /// The priority matrices that this process knows.
    pub(crate) fn matrices(&self) -> &Matrices {
        &self.0.matrices
    }

    /// The custom fields that this process knows.
    pub(crate) fn definitions(&self) -> &DefinitionCache {
        &self.0.definitions
    }

    /// The source of numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.0.numbers
    }

    pub(crate) fn documents_cell(&self) -> &OnceLock<Arc<dyn FilterDocuments>> {
        &self.0.documents
    }

    /// Runs a write that answers a ticket, and answers it as the viewer may read it. A replay reads the record anew.
    ///
    /// # Errors
    /// Those of `work`, and database errors.
    pub async fn write<F>(&self, ctx: &Ctx, name: &'static str, work: F) -> Result<Outcome>
    where
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<Row>> + Clone + Send + 'static,
    {
        let written = self.write_stocked(ctx, name, TicketKind::Task, work).await?;
        let mut events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, along, .. } => self.masked(ctx, told_along(value, along)),
            Written::Replayed { record, .. } => {
                let reference = TicketRef::Id(record.id);
                let kind = self.kinds().iter().find(|rules| rules.kind().id_prefix() == record.id.prefix);
                let row = match kind {
                    Some(rules) => self.find(ctx, rules.record(), &reference, RELATIONS).await?,
                    None => None,
                };
                if row.is_none() {
                    // Whoever may no longer see what they did is told nothing of it.
                    events.clear();
                }
                row
            }
        };
        Ok(Outcome { row, events })
    }

    /// Runs a write that may create tickets of this kind by the way. Numbers for them are reserved outside of it, so one that finds
    /// too few is run again once there are more.
    ///
    /// # Errors
    /// Those of `work`, and database errors.
    pub async fn write_stocked<T, F>(
        &self,
        ctx: &Ctx,
        name: &'static str,
        kind: TicketKind,
        work: F,
    ) -> Result<Written<T>>
    where
        T: Send + 'static,
        F: for<'t> FnMut(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        for _ in 0..STOCKTAKINGS {
            match self.store().write(ctx, name, work.clone()).await {
                Err(Error::Internal(text)) if text == SHORT => self.numbers().restock(ctx, kind).await?,
                other => return other,
            }
        }
        self.store().write(ctx, name, work).await
    }

    /// The events of a write: those just recorded, or those of the call that is replayed.
    ///
    /// # Errors
    /// Database errors.
    pub async fn events_of<T>(&self, ctx: &Ctx, written: &Written<T>) -> Result<Vec<Event>> {
        match written {
            Written::Fresh { events, .. } => Ok(events.clone()),
            Written::Replayed { events, .. } => self.store().log().by_ids(ctx.tenant, events).await,
        }
    }

    /// What a deletion answers: its own work, or what the earlier call with the same key has deleted, which is nowhere but in its event.
    ///
    /// # Errors
    /// `NOT_FOUND` for what the viewer may no longer see; database errors.
    pub(crate) async fn answer_deleted(
        &self,
        ctx: &Ctx,
        written: Written<Row>,
        kind: Managed,
        event: &str,
    ) -> Result<Changed<Row>> {
        let events = self.events_of(ctx, &written).await?;
        let record = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { .. } => {
                let told = events.iter().find(|told| told.kind == event);
                told.map(|told| access::read_back(kind.record, told.payload.get("was").unwrap_or(&Json::Null)))
            }
        };
        let record = record.and_then(|row| self.masked(ctx, row));
        let record = record.ok_or_else(|| UserError::not_found([] as [&str; 0], "what was deleted"))?;
        Ok(Changed { record, events })
    }

    /// A row as the viewer may read it; `None` when they may not see it at all.
    pub fn masked(&self, ctx: &Ctx, row: Row) -> Option<Row> {
        let visible = self.access().visible(ctx);
        let visibility = visible.get(row.record())?;
        if !predicate::evaluate(&visibility.row, &row) {
            return None;
        }
        let mut masked = row.clone();
        for field in visibility.masks.keys() {
            masked.set(field, masked_value(visibility, &row, field));
        }
        for relation in RELATIONS {
            let related = row.relation(relation).cloned().and_then(|related| self.masked(ctx, related));
            if row.has_loaded(relation) {
                masked.set_relation(relation, related);
            }
        }
        Some(masked)
    }

    /// Holds these tickets until the write is over, so that what is read of them afterwards stays.
    ///
    /// # Errors
    /// Database errors.
    pub async fn hold_in(&self, tx: &Tx, tickets: &[Uuid]) -> Result<()> {
        tables::hold_tickets_in(tx, tickets).await.map(drop)
    }

    /// The ticket that a write is about.
    ///
    /// # Errors
    /// `NOT_FOUND` at `path`; `VALIDATION` for one that was merged into another.
    pub async fn edit_in(&self, tx: &mut Tx, reference: &TicketRef, path: &str) -> Result<Edit> {
        let edit = self.edit_merged_in(tx, reference, path).await?;
        self.check_not_merged_in(tx, &edit.before, path).await?;
        Ok(edit)
    }

    /// The same, also when it was merged: for whoever looks at that.
    ///
    /// # Errors
    /// `NOT_FOUND` at `path`.
    pub async fn edit_merged_in(&self, tx: &mut Tx, reference: &TicketRef, path: &str) -> Result<Edit> {
        let row = self.load_in(tx, reference, path).await?;
        let rules = self.kinds().of(&row)?.clone();
        let workflow = self.workflow_of(tx, &tx.ctx().clone(), rules.as_ref(), &row).await?;
        Ok(Edit::new(rules, workflow, row))
    }

    /// Refuses unless the viewer holds the permission on a ticket, as it was loaded.
    ///
    /// # Errors
    /// `FORBIDDEN` with the permission.
    pub fn require_on(&self, ctx: &Ctx, edit: &Edit, permission: &'static str) -> Result<()> {
        let policy = Policy::When(Rule::Permission(permission));
        match self.access().allows(ctx, edit.rules.record(), &policy, &edit.before) {
            true => Ok(()),
            false => Err(UserError::forbidden(permission).into()),
        }
    }

    /// How many records each of these conditions finds, by one statement; what is hidden from the viewer counts as well.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn count_all_in(
        &self,
        tx: &mut Tx,
        record: &'static RecordType,
        conditions: &[Predicate],
    ) -> Result<Vec<u64>> {
        let ctx = tx.ctx().clone();
        let visible = access::visibility::everything(self.access().catalogue());
        let counts = query::count_many(tx, &self.access().scoped(&ctx, &visible), record, conditions).await?;
        Ok(counts.into_iter().map(|count| count.total).collect())
    }

    /// Rows of the tenant, whoever may see them: for counting and for what follows from a write by itself.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn unscoped_in(
        &self,
        tx: &Tx,
        record: &'static RecordType,
        condition: Predicate,
        relations: &[&'static str],
        limit: usize,
    ) -> Result<Vec<Row>> {
        let everything = access::visibility::everything(self.access().catalogue());
        let scoped = self.access().scoped(tx.ctx(), &everything);
        query::all(tx, &scoped, record, &condition, relations, limit as u64).await
    }

    /// The ticket that a record belongs to, which was read with its relation `ticket`.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`, of `what`, when the viewer may not see it; `VALIDATION` for one that was merged into another.
    pub(crate) async fn edit_of_in(&self, tx: &mut Tx, record: &Row, what: &str) -> Result<Edit> {
        let edit = self.edit_merged_of_in(tx, record, what).await?;
        self.check_not_merged_in(tx, &edit.before, "id").await?;
        Ok(edit)
    }

    /// The same, also when it was merged: for what takes away and adds nothing.
    ///
    /// # Errors
    /// `NOT_FOUND` at `id`, of `what`, when the viewer may not see it.
    pub(crate) async fn edit_merged_of_in(&self, tx: &mut Tx, record: &Row, what: &str) -> Result<Edit> {
        let found = record.relation("ticket").and_then(|row| Some((TicketKind::parse(&row.text("kind"))?, row.id())));
        let (kind, ticket) = found.ok_or_else(|| UserError::not_found(["id"], what))?;
        self.edit_merged_in(tx, &TicketRef::Id(Id::new(kind.id_prefix(), ticket)), "id").await
    }
}

/// A row with what reactions brought about on it.
pub(crate) fn told_along(mut row: Row, along: Vec<Along>) -> Row {
    let id = row.id();
    for told in along.into_iter().filter(|told| told.subject == id) {
        row.set(told.field, told.value);
    }
    row
}
