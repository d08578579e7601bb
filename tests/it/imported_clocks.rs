//! Clocks of history that was taken over: against the file itself, against the log, against a simulation, and against what the
//! other system's people were told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use serde_json::{Value, json};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine_with};

use crate::import::{MAPPING, SAMPLE, import_offline, pages, rows_of};
use crate::service_levels::{always, result_of};

pub(crate) type Rows<'a> = Vec<&'a BTreeMap<String, String>>;

/// What the company whose log the sample is from must have promised: `docs/service-levels-on-real-data.md`.
async fn promise(admin: &Client) {
    let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"];
    let week: Vec<Value> = days.iter().map(|day| json!({ "day": day, "from": "14:00", "to": "23:00" })).collect();
    let office = json!({ "key": "office", "name": "Office", "timeZone": "UTC", "week": week });
    for calendar in [always("always"), office] {
        admin.done("calendarCreate", calendar, "calendar { id }").await;
    }
    let targets = json!([
        { "priorities": ["P1"], "target": "PT8H", "calendar": { "key": "always" } },
        { "priorities": ["P2"], "target": "PT8H" },
        { "priorities": ["P3"], "target": "PT62H" },
        { "target": "PT134H" },
    ]);
    let worked = json!([{ "metric": "RESOLUTION", "targets": [{ "target": "PT62H" }], "pauses": { "waitingReasons": ["REQUESTER"] } }]);
    for (key, calendar, metrics) in [
        (
            "promised",
            "office",
            json!([{ "metric": "RESOLUTION", "targets": targets, "escalations": [{ "at": { "percent": 75 } }] }]),
        ),
        ("worked", "always", worked),
    ] {
        let policy = json!({ "key": key, "name": key, "calendar": { "key": calendar }, "metrics": metrics });
        admin.done("slaPolicyCreate", policy, "slaPolicy { id }").await;
    }
}

pub(crate) fn cases(rows: &[BTreeMap<String, String>]) -> BTreeMap<&str, Rows<'_>> {
    let mut cases: BTreeMap<&str, Rows<'_>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["incident_state"] != "-100") {
        cases.entry(&row["number"]).or_default().push(row);
    }
    cases.values_mut().for_each(|case| case.sort_by_key(|row| row["sys_mod_count"].parse::<u32>().expect("a number")));
    cases
}

pub(crate) fn time(row: &BTreeMap<String, String>, column: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(&row[column], "%d/%m/%Y %H:%M").expect("a time").and_utc()
}

/// Whether each row was written after the one before it. Where a file's times run backwards, nobody can tell how long was worked.
fn is_in_order(case: &Rows<'_>) -> bool {
    case.windows(2).all(|pair| time(pair[0], "sys_updated_at") <= time(pair[1], "sys_updated_at"))
}

/// How long a ticket was worked on: open, and not waiting for its caller.
fn worked_on(case: &Rows<'_>) -> Duration {
    let counts = |row: &BTreeMap<String, String>| {
        !["Resolved", "Closed", "Awaiting User Info"].contains(&row["incident_state"].as_str())
    };
    // It was opened before its first row was written.
    let opened = time(case[0], "opened_at").min(time(case[0], "sys_updated_at"));
    let mut worked = time(case[0], "sys_updated_at") - opened;
    for pair in case.windows(2).filter(|pair| counts(pair[0])) {
        worked += time(pair[1], "sys_updated_at") - time(pair[0], "sys_updated_at");
    }
    worked
}

/// All clocks of a policy: ticket, when the ticket was opened, clock.
async fn clocks_of(client: &Client, policy: &str) -> Vec<(String, Value, Value)> {
    let selection = "number createdAt slaClocks { policy { key } state startedAt elapsed segments { priority } }";
    let mut clocks = Vec::new();
    for ticket in pages(client, "tickets", "", selection).await {
        for clock in
            ticket["slaClocks"].as_array().expect("clocks").iter().filter(|clock| clock["policy"]["key"] == policy)
        {
            clocks.push((
                ticket["number"].as_str().expect("a number").to_owned(),
                ticket["createdAt"].clone(),
                clock.clone(),
            ));
        }
    }
    clocks
}

