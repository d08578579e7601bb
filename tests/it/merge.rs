//! Merging tickets, undoing that, and splitting comments off: what moves, who sees it, and what is refused.

use chrono::Duration;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine};

use crate::attachments::{fetched, uploaded};
use crate::company_life::{assign, comment, incident_with, resolve, step};

const MERGED: &str = "ticket { number } duplicate { version state { key category } mergedInto { number } } \
    merge { id comments attachments watchers undoneAt } events { __typename }";
const TICKET: &str = "query($id: ID!) { ticket(by: { id: $id }) { version state { key category waitingReason } closedAt \
    mergedInto { number } merges { duplicate { number } comments undoneAt } watchers { name } firstRespondedAt \
    comments(first: 50) { nodes { id body visibility createdAt author { name } movedFrom { number } attachments { fileName } } } \
    attachments { id fileName visibility movedFrom { number } downloadUrl } links { type direction ticket { number } } \
    ... on Incident { deduplicationKey firingAlerts occurrences } } }";

async fn seen(client: &Client, ticket: &Value) -> Value {
    client.ask(TICKET, json!({ "id": ticket["id"] })).await["ticket"].take()
}

fn bodies(ticket: &Value) -> Vec<&str> {
    let all = ticket["comments"]["nodes"].as_array().expect("comments");
    all.iter().map(|comment| comment["body"].as_str().expect("a text")).collect()
}

fn kinds(done: &Value) -> Vec<&str> {
    let all = done["events"].as_array().expect("events");
    all.iter().map(|event| event["__typename"].as_str().expect("a name")).collect()
}

/// An incident of somebody that the network team has.
async fn opened(agent: &Client, title: &str, requester: &str) -> Value {
    let requester = json!({ "email": requester });
    incident_with(agent, json!({ "title": title, "team": { "slug": "network" }, "requester": requester })).await
}

fn merge(duplicate: &Value, into: &Value) -> Value {
    json!({ "id": duplicate["number"], "into": into["id"] })
}

