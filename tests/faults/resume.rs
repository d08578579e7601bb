//! A subscription that is cut off behind any of its frames goes on there: nothing is missed, nothing comes twice.

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::client::Client;
use tests::socket::Frame;
use tests::stream::StreamEvent;

use crate::Run;
use crate::audit::{audit, log_end};
use crate::load::{Load, Manner};
use crate::place::free_address;

/// How many subscriptions are open at the same time.
const AT_ONCE: usize = 25;
/// An idle stream says so after this many milliseconds: then nothing more is to come.
const BOOKMARK: u32 = 300;

/// What is resumed: the field, and its document.
const SUBSCRIPTIONS: [(&str, &str); 3] = [
    (
        "ticketEvents",
        "subscription($after: Cursor) { ticketEvents(after: $after) { cursor bookmark event { id } ticket { id } } }",
    ),
    (
        "ticketEvents",
        "subscription($after: Cursor) { ticketEvents(after: $after, kinds: [COMMENT_ADDED], \
         filter: { state: { category: { in: [NEW, ACTIVE] } } }) { cursor bookmark event { id } } }",
    ),
    (
        "queueChanges",
        "subscription($after: Cursor) { queueChanges(after: $after, \
         filter: { state: { category: { in: [NEW, ACTIVE] } } }) { cursor kind id } }",
    ),
];

/// A frame: its cursor, and what it told.
type Told = (Value, Value);

/// The frame of a result; `None` for a bookmark.
fn read(field: &str, answer: &Value) -> Result<Option<Told>> {
    ensure!(answer["errors"].is_null(), "{answer}");
    let message = &answer["data"][field];
    if message["bookmark"] == true || message["kind"] == "BOOKMARK" {
        return Ok(None);
    }
    let told =
        if field == "ticketEvents" { message["event"]["id"].clone() } else { json!([message["kind"], message["id"]]) };
    Ok(Some((message["cursor"].clone(), told)))
}

/// All frames up to the first bookmark, of each of these subscriptions on one socket.
async fn over_socket(client: &Client, field: &str, document: &str, afters: &[Value]) -> Result<Vec<Vec<Told>>> {
    let mut socket = client.socket().await;
    for (number, after) in afters.iter().enumerate() {
        socket.subscribe(&number.to_string(), document, json!({ "after": after })).await;
    }
    let (mut frames, mut open) = (vec![Vec::new(); afters.len()], afters.len());
    let mut over = vec![false; afters.len()];
    while open > 0 {
        let Frame::Message(message) = socket.frame().await else { bail!("the socket was closed") };
        let number: usize = message["id"].as_str().unwrap_or_default().parse()?;
        match read(field, &message["payload"])? {
            Some(told) => frames[number].push(told),
            None if !over[number] => {
                over[number] = true;
                open -= 1;
            }
            None => {}
        }
    }
    Ok(frames)
}

/// All frames up to the first bookmark.
async fn over_stream(client: &Client, field: &str, document: &str, after: &Value) -> Result<Vec<Told>> {
    let mut stream = client.stream(document, json!({ "after": after })).await;
    let mut frames = Vec::new();
    loop {
        let StreamEvent::Next(answer) = stream.event().await else { bail!("the stream was cut") };
        match read(field, &answer)? {
            Some(told) => frames.push(told),
            None => return Ok(frames),
        }
    }
}

/// Records each subscription, then resumes it behind every frame, over both transports.
pub async fn resume(run: &Run) -> Result<()> {
    let mut place = run.place(None).await?;
    place.set("DESKWIRE_LIMITS_BOOKMARK_INTERVAL", BOOKMARK);
    let address = free_address()?;
    let process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let after = log_end(&place, &client).await?;
    let manner = Manner::new(8, &[address], run.seed);
    let load = Load::start(&place, &manner, &run.report);
    load.ledger.more(run.rounds(30, 600)).await?;
    let ledger = load.finish(&run.report).await?;
    let log = audit(&place, &client, &ledger, &run.report).await?;
    for (field, document) in SUBSCRIPTIONS {
        let whole = over_socket(&client, field, document, std::slice::from_ref(&after)).await?.remove(0);
        run.report.check(!whole.is_empty(), || format!("{document} tells nothing"));
        if document == SUBSCRIPTIONS[0].1 {
            let ids: Vec<&Value> = whole.iter().map(|(_, told)| told).collect();
            let expected: Vec<&Value> = log.iter().map(|event| &event["id"]).collect();
            run.report.check(ids == expected, || "a subscription tells something else than the log".into());
        }
        let boundaries: Vec<Value> =
            std::iter::once(after.clone()).chain(whole.iter().map(|(cursor, _)| cursor.clone())).collect();
        for (chunk, begin) in boundaries.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            let sockets = over_socket(&client, field, document, chunk).await?;
            let streams = join_all(chunk.iter().map(|after| over_stream(&client, field, document, after))).await;
            for (number, frames) in sockets.into_iter().enumerate() {
                compare(run, &whole[begin + number..], &frames, "WebSocket", begin + number);
            }
            for (number, frames) in streams.into_iter().enumerate() {
                compare(run, &whole[begin + number..], &frames?, "Server-Sent Events", begin + number);
            }
        }
    }
    process.kill().await?;
    place.delete().await;
    Ok(())
}

fn compare(run: &Run, expected: &[Told], found: &[Told], transport: &str, boundary: usize) {
    run.report.fault("subscription cut and resumed");
    run.report.count("frames after a resume", found.len());
    let (missed, repeated) = (
        expected.iter().filter(|told| !found.contains(told)).count(),
        found.len() - found.iter().filter(|told| expected.contains(told)).count(),
    );
    run.report.check(found == expected, || {
        format!("resumed over {transport} behind frame {boundary}: {missed} missed, {repeated} that came before")
    });
}
