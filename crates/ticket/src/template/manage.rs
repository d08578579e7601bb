//! Adding, changing, deleting and finding templates.

use access::commands::{checked_description, checked_name, checked_slug};
use access::permission::TEMPLATE_MANAGE;
use access::{Changed, Managed, TeamRef};
use kernel::error::Problems;
use kernel::id::prefix;
use kernel::{Ctx, Error, Patch, Result, UserError};
use predicate::{Predicate, Value};
use serde_json::{Map, Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use super::fields::TICKET_TEMPLATE;
use super::{
    Category, CreateTemplate, DeleteTemplate, MAX_TEMPLATE_TASKS, MAX_TEMPLATES, TaskLine, TemplateDocument,
    TemplateRef, TemplateTask, TemplateValues, UpdateTemplate, ValuesDraft,
};
use crate::commands::{check_long_text, check_title, normalise_tags};
use crate::custom_field::{DOCUMENT, INTERNAL_DOCUMENT};
use crate::edit::Edit;
use crate::events::{SUBJECT_TEMPLATE, TEMPLATE_CREATED, TEMPLATE_DELETED, TEMPLATE_UPDATED};
use crate::model::TicketKind;
use crate::recurring::fields::RECURRING_TICKET;
use crate::service::Tickets;
use crate::task::refuse_on_task;

const KIND: Managed = Managed { record: &TICKET_TEMPLATE, subject: SUBJECT_TEMPLATE, prefix: prefix::TICKET_TEMPLATE };

impl Tickets {
    /// The template that a reference points at, if the viewer may see it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn ticket_template(&self, ctx: &Ctx, template: &TemplateRef) -> Result<Option<Row>> {
        let reader = self.store().read("ticketTemplate.find");
        self.access().find_unmasked(&reader, ctx, &TICKET_TEMPLATE, template.condition()).await
    }

    /// Adds a template.
    ///
    /// # Errors
    /// `FORBIDDEN` without `template.manage`; `VALIDATION` with paths; `NOT_FOUND` for what it points at; `CONFLICT` at `key`; `LIMIT`
    /// beyond [`MAX_TEMPLATES`] and [`MAX_TEMPLATE_TASKS`].
    pub async fn create_ticket_template(&self, ctx: &Ctx, command: CreateTemplate) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, TEMPLATE_MANAGE)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketTemplateCreate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.create_template_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &TICKET_TEMPLATE, "the ticket template").await
    }

    async fn create_template_in(&self, tx: &mut Tx, command: &CreateTemplate) -> Result<Row> {
        let mut problems = Problems::default();
        let key = problems.take(checked_slug("key", &command.key))?;
        let name = problems.take(checked_name("name", &command.name))?;
        let description = command.description.as_deref().map(|text| checked_description("description", text));
        let description = problems.take(description.transpose())?;
        if key.is_some() && self.template_in(tx, &TemplateRef::Key(command.key.clone())).await?.is_some() {
            problems.add(UserError::taken(["key"], format!("there is a ticket template `{}` already", command.key)));
        }
        let values = problems.take(self.checked_values_in(tx, command.kind, &command.values).await)?;
        let tasks = problems.take(self.checked_tasks_in(tx, command.kind, &command.tasks).await)?;
        problems.check()?;
        let (Some(key), Some(name), Some(description), Some(values), Some(tasks)) =
            (key, name, description, values, tasks)
        else {
            return Err(Error::internal("the values were checked"));
        };
        self.check_template_limit_in(tx).await?;
        let fields = vec![
            ("key", key.into()),
            ("name", name.into()),
            ("description", description.into()),
            ("kind", command.kind.as_str().into()),
            ("document", Value::Json(json!(TemplateDocument { values, tasks }))),
        ];
        KIND.insert_in(tx, TEMPLATE_CREATED, fields).await
    }

    /// Changes a template. Tickets that there are stay as they are.
    ///
    /// # Errors
    /// As [`Tickets::create_ticket_template`]; `NOT_FOUND` at `template`; `CONFLICT` with the current version.
    pub async fn update_ticket_template(&self, ctx: &Ctx, command: UpdateTemplate) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, TEMPLATE_MANAGE)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketTemplateUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.update_template_in(tx, &command).await })
        });
        self.access().answer_row(ctx, written.await?, &TICKET_TEMPLATE, "the ticket template").await
    }

    async fn update_template_in(&self, tx: &mut Tx, command: &UpdateTemplate) -> Result<Row> {
        let before = self.known_template_in(tx, &command.template).await?;
        Managed::expect_version(&before, command.expected_version)?;
        let kind = kind_of(&before)?;
        let mut document = TemplateDocument::of(&before)?;
        let mut problems = Problems::default();
        let mut row = before.clone();
        if let Some(name) = &command.name
            && let Some(name) = problems.take(checked_name("name", name))?
        {
            row.set("name", name.into());
        }
        match &command.description {
            Patch::Keep => {}
            Patch::Clear => row.set("description", Value::Null),
            Patch::Set(text) => {
                if let Some(text) = problems.take(checked_description("description", text))? {
                    row.set("description", text.into());
                }
            }
        }
        if let Some(values) = &command.values
            && let Some(values) = problems.take(self.checked_values_in(tx, kind, values).await)?
        {
            document.values = values;
        }
        if let Some(tasks) = &command.tasks
            && let Some(tasks) = problems.take(self.checked_tasks_in(tx, kind, tasks).await)?
        {
            document.tasks = tasks;
        }
        problems.check()?;
        row.set("document", Value::Json(json!(document)));
        KIND.update_in(tx, TEMPLATE_UPDATED, &before, row).await
    }

    /// Deletes a template; answers what it was. Tickets that were created from it stay.
    ///
    /// # Errors
    /// `FORBIDDEN` without `template.manage`; `NOT_FOUND` at `template`; `CONFLICT` with the current version; `VALIDATION` as long as
    /// a recurring ticket has it.
    pub async fn delete_ticket_template(&self, ctx: &Ctx, command: DeleteTemplate) -> Result<Changed<Row>> {
        self.access().require_tenant(ctx, TEMPLATE_MANAGE)?;
        let tickets = self.clone();
        let written = self.store().write(ctx, "ticketTemplateDelete", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move {
                let row = tickets.known_template_in(tx, &command.template).await?;
                Managed::expect_version(&row, command.expected_version)?;
                let tenant = tx.ctx().tenant;
                // Whoever sets up a recurring ticket holds its template: what is not there now does not come before this is over.
                if !query::hold_in(tx, tenant, &TICKET_TEMPLATE, row.id(), Managed::version(&row)).await? {
                    return Err(tx.retry());
                }
                let used = Predicate::eq("template", row.id());
                if query::exists(&*tx, tenant, &RECURRING_TICKET, &used, tickets.access().catalogue()).await? {
                    let message = "recurring tickets have this template: give them another one, or delete them first";
                    return Err(UserError::constraint(["template"], message, "inUse", None).into());
                }
                KIND.delete_in(tx, TEMPLATE_DELETED, &row).await?;
                Ok(row)
            })
        });
        self.answer_deleted(ctx, written.await?, KIND, TEMPLATE_DELETED).await
    }

    async fn template_in(&self, tx: &mut Tx, template: &TemplateRef) -> Result<Option<Row>> {
        self.access().find_unmasked(&*tx, tx.ctx(), &TICKET_TEMPLATE, template.condition()).await
    }

    /// The template that a write is about.
    ///
    /// # Errors
    /// `NOT_FOUND` at `template`.
    pub(crate) async fn known_template_in(&self, tx: &mut Tx, template: &TemplateRef) -> Result<Row> {
        let found = self.template_in(tx, template).await?;
        Ok(found.ok_or_else(|| UserError::not_found(["template"], "the ticket template"))?)
    }

    async fn check_template_limit_in(&self, tx: &mut Tx) -> Result<()> {
        let there = self.count_all_in(tx, &TICKET_TEMPLATE, &[Predicate::always()]).await?;
        if there.first().is_some_and(|count| *count >= MAX_TEMPLATES as u64) {
            let message = format!("there are {MAX_TEMPLATES} ticket templates; that is the limit: delete some");
            return Err(UserError::limit([] as [&str; 0], message, MAX_TEMPLATES as u64).into());
        }
        Ok(())
    }

    /// What a template is to say, looked up and checked as far as it can be without a ticket.
    async fn checked_values_in(&self, tx: &mut Tx, kind: TicketKind, draft: &ValuesDraft) -> Result<TemplateValues> {
        self.looked_up_in(tx, kind, draft).await.map_err(|error| error.within("values"))
    }

    async fn looked_up_in(&self, tx: &mut Tx, kind: TicketKind, draft: &ValuesDraft) -> Result<TemplateValues> {
        let mut problems = Problems::default();
        let tags = check_values(&mut problems, kind, draft);
        let rules = self.kinds().get(kind)?.clone();
        let blank = Row::new(rules.record(), vec![("id", tx.new_id().into()), ("kind", kind.as_str().into())]);
        let mut edit = Edit::new(rules.clone(), rules.default_workflow().clone(), blank);
        if let Some(team) = &draft.team {
            let team = problems.take(self.team_in(tx, team, "team").await)?;
            edit.set_reference("team", team);
        }
        if let Some(assignee) = &draft.assignee
            && let Some(user) = problems.take(self.user_in(tx, assignee, "assignee").await)?
        {
            problems.take(self.check_member_in(tx, &edit.after, &user).await)?;
            edit.set_reference("assignee", Some(user));
        }
        if let Some(requester) = &draft.requester {
            let user = problems.take(self.user_in(tx, requester, "requester").await)?;
            edit.set_reference("requester", user);
        }
        let category = match &draft.category {
            Some(key) => problems.take(self.usable_category_in(tx, key).await)?,
            None => None,
        };
        if let Some(service) = &draft.service {
            let service = problems.take(self.usable_service_in(tx, service).await)?;
            edit.set_reference("service", service);
        }
        problems.take(self.set_custom_fields_in(tx, &mut edit, &draft.custom_fields, false).await)?;
        problems.check()?;
        let id = |field: &str| edit.after.get(field).as_id();
        Ok(TemplateValues {
            title: draft.title.as_deref().map(|title| title.trim().to_owned()),
            description: draft.description.clone(),
            impact: draft.impact,
            urgency: draft.urgency,
            category: category.map(|category| Category { id: category.id(), key: category.text("key") }),
            service: id("service"),
            team: id("team"),
            assignee: id("assignee"),
            requester: id("requester"),
            tags,
            custom_fields: custom_fields_of(&edit.after),
        })
    }

    async fn checked_tasks_in(&self, tx: &mut Tx, kind: TicketKind, tasks: &[TaskLine]) -> Result<Vec<TemplateTask>> {
        check_tasks(kind, tasks)?;
        let mut problems = Problems::default();
        let mut checked = Vec::with_capacity(tasks.len());
        for (index, task) in tasks.iter().enumerate() {
            let team = match &task.team {
                Some(team) => self.task_team_in(tx, team, index, &mut problems).await?,
                None => None,
            };
            let (title, description) = (task.title.trim().to_owned(), task.description.clone());
            checked.push(TemplateTask { title, description, team });
        }
        problems.check()?;
        Ok(checked)
    }

    async fn task_team_in(
        &self,
        tx: &mut Tx,
        team: &TeamRef,
        index: usize,
        problems: &mut Problems,
    ) -> Result<Option<kernel::Uuid>> {
        let found = self.team_in(tx, team, "team").await.map_err(|error| at(index, error));
        Ok(problems.take(found)?.map(|team| team.id()))
    }
}

