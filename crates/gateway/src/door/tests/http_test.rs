//! GraphQL over HTTP: methods, media types, status codes, credentials, limits.

use std::time::Duration;

use serde_json::json;

use super::server::{answer, code, quick, serve, until};
use crate::door::{Limits, Milliseconds};

#[tokio::test]
async fn posts_and_gets() {
    let server = serve(quick()).await;
    assert_eq!(server.query("{ hello }").await, (200, json!({"data": {"hello": "world"}})));
    let get = server.http.get(server.url("/graphql")).query(&[
        ("query", "query A($t: String!) { echo(text: $t) } query B { hello }"),
        ("operationName", "A"),
        ("variables", r#"{"t": "ü"}"#),
        ("extensions", "{}"),
    ]);
    let response = get.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    assert_eq!(response.json::<serde_json::Value>().await.unwrap(), json!({"data": {"echo": "ü"}}));
    let bom = server.post(json!({})).body("\u{feff} {\"query\": \"{ hello }\"}");
    assert_eq!(answer(bom).await.0, 200);
}

#[tokio::test]
async fn a_mutation_needs_post() {
    let server = serve(quick()).await;
    for accept in ["application/json", "application/graphql-response+json", "text/event-stream"] {
        let get = server.http.get(server.url("/graphql")).query(&[("query", "mutation { touch }")]);
        let response = get.header("accept", accept).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"POST".parse().unwrap()));
    }
    assert_eq!(server.counts.touched(), 0);
    assert_eq!(server.query("mutation { touch }").await, (200, json!({"data": {"touch": 1}})));
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::HEAD, reqwest::Method::OPTIONS] {
        let response = server.http.request(method, server.url("/graphql")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"GET, POST".parse().unwrap()));
    }
}

#[tokio::test]
async fn only_json_is_read() {
    let server = serve(quick()).await;
    let body = json!({"query": "mutation { touch }"}).to_string();
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
    ] {
        let request = server.http.post(server.url("/graphql")).header("content-type", media).body(body.clone());
        let (status, answer) = answer(request).await;
        assert_eq!((status, code(&answer)), (415, "UNSUPPORTED_MEDIA_TYPE"), "{media}");
    }
    let none = server.http.post(server.url("/graphql")).body(body);
    assert_eq!(answer(none).await.0, 415);
    assert_eq!(server.counts.touched(), 0);
    let html = server.post(json!({"query": "{ hello }"})).header("accept", "text/html");
    assert_eq!(answer(html).await.0, 200, "the first Accept header still holds");
    let html = server
        .http
        .post(server.url("/graphql"))
        .header("accept", "text/html")
        .header("content-type", "application/json");
    let (status, refused) = answer(html.body("{}")).await;
    assert_eq!((status, code(&refused)), (406, "NOT_ACCEPTABLE"));
}

