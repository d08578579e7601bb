//! graphql-transport-ws, frame by frame.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::server::{PATIENCE, Server, quick, serve, serve_with, until};
use crate::door::{DoorConfig, Limits, Milliseconds};

struct Client(WebSocketStream<TcpStream>);

/// Opens a socket with these headers more.
async fn connect(server: &Server, headers: &[(&'static str, &str)]) -> Result<Client, u16> {
    let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, server.tcp().await).await {
        Ok((stream, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
            Ok(Client(stream))
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Opens a socket and initialises it.
async fn init(server: &Server, payload: Value) -> Client {
    let mut client = connect(server, &[]).await.unwrap();
    client.send(json!({"type": "connection_init", "payload": payload})).await;
    assert_eq!(client.next().await, json!({"type": "connection_ack"}));
    client
}

impl Client {
    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"id": id, "type": "subscribe", "payload": {"query": query}})).await;
    }

    /// The next text message.
    async fn next(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message comes") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("instead of a message: {other:?}"),
            }
        }
    }

    /// The code and reason that the server closes with, whatever comes before.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("the server closes the socket") {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("instead of a close frame: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_handshake() {
    let config =
        DoorConfig { limits: quick(), allowed_origins: vec!["https://portal.example".into()], ..DoorConfig::default() };
    let server = serve_with(config).await;
    let own = format!("http://{}", server.address);
    let own_tls = format!("https://{}", server.address);
    for origin in [own.as_str(), &own_tls, "https://portal.example"] {
        assert!(connect(&server, &[("origin", origin)]).await.is_ok(), "{origin}");
    }
    let lookalike = format!("{own}.evil.example");
    for origin in
        ["https://evil.example", "null", "", "http://127.0.0.1:1", &lookalike, "https://portal.example.evil.example"]
    {
        assert_eq!(connect(&server, &[("origin", origin)]).await.err(), Some(403), "{origin}");
    }
    assert!(connect(&server, &[]).await.is_ok(), "programs send no origin");
    assert_eq!(connect(&server, &[("sec-websocket-protocol", "graphql-ws")]).await.err(), Some(400));
    assert!(connect(&server, &[("sec-websocket-protocol", "other, graphql-transport-ws")]).await.is_ok());
    assert_eq!(connect(&server, &[("sec-websocket-version", "8")]).await.err(), Some(400));
}

#[tokio::test]
async fn queries_mutations_and_subscriptions() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({"Authorization": "Bearer alice"})).await;
    client.subscribe("q", "{ hello viewer }").await;
    let next = client.next().await;
    assert_eq!(
        (&next["id"], &next["type"], &next["payload"]["data"]["hello"]),
        (&json!("q"), &json!("next"), &json!("world"))
    );
    assert_eq!(client.next().await, json!({"id": "q", "type": "complete"}));
    client.subscribe("q", "mutation { touch }").await;
    assert_eq!(client.next().await["payload"], json!({"data": {"touch": 1}}), "an id may be used again");
    assert_eq!(client.next().await["type"], "complete");
    client.subscribe("s", "subscription { count(to: 2, everyMs: 1) }").await;
    for number in 1..=2 {
        assert_eq!(client.next().await, json!({"id": "s", "type": "next", "payload": {"data": {"count": number}}}));
    }
    assert_eq!(client.next().await, json!({"id": "s", "type": "complete"}));
    client.send(json!({"type": "ping", "payload": {}})).await;
    assert_eq!(client.next().await, json!({"type": "pong", "payload": {}}), "a payload comes back");
    client.send(json!({"type": "pong"})).await;
    client.send(json!({"id": "unknown", "type": "complete"})).await;
    client.subscribe("v", "{ requestId }").await;
    let first = client.next().await["payload"]["data"]["requestId"].clone();
    assert_eq!(client.next().await["type"], "complete");
    client.subscribe("v", "{ requestId }").await;
    assert_ne!(client.next().await["payload"]["data"]["requestId"], first, "each operation has a request id");
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let server = serve(quick()).await;
    for initialised in [false, true] {
        let mut client = match initialised {
            true => init(&server, json!({"Authorization": "Bearer alice"})).await,
            false => connect(&server, &[]).await.unwrap(),
        };
        let frame = CloseFrame { code: CloseCode::Normal, reason: "Normal Closure".into() };
        client.0.send(Message::Close(Some(frame))).await.unwrap();
        assert_eq!(client.closed().await.0, 1000);
        let end = timeout(PATIENCE, client.0.next()).await.expect("the connection ends");
        assert!(end.is_none(), "after the close frame: {end:?}");
    }
}

