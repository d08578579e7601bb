//! What a tenant's own settings cost: a transition by a workflow with guards, on a ticket with custom fields, beside the same
//! transition by the default workflow on a plain ticket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::data::Manifest;
use crate::load::{Connection, Workload, find};
use crate::random::Random;
use crate::server::Server;
use crate::workload::{ask, body, refuse_errors, request};

/// Custom fields of the tickets with guards.
const FIELDS: usize = 10;
/// The tag of tickets that follow the workflow with guards.
const TAG: &str = "guarded";
const TRANSITION: &str = "mutation Transition($input: TicketTransitionInput!) { ticketTransition(input: $input) { \
    ticket { id version state { key } } userErrors { code message path } } }";

/// The three workloads that are compared.
pub struct Transitions {
    /// By the default workflow, on tickets without custom fields.
    pub plain: Arc<Toggle>,
    /// By a workflow with three guards, on tickets with ten custom fields.
    pub guarded: Arc<Toggle>,
    /// The same, and each transition sets all ten.
    pub setting: Arc<Toggle>,
}

/// Puts a ticket on hold and back to work, each connection its own.
pub struct Toggle {
    token: String,
    /// A ticket for each connection, and how many transitions it has been asked for.
    tickets: Vec<(String, AtomicU64)>,
    /// Whether each transition sets the custom fields.
    sets: bool,
}

impl Workload for Toggle {
    fn request(&self, connection: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        let (ticket, asked) = &self.tickets[connection];
        let back = asked.fetch_add(1, Ordering::Relaxed) % 2;
        let (key, mut fields) = match back {
            0 => ("hold", json!({ "waitingReason": "VENDOR" })),
            _ => ("resume", json!({})),
        };
        if self.sets {
            fields["customFields"] = values(random.below(1_000_000), |_, value| value);
        }
        let input = json!({ "id": ticket, "transition": key, "fields": fields });
        request(into, &self.token, &body(TRANSITION, &json!({ "input": input })));
        back
    }

    fn check(&self, asked: u64, body: &[u8]) -> Result<()> {
        refuse_errors(body)?;
        ensure!(find(body, b"\"userErrors\":[]").is_some(), "a transition was refused");
        let state: &[u8] = if asked == 0 { b"\"key\":\"on_hold\"" } else { b"\"key\":\"in_progress\"" };
        ensure!(find(body, state).is_some(), "another state");
        Ok(())
    }
}

/// A field's key, what inputs call its values, and its type.
fn field(number: usize) -> (String, &'static str, &'static str) {
    let (input, kind) = [("text", "TEXT"), ("number", "NUMBER"), ("boolean", "BOOLEAN"), ("date", "DATE")][number % 4];
    (format!("field{number}"), input, kind)
}

/// Values of all fields by their keys; `written` makes of a value what stands there.
fn values(drawn: u64, written: impl Fn(usize, Value) -> Value) -> Value {
    let value = |number: usize| match number % 4 {
        0 => json!(format!("value {drawn}")),
        1 => json!(drawn),
        2 => json!(drawn.is_multiple_of(2)),
        _ => json!(format!("2026-01-{:02}", drawn % 28 + 1)),
    };
    (0..FIELDS).map(|number| (field(number).0, written(number, value(number)))).collect()
}

/// Defines the fields, publishes the workflow with guards, and opens tickets for so many connections.
///
/// # Errors
/// When the server refuses.
pub fn prepare(server: &Server, manifest: &Manifest, connections: usize) -> Result<Transitions> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asking = Asking { connection: Connection::open(server.address()).await?, manifest };
        asking.define().await?;
        let plain = asking.tickets(connections, false).await?;
        let (guarded, setting) = (asking.tickets(connections, true).await?, asking.tickets(connections, true).await?);
        let toggle = |tickets: Vec<String>, sets: bool| {
            let tickets = tickets.into_iter().map(|ticket| (ticket, AtomicU64::new(0))).collect();
            Arc::new(Toggle { token: manifest.administrator.clone(), tickets, sets })
        };
        Ok(Transitions { plain: toggle(plain, false), guarded: toggle(guarded, false), setting: toggle(setting, true) })
    })
}

struct Asking<'a> {
    connection: Connection,
    manifest: &'a Manifest,
}

impl Asking<'_> {
    /// Does a mutation; its payload.
    async fn done(&mut self, mutation: &str, input_type: &str, input: Value, selection: &str) -> Result<Value> {
        let query = format!(
            "mutation Do($input: {input_type}!) {{ {mutation}(input: $input) {{ {selection} userErrors {{ code message path }} }} }}"
        );
        let asked = json!({ "query": query, "variables": { "input": input } });
        let mut answer = ask(&mut self.connection, self.manifest, &asked).await?;
        let errors = &answer["data"][mutation]["userErrors"];
        ensure!(errors.as_array().is_some_and(Vec::is_empty), "{mutation} was refused: {answer}");
        Ok(answer["data"][mutation].take())
    }

    async fn define(&mut self) -> Result<()> {
        for number in 0..FIELDS {
            let (key, _, kind) = field(number);
            let input = json!({ "key": key, "name": key, "type": kind });
            self.done("customFieldCreate", "CustomFieldCreateInput", input, "customField { id }").await?;
        }
        let query = "{ workflow(key: \"incident\") { published { initial autoClose states { key name category } \
            transitions { key name from to permission required optional } resolutionCodes { key name } } } }";
        let mut answer = ask(&mut self.connection, self.manifest, &json!({ "query": query })).await?;
        let mut document = answer["data"]["workflow"]["published"].take();
        let guards: Vec<Value> = [
            json!({ "customFields": [{ "key": field(0).0, "text": { "isNull": false } }] }),
            json!({ "customFields": [{ "key": field(1).0, "number": { "gte": 0 } }] }),
            json!({ "tags": { "has": TAG } }),
        ]
        .into_iter()
        .map(|filter| json!({ "filter": filter, "reason": "Not yet." }))
        .collect();
        let transitions = document["transitions"].as_array_mut().context("a workflow without transitions")?;
        for transition in transitions.iter_mut().filter(|found| found["key"] == "hold" || found["key"] == "resume") {
            transition["guards"] = guards.clone().into();
        }
        let input = json!({ "key": "guarded", "name": "With guards", "kind": "INCIDENT", "rank": 1,
            "filter": { "tags": { "has": TAG } }, "document": document });
        self.done("workflowCreate", "WorkflowCreateInput", input, "workflow { key }").await?;
        self.done("workflowPublish", "WorkflowPublishInput", json!({ "key": "guarded" }), "workflow { key }").await?;
        Ok(())
    }

    /// Opens tickets that are worked on; their ids.
    async fn tickets(&mut self, count: usize, guarded: bool) -> Result<Vec<String>> {
        let mut tickets = Vec::with_capacity(count);
        for number in 0..count {
            let mut input =
                json!({ "title": format!("Transition {number}"), "tags": [if guarded { TAG } else { "plain" }] });
            if guarded {
                let named =
                    values(number as u64, |number, value| json!({ "key": field(number).0, field(number).1: value }));
                input["customFields"] = named.as_object().context("no values")?.values().cloned().collect();
            }
            let opened = self.done("incidentCreate", "IncidentCreateInput", input, "incident { id }").await?;
            let id = opened["incident"]["id"].as_str().context("an incident without an id")?.to_owned();
            let start = json!({ "id": id, "transition": "start" });
            self.done("ticketTransition", "TicketTransitionInput", start, "ticket { id }").await?;
            tickets.push(id);
        }
        Ok(tickets)
    }
}
