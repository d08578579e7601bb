//! Escalations that are all due at once, with three processes on one PostgreSQL, of which some are killed: each fires once, and
//! none early.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, Duration, Timelike, Utc};
use futures_util::StreamExt;
use futures_util::stream::iter;
use kernel::Clock;
use rand::RngExt;
use serde_json::{Value, json};
use tests::client::Client;

use crate::Run;
use crate::audit::further;
use crate::place::{Place, Process, free_address};
use crate::replicas::until_done;

/// How many processes.
const PROCESSES: usize = 3;
/// How many tickets, in a short run and in a long one.
const TICKETS: (usize, usize) = (200, 10_000);
/// How long opening them may take, in minutes.
const OPENING: (i64, i64) = (1, 4);
/// How many at once.
const WRITERS: usize = 16;
/// How long everything may take once it is due: what a killed process had begun is another one's a minute later.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(600);
/// The escalation that the policy has.
const HALF: &str = "50%";

/// The events of clocks, and the comments that an escalation leaves.
const TOLD: &str = "query($after: Cursor) { events(first: 100, after: $after, filter: { kinds: [SLA_ESCALATED, SLA_BREACHED, COMMENT_ADDED] }) { \
    pageInfo { hasNextPage endCursor } nodes { __typename occurredAt ... on SlaEscalated { at dueAt late ticket { id } } \
    ... on SlaBreached { dueAt late ticket { id } } ... on CommentAdded { ticket { id } } } } }";

/// A calendar that opens at the full minute `minutes` from now, so that what is opened before is due together.
fn calendar(opens: DateTime<Utc>) -> Value {
    let time = |at: DateTime<Utc>| format!("{:02}:{:02}", at.hour(), at.minute());
    let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let day = days[opens.weekday().num_days_from_monday() as usize];
    // An hour, or what is left of the day.
    let closes = opens + Duration::hours(1);
    let to = if closes.date_naive() == opens.date_naive() { time(closes) } else { "24:00".to_owned() };
    json!({ "key": "soon", "name": "Soon", "timeZone": "UTC", "week": [{ "day": day, "from": time(opens), "to": to }] })
}

async fn promise(client: &Client, opens: DateTime<Utc>) {
    client.done("calendarCreate", calendar(opens), "calendar { id }").await;
    let escalation = json!({ "at": { "percent": 50 }, "actions": [{ "comment": "Half of the time has gone by." }] });
    let metric = json!({ "metric": "RESOLUTION", "targets": [{ "target": "PT2S" }], "escalations": [escalation] });
    let policy = json!({ "key": "soon", "name": "Soon", "calendar": { "key": "soon" }, "metrics": [metric] });
    client.done("slaPolicyCreate", policy, "slaPolicy { id }").await;
}

async fn open(place: &Place, addresses: &[SocketAddr], count: usize) -> Result<()> {
    let clients: Vec<Client> =
        addresses.iter().map(|address| place.client(*address, &place.company.agent.token)).collect();
    let mut opening = iter(0..count)
        .map(|number| {
            let client = &clients[number % clients.len()];
            async move {
                let input = json!({ "title": format!("due {number}"), "team": { "slug": "network" } });
                until_done(client, "incidentCreate", &input).await
            }
        })
        .buffer_unordered(WRITERS);
    while let Some(opened) = opening.next().await {
        opened?;
    }
    Ok(())
}

/// How often each ticket was told of, by what.
fn counts(log: &[Value]) -> HashMap<(String, String), usize> {
    let mut counts = HashMap::new();
    for event in log {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        *counts.entry((text(&event["ticket"]["id"]), text(&event["__typename"]))).or_default() += 1;
    }
    counts
}

/// See the module.
pub async fn escalations(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let (mut addresses, mut processes): (Vec<SocketAddr>, Vec<Process>) = (Vec::new(), Vec::new());
    for _ in 0..PROCESSES {
        let address = free_address()?;
        processes.push(place.serve(address).await?);
        addresses.push(address);
    }
    let steady = place.client(addresses[PROCESSES - 1], &place.company.admin.token);
    let (tickets, minutes) = if run.long { (TICKETS.1, OPENING.1) } else { (TICKETS.0, OPENING.0) };
    let now = Clock::System.now();
    let opens = now + Duration::minutes(minutes + 1) - Duration::seconds(i64::from(now.second()));
    let opens = opens.with_nanosecond(0).context("a full second")?;
    promise(&steady, opens).await;
    open(&place, &addresses, tickets).await?;
    let left = opens - Clock::System.now();
    run.report.check(left > Duration::zero(), || "the tickets were not opened before they were due".to_owned());
    // In a short run nothing is in a killed process' hands: what would be comes a minute later.
    let before = if run.long { Duration::zero() } else { Duration::seconds(2) };
    tokio::time::sleep((left - before).to_std().unwrap_or_default()).await;
    for round in 0..run.rounds(1, 6) {
        let victim = round % (PROCESSES - 1);
        processes.remove(victim).kill().await?;
        run.report.fault("replica kill -9");
        processes.insert(victim, place.serve(addresses[victim]).await?);
        if run.long {
            tokio::time::sleep(std::time::Duration::from_millis(rng.random_range(200..2_000))).await;
        }
    }
    let (mut log, mut after) = (Vec::new(), Value::Null);
    let done = async {
        while log.len() < tickets * 3 {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            log.extend(further(&steady, TOLD, "events", &mut after).await);
        }
    };
    tokio::time::timeout(PATIENCE, done).await.with_context(|| format!("only {} of the events came", log.len()))?;
    // One that would fire again has a moment to do so.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    log.extend(further(&steady, TOLD, "events", &mut after).await);
    run.report.check(counts(&log).len() == tickets * 3, || format!("{} of {tickets} tickets", counts(&log).len() / 3));
    for ((ticket, kind), times) in &counts(&log) {
        run.report.check(*times == 1, || format!("{ticket} was told {kind} {times} times"));
    }
    for event in log.iter().filter(|event| event["dueAt"].is_string()) {
        let instant = |field: &str| event[field].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        run.report.check(instant("occurredAt") >= instant("dueAt"), || format!("early: {event}"));
        run.report.check(event["at"].is_null() || event["at"] == HALF, || format!("not of the policy: {event}"));
    }
    run.report.count("escalations", log.len());
    for process in processes {
        process.kill().await?;
    }
    place.delete().await;
    Ok(())
}
