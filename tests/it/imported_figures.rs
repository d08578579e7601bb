//! Figures of history that was taken over, against what the file itself says: computed from its rows without any code of the product.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

use crate::import::{MAPPING, SAMPLE, import_offline, rows_of};
use crate::imported_clocks::{Rows, cases, time};

const FIGURES: &str = "query($by: [TicketDimension!]!) { ticketStats(groupBy: $by) { groups { keys { value } count resolved \
    reopened reassigned firstContactResolved firstContactResolutionRate timeToAcknowledge { count mean p50 p90 longest } \
    timeToResolve { count mean p50 p90 longest } } } }";

/// Names another file of the same shape to look at instead of the sample, such as the log of a whole year.
const OTHER_FILE: &str = "DESKWIRE_TEST_INCIDENT_LOG";

/// What the file says of some cases.
#[derive(Debug, Default)]
struct Figures {
    cases: u64,
    resolved: u64,
    reopened: u64,
    reassigned: u64,
    first_contact: u64,
    acknowledged_after: Vec<Duration>,
    resolved_after: Vec<Duration>,
}

impl Figures {
    fn add(&mut self, case: &Rows<'_>) {
        let last = case.last().expect("a row");
        let resolved = resolved_at(case);
        let (reopened, reassigned) = (last["reopen_count"] != "0", last["reassignment_count"] != "0");
        let opened = time(case[0], "opened_at");
        self.cases += 1;
        self.resolved += u64::from(resolved.is_some());
        self.reopened += u64::from(reopened);
        self.reassigned += u64::from(reassigned);
        self.first_contact += u64::from(resolved.is_some() && !reopened && !reassigned);
        let taken_up = case.iter().find(|row| row["incident_state"] != "New");
        self.acknowledged_after.extend(taken_up.map(|row| time(row, "sys_updated_at") - opened));
        self.resolved_after.extend(resolved.map(|at| at - opened));
    }
}

fn is_done(state: &str) -> bool {
    ["Resolved", "Closed"].contains(&state)
}

/// When it came to be resolved, for the last time; one that was closed without that never was.
fn resolved_at(case: &Rows<'_>) -> Option<DateTime<Utc>> {
    let (mut at, mut before) = (None, "New");
    for row in case {
        let state = row["incident_state"].as_str();
        match state {
            "Resolved" if before != "Resolved" => at = Some(time(row, "sys_updated_at")),
            state if !is_done(state) => at = None,
            _ => {}
        }
        before = state;
    }
    at
}

fn assert_lengths(told: &Value, mut expected: Vec<Duration>, what: &str) {
    expected.sort();
    assert_eq!(told["count"], expected.len(), "{what}");
    let length =
        |name: &str| told[name].as_str().and_then(kernel::parse_duration).unwrap_or_else(|| panic!("{what}: {told}"));
    let total: i64 = expected.iter().map(Duration::num_seconds).sum();
    let mean = total as f64 / expected.len() as f64;
    assert!(
        (length("mean").num_milliseconds() as f64 / 1_000.0 - mean).abs() < 1.0,
        "{what}: {told}, and not {mean} s"
    );
    // The smallest that so many hundredths are no longer than.
    let nearest = |percent: usize| expected[(expected.len() * percent).div_ceil(100) - 1];
    assert_eq!((length("p50"), length("p90")), (nearest(50), nearest(90)), "{what}");
    assert_eq!(Some(&length("longest")), expected.last(), "{what}");
}

fn assert_figures(group: &Value, expected: Figures, what: &str) {
    let told = ["count", "resolved", "reopened", "reassigned", "firstContactResolved"].map(|name| group[name].as_u64());
    let counted =
        [expected.cases, expected.resolved, expected.reopened, expected.reassigned, expected.first_contact].map(Some);
    assert_eq!(told, counted, "{what}: cases, resolved, reopened, reassigned, at first contact");
    let rate = group["firstContactResolutionRate"].as_f64().expect("a rate");
    assert!((rate - expected.first_contact as f64 / expected.resolved as f64).abs() < 1e-6, "{what}: {rate}");
    assert_lengths(&group["timeToAcknowledge"], expected.acknowledged_after, &format!("{what}: taken up"));
    assert_lengths(&group["timeToResolve"], expected.resolved_after, &format!("{what}: resolved"));
}

async fn groups(client: &Client, by: Value) -> Vec<Value> {
    let mut answer = client.ask(FIGURES, json!({ "by": by })).await;
    answer["ticketStats"]["groups"].as_array_mut().map(std::mem::take).expect("groups")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_an_import_are_those_of_the_file() {
    let file = std::env::var(OTHER_FILE).unwrap_or_else(|_| SAMPLE.to_owned());
    let rows = rows_of(&file);
    let cases = cases(&rows);
    each_engine(async |installation, company| {
        import_offline(installation, Path::new(&file), MAPPING, &[]).await;
        let admin = installation.client(&company.admin.token);
        let mut all = Figures::default();
        let mut by_priority: BTreeMap<String, Figures> = BTreeMap::new();
        for case in cases.values() {
            let priority = case.last().expect("a row")["priority"].chars().next().expect("a priority");
            all.add(case);
            by_priority.entry(format!("P{priority}")).or_default().add(case);
        }
        println!(
            "{} rows of {} cases: {} resolved, {} reopened, {} reassigned",
            rows.len(),
            all.cases,
            all.resolved,
            all.reopened,
            all.reassigned
        );
        assert!(all.reopened > 0 && all.reassigned > 0 && all.first_contact > 0, "{all:?}");
        assert_figures(&groups(&admin, json!([])).await[0], all, "all");
        let told = groups(&admin, json!(["PRIORITY"])).await;
        assert_eq!(told.len(), by_priority.len());
        for group in told {
            let priority = group["keys"][0]["value"].as_str().expect("a priority").to_owned();
            let expected = by_priority.remove(&priority).expect("a priority of the file");
            if expected.resolved > 0 && !expected.acknowledged_after.is_empty() {
                assert_figures(&group, expected, &priority);
            }
        }
    })
    .await;
}
