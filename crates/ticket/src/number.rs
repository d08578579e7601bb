//! Numbers for people: `INC-1042`. Unique per tenant and kind; neither gap-free nor chronological.
//!
//! A process reserves blocks in a transaction of its own, so that no counter row is ever locked by a mutation.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use kernel::{Ctx, Mutation, Result, Uuid};
use store::{Store, Written};

use crate::model::TicketKind;
use crate::tables;

/// How many numbers a process reserves at a time.
pub const BLOCK: i64 = 20;

/// What is left of each tenant's and kind's block.
type Blocks = HashMap<(Uuid, TicketKind), Range<i64>>;

/// The blocks that this process has reserved.
#[derive(Clone)]
pub struct Numbers {
    store: Store,
    blocks: Arc<Mutex<Blocks>>,
}

impl Numbers {
    /// Nothing reserved yet.
    pub fn new(store: Store) -> Self {
        Self { store, blocks: Arc::default() }
    }

    /// The next number of the tenant and kind.
    ///
    /// # Errors
    /// Database errors, when a new block has to be reserved.
    pub async fn next(&self, ctx: &Ctx, kind: TicketKind) -> Result<String> {
        if let Some(number) = self.take(ctx.tenant, kind) {
            return Ok(number);
        }
        let tenant = ctx.tenant;
        let reserve = ctx.for_mutation(Mutation::default());
        let written = self
            .store
            .write(&reserve, "ticket.reserveNumbers", move |tx| {
                Box::pin(async move { tables::reserve_numbers_in(tx, tenant, kind, BLOCK).await })
            })
            .await?;
        let Written::Fresh { value: start, .. } = written else {
            return Err(kernel::Error::internal("a reservation of numbers was taken for a replay"));
        };
        let number = start;
        let mut blocks = self.blocks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        blocks.insert((tenant, kind), start + 1..start + BLOCK);
        Ok(format(kind, number))
    }

    fn take(&self, tenant: Uuid, kind: TicketKind) -> Option<String> {
        let mut blocks = self.blocks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        blocks.get_mut(&(tenant, kind))?.next().map(|number| format(kind, number))
    }
}

fn format(kind: TicketKind, number: i64) -> String {
    format!("{}-{number}", kind.number_prefix())
}