#[tokio::test]
async fn without_credentials_only_what_is_open() {
    let server = serve(quick()).await;
    for payload in [Value::Null, json!({}), json!({"authorization": null})] {
        let mut client = init(&server, payload).await;
        client.subscribe("1", "{ viewer }").await;
        assert_eq!(client.next().await["payload"]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }
    let mut header = connect(&server, &[("authorization", "Bearer bob")]).await.unwrap();
    header.send(json!({"type": "connection_init"})).await;
    assert_eq!(header.next().await["type"], "connection_ack");
    header.subscribe("1", "{ viewer }").await;
    assert!(header.next().await["payload"]["data"]["viewer"].is_string(), "programs may use the handshake's header");
}

#[tokio::test]
async fn errors_are_per_operation() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({})).await;
    client.subscribe("s", "subscription { count(to: 3, everyMs: 50) }").await;
    for (query, code) in [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("query ($a: Int!) { size(number: $a) }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ panics }", "INTERNAL"),
    ] {
        client.subscribe("e", query).await;
        let mut error = client.next().await;
        while error["id"] == "s" {
            error = client.next().await;
        }
        assert_eq!(
            (&error["type"], &error["payload"][0]["extensions"]["code"]),
            (&json!("error"), &json!(code)),
            "{query}"
        );
    }
    let mut last = client.next().await;
    while last["type"] != "complete" {
        last = client.next().await;
    }
    assert_eq!(last["id"], "s", "the other operation went on");
    client.subscribe("x", "subscription { explode }").await;
    let error = client.next().await;
    assert!(
        error["payload"][0]["extensions"]["code"] == "INTERNAL" && !error.to_string().contains("secret"),
        "{error}"
    );
}

