//! Server-Sent Events, as graphql-sse's distinct connections mode has them.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::soon;

/// The longest that a stream lives, whatever a client allows its other requests.
const LONGEST: Duration = Duration::from_secs(3_600);

type Body = Pin<Box<dyn futures_util::Stream<Item = Vec<u8>> + Send>>;

/// An open stream.
pub struct Stream {
    body: Body,
    buffer: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// A result.
    Next(Value),
    /// The operation is over.
    Complete,
    /// The connection is gone.
    Ended,
}

impl Stream {
    /// Sends the request and waits for the stream to begin.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(request: reqwest::RequestBuilder) -> Self {
        Self::try_open(request).await.expect("the server answers with a stream")
    }

    /// The same, where the server may be gone at any moment.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn try_open(request: reqwest::RequestBuilder) -> Result<Self, String> {
        let response = request.timeout(LONGEST).send().await.map_err(|error| error.to_string())?;
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if response.status().as_u16() != 200 || !kind.starts_with("text/event-stream") {
            return Err(format!("{} {kind}", response.status()));
        }
        let chunks = response.bytes_stream();
        let body = chunks
            .take_while(|chunk| std::future::ready(chunk.is_ok()))
            .map(|chunk| chunk.unwrap_or_default().to_vec());
        Ok(Self { body: Box::pin(body), buffer: String::new() })
    }

    /// The next event; comments are passed over.
    ///
    /// # Panics
    /// When none comes.
    pub async fn event(&mut self) -> StreamEvent {
        soon("an event", self.read()).await
    }

    /// The next event, however long it takes.
    ///
    /// # Panics
    /// When a result is no JSON.
    pub async fn read(&mut self) -> StreamEvent {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                        .map(|text| text.trim().to_owned())
                };
                match (field("event").as_deref(), field("data")) {
                    (Some("next"), Some(data)) => {
                        return StreamEvent::Next(
                            serde_json::from_str(&data).unwrap_or_else(|_| panic!("no JSON: {data}")),
                        );
                    }
                    (Some("complete"), _) => return StreamEvent::Complete,
                    _ => continue,
                }
            }
            match self.body.next().await {
                Some(chunk) => self.buffer.push_str(&String::from_utf8_lossy(&chunk)),
                None => return StreamEvent::Ended,
            }
        }
    }

    /// The data of the next result.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn next(&mut self) -> Value {
        match self.event().await {
            StreamEvent::Next(mut answer) => {
                assert!(answer.get("errors").is_none(), "{answer}");
                answer["data"].take()
            }
            other => panic!("no result: {other:?}"),
        }
    }
}
