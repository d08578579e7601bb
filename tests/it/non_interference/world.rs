//! The world that is copied, and what is changed in the copy.

use serde_json::{Value, json};
use store::Engine;
use tests::client::Client;
use tests::company::{self, Company};
use tests::installation::Installation;

use super::documents::Known;
use crate::company_life::{assign, comment, incident_with, resolve, step};

const LEVELS: [&str; 3] = ["HIGH", "MEDIUM", "LOW"];
const TAGS: [&str; 2] = ["vpn", "office"];
const ORIGINS: [&str; 2] = ["PORTAL", "PHONE"];

/// A company with a past.
pub struct World {
    /// Its people.
    pub company: Company,
    /// What documents may ask for.
    pub known: Known,
}

/// Whose eyes the tampering is hidden from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eyes {
    /// The requester's.
    Requester,
    /// The agent's of the team `network`.
    Agent,
}

/// Tickets of everybody for everybody, in all states, with comments, watchers, overrides and references.
pub async fn build(installation: &Installation) -> World {
    let company = company::found(installation.platform(), "acme").await;
    let client = |person: &company::Person| installation.client(&person.token);
    let (admin, lead) = (client(&company.admin), client(&company.lead));
    for input in [
        json!({ "key": "site", "name": "Site", "type": "TEXT" }),
        json!({ "key": "cost", "name": "Cost center", "type": "TEXT", "readableBy": "AGENTS" }),
        json!({ "key": "effort", "name": "Effort", "type": "NUMBER", "readableBy": "AGENTS" }),
    ] {
        admin.done("customFieldCreate", input, "customField { id }").await;
    }
    let openers = [client(&company.requester), client(&company.sam), client(&company.agent), client(&company.walt)];
    let words = ["VPN drops", "Printer jams", "Laptop is slow", "Wi-Fi is gone", "Mail is late"];
    let mut known = Known::default();
    for number in 0..28usize {
        installation.clock.advance(chrono::Duration::minutes(17));
        let opener = &openers[number % openers.len()];
        let input = json!({
            "title": format!("{} {number}", words[number % words.len()]),
            "description": format!("Since {number} days."),
            "impact": LEVELS[number % 3],
            "urgency": LEVELS[(number / 3) % 3],
            "category": if number % 2 == 0 { json!("vpn") } else { Value::Null },
            "tags": [TAGS[number % 2]],
            "customFields": [{ "key": "site", "text": (["east", "west"])[number % 2] }],
            "origin": ORIGINS[(number / 2) % 2],
        });
        let ticket = incident_with(opener, input).await;
        known.tickets.push(ticket["id"].as_str().unwrap_or_default().to_owned());
        known.numbers.push(ticket["number"].as_str().unwrap_or_default().to_owned());
        live(installation, &company, (&admin, &lead), number, &ticket).await;
    }
    merge(&openers, &admin, &lead, &mut known).await;
    let all = json!({});
    let ids = |data: &Value, root: &str| -> Vec<String> {
        let nodes = data[root]["nodes"].as_array().cloned().unwrap_or_default();
        nodes.iter().filter_map(|node| Some(node["id"].as_str()?.to_owned())).collect()
    };
    let data = admin
        .ask(
            "{ users(first: 50) { nodes { id } } teams { nodes { id } } categories { nodes { id } } \
              tickets(first: 60) { nodes { comments(first: 5) { nodes { id } } } } }",
            all,
        )
        .await;
    for root in ["users", "teams", "categories"] {
        known.others.extend(ids(&data, root));
    }
    for ticket in data["tickets"]["nodes"].as_array().cloned().unwrap_or_default() {
        known.others.extend(ids(&ticket, "comments"));
    }
    for person in [&company.admin, &company.lead, &company.agent, &company.walt, &company.requester, &company.sam] {
        known.emails.push(person.email.clone());
    }
    installation.log_end(&admin).await;
    World { company, known }
}

/// Tickets of one that went into another's, so that each of them sees one end at most.
async fn merge(openers: &[Client], admin: &Client, lead: &Client, known: &mut Known) {
    for (place, opener) in openers.iter().enumerate() {
        let mut pair = Vec::new();
        for (client, title) in [(opener, "Copy"), (&openers[(place + 1) % openers.len()], "Original")] {
            let ticket = incident_with(client, json!({ "title": format!("{title} {place}") })).await;
            comment(client, &ticket, "The same here.", "PUBLIC").await;
            comment(admin, &ticket, "Secretly: the old switch.", "INTERNAL").await;
            assign(lead, &ticket, ["network", "workplace"][(place + pair.len()) % 2], None).await;
            known.tickets.push(ticket["id"].as_str().unwrap_or_default().to_owned());
            pair.push(ticket["id"].clone());
        }
        admin.done("ticketMerge", json!({ "id": pair[0], "into": pair[1] }), "ticket { id }").await;
    }
}

