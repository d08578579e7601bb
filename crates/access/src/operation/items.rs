//! The items of an operation: one for each record that it works on, with what became of it.
//!
//! An item is done in the transaction that changes its record, and only while it waits: so it is done once, whoever works on the
//! operation, and however often.

use std::collections::{BTreeMap, HashSet};

use kernel::{ActorKind, Channel, Ctx, Error, Id, Mutation, Result, Timestamp, UserError, Uuid, words};
use predicate::{
    Field, FieldType, Operand, Path, Policy, Predicate, RecordType, Relation, RelationKind, Rule, Test, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use super::{OPERATION, VISIBLE, field, nullable, shown_only};
use crate::fields::ACTOR;
use crate::service::{Access, under_scopes};
use crate::tables;
use crate::visibility::everything;

words! {
    /// What became of an item.
    ItemOutcome {
        /// Its turn has not come.
        Pending = "PENDING",
        /// It was done.
        Done = "DONE",
        /// It could not be done.
        Failed = "FAILED",
    }
}

/// An item of an operation: there for whoever sees the operation.
pub static OPERATION_ITEM: RecordType = RecordType {
    name: "operationItem",
    table: "operation_item",
    base: None,
    fields: &[
        Field { order: Policy::Never, ..field("id", "id", FieldType::Id) },
        Field { order: Policy::Never, ..field("operation", "operation_id", FieldType::Id) },
        field("index", "place", FieldType::Int),
        nullable(shown_only(field("subject", "subject", FieldType::Text))),
        nullable(shown_only(field("expectedVersion", "expected_version", FieldType::Int))),
        field("outcome", "outcome", FieldType::Enum(ItemOutcome::NAMES)),
        nullable(shown_only(field("userErrors", "errors", FieldType::Json))),
        field("version", "version", FieldType::Int),
    ],
    relations: &[Relation { name: "operation", target: "operation", kind: RelationKind::Reference("operation") }],
    row: Rule::Through("operation", &VISIBLE),
    own: &[],
    team: &[],
};

/// An item to be worked on, or one that cannot be.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// The record; `None` when there is none that the viewer may see.
    pub subject: Option<Id>,
    /// The version that the record must have.
    pub expected_version: Option<i32>,
    /// Why it cannot be done; empty for one that waits.
    pub errors: Vec<UserError>,
}

/// An item as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its own id; nil for one that was not stored.
    pub id: Uuid,
    /// Its place in the operation, from 0.
    pub place: i64,
    /// The record.
    pub subject: Option<Id>,
    /// The version that the record must have.
    pub expected_version: Option<i32>,
    /// What became of it.
    pub outcome: ItemOutcome,
    /// Why it was not done.
    pub errors: Vec<UserError>,
}

impl Item {
    /// Of a row.
    ///
    /// # Errors
    /// `INTERNAL` for what was not written here.
    pub fn of(row: &Row) -> Result<Self> {
        let outcome = ItemOutcome::parse(&row.text("outcome"));
        let errors = match row.get("userErrors") {
            Value::Json(json) => serde_json::from_value(json.clone()).map_err(Error::internal)?,
            _ => Vec::new(),
        };
        let subject = row.optional_text("subject").map(|id| Id::parse(&id)).transpose();
        let expected = row.get("expectedVersion").as_int();
        Ok(Self {
            id: row.id(),
            place: row.int("index"),
            subject: subject.map_err(Error::internal)?,
            expected_version: expected.map(|version| i32::try_from(version).unwrap_or(i32::MAX)),
            outcome: outcome.ok_or_else(|| Error::internal("an item of no outcome"))?,
            errors,
        })
    }

    /// One that is not stored: of a dry run, or of a call that is refused as a whole.
    pub fn passing(place: i64, item: &NewItem) -> Self {
        Self {
            id: Uuid::nil(),
            place,
            subject: item.subject,
            expected_version: item.expected_version,
            outcome: item.outcome(),
            errors: item.errors.clone(),
        }
    }
}

impl NewItem {
    fn outcome(&self) -> ItemOutcome {
        if self.errors.is_empty() { ItemOutcome::Pending } else { ItemOutcome::Failed }
    }

