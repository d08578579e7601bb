//! What becomes of a problem, and what it has in common with other tickets.

use serde_json::json;
use tests::installation::{each_engine, each_engine_with};

use super::{fix, goes_on, problem, see};
use crate::company_life::{assign, comment, incident, incident_with, step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_goes_its_way() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let found = problem(&agent, json!({ "impact": "HIGH", "urgency": "HIGH", "category": "vpn" })).await;
        assert!(found["number"].as_str().unwrap().starts_with("PRB-"), "{found}");
        let state = "state { key category } kind priority origin availableTransitions { key allowed }";
        let seen = see(&agent, &found, state).await;
        assert_eq!((&seen["state"]["key"], &seen["kind"], &seen["priority"]), (&json!("new"), &json!("PROBLEM"), &json!("P1")));
        assert_eq!(seen["availableTransitions"], json!([{ "key": "assess", "allowed": true }]));
        // What the workflow does not allow yet is refused with what it does.
        let fixed = json!({ "id": found["id"], "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
        let refused = agent.user_error("problemResolve", fixed.clone()).await;
        assert_eq!((&refused["code"], &refused["availableTransitions"]), (&json!("TRANSITION_REFUSED"), &json!(["assess"])));
        for transition in ["assess", "analyze", "fix"] {
            step(&agent, &found, transition, json!({})).await;
        }
        let duplicate = json!({ "id": found["id"], "transition": "resolve", "fields": { "resolutionCode": "DUPLICATE", "resolutionNotes": "x" } });
        assert_eq!(agent.user_error("ticketTransition", duplicate).await["path"], json!(["fields", "resolutionCode"]));
        let done = agent.done("problemResolve", fixed, "problem { state { key category } resolutionCode resolvedAt } events { __typename }").await;
        assert_eq!(done["problem"]["state"], json!({ "key": "resolved", "category": "RESOLVED" }));
        assert_eq!(done["events"], json!([{ "__typename": "ProblemResolved" }]));
        let again = agent.done("problemReopen", json!({ "id": found["number"], "comment": "It drops again." }),
            "problem { state { key } resolutionCode reopenCount } events { __typename }").await;
        assert_eq!(again["problem"], json!({ "state": { "key": "fix_in_progress" }, "resolutionCode": null, "reopenCount": 1 }));
        assert_eq!(again["events"][0]["__typename"], "ProblemReopened");

        // One that is none is closed from where it is assessed.
        let none = problem(&agent, json!({})).await;
        step(&agent, &none, "assess", json!({})).await;
        let input = json!({ "id": none["id"], "resolutionCode": "CANCELED", "resolutionNotes": "No pattern." });
        let closed = agent.done("problemResolve", input, "problem { state { key category } resolutionCode closedAt } events { __typename }").await;
        assert_eq!(closed["problem"]["state"], json!({ "key": "closed", "category": "CLOSED" }));
        assert_eq!(closed["events"], json!([{ "__typename": "ProblemClosed" }]));
        // A duplicate is closed onto the other.
        let copy = problem(&agent, json!({})).await;
        step(&agent, &copy, "assess", json!({})).await;
        agent.done("ticketLink", json!({ "id": copy["id"], "type": "DUPLICATES", "target": found["id"] }), "ticket { id }").await;
        let seen = see(&agent, &copy, "state { key } resolutionCode").await;
        assert_eq!(seen, json!({ "state": { "key": "closed" }, "resolutionCode": "DUPLICATE" }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_accepts_a_risk_is_told_when_to_look_again() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let found = problem(&agent, json!({})).await;
            for transition in ["assess", "analyze"] {
                step(&agent, &found, transition, json!({})).await;
            }
            let accept = |at: Option<String>| {
                json!({ "id": found["id"], "resolutionCode": "RISK_ACCEPTED", "resolutionNotes": "Too dear.", "riskReviewAt": at })
            };
            let at = |days: i64| (installation.clock.now() + chrono::Duration::days(days)).to_rfc3339();
            assert_eq!(agent.user_error("problemResolve", accept(None)).await["path"], json!(["riskReviewAt"]));
            assert_eq!(agent.user_error("problemResolve", accept(Some(at(-1)))).await["path"], json!(["riskReviewAt"]));
            let done = agent.done("problemResolve", accept(Some(at(30))), "problem { state { key } resolutionCode riskReviewAt } events { __typename }").await;
            assert_eq!((&done["problem"]["resolutionCode"], &done["problem"]["state"]["key"]), (&json!("RISK_ACCEPTED"), &json!("closed")));
            // It is put off, and so is being told.
            agent.done("problemUpdate", json!({ "id": found["id"], "riskReviewAt": at(60) }), "problem { id }").await;
            let past = json!({ "id": found["id"], "riskReviewAt": at(-1) });
            assert_eq!(agent.user_error("problemUpdate", past).await["path"], json!(["riskReviewAt"]));
            let told = async || {
                installation.log_end(&agent).await;
                let history = see(&agent, &found, "history(last: 5) { nodes { __typename channel } }").await;
                let nodes = history["history"]["nodes"].as_array().cloned().unwrap_or_default();
                nodes.iter().filter(|node| node["__typename"] == "ProblemRiskReviewDue").count()
            };
            installation.clock.advance(chrono::Duration::days(59));
            // Another job that is due by now shows that the worker has looked.
            let sleeping = incident_with(&agent, json!({ "title": "Waits", "team": { "slug": "network" } })).await;
            let until = (installation.clock.now() + chrono::Duration::hours(1)).to_rfc3339();
            step(&agent, &sleeping, "hold", json!({ "waitingReason": "SCHEDULE", "waitingUntil": until })).await;
            installation.clock.advance(chrono::Duration::hours(2));
            goes_on(&agent, &sleeping).await;
            assert_eq!(told().await, 0, "not early");
            installation.clock.advance(chrono::Duration::days(1));
            tests::soon("the review is told of", async { while told().await == 0 { tokio::task::yield_now().await } }).await;
            assert_eq!(told().await, 1);
            let open = problem(&agent, json!({})).await;
            let input = json!({ "id": open["id"], "riskReviewAt": at(10) });
            assert_eq!(agent.user_error("problemUpdate", input).await["path"], json!(["riskReviewAt"]), "no risk was accepted");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_is_a_ticket_like_others() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let lead = installation.client(&company.lead.token);
        let field = json!({ "key": "vendorCase", "name": "Vendor case", "type": "TEXT", "kinds": ["PROBLEM"] });
        admin.done("customFieldCreate", field, "customField { id }").await;
        let found = problem(&agent, json!({ "customFields": [{ "key": "vendorCase", "text": "C-7" }], "tags": ["vpn"] })).await;
        let other = incident(&agent, "An incident").await;
        assign(&lead, &found, "network", Some(&company.agent.email)).await;
        comment(&agent, &found, "We look into it.", "INTERNAL").await;
        let task = json!({ "parent": found["id"], "title": "Read the logs", "team": { "slug": "network" } });
        agent.done("taskCreate", task, "task { id }").await;
        let steps = json!([{ "rule": "ANY", "approvers": [{ "user": { "email": company.lead.email } }] }]);
        agent.done("approvalStart", json!({ "id": found["id"], "name": "Costs", "steps": steps }), "approval { id }").await;
        admin.done("ticketLink", json!({ "id": found["id"], "type": "RELATES_TO", "target": other["id"] }), "ticket { id }").await;
        agent.done("ticketWatch", json!({ "id": found["id"] }), "ticket { id }").await;
        let whole = "assignee { name } comments { nodes { visibility } } tasks { nodes { title } } approvals { state } links { type } \
            watchers { name } customFields { key } viewerCan(action: TRANSITION) { allowed } workflow { key }";
        let seen = see(&agent, &found, whole).await;
        assert_eq!(seen["assignee"]["name"], "Agent", "{seen:#}");
        for list in ["approvals", "links", "watchers", "customFields"] {
            assert_eq!(seen[list].as_array().map(Vec::len), Some(1), "{list}: {seen:#}");
        }
        assert_eq!(seen["tasks"]["nodes"][0]["title"], "Read the logs");
        assert_eq!((&seen["viewerCan"]["allowed"], &seen["workflow"]["key"]), (&json!(true), &json!("problem")));
        // In queues, in saved filters, in figures, behind its id.
        let of_kind = json!({ "kind": { "eq": "PROBLEM" }, "customFields": [{ "key": "vendorCase", "text": { "eq": "C-7" } }] });
        let queue = agent.ask("query($filter: TicketFilter) { tickets(filter: $filter) { nodes { __typename number ... on Problem { origin knownError } } } }", json!({ "filter": of_kind })).await;
        assert_eq!(queue["tickets"]["nodes"], json!([{ "__typename": "Problem", "number": found["number"], "origin": "REACTIVE", "knownError": false }]));
        let saved = json!({ "name": "Problems", "filter": { "kind": { "eq": "PROBLEM" } }, "sharing": "PERSONAL" });
        let saved = agent.done("savedFilterCreate", saved, "savedFilter { count }").await;
        assert_eq!(saved["savedFilter"]["count"], 1);
        let stats = agent.ask("{ ticketStats(groupBy: [KIND]) { groups { count keys { value } } } }", json!({})).await;
        assert!(stats.to_string().contains("PROBLEM"), "{stats}");
        let node = agent.ask("query($id: ID!) { node(id: $id) { __typename id } }", json!({ "id": found["id"] })).await;
        assert_eq!(node["node"], json!({ "__typename": "Problem", "id": found["id"] }));
        // Other tenants' workflows for problems are data as well, and incidents are no problems.
        let wrong = agent.user_error("problemUpdate", json!({ "id": other["number"], "title": "x" })).await;
        assert_eq!((&wrong["code"], &wrong["path"]), (&json!("VALIDATION"), &json!(["id"])));
        let both = problem(&agent, json!({})).await;
        let dry = agent.done("problemUpdate", json!({ "id": both["id"], "title": "Dry", "dryRun": true }), "problem { title }").await;
        assert_eq!((&dry["problem"]["title"], &see(&agent, &both, "title").await["title"]), (&json!("Dry"), &json!("The gateway drops sessions")));
        let stale = agent.user_error("problemUpdate", json!({ "id": both["id"], "title": "x", "expectedVersion": 7 })).await;
        assert_eq!(stale["code"], "CONFLICT");
        let create = json!({ "title": "Twice", "team": { "slug": "network" }, "idempotencyKey": "k" });
        let first = agent.done("problemCreate", create.clone(), "problem { id }").await;
        assert_eq!(agent.done("problemCreate", create, "problem { id }").await, first);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_run_on_problems() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        admin.done("calendarCreate", crate::service_levels::always("always"), "calendar { id }").await;
        let policy = json!({ "key": "problems", "name": "Problems", "kind": "SLA", "calendar": { "key": "always" },
            "condition": { "kind": { "eq": "PROBLEM" } }, "metrics": [{ "metric": "RESOLUTION", "targets": [{ "target": "P10D" }] }] });
        admin.done("slaPolicyCreate", policy, "slaPolicy { id }").await;
        let found = problem(&agent, json!({})).await;
        let seen = see(&agent, &found, "slaState slaClocks { metric state }").await;
        assert_eq!(seen, json!({ "slaState": "RUNNING", "slaClocks": [{ "metric": "RESOLUTION", "state": "RUNNING" }] }));
        fix(&agent, &found).await;
        assert_eq!(see(&agent, &found, "slaState").await["slaState"], "MET");
    })
    .await;
}
