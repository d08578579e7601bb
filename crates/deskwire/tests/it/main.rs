//! The commands as an administrator runs them: the real binary, on both engines, beside a running server.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use migrations::testing::TestDatabase;
use store::{ConnectionTrait, Engine, Location};

const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];
const PASSWORD: &str = "correct horse battery";

/// Where a command finds its data: an empty folder, or a migrated PostgreSQL database.
struct Place {
    folder: tempfile::TempDir,
    database: Option<(TestDatabase, String)>,
}

impl Place {
    async fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let database = TestDatabase::create(engine).await;
                let Location::Postgres { url } = database.config().location else { unreachable!("it is PostgreSQL") };
                Some((database, url))
            }
        };
        Self { folder, database }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskwire"));
        command.args(arguments).arg("--data").arg(self.folder.path());
        if let Some((_, url)) = &self.database {
            command.args(["--database-url", url]);
        }
        command.env_remove("DESKWIRE_CONFIG").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn create_user(&self, email: &str, role: &str, password: &str) -> Output {
        let arguments = [
            "user",
            "create",
            "--tenant",
            "acme",
            "--email",
            email,
            "--name",
            "Ada",
            "--role",
            role,
            "--password-stdin",
        ];
        let mut child = self
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        child.wait_with_output().unwrap()
    }

    async fn delete(self) {
        if let Some((database, _)) = self.database {
            database.delete().await;
        }
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: Output, word: &str) {
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(word), "`{word}` is not in: {text}");
}

/// A server of the binary; ended when dropped.
struct Serving {
    child: Child,
    url: String,
    printed: String,
}

