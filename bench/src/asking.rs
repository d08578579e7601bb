//! Mutations that prepare what is measured.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::data::Manifest;
use crate::load::Connection;
use crate::server::Server;
use crate::workload::ask;

/// How often it is asked how far an operation is.
const ASKED_EVERY: Duration = Duration::from_millis(10);

/// Asks a server as its administrator, to prepare what is measured.
pub struct Asking<'a> {
    /// The connection.
    pub connection: Connection,
    /// What the data set has.
    pub manifest: &'a Manifest,
}

impl<'a> Asking<'a> {
    /// A connection to the server.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn open(server: &Server, manifest: &'a Manifest) -> Result<Self> {
        Ok(Self { connection: Connection::open(server.address()).await?, manifest })
    }

    /// Does a mutation; its payload.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn done(&mut self, mutation: &str, input_type: &str, input: Value, selection: &str) -> Result<Value> {
        let query = format!(
            "mutation Do($input: {input_type}!) {{ {mutation}(input: $input) {{ {selection} userErrors {{ code message path }} }} }}"
        );
        let asked = json!({ "query": query, "variables": { "input": input } });
        let mut answer = ask(&mut self.connection, self.manifest, &asked).await?;
        let errors = &answer["data"][mutation]["userErrors"];
        ensure!(errors.as_array().is_some_and(Vec::is_empty), "{mutation} was refused: {answer}");
        Ok(answer["data"][mutation].take())
    }

    /// Waits until an operation that was started is over; its result.
    ///
    /// # Errors
    /// When it fails, or takes longer than this.
    pub async fn result(&mut self, started: &Value, selection: &str, patience: Duration) -> Result<Value> {
        let begun = Instant::now();
        let query =
            format!("query Operation($id: ID!) {{ operation(id: $id) {{ status error result {{ {selection} }} }} }}");
        let asked = json!({ "query": query, "variables": { "id": started["id"] } });
        loop {
            let mut answer = ask(&mut self.connection, self.manifest, &asked).await?;
            let operation = answer["data"]["operation"].take();
            if operation["status"] == "SUCCEEDED" {
                return Ok(operation["result"].clone());
            }
            let under_way = operation["status"] == "PENDING" || operation["status"] == "RUNNING";
            ensure!(under_way && begun.elapsed() < patience, "the operation came to nothing: {operation}");
            tokio::time::sleep(ASKED_EVERY).await;
        }
    }
}
