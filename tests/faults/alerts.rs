//! A storm of alerts on few incidents, told by many at once to a server that is killed in it: each alert is counted once, and when
//! all are over nothing is left open.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream::iter;
use futures_util::{StreamExt, TryStreamExt};
use rand::RngExt;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use tests::client::Client;

use crate::Run;
use crate::alertmanager::rule;
use crate::audit::all;
use crate::place::{Place, free_address};
use crate::replicas::until_done;

/// How many alerts are told, in a short run and in a long one.
const ALERTS: (usize, usize) = (2_000, 100_000);
/// How often each is.
const TIMES: usize = 10;
/// How many of them, once each, belong to one incident.
const GROUP: usize = 100;
/// How many a call tells.
const CALL: usize = 100;
/// How many calls at once.
const WRITERS: usize = 16;
/// How long after the beginning the server is killed.
const KILLED_AFTER: Duration = Duration::from_secs(1);

/// For how long all calls may take together, in a short run and in a long one: calls that wait for each other never end.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(1_800));

const INCIDENTS: &str = "query($after: Cursor) { incidents(first: 50, after: $after) { pageInfo { hasNextPage endCursor } \
    nodes { number occurrences firingAlerts state { category } } } }";

fn alert(number: usize, status: &str) -> Value {
    json!({
        "key": format!("probe-{number}"), "status": status, "title": format!("probe {number} fails"), "severity": "critical",
        "labels": [{ "name": "host", "value": format!("host-{}", number / GROUP) }],
    })
}

/// Tells these alerts, each once, and answers how many were refused.
async fn tell(run: &Run, client: &Client, numbers: &[usize], status: &str) -> Result<usize> {
    let patience = if run.long { PATIENCE.1 } else { PATIENCE.0 };
    let calls = iter(numbers.chunks(CALL)).map(|numbers| async move {
        let alerts: Vec<Value> = numbers.iter().map(|number| alert(*number, status)).collect();
        let told = until_done(client, "alertIngest", &json!({ "alerts": alerts })).await?;
        let results = told["results"].as_array().context("results")?;
        Ok::<_, anyhow::Error>(results.iter().filter(|result| result["outcome"] == "REFUSED").count())
    });
    let refused = calls.buffer_unordered(WRITERS).try_fold(0, async |sum, refused| Ok(sum + refused));
    tokio::time::timeout(patience, refused).await.context("the calls do not end")?
}

async fn incidents(place: &Place, address: SocketAddr) -> Vec<Value> {
    all(&place.client(address, &place.company.admin.token), INCIDENTS, "incidents").await
}

/// See the module.
pub async fn alerts(run: &Run) -> Result<()> {
    let place = run.place(None).await?;
    let mut rng = run.rng();
    let address = free_address()?;
    let process = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    rule(&place, &client, "{host}").await;
    let before = incidents(&place, address).await.len();
    let count = if run.long { ALERTS.1 } else { ALERTS.0 };
    let (distinct, groups) = (count / TIMES, count / TIMES / GROUP);
    let mut numbers: Vec<usize> = (0..count).map(|number| number % distinct).collect();
    numbers.shuffle(&mut rng);
    let killing = async {
        let mut process = process;
        for _ in 0..run.rounds(1, 4) {
            tokio::time::sleep(KILLED_AFTER + Duration::from_millis(rng.random_range(0..1_000))).await;
            process.kill().await?;
            run.report.fault("kill -9");
            process = place.serve(address).await?;
        }
        Ok::<_, anyhow::Error>(process)
    };
    let (refused, killed) = tokio::join!(tell(run, &client, &numbers, "FIRING"), killing);
    let process = killed?;
    run.report.check(refused? == 0, || "alerts were refused".to_owned());
    let opened: Vec<Value> =
        incidents(&place, address).await.into_iter().filter(|row| row["occurrences"].is_u64()).collect();
    let sum = |field: &str| opened.iter().map(|row| row[field].as_u64().unwrap_or_default()).sum::<u64>() as usize;
    run.report.count("alerts", sum("occurrences"));
    run.report.check(sum("occurrences") == count, || format!("{} of {count} alerts were counted", sum("occurrences")));
    run.report.check(sum("firingAlerts") == distinct, || format!("{} of {distinct} fire", sum("firingAlerts")));
    run.report.check(opened.len() == groups, || format!("{} incidents for {groups} hosts", opened.len()));
    for row in &opened {
        run.report.check(row["firingAlerts"] == GROUP, || format!("not {GROUP} alerts: {row}"));
    }
    let mut once: Vec<usize> = (0..distinct).collect();
    once.shuffle(&mut rng);
    let refused = tell(run, &client, &once, "RESOLVED").await?;
    run.report.check(refused == 0, || "ends of alerts were refused".to_owned());
    let after = incidents(&place, address).await;
    run.report
        .check(after.len() == before + groups, || format!("{} incidents instead of {}", after.len(), before + groups));
    for row in after.iter().filter(|row| row["occurrences"].is_u64()) {
        let over = row["firingAlerts"] == 0 && row["state"]["category"] == "RESOLVED";
        run.report.check(over, || format!("all is over, and it is not resolved: {row}"));
    }
    process.kill().await?;
    place.delete().await;
    Ok(())
}
