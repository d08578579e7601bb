//! graphql-transport-ws: one socket, many operations, none of which can starve another.
//!
//! Each operation runs in a task of its own and hands its results over through a small buffer; the socket takes one
//! from each in turn. A slow client fills the buffers, which stops its operations and nobody else's.
//!
//! Thousands of sockets wake for each message of a shared subscription. So what happens rarely (the end of a session, a ping, a
//! shutdown) is looked at when it has happened, and not each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use async_graphql::Executor;
use futures_util::future::{AbortHandle, BoxFuture, poll_fn};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use kernel::{Ctx, Error, ErrorCode};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use super::alone::{Alone, Subscription};
use super::answer::Answer;
use super::connection::{Held, Peer};
use super::document::OperationKind;
use super::engine::{self, Caller};
use super::gate::Parameters;
use super::metrics::Counted;
use super::place::Resume;
use super::protocol::{self, ClientMessage, CloseCode};
use super::session::Session;
use super::shared::Listener;
use super::sources::{Output, Source, Sources, What};
use super::{Inner, Principal, http as door_http};

/// The read buffer of a socket, in bytes: small, since there may be thousands, and clients say little.
const READ_BUFFER_BYTES: usize = 1 << 10;
/// What is to be sent is sent at once; this much only waits together.
const WRITE_BUFFER_BYTES: usize = 4 << 10;
/// How long a closed socket waits for the client's close frame. A client that takes nothing has this long to begin
/// again and hear why it is closed.
pub const CLOSE_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Serves the socket that the connection becomes, until it is closed.
pub async fn open<E: Executor>(
    door: Arc<Inner<E>>,
    on_upgrade: OnUpgrade,
    peer: Option<Peer>,
    place: OwnedSemaphorePermit,
    handshake_token: Option<String>,
    request_id: Arc<str>,
) {
    let upgraded = match timeout(door.limits.header_timeout.duration(), on_upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        _ => return,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(door.limits.body_bytes))
        .max_frame_size(Some(door.limits.body_bytes));
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let socket = Socket {
        _counted: Counted::new(&door.metrics.sockets),
        _place: place,
        _held: peer.as_ref().map(|peer| peer.held.clone()),
        stream,
        caller: Caller {
            principal: None,
            request_id,
            address: peer.as_ref().map(Peer::address),
            live: None,
            wants_cost: false,
            place: None,
        },
        handshake_token,
        session: None,
        operations: HashMap::new(),
        sources: Sources::default(),
        rare: FuturesUnordered::new(),
        next_serial: 0,
        heard: true,
        answered: false,
        door,
    };
    // A token of its own: a thousand sockets shall not wait for one lock.
    let killed = socket.door.killed.child_token();
    let mut killed = FuturesUnordered::from_iter([killed.cancelled_owned()]);
    tokio::select! {
        biased;
        _ = killed.next() => {}
        () = socket.run() => {}
    }
}

