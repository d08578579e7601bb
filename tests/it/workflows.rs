//! Workflows as a tenant's own data: drafted, checked, published, followed.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{each_engine, each_engine_with};

use crate::company_life::{assign, incident, incident_with, resolve, step};

/// What is broken, how, where that shows, and a word of the message.
type Broken = (&'static str, &'static dyn Fn(&mut Value), &'static str, &'static str);

const SHOWN: &str = "workflow { key version published { number } draft { number } }";

/// The default workflow of incidents as an input, to begin from.
async fn default_document(client: &Client) -> Value {
    let query = "{ workflow(key: \"incident\") { published { initial autoClose states { key name category } \
                 transitions { key name from to permission required optional } resolutionCodes { key name } } } }";
    client.ask(query, json!({})).await["workflow"]["published"].take()
}

fn input(key: &str, document: &Value) -> Value {
    json!({ "key": key, "name": "Incidents of ours", "kind": "INCIDENT", "document": document })
}

/// The transition with this key.
fn transition<'a>(document: &'a mut Value, key: &str) -> &'a mut Value {
    let transitions = document["transitions"].as_array_mut().expect("transitions");
    transitions.iter_mut().find(|found| found["key"] == key).expect("a transition of this key")
}

fn renamed(state: &Value) -> Value {
    if state == "on_hold" { json!("paused") } else { state.clone() }
}

async fn publish(admin: &Client, document: &Value) {
    admin.done("workflowCreate", input("incident", document), SHOWN).await;
    admin.done("workflowPublish", json!({ "key": "incident" }), SHOWN).await;
}

async fn transitions(client: &Client, ticket: &Value) -> Value {
    let query = "query($id: ID!) { ticket(by: { id: $id }) { availableTransitions { key allowed reasons } } }";
    client.ask(query, json!({ "id": ticket["id"] })).await["ticket"]["availableTransitions"].take()
}

