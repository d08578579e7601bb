//! Custom fields: what a tenant wants to know of its tickets beyond what all tickets say.
//!
//! A definition says what a field is called, which values it takes, on which kinds of ticket, in which states it must have
//! one, and who reads and writes it. It can be changed and retired, never deleted: its values stay on their tickets.
//!
//! **Where values are.** Twice, written together (see [`predicate::keyed`]): on the ticket, in one document for what everybody
//! who sees it may read (`customFields`) and one for what agents may read (`internalCustomFields`), whose read policies
//! are those of any other field; and in typed, indexed rows, by which tickets are filtered, ordered and counted.
//!
//! **What never changes.** Key, type and readers: values in the log were written under them.

pub mod fields;

mod bind;
mod check;
mod definition;
mod values;

use std::sync::Arc;

use kernel::{Ctx, Patch, Result, Timestamp, Uuid, id, words};
use moka::sync::Cache;
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::ConnectionTrait;
use store::query::{self, Row};

use crate::model::TicketKind;
use crate::service::Tickets;
pub(crate) use bind::bind;
pub use definition::{CREATED, UPDATED};
use fields::CUSTOM_FIELD;
pub(crate) use values::{ChangedValues, input_schema};

/// How many custom fields a tenant may have, retired ones included.
pub const MAX_FIELDS: usize = 200;
/// How many options a field of type `ENUM` may have, retired ones included.
pub const MAX_OPTIONS: usize = 200;
/// The longest value of a text or a URL, in bytes of UTF-8: what an index can hold.
pub const MAX_VALUE: usize = 2_000;
/// The longest pattern, in characters.
pub const MAX_PATTERN: usize = 200;
/// The largest number, either way: up to here all whole numbers are exact.
pub const MAX_NUMBER: f64 = 1e15;
/// How many values one mutation may set.
pub const MAX_INPUTS: usize = 50;
/// In how many states a field may be required.
pub const MAX_REQUIRED_IN: usize = 50;

/// The document of values that everybody who sees a ticket may read.
pub const DOCUMENT: &str = "customFields";
/// The document of values that those who work on a ticket may read.
pub const INTERNAL_DOCUMENT: &str = "internalCustomFields";
/// The relation by which a client's condition names a field, before it is bound to where the values are.
pub const UNBOUND: &str = "customField";

words! {
    /// The type of a custom field; it never changes.
    CustomFieldType {
        /// A text.
        Text = "TEXT",
        /// A number, with or without a fraction.
        Number = "NUMBER",
        /// True or false.
        Boolean = "BOOLEAN",
        /// A day of the calendar.
        Date = "DATE",
        /// An instant.
        DateTime = "DATE_TIME",
        /// One of the field's options.
        Enum = "ENUM",
        /// A user.
        User = "USER",
        /// A configuration item.
        ConfigurationItem = "CONFIGURATION_ITEM",
        /// The address of a page.
        Url = "URL",
    }
}

words! {
    /// Who may read or write a custom field, on the tickets that they see.
    Audience {
        /// Whoever may read, or may change, the ticket.
        Everyone = "EVERYONE",
        /// Those who work on the ticket: with `ticket.internal`.
        Agents = "AGENTS",
    }
}

impl CustomFieldType {
    /// What inputs and filters call a value of this type.
    pub const fn input(self) -> &'static str {
        match self {
            CustomFieldType::Text => "text",
            CustomFieldType::Number => "number",
            CustomFieldType::Boolean => "boolean",
            CustomFieldType::Date => "date",
            CustomFieldType::DateTime => "dateTime",
            CustomFieldType::Enum => "option",
            CustomFieldType::User => "user",
            CustomFieldType::ConfigurationItem => "configurationItem",
            CustomFieldType::Url => "url",
        }
    }

    /// The slot that holds such values, one of [`predicate::keyed::SLOTS`].
    pub const fn slot(self) -> &'static str {
        match self {
            CustomFieldType::Text | CustomFieldType::Date | CustomFieldType::Enum | CustomFieldType::Url => "text",
            CustomFieldType::Number => "number",
            CustomFieldType::Boolean => "boolean",
            CustomFieldType::DateTime => "time",
            CustomFieldType::User | CustomFieldType::ConfigurationItem => "reference",
        }
    }

    /// The prefix of the ids that values of this type are; `None` for other values.
    pub const fn id_prefix(self) -> Option<&'static str> {
        match self {
            CustomFieldType::User => Some(id::prefix::USER),
            CustomFieldType::ConfigurationItem => Some(id::prefix::CONFIGURATION_ITEM),
            _ => None,
        }
    }
}

/// One of the values of a field of type `ENUM`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldOption {
    /// Its key, which tickets hold.
    pub key: String,
    /// For people.
    pub name: String,
    /// A retired one stays on its tickets and cannot be chosen any more.
    #[serde(default)]
    pub retired: bool,
}

