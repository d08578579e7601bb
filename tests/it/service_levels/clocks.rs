//! The clocks of tickets: how they go, what they tell, and what they cost.

use kernel::Uuid;
use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{each_engine, each_engine_with};

use super::{clock, clocks, in_hours, in_minutes, open, promise, promise_behind, verified};
use crate::company_life::{assign, comment, resolve, step};

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

/// Something that may be refused: a different order is a different life.
async fn try_to(client: &Client, mutation: &str, input: Value) {
    client.call(mutation, input, "__typename").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_of_clocks_is_what_the_log_says() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        promise_behind(&admin).await;
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
async fn clocks_cost_a_bounded_number_of_statements() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let spent = async |mutation: &str, input: Value| {
            let before = installation.store().statement_count();
            agent.done(mutation, input, "events { __typename }").await;
            installation.store().statement_count() - before
        };
        let hold = |ticket: &Value| json!({ "id": ticket["id"], "transition": "hold", "fields": { "waitingReason": "REQUESTER" } });
        let plain = open(&agent, &company, "Plain").await;
        let without = spent("ticketTransition", hold(&plain)).await;
        let admin = promise(installation, &company).await;
        promise_behind(&admin).await;
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
