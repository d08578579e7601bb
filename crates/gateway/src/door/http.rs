//! GraphQL over HTTP: what a request must look like, and what its answer looks like.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::Executor;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kernel::{Error, ErrorCode, random};

use super::answer::Answer;
use super::connection::Peer;
use super::document::OperationKind;
use super::engine::{self, Caller};
use super::gate::Parameters;
use super::negotiation::{self, Media};
use super::routes::{REQUEST_ID, WANTS_COST};
use super::{Inner, Principal, handshake, sse};

/// The methods of `/graphql`.
const METHODS: &str = "GET, POST";
/// The longest request id that a client may choose, in bytes.
const REQUEST_ID_BYTES: usize = 64;

/// `/graphql`, for every method.
pub async fn graphql<E: Executor>(State(door): State<Arc<Inner<E>>>, request: Request<Body>) -> Response {
    let request_id = request_id(request.headers());
    let mut response = if handshake::is_upgrade(request.headers()) {
        handshake::upgrade(door, request, request_id.clone())
    } else if wants_page(&door, &request) {
        Redirect::to("/graphiql").into_response()
    } else {
        answer(door, request, request_id.clone()).await
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    response
}

/// The client's request id if it is sane, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (1..=REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) => {
            id.into()
        }
        _ => new_request_id(),
    }
}

/// A request id of our own.
pub fn new_request_id() -> Arc<str> {
    let hex: String = random::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    hex.into()
}

/// Whether a person has opened the endpoint in a browser.
fn wants_page<E>(door: &Inner<E>, request: &Request<Body>) -> bool {
    door.graphiql
        && request.method() == Method::GET
        && request.uri().query().is_none()
        && request
            .headers()
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.split(',').any(|range| range.trim().starts_with("text/html")))
}

/// A finished answer with what HTTP adds to it.
struct Reply {
    answer: Answer,
    media: Media,
    allow: bool,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let Reply { answer, media, allow } = self;
        // An event stream that is refused before it opens is refused in JSON.
        let media = if media == Media::EventStream { Media::Json } else { media };
        let mut response = Response::new(Body::from(answer.to_json()));
        *response.status_mut() = answer.status(media == Media::GraphqlResponse);
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, media.content_type());
        set(header::CACHE_CONTROL, "no-store");
        set(header::VARY, "accept, authorization, origin");
        if allow {
            set(header::ALLOW, METHODS);
        }
        if answer.data.is_none() {
            match answer.code() {
                Some(ErrorCode::Unauthenticated) => {
                    set(header::WWW_AUTHENTICATE, "Bearer realm=\"deskwire\", error=\"invalid_token\"");
                }
                Some(ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::DeadlineExceeded) => {
                    set(header::RETRY_AFTER, &answer.retry_after.unwrap_or(1).to_string());
                }
                // What is left of the body is not read.
                Some(ErrorCode::BodyTooLarge) => set(header::CONNECTION, "close"),
                _ => {}
            }
        }
        response
    }
}

async fn answer<E: Executor>(door: Arc<Inner<E>>, request: Request<Body>, request_id: Arc<str>) -> Response {
    let accepted = negotiation::accepted(request.headers());
    let media = accepted.first().copied().unwrap_or(Media::Json);
    let refused = |door: &Inner<E>, answer: Answer, allow: bool| {
        door.metrics.answered("http", None, &answer);
        Reply { answer, media, allow }.into_response()
    };
    let refuse = |door: &Inner<E>, code: ErrorCode, message: &str| {
        refused(door, Answer::refusal(code, message, &request_id), code == ErrorCode::MethodNotAllowed)
    };
    if door.draining.is_cancelled() {
        return refuse(&door, ErrorCode::Unavailable, "the server is shutting down; ask again");
    }
    if accepted.is_empty() {
        let message = "answers are application/graphql-response+json, application/json or text/event-stream";
        return refuse(&door, ErrorCode::NotAcceptable, message);
    }
    let method = request.method().clone();
    let (parts, body) = request.into_parts();
    let parameters = match method {
        Method::POST => read_post(&door, &parts.headers, body).await,
        Method::GET => read_get(&door, &parts.uri),
        _ => {
            return refuse(&door, ErrorCode::MethodNotAllowed, "use POST, or GET for queries");
        }
    };
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(error) => return refused(&door, Answer::failed(error, &request_id), false),
    };
    let token = match bearer(&door, &parts.headers) {
        Ok(token) => token,
        Err(error) => return refused(&door, Answer::failed(error, &request_id), false),
    };
    let principal = match &token {
        None => None,
        Some(token) => match authenticate(&door, token, &request_id).await {
            Ok(principal) => Some(principal),
            Err(error) => return refused(&door, Answer::failed(error, &request_id), false),
        },
    };
    let peer = parts.extensions.get::<Peer>();
    let wants_cost = parts.headers.get(&WANTS_COST).is_some_and(|value| value != "0" && value != "false");
    let caller = Caller {
        principal,
        request_id: request_id.clone(),
        address: peer.map(Peer::address),
        live: None,
        wants_cost,
        place: None,
    };
    let admitted = match engine::admit(&door, &parameters, &caller) {
        Ok(admitted) => admitted,
        Err(answer) if media == Media::EventStream && answer.status(false) == StatusCode::OK => {
            door.metrics.answered("sse", None, &answer);
            return sse::single(&answer);
        }
        Err(answer) => return refused(&door, *answer, false),
    };
    drop(parameters);
    let kind = admitted.checked.kind;
    if kind == OperationKind::Mutation && method == Method::GET {
        let mut response = refuse(&door, ErrorCode::MethodNotAllowed, "a mutation needs POST");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if media == Media::EventStream || (kind == OperationKind::Subscription && accepted.contains(&Media::EventStream)) {
        return sse::stream(door, admitted, caller, token, peer.cloned());
    }
    if kind == OperationKind::Subscription {
        let message = "a subscription needs `Accept: text/event-stream`, or a WebSocket";
        return refuse(&door, ErrorCode::NotAcceptable, message);
    }
    let answer = engine::execute(&door, admitted, &caller).await;
    door.metrics.answered("http", Some(kind), &answer);
    Reply { answer, media, allow: false }.into_response()
}

