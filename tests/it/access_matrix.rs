//! Who may read what, through which surface: a golden table.
//!
//! `+` a value, `-` null, `.` an empty list, `E` refused, and a blank where the whole record is not there. Each field is read
//! through `node`, and the other surfaces (list, nested, mutation echo, subscription) must show the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company;
use tests::installation::{Installation, each_engine};

use crate::attachments::uploaded;
use crate::company_life::{assign, comment, incident_with, resolve, step};
use crate::shapes;

/// Rows by name, a mark for each persona.
type Table = BTreeMap<String, Vec<char>>;

/// Selections for the fields that an object has: each with what it takes.
fn selections(schema: &Schema, object: &str) -> Vec<(String, String)> {
    let Some(ExtendedType::Object(found)) = schema.types.get(object) else { panic!("{object} is no object") };
    let mut selections = Vec::new();
    for (name, field) in &found.fields {
        let inner = match schema.types.get(field.ty.inner_named_type()) {
            Some(ExtendedType::Object(object)) if object.fields.contains_key("totalCount") => {
                "{ nodes { __typename } }"
            }
            Some(ExtendedType::Object(_) | ExtendedType::Interface(_)) => "{ __typename }",
            _ => "",
        };
        match name.as_str() {
            "viewerCan" => {
                for action in [
                    "UPDATE",
                    "ASSIGN",
                    "TRANSITION",
                    "COMMENT",
                    "COMMENT_INTERNALLY",
                    "OVERRIDE_PRIORITY",
                    "WATCH",
                    "RECORD_TIME",
                ] {
                    selections.push((
                        format!("viewerCan {action}"),
                        format!("v{action}: viewerCan(action: {action}) {{ allowed }}"),
                    ));
                }
            }
            name => selections.push((name.to_owned(), format!("{name} {inner}"))),
        }
    }
    selections
}

fn mark(value: &Value) -> char {
    match value {
        Value::Null => '-',
        Value::Array(items) if items.is_empty() => '.',
        Value::Object(fields) if fields.get("nodes") == Some(&json!([])) => '.',
        Value::Object(fields) if fields.get("allowed") == Some(&json!(false)) => 'n',
        Value::Object(fields) if fields.get("allowed") == Some(&json!(true)) => 'y',
        _ => '+',
    }
}

/// The marks of one object as an answer shows it.
fn marks(selections: &[(String, String)], object: &Value) -> Vec<char> {
    let key = |selection: &str| selection.split([':', ' ']).next().unwrap_or_default().to_owned();
    selections.iter().map(|(_, selection)| if object.is_null() { ' ' } else { mark(&object[key(selection)]) }).collect()
}

fn joined(selections: &[(String, String)]) -> String {
    selections.iter().map(|(_, selection)| selection.as_str()).collect::<Vec<_>>().join(" ")
}

