//! A subscriber of all ticket events that goes on from its last cursor, wherever and whenever it is cut off.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tests::client::Client;
use tests::socket::{Frame, Socket};
use tests::stream::{Stream, StreamEvent};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The pause before it connects again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long it waits for what must come.
const PATIENCE: Duration = Duration::from_secs(90);

/// All events on tickets, in few words.
pub const EVENTS: &str =
    "subscription($after: Cursor) { ticketEvents(after: $after) { cursor bookmark event { id } } }";

/// Over what it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// graphql-transport-ws.
    WebSocket,
    /// graphql-sse, distinct connections.
    ServerSentEvents,
}

/// What it was told, over all its connections.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Ids of events, in the order they came.
    pub events: Vec<String>,
    /// How many connections it had.
    pub connections: usize,
    /// How its sockets were closed, by code; 0 is a broken connection.
    pub closed: BTreeMap<u16, usize>,
    /// Each goodbye with 1012: its reason, and how many events had come by then.
    pub goodbyes: Vec<(String, usize)>,
    /// What should not have come.
    pub strange: Vec<String>,
}

/// A running listener.
pub struct Listener {
    heard: Arc<Mutex<Heard>>,
    number: watch::Receiver<usize>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listener {
    /// Starts one behind `after`. It connects to the servers in turn, and leaves after `cut` events of its own accord.
    pub fn start(
        transport: Transport,
        token: &str,
        addresses: &[SocketAddr],
        after: &Value,
        cut: Option<usize>,
    ) -> Self {
        let (sender, number) = watch::channel(0);
        let (heard, stop) = (Arc::<Mutex<Heard>>::default(), CancellationToken::new());
        let ear = Ear {
            transport,
            clients: addresses.iter().map(|address| Client::new(*address, Some(token))).collect(),
            after: after.clone(),
            cut,
            heard: Arc::clone(&heard),
            number: sender,
        };
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = ear.listen() => {}
            }
        });
        Self { heard, number, stop, task }
    }

    /// Waits until it was told of so many events, then ends it.
    pub async fn finish(mut self, events: usize) -> Result<Heard> {
        let reached = self.number.wait_for(|number| *number >= events);
        let reached = tokio::time::timeout(PATIENCE, reached).await.is_ok_and(|reached| reached.is_ok());
        self.stop.cancel();
        self.task.await?;
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !reached {
            let strange = &heard.strange;
            bail!("a subscriber was told {} of {events} events in {PATIENCE:?}; {strange:?}", heard.events.len());
        }
        Ok(heard)
    }
}

struct Ear {
    transport: Transport,
    clients: Vec<Client>,
    after: Value,
    cut: Option<usize>,
    heard: Arc<Mutex<Heard>>,
    number: watch::Sender<usize>,
}

/// Why a connection is over.
enum End {
    /// Cut off, or left of one's own accord.
    Cut,
    /// Something that a program could not mend by connecting again.
    Strange(String),
}

impl Ear {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn listen(mut self) {
        for number in 0.. {
            let client = self.clients[number % self.clients.len()].clone();
            let end = match self.transport {
                Transport::WebSocket => self.over_socket(&client).await,
                Transport::ServerSentEvents => self.over_stream(&client).await,
            };
            if let End::Strange(text) = end {
                self.heard().strange.push(text);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn over_socket(&mut self, client: &Client) -> End {
        let Ok(tcp) = TcpStream::connect(client.address).await else { return End::Cut };
        let Ok(mut socket) = Socket::try_open(tcp, client.token.as_deref()).await else { return End::Cut };
        self.heard().connections += 1;
        let payload = json!({ "query": EVENTS, "variables": { "after": self.after } });
        if !socket.try_send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await {
            return End::Cut;
        }
        let mut told = 0;
        loop {
            match socket.read().await {
                Frame::Message(message) if message["type"] == "next" => {
                    if let Some(end) = self.told(&message["payload"], &mut told) {
                        return end;
                    }
                }
                Frame::Message(message) if message["type"] == "error" => {
                    return ended_by(&message["payload"]);
                }
                Frame::Message(message) => return End::Strange(message.to_string()),
                Frame::Closed(code, reason) => {
                    let mut heard = self.heard();
                    *heard.closed.entry(code).or_default() += 1;
                    if code == 1012 {
                        let number = heard.events.len();
                        heard.goodbyes.push((reason, number));
                    } else if !matches!(code, 0 | 1006 | 1013) {
                        return End::Strange(format!("closed with {code} {reason}"));
                    }
                    return End::Cut;
                }
            }
        }
    }

    async fn over_stream(&mut self, client: &Client) -> End {
        let body = json!({ "query": EVENTS, "variables": { "after": self.after } });
        let request = client.post(&body).header("accept", "text/event-stream");
        let Ok(mut stream) = Stream::try_open(request).await else { return End::Cut };
        self.heard().connections += 1;
        let mut told = 0;
        loop {
            match stream.read().await {
                StreamEvent::Next(answer) => {
                    if let Some(end) = self.told(&answer, &mut told) {
                        return end;
                    }
                }
                StreamEvent::Complete => return End::Strange("complete without a reason".into()),
                StreamEvent::Ended => return End::Cut,
            }
        }
    }

    /// Keeps a result; the end, when it is one.
    fn told(&mut self, answer: &Value, told: &mut usize) -> Option<End> {
        if answer["errors"].is_array() {
            return Some(ended_by(&answer["errors"]));
        }
        let message = &answer["data"]["ticketEvents"];
        self.after = message["cursor"].clone();
        let id = message["event"]["id"].as_str()?;
        let number = {
            let mut heard = self.heard();
            heard.events.push(id.to_owned());
            heard.events.len()
        };
        self.number.send_replace(number);
        *told += 1;
        (Some(*told) == self.cut).then_some(End::Cut)
    }
}

/// What the errors of a result say about going on.
fn ended_by(errors: &Value) -> End {
    match errors[0]["extensions"]["retryable"].as_bool() {
        Some(true) => End::Cut,
        _ => End::Strange(errors.to_string()),
    }
}
