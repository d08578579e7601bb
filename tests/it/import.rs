//! Histories of another system, imported and found again through the API.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use deskwire::cli::Cli;
use serde_json::{Value, json};
use store::Engine;
use tests::client::Client;
use tests::installation::{Installation, each_engine};

pub(crate) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/servicenow-incident-sample.csv");
pub(crate) const MAPPING: &str = "servicenow-incident-log";

/// Runs `deskwire import csv` against the installation's database.
async fn import(installation: &Installation, file: &Path, mapping: &str, further: &[&str]) -> anyhow::Result<()> {
    let data = installation.config.data.display().to_string();
    let file = file.display().to_string();
    let mut arguments =
        vec!["deskwire", "import", "csv", &file, "--mapping", mapping, "--tenant", "acme", "--data", &data];
    if installation.engine == Engine::Postgres {
        arguments.extend(["--database-url", &installation.config.database_url]);
    }
    arguments.extend(further);
    Cli::parse_from(arguments).run().await
}

/// The lines of a report.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Imports with the server down and answers the report's lines.
pub(crate) async fn import_offline(
    installation: &mut Installation,
    file: &Path,
    mapping: &str,
    further: &[&str],
) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.jsonl");
    installation.stop().await;
    let report_text = report.display().to_string();
    let further = [further, &["--report", &report_text]].concat();
    import(installation, file, mapping, &further).await.unwrap();
    installation.restart().await;
    lines(&report)
}

/// All nodes of a connection, page by page.
pub(crate) async fn pages(client: &Client, field: &str, arguments: &str, selection: &str) -> Vec<Value> {
    let query = format!(
        "query($after: {}) {{ {field}(first: 100, after: $after{arguments}) \
         {{ nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }}",
        "Cursor"
    );
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut page = client.ask(&query, json!({ "after": after })).await;
        let page = page[field].take();
        nodes.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// What is counted on both sides.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    states: BTreeMap<String, u32>,
    transitions: BTreeMap<String, u32>,
    reopened: u32,
    reassigned: u32,
    changed_priority: u32,
    /// Of each step: ticket, when, who.
    steps: Vec<(String, String, String)>,
}

impl Figures {
    /// Counts one ticket's states, in order.
    fn add_states(&mut self, states: &[String]) {
        for state in states {
            *self.states.entry(state.clone()).or_default() += 1;
        }
        for pair in states.windows(2).filter(|pair| pair[0] != pair[1]) {
            *self.transitions.entry(format!("{} -> {}", pair[0], pair[1])).or_default() += 1;
        }
    }
}

/// What the file says, without any code of the importer.
fn figures_of_file(rows: &[BTreeMap<String, String>]) -> Figures {
    let mut cases: BTreeMap<&str, Vec<&BTreeMap<String, String>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["incident_state"] != "-100") {
        cases.entry(&row["number"]).or_default().push(row);
    }
    let mut figures = Figures::default();
    for (number, mut case) in cases {
        case.sort_by_key(|row| row["sys_mod_count"].parse::<u32>().unwrap());
        figures.add_states(&case.iter().map(|row| row["incident_state"].clone()).collect::<Vec<_>>());
        let last = case.last().unwrap();
        figures.reopened += u32::from(last["reopen_count"] != "0");
        figures.reassigned += u32::from(last["reassignment_count"] != "0");
        figures.changed_priority += u32::from(case.iter().any(|row| row["priority"] != case[0]["priority"]));
        for row in case {
            let time = chrono::NaiveDateTime::parse_from_str(&row["sys_updated_at"], "%d/%m/%Y %H:%M").unwrap();
            let time = time.and_utc().format("%Y-%m-%dT%H:%M:%S").to_string();
            figures.steps.push((number.to_owned(), time, row["sys_updated_by"].clone()));
        }
    }
    figures.steps.sort();
    figures
}

/// The file's word for a state.
fn word(state: &str, reason: &str) -> String {
    match (state, reason) {
        ("new", _) => "New",
        ("in_progress", _) => "Active",
        ("resolved", _) => "Resolved",
        ("closed", _) => "Closed",
        ("on_hold", "REQUESTER") => "Awaiting User Info",
        ("on_hold", "VENDOR") => "Awaiting Vendor",
        ("on_hold", "PROBLEM") => "Awaiting Problem",
        ("on_hold", "EVIDENCE") => "Awaiting Evidence",
        other => panic!("{other:?} is not in the file"),
    }
    .to_owned()
}

/// What the events of one ticket told so far.
#[derive(Default)]
struct Story {
    states: Vec<String>,
    priorities: Vec<Value>,
    state: String,
    reason: String,
}

