//! Live updates: many subscribers on WebSockets, each told of every change of a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::data::{Manifest, Scale};
use crate::load::{Connection, find, histogram};
use crate::server::Server;
use crate::usage::{Spent, Watched, memory};
use crate::workload::ask;

const UPDATE: &str = "mutation Update($input: IncidentUpdateInput!) { incidentUpdate(input: $input) { \
    incident { id version } userErrors { code message } } }";
const SUBSCRIPTION: &str = "subscription Queue($filter: TicketFilter!) { queueChanges(filter: $filter) { \
    cursor kind id ticket { id number version title priority state { key } assignee { name } } } }";
/// Before the number of an update in its title, and behind it.
const MARK: &str = "Update no. ";
const MARK_END: u8 = b'!';
/// How long the last updates may take to arrive.
const STRAGGLERS: Duration = Duration::from_secs(20);

/// How many, how fast, how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// WebSockets, one subscription on each.
    pub subscribers: usize,
    /// Changes a second.
    pub rate: f64,
    /// How long.
    pub duration: Duration,
}

/// What the subscribers saw.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Changes that were made.
    pub updates: u64,
    /// Messages that arrived.
    pub deliveries: u64,
    /// From the request for a change to its arrival, in microseconds.
    pub latencies: Histogram<u64>,
    /// Processor time from the first change to the last arrival.
    pub spent: Spent,
    /// What a connected and subscribed socket added to the server's memory, in bytes.
    pub bytes_per_connection: f64,
    /// The server's memory at the end.
    pub memory: u64,
}

struct Shared {
    /// When each change was asked for, in microseconds after the start.
    asked: Vec<AtomicU64>,
    started: Instant,
    deliveries: AtomicU64,
}

/// Subscribes, makes changes, and checks that every subscriber is told of each of them, once and in order.
///
/// # Errors
/// When one is not.
pub fn run(server: &Server, manifest: &Manifest, plan: Plan, watched: Watched) -> Result<Delivered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let updates = (plan.rate * plan.duration.as_secs_f64()).round() as u64;
    runtime.block_on(async {
        // A title that a ticket has already changes nothing.
        let salt = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        // The server's caches and its first connections are not a subscriber's memory.
        let mut updater = Connection::open(server.address()).await?;
        let tickets = open_tickets(&mut updater, manifest, updates).await?;
        change(&mut updater, manifest, &tickets[0], &format!("Warm-up {salt}")).await?;
        let before = memory(server.pid())?;

        let leads: Vec<_> = manifest.leads().collect();
        ensure!(!leads.is_empty(), "the data set has no leads");
        let mut streams = Vec::with_capacity(plan.subscribers);
        for number in 0..plan.subscribers {
            streams.push(subscribe(server.address(), &leads[number % leads.len()].token).await?);
        }
        wait_for_subscriptions(server, plan.subscribers).await?;
        let bytes_per_connection = (memory(server.pid())?.saturating_sub(before)) as f64 / plan.subscribers as f64;

        let shared = Arc::new(Shared {
            asked: (0..updates).map(|_| AtomicU64::new(0)).collect(),
            started: Instant::now(),
            deliveries: AtomicU64::new(0),
        });
        let readers: Vec<_> =
            streams.into_iter().map(|stream| tokio::spawn(read(stream, updates, Arc::clone(&shared)))).collect();
        let usage = watched.usage()?;
        let mut due = tokio::time::interval(Duration::from_secs_f64(1.0 / plan.rate));
        for (number, ticket) in tickets.iter().enumerate() {
            due.tick().await;
            let at = shared.started.elapsed().as_micros() as u64;
            shared.asked[number].store(at, Ordering::Relaxed);
            change(&mut updater, manifest, ticket, &format!("{MARK}{number}! {salt}")).await?;
        }
        let mut latencies = histogram();
        let all = async {
            for reader in readers {
                latencies.add(reader.await.context("a subscriber's task panicked")??)?;
            }
            Ok::<_, anyhow::Error>(())
        };
        match tokio::time::timeout(STRAGGLERS, all).await {
            Ok(result) => result?,
            Err(_) => bail!(
                "of {} messages {} have arrived",
                updates * plan.subscribers as u64,
                shared.deliveries.load(Ordering::Relaxed)
            ),
        }
        let spent = usage.until(watched.usage()?);
        let deliveries = shared.deliveries.load(Ordering::Relaxed);
        let memory = memory(server.pid())?;
        Ok(Delivered { updates, deliveries, latencies, spent, bytes_per_connection, memory })
    })
}