/// Somebody's copy, with what is said on it in public and among agents and a file of each kind; and the original of somebody else.
async fn two(installation: &Installation, company: &Company) -> (Value, Value) {
    let agent = installation.client(&company.agent.token);
    let requester = installation.client(&company.requester.token);
    let copy = opened(&agent, "VPN is gone", &company.requester.email).await;
    let original = opened(&agent, "VPN drops", &company.sam.email).await;
    for (client, body, visibility) in
        [(&requester, "It began at nine.", "PUBLIC"), (&agent, "The zylograph is old.", "INTERNAL")]
    {
        let file = uploaded(client, &format!("{visibility}.txt"), "text/plain", body.as_bytes()).await;
        let said = json!({ "id": copy["id"], "body": body, "visibility": visibility, "attachments": [file] });
        client.done("commentAdd", said, "comment { id }").await;
        installation.clock.advance(Duration::minutes(1));
    }
    comment(&agent, &original, "Here as well.", "PUBLIC").await;
    installation.clock.advance(Duration::minutes(1));
    (copy, original)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_goes_into_another() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, requester, sam) = (client(&company.agent), client(&company.requester), client(&company.sam));
        let (copy, original) = two(installation, &company).await;
        agent.done("ticketWatch", json!({ "id": copy["id"] }), "ticket { id }").await;
        let (before, there) = (seen(&agent, &copy).await, seen(&agent, &original).await);

        let mut input = merge(&copy, &original);
        input["dryRun"] = json!(true);
        let dry = agent.done("ticketMerge", input.clone(), MERGED).await;
        assert_eq!(dry["merge"]["comments"], 2);
        assert_eq!(seen(&agent, &copy).await["comments"], before["comments"], "a dry run leaves nothing");
        input["dryRun"] = json!(false);
        input["idempotencyKey"] = json!("merge-1");
        input["comment"] = json!("We go on in the other one.");
        input["expectedVersion"] = json!(9);
        let stale = agent.user_error("ticketMerge", input.clone()).await;
        assert_eq!((&stale["code"], &stale["path"]), (&json!("CONFLICT"), &json!(["expectedVersion"])));
        input["expectedVersion"] = before["version"].clone();
        let done = agent.done("ticketMerge", input.clone(), MERGED).await;
        assert_eq!(
            kinds(&done),
            ["TicketLinked", "TicketLinked", "TicketWatched", "TicketWatched", "CommentAdded", "TicketMerged", "TicketMergeReceived"]
        );
        assert_eq!((&done["ticket"]["number"], &done["duplicate"]["state"]), (&original["number"], &json!({ "key": "canceled", "category": "CANCELED" })));
        assert_eq!((&done["merge"]["attachments"], &done["merge"]["watchers"]), (&json!(2), &json!(2)));
        let again = agent.done("ticketMerge", input, MERGED).await;
        assert_eq!(again, done, "the same call again");

        // What was said is there as it was, and says where it comes from.
        let now = seen(&agent, &original).await;
        assert_eq!(bodies(&now), ["It began at nine.", "The zylograph is old.", "Here as well."]);
        for (moved, was) in now["comments"]["nodes"].as_array().unwrap().iter().zip(before["comments"]["nodes"].as_array().unwrap()) {
            assert_eq!(moved["movedFrom"]["number"], copy["number"]);
            for field in ["id", "visibility", "createdAt", "author", "attachments"] {
                assert_eq!(moved[field], was[field], "{field}");
            }
        }
        assert_eq!(now["comments"]["nodes"][2]["movedFrom"], Value::Null);
        assert_eq!(now["firstRespondedAt"], there["firstRespondedAt"], "what was moved is not said anew");
        assert_eq!(now["version"], there["version"], "its own fields are as they were");
        assert_eq!(now["watchers"], json!([{ "name": "Requester" }, { "name": "Agent" }]));
        assert_eq!(now["links"], json!([{ "type": "DUPLICATES", "direction": "INWARD", "ticket": { "number": copy["number"] } }]));
        assert_eq!(now["merges"], json!([{ "duplicate": { "number": copy["number"] }, "comments": 2, "undoneAt": null }]));
        let gone = seen(&agent, &copy).await;
        assert_eq!(bodies(&gone), ["We go on in the other one."], "that is for those who asked here");
        assert_eq!((&gone["attachments"], &gone["mergedInto"]["number"]), (&json!([]), &original["number"]));
        let node = "query($id: ID!) { node(id: $id) { __typename ... on TicketMerge { ticket { number } duplicate { number } mergedBy { name } undoableUntil mergedAt } } }";
        let node = agent.ask(node, json!({ "id": done["merge"]["id"] })).await["node"].take();
        assert_eq!((&node["duplicate"]["number"], &node["mergedBy"]["name"]), (&copy["number"], &json!("Agent")));

        // Whoever has the one and not the other learns nothing of the other.
        let theirs = seen(&requester, &copy).await;
        assert_eq!((&theirs["mergedInto"], &theirs["state"]["category"]), (&Value::Null, &json!("CANCELED")));
        assert_eq!(seen(&requester, &original).await, Value::Null, "to watch opens nothing");
        let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 9) { nodes { __typename ... on TicketMerged { into { number } merge { id } changes { field } } } } } }";
        installation.log_end(&agent).await;
        let told = requester.ask(history, json!({ "id": copy["id"] })).await;
        let last = told["ticket"]["history"]["nodes"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["__typename"], &last["into"], &last["merge"]), (&json!("TicketMerged"), &Value::Null, &Value::Null));
        assert!(!told.to_string().contains("mergedInto") && last["changes"].to_string().contains("stateCategory"), "{told}");
        let other = seen(&sam, &original).await;
        assert_eq!(bodies(&other), ["It began at nine.", "Here as well."], "what is internal stays so");
        assert_eq!((&other["comments"]["nodes"][0]["movedFrom"], &other["merges"]), (&Value::Null, &json!([])));
        let told = sam.ask(history, json!({ "id": original["id"] })).await;
        assert!(!told.to_string().contains("TicketMergeReceived"), "{told}");

        // Files are fetched by those who see the ticket where they are now.
        let files = now["attachments"].as_array().unwrap();
        assert_eq!(files.iter().map(|file| file["fileName"].as_str().unwrap()).collect::<Vec<_>>(), ["PUBLIC.txt", "INTERNAL.txt"]);
        assert!(files.iter().all(|file| file["movedFrom"]["number"] == copy["number"]));
        assert_eq!(fetched(&sam, &other["attachments"][0]["downloadUrl"]).await, (StatusCode::OK, b"It began at nine.".to_vec()));
        assert_eq!(other["attachments"].as_array().map(Vec::len), Some(1));
        let node = "query($id: ID!) { node(id: $id) { id } }";
        assert_eq!(requester.ask(node, json!({ "id": files[0]["id"] })).await["node"], Value::Null);

        // What was moved is found where it is, by those who may read it.
        let search = "query($query: String!) { search(query: $query) { nodes { ... on Ticket { number } } } }";
        for (client, query, expected) in [
            (&agent, "nine", vec![&original]),
            (&agent, "zylograph", vec![&original]),
            (&sam, "nine", vec![&original]),
            (&sam, "zylograph", vec![]),
            (&requester, "nine", vec![]),
            (&requester, "other", vec![&copy]),
        ] {
            let found = client.ask(search, json!({ "query": query })).await;
            let expected: Vec<Value> = expected.iter().map(|ticket| json!({ "number": ticket["number"] })).collect();
            assert_eq!(found["search"]["nodes"], json!(expected), "{query}");
        }

        // The past of both is what it was.
        let past = "query($id: ID!, $at: DateTime!) { ticket(by: { id: $id }, asOf: $at) { state { category } version } \
                    ticketDiff(by: { id: $id }, from: $at) { differences { field } eventCount } }";
        let at = (installation.clock.now() - Duration::seconds(1)).to_rfc3339();
        let data = agent.ask(past, json!({ "id": copy["id"], "at": at })).await;
        assert_eq!(data["ticket"]["version"], before["version"]);
        assert_ne!(data["ticket"]["state"]["category"], "CANCELED");
        assert!(data["ticketDiff"]["differences"].to_string().contains("stateCategory"), "{data}");
        let data = agent.ask(past, json!({ "id": original["id"], "at": at })).await;
        assert_eq!((&data["ticket"]["version"], &data["ticketDiff"]["differences"]), (&there["version"], &json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_is_undone() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, requester, sam) = (client(&company.agent), client(&company.requester), client(&company.sam));
        let (copy, original) = two(installation, &company).await;
        step(&agent, &copy, "hold", json!({ "waitingReason": "VENDOR" })).await;
        sam.done("ticketWatch", json!({ "id": original["id"] }), "ticket { id }").await;
        let (before, there) = (seen(&agent, &copy).await, seen(&agent, &original).await);
        let done = agent.done("ticketMerge", merge(&copy, &original), MERGED).await;
        // Since then one comment is redacted and one is said; somebody who was made a watcher ceased to be one and came back.
        comment(&agent, &original, "Since.", "PUBLIC").await;
        let moved = json!({ "id": before["comments"]["nodes"][1]["id"] });
        agent.done("commentRedact", moved, "comment { id }").await;
        installation.clock.advance(Duration::hours(24));
        let mut input = json!({ "id": done["merge"]["id"], "idempotencyKey": "undo-1", "dryRun": true });
        agent.done("ticketMergeUndo", input.clone(), MERGED).await;
        assert_eq!(seen(&agent, &copy).await["mergedInto"]["number"], original["number"], "a dry run leaves nothing");
        input["dryRun"] = json!(false);
        input["expectedVersion"] = json!(1);
        assert_eq!(agent.user_error("ticketMergeUndo", input.clone()).await["code"], "CONFLICT");
        input["expectedVersion"] = done["duplicate"]["version"].clone();
        let undone = agent.done("ticketMergeUndo", input.clone(), MERGED).await;
        assert_eq!(
            kinds(&undone),
            ["TicketUnwatched", "TicketUnlinked", "TicketUnlinked", "TicketMergeUndone", "TicketMergeUndone"]
        );
        assert_eq!(agent.done("ticketMergeUndo", input, MERGED).await, undone, "the same call again");
        assert_eq!(
            (&undone["duplicate"]["mergedInto"], &undone["duplicate"]["state"]["key"]),
            (&Value::Null, &json!("on_hold"))
        );
        let (now, other) = (seen(&agent, &copy).await, seen(&agent, &original).await);
        assert_eq!(bodies(&now), ["It began at nine.", ""], "what was redacted since stays so");
        assert!(now["comments"]["nodes"].as_array().unwrap().iter().all(|comment| comment["movedFrom"].is_null()));
        assert_eq!((&now["state"], &now["closedAt"]), (&before["state"], &Value::Null));
        assert_eq!(now["attachments"].as_array().map(Vec::len), Some(1), "the file of the redacted comment is gone");
        assert_eq!(bodies(&other), ["Here as well.", "Since."]);
        assert_eq!((&other["watchers"], &other["links"]), (&there["watchers"], &json!([])));
        assert!(!other["merges"][0]["undoneAt"].is_null());
        let search = "{ search(query: \"nine\") { nodes { ... on Ticket { number } } } }";
        assert_eq!(requester.ask(search, json!({})).await["search"]["nodes"], json!([{ "number": copy["number"] }]));
        assert_eq!(sam.ask(search, json!({})).await["search"]["nodes"], json!([]));
        comment(&requester, &copy, "Thank you.", "PUBLIC").await;

        let again = agent.user_error("ticketMergeUndo", json!({ "id": done["merge"]["id"] })).await;
        assert_eq!((&again["constraint"], &again["path"]), (&json!("undone"), &json!(["id"])));
        let never = agent.user_error("ticketMergeUndo", json!({ "id": original["number"] })).await;
        assert_eq!(never["constraint"], "merged");
        let strange = requester.user_error("ticketMergeUndo", json!({ "id": done["merge"]["id"] })).await;
        assert_eq!((&strange["code"], &strange["path"]), (&json!("NOT_FOUND"), &json!(["id"])));
        // It can be merged again; and what went on to a third one is undone from there.
        agent.done("ticketMerge", merge(&copy, &original), MERGED).await;
        let third = opened(&agent, "Network", &company.sam.email).await;
        agent.done("ticketMerge", merge(&original, &third), MERGED).await;
        let whole = seen(&agent, &third).await;
        assert_eq!(whole["comments"]["nodes"][0]["movedFrom"]["number"], copy["number"], "where it was said first");
        let on = agent.user_error("ticketMergeUndo", json!({ "id": copy["id"] })).await;
        assert_eq!(on["constraint"], "mergedOn");
        agent.done("ticketMergeUndo", json!({ "id": original["id"] }), MERGED).await;
        let back = seen(&agent, &original).await;
        assert_eq!(back["comments"]["nodes"][0]["movedFrom"]["number"], copy["number"]);
        installation.clock.advance(Duration::hours(24) + Duration::seconds(1));
        let late = agent.user_error("ticketMergeUndo", json!({ "id": copy["id"] })).await;
        assert_eq!((&late["constraint"], &late["path"]), (&json!("window"), &json!(["id"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_go_together_is_refused() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, lead, agent) = (client(&company.admin), client(&company.lead), client(&company.agent));
        let requester = client(&company.requester);
        let (copy, original) = two(installation, &company).await;
        let problem = json!({ "title": "Cause", "team": { "slug": "network" } });
        let problem = agent.done("problemCreate", problem, "problem { id number }").await["problem"].take();
        let closed = opened(&agent, "Closed", &company.sam.email).await;
        resolve(&agent, &closed).await;
        step(&agent, &closed, "close", json!({})).await;
        let parent = opened(&agent, "Parent", &company.sam.email).await;
        let child = opened(&agent, "Child", &company.sam.email).await;
        agent.done("ticketLink", json!({ "id": parent["id"], "type": "PARENT_OF", "target": child["id"] }), "ticket { id }").await;
        let worked = opened(&agent, "Worked", &company.sam.email).await;
        let task = json!({ "parent": worked["id"], "title": "Look" });
        let task = agent.done("taskCreate", task, "task { id }").await["task"].take();
        let cause = agent.done("problemCreate", json!({ "title": "Another cause", "team": { "slug": "network" } }), "problem { id number }").await["problem"].take();
        let waiting = opened(&agent, "Waiting", &company.sam.email).await;
        agent.done("ticketLink", json!({ "id": waiting["id"], "type": "CAUSED_BY", "target": cause["id"] }), "ticket { id }").await;
        step(&agent, &waiting, "hold", json!({ "waitingReason": "PROBLEM" })).await;
        let mut tasks = Vec::new();
        for title in ["First", "Second", "Third"] {
            let input = json!({ "parent": original["id"], "title": title, "dependsOn": tasks.first().into_iter().collect::<Vec<_>>() });
            tasks.push(agent.done("taskCreate", input, "task { number }").await["task"]["number"].take());
        }
        let [first, second, third] = [0, 1, 2].map(|place: usize| json!({ "number": tasks[place], "id": tasks[place] }));
        let theirs = incident_with(&client(&company.walt), json!({ "title": "Theirs", "team": { "slug": "workplace" } })).await;
        let major = opened(&agent, "Major", &company.sam.email).await;
        admin.done("majorIncidentDeclare", json!({ "incident": major["id"], "businessImpact": "All is down." }), "incident { id }").await;
        for (duplicate, into, path, constraint) in [
            (&copy, &copy, "into", "self"),
            (&copy, &problem, "into", "kind"),
            (&copy, &closed, "into", "state"),
            (&parent, &original, "id", "children"),
            (&worked, &original, "id", "tasks"),
            (&major, &original, "id", "kind"),
            (&cause, &problem, "id", "dependents"),
            (&first, &second, "id", "dependents"),
        ] {
            let error = admin.user_error("ticketMerge", merge(duplicate, into)).await;
            assert_eq!((&error["code"], &error["path"], &error["constraint"]), (&json!("VALIDATION"), &json!([path]), &json!(constraint)), "{error}");
            let counts = error["message"].as_str().unwrap().contains(|letter: char| letter.is_ascii_digit());
            assert!(!counts, "how many there are is not for whoever does not see them: {error}");
        }
        let hidden = agent.user_error("ticketMerge", merge(&copy, &theirs)).await;
        assert_eq!((&hidden["code"], &hidden["path"]), (&json!("NOT_FOUND"), &json!(["into"])));
        let forbidden = lead.user_error("ticketMerge", merge(&copy, &theirs)).await;
        assert_eq!((&forbidden["code"], &forbidden["path"]), (&json!("FORBIDDEN"), &json!(["into"])));
        let own = opened(&agent, "Own", &company.requester.email).await;
        let forbidden = requester.user_error("ticketMerge", merge(&copy, &own)).await;
        assert_eq!((&forbidden["code"], &forbidden["permission"]), (&json!("FORBIDDEN"), &json!("ticket.update")));
        let empty = json!({ "id": copy["id"], "into": original["id"], "comment": " " });
        assert_eq!(agent.user_error("ticketMerge", empty).await["path"], json!(["comment"]));
        // What is internal is moved by those who may read it, and a refusal tells nobody whether there is any.
        let scopes = json!({ "name": "Merger", "scopes": ["ticket.read", "ticket.update"] });
        let token = agent.done("apiTokenCreate", scopes, "token").await["token"].take();
        let narrow = installation.client(token.as_str().expect("a token"));
        let plain = opened(&agent, "Plain", &company.sam.email).await;
        comment(&agent, &plain, "Hm.", "PUBLIC").await;
        let mut told = Vec::new();
        for duplicate in [&copy, &plain, &parent, &worked, &second] {
            let into = if duplicate == &second { &third } else { &original };
            let mut input = merge(duplicate, into);
            input["dryRun"] = json!(true);
            let forbidden = narrow.user_error("ticketMerge", input).await;
            assert_eq!((&forbidden["code"], &forbidden["permission"]), (&json!("FORBIDDEN"), &json!("ticket.internal")));
            told.push(forbidden);
        }
        assert!(told.iter().all(|forbidden| *forbidden == told[0]), "{told:?}");
        agent.done("ticketMerge", merge(&plain, &original), "merge { comments }").await;
        let undo = json!({ "id": plain["id"], "dryRun": true });
        assert_eq!(narrow.user_error("ticketMergeUndo", undo).await["permission"], "ticket.internal");
        // Of a ticket that is done, nothing is in the way.
        agent.done("ticketMerge", merge(&second, &third), MERGED).await;
        agent.done("ticketTransition", json!({ "id": task["id"], "transition": "complete" }), "ticket { id }").await;
        agent.done("ticketMerge", merge(&worked, &original), MERGED).await;

        // What is merged takes nothing any more, and names where to go on to those who see it.
        assign(&admin, &theirs, "network", None).await;
        admin.done("ticketWatch", json!({ "id": copy["id"] }), "ticket { id }").await;
        let mut input = merge(&copy, &theirs);
        input["comment"] = json!("Call Ida Example, +49 30 1234.");
        admin.done("ticketMerge", input, MERGED).await;
        assign(&admin, &theirs, "workplace", None).await;
        let id = &copy["id"];
        for (mutation, input, path) in [
            ("commentAdd", json!({ "id": id, "body": "Hm." }), "id"),
            ("incidentUpdate", json!({ "id": id, "title": "Hm." }), "id"),
            ("ticketAssign", json!({ "id": id, "assignee": null }), "id"),
            ("ticketWatch", json!({ "id": id }), "id"),
            ("ticketTransition", json!({ "id": id, "transition": "reopen" }), "id"),
            ("timeEntryAdd", json!({ "ticket": id, "duration": "PT1H" }), "ticket"),
            ("taskCreate", json!({ "parent": id, "title": "Hm." }), "parent"),
            ("ticketLink", json!({ "id": id, "type": "RELATES_TO", "target": original["id"] }), "id"),
            ("ticketLink", json!({ "id": original["id"], "type": "RELATES_TO", "target": id }), "target"),
            ("ticketMerge", merge(&copy, &original), "id"),
            ("ticketMerge", merge(&original, &copy), "into"),
        ] {
            for (client, names) in [(&admin, true), (&agent, false)] {
                let error = client.user_error(mutation, input.clone()).await;
                assert_eq!((&error["constraint"], &error["path"]), (&json!("merged"), &json!([path])), "{mutation}: {error}");
                let number = theirs["number"].as_str().unwrap();
                assert_eq!(error["message"].as_str().unwrap().contains(number), names, "{error}");
            }
        }
        // What was said with the merge can be taken back, not changed; and nobody is held to watching it.
        let said = seen(&admin, &copy).await["comments"]["nodes"][0]["id"].take();
        let edited = json!({ "id": said, "body": "Hm." });
        assert_eq!(admin.user_error("commentUpdate", edited).await["constraint"], "merged");
        let redacted = admin.done("commentRedact", json!({ "id": said }), "comment { body redactedAt } ticket { number }").await;
        assert_eq!((&redacted["comment"]["body"], &redacted["ticket"]["number"]), (&json!(""), &copy["number"]));
        assert!(!redacted["comment"]["redactedAt"].is_null(), "{redacted}");
        admin.done("ticketUnwatch", json!({ "id": id }), "ticket { id }").await;
        assert_eq!(seen(&admin, &copy).await["watchers"], json!([]));
        let file = uploaded(&agent, "a.txt", "text/plain", b"a").await;
        let error = agent.user_error("attachmentAdd", json!({ "id": id, "uploads": [file] })).await;
        assert_eq!(error["constraint"], "merged");
        let bulk = json!({ "ids": [id, original["id"]], "patch": { "tags": ["a"] } });
        let bulk = agent.done("ticketBulkUpdate", bulk, "results { outcome }").await;
        assert_eq!(bulk["results"][0]["outcome"], "FAILED", "{bulk}");
        assert_eq!(bulk["results"][1]["outcome"], "DONE");
        let link = json!({ "problem": problem["id"], "incidents": { "ids": [id] } });
        let linked = agent.done("problemLinkIncidents", link, "results { outcome userErrors { __typename message } }").await;
        assert_eq!(linked["results"][0]["outcome"], "REFUSED", "{linked}");
        let possible = "query($id: ID!) { ticket(by: { id: $id }) { availableTransitions { allowed } viewerCan(action: COMMENT) { allowed } } }";
        let possible = admin.ask(possible, json!({ "id": id })).await;
        assert!(!possible.to_string().contains("true"), "{possible}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_become_a_ticket_of_their_own() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, requester) = (client(&company.agent), client(&company.requester));
        let (one, other) = two(installation, &company).await;
        agent.done("incidentUpdate", json!({ "id": one["id"], "category": "vpn", "impact": "HIGH" }), "incident { id }").await;
        let before = seen(&agent, &one).await;
        let comments: Vec<Value> = before["comments"]["nodes"].as_array().unwrap().iter().map(|comment| comment["id"].clone()).collect();
        let selection = "ticket { id number title requester { name } team { slug } category { key } impact firstRespondedAt } \
            original { number } events { __typename ... on TicketSplit { comments attachments splitOff { title } } ... on TicketSplitOff { splitFrom { number } } }";
        let mut input = json!({ "id": one["id"], "comments": [comments[1]], "title": "Old zylograph", "dryRun": true });
        agent.done("ticketSplit", input.clone(), selection).await;
        assert_eq!(bodies(&seen(&agent, &one).await).len(), 2, "a dry run leaves nothing");
        input["dryRun"] = json!(false);
        input["idempotencyKey"] = json!("split-1");
        input["expectedVersion"] = json!(99);
        assert_eq!(agent.user_error("ticketSplit", input.clone()).await["code"], "CONFLICT");
        input["expectedVersion"] = before["version"].clone();
        let done = agent.done("ticketSplit", input.clone(), selection).await;
        assert_eq!(kinds(&done), ["IncidentCreated", "TicketLinked", "TicketLinked", "TicketSplit", "TicketSplitOff"]);
        let new = &done["ticket"];
        assert_eq!(
            (&new["requester"]["name"], &new["team"]["slug"], &new["category"]["key"], &new["impact"], &new["firstRespondedAt"]),
            (&json!("Requester"), &json!("network"), &json!("vpn"), &json!("HIGH"), &Value::Null)
        );
        assert_eq!((&done["events"][3]["comments"], &done["events"][3]["attachments"]), (&json!(1), &json!(1)));
        assert_eq!(done["events"][4]["splitFrom"]["number"], one["number"]);
        assert_eq!(agent.done("ticketSplit", input, selection).await, done, "the same call again");
        let split = seen(&agent, new).await;
        assert_eq!((bodies(&split), &split["comments"]["nodes"][0]["movedFrom"]["number"]), (vec!["The zylograph is old."], &one["number"]));
        assert_eq!(split["attachments"][0]["movedFrom"]["number"], one["number"]);
        assert_eq!(split["links"], json!([{ "type": "RELATES_TO", "direction": "INWARD", "ticket": { "number": one["number"] } }]));
        assert_eq!(bodies(&seen(&agent, &one).await), ["It began at nine."]);
        let theirs = seen(&requester, new).await;
        assert_eq!((bodies(&theirs), &theirs["attachments"]), (vec![], &json!([])), "what is internal stays so");
        let search = "{ search(query: \"zylograph\") { nodes { ... on Ticket { number } } } }";
        let found = agent.ask(search, json!({})).await;
        assert_eq!(found["search"]["nodes"], json!([{ "number": new["number"] }]));

        let strange = seen(&agent, &other).await["comments"]["nodes"][0]["id"].take();
        for (input, code, path) in [
            (json!({ "id": one["id"], "comments": [], "title": "x" }), "VALIDATION", json!(["comments"])),
            (json!({ "id": one["id"], "comments": vec![comments[0].clone(); 101], "title": "x" }), "LIMIT", json!(["comments"])),
            (json!({ "id": one["id"], "comments": [comments[0], strange], "title": "x" }), "NOT_FOUND", json!(["comments", "1"])),
            (json!({ "id": one["id"], "comments": [comments[0]], "title": " " }), "VALIDATION", json!(["title"])),
            (json!({ "id": one["id"], "comments": ["nonsense"], "title": "x" }), "VALIDATION", json!(["comments", "0"])),
            (json!({ "id": one["id"], "comments": [comments[0]], "title": "x", "category": "gone" }), "NOT_FOUND", json!(["category"])),
        ] {
            let error = agent.user_error("ticketSplit", input).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &path), "{error}");
        }
        let mine = json!({ "id": one["id"], "comments": [comments[0]], "title": "x" });
        let error = requester.user_error("ticketSplit", mine).await;
        assert_eq!((&error["code"], &error["permission"]), (&json!("FORBIDDEN"), &json!("ticket.update")));

        // A problem begins as a problem, and a task belongs to the ticket that the other one belongs to.
        let problem = json!({ "title": "Cause", "team": { "slug": "network" } });
        let problem = agent.done("problemCreate", problem, "problem { id number }").await["problem"].take();
        let task = json!({ "parent": problem["id"], "title": "Look" });
        let task = agent.done("taskCreate", task, "task { id number }").await["task"].take();
        for (ticket, created) in [(&problem, "ProblemCreated"), (&task, "TaskCreated")] {
            comment(&agent, ticket, "Another one.", "PUBLIC").await;
            let said = seen(&agent, ticket).await["comments"]["nodes"][0]["id"].take();
            let input = json!({ "id": ticket["id"], "comments": [said], "title": "Another" });
            let done = agent.done("ticketSplit", input.clone(), selection).await;
            assert_eq!(kinds(&done)[0], created);
            assert_eq!(bodies(&seen(&agent, &done["ticket"]).await), ["Another one."]);
        }
        let parent = "query($id: ID!) { ticket(by: { id: $id }) { tasks { nodes { title } } } }";
        let tasks = agent.ask(parent, json!({ "id": problem["id"] })).await;
        assert_eq!(tasks["ticket"]["tasks"]["nodes"], json!([{ "title": "Look" }, { "title": "Another" }]));
        let of_task = json!({ "id": task["id"], "comments": [comments[0]], "title": "x", "category": "vpn" });
        assert_eq!(agent.user_error("ticketSplit", of_task).await["path"], json!(["category"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_end_with_a_merge_and_go_on_when_it_is_undone() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let agent = installation.client(&company.agent.token);
        let always = crate::service_levels::always("always");
        admin.done("calendarCreate", always, "calendar { id }").await;
        let policy = json!({
            "key": "standard", "name": "Standard", "calendar": { "key": "always" },
            "metrics": [{ "metric": "RESOLUTION", "targets": [{ "target": "PT8H" }] }, { "metric": "FIRST_RESPONSE", "targets": [{ "target": "PT4H" }] }],
        });
        admin.done("slaPolicyCreate", policy, "slaPolicy { id }").await;
        let (copy, original) = (
            opened(&agent, "Copy", &company.requester.email).await,
            opened(&agent, "Original", &company.sam.email).await,
        );
        let clocks = "query($id: ID!) { ticket(by: { id: $id }) { slaState slaDueAt slaClocks { metric state elapsed endedBy explain segments { cause running } } } }";
        let clocks = async |ticket: &Value| admin.ask(clocks, json!({ "id": ticket["id"] })).await["ticket"].take();
        installation.clock.advance(Duration::hours(1));
        comment(&installation.client(&company.requester.token), &copy, "Hm.", "PUBLIC").await;
        agent.done("ticketMerge", merge(&copy, &original), MERGED).await;
        let ended = clocks(&copy).await;
        for clock in ended["slaClocks"].as_array().unwrap() {
            assert_eq!((&clock["state"], &clock["endedBy"], &clock["elapsed"]), (&json!("CANCELED"), &json!("MERGED"), &json!("PT1H")), "{clock}");
            assert!(clock["explain"].to_string().contains("the ticket was merged into another"), "{clock}");
        }
        let other = clocks(&original).await;
        assert!(other["slaClocks"].as_array().unwrap().iter().all(|clock| clock["state"] == "RUNNING"), "nothing was answered there: {other}");
        installation.clock.advance(Duration::hours(2));
        agent.done("ticketMergeUndo", json!({ "id": copy["id"] }), MERGED).await;
        installation.clock.advance(Duration::hours(1));
        let again = clocks(&copy).await;
        assert_eq!(again["slaClocks"].as_array().map(Vec::len), Some(2), "the same clocks");
        for clock in again["slaClocks"].as_array().unwrap() {
            assert_eq!((&clock["state"], &clock["endedBy"], &clock["elapsed"]), (&json!("RUNNING"), &Value::Null, &json!("PT2H")), "{clock}");
            assert_eq!(clock["segments"][1], json!({ "cause": "MERGE_UNDONE", "running": true }));
            assert!(clock["explain"].to_string().contains("the merge was undone; the time in between does not count"), "{clock}");
        }
        installation.log_end(&admin).await;
        let ctx = installation.platform().access.system_ctx(company.tenant, "verify");
        let verified = installation.platform().levels.verify(&ctx, |_| ()).await.expect("clocks can be computed");
        assert_eq!((verified.clocks, verified.differing), (4, 0), "the log says the same: {:?}", verified.differences);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_go_where_the_incident_went() {
    each_engine(async |installation, company| {
        let admin = crate::alerts::rules(installation, &company).await;
        let firing =
            |key: &str, host: &str| crate::alerts::alert(key, "FIRING", &[("alertname", "DiskFull"), ("host", host)]);
        let over =
            |key: &str, host: &str| crate::alerts::alert(key, "RESOLVED", &[("alertname", "DiskFull"), ("host", host)]);
        let first = crate::alerts::tell(&admin, vec![firing("disk-1", "db1"), firing("disk-9", "db2")]).await;
        let (copy, original) = (&first[0]["incident"], &first[1]["incident"]);
        let done = admin.done("ticketMerge", merge(copy, original), MERGED).await;
        let counts = async |ticket: &Value| {
            let seen = seen(&admin, ticket).await;
            (seen["firingAlerts"].clone(), seen["deduplicationKey"].clone())
        };
        assert_eq!(counts(copy).await.0, 0);
        assert_eq!(counts(original).await, (json!(2), json!("group:disks:db2")), "what fires goes along");
        // The same alert again, and another of the same host: both are told of the one that goes on.
        let told = crate::alerts::tell(&admin, vec![firing("disk-1", "db1"), firing("disk-2", "db1")]).await;
        assert_eq!(crate::alerts::outcomes(&told), ["REPEATED", "JOINED"]);
        assert!(told.iter().all(|result| result["incident"]["id"] == original["id"]), "{told:?}");
        let taken = json!({ "title": "Mine", "deduplicationKey": "group:disks:db1" });
        assert_eq!(admin.user_error("incidentCreate", taken.clone()).await["path"], json!(["deduplicationKey"]));
        // Undone, what came since stays.
        admin.done("ticketMergeUndo", json!({ "id": done["merge"]["id"] }), MERGED).await;
        assert_eq!((counts(copy).await.0, counts(original).await.0), (json!(1), json!(2)));
        let told = crate::alerts::tell(&admin, vec![firing("disk-3", "db1")]).await;
        assert_eq!((crate::alerts::outcomes(&told), &told[0]["incident"]["id"]), (vec!["JOINED"], &copy["id"]));
        // Of a chain of merges, each that is undone takes back what it had moved.
        let told = crate::alerts::tell(&admin, vec![firing("disk-5", "db3")]).await;
        let between = &told[0]["incident"];
        let first = admin.done("ticketMerge", merge(copy, between), MERGED).await["merge"]["id"].take();
        let second = admin.done("ticketMerge", merge(between, original), MERGED).await["merge"]["id"].take();
        let firing_on = async || (counts(copy).await.0, counts(between).await.0, counts(original).await.0);
        assert_eq!(firing_on().await, (json!(0), json!(0), json!(5)));
        admin.done("ticketMergeUndo", json!({ "id": second }), MERGED).await;
        assert_eq!(firing_on().await, (json!(0), json!(3), json!(2)));
        admin.done("ticketMergeUndo", json!({ "id": first }), MERGED).await;
        assert_eq!(firing_on().await, (json!(2), json!(1), json!(2)));
        // Once the one that goes on is over, the key is free: a moment later it is reopened, later another one is opened.
        admin.done("ticketMerge", merge(copy, original), MERGED).await;
        let ends =
            ["disk-1", "disk-2", "disk-3"].map(|key| over(key, "db1")).into_iter().chain([over("disk-9", "db2")]);
        let told = crate::alerts::tell(&admin, ends.collect()).await;
        assert!(told.iter().all(|result| result["incident"]["id"] == original["id"]), "{told:?}");
        assert_eq!(seen(&admin, original).await["state"]["category"], "RESOLVED");
        let told = crate::alerts::tell(&admin, vec![firing("disk-1", "db1")]).await;
        assert_eq!((crate::alerts::outcomes(&told), &told[0]["incident"]["id"]), (vec!["REOPENED"], &original["id"]));
        crate::alerts::tell(&admin, vec![over("disk-1", "db1")]).await;
        installation.clock.advance(Duration::minutes(11));
        let told = crate::alerts::tell(&admin, vec![firing("disk-1", "db1")]).await;
        assert_eq!(crate::alerts::outcomes(&told), ["CREATED"]);
        assert_eq!(counts(&told[0]["incident"]).await.1, "group:disks:db1");
        // Undone behind that, the duplicate goes its way without the key, which the new one has.
        admin.done("ticketMergeUndo", json!({ "id": copy["id"] }), MERGED).await;
        for transition in ["start", "hold", "resume"] {
            let input = if transition == "hold" { json!({ "waitingReason": "VENDOR" }) } else { json!({}) };
            step(&admin, copy, transition, input).await;
        }
        let told = crate::alerts::tell(&admin, vec![firing("disk-2", "db1")]).await;
        assert_eq!(crate::alerts::outcomes(&told), ["JOINED"]);
        assert_ne!(told[0]["incident"]["id"], copy["id"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_end_and_a_problem_is_closed() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let problem = async |title: &str| {
            let input = json!({ "title": title, "team": { "slug": "network" } });
            agent.done("problemCreate", input, "problem { id number }").await["problem"].take()
        };
        let (copy, original) = (problem("Copy").await, problem("Original").await);
        let steps =
            json!([{ "name": "Lead", "rule": "ANY", "approvers": [{ "user": { "email": company.lead.email } }] }]);
        let start = json!({ "id": copy["id"], "name": "Go", "steps": steps });
        agent.done("approvalStart", start, "approval { id }").await;
        let done = agent.done("ticketMerge", merge(&copy, &original), MERGED).await;
        assert_eq!(done["duplicate"]["state"]["category"], "CLOSED", "problems know no canceling");
        assert!(kinds(&done).contains(&"ApprovalCompleted"), "{done}");
        let undone = agent.done("ticketMergeUndo", json!({ "id": copy["id"] }), MERGED).await;
        assert_eq!(undone["duplicate"]["state"]["key"], "new");
        let approvals = "query($id: ID!) { ticket(by: { id: $id }) { acknowledgedAt approvals { state } } }";
        let approvals = agent.ask(approvals, json!({ "id": copy["id"] })).await["ticket"].take();
        assert_eq!(approvals, json!({ "acknowledgedAt": null, "approvals": [{ "state": "CANCELED" }] }));
        let one = opened(&agent, "one", &company.sam.email).await;
        assert_eq!(agent.user_error("ticketMerge", merge(&one, &original)).await["path"], json!(["into"]));
    })
    .await;
}
