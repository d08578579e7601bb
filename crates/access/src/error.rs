//! What this crate refuses, in the codes of the API.

use kernel::{Error, ErrorCode, UserError};

use crate::attempts::{ATTEMPT_WINDOW, MAX_ATTEMPTS};

/// Credentials that are missing or do not hold (any more). One text for every reason: a token that never was, one that
/// was revoked, an inactive owner and a wrong password are not to be told apart.
pub fn unauthenticated() -> Error {
    Error::request(ErrorCode::Unauthenticated, "the credentials are missing, wrong, expired or revoked")
}

/// Too many failed sign-ins of one address.
pub(crate) fn too_many_attempts() -> Error {
    let minutes = ATTEMPT_WINDOW.as_secs() / 60;
    let message = format!("more than {MAX_ATTEMPTS} sign-ins failed within {minutes} minutes; wait and try again");
    Error::request(ErrorCode::RateLimited, message)
}

/// An address that another user has.
pub(crate) fn email_taken() -> UserError {
    UserError::taken(["email"], "another user has this e-mail address")
}

/// A slug that another record has.
pub(crate) fn slug_taken(slug: &str, what: &str) -> UserError {
    UserError::taken(["slug"], format!("another {what} has the slug `{slug}`"))
}

/// The last administrator cannot go.
pub(crate) fn last_administrator(field: &str) -> UserError {
    let message = "this is the last active user with the role `administrator`; give it to someone else first";
    UserError::constraint([field], message, "lastAdministrator", Some(1))
}

/// A permission that the caller would hand on without holding it.
pub(crate) fn not_held(field: &str, permission: &str) -> UserError {
    let mut error = UserError::forbidden(permission);
    error.message = format!("this would give `{permission}` further than you hold it yourself");
    error.within(field)
}
