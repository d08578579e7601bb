//! Afterwards: is everything there that was acknowledged, once, in a log without gaps that tells the same as the state?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::client::Client;

use crate::listener::Heard;
use crate::load::answered;
use crate::load::{Acknowledged, Ledger, Outcome, attempt, event_ids};
use crate::place::Place;
use crate::report::Report;

/// How many calls are repeated afterwards under their old keys.
const REPLAYED: usize = 25;
/// How many errors of the server's own log are shown beside a violation.
const LOGGED: usize = 20;
/// How many pieces of the log are read from the database at once.
const PAGE: u32 = 1_000;

/// The whole log, page by page.
pub const LOG: &str = "query($after: Cursor) { events(first: 100, after: $after) { \
    nodes { __typename id cursor changes { field after } ... on TicketEvent { version ticket { id } } \
    ... on CommentAdded { comment { id body } } } pageInfo { hasNextPage endCursor } } }";
const TICKETS: &str = "query($after: Cursor) { tickets(first: 100, after: $after) { \
    nodes { id version title state { key } comments(first: 0) { totalCount } } pageInfo { hasNextPage endCursor } } }";

/// How often a page is asked for that the server has no time for at the moment, and how long it is left alone in between.
const ASKED: (usize, Duration) = (100, Duration::from_millis(200));

/// All nodes of a connection.
pub async fn all(client: &Client, document: &str, field: &str) -> Vec<Value> {
    further(client, document, field, &mut Value::Null).await
}

/// The nodes of a connection behind a cursor, which is moved to the last of them.
pub async fn further(client: &Client, document: &str, field: &str, after: &mut Value) -> Vec<Value> {
    let mut nodes = Vec::new();
    loop {
        let mut page = patiently(client, document, json!({ "after": after })).await[field].take();
        if let Value::Array(found) = page["nodes"].take() {
            nodes.extend(found);
        }
        if page["pageInfo"]["endCursor"].is_string() {
            *after = page["pageInfo"]["endCursor"].take();
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return nodes;
        }
    }
}

/// Asks until the server has the time for it, as a client does: what it is asked beside thousands of jobs may take too long, and a
/// server that was killed is back in a moment.
pub async fn patiently(client: &Client, document: &str, variables: Value) -> Value {
    for _ in 1..ASKED.0 {
        let text = answered(client, document, &variables).await;
        let mut answer = text.map_or(Value::Null, |text| {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{document} was answered by no JSON: {text}"))
        });
        if answer.is_object() && answer["errors"][0]["extensions"]["retryable"] != true {
            assert!(answer["errors"].is_null(), "{document} was refused: {answer}");
            return answer["data"].take();
        }
        tokio::time::sleep(ASKED.1).await;
    }
    client.ask(document, variables).await
}

/// Waits until an operation has succeeded; what came of it, of which this is asked.
///
/// # Errors
/// When it takes longer, or comes to something else.
pub async fn over(client: &Client, id: &Value, result: &str, patience: Duration) -> Result<Value> {
    let document = format!("query($id: ID!) {{ operation(id: $id) {{ status error result {{ {result} }} }} }}");
    let waiting = async {
        loop {
            let mut shown = patiently(client, &document, json!({ "id": id })).await["operation"].take();
            match shown["status"].as_str() {
                Some("SUCCEEDED") => return Ok(shown["result"].take()),
                Some("PENDING" | "RUNNING") => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => anyhow::bail!("the operation came to {shown}"),
            }
        }
    };
    tokio::time::timeout(patience, waiting).await.context("the operation does not end")?
}

/// The log's end as a client is told it, all that was acknowledged being in the log.
pub async fn log_end(place: &Place, client: &Client) -> Result<Value> {
    let store = place.beside().await?;
    let numbered = store.number_events().await;
    store.close().await;
    numbered?;
    Ok(client.ask("{ tickets { logCursor } }", json!({})).await["tickets"]["logCursor"].take())
}

/// Checks everything. The writers have ended and a server is up; answers the events on tickets, as the API
/// tells them.
pub async fn audit(place: &Place, client: &Client, ledger: &Ledger, report: &Report) -> Result<Vec<Value>> {
    let positions = positions(place, report).await?;
    let log = all(client, LOG, "events").await;
    let ids: Vec<String> = log.iter().filter_map(|event| event["id"].as_str().map(str::to_owned)).collect();
    let unique: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    report.count("events", ids.len());
    report.count("positions without a gap", positions);
    report.check(unique.len() == ids.len(), || format!("{} events come twice", ids.len() - unique.len()));
    let entries = ledger.entries();
    let lost = entries.iter().filter(|entry| !entry.events.iter().all(|id| unique.contains(id.as_str())));
    let lost: Vec<&str> = lost.map(|entry| entry.mark.as_str()).collect();
    report.check(lost.is_empty(), || format!("acknowledged and lost: {lost:?}"));
    let log: Vec<Value> = log.into_iter().filter(|event| event["ticket"]["id"].is_string()).collect();
    effects(&entries, &log, report);
    states(client, &entries, &log, report).await;
    replays(client, &entries, report).await;
    let panics = place.logged("panicked")?;
    report.check(panics.is_empty(), || format!("a server panicked: {panics:?}"));
    if !report.clean() {
        place.logged("ERROR")?.iter().take(LOGGED).for_each(|line| eprintln!("faults: the server says: {line}"));
    }
    Ok(log)
}

