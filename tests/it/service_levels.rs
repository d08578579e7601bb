//! Service levels through the API: calendars, policies, clocks, escalations.

use kernel::Uuid;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};

use crate::company_life::{assign, comment, incident_with, resolve, step};

/// Round the clock.
pub(crate) fn always(key: &str) -> Value {
    let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let week: Vec<Value> = days.iter().map(|day| json!({ "day": day, "from": "00:00", "to": "24:00" })).collect();
    json!({ "key": key, "name": "Always", "timeZone": "UTC", "week": week })
}

/// A promise for a resolution: two hours for P1, eight for others; time stands still while the requester is awaited.
fn standard() -> Value {
    json!({
        "key": "standard", "name": "Standard", "calendar": { "key": "always" },
        "metrics": [
            { "metric": "RESOLUTION",
              "targets": [{ "priorities": ["P1"], "target": "PT2H" }, { "target": "PT8H" }],
              "pauses": { "waitingReasons": ["REQUESTER"] },
              "escalations": [
                  { "at": { "percent": 75 }, "actions": [{ "comment": "Two hours are left." }] },
                  { "at": { "after": "PT1H" }, "actions": [{ "raisePriority": true }, { "assign": { "team": { "slug": "workplace" } } }] },
              ] },
            { "metric": "FIRST_RESPONSE", "targets": [{ "target": "PT1H" }] },
        ],
    })
}

async fn promise(installation: &Installation, company: &Company) -> Client {
    let admin = installation.client(&company.admin.token);
    admin.done("calendarCreate", always("always"), "calendar { id key number week { day } isOpen }").await;
    admin.done("slaPolicyCreate", standard(), "slaPolicy { id key metrics { metric targets { target } } }").await;
    admin
}

/// An incident for the requester that the network team has.
async fn open(agent: &Client, company: &Company, title: &str) -> Value {
    let requester = json!({ "email": company.requester.email });
    incident_with(agent, json!({ "title": title, "team": { "slug": "network" }, "requester": requester })).await
}

const CLOCKS: &str = "query($id: ID!) { ticket(by: { id: $id }) { slaDueAt slaState priority team { slug } version slaClocks { \
    metric kind state startedAt dueAt stoppedAt breachedAt target elapsed remaining percent policyVersion policy { key } \
    endedBy calendar { key } segments { from to running cause waitingReason priority target counted } explain fired { key firedAt } } } }";

async fn clocks(client: &Client, ticket: &Value) -> Value {
    client.ask(CLOCKS, json!({ "id": ticket["id"] })).await["ticket"].take()
}

fn clock<'a>(ticket: &'a Value, metric: &str) -> &'a Value {
    let clocks = ticket["slaClocks"].as_array().expect("clocks");
    clocks.iter().find(|clock| clock["metric"] == metric).unwrap_or_else(|| panic!("no {metric} in {ticket:#}"))
}

async fn refusals(client: &Client, mutation: &str, input: Value) -> Vec<Value> {
    let answer = client.call(mutation, input, "__typename").await;
    answer["userErrors"].as_array().unwrap_or_else(|| panic!("no refusal: {answer}")).clone()
}

fn paths(errors: &[Value]) -> Vec<String> {
    let path = |error: &Value| {
        let parts = error["path"].as_array().expect("a path").iter();
        parts.map(|part| part.as_str().expect("a text")).collect::<Vec<_>>().join(".")
    };
    errors.iter().map(path).collect()
}

fn in_hours(installation: &Installation, hours: i64) -> Value {
    in_minutes(installation, hours * 60)
}

