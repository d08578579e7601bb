//! Problems: their life, their incidents, their known errors, the rules that find them, and everything that they share with
//! other tickets.

mod detection;
mod life;
mod linking;
mod workarounds;

use serde_json::{Value, json};
use tests::client::Client;
use tests::with;

pub use workarounds::{comments, comments_become, of_network};

use crate::company_life::step;

/// Opens a problem of the team `network`.
pub async fn problem(client: &Client, more: Value) -> Value {
    let input = with(json!({ "title": "The gateway drops sessions", "team": { "slug": "network" } }), &more);
    client.done("problemCreate", input, "problem { id number version }").await["problem"].take()
}

async fn see(client: &Client, problem: &Value, fields: &str) -> Value {
    let query = format!("query($id: ID!) {{ problem(by: {{ id: $id }}) {{ {fields} }} }}");
    client.ask(&query, json!({ "id": problem["id"] })).await["problem"].take()
}

pub async fn state(client: &Client, ticket: &Value) -> String {
    let query = "query($id: ID!) { ticket(by: { id: $id }) { state { key } } }";
    let data = client.ask(query, json!({ "id": ticket["id"] })).await;
    data["ticket"]["state"]["key"].as_str().expect("a state").to_owned()
}

/// Waits until an incident is worked on again.
async fn goes_on(client: &Client, incident: &Value) {
    tests::soon("the incident goes on", async {
        while state(client, incident).await != "in_progress" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Takes a new problem through its states until it is resolved.
async fn fix(client: &Client, problem: &Value) {
    for transition in ["assess", "analyze", "fix"] {
        step(client, problem, transition, json!({})).await;
    }
    let fixed = json!({ "id": problem["id"], "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
    client.done("problemResolve", fixed, "problem { id }").await;
}

pub fn named(tickets: &[&Value]) -> Value {
    json!({ "ids": tickets.iter().map(|ticket| &ticket["number"]).collect::<Vec<_>>() })
}

const LINKED: &str =
    "problem { number } results { outcome incident { number } userErrors { code path } } hasMore events { __typename }";

pub async fn link(client: &Client, problem: &Value, incidents: Value) -> Value {
    let input = json!({ "problem": problem["number"], "incidents": incidents });
    client.done("problemLinkIncidents", input, LINKED).await
}

fn outcomes(payload: &Value) -> Vec<&str> {
    let results = payload["results"].as_array().expect("results");
    results.iter().map(|result| result["outcome"].as_str().expect("an outcome")).collect()
}
