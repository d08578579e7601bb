//! Problems and what hangs on them, across merges: incidents of a duplicate follow the problem that goes on, and what was undone is looked
//! at again.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine_with;

use crate::company_life::{incident_with, step};
use crate::fixes::{becomes, being_fixed, resolved_by, see, task};
use crate::problems::{comments, comments_become, link, named, of_network, problem, state};

async fn merged(client: &Client, duplicate: &Value, into: &Value) -> Value {
    let input = json!({ "id": duplicate["id"], "into": into["id"] });
    client.done("ticketMerge", input, "merge { id }").await["merge"]["id"].take()
}

async fn undone(client: &Client, merge: &Value) {
    client.done("ticketMergeUndo", json!({ "id": merge }), "merge { id }").await;
}

async fn fixed(client: &Client, problem: &Value) {
    for transition in ["assess", "analyze", "fix"] {
        step(client, problem, transition, json!({})).await;
    }
    let input = json!({ "id": problem["id"], "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
    client.done("problemResolve", input, "problem { id }").await;
}

async fn on_hold(client: &Client, incident: &Value) {
    step(client, incident, "hold", json!({ "waitingReason": "PROBLEM" })).await;
}

async fn goes_on(client: &Client, incident: &Value) {
    tests::soon("the incident goes on", async {
        while state(client, incident).await != "in_progress" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_of_a_merged_problem_follow_the_one_that_goes_on() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let (first, second) = (problem(&agent, json!({})).await, problem(&agent, json!({})).await);
            let last = problem(&agent, json!({ "workaround": "Use the cable." })).await;
            let of_first = incident_with(&agent, of_network("Of the first")).await;
            let of_both = incident_with(&agent, of_network("Of both")).await;
            link(&agent, &first, named(&[&of_first, &of_both])).await;
            link(&agent, &second, named(&[&of_both])).await;
            agent.done("problemPublishWorkaround", json!({ "id": last["id"] }), "problem { id }").await;
            // By two merges; the workaround that is published there is said at the second.
            merged(&agent, &first, &second).await;
            merged(&agent, &second, &last).await;
            for incident in [&of_first, &of_both] {
                comments_become(&agent, incident, 1).await;
            }
            let another = json!({ "id": last["id"], "workaround": "Wait." });
            agent.done("problemUpdate", another, "problem { id }").await;
            agent.done("problemPublishWorkaround", json!({ "id": last["id"] }), "problem { id }").await;
            for incident in [&of_first, &of_both] {
                comments_become(&agent, incident, 2).await;
                on_hold(&agent, incident).await;
            }
            fixed(&agent, &last).await;
            for incident in [&of_first, &of_both] {
                goes_on(&agent, incident).await;
                assert_eq!(comments(&agent, incident).await.len(), 2, "each was said once");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_whose_problem_ended_meanwhile_goes_on_when_its_merge_is_undone() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let (over, open) = (problem(&agent, json!({})).await, problem(&agent, json!({})).await);
            let original = incident_with(&agent, of_network("Original")).await;
            let witness = incident_with(&agent, of_network("Waits as well")).await;
            let mut merges = Vec::new();
            let mut waiting = Vec::new();
            for (cause, title) in [(&open, "Waits on"), (&over, "Waits for what is over")] {
                let incident = incident_with(&agent, of_network(title)).await;
                link(&agent, cause, named(&[&incident])).await;
                on_hold(&agent, &incident).await;
                merges.push(merged(&agent, &incident, &original).await);
                waiting.push(incident);
            }
            link(&agent, &over, named(&[&witness])).await;
            on_hold(&agent, &witness).await;
            fixed(&agent, &over).await;
            // From here on the end of the problem wakes nobody any more.
            goes_on(&agent, &witness).await;
            for merge in &merges {
                undone(&agent, merge).await;
            }
            goes_on(&agent, &waiting[1]).await;
            assert_eq!(state(&agent, &waiting[0]).await, "on_hold", "its problem is not over");
            fixed(&agent, &open).await;
            goes_on(&agent, &waiting[0]).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_that_was_fixed_meanwhile_is_resolved_when_its_merge_is_undone() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let original = problem(&agent, json!({})).await;
            // One is fixed while it is merged; of the other, what fixed it was done before, and was not enough.
            let copy = being_fixed(&agent, "Fixed meanwhile").await;
            let fix = incident_with(&agent, of_network("The fix")).await;
            resolved_by(&agent, &copy, &fix).await;
            let reopened = being_fixed(&agent, "Not fixed by that").await;
            let early = task(&agent, &reopened, "Not enough").await;
            resolved_by(&agent, &reopened, &early).await;
            step(&agent, &early, "complete", json!({})).await;
            becomes(&agent, &reopened, "resolved").await;
            agent.done("problemReopen", json!({ "id": reopened["id"] }), "problem { id }").await;
            installation.clock.advance(chrono::Duration::minutes(1));
            let merges = [merged(&agent, &reopened, &original).await, merged(&agent, &copy, &original).await];
            crate::company_life::resolve(&agent, &fix).await;
            let marker = being_fixed(&agent, "A marker").await;
            let done = task(&agent, &marker, "Do it").await;
            resolved_by(&agent, &marker, &done).await;
            step(&agent, &done, "complete", json!({})).await;
            becomes(&agent, &marker, "resolved").await;
            for merge in &merges {
                undone(&agent, merge).await;
            }
            let seen = becomes(&agent, &copy, "resolved").await;
            assert_eq!(seen["resolutionCode"], "FIXED", "{seen}");
            assert_eq!(see(&agent, &reopened).await["state"]["key"], "fix_in_progress");
        },
    )
    .await;
}
