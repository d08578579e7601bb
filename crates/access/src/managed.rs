//! Records that an administrator keeps (services, calendars, policies): how they are written, with their version and their
//! event, the same for all of them.
//!
//! Their types have the fields `id`, `version`, `createdAt` and `updatedAt` beside their own, and `retired` where a record can be
//! taken out of use.

use kernel::{Ctx, Id, Result, UserError};
use predicate::{FieldType, Policy, Predicate, RecordType, RelationKind, Value};
use serde_json::{Value as Json, json};
use store::query::{self, Row};
use store::{Audience, Change, ConnectionTrait, NewEvent, RecordRef, Tx, Written};

use crate::commands::{MAX_SLUG, is_key};
use crate::model::Changed;
use crate::{Access, visibility};

/// The condition that an id points with; `None` for one of another type, which names nothing.
pub fn of_type(id: &Id, prefix: &str) -> Option<Predicate> {
    (id.prefix == prefix).then(|| Predicate::eq("id", id.uuid))
}

/// The condition that a key points with; `None` for what can be none: PostgreSQL cannot even be asked for a NUL character.
pub fn of_key(key: &str) -> Option<Predicate> {
    is_key(key, MAX_SLUG).then(|| Predicate::eq("key", key))
}

/// The id of an optional record as a field's value.
pub fn reference(row: Option<&Row>) -> Value {
    row.map_or(Value::Null, |row| row.id().into())
}

impl Access {
    /// The record that a condition finds, with all its fields, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn find_unmasked(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        record: &'static RecordType,
        condition: Option<Predicate>,
    ) -> Result<Option<Row>> {
        let Some(condition) = condition else { return Ok(None) };
        let visible = visibility::unmasked(&self.visible(ctx));
        query::find(connection, &self.scoped(ctx, &visible), record, &condition, &[]).await
    }

    /// What a mutation of a managed record answers: its own work, or that of the earlier call with the same key, read as it is now.
    ///
    /// # Errors
    /// `NOT_FOUND` for what the viewer may no longer see.
    pub async fn answer_row(
        &self,
        ctx: &Ctx,
        written: Written<Row>,
        record: &'static RecordType,
        what: &str,
    ) -> Result<Changed<Row>> {
        let again = |id| async move {
            let visible = self.visible(ctx);
            let scoped = self.scoped(ctx, &visible);
            let found = query::by_ids(&self.store().read("managed.replay"), &scoped, record, &[id], &[]).await?.pop();
            found.ok_or_else(|| UserError::not_found(["id"], what).into())
        };
        self.answer(ctx, written, again).await
    }
}

/// What a record was, in full: for the event that tells of its end, from which a replay of that write answers.
pub fn written_down(row: &Row) -> Json {
    row.fields().iter().map(|(name, value)| ((*name).to_owned(), value.to_json())).collect()
}

/// The record that was [`written_down`].
pub fn read_back(record: &'static RecordType, was: &Json) -> Row {
    let was = |name: &str| was.get(name).unwrap_or(&Json::Null);
    let fields = record.all_fields().map(|field| {
        let value = match field.kind {
            // A document that was not given is written as null, and is there.
            FieldType::Json => Some(Value::Json(was(field.name).clone())),
            _ => Value::from_json(&field.kind, was(field.name)),
        };
        (field.name, value.unwrap_or(Value::Null))
    });
    Row::new(record, fields.collect())
}

/// A record and what the log calls it.
#[derive(Clone, Copy)]
pub struct Managed {
    /// The record's type.
    pub record: &'static RecordType,
    /// What the log calls it.
    pub subject: &'static str,
    /// The prefix of its ids.
    pub prefix: &'static str,
}

impl Managed {
    /// The version that a row has.
    pub fn version(row: &Row) -> i32 {
        i32::try_from(row.int("version")).unwrap_or(i32::MAX)
    }

    /// Has a replay of this write answer with this row.
    pub fn answers(self, tx: &mut Tx, row: &Row) {
        tx.answers_with(RecordRef { id: Id::new(self.prefix, row.id()), version: Self::version(row) });
    }

    /// Refuses when the client expected another version.
    ///
    /// # Errors
    /// `CONFLICT` with the current version.
    pub fn expect_version(row: &Row, expected: Option<i32>) -> Result<()> {
        match expected {
            Some(expected) if expected != Self::version(row) => Err(UserError::stale(Self::version(row)).into()),
            _ => Ok(()),
        }
    }

    /// Inserts a record at version 1, with its event. `values` are those of its own.
    ///
    /// # Errors
    /// Database errors.
    pub async fn insert_in(self, tx: &mut Tx, event: &'static str, values: Vec<(&'static str, Value)>) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let (told, mut fields) = (values.clone(), values);
        if self.record.field("retired").is_some() {
            fields.push(("retired", false.into()));
        }
        fields.extend([
            ("id", Value::from(ctx.new_id())),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
            ("updatedAt", tx.now().into()),
        ]);
        let row = Row::new(self.record, fields);
        query::insert_unique_in(tx, ctx.tenant, self.record, &row).await?;
        let changes = told.iter().filter(|(name, value)| !value.is_null() && self.tells(name));
        let changes = changes.map(|(name, value)| self.change(name, &Value::Null, value)).collect();
        tx.emit(self.event(event, &row, changes, Json::Null));
        self.answers(tx, &row);
        Ok(row)
    }

    /// Writes what differs, with its event, provided that nobody was faster. Without any difference nothing is written.
    ///
    /// # Errors
    /// A lost race is run again; database errors.
    pub async fn update_in(self, tx: &mut Tx, event: &'static str, before: &Row, mut row: Row) -> Result<Row> {
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
        let changes = changed.iter().filter(|(name, _)| self.tells(name));
        let changes = changes.map(|(name, value)| self.change(name, before.get(name), value)).collect();
        tx.emit(self.event(event, &row, changes, Json::Null));
        self.answers(tx, &row);
        Ok(row)
    }

    /// Deletes a record, with its event, provided that nobody was faster. The event holds what it was.
    ///
    /// # Errors
    /// A lost race is run again; database errors.
    pub async fn delete_in(self, tx: &mut Tx, event: &'static str, row: &Row) -> Result<()> {
        let tenant = tx.ctx().tenant;
        if !query::hold_in(tx, tenant, self.record, row.id(), Self::version(row)).await? {
            return Err(tx.retry());
        }
        if query::delete_in(&*tx, tenant, self.record, &[("id", row.id())]).await? == 0 {
            return Err(tx.retry());
        }
        tx.emit(self.event(event, row, Vec::new(), json!({ "was": written_down(row) })));
        self.answers(tx, row);
        Ok(())
    }

    /// What nobody reads is told to nobody.
    fn tells(self, field: &str) -> bool {
        self.record.field(field).is_none_or(|field| field.read != Policy::Never)
    }

    /// One field before and after; references as the ids that clients know.
    pub fn change(self, field: &str, before: &Value, after: &Value) -> Change {
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
            "calendar" => kernel::id::prefix::CALENDAR,
            "serviceAgreement" => kernel::id::prefix::SERVICE_AGREEMENT,
            "serviceReview" => kernel::id::prefix::SERVICE_REVIEW,
            "ticketTemplate" => kernel::id::prefix::TICKET_TEMPLATE,
            _ => return None,
        })
    }

    /// The event of a change to a row.
    pub fn event(self, kind: &'static str, row: &Row, changes: Vec<Change>, payload: Json) -> NewEvent {
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
