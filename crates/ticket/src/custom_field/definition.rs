//! Making, changing and retiring definitions.

use access::permission::SETTINGS_MANAGE;
use kernel::error::Problems;
use kernel::{Ctx, Error, Id, Patch, Result, UserError, id};
use predicate::{Predicate, Value};
use serde::Serialize;
use serde_json::json;
use store::query::{self, Row};
use store::{RecordRef, Tx, Written};

use super::check::{self, Draft};
use super::fields::CUSTOM_FIELD;
use super::{CreateCustomField, CustomField, MAX_FIELDS, UpdateCustomField};
use crate::events::setting_event;
use crate::model::TicketKind;
use crate::service::{Outcome, Tickets};

/// The event that a new definition leaves behind.
pub const CREATED: &str = "CustomFieldCreated";
/// The event that a changed definition leaves behind.
pub const UPDATED: &str = "CustomFieldUpdated";
/// What the log calls the subject of these events.
const SUBJECT: &str = "customField";
/// What is told of a new definition.
const TOLD: &[&str] = &[
    "key",
    "name",
    "description",
    "type",
    "kinds",
    "options",
    "constraints",
    "default",
    "requiredIn",
    "readableBy",
    "writableBy",
    "position",
];

impl Tickets {
    /// Defines a custom field.
    ///
    /// # Errors
    /// `FORBIDDEN` without `settings.manage`; `VALIDATION`; `CONFLICT` when the key is taken; `LIMIT` beyond [`MAX_FIELDS`].
    pub async fn create_custom_field(&self, ctx: &Ctx, command: CreateCustomField) -> Result<Outcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let mut problems = Problems::default();
        check::definition(&draft_of(&command), &mut problems);
        problems.check()?;
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "customFieldCreate", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move { tickets.create_custom_field_in(tx, &command).await })
            })
            .await?;
        self.custom_field_outcome(ctx, written).await
    }

    async fn create_custom_field_in(&self, tx: &mut Tx, command: &CreateCustomField) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let all = Predicate::always();
        let there = query::all(&*tx, &scoped, &CUSTOM_FIELD, &all, &[], MAX_FIELDS as u64 + 1).await?;
        if there.iter().any(|row| row.text("key") == command.key) {
            let message = format!("there is a custom field `{}` already; its type stays what it is", command.key);
            return Err(UserError::taken(["key"], message).into());
        }
        if there.len() >= MAX_FIELDS {
            let message = format!("there are {MAX_FIELDS} custom fields; that is the limit");
            return Err(UserError::limit([] as [&str; 0], message, MAX_FIELDS as u64).into());
        }
        let row = Row::new(
            &CUSTOM_FIELD,
            vec![
                ("id", ctx.new_id().into()),
                ("key", command.key.as_str().into()),
                ("name", command.name.trim().into()),
                ("description", command.description.clone().into()),
                ("type", command.kind.as_str().into()),
                ("kinds", names(&command.kinds)),
                ("options", document(&command.options)?),
                ("constraints", document(&command.constraints)?),
                ("default", command.default.clone().map_or(Value::Null, Value::Json)),
                ("requiredIn", Value::TextList(command.required_in.clone())),
                ("readableBy", command.readable_by.as_str().into()),
                ("writableBy", command.writable_by.as_str().into()),
                ("position", command.position.map_or(Value::Null, Value::from)),
                ("retired", false.into()),
                ("version", 1.into()),
                ("createdAt", tx.now().into()),
                ("updatedAt", tx.now().into()),
            ],
        );
        query::insert_unique_in(tx, ctx.tenant, &CUSTOM_FIELD, &row).await?;
        let told: Vec<_> = TOLD.iter().map(|field| (*field, Value::Null)).collect();
        tx.emit(setting_event(CREATED, SUBJECT, &row, &told, json!({ "key": command.key })));
        answers(tx, &row);
        Ok(row)
    }

    /// Changes a definition. Values that are there stay, whatever new ones must be like.
    ///
    /// # Errors
    /// As [`Tickets::create_custom_field`]; `NOT_FOUND`; `CONFLICT` with the current version; `VALIDATION` for another type and
    /// for an option that is left out.
    pub async fn update_custom_field(&self, ctx: &Ctx, command: UpdateCustomField) -> Result<Outcome> {
        self.access().require_tenant(ctx, SETTINGS_MANAGE)?;
        let tickets = self.clone();
        let written = self
            .store()
            .write(ctx, "customFieldUpdate", move |tx| {
                let (tickets, command) = (tickets.clone(), command.clone());
                Box::pin(async move { tickets.update_custom_field_in(tx, &command).await })
            })
            .await?;
        self.custom_field_outcome(ctx, written).await
    }

    async fn update_custom_field_in(&self, tx: &mut Tx, command: &UpdateCustomField) -> Result<Row> {
        let ctx = tx.ctx().clone();
        let visible = self.access().visible(&ctx);
        let scoped = self.access().scoped(&ctx, &visible);
        let of_key = Predicate::eq("key", command.key.as_str());
        let found = query::find(&*tx, &scoped, &CUSTOM_FIELD, &of_key, &[]).await?;
        let before = found.ok_or_else(|| UserError::not_found(["key"], "the custom field"))?;
        let version = i32::try_from(before.int("version")).unwrap_or(i32::MAX);
        if command.expected_version.is_some_and(|expected| expected != version) {
            return Err(UserError::stale(version).into());
        }
        let mut row = changed(&CustomField::of(before.clone()), command)?;
        let values: Vec<_> = before.fields().iter().filter(|(name, value)| row.get(name) != value).cloned().collect();
        answers(tx, &before);
        if values.is_empty() {
            return Ok(row);
        }
        row.set("version", (version + 1).into());
        row.set("updatedAt", tx.now().into());
        let fields = values.iter().map(|(name, _)| *name).chain(["version", "updatedAt"]);
        let new: Vec<_> = fields.map(|name| (name, row.get(name).clone())).collect();
        if !query::update_in(tx, ctx.tenant, &CUSTOM_FIELD, row.id(), Some(version), &new).await? {
            return Err(tx.retry());
        }
        tx.emit(setting_event(UPDATED, SUBJECT, &row, &values, json!({ "key": command.key })));
        answers(tx, &row);
        Ok(row)
    }

    async fn custom_field_outcome(&self, ctx: &Ctx, written: Written<Row>) -> Result<Outcome> {
        self.definitions().invalidate(&ctx.tenant);
        let events = self.events_of(ctx, &written).await?;
        let row = match written {
            Written::Fresh { value, .. } => Some(value),
            Written::Replayed { record, .. } => self.by_ids(ctx, &CUSTOM_FIELD, &[record.id.uuid], &[]).await?.pop(),
        };
        Ok(Outcome { row, events })
    }
}

