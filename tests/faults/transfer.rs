//! Files of tickets whose server is killed while it reads and writes them. Each line becomes one ticket, and each ticket stands in the file
//! once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::client::Client;

use crate::Run;
use crate::audit::{all, over, patiently};
use crate::place::{Place, Process, free_address};
use crate::replicas::until_done;

/// How many lines the file has, in a short run and in a long one.
const LINES: (usize, usize) = (1_000, 20_000);
/// How long each may take: what a killed process had begun is another one's a minute later, each time.
const PATIENCE: Duration = Duration::from_secs(900);
const SEEN: &str = "query($after: Cursor) { incidents(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { title version } } }";

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn sent(client: &Client, bytes: Vec<u8>) -> Result<Value> {
    let announced =
        json!({ "fileName": "x.jsonl", "mediaType": "application/jsonl", "bytes": bytes.len(), "sha256": hex(&bytes) });
    let upload = until_done(client, "uploadCreate", &announced).await?["upload"].take();
    let url = client.url(upload["url"].as_str().context("an upload without a link")?);
    let status = client.http.put(url).body(bytes).send().await?.status();
    ensure!(status.as_u16() == 204, "the file was answered with {status}");
    Ok(upload["id"].clone())
}

/// Has an operation go on while the server is ended again and again; in a short run only by SIGTERM, after which nobody waits for a lease.
async fn through(
    run: &Run,
    place: &Place,
    client: &Client,
    mut process: Process,
    (id, result): (&Value, &str),
) -> Result<(Process, Value)> {
    let mut rng = run.rng();
    for _ in 0..run.rounds(3, 6) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..800))).await;
        let address = process.address;
        if run.long {
            process.kill().await?;
            run.report.fault("kill -9");
        } else {
            process.terminate().await?;
            run.report.fault("SIGTERM");
        }
        process = place.serve(address).await?;
    }
    let result = over(client, id, result, PATIENCE).await?;
    Ok((process, result))
}

/// See the module.
pub async fn transfer(run: &Run) -> Result<()> {
    let place: Place = run.place(None).await?;
    let address = free_address()?;
    let process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let lines = if run.long { LINES.1 } else { LINES.0 };
    let line = |number: usize| format!("{}\n", json!({ "title": format!("line {number}") }));
    let upload = sent(&client, (0..lines).map(line).collect::<String>().into_bytes()).await?;
    let started = until_done(&client, "ticketImport", &json!({ "upload": upload, "kind": "INCIDENT" })).await?;
    let import = (&started["operation"]["id"], "... on TicketImport { rows created failed }");
    let (process, result) = through(run, &place, &client, process, import).await?;
    run.report.check(result == json!({ "rows": lines, "created": lines, "failed": 0 }), || {
        format!("the import came out as {result}")
    });
    let seen = all(&client, SEEN, "incidents").await;
    let wanted: BTreeSet<String> = (0..lines).map(|number| format!("line {number}")).collect();
    let titles: Vec<&str> = seen.iter().filter_map(|incident| incident["title"].as_str()).collect();
    run.report.count("lines imported", titles.len());
    let distinct: BTreeSet<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    run.report.check(titles.len() == lines && distinct == wanted, || {
        format!("{} tickets with {} titles of {lines} lines", titles.len(), distinct.len())
    });

    let started = until_done(&client, "ticketExport", &json!({})).await?;
    let id = &started["operation"]["id"];
    let export = (id, "... on TicketExport { tickets bytes sha256 }");
    let (process, result) = through(run, &place, &client, process, export).await?;
    let link = "query($id: ID!) { operation(id: $id) { result { ... on TicketExport { downloadUrl } } } }";
    let shown = patiently(&client, link, json!({ "id": id })).await;
    let url = shown["operation"]["result"]["downloadUrl"].as_str().context("an export without a link")?.to_owned();
    let bytes = client.http.get(client.url(&url)).send().await?.bytes().await?;
    let told = json!({ "tickets": lines, "bytes": bytes.len(), "sha256": hex(&bytes) });
    run.report.check(result == told, || format!("the export came out as {result}, the file as {told}"));
    let rows: Vec<Value> =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let distinct: BTreeSet<String> = rows.iter().filter_map(|row| row["title"].as_str()).map(str::to_owned).collect();
    run.report.count("tickets exported", rows.len());
    run.report.check(rows.len() == lines && distinct == wanted, || {
        format!("{} lines with {} titles of {lines} tickets", rows.len(), distinct.len())
    });
    process.kill().await?;
    place.delete().await;
    Ok(())
}
