//! Server-Sent Events, in graphql-sse's "distinct connections" mode: one operation per request, its results as
//! `next` events, `complete` at its end. A stream that ends without `complete` was cut off and may be opened again.

use std::sync::Arc;

use async_graphql::Executor;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use kernel::ErrorCode;
use tokio::sync::mpsc;

use super::answer::Answer;
use super::connection::Peer;
use super::document::OperationKind;
use super::engine::{self, Admitted, Caller};
use super::negotiation::Media;
use super::session::Session;
use super::{Inner, Principal};

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";
const KEEP_ALIVE: &[u8] = b":\n\n";

fn event(answer: &Answer) -> Bytes {
    // JSON as we write it has no line breaks: one data line.
    let json = answer.to_json();
    let mut text = Vec::with_capacity(json.len() + 24);
    text.extend_from_slice(b"event: next\ndata: ");
    text.extend_from_slice(&json);
    text.extend_from_slice(b"\n\n");
    text.into()
}

fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Media::EventStream.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A stream of one answer: a document that was refused.
pub fn single(answer: &Answer) -> Response {
    response(Body::from([&event(answer)[..], COMPLETE].concat()))
}

/// Everything that an open stream holds.
struct Open<E> {
    door: Arc<Inner<E>>,
    answers: mpsc::Receiver<Answer>,
    session: Option<Session>,
    request_id: Arc<str>,
    kind: OperationKind,
    stage: Stage,
    /// Ends the operation when the client leaves.
    _task: AbortOnDrop,
}

#[derive(PartialEq)]
enum Stage {
    Opening,
    Running,
    Completed,
    Over,
}

struct AbortOnDrop(futures_util::future::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs the operation and streams its answers.
pub fn stream<E: Executor>(
    door: Arc<Inner<E>>,
    admitted: Admitted,
    mut caller: Caller,
    token: Option<String>,
    peer: Option<Peer>,
) -> Response {
    let kind = admitted.checked.kind;
    let request_id = caller.request_id.clone();
    let session = match (caller.principal.clone(), token) {
        (Some(principal), Some(token)) if kind == OperationKind::Subscription => {
            Some(watched(&door, &mut caller, principal, token))
        }
        _ => None,
    };
    let (sender, answers) = mpsc::channel(door.limits.operation_buffer.max(1));
    let running = door.clone();
    let task = engine::spawn_abortable(&door, async move {
        let deliver = |answer| {
            let sender = sender.clone();
            async move { sender.send(answer).await.is_ok() }
        };
        engine::run(&running, admitted, &caller, deliver).await;
    });
    let open = Open { door, answers, session, request_id, kind, stage: Stage::Opening, _task: AbortOnDrop(task) };
    let streaming = peer.map(|peer| peer.streaming());
    let body = futures_util::stream::unfold((open, streaming), |(mut open, streaming)| async move {
        let chunk = open.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), (open, streaming)))
    });
    response(Body::from_stream(body))
}

fn watched<E: Executor>(door: &Arc<Inner<E>>, caller: &mut Caller, principal: Principal, token: String) -> Session {
    let session = Session::start(door.clone(), token, principal, caller.request_id.clone());
    caller.live = Some(session.live.clone());
    session
}

enum Woken {
    Answer(Option<Answer>),
    Ended(&'static str),
    Silence,
    Draining,
}

impl<E: Executor> Open<E> {
    /// The next bytes to send; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            // Sent at once, so that the client knows that the stream is open.
            Stage::Opening => {
                self.stage = Stage::Running;
                return Some(Bytes::from_static(KEEP_ALIVE));
            }
            Stage::Running => {}
            Stage::Completed => {
                self.stage = Stage::Over;
                return Some(Bytes::from_static(COMPLETE));
            }
            Stage::Over => return None,
        }
        match self.woken().await {
            Woken::Answer(Some(answer)) => {
                self.door.metrics.answered("sse", Some(self.kind), &answer);
                Some(event(&answer))
            }
            Woken::Answer(None) => {
                self.stage = Stage::Over;
                Some(Bytes::from_static(COMPLETE))
            }
            Woken::Ended(reason) => {
                self.stage = Stage::Completed;
                self.session = None;
                Some(event(&Answer::refusal(ErrorCode::Unauthenticated, reason, &self.request_id)))
            }
            Woken::Silence => Some(Bytes::from_static(KEEP_ALIVE)),
            // Without `complete`: the client opens the stream again, elsewhere.
            Woken::Draining => None,
        }
    }

    async fn woken(&mut self) -> Woken {
        let Open { door, answers, session, kind, .. } = self;
        let ended = async {
            match session {
                Some(session) => session.ended().await,
                None => std::future::pending().await,
            }
        };
        // Queries and mutations finish; the shutdown waits for them.
        let draining = async {
            match kind {
                OperationKind::Subscription => door.draining.cancelled().await,
                _ => door.killed.cancelled().await,
            }
        };
        tokio::select! {
            biased;
            reason = ended => Woken::Ended(reason),
            () = draining => Woken::Draining,
            answer = answers.recv() => Woken::Answer(answer),
            () = tokio::time::sleep(door.limits.keep_alive_interval.duration()) => Woken::Silence,
        }
    }
}