/// A running operation.
struct Running {
    serial: u64,
    kind: OperationKind,
    /// Ends its task, if it has one: who listens to a shared subscription has none.
    abort: Option<AbortHandle>,
    subscription: Option<Arc<Subscription>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A mutation runs in a task of its own and is not ended by this.
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

/// What happens rarely.
enum Rare {
    /// The credentials hold no more, for this reason.
    Ended(&'static str),
    /// The server is shutting down.
    Drain,
    /// It is time for a ping.
    Ping(Interval),
}

/// What a socket deals with.
enum Event {
    Rare(Rare),
    Frame(Option<Result<Message, tungstenite::Error>>),
    Output(Output),
}

/// The next tick.
fn ping(mut pings: Interval) -> BoxFuture<'static, Rare> {
    async move {
        pings.tick().await;
        Rare::Ping(pings)
    }
    .boxed()
}

/// Why the loop ends.
enum End {
    /// With a close frame.
    Close(CloseCode, String),
    /// The client has sent a close frame, which is owed one in return.
    Left,
    /// The client is gone.
    Gone,
    /// The client takes nothing.
    Stalled,
}

fn close<T>(code: CloseCode, reason: impl Into<String>) -> Result<T, End> {
    Err(End::Close(code, reason.into()))
}

struct Socket<E> {
    door: Arc<Inner<E>>,
    stream: WebSocketStream<TokioIo<Upgraded>>,
    caller: Caller,
    handshake_token: Option<String>,
    session: Option<Session>,
    operations: HashMap<Arc<str>, Running>,
    sources: Sources,
    /// What happens rarely; dropped with the session that it watches.
    rare: FuturesUnordered<BoxFuture<'static, Rare>>,
    next_serial: u64,
    /// Whether anything came since the last ping.
    heard: bool,
    /// Whether the last event was a result: then a frame of the client's is looked at first, and the other way round.
    answered: bool,
    _counted: Counted,
    _place: OwnedSemaphorePermit,
    _held: Option<Arc<Held>>,
}

impl<E: Executor> Socket<E> {
    async fn run(mut self) {
        let end = match self.initialise().await {
            Ok(()) => self.operate().await,
            Err(end) => end,
        };
        // First of all nothing runs on for a client that is gone or may not.
        self.operations.clear();
        self.sources = Sources::default();
        self.end_session();
        match end {
            End::Close(code, reason) => self.say_goodbye(Some((code, &reason))).await,
            End::Left => self.say_goodbye(None).await,
            End::Gone | End::Stalled => {}
        }
    }

    /// Closes with a code and a reason, or answers the client's own close frame: without that, the client would take
    /// the connection for one that broke.
    async fn say_goodbye(mut self, with: Option<(CloseCode, &str)>) {
        let goodbye = async {
            if let Some((code, reason)) = with {
                let frame = CloseFrame { code: (code as u16).into(), reason: protocol::reason(reason).into() };
                if self.stream.close(Some(frame)).await.is_err() {
                    return;
                }
            }
            // Reading on sends what is owed.
            let mut left = with.is_none();
            while let Some(Ok(message)) = self.stream.next().await {
                left |= message.is_close();
            }
            if !left {
                self.read_out().await;
            }
        };
        let _ = timeout(CLOSE_WAIT, goodbye).await;
    }

    /// Reads what a client still sends after a frame that cannot be understood. A connection that is closed with unread
    /// bytes is reset, and a client whose connection is reset never reads the close frame.
    async fn read_out(&mut self) {
        let connection = self.stream.get_mut();
        if connection.shutdown().await.is_ok() {
            let _ = tokio::io::copy(connection, &mut tokio::io::sink()).await;
        }
    }

    /// Waits for `connection_init` and checks its credentials.
    async fn initialise(&mut self) -> Result<(), End> {
        let patience = self.door.limits.socket_init_timeout.duration();
        let authorization = match timeout(patience, self.first_message()).await {
            Ok(message) => message?,
            Err(_) => {
                return close(CloseCode::InitTimeout, "Connection initialisation timeout");
            }
        };
        let token = match authorization {
            Some(value) => match door_http::parse_bearer(&value, self.door.limits.token_bytes) {
                Ok(token) => Some(token),
                Err(_) => {
                    return close(CloseCode::Forbidden, "Forbidden");
                }
            },
            None => self.handshake_token.take(),
        };
        if let Some(token) = token {
            let principal = match door_http::authenticate(&self.door, &token, &self.caller.request_id).await {
                Ok(principal) => principal,
                Err(error) => return refused_credentials(&error),
            };
            let id = self.caller.request_id.clone();
            self.caller.principal = Some(principal.clone());
            self.session = Some(Session::start(self.door.clone(), token, principal, id));
        }
        self.send(protocol::ack()).await
    }

    async fn first_message(&mut self) -> Result<Option<String>, End> {
        loop {
            let frame = self.stream.next().await;
            match self.message(frame)? {
                None => {}
                Some(ClientMessage::Init { authorization }) => return Ok(authorization),
                Some(ClientMessage::Ping(payload)) => self.send(protocol::pong(payload)).await?,
                Some(ClientMessage::Pong | ClientMessage::Complete { .. }) => {}
                Some(ClientMessage::Subscribe { .. }) => {
                    return close(CloseCode::Unauthorized, "Unauthorized");
                }
            }
        }
    }

