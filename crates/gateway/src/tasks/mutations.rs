//! Mutations of tasks.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::Task;
use crate::context::{mutation, platform};
use crate::custom_fields::{CustomFieldInput, set};
use crate::payload::payload;
use crate::people::{TeamRefInput, UserRefInput};
use crate::scalars::{Markdown, patch, within};
use crate::tickets::event_log::from_store;
use crate::tickets::events::Event;
use crate::tickets::queries::ticket_ref;
use crate::tickets::words::{Impact, Urgency};
use crate::user_error::{UserError, part};

/// Adds a task to a ticket. Whoever adds it is its requester.
#[derive(Clone, Debug, InputObject)]
pub struct TaskCreateInput {
    /// The id or number of the ticket that it belongs to.
    pub parent: ID,
    /// What to do, in a line; at most 255 characters.
    pub title: String,
    /// What to do, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// The team that does it; that of the ticket when absent. Needs `ticket.assign`.
    pub team: Option<TeamRefInput>,
    /// The member of the team who does. Needs `ticket.assign`.
    pub assignee: Option<UserRefInput>,
    /// How many are affected; as on the ticket when absent.
    pub impact: Option<Impact>,
    /// How long it can wait; as on the ticket when absent.
    pub urgency: Option<Urgency>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50; those that are not named get their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// Ids or numbers of the tasks of the same ticket that must be done first, at most 100.
    pub depends_on: Option<Vec<ID>>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// Changes a task. Absent fields stay, null clears. Its team and assignee change by `ticketAssign`, its state by `ticketTransition`.
#[derive(Clone, Debug, InputObject)]
pub struct TaskUpdateInput {
    /// The task's id or number.
    pub id: ID,
    /// A new title; at most 255 characters.
    pub title: Option<String>,
    /// A new description; at most 64 KiB.
    pub description: MaybeUndefined<Markdown>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// All tags, replacing those there are; at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields to change, at most 50; those that are not named stay.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// All tasks of the same ticket that must be done first, by id or number, replacing those there are; at most 100.
    pub depends_on: Option<Vec<ID>>,
    /// Refuse when the task has another version.
    pub expected_version: Option<i32>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

/// A task of a plan.
#[derive(Clone, Debug, InputObject)]
pub struct PlannedTaskInput {
    /// Names it within the plan, for `dependsOn`; at most 100 characters.
    pub key: String,
    /// What to do, in a line; at most 255 characters.
    pub title: String,
    /// What to do, in full; at most 64 KiB.
    pub description: Option<Markdown>,
    /// The team that does it; that of the ticket when absent. Needs `ticket.assign`.
    pub team: Option<TeamRefInput>,
    /// The member of the team who does. Needs `ticket.assign`.
    pub assignee: Option<UserRefInput>,
    /// Free words, at most 50.
    pub tags: Option<Vec<String>>,
    /// Custom fields, at most 50; those that are not named get their defaults.
    pub custom_fields: Option<Vec<CustomFieldInput>>,
    /// The keys of the tasks of this plan that must be done first.
    pub depends_on: Option<Vec<String>>,
}

/// Puts a plan on a ticket: several tasks with dependencies between them.
#[derive(Clone, Debug, InputObject)]
pub struct TaskPlanApplyInput {
    /// The ticket's id or number.
    pub id: ID,
    /// The tasks, 1 to 50, in any order.
    pub tasks: Vec<PlannedTaskInput>,
    /// The same key and input give the stored answer.
    pub idempotency_key: Option<String>,
    /// Do everything, answer, and roll back.
    pub dry_run: Option<bool>,
}

payload! {
    /// The task that was added.
    TaskCreatePayload {
        /// The task; null when it was not done.
        task: Task
    }
}
payload! {
    /// The task after it was changed.
    TaskUpdatePayload {
        /// The task; null when it was not done.
        task: Task
    }
}

/// The tasks that were added.
#[derive(SimpleObject)]
pub struct TaskPlanApplyPayload {
    /// The tasks in the order of the plan, as far as the viewer may see them; null when it was not done.
    pub tasks: Option<Vec<Task>>,
    /// What was recorded.
    pub events: Vec<Event>,
    /// What the user can mend.
    pub user_errors: Vec<UserError>,
}

/// References to tasks in an input, errors with their place in the list.
fn tasks(list: Option<Vec<ID>>) -> kernel::Result<Option<Vec<ticket::TicketRef>>> {
    let Some(list) = list else { return Ok(None) };
    let placed = list.iter().enumerate();
    let references = placed.map(|(index, id)| ticket::TicketRef::parse(id, &index.to_string()));
    references.collect::<kernel::Result<Vec<_>>>().map(Some).map_err(|error| error.within("dependsOn"))
}

impl TaskCreateInput {
    fn command(self) -> kernel::Result<ticket::CreateTask> {
        Ok(ticket::CreateTask {
            parent: ticket::TicketRef::parse(&self.parent, "parent")?,
            draft: ticket::TaskDraft {
                title: self.title,
                description: self.description.map(|text| text.0),
                team: within("team", self.team.map(TeamRefInput::into_ref))?,
                assignee: within("assignee", self.assignee.map(UserRefInput::into_ref))?,
                impact: self.impact.map(Into::into),
                urgency: self.urgency.map(Into::into),
                tags: self.tags.unwrap_or_default(),
                custom_fields: set(self.custom_fields)?,
            },
            depends_on: tasks(self.depends_on)?.unwrap_or_default(),
        })
    }
}

impl TaskUpdateInput {
    fn command(self) -> kernel::Result<ticket::UpdateTask> {
        Ok(ticket::UpdateTask {
            task: ticket_ref(&self.id)?,
            title: self.title,
            description: patch(self.description).map(|text| text.0),
            impact: self.impact.map(Into::into),
            urgency: self.urgency.map(Into::into),
            tags: self.tags,
            custom_fields: set(self.custom_fields)?,
            depends_on: tasks(self.depends_on)?,
            expected_version: self.expected_version,
        })
    }
}

impl PlannedTaskInput {
    fn planned(self) -> kernel::Result<ticket::PlannedTask> {
        Ok(ticket::PlannedTask {
            key: self.key,
            draft: ticket::TaskDraft {
                title: self.title,
                description: self.description.map(|text| text.0),
                team: within("team", self.team.map(TeamRefInput::into_ref))?,
                assignee: within("assignee", self.assignee.map(UserRefInput::into_ref))?,
                impact: None,
                urgency: None,
                tags: self.tags.unwrap_or_default(),
                custom_fields: set(self.custom_fields)?,
            },
            depends_on: self.depends_on.unwrap_or_default(),
        })
    }
}

impl TaskPlanApplyInput {
    fn command(self) -> kernel::Result<ticket::ApplyPlan> {
        let placed = self.tasks.into_iter().enumerate();
        let tasks = placed.map(|(index, task)| task.planned().map_err(|error| error.within(&index.to_string())));
        let tasks = tasks.collect::<kernel::Result<Vec<_>>>().map_err(|error| error.within("tasks"))?;
        Ok(ticket::ApplyPlan { ticket: ticket_ref(&self.id)?, tasks })
    }
}

/// Mutations of tasks.
#[derive(Default)]
pub struct TaskMutations;

#[Object]
impl TaskMutations {
    /// Adds a task to a ticket, which may have 100. Needs `ticket.update` on the ticket and `ticket.create`.
    async fn task_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "On which ticket, and what to do.")] input: TaskCreateInput,
    ) -> Result<TaskCreatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.create_task(&viewer, command).await,
            Err(error) => Err(error),
        };
        TaskCreatePayload::of(ctx, &viewer, result)
    }

    /// Changes a task. Needs `ticket.update` on it.
    async fn task_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task, and what changes.")] input: TaskUpdateInput,
    ) -> Result<TaskUpdatePayload> {
        let viewer = mutation(ctx)?;
        let result = match input.command() {
            Ok(command) => platform(ctx).tickets.update_task(&viewer, command).await,
            Err(error) => Err(error),
        };
        TaskUpdatePayload::of(ctx, &viewer, result)
    }

    /// Puts a plan on a ticket: all of its tasks or none. Needs what `taskCreate` needs.
    async fn task_plan_apply(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "On which ticket, and the plan.")] input: TaskPlanApplyInput,
    ) -> Result<TaskPlanApplyPayload> {
        let (viewer, platform) = (mutation(ctx)?, platform(ctx));
        let result = match input.command() {
            Ok(command) => platform.tickets.apply_plan(&viewer, command).await,
            Err(error) => Err(error),
        };
        let (done, user_errors) = part(result)?;
        let Some(done) = done else {
            return Ok(TaskPlanApplyPayload { tasks: None, events: Vec::new(), user_errors });
        };
        Ok(TaskPlanApplyPayload {
            tasks: Some(done.tasks.into_iter().map(Task::from_row).collect()),
            events: from_store(&viewer, platform, done.events),
            user_errors,
        })
    }
}
