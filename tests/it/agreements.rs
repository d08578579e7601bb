//! Service level management through the API: agreements, what is required, whether promises fit together, reviews, improvements.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine};

use crate::company_life::{incident_with, resolve};

/// A tenant that offers two services, works from nine to five, and has promises of a team, a supplier and the house.
async fn prepare(installation: &Installation, company: &Company) -> Client {
    let admin = installation.client(&company.admin.token);
    for (key, team) in [("mail", "network"), ("print", "workplace")] {
        let input = json!({ "key": key, "name": key.to_uppercase(), "team": { "slug": team } });
        admin.done("serviceCreate", input, "service { id }").await;
    }
    let workdays = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"];
    let office: Vec<Value> = workdays.iter().map(|day| json!({ "day": day, "from": "09:00", "to": "17:00" })).collect();
    let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let whole: Vec<Value> = days.iter().map(|day| json!({ "day": day, "from": "00:00", "to": "24:00" })).collect();
    for (key, week) in [("office", office), ("always", whole)] {
        let input = json!({ "key": key, "name": key, "timeZone": "UTC", "week": week });
        admin.done("calendarCreate", input, "calendar { id }").await;
    }
    let resolution = |urgent: &str, other: &str| json!([{ "metric": "RESOLUTION", "targets": [{ "priorities": ["P1"], "target": urgent }, { "target": other }] }]);
    policy(&admin, "house", "SLA", "office", resolution("PT4H", "PT20H")).await;
    policy(&admin, "network-team", "OLA", "office", resolution("PT3H", "PT8H")).await;
    policy(&admin, "acme", "UNDERPINNING_CONTRACT", "office", resolution("PT2H", "PT8H")).await;
    admin
}

async fn policy(admin: &Client, key: &str, kind: &str, calendar: &str, metrics: Value) {
    let input = json!({ "key": key, "name": key, "kind": kind, "calendar": { "key": calendar }, "metrics": metrics });
    admin.done("slaPolicyCreate", input, "slaPolicy { id }").await;
}

async fn draft(admin: &Client, key: &str, kind: &str, more: Value) -> Value {
    let mut input = json!({
        "key": key, "name": key.to_uppercase(), "kind": kind,
        "services": [{ "key": "mail" }], "policies": [{ "key": key }],
    });
    for (name, value) in more.as_object().expect("an object") {
        input[name] = value.clone();
    }
    let fields = "serviceAgreement { id key state inForce version } events { __typename }";
    admin.done("serviceAgreementCreate", input, fields).await
}

async fn update(admin: &Client, key: &str, mut input: Value) -> Value {
    input["agreement"] = json!({ "key": key });
    let fields = "serviceAgreement { id state inForce validFrom validUntil version } events { __typename }";
    admin.done("serviceAgreementUpdate", input, fields).await["serviceAgreement"].take()
}

async fn agree(admin: &Client, key: &str) -> Value {
    update(admin, key, json!({ "state": "AGREED" })).await
}

/// With a customer, the team and a supplier: all agreed.
async fn agree_all(admin: &Client) {
    draft(admin, "network-team", "OLA", json!({ "team": { "slug": "network" } })).await;
    draft(admin, "acme", "UNDERPINNING_CONTRACT", json!({ "supplier": "ACME" })).await;
    draft(admin, "house", "SLA", json!({ "customer": "Sales" })).await;
    for key in ["network-team", "acme", "house"] {
        agree(admin, key).await;
    }
}

