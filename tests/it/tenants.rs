//! Another tenant's records answer, byte for byte, like records that never were.

use serde_json::{Value, json};
use tests::client::{Client, document};
use tests::company;
use tests::installation::each_engine;

use crate::company_life::{assign, comment, incident_with};
use crate::shapes::unknown_id;

/// The answer as text, the request's id and the asked-for text taken out.
async fn told(client: &Client, query: &str, variables: &Value, secret: &str) -> String {
    let request = client.post(&json!({ "query": query, "variables": variables })).header("x-request-id", "the-same");
    let response = request.send().await.expect("the server answers");
    let status = response.status();
    format!("{status} {}", response.text().await.expect("the answer is complete").replace(secret, "<asked>"))
}

/// A document, and its variables for an id.
type Place = (String, Box<dyn Fn(&str) -> Value>);

/// Every place that takes the id of a record with this prefix: a document, and variables with the id in them.
fn places(prefix: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut query = |text: &str| places.push((text.to_owned(), Box::new(|id| json!({ "id": id }))));
    query("query($id: ID!) { node(id: $id) { __typename id } }");
    query("query($id: ID!) { nodes(ids: [$id, $id]) { __typename id } }");
    match prefix {
        "inc" => {
            query("query($id: ID!) { ticket(by: { id: $id }) { id } }");
            query("query($id: ID!) { incident(by: { id: $id }) { id } }");
            query("query($id: ID!) { tickets(filter: { id: { eq: $id } }) { totalCount nodes { id } } }");
            query("query($id: ID!) { events(filter: { ticket: { id: { in: [$id] } } }) { totalCount nodes { id } } }");
        }
        "usr" => {
            query("query($id: ID!) { user(by: { id: $id }) { id } }");
            query("query($id: ID!) { users(filter: { id: { eq: $id } }) { totalCount nodes { id } } }");
            query("query($id: ID!) { tickets(filter: { not: { requester: { id: { eq: $id } } } }) { totalCount } }");
        }
        "team" => {
            query("query($id: ID!) { team(by: { id: $id }) { id } }");
            query("query($id: ID!) { teams(filter: { id: { neq: $id } }) { totalCount nodes { slug } } }");
        }
        "tsk" => {
            query("query($id: ID!) { task(by: { id: $id }) { id } }");
            query("query($id: ID!) { tasks(filter: { id: { eq: $id } }) { totalCount nodes { id } } }");
        }
        "service" => {
            query("query($id: ID!) { service(by: { id: $id }) { id } }");
            query("query($id: ID!) { services(filter: { id: { eq: $id } }) { totalCount nodes { id } } }");
            query("query($id: ID!) { tickets(filter: { not: { service: { id: { eq: $id } } } }) { totalCount } }");
        }
        "ci" => {
            query("query($id: ID!) { configurationItem(by: { id: $id }) { id } }");
            query("query($id: ID!) { configurationItems(filter: { id: { eq: $id } }) { totalCount nodes { id } } }");
        }
        "cat" => query("query($id: ID!) { tickets(filter: { category: { id: { notIn: [$id] } } }) { totalCount } }"),
        _ => {}
    }
    let mut mutation = |name: &str, input: fn(&str) -> Value| {
        places.push((document(name, "__typename"), Box::new(move |id| json!({ "input": input(id) }))));
    };
    match prefix {
        "inc" => {
            mutation("ticketAssign", |id| json!({ "id": id, "team": { "slug": "network" } }));
            mutation("ticketTransition", |id| json!({ "id": id, "transition": "start" }));
            mutation("ticketTransition", |id| json!({ "id": id, "transition": "nonsense", "expectedVersion": 7 }));
            mutation("incidentUpdate", |id| json!({ "id": id, "title": "Mine" }));
            mutation("incidentResolve", |id| json!({ "id": id, "resolutionCode": "SOLVED", "resolutionNotes": "x" }));
            mutation("incidentReopen", |id| json!({ "id": id, "comment": "x" }));
            mutation("commentAdd", |id| json!({ "id": id, "body": "x", "dryRun": true }));
            mutation("ticketWatch", |id| json!({ "id": id }));
            mutation("ticketUnwatch", |id| json!({ "id": id }));
            mutation("taskCreate", |id| json!({ "parent": id, "title": "x" }));
            mutation("taskPlanApply", |id| json!({ "id": id, "tasks": [{ "key": "a", "title": "x" }] }));
            mutation("ticketLink", |id| json!({ "id": id, "type": "RELATES_TO", "target": "INC-1001" }));
            mutation("ticketLink", |id| json!({ "id": "INC-1001", "type": "RELATES_TO", "target": id }));
            mutation("ticketUnlink", |id| json!({ "id": "INC-1001", "type": "DUPLICATES", "target": id }));
        }
        "usr" => {
            mutation("incidentCreate", |id| json!({ "title": "x", "requester": { "id": id } }));
            mutation(
                "incidentCreate",
                |id| json!({ "title": "x", "team": { "slug": "network" }, "assignee": { "id": id } }),
            );
            mutation("ticketWatch", |id| json!({ "id": "INC-1001", "user": { "id": id } }));
            mutation("ticketAssign", |id| json!({ "id": "INC-1001", "assignee": { "id": id } }));
            mutation("userUpdate", |id| json!({ "user": { "id": id }, "name": "Mine" }));
            mutation("teamMemberAdd", |id| json!({ "team": { "slug": "network" }, "user": { "id": id } }));
            mutation("teamMemberRemove", |id| json!({ "team": { "slug": "network" }, "user": { "id": id } }));
            mutation("apiTokenCreate", |id| json!({ "name": "x", "for": id }));
        }
        "team" => {
            mutation("incidentCreate", |id| json!({ "title": "x", "team": { "id": id } }));
            mutation("ticketAssign", |id| json!({ "id": "INC-1001", "team": { "id": id } }));
            mutation("teamUpdate", |id| json!({ "team": { "id": id }, "name": "Mine" }));
            mutation("teamMemberAdd", |id| json!({ "team": { "id": id }, "user": { "email": "agent@acme.example" } }));
            mutation(
                "userCreate",
                |id| json!({ "email": "x@acme.example", "name": "x", "dryRun": true, "roles": [{ "role": "agent", "team": { "id": id } }] }),
            );
        }
        "tsk" => {
            mutation("taskUpdate", |id| json!({ "id": id, "title": "Mine" }));
            mutation(
                "taskCreate",
                |id| json!({ "parent": "INC-1001", "title": "x", "dependsOn": [id], "dryRun": true }),
            );
            mutation("ticketTransition", |id| json!({ "id": id, "transition": "start" }));
        }
        "service" => {
            mutation("serviceUpdate", |id| json!({ "service": { "id": id }, "name": "Mine" }));
            mutation("incidentCreate", |id| json!({ "title": "x", "service": { "id": id }, "dryRun": true }));
            mutation("incidentUpdate", |id| json!({ "id": "INC-1001", "service": { "id": id } }));
            mutation(
                "configurationItemCreate",
                |id| json!({ "name": "x", "class": "SERVER", "service": { "id": id } }),
            );
        }
        "ci" => {
            mutation("configurationItemUpdate", |id| json!({ "item": { "id": id }, "name": "Mine" }));
            mutation(
                "incidentCreate",
                |id| json!({ "title": "x", "configurationItems": [{ "id": id }], "dryRun": true }),
            );
            mutation("incidentUpdate", |id| json!({ "id": "INC-1001", "notImpactedItems": [{ "id": id }] }));
            for (one, other) in [("source", "target"), ("target", "source")] {
                let relate = move |id: &str| {
                    let mut input = json!({ "type": "USES" });
                    (input[one], input[other]) = (json!({ "id": id }), json!({ "id": id }));
                    json!({ "input": input })
                };
                places.push((document("configurationItemRelate", "__typename"), Box::new(relate)));
            }
        }
        "tok" => mutation("apiTokenRevoke", |id| json!({ "id": id })),
        "ses" => mutation("sessionRevoke", |id| json!({ "id": id })),
        "svc" => mutation("apiTokenCreate", |id| json!({ "name": "x", "for": id })),
        _ => {}
    }
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_ids_are_like_any() {
    each_engine(async |installation, ours| {
        let theirs = company::found(installation.platform(), "globex").await;
        let their_admin = installation.client(&theirs.admin.token);
        let service = json!({ "key": "secret", "name": "Secret" });
        let service = their_admin.done("serviceCreate", service, "service { id }").await["service"]["id"].take();
        let item = json!({ "name": "Secret", "class": "SERVER", "service": { "id": service } });
        let item = their_admin.done("configurationItemCreate", item, "configurationItem { id }").await["configurationItem"]["id"].take();
        let input = json!({ "title": "Secret", "category": "vpn", "externalRefs": [{ "source": "pager", "key": "7" }] });
        let ticket = incident_with(&their_admin, input.clone()).await;
        assert_eq!(their_admin.user_error("incidentCreate", input.clone()).await["code"], "CONFLICT");
        let second = incident_with(&their_admin, json!({ "title": "Another" })).await;
        assign(&their_admin, &ticket, "network", None).await;
        comment(&their_admin, &ticket, "Secret", "PUBLIC").await;
        installation.log_end(&their_admin).await;
        let task = json!({ "parent": ticket["id"], "title": "Secret" });
        let task = their_admin.done("taskCreate", task, "task { id }").await;
        let data = their_admin
            .ask("{ categories { nodes { id } } tickets { nodes { comments(first: 1) { nodes { id } } history(first: 1) { nodes { id } } } } viewer { apiTokens { id } } }", json!({}))
            .await;
        let account = their_admin.done("serviceAccountCreate", json!({ "name": "bot" }), "serviceAccount { id }").await;
        let sign_in = json!({ "tenant": "globex", "email": theirs.sam.email, "password": company::PASSWORD });
        let session = installation.stranger().done("sessionCreate", sign_in, "sessionId").await;
        let with_comment = data["tickets"]["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["comments"]["nodes"] != json!([])));
        let with_comment = with_comment.expect("a ticket with a comment");
        let ids = [
            ("inc", ticket["id"].clone()),
            ("usr", json!(theirs.sam.id)),
            ("team", json!(theirs.network)),
            ("cat", data["categories"]["nodes"][0]["id"].clone()),
            ("com", with_comment["comments"]["nodes"][0]["id"].clone()),
            ("evt", with_comment["history"]["nodes"][0]["id"].clone()),
            ("tok", data["viewer"]["apiTokens"][0]["id"].clone()),
            ("ses", session["sessionId"].clone()),
            ("svc", account["serviceAccount"]["id"].clone()),
            ("service", service),
            ("ci", item),
            ("tsk", task["task"]["id"].clone()),
        ];
        let own = installation.client(&ours.admin.token);
        incident_with(&own, json!({ "title": "Ours" })).await;
        for person in [&ours.admin, &ours.requester] {
            let client = installation.client(&person.token);
            for (prefix, id) in &ids {
                let (id, random) = (id.as_str().unwrap_or_else(|| panic!("no id for {prefix}")), unknown_id(prefix));
                for (query, variables) in places(prefix) {
                    let foreign = told(&client, &query, &variables(id), id).await;
                    let unknown = told(&client, &query, &variables(&random), &random).await;
                    assert_eq!(foreign, unknown, "{query} with {prefix}");
                    assert!(!foreign.contains("Secret") && !foreign.contains("INTERNAL"), "{foreign}");
                }
            }
            let by_number = "query($id: String!) { ticket(by: { number: $id }) { id } }";
            let number = second["number"].as_str().expect("a number");
            let foreign = told(&client, by_number, &json!({ "id": number }), number).await;
            assert_eq!(foreign, told(&client, by_number, &json!({ "id": "INC-9999" }), "INC-9999").await);
            let by_email = "query($id: EmailAddress!) { user(by: { email: $id }) { id } }";
            let foreign = told(&client, by_email, &json!({ "id": theirs.sam.email }), &theirs.sam.email).await;
            assert_eq!(foreign, told(&client, by_email, &json!({ "id": "no@one.example" }), "no@one.example").await);
            let external = "query($id: String!) { ticket(by: { external: { source: \"pager\", key: $id } }) { id } }";
            assert_eq!(told(&client, external, &json!({ "id": "7" }), "\"7\"").await, told(&client, external, &json!({ "id": "8" }), "\"8\"").await);
        }
        let seen = own.ask("{ tickets { totalCount nodes { title } } users(first: 50) { nodes { email } } }", json!({})).await;
        assert_eq!(seen["tickets"], json!({ "totalCount": 1, "nodes": [{ "title": "Ours" }] }));
        assert!(!seen.to_string().contains("globex"));
        // The key of an external record is free in each tenant.
        own.done("incidentCreate", json!({ "title": "x", "externalRefs": [{ "source": "pager", "key": "7" }] }), "incident { id }").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_cursors_are_like_forged_ones() {
    each_engine(async |installation, ours| {
        let theirs = company::found(installation.platform(), "globex").await;
        let (client, other) = (installation.client(&ours.admin.token), installation.client(&theirs.admin.token));
        for client in [&client, &other] {
            incident_with(client, json!({ "title": "One" })).await;
            incident_with(client, json!({ "title": "Two" })).await;
        }
        let page = "query($after: Cursor) { tickets(first: 1, after: $after) { logCursor pageInfo { endCursor } } }";
        let data = other.ask(page, json!({})).await;
        let cursors = [&data["tickets"]["logCursor"], &data["tickets"]["pageInfo"]["endCursor"]];
        let events = "query($after: Cursor) { events(after: $after) { nodes { id } } }";
        for cursor in cursors {
            let cursor = cursor.as_str().expect("a cursor");
            let mut forged: Vec<char> = cursor.chars().collect();
            forged[30] = if forged[30] == 'A' { 'B' } else { 'A' };
            let forged: String = forged.into_iter().collect();
            for query in [page, events] {
                let foreign = told(&client, query, &json!({ "after": cursor }), cursor).await;
                assert!(foreign.contains("BAD_CURSOR"), "{foreign}");
                assert_eq!(foreign, told(&client, query, &json!({ "after": forged }), &forged).await);
            }
            let subscription = "subscription($after: Cursor) { ticketEvents(after: $after) { cursor } }";
            let mut socket = client.socket().await;
            socket.subscribe("1", subscription, json!({ "after": cursor })).await;
            let tests::socket::Frame::Message(message) = socket.frame().await else { panic!("the socket stays open") };
            assert!(message.to_string().contains("BAD_CURSOR"), "{message}");
        }
        // One of the wrong kind says which to use.
        let data = client.ask(page, json!({})).await;
        let answer = client.answer(page, json!({ "after": data["tickets"]["logCursor"] })).await;
        assert_eq!(tests::client::code(&answer), Some("BAD_CURSOR"));
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains("pageInfo") || message.contains("edges"), "{message}");
        // A person's page cursor is no other person's.
        let agent = installation.client(&ours.auditor.token);
        assert_eq!(
            agent.refused(page, json!({ "after": data["tickets"]["pageInfo"]["endCursor"] })).await,
            "BAD_CURSOR"
        );
        // A log cursor is the whole tenant's.
        agent.ask(events, json!({ "after": data["tickets"]["logCursor"] })).await;
    })
    .await;
}
