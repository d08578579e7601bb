//! Time that is worked on tickets, rates, and what it costs.

use chrono::Duration;
use gateway::door::Milliseconds;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};

use crate::company_life::{assign, incident, incident_with, step};
use crate::problems::problem;

/// Adds a rate in euro; the whole payload.
pub async fn rate(client: &Client, key: &str, amount: &str, more: Value) -> Value {
    let input = rate_input(key, amount, more);
    client.done("labourRateCreate", input, "rate { id key version hourly { amount currency } }").await["rate"].take()
}

fn rate_input(key: &str, amount: &str, more: Value) -> Value {
    let mut input = json!({ "key": key, "name": key, "hourly": { "amount": amount, "currency": "EUR" }, "validFrom": "2026-01-01" });
    for (name, value) in more.as_object().expect("an object") {
        input[name] = value.clone();
    }
    input
}

const ENTRY: &str = "timeEntry { id version duration startedAt workedOn billable note costed user { name } recordedBy { name } team { slug } \
    rate { key } hourly { amount } amount { amount currency } } ticket { version timeSpent cost { total { amount currency } \
    billable { amount } entriesWithoutRate } } events { __typename }";

/// Writes down time on a ticket; the whole payload.
pub async fn spend(client: &Client, ticket: &Value, duration: &str, more: Value) -> Value {
    client.done("timeEntryAdd", spending(ticket, duration, more), ENTRY).await
}

fn spending(ticket: &Value, duration: &str, more: Value) -> Value {
    let mut input = json!({ "ticket": ticket["id"], "duration": duration });
    for (name, value) in more.as_object().expect("an object") {
        input[name] = value.clone();
    }
    input
}

const SUMS: &str = "version timeSpent cost { total { amount currency } billable { amount } entriesWithoutRate } \
    timeEntries { totalCount nodes { duration billable amount { amount } costed user { name } } }";

async fn see(client: &Client, ticket: &Value, fields: &str) -> Value {
    let query = format!("query($id: ID!) {{ ticket(by: {{ id: $id }}) {{ {fields} }} }}");
    client.ask(&query, json!({ "id": ticket["id"] })).await["ticket"].take()
}

fn cost(total: &str, billable: &str, without: i64) -> Value {
    json!({ "total": { "amount": total, "currency": "EUR" }, "billable": { "amount": billable }, "entriesWithoutRate": without })
}

