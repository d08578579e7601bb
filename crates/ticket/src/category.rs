//! The tenant's category tree.

use access::Named;
use access::permission::SETTINGS_MANAGE;
use kernel::error::Problems;
use kernel::{Ctx, Error, Id, Patch, Result, UserError, Uuid, id};
use predicate::{Predicate, Value};
use serde_json::json;
use store::query::{self, Row};
use store::{ConnectionTrait, RecordRef, Tx, Written};

use crate::commands::{CreateCategory, UpdateCategory, check_key, check_text};
use crate::events::setting_event;
use crate::fields::CATEGORY;
use crate::model::MAX_KEY;
use crate::service::{Outcome, Tickets};

/// How deep the tree may be.
pub const MAX_DEPTH: usize = 10;
/// The event that a new category leaves behind.
pub const CREATED: &str = "CategoryCreated";
/// The event that a changed category leaves behind.
pub const UPDATED: &str = "CategoryUpdated";

impl Tickets {
    /// Adds a category.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION`; `CONFLICT` when the key is taken; `NOT_FOUND` for the parent.
    pub async fn create_category(&self, ctx: &Ctx, command: CreateCategory) -> Result<Outcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        check_new(&command)?;
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "categoryCreate", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move {
                    let row = tickets.create_category_in(tx, &command).await?;
                    answers(tx, &row);
                    Ok(row)
                })
            })
            .await?;
        self.category_outcome(ctx, written).await
    }

    async fn create_category_in(&self, tx: &mut Tx, command: &CreateCategory) -> Result<Row> {
        let parent = self.parent_in(tx, command.parent.as_deref(), None).await?;
        if self.category_in(tx, &command.key).await?.is_some() {
            let message = format!("there is a category `{}` already", command.key);
            return Err(UserError::taken(["key"], message).into());
        }
        let ctx = tx.ctx().clone();
        let mut row = Row::new(
            &CATEGORY,
            vec![
                ("id", ctx.new_id().into()),
                ("key", command.key.as_str().into()),
                ("name", command.name.as_str().into()),
                ("parent", parent.as_ref().map(Row::id).into()),
                ("retired", false.into()),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
                ("updatedAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, ctx.tenant, &CATEGORY, &row).await?;
        let told = [("key", Value::Null), ("name", Value::Null), ("parent", Value::Null)];
        tx.emit(setting_event(CREATED, "category", &row, &told, json!({ "key": row.text("key") })));
        row.set_relation("parent", parent);
        Ok(row)
    }

    /// The category with this key, retired or not; one that is missing is made.
    ///
    /// # Errors
    /// As [`Tickets::create_category`].
    pub async fn import_category_in(&self, tx: &mut Tx, command: &CreateCategory) -> Result<Named> {
        self.access().require_tenant(tx.ctx(), SETTINGS_MANAGE)?;
        check_new(command)?;
        match self.category_in(tx, &command.key).await? {
            Some(row) => Ok(Named { row, created: false }),
            None => Ok(Named { row: self.create_category_in(tx, command).await?, created: true }),
        }
    }

    /// Changes a category.
    ///
    /// # Errors
    /// As [`Tickets::create_category`]; `CONFLICT` with the current version; `VALIDATION` for a circle.
    pub async fn update_category(&self, ctx: &Ctx, command: UpdateCategory) -> Result<Outcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        if let Some(name) = &command.name {
            let mut problems = Problems::default();
            check_text(&mut problems, "name", name, MAX_KEY);
            problems.check()?;
        }
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "categoryUpdate", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move {
                    let found = tickets.category_in(tx, &command.key).await?;
                    let before = found.ok_or_else(|| UserError::not_found(["key"], "the category"))?;
                    let row = tickets.update_category_in(tx, before, &command).await?;
                    answers(tx, &row);
                    Ok(row)
                })
            })
            .await?;
        self.category_outcome(ctx, written).await
    }

    async fn update_category_in(&self, tx: &mut Tx, before: Row, command: &UpdateCategory) -> Result<Row> {
        let version = i32::try_from(before.int("version")).unwrap_or(i32::MAX);
        if command.expected_version.is_some_and(|expected| expected != version) {
            return Err(UserError::stale(version).into());
        }
        let mut row = before.clone();
        if let Some(name) = &command.name {
            row.set("name", name.as_str().into());
        }
        if let Some(retired) = command.retired {
            row.set("retired", retired.into());
        }
        if !command.parent.is_keep() {
            let parent = match &command.parent {
                Patch::Set(key) => self.parent_in(tx, Some(key), Some(before.id())).await?,
                _ => None,
            };
            row.set("parent", parent.as_ref().map(Row::id).into());
            row.set_relation("parent", parent);
        }
        let changed: Vec<_> = before.fields().iter().filter(|(name, value)| row.get(name) != value).cloned().collect();
        if changed.is_empty() {
            return Ok(row);
        }
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let names = changed.iter().map(|(name, _)| *name).chain(["version", "updatedAt"]);
        let values: Vec<_> = names.map(|name| (name, row.get(name).clone())).collect();
        let tenant = tx.ctx().tenant;
        if !query::update_in(tx, tenant, &CATEGORY, row.id(), Some(version), &values).await? {
            return Err(tx.retry());
        }
        tx.emit(setting_event(UPDATED, "category", &row, &changed, json!({ "key": row.text("key") })));
        Ok(row)
    }

    /// The category with this key, for a write.
    ///
    /// # Errors
    /// Database errors.
    pub async fn category_in(&self, tx: &mut Tx, key: &str) -> Result<Option<Row>> {
        let ctx = tx.ctx().clone();
        self.category_with(tx, &ctx, key).await
    }

    async fn category_with(&self, connection: &impl ConnectionTrait, ctx: &Ctx, key: &str) -> Result<Option<Row>> {
        let visible = self.access().visible(ctx);
        let condition = Predicate::eq("key", key);
        query::find(connection, &self.access().scoped(ctx, &visible), &CATEGORY, &condition, &["parent"]).await
    }

    /// The category that a ticket may be put in.
    ///
    /// # Errors
    /// `NOT_FOUND` or, for a retired one, `VALIDATION` at `category`.
    pub async fn usable_category_in(&self, tx: &mut Tx, key: &str) -> Result<Row> {
        let ctx = tx.ctx().clone();
        self.usable_category(tx, &ctx, key).await
    }

    /// The same, for whoever has no write at hand.
    ///
    /// # Errors
    /// As [`Tickets::usable_category_in`].
    pub(crate) async fn usable_category(&self, connection: &impl ConnectionTrait, ctx: &Ctx, key: &str) -> Result<Row> {
        let found = self.category_with(connection, ctx, key).await?;
        let row = found.ok_or_else(|| UserError::not_found(["category"], "the category"))?;
        if row.bool("retired") {
            let message = format!("the category `{key}` is retired");
            return Err(UserError::constraint(["category"], message, "retired", None).into());
        }
        Ok(row)
    }

    /// The parent with this key, which must not lie below `child` nor too deep.
    async fn parent_in(&self, tx: &mut Tx, key: Option<&str>, child: Option<Uuid>) -> Result<Option<Row>> {
        let Some(key) = key else { return Ok(None) };
        let found = self.category_in(tx, key).await?;
        let parent = found.ok_or_else(|| UserError::not_found(["parent"], "the category"))?;
        let mut above = Some(parent.clone());
        let mut depth = 1;
        while let Some(row) = above {
            if child == Some(row.id()) {
                let message = "a category cannot lie below itself";
                return Err(UserError::constraint(["parent"], message, "circle", None).into());
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(too_deep());
            }
            above = match row.relation("parent").map(|parent| parent.text("key")) {
                Some(key) => self.category_in(tx, &key).await?,
                None => None,
            };
        }
        if let Some(child) = child
            && self.has_descendant_in(tx, child, MAX_DEPTH + 1 - depth).await?
        {
            return Err(too_deep());
        }
        Ok(Some(parent))
    }

    /// Whether a category lies that many levels (at least one) below another.
    async fn has_descendant_in(&self, tx: &mut Tx, category: Uuid, levels: usize) -> Result<bool> {
        let below = (1..levels).fold(Predicate::eq("parent", category), |below, _| below.through("parent"));
        let tenant = tx.ctx().tenant;
        query::exists(tx, tenant, &CATEGORY, &below, self.access().catalogue()).await
    }

    async fn category_outcome(&self, ctx: &Ctx, written: Written<Row>) -> Result<Outcome> {
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => {
                let visible = self.access().visible(ctx);
                let reader = self.store().read("ticket.category");
                let scoped = self.access().scoped(ctx, &visible);
                query::by_ids(&reader, &scoped, &CATEGORY, &[record.id.uuid], &["parent"]).await?.pop()
            }
        };
        Ok(Outcome { row, events })
    }
}

fn too_deep() -> Error {
    let message = format!("the tree of categories may be {MAX_DEPTH} levels deep");
    UserError::limit(["parent"], message, MAX_DEPTH as u64).into()
}

fn check_new(command: &CreateCategory) -> Result<()> {
    let mut problems = Problems::default();
    check_text(&mut problems, "name", &command.name, MAX_KEY);
    check_key(&mut problems, &command.key);
    problems.check()
}

fn answers(tx: &mut Tx, row: &Row) {
    let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
    tx.answers_with(RecordRef { id: Id::new(id::prefix::CATEGORY, row.id()), version });
}
