//! Numbers for people: `INC-1042`. Unique per tenant and kind; neither gap-free nor chronological.
//!
//! A process reserves blocks in a transaction of its own, so that no counter row is ever locked by a mutation.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::{Ctx, Error, Mutation, Result, Uuid};
use store::{Store, Written};

use crate::model::TicketKind;
use crate::tables;

/// How many numbers a process reserves at a time.
pub const BLOCK: i64 = 20;

/// What a write fails with that needs more numbers than are reserved: outside of it they can be.
pub(crate) const SHORT: &str = "a write needs more numbers than are reserved";

/// What is left of each tenant's and kind's blocks.
type Blocks = HashMap<(Uuid, TicketKind), Reserve>;

#[derive(Default)]
struct Reserve {
    ranges: VecDeque<Range<i64>>,
    /// How many a write lacked.
    wanted: usize,
}

impl Reserve {
    fn next(&mut self) -> Option<i64> {
        while let Some(range) = self.ranges.front_mut() {
            if let Some(number) = range.next() {
                return Some(number);
            }
            self.ranges.pop_front();
        }
        None
    }

    fn left(&self) -> usize {
        self.ranges.iter().map(|range| usize::try_from(range.end - range.start).unwrap_or_default()).sum()
    }
}

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
        let start = self.reserve(ctx, kind, BLOCK).await?;
        self.blocks().entry((ctx.tenant, kind)).or_default().ranges.push_back(start + 1..start + BLOCK);
        Ok(format(kind, start))
    }

    /// So many numbers of those that are reserved, for use inside a write.
    ///
    /// # Errors
    /// When there are not as many: [`crate::Tickets::write_stocked`] reserves them once the write is over, and runs it again.
    pub fn supply(&self, ctx: &Ctx, kind: TicketKind, count: usize) -> Result<Vec<String>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut blocks = self.blocks();
        let reserve = blocks.entry((ctx.tenant, kind)).or_default();
        if reserve.left() < count {
            reserve.wanted = reserve.wanted.max(count);
            return Err(Error::internal(SHORT));
        }
        Ok(std::iter::from_fn(|| reserve.next()).take(count).map(|number| format(kind, number)).collect())
    }

    /// Reserves what writes of the tenant lacked.
    ///
    /// # Errors
    /// Database errors.
    pub(crate) async fn restock(&self, ctx: &Ctx, kind: TicketKind) -> Result<()> {
        let wanted = std::mem::take(&mut self.blocks().entry((ctx.tenant, kind)).or_default().wanted);
        let count = i64::try_from(wanted).unwrap_or(i64::MAX).max(BLOCK);
        let start = self.reserve(ctx, kind, count).await?;
        self.blocks().entry((ctx.tenant, kind)).or_default().ranges.push_back(start..start + count);
        Ok(())
    }

    /// Reserves a block in a transaction of its own; its first number.
    async fn reserve(&self, ctx: &Ctx, kind: TicketKind, count: i64) -> Result<i64> {
        let tenant = ctx.tenant;
        let reserve = ctx.for_mutation(Mutation::default());
        let written = self
            .store
            .write(&reserve, "ticket.reserveNumbers", move |tx| {
                Box::pin(async move { tables::reserve_numbers_in(tx, tenant, kind, count).await })
            })
            .await?;
        let Written::Fresh { value: start, .. } = written else {
            return Err(Error::internal("a reservation of numbers was taken for a replay"));
        };
        Ok(start)
    }

    fn take(&self, tenant: Uuid, kind: TicketKind) -> Option<String> {
        self.blocks().get_mut(&(tenant, kind))?.next().map(|number| format(kind, number))
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn format(kind: TicketKind, number: i64) -> String {
    format!("{}-{number}", kind.number_prefix())
}