/// The same from the API: what paging all tickets and all events tells.
async fn figures_of_api(client: &Client) -> Figures {
    let mut figures = Figures::default();
    for ticket in pages(client, "tickets", "", "number reopenCount reassignmentCount").await {
        figures.reopened += u32::from(ticket["reopenCount"] != 0);
        figures.reassigned += u32::from(ticket["reassignmentCount"] != 0);
    }
    let selection = "occurredAt actor { name } changes { field after } ... on TicketEvent { ticket { number } }";
    let mut tickets: BTreeMap<String, Story> = BTreeMap::new();
    for event in pages(client, "events", ", filter: { kinds: [TICKET_IMPORTED] }", selection).await {
        let number = event["ticket"]["number"].as_str().unwrap().to_owned();
        let Story { states, priorities, state, reason } = tickets.entry(number.clone()).or_default();
        for change in event["changes"].as_array().unwrap() {
            match change["field"].as_str().unwrap() {
                "state" => *state = change["after"].as_str().unwrap().to_owned(),
                "waitingReason" => *reason = change["after"].as_str().unwrap_or_default().to_owned(),
                "priority" => priorities.push(change["after"].clone()),
                _ => {}
            }
        }
        states.push(word(state, reason));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let time = text(&event["occurredAt"])[..19].to_owned();
        figures.steps.push((number, time, text(&event["actor"]["name"])));
    }
    for story in tickets.values() {
        figures.add_states(&story.states);
        figures.changed_priority += u32::from(story.priorities.len() > 1);
    }
    figures.steps.sort();
    figures
}

