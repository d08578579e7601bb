//! Tickets as of an instant, and what changed between two: as it was seen at the time, by whoever looks.

use std::path::Path;

use chrono::{Duration, SecondsFormat};
use serde_json::{Value, json};
use tests::client::{Client, code};
use tests::company::{Company, Person};
use tests::installation::{Installation, each_engine};

use crate::company_life::{assign, comment, incident_with, resolve, step};
use crate::import::{MAPPING, SAMPLE, import_offline};

/// All that is answered of the past.
const SHOWN: &str = "__typename id number kind version title description state { key name category waitingReason waitingUntil } \
    workflow { number } priority priorityOverride { reason at by { name } } impact urgency category { key } service { key } \
    requester { name } openedBy { name } team { slug } assignee { name } tags customFields { key value } reassignmentCount \
    reopenCount createdAt updatedAt resolvedAt closedAt acknowledgedAt firstRespondedAt slaDueAt slaState \
    ... on Incident { origin resolutionCode resolutionNotes functionalEscalationLevel hierarchicalEscalationLevel \
    escalatedTo { name } deduplicationKey }";

const DIFF: &str = "query($id: ID!, $from: DateTime!, $to: DateTime) { ticketDiff(by: { id: $id }, from: $from, to: $to) { \
    from to eventCount differences { field before after changedAt changedBy { name } } } }";

fn now(installation: &Installation) -> String {
    installation.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn as_now(client: &Client, ticket: &Value) -> Value {
    let query = format!("query($id: ID!) {{ ticket(by: {{ id: $id }}) {{ {SHOWN} }} }}");
    client.ask(&query, json!({ "id": ticket["id"] })).await["ticket"].take()
}

async fn as_of(client: &Client, ticket: &Value, at: &str) -> Value {
    let query = format!("query($id: ID!, $at: DateTime) {{ ticket(by: {{ id: $id }}, asOf: $at) {{ {SHOWN} }} }}");
    client.ask(&query, json!({ "id": ticket["id"], "at": at })).await["ticket"].take()
}

async fn diff(client: &Client, ticket: &Value, from: &str, to: Option<&str>) -> Value {
    client.ask(DIFF, json!({ "id": ticket["id"], "from": from, "to": to })).await["ticketDiff"].take()
}

fn fields(diff: &Value) -> Vec<&str> {
    let found = diff["differences"].as_array().expect("a list");
    found.iter().map(|found| found["field"].as_str().expect("a name")).collect()
}

/// The difference of one field.
fn of<'a>(diff: &'a Value, field: &str) -> &'a Value {
    let found = diff["differences"].as_array().and_then(|all| all.iter().find(|found| found["field"] == field));
    found.unwrap_or_else(|| panic!("`{field}` does not differ: {diff}"))
}

/// Fields for everybody and for agents, promises, and managers up the line.
async fn set_up(admin: &Client, company: &Company) {
    for input in [
        json!({ "key": "site", "name": "Site", "type": "TEXT" }),
        json!({ "key": "cost", "name": "Cost center", "type": "TEXT", "readableBy": "AGENTS" }),
    ] {
        admin.done("customFieldCreate", input, "customField { id }").await;
    }
    let week = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let week: Vec<Value> = week.iter().map(|day| json!({ "day": day, "from": "00:00", "to": "24:00" })).collect();
    let calendar = json!({ "key": "always", "name": "Always", "timeZone": "UTC", "week": week });
    admin.done("calendarCreate", calendar, "calendar { id }").await;
    let policy = json!({
        "key": "standard", "name": "Standard", "kind": "SLA", "calendar": { "key": "always" },
        "metrics": [{ "metric": "RESOLUTION", "targets": [{ "target": "PT4H" }] }],
    });
    admin.done("slaPolicyCreate", policy, "slaPolicy { id }").await;
    let team = json!({
        "team": { "slug": "network" }, "escalationTeam": { "slug": "workplace" }, "manager": { "email": company.lead.email },
    });
    admin.done("teamUpdate", team, "team { id }").await;
}

