//! Rights that end, on connections that are open: within five seconds.

use std::time::{Duration, Instant};

use gateway::door::Milliseconds;
use gateway::platform::Platform;
use kernel::Clock;
use serde_json::{Value, json};
use store::Store;
use tests::client::Client;
use tests::installation::{Installation, each_engine, each_engine_with, limits, settings};
use tests::socket::Socket;
use tests::stream::StreamEvent;

use crate::company_life::{assign, comment, incident};

/// The promise.
const SOON: Duration = Duration::from_secs(5);
const EVENTS: &str = "subscription { ticketEvents { event { __typename } } }";

async fn listening(client: &Client) -> Socket {
    let mut socket = client.socket().await;
    socket.subscribe("events", EVENTS, json!({})).await;
    socket
}

async fn token(client: &Client, input: Value) -> (String, Value) {
    let payload = client.done("apiTokenCreate", input, "token apiToken { id scopes }").await;
    (payload["token"].as_str().expect("a token").to_owned(), payload["apiToken"]["id"].clone())
}

async fn closed_soon(socket: &mut Socket, why: &str) {
    let begun = Instant::now();
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 4401, "{why}: {reason}");
    assert!(begun.elapsed() < SOON, "{why}: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_reaches_open_connections() {
    // As it is by default.
    let interval = gateway::door::Limits::default().reauthentication_interval;
    each_engine_with(
        |config| config.limits.reauthentication_interval = interval,
        async |installation, company| {
            let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
            let (secret, id) = token(&agent, json!({ "name": "one" })).await;
            let by_token = installation.client(&secret);
            let mut socket = listening(&by_token).await;
            let mut stream = by_token.stream(EVENTS, json!({})).await;
            agent.done("apiTokenRevoke", json!({ "id": id }), "apiToken { revokedAt }").await;
            assert_eq!(
                by_token.refused("{ viewer { actor { id } } }", json!({})).await,
                "UNAUTHENTICATED",
                "at once in one process"
            );
            closed_soon(&mut socket, "a token was revoked").await;
            while let StreamEvent::Next(answer) = stream.event().await {
                assert!(answer.get("errors").is_some(), "{answer}");
            }

            // In another process: what is believed here lives a few seconds.
            let (secret, id) = token(&agent, json!({ "name": "two" })).await;
            let mut socket = listening(&installation.client(&secret)).await;
            let store =
                Store::open_beside(installation.store_config(), Clock::Manual(installation.clock.clone())).await;
            let store = store.expect("it opens beside the server");
            let beside = Platform::start(store, settings(), limits(), installation.files()).await.expect("it starts");
            let ctx = beside.access.command_line_ctx(company.tenant, "tests");
            let id = kernel::Id::parse(id.as_str().expect("an id")).expect("an id");
            beside.access.api_token_revoke(&ctx, id).await.expect("it can be revoked");
            closed_soon(&mut socket, "a token was revoked elsewhere").await;
            beside.tickets.store().clone().close().await;

            let mut socket = listening(&agent).await;
            let input = json!({ "email": company.walt.email, "password": tests::company::PASSWORD });
            let session = installation.stranger().done("sessionCreate", input, "accessToken sessionId").await;
            let walt = installation.client(session["accessToken"].as_str().expect("a token"));
            let mut signed_in = listening(&walt).await;
            admin
                .done(
                    "userUpdate",
                    json!({ "user": { "email": company.agent.email }, "active": false }),
                    "user { active }",
                )
                .await;
            walt.done("sessionRevoke", json!({}), "sessionId").await;
            closed_soon(&mut socket, "a user was deactivated").await;
            closed_soon(&mut signed_in, "a session was ended").await;
            assert_eq!(agent.refused("{ viewer { actor { id } } }", json!({})).await, "UNAUTHENTICATED");
            admin
                .done(
                    "userUpdate",
                    json!({ "user": { "email": company.agent.email }, "active": true }),
                    "user { active }",
                )
                .await;
            agent.ask("{ viewer { actor { id } } }", json!({})).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_after_a_right_has_gone() {
    each_engine_with(
        |config| config.limits.bookmark_interval = Milliseconds(300),
        async |installation, company| {
            let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
            let ticket = incident(&installation.client(&company.requester.token), "VPN drops").await;
            assign(&admin, &ticket, "network", None).await;
            installation.log_end(&agent).await;
            let mut socket = listening(&agent).await;
            assert_eq!(socket.next("events").await["ticketEvents"]["event"], Value::Null);
            let roles = json!({ "user": { "email": company.agent.email }, "roles": [{ "role": "requester" }] });
            admin.done("userUpdate", roles, "user { id }").await;
            // Rights are looked at every 200 ms here.
            tokio::time::sleep(Duration::from_millis(600)).await;
            comment(&admin, &ticket, "Secret", "INTERNAL").await;
            comment(&admin, &ticket, "Hello", "PUBLIC").await;
            for _ in 0..3 {
                assert_eq!(socket.next("events").await["ticketEvents"]["event"], Value::Null, "bookmarks only");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_narrow() {
    each_engine(async |installation: &mut Installation, company| {
        let (lead, agent) = (installation.client(&company.lead.token), installation.client(&company.agent.token));
        let theirs = incident(&installation.client(&company.sam.token), "Another's").await;
        assign(&lead, &theirs, "network", None).await;
        let own = incident(&agent, "My own").await;
        let count = "{ tickets { nodes { id } } }";
        assert_eq!(agent.ask(count, json!({})).await["tickets"]["nodes"].as_array().map(Vec::len), Some(2));

        let (secret, _) = token(&agent, json!({ "name": "narrow", "scopes": ["ticket.read:OWN"] })).await;
        let narrow = installation.client(&secret);
        assert_eq!(narrow.ask(count, json!({})).await["tickets"]["nodes"], json!([{ "id": own["id"] }]));
        assert_eq!(narrow.user_error("commentAdd", json!({ "id": own["id"], "body": "x" })).await["code"], "FORBIDDEN");
        assert_eq!(
            narrow.user_error("commentAdd", json!({ "id": theirs["id"], "body": "x" })).await["code"],
            "NOT_FOUND"
        );
        assert_eq!(narrow.user_error("incidentCreate", json!({ "title": "x" })).await["code"], "FORBIDDEN");
        assert_eq!(narrow.user_error("apiTokenCreate", json!({ "name": "wider" })).await["code"], "FORBIDDEN");
        let viewer = narrow.ask("{ viewer { permissions { permission scope } } }", json!({})).await;
        assert_eq!(viewer["viewer"]["permissions"], json!([{ "permission": "ticket.read", "scope": "OWN" }]));

        // A scope beyond one's rights widens nothing.
        let requester = installation.client(&company.requester.token);
        let payload = requester
            .call("apiTokenCreate", json!({ "name": "wide", "scopes": ["ticket.read", "user.manage"] }), "token")
            .await;
        if let Some(secret) = payload["token"].as_str() {
            let wide = installation.client(secret);
            assert_eq!(wide.ask(count, json!({})).await["tickets"]["nodes"], json!([]));
            assert_eq!(
                wide.user_error("userCreate", json!({ "email": "x@acme.example", "name": "x" })).await["code"],
                "FORBIDDEN"
            );
        }
        assert_eq!(
            agent.user_error("apiTokenCreate", json!({ "name": "x", "scopes": ["ticket.reed"] })).await["code"],
            "VALIDATION"
        );

        // A token ends when it says so.
        let ends = (installation.clock.now() + chrono::Duration::hours(1)).to_rfc3339();
        let (secret, _) = token(&agent, json!({ "name": "short", "expiresAt": ends })).await;
        let short = installation.client(&secret);
        short.ask(count, json!({})).await;
        installation.clock.advance(chrono::Duration::hours(2));
        assert_eq!(short.refused(count, json!({})).await, "UNAUTHENTICATED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_accounts() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let input = json!({ "name": "Chatbot", "roles": [{ "role": "agent" }] });
        let account = admin.done("serviceAccountCreate", input, "serviceAccount { id name active }").await["serviceAccount"].take();
        let membership = json!({ "team": { "slug": "network" }, "user": { "id": account["id"] } });
        admin.done("teamMemberAdd", membership, "team { id }").await;
        let requester = installation.client(&company.requester.token);
        assert!(requester.user_error("apiTokenCreate", json!({ "name": "x", "for": account["id"] })).await["code"] != "VALIDATION");
        let (secret, _) = token(&admin, json!({ "name": "bot", "for": account["id"] })).await;
        assert!(secret.starts_with("dw_svc_"), "{}", &secret[..7]);
        let bot = installation.client(&secret);
        let viewer = bot.ask("{ viewer { actor { __typename id name } } }", json!({})).await;
        assert_eq!(viewer["viewer"]["actor"], json!({ "__typename": "ServiceAccount", "id": account["id"], "name": "Chatbot" }));
        let input = json!({ "title": "From the chat", "requester": { "email": company.requester.email }, "team": { "slug": "network" }, "origin": "CHAT" });
        let created = bot
            .done("incidentCreate", input, "incident { id requester { name } openedBy { __typename name } } events { channel actor { __typename } }")
            .await;
        assert_eq!(created["incident"]["openedBy"], json!({ "__typename": "ServiceAccount", "name": "Chatbot" }));
        assert_eq!(created["incident"]["requester"]["name"], "Requester");
        assert_eq!(created["events"][0], json!({ "channel": "TOKEN", "actor": { "__typename": "ServiceAccount" } }));
        let seen = requester.ask("{ tickets { nodes { openedBy { name } } } }", json!({})).await;
        assert_eq!(seen["tickets"]["nodes"][0]["openedBy"]["name"], "Chatbot");
    })
    .await;
}
