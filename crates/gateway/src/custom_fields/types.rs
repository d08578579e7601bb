//! What is shown of custom fields.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use kernel::id::prefix;
use predicate::{Value, keyed};
use serde_json::Value as Raw;
use store::query::Row;
use ticket::{custom_field as domain, template};

use crate::configuration::ConfigurationItem;
use crate::context::{platform, viewer};
use crate::loaders;
use crate::people::User;
use crate::people::scalars::Url;
use crate::scalars::{Date, DateTime, Json, Markdown, id_of};
use crate::tickets::words::{TicketKind, word};

word! {
    /// The type of a custom field; it never changes.
    CustomFieldType = domain::CustomFieldType {
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

word! {
    /// Who may read or write a custom field, on the tickets that they see.
    CustomFieldAudience = domain::Audience {
        /// Whoever may read, or may change, the ticket.
        Everyone = "EVERYONE",
        /// Those who work on the ticket: with `ticket.internal`.
        Agents = "AGENTS",
    }
}

/// One of the values of a custom field of type `ENUM`.
#[derive(Clone, Debug, SimpleObject)]
pub struct CustomFieldOption {
    /// Its key, which inputs and filters take.
    pub key: String,
    /// For people.
    pub name: String,
    /// A retired one stays on its tickets and cannot be chosen any more.
    pub retired: bool,
}

impl From<domain::FieldOption> for CustomFieldOption {
    fn from(option: domain::FieldOption) -> Self {
        Self { key: option.key, name: option.name, retired: option.retired }
    }
}

/// What a tenant wants to know of its tickets beyond what all tickets say.
#[derive(Clone)]
pub struct CustomField(Arc<Row>);

impl CustomField {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }

    fn options_of(&self) -> Vec<domain::FieldOption> {
        serde_json::from_value(self.0.get("options").to_json()).unwrap_or_default()
    }

    fn constraints(&self) -> domain::Constraints {
        serde_json::from_value(self.0.get("constraints").to_json()).unwrap_or_default()
    }
}

/// What a tenant wants to know of its tickets beyond what all tickets say.
#[Object]
impl CustomField {
    /// The field's id.
    pub async fn id(&self) -> ID {
        id_of(prefix::CUSTOM_FIELD, self.0.id())
    }

    /// The field's key, unique in the tenant, such as `costCenter`. It never changes.
    fn key(&self) -> String {
        self.0.text("key")
    }

    /// The field's name for people.
    fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// What its values are. It never changes.
    #[graphql(name = "type")]
    fn kind(&self) -> CustomFieldType {
        CustomFieldType::parse(&self.0.text("type")).unwrap_or(CustomFieldType::Text)
    }

    /// The kinds of ticket that have it; all when empty.
    fn kinds(&self) -> Vec<TicketKind> {
        self.0.texts("kinds").iter().filter_map(|kind| TicketKind::parse(kind)).collect()
    }

    /// The values of an `ENUM`, at most 200; empty for other types.
    fn options(&self) -> Vec<CustomFieldOption> {
        self.options_of().into_iter().map(Into::into).collect()
    }

    /// The least number.
    fn minimum(&self) -> Option<f64> {
        self.constraints().minimum
    }

    /// The greatest number.
    fn maximum(&self) -> Option<f64> {
        self.constraints().maximum
    }

    /// The longest text, in characters.
    fn max_length(&self) -> Option<i32> {
        self.constraints().max_length.and_then(|length| i32::try_from(length).ok())
    }

    /// A regular expression that the whole text matches.
    fn pattern(&self) -> Option<String> {
        self.constraints().pattern
    }

    /// What a new ticket gets that says nothing else, as JSON.
    fn default(&self) -> Option<Json> {
        Some(self.0.get("default").to_json()).filter(|json| !json.is_null()).map(Json)
    }

    /// The keys of the states in which a ticket must have a value, at most 50.
    fn required_in(&self) -> Vec<String> {
        self.0.texts("requiredIn")
    }

    /// Who reads it. It never changes.
    fn readable_by(&self) -> CustomFieldAudience {
        CustomFieldAudience::parse(&self.0.text("readableBy")).unwrap_or(CustomFieldAudience::Agents)
    }

    /// Who writes it.
    fn writable_by(&self) -> CustomFieldAudience {
        CustomFieldAudience::parse(&self.0.text("writableBy")).unwrap_or(CustomFieldAudience::Agents)
    }

    /// Where it stands among others: the least first, those without one last.
    fn position(&self) -> Option<i32> {
        self.0.get("position").as_int().and_then(|position| i32::try_from(position).ok())
    }

    /// A retired one keeps its values and takes no others.
    fn retired(&self) -> bool {
        self.0.bool("retired")
    }

    /// Rises by one with each change. For `expectedVersion`.
    fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was defined.
    fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

/// The value of a custom field on a ticket: in the field of its type, and as JSON.
pub struct CustomFieldValue {
    field: CustomField,
    kind: CustomFieldType,
    json: Raw,
}

impl CustomFieldValue {
    fn text_of(&self, kind: CustomFieldType) -> Option<String> {
        (self.kind == kind).then(|| self.json.as_str().map(str::to_owned)).flatten()
    }

    fn slot(&self, kind: CustomFieldType) -> Value {
        if self.kind != kind {
            return Value::Null;
        }
        let slot = domain::CustomFieldType::from(kind).slot();
        keyed::value(&serde_json::json!({ "value": self.json }), "value", slot)
    }
}

/// The value of a custom field on a ticket: in the field of its type, and as JSON.
#[Object]
impl CustomFieldValue {
    /// The field's key.
    fn key(&self) -> String {
        self.field.0.text("key")
    }

    /// The field.
    fn field(&self) -> CustomField {
        self.field.clone()
    }

    /// The value of any type: a text, a number, a truth value; users and configuration items as their ids.
    fn value(&self) -> Json {
        Json(self.json.clone())
    }

    /// The value of a `TEXT`.
    fn text(&self) -> Option<String> {
        self.text_of(CustomFieldType::Text)
    }

    /// The value of a `NUMBER`.
    fn number(&self) -> Option<f64> {
        self.slot(CustomFieldType::Number).as_number()
    }

    /// The value of a `BOOLEAN`.
    fn boolean(&self) -> Option<bool> {
        self.slot(CustomFieldType::Boolean).as_bool()
    }

    /// The value of a `DATE`.
    fn date(&self) -> Option<Date> {
        self.text_of(CustomFieldType::Date).map(Date)
    }

    /// The value of a `DATE_TIME`.
    fn date_time(&self) -> Option<DateTime> {
        self.slot(CustomFieldType::DateTime).as_time().map(DateTime)
    }

    /// The value of an `ENUM`.
    fn option(&self) -> Option<CustomFieldOption> {
        let key = self.text_of(CustomFieldType::Enum)?;
        self.field.options_of().into_iter().find(|option| option.key == key).map(Into::into)
    }

    /// The value of a `USER`.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.slot(CustomFieldType::User).as_id() {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(User::from_row)),
            None => Ok(None),
        }
    }

    /// The value of a `CONFIGURATION_ITEM`; null without `configuration.read`.
    async fn configuration_item(&self, ctx: &Context<'_>) -> Result<Option<ConfigurationItem>> {
        match self.slot(CustomFieldType::ConfigurationItem).as_id() {
            Some(id) => Ok(loaders::configuration_item(ctx, id).await?.map(ConfigurationItem::from_row)),
            None => Ok(None),
        }
    }

    /// The value of a `URL`.
    fn url(&self) -> Option<Url> {
        self.text_of(CustomFieldType::Url).map(Url)
    }
}

