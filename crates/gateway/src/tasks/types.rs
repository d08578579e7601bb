//! The task: the shared fields of tickets, and its own.

use futures_util::future::try_join_all;
use kernel::id::prefix;
use store::query::Row;

use crate::loaders;
use crate::tickets::object::ticket_object;
use crate::tickets::types::{Ticket, TicketRow};
use crate::tickets::words::TicketKind;

/// A piece of the work on a ticket.
#[derive(Clone)]
pub struct Task(pub TicketRow);

impl Task {
    const PREFIX: &'static str = prefix::TASK;
    const KIND: TicketKind = TicketKind::Task;

    /// Of a row of the shared table, its extension joined or not, or of a task's.
    pub fn from_row(row: Row) -> Self {
        Self(TicketRow::new(row, ticket::fields::TASK.name))
    }
}

ticket_object! {
    /// A piece of the work on a ticket.
    Task {
        /// The ticket that it belongs to; null for one that belongs to none, and when the viewer may not see the ticket.
        pub async fn parent(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<Ticket>> {
            match self.0.0.get("parent").as_id() {
                Some(id) => Ok(loaders::ticket(ctx, id).await?.map(Ticket::from_row)),
                None => Ok(None),
            }
        }

        /// The tasks of the same ticket that must be done first, as far as the viewer may see them; at most 100.
        pub async fn depends_on(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Vec<Task>> {
            let rows = loaders::dependencies(ctx, self.0.0.id()).await?;
            let ids = rows.iter().filter_map(|row| row.get("needs").as_id());
            let tasks = try_join_all(ids.map(|id| loaders::ticket(ctx, id))).await?;
            Ok(tasks.into_iter().flatten().map(Task::from_row).collect())
        }

        /// How many of the tasks that it depends on are not done. While there are any, it can be neither started nor completed.
        pub async fn open_dependencies(&self) -> i32 {
            self.0.int("openDependencies")
        }
    }
}