#[tokio::test]
async fn breaches_of_the_protocol_close_the_socket() {
    let server = serve(Limits { socket_init_timeout: Milliseconds(50), ..quick() }).await;
    let mut silent = connect(&server, &[]).await.unwrap();
    assert_eq!(silent.closed().await.0, 4408);
    let mut chatty = connect(&server, &[]).await.unwrap();
    chatty.send(json!({"type": "ping"})).await;
    assert_eq!(chatty.closed().await.0, 4408, "a ping is not an init");
    let mut early = connect(&server, &[]).await.unwrap();
    early.subscribe("1", "{ hello }").await;
    assert_eq!(early.closed().await.0, 4401);
    for token in ["Bearer mallory", "alice", "Basic YTpi"] {
        let mut bad = connect(&server, &[]).await.unwrap();
        bad.send(json!({"type": "connection_init", "payload": {"authorization": token}})).await;
        assert_eq!(bad.closed().await.0, 4403, "{token}");
    }
    let mut twice = init(&server, json!({})).await;
    twice.send(json!({"type": "connection_init"})).await;
    assert_eq!(twice.closed().await.0, 4429);
    let mut double = init(&server, json!({})).await;
    double.subscribe("1", "subscription { count(to: 100, everyMs: 1000) }").await;
    double.subscribe("1", "{ hello }").await;
    assert_eq!(double.closed().await, (4409, "Subscriber for 1 already exists".into()));
    for message in
        [Message::text("nonsense"), Message::text("{}"), Message::text(r#"{"type":"start"}"#), Message::binary(vec![1])]
    {
        let mut bad = init(&server, json!({})).await;
        bad.0.send(message).await.unwrap();
        assert_eq!(bad.closed().await.0, 4400);
    }
    let mut first = connect(&server, &[]).await.unwrap();
    first.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(first.closed().await.0, 4400);
}

#[tokio::test]
async fn messages_have_a_limit() {
    let server = serve(Limits { body_bytes: 10_000, ..quick() }).await;
    let mut client = init(&server, json!({})).await;
    client.subscribe("1", &format!("{{ hello }} # {}", "x".repeat(9_000))).await;
    assert_eq!(client.next().await["type"], "next");
    client.subscribe("2", &"x".repeat(20_000)).await;
    assert_eq!(client.closed().await.0, 1009);

    // More than the network holds: it is sent to its end before the client looks for an answer.
    let mut client = init(&server, json!({})).await;
    client.subscribe("1", &"x".repeat(20_000_000)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn the_hundred_and_first_subscription() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({})).await;
    for id in 0..100 {
        client.subscribe(&id.to_string(), "subscription { count(to: 1, everyMs: 60000) }").await;
    }
    client.subscribe("100", "subscription { count(to: 1, everyMs: 60000) }").await;
    let error = client.next().await;
    assert_eq!((&error["id"], &error["type"]), (&json!("100"), &json!("error")));
    assert_eq!(error["payload"][0]["extensions"]["code"], "TOO_MANY_SUBSCRIPTIONS");
    let running = server.counts.running.clone();
    let count = || running.load(std::sync::atomic::Ordering::SeqCst);
    until("all", || count() == 100).await;
    client.send(json!({"id": "7", "type": "complete"})).await;
    until("the end of one", || count() == 99).await;
    client.subscribe("100", "subscription { count(to: 1, everyMs: 0) }").await;
    assert_eq!(client.next().await["type"], "next", "a place became free");
    drop(client);
    until("the end of all", || count() == 0).await;
}

#[tokio::test]
async fn a_hot_subscription_starves_nobody() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({})).await;
    client.subscribe("hot", "subscription { count(to: 2000000000, everyMs: 0) }").await;
    for _ in 0..100 {
        assert_eq!(client.next().await["id"], "hot");
    }
    client.subscribe("calm", "subscription { count(to: 20, everyMs: 0) }").await;
    client.subscribe("query", "{ hello }").await;
    let (mut hot, mut calm, mut query) = (0, 0, false);
    while calm < 20 || !query {
        let message = client.next().await;
        match message["id"].as_str().unwrap() {
            "hot" => hot += 1,
            "calm" => calm += usize::from(message["type"] == "next"),
            _ => query = true,
        }
        assert!(hot < 2_000, "starved: {calm} of 20 after {hot} of the hot one");
    }
    client.send(json!({"id": "hot", "type": "complete"})).await;
    client.subscribe("last", "{ hello }").await;
    let quiet = async { while client.next().await["id"] != "last" {} };
    timeout(PATIENCE, quiet).await.expect("the hot one ends when told to");
}

#[tokio::test]
async fn rights_change_and_tokens_end() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({"authorization": "Bearer bob"})).await;
    client.subscribe("g", "subscription { grants }").await;
    assert_eq!(client.next().await["payload"]["data"]["grants"], 2);
    server.platform.grant("bob", 7);
    assert_eq!(client.next().await["payload"]["data"]["grants"], 7);
    server.platform.down.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(60)).await;
    client.send(json!({"type": "ping"})).await;
    assert_eq!(client.next().await["type"], "pong", "a database that is away revokes nothing");
    server.platform.down.store(false, std::sync::atomic::Ordering::SeqCst);
    server.platform.revoke("bob");
    let (code, reason) = client.closed().await;
    assert!(code == 4401 && reason.contains("revoked"), "{code} {reason}");

    let expires = server.platform.clock.now() + chrono::Duration::hours(1);
    server.platform.expire_at("alice", expires);
    let mut client = init(&server, json!({"authorization": "Bearer alice"})).await;
    server.platform.down.store(true, std::sync::atomic::Ordering::SeqCst);
    server.platform.clock.advance(chrono::Duration::hours(2));
    let (code, reason) = client.closed().await;
    assert!(code == 4401 && reason.contains("expired"), "{code} {reason}");
}

