//! Ticket templates: kept, and tickets created from them.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::{Company, Person};
use tests::installation::{Installation, each_engine};

use crate::company_life::incident;

const TEMPLATE: &str = "template { id key name description kind version \
    values { title description impact urgency category { key } service { key } team { slug } assignee { name } \
        requester { name } tags customFields { key value } } \
    tasks { title description team { slug } } } events { __typename changes { field } }";

const TICKET: &str = "ticket { __typename id number title description impact urgency priority category { key } service { key } \
    team { slug } assignee { name } requester { name } openedBy { name } tags customFields { key value } \
    tasks { nodes { title description team { slug } requester { name } } } ... on Incident { origin } \
    ... on Task { dependsOn { number } } } events { __typename }";

fn clients(installation: &Installation, company: &Company) -> (Client, Client, Client, Client) {
    let client = |person: &Person| installation.client(&person.token);
    (client(&company.admin), client(&company.lead), client(&company.agent), client(&company.requester))
}

/// A template of incidents, with all that one can say.
fn backup(company: &Company) -> Value {
    json!({
        "key": "backup-failed", "name": "A backup failed", "description": "For the night's backups.", "kind": "INCIDENT",
        "values": {
            "title": "Backup failed", "description": "Look at the log.", "impact": "HIGH", "urgency": "LOW", "category": "vpn",
            "service": { "key": "backup" }, "team": { "slug": "network" }, "assignee": { "email": company.agent.email },
            "requester": { "email": company.requester.email }, "tags": [" backup ", "night"],
            "customFields": [{ "key": "site", "text": "Bern" }, { "key": "owner", "user": { "email": company.lead.email } }],
        },
        "tasks": [{ "title": "Look at the log" }, { "title": "Start it again", "description": "By hand.", "team": { "slug": "workplace" } }],
    })
}

