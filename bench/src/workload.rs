//! What is asked of the server, as people's screens ask it, and how an answer is checked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bare;
use crate::data::{Agent, CATEGORIES, Manifest, Scale, Teams, number};
use crate::load::{Connection, Workload, count, find};
use crate::random::Random;

/// Tickets on a page of a queue.
pub const PAGE: u64 = 50;
/// The newest comments that a single ticket is read with.
const COMMENTS: u32 = 5;

const TICKET: &str = "query Ticket($by: TicketRef!) { incident(by: $by) { \
    id number version title description priority impact urgency state { key name category } \
    requester { id name } assignee { id name } team { slug name } createdAt updatedAt \
    comments(last: 5) { nodes { id body visibility createdAt author { name } } } } }";
const QUEUE: &str = "query Queue($filter: TicketFilter!, $first: Int!) { \
    tickets(filter: $filter, orderBy: [{ field: PRIORITY }, { field: CREATED_AT }], first: $first) { \
    nodes { id number version title priority state { key name category } \
    requester { id name } assignee { id name } team { slug name } updatedAt } \
    pageInfo { hasNextPage endCursor } } }";
const SEARCH: &str = "query Search($query: String!) { search(query: $query, first: 20) { \
    edges { score node { ... on Ticket { id number title priority state { key name category } \
    requester { id name } assignee { id name } team { slug name } updatedAt } } } \
    pageInfo { hasNextPage endCursor } } }";
const CREATE: &str = "mutation Create($input: IncidentCreateInput!) { incidentCreate(input: $input) { \
    incident { id number version title priority state { key category } requester { name } team { slug } assignee { name } } \
    events { __typename id } userErrors { __typename code message path } } }";

