//! Ticket templates: what tickets of a sort have in common, written once; and tickets that are created from them.
//!
//! A template is checked when it is saved: what it points at is there, its custom fields take their values. It may say less than a
//! ticket must: what it leaves out is given when a ticket is created, and what is given then goes before what the template says.
//! The ticket is opened by the path of its kind, with the rights of whoever creates it; an error says whether it lies with the
//! template. A change of a template changes no ticket that there is.
//!
//! **Who reads what.** Whoever sees a template reads what it says, custom fields that agents alone read excepted: those are read by
//! whoever works on tickets ([`reads_internal`]). Its tasks are read by all: who creates a ticket from it has added them, and reads
//! them there as well.

mod compose;
pub mod create;
pub mod fields;
mod manage;

use access::permission::TICKET_INTERNAL;
use access::{TeamRef, UserRef, of_key, of_type};
use configuration::ServiceRef;
use kernel::id::prefix;
use kernel::{Ctx, Error, Id, Patch, Result, Uuid};
use predicate::Predicate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::query::Row;

use crate::custom_field::SetCustomField;
use crate::model::{Impact, TicketKind, Urgency};

/// How many templates a tenant may have.
pub const MAX_TEMPLATES: usize = 500;
/// How many tasks a template may have.
pub const MAX_TEMPLATE_TASKS: usize = 20;

/// Whether somebody reads what a template says in custom fields that agents alone read: a template is no team's, so whoever works
/// on any tickets does.
pub fn reads_internal(ctx: &Ctx) -> bool {
    ctx.grants.holds(TICKET_INTERNAL)
}

/// A template's document, as an event holds it, for those who do not: without custom fields, whoever may read them.
pub fn without_custom_fields(document: &Json) -> Json {
    let mut shown = document.clone();
    if let Some(Json::Object(values)) = shown.get_mut("values") {
        values.remove("customFields");
    }
    shown
}

/// How inputs point at a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateRef {
    /// By its id.
    Id(Id),
    /// By its key.
    Key(String),
}

impl TemplateRef {
    fn condition(&self) -> Option<Predicate> {
        match self {
            TemplateRef::Id(id) => of_type(id, prefix::TICKET_TEMPLATE),
            TemplateRef::Key(key) => of_key(key),
        }
    }
}

/// What a template says, as it is stored: with what its references pointed at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateValues {
    /// What tickets are about, in a line.
    pub title: Option<String>,
    /// What they are about, in Markdown.
    pub description: Option<String>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long they can wait.
    pub urgency: Option<Urgency>,
    /// A category.
    pub category: Option<Category>,
    /// The service.
    pub service: Option<Uuid>,
    /// The team that works on them.
    pub team: Option<Uuid>,
    /// The member of the team who does.
    pub assignee: Option<Uuid>,
    /// Who is affected.
    pub requester: Option<Uuid>,
    /// Free words.
    pub tags: Vec<String>,
    /// Custom fields by their keys, as a ticket's documents hold them.
    pub custom_fields: Map<String, Json>,
}

/// A category, as it is stored: its key never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Category {
    /// Its id.
    pub id: Uuid,
    /// Its key, by which inputs name it.
    pub key: String,
}

/// A task that each ticket gets, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateTask {
    /// What to do, in a line.
    pub title: String,
    /// What to do, in Markdown.
    pub description: Option<String>,
    /// The team that does it; the ticket's when absent.
    pub team: Option<Uuid>,
}

/// All that a template says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateDocument {
    /// What its tickets say.
    pub values: TemplateValues,
    /// The tasks that each of them gets, in this order.
    pub tasks: Vec<TemplateTask>,
}

impl TemplateDocument {
    /// Of a template's row.
    ///
    /// # Errors
    /// `INTERNAL` for what was not written here.
    pub fn of(row: &Row) -> Result<Self> {
        serde_json::from_value(row.get("document").to_json())
            .map_err(|error| Error::internal(format!("the document of a ticket template cannot be read: {error}")))
    }
}

/// What a template is to say. Absent fields are left to whoever creates a ticket.
#[derive(Clone, Debug, Default)]
pub struct ValuesDraft {
    /// What tickets are about, in a line.
    pub title: Option<String>,
    /// What they are about, in Markdown.
    pub description: Option<String>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long they can wait.
    pub urgency: Option<Urgency>,
    /// The key of a category.
    pub category: Option<String>,
    /// The service.
    pub service: Option<ServiceRef>,
    /// The team that works on them.
    pub team: Option<TeamRef>,
    /// The member of the team who does.
    pub assignee: Option<UserRef>,
    /// Who is affected.
    pub requester: Option<UserRef>,
    /// Free words.
    pub tags: Vec<String>,
    /// Custom fields.
    pub custom_fields: Vec<SetCustomField>,
}

/// A task that each ticket is to get.
#[derive(Clone, Debug)]
pub struct TaskLine {
    /// What to do, in a line.
    pub title: String,
    /// What to do, in Markdown.
    pub description: Option<String>,
    /// The team that does it; the ticket's when absent.
    pub team: Option<TeamRef>,
}

/// Add a template.
#[derive(Clone, Debug)]
pub struct CreateTemplate {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The kind of its tickets. It never changes.
    pub kind: TicketKind,
    /// What its tickets say.
    pub values: ValuesDraft,
    /// The tasks that each of them gets.
    pub tasks: Vec<TaskLine>,
}

/// Change a template. Absent fields stay.
#[derive(Clone, Debug)]
pub struct UpdateTemplate {
    /// Which.
    pub template: TemplateRef,
    /// A new name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Patch<String>,
    /// All that its tickets say.
    pub values: Option<ValuesDraft>,
    /// All tasks that each of them gets.
    pub tasks: Option<Vec<TaskLine>>,
    /// Refuse when the template has another version.
    pub expected_version: Option<i32>,
}

/// Delete a template.
#[derive(Clone, Debug)]
pub struct DeleteTemplate {
    /// Which.
    pub template: TemplateRef,
    /// Refuse when the template has another version.
    pub expected_version: Option<i32>,
}
