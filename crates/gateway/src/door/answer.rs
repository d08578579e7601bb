//! What a client is told: data or none, errors fit to be told, and the HTTP status that goes with it.

use std::collections::BTreeMap;

use async_graphql::{Response, ServerError, Value};
use bytes::Bytes;
use http::StatusCode;
use kernel::{Error, ErrorCode};
use serde::Serialize;

use crate::error::{code_of, finish, internal_message, refusal, request_error};

/// One GraphQL response.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ServerError>,
    /// The result; `None` (and absent from the JSON) when nothing was executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Beside the result.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
    /// How long to wait before trying again, in seconds; told as a header.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Answer {
    /// Nothing was executed.
    pub fn refused(mut errors: Vec<ServerError>, request_id: &str) -> Self {
        finish(&mut errors, request_id);
        Self { errors, data: None, extensions: BTreeMap::new(), retry_after: None }
    }

    /// Nothing was executed, for this reason.
    pub fn refusal(code: ErrorCode, message: impl Into<String>, request_id: &str) -> Self {
        Self::refused(vec![refusal(code, message, None)], request_id)
    }

    /// Nothing was executed, for the platform's reason.
    pub fn failed(error: Error, request_id: &str) -> Self {
        Self::refused(vec![request_error(error)], request_id)
    }

    /// A resolver panicked.
    pub fn panicked(request_id: &str) -> Self {
        let mut answer = Self::refusal(ErrorCode::Internal, String::new(), request_id);
        for error in &mut answer.errors {
            error.message = internal_message(request_id);
        }
        answer
    }

    /// What the executor answered.
    pub fn executed(response: Response, request_id: &str) -> Self {
        let Response { mut errors, data, extensions, .. } = response;
        // The executor refuses a request as a whole with errors that have no path: then there is no data to tell.
        let not_executed =
            data == Value::Null && !errors.is_empty() && errors.iter().all(|error| error.path.is_empty());
        finish(&mut errors, request_id);
        Self { errors, data: (!not_executed).then_some(data), extensions, retry_after: None }
    }

    /// The code of the first error.
    pub fn code(&self) -> Option<ErrorCode> {
        self.errors.first().and_then(code_of)
    }

    /// The word for it in metrics.
    pub fn outcome(&self) -> &'static str {
        match (&self.data, self.errors.is_empty()) {
            (_, true) => "ok",
            (Some(_), false) => "partial",
            (None, false) => "refused",
        }
    }

    /// The response as JSON.
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).map_or_else(
            |error| {
                tracing::error!(%error, "an answer could not be written as JSON");
                Bytes::from_static(
                    br#"{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL","retryable":false}}]}"#,
                )
            },
            Bytes::from,
        )
    }

    /// The errors as JSON, for an `error` message of a WebSocket.
    pub fn errors_json(&self) -> String {
        serde_json::to_string(&self.errors).unwrap_or_else(|_| "[]".into())
    }

    /// The HTTP status. `strict`: the client speaks `application/graphql-response+json`, where a document that
    /// could not be executed is a client error; under `application/json` it is a successful answer about one.
    pub fn status(&self, strict: bool) -> StatusCode {
        if self.data.is_some() {
            return StatusCode::OK;
        }
        match self.code() {
            None => StatusCode::OK,
            Some(ErrorCode::BadRequest) => StatusCode::BAD_REQUEST,
            Some(ErrorCode::Unauthenticated) => StatusCode::UNAUTHORIZED,
            Some(ErrorCode::MethodNotAllowed) => StatusCode::METHOD_NOT_ALLOWED,
            Some(ErrorCode::NotAcceptable) => StatusCode::NOT_ACCEPTABLE,
            Some(ErrorCode::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Some(ErrorCode::UnsupportedMediaType) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Some(ErrorCode::RateLimited) => StatusCode::TOO_MANY_REQUESTS,
            Some(ErrorCode::Unavailable | ErrorCode::DeadlineExceeded) => StatusCode::SERVICE_UNAVAILABLE,
            Some(ErrorCode::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
            Some(_) if strict => StatusCode::BAD_REQUEST,
            Some(_) => StatusCode::OK,
        }
    }
}
