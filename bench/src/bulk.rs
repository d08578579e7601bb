//! A bulk transition: a thousand tickets are put on hold in the background, and back to work.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::asking::Asking;
use crate::data::Manifest;
use crate::server::Server;
use crate::workload::ask;

/// How many tickets are moved together.
pub const TICKETS: usize = 1_000;
/// How often it is asked how far the operation is.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(120);
const OPERATION: &str = "query Operation($id: ID!) { operation(id: $id) { status \
    result { ... on TicketBulkSummary { done failed } } } }";

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
            let id = started["operation"]["id"].as_str().context("a bulk change without an operation")?.to_owned();
            loop {
                let asked = json!({ "query": OPERATION, "variables": { "id": id } });
                let mut answer = ask(&mut asking.connection, asking.manifest, &asked).await?;
                let operation = answer["data"]["operation"].take();
                if operation["status"] == "SUCCEEDED" {
                    ensure!(operation["result"]["done"] == TICKETS, "not all were moved: {operation}");
                    return Ok(begun.elapsed());
                }
                let under_way = operation["status"] == "PENDING" || operation["status"] == "RUNNING";
                ensure!(under_way && begun.elapsed() < PATIENCE, "the operation came to nothing: {operation}");
                tokio::time::sleep(ASKED_EVERY).await;
            }
        })
    }
}
