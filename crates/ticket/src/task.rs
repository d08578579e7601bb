//! Tasks: pieces of the work on a ticket, tickets themselves.
//!
//! ```text
//!   open ── start ──▶ in_progress
//!    │                     │
//!    ├── complete ─────────┼──▶ done
//!    ├── skip ─────────────┼──▶ skipped
//!    └── cancel ───────────┴──▶ canceled
//! ```
//!
//! **Rules.** A task belongs to one ticket, which is no task, for good, or stands alone: what was agreed in a review belongs to no
//! ticket. It may depend on other tasks of the same ticket, never in a circle; while one of them is not done it can neither be started nor completed, only skipped or canceled. How many are open is a
//! field of the task, kept by the write that changes it, so that `availableTransitions` knows without asking.
//!
//! Whoever adds a task is its requester, so that those who asked for help do not find the work on it among what they asked for.
//! What a workflow adds is added by the system, for whoever takes the transition, or for the ticket's assignee when its requester
//! does.

mod draft;

use std::collections::HashMap;
use std::sync::Arc;

use access::permission::TICKET_UPDATE;
use kernel::error::Problems;
use kernel::{ActorKind, Ctx, Error, Patch, Result, UserError, Uuid};
use predicate::{Predicate, RecordType, Value};
use serde_json::{Map, Value as Json, json};
use store::Tx;
use store::query::{self, Row};

use crate::commands::{check_long_text, check_title, normalise_tags};
use crate::custom_field::SetCustomField;
use crate::edit::Edit;
use crate::events;
use crate::fields::{DEPENDENCY, TASK};
use crate::kind::{KindRules, Opening};
use crate::model::{Impact, MAX_TASKS, StateCategory, TicketKind, Urgency};
use crate::queries::{RELATIONS, TicketRef};
use crate::service::{Outcome, Tickets};
use crate::tables;
use crate::workflow::{Transition, Workflow, WorkflowError};
pub use draft::TaskDraft;
pub(crate) use draft::{checked_draft, refuse_on_task, require_for_draft};

/// The default workflow of tasks.
const WORKFLOW: &str = include_str!("task_workflow.json");
/// The state of a task that was left out: it is over, and was not done.
pub const SKIPPED: &str = "skipped";
/// The transition that leaves a task out; one that depends on others may take it.
const SKIP: &str = "skip";

/// The rules of tasks.
pub struct TaskRules {
    workflow: Arc<Workflow>,
}

impl TaskRules {
    /// With the default workflow.
    ///
    /// # Errors
    /// When the document that ships with this crate is no workflow.
    pub fn new() -> Result<Self, WorkflowError> {
        Ok(Self { workflow: Arc::new(Workflow::parse(WORKFLOW)?) })
    }
}

impl KindRules for TaskRules {
    fn kind(&self) -> TicketKind {
        TicketKind::Task
    }

    fn record(&self) -> &'static RecordType {
        &TASK
    }

    fn default_workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// By the tasks' own way, which knows of the ticket that they belong to.
    fn opening(&self, _: bool) -> Option<Opening> {
        None
    }

    fn transition_event(&self, _: &Transition, _: StateCategory, _: StateCategory) -> &'static str {
        events::TRANSITIONED
    }

    fn input_schema(&self, _: &Workflow, _: &str) -> Option<Json> {
        None
    }

    fn inputs_to_resolve(&self) -> &'static [&'static str] {
        &[]
    }

    fn apply(
        &self,
        _: &Workflow,
        _: &Transition,
        _: StateCategory,
        _: &mut Map<String, Json>,
        _: &mut Row,
        _: &mut Problems,
    ) {
    }

    fn refusals(&self, transition: &Transition, to: StateCategory, row: &Row) -> Vec<String> {
        let open = row.int("openDependencies");
        if open == 0 || to == StateCategory::Canceled || transition.key == SKIP {
            return Vec::new();
        }
        vec![format!("{open} of the tasks that it depends on are not done")]
    }
}