    /// Stops to watch the credentials.
    fn end_session(&mut self) {
        self.session = None;
        self.rare = FuturesUnordered::new();
    }

    /// Begins to wait for what happens rarely.
    fn watch(&mut self) {
        let mut pings = interval(self.door.limits.ping_interval.duration());
        // The first comes after the first interval.
        pings.reset();
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.rare.push(ping(pings));
        let draining = self.door.draining.child_token().cancelled_owned();
        self.rare.push(draining.map(|()| Rare::Drain).boxed());
        if let Some(session) = &mut self.session {
            self.rare.push(session.end().map(Rare::Ended).boxed());
        }
    }

    async fn operate(&mut self) -> End {
        self.watch();
        let mut draining = self.door.draining.is_cancelled();
        loop {
            if draining && self.only_subscriptions() {
                let cursor = self.cursor().await;
                return End::Close(CloseCode::Restart, cursor.unwrap_or_else(|| "the server restarts".into()));
            }
            match self.step(&mut draining).await {
                Ok(()) => {}
                Err(End::Stalled) => {
                    tracing::info!(request_id = %self.caller.request_id, "a client takes nothing; its socket is closed");
                    let cursor = self.cursor().await;
                    return End::Close(CloseCode::TryAgainLater, cursor.unwrap_or_else(|| "too slow".into()));
                }
                Err(end) => return end,
            }
        }
    }

    fn only_subscriptions(&self) -> bool {
        self.operations.values().all(|running| running.kind == OperationKind::Subscription)
    }

    /// A place in the log that none of this socket's subscriptions misses anything behind. A socket without any has none:
    /// what its client will ask for, or has asked for and was not heard, may lie further back.
    async fn cursor(&mut self) -> Option<String> {
        let subscribed = self.operations.values().any(|running| running.kind == OperationKind::Subscription);
        let ctx = match &self.session {
            Some(session) if subscribed => session.current().ctx,
            _ => return None,
        };
        let subscriptions = self.operations.values().filter_map(|running| running.subscription.as_ref());
        let behind = subscriptions.map(|subscription| subscription.behind.load(Ordering::Relaxed)).min();
        let asked = timeout(CLOSE_WAIT, self.door.backend.log_cursor(&ctx, behind)).await;
        asked.ok().flatten().filter(|cursor| cursor.len() <= protocol::MAX_REASON_BYTES)
    }

    /// Waits for whatever comes first and deals with it.
    async fn step(&mut self, draining: &mut bool) -> Result<(), End> {
        match poll_fn(|cx| self.poll_event(cx)).await {
            Event::Rare(Rare::Ended(reason)) => {
                self.end_session();
                close(CloseCode::Unauthorized, reason)
            }
            Event::Rare(Rare::Drain) => {
                *draining = true;
                Ok(())
            }
            Event::Rare(Rare::Ping(pings)) => {
                self.rare.push(ping(pings));
                self.ping().await
            }
            Event::Output(output) => self.deliver(output).await,
            Event::Frame(frame) => match self.message(frame)? {
                Some(message) => self.handle(message, *draining).await,
                None => Ok(()),
            },
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(rare)) = self.rare.poll_next_unpin(cx) {
            return Poll::Ready(Event::Rare(rare));
        }
        // Reading and writing take turns: neither a flood of messages nor one of results can hold up the other.
        for results in [!self.answered, self.answered] {
            let event = if results {
                self.sources.poll(cx).map(Event::Output)
            } else {
                self.stream.poll_next_unpin(cx).map(Event::Frame)
            };
            if event.is_ready() {
                self.answered = results;
                return event;
            }
        }
        Poll::Pending
    }

