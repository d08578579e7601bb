//! Recurring tickets: set up, run by the server's own worker, late, paused and failing.

use kernel::Timestamp;
use serde_json::{Value, json};
use store::Engine;
use tests::client::Client;
use tests::company::{Company, Person};
use tests::installation::{Installation, each_engine, each_engine_with};

const RECURRING: &str = "recurringTicket { id name rule startsAt timeZone isPaused nextRunAt lastRunAt version \
    template { key } requester { name } setUpBy { name } upcoming(first: 3) { at localTime shifted } } \
    events { __typename changes { field } }";

const SHOWN: &str = "query($id: ID!) { recurringTicket(by: { id: $id }) { isPaused nextRunAt lastRunAt version \
    upcoming(first: 3) { at localTime shifted } \
    runs(last: 100) { totalCount nodes { dueAt status shifted ticket { title team { slug } requester { name } openedBy { name } \
        ... on Incident { origin } } userErrors { code path message } } } } }";

fn clients(installation: &Installation, company: &Company) -> (Client, Client, Client, Client) {
    let client = |person: &Person| installation.client(&person.token);
    (client(&company.admin), client(&company.lead), client(&company.agent), client(&company.requester))
}

async fn template(client: &Client, values: Value) {
    let input = json!({ "key": "backup-check", "name": "Check the backup", "kind": "INCIDENT", "values": values });
    client.done("ticketTemplateCreate", input, "template { id }").await;
}

fn checked() -> Value {
    json!({ "title": "Check the backup", "category": "printer", "team": { "slug": "network" } })
}

fn daily(company: &Company) -> Value {
    json!({
        "name": "Backup, daily", "template": { "key": "backup-check" }, "rule": "FREQ=DAILY", "startsAt": "2026-01-06T08:00",
        "timeZone": "Europe/Zurich", "requester": { "email": company.requester.email },
    })
}

async fn set_up(client: &Client, input: Value) -> Value {
    client.done("recurringTicketCreate", input, RECURRING).await["recurringTicket"].take()
}

async fn shown(client: &Client, recurring: &Value) -> Value {
    client.ask(SHOWN, json!({ "id": recurring["id"] })).await["recurringTicket"].take()
}