#[tokio::test]
async fn dead_sockets_are_found() {
    let server = serve(Limits { ping_interval: Milliseconds(40), ..quick() }).await;
    let running = server.counts.running.clone();
    let count = || running.load(std::sync::atomic::Ordering::SeqCst);
    let mut client = init(&server, json!({})).await;
    client.subscribe("1", "subscription { count(to: 1, everyMs: 60000) }").await;
    // While it is read, the client answers pings; the socket outlives several.
    let read = timeout(Duration::from_millis(200), client.0.next());
    assert!(matches!(read.await, Ok(Some(Ok(Message::Ping(_))))));
    until("the subscription", || count() == 1).await;
    // From now on nobody reads, and no pong goes out.
    until("the end of a dead socket", || count() == 0).await;
    drop(client);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped() {
    let server = serve(Limits { send_timeout: Milliseconds(100), ..quick() }).await;
    let running = server.counts.running.clone();
    let count = || running.load(std::sync::atomic::Ordering::SeqCst);
    let mut client = init(&server, json!({})).await;
    client.subscribe("hot", "subscription { count(to: 2000000000, everyMs: 0) }").await;
    until("the subscription", || count() == 1).await;
    until("its end", || count() == 0).await;
    drop(client);
}

#[tokio::test]
async fn a_client_that_reads_again_learns_why_it_was_closed() {
    let server = serve(Limits { send_timeout: Milliseconds(100), ..quick() }).await;
    let running = server.counts.running.clone();
    let count = || running.load(std::sync::atomic::Ordering::SeqCst);
    let mut client = init(&server, json!({"authorization": "Bearer alice"})).await;
    client.subscribe("hot", "subscription { count(to: 2000000000, everyMs: 0) }").await;
    until("the subscription", || count() == 1).await;
    until("its end", || count() == 0).await;
    assert_eq!(client.closed().await, (1013, "cursor-of-1".into()), "behind all that was on its way");
}

#[tokio::test]
async fn there_is_a_cap_on_sockets() {
    let server = serve(Limits { sockets: 1, ..quick() }).await;
    let first = init(&server, json!({})).await;
    assert_eq!(connect(&server, &[]).await.err(), Some(503));
    drop(first);
    let free = async {
        while connect(&server, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, free).await.expect("a place becomes free");
}

#[tokio::test]
async fn a_mutation_outlives_its_socket() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({})).await;
    client.subscribe("1", "mutation { touchSlowly(ms: 100) }").await;
    client.send(json!({"type": "ping"})).await;
    client.next().await;
    drop(client);
    until("the mutation", || server.counts.touched() == 1).await;
}

#[tokio::test]
async fn rates_hold_on_sockets_too() {
    let server = serve(Limits { request_burst: 2, requests_per_second: 1, ..quick() }).await;
    let mut client = init(&server, json!({"authorization": "Bearer alice"})).await;
    for id in ["1", "2"] {
        client.subscribe(id, "{ hello }").await;
        assert_eq!(
            (client.next().await["type"].clone(), client.next().await["type"].clone()),
            (json!("next"), json!("complete"))
        );
    }
    client.subscribe("3", "{ hello }").await;
    assert_eq!(client.next().await["payload"][0]["extensions"]["code"], "RATE_LIMITED");
}

#[tokio::test]
async fn shutdown_closes_with_the_cursor() {
    let server = serve(quick()).await;
    let mut client = init(&server, json!({"authorization": "Bearer alice"})).await;
    let mut anonymous = init(&server, json!({})).await;
    let mut idle = init(&server, json!({"authorization": "Bearer alice"})).await;
    client.subscribe("s", "subscription { count(to: 1, everyMs: 60000) }").await;
    client.subscribe("m", "mutation { touchSlowly(ms: 150) }").await;
    client.send(json!({"type": "ping"})).await;
    client.next().await;
    server.shutdown.cancel();
    assert_eq!(client.next().await["payload"]["data"]["touchSlowly"], 1, "what has begun finishes");
    assert_eq!(client.closed().await, (1012, "cursor-of-1".into()));
    assert_eq!(anonymous.closed().await, (1012, "the server restarts".into()));
    // What it has not heard yet may lie before any place that we know of.
    assert_eq!(idle.closed().await, (1012, "the server restarts".into()));
    timeout(PATIENCE, server.served).await.expect("the server ends").unwrap().unwrap();
}
