//! Files on tickets: announced, sent, attached, fetched, scanned, taken away.

use gateway::door::Milliseconds;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tests::client::Client;
use tests::company::Company;
use tests::installation::{Installation, each_engine, each_engine_with};
use ticket::attachment::upload::MAX_OPEN_UPLOADS;
use ticket::attachment::{MAX_ATTACHMENTS, MAX_FILES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::company_life::incident_with;

const UPLOAD: &str = "upload { id fileName mediaType bytes sha256 state url urlExpiresAt expiresAt }";
const ATTACHMENTS: &str = "attachments { id fileName mediaType bytes sha256 visibility scan scannedAt finding downloadUrl \
    attachedBy { name } comment { body } } events { __typename }";
const ON_TICKET: &str = "query($id: ID!) { ticket(by: { id: $id }) { \
    attachments { id fileName visibility scan downloadUrl } comments { nodes { body attachments { fileName } } } } }";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on";

fn announced(name: &str, media_type: &str, bytes: &[u8]) -> Value {
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "fileName": name, "mediaType": media_type, "bytes": bytes.len(), "sha256": sha256 })
}

async fn upload_create(client: &Client, name: &str, media_type: &str, bytes: &[u8]) -> Value {
    client.done("uploadCreate", announced(name, media_type, bytes), UPLOAD).await["upload"].take()
}

/// Sends bytes by a link, without credentials.
async fn put(client: &Client, link: &Value, bytes: &[u8]) -> Response {
    let url = client.url(link.as_str().expect("a link"));
    client.http.put(url).body(bytes.to_vec()).send().await.expect("an answer")
}

pub async fn get(client: &Client, link: &Value) -> Response {
    client.http.get(client.url(link.as_str().expect("a link"))).send().await.expect("an answer")
}

/// What a link answers: its status and its bytes.
pub async fn fetched(client: &Client, link: &Value) -> (StatusCode, Vec<u8>) {
    let response = get(client, link).await;
    (response.status(), response.bytes().await.expect("bytes").to_vec())
}

/// The code and the message of a refusal.
pub async fn refusal(response: Response) -> (StatusCode, String, String) {
    let status = response.status();
    let mut body: Value = response.json().await.expect("a JSON body");
    let mut text = |name: &str| body["error"][name].take().as_str().expect("a text").to_owned();
    (status, text("code"), text("message"))
}

/// An upload whose bytes have arrived.
pub async fn uploaded(client: &Client, name: &str, media_type: &str, bytes: &[u8]) -> Value {
    let upload = upload_create(client, name, media_type, bytes).await;
    assert_eq!(put(client, &upload["url"], bytes).await.status(), StatusCode::NO_CONTENT);
    upload["id"].clone()
}

async fn opened(agent: &Client, company: &Company) -> Value {
    let requester = json!({ "email": company.requester.email });
    incident_with(agent, json!({ "title": "Mail", "team": { "slug": "network" }, "requester": requester })).await
}

/// How many files lie in the installation's folder.
pub fn files_in(installation: &Installation) -> usize {
    fn below(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.map(|path| if path.is_dir() { below(&path) } else { 1 }).sum()
    }
    below(&installation.config.files.folder)
}

/// Uploads whose bytes have arrived, one after the other: in this order they are listed.
async fn uploaded_in_turn(installation: &Installation, client: &Client, files: &[(&str, &[u8])]) -> Vec<Value> {
    let mut uploads = Vec::new();
    for (name, bytes) in files {
        uploads.push(uploaded(client, name, "text/plain", bytes).await);
        installation.clock.advance(chrono::Duration::seconds(1));
    }
    uploads
}

