//! Random documents: filters, orders, pages, counts, nested fields, history, events, nodes.

use serde_json::{Map, Value, json};

/// What documents may ask for.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Ids of tickets, hidden ones among them.
    pub tickets: Vec<String>,
    /// Numbers of tickets.
    pub numbers: Vec<String>,
    /// Ids of other records: users, teams, categories, comments.
    pub others: Vec<String>,
    /// Addresses.
    pub emails: Vec<String>,
}

/// A stream of documents that depends on nothing but its seed and the answers.
pub struct Documents {
    known: Known,
    state: u64,
    /// The last list that was asked for, to page on in it.
    last: Option<(String, Value)>,
    cursors: Vec<String>,
}

/// The lists, each with its filter's and order's types and the fields of its order.
const TICKET_ORDERS: &[&str] = &[
    "CREATED_AT",
    "UPDATED_AT",
    "PRIORITY",
    "TITLE",
    "RESOLVED_AT",
    "CLOSED_AT",
    "WAITING_UNTIL",
    "REOPEN_COUNT",
    "REASSIGNMENT_COUNT",
    "TIME_SPENT",
    "COST",
    "FUNCTIONAL_ESCALATION_LEVEL",
    "HIERARCHICAL_ESCALATION_LEVEL",
];
const USER_ORDERS: &[&str] = &["NAME", "EMAIL", "CREATED_AT", "UPDATED_AT"];
const TEAM_ORDERS: &[&str] = &["NAME", "SLUG", "CREATED_AT", "UPDATED_AT"];

/// `site` is for everybody, the others are for those who work on the ticket.
const CUSTOM_FIELDS: &[&str] = &["site", "cost", "effort"];

const TICKET_FIELDS: &[&str] = &[
    "id",
    "number",
    "kind",
    "version",
    "title",
    "description",
    "state { key category waitingReason waitingUntil }",
    "priority",
    "priorityOverride { reason at by { id name } }",
    "impact",
    "urgency",
    "category { id key parent { key } }",
    "requester { id name email timeZone active roles { role { key } } teams { slug } }",
    "openedBy { id name ... on User { email } }",
    "team { id slug members { name } }",
    "assignee { id name email }",
    "tags",
    "customFields { key value text number field { name readableBy } }",
    "externalRefs { source key }",
    "comments(last: 3) { totalCount pageInfo { hasPreviousPage startCursor } nodes { id body visibility author { name } createdAt } }",
    "comments(first: 2) { edges { cursor node { id ticket { number reassignmentCount } } } }",
    "comments(last: 4) { nodes { movedFrom { number title } } }",
    "mergedInto { number title reassignmentCount } merges { id comments watchers mergedBy { name } duplicate { number } }",
    "watchers { id name email }",
    "history(last: 4) { totalCount pageInfo { hasPreviousPage } nodes { __typename id occurredAt actor { name } changes { field before after } ... on CommentAdded { comment { body } } } }",
    "history(first: 3) { pageInfo { hasNextPage endCursor } edges { cursor node { cursor ... on TicketEvent { version ticket { title reassignmentCount } } } } }",
    "availableTransitions { key allowed reasons }",
    "viewerCan(action: COMMENT_INTERNALLY) { allowed reason }",
    "viewerCan(action: OVERRIDE_PRIORITY) { allowed }",
    "reassignmentCount",
    "timeSpent cost { total { amount } billable { amount } entriesWithoutRate }",
    "timeEntries(last: 3) { totalCount pageInfo { hasPreviousPage } nodes { id duration billable costed hourly { amount } amount { amount } user { name } } }",
    "reopenCount",
    "createdAt",
    "updatedAt",
    "resolvedAt",
    "closedAt",
    "... on Incident { origin resolutionCode resolutionNotes }",
    "... on Incident { functionalEscalationLevel hierarchicalEscalationLevel escalatedTo { name } }",
];
/// What may be asked of a ticket as it was.
const PAST_FIELDS: &[&str] = &[
    "id",
    "version",
    "title",
    "description",
    "state { key category waitingReason waitingUntil }",
    "priority",
    "priorityOverride { reason at by { id name } }",
    "category { id key }",
    "requester { id name email }",
    "team { id slug }",
    "assignee { id name email }",
    "tags",
    "customFields { key value field { readableBy } }",
    "reassignmentCount",
    "updatedAt",
    "firstRespondedAt",
    "... on Incident { origin resolutionCode hierarchicalEscalationLevel escalatedTo { name } }",
];
const USER_FIELDS: &[&str] = &[
    "id",
    "name",
    "email",
    "timeZone",
    "active",
    "version",
    "createdAt",
    "updatedAt",
    "teams { slug members { id } }",
    "roles { role { key } team { slug } }",
];
const TEAM_FIELDS: &[&str] = &[
    "id",
    "slug",
    "name",
    "description",
    "version",
    "createdAt",
    "members(first: 5) { id name ... on User { email roles { role { name } } } }",
];
const EVENT_FIELDS: &[&str] = &[
    "__typename",
    "id",
    "cursor",
    "occurredAt",
    "recordedAt",
    "channel",
    "actor { id name ... on User { email } }",
    "changes { field before after }",
    "... on TicketEvent { version ticket { id number title reassignmentCount } }",
    "... on CommentAdded { comment { id body visibility } }",
    "... on TicketWatched { user { name } }",
    "... on TimeEntryAdded { user { name } after { startedAt duration amount { amount } } timeEntry { id } }",
];

