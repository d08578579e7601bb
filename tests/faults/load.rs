//! Writers: each repeats a call under the same key until it is answered, and keeps what it was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tests::client::{Client, document};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::place::Place;
use crate::report::Report;

/// The pause before a call is repeated.
const PAUSE: Duration = Duration::from_millis(15);
/// How long one call may go unanswered, whatever happens meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);

/// What one call did, as its answer tells.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Whose call it was.
    pub token: String,
    /// The mutation.
    pub mutation: &'static str,
    /// Its input, key included.
    pub input: Value,
    /// A text that nothing but this call's effect holds.
    pub mark: String,
    /// The ids of the events that it recorded.
    pub events: Vec<String>,
    /// The ticket's id and its version.
    pub ticket: (String, i64),
}

/// What all writers were told.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<Vec<Acknowledged>>,
    tickets: Mutex<Vec<String>>,
    number: watch::Sender<usize>,
    repeated: Mutex<BTreeMap<String, usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// All that was acknowledged so far.
    pub fn entries(&self) -> Vec<Acknowledged> {
        lock(&self.entries).clone()
    }

    /// How many calls were acknowledged so far.
    pub fn number(&self) -> usize {
        *self.number.borrow()
    }

    /// How often calls were repeated, by reason.
    pub fn repeated(&self) -> BTreeMap<String, usize> {
        lock(&self.repeated).clone()
    }

    /// Waits until so many more were acknowledged.
    pub async fn more(&self, further: usize) -> Result<()> {
        let mut number = self.number.subscribe();
        let wanted = *number.borrow_and_update() + further;
        let reached = number.wait_for(|number| *number >= wanted);
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => bail!("no {further} calls went through within {} s: {:?}", PATIENCE.as_secs(), self.repeated()),
        }
    }

    fn add(&self, entry: Acknowledged) {
        if entry.mutation == "incidentCreate" {
            lock(&self.tickets).push(entry.ticket.0.clone());
        }
        lock(&self.entries).push(entry);
        self.number.send_modify(|number| *number += 1);
    }
}

/// How writers behave.
#[derive(Clone)]
pub struct Manner {
    /// How many there are.
    pub writers: usize,
    /// Where the servers are; a writer whose server does not answer goes to the next.
    pub addresses: Vec<SocketAddr>,
    /// What their choices come from.
    pub seed: u64,
    /// How many bytes of text comments carry.
    pub padding: usize,
    /// How many tickets each of them opens at most.
    pub tickets: usize,
}

impl Manner {
    /// As many as wanted, with nothing special about them.
    pub fn new(writers: usize, addresses: &[SocketAddr], seed: u64) -> Self {
        Self { writers, addresses: addresses.to_vec(), seed, padding: 0, tickets: usize::MAX }
    }
}

/// Running writers.
pub struct Load {
    /// What they were told.
    pub ledger: Arc<Ledger>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    /// Starts them.
    pub fn start(place: &Place, manner: &Manner, report: &Arc<Report>) -> Self {
        let (ledger, stop) = (Arc::new(Ledger::default()), CancellationToken::new());
        let people = [&place.company.admin, &place.company.lead, &place.company.agent];
        let tasks = (0..manner.writers).map(|number| {
            let token = people[number % people.len()].token.clone();
            let writer = Writer {
                number,
                clients: manner.addresses.iter().map(|address| Client::new(*address, Some(&token))).collect(),
                at: number,
                rng: StdRng::seed_from_u64(manner.seed.wrapping_mul(1_000).wrapping_add(number as u64)),
                padding: manner.padding,
                tickets: manner.tickets,
                own: Vec::new(),
                ledger: Arc::clone(&ledger),
                report: Arc::clone(report),
                token,
            };
            tokio::spawn(writer.run(stop.clone()))
        });
        Self { tasks: tasks.collect(), ledger, stop }
    }

    /// Lets each writer finish its call; what they were told.
    pub async fn finish(self, report: &Report) -> Result<Arc<Ledger>> {
        self.stop.cancel();
        for task in self.tasks {
            task.await??;
        }
        report.count("acknowledged", self.ledger.number());
        for (reason, times) in self.ledger.repeated() {
            report.count(&format!("repeated after {reason}"), times);
        }
        Ok(self.ledger)
    }
}

/// What became of one attempt.
pub enum Outcome {
    /// Done: the payload.
    Done(Value),
    /// The same call may go through in a moment; the reason.
    Again(String),
    /// Refused for good: the answer.
    Refused(String),
}

/// The text that the server answers; `None` when the connection breaks, as it does when the server is killed.
pub async fn answered(client: &Client, document: &str, variables: &Value) -> Option<String> {
    let response = client.post(&json!({ "query": document, "variables": variables })).send().await.ok()?;
    response.text().await.ok()
}

