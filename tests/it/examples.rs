//! The example operations that are shipped with the schema, against the demo company.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::Clock;
use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::each_engine;

/// Examples whose variables do not fit the demo as it stands after the examples before them, and what they answer.
const NOT_NOW: &[(&str, &str)] = &[
    ("incident", "null"),
    ("incident-reopen", "TRANSITION_REFUSED"),
    ("incident-update", "CONFLICT"),
    ("problem-reopen", "TRANSITION_REFUSED"),
    ("session-create", "VALIDATION"),
    ("session-revoke", "VALIDATION"),
    ("ticket-as-of", "null"),
    ("ticket-transition", "TRANSITION_REFUSED"),
];

/// Their comment `# Variables: …`, and the document.
fn examples() -> BTreeMap<String, (Value, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schema/operations");
    let mut examples = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "graphql") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let variables = text.lines().find_map(|line| line.strip_prefix("# Variables:")).unwrap_or("{}");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let variables = serde_json::from_str(variables).unwrap_or_else(|error| panic!("{name}: {error}: {variables}"));
        examples.insert(name, (variables, text));
    }
    examples
}

fn field<'a>(data: &'a Value, name: &str) -> Option<&'a Value> {
    data.as_object()?.values().next()?.get(name)
}

async fn stream(client: &Client, name: &str, document: &str, variables: Value) {
    let placeholder = variables.to_string().contains('…');
    let mut socket = client.socket().await;
    socket.subscribe("1", document, variables).await;
    if let Some(tests::socket::Frame::Message(message)) =
        socket.frame_within(std::time::Duration::from_millis(300)).await
    {
        if placeholder {
            return;
        }
        assert_eq!(message["type"], "next", "{name}: {message}");
        assert!(message["payload"].get("errors").is_none(), "{name}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_runs_on_the_demo() {
    each_engine(async |installation, _| {
        installation.clock.advance(Clock::System.now() - installation.clock.now());
        let tokens = deskwire::demo::prepare(installation.platform()).await.expect("the demo is loaded");
        let token = |role: &str| tokens.iter().find(|token| token.role == role).expect("a token of each role");
        let (admin, agent) =
            (installation.client(&token("Administrator").secret), installation.client(&token("Agent").secret));
        let mut refused = Vec::new();
        for (name, (variables, document)) in examples() {
            // Who does it in daily life; both tenants have an `admin`, so the sign-in names its tenant itself or is refused.
            let first = document.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            if first.starts_with("subscription") {
                stream(&agent, &name, &document, variables).await;
                continue;
            }
            let answer = admin.answer(&document, variables.clone()).await;
            let placeholder = variables.to_string().contains('…');
            if answer.get("errors").is_some() {
                let code = tests::client::code(&answer).unwrap_or_default();
                if !(placeholder && ["VALIDATION", "UNAUTHENTICATED", "NOT_FOUND"].contains(&code)) {
                    refused.push(format!("{name}: {answer}"));
                }
                continue;
            }
            let data = &answer["data"];
            if let Some(errors) =
                field(data, "userErrors").and_then(Value::as_array).filter(|errors| !errors.is_empty())
            {
                if !placeholder {
                    refused.push(format!("{name}: {}", json!(errors)));
                }
            } else {
                let found = data.as_object().is_some_and(|data| data.values().all(|value| !value.is_null()));
                if !found && !placeholder {
                    refused.push(format!("{name}: {data}"));
                }
            }
        }
        let expected = |line: &String| {
            NOT_NOW.iter().any(|(name, why)| line.starts_with(&format!("{name}: ")) && line.contains(why))
        };
        refused.retain(|line| !expected(line));
        assert!(refused.is_empty(), "refused: {refused:#?}");
    })
    .await;
}
