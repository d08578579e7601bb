//! What can go wrong, told in the words of the API: a closed list of codes, and whether a user can mend it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What every fallible function of the product answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The closed list of error codes. Each has one page in `schema/errors/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $code)] $name,)* }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code as clients see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$name => $code,)* }
            }
        }
    };
}

error_codes! {
    /// A value in the input breaks a rule that the path and the message name.
    Validation = "VALIDATION",
    /// The record does not exist, or the viewer may not know of it.
    NotFound = "NOT_FOUND",
    /// The viewer may see the record, but not do this to it.
    Forbidden = "FORBIDDEN",
    /// Someone was faster: the record has another version than `expectedVersion`, or the value is taken.
    Conflict = "CONFLICT",
    /// The workflow does not allow this transition now.
    TransitionRefused = "TRANSITION_REFUSED",
    /// An approval of the record must be decided first.
    ApprovalPending = "APPROVAL_PENDING",
    /// A named limit would be exceeded.
    Limit = "LIMIT",
    /// The idempotency key was used before with another input.
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH",
    /// A call with the same idempotency key has not finished yet.
    IdempotencyInProgress = "IDEMPOTENCY_IN_PROGRESS",
    /// No credentials, or credentials that do not hold (any more).
    Unauthenticated = "UNAUTHENTICATED",
    /// The HTTP request or the WebSocket message is malformed.
    BadRequest = "BAD_REQUEST",
    /// The HTTP method does not fit the operation.
    MethodNotAllowed = "METHOD_NOT_ALLOWED",
    /// The request's media type is not `application/json`.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE",
    /// No media type that the client accepts can be produced.
    NotAcceptable = "NOT_ACCEPTABLE",
    /// The body is larger than the limit.
    BodyTooLarge = "BODY_TOO_LARGE",
    /// The document is not GraphQL.
    GraphqlParseFailed = "GRAPHQL_PARSE_FAILED",
    /// The document or its variables do not fit the schema.
    GraphqlValidationFailed = "GRAPHQL_VALIDATION_FAILED",
    /// The document costs more than the budget, or breaks a limit on depth, fields or aliases.
    CostExceeded = "COST_EXCEEDED",
    /// Too many requests; the answer says when to come back.
    RateLimited = "RATE_LIMITED",
    /// Too many concurrent subscriptions on one connection.
    TooManySubscriptions = "TOO_MANY_SUBSCRIPTIONS",
    /// A cursor that was not made by this server for this list, or was tampered with.
    BadCursor = "BAD_CURSOR",
    /// The log no longer reaches back to this cursor.
    CursorExpired = "CURSOR_EXPIRED",
    /// The log was restored from a backup: cursors from before do not hold; list again.
    LogReset = "LOG_RESET",
    /// The request took longer than its deadline.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// The server cannot do this right now; the same call may go through in a moment.
    Unavailable = "UNAVAILABLE",
    /// A fault of the server. Nothing of it is told but the request id.
    Internal = "INTERNAL",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ErrorCode {
    /// Whether the same call may go through a moment later.
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            ErrorCode::IdempotencyInProgress
                | ErrorCode::RateLimited
                | ErrorCode::DeadlineExceeded
                | ErrorCode::Unavailable
        )
    }
}

/// Something in the input that the user can mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserError {
    /// Which kind of error.
    pub code: ErrorCode,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// Where in the mutation's input, outermost first; empty when it is about the whole.
    pub path: Vec<String>,
    /// What a program needs beside the code.
    pub detail: Detail,
}

/// What a program needs to know of a user error beside its code.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Detail {
    /// Nothing more.
    #[default]
    None,
    /// Which constraint of the value was broken, and its bound if it has one.
    Validation {
        /// A stable name of the rule, such as `maxLength`.
        constraint: Cow<'static, str>,
        /// The bound, where there is one.
        limit: Option<u64>,
    },
    /// The permission that is missing.
    Forbidden {
        /// Its name, such as `ticket.assign`.
        permission: String,
    },
    /// The version that the record has now, if the conflict is one of versions.
    Conflict {
        /// The current version.
        current_version: Option<i32>,
    },
    /// Why a transition was refused.
    Transition(Box<RefusedTransition>),
    /// The approval that must be decided first.
    Approval {
        /// Its id.
        approval: uuid::Uuid,
    },
    /// The bound of the limit that would be exceeded.
    Limit {
        /// The bound.
        limit: u64,
    },
}

