//! What one practice does because of another, with the processes killed meanwhile: each incident of a problem is told the workaround
//! once, and goes on once when the problem has ended.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use rand::RngExt;
use serde_json::{Value, json};
use store::Engine;
use tests::client::Client;

use crate::Run;
use crate::audit::all;
use crate::place::{Process, free_address};
use crate::replicas::until_done;

/// How many incidents, in a short run and in a long one.
const INCIDENTS: (usize, usize) = (40, 400);
/// How many a call links.
const CALL: usize = 10;
/// How many calls at once.
const WRITERS: usize = 8;
/// How long reactions may take to catch up: what a killed process was at is another one's at once.
const PATIENCE: Duration = Duration::from_secs(120);
const WORKAROUND: &str = "Take the other gateway.";

const SEEN: &str = "query($after: Cursor) { incidents(first: 20, after: $after, filter: { tags: { has: \"caused\" } }) { \
    pageInfo { hasNextPage endCursor } nodes { number state { key } comments(first: 10) { nodes { body } } \
    history(first: 20) { nodes { changes { field before after } } } } } }";

/// How often an incident was told the workaround, and how often it went on.
fn told(incident: &Value) -> (usize, usize) {
    let comments = incident["comments"]["nodes"].as_array().into_iter().flatten();
    let told =
        comments.filter(|comment| comment["body"].as_str().is_some_and(|body| body.contains(WORKAROUND))).count();
    let changes = incident["history"]["nodes"].as_array().into_iter().flatten();
    let went_on = changes.flat_map(|event| event["changes"].as_array().into_iter().flatten()).filter(|change| {
        (&change["field"], &change["before"], &change["after"])
            == (&json!("state"), &json!("on_hold"), &json!("in_progress"))
    });
    (told, went_on.count())
}

/// Waits until it is so of all incidents.
async fn until(client: &Client, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    let waiting = async {
        loop {
            let seen = all(client, SEEN, "incidents").await;
            if seen.iter().all(&is_so) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.with_context(|| format!("not all incidents {what}"))
}

async fn open(client: &Client, number: usize) -> Result<String> {
    let input = json!({ "title": format!("cut off {number}"), "tags": ["caused"], "team": { "slug": "network" } });
    let opened = until_done(client, "incidentCreate", &input).await?;
    let id = opened["incident"]["id"].as_str().context("an incident has an id")?.to_owned();
    move_on(client, &id, "start", json!({})).await?;
    move_on(client, &id, "hold", json!({ "waitingReason": "PROBLEM" })).await?;
    Ok(id)
}

async fn move_on(client: &Client, id: &str, key: &str, fields: Value) -> Result<Value> {
    until_done(client, "ticketTransition", &json!({ "id": id, "transition": key, "fields": fields })).await
}

async fn link(client: &Client, problem: &str, incidents: &[String]) -> Result<usize> {
    let calls = iter(incidents.chunks(CALL)).map(|ids| async move {
        let input = json!({ "problem": problem, "incidents": { "ids": ids } });
        let linked = until_done(client, "problemLinkIncidents", &input).await?;
        let results = linked["results"].as_array().context("results")?.iter();
        Ok::<_, anyhow::Error>(results.filter(|result| result["outcome"] != "REFUSED").count())
    });
    calls.buffer_unordered(WRITERS).try_fold(0, async |sum, linked| Ok(sum + linked)).await
}

/// See the module.
pub async fn reactions(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let (mut addresses, mut processes): (Vec<SocketAddr>, Vec<Process>) = (Vec::new(), Vec::new());
    for _ in 0..if run.engine == Engine::Postgres { 2 } else { 1 } {
        let address = free_address()?;
        processes.push(place.serve(address).await?);
        addresses.push(address);
    }
    let client = place.client(addresses[0], &place.company.admin.token);
    let count = if run.long { INCIDENTS.1 } else { INCIDENTS.0 };
    let opening = iter(0..count).map(|number| open(&client, number)).buffer_unordered(WRITERS);
    let incidents: Vec<String> = opening.try_collect().await?;
    let input = json!({ "title": "The gateway drops lines", "team": { "slug": "network" }, "workaround": WORKAROUND });
    let opened = until_done(&client, "problemCreate", &input).await?;
    let problem = opened["problem"]["id"].as_str().context("a problem has an id")?.to_owned();
    for key in ["assess", "analyze", "fix"] {
        move_on(&client, &problem, key, json!({})).await?;
    }
    // Some are linked before the workaround is published, the others while it is being told.
    let (before, behind) = incidents.split_at(count / 2);
    let mut linked = link(&client, &problem, before).await?;
    until_done(&client, "problemPublishWorkaround", &json!({ "id": problem })).await?;
    let resolving = json!({ "id": problem, "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
    let working = async {
        linked += link(&client, &problem, behind).await?;
        until(&client, "were told the workaround", |incident| told(incident).0 > 0).await?;
        until_done(&client, "problemResolve", &resolving).await
    };
    let killing = async {
        for round in 0..run.rounds(3, 12) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..1_500))).await;
            let victim = round % processes.len();
            processes.remove(victim).kill().await?;
            run.report.fault("kill -9");
            processes.insert(victim, place.serve(addresses[victim]).await?);
        }
        Ok::<_, anyhow::Error>(())
    };
    let (worked, killed) = tokio::join!(working, killing);
    worked?;
    killed?;
    run.report.check(linked == count, || format!("{linked} of {count} were linked"));
    until(&client, "went on", |incident| told(incident).1 > 0).await?;
    // What would be done twice has a moment for it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seen = until(&client, "went on", |incident| told(incident).1 > 0).await?;
    run.report.count("incidents told of", seen.len());
    run.report.check(seen.len() == count, || format!("{} of {count} incidents", seen.len()));
    for incident in &seen {
        run.report
            .check(told(incident) == (1, 1), || format!("told and gone on {:?} times: {incident}", told(incident)));
    }
    for process in processes {
        process.kill().await?;
    }
    place.delete().await;
    Ok(())
}