/// The log in the database: positions from 1 on without a gap. How many.
async fn positions(place: &Place, report: &Report) -> Result<usize> {
    let store = place.beside().await?;
    store.number_events().await?;
    let head = store.log().head().await?;
    let mut at = 0;
    while at < head {
        let page = store.log().read_all_after(at, PAGE).await?;
        for event in &page.events {
            at += 1;
            if event.position != Some(at) {
                report.violation(format!("after position {} comes {:?}", at - 1, event.position));
                at = event.position.context("a numbered event has a position")?;
            }
        }
        report.check(!page.events.is_empty(), || format!("the log ends at {at}, its head is {head}"));
        if page.events.is_empty() {
            break;
        }
    }
    store.close().await;
    Ok(usize::try_from(at)?)
}

/// The text that a call left in an event, if it is one of the writers'.
fn mark_of(event: &Value) -> Option<&str> {
    let text = match event["__typename"].as_str()? {
        "CommentAdded" => event["comment"]["body"].as_str()?,
        _ => changed(event, "title")?.as_str()?,
    };
    text.split_whitespace().next().filter(|word| word.starts_with("mark-"))
}

fn changed<'a>(event: &'a Value, field: &str) -> Option<&'a Value> {
    event["changes"].as_array()?.iter().find(|change| change["field"] == field).map(|change| &change["after"])
}

/// Each call has one effect, and no effect is without a call.
fn effects(entries: &[Acknowledged], log: &[Value], report: &Report) {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for mark in log.iter().filter_map(mark_of) {
        *found.entry(mark).or_default() += 1;
    }
    for entry in entries {
        match found.remove(entry.mark.as_str()) {
            Some(1) => {}
            Some(times) => report.violation(format!("{} was done {times} times", entry.mark)),
            None => report.violation(format!("{} {} was acknowledged and has no effect", entry.mutation, entry.mark)),
        }
    }
    report.check(found.is_empty(), || format!("effects that nobody was told of: {found:?}"));
}

/// What a ticket is by the events on it.
#[derive(Debug, Default, PartialEq)]
struct Folded {
    version: i64,
    title: Value,
    state: Value,
    comments: usize,
}

/// The events, folded, give the state; versions rise by one at a time.
async fn states(client: &Client, entries: &[Acknowledged], log: &[Value], report: &Report) {
    let mut folded: HashMap<&str, Folded> = HashMap::new();
    for event in log {
        let ticket = folded.entry(event["ticket"]["id"].as_str().unwrap_or_default()).or_default();
        let version = event["version"].as_i64().unwrap_or_default();
        let known = ticket.version;
        report.check(version == known || version == known + 1, || format!("after version {known} comes {event}"));
        ticket.version = version;
        for (field, value) in [("title", &mut ticket.title), ("state", &mut ticket.state)] {
            if let Some(after) = changed(event, field) {
                *value = after.clone();
            }
        }
        ticket.comments += usize::from(event["__typename"] == "CommentAdded");
    }
    let tickets = all(client, TICKETS, "tickets").await;
    report.count("tickets", tickets.len());
    report
        .check(tickets.len() == folded.len(), || format!("{} tickets, and events on {}", tickets.len(), folded.len()));
    let mut versions = HashMap::new();
    for ticket in &tickets {
        let id = ticket["id"].as_str().unwrap_or_default();
        let state = Folded {
            version: ticket["version"].as_i64().unwrap_or_default(),
            title: ticket["title"].clone(),
            state: ticket["state"]["key"].clone(),
            comments: usize::try_from(ticket["comments"]["totalCount"].as_u64().unwrap_or_default()).unwrap_or(0),
        };
        versions.insert(id, state.version);
        let by_events = folded.remove(id).unwrap_or_default();
        report.check(by_events == state, || format!("{id} is {state:?}, by its events {by_events:?}"));
    }
    for entry in entries {
        let version = versions.get(entry.ticket.0.as_str()).copied().unwrap_or(0);
        report.check(version >= entry.ticket.1, || format!("{:?} was acknowledged, now it is {version}", entry.ticket));
    }
}

/// The same call again, long after, is answered as it was and does nothing: the log's end stays where it is.
async fn replays(client: &Client, entries: &[Acknowledged], report: &Report) {
    for entry in entries.iter().rev().take(REPLAYED) {
        let owner = Client { token: Some(entry.token.clone()), ..client.clone() };
        match attempt(&owner, entry.mutation, &entry.input).await {
            Outcome::Done(payload) => report.check(event_ids(&payload) == entry.events, || {
                format!("{} was done again: {payload} after {:?}", entry.mark, entry.events)
            }),
            Outcome::Again(reason) | Outcome::Refused(reason) => {
                report.violation(format!("{} asked for again: {reason}", entry.mark));
            }
        }
        report.count("replayed", 1);
    }
}

/// A subscriber was told everything, once, in the log's order.
pub fn told_all(log: &[Value], heard: &Heard, who: &str, report: &Report) {
    let expected: Vec<&str> = log.iter().filter_map(|event| event["id"].as_str()).collect();
    let known: BTreeSet<&str> = expected.iter().copied().collect();
    let told: BTreeSet<&str> = heard.events.iter().map(String::as_str).collect();
    let missed = known.difference(&told).count();
    let repeated = heard.events.len() - told.len();
    report.count("told", heard.events.len());
    report.count("connections of subscribers", heard.connections);
    for (code, times) in &heard.closed {
        report.count(&format!("sockets closed with {code}"), *times);
    }
    report.check(missed == 0 && repeated == 0, || format!("{who}: {missed} missed, {repeated} repeated"));
    report.check(missed + repeated > 0 || heard.events == expected, || format!("{who} was told in another order"));
    report.check(heard.strange.is_empty(), || format!("{who}: {:?}", heard.strange));
}