/// Add a task to a ticket.
#[derive(Clone, Debug)]
pub struct CreateTask {
    /// Which ticket.
    pub parent: TicketRef,
    /// What it says.
    pub draft: TaskDraft,
    /// The tasks of the same ticket that must be done first.
    pub depends_on: Vec<TicketRef>,
}

/// Change a task. Absent fields stay.
#[derive(Clone, Debug)]
pub struct UpdateTask {
    /// Which task.
    pub task: TicketRef,
    /// A new title.
    pub title: Option<String>,
    /// A new description.
    pub description: Patch<String>,
    /// How many are affected.
    pub impact: Option<Impact>,
    /// How long it can wait.
    pub urgency: Option<Urgency>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Custom fields.
    pub custom_fields: Vec<SetCustomField>,
    /// All tasks of the same ticket that must be done first.
    pub depends_on: Option<Vec<TicketRef>>,
    /// Refuse when the task has another version.
    pub expected_version: Option<i32>,
}

/// Who does a task: the ticket's team when none is given.
#[derive(Clone, Default)]
pub(crate) struct TaskPeople {
    /// The team.
    pub(crate) team: Option<Row>,
    /// A member of it.
    pub(crate) assignee: Option<Row>,
}

/// A task in the making.
pub(crate) struct NewTask<'a> {
    /// What it says.
    pub(crate) draft: &'a TaskDraft,
    /// Who does it.
    pub(crate) people: TaskPeople,
    /// Its number.
    pub(crate) number: String,
    /// The ticket that it belongs to.
    pub(crate) parent: Option<Uuid>,
    /// The transition whose effect it is: then whoever takes that needs no right to make tasks.
    pub(crate) by: Option<&'a str>,
}

/// A task that another one needs, and whether it is done.
pub(crate) type Needed = (Uuid, bool);

impl Tickets {
    /// Adds a task to a ticket.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`; `VALIDATION` for a ticket that is done or itself a task, and for a dependency on another ticket's
    /// task; `LIMIT` beyond [`MAX_TASKS`].
    pub async fn create_task(&self, ctx: &Ctx, command: CreateTask) -> Result<Outcome> {
        let mut problems = Problems::default();
        require_for_draft(ctx, &command.draft)?;
        let draft = checked_draft(command.draft, &mut problems);
        check_count(&mut problems, &command.depends_on);
        problems.check()?;
        let command = CreateTask { draft, ..command };
        let number = self.numbers().next(ctx, TicketKind::Task).await?;
        let tickets = self.clone();
        self.write(ctx, "taskCreate", move |tx| {
            let (tickets, command, number) = (tickets.clone(), command.clone(), number.clone());
            Box::pin(async move {
                tickets.add_task_in(tx, &command.parent, &command.draft, number, &command.depends_on).await
            })
        })
        .await
    }

    /// Changes a task.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `CONFLICT`; `VALIDATION`, among them for a circle of dependencies.
    pub async fn update_task(&self, ctx: &Ctx, mut command: UpdateTask) -> Result<Outcome> {
        let mut problems = Problems::default();
        if let Some(title) = &command.title {
            check_title(&mut problems, title);
        }
        if let Patch::Set(description) = &command.description {
            check_long_text(&mut problems, "description", description);
        }
        if let Some(tags) = command.tags.take() {
            command.tags = Some(normalise_tags(&mut problems, tags));
        }
        check_count(&mut problems, command.depends_on.as_deref().unwrap_or_default());
        problems.check()?;
        let tickets = self.clone();
        self.write(ctx, "taskUpdate", move |tx| {
            let (tickets, command) = (tickets.clone(), command.clone());
            Box::pin(async move { tickets.update_task_in(tx, &command).await })
        })
        .await
    }

