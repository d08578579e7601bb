//! Problems that are resolved by what fixes them; and what becomes of a reaction that cannot be done.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine_with};

use crate::company_life::{incident_with, resolve, step};
use crate::problems::problem;

/// A problem of the team `network` that is being fixed.
pub async fn being_fixed(client: &Client, title: &str) -> Value {
    let found = problem(client, json!({ "title": title })).await;
    for transition in ["assess", "analyze", "fix"] {
        step(client, &found, transition, json!({})).await;
    }
    found
}

pub async fn task(client: &Client, of: &Value, title: &str) -> Value {
    let input = json!({ "parent": of["id"], "title": title, "team": { "slug": "network" } });
    client.done("taskCreate", input, "task { id number }").await["task"].take()
}

pub async fn resolved_by(client: &Client, problem: &Value, fix: &Value) {
    let input = json!({ "id": problem["id"], "type": "RESOLVED_BY", "target": fix["id"] });
    client.done("ticketLink", input, "ticket { id }").await;
}

pub async fn see(client: &Client, problem: &Value) -> Value {
    let query = "query($id: ID!) { problem(by: { id: $id }) { state { key } resolutionCode resolutionNotes } }";
    client.ask(query, json!({ "id": problem["id"] })).await["problem"].take()
}

/// Waits until the problem is in a state; what it says then.
pub async fn becomes(client: &Client, problem: &Value, state: &str) -> Value {
    let arrives = async {
        loop {
            let seen = see(client, problem).await;
            if seen["state"]["key"] == state {
                break seen;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tests::soon(&format!("the state {state}"), arrives).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_is_resolved_when_all_that_fixes_it_is_done() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let found = being_fixed(&agent, "The gateway drops sessions").await;
            let (first, second) = (task(&agent, &found, "Buy it").await, task(&agent, &found, "Build it in").await);
            let requester = json!({ "email": company.requester.email });
            let input = json!({ "title": "Old firmware", "team": { "slug": "network" }, "requester": requester });
            let third = incident_with(&agent, input).await;
            for fix in [&first, &second, &third] {
                resolved_by(&agent, &found, fix).await;
            }
            // Fixed by what is done already, and not being fixed yet: nothing happens to it.
            let early = problem(&agent, json!({ "title": "Too early" })).await;
            resolved_by(&agent, &early, &second).await;
            // One fix of it is given up.
            let halted = being_fixed(&agent, "Half of it").await;
            let given_up = task(&agent, &halted, "The other half").await;
            for fix in [&second, &given_up] {
                resolved_by(&agent, &halted, fix).await;
            }
            let last = being_fixed(&agent, "The last of all").await;

            step(&agent, &given_up, "skip", json!({})).await;
            step(&agent, &first, "complete", json!({})).await;
            resolve(&agent, &third).await;
            let marker = task(&agent, &last, "A marker").await;
            resolved_by(&agent, &last, &marker).await;
            step(&agent, &marker, "complete", json!({})).await;
            becomes(&agent, &last, "resolved").await;
            // Events are answered in their order: by now, those before were.
            assert_eq!(see(&agent, &found).await["state"]["key"], "fix_in_progress", "one fix is not done");

            step(&agent, &second, "complete", json!({})).await;
            let done = becomes(&agent, &found, "resolved").await;
            assert_eq!(done["resolutionCode"], "FIXED");
            let notes = done["resolutionNotes"].as_str().unwrap();
            for fix in [&first, &second, &third] {
                assert!(notes.contains(fix["number"].as_str().unwrap()), "{notes}");
            }
            let after = being_fixed(&agent, "After that").await;
            let marker = task(&agent, &after, "A marker").await;
            resolved_by(&agent, &after, &marker).await;
            step(&agent, &marker, "complete", json!({})).await;
            becomes(&agent, &after, "resolved").await;
            assert_eq!(see(&agent, &early).await["state"]["key"], "new");
            assert_eq!(see(&agent, &halted).await["state"]["key"], "fix_in_progress", "what was skipped fixes nothing");

            // It was the system; and a problem that was reopened waits for a person.
            installation.log_end(&agent).await;
            let history =
                "query($id: ID!) { ticket(by: { id: $id }) { history(last: 1) { nodes { __typename channel } } } }";
            let told = agent.ask(history, json!({ "id": found["id"] })).await["ticket"]["history"]["nodes"].take();
            assert_eq!(told, json!([{ "__typename": "ProblemResolved", "channel": "SYSTEM" }]));
        },
    )
    .await;
}

/// What was reported of reactions that could not be done.
async fn failures(installation: &Installation, company: &Company) -> Vec<Value> {
    let admin = installation.client(&company.admin.token);
    installation.log_end(&admin).await;
    let query = "{ events(last: 100) { nodes { __typename actor { __typename } changes { field after } } } }";
    let nodes = admin.ask(query, json!({})).await["events"]["nodes"].take();
    let all = nodes.as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|event| event["__typename"] == "ReactionFailed").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reaction_that_cannot_be_done_is_told_of_and_holds_up_no_other() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (admin, agent, auditor) = (client(&company.admin), client(&company.agent), client(&company.auditor));
            // Its fix will be done while it still waits for an approval.
            let held = being_fixed(&agent, "Waits for an approval").await;
            let fix = task(&agent, &held, "The fix").await;
            resolved_by(&agent, &held, &fix).await;
            let steps = json!([{ "rule": "ANY", "approvers": [{ "user": { "id": company.sam.id } }] }]);
            let asked = json!({ "id": held["id"], "name": "Is it gone?", "blocks": ["resolve"], "steps": steps });
            admin.done("approvalStart", asked, "approval { id }").await;
            let other = being_fixed(&agent, "Waits for nothing").await;
            let next = task(&agent, &other, "Another fix").await;
            resolved_by(&agent, &other, &next).await;

            step(&agent, &fix, "complete", json!({})).await;
            step(&agent, &next, "complete", json!({})).await;
            becomes(&agent, &other, "resolved").await;
            assert_eq!(see(&agent, &held).await["state"]["key"], "fix_in_progress");
            assert_eq!(failures(installation, &company).await, Vec::<Value>::new(), "it is being tried again");

            let told = async {
                loop {
                    let found = failures(installation, &company).await;
                    if !found.is_empty() {
                        break found;
                    }
                    // The pauses between its attempts grow.
                    installation.clock.advance(chrono::Duration::hours(6));
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            };
            let told = tests::soon("the report of the failure", told).await;
            assert_eq!((told.len(), &told[0]["actor"]["__typename"]), (1, &json!("System")));
            let says = |field: &str| {
                let changes = told[0]["changes"].as_array().expect("changes");
                changes.iter().find(|change| change["field"] == field).map(|change| change["after"].clone())
            };
            assert_eq!(says("reaction"), Some(json!("fixCompleted")));
            assert_eq!(says("kind"), Some(json!("TicketTransitioned")));
            assert_eq!(says("error"), Some(json!("APPROVAL_PENDING")));
            let event = says("event").expect("the event that was reacted to");
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 5) { nodes { id } } } }";
            let of_fix = agent.ask(history, json!({ "id": fix["id"] })).await;
            assert!(of_fix.to_string().contains(event.as_str().unwrap()), "{event} {of_fix}");
            // For those who read the audit.
            let kinds = "{ events(last: 100) { nodes { __typename } } }";
            assert!(auditor.ask(kinds, json!({})).await.to_string().contains("ReactionFailed"));
            assert!(!agent.ask(kinds, json!({})).await.to_string().contains("ReactionFailed"));

            // Later ones go on.
            let later = being_fixed(&agent, "Later").await;
            let last = task(&agent, &later, "The last fix").await;
            resolved_by(&agent, &later, &last).await;
            step(&agent, &last, "complete", json!({})).await;
            becomes(&agent, &later, "resolved").await;
            assert_eq!(see(&agent, &held).await["state"]["key"], "fix_in_progress");
        },
    )
    .await;
}