/// What became of clocks, by priority at their end: in time, over time.
fn figures_of(clocks: &[(String, Value, Value)]) -> BTreeMap<String, (i64, i64)> {
    let mut figures: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (number, _, clock) in clocks {
        let last = clock["segments"].as_array().and_then(|segments| segments.last()).expect("a segment");
        let figure = figures.entry(last["priority"].as_str().expect("a priority").to_owned()).or_default();
        match clock["state"].as_str() {
            Some("MET") => figure.0 += 1,
            Some("BREACHED") => figure.1 += 1,
            other => panic!("{number} is {other:?}"),
        }
    }
    figures
}

async fn simulated(admin: &Client, policy: &str) -> BTreeMap<String, (i64, i64)> {
    let input = json!({ "baseline": { "key": policy }, "from": "2016-01-01T00:00:00Z", "to": "2018-01-01T00:00:00Z" });
    let started = admin.done("slaSimulate", input, "operation { id }").await;
    let result = result_of(admin, &started["operation"]).await;
    assert_eq!((&result["breachesGained"], &result["breachesLost"]), (&json!(0), &json!(0)), "it is the same policy");
    let figure = |figure: &Value| {
        assert_eq!((&figure["open"], &figure["canceled"]), (&json!(0), &json!(0)), "{figure}");
        let count = |name: &str| figure[name].as_i64().expect("a number");
        (figure["priority"].as_str().expect("a priority").to_owned(), (count("met"), count("breached")))
    };
    result["figures"].as_array().expect("figures").iter().map(figure).collect()
}

async fn verified(installation: &Installation, company: &Company) -> u64 {
    let platform = installation.platform();
    let ctx = platform.access.system_ctx(company.tenant, "verify");
    let verified = platform.levels.verify(&ctx, |_| ()).await.expect("clocks can be computed");
    assert_eq!(verified.differences, [], "what is stored is what the log says");
    verified.clocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_of_an_import_are_those_of_the_file_and_of_a_simulation() {
    let rows = rows_of(SAMPLE);
    let cases = cases(&rows);
    each_engine_with(
        |config| config.jobs = true,
        async |installation, company| {
            promise(&installation.client(&company.admin.token)).await;
            import_offline(installation, Path::new(SAMPLE), MAPPING, &[]).await;
            let admin = installation.client(&company.admin.token);
            let worked = clocks_of(&admin, "worked").await;
            assert_eq!(worked.len(), cases.len(), "each ticket has one: reopening goes on with it");
            for (number, opened, clock) in &worked {
                assert_eq!(&clock["startedAt"], opened, "{number}");
                let case = &cases[number.as_str()];
                if is_in_order(case) {
                    let elapsed = clock["elapsed"].as_str().and_then(kernel::parse_duration);
                    assert_eq!(elapsed, Some(worked_on(case)), "{number}: {clock:#}");
                }
            }
            let in_order = cases.values().filter(|case| is_in_order(case)).count();
            assert_eq!(in_order + 1, cases.len(), "the times of one run backwards");
            assert_eq!(verified(installation, &company).await, 2 * cases.len() as u64);
            for policy in ["promised", "worked"] {
                let stored = figures_of(&clocks_of(&admin, policy).await);
                assert!(
                    stored.values().any(|figure| figure.0 > 0) && stored.values().any(|figure| figure.1 > 0),
                    "{stored:?}"
                );
                assert_eq!(simulated(&admin, policy).await, stored, "{policy}");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_system_told_of_its_promise_comes_out_again() {
    let rows = rows_of(SAMPLE);
    let cases = cases(&rows);
    each_engine_with(
        |_| {},
        async |installation, company| {
            promise(&installation.client(&company.admin.token)).await;
            // That company counted until a ticket was closed, not until it was resolved.
            let shipped = include_str!("../../crates/deskwire/mappings/servicenow-incident-log.toml");
            let mapping = shipped.replace("\"Resolved\" = \"resolved\"", "\"Resolved\" = \"in_progress\"");
            assert_ne!(mapping, shipped);
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("until-closed.toml");
            fs::write(&file, mapping).expect("a file");
            import_offline(installation, Path::new(SAMPLE), &file.display().to_string(), &[]).await;
            let admin = installation.client(&company.admin.token);
            let clocks = clocks_of(&admin, "promised").await;
            assert_eq!(clocks.len(), cases.len());
            for (number, _, clock) in &clocks {
                let last = cases[number.as_str()].last().expect("a row");
                let told = if last["made_sla"] == "true" { "MET" } else { "BREACHED" };
                assert_eq!(clock["state"], told, "{number}: {clock:#}");
            }
            verified(installation, &company).await;
        },
    )
    .await;
}
