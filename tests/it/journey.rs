//! One incident's whole way, as everybody around it sees it: from a password to the last subscription frame.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway::door::Milliseconds;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::{Company, PASSWORD, Person};
use tests::installation::{Installation, each_engine_with};
use tests::socket::Frame;

use crate::company_life::{assign, comment, step};

const EVENTS: &str = "subscription($after: Cursor) { ticketEvents(after: $after) { cursor bookmark \
    event { __typename id version cursor ... on CommentAdded { comment { body visibility } } } ticket { number } } }";

/// Signs in with the password; a client with the session's token.
async fn signed_in(installation: &Installation, person: &Person) -> Client {
    let input = json!({ "email": person.email, "password": PASSWORD });
    let selection = "accessToken refreshToken expiresAt sessionId userId";
    let payload = installation.stranger().done("sessionCreate", input, selection).await;
    assert_eq!(payload["userId"], person.id);
    installation.client(payload["accessToken"].as_str().expect("a token"))
}

async fn log_cursor(client: &Client) -> Value {
    client.ask("{ tickets { logCursor nodes { id } } }", json!({})).await["tickets"]["logCursor"].clone()
}

/// What everybody does, one after the other.
async fn play(company: &Company, requester: &Client, lead: &Client, agent: &Client) -> Value {
    let input =
        json!({ "title": "VPN drops", "impact": "MEDIUM", "urgency": "HIGH", "category": "vpn", "tags": ["vpn"] });
    let selection = "incident { id number version priority state { key category } requester { id } team { id } } \
                     events { __typename cursor }";
    let created = requester.done("incidentCreate", input, selection).await;
    let incident = created["incident"].clone();
    assert_eq!(created["events"], json!([{ "__typename": "IncidentCreated", "cursor": null }]));
    assert_eq!(incident["requester"]["id"], company.requester.id);
    assert_eq!(
        (&incident["state"]["key"], &incident["team"], &incident["version"]),
        (&json!("new"), &Value::Null, &json!(1))
    );

    assign(lead, &incident, "network", Some(&company.agent.email)).await;
    step(agent, &incident, "start", json!({})).await;
    comment(agent, &incident, "We are on it.", "PUBLIC").await;
    comment(agent, &incident, "The old concentrator again.", "INTERNAL").await;
    step(agent, &incident, "hold", json!({ "waitingReason": "REQUESTER" })).await;
    comment(requester, &incident, "It is the laptop.", "PUBLIC").await;
    let state = agent.ask(
        "query($id: ID!) { node(id: $id) { ... on Incident { state { key } } } }",
        json!({ "id": incident["id"] }),
    );
    assert_eq!(state.await["node"]["state"]["key"], "in_progress", "the awaited answer puts the ticket back to work");
    let resolution =
        json!({ "id": incident["id"], "resolutionCode": "WORKAROUND", "resolutionNotes": "Use the cable." });
    agent.done("incidentResolve", resolution.clone(), "incident { id }").await;
    requester.done("incidentReopen", json!({ "id": incident["id"] }), "incident { id state { key } }").await;
    agent.done("incidentResolve", resolution, "incident { id }").await;
    step(agent, &incident, "close", json!({})).await;
    incident
}

/// Who is told what, in order.
fn expected() -> BTreeMap<&'static str, Vec<&'static str>> {
    let from_assignment = |internal: bool| {
        let mut kinds = vec!["TicketAssigned", "TicketTransitioned", "CommentAdded PUBLIC"];
        kinds.extend(internal.then_some("CommentAdded INTERNAL"));
        kinds.extend(["TicketTransitioned", "CommentAdded PUBLIC", "TicketTransitioned", "IncidentResolved"]);
        kinds.extend(["IncidentReopened", "IncidentResolved", "TicketTransitioned"]);
        kinds
    };
    let from_creation = |internal| [vec!["IncidentCreated"], from_assignment(internal)].concat();
    BTreeMap::from([
        ("requester", from_creation(false)),
        ("lead", from_creation(true)),
        // The incident had no team yet when it was opened.
        ("agent", from_assignment(true)),
        ("sam", vec![]),
        ("walt", vec![]),
        ("auditor", from_creation(true)),
    ])
}

