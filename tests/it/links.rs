//! Links between tickets, from both sides and through several eyes; parents and their children; duplicates.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

use crate::company_life::{assign, incident, incident_with, resolve};

const LINKS: &str = "query($id: ID!) { ticket(by: { id: $id }) { childrenSummary { total open done } \
    links { type direction ticket { title ... on Incident { origin } } } causes: links(type: CAUSED_BY) { direction } } }";

fn link(from: &Value, kind: &str, to: &Value) -> Value {
    json!({ "id": from["id"], "type": kind, "target": to["number"] })
}

async fn links_of(client: &Client, ticket: &Value) -> Value {
    client.ask(LINKS, json!({ "id": ticket["id"] })).await["ticket"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_seen_from_both_sides() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let (one, two) = (incident(&admin, "one").await, incident_with(&admin, json!({ "title": "two", "origin": "CHAT" })).await);
        let hidden = incident(&admin, "hidden").await;
        for (ticket, team) in [(&one, "network"), (&two, "network"), (&hidden, "workplace")] {
            assign(&admin, ticket, team, None).await;
        }
        let selection = "ticket { version } events { __typename ... on TicketLinked { type direction linkedTicket { title } } }";
        let mut input = link(&one, "CAUSED_BY", &two);
        input["dryRun"] = json!(true);
        assert_eq!(agent.done("ticketLink", input, selection).await["events"].as_array().map(Vec::len), Some(2));
        assert_eq!(links_of(&agent, &one).await["links"], json!([]), "a dry run leaves nothing");

        let mut input = link(&one, "CAUSED_BY", &two);
        input["idempotencyKey"] = json!("k");
        let first = agent.done("ticketLink", input.clone(), selection).await;
        assert_eq!(
            first["events"],
            json!([
                { "__typename": "TicketLinked", "type": "CAUSED_BY", "direction": "OUTWARD", "linkedTicket": { "title": "two" } },
                { "__typename": "TicketLinked", "type": "CAUSED_BY", "direction": "INWARD", "linkedTicket": { "title": "one" } },
            ])
        );
        assert_eq!(agent.done("ticketLink", input, selection).await, first, "the same call again");
        admin.done("ticketLink", link(&one, "PARENT_OF", &hidden), selection).await;
        let seen = links_of(&agent, &one).await;
        let to_two = json!({ "type": "CAUSED_BY", "direction": "OUTWARD", "ticket": { "title": "two", "origin": "CHAT" } });
        assert_eq!(seen["links"], json!([to_two]));
        assert_eq!((&seen["childrenSummary"]["total"], &seen["causes"]), (&json!(0), &json!([{ "direction": "OUTWARD" }])));
        let from_two = json!([{ "type": "CAUSED_BY", "direction": "INWARD", "ticket": { "title": "one", "origin": "API" } }]);
        assert_eq!(links_of(&agent, &two).await["links"], from_two);
        let whole = links_of(&admin, &one).await;
        assert_eq!((whole["links"].as_array().map(Vec::len), &whole["childrenSummary"]), (Some(2), &json!({ "total": 1, "open": 1, "done": 0 })));
        let gone = admin.done("ticketUnlink", link(&one, "PARENT_OF", &hidden), "events { __typename }").await;
        assert_eq!(gone["events"], json!([{ "__typename": "TicketUnlinked" }, { "__typename": "TicketUnlinked" }]));

        for (input, code, path, rule) in [
            (link(&one, "RELATES_TO", &one), "VALIDATION", json!(["target"]), json!("self")),
            (link(&one, "RELATES_TO", &hidden), "NOT_FOUND", json!(["target"]), Value::Null),
            (json!({ "id": one["id"], "type": "BLOCKS", "target": "nonsense" }), "VALIDATION", json!(["target"]), json!("id")),
        ] {
            let error = agent.user_error("ticketLink", input.clone()).await;
            assert_eq!((&error["code"], &error["path"], &error["constraint"]), (&json!(code), &path, &rule), "{input}");
        }
        agent.done("ticketLink", link(&one, "BLOCKS", &two), "ticket { id }").await;
        assert_eq!(agent.user_error("ticketLink", link(&two, "BLOCKS", &one)).await["constraint"], "circle");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_takes_its_children_along() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let parent = incident(&admin, "parent").await;
        assign(&admin, &parent, "network", None).await;
        for (title, team) in [("child", "network"), ("done", "network"), ("theirs", "workplace")] {
            let child = incident(&agent, title).await;
            assign(&admin, &child, team, None).await;
            admin.done("ticketLink", link(&parent, "PARENT_OF", &child), "ticket { id }").await;
            if title == "done" {
                resolve(&admin, &child).await;
            }
        }
        let summary = json!({ "total": 3, "open": 2, "done": 1 });
        assert_eq!(links_of(&agent, &parent).await["childrenSummary"], summary);
        let input = json!({
            "id": parent["id"], "resolutionCode": "WORKAROUND", "resolutionNotes": "Use the cable.",
            "resolveChildren": true, "idempotencyKey": "k",
        });
        let selection = "events { __typename ... on TicketChildrenResolved { children { resolved reasons ticket { title } } } }";
        let done = agent.done("incidentResolve", input.clone(), selection).await;
        let told = done["events"].as_array().and_then(|events| events.last()).cloned().unwrap_or_default();
        assert_eq!(
            told["children"],
            json!([
                { "resolved": true, "reasons": [], "ticket": { "title": "child" } },
                { "resolved": false, "reasons": ["this needs the permission `ticket.transition` on the ticket"], "ticket": { "title": "theirs" } },
            ])
        );
        assert_eq!(agent.done("incidentResolve", input, selection).await, done, "the same call again tells the same");
        let summary = json!({ "total": 3, "open": 1, "done": 2 });
        assert_eq!(links_of(&agent, &parent).await["childrenSummary"], summary);
        let again = json!({ "id": parent["id"], "transition": "close", "resolveChildren": true });
        let error = agent.user_error("ticketTransition", again).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["resolveChildren"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_goes_on_as_the_original() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let requester = installation.client(&company.requester.token);
        let (copy, original) = (incident(&requester, "copy").await, incident(&admin, "original").await);
        for ticket in [&copy, &original] {
            assign(&admin, ticket, "network", None).await;
        }
        let selection = "ticket { state { key } ... on Incident { resolutionCode } } events { __typename ... on TicketWatched { user { name } } }";
        let done = agent.done("ticketLink", link(&copy, "DUPLICATES", &original), selection).await;
        assert_eq!(done["ticket"], json!({ "state": { "key": "resolved" }, "resolutionCode": "DUPLICATE" }));
        let events = done["events"].as_array().unwrap();
        assert_eq!(events[2], json!({ "__typename": "TicketWatched", "user": { "name": "Requester" } }));
        assert_eq!(events.last().unwrap()["__typename"], "IncidentResolved");
        let watchers = "query($id: ID!) { ticket(by: { id: $id }) { watchers { name } } }";
        let data = admin.ask(watchers, json!({ "id": original["id"] })).await;
        assert_eq!(data["ticket"]["watchers"], json!([{ "name": "Requester" }]));
        installation.log_end(&admin).await;
        let history = "query($id: ID!) { ticket(by: { id: $id }) { history { nodes { __typename } } } }";
        let told = requester.ask(history, json!({ "id": copy["id"] })).await;
        assert!(!told.to_string().contains("TicketLinked"), "links are for those who work on the ticket: {told}");
    })
    .await;
}
