//! GraphQL over HTTP.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::PATIENCE;
use crate::socket::Socket;
use crate::stream::Stream;

/// Somebody who sends requests.
#[derive(Clone, Debug)]
pub struct Client {
    /// The server.
    pub address: SocketAddr,
    /// The bearer token.
    pub token: Option<String>,
    /// The connections.
    pub http: reqwest::Client,
}

/// How often something is asked for again that others are in the way of, and the pause between.
const ATTEMPTS: u32 = 50;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What the answer to a mutation shows beside the record.
const ERRORS: &str = "userErrors { __typename code message path \
    ... on ValidationError { constraint limit } ... on ConflictError { currentVersion } ... on LimitError { limit } \
    ... on ForbiddenError { permission } ... on TransitionRefusedError { from to availableTransitions reasons } }";

impl Client {
    /// A client of the server at this address.
    ///
    /// # Panics
    /// When no HTTP client can be made.
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        objects::install_tls();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("an HTTP client can be made");
        Self { address, token: token.map(str::to_owned), http }
    }

    /// The same server's other places.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request to the API, with this JSON as its body.
    pub fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        let request = self
            .http
            .post(self.url("/graphql"))
            .header("accept", "application/graphql-response+json")
            .header("content-type", "application/json")
            .body(body.to_string());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Status and text of the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn text(&self, query: &str, variables: &Value) -> (u16, String) {
        let response = self.post(&json!({ "query": query, "variables": variables })).send().await;
        let response = response.expect("the server answers");
        let status = response.status().as_u16();
        (status, response.text().await.expect("the answer is complete"))
    }

    /// The whole answer.
    ///
    /// # Panics
    /// When it is no JSON.
    pub async fn answer(&self, query: &str, variables: Value) -> Value {
        let (_, text) = self.text(query, &variables).await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
    }

    /// The answer's data.
    ///
    /// # Panics
    /// When it has errors.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.answer(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer}");
        answer["data"].take()
    }

    /// The code of the answer's first error.
    ///
    /// # Panics
    /// When it has none.
    pub async fn refused(&self, query: &str, variables: Value) -> String {
        let answer = self.answer(query, variables).await;
        code(&answer).unwrap_or_else(|| panic!("{query}\nwas not refused: {answer}")).to_owned()
    }

    /// Calls a mutation; its payload, user errors included.
    ///
    /// # Panics
    /// When the request is refused as a whole.
    pub async fn call(&self, mutation: &str, input: Value, selection: &str) -> Value {
        let document = document(mutation, selection);
        let mut data = self.ask(&document, json!({ "input": input })).await;
        data[mutation].take()
    }

    /// Calls a mutation that must be done.
    ///
    /// # Panics
    /// When it is not.
    pub async fn done(&self, mutation: &str, input: Value, selection: &str) -> Value {
        let payload = self.call(mutation, input.clone(), selection).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation} {input}");
        payload
    }

    /// The same for one that others are in the way of: it is sent again, with its idempotency key, as often as the server says that it may
    /// go through.
    ///
    /// # Panics
    /// When it is not done.
    pub async fn done_at_last(&self, mutation: &str, mut input: Value, selection: &str) -> Value {
        if input.get("idempotencyKey").is_none() {
            input["idempotencyKey"] = json!(kernel::Uuid::from_bytes(kernel::random::bytes()).to_string());
        }
        let (document, variables) = (document(mutation, selection), json!({ "input": input }));
        for _ in 0..ATTEMPTS {
            let mut answer = self.answer(&document, variables.clone()).await;
            if answer["errors"][0]["extensions"]["retryable"] == true {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let payload = answer["data"][mutation].take();
            assert_eq!(payload["userErrors"], json!([]), "{mutation} {variables} {answer}");
            return payload;
        }
        panic!("{mutation} {variables} was not done in {ATTEMPTS} attempts");
    }

    /// Calls a mutation that must be refused: its first user error.
    ///
    /// # Panics
    /// When it is done.
    pub async fn user_error(&self, mutation: &str, input: Value) -> Value {
        let mut payload = self.call(mutation, input.clone(), "__typename").await;
        let error = payload["userErrors"][0].take();
        assert!(error.is_object(), "{mutation} {input} was not refused: {payload}");
        error
    }

    /// A WebSocket with this client's token.
    pub async fn socket(&self) -> Socket {
        Socket::open(self.address, self.token.as_deref()).await
    }

    /// A subscription over Server-Sent Events.
    pub async fn stream(&self, query: &str, variables: Value) -> Stream {
        let request = self.post(&json!({ "query": query, "variables": variables }));
        Stream::open(request.header("accept", "text/event-stream")).await
    }
}

/// The document that calls one mutation.
pub fn document(mutation: &str, selection: &str) -> String {
    let input = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    format!("mutation($input: {input}!) {{ {mutation}(input: $input) {{ {selection} {ERRORS} }} }}")
}

/// The code of an answer's first error.
pub fn code(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}
