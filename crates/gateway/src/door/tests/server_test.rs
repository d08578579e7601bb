//! The server: slow, silent and numerous clients; shutdown.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::server::{PATIENCE, answer, quick, serve, until};
use crate::door::{Limits, Milliseconds};

/// Everything that still comes on a connection that the server is to close.
async fn rest(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed() {
    let server = serve(Limits { header_timeout: Milliseconds(50), idle_timeout: Milliseconds(80), ..quick() }).await;
    for beginning in
        ["", "P", "PRI * HTTP/2.0\r\n", "GET /healthz HTTP/1.1\r\nhost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = server.tcp().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        rest(&mut stream).await;
    }
    let mut stream = server.tcp().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"), "an idle connection is closed after its answer");
}

#[tokio::test]
async fn a_connection_idles_for_longer_than_a_first_request_may_take() {
    let server =
        serve(Limits { header_timeout: Milliseconds(50), idle_timeout: Milliseconds(30_000), ..quick() }).await;
    let mut stream = server.tcp().await;
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut start = [0; 512];
        let read = timeout(PATIENCE, stream.read(&mut start)).await.unwrap().unwrap();
        assert!(start[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&start[..read]));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn bodies_that_stop_are_refused() {
    let server = serve(Limits { body_idle_timeout: Milliseconds(50), ..quick() }).await;
    let mut stream = server.tcp().await;
    let head =
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"query\"";
    stream.write_all(head.as_bytes()).await.unwrap();
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("stopped arriving"), "{text}");
}

#[tokio::test]
async fn bodies_that_drip_are_refused() {
    let server =
        serve(Limits { body_timeout: Milliseconds(150), body_idle_timeout: Milliseconds(100), ..quick() }).await;
    let (mut read, mut write) = server.tcp().await.into_split();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{";
    write.write_all(head.as_bytes()).await.unwrap();
    let drip = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut start = [0; 12];
    timeout(PATIENCE, read.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 400");
    drip.abort();
}

#[tokio::test]
async fn clients_that_take_nothing_are_dropped() {
    let server = serve(Limits { send_timeout: Milliseconds(100), cost: 1_000_000, ..quick() }).await;
    let mut stream = server.tcp().await;
    let text = "x".repeat(200_000);
    let body = json!({"query": "query ($t: String!) { a: echo(text: $t) b: echo(text: $t) c: echo(text: $t) d: echo(text: $t) }", "variables": {"t": text}}).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // Asks again and again and never reads an answer.
    let flood = async {
        while stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(body.as_bytes()).await.is_ok() {}
    };
    timeout(PATIENCE, flood).await.expect("the server drops the connection");
}

#[tokio::test]
async fn there_is_a_cap_on_connections() {
    let server = serve(Limits { connections: 2, ..quick() }).await;
    let (first, _second) = (server.tcp().await, server.tcp().await);
    // Both are taken once the server has seen them.
    let mut third = String::new();
    for _ in 0..50 {
        let mut stream = server.tcp().await;
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        third = rest(&mut stream).await;
        if third.contains("503") {
            break;
        }
    }
    assert!(third.starts_with("HTTP/1.1 503") && third.contains("retry-after: 1"), "{third}");
    drop(first);
    let wait = async {
        while server.http.get(server.url("/healthz")).send().await.is_err_and(|_| true) {}
        while server.http.get(server.url("/healthz")).send().await.is_ok_and(|response| response.status() != 200) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("a place becomes free");
}

#[tokio::test]
async fn shutdown_finishes_what_has_begun() {
    let server = serve(Limits { drain_notice: Milliseconds(100), ..quick() }).await;
    let running = server.counts.running.clone();
    let read = tokio::spawn(answer(server.post(json!({"query": "{ slow(ms: 300) }"}))));
    until("the read", || running.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    server.shutdown.cancel();
    let ready = answer(server.http.get(server.url("/readyz"))).await;
    assert_eq!(ready, (503, json!("draining\n")));
    assert_eq!(server.query("{ hello }").await.0, 503, "no new work");
    assert_eq!(read.await.unwrap().0, 200);
    let (http, url) = (server.http.clone(), server.url("/healthz"));
    timeout(PATIENCE, server.served).await.expect("the server ends").unwrap().unwrap();
    assert!(http.get(url).send().await.is_err());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let server = serve(Limits { drain_timeout: Milliseconds(50), ..quick() }).await;
    let running = server.counts.running.clone();
    let read = tokio::spawn(server.post(json!({"query": "{ slow(ms: 60000) }"})).send());
    until("the read", || running.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    server.shutdown.cancel();
    timeout(PATIENCE, server.served).await.expect("the server ends").unwrap().unwrap();
    assert!(read.await.unwrap().is_err());
}

#[tokio::test]
async fn a_mutation_whose_client_left_is_waited_for() {
    let server = serve(quick()).await;
    let write = server.post(json!({"query": "mutation { touchSlowly(ms: 150) }"})).timeout(Duration::from_millis(30));
    assert!(write.send().await.is_err());
    server.shutdown.cancel();
    timeout(PATIENCE, server.served).await.expect("the server ends").unwrap().unwrap();
    assert_eq!(server.counts.touched(), 1);
}

#[tokio::test]
async fn http2_is_spoken() {
    let server = serve(quick()).await;
    let io = TokioIo::new(server.tcp().await);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let ask = || {
        let request = http::Request::post(server.url("/graphql")).header("content-type", "application/json");
        sender.clone().send_request(request.body(axum::body::Body::from(r#"{"query":"{ hello }"}"#)).unwrap())
    };
    for response in futures_util::future::join_all((0..20).map(|_| ask())).await {
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    }
}