struct Scene {
    personas: Vec<(&'static str, Client)>,
    records: Vec<(&'static str, &'static str, String)>,
    ticket: Value,
    admin: Client,
}

/// One ticket with everything on it, and records of every type around it.
async fn scene(installation: &Installation, company: &company::Company) -> Scene {
    let theirs = company::found(installation.platform(), "globex").await;
    let client = |person: &company::Person| installation.client(&person.token);
    let (admin, agent, requester) = (client(&company.admin), client(&company.agent), client(&company.requester));
    let service = json!({
        "key": "remote-access", "name": "Remote access", "description": "From anywhere.", "team": { "slug": "network" },
        "owner": { "email": company.lead.email },
    });
    let service = admin.done("serviceCreate", service, "service { id }").await["service"]["id"].take();
    let mut items = Vec::new();
    for name in ["vpn-1", "fw-1"] {
        let input = json!({ "name": name, "class": "NETWORK_DEVICE", "service": { "id": service } });
        let made = admin.done("configurationItemCreate", input, "configurationItem { id }").await;
        items.push(made["configurationItem"]["id"].clone());
    }
    let gateway = &items[0];
    let relation = json!({ "source": { "id": items[0] }, "type": "DEPENDS_ON", "target": { "id": items[1] } });
    admin.done("configurationItemRelate", relation, "configurationItem { id }").await;
    let manager = json!({ "user": { "email": company.requester.email }, "manager": { "email": company.lead.email } });
    admin.done("userUpdate", manager, "user { id }").await;
    let input = json!({
        "title": "VPN", "description": "Drops.", "origin": "CHAT", "category": "vpn", "tags": ["vpn"], "requester": { "email": company.requester.email },
        "service": { "key": "remote-access" }, "configurationItems": [{ "id": gateway }],
        "team": { "slug": "workplace" }, "externalRefs": [{ "source": "pager", "key": "7" }],
        "priorityOverride": { "priority": "P1", "reason": "The board." },
    });
    let ticket = incident_with(&admin, input).await;
    assign(&admin, &ticket, "network", Some(&company.agent.email)).await;
    comment(&agent, &ticket, "Internal.", "INTERNAL").await;
    comment(&requester, &ticket, "Public.", "PUBLIC").await;
    requester.done("ticketWatch", json!({ "id": ticket["id"] }), "ticket { id }").await;
    let above = json!({ "team": { "slug": "network" }, "manager": { "email": company.lead.email }, "escalationTeam": { "slug": "workplace" } });
    admin.done("teamUpdate", above, "team { id }").await;
    let up = json!({ "id": ticket["id"], "type": "HIERARCHICAL", "reason": "It takes too long." });
    agent.done("incidentEscalate", up, "incident { id }").await;
    let hourly = json!({ "amount": "60", "currency": "EUR" });
    let hour = json!({ "key": "everybody", "name": "Everybody", "description": "All.", "hourly": hourly, "validFrom": "2026-01-01" });
    let hour = admin.done("labourRateCreate", hour, "rate { id }").await["rate"]["id"].take();
    let entry = json!({ "ticket": ticket["id"], "duration": "PT1H", "note": "Looked at it." });
    let entry = agent.done("timeEntryAdd", entry, "timeEntry { id }").await["timeEntry"]["id"].take();
    let mut attachments = Vec::new();
    for visibility in ["PUBLIC", "INTERNAL"] {
        let upload = uploaded(&agent, "error.log", "text/plain", b"It failed.").await;
        let add = json!({ "id": ticket["id"], "uploads": [upload], "visibility": visibility });
        let added = agent.done("attachmentAdd", add, "attachments { id }").await;
        attachments.push(added["attachments"][0]["id"].clone());
    }
    let upload = uploaded(&agent, "more.log", "text/plain", b"Again.").await;
    step(&agent, &ticket, "start", json!({})).await;
    resolve(&agent, &ticket).await;
    let steps = json!([{ "rule": "ANY", "approvers": [{ "user": { "id": company.sam.id } }] }]);
    let input = json!({ "id": ticket["id"], "name": "Costs", "steps": steps });
    let approval = admin.done("approvalStart", input, "approval { id }").await;
    // The ticket is resolved, so the task is on another one; last, for the log is compared with the ticket's history.
    let other = incident_with(&admin, json!({ "title": "Another" })).await;
    let task = json!({ "parent": other["id"], "title": "Look into it", "description": "Soon.", "team": { "slug": "network" } });
    let task = admin.done("taskCreate", task, "task { id }").await["task"]["id"].take();
    let problem = json!({
        "title": "Sessions", "description": "Why?", "symptom": "Drops.", "rootCause": "A timer.", "workaround": "A cable.", "knownError": true,
        "team": { "slug": "network" }, "requester": { "email": company.requester.email },
    });
    let problem = admin.done("problemCreate", problem, "problem { id }").await["problem"]["id"].take();
    admin.done("problemPublishWorkaround", json!({ "id": problem }), "problem { id }").await;
    let linked = json!({ "problem": problem, "incidents": { "ids": [other["id"]] } });
    admin.done("problemLinkIncidents", linked, "problem { id }").await;
    let mut pair = Vec::new();
    for title in ["Copy", "Original"] {
        let input =
            json!({ "title": title, "team": { "slug": "network" }, "requester": { "email": company.requester.email } });
        pair.push(incident_with(&agent, input).await["id"].take());
    }
    let merged = json!({ "id": pair[0], "into": pair[1] });
    let merged = agent.done("ticketMerge", merged, "merge { id }").await["merge"]["id"].take();
    agent.done("ticketMergeUndo", json!({ "id": merged }), "merge { id }").await;
    let says = json!({ "same": "CONFIGURATION_ITEM", "threshold": 5, "window": "P1D", "requester": { "email": company.lead.email } });
    let rule = json!({ "key": "device", "name": "One device", "says": says });
    let rule = admin.done("problemDetectionRuleCreate", rule, "rule { id }").await["rule"]["id"].take();
    let lead = client(&company.lead);
    let mut filters = Vec::new();
    for (by, sharing) in [
        (&agent, json!({ "sharing": "PERSONAL" })),
        (&lead, json!({ "sharing": "TEAM", "team": { "slug": "network" } })),
        (&admin, json!({ "sharing": "TENANT" })),
    ] {
        let mut input = json!({ "name": "VPN", "description": "All.", "filter": { "title": { "eq": "VPN" } }, "position": 1,
            "orderBy": [{ "field": "PRIORITY" }], "columns": ["number"] });
        for (name, value) in sharing.as_object().expect("an object") {
            input[name] = value.clone();
        }
        filters.push(by.done("savedFilterCreate", input, "savedFilter { id }").await["savedFilter"]["id"].take());
    }
    let template = json!({
        "key": "backup", "name": "Backup", "description": "At night.", "kind": "INCIDENT", "values": { "title": "Look" },
        "tasks": [{ "title": "Look" }],
    });
    let template = admin.done("ticketTemplateCreate", template, "template { id }").await["template"]["id"].take();
    let recurring = json!({
        "name": "Backup", "template": { "id": template }, "rule": "FREQ=DAILY", "startsAt": "2026-01-06T08:00",
        "timeZone": "UTC", "requester": { "email": company.requester.email },
    });
    let recurring = admin.done("recurringTicketCreate", recurring, "recurringTicket { id }").await;
    let account = admin
        .done("serviceAccountCreate", json!({ "name": "Bot", "roles": [{ "role": "agent" }] }), "serviceAccount { id }")
        .await;
    let data = agent
        .ask(
            "query($id: ID!) { ticket(by: { id: $id }) { comments { nodes { id visibility } } } }",
            json!({ "id": ticket["id"] }),
        )
        .await;
    let said = |visibility: &str| {
        let nodes = data["ticket"]["comments"]["nodes"].as_array().expect("nodes").iter();
        nodes
            .filter(|node| node["visibility"] == visibility)
            .find_map(|node| node["id"].as_str())
            .expect("a comment")
            .to_owned()
    };
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    Scene {
        records: vec![
            ("Incident", "of team network, opened for the requester", id(&ticket["id"])),
            ("Comment", "public", said("PUBLIC")),
            ("Comment", "internal", said("INTERNAL")),
            ("TicketMerge", "of two incidents of team network, undone", id(&merged)),
            ("Attachment", "public", id(&attachments[0])),
            ("Attachment", "internal", id(&attachments[1])),
            ("Upload", "the agent's", id(&upload)),
            ("User", "the requester", company.requester.id.clone()),
            ("User", "the agent", company.agent.id.clone()),
            ("ServiceAccount", "a bot", id(&account["serviceAccount"]["id"])),
            ("Team", "network", company.network.clone()),
            ("Category", "vpn", company.vpn.clone()),
            ("Task", "of team network, added by the administrator", id(&task)),
            ("Problem", "of team network, known to be an error", id(&problem)),
            ("ProblemDetectionRule", "for one device", id(&rule)),
            ("LabourRate", "for everybody", id(&hour)),
            ("TimeEntry", "on the incident", id(&entry)),
            ("Service", "remote access", id(&service)),
            ("ConfigurationItem", "the VPN gateway", id(gateway)),
            ("Approval", "asking another requester", id(&approval["approval"]["id"])),
            ("SavedFilter", "the agent's own", id(&filters[0])),
            ("SavedFilter", "shared with team network", id(&filters[1])),
            ("SavedFilter", "shared with everybody", id(&filters[2])),
            ("TicketTemplate", "of incidents", id(&template)),
            ("RecurringTicket", "of the template", id(&recurring["recurringTicket"]["id"])),
        ],
        personas: vec![
            ("requester", requester),
            ("another requester", client(&company.sam)),
            ("agent", agent),
            ("agent of another team", client(&company.walt)),
            ("lead", client(&company.lead)),
            ("admin", admin.clone()),
            ("auditor", client(&company.auditor)),
            ("admin of another tenant", client(&theirs.admin)),
        ],
        ticket,
        admin,
    }
}

/// Fields of records, by `node`; for the ticket, compared with the other surfaces.
async fn fields(schema: &Schema, scene: &Scene, table: &mut Table) {
    for (object, which, id) in &scene.records {
        let wanted = selections(schema, object);
        let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on {object} {{ {} }} }} }}", joined(&wanted));
        for (_, client) in &scene.personas {
            let node = client.ask(&query, json!({ "id": id })).await["node"].take();
            let found = marks(&wanted, &node);
            for ((name, _), mark) in wanted.iter().zip(&found) {
                table.entry(format!("field {object} ({which}) {name}")).or_default().push(*mark);
            }
            if *object == "Incident" {
                same_elsewhere(scene, client, &wanted, &found).await;
            }
        }
    }
}

