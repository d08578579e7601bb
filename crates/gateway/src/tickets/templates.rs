//! Ticket templates in the API, and creating tickets from them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result};
use kernel::Patch;
use kernel::id::prefix;
use predicate::Predicate;
use store::query::{OrderTerm, Row};
use ticket::template as domain;
use ticket::template::create::CreateFromTemplate;
use ticket::template::fields::TICKET_TEMPLATE;

use crate::configuration::{Service, ServiceRef};
use crate::connection::{NullsOrder, OrderDirection, check_order, connection, orders, page, term};
use crate::context::{mutation, platform, viewer};
use crate::custom_fields::types::of_template;
use crate::custom_fields::{CustomFieldInput, CustomFieldValue, set};
use crate::filters::{IdFilter, StringFilter, combine};
use crate::loaders;
use crate::payload::{outcome, payload};
use crate::people::filters::argument;
use crate::people::inputs::parse_id;
use crate::people::queries::list;
use crate::people::{Actor, Team, TeamRefInput, User, UserRefInput};
use crate::scalars::{Cursor, DateTime, Markdown, id_of, patch, reference, within};
use crate::tickets::filters::TicketKindFilter;
use crate::tickets::types::{Category, Ticket, word as word_of};
use crate::tickets::words::{Impact, TicketKind, Urgency};

/// What tickets of a sort have in common.
#[derive(Clone)]
pub struct TicketTemplate(Arc<Row>);

impl TicketTemplate {
    /// Of a row.
    pub fn from_row(row: Row) -> Self {
        Self(Arc::new(row))
    }
}

/// What tickets of a sort have in common, written once. For those with `template.read`.
#[Object]
impl TicketTemplate {
    /// The template's id, such as `tpl_01jcz8…`.
    pub async fn id(&self) -> ID {
        id_of(prefix::TICKET_TEMPLATE, self.0.id())
    }

    /// The template's key, unique in the tenant, such as `backup-check`. It never changes.
    pub fn key(&self) -> String {
        self.0.text("key")
    }

    /// The template's name for people.
    pub fn name(&self) -> String {
        self.0.text("name")
    }

    /// What it is for.
    pub fn description(&self) -> Option<Markdown> {
        self.0.optional_text("description").map(Markdown)
    }

    /// The kind of its tickets. It never changes.
    pub fn kind(&self) -> TicketKind {
        word_of(&self.0, "kind", TicketKind::parse, TicketKind::Incident)
    }

    /// What its tickets say.
    pub fn values(&self) -> Result<TicketTemplateValues> {
        Ok(TicketTemplateValues(domain::TemplateDocument::of(&self.0)?.values))
    }

    /// The tasks that each of its tickets gets, in this order, at most 20.
    pub fn tasks(&self) -> Result<Vec<TicketTemplateTask>> {
        Ok(domain::TemplateDocument::of(&self.0)?.tasks.into_iter().map(TicketTemplateTask).collect())
    }

    /// Rises by one with each change. For `expectedVersion`.
    pub fn version(&self) -> i32 {
        i32::try_from(self.0.int("version")).unwrap_or(i32::MAX)
    }

    /// When it was added.
    pub fn created_at(&self) -> DateTime {
        DateTime(self.0.time("createdAt"))
    }

    /// When it was changed last.
    pub fn updated_at(&self) -> DateTime {
        DateTime(self.0.time("updatedAt"))
    }
}

/// What the tickets of a template say.
pub struct TicketTemplateValues(domain::TemplateValues);

/// What the tickets of a template say. What is null is left to whoever creates a ticket.
#[Object]
impl TicketTemplateValues {
    /// What they are about, in a line.
    pub async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// What they are about, in full.
    pub async fn description(&self) -> Option<Markdown> {
        self.0.description.clone().map(Markdown)
    }

    /// How many are affected.
    pub async fn impact(&self) -> Option<Impact> {
        self.0.impact.and_then(|impact| Impact::parse(impact.as_str()))
    }

    /// How long they can wait.
    pub async fn urgency(&self) -> Option<Urgency> {
        self.0.urgency.and_then(|urgency| Urgency::parse(urgency.as_str()))
    }

