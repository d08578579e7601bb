//! Readers that take nothing: they cost bounded memory, are closed, and lose nothing; the others do not notice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::socket::{Frame, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::Run;
use crate::audit::{audit, log_end, told_all};
use crate::listener::{Heard, Listener, Transport};
use crate::load::{Load, Manner};
use crate::place::{Place, Process, free_address};

/// After how many milliseconds a client that takes nothing is closed.
const SEND_TIMEOUT: u32 = 1_500;
/// The text in each comment: what a reader that is waited for would keep in the server's memory.
const PADDING: usize = 60_000;
/// How many tickets each writer opens: most of what they do is to comment.
const TICKETS: usize = 2;
/// Milliseconds between pings: so many that a client that does not answer them is given up for taking nothing first.
const PING_INTERVAL: u32 = 120_000;
/// How many of each kind take nothing.
const STUCK: usize = 4;
/// How many of each kind read.
const READING: usize = 4;
/// What the server's memory may grow by while they are stuck, in KiB. What flows past them meanwhile is several times
/// as much.
const GROWTH_KIB: u64 = 64 << 10;
/// What the system keeps for a client that takes nothing, in bytes; small, so that it is soon full.
const RECEIVE_BUFFER: u32 = 8 << 10;
/// What the server says of each socket that it closes for this.
const CLOSED: &str = "a client takes nothing";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

const HEAVY: &str = "subscription($after: Cursor) { ticketEvents(after: $after) { cursor bookmark \
    event { id ... on CommentAdded { comment { body } } } ticket { id title } } }";

async fn connect(client: &Client) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    Ok(socket.connect(client.address).await?)
}

/// A socket that has subscribed.
async fn stuck_socket(client: &Client, after: &Value) -> Result<Socket> {
    let opened = Socket::try_open(connect(client).await?, client.token.as_deref()).await;
    let mut socket = opened.map_err(anyhow::Error::msg)?;
    socket.subscribe("1", HEAVY, json!({ "after": after })).await;
    Ok(socket)
}

/// An event stream that has been asked for.
async fn stuck_stream(client: &Client, after: &Value) -> Result<TcpStream> {
    let mut tcp = connect(client).await?;
    let body = json!({ "query": HEAVY, "variables": { "after": after } }).to_string();
    let token = client.token.as_deref().unwrap_or_default();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        client.address,
        body.len()
    );
    tcp.write_all(head.as_bytes()).await?;
    tcp.write_all(body.as_bytes()).await?;
    Ok(tcp)
}

/// What a reader had been told: ids of events, and the cursor to go on from.
struct Before {
    events: Vec<String>,
    cursor: Value,
    /// How it ended.
    end: (u16, String),
}

impl Before {
    fn new(after: &Value) -> Self {
        Self { events: Vec::new(), cursor: after.clone(), end: (0, String::new()) }
    }

    fn told(&mut self, answer: &Value) {
        let message = &answer["data"]["ticketEvents"];
        if message["cursor"].is_string() {
            self.cursor = message["cursor"].clone();
            self.events.extend(message["event"]["id"].as_str().map(str::to_owned));
        }
    }
}

/// Reads at last, to the end.
async fn rest_of_socket(mut socket: Socket, after: &Value) -> Before {
    let mut before = Before::new(after);
    loop {
        match socket.read().await {
            Frame::Message(message) => before.told(&message["payload"]),
            Frame::Closed(code, reason) => {
                before.end = (code, reason);
                return before;
            }
        }
    }
}

/// The same of an event stream: whole lines alone.
async fn rest_of_stream(mut tcp: TcpStream, after: &Value) -> Before {
    let (mut before, mut bytes) = (Before::new(after), Vec::new());
    let mut piece = vec![0; 64 << 10];
    while let Ok(read @ 1..) = tcp.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..read]);
    }
    // The body comes in chunks, each with its length before it; JSON as the server writes it has no line breaks.
    let text = String::from_utf8_lossy(&bytes);
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    for line in complete.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if let Ok(answer) = serde_json::from_str(line.trim_end()) {
            before.told(&answer);
        }
    }
    before
}

