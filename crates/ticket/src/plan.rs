//! Plans: several tasks with dependencies between them, put on a ticket at once, all or none.

use std::collections::{BTreeMap, VecDeque};

use kernel::error::Problems;
use kernel::{Ctx, Result, UserError};
use store::query::Row;
use store::{Event, Written};

use crate::commands::check_text;
use crate::events;
use crate::fields::TASK;
use crate::model::{MAX_KEY, MAX_PLAN, TicketKind};
use crate::queries::{RELATIONS, TicketRef};
use crate::service::Tickets;
use crate::task::{Needed, TaskDraft, checked_draft, require_for_draft};

/// A task of a plan.
#[derive(Clone, Debug)]
pub struct PlannedTask {
    /// Names it within the plan.
    pub key: String,
    /// What it says.
    pub draft: TaskDraft,
    /// The keys of the tasks that must be done first.
    pub depends_on: Vec<String>,
}

/// Put a plan on a ticket.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    /// Which ticket.
    pub ticket: TicketRef,
    /// The tasks, at most [`MAX_PLAN`].
    pub tasks: Vec<PlannedTask>,
}

/// The tasks that were made, in the order of the plan, and what was recorded.
#[derive(Clone, Debug)]
pub struct PlanOutcome {
    /// The tasks that the viewer may see.
    pub tasks: Vec<Row>,
    /// What was recorded.
    pub events: Vec<Event>,
}

impl Tickets {
    /// Puts a plan on a ticket: all of its tasks or none.
    ///
    /// # Errors
    /// As [`Tickets::create_task`], with the task's place in the plan; `VALIDATION` for keys that are given twice or are unknown,
    /// and for a circle; `LIMIT` beyond [`MAX_PLAN`].
    pub async fn apply_plan(&self, ctx: &Ctx, command: ApplyPlan) -> Result<PlanOutcome> {
        for task in &command.tasks {
            require_for_draft(ctx, &task.draft)?;
        }
        let (drafts, order) = checked(&command.tasks)?;
        let mut numbers = Vec::with_capacity(drafts.len());
        for _ in &drafts {
            numbers.push(self.numbers().next(ctx, TicketKind::Task).await?);
        }
        let (tickets, ticket) = (self.clone(), command.ticket);
        let written = self.store().write(ctx, "taskPlanApply", move |tx| {
            let (tickets, ticket, drafts) = (tickets.clone(), ticket.clone(), drafts.clone());
            let (order, numbers) = (order.clone(), numbers.clone());
            Box::pin(async move {
                let parent = tickets.task_parent_in(tx, &ticket, "id", drafts.len()).await?;
                let mut made = Made::default();
                for (index, needs) in order {
                    let (draft, number) = (&drafts[index], numbers[index].clone());
                    let task = tickets.insert_task_in(tx, &parent, draft, number, &made.needed(&needs)).await;
                    made.add(index, task.map_err(|error| at(index, error))?.after);
                }
                tx.answers_with(parent.reference());
                Ok(made.0.into_values().collect::<Vec<_>>())
            })
        });
        self.plan_outcome(ctx, written.await?).await
    }

    async fn plan_outcome(&self, ctx: &Ctx, written: Written<Vec<Row>>) -> Result<PlanOutcome> {
        let events = self.events_of(ctx, &written).await?;
        let tasks = match written {
            Written::Fresh { value, .. } => value.into_iter().filter_map(|row| self.masked(ctx, row)).collect(),
            Written::Replayed { .. } => {
                let made = events.iter().filter(|event| event.kind == events::TASK_CREATED);
                let ids: Vec<_> = made.map(|event| event.subject).collect();
                let mut rows = self.by_ids(ctx, &TASK, &ids, RELATIONS).await?;
                rows.sort_by_key(|row| row.text("number"));
                rows
            }
        };
        Ok(PlanOutcome { tasks, events })
    }
}

/// The tasks of a plan that there are so far, by their places.
#[derive(Default)]
pub(crate) struct Made(BTreeMap<usize, Row>);

impl Made {
    /// One more.
    pub(crate) fn add(&mut self, index: usize, task: Row) {
        self.0.insert(index, task);
    }

    /// Those at these places, as tasks that another one needs.
    pub(crate) fn needed(&self, places: &[usize]) -> Vec<Needed> {
        places.iter().filter_map(|place| Some((self.0.get(place)?.id(), false))).collect()
    }
}

/// An error of a task, with its place in the plan.
fn at(index: usize, error: kernel::Error) -> kernel::Error {
    error.within(&index.to_string()).within("tasks")
}

