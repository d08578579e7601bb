//! Recurring incidents: counted as one would by hand.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine};

use crate::company_life::{incident_with, resolve};

const RECURRENCE: &str = "query($by: IncidentRecurrenceBy!, $days: Int, $filter: TicketFilter, $since: TimePoint, $first: Int) { \
    incidentRecurrence(by: $by, withinDays: $days, filter: $filter, since: $since, first: $first) { incidents recurring rate truncated \
    groups { service { key } configurationItem { name } incidents recurring rate filter recurringFilter } } }";

async fn recurrence(client: &Client, variables: Value) -> Value {
    client.ask(RECURRENCE, variables).await["incidentRecurrence"].take()
}

/// Two services and two configuration items, and incidents over weeks, of which some are resolved.
async fn history(installation: &Installation, company: &Company, admin: &Client) {
    for key in ["mail", "shop"] {
        let input =
            json!({ "key": key, "name": key, "owner": { "email": company.lead.email }, "team": { "slug": "network" } });
        admin.done("serviceCreate", input, "service { id }").await;
    }
    let mut items = Vec::new();
    for name in ["one", "two"] {
        let made = admin
            .done("configurationItemCreate", json!({ "name": name, "class": "SERVER" }), "configurationItem { id }")
            .await;
        items.push(json!({ "id": made["configurationItem"]["id"] }));
    }
    // What is drawn is the same each time.
    let mut state = 42_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut open = Vec::new();
    for _ in 0..40 {
        let mut input = json!({ "title": "x", "team": { "slug": if draw(2) == 0 { "network" } else { "workplace" } },
            "requester": { "email": company.requester.email } });
        if draw(5) > 0 {
            input["service"] = json!({ "key": if draw(2) == 0 { "mail" } else { "shop" } });
        }
        if draw(5) > 0 {
            input["category"] = json!(if draw(2) == 0 { "vpn" } else { "printer" });
        }
        let affected: Vec<&Value> = items.iter().filter(|_| draw(2) == 0).collect();
        input["configurationItems"] = json!(affected);
        open.push(incident_with(admin, input).await);
        installation.clock.advance(Duration::hours(i64::try_from(draw(60)).expect("few hours")));
        if draw(3) > 0 {
            let ended = open.swap_remove(usize::try_from(draw(open.len() as u64)).expect("a place"));
            match draw(6) {
                0 => {
                    let input = json!({ "id": ended["id"], "transition": "cancel" });
                    admin.done("ticketTransition", input, "ticket { id }").await;
                }
                _ => resolve(admin, &ended).await,
            }
        }
        installation.clock.advance(Duration::hours(i64::try_from(draw(60)).expect("few hours")));
    }
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str().map(|text| DateTime::parse_from_rfc3339(text).expect("an instant").to_utc())
}