/// The definition as it will be.
fn changed(field: &CustomField, command: &UpdateCustomField) -> Result<Row> {
    let mut row = field.row.clone();
    let mut problems = Problems::default();
    if let Some(kind) = command.kind.filter(|kind| *kind != field.kind) {
        let message = format!(
            "`{}` is of type {} for good: its values are of that type; define another field of type {} and retire this one",
            field.key,
            field.kind.as_str(),
            kind.as_str()
        );
        problems.add(UserError::constraint(["type"], message, "immutable", None));
    }
    if let Some(name) = &command.name {
        row.set("name", name.trim().into());
    }
    patch(&mut row, "description", &command.description, |text| text.as_str().into());
    if let Some(kinds) = &command.kinds {
        row.set("kinds", names(kinds));
    }
    if let Some(options) = &command.options {
        let gone = field.options.iter().filter(|option| !options.iter().any(|kept| kept.key == option.key));
        for option in gone {
            let message = format!("the option `{}` is left out; retire it instead: tickets may have it", option.key);
            problems.add(UserError::constraint(["options"], message, "immutable", None));
        }
        row.set("options", document(options)?);
    }
    let mut constraints = field.constraints.clone();
    apply(&mut constraints.minimum, &command.minimum);
    apply(&mut constraints.maximum, &command.maximum);
    apply(&mut constraints.max_length, &command.max_length);
    apply(&mut constraints.pattern, &command.pattern);
    if constraints != field.constraints {
        row.set("constraints", document(&constraints)?);
    }
    patch(&mut row, "default", &command.default, |json| Value::Json(json.clone()));
    if let Some(states) = &command.required_in {
        row.set("requiredIn", Value::TextList(states.clone()));
    }
    if let Some(audience) = command.writable_by {
        row.set("writableBy", audience.as_str().into());
    }
    patch(&mut row, "position", &command.position, |position| (*position).into());
    if let Some(retired) = command.retired {
        row.set("retired", retired.into());
    }
    let after = CustomField::of(row);
    let (name, description) = (after.row.text("name"), after.row.optional_text("description"));
    let draft = Draft {
        key: &after.key,
        name: &name,
        description: description.as_deref(),
        kind: after.kind,
        options: &after.options,
        constraints: &after.constraints,
        default: after.default.as_ref(),
        required_in: &after.required_in,
        readable_by: after.readable_by,
        writable_by: after.writable_by,
    };
    check::definition(&draft, &mut problems);
    problems.check()?;
    Ok(after.row)
}

fn draft_of(command: &CreateCustomField) -> Draft<'_> {
    Draft {
        key: &command.key,
        name: &command.name,
        description: command.description.as_deref(),
        kind: command.kind,
        options: &command.options,
        constraints: &command.constraints,
        default: command.default.as_ref(),
        required_in: &command.required_in,
        readable_by: command.readable_by,
        writable_by: command.writable_by,
    }
}

fn apply<T: Clone>(current: &mut Option<T>, wanted: &Patch<T>) {
    match wanted {
        Patch::Keep => {}
        Patch::Clear => *current = None,
        Patch::Set(value) => *current = Some(value.clone()),
    }
}

fn patch<T>(row: &mut Row, field: &'static str, wanted: &Patch<T>, value: impl FnOnce(&T) -> Value) {
    match wanted {
        Patch::Keep => {}
        Patch::Clear => row.set(field, Value::Null),
        Patch::Set(wanted) => row.set(field, value(wanted)),
    }
}

fn names(kinds: &[TicketKind]) -> Value {
    let mut names: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    Value::TextList(names)
}

fn document(value: &impl Serialize) -> Result<Value> {
    Ok(Value::Json(serde_json::to_value(value).map_err(Error::internal)?))
}

fn answers(tx: &mut Tx, row: &Row) {
    let version = i32::try_from(row.int("version")).unwrap_or(i32::MAX);
    tx.answers_with(RecordRef { id: Id::new(id::prefix::CUSTOM_FIELD, row.id()), version });
}
