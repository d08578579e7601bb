//! The real Prometheus Alertmanager as a source of alerts: firing, repeated, joined, resolved, a storm, and either side restarted.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tests::client::Client;
use tokio::process::{Child, Command};

use crate::Run;
use crate::place::{Place, free_address};

/// How long anything may take: Alertmanager waits longer and longer before it sends again what was refused.
const PATIENCE: Duration = Duration::from_secs(120);
/// The storm: so many groups of so many alerts, in a short run and in a long one.
const STORM: (usize, usize) = (20, 100);
const OF_A_GROUP: usize = 50;

/// An Alertmanager of our own, which is killed with its value.
struct Alertmanager {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
    program: PathBuf,
}

impl Alertmanager {
    async fn start(program: &Path, folder: &Path, server: SocketAddr, token: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let config = json!({
            "route": {
                "receiver": "deskwire", "group_by": ["alertname"],
                "group_wait": "100ms", "group_interval": "1s", "repeat_interval": "2s",
            },
            "receivers": [{ "name": "deskwire", "webhook_configs": [{
                "url": format!("http://{server}/intake/alertmanager"), "send_resolved": true,
                "http_config": { "authorization": { "credentials": token } },
            }] }],
        });
        // JSON is YAML.
        fs::write(folder.join("alertmanager.yml"), config.to_string())?;
        let address = free_address()?;
        let child = spawn(program, folder, address)?;
        let started = Self { child, address, folder: folder.to_owned(), program: program.to_owned() };
        started.ready().await?;
        Ok(started)
    }

    async fn ready(&self) -> Result<()> {
        let url = format!("http://{}/-/ready", self.address);
        eventually("Alertmanager did not get ready", async || {
            reqwest::get(&url).await.is_ok_and(|response| response.status().is_success())
        })
        .await
    }

    /// Killed, and started again on what it had stored.
    async fn restart(&mut self) -> Result<()> {
        self.child.kill().await?;
        self.child = spawn(&self.program, &self.folder, self.address)?;
        self.ready().await
    }

    /// Tells it of alerts, as Prometheus does.
    async fn post(&self, alerts: &[Value]) -> Result<()> {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let response = reqwest::Client::new().post(url).json(alerts).send().await?;
        if !response.status().is_success() {
            bail!("Alertmanager answered {}: {}", response.status(), response.text().await?);
        }
        Ok(())
    }
}

fn spawn(program: &Path, folder: &Path, address: SocketAddr) -> Result<Child> {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("alertmanager.log"))?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", folder.join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("{} does not start", program.display()))
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Result<()> {
    let done = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, done).await.map_err(|_| anyhow::anyhow!("{what}"))
}

fn alert(name: &str, instance: &str, over: bool) -> Value {
    let now = Utc::now();
    // Without news of it Alertmanager takes an alert to be over after a while: until then it fires.
    let ends = if over { now } else { now + chrono::Duration::hours(1) };
    let text = |at: chrono::DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "labels": { "alertname": name, "instance": instance, "severity": "critical" },
        "annotations": { "summary": format!("{name} on {instance}") },
        "startsAt": text(now - chrono::Duration::minutes(1)), "endsAt": text(ends),
        "generatorURL": "http://prometheus.example/graph",
    })
}

/// A rule for all alerts: by which label they join one incident.
pub async fn rule(place: &Place, client: &Client, group_by: &str) {
    let says = json!({
        "groupBy": group_by, "resolutionCode": "SOLVED", "flapWindow": "PT1H",
        "requester": { "email": place.company.requester.email }, "team": { "slug": "network" },
        "severities": [{ "severity": "critical", "impact": "HIGH", "urgency": "HIGH" }],
    });
    let input = json!({ "key": "all", "name": "All", "says": says });
    client.done("alertRuleCreate", input, "alertRule { id }").await;
}

/// A program with the role `monitoring`, and a rule by which alerts of one name join one incident.
async fn prepare(place: &Place, client: &Client) -> Result<String> {
    let input = json!({ "name": "Alertmanager", "roles": [{ "role": "monitoring" }] });
    let made = client.done("serviceAccountCreate", input, "serviceAccount { id }").await;
    let input = json!({ "name": "alertmanager", "for": made["serviceAccount"]["id"] });
    let token = client.done("apiTokenCreate", input, "token").await;
    rule(place, client, "{alertname}").await;
    token["token"].as_str().map(str::to_owned).context("a token")
}

