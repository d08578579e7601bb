//! `graphql-transport-ws`, frame by frame.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::soon;

/// An open socket.
pub struct Socket(WebSocketStream<TcpStream>);

fn request(address: SocketAddr) -> tokio_tungstenite::tungstenite::handshake::client::Request {
    let mut request = format!("ws://{address}/graphql").into_client_request().expect("the address is one");
    let protocol = "graphql-transport-ws".parse().expect("it is a header's value");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    request
}

fn init(token: Option<&str>) -> Value {
    let payload = token.map(|token| json!({ "Authorization": format!("Bearer {token}") }));
    json!({ "type": "connection_init", "payload": payload.unwrap_or(json!({})) })
}

/// What came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A message.
    Message(Value),
    /// The end, with the server's code and reason.
    Closed(u16, String),
}

impl Socket {
    /// Opens a socket with these headers more; the status when it is refused.
    ///
    /// # Errors
    /// The HTTP status of the refusal.
    ///
    /// # Panics
    /// When there is no server.
    pub async fn connect(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = request(address);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("it is a header's value"));
        }
        let tcp = TcpStream::connect(address).await.expect("the server listens");
        match client_async(request, tcp).await {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a socket over this connection and initialises it, where the server may be gone at any moment.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn try_open(tcp: TcpStream, token: Option<&str>) -> Result<Self, String> {
        let address = tcp.peer_addr().map_err(|error| error.to_string())?;
        let (stream, _) = client_async(request(address), tcp).await.map_err(|error| error.to_string())?;
        let mut socket = Self(stream);
        socket.try_send(init(token)).await;
        match socket.read().await {
            Frame::Message(message) if message["type"] == "connection_ack" => Ok(socket),
            other => Err(format!("no acknowledgement: {other:?}")),
        }
    }

    /// Opens a socket and initialises it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(address: SocketAddr, token: Option<&str>) -> Self {
        let mut socket = Self::connect(address, &[]).await.expect("the socket opens");
        socket.send(init(token)).await;
        let acknowledged = socket.frame().await;
        assert!(
            matches!(&acknowledged, Frame::Message(message) if message["type"] == "connection_ack"),
            "{acknowledged:?}"
        );
        socket
    }

    /// Sends a message.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("the socket is open");
    }

    /// Sends a message; whether the socket was open.
    pub async fn try_send(&mut self, message: Value) -> bool {
        self.0.send(Message::text(message.to_string())).await.is_ok()
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// The next message or the end.
    ///
    /// # Panics
    /// When nothing comes.
    pub async fn frame(&mut self) -> Frame {
        soon("a frame", self.read()).await
    }

    /// The next message or the end, if one comes within this time.
    pub async fn frame_within(&mut self, time: Duration) -> Option<Frame> {
        tokio::time::timeout(time, self.read()).await.ok()
    }

    /// The next message or the end, however long it takes.
    ///
    /// # Panics
    /// When a message is no JSON.
    pub async fn read(&mut self) -> Frame {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
                    return Frame::Message(message);
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    return Frame::Closed(close.code.into(), close.reason.to_string());
                }
                Some(Ok(Message::Close(None))) | None => return Frame::Closed(0, String::new()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Frame::Closed(0, error.to_string()),
            }
        }
    }

    /// The data of the next result of this operation.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn next(&mut self, id: &str) -> Value {
        match self.frame().await {
            Frame::Message(mut message) if message["type"] == "next" && message["id"] == id => {
                assert!(message["payload"].get("errors").is_none(), "{message}");
                message["payload"]["data"].take()
            }
            other => panic!("no result of {id}: {other:?}"),
        }
    }

    /// The close code and reason, after whatever is under way.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Frame::Closed(code, reason) = self.frame().await {
                return (code, reason);
            }
        }
    }
}
