//! Custom fields: defined by a tenant, kept to on tickets, and as good as any other field for filters, orders, figures, history,
//! streams, guards and approvals.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine};
use tests::stream::StreamEvent;

use crate::company_life::{incident_with, resolve, step};

const FIELD: &str = "customField { id key name description type kinds options { key name retired } minimum maximum maxLength \
    pattern default requiredIn readableBy writableBy position retired version } events { __typename changes { field before after } }";
const VALUES: &str = "customFields { key value text number boolean date dateTime option { key name } user { email } \
    configurationItem { name } url field { name type } }";

async fn define(admin: &Client, input: Value) -> Value {
    admin.done("customFieldCreate", input, FIELD).await["customField"].take()
}

/// One field of each type, the cost center for agents alone.
async fn define_all(admin: &Client) {
    for input in [
        json!({ "key": "costCenter", "name": "Cost center", "type": "TEXT", "pattern": "[0-9]{4}", "readableBy": "AGENTS" }),
        json!({ "key": "seats", "name": "Seats", "type": "NUMBER", "minimum": 0, "maximum": 100 }),
        json!({ "key": "vip", "name": "VIP", "type": "BOOLEAN" }),
        json!({ "key": "due", "name": "Due", "type": "DATE" }),
        json!({ "key": "happenedAt", "name": "Happened at", "type": "DATE_TIME" }),
        json!({ "key": "region", "name": "Region", "type": "ENUM", "position": 1, "options": [
            { "key": "east", "name": "East" }, { "key": "west", "name": "West" }, { "key": "north", "name": "North", "retired": true },
        ] }),
        json!({ "key": "deputy", "name": "Deputy", "type": "USER" }),
        json!({ "key": "laptop", "name": "Laptop", "type": "CONFIGURATION_ITEM" }),
        json!({ "key": "page", "name": "Page", "type": "URL" }),
    ] {
        define(admin, input).await;
    }
}

fn of_requester(company: &Company, fields: Value) -> Value {
    json!({ "title": "x", "team": { "slug": "network" }, "requester": { "email": company.requester.email }, "customFields": fields })
}

async fn seen(client: &Client, ticket: &Value) -> Value {
    let query = format!("query($id: ID!) {{ ticket(by: {{ id: $id }}) {{ version {VALUES} }} }}");
    client.ask(&query, json!({ "id": ticket["id"] })).await["ticket"].take()
}

/// The values that a client sees on a ticket, by key.
async fn values(client: &Client, ticket: &Value) -> Value {
    let ticket = seen(client, ticket).await;
    let pairs = ticket["customFields"].as_array().expect("custom fields").iter();
    pairs.map(|value| (value["key"].as_str().unwrap_or_default().to_owned(), value["value"].clone())).collect()
}

/// The titles of the tickets that a filter finds, in an order.
async fn found(client: &Client, filter: Value, order: Value) -> Vec<String> {
    let query = "query($filter: TicketFilter, $order: [TicketOrder!]) { tickets(filter: $filter, orderBy: $order) { nodes { title } } }";
    let data = client.ask(query, json!({ "filter": filter, "order": order })).await;
    let nodes = data["tickets"]["nodes"].as_array().expect("nodes").iter();
    nodes.map(|node| node["title"].as_str().unwrap_or_default().to_owned()).collect()
}

fn code_and_path(error: &Value) -> (String, String) {
    let path = error["path"].as_array().expect("a path").iter().map(|part| part.as_str().unwrap_or_default());
    (error["code"].as_str().unwrap_or_default().to_owned(), path.collect::<Vec<_>>().join("."))
}