/// Lists, nested fields and mutations show what `node` shows.
async fn same_elsewhere(scene: &Scene, client: &Client, wanted: &[(String, String)], found: &[char]) {
    let fields = joined(wanted);
    let id = &scene.ticket["id"];
    let list = format!("query($id: ID!) {{ incidents(filter: {{ id: {{ eq: $id }} }}) {{ nodes {{ {fields} }} }} }}");
    let listed = client.ask(&list, json!({ "id": id })).await["incidents"]["nodes"][0].clone();
    assert_eq!(marks(wanted, &listed), found, "in a list");
    let list = format!(
        "query($id: ID!) {{ tickets(filter: {{ id: {{ eq: $id }} }}) {{ edges {{ node {{ ... on Incident {{ {fields} }} }} }} }} }}"
    );
    let listed = client.ask(&list, json!({ "id": id })).await["tickets"]["edges"][0]["node"].clone();
    assert_eq!(marks(wanted, &listed), found, "in a list of all kinds");
    let comment = &scene.records[1].2;
    let nested = format!(
        "query($id: ID!) {{ node(id: $id) {{ ... on Comment {{ ticket {{ ... on Incident {{ {fields} }} }} }} }} }}"
    );
    let below = client.ask(&nested, json!({ "id": comment })).await["node"]["ticket"].clone();
    assert_eq!(marks(wanted, &below), found, "nested");
    // A dry run echoes the ticket as the next reading would show it.
    let echo = format!("ticket {{ ... on Incident {{ {fields} }} }}");
    let payload = client.call("ticketWatch", json!({ "id": id, "dryRun": true }), &echo).await;
    if payload["userErrors"] == json!([]) {
        let stays = |name: &str| name != "watchers";
        let shown = marks(wanted, &payload["ticket"]);
        for (((name, _), shown), found) in wanted.iter().zip(shown).zip(found).filter(|(((name, _), _), _)| stays(name))
        {
            assert_eq!(shown, *found, "{name} in a mutation's echo");
        }
    } else {
        assert!(found.iter().all(|mark| *mark == ' '), "{payload}");
    }
}