/// So many open tickets, by their ids.
async fn open_tickets(connection: &mut Connection, manifest: &Manifest, wanted: u64) -> Result<Vec<String>> {
    let query = "query Open($filter: TicketFilter!, $after: Cursor) { tickets(filter: $filter, first: 100, after: $after) { \
                 nodes { id } pageInfo { endCursor hasNextPage } } }";
    let mut found = Vec::new();
    let mut after = None::<String>;
    while (found.len() as u64) < wanted {
        let variables = json!({ "filter": filter(), "after": after });
        let answer = ask(connection, manifest, &json!({ "query": query, "variables": variables })).await?;
        let page = &answer["data"]["tickets"];
        let ids = page["nodes"].as_array().context("a page without nodes")?;
        found.extend(ids.iter().filter_map(|node| node["id"].as_str().map(str::to_owned)));
        if page["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
    }
    ensure!(found.len() as u64 >= wanted, "there are {} open tickets; {wanted} are to be changed", found.len());
    found.truncate(wanted as usize);
    Ok(found)
}

fn filter() -> serde_json::Value {
    json!({ "state": { "category": { "in": ["NEW", "ACTIVE", "WAITING"] } } })
}

async fn change(connection: &mut Connection, manifest: &Manifest, ticket: &str, title: &str) -> Result<()> {
    let input = json!({ "id": ticket, "title": title });
    let answer = ask(connection, manifest, &json!({ "query": UPDATE, "variables": { "input": input } })).await?;
    let errors = &answer["data"]["incidentUpdate"]["userErrors"];
    ensure!(errors.as_array().is_some_and(Vec::is_empty), "a change was refused: {answer}");
    Ok(())
}

/// Opens a socket and starts the subscription.
async fn subscribe(address: &str, token: &str) -> Result<TcpStream> {
    let mut connection = Connection::open(address).await?;
    let handshake = format!(
        "GET /graphql HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         sec-websocket-protocol: graphql-transport-ws\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let (status, _) = connection.exchange(handshake.as_bytes()).await?;
    ensure!(status == 101, "a handshake was answered with {status}");
    let mut stream = connection.into_stream();
    let payload = json!({ "query": SUBSCRIPTION, "variables": { "filter": filter() } });
    let messages =
        [json!({ "type": "connection_init" }), json!({ "type": "subscribe", "id": "1", "payload": payload })];
    for message in messages {
        stream.write_all(&masked(OPCODE_TEXT, message.to_string().as_bytes())).await?;
    }
    Ok(stream)
}

async fn wait_for_subscriptions(server: &Server, wanted: usize) -> Result<()> {
    let started = Instant::now();
    loop {
        if server.metric("deskwire_subscriptions")? as usize >= wanted {
            return Ok(());
        }
        ensure!(started.elapsed() < STRAGGLERS, "not all subscriptions run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const OPCODE_TEXT: u8 = 1;
const OPCODE_CLOSE: u8 = 8;
const OPCODE_PING: u8 = 9;
const OPCODE_PONG: u8 = 10;

/// A frame of a client: masked, with a mask of zeros.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A server's frame at the beginning of these bytes: opcode, payload, length of all.
fn frame(received: &[u8]) -> Option<(u8, &[u8], usize)> {
    let opcode = received.first()? & 0x0f;
    let (start, length) = match received.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*received.get(2)?, *received.get(3)?]))),
        127 => (10, usize::try_from(u64::from_be_bytes(received.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, usize::from(length)),
    };
    Some((opcode, received.get(start..start + length)?, start + length))
}

async fn read(mut stream: TcpStream, updates: u64, shared: Arc<Shared>) -> Result<Histogram<u64>> {
    // Small: a thousand of them are ours, not the server's.
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 2)?;
    let mut received: Vec<u8> = Vec::with_capacity(2 << 10);
    let mut next = 0;
    while next < updates {
        let count = stream.read_buf(&mut received).await?;
        ensure!(count > 0, "a subscriber was disconnected after {next} updates");
        let mut used = 0;
        while let Some((opcode, payload, length)) = frame(&received[used..]) {
            used += length;
            match opcode {
                OPCODE_PING => stream.write_all(&masked(OPCODE_PONG, payload)).await?,
                OPCODE_CLOSE => bail!("a subscriber was closed: {}", String::from_utf8_lossy(payload)),
                _ => {
                    if let Some(number) = update_in(payload)? {
                        ensure!(number == next, "a subscriber was told of update {number} instead of {next}");
                        let asked = shared.asked[number as usize].load(Ordering::Relaxed);
                        let now = shared.started.elapsed().as_micros() as u64;
                        latencies.saturating_record(now.saturating_sub(asked).max(1));
                        shared.deliveries.fetch_add(1, Ordering::Relaxed);
                        next += 1;
                    }
                }
            }
        }
        received.drain(..used);
    }
    Ok(latencies)
}

/// The number of the update that a message tells of, if it does.
fn update_in(payload: &[u8]) -> Result<Option<u64>> {
    if find(payload, b"\"errors\":").is_some() || find(payload, b"\"type\":\"error\"").is_some() {
        bail!("a subscriber got errors: {}", String::from_utf8_lossy(payload));
    }
    let Some(start) = find(payload, MARK.as_bytes()) else { return Ok(None) };
    let digits = &payload[start + MARK.len()..];
    let end = digits.iter().position(|byte| *byte == MARK_END).context("an update without an end")?;
    Ok(Some(std::str::from_utf8(&digits[..end])?.parse()?))
}

/// How many updates a data set of this scale allows for.
pub fn most_updates(scale: Scale) -> u64 {
    // Some five of a hundred tickets are open.
    scale.tickets / 25
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_when_they_are_whole() {
        let long = [b"\x81\x7e\x01\x00".as_slice(), &[b'x'; 256]].concat();
        assert_eq!(frame(&long[..100]), None);
        let (opcode, payload, length) = frame(&long).unwrap();
        assert_eq!((opcode, payload.len(), length), (OPCODE_TEXT, 256, 260));
        assert_eq!(frame(b"\x89\x00"), Some((OPCODE_PING, b"".as_slice(), 2)));
    }

    #[test]
    fn an_update_is_known_by_its_title() {
        assert_eq!(update_in(br#"{"title":"Update no. 17!"}"#).unwrap(), Some(17));
        assert_eq!(update_in(br#"{"type":"connection_ack"}"#).unwrap(), None);
        assert!(update_in(br#"{"errors":[]}"#).is_err());
    }
}
