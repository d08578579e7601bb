//! A running door on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::toy::{Counts, Platform, schema};
use crate::door::{Contract, Door, DoorConfig, Limits, Milliseconds};
use kernel::Clock;

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Server {
    pub address: SocketAddr,
    pub platform: Arc<Platform>,
    pub counts: Counts,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<std::io::Result<()>>,
    pub http: reqwest::Client,
}

/// Limits with the short times of a test.
pub fn quick() -> Limits {
    Limits { drain_notice: Milliseconds(0), reauthentication_interval: Milliseconds(20), ..Limits::default() }
}

pub async fn serve(limits: Limits) -> Server {
    serve_with(DoorConfig { limits, ..DoorConfig::default() }).await
}

pub async fn serve_with(config: DoorConfig) -> Server {
    let (platform, counts) = (Platform::new(), Counts::default());
    let schema = schema(counts.clone());
    let clock = Clock::Manual(platform.clock.clone());
    let door = Door::new(
        schema.clone(),
        Contract::new(schema.sdl()).unwrap(),
        platform.clone(),
        DoorConfig { clock, ..config },
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let stop = shutdown.clone();
    let served = tokio::spawn(async move { door.serve(listener, stop).await });
    objects::install_tls();
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    Server { address, platform, counts, shutdown, served, http: http.build().unwrap() }
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn post(&self, body: Value) -> reqwest::RequestBuilder {
        self.http
            .post(self.url("/graphql"))
            .header("accept", "application/graphql-response+json")
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Status and body of a query.
    pub async fn query(&self, query: &str) -> (u16, Value) {
        self.ask(json!({ "query": query })).await
    }

    pub async fn ask(&self, body: Value) -> (u16, Value) {
        answer(self.post(body)).await
    }

    pub async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("")
}

/// Waits until the condition holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} did not happen"));
}