/// Filters, with the count that they give, and orders.
async fn conditions(schema: &Schema, scene: &Scene, table: &mut Table) {
    let filters = [
        ("id", json!({ "id": { "eq": scene.ticket["id"] } })),
        ("title", json!({ "title": { "eq": "VPN" } })),
        ("description", json!({ "description": { "contains": "Drops" } })),
        ("state", json!({ "state": { "key": { "eq": "resolved" } } })),
        ("category", json!({ "category": { "key": { "eq": "vpn" } } })),
        ("requester.email", json!({ "requester": { "email": { "eq": "requester@acme.example" } } })),
        ("requester.email isNull", json!({ "requester": { "email": { "isNull": true } } })),
        ("assignee.email", json!({ "assignee": { "email": { "startsWith": "agent@" } } })),
        ("assignee.name", json!({ "assignee": { "name": { "eq": "Agent" } } })),
        ("team.slug", json!({ "team": { "slug": { "eq": "network" } } })),
        ("service.key", json!({ "service": { "key": { "eq": "remote-access" } } })),
        ("requester.manager", json!({ "requester": { "manager": { "isNull": false } } })),
        ("reassignmentCount", json!({ "reassignmentCount": { "gte": 1 } })),
        ("not reassignmentCount", json!({ "not": { "reassignmentCount": { "gte": 1 } } })),
        ("hierarchicalEscalationLevel", json!({ "hierarchicalEscalationLevel": { "eq": 1 } })),
        ("escalatedTo", json!({ "escalatedTo": { "isNull": false } })),
        ("timeSpent", json!({ "timeSpent": { "gte": "PT1H" } })),
        ("cost", json!({ "cost": { "eq": "60" } })),
        ("cost isNull", json!({ "cost": { "isNull": true } })),
        ("reopenCount", json!({ "reopenCount": { "eq": 0 } })),
        ("resolvedAt", json!({ "resolvedAt": { "isNull": false } })),
        ("resolutionCode", json!({ "resolutionCode": { "eq": "SOLVED" } })),
    ];
    let count = "query($filter: IncidentFilter) { incidents(filter: $filter) { totalCount } }";
    let Some(ExtendedType::Enum(orders)) = schema.types.get("TicketOrderField") else { panic!("no orders") };
    for (_, client) in &scene.personas {
        for (name, filter) in &filters {
            let answer = client.answer(count, json!({ "filter": filter })).await;
            let mark = match answer["data"]["incidents"]["totalCount"].as_u64() {
                Some(count) => char::from_digit(u32::try_from(count).unwrap_or(9), 10).unwrap_or('9'),
                None => 'E',
            };
            table.entry(format!("filter and count {name}")).or_default().push(mark);
        }
        for value in orders.values.keys() {
            let query = format!("{{ tickets(orderBy: [{{ field: {value} }}]) {{ totalCount }} }}");
            let answer = client.answer(&query, json!({})).await;
            let mark = if answer.get("errors").is_some() { 'E' } else { '+' };
            table.entry(format!("order {value}")).or_default().push(mark);
        }
        for (name, filter) in [("name", json!({ "name": { "eq": "vpn-1" } })), ("all", json!({}))] {
            let query =
                "query($filter: ConfigurationItemFilter) { configurationItems(filter: $filter) { totalCount } }";
            let count =
                client.ask(query, json!({ "filter": filter })).await["configurationItems"]["totalCount"].clone();
            let mark = count.as_u64().and_then(|count| char::from_digit(u32::try_from(count).unwrap_or(9), 10));
            table
                .entry(format!("filter and count of configuration items {name}"))
                .or_default()
                .push(mark.unwrap_or('E'));
        }
        for value in ["NAME", "EMAIL", "CREATED_AT"] {
            let query = format!("{{ users(orderBy: [{{ field: {value} }}]) {{ totalCount }} }}");
            let answer = client.answer(&query, json!({})).await;
            table.entry(format!("order of users {value}")).or_default().push(if answer.get("errors").is_some() {
                'E'
            } else {
                '+'
            });
        }
    }
}