/// Why a transition was refused, and what would be possible instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedTransition {
    /// The state's key that the ticket is in.
    pub from: String,
    /// The state's key that was asked for, if the transition exists at all.
    pub to: Option<String>,
    /// Keys of the transitions that are possible now.
    pub available: Vec<String>,
    /// Each reason for the refusal.
    pub reasons: Vec<String>,
}

fn owned<I, S>(path: I) -> Vec<String>
where
    I: IntoIterator<Item = S>,
    S: Into<String>,
{
    path.into_iter().map(Into::into).collect()
}

impl UserError {
    /// A user error without further detail.
    pub fn new<I, S>(code: ErrorCode, path: I, message: impl Into<String>) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self { code, message: message.into(), path: owned(path), detail: Detail::None }
    }

    /// A value that breaks a rule.
    pub fn validation<I, S>(path: I, message: impl Into<String>) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self::constraint(path, message, "invalid", None)
    }

    /// A value that breaks a named rule with a bound.
    pub fn constraint<I, S>(path: I, message: impl Into<String>, constraint: &'static str, limit: Option<u64>) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self {
            detail: Detail::Validation { constraint: constraint.into(), limit },
            ..Self::new(ErrorCode::Validation, path, message)
        }
    }

    /// A record that is not there, as far as the viewer may know.
    pub fn not_found<I, S>(path: I, what: &str) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self::new(ErrorCode::NotFound, path, format!("{what} was not found"))
    }

    /// A permission that the viewer lacks.
    pub fn forbidden(permission: &str) -> Self {
        Self {
            detail: Detail::Forbidden { permission: permission.to_owned() },
            ..Self::new(
                ErrorCode::Forbidden,
                [] as [&str; 0],
                format!("this needs the permission `{permission}` on the record"),
            )
        }
    }

    /// Another version than the one that was expected.
    pub fn stale(current_version: i32) -> Self {
        Self {
            detail: Detail::Conflict { current_version: Some(current_version) },
            ..Self::new(
                ErrorCode::Conflict,
                ["expectedVersion"],
                format!(
                    "the record has changed: it is at version {current_version} now; read it again and decide anew"
                ),
            )
        }
    }

    /// A value that must be unique and is taken.
    pub fn taken<I, S>(path: I, message: impl Into<String>) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self { detail: Detail::Conflict { current_version: None }, ..Self::new(ErrorCode::Conflict, path, message) }
    }

    /// A limit that would be exceeded.
    pub fn limit<I, S>(path: I, message: impl Into<String>, limit: u64) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self { detail: Detail::Limit { limit }, ..Self::new(ErrorCode::Limit, path, message) }
    }

    /// The same error, one level deeper in the input.
    #[must_use]
    pub fn within(mut self, segment: &str) -> Self {
        self.path.insert(0, segment.to_owned());
        self
    }
}

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The user can mend it: answered in `userErrors`.
    #[error("{}", .0.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<UserError>),
    /// The request cannot be answered: a GraphQL error with this code. The message is for the client.
    #[error("{message}")]
    Request {
        /// Its code.
        code: ErrorCode,
        /// What to tell the client.
        message: String,
    },
    /// A fault of ours: logged with its text, told to nobody.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A request that cannot be answered.
    pub fn request(code: ErrorCode, message: impl Into<String>) -> Self {
        Error::Request { code, message: message.into() }
    }

    /// A fault of ours, with the text for the log.
    pub fn internal(text: impl fmt::Display) -> Self {
        Error::Internal(text.to_string())
    }

    /// The code of the first thing that is wrong.
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Refused(errors) => errors.first().map_or(ErrorCode::Validation, |error| error.code),
            Error::Request { code, .. } => *code,
            Error::Internal(_) => ErrorCode::Internal,
        }
    }

    /// The same error, its paths one level deeper in the input.
    #[must_use]
    pub fn within(self, segment: &str) -> Self {
        match self {
            Error::Refused(errors) => Error::Refused(errors.into_iter().map(|error| error.within(segment)).collect()),
            other => other,
        }
    }
}

