//! Services, configuration items and managers, and the tickets that are about them.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

use crate::company_life::{assign, incident_with};

/// A service's id.
pub async fn service(client: &Client, key: &str) -> Value {
    let input = json!({ "key": key, "name": key.to_uppercase(), "team": { "slug": "network" } });
    client.done("serviceCreate", input, "service { id }").await["service"]["id"].take()
}

/// A configuration item's id.
pub async fn item(client: &Client, name: &str) -> Value {
    let input = json!({ "name": name, "class": "SERVER" });
    client.done("configurationItemCreate", input, "configurationItem { id }").await["configurationItem"]["id"].take()
}

const ABOUT: &str = "query($id: ID!) { ticket(by: { id: $id }) { version service { key team { slug } } \
    configurationItems { link configurationItem { name } } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_ticket_is_about() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let requester = installation.client(&company.requester.token);
        let e_mail = service(&admin, "e-mail").await;
        service(&admin, "web").await;
        let (one, two) = (item(&admin, "mail-1").await, item(&admin, "mail-2").await);

        // A requester says which service; items are not there for them.
        let ticket = incident_with(&requester, json!({ "title": "No mail", "service": { "key": "e-mail" } })).await;
        let error = requester
            .user_error("incidentCreate", json!({ "title": "x", "configurationItems": [{ "id": one }] }))
            .await;
        assert_eq!((&error["code"], &error["path"]), (&json!("NOT_FOUND"), &json!(["configurationItems", "0", "id"])));
        assign(&admin, &ticket, "network", None).await;

        let input = json!({
            "id": ticket["id"], "service": { "key": "web" },
            "configurationItems": [{ "id": one }, { "id": one }], "notImpactedItems": [{ "id": two }],
        });
        let selection = "incident { version } events { __typename changes { field before after } \
            ... on TicketConfigurationItemsChanged { items { before after configurationItem { name } } } }";
        let done = agent.done("incidentUpdate", input.clone(), selection).await;
        assert_eq!(done["incident"]["version"], 3);
        let kinds: Vec<_> = done["events"].as_array().unwrap().iter().map(|event| &event["__typename"]).collect();
        assert_eq!(kinds, ["TicketUpdated", "TicketConfigurationItemsChanged"]);
        let changes = done["events"][0]["changes"].as_array().unwrap();
        let told = changes.iter().find(|change| change["field"] == "service").expect("the service is told");
        assert_eq!(told["before"], e_mail, "references are told as ids");
        assert_eq!(
            done["events"][1]["items"],
            json!([
                { "before": null, "after": "MANUAL", "configurationItem": { "name": "mail-1" } },
                { "before": null, "after": "NOT_IMPACTED", "configurationItem": { "name": "mail-2" } },
            ])
        );
        let again = agent.done("incidentUpdate", input, selection).await;
        assert_eq!(again["events"], json!([]), "nothing changes twice");

        // From one list to the other, and out of it.
        let input = json!({ "id": ticket["id"], "configurationItems": [{ "id": two }] });
        let done = agent.done("incidentUpdate", input, selection).await;
        assert_eq!(done["incident"]["version"], 3, "items leave the version alone");
        assert_eq!(
            done["events"][0]["items"],
            json!([
                { "before": "MANUAL", "after": null, "configurationItem": { "name": "mail-1" } },
                { "before": "NOT_IMPACTED", "after": "MANUAL", "configurationItem": { "name": "mail-2" } },
            ])
        );
        let about = agent.ask(ABOUT, json!({ "id": ticket["id"] })).await["ticket"].take();
        assert_eq!(about["service"], json!({ "key": "web", "team": { "slug": "network" } }));
        assert_eq!(
            about["configurationItems"],
            json!([{ "link": "MANUAL", "configurationItem": { "name": "mail-2" } }])
        );
        let seen = requester.ask(ABOUT, json!({ "id": ticket["id"] })).await["ticket"].take();
        assert_eq!((&seen["service"]["key"], &seen["configurationItems"]), (&json!("web"), &json!([])));
        installation.log_end(&admin).await;
        let history = "query($id: ID!) { ticket(by: { id: $id }) { history { nodes { __typename } } } }";
        let told = requester.ask(history, json!({ "id": ticket["id"] })).await;
        assert!(!told.to_string().contains("ConfigurationItems"), "{told}");

        let count = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
        for (filter, expected) in [
            (json!({ "service": { "key": { "eq": "web" } } }), 1),
            (json!({ "service": { "id": { "eq": e_mail } } }), 0),
            (json!({ "service": { "team": { "slug": { "eq": "network" } } } }), 1),
            (json!({ "service": { "isNull": true } }), 0),
        ] {
            let found = agent.ask(count, json!({ "filter": filter })).await;
            assert_eq!(found["tickets"]["totalCount"], expected, "{filter}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_about_a_ticket_is_told() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        service(&admin, "e-mail").await;
        let one = item(&admin, "mail-1").await;
        let ticket = incident_with(&agent, json!({ "title": "No mail", "team": { "slug": "network" } })).await;
        let retire = json!({ "service": { "key": "e-mail" }, "retired": true });
        admin.done("serviceUpdate", retire, "service { version }").await;
        let update = |more: Value| {
            let mut input = json!({ "id": ticket["id"] });
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            input
        };
        for (input, code, path) in [
            (json!({ "service": { "key": "e-mail" } }), "VALIDATION", json!(["service", "key"])),
            (json!({ "service": { "key": "none" } }), "NOT_FOUND", json!(["service", "key"])),
            (json!({ "service": { "id": one } }), "VALIDATION", json!(["service", "id"])),
            (
                json!({ "configurationItems": [{ "id": one }, { "id": ticket["id"] }] }),
                "VALIDATION",
                json!(["configurationItems", "1", "id"]),
            ),
            (
                json!({ "configurationItems": [{ "id": one }], "notImpactedItems": [{ "id": one }] }),
                "VALIDATION",
                json!(["notImpactedItems", "0", "id"]),
            ),
            (json!({ "configurationItems": vec![json!({ "id": one }); 51] }), "LIMIT", json!(["configurationItems"])),
        ] {
            let error = agent.user_error("incidentUpdate", update(input.clone())).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &path), "{input}: {error}");
        }
        let walt = installation.client(&company.walt.token);
        let own = incident_with(&walt, json!({ "title": "Mine" })).await;
        let error =
            walt.user_error("incidentUpdate", json!({ "id": own["id"], "configurationItems": [{ "id": one }] })).await;
        assert_eq!((&error["code"], &error["permission"]), (&json!("FORBIDDEN"), &json!("ticket.update")));
        let tried = json!({ "id": ticket["id"], "configurationItems": [{ "id": one }], "dryRun": true });
        let tried = agent.done("incidentUpdate", tried, "events { __typename }").await;
        assert_eq!(tried["events"], json!([{ "__typename": "TicketConfigurationItemsChanged" }]));
        let about = agent.ask(ABOUT, json!({ "id": ticket["id"] })).await["ticket"].take();
        assert_eq!(about["configurationItems"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_and_their_relations_from_both_sides() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let (shop, database) = (item(&admin, "shop").await, item(&admin, "db-1").await);
        let relation = json!({ "source": { "id": shop }, "type": "DEPENDS_ON", "target": { "id": database }, "idempotencyKey": "k" });
        let selection = "configurationItem { name relations { type direction configurationItem { name } } } events { __typename }";
        let first = admin.done("configurationItemRelate", relation.clone(), "events { id __typename }").await;
        assert_eq!(first["events"][0]["__typename"], "ConfigurationItemRelated");
        assert_eq!(admin.done("configurationItemRelate", relation, "events { id __typename }").await, first);
        let query = "query($id: ID!) { node(id: $id) { id ... on ConfigurationItem { relations { type direction configurationItem { name } } } } \
            uses: configurationItem(by: { id: $id }) { relations(type: USES) { type } } }";
        for (id, direction, other) in [(&shop, "OUTWARD", "db-1"), (&database, "INWARD", "shop")] {
            let data = agent.ask(query, json!({ "id": id })).await;
            let expected = json!([{ "type": "DEPENDS_ON", "direction": direction, "configurationItem": { "name": other } }]);
            assert_eq!((&data["node"]["relations"], &data["uses"]["relations"]), (&expected, &json!([])));
        }
        let list = "{ configurationItems(filter: { class: { eq: SERVER } }, orderBy: [{ field: NAME, direction: DESC }]) { totalCount nodes { name } } }";
        let listed = agent.ask(list, json!({})).await["configurationItems"].take();
        assert_eq!(listed, json!({ "totalCount": 2, "nodes": [{ "name": "shop" }, { "name": "db-1" }] }));
        let requester = installation.client(&company.requester.token);
        let hidden = requester.ask(query, json!({ "id": shop })).await;
        assert_eq!(hidden, json!({ "node": null, "uses": null }));
        let itself = json!({ "source": { "id": shop }, "type": "PART_OF", "target": { "id": shop } });
        assert_eq!(admin.user_error("configurationItemRelate", itself).await["constraint"], "self");
        let gone = json!({ "source": { "id": shop }, "type": "DEPENDS_ON", "target": { "id": database } });
        let gone = admin.done("configurationItemUnrelate", gone, selection).await;
        assert_eq!(gone["configurationItem"], json!({ "name": "shop", "relations": [] }));
        let error = agent.user_error("serviceCreate", json!({ "key": "x", "name": "x" })).await;
        assert_eq!(error["permission"], "configuration.manage");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_and_what_their_people_asked_for() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let lead = installation.client(&company.lead.token);
        let managed = json!({ "user": { "email": company.requester.email }, "manager": { "email": company.lead.email } });
        let done = admin.done("userUpdate", managed, "user { manager { name } } events { changes { field after } }").await;
        assert_eq!(done["user"]["manager"]["name"], "Lead");
        assert_eq!(done["events"][0]["changes"], json!([{ "field": "manager", "after": company.lead.id }]));
        let circle = json!({ "user": { "email": company.lead.email }, "manager": { "email": company.requester.email } });
        let error = admin.user_error("userUpdate", circle).await;
        assert_eq!((&error["constraint"], &error["path"]), (&json!("circle"), &json!(["manager"])));

        incident_with(&installation.client(&company.requester.token), json!({ "title": "Theirs" })).await;
        incident_with(&installation.client(&company.sam.token), json!({ "title": "Another's" })).await;
        let mine = "{ tickets(filter: { requester: { manager: { isViewer: true } } }) { nodes { title } } }";
        assert_eq!(lead.ask(mine, json!({})).await["tickets"]["nodes"], json!([{ "title": "Theirs" }]));
        let sam = installation.client(&company.sam.token);
        let user = "query($email: EmailAddress!) { users(filter: { name: { eq: \"Requester\" } }) { nodes { manager { name } } } \
            user(by: { email: $email }) { manager { name } } }";
        let seen = sam.ask(user, json!({ "email": company.sam.email })).await;
        assert_eq!(seen, json!({ "users": { "nodes": [{ "manager": null }] }, "user": { "manager": null } }));
    })
    .await;
}