    fn row(&self, operation: Uuid, id: Uuid, place: i64, done: bool) -> Row {
        let outcome = if done { ItemOutcome::Done } else { self.outcome() };
        Row::new(
            &OPERATION_ITEM,
            vec![
                ("id", id.into()),
                ("operation", operation.into()),
                ("index", Value::Int(place)),
                ("subject", self.subject.map(|id| id.to_string()).into()),
                ("expectedVersion", self.expected_version.map_or(Value::Null, Value::from)),
                ("outcome", outcome.as_str().into()),
                ("userErrors", errors_of(&self.errors)),
                ("version", FIRST.into()),
            ],
        )
    }
}

/// What became of an item: its own id, the outcome, and why it was not done.
pub type Settled = (Uuid, ItemOutcome, Vec<UserError>);

/// How many items of an operation have which outcome.
pub type Counts = BTreeMap<ItemOutcome, i64>;

/// The version of an item that waits, and of one that never did. Each is changed once.
const FIRST: i32 = 1;

/// How much of a text in an error is kept, in bytes: some say again what was given.
const MAX_SAID: usize = 1_000;

/// Errors as they are stored.
fn errors_of(errors: &[UserError]) -> Value {
    if errors.is_empty() { Value::Null } else { Value::Json(keepable(json!(errors))) }
}

/// The same without what PostgreSQL cannot store, and without the rest of long texts.
fn keepable(json: Json) -> Json {
    match json {
        Json::String(text) if text.len() > MAX_SAID => {
            format!("{}…", &text[..text.floor_char_boundary(MAX_SAID)]).replace('\0', "\u{fffd}").into()
        }
        Json::String(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").into(),
        Json::Array(items) => items.into_iter().map(keepable).collect(),
        Json::Object(fields) => fields.into_iter().map(|(name, value)| (name, keepable(value))).collect(),
        other => other,
    }
}

/// Why nothing is done any more where [`Access::acting`] finds nobody.
pub const NOBODY: &str =
    "whoever started this is no longer active, or the token that it was started with holds no longer";

/// Who started an operation, and through what: its job does what they may do, at the time when it does it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Starter {
    actor: Uuid,
    kind: ActorKind,
    channel: Channel,
}

impl Starter {
    /// Whoever asks.
    pub fn of(ctx: &Ctx) -> Self {
        Self { actor: ctx.actor.id, kind: ctx.actor.kind, channel: ctx.channel.clone() }
    }
}

impl Access {
    /// The context of whoever started an operation, with the rights of now; `None` when they may do nothing any more: they were
    /// deactivated, or the API token through which they started it was revoked or is over. Whoever has signed out still may.
    ///
    /// # Errors
    /// Database errors.
    pub async fn acting(&self, system: &Ctx, starter: &Starter) -> Result<Option<Ctx>> {
        if starter.kind == ActorKind::System {
            return Ok(Some(Ctx { channel: starter.channel.clone(), ..system.clone() }));
        }
        let reader = self.store().read("operation.acting");
        let condition = Predicate::eq("id", starter.actor);
        let actor = self.find_unmasked(&reader, system, &ACTOR, Some(condition)).await?;
        if !actor.is_some_and(|actor| actor.bool("active")) {
            return Ok(None);
        }
        let mut rights = tables::rights(&reader, system.tenant, starter.actor).await?;
        if let Channel::Token(token) = &starter.channel {
            let token = tables::token_by_id(&reader, system.tenant, *token).await?;
            let now = system.now();
            let token = token.filter(|token| token.revoked_at.is_none() && token.expires_at.is_none_or(|at| now < at));
            match token {
                Some(token) => rights = under_scopes(rights, &token.scopes),
                None => return Ok(None),
            }
        }
        Ok(Some(Ctx {
            actor: kernel::Actor { id: starter.actor, kind: starter.kind },
            grants: rights.into(),
            channel: starter.channel.clone(),
            mutation: Mutation::default(),
            ..system.clone()
        }))
    }

