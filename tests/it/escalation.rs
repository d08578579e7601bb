//! Escalation: to the next level of support, and up the line of managers.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::each_engine;

use crate::company_life::{assign, incident_with, resolve};

const SHOWN: &str = "incident { version team { slug } assignee { name } functionalEscalationLevel \
    hierarchicalEscalationLevel reassignmentCount escalatedTo { name } watchers { name } state { key } } \
    events { __typename ... on IncidentEscalated { type level reason fromTeam { slug } toTeam { slug } \
    fromManager { name } toManager { name } changes { field } } }";

fn up(incident: &Value, kind: &str) -> Value {
    json!({ "id": incident["number"], "type": kind, "reason": "It takes too long." })
}

/// The agents' team escalates to the other one; the lead manages it, and is managed by the administrator.
async fn set_up(admin: &Client, company: &Company) {
    let team = json!({
        "team": { "slug": "network" }, "escalationTeam": { "slug": "workplace" }, "manager": { "email": company.lead.email },
    });
    let selection = "team { escalationTeam { slug } manager { name } } events { changes { field before after } }";
    let changed = admin.done("teamUpdate", team, selection).await;
    assert_eq!(
        changed["team"],
        json!({ "escalationTeam": { "slug": "workplace" }, "manager": { "name": company.lead.name } })
    );
    assert_eq!(
        changed["events"][0]["changes"],
        json!([
            { "field": "escalationTeam", "before": null, "after": company.workplace },
            { "field": "manager", "before": null, "after": company.lead.id },
        ])
    );
    let above = json!({ "user": { "email": company.lead.email }, "manager": { "email": company.admin.email } });
    admin.done("userUpdate", above, "user { id }").await;
}

