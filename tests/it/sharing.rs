//! Who shares a subscription with whom: only those to whom it says the same.

use gateway::door::Milliseconds;
use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{Installation, each_engine_with};
use tests::socket::{Frame, Socket};
use tests::soon;

use crate::company_life::{assign, incident};

const QUEUE: &str = "subscription($filter: TicketFilter!) { queueChanges(filter: $filter) { cursor kind id \
    ticket { id title state { key name } requester { id name } assignee { name } team { slug } } } }";

fn open() -> Value {
    json!({ "state": { "category": { "in": ["NEW", "ACTIVE", "WAITING"] } } })
}

/// How many subscriptions listen to shared ones, and how many of these there are.
async fn sharing(installation: &Installation) -> (usize, usize) {
    let text = reqwest::get(installation.stranger().url("/metrics")).await.expect("an answer").text().await;
    let text = text.expect("a body");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is missing: {text}"))
    };
    (value("deskwire_subscriptions_sharing"), value("deskwire_subscriptions_shared"))
}

/// Subscribes, and waits until all of them listen to shared ones; answers how many these are.
async fn followed(installation: &Installation, query: &str, filter: &Value, by: &[&Client]) -> (Vec<Socket>, usize) {
    // Those of the scene before end at the next bookmark, when nobody is left who listens.
    soon("nobody listens", async { while sharing(installation).await != (0, 0) {} }).await;
    let mut sockets = Vec::new();
    for client in by {
        let mut socket = client.socket().await;
        socket.subscribe("queue", query, json!({ "filter": filter })).await;
        sockets.push(socket);
    }
    let listening = async {
        loop {
            let (listeners, shared) = sharing(installation).await;
            if listeners == by.len() {
                return shared;
            }
        }
    };
    (sockets, soon("all listen", listening).await)
}

/// The payload of the next message that is no bookmark, as it came.
async fn heard(socket: &mut Socket) -> Value {
    loop {
        match socket.frame().await {
            Frame::Message(message) if message["payload"]["data"]["queueChanges"]["kind"] == "BOOKMARK" => {}
            Frame::Message(message) => return message["payload"].clone(),
            closed => panic!("{closed:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_see_the_same_share_one_subscription() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(200),
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (lead, admin) = (client(&company.lead), client(&company.admin));
            // What is read once and kept is not to be counted.
            incident(&client(&company.requester), "Printer jams").await;
            let (mut sockets, shared) = followed(installation, QUEUE, &open(), &[&lead, &admin, &lead]).await;
            assert_eq!(shared, 1, "two people with different roles and teams, who see all tickets");

            let before = installation.store().statement_count();
            let ticket = incident(&client(&company.requester), "VPN drops").await;
            let mut told = Vec::new();
            for socket in &mut sockets {
                told.push(heard(socket).await);
            }
            let cost = installation.store().statement_count() - before;
            assert_eq!(told[0]["data"]["queueChanges"]["ticket"]["id"], ticket["id"]);
            assert!(told.iter().all(|payload| *payload == told[0]), "{told:?}");

            // One reader alone costs as much.
            drop(sockets);
            let (mut alone, _) = followed(installation, QUEUE, &open(), &[&lead]).await;
            let before = installation.store().statement_count();
            incident(&client(&company.requester), "VPN drops").await;
            heard(&mut alone[0]).await;
            assert_eq!(installation.store().statement_count() - before, cost);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_see_different_things_share_nothing() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(200),
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (requester, sam) = (client(&company.requester), client(&company.sam));
            let (lead, admin) = (client(&company.lead), client(&company.admin));
            let (agent, walt) = (client(&company.agent), client(&company.walt));
            for (who, pair) in [("requesters", [&requester, &sam]), ("agents of two teams", [&agent, &walt]), ("a lead and an agent", [&lead, &agent])] {
                let (sockets, shared) = followed(installation, QUEUE, &open(), &pair).await;
                assert_eq!(shared, 2, "{who}");
                drop(sockets);
            }
            let mine = json!({ "assignee": { "isViewer": true } });
            let nested = json!({ "or": [{ "not": { "requester": { "isViewer": true } } }] });
            let of_team = json!({ "team": { "hasViewer": true } });
            let by_address = json!({ "requester": { "email": { "eq": company.requester.email } } });
            for filter in [mine, nested, of_team, by_address] {
                let (sockets, shared) = followed(installation, QUEUE, &filter, &[&lead, &admin]).await;
                assert_eq!(shared, 2, "{filter}");
                drop(sockets);
            }
            for field in [
                "viewerCan(action: UPDATE) { allowed }",
                "availableTransitions { key }",
                "requester { email }",
                "approvals { id }",
                "comments(last: 1) { edges { cursor } }",
                "...Own",
            ] {
                let own = "fragment Own on Incident { viewerCan(action: UPDATE) { allowed } }";
                let fragment = if field == "...Own" { own } else { "" };
                let query = format!(
                    "subscription($filter: TicketFilter!) {{ queueChanges(filter: $filter) {{ kind ticket {{ id {field} }} }} }} {fragment}"
                );
                let (sockets, shared) = followed(installation, &query, &open(), &[&lead, &admin]).await;
                assert_eq!(shared, 2, "{field}");
                drop(sockets);
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_loses_a_right_leaves_and_the_others_stay() {
    each_engine_with(
        |_| {},
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (lead, admin, sam) = (client(&company.lead), client(&company.admin), client(&company.sam));
            // Whoever came first is who leaves: the subscription that was begun in their name goes on.
            let (mut sockets, shared) = followed(installation, QUEUE, &open(), &[&lead, &admin]).await;
            assert_eq!(shared, 1);
            let roles = json!({ "user": { "email": company.lead.email }, "roles": [{ "role": "agent" }] });
            admin.done("userUpdate", roles, "user { id }").await;
            assert_eq!(heard(&mut sockets[0]).await["data"]["queueChanges"]["kind"], "RESET");

            let ticket = incident(&sam, "VPN drops").await;
            assert_eq!(heard(&mut sockets[1]).await["data"]["queueChanges"]["ticket"]["id"], ticket["id"]);
            assign(&admin, &ticket, "network", None).await;
            assert_eq!(heard(&mut sockets[1]).await["data"]["queueChanges"]["kind"], "CHANGED");
            let first = heard(&mut sockets[0]).await;
            assert_eq!(first["data"]["queueChanges"]["kind"], "ADDED", "first it was not there for an agent: {first}");
            assert_eq!(first["data"]["queueChanges"]["ticket"]["team"]["slug"], "network");
        },
    )
    .await;
}
