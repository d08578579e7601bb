//! The same change of many tickets: at once, all or none, tried, in the background, stopped and gone on with.

use std::sync::Arc;

use serde_json::{Value, json};
use tests::client::{Client, document};
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};
use tests::slowly::Slowly;
use ticket::bulk::{JOB, MAX_AT_ONCE, MAX_NAMED, MAX_TOGETHER, MAX_UNDER_WAY};

use crate::company_life::{incident_with, resolve};

const RESULTS: &str = "operation { id status done total progress result { ... on TicketBulkSummary { dryRun tickets done failed } } } \
    results { index id outcome ticket { number tags } userErrors { __typename code path message } } events { id __typename }";
const STARTED: &str = "operation { id status done total } results { index }";

/// Incidents of team network, opened by its agent.
async fn incidents(client: &Client, count: usize, tag: &str) -> Vec<Value> {
    let mut opened = Vec::new();
    for number in 0..count {
        let input = json!({ "title": format!("{tag} {number}"), "team": { "slug": "network" }, "tags": [tag] });
        opened.push(incident_with(client, input).await);
    }
    opened
}

fn ids(tickets: &[Value]) -> Vec<Value> {
    tickets.iter().map(|ticket| ticket["id"].clone()).collect()
}

fn of<'v>(payload: &'v Value, field: &str) -> Vec<&'v Value> {
    payload["results"].as_array().expect("results").iter().map(|result| &result[field]).collect()
}

async fn show(client: &Client, ticket: &Value, selection: &str) -> Value {
    let document = format!("query($id: ID!) {{ ticket(by: {{ id: $id }}) {{ {selection} }} }}");
    client.ask(&document, json!({ "id": ticket["id"] })).await["ticket"].take()
}

async fn operation(client: &Client, id: &Value) -> Value {
    let document = "query($id: ID!) { operation(id: $id) { status done total progress error version \
                    result { ... on TicketBulkSummary { dryRun tickets done failed } } \
                    failed: results(only: FAILED) { totalCount nodes { id index ticket { id } userErrors { __typename code path message } } } \
                    waiting: results(only: PENDING) { totalCount } notDone: results(only: NOT_DONE) { totalCount } \
                    done: results(only: DONE) { totalCount } } }";
    // Two fields of one name are told apart by their alias.
    let document = document.replacen("status done total", "status finished: done total", 1);
    client.ask(&document, json!({ "id": id })).await["operation"].take()
}

/// Does the jobs of bulk changes a step at a time: the choice of the tickets, then batch by batch.
fn slowly(installation: &Installation) -> Slowly {
    Slowly::start(installation, JOB, |platform, ctx, payload| async move {
        platform.tickets.run_bulk_batches(&ctx, &payload, 1).await
    })
}