async fn of_network(admin: &Client, company: &Company) -> Value {
    let input = json!({ "title": "The line is down", "requester": { "email": company.requester.email } });
    let incident = incident_with(admin, input).await;
    assign(admin, &incident, "network", Some(&company.agent.email)).await;
    incident
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_handed_to_the_next_level() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, lead, agent) = (client(&company.admin), client(&company.lead), client(&company.agent));
        set_up(&admin, &company).await;
        let incident = of_network(&admin, &company).await;

        let mut dry = up(&incident, "FUNCTIONAL");
        dry["dryRun"] = json!(true);
        let tried = lead.done("incidentEscalate", dry, SHOWN).await;
        assert_eq!(tried["incident"]["functionalEscalationLevel"], 1);
        let mut keyed = up(&incident, "FUNCTIONAL");
        keyed["idempotencyKey"] = json!("once");
        let done = lead.done("incidentEscalate", keyed.clone(), SHOWN).await;
        let expected = json!({
            "version": 3, "team": { "slug": "workplace" }, "assignee": null, "functionalEscalationLevel": 1,
            "hierarchicalEscalationLevel": 0, "reassignmentCount": 1, "escalatedTo": null, "watchers": [],
            "state": { "key": "assigned" },
        });
        assert_eq!(done["incident"], expected, "the dry run left nothing behind");
        assert_eq!(
            done["events"],
            json!([
                { "__typename": "TicketAssigned" },
                {
                    "__typename": "IncidentEscalated", "type": "FUNCTIONAL", "level": 1, "reason": "It takes too long.",
                    "fromTeam": { "slug": "network" }, "toTeam": { "slug": "workplace" }, "fromManager": null, "toManager": null,
                    "changes": [],
                },
            ])
        );
        assert_eq!(lead.done("incidentEscalate", keyed, SHOWN).await["incident"], expected, "the same call is done once");

        // It says what is missing, and what to do about it.
        let refused = lead.user_error("incidentEscalate", up(&incident, "FUNCTIONAL")).await;
        assert_eq!((&refused["path"], &refused["constraint"]), (&json!(["team"]), &json!("escalationTeam")));
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("`workplace`") && message.contains("teamUpdate"), "{message}");
        let mut named = up(&incident, "FUNCTIONAL");
        named["team"] = json!({ "slug": "workplace" });
        assert_eq!(lead.user_error("incidentEscalate", named.clone()).await["constraint"], "sameTeam");
        named["team"] = json!({ "slug": "network" });
        let back = lead.done("incidentEscalate", named, SHOWN).await;
        assert_eq!((&back["incident"]["functionalEscalationLevel"], &back["incident"]["team"]["slug"]), (&json!(2), &json!("network")));

        // An agent hands it out of their own sight.
        let gone = agent.done("incidentEscalate", up(&incident, "FUNCTIONAL"), SHOWN).await;
        assert_eq!(gone["incident"], Value::Null);

        let escalated = json!({ "filter": { "functionalEscalationLevel": { "gte": 3 } } });
        let listed = "query($filter: TicketFilter) { tickets(filter: $filter, orderBy: [{ field: FUNCTIONAL_ESCALATION_LEVEL, direction: DESC }]) { nodes { number } } }";
        let found = lead.ask(listed, escalated).await;
        assert_eq!(found["tickets"]["nodes"], json!([{ "number": incident["number"] }]));
        let stats = "{ ticketStats(groupBy: []) { groups { count escalated } } }";
        of_network(&admin, &company).await;
        assert_eq!(lead.ask(stats, json!({})).await["ticketStats"]["groups"], json!([{ "count": 2, "escalated": 1 }]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_goes_up_the_line_of_managers() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, lead, agent) = (client(&company.admin), client(&company.lead), client(&company.agent));
        let incident = of_network(&admin, &company).await;
        let refused = agent.user_error("incidentEscalate", up(&incident, "HIERARCHICAL")).await;
        assert_eq!((&refused["path"], &refused["constraint"]), (&json!(["type"]), &json!("manager")));
        set_up(&admin, &company).await;

        let start = installation.log_end(&lead).await;
        let first = agent.done("incidentEscalate", up(&incident, "HIERARCHICAL"), SHOWN).await;
        let reached = |payload: &Value| {
            let incident = &payload["incident"];
            (incident["hierarchicalEscalationLevel"].clone(), incident["escalatedTo"]["name"].clone(), incident["watchers"].clone())
        };
        assert_eq!(reached(&first), (json!(1), json!(company.lead.name), json!([{ "name": company.lead.name }])));
        assert_eq!(first["events"][1], json!({ "__typename": "TicketWatched" }));
        assert_eq!(
            first["events"][0],
            json!({
                "__typename": "IncidentEscalated", "type": "HIERARCHICAL", "level": 1, "reason": "It takes too long.",
                "fromTeam": null, "toTeam": null, "fromManager": null, "toManager": { "name": company.lead.name },
                "changes": [{ "field": "escalatedTo" }, { "field": "hierarchicalEscalationLevel" }],
            })
        );
        let mine = json!({ "filter": { "escalatedTo": { "isViewer": true } } });
        let count = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
        assert_eq!(lead.ask(count, mine.clone()).await["tickets"]["totalCount"], 1);
        assert_eq!(agent.ask(count, mine).await["tickets"]["totalCount"], 0);
        let mut socket = lead.socket().await;
        let queue = "subscription($filter: TicketFilter, $after: Cursor) { queueChanges(filter: $filter, after: $after) { kind ticket { number } } }";
        socket.subscribe("1", queue, json!({ "filter": { "escalatedTo": { "isViewer": true } }, "after": start })).await;
        assert_eq!(
            socket.next("1").await["queueChanges"],
            json!({ "kind": "ADDED", "ticket": { "number": incident["number"] } })
        );

        let second = agent.done("incidentEscalate", up(&incident, "HIERARCHICAL"), SHOWN).await;
        assert_eq!(second["incident"]["escalatedTo"]["name"], json!(company.admin.name));
        assert_eq!(second["events"][0]["fromManager"]["name"], json!(company.lead.name));
        let end = agent.user_error("incidentEscalate", up(&incident, "HIERARCHICAL")).await;
        assert_eq!((&end["path"], &end["constraint"]), (&json!(["type"]), &json!("lineOfManagers")));
        let message = end["message"].as_str().unwrap();
        assert!(message.contains("at its end") && message.contains("userUpdate"), "{message}");

        // Those who asked for help are told nothing of it.
        let requester = client(&company.requester);
        let query = "query($id: ID!) { incident(by: { id: $id }) { hierarchicalEscalationLevel escalatedTo { name } history(last: 50) { nodes { __typename changes { field } } } } }";
        let seen = requester.ask(query, json!({ "id": incident["id"] })).await["incident"].take();
        assert_eq!((&seen["hierarchicalEscalationLevel"], &seen["escalatedTo"]), (&Value::Null, &Value::Null));
        assert!(!seen["history"].to_string().contains("scalat"), "{seen}");
        let forbidden = requester.user_error("incidentEscalate", up(&incident, "HIERARCHICAL")).await;
        assert_eq!((&forbidden["code"], &forbidden["permission"]), (&json!("FORBIDDEN"), &json!("ticket.update")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_escalated_says_why() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        set_up(&admin, &company).await;
        let circle = json!({ "team": { "slug": "workplace" }, "escalationTeam": { "slug": "network" } });
        let refused = admin.user_error("teamUpdate", circle).await;
        assert_eq!((&refused["path"], &refused["constraint"]), (&json!(["escalationTeam"]), &json!("circle")));
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains("`workplace` → `network` → `workplace`"), "{message}");
        let itself = json!({ "team": { "slug": "network" }, "escalationTeam": { "slug": "network" } });
        assert_eq!(admin.user_error("teamUpdate", itself).await["constraint"], "circle");

        let input = json!({ "title": "x", "requester": { "email": company.requester.email } });
        let nobodys = incident_with(&admin, input).await;
        for kind in ["FUNCTIONAL", "HIERARCHICAL"] {
            let refused = admin.user_error("incidentEscalate", up(&nobodys, kind)).await;
            assert_eq!((&refused["path"], &refused["constraint"]), (&json!(["id"]), &json!("team")), "{kind}");
        }
        let done = of_network(&admin, &company).await;
        let mut both = up(&done, "HIERARCHICAL");
        both["team"] = json!({ "slug": "workplace" });
        both["reason"] = json!(" ");
        let payload = admin.call("incidentEscalate", both, "incident { id }").await;
        let errors = payload["userErrors"].as_array().unwrap();
        let paths: Vec<_> = errors.iter().map(|error| error["path"].clone()).collect();
        assert_eq!(paths, [json!(["reason"]), json!(["team"])]);
        let mut stale = up(&done, "FUNCTIONAL");
        stale["expectedVersion"] = json!(1);
        assert_eq!(admin.user_error("incidentEscalate", stale).await["code"], "CONFLICT");
        resolve(&admin, &done).await;
        let refused = admin.user_error("incidentEscalate", up(&done, "FUNCTIONAL")).await;
        assert_eq!((&refused["path"], &refused["constraint"]), (&json!(["id"]), &json!("state")));
    })
    .await;
}
