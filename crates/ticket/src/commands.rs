//! What can be asked of any ticket, with limits on everything.

use std::collections::HashSet;

use kernel::error::Problems;
use kernel::{Patch, Result, Timestamp, UserError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use access::{TeamRef, UserRef};

use crate::attachment::NewFiles;
use crate::model::{CommentVisibility, LinkType, MAX_KEY, MAX_TAGS, MAX_TEXT, MAX_TITLE};
use crate::queries::TicketRef;

/// Move a ticket through its workflow.
#[derive(Clone, Debug)]
pub struct TransitionTicket {
    /// Which ticket.
    pub ticket: TicketRef,
    /// The transition's key.
    pub transition: String,
    /// The transition's inputs, by name; their schema is in `availableTransitions`.
    pub inputs: Map<String, Json>,
    /// A public comment to add along.
    pub comment: Option<String>,
    /// Resolve the open children along with it.
    pub resolve_children: bool,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
}

impl TransitionTicket {
    /// Checks what can be checked without looking anything up.
    ///
    /// # Errors
    /// `VALIDATION` at `comment`.
    pub fn check(&self) -> Result<()> {
        let mut problems = Problems::default();
        if let Some(body) = &self.comment {
            check_body(&mut problems, "comment", body);
        }
        problems.check()
    }
}

/// Link a ticket with another, or take a link away.
#[derive(Clone, Debug)]
pub struct LinkTickets {
    /// Where the link leaves from.
    pub source: TicketRef,
    /// How the one stands to the other.
    pub kind: LinkType,
    /// Where it leads to.
    pub target: TicketRef,
}

/// Say who works on a ticket.
#[derive(Clone, Debug)]
pub struct AssignTicket {
    /// Which ticket.
    pub ticket: TicketRef,
    /// The team.
    pub team: Patch<TeamRef>,
    /// The assignee, a member of the team.
    pub assignee: Patch<UserRef>,
    /// Refuse when the ticket has another version.
    pub expected_version: Option<i32>,
}

/// Add a comment.
#[derive(Clone, Debug)]
pub struct AddComment {
    /// To which ticket.
    pub ticket: TicketRef,
    /// Markdown, at most [`MAX_TEXT`] bytes.
    pub body: String,
    /// Who may read it.
    pub visibility: CommentVisibility,
    /// Files that come with it.
    pub files: Option<NewFiles>,
}

/// Begin or cease to follow a ticket.
#[derive(Clone, Debug)]
pub struct WatchTicket {
    /// Which ticket.
    pub ticket: TicketRef,
    /// Who; `None` is the viewer.
    pub user: Option<UserRef>,
}

/// Add a category.
#[derive(Clone, Debug)]
pub struct CreateCategory {
    /// Unique in the tenant: lower-case letters, digits and hyphens.
    pub key: String,
    /// For people.
    pub name: String,
    /// The key of the category above.
    pub parent: Option<String>,
}

/// Change a category.
#[derive(Clone, Debug)]
pub struct UpdateCategory {
    /// Its key.
    pub key: String,
    /// A new name.
    pub name: Option<String>,
    /// The key of another category above; null makes it a root.
    pub parent: Patch<String>,
    /// Retired categories stay on their tickets and cannot be chosen any more.
    pub retired: Option<bool>,
    /// Refuse when the category has another version.
    pub expected_version: Option<i32>,
}

/// An override of the priority, with its reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PriorityOverride {
    /// The priority.
    pub priority: crate::model::Priority,
    /// Why.
    pub reason: String,
}

/// Checks a text that must say something.
pub fn check_text(problems: &mut Problems, path: &str, text: &str, max_characters: usize) {
    if text.trim().is_empty() {
        problems.add(UserError::constraint([path], format!("`{path}` is empty"), "minLength", Some(1)));
    } else if text.chars().count() > max_characters {
        let message = format!("`{path}` has more than {max_characters} characters");
        problems.add(UserError::constraint([path], message, "maxLength", Some(max_characters as u64)));
    }
    check_characters(problems, path, text);
}

/// Checks the key of what a tenant sets for itself.
pub(crate) fn check_key(problems: &mut Problems, key: &str) {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(plain) {
        let message = format!("`key` is 1 to {MAX_KEY} lower-case letters, digits and hyphens");
        problems.add(UserError::constraint(["key"], message, "pattern", Some(MAX_KEY as u64)));
    }
}

/// Checks a long text, which may be empty.
pub fn check_long_text(problems: &mut Problems, path: &str, text: &str) {
    if text.len() > MAX_TEXT {
        let message = format!("`{path}` has {} bytes; at most {MAX_TEXT} are allowed", text.len());
        problems.add(UserError::constraint([path], message, "maxBytes", Some(MAX_TEXT as u64)));
    }
    check_characters(problems, path, text);
}

/// Checks a long text that must say something.
pub fn check_body(problems: &mut Problems, path: &str, text: &str) {
    if text.trim().is_empty() {
        problems.add(UserError::constraint([path], format!("`{path}` is empty"), "minLength", Some(1)));
    }
    check_long_text(problems, path, text);
}

/// PostgreSQL cannot store NUL, so neither engine does.
fn check_characters(problems: &mut Problems, path: &str, text: &str) {
    if text.contains('\0') {
        problems.add(UserError::constraint([path], format!("`{path}` holds a NUL character"), "characters", None));
    }
}

/// Checks a title.
pub fn check_title(problems: &mut Problems, title: &str) {
    check_text(problems, "title", title, MAX_TITLE);
}

/// Trims tags, drops repeated ones, and checks their number and length.
pub fn normalise_tags(problems: &mut Problems, tags: Vec<String>) -> Vec<String> {
    let (mut kept, mut known) = (Vec::new(), HashSet::new());
    for tag in tags {
        let tag = tag.trim().to_owned();
        check_text(problems, "tags", &tag, MAX_KEY);
        if known.insert(tag.clone()) {
            kept.push(tag);
        }
    }
    if kept.len() > MAX_TAGS {
        let message = format!("{} tags are given; at most {MAX_TAGS} are allowed", kept.len());
        problems.add(UserError::limit(["tags"], message, MAX_TAGS as u64));
    }
    kept
}

/// Reads an instant in RFC 3339.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    use chrono::SubsecRound;
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&chrono::Utc).trunc_subsecs(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_trimmed_and_stand_once() {
        let mut problems = Problems::default();
        let tags = normalise_tags(&mut problems, vec![" vpn ".into(), "vpn".into(), "mail".into()]);
        assert_eq!(tags, ["vpn", "mail"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn too_many_or_empty_tags_are_refused() {
        let mut problems = Problems::default();
        normalise_tags(&mut problems, (0..=MAX_TAGS).map(|tag| tag.to_string()).collect());
        assert!(problems.check().is_err());
        let mut problems = Problems::default();
        normalise_tags(&mut problems, vec!["  ".into()]);
        assert!(problems.check().is_err());
    }

    #[test]
    fn titles_have_a_length() {
        for (title, fine) in [
            ("x".repeat(MAX_TITLE), true),
            ("x".repeat(MAX_TITLE + 1), false),
            (" ".into(), false),
            ("a\0b".into(), false),
        ] {
            let mut problems = Problems::default();
            check_title(&mut problems, &title);
            assert_eq!(problems.is_empty(), fine);
        }
    }
}
