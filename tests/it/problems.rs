//! Problems: their life, their incidents, their known errors, and everything that they share with other tickets.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};

use crate::company_life::{assign, comment, incident, incident_with, resolve, step};

/// Opens a problem of the team `network`.
pub async fn problem(client: &Client, more: Value) -> Value {
    let mut input = json!({ "title": "The gateway drops sessions", "team": { "slug": "network" } });
    for (name, value) in more.as_object().expect("an object") {
        input[name] = value.clone();
    }
    client.done("problemCreate", input, "problem { id number version }").await["problem"].take()
}

async fn see(client: &Client, problem: &Value, fields: &str) -> Value {
    let query = format!("query($id: ID!) {{ problem(by: {{ id: $id }}) {{ {fields} }} }}");
    client.ask(&query, json!({ "id": problem["id"] })).await["problem"].take()
}

pub fn named(tickets: &[&Value]) -> Value {
    json!({ "ids": tickets.iter().map(|ticket| &ticket["number"]).collect::<Vec<_>>() })
}

const LINKED: &str =
    "problem { number } results { outcome incident { number } userErrors { code path } } hasMore events { __typename }";

pub async fn link(client: &Client, problem: &Value, incidents: Value) -> Value {
    let input = json!({ "problem": problem["number"], "incidents": incidents });
    client.done("problemLinkIncidents", input, LINKED).await
}

fn outcomes(payload: &Value) -> Vec<&str> {
    let results = payload["results"].as_array().expect("results");
    results.iter().map(|result| result["outcome"].as_str().expect("an outcome")).collect()
}

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
            tests::soon("the incident wakes", async {
                while state(&agent, &sleeping).await != "in_progress" {
                    tokio::task::yield_now().await;
                }
            })
            .await;
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