    /// Adds items to an operation, from this place on; `done` when the same write has done them.
    ///
    /// # Errors
    /// Database errors. When somebody else added some meanwhile, the write is run again.
    pub async fn add_items_in(
        &self,
        tx: &Tx,
        operation: Uuid,
        first: i64,
        items: &[NewItem],
        done: bool,
    ) -> Result<()> {
        let placed = (first..).zip(items);
        let rows: Vec<Row> = placed.map(|(place, item)| item.row(operation, tx.new_id(), place, done)).collect();
        query::insert_all_in(tx, tx.ctx().tenant, &OPERATION_ITEM, &rows).await
    }

    /// Adds items of which nothing more comes, by one write, each at its place: those without errors are done.
    ///
    /// # Errors
    /// Database errors.
    pub async fn add_settled_items(&self, ctx: &Ctx, operation: Uuid, items: Vec<(i64, NewItem)>) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let ctx = ctx.for_mutation(Mutation::default());
        let written = self.store().write(&ctx, "operation.addItems", move |tx| {
            let items = items.clone();
            Box::pin(async move {
                let row =
                    |(place, item): &(i64, NewItem)| item.row(operation, tx.new_id(), *place, item.errors.is_empty());
                let rows: Vec<Row> = items.iter().map(row).collect();
                query::insert_all_in(tx, tx.ctx().tenant, &OPERATION_ITEM, &rows).await
            })
        });
        written.await.map(drop)
    }

    /// Which places from the first to the last of these have an item.
    ///
    /// # Errors
    /// Database errors.
    pub async fn places_of_items(&self, ctx: &Ctx, operation: Uuid, first: i64, last: i64) -> Result<HashSet<i64>> {
        let between = [Test::Gte(Operand::Value(Value::Int(first))), Test::Lte(Operand::Value(Value::Int(last)))];
        let between = between.map(|test| Predicate::Is(Path::field("index"), test));
        let there = Predicate::all(between).and(Predicate::eq("operation", operation));
        let all = everything(self.catalogue());
        let reader = self.store().read("operation.items");
        let limit = (last - first).unsigned_abs() + 1;
        let found = query::all(&reader, &self.scoped(ctx, &all), &OPERATION_ITEM, &there, &[], limit).await?;
        Ok(found.iter().map(|row| row.int("index")).collect())
    }

    /// The last item of an operation.
    ///
    /// # Errors
    /// Database errors.
    pub async fn last_item(&self, ctx: &Ctx, operation: Uuid) -> Result<Option<Item>> {
        let reader = self.store().read("operation.items");
        let Some(place) = tables::last_place(&reader, ctx.tenant, operation).await? else { return Ok(None) };
        let at = Predicate::eq("operation", operation).and(Predicate::eq("index", Value::Int(place)));
        let all = everything(self.catalogue());
        let row = query::find(&reader, &self.scoped(ctx, &all), &OPERATION_ITEM, &at, &[]).await?;
        row.as_ref().map(Item::of).transpose()
    }

    /// The first items of an operation, or the first with this outcome, in the order in which they were added.
    ///
    /// # Errors
    /// Database errors.
    pub async fn first_items(
        &self,
        ctx: &Ctx,
        operation: Uuid,
        outcome: Option<ItemOutcome>,
        limit: usize,
    ) -> Result<Vec<Item>> {
        let mut wanted = Predicate::eq("operation", operation);
        if let Some(outcome) = outcome {
            wanted = wanted.and(Predicate::eq("outcome", outcome.as_str()));
        }
        let all = everything(self.catalogue());
        let reader = self.store().read("operation.items");
        let found = query::all(&reader, &self.scoped(ctx, &all), &OPERATION_ITEM, &wanted, &[], limit as u64).await?;
        let mut items = found.iter().map(Item::of).collect::<Result<Vec<_>>>()?;
        items.sort_by_key(|item| item.place);
        Ok(items)
    }

    /// Says what became of an item that waits. Answers whether it did: else somebody else has worked on it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn settle_item_in(&self, tx: &Tx, (id, outcome, errors): &Settled) -> Result<bool> {
        let values = [
            ("outcome", outcome.as_str().into()),
            ("userErrors", errors_of(errors)),
            ("version", Value::from(FIRST + 1)),
        ];
        query::update_in(tx, tx.ctx().tenant, &OPERATION_ITEM, *id, Some(FIRST), &values).await
    }

    /// Says what became of some items, those that still wait, by one write.
    ///
    /// # Errors
    /// Database errors.
    pub async fn settle_items(&self, ctx: &Ctx, settled: Vec<Settled>) -> Result<()> {
        if settled.is_empty() {
            return Ok(());
        }
        let access = self.clone();
        let ctx = ctx.for_mutation(Mutation::default());
        let written = self.store().write(&ctx, "operation.settle", move |tx| {
            let (access, settled) = (access.clone(), settled.clone());
            Box::pin(async move {
                for one in &settled {
                    access.settle_item_in(tx, one).await?;
                }
                Ok(())
            })
        });
        written.await.map(drop)
    }

    /// How many items of an operation have which outcome.
    ///
    /// # Errors
    /// Database errors.
    pub async fn count_items(&self, ctx: &Ctx, operation: Uuid) -> Result<Counts> {
        let found = tables::count_items(&self.store().read("operation.items"), ctx.tenant, operation).await?;
        Ok(found.iter().filter_map(|(name, count)| Some((ItemOutcome::parse(name)?, *count))).collect())
    }

    /// The operations of a kind that the viewer has under way, at most so many, with what their jobs go on from.
    ///
    /// # Errors
    /// Database errors.
    pub async fn unfinished_in(&self, tx: &Tx, kind: &str, at_most: u64) -> Result<Vec<Row>> {
        let open = Predicate::all([
            Predicate::eq("startedBy", tx.ctx().actor.id),
            Predicate::eq("kind", kind),
            Predicate::Is(Path::field("endedAt"), Test::IsNull(true)),
        ]);
        let all = everything(self.catalogue());
        query::all(tx, &self.scoped(tx.ctx(), &all), &OPERATION, &open, &[], at_most).await
    }

    /// How many operations of a kind the viewer has started since then.
    ///
    /// # Errors
    /// Database errors.
    pub async fn count_started_in(&self, tx: &Tx, kind: &str, since: Timestamp) -> Result<u64> {
        let all = everything(self.catalogue());
        let recent = Predicate::all([
            Predicate::eq("startedBy", tx.ctx().actor.id),
            Predicate::eq("kind", kind),
            Predicate::Is(Path::field("createdAt"), Test::Gt(Operand::Value(since.into()))),
        ]);
        Ok(query::count(tx, &self.scoped(tx.ctx(), &all), &OPERATION, &recent).await?.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_of_an_error_is_left_out() {
        let said = format!("{}é", "x".repeat(MAX_SAID - 1));
        let errors = [UserError::validation(["a\0b", "c"], "d\0e"), UserError::validation(["f"], said)];
        let Value::Json(stored) = errors_of(&errors) else { panic!("nothing is stored") };
        assert_eq!((&stored[0]["path"], &stored[0]["message"]), (&json!(["a\u{fffd}b", "c"]), &json!("d\u{fffd}e")));
        assert_eq!(stored[1]["message"], format!("{}…", "x".repeat(MAX_SAID - 1)));
    }

    #[test]
    fn what_is_stored_of_an_item_is_all_of_it() {
        let subject = Some(Id::new(kernel::id::prefix::INCIDENT, Uuid::from_u128(7)));
        let errors = vec![UserError::stale(3)];
        for (item, outcome) in [
            (NewItem { subject, expected_version: Some(2), errors: Vec::new() }, ItemOutcome::Pending),
            (NewItem { subject: None, expected_version: None, errors }, ItemOutcome::Failed),
        ] {
            let row = item.row(Uuid::from_u128(1), Uuid::from_u128(2), 5, false);
            let stored = Item::of(&row).unwrap();
            assert_eq!(stored, Item { id: Uuid::from_u128(2), ..Item::passing(5, &item) });
            assert_eq!(stored.outcome, outcome);
        }
    }
}
