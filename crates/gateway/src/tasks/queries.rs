//! Queries of tasks.

use async_graphql::{Context, Object, Result};
use kernel::{Page, Uuid};
use predicate::Predicate;
use store::query::{OrderTerm, Slice};
use ticket::fields::TASK;
use ticket::queries::ListRequest;

use super::Task;
use crate::connection::{connection, page};
use crate::context::{platform, viewer};
use crate::loaders;
use crate::scalars::Cursor;
use crate::tickets::filters::{TaskFilter, TaskOrder};
use crate::tickets::queries::{TicketRef, find, log_cursor, node_selections, relations};

connection! {
    /// A page of tasks.
    TaskConnection, TaskEdge, Task
}

/// Queries of tasks.
#[derive(Default)]
pub struct TaskQueries;

#[Object]
impl TaskQueries {
    /// A task. Null when there is none that the viewer may see.
    async fn task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which task, such as `{ number: \"TSK-1001\" }`.")] by: TicketRef,
    ) -> Option<Result<Task>> {
        let relations = relations(&[ctx.look_ahead()], &TASK);
        find(ctx, by, &TASK, &relations).await.map(|row| row.map(Task::from_row)).transpose()
    }

    /// Tasks that the viewer may see, of all tickets. Newest first, unless ordered.
    #[allow(clippy::too_many_arguments)]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tasks, such as `{ openDependencies: { eq: 0 }, team: { hasViewer: true } }`.")]
        filter: Option<TaskFilter>,
        #[graphql(desc = "In which order, at most 5 terms; the id always decides last.")] order_by: Option<
            Vec<TaskOrder>,
        >,
        #[graphql(desc = "How many from the front, at most 100; 20 when neither `first` nor `last` is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only those behind this cursor.")] after: Option<Cursor>,
        #[graphql(desc = "How many from the back, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<Cursor>,
    ) -> Result<TaskConnection> {
        let viewer = viewer(ctx)?;
        let filter = filter.unwrap_or_default().predicate().map_err(|error| error.within("filter"))?;
        let order = TaskOrder::terms(order_by)?;
        let page = page(first, after, last, before)?;
        let log_cursor = log_cursor(ctx, &viewer).await?;
        let relations = relations(&node_selections(ctx), &TASK);
        let request = ListRequest { record: &TASK, filter: filter.clone(), order, page, relations };
        let slice = platform(ctx).tickets.list(&viewer, request).await?;
        Ok(TaskConnection::new(slice, Some((&TASK, filter)), log_cursor))
    }
}

/// The tasks of a ticket: batched over all tickets of the answer, unless the page begins at a cursor.
pub async fn of_ticket(ctx: &Context<'_>, ticket: Uuid, page: Page) -> Result<TaskConnection> {
    let filter = Predicate::eq("parent", ticket);
    let counted = Some((&TASK, filter.clone()));
    let order = vec![OrderTerm { field: "createdAt".into(), descending: false, nulls_first: false }];
    let asks_for_place = {
        let selection = ctx.look_ahead();
        ["pageInfo", "edges", "logCursor"].iter().any(|field| selection.field(field).exists())
    };
    if page.after.is_none() && page.before.is_none() && !asks_for_place {
        let rows = loaders::tasks(ctx, ticket, page.direction, page.limit).await?;
        return Ok(TaskConnection::new(Slice { rows, ..Slice::default() }, counted, None));
    }
    let viewer = viewer(ctx)?;
    let log_cursor = log_cursor(ctx, &viewer).await?;
    let request = ListRequest { record: &TASK, filter, order, page, relations: Vec::new() };
    let slice = platform(ctx).tickets.list(&viewer, request).await?;
    Ok(TaskConnection::new(slice, counted, log_cursor))
}