pub async fn state(client: &Client, ticket: &Value) -> String {
    let query = "query($id: ID!) { ticket(by: { id: $id }) { state { key } } }";
    let data = client.ask(query, json!({ "id": ticket["id"] })).await;
    data["ticket"]["state"]["key"].as_str().expect("a state").to_owned()
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
        for transition in ["assess", "analyze", "fix"] {
            step(&agent, &found, transition, json!({})).await;
        }
        let fixed = json!({ "id": found["id"], "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
        agent.done("problemResolve", fixed, "problem { id }").await;
        assert_eq!(see(&agent, &found, "slaState").await["slaState"], "MET");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_are_linked_singly_and_by_filter() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let requester = installation.client(&company.requester.token);
        let found = problem(&agent, json!({})).await;
        let mut incidents = Vec::new();
        for (title, team) in [("one", "network"), ("two", "network"), ("closed", "network"), ("theirs", "workplace")] {
            let made = incident(&requester, title).await;
            assign(&admin, &made, team, None).await;
            incidents.push(made);
        }
        let [one, two, closed, theirs] = &incidents[..] else { panic!("four") };
        resolve(&admin, closed).await;
        step(&admin, closed, "close", json!({})).await;
        // Singly, by the link that any two tickets can have.
        agent.done("ticketLink", json!({ "id": one["id"], "type": "CAUSED_BY", "target": found["number"] }), "ticket { id }").await;
        let mut input = json!({ "problem": found["id"], "incidents": named(&[one, two, closed, theirs, two]), "dryRun": true });
        let dry = agent.done("problemLinkIncidents", input.clone(), LINKED).await;
        assert_eq!(outcomes(&dry), ["ALREADY_LINKED", "LINKED", "LINKED", "REFUSED", "ALREADY_LINKED"], "{dry:#}");
        assert_eq!(see(&agent, &found, "incidents { totalCount }").await["incidents"]["totalCount"], 1, "a dry run leaves nothing");
        input["dryRun"] = json!(false);
        input["idempotencyKey"] = json!("k");
        let done = agent.done("problemLinkIncidents", input.clone(), LINKED).await;
        assert_eq!(outcomes(&done), outcomes(&dry), "a closed incident is linked like another: causes are looked for in the past");
        assert_eq!(done["results"][3]["userErrors"], json!([{ "code": "NOT_FOUND", "path": [] }]), "what the viewer may not see is not there");
        assert_eq!(done["results"][3]["incident"], Value::Null);
        assert_eq!(agent.done("problemLinkIncidents", input, LINKED).await, done, "the same call again answers the same");
        let seen = see(&agent, &found, "affectedUserCount incidents { totalCount nodes { title problems { number } } }").await;
        assert_eq!((&seen["incidents"]["totalCount"], &seen["affectedUserCount"]), (&json!(3), &json!(1)), "{seen:#}");
        // Those of one instant come in any order.
        let listed = seen["incidents"]["nodes"].as_array().expect("incidents");
        assert!(listed.contains(&json!({ "title": "one", "problems": [{ "number": found["number"] }] })), "{seen:#}");
        let history = "history(last: 1) { nodes { __typename ... on ProblemIncidentsLinked { incidents { title } } } }";
        installation.log_end(&agent).await;
        let last = see(&agent, &found, history).await["history"]["nodes"][0].clone();
        assert_eq!(last["__typename"], "ProblemIncidentsLinked", "{last}");
        assert_eq!(last["incidents"].as_array().map(Vec::len), Some(2));

        // By a filter: what is linked already is passed over, and what one may not see is not found.
        for number in 0..3 {
            let sam = installation.client(&company.sam.token);
            let made = incident(&sam, &format!("Drops {number}")).await;
            assign(&admin, &made, "network", None).await;
        }
        let filter = json!({ "filter": { "or": [{ "title": { "startsWith": "Drops" } }, { "title": { "eq": "one" } }, { "title": { "eq": "theirs" } }] } });
        let done = link(&agent, &found, filter.clone()).await;
        assert_eq!((outcomes(&done), &done["hasMore"]), (vec!["LINKED"; 3], &json!(false)), "{done:#}");
        assert_eq!(outcomes(&link(&agent, &found, filter).await), Vec::<&str>::new(), "nothing is left to link");
        // Pages of it, both ways.
        let page = see(&agent, &found, "affectedUserCount incidents(first: 4) { pageInfo { hasNextPage endCursor } nodes { title } }").await;
        assert_eq!((&page["affectedUserCount"], &page["incidents"]["pageInfo"]["hasNextPage"]), (&json!(2), &json!(true)), "{page:#}");
        let rest = format!("incidents(first: 4, after: {}) {{ pageInfo {{ hasNextPage }} nodes {{ title }} }}", page["incidents"]["pageInfo"]["endCursor"]);
        let rest = see(&agent, &found, &rest).await;
        assert_eq!(rest["incidents"]["nodes"].as_array().map(Vec::len), Some(2));
        assert_eq!(rest["incidents"]["pageInfo"]["hasNextPage"], false);
        // The admin sees one more.
        link(&admin, &found, named(&[theirs])).await;
        assert_eq!(see(&admin, &found, "incidents { totalCount }").await["incidents"]["totalCount"], 7);
        assert_eq!(see(&agent, &found, "incidents { totalCount }").await["incidents"]["totalCount"], 6, "as far as the viewer may see them");
        let mine = requester.ask("query($id: ID!) { incident(by: { id: $id }) { problems { number } } }", json!({ "id": one["id"] })).await;
        assert_eq!(mine["incident"]["problems"], json!([]), "the requester does not learn of the problem");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_and_named() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let (walt, requester) =
            (installation.client(&company.walt.token), installation.client(&company.requester.token));
        let found = problem(&agent, json!({ "workaround": "Use the cable." })).await;
        let empty = problem(&agent, json!({})).await;
        let of = incident(&agent, "An incident").await;
        let many: Vec<Value> = (0..101).map(|_| of["number"].clone()).collect();
        let id = &found["id"];
        for (mutation, input, code, path) in [
            ("problemCreate", json!({ "title": " " }), "VALIDATION", json!(["title"])),
            (
                "problemCreate",
                json!({ "title": "x", "knownError": true, "symptom": "It drops." }),
                "VALIDATION",
                json!(["knownError"]),
            ),
            (
                "problemCreate",
                json!({ "title": "x", "workaround": "x".repeat(65_537) }),
                "VALIDATION",
                json!(["workaround"]),
            ),
            (
                "problemCreate",
                json!({ "title": "x", "service": { "key": "none" } }),
                "NOT_FOUND",
                json!(["service", "key"]),
            ),
            ("problemUpdate", json!({ "id": id, "knownError": true }), "VALIDATION", json!(["knownError"])),
            ("problemUpdate", json!({ "id": "PRB-1", "title": "x" }), "NOT_FOUND", json!(["id"])),
            (
                "problemResolve",
                json!({ "id": id, "resolutionCode": "MAGIC", "resolutionNotes": "x" }),
                "TRANSITION_REFUSED",
                json!(["transition"]),
            ),
            ("problemPublishWorkaround", json!({ "id": empty["id"] }), "VALIDATION", json!(["id"])),
            ("problemPublishWorkaround", json!({ "id": of["id"] }), "VALIDATION", json!(["id"])),
            (
                "problemLinkIncidents",
                json!({ "problem": id, "incidents": { "ids": [] } }),
                "LIMIT",
                json!(["incidents", "ids"]),
            ),
            (
                "problemLinkIncidents",
                json!({ "problem": id, "incidents": { "ids": many } }),
                "LIMIT",
                json!(["incidents", "ids"]),
            ),
            (
                "problemLinkIncidents",
                json!({ "problem": id, "incidents": { "ids": ["nonsense"] } }),
                "VALIDATION",
                json!(["incidents", "ids", "0"]),
            ),
            (
                "problemLinkIncidents",
                json!({ "problem": of["id"], "incidents": { "ids": [of["id"]] } }),
                "VALIDATION",
                json!(["problem"]),
            ),
        ] {
            let error = agent.user_error(mutation, input.clone()).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &path), "{mutation} {input}: {error}");
        }
        let long = problem(&agent, json!({ "workaround": "x".repeat(60 * 1024 + 1) })).await;
        let error = agent.user_error("problemPublishWorkaround", json!({ "id": long["id"] })).await;
        assert_eq!(error["constraint"], "maxBytes", "with what stands above it, it would fit no comment");
        // Who may not, may not; and what one does not see is not there.
        let refused = requester.user_error("problemCreate", json!({ "title": "x" })).await;
        assert_eq!((&refused["code"], &refused["permission"]), (&json!("FORBIDDEN"), &json!("problem.manage")));
        for mutation in ["problemPublishWorkaround", "problemReopen"] {
            assert_eq!(walt.user_error(mutation, json!({ "id": id })).await["code"], "NOT_FOUND");
        }
        // A ticket of another kind among the incidents is no incident.
        let done = link(&agent, &found, named(&[&empty, &of])).await;
        assert_eq!(outcomes(&done), ["REFUSED", "LINKED"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_errors_are_found_by_what_they_say() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let known = json!({ "knownError": true, "symptom": "Sessions drop after ten minutes.", "rootCause": "A timer.", "workaround": "Use the cable." });
        let found = problem(&agent, known).await;
        problem(&agent, json!({ "symptom": "Sessions drop." })).await;
        let list = "query($filter: ProblemFilter) { knownErrors(filter: $filter) { totalCount nodes { number symptom rootCause workaround } } }";
        let all = agent.ask(list, json!({})).await;
        assert_eq!((&all["knownErrors"]["totalCount"], &all["knownErrors"]["nodes"][0]["rootCause"]), (&json!(1), &json!("A timer.")));
        let with = |symptom: &str| json!({ "filter": { "symptom": { "contains": symptom } } });
        assert_eq!(agent.ask(list, with("SESSIONS DROP")).await["knownErrors"]["nodes"][0]["number"], found["number"]);
        assert_eq!(agent.ask(list, with("printer")).await["knownErrors"]["totalCount"], 0);
        // Its texts are for those who work on it: its requester may see the ticket and no more.
        let lead = installation.client(&company.lead.token);
        lead.done("problemUpdate", json!({ "id": found["id"], "requester": { "email": company.sam.email } }), "problem { id }").await;
        let sam = installation.client(&company.sam.token);
        let seen = see(&sam, &found, "title knownError symptom rootCause workaround").await;
        assert_eq!((&seen["symptom"], &seen["rootCause"], &seen["workaround"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(sam.refused(list, with("x")).await, "VALIDATION", "nor may they look for them");
        let change = agent.done("problemUpdate", json!({ "id": found["id"], "rootCause": null }), "problem { rootCause } events { changes { field before after } }").await;
        assert_eq!(change["events"][0]["changes"], json!([{ "field": "rootCause", "before": "A timer.", "after": null }]));
        let refused = agent.user_error("problemUpdate", json!({ "id": found["id"], "workaround": null })).await;
        assert_eq!(refused["path"], json!(["knownError"]), "nothing would be left to recognise it by");
    })
    .await;
}

/// Statements of an operation, whatever the number of rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn problems_and_their_incidents_take_a_few_statements() {
    each_engine(async |installation: &mut Installation, company: Company| {
        let agent = installation.client(&company.agent.token);
        let document = "{ problems(first: 50) { nodes { number knownError affectedUserCount incidents(first: 5) { nodes { title problems { number } } } } } }";
        let mut counts = Vec::new();
        for more in [2, 7] {
            for number in 0..more {
                let found = problem(&agent, json!({})).await;
                let one = incident_with(&agent, json!({ "title": format!("Drops {number}"), "team": { "slug": "network" } })).await;
                let two = incident_with(&agent, json!({ "title": format!("Drops {number}"), "team": { "slug": "network" } })).await;
                link(&agent, &found, named(&[&one, &two])).await;
            }
            let before = installation.store().statement_count();
            let data = agent.ask(document, json!({})).await;
            assert!(data["problems"]["nodes"].as_array().map(Vec::len) >= Some(more));
            assert_eq!(data["problems"]["nodes"][0]["incidents"]["nodes"].as_array().map(Vec::len), Some(2));
            counts.push(installation.store().statement_count() - before);
        }
        assert_eq!(counts[0], counts[1], "the number of rows makes no difference");
        assert!(counts[0] <= 6, "{counts:?}");
        // Many are linked by the statements of a few.
        let mut counts = Vec::new();
        for more in [2, 20] {
            let found = problem(&agent, json!({})).await;
            let mut made = Vec::new();
            for _ in 0..more {
                made.push(incident_with(&agent, json!({ "title": "Drops", "team": { "slug": "network" } })).await);
            }
            let before = installation.store().statement_count();
            assert_eq!(outcomes(&link(&agent, &found, named(&made.iter().collect::<Vec<_>>())).await).len(), more);
            counts.push(installation.store().statement_count() - before);
        }
        println!("{:?}: statements of linking {counts:?}", installation.engine);
        assert!(counts[1] <= counts[0] + 3, "{counts:?}");
    })
    .await;
}

pub async fn comments(client: &Client, ticket: &Value) -> Vec<String> {
    let query = "query($id: ID!) { ticket(by: { id: $id }) { comments(first: 20) { nodes { body author { __typename } visibility } } } }";
    let data = client.ask(query, json!({ "id": ticket["id"] })).await;
    let nodes = data["ticket"]["comments"]["nodes"].as_array().cloned().expect("nodes");
    nodes
        .iter()
        .map(|node| format!("{} {} {}", node["author"]["__typename"], node["visibility"], node["body"]))
        .collect()
}

pub async fn comments_become(client: &Client, ticket: &Value, count: usize) {
    tests::soon(&format!("{count} comments"), async {
        while comments(client, ticket).await.len() != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub fn of_network(title: &str) -> Value {
    json!({ "title": title, "team": { "slug": "network" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_workaround_is_said_once_on_each_open_incident() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let found = problem(&agent, json!({ "workaround": "Use the cable." })).await;
            // More than fit one transaction.
            let mut open = Vec::new();
            for number in 0..25 {
                open.push(incident_with(&agent, of_network(&format!("Drops {number}"))).await);
            }
            let closed = incident_with(&agent, of_network("Drops no more")).await;
            resolve(&agent, &closed).await;
            link(&agent, &found, json!({ "filter": { "title": { "startsWith": "Drops" } } })).await;
            assert_eq!(see(&agent, &found, "incidents { totalCount }").await["incidents"]["totalCount"], 26);

            let publish = json!({ "id": found["id"], "idempotencyKey": "k" });
            let selection = "problem { publishedWorkaround workaroundPublishedAt } events { __typename ... on WorkaroundPublished { publication } }";
            let dry = json!({ "id": found["id"], "dryRun": true });
            agent.done("problemPublishWorkaround", dry, selection).await;
            let done = agent.done("problemPublishWorkaround", publish.clone(), selection).await;
            assert_eq!(done["events"], json!([{ "__typename": "WorkaroundPublished", "publication": 1 }]));
            assert_eq!(agent.done("problemPublishWorkaround", publish, selection).await, done);
            for incident in &open {
                comments_become(&agent, incident, 1).await;
            }
            let said = "\"System\" \"PUBLIC\" \"**Workaround**\\n\\nUse the cable.\"";
            assert_eq!(comments(&agent, &open[7]).await, [said]);
            assert_eq!(comments(&agent, &closed).await, Vec::<String>::new(), "a resolved incident is told nothing");

            // Linked later, singly and among others: told as well. And publishing the same again tells nothing.
            let later = incident_with(&agent, of_network("Drops later")).await;
            agent.done("ticketLink", json!({ "id": later["id"], "type": "CAUSED_BY", "target": found["id"] }), "ticket { id }").await;
            comments_become(&agent, &later, 1).await;
            let again = agent.done("problemPublishWorkaround", json!({ "id": found["id"] }), selection).await;
            assert_eq!(again["events"], json!([]));
            agent.done("problemUpdate", json!({ "id": found["id"], "workaround": "Use the new client." }), "problem { id }").await;
            let another = agent.done("problemPublishWorkaround", json!({ "id": found["id"] }), selection).await;
            assert_eq!(another["events"], json!([{ "__typename": "WorkaroundPublished", "publication": 2 }]));
            for incident in open.iter().chain([&later]) {
                comments_become(&agent, incident, 2).await;
            }
            // What nobody needs any more is not said: the problem is fixed.
            for transition in ["assess", "analyze", "fix"] {
                step(&agent, &found, transition, json!({})).await;
            }
            let fixed = json!({ "id": found["id"], "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
            agent.done("problemResolve", fixed, "problem { id }").await;
            let too_late = incident_with(&agent, of_network("Drops too late")).await;
            link(&agent, &found, named(&[&too_late])).await;
            let refused = agent.user_error("problemPublishWorkaround", json!({ "id": found["id"] })).await;
            assert_eq!(refused["constraint"], "state");
            // Another reaction, later in the log, shows that this one was passed.
            let other = problem(&agent, json!({ "workaround": "Wait." })).await;
            agent.done("problemPublishWorkaround", json!({ "id": other["id"] }), "problem { id }").await;
            let last = incident_with(&agent, of_network("The last")).await;
            link(&agent, &other, named(&[&last])).await;
            comments_become(&agent, &last, 1).await;
            assert_eq!(comments(&agent, &too_late).await, Vec::<String>::new());
            assert_eq!(comments(&agent, &open[0]).await.len(), 2, "never a third time");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_problem_goes_on_when_it_ends() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let found = problem(&agent, json!({})).await;
            let mut waiting = Vec::new();
            for number in 0..22 {
                let made = incident_with(&agent, of_network(&format!("Waits {number}"))).await;
                step(&agent, &made, "hold", json!({ "waitingReason": "PROBLEM" })).await;
                waiting.push(made);
            }
            let vendor = incident_with(&agent, of_network("Waits for the vendor")).await;
            step(&agent, &vendor, "hold", json!({ "waitingReason": "VENDOR" })).await;
            let stranger = incident_with(&agent, of_network("Not linked")).await;
            step(&agent, &stranger, "hold", json!({ "waitingReason": "PROBLEM" })).await;
            link(&agent, &found, json!({ "filter": { "title": { "startsWith": "Waits" } } })).await;
            for transition in ["assess", "analyze", "fix"] {
                step(&agent, &found, transition, json!({})).await;
            }
            let fixed = json!({ "id": found["id"], "resolutionCode": "FIXED", "resolutionNotes": "Replaced." });
            agent.done("problemResolve", fixed, "problem { id }").await;
            for incident in &waiting {
                tests::soon("the incident goes on", async {
                    while state(&agent, incident).await != "in_progress" {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
            }
            assert_eq!(state(&agent, &vendor).await, "on_hold");
            assert_eq!(state(&agent, &stranger).await, "on_hold");
            installation.log_end(&agent).await;
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 1) { nodes { __typename channel actor { __typename } } } } }";
            let last = agent.ask(history, json!({ "id": waiting[0]["id"] })).await;
            let by_itself = json!([{ "__typename": "TicketTransitioned", "channel": "SYSTEM", "actor": { "__typename": "System" } }]);
            assert_eq!(last["ticket"]["history"]["nodes"], by_itself);
        },
    )
    .await;
}

async fn rule(admin: &Client, key: &str, says: Value) -> Value {
    let mut whole =
        json!({ "same": "SERVICE_AND_CATEGORY", "threshold": 3, "window": "PT1H", "team": { "slug": "network" } });
    for (name, value) in says.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    let input = json!({ "key": key, "name": format!("Rule {key}"), "says": whole });
    admin
        .done("problemDetectionRuleCreate", input, "rule { id key same threshold window condition team { slug } }")
        .await
}

const FOUND: &str = "{ problems(filter: { origin: { eq: PROACTIVE } }, orderBy: [{ field: CREATED_AT }]) { nodes { id number title \
    state { key } origin team { slug } requester { name } detectionRule { key } service { key } category { key } \
    configurationItems { configurationItem { name } } incidents(first: 50) { totalCount nodes { title } } } } }";

async fn found(client: &Client) -> Vec<Value> {
    client.ask(FOUND, json!({})).await["problems"]["nodes"].as_array().cloned().expect("nodes")
}

async fn found_become(client: &Client, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    tests::soon("problems are found", async {
        loop {
            let seen = found(client).await;
            if wanted(&seen) {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_opens_one_candidate_and_goes_on_with_it() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
            let lead = json!({ "email": company.lead.email });
            admin.done("serviceCreate", json!({ "key": "remote-access", "name": "Remote access" }), "service { id }").await;
            let device = json!({ "name": "vpn-1", "class": "NETWORK_DEVICE" });
            let device = admin.done("configurationItemCreate", device, "configurationItem { id }").await;
            let device = device["configurationItem"]["id"].clone();
            let made = rule(&admin, "recurring", json!({ "requester": lead, "condition": { "priority": { "in": ["P1", "P2", "P3"] } } })).await;
            assert_eq!(made["rule"]["condition"], json!({ "priority": { "in": ["P1", "P2", "P3"] } }));
            rule(&admin, "device", json!({ "requester": lead, "same": "CONFIGURATION_ITEM", "threshold": 2 })).await;
            let open = async |title: &str, more: Value| {
                let mut input = json!({ "title": title, "team": { "slug": "network" }, "service": { "key": "remote-access" }, "category": "vpn" });
                for (name, value) in more.as_object().expect("an object") {
                    input[name] = value.clone();
                }
                incident_with(&admin, input).await
            };
            // Neither what is too old, nor what the condition leaves out, nor what was canceled counts.
            open("too old", json!({})).await;
            installation.clock.advance(chrono::Duration::minutes(61));
            open("not urgent", json!({ "impact": "LOW", "urgency": "LOW" })).await;
            let canceled = open("no incident", json!({})).await;
            step(&admin, &canceled, "cancel", json!({})).await;
            open("one", json!({})).await;
            open("two", json!({})).await;
            // Another candidate, which comes behind all of these, shows that they were looked at.
            open("on the device", json!({ "category": "printer", "configurationItems": [{ "id": device }] })).await;
            let late = open("also on the device", json!({ "category": "printer" })).await;
            admin.done("incidentUpdate", json!({ "id": late["id"], "configurationItems": [{ "id": device }] }), "incident { id }").await;
            let seen = found_become(&agent, |seen| !seen.is_empty()).await;
            assert_eq!(seen.len(), 1, "two are not three: {seen:#?}");
            assert_eq!((&seen[0]["title"], &seen[0]["detectionRule"]["key"]), (&json!("2 incidents on vpn-1"), &json!("device")));
            assert_eq!(seen[0]["configurationItems"], json!([{ "configurationItem": { "name": "vpn-1" } }]));
            assert_eq!(seen[0]["incidents"]["totalCount"], 2);

            open("three", json!({})).await;
            let of = |seen: &[Value], rule: &str, state: &str| {
                let is = |one: &&Value| one["detectionRule"]["key"] == rule && one["state"]["key"] == state;
                seen.iter().find(is).cloned().unwrap_or_default()
            };
            let seen = found_become(&agent, |seen| seen.len() == 2).await;
            let candidate = of(&seen, "recurring", "new");
            assert_eq!(candidate["title"], "3 incidents on Remote access (VPN)");
            assert_eq!(
                (&candidate["origin"], &candidate["team"]["slug"], &candidate["requester"]["name"]),
                (&json!("PROACTIVE"), &json!("network"), &json!("Lead"))
            );
            assert_eq!(
                (&candidate["service"]["key"], &candidate["category"]["key"]),
                (&json!("remote-access"), &json!("vpn"))
            );
            let nodes = candidate["incidents"]["nodes"].as_array().expect("nodes");
            let mut titles: Vec<&str> = nodes.iter().filter_map(|node| node["title"].as_str()).collect();
            titles.sort_unstable();
            assert_eq!(titles, ["one", "three", "two"]);
            // What comes while it is open joins it.
            open("four", json!({})).await;
            let joined = |seen: &[Value]| of(seen, "recurring", "new")["incidents"]["totalCount"] == 4;
            let seen = found_become(&agent, joined).await;
            assert_eq!(seen.len(), 2);
            // Once it is closed, the next that meet the rule make another one; and a retired rule makes none.
            let id = &candidate["id"];
            let assess = json!({ "id": id, "transition": "assess" });
            admin.done("ticketTransition", assess, "ticket { id }").await;
            let end = json!({ "id": id, "resolutionCode": "CANCELED", "resolutionNotes": "A storm." });
            admin.done("problemResolve", end, "problem { id }").await;
            let retired = json!({ "rule": { "key": "device" }, "retired": true });
            admin.done("problemDetectionRuleUpdate", retired, "rule { retired }").await;
            open("five", json!({ "configurationItems": [{ "id": device }] })).await;
            let seen = found_become(&agent, |seen| seen.len() == 3).await;
            assert_eq!(of(&seen, "recurring", "new")["incidents"]["totalCount"], 5, "all of the window");
            assert_eq!(of(&seen, "device", "new")["incidents"]["totalCount"], 2, "the device's takes no more in");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_tried_on_the_past_and_checked() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        admin.done("serviceCreate", json!({ "key": "remote-access", "name": "Remote access" }), "service { id }").await;
        let device = json!({ "name": "vpn-1", "class": "NETWORK_DEVICE" });
        let device = admin.done("configurationItemCreate", device, "configurationItem { id }").await["configurationItem"]["id"].clone();
        let since = (installation.clock.now() - chrono::Duration::days(1)).to_rfc3339();
        for number in 0..10 {
            let items = if number % 3 == 0 { json!([{ "id": device }]) } else { json!([]) };
            let input = json!({ "title": format!("Drops {number}"), "service": { "key": "remote-access" }, "category": "vpn", "configurationItems": items });
            incident_with(&admin, input).await;
            // Three quickly, then a day nothing, and so on.
            let pause = if number % 3 == 2 { 24 * 60 } else { 5 };
            installation.clock.advance(chrono::Duration::minutes(pause));
        }
        let says = |more: Value| {
            let mut says = json!({ "same": "SERVICE_AND_CATEGORY", "threshold": 3, "window": "PT1H", "requester": { "email": company.lead.email } });
            for (name, value) in more.as_object().expect("an object") {
                says[name] = value.clone();
            }
            says
        };
        let selection = "simulation { incidentCount candidateCount candidates { service { key } category { key } configurationItem { name } incidentCount } }";
        let simulate = async |more: Value| {
            let input = json!({ "says": says(more), "since": since });
            let before = installation.store().statement_count();
            let done = admin.done("problemDetectionSimulate", input, selection).await["simulation"].take();
            (done, installation.store().statement_count() - before)
        };
        let (done, statements) = simulate(json!({})).await;
        assert_eq!((&done["incidentCount"], &done["candidateCount"]), (&json!(10), &json!(3)), "{done:#}");
        let first = json!({ "service": { "key": "remote-access" }, "category": { "key": "vpn" }, "configurationItem": null, "incidentCount": 3 });
        assert_eq!(done["candidates"][0], first);
        assert!(statements <= 6, "{statements}");
        let (done, _) = simulate(json!({ "same": "CONFIGURATION_ITEM", "threshold": 2, "window": "P2D" })).await;
        assert_eq!(done["candidates"], json!([{ "service": null, "category": null, "configurationItem": { "name": "vpn-1" }, "incidentCount": 4 }]));
        let (done, _) = simulate(json!({ "condition": { "title": { "startsWith": "Drops 1" } } })).await;
        assert_eq!((&done["incidentCount"], &done["candidateCount"]), (&json!(1), &json!(0)));
        assert_eq!(admin.ask("{ problems { totalCount } }", json!({})).await["problems"]["totalCount"], 0, "nothing was made");

        let create = |more: Value| json!({ "key": "rule", "name": "Rule", "says": says(more) });
        for (input, code, path) in [
            (create(json!({ "threshold": 1 })), "LIMIT", json!(["says", "threshold"])),
            (create(json!({ "threshold": 101 })), "LIMIT", json!(["says", "threshold"])),
            (create(json!({ "window": "PT1S" })), "LIMIT", json!(["says", "window"])),
            (create(json!({ "window": "P91D" })), "LIMIT", json!(["says", "window"])),
            (create(json!({ "requester": { "email": "nobody@acme.example" } })), "NOT_FOUND", json!(["says", "requester", "email"])),
            (create(json!({ "condition": { "assignee": { "isViewer": true } } })), "VALIDATION", json!(["says", "condition", "assignee"])),
            (json!({ "key": "Not A Key", "name": "Rule", "says": says(json!({})) }), "VALIDATION", json!(["key"])),
        ] {
            let error = admin.user_error("problemDetectionRuleCreate", input.clone()).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &path), "{input}: {error}");
        }
        let mut input = create(json!({}));
        input["idempotencyKey"] = json!("k");
        let made = admin.done("problemDetectionRuleCreate", input.clone(), "rule { id version } events { __typename }").await;
        assert_eq!(made["events"], json!([{ "__typename": "ProblemDetectionRuleCreated" }]));
        assert_eq!(admin.done("problemDetectionRuleCreate", input, "rule { id version } events { __typename }").await, made);
        assert_eq!(admin.user_error("problemDetectionRuleCreate", create(json!({}))).await["path"], json!(["key"]), "the key is taken");
        let stale = json!({ "rule": { "key": "rule" }, "name": "Other", "expectedVersion": 7 });
        assert_eq!(admin.user_error("problemDetectionRuleUpdate", stale).await["code"], "CONFLICT");
        let dry = json!({ "rule": { "key": "rule" }, "says": says(json!({ "threshold": 9 })), "dryRun": true });
        assert_eq!(admin.done("problemDetectionRuleUpdate", dry, "rule { threshold }").await["rule"]["threshold"], 9);
        let range = |since: &str, until: &str| json!({ "says": says(json!({})), "since": since, "until": until });
        for (since, until, code) in [
            ("2024-01-01T00:00:00Z", "2025-01-02T00:00:00Z", "LIMIT"),
            ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "VALIDATION"),
        ] {
            let error = admin.user_error("problemDetectionSimulate", range(since, until)).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!(["since"])));
        }
        let agent = installation.client(&company.agent.token);
        let list = "{ problemDetectionRules { nodes { key threshold retired } } problemDetectionRule(by: { key: \"rule\" }) { key } }";
        let seen = agent.ask(list, json!({})).await;
        assert_eq!(seen["problemDetectionRules"]["nodes"], json!([{ "key": "rule", "threshold": 3, "retired": false }]));
        for (mutation, input) in [
            ("problemDetectionRuleCreate", create(json!({}))),
            ("problemDetectionRuleUpdate", json!({ "rule": { "key": "rule" }, "retired": true })),
            ("problemDetectionSimulate", json!({ "says": says(json!({})), "since": since })),
        ] {
            let refused = agent.user_error(mutation, input).await;
            assert_eq!((&refused["code"], &refused["permission"]), (&json!("FORBIDDEN"), &json!("settings.manage")), "{mutation}");
        }
        for number in 1..=50 {
            let input = json!({ "key": format!("rule-{number}"), "name": "Rule", "says": says(json!({})) });
            let answer = admin.call("problemDetectionRuleCreate", input, "rule { id }").await;
            let code = answer["userErrors"][0]["code"].as_str();
            assert_eq!(code, (number == 50).then_some("LIMIT"), "the fifty-first is one too many: {answer}");
        }
        let retire = |key: &str, retired: bool| json!({ "rule": { "key": key }, "retired": retired });
        admin.done("problemDetectionRuleUpdate", retire("rule-1", true), "rule { id }").await;
        let input = json!({ "key": "rule-50", "name": "Rule", "says": says(json!({})) });
        admin.done("problemDetectionRuleCreate", input, "rule { id }").await;
        let refused = admin.user_error("problemDetectionRuleUpdate", retire("rule-1", false)).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("LIMIT"), &json!(["retired"])), "it would be one too many again");
        admin.done("problemDetectionRuleUpdate", retire("rule-2", true), "rule { id }").await;
        admin.done("problemDetectionRuleUpdate", retire("rule-1", false), "rule { id }").await;
        let requester = installation.client(&company.requester.token);
        assert_eq!(requester.ask(list, json!({})).await["problemDetectionRules"]["nodes"], json!([]));
    })
    .await;
}
