//! What the effects of a transition make: approvals and tasks.
//!
//! It is the workflow that acts: whoever takes the transition needs no right to what it makes, and is told as the one through
//! whom it came to be. Everything that can be refused is looked at before the transition is written, so that one which is
//! refused, alone or along with others, leaves nothing behind.
//!
//! **Names** are looked up when the transition is taken. A user who has left is asked no more, as in every approval, and does
//! no task, which is then its team's. A name that means nothing any more refuses the transition, with its place.

use access::{TeamRef, UserRef};
use kernel::error::Problems;
use kernel::{Ctx, Error, ErrorCode, Result, UserError};
use predicate::RecordType;
use store::query::Row;
use store::{ConnectionTrait, Tx};

use super::effects::{CreateTasksEffect, StartApprovalEffect, TaskEffect};
use super::{Effect, Transition, Workflow};
use crate::approval::{self, ApprovalPolicy, StepPolicy};
use crate::edit::Edit;
use crate::model::TicketKind;
use crate::plan::{self, Order};
use crate::service::Tickets;
use crate::task::{NewTask, TaskDraft, TaskPeople};

/// What the effects of a transition are about to make; nothing of it can be refused any more.
#[derive(Default)]
pub(crate) struct Prepared {
    approvals: Vec<ApprovalPolicy>,
    plans: Vec<PreparedPlan>,
}

struct PreparedPlan {
    tasks: Vec<(TaskDraft, TaskPeople)>,
    order: Order,
    numbers: Vec<String>,
}

impl Tickets {
    /// Checks that all that an effect names is there, for whoever writes the document.
    ///
    /// # Errors
    /// `NOT_FOUND`, `VALIDATION` with the place inside the effect.
    pub(super) async fn check_names(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        record: &'static RecordType,
        effect: &Effect,
    ) -> Result<()> {
        match effect {
            Effect::SetField { .. } | Effect::SetWaitingReason { .. } => {
                self.effect_target_in(connection, ctx, effect).await.map(|_| ())
            }
            Effect::StartApproval(effect) => {
                let mut problems = Problems::default();
                let definitions = self.custom_fields(connection, ctx).await?;
                let bound = effect.bound_fields.as_deref().unwrap_or_default();
                problems.take(approval::bound_fields(record, &definitions, bound))?;
                problems.take(self.approval_steps(connection, ctx, effect).await)?;
                problems.check().map_err(|error| error.within("startApproval"))
            }
            Effect::CreateTasks(effect) => {
                let mut problems = Problems::default();
                for (place, task) in effect.tasks.iter().enumerate() {
                    let known = self.check_people(connection, ctx, task).await;
                    problems.take(known.map_err(|error| error.within(&place.to_string()).within("tasks")))?;
                }
                problems.check().map_err(|error| error.within("createTasks"))
            }
        }
    }

    /// The steps of an approval, their names looked up.
    async fn approval_steps(
        &self,
        connection: &impl ConnectionTrait,
        ctx: &Ctx,
        effect: &StartApprovalEffect,
    ) -> Result<Vec<StepPolicy>> {
        let mut problems = Problems::default();
        let mut steps = Vec::with_capacity(effect.steps.len());
        for (place, step) in effect.steps()?.iter().enumerate() {
            let step = self.step_policy(connection, ctx, step).await;
            steps.extend(problems.take(step.map_err(|error| error.within(&place.to_string()).within("steps")))?);
        }
        // In a document a name is the whole reference: its place is the end of the path.
        problems.check().map_err(|error| plain(error, &["email", "slug"]))?;
        Ok(steps)
    }

    async fn check_people(&self, connection: &impl ConnectionTrait, ctx: &Ctx, task: &TaskEffect) -> Result<()> {
        let Some(team) = self.team_of(connection, ctx, task).await? else { return Ok(()) };
        let Some(assignee) = &task.assignee else { return Ok(()) };
        let user = self.access().user_with(connection, ctx, &UserRef::Email(assignee.clone())).await;
        let user = user.map_err(|error| plain(error, &["email"]).within("assignee"))?;
        if self.may_do(connection, ctx, &team, &user).await? {
            return Ok(());
        }
        let message = format!("{} is no active member of the team `{}`", user.text("name"), team.text("slug"));
        Err(UserError::constraint(["assignee"], message, "teamMember", None).into())
    }

    async fn team_of(&self, connection: &impl ConnectionTrait, ctx: &Ctx, task: &TaskEffect) -> Result<Option<Row>> {
        let Some(slug) = &task.team else { return Ok(None) };
        let team = self.access().team_with(connection, ctx, &TeamRef::Slug(slug.clone())).await;
        team.map(Some).map_err(|error| plain(error, &["slug"]).within("team"))
    }

    async fn may_do(&self, connection: &impl ConnectionTrait, ctx: &Ctx, team: &Row, user: &Row) -> Result<bool> {
        Ok(user.bool("active") && self.access().is_member(connection, ctx, team.id(), user.id()).await?)
    }

