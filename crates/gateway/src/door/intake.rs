//! `/intake/…`: what programs post in their own form. A token is needed; the answer is JSON.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use kernel::{Error, ErrorCode};
use serde_json::{Value, json};

use super::http::{authenticate, bearer, read_body, request_id};
use super::routes::REQUEST_ID;
use super::{Inner, Posted};

/// Takes what a program posts to `/intake/{form}`.
pub async fn intake<E>(State(door): State<Arc<Inner<E>>>, Path(form): Path<String>, request: Request<Body>) -> Response
where
    E: Send + Sync + 'static,
{
    let request_id = request_id(request.headers());
    let (status, body) = match take(&door, &form, request, &request_id).await {
        Ok(answer) => (StatusCode::OK, answer),
        Err(error) => refusal(&error, &request_id),
    };
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    mark(&mut response, &request_id);
    response
}

/// What every answer beside GraphQL's carries: its request's id, that nobody keeps it, and when to come back if it may.
pub(super) fn mark(response: &mut Response, request_id: &str) {
    let status = response.status();
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CACHE_CONTROL, "no-store");
    set(REQUEST_ID.clone(), request_id);
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        set(header::RETRY_AFTER, "1");
    }
}

async fn take<E>(door: &Inner<E>, form: &str, request: Request<Body>, request_id: &Arc<str>) -> kernel::Result<Value> {
    if door.draining.is_cancelled() {
        return Err(Error::request(ErrorCode::Unavailable, "the server is shutting down; ask again"));
    }
    let (parts, body) = request.into_parts();
    let token = bearer(door, &parts.headers)?;
    let token =
        token.ok_or_else(|| Error::request(ErrorCode::Unauthenticated, "send a token: `Authorization: Bearer …`"))?;
    let principal = authenticate(door, &token, request_id).await?;
    let read = read_body(door, body);
    let body = tokio::time::timeout(door.limits.body_timeout.duration(), read)
        .await
        .map_err(|_| Error::request(ErrorCode::BadRequest, "the body took too long to arrive"))??;
    let posted = Posted { form: form.to_owned(), attributes: attributes(&parts.headers), body };
    let deadline = door.limits.request_deadline.duration();
    match tokio::time::timeout(deadline, door.backend.intake(principal.ctx, posted)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::request(ErrorCode::Unavailable, "it could not be taken in time; send it again")),
    }
}

/// The headers that forms read: the media type, and the attributes of CloudEvents.
fn attributes(headers: &HeaderMap) -> Vec<(String, String)> {
    let known = |name: &HeaderName| name == header::CONTENT_TYPE || name.as_str().starts_with("ce-");
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    headers
        .iter()
        .filter(|(name, _)| known(name))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)))
        .collect()
}

/// What is refused, with a status that says whether to send it again: 503 and 429 only.
pub(super) fn refusal(error: &Error, request_id: &str) -> (StatusCode, Value) {
    let code = error.code();
    let status = match code {
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let message = match error {
        Error::Internal(text) => {
            tracing::error!(request_id, error = text, "what was posted could not be taken");
            "something went wrong on the server; its log has the request id".to_owned()
        }
        told => told.to_string(),
    };
    (status, json!({ "error": { "code": code.as_str(), "message": message, "requestId": request_id } }))
}
