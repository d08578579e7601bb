//! A list and a subscription from its cursor are a queue without a hole, whatever is written between and during.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use serde_json::{Value, json};
use tests::client::Client;
use tests::socket::{Frame, Socket};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Run;
use crate::audit::audit;
use crate::load::{Load, Manner, Outcome, attempt};
use crate::place::free_address;
use crate::storm::any_moment;

/// How long followers may take to catch up.
const PATIENCE: Duration = Duration::from_secs(90);
/// How many tickets each writer opens.
const TICKETS: usize = 6;

/// What is queued.
const FILTER: &str = "{ state: { category: { in: [NEW, ACTIVE] } }, team: { slug: { eq: \"network\" } } }";

/// Tickets by id, each with what the client was last shown of it.
type Queue = BTreeMap<String, Value>;

const SHOWN: &str = "id version title state { key }";

/// Pages through the list; the tickets, and the log's place to go on from: the first page's, which is before all rows.
async fn list(client: &Client, page: usize) -> Result<(Queue, Value)> {
    let document = format!(
        "query($first: Int, $after: Cursor) {{ tickets(filter: {FILTER}, first: $first, after: $after) {{ \
         logCursor nodes {{ {SHOWN} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut queue, mut after, mut from) = (Queue::new(), Value::Null, Value::Null);
    loop {
        let mut data = client.ask(&document, json!({ "first": page, "after": after })).await["tickets"].take();
        if from.is_null() {
            from = data["logCursor"].take();
        }
        for ticket in data["nodes"].as_array().into_iter().flatten() {
            queue.insert(ticket["id"].as_str().context("a ticket has an id")?.to_owned(), ticket.clone());
        }
        if data["pageInfo"]["hasNextPage"] != true {
            return Ok((queue, from));
        }
        after = data["pageInfo"]["endCursor"].take();
    }
}

/// Keeps a queue current until the ticket with this title comes in. Leaves and comes back after every `cut` changes.
async fn follow(
    client: Client,
    mut queue: Queue,
    mut after: Value,
    last: String,
    cut: usize,
) -> Result<(Queue, usize)> {
    let document = format!(
        "subscription($after: Cursor) {{ queueChanges(filter: {FILTER}, after: $after) {{ cursor kind id ticket {{ {SHOWN} }} }} }}"
    );
    let mut changes = 0;
    loop {
        let tcp = TcpStream::connect(client.address).await?;
        let mut socket = Socket::try_open(tcp, client.token.as_deref()).await.map_err(anyhow::Error::msg)?;
        socket.subscribe("queue", &document, json!({ "after": after })).await;
        for _ in 0..cut {
            let Frame::Message(mut message) = socket.read().await else { break };
            ensure!(message["type"] == "next" && message["payload"]["errors"].is_null(), "{message}");
            let mut change = message["payload"]["data"]["queueChanges"].take();
            after = change["cursor"].take();
            let Some(id) = change["id"].as_str().map(str::to_owned) else { continue };
            changes += 1;
            match change["kind"].as_str() {
                Some("REMOVED") => {
                    queue.remove(&id);
                }
                // Null: it is out of the viewer's sight by now, and what follows will say so.
                Some("ADDED" | "CHANGED") if change["ticket"].is_object() => {
                    let there = change["ticket"]["title"] == last.as_str();
                    queue.insert(id, change["ticket"].take());
                    if there {
                        return Ok((queue, changes));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Lists at any moment and subscribes from there, again and again under writers; in the end all agree with the list.
pub async fn list_then_subscribe(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let address = free_address()?;
    let process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let manner = Manner { tickets: TICKETS, ..Manner::new(8, &[address], run.seed) };
    let load = Load::start(&place, &manner, &run.report);
    load.ledger.more(20).await?;
    let last = "the last ticket".to_owned();
    let mut followers: JoinSet<Result<(Queue, usize)>> = JoinSet::new();
    for _ in 0..run.rounds(16, 200) {
        let (queue, after) = list(&client, rng.random_range(5..30)).await?;
        run.report.count("rows listed", queue.len());
        // Meanwhile the world goes on.
        any_moment(&mut rng, 60).await;
        let cut = if rng.random_bool(0.5) { usize::MAX } else { rng.random_range(1..20) };
        followers.spawn(follow(client.clone(), queue, after, last.clone(), cut));
        run.report.fault("list, then subscribe under writers");
    }
    load.ledger.more(40).await?;
    let ledger = load.finish(&run.report).await?;
    audit(&place, &client, &ledger, &run.report).await?;
    let input = json!({ "title": last, "team": { "slug": "network" } });
    let created = attempt(&client, "incidentCreate", &input).await;
    ensure!(matches!(created, Outcome::Done(_)), "the last ticket could not be opened");
    let (expected, _) = list(&client, 100).await?;
    let caught_up = tokio::time::timeout(PATIENCE, followers.join_all()).await;
    for (number, follower) in caught_up.context("the last ticket did not come")?.into_iter().enumerate() {
        let (queue, changes) = follower?;
        run.report.count("changes", changes);
        let differs = |(id, ticket): (&String, &Value)| (expected.get(id) != Some(ticket)).then(|| ticket.clone());
        let wrong: Vec<Value> = queue.iter().filter_map(differs).collect();
        let missing: Vec<&String> = expected.keys().filter(|id| !queue.contains_key(*id)).collect();
        run.report.check(wrong.is_empty() && missing.is_empty(), || {
            format!("queue {number} lacks {missing:?}, and has {wrong:?} otherwise than the list")
        });
    }
    process.kill().await?;
    place.delete().await;
    Ok(())
}
