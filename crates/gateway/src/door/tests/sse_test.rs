//! Server-Sent Events.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::server::{PATIENCE, Server, code, quick, serve, until};
use crate::door::{Limits, Milliseconds};

fn subscribe(server: &Server, query: &str) -> reqwest::RequestBuilder {
    server
        .http
        .post(server.url("/graphql"))
        .header("accept", "text/event-stream")
        .header("content-type", "application/json")
        .body(json!({"query": query}).to_string())
}

/// Reads a stream to its end.
async fn text(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    timeout(PATIENCE, response.text()).await.unwrap().unwrap()
}

fn nexts(text: &str) -> Vec<Value> {
    let mut events = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "event: next" {
            events.push(serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap());
        }
    }
    events
}

const COMPLETE: &str = "event: complete\ndata:\n\n";

#[tokio::test]
async fn results_then_complete() {
    let server = serve(quick()).await;
    let stream = text(subscribe(&server, "subscription { count(to: 3, everyMs: 1) }")).await;
    let expected: Vec<Value> = (1..=3).map(|number| json!({"data": {"count": number}})).collect();
    assert_eq!(nexts(&stream), expected);
    assert!(stream.ends_with(COMPLETE), "{stream}");
    let get = server.http.get(server.url("/graphql")).query(&[("query", "subscription { count(to: 1, everyMs: 0) }")]);
    assert_eq!(nexts(&text(get.header("accept", "text/event-stream")).await).len(), 1);
    let query = text(subscribe(&server, "{ hello }")).await;
    assert!(nexts(&query) == [json!({"data": {"hello": "world"}})] && query.ends_with(COMPLETE));
    assert_eq!(nexts(&text(subscribe(&server, "mutation { touch }")).await), [json!({"data": {"touch": 1}})]);
    let both = subscribe(&server, "subscription { count(to: 1, everyMs: 0) }");
    let both = both.header("accept", "application/json");
    assert_eq!(nexts(&text(both).await).len(), 1);
}

#[tokio::test]
async fn refusals() {
    let server = serve(quick()).await;
    let stream = text(subscribe(&server, "subscription { nope }")).await;
    assert_eq!(code(&nexts(&stream)[0]), "GRAPHQL_VALIDATION_FAILED");
    assert!(stream.ends_with(COMPLETE));
    let response = subscribe(&server, "subscription { grants }").header("authorization", "Bearer mallory").send().await;
    assert_eq!(response.unwrap().status().as_u16(), 401);
    let panicked = text(subscribe(&server, "subscription { explode }")).await;
    assert!(code(&nexts(&panicked)[0]) == "INTERNAL" && !panicked.contains("secret"), "{panicked}");
    let anonymous = text(subscribe(&server, "subscription { grants }")).await;
    assert_eq!(code(&nexts(&anonymous)[0]), "UNAUTHENTICATED");
}

#[tokio::test]
async fn silence_is_filled() {
    let server =
        serve(Limits { keep_alive_interval: Milliseconds(10), idle_timeout: Milliseconds(50), ..quick() }).await;
    let stream = text(subscribe(&server, "subscription { count(to: 2, everyMs: 150) }")).await;
    assert!(stream.matches(":\n\n").count() >= 5, "{stream}");
    assert_eq!(nexts(&stream).len(), 2, "and the connection is not idle");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_subscription() {
    let server = serve(quick()).await;
    let running = server.counts.running.clone();
    let response = subscribe(&server, "subscription { count(to: 1000000, everyMs: 1) }").send().await.unwrap();
    until("the subscription", || running.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    drop(response);
    until("its end", || running.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn revocation_ends_the_stream_and_rights_change_in_it() {
    let server = serve(quick()).await;
    let request = subscribe(&server, "subscription { grants }").header("authorization", "Bearer bob");
    let mut response = request.send().await.unwrap();
    let mut seen = String::new();
    let mut read_until = async |what: &str| {
        while !seen.contains(what) {
            let chunk = timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().expect(what);
            seen += std::str::from_utf8(&chunk).unwrap();
        }
    };
    read_until(r#"{"grants":2}"#).await;
    server.platform.grant("bob", 5);
    read_until(r#"{"grants":5}"#).await;
    server.platform.revoke("bob");
    read_until("UNAUTHENTICATED").await;
    read_until(COMPLETE).await;
}

#[tokio::test]
async fn shutdown_cuts_the_stream_without_complete() {
    let server = serve(quick()).await;
    let running = server.counts.running.clone();
    let stream = tokio::spawn(text(subscribe(&server, "subscription { count(to: 1000000, everyMs: 5) }")));
    until("the subscription", || running.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    server.shutdown.cancel();
    let stream = stream.await.unwrap();
    assert!(!stream.contains("complete"), "the client is to open it again");
    timeout(PATIENCE, server.served).await.expect("the server ends").unwrap().unwrap();
}