/// Waits until the server has closed so many sockets for taking nothing.
async fn until_closed(run: &Run, place: &Place, process: &Process, number: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        run.report.most("largest resident memory, KiB", process.resident_kib()?);
        let log = std::fs::read_to_string(place.log(process.address))?;
        if log.matches(CLOSED).count() >= number {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "no {number} sockets were closed for taking nothing");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// See the module.
pub async fn slow_reader(run: &Run) -> Result<()> {
    let mut place = run.place(None).await?;
    place.set("DESKWIRE_LIMITS_SEND_TIMEOUT", SEND_TIMEOUT);
    place.set("DESKWIRE_LIMITS_PING_INTERVAL", PING_INTERVAL);
    let address = free_address()?;
    let mut process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let after = log_end(&place, &client).await?;
    let token = &place.company.admin.token;
    let listen = |transport| Listener::start(transport, token, &[address], &after, None);
    let mut reading = Vec::new();
    for _ in 0..READING {
        reading.push(("a reader over WebSocket", listen(Transport::WebSocket)));
        reading.push(("a reader over Server-Sent Events", listen(Transport::ServerSentEvents)));
    }
    let manner = Manner { padding: PADDING, tickets: TICKETS, ..Manner::new(8, &[address], run.seed) };
    let load = Load::start(&place, &manner, &run.report);
    load.ledger.more(100).await?;
    let before = process.resident_kib()?;
    // One that begins to read again just when it is given up.
    let late = stuck_socket(&client, &after).await?;
    run.report.fault("reader that takes nothing for a while");
    until_closed(run, &place, &process, 1).await?;
    let late = rest_of_socket(late, &after).await;
    let (mut sockets, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..STUCK {
        sockets.push(stuck_socket(&client, &after).await?);
        streams.push(stuck_stream(&client, &after).await?);
        run.report.fault("WebSocket that takes nothing");
        run.report.fault("event stream that takes nothing");
    }
    until_closed(run, &place, &process, 1 + STUCK).await?;
    load.ledger.more(run.rounds(100, 4_000)).await?;
    run.report.most("largest resident memory, KiB", process.resident_kib()?);
    let growth = process.resident_kib()?.saturating_sub(before);
    run.report.count("growth of resident memory, KiB", usize::try_from(growth)?);
    run.report.check(growth <= GROWTH_KIB, || format!("memory grew by {growth} KiB, more than {GROWTH_KIB}"));
    let ledger = load.finish(&run.report).await?;
    let stopped = Instant::now();
    let log = audit(&place, &client, &ledger, &run.report).await?;
    for (who, listener) in reading {
        let heard = listener.finish(log.len()).await?;
        run.report.check(heard.connections == 1, || format!("{who} was cut off"));
        told_all(&log, &heard, who, &run.report);
    }
    run.report.most("readers had all after, ms", u64::try_from(stopped.elapsed().as_millis())?);
    let bytes: usize = log.iter().map(|event| event["comment"]["body"].as_str().map_or(200, str::len)).sum();
    run.report.count("KiB past each stuck reader", bytes >> 10);

    run.report.check(late.end.0 == 1013, || format!("a late reader was closed with {:?}", late.end));
    let from_goodbye = Before { cursor: json!(late.end.1), events: Vec::new(), end: (0, String::new()) };
    goes_on(run, &client, &log, from_goodbye, Some(late.events.len()), "from the goodbye").await?;
    goes_on(run, &client, &log, late, None, "a late reader").await?;
    for socket in sockets {
        let before = rest_of_socket(socket, &after).await;
        goes_on(run, &client, &log, before, None, "a stuck WebSocket").await?;
    }
    for stream in streams {
        let before = rest_of_stream(stream, &after).await;
        goes_on(run, &client, &log, before, None, "a stuck event stream").await?;
    }
    ensure!(process.runs()?, "the server ended");
    process.kill().await?;
    place.delete().await;
    Ok(())
}

/// From its cursor a reader is told the rest, each event once. A goodbye's cursor may lie before what was told already
/// (`told`), never behind it.
async fn goes_on(
    run: &Run,
    client: &Client,
    log: &[Value],
    before: Before,
    told: Option<usize>,
    who: &str,
) -> Result<()> {
    let document = "query($after: Cursor) { events(first: 1, after: $after) { nodes { id } } }";
    let answer = client.answer(document, json!({ "after": before.cursor })).await;
    ensure!(answer["errors"].is_null(), "{who}: {answer}");
    let next = &answer["data"]["events"]["nodes"][0]["id"];
    let at = log.iter().position(|event| event["id"] == *next).unwrap_or(log.len());
    if let Some(told) = told {
        run.report.check(at <= told, || format!("{who}: the cursor is at {at}, told were {told}"));
    }
    run.report.check(at < log.len(), || format!("{who} had been told everything: it was not stuck"));
    let token = client.token.as_deref().context("a token")?;
    let listener = Listener::start(Transport::WebSocket, token, &[client.address], &before.cursor, None);
    let mut heard = listener.finish(log.len() - at).await?;
    let begin = if told.is_some() { &log[at..] } else { log };
    heard.events = before.events.iter().cloned().chain(heard.events).collect();
    told_all(begin, &Heard { connections: 1, ..heard }, who, &run.report);
    Ok(())
}