    async fn update_task_in(&self, tx: &mut Tx, command: &UpdateTask) -> Result<Row> {
        let mut edit = self.edit_in(tx, &command.task, "id").await?;
        if edit.rules.kind() != TicketKind::Task {
            return Err(UserError::not_found(["id"], "the task").into());
        }
        edit.expect_version(command.expected_version)?;
        if let Some(title) = &command.title {
            edit.set("title", title.trim());
        }
        match &command.description {
            Patch::Keep => {}
            Patch::Clear => edit.set("description", Value::Null),
            Patch::Set(text) => edit.set("description", text.as_str()),
        }
        if let Some(tags) = &command.tags {
            edit.set("tags", Value::TextList(tags.clone()));
        }
        if let Some(impact) = command.impact {
            edit.set("impact", impact.as_str());
        }
        if let Some(urgency) = command.urgency {
            edit.set("urgency", urgency.as_str());
        }
        self.set_custom_fields_in(tx, &mut edit, &command.custom_fields, false).await?;
        self.require_custom_fields_in(tx, &edit).await?;
        edit.authorise_fields(tx.ctx(), self.access())?;
        let moved = ["impact", "urgency"].iter().any(|field| edit.before.get(field) != edit.after.get(field));
        if moved {
            self.follow_matrix_in(tx, &mut edit).await?;
        }
        let dependencies = match &command.depends_on {
            Some(wanted) => self.change_dependencies_in(tx, &mut edit, wanted).await?,
            None => None,
        };
        edit.save_in(tx, self.access(), events::UPDATED, Json::Null).await?;
        if let Some(payload) = dependencies {
            let mut event = edit.event(self.access(), events::DEPENDENCIES_CHANGED, payload);
            event.changes.clear();
            tx.emit(event);
        }
        tx.answers_with(edit.reference());
        Ok(edit.after)
    }

    /// The ticket that gets `more` tasks, held so that others wait with theirs.
    ///
    /// # Errors
    /// As [`Tickets::create_task`], at `path`.
    pub(crate) async fn task_parent_in(
        &self,
        tx: &mut Tx,
        reference: &TicketRef,
        path: &str,
        more: usize,
    ) -> Result<Edit> {
        let parent = self.edit_in(tx, reference, path).await?;
        self.require_on(tx.ctx(), &parent, TICKET_UPDATE)?;
        let refuse = |message: &str, rule| UserError::constraint([path], message, rule, None);
        if parent.rules.kind() == TicketKind::Task {
            return Err(refuse("a task has no tasks of its own", "kind").into());
        }
        if StateCategory::parse(&parent.before.text("stateCategory")).is_none_or(StateCategory::is_done) {
            return Err(refuse("a ticket that is done gets no more tasks", "state").into());
        }
        parent.hold_in(tx).await?;
        self.check_room_for_tasks_in(tx, &parent.before, more).await.map_err(|error| error.within(path))?;
        Ok(parent)
    }

    /// Refuses `more` tasks on a ticket that is held than it may have.
    ///
    /// # Errors
    /// `LIMIT`.
    pub(crate) async fn check_room_for_tasks_in(&self, tx: &mut Tx, parent: &Row, more: usize) -> Result<()> {
        let of_parent = Predicate::eq("parent", parent.id());
        let there = self.unscoped_in(tx, &TASK, of_parent, &[], MAX_TASKS).await?.len();
        if there + more > MAX_TASKS {
            let message = format!("the ticket has {there} tasks; at most {MAX_TASKS} are allowed");
            return Err(UserError::limit([] as [&str; 0], message, MAX_TASKS as u64).into());
        }
        Ok(())
    }

    /// The tasks of this ticket that the references point at, held as they are.
    async fn needed_in(&self, tx: &mut Tx, parent: Uuid, references: &[TicketRef]) -> Result<Vec<Needed>> {
        let mut problems = Problems::default();
        let mut found: Vec<Edit> = Vec::new();
        for (index, reference) in references.iter().enumerate() {
            let index = index.to_string();
            let task = self.edit_in(tx, reference, &index).await.map_err(|error| error.within("dependsOn"));
            let Some(task) = problems.take(task)? else { continue };
            if task.before.get("parent").as_id() != Some(parent) {
                let message = format!("`{}` is no task of the same ticket", task.before.text("number"));
                problems.add(UserError::constraint(["dependsOn", &index], message, "parent", None));
            } else if !found.iter().any(|known| known.before.id() == task.before.id()) {
                found.push(task);
            }
        }
        problems.check()?;
        found.sort_by_key(|task| task.before.id());
        for task in &found {
            task.hold_in(tx).await?;
        }
        Ok(found.iter().map(|task| (task.before.id(), is_done(&task.before))).collect())
    }