    /// The category.
    pub async fn category(&self, ctx: &Context<'_>) -> Result<Option<Category>> {
        match &self.0.category {
            Some(category) => Ok(loaders::category(ctx, category.id).await?.map(Category::from_row)),
            None => Ok(None),
        }
    }

    /// The service.
    pub async fn service(&self, ctx: &Context<'_>) -> Result<Option<Service>> {
        match self.0.service {
            Some(id) => Ok(loaders::service(ctx, id).await?.map(Service::from_row)),
            None => Ok(None),
        }
    }

    /// The team that works on them.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.team {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }

    /// The member of the team who works on them.
    pub async fn assignee(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.assignee {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// Who is affected.
    pub async fn requester(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.requester {
            Some(id) => Ok(loaders::actor(ctx, id).await?.map(Actor::from_row).and_then(Actor::user)),
            None => Ok(None),
        }
    }

    /// Free words.
    pub async fn tags(&self) -> &[String] {
        &self.0.tags
    }

    /// Custom fields, by position and key; those with `readableBy: AGENTS` for those with `ticket.internal`.
    pub async fn custom_fields(&self, ctx: &Context<'_>) -> Result<Vec<CustomFieldValue>> {
        of_template(ctx, &self.0.custom_fields).await
    }
}

/// A task that each ticket of a template gets.
pub struct TicketTemplateTask(domain::TemplateTask);

/// A task that each ticket of a template gets.
#[Object]
impl TicketTemplateTask {
    /// What to do, in a line.
    pub async fn title(&self) -> &str {
        &self.0.title
    }

    /// What to do, in full.
    pub async fn description(&self) -> Option<Markdown> {
        self.0.description.clone().map(Markdown)
    }

    /// The team that does it; the ticket's when null.
    pub async fn team(&self, ctx: &Context<'_>) -> Result<Option<Team>> {
        match self.0.team {
            Some(id) => Ok(loaders::team(ctx, id).await?.map(Team::from_row)),
            None => Ok(None),
        }
    }
}

connection! {
    /// A page of ticket templates.
    TicketTemplateConnection, TicketTemplateEdge, TicketTemplate
}

/// Points at a ticket template.
#[derive(Clone, Debug, OneofObject)]
pub enum TicketTemplateRef {
    /// By id, such as `tpl_01jcz8…`.
    Id(ID),
    /// By key, such as `backup-check`.
    Key(String),
}

impl TicketTemplateRef {
    /// As the domain points at it.
    ///
    /// # Errors
    /// `VALIDATION` at `id`.
    pub fn into_ref(self) -> kernel::Result<domain::TemplateRef> {
        Ok(match self {
            TicketTemplateRef::Id(id) => domain::TemplateRef::Id(parse_id(&id, &[prefix::TICKET_TEMPLATE], "id")?),
            TicketTemplateRef::Key(key) => domain::TemplateRef::Key(key),
        })
    }
}

/// What the tickets of a template say. What is left out is given when a ticket is created.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TicketTemplateValuesInput {
    /// What they are about, in a line; at most 255 characters.
    pub title: Option<String>,
    /// What they are about, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long they can wait.
    pub urgency: Option<Urgency>,
    /// The key of a category, such as `network`. Not of tasks.
    pub category: Option<String>,
    /// The service. Not of tasks.
    pub service: Option<ServiceRef>,
    /// The team that works on them.
    pub team: Option<TeamRefInput>,
    /// The member of the team who works on them.
    pub assignee: Option<UserRefInput>,
    /// Who is affected. Not of tasks.
    pub requester: Option<UserRefInput>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
}

impl TicketTemplateValuesInput {
    fn draft(self) -> kernel::Result<domain::ValuesDraft> {
        Ok(domain::ValuesDraft {
            title: self.title,
            description: self.description.map(|text| text.0),
            impact: self.impact.map(Into::into),
            urgency: self.urgency.map(Into::into),
            category: self.category,
            service: within("service", self.service.map(ServiceRef::into_ref))?,
            team: within("team", self.team.map(TeamRefInput::into_ref))?,
            assignee: within("assignee", self.assignee.map(UserRefInput::into_ref))?,
            requester: within("requester", self.requester.map(UserRefInput::into_ref))?,
            tags: self.tags.unwrap_or_default(),
            custom_fields: set(self.custom_fields)?,
        })
    }
}

/// A task that each ticket of a template gets.
#[derive(Clone, Debug, InputObject)]
pub struct TicketTemplateTaskInput {
    /// What to do, in a line; at most 255 characters.
    pub title: String,
    /// What to do, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// The team that does it; the ticket's when absent.
    pub team: Option<TeamRefInput>,
}

fn lines(tasks: Vec<TicketTemplateTaskInput>) -> kernel::Result<Vec<domain::TaskLine>> {
    let line = |(place, task): (usize, TicketTemplateTaskInput)| {
        let at = |error: kernel::Error| error.within(&place.to_string()).within("tasks");
        let team = within("team", task.team.map(TeamRefInput::into_ref)).map_err(at)?;
        Ok(domain::TaskLine { title: task.title, description: task.description.map(|text| text.0), team })
    };
    tasks.into_iter().enumerate().map(line).collect()
}

/// Adds a ticket template.
#[derive(Clone, Debug, InputObject)]
pub struct TicketTemplateCreateInput {
    /// Unique in the tenant: 1 to 63 lower-case letters, digits and hyphens, such as `backup-check`.
    pub key: String,
    /// For people: 1 to 200 characters.
    pub name: String,
    /// What it is for; at most 10,000 characters.
    pub description: Option<Markdown>,
    /// The kind of its tickets.
    pub kind: TicketKind,
    /// What its tickets say.
    pub values: Option<TicketTemplateValuesInput>,
    /// The tasks that each of its tickets gets, at most 20. A task has none.
    pub tasks: Option<Vec<TicketTemplateTaskInput>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a ticket template. Absent fields stay, null clears.
#[derive(Clone, Debug, InputObject)]
pub struct TicketTemplateUpdateInput {
    /// Which.
    pub template: TicketTemplateRef,
    /// A new name: 1 to 200 characters.
    pub name: Option<String>,
    /// What it is for; at most 10,000 characters.
    pub description: MaybeUndefined<Markdown>,
    /// All that its tickets say, replacing what there is.
    pub values: Option<TicketTemplateValuesInput>,
    /// All tasks that each of its tickets gets, replacing those there are; at most 20.
    pub tasks: Option<Vec<TicketTemplateTaskInput>>,
    /// Refuse when the template has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Deletes a ticket template.
#[derive(Clone, Debug, InputObject)]
pub struct TicketTemplateDeleteInput {
    /// Which.
    pub template: TicketTemplateRef,
    /// Refuse when the template has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Creates a ticket from a template. What is given goes before what the template says; absent fields are as it says, null is none.
#[derive(Clone, Debug, InputObject)]
pub struct TicketCreateFromTemplateInput {
    /// The template.
    pub template: TicketTemplateRef,
    /// The id or number of the ticket that a task belongs to; it stands alone when absent. Of tasks alone.
    pub parent: Option<ID>,
    /// What it is about, in a line; at most 255 characters. Needed when the template says none.
    pub title: Option<String>,
    /// What it is about, in full; at most 64 KiB.
    pub description: MaybeUndefined<Markdown>,
    /// Who is affected; as the template says, else the viewer, when absent. Others need `ticket.createOnBehalf`. Not of tasks.
    pub requester: Option<UserRefInput>,
    /// How many are affected; `MEDIUM` when nobody says it.
    pub impact: Option<Impact>,
    /// How long it can wait; `MEDIUM` when nobody says it.
    pub urgency: Option<Urgency>,
    /// The key of a category. Not of tasks.
    pub category: MaybeUndefined<String>,
    /// The service. Not of tasks.
    pub service: MaybeUndefined<ServiceRef>,
    /// The team that works on it. Needs `ticket.assign`, whoever says it.
    pub team: MaybeUndefined<TeamRefInput>,
    /// The member of the team who works on it. Needs `ticket.assign`, whoever says it.
    pub assignee: MaybeUndefined<UserRefInput>,
    /// All tags, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50; those that are not named are as the template says, else have their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The ticket template that was added.
    TicketTemplateCreatePayload {
        /// The template; null when it was not done.
        template: TicketTemplate
    }
}
payload! {
    /// The ticket template after it was changed.
    TicketTemplateUpdatePayload {
        /// The template; null when it was not done.
        template: TicketTemplate
    }
}
payload! {
    /// The ticket template that was deleted.
    TicketTemplateDeletePayload {
        /// What it was; null when it was not done.
        template: TicketTemplate
    }
}
payload! {
    /// The ticket that was created.
    TicketCreateFromTemplatePayload {
        /// The ticket; null when it was not done.
        ticket: Ticket
    }
}

fn create_command(input: TicketTemplateCreateInput) -> kernel::Result<domain::CreateTemplate> {
    let values = input.values.unwrap_or_default().draft().map_err(|error| error.within("values"))?;
    Ok(domain::CreateTemplate {
        key: input.key,
        name: input.name,
        description: input.description.map(|text| text.0),
        kind: input.kind.into(),
        values,
        tasks: lines(input.tasks.unwrap_or_default())?,
    })
}

fn update_command(input: TicketTemplateUpdateInput) -> kernel::Result<domain::UpdateTemplate> {
    Ok(domain::UpdateTemplate {
        template: input.template.into_ref().map_err(|error| error.within("template"))?,
        name: input.name,
        description: patch(input.description).map(|text| text.0),
        values: within("values", input.values.map(TicketTemplateValuesInput::draft))?,
        tasks: input.tasks.map(lines).transpose()?,
        expected_version: input.expected_version,
    })
}

fn delete_command(input: TicketTemplateDeleteInput) -> kernel::Result<domain::DeleteTemplate> {
    let template = input.template.into_ref().map_err(|error| error.within("template"))?;
    Ok(domain::DeleteTemplate { template, expected_version: input.expected_version })
}

fn from_template_command(input: TicketCreateFromTemplateInput) -> kernel::Result<CreateFromTemplate> {
    let parent = input.parent.map(|id| ticket::TicketRef::parse(&id, "parent")).transpose()?;
    let description: Patch<String> = patch(input.description).map(|text| text.0);
    Ok(CreateFromTemplate {
        template: input.template.into_ref().map_err(|error| error.within("template"))?,
        parent,
        title: input.title,
        description,
        requester: within("requester", input.requester.map(UserRefInput::into_ref))?,
        impact: input.impact.map(Into::into),
        urgency: input.urgency.map(Into::into),
        category: patch(input.category),
        service: reference("service", input.service, ServiceRef::into_ref)?,
        team: reference("team", input.team, TeamRefInput::into_ref)?,
        assignee: reference("assignee", input.assignee, UserRefInput::into_ref)?,
        tags: input.tags,
        custom_fields: set(input.custom_fields)?,
    })
}

/// Mutations of ticket templates.
#[derive(Default)]
pub struct TicketTemplateMutations;

#[Object]
impl TicketTemplateMutations {
    /// Adds a ticket template. What it points at must be there, and its custom fields must take their values. Needs
    /// `template.manage`.
    async fn ticket_template_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The template.")] input: TicketTemplateCreateInput,
    ) -> Result<TicketTemplateCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match create_command(input) {
            Ok(command) => platform(ctx).tickets.create_ticket_template(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketTemplateCreatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Changes a ticket template. Tickets that there are stay as they are; recurring tickets follow it from their next run on. Needs
    /// `template.manage`.
    async fn ticket_template_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which template, and what changes.")] input: TicketTemplateUpdateInput,
    ) -> Result<TicketTemplateUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match update_command(input) {
            Ok(command) => platform(ctx).tickets.update_ticket_template(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketTemplateUpdatePayload::of(ctx, &viewer, outcome(result))
    }

    /// Deletes a ticket template, unless a recurring ticket has it. Tickets that were created from it stay. Needs `template.manage`.
    async fn ticket_template_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which template.")] input: TicketTemplateDeleteInput,
    ) -> Result<TicketTemplateDeletePayload> {
        let viewer = mutation(ctx)?;
        let result = match delete_command(input) {
            Ok(command) => platform(ctx).tickets.delete_ticket_template(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketTemplateDeletePayload::of(ctx, &viewer, outcome(result))
    }

    /// Creates a ticket from a template, with the template's tasks, as one of its kind is created without. An error that lies with the
    /// template has the path `template`. Needs `template.read`, and what creating the ticket needs.
    async fn ticket_create_from_template(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which template, and what differs from it.")] input: TicketCreateFromTemplateInput,
    ) -> Result<TicketCreateFromTemplatePayload> {
        let viewer = mutation(ctx)?;
        let result = match from_template_command(input) {
            Ok(command) => platform(ctx).tickets.create_from_template(&viewer, command).await,
            Err(error) => Err(error),
        };
        TicketCreateFromTemplatePayload::of(ctx, &viewer, result)
    }
}

/// Which ticket templates. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TicketTemplateFilter {
    /// By id.
    pub id: Option<IdFilter>,
    /// By key.
    pub key: Option<StringFilter>,
    /// By name.
    pub name: Option<StringFilter>,
    /// By the kind of their tickets.
    pub kind: Option<TicketKindFilter>,
    /// All of these must hold.
    pub and: Option<Vec<TicketTemplateFilter>>,
    /// At least one of these must hold; an empty list is no condition.
    pub or: Option<Vec<TicketTemplateFilter>>,
    /// This must not hold.
    pub not: Option<Box<TicketTemplateFilter>>,
}

impl TicketTemplateFilter {
    fn predicate(self) -> kernel::Result<Predicate> {
        let id = self.id.map(|filter| filter.on("id", &[prefix::TICKET_TEMPLATE])).transpose()?;
        let own = Predicate::all([
            id.unwrap_or_default(),
            self.key.map_or_else(Predicate::always, |key| key.on("key")),
            self.name.map_or_else(Predicate::always, |name| name.on("name")),
            self.kind.map_or_else(Predicate::always, |kind| kind.on("kind")),
        ]);
        combine(own, self.and, self.or, self.not, Self::predicate)
    }
}

orders! {
    /// By what ticket templates are ordered.
    TicketTemplateOrderField {
        /// The key.
        Key = "key",
        /// The name.
        Name = "name",
        /// When they were changed last.
        UpdatedAt = "updatedAt",
    }
    /// One term of an order of ticket templates.
    TicketTemplateOrder
}

/// Queries of ticket templates.
#[derive(Default)]
pub struct TicketTemplateQueries;

#[Object]
impl TicketTemplateQueries {
    /// A ticket template. Null when there is none that the viewer may see.
    async fn ticket_template(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, as in `{ key: \"backup-check\" }` or `{ id: \"tpl_01jcz8…\" }`.")]
        by: TicketTemplateRef,
    ) -> Option<Result<TicketTemplate>> {
        find(ctx, by).await.transpose()
    }

    /// The ticket templates that the viewer may see, by key unless `orderBy` says otherwise.
    #[allow(clippy::too_many_arguments)]
    async fn ticket_templates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which templates; all when left out.")] filter: Option<TicketTemplateFilter>,
        #[graphql(desc = "In which order, at most 5 terms; by key when left out.")] order_by: Option<
            Vec<TicketTemplateOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<TicketTemplateConnection> {
        viewer(ctx)?;
        let filter = argument(filter, TicketTemplateFilter::predicate)?;
        let (order, page) = (TicketTemplateOrder::terms(order_by)?, page(first, after, last, before)?);
        let (slice, log_cursor) = list(ctx, &TICKET_TEMPLATE, filter.clone(), order, page).await?;
        Ok(TicketTemplateConnection::new(slice, Some((&TICKET_TEMPLATE, filter)), log_cursor))
    }
}

// Turned inside out, an error leaves the other fields of the document alone.
async fn find(ctx: &Context<'_>, by: TicketTemplateRef) -> Result<Option<TicketTemplate>> {
    let viewer = viewer(ctx)?;
    let reference = by.into_ref().map_err(|error| error.within("by"))?;
    Ok(platform(ctx).tickets.ticket_template(&viewer, &reference).await?.map(TicketTemplate::from_row))
}
