//! Alerts from monitoring: counted, grouped, resolved, reopened, and refused one by one.

use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine};

use crate::company_life::{resolve, step};

/// A rule for everything that names a disk, grouped by host; and one for the rest, each for itself.
pub(crate) async fn rules(installation: &Installation, company: &Company) -> Client {
    let admin = installation.client(&company.admin.token);
    let says = |more: Value| {
        let mut says = json!({
            "requester": { "email": company.requester.email }, "team": { "slug": "network" },
            "severities": [{ "severity": "critical", "impact": "HIGH", "urgency": "HIGH" }],
            "resolutionCode": "SOLVED", "flapWindow": "PT10M",
        });
        for (name, value) in more.as_object().expect("an object") {
            says[name] = value.clone();
        }
        says
    };
    let disks = json!({ "matchers": [{ "name": "alertname", "test": { "startsWith": "Disk" } }], "groupBy": "{host}", "window": "PT1H" });
    for (key, position, says) in [("disks", 1, says(disks)), ("rest", 9, says(json!({})))] {
        let input = json!({ "key": key, "name": key, "position": position, "says": says });
        admin
            .done("alertRuleCreate", input, "alertRule { id key groupBy window severities { severity impact } }")
            .await;
    }
    admin
}

pub(crate) fn alert(key: &str, status: &str, labels: &[(&str, &str)]) -> Value {
    let labels: Vec<Value> = labels.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({ "key": key, "status": status, "title": format!("About {key}"), "severity": "Critical", "labels": labels })
}

const RESULTS: &str = "results { outcome incident { id number occurrences firingAlerts deduplicationKey priority origin state { key } } \
    alert { id occurrences status } userErrors { __typename code message path } } events { __typename }";

pub(crate) async fn tell(client: &Client, alerts: Vec<Value>) -> Vec<Value> {
    let done = client.done_at_last("alertIngest", json!({ "alerts": alerts }), RESULTS).await;
    done["results"].as_array().expect("results").clone()
}

