//! Files of tickets: all of the data set is exported, and as many lines are imported.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};

use crate::asking::Asking;
use crate::data::Manifest;
use crate::data::company::{email, team_slug};
use crate::load::Connection;
use crate::server::Server;

/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(1_800);
const EXPORTED: &str = "... on TicketExport { tickets bytes sha256 downloadUrl }";
const IMPORTED: &str = "... on TicketImport { rows created failed }";
const STARTED: &str = "operation { id }";

/// Who exports and imports.
pub struct Transfer<'m> {
    runtime: Runtime,
    asking: Asking<'m>,
    /// How many lines are imported at once.
    lines: usize,
}

impl<'m> Transfer<'m> {
    /// Connects.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn prepare(server: &Server, manifest: &'m Manifest) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let asking = runtime.block_on(Asking::open(server, manifest))?;
        Ok(Self { runtime, asking, lines: usize::try_from(manifest.tickets)? })
    }

    /// Exports all tickets as JSON Lines and fetches the file; how many there are, and how long it took.
    ///
    /// # Errors
    /// When the file is not what was told.
    pub fn export(&mut self) -> Result<(u64, Duration)> {
        let asking = &mut self.asking;
        self.runtime.block_on(async {
            let begun = Instant::now();
            let started = asking.done("ticketExport", "TicketExportInput", json!({}), STARTED).await?;
            let result = asking.result(&started["operation"], EXPORTED, PATIENCE).await?;
            let url = result["downloadUrl"].as_str().context("an export without a link")?;
            let request = format!("GET {url} HTTP/1.1\r\nhost: bench\r\n\r\n");
            let (status, body) = asking.connection.exchange(request.as_bytes()).await?;
            let took = begun.elapsed();
            ensure!(status == 200 && result["bytes"] == body.len(), "the file has {} bytes: {result}", body.len());
            ensure!(result["sha256"] == hex(body), "the file is another one: {result}");
            Ok((result["tickets"].as_u64().context("an export of no tickets")?, took))
        })
    }

    /// Sends a file and imports it; how many lines it has, and how long it took from the call to the end of the operation.
    ///
    /// # Errors
    /// When a line was not made a ticket.
    pub fn import(&mut self) -> Result<(u64, Duration)> {
        let file = file(self.lines);
        let (asking, lines) = (&mut self.asking, self.lines);
        self.runtime.block_on(async {
            let announced = json!({
                "fileName": "tickets.jsonl", "mediaType": "application/jsonl", "bytes": file.len(), "sha256": hex(file.as_bytes()),
            });
            let mut upload =
                asking.done("uploadCreate", "UploadCreateInput", announced, "upload { id url }").await?["upload"].take();
            send(&mut asking.connection, &upload["url"], file.as_bytes()).await?;
            let begun = Instant::now();
            let input = json!({ "upload": upload["id"].take() });
            let started = asking.done("ticketImport", "TicketImportInput", input, STARTED).await?;
            let result = asking.result(&started["operation"], IMPORTED, PATIENCE).await?;
            ensure!(result["created"] == lines, "not all were imported: {result}");
            Ok((lines as u64, begun.elapsed()))
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Incidents of some teams and requesters, a line each.
fn file(lines: usize) -> String {
    let mut file = String::new();
    for number in 0..lines {
        let line = json!({
            "kind": "INCIDENT", "title": format!("Imported incident {number}"), "team": team_slug(number % 10),
            "description": "What was said of it in the system that it comes from.", "requester": email(number % 100),
            "externalRefs": [{ "source": "elsewhere", "key": kernel::random::below(u64::MAX).to_string() }],
        });
        // Writing to a text cannot fail.
        let _ = writeln!(file, "{line}");
    }
    file
}

async fn send(connection: &mut Connection, url: &Value, bytes: &[u8]) -> Result<()> {
    let url = url.as_str().context("an upload without a link")?;
    let head = format!("PUT {url} HTTP/1.1\r\nhost: bench\r\ncontent-length: {}\r\n\r\n", bytes.len());
    let (status, body) = connection.exchange(&[head.as_bytes(), bytes].concat()).await?;
    ensure!(status == 204, "the file was answered with {status}: {}", String::from_utf8_lossy(body));
    Ok(())
}