#[tokio::test]
async fn malformed_bodies() {
    let server = serve(quick()).await;
    for body in [
        "",
        "{",
        "null",
        "1",
        "\"{ hello }\"",
        "{}",
        "{\"query\": 7}",
        "{\"query\": null}",
        "[{\"query\": \"{ hello }\"}]",
        " [ ]",
        "{\"query\": \"{ hello }\", \"variables\": \"x\"}",
        "{\"query\": \"{ hello }\", \"variables\": [1]}",
        "{\"query\": \"{ hello }\", \"extensions\": 1}",
        "{\"query\": \"{ hello }\", \"operationName\": {}}",
        "{\"query\": \"{ hello }\"} x",
    ] {
        for accept in ["application/json", "application/graphql-response+json"] {
            let request = server.http.post(server.url("/graphql")).header("accept", accept);
            let (status, answer) = answer(request.header("content-type", "application/json").body(body)).await;
            assert_eq!((status, code(&answer)), (400, "BAD_REQUEST"), "{body}");
        }
    }
    let deep =
        format!(r#"{{"query": "{{ hello }}", "variables": {}{}}}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert_eq!(answer(server.post(json!({})).body(deep)).await.0, 400);
    let nulls = json!({"query": "{ hello }", "variables": null, "operationName": null, "extensions": null});
    assert_eq!(server.ask(nulls).await.0, 200);
    for query in ["", "query=%7Bhello%7D&query=%7Bhello%7D", "query=%7Bhello%7D&variables=7"] {
        let (status, answer) = answer(server.http.get(server.url(&format!("/graphql?{query}")))).await;
        assert_eq!((status, code(&answer)), (400, "BAD_REQUEST"), "{query}");
    }
}

#[tokio::test]
async fn the_status_follows_the_media_type() {
    let server = serve(quick()).await;
    for (query, wanted) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ hellp }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($a: Int!) { size(number: $a) }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ items(first: 101) { totalCount } }", "LIMIT"),
        ("{ items(first: 2147483647) { totalCount } }", "LIMIT"),
    ] {
        for (accept, status) in [("application/graphql-response+json", 400), ("application/json", 200)] {
            let request = server.http.post(server.url("/graphql")).header("accept", accept);
            let request = request.header("content-type", "application/json").body(json!({"query": query}).to_string());
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{query} as {accept}");
            assert_eq!(response.headers()["content-type"], format!("{accept}; charset=utf-8").as_str());
            let body: serde_json::Value = response.json().await.unwrap();
            assert_eq!(code(&body), wanted);
            assert!(body.get("data").is_none());
        }
    }
    // A resolver's error leaves data, and the status at 200.
    let (status, body) = server.query("{ hello fails }").await;
    assert_eq!((status, body["data"].is_null(), code(&body)), (200, true, "INTERNAL"));
}

#[tokio::test]
async fn a_subscription_needs_a_stream() {
    let server = serve(quick()).await;
    let (status, body) = server.query("subscription { count(to: 1, everyMs: 0) }").await;
    assert_eq!((status, code(&body)), (406, "NOT_ACCEPTABLE"));
}

#[tokio::test]
async fn credentials() {
    let server = serve(quick()).await;
    let ask = |authorization: &'static str| {
        let request = server.post(json!({"query": "{ hello viewer }"}));
        if authorization.is_empty() { request } else { request.header("authorization", authorization) }
    };
    let (status, body) = answer(ask("Bearer alice")).await;
    assert_eq!((status, &body["data"]["hello"]), (200, &json!("world")));
    assert_eq!(answer(ask("bearer alice")).await.0, 200);
    let (status, body) = answer(ask("")).await;
    assert_eq!((status, code(&body)), (200, "UNAUTHENTICATED"), "the resolver refuses");
    for bad in ["Bearer mallory", "Bearer", "Basic YTpi", "alice", "Bearer a b"] {
        let response = ask(bad).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{bad}");
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert_eq!(code(&response.json().await.unwrap()), "UNAUTHENTICATED");
    }
    server.platform.down.store(true, std::sync::atomic::Ordering::SeqCst);
    let response = ask("Bearer alice").send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!((code(&body), &body["errors"][0]["extensions"]["retryable"]), ("UNAVAILABLE", &json!(true)));
}

#[tokio::test]
async fn request_ids() {
    let server = serve(quick()).await;
    let ask = |id: String| server.post(json!({"query": "{ requestId fails }"})).header("x-request-id", id);
    let response = ask("my-id.1".into()).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "my-id.1");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["requestId"], "my-id.1");
    for insane in ["x".repeat(65), "a b".into(), String::new()] {
        let response = ask(insane.clone()).send().await.unwrap();
        let made = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(made != insane && made.len() == 16, "{made}");
    }
}

