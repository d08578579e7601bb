//! The handle of this crate, and what all of its use cases have in common.

mod items;
mod relations;
mod services;

use access::permission::CONFIGURATION_MANAGE;
use access::{Access, Changed};
use kernel::{Ctx, Id, Result, UserError, Uuid};
use predicate::{RecordType, RelationKind, Value};
use serde_json::Value as Json;
use store::query::{self, Row};
use store::{Audience, Change, NewEvent, RecordRef, Store, Tx, Written};

/// Services and configuration items. Cheap to clone.
#[derive(Clone)]
pub struct Configuration {
    access: Access,
}

impl Configuration {
    /// Over this store and these rights.
    pub fn new(access: Access) -> Self {
        Self { access }
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.access.store()
    }

    fn authorise(&self, ctx: &Ctx) -> Result<()> {
        self.access.require_tenant(ctx, CONFIGURATION_MANAGE)
    }

    /// What a mutation answers: its own work, or that of the earlier call with the same key, read as it is now.
    async fn answer(
        &self,
        ctx: &Ctx,
        written: Written<Row>,
        record: &'static RecordType,
        what: &str,
    ) -> Result<Changed<Row>> {
        match written {
            Written::Fresh { value, events } => Ok(Changed { record: value, events }),
            Written::Replayed { record: replayed, events } => {
                let visible = self.access.visible(ctx);
                let scoped = self.access.scoped(ctx, &visible);
                let reader = self.store().read("configuration.replay");
                let found = query::by_ids(&reader, &scoped, record, &[replayed.id.uuid], &[]).await?.pop();
                let row = found.ok_or_else(|| UserError::not_found(["id"], what))?;
                Ok(Changed { record: row, events: self.store().log().by_ids(ctx.tenant, &events).await? })
            }
        }
    }
}

/// A record and what the log calls it.
#[derive(Clone, Copy)]
struct Kind {
    record: &'static RecordType,
    subject: &'static str,
    prefix: &'static str,
}

impl Kind {
    fn version(row: &Row) -> i32 {
        i32::try_from(row.int("version")).unwrap_or(i32::MAX)
    }

    fn answers(self, tx: &mut Tx, row: &Row) {
        tx.answers_with(RecordRef { id: Id::new(self.prefix, row.id()), version: Self::version(row) });
    }

    fn expect_version(row: &Row, expected: Option<i32>) -> Result<()> {
        match expected {
            Some(expected) if expected != Self::version(row) => Err(UserError::stale(Self::version(row)).into()),
            _ => Ok(()),
        }
    }

    /// Inserts a record at version 1, with its event. `values` are those of its own.
    async fn insert_in(self, tx: &mut Tx, event: &'static str, values: Vec<(&'static str, Value)>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let (told, mut fields) = (values.clone(), values);
        fields.extend([
            ("id", Value::from(ctx.new_id())),
            ("retired", false.into()),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
            ("updatedAt", tx.now().into()),
        ]);
        let row = Row::new(self.record, fields);
        query::insert_unique_in(tx, ctx.tenant, self.record, &row).await?;
        let changes = told.iter().filter(|(_, value)| !value.is_null());
        let changes = changes.map(|(name, value)| self.change(name, &Value::Null, value)).collect();
        tx.emit(self.event(event, &row, changes, Json::Null));
        self.answers(tx, &row);
        Ok(row)
    }

    /// Writes what differs, with its event, provided that nobody was faster. Without any difference nothing is written.
    async fn update_in(self, tx: &mut Tx, event: &'static str, before: &Row, mut row: Row) -> Result<Row> {
        let changed: Vec<_> = row.fields().iter().filter(|(name, value)| before.get(name) != value).cloned().collect();
        if changed.is_empty() {
            self.answers(tx, &row);
            return Ok(row);
        }
        let version = Self::version(before);
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let names = changed.iter().map(|(name, _)| *name).chain(["version", "updatedAt"]);
        let values: Vec<_> = names.map(|name| (name, row.get(name).clone())).collect();
        let tenant = tx.ctx().tenant;
        if !query::update_in(tx, tenant, self.record, row.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        let changes = changed.iter().map(|(name, value)| self.change(name, before.get(name), value)).collect();
        tx.emit(self.event(event, &row, changes, Json::Null));
        self.answers(tx, &row);
        Ok(row)
    }

    /// One field before and after; references as the ids that clients know.
    fn change(self, field: &str, before: &Value, after: &Value) -> Change {
        let shown = |value: &Value| match (value.as_id(), self.prefix_of(field)) {
            (Some(id), Some(prefix)) => Id::new(prefix, id).to_string().into(),
            _ => value.to_json(),
        };
        Change { field: field.to_owned(), before: shown(before), after: shown(after) }
    }

    fn prefix_of(self, field: &str) -> Option<&'static str> {
        let relation = self.record.relation(field).filter(|found| found.kind != RelationKind::Extension)?;
        Some(match relation.target {
            "actor" => kernel::id::prefix::USER,
            "team" => kernel::id::prefix::TEAM,
            "service" => kernel::id::prefix::SERVICE,
            _ => return None,
        })
    }

    fn event(self, kind: &'static str, row: &Row, changes: Vec<Change>, payload: Json) -> NewEvent {
        NewEvent {
            kind,
            subject_kind: self.subject,
            subject: row.id(),
            version: Self::version(row),
            audience: Audience::Internal,
            changes,
            facts: Default::default(),
            payload,
            occurred_at: None,
            actor: None,
        }
    }
}

/// The id of an optional reference as a field's value.
fn reference(row: Option<&Row>) -> Value {
    row.map(Row::id).map_or(Value::Null, |id: Uuid| id.into())
}
