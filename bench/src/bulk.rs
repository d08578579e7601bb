//! A bulk transition: a thousand tickets are put on hold in the background, and back to work.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::asking::Asking;
use crate::data::Manifest;
use crate::server::Server;

/// How many tickets are moved together.
pub const TICKETS: usize = 1_000;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(120);
const RESULT: &str = "... on TicketBulkSummary { done failed }";

/// Tickets that are worked on, and who moves them.
pub struct Bulk<'m> {
    runtime: Runtime,
    asking: Asking<'m>,
    tickets: Vec<String>,
}

impl<'m> Bulk<'m> {
    /// Opens the tickets.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn prepare(server: &Server, manifest: &'m Manifest) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (asking, tickets) = runtime.block_on(async {
            let mut asking = Asking::open(server, manifest).await?;
            let tickets = asking.tickets(TICKETS, &json!({ "tags": ["bulk"] })).await?;
            Ok::<_, anyhow::Error>((asking, tickets))
        })?;
        Ok(Self { runtime, asking, tickets })
    }

    /// Moves them all, and answers how long it took from the call to the end of the operation.
    ///
    /// # Errors
    /// When one of them was not moved.
    pub fn go(&mut self, hold: bool) -> Result<Duration> {
        let (transition, fields) = match hold {
            true => ("hold", json!({ "waitingReason": "VENDOR" })),
            false => ("resume", json!({})),
        };
        let input = json!({ "ids": self.tickets, "transition": transition, "fields": fields });
        let asking = &mut self.asking;
        self.runtime.block_on(async {
            let begun = Instant::now();
            let started =
                asking.done("ticketBulkTransition", "TicketBulkTransitionInput", input, "operation { id }").await?;
            let result = asking.result(&started["operation"], RESULT, PATIENCE).await?;
            ensure!(result["done"] == TICKETS, "not all were moved: {result}");
            Ok(begun.elapsed())
        })
    }
}