    /// Adds a task to a ticket inside a write, of a draft that was checked.
    pub(crate) async fn add_task_in(
        &self,
        tx: &mut Tx,
        parent: &TicketRef,
        draft: &TaskDraft,
        number: String,
        depends_on: &[TicketRef],
    ) -> Result<Row> {
        let parent = self.task_parent_in(tx, parent, "parent", 1).await?;
        let needed = self.needed_in(tx, parent.before.id(), depends_on).await?;
        let task = self.insert_task_in(tx, &parent, draft, number, &needed).await?;
        tx.answers_with(task.reference());
        Ok(task.after)
    }

    /// Makes a task of a ticket that is held.
    pub(crate) async fn insert_task_in(
        &self,
        tx: &mut Tx,
        parent: &Edit,
        draft: &TaskDraft,
        number: String,
        needed: &[Needed],
    ) -> Result<Edit> {
        let people = self.task_people_in(tx, &parent.before, draft).await?;
        let new = NewTask { draft, people, number, parent: Some(parent.before.id()), by: None };
        self.insert_task_of_in(tx, &parent.before, new, needed).await
    }

    /// Checks what a new task says, and that whoever adds it may add one at all.
    ///
    /// # Errors
    /// `FORBIDDEN`; `VALIDATION` and `LIMIT` with paths.
    pub fn checked_task(&self, ctx: &Ctx, draft: TaskDraft) -> Result<TaskDraft> {
        let mut problems = Problems::default();
        require_for_draft(ctx, &draft)?;
        let draft = checked_draft(draft, &mut problems);
        problems.check()?;
        Ok(draft)
    }

    /// Makes a task that belongs to no ticket, for a write that knows who may: of this service, for this team when the draft names
    /// none.
    ///
    /// # Errors
    /// `FORBIDDEN`; `NOT_FOUND` and `VALIDATION` at `team`, `assignee` and the fields of the draft; `VALIDATION` for whoever is no
    /// person.
    pub async fn insert_task_alone_in(
        &self,
        tx: &mut Tx,
        draft: &TaskDraft,
        service: Option<&Row>,
        team: Option<&Row>,
        number: String,
    ) -> Result<Row> {
        let mut model = Row::new(
            &TASK,
            vec![("impact", Impact::Medium.as_str().into()), ("urgency", Urgency::Medium.as_str().into())],
        );
        for (field, record) in [("service", service), ("team", team)] {
            model.set(field, record.map_or(Value::Null, |record| record.id().into()));
            model.set_relation(field, record.cloned());
        }
        self.insert_task_like_in(tx, draft, &model, number).await
    }

    /// The same, and what the draft leaves open is as on a model, such as another task: its requester too, when no person makes it.
    pub(crate) async fn insert_task_like_in(
        &self,
        tx: &mut Tx,
        draft: &TaskDraft,
        model: &Row,
        number: String,
    ) -> Result<Row> {
        let people = self.task_people_in(tx, model, draft).await?;
        let new = NewTask { draft, people, number, parent: None, by: None };
        let task = self.insert_task_of_in(tx, model, new, &[]).await?;
        tx.answers_with(task.reference());
        Ok(task.after)
    }