/// What a viewer's own list comes to, counted plainly: by name incidents, and those that are recurring.
async fn by_hand(client: &Client, by: &str, days: i64) -> BTreeMap<String, (i64, i64)> {
    let query = "{ incidents(first: 100) { nodes { number createdAt resolvedAt state { category } category { key } service { key } \
        configurationItems { configurationItem { name } } } } }";
    let listed = client.ask(query, json!({})).await["incidents"]["nodes"].take();
    let all = listed.as_array().expect("incidents");
    let commons = |incident: &Value| -> Vec<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match by {
            "SERVICE" => text(&incident["service"]["key"]).into_iter().collect(),
            _ => {
                let items = incident["configurationItems"].as_array().expect("items").iter();
                items.filter_map(|item| text(&item["configurationItem"]["name"])).collect()
            }
        }
    };
    let mut found: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for incident in all.iter().filter(|incident| incident["state"]["category"] != "CANCELED") {
        let opened = instant(&incident["createdAt"]).expect("it was opened");
        for common in commons(incident) {
            let came_back = all.iter().any(|other| {
                let soon = instant(&other["resolvedAt"])
                    .is_some_and(|resolved| resolved < opened && opened - resolved <= Duration::days(days));
                let alike = !other["category"].is_null() && other["category"] == incident["category"];
                soon && alike && other["number"] != incident["number"] && commons(other).contains(&common)
            });
            let figures = found.entry(common).or_default();
            *figures = (figures.0 + 1, figures.1 + i64::from(came_back));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recurring_incidents_are_counted_as_one_would_by_hand() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, agent) = (client(&company.admin), client(&company.agent));
        history(installation, &company, &admin).await;
        let mut came_back = 0;
        // An agent sees the incidents of their team alone: theirs come back after what they see.
        for viewer in [&admin, &agent] {
            for by in ["SERVICE", "CONFIGURATION_ITEM"] {
                for days in [1, 7, 30] {
                    let answer = recurrence(viewer, json!({ "by": by, "days": days, "since": "-P300D" })).await;
                    let mut found = BTreeMap::new();
                    for group in answer["groups"].as_array().expect("groups") {
                        let name = group["service"]["key"].as_str().or(group["configurationItem"]["name"].as_str());
                        let number = |field: &str| group[field].as_i64().expect("a number");
                        found.insert(name.expect("a name").to_owned(), (number("incidents"), number("recurring")));
                        let count = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
                        let listed = viewer.ask(count, json!({ "filter": group["filter"] })).await;
                        assert_eq!(listed["tickets"]["totalCount"], group["incidents"], "{group}");
                        if group["recurring"] != 0 {
                            let listed = viewer.ask(count, json!({ "filter": group["recurringFilter"] })).await;
                            assert_eq!(listed["tickets"]["totalCount"], group["recurring"], "{group}");
                        }
                    }
                    let expected = by_hand(viewer, by, days).await;
                    assert_eq!(found, expected, "{by} within {days} days");
                    let sum = |part: fn(&(i64, i64)) -> i64| expected.values().map(part).sum::<i64>();
                    let (incidents, recurring) = (sum(|figures| figures.0), sum(|figures| figures.1));
                    assert_eq!((&answer["incidents"], &answer["recurring"]), (&json!(incidents), &json!(recurring)));
                    assert_eq!(answer["rate"], json!(recurring as f64 / incidents as f64));
                    came_back += recurring;
                }
            }
        }
        assert!(came_back > 20, "the history is of use: {came_back}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_for_recurring_incidents_are_bounded() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, stranger) = (client(&company.admin), client(&company.sam));
        for (variables, part) in [
            (json!({ "by": "SERVICE", "days": 0 }), "withinDays"),
            (json!({ "by": "SERVICE", "days": 366 }), "withinDays"),
            (json!({ "by": "SERVICE", "since": "P1D" }), "not before"),
            (json!({ "by": "SERVICE", "since": "-P400D" }), "366 days"),
            (json!({ "by": "SERVICE", "first": 101 }), "`first`"),
            (json!({ "by": "SERVICE", "first": -1 }), "`first`"),
        ] {
            let answer = admin.answer(RECURRENCE, variables.clone()).await;
            assert!(
                answer["errors"][0]["message"].as_str().unwrap_or_default().contains(part),
                "{variables}: {answer}"
            );
        }
        history(installation, &company, &admin).await;
        let one = recurrence(&admin, json!({ "by": "SERVICE", "first": 1, "since": "-P300D" })).await;
        assert_eq!((one["groups"].as_array().map(Vec::len), &one["truncated"]), (Some(1), &json!(true)));
        let nothing = json!({ "groups": [], "incidents": 0, "recurring": 0, "rate": null, "truncated": false });
        assert_eq!(recurrence(&stranger, json!({ "by": "SERVICE" })).await, nothing);
        let short = "{ incidentRecurrence(by: SERVICE) { incidents recurring groups { incidents recurring rate } } }";
        let before = installation.store().statement_count();
        admin.ask(short, json!({})).await;
        assert_eq!(installation.store().statement_count() - before, 1);
        let long = "{ incidentRecurrence(by: CONFIGURATION_ITEM) { groups { recurring filter recurringFilter } } }";
        let before = installation.store().statement_count();
        admin.ask(long, json!({})).await;
        assert_eq!(installation.store().statement_count() - before, 2);
    })
    .await;
}