    /// What a frame says; `None` for frames that say nothing to us.
    fn message(&mut self, frame: Option<Result<Message, tungstenite::Error>>) -> Result<Option<ClientMessage>, End> {
        self.heard = true;
        match frame {
            None => Err(End::Gone),
            Some(Ok(Message::Text(text))) => match ClientMessage::parse(&text, self.door.limits.operation_id_bytes) {
                Ok(message) => Ok(Some(message)),
                Err(reason) => close(CloseCode::BadRequest, reason),
            },
            Some(Ok(Message::Binary(_))) => close(CloseCode::BadRequest, "messages are text"),
            Some(Ok(Message::Close(_))) => Err(End::Left),
            Some(Ok(_)) => Ok(None),
            Some(Err(tungstenite::Error::Capacity(_))) => {
                let limit = self.door.limits.body_bytes;
                close(CloseCode::TooLarge, format!("a message has more bytes than the limit of {limit}"))
            }
            Some(Err(tungstenite::Error::Utf8(_))) => close(CloseCode::BadRequest, "messages are UTF-8"),
            Some(Err(_)) => Err(End::Gone),
        }
    }

    async fn handle(&mut self, message: ClientMessage, draining: bool) -> Result<(), End> {
        match message {
            ClientMessage::Init { .. } => close(CloseCode::TooManyInits, "Too many initialisation requests"),
            ClientMessage::Ping(payload) => self.send(protocol::pong(payload)).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Complete { id } => {
                self.remove(&id);
                Ok(())
            }
            ClientMessage::Subscribe { id, parameters } => self.subscribe(id.into(), &parameters, draining).await,
        }
    }

    async fn subscribe(&mut self, id: Arc<str>, parameters: &Parameters, draining: bool) -> Result<(), End> {
        if self.operations.contains_key(&id) {
            return close(CloseCode::SubscriberExists, format!("Subscriber for {id} already exists"));
        }
        let caller = self.caller_of_operation();
        match self.admit(parameters, &caller, draining) {
            Err(answer) => {
                self.door.metrics.answered("websocket", None, &answer);
                self.send(protocol::result(&id, &answer)).await
            }
            Ok(admitted) => {
                self.start(id, admitted, caller);
                Ok(())
            }
        }
    }

    fn admit(&self, parameters: &Parameters, caller: &Caller, draining: bool) -> Result<engine::Admitted, Box<Answer>> {
        let limit = self.door.limits.operations_per_socket;
        if draining {
            let message = "the server is shutting down; connect again";
            return Err(Box::new(Answer::refusal(ErrorCode::Unavailable, message, &caller.request_id)));
        }
        if self.operations.len() >= limit {
            let message = format!("there are {limit} operations on this connection, which is the limit");
            return Err(Box::new(Answer::refusal(ErrorCode::TooManySubscriptions, message, &caller.request_id)));
        }
        engine::admit(&self.door, parameters, caller)
    }

    /// Each operation has a request id of its own, and the rights of this moment.
    fn caller_of_operation(&self) -> Caller {
        let request_id = door_http::new_request_id();
        let principal = self.session.as_ref().map(Session::current).map(|mut principal: Principal| {
            principal.ctx.request_id = request_id.clone();
            principal
        });
        let live = self.session.as_ref().map(|session| session.live.clone());
        Caller { principal, live, request_id, ..self.caller.clone() }
    }

    fn start(&mut self, id: Arc<str>, admitted: engine::Admitted, caller: Caller) {
        let (serial, kind) = (self.next_serial, admitted.checked.kind);
        self.next_serial += 1;
        if kind == OperationKind::Subscription {
            let live = caller.live.clone();
            let counted = Counted::new(&self.door.metrics.subscriptions);
            let behind = AtomicI64::new(i64::MAX);
            let subscription =
                Arc::new(Subscription { admitted, caller, behind, basis: Arc::default(), _counted: counted });
            return self.start_alone(id, serial, subscription, Resume::AsAsked, live);
        }
        let (sender, receiver) = mpsc::channel::<Output>(self.door.limits.operation_buffer.max(1));
        let (door, operation) = (self.door.clone(), id.clone());
        let abort = engine::spawn_abortable(&self.door, async move {
            let refused = std::sync::atomic::AtomicBool::new(false);
            let deliver = |answer: Answer| {
                door.metrics.answered("websocket", Some(kind), &answer);
                let message = protocol::result(&operation, &answer);
                // After `error` there is no `complete`.
                let last = answer.data.is_none() && !answer.errors.is_empty();
                refused.store(last, std::sync::atomic::Ordering::Relaxed);
                let output = Output { id: operation.clone(), serial, what: What::Text(message), last };
                let sender = sender.clone();
                async move { sender.send(output).await.is_ok() && !last }
            };
            engine::run(&door, admitted, &caller, deliver).await;
            if !refused.load(std::sync::atomic::Ordering::Relaxed) {
                let what = What::Text(protocol::complete(&operation));
                let _ = sender.send(Output { id: operation.clone(), serial, what, last: true }).await;
            }
        });
        self.sources.add(serial, Source::Task(receiver));
        self.operations.insert(id, Running { serial, kind, abort: Some(abort), subscription: None });
    }