    /// Makes a task of any sort, with those who do it looked up. What the draft leaves open is as on the model: the ticket that it
    /// belongs to, if it belongs to one.
    pub(crate) async fn insert_task_of_in(
        &self,
        tx: &mut Tx,
        model: &Row,
        new: NewTask<'_>,
        needed: &[Needed],
    ) -> Result<Edit> {
        let ctx = tx.ctx().clone();
        let NewTask { draft, people, number, parent, by } = new;
        let rules = self.kinds().get(TicketKind::Task)?.clone();
        let mut edit = Edit::new(rules.clone(), rules.default_workflow().clone(), Row::new(&TASK, Vec::new()));
        let or_as_there =
            |field: &str, own: Option<&'static str>| own.map_or_else(|| model.get(field).clone(), Value::from);
        for (field, value) in [
            ("id", Value::from(ctx.new_id())),
            ("kind", TicketKind::Task.as_str().into()),
            ("number", number.into()),
            ("title", draft.title.trim().into()),
            ("description", draft.description.clone().into()),
            ("impact", or_as_there("impact", draft.impact.map(Impact::as_str))),
            ("urgency", or_as_there("urgency", draft.urgency.map(Urgency::as_str))),
            ("tags", Value::TextList(draft.tags.clone())),
            ("reassignmentCount", 0.into()),
            ("reopenCount", 0.into()),
            ("functionalEscalationLevel", 0.into()),
            ("hierarchicalEscalationLevel", 0.into()),
            ("timeSpent", 0.into()),
            ("entriesWithoutRate", 0.into()),
            ("version", 1.into()),
            ("createdAt", tx.now().into()),
            ("updatedAt", tx.now().into()),
            ("parent", parent.map_or(Value::Null, Value::from)),
            ("openDependencies", open_among(needed)),
        ] {
            edit.set(field, value);
        }
        self.set_task_people_in(tx, &mut edit, model, people, by.is_some()).await?;
        edit.set_reference("service", model.relation("service").cloned());
        if by.is_none() {
            edit.authorise_state_after(&ctx, self.access())?;
        }
        self.follow_matrix_in(tx, &mut edit).await?;
        self.set_custom_fields_in(tx, &mut edit, &draft.custom_fields, true).await?;
        let workflow = self.workflow_for(tx, &ctx, rules.as_ref(), &edit.after).await?;
        edit.begin(&workflow);
        self.require_custom_fields_in(tx, &edit).await?;
        query::insert_unique_in(tx, ctx.tenant, &TASK, &edit.after).await?;
        edit.insert_custom_fields_in(tx).await?;
        edit.index_in(tx).await?;
        for (needs, _) in needed {
            insert_dependency_in(tx, edit.after.id(), *needs).await?;
        }
        let payload = by.map_or(Json::Null, |transition| json!({ "transition": transition }));
        tx.emit(edit.event(self.access(), events::TASK_CREATED, payload));
        Ok(edit)
    }

    /// Those who do a task, as far as whoever adds it may know of them.
    async fn task_people_in(&self, tx: &mut Tx, model: &Row, draft: &TaskDraft) -> Result<TaskPeople> {
        let team = match &draft.team {
            Some(team) => Some(self.team_in(tx, team, "team").await?),
            None => None,
        };
        let Some(assignee) = &draft.assignee else { return Ok(TaskPeople { team, assignee: None }) };
        let user = self.user_in(tx, assignee, "assignee").await?;
        let mut of_team = Row::new(&TASK, vec![("team", model.get("team").clone())]);
        of_team.set_relation("team", model.relation("team").cloned());
        if let Some(team) = &team {
            of_team.set("team", team.id().into());
            of_team.set_relation("team", Some(team.clone()));
        }
        self.check_member_in(tx, &of_team, &user).await?;
        Ok(TaskPeople { team, assignee: Some(user) })
    }

    async fn set_task_people_in(
        &self,
        tx: &mut Tx,
        edit: &mut Edit,
        model: &Row,
        people: TaskPeople,
        by_workflow: bool,
    ) -> Result<()> {
        let ctx = tx.ctx().clone();
        let system = self.access().system_ctx(ctx.tenant, &ctx.request_id).actor.id;
        let opener = if by_workflow { system } else { ctx.actor.id };
        let actors = self.access().actors_in(tx, &ctx, &[ctx.actor.id, opener]).await?;
        let found = |id: Uuid| actors.iter().find(|actor| actor.id() == id).cloned();
        // What a workflow adds when those who asked for help move their ticket is no more theirs than what others add.
        let theirs = by_workflow && model.get("requester").as_id() == Some(ctx.actor.id);
        let adds = match ctx.actor.kind {
            ActorKind::User if !theirs => found(ctx.actor.id),
            ActorKind::User => model.relation("assignee").cloned(),
            _ => None,
        };
        let Some(requester) = adds.or_else(|| model.relation("requester").cloned()) else {
            return Err(made_by_nobody(&[]));
        };
        edit.set_reference("openedBy", found(opener));
        edit.set_reference("requester", Some(requester));
        edit.set_reference("team", people.team.or_else(|| model.relation("team").cloned()));
        if let Some(assignee) = people.assignee {
            edit.set_reference("assignee", Some(assignee));
        }
        Ok(())
    }

