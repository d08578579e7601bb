//! From the platform's errors to GraphQL errors, and what every GraphQL error of an answer must look like.
//!
//! A resolver may use `?` on a [`kernel::Error`]: the library keeps it as the error's source, and [`finish`]
//! gives it code, request id and text at the door. So no text of a fault of ours can reach a client, whichever
//! way the error came.

use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, PathSegment, Pos, ServerError, Value};
use kernel::{Error, ErrorCode, UserError};

/// How many errors one answer carries at most; the rest is dropped.
pub const MAX_ERRORS: usize = 5;
/// How large one error is at most, in bytes of JSON.
pub const MAX_ERROR_BYTES: usize = 1024;
/// How long an error's message is at most, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 512;

/// The GraphQL error of a platform's error, for resolvers that build one by hand.
pub fn to_graphql(error: Error) -> async_graphql::Error {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", error.code().as_str());
    async_graphql::Error { message: error.to_string(), source: Some(Arc::new(error)), extensions: Some(extensions) }
}

/// An error of the door itself.
pub fn refusal(code: ErrorCode, message: impl Into<String>, position: Option<Pos>) -> ServerError {
    let mut error = ServerError::new(message, position);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str());
    error.extensions = Some(extensions);
    error
}

/// The platform's error as an error of the whole request.
pub fn request_error(error: Error) -> ServerError {
    let mut refused = refusal(error.code(), error.to_string(), None);
    refused.source = Some(Arc::new(error));
    refused
}

/// The code of a finished error or of a refusal.
pub fn code_of(error: &ServerError) -> Option<ErrorCode> {
    let Some(Value::String(text)) = error.extensions.as_ref()?.get("code") else {
        return None;
    };
    ErrorCode::ALL.iter().copied().find(|code| code.as_str() == text)
}

/// Makes errors fit to leave the house: a code of the closed list, the request id, whether to try again; no text of
/// faults of ours; at most [`MAX_ERRORS`] of [`MAX_ERROR_BYTES`] each.
pub fn finish(errors: &mut Vec<ServerError>, request_id: &str) {
    for error in errors.iter_mut() {
        finish_one(error, request_id);
    }
    errors.truncate(MAX_ERRORS);
}

fn finish_one(error: &mut ServerError, request_id: &str) {
    let code = classify(error, request_id);
    let mut extensions = error.extensions.take().unwrap_or_default();
    if let Some(first) = user_errors(error).first().filter(|first| !first.path.is_empty()) {
        extensions.set("inputPath", Value::List(first.path.iter().map(Value::from).collect()));
    }
    extensions.set("code", code.as_str());
    extensions.set("requestId", request_id);
    extensions.set("retryable", code.retryable());
    error.extensions = Some(extensions);
    error.source = None;
    truncate(&mut error.message, MAX_MESSAGE_BYTES);
    shrink(error, code, request_id);
}

fn user_errors(error: &ServerError) -> &[UserError] {
    match error.source::<Error>() {
        Some(Error::Refused(errors)) => errors,
        _ => &[],
    }
}

/// Finds the code, and hides the text of a fault of ours.
fn classify(error: &mut ServerError, request_id: &str) -> ErrorCode {
    if let Some(source) = error.source::<Error>() {
        let code = source.code();
        if code == ErrorCode::Internal {
            hide(error, request_id);
        }
        return code;
    }
    match code_of(error) {
        Some(ErrorCode::Internal) => {
            hide(error, request_id);
            ErrorCode::Internal
        }
        Some(code) => code,
        // The library's own errors (a scalar that does not parse, an argument that does not fit) have no source.
        None if error.source.is_none() => ErrorCode::GraphqlValidationFailed,
        None => {
            hide(error, request_id);
            ErrorCode::Internal
        }
    }
}

fn hide(error: &mut ServerError, request_id: &str) {
    tracing::error!(request_id, path = ?error.path, error = %error.message, "internal error");
    error.message = internal_message(request_id);
    error.extensions = None;
}