    /// Starts a subscription that is not shared, or not yet.
    fn start_alone(
        &mut self,
        id: Arc<str>,
        serial: u64,
        subscription: Arc<Subscription>,
        resume: Resume,
        live: Option<watch::Receiver<Ctx>>,
    ) {
        let (sender, receiver) = mpsc::channel::<Output>(self.door.limits.operation_buffer.max(1));
        let alone = Alone {
            door: self.door.clone(),
            id: id.clone(),
            serial,
            subscription: Arc::clone(&subscription),
            live,
            sender,
        };
        let abort = engine::spawn_abortable(&self.door, alone.run(resume));
        self.sources.add(serial, Source::Task(receiver));
        let (kind, abort) = (OperationKind::Subscription, Some(abort));
        let running = Running { serial, kind, abort, subscription: Some(subscription) };
        self.operations.insert(id, running);
    }

    /// Takes what a listener hears among the results.
    fn listen(&mut self, id: Arc<str>, serial: u64, listener: Box<Listener>) {
        let Some(running) = self.operations.get_mut(&id) else { return };
        // Its task has ended with this.
        running.abort = None;
        let counted = Counted::new(&self.door.metrics.listeners);
        self.sources.add(serial, Source::Shared { id, listener, _counted: counted });
    }

    /// Ends an operation: nothing of it is told any more.
    fn remove(&mut self, id: &str) {
        if let Some(running) = self.operations.remove(id) {
            self.sources.remove(running.serial);
        }
    }

    /// Sends an operation's results, unless it was ended or replaced in the meantime.
    async fn deliver(&mut self, output: Output) -> Result<(), End> {
        let Some(running) = self.operations.get(&output.id).filter(|running| running.serial == output.serial) else {
            return Ok(());
        };
        let Output { id, serial, what, last } = output;
        match what {
            What::Text(text) => {
                if last {
                    // Before it is said: the client may use the id again at once.
                    self.remove(&id);
                }
                self.send(text).await
            }
            What::Listen(listener) => {
                self.listen(id, serial, listener);
                Ok(())
            }
            What::Shared(message) => {
                let subscription = running.subscription.clone();
                self.door.metrics.told_shared();
                self.write(Message::Text(message.frame(&id))).await?;
                if let Some(subscription) = subscription {
                    subscription.behind.store(message.position(), Ordering::Relaxed);
                }
                Ok(())
            }
            What::Alone(position, live) => {
                if let Some(subscription) = running.subscription.clone() {
                    self.start_alone(id, serial, subscription, Resume::Behind(position), Some(live));
                }
                Ok(())
            }
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if !std::mem::take(&mut self.heard) {
            tracing::debug!(request_id = %self.caller.request_id, "a socket gave no sign of life");
            return Err(End::Gone);
        }
        self.write(Message::Ping(bytes::Bytes::new())).await
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        self.write(Message::text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        let mut sending = self.stream.send(message);
        // Nearly always the system takes it at once, and nobody has to look at the clock.
        let sent = match futures_util::poll!(&mut sending) {
            Poll::Ready(sent) => Ok(sent),
            Poll::Pending => timeout(self.door.limits.send_timeout.duration(), sending).await,
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Stalled),
        }
    }
}

fn refused_credentials(error: &Error) -> Result<(), End> {
    match error.code() {
        ErrorCode::Unauthenticated => close(CloseCode::Forbidden, "Forbidden"),
        _ => close(CloseCode::TryAgainLater, "the credentials could not be checked; connect again"),
    }
}