/// What becomes of a ticket.
async fn live(
    installation: &Installation,
    company: &Company,
    (admin, lead): (&Client, &Client),
    number: usize,
    ticket: &Value,
) {
    let team = ["network", "workplace"][(number / 4) % 2];
    let (worker, email) = match team {
        "network" => (installation.client(&company.agent.token), &company.agent.email),
        _ => (installation.client(&company.walt.token), &company.walt.email),
    };
    if number % 7 == 6 {
        return;
    }
    assign(lead, ticket, team, None).await;
    assign(lead, ticket, team, Some(email)).await;
    if number.is_multiple_of(3) {
        let other = ["workplace", "network"][(number / 4) % 2];
        assign(lead, ticket, other, None).await;
        assign(lead, ticket, team, Some(email)).await;
    }
    installation.clock.advance(chrono::Duration::minutes(3));
    comment(&worker, ticket, "We look into it.", "PUBLIC").await;
    comment(&worker, ticket, "Secretly: the old switch.", "INTERNAL").await;
    if number.is_multiple_of(2) {
        let input = json!({ "ticket": ticket["id"], "duration": format!("PT{}M", number % 5 + 1), "billable": number.is_multiple_of(4) });
        worker.done("timeEntryAdd", input, "timeEntry { id }").await;
    }
    if number % 3 < 2 {
        let values =
            json!([{ "key": "cost", "text": format!("47{}", number % 4) }, { "key": "effort", "number": number % 5 }]);
        let input = json!({ "id": ticket["id"], "customFields": values });
        admin.done("incidentUpdate", input, "incident { id }").await;
    }
    if number.is_multiple_of(5) {
        let input =
            json!({ "id": ticket["id"], "priorityOverride": { "priority": "P1", "reason": "The board is waiting." } });
        admin.done("incidentUpdate", input, "incident { id }").await;
    }
    if number % 4 == 1 {
        worker.done("ticketWatch", json!({ "id": ticket["id"] }), "ticket { id }").await;
    }
    match number % 6 {
        1 => step(&worker, ticket, "hold", json!({ "waitingReason": "VENDOR" })).await,
        2 | 3 => resolve(&worker, ticket).await,
        4 => {
            resolve(&worker, ticket).await;
            admin.done("incidentReopen", json!({ "id": ticket["id"] }), "incident { id }").await;
        }
        5 => {
            resolve(&worker, ticket).await;
            step(&worker, ticket, "close", json!({})).await;
        }
        _ => {}
    }
}

