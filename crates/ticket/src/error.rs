//! The refusals of this crate, each with its stable code.

use kernel::error::RefusedTransition;
use kernel::{Detail, ErrorCode, UserError};

/// A transition that the workflow, the viewer's rights or the inputs do not allow.
pub fn transition_refused(refused: RefusedTransition) -> UserError {
    let message = match refused.reasons.as_slice() {
        [] => "the transition is not possible now".to_owned(),
        reasons => reasons.join("; "),
    };
    UserError {
        detail: Detail::Transition(Box::new(refused)),
        ..UserError::new(ErrorCode::TransitionRefused, ["transition"], message)
    }
}
