//! Bulk changes whose server is killed meanwhile: within calls that are repeated, and in the background. Each ticket is changed once by
//! each of them.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use rand::RngExt;
use serde_json::json;
use tests::client::Client;

use crate::Run;
use crate::audit::{all, over};
use crate::place::{Place, Process, free_address};
use crate::replicas::until_done;

/// How many calls change a hundred tickets each, in a short run and in a long one.
const CALLS: (usize, usize) = (4, 40);
/// How many tickets a call changes: as many as it does itself.
const CALL: usize = ticket::bulk::MAX_AT_ONCE;
/// How many calls at once.
const WRITERS: usize = 4;
/// How long the change of all tickets may take: what a killed process had begun is another one's a minute later, each time.
const PATIENCE: Duration = Duration::from_secs(600);

const RESULT: &str = "... on TicketBulkSummary { tickets done failed }";
const SEEN: &str = "query($after: Cursor) { incidents(first: 50, after: $after, filter: { tags: { has: \"bulk\" } }) { \
    pageInfo { hasNextPage endCursor } nodes { number version impact urgency } } }";

async fn open(client: &Client, number: usize) -> Result<()> {
    let tags = json!(["bulk", format!("call-{}", number / CALL)]);
    let input = json!({ "title": format!("bulk {number}"), "team": { "slug": "network" }, "tags": tags });
    until_done(client, "incidentCreate", &input).await.map(drop)
}

/// Changes the tickets of a call, which is repeated until it is answered; how many of its results say that it was done.
async fn change(client: &Client, call: usize) -> Result<usize> {
    let filter = json!({ "tags": { "has": format!("call-{call}") } });
    let input = json!({ "filter": filter, "patch": { "impact": "HIGH" } });
    let changed = until_done(client, "ticketBulkUpdate", &input).await?;
    let results = changed["results"].as_array().context("results")?.iter();
    Ok(results.filter(|result| result["outcome"] == "DONE").count())
}

/// Ends the server: at once in a long run, else as SIGTERM does, after which nobody waits for a lease.
async fn end(run: &Run, process: Process) -> Result<()> {
    if run.long {
        process.kill().await?;
        run.report.fault("kill -9");
    } else {
        process.terminate().await?;
        run.report.fault("SIGTERM");
    }
    Ok(())
}

/// See the module.
pub async fn bulk(run: &Run) -> Result<()> {
    let place: Place = run.place(None).await?;
    let mut rng = run.rng();
    let address = free_address()?;
    let process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let calls = if run.long { CALLS.1 } else { CALLS.0 };
    let count = calls * CALL;
    let opening = iter(0..count).map(|number| open(&client, number)).buffer_unordered(2 * WRITERS);
    opening.try_collect::<Vec<()>>().await?;

    let changing = iter(0..calls).map(|call| change(&client, call)).buffer_unordered(WRITERS);
    let changing = changing.try_fold(0, async |sum, done| Ok(sum + done));
    let killing = async {
        let mut process = process;
        for _ in 0..run.rounds(2, 12) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(50..1_500))).await;
            process.kill().await?;
            run.report.fault("kill -9");
            process = place.serve(address).await?;
        }
        Ok::<_, anyhow::Error>(process)
    };
    let (changed, killed) = tokio::join!(changing, killing);
    let mut process = killed?;
    let changed = changed?;
    run.report.check(changed == count, || format!("{changed} of {count} results say that it was done"));

    let input = json!({ "filter": { "tags": { "has": "bulk" } }, "patch": { "urgency": "HIGH" } });
    let started = until_done(&client, "ticketBulkUpdate", &input).await?;
    for _ in 0..run.rounds(2, 3) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..1_000))).await;
        end(run, process).await?;
        process = place.serve(address).await?;
    }
    let result = over(&client, &started["operation"]["id"], RESULT, PATIENCE).await?;
    run.report.check(result == json!({ "tickets": count, "done": count, "failed": 0 }), || {
        format!("it came out as {result}")
    });
    let seen = all(&client, SEEN, "incidents").await;
    run.report.count("tickets changed", seen.len());
    run.report.check(seen.len() == count, || format!("{} of {count} incidents", seen.len()));
    for incident in &seen {
        let twice = json!({ "version": 3, "impact": "HIGH", "urgency": "HIGH", "number": incident["number"] });
        run.report.check(*incident == twice, || format!("not changed once by each: {incident}"));
    }
    process.kill().await?;
    place.delete().await;
    Ok(())
}