#[tokio::test]
async fn costs_are_told_when_asked() {
    let server = serve(quick()).await;
    let query = json!({"query": "{ items(first: 10) { nodes { name } } }"});
    let (_, body) = answer(server.post(query.clone())).await;
    assert!(body.get("extensions").is_none());
    let (_, body) = answer(server.post(query).header("x-deskwire-cost", "1")).await;
    let cost = &body["extensions"]["cost"];
    assert_eq!((&cost["requested"], &cost["limit"]), (&json!(12), &json!(50_000)));
    assert!(cost["remaining"].as_u64().unwrap() < 500 && cost["resetAt"].as_str().unwrap().ends_with('Z'), "{cost}");
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let server = serve(quick()).await;
    let fits = json!({"query": "query ($t: String!) { hello @include(if: false) echo(text: $t) @skip(if: true) }", "variables": {"t": "x".repeat(1_048_000)}});
    assert_eq!(server.ask(fits).await.0, 200);
    let large = "x".repeat(1_048_577);
    let (status, body) = answer(server.post(json!({})).body(large.clone())).await;
    assert_eq!((status, code(&body)), (413, "BODY_TOO_LARGE"));
    let chunks = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>("x".repeat(64 << 10))));
    let (status, body) = answer(server.post(json!({})).body(reqwest::Body::wrap_stream(chunks))).await;
    assert_eq!((status, code(&body)), (413, "BODY_TOO_LARGE"));
}

#[tokio::test]
async fn too_many_requests() {
    let server = serve(Limits { request_burst: 3, requests_per_second: 1, ..quick() }).await;
    for _ in 0..2 {
        assert_eq!(server.query("{ hello }").await.0, 200);
    }
    assert_eq!(server.query("{ nonsense }").await.0, 400, "what is refused counts as well");
    let response = server.post(json!({"query": "{ hello }"})).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    assert_eq!(code(&response.json().await.unwrap()), "RATE_LIMITED");
    let other = server.post(json!({"query": "{ hello }"})).header("authorization", "Bearer alice");
    assert_eq!(answer(other).await.0, 200, "others do not notice");
    server.platform.clock.advance(chrono::Duration::seconds(1));
    assert_eq!(server.query("{ hello }").await.0, 200);
}

#[tokio::test]
async fn deadlines() {
    let server = serve(Limits { request_deadline: Milliseconds(50), ..quick() }).await;
    let (status, body) = server.query("{ slow(ms: 60000) }").await;
    assert_eq!((status, code(&body)), (503, "DEADLINE_EXCEEDED"));
    let running = server.counts.running.clone();
    until("the end of the read", || running.load(std::sync::atomic::Ordering::SeqCst) == 0).await;
    let (status, body) = server.query("mutation { touchSlowly(ms: 150) }").await;
    assert_eq!((status, code(&body)), (503, "DEADLINE_EXCEEDED"));
    until("the mutation", || server.counts.touched() == 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_read_but_not_its_mutation() {
    let server = serve(quick()).await;
    let running = server.counts.running.clone();
    let count = || running.load(std::sync::atomic::Ordering::SeqCst);
    let read = tokio::spawn(server.post(json!({"query": "{ slow(ms: 60000) }"})).send());
    until("the read", || count() == 1).await;
    read.abort();
    until("the end of the read", || count() == 0).await;
    let write = server.post(json!({"query": "mutation { touchSlowly(ms: 100) }"})).timeout(Duration::from_millis(30));
    assert!(write.send().await.is_err());
    until("the mutation", || server.counts.touched() == 1).await;
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let server = serve(quick()).await;
    let (status, body) = server.query("{ panics }").await;
    assert_eq!((status, code(&body)), (500, "INTERNAL"));
    assert!(!body.to_string().contains("secret") && body.get("data").is_none(), "{body}");
    let (status, body) = server.query("{ fails }").await;
    assert_eq!((status, code(&body)), (200, "INTERNAL"));
    assert!(!body.to_string().contains("secret"), "{body}");
    assert_eq!(server.query("{ hello }").await.0, 200);
}

#[tokio::test]
async fn errors_are_few_and_small() {
    let server = serve(quick()).await;
    let (status, body) = server.query("{ failOften { value } }").await;
    let errors = body["errors"].as_array().unwrap();
    assert_eq!((status, errors.len()), (200, 5));
    for error in errors {
        assert!(error.to_string().len() <= 1_024);
        assert_eq!(error["extensions"]["code"], "NOT_FOUND");
        assert!(error["extensions"]["requestId"].is_string() && error["extensions"]["retryable"] == false);
    }
    let unknown: String = (0..50).map(|index| format!("nope{index} ")).collect();
    let (_, body) = server.query(&format!("{{ {unknown} }}")).await;
    assert_eq!(body["errors"].as_array().unwrap().len(), 5);
}
