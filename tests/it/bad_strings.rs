//! Texts that no database and no parser likes, in every place that takes a text: the user is told, and nothing breaks.

use serde_json::{Map, Value, json};
use tests::client::{Client, code};
use tests::installation::each_engine;

use crate::shapes;

/// What is put into every place.
fn bad_texts() -> Vec<String> {
    vec![
        "a\0b".into(),
        String::new(),
        "inc_00000000000000000000000000".into(),
        "'; DROP TABLE ticket; --".into(),
        "é\u{202e}\u{fffd}%_\\".into(),
    ]
}

/// What broke, if something did.
async fn complaint(client: &Client, document: &str, variables: Value) -> Option<String> {
    let (status, text) = client.text(document, &variables).await;
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{document} {variables}: {text}"));
    let code = code(&answer).unwrap_or_default();
    let well = status < 500 && code != "INTERNAL" && code != "UNAVAILABLE";
    (!well).then(|| format!("{document}\n{variables}\n{status} {text}\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_texts_are_the_users_fault() {
    let schema = shapes::schema();
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let mut tasks = tokio::task::JoinSet::new();
        let mut complaints = Vec::new();
        for (number, bad) in bad_texts().into_iter().enumerate() {
            for root in shapes::roots(&schema) {
                // Filters have very many places, all of them read by the same few functions; streams are asked below.
                if root.operation == "subscription" || (root.operation == "query" && number > 0) {
                    continue;
                }
                // A filter within a filter is read by the functions of the outer one.
                let depth = if root.operation == "query" { 3 } else { 4 };
                for (name, ty) in &root.arguments {
                    for value in shapes::mutants(&schema, ty, depth, &bad) {
                        let mut variables: Map<String, Value> =
                            root.minimal(&schema).as_object().cloned().unwrap_or_default();
                        variables.insert(name.clone(), value);
                        let (admin, document) = (admin.clone(), root.document());
                        if tasks.len() >= 16 {
                            complaints.extend(tasks.join_next().await.and_then(|done| done.expect("it answers")));
                        }
                        tasks.spawn(async move { complaint(&admin, &document, variables.into()).await });
                    }
                }
            }
        }
        while let Some(done) = tasks.join_next().await {
            complaints.extend(done.expect("it answers"));
        }
        assert!(complaints.is_empty(), "{} places break:\n{}", complaints.len(), complaints.join("\n"));
        let after = admin.ask("{ viewer { actor { id } } tickets { totalCount } }", json!({})).await;
        assert_eq!(after["viewer"]["actor"]["id"], company.admin.id, "the server lives on");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_texts_in_subscriptions() {
    let schema = shapes::schema();
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        for root in shapes::roots(&schema).into_iter().filter(|root| root.operation == "subscription") {
            let mut socket = admin.socket().await;
            let mut count = 0;
            for bad in bad_texts() {
                for (name, ty) in &root.arguments {
                    for value in shapes::mutants(&schema, ty, 4, &bad) {
                        let mut variables: Map<String, Value> =
                            root.minimal(&schema).as_object().cloned().unwrap_or_default();
                        variables.insert(name.clone(), value);
                        socket.subscribe(&count.to_string(), &root.document(), variables.into()).await;
                        socket.send(json!({ "id": count.to_string(), "type": "complete" })).await;
                        count += 1;
                    }
                }
            }
            socket.send(json!({ "type": "ping" })).await;
            loop {
                let tests::socket::Frame::Message(message) = socket.frame().await else {
                    panic!("the socket stays open")
                };
                assert!(!message.to_string().contains("INTERNAL\""), "{message}");
                if message["type"] == "pong" {
                    break;
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_is_no_text() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let send = async |body: Vec<u8>| {
            let response = admin.post(&json!({})).body(body).send().await.expect("the server answers");
            (response.status().as_u16(), response.text().await.expect("the answer is complete"))
        };
        let lone = br#"{"query": "query($n: String!) { tickets(filter: { title: { eq: $n } }) { totalCount } }", "variables": {"n": "\ud800"}}"#;
        assert_eq!(send(lone.to_vec()).await.0, 400);
        let mut invalid = br#"{"query": "{ viewer { actor { name } } } # "#.to_vec();
        invalid.extend([0xff, 0xfe, b'"', b'}']);
        assert_eq!(send(invalid).await.0, 400);
    })
    .await;
}