/// The recurring ticket once it has so many runs.
async fn with_runs(client: &Client, recurring: &Value, count: usize) -> Value {
    let arrives = async {
        loop {
            let found = shown(client, recurring).await;
            if found["runs"]["totalCount"].as_u64() >= Some(count as u64) {
                // The recurring ticket may have been read before the run was there.
                return shown(client, recurring).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tests::soon(&format!("the run number {count}"), arrives).await
}

fn statuses(recurring: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let nodes = recurring["runs"]["nodes"].as_array().expect("runs").iter();
    nodes.map(|run| (text(&run["dueAt"])[..16].to_owned(), text(&run["status"]))).collect()
}

fn on(day: &str, status: &str) -> (String, String) {
    (format!("{day}T07:00"), status.to_owned())
}

fn go_to(installation: &Installation, time: &str) {
    let time: Timestamp = chrono::DateTime::parse_from_rfc3339(time).expect("a time").to_utc();
    installation.clock.advance(time - installation.clock.now());
}

/// How many tickets there are, tasks left out.
async fn tickets(client: &Client) -> Value {
    client.ask("{ incidents { totalCount } }", json!({})).await["incidents"]["totalCount"].take()
}

async fn told(installation: &Installation, admin: &Client, kind: &str) -> Vec<Value> {
    installation.log_end(admin).await;
    let events = "{ events(last: 100) { nodes { __typename actor { __typename } \
        ... on RecurringTicketRunsSkipped { recurringTicket { name } count from to } \
        ... on RecurringTicketRunFailed { recurringTicket { name } dueAt message } } } }";
    let nodes = admin.ask(events, json!({})).await["events"]["nodes"].take();
    nodes.as_array().expect("events").iter().filter(|event| event["__typename"] == kind).cloned().collect()
}

/// Long enough for the worker to have done what it will not do.
async fn a_while() {
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recurring_tickets_are_kept() {
    each_engine(async |installation, company| {
        let (admin, lead, agent, requester) = clients(installation, &company);
        template(&lead, checked()).await;
        let mut input = daily(&company);
        assert_eq!(agent.user_error("recurringTicketCreate", input.clone()).await["permission"], "template.manage");
        input["dryRun"] = json!(true);
        assert!(set_up(&lead, input.clone()).await["id"].is_string());
        input["dryRun"] = json!(false);
        input["idempotencyKey"] = json!("once");
        let made = lead.done("recurringTicketCreate", input.clone(), RECURRING).await;
        let recurring = &made["recurringTicket"];
        for (field, expected) in [
            ("name", json!("Backup, daily")),
            ("rule", json!("FREQ=DAILY")),
            ("startsAt", json!("2026-01-06T08:00:00")),
            ("timeZone", json!("Europe/Zurich")),
            ("isPaused", json!(false)),
            ("nextRunAt", json!("2026-01-06T07:00:00.000000Z")),
            ("lastRunAt", Value::Null),
            ("version", json!(1)),
            ("template", json!({ "key": "backup-check" })),
            ("requester", json!({ "name": "Requester" })),
            ("setUpBy", json!({ "name": "Lead" })),
        ] {
            assert_eq!(recurring[field], expected, "{field}");
        }
        let second = json!({ "at": "2026-01-07T07:00:00.000000Z", "localTime": "2026-01-07T08:00:00", "shifted": false });
        assert_eq!(recurring["upcoming"][1], second);
        let event = &made["events"][0];
        assert_eq!(event["__typename"], "RecurringTicketCreated");
        assert!(!event["changes"].to_string().contains("starter"), "{event}");
        assert_eq!(set_up(&lead, input).await["id"], recurring["id"], "the same call is done once");
        assert_eq!(tickets(&admin).await, 0, "what was tried was taken back");

        let list = "query($filter: RecurringTicketFilter) { recurringTickets(filter: $filter) { totalCount nodes { name } } }";
        for (filter, count) in [(json!({}), 1), (json!({ "isPaused": { "eq": true } }), 0), (json!({ "nextRunAt": { "lt": "2026-01-07T00:00:00Z" } }), 1)] {
            assert_eq!(agent.ask(list, json!({ "filter": filter })).await["recurringTickets"]["totalCount"], count, "{filter}");
        }
        assert_eq!(requester.ask(list, json!({})).await["recurringTickets"]["totalCount"], 0);
        let node = "query($id: ID!) { node(id: $id) { ... on RecurringTicket { name } } }";
        assert_eq!(agent.ask(node, json!({ "id": recurring["id"] })).await["node"]["name"], "Backup, daily");
        assert_eq!(requester.ask(node, json!({ "id": recurring["id"] })).await["node"], Value::Null);

        let update = json!({ "id": recurring["id"], "name": "Backup, weekly", "rule": "FREQ=WEEKLY;BYDAY=MO", "requester": null, "expectedVersion": 1 });
        let changed = admin.done("recurringTicketUpdate", update.clone(), RECURRING).await;
        let now = &changed["recurringTicket"];
        let shown = (&now["name"], &now["nextRunAt"], &now["requester"], &now["setUpBy"]["name"], &now["version"]);
        let expected = (&json!("Backup, weekly"), &json!("2026-01-12T07:00:00.000000Z"), &Value::Null, &json!("Admin"), &json!(2));
        assert_eq!(shown, expected, "whoever changes it answers for it");
        assert_eq!(changed["events"][0]["__typename"], "RecurringTicketUpdated");
        assert_eq!(admin.user_error("recurringTicketUpdate", update).await["currentVersion"], 2);
        assert_eq!(agent.user_error("recurringTicketUpdate", json!({ "id": recurring["id"] })).await["code"], "FORBIDDEN");

        let used = lead.user_error("ticketTemplateDelete", json!({ "template": { "key": "backup-check" } })).await;
        assert_eq!((&used["path"], &used["constraint"]), (&json!(["template"]), &json!("inUse")));
        let delete = json!({ "id": recurring["id"], "idempotencyKey": "gone" });
        for _ in 0..2 {
            let gone = lead.done("recurringTicketDelete", delete.clone(), RECURRING).await;
            assert_eq!((&gone["recurringTicket"]["id"], &gone["recurringTicket"]["name"]), (&recurring["id"], &json!("Backup, weekly")));
            assert_eq!(gone["events"][0]["__typename"], "RecurringTicketDeleted");
        }
        assert_eq!(agent.ask(node, json!({ "id": recurring["id"] })).await["node"], Value::Null);
        let missing = lead.user_error("recurringTicketDelete", json!({ "id": recurring["id"] })).await;
        assert_eq!((&missing["code"], &missing["path"]), (&json!("NOT_FOUND"), &json!(["id"])));
        lead.done("ticketTemplateDelete", json!({ "template": { "key": "backup-check" } }), "template { id }").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_recurring_ticket_is_told_at_its_place() {
    each_engine(async |installation, company| {
        let (admin, lead, _, _) = clients(installation, &company);
        template(&admin, checked()).await;
        let bare = json!({ "key": "bare", "name": "Bare", "kind": "INCIDENT" });
        admin.done("ticketTemplateCreate", bare, "template { id }").await;
        for (wrong, path, said) in [
            (json!({ "rule": "FREQ=MINUTELY" }), "rule", "recurs more often than once in 60 minutes"),
            (json!({ "rule": "FREQ=HOURLY;BYMINUTE=0,30" }), "rule", "recurs more often"),
            (json!({ "rule": "FREQ=DAILY;BYSECOND=5" }), "rule", "`BYSECOND` is not supported"),
            (json!({ "rule": "FREQ=DAILY;X-TEAM=1" }), "rule", "`X-TEAM` is not known"),
            (json!({ "rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30" }), "rule", "never gives a day"),
            (json!({ "rule": "FREQ=DAILY;UNTIL=20260101" }), "rule", "never gives a time"),
            (json!({ "rule": "FREQ=DAILY;COUNT=2", "startsAt": "2026-01-01T08:00" }), "rule", "the rule has ended"),
            (json!({ "rule": "every day" }), "rule", "is no part of a rule"),
            (json!({ "startsAt": "2026-01-06T08:00Z" }), "startsAt", "without an offset"),
            (json!({ "startsAt": "2026-02-30T08:00" }), "startsAt", "no local date and time"),
            (json!({ "timeZone": "Europe/Zuerich" }), "timeZone", "did you mean `Europe/Zurich`?"),
            (json!({ "template": { "key": "nothing" } }), "template", "was not found"),
            (json!({ "template": { "key": "bare" } }), "template", "the template says no title"),
            (json!({ "requester": { "email": "nobody@acme.example" } }), "requester.email", "was not found"),
            (json!({ "name": "" }), "name", "name"),
        ] {
            let mut input = daily(&company);
            for (name, value) in wrong.as_object().expect("an object") {
                input[name] = value.clone();
            }
            let error = lead.user_error("recurringTicketCreate", input).await;
            let place: Vec<_> = error["path"].as_array().expect("a path").iter().filter_map(Value::as_str).collect();
            assert_eq!(place.join("."), path, "{wrong}: {error}");
            assert!(error["message"].as_str().is_some_and(|message| message.contains(said)), "{wrong}: {error}");
        }
        let recurring = set_up(&lead, daily(&company)).await;
        let wrong = json!({ "id": recurring["id"], "timeZone": "Nowhere" });
        assert_eq!(lead.user_error("recurringTicketUpdate", wrong).await["path"], json!(["timeZone"]));
        let preview = "query($id: ID!) { recurringTicket(by: { id: $id }) { upcoming(first: 21) { at } } }";
        assert_eq!(lead.refused(preview, json!({ "id": recurring["id"] })).await, "LIMIT");
        assert_eq!(lead.refused("{ recurringTicket(by: { id: \"inc_1\" }) { id } }", json!({})).await, "VALIDATION");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_when_its_time_has_come() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, agent, _) = clients(installation, &company);
            template(&lead, checked()).await;
            let recurring = set_up(&lead, daily(&company)).await;
            go_to(installation, "2026-01-06T06:59:00Z");
            a_while().await;
            assert_eq!(shown(&agent, &recurring).await["runs"]["totalCount"], 0, "not early");
            go_to(installation, "2026-01-06T07:00:00Z");
            let found = with_runs(&agent, &recurring, 1).await;
            assert_eq!(statuses(&found), [on("2026-01-06", "CREATED")]);
            let ticket = json!({
                "title": "Check the backup", "team": { "slug": "network" }, "requester": { "name": "Requester" },
                "openedBy": { "name": "Lead" }, "origin": "AUTOMATION",
            });
            assert_eq!(found["runs"]["nodes"][0]["ticket"], ticket);
            let times = (&found["nextRunAt"], &found["lastRunAt"], &found["version"]);
            let expected = (&json!("2026-01-07T07:00:00.000000Z"), &json!("2026-01-06T07:00:00.000000Z"), &json!(1));
            assert_eq!(times, expected, "a run is no change of it");
            let walt = installation.client(&company.walt.token);
            assert_eq!(shown(&walt, &recurring).await["runs"]["nodes"][0]["ticket"], Value::Null, "as far as one may see it");
            go_to(installation, "2026-01-07T07:00:01Z");
            let found = with_runs(&agent, &recurring, 2).await;
            assert_eq!(statuses(&found), [on("2026-01-06", "CREATED"), on("2026-01-07", "CREATED")]);
            assert_eq!(tickets(&admin).await, 2);
            // It goes on from page to page.
            let page = "query($id: ID!, $after: Cursor) { recurringTicket(by: { id: $id }) { runs(first: 1, after: $after) { \
                pageInfo { hasNextPage endCursor } nodes { dueAt } } } }";
            let first = agent.ask(page, json!({ "id": recurring["id"] })).await["recurringTicket"]["runs"].take();
            assert_eq!(first["pageInfo"]["hasNextPage"], true);
            let behind = json!({ "id": recurring["id"], "after": first["pageInfo"]["endCursor"] });
            let second = agent.ask(page, behind).await["recurringTicket"]["runs"].take();
            assert_eq!(second["nodes"], json!([{ "dueAt": "2026-01-07T07:00:00.000000Z" }]));
            // A run is found by its id, by whoever reads templates.
            let runs = "query($id: ID!) { recurringTicket(by: { id: $id }) { runs(first: 1) { nodes { id status } } } }";
            let run = agent.ask(runs, json!({ "id": recurring["id"] })).await["recurringTicket"]["runs"]["nodes"][0].take();
            let node = "query($id: ID!) { node(id: $id) { id ... on RecurringTicketRun { status } } }";
            assert_eq!(agent.ask(node, json!({ "id": run["id"] })).await["node"], run);
            let sam = installation.client(&company.sam.token);
            assert_eq!(sam.ask(node, json!({ "id": run["id"] })).await["node"], Value::Null);
            // Deleted, it runs no more, and its tickets stay.
            lead.done("recurringTicketDelete", json!({ "id": recurring["id"] }), "recurringTicket { id }").await;
            go_to(installation, "2026-01-08T07:00:01Z");
            a_while().await;
            assert_eq!(tickets(&admin).await, 2);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downtime_is_reported_and_not_made_up_for() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, _, _) = clients(installation, &company);
            template(&lead, checked()).await;
            let recurring = set_up(&lead, daily(&company)).await;
            let monthly = json!({ "name": "Monthly", "rule": "FREQ=MONTHLY", "template": { "key": "backup-check" },
                "startsAt": "2026-01-10T08:00", "timeZone": "Europe/Zurich" });
            let monthly = set_up(&lead, monthly).await;
            installation.stop().await;
            go_to(installation, "2026-01-16T12:00:00Z");
            installation.restart().await;
            let (admin, lead) = (installation.client(admin.token.as_deref().expect("a token")), installation.client(lead.token.as_deref().expect("a token")));
            let found = with_runs(&lead, &recurring, 11).await;
            let mut expected: Vec<_> = (6..16).map(|day| on(&format!("2026-01-{day:02}"), "SKIPPED")).collect();
            expected.push(on("2026-01-16", "CREATED"));
            assert_eq!(statuses(&found), expected);
            assert_eq!(found["nextRunAt"], "2026-01-17T07:00:00.000000Z");
            let late = with_runs(&lead, &monthly, 1).await;
            assert_eq!(statuses(&late), [on("2026-01-10", "SKIPPED")], "more than a day late");
            assert_eq!((&late["nextRunAt"], &late["lastRunAt"]), (&json!("2026-02-10T07:00:00.000000Z"), &Value::Null));
            assert_eq!(tickets(&admin).await, 1);
            let mut events = told(installation, &admin, "RecurringTicketRunsSkipped").await;
            events.sort_by_key(|event| event["recurringTicket"]["name"].to_string());
            let event = |name: &str, count: u32, from: &str, to: &str| {
                json!({ "__typename": "RecurringTicketRunsSkipped", "actor": { "__typename": "System" }, "recurringTicket": { "name": name },
                    "count": count, "from": format!("{from}T07:00:00Z"), "to": format!("{to}T07:00:00Z") })
            };
            let whole = |event: &Value| {
                let mut event = event.clone();
                for field in ["from", "to"] {
                    event[field] = json!(event[field].as_str().expect("a time").replace(".000000", ""));
                }
                event
            };
            let expected = [event("Backup, daily", 10, "2026-01-06", "2026-01-15"), event("Monthly", 1, "2026-01-10", "2026-01-10")];
            assert_eq!(events.iter().map(whole).collect::<Vec<_>>(), expected);
            go_to(installation, "2026-01-17T07:00:00Z");
            with_runs(&lead, &recurring, 12).await;
            assert_eq!(tickets(&admin).await, 2);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_due_while_it_was_paused_is_forgotten() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, _, _) = clients(installation, &company);
            template(&lead, checked()).await;
            let mut input = daily(&company);
            input["isPaused"] = json!(true);
            let recurring = set_up(&lead, input).await;
            assert_eq!((&recurring["nextRunAt"], &recurring["upcoming"]), (&Value::Null, &json!([])));
            let pause = |paused: bool| json!({ "id": recurring["id"], "isPaused": paused });
            let on_again = lead.done("recurringTicketUpdate", pause(false), RECURRING).await["recurringTicket"].take();
            assert_eq!(on_again["nextRunAt"], "2026-01-06T07:00:00.000000Z");
            lead.done("recurringTicketUpdate", pause(true), RECURRING).await;
            go_to(installation, "2026-01-09T12:00:00Z");
            a_while().await;
            let on_again = lead.done("recurringTicketUpdate", pause(false), RECURRING).await["recurringTicket"].take();
            assert_eq!(on_again["nextRunAt"], "2026-01-10T07:00:00.000000Z");
            a_while().await;
            assert_eq!(shown(&lead, &recurring).await["runs"]["totalCount"], 0);
            go_to(installation, "2026-01-10T07:00:00Z");
            let found = with_runs(&lead, &recurring, 1).await;
            assert_eq!(statuses(&found), [on("2026-01-10", "CREATED")]);
            assert_eq!(told(installation, &admin, "RecurringTicketRunsSkipped").await, [Value::Null; 0]);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_the_clocks_pass_over_is_later() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, _, _) = clients(installation, &company);
            template(&lead, checked()).await;
            let mut input = daily(&company);
            input["startsAt"] = json!("2027-03-27T02:30");
            let recurring = set_up(&lead, input.clone()).await;
            let preview =
                |at: &str, local: &str, shifted: bool| json!({ "at": at, "localTime": local, "shifted": shifted });
            assert_eq!(
                recurring["upcoming"],
                json!([
                    preview("2027-03-27T01:30:00.000000Z", "2027-03-27T02:30:00", false),
                    preview("2027-03-28T01:30:00.000000Z", "2027-03-28T02:30:00", true),
                    preview("2027-03-29T00:30:00.000000Z", "2027-03-29T02:30:00", false),
                ])
            );
            input["timeZone"] = json!("America/New_York");
            input["startsAt"] = json!("2027-03-14T02:30");
            let there = set_up(&lead, input).await;
            assert_eq!(there["upcoming"][0], preview("2027-03-14T07:30:00.000000Z", "2027-03-14T02:30:00", true));
            lead.done("recurringTicketDelete", json!({ "id": there["id"] }), "recurringTicket { id }").await;
            go_to(installation, "2027-03-27T01:30:00Z");
            with_runs(&lead, &recurring, 1).await;
            go_to(installation, "2027-03-28T01:29:59Z");
            a_while().await;
            assert_eq!(tickets(&admin).await, 1, "not at half past two, which there is not");
            go_to(installation, "2027-03-28T01:30:00Z");
            let found = with_runs(&lead, &recurring, 2).await;
            let run = &found["runs"]["nodes"][1];
            assert_eq!(
                (&run["dueAt"], &run["shifted"], &run["status"]),
                (&json!("2027-03-28T01:30:00.000000Z"), &json!(true), &json!("CREATED"))
            );
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_says_why_and_does_not_stop_the_next() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, _, _) = clients(installation, &company);
            template(&lead, checked()).await;
            let recurring = set_up(&lead, daily(&company)).await;
            let retired = |retired: bool| json!({ "key": "printer", "retired": retired });
            let active = |person: &Person, active: bool| json!({ "user": { "email": person.email }, "active": active });
            admin.done("categoryUpdate", retired(true), "category { key }").await;
            go_to(installation, "2026-01-06T07:00:00Z");
            let found = with_runs(&admin, &recurring, 1).await;
            assert_eq!(statuses(&found), [on("2026-01-06", "FAILED")]);
            let run = &found["runs"]["nodes"][0];
            assert_eq!((&run["ticket"], &run["userErrors"][0]["path"]), (&Value::Null, &json!(["template"])));
            assert!(
                run["userErrors"][0]["message"]
                    .as_str()
                    .is_some_and(|said| said.contains("`category`: the category `printer` is retired")),
                "{run}"
            );
            assert_eq!(found["nextRunAt"], "2026-01-07T07:00:00.000000Z");
            let events = told(installation, &admin, "RecurringTicketRunFailed").await;
            assert_eq!(
                (&events[0]["recurringTicket"]["name"], &events[0]["actor"]["__typename"]),
                (&json!("Backup, daily"), &json!("System"))
            );
            assert!(
                events[0]["message"].as_str().is_some_and(|said| said.contains("retired")) && events.len() == 1,
                "{events:?}"
            );

            admin.done("categoryUpdate", retired(false), "category { key }").await;
            admin.done("userUpdate", active(&company.requester, false), "user { id }").await;
            go_to(installation, "2026-01-07T07:00:00Z");
            let found = with_runs(&admin, &recurring, 2).await;
            let run = &found["runs"]["nodes"][1];
            assert_eq!((&run["status"], &run["userErrors"][0]["path"]), (&json!("FAILED"), &json!(["requester"])));

            admin.done("userUpdate", active(&company.requester, true), "user { id }").await;
            admin.done("userUpdate", active(&company.lead, false), "user { id }").await;
            go_to(installation, "2026-01-08T07:00:00Z");
            let found = with_runs(&admin, &recurring, 3).await;
            let run = &found["runs"]["nodes"][2];
            assert_eq!((&run["status"], &run["userErrors"][0]["code"]), (&json!("FAILED"), &json!("FORBIDDEN")));
            assert_eq!(tickets(&admin).await, 0);

            admin.done("userUpdate", active(&company.lead, true), "user { id }").await;
            go_to(installation, "2026-01-09T07:00:00Z");
            let found = with_runs(&admin, &recurring, 4).await;
            let outcomes: Vec<_> = statuses(&found).into_iter().map(|(_, status)| status).collect();
            assert_eq!(outcomes, ["FAILED", "FAILED", "FAILED", "CREATED"]);

            // The rights are those of now: taken away, it creates nothing any more.
            admin
                .done(
                    "userUpdate",
                    json!({ "user": { "email": company.lead.email }, "roles": [{ "role": "requester" }] }),
                    "user { id }",
                )
                .await;
            go_to(installation, "2026-01-10T07:00:00Z");
            let found = with_runs(&admin, &recurring, 5).await;
            assert_eq!(found["runs"]["nodes"][4]["status"], "FAILED");
            assert_eq!(tickets(&admin).await, 1);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requester_who_is_gone_is_noticed_whoever_names_them() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, _, _) = clients(installation, &company);
            let mut values = checked();
            values["requester"] = json!({ "email": company.sam.email });
            template(&lead, values).await;
            let mut input = daily(&company);
            input["requester"] = Value::Null;
            let recurring = set_up(&lead, input.clone()).await;
            let active = |active: bool| json!({ "user": { "email": company.sam.email }, "active": active });
            admin.done("userUpdate", active(false), "user { id }").await;
            go_to(installation, "2026-01-06T07:00:00Z");
            let found = with_runs(&admin, &recurring, 1).await;
            let run = &found["runs"]["nodes"][0];
            assert_eq!((&run["status"], &run["ticket"]), (&json!("FAILED"), &Value::Null));
            let error = &run["userErrors"][0];
            assert_eq!(
                (&error["path"], &error["message"]),
                (&json!(["template"]), &json!("the template's `requester`: the requester is no longer active"))
            );
            // Nor is one set up that could not run; with somebody else it can.
            assert_eq!(lead.user_error("recurringTicketCreate", input).await["path"], json!(["template"]));
            let mut own = daily(&company);
            own["requester"] = json!({ "email": company.sam.email });
            assert_eq!(lead.user_error("recurringTicketCreate", own).await["path"], json!(["requester"]));
            set_up(&lead, daily(&company)).await;

            admin.done("userUpdate", active(true), "user { id }").await;
            go_to(installation, "2026-01-07T07:00:00Z");
            let found = with_runs(&admin, &recurring, 2).await;
            assert_eq!(statuses(&found), [on("2026-01-06", "FAILED"), on("2026-01-07", "CREATED")]);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_job_was_given_up_is_begun_anew() {
    each_engine(async |installation, company| {
        let lead = installation.client(&company.lead.token);
        template(&lead, checked()).await;
        let mut made = Vec::new();
        for (name, starts_at) in [("Lost", "2026-01-06T08:00"), ("Tried again", "2026-01-06T08:00"), ("Later", "2026-01-06T09:00")] {
            let mut input = daily(&company);
            (input["name"], input["startsAt"]) = (json!(name), json!(starts_at));
            made.push(set_up(&lead, input).await);
        }
        let job_of = |recurring: &Value| {
            let id = kernel::Id::parse(recurring["id"].as_str().expect("an id")).expect("an id").uuid;
            format!("kind = 'ticket.recurring' AND unique_key = '{id}'")
        };
        let given_up = format!("UPDATE job SET state = 'FAILED' WHERE {}", job_of(&made[0]));
        let put_off = format!(
            "UPDATE job SET attempts = 3, run_at = (SELECT next_run_at FROM recurring_ticket WHERE name = 'Later') WHERE {}",
            job_of(&made[1])
        );
        installation.stop().await;
        installation.tamper(&[given_up.clone(), put_off]).await;
        installation.restart().await;
        let swept = async |installation: &Installation| {
            installation.platform().tickets.sweep_recurring().await.expect("it is done")
        };
        go_to(installation, "2026-01-06T07:10:00Z");
        assert_eq!(swept(installation).await, 0, "its worker may be about to");
        go_to(installation, "2026-01-06T07:10:01Z");
        assert_eq!(swept(installation).await, 1, "but for the one whose job waits for another attempt");
        assert_eq!(swept(installation).await, 0, "it has a job again");

        // The server looks for them itself.
        installation.stop().await;
        installation.tamper(&[given_up]).await;
        installation.config.jobs = true;
        installation.restart().await;
        let lead = installation.client(&company.lead.token);
        let found = with_runs(&lead, &made[0], 1).await;
        assert_eq!(statuses(&found), [on("2026-01-06", "CREATED")]);
        assert_eq!(found["nextRunAt"], "2026-01-07T07:00:00.000000Z");
        a_while().await;
        assert_eq!(shown(&lead, &made[1]).await["runs"]["totalCount"], 0);
        go_to(installation, "2026-01-06T08:00:00Z");
        assert_eq!(statuses(&with_runs(&lead, &made[1], 1).await), [on("2026-01-06", "CREATED")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_new_rules_of_its_zone_make_earlier_runs_as_planned() {
    each_engine(async |installation, company| {
        let lead = installation.client(&company.lead.token);
        template(&lead, checked()).await;
        let recurring = set_up(&lead, daily(&company)).await;
        installation.stop().await;
        // As if by the rules that the server knows now eight o'clock were an hour earlier.
        let moved = "UPDATE recurring_ticket SET starts_at = '2026-01-06T07:00:00'".to_owned();
        installation.tamper(&[moved]).await;
        installation.config.jobs = true;
        installation.restart().await;
        let lead = installation.client(&company.lead.token);
        go_to(installation, "2026-01-06T07:00:00Z");
        let found = with_runs(&lead, &recurring, 1).await;
        assert_eq!(statuses(&found), [on("2026-01-06", "CREATED")]);
        assert_eq!(found["nextRunAt"], "2026-01-07T06:00:00.000000Z");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_create_each_ticket_once() {
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            let (admin, lead, _, _) = clients(installation, &company);
            template(&lead, checked()).await;
            let mut all = Vec::new();
            for number in 0..20 {
                let mut input = daily(&company);
                input["name"] = json!(format!("Number {number}"));
                all.push(set_up(&lead, input).await);
            }
            let second = match installation.engine {
                Engine::Sqlite => None,
                Engine::Postgres => Some(installation.another().await),
            };
            for (day, count) in [("2026-01-06", 1), ("2026-01-07", 2), ("2026-01-08", 3)] {
                go_to(installation, &format!("{day}T07:00:00Z"));
                for recurring in &all {
                    with_runs(&lead, recurring, count).await;
                }
            }
            a_while().await;
            assert_eq!(tickets(&admin).await, 60, "each once a day");
            for recurring in &all {
                let found = shown(&lead, recurring).await;
                assert!(
                    statuses(&found).len() == 3 && statuses(&found).iter().all(|(_, status)| status == "CREATED"),
                    "{found}"
                );
            }
            if let Some(second) = second {
                second.stop().await.expect("it ends well");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_job_done_twice_at_once_creates_one_ticket() {
    each_engine(async |installation, company| {
        let (admin, lead, _, _) = clients(installation, &company);
        template(&lead, checked()).await;
        let recurring = set_up(&lead, daily(&company)).await;
        go_to(installation, "2026-01-06T07:00:00Z");
        let id = kernel::Id::parse(recurring["id"].as_str().expect("an id")).expect("an id").uuid;
        let payload = json!({ "recurringTicket": id.to_string() });
        let tickets_of = &installation.platform().tickets;
        // A worker that lost its lease goes on beside the one that has it now.
        let runs = (0..4).map(|_| {
            let (tickets, payload) = (tickets_of.clone(), payload.clone());
            let system = installation.platform().access.system_ctx(company.tenant, "tests");
            tokio::spawn(async move { tickets.run_recurring(&system, &payload, false).await })
        });
        let runs: Vec<_> = runs.collect();
        for run in runs {
            assert!(!run.await.expect("it ends").expect("it is done, or was"), "nothing more is due");
        }
        assert_eq!(tickets(&admin).await, 1);
        assert_eq!(statuses(&shown(&lead, &recurring).await), [on("2026-01-06", "CREATED")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_downtime_is_one_event_and_old_runs_are_forgotten() {
    each_engine(async |installation, company| {
        let (admin, lead, _, _) = clients(installation, &company);
        template(&lead, checked()).await;
        let mut input = daily(&company);
        input["rule"] = json!("FREQ=HOURLY");
        input["timeZone"] = json!("UTC");
        let recurring = set_up(&lead, input).await;
        let id = kernel::Id::parse(recurring["id"].as_str().expect("an id")).expect("an id").uuid;
        let payload = json!({ "recurringTicket": id.to_string() });
        let run = async || {
            let system = installation.platform().access.system_ctx(company.tenant, "tests");
            installation.platform().tickets.run_recurring(&system, &payload, false).await.expect("it is done")
        };
        go_to(installation, "2026-01-06T08:00:00Z");
        assert!(!run().await);
        // A year and an hour: what was left out is counted in whole, and written down in part.
        go_to(installation, "2027-01-06T09:30:00Z");
        assert!(!run().await);
        let found = shown(&lead, &recurring).await;
        assert_eq!(
            (&found["runs"]["totalCount"], &found["nextRunAt"]),
            (&json!(102), &json!("2027-01-06T10:00:00.000000Z"))
        );
        let all = statuses(&found);
        assert_eq!(all.last(), Some(&("2027-01-06T09:00".to_owned(), "CREATED".to_owned())));
        assert_eq!(
            all[all.len() - 2],
            ("2027-01-06T08:00".to_owned(), "SKIPPED".to_owned()),
            "in the order of their times"
        );
        let events = told(installation, &admin, "RecurringTicketRunsSkipped").await;
        assert_eq!(events.len(), 1);
        assert_eq!(
            (&events[0]["count"], &events[0]["from"]),
            (&json!(365 * 24), &json!("2026-01-06T09:00:00.000000Z"))
        );
        assert_eq!(tickets(&admin).await, 2);
        // The first run of all is more than 400 days old by then.
        go_to(installation, "2027-02-11T10:00:00Z");
        run().await;
        let oldest =
            "query($id: ID!) { recurringTicket(by: { id: $id }) { runs(first: 1) { totalCount nodes { dueAt } } } }";
        let runs = lead.ask(oldest, json!({ "id": recurring["id"] })).await["recurringTicket"]["runs"].take();
        assert_eq!(runs["totalCount"], 101 + 101, "a hundred that were left out and one that was created, twice");
        assert!(runs["nodes"][0]["dueAt"].as_str().is_some_and(|due| due.starts_with("2027-01-02")), "{runs}");
    })
    .await;
}
