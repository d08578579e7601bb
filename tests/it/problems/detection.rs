//! The rules that find problems.

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{each_engine, each_engine_with};
use tests::with;

use crate::company_life::{incident_with, step};

async fn rule(admin: &Client, key: &str, says: Value) -> Value {
    let whole =
        json!({ "same": "SERVICE_AND_CATEGORY", "threshold": 3, "window": "PT1H", "team": { "slug": "network" } });
    let input = json!({ "key": key, "name": format!("Rule {key}"), "says": with(whole, &says) });
    admin
        .done("problemDetectionRuleCreate", input, "rule { id key same threshold window condition team { slug } }")
        .await
}

const FOUND: &str = "{ problems(filter: { origin: { eq: PROACTIVE } }, orderBy: [{ field: CREATED_AT }]) { nodes { id number title \
    state { key } origin team { slug } requester { name } detectionRule { key } service { key } category { key } \
    configurationItems { configurationItem { name } } incidents(first: 50) { totalCount nodes { title } } } } }";

async fn found(client: &Client) -> Vec<Value> {
    client.ask(FOUND, json!({})).await["problems"]["nodes"].as_array().cloned().expect("nodes")
}

async fn found_become(client: &Client, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    tests::soon("problems are found", async {
        loop {
            let seen = found(client).await;
            if wanted(&seen) {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_opens_one_candidate_and_goes_on_with_it() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
            let lead = json!({ "email": company.lead.email });
            admin.done("serviceCreate", json!({ "key": "remote-access", "name": "Remote access" }), "service { id }").await;
            let device = json!({ "name": "vpn-1", "class": "NETWORK_DEVICE" });
            let device = admin.done("configurationItemCreate", device, "configurationItem { id }").await;
            let device = device["configurationItem"]["id"].clone();
            let made = rule(&admin, "recurring", json!({ "requester": lead, "condition": { "priority": { "in": ["P1", "P2", "P3"] } } })).await;
            assert_eq!(made["rule"]["condition"], json!({ "priority": { "in": ["P1", "P2", "P3"] } }));
            rule(&admin, "device", json!({ "requester": lead, "same": "CONFIGURATION_ITEM", "threshold": 2 })).await;
            let open = async |title: &str, more: Value| {
                let input = json!({ "title": title, "team": { "slug": "network" }, "service": { "key": "remote-access" }, "category": "vpn" });
                incident_with(&admin, with(input, &more)).await
            };
            // Neither what is too old, nor what the condition leaves out, nor what was canceled counts.
            open("too old", json!({})).await;
            installation.clock.advance(chrono::Duration::minutes(61));
            open("not urgent", json!({ "impact": "LOW", "urgency": "LOW" })).await;
            let canceled = open("no incident", json!({})).await;
            step(&admin, &canceled, "cancel", json!({})).await;
            open("one", json!({})).await;
            open("two", json!({})).await;
            // Another candidate, which comes behind all of these, shows that they were looked at.
            open("on the device", json!({ "category": "printer", "configurationItems": [{ "id": device }] })).await;
            let late = open("also on the device", json!({ "category": "printer" })).await;
            admin.done("incidentUpdate", json!({ "id": late["id"], "configurationItems": [{ "id": device }] }), "incident { id }").await;
            let seen = found_become(&agent, |seen| !seen.is_empty()).await;
            assert_eq!(seen.len(), 1, "two are not three: {seen:#?}");
            assert_eq!((&seen[0]["title"], &seen[0]["detectionRule"]["key"]), (&json!("2 incidents on vpn-1"), &json!("device")));
            assert_eq!(seen[0]["configurationItems"], json!([{ "configurationItem": { "name": "vpn-1" } }]));
            assert_eq!(seen[0]["incidents"]["totalCount"], 2);

            open("three", json!({})).await;
            let of = |seen: &[Value], rule: &str, state: &str| {
                let is = |one: &&Value| one["detectionRule"]["key"] == rule && one["state"]["key"] == state;
                seen.iter().find(is).cloned().unwrap_or_default()
            };
            let seen = found_become(&agent, |seen| seen.len() == 2).await;
            let candidate = of(&seen, "recurring", "new");
            assert_eq!(candidate["title"], "3 incidents on Remote access (VPN)");
            assert_eq!(
                (&candidate["origin"], &candidate["team"]["slug"], &candidate["requester"]["name"]),
                (&json!("PROACTIVE"), &json!("network"), &json!("Lead"))
            );
            assert_eq!(
                (&candidate["service"]["key"], &candidate["category"]["key"]),
                (&json!("remote-access"), &json!("vpn"))
            );
            let nodes = candidate["incidents"]["nodes"].as_array().expect("nodes");
            let mut titles: Vec<&str> = nodes.iter().filter_map(|node| node["title"].as_str()).collect();
            titles.sort_unstable();
            assert_eq!(titles, ["one", "three", "two"]);
            // What comes while it is open joins it.
            open("four", json!({})).await;
            let joined = |seen: &[Value]| of(seen, "recurring", "new")["incidents"]["totalCount"] == 4;
            let seen = found_become(&agent, joined).await;
            assert_eq!(seen.len(), 2);
            // Once it is closed, the next that meet the rule make another one; and a retired rule makes none.
            let id = &candidate["id"];
            let assess = json!({ "id": id, "transition": "assess" });
            admin.done("ticketTransition", assess, "ticket { id }").await;
            let end = json!({ "id": id, "resolutionCode": "CANCELED", "resolutionNotes": "A storm." });
            admin.done("problemResolve", end, "problem { id }").await;
            let retired = json!({ "rule": { "key": "device" }, "retired": true });
            admin.done("problemDetectionRuleUpdate", retired, "rule { retired }").await;
            open("five", json!({ "configurationItems": [{ "id": device }] })).await;
            let seen = found_become(&agent, |seen| seen.len() == 3).await;
            assert_eq!(of(&seen, "recurring", "new")["incidents"]["totalCount"], 5, "all of the window");
            assert_eq!(of(&seen, "device", "new")["incidents"]["totalCount"], 2, "the device's takes no more in");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_tried_on_the_past_and_checked() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        admin.done("serviceCreate", json!({ "key": "remote-access", "name": "Remote access" }), "service { id }").await;
        let device = json!({ "name": "vpn-1", "class": "NETWORK_DEVICE" });
        let device = admin.done("configurationItemCreate", device, "configurationItem { id }").await["configurationItem"]["id"].clone();
        let since = (installation.clock.now() - chrono::Duration::days(1)).to_rfc3339();
        for number in 0..10 {
            let items = if number % 3 == 0 { json!([{ "id": device }]) } else { json!([]) };
            let input = json!({ "title": format!("Drops {number}"), "service": { "key": "remote-access" }, "category": "vpn", "configurationItems": items });
            incident_with(&admin, input).await;
            // Three quickly, then a day nothing, and so on.
            let pause = if number % 3 == 2 { 24 * 60 } else { 5 };
            installation.clock.advance(chrono::Duration::minutes(pause));
        }
        let says = |more: Value| {
            let says = json!({ "same": "SERVICE_AND_CATEGORY", "threshold": 3, "window": "PT1H", "requester": { "email": company.lead.email } });
            with(says, &more)
        };
        let selection = "simulation { incidentCount candidateCount candidates { service { key } category { key } configurationItem { name } incidentCount } }";
        let simulate = async |more: Value| {
            let input = json!({ "says": says(more), "since": since });
            let before = installation.store().statement_count();
            let done = admin.done("problemDetectionSimulate", input, selection).await["simulation"].take();
            (done, installation.store().statement_count() - before)
        };
        let (done, statements) = simulate(json!({})).await;
        assert_eq!((&done["incidentCount"], &done["candidateCount"]), (&json!(10), &json!(3)), "{done:#}");
        let first = json!({ "service": { "key": "remote-access" }, "category": { "key": "vpn" }, "configurationItem": null, "incidentCount": 3 });
        assert_eq!(done["candidates"][0], first);
        assert!(statements <= 6, "{statements}");
        let (done, _) = simulate(json!({ "same": "CONFIGURATION_ITEM", "threshold": 2, "window": "P2D" })).await;
        assert_eq!(done["candidates"], json!([{ "service": null, "category": null, "configurationItem": { "name": "vpn-1" }, "incidentCount": 4 }]));
        let (done, _) = simulate(json!({ "condition": { "title": { "startsWith": "Drops 1" } } })).await;
        assert_eq!((&done["incidentCount"], &done["candidateCount"]), (&json!(1), &json!(0)));
        assert_eq!(admin.ask("{ problems { totalCount } }", json!({})).await["problems"]["totalCount"], 0, "nothing was made");

        let create = |more: Value| json!({ "key": "rule", "name": "Rule", "says": says(more) });
        for (input, code, path) in [
            (create(json!({ "threshold": 1 })), "LIMIT", json!(["says", "threshold"])),
            (create(json!({ "threshold": 101 })), "LIMIT", json!(["says", "threshold"])),
            (create(json!({ "window": "PT1S" })), "LIMIT", json!(["says", "window"])),
            (create(json!({ "window": "P91D" })), "LIMIT", json!(["says", "window"])),
            (create(json!({ "requester": { "email": "nobody@acme.example" } })), "NOT_FOUND", json!(["says", "requester", "email"])),
            (create(json!({ "condition": { "assignee": { "isViewer": true } } })), "VALIDATION", json!(["says", "condition", "assignee"])),
            (json!({ "key": "Not A Key", "name": "Rule", "says": says(json!({})) }), "VALIDATION", json!(["key"])),
        ] {
            let error = admin.user_error("problemDetectionRuleCreate", input.clone()).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &path), "{input}: {error}");
        }
        let mut input = create(json!({}));
        input["idempotencyKey"] = json!("k");
        let made = admin.done("problemDetectionRuleCreate", input.clone(), "rule { id version } events { __typename }").await;
        assert_eq!(made["events"], json!([{ "__typename": "ProblemDetectionRuleCreated" }]));
        assert_eq!(admin.done("problemDetectionRuleCreate", input, "rule { id version } events { __typename }").await, made);
        assert_eq!(admin.user_error("problemDetectionRuleCreate", create(json!({}))).await["path"], json!(["key"]), "the key is taken");
        let stale = json!({ "rule": { "key": "rule" }, "name": "Other", "expectedVersion": 7 });
        assert_eq!(admin.user_error("problemDetectionRuleUpdate", stale).await["code"], "CONFLICT");
        let dry = json!({ "rule": { "key": "rule" }, "says": says(json!({ "threshold": 9 })), "dryRun": true });
        assert_eq!(admin.done("problemDetectionRuleUpdate", dry, "rule { threshold }").await["rule"]["threshold"], 9);
        let range = |since: &str, until: &str| json!({ "says": says(json!({})), "since": since, "until": until });
        for (since, until, code) in [
            ("2024-01-01T00:00:00Z", "2025-01-02T00:00:00Z", "LIMIT"),
            ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "VALIDATION"),
        ] {
            let error = admin.user_error("problemDetectionSimulate", range(since, until)).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &json!(["since"])));
        }
        let agent = installation.client(&company.agent.token);
        let list = "{ problemDetectionRules { nodes { key threshold retired } } problemDetectionRule(by: { key: \"rule\" }) { key } }";
        let seen = agent.ask(list, json!({})).await;
        assert_eq!(seen["problemDetectionRules"]["nodes"], json!([{ "key": "rule", "threshold": 3, "retired": false }]));
        for (mutation, input) in [
            ("problemDetectionRuleCreate", create(json!({}))),
            ("problemDetectionRuleUpdate", json!({ "rule": { "key": "rule" }, "retired": true })),
            ("problemDetectionSimulate", json!({ "says": says(json!({})), "since": since })),
        ] {
            let refused = agent.user_error(mutation, input).await;
            assert_eq!((&refused["code"], &refused["permission"]), (&json!("FORBIDDEN"), &json!("settings.manage")), "{mutation}");
        }
        for number in 1..=50 {
            let input = json!({ "key": format!("rule-{number}"), "name": "Rule", "says": says(json!({})) });
            let answer = admin.call("problemDetectionRuleCreate", input, "rule { id }").await;
            let code = answer["userErrors"][0]["code"].as_str();
            assert_eq!(code, (number == 50).then_some("LIMIT"), "the fifty-first is one too many: {answer}");
        }
        let retire = |key: &str, retired: bool| json!({ "rule": { "key": key }, "retired": retired });
        admin.done("problemDetectionRuleUpdate", retire("rule-1", true), "rule { id }").await;
        let input = json!({ "key": "rule-50", "name": "Rule", "says": says(json!({})) });
        admin.done("problemDetectionRuleCreate", input, "rule { id }").await;
        let refused = admin.user_error("problemDetectionRuleUpdate", retire("rule-1", false)).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("LIMIT"), &json!(["retired"])), "it would be one too many again");
        admin.done("problemDetectionRuleUpdate", retire("rule-2", true), "rule { id }").await;
        admin.done("problemDetectionRuleUpdate", retire("rule-1", false), "rule { id }").await;
        let requester = installation.client(&company.requester.token);
        assert_eq!(requester.ask(list, json!({})).await["problemDetectionRules"]["nodes"], json!([]));
    })
    .await;
}
