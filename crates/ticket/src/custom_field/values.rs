//! Values on a ticket in the making: looked up, checked, and put where they belong.

use std::collections::BTreeSet;

use access::permission::TICKET_INTERNAL;
use kernel::error::Problems;
use kernel::{Id, Result, UserError, Uuid};
use predicate::{Policy, Rule, Value};
use serde_json::{Map, Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use super::check::{self, Checked};
use super::fields::CUSTOM_FIELD_VALUE;
use super::{Audience, CustomField, CustomFieldType, Definitions, MAX_INPUTS, SetCustomField, bind};
use crate::edit::Edit;
use crate::model::TicketKind;
use crate::service::Tickets;
use crate::tables;

/// Values that a ticket gets, by key; `None` for one that it loses. Written with the ticket.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangedValues(Vec<(String, Option<Row>)>);

impl ChangedValues {
    /// Writes the rows of a ticket that is there, in two statements at most.
    pub(crate) async fn write_in(&mut self, tx: &Tx, ticket: Uuid) -> Result<()> {
        let changed = std::mem::take(&mut self.0);
        if changed.is_empty() {
            return Ok(());
        }
        let (keys, rows): (Vec<_>, Vec<_>) = changed.into_iter().unzip();
        tables::delete_custom_values_in(tx, ticket, &keys).await?;
        insert_in(tx, rows).await
    }
}

async fn insert_in(tx: &Tx, rows: Vec<Option<Row>>) -> Result<()> {
    let mut rows: Vec<Row> = rows.into_iter().flatten().collect();
    for row in &mut rows {
        row.set("id", tx.new_id().into());
    }
    query::insert_all_in(tx, tx.ctx().tenant, &CUSTOM_FIELD_VALUE, &rows).await
}

impl Tickets {
    /// Sets custom fields of a ticket in the making; a new one gets the defaults of those that are not named.
    ///
    /// # Errors
    /// `VALIDATION` at `customFields`: unknown, retired, of another kind of ticket or type, twice, against a constraint;
    /// `FORBIDDEN` for what agents alone write; `NOT_FOUND` for a user or a configuration item; `LIMIT`.
    pub async fn set_custom_fields_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        wanted: &[SetCustomField],
        is_new: bool,
    ) -> Result<()> {
        if wanted.is_empty() && !is_new {
            return Ok(());
        }
        let definitions = self.custom_fields(&*tx, &tx.ctx().clone()).await?;
        let mut problems = Problems::default();
        if wanted.len() > MAX_INPUTS {
            let message = format!("{} custom fields are given; at most {MAX_INPUTS} are allowed", wanted.len());
            return Err(UserError::limit(["customFields"], message, MAX_INPUTS as u64).into());
        }
        let mut named = BTreeSet::new();
        for set in wanted {
            let taken = self.set_one_in(tx, edit, &definitions, set, !named.insert(set.key.as_str())).await;
            problems.take(taken)?;
        }
        problems.check()?;
        if is_new {
            let kind = edit.rules.kind();
            let unnamed = definitions.iter().filter(|field| !named.contains(field.key.as_str()) && !field.retired);
            for field in unnamed.filter(|field| field.is_of(kind)) {
                if let Some(default) = &field.default {
                    let value = predicate::keyed::value(&json!({ "default": default }), "default", field.kind.slot());
                    edit.set_custom_field(field, value);
                }
            }
        }
        Ok(())
    }

    async fn set_one_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        definitions: &Definitions,
        set: &SetCustomField,
        twice: bool,
    ) -> Result<()> {
        let at = ["customFields", set.at.as_str()];
        let refuse = |message: String, rule| UserError::constraint(at, message, rule, None);
        let field = definitions.get(&set.key).ok_or_else(|| bind::unknown(definitions, &at, &set.key))?;
        let key = &field.key;
        if twice {
            return Err(refuse(format!("`{key}` is given twice"), "unique").into());
        }
        if field.retired {
            return Err(refuse(format!("the custom field `{key}` is retired"), "retired").into());
        }
        let kind = edit.rules.kind();
        if !field.is_of(kind) {
            return Err(refuse(format!("tickets of kind {} have no `{key}`", kind.as_str()), "kind").into());
        }
        self.authorise_value(tx, edit, field)?;
        let value = match set.value.clone() {
            None => Value::Null,
            Some(given) => {
                let checked = check::value(field.kind, &field.options, &field.constraints, given);
                let checked = checked.map_err(|refusal| {
                    UserError::constraint(at, format!("`{key}`: {}", refusal.message), refusal.rule, refusal.limit)
                })?;
                let within = |error: kernel::Error| error.within(&set.at).within("customFields");
                match checked {
                    Checked::Value(value) => value,
                    Checked::User(user) => self.user_in(tx, &user, "user").await.map_err(within)?.id().into(),
                    Checked::Item(item) => {
                        let found = self.configuration().item_in(tx, &item).await;
                        found.map_err(|error| within(error.within("configurationItem")))?.id().into()
                    }
                }
            }
        };
        edit.set_custom_field(field, value);
        Ok(())
    }

    /// What agents alone write is written by those who work on the ticket. Whether one may change the ticket at all is checked
    /// with its other fields.
    fn authorise_value(&self, tx: &Tx, edit: &Edit, field: &CustomField) -> Result<()> {
        if field.writable_by == Audience::Everyone {
            return Ok(());
        }
        let policy = Policy::When(Rule::Permission(TICKET_INTERNAL));
        match self.access().allows(tx.ctx(), edit.rules.record(), &policy, &edit.after) {
            true => Ok(()),
            false => Err(UserError::forbidden(TICKET_INTERNAL).into()),
        }
    }

    /// Refuses a ticket that lacks what it must have in its state: one that is new or comes into the state, and one whose values
    /// were changed.
    ///
    /// # Errors
    /// `VALIDATION` at `customFields`.
    pub async fn require_custom_fields_in(&self, tx: &Tx, edit: &Edit) -> Result<()> {
        let moved = edit.before.get("state") != edit.after.get("state");
        if !moved && edit.values.0.is_empty() {
            return Ok(());
        }
        let definitions = self.custom_fields(tx, tx.ctx()).await?;
        let mut problems = Problems::default();
        let state = edit.after.text("state");
        // What was lacking before and is not touched now does not stand in the way of an update.
        let touched = |key: &str| moved || edit.values.0.iter().any(|(changed, _)| changed == key);
        // Nor does what only others can write.
        let can_be_given = |field: &&CustomField| touched(&field.key) && self.authorise_value(tx, edit, field).is_ok();
        for field in definitions.missing(edit.rules.kind(), &state, &edit.after).filter(can_be_given) {
            let message = format!("`{}` is required in the state `{state}`", field.key);
            problems.add(UserError::constraint(["customFields", &field.key], message, "required", None));
        }
        problems.check()
    }
}

