//! Recurring tickets that are all due at one instant, the processes killed meanwhile: each creates its ticket once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Duration as Span, Utc};
use kernel::Clock;
use rand::RngExt;
use serde_json::{Value, json};
use store::Engine;

use crate::Run;
use crate::audit::{further, patiently};
use crate::place::{Place, Process, free_address};

/// How many processes on PostgreSQL; on the embedded database there is one.
const PROCESSES: usize = 3;
/// How many recurring tickets, in a short run and in a long one.
const RECURRING: (usize, usize) = (40, 200);
/// How long setting them up may take.
const SET_UP: Span = Span::seconds(20);
/// How long everything may take once it is due: what a killed process had begun is another one's a minute later.
const PATIENCE: Duration = Duration::from_secs(180);

/// The recurring tickets with their runs.
const RUNS: &str = "query($after: Cursor) { recurringTickets(first: 100, after: $after) { pageInfo { hasNextPage endCursor } \
    nodes { name nextRunAt runs(last: 10) { nodes { status dueAt createdAt ticket { title requester { id } } } } } } }";
/// All tickets that were created.
const CREATED: &str = "query($after: Cursor) { incidents(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id } } }";

async fn set_up(place: &Place, address: SocketAddr, count: usize, due: DateTime<Utc>) {
    let admin = place.client(address, &place.company.admin.token);
    let values = json!({ "title": "Check the backup", "team": { "slug": "network" } });
    let template = json!({ "key": "check", "name": "Check", "kind": "INCIDENT", "values": values, "tasks": [{ "title": "Look" }] });
    admin.done("ticketTemplateCreate", template, "template { id }").await;
    let starts_at = due.format("%Y-%m-%dT%H:%M:%S").to_string();
    for number in 0..count {
        let input = json!({
            "name": format!("number {number}"), "template": { "key": "check" }, "rule": "FREQ=DAILY", "startsAt": starts_at,
            "timeZone": "UTC",
        });
        admin.done("recurringTicketCreate", input, "recurringTicket { id }").await;
    }
}

fn runs_of(recurring: &Value) -> &[Value] {
    recurring["runs"]["nodes"].as_array().map_or(&[], Vec::as_slice)
}

/// See the module.
pub async fn recurring(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let (mut addresses, mut processes): (Vec<SocketAddr>, Vec<Process>) = (Vec::new(), Vec::new());
    for _ in 0..if run.engine == Engine::Postgres { PROCESSES } else { 1 } {
        let address = free_address()?;
        processes.push(place.serve(address).await?);
        addresses.push(address);
    }
    let count = if run.long { RECURRING.1 } else { RECURRING.0 };
    let due = Clock::System.now() + SET_UP;
    let due = DateTime::from_timestamp(due.timestamp(), 0).context("a full second")?;
    set_up(&place, addresses[0], count, due).await;
    let left = due - Clock::System.now();
    run.report.check(left > Span::zero(), || "they were not set up before they were due".to_owned());
    // In a short run nothing is in a killed process' hands: what would be comes a minute later.
    let before = if run.long { Span::zero() } else { Span::seconds(3) };
    tokio::time::sleep((left - before).to_std().unwrap_or_default()).await;
    for round in 0..run.rounds(1, 8) {
        let victim = round % processes.len();
        processes.remove(victim).kill().await?;
        run.report.fault("kill -9");
        processes.insert(victim, place.serve(addresses[victim]).await?);
        if run.long {
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..400))).await;
        }
    }
    let steady = place.client(addresses[0], &place.company.admin.token);
    let all = async {
        loop {
            let found = further(&steady, RUNS, "recurringTickets", &mut Value::Null).await;
            if found.iter().all(|recurring| !runs_of(recurring).is_empty()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.context("not all of them ran")?;
    // One that would run again has a moment to do so.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let found = further(&steady, RUNS, "recurringTickets", &mut Value::Null).await;
    run.report.check(found.len() == count, || format!("{} of {count} recurring tickets", found.len()));
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for recurring in &found {
        let runs = runs_of(recurring);
        run.report.check(runs.len() == 1, || format!("not run once: {recurring}"));
        for one in runs {
            *statuses.entry(one["status"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            let instant = |value: &Value| value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            run.report.check(one["ticket"].is_object(), || format!("without its ticket: {recurring}"));
            run.report.check(instant(&one["dueAt"]).is_some_and(|at| at == due), || format!("at another time: {one}"));
            run.report.check(instant(&one["createdAt"]) >= instant(&one["dueAt"]), || format!("early: {one}"));
        }
        let next = recurring["nextRunAt"].as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        run.report.check(next.is_some_and(|at| at == due + Span::days(1)), || format!("not planned on: {recurring}"));
    }
    run.report.check(statuses.keys().eq(["CREATED"]), || format!("they came out as {statuses:?}"));
    let created = further(&steady, CREATED, "incidents", &mut Value::Null).await.len();
    run.report.check(created == count, || format!("{created} tickets of {count} recurring ones"));
    let tasks = patiently(&steady, "{ tasks { totalCount } }", json!({})).await["tasks"]["totalCount"].take();
    run.report.check(tasks == count, || format!("{tasks} tasks of {count} tickets"));
    run.report.count("tickets", created);
    for process in processes {
        process.kill().await?;
    }
    place.delete().await;
    Ok(())
}