/// An error of a task, with its place.
fn at(index: usize, error: Error) -> Error {
    error.within(&index.to_string()).within("tasks")
}

/// The kind of a template's tickets.
///
/// # Errors
/// `INTERNAL` for a kind that is unknown.
pub(super) fn kind_of(template: &Row) -> Result<TicketKind> {
    let kind = template.text("kind");
    TicketKind::parse(&kind).ok_or_else(|| Error::internal(format!("a ticket template of the unknown kind `{kind}`")))
}

/// What can be checked without looking anything up; answers the tags, trimmed.
fn check_values(problems: &mut Problems, kind: TicketKind, draft: &ValuesDraft) -> Vec<String> {
    if let Some(title) = &draft.title {
        check_title(problems, title);
    }
    if let Some(description) = &draft.description {
        check_long_text(problems, "description", description);
    }
    if kind == TicketKind::Task {
        let others = [
            (draft.requester.is_some(), "requester"),
            (draft.category.is_some(), "category"),
            (draft.service.is_some(), "service"),
        ];
        refuse_on_task(problems, others);
    }
    normalise_tags(problems, draft.tags.clone())
}

fn check_tasks(kind: TicketKind, tasks: &[TaskLine]) -> Result<()> {
    if kind == TicketKind::Task && !tasks.is_empty() {
        return Err(UserError::constraint(["tasks"], "a task has no tasks of its own", "kind", None).into());
    }
    if tasks.len() > MAX_TEMPLATE_TASKS {
        let message = format!("{} tasks are given; at most {MAX_TEMPLATE_TASKS} are allowed", tasks.len());
        return Err(UserError::limit(["tasks"], message, MAX_TEMPLATE_TASKS as u64).into());
    }
    let mut problems = Problems::default();
    for (index, task) in tasks.iter().enumerate() {
        let mut inner = Problems::default();
        check_title(&mut inner, &task.title);
        if let Some(description) = &task.description {
            check_long_text(&mut inner, "description", description);
        }
        problems.add_within(inner, &["tasks", &index.to_string()]);
    }
    problems.check()
}