/// Statements that change only what these eyes may not read.
pub fn tampering(engine: Engine, world: &World, eyes: Eyes) -> Vec<String> {
    let literal = |id: &str| {
        let uuid = kernel::Id::parse(id).expect("an id").uuid;
        match engine {
            Engine::Sqlite => format!("x'{}'", uuid.simple()),
            Engine::Postgres => format!("'{uuid}'"),
        }
    };
    let company = &world.company;
    let (viewer, network) = match eyes {
        Eyes::Requester => (literal(&company.requester.id), None),
        Eyes::Agent => (literal(&company.agent.id), Some(literal(&company.network))),
    };
    let own = format!("(requester_id = {viewer} OR opened_by_id = {viewer})");
    let of_team =
        network.map_or_else(|| "(1 = 0)".to_owned(), |team| format!("(coalesce(team_id, tenant_id) = {team})"));
    // Tickets that are not there for the viewer, and tickets whose inner life is not.
    let hidden = format!("SELECT id FROM ticket WHERE NOT {own} AND NOT {of_team}");
    let masked = format!("SELECT id FROM ticket WHERE NOT {of_team}");
    let doomed = format!(
        "SELECT id FROM ticket WHERE NOT {own} AND NOT {of_team} AND number IN ({})",
        every_other(&world.known.numbers)
    );
    let mut statements = vec![
        format!("UPDATE ticket SET time_spent = time_spent * 2 + 60, entries_without_rate = 7 WHERE id IN ({masked})"),
        // Neither of them reads costs anywhere.
        "UPDATE ticket SET cost = coalesce(cost, 0) * 3 + 10000, billable_cost = 1, entries_without_rate = 5"
            .to_owned(),
        "UPDATE time_entry SET amount = coalesce(amount, 0) + 10000, hourly = 7, costed = NOT costed".to_owned(),
        format!("DELETE FROM time_entry WHERE ticket_id IN ({masked})"),
        format!(
            "UPDATE ticket SET reassignment_count = reassignment_count * 2 + 1, functional_escalation_level = 2, \
             hierarchical_escalation_level = 3, escalated_to_id = requester_id WHERE id IN ({masked})"
        ),
        format!(
            "UPDATE ticket SET priority_override_reason = 'Another reason.' WHERE priority_override_at IS NOT NULL AND id IN ({masked})"
        ),
        format!(
            "UPDATE ticket SET title = 'Hidden and changed', description = NULL, priority = 'P5', impact = 'LOW', reopen_count = 7 WHERE id IN ({hidden})"
        ),
        // The documents and the rows, of which one is filtered by and the other shown.
        format!(
            "UPDATE ticket SET internal_custom_fields = '{{\"cost\": \"changed\", \"effort\": 3}}' WHERE number <> 'INC-1003' AND id IN ({masked})"
        ),
        format!("UPDATE custom_field_value SET text_value = 'changed' WHERE key = 'cost' AND ticket_id IN ({masked})"),
        format!("DELETE FROM custom_field_value WHERE key = 'effort' AND ticket_id IN ({masked})"),
        format!(
            "UPDATE ticket_search SET title = ' hidden and changed ', details = '', comments = ' changed vpn ' WHERE id IN ({hidden})"
        ),
        format!(
            "UPDATE ticket_search SET internal_details = ' changed vpn ', internal_comments = '' WHERE id IN ({masked})"
        ),
        format!("UPDATE comment SET body = 'Changed.' WHERE ticket_id IN ({hidden})"),
        format!("UPDATE comment SET moved_from_id = NULL WHERE moved_from_id IN ({hidden})"),
        format!("DELETE FROM ticket_merge WHERE ticket_id IN ({hidden}) OR duplicate_id IN ({hidden})"),
        format!("UPDATE ticket_merge SET comments = 7, attachments = 8, watchers = 9 WHERE ticket_id IN ({masked})"),
        format!("DELETE FROM event WHERE audience = 'INTERNAL' AND subject_id IN ({masked})"),
        format!("DELETE FROM comment WHERE visibility = 'INTERNAL' AND ticket_id IN ({masked})"),
        "DELETE FROM event WHERE subject_kind <> 'ticket'".to_owned(),
        without_masked_changes(engine, &masked),
    ];
    for table in
        ["event", "comment", "ticket_watcher", "external_ref", "custom_field_value", "incident", "ticket_search"]
    {
        let column = match table {
            "event" => "subject_id",
            "incident" | "ticket_search" => "id",
            _ => "ticket_id",
        };
        statements.push(format!("DELETE FROM {table} WHERE {column} IN ({doomed})"));
    }
    statements.push(format!("DELETE FROM ticket WHERE id IN (SELECT id FROM ({doomed}) AS doomed)"));
    if eyes == Eyes::Requester {
        statements.push(format!(
            "UPDATE actor SET email = 'x' || email, email_lower = 'x' || email_lower, time_zone = NULL WHERE email IS NOT NULL AND id <> {viewer} AND id <> {}",
            literal(&company.admin.id)
        ));
    }
    statements
}

fn every_other(numbers: &[String]) -> String {
    numbers.iter().step_by(2).map(|number| format!("'{number}'")).collect::<Vec<_>>().join(", ")
}

/// Events on tickets whose inner life is hidden tell nothing of it any more.
fn without_masked_changes(engine: Engine, tickets: &str) -> String {
    let names = "('reassignmentCount', 'functionalEscalationLevel', 'hierarchicalEscalationLevel', 'escalatedTo', 'priorityOverrideReason', 'priorityOverrideBy', 'priorityOverrideAt', 'internalCustomFields')";
    match engine {
        Engine::Sqlite => format!(
            "UPDATE event SET changes = (SELECT json_group_array(json(found.value)) FROM json_each(event.changes) AS found \
             WHERE json_extract(found.value, '$.field') NOT IN {names}) WHERE subject_id IN ({tickets})"
        ),
        Engine::Postgres => format!(
            "UPDATE event SET changes = (SELECT coalesce(jsonb_agg(found ORDER BY place), '[]') \
             FROM jsonb_array_elements(event.changes) WITH ORDINALITY AS each(found, place) \
             WHERE found->>'field' NOT IN {names}) WHERE subject_id IN ({tickets})"
        ),
    }
}