    /// Brings what a task depends on to what is wanted; the event's payload, if that differs from what was.
    async fn change_dependencies_in(&self, tx: &mut Tx, edit: &mut Edit, wanted: &[TicketRef]) -> Result<Option<Json>> {
        self.require_on(tx.ctx(), edit, TICKET_UPDATE)?;
        let task = edit.before.id();
        let parent = edit.before.get("parent").as_id().unwrap_or_default();
        edit.hold_in(tx).await?;
        // All dependencies of the ticket's tasks change one after the other, so what is read now stays.
        tables::hold_tickets_in(tx, &[parent]).await?;
        let needed = self.needed_in(tx, parent, wanted).await?;
        let tasks: Vec<Uuid> = self
            .unscoped_in(tx, &TASK, Predicate::eq("parent", parent), &[], MAX_TASKS)
            .await?
            .iter()
            .map(Row::id)
            .collect();
        let there =
            self.unscoped_in(tx, &DEPENDENCY, Predicate::one_of("task", &tasks), &[], MAX_TASKS * MAX_TASKS).await?;
        let pair = |row: &Row| Some((row.get("task").as_id()?, row.get("needs").as_id()?));
        let mut edges: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (from, to) in there.iter().filter_map(pair).filter(|(from, _)| *from != task) {
            edges.entry(from).or_default().push(to);
        }
        edges.insert(task, needed.iter().map(|(id, _)| *id).collect());
        if leads_back(&edges, task) {
            let message = "the task would depend on itself, directly or through others";
            return Err(UserError::constraint(["dependsOn"], message, "circle", None).into());
        }
        let own: Vec<&Row> = there.iter().filter(|row| row.get("task").as_id() == Some(task)).collect();
        let mut changed = false;
        for row in &own {
            if !needed.iter().any(|(id, _)| row.get("needs").as_id() == Some(*id)) {
                query::delete_in(tx, tx.ctx().tenant, &DEPENDENCY, &[("id", row.id())]).await?;
                changed = true;
            }
        }
        for (id, _) in &needed {
            if !own.iter().any(|row| row.get("needs").as_id() == Some(*id)) {
                insert_dependency_in(tx, task, *id).await?;
                changed = true;
            }
        }
        edit.set("openDependencies", open_among(&needed));
        let ids = needed.iter().map(|(id, _)| kernel::Id::new(TicketKind::Task.id_prefix(), *id).to_string());
        Ok(changed.then(|| json!({ "dependsOn": ids.collect::<Vec<_>>() })))
    }

    /// Tells the tasks that depend on one which was done, or came back, how many they wait for now. As the system does it: whoever
    /// caused it needs no right to them.
    pub(crate) async fn recount_dependents_in(&self, tx: &mut Tx, edit: &Edit) -> Result<()> {
        if edit.rules.kind() != TicketKind::Task || is_done(&edit.before) == is_done(&edit.after) {
            return Ok(());
        }
        let waiting = Predicate::eq("needs", edit.after.id());
        for dependency in self.unscoped_in(tx, &DEPENDENCY, waiting, &[], MAX_TASKS).await? {
            let Some(task) = dependency.get("task").as_id() else { continue };
            let row = self.unscoped_in(tx, &TASK, Predicate::eq("id", task), RELATIONS, 1).await?.pop();
            let Some(row) = row else { continue };
            let all = self.unscoped_in(tx, &DEPENDENCY, Predicate::eq("task", task), &["needs"], MAX_TASKS).await?;
            let open = all.iter().filter_map(|row| row.relation("needs")).filter(|row| !is_done(row)).count();
            let workflow = self.workflow_of(tx, &tx.ctx().clone(), edit.rules.as_ref(), &row).await?;
            let mut dependent = Edit::new(edit.rules.clone(), workflow, row);
            dependent.set("openDependencies", i32::try_from(open).unwrap_or(i32::MAX));
            dependent.save_in(tx, self.access(), events::UPDATED, Json::Null).await?;
        }
        Ok(())
    }
}

