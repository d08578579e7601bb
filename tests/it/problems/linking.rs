//! The incidents that a problem causes: linked singly and by filter, and what is refused.

use serde_json::{Value, json};
use tests::company::Company;
use tests::installation::{Installation, each_engine};

use super::{LINKED, link, named, outcomes, problem, see};
use crate::company_life::{assign, incident, incident_with, resolve, step};

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