impl Serving {
    /// Starts it and reads what it prints up to `until`.
    fn start(place: &Place, arguments: &[&str], until: &str) -> Self {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut child = place.command(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut printed = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !printed.contains(until) {
            let line = lines.next().expect("the server says where it listens before it ends").unwrap();
            printed.push_str(&line);
            printed.push('\n');
        }
        let line = printed.lines().find(|line| line.contains("/graphql ")).unwrap();
        let url = line.split_whitespace().nth(1).unwrap().to_owned();
        Self { child, url, printed }
    }

    async fn ask(&self, token: Option<&str>, query: &str) -> serde_json::Value {
        objects::install_tls();
        let mut request = reqwest::Client::new().post(&self.url).json(&serde_json::json!({ "query": query }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_made_beside_the_running_server() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let server = Serving::start(&place, &[], "--role administrator");
        assert!(server.printed.contains("deskwire user create"), "{}", server.printed);

        refused(place.create_user("ada@acme.example", "administrator", "short"), "at least 8");
        refused(place.create_user("ada@acme.example", "king", PASSWORD), "role");
        succeeded(place.create_user("ada@acme.example", "administrator", PASSWORD));
        refused(place.create_user("ada@acme.example", "administrator", PASSWORD), "email");

        let sign_in = format!(
            "mutation {{ sessionCreate(input: {{ email: \"ada@acme.example\", password: \"{PASSWORD}\" }}) {{ accessToken }} }}"
        );
        let answer = server.ask(None, &sign_in).await;
        let token = answer["data"]["sessionCreate"]["accessToken"].as_str().unwrap().to_owned();
        let answer = server.ask(Some(&token), "{ viewer { tenant { slug } actor { name } } }").await;
        assert_eq!(answer["data"]["viewer"]["tenant"]["slug"], "acme");
        place.delete().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_command_line_works_at_once_and_within_its_scopes() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        succeeded(place.create_user("ada@acme.example", "administrator", PASSWORD));
        let server = Serving::start(&place, &[], "/schema.graphql");
        let arguments = ["token", "create", "--user", "ada@acme.example", "--json", "--expires", "P1D"];
        let made: serde_json::Value = serde_json::from_str(&succeeded(place.run(&arguments))).unwrap();
        let token = made["token"].as_str().unwrap();
        assert!(token.starts_with("dw_pat_") && made["expiresAt"].is_string(), "{made}");
        let create = "mutation { incidentCreate(input: { title: \"x\" }) { incident { number } userErrors { code } } }";
        let answer = server.ask(Some(token), create).await;
        assert_eq!(answer["data"]["incidentCreate"]["incident"]["number"], "INC-1001", "{answer}");

        let narrow = ["token", "create", "--user", "ada@acme.example", "--scope", "ticket.read"];
        let token = succeeded(place.run(&narrow));
        let answer = server.ask(Some(token.trim()), create).await;
        assert_eq!(answer["data"]["incidentCreate"]["userErrors"][0]["code"], "FORBIDDEN", "{answer}");

        refused(place.run(&["token", "create", "--user", "nobody@acme.example"]), "no user");
        let wrong = ["token", "create", "--user", "ada@acme.example", "--expires", "a month"];
        refused(place.run(&wrong), "ISO 8601");
        place.delete().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_file_is_refused_to_others_with_the_process_that_holds_it() {
    let place = Place::new(Engine::Sqlite).await;
    let server = Serving::start(&place, &[], "/schema.graphql");
    let holder = format!("process {}", server.child.id());
    refused(place.run(&["serve", "--listen", "127.0.0.1:0"]), &holder);
    refused(place.run(&["migrate"]), &holder);
    let told = succeeded(place.run(&["doctor"]));
    assert!(told.contains("ok       files          the store takes them"), "{told}");
    drop(server);
    succeeded(place.run(&["migrate"]));
    place.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_is_migrated_by_its_administrator_alone() {
    let place = Place::new(Engine::Postgres).await;
    let (database, url) = place.database.as_ref().unwrap();
    let empty = TestDatabase::empty(Engine::Postgres).await;
    let Location::Postgres { url: empty_url } = empty.config().location else { unreachable!("it is PostgreSQL") };
    assert!(matches!(database, TestDatabase::Postgres { .. }) && *url != empty_url);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskwire"));
        command.args(arguments).args(["--database-url", &empty_url]).stdin(Stdio::null()).output().unwrap()
    };
    refused(run(&["serve", "--listen", "127.0.0.1:0"]), "deskwire migrate");
    refused(run(&["doctor"]), "deskwire migrate");
    assert!(succeeded(run(&["migrate"])).contains("m0001_platform"));
    assert!(succeeded(run(&["migrate"])).contains("up to date"));
    succeeded(run(&["doctor"]));
    empty.delete().await;
    place.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_loaded_once_with_forty_incidents_in_every_state() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        for _ in 0..2 {
            let server = Serving::start(&place, &["--demo"], "Auditor (");
            let mut lines = server.printed.lines().skip_while(|line| !line.contains("Auditor ("));
            let printed = server.printed.lines().find(|line| line.contains("Authorization: Bearer"));
            assert!(lines.next().is_some());
            let administrator = printed.unwrap().split_whitespace().last().unwrap().to_owned();
            let query =
                "{ incidents(first: 100) { totalCount nodes { state { key } comments(first: 1) { totalCount } } } }";
            let answer = server.ask(Some(&administrator), query).await;
            assert_eq!(answer["data"]["incidents"]["totalCount"], 40, "{answer}");
            let nodes = answer["data"]["incidents"]["nodes"].as_array().unwrap();
            for state in ["new", "assigned", "in_progress", "on_hold", "resolved", "closed", "canceled"] {
                assert!(nodes.iter().any(|node| node["state"]["key"] == state), "none is {state}");
            }
        }
        place.delete().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_changed_by_hand_is_found() {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let server = Serving::start(&place, &["--demo"], "Auditor (");
        let verify = |further: &[&str]| place.run(&[&["sla", "verify", "--json"], further].concat());
        let told = |output: &Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        let sound = verify(&[]);
        assert!(sound.status.success(), "{}", said(&sound));
        let line = told(&sound);
        assert!(line["clocks"].as_u64() > Some(10) && line["tickets"].as_u64() > Some(10), "{line}");
        assert_eq!((&line["differing"], &line["differences"]), (&0.into(), &serde_json::json!([])), "{line}");
        drop(server);

        let mut config = deskwire::config::Config { data: place.folder.path().to_owned(), ..Default::default() };
        if let Some((_, url)) = &place.database {
            config.database_url.clone_from(url);
        }
        let store = migrations::open_beside(config.store().unwrap(), kernel::Clock::System).await.unwrap();
        let ctx = store.system_ctx(kernel::Uuid::nil(), "by hand");
        let one = "(SELECT id FROM sla_clock ORDER BY id LIMIT 1)";
        let sql = format!("UPDATE sla_clock SET elapsed = elapsed + 1000000 WHERE id IN {one}");
        let changed = store.write(&ctx, "test", move |tx| {
            let sql = sql.clone();
            Box::pin(async move { Ok(tx.execute_unprepared(&sql).await.expect("a clock").rows_affected()) })
        });
        assert_eq!(changed.await.unwrap().fresh(), Some(1));
        store.close().await;

        let found = verify(&["--tenant", line["tenant"].as_str().unwrap()]);
        assert_eq!(found.status.code(), Some(1), "{}", said(&found));
        let line = told(&found);
        assert_eq!((&line["differing"], line["clocks"].as_u64() > Some(10)), (&1.into(), true), "{line}");
        let ticket = line["differences"][0]["ticket"].as_str().unwrap();
        let text = place.run(&["sla", "verify"]);
        assert!(said(&text).contains(&format!("{ticket}, ")) && said(&text).contains("computed:"), "{}", said(&text));
        refused(text, "one clock is not what the log says");
        refused(verify(&["--tenant", "nobody"]), "no tenant `nobody`");
        place.delete().await;
    }
}

#[test]
fn a_mistyped_key_is_refused_with_a_suggestion() {
    let run = |file: &Path, variable: Option<(&str, &str)>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskwire"));
        command.arg("doctor").arg("--config").arg(file);
        if let Some((name, text)) = variable {
            command.env(name, text);
        }
        command.output().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deskwire.toml");
    std::fs::write(&file, "lisen = '127.0.0.1:1'\n").unwrap();
    refused(run(&file, None), "did you mean `listen`");
    std::fs::write(&file, "").unwrap();
    refused(run(&file, Some(("DESKWIRE_LIMITS_CST", "1"))), "did you mean `DESKWIRE_LIMITS_COST`");
}

#[test]
fn the_schema_that_is_printed_is_the_one_in_the_repository() {
    let output = Command::new(env!("CARGO_BIN_EXE_deskwire")).arg("schema").output().unwrap();
    let kept = include_str!("../../../../schema/schema.graphql");
    assert!(succeeded(output) == kept, "run `cargo xtask schema`");
}