/// A task that belongs to no ticket is asked for by whoever makes it, and people ask.
pub(crate) fn made_by_nobody(path: &[&str]) -> Error {
    let message =
        "whoever is no person makes tasks of tickets only: one that belongs to none has its maker as requester";
    UserError::constraint(path.iter().copied(), message, "required", None).into()
}

fn check_count(problems: &mut Problems, depends_on: &[TicketRef]) {
    if depends_on.len() > MAX_TASKS {
        let message = format!("{} dependencies are given; at most {MAX_TASKS} are allowed", depends_on.len());
        problems.add(UserError::limit(["dependsOn"], message, MAX_TASKS as u64));
    }
}

fn is_done(row: &Row) -> bool {
    StateCategory::parse(&row.text("stateCategory")).is_some_and(StateCategory::is_done)
}

fn open_among(needed: &[Needed]) -> Value {
    i32::try_from(needed.iter().filter(|(_, done)| !done).count()).unwrap_or(i32::MAX).into()
}

async fn insert_dependency_in(tx: &mut Tx, task: Uuid, needs: Uuid) -> Result<()> {
    let id = tx.new_id();
    let row = Row::new(&DEPENDENCY, vec![("id", id.into()), ("task", task.into()), ("needs", needs.into())]);
    query::insert_unique_in(tx, tx.ctx().tenant, &DEPENDENCY, &row).await
}

/// Whether a way leads from here back to here.
fn leads_back(edges: &HashMap<Uuid, Vec<Uuid>>, start: Uuid) -> bool {
    let mut seen = Vec::new();
    let mut next = edges.get(&start).cloned().unwrap_or_default();
    while let Some(current) = next.pop() {
        if current == start {
            return true;
        }
        if !seen.contains(&current) {
            seen.push(current);
            next.extend(edges.get(&current).into_iter().flatten());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_workflow_is_sound() {
        let rules = TaskRules::new().unwrap();
        let from = |state| rules.workflow.leaving(state).map(|found| found.key.as_str()).collect::<Vec<_>>();
        assert_eq!(from("open"), ["start", "skip", "complete", "cancel"]);
        assert_eq!(from("in_progress"), ["skip", "complete", "cancel"]);
        assert!(["done", "skipped", "canceled"].iter().all(|state| from(state).is_empty()));
        for transition in &rules.workflow.transitions {
            assert!(access::permission::find(&transition.permission).is_some(), "{}", transition.permission);
        }
    }

    #[test]
    fn a_task_waits_for_what_it_depends_on() {
        let rules = TaskRules::new().unwrap();
        for (open, key, refused) in
            [(1, "start", true), (1, "complete", true), (1, "skip", false), (1, "cancel", false), (0, "start", false)]
        {
            let row = Row::new(&TASK, vec![("openDependencies", open.into())]);
            let transition = rules.workflow.transition(key).unwrap();
            let to = rules.workflow.category(&transition.to);
            assert_eq!(!rules.refusals(transition, to, &row).is_empty(), refused, "{key} with {open} open");
        }
    }

    #[test]
    fn circles_are_found() {
        let id = |number: u128| Uuid::from_u128(number);
        let chain: HashMap<_, _> = [(id(1), vec![id(2)]), (id(2), vec![id(3), id(4)]), (id(3), vec![id(4)])].into();
        assert!([1, 2, 3, 4].iter().all(|number| !leads_back(&chain, id(*number))));
        let mut circle = chain;
        circle.insert(id(4), vec![id(1)]);
        assert!([1, 2, 3, 4].iter().all(|number| leads_back(&circle, id(*number))));
    }
}
