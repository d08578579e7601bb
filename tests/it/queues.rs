//! Queues that stay current: what comes in, changes and leaves, for whom.

use gateway::door::Milliseconds;
use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{Installation, each_engine_with};
use tests::socket::Socket;

use crate::company_life::{assign, comment, incident, resolve, step};

const QUEUE: &str = "subscription($filter: TicketFilter!, $after: Cursor) { queueChanges(filter: $filter, after: $after) { \
    cursor kind id ticket { id title } } }";

async fn follow(installation: &Installation, client: &Client, filter: &Value) -> Socket {
    let after = installation.log_end(client).await;
    let mut socket = client.socket().await;
    socket.subscribe("queue", QUEUE, json!({ "filter": filter, "after": after })).await;
    socket
}

/// All changes so far, as `KIND` and the ticket's id: those up to the bookmark at the log's present end.
async fn changes(installation: &Installation, client: &Client, socket: &mut Socket) -> Vec<(String, Value)> {
    let end = installation.log_end(client).await;
    let mut found = Vec::new();
    loop {
        let change = socket.next("queue").await["queueChanges"].take();
        let kind = change["kind"].as_str().expect("a kind").to_owned();
        match kind.as_str() {
            "BOOKMARK" | "RESET" => assert_eq!((&change["id"], &change["ticket"]), (&Value::Null, &Value::Null)),
            "REMOVED" => assert_eq!(change["ticket"], Value::Null, "only the id of what left"),
            _ => assert!(change["ticket"].is_null() || change["ticket"]["id"] == change["id"], "{change}"),
        }
        if kind != "BOOKMARK" {
            found.push((kind, change["id"].clone()));
        } else if change["cursor"] == end {
            return found;
        }
    }
}

