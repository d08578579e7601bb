//! Several processes on one database: what one writes, the other's subscribers are told.

use gateway::platform::Platform;
use kernel::Clock;
use serde_json::{Value, json};
use store::{Engine, Store};
use tests::client::Client;
use tests::installation::{each_engine, limits, settings};
use ticket::{AddComment, CommentVisibility, TicketRef};

use crate::company_life::{comment, incident_with};

const SAID: &str = "subscription($after: Cursor) { ticketEvents(after: $after, kinds: [COMMENT_ADDED]) { cursor event { ... on CommentAdded { comment { body } } } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_writes() {
    each_engine(async |installation, company| {
        let agent = installation.client(&company.agent.token);
        let ticket = incident_with(&agent, json!({ "title": "VPN", "team": { "slug": "network" } })).await;
        let mut socket = agent.socket().await;
        socket.subscribe("said", SAID, json!({ "after": installation.log_end(&agent).await })).await;
        let clock = Clock::Manual(installation.clock.clone());
        let store = Store::open_beside(installation.store_config(), clock).await.expect("it opens beside the server");
        let beside = Platform::start(store, settings(), limits(), installation.files()).await.expect("it starts");
        let ctx = beside.access.command_line_ctx(company.tenant, "tests");
        for number in 0..5 {
            let command = AddComment {
                ticket: TicketRef::Number(ticket["number"].as_str().expect("a number").into()),
                body: number.to_string(),
                visibility: CommentVisibility::Public,
                files: None,
            };
            beside.tickets.add_comment(&ctx, command).await.expect("it can be said");
            let told = socket.next("said").await;
            assert_eq!(told["ticketEvents"]["event"]["comment"]["body"], number.to_string());
        }
        beside.tickets.store().clone().close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_on_one_postgresql() {
    each_engine(async |installation, company| {
        if installation.engine == Engine::Sqlite {
            let clock = Clock::Manual(installation.clock.clone());
            let second = deskwire::serve::Server::start(installation.config.clone(), clock, settings()).await;
            assert!(second.is_err(), "one file, one server");
            return;
        }
        let second = installation.another().await;
        let here = installation.client(&company.agent.token);
        let there = Client::new(second.address(), Some(&company.agent.token));
        let ticket = incident_with(&here, json!({ "title": "VPN", "team": { "slug": "network" } })).await;
        let after = installation.log_end(&here).await;
        let mut sockets = Vec::new();
        for client in [&here, &there] {
            let mut socket = client.socket().await;
            socket.subscribe("said", SAID, json!({ "after": after })).await;
            sockets.push(socket);
        }
        let writing = [here.clone(), there.clone()].into_iter().enumerate().map(|(at, client)| {
            let ticket = ticket.clone();
            tokio::spawn(async move {
                for number in 0..25 {
                    comment(&client, &ticket, &format!("{at}-{number}"), "PUBLIC").await;
                }
            })
        });
        let writing: Vec<_> = writing.collect();
        let mut orders: Vec<Vec<(Value, Value)>> = Vec::new();
        for socket in &mut sockets {
            let mut order = Vec::new();
            while order.len() < 50 {
                let mut message = socket.next("said").await["ticketEvents"].take();
                if message["event"].is_object() {
                    order.push((message["cursor"].take(), message["event"]["comment"]["body"].take()));
                }
            }
            orders.push(order);
        }
        for task in writing {
            task.await.expect("it writes");
        }
        assert_eq!(orders[0], orders[1], "both are told the same, in the same order, at the same places");
        // A place that one replica gave is one to go on from at the other.
        let mut socket = there.socket().await;
        socket.subscribe("said", SAID, json!({ "after": orders[0][9].0 })).await;
        for (cursor, body) in &orders[0][10..] {
            let message = socket.next("said").await["ticketEvents"].take();
            assert_eq!((&message["cursor"], &message["event"]["comment"]["body"]), (cursor, body));
        }
        second.stop().await.expect("it ends well");
    })
    .await;
}