/// What history, `events` and a subscription tell of changed fields, and the kinds of events.
async fn told(scene: &Scene, installation: &Installation, table: &mut Table) {
    let history = "query($id: ID!) { ticket(by: { id: $id }) { history(first: 50) { nodes { id __typename changes { field } ... on CommentAdded { comment { visibility } } } } } }";
    let everything = "{ events(first: 100) { nodes { id __typename changes { field } ... on CommentAdded { comment { visibility } } } } }";
    let start = "{ events(first: 1) { pageInfo { startCursor } } }";
    installation.log_end(&scene.admin).await;
    let start = scene.admin.ask(start, json!({})).await["events"]["pageInfo"]["startCursor"].clone();
    let mut rows: Vec<std::collections::BTreeSet<String>> = Vec::new();
    for (name, client) in &scene.personas {
        let describe = |node: &Value| {
            let mut lines = vec![match node["comment"]["visibility"].as_str() {
                Some(visibility) => format!("history {} {visibility}", node["__typename"].as_str().unwrap_or_default()),
                None => format!("history {}", node["__typename"].as_str().unwrap_or_default()),
            }];
            let changes = node["changes"].as_array().cloned().unwrap_or_default();
            lines.extend(
                changes
                    .iter()
                    .map(|change| format!("history change of {}", change["field"].as_str().unwrap_or_default())),
            );
            lines
        };
        let data = client.ask(history, json!({ "id": scene.ticket["id"] })).await;
        let nodes = data["ticket"]["history"]["nodes"].as_array().cloned().unwrap_or_default();
        rows.push(nodes.iter().flat_map(describe).collect());

        let data = client.ask(everything, json!({})).await;
        let all = data["events"]["nodes"].as_array().cloned().unwrap_or_default();
        let of_ticket: Vec<_> = all.iter().filter(|event| nodes.iter().any(|node| node["id"] == event["id"])).collect();
        assert_eq!(of_ticket, nodes.iter().collect::<Vec<_>>(), "{name}: `events` tells what history tells");
        let records = all.iter().filter(|event| event["__typename"] == "UserCreated").count();
        table.entry("events of records".into()).or_default().push(if records > 0 { '+' } else { '.' });

        if *name != "admin of another tenant" {
            let mut socket = client.socket().await;
            let events = "subscription($after: Cursor) { ticketEvents(after: $after) { event { id changes { field } } ticket { reassignmentCount requester { email } } } }";
            socket.subscribe("1", events, json!({ "after": start })).await;
            for node in &nodes {
                let message = socket.next("1").await["ticketEvents"].take();
                let (told, stored) = (&message["event"]["changes"], &node["changes"]);
                if message["event"]["id"] != node["id"] {
                    // Before it was in sight: told by history alone.
                    assert!(["agent", "agent of another team"].contains(name), "{name}: {message} {node}");
                    break;
                }
                assert_eq!(told, stored, "{name} is told what history tells");
            }
        }
    }
    let names: std::collections::BTreeSet<&String> = rows.iter().flatten().collect();
    for row in names {
        table.insert(row.clone(), rows.iter().map(|seen| if seen.contains(row) { '+' } else { ' ' }).collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_read_what() {
    let schema = shapes::schema();
    each_engine(async |installation, company| {
        let scene = scene(installation, &company).await;
        let mut table = Table::new();
        fields(&schema, &scene, &mut table).await;
        conditions(&schema, &scene, &mut table).await;
        told(&scene, installation, &mut table).await;
        let mut text = String::new();
        for (at, (name, _)) in scene.personas.iter().enumerate() {
            let _ = writeln!(text, "{}{name}", "| ".repeat(at));
        }
        for (row, marks) in &table {
            let marks: Vec<String> = marks.iter().map(char::to_string).collect();
            let _ = writeln!(text, "{}   {row}", marks.join(" "));
        }
        insta::assert_snapshot!("who_may_read_what", text);
    })
    .await;
}