fn kinds(changes: &[(String, Value)]) -> Vec<&str> {
    changes.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_stays_current() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(400),
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (requester, lead, agent) = (client(&company.requester), client(&company.lead), client(&company.agent));
            let open = json!({ "state": { "category": { "in": ["NEW", "ACTIVE", "WAITING"] } } });
            let of_team = json!({ "team": { "hasViewer": true }, "state": { "category": { "in": ["NEW", "ACTIVE", "WAITING"] } } });
            let mut own = follow(installation, &requester, &open).await;
            let mut team = follow(installation, &agent, &of_team).await;
            let sam = client(&company.sam);
            let mut others = follow(installation, &sam, &open).await;

            let ticket = incident(&requester, "VPN drops").await;
            assert_eq!(changes(installation, &requester, &mut own).await, [("ADDED".to_owned(), ticket["id"].clone())]);
            assign(&lead, &ticket, "network", Some(&company.agent.email)).await;
            step(&agent, &ticket, "start", json!({})).await;
            comment(&agent, &ticket, "Hello.", "PUBLIC").await;
            comment(&agent, &ticket, "Hm.", "INTERNAL").await;
            step(&agent, &ticket, "hold", json!({ "waitingReason": "REQUESTER" })).await;
            comment(&requester, &ticket, "Here.", "PUBLIC").await;
            resolve(&agent, &ticket).await;
            requester.done("incidentReopen", json!({ "id": ticket["id"] }), "incident { id }").await;
            resolve(&agent, &ticket).await;
            step(&agent, &ticket, "close", json!({})).await;

            let mut expected = vec!["CHANGED"; 6];
            expected.extend(["REMOVED", "ADDED", "REMOVED"]);
            assert_eq!(kinds(&changes(installation, &requester, &mut own).await), expected, "the internal comment is not there for the requester");
            expected[0] = "ADDED";
            expected.insert(1, "CHANGED");
            assert_eq!(kinds(&changes(installation, &agent, &mut team).await), expected, "the agent is told of it");
            assert!(changes(installation, &sam, &mut others).await.is_empty(), "tickets of others are not there");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losing_sight_leaves_the_id_alone() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(400),
        async |installation, company| {
            let requester = installation.client(&company.requester.token);
            let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
            let ticket = incident(&requester, "VPN drops").await;
            assign(&lead, &ticket, "network", None).await;
            // Only what is in the log is before "now": on PostgreSQL that is a moment after the commit.
            installation.log_end(&agent).await;
            let mut everything = follow(installation, &agent, &json!({})).await;
            let events = "subscription { ticketEvents { event { __typename } ticket { id } cursor } }";
            installation.log_end(&agent).await;
            let mut heard = agent.socket().await;
            heard.subscribe("events", events, json!({})).await;
            assert_eq!(heard.next("events").await["ticketEvents"]["event"], Value::Null, "a bookmark");

            assign(&lead, &ticket, "workplace", None).await;
            assert_eq!(
                changes(installation, &agent, &mut everything).await,
                [("REMOVED".to_owned(), ticket["id"].clone())]
            );
            comment(&installation.client(&company.admin.token), &ticket, "Still the VPN?", "INTERNAL").await;
            assert!(changes(installation, &agent, &mut everything).await.is_empty());
            let end = installation.log_end(&agent).await;
            loop {
                let message = heard.next("events").await["ticketEvents"].take();
                assert_eq!(message["event"], Value::Null, "what moved out of sight is not told");
                if message["cursor"] == end {
                    break;
                }
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_rights_reset_the_queue() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(400),
        async |installation, company| {
            let requester = installation.client(&company.requester.token);
            let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
            let admin = installation.client(&company.admin.token);
            let ticket = incident(&requester, "The printer").await;
            assign(&lead, &ticket, "workplace", None).await;
            let mut queue = follow(installation, &agent, &json!({})).await;
            assert!(changes(installation, &agent, &mut queue).await.is_empty());

            let membership = json!({ "team": { "slug": "workplace" }, "user": { "email": company.agent.email } });
            admin.done("teamMemberAdd", membership.clone(), "team { id }").await;
            let reset = loop {
                let change = queue.next("queue").await["queueChanges"].take();
                match change["kind"].as_str() {
                    Some("RESET") => break change,
                    Some("BOOKMARK") => {}
                    _ => panic!("{change}"),
                }
            };
            let listed = agent.ask("{ tickets { nodes { id } } }", json!({})).await["tickets"]["nodes"].take();
            assert_eq!(listed, json!([{ "id": ticket["id"] }]), "the list shows what the new rights allow");
            comment(&admin, &ticket, "Paper?", "INTERNAL").await;
            assert_eq!(changes(installation, &agent, &mut queue).await, [("CHANGED".to_owned(), ticket["id"].clone())]);

            // The place of the reset is one to go on from.
            let mut again = agent.socket().await;
            again.subscribe("queue", QUEUE, json!({ "filter": {}, "after": reset["cursor"] })).await;
            assert_eq!(changes(installation, &agent, &mut again).await, [("CHANGED".to_owned(), ticket["id"].clone())]);

            admin.done("teamMemberRemove", membership, "team { id }").await;
            loop {
                let change = queue.next("queue").await["queueChanges"].take();
                if change["kind"] == "RESET" {
                    break;
                }
                assert_eq!(change["kind"], "BOOKMARK");
            }
            comment(&admin, &ticket, "Toner?", "PUBLIC").await;
            assert!(
                changes(installation, &agent, &mut queue).await.is_empty(),
                "rights that are gone show nothing more"
            );
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_events_cannot_carry_are_refused() {
    each_engine_with(
        |_| {},
        async |installation, company| {
            let lead = installation.client(&company.lead.token);
            for filter in [
                json!({ "createdAt": { "gte": "-P14D" } }),
                json!({ "description": { "contains": "x" } }),
                json!({ "updatedAt": { "gte": "2026-01-01T00:00:00Z" } }),
            ] {
                let mut socket = lead.socket().await;
                socket.subscribe("queue", QUEUE, json!({ "filter": filter })).await;
                let tests::socket::Frame::Message(message) = socket.frame().await else {
                    panic!("the socket stays open")
                };
                assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "VALIDATION", "{message}");
                assert_eq!(message["payload"]["errors"][0]["extensions"]["inputPath"][0], "filter", "{message}");
                assert_eq!(
                    socket.frame().await,
                    tests::socket::Frame::Message(json!({ "id": "queue", "type": "complete" }))
                );
            }
        },
    )
    .await;
}