/// Calls a mutation once.
pub async fn attempt(client: &Client, mutation: &str, input: &Value) -> Outcome {
    let document = document(mutation, selection(mutation));
    let Some(text) = answered(client, &document, &json!({ "input": input })).await else {
        return Outcome::Again("a broken connection".into());
    };
    let Ok(mut answer) = serde_json::from_str::<Value>(&text) else { return Outcome::Refused(text) };
    let extensions = &answer["errors"][0]["extensions"];
    if extensions["retryable"] == true {
        return Outcome::Again(extensions["code"].as_str().unwrap_or("no code").to_owned());
    }
    let payload = answer["data"][mutation].take();
    match &payload["userErrors"] {
        Value::Array(errors) if errors.is_empty() => Outcome::Done(payload),
        Value::Array(errors) if errors[0]["code"] == "IDEMPOTENCY_IN_PROGRESS" => {
            Outcome::Again("IDEMPOTENCY_IN_PROGRESS".into())
        }
        _ => Outcome::Refused(text),
    }
}

fn selection(mutation: &str) -> &'static str {
    match mutation {
        "problemCreate" | "problemPublishWorkaround" | "problemResolve" => "problem { id }",
        "problemLinkIncidents" => "results { outcome }",
        "uploadCreate" => "upload { id url }",
        "ticketImport" | "ticketExport" => "operation { id }",
        "ticketBulkUpdate" => "operation { id } results { outcome }",
        "alertIngest" => "results { outcome userErrors { message } }",
        "incidentCreate" | "incidentUpdate" => "events { id } incident { id version }",
        _ => "events { id } ticket { id version }",
    }
}

struct Writer {
    number: usize,
    clients: Vec<Client>,
    at: usize,
    rng: StdRng,
    padding: usize,
    tickets: usize,
    /// The tickets that this writer alone takes through their workflow, with their states.
    own: Vec<(String, &'static str)>,
    ledger: Arc<Ledger>,
    report: Arc<Report>,
    token: String,
}

impl Writer {
    async fn run(mut self, stop: CancellationToken) -> Result<()> {
        for number in 0.. {
            if stop.is_cancelled() {
                break;
            }
            let mark = format!("mark-{}-{number}", self.number);
            let (mutation, input) = self.choose(&mark);
            if !self.call(mutation, input, mark).await? {
                break;
            }
        }
        Ok(())
    }

    /// What to do next.
    fn choose(&mut self, mark: &str) -> (&'static str, Value) {
        let own = self.rng.random_range(0..self.own.len().max(1));
        let any = {
            let tickets = lock(&self.ledger.tickets);
            let number = tickets.len();
            (number > 0).then(|| tickets[self.rng.random_range(0..number)].clone())
        };
        let least = if self.own.len() < self.tickets { 0 } else { 3 };
        let (mutation, mut input) = match (self.rng.random_range(least..10), any, self.own.get_mut(own)) {
            (3..5, Some(ticket), _) => ("incidentUpdate", json!({ "id": ticket, "title": mark })),
            (5..8, Some(ticket), _) => {
                ("commentAdd", json!({ "id": ticket, "body": format!("{mark} {}", ".".repeat(self.padding)) }))
            }
            (8.., _, Some((ticket, state))) => {
                let (transition, next, fields) = match *state {
                    "in_progress" => ("hold", "on_hold", json!({ "waitingReason": "VENDOR" })),
                    "on_hold" => ("resume", "in_progress", json!({})),
                    _ => ("start", "in_progress", json!({})),
                };
                *state = next;
                let input = json!({ "id": ticket, "transition": transition, "fields": fields, "comment": mark });
                ("ticketTransition", input)
            }
            _ => ("incidentCreate", json!({ "title": mark, "team": { "slug": "network" } })),
        };
        input["idempotencyKey"] = mark.into();
        (mutation, input)
    }

    /// Repeats the call until it is answered; false when it was refused.
    async fn call(&mut self, mutation: &'static str, input: Value, mark: String) -> Result<bool> {
        let begun = Instant::now();
        loop {
            let client = &self.clients[self.at % self.clients.len()];
            match attempt(client, mutation, &input).await {
                Outcome::Done(payload) => {
                    self.acknowledged(mutation, input, mark, &payload);
                    return Ok(true);
                }
                Outcome::Again(reason) => {
                    *lock(&self.ledger.repeated).entry(reason).or_default() += 1;
                    self.at += 1;
                    if begun.elapsed() > PATIENCE {
                        bail!("{mutation} {input} went unanswered for {} s", PATIENCE.as_secs());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Outcome::Refused(answer) => {
                    self.report.violation(format!("{mutation} {input} was refused: {answer}"));
                    return Ok(false);
                }
            }
        }
    }

    fn acknowledged(&mut self, mutation: &'static str, input: Value, mark: String, payload: &Value) {
        let record = if payload["incident"].is_object() { &payload["incident"] } else { &payload["ticket"] };
        let id = record["id"].as_str().unwrap_or_default().to_owned();
        if mutation == "incidentCreate" {
            self.own.push((id.clone(), "new"));
        }
        let events = event_ids(payload);
        let ticket = (id, record["version"].as_i64().unwrap_or_default());
        self.ledger.add(Acknowledged { token: self.token.clone(), mutation, input, mark, events, ticket });
    }
}

/// The ids of the events that a payload tells of.
pub fn event_ids(payload: &Value) -> Vec<String> {
    let events = payload["events"].as_array().into_iter().flatten();
    events.filter_map(|event| event["id"].as_str().map(str::to_owned)).collect()
}