/// What a value must be like, beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Constraints {
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// The longest text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// A regular expression that the whole text matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// A definition.
#[derive(Clone, Debug)]
pub struct CustomField {
    /// The record, for what is shown of it.
    pub row: Row,
    /// Unique in the tenant; never changes.
    pub key: String,
    /// What its values are; never changes.
    pub kind: CustomFieldType,
    /// The kinds of ticket that have it; all when empty.
    pub kinds: Vec<TicketKind>,
    /// The values of an `ENUM`.
    pub options: Vec<FieldOption>,
    /// What values must be like.
    pub constraints: Constraints,
    /// What a new ticket gets that says nothing else; as it stands in the ticket's document.
    pub default: Option<Json>,
    /// The keys of the states in which a ticket must have a value.
    pub required_in: Vec<String>,
    /// Who reads it; never changes.
    pub readable_by: Audience,
    /// Who writes it.
    pub writable_by: Audience,
    /// A retired one keeps its values and takes no others.
    pub retired: bool,
}

impl CustomField {
    /// Reads a stored definition.
    fn of(row: Row) -> Self {
        fn json<T: Default + serde::de::DeserializeOwned>(row: &Row, field: &str) -> T {
            serde_json::from_value(row.get(field).to_json()).unwrap_or_default()
        }
        Self {
            key: row.text("key"),
            kind: CustomFieldType::parse(&row.text("type")).unwrap_or(CustomFieldType::Text),
            kinds: row.texts("kinds").iter().filter_map(|kind| TicketKind::parse(kind)).collect(),
            options: json(&row, "options"),
            constraints: json(&row, "constraints"),
            default: Some(row.get("default").to_json()).filter(|json| !json.is_null()),
            required_in: row.texts("requiredIn"),
            readable_by: Audience::parse(&row.text("readableBy")).unwrap_or(Audience::Agents),
            writable_by: Audience::parse(&row.text("writableBy")).unwrap_or(Audience::Agents),
            retired: row.bool("retired"),
            row,
        }
    }

    /// The document of a ticket that holds its value, and the relation to its rows.
    pub const fn document(&self) -> &'static str {
        match self.readable_by {
            Audience::Everyone => DOCUMENT,
            Audience::Agents => INTERNAL_DOCUMENT,
        }
    }

    /// Whether tickets of this kind have it.
    pub fn is_of(&self, kind: TicketKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// The term by which tickets are ordered and counted: where the value is in rows.
    pub fn term(&self) -> String {
        format!("{}.{}", predicate::keyed::join(self.document(), &self.key), self.kind.slot())
    }

    /// Its value on a ticket, as the document holds it; `None` where there is none, or where it may not be read.
    pub fn value_on<'a>(&self, ticket: &'a Row) -> Option<&'a Json> {
        match ticket.get(self.document()) {
            predicate::Value::Json(document) => document.get(&self.key),
            _ => None,
        }
    }

    fn position(&self) -> (bool, i64, &str) {
        let position = self.row.get("position").as_int();
        (position.is_none(), position.unwrap_or_default(), &self.key)
    }
}

/// All definitions of a tenant, by position and key.
#[derive(Clone, Debug, Default)]
pub struct Definitions(Vec<CustomField>);

impl Definitions {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &CustomField> {
        self.0.iter()
    }

    /// The one with this key.
    pub fn get(&self, key: &str) -> Option<&CustomField> {
        self.0.iter().find(|field| field.key == key)
    }

    /// What a ticket of this kind lacks in this state.
    pub fn missing<'a>(
        &'a self,
        kind: TicketKind,
        state: &'a str,
        ticket: &'a Row,
    ) -> impl Iterator<Item = &'a CustomField> {
        self.required(kind, state).filter(|field| field.value_on(ticket).is_none())
    }

    /// What a ticket of this kind must have in this state.
    pub fn required<'a>(&'a self, kind: TicketKind, state: &'a str) -> impl Iterator<Item = &'a CustomField> {
        let wanted = move |field: &&CustomField| {
            !field.retired && field.is_of(kind) && field.required_in.iter().any(|required| required == state)
        };
        self.0.iter().filter(wanted)
    }
}

/// The definitions of tenants, asked for anew every other second, and at once in the process that changed one.
pub(crate) type DefinitionCache = Cache<Uuid, Arc<Definitions>>;

/// A value as people and programs give it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Given {
    /// Of a text.
    Text(String),
    /// Of a number.
    Number(f64),
    /// Of a truth value.
    Boolean(bool),
    /// Of a date: `2026-03-01`.
    Date(String),
    /// Of an instant.
    DateTime(Timestamp),
    /// Of an enum: the option's key.
    Option(String),
    /// Of a user.
    User(access::UserRef),
    /// Of a configuration item.
    ConfigurationItem(configuration::ItemRef),
    /// Of a URL.
    Url(String),
    /// As a JSON document gives it, of whatever type the field is.
    Json(Json),
}