/// A request as bytes.
pub fn request(into: &mut Vec<u8>, token: &str, body: &str) {
    use std::io::Write as _;
    let length = body.len();
    // Writing to a vector cannot fail.
    let _ = write!(
        into,
        "POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
}

/// Asks the server as the administrator.
///
/// # Errors
/// When it does not answer with 200 and JSON.
pub async fn ask(connection: &mut Connection, manifest: &Manifest, body: &Value) -> Result<Value> {
    let mut bytes = Vec::new();
    request(&mut bytes, &manifest.administrator, &body.to_string());
    let (status, body) = connection.exchange(&bytes).await?;
    ensure!(status == 200, "a request was answered with {status}: {}", String::from_utf8_lossy(body));
    Ok(serde_json::from_slice(body)?)
}

/// A request's body.
pub fn body(query: &str, variables: &Value) -> String {
    json!({ "query": query, "variables": variables }).to_string()
}

/// Looks for errors in an answer.
///
/// # Errors
/// When there are any.
pub fn refuse_errors(body: &[u8]) -> Result<()> {
    ensure!(find(body, b"\"errors\":").is_none(), "an answer with errors");
    Ok(())
}

/// Who reads which tickets.
#[derive(Clone, Debug)]
pub enum Readers {
    /// An agent, whose team's tickets are within sight.
    Agent(Agent),
    /// A lead, who sees every ticket.
    Lead(Agent),
    /// Each connection another agent, each with the tickets of their team.
    Agents(Vec<Agent>),
}

impl Readers {
    fn of(&self, connection: usize) -> &Agent {
        match self {
            Readers::Agent(agent) | Readers::Lead(agent) => agent,
            Readers::Agents(agents) => &agents[connection % agents.len()],
        }
    }
}

/// One ticket with requester, assignee, team and its last five comments.
pub struct Ticket {
    readers: Readers,
    scale: Scale,
    teams: Teams,
    comments: Vec<u32>,
}

impl Ticket {
    /// Read by these people.
    ///
    /// # Errors
    /// When the manifest is of no scale.
    pub fn new(manifest: &Manifest, readers: Readers) -> Result<Self> {
        let scale = manifest.scale()?;
        Ok(Self { readers, scale, teams: Teams::new(), comments: scale.comment_counts() })
    }
}

impl Workload for Ticket {
    fn request(&self, connection: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        let reader = self.readers.of(connection);
        let index = match &self.readers {
            Readers::Lead(_) => random.below(self.scale.tickets),
            _ => self.teams.draw(self.scale, reader.team, random),
        };
        let variables = json!({ "by": { "id": self.scale.ticket_id(index) } });
        request(into, &reader.token, &body(TICKET, &variables));
        index
    }

    fn check(&self, asked: u64, body: &[u8]) -> Result<()> {
        refuse_errors(body)?;
        let number = format!("\"number\":\"{}\"", number(asked));
        ensure!(find(body, number.as_bytes()).is_some(), "another ticket than {number}");
        ensure!(find(body, b"\"requester\":{\"id\"").is_some(), "a ticket without its requester");
        let expected = self.comments[asked as usize].min(COMMENTS) as usize;
        let comments = count(body, b"\"visibility\":");
        ensure!(comments == expected, "{comments} comments instead of {expected}");
        Ok(())
    }
}

/// A page of an agent's queue: the open tickets of the agent's teams, most urgent first.
pub struct Queue {
    token: String,
    body: String,
}

impl Queue {
    /// Of this agent.
    pub fn new(agent: &Agent) -> Self {
        let open = json!({ "category": { "in": ["NEW", "ACTIVE", "WAITING"] } });
        let filter = json!({ "team": { "hasViewer": true }, "state": open });
        Self { token: agent.token.clone(), body: body(QUEUE, &json!({ "filter": filter, "first": PAGE })) }
    }
}

impl Workload for Queue {
    fn request(&self, _: usize, _: &mut Random, into: &mut Vec<u8>) -> u64 {
        request(into, &self.token, &self.body);
        PAGE
    }

    fn check(&self, asked: u64, body: &[u8]) -> Result<()> {
        refuse_errors(body)?;
        let rows = count(body, b"\"number\":") as u64;
        ensure!(rows == asked, "{rows} tickets on a page of {asked}");
        let requesters = count(body, b"\"requester\":{") as u64;
        ensure!(requesters == asked, "{requesters} requesters on a page of {asked}");
        Ok(())
    }
}

/// Two words that an agent looks for.
pub struct Search {
    token: String,
    broad: bool,
}

/// Two words of one title each, which a tenth of all tickets have.
const BROAD: [&str; 5] = ["vpn drops", "printer jams", "laptop update", "second screen", "password drive"];
/// A word of a title; the number behind it is another word, which few tickets have.
const RARE: [&str; 5] = ["vpn", "printer", "laptop", "screen", "password"];

impl Search {
    /// By this agent.
    pub fn new(agent: &Agent, broad: bool) -> Self {
        Self { token: agent.token.clone(), broad }
    }
}

impl Workload for Search {
    fn request(&self, _: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        let query = match self.broad {
            true => (*random.pick(&BROAD)).to_owned(),
            false => format!("{} {}", random.pick(&RARE), random.below(10_000)),
        };
        request(into, &self.token, &body(SEARCH, &json!({ "query": query })));
        u64::from(self.broad)
    }

    fn check(&self, broad: u64, body: &[u8]) -> Result<()> {
        refuse_errors(body)?;
        let hits = count(body, b"\"score\":");
        ensure!(broad == 0 || hits == 20, "{hits} hits on a page of 20");
        Ok(())
    }
}

/// An incident that an agent opens.
pub struct Create {
    token: String,
    numbers: Mutex<HashSet<Vec<u8>>>,
}

impl Create {
    /// By this agent.
    pub fn new(agent: &Agent) -> Self {
        Self { token: agent.token.clone(), numbers: Mutex::default() }
    }
}

impl Workload for Create {
    fn request(&self, _: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        let drawn = random.below(1_000_000);
        let input = json!({
            "title": format!("Printer on the third floor jams ({drawn})"),
            "description": "It began this morning and keeps coming back. Restarting helps for some minutes. \
                            A colleague next door has the same. We need it for the closing of the month.",
            "impact": (["HIGH", "MEDIUM", "LOW"])[random.below(3) as usize],
            "urgency": (["HIGH", "MEDIUM", "LOW"])[random.below(3) as usize],
            "category": format!("category-{}", random.below(CATEGORIES as u64)),
            "tags": ["printer", "recurring"],
            "origin": "PORTAL",
        });
        request(into, &self.token, &body(CREATE, &json!({ "input": input })));
        drawn
    }

    fn check(&self, asked: u64, body: &[u8]) -> Result<()> {
        refuse_errors(body)?;
        ensure!(find(body, b"\"userErrors\":[]").is_some(), "an incident was refused");
        ensure!(find(body, format!("({asked})\"").as_bytes()).is_some(), "another title");
        let mark = b"\"number\":\"";
        let start = find(body, mark).context("an incident without a number")? + mark.len();
        let length = body[start..].iter().position(|byte| *byte == b'"').context("a number without an end")?;
        let number = body[start..start + length].to_vec();
        let fresh = self.numbers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(number);
        ensure!(fresh, "a number was given twice");
        Ok(())
    }
}

/// The bare JSON endpoint, asked with the same bytes as a single ticket.
pub struct Bare(Arc<dyn Workload>);

impl Bare {
    /// Asked as this workload asks.
    pub fn new(workload: Arc<dyn Workload>) -> Self {
        Self(workload)
    }
}

impl Workload for Bare {
    fn request(&self, connection: usize, random: &mut Random, into: &mut Vec<u8>) -> u64 {
        self.0.request(connection, random, into)
    }

    fn check(&self, _: u64, body: &[u8]) -> Result<()> {
        ensure!(find(body, bare::MARK.as_bytes()).is_some(), "not the bare answer");
        Ok(())
    }
}
