//! Mutations of custom fields.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result};
use kernel::Patch;
use ticket::custom_field as domain;

use crate::context::{mutation, platform};
use crate::custom_fields::CustomField;
use crate::custom_fields::types::{CustomFieldAudience, CustomFieldType};
use crate::payload::payload;
use crate::scalars::{Json, Markdown, patch};
use crate::tickets::words::TicketKind;

/// One of the values of a custom field of type `ENUM`.
#[derive(Clone, Debug, InputObject)]
pub struct CustomFieldOptionInput {
    /// Its key; at most 100 characters.
    pub key: String,
    /// For people; at most 255 characters.
    pub name: String,
    /// A retired one stays on its tickets and cannot be chosen any more.
    #[graphql(default)]
    pub retired: bool,
}

impl From<CustomFieldOptionInput> for domain::FieldOption {
    fn from(option: CustomFieldOptionInput) -> Self {
        Self { key: option.key, name: option.name, retired: option.retired }
    }
}

/// Defines a custom field.
#[derive(Clone, Debug, InputObject)]
pub struct CustomFieldCreateInput {
    /// Unique in the tenant: 1 to 50 letters, digits and underscores, a letter first, such as `costCenter`. It never changes.
    pub key: String,
    /// For people; at most 255 characters.
    pub name: String,
    /// What it is for; at most 64 KiB.
    pub description: Option<Markdown>,
    /// What its values are. It never changes.
    #[graphql(name = "type")]
    pub kind: CustomFieldType,
    /// The kinds of ticket that have it; all when absent or empty.
    pub kinds: Option<Vec<TicketKind>>,
    /// The values of an `ENUM`, 1 to 200.
    pub options: Option<Vec<CustomFieldOptionInput>>,
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// The longest text, in characters; at most 2,000.
    pub max_length: Option<i32>,
    /// A regular expression that the whole text must match; at most 200 characters, without look-around and back-references.
    pub pattern: Option<String>,
    /// What a new ticket gets that says nothing else: a value of the type as JSON. Not for users and configuration items.
    pub default: Option<Json>,
    /// The keys of the states in which a ticket must have a value, at most 50: when it is opened in the state or comes into it.
    pub required_in: Option<Vec<String>>,
    /// Who reads it; `EVERYONE` when absent. It never changes.
    pub readable_by: Option<CustomFieldAudience>,
    /// Who writes it; who reads it when absent. What only agents read can only be written by agents.
    pub writable_by: Option<CustomFieldAudience>,
    /// Where it stands among others: the least first, those without one last.
    pub position: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a custom field. Absent fields stay, null clears. Values that are there stay, whatever new ones must be like.
#[derive(Clone, Debug, InputObject)]
pub struct CustomFieldUpdateInput {
    /// The field's key.
    pub key: String,
    /// A new name; at most 255 characters.
    pub name: Option<String>,
    /// A new description; at most 64 KiB.
    pub description: MaybeUndefined<Markdown>,
    /// The type that it has, for those who send whole definitions: another is refused.
    #[graphql(name = "type")]
    pub kind: Option<CustomFieldType>,
    /// The kinds of ticket that have it; all when empty.
    pub kinds: Option<Vec<TicketKind>>,
    /// All options, those there are among them: one that is no longer wanted is retired, not left out.
    pub options: Option<Vec<CustomFieldOptionInput>>,
    /// The least number.
    pub minimum: MaybeUndefined<f64>,
    /// The greatest number.
    pub maximum: MaybeUndefined<f64>,
    /// The longest text, in characters; at most 2,000.
    pub max_length: MaybeUndefined<i32>,
    /// A regular expression that the whole text must match.
    pub pattern: MaybeUndefined<String>,
    /// What a new ticket gets that says nothing else.
    pub default: MaybeUndefined<Json>,
    /// The keys of the states in which a ticket must have a value, replacing those there are.
    pub required_in: Option<Vec<String>>,
    /// Who writes it.
    pub writable_by: Option<CustomFieldAudience>,
    /// Where it stands among others.
    pub position: MaybeUndefined<i32>,
    /// A retired one keeps its values, which can be read and filtered by, and takes no others.
    pub retired: Option<bool>,
    /// Refuse when the field has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The custom field that was defined.
    CustomFieldCreatePayload {
        /// The custom field; null when it was not done.
        custom_field: CustomField
    }
}

payload! {
    /// The custom field after it was changed.
    CustomFieldUpdatePayload {
        /// The custom field; null when it was not done.
        custom_field: CustomField
    }
}

/// A length that is none is 0, which the domain refuses.
fn length(length: i32) -> u32 {
    u32::try_from(length).unwrap_or_default()
}

fn kinds(kinds: Vec<TicketKind>) -> Vec<ticket::TicketKind> {
    kinds.into_iter().map(Into::into).collect()
}

fn options(options: Vec<CustomFieldOptionInput>) -> Vec<domain::FieldOption> {
    options.into_iter().map(Into::into).collect()
}

impl CustomFieldCreateInput {
    fn command(self) -> domain::CreateCustomField {
        let readable_by = self.readable_by.unwrap_or(CustomFieldAudience::Everyone);
        domain::CreateCustomField {
            key: self.key,
            name: self.name,
            description: self.description.map(|text| text.0),
            kind: self.kind.into(),
            kinds: kinds(self.kinds.unwrap_or_default()),
            options: options(self.options.unwrap_or_default()),
            constraints: domain::Constraints {
                minimum: self.minimum,
                maximum: self.maximum,
                max_length: self.max_length.map(length),
                pattern: self.pattern,
            },
            default: self.default.map(|json| json.0).filter(|json| !json.is_null()),
            required_in: self.required_in.unwrap_or_default(),
            readable_by: readable_by.into(),
            writable_by: self.writable_by.unwrap_or(readable_by).into(),
            position: self.position,
        }
    }
}

impl CustomFieldUpdateInput {
    fn command(self) -> domain::UpdateCustomField {
        domain::UpdateCustomField {
            key: self.key,
            name: self.name,
            description: patch(self.description).map(|text| text.0),
            kind: self.kind.map(Into::into),
            kinds: self.kinds.map(kinds),
            options: self.options.map(options),
            minimum: patch(self.minimum),
            maximum: patch(self.maximum),
            max_length: patch(self.max_length).map(length),
            pattern: patch(self.pattern),
            default: match patch(self.default) {
                Patch::Set(Json(json)) if json.is_null() => Patch::Clear,
                default => default.map(|json| json.0),
            },
            required_in: self.required_in,
            writable_by: self.writable_by.map(Into::into),
            position: patch(self.position),
            retired: self.retired,
            expected_version: self.expected_version,
        }
    }
}

/// Mutations of custom fields.
#[derive(Default)]
pub struct CustomFieldMutations;

#[Object]
impl CustomFieldMutations {
    /// Defines a custom field. Needs `settings.manage`.
    async fn custom_field_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The custom field.")] input: CustomFieldCreateInput,
    ) -> Result<CustomFieldCreatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let created = platform.tickets.create_custom_field(&viewer, input.command()).await;
        CustomFieldCreatePayload::of(ctx, &viewer, created)
    }

    /// Changes or retires a custom field. Needs `settings.manage`.
    async fn custom_field_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which custom field, and what changes.")] input: CustomFieldUpdateInput,
    ) -> Result<CustomFieldUpdatePayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let updated = platform.tickets.update_custom_field(&viewer, input.command()).await;
        CustomFieldUpdatePayload::of(ctx, &viewer, updated)
    }
}
