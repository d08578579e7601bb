//! The events of reactions themselves.

/// A reaction could not be done, or was not begun because it stood too deep in a chain of them. For those who read the audit.
pub const FAILED: &str = "ReactionFailed";
/// What the log calls the subject of that: the event that was reacted to.
pub const SUBJECT: &str = "event";
