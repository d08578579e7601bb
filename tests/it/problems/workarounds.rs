//! Known errors, their workarounds, and what waits for a problem.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{each_engine, each_engine_with};

use super::{fix, goes_on, link, named, problem, see, state};
use crate::company_life::{incident_with, resolve, step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_errors_are_found_by_what_they_say() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let known = json!({ "knownError": true, "symptom": "Sessions drop after ten minutes.", "rootCause": "A timer.", "workaround": "Use the cable." });
        let found = problem(&agent, known).await;
        problem(&agent, json!({ "symptom": "Sessions drop." })).await;
        let list = "query($filter: ProblemFilter) { knownErrors(filter: $filter) { totalCount nodes { number symptom rootCause workaround } } }";
        let all = agent.ask(list, json!({})).await;
        assert_eq!((&all["knownErrors"]["totalCount"], &all["knownErrors"]["nodes"][0]["rootCause"]), (&json!(1), &json!("A timer.")));
        let with = |symptom: &str| json!({ "filter": { "symptom": { "contains": symptom } } });
        assert_eq!(agent.ask(list, with("SESSIONS DROP")).await["knownErrors"]["nodes"][0]["number"], found["number"]);
        assert_eq!(agent.ask(list, with("printer")).await["knownErrors"]["totalCount"], 0);
        // Its texts are for those who work on it: its requester may see the ticket and no more.
        let lead = installation.client(&company.lead.token);
        lead.done("problemUpdate", json!({ "id": found["id"], "requester": { "email": company.sam.email } }), "problem { id }").await;
        let sam = installation.client(&company.sam.token);
        let seen = see(&sam, &found, "title knownError symptom rootCause workaround").await;
        assert_eq!((&seen["symptom"], &seen["rootCause"], &seen["workaround"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(sam.refused(list, with("x")).await, "VALIDATION", "nor may they look for them");
        let change = agent.done("problemUpdate", json!({ "id": found["id"], "rootCause": null }), "problem { rootCause } events { changes { field before after } }").await;
        assert_eq!(change["events"][0]["changes"], json!([{ "field": "rootCause", "before": "A timer.", "after": null }]));
        let refused = agent.user_error("problemUpdate", json!({ "id": found["id"], "workaround": null })).await;
        assert_eq!(refused["path"], json!(["knownError"]), "nothing would be left to recognise it by");
    })
    .await;
}

pub async fn comments(client: &Client, ticket: &Value) -> Vec<String> {
    let query = "query($id: ID!) { ticket(by: { id: $id }) { comments(first: 20) { nodes { body author { __typename } visibility } } } }";
    let data = client.ask(query, json!({ "id": ticket["id"] })).await;
    let nodes = data["ticket"]["comments"]["nodes"].as_array().cloned().expect("nodes");
    nodes
        .iter()
        .map(|node| format!("{} {} {}", node["author"]["__typename"], node["visibility"], node["body"]))
        .collect()
}

pub async fn comments_become(client: &Client, ticket: &Value, count: usize) {
    tests::soon(&format!("{count} comments"), async {
        while comments(client, ticket).await.len() != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub fn of_network(title: &str) -> Value {
    json!({ "title": title, "team": { "slug": "network" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_workaround_is_said_once_on_each_open_incident() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let found = problem(&agent, json!({ "workaround": "Use the cable." })).await;
            // More than fit one transaction.
            let mut open = Vec::new();
            for number in 0..25 {
                open.push(incident_with(&agent, of_network(&format!("Drops {number}"))).await);
            }
            let closed = incident_with(&agent, of_network("Drops no more")).await;
            resolve(&agent, &closed).await;
            link(&agent, &found, json!({ "filter": { "title": { "startsWith": "Drops" } } })).await;
            assert_eq!(see(&agent, &found, "incidents { totalCount }").await["incidents"]["totalCount"], 26);

            let publish = json!({ "id": found["id"], "idempotencyKey": "k" });
            let selection = "problem { publishedWorkaround workaroundPublishedAt } events { __typename ... on WorkaroundPublished { publication } }";
            let dry = json!({ "id": found["id"], "dryRun": true });
            agent.done("problemPublishWorkaround", dry, selection).await;
            let done = agent.done("problemPublishWorkaround", publish.clone(), selection).await;
            assert_eq!(done["events"], json!([{ "__typename": "WorkaroundPublished", "publication": 1 }]));
            assert_eq!(agent.done("problemPublishWorkaround", publish, selection).await, done);
            for incident in &open {
                comments_become(&agent, incident, 1).await;
            }
            let said = "\"System\" \"PUBLIC\" \"**Workaround**\\n\\nUse the cable.\"";
            assert_eq!(comments(&agent, &open[7]).await, [said]);
            assert_eq!(comments(&agent, &closed).await, Vec::<String>::new(), "a resolved incident is told nothing");

            // Linked later, singly and among others: told as well. And publishing the same again tells nothing.
            let later = incident_with(&agent, of_network("Drops later")).await;
            agent.done("ticketLink", json!({ "id": later["id"], "type": "CAUSED_BY", "target": found["id"] }), "ticket { id }").await;
            comments_become(&agent, &later, 1).await;
            let again = agent.done("problemPublishWorkaround", json!({ "id": found["id"] }), selection).await;
            assert_eq!(again["events"], json!([]));
            agent.done("problemUpdate", json!({ "id": found["id"], "workaround": "Use the new client." }), "problem { id }").await;
            let another = agent.done("problemPublishWorkaround", json!({ "id": found["id"] }), selection).await;
            assert_eq!(another["events"], json!([{ "__typename": "WorkaroundPublished", "publication": 2 }]));
            for incident in open.iter().chain([&later]) {
                comments_become(&agent, incident, 2).await;
            }
            // What nobody needs any more is not said: the problem is fixed.
            fix(&agent, &found).await;
            let too_late = incident_with(&agent, of_network("Drops too late")).await;
            link(&agent, &found, named(&[&too_late])).await;
            let refused = agent.user_error("problemPublishWorkaround", json!({ "id": found["id"] })).await;
            assert_eq!(refused["constraint"], "state");
            // Another reaction, later in the log, shows that this one was passed.
            let other = problem(&agent, json!({ "workaround": "Wait." })).await;
            agent.done("problemPublishWorkaround", json!({ "id": other["id"] }), "problem { id }").await;
            let last = incident_with(&agent, of_network("The last")).await;
            link(&agent, &other, named(&[&last])).await;
            comments_become(&agent, &last, 1).await;
            assert_eq!(comments(&agent, &too_late).await, Vec::<String>::new());
            assert_eq!(comments(&agent, &open[0]).await.len(), 2, "never a third time");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_problem_goes_on_when_it_ends() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let found = problem(&agent, json!({})).await;
            let mut waiting = Vec::new();
            for number in 0..22 {
                let made = incident_with(&agent, of_network(&format!("Waits {number}"))).await;
                step(&agent, &made, "hold", json!({ "waitingReason": "PROBLEM" })).await;
                waiting.push(made);
            }
            let vendor = incident_with(&agent, of_network("Waits for the vendor")).await;
            step(&agent, &vendor, "hold", json!({ "waitingReason": "VENDOR" })).await;
            let stranger = incident_with(&agent, of_network("Not linked")).await;
            step(&agent, &stranger, "hold", json!({ "waitingReason": "PROBLEM" })).await;
            link(&agent, &found, json!({ "filter": { "title": { "startsWith": "Waits" } } })).await;
            fix(&agent, &found).await;
            for incident in &waiting {
                goes_on(&agent, incident).await;
            }
            assert_eq!(state(&agent, &vendor).await, "on_hold");
            assert_eq!(state(&agent, &stranger).await, "on_hold");
            installation.log_end(&agent).await;
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 1) { nodes { __typename channel actor { __typename } } } } }";
            let last = agent.ask(history, json!({ "id": waiting[0]["id"] })).await;
            let by_itself = json!([{ "__typename": "TicketTransitioned", "channel": "SYSTEM", "actor": { "__typename": "System" } }]);
            assert_eq!(last["ticket"]["history"]["nodes"], by_itself);
        },
    )
    .await;
}
