//! Figures: counted as they are listed, in groups and intervals, and never more than the viewer could list.

use chrono::Duration;
use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

use crate::company_life::{assign, incident_with, resolve};

const STATS: &str = "query($filter: TicketFilter, $by: [TicketDimension!]!, $interval: StatsInterval, $zone: TimeZone, $since: TimePoint) { \
    ticketStats(filter: $filter, groupBy: $by, interval: $interval, timeZone: $zone, since: $since) { total truncated groups { \
    count filter keys { dimension value from to team { slug } user { name } category { key } } \
    timeToResolve { count mean p50 p90 p95 longest } } } }";

async fn stats(client: &Client, variables: Value) -> Value {
    client.ask(STATS, variables).await["ticketStats"].take()
}

/// The count of each group by the value of its first key.
fn counts(stats: &Value) -> Vec<(Option<String>, i64)> {
    let groups = stats["groups"].as_array().expect("groups").iter();
    groups
        .map(|group| {
            let key = &group["keys"][0];
            let shown = key["team"]["slug"].as_str().or(key["value"].as_str()).or(key["from"].as_str());
            (shown.map(str::to_owned), group["count"].as_i64().expect("a count"))
        })
        .collect()
}

fn some(value: &str, count: i64) -> (Option<String>, i64) {
    (Some(value.to_owned()), count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_what_a_list_under_the_same_filter_counts() {
    each_engine(async |installation, company| {
        let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
        let requester = json!({ "email": company.requester.email });
        let mut opened = Vec::new();
        for (number, team) in ["network", "network", "workplace", "network"].into_iter().enumerate() {
            let urgency = if number == 0 { "HIGH" } else { "LOW" };
            let input = json!({ "title": "x", "team": { "slug": team }, "requester": requester, "urgency": urgency });
            opened.push(incident_with(&lead, input).await);
        }
        opened.push(incident_with(&lead, json!({ "title": "nobody's", "requester": requester })).await);
        assign(&lead, &opened[0], "network", Some(&company.agent.email)).await;

        let by_team = stats(&lead, json!({ "by": ["TEAM"] })).await;
        assert_eq!(counts(&by_team), [some("network", 3), some("workplace", 1), (None, 1)]);
        assert_eq!((&by_team["total"], &by_team["truncated"]), (&json!(5), &json!(false)));
        let both = stats(&lead, json!({ "by": ["TEAM", "URGENCY"], "filter": { "team": { "isNull": false } } })).await;
        assert_eq!(both["groups"].as_array().map(Vec::len), Some(3), "{both}");
        let count = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
        for found in [&by_team, &both] {
            for group in found["groups"].as_array().unwrap() {
                let listed = lead.ask(count, json!({ "filter": group["filter"] })).await;
                assert_eq!(listed["tickets"]["totalCount"], group["count"], "{group}");
            }
        }
        let by_assignee = stats(&lead, json!({ "by": ["ASSIGNEE"] })).await;
        assert_eq!(by_assignee["groups"][1]["keys"][0]["user"]["name"], "Agent");

        // Others see their own.
        assert_eq!(counts(&stats(&agent, json!({ "by": ["TEAM"] })).await), [some("network", 3)]);
        let stranger = installation.client(&company.sam.token);
        assert_eq!(
            stats(&stranger, json!({ "by": ["TEAM"] })).await["groups"],
            json!([]),
            "of no ticket there is no group"
        );
        assert_eq!(stats(&stranger, json!({ "by": [] })).await["groups"][0]["count"], 0);
        assert_eq!(stats(&lead, json!({ "by": [] })).await["groups"][0]["count"], 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intervals_are_those_of_a_zone_and_durations_those_that_occurred() {
    each_engine(async |installation, company| {
        let lead = installation.client(&company.lead.token);
        let open = json!({ "title": "x", "team": { "slug": "network" }, "requester": { "email": company.requester.email } });
        let start = installation.clock.now();
        // To eleven at night in UTC, which is the next day in Vienna.
        let night = start.date_naive().and_hms_opt(23, 0, 0).unwrap().and_utc() + Duration::days(1);
        installation.clock.advance(night - start);
        let mut tickets = Vec::new();
        for _ in 0..10 {
            tickets.push(incident_with(&lead, open.clone()).await);
        }
        for (number, ticket) in tickets.iter().enumerate().take(9) {
            installation.clock.advance(Duration::hours(if number == 8 { 24 } else { 1 }));
            resolve(&lead, ticket).await;
        }
        let all = stats(&lead, json!({ "by": [] })).await;
        let expected = json!({ "count": 9, "mean": "PT7H33M20S", "p50": "PT5H", "p90": "PT32H", "p95": "PT32H", "longest": "PT32H" });
        assert_eq!(all["groups"][0]["timeToResolve"], expected, "1 to 8 hours and 32");
        let in_zone = async |zone: &str| {
            let days = stats(&lead, json!({ "by": ["CREATED_AT"], "interval": "DAY", "zone": zone })).await;
            let group = &days["groups"][0];
            let listed = "query($filter: TicketFilter) { tickets(filter: $filter) { totalCount } }";
            let found = lead.ask(listed, json!({ "filter": group["filter"] })).await;
            assert_eq!((&group["count"], &found["tickets"]["totalCount"]), (&json!(10), &json!(10)));
            group["keys"][0]["from"].as_str().unwrap().to_owned()
        };
        assert_eq!(in_zone("UTC").await, (night - Duration::hours(23)).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
        let in_vienna = chrono::DateTime::parse_from_rfc3339(&in_zone("Europe/Vienna").await).unwrap().to_utc();
        assert!(in_vienna > night - Duration::hours(2) && in_vienna <= night, "{in_vienna}");
        let by_day = stats(&lead, json!({ "by": ["RESOLVED_AT"], "interval": "DAY", "since": "-P7D" })).await;
        assert_eq!(counts(&by_day).iter().map(|(_, count)| count).sum::<i64>(), 9);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_bounded_and_take_one_statement() {
    each_engine(async |installation, company| {
        let lead = installation.client(&company.lead.token);
        for (variables, path) in [
            (json!({ "by": ["TEAM", "STATE", "KIND", "PRIORITY"] }), "at most 3"),
            (json!({ "by": ["TEAM", "TEAM"] }), "once"),
            (json!({ "by": ["CREATED_AT", "CLOSED_AT"] }), "one instant"),
            (json!({ "by": ["CREATED_AT"], "interval": "HOUR", "since": "-P30D" }), "more than 100"),
            (json!({ "by": ["CREATED_AT"], "zone": "Mars/Olympus" }), "no time zone"),
            (json!({ "by": ["CREATED_AT"], "since": "P1D" }), "after"),
        ] {
            let answer = lead.answer(STATS, variables.clone()).await;
            assert!(answer["errors"][0]["message"].as_str().unwrap_or_default().contains(path), "{variables}: {answer}");
        }
        let short = "{ ticketStats(groupBy: [STATE_CATEGORY, PRIORITY, CREATED_AT]) { groups { count keys { value } timeToResolve { p90 } } } }";
        let before = installation.store().statement_count();
        lead.ask(short, json!({})).await;
        assert_eq!(installation.store().statement_count() - before, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_tickets_were_taken_up_handed_on_and_resolved() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (admin, requester) = (client(&company.admin), client(&company.requester));
        let later = |minutes| installation.clock.advance(Duration::minutes(minutes));
        let open = async |team: Option<&str>| {
            let mut input = json!({ "title": "x", "requester": { "email": company.requester.email } });
            if let Some(team) = team {
                input["team"] = json!({ "slug": team });
            }
            incident_with(&admin, input).await
        };
        // Taken up at once and resolved; taken up after ten minutes, handed on and resolved; resolved and reopened; never taken up;
        // given up.
        let (first, second, third) = (open(Some("network")).await, open(None).await, open(Some("network")).await);
        let (_, given_up) = (open(None).await, open(None).await);
        later(10);
        assign(&admin, &second, "network", None).await;
        assign(&admin, &second, "workplace", None).await;
        later(20);
        for ticket in [&first, &second, &third] {
            resolve(&admin, ticket).await;
        }
        admin.done("incidentReopen", json!({ "id": third["id"] }), "incident { id }").await;
        resolve(&admin, &third).await;
        admin.done("ticketTransition", json!({ "id": given_up["id"], "transition": "cancel" }), "ticket { id }").await;

        let query = "{ ticketStats(groupBy: []) { groups { count resolved reopened reassigned firstContactResolved \
            firstContactResolutionRate timeToAcknowledge { count mean p50 longest } timeToResolve { count mean } } } }";
        let seen = admin.ask(query, json!({})).await["ticketStats"]["groups"][0].take();
        assert_eq!(
            seen,
            json!({
                "count": 5, "resolved": 3, "reopened": 1, "reassigned": 1, "firstContactResolved": 1,
                "firstContactResolutionRate": 1.0 / 3.0,
                "timeToAcknowledge": { "count": 3, "mean": "PT3M20S", "p50": "PT0S", "longest": "PT10M" },
                "timeToResolve": { "count": 3, "mean": "PT30M" },
            })
        );
        let theirs = requester.ask(query, json!({})).await["ticketStats"]["groups"][0].take();
        assert_eq!(
            (&theirs["resolved"], &theirs["reopened"], &theirs["reassigned"], &theirs["firstContactResolved"]),
            (&json!(3), &json!(1), &Value::Null, &Value::Null),
            "what they may not read is not counted for them"
        );
        let alone = "{ ticketStats(groupBy: [TEAM]) { groups { count timeToAcknowledge { count } } } }";
        let groups = admin.ask(alone, json!({})).await["ticketStats"]["groups"].take();
        assert_eq!(
            groups,
            json!([
                { "count": 2, "timeToAcknowledge": { "count": 2 } },
                { "count": 2, "timeToAcknowledge": null },
                { "count": 1, "timeToAcknowledge": { "count": 1 } },
            ])
        );
        let untaken = "{ tickets(filter: { acknowledgedAt: { isNull: true } }) { totalCount } }";
        assert_eq!(admin.ask(untaken, json!({})).await["tickets"]["totalCount"], 2);
    })
    .await;
}