/// The rows of a file, by column.
pub(crate) fn rows_of(path: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// A beginning of the sample in the order that it is imported in: so many rows.
fn beginning(folder: &Path, rows: usize) -> PathBuf {
    let mut reader = csv::Reader::from_path(SAMPLE).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name| header.iter().position(|column| column == name).unwrap();
    let (number, count) = (column("number"), column("sys_mod_count"));
    let mut records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    records.sort_by_key(|record| (record[number].to_owned(), record[count].parse::<u32>().unwrap()));
    let part = folder.join("beginning.csv");
    let mut writer = csv::Writer::from_path(&part).unwrap();
    for record in [header].iter().chain(&records[..rows]) {
        writer.write_record(record).unwrap();
    }
    writer.flush().unwrap();
    part
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_another_system_is_found_again_through_the_api() {
    let rows = rows_of(SAMPLE);
    let expected = figures_of_file(&rows);
    assert!(expected.reopened > 0 && expected.reassigned > 0 && expected.changed_priority > 0, "the sample has it all");
    each_engine(async |installation, company| {
        let folder = tempfile::tempdir().unwrap();
        // The half of it first, as if the import had been stopped there.
        import_offline(installation, &beginning(folder.path(), rows.len() / 2), MAPPING, &[]).await;
        let report = import_offline(installation, Path::new(SAMPLE), MAPPING, &[]).await;
        let auditor = installation.client(&company.auditor.token);
        installation.log_end(&auditor).await;
        assert!(figures_of_api(&auditor).await == expected, "all of it is there, and nothing else");

        let unmapped = report[0]["unmapped"].as_array().unwrap();
        assert!(unmapped.contains(&json!("vendor")) && !unmapped.contains(&json!("subcategory")), "{unmapped:?}");
        let aside: Vec<_> = report.iter().filter(|line| line["kind"] == "quarantined").collect();
        assert_eq!(aside.len(), rows.iter().filter(|row| row["incident_state"] == "-100").count());
        for line in &aside {
            assert_eq!((&line["column"], &line["value"]), (&json!("incident_state"), &json!("-100")), "{line}");
            let row = &rows[usize::try_from(line["line"].as_u64().unwrap()).unwrap() - 2];
            assert_eq!(line["key"], row["number"]);
        }

        let admin = installation.client(&company.admin.token);
        let one = "query($key: String!) { ticket(by: { external: { source: \"servicenow\", key: $key } }) { \
            number title category { key parent { key } } requester { name email } openedBy { name } team { slug } \
            assignee { name } impact urgency priority version createdAt updatedAt resolvedAt closedAt reopenCount \
            reassignmentCount state { key } externalRefs { source key } ... on Incident { origin } } }";
        let one = admin.ask(one, json!({ "key": rows[0]["number"] }));
        insta::assert_json_snapshot!("imported_incident", one.await["ticket"]);

        let before = auditor.ask("{ tickets { totalCount } users { totalCount } }", json!({})).await;
        let again = import_offline(installation, Path::new(SAMPLE), MAPPING, &[]).await;
        let summary = again.last().unwrap();
        assert_eq!((&summary["imported"], &summary["users"]), (&json!(0), &json!(0)), "{summary}");
        let auditor = installation.client(&company.auditor.token);
        assert_eq!(auditor.ask("{ tickets { totalCount } users { totalCount } }", json!({})).await, before);
        assert!(figures_of_api(&auditor).await == expected, "a second run changes nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_tells_what_would_be_and_what_is_in_the_way() {
    each_engine(async |installation, company| {
        let dry = import_offline(installation, Path::new(SAMPLE), MAPPING, &["--dry-run"]).await;
        let auditor = installation.client(&company.auditor.token);
        let stored = auditor.ask("{ tickets { totalCount } }", json!({})).await;
        assert_eq!(stored["tickets"]["totalCount"], 0, "a dry run stores nothing");
        let served = import(installation, Path::new(SAMPLE), MAPPING, &[]).await;
        match installation.engine {
            Engine::Postgres => served.unwrap(),
            Engine::Sqlite => {
                let refusal = format!("{:#}", served.unwrap_err());
                assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
                import_offline(installation, Path::new(SAMPLE), MAPPING, &[]).await;
            }
        }
        let auditor = installation.client(&company.auditor.token);
        let stored = auditor.ask("{ tickets { totalCount } }", json!({})).await;
        let summary = dry.last().unwrap();
        assert_eq!(summary["tickets"], stored["tickets"]["totalCount"], "it would have been so many");
        assert_eq!(summary["dryRun"], true);
    })
    .await;
}

/// A file of three columns, and a mapping for it.
const SMALL_MAPPING: &str = r#"
source = "legacy"
key = "id"
order = ["step"]
occurred_at = "at"
[dates]
formats = ["%Y-%m-%d %H:%M"]
time_zone = "Europe/Berlin"
[fields.title]
column = "title"
[fields.state]
column = "state"
[fields.impact]
default = "HIGH"
[fields.urgency]
default = "HIGH"
[fields.priority]
column = "priority"
[fields.requester]
default = "ada@legacy.example"
[fields.team]
column = "team"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_goes_on_where_it_ended_and_only_there() {
    each_engine(async |installation, company| {
        let folder = tempfile::tempdir().unwrap();
        let (mapping, file) = (folder.path().join("small.toml"), folder.path().join("small.csv"));
        fs::write(&mapping, SMALL_MAPPING).unwrap();
        let mapping = mapping.display().to_string();
        let head = "id,step,at,title,state,priority,team\n";
        let rows = [
            "A,1,2024-07-01 10:00,Mail is down,new,P1,\n",
            "A,2,2024-07-01 11:00,Mail is down,in_progress,P1,Mail\n",
            "A,3,2024-07-01 12:00,Mail is slow,in_progress,P3,Network\n",
            "A,10,2024-07-01 13:00,Mail is slow,resolved,P3,Network\n",
        ];
        let selection = "{ ticket(by: { external: { source: \"legacy\", key: \"A\" } }) { id number version title priority \
            reassignmentCount resolvedAt createdAt state { key } team { name } \
            ... on Incident { priorityOverride { reason } } history(first: 10) { nodes { __typename occurredAt version: id } } } }";
        // A gap: the third row comes later.
        fs::write(&file, format!("{head}{}{}{}", rows[1], rows[0], rows[2])).unwrap();
        import_offline(installation, &file, &mapping, &[]).await;
        fs::write(&file, format!("{head}{}", rows.concat())).unwrap();
        import_offline(installation, &file, &mapping, &[]).await;
        let admin = installation.client(&company.admin.token);
        installation.log_end(&admin).await;
        let ticket = admin.ask(selection, json!({})).await["ticket"].take();
        assert_eq!(ticket["version"], 4);
        assert_eq!((&ticket["state"]["key"], &ticket["team"]["name"]), (&json!("resolved"), &json!("Team network")), "the team that is there");
        assert_eq!(ticket["reassignmentCount"], 1, "it follows from the history");
        assert_eq!(ticket["priorityOverride"]["reason"], "as imported", "the matrix says P1");
        assert_eq!(ticket["resolvedAt"], "2024-07-01T11:00:00.000000Z", "in summer Berlin is two hours ahead");
        assert_eq!(ticket["history"]["nodes"].as_array().unwrap().len(), 4);
        let number = ticket["number"].as_str().unwrap();
        assert!(number.starts_with("INC-"), "a number of ours: {number}");

        // Between two rows that were imported, and behind a change that was made here.
        admin.done("incidentUpdate", json!({ "id": ticket["id"], "title": "Mail" }), "incident { id }").await;
        let between = "A,5,2024-07-01 12:30,Mail is slow,on_hold,P3,Network\n";
        let waiting = "A,4,2024-07-01 12:30,Mail is slow,in_progress,P3,Network\n";
        let behind = "A,11,2024-07-08 13:00,Mail is slow,closed,P3,Network\n";
        fs::write(&file, format!("{head}{}{between}{waiting}{behind}\"B\",1\n", rows.concat())).unwrap();
        let report = import_offline(installation, &file, &mapping, &[]).await;
        let aside: Vec<_> = report.iter().filter(|line| line["kind"] == "quarantined").collect();
        let reason = |line: u64| aside.iter().find(|aside| aside["line"] == line).map(|aside| aside["reason"].to_string());
        assert!(reason(6).unwrap().contains("waitingReason"), "{aside:?}");
        assert!(reason(7).unwrap().contains("later row"), "{aside:?}");
        assert!(reason(8).unwrap().contains("changed here"), "{aside:?}");
        assert!(reason(9).unwrap().contains("2 values"), "{aside:?}");
        assert_eq!(report.last().unwrap()["imported"], 0);
    })
    .await;
}
