//! The same call again, another call with the same key, both at once, and calls that are only tried.

use serde_json::{Value, json};
use tests::client::{Client, document};
use tests::installation::each_engine;

use crate::company_life::{assign, incident};

async fn total(client: &Client) -> Value {
    client.ask("{ tickets { totalCount } }", json!({})).await["tickets"]["totalCount"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_again() {
    each_engine(async |installation, company| {
        let requester = installation.client(&company.requester.token);
        let (admin, sam) = (installation.client(&company.admin.token), installation.client(&company.sam.token));
        let input = json!({ "title": "VPN", "tags": ["a", "b"], "origin": "MONITORING", "idempotencyKey": "k" });
        let selection = "incident { id version title } events { id __typename }";
        let first = requester.done("incidentCreate", input, selection).await;
        // The order of an object's keys is no difference, and the selection is the caller's own.
        let again = json!({ "idempotencyKey": "k", "origin": "MONITORING", "tags": ["a", "b"], "title": "VPN" });
        assert_eq!(requester.done("incidentCreate", again.clone(), selection).await, first);
        let other = requester.done("incidentCreate", again, "incident { number requester { name } }").await;
        assert_eq!(other["incident"]["requester"]["name"], "Requester");
        assert_eq!(total(&requester).await, 1);

        let mismatch = requester
            .user_error("incidentCreate", json!({ "title": "VPN", "tags": ["b", "a"], "idempotencyKey": "k" }))
            .await;
        assert_eq!(
            (&mismatch["code"], &mismatch["__typename"]),
            (&json!("IDEMPOTENCY_MISMATCH"), &json!("IdempotencyError"))
        );
        assert_eq!(mismatch["path"], json!(["idempotencyKey"]));

        // Keys belong to a person and a mutation.
        sam.done("incidentCreate", json!({ "title": "Mine", "idempotencyKey": "k" }), "incident { id }").await;
        let comment = json!({ "id": first["incident"]["id"], "body": "Hm.", "idempotencyKey": "k" });
        let echo = "comment { id } ticket { id title requester { name } ... on Incident { origin } } events { id }";
        let said = requester.done("commentAdd", comment.clone(), echo).await;
        assert_eq!(said["ticket"]["origin"], "MONITORING");
        assert_eq!(requester.done("commentAdd", comment, echo).await, said);
        assert_eq!(total(&admin).await, 2);

        // What was refused can be tried again with the same key.
        assert_eq!(
            requester.user_error("incidentCreate", json!({ "title": "", "idempotencyKey": "again" })).await["code"],
            "VALIDATION"
        );
        requester
            .done("incidentCreate", json!({ "title": "Fine", "idempotencyKey": "again" }), "incident { id }")
            .await;

        // Over a restart, and from another connection.
        installation.restart().await;
        let requester = installation.client(&company.requester.token);
        let input = json!({ "title": "VPN", "tags": ["a", "b"], "origin": "MONITORING", "idempotencyKey": "k" });
        assert_eq!(requester.done("incidentCreate", input, selection).await, first);
        for key in [String::new(), "x".repeat(256), "a\0".into()] {
            let error = requester.user_error("incidentCreate", json!({ "title": "VPN", "idempotencyKey": key })).await;
            assert_eq!(error["path"], json!(["idempotencyKey"]), "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_at_once() {
    each_engine(async |installation, company| {
        let requester = installation.client(&company.requester.token);
        for round in 0..5 {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let (requester, text) = (requester.clone(), document("incidentCreate", "incident { id }"));
                let input = json!({ "title": "VPN", "idempotencyKey": format!("round {round}") });
                calls.spawn(
                    async move { requester.ask(&text, json!({ "input": input })).await["incidentCreate"].take() },
                );
            }
            let mut ids = Vec::new();
            while let Some(payload) = calls.join_next().await {
                let payload = payload.expect("it answers");
                match payload["incident"]["id"].as_str() {
                    Some(id) => ids.push(id.to_owned()),
                    None => assert_eq!(payload["userErrors"][0]["code"], "IDEMPOTENCY_IN_PROGRESS", "{payload}"),
                }
            }
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 1, "{ids:?}");
            assert_eq!(total(&requester).await, round + 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_shows_what_may_be_seen_now() {
    each_engine(async |installation, company| {
        let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
        let ticket = incident(&installation.client(&company.sam.token), "VPN").await;
        assign(&lead, &ticket, "network", None).await;
        let away = json!({ "id": ticket["id"], "team": { "slug": "workplace" }, "idempotencyKey": "away" });
        let selection = "ticket { id } events { id }";
        let first = agent.done("ticketAssign", away.clone(), selection).await;
        assert_eq!(first["events"].as_array().map(Vec::len), Some(1), "{first}");
        let again = agent.done("ticketAssign", away.clone(), selection).await;
        assert_eq!((&again["ticket"], &again["events"]), (&Value::Null, &json!([])), "the agent sees it no more");
        assign(&lead, &ticket, "network", None).await;
        let again = agent.done("ticketAssign", away, selection).await;
        assert_eq!((&again["ticket"]["id"], &again["events"]), (&ticket["id"], &first["events"]));
        let team = agent
            .ask("query($id: ID!) { ticket(by: { id: $id }) { team { slug } } }", json!({ "id": ticket["id"] }))
            .await;
        assert_eq!(team["ticket"]["team"]["slug"], "network", "a replay does nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_leaves_nothing() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let admin = installation.client(&company.admin.token);
        let ticket = crate::company_life::incident_with(&agent, json!({ "title": "VPN", "team": { "slug": "network" } })).await;
        let end = installation.log_end(&agent).await;
        let state = "query($id: ID!) { ticket(by: { id: $id }) { version title state { key } comments { totalCount } history { totalCount } watchers { id } } tickets { totalCount } users { totalCount } teams { totalCount } categories { totalCount } }";
        let before = admin.ask(state, json!({ "id": ticket["id"] })).await;

        let create = json!({ "title": "Tried", "team": { "slug": "network" }, "dryRun": true, "idempotencyKey": "dry" });
        let selection = "incident { id number title state { key } team { slug } requester { name } availableTransitions { key allowed } } \
                         events { __typename cursor changes { field after } }";
        let tried = agent.done("incidentCreate", create, selection).await;
        assert_eq!((&tried["incident"]["title"], &tried["incident"]["team"]["slug"]), (&json!("Tried"), &json!("network")));
        assert_eq!(tried["incident"]["requester"]["name"], "Agent");
        assert_eq!((&tried["events"][0]["__typename"], &tried["events"][0]["cursor"]), (&json!("IncidentCreated"), &Value::Null));
        assert!(!tried["events"][0]["changes"].as_array().expect("changes").is_empty());
        let gone = agent.ask("query($id: ID!) { node(id: $id) { id } }", json!({ "id": tried["incident"]["id"] })).await;
        assert_eq!(gone["node"], Value::Null);

        let id = &ticket["id"];
        let resolved = json!({ "id": id, "resolutionCode": "SOLVED", "resolutionNotes": "x", "dryRun": true });
        let tried = agent.done("incidentResolve", resolved, "incident { version state { key } resolvedAt availableTransitions { key } } events { __typename }").await;
        assert_eq!((&tried["incident"]["state"]["key"], &tried["incident"]["version"]), (&json!("resolved"), &json!(2)));
        let keys: Vec<_> = tried["incident"]["availableTransitions"].as_array().expect("a list").iter().map(|found| found["key"].clone()).collect();
        assert_eq!(keys, ["reopen", "close"], "as from the state that was tried");
        let dry = |mut input: Value| {
            input["dryRun"] = json!(true);
            input
        };
        for (client, mutation, input, selection) in [
            (&agent, "commentAdd", json!({ "id": id, "body": "Hm." }), "comment { body author { name } } ticket { id }"),
            (&agent, "ticketTransition", json!({ "id": id, "transition": "hold", "fields": { "waitingReason": "VENDOR" } }), "ticket { state { waitingReason } }"),
            (&agent, "ticketAssign", json!({ "id": id, "assignee": { "email": company.agent.email } }), "ticket { assignee { name } }"),
            (&agent, "ticketWatch", json!({ "id": id }), "ticket { id }"),
            (&agent, "incidentUpdate", json!({ "id": id, "title": "Tried" }), "incident { title }"),
            (&admin, "userCreate", json!({ "email": "new@acme.example", "name": "New" }), "user { email }"),
            (&admin, "teamCreate", json!({ "slug": "new", "name": "New" }), "team { slug }"),
            (&admin, "categoryCreate", json!({ "key": "new", "name": "New" }), "category { key }"),
            (&admin, "priorityMatrixSet", json!({ "rules": [{ "impact": "LOW", "urgency": "LOW", "priority": "P1" }] }), "priorityMatrix { priority }"),
        ] {
            let tried = client.done(mutation, dry(input), &format!("{selection} events {{ __typename cursor }}")).await;
            assert!(tried["events"].as_array().is_some_and(|events| !events.is_empty()), "{mutation}: {tried}");
            assert!(tried["events"].as_array().expect("events").iter().all(|event| event["cursor"].is_null()), "{mutation}");
        }
        assert_eq!(admin.ask(state, json!({ "id": id })).await, before, "nothing is left");
        assert_eq!(installation.log_end(&agent).await, end, "the log did not grow");
        // The key of a dry run is neither read nor stored.
        agent.done("incidentCreate", json!({ "title": "Done", "idempotencyKey": "dry" }), "incident { id }").await;
        assert_eq!(agent.user_error("incidentCreate", json!({ "title": "", "dryRun": true })).await["code"], "VALIDATION");
    })
    .await;
}
