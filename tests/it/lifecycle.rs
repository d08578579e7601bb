//! A server that is told to end while people work: nothing that was acknowledged is lost, and whoever listened goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tests::client::{Client, document};
use tests::installation::each_engine;
use tests::socket::Frame;

use crate::company_life::incident_with;

const SAID: &str = "subscription($after: Cursor) { ticketEvents(after: $after, kinds: [COMMENT_ADDED]) { cursor event { ... on CommentAdded { comment { body } } } } }";

/// Comments until the server is gone; answers what was acknowledged.
async fn write_until_the_end(client: Client, ticket: Value, writer: usize) -> Vec<String> {
    let text = document("commentAdd", "comment { body }");
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let body = format!("{writer}-{number}");
        let input = json!({ "id": ticket["id"], "body": body });
        let response = client.post(&json!({ "query": text, "variables": { "input": input } })).send().await;
        let Ok(response) = response else { break };
        let Ok(text) = response.text().await else { break };
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if answer["data"]["commentAdd"]["comment"]["body"] != json!(body) {
            break;
        }
        acknowledged.push(body);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_under_load() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let ticket = incident_with(&agent, json!({ "title": "VPN", "team": { "slug": "network" } })).await;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            let mut socket = agent.socket().await;
            socket.subscribe("said", SAID, json!({ "after": installation.log_end(&agent).await })).await;
            sockets.push(socket);
        }
        let reader = tokio::spawn(async move {
            let mut ends = Vec::new();
            for mut socket in sockets {
                let (mut told, mut last) = (Vec::new(), Value::Null);
                let (code, reason) = loop {
                    match socket.frame().await {
                        Frame::Message(message) => {
                            let message = &message["payload"]["data"]["ticketEvents"];
                            if let Some(body) = message["event"]["comment"]["body"].as_str() {
                                told.push(body.to_owned());
                                last = message["cursor"].clone();
                            }
                        }
                        Frame::Closed(code, reason) => break (code, reason),
                    }
                };
                ends.push((told, last, code, reason));
            }
            ends
        });
        let writers: Vec<_> = (0..4).map(|writer| tokio::spawn(write_until_the_end(agent.clone(), ticket.clone(), writer))).collect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        installation.stop().await;
        let mut acknowledged = BTreeSet::new();
        for writer in writers {
            acknowledged.extend(writer.await.expect("the writer ends"));
        }
        assert!(acknowledged.len() > 20, "there was load: {}", acknowledged.len());
        let ends = reader.await.expect("the reader ends");

        installation.restart().await;
        let agent = installation.client(&company.agent.token);
        let document = "query($id: ID!, $after: Cursor) { ticket(by: { id: $id }) { comments(first: 100, after: $after) { nodes { body } pageInfo { hasNextPage endCursor } } } }";
        let (mut stored, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = agent.ask(document, json!({ "id": ticket["id"], "after": after })).await["ticket"]["comments"].take();
            let nodes = page["nodes"].as_array().expect("nodes").iter();
            stored.extend(nodes.map(|node| node["body"].as_str().expect("a body").to_owned()));
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        let stored_once: BTreeSet<String> = stored.iter().cloned().collect();
        assert_eq!(stored_once.len(), stored.len());
        assert!(acknowledged.is_subset(&stored_once), "{:?}", acknowledged.difference(&stored_once));

        for (mut told, last, code, reason) in ends {
            assert_eq!(code, 1012, "{reason}");
            assert!(reason.len() > 40 && !reason.contains(' '), "the reason is the log's cursor: {reason}");
            agent.ask("query($after: Cursor) { events(after: $after) { nodes { id } } }", json!({ "after": reason })).await;
            // From the last message on comes the rest, each comment once.
            let mut socket = agent.socket().await;
            socket.subscribe("said", SAID, json!({ "after": last })).await;
            while told.len() < stored.len() {
                let message = socket.next("said").await["ticketEvents"].take();
                told.push(message["event"]["comment"]["body"].as_str().expect("a comment").to_owned());
            }
            told.sort();
            let mut all = stored.clone();
            all.sort();
            assert_eq!(told, all);
        }
    })
    .await;
}
