//! What becomes of comments: edits with their earlier texts, redactions, mentions, HTML, and canned responses.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine};
use ticket::comment::revision::MAX_REVISIONS;

use crate::company_life::incident_with;

const COMMENT: &str = "comment { id body bodyHtml version editedAt redactedAt redactionReason redactedBy { name } \
    revisions { body writtenAt replacedAt } mentions { name } } events { __typename }";

async fn said(client: &Client, ticket: &Value, body: &str, visibility: &str) -> Value {
    let input = json!({ "id": ticket["id"], "body": body, "visibility": visibility });
    client.done("commentAdd", input, COMMENT).await["comment"].take()
}

async fn hits(client: &Client, query: &str) -> i64 {
    let found =
        client.ask("query($query: String!) { search(query: $query) { totalCount } }", json!({ "query": query }));
    found.await["search"]["totalCount"].as_i64().expect("a count")
}

async fn opened(agent: &Client, company: &Company, title: &str) -> Value {
    let requester = json!({ "email": company.requester.email });
    incident_with(agent, json!({ "title": title, "team": { "slug": "network" }, "requester": requester })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_is_edited_and_keeps_what_it_said() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, lead, requester) = (client(&company.agent), client(&company.lead), client(&company.requester));
        let ticket = opened(&agent, &company, "Mail").await;
        let first = said(&agent, &ticket, "The zebra is down.", "PUBLIC").await;
        assert_eq!((&first["version"], &first["editedAt"], &first["revisions"]), (&json!(1), &Value::Null, &json!([])));
        let written = installation.clock.now();
        installation.clock.advance(chrono::Duration::minutes(5));

        let edit = json!({ "id": first["id"], "body": "The *server* is down.", "expectedVersion": 1 });
        let mut dry = edit.clone();
        dry["dryRun"] = json!(true);
        assert_eq!(agent.done("commentUpdate", dry, COMMENT).await["comment"]["version"], 2);
        let mut once = edit.clone();
        once["idempotencyKey"] = json!("edit-1");
        let done = agent.done("commentUpdate", once.clone(), COMMENT).await;
        assert_eq!(done["events"], json!([{ "__typename": "CommentEdited" }]));
        let comment = &done["comment"];
        assert_eq!((&comment["version"], &comment["body"]), (&json!(2), &json!("The *server* is down.")));
        assert_eq!(comment["bodyHtml"], "<p>The <em>server</em> is down.</p>\n");
        assert_eq!(comment["revisions"][0]["body"], "The zebra is down.");
        let at =
            |time: &Value| time.as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
        let revision = &comment["revisions"][0];
        assert_eq!((at(&revision["writtenAt"]), at(&revision["replacedAt"])), (written, installation.clock.now()));
        assert_eq!(agent.done("commentUpdate", once, COMMENT).await, done, "the same call answers the same");
        assert_eq!(
            (hits(&agent, "zebra").await, hits(&agent, "server").await),
            (0, 1),
            "it is found by what it says now"
        );

        assert_eq!(agent.user_error("commentUpdate", edit.clone()).await["currentVersion"], 2);
        let same = json!({ "id": first["id"], "body": "The *server* is down." });
        assert_eq!(
            agent.done("commentUpdate", same, COMMENT).await["events"],
            json!([]),
            "the same text changes nothing"
        );
        let other = json!({ "id": first["id"], "body": "Mine." });
        assert_eq!(lead.user_error("commentUpdate", other.clone()).await["constraint"], "author");
        assert_eq!(requester.user_error("commentUpdate", other).await["constraint"], "author");
        let empty = json!({ "id": first["id"], "body": " " });
        assert_eq!(agent.user_error("commentUpdate", empty).await["path"], json!(["body"]));
        let wrong = json!({ "id": ticket["id"], "body": "x" });
        assert_eq!(agent.user_error("commentUpdate", wrong).await["path"], json!(["id"]));

        let internal = said(&agent, &ticket, "Secret: giraffe.", "INTERNAL").await;
        let hidden = json!({ "id": internal["id"], "body": "x" });
        assert_eq!(requester.user_error("commentUpdate", hidden).await["code"], "NOT_FOUND");
        agent.done("commentUpdate", json!({ "id": internal["id"], "body": "Secret: elephant." }), COMMENT).await;
        assert_eq!((hits(&agent, "giraffe").await, hits(&agent, "elephant").await), (0, 1));
        assert_eq!(hits(&requester, "elephant").await, 0);
        installation.log_end(&installation.client(&company.admin.token)).await;
        let history = "query($id: ID!) { ticket(by: { id: $id }) { history(first: 50) { nodes { __typename } } } }";
        let seen = requester.ask(history, json!({ "id": ticket["id"] })).await.to_string();
        assert_eq!(seen.matches("CommentEdited").count(), 1, "the internal one's is not for the requester: {seen}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_is_edited_so_many_times() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let ticket = opened(&agent, &company, "Mail").await;
        let comment = said(&agent, &ticket, "0", "PUBLIC").await;
        for number in 1..=MAX_REVISIONS {
            installation.clock.advance(chrono::Duration::milliseconds(1));
            agent
                .done("commentUpdate", json!({ "id": comment["id"], "body": number.to_string() }), "comment { id }")
                .await;
        }
        let error = agent.user_error("commentUpdate", json!({ "id": comment["id"], "body": "x" })).await;
        assert_eq!((&error["code"], &error["limit"]), (&json!("LIMIT"), &json!(MAX_REVISIONS)));
        let query = "query($id: ID!) { node(id: $id) { ... on Comment { revisions { body } } } }";
        let kept = agent.ask(query, json!({ "id": comment["id"] })).await["node"]["revisions"].take();
        assert_eq!(kept.as_array().map(Vec::len), Some(MAX_REVISIONS));
        assert_eq!(
            (&kept[0]["body"], &kept[MAX_REVISIONS - 1]["body"]),
            (&json!("0"), &json!((MAX_REVISIONS - 1).to_string()))
        );
    })
    .await;
}