impl Edit {
    /// Writes the values of a ticket that was just inserted.
    ///
    /// # Errors
    /// Database errors.
    pub async fn insert_custom_fields_in(&mut self, tx: &Tx) -> Result<()> {
        let values = std::mem::take(&mut self.values.0);
        insert_in(tx, values.into_iter().map(|(_, row)| row).collect()).await
    }

    /// Puts a value on the ticket, or takes it away.
    fn set_custom_field(&mut self, field: &CustomField, value: Value) {
        let document = field.document();
        let mut values = match self.after.get(document) {
            Value::Json(Json::Object(values)) => values.clone(),
            _ => Map::new(),
        };
        let json = match (&value, field.kind.id_prefix()) {
            (Value::Id(uuid), Some(prefix)) => Id::new(prefix, *uuid).to_string().into(),
            (value, _) => value.to_json(),
        };
        if values.get(&field.key).unwrap_or(&Json::Null) == &json {
            return;
        }
        let row = (!value.is_null()).then(|| {
            let slot = field.kind.slot();
            let mut row = Row::new(
                &CUSTOM_FIELD_VALUE,
                vec![("ticket", self.after.get("id").clone()), ("key", field.key.as_str().into())],
            );
            row.set(slot, value);
            row
        });
        match json.is_null() {
            true => values.remove(&field.key),
            false => values.insert(field.key.clone(), json),
        };
        self.set(document, if values.is_empty() { Value::Null } else { Value::Json(Json::Object(values)) });
        self.values.0.retain(|(key, _)| *key != field.key);
        self.values.0.push((field.key.clone(), row));
    }
}

/// JSON Schema of the `customFields` that a transition of a ticket of this kind takes: those of the kind that are not retired
/// and that the viewer may write. Required are those of them that the ticket must have in the state and has not. `None` when
/// there are none.
pub(crate) fn input_schema(
    definitions: &Definitions,
    kind: TicketKind,
    to: &str,
    ticket: &Row,
    is_agent: bool,
) -> Option<Json> {
    let is_writable = |field: &&CustomField| is_agent || field.writable_by == Audience::Everyone;
    let own = definitions.iter().filter(|field| !field.retired && field.is_of(kind)).filter(is_writable);
    let properties: Map<String, Json> = own.map(|field| (field.key.clone(), schema(field))).collect();
    let missing = definitions.missing(kind, to, ticket).filter(is_writable);
    let required: Vec<_> = missing.map(|field| field.key.clone()).collect();
    (!properties.is_empty()).then(|| {
        json!({ "type": "object", "title": "Custom fields", "properties": properties, "required": required,
            "additionalProperties": false })
    })
}

/// JSON Schema of a field's values.
fn schema(field: &CustomField) -> Json {
    let mut schema = match field.kind {
        CustomFieldType::Text => json!({ "type": "string", "minLength": 1 }),
        CustomFieldType::Number => json!({ "type": "number" }),
        CustomFieldType::Boolean => json!({ "type": "boolean" }),
        CustomFieldType::Date => json!({ "type": "string", "format": "date" }),
        CustomFieldType::DateTime => json!({ "type": "string", "format": "date-time" }),
        CustomFieldType::Url => json!({ "type": "string", "format": "uri" }),
        CustomFieldType::Enum => {
            let usable = field.options.iter().filter(|option| !option.retired);
            let options: Vec<_> = usable.map(|option| json!({ "const": option.key, "title": option.name })).collect();
            json!({ "oneOf": options })
        }
        CustomFieldType::User => reference(&["email", "id"]),
        CustomFieldType::ConfigurationItem => reference(&["id"]),
    };
    schema["title"] = field.row.text("name").into();
    let constraints = &field.constraints;
    for (name, value) in [
        ("minimum", constraints.minimum.map(Json::from)),
        ("maximum", constraints.maximum.map(Json::from)),
        ("maxLength", constraints.max_length.map(Json::from)),
        ("pattern", constraints.pattern.as_ref().map(|pattern| format!("^(?:{pattern})$").into())),
    ] {
        if let Some(value) = value {
            schema[name] = value;
        }
    }
    schema
}

fn reference(names: &[&str]) -> Json {
    let properties: Map<String, Json> =
        names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
        "properties": properties })
}