pub(crate) fn outcomes(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["outcome"].as_str().expect("an outcome")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_opens_an_incident_is_counted_and_resolves_it() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let first = tell(&admin, vec![alert("cpu", "FIRING", &[])]).await;
        assert_eq!(outcomes(&first), ["CREATED"]);
        let incident = &first[0]["incident"];
        assert_eq!((&incident["priority"], &incident["origin"], &incident["firingAlerts"]), (&json!("P1"), &json!("MONITORING"), &json!(1)));
        let again = tell(&admin, vec![alert("cpu", "FIRING", &[]), alert("cpu", "FIRING", &[])]).await;
        assert_eq!(outcomes(&again), ["REPEATED", "REPEATED"]);
        assert_eq!((&again[1]["incident"]["occurrences"], &again[1]["alert"]["occurrences"]), (&json!(3), &json!(3)));
        assert_eq!(again[0]["incident"]["id"], incident["id"]);
        let over = tell(&admin, vec![alert("cpu", "RESOLVED", &[]), alert("never", "RESOLVED", &[])]).await;
        assert_eq!(outcomes(&over), ["RESOLVED", "NOT_FIRING"]);
        assert_eq!((&over[0]["incident"]["state"]["key"], &over[0]["incident"]["firingAlerts"]), (&json!("resolved"), &json!(0)));

        // A moment later it is the same trouble, later it is another one.
        installation.clock.advance(chrono::Duration::minutes(9));
        let flapping = tell(&admin, vec![alert("cpu", "FIRING", &[])]).await;
        assert_eq!(outcomes(&flapping), ["REOPENED"]);
        assert_eq!((&flapping[0]["incident"]["id"], &flapping[0]["incident"]["state"]["key"]), (&incident["id"], &json!("in_progress")));
        tell(&admin, vec![alert("cpu", "RESOLVED", &[])]).await;
        installation.clock.advance(chrono::Duration::minutes(11));
        let anew = tell(&admin, vec![alert("cpu", "FIRING", &[])]).await;
        assert_eq!(outcomes(&anew), ["CREATED"]);
        assert_ne!(anew[0]["incident"]["id"], incident["id"]);
        let agent = installation.client(&company.agent.token);
        let history = "query($id: ID!) { incident(by: { id: $id }) { history(last: 20) { nodes { __typename } } } alerts(filter: { incident: { eq: $id } }) { nodes { key status occurrences rule { key } incident { id } } } }";
        let seen = agent.ask(history, json!({ "id": incident["id"] })).await;
        assert_eq!(seen["alerts"]["nodes"].as_array().unwrap().len(), 2, "one each time that it fired: {seen:#}");
        let requester = installation.client(&company.requester.token);
        let hidden = requester.ask("query($id: ID!) { incident(by: { id: $id }) { number occurrences deduplicationKey } alerts { totalCount } }", json!({ "id": incident["id"] })).await;
        assert_eq!((&hidden["incident"]["occurrences"], &hidden["alerts"]["totalCount"]), (&Value::Null, &json!(0)), "{hidden:#}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_with_the_same_group_join_one_incident() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let on = |host: &'static str| [("alertname", "DiskFull"), ("host", host)];
        let told =
            vec![alert("a", "FIRING", &on("db1")), alert("b", "FIRING", &on("db1")), alert("c", "FIRING", &on("db2"))];
        let first = tell(&admin, told).await;
        assert_eq!(outcomes(&first), ["CREATED", "JOINED", "CREATED"]);
        assert_eq!(first[0]["incident"]["id"], first[1]["incident"]["id"]);
        assert_eq!(
            (&first[1]["incident"]["firingAlerts"], &first[1]["incident"]["deduplicationKey"]),
            (&json!(2), &json!("group:disks:db1"))
        );
        let half = tell(&admin, vec![alert("a", "RESOLVED", &on("db1"))]).await;
        assert_eq!(
            (outcomes(&half)[0], &half[0]["incident"]["state"]["key"]),
            ("ENDED", &json!("assigned")),
            "another one still fires"
        );
        // Behind the window another incident begins, which the next ones join.
        installation.clock.advance(chrono::Duration::minutes(61));
        let late = tell(
            &admin,
            vec![alert("d", "FIRING", &on("db1")), alert("e", "FIRING", &on("db1")), alert("b", "FIRING", &on("db1"))],
        )
        .await;
        assert_eq!(outcomes(&late), ["CREATED", "JOINED", "REPEATED"]);
        assert_ne!(late[0]["incident"]["id"], first[0]["incident"]["id"]);
        assert_eq!(late[2]["incident"]["id"], first[0]["incident"]["id"], "what fires on the older one stays there");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_alerts_on_one_incident() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let agent = installation.client(&company.agent.token);
        let incident = tell(&admin, vec![alert("cpu", "FIRING", &[])]).await[0]["incident"].clone();
        step(&agent, &incident, "start", json!({})).await;
        resolve(&agent, &incident).await;
        // Monitoring tells it again: it was not solved.
        let again = tell(&admin, vec![alert("cpu", "FIRING", &[])]).await;
        assert_eq!((outcomes(&again)[0], &again[0]["incident"]["id"]), ("REOPENED", &incident["id"]));
        resolve(&agent, &incident).await;
        installation.clock.advance(chrono::Duration::hours(1));
        let anew = tell(&admin, vec![alert("cpu", "FIRING", &[])]).await;
        assert_eq!(outcomes(&anew), ["CREATED"]);
        // Two open incidents with one key there cannot be.
        let refused = agent.user_error("incidentReopen", json!({ "id": incident["id"] })).await;
        assert_eq!(refused["code"], "CONFLICT", "{refused:#}");
        resolve(&agent, &anew[0]["incident"]).await;
        let done = agent.done("incidentReopen", json!({ "id": incident["id"] }), "incident { state { key } }").await;
        assert_eq!(done["incident"]["state"]["key"], "in_progress");
        assert_eq!(
            tell(&admin, vec![alert("cpu", "RESOLVED", &[])]).await[0]["outcome"],
            "ENDED",
            "it was over already for people"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_alone_and_a_replay_answers_the_same() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let long = "k".repeat(500_000);
        let (mut endless, mut empty) = (alert(&long, "FIRING", &[]), alert("x", "FIRING", &[]));
        endless["title"] = json!("Endless");
        empty["title"] = json!("");
        let told = vec![alert("fine", "FIRING", &[]), endless, empty, alert("fine too", "FIRING", &[])];
        let input = json!({ "alerts": told, "idempotencyKey": "batch-1" });
        let done = admin.done("alertIngest", input.clone(), RESULTS).await;
        let results = done["results"].as_array().unwrap();
        assert_eq!(outcomes(results), ["CREATED", "REFUSED", "REFUSED", "CREATED"]);
        assert_eq!(
            (&results[1]["userErrors"][0]["code"], &results[1]["userErrors"][0]["path"]),
            (&json!("LIMIT"), &json!(["key"]))
        );
        assert_eq!(results[2]["userErrors"][0]["path"], json!(["title"]));
        let again = admin.done("alertIngest", input, RESULTS).await;
        assert_eq!(again["results"], done["results"]);
        let many: Vec<Value> = (0..501).map(|number| alert(&number.to_string(), "FIRING", &[])).collect();
        for alerts in [many, Vec::new()] {
            let refused = admin.user_error("alertIngest", json!({ "alerts": alerts })).await;
            assert_eq!((&refused["code"], &refused["path"]), (&json!("LIMIT"), &json!(["alerts"])));
        }
        let dry = admin
            .done(
                "alertIngest",
                json!({ "alerts": [alert("dry", "FIRING", &[])], "dryRun": true }),
                "results { outcome }",
            )
            .await;
        assert_eq!(dry["results"][0]["outcome"], "CREATED");
        let count = admin.ask("{ alerts { totalCount } incidents { totalCount } }", json!({})).await;
        assert_eq!(
            (&count["alerts"]["totalCount"], &count["incidents"]["totalCount"]),
            (&json!(2), &json!(2)),
            "nothing of a dry run stays"
        );
        let agent = installation.client(&company.agent.token);
        let refused = agent.user_error("alertIngest", json!({ "alerts": [alert("x", "FIRING", &[])] })).await;
        assert_eq!(refused["code"], "FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_as_one_call_may_carry_are_taken_and_replayed() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let most = incident::alert::MAX_ALERTS;
        let told: Vec<Value> = (0..most).map(|number| alert(&format!("k{number}"), "FIRING", &[])).collect();
        let tried = incident::alert::MAX_ALERTS_IN_A_WRITE;
        let dry = |count: usize| json!({ "alerts": told[..count], "dryRun": true });
        let refused = admin.user_error("alertIngest", dry(tried + 1)).await;
        assert_eq!((&refused["code"], &refused["limit"]), (&json!("LIMIT"), &json!(tried)));
        admin.done("alertIngest", dry(tried), "results { outcome }").await;
        let input = json!({ "alerts": told, "idempotencyKey": "storm" });
        let done = admin.done_at_last("alertIngest", input.clone(), "results { outcome }").await;
        let created =
            outcomes(done["results"].as_array().unwrap()).iter().filter(|outcome| **outcome == "CREATED").count();
        assert_eq!(created, most);
        let again = admin.done("alertIngest", input, "results { outcome }").await;
        assert_eq!(again["results"], done["results"], "a replay answers the same");
        let over: Vec<Value> = (0..most).map(|number| alert(&format!("k{number}"), "RESOLVED", &[])).collect();
        let done = admin.done_at_last("alertIngest", json!({ "alerts": over }), "results { outcome }").await;
        assert!(done["results"].as_array().unwrap().iter().all(|result| result["outcome"] == "RESOLVED"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_that_a_person_opens_may_have_a_key_of_its_own() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let requester = installation.client(&company.requester.token);
        let input = |key: &str| json!({ "title": "Backup failed", "deduplicationKey": key, "requester": { "email": company.requester.email } });
        let own = json!({ "title": "x", "deduplicationKey": "backup" });
        assert_eq!(requester.user_error("incidentCreate", own).await["permission"], "ticket.internal");
        for (key, code) in [("k".repeat(513), "LIMIT"), (" ".to_owned(), "VALIDATION")] {
            let refused = admin.user_error("incidentCreate", input(&key)).await;
            assert_eq!((&refused["code"], &refused["path"]), (&json!(code), &json!(["deduplicationKey"])));
        }
        let opened = admin.done("incidentCreate", input("alert:backup"), "incident { id number deduplicationKey }").await;
        assert_eq!(opened["incident"]["deduplicationKey"], "alert:backup");
        let taken = admin.user_error("incidentCreate", input("alert:backup")).await;
        assert_eq!((&taken["code"], &taken["path"]), (&json!("CONFLICT"), &json!(["deduplicationKey"])));
        let told = tell(&admin, vec![alert("backup", "FIRING", &[])]).await;
        assert_eq!(outcomes(&told), ["JOINED"], "alerts with the key are its own");
        assert_eq!(told[0]["incident"]["number"], opened["incident"]["number"]);
        crate::company_life::resolve(&admin, &opened["incident"]).await;
        admin.done("incidentCreate", input("alert:backup"), "incident { id }").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_has_so_many_rules_that_are_not_retired_and_no_more() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let rule = |number: usize| {
            let requester = json!({ "email": company.requester.email });
            json!({ "key": format!("r{number}"), "name": "Rule", "says": { "requester": requester } })
        };
        let most = incident::commands::MAX_ALERT_RULES;
        for number in 0..most {
            admin.done("alertRuleCreate", rule(number), "alertRule { key }").await;
        }
        let refused = admin.user_error("alertRuleCreate", rule(most)).await;
        assert_eq!((&refused["code"], &refused["limit"]), (&json!("LIMIT"), &json!(most)));
        admin.done("alertRuleUpdate", json!({ "rule": { "key": "r0" }, "retired": true }), "alertRule { key }").await;
        admin.done("alertRuleCreate", rule(most), "alertRule { key }").await;
        // Taking one out of retirement makes one more, too.
        let back = json!({ "rule": { "key": "r0" }, "retired": false });
        let refused = admin.user_error("alertRuleUpdate", back.clone()).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("LIMIT"), &json!(["retired"])));
        let still = json!({ "rule": { "key": "r1" }, "retired": false });
        admin.done("alertRuleUpdate", still, "alertRule { key }").await;
        admin.done("alertRuleUpdate", json!({ "rule": { "key": "r1" }, "retired": true }), "alertRule { key }").await;
        admin.done("alertRuleUpdate", back, "alertRule { key }").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_checked_and_without_one_an_alert_is_refused() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let lonely = tell(&admin, vec![alert("x", "FIRING", &[])]).await;
        assert_eq!(outcomes(&lonely), ["REFUSED"]);
        assert!(lonely[0]["userErrors"][0]["message"].as_str().unwrap().contains("alertRuleCreate"));
        let refused = admin
            .call(
                "alertRuleCreate",
                json!({
                    "key": "Bad Key", "name": "Bad",
                    "says": {
                        "requester": { "email": "nobody@nowhere.example" },
                        "groupBy": "{host", "window": "P31D",
                        "matchers": [{ "name": "", "test": { "in": [] } }],
                    },
                }),
                "__typename",
            )
            .await;
        let path = |error: &Value| {
            error["path"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(".")
        };
        let mut paths: Vec<String> = refused["userErrors"].as_array().unwrap().iter().map(path).collect();
        paths.sort();
        assert_eq!(
            paths,
            [
                "key",
                "says.groupBy",
                "says.matchers.0.in",
                "says.matchers.0.name",
                "says.requester.email",
                "says.window"
            ]
        );
        rules(installation, &company).await;
        let off = json!({ "rule": { "key": "rest" }, "retired": true });
        admin.done("alertRuleUpdate", off, "alertRule { retired version }").await;
        assert_eq!(
            outcomes(&tell(&admin, vec![alert("x", "FIRING", &[])]).await),
            ["REFUSED"],
            "a retired rule is for nothing"
        );
        // A call that came to nothing can be sent again like any other.
        for status in ["FIRING", "RESOLVED"] {
            let input = json!({ "alerts": [alert("unheard of", status, &[])], "idempotencyKey": status });
            let first = admin.done("alertIngest", input.clone(), RESULTS).await;
            assert_eq!(first["events"], json!([]), "{first}");
            assert_eq!(admin.done("alertIngest", input, RESULTS).await, first);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_from_many_sides_makes_one_incident_for_each_key() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let storm = (0..8).map(|_| {
            let admin = admin.clone();
            async move {
                let alerts: Vec<Value> =
                    (0..50).map(|number| alert(&format!("k{}", number % 10), "FIRING", &[])).collect();
                tell(&admin, alerts).await
            }
        });
        let told: Vec<Value> = futures_util::future::join_all(storm).await.into_iter().flatten().collect();
        assert_eq!(told.len(), 400);
        let created = told.iter().filter(|result| result["outcome"] == "CREATED").count();
        assert_eq!(created, 10, "the database itself keeps it to one");
        let found = admin.ask("{ incidents(first: 100) { nodes { occurrences firingAlerts } } }", json!({})).await;
        let nodes = found["incidents"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 10);
        assert!(nodes.iter().all(|node| node["occurrences"] == 40 && node["firingAlerts"] == 1), "{nodes:#?}");
        let alerts = admin.ask("{ alerts(first: 100) { nodes { occurrences } } }", json!({})).await;
        let counted = alerts["alerts"]["nodes"].as_array().unwrap();
        assert!(counted.len() == 10 && counted.iter().all(|alert| alert["occurrences"] == 40), "{counted:#?}");
    })
    .await;
}

/// What a program posts, and the answer with its status.
async fn post(client: &Client, form: &str, media: &str, body: String) -> (u16, Value) {
    let request = client.post(&json!({})).build().expect("a request");
    let token = request.headers()["authorization"].clone();
    let url = client.url(&format!("/intake/{form}"));
    let sent = reqwest::Client::new().post(url).header("authorization", token).header("content-type", media).body(body);
    let response = sent.send().await.expect("the server answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("it is JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_post_in_their_own_forms() {
    each_engine(async |installation, company| {
        let admin = rules(installation, &company).await;
        let message = |status: &str| {
            json!({
                "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "deskwire",
                "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example",
                "alerts": [{
                    "status": status, "labels": { "alertname": "DiskFull", "host": "db1", "severity": "critical" },
                    "annotations": { "summary": "Disk of db1 is full", "description": "x".repeat(70_000) },
                    "startsAt": "2026-03-01T09:00:00.123Z", "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus.example/graph", "fingerprint": "c6b7f4f5a6d7e8f9",
                }],
            })
            .to_string()
        };
        let (status, answer) = post(&admin, "alertmanager", "application/json", message("firing")).await;
        assert_eq!((status, &answer["alerts"][0]["outcome"]), (200, &json!("CREATED")), "{answer}");
        let (_, answer) = post(&admin, "alertmanager", "application/json", message("firing")).await;
        assert_eq!(answer["alerts"][0]["outcome"], "REPEATED");
        let (_, answer) = post(&admin, "alertmanager", "application/json", message("resolved")).await;
        assert_eq!(answer["alerts"][0]["outcome"], "RESOLVED");
        let shown = admin.ask("{ alerts { nodes { title severity url labels { name value } incident { title priority } } } }", json!({})).await;
        assert_eq!(shown["alerts"]["nodes"][0]["title"], "Disk of db1 is full");
        assert_eq!(shown["alerts"]["nodes"][0]["incident"]["priority"], "P1");

        let event = json!({ "specversion": "1.0", "id": "1", "source": "/backup", "type": "backup.failed", "subject": "db1",
            "data": { "title": "Backup of db1 failed", "severity": "critical" } });
        let (status, answer) = post(&admin, "cloudevents", "application/cloudevents+json", event.to_string()).await;
        assert_eq!((status, &answer["alerts"][0]["outcome"]), (200, &json!("CREATED")), "{answer}");
        let mut over = event.clone();
        over["type"] = json!("backup.resolved");
        let (_, answer) = post(&admin, "cloudevents", "application/cloudevents-batch+json", json!([event, over]).to_string()).await;
        assert_eq!((&answer["alerts"][0]["outcome"], &answer["alerts"][1]["outcome"]), (&json!("REPEATED"), &json!("RESOLVED")));

        for (form, media, body, expected) in [
            ("alertmanager", "application/json", "{".to_owned(), 400),
            ("alertmanager", "application/json", json!({ "version": "3", "alerts": [] }).to_string(), 400),
            ("cloudevents", "application/cloudevents+json", json!({ "specversion": "1.0" }).to_string(), 400),
            ("cloudevents", "text/plain", String::new(), 415),
            ("elsewhere", "application/json", "{}".to_owned(), 404),
        ] {
            let (status, answer) = post(&admin, form, media, body).await;
            assert_eq!(status, expected, "{answer}");
            assert!(answer["error"]["message"].is_string(), "{answer}");
        }
        let agent = installation.client(&company.agent.token);
        assert_eq!(post(&agent, "alertmanager", "application/json", message("firing")).await.0, 403);
        let stranger = installation.client("dw_svc_none");
        assert_eq!(post(&stranger, "alertmanager", "application/json", message("firing")).await.0, 401);
    })
    .await;
}