impl Documents {
    /// Documents from this seed.
    pub fn new(known: Known, seed: u64) -> Self {
        Self { known, state: seed ^ 0x9e37_79b9_7f4a_7c15, last: None, cursors: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*: good enough, and the same everywhere.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        usize::try_from(self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % bound.max(1)
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn text(&mut self, of: fn(&Known) -> &Vec<String>) -> String {
        let at = self.below(of(&self.known).len());
        of(&self.known)[at].clone()
    }

    /// Remembers where the answer ended, to go on from there.
    pub fn learn(&mut self, answer: &Value) {
        let Some(data) = answer["data"].as_object() else { return };
        for list in data.values() {
            for place in ["endCursor", "startCursor"] {
                if let Some(cursor) = list["pageInfo"][place].as_str() {
                    self.cursors.push(cursor.to_owned());
                }
            }
        }
        if self.cursors.len() > 12 {
            self.cursors.drain(..6);
        }
    }

    /// The next document and its variables.
    pub fn next(&mut self) -> (String, Value) {
        if self.below(4) == 0
            && let (Some((query, variables)), Some(cursor)) = (self.last.clone(), self.cursors.last().cloned())
        {
            return (query, self.page_on(variables, cursor));
        }
        match self.below(16) {
            0..6 => self.list("tickets", "TicketFilter", "TicketOrder", TICKET_ORDERS, TICKET_FIELDS),
            6 | 7 => self.list("incidents", "IncidentFilter", "IncidentOrder", TICKET_ORDERS, TICKET_FIELDS),
            8 => self.list("users", "UserFilter", "UserOrder", USER_ORDERS, USER_FIELDS),
            9 => self.list("teams", "TeamFilter", "TeamOrder", TEAM_ORDERS, TEAM_FIELDS),
            10 => self.events(),
            11 => self.single(),
            12 => self.nodes(),
            13 | 14 => self.search(),
            _ => self.viewer(),
        }
    }

    fn page_on(&mut self, mut variables: Value, cursor: String) -> Value {
        let size = 1 + self.below(6);
        for name in ["first", "after", "last", "before"] {
            variables[name] = Value::Null;
        }
        match self.below(2) {
            0 => (variables["first"], variables["after"]) = (json!(size), json!(cursor)),
            _ => (variables["last"], variables["before"]) = (json!(size), json!(cursor)),
        }
        variables
    }

    fn selection(&mut self, fields: &[&str]) -> String {
        let count = 1 + self.below(5);
        let mut chosen: Vec<String> = Vec::new();
        for number in 0..count {
            let field = self.one(fields);
            // Two selections of one field with different arguments need names of their own.
            match field.starts_with("...") || field.starts_with("__") || !field.contains('(') {
                true => chosen.push(field.to_owned()),
                false => chosen.push(format!("a{number}: {field}")),
            }
        }
        chosen.join(" ")
    }

    fn page(&mut self) -> Map<String, Value> {
        let size = 1 + self.below(8);
        let mut page = Map::new();
        match self.below(3) {
            0 => {}
            1 => _ = page.insert("first".into(), json!(size)),
            _ => _ = page.insert("last".into(), json!(size)),
        }
        page
    }

    fn list(&mut self, root: &str, filter: &str, order: &str, orders: &[&str], fields: &[&str]) -> (String, Value) {
        let mut wanted = vec!["pageInfo { hasNextPage hasPreviousPage startCursor endCursor }".to_owned()];
        if self.below(2) == 0 {
            wanted.push("totalCount totalCountIsExact".into());
        }
        if self.below(4) == 0 {
            wanted.push("logCursor".into());
        }
        let selection = self.selection(fields);
        wanted.push(match self.below(3) {
            0 => format!("edges {{ cursor node {{ {selection} }} }}"),
            _ => format!("nodes {{ {selection} }}"),
        });
        let query = format!(
            "query($filter: {filter}, $orderBy: [{order}!], $first: Int, $after: Cursor, $last: Int, $before: Cursor) {{ \
             {root}(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {{ {} }} }}",
            wanted.join(" ")
        );
        let mut variables = self.page();
        if self.below(4) > 0 {
            let filter = match root {
                "users" => self.user_filter(2),
                "teams" => self.team_filter(2),
                _ => self.ticket_filter(3),
            };
            variables.insert("filter".into(), filter);
        }
        if self.below(2) == 0 {
            let mut terms = Vec::new();
            for _ in 0..=self.below(2) {
                let mut term = json!({
                    "field": self.one(orders),
                    "direction": self.one(&["ASC", "DESC"]),
                    "nulls": self.one(&["FIRST", "LAST"]),
                });
                if order == "TicketOrder" && self.below(3) == 0 {
                    (term["field"], term["customField"]) = (json!("CUSTOM_FIELD"), json!(self.one(CUSTOM_FIELDS)));
                }
                terms.push(term);
            }
            variables.insert("orderBy".into(), terms.into());
        }
        self.last = Some((query.clone(), Value::Object(variables.clone())));
        self.cursors.clear();
        (query, variables.into())
    }

    fn events(&mut self) -> (String, Value) {
        let selection = self.selection(EVENT_FIELDS);
        let count = self.one(&["", "totalCount"]);
        let query = format!(
            "query($filter: EventFilter, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {{ \
             events(filter: $filter, first: $first, after: $after, last: $last, before: $before) {{ {count} \
             pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} nodes {{ {selection} }} }} }}"
        );
        let mut variables = self.page();
        let filter = match self.below(5) {
            0 => Value::Null,
            1 => json!({ "ticket": self.ticket_filter(2) }),
            2 => json!({ "actorIsViewer": self.below(2) == 0 }),
            3 => {
                json!({ "kinds": [self.one(&["COMMENT_ADDED", "TICKET_ASSIGNED", "TICKET_UPDATED", "INCIDENT_RESOLVED"])] })
            }
            _ => json!({ "occurredAt": { "gte": self.time() }, "ticket": self.ticket_filter(1) }),
        };
        variables.insert("filter".into(), filter);
        self.last = Some((query.clone(), Value::Object(variables.clone())));
        self.cursors.clear();
        (query, variables.into())
    }

    fn single(&mut self) -> (String, Value) {
        match self.below(4) {
            0 | 1 => {
                let by = match self.below(2) {
                    0 => json!({ "number": self.text(|known| &known.numbers) }),
                    _ => json!({ "id": self.text(|known| &known.tickets) }),
                };
                if self.below(2) == 0 {
                    return self.past(by);
                }
                let root = self.one(&["ticket", "incident"]);
                let selection = self.selection(TICKET_FIELDS);
                // On an incident itself, `... on Incident` is fine as well.
                (format!("query($by: TicketRef!) {{ {root}(by: $by) {{ {selection} }} }}"), json!({ "by": by }))
            }
            2 => {
                let selection = self.selection(USER_FIELDS);
                let by = json!({ "email": self.text(|known| &known.emails) });
                (format!("query($by: UserRefInput!) {{ user(by: $by) {{ {selection} }} }}"), json!({ "by": by }))
            }
            _ => {
                let selection = self.selection(TEAM_FIELDS);
                let by = json!({ "slug": self.one(&["network", "workplace", "nowhere"]) });
                (format!("query($by: TeamRefInput!) {{ team(by: $by) {{ {selection} }} }}"), json!({ "by": by }))
            }
        }
    }

    /// How a ticket was, or what changed of it.
    fn past(&mut self, by: Value) -> (String, Value) {
        let mut time = || format!("2026-01-05T{:02}:{:02}:00Z", 9 + self.below(9), self.below(60));
        let (one, other) = (time(), time());
        if self.below(2) == 0 {
            let selection = self.selection(PAST_FIELDS);
            let query =
                format!("query($by: TicketRef!, $at: DateTime!) {{ ticket(by: $by, asOf: $at) {{ {selection} }} }}");
            return (query, json!({ "by": by, "at": one }));
        }
        let query = "query($by: TicketRef!, $from: DateTime!, $to: DateTime) { ticketDiff(by: $by, from: $from, to: $to) { eventCount \
                     differences { field before after changedAt changedBy { name } } } }";
        let to = if self.below(2) == 0 { Value::Null } else { json!(one.as_str().max(other.as_str())) };
        (query.to_owned(), json!({ "by": by, "from": one.min(other), "to": to }))
    }

    fn nodes(&mut self) -> (String, Value) {
        let mut ids = Vec::new();
        for _ in 0..=self.below(6) {
            ids.push(match self.below(2) {
                0 => self.text(|known| &known.tickets),
                _ => self.text(|known| &known.others),
            });
        }
        let (tickets, users) = (self.selection(TICKET_FIELDS), self.selection(USER_FIELDS));
        let query = format!(
            "query($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename ... on Incident {{ {tickets} }} ... on User {{ u: __typename {users} }} \
             ... on Comment {{ id c: body visibility ticket {{ number reassignmentCount }} }} }} }}"
        );
        let query = match query.contains("a0:") || query.contains("teams") || query.contains("roles") {
            // The same names stand for different things in the two fragments: ask for one of them alone.
            true => {
                format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ __typename ... on Incident {{ {tickets} }} }} }}")
            }
            false => query,
        };
        (query, json!({ "ids": ids }))
    }

    /// Words of public texts, of internal ones, of hidden records, and of what the other world has instead.
    fn search(&mut self) -> (String, Value) {
        const WORDS: &[&str] = &[
            "vpn",
            "drops",
            "printer",
            "laptop",
            "\"we look\"",
            "into",
            "since",
            "days",
            "secretly",
            "switch",
            "\"old switch\"",
            "47*",
            "changed",
            "hidden",
            "board",
            "another",
            "east",
            "office",
            "restarted",
            "inc*",
            "INC-1003",
            "INC-1010",
            "1011",
            "se*",
        ];
        let mut asked = vec![self.one(WORDS)];
        if self.below(2) == 0 {
            asked.push(self.one(WORDS));
        }
        let (count, selection) = (self.one(&["", "totalCount totalCountIsExact"]), self.selection(TICKET_FIELDS));
        let query = format!(
            "query($query: String!, $filter: TicketFilter, $first: Int) {{ search(query: $query, filter: $filter, first: $first) {{ {count} \
             pageInfo {{ hasNextPage }} edges {{ score highlights {{ field fragments {{ text isMatch }} }} node {{ ... on Ticket {{ {selection} }} }} }} }} }}"
        );
        let filter = if self.below(3) == 0 { self.ticket_filter(2) } else { Value::Null };
        (query, json!({ "query": asked.join(" "), "filter": filter, "first": 1 + self.below(8) }))
    }

    fn viewer(&mut self) -> (String, Value) {
        let query = "{ viewer { actor { id name ... on User { email roles { role { key } } } } permissions { permission scope } \
                     teams { slug members { name ... on User { email } } } } categories { totalCount nodes { key version } } \
                     priorityMatrix { impact urgency priority } }";
        (query.into(), json!({}))
    }

    fn time(&mut self) -> String {
        match self.below(3) {
            0 => "-PT3H".into(),
            _ => format!("2026-01-05T{:02}:{:02}:00Z", 9 + self.below(9), self.below(60)),
        }
    }

    fn number(&mut self) -> Value {
        let value = json!(self.below(6));
        let operator = self.one(&["eq", "neq", "gt", "gte", "lt", "lte"]);
        match self.below(5) {
            0 => json!({ "in": [value, 1] }),
            1 => json!({ "notIn": [value] }),
            _ => json!({ operator: value }),
        }
    }

    fn words(&mut self, words: &[&str]) -> Value {
        let word = self.one(words);
        match self.below(7) {
            0 => json!({ "eq": word }),
            1 => json!({ "neq": word }),
            2 => json!({ "in": [word, "another"] }),
            3 => json!({ "notIn": [word] }),
            4 => json!({ "isNull": self.below(2) == 0 }),
            5 => json!({ "startsWith": word }),
            _ => json!({ "contains": word }),
        }
    }

    fn choice(&mut self, values: &[&str]) -> Value {
        let value = self.one(values);
        match self.below(4) {
            0 => json!({ "eq": value }),
            1 => json!({ "neq": value }),
            2 => json!({ "in": [value] }),
            _ => json!({ "notIn": [value] }),
        }
    }

    fn instant(&mut self) -> Value {
        let operator = self.one(&["gt", "gte", "lt", "lte"]);
        match self.below(4) {
            0 => json!({ "isNull": self.below(2) == 0 }),
            _ => json!({ operator: self.time() }),
        }
    }

    fn combined(&mut self, depth: usize, leaf: fn(&mut Self, usize) -> Value) -> Option<Value> {
        if depth == 0 || self.below(3) > 0 {
            return None;
        }
        let (one, other) = (leaf(self, depth - 1), leaf(self, depth - 1));
        Some(match self.below(4) {
            0 => json!({ "and": [one, other] }),
            1 => json!({ "or": [one, other] }),
            _ => json!({ "not": one }),
        })
    }

    fn user_filter(&mut self, depth: usize) -> Value {
        if let Some(combined) = self.combined(depth, Self::user_filter) {
            return combined;
        }
        match self.below(8) {
            0..4 => {
                let email = self.text(|known| &known.emails);
                json!({ "email": self.words(&[email.as_str(), "sam", "x", "@acme"]) })
            }
            4 => json!({ "name": self.words(&["Sam", "Agent", "a"]) }),
            5 => json!({ "isViewer": self.below(2) == 0 }),
            6 => json!({ "active": { "eq": self.below(2) == 0 } }),
            _ => json!({ "createdAt": self.instant() }),
        }
    }

    fn team_filter(&mut self, depth: usize) -> Value {
        if let Some(combined) = self.combined(depth, Self::team_filter) {
            return combined;
        }
        match self.below(3) {
            0 => json!({ "slug": self.words(&["network", "workplace"]) }),
            1 => json!({ "name": self.words(&["Team", "network"]) }),
            _ => json!({ "hasViewer": self.below(2) == 0 }),
        }
    }

    fn ticket_filter(&mut self, depth: usize) -> Value {
        if let Some(combined) = self.combined(depth, Self::ticket_filter) {
            return combined;
        }
        match self.below(30) {
            27 => json!({ "timeSpent": { "gt": self.one(&["PT0S", "PT2M", "PT4M"]) } }),
            28 => json!({ "not": { "timeSpent": { "lte": self.one(&["PT1M", "PT3M"]) } } }),
            29 => json!({ "cost": { "isNull": self.below(2) == 0, "gte": "1" } }),
            24 => json!({ "customFields": [{ "key": self.one(CUSTOM_FIELDS), "isNull": self.below(2) == 0 }] }),
            25 => {
                json!({ "customFields": [{ "key": self.one(&["site", "cost"]), "text": self.words(&["47", "east", "changed"]) }] })
            }
            26 => json!({ "customFields": [{ "key": "effort", "number": self.number() }] }),
            // The masked ones are asked for most.
            0..3 => json!({ "reassignmentCount": self.number() }),
            3 => json!({ "functionalEscalationLevel": self.number(), "hierarchicalEscalationLevel": self.number() }),
            4 => json!({ "escalatedTo": { "isViewer": self.below(2) == 0, "isNull": self.below(2) == 0 } }),
            5 | 6 => json!({ "requester": self.user_filter(1) }),
            7 => json!({ "assignee": self.user_filter(1) }),
            8 => json!({ "openedBy": self.user_filter(1) }),
            9 => json!({ "assignee": { "isNull": self.below(2) == 0 } }),
            10 => json!({ "team": self.team_filter(1) }),
            11 => json!({ "team": { "isNull": self.below(2) == 0 } }),
            12 => json!({ "title": self.words(&["VPN", "Printer jams 1", "Hidden", "a"]) }),
            13 => json!({ "description": self.words(&["Since", "days", "1"]) }),
            14 => json!({ "priority": self.choice(&["P1", "P2", "P3", "P5"]) }),
            15 => json!({ "impact": self.choice(&["HIGH", "LOW"]), "urgency": self.choice(&["HIGH", "LOW"]) }),
            16 => json!({ "state": { "category": self.choice(&["NEW", "ACTIVE", "RESOLVED", "CLOSED", "WAITING"]) } }),
            17 => json!({ "state": { "waitingReason": self.choice(&["VENDOR", "REQUESTER"]) } }),
            18 => json!({ "reopenCount": self.number() }),
            19 => json!({ "tags": { "has": self.one(&["vpn", "office"]) } }),
            20 => {
                json!({ "category": self.one(&[&json!({ "isNull": true }), &json!({ "key": { "eq": "vpn" } })]).clone() })
            }
            21 => json!({ "createdAt": self.instant() }),
            22 => json!({ "resolvedAt": self.instant(), "updatedAt": self.instant() }),
            _ => json!({ "number": self.words(&["INC-1003", "INC-101"]) }),
        }
    }
}