/// What the template points at.
async fn set_up(admin: &Client) {
    let service = json!({ "key": "backup", "name": "Backup" });
    admin.done("serviceCreate", service, "service { id }").await;
    for (key, kind) in [("site", "TEXT"), ("owner", "USER")] {
        let field = json!({ "key": key, "name": key, "type": kind });
        admin.done("customFieldCreate", field, "customField { key }").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_are_kept() {
    each_engine(async |installation, company| {
        let (admin, lead, agent, requester) = clients(installation, &company);
        set_up(&admin).await;
        let mut input = backup(&company);
        assert_eq!(agent.user_error("ticketTemplateCreate", input.clone()).await["permission"], "template.manage");
        input["dryRun"] = json!(true);
        assert_eq!(lead.done("ticketTemplateCreate", input.clone(), TEMPLATE).await["template"]["key"], "backup-failed");
        input["dryRun"] = json!(false);
        input["idempotencyKey"] = json!("once");
        let made = lead.done("ticketTemplateCreate", input.clone(), TEMPLATE).await;
        let template = &made["template"];
        let owner = json!({ "key": "owner", "value": company.lead.id });
        let mut fields = template["values"]["customFields"].as_array().expect("a list").clone();
        fields.sort_by_key(|field| field["key"].to_string());
        assert_eq!(fields, [owner, json!({ "key": "site", "value": "Bern" })]);
        let mut values = template["values"].clone();
        values["customFields"] = Value::Null;
        assert_eq!(
            values,
            json!({
                "title": "Backup failed", "description": "Look at the log.", "impact": "HIGH", "urgency": "LOW", "category": { "key": "vpn" },
                "service": { "key": "backup" }, "team": { "slug": "network" }, "assignee": { "name": "Agent" },
                "requester": { "name": "Requester" }, "tags": ["backup", "night"], "customFields": null,
            })
        );
        assert_eq!(template["tasks"][1], json!({ "title": "Start it again", "description": "By hand.", "team": { "slug": "workplace" } }));
        assert_eq!((&template["version"], &made["events"][0]["__typename"]), (&json!(1), &json!("TicketTemplateCreated")));
        let again = lead.done("ticketTemplateCreate", input.clone(), TEMPLATE).await;
        assert_eq!(again["template"]["id"], template["id"], "the same call is done once");
        input["idempotencyKey"] = json!("twice");
        let taken = lead.user_error("ticketTemplateCreate", input).await;
        assert_eq!((&taken["code"], &taken["path"]), (&json!("CONFLICT"), &json!(["key"])));

        let small = json!({ "key": "question", "name": "A question", "kind": "TASK" });
        admin.done("ticketTemplateCreate", small, TEMPLATE).await;
        let list = "query($filter: TicketTemplateFilter) { ticketTemplates(filter: $filter) { totalCount nodes { key } } }";
        let incidents = json!({ "filter": { "kind": { "eq": "INCIDENT" } } });
        let found = agent.ask(list, incidents).await["ticketTemplates"].take();
        assert_eq!(found, json!({ "totalCount": 1, "nodes": [{ "key": "backup-failed" }] }));
        assert_eq!(agent.ask(list, json!({})).await["ticketTemplates"]["totalCount"], 2);
        assert_eq!(requester.ask(list, json!({})).await["ticketTemplates"]["totalCount"], 0);
        let one = "query($by: TicketTemplateRef!) { ticketTemplate(by: $by) { name } }";
        for by in [json!({ "key": "question" }), json!({ "key": "nothing" }), json!({ "id": template["id"] })] {
            let seen = agent.ask(one, json!({ "by": by })).await["ticketTemplate"].take();
            assert_eq!(seen.is_null(), by["key"] == "nothing", "{by}");
            assert_eq!(requester.ask(one, json!({ "by": by })).await["ticketTemplate"], Value::Null);
        }
        let node = "query($id: ID!) { node(id: $id) { ... on TicketTemplate { key } } }";
        assert_eq!(agent.ask(node, json!({ "id": template["id"] })).await["node"]["key"], "backup-failed");

        let update = json!({ "template": { "key": "backup-failed" }, "description": null, "values": { "title": "Backup" }, "tasks": [], "expectedVersion": 1 });
        let changed = lead.done("ticketTemplateUpdate", update.clone(), TEMPLATE).await;
        let shown = (&changed["template"]["version"], &changed["template"]["description"], &changed["template"]["values"]["team"], &changed["template"]["tasks"]);
        assert_eq!(shown, (&json!(2), &Value::Null, &Value::Null, &json!([])));
        assert_eq!(changed["events"], json!([{ "__typename": "TicketTemplateUpdated", "changes": [{ "field": "description" }, { "field": "document" }] }]));
        assert_eq!(lead.user_error("ticketTemplateUpdate", update).await["currentVersion"], 2);

        let delete = json!({ "template": { "key": "backup-failed" }, "expectedVersion": 2, "idempotencyKey": "gone" });
        assert_eq!(agent.user_error("ticketTemplateDelete", delete.clone()).await["code"], "FORBIDDEN");
        for _ in 0..2 {
            let gone = lead.done("ticketTemplateDelete", delete.clone(), TEMPLATE).await;
            assert_eq!((&gone["template"]["id"], &gone["template"]["values"]["title"]), (&template["id"], &json!("Backup")));
            assert_eq!(gone["events"][0]["__typename"], "TicketTemplateDeleted");
        }
        assert_eq!(agent.ask(node, json!({ "id": template["id"] })).await["node"], Value::Null);
        let missing = lead.user_error("ticketTemplateDelete", json!({ "template": { "id": template["id"] } })).await;
        assert_eq!((&missing["code"], &missing["path"]), (&json!("NOT_FOUND"), &json!(["template"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_template_is_told_at_its_place() {
    each_engine(async |installation, company| {
        let (admin, _, _, _) = clients(installation, &company);
        set_up(&admin).await;
        let values = |values: Value| json!({ "values": values });
        for (wrong, path, what) in [
            (json!({ "key": "No Key" }), "key", "VALIDATION"),
            (json!({ "name": " " }), "name", "VALIDATION"),
            (values(json!({ "title": "x".repeat(256) })), "values.title", "VALIDATION"),
            (values(json!({ "tags": ["x", " "] })), "values.tags", "VALIDATION"),
            (values(json!({ "category": "nothing" })), "values.category", "NOT_FOUND"),
            (values(json!({ "service": { "key": "nothing" } })), "values.service.key", "NOT_FOUND"),
            (values(json!({ "team": { "slug": "nothing" } })), "values.team.slug", "NOT_FOUND"),
            (values(json!({ "requester": { "email": "nobody@acme.example" } })), "values.requester.email", "NOT_FOUND"),
            (values(json!({ "assignee": { "email": company.agent.email } })), "values.assignee", "VALIDATION"),
            (
                values(json!({ "team": { "slug": "workplace" }, "assignee": { "email": company.agent.email } })),
                "values.assignee",
                "VALIDATION",
            ),
            (
                values(json!({ "customFields": [{ "key": "nothing", "text": "x" }] })),
                "values.customFields.0",
                "VALIDATION",
            ),
            (
                values(json!({ "customFields": [{ "key": "site", "number": 1.0 }] })),
                "values.customFields.0",
                "VALIDATION",
            ),
            (json!({ "kind": "TASK", "values": { "category": "vpn" } }), "values.category", "VALIDATION"),
            (json!({ "kind": "TASK", "tasks": [{ "title": "x" }] }), "tasks", "VALIDATION"),
            (json!({ "tasks": [{ "title": "x" }, { "title": "" }] }), "tasks.1.title", "VALIDATION"),
            (json!({ "tasks": [{ "title": "x", "team": { "slug": "nothing" } }] }), "tasks.0.team.slug", "NOT_FOUND"),
            (json!({ "tasks": vec![json!({ "title": "x" }); 21] }), "tasks", "LIMIT"),
        ] {
            let mut input = json!({ "key": "wrong", "name": "Wrong", "kind": "INCIDENT" });
            for (name, value) in wrong.as_object().expect("an object") {
                input[name] = value.clone();
            }
            let error = admin.user_error("ticketTemplateCreate", input).await;
            let place: Vec<_> = error["path"].as_array().expect("a path").iter().filter_map(Value::as_str).collect();
            assert!(place.join(".").starts_with(path), "{wrong}: {error}");
            assert_eq!(error["code"], what, "{wrong}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_created_as_the_template_says() {
    each_engine(async |installation, company| {
        let (admin, lead, agent, requester) = clients(installation, &company);
        set_up(&admin).await;
        admin.done("ticketTemplateCreate", backup(&company), "template { id }").await;
        let create = |more: Value| {
            let mut input = json!({ "template": { "key": "backup-failed" } });
            for (name, value) in more.as_object().expect("an object") {
                input[name] = value.clone();
            }
            input
        };
        let mut input = create(json!({ "idempotencyKey": "once" }));
        let tried = agent.done("ticketCreateFromTemplate", create(json!({ "dryRun": true })), TICKET).await;
        assert_eq!(tried["ticket"]["title"], "Backup failed");
        let made = agent.done("ticketCreateFromTemplate", input.clone(), TICKET).await;
        let ticket = &made["ticket"];
        for (field, expected) in [
            ("__typename", json!("Incident")),
            ("title", json!("Backup failed")),
            ("description", json!("Look at the log.")),
            ("impact", json!("HIGH")),
            ("urgency", json!("LOW")),
            ("category", json!({ "key": "vpn" })),
            ("service", json!({ "key": "backup" })),
            ("team", json!({ "slug": "network" })),
            ("assignee", json!({ "name": "Agent" })),
            ("requester", json!({ "name": "Requester" })),
            ("openedBy", json!({ "name": "Agent" })),
            ("tags", json!(["backup", "night"])),
            ("origin", json!("API")),
        ] {
            assert_eq!(ticket[field], expected, "{field}");
        }
        assert_eq!(ticket["customFields"].as_array().map(Vec::len), Some(2));
        // A task of another team is seen by whoever added it.
        let tasks = json!([
            { "title": "Look at the log", "description": null, "team": { "slug": "network" }, "requester": { "name": "Agent" } },
            { "title": "Start it again", "description": "By hand.", "team": { "slug": "workplace" }, "requester": { "name": "Agent" } },
        ]);
        let mut found = ticket["tasks"]["nodes"].as_array().expect("tasks").clone();
        found.sort_by_key(|task| task["title"].to_string());
        assert_eq!(json!(found), tasks);
        let events: Vec<_> = made["events"].as_array().expect("events").iter().map(|event| event["__typename"].clone()).collect();
        assert_eq!(events, ["IncidentCreated", "TaskCreated", "TaskCreated"]);
        let again = agent.done("ticketCreateFromTemplate", input.clone(), TICKET).await;
        assert_eq!((&again["ticket"]["id"], &again["events"]), (&ticket["id"], &made["events"]), "the same call is done once");

        let other = create(json!({
            "title": "Backup of the archive failed", "category": null, "assignee": null, "impact": "LOW", "tags": [],
            "requester": { "email": company.sam.email }, "customFields": [{ "key": "site", "text": "Graz" }],
        }));
        let other = lead.done("ticketCreateFromTemplate", other, TICKET).await["ticket"].take();
        let shown = (&other["title"], &other["category"], &other["assignee"], &other["impact"], &other["tags"], &other["requester"]["name"]);
        assert_eq!(shown, (&json!("Backup of the archive failed"), &Value::Null, &Value::Null, &json!("LOW"), &json!([]), &json!("Sam")));
        let site = other["customFields"].as_array().expect("values").iter().find(|field| field["key"] == "site");
        assert_eq!(site.map(|site| &site["value"]), Some(&json!("Graz")));

        // Those who ask for help see no templates.
        let unseen = requester.user_error("ticketCreateFromTemplate", create(json!({}))).await;
        assert_eq!((&unseen["code"], &unseen["path"]), (&json!("NOT_FOUND"), &json!(["template"])));
        let auditor = installation.client(&company.auditor.token);
        assert_eq!(auditor.user_error("ticketCreateFromTemplate", create(json!({}))).await["permission"], "ticket.create");

        // What lies with the template, and what with the input.
        admin.done("categoryUpdate", json!({ "key": "vpn", "retired": true }), "category { key }").await;
        let retired = agent.user_error("ticketCreateFromTemplate", create(json!({}))).await;
        assert_eq!((&retired["path"], &retired["constraint"]), (&json!(["template"]), &json!("retired")));
        assert!(retired["message"].as_str().is_some_and(|message| message.starts_with("the template's `category`: ")), "{retired}");
        let given = agent.user_error("ticketCreateFromTemplate", create(json!({ "category": "vpn" }))).await;
        assert_eq!(given["path"], json!(["category"]));
        agent.done("ticketCreateFromTemplate", create(json!({ "category": "printer" })), TICKET).await;
        let long = agent.user_error("ticketCreateFromTemplate", create(json!({ "category": null, "title": "x".repeat(256) }))).await;
        assert_eq!(long["path"], json!(["title"]));
        input["title"] = json!("Another");
        assert_eq!(agent.user_error("ticketCreateFromTemplate", input).await["code"], "IDEMPOTENCY_MISMATCH");
        let parent = agent.user_error("ticketCreateFromTemplate", create(json!({ "parent": ticket["id"] }))).await;
        assert_eq!((&parent["path"], &parent["constraint"]), (&json!(["parent"]), &json!("kind")));

        // What a ticket must have and the template does not say is given.
        let required = json!({ "key": "cause", "name": "Cause", "type": "TEXT", "kinds": ["INCIDENT"], "requiredIn": ["new", "assigned"] });
        admin.done("customFieldCreate", required, "customField { key }").await;
        installation.clock.advance(chrono::Duration::seconds(3));
        let lacking = agent.user_error("ticketCreateFromTemplate", create(json!({ "category": null }))).await;
        assert_eq!((&lacking["path"], &lacking["constraint"]), (&json!(["customFields", "cause"]), &json!("required")));
        let given = create(json!({ "category": null, "customFields": [{ "key": "cause", "text": "Full" }] }));
        agent.done("ticketCreateFromTemplate", given, TICKET).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_has_templates() {
    each_engine(async |installation, company| {
        let (admin, _, agent, _) = clients(installation, &company);
        for (key, kind) in [("cause", "PROBLEM"), ("piece", "TASK")] {
            let input = json!({ "key": key, "name": key, "kind": kind, "values": { "description": "As ever.", "team": { "slug": "network" } } });
            admin.done("ticketTemplateCreate", input, "template { id }").await;
        }
        let from = |key: &str, title: Option<&str>| json!({ "template": { "key": key }, "title": title });
        let untitled = agent.user_error("ticketCreateFromTemplate", from("cause", None)).await;
        assert_eq!((&untitled["path"], &untitled["constraint"]), (&json!(["title"]), &json!("required")));
        let problem = agent.done("ticketCreateFromTemplate", from("cause", Some("Why?")), TICKET).await;
        assert_eq!((&problem["ticket"]["__typename"], &problem["ticket"]["description"]), (&json!("Problem"), &json!("As ever.")));
        assert_eq!(problem["events"], json!([{ "__typename": "ProblemCreated" }]));
        // What a problem has of its own is as on one that was opened alone.
        let known = "query($id: ID!) { problem(by: { id: $id }) { origin knownError symptom } }";
        let shown = agent.ask(known, json!({ "id": problem["ticket"]["id"] })).await["problem"].take();
        assert_eq!(shown, json!({ "origin": "REACTIVE", "knownError": false, "symptom": null }));

        let alone = agent.done("ticketCreateFromTemplate", from("piece", Some("Alone")), TICKET).await;
        assert_eq!((&alone["ticket"]["__typename"], &alone["ticket"]["team"]["slug"]), (&json!("Task"), &json!("network")));
        assert_eq!(alone["events"], json!([{ "__typename": "TaskCreated" }]));
        let on = crate::company_life::incident_with(&agent, json!({ "title": "VPN", "team": { "slug": "network" }, "impact": "HIGH" })).await;
        let mut input = from("piece", Some("Of the incident"));
        input["parent"] = on["number"].clone();
        let task = agent.done("ticketCreateFromTemplate", input.clone(), TICKET).await;
        assert_eq!(task["ticket"]["impact"], "HIGH", "as on the ticket");
        let tasks = "query($id: ID!) { ticket(by: { id: $id }) { tasks { nodes { title } } } }";
        let found = agent.ask(tasks, json!({ "id": on["id"] })).await["ticket"]["tasks"]["nodes"].take();
        assert_eq!(found, json!([{ "title": "Of the incident" }]));
        input["requester"] = json!({ "email": company.sam.email });
        assert_eq!(agent.user_error("ticketCreateFromTemplate", input.clone()).await["path"], json!(["requester"]));
        let unseen = incident(&installation.client(&company.sam.token), "Theirs").await;
        let mut input = from("piece", Some("x"));
        input["parent"] = unseen["id"].clone();
        assert_eq!(agent.user_error("ticketCreateFromTemplate", input).await["path"], json!(["parent"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agents_alone_read_is_not_read_in_a_template() {
    each_engine(async |installation, company| {
        let (admin, lead, agent, _) = clients(installation, &company);
        set_up(&admin).await;
        let options = |retired: bool| json!([{ "key": "gold", "name": "Gold", "retired": retired }, { "key": "silver", "name": "Silver" }]);
        let tier = json!({ "key": "tier", "name": "Tier", "type": "ENUM", "options": options(false), "readableBy": "AGENTS", "writableBy": "AGENTS" });
        admin.done("customFieldCreate", tier, "customField { key }").await;
        installation.clock.advance(chrono::Duration::seconds(3));
        let values = json!({ "title": "Backup failed", "customFields": [{ "key": "site", "text": "Bern" }, { "key": "tier", "option": "gold" }] });
        let input = json!({ "key": "backup-failed", "name": "A backup failed", "kind": "INCIDENT", "values": values });
        lead.done("ticketTemplateCreate", input, "template { id }").await;
        let narrow = async |owner: &Client, scopes: &[&str]| {
            let token = json!({ "name": scopes.join(" "), "scopes": scopes });
            let token = owner.done("apiTokenCreate", token, "token").await["token"].take();
            installation.client(token.as_str().expect("a token"))
        };
        let reader = narrow(&agent, &["template.read"]).await;
        let one = "{ ticketTemplate(by: { key: \"backup-failed\" }) { values { customFields { key value } } } }";
        for (client, keys) in [(&agent, vec!["site", "tier"]), (&reader, vec!["site"])] {
            let found = client.ask(one, json!({})).await["ticketTemplate"]["values"]["customFields"].take();
            let mut found: Vec<_> = found.as_array().expect("values").iter().map(|field| field["key"].clone()).collect();
            found.sort_by_key(Value::to_string);
            assert_eq!(found, keys);
        }

        // Nor by what an event says of the change, nor by what keeps a ticket from being created: a run is read by them too.
        let changes = "events { ... on TicketTemplateUpdated { changes { field before after } } }";
        let keeper = narrow(&lead, &["template.read", "template.manage"]).await;
        for (client, told) in [(&lead, true), (&keeper, false)] {
            let update = json!({ "template": { "key": "backup-failed" }, "values": { "title": "Backup" }, "dryRun": true });
            let events = client.done("ticketTemplateUpdate", update, changes).await["events"].take();
            assert_eq!(events[0]["changes"][0]["before"]["values"]["title"], "Backup failed", "{events}");
            assert_eq!(events.to_string().contains("gold"), told, "{events}");
        }
        admin.done("customFieldUpdate", json!({ "key": "tier", "options": options(true) }), "customField { key }").await;
        installation.clock.advance(chrono::Duration::seconds(3));
        let refused = admin.user_error("ticketCreateFromTemplate", json!({ "template": { "key": "backup-failed" } })).await;
        assert_eq!((&refused["path"], &refused["constraint"]), (&json!(["template"]), &json!("retired")));
        assert_eq!(refused["message"], "the template's `tier`: the field takes its value no more");
    })
    .await;
}