/// What a client is told of a fault of ours.
pub fn internal_message(request_id: &str) -> String {
    format!("internal error; quote the request id {request_id} when you report it")
}

/// Cuts the text at a character boundary.
fn truncate(text: &mut String, limit: usize) {
    if text.len() > limit {
        let end = (0..=limit - '…'.len_utf8()).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

/// Drops what is not vital until the error is small enough.
fn shrink(error: &mut ServerError, code: ErrorCode, request_id: &str) {
    let too_large = |error: &ServerError| serde_json::to_vec(error).is_ok_and(|json| json.len() > MAX_ERROR_BYTES);
    if !too_large(error) {
        return;
    }
    error.locations.truncate(1);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str());
    extensions.set("requestId", request_id);
    extensions.set("retryable", code.retryable());
    error.extensions = Some(extensions);
    if too_large(error) {
        // A path can be as long as the client's aliases: its beginning says less than the message.
        error.path.retain(|segment| matches!(segment, PathSegment::Field(name) if name.len() <= 64));
        error.path.truncate(4);
    }
    let mut limit = MAX_MESSAGE_BYTES;
    while too_large(error) && limit > 64 {
        limit /= 2;
        truncate(&mut error.message, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(error: async_graphql::Error) -> ServerError {
        let mut errors = vec![error.into_server_error(Pos { line: 1, column: 1 })];
        finish(&mut errors, "r1");
        errors.remove(0)
    }

    #[test]
    fn a_platform_error_keeps_code_and_text() {
        let error = finished(Error::request(ErrorCode::BadCursor, "not a cursor of this list").into());
        assert_eq!(code_of(&error), Some(ErrorCode::BadCursor));
        assert_eq!(error.message, "not a cursor of this list");
        let extensions = error.extensions.unwrap();
        assert_eq!(extensions.get("requestId"), Some(&Value::from("r1")));
        assert_eq!(extensions.get("retryable"), Some(&Value::from(false)));
    }

    #[test]
    fn a_fault_of_ours_is_told_to_nobody() {
        for error in [
            async_graphql::Error::from(Error::internal("table users is gone")),
            to_graphql(Error::internal("table users is gone")),
            async_graphql::Error::from(std::io::Error::other("table users is gone")),
        ] {
            let error = finished(error);
            assert_eq!(code_of(&error), Some(ErrorCode::Internal));
            assert!(!format!("{error:?}").contains("users"), "{error:?}");
            assert!(error.message.contains("r1"));
        }
    }

    #[test]
    fn user_errors_in_a_query_name_their_path() {
        let error = finished(UserError::validation(["filter", "title"], "too long").into_error());
        assert_eq!(code_of(&error), Some(ErrorCode::Validation));
        let path = error.extensions.unwrap().get("inputPath").cloned();
        assert_eq!(path, Some(Value::List(vec![Value::from("filter"), Value::from("title")])));
    }

    #[test]
    fn five_errors_of_one_kibibyte() {
        let mut errors: Vec<_> = (0..50)
            .map(|index| {
                let mut error = refusal(ErrorCode::Validation, "ü".repeat(40_000), None);
                error.path = vec![PathSegment::Field("a".repeat(60_000)), PathSegment::Index(index)];
                error
            })
            .collect();
        finish(&mut errors, "r1");
        assert_eq!(errors.len(), MAX_ERRORS);
        for error in errors {
            assert!(serde_json::to_vec(&error).unwrap().len() <= MAX_ERROR_BYTES);
            assert_eq!(code_of(&error), Some(ErrorCode::Validation));
        }
    }

    trait IntoError {
        fn into_error(self) -> async_graphql::Error;
    }

    impl IntoError for UserError {
        fn into_error(self) -> async_graphql::Error {
            Error::from(self).into()
        }
    }
}
