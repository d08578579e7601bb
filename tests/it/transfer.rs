//! Files of tickets: written by an export, read by an import, whole, in part, stopped, and gone on with.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};
use tests::slowly::Slowly;
use ticket::transfer::{EXPORT, IMPORT, MAX_LINE, export, import};

use crate::attachments::{files_in, get, refusal, sweep, uploaded};
use crate::company_life::incident_with;

const STARTED: &str = "operation { id status } events { __typename }";
const SHOWN: &str = "query($id: ID!) { operation(id: $id) { status finished: done total progress error result { __typename \
    ... on TicketExport { format tickets bytes sha256 expiresAt downloadUrl } ... on TicketImport { dryRun rows created failed } } \
    results { totalCount nodes { index outcome ticket { number title } userErrors { code path message } } } } }";

async fn operation(client: &Client, id: &Value) -> Value {
    client.ask(SHOWN, json!({ "id": id })).await["operation"].take()
}

/// Waits until an operation is over.
async fn ended(client: &Client, id: &Value) -> Value {
    tests::soon("the end", async {
        loop {
            let shown = operation(client, id).await;
            if !["PENDING", "RUNNING"].contains(&shown["status"].as_str().expect("a status")) {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

/// An operation that was carried out, and is over.
async fn carried_out(client: &Client, mutation: &str, input: Value) -> Value {
    let started = client.done(mutation, input, STARTED).await;
    assert_eq!(started["events"], json!([{ "__typename": "OperationStarted" }]));
    ended(client, &started["operation"]["id"]).await
}

/// The bytes of the file of an export.
async fn file(client: &Client, shown: &Value) -> Vec<u8> {
    assert_eq!(shown["status"], "SUCCEEDED", "{shown:#}");
    let response = get(client, &shown["result"]["downloadUrl"]).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.bytes().await.expect("a body").to_vec()
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

fn lines_of(rows: &[Value]) -> Vec<u8> {
    rows.iter().flat_map(|row| format!("{row}\n").into_bytes()).collect()
}

async fn file_of(client: &Client, rows: &[Value]) -> Value {
    uploaded(client, "tickets.jsonl", "application/jsonl", &lines_of(rows)).await
}

fn incident(title: impl std::fmt::Display) -> Value {
    json!({ "kind": "INCIDENT", "title": title.to_string(), "tags": ["imported"] })
}

async fn imported(client: &Client) -> Value {
    let document = "{ tickets(first: 100, filter: { tags: { has: \"imported\" } }) \
                    { totalCount nodes { title version } } }";
    client.ask(document, json!({})).await["tickets"].take()
}

fn exports(installation: &Installation) -> Slowly {
    Slowly::start(installation, EXPORT, |platform, ctx, payload| async move {
        platform.tickets.run_export_pages(&platform.files.objects, &ctx, &payload, 1).await
    })
}

fn imports(installation: &Installation) -> Slowly {
    Slowly::start(installation, IMPORT, |platform, ctx, payload| async move {
        platform.tickets.run_import_batches(&platform.files.objects, &ctx, &payload, 1).await
    })
}

/// Tickets of team network, opened by its agent, one after the other.
async fn many(installation: &Installation, company: &Company, count: usize) -> Client {
    let agent = installation.client(&company.agent.token);
    let rows: Vec<Value> = (0..count)
        .map(|number| json!({ "title": format!("Ticket {number}"), "team": "network", "tags": ["many"] }))
        .collect();
    let upload = file_of(&agent, &rows).await;
    let worker = imports(installation);
    let started = agent.done("ticketImport", json!({ "upload": upload, "kind": "INCIDENT" }), STARTED).await;
    worker.steps(1 + count.div_ceil(100) + usize::from(count.is_multiple_of(100))).await;
    worker.stop().await;
    let shown = operation(&agent, &started["operation"]["id"]).await;
    assert_eq!(shown["result"]["created"], count, "{shown:#}");
    agent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_what_the_viewer_sees() {
    let jobs = |config: &mut deskwire::config::Config| config.jobs = true;
    each_engine_with(jobs, async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let requester = installation.client(&company.requester.token);
        let first = incident_with(
            &agent,
            json!({
                "title": "=HYPERLINK(\"x\")", "description": "a\n\"b\"", "team": { "slug": "network" }, "tags": ["vpn", "site"],
                "requester": { "email": company.requester.email }, "assignee": { "email": company.agent.email },
                "category": "vpn", "externalRefs": [{ "source": "jira", "key": "OPS-1" }],
            }),
        )
        .await;
        let task = json!({ "parent": first["id"], "title": "Look" });
        let task = agent.done("taskCreate", task, "task { id number }").await["task"].clone();
        let other = incident_with(&installation.client(&company.sam.token), json!({ "title": "Not for the network" })).await;

        // All that the agent sees, oldest first; of each what the agent may read.
        let shown = carried_out(&agent, "ticketExport", json!({})).await;
        assert_eq!((&shown["finished"], &shown["progress"], &shown["results"]), (&json!(2), &json!(1.0), &Value::Null));
        let bytes = file(&agent, &shown).await;
        let rows = json_lines(&bytes);
        assert_eq!(rows.iter().map(|row| &row["number"]).collect::<Vec<_>>(), [&first["number"], &task["number"]]);
        let row = &rows[0];
        for (field, value) in [
            ("id", first["id"].clone()),
            ("kind", json!("INCIDENT")),
            ("title", json!("=HYPERLINK(\"x\")")),
            ("description", json!("a\n\"b\"")),
            ("stateCategory", json!("ACTIVE")),
            ("category", json!("vpn")),
            ("requester", json!(company.requester.email)),
            ("openedBy", json!(company.agent.email)),
            ("team", json!("network")),
            ("assignee", json!(company.agent.email)),
            ("tags", json!(["vpn", "site"])),
            ("externalRefs", json!([{ "source": "jira", "key": "OPS-1" }])),
            ("customFields", json!({})),
            ("origin", json!("API")),
            ("resolvedAt", Value::Null),
        ] {
            assert_eq!(row[field], value, "{field}");
        }
        assert_eq!((&rows[1]["parent"], &rows[1]["origin"]), (&first["number"], &Value::Null));
        let result = &shown["result"];
        let sha256: String = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&bytes)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&result["bytes"], &result["sha256"]), (&json!(bytes.len()), &json!(sha256)));

        // As a table, of some columns, of some tickets: for saving, under a name, and no formula.
        let input = json!({
            "format": "CSV", "columns": ["NUMBER", "TITLE", "TAGS", "DESCRIPTION"], "filter": { "kind": { "eq": "INCIDENT" } }
        });
        let shown = carried_out(&agent, "ticketExport", input).await;
        let response = get(&agent, &shown["result"]["downloadUrl"]).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with("text/csv"));
        let disposition = header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\"tickets-20") && disposition.contains(".csv\""), "{disposition}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        let text = response.text().await.unwrap();
        let number = first["number"].as_str().unwrap();
        let expected = format!("number,title,tags,description\r\n{number},\"'=HYPERLINK(\"\"x\"\")\",vpn; site,\"a\n\"\"b\"\"\"\r\n");
        assert_eq!(text, expected);

        // Others see other tickets, and less of them; nobody has the file of somebody else.
        let own = carried_out(&requester, "ticketExport", json!({ "columns": ["NUMBER", "REQUESTER", "ASSIGNEE"] })).await;
        let rows = json_lines(&file(&requester, &own).await);
        assert_eq!(rows, [json!({ "number": first["number"], "requester": company.requester.email, "assignee": "Agent" })]);
        let auditor = installation.client(&company.auditor.token);
        let id = agent.done("ticketExport", json!({ "idempotencyKey": "k" }), STARTED).await["operation"]["id"].clone();
        ended(&agent, &id).await;
        let seen = operation(&auditor, &id).await;
        assert_eq!((&seen["result"]["tickets"], &seen["result"]["downloadUrl"]), (&json!(2), &Value::Null));
        let again = agent.done("ticketExport", json!({ "idempotencyKey": "k" }), STARTED).await;
        assert_eq!(again["operation"]["id"], id);

        // Nothing is written in a dry run, nor of what cannot be read.
        let before = files_in(installation);
        agent.done("ticketExport", json!({ "dryRun": true }), STARTED).await;
        for (input, path) in [
            (json!({ "columns": [] }), json!(["columns"])),
            (json!({ "columns": ["TITLE", "NUMBER", "TITLE"] }), json!(["columns", "2"])),
            (json!({ "filter": { "customFields": [{ "key": "nowhere", "text": { "eq": "x" } }] } }), json!(["filter", "customFields", "nowhere"])),
        ] {
            assert_eq!(agent.user_error("ticketExport", input).await["path"], path);
        }
        assert_eq!(files_in(installation), before);
        let empty = carried_out(&agent, "ticketExport", json!({ "filter": { "tags": { "has": "nobody" } } })).await;
        assert_eq!((file(&agent, &empty).await, &empty["result"]["tickets"]), (Vec::new(), &json!(0)));
        drop(other);

        // The file goes when its time is over.
        installation.clock.advance(export::KEPT + ticket::attachment::upload::GRACE + chrono::Duration::hours(1));
        let agent = installation.client(&company.agent.token);
        assert_eq!(operation(&agent, &id).await["result"]["downloadUrl"], Value::Null);
        sweep(installation).await;
        assert_eq!(files_in(installation), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_on_where_it_was_stopped() {
    each_engine(async |installation, company| {
        let agent = many(installation, &company, 450).await;
        let id = agent.done("ticketExport", json!({ "columns": ["TITLE"] }), STARTED).await["operation"]["id"].clone();
        let worker = exports(installation);
        worker.steps(1).await;
        let shown = operation(&agent, &id).await;
        let figures = (&shown["status"], &shown["finished"], &shown["total"]);
        assert_eq!(figures, (&json!("RUNNING"), &json!(200), &json!(450)));
        worker.kill().await;
        installation.config.jobs = true;
        installation.restart().await;
        installation.clock.advance(chrono::Duration::minutes(5));
        let agent = installation.client(&company.agent.token);
        let shown = ended(&agent, &id).await;
        let rows = json_lines(&file(&agent, &shown).await);
        let titles: Vec<_> = rows.iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect();
        let mut distinct = titles.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((titles.len(), distinct.len()), (450, 450), "each ticket once");

        // A link that holds no longer says so, and one that was bent.
        let link = shown["result"]["downloadUrl"].clone();
        installation.clock.advance(chrono::Duration::minutes(6));
        let (status, code, _) = refusal(get(&agent, &link).await).await;
        assert_eq!((status, code.as_str()), (StatusCode::NOT_FOUND, "NOT_FOUND"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_fails_when_a_right_is_taken_away_half_way() {
    each_engine(async |installation, company| {
        let agent = many(installation, &company, 250).await;
        let admin = installation.client(&company.admin.token);
        let id = agent.done("ticketExport", json!({}), STARTED).await["operation"]["id"].clone();
        let worker = exports(installation);
        worker.steps(1).await;
        assert_eq!(operation(&agent, &id).await["finished"], 200);
        let removed = json!({ "team": { "slug": "network" }, "user": { "email": company.agent.email } });
        admin.done("teamMemberRemove", removed, "team { id }").await;
        worker.steps(1).await;
        let shown = operation(&agent, &id).await;
        assert_eq!((&shown["status"], &shown["result"]), (&json!("FAILED"), &Value::Null));
        assert!(shown["error"].as_str().unwrap().contains("has changed on the way"), "{shown:#}");

        // A file that is there already is for whoever may still do what they might.
        let lead = installation.client(&company.lead.token);
        let id = lead.done("ticketExport", json!({}), STARTED).await["operation"]["id"].clone();
        worker.steps(2).await;
        let shown = operation(&lead, &id).await;
        assert_eq!(file(&lead, &shown).await.len(), shown["result"]["bytes"].as_u64().unwrap() as usize);
        let removed = json!({ "team": { "slug": "network" }, "user": { "email": company.lead.email } });
        admin.done("teamMemberRemove", removed, "team { id }").await;
        let lead = installation.client(&company.lead.token);
        assert_eq!(operation(&lead, &id).await["result"]["downloadUrl"], Value::Null);

        // Canceled, it leaves nothing to fetch; gone, its starter gets nothing.
        let walt = installation.client(&company.walt.token);
        let id = walt.done("ticketExport", json!({}), STARTED).await["operation"]["id"].clone();
        walt.done("operationCancel", json!({ "id": id }), "operation { status }").await;
        worker.steps(1).await;
        let shown = operation(&walt, &id).await;
        assert_eq!((&shown["status"], &shown["result"]), (&json!("CANCELED"), &Value::Null));
        let id = walt.done("ticketExport", json!({}), STARTED).await["operation"]["id"].clone();
        admin
            .done("userUpdate", json!({ "user": { "email": company.walt.email }, "active": false }), "user { id }")
            .await;
        worker.steps(1).await;
        worker.stop().await;
        let shown = operation(&admin, &id).await;
        assert_eq!(shown["status"], "FAILED");
        assert!(shown["error"].as_str().unwrap().contains("no longer active"), "{shown:#}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_have_limits() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let mut started = Vec::new();
        for _ in 0..export::MAX_UNDER_WAY {
            started.push(agent.done("ticketExport", json!({}), STARTED).await["operation"]["id"].clone());
        }
        let error = agent.user_error("ticketExport", json!({})).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("LIMIT"), &json!([])));
        for _ in export::MAX_UNDER_WAY..export::MAX_A_DAY {
            agent.done("operationCancel", json!({ "id": started.pop() }), "operation { status }").await;
            started.push(agent.done("ticketExport", json!({}), STARTED).await["operation"]["id"].clone());
        }
        agent.done("operationCancel", json!({ "id": started.pop() }), "operation { status }").await;
        let error = agent.user_error("ticketExport", json!({})).await;
        assert!(error["message"].as_str().unwrap().contains("within 24 hours"), "{error}");
        installation.clock.advance(chrono::Duration::hours(25));
        let agent = installation.client(&company.agent.token);
        agent.done("ticketExport", json!({}), STARTED).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_in_the_middle_keeps_none_of_the_others_out() {
    let jobs = |config: &mut deskwire::config::Config| config.jobs = true;
    each_engine_with(jobs, async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let parent = incident_with(&agent, json!({ "title": "Parent", "team": { "slug": "network" }, "externalRefs": [{ "source": "jira", "key": "1" }] })).await;
        let text = [
            incident("First").to_string(),
            String::new(),
            "{\"kind\": \"INCIDENT\", \"title\": ".to_owned(),
            json!({ "kind": "INCIDENT", "title": "", "impact": "HUGE", "team": "nowhere", "number": "INC-1" }).to_string(),
            json!({ "kind": "INCIDENT", "title": "x", "team": "nowhere" }).to_string(),
            json!({ "kind": "TASK", "title": "Look", "parent": { "source": "jira", "key": "1" }, "tags": ["imported"] }).to_string(),
            json!({ "kind": "INCIDENT", "title": "x", "customFields": { "nowhere": 1 } }).to_string(),
            json!({ "kind": "INCIDENT", "title": "x", "origin": "DREAM" }).to_string(),
            json!({ "kind": "PROBLEM", "title": "x", "knownError": true }).to_string(),
            json!({ "kind": "INCIDENT", "title": "x", "externalRefs": [{ "source": "jira", "key": "1" }] }).to_string(),
            json!({ "kind": "INCIDENT", "title": "Last", "origin": "EMAIL", "requester": company.requester.email, "tags": ["imported"] }).to_string(),
        ]
        .join("\r\n");
        let upload = uploaded(&agent, "tickets.jsonl", "application/jsonl", text.as_bytes()).await;
        let refused = [
            (2, vec![vec!["upload", "3"]]),
            (3, vec![vec!["upload", "4", "impact"]]),
            (4, vec![vec!["upload", "5", "team", "slug"]]),
            (6, vec![vec!["upload", "7", "customFields", "nowhere"]]),
            (7, vec![vec!["upload", "8", "origin"]]),
            (8, vec![vec!["upload", "9", "knownError"]]),
            (9, vec![vec!["upload", "10", "externalRefs", "0", "key"]]),
        ];

        // Tried, it tells what would become of each line, keeps nothing, and the file stays.
        let tried = carried_out(&agent, "ticketImport", json!({ "upload": upload, "dryRun": true })).await;
        assert_eq!(tried["result"], json!({ "__typename": "TicketImport", "dryRun": true, "rows": 10, "created": 3, "failed": 7 }));
        assert_eq!(imported(&agent).await["totalCount"], 0);

        // All or nothing: nothing.
        let rejected = carried_out(&agent, "ticketImport", json!({ "upload": upload, "onError": "REJECT_ALL" })).await;
        assert_eq!((&rejected["status"], &rejected["result"]), (&json!("FAILED"), &Value::Null));
        assert!(rejected["error"].as_str().unwrap().starts_with("7 of 10 lines are refused"), "{rejected:#}");
        assert_eq!(rejected["results"]["totalCount"], 7);
        assert_eq!(imported(&agent).await["totalCount"], 0);

        let shown = carried_out(&agent, "ticketImport", json!({ "upload": upload })).await;
        assert_eq!(shown["result"], json!({ "__typename": "TicketImport", "dryRun": false, "rows": 10, "created": 3, "failed": 7 }));
        let results = shown["results"]["nodes"].as_array().unwrap();
        let made: Vec<_> = results.iter().filter(|result| result["outcome"] == "DONE").collect();
        let made: Vec<_> = made.iter().map(|result| (&result["index"], &result["ticket"]["title"])).collect();
        assert_eq!(made.len(), 3, "{results:#?}");
        assert_eq!(made, [(&json!(0), &json!("First")), (&json!(5), &json!("Look")), (&json!(10), &json!("Last"))]);
        for result in [&rejected, &tried, &shown] {
            let results = result["results"]["nodes"].as_array().unwrap();
            let failed: Vec<_> = results.iter().filter(|result| result["outcome"] == "FAILED").collect();
            assert_eq!(failed.len(), refused.len(), "{failed:#?}");
            for (found, (index, paths)) in failed.iter().zip(&refused) {
                let told: Vec<_> = found["userErrors"].as_array().unwrap().iter().map(|error| error["path"].clone()).collect();
                assert_eq!((&found["index"], told), (&json!(index), paths.iter().map(|path| json!(path)).collect()), "{found:#}");
            }
        }
        let tasks = "query($id: ID!) { ticket(by: { id: $id }) { tasks { nodes { title } } } }";
        let tasks = agent.ask(tasks, json!({ "id": parent["id"] })).await;
        assert_eq!(tasks["ticket"]["tasks"]["nodes"], json!([{ "title": "Look" }]));

        // The file has done its work.
        let error = agent.user_error("ticketImport", json!({ "upload": upload })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("NOT_FOUND"), &json!(["upload"])));
        installation.clock.advance(chrono::Duration::hours(3));
        sweep(installation).await;
        assert_eq!(files_in(installation), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_can_be_imported() {
    let jobs = |config: &mut deskwire::config::Config| config.jobs = true;
    each_engine_with(jobs, async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let admin = installation.client(&company.admin.token);
        for (key, kind) in [("keeper", "USER"), ("site", "TEXT")] {
            let field = json!({ "key": key, "name": key, "type": kind });
            admin.done("customFieldCreate", field, "customField { id }").await;
        }
        let input = json!({
            "customFields": [{ "key": "keeper", "user": { "email": company.sam.email } }, { "key": "site", "text": "Bern" }],
            "title": "Ünïcode \u{1f600}", "description": "a\nb", "impact": "HIGH", "urgency": "LOW", "category": "vpn", "tags": ["imported"],
            "team": { "slug": "network" }, "assignee": { "email": company.agent.email }, "requester": { "email": company.sam.email },
        });
        incident_with(&agent, input).await;
        let exported = carried_out(&agent, "ticketExport", json!({})).await;
        let bytes = file(&agent, &exported).await;
        let upload = uploaded(&agent, "tickets.jsonl", "application/jsonl", &bytes).await;
        // Fields that nobody sets are named, so that none is lost silently.
        let refused = carried_out(&agent, "ticketImport", json!({ "upload": upload, "dryRun": true })).await;
        let errors = refused["results"]["nodes"][0]["userErrors"].as_array().unwrap().clone();
        let ignore: Vec<_> = errors.iter().map(|error| error["path"][2].clone()).collect();
        assert!(ignore.contains(&json!("number")) && ignore.contains(&json!("createdAt")), "{ignore:?}");
        let shown = carried_out(&agent, "ticketImport", json!({ "upload": upload, "ignore": ignore, "onError": "REJECT_ALL" })).await;
        assert_eq!(shown["result"]["created"], 1, "{shown:#}");
        let again = carried_out(&agent, "ticketExport", json!({})).await;
        let rows = json_lines(&file(&agent, &again).await);
        assert_eq!(rows.len(), 2);
        for field in ["title", "description", "impact", "urgency", "priority", "category", "tags", "team", "assignee", "requester", "origin", "customFields"] {
            assert_eq!(rows[0][field], rows[1][field], "{field}");
        }
        assert_eq!(rows[1]["customFields"]["site"], "Bern");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_database_stores_or_nobody_reads_keeps_no_other_line_out() {
    let jobs = |config: &mut deskwire::config::Config| config.jobs = true;
    each_engine_with(jobs, async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let fields = [
            json!({ "description": "a\0b" }),
            json!({ "requester": "a\0@acme.example" }),
            json!({ "assignee": "a\0@acme.example" }),
            json!({ "team": "net\0work" }),
            json!({ "service": "ma\0il" }),
            json!({ "category": "vp\0n" }),
            json!({ "tags": ["a\0b"] }),
            json!({ "origin": "E\0MAIL" }),
            json!({ "externalRefs": [{ "source": "ji\0ra", "key": "1" }] }),
            json!({ "customFields": { "si\0te": "Bern" } }),
            json!({ "si\0te": "Bern" }),
            json!({ "kind": "TASK", "parent": { "source": "ji\0ra", "key": "1" } }),
            json!({ "kind": "TASK", "parent": "INC\0-1" }),
            json!({ "tags": vec![""; 20_000] }),
        ];
        let bad = fields.iter().map(|given| {
            let mut line = json!({ "kind": "INCIDENT", "title": "x" });
            line.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            line
        });
        let rows: Vec<Value> = bad.chain([incident("Good")]).collect();
        let upload = file_of(&agent, &rows).await;
        let shown = carried_out(&agent, "ticketImport", json!({ "upload": upload })).await;
        assert_eq!(
            (&shown["result"]["created"], &shown["result"]["failed"]),
            (&json!(1), &json!(fields.len())),
            "{shown:#}"
        );
        let errors = |place: usize| shown["results"]["nodes"][place]["userErrors"].as_array().unwrap().clone();
        assert_eq!(errors(fields.len() - 1).len(), kernel::error::MAX_PROBLEMS + 1);
        assert!((0..fields.len()).all(|place| !errors(place).is_empty()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_goes_on_where_it_was_stopped() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let rows: Vec<Value> = (0..250).map(incident).collect();
        let upload = file_of(&agent, &rows).await;
        let input = json!({ "upload": upload, "idempotencyKey": "k" });
        let id = agent.done("ticketImport", input.clone(), STARTED).await["operation"]["id"].clone();
        assert_eq!(agent.done("ticketImport", input, STARTED).await["operation"]["id"], id);
        let worker = imports(installation);
        worker.steps(2).await;
        let shown = operation(&agent, &id).await;
        let figures = (&shown["status"], &shown["finished"], &shown["total"], &shown["results"]["totalCount"]);
        assert_eq!(figures, (&json!("RUNNING"), &json!(100), &json!(250), &json!(100)));
        worker.kill().await;
        // Killed behind its tickets and before it noted how far it is, it knows the lines that are done.
        installation.stop().await;
        installation.tamper(&["UPDATE operation SET checkpoint = NULL".to_owned()]).await;
        installation.config.jobs = true;
        installation.restart().await;
        installation.clock.advance(chrono::Duration::minutes(5));
        let agent = installation.client(&company.agent.token);
        let shown = ended(&agent, &id).await;
        assert_eq!(
            (&shown["status"], &shown["result"]["created"], &shown["finished"]),
            (&json!("SUCCEEDED"), &json!(250), &json!(250))
        );
        assert_eq!(imported(&agent).await["totalCount"], 250, "each line once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_stopped_by_whoever_started_it_and_by_the_loss_of_rights() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let admin = installation.client(&company.admin.token);
        let rows: Vec<Value> = (0..250).map(incident).collect();
        let id = agent.done("ticketImport", json!({ "upload": file_of(&agent, &rows).await }), STARTED).await["operation"]["id"].clone();
        let worker = imports(installation);
        worker.steps(2).await;
        agent.done("operationCancel", json!({ "id": id }), "operation { status }").await;
        worker.steps(1).await;
        let shown = operation(&agent, &id).await;
        let expected = json!({ "__typename": "TicketImport", "dryRun": false, "rows": 100, "created": 100, "failed": 0 });
        assert_eq!((&shown["status"], &shown["result"]), (&json!("CANCELED"), &expected));

        let id = agent.done("ticketImport", json!({ "upload": file_of(&agent, &rows).await }), STARTED).await["operation"]["id"].clone();
        worker.steps(2).await;
        admin.done("userUpdate", json!({ "user": { "email": company.agent.email }, "active": false }), "user { id }").await;
        worker.steps(2).await;
        worker.stop().await;
        let shown = operation(&admin, &id).await;
        assert_eq!((&shown["status"], &shown["result"]["created"], &shown["result"]["failed"]), (&json!("SUCCEEDED"), &json!(100), &json!(150)));
        let failed = "query($id: ID!) { operation(id: $id) { results(only: FAILED, first: 1) { nodes { userErrors { code message } } } } }";
        let failed = admin.ask(failed, json!({ "id": id })).await;
        let error = &failed["operation"]["results"]["nodes"][0]["userErrors"][0];
        assert_eq!(error["code"], "FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_have_limits() {
    let jobs = |config: &mut deskwire::config::Config| config.jobs = true;
    each_engine_with(jobs, async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let long = uploaded(
            &agent,
            "x.jsonl",
            "application/jsonl",
            &[incident("x").to_string().into_bytes(), b"\n".to_vec(), vec![b'x'; MAX_LINE + 1]].concat(),
        )
        .await;
        let shown = carried_out(&agent, "ticketImport", json!({ "upload": long })).await;
        assert_eq!(shown["status"], "FAILED");
        assert!(shown["error"].as_str().unwrap().starts_with("line 2 is longer"), "{shown:#}");
        assert_eq!(
            imported(&agent).await["totalCount"],
            0,
            "what is no such file is refused before anything is made of it"
        );

        let upload = file_of(&agent, &[incident("x")]).await;
        let sam = installation.client(&company.sam.token);
        for (client, input, code, path) in [
            (&sam, json!({ "upload": upload }), "NOT_FOUND", json!(["upload"])),
            (&agent, json!({ "upload": "upl_x" }), "VALIDATION", json!(["upload"])),
            (
                &agent,
                json!({ "upload": upload, "ignore": vec!["x"; import::MAX_IGNORED + 1] }),
                "LIMIT",
                json!(["ignore"]),
            ),
            (&installation.client(&company.auditor.token), json!({ "upload": upload }), "FORBIDDEN", json!([])),
        ] {
            let error = client.user_error("ticketImport", input).await;
            assert_eq!((&error["code"], &error["path"]), (&json!(code), &path), "{error}");
        }
        let announced =
            json!({ "fileName": "x.jsonl", "mediaType": "application/jsonl", "bytes": 1, "sha256": "0".repeat(64) });
        let announced = agent.done("uploadCreate", announced, "upload { id }").await["upload"]["id"].clone();
        let error = agent.user_error("ticketImport", json!({ "upload": announced })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["upload"])));
        // An empty file is none at all; one of blank lines makes no tickets.
        let blank = uploaded(&agent, "x.jsonl", "application/jsonl", b"\n \r\n").await;
        let shown = carried_out(&agent, "ticketImport", json!({ "upload": blank })).await;
        assert_eq!(
            (&shown["status"], &shown["result"]["rows"], &shown["progress"]),
            (&json!("SUCCEEDED"), &json!(0), &json!(1.0))
        );

        installation.config.jobs = false;
        installation.restart().await;
        let agent = installation.client(&company.agent.token);
        agent.done("ticketImport", json!({ "upload": upload }), STARTED).await;
        let error = agent.user_error("ticketImport", json!({ "upload": upload, "dryRun": true })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("VALIDATION"), &json!(["upload"])), "once at a time");
        for _ in 1..import::MAX_UNDER_WAY {
            let upload = file_of(&agent, &[incident("x")]).await;
            agent.done("ticketImport", json!({ "upload": upload }), STARTED).await;
        }
        let upload = file_of(&agent, &[incident("x")]).await;
        let error = agent.user_error("ticketImport", json!({ "upload": upload })).await;
        assert_eq!((&error["code"], &error["path"]), (&json!("LIMIT"), &json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_take_so_many_statements() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let (mut pages, mut lines) = (Vec::new(), Vec::new());
        for count in [10, 50, 90] {
            let rows: Vec<Value> = (0..count)
                .map(|number| json!({ "kind": "INCIDENT", "title": number.to_string(), "team": "network", "requester": company.sam.email }))
                .collect();
            let upload = file_of(&agent, &rows).await;
            agent.done("ticketImport", json!({ "upload": upload }), STARTED).await;
            let worker = imports(installation);
            worker.steps(1).await;
            let before = installation.store().statement_count();
            worker.steps(1).await;
            lines.push(installation.store().statement_count() - before);
            worker.stop().await;
            agent.done("ticketExport", json!({}), STARTED).await;
            let worker = exports(installation);
            let before = installation.store().statement_count();
            worker.steps(1).await;
            pages.push(installation.store().statement_count() - before);
            worker.stop().await;
        }
        println!("{:?}: imports of 10, 50, 90 lines {lines:?}; exports of 10, 60, 150 tickets {pages:?}", installation.engine);
        assert!((lines[2] - lines[1]).div_ceil(40) <= 12, "{lines:?}");
        assert!(lines[0] <= 12 * 10 + 25, "{lines:?}");
        // Jobs that are claimed on the side take some.
        assert!(pages.iter().all(|page| *page <= pages[0] + 6 && *page <= 35), "{pages:?}");
    })
    .await;
}