    /// Gets ready what a transition's effects make, the ticket being as the transition leaves it.
    ///
    /// # Errors
    /// `NOT_FOUND`, `VALIDATION`, `LIMIT` with the place in the workflow; a shortage of numbers, which
    /// [`Tickets::write_stocked`] mends.
    pub(crate) async fn prepare_in(&self, tx: &mut Tx, edit: &Edit, transition: &Transition) -> Result<Prepared> {
        let mut prepared = Prepared::default();
        let mut tasks = 0;
        for (number, effect) in transition.effects.iter().enumerate() {
            let (name, result) = match effect {
                Effect::SetField { .. } | Effect::SetWaitingReason { .. } => continue,
                Effect::StartApproval(effect) => {
                    let policy = self.prepare_approval_in(tx, edit, effect, prepared.approvals.len()).await;
                    ("startApproval", policy.map(|policy| prepared.approvals.push(policy)))
                }
                Effect::CreateTasks(effect) => {
                    tasks += effect.tasks.len();
                    let plan = self.prepare_plan_in(tx, edit, effect, tasks).await;
                    ("createTasks", plan.map(|plan| prepared.plans.push(plan)))
                }
            };
            result.map_err(|error| blame(error.within(name), &edit.workflow, transition, number))?;
        }
        // Last, so that nothing that is refused uses numbers up.
        let mut numbers = self.numbers().supply(tx.ctx(), TicketKind::Task, tasks)?;
        for plan in &mut prepared.plans {
            plan.numbers = numbers.split_off(numbers.len() - plan.tasks.len());
        }
        Ok(prepared)
    }

    async fn prepare_approval_in(
        &self,
        tx: &mut Tx,
        edit: &Edit,
        effect: &StartApprovalEffect,
        more: usize,
    ) -> Result<ApprovalPolicy> {
        let system = self.access().system_ctx(tx.ctx().tenant, &tx.ctx().request_id);
        let steps = self.approval_steps(&*tx, &system, effect).await?;
        let policy = ApprovalPolicy {
            name: effect.name.trim().to_owned(),
            steps,
            self_approval: effect.self_approval,
            bound_fields: effect.bound_fields.clone().unwrap_or_default(),
            blocks: effect.blocks.clone(),
            expires_at: effect.expires_after()?.map(|length| tx.now() + length),
        };
        self.check_approval_in(tx, edit, &policy, more).await?;
        Ok(policy)
    }

    async fn prepare_plan_in(
        &self,
        tx: &mut Tx,
        edit: &Edit,
        effect: &CreateTasksEffect,
        more: usize,
    ) -> Result<PreparedPlan> {
        let system = self.access().system_ctx(tx.ctx().tenant, &tx.ctx().request_id);
        edit.hold_in(tx).await?;
        self.check_room_for_tasks_in(tx, &edit.after, more).await.map_err(|error| error.within("tasks"))?;
        let (drafts, order) = plan::checked(&effect.plan())?;
        let mut tasks = Vec::with_capacity(drafts.len());
        for (place, (draft, task)) in drafts.into_iter().zip(&effect.tasks).enumerate() {
            let team = self.team_of(&*tx, &system, task).await;
            let team = team.map_err(|error| error.within(&place.to_string()).within("tasks"))?;
            let assignee = self.assignee_of(tx, &system, task, team.as_ref()).await?;
            tasks.push((draft, TaskPeople { team, assignee }));
        }
        Ok(PreparedPlan { tasks, order, numbers: Vec::new() })
    }

    /// Who does the task; nobody when they have left, or left the team.
    async fn assignee_of(&self, tx: &mut Tx, ctx: &Ctx, task: &TaskEffect, team: Option<&Row>) -> Result<Option<Row>> {
        let (Some(email), Some(team)) = (&task.assignee, team) else { return Ok(None) };
        let user = match self.access().user_with(&*tx, ctx, &UserRef::Email(email.clone())).await {
            Ok(user) => user,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(other) => return Err(other),
        };
        Ok(self.may_do(&*tx, ctx, team, &user).await?.then_some(user))
    }

    /// Makes what was prepared, the transition being written.
    ///
    /// # Errors
    /// Database errors; a lost race is run again.
    pub(crate) async fn make_in(&self, tx: &mut Tx, edit: &mut Edit, key: &str, prepared: Prepared) -> Result<()> {
        for policy in &prepared.approvals {
            edit.proceed();
            self.begin_approval_in(tx, edit, policy, Some(key)).await?;
        }
        edit.proceed();
        for plan in prepared.plans {
            let (tasks, mut numbers) = (plan.tasks, plan.numbers);
            let mut made = plan::Made::default();
            for (index, needs) in &plan.order {
                let (draft, people) = &tasks[*index];
                let number = std::mem::take(&mut numbers[*index]);
                let new =
                    NewTask { draft, people: people.clone(), number, parent: Some(edit.before.id()), by: Some(key) };
                let task = self.insert_task_of_in(tx, &edit.before, new, &made.needed(needs)).await?;
                made.add(*index, task.after);
            }
        }
        Ok(())
    }
}

/// The same error without the last part of its paths, where that is one of these.
fn plain(error: Error, last: &[&str]) -> Error {
    let Error::Refused(errors) = error else { return error };
    let shorter = |mut error: UserError| {
        if error.path.last().is_some_and(|part| last.contains(&part.as_str())) {
            error.path.pop();
        }
        error
    };
    Error::Refused(errors.into_iter().map(shorter).collect())
}

/// What is wrong with the workflow, for those who take the transition and can do nothing about it but tell.
fn blame(error: Error, workflow: &Workflow, transition: &Transition, number: usize) -> Error {
    let Error::Refused(errors) = error else { return error };
    let told = |mut error: UserError| {
        error.message = format!(
            "`{}` cannot do what version {} of the workflow `{}` has it do: {}",
            transition.key, workflow.version, workflow.key, error.message
        );
        error.within(&number.to_string()).within("effects").within("transition")
    };
    Error::Refused(errors.into_iter().map(told).collect())
}
