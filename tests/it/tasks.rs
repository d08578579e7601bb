//! Tasks of a ticket: plans, what waits for what, and who sees them.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

use crate::company_life::{assign, incident, resolve, step};

async fn task(client: &Client, parent: &Value, title: &str, depends_on: &[&Value]) -> Value {
    let needs: Vec<_> = depends_on.iter().map(|task| task["number"].clone()).collect();
    let input = json!({ "parent": parent["number"], "title": title, "dependsOn": needs });
    client.done("taskCreate", input, "task { id number version }").await["task"].take()
}

const TASKS: &str = "query($id: ID!) { ticket(by: { id: $id }) { tasks(first: 10) { totalCount nodes { title openDependencies \
    state { key } dependsOn { title } parent { title } availableTransitions { key allowed } } } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_on_a_ticket_in_tasks() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let requester = installation.client(&company.requester.token);
        let parent = incident(&requester, "The office moves").await;
        assign(&admin, &parent, "network", None).await;
        let cables = task(&agent, &parent, "Cables", &[]).await;
        let switch = task(&agent, &parent, "Switch", &[&cables]).await;
        let data = agent.ask(TASKS, json!({ "id": parent["id"] })).await["ticket"]["tasks"].take();
        let allowed = |key: &str, allowed: bool| json!({ "key": key, "allowed": allowed });
        let parents = json!({ "title": "The office moves" });
        assert_eq!(
            data,
            json!({ "totalCount": 2, "nodes": [
                {
                    "title": "Cables", "openDependencies": 0, "state": { "key": "open" }, "dependsOn": [], "parent": parents,
                    "availableTransitions": [allowed("start", true), allowed("skip", true), allowed("complete", true), allowed("cancel", true)],
                },
                {
                    "title": "Switch", "openDependencies": 1, "state": { "key": "open" }, "dependsOn": [{ "title": "Cables" }], "parent": parents,
                    "availableTransitions": [allowed("start", false), allowed("skip", true), allowed("complete", false), allowed("cancel", true)],
                },
            ] })
        );
        // Wherever the ticket comes from, it is known that it waits.
        let everywhere = "query($id: ID!, $number: String!) { node(id: $id) { __typename ... on Ticket { availableTransitions { allowed } } } \
            ticket(by: { number: $number }) { kind viewerCan(action: TRANSITION) { allowed } availableTransitions { allowed } ... on Task { openDependencies } } \
            task(by: { number: $number }) { availableTransitions { allowed } } \
            tickets(filter: { kind: { eq: TASK }, number: { eq: $number } }) { nodes { __typename availableTransitions { allowed } } } \
            tasks(filter: { openDependencies: { gt: 0 } }) { nodes { number availableTransitions { allowed } } } \
            incident(by: { id: $id }) { id } }";
        let seen = agent.ask(everywhere, json!({ "id": switch["id"], "number": switch["number"] })).await;
        let transitions = json!([{ "allowed": false }, { "allowed": true }, { "allowed": false }, { "allowed": true }]);
        assert_eq!(seen["node"], json!({ "__typename": "Task", "availableTransitions": transitions }));
        assert_eq!((&seen["ticket"]["kind"], &seen["ticket"]["openDependencies"]), (&json!("TASK"), &json!(1)));
        for found in [&seen["ticket"], &seen["task"], &seen["tickets"]["nodes"][0], &seen["tasks"]["nodes"][0]] {
            assert_eq!(found["availableTransitions"], transitions);
        }
        assert_eq!(seen["incident"], Value::Null, "a task is no incident");
        let error = agent.user_error("ticketTransition", json!({ "id": switch["id"], "transition": "start" })).await;
        assert_eq!(error["reasons"], json!(["1 of the tasks that it depends on are not done"]));

        step(&agent, &cables, "complete", json!({})).await;
        let seen = agent.ask(everywhere, json!({ "id": switch["id"], "number": switch["number"] })).await;
        assert_eq!(seen["ticket"]["openDependencies"], 0);
        step(&agent, &switch, "start", json!({})).await;
        let update = json!({ "id": switch["id"], "title": "New switch", "dependsOn": [], "tags": ["rack"] });
        let done = agent.done("taskUpdate", update, "task { title tags dependsOn { title } } events { __typename }").await;
        assert_eq!(done["task"], json!({ "title": "New switch", "tags": ["rack"], "dependsOn": [] }));
        assert_eq!(done["events"], json!([{ "__typename": "TicketUpdated" }, { "__typename": "TaskDependenciesChanged" }]));
        let said = json!({ "id": switch["number"], "body": "In the rack." });
        agent.done("commentAdd", said, "comment { ticket { __typename } } ticket { ... on Task { parent { title } } }").await;
        assign(&admin, &switch, "workplace", None).await;

        // What is a requester's own is what they asked for, not the work on it.
        let own = requester.ask("{ tickets { totalCount } tasks { totalCount } }", json!({})).await;
        assert_eq!((&own["tickets"]["totalCount"], &own["tasks"]["totalCount"]), (&json!(1), &json!(0)));
        let data = agent.ask(TASKS, json!({ "id": parent["id"] })).await;
        assert_eq!(data["ticket"]["tasks"]["totalCount"], 2, "whoever added a task goes on seeing it");
        resolve(&agent, &parent).await;
        let error = agent.user_error("taskCreate", json!({ "parent": parent["id"], "title": "Too late" })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["parent"])));
        let error = agent.user_error("incidentUpdate", json!({ "id": switch["id"], "title": "x" })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["id"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_in_one_call() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let parent = incident(&admin, "New colleague").await;
        assign(&admin, &parent, "network", None).await;
        let plan = json!({ "id": parent["id"], "idempotencyKey": "k", "tasks": [
            { "key": "laptop", "title": "Set up the laptop", "dependsOn": ["account"], "team": { "slug": "workplace" } },
            { "key": "account", "title": "Make the account" },
        ] });
        let selection = "tasks { id number title openDependencies team { slug } } events { __typename }";
        let first = admin.done("taskPlanApply", plan.clone(), selection).await;
        assert_eq!(first["events"], json!([{ "__typename": "TaskCreated" }, { "__typename": "TaskCreated" }]));
        assert_eq!(first["tasks"][0]["title"], "Set up the laptop");
        assert_eq!((&first["tasks"][0]["openDependencies"], &first["tasks"][0]["team"]["slug"]), (&json!(1), &json!("workplace")));
        assert_eq!(admin.done("taskPlanApply", plan, selection).await, first);
        let data = agent.ask(TASKS, json!({ "id": parent["id"] })).await;
        assert_eq!(data["ticket"]["tasks"]["totalCount"], 1, "the other team's task is not there for the agent");
        let circle = json!({ "id": parent["id"], "tasks": [
            { "key": "a", "title": "a", "dependsOn": ["b"] }, { "key": "b", "title": "b", "dependsOn": ["a"] },
        ] });
        let error = agent.user_error("taskPlanApply", circle).await;
        assert_eq!((&error["constraint"], &error["path"]), (&json!("circle"), &json!(["tasks", "0", "dependsOn"])));
        let page = "query($id: ID!, $after: Cursor) { ticket(by: { id: $id }) { tasks(first: 1, after: $after) { nodes { title } pageInfo { hasNextPage endCursor } } } }";
        let one = admin.ask(page, json!({ "id": parent["id"] })).await["ticket"]["tasks"].take();
        assert_eq!(one["pageInfo"]["hasNextPage"], true);
        let two = admin.ask(page, json!({ "id": parent["id"], "after": one["pageInfo"]["endCursor"] })).await["ticket"]["tasks"].take();
        assert_ne!(one["nodes"], two["nodes"]);
        assert_eq!(two["pageInfo"]["hasNextPage"], false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_no_person_makes_tasks_of_tickets() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let account = json!({ "name": "Bot", "roles": [{ "role": "administrator" }] });
        let account = admin.done("serviceAccountCreate", account, "serviceAccount { id }").await;
        let token = json!({ "name": "bot", "for": account["serviceAccount"]["id"] });
        let token = admin.done("apiTokenCreate", token, "token").await["token"].take();
        let bot = installation.client(token.as_str().expect("a token"));
        let values = json!({ "title": "Look", "team": { "slug": "network" }, "impact": "HIGH", "urgency": "LOW" });
        let template = json!({ "key": "look", "name": "Look", "kind": "TASK", "values": values });
        admin.done("ticketTemplateCreate", template, "template { id }").await;

        // From a template, at once and again and again.
        let mut from = json!({ "template": { "key": "look" } });
        let nobody = bot.user_error("ticketCreateFromTemplate", from.clone()).await;
        let expected = (&json!("VALIDATION"), &json!(["parent"]), &json!("required"));
        assert_eq!((&nobody["code"], &nobody["path"], &nobody["constraint"]), expected);
        let alone = agent.done("ticketCreateFromTemplate", from.clone(), "ticket { id number }").await["ticket"].take();
        let parent = incident(&installation.client(&company.requester.token), "VPN").await;
        from["parent"] = parent["number"].clone();
        let made = bot.done("ticketCreateFromTemplate", from, "ticket { requester { name } }").await;
        assert_eq!(made["ticket"]["requester"]["name"], "Requester", "as on the ticket");
        let recurring = json!({ "name": "Look", "template": { "key": "look" }, "rule": "FREQ=DAILY", "startsAt": "2026-01-06T08:00", "timeZone": "UTC" });
        let nobody = bot.user_error("recurringTicketCreate", recurring.clone()).await;
        assert_eq!((&nobody["code"], &nobody["path"]), (&json!("VALIDATION"), &json!(["template"])));
        admin.done("recurringTicketCreate", recurring, "recurringTicket { id }").await;

        // In a split, it is as on the task whose comments they were.
        let said = json!({ "id": alone["id"], "body": "Another one." });
        let said = agent.done("commentAdd", said, "comment { id }").await["comment"]["id"].take();
        let split = json!({ "id": alone["id"], "comments": [said], "title": "Another" });
        let made = bot.done("ticketSplit", split, "ticket { requester { name } openedBy { name } team { slug } impact urgency }").await;
        let expected = json!({ "requester": { "name": "Agent" }, "openedBy": { "name": "Bot" }, "team": { "slug": "network" }, "impact": "HIGH", "urgency": "LOW" });
        assert_eq!(made["ticket"], expected);
    })
    .await;
}