/// Lets what expired be collected.
pub async fn sweep(installation: &Installation) {
    let platform = installation.platform();
    platform.tickets.sweep_uploads(&platform.files.objects).await.expect("it is swept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_announced_sent_attached_fetched_and_taken_away() {
    each_engine(async |installation, company| {
        let client = |person: &tests::company::Person| installation.client(&person.token);
        let (agent, lead, requester) = (client(&company.agent), client(&company.lead), client(&company.requester));
        let ticket = opened(&agent, &company).await;

        let mut announce = announced("Größe 1.PNG", "Image/PNG; q=1", PNG);
        announce["dryRun"] = json!(true);
        agent.done("uploadCreate", announce.clone(), UPLOAD).await;
        announce["dryRun"] = json!(false);
        announce["idempotencyKey"] = json!("file-1");
        let upload = agent.done("uploadCreate", announce.clone(), UPLOAD).await["upload"].take();
        assert_eq!((&upload["mediaType"], &upload["state"]), (&json!("image/png"), &json!("EXPECTED")));
        let again = agent.done("uploadCreate", announce, UPLOAD).await["upload"].take();
        assert_eq!(again, upload, "the same call answers the same, the link included");
        let node = "query($id: ID!) { node(id: $id) { ... on Upload { state } } }";
        let state = async |client: &Client| client.ask(node, json!({ "id": upload["id"] })).await["node"].take();
        assert_eq!(state(&requester).await, Value::Null, "an upload is there for whoever announced it");

        // What has not arrived is not attached.
        let add = json!({ "id": ticket["number"], "uploads": [upload["id"]] });
        let early = agent.user_error("attachmentAdd", add.clone()).await;
        assert_eq!((&early["code"], &early["path"]), (&json!("VALIDATION"), &json!(["uploads", "0"])));
        let sent = put(&agent, &upload["url"], PNG).await;
        assert_eq!(sent.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            put(&agent, &upload["url"], PNG).await.status(),
            StatusCode::NO_CONTENT,
            "the same again is no error"
        );
        assert_eq!(state(&agent).await["state"], "COMPLETE");
        assert_eq!(files_in(installation), 1);

        let mut dry = add.clone();
        dry["dryRun"] = json!(true);
        agent.done("attachmentAdd", dry, ATTACHMENTS).await;
        let mut once = add.clone();
        once["idempotencyKey"] = json!("attach-1");
        let done = agent.done("attachmentAdd", once.clone(), ATTACHMENTS).await;
        assert_eq!(done["events"], json!([{ "__typename": "AttachmentAdded" }]));
        let attachment = &done["attachments"][0];
        assert_eq!(
            (&attachment["fileName"], &attachment["bytes"], &attachment["scan"], &attachment["visibility"]),
            (&json!("Größe 1.PNG"), &json!(PNG.len()), &json!("CLEAN"), &json!("PUBLIC"))
        );
        assert_eq!(attachment["attachedBy"]["name"], company.agent.name);
        let replayed = agent.done("attachmentAdd", once, ATTACHMENTS).await;
        assert_eq!(replayed["attachments"], done["attachments"]);
        let gone = agent.user_error("attachmentAdd", add).await;
        assert_eq!(gone["code"], "NOT_FOUND", "what is attached is no upload any more");

        let fetched = get(&requester, &attachment["downloadUrl"]).await;
        let header = |name: &str| fetched.headers()[name].to_str().expect("a text").to_owned();
        assert_eq!(fetched.status(), StatusCode::OK);
        assert_eq!(header("content-type"), "image/png");
        let disposition = "attachment; filename=\"Gr__e 1.PNG\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.PNG";
        assert_eq!(header("content-disposition"), disposition);
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("content-security-policy"), "sandbox; default-src 'none'");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("content-length"), PNG.len().to_string());
        assert_eq!(fetched.bytes().await.expect("bytes"), PNG);

        // What is internal is not there for the requester, in no way.
        installation.clock.advance(chrono::Duration::seconds(1));
        let secret = uploaded(&agent, "secret.txt", "text/plain", b"internal").await;
        let internal = json!({ "id": ticket["id"], "uploads": [secret], "visibility": "INTERNAL" });
        let internal = agent.done("attachmentAdd", internal, ATTACHMENTS).await["attachments"][0].take();
        let names = async |client: &Client| {
            let seen = client.ask(ON_TICKET, json!({ "id": ticket["id"] })).await;
            let rows = seen["ticket"]["attachments"].as_array().expect("a list").clone();
            rows.iter().map(|row| row["fileName"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&agent).await, ["Größe 1.PNG", "secret.txt"]);
        assert_eq!(names(&requester).await, ["Größe 1.PNG"]);
        let node = "query($id: ID!) { node(id: $id) { id } }";
        assert_eq!(requester.ask(node, json!({ "id": internal["id"] })).await["node"], Value::Null);
        let hidden = requester.user_error("attachmentRemove", json!({ "id": internal["id"] })).await;
        assert_eq!(hidden["code"], "NOT_FOUND");

        // A link is short-lived; the next one is asked for.
        installation.clock.advance(chrono::Duration::minutes(5));
        assert_eq!(get(&requester, &attachment["downloadUrl"]).await.status(), StatusCode::NOT_FOUND);
        let seen = requester.ask(ON_TICKET, json!({ "id": ticket["id"] })).await["ticket"]["attachments"].take();
        assert_eq!(get(&requester, &seen[0]["downloadUrl"]).await.status(), StatusCode::OK);

        // Others' files are taken away by those who may.
        let remove = json!({ "id": attachment["id"] });
        let refused = requester.user_error("attachmentRemove", remove.clone()).await;
        assert_eq!(refused["permission"], "attachment.remove");
        let link = &seen[0]["downloadUrl"];
        let mut once = remove;
        once["idempotencyKey"] = json!("remove-1");
        let removal =
            "ticket { attachments { fileName } } events { __typename ... on AttachmentRemoved { attachmentId } }";
        let done = lead.done("attachmentRemove", once.clone(), removal).await;
        assert_eq!(done["events"], json!([{ "__typename": "AttachmentRemoved", "attachmentId": attachment["id"] }]));
        assert_eq!(done["ticket"]["attachments"], json!([{ "fileName": "secret.txt" }]));
        assert_eq!(lead.done("attachmentRemove", once, removal).await, done);
        assert_eq!(get(&agent, link).await.status(), StatusCode::NOT_FOUND, "the link is of no use any more");
        assert_eq!(files_in(installation), 2);
        installation.clock.advance(chrono::Duration::minutes(61));
        sweep(installation).await;
        assert_eq!(files_in(installation), 1, "its bytes are deleted, and no others");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_what_was_announced_is_refused() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let upload = upload_create(&agent, "notes.txt", "text/plain", b"twelve bytes").await;
        let link = &upload["url"];
        for (sent, said) in [
            (&b"twelve"[..], "has 6 bytes; 12 were announced"),
            (b"rather more than twelve", "more bytes than the 12"),
            (b"Twelve bytes", "SHA-256"),
            (b"", "has 0 bytes"),
        ] {
            let (status, code, message) = refusal(put(&agent, link, sent).await).await;
            assert_eq!((status, code.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION"), "{message}");
            assert!(message.contains(said), "{message}");
        }
        let image = upload_create(&agent, "image.png", "image/png", b"this is no image").await;
        let (_, code, message) = refusal(put(&agent, &image["url"], b"this is no image").await).await;
        assert_eq!(code, "VALIDATION");
        assert!(message.contains("announced as image/png"), "{message}");
        let program = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 60]].concat();
        let program_upload = upload_create(&agent, "notes.bin", "application/octet-stream", &program).await;
        let (_, _, message) = refusal(put(&agent, &program_upload["url"], &program).await).await;
        assert!(message.contains("program"), "{message}");
        let with = async |name: &str, value: &str| {
            let request = agent.http.put(agent.url(link.as_str().expect("a link"))).header(name, value);
            refusal(request.body("twelve bytes").send().await.expect("an answer")).await
        };
        let (_, code, message) = with("content-type", "text/html").await;
        assert_eq!(code, "VALIDATION");
        assert!(message.contains("announced as text/plain"), "{message}");
        assert_eq!(with("content-encoding", "gzip").await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(files_in(installation), 0, "nothing of it is kept");
        assert_eq!(put(&agent, link, b"twelve bytes").await.status(), StatusCode::NO_CONTENT, "and nothing is lost");

        // A file much larger than announced: whoever sends it to its end reads why.
        let (status, _, message) = refusal(put(&agent, &image["url"], &vec![b'x'; 5 << 20]).await).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{message}");

        // Links hold for one file, one way, and for a time.
        let text = link.as_str().expect("a link");
        let bent = format!("{}{}", &text[..text.len() - 1], if text.ends_with('A') { 'B' } else { 'A' });
        assert_eq!(put(&agent, &json!(bent), b"twelve bytes").await.status(), StatusCode::NOT_FOUND);
        let to_fetch = text.replace("/uploads/", "/files/");
        assert_eq!(get(&agent, &json!(to_fetch)).await.status(), StatusCode::NOT_FOUND);
        installation.clock.advance(chrono::Duration::minutes(61));
        let (status, _, message) = refusal(put(&agent, link, b"twelve bytes").await).await;
        assert_eq!((status, message.contains("ask the API")), (StatusCode::NOT_FOUND, true), "{message}");

        // What nobody attaches is collected.
        assert_eq!(files_in(installation), 1);
        installation.clock.advance(chrono::Duration::hours(24));
        let ticket = opened(&agent, &company).await;
        let late = agent.user_error("attachmentAdd", json!({ "id": ticket["id"], "uploads": [upload["id"]] })).await;
        assert_eq!(late["code"], "NOT_FOUND", "it expired");
        installation.clock.advance(chrono::Duration::hours(1));
        sweep(installation).await;
        assert_eq!(files_in(installation), 0);
        let node = "query($id: ID!) { node(id: $id) { id } }";
        assert_eq!(agent.ask(node, json!({ "id": upload["id"] })).await["node"], Value::Null);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_with_comments_and_go_with_them() {
    each_engine(async |installation, company| {
        let (agent, requester) =
            (installation.client(&company.agent.token), installation.client(&company.requester.token));
        let ticket = opened(&agent, &company).await;
        let files = uploaded_in_turn(installation, &requester, &[("a.txt", b"a"), ("b.txt", b"b")]).await;
        let theirs = json!({ "id": ticket["id"], "body": "mine", "attachments": files });
        let refused = agent.user_error("commentAdd", theirs.clone()).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("NOT_FOUND"), &json!(["attachments", "0"])));
        let mut twice = theirs.clone();
        twice["attachments"] = json!([files[0], files[0]]);
        assert_eq!(requester.user_error("commentAdd", twice).await["path"], json!(["attachments", "1"]));

        let said = "comment { id attachments { id fileName comment { body } } } events { __typename }";
        let done = requester.done("commentAdd", theirs, said).await;
        let kinds: Vec<_> =
            done["events"].as_array().expect("events").iter().map(|event| &event["__typename"]).collect();
        assert_eq!(kinds, ["CommentAdded", "AttachmentAdded", "AttachmentAdded"]);
        let attached = &done["comment"]["attachments"];
        assert_eq!((&attached[0]["fileName"], &attached[1]["fileName"]), (&json!("a.txt"), &json!("b.txt")));
        assert_eq!(attached[0]["comment"]["body"], "mine");

        let secret = uploaded(&agent, "c.txt", "text/plain", b"c").await;
        let internal =
            json!({ "id": ticket["id"], "body": "among us", "visibility": "INTERNAL", "attachments": [secret] });
        agent.done("commentAdd", internal, said).await;
        let seen = requester.ask(ON_TICKET, json!({ "id": ticket["id"] })).await;
        assert_eq!(seen["ticket"]["attachments"].as_array().map(Vec::len), Some(2), "{seen}");

        let redact = json!({ "id": done["comment"]["id"] });
        let gone =
            requester.done("commentRedact", redact, "comment { attachments { id } } events { __typename }").await;
        assert_eq!(gone["comment"]["attachments"], json!([]));
        assert_eq!(gone["events"].as_array().map(Vec::len), Some(3), "{gone}");
        installation.clock.advance(chrono::Duration::minutes(61));
        sweep(installation).await;
        assert_eq!(files_in(installation), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanner_decides_who_fetches_what() {
    each_engine_with(
        |config| config.files.scan = true,
        async |installation, company| {
            let client = |person: &tests::company::Person| installation.client(&person.token);
            let (admin, agent, requester) = (client(&company.admin), client(&company.agent), client(&company.requester));
            let account = json!({ "name": "Scanner", "roles": [{ "role": "scanner" }] });
            let account = admin.done("serviceAccountCreate", account, "serviceAccount { id }").await;
            let token = json!({ "name": "scan", "for": account["serviceAccount"]["id"] });
            let token = admin.done("apiTokenCreate", token, "token").await["token"].take();
            let scanner = installation.client(token.as_str().expect("a token"));

            let ticket = opened(&agent, &company).await;
            let files: &[(&str, &[u8])] = &[("good.txt", b"good"), ("bad.txt", b"bad")];
            let uploads = uploaded_in_turn(installation, &agent, files).await;
            let add = json!({ "id": ticket["id"], "uploads": uploads });
            let attached = agent.done("attachmentAdd", add, ATTACHMENTS).await["attachments"].take();
            for attachment in attached.as_array().expect("a list") {
                assert_eq!((&attachment["scan"], &attachment["downloadUrl"]), (&json!("PENDING"), &Value::Null));
            }

            let waiting = "{ attachmentsToScan(first: 10) { totalCount nodes { id fileName downloadUrl ticket { id } } } }";
            assert_eq!(agent.refused(waiting, json!({})).await, "FORBIDDEN");
            let queue = scanner.ask(waiting, json!({})).await["attachmentsToScan"].take();
            assert_eq!((&queue["totalCount"], &queue["nodes"][0]["ticket"]), (&json!(2), &Value::Null));
            let nodes = queue["nodes"].as_array().expect("a list");
            let bad = nodes.iter().find(|node| node["fileName"] == "bad.txt").expect("it waits");
            let link = bad["downloadUrl"].clone();
            assert_eq!(get(&scanner, &link).await.bytes().await.expect("bytes"), b"bad".as_slice());
            let clean = json!({ "id": attached[0]["id"], "verdict": "CLEAN" });
            assert_eq!(agent.user_error("attachmentReportScan", clean.clone()).await["permission"], "attachment.scan");
            let report = "attachment { scan scannedAt finding downloadUrl } events { __typename }";
            let done = scanner.done("attachmentReportScan", clean.clone(), report).await;
            assert_eq!(done["attachment"]["scan"], "CLEAN");
            assert_eq!(scanner.user_error("attachmentReportScan", clean).await["code"], "VALIDATION", "once is enough");
            let bad = json!({ "id": attached[1]["id"], "verdict": "REJECTED", "finding": "EICAR-Test", "idempotencyKey": "bad" });
            let done = scanner.done("attachmentReportScan", bad.clone(), report).await;
            assert_eq!((&done["attachment"]["finding"], &done["attachment"]["downloadUrl"]), (&json!("EICAR-Test"), &Value::Null));
            assert_eq!(scanner.done("attachmentReportScan", bad, report).await["attachment"], done["attachment"]);
            assert_eq!(scanner.ask(waiting, json!({})).await["attachmentsToScan"]["totalCount"], 0);

            assert_eq!(get(&scanner, &link).await.status(), StatusCode::NOT_FOUND, "nobody fetches it any more");
            let seen = requester.ask(ON_TICKET, json!({ "id": ticket["id"] })).await["ticket"]["attachments"].take();
            assert_eq!((&seen[0]["scan"], &seen[1]["scan"]), (&json!("CLEAN"), &json!("REJECTED")));
            assert_eq!(get(&requester, &seen[0]["downloadUrl"]).await.bytes().await.expect("bytes"), b"good".as_slice());
            assert_eq!(seen[1]["downloadUrl"], Value::Null);
            installation.clock.advance(chrono::Duration::minutes(61));
            sweep(installation).await;
            assert_eq!(files_in(installation), 1, "what was rejected is deleted");
            let remove = json!({ "id": seen[1]["id"] });
            agent.done("attachmentRemove", remove, "ticket { id }").await;

            // What a scanner tells is told to those who see the ticket.
            let history = "query($id: ID!) { ticket(by: { id: $id }) { history(last: 3) { nodes { __typename actor { name } ... on AttachmentScanned { attachment { scan } } } } } }";
            installation.log_end(&agent).await;
            let last = agent.ask(history, json!({ "id": ticket["id"] })).await["ticket"]["history"]["nodes"].take();
            let expected = json!({ "__typename": "AttachmentScanned", "actor": { "name": "Scanner" }, "attachment": { "scan": "CLEAN" } });
            assert_eq!((&last[0], &last[1]["attachment"]), (&expected, &Value::Null));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_have_limits() {
    each_engine_with(
        |config| {
            config.files.max_bytes = 100;
            config.files.media_types = vec!["text/*".into()];
        },
        async |installation, company| {
            let agent = installation.client(&company.agent.token);
            let large = agent.user_error("uploadCreate", announced("a.txt", "text/plain", &[b'x'; 101])).await;
            assert_eq!(
                (&large["code"], &large["path"], &large["limit"]),
                (&json!("LIMIT"), &json!(["bytes"]), &json!(100))
            );
            let other = agent.user_error("uploadCreate", announced("a.png", "image/png", PNG)).await;
            assert_eq!((&other["code"], &other["path"]), (&json!("VALIDATION"), &json!(["mediaType"])));
            assert!(other["message"].as_str().expect("a text").contains("text/*"), "{other}");

            let ticket = opened(&agent, &company).await;
            let too_many = vec![json!("upl_01jcz80000000000000000000"); MAX_FILES + 1];
            let refused = agent.user_error("attachmentAdd", json!({ "id": ticket["id"], "uploads": too_many })).await;
            assert_eq!(
                (&refused["path"], refused["code"].as_str()),
                (&json!(["uploads", "0"]), Some("VALIDATION")),
                "{refused}"
            );
            let none = agent.user_error("attachmentAdd", json!({ "id": ticket["id"], "uploads": [] })).await;
            assert_eq!(none["path"], json!(["uploads"]));

            for _ in 0..MAX_ATTACHMENTS / MAX_FILES {
                let mut uploads = Vec::new();
                for number in 0..MAX_FILES {
                    uploads.push(uploaded(&agent, &format!("{number}.txt"), "text/plain", b"x").await);
                }
                if uploads.len() == MAX_FILES {
                    let one_more = uploaded(&agent, "x.txt", "text/plain", b"x").await;
                    let eleven: Vec<_> = uploads.iter().chain([&one_more]).collect();
                    let refused =
                        agent.user_error("attachmentAdd", json!({ "id": ticket["id"], "uploads": eleven })).await;
                    assert_eq!((&refused["code"], &refused["limit"]), (&json!("LIMIT"), &json!(MAX_FILES)));
                }
                agent.done("attachmentAdd", json!({ "id": ticket["id"], "uploads": uploads }), "ticket { id }").await;
            }
            let more = uploaded(&agent, "more.txt", "text/plain", b"x").await;
            let refused = agent.user_error("attachmentAdd", json!({ "id": ticket["id"], "uploads": [more] })).await;
            assert_eq!((&refused["code"], &refused["limit"]), (&json!("LIMIT"), &json!(MAX_ATTACHMENTS)));

            // The ones left over from above count too.
            let mut open = MAX_ATTACHMENTS / MAX_FILES + 1;
            while (open as u64) < MAX_OPEN_UPLOADS {
                upload_create(&agent, "x.txt", "text/plain", b"x").await;
                open += 1;
            }
            let refused = agent.user_error("uploadCreate", announced("x.txt", "text/plain", b"x")).await;
            assert_eq!((&refused["code"], &refused["limit"]), (&json!("LIMIT"), &json!(MAX_OPEN_UPLOADS)));
        },
    )
    .await;
}

/// Sends some of a body and then keeps the connection open; the answer's status line and body.
async fn sent_in_part(agent: &Client, link: &str, pause: Option<std::time::Duration>) -> String {
    let mut stream = TcpStream::connect(agent.address).await.expect("a connection");
    let head =
        format!("PUT {link} HTTP/1.1\r\nhost: {}\r\ncontent-length: 12\r\nconnection: close\r\n\r\n", agent.address);
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    let (mut reading, mut writing) = stream.split();
    let send = async {
        for byte in b"twelve" {
            let _ = writing.write_all(&[*byte]).await;
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        }
        std::future::pending::<()>().await
    };
    let mut answer = String::new();
    tokio::select! {
        () = send => {}
        read = reading.read_to_string(&mut answer) => drop(read.expect("an answer")),
    }
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_does_not_arrive_is_given_up() {
    for (name, idle, whole, pause, said) in [
        ("a.txt", 200, 60_000, None, "stopped arriving"),
        ("b.txt", 60_000, 400, Some(std::time::Duration::from_millis(100)), "too long to arrive"),
    ] {
        each_engine_with(
            |config| {
                config.limits.body_idle_timeout = Milliseconds(idle);
                config.limits.upload_timeout = Milliseconds(whole);
            },
            async |installation, company| {
                let agent = installation.client(&company.agent.token);
                let upload = upload_create(&agent, name, "text/plain", b"twelve bytes").await;
                let answer = sent_in_part(&agent, upload["url"].as_str().expect("a link"), pause).await;
                assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(said), "{answer}");
                assert_eq!(files_in(installation), 0);
                assert_eq!(put(&agent, &upload["url"], b"twelve bytes").await.status(), StatusCode::NO_CONTENT);
            },
        )
        .await;
    }
}