async fn followed(client: &Client, ticket: &Value) -> Value {
    let query = "query($id: ID!) { ticket(by: { id: $id }) { state { key name category } workflow { key number } } }";
    client.ask(query, json!({ "id": ticket["id"] })).await["ticket"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_can_be_read_by_everybody_and_changed_by_nobody() {
    each_engine(async |installation, company| {
        let requester = installation.client(&company.requester.token);
        let query = "{ workflow(key: \"incident\") { id version published { number isDraft publishedAt asMermaid } draft { number } } \
                     workflows(kind: INCIDENT) { key } none: workflow(key: \"nothing\") { key } }";
        let data = requester.ask(query, json!({})).await;
        assert_eq!(data["workflow"]["id"], Value::Null);
        assert_eq!(data["workflow"]["published"]["number"], 1);
        let picture = data["workflow"]["published"]["asMermaid"].as_str().unwrap();
        assert!(picture.starts_with("stateDiagram-v2") && picture.contains("new --> assigned: Assign"), "{picture}");
        assert_eq!(data["workflows"], json!([{ "key": "incident" }]));
        assert_eq!(data["none"], Value::Null);
        let document = default_document(&requester).await;
        for (mutation, given) in [
            ("workflowCreate", input("incident", &document)),
            ("workflowValidate", json!({ "kind": "INCIDENT", "document": document })),
            ("workflowUpdate", json!({ "key": "incident", "name": "Mine" })),
            ("workflowPublish", json!({ "key": "incident" })),
        ] {
            let payload = requester.call(mutation, given, "__typename").await;
            assert_eq!(payload["userErrors"][0]["code"], "FORBIDDEN", "{mutation}");
        }
        let admin = installation.client(&company.admin.token);
        let error = admin.user_error("workflowUpdate", json!({ "key": "incident", "name": "Mine" })).await;
        assert!(error["message"].as_str().unwrap().contains("workflowCreate"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_document_is_named_with_its_place() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let sound = default_document(&admin).await;
        let valid = async |document: &Value| {
            let given = json!({ "kind": "INCIDENT", "document": document });
            admin.call("workflowValidate", given, "valid").await
        };
        assert_eq!(valid(&sound).await["valid"], true);
        let broken: &[Broken] = &[
            (
                "no end",
                &|document| {
                    transition(document, "close")["to"] = json!("in_progress");
                    document["transitions"].as_array_mut().unwrap().retain(|found| found["key"] != "cancel");
                },
                "document.states.0",
                "no way leads",
            ),
            (
                "a state out of reach",
                &|document| {
                    let lost = json!({ "key": "lost", "name": "Lost", "category": "ACTIVE" });
                    document["states"].as_array_mut().unwrap().push(lost);
                },
                "document.states.7",
                "cannot be reached",
            ),
            (
                "a guard on a field that is none",
                &|document| {
                    transition(document, "close")["guards"] =
                        json!([{ "filter": { "colour": { "eq": "red" } }, "reason": "No." }]);
                },
                "document.transitions.6.guards.0.filter",
                "colour",
            ),
            (
                "a guard on a field that not everybody reads",
                &|document| {
                    let guard = json!([{ "filter": { "reassignmentCount": { "gt": 1 } }, "reason": "No." }]);
                    transition(document, "close")["guards"] = guard;
                },
                "document.transitions.6.guards.0.filter.reassignmentCount",
                "cannot be filtered",
            ),
            (
                "a state that is none",
                &|document| transition(document, "resume")["to"] = json!("nowhere"),
                "document.transitions.3.to",
                "nowhere",
            ),
            (
                "waiting for nothing",
                &|document| transition(document, "hold")["required"] = json!([]),
                "document.transitions.2.required",
                "waitingReason",
            ),
            (
                "resolving without saying how",
                &|document| transition(document, "resolve")["required"] = json!(["resolutionNotes"]),
                "document.transitions.4.required",
                "resolutionCode",
            ),
            (
                "an input that no incident takes",
                &|document| transition(document, "start")["optional"] = json!(["colour"]),
                "document.transitions.1.optional.0",
                "colour",
            ),
            (
                "an effect with a team that is not there",
                &|document| {
                    let effect = json!([{ "setField": { "field": "TEAM", "value": "nobody" } }]);
                    transition(document, "start")["effects"] = effect;
                },
                "document.transitions.1.effects.0.value.slug",
                "was not found",
            ),
            (
                "a duration that is none",
                &|document| document["autoClose"] = json!("-P1D"),
                "document.autoClose",
                "-P1D",
            ),
            (
                "a permission that is none",
                &|document| transition(document, "start")["permission"] = json!("ticket.fly"),
                "document.transitions.1.permission",
                "ticket.fly",
            ),
        ];
        for (name, change, path, word) in broken {
            let mut document = sound.clone();
            change(&mut document);
            let payload = valid(&document).await;
            assert_eq!(payload["valid"], false, "{name}");
            let errors = payload["userErrors"].as_array().unwrap();
            let at = |error: &Value| {
                let path = error["path"].as_array().unwrap().iter();
                path.map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(".")
            };
            let found =
                errors.iter().any(|error| at(error) == *path && error["message"].as_str().unwrap().contains(word));
            assert!(found, "{name}: {errors:?}");
            // What cannot be published cannot be drafted either.
            let refused = admin.call("workflowCreate", input("incident", &document), "workflow { key }").await;
            assert_eq!(refused["workflow"], Value::Null, "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_version_is_for_new_tickets_and_never_changes() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let requester = installation.client(&company.requester.token);
        let old = incident(&requester, "Before").await;
        let mut document = default_document(&admin).await;
        document["states"][2]["name"] = json!("Being repaired");
        transition(&mut document, "resolve")["guards"] = json!([
            { "filter": { "assignee": { "isNull": false } }, "reason": "Somebody must have worked on it." },
            { "filter": { "assignee": { "isViewer": true } }, "reason": "Whoever works on it resolves it." },
        ]);
        transition(&mut document, "start")["effects"] = json!([
            { "setField": { "field": "TAG", "value": "started" } },
            { "setField": { "field": "URGENCY", "value": "HIGH" } },
        ]);
        let dry = {
            let mut dry = input("incident", &document);
            dry["dryRun"] = json!(true);
            admin.done("workflowCreate", dry, SHOWN).await
        };
        assert_eq!(dry["workflow"]["draft"]["number"], 2, "{dry}");
        let created = admin.done("workflowCreate", input("incident", &document), SHOWN).await;
        assert_eq!(created["workflow"]["draft"]["number"], 2, "the default that ships is the first version");
        assert_eq!(created["workflow"]["published"]["number"], 1);
        let drafts = "{ workflow(key: \"incident\") { draft { number } versions { number } } }";
        assert_eq!(requester.ask(drafts, json!({})).await["workflow"]["draft"], Value::Null, "drafts are for their authors");
        let still = incident(&requester, "Drafted only").await;
        assert_eq!(followed(&agent, &still).await, Value::Null, "the agent's team has nothing to do with it");
        assert_eq!(followed(&requester, &still).await["workflow"]["number"], 1);

        let stale = json!({ "key": "incident", "expectedVersion": 7 });
        assert_eq!(admin.user_error("workflowPublish", stale).await["code"], "CONFLICT");
        let published = admin.done("workflowPublish", json!({ "key": "incident" }), SHOWN).await;
        assert_eq!(published["workflow"]["published"]["number"], 2);
        let again = admin.user_error("workflowPublish", json!({ "key": "incident" })).await;
        assert!(again["message"].as_str().unwrap().contains("no draft"), "{again}");

        let ticket = incident_with(&agent, json!({ "title": "After", "team": { "slug": "network" }, "requester": { "email": company.requester.email } })).await;
        assert_eq!(followed(&agent, &ticket).await["workflow"], json!({ "key": "incident", "number": 2 }));
        assert_eq!(followed(&requester, &old).await["workflow"]["number"], 1, "who began under the first stays there");
        step(&agent, &ticket, "start", json!({})).await;
        let shown = "query($id: ID!) { ticket(by: { id: $id }) { tags urgency priority state { name } } }";
        let started = agent.ask(shown, json!({ "id": ticket["id"] })).await["ticket"].take();
        assert_eq!(started, json!({ "tags": ["started"], "urgency": "HIGH", "priority": "P2", "state": { "name": "Being repaired" } }));
        let open = transitions(&agent, &ticket).await;
        let resolving = open.as_array().unwrap().iter().find(|found| found["key"] == "resolve").unwrap().clone();
        assert_eq!(resolving["allowed"], false);
        assert_eq!(resolving["reasons"], json!(["Somebody must have worked on it.", "Whoever works on it resolves it."]));
        let given = json!({ "id": ticket["id"], "resolutionCode": "SOLVED", "resolutionNotes": "Done." });
        assert_eq!(agent.user_error("incidentResolve", given).await["code"], "TRANSITION_REFUSED");
        assign(&agent, &ticket, "network", Some(&company.agent.email)).await;
        resolve(&agent, &ticket).await;

        // The next draft leaves the published one alone.
        document["autoClose"] = json!("P1D");
        let updated = admin.done("workflowUpdate", json!({ "key": "incident", "document": document }), SHOWN).await;
        assert_eq!((&updated["workflow"]["published"]["number"], &updated["workflow"]["draft"]["number"]), (&json!(2), &json!(3)));
        let diff = "{ workflowDiff(key: \"incident\", from: 2, to: 3) { kind path before after } \
                    all: workflowDiff(key: \"incident\", from: 1, to: 2) { kind path } }";
        let data = admin.ask(diff, json!({})).await;
        assert_eq!(data["workflowDiff"], json!([{ "kind": "CHANGED", "path": "autoClose", "before": "P5D", "after": "P1D" }]));
        let paths: Vec<_> = data["all"].as_array().unwrap().iter().map(|found| found["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["states.in_progress.name", "transitions.start.effects", "transitions.resolve.guards"]);
        let mut other = document.clone();
        other["states"][2]["category"] = json!("WAITING");
        transition(&mut other, "start")["required"] = json!(["waitingReason"]);
        transition(&mut other, "resume")["required"] = json!(["waitingReason"]);
        transition(&mut other, "reopen")["required"] = json!(["waitingReason"]);
        admin.done("workflowUpdate", json!({ "key": "incident", "document": other }), SHOWN).await;
        let refused = admin.user_error("workflowPublish", json!({ "key": "incident" })).await;
        assert!(refused["message"].as_str().unwrap().contains("was ACTIVE"), "a state's category stays: {refused}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_can_be_for_some_tickets_of_a_kind() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let document = default_document(&admin).await;
        let mut given = input("network", &document);
        given["filter"] = json!({ "team": { "slug": { "eq": "network" } } });
        admin.done("workflowCreate", given.clone(), SHOWN).await;
        admin.done("workflowPublish", json!({ "key": "network" }), SHOWN).await;
        let of = async |team: &str| {
            let requester = json!({ "email": company.requester.email });
            let ticket =
                incident_with(&agent, json!({ "title": "x", "team": { "slug": team }, "requester": requester })).await;
            followed(&installation.client(&company.lead.token), &ticket).await["workflow"]["key"].take()
        };
        assert_eq!(of("network").await, "network");
        assert_eq!(of("workplace").await, "incident");
        let anew = json!({ "key": "network", "filter": { "team": { "slug": { "eq": "workplace" } } } });
        admin.done("workflowUpdate", anew, SHOWN).await;
        assert_eq!((of("network").await, of("workplace").await), (json!("incident"), json!("network")));
        let taken = admin.user_error("workflowCreate", given).await;
        assert_eq!(taken["code"], "CONFLICT");
        let mut odd = input("other", &document);
        odd["filter"] = json!({ "createdAt": { "gt": "-P1D" } });
        let error = admin.user_error("workflowCreate", odd).await;
        assert_eq!(error["path"], json!(["filter", "createdAt"]), "relative to now: {error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_tickets_move_to_a_new_version_by_a_mapping() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
            let lead = installation.client(&company.lead.token);
            let open = |title: String| json!({ "title": title, "team": { "slug": "network" }, "requester": { "email": company.requester.email } });
            let mut held = Vec::new();
            for number in 0..60 {
                held.push(incident_with(&agent, open(format!("Ticket {number}"))).await);
            }
            step(&agent, &held[0], "hold", json!({ "waitingReason": "VENDOR" })).await;
            let closed = incident_with(&agent, open("Closed".into())).await;
            resolve(&agent, &closed).await;
            step(&agent, &closed, "close", json!({})).await;

            // `assigned` is gone, `on_hold` has another name.
            let mut document = default_document(&admin).await;
            document["states"].as_array_mut().unwrap().retain(|state| state["key"] != "assigned");
            document["states"][2] = json!({ "key": "paused", "name": "Paused", "category": "WAITING" });
            document["transitions"].as_array_mut().unwrap().retain(|found| found["key"] != "assign");
            for found in document["transitions"].as_array_mut().unwrap() {
                found["to"] = renamed(&found["to"]);
                let from = found["from"].as_array().unwrap().iter().filter(|state| *state != "assigned").map(renamed);
                found["from"] = from.collect();
            }
            admin.done("workflowCreate", input("incident", &document), SHOWN).await;
            let half = json!({ "key": "incident", "migrate": [{ "from": "on_hold", "to": "paused" }] });
            let error = admin.user_error("workflowPublish", half).await;
            assert!(error["message"].as_str().unwrap().contains("`assigned`"), "{error}");
            let wrong = json!({ "key": "incident", "migrate": [
                { "from": "on_hold", "to": "paused" }, { "from": "assigned", "to": "paused" }
            ] });
            let error = admin.user_error("workflowPublish", wrong).await;
            assert_eq!(error["path"], json!(["migrate", "1", "to"]), "{error}");
            let mapping = json!([{ "from": "on_hold", "to": "paused" }, { "from": "assigned", "to": "in_progress" }]);
            admin.done("workflowPublish", json!({ "key": "incident", "migrate": mapping }), SHOWN).await;
            let moved = async {
                let count = "{ tickets(filter: { state: { key: { in: [\"in_progress\", \"paused\"] } } }) { totalCount } }";
                while lead.ask(count, json!({})).await["tickets"]["totalCount"] != 60 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tests::soon("sixty tickets in their new states", moved).await;
            let state = |key: &str, name: &str, category: &str| {
                json!({ "state": { "key": key, "name": name, "category": category }, "workflow": { "key": "incident", "number": 2 } })
            };
            assert_eq!(followed(&agent, &held[0]).await, state("paused", "Paused", "WAITING"));
            assert_eq!(followed(&agent, &held[59]).await, state("in_progress", "In Progress", "ACTIVE"));
            assert_eq!(followed(&agent, &closed).await["workflow"]["number"], 1, "what is over stays as it was");
            installation.log_end(&agent).await;
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 1) { nodes { __typename actor { __typename } changes { field before after } } } } }";
            let last = agent.ask(history, json!({ "id": held[0]["id"] })).await["ticket"]["history"]["nodes"][0].take();
            assert_eq!((&last["__typename"], &last["actor"]["__typename"]), (&json!("TicketWorkflowChanged"), &json!("System")));
            assert!(last["changes"].as_array().unwrap().contains(&json!({ "field": "state", "before": "on_hold", "after": "paused" })), "{last}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_of_ones_own_costs_no_more_statements() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let open =
            json!({ "title": "x", "team": { "slug": "network" }, "requester": { "email": company.requester.email } });
        let cost = async || {
            let ticket = incident_with(&agent, open.clone()).await;
            step(&agent, &ticket, "start", json!({})).await;
            let before = installation.store().statement_count();
            step(&agent, &ticket, "hold", json!({ "waitingReason": "VENDOR" })).await;
            installation.store().statement_count() - before
        };
        let plain = cost().await;
        let mut document = default_document(&admin).await;
        transition(&mut document, "hold")["guards"] = json!([
            { "filter": { "team": { "slug": { "eq": "network" } } }, "reason": "a" },
            { "filter": { "priority": { "in": ["P1", "P2", "P3", "P4", "P5"] } }, "reason": "b" },
            { "filter": { "not": { "tags": { "has": "vip" } } }, "reason": "c" },
        ]);
        publish(&admin, &document).await;
        cost().await;
        let guarded = cost().await;
        assert_eq!(guarded, plain, "a version that is known is not read again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transition_asks_for_approval_which_holds_back_another_and_creates_tasks() {
    each_engine(async |installation, company| {
        let client = |token: &str| installation.client(token);
        let (admin, agent, requester) =
            (client(&company.admin.token), client(&company.agent.token), client(&company.requester.token));
        let mut document = default_document(&admin).await;
        let effects = json!([
            { "startApproval": {
                "name": "Purchase", "blocks": ["resolve"], "boundFields": ["title"], "expiresIn": "P5D",
                "steps": [{ "name": "Budget", "rule": "QUORUM", "ruleValue": 1, "approvers": [
                    { "user": company.sam.email }, { "path": "REQUESTER_MANAGER" }
                ], "vetoHolders": [{ "role": "auditor" }] }],
            } },
            { "createTasks": { "tasks": [
                { "key": "set-up", "title": "Set it up", "dependsOn": ["order"] },
                { "key": "order", "title": "Order it", "team": "network", "assignee": company.agent.email, "urgency": "HIGH" },
            ] } },
        ]);
        let mut wrong = document.clone();
        transition(&mut wrong, "start")["effects"] = effects.clone();
        transition(&mut wrong, "start")["effects"][0]["startApproval"]["steps"][0]["ruleValue"] = json!(3);
        transition(&mut wrong, "start")["effects"][1]["createTasks"]["tasks"][1]["dependsOn"] = json!(["set-up"]);
        transition(&mut wrong, "cancel")["effects"] = json!([effects[1]]);
        let given = json!({ "kind": "INCIDENT", "document": wrong });
        let payload = admin.call("workflowValidate", given, "valid").await;
        let places: Vec<_> = payload["userErrors"].as_array().unwrap().iter().map(|error| {
            let path = error["path"].as_array().unwrap().iter();
            path.map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(".")
        }).collect();
        assert_eq!(places, [
            "document.transitions.1.effects.0.startApproval.steps.0.ruleValue",
            "document.transitions.1.effects.1.createTasks.tasks.0.dependsOn",
            "document.transitions.7.effects.0.createTasks",
        ]);

        transition(&mut document, "start")["effects"] = effects.clone();
        publish(&admin, &document).await;
        let shown = "{ workflow(key: \"incident\") { published { document transitions { effects { \
            startApproval { expiresIn steps { approvers { user } } } createTasks { tasks { assignee } } } } } } }";
        let published = admin.ask(shown, json!({})).await["workflow"]["published"].take();
        assert_eq!(published["document"]["transitions"][1]["effects"], effects, "as it was written");
        let told = &published["transitions"][1]["effects"];
        assert_eq!(told[0]["startApproval"]["steps"][0]["approvers"][0]["user"], company.sam.email);
        assert_eq!(told[0]["startApproval"]["expiresIn"], "P5D");
        assert_eq!(told[1]["createTasks"]["tasks"][1]["assignee"], company.agent.email);
        let unseen = requester.ask(shown, json!({})).await["workflow"]["published"].take();
        assert!(!unseen.to_string().contains('@'), "addresses are for those who may read them: {unseen}");
        let diff = "{ workflowDiff(key: \"incident\", from: 1, to: 2) { path } }";
        let differs = requester.ask(diff, json!({})).await["workflowDiff"].take();
        assert_eq!(differs, json!([{ "path": "transitions.start.effects" }]));

        let open = json!({ "title": "A laptop", "team": { "slug": "network" }, "requester": { "email": company.requester.email } });
        let ticket = incident_with(&admin, open).await;
        let id = ticket["id"].clone();
        let taken = "ticket { version approvals { id } } events { __typename ... on ApprovalStarted { transition approval { name } } \
            ... on TaskCreated { transition ticket { title openedBy { __typename } requester { name } } } }";
        let input = |key: &str| json!({ "id": id, "transition": "start", "idempotencyKey": key });
        let mut dry = input("dry");
        dry["dryRun"] = json!(true);
        let dried = agent.done("ticketTransition", dry, "events { __typename }").await;
        assert_eq!(dried["events"].as_array().map(Vec::len), Some(5));
        let first = agent.done("ticketTransition", input("k"), taken).await;
        assert_eq!(first["events"][1], json!({ "__typename": "ApprovalStarted", "transition": "start", "approval": { "name": "Purchase" } }));
        assert_eq!(first["events"][3], json!({ "__typename": "TaskCreated", "transition": "start", "ticket": {
            "title": "Order it", "openedBy": { "__typename": "System" }, "requester": { "name": "Agent" },
        } }));
        let again = agent.done("ticketTransition", input("k"), taken).await;
        assert_eq!(again["ticket"], first["ticket"]);
        assert_eq!(again["events"].as_array().map(Vec::len), Some(5));
        let seen = "query($id: ID!) { ticket(by: { id: $id }) { approvals { id requestedBy { name } steps { votes { approver { name } veto } } } \
            tasks(first: 5) { nodes { title openDependencies dependsOn { title } assignee { name } } } } }";
        let found = agent.ask(seen, json!({ "id": id })).await["ticket"].take();
        assert_eq!(found["approvals"].as_array().map(Vec::len), Some(1));
        assert_eq!(found["approvals"][0]["requestedBy"]["name"], "Agent");
        let tasks = found["tasks"]["nodes"].as_array().unwrap();
        let task = |title: &str| tasks.iter().find(|task| task["title"] == title).unwrap();
        assert_eq!(task("Set it up")["dependsOn"], json!([{ "title": "Order it" }]));
        assert_eq!((&task("Order it")["assignee"]["name"], tasks.len()), (&json!("Agent"), 2));

        let resolving = json!({ "id": id, "resolutionCode": "SOLVED", "resolutionNotes": "Bought." });
        assert_eq!(agent.user_error("incidentResolve", resolving.clone()).await["code"], "APPROVAL_PENDING");
        let approval = found["approvals"][0]["id"].clone();
        for person in [&company.sam, &company.auditor] {
            let input = json!({ "id": approval, "decision": "APPROVE" });
            client(&person.token).done("approvalDecide", input, "approval { state }").await;
        }
        agent.done("incidentResolve", resolving, "incident { id }").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolved_ticket_is_reopened_within_the_window() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let mut document = default_document(&admin).await;
        document["reopenWindow"] = json!("PT0S");
        let wrong = admin.call("workflowValidate", json!({ "kind": "INCIDENT", "document": document }), "valid").await;
        assert_eq!(wrong["userErrors"][0]["path"], json!(["document", "reopenWindow"]), "{wrong}");
        document["reopenWindow"] = json!("P2D");
        publish(&admin, &document).await;
        let shown = "{ workflow(key: \"incident\") { published { reopenWindow } } }";
        assert_eq!(admin.ask(shown, json!({})).await["workflow"]["published"]["reopenWindow"], "P2D");
        let requester = json!({ "email": company.requester.email });
        let input = json!({ "title": "x", "team": { "slug": "network" }, "requester": requester });
        let ticket = incident_with(&agent, input).await;
        let reopen = json!({ "id": ticket["id"] });
        resolve(&agent, &ticket).await;
        installation.clock.advance(chrono::Duration::days(2));
        agent.done("incidentReopen", reopen.clone(), "incident { id }").await;
        resolve(&agent, &ticket).await;
        installation.clock.advance(chrono::Duration::days(2) + chrono::Duration::seconds(1));
        let late = agent.user_error("incidentReopen", reopen).await;
        assert_eq!(late["code"], "TRANSITION_REFUSED");
        assert!(late["reasons"][0].as_str().expect("a reason").contains("`P2D`"), "{late}");
        let open = transitions(&agent, &ticket).await;
        let allowed: Vec<_> = open.as_array().unwrap().iter().filter(|found| found["allowed"] == true).collect();
        assert_eq!(allowed.len(), 1, "it can still be closed: {open}");
    })
    .await;
}