fn at(code: &str, path: &str) -> (String, String) {
    (code.to_owned(), path.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_is_made_changed_and_retired_by_those_who_keep_the_settings() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let input = json!({ "key": "region", "name": " Region ", "type": "ENUM", "kinds": ["INCIDENT"],
            "options": [{ "key": "east", "name": "East" }], "default": "east", "requiredIn": ["resolved"] });
        let mut dry = input.clone();
        dry["dryRun"] = json!(true);
        admin.done("customFieldCreate", dry, FIELD).await;
        assert_eq!(admin.ask("{ customFields { totalCount } }", json!({})).await["customFields"]["totalCount"], 0);
        assert_eq!(agent.user_error("customFieldCreate", input.clone()).await["code"], "FORBIDDEN");
        let mut keyed = input.clone();
        keyed["idempotencyKey"] = json!("once");
        let made = admin.done("customFieldCreate", keyed.clone(), FIELD).await;
        assert_eq!(made["customField"]["name"], "Region");
        assert_eq!(made["events"][0]["__typename"], "CustomFieldCreated");
        let again = admin.done("customFieldCreate", keyed, FIELD).await;
        assert_eq!(again["customField"], made["customField"], "a replay answers as the first time");
        assert_eq!(code_and_path(&admin.user_error("customFieldCreate", input).await), at("CONFLICT", "key"));

        let error = admin.user_error("customFieldUpdate", json!({ "key": "region", "type": "TEXT" })).await;
        assert_eq!(code_and_path(&error), at("VALIDATION", "type"));
        assert!(error["message"].as_str().unwrap().contains("is of type ENUM for good"), "{error}");
        admin.done("customFieldUpdate", json!({ "key": "region", "type": "ENUM" }), FIELD).await;
        let left_out = json!({ "key": "region", "options": [{ "key": "west", "name": "West" }], "default": "west" });
        assert_eq!(code_and_path(&admin.user_error("customFieldUpdate", left_out).await), at("VALIDATION", "options"));
        let stale = json!({ "key": "region", "name": "x", "expectedVersion": 7 });
        assert_eq!(admin.user_error("customFieldUpdate", stale).await["code"], "CONFLICT");
        assert_eq!(admin.user_error("customFieldUpdate", json!({ "key": "none" })).await["code"], "NOT_FOUND");
        let options = json!([{ "key": "east", "name": "East", "retired": true }, { "key": "west", "name": "West" }]);
        let change = json!({ "key": "region", "options": options, "default": null, "position": 3 });
        let changed = admin.done("customFieldUpdate", change, FIELD).await;
        assert_eq!(changed["customField"]["version"], 2);
        assert_eq!(changed["customField"]["default"], Value::Null);
        let told = changed["events"][0]["changes"].as_array().unwrap();
        assert_eq!(told.iter().map(|change| &change["field"]).collect::<Vec<_>>(), ["options", "default", "position"]);

        define(&admin, json!({ "key": "alpha", "name": "Alpha", "type": "TEXT" })).await;
        let retired = admin.done("customFieldUpdate", json!({ "key": "alpha", "retired": true }), FIELD).await;
        assert_eq!(retired["customField"]["retired"], true);
        let listed = "{ customFields { nodes { key } } some: customFields(filter: { type: { eq: ENUM }, retired: { eq: false } }) \
            { nodes { id key } } customField(key: \"region\") { version } none: customField(key: \"x\") { key } }";
        let data = agent.ask(listed, json!({})).await;
        assert_eq!(data["customFields"]["nodes"], json!([{ "key": "region" }, { "key": "alpha" }]), "by position, then key");
        assert_eq!(data["some"]["nodes"][0]["key"], "region");
        assert_eq!((&data["customField"]["version"], &data["none"]), (&json!(2), &Value::Null));
        let node = "query($id: ID!) { node(id: $id) { ... on CustomField { key } } }";
        let node = agent.ask(node, json!({ "id": data["some"]["nodes"][0]["id"] })).await;
        assert_eq!(node["node"]["key"], "region");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_comes_back_as_it_went_in() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        define_all(&admin).await;
        let item = json!({ "name": "LT-7", "class": "WORKSTATION" });
        let item = admin.done("configurationItemCreate", item, "configurationItem { id }").await["configurationItem"]["id"].take();
        let fields = json!([
            { "key": "costCenter", "text": "4711" }, { "key": "seats", "number": 2.5 }, { "key": "vip", "boolean": false },
            { "key": "due", "date": "2026-03-01" }, { "key": "happenedAt", "dateTime": "2026-03-01T10:00:00+01:00" },
            { "key": "region", "option": "east" }, { "key": "deputy", "user": { "email": company.sam.email } },
            { "key": "laptop", "configurationItem": { "id": item } }, { "key": "page", "url": "https://example.com/a?b=c" },
        ]);
        let ticket = incident_with(&agent, of_requester(&company, fields)).await;
        let shown = seen(&agent, &ticket).await;
        let keys: Vec<_> = shown["customFields"].as_array().unwrap().iter().map(|value| value["key"].as_str().unwrap()).collect();
        assert_eq!(keys, ["region", "costCenter", "deputy", "due", "happenedAt", "laptop", "page", "seats", "vip"]);
        assert_eq!(shown["customFields"][0]["option"], json!({ "key": "east", "name": "East" }));
        assert_eq!(shown["customFields"][0]["field"], json!({ "name": "Region", "type": "ENUM" }));
        assert_eq!(shown["customFields"][2]["user"]["email"], json!(company.sam.email));
        assert_eq!(shown["customFields"][5]["configurationItem"]["name"], "LT-7");
        assert_eq!(
            values(&agent, &ticket).await,
            json!({ "costCenter": "4711", "seats": 2.5, "vip": false, "due": "2026-03-01", "region": "east",
                "happenedAt": "2026-03-01T09:00:00.000000Z", "deputy": company.sam.id, "laptop": item,
                "page": "https://example.com/a?b=c" })
        );
        let requester = installation.client(&company.requester.token);
        assert_eq!(values(&requester, &ticket).await["costCenter"], Value::Null, "agents alone read the cost center");
        assert_eq!(values(&requester, &ticket).await["seats"], 2.5);

        let change = json!({ "id": ticket["id"], "customFields": [
            { "key": "seats", "number": 3 }, { "key": "vip" }, { "key": "region", "option": "east" }] });
        let changed = agent.done("incidentUpdate", change, "incident { version } events { changes { field before after } }").await;
        assert_eq!(changed["incident"]["version"], 2);
        assert_eq!(changed["events"][0]["changes"], json!([
            { "field": "customFields.seats", "before": 2.5, "after": 3.0 },
            { "field": "customFields.vip", "before": false, "after": null },
        ]));
        let same = json!({ "id": ticket["id"], "customFields": [{ "key": "seats", "number": 3.0 }] });
        let same = agent.done("incidentUpdate", same, "incident { version } events { __typename }").await;
        assert_eq!((&same["incident"]["version"], &same["events"]), (&json!(2), &json!([])));
        assert_eq!(values(&agent, &ticket).await["vip"], Value::Null);
        let selected = "query($id: ID!) { ticket(by: { id: $id }) { customFields(keys: [\"seats\", \"nothing\"]) { number } } }";
        let selected = agent.ask(selected, json!({ "id": ticket["id"] })).await;
        assert_eq!(selected["ticket"]["customFields"], json!([{ "number": 3.0 }]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_with_its_place_and_nothing_is_dropped() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        define_all(&admin).await;
        define(&admin, json!({ "key": "ofTasks", "name": "Of tasks", "type": "TEXT", "kinds": ["TASK"] })).await;
        define(&admin, json!({ "key": "old", "name": "Old", "type": "TEXT" })).await;
        admin.done("customFieldUpdate", json!({ "key": "old", "retired": true }), FIELD).await;
        let sam = json!({ "id": company.sam.id });
        for (fields, path, word) in [
            (json!([{ "key": "colour", "text": "red" }]), "customFields.0", "there is no custom field `colour`"),
            (json!([{ "key": "vip", "boolean": true }, { "key": "seats", "text": "3" }]), "customFields.1", "give its value as `number`"),
            (json!([{ "key": "seats", "number": 101 }]), "customFields.0", "above 100"),
            (json!([{ "key": "costCenter", "text": "47110" }]), "customFields.0", "does not match"),
            (json!([{ "key": "region", "option": "north" }]), "customFields.0", "is retired"),
            (json!([{ "key": "region", "option": "south" }]), "customFields.0", "is no option"),
            (json!([{ "key": "page", "url": "ftp://example.com" }]), "customFields.0", "no address"),
            (json!([{ "key": "old", "text": "x" }]), "customFields.0", "is retired"),
            (json!([{ "key": "ofTasks", "text": "x" }]), "customFields.0", "kind INCIDENT"),
            (json!([{ "key": "vip", "boolean": true }, { "key": "vip", "boolean": true }]), "customFields.1", "twice"),
            (json!([{ "key": "vip", "boolean": true, "text": "x" }]), "customFields.0", "2 values"),
            (json!([{ "key": "deputy", "user": { "email": "nobody@example.com" } }]), "customFields.0.user.email", "user"),
            (json!([{ "key": "laptop", "configurationItem": { "id": "ci_00000000000000000000000001" } }]), "customFields.0.configurationItem.id", "configuration item"),
        ] {
            let error = agent.user_error("incidentCreate", of_requester(&company, fields.clone())).await;
            let (_, found) = code_and_path(&error);
            assert_eq!(found, path, "{error}");
            assert!(error["message"].as_str().unwrap().contains(word), "{error} should say {word}");
        }
        let many: Vec<_> = (0..51).map(|number| json!({ "key": format!("f{number}"), "text": "x" })).collect();
        let error = agent.user_error("incidentCreate", of_requester(&company, json!(many))).await;
        assert_eq!(code_and_path(&error), at("LIMIT", "customFields"));
        // Who may not work on the ticket may not write for agents.
        let requester = installation.client(&company.requester.token);
        let input = json!({ "title": "x", "customFields": [{ "key": "costCenter", "text": "4711" }] });
        assert_eq!(requester.user_error("incidentCreate", input).await["code"], "FORBIDDEN");
        let input = json!({ "title": "x", "customFields": [{ "key": "deputy", "user": sam }, { "key": "vip", "boolean": true }] });
        let ticket = incident_with(&requester, input).await;
        assert_eq!(values(&requester, &ticket).await["vip"], true);
        assert_eq!(found(&requester, json!({}), json!([])).await.len(), 1, "what was refused left nothing behind");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_asks_for_its_fields_and_new_tickets_get_defaults() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        define(&admin, json!({ "key": "cause", "name": "Cause", "type": "TEXT", "requiredIn": ["resolved", "closed"] })).await;
        define(&admin, json!({ "key": "impactOn", "name": "Impact on", "type": "TEXT", "requiredIn": ["new", "assigned"], "kinds": ["INCIDENT"] })).await;
        define(&admin, json!({ "key": "seats", "name": "Seats", "type": "NUMBER", "default": 1 })).await;
        define(&admin, json!({ "key": "check", "name": "Check", "type": "BOOLEAN", "requiredIn": ["new", "assigned"], "readableBy": "AGENTS", "default": true })).await;
        let error = agent.user_error("incidentCreate", of_requester(&company, json!([]))).await;
        assert_eq!(code_and_path(&error), at("VALIDATION", "customFields.impactOn"));
        // A requester cannot give what agents alone write, and is not asked for it.
        let requester = installation.client(&company.requester.token);
        let own = json!({ "title": "x", "customFields": [{ "key": "impactOn", "text": "sales" }] });
        incident_with(&requester, own).await;
        let fields = json!([{ "key": "impactOn", "text": "sales" }, { "key": "seats" }]);
        let ticket = incident_with(&agent, of_requester(&company, fields)).await;
        assert_eq!(values(&agent, &ticket).await, json!({ "impactOn": "sales", "check": true }), "null takes the default away");
        let cleared = json!({ "id": ticket["id"], "customFields": [{ "key": "impactOn" }] });
        assert_eq!(code_and_path(&agent.user_error("incidentUpdate", cleared).await), at("VALIDATION", "customFields.impactOn"));

        let schema = "query($id: ID!) { ticket(by: { id: $id }) { availableTransitions { key inputSchema } } }";
        let offered = agent.ask(schema, json!({ "id": ticket["id"] })).await["ticket"]["availableTransitions"].take();
        let resolve_schema = offered.as_array().unwrap().iter().find(|found| found["key"] == "resolve").unwrap()["inputSchema"].clone();
        assert_eq!(resolve_schema["properties"]["customFields"]["required"], json!(["cause"]));
        assert_eq!(resolve_schema["properties"]["customFields"]["properties"]["cause"]["type"], "string");
        assert!(resolve_schema["required"].as_array().unwrap().contains(&json!("customFields")), "{resolve_schema}");

        // Who may not write a field is not asked for it.
        let offered = requester.ask(schema, json!({ "id": ticket["id"] })).await["ticket"]["availableTransitions"].take();
        let asked = offered[0]["inputSchema"]["properties"]["customFields"]["properties"].as_object().expect("fields");
        assert!(asked.contains_key("cause") && !asked.contains_key("check"), "{offered}");

        let mut fields = json!({ "resolutionCode": "SOLVED", "resolutionNotes": "Done." });
        let transition = |fields: &Value| json!({ "id": ticket["id"], "transition": "resolve", "fields": fields });
        let error = agent.user_error("ticketTransition", transition(&fields)).await;
        assert_eq!(code_and_path(&error), at("VALIDATION", "fields.customFields.cause"));
        fields["customFields"] = json!({ "cause": 7 });
        let error = agent.user_error("ticketTransition", transition(&fields)).await;
        assert_eq!(code_and_path(&error), at("VALIDATION", "fields.customFields.cause"));
        fields["customFields"] = json!("cause");
        assert_eq!(code_and_path(&agent.user_error("ticketTransition", transition(&fields)).await), at("VALIDATION", "fields.customFields"));
        let input = json!({ "id": ticket["id"], "resolutionCode": "SOLVED", "resolutionNotes": "Done." });
        assert_eq!(code_and_path(&agent.user_error("incidentResolve", input.clone()).await), at("VALIDATION", "customFields.cause"));
        let mut input = input;
        input["customFields"] = json!([{ "key": "cause", "text": "a loose cable" }]);
        agent.done("incidentResolve", input, "incident { id }").await;
        assert_eq!(values(&agent, &ticket).await["cause"], "a loose cable");
        // The clock closes what was resolved, whatever is missing.
        step(&agent, &ticket, "close", json!({})).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_are_filtered_ordered_and_counted_by_custom_fields() {
    each_engine(async |installation, company| {
        let (admin, agent, requester) = (
            installation.client(&company.admin.token),
            installation.client(&company.agent.token),
            installation.client(&company.requester.token),
        );
        define_all(&admin).await;
        for (title, fields) in [
            ("a", json!([{ "key": "seats", "number": 10 }, { "key": "region", "option": "east" }, { "key": "costCenter", "text": "4711" }])),
            ("b", json!([{ "key": "seats", "number": 9.5 }, { "key": "region", "option": "west" }, { "key": "due", "date": "2026-03-01" }])),
            ("c", json!([{ "key": "region", "option": "east" }, { "key": "due", "date": "2025-12-31" }, { "key": "vip", "boolean": true },
                { "key": "deputy", "user": { "email": company.agent.email } }, { "key": "happenedAt", "dateTime": "2026-01-01T00:00:00Z" }])),
            ("d", json!([])),
        ] {
            let mut input = of_requester(&company, fields);
            input["title"] = json!(title);
            incident_with(&agent, input).await;
        }
        let by = |filter: Value| json!({ "customFields": [filter] });
        let order = json!([{ "field": "TITLE" }]);
        for (filter, expected) in [
            (json!({ "key": "seats", "number": { "gte": 9.5 } }), "ab"),
            (json!({ "key": "seats", "number": { "in": [10] } }), "a"),
            (json!({ "key": "seats", "number": { "neq": 10 } }), "bcd"),
            (json!({ "key": "seats", "isNull": true }), "cd"),
            (json!({ "key": "region", "option": { "eq": "east" } }), "ac"),
            (json!({ "key": "due", "date": { "gt": "2025-12-31" } }), "b"),
            (json!({ "key": "vip", "boolean": { "eq": true } }), "c"),
            (json!({ "key": "happenedAt", "dateTime": { "lt": "2026-01-01T00:00:01Z" } }), "c"),
            (json!({ "key": "deputy", "user": { "isViewer": true } }), "c"),
            (json!({ "key": "deputy", "user": { "id": { "eq": company.agent.id } } }), "c"),
            (json!({ "key": "costCenter", "text": { "startsWith": "47" } }), "a"),
        ] {
            assert_eq!(found(&agent, by(filter.clone()), order.clone()).await.concat(), expected, "{filter}");
        }
        let both = json!({ "customFields": [{ "key": "region", "option": { "eq": "east" } }, { "key": "seats", "isNull": false }] });
        assert_eq!(found(&agent, both, order.clone()).await.concat(), "a");
        let not = json!({ "not": by(json!({ "key": "region", "option": { "eq": "east" } })) });
        assert_eq!(found(&agent, not, order.clone()).await.concat(), "bd");
        for (order, expected) in [
            (json!([{ "field": "CUSTOM_FIELD", "customField": "seats" }, { "field": "TITLE" }]), "bacd"),
            (json!([{ "field": "CUSTOM_FIELD", "customField": "seats", "direction": "DESC", "nulls": "FIRST" }, { "field": "TITLE" }]), "cdab"),
            (json!([{ "field": "CUSTOM_FIELD", "customField": "region" }, { "field": "CUSTOM_FIELD", "customField": "due" }, { "field": "TITLE" }]), "cabd"),
        ] {
            assert_eq!(found(&agent, json!({}), order.clone()).await.concat(), expected, "{order}");
        }
        // A page ends and goes on within an order by a custom field.
        let page = "query($after: Cursor) { tickets(first: 1, after: $after, orderBy: [{ field: CUSTOM_FIELD, customField: \"seats\", nulls: LAST }, { field: TITLE }]) \
            { nodes { title } pageInfo { endCursor } } }";
        let (mut after, mut titles) = (Value::Null, String::new());
        for _ in 0..4 {
            let data = agent.ask(page, json!({ "after": after })).await["tickets"].take();
            titles.push_str(data["nodes"][0]["title"].as_str().unwrap());
            after = data["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(titles, "bacd");

        let query = "query($filter: TicketFilter, $order: [TicketOrder!]) { tickets(filter: $filter, orderBy: $order) { nodes { id } } }";
        for (filter, order) in [
            (by(json!({ "key": "colour", "text": { "eq": "red" } })), json!([])),
            (by(json!({ "key": "seats", "text": { "eq": "3" } })), json!([])),
            (by(json!({ "key": "seats" })), json!([])),
            (by(json!({ "key": "seats", "number": {} })), json!([])),
            (json!({}), json!([{ "field": "CUSTOM_FIELD", "customField": "colour" }])),
            (json!({}), json!([{ "field": "CUSTOM_FIELD", "customField": "deputy" }])),
            (json!({}), json!([{ "customField": "seats", "field": "TITLE" }])),
            (json!({}), json!([{ "field": "CUSTOM_FIELD" }])),
        ] {
            assert_eq!(agent.refused(query, json!({ "filter": filter, "order": order })).await, "VALIDATION", "{filter} {order}");
        }
        // For those who never read it, agents' fields cannot be named; agents of another team find nothing by it.
        let cost = by(json!({ "key": "costCenter", "text": { "eq": "4711" } }));
        assert_eq!(requester.refused(query, json!({ "filter": cost })).await, "VALIDATION");
        assert_eq!(requester.refused(query, json!({ "order": [{ "field": "CUSTOM_FIELD", "customField": "costCenter" }] })).await, "VALIDATION");
        assert!(found(&installation.client(&company.walt.token), cost.clone(), json!([])).await.is_empty());

        let stats = "query($by: [TicketDimension!]!, $keys: [String!], $filter: TicketFilter) { ticketStats(groupBy: $by, customFields: $keys, filter: $filter) \
            { groups { count filter keys { dimension value customField { key } user { email } } } } }";
        let groups = agent.ask(stats, json!({ "by": ["CUSTOM_FIELD"], "keys": ["region"] })).await["ticketStats"]["groups"].take();
        let counted: Vec<_> = groups.as_array().unwrap().iter().map(|group| (group["keys"][0]["value"].clone(), group["count"].clone())).collect();
        assert_eq!(counted, [(json!("east"), json!(2)), (json!("west"), json!(1)), (Value::Null, json!(1))]);
        for keys in [json!(["region"]), json!(["seats"]), json!(["deputy"]), json!(["vip"])] {
            let groups = agent.ask(stats, json!({ "by": ["CUSTOM_FIELD", "PRIORITY"], "keys": keys })).await["ticketStats"]["groups"].take();
            for group in groups.as_array().unwrap() {
                let count = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
                let listed = agent.ask(count, json!({ "filter": group["filter"] })).await;
                assert_eq!(listed["tickets"]["totalCount"], group["count"], "{group}");
            }
        }
        for (by, keys) in [(json!(["CUSTOM_FIELD"]), json!([])), (json!(["CUSTOM_FIELD"]), json!(["colour"])), (json!([]), json!(["region"]))] {
            assert_eq!(agent.refused(stats, json!({ "by": by, "keys": keys })).await, "VALIDATION");
        }
        assert_eq!(requester.refused(stats, json!({ "by": ["CUSTOM_FIELD"], "keys": ["costCenter"] })).await, "VALIDATION");
        retired_fields_stay_readable(installation, &company).await;
    })
    .await;
}

async fn retired_fields_stay_readable(installation: &Installation, company: &Company) {
    let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
    admin.done("customFieldUpdate", json!({ "key": "region", "retired": true }), FIELD).await;
    let east = json!({ "customFields": [{ "key": "region", "option": { "eq": "east" } }] });
    assert_eq!(found(&agent, east, json!([{ "field": "TITLE" }])).await.concat(), "ac");
    let query = "{ tickets(filter: { title: { eq: \"a\" } }) { nodes { customFields { key value } } } }";
    let listed = agent.ask(query, json!({})).await;
    let shown = listed["tickets"]["nodes"][0]["customFields"].as_array().unwrap();
    assert!(shown.contains(&json!({ "key": "region", "value": "east" })), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_history_and_saved_filters_know_custom_fields() {
    each_engine(async |installation, company| {
        let (admin, agent, requester) = (
            installation.client(&company.admin.token),
            installation.client(&company.agent.token),
            installation.client(&company.requester.token),
        );
        define_all(&admin).await;
        let ticket = incident_with(&agent, of_requester(&company, json!([{ "key": "region", "option": "west" }]))).await;
        let end = installation.log_end(&agent).await;
        let east = json!({ "customFields": [{ "key": "region", "option": { "eq": "east" } }] });
        let saved = agent.done("savedFilterCreate", json!({ "name": "East", "filter": east, "orderBy": [{ "field": "CUSTOM_FIELD", "customField": "seats" }] }), "savedFilter { id orderBy }").await;
        assert_eq!(saved["savedFilter"]["orderBy"], json!([{ "field": "CUSTOM_FIELD", "customField": "seats" }]));
        let query = "subscription($filter: TicketFilter, $saved: ID, $after: Cursor) { queueChanges(filter: $filter, savedFilter: $saved, after: $after) { kind ticket { number } } }";
        let mut by_filter = agent.stream(query, json!({ "filter": east, "after": end })).await;
        let mut by_saved = agent.stream(query, json!({ "saved": saved["savedFilter"]["id"], "after": end })).await;
        let cost = json!({ "customFields": [{ "key": "costCenter", "isNull": false }] });
        let mut by_cost = agent.stream(query, json!({ "filter": cost, "after": end })).await;
        for fields in [json!([{ "key": "region", "option": "east" }]), json!([{ "key": "costCenter", "text": "4711" }]), json!([{ "key": "region" }])] {
            agent.done("incidentUpdate", json!({ "id": ticket["id"], "customFields": fields }), "incident { id }").await;
        }
        for stream in [&mut by_filter, &mut by_saved] {
            for kind in ["ADDED", "CHANGED", "REMOVED"] {
                assert_eq!(stream.next().await["queueChanges"]["kind"], kind);
            }
        }
        assert_eq!(by_cost.next().await["queueChanges"]["kind"], "ADDED");
        let colour = json!({ "customFields": [{ "key": "colour", "isNull": true }] });
        let mut refused = agent.stream(query, json!({ "filter": colour })).await;
        let StreamEvent::Next(answer) = refused.event().await else { panic!("an answer with errors") };
        assert!(answer["errors"][0]["message"].as_str().is_some_and(|text| text.contains("there is no custom field")), "{answer}");
        assert_eq!(agent.user_error("savedFilterCreate", json!({ "name": "x", "filter": colour })).await["code"], "VALIDATION");

        installation.log_end(&agent).await;
        let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 3) { nodes { changes { field before after } } } } }";
        let told = |data: Value| data["ticket"]["history"]["nodes"].clone();
        let by_agent = told(agent.ask(history, json!({ "id": ticket["id"] })).await);
        assert_eq!(by_agent[0]["changes"], json!([{ "field": "customFields.region", "before": "west", "after": "east" }]));
        assert_eq!(by_agent[1]["changes"], json!([{ "field": "customFields.costCenter", "before": null, "after": "4711" }]));
        let by_requester = told(requester.ask(history, json!({ "id": ticket["id"] })).await);
        assert_eq!(by_requester[1]["changes"], json!([]), "the event is told, what agents wrote is not");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_bindings_and_approvals_lean_on_custom_fields() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        define_all(&admin).await;
        let query = "{ workflow(key: \"incident\") { published { initial states { key name category } \
            transitions { key name from to permission required optional } resolutionCodes { key name } } } }";
        let mut document = admin.ask(query, json!({})).await["workflow"]["published"].take();
        let transitions = document["transitions"].as_array_mut().unwrap();
        let start = transitions.iter_mut().find(|found| found["key"] == "start").unwrap();
        let guard = |key: &str, test: Value| json!([{ "filter": { "customFields": [test] }, "reason": format!("{key} first.") }]);
        start["guards"] = guard("costCenter", json!({ "key": "costCenter", "isNull": false }));
        let given = |document: &Value| json!({ "key": "vip-incident", "name": "For VIPs", "kind": "INCIDENT", "rank": 1, "document": document,
            "filter": { "customFields": [{ "key": "vip", "boolean": { "eq": true } }] } });
        let error = admin.user_error("workflowCreate", given(&document)).await;
        assert!(error["message"].as_str().unwrap().contains("cannot be filtered by"), "agents' fields would tell: {error}");
        let transitions = document["transitions"].as_array_mut().unwrap();
        let start = transitions.iter_mut().find(|found| found["key"] == "start").unwrap();
        start["guards"] = guard("seats", json!({ "key": "colour", "isNull": false }));
        let error = admin.user_error("workflowCreate", given(&document)).await;
        assert!(error["message"].as_str().unwrap().contains("there is no custom field `colour`"), "{error}");
        let transitions = document["transitions"].as_array_mut().unwrap();
        let start = transitions.iter_mut().find(|found| found["key"] == "start").unwrap();
        start["guards"] = guard("seats", json!({ "key": "seats", "number": { "gt": 2 } }));
        admin.done("workflowCreate", given(&document), "workflow { key }").await;
        admin.done("workflowPublish", json!({ "key": "vip-incident" }), "workflow { key }").await;

        let ticket = incident_with(&agent, of_requester(&company, json!([{ "key": "vip", "boolean": true }, { "key": "seats", "number": 2 }]))).await;
        let state = "query($id: ID!) { ticket(by: { id: $id }) { workflow { key } } }";
        assert_eq!(agent.ask(state, json!({ "id": ticket["id"] })).await["ticket"]["workflow"]["key"], "vip-incident");
        let error = agent.user_error("ticketTransition", json!({ "id": ticket["id"], "transition": "start" })).await;
        assert_eq!(error["code"], "TRANSITION_REFUSED");
        agent.done("incidentUpdate", json!({ "id": ticket["id"], "customFields": [{ "key": "seats", "number": 2.5 }] }), "incident { id }").await;
        step(&agent, &ticket, "start", json!({})).await;

        let approval = |bound: &str| json!({ "id": ticket["id"], "name": "Seats", "boundFields": [bound], "blocks": ["resolve"],
            "steps": [{ "rule": "ANY", "approvers": [{ "user": { "id": company.sam.id } }] }] });
        for bound in ["customFields.colour", "customFields.costCenter"] {
            let error = agent.user_error("approvalStart", approval(bound)).await;
            assert_eq!(code_and_path(&error), at("VALIDATION", "boundFields.0"));
        }
        agent.done("approvalStart", approval("customFields.seats"), "approval { id }").await;
        let other = json!({ "id": ticket["id"], "customFields": [{ "key": "due", "date": "2026-03-01" }] });
        let other = agent.done("incidentUpdate", other, "events { __typename }").await;
        assert_eq!(other["events"].as_array().map(Vec::len), Some(1), "what it is not bound to leaves it alone");
        let bound = json!({ "id": ticket["id"], "customFields": [{ "key": "seats", "number": 9 }] });
        let voided = agent.done("incidentUpdate", bound, "events { __typename }").await;
        assert_eq!(voided["events"][1]["__typename"], "ApprovalVoided");
        resolve(&agent, &ticket).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_values_cost_few_statements() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        for number in 0..20 {
            define(&admin, json!({ "key": format!("f{number}"), "name": "x", "type": "TEXT" })).await;
        }
        incident_with(&agent, of_requester(&company, json!([]))).await;
        let cost = async |fields: usize| {
            let fields = |text: &str| -> Value {
                (0..fields).map(|number| json!({ "key": format!("f{number}"), "text": text })).collect()
            };
            let before = installation.store().statement_count();
            let ticket = incident_with(&agent, of_requester(&company, fields("a"))).await;
            let created = installation.store().statement_count();
            agent
                .done(
                    "incidentUpdate",
                    json!({ "id": ticket["id"], "title": "y", "customFields": fields("b") }),
                    "incident { id }",
                )
                .await;
            let updated = installation.store().statement_count();
            values(&agent, &ticket).await;
            let read = installation.store().statement_count();
            (created - before, updated - created, read - updated)
        };
        let (plain, one, many) = (cost(0).await, cost(1).await, cost(20).await);
        // The definitions are asked for anew every other second: one statement more at times.
        for (few, most) in [(one.0, many.0), (one.1, many.1), (one.2, many.2)] {
            assert!(most <= few + 1, "{one:?} {many:?}");
        }
        assert!(many.0 <= plain.0 + 2 && many.1 <= plain.1 + 3 && many.2 <= 2, "{plain:?} {many:?}");
    })
    .await;
}