/// Waits until an operation is as it should be.
async fn until(client: &Client, id: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    tests::soon(what, async {
        loop {
            let shown = operation(client, id).await;
            if holds(&shown) {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_ticket_is_changed_as_it_would_be_alone() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let tickets = incidents(&agent, 3, "vpn").await;
        let hidden = incident_with(&installation.client(&company.sam.token), json!({ "title": "Not for the network" })).await;
        let mut named = ids(&tickets);
        named[1] = tickets[1]["number"].clone();
        named.push(hidden["id"].clone());
        named.push(tickets[0]["number"].clone());
        let patch = json!({
            "impact": "HIGH", "urgency": "HIGH", "category": "vpn", "addTags": ["site"], "removeTags": ["vpn"],
            "assignee": { "email": company.agent.email },
        });
        let input = json!({ "ids": named, "patch": patch, "idempotencyKey": "k" });
        let first = agent.done("ticketBulkUpdate", input.clone(), RESULTS).await;
        assert_eq!(of(&first, "index"), [0, 1, 2, 3, 4].map(|index| json!(index)).iter().collect::<Vec<_>>());
        let outcomes = of(&first, "outcome");
        assert_eq!(outcomes, [&json!("DONE"), &json!("DONE"), &json!("DONE"), &json!("FAILED"), &json!("FAILED")]);
        assert_eq!(first["results"][1]["id"], tickets[1]["id"]);
        let missing = &first["results"][3];
        assert_eq!((&missing["id"], &missing["ticket"]), (&Value::Null, &Value::Null));
        let error = &missing["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!("NOT_FOUND"), &json!(["ids", "3"])));
        assert_eq!(first["results"][4]["userErrors"][0]["path"], json!(["ids", "4"]), "named twice");
        let kinds: Vec<&Value> = first["events"].as_array().unwrap().iter().map(|event| &event["__typename"]).collect();
        let one = [&json!("TicketUpdated"), &json!("TicketAssigned")];
        assert_eq!(kinds, [one, one, one].concat(), "the same events as alone, ticket by ticket");
        let summary = json!({ "dryRun": false, "tickets": 5, "done": 3, "failed": 2 });
        let shown = &first["operation"];
        assert_eq!((&shown["status"], &shown["result"], &shown["progress"]), (&json!("SUCCEEDED"), &summary, &json!(1.0)));
        let fields = "version priority impact category { key } assignee { name } tags state { key } history(last: 2) { nodes { __typename actor { ... on User { name } } } }";
        let changed = show(&agent, &tickets[1], fields).await;
        let expected = json!({
            "version": 3, "priority": "P1", "impact": "HIGH", "category": { "key": "vpn" }, "assignee": { "name": "Agent" }, "tags": ["site"],
            "state": { "key": "assigned" }, "history": changed["history"],
        });
        assert_eq!(changed, expected);

        // The same call again is answered alike and does nothing, whatever became of the tickets meanwhile.
        let again = agent.done("ticketBulkUpdate", input.clone(), RESULTS).await;
        assert_eq!(again, first);
        installation.restart().await;
        let agent = installation.client(&company.agent.token);
        assert_eq!(agent.done("ticketBulkUpdate", input, RESULTS).await, first);
        assert_eq!(show(&agent, &tickets[1], "version").await["version"], 3);
        let other = json!({ "ids": named, "patch": { "impact": "LOW" }, "idempotencyKey": "k" });
        assert_eq!(agent.user_error("ticketBulkUpdate", other).await["code"], "IDEMPOTENCY_MISMATCH");

        // Results are for who started it, and for those who read the audit trail.
        let requester = installation.client(&company.requester.token);
        let id = &first["operation"]["id"];
        assert_eq!(operation(&agent, id).await["failed"]["totalCount"], 2);
        assert_eq!(operation(&installation.client(&company.auditor.token), id).await["done"]["totalCount"], 3);
        assert_eq!(operation(&requester, id).await, Value::Null);
        let item = operation(&agent, id).await["failed"]["nodes"][0]["id"].take();
        let node = "query($id: ID!) { node(id: $id) { ... on TicketBulkItem { index outcome } } }";
        let shown = agent.ask(node, json!({ "id": item })).await["node"].take();
        assert_eq!(shown, json!({ "index": 3, "outcome": "FAILED" }));
        assert_eq!(requester.ask(node, json!({ "id": item })).await["node"], Value::Null);

        // Whoever may see a ticket and not change it is told so; what is not in sight is not there.
        let own = incident_with(&requester, json!({ "title": "Mine" })).await;
        let input = json!({ "ids": [own["id"], tickets[0]["id"]], "patch": { "impact": "LOW" } });
        let refused = requester.done("ticketBulkUpdate", input, RESULTS).await;
        let errors = [&refused["results"][0]["userErrors"][0], &refused["results"][1]["userErrors"][0]];
        assert_eq!([&errors[0]["code"], &errors[1]["code"]], [&json!("FORBIDDEN"), &json!("NOT_FOUND")]);
        assert_eq!(errors[0]["path"], json!(["ids", "0"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_filter_finds_is_chosen_once() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let tickets = incidents(&agent, 4, "vpn").await;
        incidents(&agent, 2, "mail").await;
        resolve(&agent, &tickets[3]).await;
        let filter = json!({ "tags": { "has": "vpn" }, "assignee": { "isNull": true }, "state": { "category": { "in": ["NEW", "ACTIVE"] } } });
        let input = json!({ "filter": filter, "patch": { "assignee": { "email": company.agent.email } }, "idempotencyKey": "f" });
        let first = agent.done("ticketBulkUpdate", input.clone(), RESULTS).await;
        let mut found: Vec<String> = of(&first, "id").iter().map(ToString::to_string).collect();
        let mut expected: Vec<String> = tickets[..3].iter().map(|ticket| ticket["id"].to_string()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        // The filter finds none of them any more; the answer is that of the first call.
        assert_eq!(agent.done("ticketBulkUpdate", input, RESULTS).await, first);
        let none = json!({ "filter": { "tags": { "has": "nothing" } }, "patch": { "impact": "LOW" } });
        let none = agent.done("ticketBulkUpdate", none, RESULTS).await;
        assert_eq!((&none["results"], &none["operation"]["status"]), (&json!([]), &json!("SUCCEEDED")));

        // Relative values are those of the viewer; a wrong filter is refused with its path.
        let mine = json!({ "filter": { "assignee": { "isViewer": true } }, "transition": "hold", "fields": { "waitingReason": "VENDOR" } });
        let held = agent.done("ticketBulkTransition", mine, RESULTS).await;
        assert_eq!(of(&held, "outcome"), [&json!("DONE"); 3]);
        let wrong = json!({ "filter": { "customFields": [{ "key": "nothing", "text": { "eq": "x" } }] }, "patch": { "impact": "LOW" } });
        let error = agent.user_error("ticketBulkUpdate", wrong).await;
        assert_eq!(error["path"][0], "filter", "{error}");
        for (input, path) in [
            (json!({ "patch": { "impact": "LOW" } }), json!(["ids"])),
            (json!({ "ids": ["INC-1"], "filter": {}, "patch": { "impact": "LOW" } }), json!(["ids"])),
            (json!({ "ids": [], "patch": { "impact": "LOW" } }), json!(["ids"])),
            (json!({ "ids": ["INC-1", "x"], "patch": { "impact": "LOW" } }), json!(["ids", "1"])),
            (json!({ "ids": ["INC-1"], "patch": {} }), json!(["patch"])),
            (json!({ "ids": ["INC-1"], "patch": { "addTags": [" "] } }), json!(["patch", "addTags"])),
            (json!({ "ids": ["INC-1"], "patch": { "team": { "id": "inc_x" } } }), json!(["patch", "team", "id"])),
            (json!({ "ids": ["INC-1"], "expectedVersions": [1, 2], "patch": { "impact": "LOW" } }), json!(["expectedVersions"])),
        ] {
            assert_eq!(agent.user_error("ticketBulkUpdate", input.clone()).await["path"], path, "{input}");
        }
        let many: Vec<String> = (0..=MAX_NAMED).map(|number| format!("INC-{number}")).collect();
        let error = agent.user_error("ticketBulkUpdate", json!({ "ids": many, "patch": { "impact": "LOW" } })).await;
        assert_eq!((&error["code"], &error["limit"]), (&json!("LIMIT"), &json!(MAX_NAMED)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_cannot_be_changed_is_skipped_or_keeps_all_from_it() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let tickets = incidents(&agent, 3, "vpn").await;
        resolve(&agent, &tickets[1]).await;
        let input = |on_error: &str| {
            json!({
                "ids": ids(&tickets), "transition": "resolve", "onError": on_error, "comment": "Done for all.",
                "fields": { "resolutionCode": "SOLVED", "resolutionNotes": "A new certificate." },
            })
        };
        let rejected = agent.call("ticketBulkTransition", input("REJECT_ALL"), RESULTS).await;
        assert_eq!(of(&rejected, "outcome"), [&json!("NOT_DONE"), &json!("FAILED"), &json!("NOT_DONE")]);
        assert_eq!((&rejected["operation"], &rejected["events"]), (&Value::Null, &json!([])));
        let error = &rejected["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!("TRANSITION_REFUSED"), &json!(["transition"])));
        for ticket in &tickets {
            assert_ne!(show(&agent, ticket, "state { key }").await["state"]["key"], "closed");
        }
        assert_eq!(show(&agent, &tickets[0], "version").await["version"], 1, "nothing was changed");

        let skipped = agent.done("ticketBulkTransition", input("SKIP_ITEM"), RESULTS).await;
        assert_eq!(of(&skipped, "outcome"), [&json!("DONE"), &json!("FAILED"), &json!("DONE")]);
        let error = &skipped["results"][1]["userErrors"][0];
        assert_eq!(error["__typename"], "TransitionRefusedError");
        let resolved = show(&agent, &tickets[2], "state { key } comments(last: 1) { nodes { body } }").await;
        let expected = json!({ "state": { "key": "resolved" }, "comments": { "nodes": [{ "body": "Done for all." }] } });
        assert_eq!(resolved, expected);

        // All at once, with versions that were expected; the same call again is answered alike.
        let all = json!({
            "ids": ids(&tickets), "patch": { "tags": ["a"] }, "onError": "REJECT_ALL", "idempotencyKey": "all",
            "expectedVersions": [show(&agent, &tickets[0], "version").await["version"], null, 99],
        });
        let stale = agent.call("ticketBulkUpdate", all.clone(), RESULTS).await;
        assert_eq!(stale["userErrors"][0]["path"], json!(["expectedVersions", "2"]));
        let mut input = all;
        input.as_object_mut().unwrap().remove("expectedVersions");
        let first = agent.done("ticketBulkUpdate", input.clone(), RESULTS).await;
        assert_eq!(of(&first, "outcome"), [&json!("DONE"); 3]);
        assert_eq!((&first["operation"]["status"], &first["operation"]["done"]), (&json!("SUCCEEDED"), &json!(3)));
        assert_eq!(first["events"].as_array().map(Vec::len), Some(3));
        assert_eq!(agent.done("ticketBulkUpdate", input, RESULTS).await, first);

        // What is wrong with each is told, inside the change.
        let required = json!({ "ids": [tickets[0]["id"]], "transition": "reopen", "fields": { "colour": "red" } });
        let refused = agent.done("ticketBulkTransition", required, RESULTS).await;
        assert_eq!(refused["results"][0]["userErrors"][0]["path"], json!(["fields", "colour"]));
        let wrong = json!({ "ids": ids(&tickets[..1]), "patch": { "category": "nothing", "service": { "key": "nothing" } } });
        let refused = agent.done("ticketBulkUpdate", wrong, RESULTS).await;
        assert_eq!(refused["results"][0]["userErrors"][0]["path"], json!(["patch", "category"]));
        let task = json!({ "parent": incidents(&agent, 1, "x").await[0]["id"], "title": "Look", "team": { "slug": "network" } });
        let task = agent.done("taskCreate", task, "task { id }").await["task"].take();
        let other = json!({ "ids": [task["id"]], "patch": { "category": "vpn", "addTags": ["seen"] } });
        let refused = agent.done("ticketBulkUpdate", other, RESULTS).await;
        assert_eq!(refused["results"][0]["userErrors"][0]["path"], json!(["patch", "category"]), "a task takes none");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_changes_nothing() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let tickets = incidents(&agent, 6, "vpn").await;
        resolve(&agent, &tickets[5]).await;
        let before = installation.log_end(&agent).await;
        for on_error in ["SKIP_ITEM", "REJECT_ALL"] {
            let input = json!({
                "ids": ids(&tickets), "transition": "cancel", "onError": on_error, "dryRun": true, "idempotencyKey": "dry",
            });
            let tried = agent.call("ticketBulkTransition", input, RESULTS).await;
            let other = if on_error == "SKIP_ITEM" { json!("DONE") } else { json!("NOT_DONE") };
            let failed = json!("FAILED");
            assert_eq!(of(&tried, "outcome"), [&other, &other, &other, &other, &other, &failed], "{tried:#}");
            assert_eq!(tried["operation"], Value::Null);
        }
        let all = json!({ "ids": ids(&tickets), "patch": { "impact": "HIGH" }, "onError": "REJECT_ALL", "dryRun": true });
        let tried = agent.done("ticketBulkUpdate", all, RESULTS).await;
        assert_eq!((of(&tried, "outcome"), &tried["operation"]), (vec![&json!("DONE"); 6], &Value::Null));
        assert_eq!(installation.log_end(&agent).await, before, "nothing was recorded");
        assert_eq!(show(&agent, &tickets[0], "version").await["version"], 1);
        // What was tried under a key is done under it.
        let done = json!({ "ids": ids(&tickets), "transition": "cancel", "idempotencyKey": "dry" });
        let done = agent.done("ticketBulkTransition", done, RESULTS).await;
        assert_eq!(of(&done, "outcome")[0], "DONE");
    })
    .await;
}

const FOLLOW: &str = "subscription($id: ID!) { operation(id: $id) { status done total progress } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_are_changed_in_the_background() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let count = MAX_AT_ONCE + 5;
            let tickets = incidents(&agent, count, "vpn").await;
            resolve(&agent, &tickets[7]).await;
            let together = json!({ "ids": ids(&tickets[..=MAX_TOGETHER]), "patch": { "impact": "HIGH" }, "onError": "REJECT_ALL" });
            let error = agent.user_error("ticketBulkUpdate", together).await;
            let expected = (&json!("LIMIT"), &json!(["onError"]), &json!(MAX_TOGETHER));
            assert_eq!((&error["code"], &error["path"], &error["limit"]), expected);

            // Tried: an operation tells what would become of each.
            let choices = [json!({ "ids": ids(&tickets) }), json!({ "filter": { "tags": { "has": "vpn" } } })];
            for (dry, mut input) in [(true, choices[1].clone()), (false, choices[1].clone()), (false, choices[0].clone())] {
                let transition = if input.get("ids").is_some() { "reopen" } else { "hold" };
                input["transition"] = json!(transition);
                input["dryRun"] = json!(dry);
                input["idempotencyKey"] = json!(transition);
                if transition == "hold" {
                    input["fields"] = json!({ "waitingReason": "VENDOR" });
                }
                let started = agent.done("ticketBulkTransition", input.clone(), STARTED).await;
                assert_eq!(started["results"], Value::Null);
                let id = &started["operation"]["id"];
                let mut socket = agent.socket().await;
                socket.subscribe("1", FOLLOW, json!({ "id": id })).await;
                let mut last = Value::Null;
                while last["status"] != "SUCCEEDED" {
                    let shown = socket.next("1").await["operation"].take();
                    assert!(shown["done"].as_i64() >= last["done"].as_i64(), "{last} {shown}");
                    last = shown;
                }
                let whole = (&json!(count), &json!(count), &json!(1.0));
                assert_eq!((&last["done"], &last["total"], &last["progress"]), whole);
                let shown = operation(&agent, id).await;
                let failed = if transition == "hold" { 1 } else { count - 1 };
                let summary = json!({ "dryRun": dry, "tickets": count, "done": count - failed, "failed": failed });
                assert_eq!(shown["result"], summary, "{shown:#}");
                let error = &shown["failed"]["nodes"][0];
                // By age, as a filter finds them, is not by the number where many are of one instant.
                let first = if transition == "hold" { 7 } else { 0 };
                assert_eq!((&error["ticket"]["id"], &error["userErrors"][0]["code"]), (&tickets[first]["id"], &json!("TRANSITION_REFUSED")));
                let state = show(&agent, &tickets[3], "state { key }").await["state"]["key"].take();
                assert_eq!(state, if dry { "assigned" } else { "on_hold" });
                if !dry {
                    let again = agent.done("ticketBulkTransition", input, STARTED).await;
                    assert_eq!((&again["operation"]["id"], &again["operation"]["status"]), (id, &json!("SUCCEEDED")));
                }
            }
            // As many as fit a call are done within it.
            let fits = json!({ "ids": ids(&tickets[..MAX_AT_ONCE]), "patch": { "urgency": "HIGH" } });
            let done = agent.done("ticketBulkUpdate", fits, RESULTS).await;
            assert_eq!(of(&done, "outcome"), vec![&json!("DONE"); MAX_AT_ONCE]);
            // The results, page by page.
            let started = agent.done("ticketBulkUpdate", json!({ "ids": ids(&tickets), "patch": { "addTags": ["seen"] } }), STARTED).await;
            let id = started["operation"]["id"].clone();
            until(&agent, &id, "the end", |shown| shown["status"] == "SUCCEEDED").await;
            let page = "query($id: ID!, $after: Cursor) { operation(id: $id) { results(first: 50, after: $after) { totalCount \
                        pageInfo { hasNextPage endCursor } nodes { index outcome ticket { id tags } } } } }";
            let (mut after, mut seen) = (Value::Null, Vec::new());
            loop {
                let data = agent.ask(page, json!({ "id": id, "after": after })).await;
                let results = &data["operation"]["results"];
                assert_eq!(results["totalCount"], count);
                seen.extend(results["nodes"].as_array().unwrap().clone());
                if results["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                after = results["pageInfo"]["endCursor"].clone();
            }
            assert_eq!(seen.len(), count);
            for (index, (result, ticket)) in seen.iter().zip(&tickets).enumerate() {
                let expected = json!({
                    "index": index, "outcome": "DONE", "ticket": { "id": ticket["id"], "tags": ["vpn", "seen"] },
                });
                assert_eq!(*result, expected);
            }
        },
    )
    .await;
}

/// So many tickets that a change of them takes the job several batches; the operation that was started.
async fn long(installation: &Installation, company: &Company) -> (Client, Vec<Value>, Value) {
    let agent = installation.client(&company.agent.token);
    let tickets = incidents(&agent, MAX_AT_ONCE + 1, "vpn").await;
    let input = json!({ "filter": { "tags": { "has": "vpn" } }, "patch": { "impact": "HIGH" } });
    let started = agent.done("ticketBulkUpdate", input, STARTED).await;
    (agent, tickets, started["operation"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_stays_done_when_it_is_canceled() {
    each_engine(async |installation, company| {
        let (agent, tickets, started) = long(installation, &company).await;
        let id = started["id"].clone();
        let worker = slowly(installation);
        worker.steps(2).await;
        let shown = operation(&agent, &id).await;
        let figures = (&shown["status"], &shown["total"], &shown["done"]["totalCount"]);
        assert_eq!(figures, (&json!("RUNNING"), &json!(tickets.len()), &json!(20)), "{shown:#}");
        assert_eq!(shown["waiting"]["totalCount"], tickets.len() - 20);

        // For who started it and for administrators; others who see it are told that they may not, the rest that there is none.
        let input = json!({ "id": id });
        let auditor = installation.client(&company.auditor.token);
        assert_eq!(auditor.user_error("operationCancel", input.clone()).await["code"], "FORBIDDEN");
        let sam = installation.client(&company.sam.token);
        assert_eq!(sam.user_error("operationCancel", input.clone()).await["code"], "NOT_FOUND");
        let stale = json!({ "id": id, "expectedVersion": 1 });
        assert_eq!(agent.user_error("operationCancel", stale).await["code"], "CONFLICT");
        let tried = json!({ "id": id, "dryRun": true });
        agent.done("operationCancel", tried, "operation { status }").await;
        assert_eq!(operation(&agent, &id).await["status"], "RUNNING");
        let admin = installation.client(&company.admin.token);
        let canceled = json!({ "id": id, "idempotencyKey": "c" });
        let selection = "operation { status endedAt } events { __typename }";
        let first = admin.done("operationCancel", canceled.clone(), selection).await;
        assert_eq!(first["operation"]["status"], "CANCELED");
        assert_eq!(
            admin.done("operationCancel", canceled, "operation { status }").await["operation"]["status"],
            "CANCELED"
        );
        agent.done("operationCancel", input.clone(), "operation { status }").await;

        worker.steps(1).await;
        worker.stop().await;
        let settled = operation(&agent, &id).await;
        let summary = json!({ "dryRun": false, "tickets": tickets.len(), "done": 20, "failed": 0 });
        assert_eq!((&settled["result"], &settled["status"]), (&summary, &json!("CANCELED")));
        let rest = json!(tickets.len() - 20);
        assert_eq!((&settled["notDone"]["totalCount"], &settled["waiting"]["totalCount"]), (&rest, &json!(0)));
        assert_eq!(settled["finished"], 20);
        let changed = "{ tickets(filter: { impact: { eq: HIGH } }) { totalCount } }";
        assert_eq!(agent.ask(changed, json!({})).await["tickets"]["totalCount"], 20);

        let over = incidents(&agent, 1, "one").await;
        let over =
            agent.done("ticketBulkUpdate", json!({ "ids": ids(&over), "patch": { "impact": "LOW" } }), STARTED).await;
        let error = agent.user_error("operationCancel", json!({ "id": over["operation"]["id"] })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["id"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_where_it_was_stopped() {
    each_engine(async |installation, company| {
        let (agent, tickets, started) = long(installation, &company).await;
        let id = started["id"].clone();
        let worker = slowly(installation);
        worker.steps(2).await;
        worker.stop().await;
        // The worker of a process that dies says nothing any more; its job is another's when the lease is over.
        let worker = slowly(installation);
        worker.steps(1).await;
        assert_eq!(operation(&agent, &id).await["done"]["totalCount"], 40);
        worker.kill().await;
        installation.config.jobs = true;
        installation.restart().await;
        installation.clock.advance(chrono::Duration::minutes(5));
        let agent = installation.client(&company.agent.token);
        let shown = until(&agent, &id, "the end", |shown| shown["status"] == "SUCCEEDED").await;
        let summary = json!({ "dryRun": false, "tickets": tickets.len(), "done": tickets.len(), "failed": 0 });
        assert_eq!((&shown["result"], &shown["finished"]), (&summary, &json!(tickets.len())));
        let versions = "{ tickets(first: 100, filter: { tags: { has: \"vpn\" } }) { totalCount nodes { version } } }";
        let data = agent.ask(versions, json!({})).await;
        assert_eq!(data["tickets"]["totalCount"], tickets.len());
        let nodes = data["tickets"]["nodes"].as_array().unwrap();
        assert!(nodes.iter().all(|node| node["version"] == 2), "each was changed once: {nodes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_taken_away_is_missing_from_then_on() {
    each_engine(async |installation, company| {
        let (agent, tickets, started) = long(installation, &company).await;
        let admin = installation.client(&company.admin.token);
        let id = started["id"].clone();
        let worker = slowly(installation);
        worker.steps(2).await;
        let removed = json!({ "team": { "slug": "network" }, "user": { "email": company.agent.email } });
        admin.done("teamMemberRemove", removed, "team { id }").await;
        // Opened by themself, the tickets are still in sight; changing them needs the team.
        worker.steps(6).await;
        let ended = operation(&agent, &id).await;
        let summary = json!({ "dryRun": false, "tickets": tickets.len(), "done": 20, "failed": tickets.len() - 20 });
        assert_eq!((&ended["status"], &ended["result"]), (&json!("SUCCEEDED"), &summary));
        let error = &ended["failed"]["nodes"][0]["userErrors"][0];
        assert_eq!((&error["code"], &error["path"]), (&json!("FORBIDDEN"), &json!(["filter"])));

        // Whoever is no longer there changes nothing at all.
        let input = json!({ "ids": ids(&tickets), "patch": { "urgency": "LOW" } });
        let lead = installation.client(&company.lead.token);
        let started = lead.done("ticketBulkUpdate", input, STARTED).await;
        let id = started["operation"]["id"].clone();
        worker.steps(1).await;
        let gone = json!({ "user": { "email": company.lead.email }, "active": false });
        admin.done("userUpdate", gone, "user { id }").await;
        worker.steps(6).await;
        worker.stop().await;
        let ended = operation(&admin, &id).await;
        assert_eq!((&ended["status"], &ended["result"]), (&json!("SUCCEEDED"), &summary));
        let error = &ended["failed"]["nodes"][0]["userErrors"][0];
        assert_eq!((&error["code"], &error["__typename"]), (&json!("FORBIDDEN"), &json!("ForbiddenError")));
        assert!(error["message"].as_str().unwrap().contains("no longer active"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_leaves_behind_is_done_by_the_job_or_by_the_same_call() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let tickets = incidents(&agent, 30, "vpn").await;
        let input = json!({ "ids": ids(&tickets), "patch": { "impact": "HIGH" }, "idempotencyKey": "k" });
        // Somewhere among the tickets: what is done stays, the call says that it may be repeated.
        installation.store().fail_statement(80);
        let broken = agent.answer(&document("ticketBulkUpdate", RESULTS), json!({ "input": input })).await;
        assert!(broken.get("errors").is_some(), "{broken}");
        installation.store().fail_statement(0);
        let changed = "{ tickets(filter: { impact: { eq: HIGH } }) { totalCount } }";
        let done = agent.ask(changed, json!({})).await["tickets"]["totalCount"].as_u64().unwrap();
        assert!(0 < done && done < 30, "{done}");
        let again = agent.done("ticketBulkUpdate", input.clone(), RESULTS).await;
        assert_eq!(of(&again, "outcome"), vec![&json!("DONE"); 30]);
        assert_eq!(again["events"].as_array().map(Vec::len), Some(30), "those of the first call as well");
        let versions = "{ tickets(first: 100, filter: { tags: { has: \"vpn\" } }) { nodes { version } } }";
        let nodes = agent.ask(versions, json!({})).await["tickets"]["nodes"].take();
        assert!(nodes.as_array().unwrap().iter().all(|node| node["version"] == 2), "each once: {nodes}");

        // Nobody asks again: the job takes over.
        let other = json!({ "ids": ids(&tickets), "patch": { "urgency": "HIGH" } });
        installation.store().fail_statement(80);
        let broken = agent.answer(&document("ticketBulkUpdate", RESULTS), json!({ "input": other })).await;
        assert!(broken.get("errors").is_some(), "{broken}");
        installation.store().fail_statement(0);
        installation.config.jobs = true;
        installation.restart().await;
        let agent = installation.client(&company.agent.token);
        installation.clock.advance(chrono::Duration::minutes(2));
        let changed = "{ tickets(filter: { urgency: { eq: HIGH } }) { totalCount } }";
        tests::soon("the rest", async {
            while agent.ask(changed, json!({})).await["tickets"]["totalCount"] != 30 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_with_one_key_change_each_ticket_once() {
    each_engine(async |installation, company| {
        let agent = Arc::new(installation.client(&company.agent.token));
        let tickets = incidents(&agent, 12, "vpn").await;
        let input = json!({ "ids": ids(&tickets), "patch": { "impact": "HIGH" }, "idempotencyKey": "k" });
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (agent, input) = (Arc::clone(&agent), input.clone());
            let text = document("ticketBulkUpdate", "results { index id outcome } events { id }");
            calls.spawn(async move { agent.ask(&text, json!({ "input": input })).await["ticketBulkUpdate"].take() });
        }
        let answers = calls.join_all().await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        assert_eq!(of(&answers[0], "outcome"), vec![&json!("DONE"); 12]);
        for ticket in &tickets {
            assert_eq!(show(&agent, ticket, "version").await["version"], 2);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_are_under_way_at_most() {
    each_engine(async |installation, company| {
        let (agent, _, _) = long(installation, &company).await;
        let input = json!({ "filter": { "tags": { "has": "vpn" } }, "patch": { "impact": "LOW" } });
        for _ in 1..MAX_UNDER_WAY {
            agent.done("ticketBulkUpdate", input.clone(), STARTED).await;
        }
        let error = agent.user_error("ticketBulkUpdate", input.clone()).await;
        assert_eq!((&error["code"], &error["limit"]), (&json!("LIMIT"), &json!(MAX_UNDER_WAY)));
        // Those of others are theirs, and what is done within the call is under way for nobody.
        installation.client(&company.lead.token).done("ticketBulkUpdate", input, STARTED).await;
        let one = incidents(&agent, 1, "one").await;
        agent.done("ticketBulkUpdate", json!({ "ids": ids(&one), "patch": { "impact": "LOW" } }), STARTED).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_work_in_the_background_is_canceled_as_well() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        incidents(&installation.client(&company.agent.token), 1, "vpn").await;
        admin.done("calendarCreate", crate::service_levels::always("always"), "calendar { id }").await;
        let metrics = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT3H" }] }]);
        let policy = json!({ "calendar": { "key": "always" }, "metrics": metrics });
        let (from, to) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let simulate = json!({ "policy": policy, "from": from, "to": to });
        let started = admin.done("slaSimulate", simulate, "operation { id }").await;
        let id = started["operation"]["id"].clone();
        let canceled = admin.done("operationCancel", json!({ "id": id }), "operation { status }").await;
        assert_eq!(canceled["operation"]["status"], "CANCELED");
        let document = "query($id: ID!) { operation(id: $id) { status result { __typename } results { totalCount } } }";
        let expected = json!({ "status": "CANCELED", "result": null, "results": null });
        installation.config.jobs = true;
        installation.restart().await;
        let admin = installation.client(&company.admin.token);
        // Its job has been there when one that came later is done.
        let again = json!({ "policy": policy, "from": from, "to": to });
        let other = admin.done("slaSimulate", again, "operation { id }").await["operation"]["id"].take();
        until(&admin, &other, "the other", |shown| shown["status"] == "SUCCEEDED").await;
        assert_eq!(admin.ask(document, json!({ "id": id })).await["operation"], expected);
    })
    .await;
}