/// The values on a ticket in the making, whoever may read them.
fn custom_fields_of(ticket: &Row) -> Map<String, Json> {
    let documents = [DOCUMENT, INTERNAL_DOCUMENT].map(|name| match ticket.get(name) {
        Value::Json(Json::Object(values)) => values.clone(),
        _ => Map::new(),
    });
    documents.into_iter().flatten().filter(|(_, value)| !value.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(result: Result<()>) -> Vec<String> {
        match result {
            Err(Error::Refused(errors)) => errors.iter().map(|error| error.path.join(".")).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_task_takes_what_a_task_has() {
        let draft = ValuesDraft { category: Some("vpn".into()), title: Some(" ".into()), ..ValuesDraft::default() };
        let complaints = |kind| {
            let mut problems = Problems::default();
            check_values(&mut problems, kind, &draft);
            paths(problems.check())
        };
        assert_eq!(complaints(TicketKind::Task), ["title", "category"]);
        assert_eq!(complaints(TicketKind::Incident), ["title"]);
    }

    #[test]
    fn tasks_are_few_and_say_something() {
        let task = |title: &str| TaskLine { title: title.into(), description: None, team: None };
        let many = |count: usize| vec![task("x"); count];
        assert!(check_tasks(TicketKind::Problem, &many(MAX_TEMPLATE_TASKS)).is_ok());
        assert_eq!(paths(check_tasks(TicketKind::Problem, &many(MAX_TEMPLATE_TASKS + 1))), ["tasks"]);
        assert_eq!(paths(check_tasks(TicketKind::Task, &many(1))), ["tasks"]);
        assert_eq!(paths(check_tasks(TicketKind::Incident, &[task("x"), task("")])), ["tasks.1.title"]);
    }
}
