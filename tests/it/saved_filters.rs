//! Saved filters and queues: who sees and changes them, what they find for whom, and what a sidebar costs.

use gateway::door::Milliseconds;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company;
use tests::installation::{each_engine, each_engine_with};
use tests::socket::Socket;

use crate::company_life::{incident_with, resolve};

const FIELDS: &str = "savedFilter { id name description filter orderBy columns sharing team { slug } owner { name } position \
    count countIsExact version } events { __typename }";

async fn names(client: &Client) -> Vec<String> {
    let seen = client.ask("{ savedFilters(first: 100) { nodes { name } } }", json!({})).await;
    let nodes = seen["savedFilters"]["nodes"].as_array().expect("nodes").clone();
    nodes.iter().map(|node| node["name"].as_str().expect("a name").to_owned()).collect()
}

fn mine() -> Value {
    json!({ "team": { "hasViewer": true }, "state": { "category": { "in": ["NEW", "ACTIVE"] } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_kept_shared_and_means_whoever_reads() {
    each_engine(async |installation, company| {
        let client = |person: &company::Person| installation.client(&person.token);
        let (admin, lead, agent, walt) =
            (client(&company.admin), client(&company.lead), client(&company.agent), client(&company.walt));
        for team in ["network", "network", "workplace"] {
            incident_with(&admin, json!({ "title": "x", "team": { "slug": team } })).await;
        }
        let own = json!({ "name": "Mine", "filter": mine(), "orderBy": [{ "field": "PRIORITY", "direction": "ASC" }],
            "columns": ["number"], "position": 2 });
        let made = agent.done("savedFilterCreate", own.clone(), FIELDS).await;
        assert_eq!(made["events"][0]["__typename"], "SavedFilterCreated");
        let filter = &made["savedFilter"];
        assert_eq!((&filter["filter"], &filter["count"]), (&mine(), &json!(2)));
        assert_eq!(filter["orderBy"], own["orderBy"]);

        let shared = json!({ "name": "Of all", "filter": mine(), "sharing": "TENANT", "position": 1 });
        assert_eq!(lead.user_error("savedFilterCreate", shared.clone()).await["permission"], "filter.share");
        let of_all = admin.done("savedFilterCreate", shared, FIELDS).await["savedFilter"].take();
        let team = json!({ "name": "Of network", "filter": {}, "sharing": "TEAM", "team": { "slug": "network" } });
        assert_eq!(agent.user_error("savedFilterCreate", team.clone()).await["permission"], "filter.share");
        let of_team = lead.done("savedFilterCreate", team, FIELDS).await["savedFilter"].take();

        assert_eq!(names(&agent).await, ["Mine", "Of all", "Of network"]);
        assert_eq!(names(&walt).await, ["Of all"]);
        let one = "query($id: ID!) { savedFilter(by: { id: $id }) { count } node(id: $id) { id } }";
        assert_eq!(walt.ask(one, json!({ "id": of_all["id"] })).await["savedFilter"]["count"], 1, "walt's own team");
        let hidden = walt.ask(one, json!({ "id": filter["id"] })).await;
        assert_eq!((&hidden["savedFilter"], &hidden["node"]), (&Value::Null, &Value::Null));
        let queues = agent.ask("{ queues { name position count } }", json!({})).await["queues"].take();
        assert_eq!(
            queues,
            json!([{ "name": "Of all", "position": 1, "count": 2 }, { "name": "Mine", "position": 2, "count": 2 }])
        );

        let rename = |filter: &Value| json!({ "id": filter["id"], "name": "Other", "position": null });
        assert_eq!(walt.user_error("savedFilterUpdate", rename(filter)).await["code"], "NOT_FOUND");
        assert_eq!(walt.user_error("savedFilterUpdate", rename(&of_all)).await["permission"], "filter.share");
        let changed = admin.done("savedFilterUpdate", rename(&of_team), FIELDS).await;
        assert_eq!((&changed["savedFilter"]["name"], &changed["savedFilter"]["version"]), (&json!("Other"), &json!(2)));
        let stale = json!({ "id": filter["id"], "expectedVersion": 7 });
        assert_eq!(agent.user_error("savedFilterDelete", stale).await["currentVersion"], 1);
        agent.done("savedFilterDelete", json!({ "id": filter["id"] }), FIELDS).await;
        assert_eq!(names(&agent).await, ["Of all", "Other"]);

        let denied = json!({ "name": "x", "filter": { "reassignmentCount": { "gt": 1 } } });
        let error = client(&company.requester).user_error("savedFilterCreate", denied.clone()).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["filter", "reassignmentCount"])));
        let long = json!({ "name": "x", "filter": { "title": { "eq": "x".repeat(17_000) } } });
        assert_eq!(agent.user_error("savedFilterCreate", long).await["code"], "LIMIT");
        let lost = json!({ "name": "Busy", "sharing": "TENANT", "filter": denied["filter"] });
        let lost = admin.done("savedFilterCreate", lost, FIELDS).await["savedFilter"].take();
        let seen = client(&company.requester).ask(one, json!({ "id": lost["id"] })).await;
        assert_eq!(seen["savedFilter"]["count"], Value::Null, "a requester's role never reads what it names");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidebar_of_thirty_queues_costs_two_statements() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        incident_with(
            &installation.client(&company.admin.token),
            json!({ "title": "7", "team": { "slug": "network" } }),
        )
        .await;
        for number in 0..30 {
            let input = json!({ "name": format!("Queue {number}"), "position": number,
                "filter": { "title": { "eq": number.to_string() } } });
            agent.done("savedFilterCreate", input, "savedFilter { id }").await;
        }
        let sidebar = "{ queues { name count countIsExact } }";
        agent.ask(sidebar, json!({})).await;
        let before = installation.store().statement_count();
        let queues = agent.ask(sidebar, json!({})).await["queues"].take();
        assert_eq!(installation.store().statement_count() - before, 2, "the queues, and all their counts");
        let counts: Vec<_> = queues.as_array().expect("a list").iter().map(|queue| queue["count"].as_u64()).collect();
        assert_eq!(counts.len(), 30);
        assert!(counts.iter().enumerate().all(|(place, count)| *count == Some(u64::from(place == 7))), "{counts:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_queue_stays_current() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let admin = installation.client(&company.admin.token);
        let saved = agent.done("savedFilterCreate", json!({ "name": "Mine", "filter": mine() }), FIELDS).await;
        let after = installation.log_end(&agent).await;
        let queue = "subscription($id: ID, $filter: TicketFilter, $after: Cursor) { \
            queueChanges(savedFilter: $id, filter: $filter, after: $after) { kind ticket { id } } }";
        let mut socket = agent.socket().await;
        socket.subscribe("queue", queue, json!({ "id": saved["savedFilter"]["id"], "after": after })).await;
        let ticket = incident_with(&admin, json!({ "title": "x", "team": { "slug": "network" } })).await;
        assert_eq!(
            socket.next("queue").await["queueChanges"],
            json!({ "kind": "ADDED", "ticket": { "id": ticket["id"] } })
        );
        resolve(&agent, &ticket).await;
        assert_eq!(socket.next("queue").await["queueChanges"]["kind"], "REMOVED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_again_and_one_that_is_only_tried() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let with = |mut input: Value, key: &str, value: Value| {
            input[key] = value;
            input
        };
        let create = json!({ "name": "Mine", "description": "What *I* do.", "filter": mine(), "columns": ["number"], "position": 2 });
        let tried = agent.done("savedFilterCreate", with(create.clone(), "dryRun", json!(true)), FIELDS).await;
        assert_eq!(tried["savedFilter"]["name"], "Mine");
        assert!(names(&agent).await.is_empty());
        let keyed = with(create, "idempotencyKey", json!("k"));
        let first = agent.done("savedFilterCreate", keyed.clone(), FIELDS).await;
        assert_eq!(agent.done("savedFilterCreate", keyed, FIELDS).await, first);
        let id = first["savedFilter"]["id"].clone();
        let update = json!({ "id": id, "name": "Ours", "idempotencyKey": "k" });
        let changed = agent.done("savedFilterUpdate", update.clone(), FIELDS).await;
        assert_eq!(agent.done("savedFilterUpdate", update, FIELDS).await, changed);
        let delete = json!({ "id": id });
        agent.done("savedFilterDelete", with(delete.clone(), "dryRun", json!(true)), FIELDS).await;
        assert_eq!(names(&agent).await, ["Ours"]);
        let delete = with(delete, "idempotencyKey", json!("k"));
        let gone = agent.done("savedFilterDelete", delete.clone(), FIELDS).await;
        assert_eq!(gone["savedFilter"]["description"], "What *I* do.");
        assert_eq!(agent.done("savedFilterDelete", delete, FIELDS).await, gone, "as the first time");
        assert!(names(&agent).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_after_an_edit_follows_the_new_filter() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(50),
        async |installation, company| {
            let (agent, admin) = (installation.client(&company.agent.token), installation.client(&company.admin.token));
            let titled = |title: &str| json!({ "title": { "eq": title } });
            let saved =
                agent.done("savedFilterCreate", json!({ "name": "Mine", "filter": titled("old") }), FIELDS).await;
            let id = saved["savedFilter"]["id"].clone();
            let queue = "subscription($id: ID!) { queueChanges(savedFilter: $id) { kind ticket { title } } }";
            let follow = async || {
                let mut socket = agent.socket().await;
                socket.subscribe("queue", queue, json!({ "id": id })).await;
                // Two bookmarks: it has begun, and listens to a shared one by now.
                for _ in 0..2 {
                    assert_eq!(socket.next("queue").await["queueChanges"]["kind"], "BOOKMARK");
                }
                socket
            };
            let told = async |socket: &mut Socket| loop {
                let change = socket.next("queue").await["queueChanges"].take();
                if change["kind"] != "BOOKMARK" {
                    return (change["kind"].clone(), change["ticket"]["title"].clone());
                }
            };
            let (mut early, mut beside) = (follow().await, follow().await);
            let edit = json!({ "id": id, "filter": titled("new") });
            agent.done("savedFilterUpdate", edit, FIELDS).await;
            let mut late = follow().await;
            for title in ["old", "new"] {
                incident_with(&admin, json!({ "title": title, "team": { "slug": "network" } })).await;
            }
            for socket in [&mut early, &mut beside] {
                assert_eq!(told(socket).await, (json!("ADDED"), json!("old")), "it goes on by what it began with");
            }
            assert_eq!(told(&mut late).await, (json!("ADDED"), json!("new")));
        },
    )
    .await;
}