/// The bearer token, if there is one.
///
/// # Errors
/// `UNAUTHENTICATED` for credentials of another kind.
pub fn bearer<E>(door: &Inner<E>, headers: &HeaderMap) -> kernel::Result<Option<String>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => parse_bearer(value.to_str().unwrap_or(""), door.limits.token_bytes).map(Some),
        _ => Err(Error::request(ErrorCode::Unauthenticated, "there is more than one Authorization header")),
    }
}

/// The token in `Bearer …`.
///
/// # Errors
/// `UNAUTHENTICATED` for anything else.
pub fn parse_bearer(value: &str, limit: usize) -> kernel::Result<String> {
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer")
        || token.is_empty()
        || token.len() > limit
        || !token.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(Error::request(
            ErrorCode::Unauthenticated,
            "the Authorization header must be `Bearer` and a token",
        ));
    }
    Ok(token.to_owned())
}

/// Who holds the token, within the deadline.
///
/// # Errors
/// As [`super::Backend::authenticate`], and `UNAVAILABLE` when it takes too long.
pub async fn authenticate<E>(door: &Inner<E>, token: &str, request_id: &str) -> kernel::Result<Principal> {
    let asked = door.backend.authenticate(token, request_id);
    match tokio::time::timeout(door.limits.request_deadline.duration(), asked).await {
        Ok(result) => result,
        Err(_) => Err(Error::request(ErrorCode::Unavailable, "the credentials could not be checked in time")),
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::request(ErrorCode::BadRequest, message)
}

fn read_get<E>(door: &Inner<E>, uri: &http::Uri) -> kernel::Result<Parameters> {
    // The document is bounded by its own limit, its variables by that of a body.
    if uri.query().is_some_and(|query| query.len() > door.limits.body_bytes) {
        return Err(Error::request(ErrorCode::BodyTooLarge, "the query string is too long"));
    }
    let Query(pairs) =
        Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| bad("the query string is not URL-encoded"))?;
    let mut given = HashMap::new();
    for (name, value) in pairs {
        if ["query", "operationName", "variables", "extensions"].contains(&name.as_str())
            && given.insert(name.clone(), value).is_some()
        {
            return Err(bad(format!("the parameter `{name}` is given twice")));
        }
    }
    let mut object = |name: &str| match given.remove(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            serde_json::from_str(&text).map_err(|_| bad(format!("the parameter `{name}` must be a JSON object")))
        }
    };
    let (variables, extensions) = (object("variables")?, object("extensions")?);
    Ok(Parameters {
        query: given.remove("query").ok_or_else(|| bad("the parameter `query` is missing"))?,
        operation_name: given.remove("operationName").filter(|name| !name.is_empty()),
        variables,
        extensions,
    })
}

async fn read_post<E>(door: &Inner<E>, headers: &HeaderMap, body: Body) -> kernel::Result<Parameters> {
    if !negotiation::is_json_body(headers) {
        let message = "the body must be JSON: `Content-Type: application/json`, in UTF-8";
        return Err(Error::request(ErrorCode::UnsupportedMediaType, message));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        let message = "the body must not be compressed";
        return Err(Error::request(ErrorCode::UnsupportedMediaType, message));
    }
    let read = read_body(door, body);
    let body = tokio::time::timeout(door.limits.body_timeout.duration(), read)
        .await
        .map_err(|_| bad("the body took too long to arrive"))??;
    parse_body(&body)
}

pub(super) async fn read_body<E>(door: &Inner<E>, mut body: Body) -> kernel::Result<Bytes> {
    let limit = door.limits.body_bytes;
    let too_large =
        || Error::request(ErrorCode::BodyTooLarge, format!("the body has more bytes than the limit of {limit}"));
    if hyper::body::Body::size_hint(&body).lower() > limit as u64 {
        discard(&mut body, limit).await;
        return Err(too_large());
    }
    let mut read = BytesMut::new();
    while let Some(data) = next_chunk(door, &mut body).await? {
        if read.len() + data.len() > limit {
            drop(read);
            discard(&mut body, limit).await;
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// The next bytes of a body; `None` at its end.
///
/// # Errors
/// `BAD_REQUEST` when it stops arriving or breaks off.
pub(super) async fn next_chunk<E>(door: &Inner<E>, body: &mut Body) -> kernel::Result<Option<Bytes>> {
    loop {
        let frame = tokio::time::timeout(door.limits.body_idle_timeout.duration(), body.frame())
            .await
            .map_err(|_| bad("the body stopped arriving"))?;
        let Some(frame) = frame else { return Ok(None) };
        if let Ok(data) = frame.map_err(|_| bad("the body broke off"))?.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Takes a little more of a body that is refused, so that the client reads the refusal instead of a reset connection.
pub(super) async fn discard(body: &mut Body, limit: usize) {
    let mut left = limit;
    let take = async {
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            if size > left {
                break;
            }
            left -= size;
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), take).await;
}

fn parse_body(body: &[u8]) -> kernel::Result<Parameters> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(bad("batches are not supported: send one operation per request"));
    }
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            bad(format!(
                "the body must be a JSON object with `query`, `operationName`, `variables`, `extensions`: {error}"
            ))
        } else {
            bad(format!("the body is not JSON: {error}"))
        }
    })
}