impl From<UserError> for Error {
    fn from(error: UserError) -> Self {
        Error::Refused(vec![error])
    }
}

/// How many errors one input is told: whoever made it mends some hundred at once, and a longer answer helps nobody but who wants it long.
pub const MAX_PROBLEMS: usize = 100;

/// Collects user errors, so that one answer names everything that is wrong: [`MAX_PROBLEMS`] of them, and how many more there are.
#[derive(Debug, Default)]
pub struct Problems {
    told: Vec<UserError>,
    more: usize,
}

impl Problems {
    /// Notes one more.
    pub fn add(&mut self, error: UserError) {
        if self.told.len() < MAX_PROBLEMS {
            self.told.push(error);
        } else {
            self.more += 1;
        }
    }

    /// Notes all of these, with their paths below this one.
    pub fn add_within(&mut self, others: Problems, path: &[&str]) {
        let below = |error: UserError| path.iter().rev().fold(error, |error, segment| error.within(segment));
        others.told.into_iter().map(below).for_each(|error| self.add(error));
        self.more += others.more;
    }

    /// Keeps the value of an `Ok`; notes the user errors of a refusal; passes anything else on.
    ///
    /// # Errors
    /// Errors that are not user errors.
    pub fn take<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Refused(errors)) => {
                errors.into_iter().for_each(|error| self.add(error));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Refuses if anything was noted.
    ///
    /// # Errors
    /// [`Error::Refused`] with all that was noted.
    pub fn check(mut self) -> Result<()> {
        if self.told.is_empty() {
            return Ok(());
        }
        if self.more > 0 {
            let message = format!("{} more errors are not told one by one", self.more);
            let nowhere: [&str; 0] = [];
            self.told.push(UserError::constraint(nowhere, message, "maxErrors", Some(MAX_PROBLEMS as u64)));
        }
        Err(Error::Refused(self.told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_grow_outwards() {
        let error = UserError::validation(["slug"], "bad").within("team");
        assert_eq!(error.path, ["team", "slug"]);
    }

    #[test]
    fn what_is_kept_of_a_user_error_is_all_of_it() {
        let refused = RefusedTransition {
            from: "new".into(),
            to: Some("resolved".into()),
            available: vec!["start".into()],
            reasons: vec!["it waits".into()],
        };
        for error in [
            UserError::constraint(["title"], "too long", "maxLength", Some(255)),
            UserError::not_found(["ids", "3"], "the ticket"),
            UserError::forbidden("ticket.update"),
            UserError::stale(7),
            UserError::limit(["tags"], "too many", 50),
            UserError { detail: Detail::Transition(Box::new(refused)), ..UserError::validation(["transition"], "no") },
            UserError { detail: Detail::Approval { approval: uuid::Uuid::from_u128(7) }, ..UserError::stale(7) },
        ] {
            let kept = serde_json::to_value(&error).unwrap();
            assert_eq!(serde_json::from_value::<UserError>(kept).unwrap(), error);
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut codes = ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn problems_are_told_together() {
        let mut problems = Problems::default();
        problems.add(UserError::validation(["a"], "one"));
        let none: Option<()> = problems.take(Err(UserError::validation(["b"], "two").into())).unwrap();
        assert!(none.is_none());
        assert!(matches!(problems.check(), Err(Error::Refused(errors)) if errors.len() == 2));
    }

    #[test]
    fn too_many_problems_are_counted() {
        let of = |count: usize| {
            let mut problems = Problems::default();
            (0..count).for_each(|place| problems.add(UserError::validation([place.to_string()], "bad")));
            problems
        };
        let told = |problems: Problems| match problems.check() {
            Err(Error::Refused(errors)) => (errors.len(), errors.last().unwrap().message.clone()),
            other => panic!("{other:?}"),
        };
        assert_eq!(told(of(MAX_PROBLEMS)), (MAX_PROBLEMS, "bad".to_owned()));
        let mut both = of(3);
        both.add_within(of(MAX_PROBLEMS + 7), &["input"]);
        assert_eq!(told(both), (MAX_PROBLEMS + 1, "10 more errors are not told one by one".to_owned()));
    }
}