async fn errors(client: &Client, mutation: &str, input: Value) -> Vec<(String, String)> {
    let answer = client.call(mutation, input, "__typename").await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = answer["userErrors"].as_array().unwrap_or_else(|| panic!("no refusal: {answer}"));
    let path = |error: &Value| error["path"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(".");
    told.iter().map(|error| (text(&error["code"]), path(error))).collect()
}

fn refusal(code: &str, path: &str) -> (String, String) {
    (code.to_owned(), path.to_owned())
}

const CHECKS: &str = "query($key: String!, $gaps: Boolean) { serviceAgreement(by: { key: $key }) { \
    underpinnedBy { key } checks(gapsOnly: $gaps) { policy { key } metric priority promised calendar { key } needed gap holds explanation \
    parts { agreement { key } policy { key } promised calendar { key } counts } } } }";

async fn checks(client: &Client, key: &str, gaps: bool) -> Value {
    client.ask(CHECKS, json!({ "key": key, "gaps": gaps })).await["serviceAgreement"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_that_is_tighter_than_what_stands_under_it_is_named() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        agree_all(&admin).await;
        let auditor = installation.client(&company.auditor.token);
        let found = checks(&auditor, "house", false).await;
        let under: Vec<&Value> = found["underpinnedBy"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
        assert_eq!(under, ["network-team", "acme"], "teams first, then suppliers");
        let lines = found["checks"].as_array().unwrap();
        let priorities: Vec<&Value> = lines.iter().map(|line| &line["priority"]).collect();
        assert_eq!(priorities, ["P1", "P2", "P3", "P4", "P5"]);
        let urgent = &lines[0];
        assert_eq!(
            (&urgent["promised"], &urgent["needed"], &urgent["gap"], &urgent["holds"]),
            (&json!("PT4H"), &json!("PT5H"), &json!("PT1H"), &json!(false)),
            "{urgent:#}"
        );
        let text = "P1: RESOLUTION is promised within PT4H; NETWORK-TEAM may take PT3H, then ACME may take PT2H; at worst PT5H: PT1H too long.";
        assert_eq!(urgent["explanation"], text);
        assert_eq!(urgent["parts"][1]["policy"]["key"], "acme");
        assert_eq!((&lines[2]["needed"], &lines[2]["holds"]), (&json!("PT16H"), &json!(true)));
        assert_eq!(checks(&auditor, "house", true).await["checks"].as_array().unwrap().len(), 1);
        assert_eq!(checks(&auditor, "acme", false).await, json!({ "underpinnedBy": [], "checks": [] }));

        // A promise that pauses while the vendor is awaited has nothing to lose to the contract.
        let paused = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT3H" }], "pauses": { "waitingReasons": ["VENDOR"] } }]);
        policy(&admin, "patient", "SLA", "office", paused).await;
        draft(&admin, "patient", "SLA", json!({ "customer": "Sales" })).await;
        let line = checks(&admin, "patient", false).await["checks"][0].take();
        assert_eq!((&line["holds"], &line["parts"][1]["counts"]), (&json!(true), &json!(false)), "{line:#}");

        // Three hours of the office, begun on Friday afternoon, are over on Monday: 64 hours of a promise round the clock more.
        let whole = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT24H" }] }]);
        policy(&admin, "round", "SLA", "always", whole).await;
        draft(&admin, "round", "SLA", json!({ "customer": "Sales", "underpinnedBy": [{ "key": "network-team" }] })).await;
        let line = checks(&admin, "round", false).await["checks"][0].take();
        assert_eq!((&line["needed"], &line["gap"]), (&json!("PT67H"), &json!("PT43H")), "{line:#}");

        // What has ended stands under nothing any more.
        update(&admin, "acme", json!({ "state": "TERMINATED" })).await;
        let found = checks(&admin, "house", false).await;
        assert_eq!(found["underpinnedBy"].as_array().unwrap().len(), 1);
        assert_eq!((&found["checks"][0]["needed"], &found["checks"][0]["holds"]), (&json!("PT3H"), &json!(true)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_is_written_agreed_and_terminated() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        let made = draft(&admin, "house", "SLA", json!({})).await;
        assert_eq!(made["serviceAgreement"]["state"], "DRAFT");
        assert_eq!(made["events"][0]["__typename"], "ServiceAgreementCreated");
        let refused =
            errors(&admin, "serviceAgreementUpdate", json!({ "agreement": { "key": "house" }, "state": "AGREED" }));
        assert_eq!(refused.await, [refusal("VALIDATION", "customer")], "nothing is agreed with nobody");
        let agreed = update(&admin, "house", json!({ "customer": "Sales", "state": "AGREED" })).await;
        let now = installation.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!(
            (&agreed["state"], &agreed["validFrom"], &agreed["inForce"]),
            (&json!("AGREED"), &json!(now), &json!(true))
        );
        for (change, path) in [
            (json!({ "services": [] }), "services"),
            (json!({ "policies": [] }), "policies"),
            (json!({ "customer": "Marketing" }), "customer"),
            (json!({ "validFrom": "2020-01-01T00:00:00Z" }), "validFrom"),
            (json!({ "state": "DRAFT" }), "state"),
            (json!({ "validUntil": "2020-01-01T00:00:00Z" }), "validUntil"),
        ] {
            let mut input = change;
            input["agreement"] = json!({ "key": "house" });
            assert_eq!(errors(&admin, "serviceAgreementUpdate", input).await, [refusal("VALIDATION", path)]);
        }
        // Half-open: at its end it holds no more.
        let end = installation.clock.now() + chrono::Duration::days(30);
        let end = end.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        update(&admin, "house", json!({ "validUntil": end, "owner": { "email": company.lead.email } })).await;
        let at =
            "query($at: DateTime) { serviceAgreement(by: { key: \"house\" }) { inForce(at: $at) owner { name } } }";
        assert_eq!(admin.ask(at, json!({ "at": end })).await["serviceAgreement"]["inForce"], false);
        installation.clock.advance(chrono::Duration::days(29));
        assert_eq!(
            admin.ask(at, json!({})).await["serviceAgreement"],
            json!({ "inForce": true, "owner": { "name": "Lead" } })
        );
        let ended = update(&admin, "house", json!({ "state": "TERMINATED" })).await;
        let now = installation.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!((&ended["validUntil"], &ended["inForce"]), (&json!(now), &json!(false)), "it ends when it is ended");
        let again =
            errors(&admin, "serviceAgreementUpdate", json!({ "agreement": { "key": "house" }, "name": "Again" })).await;
        assert_eq!(again, [refusal("VALIDATION", "agreement")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_with_its_path() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        let input = json!({
            "key": "House 1", "name": " ", "supplier": "ACME",
            "services": [{ "key": "mail" }, { "key": "none" }],
            "policies": [{ "key": "acme" }],
            "validFrom": "2026-02-01T00:00:00Z", "validUntil": "2026-02-01T00:00:00Z",
        });
        let mut refused = errors(&admin, "serviceAgreementCreate", input).await;
        refused.sort();
        let expected = [
            refusal("NOT_FOUND", "services.1.key"),
            refusal("VALIDATION", "key"),
            refusal("VALIDATION", "name"),
            refusal("VALIDATION", "policies.0"),
            refusal("VALIDATION", "supplier"),
            refusal("VALIDATION", "validUntil"),
        ];
        assert_eq!(refused, expected);
        let many: Vec<Value> = (0..101).map(|_| json!({ "key": "mail" })).collect();
        let input = |services: &[Value], policies: &[Value], under: &[Value]| {
            json!({ "key": "one", "name": "One", "services": services, "policies": policies, "underpinnedBy": under })
        };
        let house = json!({ "key": "house" });
        for (input, path) in [
            (input(&many, &[], &[]), "services"),
            (input(&[], &vec![house.clone(); 11], &[]), "policies"),
            (input(&[], &[], &vec![house.clone(); 51]), "underpinnedBy"),
        ] {
            assert_eq!(errors(&admin, "serviceAgreementCreate", input).await, [refusal("LIMIT", path)]);
        }
        draft(&admin, "house", "SLA", json!({})).await;
        let twice = errors(&admin, "serviceAgreementCreate", input(&[], &[], std::slice::from_ref(&house))).await;
        assert_eq!(twice, [refusal("VALIDATION", "underpinnedBy.0")], "a customer's stands under nothing");
        let taken = json!({ "key": "house", "name": "House" });
        assert_eq!(errors(&admin, "serviceAgreementCreate", taken).await, [refusal("CONFLICT", "key")]);
        let stale = json!({ "agreement": house, "name": "House", "expectedVersion": 7 });
        assert_eq!(errors(&admin, "serviceAgreementUpdate", stale).await[0].0, "CONFLICT");
        let lead = installation.client(&company.lead.token);
        let plain = json!({ "key": "mine", "name": "Mine" });
        assert_eq!(errors(&lead, "serviceAgreementCreate", plain).await, [refusal("FORBIDDEN", "")]);
        let requester = installation.client(&company.requester.token);
        let hidden = requester.ask("{ serviceAgreement(by: { key: \"house\" }) { id } serviceAgreements { totalCount } }", json!({})).await;
        assert_eq!(hidden, json!({ "serviceAgreement": null, "serviceAgreements": { "totalCount": 0 } }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requirement_is_compared_with_the_agreement_that_answers_it() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        agree_all(&admin).await;
        let requirement = |target: &str| {
            json!({
                "title": "Mail back soon", "customer": "Sales", "service": { "key": "mail" }, "metric": "RESOLUTION",
                "priorities": ["P2", "P1", "P1"], "target": target, "requestedBy": { "email": company.lead.email },
            })
        };
        let made = admin.done("serviceLevelRequirementCreate", requirement("PT2H"), "serviceLevelRequirement { id state priorities requestedBy { name } }");
        let made = made.await["serviceLevelRequirement"].take();
        assert_eq!((&made["state"], &made["priorities"]), (&json!("PROPOSED"), &json!(["P1", "P2"])));
        let agreed = json!({ "id": made["id"], "state": "AGREED" });
        assert_eq!(errors(&admin, "serviceLevelRequirementUpdate", agreed).await, [refusal("VALIDATION", "agreement")]);
        let input = json!({ "id": made["id"], "state": "AGREED", "agreement": { "key": "house" } });
        let fields = "serviceLevelRequirement { state checks { priority promised needed gap holds policy { key } parts { policy { key } } } }";
        let done = admin.done("serviceLevelRequirementUpdate", input, fields).await["serviceLevelRequirement"].take();
        assert_eq!(
            done["checks"],
            json!([
                { "priority": "P1", "promised": "PT2H", "needed": "PT4H", "gap": "PT2H", "holds": false, "policy": null,
                  "parts": [{ "policy": { "key": "house" } }] },
                { "priority": "P2", "promised": "PT2H", "needed": "PT20H", "gap": "PT18H", "holds": false, "policy": null,
                  "parts": [{ "policy": { "key": "house" } }] },
            ])
        );
        let other = json!({ "id": made["id"], "service": { "key": "print" } });
        assert_eq!(errors(&admin, "serviceLevelRequirementUpdate", other).await, [refusal("VALIDATION", "agreement")]);
        let team = json!({ "id": made["id"], "agreement": { "key": "network-team" } });
        assert_eq!(errors(&admin, "serviceLevelRequirementUpdate", team).await, [refusal("VALIDATION", "agreement")]);
        for (target, code) in [("-PT4H", "VALIDATION"), ("P2000D", "LIMIT")] {
            let refused = errors(&admin, "serviceLevelRequirementCreate", requirement(target)).await;
            assert_eq!(refused, [refusal(code, "target")]);
        }
        let list = "{ serviceLevelRequirements(filter: { agreement: { key: { eq: \"house\" } }, state: { eq: AGREED } }) { nodes { id agreement { key } } } }";
        let found = installation.client(&company.agent.token).ask(list, json!({})).await;
        assert_eq!(found["serviceLevelRequirements"]["nodes"], json!([{ "id": made["id"], "agreement": { "key": "house" } }]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_freezes_its_figures_and_its_actions_become_tasks() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        agree_all(&admin).await;
        let agent = installation.client(&company.agent.token);
        let open = async |title: &str, service: &str| {
            let requester = json!({ "email": company.requester.email });
            let input = json!({ "title": title, "team": { "slug": "network" }, "requester": requester, "service": { "key": service } });
            incident_with(&agent, input).await
        };
        let since = installation.clock.now();
        let (first, second, other) = (open("First", "mail").await, open("Second", "mail").await, open("Other", "print").await);
        resolve(&agent, &first).await;
        resolve(&agent, &other).await;
        installation.clock.advance(chrono::Duration::days(40));
        resolve(&agent, &second).await;
        let text = |at: kernel::Timestamp| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        installation.clock.advance(chrono::Duration::seconds(1));
        let input = json!({
            "agreement": { "key": "house" }, "since": text(since), "until": text(installation.clock.now()),
            "attendees": [{ "email": company.lead.email }], "idempotencyKey": "review-1",
        });
        let fields = "serviceReview { id state met breached attainment attendees { name } figures { policy { key } metric priority met breached filter } }";
        let made = admin.done("serviceReviewCreate", input.clone(), fields).await["serviceReview"].take();
        assert_eq!((&made["met"], &made["breached"], &made["attainment"]), (&json!(1), &json!(1), &json!(0.5)), "{made:#}");
        assert_eq!(made["attendees"], json!([{ "name": "Lead" }]));
        assert_eq!(admin.done("serviceReviewCreate", input, fields).await["serviceReview"], made, "the same call, the same answer");
        // Each figure can be listed.
        let figure = &made["figures"][0];
        let list = "query($filter: SlaClockFilter) { slaClocks(filter: $filter) { nodes { state } } }";
        let clocks = admin.ask(list, json!({ "filter": figure["filter"] })).await["slaClocks"]["nodes"].take();
        let states = clocks.as_array().unwrap().iter().filter(|clock| clock["state"] == "MET").count();
        assert_eq!((json!(clocks.as_array().unwrap().len()), json!(states)), (json!(2), figure["met"].clone()));

        // What happens later changes no figure.
        resolve(&agent, &open("Third", "mail").await).await;
        let read = "query($id: ID!) { serviceReview(id: $id) { met breached minutes state actions { number title parent { id } team { slug } service { key } requester { name } } } }";
        let id = json!({ "id": made["id"] });
        assert_eq!(admin.ask(read, id.clone()).await["serviceReview"]["met"], 1);

        let action = json!({ "id": made["id"], "title": "Ask the carrier for a report" });
        let done = admin.done("serviceReviewActionAdd", action.clone(), "task { id title parent { id } state { key } } events { __typename }").await;
        assert_eq!(done["task"]["parent"], Value::Null);
        let events: Vec<&Value> = done["events"].as_array().unwrap().iter().map(|event| &event["__typename"]).collect();
        assert_eq!(events, ["TaskCreated", "ServiceReviewActionAdded"]);
        let shown = installation.client(&company.lead.token).ask(read, id.clone()).await["serviceReview"].take();
        assert_eq!(shown["actions"][0]["team"], json!({ "slug": "network" }), "the team that looks after the service: {shown:#}");
        assert_eq!(shown["actions"][0]["service"], json!({ "key": "mail" }));
        let elsewhere = installation.client(&company.walt.token).ask(read, id.clone()).await;
        assert_eq!(elsewhere["serviceReview"]["actions"], json!([]), "a task is seen by those who may see it");
        agent.done("ticketTransition", json!({ "id": done["task"]["id"], "transition": "complete" }), "ticket { state { key } }").await;

        let closing = json!({ "id": made["id"], "minutes": "Once late.", "state": "CLOSED" });
        admin.done("serviceReviewUpdate", closing, "serviceReview { state minutes }").await;
        for (mutation, input) in [("serviceReviewUpdate", json!({ "id": made["id"], "state": "OPEN" })), ("serviceReviewActionAdd", action)] {
            assert_eq!(errors(&admin, mutation, input).await, [refusal("VALIDATION", "id")], "{mutation}");
        }
        let tomorrow = text(installation.clock.now() + chrono::Duration::days(1));
        let ahead = json!({ "agreement": { "key": "house" }, "since": text(since), "until": tomorrow });
        assert_eq!(errors(&admin, "serviceReviewCreate", ahead).await, [refusal("VALIDATION", "until")]);
        let many: Vec<Value> = (0..101).map(|_| json!({ "email": company.lead.email })).collect();
        let crowd = json!({ "agreement": { "key": "house" }, "since": text(since), "until": text(installation.clock.now()), "attendees": many });
        assert_eq!(errors(&admin, "serviceReviewCreate", crowd).await, [refusal("LIMIT", "attendees")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_has_a_limit_of_actions() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        agree_all(&admin).await;
        let (since, until) = ("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z");
        let input = json!({ "agreement": { "key": "house" }, "since": since, "until": until });
        let review =
            admin.done("serviceReviewCreate", input, "serviceReview { id figures { met } }").await["serviceReview"]
                .take();
        assert_eq!(review["figures"], json!([]));
        let action = json!({ "id": review["id"], "title": "Again" });
        // It is a task of no ticket, whose requester is whoever adds it.
        let account = json!({ "name": "Bot", "roles": [{ "role": "administrator" }] });
        let account = admin.done("serviceAccountCreate", account, "serviceAccount { id }").await;
        let token = json!({ "name": "bot", "for": account["serviceAccount"]["id"] });
        let token = admin.done("apiTokenCreate", token, "token").await["token"].take();
        let bot = installation.client(token.as_str().expect("a token"));
        assert_eq!(errors(&bot, "serviceReviewActionAdd", action.clone()).await, [refusal("VALIDATION", "")]);
        for _ in 0..agreement::MAX_REVIEW_ACTIONS {
            admin.done("serviceReviewActionAdd", action.clone(), "task { id }").await;
        }
        assert_eq!(errors(&admin, "serviceReviewActionAdd", action).await, [refusal("LIMIT", "id")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn improvements_are_kept_in_a_register() {
    each_engine(async |installation, company| {
        let admin = prepare(installation, &company).await;
        draft(&admin, "house", "SLA", json!({})).await;
        let input = json!({
            "title": "A second line", "service": { "key": "mail" }, "agreement": { "key": "house" },
            "owner": { "email": company.lead.email }, "dueAt": "2030-01-01T00:00:00Z", "benefit": "Fewer breaches.",
        });
        let made = admin.done("serviceImprovementCreate", input, "serviceImprovement { id state version }").await;
        let id = made["serviceImprovement"]["id"].clone();
        assert_eq!(made["serviceImprovement"]["state"], "PROPOSED");
        let input = json!({ "id": id, "state": "DONE", "outcome": "None since.", "dueAt": null, "expectedVersion": 1 });
        let fields = "serviceImprovement { state outcome dueAt version } events { __typename changes { field before after } }";
        let done = admin.done("serviceImprovementUpdate", input, fields).await;
        assert_eq!(done["serviceImprovement"], json!({ "state": "DONE", "outcome": "None since.", "dueAt": null, "version": 2 }));
        assert_eq!(done["events"][0]["__typename"], "ServiceImprovementUpdated");
        let lead = installation.client(&company.lead.token);
        let list = "{ serviceImprovements(filter: { owner: { id: { eq: \"%\" } }, agreement: { key: { eq: \"house\" } } }) { nodes { title service { key } } totalCount } }";
        let found = lead.ask(&list.replace('%', &company.lead.id), json!({})).await;
        assert_eq!(found["serviceImprovements"], json!({ "nodes": [{ "title": "A second line", "service": { "key": "mail" } }], "totalCount": 1 }));
        let unknown = json!({ "title": "X", "review": "rev_00000000000000000000000000" });
        assert_eq!(errors(&admin, "serviceImprovementCreate", unknown).await, [refusal("NOT_FOUND", "review")]);
    })
    .await;
}