fn kind(message: &Value) -> String {
    let event = &message["event"];
    match event["comment"]["visibility"].as_str() {
        Some(visibility) => format!("{} {visibility}", event["__typename"].as_str().unwrap_or_default()),
        None => event["__typename"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_incidents_whole_way() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(400),
        async |installation, company| {
            let requester = signed_in(installation, &company.requester).await;
            let lead = signed_in(installation, &company.lead).await;
            let agent = signed_in(installation, &company.agent).await;
            let clients = BTreeMap::from([
                ("requester", requester.clone()),
                ("lead", lead.clone()),
                ("agent", agent.clone()),
                ("sam", installation.client(&company.sam.token)),
                ("walt", installation.client(&company.walt.token)),
                ("auditor", installation.client(&company.auditor.token)),
            ]);
            let mut watching = Vec::new();
            for (name, client) in &clients {
                let after = log_cursor(client).await;
                let mut socket = client.socket().await;
                socket.subscribe("events", EVENTS, json!({ "after": after })).await;
                let stream = client.stream(EVENTS, json!({ "after": after })).await;
                watching.push((*name, client, after, socket, stream));
            }
            let incident = play(&company, &requester, &lead, &agent).await;

            for (name, client, start, mut socket, mut stream) in watching {
                let expected = &expected()[name];
                let mut messages: Vec<Value> = Vec::new();
                while messages.last().is_none_or(|last| last["bookmark"] == false) || messages.len() <= expected.len() {
                    let message = socket.next("events").await["ticketEvents"].take();
                    if message["bookmark"] == true && messages.len() < expected.len() {
                        continue;
                    }
                    messages.push(message);
                }
                let bookmark = messages.pop().expect("a stream that is silent tells how far it has come");
                assert_eq!((&bookmark["event"], &bookmark["ticket"]), (&Value::Null, &Value::Null));
                assert_eq!(messages.iter().map(kind).collect::<Vec<_>>(), *expected, "{name} over WebSocket");
                for message in &messages {
                    assert_eq!(message["cursor"], message["event"]["cursor"], "{name}");
                    assert_eq!(message["ticket"]["number"], incident["number"], "{name}");
                }
                let mut streamed = Vec::new();
                while streamed.len() < messages.len() {
                    let message = stream.next().await["ticketEvents"].take();
                    if message["bookmark"] == false {
                        streamed.push(message);
                    }
                }
                assert_eq!(streamed, messages, "{name} is told the same over both transports");
                resume_everywhere(name, client, &start, &messages).await;
                history_tells_the_same(client, &incident, &messages).await;
            }
        },
    )
    .await;
}

/// From each cursor on comes exactly the rest: nothing missed, nothing twice.
async fn resume_everywhere(name: &str, client: &Client, start: &Value, messages: &[Value]) {
    let mut socket = client.socket().await;
    let cursors: Vec<&Value> =
        std::iter::once(start).chain(messages.iter().map(|message| &message["cursor"])).collect();
    for (at, cursor) in cursors.iter().enumerate() {
        socket.subscribe(&at.to_string(), EVENTS, json!({ "after": cursor })).await;
    }
    let mut got: BTreeMap<usize, Vec<Value>> = (0..cursors.len()).map(|at| (at, Vec::new())).collect();
    let mut open = cursors.len();
    while open > 0 {
        let Frame::Message(mut message) = socket.frame().await else { panic!("the socket stays open") };
        let at: usize = message["id"].as_str().and_then(|id| id.parse().ok()).expect("an id of ours");
        let message = message["payload"]["data"]["ticketEvents"].take();
        let Some(rest) = got.get_mut(&at) else { continue };
        if message["bookmark"] == false {
            rest.push(message);
        } else if rest.len() >= messages.len() - at {
            let rest = got.remove(&at).expect("it is there");
            assert_eq!(rest, messages[at..], "{name} resumes behind frame {at}");
            open -= 1;
        }
    }
}

/// The ticket's history has the same events with the same cursors.
async fn history_tells_the_same(client: &Client, incident: &Value, messages: &[Value]) {
    let document = "query($id: ID!) { node(id: $id) { ... on Incident { history(first: 50) { totalCount edges { cursor node { id cursor __typename } } } } } }";
    let node = client.ask(document, json!({ "id": incident["id"] })).await["node"].take();
    if messages.is_empty() {
        assert_eq!(node, Value::Null);
        return;
    }
    let edges = node["history"]["edges"].as_array().expect("edges").clone();
    assert_eq!(node["history"]["totalCount"], edges.len());
    let told: Vec<_> = messages.iter().map(|message| (&message["event"]["id"], &message["cursor"])).collect();
    let listed: Vec<_> = edges.iter().map(|edge| (&edge["node"]["id"], &edge["cursor"])).collect();
    // Whoever sees the ticket now sees how it began, also before they saw it.
    assert!(listed.ends_with(&told), "{listed:?} {told:?}");
    assert!(listed.len() - told.len() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_and_a_subscription_from_it_leave_no_hole() {
    each_engine_with(
        |_| {},
        async |installation, company| {
            let lead = installation.client(&company.lead.token);
            let requester = installation.client(&company.requester.token);
            let writer = tokio::spawn({
                let requester = requester.clone();
                async move {
                    for number in 0..40 {
                        crate::company_life::incident(&requester, &format!("Incident {number}")).await;
                    }
                }
            });
            // Lists and subscribes while somebody writes: what the list lacks, the subscription tells.
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let page =
                    lead.ask("{ tickets(first: 100) { logCursor nodes { number } } }", json!({})).await["tickets"]
                        .take();
                let mut known: Vec<String> = Vec::new();
                for node in page["nodes"].as_array().expect("nodes") {
                    known.push(node["number"].as_str().expect("a number").to_owned());
                }
                let mut socket = lead.socket().await;
                socket.subscribe("events", EVENTS, json!({ "after": page["logCursor"] })).await;
                let mut told = Vec::new();
                let complete = |known: &[String], told: &[String]| {
                    (0..40).all(|n| {
                        let number = format!("INC-{}", 1001 + n);
                        known.contains(&number) || told.contains(&number)
                    })
                };
                while !complete(&known, &told) {
                    let message = socket.next("events").await["ticketEvents"].take();
                    told.push(message["ticket"]["number"].as_str().expect("a number").to_owned());
                }
                let mut once = told.clone();
                once.sort();
                once.dedup();
                assert_eq!(once.len(), told.len(), "nothing is told twice on one connection");
            }
            writer.await.expect("the writer writes");
        },
    )
    .await;
}