/// An incident of the team `network`, opened by the requester.
async fn of_network(installation: &Installation, company: &Company) -> Value {
    let requester = installation.client(&company.requester.token);
    let ticket = incident(&requester, "VPN drops").await;
    assign(&installation.client(&company.lead.token), &ticket, "network", None).await;
    ticket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_written_down_and_costs_what_its_rate_said() {
    each_engine(async |installation, company| {
        let (admin, lead) = (installation.client(&company.admin.token), installation.client(&company.lead.token));
        let agent = installation.client(&company.agent.token);
        let ticket = of_network(installation, &company).await;
        let version = see(&agent, &ticket, "version").await["version"].clone();

        // Without any rate there is no amount, and the entry says so.
        let bare = spend(&agent, &ticket, "PT30M", json!({ "note": " Looked at it. " })).await;
        let entry = &bare["timeEntry"];
        assert_eq!(
            (&entry["duration"], &entry["note"], &entry["billable"]),
            (&json!("PT30M"), &json!("Looked at it."), &json!(true))
        );
        assert_eq!(
            (&entry["startedAt"], &entry["workedOn"]),
            (&json!("2026-01-05T08:30:00.000000Z"), &json!("2026-01-05"))
        );
        assert_eq!((&entry["costed"], &entry["amount"]), (&Value::Null, &Value::Null), "an agent reads no costs");
        assert_eq!(
            (&bare["ticket"]["timeSpent"], &bare["ticket"]["version"]),
            (&json!("PT30M"), &version),
            "the version stays"
        );
        assert_eq!(bare["events"], json!([{ "__typename": "TimeEntryAdded" }]));
        let seen = see(&lead, &ticket, SUMS).await;
        assert_eq!(seen["cost"], json!({ "total": null, "billable": null, "entriesWithoutRate": 1 }));
        assert_eq!(seen["timeEntries"]["nodes"][0]["costed"], false);

        // The most specific rate that has begun holds.
        rate(&admin, "everybody", "60", json!({})).await;
        rate(&admin, "network", "80.50", json!({ "team": { "slug": "network" } })).await;
        rate(&admin, "agent", "100", json!({ "user": { "email": company.agent.email } })).await;
        rate(
            &admin,
            "agent-raise",
            "120",
            json!({ "user": { "email": company.agent.email }, "validFrom": "2026-02-01" }),
        )
        .await;
        spend(&agent, &ticket, "PT20M", json!({})).await;
        let seen = see(&lead, &ticket, SUMS).await;
        assert_eq!(seen["timeEntries"]["nodes"][1]["amount"]["amount"], "33.3333", "100 for a third of an hour");
        let of_lead = spend(&lead, &ticket, "PT1H30M", json!({ "billable": false })).await;
        assert_eq!(of_lead["timeEntry"]["amount"], json!({ "amount": "120.75", "currency": "EUR" }), "the team's rate");
        assert_eq!(
            (&of_lead["timeEntry"]["rate"], &of_lead["timeEntry"]["hourly"]["amount"]),
            (&Value::Null, &json!("80.50")),
            "who reads costs reads no rates"
        );
        assert_eq!(of_lead["timeEntry"]["team"], json!({ "slug": "network" }));
        assert_eq!(of_lead["ticket"]["cost"], cost("154.0833", "33.3333", 1));
        // On another team's ticket the rate of everybody holds.
        let elsewhere = incident(&admin, "Elsewhere").await;
        let input = json!({ "user": { "email": company.lead.email } });
        let entry = spend(&admin, &elsewhere, "PT1H", input).await["timeEntry"].take();
        assert_eq!((&entry["rate"]["key"], &entry["amount"]["amount"]), (&json!("everybody"), &json!("60.00")));
        assert_eq!(
            (&entry["user"]["name"], &entry["recordedBy"]["name"], &entry["team"]),
            (&json!("Lead"), &json!("Admin"), &Value::Null)
        );

        // A raise holds from its day on, and for days from then on alone; old entries keep theirs.
        installation.clock.advance(Duration::days(40));
        let raised = spend(&agent, &ticket, "PT1H", json!({})).await;
        let late = spend(&agent, &ticket, "PT1H", json!({ "startedAt": "2026-01-31T23:30:00Z" })).await;
        let amount = async |payload: &Value| {
            let query =
                "query($id: ID!) { node(id: $id) { ... on TimeEntry { amount { amount } rate { key } workedOn } } }";
            admin.ask(query, json!({ "id": payload["timeEntry"]["id"] })).await["node"].take()
        };
        assert_eq!(
            amount(&raised).await,
            json!({ "amount": { "amount": "120.00" }, "rate": { "key": "agent-raise" }, "workedOn": "2026-02-14" })
        );
        assert_eq!(
            amount(&late).await,
            json!({ "amount": { "amount": "100.00" }, "rate": { "key": "agent" }, "workedOn": "2026-01-31" })
        );
        let seen = see(&lead, &ticket, SUMS).await;
        assert_eq!((&seen["timeSpent"], &seen["cost"]), (&json!("PT4H20M"), &cost("374.0833", "253.3333", 1)));
        assert_eq!(seen["version"], version);
        assert_eq!(seen["timeEntries"]["totalCount"], 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_corrected_and_the_history_tells() {
    each_engine(async |installation, company| {
        let (admin, lead) = (installation.client(&company.admin.token), installation.client(&company.lead.token));
        let (agent, walt) = (installation.client(&company.agent.token), installation.client(&company.walt.token));
        let ticket = of_network(installation, &company).await;
        let bare = spend(&agent, &ticket, "PT1H", json!({ "note": "Hm." })).await["timeEntry"].take();
        rate(&admin, "everybody", "60", json!({})).await;
        let kept = rate(&admin, "agent", "100", json!({ "user": { "email": company.agent.email } })).await;
        let priced = spend(&agent, &ticket, "PT1H", json!({ "startedAt": "2026-01-04T10:00:00Z" })).await["timeEntry"].take();

        // The rate stays with the entry, though it is retired and another one holds.
        let retired = json!({ "rate": { "key": "agent" }, "retired": true, "expectedVersion": kept["version"] });
        admin.done("labourRateUpdate", retired, "rate { retired }").await;
        let shorter = json!({ "id": priced["id"], "duration": "PT30M", "billable": false, "expectedVersion": 1 });
        let done = lead.done("timeEntryUpdate", shorter, ENTRY).await;
        assert_eq!((&done["timeEntry"]["amount"]["amount"], &done["timeEntry"]["version"]), (&json!("50.00"), &json!(2)));
        assert_eq!(done["events"], json!([{ "__typename": "TimeEntryUpdated" }]));
        // One that had none takes the one that holds now.
        let found = lead.done("timeEntryUpdate", json!({ "id": bare["id"], "note": null }), ENTRY).await;
        assert_eq!((&found["timeEntry"]["note"], &found["timeEntry"]["amount"]["amount"]), (&Value::Null, &json!("60.00")));
        assert_eq!(found["ticket"]["cost"], cost("110.00", "60.00", 0));
        // On another day, the rate of that day holds.
        let moved = json!({ "id": priced["id"], "startedAt": "2026-01-03T10:00:00Z" });
        let moved = lead.done("timeEntryUpdate", moved, ENTRY).await;
        assert_eq!((&moved["timeEntry"]["amount"]["amount"], &moved["timeEntry"]["workedOn"]), (&json!("30.00"), &json!("2026-01-03")));
        // What says so already is no correction.
        let same = lead.done("timeEntryUpdate", json!({ "id": priced["id"], "duration": "PT30M" }), ENTRY).await;
        assert_eq!((&same["events"], &same["timeEntry"]["version"]), (&json!([]), &json!(3)));

        let stale = lead.user_error("timeEntryUpdate", json!({ "id": priced["id"], "duration": "PT2H", "expectedVersion": 1 })).await;
        assert_eq!((&stale["code"], &stale["currentVersion"]), (&json!("CONFLICT"), &json!(3)));
        let stale = lead.user_error("timeEntryRemove", json!({ "id": priced["id"], "expectedVersion": 1 })).await;
        assert_eq!(stale["code"], "CONFLICT");
        // Others' entries need `time.manage`; what one does not see is not there.
        installation.client(&company.admin.token).done("teamMemberAdd",
            json!({ "team": { "slug": "network" }, "user": { "email": company.walt.email } }), "team { id }").await;
        let refused = walt.user_error("timeEntryUpdate", json!({ "id": priced["id"], "duration": "PT2H" })).await;
        assert_eq!((&refused["code"], &refused["permission"]), (&json!("FORBIDDEN"), &json!("time.manage")));
        let refused = walt.user_error("timeEntryAdd", spending(&ticket, "PT1H", json!({ "user": { "email": company.agent.email } }))).await;
        assert_eq!(refused["permission"], "time.manage");
        let requester = installation.client(&company.requester.token);
        let refused = requester.user_error("timeEntryRemove", json!({ "id": priced["id"] })).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("NOT_FOUND"), &json!(["id"])));

        let gone = json!({ "id": priced["id"], "idempotencyKey": "gone" });
        let echo = "ticket { id timeSpent cost { total { amount } } } events { id __typename }";
        let removed = lead.done("timeEntryRemove", gone.clone(), echo).await;
        assert_eq!((&removed["ticket"]["timeSpent"], &removed["ticket"]["cost"]["total"]["amount"]), (&json!("PT1H"), &json!("60.00")));
        assert_eq!(lead.done("timeEntryRemove", gone, echo).await, removed, "the same call again");
        assert_eq!(lead.user_error("timeEntryRemove", json!({ "id": priced["id"] })).await["code"], "NOT_FOUND");

        installation.log_end(&lead).await;
        let history = "history(last: 20) { nodes { __typename changes { field } ... on TimeEntryAdded { user { name } after { duration amount { amount } } timeEntry { id } } \
            ... on TimeEntryUpdated { before { duration billable amount { amount } } after { duration billable amount { amount } startedAt } } \
            ... on TimeEntryRemoved { user { name } before { duration billable amount { amount currency } } } } }";
        let told = async |client: &Client| -> Vec<Value> {
            let nodes = see(client, &ticket, history).await["history"]["nodes"].take();
            let nodes = nodes.as_array().cloned().unwrap_or_default();
            nodes.into_iter().filter(|node| node["__typename"].as_str().unwrap_or_default().starts_with("TimeEntry")).collect()
        };
        let seen = told(&lead).await;
        let kinds: Vec<_> = seen.iter().map(|node| node["__typename"].as_str().unwrap_or_default()).collect();
        assert_eq!(kinds, ["TimeEntryAdded", "TimeEntryAdded", "TimeEntryUpdated", "TimeEntryUpdated", "TimeEntryUpdated", "TimeEntryRemoved"]);
        assert!(seen.iter().all(|node| node["changes"] == json!([])), "{seen:#?}");
        assert_eq!(seen[1]["after"], json!({ "duration": "PT1H", "amount": { "amount": "100.00" } }));
        assert_eq!(seen[1]["timeEntry"], Value::Null, "it was taken away since");
        assert_eq!(seen[2]["before"], json!({ "duration": "PT1H", "billable": true, "amount": { "amount": "100.00" } }));
        assert_eq!(seen[2]["after"]["amount"]["amount"], "50.00");
        let last = json!({ "duration": "PT30M", "billable": false, "amount": { "amount": "30.00", "currency": "EUR" } });
        assert_eq!((&seen[5]["user"]["name"], &seen[5]["before"]), (&json!("Agent"), &last));
        // An agent is told of time, and of no amount.
        let seen = told(&agent).await;
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[5]["before"], json!({ "duration": "PT30M", "billable": false, "amount": null }));
        assert_eq!(told(&requester).await, Vec::<Value>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_help_never_learns_of_it() {
    each_engine_with(|config| config.limits.bookmark_interval = Milliseconds(400), async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let (requester, walt) = (installation.client(&company.requester.token), installation.client(&company.walt.token));
        rate(&admin, "everybody", "60", json!({})).await;
        let ticket = of_network(installation, &company).await;
        let silent = of_network(installation, &company).await;
        installation.log_end(&agent).await;
        let subscription = "subscription { ticketEvents { event { __typename } cursor } }";
        let mut heard = requester.socket().await;
        heard.subscribe("events", subscription, json!({})).await;
        assert_eq!(heard.next("events").await["ticketEvents"]["event"], Value::Null, "a bookmark");
        let mut told = agent.socket().await;
        told.subscribe("events", subscription, json!({})).await;
        assert_eq!(told.next("events").await["ticketEvents"]["event"], Value::Null);
        let entry = spend(&agent, &ticket, "PT2H", json!({ "note": "Secretly: borealis." })).await["timeEntry"].take();
        crate::company_life::comment(&agent, &ticket, "Hello.", "PUBLIC").await;
        installation.log_end(&agent).await;
        let first = async |socket: &mut tests::socket::Socket| loop {
            let message = socket.next("events").await["ticketEvents"].take();
            if let Some(kind) = message["event"]["__typename"].as_str() {
                break kind.to_owned();
            }
        };
        assert_eq!(first(&mut told).await, "TimeEntryAdded");
        assert_eq!(first(&mut heard).await, "CommentAdded", "the entry is passed over");

        for outsider in [&requester, &walt] {
            let seen = outsider.ask("query($id: ID!) { node(id: $id) { __typename } }", json!({ "id": entry["id"] })).await;
            assert_eq!(seen["node"], Value::Null);
            let events = outsider.ask("{ events(first: 100, filter: { kinds: [TIME_ENTRY_ADDED] }) { totalCount nodes { __typename } } }", json!({})).await;
            assert_eq!(events["events"]["totalCount"], 0);
            let found = outsider.ask("{ search(query: \"borealis\") { totalCount } }", json!({})).await;
            assert_eq!(found["search"]["totalCount"], 0);
            let rates = outsider.ask("{ labourRates { totalCount } labourRate(by: { key: \"everybody\" }) { key } }", json!({})).await;
            assert_eq!((&rates["labourRates"]["totalCount"], &rates["labourRate"]), (&json!(0), &Value::Null));
            let refused = outsider.user_error("labourRateCreate", rate_input("mine", "1", json!({}))).await;
            assert_eq!(refused["permission"], "rate.manage");
        }
        let hidden = see(&requester, &ticket, SUMS).await;
        assert_eq!((&hidden["timeSpent"], &hidden["cost"]), (&Value::Null, &Value::Null));
        assert_eq!(hidden["timeEntries"], json!({ "totalCount": 0, "nodes": [] }));
        assert_eq!(see(&requester, &silent, SUMS).await["timeEntries"], hidden["timeEntries"], "with and without look alike");
        let seen = see(&agent, &ticket, SUMS).await;
        assert_eq!((&seen["timeSpent"], &seen["cost"]), (&json!("PT2H"), &Value::Null), "an agent sees time, and no cost");
        assert_eq!(seen["timeEntries"]["nodes"], json!([{ "duration": "PT2H", "billable": true, "amount": null, "costed": null, "user": { "name": "Agent" } }]));
        let refused = requester.user_error("timeEntryAdd", spending(&ticket, "PT1H", json!({}))).await;
        assert_eq!((&refused["code"], &refused["permission"]), (&json!("FORBIDDEN"), &json!("ticket.internal")));

        // Naming what one's role reads nowhere is an error that says nothing of any ticket.
        let count = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
        let (long, dear) = (json!({ "timeSpent": { "gte": "PT1H" } }), json!({ "cost": { "gt": "100" } }));
        for (client, filter) in [(&requester, &long), (&requester, &dear), (&agent, &dear)] {
            assert_eq!(client.refused(count, json!({ "filter": filter })).await, "VALIDATION");
        }
        for (client, order) in [(&requester, "TIME_SPENT"), (&requester, "COST"), (&agent, "COST")] {
            let query = format!("{{ tickets(orderBy: [{{ field: {order} }}]) {{ totalCount }} }}");
            assert_eq!(client.refused(&query, json!({})).await, "VALIDATION");
        }
        let lead = installation.client(&company.lead.token);
        for (client, filter, found) in [
            (&agent, &long, 1),
            (&lead, &dear, 1),
            (&lead, &json!({ "cost": { "lte": "119.9999" } }), 0),
            (&lead, &json!({ "cost": { "eq": "120" }, "timeSpent": { "eq": "PT120M" } }), 1),
            (&agent, &json!({ "timeSpent": { "lt": "PT1M" } }), 1),
        ] {
            let data = client.ask(count, json!({ "filter": filter })).await;
            assert_eq!(data["tickets"]["totalCount"], found, "{filter}");
        }
        let ordered = lead.ask("{ tickets(orderBy: [{ field: TIME_SPENT, direction: DESC }]) { nodes { id } } \
            dear: tickets(orderBy: [{ field: COST, direction: DESC }]) { nodes { id } } }", json!({})).await;
        assert_eq!((&ordered["tickets"]["nodes"][0]["id"], &ordered["dear"]["nodes"][0]["id"]), (&ticket["id"], &ticket["id"]));
        // Not in subscriptions: no event carries it.
        let mut queue = lead.socket().await;
        queue.subscribe("queue", "subscription($filter: TicketFilter) { queueChanges(filter: $filter) { kind } }", json!({ "filter": long })).await;
        let tests::socket::Frame::Message(message) = queue.frame().await else { panic!("the socket stays open") };
        assert!(message.to_string().contains("VALIDATION"), "{message}");

        // Figures add up what the viewer may read.
        let stats = "{ ticketStats(groupBy: [TEAM]) { groups { count timeSpent cost { total { amount } billable { amount } entriesWithoutRate } } } }";
        let group = async |client: &Client| client.ask(stats, json!({})).await["ticketStats"]["groups"][0].take();
        assert_eq!(group(&lead).await, json!({ "count": 2, "timeSpent": "PT2H",
            "cost": { "total": { "amount": "120.00" }, "billable": { "amount": "120.00" }, "entriesWithoutRate": 0 } }));
        assert_eq!(group(&agent).await, json!({ "count": 2, "timeSpent": "PT2H", "cost": null }));
        assert_eq!(group(&requester).await, json!({ "count": 2, "timeSpent": null, "cost": null }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_have_limits() {
    each_engine(async |installation, company| {
        let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
        let ticket = of_network(installation, &company).await;
        let other = of_network(installation, &company).await;
        for (duration, more, code, path) in [
            ("PT59S", json!({}), "LIMIT", json!(["duration"])),
            ("PT24H1S", json!({}), "LIMIT", json!(["duration"])),
            ("-PT1H", json!({}), "LIMIT", json!(["duration"])),
            ("PT1H", json!({ "startedAt": "2026-01-05T08:00:01Z" }), "VALIDATION", json!(["startedAt"])),
            ("PT1H", json!({ "startedAt": "2027-01-05T08:00:01Z" }), "VALIDATION", json!(["startedAt"])),
            ("PT1H", json!({ "note": "n".repeat(2_001) }), "VALIDATION", json!(["note"])),
            ("PT1H", json!({ "note": "a\u{0}b" }), "VALIDATION", json!(["note"])),
            ("PT1H", json!({ "user": { "email": "nobody@acme.example" } }), "NOT_FOUND", json!(["user", "email"])),
            ("PT1H", json!({ "ticket": "INC-9999" }), "NOT_FOUND", json!(["ticket"])),
            ("PT1H", json!({ "ticket": "nonsense" }), "VALIDATION", json!(["ticket"])),
        ] {
            let refused = agent.user_error("timeEntryAdd", spending(&ticket, duration, more.clone())).await;
            assert_eq!((&refused["code"], &refused["path"]), (&json!(code), &path), "{duration} {more}: {refused}");
        }
        let wrong = agent.user_error("timeEntryUpdate", json!({ "id": "nonsense", "duration": "PT1H" })).await;
        assert_eq!((&wrong["code"], &wrong["path"]), (&json!("VALIDATION"), &json!(["id"])));

        // A day of one user has 24 hours, on whichever tickets; overlapping is fine.
        let on = |start: &str| json!({ "startedAt": format!("2026-01-02T{start}:00Z") });
        spend(&agent, &ticket, "PT24H", json!({ "startedAt": "2026-01-01T00:00:00Z" })).await;
        spend(&agent, &ticket, "PT12H", on("00:00")).await;
        let half = spend(&agent, &other, "PT11H59M", on("06:00")).await["timeEntry"].take();
        let refused = agent.user_error("timeEntryAdd", spending(&ticket, "PT2M", on("23:58"))).await;
        assert_eq!(
            (&refused["code"], &refused["limit"], &refused["path"]),
            (&json!("LIMIT"), &json!(86_400), &json!(["duration"]))
        );
        assert!(refused["message"].as_str().unwrap_or_default().contains("2026-01-02"), "{refused}");
        let refused = agent.user_error("timeEntryUpdate", json!({ "id": half["id"], "duration": "PT12H1M" })).await;
        assert_eq!(refused["code"], "LIMIT");
        spend(&agent, &ticket, "PT1M", on("23:58")).await;
        spend(&lead, &ticket, "PT8H", on("08:00")).await;
        assert_eq!(see(&lead, &ticket, "timeSpent").await["timeSpent"], "PT44H1M");
        // What was refused left nothing behind.
        assert_eq!(see(&lead, &ticket, "timeEntries { totalCount }").await["timeEntries"]["totalCount"], 4);

        // A dry run does everything and leaves nothing.
        let dry = agent.done("timeEntryAdd", spending(&other, "PT1H", json!({ "dryRun": true })), ENTRY).await;
        assert_eq!((&dry["timeEntry"]["duration"], &dry["ticket"]["timeSpent"]), (&json!("PT1H"), &json!("PT12H59M")));
        assert_eq!(see(&lead, &other, "timeSpent").await["timeSpent"], "PT11H59M");
        let dry =
            agent.done("timeEntryRemove", json!({ "id": half["id"], "dryRun": true }), "ticket { timeSpent }").await;
        assert_eq!(dry["ticket"]["timeSpent"], "PT0S");
        // The same call again is the same entry.
        let input = spending(&other, "PT1H", json!({ "idempotencyKey": "k" }));
        let echo = "timeEntry { id user { name } } ticket { id timeSpent } events { id __typename }";
        let first = agent.done("timeEntryAdd", input.clone(), echo).await;
        assert_eq!(agent.done("timeEntryAdd", input, echo).await, first);
        let input = json!({ "id": first["timeEntry"]["id"], "duration": "PT30M", "idempotencyKey": "k" });
        let first = agent.done("timeEntryUpdate", input.clone(), echo).await;
        assert_eq!(agent.done("timeEntryUpdate", input, echo).await, first);
        assert_eq!(see(&lead, &other, "timeSpent").await["timeSpent"], "PT12H29M");
        // A closed ticket takes entries too: one writes down what one did last.
        step(&agent, &other, "cancel", json!({})).await;
        spend(&agent, &other, "PT1M", json!({})).await;
        let can = see(&agent, &other, "viewerCan(action: RECORD_TIME) { allowed }").await;
        assert_eq!(can["viewerCan"]["allowed"], true);
        let requester = installation.client(&company.requester.token);
        let can = see(&requester, &other, "viewerCan(action: RECORD_TIME) { allowed }").await;
        assert_eq!(can["viewerCan"]["allowed"], false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_has_room_for_so_many_entries() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let ticket = of_network(installation, &company).await;
        let access = &installation.platform().access;
        let ctx = access.command_line_ctx(company.tenant, "tests");
        let uuid = |id: &str| kernel::Id::parse(id).expect("an id").uuid;
        let (id, user) = (uuid(ticket["id"].as_str().expect("an id")), uuid(&company.agent.id));
        let at = installation.clock.now() - Duration::days(400);
        let row = |number: usize| {
            let began = at + Duration::hours(i64::try_from(number).expect("small"));
            store::query::Row::new(
                &ticket::time::fields::TIME_ENTRY,
                vec![
                    ("id", ctx.new_id().into()),
                    ("ticket", id.into()),
                    ("user", user.into()),
                    ("recordedBy", user.into()),
                    ("startedAt", began.into()),
                    ("workedOn", ticket::time::rules::day_of(began).into()),
                    ("duration", predicate::Value::Int(60)),
                    ("billable", true.into()),
                    ("costed", false.into()),
                    ("version", 1.into()),
                    ("createdAt", at.into()),
                    ("updatedAt", at.into()),
                ],
            )
        };
        let rows: Vec<_> = (0..ticket::time::MAX_ENTRIES - 1).map(row).collect();
        let tenant = company.tenant;
        let written = installation.store().write(&ctx, "test", move |tx| {
            let rows = rows.clone();
            Box::pin(
                async move { store::query::insert_all_in(tx, tenant, &ticket::time::fields::TIME_ENTRY, &rows).await },
            )
        });
        written.await.expect("the entries can be written");
        let last = spend(&agent, &ticket, "PT1M", json!({})).await;
        assert_eq!(last["ticket"]["timeSpent"], "PT16H40M", "a thousand minutes");
        let refused = agent.user_error("timeEntryAdd", spending(&ticket, "PT1M", json!({}))).await;
        assert_eq!(
            (&refused["code"], &refused["limit"], &refused["path"]),
            (&json!("LIMIT"), &json!(1_000), &json!(["ticket"]))
        );
        let first = see(
            &agent,
            &ticket,
            "timeEntries(last: 100) { totalCount pageInfo { hasPreviousPage } nodes { duration } }",
        )
        .await;
        assert_eq!(
            (&first["timeEntries"]["totalCount"], &first["timeEntries"]["pageInfo"]["hasPreviousPage"]),
            (&json!(1_000), &json!(true))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_kept_and_in_one_currency() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let auditor = installation.client(&company.auditor.token);
        for (more, code, path) in [
            (json!({ "hourly": { "amount": "1000000.0001", "currency": "EUR" } }), "LIMIT", json!(["hourly", "amount"])),
            (json!({ "hourly": { "amount": "-1", "currency": "EUR" } }), "LIMIT", json!(["hourly", "amount"])),
            (json!({ "hourly": { "amount": "1", "currency": "EURO" } }), "VALIDATION", json!(["hourly", "currency"])),
            (json!({ "key": "No" }), "VALIDATION", json!(["key"])),
            (json!({ "name": " " }), "VALIDATION", json!(["name"])),
            (json!({ "team": { "slug": "none" } }), "NOT_FOUND", json!(["team", "slug"])),
            (json!({ "team": { "slug": "network" }, "user": { "email": company.agent.email } }), "VALIDATION", json!(["user"])),
        ] {
            let refused = admin.user_error("labourRateCreate", rate_input("wrong", "1", more.clone())).await;
            assert_eq!((&refused["code"], &refused["path"]), (&json!(code), &path), "{more}: {refused}");
        }
        // A number that is no text could have lost digits on its way.
        let create = "mutation($input: LabourRateCreateInput!) { labourRateCreate(input: $input) { rate { id } } }";
        for amount in [json!(60), json!(60.5), json!("60.00001"), json!("1e3")] {
            let input = json!({ "key": "k", "name": "n", "hourly": { "amount": amount, "currency": "EUR" } });
            assert_eq!(admin.refused(create, json!({ "input": input })).await, "GRAPHQL_VALIDATION_FAILED", "{amount}");
        }

        let input = rate_input("everybody", "60", json!({ "idempotencyKey": "k" }));
        let echo = "rate { id key version hourly { amount currency } validFrom team { slug } user { name } retired } events { id __typename }";
        let dry = admin.done("labourRateCreate", rate_input("everybody", "60", json!({ "dryRun": true })), echo).await;
        assert_eq!(dry["rate"]["hourly"], json!({ "amount": "60.00", "currency": "EUR" }));
        let first = admin.done("labourRateCreate", input.clone(), echo).await;
        assert_eq!(admin.done("labourRateCreate", input, echo).await, first);
        assert_eq!(first["events"][0]["__typename"], "LabourRateCreated");
        let taken = admin.user_error("labourRateCreate", rate_input("everybody", "60", json!({ "validFrom": "2026-03-01" }))).await;
        assert_eq!((&taken["code"], &taken["path"]), (&json!("CONFLICT"), &json!(["key"])));
        let taken = admin.user_error("labourRateCreate", rate_input("again", "61", json!({}))).await;
        assert_eq!((&taken["code"], &taken["path"]), (&json!("CONFLICT"), &json!(["validFrom"])));
        rate(&admin, "network", "61", json!({ "team": { "slug": "network" } })).await;

        // While it is used by nothing, all of it can change, but for whom it is.
        let dollars = json!({ "amount": "60", "currency": "USD" });
        let refused = admin.user_error("labourRateCreate", rate_input("dollars", "1", json!({ "hourly": dollars, "validFrom": "2026-05-01" }))).await;
        assert_eq!((&refused["code"], &refused["path"], &refused["constraint"]), (&json!("VALIDATION"), &json!(["hourly", "currency"]), &json!("oneCurrency")));
        assert!(refused["message"].as_str().unwrap_or_default().contains("EUR"), "{refused}");
        admin.done("labourRateUpdate", json!({ "rate": { "key": "network" }, "retired": true }), "rate { id }").await;
        let changed = json!({ "rate": { "key": "everybody" }, "hourly": dollars, "validFrom": "2026-01-02", "name": "All", "description": "Hm.", "expectedVersion": 1 });
        let changed = admin.done("labourRateUpdate", changed, "rate { name version validFrom hourly { currency } }").await;
        assert_eq!(changed["rate"], json!({ "name": "All", "version": 2, "validFrom": "2026-01-02", "hourly": { "currency": "USD" } }));
        let refused = admin.user_error("labourRateUpdate", json!({ "rate": { "key": "network" }, "retired": false })).await;
        assert_eq!(refused["path"], json!(["hourly", "currency"]), "the retired one is in euro");
        let stale = admin.user_error("labourRateUpdate", json!({ "rate": { "key": "everybody" }, "name": "x", "expectedVersion": 1 })).await;
        assert_eq!(stale["code"], "CONFLICT");
        let missing = admin.user_error("labourRateUpdate", json!({ "rate": { "key": "none" }, "name": "x" })).await;
        assert_eq!((&missing["code"], &missing["path"]), (&json!("NOT_FOUND"), &json!(["rate", "key"])));

        // Once an entry has it, its terms stay, and so does the currency, though every rate is retired.
        let ticket = of_network(installation, &company).await;
        spend(&agent, &ticket, "PT1H", json!({})).await;
        for (field, value) in [("hourly", json!({ "amount": "61", "currency": "USD" })), ("validFrom", json!("2026-01-01"))] {
            let mut input = json!({ "rate": { "key": "everybody" } });
            input[field] = value;
            let refused = admin.user_error("labourRateUpdate", input).await;
            assert_eq!((&refused["constraint"], &refused["path"]), (&json!("inUse"), &json!([field])));
        }
        admin.done("labourRateUpdate", json!({ "rate": { "key": "everybody" }, "name": "Old", "retired": true }), "rate { id }").await;
        let refused = admin.user_error("labourRateCreate", rate_input("euro", "1", json!({}))).await;
        assert_eq!(refused["constraint"], "oneCurrency");
        let lead = installation.client(&company.lead.token);
        assert_eq!(see(&lead, &ticket, "cost { total { amount currency } }").await["cost"]["total"], json!({ "amount": "60.00", "currency": "USD" }));
        let bare = spend(&agent, &ticket, "PT1H", json!({})).await;
        assert_eq!(bare["ticket"]["timeSpent"], "PT2H");
        assert_eq!(see(&lead, &ticket, "cost { entriesWithoutRate }").await["cost"]["entriesWithoutRate"], 1, "a retired rate is given to none");

        let list = "query($filter: LabourRateFilter) { labourRates(filter: $filter, orderBy: [{ field: HOURLY, direction: DESC }]) { totalCount nodes { key } } }";
        let listed = auditor.ask(list, json!({})).await;
        assert_eq!(listed["labourRates"], json!({ "totalCount": 2, "nodes": [{ "key": "network" }, { "key": "everybody" }] }));
        let listed = auditor.ask(list, json!({ "filter": { "team": { "eq": company.network }, "retired": { "eq": true } } })).await;
        assert_eq!(listed["labourRates"]["nodes"], json!([{ "key": "network" }]));
        let node = auditor.ask("query($id: ID!) { node(id: $id) { ... on LabourRate { key team { slug } } } labourRate(by: { id: $id }) { key } }", json!({ "id": first["rate"]["id"] })).await;
        assert_eq!(node, json!({ "node": { "key": "everybody", "team": null }, "labourRate": { "key": "everybody" } }));
        let refused = auditor.user_error("labourRateUpdate", json!({ "rate": { "key": "network" }, "name": "x" })).await;
        assert_eq!(refused["permission"], "rate.manage");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_costs_what_its_incidents_cost_too() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let (lead, walt) = (installation.client(&company.lead.token), installation.client(&company.walt.token));
        let found = problem(&agent, json!({})).await;
        let empty = problem(&agent, json!({})).await;
        let mut named = Vec::new();
        for team in ["network", "network", "workplace"] {
            let input = json!({ "title": "It drops", "team": { "slug": team } });
            named.push(incident_with(&admin, input).await);
        }
        spend(&agent, &named[0], "PT1H", json!({})).await;
        rate(&admin, "everybody", "90", json!({})).await;
        spend(&agent, &found, "PT10M", json!({})).await;
        spend(&agent, &named[0], "PT20M", json!({})).await;
        spend(&agent, &named[1], "PT7M", json!({ "billable": false })).await;
        spend(&walt, &named[2], "PT1H", json!({})).await;
        let all = json!({ "problem": found["id"], "incidents": { "ids": named.iter().map(|ticket| &ticket["id"]).collect::<Vec<_>>() } });
        admin.done("problemLinkIncidents", all, "problem { id }").await;
        // One that is not linked, and one that is linked in another way, are none of its cost.
        let other = of_network(installation, &company).await;
        spend(&agent, &other, "PT5H", json!({})).await;
        admin.done("ticketLink", json!({ "id": found["id"], "type": "RELATES_TO", "target": other["id"] }), "ticket { id }").await;

        let fields = "timeSpent incidentTimeSpent cost { total { amount currency } billable { amount } entriesWithoutRate } \
            incidentCost { total { amount currency } billable { amount } entriesWithoutRate } totalCost { total { amount currency } billable { amount } entriesWithoutRate }";
        let see_problem = async |client: &Client, problem: &Value| {
            let query = format!("query($id: ID!) {{ problem(by: {{ id: $id }}) {{ {fields} }} }}");
            client.ask(&query, json!({ "id": problem["id"] })).await["problem"].take()
        };
        // 90 an hour: 10 minutes are 15; 20 minutes 30, 7 minutes 10.50, an hour 90.
        let seen = see_problem(&admin, &found).await;
        assert_eq!((&seen["timeSpent"], &seen["incidentTimeSpent"]), (&json!("PT10M"), &json!("PT2H27M")));
        assert_eq!(seen["cost"], cost("15.00", "15.00", 0));
        assert_eq!(seen["incidentCost"], cost("130.50", "120.00", 1));
        assert_eq!(seen["totalCost"], cost("145.50", "135.00", 1));
        // The lead reads all tickets, and the costs of the team's own; an agent reads the time of the team's.
        let seen = see_problem(&lead, &found).await;
        assert_eq!((&seen["incidentTimeSpent"], &seen["totalCost"]), (&json!("PT2H27M"), &cost("55.50", "45.00", 1)));
        let seen = see_problem(&agent, &found).await;
        assert_eq!((&seen["incidentTimeSpent"], &seen["incidentCost"], &seen["totalCost"]), (&json!("PT1H27M"), &Value::Null, &Value::Null));
        let seen = see_problem(&admin, &empty).await;
        assert_eq!((&seen["incidentTimeSpent"], &seen["totalCost"]), (&json!("PT0S"), &json!({ "total": null, "billable": null, "entriesWithoutRate": 0 })));

        // As many statements for many problems with many incidents as for one.
        let query = format!("{{ problems {{ nodes {{ id {fields} timeEntries {{ nodes {{ id user {{ name }} amount {{ amount }} }} }} }} }} }}");
        let mut counts = Vec::new();
        for more in [0, 15] {
            let mut linked = Vec::new();
            for _ in 0..more {
                let ticket = incident_with(&admin, json!({ "title": "It drops", "team": { "slug": "network" } })).await;
                spend(&admin, &ticket, "PT1M", json!({})).await;
                linked.push(ticket);
            }
            for tickets in linked.chunks(5) {
                let another = problem(&admin, json!({})).await;
                spend(&admin, &another, "PT1M", json!({})).await;
                let named: Vec<_> = tickets.iter().map(|ticket| &ticket["id"]).collect();
                admin.done("problemLinkIncidents", json!({ "problem": another["id"], "incidents": { "ids": named } }), "problem { id }").await;
            }
            admin.ask(&query, json!({})).await;
            let before = installation.store().statement_count();
            let data = admin.ask(&query, json!({})).await;
            assert_eq!(data["problems"]["nodes"].as_array().map(Vec::len), Some(2 + more / 5));
            counts.push(installation.store().statement_count() - before);
        }
        assert_eq!(counts[0], counts[1], "the number of problems and incidents makes no difference");
        assert_eq!(counts[0], 4, "the problems, their entries, what their incidents cost, and the currency");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_lose_nothing() {
    each_engine(async |installation, company| {
        let (admin, lead) = (installation.client(&company.admin.token), installation.client(&company.lead.token));
        let agent = installation.client(&company.agent.token);
        rate(&admin, "everybody", "60", json!({})).await;
        let (one, other) = (of_network(installation, &company).await, of_network(installation, &company).await);
        let at = |start: usize| json!({ "startedAt": format!("2026-01-02T{start:02}:00:00Z") });
        let calls = (0..16_usize).map(|number| {
            let (client, ticket) = ([&agent, &lead][number % 2], [&one, &other][number / 2 % 2]);
            let input = spending(ticket, "PT4H", at(number));
            async move { client.call("timeEntryAdd", input, "timeEntry { id }").await }
        });
        let answers = futures_util::future::join_all(calls).await;
        let done = answers.iter().filter(|answer| answer["userErrors"] == json!([])).count();
        assert_eq!(done, 12, "six times four hours for each of the two: {answers:#?}");
        let mut hours = 0;
        for ticket in [&one, &other] {
            let seen = see(&lead, ticket, SUMS).await;
            let entries = seen["timeEntries"]["totalCount"].as_i64().expect("a count");
            assert_eq!(seen["timeSpent"], format!("PT{}H", entries * 4));
            let whole = format!("{}.00", entries * 240);
            assert_eq!(seen["cost"], cost(&whole, &whole, 0));
            hours += entries * 4;
        }
        assert_eq!(hours, 48);
    })
    .await;
}
