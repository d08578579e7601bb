//! What happens by itself, through the server's own worker.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine_with;

use crate::company_life::{comment, incident_with, resolve, step};

async fn state(client: &Client, ticket: &Value) -> String {
    let document = "query($id: ID!) { ticket(by: { id: $id }) { state { key } } }";
    let data = client.ask(document, json!({ "id": ticket["id"] })).await;
    data["ticket"]["state"]["key"].as_str().expect("a state").to_owned()
}

async fn becomes(client: &Client, ticket: &Value, wanted: &str) {
    let arrives = async {
        while state(client, ticket).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tests::soon(&format!("the state {wanted}"), arrives).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_wake_up_and_close_by_themselves() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (agent, requester) = (installation.client(&company.agent.token), installation.client(&company.requester.token));
            let requester_email = json!({ "email": company.requester.email });
            let open = |title: &str| json!({ "title": title, "team": { "slug": "network" }, "requester": requester_email });
            let sleeping = incident_with(&agent, open("Waits")).await;
            let until = (installation.clock.now() + chrono::Duration::hours(2)).to_rfc3339();
            step(&agent, &sleeping, "hold", json!({ "waitingReason": "SCHEDULE", "waitingUntil": until })).await;
            let resolved = incident_with(&agent, open("Resolved")).await;
            resolve(&agent, &resolved).await;
            let contested = incident_with(&agent, open("Contested")).await;
            resolve(&agent, &contested).await;
            installation.clock.advance(chrono::Duration::minutes(1));
            comment(&requester, &contested, "Not at all.", "PUBLIC").await;

            installation.clock.advance(chrono::Duration::hours(1));
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            assert_eq!(state(&agent, &sleeping).await, "on_hold", "not early");
            installation.clock.advance(chrono::Duration::minutes(59));
            becomes(&agent, &sleeping, "in_progress").await;
            assert_eq!(state(&agent, &resolved).await, "resolved");

            // Due jobs outlive a restart.
            installation.stop().await;
            installation.clock.advance(chrono::Duration::days(5));
            installation.restart().await;
            let agent = installation.client(&company.agent.token);
            becomes(&agent, &resolved, "closed").await;
            assert_eq!(state(&agent, &contested).await, "resolved", "the requester has objected");
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 1) { nodes { __typename channel actor { __typename } } } } }";
            installation.log_end(&agent).await;
            let last = agent.ask(history, json!({ "id": resolved["id"] })).await;
            let expected = json!([{ "__typename": "TicketTransitioned", "channel": "SYSTEM", "actor": { "__typename": "System" } }]);
            assert_eq!(last["ticket"]["history"]["nodes"], expected);
        },
    )
    .await;
}
