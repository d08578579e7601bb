//! What a user can mend: the errors in `userErrors`.

use async_graphql::{Enum, Interface, SimpleObject};
use kernel::{Detail, Error};

use crate::approvals::Approval;

/// The codes of user errors. Each has one page in the error catalogue, `schema/errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ErrorCode {
    /// A value in the input breaks a rule that the path and the message name.
    Validation,
    /// The record does not exist, or the viewer may not know of it.
    NotFound,
    /// The viewer may see the record, but not do this to it.
    Forbidden,
    /// Someone was faster: the record has another version than `expectedVersion`, or the value is taken.
    Conflict,
    /// The workflow does not allow this transition now.
    TransitionRefused,
    /// An approval of the record must be decided first.
    ApprovalPending,
    /// A named limit would be exceeded.
    Limit,
    /// The idempotency key was used before with another input.
    IdempotencyMismatch,
    /// A call with the same idempotency key has not finished yet; the same call may go through in a moment.
    IdempotencyInProgress,
}

fn code_of(code: kernel::ErrorCode) -> ErrorCode {
    match code {
        kernel::ErrorCode::NotFound => ErrorCode::NotFound,
        kernel::ErrorCode::Forbidden => ErrorCode::Forbidden,
        kernel::ErrorCode::Conflict => ErrorCode::Conflict,
        kernel::ErrorCode::TransitionRefused => ErrorCode::TransitionRefused,
        kernel::ErrorCode::ApprovalPending => ErrorCode::ApprovalPending,
        kernel::ErrorCode::Limit => ErrorCode::Limit,
        kernel::ErrorCode::IdempotencyMismatch => ErrorCode::IdempotencyMismatch,
        kernel::ErrorCode::IdempotencyInProgress => ErrorCode::IdempotencyInProgress,
        _ => ErrorCode::Validation,
    }
}

/// Something in the input that the user can mend.
#[derive(Interface)]
#[graphql(
    field(name = "code", ty = "&ErrorCode", desc = "Which kind of error."),
    field(name = "message", ty = "&String", desc = "What is wrong and what to do, for people."),
    field(
        name = "path",
        ty = "&Vec<String>",
        desc = "Where in `input`, outermost first; list positions as decimal numbers; empty when it is about the whole."
    )
)]
pub enum UserError {
    /// A value breaks a rule.
    ValidationError(ValidationError),
    /// A record is not there.
    NotFoundError(NotFoundError),
    /// A permission is missing.
    ForbiddenError(ForbiddenError),
    /// Someone was faster, or a value is taken.
    ConflictError(ConflictError),
    /// The workflow does not allow it.
    TransitionRefusedError(TransitionRefusedError),
    /// An approval must be decided first.
    ApprovalPendingError(ApprovalPendingError),
    /// A limit would be exceeded.
    LimitError(LimitError),
    /// The idempotency key stands for another call.
    IdempotencyError(IdempotencyError),
}

/// A value in the input breaks a rule.
#[derive(SimpleObject)]
pub struct ValidationError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
    /// The rule's stable name, such as `maxLength`.
    constraint: String,
    /// The rule's bound, where it has one that fits.
    limit: Option<i32>,
}

/// A record that the input points at does not exist, or the viewer may not know of it.
#[derive(SimpleObject)]
pub struct NotFoundError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
}

/// The viewer may see the record, but not do this to it.
#[derive(SimpleObject)]
pub struct ForbiddenError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
    /// The permission that is missing, such as `ticket.assign`.
    permission: String,
}

/// Someone was faster, or a value that must be unique is taken.
#[derive(SimpleObject)]
pub struct ConflictError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
    /// The version that the record has now; null when a value is taken.
    current_version: Option<i32>,
}

/// The workflow does not allow this transition now.
#[derive(SimpleObject)]
pub struct TransitionRefusedError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
    /// The key of the state that the ticket is in.
    from: String,
    /// The key of the state that the transition leads to; null when there is no such transition.
    to: Option<String>,
    /// The keys of the transitions that the viewer may take now.
    available_transitions: Vec<String>,
    /// Each reason for the refusal.
    reasons: Vec<String>,
}

/// An approval of the record must be decided first.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ApprovalPendingError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
    #[graphql(skip)]
    id: kernel::Uuid,
}

#[async_graphql::ComplexObject]
impl ApprovalPendingError {
    /// The approval; null when the viewer may not see it.
    async fn approval(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<Approval>> {
        crate::approvals::types::find(ctx, self.id).await
    }
}

/// A named limit would be exceeded.
#[derive(SimpleObject)]
pub struct LimitError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
    /// The limit's bound; always there, and nullable only so that it can be selected beside that of `ValidationError`.
    limit: Option<i32>,
}

/// The idempotency key was used with another input, or its first call has not finished.
#[derive(SimpleObject)]
pub struct IdempotencyError {
    /// Which kind of error.
    code: ErrorCode,
    /// What is wrong and what to do, for people.
    message: String,
    /// Where in `input`, outermost first; list positions as decimal numbers.
    path: Vec<String>,
}

fn bound(limit: u64) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}

impl From<kernel::UserError> for UserError {
    fn from(error: kernel::UserError) -> Self {
        let kernel::UserError { code, message, path, detail } = error;
        let code = code_of(code);
        match (code, detail) {
            (_, Detail::Forbidden { permission }) => {
                UserError::ForbiddenError(ForbiddenError { code, message, path, permission })
            }
            (_, Detail::Conflict { current_version }) => {
                UserError::ConflictError(ConflictError { code, message, path, current_version })
            }
            (_, Detail::Transition(refused)) => UserError::TransitionRefusedError(TransitionRefusedError {
                code,
                message,
                path,
                from: refused.from,
                to: refused.to,
                available_transitions: refused.available,
                reasons: refused.reasons,
            }),
            (_, Detail::Approval { approval }) => {
                UserError::ApprovalPendingError(ApprovalPendingError { code, message, path, id: approval })
            }
            (_, Detail::Limit { limit }) => {
                UserError::LimitError(LimitError { code, message, path, limit: Some(bound(limit)) })
            }
            (_, Detail::Validation { constraint, limit }) => UserError::ValidationError(ValidationError {
                code,
                message,
                path,
                constraint: constraint.into_owned(),
                limit: limit.map(bound),
            }),
            (ErrorCode::NotFound, Detail::None) => UserError::NotFoundError(NotFoundError { code, message, path }),
            (ErrorCode::IdempotencyMismatch | ErrorCode::IdempotencyInProgress, Detail::None) => {
                UserError::IdempotencyError(IdempotencyError { code, message, path })
            }
            (_, Detail::None) => UserError::ValidationError(ValidationError {
                code,
                message,
                path,
                constraint: "invalid".to_owned(),
                limit: None,
            }),
        }
    }
}

/// Parts a result into what succeeded and what the user can mend; anything else is an error of the request.
///
/// # Errors
/// Errors that are not for the user to mend.
pub fn part<T>(result: kernel::Result<T>) -> async_graphql::Result<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(Error::Refused(errors)) => Ok((None, errors.into_iter().map(UserError::from).collect())),
        Err(Error::Request { code, message })
            if matches!(code, kernel::ErrorCode::IdempotencyMismatch | kernel::ErrorCode::IdempotencyInProgress) =>
        {
            let error = IdempotencyError { code: code_of(code), message, path: vec!["idempotencyKey".to_owned()] };
            Ok((None, vec![UserError::IdempotencyError(error)]))
        }
        Err(other) => Err(other.into()),
    }
}
