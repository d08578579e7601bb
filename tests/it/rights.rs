//! Rights that are taken away: at once for requests, within five seconds for open sockets; tokens narrower than their owners.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::client::Client;
use tests::installation::{Installation, each_engine};
use tests::socket::Socket;

use crate::company_life::incident;

const EVENTS: &str = "subscription { ticketEvents { cursor event { __typename } } }";
/// How long a revoked token may still hear on an open socket.
const EFFECTIVE: Duration = Duration::from_secs(5);

async fn listening(client: &Client) -> Socket {
    let mut socket = client.socket().await;
    socket.subscribe("s", EVENTS, json!({})).await;
    socket
}

async fn closed_in_time(socket: &mut Socket) {
    let started = Instant::now();
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 4401, "{reason}");
    assert!(started.elapsed() < EFFECTIVE, "it took {:?}", started.elapsed());
}

async fn new_token(client: &Client, input: Value) -> (String, String) {
    let payload = client.done("apiTokenCreate", input, "token apiToken { id }").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&payload["token"]), text(&payload["apiToken"]["id"]))
}

async fn unauthenticated(installation: &Installation, token: &str) {
    let (status, text) = installation.client(token).text("{ viewer { actor { id } } }", &json!({})).await;
    assert_eq!(status, 401, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_deaf_and_dumb() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let (token, id) = new_token(&agent, json!({ "name": "bot" })).await;
        let mut socket = listening(&installation.client(&token)).await;
        agent.done("apiTokenRevoke", json!({ "id": id }), "__typename").await;
        unauthenticated(installation, &token).await;
        closed_in_time(&mut socket).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_deactivated_is_out() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let mut socket = listening(&installation.client(&company.walt.token)).await;
        let input = json!({ "user": { "id": company.walt.id }, "active": false });
        admin.done("userUpdate", input, "user { active }").await;
        unauthenticated(installation, &company.walt.token).await;
        closed_in_time(&mut socket).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_membership_takes_the_teams_tickets_out_of_sight() {
    each_engine(async |installation, company| {
        let (admin, agent) = (installation.client(&company.admin.token), installation.client(&company.agent.token));
        let ticket = incident(&admin, "For the network").await;
        admin.done("ticketAssign", json!({ "id": ticket["id"], "team": { "slug": "network" } }), "__typename").await;
        let find = "query($id: ID!) { ticket(by: { id: $id }) { number } }";
        assert!(agent.ask(find, json!({ "id": ticket["id"] })).await["ticket"].is_object());
        let input = json!({ "team": { "slug": "network" }, "user": { "id": company.agent.id } });
        admin.done("teamMemberRemove", input, "__typename").await;
        assert!(agent.ask(find, json!({ "id": ticket["id"] })).await["ticket"].is_null());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tokens_scopes_narrow_and_never_widen() {
    each_engine(async |installation, company| {
        let (agent, requester) =
            (installation.client(&company.agent.token), installation.client(&company.requester.token));
        let (reading, _) = new_token(&agent, json!({ "name": "reader", "scopes": ["ticket.read"] })).await;
        let reader = installation.client(&reading);
        assert_eq!(reader.user_error("incidentCreate", json!({ "title": "x" })).await["code"], "FORBIDDEN");
        let (wide, _) = new_token(&requester, json!({ "name": "wide", "scopes": ["user.manage"] })).await;
        let input = json!({ "email": "new@acme.example", "name": "New" });
        let error = installation.client(&wide).user_error("userCreate", input).await;
        assert_eq!(error["code"], "FORBIDDEN", "a scope gives nothing that its owner has not");
        let error = reader.user_error("apiTokenCreate", json!({ "name": "wider" })).await;
        assert_eq!(error["code"], "FORBIDDEN", "a token cannot make itself a wider one");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_acts_in_its_own_name() {
    each_engine(async |installation, company| {
        let admin = installation.client(&company.admin.token);
        let input = json!({ "name": "Monitoring", "roles": [{ "role": "agent" }] });
        let made = admin.done("serviceAccountCreate", input, "serviceAccount { id }").await;
        let account = made["serviceAccount"]["id"].as_str().unwrap().to_owned();
        let (token, _) = new_token(&admin, json!({ "name": "monitoring", "for": account })).await;
        assert!(token.starts_with("dw_svc_"), "{token}");
        let bot = installation.client(&token);
        let error = bot.user_error("incidentCreate", json!({ "title": "Disk full" })).await;
        assert_eq!(error["path"], json!(["requester"]), "somebody must be affected");
        let input = json!({ "title": "Disk full", "requester": { "id": company.sam.id }, "origin": "MONITORING" });
        let made = bot.done("incidentCreate", input, "incident { openedBy { __typename name } requester { name } }").await;
        let expected = json!({ "openedBy": { "__typename": "ServiceAccount", "name": "Monitoring" }, "requester": { "name": "Sam" } });
        assert_eq!(made["incident"], expected);
    })
    .await;
}