/// The values that a ticket has, by position and key of their fields, as far as the viewer may read them.
///
/// # Errors
/// Database errors.
pub async fn of_ticket(ctx: &Context<'_>, ticket: &Row, keys: Option<Vec<String>>) -> Result<Vec<CustomFieldValue>> {
    // A ticket without values needs no definitions.
    if [domain::DOCUMENT, domain::INTERNAL_DOCUMENT].iter().all(|document| ticket.get(document).is_null()) {
        return Ok(Vec::new());
    }
    let wanted = |field: &domain::CustomField| keys.as_ref().is_none_or(|keys| keys.contains(&field.key));
    of(ctx, |field| field.value_on(ticket).filter(|_| wanted(field)).cloned()).await
}

/// The values that a template gives, by position and key of their fields, as far as the viewer would read them on a ticket.
///
/// # Errors
/// Database errors.
pub async fn of_template(ctx: &Context<'_>, values: &serde_json::Map<String, Raw>) -> Result<Vec<CustomFieldValue>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let viewer = viewer(ctx)?;
    let readable = |field: &domain::CustomField| {
        field.readable_by == domain::Audience::Everyone || template::reads_internal(&viewer)
    };
    of(ctx, |field| values.get(&field.key).filter(|_| readable(field)).cloned()).await
}

async fn of(ctx: &Context<'_>, value: impl Fn(&domain::CustomField) -> Option<Raw>) -> Result<Vec<CustomFieldValue>> {
    let (viewer, tickets) = (viewer(ctx)?, &platform(ctx).tickets);
    let definitions = tickets.custom_fields(&tickets.store().read("customField.list"), &viewer).await?;
    let values = definitions.iter().filter_map(|field| {
        let json = value(field)?;
        let kind = CustomFieldType::parse(field.kind.as_str())?;
        Some(CustomFieldValue { field: CustomField::from_row(field.row.clone()), kind, json })
    });
    Ok(values.collect())
}