fn in_minutes(installation: &Installation, minutes: i64) -> Value {
    let at = installation.clock.now() + chrono::Duration::minutes(minutes);
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_follow_a_ticket_through_its_life() {
    each_engine(async |installation, company| {
        let before = open(&installation.client(&company.agent.token), &company, "Before").await;
        promise(installation, &company).await;
        let (agent, requester) =
            (installation.client(&company.agent.token), installation.client(&company.requester.token));
        let ticket = open(&agent, &company, "VPN drops").await;
        let shown = clocks(&requester, &ticket).await;
        assert_eq!(shown["slaState"], "RUNNING", "{shown:#}");
        assert_eq!(shown["slaDueAt"], in_hours(installation, 1), "the first response is due next");
        assert_eq!(clock(&shown, "RESOLUTION")["dueAt"], in_hours(installation, 8));
        assert_eq!(clocks(&agent, &before).await["slaClocks"], json!([]), "a policy is for tickets that come later");

        installation.clock.advance(chrono::Duration::minutes(30));
        comment(&agent, &ticket, "On it.", "PUBLIC").await;
        let shown = clocks(&agent, &ticket).await;
        let first = clock(&shown, "FIRST_RESPONSE");
        assert_eq!(
            (&first["state"], &first["endedBy"], &first["elapsed"]),
            (&json!("MET"), &json!("ANSWERED"), &json!("PT30M"))
        );
        assert_eq!(shown["version"], ticket["version"], "clocks and comments leave the version alone");

        step(&agent, &ticket, "hold", json!({ "waitingReason": "REQUESTER" })).await;
        installation.clock.advance(chrono::Duration::hours(30));
        let shown = clocks(&agent, &ticket).await;
        let resolution = clock(&shown, "RESOLUTION");
        assert_eq!((&resolution["state"], &resolution["dueAt"]), (&json!("PAUSED"), &Value::Null));
        assert_eq!((&resolution["remaining"], &resolution["percent"]), (&json!("PT7H30M"), &json!(6.25)));
        assert_eq!((&shown["slaState"], &shown["slaDueAt"]), (&json!("PAUSED"), &Value::Null));

        comment(&requester, &ticket, "Here is the log.", "PUBLIC").await;
        assert_eq!(
            clocks(&agent, &ticket).await["slaDueAt"],
            in_minutes(installation, 450),
            "seven hours and a half are left"
        );
        let urgent = json!({ "id": ticket["id"], "impact": "HIGH", "urgency": "HIGH" });
        agent.done("incidentUpdate", urgent, "incident { priority slaDueAt }").await;
        installation.clock.advance(chrono::Duration::hours(1));
        resolve(&agent, &ticket).await;
        let shown = clocks(&agent, &ticket).await;
        let resolution = clock(&shown, "RESOLUTION");
        assert_eq!(
            (&resolution["state"], &resolution["target"], &resolution["elapsed"]),
            (&json!("MET"), &json!("PT2H"), &json!("PT1H30M"))
        );
        let causes: Vec<&str> = resolution["segments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|segment| segment["cause"].as_str().unwrap())
            .collect();
        assert_eq!(causes, ["OPENED", "PAUSED", "RESUMED", "RETARGETED"]);
        assert_eq!(shown["slaState"], "MET");
        let lines = resolution["explain"].as_array().unwrap();
        assert!(lines[1].as_str().unwrap().contains("waits for REQUESTER"), "{lines:#?}");
        assert!(lines[3].as_str().unwrap().contains("the priority went from"), "{lines:#?}");
        assert!(lines[4].as_str().unwrap().ends_with("PT1H30M of PT2H had gone by: MET"), "{lines:#?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_write_answers_and_tells_has_the_new_due_time() {
    each_engine(async |installation, company| {
        promise(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let requester = json!({ "email": company.requester.email });
        let input = json!({ "title": "Dry", "team": { "slug": "network" }, "requester": requester, "dryRun": true });
        let fields = "incident { slaDueAt slaState slaClocks { metric state dueAt } } events { __typename changes { field before after } }";
        let done = agent.done("incidentCreate", input, fields).await;
        assert_eq!(done["incident"]["slaDueAt"], in_hours(installation, 1), "{done:#}");
        let metrics: Vec<&Value> = done["incident"]["slaClocks"].as_array().unwrap().iter().map(|clock| &clock["metric"]).collect();
        assert_eq!(metrics.len(), 2, "a dry run shows the clocks that there would be: {done:#}");
        let told = done["events"][0]["changes"].as_array().unwrap();
        let due = told.iter().find(|change| change["field"] == "slaDueAt").unwrap_or_else(|| panic!("{told:#?}"));
        assert_eq!(due["after"], in_hours(installation, 1));
        assert!(told.iter().all(|change| change["field"] != "slaBasis"), "how it is kept is nobody's business");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_filter_and_order_by_due_time_and_state() {
    each_engine(async |installation, company| {
        promise(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let first = open(&agent, &company, "First").await;
        comment(&agent, &first, "Hello.", "PUBLIC").await;
        installation.clock.advance(chrono::Duration::hours(1));
        let second = open(&agent, &company, "Second").await;
        let third = open(&agent, &company, "Third").await;
        step(&agent, &third, "hold", json!({ "waitingReason": "REQUESTER" })).await;
        comment(&agent, &third, "Please tell more.", "PUBLIC").await;
        let list = "query($filter: TicketFilter) { tickets(filter: $filter, orderBy: [{ field: SLA_DUE_AT }]) { nodes { id } } }";
        let find = async |filter: Value| {
            let data = agent.ask(list, json!({ "filter": filter })).await;
            let nodes = data["tickets"]["nodes"].as_array().unwrap().clone();
            nodes.into_iter().map(|node| node["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(find(json!({})).await, [second["id"].clone(), first["id"].clone(), third["id"].clone()]);
        assert_eq!(find(json!({ "slaState": { "eq": "PAUSED" } })).await, [third["id"].clone()]);
        assert_eq!(find(json!({ "slaDueAt": { "lt": "PT2H" } })).await, [second["id"].clone()]);
        assert_eq!(find(json!({ "firstRespondedAt": { "isNull": true } })).await, [second["id"].clone()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escalations_fire_once_in_the_clocks_own_time() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            promise(installation, &company).await;
            let agent = installation.client(&company.agent.token);
            let lead = installation.client(&company.lead.token);
            let ticket = open(&agent, &company, "Slow").await;
            comment(&agent, &ticket, "On it.", "PUBLIC").await;
            let stream = "subscription($after: Cursor) { ticketEvents(kinds: [SLA_ESCALATED, SLA_BREACHED], after: $after) { \
                bookmark event { __typename ... on SlaEscalated { at late metric policy { key } } ... on SlaBreached { late dueAt } } } }";
            let mut socket = lead.socket().await;
            socket.subscribe("sla", stream, json!({ "after": installation.log_end(&lead).await })).await;
            let mut next = async || loop {
                let message = socket.next("sla").await["ticketEvents"].take();
                if message["bookmark"] != true {
                    return message["event"].clone();
                }
            };

            installation.clock.advance(chrono::Duration::minutes(6 * 60 - 1));
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            assert_eq!(clock(&clocks(&agent, &ticket).await, "RESOLUTION")["fired"], json!([]), "not early");
            installation.clock.advance(chrono::Duration::minutes(1));
            let told = next().await;
            assert_eq!(told, json!({ "__typename": "SlaEscalated", "at": "75%", "late": false, "metric": "RESOLUTION", "policy": { "key": "standard" } }));

            // While nobody was there, the due time passed, and an hour more.
            installation.stop().await;
            installation.clock.advance(chrono::Duration::hours(4));
            installation.restart().await;
            let lead = installation.client(&company.lead.token);
            let arrives = async {
                while clock(&clocks(&lead, &ticket).await, "RESOLUTION")["fired"].as_array().unwrap().len() < 3 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tests::soon("three escalations", arrives).await;
            let shown = clocks(&lead, &ticket).await;
            assert_eq!((&shown["slaState"], &shown["team"]["slug"]), (&json!("BREACHED"), &json!("workplace")), "{shown:#}");
            assert_eq!(shown["priority"], "P2", "from P3 by one step");
            installation.log_end(&lead).await;
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 20) { nodes { __typename \
                ... on SlaEscalated { at late } ... on SlaBreached { late } } } } }";
            let nodes = lead.ask(history, json!({ "id": ticket["id"] })).await["ticket"]["history"]["nodes"].take();
            let of_sla: Vec<&Value> = nodes.as_array().unwrap().iter().filter(|node| node["__typename"].as_str().unwrap().starts_with("Sla")).collect();
            assert_eq!(of_sla, [
                &json!({ "__typename": "SlaEscalated", "at": "75%", "late": false }),
                &json!({ "__typename": "SlaBreached", "late": true }),
                &json!({ "__typename": "SlaEscalated", "at": "+PT1H", "late": true }),
            ], "each once");
            let comments = "query($id: ID!) { ticket(by: { id: $id }) { comments(last: 5) { nodes { body visibility } } } }";
            let comments = lead.ask(comments, json!({ "id": ticket["id"] })).await["ticket"]["comments"]["nodes"].take();
            assert_eq!(comments[1], json!({ "body": "Two hours are left.", "visibility": "INTERNAL" }));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operational_levels_and_contracts_are_for_those_who_work_on_the_ticket() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] }]);
        let team = json!({ "key": "network", "name": "Network", "kind": "OLA", "calendar": { "key": "always" }, "metrics": metrics });
        admin.done("slaPolicyCreate", team, "slaPolicy { id }").await;
        let (agent, requester) = (installation.client(&company.agent.token), installation.client(&company.requester.token));
        let ticket = open(&agent, &company, "VPN drops").await;
        assert_eq!(clocks(&agent, &ticket).await["slaClocks"].as_array().unwrap().len(), 3);
        assert_eq!(clocks(&requester, &ticket).await["slaClocks"].as_array().unwrap().len(), 2);
        let policies = "{ slaPolicies { nodes { key } totalCount } }";
        assert_eq!(requester.ask(policies, json!({})).await["slaPolicies"]["totalCount"], 1);
        let lead = installation.client(&company.lead.token);
        installation.clock.advance(chrono::Duration::hours(1));
        assign(&lead, &ticket, "workplace", None).await;
        let shown = clocks(&admin, &ticket).await;
        let of_teams: Vec<&Value> = shown["slaClocks"].as_array().unwrap().iter().filter(|clock| clock["kind"] == "OLA").collect();
        let states: Vec<(&Value, &Value)> = of_teams.iter().map(|clock| (&clock["state"], &clock["endedBy"])).collect();
        assert_eq!(states, [(&json!("MET"), &json!("HANDED_OVER")), (&json!("RUNNING"), &Value::Null)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_holds_for_new_tickets_alone() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let old = open(&agent, &company, "Old").await;
        let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT3H" }] }]);
        let change = json!({ "policy": { "key": "standard" }, "calendar": { "key": "always" }, "metrics": metrics });
        let done = admin.done("slaPolicyUpdate", change, "slaPolicy { number metrics { targets { target } } }").await;
        assert_eq!(done["slaPolicy"], json!({ "number": 2, "metrics": [{ "targets": [{ "target": "PT3H" }] }] }));
        let new = open(&agent, &company, "New").await;
        step(&agent, &old, "start", json!({})).await;
        assert_eq!(clock(&clocks(&agent, &old).await, "RESOLUTION")["policyVersion"], 1);
        let shown = clocks(&agent, &new).await;
        assert_eq!(
            (&clock(&shown, "RESOLUTION")["policyVersion"], &shown["slaDueAt"]),
            (&json!(2), &in_hours(installation, 3))
        );
        admin
            .done(
                "slaPolicyUpdate",
                json!({ "policy": { "key": "standard" }, "retired": true }),
                "slaPolicy { retired }",
            )
            .await;
        let last = open(&agent, &company, "Last").await;
        assert_eq!(clocks(&agent, &last).await["slaClocks"], json!([]));
        assert_eq!(clocks(&agent, &new).await["slaState"], "RUNNING");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_calendars_and_policies_are_refused_with_paths() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let calendar = |patch: Value| {
            let mut input = always("other");
            for (field, value) in patch.as_object().unwrap() {
                input[field] = value.clone();
            }
            input
        };
        let day = |from: &str, to: &str| json!({ "day": "MONDAY", "from": from, "to": to });
        let holiday = |rule: &str| json!([{ "name": "Never", "date": "2026-01-01", "rule": rule }]);
        for (patch, path) in [
            (json!({ "week": [day("08:00", "12:00"), day("11:00", "17:00")] }), "week"),
            (json!({ "week": [day("08:00", "25:00")] }), "week.0.to"),
            (json!({ "timeZone": "Europe/Wien" }), "timeZone"),
            (json!({ "week": [] }), "week"),
            (json!({ "holidays": holiday("FREQ=DAILY") }), "holidays.0.rule"),
            (json!({ "key": "always" }), "key"),
        ] {
            let errors = refusals(&admin, "calendarCreate", calendar(patch.clone())).await;
            let at = paths(&errors);
            assert!(at.iter().any(|at| at.starts_with(path)), "{patch}: {errors:#?}");
        }
        let policy = |patch: Value| {
            let mut input = standard();
            input["key"] = "other".into();
            for (field, value) in patch.as_object().unwrap() {
                input[field] = value.clone();
            }
            input
        };
        let metric = |patch: Value| {
            let mut metric = json!({ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] });
            for (field, value) in patch.as_object().unwrap() {
                metric[field] = value.clone();
            }
            json!({ "metrics": [metric] })
        };
        for (patch, path) in [
            (json!({ "calendar": { "key": "nowhere" } }), "calendar.key"),
            (json!({ "metrics": [] }), "metrics"),
            (metric(json!({ "targets": [] })), "metrics.0.targets"),
            (metric(json!({ "targets": [{ "target": "-PT4H" }] })), "metrics.0.targets.0.target"),
            (metric(json!({ "targets": [{ "target": "PT4H" }, { "priorities": ["P1"], "target": "PT2H" }] })), "metrics.0.targets.1.priorities"),
            (metric(json!({ "escalations": [{ "at": { "percent": 120 } }] })), "metrics.0.escalations.0.at.percent"),
            (metric(json!({ "escalations": [{ "at": { "before": "PT5H" } }] })), "metrics.0.escalations.0.at.before"),
            (metric(json!({ "pauses": { "stateCategories": ["RESOLVED"] } })), "metrics.0.pauses.stateCategories.0"),
            (metric(json!({ "escalations": [{ "at": { "percent": 50 }, "actions": [{ "assign": { "team": { "slug": "nobody" } } }] }] })), "metrics.0.escalations.0.actions.0.assign.team.slug"),
            (json!({ "condition": { "assignee": { "isViewer": true } } }), "condition.assignee"),
            (json!({ "condition": { "createdAt": { "lt": "-P1D" } } }), "condition.createdAt"),
            (json!({ "condition": { "reassignmentCount": { "gt": 3 } } }), "condition.reassignmentCount"),
            (json!({ "kind": "OLA" }), "metrics.1.metric"),
            (json!({ "key": "standard" }), "key"),
        ] {
            let errors = refusals(&admin, "slaPolicyCreate", policy(patch.clone())).await;
            let at = paths(&errors);
            assert!(at.iter().any(|at| at == path), "{patch}: {errors:#?}");
        }
        let agent = installation.client(&company.agent.token);
        let errors = refusals(&agent, "slaPolicyCreate", policy(json!({}))).await;
        assert_eq!(errors[0]["code"], "FORBIDDEN");
    })
    .await;
}

const OPERATION: &str = "subscription($id: ID!) { operation(id: $id) { status done total progress error result { __typename \
    ... on SlaPolicyApplication { dryRun tickets changedTickets changes { metric stateBefore stateAfter dueBefore dueAfter ticket { id } } } \
    ... on SlaSimulation { tickets attainment breachesGained breachesLost figures { metric priority met breached open canceled } \
        gainedTickets { id } lostTickets { id } worst { metric over ticket { id } } } } } }";

/// Follows an operation to its end: its result.
pub(crate) async fn result_of(client: &Client, operation: &Value) -> Value {
    let mut socket = client.socket().await;
    socket.subscribe("operation", OPERATION, json!({ "id": operation["id"] })).await;
    loop {
        let mut shown = socket.next("operation").await["operation"].take();
        if shown["status"] == "SUCCEEDED" {
            assert_eq!((&shown["progress"], &shown["done"]), (&json!(1.0), &shown["total"]), "{shown:#}");
            return shown["result"].take();
        }
        assert_eq!((&shown["error"], &shown["result"]), (&Value::Null, &Value::Null), "{shown:#}");
    }
}

pub(crate) async fn verified(installation: &Installation, company: &Company) -> u64 {
    let platform = installation.platform();
    let ctx = platform.access.system_ctx(company.tenant, "verify");
    let verified = platform.levels.verify(&ctx, |_| ()).await.expect("clocks can be computed");
    assert_eq!(verified.differences, [], "what is stored is what the log says");
    verified.clocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_applied_to_open_tickets_after_a_look_at_what_changes() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let admin = promise(installation, &company).await;
            let agent = installation.client(&company.agent.token);
            let open_one = open(&agent, &company, "Open").await;
            comment(&agent, &open_one, "On it.", "PUBLIC").await;
            let closed = open(&agent, &company, "Closed").await;
            resolve(&agent, &closed).await;
            step(&agent, &closed, "close", json!({})).await;
            installation.clock.advance(chrono::Duration::hours(4));
            let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT3H" }] }]);
            let change =
                json!({ "policy": { "key": "standard" }, "calendar": { "key": "always" }, "metrics": metrics });
            admin.done("slaPolicyUpdate", change, "slaPolicy { number }").await;

            let before = clocks(&agent, &open_one).await;
            let dry = json!({ "policy": { "key": "standard" }, "dryRun": true, "idempotencyKey": "apply" });
            let started = admin.done("slaPolicyApply", dry, "operation { id status }").await;
            let looked = result_of(&admin, &started["operation"]).await;
            let figures = (&looked["dryRun"], &looked["tickets"], &looked["changedTickets"]);
            assert_eq!(figures, (&json!(true), &json!(1), &json!(1)), "{looked:#}");
            let changes = looked["changes"].as_array().unwrap();
            let resolution = changes.iter().find(|change| change["metric"] == "RESOLUTION").unwrap();
            let states = (&resolution["stateBefore"], &resolution["stateAfter"]);
            assert_eq!(states, (&json!("RUNNING"), &json!("BREACHED")), "{looked:#}");
            assert_eq!(resolution["dueAfter"], in_hours(installation, -1));
            assert_eq!(clocks(&agent, &open_one).await, before, "nothing has changed");

            let mut apply = json!({ "policy": { "key": "standard" }, "idempotencyKey": "apply" });
            let started = admin.done("slaPolicyApply", apply.clone(), "operation { id }").await;
            let done = result_of(&admin, &started["operation"]).await;
            assert_eq!((&done["dryRun"], &done["changes"]), (&json!(false), &looked["changes"]), "what was foreseen");
            let after = clocks(&agent, &open_one).await;
            let line = (&after["slaState"], &after["slaDueAt"]);
            assert_eq!(line, (&json!("BREACHED"), &in_hours(installation, -1)), "{after:#}");
            let clocks_after = after["slaClocks"].as_array().unwrap();
            let metrics: Vec<&Value> = clocks_after.iter().map(|clock| &clock["metric"]).collect();
            assert_eq!(metrics, [&json!("RESOLUTION")], "the new version promises no response");
            assert_eq!(clock(&clocks(&agent, &closed).await, "RESOLUTION")["policyVersion"], 1);
            assert!(verified(installation, &company).await >= 3);
            let again = admin.done("slaPolicyApply", apply.clone(), "operation { id }").await;
            assert_eq!(again["operation"]["id"], started["operation"]["id"], "what was tried has kept no key");
            apply["idempotencyKey"] = Value::Null;
            let again = admin.done("slaPolicyApply", apply, "operation { id }").await;
            let second = result_of(&admin, &again["operation"]).await;
            assert_eq!(second["changedTickets"], 0, "applying it twice changes nothing");
            let stranger = installation.client(&company.requester.token);
            let document = "query($id: ID!) { operation(id: $id) { id } }";
            let shown = stranger.ask(document, json!({ "id": again["operation"]["id"] })).await;
            assert_eq!(shown["operation"], Value::Null, "operations are for who started them");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_tried_on_the_past() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let admin = promise(installation, &company).await;
            let agent = installation.client(&company.agent.token);
            let from = in_hours(installation, 0);
            let (quick, slow) = (open(&agent, &company, "Quick").await, open(&agent, &company, "Slow").await);
            // By whoever may wherever they are: escalations may be faster, and bring them to another team.
            installation.clock.advance(chrono::Duration::hours(3));
            resolve(&admin, &quick).await;
            installation.clock.advance(chrono::Duration::hours(6));
            resolve(&admin, &slow).await;
            open(&agent, &company, "Running").await;
            let draft = |target: &str| {
                let metric = json!({ "metric": "RESOLUTION", "targets": [{ "target": target }] });
                json!({ "calendar": { "key": "always" }, "metrics": [metric] })
            };
            let to = in_hours(installation, 1);
            let simulate = |target: &str| json!({ "policy": draft(target), "baseline": { "key": "standard" }, "from": from, "to": to });
            let started = admin.done("slaSimulate", simulate("PT2H"), "operation { id }").await;
            let strict = result_of(&admin, &started["operation"]).await;
            assert_eq!((&strict["tickets"], &strict["attainment"]), (&json!(3), &json!(0.0)), "{strict:#}");
            let figure = json!({ "metric": "RESOLUTION", "priority": "P3", "met": 0, "breached": 2, "open": 1, "canceled": 0 });
            assert_eq!(strict["figures"], json!([figure]));
            let gained = json!([{ "id": quick["id"] }]);
            assert_eq!(strict["gainedTickets"], gained, "the slow one is over time by the present policy too");
            let worst = json!({ "metric": "RESOLUTION", "over": "PT7H", "ticket": { "id": slow["id"] } });
            assert_eq!(strict["worst"][0], worst);
            let started = admin.done("slaSimulate", simulate("PT12H"), "operation { id }").await;
            let generous = result_of(&admin, &started["operation"]).await;
            assert_eq!((&generous["attainment"], &generous["breachesGained"]), (&json!(1.0), &json!(0)));
            // The responses that the present policy promises were late as well, and the draft promises none.
            assert_eq!(generous["breachesLost"], 3, "{generous:#}");
            let backwards = json!({ "policy": draft("PT2H"), "from": to, "to": from });
            assert_eq!(admin.user_error("slaSimulate", backwards).await["path"], json!(["to"]));
        },
    )
    .await;
}

/// Something that may be refused: a different order is a different life.
async fn try_to(client: &Client, mutation: &str, input: Value) {
    client.call(mutation, input, "__typename").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_of_clocks_is_what_the_log_says() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] }]);
        for (key, kind) in [("network", "OLA"), ("vendor", "UNDERPINNING_CONTRACT")] {
            let input = json!({ "key": key, "name": key, "kind": kind, "calendar": { "key": "always" }, "metrics": metrics });
            admin.done("slaPolicyCreate", input, "slaPolicy { id }").await;
        }
        let next = json!([{ "metric": "NEXT_RESPONSE", "targets": [{ "target": "PT1H" }] }]);
        let condition = json!({ "tags": { "has": "vip" } });
        let vip = json!({ "key": "vip", "name": "VIP", "calendar": { "key": "always" }, "metrics": next, "condition": condition });
        admin.done("slaPolicyCreate", vip, "slaPolicy { id }").await;
        let agent = installation.client(&company.agent.token);
        let requester = installation.client(&company.requester.token);
        let lead = installation.client(&company.lead.token);
        for number in 0..12_i64 {
            let ticket = open(&agent, &company, &format!("Number {number}")).await;
            let id = &ticket["id"];
            let mut steps: Vec<i64> = (0..8).collect();
            steps.rotate_left(usize::try_from(number % 8).unwrap());
            if number % 3 == 0 {
                steps.reverse();
            }
            for place in steps {
                installation.clock.advance(chrono::Duration::minutes(7 * (place + 1) + number));
                match place {
                    0 => comment(&agent, &ticket, "Hello.", "PUBLIC").await,
                    1 => comment(&requester, &ticket, "And now?", "PUBLIC").await,
                    2 => {
                        let fields = json!({ "waitingReason": "VENDOR" });
                        let hold = json!({ "id": id, "transition": "hold", "fields": fields });
                        try_to(&agent, "ticketTransition", hold).await;
                    }
                    3 => try_to(&agent, "ticketTransition", json!({ "id": id, "transition": "resume" })).await,
                    4 => {
                        let urgent = json!({ "id": id, "tags": ["vip"], "impact": "HIGH", "urgency": "HIGH" });
                        try_to(&agent, "incidentUpdate", urgent).await;
                    }
                    5 => {
                        for team in ["workplace", "network"] {
                            try_to(&lead, "ticketAssign", json!({ "id": id, "team": { "slug": team } })).await;
                        }
                    }
                    6 => {
                        let solved = json!({ "id": id, "resolutionCode": "SOLVED", "resolutionNotes": "Done." });
                        try_to(&agent, "incidentResolve", solved).await;
                    }
                    _ => try_to(&agent, "incidentReopen", json!({ "id": id })).await,
                }
            }
        }
        assert!(verified(installation, &company).await > 40);
        // That nobody looks for ten minutes changes nothing.
        installation.clock.advance(chrono::Duration::minutes(10));
        verified(installation, &company).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holidays_come_out_of_an_icalendar_file() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let file = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Tests//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Christmas\r\n\
            DTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Lunch\r\n\
            DTSTART:20261224T120000Z\r\nDTEND:20261224T130000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let input = json!({ "calendar": { "key": "always" }, "icalendar": file });
        let done = admin.done("calendarImportHolidays", input.clone(), "calendar { number holidays { name date days } isOpen } imported skipped { summary reason }").await;
        assert_eq!((&done["imported"], &done["calendar"]["number"]), (&json!(2), &json!(2)), "{done:#}");
        assert_eq!(done["calendar"]["holidays"][0], json!({ "name": "Christmas", "date": "2026-12-25", "days": 1 }));
        assert_eq!(done["skipped"][0]["summary"], "Lunch");
        let again = admin.done("calendarImportHolidays", input, "calendar { number } imported").await;
        assert_eq!((&again["imported"], &again["calendar"]["number"]), (&json!(0), &json!(2)), "what is there is not doubled");
        let wrong = json!({ "calendar": { "key": "always" }, "icalendar": "Christmas" });
        assert_eq!(admin.user_error("calendarImportHolidays", wrong).await["path"], json!(["icalendar"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attainment_agrees_with_the_clocks_under_it() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let service = json!({ "key": "vpn", "name": "VPN" });
        admin.done("serviceCreate", service, "service { id }").await;
        let since = in_hours(installation, 0);
        for number in 0..6_i64 {
            let requester = json!({ "email": company.requester.email });
            let mut input = json!({ "title": "One", "team": { "slug": "network" }, "requester": requester });
            if number % 2 == 0 {
                input["service"] = json!({ "key": "vpn" });
            }
            let ticket = incident_with(&agent, input).await;
            installation.clock.advance(chrono::Duration::minutes(if number < 4 { 20 } else { 90 }));
            comment(&agent, &ticket, "Hello.", "PUBLIC").await;
            if number == 5 {
                installation.clock.advance(chrono::Duration::hours(9));
            }
            if number != 3 {
                resolve(&agent, &ticket).await;
            }
        }
        let until = in_hours(installation, 1);
        let document = "query($since: DateTime!, $until: DateTime, $groupBy: [SlaDimension!], $filter: SlaClockFilter) { \
            slaAttainment(since: $since, until: $until, groupBy: $groupBy, filter: $filter, interval: DAY) { met breached attainment \
            groups { met breached attainment filter keys { dimension value from to service { key } team { slug } policy { key } } } } }";
        let ask = async |client: &Client, group_by: Value, filter: Value| {
            let variables = json!({ "since": since, "until": until, "groupBy": group_by, "filter": filter });
            client.ask(document, variables).await["slaAttainment"].take()
        };
        let all = ask(&agent, json!([]), Value::Null).await;
        assert_eq!((&all["met"], &all["breached"]), (&json!(8), &json!(3)), "four of six responses, four of five resolutions");
        let by_metric = ask(&agent, json!(["METRIC"]), Value::Null).await;
        let figures: Vec<_> = by_metric["groups"].as_array().unwrap().iter().map(|group| (&group["keys"][0]["value"], &group["met"], &group["breached"])).collect();
        assert_eq!(figures, [(&json!("FIRST_RESPONSE"), &json!(4), &json!(2)), (&json!("RESOLUTION"), &json!(4), &json!(1))]);
        let count = "query($filter: SlaClockFilter) { slaClocks(filter: $filter) { totalCount nodes { metric state ticket { number } } } }";
        for dimensions in [json!(["SERVICE"]), json!(["TEAM", "PRIORITY"]), json!(["POLICY", "KIND"]), json!(["STOPPED_AT", "METRIC"])] {
            let found = ask(&agent, dimensions.clone(), json!({ "metric": { "neq": "APPROVAL" } })).await;
            let mut sum = 0;
            for group in found["groups"].as_array().unwrap() {
                let under = agent.ask(count, json!({ "filter": group["filter"] })).await["slaClocks"].take();
                let both = group["met"].as_i64().unwrap() + group["breached"].as_i64().unwrap();
                assert_eq!(under["totalCount"], both, "{dimensions}: {group:#}");
                sum += both;
            }
            assert_eq!(sum, 11, "{dimensions}: {found:#}");
        }
        let by_service = ask(&agent, json!(["SERVICE"]), Value::Null).await;
        let services: Vec<_> = by_service["groups"].as_array().unwrap().iter().map(|group| (&group["keys"][0]["service"]["key"], &group["met"])).collect();
        assert_eq!(services, [(&json!("vpn"), &json!(5)), (&Value::Null, &json!(3))]);
        let stranger = installation.client(&company.sam.token);
        assert_eq!(ask(&stranger, json!([]), Value::Null).await["attainment"], Value::Null, "of tickets that one sees");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_cost_a_bounded_number_of_statements() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let agent = installation.client(&company.agent.token);
        let spent = async |mutation: &str, input: Value| {
            let before = installation.store().statement_count();
            agent.done(mutation, input, "events { __typename }").await;
            installation.store().statement_count() - before
        };
        let hold = |ticket: &Value| json!({ "id": ticket["id"], "transition": "hold", "fields": { "waitingReason": "REQUESTER" } });
        let plain = open(&agent, &company, "Plain").await;
        let without = spent("ticketTransition", hold(&plain)).await;
        promise(installation, &company).await;
        let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] }]);
        for (key, kind) in [("network", "OLA"), ("vendor", "UNDERPINNING_CONTRACT")] {
            let input = json!({ "key": key, "name": key, "kind": kind, "calendar": { "key": "always" }, "metrics": metrics });
            admin.done("slaPolicyCreate", input, "slaPolicy { id }").await;
        }
        // What the policies say is read once.
        open(&agent, &company, "First").await;
        let ticket = open(&agent, &company, "VPN drops").await;
        let with = spent("ticketTransition", hold(&ticket)).await;
        assert!(with <= without + 4, "the clocks read, the clocks written, the ticket's line, the timer: {without}, {with}");
        let page = "query($first: Int) { tickets(first: $first, filter: { slaState: { eq: RUNNING } }) { nodes { slaDueAt slaClocks { metric state remaining policy { key } calendar { key } explain } } } }";
        let read = async |first: i64| {
            let before = installation.store().statement_count();
            agent.ask(page, json!({ "first": first })).await;
            installation.store().statement_count() - before
        };
        let few = read(1).await;
        for number in 0..12_i64 {
            open(&agent, &company, &format!("Number {number}")).await;
        }
        assert_eq!(read(14).await, few, "however many tickets a page has");
        assert!(few <= 3, "the page, its clocks with their policies, the calendars: {few}");
    })
    .await;
}

/// The history of a clock as it was stored before it was short; `elapsed` had gone by when each segment began, in minutes.
fn long_history(clock: &Value, calendar: Uuid, elapsed: &[i64]) -> Value {
    let segments = clock["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), elapsed.len(), "{clock:#}");
    let old = segments.iter().zip(elapsed).map(|(segment, elapsed)| {
        let from: kernel::Timestamp = segment["from"].as_str().and_then(|from| from.parse().ok()).expect("an instant");
        let target = if segment["target"] == "PT2H" { 7_200 } else { 28_800 };
        let mut old = json!({
            "from": from, "cause": segment["cause"], "running": segment["running"], "priority": segment["priority"],
            "target": target, "calendar": calendar, "elapsed": elapsed * 60_000_000,
        });
        if !segment["waitingReason"].is_null() {
            old["reason"] = segment["waitingReason"].clone();
        }
        old
    });
    old.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_from_before_keep_their_history() {
    each_engine(async |installation, company| {
        promise(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let ticket = open(&agent, &company, "Long ago").await;
        comment(&agent, &ticket, "On it.", "PUBLIC").await;
        installation.clock.advance(chrono::Duration::minutes(30));
        step(&agent, &ticket, "hold", json!({ "waitingReason": "REQUESTER" })).await;
        installation.clock.advance(chrono::Duration::microseconds(59_999_999));
        step(&agent, &ticket, "resume", json!({})).await;
        let urgent = json!({ "id": ticket["id"], "impact": "HIGH", "urgency": "HIGH" });
        agent.done("incidentUpdate", urgent, "incident { priority }").await;
        let before = clocks(&agent, &ticket).await;
        let calendar = "{ calendar(by: { key: \"always\" }) { id } }";
        let calendar = installation.client(&company.admin.token).ask(calendar, json!({})).await;
        let calendar = kernel::Id::parse(calendar["calendar"]["id"].as_str().unwrap()).expect("an id").uuid;
        let old = long_history(clock(&before, "RESOLUTION"), calendar, &[0, 30, 30, 30]);
        assert!(old[2]["from"].as_str().unwrap().contains('.'), "one began within a second: {old:#}");

        installation.stop().await;
        let engine = installation.store_config().location.engine();
        let sql = migrations::sql::render(engine, migrations::m0037_short_segments::MIGRATION.up).expect("it renders");
        let (_, shortening) = sql.split_once("UPDATE sla_clock SET segments").expect("the migration shortens them");
        let (shortening, _) = shortening.split_once(';').expect("a statement ends");
        let only = "metric = 'RESOLUTION'";
        let long = format!("UPDATE sla_clock SET segments = '{old}' WHERE {only}");
        installation.tamper(&[long, format!("UPDATE sla_clock SET segments{shortening} AND {only}")]).await;
        installation.restart().await;
        let agent = installation.client(&company.agent.token);
        assert_eq!(clocks(&agent, &ticket).await, before);

        step(&agent, &ticket, "hold", json!({ "waitingReason": "REQUESTER" })).await;
        let shown = clocks(&agent, &ticket).await;
        let segments = clock(&shown, "RESOLUTION")["segments"].as_array().unwrap();
        assert_eq!((segments.len(), &segments[4]["cause"]), (5, &json!("PAUSED")), "{shown:#}");
        assert_eq!(segments[4]["target"], "PT2H");
    })
    .await;
}