fn clients(installation: &Installation, company: &Company) -> [Client; 3] {
    let client = |person: &Person| installation.client(&person.token);
    [client(&company.admin), client(&company.agent), client(&company.requester)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_as_it_was_seen_at_the_time() {
    each_engine(async |installation, company| {
        let [admin, agent, requester] = clients(installation, &company);
        set_up(&admin, &company).await;
        let input = json!({
            "title": "VPN drops", "description": "Since the update.", "tags": ["vpn"],
            "customFields": [{ "key": "site", "text": "east" }],
        });
        let ticket = incident_with(&requester, input).await;
        let id = &ticket["id"];
        let mut seen = vec![(now(installation), as_now(&admin, &ticket).await, as_now(&requester, &ticket).await)];
        for number in 0..12_i32 {
            // Some things happen at the same instant: then the last of them counts.
            installation.clock.advance(Duration::minutes(i64::from(number % 4) * 31));
            let update = |patch: Value| {
                let mut input = patch;
                input["id"] = id.clone();
                admin.done("incidentUpdate", input, "incident { id }")
            };
            match number {
                0 => assign(&admin, &ticket, "network", Some(&company.agent.email)).await,
                1 => drop(update(json!({
                    "title": "VPN drops often", "description": null, "tags": ["vpn", "east"], "urgency": "HIGH", "category": "vpn",
                    "customFields": [{ "key": "site", "text": "west" }, { "key": "cost", "text": "4711" }],
                })).await),
                2 => drop(update(json!({ "priorityOverride": { "priority": "P1", "reason": "The board is waiting." } })).await),
                3 => comment(&agent, &ticket, "We look into it.", "PUBLIC").await,
                4 => comment(&agent, &ticket, "The old switch.", "INTERNAL").await,
                5 => step(&agent, &ticket, "hold", json!({ "waitingReason": "REQUESTER" })).await,
                6 => comment(&requester, &ticket, "It is still so.", "PUBLIC").await,
                7 | 8 => {
                    let kind = if number == 7 { "HIERARCHICAL" } else { "FUNCTIONAL" };
                    let input = json!({ "id": id, "type": kind, "reason": "It takes too long." });
                    admin.done("incidentEscalate", input, "incident { id }").await;
                }
                9 => resolve(&admin, &ticket).await,
                10 => drop(admin.done("incidentReopen", json!({ "id": id }), "incident { id }").await),
                _ => drop(update(json!({
                    "description": "Solved by itself.", "priorityOverride": null,
                    "customFields": [{ "key": "cost", "text": null }],
                })).await),
            }
            let at = now(installation);
            seen.retain(|(earlier, ..)| *earlier != at);
            seen.push((at, as_now(&admin, &ticket).await, as_now(&requester, &ticket).await));
        }
        installation.clock.advance(Duration::hours(1));
        let by_number = "query($by: TicketRef!, $at: DateTime) { ticket(by: $by, asOf: $at) { id } }";
        let by = json!({ "by": { "number": ticket["number"] }, "at": seen[0].0 });
        assert_eq!(admin.ask(by_number, by).await["ticket"]["id"], ticket["id"]);
        let nothing = json!({ "by": { "number": "INC-999999" }, "at": seen[0].0 });
        assert_eq!(admin.ask(by_number, nothing).await["ticket"], Value::Null);
        assert!(seen.len() > 8, "{}", seen.len());
        for (at, to_admin, to_requester) in &seen {
            assert_eq!(as_of(&admin, &ticket, at).await, *to_admin, "at {at}");
            assert_eq!(as_of(&requester, &ticket, at).await, *to_requester, "at {at}");
        }
        // Between two of them it is as at the first.
        let [(first, then, _), (second, ..)] = [&seen[3], &seen[4]];
        assert!(first < second);
        let between = installation.clock.now() - Duration::hours(1);
        assert_eq!(as_of(&admin, &ticket, &between.to_rfc3339()).await, seen.last().unwrap().1);
        assert_eq!(as_of(&admin, &ticket, first).await, *then);
        assert_eq!(as_of(&admin, &ticket, &now(installation)).await, as_now(&admin, &ticket).await);
        // Before it was there, and for whom it is not there.
        assert_eq!(as_of(&admin, &ticket, "2026-01-05T08:59:59Z").await, Value::Null);
        assert_eq!(as_of(&installation.client(&company.sam.token), &ticket, first).await, Value::Null);
        assert!(to_agents(&seen.last().unwrap().1), "the story has something to hide");
    })
    .await;
}

/// Whether something is shown that only those who work on the ticket see.
fn to_agents(ticket: &Value) -> bool {
    ticket["hierarchicalEscalationLevel"] == 1 && ticket["reassignmentCount"].as_i64() > Some(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_is_told_with_who_changed_it_last() {
    each_engine(async |installation, company| {
        let [admin, agent, requester] = clients(installation, &company);
        set_up(&admin, &company).await;
        let start = now(installation);
        installation.clock.advance(Duration::minutes(1));
        let input = json!({
            "title": "VPN drops", "requester": { "email": company.requester.email }, "team": { "slug": "network" },
            "customFields": [{ "key": "site", "text": "east" }],
        });
        let ticket = incident_with(&agent, input).await;
        let opened = now(installation);
        installation.clock.advance(Duration::hours(1));
        let assigned = now(installation);
        assign(&admin, &ticket, "network", Some(&company.agent.email)).await;
        installation.clock.advance(Duration::hours(1));
        let update = json!({
            "id": ticket["id"], "title": "VPN drops often",
            "customFields": [{ "key": "site", "text": "west" }, { "key": "cost", "text": "4711" }],
        });
        admin.done("incidentUpdate", update, "incident { id }").await;
        installation.clock.advance(Duration::hours(1));
        let renamed = now(installation);
        admin.done("incidentUpdate", json!({ "id": ticket["id"], "title": "VPN drops" }), "incident { id }").await;
        let up = json!({ "id": ticket["id"], "type": "HIERARCHICAL", "reason": "It takes too long." });
        admin.done("incidentEscalate", up, "incident { id }").await;

        let to_agent = diff(&agent, &ticket, &opened, None).await;
        assert_eq!((&to_agent["from"], &to_agent["to"]), (&json!(opened), &json!(renamed)));
        let team_fields = ["customFields.cost", "escalatedTo", "hierarchicalEscalationLevel"];
        assert!(team_fields.iter().all(|field| fields(&to_agent).contains(field)), "{to_agent}");
        assert!(!fields(&to_agent).contains(&"title"), "it is back as it was: {to_agent}");
        let expected = json!({
            "field": "assignee", "before": null, "after": company.agent.id, "changedAt": assigned,
            "changedBy": { "name": company.admin.name },
        });
        assert_eq!(*of(&to_agent, "assignee"), expected);
        let site = of(&to_agent, "customFields.site");
        assert_eq!((&site["before"], &site["after"]), (&json!("east"), &json!("west")));

        let to_requester = diff(&requester, &ticket, &opened, None).await;
        assert!(team_fields.iter().all(|field| !fields(&to_requester).contains(field)), "{to_requester}");
        assert_eq!(of(&to_requester, "customFields.site"), site);
        let events = |diff: &Value| diff["eventCount"].as_i64().expect("a number");
        let internal = events(&to_agent) - events(&to_requester);
        assert!(internal > 0, "the escalation is told to those who work on the ticket");
        assert_eq!(
            diff(&installation.client(&company.auditor.token), &ticket, &opened, None).await["eventCount"],
            events(&to_agent)
        );

        // Up to then, and from then on.
        let until = diff(&agent, &ticket, &opened, Some(&renamed[..])).await;
        assert_eq!(until, to_agent, "`to` is now when it is absent");
        let middle = diff(&agent, &ticket, &assigned, Some("2026-01-05T11:30:00Z")).await;
        assert_eq!(of(&middle, "title")["after"], "VPN drops often");
        assert!(!fields(&middle).contains(&"assignee"), "what had happened by `from` is before: {middle}");

        // Before it was there it had no values; without an end after that there is nothing to tell.
        let whole = diff(&admin, &ticket, &start, None).await;
        assert_eq!(of(&whole, "title")["before"], Value::Null);
        assert_eq!(of(&whole, "number")["after"], ticket["number"]);
        assert_eq!(diff(&admin, &ticket, &start, Some(&start[..])).await, Value::Null);
        assert_eq!(diff(&installation.client(&company.sam.token), &ticket, &start, None).await, Value::Null);
        let same = diff(&admin, &ticket, &renamed, Some(&renamed[..])).await;
        assert_eq!((&same["differences"], &same["eventCount"]), (&json!([]), &json!(0)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_event_does_not_show_by_what_it_changed() {
    each_engine(async |installation, company| {
        let [admin, agent, requester] = clients(installation, &company);
        set_up(&admin, &company).await;
        let input = json!({
            "title": "VPN drops", "requester": { "email": company.requester.email }, "team": { "slug": "network" },
        });
        let ticket = incident_with(&agent, input).await;
        let opened = now(installation);
        installation.clock.advance(Duration::hours(5));
        let late = now(installation);
        // That the promise is broken is noticed along with the comment, whose event tells it.
        comment(&agent, &ticket, "The old switch.", "INTERNAL").await;
        let found = diff(&requester, &ticket, &opened, None).await;
        let state = json!({ "field": "slaState", "before": "RUNNING", "after": "BREACHED", "changedAt": null, "changedBy": null });
        assert_eq!(*of(&found, "slaState"), state);
        let found = diff(&agent, &ticket, &opened, None).await;
        let known = of(&found, "slaState");
        assert_eq!((&known["changedAt"], &known["changedBy"]["name"]), (&json!(late), &json!(company.agent.name)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_is_refused_and_says_why() {
    each_engine(async |installation, company| {
        let [admin, agent, _] = clients(installation, &company);
        let ticket = incident_with(&agent, json!({ "title": "VPN drops" })).await;
        installation.clock.advance(Duration::hours(1));
        let at = now(installation);
        let later = (installation.clock.now() + Duration::seconds(1)).to_rfc3339();
        let refused = async |query: &str, variables: Value| {
            let answer = admin.answer(query, variables).await;
            let error = &answer["errors"][0];
            let message = error["message"].as_str().unwrap_or_else(|| panic!("not refused: {answer}")).to_owned();
            (code(&answer).unwrap_or_default().to_owned(), error["extensions"]["inputPath"].clone(), message)
        };
        let then = |selection: &str| format!("query($id: ID!, $at: DateTime) {{ ticket(by: {{ id: $id }}, asOf: $at) {{ {selection} }} }}");
        let of = |at: &str| json!({ "id": ticket["id"], "at": at });

        let (code, path, message) = refused(&then("id"), of(&later)).await;
        assert_eq!((code.as_str(), path), ("VALIDATION", json!(["asOf"])));
        assert!(message.contains("future"), "{message}");
        for field in
            ["comments { totalCount }", "history { totalCount }", "links { id: type }", "tasks { totalCount }", "watchers { id }",
             "approvals { id }", "availableTransitions { key }", "viewerCan(action: UPDATE) { allowed }", "slaClocks { id }",
             "externalRefs { key }", "configurationItems { link }", "childrenSummary { open }", "... on Incident { occurrences }",
             "... on Incident { majorIncident { state } }"]
        {
            let (code, path, message) = refused(&then(&format!("title ... {{ {field} }}")), of(&at)).await;
            assert_eq!((code.as_str(), path), ("VALIDATION", json!(["asOf"])), "{field}");
            let name = field.trim_start_matches("... on Incident { ").split([' ', '(']).next().unwrap_or_default();
            assert!(message.contains(&format!("`{name}`")), "{field}: {message}");
        }
        // Nothing else of the answer is touched by it.
        let both = format!("query($id: ID!) {{ ticket(by: {{ id: $id }}, asOf: \"{at}\") {{ watchers {{ id }} }} now: ticket(by: {{ id: $id }}) {{ title }} }}");
        let answer = admin.answer(&both, json!({ "id": ticket["id"] })).await;
        assert_eq!(answer["data"], json!({ "ticket": null, "now": { "title": "VPN drops" } }));

        for (from, to, at_fault, why) in [
            (&later, None, "from", "future"),
            (&at, Some(&later), "to", "future"),
            (&at, Some(&"2026-01-05T09:30:00Z".to_owned()), "to", "earlier"),
        ] {
            let (code, path, message) = refused(DIFF, json!({ "id": ticket["id"], "from": from, "to": to })).await;
            assert_eq!((code.as_str(), path), ("VALIDATION", json!([at_fault])));
            assert!(message.contains(why), "{message}");
        }
        let (code, path, _) = refused(DIFF, json!({ "id": "nonsense", "from": at })).await;
        assert_eq!((code.as_str(), path), ("VALIDATION", json!(["by", "id"])));
        let stranger = installation.stranger();
        assert_eq!(stranger.refused(DIFF, json!({ "id": ticket["id"], "from": at })).await, "UNAUTHENTICATED");
        assert_eq!(stranger.refused(&then("id"), of(&at)).await, "UNAUTHENTICATED");

        // A log that does not reach back to the beginning says from when on it does.
        let changed = now(installation);
        admin.done("incidentUpdate", json!({ "id": ticket["id"], "title": "VPN drops often" }), "incident { id }").await;
        installation.log_end(&admin).await;
        installation.stop().await;
        installation.tamper(&["DELETE FROM event WHERE kind = 'IncidentCreated'".to_owned()]).await;
        installation.restart().await;
        let admin = installation.client(&company.admin.token);
        for (query, variables, path) in [
            (then("title"), of("2026-01-05T09:30:00Z"), "asOf"),
            (DIFF.to_owned(), json!({ "id": ticket["id"], "from": "2026-01-05T09:30:00Z" }), "from"),
            (DIFF.to_owned(), json!({ "id": ticket["id"], "from": "2026-01-05T08:30:00Z" }), "from"),
        ] {
            let answer = admin.answer(&query, variables).await;
            let error = &answer["errors"][0];
            assert_eq!(error["extensions"]["inputPath"], json!([path]), "{answer}");
            assert!(error["message"].as_str().is_some_and(|message| message.contains(&changed)), "{answer}");
        }
        assert_eq!(admin.ask(&then("title"), of(&changed)).await["ticket"]["title"], "VPN drops often");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_past_is_that_of_the_other_system() {
    each_engine(async |installation, company| {
        import_offline(installation, Path::new(SAMPLE), MAPPING, &[]).await;
        let auditor = installation.client(&company.auditor.token);
        let then = "query($at: DateTime) { ticket(by: { external: { source: \"servicenow\", key: \"INC0000045\" } }, asOf: $at) { \
                    version updatedAt state { category } } }";
        for (at, category, version, updated_at) in [
            ("2016-02-29T08:52:00Z", "NEW", 1, "2016-02-29T01:23:00.000000Z"),
            ("2016-02-29T08:53:00Z", "RESOLVED", 2, "2016-02-29T08:53:00.000000Z"),
            // A row that changed nothing that is known here.
            ("2016-03-01T00:00:00Z", "RESOLVED", 2, "2016-02-29T08:53:00.000000Z"),
            ("2016-03-05T12:00:00Z", "CLOSED", 3, "2016-03-05T12:00:00.000000Z"),
        ] {
            let ticket = auditor.ask(then, json!({ "at": at })).await["ticket"].take();
            let expected = json!({ "version": version, "updatedAt": updated_at, "state": { "category": category } });
            assert_eq!(ticket, expected, "at {at}");
        }
        // It was opened at 01:16; what it was like until 01:23 the other system did not say.
        assert_eq!(auditor.ask(then, json!({ "at": "2016-02-29T01:15:00Z" })).await["ticket"], Value::Null);
        let answer = auditor.answer(then, json!({ "at": "2016-02-29T01:20:00Z" })).await;
        assert_eq!(code(&answer), Some("VALIDATION"));
        let message = answer["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("2016-02-29T01:23:00.000000Z"), "{message}");
    })
    .await;
}