/// The place of each task in the plan with those that it needs, in an order in which each comes after all that it needs.
pub(crate) type Order = Vec<(usize, Vec<usize>)>;

/// What the tasks of a plan say, checked, and the order in which they can be made.
///
/// # Errors
/// `VALIDATION`, `LIMIT` at `tasks`.
pub(crate) fn checked(tasks: &[PlannedTask]) -> Result<(Vec<TaskDraft>, Order)> {
    if tasks.is_empty() || tasks.len() > MAX_PLAN {
        let message = format!("a plan has 1 to {MAX_PLAN} tasks; this one has {}", tasks.len());
        return Err(UserError::limit(["tasks"], message, MAX_PLAN as u64).into());
    }
    let mut problems = Problems::default();
    let mut drafts = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        let mut inner = Problems::default();
        check_text(&mut inner, "key", &task.key, MAX_KEY);
        if tasks[..index].iter().any(|earlier| earlier.key == task.key) {
            inner.add(UserError::constraint(["key"], format!("`{}` is given twice", task.key), "unique", None));
        }
        drafts.push(checked_draft(task.draft.clone(), &mut inner));
        for (place, key) in task.depends_on.iter().enumerate() {
            if !tasks.iter().any(|other| other.key == *key) {
                let path = ["dependsOn".to_owned(), place.to_string()];
                inner.add(UserError::constraint(path, format!("the plan has no task `{key}`"), "unknownKey", None));
            }
        }
        problems.take(inner.check().map_err(|error| at(index, error)))?;
    }
    problems.check()?;
    match ordered(tasks) {
        Ok(order) => Ok((drafts, order)),
        Err(index) => {
            let message = format!("`{}` would depend on itself, directly or through others", tasks[index].key);
            let path = ["tasks".to_owned(), index.to_string(), "dependsOn".to_owned()];
            Err(UserError::constraint(path, message, "circle", None).into())
        }
    }
}

/// The order, or the place of a task that stands in a circle or behind one.
fn ordered(tasks: &[PlannedTask]) -> Result<Order, usize> {
    let place = |key: &String| tasks.iter().position(|task| task.key == *key);
    let needs: Vec<Vec<usize>> = tasks
        .iter()
        .map(|task| {
            let mut needs: Vec<usize> = task.depends_on.iter().filter_map(place).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        })
        .collect();
    let mut open: VecDeque<usize> = (0..tasks.len()).collect();
    let mut order: Order = Vec::with_capacity(tasks.len());
    let mut passed = 0;
    while let Some(index) = open.pop_front() {
        if needs[index].iter().all(|need| order.iter().any(|(placed, _)| placed == need)) {
            order.push((index, needs[index].clone()));
            passed = 0;
        } else if passed > open.len() {
            return Err(index);
        } else {
            passed += 1;
            open.push_back(index);
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(edges: &[(usize, usize)], count: usize) -> Vec<PlannedTask> {
        let needs = |index| edges.iter().filter(move |(from, _)| *from == index).map(|(_, to)| to.to_string());
        (0..count)
            .map(|index| PlannedTask {
                key: index.to_string(),
                draft: TaskDraft::default(),
                depends_on: needs(index).collect(),
            })
            .collect()
    }

    #[test]
    fn a_circle_is_found() {
        assert!(ordered(&plan(&[(0, 1), (1, 2)], 3)).is_ok());
        assert!(ordered(&plan(&[(0, 1), (1, 2), (2, 0)], 4)).is_err());
        assert_eq!(ordered(&plan(&[(1, 1)], 2)), Err(1));
    }

    proptest! {
        #[test]
        fn each_comes_after_what_it_needs(edges in proptest::collection::vec((0usize..8, 0usize..8), 0..14)) {
            // A way from a lower number to a higher one: never a circle.
            let forward: Vec<_> = edges.iter().copied().filter(|(from, to)| from < to).collect();
            let order = ordered(&plan(&forward, 8)).unwrap();
            prop_assert_eq!(order.len(), 8);
            let at = |wanted: usize| order.iter().position(|(index, _)| *index == wanted).unwrap();
            for (from, to) in &forward {
                prop_assert!(at(*to) < at(*from));
            }
            // With the way back, there is one as soon as there is an edge.
            if let Some((from, to)) = forward.first() {
                let mut circle = forward.clone();
                circle.push((*to, *from));
                prop_assert!(ordered(&plan(&circle, 8)).is_err());
            }
        }
    }
}
