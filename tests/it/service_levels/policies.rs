//! Calendars and policies: what is refused, their versions, applying one to what is open, and trying one on the past.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{each_engine, each_engine_with};
use tests::with;

use super::{always, clock, clocks, in_hours, open, promise, result_of, standard, verified};
use crate::company_life::{comment, resolve, step};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_calendars_and_policies_are_refused_with_paths() {
    each_engine(async |installation, company| {
        let admin = promise(installation, &company).await;
        let calendar = |patch: &Value| with(always("other"), patch);
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
            let errors = refusals(&admin, "calendarCreate", calendar(&patch)).await;
            let at = paths(&errors);
            assert!(at.iter().any(|at| at.starts_with(path)), "{patch}: {errors:#?}");
        }
        let policy = |patch: &Value| with(with(standard(), &json!({ "key": "other" })), patch);
        let metric = |patch: Value| {
            let metric = json!({ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] });
            json!({ "metrics": [with(metric, &patch)] })
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
            let errors = refusals(&admin, "slaPolicyCreate", policy(&patch)).await;
            let at = paths(&errors);
            assert!(at.iter().any(|at| at == path), "{patch}: {errors:#?}");
        }
        let agent = installation.client(&company.agent.token);
        let errors = refusals(&agent, "slaPolicyCreate", policy(&json!({}))).await;
        assert_eq!(errors[0]["code"], "FORBIDDEN");
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