const SEEN: &str = "query($key: String!) { incidents(filter: { deduplicationKey: { eq: $key } }) { nodes { id occurrences firingAlerts state { category } } } }";

/// The incidents of a group: there is to be one.
async fn incidents(client: &Client, name: &str) -> Vec<Value> {
    let answer = client.answer(SEEN, json!({ "key": format!("group:all:{name}") })).await;
    let refused = answer["errors"][0]["extensions"]["code"].as_str().filter(|code| *code != "UNAVAILABLE");
    assert!(refused.is_none(), "{answer}");
    answer["data"]["incidents"]["nodes"].as_array().cloned().unwrap_or_default()
}

async fn until(client: &Client, name: &str, what: &str, holds: fn(&Value) -> bool) -> Result<Value> {
    eventually(&format!("{name}: {what} did not come about"), async || {
        incidents(client, name).await.first().is_some_and(holds)
    })
    .await?;
    Ok(incidents(client, name).await.remove(0))
}

/// See the module.
pub async fn alertmanager(run: &Run) -> Result<()> {
    let Some(program) = &run.alertmanager else { bail!("name the program with --alertmanager") };
    let place = run.place(None).await?;
    let address = free_address()?;
    let mut server = place.serve(address).await?;
    let client = place.client(address, &place.company.admin.token);
    let token = prepare(&place, &client).await?;
    let folder = tempfile::tempdir()?;
    let mut alertmanager = Alertmanager::start(program, folder.path(), address, &token).await?;

    alertmanager.post(&[alert("Disk", "db1", false)]).await?;
    let first = until(&client, "Disk", "the incident", |seen| seen["firingAlerts"] == 1).await?;
    until(&client, "Disk", "a repetition", |seen| seen["occurrences"].as_i64() > Some(1)).await?;
    alertmanager.post(&[alert("Disk", "db2", false)]).await?;
    until(&client, "Disk", "a second alert", |seen| seen["firingAlerts"] == 2).await?;

    // What fires while the server is away is told when it is back.
    server.kill().await?;
    run.report.fault("server kill -9");
    alertmanager.post(&[alert("Network", "sw1", false)]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    server = place.serve(address).await?;
    until(&client, "Network", "the incident of the downtime", |seen| seen["firingAlerts"] == 1).await?;

    // An Alertmanager that comes back tells again what it had stored, and is told again by Prometheus.
    alertmanager.restart().await?;
    run.report.fault("Alertmanager kill -9");
    let before = incidents(&client, "Disk").await;
    alertmanager.post(&[alert("Disk", "db1", false), alert("Disk", "db2", false)]).await?;
    let told = before.first().and_then(|seen| seen["occurrences"].as_i64()).unwrap_or_default();
    eventually("nothing was told again", async || {
        incidents(&client, "Disk").await.first().is_some_and(|seen| seen["occurrences"].as_i64() > Some(told))
    })
    .await?;
    alertmanager.post(&[alert("Disk", "db1", true), alert("Disk", "db2", true)]).await?;
    let over = until(&client, "Disk", "the end", |seen| seen["state"]["category"] == "RESOLVED").await?;
    run.report.check(over["id"] == first["id"], || format!("another incident ended: {over}"));
    run.report.check(incidents(&client, "Disk").await.len() == 1, || "more than one incident for one group".to_owned());

    let groups = if run.long { STORM.1 } else { STORM.0 };
    let storm: Vec<Value> = (0..groups)
        .flat_map(|group| (0..OF_A_GROUP).map(move |one| alert(&format!("Storm{group}"), &format!("host{one}"), false)))
        .collect();
    alertmanager.post(&storm).await?;
    let all = groups * OF_A_GROUP;
    eventually("not all alerts of the storm came in", async || {
        let count = "{ alerts(filter: { status: { eq: FIRING }, title: { startsWith: \"Storm\" } }) { totalCount } }";
        client.answer(count, json!({})).await["data"]["alerts"]["totalCount"].as_u64() >= Some(all as u64)
    })
    .await?;
    for group in 0..groups {
        let found = incidents(&client, &format!("Storm{group}")).await;
        let whole = found.len() == 1 && found[0]["firingAlerts"] == OF_A_GROUP;
        run.report.check(whole, || format!("group {group} of the storm: {found:?}"));
    }
    run.report.count("alerts", all + 3);
    server.kill().await?;
    place.delete().await;
    Ok(())
}