/// Whether any event, or what a comment says or said, holds this text.
async fn holds(installation: &Installation, admin: &Client, text: &str) -> bool {
    let everything = "query($after: Cursor) { events(first: 100, after: $after) { nodes { id changes { field before after } ... on CommentAdded { comment { body revisions { body } } } \
        ... on CommentEdited { comment { body revisions { body } } } } } }";
    installation.log_end(admin).await;
    admin.ask(everything, json!({})).await.to_string().contains(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redacted_comment_is_gone_and_was_there() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, lead, requester, admin) =
            (client(&company.agent), client(&company.lead), client(&company.requester), client(&company.admin));
        let ticket = opened(&agent, &company, "Mail").await;
        let id = company.lead.id.clone();
        let comment = said(&requester, &ticket, &format!("My password is tapir. @{id}"), "PUBLIC").await;
        requester.done("commentUpdate", json!({ "id": comment["id"], "body": "My password is okapi." }), COMMENT).await;
        assert!(holds(installation, &admin, "tapir").await);
        let redact = json!({ "id": comment["id"], "reason": "A password" });
        assert_eq!(agent.user_error("commentRedact", redact.clone()).await["permission"], "comment.redact");
        installation.clock.advance(chrono::Duration::minutes(1));
        let done = lead.done("commentRedact", redact.clone(), COMMENT).await;
        assert_eq!(done["events"], json!([{ "__typename": "CommentRedacted" }]));
        let seen = &done["comment"];
        assert_eq!(
            (
                &seen["body"],
                &seen["bodyHtml"],
                &seen["redactionReason"],
                &seen["redactedBy"]["name"],
                &seen["revisions"]
            ),
            (&json!(""), &json!(""), &json!("A password"), &json!("Lead"), &json!([]))
        );
        assert_eq!((hits(&lead, "okapi").await, hits(&lead, "tapir").await), (0, 0));
        assert!(!holds(installation, &admin, "tapir").await && !holds(installation, &admin, "okapi").await);
        assert_eq!(
            requester.user_error("commentUpdate", json!({ "id": comment["id"], "body": "x" })).await["constraint"],
            "redacted"
        );
        assert_eq!(lead.user_error("commentRedact", redact).await["constraint"], "redacted");
        let long = json!({ "id": comment["id"], "reason": "x".repeat(256) });
        assert_eq!(lead.user_error("commentRedact", long).await["path"], json!(["reason"]));

        let own = said(&requester, &ticket, "Oops.", "PUBLIC").await;
        requester.done("commentRedact", json!({ "id": own["id"] }), COMMENT).await;
        let internal = said(&agent, &ticket, "Among us.", "INTERNAL").await;
        assert_eq!(requester.user_error("commentRedact", json!({ "id": internal["id"] })).await["code"], "NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_mentioned_is_told() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, lead, requester, walt) =
            (client(&company.agent), client(&company.lead), client(&company.requester), client(&company.walt));
        let ticket = opened(&agent, &company, "Mail").await;
        let (email, id) = (&company.lead.email, &company.requester.id);
        let body = format!("@{email}: please call @{id}, not @nobody@acme.example or {}.", company.walt.email);
        let comment = said(&agent, &ticket, &body, "PUBLIC").await;
        let mut names: Vec<_> =
            comment["mentions"].as_array().expect("people").iter().map(|one| one["name"].clone()).collect();
        names.sort_by_key(Value::to_string);
        assert_eq!(names, [json!("Lead"), json!("Requester")]);
        installation.clock.advance(chrono::Duration::milliseconds(1));
        said(&agent, &ticket, &format!("@{email} among us, not for @{id}"), "INTERNAL").await;

        let inbox = "{ viewer { mentions(last: 10) { totalCount nodes { body ticket { number } author { name } } } } }";
        let mentions = async |client: &Client| client.ask(inbox, json!({})).await["viewer"]["mentions"].take();
        let seen = mentions(&lead).await;
        assert_eq!((&seen["totalCount"], &seen["nodes"][0]["body"]), (&json!(2), &json!(body)));
        assert_eq!(seen["nodes"][0]["ticket"]["number"], ticket["number"]);
        assert_eq!(mentions(&requester).await["totalCount"], 1, "what is said internally is not for the requester");
        assert_eq!(mentions(&walt).await["totalCount"], 0);

        // Those who may not read addresses cannot find out by them who there is.
        let asked = said(&requester, &ticket, &format!("@{email} @{}", company.walt.id), "PUBLIC").await;
        assert_eq!(asked["mentions"], json!([{ "name": "Walt" }]));
        assert_eq!(
            mentions(&walt).await,
            json!({ "totalCount": 0, "nodes": [] }),
            "being mentioned shows nobody a ticket"
        );

        agent.done("commentUpdate", json!({ "id": comment["id"], "body": "Never mind." }), COMMENT).await;
        assert_eq!(mentions(&requester).await["totalCount"], 0);
        assert_eq!(mentions(&lead).await["totalCount"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_often_answered_is_written_once() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, lead, requester) = (client(&company.agent), client(&company.lead), client(&company.requester));
        let fields = "cannedResponse { id key title body team { slug } retired version } events { __typename }";
        let input = json!({ "key": "need-more", "title": "Need more", "team": { "slug": "network" },
            "body": "Dear {{requester.name}}, what exactly is *{{ ticket.title }}* ({{ticket.number}})? {{viewer.name}}, {{assignee.name}}" });
        assert_eq!(agent.user_error("cannedResponseCreate", input.clone()).await["permission"], "cannedResponse.manage");
        let made = lead.done("cannedResponseCreate", input.clone(), fields).await;
        assert_eq!(made["cannedResponse"]["team"]["slug"], "network");
        assert_eq!(lead.user_error("cannedResponseCreate", input).await["code"], "CONFLICT");
        let wrong = json!({ "key": "x", "title": "x", "body": "{{password}}" });
        assert_eq!(lead.user_error("cannedResponseCreate", wrong).await["constraint"], "placeholder");
        lead.done("cannedResponseCreate", json!({ "key": "thanks", "title": "Thanks", "body": "Thanks!" }), fields).await;

        let ticket = opened(&agent, &company, "[x](https://evil.example)").await;
        let query = "query($ticket: ID!) { cannedResponse(by: { key: \"need-more\" }) { filled(ticket: $ticket) } }";
        let filled = agent.ask(query, json!({ "ticket": ticket["number"] })).await["cannedResponse"]["filled"].take();
        let number = ticket["number"].as_str().expect("a number");
        assert_eq!(
            filled,
            format!(r"Dear Requester, what exactly is *\[x\]\(https://evil.example\)* ({number})? Agent, ")
        );
        let hidden = agent.refused(query, json!({ "ticket": "INC-9999" })).await;
        assert_eq!(hidden, "NOT_FOUND");

        let list = "query($filter: CannedResponsesFilter) { cannedResponses(filter: $filter) { totalCount nodes { key } } }";
        let keys = async |client: &Client, filter: Value| {
            let found = client.ask(list, json!({ "filter": filter })).await["cannedResponses"]["nodes"].take();
            found.as_array().expect("nodes").iter().map(|one| one["key"].as_str().expect("a key").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&agent, json!({})).await, ["need-more", "thanks"]);
        assert_eq!(keys(&agent, json!({ "team": { "slug": "workplace" } })).await, ["thanks"]);
        assert_eq!(keys(&requester, json!({})).await, [""; 0]);
        let update = json!({ "key": "thanks", "retired": true, "team": { "slug": "workplace" }, "expectedVersion": 1 });
        let done = lead.done("cannedResponseUpdate", update.clone(), fields).await;
        assert_eq!(done["cannedResponse"]["version"], 2);
        assert_eq!(done["events"], json!([{ "__typename": "CannedResponseUpdated" }]));
        assert_eq!(lead.user_error("cannedResponseUpdate", update).await["currentVersion"], 2);
        assert_eq!(keys(&agent, json!({ "retired": false })).await, ["need-more"]);
        let id = &made["cannedResponse"]["id"];
        let node = "query($id: ID!) { node(id: $id) { ... on CannedResponse { key } } }";
        assert_eq!(agent.ask(node, json!({ "id": id })).await["node"]["key"], "need-more");
        assert_eq!(requester.ask(node, json!({ "id": id })).await["node"], Value::Null);
    })
    .await;
}
