//! What people of the company do, for scenarios that need it done.

use serde_json::{Value, json};
use tests::client::Client;

/// Opens an incident; its payload's record.
pub async fn incident(client: &Client, title: &str) -> Value {
    incident_with(client, json!({ "title": title })).await
}

/// Opens an incident with this input.
pub async fn incident_with(client: &Client, input: Value) -> Value {
    client.done("incidentCreate", input, "incident { id number version }").await["incident"].take()
}

/// Puts a team, and maybe one of its members, on a ticket.
pub async fn assign(client: &Client, ticket: &Value, team: &str, assignee: Option<&str>) {
    let mut input = json!({ "id": ticket["id"], "team": { "slug": team } });
    if let Some(email) = assignee {
        input["assignee"] = json!({ "email": email });
    }
    client.done("ticketAssign", input, "ticket { id }").await;
}

/// Says something.
pub async fn comment(client: &Client, ticket: &Value, body: &str, visibility: &str) {
    let input = json!({ "id": ticket["id"], "body": body, "visibility": visibility });
    client.done("commentAdd", input, "comment { id }").await;
}

/// Takes a transition.
pub async fn step(client: &Client, ticket: &Value, transition: &str, fields: Value) {
    let input = json!({ "id": ticket["id"], "transition": transition, "fields": fields });
    client.done("ticketTransition", input, "ticket { id }").await;
}

/// Resolves an incident.
pub async fn resolve(client: &Client, ticket: &Value) {
    let input = json!({ "id": ticket["id"], "resolutionCode": "SOLVED", "resolutionNotes": "Restarted it." });
    client.done("incidentResolve", input, "incident { id }").await;
}
