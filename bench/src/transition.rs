//! What a tenant's own settings cost, beside the same transition by the default workflow on a plain ticket: a workflow with guards
//! on tickets with custom fields; policies of service levels, whose clocks change with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::asking::Asking;
use crate::data::Manifest;
use crate::data::company::team_slug;
use crate::load::{Workload, find};
use crate::random::Random;
use crate::server::Server;
use crate::workload::{ask, body, refuse_errors, request};

/// Custom fields of the tickets with guards.
const FIELDS: usize = 10;
/// The tag of tickets that follow the workflow with guards.
const TAG: &str = "guarded";
const TRANSITION: &str = "mutation Transition($input: TicketTransitionInput!) { ticketTransition(input: $input) { \
    ticket { id version state { key } } userErrors { code message path } } }";

/// So many tickets does each connection walk over where each transition leaves more behind: a ticket in use is put on hold a few
/// times, not ten thousand.
const WALKED: usize = 200;

/// The workloads that are compared.
pub struct Transitions {
    /// By the default workflow, on tickets without custom fields, clocks or anything.
    pub plain: Arc<Toggle>,
    /// With more to do: past three guards, on tickets with ten custom fields; or on tickets with clocks.
    pub laden: Arc<Toggle>,
    /// With yet more: each transition sets all ten fields as well.
    pub setting: Option<Arc<Toggle>>,
}

/// Puts tickets on hold and back to work, each connection its own.
pub struct Toggle {
    token: String,
    /// The tickets of each connection, and how many transitions it has been asked for.
    tickets: Vec<(Vec<String>, AtomicU64)>,
    /// Whether each transition sets the custom fields.
    sets: bool,
}

impl Workload for Toggle {
    fn request(&self, connection: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        let (tickets, asked) = &self.tickets[connection];
        let asked = asked.fetch_add(1, Ordering::Relaxed);
        let (ticket, back) = (&tickets[(asked / 2) as usize % tickets.len()], asked % 2);
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
pub fn with_guards(server: &Server, manifest: &Manifest, connections: usize) -> Result<Transitions> {
    prepare(server, manifest, async |asking| {
        asking.define().await?;
        let plain = asking.tickets(connections, &json!({ "tags": ["plain"] })).await?;
        let named = values(0, |number, value| json!({ "key": field(number).0, field(number).1: value }));
        let fields: Vec<&Value> = named.as_object().context("no values")?.values().collect();
        let guarded = json!({ "tags": [TAG], "customFields": fields });
        let (laden, setting) =
            (asking.tickets(connections, &guarded).await?, asking.tickets(connections, &guarded).await?);
        Ok(Transitions {
            plain: asking.toggle(plain, 1, false),
            laden: asking.toggle(laden, 1, false),
            setting: Some(asking.toggle(setting, 1, true)),
        })
    })
}

/// Opens tickets, publishes an SLA with two metrics, an OLA and an underpinning contract with three escalations each, and opens as
/// many more: those have four clocks, of which three change with each transition.
///
/// # Errors
/// When the server refuses.
pub fn with_clocks(server: &Server, manifest: &Manifest, connections: usize) -> Result<Transitions> {
    prepare(server, manifest, async |asking| {
        let team = json!({ "team": { "slug": team_slug(0) } });
        let plain = asking.tickets(connections * WALKED, &team).await?;
        asking.promise().await?;
        let laden = asking.tickets(connections * WALKED, &team).await?;
        Ok(Transitions {
            plain: asking.toggle(plain, WALKED, false),
            laden: asking.toggle(laden, WALKED, false),
            setting: None,
        })
    })
}

fn prepare(
    server: &Server,
    manifest: &Manifest,
    work: impl AsyncFnOnce(&mut Asking<'_>) -> Result<Transitions>,
) -> Result<Transitions> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { work(&mut Asking::open(server, manifest).await?).await })
}

impl Asking<'_> {
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

    /// Promises what an office of a company does. Nothing of it is due while it is measured.
    async fn promise(&mut self) -> Result<()> {
        let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"];
        let week: Vec<Value> = days.iter().map(|day| json!({ "day": day, "from": "08:00", "to": "18:00" })).collect();
        let calendar = json!({ "key": "office", "name": "Office", "timeZone": "Europe/Berlin", "week": week });
        self.done("calendarCreate", "CalendarCreateInput", calendar, "calendar { id }").await?;
        let escalations: Vec<Value> =
            [50, 75, 100].iter().map(|percent| json!({ "at": { "percent": percent } })).collect();
        let metric = |metric: &str, hours: u32, waiting: &[&str]| {
            json!({
                "metric": metric, "escalations": escalations, "pauses": { "waitingReasons": waiting },
                "targets": [
                    { "priorities": ["P1", "P2"], "target": format!("PT{}H", hours / 2) },
                    { "target": format!("PT{hours}H") },
                ],
            })
        };
        let awaited = ["REQUESTER", "VENDOR"];
        for (key, kind, metrics) in [
            ("sla", "SLA", json!([metric("FIRST_RESPONSE", 80, &[]), metric("RESOLUTION", 400, &awaited)])),
            ("ola", "OLA", json!([metric("RESOLUTION", 300, &awaited)])),
            ("contract", "UNDERPINNING_CONTRACT", json!([metric("RESOLUTION", 200, &[])])),
        ] {
            let policy =
                json!({ "key": key, "name": key, "kind": kind, "calendar": { "key": "office" }, "metrics": metrics });
            self.done("slaPolicyCreate", "SlaPolicyCreateInput", policy, "slaPolicy { id }").await?;
        }
        Ok(())
    }

    /// Opens tickets that are worked on, with this beside a title; their ids.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn tickets(&mut self, count: usize, given: &Value) -> Result<Vec<String>> {
        let mut tickets = Vec::with_capacity(count);
        for number in 0..count {
            let mut input = given.clone();
            input["title"] = format!("Transition {number}").into();
            let opened = self.done("incidentCreate", "IncidentCreateInput", input, "incident { id }").await?;
            let id = opened["incident"]["id"].as_str().context("an incident without an id")?.to_owned();
            let start = json!({ "id": id, "transition": "start" });
            self.done("ticketTransition", "TicketTransitionInput", start, "ticket { id }").await?;
            tickets.push(id);
        }
        Ok(tickets)
    }

    /// A workload over these tickets, so many for each connection.
    fn toggle(&self, tickets: Vec<String>, each: usize, sets: bool) -> Arc<Toggle> {
        let tickets = tickets.chunks(each).map(|own| (own.to_vec(), AtomicU64::new(0))).collect();
        Arc::new(Toggle { token: self.manifest.administrator.clone(), tickets, sets })
    }
}