/// Set a custom field of a ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetCustomField {
    /// Where it stands in the input: an index, or its key. Errors name it.
    pub at: String,
    /// The field's key.
    pub key: String,
    /// The value; `None` takes away what is there.
    pub value: Option<Given>,
}

/// Define a custom field.
#[derive(Clone, Debug)]
pub struct CreateCustomField {
    /// Unique in the tenant: a letter, then letters, digits and underscores.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What its values are.
    pub kind: CustomFieldType,
    /// The kinds of ticket that have it; all when empty.
    pub kinds: Vec<TicketKind>,
    /// The values of an `ENUM`.
    pub options: Vec<FieldOption>,
    /// What values must be like.
    pub constraints: Constraints,
    /// What a new ticket gets that says nothing else.
    pub default: Option<Json>,
    /// The keys of the states in which a ticket must have a value.
    pub required_in: Vec<String>,
    /// Who reads it.
    pub readable_by: Audience,
    /// Who writes it.
    pub writable_by: Audience,
    /// Where it stands among others: the least first, those without one last.
    pub position: Option<i32>,
}

/// Change a definition. Absent fields stay.
#[derive(Clone, Debug)]
pub struct UpdateCustomField {
    /// Its key.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// A new description.
    pub description: Patch<String>,
    /// The type that it has: another is refused.
    pub kind: Option<CustomFieldType>,
    /// The kinds of ticket that have it.
    pub kinds: Option<Vec<TicketKind>>,
    /// All options: those there are stay, retired or not; others may be added.
    pub options: Option<Vec<FieldOption>>,
    /// The least number.
    pub minimum: Patch<f64>,
    /// The greatest number.
    pub maximum: Patch<f64>,
    /// The longest text.
    pub max_length: Patch<u32>,
    /// What texts match.
    pub pattern: Patch<String>,
    /// What new tickets get.
    pub default: Patch<Json>,
    /// The states in which a ticket must have a value.
    pub required_in: Option<Vec<String>>,
    /// Who writes it.
    pub writable_by: Option<Audience>,
    /// Where it stands among others.
    pub position: Patch<i32>,
    /// Whether it takes no more values.
    pub retired: Option<bool>,
    /// Refuse when the definition has another version.
    pub expected_version: Option<i32>,
}

/// The values of the `customFields` of a JSON input.
pub fn from_json(values: Map<String, Json>) -> Vec<SetCustomField> {
    let set = |(key, json): (String, Json)| SetCustomField {
        at: key.clone(),
        value: (!json.is_null()).then_some(Given::Json(json)),
        key,
    };
    values.into_iter().map(set).collect()
}

impl Tickets {
    /// The tenant's definitions, as old as [`crate::service::SETTINGS_AGE`] at most.
    ///
    /// # Errors
    /// Database errors.
    pub async fn custom_fields(&self, connection: &impl ConnectionTrait, ctx: &Ctx) -> Result<Arc<Definitions>> {
        if let Some(known) = self.definitions().get(&ctx.tenant) {
            return Ok(known);
        }
        let visible = self.access().visible(ctx);
        let scoped = self.access().scoped(ctx, &visible);
        let all = Predicate::always();
        let rows = query::all(connection, &scoped, &CUSTOM_FIELD, &all, &[], MAX_FIELDS as u64).await?;
        let mut found: Vec<_> = rows.into_iter().map(CustomField::of).collect();
        found.sort_by(|one, other| one.position().cmp(&other.position()));
        let read = Arc::new(Definitions(found));
        self.definitions().insert(ctx.tenant, Arc::clone(&read));
        Ok(read)
    }

    /// A client's condition, its custom fields bound to where their values are. The database is asked only when it names one.
    ///
    /// # Errors
    /// `VALIDATION` for an unknown field and for a comparison of another type, with paths inside the condition.
    pub async fn bound(&self, connection: &impl ConnectionTrait, ctx: &Ctx, condition: Predicate) -> Result<Predicate> {
        if !bind::names_custom_fields(&condition) {
            return Ok(condition);
        }
        bind(&*self.custom_fields(connection, ctx).await?, condition)
    }

    /// The term of an order or a dimension: that of a custom field (`customField:key`) is bound to where its values are.
    ///
    /// # Errors
    /// `VALIDATION` at `path` for an unknown field, and for one of a type without an order when `ordered`.
    pub async fn bound_term(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        term: &str,
        path: &str,
        ordered: bool,
    ) -> Result<String> {
        match predicate::keyed::split(term) {
            Some((UNBOUND, key)) => bind::term(&*self.custom_fields(connection, ctx).await?, key, path, ordered),
            _ => Ok(term.to_owned()),
        }
    }
}
