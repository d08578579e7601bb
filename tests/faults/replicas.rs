//! Three processes on one PostgreSQL, one killed and one ended under load: all are told the same, jobs run once.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use chrono::Duration;
use kernel::Clock;
use rand::RngExt;
use serde_json::{Value, json};
use tests::client::Client;

use crate::Run;
use crate::audit::{audit, log_end};
use crate::listener::{Listener, Transport};
use crate::load::{Load, Manner, Outcome, attempt};
use crate::place::free_address;
use crate::storm::{any_moment, finish_subscribers};

/// How many processes.
const PROCESSES: usize = 3;
/// How many tickets wake up by themselves in each round.
const SLEEPING: usize = 12;

/// When they wake up, in milliseconds from now: in a long run while processes are killed. What a killed process had begun
/// is another one's a minute later, so that a short run lets them sleep a little longer.
const WAKING: (Range<i64>, Range<i64>) = (8_000..10_000, 1_000..4_000);

/// Opens tickets that wake up by themselves within the next seconds; their ids.
async fn put_to_sleep(run: &Run, client: &Client, rng: &mut rand::rngs::StdRng) -> Result<Vec<String>> {
    let waking = if run.long { WAKING.1 } else { WAKING.0 };
    let mut tickets = Vec::new();
    for number in 0..SLEEPING {
        let input = json!({ "title": format!("sleeps {number}"), "team": { "slug": "network" } });
        let ticket = until_done(client, "incidentCreate", &input).await?["incident"]["id"].clone();
        let until = Clock::System.now() + Duration::milliseconds(rng.random_range(waking.clone()));
        let fields = json!({ "waitingReason": "SCHEDULE", "waitingUntil": until.to_rfc3339() });
        let input = json!({ "id": ticket, "transition": "hold", "fields": fields });
        until_done(client, "ticketTransition", &input).await?;
        tickets.push(ticket.as_str().context("a ticket has an id")?.to_owned());
    }
    Ok(tickets)
}

/// Calls a mutation until it is done, with one key.
pub async fn until_done(client: &Client, mutation: &str, input: &Value) -> Result<Value> {
    let mut input = input.clone();
    input["idempotencyKey"] = kernel::random::below(u64::MAX).to_string().into();
    loop {
        match attempt(client, mutation, &input).await {
            Outcome::Done(payload) => return Ok(payload),
            Outcome::Again(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Outcome::Refused(answer) => anyhow::bail!("{mutation} {input} was refused: {answer}"),
        }
    }
}

/// Waits until all of them have been woken up: a job that a killed process had begun is another one's a minute later.
async fn awake(client: &Client, tickets: &[String]) -> Result<()> {
    let patience = std::time::Duration::from_secs(120);
    let all = async {
        for ticket in tickets {
            let document = "query($id: ID!) { ticket(by: { id: $id }) { state { key } } }";
            while client.ask(document, json!({ "id": ticket })).await["ticket"]["state"]["key"] != "in_progress" {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(patience, all).await.context("tickets that should have woken up did not")
}

/// See the module.
pub async fn replicas(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let (mut addresses, mut processes) = (Vec::new(), Vec::new());
    for _ in 0..PROCESSES {
        let address = free_address()?;
        processes.push(place.serve(address).await?);
        addresses.push(address);
    }
    let steady = place.client(addresses[PROCESSES - 1], &place.company.admin.token);
    let after = log_end(&place, &steady).await?;
    let mut subscribers = Vec::new();
    for at in 0..PROCESSES {
        let mut order = addresses.clone();
        order.rotate_left(at);
        let token = &place.company.admin.token;
        let start = |transport, cut| Listener::start(transport, token, &order, &after, cut);
        subscribers.push(("over WebSocket", start(Transport::WebSocket, None)));
        subscribers.push(("over Server-Sent Events", start(Transport::ServerSentEvents, None)));
        if at == 0 {
            subscribers.push(("from one process to the next after each event", start(Transport::WebSocket, Some(1))));
        }
    }
    let manner = Manner::new(9, &addresses, run.seed);
    let load = Load::start(&place, &manner, &run.report);
    let mut sleeping = Vec::new();
    for _ in 0..run.rounds(1, 12) {
        load.ledger.more(20).await?;
        sleeping.extend(put_to_sleep(run, &steady, &mut rng).await?);
        any_moment(&mut rng, 2_000).await;
        // The last process stays: whoever is cut off finds somebody.
        let ended = processes.remove(1);
        let killed = processes.remove(0);
        killed.kill().await?;
        run.report.fault("replica kill -9");
        load.ledger.more(10).await?;
        let status = ended.terminate().await?;
        run.report.fault("replica SIGTERM");
        run.report.check(status.success(), || format!("after SIGTERM a replica ended with {status}"));
        load.ledger.more(10).await?;
        processes.insert(0, place.serve(addresses[0]).await?);
        processes.insert(1, place.serve(addresses[1]).await?);
    }
    load.ledger.more(20).await?;
    let ledger = load.finish(&run.report).await?;
    awake(&steady, &sleeping).await?;
    let log = audit(&place, &steady, &ledger, &run.report).await?;
    finish_subscribers(run, subscribers, &log).await?;
    let mut woken: HashMap<&str, usize> = HashMap::new();
    for event in &log {
        let changes = event["changes"].as_array().into_iter().flatten();
        let begun = changes.filter(|change| change["field"] == "state" && change["after"] == "in_progress").count();
        *woken.entry(event["ticket"]["id"].as_str().unwrap_or_default()).or_default() += begun;
    }
    for ticket in &sleeping {
        let times = woken.get(ticket.as_str()).copied().unwrap_or(0);
        run.report.count("jobs", times);
        run.report.check(times == 1, || format!("{ticket} was woken up {times} times"));
    }
    ensure!(processes.iter_mut().all(|process| process.runs().unwrap_or(false)), "a replica ended by itself");
    for process in processes {
        process.kill().await?;
    }
    place.delete().await;
    Ok(())
}
